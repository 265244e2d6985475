/* The routines of two operands of kernels/maths.h against libm in double: special values, whole powers, random pairs; lanes against
 * scalars. pairs N: prints a line per routine: name, max ULP (logaddexp: largest error in units of the larger operand's, or of log 2's,
 * last place), where, wrong special values, lanes that differ. */
#include UNDER_TEST
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;
static uint32_t random_u32(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static float random_f32(int kind)
{
	uint32_t u = random_u32();
	float x;
	if (kind == 0) u = (u & 0x007fffff) | (uint32_t)(127 - 3 + u % 7) << 23 | (random_u32() & 0x80000000); /* around 1 */
	if (kind == 1) return (float)(int32_t)(random_u32() % 2001) * 0.5f - 500.0f;
	memcpy(&x, &u, sizeof x);
	return x;
}

static const float special[] = {0.0f,
                                -0.0f,
                                1.0f,
                                -1.0f,
                                2.0f,
                                -2.0f,
                                3.0f,
                                -3.0f,
                                0.5f,
                                -0.5f,
                                1.5f,
                                INFINITY,
                                -INFINITY,
                                NAN,
                                1e-45f,
                                -1e-45f,
                                1.17549435e-38f,
                                3.40282347e38f,
                                -3.40282347e38f,
                                8388607.0f,
                                8388608.0f,
                                -8388609.0f,
                                16777215.0f,
                                16777216.0f,
                                -16777217.0f,
                                4194303.5f,
                                -4194303.5f,
                                1e10f,
                                -1e30f,
                                0.99999994f,
                                1.00000012f,
                                1e-30f,
                                33554432.0f};
enum { SPECIALS = sizeof special / sizeof *special };

static double exact_logaddexp(double a, double b)
{
	if (a == b) return a + 0.69314718055994531;
	double d = a - b;
	return d > 0 ? a + log1p(exp(-d)) : b + log1p(exp(d));
}

static double exact_rem(double a, double b)
{
	double r = fmod(a, b);
	return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

typedef struct Routine {
	const char *name;
	float (*scalar)(float, float);
	void (*lanes)(const float *, const float *, float *);
	double (*exact)(double, double);
} Routine;
#define ROUTINES(X) X(pow, pow) X(atan2, atan2) X(logaddexp, exact_logaddexp) X(rem, exact_rem) X(fmod, fmod)
#define LANES(name, exact)                                                                                                                 \
	static void lanes_##name(const float *x, const float *y, float *z)                                                                     \
	{                                                                                                                                      \
		mx_st_f32(z, mx_##name##_vf(mx_ld_f32(x), mx_ld_f32(y)));                                                                          \
	}
ROUTINES(LANES)
static const Routine routines[] = {
#define ROW(name, exact) {#name, mx_##name##_f32, lanes_##name, exact},
    ROUTINES(ROW)};

typedef struct Score {
	double worst;
	float x, y;
	unsigned long wrong, differ;
} Score;

static void compare(const Routine *t, Score *s, float x, float y, float got)
{
	const double r = t->exact((double)x, (double)y);
	const float f = (float)r;
	int e;
	bool wrong = false;
	if (f != f || isinf(f) || isinf(got) || got != got) {
		const bool near_max = fabs(r) >= 0x1.fffffcp127 && fabs(r) <= 0x1.000002p128;
		wrong = !((f != f && got != got) || f == got || (near_max && fabs((double)got) >= 0x1.fffff8p127));
	} else if (r == 0) {
		wrong = got != 0 || !signbit(got) != !signbit(r);
	} else {
		const double scale = !strcmp(t->name, "logaddexp") ? fmax(fabs((double)x), fmax(fabs((double)y), 0.69)) : r;
		frexp(scale, &e);
		double unit = ldexp(1, e - 24);
		if (unit < 0x1p-149) unit = 0x1p-149;
		const double d = fabs((double)got - r) / unit;
		if (d > s->worst) s->worst = d, s->x = x, s->y = y;
	}
	if (wrong && s->wrong++ < 5) fprintf(stderr, "%s(%a, %a) = %a, not %a\n", t->name, (double)x, (double)y, (double)got, r);
}

static void run(const Routine *t, Score *s, const float *x, const float *y)
{
	float z[MX_W];
	t->lanes(x, y, z);
	for (int j = 0; j < MX_W; j++) {
		const float got = t->scalar(x[j], y[j]);
		if (memcmp(&got, &z[j], sizeof got) && !(got != got && z[j] != z[j]) && s->differ++ < 5)
			fprintf(stderr, "%s(%a, %a): lane %a, scalar %a\n", t->name, (double)x[j], (double)y[j], (double)z[j], (double)got);
		compare(t, s, x[j], y[j], got);
	}
}

/* Powers that are floats: whole numbers to small whole powers, powers of two, square roots of squares. */
static void exact_powers(Score *s)
{
	for (int a = -64; a <= 64; a++)
		for (int b = -20; b <= 20; b++) {
			const double r = pow(a, b);
			if ((double)(float)r == r && mx_pow_f32((float)a, (float)b) != (float)r && s->wrong++ < 5)
				fprintf(stderr, "pow(%d, %d) = %a, not %a\n", a, b, (double)mx_pow_f32((float)a, (float)b), r);
		}
	for (int a = 1; a <= 4000; a++)
		if (mx_pow_f32((float)(a * a), 0.5f) != (float)a && s->wrong++ < 5)
			fprintf(stderr, "pow(%d, 0.5) = %a\n", a * a, (double)mx_pow_f32((float)(a * a), 0.5f));
	for (int a = 1; a <= 4000; a++)
		if (mx_pow_f32((float)a, 2.0f) != (float)(a * a) && s->wrong++ < 5)
			fprintf(stderr, "pow(%d, 2) = %a\n", a, (double)mx_pow_f32((float)a, 2.0f));
}

int main(int argc, char **argv)
{
	const long n = argc > 1 ? atol(argv[1]) : 1000000;
	for (size_t i = 0; i < sizeof routines / sizeof *routines; i++) {
		const Routine *t = &routines[i];
		Score s = {0};
		float x[MX_W], y[MX_W];
		for (int k = 0; k < SPECIALS; k++)
			for (int m = 0; m < SPECIALS; m++) {
				for (int j = 0; j < MX_W; j++) x[j] = special[k], y[j] = special[(m + j) % SPECIALS];
				run(t, &s, x, y);
			}
		if (!strcmp(t->name, "pow")) exact_powers(&s);
		for (long k = 0; k < n; k += MX_W) {
			const int kind = (int)(k / MX_W % 4);
			for (int j = 0; j < MX_W; j++) x[j] = random_f32(kind == 3 ? 0 : kind), y[j] = random_f32(kind == 3 ? 2 : kind);
			if (!strcmp(t->name, "pow") && kind != 2) /* where the result is finite: b = up to 127 / log2|a| */
				for (int j = 0; j < MX_W; j++) {
					x[j] = kind ? x[j] : fabsf(x[j]);
					if (x[j] != 0 && fabsf(x[j]) != 1)
						y[j] = (float)((double)(int32_t)random_u32() * 0x1p-31 * 150 / log2(fabs((double)x[j])));
				}
			run(t, &s, x, y);
		}
		printf("%s %.3f (%a,%a) %lu %lu\n", t->name, s.worst, (double)s.x, (double)s.y, s.wrong, s.differ);
	}
	return 0;
}
