/* Counting kernels, for programs compiled with --profile: the clock, what a kernel's row gets, and the table as text without stdio.
 * mx_count, mx_counted are declared in the emitted header. */
#ifndef MX_PROFILE_H
#define MX_PROFILE_H

/* @def MX_CLOCK */
/* A count of MX_CLOCK_HZ ticks in a second; define both to use another clock, a cycle counter say. */
#ifndef MX_CLOCK
#if defined __unix__ || defined __APPLE__
#include <time.h>
static uint64_t mx_clock(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
#define MX_CLOCK() mx_clock()
#else
#define MX_CLOCK() ((uint64_t)0)
#endif
#endif
#ifndef MX_CLOCK_HZ
#define MX_CLOCK_HZ 1e9
#endif

/* @def mx_note needs MX_CLOCK */
static void mx_note(mx_count *c, uint64_t from, double bytes, double flops)
{
	c->calls++;
	c->ticks += (uint64_t)MX_CLOCK() - from;
	c->bytes += bytes;
	c->flops += flops;
}

/* @def mx_text */
/* Text that is being written: at[0..room) gets what fits, n counts all. */
typedef struct mx_text {
	char *at;
	size_t n, room;
} mx_text;

/* @def mx_put needs mx_text */
/* s in a column of that width: at its left, or its right where width is negative. */
static void mx_put(mx_text *t, const char *s, int width)
{
	const int n = (int)strlen(s), pad = (width < 0 ? -width : width) - n;
	for (int i = width < 0 ? -pad : 0; i < n + (width < 0 || pad < 0 ? 0 : pad); i++, t->n++)
		if (t->n + 1 < t->room) t->at[t->n] = i >= 0 && i < n ? s[i] : ' ';
}

/* @def mx_put_number needs mx_put */
/* x with that many decimals in a column, at its right. */
static void mx_put_number(mx_text *t, double x, int decimals, int width)
{
	char s[32];
	int n = 31;
	double scaled = x;
	for (int i = 0; i < decimals; i++) scaled *= 10.0;
	uint64_t v = scaled < 1e18 ? (uint64_t)(scaled + 0.5) : (uint64_t)1000000000000000000u;
	s[n] = 0;
	for (int i = 0; i <= decimals || v; i++, v /= 10u) {
		if (i == decimals && decimals) s[--n] = '.';
		s[--n] = (char)('0' + (int)(v % 10u));
	}
	mx_put(t, s + n, -width);
}

/* @def mx_profile_text needs mx_put_number MX_CLOCK */
/* The table: kernels by their place in the program; limit: the share of its time that a kernel's bytes or operations need at least on a
 * machine of `gbytes` GB/s and `gflops` GFLOP/s, left out where these are 0. Returns the length of the whole text. */
static size_t mx_profile_text(const mx_count *c, const mx_counted *k, ptrdiff_t n, double gbytes, double gflops, char *text, size_t room)
{
	mx_text t = {text, 0, room};
	double all = 0.0;
	int name = 6, place = 4;
	for (ptrdiff_t i = 0; i < n; i++) {
		all += (double)c[i].ticks;
		if ((int)strlen(k[i].name) > name) name = (int)strlen(k[i].name);
		if ((int)strlen(k[i].place) > place) place = (int)strlen(k[i].place);
	}
	mx_put(&t, "kernel", name + 2), mx_put(&t, "line", place);
	mx_put(&t, "calls", -10), mx_put(&t, "us/call", -12), mx_put(&t, "%", -7), mx_put(&t, "GB/s", -9), mx_put(&t, "GFLOP/s", -9);
	if (gbytes > 0.0) mx_put(&t, "limit", -8);
	mx_put(&t, "\n", 0);
	for (ptrdiff_t i = 0; i < n; i++) {
		const double seconds = (double)c[i].ticks / (double)MX_CLOCK_HZ, calls = (double)c[i].calls, gb = 1e-9 * c[i].bytes, gf = 1e-9 * c[i].flops;
		if (!c[i].calls) continue;
		mx_put(&t, k[i].name, name + 2), mx_put(&t, k[i].place, place);
		mx_put_number(&t, calls, 0, 10);
		mx_put_number(&t, 1e6 * seconds / calls, 2, 12);
		mx_put_number(&t, all > 0.0 ? 100.0 * (double)c[i].ticks / all : 0.0, 1, 7);
		mx_put_number(&t, seconds > 0.0 ? gb / seconds : 0.0, 2, 9);
		mx_put_number(&t, seconds > 0.0 ? gf / seconds : 0.0, 2, 9);
		if (gbytes > 0.0) {
			const double moved = gb / gbytes, computed = gflops > 0.0 ? gf / gflops : 0.0, least = moved > computed ? moved : computed;
			mx_put_number(&t, seconds > 0.0 ? 100.0 * least / seconds : 0.0, 0, 7), mx_put(&t, "%", 0);
		}
		mx_put(&t, "\n", 0);
	}
	if (room) text[t.n < room ? t.n : room - 1] = 0;
	return t.n;
}
/* @end */
#endif
