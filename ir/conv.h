/* The attributes of a convolution, read and written as one record: the rules, the front end and lowering all speak of it.
 *
 * x [batch(nb).., N, S.., groups*I], w [batch.., O, K.., I], result [batch.., N, S'.., O]. The padded and spread operand has the extent
 * (S-1)*spread + 1 + lo + hi along an axis, a kernel spans (K-1)*dilation + 1 of it. */
#ifndef MLXCC_IR_CONV_H
#define MLXCC_IR_CONV_H
#include "build.h"

typedef struct ConvSpec {
	int nb, n;                     /* batch axes shared by both operands; spatial axes */
	int64_t step[MAX_RANK], dilation[MAX_RANK], spread[MAX_RANK], groups;
	Dim lo[MAX_RANK], hi[MAX_RANK];
	bool flip;
} ConvSpec;

ConvSpec conv_spec(const OpView *v);
ConvSpec conv_spec_of(const Op *op);
Value *ir_conv(Builder *b, Value *x, Value *w, const ConvSpec *c);
/* (n-1)*distance + 1: what n elements or taps at that distance span. */
Dim conv_span(DimCtx *c, Dim n, int64_t distance);
/* How far the kernel can move: padded extent minus the kernel's span, along spatial axis i of extents s and k; the result has
 * room // step + 1 elements. */
Dim conv_room(DimCtx *d, const ConvSpec *c, int i, Dim s, Dim k);

/* Windows of sizes along axes (ascending), their own axes behind the last of axes. Windows that touch without overlap are a reshape. */
Value *ir_window(Builder *b, Value *x, const int64_t *axes, int n, const Dim *sizes, const int64_t *step, const int64_t *dilation);
#endif
