/* The runtime that hosted programs may link: a thread pool for programs compiled with `mlxcc --threads=N`.
 *
 *   mxrt_pool *pool = mxrt_pool_new(0);
 *   digits_predict(&net, x, out, B, arena, mxrt_pool_exec(pool));
 *   mxrt_pool_free(pool);
 *
 * Any other executor does as well (OpenMP, a job system, an RTOS): fill an mx_exec, which every header that mlxcc writes declares. */
#ifndef MXRT_H
#define MXRT_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef MLXCC_EXEC
#define MLXCC_EXEC
/* Part of a kernel: the pieces begin..end of it. */
typedef void (*mx_task)(void *ctx, ptrdiff_t begin, ptrdiff_t end);
/* Who runs the pieces of a kernel. run calls task(ctx, begin, end) for ranges that together cover 0..n once, on any threads, and returns when
 * all have; calls may overlap in time. threads: how many pieces are worth making. */
typedef struct mx_exec {
	void *self;
	int threads;
	void (*run)(void *self, ptrdiff_t n, mx_task task, void *ctx);
} mx_exec;
#endif

/* A pool of `threads` threads, the caller's among them; 0: as many as there are processors for this process. Waiting threads spin for some
 * 20 microseconds, then sleep. NULL: no memory or no threads. Owned by the caller. */
typedef struct mxrt_pool mxrt_pool;
mxrt_pool *mxrt_pool_new(int threads);
/* The pool as an executor, valid as long as the pool. One kernel at a time: a second thread that calls meanwhile, and a task that calls in
 * turn, run theirs alone. */
const mx_exec *mxrt_pool_exec(mxrt_pool *pool);
/* No kernel may be running. NULL is allowed. */
void mxrt_pool_free(mxrt_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
