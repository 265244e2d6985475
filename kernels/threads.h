/* Sharing a kernel out among threads, for programs compiled with --threads=N. The caller's mx_exec (declared in the emitted header) runs
 * the pieces. How many there are depends on the work and on the executor, what they compute does not. */
#ifndef MLXCC_KERNELS_THREADS_H
#define MLXCC_KERNELS_THREADS_H

/* @def MX_GRAIN */
/* The least cost of a piece, in 1/16 of a cycle: some 10 microseconds at 3 GHz, several times what handing it over costs while the threads
 * of a pool spin. What takes less than 20 microseconds stays on the caller's thread. */
#ifndef MX_GRAIN
#define MX_GRAIN 480000
#endif

/* @def mx_job */
typedef struct mx_job {
	void (*run)(const void *args, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t piece);
	const void *args;
	ptrdiff_t steps, pieces;
} mx_job;

/* @def mx_run_pieces needs mx_job */
static void mx_run_pieces(void *ctx, ptrdiff_t begin, ptrdiff_t end)
{
	const mx_job *job = (const mx_job *)ctx;
	for (ptrdiff_t i = begin; i < end; i++) job->run(job->args, i * job->steps / job->pieces, (i + 1) * job->steps / job->pieces, i);
}

/* @def mx_parallel needs mx_job mx_run_pieces MX_GRAIN */
/* Steps 0..steps of a kernel, which cost `cost` together, in at most `most` pieces. */
static void mx_parallel(const mx_exec *exec, ptrdiff_t most, ptrdiff_t steps, ptrdiff_t cost,
                        void (*run)(const void *args, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t piece), const void *args)
{
	ptrdiff_t pieces = exec ? cost / MX_GRAIN : 1;
	if (pieces > steps) pieces = steps;
	if (pieces > most) pieces = most;
	if (exec && pieces > exec->threads) pieces = exec->threads;
	if (pieces > 1) {
		mx_job job = {run, args, steps, pieces};
		exec->run(exec->self, pieces, mx_run_pieces, &job);
	} else {
		run(args, 0, steps, 0);
	}
}
/* @end */
#endif
