/* Products with rows packed in 1 to 8 bits, in MLX's layout as it lies: y[r][n] = sum over k of x[r][k] (scale[n][k / group] q[n][k] +
 * bias[n][k / group]).
 *
 * Codes of 1, 2, 4 or 8 bits are read where they are: a vector of u32 words has 8 / bits fields in each byte, and x is put in the order of
 * these fields once. Codes of 3, 5 and 6 bits are first spread to bytes, four rows at a time, in a buffer that stays in the cache.
 *
 * Where the processor multiplies bytes and adds the products in i32 (mx_dot4), x is rounded to 16 bits for each group, in two planes of
 * int8, and all sums of a group's codes are exact integers: y is the product with x rounded to steps of 2^-15 of the largest |x| of its
 * group (docs/numerics.md). Elsewhere, and with --fma=off, fields are masked where they stand and converted, their power of two being in x.
 * The biases meet the sum of each group. A group of x with inf or nan gives nan.
 *
 * Copied definition by definition into emitted C. */
#ifndef MX_QUANTIZED_H
#define MX_QUANTIZED_H
#include "fold.h"

/* @def mx_has_dot4 needs MX_INTRINSICS */
/* Products of bytes that are added four at a time: all but the last two need codes below 128. */
#if MX_W == 16 && (defined __AVX512VNNI__ || defined __AVX512BW__)
#define mx_has_dot4 1
#elif MX_W == 8 && defined __AVX2__
#define mx_has_dot4 1
#elif MX_W == 4 && (defined __ARM_FEATURE_DOTPROD || defined __SSSE3__)
#define mx_has_dot4 1
#else
#define mx_has_dot4 0
#endif

/* @def mx_dot4_full needs MX_INTRINSICS */
/* Whether mx_dot4 takes codes of 8 bits: its instruction neither saturates sums of two products nor reads codes as signed. */
#if (MX_W == 16 && defined __AVX512VNNI__) || (MX_W == 8 && (defined __AVXVNNI__ || (defined __AVX512VNNI__ && defined __AVX512VL__)))
#define mx_dot4_full 1
#else
#define mx_dot4_full 0
#endif

/* @def mx_dot4 */
/* acc[lane] + the sum of code byte times x byte over the lane's four: codes unsigned, x signed. */
MX_INLINE mx_vi mx_dot4(mx_vi acc, mx_vu code, mx_vu x)
{
#if MX_W == 16 && defined __AVX512VNNI__
	return (mx_vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)code, (__m512i)x);
#elif MX_W == 16 && defined __AVX512BW__
	return acc + (mx_vi)_mm512_madd_epi16(_mm512_maddubs_epi16((__m512i)code, (__m512i)x), _mm512_set1_epi16(1));
#elif MX_W == 8 && defined __AVX512VNNI__ && defined __AVX512VL__
	return (mx_vi)_mm256_dpbusd_epi32((__m256i)acc, (__m256i)code, (__m256i)x);
#elif MX_W == 8 && defined __AVXVNNI__
	return (mx_vi)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)code, (__m256i)x);
#elif MX_W == 8 && defined __AVX2__
	return acc + (mx_vi)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)code, (__m256i)x), _mm256_set1_epi16(1));
#elif MX_W == 4 && defined __SSSE3__
	return acc + (mx_vi)_mm_madd_epi16(_mm_maddubs_epi16((__m128i)code, (__m128i)x), _mm_set1_epi16(1));
#elif MX_W == 4 && defined __ARM_FEATURE_DOTPROD
	return (mx_vi)vdotq_s32((int32x4_t)acc, (int8x16_t)code, (int8x16_t)x);
#else
	uint32_t c[MX_W], v[MX_W];
	int32_t s[MX_W];
	mx_st_i32(s, acc);
	mx_st_u32(c, code);
	mx_st_u32(v, x);
	for (int i = 0; i < MX_W; i++)
		for (int b = 0; b < 32; b += 8) s[i] += (int32_t)(c[i] >> b & 255u) * (((int32_t)(v[i] >> b & 255u) ^ 128) - 128);
	return mx_ld_i32(s);
#endif
}

/* @def mx_spread_vf needs MX_INTRINSICS */
/* Lane l: element at[l] of v. */
MX_INLINE mx_vf mx_spread_vf(mx_vf v, mx_vu at)
{
#if MX_W == 16
	return (mx_vf)_mm512_permutexvar_ps((__m512i)at, (__m512)v);
#elif MX_W == 8 && defined __AVX2__
	return (mx_vf)_mm256_permutevar8x32_ps((__m256)v, (__m256i)at);
#elif MX_W == 1
	(void)at;
	return v;
#else
	/* by selection: with an array of lanes clang 14 gives wrong ones for wasm */
	mx_vf u = mx_bc_f32(v[0]);
	MX_UNROLL(8)
	for (int l = 1; l < MX_W; l++) u = mx_sel((mx_vi)(at == (uint32_t)l), mx_bc_f32(v[l]), u);
	return u;
#endif
}

/* @def MX_KEEP */
/* v is loaded once: gcc would make the load an operand of each instruction that uses it. */
#if defined __AVX512F__ && !defined __clang__
#define MX_KEEP(v) __asm__("" : "+v"(v))
#else
#define MX_KEEP(v) ((void)0)
#endif

/* @def MX_Q_ROWS */
/* Rows of w that are multiplied at a time, and rows of x that are prepared at a time. */
enum { MX_Q_ROWS = 4, MX_Q_X = 32 };

/* @def mx_q_ld */
/* MX_W elements of p from i on, or the n first of them and zeros: of f32, f16 or bf16 by `kind` 0, 1, 2. */
MX_INLINE mx_vf mx_q_ld(const void *p, ptrdiff_t i, int kind)
{
	return kind == 0   ? mx_ld_f32((const float *)p + i)
	       : kind == 1 ? mx_ld_f16((const uint16_t *)p + i)
	                   : mx_ld_bf16((const uint16_t *)p + i);
}

/* @def mx_q_ldn */
MX_INLINE mx_vf mx_q_ldn(const void *p, ptrdiff_t i, ptrdiff_t n, int kind)
{
	return kind == 0   ? mx_ldn_f32((const float *)p + i, n, 0.0f)
	       : kind == 1 ? mx_ldn_f16((const uint16_t *)p + i, n, 0.0f)
	                   : mx_ldn_bf16((const uint16_t *)p + i, n, 0.0f);
}

/* @def mx_q_padded */
/* Floats in front of the elements of a prepared row: sums and steps of its groups, in whole vectors. */
MX_INLINE ptrdiff_t mx_q_padded(ptrdiff_t groups)
{
	return (groups + 15) / 16 * 16;
}

/* @def mx_q_room */
/* Floats that a prepared row of k elements takes; passes/lower_quantized.c counts them too. */
MX_INLINE ptrdiff_t mx_q_room(ptrdiff_t k, ptrdiff_t group)
{
	return 2 * mx_q_padded(k / group) + (k / 512 + 1) * 512;
}

/* @def mx_q_words needs MX_INTRINSICS */
/* MX_W words of a row of `words`, from `at` on; `whole`: the row has them. Where codes do not divide words, `bits` words become 8 with a
 * code in each byte, and the words in question are those. */
MX_INLINE mx_vu mx_q_words(const uint32_t *w, ptrdiff_t at, ptrdiff_t words, int bits, bool whole)
{
	if (8 % bits == 0) return whole ? mx_ld_u32(w + at) : mx_ldn_u32(w + at, words - at, 0);
#if MX_W == 16 && defined __AVX512VBMI__
	{ /* of each 8 codes, which are `bits` bytes, 8 bytes; of these, the 8 bits from each code on */
		const ptrdiff_t here = whole ? 8 * bits : (words - at) * bits / 2;
		const __m512i v = _mm512_maskz_loadu_epi8(((__mmask64)1 << here) - 1, (const uint8_t *)(const void *)w + at * bits / 2);
		const int64_t step = bits * 0x0101010101010101, first = 0x0706050403020100, bit = bits * 0x0706050403020100;
		const __m512i from = _mm512_setr_epi64(first, first + step, first + 2 * step, first + 3 * step, first + 4 * step, first + 5 * step,
		                                       first + 6 * step, first + 7 * step);
		const __m512i byte = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(bit), _mm512_permutexvar_epi8(from, v));
		return (mx_vu)byte & ((((uint32_t)1 << bits) - 1) * 0x01010101u);
	}
#else
#if MX_W == 16 || (MX_W == 8 && defined __AVX2__)
	const mx_vu bit = (mx_vu)mx_iota() * (uint32_t)(4 * bits), from = bit >> 5, in = bit & 31u;
	const uint32_t *const p = w + at * bits / 8;
	const ptrdiff_t left = (words - at) * bits / 8;
	const mx_vu some = left >= MX_W ? mx_ld_u32(p) : mx_ldn_u32(p, left, 0);
#if MX_W == 16
	const mx_vu low = (mx_vu)_mm512_permutexvar_epi32((__m512i)from, (__m512i)some);
	const mx_vu high = (mx_vu)_mm512_permutexvar_epi32((__m512i)(from + 1u), (__m512i)some);
#else
	const mx_vu low = (mx_vu)_mm256_permutevar8x32_epi32((__m256i)some, (__m256i)from);
	const mx_vu high = (mx_vu)_mm256_permutevar8x32_epi32((__m256i)some, (__m256i)(from + 1u));
#endif
	mx_vu v = low >> in | high << 1 << (31u - in);
#else
	uint32_t four[MX_W];
	for (ptrdiff_t l = 0; l < MX_W; l++) {
		const ptrdiff_t bit = (at + l) * 4 * bits, i = bit / 32, in = bit % 32;
		if (at + l >= words) four[l] = 0;
		else four[l] = w[i] >> in | (in + 4 * bits > 32 ? w[i + 1] << (32 - in) : 0);
	}
	mx_vu v = mx_ld_u32(four);
#endif
	v = (v & (((uint32_t)1 << 2 * bits) - 1)) | (v << (16 - 2 * bits) & ((((uint32_t)1 << 2 * bits) - 1) << 16));
	return (v & ((((uint32_t)1 << bits) - 1) * 0x00010001u)) | (v << (8 - bits) & ((((uint32_t)1 << bits) - 1) * 0x01000100u));
#endif
}

/* @def mx_q_fields */
/* Bytes of n rounded elements, high | low << 8 ^ 128 in code[], to planes: every fields-th one to the same place of a vector. */
MX_INLINE void mx_q_fields(const uint16_t *code, ptrdiff_t at, ptrdiff_t n, int fields, uint8_t *plane)
{
	enum { VECTOR = 4 * MX_W };
	if (fields == 2 && MX_W == 16) {
		for (ptrdiff_t j = 0; j < n; j += 2 * MX_W, at += MX_W) {
			const mx_vu pair = mx_ld_u32((const uint32_t *)(const void *)(code + j));
			uint8_t *const to = plane + at / VECTOR * (4 * VECTOR) + at % VECTOR;
			mx_st_u8(to, pair >> 8);
			mx_st_u8(to + VECTOR, pair >> 24);
			mx_st_u8(to + 2 * VECTOR, pair);
			mx_st_u8(to + 3 * VECTOR, pair >> 16);
		}
		return;
	}
	for (ptrdiff_t j = 0; j < n; j += fields, at++) {
		uint8_t *const to = plane + at / VECTOR * (2 * VECTOR * fields) + at % VECTOR;
		for (int f = 0; f < fields; f++) {
			to[f * VECTOR] = (uint8_t)(code[j + f] >> 8);
			to[(fields + f) * VECTOR] = (uint8_t)(code[j + f] & 255);
		}
	}
}

/* @def mx_q_prepare */
/* A row of x for mx_q_rows: its groups' sums and steps, and the elements in the order of fields of `bits` bits; zeros behind the end. */
MX_INLINE void mx_q_prepare(const void *x, ptrdiff_t at, int kind, ptrdiff_t k, ptrdiff_t group, int bits, bool exact, float *room)
{
	const ptrdiff_t groups = k / group, padded = mx_q_padded(groups), fields = 32 / bits, whole = k / (fields * MX_W) * (fields * MX_W);
	float *const sum = room, *const step = sum + padded, *const to = step + padded;
	for (ptrdiff_t g = groups; g < padded; g++) sum[g] = step[g] = 0.0f;
	memset(to + (exact ? whole : whole / 2), 0, sizeof *room * (size_t)(exact ? fields * MX_W : fields * MX_W / 2));
	for (ptrdiff_t g = 0; g < groups; g++, at += group) {
		mx_vf top = mx_bc_f32(0.0f), s = top;
		if (exact) {
			float element[128];
			for (ptrdiff_t j = 0; j < group; j += MX_W) {
				const mx_vf a = mx_q_ld(x, at + j, kind);
				mx_st_f32(element + j, a);
				s += a;
			}
			sum[g] = mx_hadd_vf(s);
			step[g] = 1.0f;
			for (ptrdiff_t j = 0, word = g * group / fields; j < group; word++) {
				float *const lane = to + word / MX_W * (fields * MX_W) + word % MX_W;
				float by = 1.0f;
				for (ptrdiff_t i = 0; i < fields; i++, j++, by *= 1.0f / (float)(1 << bits))
					lane[i * MX_W] = i < fields - 1 ? element[j] * by : element[j];
			}
			continue;
		}
		uint16_t code[128];
		for (ptrdiff_t j = 0; j < group; j += MX_W) top = mx_max_vf(top, mx_fabs_vf(mx_q_ld(x, at + j, kind)));
		const float most = mx_hmax_vf(top);
		if (!(most < INFINITY)) {
			sum[g] = most - most;
			step[g] = 0.0f;
			memset(code, 0, sizeof code);
		} else { /* 32512 = 127 * 256: no plane leaves int8; the least step is 2^-100 */
			const bool small = most < 2.5648e-26f;
			const mx_vf by = mx_bc_f32(small ? 1.2676506e30f : 32512.0f / most);
			for (ptrdiff_t j = 0; j < group; j += MX_W) {
				const mx_vf q = mx_rint_vf(mx_q_ld(x, at + j, kind) * by);
				s += q;
				mx_st_u16(code + j, (mx_vu)(mx_trunc_vi(q) + 128) ^ 128u);
			}
			step[g] = small ? 7.8886091e-31f : most / 32512.0f;
			sum[g] = mx_hadd_vf(s) * step[g];
		}
		mx_q_fields(code, g * group / (8 / bits), group, 8 / bits, (uint8_t *)(void *)to);
	}
}

/* @def mx_q_exact */
/* total[r] += what MX_W words of each of MX_Q_ROWS rows give with their elements of x, in f32. */
MX_INLINE void mx_q_exact(mx_vf *total, const mx_vu *word, const mx_vf *scale, const float *x, int bits)
{
	const int fields = 32 / bits;
	const uint32_t mask = ((uint32_t)1 << bits) - 1;
	mx_vf sum[MX_Q_ROWS];
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) sum[r] = mx_bc_f32(0.0f);
	MX_UNROLL(32)
	for (int i = 0; i < fields; i++) {
		const mx_vf a = mx_ld_f32(x + i * MX_W);
		MX_UNROLL(4)
		for (int r = 0; r < MX_Q_ROWS; r++)
			sum[r] += mx_vf_from_vi((mx_vi)(i == fields - 1 ? word[r] >> (32 - bits) : word[r] & (mask << bits * i))) * a;
	}
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) total[r] += sum[r] * scale[r];
}

/* @def mx_q_integer */
/* The same with x in two planes of int8: the sum of codes with the high ones, times 256, and on with the low ones. Codes of 8 bits that
 * mx_dot4 does not take go by halves. */
MX_INLINE void mx_q_integer(mx_vf *total, const mx_vu *word, const mx_vf *scale, const uint32_t *plane, int bits, bool halves)
{
	const int fields = halves ? 1 : 8 / bits, steps = halves ? 4 : 2 * fields;
	const uint32_t mask = halves ? 0x0f0f0f0fu : (((uint32_t)1 << bits) - 1) * 0x01010101u;
	mx_vi sum[MX_Q_ROWS];
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) sum[r] = mx_bc_i32(0);
	MX_UNROLL(16)
	for (int i = 0; i < steps; i++) {
		mx_vu a = mx_ld_u32(plane + (halves ? i / 2 : i) * MX_W);
		MX_KEEP(a);
		MX_UNROLL(4)
		for (int r = 0; r < MX_Q_ROWS; r++) {
			if (halves) sum[r] = (mx_vi)((mx_vu)sum[r] << 4);
			else if (i == fields) sum[r] = (mx_vi)((mx_vu)sum[r] << 8);
			const int down = halves ? (i % 2 ? 0 : 4) : bits * (i % fields);
			sum[r] = mx_dot4(sum[r], bits == 8 && !halves ? word[r] : word[r] >> down & mask, a);
		}
	}
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) total[r] += mx_vf_from_vi(sum[r]) * scale[r];
}

/* @def mx_q_groups */
/* total[r] += what up to MX_W groups from g on of each of MX_Q_ROWS rows give; `whole`: MX_W of them. */
MX_INLINE void mx_q_groups(mx_vf *total, const uint32_t *const *w, const void *const *scale, const void *const *bias, int kind,
                           const float *room, ptrdiff_t g, ptrdiff_t groups, ptrdiff_t group, int bits, bool exact, bool whole)
{
	const int wide = 8 % bits ? 8 : bits; /* what the codes are spread to */
	const bool halves = wide == 8 && bits == 8 && !mx_dot4_full;
	const int each = (int)group * wide / 32; /* words of a group: a vector of groups is `each` vectors of words */
	const ptrdiff_t padded = mx_q_padded(groups), words = groups * each, end = whole ? (g + MX_W) * each : words;
	const ptrdiff_t step = exact ? 32 / wide : 8 / wide * 2;
	const float *x = room + 2 * padded + g * each * step;
	const mx_vf a = mx_ld_f32(room + g), b = mx_ld_f32(room + padded + g);
	mx_vu of = (mx_vu)mx_iota() / (uint32_t)each;
	mx_vf factor[MX_Q_ROWS];
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) {
		factor[r] = (whole ? mx_q_ld(scale[r], g, kind) : mx_q_ldn(scale[r], g, groups - g, kind)) * b;
		total[r] += (whole ? mx_q_ld(bias[r], g, kind) : mx_q_ldn(bias[r], g, groups - g, kind)) * a;
	}
	MX_NO_UNROLL for (ptrdiff_t at = g * each; at < end; at += MX_W, x += step * MX_W)
	{
		mx_vu word[MX_Q_ROWS];
		mx_vf lanes[MX_Q_ROWS];
		if (each >= MX_W) of = mx_bc_u32((uint32_t)(at / each - g));
		MX_UNROLL(4)
		for (int r = 0; r < MX_Q_ROWS; r++) {
			MX_PREFETCH(w[r] + at + 1024); /* short rows are no stream that the processor sees */
			word[r] = mx_q_words(w[r], at, words, bits, whole || at + MX_W <= words);
			lanes[r] = mx_spread_vf(factor[r], of);
		}
		if (exact) mx_q_exact(total, word, lanes, x, wide);
		else mx_q_integer(total, word, lanes, (const uint32_t *)(const void *)x, wide, halves);
		if (each < MX_W) of += (uint32_t)(MX_W / each);
	}
}

/* @def mx_q_rows */
/* y[0 .. MX_Q_ROWS) of rows of packed words with x as mx_q_prepare left it. */
MX_INLINE void mx_q_rows(const uint32_t *const *w, const void *const *scale, const void *const *bias, int kind, const float *room,
                         ptrdiff_t groups, ptrdiff_t group, int bits, bool exact, float *y)
{
	ptrdiff_t g = 0;
	mx_vf total[MX_Q_ROWS];
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) total[r] = mx_bc_f32(0.0f);
	for (; g + MX_W <= groups; g += MX_W) mx_q_groups(total, w, scale, bias, kind, room, g, groups, group, bits, exact, true);
	if (g < groups) mx_q_groups(total, w, scale, bias, kind, room, g, groups, group, bits, exact, false);
	MX_UNROLL(4)
	for (int r = 0; r < MX_Q_ROWS; r++) y[r] = mx_hadd_vf(total[r]);
}

/* @def mx_q_product */
/* y[r][first .. end) of n for `rows` rows of x. Types by kind (mx_q_ld) of x and y, of scales and biases. room: mx_q_room for each row of
 * x, of MX_Q_X at most. exact: no rounding of x. */
MX_INLINE void mx_q_product(const void *x, const uint32_t *w, const void *scale, const void *bias, void *y, float *room, ptrdiff_t rows,
                            ptrdiff_t n, ptrdiff_t k, ptrdiff_t first, ptrdiff_t end, int kind, int scale_kind, ptrdiff_t group, int bits,
                            bool exact)
{
	const ptrdiff_t groups = k / group, one = mx_q_room(k, group), words = k * bits / 32;
	exact = exact || !mx_has_dot4;
	for (ptrdiff_t r0 = 0; r0 < rows; r0 += MX_Q_X) {
		const ptrdiff_t r1 = rows - r0 < MX_Q_X ? rows : r0 + MX_Q_X;
		for (ptrdiff_t r = r0; r < r1; r++) mx_q_prepare(x, r * k, kind, k, group, 8 % bits ? 8 : bits, exact, room + (r - r0) * one);
		for (ptrdiff_t i = first; i < end; i += MX_Q_ROWS) {
			const uint32_t *rw[MX_Q_ROWS];
			const void *rs[MX_Q_ROWS], *rb[MX_Q_ROWS];
			for (ptrdiff_t j = 0; j < MX_Q_ROWS; j++) { /* behind the end the last row again */
				const ptrdiff_t row = i + j < end ? i + j : end - 1;
				rw[j] = w + row * words;
				rs[j] = scale_kind ? (const void *)((const uint16_t *)scale + row * groups) : (const float *)scale + row * groups;
				rb[j] = scale_kind ? (const void *)((const uint16_t *)bias + row * groups) : (const float *)bias + row * groups;
			}
			for (ptrdiff_t r = r0; r < r1; r++) {
				float sum[MX_Q_ROWS];
				mx_q_rows(rw, rs, rb, scale_kind, room + (r - r0) * one, groups, group, bits, exact, sum);
				for (ptrdiff_t j = 0; j < MX_Q_ROWS && i + j < end; j++) {
					if (kind == 0) ((float *)y)[r * n + i + j] = sum[j];
					else if (kind == 1) ((uint16_t *)y)[r * n + i + j] = mx_f16_from_f32(sum[j]);
					else ((uint16_t *)y)[r * n + i + j] = (uint16_t)mx_bf16_from_f32(sum[j]);
				}
			}
		}
	}
}

/* @end */
#endif
