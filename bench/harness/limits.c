/* What this machine can do at most, for the column "of the limit": fused multiply-adds per second, exp per second, bytes per second by footprint
 * (triad a = b + s*c). GNU vectors, built with -O2 -march=native; each thread of the caller runs one of these on its own CPU. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define W 16
#elif defined(__AVX__)
#define W 8
#else
#define W 4
#endif
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef float uvf __attribute__((vector_size(4 * W), aligned(4), may_alias));

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Floating-point operations per second of 24 independent multiply-adds. */
double limit_fma(double seconds, float seed) {
	vf a = {0}, b = {0};
	a += 1.0f + seed * 1e-9f;
	b += seed * 1e-9f;
#define ACC(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23)
#define DECLARE(i) vf c##i = b + (float)i;
#define STEP(i) c##i = c##i * a + b;
#define SUM(i) sum += c##i;
	ACC(DECLARE)
	double best = 0, end = now() + seconds;
	do {
		double start = now();
		for (int i = 0; i < 20000; i++) {
			ACC(STEP)
			__asm__ volatile("" ::: "memory");
		}
		double rate = 20000.0 * 24 * 2 * W / (now() - start);
		best = rate > best ? rate : best;
	} while (now() < end);
	vf sum = {0};
	ACC(SUM)
	volatile float sink = sum[0];
	(void)sink;
	return best;
}

/* exp of the Cephes form on values in cache: a yardstick for loops bound by transcendentals, not a proven optimum. */
static inline vf exp_vector(vf x) {
	vf t = x * 0x1.715476p+0f + 0x1.8p23f, k = t - 0x1.8p23f;
	vi n = (vi)t - 0x4b400000;
	vf r = x - k * 0.693145751953125f;
	r = r - k * 1.428606765330187e-06f;
	vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	return p * (vf)((n + 127) << 23);
}

double limit_exp(double seconds, float *x, size_t n) {
	double best = 0, end = now() + seconds;
	do {
		double start = now();
		for (int round = 0; round < 200; round++) {
			for (size_t i = 0; i + 2 * W <= n; i += 2 * W) {
				*(uvf *)(x + i) = exp_vector(-*(uvf *)(x + i));
				*(uvf *)(x + i + W) = exp_vector(-*(uvf *)(x + i + W));
			}
			__asm__ volatile("" ::: "memory");
		}
		double rate = 200.0 * (double)n / (now() - start);
		best = rate > best ? rate : best;
	} while (now() < end);
	return best;
}

/* Bytes per second: of a triad (two read, one written, 12 bytes an element), and of reading alone. */
double limit_triad(double seconds, float *a, const float *b, const float *c, size_t n) {
	double best = 0, end = now() + seconds;
	do {
		double start = now();
		size_t rounds = 1 + 400000 / n;
		for (size_t r = 0; r < rounds; r++) {
			for (size_t i = 0; i + W <= n; i += W) {
				*(uvf *)(a + i) = *(const uvf *)(b + i) + 3.0f * *(const uvf *)(c + i);
			}
			__asm__ volatile("" ::: "memory");
		}
		double rate = 12.0 * (double)n * (double)rounds / (now() - start);
		best = rate > best ? rate : best;
	} while (now() < end);
	return best;
}

double limit_read(double seconds, const float *a, size_t n) {
	double best = 0, end = now() + seconds;
	vf s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
	do {
		double start = now();
		size_t rounds = 1 + 400000 / n;
		for (size_t r = 0; r < rounds; r++) {
			for (size_t i = 0; i + 4 * W <= n; i += 4 * W) {
				__builtin_prefetch(a + i + 1024);
				__builtin_prefetch(a + i + 1024 + W);
				__builtin_prefetch(a + i + 1024 + 2 * W);
				__builtin_prefetch(a + i + 1024 + 3 * W);
				s0 += *(const uvf *)(a + i);
				s1 += *(const uvf *)(a + i + W);
				s2 += *(const uvf *)(a + i + 2 * W);
				s3 += *(const uvf *)(a + i + 3 * W);
			}
			__asm__ volatile("" ::: "memory");
		}
		double rate = 4.0 * (double)n * (double)rounds / (now() - start);
		best = rate > best ? rate : best;
	} while (now() < end);
	volatile float sink = (s0 + s1 + s2 + s3)[0];
	(void)sink;
	return best;
}
