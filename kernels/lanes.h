/* What lanes compute beyond C's operators: masks, conversions, gathered memory, and the twins of scalar support functions that are single
 * instructions or nearly (mx_NAME_f32 on scalars is mx_NAME_vf on lanes). On top of vector.h, whose head tells the rules. */
#ifndef MX_LANES_H
#define MX_LANES_H
#include "vector.h"

/* ---- masks ---- */

/* @def mx_not */
MX_INLINE mx_vi mx_not(mx_vi mask)
{
#if MX_W > 1
	return ~mask;
#else
	return !mask;
#endif
}

/* @def mx_first */
MX_INLINE mx_vi mx_first(ptrdiff_t n) /* the first n lanes */
{
	return mx_iota() < (int)n;
}

/* @def mx_first_vd */
MX_INLINE mx_vl mx_first_vd(ptrdiff_t n) /* the first n lanes of 64 bits */
{
#if MX_W > 1
	mx_vl lane;
	for (int i = 0; i < MX_WD; i++) lane[i] = i;
	return lane < (long long)n;
#else
	return n > 0;
#endif
}

/* @def mx_any needs MX_INTRINSICS */
MX_INLINE bool mx_any(mx_vi mask)
{
#if MX_W > 1
#if defined __AVX512F__ && MX_W == 16
	return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined __AVX__ && MX_W == 8
	return _mm256_movemask_ps((__m256)mask) != 0;
#elif defined __SSE2__ && MX_W == 4
	return _mm_movemask_ps((__m128)mask) != 0;
#else
	int any = 0;
	for (int i = 0; i < MX_W; i++) any |= mask[i];
	return any != 0;
#endif
#else
	return mask != 0;
#endif
}

/* @def mx_all */
MX_INLINE bool mx_all(mx_vi mask)
{
	return !mx_any(mx_not(mask));
}

/* @def mx_sel */
MX_INLINE mx_vf mx_sel(mx_vi mask, mx_vf a, mx_vf b) /* a where the mask is set, else b */
{
#if MX_W > 1
	return (mx_vf)((mask & (mx_vi)a) | (~mask & (mx_vi)b));
#else
	return mask ? a : b;
#endif
}

/* @def mx_sel_vi */
MX_INLINE mx_vi mx_sel_vi(mx_vi mask, mx_vi a, mx_vi b)
{
#if MX_W > 1
	return (mask & a) | (~mask & b);
#else
	return mask ? a : b;
#endif
}

/* @def mx_sel_vu */
MX_INLINE mx_vu mx_sel_vu(mx_vi mask, mx_vu a, mx_vu b)
{
#if MX_W > 1
	return ((mx_vu)mask & a) | ((mx_vu)~mask & b);
#else
	return mask ? a : b;
#endif
}

/* @def mx_sel_vd */
MX_INLINE mx_vd mx_sel_vd(mx_vl mask, mx_vd a, mx_vd b)
{
#if MX_W > 1
	return (mx_vd)((mask & (mx_vl)a) | (~mask & (mx_vl)b));
#else
	return mask ? a : b;
#endif
}

/* @def mx_not_vd */
MX_INLINE mx_vl mx_not_vd(mx_vl mask)
{
#if MX_W > 1
	return ~mask;
#else
	return !mask;
#endif
}

/* @def mx_vi_from_mask */
MX_INLINE mx_vi mx_vi_from_mask(mx_vi mask) /* bool to i32: 1 or 0 */
{
	return mask & 1;
}

/* @def mx_vf_from_mask */
MX_INLINE mx_vf mx_vf_from_mask(mx_vi mask) /* bool to f32: 1 or 0 */
{
	return mx_sel(mask, mx_bc_f32(1.0f), mx_bc_f32(0.0f));
}

/* ---- bits and conversions ---- */

/* @def mx_bits_vf */
MX_INLINE mx_vu mx_bits_vf(mx_vf x)
{
#if MX_W > 1
	return (mx_vu)x;
#else
	mx_vu u;
	memcpy(&u, &x, sizeof u);
	return u;
#endif
}

/* @def mx_from_bits_vf */
MX_INLINE mx_vf mx_from_bits_vf(mx_vu u)
{
#if MX_W > 1
	return (mx_vf)u;
#else
	mx_vf x;
	memcpy(&x, &u, sizeof x);
	return x;
#endif
}

/* @def mx_vf_from_vi */
MX_INLINE mx_vf mx_vf_from_vi(mx_vi x) /* rounded to nearest */
{
#if MX_W > 1
	return __builtin_convertvector(x, mx_vf);
#else
	return (float)x;
#endif
}

/* @def mx_vf_from_vu */
MX_INLINE mx_vf mx_vf_from_vu(mx_vu x) /* rounded to nearest */
{
#if MX_W > 1
	return __builtin_convertvector(x, mx_vf);
#else
	return (float)x;
#endif
}

/* @def mx_trunc_vi */
MX_INLINE mx_vi mx_trunc_vi(mx_vf x) /* integer part; x must be in range */
{
#if MX_W > 1
	return __builtin_convertvector(x, mx_vi);
#else
	return (int32_t)x;
#endif
}

/* @def mx_i32_from_vf */
MX_INLINE mx_vi mx_i32_from_vf(mx_vf x) /* truncates and saturates, nan gives 0 */
{
#if MX_W > 1
	const mx_vf in = mx_sel((x >= -2147483648.0f) & (x < 2147483648.0f), x, mx_bc_f32(0.0f));
	const mx_vi limit = mx_sel_vi(x >= 2147483648.0f, mx_bc_i32(INT32_MAX), (x < -2147483648.0f) & INT32_MIN);
	return mx_trunc_vi(in) | limit;
#else
	return mx_i32_from_f32(x);
#endif
}

/* @def mx_u32_from_vf */
MX_INLINE mx_vu mx_u32_from_vf(mx_vf x) /* truncates and saturates, nan gives 0 */
{
#if MX_W > 1
	const mx_vi high = x >= 2147483648.0f;
	const mx_vf in = mx_sel((x > 0.0f) & (x < 4294967296.0f), x - mx_sel(high, mx_bc_f32(2147483648.0f), mx_bc_f32(0.0f)), mx_bc_f32(0.0f));
	return (((mx_vu)mx_trunc_vi(in)) + ((mx_vu)high & 0x80000000u)) | (mx_vu)(x >= 4294967296.0f);
#else
	return mx_u32_from_f32(x);
#endif
}

/* @def mx_vf_from_f16 */
/* f16 bits in the low half of each lane. Exponent and mantissa move into place with a bias of 112 added; numbers below 2^-14 are made by
 * a subtraction, infinities and nans get the bias once more. */
MX_INLINE mx_vf mx_vf_from_f16(mx_vu h)
{
#if MX_W > 1
	const mx_vu exp = h & 0x7c00u, sign = (h & 0x8000u) << 16, u = ((h & 0x7fffu) << 13) + 0x38000000u;
	const mx_vf small = (mx_vf)(u + 0x00800000u) - 6.103515625e-5f;
	const mx_vu big = u + ((mx_vu)(exp == 0x7c00u) & 0x38000000u);
	return (mx_vf)(sign | (mx_vu)mx_sel((mx_vi)(exp == 0u), small, (mx_vf)big));
#else
	return mx_f32_from_f16((uint16_t)h);
#endif
}

/* @def mx_f16_from_vf */
/* The bits that mx_f16_from_f32 gives: nearest even, overflow to infinity. Results below 2^-14 are rounded by adding 0.5. */
MX_INLINE mx_vu mx_f16_from_vf(mx_vf f)
{
#if MX_W > 1
	const mx_vu sign = (mx_vu)f >> 16 & 0x8000u, u = (mx_vu)f & 0x7fffffffu;
	const mx_vu normal = (u - 0x38000000u + 0xfffu + (u >> 13 & 1u)) >> 13, small = (mx_vu)((mx_vf)u + 0.5f) - 0x3f000000u;
	mx_vu r = mx_sel_vu((mx_vi)(u < 0x38800000u), small, normal);
	r = mx_sel_vu((mx_vi)(u >= 0x477ff000u), mx_bc_u32(0x7c00), r);
	r = mx_sel_vu((mx_vi)(u > 0x7f800000u), (u >> 13 & 0x3ffu) | 0x7e00u, r);
	return sign | r;
#else
	return mx_f16_from_f32(f);
#endif
}

/* @def mx_bf16_from_vf */
MX_INLINE mx_vu mx_bf16_from_vf(mx_vf f) /* nearest even; a nan stays one */
{
#if MX_W > 1
	const mx_vu u = (mx_vu)f;
	return mx_sel_vu(f != f, u >> 16 | 0x40u, (u + 0x7fffu + (u >> 16 & 1u)) >> 16);
#else
	return mx_bf16_from_f32(f);
#endif
}

/* @def mx_round_f16_vf */
MX_INLINE mx_vf mx_round_f16_vf(mx_vf x) /* to the nearest f16 */
{
	return mx_vf_from_f16(mx_f16_from_vf(x));
}

/* @def mx_round_bf16_vf */
MX_INLINE mx_vf mx_round_bf16_vf(mx_vf x) /* to the nearest bf16 */
{
	return mx_from_bits_vf(mx_bf16_from_vf(x) << 16);
}

/* @def mx_ld_f16 needs MX_INTRINSICS */
MX_INLINE mx_vf mx_ld_f16(const uint16_t *p)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined __F16C__ && MX_W == 8
	return (mx_vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#else
	return mx_vf_from_f16(mx_ld_u16(p));
#endif
}

/* @def mx_st_f16 needs MX_INTRINSICS */
MX_INLINE void mx_st_f16(uint16_t *p, mx_vf v)
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT));
#elif defined __F16C__ && MX_W == 8
	_mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT));
#else
	mx_st_u16(p, mx_f16_from_vf(v));
#endif
}

/* @def mx_ldn_f16 */
MX_INLINE mx_vf mx_ldn_f16(const uint16_t *p, ptrdiff_t n, float fill)
{
	return mx_sel(mx_first(n), mx_vf_from_f16(mx_ldn_u16(p, n, 0)), mx_bc_f32(fill));
}

/* @def mx_stn_f16 */
MX_INLINE void mx_stn_f16(uint16_t *p, mx_vf v, ptrdiff_t n)
{
	mx_stn_u16(p, mx_f16_from_vf(v), n);
}

/* @def mx_ld_bf16 */
MX_INLINE mx_vf mx_ld_bf16(const uint16_t *p)
{
	return mx_from_bits_vf(mx_ld_u16(p) << 16);
}

/* @def mx_st_bf16 */
MX_INLINE void mx_st_bf16(uint16_t *p, mx_vf v)
{
	mx_st_u16(p, mx_bf16_from_vf(v));
}

/* @def mx_ldn_bf16 */
MX_INLINE mx_vf mx_ldn_bf16(const uint16_t *p, ptrdiff_t n, float fill)
{
	return mx_sel(mx_first(n), mx_from_bits_vf(mx_ldn_u16(p, n, 0) << 16), mx_bc_f32(fill));
}

/* @def mx_stn_bf16 */
MX_INLINE void mx_stn_bf16(uint16_t *p, mx_vf v, ptrdiff_t n)
{
	mx_stn_u16(p, mx_bf16_from_vf(v), n);
}

/* @def mx_dot2_vf needs MX_INTRINSICS */
/* acc + the products of two bf16 in each lane's bits, added with roundings of the instruction's own (docs/numerics.md). */
#if MX_W == 16 && defined __AVX512BF16__
MX_INLINE mx_vf mx_dot2_vf(mx_vf acc, mx_vf a, mx_vf b)
{
	return (mx_vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
}
#endif

/* ---- memory: strided and gathered ---- */

/* @def mx_ld_stride_f32 */
MX_INLINE mx_vf mx_ld_stride_f32(const float *p, ptrdiff_t stride)
{
	float t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = p[i * stride];
	return mx_ld_f32(t);
}

/* @def mx_st_stride_f32 */
MX_INLINE void mx_st_stride_f32(float *p, ptrdiff_t stride, mx_vf v)
{
	float t[MX_W];
	mx_st_f32(t, v);
	for (int i = 0; i < MX_W; i++) p[i * stride] = t[i];
}

/* @def mx_gather_f32 needs MX_INTRINSICS */
MX_INLINE mx_vf mx_gather_f32(const float *p, mx_vi at) /* lane j is p[at[j]] */
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	return (mx_vf)_mm512_i32gather_ps((__m512i)at, p, 4);
#elif defined __AVX2__ && MX_W == 8
	return (mx_vf)_mm256_i32gather_ps(p, (__m256i)at, 4);
#else
	float t[MX_W];
	int32_t k[MX_W];
	mx_st_i32(k, at);
	for (int i = 0; i < MX_W; i++) t[i] = p[k[i]];
	return mx_ld_f32(t);
#endif
}

/* @def mx_gather_i32 */
MX_INLINE mx_vi mx_gather_i32(const int32_t *p, mx_vi at)
{
	int32_t t[MX_W], k[MX_W];
	mx_st_i32(k, at);
	for (int i = 0; i < MX_W; i++) t[i] = p[k[i]];
	return mx_ld_i32(t);
}

/* @def mx_transpose_vf */
/* Element j of vector i with element i of vector j: the blocks off the diagonal change places at sizes 1, 2, 4, 8. */
MX_INLINE void mx_transpose_vf(mx_vf *r)
{
#define MX_LOW(s, j) ((j) & (s) ? MX_W + (j) - (s) : (j))
#define MX_HIGH(s, j) ((j) & (s) ? MX_W + (j) : (j) + (s))
#define MX_LOW_1(j) MX_LOW(1, j)
#define MX_HIGH_1(j) MX_HIGH(1, j)
#define MX_LOW_2(j) MX_LOW(2, j)
#define MX_HIGH_2(j) MX_HIGH(2, j)
#define MX_LOW_4(j) MX_LOW(4, j)
#define MX_HIGH_4(j) MX_HIGH(4, j)
#define MX_LOW_8(j) MX_LOW(8, j)
#define MX_HIGH_8(j) MX_HIGH(8, j)
#define MX_SWAP_BLOCKS(s)                                                                                                                  \
	MX_UNROLL(16) for (int i = 0; i < MX_W; i++)                                                                                           \
	{                                                                                                                                      \
		if (i & s) continue;                                                                                                               \
		const mx_vf a = r[i], b = r[i + s];                                                                                                \
		r[i] = MX_SHUFFLE(a, b, MX_LOW_##s);                                                                                               \
		r[i + s] = MX_SHUFFLE(a, b, MX_HIGH_##s);                                                                                          \
	}
#if MX_W > 1
	MX_SWAP_BLOCKS(1)
	MX_SWAP_BLOCKS(2)
#if MX_W > 4
	MX_SWAP_BLOCKS(4)
#endif
#if MX_W > 8
	MX_SWAP_BLOCKS(8)
#endif
#else
	(void)r;
#endif
}

/* ---- twins of scalar support functions that are single instructions or nearly ---- */

/* @def mx_transpose_vd */
MX_INLINE void mx_transpose_vd(mx_vd *r)
{
	double t[MX_WD * MX_WD], c[MX_WD];
	for (int i = 0; i < MX_WD; i++) mx_st_f64(t + i * MX_WD, r[i]);
	for (int i = 0; i < MX_WD; i++) {
		for (int j = 0; j < MX_WD; j++) c[j] = t[j * MX_WD + i];
		r[i] = mx_ld_f64(c);
	}
}

/* @def mx_pmax_vf */
MX_INLINE mx_vf mx_pmax_vf(mx_vf a, mx_vf b) /* a > b ? a : b, so b where either is nan */
{
#if defined __GNUC__ && !defined __clang__ && defined __AVX512F__ && MX_W == 16
	return __builtin_ia32_maxps512_mask(a, b, a, (short)-1, 4);
#elif defined __GNUC__ && !defined __clang__ && defined __AVX__ && MX_W == 8
	return __builtin_ia32_maxps256(a, b);
#elif defined __GNUC__ && !defined __clang__ && defined __SSE2__ && MX_W == 4
	return __builtin_ia32_maxps(a, b);
#else
	return mx_sel(a > b, a, b);
#endif
}

/* @def mx_pmin_vf */
MX_INLINE mx_vf mx_pmin_vf(mx_vf a, mx_vf b) /* a < b ? a : b, so b where either is nan */
{
#if defined __GNUC__ && !defined __clang__ && defined __AVX512F__ && MX_W == 16
	return __builtin_ia32_minps512_mask(a, b, a, (short)-1, 4);
#elif defined __GNUC__ && !defined __clang__ && defined __AVX__ && MX_W == 8
	return __builtin_ia32_minps256(a, b);
#elif defined __GNUC__ && !defined __clang__ && defined __SSE2__ && MX_W == 4
	return __builtin_ia32_minps(a, b);
#else
	return mx_sel(a < b, a, b);
#endif
}

/* @def mx_max_vf */
MX_INLINE mx_vf mx_max_vf(mx_vf a, mx_vf b) /* nan wins; of equals b */
{
	return mx_sel(a != a, a, mx_pmax_vf(a, b));
}

/* @def mx_min_vf */
MX_INLINE mx_vf mx_min_vf(mx_vf a, mx_vf b)
{
	return mx_sel(a != a, a, mx_pmin_vf(a, b));
}

/* @def mx_max_vd */
MX_INLINE mx_vd mx_max_vd(mx_vd a, mx_vd b) /* nan wins; of equals b */
{
	return mx_sel_vd((a > b) | (a != a), a, b);
}

/* @def mx_min_vd */
MX_INLINE mx_vd mx_min_vd(mx_vd a, mx_vd b)
{
	return mx_sel_vd((a < b) | (a != a), a, b);
}

/* @def mx_fabs_vf */
MX_INLINE mx_vf mx_fabs_vf(mx_vf x)
{
	return mx_from_bits_vf(mx_bits_vf(x) & 0x7fffffffu);
}

/* @def mx_copysign_vf */
MX_INLINE mx_vf mx_copysign_vf(mx_vf x, mx_vf sign)
{
	return mx_from_bits_vf((mx_bits_vf(x) & 0x7fffffffu) | (mx_bits_vf(sign) & 0x80000000u));
}

/* @def mx_fabs_vd */
MX_INLINE mx_vd mx_fabs_vd(mx_vd x)
{
#if MX_W > 1
	return (mx_vd)((mx_vl)x & 0x7fffffffffffffff);
#else
	return fabs(x);
#endif
}

/* @def mx_sqrt_vf needs MX_INTRINSICS */
MX_INLINE mx_vf mx_sqrt_vf(mx_vf x)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vf)_mm512_sqrt_ps((__m512)x);
#elif defined __AVX__ && MX_W == 8
	return (mx_vf)_mm256_sqrt_ps((__m256)x);
#elif defined __SSE2__ && MX_W == 4
	return (mx_vf)_mm_sqrt_ps((__m128)x);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vf)vsqrtq_f32((float32x4_t)x);
#elif defined __wasm_simd128__ && MX_W == 4
	return (mx_vf)wasm_f32x4_sqrt((v128_t)x);
#else
	float t[MX_W];
	mx_st_f32(t, x);
	for (int i = 0; i < MX_W; i++) t[i] = sqrtf(t[i]);
	return mx_ld_f32(t);
#endif
}

/* @def mx_sqrt_vd needs MX_INTRINSICS */
MX_INLINE mx_vd mx_sqrt_vd(mx_vd x)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vd)_mm512_sqrt_pd((__m512d)x);
#elif defined __AVX__ && MX_W == 8
	return (mx_vd)_mm256_sqrt_pd((__m256d)x);
#elif defined __SSE2__ && MX_W == 4
	return (mx_vd)_mm_sqrt_pd((__m128d)x);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vd)vsqrtq_f64((float64x2_t)x);
#else
	double t[MX_WD];
	mx_st_f64(t, x);
	for (int i = 0; i < MX_WD; i++) t[i] = sqrt(t[i]);
	return mx_ld_f64(t);
#endif
}

/* @def mx_rint_vf needs MX_INTRINSICS */
/* Half to even. Elsewhere: adding and subtracting 2^23 rounds what has a fraction; the sign of the operand stays. */
MX_INLINE mx_vf mx_rint_vf(mx_vf x)
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	return (mx_vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined __AVX__ && MX_W == 8
	return (mx_vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vf)vrndnq_f32((float32x4_t)x);
#else
	const mx_vf a = mx_fabs_vf(x), r = (a + 8388608.0f) - 8388608.0f;
	return mx_sel(a < 8388608.0f, mx_copysign_vf(r, x), x);
#endif
}

/* @def mx_floor_vf needs MX_INTRINSICS */
MX_INLINE mx_vf mx_floor_vf(mx_vf x)
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	return (mx_vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined __AVX__ && MX_W == 8
	return (mx_vf)_mm256_floor_ps((__m256)x);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vf)vrndmq_f32((float32x4_t)x);
#else
	const mx_vf r = mx_rint_vf(x);
	return mx_copysign_vf(r - mx_sel(r > x, mx_bc_f32(1.0f), mx_bc_f32(0.0f)), x);
#endif
}

/* @def mx_ceil_vf needs MX_INTRINSICS */
MX_INLINE mx_vf mx_ceil_vf(mx_vf x)
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	return (mx_vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
#elif defined __AVX__ && MX_W == 8
	return (mx_vf)_mm256_ceil_ps((__m256)x);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vf)vrndpq_f32((float32x4_t)x);
#else
	const mx_vf r = mx_rint_vf(x);
	return mx_copysign_vf(r + mx_sel(r < x, mx_bc_f32(1.0f), mx_bc_f32(0.0f)), x);
#endif
}

/* @def mx_trunc_vf needs MX_INTRINSICS */
MX_INLINE mx_vf mx_trunc_vf(mx_vf x)
{
#if defined __AVX512F__ && MX_W == 16 && defined __OPTIMIZE__
	return (mx_vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
#elif defined __AVX__ && MX_W == 8
	return (mx_vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
#elif defined __aarch64__ && MX_W == 4
	return (mx_vf)vrndq_f32((float32x4_t)x);
#else
	const mx_vf a = mx_fabs_vf(x), r = mx_rint_vf(a);
	return mx_copysign_vf(r - mx_sel(r > a, mx_bc_f32(1.0f), mx_bc_f32(0.0f)), x);
#endif
}

/* @def mx_sign_vf */
MX_INLINE mx_vf mx_sign_vf(mx_vf x) /* -1, 0 or 1; 0 for nan */
{
	return mx_vf_from_mask(x > 0.0f) - mx_vf_from_mask(x < 0.0f);
}

/* @end */
#endif
