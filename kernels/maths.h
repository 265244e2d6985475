/* Elementary functions of f32 without libm: one text for scalars and for lanes.
 *
 * What stands here is the scalar form, which the interpreter compiles and which emitted C gets as mx_NAME_f32. The vector form mx_NAME_vf
 * is made from the same text by the C printer (codegen/support.c): float, int32_t, uint32_t become mx_vf, mx_vi, mx_vu, a name in _f32 its
 * twin in _vf, MX_SEL a blend, MX_K a broadcast constant, MX_ANY and MX_NOT mx_any and mx_not; in the scalar form they are ?:, nothing,
 * nothing and !. So a function has no branches, except on MX_ANY, and every lane
 * gets the bits of the scalar routine, at any width. The few that go lane by lane are written out at the end.
 *
 * Rules of the file: no double, no libm but sqrtf, fabsf, copysignf; integers are unsigned, where wrapping is meant; 2^n is made in the
 * exponent field; clamping has the constant first, mx_pmax_f32(constant, x), so that a nan passes. Products that must be exact have few
 * enough bits, so that fused multiply-add, which the emitted C permits, changes roundings but breaks nothing.
 *
 * Accuracy, tested over all floats: docs/numerics.md. Coefficients: tools/minimax.py, unless a source is named.
 */
#ifndef MX_MATHS_H
#define MX_MATHS_H
#include "support.h"

#define MX_K(constant) (constant)
#define MX_SEL(c, a, b) ((c) ? (a) : (b))
#define MX_ANY(c) (c)
#define MX_NOT(c) (!(c))

/* ---- bits ---- */

/* @def mx_bits_f32 */
static inline uint32_t mx_bits_f32(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

/* @def mx_from_bits_f32 */
static inline float mx_from_bits_f32(uint32_t u)
{
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

/* @def mx_f32_from_i32 */
static inline float mx_f32_from_i32(int32_t x)
{
	return (float)x;
}

/* @def mx_trunc_i32 */
static inline int32_t mx_trunc_i32(float x) /* x in range */
{
	return (int32_t)x;
}

/* @def mx_pmax_f32 */
static inline float mx_pmax_f32(float a, float b) /* b where either is nan */
{
	return a > b ? a : b;
}

/* @def mx_pmin_f32 */
static inline float mx_pmin_f32(float a, float b)
{
	return a < b ? a : b;
}

/* @def mx_times_pow2_f32 */
/* p * 2^n for -252 <= n <= 254, in two steps, so that the result may be subnormal or infinite and is rounded once. The low nine bits of u
 * are n + 254, those above them are zero or leave with the shifts. */
static inline float mx_times_pow2_f32(float p, uint32_t u)
{
	const uint32_t half = u >> 1;
	return p * mx_from_bits_f32(half << 23) * mx_from_bits_f32((u - half) << 23);
}

/* @def mx_high_f32 */
static inline float mx_high_f32(float x) /* the leading 12 bits: products of two such are exact */
{
	return mx_from_bits_f32(mx_bits_f32(x) & 0xfffff000u);
}

/* ---- exponentials ---- */

/* @def mx_exp_part_f32 */
/* s e^x = 2^n p, p / s in [0.70, 1.42], for |x| < 128 log(2). Adding 1.5 * 2^23 rounds to an integer, whose low bits are those of the sum:
 * `magic` is that and an even bias more, so that the low bits of *u are n + bias, ready to be shifted into an exponent. n log(2) is
 * subtracted in two parts, the first of them exact. s is a power of two, as a factor of each coefficient. */
static inline float mx_exp_part_f32(float x, float magic, float s, uint32_t *u)
{
	const float t = x * 1.44269502f + magic, k = t - magic;
	*u = mx_bits_f32(t);
	float r = x - k * 0.693145752f;
	r = r - k * 1.42860677e-6f;
	float p = r * (s * 0.0013863955f) + s * 0.008368171f;
	p = p * r + s * 0.041667253f;
	p = p * r + s * 0.16666529f;
	p = p * r + s * 0.5f;
	return s + (s * r + r * r * p); /* r itself is not multiplied: the error stays below 1 ULP without contraction */
}

/* @def mx_exp_f32 */
static inline float mx_exp_f32(float x)
{
	uint32_t u;
	const float c = mx_pmin_f32(MX_K(89.0f), mx_pmax_f32(MX_K(-104.0f), x));
	const float p = mx_exp_part_f32(c, MX_K(12583166.0f), MX_K(1.0f), &u); /* 254 more */
	return mx_times_pow2_f32(p, u);
}

/* @def mx_exp_neg_f32 */
/* mx_exp_f32 of x <= 0, to the bit: 2^(n+63) is never subnormal then, and the product with 2^-63 is the one that rounds. */
static inline float mx_exp_neg_f32(float x)
{
	uint32_t u;
	const float p = mx_exp_part_f32(mx_pmax_f32(MX_K(-104.0f), x), MX_K(12583102.0f), MX_K(1.08420217e-19f), &u); /* 127 + 63 more */
	return p * mx_from_bits_f32(u << 23);
}

/* @def mx_exp_mid_f32 */
/* For sums like 1 + e^x, which don't see results below 2^-124; exact infinity. */
static inline float mx_exp_mid_f32(float x)
{
	uint32_t u;
	const float c = mx_pmin_f32(MX_K(89.0f), mx_pmax_f32(MX_K(-86.0f), x));
	const float p = mx_exp_part_f32(c, MX_K(12583038.0f), MX_K(2.0f), &u); /* 126 more: e^89 has n = 128 */
	return p * mx_from_bits_f32(u << 23);
}

/* @def mx_exp2_part_f32 */
static inline float mx_exp2_part_f32(float r) /* 2^r, |r| <= 0.505 */
{
	float p = r * 0.00015329236f + 0.001339189f;
	p = p * r + 0.009618503f;
	p = p * r + 0.05550358f;
	p = p * r + 0.24022648f;
	p = p * r + 0.6931472f;
	return p * r + 1.0f;
}

/* @def mx_exp2_f32 */
static inline float mx_exp2_f32(float x)
{
	const float c = mx_pmin_f32(MX_K(129.0f), mx_pmax_f32(MX_K(-151.0f), x)), t = c + 12583166.0f;
	return mx_times_pow2_f32(mx_exp2_part_f32(c - (t - 12583166.0f)), mx_bits_f32(t));
}

/* @def mx_expm1_f32 */
/* e^x - 1 = 2^n (e^r - 1) + (2^n - 1), here as twice 2^(n-1) q + (2^(n-1) - 1/2): n may be 128. */
static inline float mx_expm1_f32(float x)
{
	const float c = mx_pmin_f32(MX_K(89.0f), mx_pmax_f32(MX_K(-25.0f), x));
	const float t = c * 1.44269502f + 12583038.0f, k = t - 12583038.0f; /* 126 more */
	float r = c - k * 0.693145752f;
	r = r - k * 1.42860677e-6f;
	float p = r * 0.00019766994f + 0.0013933228f;
	p = p * r + 0.008333541f;
	p = p * r + 0.041666485f;
	p = p * r + 0.16666666f;
	p = p * r + 0.5f;
	const float q = r + r * (r * p), s = mx_from_bits_f32(mx_bits_f32(t) << 23), y = s * q + (s - 0.5f);
	return copysignf(MX_SEL(fabsf(x) < 0.34f, q, y + y), x);
}

/* @def mx_sigmoid_f32 */
/* e^x / (1 + e^x) = p / (2^-n + p), both halves times 2^-24, so that n may be -150: the division makes subnormal results. */
static inline float mx_sigmoid_f32(float x)
{
	uint32_t u;
	const float c = mx_pmin_f32(MX_K(60.0f), mx_pmax_f32(MX_K(-104.0f), x));
	const float p = mx_exp_part_f32(c, MX_K(12582912.0f), MX_K(5.96046448e-8f), &u);
	return p / (mx_from_bits_f32((103u - u) << 23) + p);
}

/* @def mx_tanh_f32 */
/* Odd polynomial below 0.625, else 1 - 2 / (e^2|x| + 1), which is 1 from 9.02 on. |x| = n log(2) / 2 + r: what rounding the constant loses
 * does not show behind the division. */
static inline float mx_tanh_f32(float x)
{
	const float z = x * x, a = fabsf(x), c = mx_pmin_f32(MX_K(9.1f), a), t = c * 2.88539004f + 12583039.0f, k = t - 12583039.0f;
	const float r = c - k * 0.34657359f;
	float e = r * 0.088729312f + 0.26778147f;
	e = e * r + 0.66667604f;
	e = e * r + 1.3333223f;
	e = e * r + 2.0f;
	e = e * r + 2.0f;
	e = e * r + 1.0f;
	const float big = 1.0f - 2.0f / (e * mx_from_bits_f32(mx_bits_f32(t) << 23) + 1.0f); /* n + 127 */
	float p = z * -0.0056948606f + 0.02063007f;
	p = p * z - 0.05373695f;
	p = p * z + 0.13331409f;
	p = p * z - 0.3333328f;
	return copysignf(MX_SEL(a < 0.625f, p * z * x + x, big), x); /* of -0 too, which p * z * x + x makes +0 */
}

/* @def mx_sinh_f32 */
static inline float mx_sinh_f32(float x) /* with h = e^|x| / 2, which overflows where the result does: h - 1 / 4h */
{
	uint32_t n;
	const float a = fabsf(x), z = x * x;
	float p = z * 2.7846927e-06f + 0.00019842575f;
	p = p * z + 0.008333311f;
	p = p * z + 0.16666667f;
	const float m = mx_exp_part_f32(mx_pmin_f32(MX_K(91.0f), a), MX_K(12583166.0f), MX_K(0.5f), &n), h = mx_times_pow2_f32(m, n);
	return MX_SEL(a < 1.0f, p * z * x + x, copysignf(h - 0.25f / h, x));
}

/* @def mx_cosh_f32 */
static inline float mx_cosh_f32(float x)
{
	uint32_t n;
	const float m = mx_exp_part_f32(mx_pmin_f32(MX_K(91.0f), fabsf(x)), MX_K(12583166.0f), MX_K(0.5f), &n), h = mx_times_pow2_f32(m, n);
	return h + 0.25f / h;
}

/* ---- logarithms: x = 2^k (1 + f), 1/sqrt(2) <= 1 + f < sqrt(2) ---- */

/* @def mx_log_part_f32 */
static inline float mx_log_part_f32(float x, float *k) /* f; x > 0 and finite, subnormals too */
{
	const float small = MX_SEL(x < 1.17549435e-38f, MX_K(23.0f), MX_K(0.0f));
	const uint32_t u = mx_bits_f32(MX_SEL(x < 1.17549435e-38f, x * 8388608.0f, x)) + 0x004afb0du; /* 1 - 1/sqrt(2) */
	*k = mx_f32_from_i32((int32_t)(u >> 23)) - (127.0f + small);
	return mx_from_bits_f32((u & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
}

/* @def mx_log_cubic_f32 */
static inline float mx_log_cubic_f32(float f) /* log(1 + f) - f + f^2/2 */
{
	float p = f * 0.06749539f - 0.11670183f;
	p = p * f + 0.11883471f;
	p = p * f - 0.12406208f;
	p = p * f + 0.14220363f;
	p = p * f - 0.1666799f;
	p = p * f + 0.20002072f;
	p = p * f - 0.2500001f;
	p = p * f + 0.33333313f;
	return p * f * (f * f);
}

/* @def mx_log_ends_f32 */
static inline float mx_log_ends_f32(float x, float y) /* y, the logarithm of x; of +inf, nan, negative numbers, zeros what is due */
{
	y = MX_SEL(x < INFINITY, y, x + x);
	y = MX_SEL(x < 0.0f, MX_K(NAN), y);
	return MX_SEL(x == 0.0f, MX_K(-INFINITY), y);
}

/* @def mx_log_f32 */
static inline float mx_log_f32(float x)
{
	float k;
	const float f = mx_log_part_f32(x, &k);
	const float y = f * f * -0.5f + (mx_log_cubic_f32(f) + k * -2.12194440e-4f);
	return mx_log_ends_f32(x, k * 0.693359375f + (f + y));
}

/* @def mx_log2_f32 */
static inline float mx_log2_f32(float x) /* log2(e) in 12 bits and a rest */
{
	float k;
	const float f = mx_log_part_f32(x, &k), s = f * f * -0.5f + mx_log_cubic_f32(f);
	const float h = mx_high_f32(f);
	return mx_log_ends_f32(x, k + (h * 1.44238281f + (s * 1.44269502f + (f * 0.000312228396f + (f - h) * 1.44238281f))));
}

/* @def mx_log10_f32 */
static inline float mx_log10_f32(float x)
{
	float k;
	const float f = mx_log_part_f32(x, &k), s = f * f * -0.5f + mx_log_cubic_f32(f);
	const float h = mx_high_f32(f);
	const float y = k * 4.60503907e-6f + (s * 0.434294492f + (f * 9.03803375e-05f + (f - h) * 0.434204102f));
	return mx_log_ends_f32(x, k * 0.301025391f + (h * 0.434204102f + y));
}

/* @def mx_log1p_f32 */
/* u = 1 + x rounded, c what the rounding lost: f of u is exact, and c scaled by 2^-k joins it. */
static inline float mx_log1p_f32(float x)
{
	const float u = 1.0f + x, c = MX_SEL(x < 1.0f, x - (u - 1.0f), 1.0f - (u - x));
	const uint32_t v = mx_bits_f32(u) + 0x004afb0du, e = v >> 23;
	const float k = mx_f32_from_i32((int32_t)e) - 127.0f;
	const float f = (mx_from_bits_f32((v & 0x007fffffu) + 0x3f3504f3u) - 1.0f) + c * mx_from_bits_f32((254u - e + ((e + 1u) >> 8)) << 23);
	const float y = f * f * -0.5f + (mx_log_cubic_f32(f) + k * -2.12194440e-4f);
	return copysignf(mx_log_ends_f32(u, k * 0.693359375f + (f + y)), x);
}

/* @def mx_logaddexp_f32 */
static inline float mx_logaddexp_f32(float a, float b)
{
	const float m = MX_SEL(a > b, a, b), y = m + mx_log1p_f32(mx_exp_neg_f32(-fabsf(a - b)));
	return MX_SEL(a == b, a + 0.693147181f, y); /* infinities too */
}

/* @def mx_asinh_f32 */
/* log(|x| + sqrt(x^2 + 1)) by log1p; from 1024 on log(2|x|), so that the square can't overflow. */
static inline float mx_asinh_f32(float x)
{
	const float a = fabsf(x), b = mx_pmin_f32(MX_K(1024.0f), a), z = b * b;
	const float y = mx_log1p_f32(MX_SEL(a < 1024.0f, b + z / (1.0f + sqrtf(z + 1.0f)), a - 1.0f));
	return copysignf(MX_SEL(a < 1024.0f, y, y + 0.693147181f), x);
}

/* @def mx_acosh_f32 */
static inline float mx_acosh_f32(float x) /* likewise, with t = x - 1: log1p(t + sqrt(t (t + 2))) */
{
	const float t = x - 1.0f, s = mx_pmin_f32(MX_K(4096.0f), t);
	const float y = mx_log1p_f32(MX_SEL(t < 4096.0f, s + sqrtf(s * (s + 2.0f)), t));
	return MX_SEL(x >= 1.0f, MX_SEL(t < 4096.0f, y, y + 0.693147181f), MX_K(NAN));
}

/* @def mx_atanh_f32 */
static inline float mx_atanh_f32(float x) /* odd polynomial below 1/2, else log1p(2a / (1 - a)) / 2 */
{
	const float a = fabsf(x), z = x * x;
	float p = z * 0.17746308f + 0.05081563f;
	p = p * z + 0.118379705f;
	p = p * z + 0.14221056f;
	p = p * z + 0.20002608f;
	p = p * z + 0.333333f;
	const float y = 0.5f * mx_log1p_f32((a + a) / (1.0f - a));
	return MX_SEL(a < 0.5f, p * z * x + x, copysignf(y, x));
}

/* ---- powers and roots ---- */

/* @def mx_pow_f32 */
/* |a|^b = 2^(b log2 |a|), with the logarithm to 2^-35 and the power to little more than half an ULP, so that powers that are floats come
 * out exactly. |a| = 2^k m; g = m, 3/4 m or 5/4 m is near 1; log2 g = 2/log(2) atanh(s), s = (g - 1) / (g + 1). Numbers that matter have a
 * high part of 12 bits, whose products are exact, and a low part (T. Dekker, "A floating-point technique for extending the available
 * precision", 1971). */
static inline float mx_pow_f32(float a, float b)
{
	const float x = fabsf(a);
	float k;
	const float m = mx_log_part_f32(x, &k) + 1.0f, mh = mx_high_f32(m), ml = m - mh;
	const float by = MX_SEL(m < 0.88f, MX_K(1.25f), MX_SEL(m > 1.15f, MX_K(0.75f), MX_K(1.0f)));
	const float base = k + MX_SEL(m < 0.88f, MX_K(-0.3218994f), MX_SEL(m > 1.15f, MX_K(0.414917f), MX_K(0.0f)));
	const float more = MX_SEL(m < 0.88f, MX_K(-2.8680824e-05f), MX_SEL(m > 1.15f, MX_K(0.000120507095f), MX_K(0.0f)));
	const float gh = mh * by, gl = ml * by, f = (gh - 1.0f) + gl, fl = ((gh - 1.0f) - f) + gl;
	const float d = (gh + 1.0f) + gl, dh = mx_high_f32(d), dl = ((gh + 1.0f) - dh) + gl, sh = mx_high_f32(f / d);
	const float sl = (((f - sh * dh) + fl) - sh * dl) / d, s = sh + sl, z = s * s;
	float p = z * 0.4154504f + 0.5770685f;
	p = p * z + 0.9617967f;
	const float t = sh * 2.8847656f, hi = base + t;
	const float rest = (t - (hi - base)) + (more + (sl * 2.8847656f + (s * 0.0006244568f + p * z * s)));
	/* times b; what is out of range stays out of range */
	const float lh = mx_high_f32(hi + rest), ll = (hi - lh) + rest;
	const float c = mx_pmin_f32(MX_K(8589934592.0f), mx_pmax_f32(MX_K(-8589934592.0f), b)), ch = mx_high_f32(c), cl = c - ch;
	const float yh = mx_pmin_f32(MX_K(300.0f), mx_pmax_f32(MX_K(-300.0f), ch * lh));
	const float yl = mx_pmin_f32(MX_K(0.2f), mx_pmax_f32(MX_K(-0.2f), ch * ll + cl * (lh + ll)));
	const float w = mx_pmin_f32(MX_K(130.0f), mx_pmax_f32(MX_K(-152.0f), yh + yl)), n = (w + 12582912.0f) - 12582912.0f;
	/* 2^r, r in two parts */
	const float e = mx_pmin_f32(MX_K(0.7f), mx_pmax_f32(MX_K(-0.7f), yh - n));
	const float r = mx_pmin_f32(MX_K(0.51f), mx_pmax_f32(MX_K(-0.51f), e + yl)), rh = mx_high_f32(r), rl = (e - rh) + yl;
	float q = r * 1.4450883e-05f + 0.00015453283f;
	q = q * r + 0.0013337508f;
	q = q * r + 0.009618085f;
	q = q * r + 0.055504054f;
	q = q * r + 0.2402265f;
	const float u = rh * 0.69311523f, v = 1.0f + u;
	float y = v + ((u - (v - 1.0f)) + (rh * 3.194809e-05f + (rl * 0.6931472f + q * (r * r))));
	y = mx_times_pow2_f32(y, mx_bits_f32(w + 12582912.0f) + 254u);
	/* which b are whole and odd shows in |b| + 2^23 and |b| / 2 + 2^23; from 2^24 on all are even */
	const float o = fabsf(b), half = o * 0.5f;
	const int32_t whole = (o >= 8388608.0f) | ((o + 8388608.0f) - 8388608.0f == o);
	const int32_t even = (o >= 16777216.0f) | ((half + 8388608.0f) - 8388608.0f == half);
	y = MX_SEL(x == INFINITY, MX_SEL(b < 0.0f, MX_K(0.0f), MX_K(INFINITY)), y);
	y = MX_SEL(x == 0.0f, MX_SEL(b < 0.0f, MX_K(INFINITY), MX_K(0.0f)), y);
	y = MX_SEL((a != a) | (b != b), a + b, y);
	y = MX_SEL(((int32_t)mx_bits_f32(a) < 0) & whole & MX_NOT(even), -y, y);
	y = MX_SEL((a < 0.0f) & (x < INFINITY) & MX_NOT(whole), MX_K(NAN), y);
	return MX_SEL((b == 0.0f) | (a == 1.0f), MX_K(1.0f), y);
}

/* @def mx_cbrt_f32 */
/* A third of the exponent by arithmetic on the bits (W. Kahan's trick, as in BSD's cbrtf), one step of Halley, cut to 8 bits: t^3 is then
 * exact, and cbrt(x) = t (1 + w)^(1/3), w = (x - t^3) / t^3. */
static inline float mx_cbrt_f32(float x)
{
	const float a = fabsf(x), y = MX_SEL(a < 1e-30f, a * 16777216.0f, a);
	const int32_t third = mx_trunc_i32(mx_f32_from_i32((int32_t)mx_bits_f32(y)) * 0.333333343f);
	float t = mx_from_bits_f32((uint32_t)third + 709958130u);
	const float q = t * 0.25f * t * t;
	t = t * ((q + y * 0.5f) / ((q + q) + y * 0.25f)); /* quarters: nothing overflows */
	t = mx_from_bits_f32(mx_bits_f32(t) & 0xffff0000u);
	const float c = t * t * t, w = (y - c) / c;
	float r = w * -0.041152263f + 0.0617283951f;
	r = r * w - 0.111111111f;
	r = r * w + 0.333333333f;
	r = t + t * (w * r);
	r = copysignf(MX_SEL(a < 1e-30f, r * 0.00390625f, r), x);
	return MX_SEL((x == 0.0f) | (a == INFINITY), x, r);
}

/* ---- trigonometry ---- */

/* @def mx_far_angle_f32 */
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

/* @def mx_angle_f32 */
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
	if (MX_ANY(MX_NOT(a <= 51471.0f))) r = mx_far_angle_f32(a, r, n);
	return r;
}

/* @def mx_sin_part_f32 */
static inline float mx_sin_part_f32(float r) /* |r| <= pi/4 */
{
	const float z = r * r;
	float p = z * 2.831718e-06f - 0.00019853025f;
	p = p * z + 0.008333379f;
	p = p * z - 0.16666667f;
	return p * z * r + r;
}

/* @def mx_cos_part_f32 */
static inline float mx_cos_part_f32(float r)
{
	const float z = r * r;
	float p = z * 2.4431425e-05f - 0.0013887305f;
	p = p * z + 0.041666646f;
	return p * (z * z) + (1.0f - 0.5f * z);
}

/* @def mx_sin_f32 */
static inline float mx_sin_f32(float x)
{
	uint32_t n;
	const float r = mx_angle_f32(fabsf(x), &n), y = MX_SEL((n & 1u) != 0u, mx_cos_part_f32(r), mx_sin_part_f32(r));
	return mx_from_bits_f32(mx_bits_f32(y) ^ ((n & 2u) << 30) ^ (mx_bits_f32(x) & 0x80000000u));
}

/* @def mx_cos_f32 */
static inline float mx_cos_f32(float x)
{
	uint32_t n;
	const float r = mx_angle_f32(fabsf(x), &n), y = MX_SEL((n & 1u) != 0u, mx_sin_part_f32(r), mx_cos_part_f32(r));
	return mx_from_bits_f32(mx_bits_f32(y) ^ (((n + 1u) & 2u) << 30));
}

/* @def mx_tan_f32 */
static inline float mx_tan_f32(float x)
{
	uint32_t n;
	const float r = mx_angle_f32(fabsf(x), &n), z = r * r;
	float p = z * 0.0044649667f - 8.7866814e-05f;
	p = p * z + 0.010973721f;
	p = p * z + 0.02122983f;
	p = p * z + 0.05406988f;
	p = p * z + 0.13332577f;
	p = p * z + 0.33333352f;
	const float t = p * z * r + r, y = MX_SEL((n & 1u) != 0u, -1.0f / t, t);
	return mx_from_bits_f32(mx_bits_f32(y) ^ (mx_bits_f32(x) & 0x80000000u));
}

/* @def mx_asin_part_f32 */
static inline float mx_asin_part_f32(float s) /* asin(s), |s| <= 0.5625 */
{
	const float z = s * s;
	float p = z * 0.047497276f + 0.0067318548f;
	p = p * z + 0.03401382f;
	p = p * z + 0.044231832f;
	p = p * z + 0.07502099f;
	p = p * z + 0.16666631f;
	return p * z * s + s;
}

/* @def mx_asin_f32 */
static inline float mx_asin_f32(float x) /* above 0.5625: pi/2 - 2 asin(sqrt((1 - x) / 2)) */
{
	const float a = fabsf(x), r = mx_asin_part_f32(MX_SEL(a > 0.5625f, sqrtf(0.5f * (1.0f - a)), a));
	return copysignf(MX_SEL(a > 0.5625f, 1.57079637f - ((r + r) + 4.37113883e-8f), r), x);
}

/* @def mx_acos_f32 */
static inline float mx_acos_f32(float x)
{
	const float a = fabsf(x), r = mx_asin_part_f32(MX_SEL(a > 0.5625f, sqrtf(0.5f * (1.0f - a)), x));
	const float far = MX_SEL(x < 0.0f, 3.14159274f - ((r + r) + 8.74227766e-8f), r + r);
	return MX_SEL(a > 0.5625f, far, 1.57079637f - (r + 4.37113883e-8f));
}

/* @def mx_atan_part_f32 */
static inline float mx_atan_part_f32(float t) /* 0 <= t <= 1 */
{
	const float z = t * t;
	float p = z * -0.0017875476f + 0.010887361f;
	p = p * z - 0.031127002f;
	p = p * z + 0.057906546f;
	p = p * z - 0.08400475f;
	p = p * z + 0.10951175f;
	p = p * z - 0.14264052f;
	p = p * z + 0.19998531f;
	p = p * z - 0.333333f;
	return p * z * t + t;
}

/* @def mx_atan_f32 */
static inline float mx_atan_f32(float x)
{
	const float a = fabsf(x), r = mx_atan_part_f32(MX_SEL(a > 1.0f, 1.0f / a, a));
	return copysignf(MX_SEL(a > 1.0f, 1.57079637f - (r + 4.37113883e-8f), r), x);
}

/* @def mx_atan2_f32 */
static inline float mx_atan2_f32(float y, float x)
{
	const float b = fabsf(y), a = fabsf(x), high = mx_pmax_f32(a, b), low = mx_pmin_f32(a, b);
	const float t = MX_SEL(high == 0.0f, MX_K(0.0f), MX_SEL(low == INFINITY, MX_K(1.0f), low / high));
	float r = mx_atan_part_f32(t);
	r = MX_SEL(b > a, 1.57079637f - (r + 4.37113883e-8f), r);
	r = MX_SEL((int32_t)mx_bits_f32(x) < 0, 3.14159274f - (r + 8.74227766e-8f), r);
	return MX_SEL((x != x) | (y != y), x + y, copysignf(r, y));
}

/* ---- error function ---- */

/* @def mx_erf_f32 */
/* N. Juffa's minimax polynomials (posted 2016): odd polynomial below 0.92, else 1 - e^(polynomial). */
static inline float mx_erf_f32(float x)
{
	const float a = fabsf(x), z = x * x;
	float p = a * -1.72853470e-5f + 3.83197126e-4f;
	p = p * z + (a * -3.88396438e-3f + 2.42546219e-2f);
	p = p * a - 1.06777877e-1f;
	p = p * a - 6.34846687e-1f;
	p = p * a - 1.28717512e-1f;
	p = p * a - a;
	uint32_t u;
	const float e = mx_exp_part_f32(mx_pmax_f32(MX_K(-80.0f), p), MX_K(12583038.0f), MX_K(2.0f), &u); /* 126 more */
	const float big = copysignf(1.0f - e * mx_from_bits_f32(u << 23), x);
	float q = z * -5.96761703e-4f + 4.99119423e-3f;
	q = q * z - 2.67681349e-2f;
	q = q * z + 1.12819925e-1f;
	q = q * z - 3.76125336e-1f;
	q = q * z + 1.28379166e-1f;
	return MX_SEL(a > 0.921875f, big, q * x + x);
}

/* @def mx_normal_cdf_f32 */
/* The tail below -|x| as 2^y, y a polynomial whose error grows as the tail shrinks: the absolute error stays below that of rounding a
 * number near 1. Beyond 5.5 the tail falls to 0 ahead of time. */
static inline float mx_normal_cdf_f32(float x)
{
	const float a = fabsf(x);
	float y = a * -2.8423834e-06f + 3.946584e-05f;
	y = y * a - 0.00018659586f;
	y = y * a - 0.00013593203f;
	y = y * a + 0.0070620952f;
	y = y * a - 0.052495241f;
	y = y * a - 0.45920852f;
	y = y * a - 1.1511052f;
	y = mx_pmax_f32(MX_K(-127.0f), y * a - 1.0f); /* 2^-127 becomes 0 */
	const float t = y + 12583039.0f;              /* 127 more */
	const float e = mx_exp2_part_f32(y - (t - 12583039.0f)) * mx_from_bits_f32(mx_bits_f32(t) << 23);
	return MX_SEL(x < 0.0f, e, 1.0f - e);
}

/* @def mx_erfinv_f32 */
/* M. Giles, "Approximating the erfinv function" (2010): x times a polynomial in w = -log(1 - x^2), for large w in sqrt(w). */
static inline float mx_erfinv_f32(float x)
{
	const float a = fabsf(x), w = -mx_log_f32((1.0f - a) * (1.0f + a)), t = w - 1.0f, s = sqrtf(w) - 3.0f;
	float p = t * -8.238098e-09f + 1.3547289e-07f;
	p = p * t - 4.999069e-07f;
	p = p * t - 4.425572e-06f;
	p = p * t + 3.8173283e-05f;
	p = p * t + 0.00010038138f;
	p = p * t - 0.0023764125f;
	p = p * t + 0.0042505627f;
	p = p * t + 0.24783288f;
	p = p * t + 1.1273744f;
	float q = s * 0.00013067057f - 0.00031647176f;
	q = q * s - 8.259651e-05f;
	q = q * s + 0.0014928108f;
	q = q * s - 0.0035815723f;
	q = q * s + 0.00568472f;
	q = q * s - 0.007641144f;
	q = q * s + 0.009445346f;
	q = q * s + 1.0016752f;
	q = q * s + 2.8329768f;
	const float y = MX_SEL(w < 5.0f, p, q) * x;
	return MX_SEL(a == 1.0f, x * INFINITY, y);
}

/* ---- variants for --fast-math ---- */

/* @def mx_tanh_fast_f32 */
/* The odd rational of Eigen's ptanh, scaled so that the denominator begins with 1: nothing is subnormal in between. */
static inline float mx_tanh_fast_f32(float x)
{
	const float c = mx_pmin_f32(MX_K(7.90531111f), mx_pmax_f32(MX_K(-7.90531111f), x)), z = c * c;
	float p = z * -5.641676e-14f + 4.0874172e-11f;
	p = p * z - 1.7583789e-08f;
	p = p * z + 1.0467499e-05f;
	p = p * z + 0.0030360983f;
	p = p * z + 0.13022554f;
	p = p * z + 0.9999999f;
	float q = z * 0.0002448661f + 0.024222763f;
	q = q * z + 0.46355838f;
	q = q * z + 1.0f;
	return c * p / q;
}

/* @def mx_erf_fast_f32 */
static inline float mx_erf_fast_f32(float x) /* of Eigen's perf */
{
	const float c = mx_pmin_f32(MX_K(3.8325069f), mx_pmax_f32(MX_K(-3.8325069f), x)), z = c * c;
	float p = z * 0.00022905065f + 0.003408291f;
	p = p * z + 0.050955694f;
	p = p * z + 0.18520832f;
	p = p * z + 1.1283791f;
	float q = z * -1.1791603e-07f + 2.3547966e-05f;
	q = q * z + 0.0010179626f;
	q = q * z + 0.01407047f;
	q = q * z + 0.11098505f;
	q = q * z + 0.49746925f;
	q = q * z + 1.0f;
	return c * p / q;
}

/* ---- remainder ---- */

/* @def mx_fmod_f32 */
/* a - b trunc(a / b), exact: long division in binary, as long as the exponents differ. */
static inline float mx_fmod_f32(float a, float b)
{
	uint32_t x = 0, y = 0, sign;
	int ex, ey;
	memcpy(&x, &a, sizeof x);
	memcpy(&y, &b, sizeof y);
	sign = x & 0x80000000u;
	x &= 0x7fffffff;
	y &= 0x7fffffff;
	if (x >= 0x7f800000 || y > 0x7f800000 || y == 0) return NAN;
	if (x < y) return a;
	ex = (int)(x >> 23);
	ey = (int)(y >> 23);
	x = ex ? (x & 0x7fffff) | 0x800000 : x << 1; /* subnormals: the same unit as exponent 0 */
	y = ey ? (y & 0x7fffff) | 0x800000 : y << 1;
	for (; !(y & 0x800000); ey--) y <<= 1;
	for (; !(x & 0x800000); ex--) x <<= 1;
	for (; ex > ey; ex--) {
		if (x >= y) x -= y;
		x <<= 1;
	}
	if (x >= y) x -= y;
	if (x == 0) return a * 0.0f;
	for (; !(x & 0x800000); ex--) x <<= 1;
	x = ex > 0 ? (x & 0x7fffff) | (uint32_t)ex << 23 : x >> (1 - ex);
	x |= sign;
	memcpy(&a, &x, sizeof a);
	return a;
}

/* @def mx_rem_f32 */
static inline float mx_rem_f32(float a, float b) /* sign of the divisor */
{
	const float r = mx_fmod_f32(a, b);
	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* ---- lane by lane ---- */
#ifdef MX_VECTOR_H

/* @def mx_far_angle_vf */
MX_INLINE mx_vf mx_far_angle_vf(mx_vf a, mx_vf r, mx_vu *quadrant)
{
	float x[MX_W], y[MX_W];
	uint32_t n[MX_W];
	mx_st_f32(x, a);
	mx_st_f32(y, r);
	mx_st_u32(n, *quadrant);
	for (int i = 0; i < MX_W; i++) y[i] = mx_far_angle_f32(x[i], y[i], &n[i]);
	*quadrant = mx_ld_u32(n);
	return mx_ld_f32(y);
}

/* @def mx_fmod_vf */
MX_INLINE mx_vf mx_fmod_vf(mx_vf a, mx_vf b)
{
	float x[MX_W], y[MX_W];
	mx_st_f32(x, a);
	mx_st_f32(y, b);
	for (int i = 0; i < MX_W; i++) x[i] = mx_fmod_f32(x[i], y[i]);
	return mx_ld_f32(x);
}

/* @def mx_rem_vf */
MX_INLINE mx_vf mx_rem_vf(mx_vf a, mx_vf b)
{
	float x[MX_W], y[MX_W];
	mx_st_f32(x, a);
	mx_st_f32(y, b);
	for (int i = 0; i < MX_W; i++) x[i] = mx_rem_f32(x[i], y[i]);
	return mx_ld_f32(x);
}

/* @end */
#endif
#undef MX_K
#undef MX_SEL
#undef MX_ANY
#undef MX_NOT
#endif
