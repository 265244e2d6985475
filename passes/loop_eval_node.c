/* Nodes, one function per row of loop.def: see loop_eval.h. Element-wise ops are the loops of the tensor interpreter at length 1. */
#include <string.h>
#include "../ir/op_util.h"
#include "loop_eval.h"
#include "loop_text.h"
#include "../ir/build.h"
#include "lower.h"

static Cell *value(LoopFrame *f, const Node *n)
{
	return &f->node[n->id];
}

static void set_int(LoopFrame *f, const Node *n, int64_t x)
{
	scalar_store(scalar_from_int(x, n->dtype), value(f, n)->raw);
}

static void set_bool(LoopFrame *f, const Node *n, bool x)
{
	value(f, n)->raw[0] = x;
}

static void convert(DType from, DType to, const Cell *x, Cell *out)
{
	const void *in[1] = {x->raw};
	Cell y = {{0}};
	elem_convert(from, to)(in, y.raw, 1);
	*out = y;
}

/* out = x op y, at dtype d; out may be x. */
static void apply(OpCode op, DType d, const Cell *x, const Cell *y, Cell *out)
{
	const void *in[2] = {x->raw, y->raw};
	Cell z = {{0}};
	elem_loop(op, d)(in, z.raw, 1);
	*out = z;
}

static Cell identity(OpCode op, DType c)
{
	Cell x = {{0}};
	scalar_store(op == OP_linrec ? scalar_from_int(0, c) : reduce_identity(op, c), x.raw);
	return x;
}

/* --- scalars -------------------------------------------------------------------------------------------------------------------------- */
static bool eval_CONST(LoopFrame *f, const Node *n)
{
	scalar_store(n->value, value(f, n)->raw);
	return true;
}

static bool eval_INDEX(LoopFrame *f, const Node *n)
{
	int64_t at;
	Cell x = {{0}};
	if (!loop_eval_position(f, n->index, &at)) return false;
	memcpy(x.raw, &at, sizeof at);
	convert(DT_i64, n->dtype, &x, value(f, n));
	return true;
}

static bool eval_OP(LoopFrame *f, const Node *n)
{
	const void *in[3];
	ElemLoop *loop = n->op == OP_convert ? elem_convert(n->from, n->dtype) : elem_loop(n->op, n->from);
	for (int i = 0; i < n->narg; i++) in[i] = value(f, n->arg[i])->raw;
	if (!loop) return loop_eval_fail(f, "%%%d: `%s` does not take %s", n->id, op_row(n->op)->name, dtype_name(n->from));
	loop(in, value(f, n)->raw, 1);
	return true;
}

static bool eval_LOAD(LoopFrame *f, const Node *n)
{
	return loop_eval_load(f, n->buf, n->index, value(f, n));
}

static bool eval_STORE(LoopFrame *f, const Node *n)
{
	OpCode op;
	Cell old;
	if (!n->mode) return loop_eval_store(f, n->buf, n->index, value(f, n->arg[0]));
	if (!op_find(n->mode, &op)) return loop_eval_fail(f, "store: there is no op `%s`", n->mode);
	if (!loop_eval_load(f, n->buf, n->index, &old)) return false;
	apply(op, n->buf->type->dtype, &old, value(f, n->arg[0]), &old);
	return loop_eval_store(f, n->buf, n->index, &old);
}

static bool divide(LoopFrame *f, const Node *n, int64_t *quotient, int64_t *remainder)
{
	int64_t x, by;
	if (!loop_eval_position(f, n->index, &x) || !loop_eval_dim(f, n->hi, &by)) return false;
	if (!by) return loop_eval_fail(f, "%%%d divides by zero", n->id);
	*quotient = x / by;
	*remainder = x % by;
	return true;
}

static bool eval_IDIV(LoopFrame *f, const Node *n)
{
	int64_t q = 0, r = 0;
	if (!divide(f, n, &q, &r)) return false;
	return set_int(f, n, q), true;
}

static bool eval_IMOD(LoopFrame *f, const Node *n)
{
	int64_t q = 0, r = 0;
	if (!divide(f, n, &q, &r)) return false;
	return set_int(f, n, r), true;
}

static bool eval_MULTIPLE(LoopFrame *f, const Node *n)
{
	int64_t q = 0, r = 0;
	if (!divide(f, n, &q, &r)) return false;
	return set_bool(f, n, r == 0), true;
}

static int64_t int_of(LoopFrame *f, const Node *x)
{
	return scalar_to_int(scalar_load(x->dtype, value(f, x)->raw));
}

/* As mx_clamp: where the range is empty, its lower end. */
static bool eval_CLAMP(LoopFrame *f, const Node *n)
{
	int64_t lo, hi, i = int_of(f, n->arg[0]);
	if (!loop_eval_dim(f, n->lo, &lo) || !loop_eval_dim(f, n->hi, &hi)) return false;
	return set_int(f, n, i > hi ? (hi > lo ? hi : lo) : i < lo ? lo : i), true;
}

static bool eval_TEST(LoopFrame *f, const Node *n)
{
	int64_t lo, hi, i;
	if (!loop_eval_position(f, n->index, &i) || !loop_eval_dim(f, n->lo, &lo) || !loop_eval_dim(f, n->hi, &hi)) return false;
	return set_bool(f, n, lo <= i && i < hi), true;
}

static bool eval_INRANGE(LoopFrame *f, const Node *n)
{
	int64_t hi;
	if (!loop_eval_dim(f, n->hi, &hi)) return false;
	Scalar s = scalar_load(n->arg[0]->dtype, value(f, n->arg[0])->raw);
	bool huge = dtype_kind(s.dtype) == DK_UINT && s.v.u > INT64_MAX;
	return set_bool(f, n, !huge && scalar_to_int(s) >= 0 && scalar_to_int(s) < hi), true;
}

/* --- structure --------------------------------------------------------------------------------------------------------------------------
 */
static bool eval_IF(LoopFrame *f, const Node *n)
{
	const Body *b = value(f, n->arg[0])->raw[0] ? n->body : n->other;
	if (!b) return true;
	if (!loop_eval_body(f, b)) return false;
	if (b->result) *value(f, n) = *value(f, b->result);
	return true;
}

static bool body_point(LoopFrame *f, void *ctx)
{
	return loop_eval_body(f, ctx);
}

static bool eval_FOR(LoopFrame *f, const Node *n)
{
	return loop_eval_over(f, n->axis, n->naxis, body_point, n->body);
}

/* --- reductions: computed in the compute dtype, one rounding at the end ------------------------------------------------------------------
 */
typedef struct Reduce {
	const Node *n;
	DType c;
	int lanes;
	Cell *acc;
} Reduce;

static bool reduce_point(LoopFrame *f, void *ctx)
{
	Reduce *r = ctx;
	Cell x;
	if (!loop_eval_body(f, r->n->body)) return false;
	convert(r->n->dtype, r->c, value(f, r->n->body->result), &x);
	int64_t lane = r->lanes > 1 ? *loop_eval_axis(f, r->n->axis[r->n->naxis - 1]) % r->lanes : 0;
	apply(r->n->op, r->c, &r->acc[lane], &x, &r->acc[lane]);
	return true;
}

static bool eval_REDUCE(LoopFrame *f, const Node *n)
{
	enum { MOST = 1024 };
	Cell acc[MOST];
	Reduce r = {n, dtype_compute(n->dtype), n->lanes > 1 && n->naxis ? n->lanes : 1, acc};
	if (r.lanes > MOST) return loop_eval_fail(f, "%%%d: more than %d partial results", n->id, MOST);
	for (int i = 0; i < r.lanes; i++) acc[i] = identity(n->op, r.c);
	if (!loop_eval_over(f, n->axis, n->naxis, reduce_point, &r)) return false;
	for (int h = r.lanes / 2; h; h /= 2)
		for (int i = 0; i < h; i++) apply(n->op, r.c, &acc[i], &acc[i + h], &acc[i]);
	convert(r.c, n->dtype, &acc[0], value(f, n));
	return true;
}

typedef struct Best {
	const Node *n;
	DType d, c;
	bool first;
	Cell best;
	int64_t at;
} Best;

static bool arg_point(LoopFrame *f, void *ctx)
{
	Best *b = ctx;
	Cell y;
	if (!loop_eval_body(f, b->n->body)) return false;
	convert(b->d, b->c, value(f, b->n->body->result), &y);
	if (b->first || takes_place(b->c, b->n->op == OP_maximum, b->best.raw, y.raw)) b->best = y, b->at = *loop_eval_axis(f, b->n->axis[0]);
	b->first = false;
	return true;
}

static bool eval_ARG(LoopFrame *f, const Node *n)
{
	DType d = n->body->result->dtype;
	Best b = {.n = n, .d = d, .c = dtype_compute(d), .first = true};
	if (!loop_eval_over(f, n->axis, 1, arg_point, &b)) return false;
	return set_int(f, n, b.at), true;
}

static bool scan_store(LoopFrame *f, const Node *n, const Best *b)
{
	Cell x;
	convert(b->c, b->d, &b->best, &x);
	return loop_eval_store(f, n->buf, n->index, &x);
}

/* The result may lie where the operand does: the operand is read first. */
static bool scan_point(LoopFrame *f, const Node *n, Best *b)
{
	Cell y, z;
	if (!loop_eval_body(f, n->body)) return false;
	convert(b->d, b->c, value(f, n->body->result), &y);
	if (n->body->result2) convert(b->d, b->c, value(f, n->body->result2), &z);
	if (n->exclusive && !scan_store(f, n, b)) return false;
	if (n->op == OP_maximum || n->op == OP_minimum) {
		if (b->first || takes_place(b->c, n->op == OP_maximum, b->best.raw, y.raw)) b->best = y, b->at = *loop_eval_axis(f, n->axis[0]);
	} else if (n->op == OP_linrec) {
		apply(OP_mul, b->c, &b->best, &y, &b->best);
		apply(OP_add, b->c, &b->best, &z, &b->best);
	} else apply(n->op, b->c, &b->best, &y, &b->best);
	b->first = false;
	if (!n->exclusive && !scan_store(f, n, b)) return false;
	if (!n->buf2) return true;
	scalar_store(scalar_from_int(b->at, n->buf2->type->dtype), y.raw);
	return loop_eval_store(f, n->buf2, n->index, &y);
}

static bool eval_SCAN(LoopFrame *f, const Node *n)
{
	DType d = n->buf->type->dtype, c = dtype_compute(d);
	Best b = {.n = n, .d = d, .c = c, .first = true, .best = identity(n->op, c)};
	int64_t extent, *at = loop_eval_axis(f, n->axis[0]);
	if (!loop_eval_dim(f, n->axis[0]->extent, &extent)) return false;
	for (int64_t i = 0; i < extent; i++) {
		*at = n->reverse ? extent - 1 - i : i;
		if (!scan_point(f, n, &b)) return false;
	}
	return true;
}

/* --- library calls: the tensor interpreter's functions on tensors
 * -------------------------------------------------------------------------- */
/* A position that follows the indices of n, but for one axis. */
static void indices_at(LoopFrame *f, const Node *n, int64_t axis, int64_t i, Index *out)
{
	for (int k = 0; k < n->nindex; k++) out[k] = n->index[k];
	if (axis < n->nindex) out[axis] = (Index){NULL, 0, dim_int(f->e->p->m->dims, i)};
}

static bool eval_raw_sort(LoopFrame *f, const Node *n)
{
	int64_t len;
	Index at[MAX_RANK];
	Cell x;
	if (!loop_eval_dim(f, n->hi, &len)) return false;
	Tensor *in[1] = {tensor_new(f->e->scratch, n->buf->type->dtype, 1, &len)};
	Tensor *out[2] = {tensor_new(f->e->scratch, in[0]->dtype, 1, &len), tensor_new(f->e->scratch, DT_i32, 1, &len)};
	for (int64_t i = 0; i < len; i++) {
		indices_at(f, n, n->number, i, at);
		if (!loop_eval_load(f, n->buf, at, &x)) return false;
		tensor_set(in[0], i, scalar_load(in[0]->dtype, x.raw));
	}
	Attr axis = ATTR_INT(axis, 0);
	OpView v = {.code = OP_sort, .nin = 1, .nattr = 1, .nout = 2, .attrs = &axis};
	op_row(OP_sort)->eval(f->e->scratch, &v, in, out);
	for (int64_t i = 0; i < len; i++) {
		indices_at(f, n, n->number, i, at);
		scalar_store(tensor_get(out[0], i), x.raw);
		if (!loop_eval_store(f, n->buf, at, &x)) return false;
		scalar_store(tensor_get(out[1], i), x.raw);
		if (!loop_eval_store(f, n->buf2, at, &x)) return false;
	}
	return true;
}

static bool eval_raw_searchsorted(LoopFrame *f, const Node *n)
{
	Tensor *in[2], *out[1] = {tensor_new(f->e->scratch, DT_u32, 0, NULL)};
	if (!loop_eval_read(f, n->src, &in[0])) return false;
	in[1] = tensor_scalar(f->e->scratch, scalar_load(n->arg[0]->dtype, value(f, n->arg[0])->raw));
	Attr right = ATTR_INT(right, n->number);
	OpView v = {.code = OP_searchsorted, .nin = 2, .nattr = 1, .nout = 1, .attrs = &right};
	op_row(OP_searchsorted)->eval(f->e->scratch, &v, in, out);
	return set_int(f, n, scalar_to_int(tensor_get(out[0], 0))), true;
}

static bool eval_raw_rng_bits(LoopFrame *f, const Node *n)
{
	static const int64_t two = 2;
	DimCtx *c = f->e->p->m->dims;
	int64_t len, shape[MAX_RANK], i;
	Index at[MAX_RANK + 1];
	Cell x;
	if (!loop_eval_dim(f, n->hi, &len) || !loop_eval_shape(f, n->buf, shape)) return false;
	Tensor *key[1] = {tensor_new(f->e->scratch, DT_u32, 1, &two)}, *out[1] = {tensor_new(f->e->scratch, n->buf->type->dtype, 1, &len)};
	for (int k = 0; k < n->number; k++) at[k] = n->index[k];
	for (i = 0; i < 2; i++) {
		at[n->number] = (Index){NULL, 0, dim_int(c, i)};
		if (!loop_eval_load(f, n->src, at, &x)) return false;
		tensor_set(key[0], i, scalar_load(DT_u32, x.raw));
	}
	Dim size = dim_int(c, len);
	Attr attrs[2] = {ATTR_DIMS(shape, &size, 1), ATTR_INT(width, dtype_bytes(n->buf->type->dtype))};
	OpView v = {.code = OP_rng_bits, .nin = 1, .nattr = 2, .nout = 1, .attrs = attrs};
	op_row(OP_rng_bits)->eval(f->e->scratch, &v, key, out);
	for (int64_t k = 0; k < len; k++) { /* row-major over the axes behind the batch */
		int64_t rest = k;
		for (int a = n->nindex - 1; a >= n->number; a--) at[a] = (Index){NULL, 0, dim_int(c, rest % shape[a])}, rest /= shape[a];
		for (int a = 0; a < n->number; a++) at[a] = n->index[a];
		scalar_store(tensor_get(out[0], k), x.raw);
		if (!loop_eval_store(f, n->buf, at, &x)) return false;
	}
	return true;
}

static bool eval_raw_bitcast(LoopFrame *f, const Node *n)
{
	Tensor *from;
	int64_t shape[MAX_RANK];
	if (!loop_eval_read(f, n->src, &from) || !loop_eval_shape(f, n->buf, shape)) return false;
	Tensor *to = tensor_new(f->e->scratch, n->buf->type->dtype, n->buf->type->rank, shape);
	if (tensor_bytes(to) != tensor_bytes(from))
		return loop_eval_fail(f, "bitcast: `%s` and `%s` differ in size", n->src->name, n->buf->name);
	for (size_t i = 0; i < tensor_bytes(to); i++) {
		unsigned char x = ((const unsigned char *)from->data)[i];
		((unsigned char *)to->data)[i] = to->dtype == DT_bool ? x != 0 : x;
	}
	return loop_eval_write(f, n->buf, to);
}

typedef bool NodeEval(LoopFrame *f, const Node *n);

static bool eval_RAW(LoopFrame *f, const Node *n)
{
	static NodeEval *const raws[] = {
#define RAW(word, gives, text, doc) eval_raw_##word,
#include "loop.def"
	};
	ArenaMark mark = arena_mark(f->e->scratch);
	bool ok = false;
	for (int i = 0; i < nloop_raws; i++)
		if (!strcmp(loop_raws[i].word, n->mode)) ok = raws[i](f, n);
	arena_reset(f->e->scratch, mark);
	return ok;
}

bool loop_eval_body(LoopFrame *f, const Body *b)
{
	static NodeEval *const eval[N_COUNT] = {
#define NODE(kind, word, gives, text, doc) [N_##kind] = eval_##kind,
#include "loop.def"
	};
	for (const Node *n = b->first; n; n = n->next)
		if (!eval[n->kind](f, n)) return false;
	return true;
}
