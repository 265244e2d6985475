/* Rules of reductions, arg-reductions and searchsorted. */
#include "rules.h"

#define BATCH_UP(name)                                                                                                                     \
	BATCH(name)                                                                                                                            \
	{                                                                                                                                      \
		ir_emit_n(b, v->code, in, 1, rule_attrs_up(b, v), v->nattr, out, v->nout);                                                         \
	}

BATCH_UP(reduce_sum)
BATCH_UP(reduce_prod)
BATCH_UP(reduce_max)
BATCH_UP(reduce_min)
BATCH_UP(reduce_and)
BATCH_UP(reduce_or)
BATCH_UP(argmax)
BATCH_UP(argmin)

TRANSPOSE(reduce_sum)
{
	const Attr *axes = view_attr(v, AT_axes);
	return ir_unreduce(b, g[0], in_type(v, 0), axes->v.ints, axes->n);
}

/* Ties share the tangent evenly. A nan result is shared by the nans: no element equals it, and without one no element is a nan. */
static void extreme_jvp(Builder *b, const OpView *v, Value *const *t, Value **dt)
{
	const Attr *axes = view_attr(v, AT_axes);
	Value *x = v->in[0], *y = ir_unreduce(b, v->out[0], x->type, axes->v.ints, axes->n);
	Value *hit = ir_binary(b, OP_or, ir_binary(b, OP_eq, x, y), ir_unary(b, OP_isnan, x));
	Value *m = rule_mask(b, hit, x->type->dtype);
	Value *count = ir_unreduce(b, ir_reduce(b, OP_reduce_sum, m, axes->v.ints, axes->n), x->type, axes->v.ints, axes->n);
	Value *share = ir_binary(b, OP_div, m, count);
	dt[0] = ir_reduce(b, OP_reduce_sum, ir_binary(b, OP_mul, t[0], share), axes->v.ints, axes->n);
}
JVP(reduce_max)
{
	extreme_jvp(b, v, t, dt);
}
JVP(reduce_min)
{
	extreme_jvp(b, v, t, dt);
}

/* The reduced axes moved behind the others and made one. */
static Value *flat_last(Builder *b, Value *x, const Attr *axes)
{
	int64_t perm[MAX_RANK];
	Dim dims[MAX_RANK];
	int k = 0;
	for (int i = 0; i < x->type->rank; i++)
		if (!has_ax(axes->v.ints, axes->n, i)) dims[k] = x->type->dim[i], perm[k++] = i;
	int kept = k;
	dims[kept] = d_int(b, 1);
	for (int i = 0; i < axes->n; i++) {
		perm[k++] = axes->v.ints[i];
		dims[kept] = d_mul(b, dims[kept], x->type->dim[axes->v.ints[i]]);
	}
	return ir_reshape(b, ir_transpose(b, x, perm), kept + 1, dims);
}
static Value *cumprod_exclusive(Builder *b, Value *x, int axis, bool reverse)
{
	return ir_emit(b, OP_cumprod, &x, 1, (Attr[]){ATTR_INT(axis, axis), ATTR_INT(reverse, reverse), ATTR_INT(exclusive, 1)}, 3);
}
/* sum of t * (product of the others), exact with any number of zeros: prefix and suffix products. */
JVP(reduce_prod)
{
	const Attr *axes = view_attr(v, AT_axes);
	if (axes->n == 0) {
		dt[0] = t[0];
		return;
	}
	Value *x = flat_last(b, v->in[0], axes), *tx = flat_last(b, t[0], axes);
	int last = x->type->rank - 1;
	Value *others = ir_binary(b, OP_mul, cumprod_exclusive(b, x, last, false), cumprod_exclusive(b, x, last, true));
	dt[0] = ir_reduce(b, OP_reduce_sum, ir_binary(b, OP_mul, tx, others), (int64_t[]){last}, 1);
}

/* A table per lane: a loop over the lanes. One table: all values at once. */
BATCH(searchsorted)
{
	if (!isb[0]) {
		rule_again_n(b, v, in, out);
		return;
	}
	Block *body = block_new(b, BLOCK_LOOP, b->block);
	block_param(b, body, type_scalar(b->m, DT_i32), NULL);
	Value *row[2] = {block_param(b, body, in_type(v, 0), NULL), NULL}, *xs[2] = {in[0], in[1]};
	row[1] = isb[1] ? block_param(b, body, in_type(v, 1), NULL) : in[1];
	Builder inner = *b;
	inner.block = body;
	Value *y = rule_again(&inner, v, row);
	block_set_results(b, body, &y, 1);
	Attr at[] = {ATTR_DIM(trips, n), ATTR_INT(ncarry, 0), ATTR_INT(nscan, 1 + isb[1]), ATTR_INT(reverse, 0), ATTR_INT(limit, 0)};
	out[0] = ir_emit_region(b, OP_loop, xs, 1 + isb[1], at, 5, &body, 1)->out[0];
}
