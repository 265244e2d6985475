/* The thread pool: every piece runs once, results are visible to the caller, nested and concurrent calls run alone, sleeping workers wake. */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../runtime/mxrt.h"

enum { N = 1000 };
typedef struct Job {
	int hit[N];
	const mx_exec *exec;
	struct Job *inner;
} Job;

static void count(void *ctx, ptrdiff_t begin, ptrdiff_t end)
{
	Job *j = ctx;
	for (ptrdiff_t i = begin; i < end; i++) j->hit[i]++;
	if (j->inner && begin == 0) j->inner->exec->run(j->inner->exec->self, N, count, j->inner);
}

static void check(const mx_exec *e, ptrdiff_t n)
{
	Job *j = calloc(1, sizeof *j);
	e->run(e->self, n, count, j);
	for (int i = 0; i < N; i++) assert(j->hit[i] == (i < n));
	free(j);
}

static void *other(void *arg)
{
	for (int i = 0; i < 500; i++) check(arg, i % N);
	return NULL;
}

int main(void)
{
	static const int sizes[] = {1, 2, 3, 7};
	for (int s = 0; s < 4; s++) {
		mxrt_pool *p = mxrt_pool_new(sizes[s]);
		assert(p);
		const mx_exec *e = mxrt_pool_exec(p);
		assert(e->threads == sizes[s]);
		for (int i = 0; i < 1000; i++) check(e, i % N);
		for (int i = 0; i < 5; i++) usleep(3000), check(e, N); /* the workers sleep meanwhile */
		Job *outer = calloc(2, sizeof *outer);
		outer->inner = outer + 1, outer->inner->exec = e;
		e->run(e->self, N, count, outer);
		for (int i = 0; i < N; i++) assert(outer[0].hit[i] == 1 && outer[1].hit[i] == 1);
		free(outer);
		pthread_t t;
		pthread_create(&t, NULL, other, (void *)e);
		for (int i = 0; i < 500; i++) check(e, i % N);
		pthread_join(t, NULL);
		mxrt_pool_free(p);
	}
	mxrt_pool *all = mxrt_pool_new(0);
	assert(mxrt_pool_exec(all)->threads >= 1);
	mxrt_pool_free(all);
	mxrt_pool_free(NULL);
	puts("ok");
	return 0;
}
