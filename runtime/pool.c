/* A fork-join pool. run() publishes a job under a new generation number; worker w of T takes pieces [w n / T, (w+1) n / T), the caller takes
 * worker 0's. Threads wait by spinning on the generation, because the next kernel of a model mostly follows within microseconds, and then
 * sleep on a condition variable. Memory order: the job is written before the generation is released, results before the count of running
 * workers is. */
#define _GNU_SOURCE
#include "mxrt.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { SPINS = 4000, LINE = 64 };

struct mxrt_pool {
	mx_exec exec;
	int nworker; /* without the caller */
	pthread_t *worker;
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	atomic_flag busy;
	/* the job */
	mx_task task;
	void *ctx;
	ptrdiff_t n;
	bool stop;
	_Alignas(LINE) atomic_uint generation;
	_Alignas(LINE) atomic_int running;
	_Alignas(LINE) atomic_int asleep; /* workers that may be on the condition variable */
	atomic_bool caller_asleep;
};
typedef struct Worker {
	mxrt_pool *pool;
	int number;
} Worker;

static _Thread_local bool in_task;

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
	__asm__ volatile("yield");
#endif
}

static void run_piece(mxrt_pool *p, int number)
{
	ptrdiff_t parts = p->nworker + 1, begin = number * p->n / parts, end = (number + 1) * p->n / parts;
	if (begin < end) p->task(p->ctx, begin, end);
}

static unsigned wait_for_job(mxrt_pool *p, unsigned seen)
{
	unsigned now;
	for (int i = 0; i < SPINS; i++) {
		if ((now = atomic_load_explicit(&p->generation, memory_order_acquire)) != seen) return now;
		pause_briefly();
	}
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->asleep, 1);
	while ((now = atomic_load(&p->generation)) == seen) pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->asleep, 1);
	pthread_mutex_unlock(&p->lock);
	return now;
}

static void finish(mxrt_pool *p)
{
	if (atomic_fetch_sub(&p->running, 1) != 1 || !atomic_load(&p->caller_asleep)) return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
	Worker w = *(Worker *)arg;
	free(arg);
	in_task = true;
	for (unsigned seen = 0;;) {
		seen = wait_for_job(w.pool, seen);
		if (w.pool->stop) return NULL;
		run_piece(w.pool, w.number);
		finish(w.pool);
	}
}

static void publish(mxrt_pool *p)
{
	atomic_store(&p->running, p->nworker);
	atomic_fetch_add(&p->generation, 1);
	if (!atomic_load(&p->asleep)) return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void wait_for_workers(mxrt_pool *p)
{
	for (int i = 0; i < SPINS; i++) {
		if (!atomic_load_explicit(&p->running, memory_order_acquire)) return;
		pause_briefly();
	}
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->caller_asleep, true);
	while (atomic_load(&p->running)) pthread_cond_wait(&p->done, &p->lock);
	atomic_store(&p->caller_asleep, false);
	pthread_mutex_unlock(&p->lock);
}

static void run(void *self, ptrdiff_t n, mx_task task, void *ctx)
{
	mxrt_pool *p = self;
	if (n <= 0) return;
	if (n == 1 || in_task || !p->nworker || atomic_flag_test_and_set(&p->busy)) {
		task(ctx, 0, n);
		return;
	}
	p->task = task, p->ctx = ctx, p->n = n;
	publish(p);
	in_task = true;
	run_piece(p, 0);
	in_task = false;
	wait_for_workers(p);
	atomic_flag_clear(&p->busy);
}

static int processors(void)
{
#ifdef CPU_COUNT
	cpu_set_t set;
	if (!sched_getaffinity(0, sizeof set, &set)) return CPU_COUNT(&set);
#endif
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 ? (int)n : 1;
}

mxrt_pool *mxrt_pool_new(int threads)
{
	if (threads <= 0) threads = processors();
	mxrt_pool *p = aligned_alloc(LINE, (sizeof *p + LINE - 1) / LINE * LINE);
	if (!p) return NULL;
	*p = (mxrt_pool){.exec = {.self = p, .threads = threads, .run = run}, .busy = ATOMIC_FLAG_INIT};
	p->worker = calloc((size_t)threads, sizeof *p->worker);
	if (!p->worker) return free(p), NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->done, NULL);
	for (int i = 1; i < threads; i++) {
		Worker *w = malloc(sizeof *w);
		if (w) *w = (Worker){p, i};
		if (!w || pthread_create(&p->worker[i - 1], NULL, work, w)) {
			free(w);
			mxrt_pool_free(p);
			return NULL;
		}
		p->nworker++;
	}
	return p;
}

const mx_exec *mxrt_pool_exec(mxrt_pool *p)
{
	return &p->exec;
}

void mxrt_pool_free(mxrt_pool *p)
{
	if (!p) return;
	p->stop = true;
	publish(p);
	for (int i = 0; i < p->nworker; i++) pthread_join(p->worker[i], NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->worker);
	free(p);
}
