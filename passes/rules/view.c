/* Rules of ops that move or repeat elements. All are linear; each transpose is the opposite movement, built with dimension polynomials. */
#include "rules.h"
#include <assert.h>
#include <stddef.h>

/* Ops without operands are never batched. */
#define SOURCE(name)                                                                                                                       \
	BATCH(name)                                                                                                                            \
	{                                                                                                                                      \
		assert(!"a source op has no batched operand");                                                                                     \
	}

SOURCE(const)
SOURCE(iota)
SOURCE(dimsize)

BATCH(bitcast)
{
	rule_again_n(b, v, in, out);
}

TRANSPOSE(barrier)
{
	return g[k];
}
BATCH(barrier)
{ /* each operand as it is, but all results are to be batched */
	Value **full = NEW_ARRAY(b->m->arena, Value *, v->nin + 1);
	for (int k = 0; k < v->nin; k++) full[k] = rule_lifted(b, in[k], isb[k], n);
	rule_again_n(b, v, full, out);
}

/* --- broadcast, reshape, transpose, rev ------------------------------------------------------------------------------ */
TRANSPOSE(broadcast)
{
	const Attr *dims = view_attr(v, AT_dims);
	int64_t axes[MAX_RANK];
	int na = 0;
	for (int i = 0; i < g[0]->type->rank; i++)
		if (!has_ax(dims->v.ints, dims->n, i)) axes[na++] = i;
	return ir_reduce(b, OP_reduce_sum, g[0], axes, na);
}
BATCH(broadcast)
{
	const Attr *dims = view_attr(v, AT_dims);
	int64_t up[MAX_RANK + 1] = {0};
	for (int i = 0; i < dims->n; i++) up[i + 1] = dims->v.ints[i] + 1;
	out[0] = ir_broadcast(b, in[0], type_prepend(b->m, out_type(v, 0), n), up);
}

TRANSPOSE(reshape)
{
	return ir_reshape(b, g[0], in_type(v, 0)->rank, in_type(v, 0)->dim);
}
BATCH(reshape)
{
	const Type *t = type_prepend(b->m, out_type(v, 0), n);
	out[0] = ir_reshape(b, in[0], t->rank, t->dim);
}

TRANSPOSE(transpose)
{
	const Attr *perm = view_attr(v, AT_perm);
	int64_t inv[MAX_RANK];
	for (int i = 0; i < perm->n; i++) inv[perm->v.ints[i]] = i;
	return ir_transpose(b, g[0], inv);
}
BATCH(transpose)
{
	const Attr *perm = view_attr(v, AT_perm);
	int64_t up[MAX_RANK + 1] = {0};
	for (int i = 0; i < perm->n; i++) up[i + 1] = perm->v.ints[i] + 1;
	out[0] = ir_transpose(b, in[0], up);
}

TRANSPOSE(rev)
{
	return rule_again(b, v, g);
}
BATCH(rev)
{
	out[0] = ir_emit(b, OP_rev, in, 1, rule_attrs_up(b, v), v->nattr);
}

/* --- slice, pad, concat ----------------------------------------------------------------------------------------------- */
/* (k-1)*step + 1: what k elements at that distance span. */
static Dim span(Builder *b, Dim k, int64_t step)
{
	return d_add(b, d_mul(b, d_sub(b, k, d_int(b, 1)), d_int(b, step)), d_int(b, 1));
}

TRANSPOSE(slice)
{
	const Attr *lo = view_attr(v, AT_lo), *step = view_attr(v, AT_step);
	const Type *x = in_type(v, 0), *y = out_type(v, 0);
	Dim hi[MAX_RANK];
	for (int i = 0; i < x->rank; i++) hi[i] = d_sub(b, d_sub(b, x->dim[i], lo->v.dims[i]), span(b, y->dim[i], step->v.ints[i]));
	return ir_pad(b, g[0], ir_scalar(b, g[0]->type->dtype, 0), lo->v.dims, hi, step->v.ints);
}
/* Dims with one more in front; ints likewise. */
static void prepend(const Attr *lo, const Attr *hi, const Attr *step, Dim first_lo, Dim first_hi, Dim *l, Dim *h, int64_t *s)
{
	l[0] = first_lo, h[0] = first_hi, s[0] = 1;
	for (int i = 0; i < lo->n; i++) l[i + 1] = lo->v.dims[i], h[i + 1] = hi->v.dims[i], s[i + 1] = step->v.ints[i];
}
BATCH(slice)
{
	Dim lo[MAX_RANK + 1], hi[MAX_RANK + 1];
	int64_t step[MAX_RANK + 1];
	prepend(view_attr(v, AT_lo), view_attr(v, AT_hi), view_attr(v, AT_step), d_int(b, 0), n, lo, hi, step);
	out[0] = ir_slice(b, in[0], lo, hi, step);
}

/* The part of the padded cotangent that came from operand 0: crop (a negative crop pads zeros), then take every step-th. */
static Value *pad_kept(Builder *b, const OpView *v, Value *g)
{
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step);
	const Type *x = in_type(v, 0);
	Dim l[MAX_RANK], h[MAX_RANK], zero[MAX_RANK], end[MAX_RANK];
	int64_t one[MAX_RANK];
	for (int i = 0; i < lo->n; i++) {
		l[i] = dim_scale(b->m->dims, lo->v.dims[i], -1, 1);
		h[i] = dim_scale(b->m->dims, hi->v.dims[i], -1, 1);
		zero[i] = d_int(b, 0);
		one[i] = 1;
		end[i] = span(b, x->dim[i], step->v.ints[i]);
	}
	bool inside = true; /* nothing was cropped: a slice says the same and folds better */
	for (int i = 0; i < lo->n; i++) inside &= dim_provable_nonneg(b->facts, lo->v.dims[i]) && dim_provable_nonneg(b->facts, hi->v.dims[i]);
	if (inside) {
		for (int i = 0; i < lo->n; i++) end[i] = d_add(b, lo->v.dims[i], end[i]);
		return ir_slice(b, g, lo->v.dims, end, step->v.ints);
	}
	Value *whole = ir_pad(b, g, ir_scalar(b, g->type->dtype, 0), l, h, one);
	return ir_slice(b, whole, zero, end, step->v.ints);
}
static Value *sum_all(Builder *b, Value *x)
{
	int64_t axes[MAX_RANK];
	for (int i = 0; i < x->type->rank; i++) axes[i] = i;
	return ir_reduce(b, OP_reduce_sum, x, axes, x->type->rank);
}
TRANSPOSE(pad)
{
	Value *kept = pad_kept(b, v, g[0]);
	return k == 0 ? kept : ir_binary(b, OP_sub, sum_all(b, g[0]), sum_all(b, kept));
}
BATCH(pad)
{
	Dim lo[MAX_RANK + 1], hi[MAX_RANK + 1];
	int64_t step[MAX_RANK + 1];
	const Attr *alo = view_attr(v, AT_lo), *ahi = view_attr(v, AT_hi), *astep = view_attr(v, AT_step);
	prepend(alo, ahi, astep, d_int(b, 0), d_int(b, 0), lo, hi, step);
	Value *x = rule_lifted(b, in[0], isb[0], n);
	if (!isb[1]) {
		out[0] = ir_pad(b, x, in[1], lo, hi, step);
		return;
	}
	/* one fill per lane: where the padded mask holds the operand, else the lane's fill */
	Value *ones = ir_splat(b, type_with_dtype(b->m, in_type(v, 0), DT_bool), 1);
	Value *mask = ir_lift(b, ir_pad(b, ones, ir_scalar_int(b, DT_bool, 0), alo->v.dims, ahi->v.dims, astep->v.ints), n);
	Value *y = ir_pad(b, x, ir_scalar(b, x->type->dtype, 0), lo, hi, step);
	out[0] = ir_select(b, mask, y, ir_broadcast(b, in[1], y->type, (int64_t[]){0}));
}

TRANSPOSE(concat)
{
	int axis = (int)view_int(v, AT_axis);
	Dim at = d_int(b, 0);
	for (int i = 0; i < k; i++) at = d_add(b, at, in_type(v, i)->dim[axis]);
	return ir_slice_axis(b, g[0], axis, at, d_add(b, at, in_type(v, k)->dim[axis]), 1);
}
BATCH(concat)
{
	Value **full = NEW_ARRAY(b->m->arena, Value *, v->nin + 1);
	for (int k = 0; k < v->nin; k++) full[k] = rule_lifted(b, in[k], isb[k], n);
	out[0] = ir_concat(b, full, v->nin, (int)view_int(v, AT_axis) + 1);
}
