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

/* @def MX_KEEP */
/* In a kernel's loop: the vector stays in its register. gcc would read it from memory again for each of a few products, and loads are then
 * what limits (20 instead of 8 for the 16 products of a 4x4 tile). */
#if MX_W > 1 && defined __GNUC__ && !defined __clang__ && defined __AVX__
#define MX_KEEP(v) __asm__("" : "+v"(v))
#else
#define MX_KEEP(v) ((void)0)
#endif

/* @def MX_FRESH */
/* In a kernel's loop: what is read through the pointer is not what the pass before has read (gcc keeps such values, and then runs out of
 * registers). */
#if MX_W > 1 && defined __GNUC__ && !defined __clang__
#define MX_FRESH(p) __asm__("" : "+r"(p))
#else
#define MX_FRESH(p) ((void)0)
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

/* @def MX_AHEAD_LIGHT */
/* The same in a loop that does little but read or write. AMD's cores find such streams by themselves: there the hints cost a quarter. */
#if MX_W > 1 && !defined __znver1__ && !defined __znver2__ && !defined __znver3__ && !defined __znver4__ && !defined __znver5__
#define MX_AHEAD_LIGHT(p) MX_PREFETCH(p)
#else
#define MX_AHEAD_LIGHT(p) ((void)0)
#endif

/* @def MX_AHEAD_LIGHT_W */
#if MX_W > 1 && !defined __znver1__ && !defined __znver2__ && !defined __znver3__ && !defined __znver4__ && !defined __znver5__
#define MX_AHEAD_LIGHT_W(p) MX_PREFETCH_W(p)
#else
#define MX_AHEAD_LIGHT_W(p) ((void)0)
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

/* @end */
#endif
