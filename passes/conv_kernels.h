/* Which tuned kernel a convolution takes: a table of predicates over its shape (conv_kernels.c), asked by lowering. */
#ifndef MLXCC_PASSES_CONV_KERNELS_H
#define MLXCC_PASSES_CONV_KERNELS_H
#include "../ir/conv.h"
#include "lower.h"

typedef struct ConvKernel {
	const char *name; /* the mode of its N_RAW node */
	const char *when; /* for reports: what its predicate asks */
	/* Why not; NULL: it takes it. */
	const char *(*refuses)(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y);
	/* The weight as the kernel reads it. */
	Buf *(*weight)(Lower *L, const ConvSpec *c, Value *w);
	bool grouped; /* computes groups of rows: needs scratch, rows come one by one */
} ConvKernel;
/* NULL: plain loops. why: ", not winograd (stride 2)", of those before it in the table. */
const ConvKernel *conv_kernel(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y, const char **why);
/* The nest that calls it: a call for each row of the result, or for each sample where the weight is too large to be read again for each. */
void conv_call_kernel(Lower *L, const ConvKernel *k, const ConvSpec *c, Op *op);
/* A convolution of transposed operands, as the rule of the weight's derivative writes it: a kernel that reads them as they lie. False: op
 * is none, or its shape does not fit. */
bool conv_call_weight_kernel(Lower *L, const ConvSpec *c, Op *op);

/* Phase p of an axis whose input is spread with distance s: the taps first, first + s, .. (n of k) hit elements at positions p, p + s, ..,
 * and `before` elements come before the first. */
typedef struct ConvPhase {
	int64_t first, n, before;
} ConvPhase;
ConvPhase conv_phase(int64_t s, int64_t lo, int64_t k, int64_t p);
/* A transposed convolution (a spread input, neither step nor dilation) as one plain one for each phase. False: its shape does not fit. */
bool conv_call_spread_kernel(Lower *L, const ConvSpec *c, Op *op);
/* A weight w is transformed to g w g' for F(4,3): Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016). */
extern const double wino_g[6][3];
#endif
