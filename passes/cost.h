/* What one run of a kernel moves and computes, as --emit=report and --profile show it. */
#ifndef MLXCC_PASSES_COST_H
#define MLXCC_PASSES_COST_H
#include "loop_walk.h"

typedef struct KernelCost {
	Dim read, written; /* bytes of memory outside the kernel, each element once */
	Dim flops;
	int64_t stack; /* bytes of row buffers on the stack */
} KernelCost;
KernelCost kernel_cost(DimCtx *c, Arena *a, const Kernel *k);
#endif
