/* Pulling: the element of a value at given indices, as scalar nodes. Views turn into index arithmetic and guards here; stored values
 * into loads. Nodes that are equal are made once per body. */
#include <string.h>
#include "lower.h"

Body *body_new(Lower *L, Body *parent)
{
	Body *b = NEW(L->a, Body);
	b->parent = parent;
	return b;
}

Node *node_add(Lower *L, Body *b, NodeKind k, DType d)
{
	Node *n = NEW(L->a, Node);
	n->kind = k;
	n->id = L->next_node++;
	n->dtype = d;
	n->loc = L->loc;
	if (b->last) b->last->next = n;
	else b->first = n;
	b->last = n;
	return n;
}

/* --- indices ---------------------------------------------------------------------------------------------------------------------- */
Index index_dim(Lower *L, Dim d)
{
	return (Index){NULL, 0, d};
}

static Index index_term(Lower *L, Term t)
{
	Index i = {arena_copy(L->a, &t, sizeof t), 1, dim_int(L->dims, 0)};
	return i;
}

Index index_axis(Lower *L, const Axis *x)
{
	return index_term(L, (Term){x, NULL, dim_int(L->dims, 1)});
}
Index index_node(Lower *L, Node *n)
{
	return index_term(L, (Term){NULL, n, dim_int(L->dims, 1)});
}

Index index_add(Lower *L, Index a, Index b)
{
	Index r = {NEW_ARRAY(L->a, Term, a.n + b.n), 0, dim_add(L->dims, a.add, b.add)};
	for (int i = 0; i < a.n; i++) r.term[r.n++] = a.term[i];
	for (int i = 0; i < b.n; i++) {
		int k = 0;
		while (k < r.n && (r.term[k].axis != b.term[i].axis || r.term[k].node != b.term[i].node)) k++;
		if (k < r.n) r.term[k].coef = dim_add(L->dims, r.term[k].coef, b.term[i].coef);
		else r.term[r.n++] = b.term[i];
	}
	int n = 0;
	for (int i = 0; i < r.n; i++) {
		int64_t c;
		if (!dim_is_const(r.term[i].coef, &c) || c != 0) r.term[n++] = r.term[i];
	}
	r.n = n;
	return r;
}

Index index_scale(Lower *L, Index a, Dim k)
{
	int64_t c;
	if (dim_is_const(k, &c) && c == 1) return a;
	if (dim_is_const(k, &c) && c == 0) return index_dim(L, dim_int(L->dims, 0));
	Index r = {arena_copy(L->a, a.term, sizeof(Term) * (size_t)a.n), a.n, dim_mul(L->dims, a.add, k)};
	for (int i = 0; i < r.n; i++) r.term[i].coef = dim_mul(L->dims, r.term[i].coef, k);
	return r;
}

Index index_offset(Lower *L, Index a, Dim d)
{
	a.add = dim_add(L->dims, a.add, d);
	return a;
}

static bool index_equal(const Index *a, const Index *b)
{
	if (a->n != b->n || a->add != b->add) return false;
	for (int i = 0; i < a->n; i++)
		if (a->term[i].axis != b->term[i].axis || a->term[i].node != b->term[i].node || a->term[i].coef != b->term[i].coef) return false;
	return true;
}

/* --- nodes, each once ------------------------------------------------------------------------------------------------------------- */
static bool node_equal(const Node *a, const Node *b)
{
	if (a->kind != b->kind || a->dtype != b->dtype || a->op != b->op || a->narg != b->narg || a->nindex != b->nindex || a->buf != b->buf ||
	    a->lo != b->lo || a->hi != b->hi || a->from != b->from)
		return false;
	for (int i = 0; i < a->narg; i++)
		if (a->arg[i] != b->arg[i]) return false;
	for (int i = 0; i < a->nindex; i++)
		if (!index_equal(&a->index[i], &b->index[i])) return false;
	return a->kind != N_CONST || !memcmp(&a->value.v, &b->value.v, sizeof a->value.v);
}

static Node *node_intern(Lower *L, Body *b, Node key)
{
	for (Body *at = b; at; at = at->parent)
		for (Node *n = at->first; n; n = n->next)
			if (node_equal(n, &key)) return n;
	Node *n = node_add(L, b, key.kind, key.dtype);
	key.id = n->id;
	key.loc = n->loc;
	*n = key;
	if (key.nindex) n->index = arena_copy(L->a, key.index, sizeof(Index) * (size_t)key.nindex);
	return n;
}

Node *node_index(Lower *L, Body *b, Index i, DType d)
{
	return node_intern(L, b, (Node){.kind = N_INDEX, .dtype = d, .index = &i, .nindex = 1});
}

Node *node_const(Lower *L, Body *b, Scalar s)
{
	Node key = {.kind = N_CONST, .dtype = s.dtype};
	key.value.dtype = s.dtype;
	memcpy(&key.value.v, &s.v, sizeof s.v);
	return node_intern(L, b, key);
}

Node *node_op(Lower *L, Body *b, OpCode op, DType d, Node *const *arg, int n)
{
	Node key = {.kind = N_OP, .dtype = d, .op = op, .narg = n, .from = arg[op == OP_select ? 1 : 0]->dtype};
	for (int i = 0; i < n; i++) key.arg[i] = arg[i];
	return node_intern(L, b, key);
}

Node *node_clamp(Lower *L, Body *b, Node *x, Dim lo, Dim hi)
{
	return node_intern(L, b, (Node){.kind = N_CLAMP, .dtype = DT_i64, .arg = {x}, .narg = 1, .lo = lo, .hi = hi});
}

Node *node_test(Lower *L, Body *b, Index i, Dim lo, Dim hi)
{
	return node_intern(L, b, (Node){.kind = N_TEST, .dtype = DT_bool, .index = &i, .nindex = 1, .lo = lo, .hi = hi});
}

Node *node_quotient(Lower *L, Body *b, NodeKind k, Index i, Dim by)
{
	return node_intern(L, b, (Node){.kind = k, .dtype = k == N_MULTIPLE ? DT_bool : DT_i64, .index = &i, .nindex = 1, .hi = by});
}

Node *node_and(Lower *L, Body *b, Node *x, Node *y)
{
	if (!x) return y;
	Node *a[2] = {x, y};
	return node_op(L, b, OP_and, DT_bool, a, 2);
}

Node *node_load(Lower *L, Body *b, Buf *buf, const Index *idx)
{
	Node key = {.kind = N_LOAD, .dtype = buf->type->dtype, .buf = buf, .index = (Index *)idx, .nindex = buf->type->rank};
	return node_intern(L, b, key);
}

Node *node_store(Lower *L, Body *b, Buf *buf, const Index *idx, Node *x, const char *mode)
{
	Node *n = node_add(L, b, N_STORE, buf->type->dtype);
	n->buf = buf;
	n->arg[n->narg++] = x;
	n->nindex = buf->type->rank;
	n->index = arena_copy(L->a, idx, sizeof *idx * (size_t)n->nindex);
	n->mode = mode;
	return n;
}

/* An N_IF whose arms the caller fills; its value is the arms' results. */
Node *node_if(Lower *L, Body *b, Node *cond, DType d)
{
	Node *n = node_add(L, b, N_IF, d);
	n->arg[n->narg++] = cond;
	n->body = body_new(L, b);
	n->other = body_new(L, b);
	return n;
}

/* --- one function per view -------------------------------------------------------------------------------------------------------- */
typedef Index *Idx;

static Idx idx_new(Lower *L, int n)
{
	return NEW_ARRAY(L->a, Index, n + 1);
}

static Node *pull_broadcast(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *d = op_attr(op, AT_dims);
	Idx in = idx_new(L, d->n);
	for (int i = 0; i < d->n; i++) in[i] = idx[d->v.ints[i]];
	return pull(L, b, op->in[0], in);
}

static Node *pull_transpose(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *p = op_attr(op, AT_perm);
	Idx in = idx_new(L, p->n);
	for (int i = 0; i < p->n; i++) in[p->v.ints[i]] = idx[i];
	return pull(L, b, op->in[0], in);
}

static Node *pull_rev(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *axes = op_attr(op, AT_axes);
	const Type *t = op->in[0]->type;
	Idx in = arena_copy(L->a, idx, sizeof *idx * (size_t)(t->rank + 1));
	for (int i = 0; i < axes->n; i++) {
		int64_t x = axes->v.ints[i];
		in[x] = index_offset(L, index_scale(L, idx[x], dim_int(L->dims, -1)), dim_sub(L->dims, t->dim[x], dim_int(L->dims, 1)));
	}
	return pull(L, b, op->in[0], in);
}

static Node *pull_slice(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *lo = op_attr(op, AT_lo), *step = op_attr(op, AT_step);
	Idx in = idx_new(L, lo->n);
	for (int i = 0; i < lo->n; i++) in[i] = index_offset(L, index_scale(L, idx[i], dim_int(L->dims, step->v.ints[i])), lo->v.dims[i]);
	return pull(L, b, op->in[0], in);
}

/* Row-major position of idx[from..to) in dims[from..to). */
static Index linear(Lower *L, const Dim *dims, const Index *idx, int from, int to)
{
	Index r = index_dim(L, dim_int(L->dims, 0));
	for (int i = from; i < to; i++) r = index_add(L, index_scale(L, r, dims[i]), idx[i]);
	return r;
}

/* in[from..to) of the operand from its row-major position within those axes. */
static void unflatten(Lower *L, Body *b, Index at, const Dim *dims, int from, int to, Idx in)
{
	int last = to - 1;
	while (last > from && dim_is(dims[last], 1)) in[last--] = index_dim(L, dim_int(L->dims, 0));
	int first = from;
	while (first < last && dim_is(dims[first], 1)) in[first++] = index_dim(L, dim_int(L->dims, 0));
	for (int i = last; i > first; i--) {
		if (dim_is(dims[i], 1)) {
			in[i] = index_dim(L, dim_int(L->dims, 0));
			continue;
		}
		in[i] = index_node(L, node_quotient(L, b, N_IMOD, at, dims[i]));
		at = index_node(L, node_quotient(L, b, N_IDIV, at, dims[i]));
	}
	if (first < to) in[first] = at;
}

/* Walks both shapes from the left, closing a group of axes where the products agree: within a group the index goes through its row-major
 * position, so that [B,L,H*D] <-> [B,L,H,D] stays affine wherever it can. */
static Node *pull_reshape(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Type *out = op->out[0]->type, *t = op->in[0]->type;
	Idx in = idx_new(L, t->rank);
	int i = 0, k = 0;
	while (i < out->rank || k < t->rank) {
		int i0 = i, k0 = k;
		Dim po = dim_int(L->dims, 1), pi = po;
		if (i < out->rank) po = out->dim[i++];
		if (k < t->rank) pi = t->dim[k++];
		while (!dim_provable_equal(L->facts, po, pi)) {
			/* grow the side that is shown to be smaller; at the end of a side, the other one */
			bool grow_out = k == t->rank || (i < out->rank && dim_provable_less(L->facts, po, pi));
			bool grow_in = i == out->rank || (k < t->rank && dim_provable_less(L->facts, pi, po));
			if (!grow_out && !grow_in) grow_out = grow_in = true;
			if (i == out->rank && k == t->rank) break;
			if (grow_out && i < out->rank) po = dim_mul(L->dims, po, out->dim[i++]);
			if (grow_in && k < t->rank) pi = dim_mul(L->dims, pi, t->dim[k++]);
		}
		unflatten(L, b, linear(L, out->dim, idx, i0, i), t->dim, k0, k, in);
	}
	return pull(L, b, op->in[0], in);
}

/* lo <= index < hi, or NULL when that is shown to hold always. */
static Node *range_test(Lower *L, Body *b, Node *cond, Index i, Dim lo, Dim hi, bool always)
{
	return always ? cond : node_and(L, b, cond, node_test(L, b, i, lo, hi));
}

static Node *pull_pad(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *lo = op_attr(op, AT_lo), *hi = op_attr(op, AT_hi), *step = op_attr(op, AT_step);
	const Type *t = op->in[0]->type;
	DimCtx *c = L->dims;
	Idx in = idx_new(L, t->rank);
	Node *cond = NULL;
	for (int i = 0; i < t->rank; i++) {
		Index at = index_offset(L, idx[i], dim_scale(c, lo->v.dims[i], -1, 1));
		int64_t s = step->v.ints[i];
		bool fits = s == 1 && dim_provable_nonneg(L->facts, dim_scale(c, lo->v.dims[i], -1, 1)) &&
		            dim_provable_nonneg(L->facts, dim_scale(c, hi->v.dims[i], -1, 1));
		Dim span = dim_add(c, dim_scale(c, dim_sub(c, t->dim[i], dim_int(c, 1)), s, 1), dim_int(c, 1));
		cond = range_test(L, b, cond, at, dim_int(c, 0), span, fits);
		in[i] = at;
	}
	for (int i = 0; i < t->rank; i++) {
		int64_t s = step->v.ints[i];
		if (s == 1) continue;
		cond = node_and(L, b, cond, node_quotient(L, b, N_MULTIPLE, in[i], dim_int(c, s)));
	}
	if (!cond) return pull(L, b, op->in[0], in);
	Node *n = node_if(L, b, cond, t->dtype);
	for (int i = 0; i < t->rank; i++)
		if (step->v.ints[i] != 1) in[i] = index_node(L, node_quotient(L, n->body, N_IDIV, in[i], dim_int(c, step->v.ints[i])));
	n->body->result = pull(L, n->body, op->in[0], in);
	n->other->result = pull(L, n->other, op->in[1], NULL);
	return n;
}

static Node *pull_concat_from(Lower *L, Body *b, Op *op, const Index *idx, int k, Dim start)
{
	int64_t axis = op_int(op, AT_axis, 0);
	Idx in = arena_copy(L->a, idx, sizeof *idx * (size_t)(op->out[0]->type->rank));
	in[axis] = index_offset(L, idx[axis], dim_scale(L->dims, start, -1, 1));
	if (k == op->nin - 1) return pull(L, b, op->in[k], in);
	Dim end = dim_add(L->dims, start, op->in[k]->type->dim[axis]);
	Node *n = node_if(L, b, node_test(L, b, idx[axis], dim_int(L->dims, 0), end), op->out[0]->type->dtype);
	n->body->result = pull(L, n->body, op->in[k], in);
	n->other->result = pull_concat_from(L, n->other, op, idx, k + 1, end);
	return n;
}

static Node *pull_dslice(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *axes = op_attr(op, AT_axes), *sizes = op_attr(op, AT_sizes);
	const Type *t = op->in[0]->type;
	Idx in = arena_copy(L->a, idx, sizeof *idx * (size_t)(t->rank + 1));
	for (int i = 0; i < axes->n; i++) {
		int64_t x = axes->v.ints[i];
		Node *s = node_clamp(L, b, pull(L, b, op->in[1 + i], NULL), dim_int(L->dims, 0), dim_sub(L->dims, t->dim[x], sizes->v.dims[i]));
		in[x] = index_add(L, idx[x], index_node(L, s));
	}
	return pull(L, b, op->in[0], in);
}

/* The indices of x for gather and scatter: at[] are the indices of the result (or of v). Integer nodes of the index vector go to node[]. */
static void gather_indices(Lower *L, Body *b, Op *op, const Index *at, Idx in, Node **node)
{
	const Attr *axes = op_attr(op, AT_axes);
	int nb = (int)op_int(op, AT_nb, 0), ni = op->in[1]->type->rank - 1, rank = op->in[0]->type->rank;
	Idx where = arena_copy(L->a, at, sizeof *at * (size_t)(ni + 1));
	bool indexed[MAX_RANK] = {false};
	for (int j = 0; j < axes->n; j++) {
		where[ni] = index_dim(L, dim_int(L->dims, j));
		node[j] = pull(L, b, op->in[1], where);
		indexed[axes->v.ints[j]] = true;
	}
	for (int i = 0; i < nb; i++) in[i] = at[i];
	for (int i = nb, k = ni; i < rank; i++)
		if (!indexed[i]) in[i] = at[k++];
}

static Node *in_range(Lower *L, Body *b, Node *cond, Node *x, Dim n)
{
	return node_and(L, b, cond, node_intern(L, b, (Node){.kind = N_INRANGE, .dtype = DT_bool, .arg = {x}, .narg = 1, .hi = n}));
}

static Node *pull_gather(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	const Attr *axes = op_attr(op, AT_axes);
	const Type *t = op->in[0]->type;
	Idx in = idx_new(L, t->rank);
	Node *node[MAX_RANK], *cond = NULL;
	bool zero = !strcmp(op_str(op, AT_oob), "zero");
	gather_indices(L, b, op, idx, in, node);
	for (int j = 0; j < axes->n; j++) {
		Dim n = t->dim[axes->v.ints[j]];
		Node *at = node_clamp(L, b, node[j], dim_int(L->dims, 0), dim_sub(L->dims, n, dim_int(L->dims, 1)));
		if (zero) cond = in_range(L, b, cond, node[j], n);
		else if (!dim_provable_less(L->facts, dim_int(L->dims, 0), n)) cond = in_range(L, b, cond, at, n); /* nothing to clamp to */
		in[axes->v.ints[j]] = index_node(L, at);
	}
	if (!cond) return pull(L, b, op->in[0], in);
	Node *n = node_if(L, b, cond, t->dtype);
	n->body->result = pull(L, n->body, op->in[0], in);
	n->other->result = node_const(L, n->other, scalar_from_int(0, t->dtype));
	return n;
}

/* Where scatter writes: fills in[]; the returned condition (NULL: none) guards the write. */
Node *scatter_indices(Lower *L, Body *b, Op *op, const Index *at, Index *in)
{
	const Attr *axes = op_attr(op, AT_axes);
	const Type *t = op->in[0]->type;
	Node *node[MAX_RANK], *cond = NULL;
	bool drop = strcmp(op_str(op, AT_oob), "clamp") != 0;
	gather_indices(L, b, op, at, in, node);
	for (int j = 0; j < axes->n; j++) {
		Dim n = t->dim[axes->v.ints[j]];
		Node *at = node_clamp(L, b, node[j], dim_int(L->dims, 0), dim_sub(L->dims, n, dim_int(L->dims, 1)));
		if (drop) cond = in_range(L, b, cond, node[j], n);
		else if (!dim_provable_less(L->facts, dim_int(L->dims, 0), n)) cond = in_range(L, b, cond, at, n); /* nothing to clamp to */
		in[axes->v.ints[j]] = index_node(L, at);
	}
	return cond;
}

static Node *pull_const(Lower *L, Body *b, Value *v, const Index *idx)
{
	const Tensor *t = op_attr(v->def, AT_value)->v.tensor;
	if (t->rank == 0) return node_const(L, b, tensor_get(t, 0));
	return node_load(L, b, lower_value_buf(L, v), idx);
}

static Node *pull_elementwise(Lower *L, Body *b, Value *v, const Index *idx)
{
	Op *op = v->def;
	Node *arg[3];
	for (int i = 0; i < op->nin; i++) arg[i] = pull(L, b, op->in[i], idx);
	return node_op(L, b, op->code, op->out[0]->type->dtype, arg, op->nin);
}

static Node *pull_concat(Lower *L, Body *b, Value *v, const Index *idx)
{
	return pull_concat_from(L, b, v->def, idx, 0, dim_int(L->dims, 0));
}

static Node *pull_iota(Lower *L, Body *b, Value *v, const Index *idx)
{
	return node_index(L, b, idx[0], v->type->dtype);
}

static Node *pull_dimsize(Lower *L, Body *b, Value *v, const Index *idx)
{
	(void)idx;
	return node_index(L, b, index_dim(L, op_attr(v->def, AT_dim)->v.dim), DT_i32);
}

static Node *pull_same(Lower *L, Body *b, Value *v, const Index *idx)
{
	return pull(L, b, v->def->in[v->index], idx);
}

void store_concat(Lower *L, Op *op);
const LowerRow lower_elementwise = {.pull = pull_elementwise, .cost = 8};
const LowerRow lower_elementwise_cheap = {.pull = pull_elementwise, .cost = 1};
const LowerRow lower_broadcast = {.pull = pull_broadcast, .repeats = REPEATS};
const LowerRow lower_transpose = {.pull = pull_transpose};
const LowerRow lower_rev = {.pull = pull_rev};
const LowerRow lower_slice = {.pull = pull_slice};
const LowerRow lower_reshape = {.pull = pull_reshape, .cost = 2};
const LowerRow lower_pad = {.pull = pull_pad, .cost = 2};
const LowerRow lower_concat = {.pull = pull_concat, .store = store_concat, .cost = 2};
const LowerRow lower_dslice = {.pull = pull_dslice};
const LowerRow lower_gather = {.pull = pull_gather, .cost = 2, .repeats = REPEATS_FIRST};
const LowerRow lower_const = {.pull = pull_const, .trivial = true};
const LowerRow lower_iota = {.pull = pull_iota, .trivial = true};
const LowerRow lower_dimsize = {.pull = pull_dimsize, .trivial = true};
const LowerRow lower_barrier = {.pull = pull_same};

Node *pull_def(Lower *L, Body *b, Value *v, const Index *idx)
{
	Loc old = L->loc;
	if (v->def->loc.file) L->loc = v->def->loc;
	Node *n = lower_row(v->def->code)->pull(L, b, v, idx);
	L->loc = old;
	return n;
}

Node *pull(Lower *L, Body *b, Value *v, const Index *idx)
{
	Info *i = lower_info(L, v);
	if (i->buf) return node_load(L, b, i->buf, idx);
	return pull_def(L, b, v, idx);
}
