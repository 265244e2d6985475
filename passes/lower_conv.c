/* Lowering of convolutions, windows and folds to plain loops. A convolution is one accumulating nest
 *
 *   for batch, n, s { y[..] = 0 }   for batch, n, s, k { if the tap hits { for group, i, o: y[n, s, o] += x[n, at, i] * wt[k, i, o] } }
 *
 * over a copy of the weight with the output channels last, so that the innermost loop is contiguous; the test of a tap stands outside the
 * channel loops and is left out where no tap can miss. f16 and bf16 add up in f32 instead: one reduction for each element. */
#include "conv_kernels.h"

typedef struct Loops {
	Index at[MAX_RANK + 1];
	const Axis *axis[MAX_RANK];
	int n; /* axes that need a loop; an axis of extent 1 has index 0 and none */
} Loops;

static Index loop_over(Lower *L, Loops *l, Dim extent, int position)
{
	int64_t one;
	if (dim_is_const(extent, &one) && one == 1) return index_dim(L, dim_int(L->dims, 0));
	l->axis[l->n] = lower_axis(L, extent, position);
	return index_axis(L, l->axis[l->n++]);
}

typedef struct Conv {
	ConvSpec c;
	const Type *x, *w;
	Value *xv, *wv;
	int first;               /* of the spatial axes */
	Loops outer, taps, chan; /* batch, sample, positions | taps | group, input channel, output channel of the group */
	Index out[MAX_RANK + 1], in[MAX_RANK + 1], tap[MAX_RANK + 1], group, ci, oi;
	Dim per; /* output channels of a group */
} Conv;

static void conv_axes(Lower *L, Conv *v, bool outputs_outside)
{
	DimCtx *d = L->dims;
	const ConvSpec *c = &v->c;
	int last = v->x->rank - 1;
	v->per = dim_div_exact(d, L->facts, v->w->dim[c->nb], dim_int(d, c->groups));
	for (int i = 0; i <= c->nb; i++) v->out[i] = v->in[i] = loop_over(L, &v->outer, v->x->dim[i], i);
	Dim g = dim_int(d, c->groups);
	for (int i = 0; i < c->n; i++) {
		int a = v->first + i;
		Dim positions = dim_floordiv(d, L->facts, conv_room(d, c, i, v->x->dim[a], v->w->dim[a]), dim_int(d, c->step[i]));
		v->out[a] = loop_over(L, &v->outer, dim_add(d, positions, dim_int(d, 1)), a);
	}
	for (int i = 0; i < c->n; i++) {
		int a = v->first + i;
		Index k = loop_over(L, &v->taps, v->w->dim[a], -1);
		Index at = index_add(L, index_scale(L, v->out[a], dim_int(d, c->step[i])), index_scale(L, k, dim_int(d, c->dilation[i])));
		v->in[a] = index_offset(L, at, dim_scale(d, c->lo[i], -1, 1));
		v->tap[i] = c->flip ? index_offset(L, index_scale(L, k, dim_int(d, -1)), dim_sub(d, v->w->dim[a], dim_int(d, 1))) : k;
	}
	Loops *o = outputs_outside ? &v->outer : &v->chan;
	v->group = loop_over(L, o, g, last);
	if (!outputs_outside) v->ci = loop_over(L, &v->chan, v->w->dim[last], -1);
	v->oi = loop_over(L, o, v->per, last);
	if (outputs_outside) v->ci = loop_over(L, &v->taps, v->w->dim[last], -1);
	v->out[last] = index_add(L, index_scale(L, v->group, v->per), v->oi);
	v->in[last] = index_add(L, index_scale(L, v->group, v->w->dim[last]), v->ci);
}

/* The condition under which the tap hits an element, or NULL: it always does. Turns in[] into the element's indices. */
static Node *tap_hits(Lower *L, Body *b, Conv *v)
{
	DimCtx *d = L->dims;
	Node *cond = NULL;
	for (int i = 0; i < v->c.n; i++) {
		int a = v->first + i;
		bool inside = v->c.spread[i] == 1 && dim_provable_nonneg(L->facts, dim_scale(d, v->c.lo[i], -1, 1)) &&
		              dim_provable_nonneg(L->facts, dim_scale(d, v->c.hi[i], -1, 1));
		if (!inside) cond = node_and(L, b, cond, node_test(L, b, v->in[a], dim_int(d, 0), conv_span(d, v->x->dim[a], v->c.spread[i])));
	}
	for (int i = 0; i < v->c.n; i++)
		if (v->c.spread[i] > 1)
			cond = node_and(L, b, cond, node_quotient(L, b, N_MULTIPLE, v->in[v->first + i], dim_int(d, v->c.spread[i])));
	return cond;
}

static void divide_by_spread(Lower *L, Body *b, Conv *v)
{
	for (int i = 0; i < v->c.n; i++)
		if (v->c.spread[i] > 1)
			v->in[v->first + i] = index_node(L, node_quotient(L, b, N_IDIV, v->in[v->first + i], dim_int(L->dims, v->c.spread[i])));
}

/* [batch.., O, K.., I] as [batch.., K.., I, O] */
static Buf *weight_rows(Lower *L, Conv *v)
{
	int64_t perm[MAX_RANK];
	int n = 0;
	for (int i = 0; i < v->c.nb; i++) perm[n++] = i;
	for (int i = v->c.nb + 1; i < v->w->rank; i++) perm[n++] = i;
	perm[n++] = v->c.nb;
	return lower_transposed_copy(L, v->wv, perm);
}

static void nest_axes(Nest *s, const Loops *l)
{
	for (int i = 0; i < l->n; i++) s->axis[s->naxis++] = l->axis[i];
}

/* Axes of the result before its channels that have a loop and lead it without a gap: those that other stages may share. */
static int shared_axes(const Conv *v)
{
	int n = 0;
	while (n < v->x->rank - 1 && v->out[n].n == 1 && v->out[n].term[0].axis == v->outer.axis[n]) n++;
	return n;
}

static void conv_accumulate(Lower *L, Op *op, Conv *v)
{
	Value *y = op->out[0];
	Buf *out = lower_info(L, y)->buf;
	DType d = y->type->dtype;
	conv_axes(L, v, false);
	Buf *wt = weight_rows(L, v);
	Nest *s = stage_new(L, y, out, "conv");
	const Axis *all[MAX_RANK];
	Index zero[MAX_RANK + 1];
	for (int i = 0; i < y->type->rank; i++) all[i] = lower_axis(L, y->type->dim[i], i), zero[i] = index_axis(L, all[i]);
	int keep = shared_axes(v);
	for (int i = 0; i < keep; i++) all[i] = v->outer.axis[i], zero[i] = v->out[i];
	lower_init_stage(L, s, out, OP_add, zero, all, y->type->rank);
	nest_axes(s, &v->outer);
	nest_axes(s, &v->taps);
	s->nkeep = keep;
	Body *b = s->body;
	Node *cond = tap_hits(L, b, v);
	if (cond) {
		Node *f = node_add(L, b, N_IF, d);
		f->arg[f->narg++] = cond;
		b = f->body = body_new(L, b);
	}
	divide_by_spread(L, b, v);
	Node *a = NULL;
	for (int i = 0; i < v->chan.n; i++) {
		if (v->oi.n && i == v->chan.n - 1) a = pull(L, b, v->xv, v->in); /* the same for the whole row of output channels */
		Node *f = node_add(L, b, N_FOR, d);
		f->axis[f->naxis++] = v->chan.axis[i];
		b = f->body = body_new(L, b);
	}
	if (!a) a = pull(L, b, v->xv, v->in);
	Index iw[MAX_RANK + 1];
	int n = 0;
	for (int i = 0; i < v->c.nb; i++) iw[n++] = v->in[i];
	for (int i = 0; i < v->c.n; i++) iw[n++] = v->tap[i];
	iw[n++] = v->ci;
	iw[n++] = v->out[v->x->rank - 1];
	node_store(L, b, out, v->out, lower_product(L, b, d, a, node_load(L, b, wt, iw)), "add");
}

static void conv_reduce(Lower *L, Op *op, Conv *v)
{
	Value *y = op->out[0];
	Buf *out = lower_info(L, y)->buf;
	conv_axes(L, v, true);
	Nest *s = stage_new(L, y, out, "conv");
	nest_axes(s, &v->outer);
	s->nkeep = shared_axes(v);
	Node *r = lower_reduce_node(L, s->body, OP_add, DT_f32, v->taps.axis, v->taps.n);
	Body *b = r->body;
	Node *cond = tap_hits(L, b, v), *f = NULL;
	if (cond) {
		f = node_if(L, b, cond, DT_f32);
		f->other->result = node_const(L, f->other, scalar_from_int(0, DT_f32));
		b = f->body;
	}
	divide_by_spread(L, b, v);
	Index iw[MAX_RANK + 1];
	for (int i = 0; i < v->c.nb; i++) iw[i] = v->in[i];
	iw[v->c.nb] = v->out[v->x->rank - 1];
	for (int i = 0; i < v->c.n; i++) iw[v->first + i] = v->tap[i];
	iw[v->w->rank - 1] = v->ci;
	b->result = lower_product(L, b, y->type->dtype, pull(L, b, v->xv, v->in), pull(L, b, v->wv, iw));
	if (f) r->body->result = f;
	Node *sum = node_op(L, s->body, OP_convert, y->type->dtype, &r, 1);
	node_store(L, s->body, out, v->out, sum, NULL);
}

static void store_conv(Lower *L, Op *op)
{
	Conv v = {.c = conv_spec_of(op), .xv = op->in[0], .wv = op->in[1], .x = op->in[0]->type, .w = op->in[1]->type};
	v.first = v.c.nb + 1;
	DType d = v.x->dtype;
	if (conv_call_weight_kernel(L, &v.c, op) || conv_call_spread_kernel(L, &v.c, op)) return;
	const char *why;
	const ConvKernel *k = conv_kernel(L, &v.c, v.wv, v.x, op->out[0]->type, &why);
	if (k) conv_call_kernel(L, k, &v.c, op);
	else if (d == DT_f16 || d == DT_bf16) conv_reduce(L, op, &v);
	else conv_accumulate(L, op, &v);
	lower_note(L, "convolution: %s%s", k ? arena_printf(L->a, "kernel `%s`", k->name) : "plain loops", why);
}

/* --- windows --------------------------------------------------------------------------------------------------------------------- */
/* Indices of the plain tensor from those of the windowed one. */
static void window_index(Lower *L, const Op *op, int rank, const Index *idx, Index *in)
{
	const Attr *axes = op_attr(op, AT_axes), *step = op_attr(op, AT_step), *dil = op_attr(op, AT_dilation);
	int last = axes->n ? (int)axes->v.ints[axes->n - 1] : -1;
	for (int i = 0; i < rank; i++) in[i] = idx[i <= last ? i : i + axes->n];
	for (int k = 0; k < axes->n; k++) {
		int64_t a = axes->v.ints[k];
		in[a] = index_add(L, index_scale(L, in[a], dim_int(L->dims, step->v.ints[k])),
		                  index_scale(L, idx[last + 1 + k], dim_int(L->dims, dil->v.ints[k])));
	}
}

static Node *pull_window(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	Index *in = NEW_ARRAY(L->a, Index, op->in[0]->type->rank + 1);
	window_index(L, op, op->in[0]->type->rank, idx, in);
	return pull(L, b, op->in[0], in);
}

/* An accumulating nest over the operand. */
static void fold_accumulate(Lower *L, Op *op)
{
	Value *y = op->out[0];
	Buf *out = lower_info(L, y)->buf;
	const Type *t = op->in[0]->type;
	Index idx[MAX_RANK + 1], in[MAX_RANK + 1], zero[MAX_RANK + 1];
	const Axis *all[MAX_RANK];
	Nest *s = stage_new(L, y, out, "fold");
	int first = op_attr(op, AT_axes)->n ? (int)op_attr(op, AT_axes)->v.ints[0] : y->type->rank;
	for (int i = 0; i < t->rank; i++) {
		s->axis[s->naxis++] = lower_axis(L, t->dim[i], i);
		idx[i] = index_axis(L, s->axis[i]);
	}
	for (int i = 0; i < y->type->rank; i++) {
		all[i] = i < first ? s->axis[i] : lower_axis(L, y->type->dim[i], i);
		zero[i] = index_axis(L, all[i]);
	}
	s->nkeep = first;
	lower_init_stage(L, s, out, OP_add, zero, all, y->type->rank);
	window_index(L, op, y->type->rank, idx, in);
	node_store(L, s->body, out, in, pull(L, s->body, op->in[0], idx), "add");
}

/* One reduction over the taps for each element, in f32: tap K-1-k first, so that positions ascend as in the accumulating nest. */
static void fold_reduce(Lower *L, Op *op)
{
	Value *y = op->out[0];
	Buf *out = lower_info(L, y)->buf;
	DimCtx *d = L->dims;
	const Type *t = op->in[0]->type;
	const Attr *axes = op_attr(op, AT_axes), *step = op_attr(op, AT_step), *dil = op_attr(op, AT_dilation);
	int last = axes->n ? (int)axes->v.ints[axes->n - 1] : -1;
	Index idx[MAX_RANK + 1], in[MAX_RANK + 1];
	const Axis *taps[MAX_RANK];
	Nest *s = stage_new(L, y, out, "fold");
	for (int i = 0; i < y->type->rank; i++) {
		s->axis[s->naxis++] = lower_axis(L, y->type->dim[i], i);
		idx[i] = index_axis(L, s->axis[i]);
		in[i <= last ? i : i + axes->n] = idx[i];
	}
	s->nkeep = y->type->rank;
	for (int k = 0; k < axes->n; k++) taps[k] = lower_axis(L, t->dim[last + 1 + k], -1);
	Node *r = lower_reduce_node(L, s->body, OP_add, DT_f32, taps, axes->n), *cond = NULL;
	for (int k = 0; k < axes->n; k++) {
		int64_t a = axes->v.ints[k];
		Index tap =
		    index_offset(L, index_scale(L, index_axis(L, taps[k]), dim_int(d, -1)), dim_sub(d, t->dim[last + 1 + k], dim_int(d, 1)));
		in[last + 1 + k] = tap;
		in[a] = index_add(L, idx[a], index_scale(L, tap, dim_int(d, -dil->v.ints[k])));
		cond = node_and(L, r->body, cond, node_test(L, r->body, in[a], dim_int(d, 0), conv_span(d, t->dim[a], step->v.ints[k])));
		if (step->v.ints[k] > 1)
			cond = node_and(L, r->body, cond, node_quotient(L, r->body, N_MULTIPLE, in[a], dim_int(d, step->v.ints[k])));
	}
	Body *b = r->body;
	Node *f = NULL;
	if (cond) {
		f = node_if(L, b, cond, DT_f32);
		f->other->result = node_const(L, f->other, scalar_from_int(0, DT_f32));
		b = f->body;
	}
	for (int k = 0; k < axes->n; k++) {
		int64_t a = axes->v.ints[k];
		if (step->v.ints[k] > 1) in[a] = index_node(L, node_quotient(L, b, N_IDIV, in[a], dim_int(d, step->v.ints[k])));
	}
	Node *x = pull(L, b, op->in[0], in);
	b->result = node_op(L, b, OP_convert, DT_f32, &x, 1);
	if (f) r->body->result = f;
	node_store(L, s->body, out, idx, node_op(L, s->body, OP_convert, y->type->dtype, &r, 1), NULL);
}

static void store_fold(Lower *L, Op *op)
{
	DType d = op->out[0]->type->dtype;
	if (d == DT_f16 || d == DT_bf16) fold_reduce(L, op);
	else fold_accumulate(L, op);
}

const LowerRow lower_conv = {.store = store_conv, .repeats = REPEATS};
const LowerRow lower_window = {.pull = pull_window, .repeats = REPEATS};
const LowerRow lower_fold = {.store = store_fold};
