/* Complex numbers of two floats, copied definition by definition into emitted C as support.h is. Functions beyond the four operations compute
 * in double and round once: no overflow inside, a few f32 ulp at most. */
#ifndef MX_COMPLEX_H
#define MX_COMPLEX_H
#include "support.h"

/* @def mx_c64 */
typedef struct mx_c64 {
	float re, im;
} mx_c64;

/* @def mx_c128 */
typedef struct mx_c128 { /* what c64 functions compute in */
	double re, im;
} mx_c128;

/* @def mx_c64_make needs mx_c64 */
static inline mx_c64 mx_c64_make(float re, float im)
{
	mx_c64 z;
	z.re = re;
	z.im = im;
	return z;
}

/* @def mx_c128_make needs mx_c128 */
static inline mx_c128 mx_c128_make(double re, double im)
{
	mx_c128 z;
	z.re = re;
	z.im = im;
	return z;
}

/* @def mx_c64_round_c128 needs mx_c64 mx_c64_make mx_c128 */
static inline mx_c64 mx_c64_round_c128(mx_c128 z)
{
	return mx_c64_make((float)z.re, (float)z.im);
}

/* @def mx_c128_of needs mx_c64 mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_of(mx_c64 z)
{
	return mx_c128_make(z.re, z.im);
}

/* @def mx_c64_add needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_add(mx_c64 a, mx_c64 b)
{
	return mx_c64_make(a.re + b.re, a.im + b.im);
}

/* @def mx_c64_sub needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_sub(mx_c64 a, mx_c64 b)
{
	return mx_c64_make(a.re - b.re, a.im - b.im);
}

/* @def mx_c64_mul needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_mul(mx_c64 a, mx_c64 b)
{
	return mx_c64_make(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

/* @def mx_c64_div needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_div(mx_c64 a, mx_c64 b)
{
	double c = b.re, d = b.im, n = c * c + d * d;
	if (n == 0) return mx_c64_make(a.re / b.re, a.im / b.re);
	return mx_c64_make((float)((a.re * c + a.im * d) / n), (float)((a.im * c - a.re * d) / n));
}

/* @def mx_c64_neg needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_neg(mx_c64 a)
{
	return mx_c64_make(-a.re, -a.im);
}

/* @def mx_c64_conj needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_conj(mx_c64 a)
{
	return mx_c64_make(a.re, -a.im);
}

/* @def mx_c64_eq needs mx_c64 */
static inline bool mx_c64_eq(mx_c64 a, mx_c64 b)
{
	return a.re == b.re && a.im == b.im;
}

/* @def mx_c64_lt needs mx_c64 */
static inline bool mx_c64_lt(mx_c64 a, mx_c64 b)
{
	return a.re < b.re || (a.re == b.re && a.im < b.im);
}

/* @def mx_c64_le needs mx_c64 */
static inline bool mx_c64_le(mx_c64 a, mx_c64 b)
{
	return a.re < b.re || (a.re == b.re && a.im <= b.im);
}

/* @def mx_c64_isnan needs mx_c64 */
static inline bool mx_c64_isnan(mx_c64 a)
{
	return a.re != a.re || a.im != a.im;
}

/* @def mx_c64_isinf needs mx_c64 */
static inline bool mx_c64_isinf(mx_c64 a)
{
	return fabsf(a.re) == INFINITY || fabsf(a.im) == INFINITY;
}

/* @def mx_c64_max needs mx_c64 mx_c64_lt mx_c64_isnan */
static inline mx_c64 mx_c64_max(mx_c64 a, mx_c64 b) /* in lexicographic order; nan wins */
{
	return mx_c64_lt(b, a) || mx_c64_isnan(a) ? a : b;
}

/* @def mx_c64_min needs mx_c64 mx_c64_lt mx_c64_isnan */
static inline mx_c64 mx_c64_min(mx_c64 a, mx_c64 b)
{
	return mx_c64_lt(a, b) || mx_c64_isnan(a) ? a : b;
}

/* @def mx_c64_abs needs mx_c64 */
static inline float mx_c64_abs(mx_c64 a)
{
	return hypotf(a.re, a.im);
}

/* @def mx_c64_sign needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_sign(mx_c64 a)
{
	double n = hypot(a.re, a.im);
	return n == 0 ? a : mx_c64_make((float)(a.re / n), (float)(a.im / n));
}

/* @def mx_c64_round needs mx_c64 mx_c64_make */
static inline mx_c64 mx_c64_round(mx_c64 a)
{
	return mx_c64_make(rintf(a.re), rintf(a.im));
}

/* @def mx_c128_exp needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_exp(mx_c128 z)
{
	if (z.im == 0) return mx_c128_make(exp(z.re), z.im);
	if (z.re == -INFINITY) return mx_c128_make(0, 0);
	double e = exp(z.re);
	return mx_c128_make(e * cos(z.im), e * sin(z.im));
}

/* @def mx_c128_log needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_log(mx_c128 z)
{
	double x = fabs(z.re), y = fabs(z.im), r = hypot(x, y);
	if (r > 0.5 && r < 2) r = 0.5 * log1p((x - 1) * (x + 1) + y * y); /* parts have 24 bits: the squares are exact */
	else r = log(r);
	return mx_c128_make(r, atan2(z.im, z.re));
}

/* @def mx_c128_log1p needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_log1p(mx_c128 z)
{
	double t = z.re * (2 + z.re) + z.im * z.im; /* |1 + z|^2 - 1 */
	t = fabs(t) < 0.5 ? 0.5 * log1p(t) : log(hypot(1 + z.re, z.im));
	return mx_c128_make(t, atan2(z.im, 1 + z.re));
}

/* @def mx_c128_sqrt needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_sqrt(mx_c128 z)
{
	double x = z.re, y = z.im, t;
	if (fabs(y) == INFINITY) return mx_c128_make(INFINITY, y);
	if (x == 0 && y == 0) return mx_c128_make(0, y);
	t = sqrt(0.5 * (fabs(x) + hypot(x, y)));
	if (t == INFINITY) return x > 0 ? mx_c128_make(t, y == y ? copysign(0, y) : y) : mx_c128_make(y == y ? 0 : y, copysign(t, y));
	return x >= 0 ? mx_c128_make(t, 0.5 * y / t) : mx_c128_make(0.5 * fabs(y) / t, copysign(t, y));
}

/* @def mx_c128_sinh needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_sinh(mx_c128 z)
{
	if (z.im == 0) return mx_c128_make(sinh(z.re), z.im);
	if (z.re == 0) return mx_c128_make(z.re, sin(z.im));
	return mx_c128_make(sinh(z.re) * cos(z.im), cosh(z.re) * sin(z.im));
}

/* @def mx_c128_cosh needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_cosh(mx_c128 z)
{
	if (z.im == 0) return mx_c128_make(cosh(z.re), z.re < 0 ? -z.im : z.im);
	if (z.re == 0) return mx_c128_make(cos(z.im), z.im < 0 ? -z.re : z.re);
	return mx_c128_make(cosh(z.re) * cos(z.im), sinh(z.re) * sin(z.im));
}

/* @def mx_c128_tanh needs mx_c128 mx_c128_make */
/* W. Kahan, "Branch cuts for complex elementary functions" (1987). */
static inline mx_c128 mx_c128_tanh(mx_c128 z)
{
	if (fabs(z.im) == INFINITY && fabs(z.re) < INFINITY) return mx_c128_make(NAN, NAN);
	if (fabs(z.re) > 22) {
		double w = fabs(z.im) < INFINITY ? 4 * sin(z.im) * cos(z.im) * exp(-2 * fabs(z.re)) : 0;
		return mx_c128_make(copysign(1, z.re), w);
	}
	double t = tan(z.im), beta = 1 + t * t, s = sinh(z.re), rho = sqrt(1 + s * s), n = 1 + beta * s * s;
	return mx_c128_make(beta * rho * s / n, t / n);
}

/* @def mx_c128_asinh needs mx_c128 mx_c128_make mx_c128_sqrt */
/* W. Kahan, as above: asinh(z) = i asin(-iz), with asin's real part as an angle and its imaginary part as an asinh, so that
 * neither cancels. */
static inline mx_c128 mx_c128_asinh(mx_c128 z)
{
	if (fabs(z.re) == INFINITY || fabs(z.im) == INFINITY) return mx_c128_make(copysign(INFINITY, z.re), atan2(z.im, fabs(z.re)));
	mx_c128 p = mx_c128_sqrt(mx_c128_make(1 - z.im, z.re)), q = mx_c128_sqrt(mx_c128_make(1 + z.im, -z.re));
	return mx_c128_make(asinh(q.re * p.im - q.im * p.re), atan2(z.im, p.re * q.re - p.im * q.im));
}

/* @def mx_c128_acos needs mx_c128 mx_c128_make mx_c128_sqrt */
static inline mx_c128 mx_c128_acos(mx_c128 z)
{
	mx_c128 p = mx_c128_sqrt(mx_c128_make(1 - z.re, -z.im)), q = mx_c128_sqrt(mx_c128_make(1 + z.re, z.im));
	return mx_c128_make(2 * atan2(p.re, q.re), asinh(q.re * p.im - q.im * p.re));
}

/* @def mx_c128_acosh needs mx_c128 mx_c128_make mx_c128_sqrt */
static inline mx_c128 mx_c128_acosh(mx_c128 z)
{
	mx_c128 p = mx_c128_sqrt(mx_c128_make(z.re - 1, z.im)), q = mx_c128_sqrt(mx_c128_make(z.re + 1, z.im));
	return mx_c128_make(asinh(p.re * q.re + p.im * q.im), 2 * atan2(p.im, q.re));
}

/* @def mx_c128_atanh needs mx_c128 mx_c128_make */
static inline mx_c128 mx_c128_atanh(mx_c128 z)
{
	double x = fabs(z.re), y = z.im, d = (1 - x) * (1 - x) + y * y; /* odd: of x >= 0 nothing cancels */
	if (fabs(x) == INFINITY || fabs(y) == INFINITY) return mx_c128_make(copysign(0, z.re), copysign(1.5707963267948966, y));
	return mx_c128_make(copysign(0.25 * log1p(4 * x / d), z.re), 0.5 * atan2(2 * y, (1 - x) * (1 + x) - y * y));
}

/* @def mx_c64_exp needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_exp */
static inline mx_c64 mx_c64_exp(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_exp(mx_c128_of(a)));
}

/* @def mx_c64_log needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_log */
static inline mx_c64 mx_c64_log(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_log(mx_c128_of(a)));
}

/* @def mx_c64_log1p needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_log1p */
static inline mx_c64 mx_c64_log1p(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_log1p(mx_c128_of(a)));
}

/* @def mx_c64_sqrt needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_sqrt */
static inline mx_c64 mx_c64_sqrt(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_sqrt(mx_c128_of(a)));
}

/* @def mx_c64_sinh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_sinh */
static inline mx_c64 mx_c64_sinh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_sinh(mx_c128_of(a)));
}

/* @def mx_c64_cosh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_cosh */
static inline mx_c64 mx_c64_cosh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_cosh(mx_c128_of(a)));
}

/* @def mx_c64_tanh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_tanh */
static inline mx_c64 mx_c64_tanh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_tanh(mx_c128_of(a)));
}

/* @def mx_c64_asinh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_asinh */
static inline mx_c64 mx_c64_asinh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_asinh(mx_c128_of(a)));
}

/* @def mx_c64_acosh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_acosh */
static inline mx_c64 mx_c64_acosh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_acosh(mx_c128_of(a)));
}

/* @def mx_c64_atanh needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_atanh */
static inline mx_c64 mx_c64_atanh(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_atanh(mx_c128_of(a)));
}

/* @def mx_c64_acos needs mx_c64 mx_c64_round_c128 mx_c128_of mx_c128_acos */
static inline mx_c64 mx_c64_acos(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_acos(mx_c128_of(a)));
}

/* @def mx_c64_rsqrt needs mx_c64 mx_c64_make mx_c128_of mx_c128_sqrt */
static inline mx_c64 mx_c64_rsqrt(mx_c64 a)
{
	mx_c128 s = mx_c128_sqrt(mx_c128_of(a));
	double n = s.re * s.re + s.im * s.im;
	if (n == 0) return mx_c64_make(INFINITY, NAN);
	if (n == INFINITY) return mx_c64_make(0, a.im < 0 ? 0.0f : -0.0f);
	return mx_c64_make((float)(s.re / n), (float)(-s.im / n));
}

/* @def mx_c64_exp2 needs mx_c64 mx_c64_round_c128 mx_c128_make mx_c128_exp */
static inline mx_c64 mx_c64_exp2(mx_c64 a)
{
	return mx_c64_round_c128(mx_c128_exp(mx_c128_make(0.69314718055994531 * a.re, 0.69314718055994531 * a.im)));
}

/* @def mx_c64_log2 needs mx_c64 mx_c64_make mx_c128_of mx_c128_log */
static inline mx_c64 mx_c64_log2(mx_c64 a)
{
	mx_c128 z = mx_c128_log(mx_c128_of(a));
	return mx_c64_make((float)(1.4426950408889634 * z.re), (float)(1.4426950408889634 * z.im));
}

/* @def mx_c64_log10 needs mx_c64 mx_c64_make mx_c128_of mx_c128_log */
static inline mx_c64 mx_c64_log10(mx_c64 a)
{
	mx_c128 z = mx_c128_log(mx_c128_of(a));
	return mx_c64_make((float)(0.43429448190325183 * z.re), (float)(0.43429448190325183 * z.im));
}

/* @def mx_c64_sin needs mx_c64 mx_c64_make mx_c128_make mx_c128_sinh */
static inline mx_c64 mx_c64_sin(mx_c64 a) /* -i sinh(ia) */
{
	mx_c128 z = mx_c128_sinh(mx_c128_make(-(double)a.im, a.re));
	return mx_c64_make((float)z.im, (float)-z.re);
}

/* @def mx_c64_cos needs mx_c64 mx_c64_round_c128 mx_c128_make mx_c128_cosh */
static inline mx_c64 mx_c64_cos(mx_c64 a) /* cosh(ia) */
{
	return mx_c64_round_c128(mx_c128_cosh(mx_c128_make(-(double)a.im, a.re)));
}

/* @def mx_c64_tan needs mx_c64 mx_c64_make mx_c128_make mx_c128_tanh */
static inline mx_c64 mx_c64_tan(mx_c64 a) /* -i tanh(ia) */
{
	mx_c128 z = mx_c128_tanh(mx_c128_make(-(double)a.im, a.re));
	return mx_c64_make((float)z.im, (float)-z.re);
}

/* @def mx_c64_asin needs mx_c64 mx_c64_make mx_c128_make mx_c128_asinh */
static inline mx_c64 mx_c64_asin(mx_c64 a) /* -i asinh(ia) */
{
	mx_c128 z = mx_c128_asinh(mx_c128_make(-(double)a.im, a.re));
	return mx_c64_make((float)z.im, (float)-z.re);
}

/* @def mx_c64_atan needs mx_c64 mx_c64_make mx_c128_make mx_c128_atanh */
static inline mx_c64 mx_c64_atan(mx_c64 a) /* -i atanh(ia) */
{
	mx_c128 z = mx_c128_atanh(mx_c128_make(-(double)a.im, a.re));
	return mx_c64_make((float)z.im, (float)-z.re);
}

/* @def mx_c64_pow needs mx_c64 mx_c64_make mx_c64_round_c128 mx_c128_of mx_c128_make mx_c128_exp mx_c128_log */
static inline mx_c64 mx_c64_pow(mx_c64 a, mx_c64 b) /* 0^0 = 1 */
{
	if (b.re == 0 && b.im == 0) return mx_c64_make(1, 0);
	if (a.re == 0 && a.im == 0) return b.re > 0 ? mx_c64_make(0, 0) : mx_c64_make(NAN, NAN);
	mx_c128 l = mx_c128_log(mx_c128_of(a));
	return mx_c64_round_c128(mx_c128_exp(mx_c128_make(l.re * b.re - l.im * b.im, l.re * b.im + l.im * b.re)));
}

/* @def mx_c64_logaddexp needs mx_c64 mx_c64_make mx_c64_round_c128 mx_c64_isnan mx_c64_lt mx_c128_make mx_c128_exp mx_c128_log1p */
static inline mx_c64 mx_c64_logaddexp(mx_c64 a, mx_c64 b)
{
	mx_c64 m = mx_c64_lt(a, b) ? b : a, s = mx_c64_lt(a, b) ? a : b;
	if (mx_c64_isnan(a) || mx_c64_isnan(b)) return mx_c64_make(NAN, NAN);
	if (s.re == -INFINITY || m.re == INFINITY) return m;
	mx_c128 e = mx_c128_log1p(mx_c128_exp(mx_c128_make((double)s.re - m.re, (double)s.im - m.im)));
	return mx_c64_round_c128(mx_c128_make(m.re + e.re, m.im + e.im));
}

/* @end */
#endif
