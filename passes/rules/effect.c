/* Batching of random bits, print and assert. */
#include "rules.h"
#include <stddef.h>

/* A key per lane is native; one key gives all lanes the same draw (the op is not batched then). */
BatchRule batch_rng_bits;
void batch_rng_bits(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	rule_again_n(b, v, in, out);
}

/* Prints the batched values. */
BatchRule batch_print;
void batch_print(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	ir_emit_effect(b, OP_print, in, v->nin, v->attrs, v->nattr);
}

/* Every lane must hold. */
BatchRule batch_assert;
void batch_assert(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	Value **a = arena_copy(b->m->arena, in, sizeof *in * (size_t)v->nin);
	if (isb[0]) a[0] = ir_reduce(b, OP_reduce_and, in[0], (int64_t[]){0}, 1);
	ir_emit_effect(b, OP_assert, a, v->nin, v->attrs, v->nattr);
}
