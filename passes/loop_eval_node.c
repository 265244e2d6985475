/* Nodes, one function per row of loop.def: see loop_eval.h. Element-wise ops are the loops of the tensor interpreter at length 1. */
#include <string.h>
#include "../ir/op_util.h"
#include "loop_eval.h"
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
	int lanes, count;
	Cell *acc, part;
} Reduce;

/* The sum of a block joins the sum; the next begins from the identity. */
static void close_part(Reduce *r)
{
	apply(r->n->op, r->c, &r->acc[0], &r->part, &r->acc[0]);
	r->part = identity(r->n->op, r->c);
	r->count = 0;
}

static bool reduce_point(LoopFrame *f, void *ctx)
{
	Reduce *r = ctx;
	Cell x;
	if (!loop_eval_body(f, r->n->body)) return false;
	convert(r->n->dtype, r->c, value(f, r->n->body->result), &x);
	if (r->n->block) {
		apply(r->n->op, r->c, &r->part, &x, &r->part);
		if (++r->count == r->n->block) close_part(r);
		return true;
	}
	int64_t lane = r->lanes > 1 ? *loop_eval_axis(f, r->n->axis[r->n->naxis - 1]) % r->lanes : 0;
	apply(r->n->op, r->c, &r->acc[lane], &x, &r->acc[lane]);
	return true;
}

static bool eval_REDUCE(LoopFrame *f, const Node *n)
{
	enum { MOST = 1024 };
	Cell acc[MOST];
	Reduce r = {n, dtype_compute(n->dtype), n->lanes > 1 && n->naxis ? n->lanes : 1, 0, acc, identity(n->op, dtype_compute(n->dtype))};
	if (r.lanes > MOST) return loop_eval_fail(f, "%%%d: more than %d partial results", n->id, MOST);
	for (int i = 0; i < r.lanes; i++) acc[i] = identity(n->op, r.c);
	if (!loop_eval_over(f, n->axis, n->naxis, reduce_point, &r)) return false;
	if (r.count) close_part(&r);
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

typedef bool NodeEval(LoopFrame *f, const Node *n);

static bool eval_RAW(LoopFrame *f, const Node *n)
{
	ArenaMark mark = arena_mark(f->e->scratch);
	bool ok = loop_eval_raw(f, n);
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
