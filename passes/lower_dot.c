/* Lowering of sums of products. The stage's axes are batch axes, rows (free axes of the left operand) and columns (of the right one); its
 * body is a sum over the contracted axes of the product of two elements, in the order of ir/dot.h. Floats that are worth a kernel template
 * are marked so (Nest.rows, Nest.cols), and both operands are then plain loads, of copies where need be. Other numbers accumulate row by
 * row: their order does not matter to the bits of integers, and the innermost loop is contiguous. */
#include "../ir/dot.h"
#include "dot_view.h"
#include "lower.h"

/* A stored copy of x with its axes permuted. */
Buf *lower_transposed_copy(Lower *L, Value *x, const int64_t *perm)
{
	Dim dims[MAX_RANK];
	Index at[MAX_RANK + 1], in[MAX_RANK + 1];
	for (int i = 0; i < x->type->rank; i++) dims[i] = x->type->dim[perm[i]];
	const Type *t = type_get(L->m, x->type->dtype, x->type->rank, dims);
	Buf *out = lower_buf(L, BUF_ARENA, t, NULL, arena_printf(L->a, "%s_t", x->name ? x->name : "t"));
	Nest *s = stage_over(L, NULL, out, t, at, "transpose");
	for (int i = 0; i < t->rank; i++) in[perm[i]] = at[i];
	node_store(L, s->body, out, at, pull(L, s->body, x, in), NULL);
	return out;
}

Node *lower_product(Lower *L, Body *b, DType d, Node *x, Node *y)
{
	Node *arg[2] = {x, y};
	if (dtype_compute(d) != d) {
		for (int i = 0; i < 2; i++) arg[i] = node_op(L, b, OP_convert, DT_f32, &arg[i], 1);
		d = DT_f32;
	}
	return node_op(L, b, OP_mul, d, arg, 2);
}

/* One operand: its value, which of its axes are which, its indices in the axes of the stage; copy: stored as [batch, rows, columns], by
 * these axes of it. */
typedef struct Side {
	Value *v;
	DotSide axes;
	Index at[MAX_RANK + 1];
	Buf *copy;
	int64_t perm[MAX_RANK];
} Side;

typedef struct Dot {
	Side x, y;
	Index at[MAX_RANK + 1]; /* of the result */
	const Axis *outer[MAX_RANK], *col[MAX_RANK], *k[MAX_RANK];
	int nouter, ncol, nk, nbatch;
} Dot;

static void dot_axes(Lower *L, Dot *d)
{
	const Type *tx = d->x.v->type, *ty = d->y.v->type;
	const DotSide *x = &d->x.axes, *y = &d->y.axes;
	for (int i = 0; i < x->nbatch; i++, d->nouter++) {
		d->outer[d->nouter] = lower_axis(L, tx->dim[x->batch[i]], d->nouter);
		d->x.at[x->batch[i]] = d->y.at[y->batch[i]] = d->at[d->nouter] = index_axis(L, d->outer[d->nouter]);
	}
	d->nbatch = d->nouter;
	for (int i = 0; i < x->nfree; i++, d->nouter++) {
		d->outer[d->nouter] = lower_axis(L, tx->dim[x->free[i]], d->nouter);
		d->x.at[x->free[i]] = d->at[d->nouter] = index_axis(L, d->outer[d->nouter]);
	}
	for (; d->nk < x->ncontract; d->nk++) {
		d->k[d->nk] = lower_axis(L, tx->dim[x->contract[d->nk]], -1);
		d->x.at[x->contract[d->nk]] = d->y.at[y->contract[d->nk]] = index_axis(L, d->k[d->nk]);
	}
	for (; d->ncol < y->nfree; d->ncol++) {
		d->col[d->ncol] = lower_axis(L, ty->dim[y->free[d->ncol]], d->nouter + d->ncol);
		d->y.at[y->free[d->ncol]] = d->at[d->nouter + d->ncol] = index_axis(L, d->col[d->ncol]);
	}
}

/* A stored copy of an operand: batch axes, then the free ones and the contracted ones, or these first. */
static void copy_side(Lower *L, Side *s, bool contract_first)
{
	int n = 0;
	const DotSide *a = &s->axes;
	for (int i = 0; i < a->nbatch; i++) s->perm[n++] = a->batch[i];
	for (int i = 0; contract_first && i < a->ncontract; i++) s->perm[n++] = a->contract[i];
	for (int i = 0; i < a->nfree; i++) s->perm[n++] = a->free[i];
	for (int i = 0; !contract_first && i < a->ncontract; i++) s->perm[n++] = a->contract[i];
	s->copy = lower_transposed_copy(L, s->v, s->perm);
	lower_note(L, "a copy for `dot`: the operand does not lie in memory with its summed axes as one");
}

static Node *element(Lower *L, Body *b, const Side *s)
{
	Index at[MAX_RANK + 1];
	if (!s->copy) return pull(L, b, s->v, s->at);
	for (int i = 0; i < s->v->type->rank; i++) at[i] = s->at[s->perm[i]];
	return node_load(L, b, s->copy, at);
}

/* Numbers other than floats: row by row, the innermost loop over contiguous columns. */
static void accumulate_rows(Lower *L, Value *v, Buf *out, Dot *d)
{
	DType t = v->type->dtype;
	const Axis *all[MAX_RANK];
	for (int i = 0; i < d->nouter; i++) all[i] = d->outer[i];
	for (int i = 0; i < d->ncol; i++) all[d->nouter + i] = d->col[i];
	const Type *ty = d->y.v->type;
	const DotSide *y = &d->y.axes;
	if (y->nfree && y->free[y->nfree - 1] != ty->rank - 1) copy_side(L, &d->y, true);
	Nest *s = stage_new(L, v, out, "dot");
	lower_init_stage(L, s, out, OP_add, d->at, all, d->nouter + d->ncol);
	for (int i = 0; i < d->nouter; i++) s->axis[s->naxis++] = d->outer[i];
	for (int i = 0; i < d->nk; i++) s->axis[s->naxis++] = d->k[i];
	s->nkeep = d->nouter;
	Node *a = element(L, s->body, &d->x);
	Body *b = s->body;
	for (int i = 0; i < d->ncol; i++) {
		Node *f = node_add(L, b, N_FOR, t);
		f->axis[f->naxis++] = d->col[i];
		b = f->body = body_new(L, b);
	}
	Node *w = element(L, b, &d->y);
	node_store(L, b, out, d->at, lower_product(L, b, t, a, w), "add");
}

static Nest *sum_stage(Lower *L, Value *v, Buf *out, const Dot *d, DotOrder order)
{
	DType t = v->type->dtype;
	int64_t k = 1, n;
	Nest *s = stage_new(L, v, out, "dot");
	for (int i = 0; i < d->nouter; i++) s->axis[s->naxis++] = d->outer[i];
	for (int i = 0; i < d->ncol; i++) s->axis[s->naxis++] = d->col[i];
	s->nkeep = s->naxis;
	Node *r = lower_reduce_node(L, s->body, OP_add, dtype_compute(t), d->k, d->nk);
	for (int i = 0; i < d->nk; i++) k = k >= 0 && dim_is_const(d->k[i]->extent, &n) ? k * n : -1;
	r->lanes = order.lanes > 1 ? order.lanes : 0;
	r->block = order.block && (k < 0 || k > order.block) ? order.block : 0;
	r->body->result = lower_product(L, r->body, t, element(L, r->body, &d->x), element(L, r->body, &d->y));
	Node *sum = r;
	if (dtype_compute(t) != t) sum = node_op(L, s->body, OP_convert, t, &sum, 1);
	node_store(L, s->body, out, d->at, sum, NULL);
	return s;
}

/* Is the product too small for a template to pay? That is a matter of each row: an extent counts as LIKELY at most, and as that or its
 * bound where it is not known. Outer products are bound by memory. */
static bool is_small(Lower *L, const Dot *d)
{
	enum { LIKELY = 64 };
	int64_t known = 1, depth = 1, n;
	bool all = true;
	for (int i = 0; i < d->nouter + d->nk + d->ncol; i++) {
		const Axis *x = i < d->nouter ? d->outer[i] : i < d->nouter + d->nk ? d->k[i - d->nouter] : d->col[i - d->nouter - d->nk];
		if (i < d->nbatch) continue;
		if (!dim_is_const(x->extent, &n)) {
			all = false;
			if (!dim_upper(L->facts, x->extent, &n)) n = LIKELY;
		}
		if (i >= d->nouter && i < d->nouter + d->nk && depth < LIKELY) depth *= n;
		if (n > LIKELY) n = LIKELY;
		if (known < 1 << 20) known *= n;
	}
	return depth < 2 || (all ? known < 2048 : known <= LIKELY * LIKELY);
}

/* Would the operand be a plain load whose contracted axes are one in memory? */
static bool is_plain(Lower *L, const Dot *d, const Side *s)
{
	Body *b = body_new(L, NULL);
	Node *n = element(L, b, s);
	if (n->kind != N_LOAD) return false;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].node) return false;
	Dim stride = NULL, extent = dim_int(L->dims, 1);
	for (int i = d->nk - 1; i >= 0; i--) {
		int64_t one;
		if (dim_is_const(d->k[i]->extent, &one) && one == 1) continue;
		Dim at = access_stride(L->dims, n->buf, n->index, d->k[i]);
		if (stride && at != dim_mul(L->dims, stride, extent)) return false;
		if (!stride) stride = at;
		extent = dim_mul(L->dims, extent, d->k[i]->extent);
	}
	return true;
}

static void store_dot(Lower *L, Op *op)
{
	Value *v = op->out[0], *x = op->in[0], *y = op->in[1];
	Buf *out = lower_info(L, v)->buf;
	const Attr *lc = op_attr(op, AT_lhs_contract), *rc = op_attr(op, AT_rhs_contract), *lb = op_attr(op, AT_lhs_batch),
	           *rb = op_attr(op, AT_rhs_batch);
	Dot d = {.x = {.v = x, .axes = dot_side(x->type->rank, lc->v.ints, lc->n, lb->v.ints, lb->n)},
	         .y = {.v = y, .axes = dot_side(y->type->rank, rc->v.ints, rc->n, rb->v.ints, rb->n)}};
	dot_axes(L, &d);
	if (!dtype_is_float(v->type->dtype) && d.nk) {
		accumulate_rows(L, v, out, &d);
		lower_note(L, "`dot` is plain loops: templates are for floats, this is %s", dtype_name(v->type->dtype));
		return;
	}
	bool large = dtype_is_float(v->type->dtype) && d.nk && d.nouter + d.ncol > d.nbatch && !is_small(L, &d);
	if (large && !is_plain(L, &d, &d.x)) copy_side(L, &d.x, false);
	if (large && !is_plain(L, &d, &d.y)) copy_side(L, &d.y, true);
	Nest *s = sum_stage(L, v, out, &d, dot_order(x->type, &d.x.axes, y->type, &d.y.axes));
	if (!large) lower_note(L, "`dot` is plain loops: too small for a template to pay");
	if (large) s->rows = d.nouter - d.nbatch, s->cols = d.ncol;
}

const LowerRow lower_dot = {.store = store_dot, .repeats = REPEATS};
