/* A pass is a row of passes.def; the driver verifies, prints, times, bisects and resets scratch memory around it. */
#ifndef MLXCC_PASSES_PASS_H
#define MLXCC_PASSES_PASS_H
#include <stdio.h>
#include "../ir/ir.h"

typedef enum Stage { STAGE_TENSOR, STAGE_LOOP } Stage;
typedef struct Program Program; /* loop.h: what fuse makes of a Module */

typedef struct PassCtx {
	Module *m;
	Arena *scratch;   /* reset after each pass */
	Program *program; /* STAGE_LOOP: made by `lower` */
	const struct PassOptions *o;
	StrBuf *report; /* --emit=report, or NULL */
} PassCtx;
typedef struct Pass {
	const char *name, *doc;
	bool (*run)(PassCtx *c); /* true if anything changed; errors go to the module's diag */
	bool required;           /* what follows needs what it gives */
	Stage takes, gives;
} Pass;
extern const Pass passes[];
extern const int npasses;

typedef struct PassOptions {
	const char *print_after; /* a pass name, "all", or NULL */
	const char *stop_after, *start_at;
	const char *skip[16];
	int nskip;
	int bisect; /* run the first N passes that change something; -1: all */
	bool time_passes, verify_each;
	bool fast_math;
	int threads;     /* --threads: how many a program may use; below 2: the caller's alone */
	const struct Target *target; /* --target-cpu; NULL: the default */
	bool exact_conv; /* --conv=exact */
	bool no_loc;
	FILE *out;              /* prints and times; stderr when NULL */
	const char *replay_dir; /* on a bug: where the IR before the pass is kept; NULL: the current directory */
} PassOptions;
/* Runs the pipeline on m. NULL after errors. The result's program is NULL when stop_after is a tensor pass. */
bool passes_run(PassCtx *c);
/* The same with other rows than the pipeline's (tests). */
typedef struct PassTable {
	const Pass *at;
	int n;
} PassTable;
bool passes_run_table(PassCtx *c, const PassTable *t);
/* One pass by name, which may also be one that the pipeline does not hold (irtool). False when there is none. */
const Pass *pass_find(const char *name);
void passes_list(FILE *out);
#endif
