/* Rules of convolution, windows and folds. Both derivatives of a convolution are convolutions: by the operand with the kernel reversed and
 * its channel axes exchanged, by the weight with the cotangent as kernel. Shapes: see ir/conv.h. */
#include "../../ir/conv.h"
#include "rules.h"

/* x with axis `axis` of extent groups*q split into [groups, q]. */
static Value *split_axis_of(Builder *b, Value *x, int axis, int64_t groups)
{
	Dim dims[MAX_RANK];
	int r = 0;
	for (int i = 0; i < x->type->rank; i++) {
		if (i == axis) dims[r++] = d_int(b, groups), dims[r++] = dim_div_exact(b->m->dims, b->facts, x->type->dim[i], d_int(b, groups));
		else dims[r++] = x->type->dim[i];
	}
	return ir_reshape(b, x, r, dims);
}

/* Axes `axis` and the next made one. */
static Value *join_axes(Builder *b, Value *x, int axis)
{
	Dim dims[MAX_RANK];
	int r = 0;
	for (int i = 0; i < x->type->rank; i++) {
		dims[r++] = x->type->dim[i];
		if (i == axis) dims[r - 1] = d_mul(b, dims[r - 1], x->type->dim[++i]);
	}
	return ir_reshape(b, x, r, dims);
}

static Value *swap_axes(Builder *b, Value *x, int i, int k)
{
	int64_t perm[MAX_RANK];
	for (int a = 0; a < x->type->rank; a++) perm[a] = a == i ? k : a == k ? i : a;
	return ir_transpose(b, x, perm);
}

/* [batch.., groups*Q, K.., I] -> [batch.., groups*I, K.., Q] */
static Value *channels_exchanged(Builder *b, Value *w, const ConvSpec *c)
{
	if (c->groups == 1) return swap_axes(b, w, c->nb, w->type->rank - 1);
	w = split_axis_of(b, w, c->nb, c->groups);
	return join_axes(b, swap_axes(b, w, c->nb + 1, w->type->rank - 1), c->nb);
}

/* dx[i] = sum of g[s] w[k] over s*step + k*dilation - lo = i*spread. */
static Value *operand_cotangent(Builder *b, const OpView *v, Value *g)
{
	ConvSpec c = conv_spec(v), r = c;
	DimCtx *d = b->m->dims;
	const Type *x = in_type(v, 0), *w = in_type(v, 1);
	for (int i = 0; i < c.n; i++) {
		int a = c.nb + 1 + i;
		Dim reach = dim_scale(d, d_sub(b, w->dim[a], d_int(b, 1)), c.dilation[i], 1);
		r.step[i] = c.spread[i], r.spread[i] = c.step[i];
		r.lo[i] = d_sub(b, reach, c.lo[i]);
		Dim whole = d_add(b, conv_span(d, x->dim[a], c.spread[i]), reach);
		r.hi[i] = d_sub(b, whole, d_add(b, r.lo[i], conv_span(d, g->type->dim[a], c.step[i])));
	}
	r.flip = !c.flip;
	return ir_conv(b, g, channels_exchanged(b, rule_conj(b, v->in[1]), &c), &r);
}

/* dw[k] = sum over s of x[s*step + k*dilation - lo] g[s]: the samples are the channels, the input channels the samples. */
static Value *weight_cotangent(Builder *b, const OpView *v, Value *g)
{
	ConvSpec c = conv_spec(v), r = c;
	DimCtx *d = b->m->dims;
	const Type *x = in_type(v, 0), *w = in_type(v, 1);
	int last = x->rank - 1;
	Value *xs = rule_conj(b, v->in[0]);
	if (c.groups == 1) xs = swap_axes(b, xs, c.nb, last);
	else { /* [.., N, S.., groups*I] -> [.., I, S.., groups*N] */ xs = split_axis_of(b, xs, last, c.groups);
		xs = join_axes(b, swap_axes(b, xs, c.nb, last + 1), last);
	}
	for (int i = 0; i < c.n; i++) {
		int a = c.nb + 1 + i;
		r.step[i] = c.dilation[i], r.dilation[i] = c.step[i];
		Dim whole = d_add(b, conv_span(d, w->dim[a], c.dilation[i]), dim_scale(d, d_sub(b, g->type->dim[a], d_int(b, 1)), c.step[i], 1));
		r.hi[i] = d_sub(b, whole, d_add(b, conv_span(d, x->dim[a], c.spread[i]), c.lo[i]));
	}
	r.flip = false;
	Value *dw = swap_axes(b, ir_conv(b, xs, swap_axes(b, g, c.nb, last), &r), c.nb, last);
	int64_t taps[MAX_RANK];
	for (int i = 0; i < c.n; i++) taps[i] = c.nb + 1 + i;
	return c.flip && c.n ? ir_rev(b, dw, taps, c.n) : dw;
}

TRANSPOSE(conv)
{
	return k == 0 ? operand_cotangent(b, v, g[0]) : weight_cotangent(b, v, g[0]);
}

/* Lanes of the operand only are more samples; of the weight only, more results of each group; of both, one more batch axis. */
BATCH(conv)
{
	ConvSpec c = conv_spec(v);
	int last = in_type(v, 0)->rank - 1;
	if (isb[0] && isb[1]) {
		c.nb++;
		out[0] = ir_conv(b, in[0], in[1], &c);
	} else if (isb[0]) {
		Value *y = ir_conv(b, join_axes(b, ir_move_axis(b, in[0], 0, c.nb), c.nb), in[1], &c);
		Dim dims[MAX_RANK];
		for (int i = 0, r = 0; i <= last; i++) {
			if (i == c.nb) dims[r++] = n, dims[r++] = in_type(v, 0)->dim[i];
			else dims[r++] = y->type->dim[i];
		}
		out[0] = ir_move_axis(b, ir_reshape(b, y, last + 2, dims), c.nb, 0);
	} else {
		Value *w = in[1]; /* [n, .., groups*Q, K.., I] -> [.., groups, n, Q, K.., I] */
		Dim per = dim_div_exact(b->m->dims, b->facts, in_type(v, 1)->dim[c.nb], d_int(b, c.groups)), dims[MAX_RANK];
		w = ir_move_axis(b, split_axis_of(b, w, c.nb + 1, c.groups), 0, c.nb + 1);
		Value *y = ir_conv(b, in[0], join_axes(b, join_axes(b, w, c.nb), c.nb), &c);
		for (int i = 0; i < last; i++) dims[i] = y->type->dim[i];
		dims[last] = d_int(b, c.groups), dims[last + 1] = n, dims[last + 2] = per;
		y = ir_move_axis(b, ir_reshape(b, y, last + 3, dims), last + 1, 0);
		out[0] = join_axes(b, y, last + 1);
	}
}

/* --- windows ------------------------------------------------------------------------------------------------------- */
TRANSPOSE(window)
{
	const Attr *axes = view_attr(v, AT_axes), *step = view_attr(v, AT_step), *dil = view_attr(v, AT_dilation);
	Dim extent[MAX_RANK];
	for (int i = 0; i < axes->n; i++) extent[i] = in_type(v, 0)->dim[axes->v.ints[i]];
	Attr at[] = {*axes, ATTR_DIMS(shape, extent, axes->n), *step, *dil};
	return ir_emit(b, OP_fold, g, 1, at, 4);
}
BATCH(window)
{
	out[0] = ir_emit(b, OP_window, in, 1, rule_attrs_up(b, v), v->nattr);
}

TRANSPOSE(fold)
{
	const Attr *axes = view_attr(v, AT_axes), *step = view_attr(v, AT_step), *dil = view_attr(v, AT_dilation);
	int last = axes->n ? (int)axes->v.ints[axes->n - 1] : -1;
	Attr at[] = {*axes, ATTR_DIMS(sizes, in_type(v, 0)->dim + last + 1, axes->n), *step, *dil};
	return ir_emit(b, OP_window, g, 1, at, 4);
}
BATCH(fold)
{
	out[0] = ir_emit(b, OP_fold, in, 1, rule_attrs_up(b, v), v->nattr);
}
