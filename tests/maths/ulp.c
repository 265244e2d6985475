/* ulp NAME STEP [OFFSET]: the largest error of a routine of kernels/maths.h over every STEP-th float, from OFFSET on, in units of the last
 * place of the result, against libm in double; and that lanes have the bits of the scalar routine. UNDER_TEST is what irtool prints for
 * the routines (tests/test_maths.py builds it). Prints: name, max ULP, where, number of wrong special values, of lanes that differ, and a
 * sum of all scalar results, which is the same however the program was compiled as long as nothing is contracted. */
#include UNDER_TEST
#include <stdio.h>
#include <stdlib.h>

typedef struct Routine {
	const char *name;
	float (*scalar)(float);
	void (*lanes)(const float *, float *);
	double (*exact)(double);
	float lo, hi; /* compared here only */
} Routine;

static double exact_sigmoid(double x)
{
	return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double exact_normal_cdf(double x)
{
	return erfc(x * -0.70710678118654752440) / 2;
}

/* Newton from AS 241 on erfc, which keeps its relative precision towards 1. */
static double exact_erfinv(double x)
{
	double a = fabs(x), y = mx_erfinv_f64(a);
	if (!(a < 1)) return a == 1 ? x * INFINITY : NAN;
	if (a > 0.25)
		for (int i = 0; i < 2; i++) y += (erfc(y) - (1 - a)) * 0.88622692545275801 * exp(y * y);
	else
		for (int i = 0; i < 2; i++) y -= (erf(y) - a) * 0.88622692545275801 * exp(y * y);
	return copysign(y, x);
}

#define ALL -INFINITY, INFINITY
#define ROUTINES(X)                                                                                                                        \
	X(exp, exp, ALL)                                                                                                                       \
	X(exp_neg, exp, -INFINITY, 0)                                                                                                          \
	X(exp_mid, exp, -86, INFINITY)                                                                                                         \
	X(exp2, exp2, ALL)                                                                                                                     \
	X(expm1, expm1, ALL)                                                                                                                   \
	X(log, log, ALL)                                                                                                                       \
	X(log2, log2, ALL)                                                                                                                     \
	X(log10, log10, ALL)                                                                                                                   \
	X(log1p, log1p, ALL)                                                                                                                   \
	X(sin, sin, ALL)                                                                                                                       \
	X(cos, cos, ALL)                                                                                                                       \
	X(tan, tan, ALL)                                                                                                                       \
	X(asin, asin, ALL)                                                                                                                     \
	X(acos, acos, ALL)                                                                                                                     \
	X(atan, atan, ALL)                                                                                                                     \
	X(sinh, sinh, ALL)                                                                                                                     \
	X(cosh, cosh, ALL)                                                                                                                     \
	X(tanh, tanh, ALL)                                                                                                                     \
	X(asinh, asinh, ALL)                                                                                                                   \
	X(acosh, acosh, ALL)                                                                                                                   \
	X(atanh, atanh, ALL)                                                                                                                   \
	X(sigmoid, exact_sigmoid, ALL)                                                                                                         \
	X(erf, erf, ALL)                                                                                                                       \
	X(normal_cdf, exact_normal_cdf, ALL)                                                                                                   \
	X(erfinv, exact_erfinv, ALL)                                                                                                           \
	X(cbrt, cbrt, ALL)                                                                                                                     \
	X(tanh_fast, tanh, ALL)                                                                                                                \
	X(erf_fast, erf, ALL)

#define LANES(name, ...)                                                                                                                   \
	static void lanes_##name(const float *x, float *y)                                                                                     \
	{                                                                                                                                      \
		mx_st_f32(y, mx_##name##_vf(mx_ld_f32(x)));                                                                                        \
	}
ROUTINES(LANES)
static const Routine routines[] = {
#define ROW(name, ...) {#name, mx_##name##_f32, lanes_##name, __VA_ARGS__},
    ROUTINES(ROW)};

/* of y against r; an infinite result must be infinite, or r past the largest float by rounding only */
static double ulps(float y, double r, double least, bool *special)
{
	float f = (float)r;
	int e;
	*special = false;
	if (r != r || isinf(f) || isinf(y) || y != y) {
		bool near_max = fabs(r) >= 0x1.fffffdp127 && fabs(r) <= 0x1.000001p128; /* either side of overflow is within an ULP */
		*special = !((r != r && y != y) || f == y || (near_max && fabs((double)y) >= 0x1.fffffcp127));
		return 0;
	}
	if (r == 0) return *special = y != 0 || !signbit(y) != !signbit(r), 0;
	frexp(r, &e);
	double unit = ldexp(1, e - 24);
	if (unit < least) unit = least;
	return fabs((double)y - r) / unit;
}

int main(int argc, char **argv)
{
	const Routine *t = NULL;
	uint64_t step = argc > 2 ? strtoull(argv[2], NULL, 10) : 97, offset = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
	for (size_t i = 0; argc > 1 && i < sizeof routines / sizeof *routines; i++)
		if (!strcmp(routines[i].name, argv[1])) t = &routines[i];
	if (!t) {
		for (size_t i = 0; i < sizeof routines / sizeof *routines; i++) puts(routines[i].name);
		return 0;
	}
	double worst = 0, least = t->scalar == mx_normal_cdf_f32 ? 0x1p-26 : 0x1p-149; /* the unit at least */
	float where = 0;
	unsigned long wrong = 0, differ = 0;
	uint64_t sum = 0;
	static const uint32_t ends[] = {0,          0x80000000, 1,          0x80000001, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
	                                0x7fc00000, 0x3f800000, 0xbf800000, 0x00800000, 0x80800000, 0x007fffff, 0x4b000000, 0xcb000000};
	const int64_t before = 16 / MX_W; /* vectors of ends, which the sum leaves out */
	for (int64_t v = -before;; v++) {
		const uint64_t u = v < 0 ? (uint64_t)1 << 32 : offset + (uint64_t)v * step * MX_W;
		float x[MX_W], y[MX_W];
		if (v >= 0 && u >= (uint64_t)1 << 32) break;
		for (int j = 0; j < MX_W; j++) {
			uint32_t b = v < 0 ? ends[(v + before) * MX_W + j] : (uint32_t)(u + (uint64_t)j * step);
			memcpy(&x[j], &b, sizeof b);
		}
		t->lanes(x, y);
		for (int j = 0; j < MX_W; j++) {
			float s = t->scalar(x[j]);
			bool special;
			uint32_t b;
			memcpy(&b, &s, sizeof b);
			if (u + (uint64_t)j * step < (uint64_t)1 << 32) sum = (sum ^ (s != s ? 0x7fc00000 : b)) * 0x100000001b3;
			if (memcmp(&s, &y[j], sizeof s) && !(s != s && y[j] != y[j]) && differ++ < 3)
				fprintf(stderr, "%s(%a): lane %a, scalar %a\n", t->name, (double)x[j], (double)y[j], (double)s);
			if (x[j] < t->lo || x[j] > t->hi) continue;
			double d = ulps(s, t->exact((double)x[j]), least, &special);
			if (special && wrong++ < 3) fprintf(stderr, "%s(%a) = %a, not %a\n", t->name, (double)x[j], (double)s, t->exact((double)x[j]));
			if (d > worst) worst = d, where = x[j];
		}
	}
	printf("%s %.3f %a %lu %lu %016llx\n", t->name, worst, (double)where, wrong, differ, (unsigned long long)sum);
	return 0;
}
