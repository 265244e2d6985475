/* Loops: unrolled over unlike things, otherwise `loop` ops.
 *
 * A run-time loop carries the variables that its body assigns. Whether more is changed (a module's state through a method), and what dtype
 * a number takes, shows only when the body has run: then it runs again. A trial that fails is not reported: the numbers in it stood for
 * tensors. What the body turns out not to change is not carried.
 */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

/* --- what a loop runs over ------------------------------------------------------------------------------------------------------ */

typedef enum IterKind { ITER_ZIP, ITER_RANGE, ITER_ROWS, ITER_STACK, ITER_SEQ, ITER_COUNT } IterKind;
typedef struct Iter {
	IterKind kind;
	Val v;    /* RANGE ROWS STACK SEQ; COUNT: the start of enumerate */
	Val step; /* RANGE */
	bool has_place;
	Place place; /* ROWS STACK SEQ: where changed elements go */
	struct Iter *at;
	int n; /* ZIP */
	Loc loc;
	Val row; /* the element of this turn */
} Iter;

static bool is_builtin_call(Elab *e, const Expr *x, const char *name)
{
	Val f;
	if (x->kind != EXPR_CALL || x->u.call.fn->kind != EXPR_NAME || strcmp(x->u.call.fn->u.name.text, name)) return false;
	for (int i = 0; i < x->u.call.args.n; i++) {
		if (x->u.call.args.at[i]->kind == ARG_SPREAD) return false;
	}
	return scope_find(e, name, x->loc, &f) && f.kind == V_BUILTIN;
}

static bool place_has_slice(const Place *p)
{
	for (int i = 0; i < p->nsteps; i++) {
		for (int k = 0; !p->steps[i].member && k < p->steps[i].n; k++) {
			if (p->steps[i].idx[k].kind == V_SLICE) return true;
		}
	}
	return false;
}

static Iter iter_of(Elab *e, const Expr *x)
{
	Iter it = {.loc = x->loc, .step = val_int(1)};
	if (is_builtin_call(e, x, "enumerate")) {
		const ArgList *a = &x->u.call.args;
		it.kind = ITER_ZIP, it.n = 2;
		it.at = NEW_ARRAY(e->arena, Iter, 2);
		if (a->n < 1 || a->n > 2) elab_fail(e, x->loc, "call.arguments", "`enumerate` takes a sequence and a start");
		it.at[0] = (Iter){.kind = ITER_COUNT, .v = a->n == 2 ? elab_eval(e, a->at[1]->value) : val_int(0), .loc = x->loc};
		it.at[1] = iter_of(e, a->at[0]->value);
		return it;
	}
	if (is_builtin_call(e, x, "zip")) {
		it.kind = ITER_ZIP, it.n = x->u.call.args.n;
		it.at = NEW_ARRAY(e->arena, Iter, it.n);
		for (int i = 0; i < it.n; i++) it.at[i] = iter_of(e, x->u.call.args.at[i]->value);
		if (!it.n) elab_fail(e, x->loc, "call.arguments", "`zip` takes at least one sequence");
		return it;
	}
	it.has_place = place_of(e, x, &it.place);
	it.v = it.has_place ? place_read(e, &it.place) : elab_eval(e, x);
	if (it.has_place) it.has_place = place_writable(&it.place) && !place_has_slice(&it.place);
	switch (it.v.kind) {
	case V_RANGE: it.kind = ITER_RANGE; break;
	case V_TENSOR:
		if (it.v.u.tensor->type->rank == 0) elab_fail(e, x->loc, "for.kind", "cannot iterate a scalar, %s", val_describe(e, it.v));
		it.kind = ITER_ROWS;
		break;
	case V_STACK: it.kind = ITER_STACK; break;
	case V_TUPLE:
	case V_LIST: it.kind = ITER_SEQ; break;
	case V_INT:
	case V_DIM:
		elab_fail_help(e, x->loc, "for.kind", arena_printf(e->arena, "write `0..%s`", elab_source(e, x->loc)), "cannot iterate %s",
		               val_describe(e, it.v));
	default: elab_fail(e, x->loc, "for.kind", "cannot iterate %s", val_describe(e, it.v));
	}
	return it;
}

static bool iter_has(const Iter *it, IterKind k)
{
	bool has = it->kind == k;
	for (int i = 0; it->kind == ITER_ZIP && i < it->n; i++) has |= iter_has(&it->at[i], k);
	return has;
}

static Val iter_value(Elab *e, const Iter *it)
{
	if (it->kind != ITER_ZIP) return it->row;
	Val *v = NEW_ARRAY(e->arena, Val, it->n);
	for (int i = 0; i < it->n; i++) v[i] = iter_value(e, &it->at[i]);
	return val_tuple(e, v, it->n);
}

/* The variable that a plain name of the pattern made for this element; NULL where the element was taken apart. */
static Local *iter_local(Elab *e, const Pattern *p)
{
	return p && !p->is_tuple ? scope_local(e->frame, p->name.text) : NULL;
}

static const Pattern *sub_pattern(const Pattern *p, const Iter *it, int i)
{
	return p && p->is_tuple && p->n == it->n ? p->items[i] : NULL;
}

/* --- unrolled loops ---------------------------------------------------------------------------------------------------------------- */

static int64_t unroll_count(Elab *e, const Iter *it)
{
	int64_t n = -1;
	switch (it->kind) {
	case ITER_COUNT: return -1;
	case ITER_SEQ: return it->v.u.items->n;
	case ITER_ROWS:
		if (!dim_is_const(it->v.u.tensor->type->dim[0], &n)) break;
		return n;
	case ITER_STACK:
		if (!dim_is_const(it->v.u.stack->n, &n)) break;
		return n;
	case ITER_RANGE: {
		Val lo = *it->v.u.range.lo, hi = *it->v.u.range.hi;
		if (lo.kind != V_INT || hi.kind != V_INT || it->step.kind != V_INT) break;
		int64_t s = it->step.u.i, d = s > 0 ? hi.u.i - lo.u.i : lo.u.i - hi.u.i, a = s > 0 ? s : -s;
		return d > 0 ? (d + a - 1) / a : 0;
	}
	case ITER_ZIP:
		for (int i = 0; i < it->n; i++) {
			int64_t k = unroll_count(e, &it->at[i]);
			if (k < 0) continue;
			if (n >= 0 && k != n)
				elab_fail(e, it->loc, "zip.length", "the sequences have different lengths: %lld and %lld", (long long)n, (long long)k);
			n = k;
		}
		if (n < 0) break;
		return n;
	}
	elab_fail(e, it->loc, "unroll.count", "an unrolled loop needs a count known while compiling");
}

static void unroll_row(Elab *e, Iter *it, int64_t k)
{
	Val idx = val_int(k);
	switch (it->kind) {
	case ITER_ZIP:
		for (int i = 0; i < it->n; i++) unroll_row(e, &it->at[i], k);
		break;
	case ITER_COUNT: it->row = elab_binary(e, B_ADD, it->v, idx, it->loc); break;
	case ITER_SEQ: it->row = it->v.u.items->at[k]; break;
	case ITER_ROWS: it->row = elab_index(e, elab_tensor(e, it->v, NULL, it->loc, "the sequence"), &idx, 1, it->loc); break;
	case ITER_STACK: it->row = stack_row(e, it->v.u.stack, idx, it->loc); break;
	case ITER_RANGE: it->row = val_int(it->v.u.range.lo->u.i + k * it->step.u.i); break;
	}
}

/* Elements that the body changed go back to where they came from. */
static void check_kept(Elab *e, const Iter *it, const Local *l)
{
	if (it->has_place || it->row.kind != V_MODULE) return;
	elab_fail_help(e, it->loc, "module.not_a_place", "iterate a member or variable itself, `for l in layers`",
	               "the body changes the module `%s`, but what the loop runs over is not a place", l->name);
}

static void unroll_store(Elab *e, const Iter *it, const Pattern *p, int64_t k)
{
	for (int i = 0; it->kind == ITER_ZIP && i < it->n; i++) unroll_store(e, &it->at[i], sub_pattern(p, it, i), k);
	Local *l = it->kind == ITER_ZIP ? NULL : iter_local(e, p);
	if (!l || val_same(l->v, it->row) || it->row.kind != V_MODULE) return; /* other elements are values: the variable is a copy */
	check_kept(e, it, l);
	Place at = it->place;
	Val idx = val_int(k);
	at.steps = NEW_ARRAY(e->arena, Step, at.nsteps + 1);
	memcpy(at.steps, it->place.steps, sizeof(Step) * (size_t)it->place.nsteps);
	at.steps[at.nsteps++] = (Step){.idx = arena_copy(e->arena, &idx, sizeof idx), .n = 1, .loc = it->loc};
	place_write(e, &at, l->v, it->loc);
}

static void unroll(Elab *e, const Stmt *s, Iter *it)
{
	int64_t n = unroll_count(e, it);
	if (n > 100000) elab_fail(e, s->loc, "unroll.size", "%lld turns are too many to unroll", (long long)n);
	if (s->u.for_.while_) elab_fail(e, s->u.for_.while_->loc, "unroll.while", "a loop over unlike things is unrolled and takes no `while`");
	e->frame->unrolled++;
	for (int64_t k = 0; k < n && !e->frame->returned; k++) {
		scope_enter(e);
		unroll_row(e, it, k);
		elab_bind_pattern(e, s->u.for_.pattern, iter_value(e, it), LOCAL_VAR, it->loc);
		scope_enter(e);
		elab_block(e, &s->u.for_.body, 0, NULL);
		scope_leave(e);
		unroll_store(e, it, s->u.for_.pattern, k);
		scope_leave(e);
	}
	e->frame->unrolled--;
}

/* --- run-time loops ---------------------------------------------------------------------------------------------------------------- */

typedef struct Carry {
	Local *local;
	Val init;  /* numbers that the body changes are tensors here */
	Val param; /* its tensors are block parameters */
	Val next;  /* after the body; tensors of the parameters' types */
	Val result;
	struct Carry *following;
} Carry;

typedef struct Pair {
	Value *init, *param, *next, *region1, *result;
} Pair; /* one carried leaf */
typedef struct ScanOut {
	Iter *it;
	Val row, next;
	VEC(Value *) values;
	Val stacked;
	struct ScanOut *following;
} ScanOut;

typedef struct LoopJob {
	const Stmt *s;
	Iter *it; /* NULL: while */
	const Pattern *pattern;
	const StmtList *body;
	const Expr *cond; /* of `while`, or NULL */
	RowFn row_fn;
	void *row_ctx; /* elab_loop_map instead of a body */
	Val row_result;
	Loc loc;
	Dim trips;    /* NULL: not a dimension */
	Value *limit; /* i32, or NULL */
	LoopIndex range;
	State before;
	Carry *carries;
	bool trial; /* some carried number has no dtype yet */
	bool again;
	Block *block;
	Value *index;
	VEC(Value *) xs;
	VEC(Value *) rows;
	ScanOut *outs;
	VEC(Pair) pairs, dropped;
} LoopJob;

static Value *i32_scalar(Elab *e, Val v, Loc loc)
{
	DType d = DT_i32;
	return ir_convert(&e->b, elab_tensor(e, v, &d, loc, "the bound of a range"), d);
}

static void set_trips(Elab *e, LoopJob *j, Dim n, Loc loc)
{
	j->trips = j->trips ? elab_require_equal(e, j->trips, n, loc, "zip.length", "the sequences of this loop have different lengths") : n;
}

/* Bounds of an i32 scalar as dimensions, where its ops tell: indices of enclosing loops, sums, products, minima. NULL: none. */
typedef struct Bounds {
	Dim lo, hi;
} Bounds;

static Bounds index_bounds(Elab *e, const Value *v)
{
	DimCtx *c = e->m->dims;
	for (const LoopIndex *l = e->loop_indices; l; l = l->next) {
		if (l->index == v) return (Bounds){dim_int(c, 0), l->trips ? dim_sub(c, l->trips, dim_int(c, 1)) : NULL};
	}
	return (Bounds){NULL, NULL};
}

static Bounds value_bounds(Elab *e, const Value *v)
{
	DimCtx *c = e->m->dims;
	double k;
	if (value_const_scalar(v, &k)) return (Bounds){dim_int(c, (int64_t)k), dim_int(c, (int64_t)k)};
	const Op *op = v->def;
	if (!op) return index_bounds(e, v);
	if (op->code == OP_dimsize) return (Bounds){op_attr(op, AT_dim)->v.dim, op_attr(op, AT_dim)->v.dim};
	if (op->code == OP_convert && dtype_is_int(op->in[0]->type->dtype)) return value_bounds(e, op->in[0]);
	if (op->nin != 2 || v->type->rank) return (Bounds){NULL, NULL};
	Bounds a = value_bounds(e, op->in[0]), b = value_bounds(e, op->in[1]);
	switch (op->code) {
	case OP_add: return (Bounds){dim_add(c, a.lo, b.lo), dim_add(c, a.hi, b.hi)};
	case OP_sub: return (Bounds){dim_sub(c, a.lo, b.hi), dim_sub(c, a.hi, b.lo)};
	case OP_mul:
		if (!value_const_scalar(op->in[1], &k) || k < 0) return (Bounds){NULL, NULL};
		return (Bounds){dim_mul(c, a.lo, b.lo), dim_mul(c, a.hi, b.hi)};
	case OP_minimum: return (Bounds){NULL, a.hi ? a.hi : b.hi};
	case OP_maximum: return (Bounds){a.lo ? a.lo : b.lo, NULL};
	default: return (Bounds){NULL, NULL};
	}
}

static Bounds number_bounds(Elab *e, Val v)
{
	if (v.kind == V_TENSOR) return value_bounds(e, v.u.tensor);
	Dim d = v.kind == V_DIM ? v.u.dim : dim_int(e->m->dims, v.u.i);
	return (Bounds){d, d};
}

static void range_trips(Elab *e, LoopJob *j, const Iter *it)
{
	Val lo = *it->v.u.range.lo, hi = *it->v.u.range.hi;
	int64_t s = elab_int(e, it->step, it->loc, "the step of a loop");
	if (s == 0) elab_fail(e, it->loc, "for.step", "the step of a loop is 0");
	Val a = s > 0 ? hi : lo, b = s > 0 ? lo : hi;
	int64_t size = s > 0 ? s : -s;
	Val n = elab_binary(e, B_SUB, a, b, it->loc);
	if (n.kind == V_INT && n.u.i < 0) n = val_int(0);
	if (size > 1) n = elab_binary(e, B_FLOORDIV, elab_binary(e, B_ADD, n, val_int(size - 1), it->loc), val_int(size), it->loc);
	if (n.kind == V_INT || n.kind == V_DIM) {
		set_trips(e, j, n.kind == V_INT ? dim_int(e->m->dims, n.u.i) : n.u.dim, it->loc);
		return;
	}
	Value *limit = i32_scalar(e, n, it->loc), *zero = ir_scalar_int(&e->b, DT_i32, 0);
	limit = ir_binary(&e->b, OP_maximum, limit, zero);
	if (j->limit) elab_fail(e, it->loc, "zip.length", "two ranges whose lengths are data cannot be zipped");
	j->limit = limit;
	/* a triangular loop, `for q in p + 1..N`, has a bound all the same: reverse mode needs one */
	DimCtx *c = e->m->dims;
	Dim most = dim_sub(c, number_bounds(e, a).hi, number_bounds(e, b).lo);
	if (most && size > 1) most = dim_floordiv(c, e->facts, dim_add(c, most, dim_int(c, size - 1)), dim_int(c, size));
	if (most) set_trips(e, j, most, it->loc);
}

static void count_trips(Elab *e, LoopJob *j, const Iter *it)
{
	switch (it->kind) {
	case ITER_ZIP:
		for (int i = 0; i < it->n; i++) count_trips(e, j, &it->at[i]);
		break;
	case ITER_RANGE: range_trips(e, j, it); break;
	case ITER_ROWS: set_trips(e, j, it->v.u.tensor->type->dim[0], it->loc); break;
	case ITER_STACK: set_trips(e, j, it->v.u.stack->n, it->loc); break;
	default: break;
	}
}

/* The row of a scanned tensor as a parameter of the body. */
static Value *scan_row(Elab *e, LoopJob *j, Value *xs)
{
	for (int i = 0; i < j->xs.n; i++) {
		if (j->xs.at[i] == xs) return j->rows.at[i];
	}
	const Type *t = xs->type;
	Value *row = block_param(&e->b, j->block, type_get(e->m, t->dtype, t->rank - 1, t->dim + 1), xs->name);
	VEC_PUSH(e->arena, j->xs, xs);
	VEC_PUSH(e->arena, j->rows, row);
	return row;
}

static Val stack_leaf_row(Elab *e, void *ctx, Val v)
{
	return v.kind == V_TENSOR ? val_tensor(scan_row(e, ctx, v.u.tensor)) : v;
}

static void loop_rows(Elab *e, LoopJob *j, Iter *it)
{
	switch (it->kind) {
	case ITER_ZIP:
		for (int i = 0; i < it->n; i++) loop_rows(e, j, &it->at[i]);
		break;
	case ITER_ROWS: it->row = val_tensor(scan_row(e, j, elab_here(e, it->v).u.tensor)); break;
	case ITER_STACK: it->row = val_map(e, elab_here(e, it->v).u.stack->elem, stack_leaf_row, j); break;
	case ITER_COUNT: it->row = elab_binary(e, B_ADD, val_tensor(j->index), it->v, it->loc); break;
	default: {
		Val i = val_tensor(j->index);
		if (it->step.kind != V_INT || it->step.u.i != 1) i = elab_binary(e, B_MUL, i, it->step, it->loc);
		Val lo = *it->v.u.range.lo;
		if (lo.kind == V_TENSOR) lo = val_tensor(i32_scalar(e, lo, it->loc));
		it->row = lo.kind == V_INT && lo.u.i == 0 ? i : elab_binary(e, B_ADD, lo, i, it->loc);
		break;
	}
	}
}

static Val carry_leaf(Elab *e, void *ctx, Val v)
{
	LoopJob *j = ctx;
	if (v.kind == V_TENSOR) {
		const char *name = v.u.tensor->name;
		Val p = val_tensor(block_param(&e->b, j->block, v.u.tensor->type, name));
		return p;
	}
	if (val_is_weak(v)) j->trial = true;
	return v;
}

typedef struct Compare {
	LoopJob *j;
	const Carry *c;
	bool changed;
} Compare;

static const char *carry_name(Elab *e, const Carry *c, const char *path)
{
	return *path ? arena_printf(e->arena, "`%s` of %s", path, local_text(e, c->local)) : local_text(e, c->local);
}

static _Noreturn void carry_fail(Elab *e, const Compare *c, Val a, Val b, const char *path)
{
	if (a.kind == V_TENSOR && a.weak) a.weak = false;
	elab_fail_note(e, c->j->loc, "loop.carry", "a variable that a run-time loop changes keeps its tree, dtype and shape",
	               "%s is %s before the loop and %s after its body", carry_name(e, c->c, path), val_describe(e, a), val_describe(e, b));
}

/* The value after the body, as the type it had before. */
static Val next_leaf(Elab *e, void *ctx, Val a, Val b, const char *path)
{
	Compare *c = ctx;
	if (b.kind == V_LIST && a.kind == V_TENSOR) b = val_tensor(elab_tensor(e, b, NULL, c->j->loc, "a carried value"));
	if (a.kind == V_LIST && b.kind == V_TENSOR) return c->changed = true, b; /* a list that the body makes a tensor of */
	if (a.kind != V_TENSOR) {
		if (val_same(a, b)) return a;
		bool fits = val_is_weak(a) && (val_is_weak(b) || (b.kind == V_TENSOR && b.u.tensor->type->rank == 0));
		if (!fits) carry_fail(e, c, a, b, path);
		c->changed = true; /* number_leaf decides its dtype */
		return b;
	}
	const Type *t = a.u.tensor->type;
	if (val_is_weak(b)) {
		if (t->rank || !weak_fits(b, t->dtype)) carry_fail(e, c, a, b, path);
		return val_tensor(ir_convert(&e->b, elab_tensor(e, b, &t->dtype, c->j->loc, "a carried value"), t->dtype));
	}
	if (b.kind != V_TENSOR) carry_fail(e, c, a, b, path);
	const Type *n = b.u.tensor->type;
	if (n == t) return b;
	bool same = n->dtype == t->dtype && n->rank == t->rank;
	for (int i = 0; same && i < n->rank; i++) same = dim_provable_equal(e->facts, n->dim[i], t->dim[i]);
	if (!same) carry_fail(e, c, a, b, path);
	return val_tensor(ir_reshape(&e->b, b.u.tensor, t->rank, t->dim));
}

/* A number that the body changes becomes a tensor of the dtype that it gets there. */
static Val number_leaf(Elab *e, void *ctx, Val a, Val b, const char *path)
{
	LoopJob *j = ctx;
	if (a.kind == V_LIST && b.kind == V_TENSOR) {
		Value *x = elab_tensor(e, a, NULL, j->loc, "a carried value");
		j->again = true;
		return val_tensor(weak_fits(val_tensor(x), b.u.tensor->type->dtype) ? ir_convert(&e->b, x, b.u.tensor->type->dtype) : x);
	}
	if (a.kind == V_TENSOR || val_same(a, b) || !val_is_weak(a)) return a;
	DType d = b.kind == V_TENSOR ? b.u.tensor->type->dtype : weak_default(b);
	if (val_is_weak(b)) {
		Val both[2] = {a, b};
		d = elab_result_dtype(e, both, 2, j->loc);
	}
	j->again = true;
	return val_tensor(ir_convert(&e->b, elab_tensor(e, a, &d, j->loc, "a carried value"), d));
}

static Val default_leaf(Elab *e, void *ctx, Val v)
{
	LoopJob *j = ctx;
	return val_is_weak(v) ? val_tensor(elab_tensor(e, v, NULL, j->loc, "a carried value")) : v;
}

static void run_loop_body(Elab *e, void *ctx)
{
	LoopJob *j = ctx;
	scope_enter(e);
	if (j->it) elab_bind_pattern(e, j->pattern, iter_value(e, j->it), LOCAL_VAR, j->loc);
	scope_enter(e);
	if (j->row_fn) j->row_result = j->row_fn(e, j->row_ctx, j->it->row.u.tensor);
	else elab_block(e, j->body, 0, NULL);
	scope_leave(e);
}

/* Which elements the body changed: they are stacked and written back. Called while the loop's names are still in scope. */
static void collect_outs(Elab *e, LoopJob *j, Iter *it, const Pattern *p)
{
	for (int i = 0; it->kind == ITER_ZIP && i < it->n; i++) collect_outs(e, j, &it->at[i], sub_pattern(p, it, i));
	Local *l = it->kind == ITER_STACK ? iter_local(e, p) : NULL; /* a variable over the rows of a tensor is a copy */
	if (!l || val_same(l->v, it->row)) return;
	check_kept(e, it, l);
	if (!it->has_place) return;
	ScanOut *o = NEW(e->arena, ScanOut);
	o->it = it, o->row = it->row, o->next = l->v, o->following = j->outs;
	j->outs = o;
}

static Carry *carry_of(LoopJob *j, const Local *l)
{
	for (Carry *c = j->carries; c; c = c->following) {
		if (c->local == l) return c;
	}
	return NULL;
}

static void add_carry(Elab *e, LoopJob *j, Local *l, Val init)
{
	if (carry_of(j, l)) return;
	Carry **at = &j->carries;
	while (*at) at = &(*at)->following;
	*at = NEW(e->arena, Carry);
	(*at)->local = l, (*at)->init = init;
}

static void initial_carries(Elab *e, LoopJob *j)
{
	NameSet names = {0};
	if (j->body) scan_assigned(e, j->body, &names);
	int i = 0;
	for (Local *l = j->before.top; l; l = l->next, i++) {
		bool assigned = l->kind != LOCAL_SELF && name_set_has(&names, l->name) && scope_local(e->frame, l->name) == l;
		if (assigned && (l->kind == LOCAL_VAR || l->kind == LOCAL_INOUT || l->kind == LOCAL_PARAM))
			add_carry(e, j, l, elab_here(e, j->before.v[i]));
	}
}

static void loop_attempt(Elab *e, LoopJob *j, Block *here)
{
	state_restore(e, j->before);
	j->again = j->trial = false;
	j->outs = NULL;
	j->xs.n = j->rows.n = 0;
	e->b.block = here;
	j->block = block_new(&e->b, BLOCK_LOOP, here);
	e->b.block = j->block;
	const Type *i32 = type_scalar(e->m, DT_i32);
	j->range = (LoopIndex){NULL, j->trips, j->limit, e->loop_indices};
	j->index = block_param(&e->b, j->block, i32, j->pattern && !j->pattern->is_tuple ? j->pattern->name.text : "i");
	j->range.index = j->index;
	e->loop_indices = &j->range;
	for (Carry *c = j->carries; c; c = c->following) c->local->v = c->param = val_map(e, c->init, carry_leaf, j);
	if (j->it) loop_rows(e, j, j->it);
	e->facts_open = false;
	Frame *f = e->frame;
	int loops = f->loops, unrolled = f->unrolled;
	f->loops++;
	bool ok = true;
	if (j->trial) {
		bool muted = diag_mute(e->diag, true);
		e->quiet++;
		ok = elab_protect(e, run_loop_body, j);
		e->quiet--;
		diag_mute(e->diag, muted);
	} else {
		run_loop_body(e, j);
	}
	f->loops = loops, f->unrolled = unrolled;
	e->loop_indices = j->range.next;
	if (!ok) { /* the numbers stood for tensors: take them as such */
		e->b.block = here;
		for (Carry *c = j->carries; c; c = c->following) c->init = val_map(e, c->init, default_leaf, j);
		j->again = true;
	}
}

/* What changed although nothing in the text says so, and the dtypes of numbers. */
static void loop_decide(Elab *e, LoopJob *j, Block *here)
{
	if (j->it && !j->row_fn) collect_outs(e, j, j->it, j->pattern);
	State after = state_after(e, j->before);
	int i = 0;
	for (Local *l = j->before.top; l; l = l->next, i++) {
		Carry *c = carry_of(j, l);
		if (!c && !val_same(after.v[i], j->before.v[i])) {
			add_carry(e, j, l, elab_here(e, j->before.v[i]));
			j->again = true;
		}
		if (!c) continue;
		Compare cmp = {j, c, false};
		e->b.block = j->block;
		c->next = val_map2(e, c->param, after.v[i], next_leaf, &cmp, "");
		if (!cmp.changed) continue;
		e->b.block = here;
		c->init = val_map2(e, c->init, c->next, number_leaf, j, "");
		j->again = true;
	}
}

static Val pair_leaf(Elab *e, void *ctx, Val param, Val next, const char *path)
{
	LoopJob *j = ctx;
	if (param.kind != V_TENSOR) return param;
	Pair p = {.param = param.u.tensor, .next = next.u.tensor};
	VEC_PUSH(e->arena, j->pairs, p);
	return (Val){.kind = V_TENSOR, .u.tensor = param.u.tensor};
}

static void drop_param(Block *b, Value *v)
{
	int k = 0;
	for (int i = 0; i < b->nparam; i++) {
		if (b->param[i] == v) continue;
		b->param[k] = b->param[i];
		b->param[k]->index = k;
		k++;
	}
	b->nparam = k;
}

typedef struct InitJob {
	LoopJob *j;
	int at;
} InitJob;
static Val init_leaf(Elab *e, void *ctx, Val v)
{
	InitJob *i = ctx;
	if (v.kind == V_TENSOR) i->j->pairs.at[i->at++].init = v.u.tensor;
	return v;
}

/* The leaves to carry, in the order of the block's parameters; those that the body leaves alone are replaced by their initial values. */
static void loop_pairs(Elab *e, LoopJob *j)
{
	for (Carry *c = j->carries; c; c = c->following) {
		InitJob init = {j, j->pairs.n};
		val_map2(e, c->param, c->next, pair_leaf, j, "");
		val_map(e, c->init, init_leaf, &init);
	}
	int k = 0;
	for (int i = 0; i < j->pairs.n; i++) {
		Pair p = j->pairs.at[i];
		if (p.next != p.param) {
			j->pairs.at[k++] = p;
			continue;
		}
		block_replace_uses(j->block, p.param, p.init);
		for (int n = 0; n < j->pairs.n; n++) {
			if (j->pairs.at[n].next == p.param && j->pairs.at[n].param != p.param) j->pairs.at[n].next = p.init;
		}
		drop_param(j->block, p.param);
		VEC_PUSH(e->arena, j->dropped, p);
	}
	j->pairs.n = k;
}

/* A parameter that is carried no more is its initial value. */
static Value *resolve(const LoopJob *j, Value *v)
{
	for (int i = 0; i < j->dropped.n; i++) {
		if (j->dropped.at[i].param == v) return j->dropped.at[i].init;
	}
	return v;
}

typedef struct Replace {
	LoopJob *j;
	int field;
} Replace;

static Val replace_leaf(Elab *e, void *ctx, Val init, Val param, const char *path)
{
	Replace *r = ctx;
	if (param.kind != V_TENSOR) return init;
	for (int i = 0; i < r->j->pairs.n; i++) {
		Pair *p = &r->j->pairs.at[i];
		if (p->param == param.u.tensor) return val_tensor(r->field ? p->result : p->region1);
	}
	return init;
}

/* Names of the loop's own pattern may stand in `while` only where they count. */
static bool needs_counter(Elab *e, const LoopJob *j)
{
	if (j->limit && !j->trips) return true; /* the end is data: a `while` on the step number */
	if (!j->cond || !j->it || j->it->kind != ITER_RANGE || j->pattern->is_tuple) return false;
	NameSet names = {0};
	scan_expr_names(e, j->cond, &names);
	return name_set_has(&names, j->pattern->name.text);
}

static Block *loop_region1(Elab *e, LoopJob *j, Block *here, bool indexed)
{
	Block *b = block_new(&e->b, BLOCK_WHILE, here);
	state_restore(e, j->before);
	e->b.block = b;
	for (int i = 0; i < j->pairs.n; i++)
		j->pairs.at[i].region1 = block_param(&e->b, b, j->pairs.at[i].param->type, j->pairs.at[i].param->name);
	Replace r = {j, 0};
	for (Carry *c = j->carries; c; c = c->following) c->local->v = val_map2(e, c->init, c->param, replace_leaf, &r, "");
	scope_enter(e);
	if (indexed) {
		j->index = j->pairs.at[j->pairs.n - 1].region1;
		loop_rows(e, j, j->it);
		elab_bind_pattern(e, j->pattern, iter_value(e, j->it), LOCAL_LET, j->loc);
	}
	e->facts_open = false;
	Value *c = NULL;
	if (j->cond) {
		int known = elab_condition(e, j->cond, &c);
		if (known >= 0) c = ir_scalar_int(&e->b, DT_bool, known);
	}
	if (j->limit && !j->trips) {
		Value *more = ir_binary(&e->b, OP_lt, j->index, j->limit);
		c = c ? ir_binary(&e->b, OP_and, more, c) : more;
	}
	block_set_results(&e->b, b, &c, 1);
	state_restore(e, j->before);
	return b;
}

static Val out_leaf(Elab *e, void *ctx, Val row, Val next, const char *path)
{
	ScanOut *o = ctx;
	if (val_same(row, next)) return row;
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (row.kind != V_TENSOR || !val_shape(e, row, &d, &rank, dims))
		elab_fail(e, o->it->loc, "loop.element", "an element of the array cannot change from %s to %s", val_describe(e, row),
		          val_describe(e, next));
	next = type_unify(e, val_type(e, d, rank, dims), next, o->it->loc, "a changed element of the array");
	VEC_PUSH(e->arena, o->values, next.u.tensor);
	return (Val){.kind = V_TENSOR, .u.tensor = next.u.tensor};
}

typedef struct Stacked {
	LoopJob *j;
	ScanOut *o;
	Value **out;
} Stacked;

static Val stacked_leaf(Elab *e, void *ctx, Val old, Val next, const char *path)
{
	Stacked *s = ctx;
	for (int i = 0; next.kind == V_TENSOR && i < s->o->values.n; i++) {
		if (s->o->values.at[i] == next.u.tensor) return val_tensor(s->out[i]);
	}
	return old;
}

static Val result_row_leaf(Elab *e, void *ctx, Val v)
{
	VEC(Value *) *list = ctx;
	if (v.kind == V_TENSOR) VEC_PUSH(e->arena, *list, v.u.tensor);
	return v;
}

/* The step number as a carry of its own, for a condition that needs it. */
static void add_counter(Elab *e, LoopJob *j, Block *here)
{
	Pair p = {.init = NULL};
	e->b.block = here;
	p.init = ir_scalar_int(&e->b, DT_i32, 0);
	e->b.block = j->block;
	p.param = block_param(&e->b, j->block, type_scalar(e->m, DT_i32), "step");
	p.next = ir_binary(&e->b, OP_add, j->index, ir_scalar_int(&e->b, DT_i32, 1));
	VEC_PUSH(e->arena, j->pairs, p);
}

/* The body's results, carries first, then rows to stack; and its parameters in order: the step number, carries, rows of what is scanned. */
static void close_body(Elab *e, LoopJob *j)
{
	Block *b = j->block;
	VEC(Value *) yields = {0};
	VEC(Value *) rows = {0};
	e->b.block = b;
	for (int i = 0; i < j->pairs.n; i++) VEC_PUSH(e->arena, yields, j->pairs.at[i].next);
	for (ScanOut *o = j->outs; o; o = o->following) {
		for (int i = 0; i < o->values.n; i++) VEC_PUSH(e->arena, yields, resolve(j, o->values.at[i]));
	}
	if (j->row_fn) val_map(e, j->row_result, result_row_leaf, &rows);
	for (int i = 0; i < rows.n; i++) VEC_PUSH(e->arena, yields, resolve(j, rows.at[i]));
	int k = 1;
	for (int i = 0; i < j->pairs.n; i++, k++) b->param[k] = j->pairs.at[i].param, b->param[k]->index = k;
	for (int i = 0; i < j->xs.n; i++, k++) b->param[k] = j->rows.at[i], b->param[k]->index = k;
	block_set_results(&e->b, b, yields.at, yields.n);
}

static Op *emit_loop(Elab *e, LoopJob *j, Block *go, bool limited)
{
	VEC(Value *) in = {0};
	for (int i = 0; i < j->pairs.n; i++) VEC_PUSH(e->arena, in, j->pairs.at[i].init);
	for (int i = 0; i < j->xs.n; i++) VEC_PUSH(e->arena, in, j->xs.at[i]);
	if (limited) VEC_PUSH(e->arena, in, j->limit);
	Attr attrs[5] = {ATTR_INT(ncarry, j->pairs.n), ATTR_INT(nscan, j->xs.n), ATTR_INT(reverse, 0), ATTR_INT(limit, limited)};
	if (j->trips) attrs[4] = ATTR_DIM(trips, j->trips);
	Block *region[2] = {j->block, go};
	e->b.loc = j->loc;
	return ir_emit_region(&e->b, OP_loop, in.at, in.n, attrs, j->trips ? 5 : 4, region, go ? 2 : 1);
}

/* Elements that the body changed, stacked, go back to where they came from. Returns what follows them in the results. */
static Value **store_outs(Elab *e, LoopJob *j, Value **out)
{
	for (ScanOut *o = j->outs; o; o = o->following) {
		Stacked st = {j, o, out};
		out += o->values.n;
		Val old = place_read(e, &o->it->place);
		Val elem = val_map2(e, old.u.stack->elem, o->stacked, stacked_leaf, &st, "");
		place_write(e, &o->it->place, val_stack(e, elem, old.u.stack->n), j->loc);
	}
	return out;
}

static Val loop_finish(Elab *e, LoopJob *j, Block *here)
{
	loop_pairs(e, j);
	bool counted = needs_counter(e, j), data_end = j->limit && !j->trips;
	e->b.block = j->block;
	for (ScanOut *o = j->outs; o; o = o->following) o->stacked = val_map2(e, o->row, o->next, out_leaf, o, "");
	if (counted) add_counter(e, j, here);
	close_body(e, j);
	Block *go = j->cond || data_end ? loop_region1(e, j, here, counted) : NULL;
	e->b.block = here;
	state_restore(e, j->before);
	Op *op = emit_loop(e, j, go, j->limit && !data_end);
	for (int i = 0; i < j->pairs.n; i++) j->pairs.at[i].result = op->out[i];
	Replace r = {j, 1};
	for (Carry *c = j->carries; c; c = c->following) c->local->v = val_map2(e, c->init, c->param, replace_leaf, &r, "");
	Value **rows = store_outs(e, j, op->out + j->pairs.n);
	return j->row_fn ? tree_with_tensors(e, j->row_result, rows) : val_none();
}

static Val run_loop(Elab *e, LoopJob *j)
{
	Block *here = e->b.block;
	j->before = state_save(e);
	initial_carries(e, j);
	for (int turn = 0;; turn++) {
		loop_attempt(e, j, here);
		if (!j->again) loop_decide(e, j, here);
		if (!j->again) break;
		if (turn > 8) elab_fail(e, j->loc, "loop.carry", "the types of this loop's variables do not settle");
	}
	Val r = loop_finish(e, j, here);
	e->b.block = here;
	return r;
}

void elab_for(Elab *e, const Stmt *s)
{
	Iter it = iter_of(e, s->u.for_.in);
	if (s->u.for_.step) {
		if (it.kind != ITER_RANGE) elab_fail(e, s->u.for_.step->loc, "for.step", "`step` belongs to a range");
		it.step = elab_eval(e, s->u.for_.step);
		if (elab_int(e, it.step, s->u.for_.step->loc, "the step of a loop") == 0)
			elab_fail(e, s->u.for_.step->loc, "for.step", "the step of a loop is 0");
	}
	if (s->u.for_.unroll || iter_has(&it, ITER_SEQ)) {
		unroll(e, s, &it);
		return;
	}
	LoopJob j = {
	    .s = s, .it = &it, .pattern = s->u.for_.pattern, .body = &s->u.for_.body, .cond = s->u.for_.while_, .loc = s->u.for_.in->loc};
	if (scan_returns(j.body))
		elab_fail_help(e, s->loc, "return.loop", "carry a flag: `for i in a..b while not done { … }`, and return after the loop",
		               "`return` inside a run-time loop");
	count_trips(e, &j, &it);
	if (!j.trips && !j.limit) elab_fail(e, j.loc, "for.kind", "nothing says how often this loop runs");
	run_loop(e, &j);
}

void elab_while(Elab *e, const Stmt *s)
{
	LoopJob j = {.s = s, .body = &s->u.while_.body, .cond = s->u.while_.cond, .loc = s->u.while_.cond->loc};
	if (scan_returns(j.body))
		elab_fail_help(e, s->loc, "return.loop", "carry a flag: `while c and not done { … }`, and return after the loop",
		               "`return` inside a run-time loop");
	run_loop(e, &j);
}

Val elab_loop_map(Elab *e, Value *xs, RowFn fn, void *ctx, Loc loc)
{
	Frame base = {.name = "a loop", .file = e->frame ? e->frame->file : e->prelude, .up = e->frame, .self = NULL};
	Frame *saved = e->frame;
	e->frame = &base;
	Pattern p = {.is_tuple = false, .name = {"_", loc}};
	Iter it = {.kind = ITER_ROWS, .v = val_tensor(xs), .step = val_int(1), .loc = loc};
	LoopJob j = {.it = &it, .pattern = &p, .row_fn = fn, .row_ctx = ctx, .loc = loc};
	count_trips(e, &j, &it);
	Val r = run_loop(e, &j);
	e->frame = saved;
	return r;
}
