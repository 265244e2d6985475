/* Statements. A block runs to its end or to a return; what follows a run-time `if` with a return becomes part of its arms. */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

/* --- let, var --------------------------------------------------------------------------------------------------------------- */

void elab_bind_pattern(Elab *e, const Pattern *p, Val v, LocalKind kind, Loc loc)
{
	if (!p->is_tuple) {
		if (strcmp(p->name.text, "_")) scope_declare(e, p->name, v, kind);
		return;
	}
	Val *parts;
	int n;
	if (!elab_unpack(e, v, &parts, &n, loc)) {
		const char *why = v.kind == V_TENSOR && v.u.tensor->type->rank ? "the length of its first axis is not known while compiling"
		                                                               : "it has no elements";
		elab_fail(e, p->loc, "destructure.kind", "cannot take %s apart into %d names: %s", val_describe(e, v), p->n, why);
	}
	if (n != p->n) elab_fail(e, p->loc, "destructure.count", "%d names for %d values", p->n, n);
	for (int i = 0; i < n; i++) elab_bind_pattern(e, p->items[i], parts[i], kind, loc);
}

static Val typed(Elab *e, const Bind *b, Val v, Loc loc)
{
	if (!b->type) return v;
	const char *what = b->pattern->is_tuple ? "the value" : arena_printf(e->arena, "`%s`", b->pattern->name.text);
	return type_unify(e, type_eval(e, b->type), v, loc, what);
}

static void run_let(Elab *e, const Stmt *s)
{
	LocalKind kind = s->kind == STMT_VAR ? LOCAL_VAR : LOCAL_LET;
	const Expr *x = s->u.let.value;
	Val v = elab_eval(e, x);
	int n = s->u.let.n;
	if (n == 1) {
		elab_bind_pattern(e, s->u.let.binds[0].pattern, typed(e, &s->u.let.binds[0], v, x->loc), kind, x->loc);
		return;
	}
	Val *parts;
	int k;
	if (!elab_unpack(e, v, &parts, &k, x->loc))
		elab_fail(e, x->loc, "destructure.kind", "cannot take %s apart into %d names", val_describe(e, v), n);
	if (k != n) elab_fail(e, s->loc, "destructure.count", "%d names for %d values", n, k);
	for (int i = 0; i < n; i++)
		elab_bind_pattern(e, s->u.let.binds[i].pattern, typed(e, &s->u.let.binds[i], parts[i], x->loc), kind, x->loc);
}

/* --- assignment ----------------------------------------------------------------------------------------------------------- */

static const char *augment_mode(BinOp op)
{
	return op == B_ADD ? "add" : op == B_MUL ? "mul" : NULL;
}

static bool masked(Elab *e, const Place *p)
{
	const Step *s = p->nsteps ? &p->steps[p->nsteps - 1] : NULL;
	return s && !s->member && elab_index_has_mask(e, s->idx, s->n);
}

/* x[mask] op= v: a mask cannot be read by, so the whole tensor is computed and the mask chooses. */
static void augment_masked(Elab *e, const Stmt *s, Place *p, Val v)
{
	Place base = *p;
	base.nsteps--;
	const Step *st = &p->steps[p->nsteps - 1];
	Value *x = elab_tensor(e, place_read(e, &base), NULL, s->loc, "the indexed value");
	const char *mode = augment_mode(s->u.assign.op);
	if (s->u.assign.op == B_SUB) v = elab_unary(e, U_NEG, v, s->loc), mode = "add";
	if (!mode) elab_fail_help(e, s->loc, "augment.mask", "write `x = where(mask, …, x)`", "this operator does not take a mask on its left");
	place_write(e, &base, val_tensor(elab_index_update(e, x, st->idx, st->n, v, mode, s->loc)), s->loc);
}

static void run_augment(Elab *e, const Stmt *s)
{
	const Expr *target = s->u.assign.target;
	Place p;
	if (!place_of(e, target, &p)) {
		elab_assign(e, target, val_none(), s->loc); /* reports why not */
		return;
	}
	place_check_writable(e, &p, "assign to");
	if (target->kind == EXPR_NAME && p.root->kind == LOCAL_SELF)
		elab_fail_help(e, target->loc, "place.member_name", arena_printf(e->arena, "write `self.%s`", target->u.name.text),
		               "`%s` is a member of the module", target->u.name.text);
	if (masked(e, &p)) {
		augment_masked(e, s, &p, elab_eval(e, s->u.assign.value));
		return;
	}
	Val old = place_read(e, &p);
	old.loc = target->loc;
	Val v = elab_eval(e, s->u.assign.value);
	v.loc = s->u.assign.value->loc;
	v = elab_binary(e, s->u.assign.op, old, v, s->loc);
	if (target->kind == EXPR_NAME && v.kind == V_TENSOR && !v.u.tensor->name && v.u.tensor->def) v.u.tensor->name = target->u.name.text;
	place_write(e, &p, v, s->loc);
}

/* --- assert ------------------------------------------------------------------------------------------------------------------ */

static const char *assert_text(Elab *e, const Stmt *s)
{
	if (!s->u.assert_.message) return arena_printf(e->arena, "assert %s", elab_source(e, s->u.assert_.cond->loc));
	return elab_str(e, elab_eval(e, s->u.assert_.message), s->u.assert_.message->loc, "the message of an assert");
}

static void assert_known(Elab *e, bool holds, const Expr *x, const char *text)
{
	if (!holds) elab_fail(e, x->loc, "assert.fails", "the assertion does not hold: %s", text);
}

static void assert_tensor(Elab *e, Value *c, const Expr *x, const char *text, const Val *shown, int n)
{
	if (c->type->rank)
		elab_fail_help(e, x->loc, "condition.shape", "reduce it: `all(…)`", "an assert takes one bool, not %s",
		               type_str(e->arena, c->type));
	if (c->type->dtype != DT_bool) elab_fail(e, x->loc, "condition.kind", "an assert takes a bool, not %s", type_str(e->arena, c->type));
	Value *in[3] = {c};
	int k = 1;
	for (int i = 0; i < n; i++) {
		if (shown[i].kind == V_TENSOR && shown[i].u.tensor->type->rank == 0) in[k++] = elab_here(e, shown[i]).u.tensor;
	}
	Attr message = ATTR_STR(message, module_str(e->m, text));
	e->b.loc = elab_user_place(e, x->loc);
	ir_emit_effect(&e->b, OP_assert, in, k, &message, 1);
	e->effects++;
}

/* A comparison of dimensions that is not decided yet becomes a fact of the entry. */
static bool assert_fact(Elab *e, CmpOp op, Val a, Val b)
{
	bool dims = (a.kind == V_DIM && (b.kind == V_DIM || b.kind == V_INT)) || (b.kind == V_DIM && a.kind == V_INT);
	if (!dims || !e->facts_open) return false;
	DimCtx *c = e->m->dims;
	Dim x = a.kind == V_DIM ? a.u.dim : dim_int(c, a.u.i), y = b.kind == V_DIM ? b.u.dim : dim_int(c, b.u.i), one = dim_int(c, 1);
	switch (op) {
	case C_EQ: dim_fact_equal(e->facts, x, y); return true;
	case C_GE: dim_fact_nonneg(e->facts, dim_sub(c, x, y)); return true;
	case C_GT: dim_fact_nonneg(e->facts, dim_sub(c, dim_sub(c, x, y), one)); return true;
	case C_LE: dim_fact_nonneg(e->facts, dim_sub(c, y, x)); return true;
	case C_LT: dim_fact_nonneg(e->facts, dim_sub(c, dim_sub(c, y, x), one)); return true;
	default: return false;
	}
}

static void assert_expr(Elab *e, const Expr *x, const char *text)
{
	if (x->kind == EXPR_BINARY && x->u.binary.op == B_AND) {
		assert_expr(e, x->u.binary.a, text);
		assert_expr(e, x->u.binary.b, text);
		return;
	}
	bool plain = x->kind == EXPR_COMPARE;
	for (int i = 0; plain && i < x->u.compare.n; i++) plain = x->u.compare.op[i] <= C_NE;
	if (!plain) {
		Value *c = NULL;
		int known = elab_condition(e, x, &c);
		if (known >= 0) assert_known(e, known, x, text);
		else assert_tensor(e, c, x, text, NULL, 0);
		return;
	}
	Val a = elab_eval(e, x->u.compare.operand[0]);
	for (int i = 0; i < x->u.compare.n; i++) {
		Val b = elab_eval(e, x->u.compare.operand[i + 1]), shown[2] = {a, b};
		bool known;
		if (number_compare(e, x->u.compare.op[i], a, b, x->loc, &known)) assert_known(e, known, x, text);
		else if (!assert_fact(e, x->u.compare.op[i], a, b))
			assert_tensor(e, elab_compare(e, x->u.compare.op[i], a, b, x->loc).u.tensor, x, text, shown, 2);
		a = b;
	}
}

/* --- if, with, return -------------------------------------------------------------------------------------------------------- */

static bool run_stmt(Elab *e, const Stmt *s, const Rest *rest);

typedef struct TailArm {
	const Stmt *s;
	const Rest *rest;
} TailArm;

/* The rest of the function after an arm that did not return. */
static void run_rest(Elab *e, const Rest *r)
{
	for (; r; r = r->outer) {
		while (e->frame->depth > r->depth) scope_leave(e);
		e->training = r->training;
		if (elab_block(e, r->list, r->from, r->outer)) return;
	}
	e->frame->value = frame_result(e, e->frame, val_none(), e->frame->result_loc);
	e->frame->returned = true;
}

static Val tail_arm(Elab *e, void *ctx, int arm)
{
	const TailArm *t = ctx;
	const StmtList *list = arm ? t->s->u.if_.otherwise : &t->s->u.if_.then;
	scope_enter(e);
	bool done = list && elab_block(e, list, 0, t->rest);
	if (!done) run_rest(e, t->rest);
	e->frame->returned = false;
	return e->frame->value;
}

static Val plain_arm(Elab *e, void *ctx, int arm)
{
	const Stmt *s = ctx;
	const StmtList *list = arm ? s->u.if_.otherwise : &s->u.if_.then;
	if (list) elab_body(e, list);
	return val_none();
}

static bool run_if(Elab *e, const Stmt *s, const Rest *rest)
{
	Value *c = NULL;
	int known = elab_condition(e, s->u.if_.cond, &c);
	if (known >= 0) {
		const StmtList *list = known ? &s->u.if_.then : s->u.if_.otherwise;
		if (!list) return false;
		scope_enter(e);
		int depth = e->frame->depth;
		bool returned = elab_block(e, list, 0, rest);
		if (e->frame->depth == depth) scope_leave(e);
		return returned;
	}
	bool returns = scan_returns(&s->u.if_.then) || (s->u.if_.otherwise && scan_returns(s->u.if_.otherwise));
	if (!returns) {
		elab_branch(e, c, s->u.if_.cond->loc, plain_arm, (void *)s, false);
		return false;
	}
	if (e->frame->loops)
		elab_fail_help(e, s->loc, "return.loop", "carry a flag: `for i in a..b while not done { … }`, and return after the loop",
		               "`return` inside a run-time loop");
	if (e->frame->unrolled)
		elab_fail(e, s->loc, "return.unrolled", "`return` inside an unrolled loop under a condition known only at run time");
	TailArm t = {s, rest};
	e->frame->value = elab_branch(e, c, s->u.if_.cond->loc, tail_arm, &t, true);
	e->frame->returned = true;
	return true;
}

static bool run_return(Elab *e, const Stmt *s)
{
	Frame *f = e->frame;
	if (f->loops)
		elab_fail_help(e, s->loc, "return.loop", "carry a flag: `for i in a..b while not done { … }`, and return after the loop",
		               "`return` inside a run-time loop");
	Val v = s->u.expr ? elab_eval(e, s->u.expr) : val_none();
	f->value = frame_result(e, f, v, s->u.expr ? s->u.expr->loc : s->loc);
	f->value_loc = s->u.expr ? s->u.expr->loc : s->loc;
	f->returned = true;
	return true;
}

static bool call_of(const Expr *x, const char *name)
{
	return x->kind == EXPR_CALL && x->u.call.fn->kind == EXPR_NAME && !strcmp(x->u.call.fn->u.name.text, name);
}

/* A `with` opens no scope. */
static bool run_with(Elab *e, const Stmt *s, const Rest *rest)
{
	const Expr *what = s->u.with.what;
	bool saved = e->training;
	if (call_of(what, "device")) elab_limitation(e, what->loc, "limit.device", "placement on devices is not available yet");
	if (call_of(what, "train_mode") || call_of(what, "eval_mode")) {
		if (what->u.call.args.n) elab_fail(e, what->loc, "with.arguments", "`%s` takes no arguments", what->u.call.fn->u.name.text);
		e->training = call_of(what, "train_mode");
	} else {
		elab_fail_help(e, what->loc, "with.kind", "`with train_mode() { … }` or `with device(gpu) { … }`", "`with` does not take `%s`",
		               elab_source(e, what->loc));
	}
	bool returned = elab_block(e, &s->u.with.body, 0, rest);
	e->training = saved;
	return returned;
}

/* --- calls for their effect -------------------------------------------------------------------------------------------------- */

static void run_expr(Elab *e, const Expr *x)
{
	int before = e->effects;
	Val v = elab_eval(e, x);
	if (v.kind == V_NONE && x->kind == EXPR_CALL) return;
	if (x->kind == EXPR_CALL && e->effects != before) return;
	if (x->kind == EXPR_COMPARE && x->u.compare.n == 1 && x->u.compare.op[0] == C_EQ)
		elab_fail_help(e, x->loc, "stmt.unused", "an assignment is written with one `=`", "the value of this comparison is not used");
	elab_fail_help(e, x->loc, "stmt.unused", "bind it, `let _ = …`, or remove it", "the value of this %s, %s, is not used",
	               x->kind == EXPR_CALL ? "call" : "expression", val_describe(e, v));
}

static bool run_stmt(Elab *e, const Stmt *s, const Rest *rest)
{
	switch (s->kind) {
	case STMT_LET:
	case STMT_VAR: run_let(e, s); return false;
	case STMT_ASSIGN: elab_assign(e, s->u.assign.target, elab_eval(e, s->u.assign.value), s->u.assign.value->loc); return false;
	case STMT_AUGMENT: run_augment(e, s); return false;
	case STMT_EXPR: run_expr(e, s->u.expr); return false;
	case STMT_RETURN: return run_return(e, s);
	case STMT_ASSERT: assert_expr(e, s->u.assert_.cond, assert_text(e, s)); return false;
	case STMT_IF: return run_if(e, s, rest);
	case STMT_FOR: elab_for(e, s); return e->frame->returned;
	case STMT_WHILE: elab_while(e, s); return false;
	case STMT_WITH: return run_with(e, s, rest);
	case STMT_ERROR: elab_unwind(e);
	}
	return false;
}

bool elab_block(Elab *e, const StmtList *list, int from, const Rest *rest)
{
	for (int i = from; i < list->n; i++) {
		Rest here = {list, i + 1, e->frame->depth, e->training, rest};
		e->b.loc = list->at[i]->loc;
		if (!run_stmt(e, list->at[i], &here)) continue;
		bool last = i + 1 == list->n;
		if (!last && list->at[i]->kind == STMT_RETURN) elab_warn(e, list->at[i + 1]->loc, "return.dead", "this statement is never reached");
		return true;
	}
	return false;
}

bool elab_body(Elab *e, const StmtList *list)
{
	scope_enter(e);
	bool returned = elab_block(e, list, 0, NULL);
	scope_leave(e);
	return returned;
}
