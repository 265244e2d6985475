/* Products with rows packed in 4 bits, in MLX's layout as it lies: y[r][n] = sum over k of x[r][k] (scale[n][k / group] q[n][k] + bias[n][k
 * / group]).
 *
 * A u32 word holds 8 neighbours, so a vector of words has every eighth element in one bit position of its lanes. x is put in that order
 * once. With VNNI, x is rounded to 24 bits for each group, in three planes of int8, and all sums in a vector are exact integers (the error
 * is that of f32; a group of x with inf or nan gives nan, by the biases); elsewhere a nibble is masked where it stands and converted, and
 * its power of 16 is in x. The biases meet the sums of x of each group.
 *
 * Copied definition by definition into emitted C. */
#ifndef MX_QUANTIZED_H
#define MX_QUANTIZED_H
#include "fold.h"

/* @def mx_q4_vnni needs MX_INTRINSICS */
#if defined __AVX512VNNI__ && MX_W == 16
#define mx_q4_vnni 1
#else
#define mx_q4_vnni 0
#endif

/* @def mx_q4_room */
/* Floats that mx_q4_prepare needs for k elements. */
MX_INLINE ptrdiff_t mx_q4_room(ptrdiff_t k, ptrdiff_t group)
{
	return (k + 127) / 128 * 128 + 2 * (k / group);
}

/* @def mx_q4_prepare */
/* The sum of x in each group, with VNNI the step of its integers, and x in the order of the lanes. */
static void mx_q4_prepare(const float *x, ptrdiff_t k, ptrdiff_t group, float *room)
{
	const ptrdiff_t groups = k / group, words = (k + 8 * MX_W - 1) / (8 * MX_W) * MX_W;
	float *const sum = room, *const step = room + groups, *const to = step + groups;
	for (ptrdiff_t g = 0; g < groups; g++) {
		float s = 0.0f, top = 0.0f;
		for (ptrdiff_t j = g * group; j < (g + 1) * group; j++) {
			const float a = fabsf(x[j]);
			s += x[j];
			top = top >= a ? top : a;
		}
		sum[g] = s;
		step[g] = top / 8355584.0f; /* below 2^23 - 2^15 - 2^7: no plane leaves int8 */
	}
#if mx_q4_vnni
	int8_t *const plane = (int8_t *)(void *)to;
	for (ptrdiff_t w = 0; w < words; w++)
		for (int i = 0; i < 8; i++) {
			const ptrdiff_t j = 8 * w + i;
			const float s = j < k ? step[j / group] : 0.0f, r = s > 0.0f && fabsf(x[j]) <= s * 8388608.0f ? rintf(x[j] / s) : 0.0f;
			const int32_t q = (int32_t)r, low = ((q + 128) & 255) - 128, rest = (q - low) / 256, mid = ((rest + 128) & 255) - 128;
			int8_t *const at = plane + w / MX_W * 384 + (i & 1) * 64 + w % MX_W * 4 + i / 2;
			at[0] = (int8_t)((rest - mid) / 256);
			at[128] = (int8_t)mid;
			at[256] = (int8_t)low;
		}
#else
	for (ptrdiff_t w = 0; w < words; w++) {
		float by = 1.0f;
		for (int i = 0; i < 8; i++, by *= 0.0625f) {
			const ptrdiff_t j = 8 * w + i;
			to[w / MX_W * (8 * MX_W) + i * MX_W + w % MX_W] = j < k ? x[j] * by : 0.0f;
		}
	}
#endif
}

/* @def mx_q4_lanes */
/* s[word * 8 / group] for MX_W words from `word` on; a factor of the same place in t. group is a constant where this is inlined. */
MX_INLINE mx_vf mx_q4_lanes(const float *s, const float *t, ptrdiff_t word, ptrdiff_t group, ptrdiff_t groups)
{
	const ptrdiff_t each = group / 8, g = word / each;
	mx_vf r = mx_bc_f32(t ? s[g] * t[g] : s[g]);
	for (ptrdiff_t i = 1; i * each < MX_W; i++) {
		const ptrdiff_t next = g + i < groups ? g + i : groups - 1;
		r = mx_sel(mx_iota() >= (int)(i * each), mx_bc_f32(t ? s[next] * t[next] : s[next]), r);
	}
	return r;
}

/* @def mx_q4_dot */
/* One row of packed words with x as mx_q4_prepare left it. */
MX_INLINE float mx_q4_dot(const uint32_t *w, const float *scale, const float *bias, const float *room, ptrdiff_t k, ptrdiff_t group)
{
	const ptrdiff_t groups = k / group, words = k / 8;
	const float *const sum = room, *const step = room + groups, *const x = step + groups;
	mx_vf total = mx_bc_f32(0.0f);
	for (ptrdiff_t i = 0; i < words; i += MX_W) {
		const mx_vu v = i + MX_W <= words ? mx_ld_u32(w + i) : mx_ldn_u32(w + i, words - i, 0);
		MX_PREFETCH(w + i + 1024);
#if mx_q4_vnni
		const int8_t *const p = (const int8_t *)(const void *)x + i / MX_W * 384;
		const __m512i even = (__m512i)(v & 0x0f0f0f0fu), odd = (__m512i)((v >> 4) & 0x0f0f0f0fu), zero = _mm512_setzero_si512();
		const mx_vi high =
		    (mx_vi)_mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, even, _mm512_loadu_si512(p)), odd, _mm512_loadu_si512(p + 64));
		const mx_vi mid =
		    (mx_vi)_mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, even, _mm512_loadu_si512(p + 128)), odd, _mm512_loadu_si512(p + 192));
		const mx_vi low =
		    (mx_vi)_mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, even, _mm512_loadu_si512(p + 256)), odd, _mm512_loadu_si512(p + 320));
		total += mx_vf_from_vi(((high * 256) + mid) * 256 + low) * mx_q4_lanes(scale, step, i, group, groups);
#else
		const float *const a = x + 8 * i;
		mx_vf even = mx_vf_from_vi((mx_vi)(v & 15u)) * mx_ld_f32(a), odd = mx_vf_from_vi((mx_vi)(v & 0xf0u)) * mx_ld_f32(a + MX_W);
		even += mx_vf_from_vi((mx_vi)(v & 0xf00u)) * mx_ld_f32(a + 2 * MX_W);
		odd += mx_vf_from_vi((mx_vi)(v & 0xf000u)) * mx_ld_f32(a + 3 * MX_W);
		even += mx_vf_from_vi((mx_vi)(v & 0xf0000u)) * mx_ld_f32(a + 4 * MX_W);
		odd += mx_vf_from_vi((mx_vi)(v & 0xf00000u)) * mx_ld_f32(a + 5 * MX_W);
		even += mx_vf_from_vi((mx_vi)(v & 0xf000000u)) * mx_ld_f32(a + 6 * MX_W);
		odd += mx_vf_from_vi((mx_vi)(v >> 28)) * (mx_ld_f32(a + 7 * MX_W) * 268435456.0f);
		total += (even + odd) * mx_q4_lanes(scale, NULL, i, group, groups);
#endif
	}
	mx_vf rest = mx_bc_f32(0.0f);
	ptrdiff_t g = 0;
	for (; g + MX_W <= groups; g += MX_W) rest += mx_ld_f32(bias + g) * mx_ld_f32(sum + g);
	if (g < groups) rest += mx_ldn_f32(bias + g, groups - g, 0.0f) * mx_ldn_f32(sum + g, groups - g, 0.0f);
	return mx_hadd_vf(total + rest);
}

/* @def mx_q4_product */
/* y[r][first .. end of n) for `rows` rows of x. room: rows times mx_q4_room. */
MX_INLINE void mx_q4_product(const float *x, const uint32_t *w, const float *scale, const float *bias, float *y, float *room,
                             ptrdiff_t rows, ptrdiff_t n, ptrdiff_t k, ptrdiff_t group, ptrdiff_t first, ptrdiff_t end)
{
	const ptrdiff_t groups = k / group, each = mx_q4_room(k, group);
	for (ptrdiff_t r = 0; r < rows; r++) mx_q4_prepare(x + r * k, k, group, room + r * each);
	for (ptrdiff_t i = first; i < end; i++)
		for (ptrdiff_t r = 0; r < rows; r++)
			y[r * n + i] = mx_q4_dot(w + i * (k / 8), scale + i * groups, bias + i * groups, room + r * each, k, group);
}

/* @end */
#endif
