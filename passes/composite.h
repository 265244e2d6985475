/* Composite functions for which a kernel stands, and what their calls say: "f(q, k, scale=0.5)", written by frontend/elab_trace.c. */
#ifndef MLXCC_PASSES_COMPOSITE_H
#define MLXCC_PASSES_COMPOSITE_H
#include "lower.h"

typedef struct CompositeKernel {
	const char *name, *doc;
	bool (*matches)(const Func *f);
	void (*lower)(Lower *L, Op *call, Buf *out);
} CompositeKernel;

/* The kernel that takes the place of f's body, or NULL. */
const CompositeKernel *composite_kernel(const Func *f);
/* The value of an argument that was known while compiling, as text of n characters; NULL where there is none. */
const char *composite_value(const Func *f, const char *argument, size_t *n);
bool composite_is(const Func *f, const char *argument, const char *text);
/* The number of the parameter that holds a tensor argument; -1. */
int composite_tensor(const Func *f, const char *argument);
/* The memory of v with the distances of its elements along each axis; a transposition that keeps the last axis is read as it lies. */
Buf *composite_operand(Lower *L, Value *v, Dim *stride);
bool composite_reads_view(const Op *user, const Value *v);
#endif
