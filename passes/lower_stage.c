/* Stages: the loop nests that compute a stored value, one function per kind of op. Sums keep the order of the reference interpreter
 * (ir/order.h), so results have its bits; loops are chosen so that the innermost axis is contiguous. */
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "../ir/order.h"
#include "lower.h"

Node *scatter_indices(Lower *L, Body *b, Op *op, const Index *at, Index *in);

Nest *stage_new(Lower *L, Value *v, Buf *out, const char *what)
{
	Step *s = lower_step(L, STEP_KERNEL);
	Kernel *k = s->kernel = NEW(L->a, Kernel);
	Nest *st = NEW(L->a, Nest);
	st->out = out;
	st->what = what;
	st->loc = k->loc = s->loc = L->loc;
	st->body = body_new(L, NULL);
	k->stages = NEW_ARRAY(L->a, Nest *, 1);
	k->stages[k->nstages++] = st;
	k->cap = 1;
	return st;
}

void lower_note(Lower *L, const char *fmt, ...)
{
	va_list ap;
	Kernel *k = L->steps->at[L->steps->n - 1]->kernel;
	va_start(ap, fmt);
	note_add(L->a, &k->notes, L->loc, "%s", arena_vprintf(L->a, fmt, ap));
	va_end(ap);
}

Nest *stage_over(Lower *L, Value *v, Buf *out, const Type *t, Index *idx, const char *what)
{
	Nest *s = stage_new(L, v, out, what);
	for (int i = 0; i < t->rank; i++) {
		s->axis[s->naxis++] = lower_axis(L, t->dim[i], i);
		idx[i] = index_axis(L, s->axis[i]);
	}
	s->nkeep = t->rank;
	return s;
}

static void store_map(Lower *L, Op *op)
{
	for (int k = 0; k < op->nout; k++) {
		Value *v = op->out[k];
		Buf *out = lower_info(L, v)->buf;
		Index idx[MAX_RANK + 1];
		if (!out) continue;
		Nest *s = stage_over(L, v, out, v->type, idx, op_row(op->code)->name);
		node_store(L, s->body, out, idx, pull_def(L, s->body, v, idx), NULL);
	}
}

/* One nest per operand. */
void store_concat(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	int64_t axis = op_int(v->def, AT_axis, 0);
	Dim at = dim_int(L->dims, 0);
	for (int k = 0; k < v->def->nin; k++) {
		Index idx[MAX_RANK + 1];
		Value *x = v->def->in[k];
		Nest *s = stage_over(L, v, out, x->type, idx, "concat");
		Node *n = pull(L, s->body, x, idx);
		idx[axis] = index_offset(L, idx[axis], at);
		if (k) s->nkeep = 0;
		node_store(L, s->body, out, idx, n, NULL);
		at = dim_add(L->dims, at, x->type->dim[axis]);
	}
}

/* --- reductions ------------------------------------------------------------------------------------------------------------------- */
/* The value that op leaves unchanged. */
Scalar reduce_identity(OpCode op, DType d)
{
	Scalar s = scalar_from_int(0, d);
	bool max = op == OP_maximum;
	if (op == OP_mul || op == OP_and) return scalar_from_int(1, d);
	if (op == OP_logaddexp) return scalar_from_double(-INFINITY, d);
	if (op != OP_maximum && op != OP_minimum) return s;
	switch (dtype_kind(d)) {
	case DK_FLOAT: return scalar_from_double(max ? -INFINITY : INFINITY, d);
	case DK_COMPLEX: s.v.c[0] = s.v.c[1] = max ? -INFINITY : INFINITY; return s;
	case DK_INT: {
		int bits = 8 * dtype_bytes(d);
		s.v.i = max ? (int64_t)(~(uint64_t)0 << (bits - 1)) : (int64_t)(~(uint64_t)0 >> (65 - bits));
		return s;
	}
	default: s.v.u = max ? 0 : d == DT_bool ? 1 : ~(uint64_t)0 >> (64 - 8 * dtype_bytes(d)); return s;
	}
}

Node *lower_reduce_node(Lower *L, Body *b, OpCode op, DType d, const Axis *const *axis, int n)
{
	Node *r = node_add(L, b, N_REDUCE, d);
	r->op = op;
	for (int i = 0; i < n; i++) r->axis[r->naxis++] = axis[i];
	r->body = body_new(L, b);
	return r;
}

static bool is_half(DType d)
{
	return d == DT_f16 || d == DT_bf16;
}

void lower_init_stage(Lower *L, Nest *s, Buf *out, OpCode op, const Index *idx, const Axis *const *axis, int n)
{
	s->init = body_new(L, NULL);
	for (int i = 0; i < n; i++) s->init_axis[s->ninit++] = axis[i];
	node_store(L, s->init, out, idx, node_const(L, s->init, reduce_identity(op, out->type->dtype)), NULL);
}

/* What rows[from..from + n) of op's operand give, into part[at]. chunk: the axis along which parts lie, or NULL for one part alone. */
static void store_chunk(Lower *L, Op *op, ReduceOrder o, Buf *part, const Axis *chunk, Index at, int64_t from, int64_t n)
{
	const Type *t = op->in[0]->type;
	DType c = part->type->dtype;
	Nest *s = stage_new(L, op->out[0], part, op_row(op->code)->name);
	if (chunk) s->axis[s->naxis++] = chunk, s->nkeep = 1;
	const Axis *axis[MAX_RANK];
	Index in[MAX_RANK + 1], first = chunk ? index_scale(L, at, dim_int(L->dims, n)) : index_dim(L, dim_int(L->dims, from));
	int k = 0;
	in[0] = first;
	for (int i = 0; i < t->rank; i++) {
		if (i == 0 && n == 1 && t->rank > 1) continue;
		axis[k] = lower_axis(L, i ? t->dim[i] : dim_int(L->dims, n), i);
		in[i] = i ? index_axis(L, axis[k]) : index_add(L, first, index_axis(L, axis[k]));
		k++;
	}
	Node *r = lower_reduce_node(L, s->body, lower_row(op->code)->combine, c, axis, k);
	r->lanes = o.lanes;
	Node *x = pull(L, r->body, op->in[0], in);
	r->body->result = x->dtype == c ? x : node_op(L, r->body, OP_convert, c, &x, 1);
	node_store(L, s->body, part, &at, r, NULL);
}

/* All elements of a large operand: a result for each chunk (ir/order.h), then these one after the other. */
static void store_chunks(Lower *L, Op *op, ReduceOrder o)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	DType d = v->type->dtype, c = dtype_compute(d);
	int64_t n = 0;
	dim_is_const(op->in[0]->type->dim[0], &n);
	int64_t whole = n / o.rows, rest = n % o.rows;
	Dim parts = dim_int(L->dims, whole + (rest > 0));
	Buf *part = lower_buf(L, BUF_ARENA, type_get(L->m, c, 1, &parts), v, "parts");
	const Axis *chunk = lower_axis(L, dim_int(L->dims, whole), 0);
	store_chunk(L, op, o, part, chunk, index_axis(L, chunk), 0, o.rows);
	if (rest) store_chunk(L, op, o, part, NULL, index_dim(L, dim_int(L->dims, whole)), whole * o.rows, rest);
	Nest *s = stage_new(L, v, out, "chunks");
	const Axis *x = lower_axis(L, parts, 0);
	Index at = index_axis(L, x);
	Node *r = lower_reduce_node(L, s->body, lower_row(op->code)->combine, c, &x, 1);
	r->body->result = node_load(L, r->body, part, &at);
	node_store(L, s->body, out, &at, c == d ? r : node_op(L, s->body, OP_convert, d, &r, 1), NULL);
}

static void store_reduce(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	const Attr *axes = op_attr(op, AT_axes);
	const Type *t = op->in[0]->type;
	OpCode comb = lower_row(op->code)->combine;
	bool red[MAX_RANK] = {false};
	for (int i = 0; i < axes->n; i++) red[axes->v.ints[i]] = true;
	Index in[MAX_RANK + 1], idx[MAX_RANK + 1];
	ReduceOrder order = reduce_order(t, axes->v.ints, axes->n);
	if (order.rows) {
		store_chunks(L, op, order);
		return;
	}
	const Axis *ax[MAX_RANK], *kept[MAX_RANK], *reduced[MAX_RANK];
	int nk = 0, nr = 0, prefix = 0;
	while (prefix < t->rank && !red[prefix]) prefix++;
	for (int i = 0; i < t->rank; i++) {
		ax[i] = lower_axis(L, t->dim[i], i);
		in[i] = index_axis(L, ax[i]);
		if (red[i]) reduced[nr++] = ax[i];
		else idx[nk] = in[i], kept[nk++] = ax[i];
	}
	Nest *s = stage_new(L, v, out, op_row(op->code)->name);
	bool inner_kept = t->rank && !red[t->rank - 1];
	if (inner_kept && !is_half(t->dtype)) {
		lower_init_stage(L, s, out, comb, idx, kept, nk);
		for (int i = 0; i < t->rank; i++) s->axis[s->naxis++] = ax[i];
		s->nkeep = prefix;
		node_store(L, s->body, out, idx, pull(L, s->body, op->in[0], in), op_row(comb)->name);
		return;
	}
	for (int i = 0; i < nk; i++) s->axis[s->naxis++] = kept[i];
	s->nkeep = nk;
	Node *r = lower_reduce_node(L, s->body, comb, v->type->dtype, reduced, nr);
	r->lanes = order.lanes > 1 ? order.lanes : 0;
	r->body->result = pull(L, r->body, op->in[0], in);
	node_store(L, s->body, out, idx, r, NULL);
}

static void store_arg(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	int64_t axis = op_int(op, AT_axis, 0);
	const Type *t = op->in[0]->type;
	Index in[MAX_RANK + 1], idx[MAX_RANK + 1];
	Nest *s = stage_over(L, v, out, v->type, idx, op_row(op->code)->name);
	const Axis *x = lower_axis(L, t->dim[axis], (int)axis);
	for (int i = 0, k = 0; i < t->rank; i++) in[i] = i == axis ? index_axis(L, x) : idx[k++];
	Node *n = node_add(L, s->body, N_ARG, DT_u32);
	n->op = lower_row(op->code)->combine;
	n->axis[n->naxis++] = x;
	n->body = body_new(L, s->body);
	n->body->result = pull(L, n->body, op->in[0], in);
	node_store(L, s->body, out, idx, n, NULL);
}

static void store_scan(Lower *L, Op *op)
{
	Value *v = op->out[0];
	int64_t axis = op_int(op, AT_axis, 0);
	const Type *t = v->type;
	Index in[MAX_RANK + 1];
	Buf *out = lower_info(L, v)->buf;
	Nest *s = stage_new(L, v, out, op_row(op->code)->name);
	const Axis *x = lower_axis(L, t->dim[axis], (int)axis);
	for (int i = 0; i < t->rank; i++) {
		const Axis *a = i == axis ? x : (s->axis[s->naxis++] = lower_axis(L, t->dim[i], i));
		in[i] = index_axis(L, a);
	}
	s->nkeep = (int)axis;
	Node *n = node_add(L, s->body, N_SCAN, t->dtype);
	n->op = lower_row(op->code)->combine;
	n->axis[n->naxis++] = x;
	n->reverse = op_bool(op, AT_reverse);
	n->exclusive = op_bool(op, AT_exclusive);
	n->buf = out;
	n->buf2 = op->nout > 1 ? lower_info(L, op->out[1])->buf : NULL;
	n->nindex = t->rank;
	n->index = arena_copy(L->a, in, sizeof *in * (size_t)(t->rank + 1));
	n->body = body_new(L, s->body);
	n->body->result = pull(L, n->body, op->in[0], in);
	if (op->nin > 1) n->body->result2 = pull(L, n->body, op->in[1], in);
}

/* --- updates ---------------------------------------------------------------------------------------------------------------------- */
static void copy_value(Lower *L, Value *x, Buf *out)
{
	Index idx[MAX_RANK + 1];
	Info *i = lower_info(L, x);
	if (i->buf == out || (out->space == BUF_ALIAS && out->base == i->buf && !out->has_row)) return;
	Nest *s = stage_over(L, x, out, x->type, idx, "copy");
	node_store(L, s->body, out, idx, pull(L, s->body, x, idx), NULL);
}

static void store_dupdate(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	Value *x = op->in[0], *u = op->in[1];
	const Attr *axes = op_attr(op, AT_axes);
	copy_value(L, x, out);
	Index idx[MAX_RANK + 1];
	Nest *s = stage_over(L, v, out, u->type, idx, "dupdate");
	s->nkeep = 0;
	Node *n = pull(L, s->body, u, idx);
	for (int i = 0; i < axes->n; i++) {
		int64_t a = axes->v.ints[i];
		Node *at = node_clamp(L, s->body, pull(L, s->body, op->in[2 + i], NULL), dim_int(L->dims, 0),
		                      dim_sub(L->dims, x->type->dim[a], u->type->dim[a]));
		idx[a] = index_add(L, idx[a], index_node(L, at));
	}
	node_store(L, s->body, out, idx, n, strcmp(op_str(op, AT_mode), "add") ? NULL : "add");
}

static void store_scatter(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	const char *mode = op_str(op, AT_mode);
	copy_value(L, op->in[0], out);
	Index idx[MAX_RANK + 1], in[MAX_RANK + 1];
	Nest *s = stage_over(L, v, out, op->in[2]->type, idx, "scatter");
	s->nkeep = 0;
	Node *cond = scatter_indices(L, s->body, op, idx, in);
	Body *b = s->body;
	if (cond) {
		Node *f = node_add(L, b, N_IF, v->type->dtype);
		f->arg[f->narg++] = cond;
		b = f->body = body_new(L, b);
		f->other = NULL;
	}
	const char *how = !strcmp(mode, "set") ? NULL : !strcmp(mode, "max") ? "maximum" : !strcmp(mode, "min") ? "minimum" : mode;
	node_store(L, b, out, in, pull(L, b, op->in[2], idx), how);
}

/* --- templates: one call for each row ---------------------------------------------------------------------------------------------- */
/* Scratch for sorting n elements of dtype d: two arrays of pairs (element, position), and counts for each byte of a radix sort. */
static Buf *sort_room(Lower *L, DType d, Dim n)
{
	enum { COUNTS = 256 };
	int64_t known, bytes = dtype_bytes(d) > 4 ? 8 : 4;
	Dim words = dim_scale(L->dims, n, bytes, 1); /* a pair has twice the bytes of its element, at least 8 */
	if (d != DT_c64 && !(dim_is_const(n, &known) && known < SORT_RADIX_FROM))
		words = dim_add(L->dims, words, dim_int(L->dims, COUNTS * bytes));
	return lower_buf(L, BUF_ARENA, type_get(L->m, DT_i32, 1, &words), NULL, "sort_room");
}

/* A call of the sort or topk template for each row of v along the op's axis. */
static Node *sort_rows(Lower *L, Op *op)
{
	int64_t axis = op_int(op, AT_axis, 0);
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf, *perm = lower_info(L, op->out[1])->buf;
	Nest *s = stage_new(L, v, out, op_row(op->code)->name);
	Node *n = node_add(L, s->body, N_RAW, v->type->dtype);
	Index idx[MAX_RANK + 1];
	for (int i = 0; i < v->type->rank; i++) {
		const Axis *a = i == axis ? NULL : (s->axis[s->naxis++] = lower_axis(L, v->type->dim[i], i));
		idx[i] = a ? index_axis(L, a) : index_dim(L, dim_int(L->dims, 0));
	}
	s->nkeep = 0;
	n->mode = op_row(op->code)->name;
	n->buf = out;
	n->buf2 = perm;
	n->nindex = v->type->rank;
	n->index = arena_copy(L->a, idx, sizeof *idx * (size_t)(n->nindex + 1));
	n->hi = op->in[0]->type->dim[axis];
	n->number = axis;
	return n;
}

static void store_sort(Lower *L, Op *op)
{
	copy_value(L, op->in[0], lower_info(L, op->out[0])->buf);
	Node *n = sort_rows(L, op);
	n->src2 = sort_room(L, n->dtype, n->hi);
}

static void store_topk(Lower *L, Op *op)
{
	Buf *x = lower_value_buf(L, op->in[0]);
	Node *n = sort_rows(L, op);
	n->src = x;
	x->reads++;
	n->lo = op_attr(op, AT_size)->v.dim;
	n->src2 = sort_room(L, n->dtype, dim_add(L->dims, dim_scale(L->dims, n->lo, 2, 1), dim_int(L->dims, TOPK_SLACK)));
}

static void store_searchsorted(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	Index idx[MAX_RANK + 1];
	Buf *table = lower_value_buf(L, op->in[0]);
	Nest *s = stage_over(L, v, out, v->type, idx, "searchsorted");
	Node *x = pull(L, s->body, op->in[1], idx);
	Node *n = node_add(L, s->body, N_RAW, DT_u32);
	n->mode = "searchsorted";
	n->src = table;
	n->from = op->in[0]->type->dtype;
	n->hi = op->in[0]->type->dim[0];
	n->number = op_bool(op, AT_right);
	n->arg[n->narg++] = x;
	node_store(L, s->body, out, idx, n, NULL);
}

static void store_rng(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	const Attr *shape = op_attr(op, AT_shape);
	int nb = v->type->rank - shape->n;
	Buf *key = lower_value_buf(L, op->in[0]);
	Nest *s = stage_new(L, v, out, "rng_bits");
	Index idx[MAX_RANK + 1];
	for (int i = 0; i < nb; i++) {
		s->axis[s->naxis++] = lower_axis(L, v->type->dim[i], i);
		idx[i] = index_axis(L, s->axis[i]);
	}
	Dim n = dim_int(L->dims, 1);
	for (int i = nb; i < v->type->rank; i++) {
		idx[i] = index_dim(L, dim_int(L->dims, 0));
		n = dim_mul(L->dims, n, v->type->dim[i]);
	}
	Node *r = node_add(L, s->body, N_RAW, v->type->dtype);
	r->mode = "rng_bits";
	r->buf = out;
	r->src = key;
	r->number = nb;
	r->nindex = v->type->rank;
	r->index = arena_copy(L->a, idx, sizeof *idx * (size_t)(r->nindex + 1));
	r->hi = n;
}

static void store_bitcast(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *out = lower_info(L, v)->buf;
	Buf *src = lower_value_buf(L, v->def->in[0]);
	Nest *s = stage_new(L, v, out, "bitcast");
	Node *n = node_add(L, s->body, N_RAW, v->type->dtype);
	n->mode = "bitcast";
	n->buf = out;
	n->src = src;
	n->hi = dim_scale(L->dims, type_size(L->m, v->type), dtype_bytes(v->type->dtype), 1);
}

const LowerRow lower_reduce_sum = {.store = store_reduce, .combine = OP_add};
const LowerRow lower_reduce_prod = {.store = store_reduce, .combine = OP_mul};
const LowerRow lower_reduce_max = {.store = store_reduce, .combine = OP_maximum};
const LowerRow lower_reduce_min = {.store = store_reduce, .combine = OP_minimum};
const LowerRow lower_reduce_and = {.store = store_reduce, .combine = OP_and};
const LowerRow lower_reduce_or = {.store = store_reduce, .combine = OP_or};
const LowerRow lower_argmax = {.store = store_arg, .combine = OP_maximum};
const LowerRow lower_argmin = {.store = store_arg, .combine = OP_minimum};
const LowerRow lower_cumsum = {.store = store_scan, .combine = OP_add};
const LowerRow lower_cumprod = {.store = store_scan, .combine = OP_mul};
const LowerRow lower_cummax = {.store = store_scan, .combine = OP_maximum};
const LowerRow lower_cummin = {.store = store_scan, .combine = OP_minimum};
const LowerRow lower_cumlogsumexp = {.store = store_scan, .combine = OP_logaddexp};
const LowerRow lower_linrec = {.store = store_scan, .combine = OP_linrec};
const LowerRow lower_dupdate = {.store = store_dupdate, .update = true};
const LowerRow lower_scatter = {.store = store_scatter, .update = true};
const LowerRow lower_sort = {.store = store_sort};
const LowerRow lower_topk = {.store = store_topk, .memory = true};
const LowerRow lower_searchsorted = {.store = store_searchsorted};
const LowerRow lower_rng_bits = {.store = store_rng, .memory = true};
const LowerRow lower_bitcast = {.store = store_bitcast, .memory = true};

void lower_stored(Lower *L, Op *op)
{
	const LowerRow *row = lower_row(op->code);
	(row->store ? row->store : store_map)(L, op);
}
