#include <stddef.h>
void *mx_print_ctx;
void (*mx_print)(void *ctx, const char *message, const char *dtype, const void *data, ptrdiff_t n);
#define MLXCC_PRINT(m, t, d, n) do { if (mx_print) mx_print(mx_print_ctx, m, t, d, n); } while (0)
/* Written by mlxcc. */
#ifndef RUN_H
#define RUN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RUN_EINVAL 1    /* a dimension breaks a stated fact */

/** main
 *  x: f64[3, 4].
 *  y: f64[3, 4].
 *  p: i32[3].
 *  i: i32.
 *  out: f64[3,4], written.
 *  Returns 0. Reentrant: touches only its arguments. */
int run_main(const double *x, const double *y, const int32_t *p, int32_t i, double *out, void *arena);
#define RUN_MAIN_ARENA_BYTES 0
size_t run_main_arena_bytes(void);   /* exact for these dimensions */

#ifdef __cplusplus
}
#endif
#endif
/* Written by mlxcc. C99; needs nothing but libm. */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
#ifdef __cplusplus
#define restrict __restrict
#endif
#if defined(__GNUC__) && !defined(__clang__)
#define MX_KERNEL __attribute__((noinline))
#else
#define MX_KERNEL
#endif

static inline mx_c64 mx_c64_make(float re, float im)
{
	mx_c64 z;
	z.re = re;
	z.im = im;
	return z;
}

static inline mx_c64 mx_c64_mul(mx_c64 a, mx_c64 b)
{
	return mx_c64_make(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

static inline float mx_c64_abs(mx_c64 a)
{
	return hypotf(a.re, a.im);
}

static inline mx_c64 mx_c64_sign(mx_c64 a)
{
	double n = hypot(a.re, a.im);
	return n == 0 ? a : mx_c64_make((float)(a.re / n), (float)(a.im / n));
}

static inline uint32_t mx_bits_f32(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

static inline float mx_from_bits_f32(uint32_t u)
{
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

/* M. Payne and R. Hanek, "Radian reduction for trigonometric functions" (1983): |a| 2/pi modulo 4, from those 96 bits of 2/pi that matter.
 * Returns the remainder in [-pi/4, pi/4] and the quadrant. r is the answer of the quick way, which stands where a is small. */
static inline float mx_far_angle_f32(float a, float r, uint32_t *quadrant)
{
	static const uint32_t two_over_pi[] = {0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
	uint32_t u, w[3];
	uint64_t m, low, mid, frac;
	int skip;
	float scale = 1.0f, hi, lo, h1;
	bool negative;
	if (a <= 51471.0f) return r;
	if (!(a < INFINITY)) return NAN;
	memcpy(&u, &a, sizeof u);
	skip = 7 + (int)(u >> 23) - 127; /* bits of the table before the window: what is left of them are multiples of 4 */
	m = (u & 0x7fffff) | 0x800000;
	for (int i = 0; i < 3; i++) {
		const uint64_t pair = (uint64_t)two_over_pi[skip / 32 + i] << 32 | two_over_pi[skip / 32 + i + 1];
		w[i] = (uint32_t)(pair << skip % 32 >> 32);
	}
	low = m * w[2];
	mid = m * w[1] + (low >> 32);
	u = (uint32_t)(m * w[0] + (mid >> 32)); /* u, mid, low: two bits of the quadrant, then the fraction */
	frac = ((uint64_t)u << 32 | (uint32_t)mid) << 2 | (uint32_t)low >> 30;
	negative = frac >> 63;
	*quadrant = (u >> 30) + negative;
	if (negative) frac = 0 - frac;
	if (frac == 0) return 0.0f;
	for (; !(frac >> 63); frac <<= 1) scale *= 0.5f;
	hi = (float)(uint32_t)(frac >> 40);
	lo = (float)(uint32_t)(frac >> 16 & 0xffffff) * 5.96046448e-8f;
	memcpy(&u, &hi, sizeof u);
	u &= 0xfffff000;
	memcpy(&h1, &u, sizeof u);
	r = h1 * 1.5703125f + ((hi - h1) * 1.5703125f + (hi * 0.000483826792f + lo * 1.57079637f)); /* times pi/2 */
	r *= scale * 5.96046448e-8f;
	return negative ? -r : r;
}

/* |x| - n pi/2, n nearest, for |x| <= 51471 by subtracting n times five parts of pi/2, four of 9 bits whose products are exact (W. Cody and
 * W. Waite, "Software manual for the elementary functions", 1980). */
static inline float mx_angle_f32(float a, uint32_t *n)
{
	const float t = a * 0.636619772f + 12582912.0f, k = t - 12582912.0f;
	float r = a - k * 1.5703125f;
	r = r - k * 0.000483512878f;
	const float c = k * 3.13855708e-7f, s = r - c; /* rounded, unless s is small: what that loses is taken along */
	r = s - (k * 6.22337197e-14f + (k * 6.07087713e-11f - ((r - s) - c)));
	*n = mx_bits_f32(t) - 0x4b400000u;
	if (!(a <= 51471.0f)) r = mx_far_angle_f32(a, r, n);
	return r;
}

static inline float mx_sin_part_f32(float r) /* |r| <= pi/4 */
{
	const float z = r * r;
	float p = z * 2.831718e-06f - 0.00019853025f;
	p = p * z + 0.008333379f;
	p = p * z - 0.16666667f;
	return p * z * r + r;
}

static inline float mx_cos_part_f32(float r)
{
	const float z = r * r;
	float p = z * 2.4431425e-05f - 0.0013887305f;
	p = p * z + 0.041666646f;
	return p * (z * z) + (1.0f - 0.5f * z);
}

static inline float mx_cos_f32(float x)
{
	uint32_t n;
	const float r = mx_angle_f32(fabsf(x), &n), y = (((n & 1u) != 0u) ? mx_sin_part_f32(r) : mx_cos_part_f32(r));
	return mx_from_bits_f32(mx_bits_f32(y) ^ (((n + 1u) & 2u) << 30));
}

/* convert  ud.mx:2 */
static MX_KERNEL void run_k0_convert(const double *restrict x, const double *restrict y, double *restrict out)
{
	for (ptrdiff_t i_ = 0; i_ < 3; i_++) {
		for (ptrdiff_t j = 0; j < 4; j++) {
			const mx_c64 t0 = mx_c64_make(((float)x[i_ * 4 + j]), ((float)y[i_ * 4 + j]));
			const double t1 = (double)(mx_c64_mul(mx_c64_make((float)mx_cos_f32(mx_c64_abs(t0)), 0), mx_c64_sign(t0)).re);
			out[i_ * 4 + j] = t1;
		}
	}
}

int run_main(const double *x, const double *y, const int32_t *p, int32_t i, double *out, void *arena)
{
	(void)arena;
	(void)p;
	(void)i;
	run_k0_convert(x, y, out);
	return 0;
}

size_t run_main_arena_bytes(void)
{
	return (size_t)0;
}


int mx_call(int which, void **p, const ptrdiff_t *d, void *arena);
size_t mx_arena(int which, const ptrdiff_t *d);
int mx_call(int which, void **p, const ptrdiff_t *d, void *arena)
{
	switch (which) {
	case 0: return run_main(p[0], p[1], p[2], *(int32_t *)p[3], p[4], arena);
	default: return -1;
	}
}
size_t mx_arena(int which, const ptrdiff_t *d)
{
	switch (which) {
	case 0: return run_main_arena_bytes();
	default: return 0;
	}
}
