/* The vector layer of emitted C: lanes of f32, i32, u32 and f64 on GNU vector extensions, and the same names on plain scalars.
 *
 * MX_W lanes of 32 bits make a vector: mx_vf (f32), mx_vi (i32), mx_vu (u32). MX_WD lanes of 64 bits make mx_vd (f64) and mx_vl (i64).
 * The preprocessor chooses MX_W: 16 with AVX-512, 8 with AVX, 4 with SSE2, NEON, WASM SIMD, RVV and the like, else 1: then every type
 * is a scalar and the file needs nothing beyond C99 (-DMLXCC_SCALAR asks for that anywhere). Results never depend on MX_W.
 *
 * Arithmetic and comparisons are C's operators. A comparison gives a mask, of type mx_vi (mx_vl for f64): combine masks with & | ^ and
 * mx_not, use them in mx_sel. What operators can't say are functions, named after the scalar support function: mx_NAME_f32 on scalars is
 * mx_NAME_vf on lanes (mx_max_vf, mx_floor_vf, mx_exp_vf: see maths.h). Memory is named by its own type: mx_ld_f16 loads MX_W
 * f16 and gives mx_vf, mx_st_u8 narrows mx_vu; addresses need no alignment beyond that of the element; ldn and stn touch n lanes only.
 *
 * Like support.h this file is copied definition by definition into emitted C; `@def NAME` opens one, and what its text mentions comes
 * along. Conditional compilation stays inside a definition, so that a reader of emitted C sees every target's form next to the others.
 * Compilers: gcc from 9, clang from 11, and any C99 or C++11 compiler for MX_W = 1. Facts about code generation that shaped this file:
 * GNU `?:` on vectors is C++ only; (c & a) | (~c & b) becomes a blend in clang and gcc, and max/min in clang; gcc 12 takes
 * __builtin_convertvector between different widths apart lane by lane, so loads that widen use instructions where it matters; its
 * intrinsics with an immediate are macros without __OPTIMIZE__, which -Wconversion finds fault with: -O0 takes the portable form.
 */
#ifndef MX_VECTOR_H
#define MX_VECTOR_H
#include "support.h"

/* @def MX_W */
/* Lanes of 32 bits in a vector. */
#ifndef MX_W
#if defined MLXCC_SCALAR || !defined __GNUC__
#define MX_W 1
#elif defined __AVX512F__
#define MX_W 16
#elif defined __AVX__
#define MX_W 8
#elif defined __SSE2__ || defined __ARM_NEON || defined __wasm_simd128__ || defined __riscv_vector || defined __ALTIVEC__ ||               \
    defined __loongarch_sx
#define MX_W 4
#else
#define MX_W 1
#endif
#endif

/* @def MX_WD */
/* Lanes of 64 bits in a vector. */
#define MX_WD (MX_W > 1 ? MX_W / 2 : 1)

/* @def MX_INLINE */
#ifdef __GNUC__
#define MX_INLINE static inline __attribute__((always_inline, unused))
#else
#define MX_INLINE static inline
#endif

/* @def MX_UNROLL */
/* Before a loop of constant trip count n whose array is to become registers. */
#define MX_PRAGMA(text) _Pragma(#text)
#if defined __clang__
#define MX_UNROLL(n) MX_PRAGMA(clang loop unroll(full))
#elif defined __GNUC__
#define MX_UNROLL(n) MX_PRAGMA(GCC unroll n)
#else
#define MX_UNROLL(n)
#endif

/* @def MX_NO_UNROLL */
/* Before a hot loop whose body is unrolled already. */
#if defined __clang__
#define MX_NO_UNROLL _Pragma("clang loop unroll(disable)")
#elif defined __GNUC__
#define MX_NO_UNROLL _Pragma("GCC unroll 1")
#else
#define MX_NO_UNROLL
#endif

/* @def MX_AHEAD */
/* In a vector loop: the line at p is read (MX_AHEAD_W: written) when the loop over rows comes round. */
#if MX_W > 1
#define MX_AHEAD(p) MX_PREFETCH(p)
#else
#define MX_AHEAD(p) ((void)0)
#endif

/* @def MX_AHEAD_W */
#if MX_W > 1
#define MX_AHEAD_W(p) MX_PREFETCH_W(p)
#else
#define MX_AHEAD_W(p) ((void)0)
#endif

/* @def MX_PARTS */
/* A loop over the vectors that hold 64 partial results, which are to stay in registers. */
#if MX_W > 1
#define MX_PARTS(u, w) MX_UNROLL(32) for (int u = 0; u < 64 / (w); u++)
#else
#define MX_PARTS(u, w) for (int u = 0; u < 64; u++)
#endif

/* @def MX_PREFETCH */
/* The line at p will be read soon (MX_PREFETCH_L2: later; MX_PREFETCH_W: written). Any address is allowed. */
#ifdef __GNUC__
#define MX_PREFETCH(p) __builtin_prefetch((p), 0, 3)
#else
#define MX_PREFETCH(p) ((void)0)
#endif

/* @def MX_PREFETCH_L2 */
#ifdef __GNUC__
#define MX_PREFETCH_L2(p) __builtin_prefetch((p), 0, 2)
#else
#define MX_PREFETCH_L2(p) ((void)0)
#endif

/* @def MX_PREFETCH_W */
#ifdef __GNUC__
#define MX_PREFETCH_W(p) __builtin_prefetch((p), 1, 3)
#else
#define MX_PREFETCH_W(p) ((void)0)
#endif

/* @def MX_INTRINSICS */
#if MX_W > 1 && (defined __AVX__ || defined __SSE2__)
#include <immintrin.h>
#elif MX_W > 1 && defined __ARM_NEON
#include <arm_neon.h>
#elif MX_W > 1 && defined __wasm_simd128__
#include <wasm_simd128.h>
#endif

/* ---- types; the _u twins are for memory of any alignment ---- */

/* @def mx_vf */
#if MX_W > 1
typedef float mx_vf __attribute__((vector_size(4 * MX_W)));
typedef float mx_vf_u __attribute__((vector_size(4 * MX_W), aligned(4), may_alias));
#else
typedef float mx_vf;
#endif

/* @def mx_vi */
#if MX_W > 1
typedef int mx_vi __attribute__((vector_size(4 * MX_W)));
typedef int mx_vi_u __attribute__((vector_size(4 * MX_W), aligned(4), may_alias));
#else
typedef int32_t mx_vi;
#endif

/* @def mx_vu */
#if MX_W > 1
typedef unsigned mx_vu __attribute__((vector_size(4 * MX_W)));
typedef unsigned mx_vu_u __attribute__((vector_size(4 * MX_W), aligned(4), may_alias));
#else
typedef uint32_t mx_vu;
#endif

/* @def mx_vd */
#if MX_W > 1
typedef double mx_vd __attribute__((vector_size(8 * MX_WD)));
typedef double mx_vd_u __attribute__((vector_size(8 * MX_WD), aligned(8), may_alias));
#else
typedef double mx_vd;
#endif

/* @def mx_vl */
#if MX_W > 1
typedef long long mx_vl __attribute__((vector_size(8 * MX_WD)));
typedef long long mx_vl_u __attribute__((vector_size(8 * MX_WD), aligned(8), may_alias));
#else
typedef int64_t mx_vl;
#endif

/* ---- one value in all lanes, lane numbers ---- */

/* @def mx_bc_f32 */
MX_INLINE mx_vf mx_bc_f32(float s)
{
#if MX_W > 1
	const mx_vf zero = {0};
	return s - zero; /* exact for every s */
#else
	return s;
#endif
}

/* @def mx_bc_i32 */
MX_INLINE mx_vi mx_bc_i32(int32_t s)
{
#if MX_W > 1
	const mx_vi zero = {0};
	return (int)s + zero;
#else
	return s;
#endif
}

/* @def mx_bc_u32 */
MX_INLINE mx_vu mx_bc_u32(uint32_t s)
{
#if MX_W > 1
	const mx_vu zero = {0};
	return (unsigned)s + zero;
#else
	return s;
#endif
}

/* @def mx_bc_f64 */
MX_INLINE mx_vd mx_bc_f64(double s)
{
#if MX_W > 1
	const mx_vd zero = {0};
	return s - zero;
#else
	return s;
#endif
}

/* @def mx_bc_bool */
MX_INLINE mx_vi mx_bc_bool(bool s)
{
#if MX_W > 1
	return mx_bc_i32(s ? -1 : 0);
#else
	return s;
#endif
}

/* @def MX_LANES */
/* f(0), f(1), ... f(MX_W - 1) */
#define MX_LANES_4(f, n) f(n), f(n + 1), f(n + 2), f(n + 3)
#if MX_W == 16
#define MX_LANES(f) MX_LANES_4(f, 0), MX_LANES_4(f, 4), MX_LANES_4(f, 8), MX_LANES_4(f, 12)
#elif MX_W == 8
#define MX_LANES(f) MX_LANES_4(f, 0), MX_LANES_4(f, 4)
#elif MX_W == 4
#define MX_LANES(f) MX_LANES_4(f, 0)
#else
#define MX_LANES(f) f(0)
#endif

/* @def MX_SHUFFLE */
/* Lane j is lane F(j) of a, or from MX_W on lane F(j) - MX_W of b; F a macro of a constant. */
#if defined __clang__ || __GNUC__ >= 12
#define MX_SHUFFLE(a, b, F) __builtin_shufflevector(a, b, MX_LANES(F))
#else
#define MX_SHUFFLE(a, b, F) __builtin_shuffle(a, b, (mx_vi){MX_LANES(F)})
#endif

/* @def mx_iota */
/* 0, 1, .. MX_W - 1 */
MX_INLINE mx_vi mx_iota(void)
{
#define MX_LANE(j) (j)
	const mx_vi lane = {MX_LANES(MX_LANE)};
#undef MX_LANE
	return lane;
}

/* ---- memory: whole vectors of the lanes' own type ---- */

/* @def mx_ld_f32 */
MX_INLINE mx_vf mx_ld_f32(const float *p)
{
#if MX_W > 1
	return *(const mx_vf_u *)p;
#else
	return *p;
#endif
}

/* @def mx_st_f32 */
MX_INLINE void mx_st_f32(float *p, mx_vf v)
{
#if MX_W > 1
	*(mx_vf_u *)p = v;
#else
	*p = v;
#endif
}

/* @def mx_ld_i32 */
MX_INLINE mx_vi mx_ld_i32(const int32_t *p)
{
#if MX_W > 1
	return *(const mx_vi_u *)p;
#else
	return *p;
#endif
}

/* @def mx_st_i32 */
MX_INLINE void mx_st_i32(int32_t *p, mx_vi v)
{
#if MX_W > 1
	*(mx_vi_u *)p = v;
#else
	*p = v;
#endif
}

/* @def mx_ld_u32 */
MX_INLINE mx_vu mx_ld_u32(const uint32_t *p)
{
#if MX_W > 1
	return *(const mx_vu_u *)p;
#else
	return *p;
#endif
}

/* @def mx_st_u32 */
MX_INLINE void mx_st_u32(uint32_t *p, mx_vu v)
{
#if MX_W > 1
	*(mx_vu_u *)p = v;
#else
	*p = v;
#endif
}

/* @def mx_ld_f64 */
MX_INLINE mx_vd mx_ld_f64(const double *p)
{
#if MX_W > 1
	return *(const mx_vd_u *)p;
#else
	return *p;
#endif
}

/* @def mx_st_f64 */
MX_INLINE void mx_st_f64(double *p, mx_vd v)
{
#if MX_W > 1
	*(mx_vd_u *)p = v;
#else
	*p = v;
#endif
}

/* ---- memory: n lanes, 0 <= n <= MX_W; the other lanes are `fill`, or not written ---- */

/* @def mx_ldn_f32 needs MX_INTRINSICS */
MX_INLINE mx_vf mx_ldn_f32(const float *p, ptrdiff_t n, float fill)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vf)_mm512_mask_loadu_ps((__m512)mx_bc_f32(fill), (__mmask16)((1u << n) - 1u), p);
#else
	float t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_f32(t);
#endif
}

/* @def mx_stn_f32 needs MX_INTRINSICS */
MX_INLINE void mx_stn_f32(float *p, mx_vf v, ptrdiff_t n)
{
#if defined __AVX512F__ && MX_W == 16
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1u), (__m512)v);
#else
	float t[MX_W];
	mx_st_f32(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
#endif
}

/* @def mx_ldn_i32 needs MX_INTRINSICS */
MX_INLINE mx_vi mx_ldn_i32(const int32_t *p, ptrdiff_t n, int32_t fill)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vi)_mm512_mask_loadu_epi32((__m512i)mx_bc_i32(fill), (__mmask16)((1u << n) - 1u), p);
#else
	int32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_i32(t);
#endif
}

/* @def mx_stn_i32 needs MX_INTRINSICS */
MX_INLINE void mx_stn_i32(int32_t *p, mx_vi v, ptrdiff_t n)
{
#if defined __AVX512F__ && MX_W == 16
	_mm512_mask_storeu_epi32(p, (__mmask16)((1u << n) - 1u), (__m512i)v);
#else
	int32_t t[MX_W];
	mx_st_i32(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
#endif
}

/* @def mx_ldn_u32 needs MX_INTRINSICS */
MX_INLINE mx_vu mx_ldn_u32(const uint32_t *p, ptrdiff_t n, uint32_t fill)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vu)_mm512_mask_loadu_epi32((__m512i)mx_bc_u32(fill), (__mmask16)((1u << n) - 1u), p);
#else
	uint32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_u32(t);
#endif
}

/* @def mx_stn_u32 needs MX_INTRINSICS */
MX_INLINE void mx_stn_u32(uint32_t *p, mx_vu v, ptrdiff_t n)
{
#if defined __AVX512F__ && MX_W == 16
	_mm512_mask_storeu_epi32(p, (__mmask16)((1u << n) - 1u), (__m512i)v);
#else
	uint32_t t[MX_W];
	mx_st_u32(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
#endif
}

/* @def mx_ldn_f64 needs MX_INTRINSICS */
MX_INLINE mx_vd mx_ldn_f64(const double *p, ptrdiff_t n, double fill) /* n <= MX_WD */
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vd)_mm512_mask_loadu_pd((__m512d)mx_bc_f64(fill), (__mmask8)((1u << n) - 1u), p);
#else
	double t[MX_WD];
	for (int i = 0; i < MX_WD; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_f64(t);
#endif
}

/* @def mx_stn_f64 needs MX_INTRINSICS */
MX_INLINE void mx_stn_f64(double *p, mx_vd v, ptrdiff_t n)
{
#if defined __AVX512F__ && MX_W == 16
	_mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1u), (__m512d)v);
#else
	double t[MX_WD];
	mx_st_f64(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = t[i];
#endif
}

/* ---- memory: narrow elements, widened to the lanes' type and narrowed back (integers keep the low bits) ---- */

/* @def mx_ld_u8 needs MX_INTRINSICS */
MX_INLINE mx_vu mx_ld_u8(const uint8_t *p)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vu)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined __AVX2__ && MX_W == 8
	return (mx_vu)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
	uint32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = p[i];
	return mx_ld_u32(t);
#endif
}

/* @def mx_ld_i8 needs MX_INTRINSICS */
MX_INLINE mx_vi mx_ld_i8(const int8_t *p)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vi)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined __AVX2__ && MX_W == 8
	return (mx_vi)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
#else
	int32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = p[i];
	return mx_ld_i32(t);
#endif
}

/* @def mx_ld_u16 needs MX_INTRINSICS */
MX_INLINE mx_vu mx_ld_u16(const uint16_t *p)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vu)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
#elif defined __AVX2__ && MX_W == 8
	return (mx_vu)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
#else
	uint32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = p[i];
	return mx_ld_u32(t);
#endif
}

/* @def mx_ld_i16 needs MX_INTRINSICS */
MX_INLINE mx_vi mx_ld_i16(const int16_t *p)
{
#if defined __AVX512F__ && MX_W == 16
	return (mx_vi)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p));
#elif defined __AVX2__ && MX_W == 8
	return (mx_vi)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p));
#else
	int32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = p[i];
	return mx_ld_i32(t);
#endif
}

/* @def mx_st_u8 needs MX_INTRINSICS */
MX_INLINE void mx_st_u8(uint8_t *p, mx_vu v)
{
#if defined __AVX512F__ && MX_W == 16
	_mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
	uint32_t t[MX_W];
	mx_st_u32(t, v);
	for (int i = 0; i < MX_W; i++) p[i] = (uint8_t)t[i];
#endif
}

/* @def mx_st_i8 */
MX_INLINE void mx_st_i8(int8_t *p, mx_vi v)
{
	mx_st_u8((uint8_t *)p, (mx_vu)v);
}

/* @def mx_st_u16 needs MX_INTRINSICS */
MX_INLINE void mx_st_u16(uint16_t *p, mx_vu v)
{
#if defined __AVX512F__ && MX_W == 16
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)v));
#else
	uint32_t t[MX_W];
	mx_st_u32(t, v);
	for (int i = 0; i < MX_W; i++) p[i] = (uint16_t)t[i];
#endif
}

/* @def mx_st_i16 */
MX_INLINE void mx_st_i16(int16_t *p, mx_vi v)
{
	mx_st_u16((uint16_t *)p, (mx_vu)v);
}

/* @def mx_ldn_u8 */
MX_INLINE mx_vu mx_ldn_u8(const uint8_t *p, ptrdiff_t n, uint32_t fill)
{
	uint32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_u32(t);
}

/* @def mx_stn_u8 */
MX_INLINE void mx_stn_u8(uint8_t *p, mx_vu v, ptrdiff_t n)
{
	uint32_t t[MX_W];
	mx_st_u32(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = (uint8_t)t[i];
}

/* @def mx_ldn_i8 */
MX_INLINE mx_vi mx_ldn_i8(const int8_t *p, ptrdiff_t n, int32_t fill)
{
	int32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_i32(t);
}

/* @def mx_stn_i8 */
MX_INLINE void mx_stn_i8(int8_t *p, mx_vi v, ptrdiff_t n)
{
	mx_stn_u8((uint8_t *)p, (mx_vu)v, n);
}

/* @def mx_ldn_u16 */
MX_INLINE mx_vu mx_ldn_u16(const uint16_t *p, ptrdiff_t n, uint32_t fill)
{
	uint32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_u32(t);
}

/* @def mx_stn_u16 */
MX_INLINE void mx_stn_u16(uint16_t *p, mx_vu v, ptrdiff_t n)
{
	uint32_t t[MX_W];
	mx_st_u32(t, v);
	for (ptrdiff_t i = 0; i < n; i++) p[i] = (uint16_t)t[i];
}

/* @def mx_ldn_i16 */
MX_INLINE mx_vi mx_ldn_i16(const int16_t *p, ptrdiff_t n, int32_t fill)
{
	int32_t t[MX_W];
	for (int i = 0; i < MX_W; i++) t[i] = fill;
	for (ptrdiff_t i = 0; i < n; i++) t[i] = p[i];
	return mx_ld_i32(t);
}

/* @def mx_stn_i16 */
MX_INLINE void mx_stn_i16(int16_t *p, mx_vi v, ptrdiff_t n)
{
	mx_stn_u16((uint16_t *)p, (mx_vu)v, n);
}

/* @def mx_ld_bool */
MX_INLINE mx_vi mx_ld_bool(const bool *p) /* a mask */
{
#if MX_W > 1
	return mx_ld_u8((const uint8_t *)p) != 0;
#else
	return *p;
#endif
}

/* @def mx_st_bool */
MX_INLINE void mx_st_bool(bool *p, mx_vi mask)
{
#if MX_W > 1
	mx_st_u8((uint8_t *)p, (mx_vu)mask & 1u);
#else
	*p = mask != 0;
#endif
}

/* @def mx_ldn_bool */
MX_INLINE mx_vi mx_ldn_bool(const bool *p, ptrdiff_t n, bool fill)
{
#if MX_W > 1
	return mx_ldn_u8((const uint8_t *)p, n, fill) != 0;
#else
	return n ? *p : fill;
#endif
}

/* @def mx_stn_bool */
MX_INLINE void mx_stn_bool(bool *p, mx_vi mask, ptrdiff_t n)
{
#if MX_W > 1
	mx_stn_u8((uint8_t *)p, (mx_vu)mask & 1u, n);
#else
	if (n) *p = mask != 0;
#endif
}

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

/* ---- memory: strided and gathered ---- */

/* @def mx_arg_vf */
/* The position at[l] of the largest v[l]: a nan before numbers, the lower position of equals. */
MX_INLINE uint32_t mx_arg_vf(mx_vf v, mx_vi at)
{
	float x[MX_W];
	int32_t k[MX_W];
	int best = 0;
	mx_st_f32(x, v);
	mx_st_i32(k, at);
	for (int i = 1; i < MX_W; i++) {
		const bool nan = x[i] != x[i], had = x[best] != x[best], first = k[i] < k[best];
		if (nan ? !had || first : !had && (x[i] > x[best] || (x[i] == x[best] && first))) best = i;
	}
	return (uint32_t)k[best];
}

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

/* ---- folds: 64 partial results, lane l of vector v being number v * MX_W + l, are combined by halving: 32, 16, 8, 4, 2, 1 ---- */

/* @def MX_ROTATE_8 */
#define MX_ROTATE_8(j) (((j) + 8) % MX_W)

/* @def MX_ROTATE_4 */
#define MX_ROTATE_4(j) (((j) + 4) % MX_W)

/* @def MX_ROTATE_2 */
#define MX_ROTATE_2(j) (((j) + 2) % MX_W)

/* @def MX_ROTATE_1 */
#define MX_ROTATE_1(j) (((j) + 1) % MX_W)

/* @def mx_hadd_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly t[i] + t[i + w] at each width w. */
MX_INLINE float mx_hadd_vf(mx_vf v)
{
#if MX_W > 8
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_8);
#endif
#if MX_W > 4
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_4);
#endif
#if MX_W > 1
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_2);
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_1);
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_add_vf */
MX_INLINE float mx_fold_add_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = t[i] + t[i + 32];
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = t[i] + t[i + 16];
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = t[i] + t[i + 8];
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = t[i] + t[i + 4];
#endif
	t[0] = t[0] + t[2];
	t[1] = t[1] + t[3];
	return mx_hadd_vf(t[0] + t[1]);
}

/* @def mx_hmul_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly t[i] * t[i + w] at each width w. */
MX_INLINE float mx_hmul_vf(mx_vf v)
{
#if MX_W > 8
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_8);
#endif
#if MX_W > 4
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_4);
#endif
#if MX_W > 1
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_2);
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_1);
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_mul_vf */
MX_INLINE float mx_fold_mul_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = t[i] * t[i + 32];
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = t[i] * t[i + 16];
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = t[i] * t[i + 8];
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = t[i] * t[i + 4];
#endif
	t[0] = t[0] * t[2];
	t[1] = t[1] * t[3];
	return mx_hmul_vf(t[0] * t[1]);
}

/* @def mx_hmax_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_max(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hmax_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_max_vf */
MX_INLINE float mx_fold_max_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_max_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_max_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_max_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_max_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_max_vf(t[0], t[2]);
	t[1] = mx_max_vf(t[1], t[3]);
	return mx_hmax_vf(mx_max_vf(t[0], t[1]));
}

/* @def mx_hmin_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_min(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hmin_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_min_vf */
MX_INLINE float mx_fold_min_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_min_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_min_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_min_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_min_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_min_vf(t[0], t[2]);
	t[1] = mx_min_vf(t[1], t[3]);
	return mx_hmin_vf(mx_min_vf(t[0], t[1]));
}

/* @def mx_hpmax_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_pmax(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hpmax_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_pmax_vf */
MX_INLINE float mx_fold_pmax_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_pmax_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_pmax_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_pmax_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_pmax_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_pmax_vf(t[0], t[2]);
	t[1] = mx_pmax_vf(t[1], t[3]);
	return mx_hpmax_vf(mx_pmax_vf(t[0], t[1]));
}

/* @def mx_hpmin_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_pmin(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hpmin_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_pmin_vf */
MX_INLINE float mx_fold_pmin_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_pmin_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_pmin_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_pmin_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_pmin_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_pmin_vf(t[0], t[2]);
	t[1] = mx_pmin_vf(t[1], t[3]);
	return mx_hpmin_vf(mx_pmin_vf(t[0], t[1]));
}

/* @def mx_fold_add_vd */
MX_INLINE double mx_fold_add_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = t[i] + t[i + w];
	return t[0];
}

/* @def mx_fold_mul_vd */
MX_INLINE double mx_fold_mul_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = t[i] * t[i + w];
	return t[0];
}

/* @def mx_fold_max_vd */
MX_INLINE double mx_fold_max_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = mx_max_f64(t[i], t[i + w]);
	return t[0];
}

/* @def mx_fold_min_vd */
MX_INLINE double mx_fold_min_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = mx_min_f64(t[i], t[i + w]);
	return t[0];
}

/* @end */
#endif
