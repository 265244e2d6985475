/* Scalar support functions of the element-wise meanings in ir/ops.def, of conversions and of the random generator.
 *
 * This file is compiled into the interpreter, and its text is copied, definition by definition, into the C that mlxcc emits. A marker
 * line `@def NAME needs NAME NAME ...` in a comment of its own opens a definition, which extends to the next marker (or to `@end`);
 * needs lists what its text uses from this file. A program gets only the definitions that it reaches, in the order of this file,
 * after <stdint.h> <stdbool.h> <stddef.h> <math.h> <string.h>. So every dtype's function is written out: a family made by a macro
 * could not be taken apart, and the reader of emitted C sees plain functions.
 *
 * How texts in ops.def name things, T being the C type of the dtype and W an unsigned type no narrower than int (uint32_t up to
 * 32 bits, uint64_t above):
 *   SUP(name)(a, b)    mx_name_f32(a, b), mx_name_u8(a, b), ..
 *   FN(exp)(a)         mx_exp_f32(a) of maths.h for f32 (and f16, bf16, which are computed in f32), exp(a) for f64
 *   LIBM(sqrt)(a)      sqrtf(a), sqrt(a)
 *   WRAP(a, op, b)     (T)((W)a op (W)b): wraps modulo 2^width. On u32 and u64 the plain `a op b` is the same.
 *   MAXV, MINV, BITS   largest and least value of the type (INFINITY, -INFINITY for floats), its width in bits
 * C99 and C++; conversions of unsigned values to a signed type of the same width are taken to wrap, as every compiler does.
 */
#ifndef MX_SUPPORT_H
#define MX_SUPPORT_H
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- integers: every function wraps; x // 0 = 0 and x % 0 = x as in MLX ---- */

/* @def mx_floordiv_u8 */
static inline uint8_t mx_floordiv_u8(uint8_t a, uint8_t b)
{
	return b == 0 ? (uint8_t)0 : (uint8_t)(a / b);
}

/* @def mx_floordiv_u16 */
static inline uint16_t mx_floordiv_u16(uint16_t a, uint16_t b)
{
	return b == 0 ? (uint16_t)0 : (uint16_t)(a / b);
}

/* @def mx_floordiv_u32 */
static inline uint32_t mx_floordiv_u32(uint32_t a, uint32_t b)
{
	return b == 0 ? 0 : a / b;
}

/* @def mx_floordiv_u64 */
static inline uint64_t mx_floordiv_u64(uint64_t a, uint64_t b)
{
	return b == 0 ? 0 : a / b;
}

/* @def mx_floordiv_i8 */
static inline int8_t mx_floordiv_i8(int8_t a, int8_t b)
{
	if (b == 0) return 0;
	if (b == -1) return (int8_t)(0 - (uint32_t)a); /* of the least value: itself */
	return (int8_t)(a / b - (a % b != 0 && (a < 0) != (b < 0)));
}

/* @def mx_floordiv_i16 */
static inline int16_t mx_floordiv_i16(int16_t a, int16_t b)
{
	if (b == 0) return 0;
	if (b == -1) return (int16_t)(0 - (uint32_t)a); /* of the least value: itself */
	return (int16_t)(a / b - (a % b != 0 && (a < 0) != (b < 0)));
}

/* @def mx_floordiv_i32 */
static inline int32_t mx_floordiv_i32(int32_t a, int32_t b)
{
	if (b == 0) return 0;
	if (b == -1) return (int32_t)(0 - (uint32_t)a); /* of the least value: itself */
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* @def mx_floordiv_i64 */
static inline int64_t mx_floordiv_i64(int64_t a, int64_t b)
{
	if (b == 0) return 0;
	if (b == -1) return (int64_t)(0 - (uint64_t)a); /* of the least value: itself */
	return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* @def mx_rem_u8 */
static inline uint8_t mx_rem_u8(uint8_t a, uint8_t b)
{
	return b == 0 ? a : (uint8_t)(a % b);
}

/* @def mx_rem_u16 */
static inline uint16_t mx_rem_u16(uint16_t a, uint16_t b)
{
	return b == 0 ? a : (uint16_t)(a % b);
}

/* @def mx_rem_u32 */
static inline uint32_t mx_rem_u32(uint32_t a, uint32_t b)
{
	return b == 0 ? a : a % b;
}

/* @def mx_rem_u64 */
static inline uint64_t mx_rem_u64(uint64_t a, uint64_t b)
{
	return b == 0 ? a : a % b;
}

/* @def mx_rem_i8 */
static inline int8_t mx_rem_i8(int8_t a, int8_t b)
{
	if (b == 0) return a;
	if (b == -1) return 0;
	int8_t r = (int8_t)(a % b);
	return r != 0 && (r < 0) != (b < 0) ? (int8_t)(r + b) : r;
}

/* @def mx_rem_i16 */
static inline int16_t mx_rem_i16(int16_t a, int16_t b)
{
	if (b == 0) return a;
	if (b == -1) return 0;
	int16_t r = (int16_t)(a % b);
	return r != 0 && (r < 0) != (b < 0) ? (int16_t)(r + b) : r;
}

/* @def mx_rem_i32 */
static inline int32_t mx_rem_i32(int32_t a, int32_t b)
{
	if (b == 0) return a;
	if (b == -1) return 0;
	int32_t r = a % b;
	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* @def mx_rem_i64 */
static inline int64_t mx_rem_i64(int64_t a, int64_t b)
{
	if (b == 0) return a;
	if (b == -1) return 0;
	int64_t r = a % b;
	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* @def mx_ipow_u8 */
static inline uint8_t mx_ipow_u8(uint8_t a, uint8_t b)
{
	uint32_t y = 1, x = a, n = b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (uint8_t)y;
}

/* @def mx_ipow_u16 */
static inline uint16_t mx_ipow_u16(uint16_t a, uint16_t b)
{
	uint32_t y = 1, x = a, n = b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (uint16_t)y;
}

/* @def mx_ipow_u32 */
static inline uint32_t mx_ipow_u32(uint32_t a, uint32_t b)
{
	uint32_t y = 1, x = a, n = b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return y;
}

/* @def mx_ipow_u64 */
static inline uint64_t mx_ipow_u64(uint64_t a, uint64_t b)
{
	uint64_t y = 1, x = a, n = b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return y;
}

/* @def mx_ipow_i8 */
static inline int8_t mx_ipow_i8(int8_t a, int8_t b)
{
	if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
	uint32_t y = 1, x = (uint32_t)a, n = (uint32_t)b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (int8_t)y;
}

/* @def mx_ipow_i16 */
static inline int16_t mx_ipow_i16(int16_t a, int16_t b)
{
	if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
	uint32_t y = 1, x = (uint32_t)a, n = (uint32_t)b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (int16_t)y;
}

/* @def mx_ipow_i32 */
static inline int32_t mx_ipow_i32(int32_t a, int32_t b)
{
	if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
	uint32_t y = 1, x = (uint32_t)a, n = (uint32_t)b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (int32_t)y;
}

/* @def mx_ipow_i64 */
static inline int64_t mx_ipow_i64(int64_t a, int64_t b)
{
	if (b < 0) return a == 1 || (a == -1 && b % 2 == 0) ? 1 : a == -1 ? -1 : 0;
	uint64_t y = 1, x = (uint64_t)a, n = (uint64_t)b;
	for (; n; n >>= 1, x *= x)
		if (n & 1) y *= x;
	return (int64_t)y;
}

/* @def mx_shl_u8 */
static inline uint8_t mx_shl_u8(uint8_t a, uint8_t b)
{
	return (uint8_t)((uint32_t)a << (b & 7));
}

/* @def mx_shl_u16 */
static inline uint16_t mx_shl_u16(uint16_t a, uint16_t b)
{
	return (uint16_t)((uint32_t)a << (b & 15));
}

/* @def mx_shl_u32 */
static inline uint32_t mx_shl_u32(uint32_t a, uint32_t b)
{
	return a << (b & 31);
}

/* @def mx_shl_u64 */
static inline uint64_t mx_shl_u64(uint64_t a, uint64_t b)
{
	return a << (b & 63);
}

/* @def mx_shl_i8 */
static inline int8_t mx_shl_i8(int8_t a, int8_t b)
{
	return (int8_t)((uint32_t)a << (b & 7));
}

/* @def mx_shl_i16 */
static inline int16_t mx_shl_i16(int16_t a, int16_t b)
{
	return (int16_t)((uint32_t)a << (b & 15));
}

/* @def mx_shl_i32 */
static inline int32_t mx_shl_i32(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a << (b & 31));
}

/* @def mx_shl_i64 */
static inline int64_t mx_shl_i64(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a << (b & 63));
}

/* @def mx_shr_u8 */
static inline uint8_t mx_shr_u8(uint8_t a, uint8_t b)
{
	return (uint8_t)(a >> (b & 7));
}

/* @def mx_shr_u16 */
static inline uint16_t mx_shr_u16(uint16_t a, uint16_t b)
{
	return (uint16_t)(a >> (b & 15));
}

/* @def mx_shr_u32 */
static inline uint32_t mx_shr_u32(uint32_t a, uint32_t b)
{
	return a >> (b & 31);
}

/* @def mx_shr_u64 */
static inline uint64_t mx_shr_u64(uint64_t a, uint64_t b)
{
	return a >> (b & 63);
}

/* @def mx_shr_i8 */
static inline int8_t mx_shr_i8(int8_t a, int8_t b) /* arithmetic, also where C leaves that open */
{
	return (int8_t)(a < 0 ? ~(~a >> (b & 7)) : a >> (b & 7));
}

/* @def mx_shr_i16 */
static inline int16_t mx_shr_i16(int16_t a, int16_t b) /* arithmetic, also where C leaves that open */
{
	return (int16_t)(a < 0 ? ~(~a >> (b & 15)) : a >> (b & 15));
}

/* @def mx_shr_i32 */
static inline int32_t mx_shr_i32(int32_t a, int32_t b) /* arithmetic, also where C leaves that open */
{
	return (int32_t)(a < 0 ? ~(~a >> (b & 31)) : a >> (b & 31));
}

/* @def mx_shr_i64 */
static inline int64_t mx_shr_i64(int64_t a, int64_t b) /* arithmetic, also where C leaves that open */
{
	return (int64_t)(a < 0 ? ~(~a >> (b & 63)) : a >> (b & 63));
}

/* @def mx_popcount_u64 */
static inline uint64_t mx_popcount_u64(uint64_t a)
{
	a -= a >> 1 & 0x5555555555555555u;
	a = (a & 0x3333333333333333u) + (a >> 2 & 0x3333333333333333u);
	return ((a + (a >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56;
}

/* @def mx_popcount_u8 needs mx_popcount_u64 */
static inline uint8_t mx_popcount_u8(uint8_t a)
{
	return (uint8_t)mx_popcount_u64(a);
}

/* @def mx_popcount_u16 needs mx_popcount_u64 */
static inline uint16_t mx_popcount_u16(uint16_t a)
{
	return (uint16_t)mx_popcount_u64(a);
}

/* @def mx_popcount_u32 needs mx_popcount_u64 */
static inline uint32_t mx_popcount_u32(uint32_t a)
{
	return (uint32_t)mx_popcount_u64(a);
}

/* @def mx_popcount_i8 needs mx_popcount_u64 */
static inline int8_t mx_popcount_i8(int8_t a)
{
	return (int8_t)mx_popcount_u64((uint8_t)a);
}

/* @def mx_popcount_i16 needs mx_popcount_u64 */
static inline int16_t mx_popcount_i16(int16_t a)
{
	return (int16_t)mx_popcount_u64((uint16_t)a);
}

/* @def mx_popcount_i32 needs mx_popcount_u64 */
static inline int32_t mx_popcount_i32(int32_t a)
{
	return (int32_t)mx_popcount_u64((uint32_t)a);
}

/* @def mx_popcount_i64 needs mx_popcount_u64 */
static inline int64_t mx_popcount_i64(int64_t a)
{
	return (int64_t)mx_popcount_u64((uint64_t)a);
}

/* @def mx_abs_u8 */
static inline uint8_t mx_abs_u8(uint8_t a)
{
	return a;
}

/* @def mx_abs_u16 */
static inline uint16_t mx_abs_u16(uint16_t a)
{
	return a;
}

/* @def mx_abs_u32 */
static inline uint32_t mx_abs_u32(uint32_t a)
{
	return a;
}

/* @def mx_abs_u64 */
static inline uint64_t mx_abs_u64(uint64_t a)
{
	return a;
}

/* @def mx_abs_i8 */
static inline int8_t mx_abs_i8(int8_t a) /* of the least value: itself */
{
	return a < 0 ? (int8_t)(0 - (uint32_t)a) : a;
}

/* @def mx_abs_i16 */
static inline int16_t mx_abs_i16(int16_t a) /* of the least value: itself */
{
	return a < 0 ? (int16_t)(0 - (uint32_t)a) : a;
}

/* @def mx_abs_i32 */
static inline int32_t mx_abs_i32(int32_t a) /* of the least value: itself */
{
	return a < 0 ? (int32_t)(0 - (uint32_t)a) : a;
}

/* @def mx_abs_i64 */
static inline int64_t mx_abs_i64(int64_t a) /* of the least value: itself */
{
	return a < 0 ? (int64_t)(0 - (uint64_t)a) : a;
}

/* @def mx_sign_u8 */
static inline uint8_t mx_sign_u8(uint8_t a)
{
	return a > 0;
}

/* @def mx_sign_u16 */
static inline uint16_t mx_sign_u16(uint16_t a)
{
	return a > 0;
}

/* @def mx_sign_u32 */
static inline uint32_t mx_sign_u32(uint32_t a)
{
	return a > 0;
}

/* @def mx_sign_u64 */
static inline uint64_t mx_sign_u64(uint64_t a)
{
	return a > 0;
}

/* @def mx_sign_i8 */
static inline int8_t mx_sign_i8(int8_t a)
{
	return (int8_t)((a > 0) - (a < 0));
}

/* @def mx_sign_i16 */
static inline int16_t mx_sign_i16(int16_t a)
{
	return (int16_t)((a > 0) - (a < 0));
}

/* @def mx_sign_i32 */
static inline int32_t mx_sign_i32(int32_t a)
{
	return (int32_t)((a > 0) - (a < 0));
}

/* @def mx_sign_i64 */
static inline int64_t mx_sign_i64(int64_t a)
{
	return (int64_t)((a > 0) - (a < 0));
}

/* @def mx_clamp */
static inline ptrdiff_t mx_clamp(ptrdiff_t i, ptrdiff_t lo, ptrdiff_t hi)
{
	return i > hi ? (hi > lo ? hi : lo) : i < lo ? lo : i;
}

/* @def mx_floordiv */
static inline ptrdiff_t mx_floordiv(ptrdiff_t a, ptrdiff_t b) /* of dimensions; b > 0 */
{
	return a / b - (a % b < 0);
}

/* ---- floats ---- */

/* @def mx_max_f32 */
static inline float mx_max_f32(float a, float b) /* nan wins; of equals b */
{
	const float greater = a > b ? a : b; /* one instruction, no branch */
	return a != a ? a : greater;
}

/* @def mx_min_f32 */
static inline float mx_min_f32(float a, float b)
{
	const float less = a < b ? a : b; /* one instruction, no branch */
	return a != a ? a : less;
}

/* @def mx_rint_f32 */
static inline float mx_rint_f32(float a) /* half to even, the default rounding mode */
{
	return rintf(a);
}

/* @def mx_sign_f32 */
static inline float mx_sign_f32(float a) /* 0 for nan */
{
	return (float)((a > 0) - (a < 0));
}

/* @def mx_sign_f64 */
static inline double mx_sign_f64(double a) /* 0 for nan */
{
	return (double)((a > 0) - (a < 0));
}

/* @def mx_max_f64 */
static inline double mx_max_f64(double a, double b) /* nan wins; of equals b */
{
	const double greater = a > b ? a : b; /* one instruction, no branch */
	return a != a ? a : greater;
}

/* @def mx_min_f64 */
static inline double mx_min_f64(double a, double b)
{
	const double less = a < b ? a : b; /* one instruction, no branch */
	return a != a ? a : less;
}

/* @def mx_rem_f64 */
static inline double mx_rem_f64(double a, double b)
{
	double r = fmod(a, b);
	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* @def mx_rint_f64 */
static inline double mx_rint_f64(double a) /* half to even, the default rounding mode */
{
	return rint(a);
}

/* @def mx_sigmoid_f64 */
static inline double mx_sigmoid_f64(double a) /* the exponential never overflows */
{
	double e = exp(-fabs(a));
	return (a < 0 ? e : 1) / (1 + e);
}

/* @def mx_normal_cdf_f64 */
static inline double mx_normal_cdf_f64(double a)
{
	return 0.5 * erfc(a * -0.70710678118654752);
}

/* @def mx_logaddexp_f64 */
static inline double mx_logaddexp_f64(double a, double b)
{
	if (a == b) return a + 0.69314718055994531; /* infinities too */
	double d = a - b;
	return d > 0 ? a + log1p(exp(-d)) : b + log1p(exp(d));
}

/* @def mx_erfinv_f64 */
/* M. J. Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988): the normal quantile z(p) to 1 part in 1e16, here as
 * erfinv(x) = z((1 + x) / 2) / sqrt(2). 1 - |x| is exact where it is used, so nothing is lost near +-1. */
static inline double mx_erfinv_f64(double x)
{
	double r, num, den;
	if (fabs(x) <= 0.85) {
		r = 0.180625 - 0.25 * x * x;
		num = ((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r + 45921.953931549871457) * r +
		         13731.693765509461125) *
		            r +
		        1971.5909503065514427) *
		           r +
		       133.14166789178437745) *
		          r +
		      3.387132872796366608;
		den = ((((((5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061) * r + 21213.794301586595867) * r +
		         5394.1960214247511077) *
		            r +
		        687.1870074920579083) *
		           r +
		       42.313330701600911252) *
		          r +
		      1;
		return 0.70710678118654752 * (0.5 * x * num / den);
	}
	if (!(fabs(x) < 1)) return fabs(x) == 1 ? x * INFINITY : NAN;
	r = sqrt(-log(0.5 * (1 - fabs(x))));
	if (r <= 5) {
		r -= 1.6;
		num =
		    ((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r +
		       3.64784832476320460504) *
		          r +
		      5.7694972214606914055) *
		         r +
		     4.6303378461565452959) *
		        r +
		    1.42343711074968357734;
		den = ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r + 0.0151986665636164571966) * r + 0.14810397642748007459) *
		             r +
		         0.68976733498510000455) *
		            r +
		        1.6763848301838038494) *
		           r +
		       2.05319162663775882187) *
		          r +
		      1;
	} else {
		r -= 5;
		num = ((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 0.0012426609473880784386) * r +
		          0.026532189526576123093) *
		             r +
		         0.29656057182850489123) *
		            r +
		        1.7848265399172913358) *
		           r +
		       5.4637849111641143699) *
		          r +
		      6.6579046435011037772;
		den = ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r + 1.8463183175100546818e-5) * r +
		          7.868691311456132591e-4) *
		             r +
		         0.0148753612908506148525) *
		            r +
		        0.1369298809227358053) *
		           r +
		       0.59983220655588793769) *
		          r +
		      1;
	}
	return copysign(0.70710678118654752 * num / den, x);
}

/* ---- conversions. Float to integer truncates and saturates, nan gives 0; integer to integer is a C cast; to bool is x != 0 ---- */

/* @def mx_u8_from_f32 */
static inline uint8_t mx_u8_from_f32(float x)
{
	if (!(x > 0)) return 0;
	return x >= 256.0f ? UINT8_MAX : (uint8_t)x;
}

/* @def mx_u16_from_f32 */
static inline uint16_t mx_u16_from_f32(float x)
{
	if (!(x > 0)) return 0;
	return x >= 65536.0f ? UINT16_MAX : (uint16_t)x;
}

/* @def mx_u32_from_f32 */
static inline uint32_t mx_u32_from_f32(float x)
{
	if (!(x > 0)) return 0;
	return x >= 4294967296.0f ? UINT32_MAX : (uint32_t)x;
}

/* @def mx_u64_from_f32 */
static inline uint64_t mx_u64_from_f32(float x)
{
	if (!(x > 0)) return 0;
	return x >= 18446744073709551616.0f ? UINT64_MAX : (uint64_t)x;
}

/* @def mx_i8_from_f32 */
static inline int8_t mx_i8_from_f32(float x)
{
	if (x != x) return 0;
	if (x >= 128.0f) return INT8_MAX;
	return x < -128.0f ? INT8_MIN : (int8_t)x;
}

/* @def mx_i16_from_f32 */
static inline int16_t mx_i16_from_f32(float x)
{
	if (x != x) return 0;
	if (x >= 32768.0f) return INT16_MAX;
	return x < -32768.0f ? INT16_MIN : (int16_t)x;
}

/* @def mx_i32_from_f32 */
static inline int32_t mx_i32_from_f32(float x)
{
	if (x != x) return 0;
	if (x >= 2147483648.0f) return INT32_MAX;
	return x < -2147483648.0f ? INT32_MIN : (int32_t)x;
}

/* @def mx_i64_from_f32 */
static inline int64_t mx_i64_from_f32(float x)
{
	if (x != x) return 0;
	if (x >= 9223372036854775808.0f) return INT64_MAX;
	return x < -9223372036854775808.0f ? INT64_MIN : (int64_t)x;
}

/* @def mx_u8_from_f64 */
static inline uint8_t mx_u8_from_f64(double x)
{
	if (!(x > 0)) return 0;
	return x >= 256.0 ? UINT8_MAX : (uint8_t)x;
}

/* @def mx_u16_from_f64 */
static inline uint16_t mx_u16_from_f64(double x)
{
	if (!(x > 0)) return 0;
	return x >= 65536.0 ? UINT16_MAX : (uint16_t)x;
}

/* @def mx_u32_from_f64 */
static inline uint32_t mx_u32_from_f64(double x)
{
	if (!(x > 0)) return 0;
	return x >= 4294967296.0 ? UINT32_MAX : (uint32_t)x;
}

/* @def mx_u64_from_f64 */
static inline uint64_t mx_u64_from_f64(double x)
{
	if (!(x > 0)) return 0;
	return x >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)x;
}

/* @def mx_i8_from_f64 */
static inline int8_t mx_i8_from_f64(double x)
{
	if (x != x) return 0;
	if (x >= 128.0) return INT8_MAX;
	return x < -128.0 ? INT8_MIN : (int8_t)x;
}

/* @def mx_i16_from_f64 */
static inline int16_t mx_i16_from_f64(double x)
{
	if (x != x) return 0;
	if (x >= 32768.0) return INT16_MAX;
	return x < -32768.0 ? INT16_MIN : (int16_t)x;
}

/* @def mx_i32_from_f64 */
static inline int32_t mx_i32_from_f64(double x)
{
	if (x != x) return 0;
	if (x >= 2147483648.0) return INT32_MAX;
	return x < -2147483648.0 ? INT32_MIN : (int32_t)x;
}

/* @def mx_i64_from_f64 */
static inline int64_t mx_i64_from_f64(double x)
{
	if (x != x) return 0;
	if (x >= 9223372036854775808.0) return INT64_MAX;
	return x < -9223372036854775808.0 ? INT64_MIN : (int64_t)x;
}

/* @def mx_f32_from_bf16 */
static inline float mx_f32_from_bf16(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

/* @def mx_bf16_from_f32 */
static inline uint16_t mx_bf16_from_f32(float f) /* nearest even; a nan stays one and keeps its sign */
{
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	if (f != f) return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* @def mx_f32_from_f16 */
static inline float mx_f32_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, u = sign | (uint32_t)(h & 0x7fff) << 13;
	float f;
	if (exp == 0) { /* zero or subnormal: 2^-24 units, exact */
		f = (float)(h & 0x3ff) * 5.9604644775390625e-8f;
		return sign ? -f : f;
	}
	u += exp == 31 ? 0x70000000u : 0x38000000u;
	memcpy(&f, &u, sizeof f);
	return f;
}

/* @def mx_f16_from_f32 */
static inline uint16_t mx_f16_from_f32(float f) /* nearest even, overflow to infinity; a nan stays one and keeps its sign */
{
	uint32_t u, sign, man;
	memcpy(&u, &f, sizeof u);
	sign = u >> 16 & 0x8000;
	u &= 0x7fffffff;
	if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x3ff));
	if (u >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
	if (u >= 0x38800000) return (uint16_t)(sign | (u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13);
	if (u < 0x33000000) return (uint16_t)sign;
	man = (u & 0x7fffff) | 0x800000; /* subnormal result: units of 2^-24 */
	u = 126 - (u >> 23);
	return (uint16_t)(sign | (man + (((uint32_t)1 << (u - 1)) - 1) + (man >> u & 1)) >> u);
}

/* @def mx_f32_odd_from_f64 */
/* Rounds to odd: a following rounding to f16 or bf16 is then the only one (Boldo, Melquiond: "When double rounding is odd", 2005). */
static inline float mx_f32_odd_from_f64(double x)
{
	float f = (float)x;
	uint32_t u;
	if ((double)f == x || x != x) return f;
	memcpy(&u, &f, sizeof u);
	if (fabs((double)f) > fabs(x)) u--; /* towards zero; from infinity to the largest finite */
	u |= 1;
	memcpy(&f, &u, sizeof f);
	return f;
}

/* @def mx_f16_from_f64 needs mx_f16_from_f32 mx_f32_odd_from_f64 */
static inline uint16_t mx_f16_from_f64(double x)
{
	return mx_f16_from_f32(mx_f32_odd_from_f64(x));
}

/* @def mx_bf16_from_f64 needs mx_bf16_from_f32 mx_f32_odd_from_f64 */
static inline uint16_t mx_bf16_from_f64(double x)
{
	return mx_bf16_from_f32(mx_f32_odd_from_f64(x));
}

/* ---- random bits ---- */

/* @def mx_threefry2x32 */
/* Threefry-2x32, 20 rounds: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). The two counters are replaced by
 * two words of random bits. */
static inline void mx_threefry2x32(uint32_t k0, uint32_t k1, uint32_t *c0, uint32_t *c1)
{
	static const unsigned char rotation[8] = {13, 15, 26, 6, 17, 29, 16, 24};
	uint32_t key[3], x = *c0 + k0, y = *c1 + k1;
	key[0] = k0;
	key[1] = k1;
	key[2] = k0 ^ k1 ^ 0x1bd11bda;
	for (unsigned g = 0; g < 5; g++) {
		for (unsigned r = 0; r < 4; r++) {
			unsigned s = rotation[g % 2 * 4 + r];
			x += y;
			y = (y << s | y >> (32 - s)) ^ x;
		}
		x += key[(g + 1) % 3];
		y += key[(g + 2) % 3] + g + 1;
	}
	*c0 = x;
	*c1 = y;
}

/* ---- unsigned integers in the order of sort: -0 = 0, nan last ---- */

/* @def mx_key_i32 */
static inline uint32_t mx_key_i32(int32_t a)
{
	return (uint32_t)a ^ 0x80000000u;
}

/* @def mx_key_i64 */
static inline uint64_t mx_key_i64(int64_t a)
{
	return (uint64_t)a ^ UINT64_C(0x8000000000000000);
}

/* @def mx_key_f32 */
static inline uint32_t mx_key_f32(float a)
{
	uint32_t u;
	a += 0.0f; /* -0 becomes 0 */
	memcpy(&u, &a, sizeof u);
	return a != a ? UINT32_MAX : u ^ (0x80000000u | (0 - (u >> 31)));
}

/* @def mx_key_f64 */
static inline uint64_t mx_key_f64(double a)
{
	uint64_t u;
	a += 0.0;
	memcpy(&u, &a, sizeof u);
	return a != a ? UINT64_MAX : u ^ (UINT64_C(0x8000000000000000) | (0 - (u >> 63)));
}

/* @end */
#endif
