/* recognise: softmax(scale q k^T + mask) v written in primitives becomes a call of the composite scaled_dot_product_attention, for which
 * there is a kernel (lower_attention.c); its body is the same computation in the kernel's shape, for whoever wants to look inside.
 *
 * Taken are f32 products over any number of leading axes; a scale on the scores, queries or keys; one mask: added, or a choice between the
 * score and -inf or some -1e8 and less (causal where its condition compares row and column numbers); heads of keys repeated for groups of
 * queries. What lies between the two products must have no other reader (a derivative has), and softmax must subtract the largest score:
 * without that, overflow is part of the meaning. Rounding differs, so that --fma=off and --conv=exact leave it alone. Takes and gives
 * tensor IR, simplified. */
#include <math.h>
#include "../ir/build.h"
#include "composite.h"
#include "passes.h"

enum { LEAST_KEYS = 32, LEAST_DEPTH = 8, ROWS = 2, LAST = 3 };
static const double FAR = -1e8;

typedef struct Match {
	PassCtx *c;
	Map uses; /* Value -> how often it is used */
	Op *product, *scores_product;
	Value *q, *k, *v;
	const Type *scores;
	double scale;
	bool causal;
	Value *mask;   /* added; or a condition: */
	double hidden; /* what the scores become that it hides */
	/* the kernel's shape: batches, heads of q, of k, queries, keys, depth */
	Dim b, heads, kv_heads, tq, tk, depth;
	const char *why; /* it is nearly attention: what is amiss, for the report */
} Match;

/* --- small questions ------------------------------------------------------------------------------------------------------------------ */
static Op *def(const Value *v, OpCode c)
{
	return v->def && v->def->code == c ? v->def : NULL;
}

static bool used(const Match *m, const Value *v, intptr_t n)
{
	return (intptr_t)map_get(&m->uses, v) == n;
}

static bool same_from(const Type *a, const Type *b, int n)
{
	for (int i = 0; i < n; i++)
		if (a->dim[i] != b->dim[i]) return false;
	return true;
}

/* What v repeats along its last axis, from a row's number: through broadcasts and axes of 1 behind. NULL where it is no such thing. */
static Value *row_value(const Match *m, Value *v)
{
	const Op *op = def(v, OP_broadcast);
	int r = v->type->rank;
	if (!op || !used(m, v, 1)) return NULL;
	const Attr *dims = op_attr(op, AT_dims);
	if (dims->n < r - 1 || dims->n > r) return NULL;
	for (int i = 0; i < dims->n; i++)
		if (dims->v.ints[i] != i) return NULL;
	Value *x = op->in[0];
	if (!same_from(x->type, v->type, r - 1) || (dims->n == r && !dim_is(x->type->dim[r - 1], 1))) return NULL;
	return x;
}

/* The same numbers without an axis of 1 behind, or with one. */
static Value *other_shape(const Match *m, Value *v)
{
	const Op *op = def(v, OP_reshape);
	if (!op || !used(m, v, 1)) return v;
	const Type *a = op->in[0]->type, *b = v->type;
	int n = a->rank < b->rank ? a->rank : b->rank, d = a->rank - b->rank;
	bool one = d == 1 ? dim_is(a->dim[n], 1) : d == -1 && dim_is(b->dim[n], 1);
	return one && same_from(a, b, n) ? op->in[0] : v;
}

static bool reduces_last(const Value *v, OpCode c, const Value *x)
{
	const Op *op = def(v, c);
	if (!op || op->in[0] != x) return false;
	const Attr *axes = op_attr(op, AT_axes);
	return axes->n == 1 && axes->v.ints[0] == x->type->rank - 1;
}

/* The other operand of an op of two that has v. */
static Value *factor(const Op *op, int i)
{
	return op->in[1 - i];
}

/* --- softmax -------------------------------------------------------------------------------------------------------------------------- */
static bool is_total(const Match *m, Value *v, const Value *e)
{
	v = v ? other_shape(m, v) : NULL;
	return v && reduces_last(v, OP_reduce_sum, e) && used(m, v, 1);
}

/* e of e * (1 / sum e) or e / sum e. */
static Value *normalised(const Match *m, Value *p)
{
	double one;
	const Op *op = def(p, OP_div);
	if (op) return is_total(m, row_value(m, op->in[1]), op->in[0]) ? op->in[0] : NULL;
	if (!(op = def(p, OP_mul))) return NULL;
	for (int i = 0; i < 2; i++) {
		Value *by = row_value(m, op->in[i]);
		const Op *inverse = by ? def(other_shape(m, by), OP_div) : NULL;
		if (inverse && used(m, inverse->out[0], 1) && value_const_scalar(inverse->in[0], &one) && one == 1 &&
		    is_total(m, inverse->in[1], factor(op, i)))
			return factor(op, i);
	}
	return NULL;
}

/* The scores whose softmax over the last axis is p. */
static Value *softmax_of(const Match *m, Value *p)
{
	Value *e = used(m, p, 1) ? normalised(m, p) : NULL;
	const Op *exp = e && used(m, e, 2) ? def(e, OP_exp) : NULL;
	const Op *shifted = exp && used(m, exp->in[0], 1) ? def(exp->in[0], OP_sub) : NULL;
	Value *s = shifted ? shifted->in[0] : NULL, *most = s && used(m, s, 2) ? row_value(m, shifted->in[1]) : NULL;
	most = most ? other_shape(m, most) : NULL;
	return most && reduces_last(most, OP_reduce_max, s) && used(m, most, 1) ? s : NULL;
}

/* --- masks ------------------------------------------------------------------------------------------------------------------------------
 */
/* Which axis of v, the last one or the one before, v counts along, plus what constant: 0, 1 from the back; -1. */
static int counts_along(Value *v, int64_t *add)
{
	double n;
	const Op *op = def(v, OP_add);
	*add = 0;
	for (int i = 0; op && i < 2; i++)
		if (value_const_scalar(op->in[i], &n)) {
			*add = (int64_t)n;
			v = factor(op, i);
			break;
		}
	op = def(v, OP_broadcast);
	if (!op) return -1;
	Value *x = op->in[0];
	const Attr *dims = op_attr(op, AT_dims);
	int axis = dims->n ? v->type->rank - 1 - (int)dims->v.ints[0] : -1;
	for (int k = 0; k < 2; k++) { /* arange(n)[:, newaxis] + c before it is broadcast */
		const Op *sum = def(x, OP_add), *view = def(x, OP_reshape);
		if (view) x = view->in[0];
		for (int i = 0; sum && i < 2; i++)
			if (value_const_scalar(sum->in[i], &n)) {
				*add += (int64_t)n;
				x = factor(sum, i);
				break;
			}
	}
	return def(x, OP_iota) && x->type->rank == 1 && axis >= 0 && axis <= 1 ? axis : -1;
}

/* c of (c ? a : b) > 0, and the like: what tril(ones) gives. */
static Value *condition(Value *v)
{
	double zero, yes, no;
	const Op *op = v->def;
	if (!op || op->nin != 2 || (op->code != OP_gt && op->code != OP_ne) || !value_const_scalar(op->in[1], &zero) || zero != 0) return v;
	const Op *choice = def(op->in[0], OP_select);
	if (!choice || !value_const_scalar(choice->in[1], &yes) || !value_const_scalar(choice->in[2], &no)) return v;
	return yes > 0 && no == 0 ? choice->in[0] : v;
}

/* Is the condition "key number <= query number + keys - queries"? */
static bool is_causal(const Match *m, Value *v)
{
	const Op *wide = def(v, OP_broadcast);
	if (wide) {
		const Attr *dims = op_attr(wide, AT_dims);
		int r = v->type->rank;
		if (dims->n != 2 || dims->v.ints[0] != r - 2 || dims->v.ints[1] != r - 1) return false;
		v = wide->in[0];
	}
	v = condition(v);
	const Op *op = v->def;
	if (!op || op->nin != 2) return false;
	int64_t a, b, apart;
	int x = counts_along(op->in[0], &a), y = counts_along(op->in[1], &b);
	Dim gap = dim_sub(m->c->m->dims, m->tk, m->tq);
	if (!dim_is_const(gap, &apart) || apart < 0) return false;
	switch (op->code) {
	case OP_ge: return x == 1 && y == 0 && a - b == apart;
	case OP_gt: return x == 1 && y == 0 && a - b - 1 == apart;
	case OP_le: return x == 0 && y == 1 && b - a == apart;
	case OP_lt: return x == 0 && y == 1 && b - a - 1 == apart;
	default: return false;
	}
}

/* A mask as [b or 1, heads or 1, queries or 1, keys]: from what it is before it is broadcast. */
static Value *narrow(Value *v)
{
	const Op *op = def(v, OP_broadcast);
	return op && op->in[0]->type->rank ? op->in[0] : v;
}

static bool mask_fits(Value *v)
{
	const Op *op = def(v, OP_broadcast);
	int r = v->type->rank;
	Value *x = narrow(v);
	if (x == v) return r >= 2 && r <= 4;
	const Attr *dims = op_attr(op, AT_dims);
	if (!dims->n || dims->v.ints[dims->n - 1] != r - 1 || x->type->dim[x->type->rank - 1] != v->type->dim[r - 1]) return false;
	return r <= 4 || dims->v.ints[0] >= r - 2;
}

/* s without its mask, or s. False where there is a mask that the kernel has not. */
static bool take_mask(Match *m, Value **s)
{
	Op *op = def(*s, OP_select);
	double far;
	if (op) {
		if (!value_const_scalar(op->in[2], &far) || !(far <= FAR) || !used(m, op->in[1], 1)) return false;
		*s = op->in[1];
		if (is_causal(m, op->in[0])) return m->causal = true;
		m->mask = op->in[0], m->hidden = far;
		return mask_fits(m->mask);
	}
	if (!(op = def(*s, OP_add))) return true;
	for (int i = 0; i < 2; i++) {
		Value *rest = op->in[i], *mask = op->in[1 - i], *inner = narrow(mask);
		double no, zero;
		if (!used(m, rest, 1) || !(def(rest, OP_dot) || def(rest, OP_mul) || def(rest, OP_div)) || def(mask, OP_dot)) continue;
		*s = rest;
		Op *choice = def(inner, OP_select);
		if (choice && value_const_scalar(choice->in[2], &no) && no <= FAR && value_const_scalar(choice->in[1], &zero) && zero == 0 &&
		    (inner == mask || def(mask, OP_broadcast)) && inner->type->rank == 2 && is_causal(m, choice->in[0]))
			return m->causal = true;
		m->mask = mask, m->hidden = 0;
		return mask_fits(mask);
	}
	return false;
}

/* --- scale and products --------------------------------------------------------------------------------------------------------------- */
/* v without a constant factor; only where nobody else reads it, if it stands behind the product. */
static Value *take_scale(Match *m, Value *v, bool alone)
{
	double by;
	for (;;) {
		const Op *op = def(v, OP_mul) ? v->def : def(v, OP_div);
		int i = op && op->code == OP_mul && value_const_scalar(op->in[0], &by) ? 1 : 0;
		if (!op || !value_const_scalar(op->in[1 - i], &by) || !isfinite(by) || by == 0 || (alone && !used(m, op->in[i], 1))) return v;
		m->scale = op->code == OP_mul ? m->scale * by : m->scale / by;
		v = op->in[i];
	}
}

static int axis_left(const Op *dot, int side)
{
	const Attr *c = op_attr(dot, side ? AT_rhs_contract : AT_lhs_contract), *b = op_attr(dot, side ? AT_rhs_batch : AT_lhs_batch);
	int r = dot->in[side]->type->rank, left = -1;
	for (int a = 0; a < r; a++) {
		bool taken = c->v.ints[0] == a;
		for (int i = 0; i < b->n; i++) taken |= b->v.ints[i] == a;
		if (!taken) left = a;
	}
	return left;
}

/* One contracted axis and one of its own on each side; batch axes of the left one in front where `leading`. */
static bool is_matrix_product(const Op *dot, bool leading)
{
	const Attr *c = op_attr(dot, AT_lhs_contract), *b = op_attr(dot, AT_lhs_batch);
	if (dot->out[0]->type->dtype != DT_f32 || c->n != 1) return false;
	for (int s = 0; s < 2; s++)
		if (dot->in[s]->type->rank != b->n + 2) return false;
	for (int i = 0; leading && i < b->n; i++)
		if (b->v.ints[i] != i) return false;
	return !leading || c->v.ints[0] == b->n + 1;
}

/* Before heads were repeated for groups: k of reshape(broadcast k) with a new axis behind the heads. */
static Value *ungrouped(Value *v, const Attr *batch, Dim *heads)
{
	const Op *view = def(v, OP_reshape), *wide = view ? def(view->in[0], OP_broadcast) : NULL;
	if (!wide || !batch->n) return NULL;
	int64_t at = batch->v.ints[batch->n - 1];
	Value *x = wide->in[0];
	const Attr *dims = op_attr(wide, AT_dims);
	if (x->type->rank != v->type->rank || wide->out[0]->type->rank != v->type->rank + 1) return NULL;
	for (int i = 0; i < x->type->rank; i++)
		if (dims->v.ints[i] != i + (i > at) || (i != at && x->type->dim[i] != v->type->dim[i]) ||
		    x->type->dim[i] != wide->out[0]->type->dim[i + (i > at)])
			return NULL;
	*heads = x->type->dim[at];
	return x;
}

static bool find_sizes(Match *m, const Op *first)
{
	DimCtx *c = m->c->m->dims;
	const Type *s = m->scores;
	int nb = s->rank - 2;
	int64_t n;
	m->tq = s->dim[nb], m->tk = s->dim[nb + 1];
	m->depth = first->in[0]->type->dim[op_attr(first, AT_lhs_contract)->v.ints[0]];
	m->b = m->heads = dim_int(c, 1);
	bool heads = nb && dim_is_const(s->dim[nb - 1], &n);
	if (heads) m->heads = s->dim[nb - 1];
	for (int i = 0; i < nb - heads; i++) m->b = dim_mul(c, m->b, s->dim[i]);
	m->kv_heads = m->heads;
	bool few = dim_is_const(m->tk, &n) && n < LEAST_KEYS;
	if (few) m->why = arena_printf(m->c->m->arena, "fewer than %d keys", LEAST_KEYS);
	else if (!dim_is_const(m->depth, &n)) m->why = "the size of a head is not a number";
	else if (n < LEAST_DEPTH) m->why = arena_printf(m->c->m->arena, "heads of fewer than %d numbers", LEAST_DEPTH);
	return !m->why;
}

/* Is v a product, but for scales, masks and shifts? */
static bool from_product(const Value *v)
{
	for (int depth = 0; v->def && depth < 6; depth++) {
		const Op *op = v->def;
		if (op->code == OP_dot) return true;
		if (op->code == OP_select) v = op->in[1];
		else if (op->code == OP_mul || op->code == OP_div || op->code == OP_add || op->code == OP_sub)
			v = def(op->in[0], OP_broadcast) || !op->in[0]->def ? op->in[1] : op->in[0];
		else return false;
	}
	return false;
}

/* p is no softmax that softmax_of takes: is it nearly one, of a product? */
static const char *nearly_softmax(const Match *m, Value *p)
{
	Value *e = normalised(m, p);
	const Op *exp = e ? def(e, OP_exp) : NULL;
	if (!exp || !from_product(exp->in[0])) return NULL;
	const Op *shifted = def(exp->in[0], OP_sub);
	Value *most = shifted ? row_value(m, shifted->in[1]) : NULL;
	most = most ? other_shape(m, most) : NULL;
	if (!used(m, p, 1)) return "the weights are read elsewhere too, as by a derivative";
	if (!used(m, e, 2)) return "the exponentials are read elsewhere too, as by a derivative";
	if (!most || !reduces_last(most, OP_reduce_max, shifted->in[0])) return "its softmax does not subtract the largest score";
	return "the scores are read elsewhere too, as by a derivative";
}

static bool find(Match *m)
{
	Op *last = m->product;
	if (!is_matrix_product(last, true)) return false;
	Value *s = softmax_of(m, last->in[0]);
	if (!s) {
		m->why = nearly_softmax(m, last->in[0]);
		return false;
	}
	const Value *top = s; /* softmax itself reads it twice */
	m->scores = s->type, m->scale = 1;
	int nb = s->type->rank - 2;
	m->tq = s->type->dim[nb], m->tk = s->type->dim[nb + 1];
	if (!take_mask(m, &s)) {
		if (from_product(s)) m->why = "its mask is none that the kernel has, or masked scores are read elsewhere too";
		return false;
	}
	s = take_scale(m, s, true);
	Op *first = def(s, OP_dot);
	if (!first) return false;
	if (s != top && !used(m, s, 1)) m->why = "the scores are read elsewhere too, as by a derivative";
	else if (!is_matrix_product(first, false)) m->why = "the scores are not an f32 product over one axis";
	if (m->why || !find_sizes(m, first)) return false;
	int v_free = axis_left(last, 1);
	if (last->in[1]->type->dim[v_free] != m->depth) {
		m->why = "a value has another size than a query";
		return false;
	}
	m->scores_product = first;
	m->q = first->in[0], m->k = first->in[1], m->v = last->in[1];
	m->q = take_scale(m, m->q, false), m->k = take_scale(m, m->k, false);
	return true;
}

/* --- the call ------------------------------------------------------------------------------------------------------------------------- */
/* v with its batch axes in front, then rows, then columns, as [b, heads, rows, columns]. */
static Value *operand(Builder *b, Value *v, const Attr *batch, int rows, int cols, const Dim *shape)
{
	int64_t perm[MAX_RANK];
	int r = batch->n + 2;
	bool moved = false, equal = r == 4;
	for (int i = 0; i < r; i++) {
		perm[i] = i < batch->n ? batch->v.ints[i] : i == batch->n ? rows : cols;
		moved |= perm[i] != i;
	}
	if (moved) v = ir_transpose(b, v, perm);
	for (int i = 0; equal && i < 4; i++) equal = v->type->dim[i] == shape[i];
	return equal ? v : ir_reshape(b, v, 4, shape);
}

static Value *mask_operand(Match *m, Builder *b)
{
	if (!m->mask) return NULL;
	Value *x = narrow(m->mask);
	const Op *op = x == m->mask ? NULL : m->mask->def;
	Dim shape[4], one = dim_int(m->c->m->dims, 1);
	int r = m->mask->type->rank;
	for (int i = 0; i < 4; i++) shape[i] = one;
	for (int i = 0; i < x->type->rank; i++) shape[4 - r + (op ? op_attr(op, AT_dims)->v.ints[i] : i)] = x->type->dim[i];
	if (m->hidden < 0 && isinf(m->hidden)) { /* rows that hide all are nan */
		Type *t = (Type *)type_get(m->c->m, DT_f32, x->type->rank, x->type->dim);
		x = ir_select(b, x, ir_zeros(b, t), ir_splat(b, t, -INFINITY));
	}
	return ir_reshape(b, x, 4, shape);
}

/* x with its axes of 1 repeated. */
static Value *stretch(Builder *b, Value *x, const Type *t)
{
	Dim dims[MAX_RANK];
	int64_t at[MAX_RANK];
	int n = 0;
	for (int i = 0; i < t->rank; i++)
		if (x->type->dim[i] == t->dim[i]) dims[n] = t->dim[i], at[n++] = i;
	return ir_broadcast(b, ir_reshape(b, x, n, dims), t, at);
}

/* The plain computation: as fast.mx has it. */
static Func *make_function(const Match *m, Value *const *in, int n, double scale, Loc loc)
{
	Module *mod = m->c->m;
	Arena *a = mod->arena;
	Func *f = func_new(mod, "attention");
	f->facts = m->product->block->func->facts, f->loc = loc;
	f->composite = module_str(mod, arena_printf(a, "scaled_dot_product_attention(q, k, v, scale=%.17g%s)", scale,
	                                            m->causal ? ", mask=causal"
	                                            : n > 3   ? ", mask"
	                                                      : ""));
	static const char *const names[] = {"q", "k", "v", "mask"};
	Value *p[4];
	for (int i = 0; i < n; i++) p[i] = func_param(f, in[i]->type, names[i]);
	Builder b = builder_at(f);
	const int64_t batch[2] = {0, 1}, last[1] = {3}, rows[1] = {2};
	int64_t heads = 1, kv = 1;
	if (dim_is_const(m->heads, &heads) && dim_is_const(m->kv_heads, &kv) && heads != kv)
		for (int i = 1; i < 3; i++) {
			const Dim *d = p[i]->type->dim, full[4] = {d[0], m->heads, d[2], d[3]};
			p[i] = ir_broadcast_new_axis(&b, p[i], 2, dim_int(mod->dims, heads / kv));
			p[i] = ir_reshape(&b, p[i], 4, full);
		}
	Value *s = ir_dot(&b, p[0], p[1], last, last, 1, batch, batch, 2);
	s = ir_binary(&b, OP_mul, s, ir_splat(&b, s->type, scale));
	if (n > 3) {
		Value *w = stretch(&b, p[3], type_with_dtype(mod, s->type, p[3]->type->dtype));
		s = w->type->dtype == DT_bool ? ir_select(&b, w, s, ir_splat(&b, s->type, -0x1.fffffep127)) : ir_binary(&b, OP_add, s, w);
	}
	if (m->causal) {
		const Type *t = type_with_dtype(mod, s->type, DT_i32);
		Value *shift = ir_broadcast_scalar(&b, ir_dimsize(&b, dim_sub(mod->dims, m->tk, m->tq)), t);
		Value *i = ir_binary(&b, OP_add, ir_iota_nd(&b, t, ROWS), shift), *j = ir_iota_nd(&b, t, LAST);
		s = ir_select(&b, ir_binary(&b, OP_ge, i, j), s, ir_splat(&b, s->type, -0x1.fffffep127));
	}
	Value *e = ir_unary(&b, OP_exp, ir_binary(&b, OP_sub, s, ir_unreduce(&b, ir_reduce(&b, OP_reduce_max, s, last, 1), s->type, last, 1)));
	e = ir_binary(&b, OP_div, e, ir_unreduce(&b, ir_reduce(&b, OP_reduce_sum, e, last, 1), s->type, last, 1));
	Value *out = ir_dot(&b, e, p[2], last, rows, 1, batch, batch, 2);
	func_set_results(f, &out, 1);
	return f;
}

/* The ops at the end of blk behind `after` go in front of `at`. */
static void move_before(Block *blk, Op *after, Op *at)
{
	while (blk->last != after) {
		Op *op = blk->last;
		op_unlink(op);
		op_insert_before(op, at);
		at = op;
	}
}

static bool replace(Match *m)
{
	Op *last = m->product, *end = last->block->last;
	const Op *first = m->scores_product;
	Block *blk = last->block;
	Builder b = {.m = m->c->m, .block = blk, .facts = blk->func->facts, .loc = last->loc, .tag = last->tag, .no_fold = true};
	blk->cse = NULL;
	const Attr *lb = op_attr(first, AT_lhs_batch), *rb = op_attr(first, AT_rhs_batch), *vb = op_attr(last, AT_rhs_batch);
	Dim k_heads, v_heads;
	Value *k0 = ungrouped(m->k, rb, &k_heads), *v0 = ungrouped(m->v, vb, &v_heads);
	int64_t n;
	if (k0 && v0 && k_heads == v_heads && dim_is_const(k_heads, &n) && !dim_is(m->heads, 1)) m->k = k0, m->v = v0, m->kv_heads = k_heads;
	const Dim qs[4] = {m->b, m->heads, m->tq, m->depth}, ks[4] = {m->b, m->kv_heads, m->tk, m->depth};
	Value *in[4], *mask;
	in[0] = operand(&b, m->q, lb, axis_left(first, 0), (int)op_attr(first, AT_lhs_contract)->v.ints[0], qs);
	in[1] = operand(&b, m->k, rb, axis_left(first, 1), (int)op_attr(first, AT_rhs_contract)->v.ints[0], ks);
	in[2] = operand(&b, m->v, vb, (int)op_attr(last, AT_rhs_contract)->v.ints[0], axis_left(last, 1), ks);
	mask = in[3] = mask_operand(m, &b);
	Func *f = make_function(m, in, mask ? 4 : 3, m->scale, last->loc);
	bool taken = composite_kernel(f) != NULL;
	if (taken) {
		Value *out = ir_emit_call(&b, f, in, mask ? 4 : 3)->out[0], *old = last->out[0];
		bool equal = old->type->rank == 4;
		for (int i = 0; equal && i < 4; i++) equal = old->type->dim[i] == out->type->dim[i];
		if (!equal) out = ir_reshape(&b, out, old->type->rank, old->type->dim);
		if (!out->name) out->name = old->name;
		block_replace_uses(blk->func->body, old, out);
	} else func_remove(f);
	move_before(blk, end, last);
	blk->cse = NULL;
	return taken;
}

/* --- walking -------------------------------------------------------------------------------------------------------------------------- */
static void count(Map *uses, Value *const *v, int n)
{
	for (int i = 0; i < n; i++) map_set(uses, v[i], (void *)((intptr_t)map_get(uses, v[i]) + 1));
}

/* From the end on: dead ops, which simplify leaves behind, use nothing. */
static void count_block(Map *uses, const Block *b)
{
	count(uses, b->result, b->nresult);
	for (const Op *op = b->last; op; op = op->prev) {
		bool live = op->nregion || (op_row(op->code)->flags & (OPF_EFFECT | OPF_REGION));
		for (int k = 0; k < op->nout; k++) live |= map_get(uses, op->out[k]) != NULL;
		if (!live) continue;
		for (int r = 0; r < op->nregion; r++) count_block(uses, op->region[r]);
		count(uses, op->in, op->nin);
	}
}

static bool recognise_block(PassCtx *c, const Map *uses, Block *b)
{
	bool changed = false;
	for (Op *op = b->first, *next; op; op = next) {
		next = op->next;
		for (int r = 0; r < op->nregion; r++) changed |= recognise_block(c, uses, op->region[r]);
		Match m = {.c = c, .uses = *uses, .product = op};
		if (op->code != OP_dot) continue;
		if (find(&m)) {
			if (c->m->exact_conv) m.why = "--conv=exact keeps the order of sums";
			else changed = true, m.why = replace(&m) ? NULL : "the kernel has no such mask or heads";
		}
		if (m.why) note_add(c->m->arena, &b->func->notes, op->loc, "nearly attention: %s", m.why);
	}
	return changed;
}

bool pass_recognise(PassCtx *c)
{
	bool changed = false;
	int n = c->m->funcs.n;
	for (int i = 0; i < n; i++) {
		Func *f = c->m->funcs.at[i];
		Map uses;
		if (f->composite && composite_kernel(f)) continue;
		map_init(&uses, c->scratch);
		count_block(&uses, f->body);
		changed |= recognise_block(c, &uses, f->body);
	}
	return changed;
}
