/* Checks every invariant of the IR: what passes may rely on, and what the reader demands of a text.
 *
 * Ops: operands defined before use in this block or an enclosing one; counts, attributes and types as the op's row says (infer is run
 * again and compared); regions of the right kind with parameters and results that fit. Functions: exports with paths for every
 * parameter and result, aliases of inout parameters with equal types, rules of the same module.
 */
#include <string.h>
#include "optable.h"
#include "verify.h"

/* --- one op ------------------------------------------------------------------------------------------------------------ */
#define FAIL(m, ...) return *why = arena_printf((m)->arena, __VA_ARGS__), false

static bool check_attrs(Module *m, const Op *op, const char **why)
{
	Attr room[8];
	int n = attrs_in_row_order(m, op->code, op->attrs, op->nattr, room, why);
	if (n < 0) return false;
	for (int i = 0; i < n; i++)
		if (room[i].key != op->attrs[i].key) FAIL(m, "attributes of `%s` are not in the order of its row", op_row(op->code)->name);
	return true;
}

static bool same_type(const DimFacts *f, const Type *a, const Type *b)
{
	return a == b || (a->dtype == b->dtype && type_same_shape(f, a, b));
}

static bool check_result_types(Module *m, const DimFacts *f, const Op *op, const Type *const *type, int n, const char **why)
{
	const char *name = op_row(op->code)->name;
	if (n != op->nout) FAIL(m, "`%s` has %d results, not %d", name, n, op->nout);
	for (int i = 0; i < n; i++)
		if (!same_type(f, type[i], op->out[i]->type))
			FAIL(m, "result %d of `%s` is %s, not %s", i, name, type_str(m->arena, type[i]), type_str(m->arena, op->out[i]->type));
	return true;
}

static bool check_call(Module *m, const DimFacts *f, const Op *op, const char **why)
{
	Func *callee = op_attr(op, AT_func)->v.func;
	const Type **in = NEW_ARRAY(m->arena, const Type *, op->nin), **out = NEW_ARRAY(m->arena, const Type *, callee->body->nresult);
	for (int i = 0; i < op->nin; i++) in[i] = op->in[i]->type;
	return call_result_types(callee, f, in, op->nin, out, why) && check_result_types(m, f, op, out, callee->body->nresult, why);
}

static bool check_param(Module *m, const DimFacts *f, const char *what, int k, const Value *param, const Type *want, const char **why)
{
	if (same_type(f, param->type, want)) return true;
	FAIL(m, "parameter %d of the loop's region, %s, is %s, not %s", k, what, type_str(m->arena, param->type), type_str(m->arena, want));
}

static bool check_predicate(Module *m, const char *what, const Type *t, const char **why)
{
	if (t->dtype == DT_bool && t->rank == 0) return true;
	FAIL(m, "%s must be a bool scalar, not %s", what, type_str(m->arena, t));
}

static bool row_type(Module *m, const Type *stacked, const Type **out)
{
	if (stacked->rank == 0) return false;
	*out = type_get(m, stacked->dtype, stacked->rank - 1, stacked->dim + 1);
	return true;
}

/* Region 0: (i, carries.., rows of the scanned..) -> (carries.., rows of the stacked..); region 1: (carries..) -> bool. */
static bool check_loop(Module *m, const DimFacts *f, const Op *op, const char **why)
{
	int64_t nc = op_int(op, AT_ncarry, 0), ns = op_int(op, AT_nscan, 0), limit = op_bool(op, AT_limit);
	const Attr *trips = op_attr(op, AT_trips);
	if (op->nregion < 1 || op->nregion > 2) FAIL(m, "`loop` has one or two regions, not %d", op->nregion);
	Block *body = op->region[0], *go = op->nregion == 2 ? op->region[1] : NULL;
	if (body->kind != BLOCK_LOOP || (go && go->kind != BLOCK_WHILE)) FAIL(m, "the regions of `loop` are `do` and `while`");
	if (nc < 0 || ns < 0 || nc > op->nin || ns > op->nin || nc + ns + limit != op->nin)
		FAIL(m, "`loop` has %d operands: ncarry, nscan and limit ask for %lld", op->nin, (long long)(nc + ns + limit));
	if (!trips && (ns || limit || body->nresult != nc)) FAIL(m, "a loop without trips has carries only");
	if (!trips && !go) FAIL(m, "a loop has trips or a `while` region");
	if (body->nparam != 1 + nc + ns)
		FAIL(m, "the loop's region has %d parameters: the index, %lld carries and %lld rows are asked for", body->nparam, (long long)nc,
		     (long long)ns);
	if (body->nresult < nc) FAIL(m, "the loop's region yields %d values, fewer than its %lld carries", body->nresult, (long long)nc);
	if (!check_param(m, f, "the index", 0, body->param[0], type_scalar(m, DT_i32), why)) return false;
	for (int k = 0; k < nc; k++) {
		if (!check_param(m, f, "a carry", 1 + k, body->param[1 + k], op->in[k]->type, why)) return false;
		if (!same_type(f, body->result[k]->type, op->in[k]->type))
			FAIL(m, "carry %d begins as %s and is yielded as %s", k, type_str(m->arena, op->in[k]->type),
			     type_str(m->arena, body->result[k]->type));
	}
	for (int k = 0; k < ns; k++) {
		const Type *stacked = op->in[nc + k]->type, *row;
		if (!row_type(m, stacked, &row) || (stacked->dim[0] != trips->v.dim && !dim_provable_equal(f, stacked->dim[0], trips->v.dim)))
			FAIL(m, "scanned operand %d is %s: its first axis must be the number of trips", k, type_str(m->arena, stacked));
		if (!check_param(m, f, "a row", (int)nc + 1 + k, body->param[nc + 1 + k], row, why)) return false;
	}
	if (limit && op->in[op->nin - 1]->type != type_scalar(m, DT_i32)) FAIL(m, "the limit of a loop must be an i32 scalar");
	if (!go) return true;
	if (go->nparam != nc || go->nresult != 1) FAIL(m, "the loop's `while` region takes the carries and yields one value");
	for (int k = 0; k < nc; k++)
		if (!check_param(m, f, "a carry of `while`", k, go->param[k], op->in[k]->type, why)) return false;
	return check_predicate(m, "the value that `while` yields", go->result[0]->type, why);
}

static bool check_cond(Module *m, const DimFacts *f, const Op *op, const char **why)
{
	if (op->nin != 1 || op->nregion != 2) FAIL(m, "`cond` has one operand and two regions");
	if (!check_predicate(m, "the operand of `cond`", op->in[0]->type, why)) return false;
	for (int r = 0; r < 2; r++)
		if (op->region[r]->kind != BLOCK_COND || op->region[r]->nparam)
			FAIL(m, "the regions of `cond` are `then` and `else`, without parameters");
	if (op->region[0]->nresult != op->region[1]->nresult)
		FAIL(m, "the arms of `cond` yield %d and %d values", op->region[0]->nresult, op->region[1]->nresult);
	for (int i = 0; i < op->region[0]->nresult; i++) {
		const Type *a = op->region[0]->result[i]->type, *b = op->region[1]->result[i]->type;
		if (!same_type(f, a, b)) FAIL(m, "value %d of the arms of `cond` is %s and %s", i, type_str(m->arena, a), type_str(m->arena, b));
	}
	return true;
}

static bool check_regions(Module *m, const DimFacts *f, const Op *op, const char **why)
{
	if (op->code == OP_call) return op->nregion == 0 ? check_call(m, f, op, why) : (*why = "`call` has no regions", false);
	if (!(op->code == OP_loop ? check_loop(m, f, op, why) : check_cond(m, f, op, why))) return false;
	const Type **type = NEW_ARRAY(m->arena, const Type *, op->region[0]->nresult);
	int n = region_result_types(m, op->code, op->attrs, op->nattr, op->region, type);
	return check_result_types(m, f, op, type, n, why);
}

bool op_check(Op *op, const char **why)
{
	const OpRow *row = op_row(op->code);
	Func *fn = op->block->func;
	Module *m = fn->module;
	*why = NULL;
	if (row->nin >= 0 && op->nin != row->nin) FAIL(m, "`%s` takes %d operands, not %d", row->name, row->nin, op->nin);
	if (!check_attrs(m, op, why)) return false;
	if (row->flags & OPF_REGION) return check_regions(m, fn->facts, op, why);
	if (op->nregion) FAIL(m, "`%s` has no regions", row->name);
	const Type **type = NEW_ARRAY(m->arena, const Type *, op->nin + 4);
	int n = 0;
	OpView v = {op->code, op->nin, op->nattr, op->nout, op->in, op->out, op->attrs, op->loc};
	if (!row->infer(m, fn->facts, &v, type, &n, why)) {
		if (!*why) *why = arena_printf(m->arena, "the operands of `%s` do not fit", row->name);
		return false;
	}
	return check_result_types(m, fn->facts, op, type, n, why);
}

/* --- functions ------------------------------------------------------------------------------------------------------------ */
typedef struct Verifier {
	Func *f;
	Arena *scratch;
	Map visible; /* values that may be used here */
	DiagClass class;
	int errors;
} Verifier;

static void breach(Verifier *v, const Op *op, const char *text)
{
	Diag *d = v->f->module->diag;
	v->errors++;
	if (op) diag(d, v->class, op->loc, "ir.verify", "in @%s, `%s`: %s", v->f->name, op_row(op->code)->name, text);
	else diag(d, v->class, v->f->loc, "ir.verify", "in @%s: %s", v->f->name, text);
}

static void breach_value(Verifier *v, const Op *op, const char *what, int k, const char *problem)
{
	breach(v, op, arena_printf(v->scratch, "%s %d %s", what, k, problem));
}

static void check_use(Verifier *v, const Op *op, const char *what, int k, const Value *x)
{
	if (!x) breach_value(v, op, what, k, "is missing");
	else if (!map_get(&v->visible, x)) breach_value(v, op, what, k, "is not defined before its use in this block or an enclosing one");
}

static void verify_block(Verifier *v, Block *b);

static void check_links(Verifier *v, const Op *op, const Block *b)
{
	if (op->block != b || (op->next ? op->next->prev != op : b->last != op)) breach(v, op, "it is not linked into its block");
	for (int i = 0; i < op->nout; i++)
		if (op->out[i]->def != op || op->out[i]->index != i || op->out[i]->block != b)
			breach_value(v, op, "result", i, "does not belong to its op");
	for (int r = 0; r < op->nregion; r++) {
		const Block *g = op->region[r];
		if (g->owner != op || g->parent != b || g->func != b->func) breach_value(v, op, "region", r, "does not belong to its op");
	}
}

static void verify_op(Verifier *v, Op *op, Block *b)
{
	const char *why;
	int before = v->errors;
	check_links(v, op, b);
	for (int i = 0; i < op->nin; i++) check_use(v, op, "operand", i, op->in[i]);
	for (int r = 0; r < op->nregion; r++) verify_block(v, op->region[r]);
	if (v->errors == before && !op_check(op, &why)) breach(v, op, why);
	for (int i = 0; i < op->nout; i++) map_set(&v->visible, op->out[i], op->out[i]);
}

static void verify_block(Verifier *v, Block *b)
{
	for (int i = 0; i < b->nparam; i++) {
		const Value *p = b->param[i];
		if (p->def || p->block != b || p->index != i) breach_value(v, b->owner, "parameter", i, "does not belong to its block");
		map_set(&v->visible, p, (void *)p);
	}
	for (Op *op = b->first; op; op = op->next) verify_op(v, op, b);
	for (int i = 0; i < b->nresult; i++) check_use(v, b->owner, "result", i, b->result[i]);
	for (int i = 0; i < b->nparam; i++) map_set(&v->visible, b->param[i], NULL);
	for (Op *op = b->first; op; op = op->next)
		for (int i = 0; i < op->nout; i++) map_set(&v->visible, op->out[i], NULL);
}

static void check_paths(Verifier *v, const char *what, const char *const *path, int n)
{
	for (int i = 0; i < n; i++) {
		if (!path[i]) breach_value(v, NULL, what, i, "of an exported function has no path");
		for (int k = 0; k < i && path[i]; k++)
			if (path[k] && strcmp(path[i], path[k]) == 0) breach_value(v, NULL, what, i, "has the path of an earlier one");
	}
}

static void check_export(Verifier *v)
{
	Func *f = v->f;
	const Block *b = f->body;
	if (!f->param_path || !f->param_inout || !f->result_path || !f->result_alias)
		return breach(v, NULL, "it is exported without a signature");
	check_paths(v, "parameter", f->param_path, b->nparam);
	check_paths(v, "result", f->result_path, b->nresult);
	for (int i = 0; i < b->nresult; i++) {
		int k = f->result_alias[i];
		if (k < 0) continue;
		if (k >= b->nparam || !f->param_inout[k]) breach_value(v, NULL, "result", i, "is an alias of a parameter that is not inout");
		else if (!same_type(f->facts, b->result[i]->type, b->param[k]->type))
			breach_value(v, NULL, "result", i, "has another type than the inout parameter that it updates");
	}
	for (int k = 0; k < b->nparam; k++) {
		int updates = 0;
		for (int i = 0; i < b->nresult; i++) updates += f->result_alias[i] == k;
		if (f->param_inout[k] && updates != 1) breach_value(v, NULL, "parameter", k, "is inout and not updated by exactly one result");
	}
}

bool ir_verify_func(Func *f, bool from_text)
{
	Verifier v = {.f = f, .scratch = arena_child(f->module->arena), .class = from_text ? DIAG_ERROR : DIAG_BUG};
	map_init(&v.visible, v.scratch);
	verify_block(&v, f->body);
	if (f->exported) check_export(&v);
	if (func_find(f->module, f->name) != f) breach(&v, NULL, "its name is not its own in the module");
	const Func *rules[] = {f->rule_jvp, f->rule_vjp_fwd, f->rule_vjp_bwd, f->rule_vmap};
	for (int i = 0; i < 4; i++)
		if (rules[i] && rules[i]->module != f->module) breach(&v, NULL, "a custom rule belongs to another module");
	arena_free(v.scratch);
	return v.errors == 0;
}

/* Calls must not recurse: every function's size is finite when inlined, and emitted C needs no stack bound. */
static bool call_cycle(Func *f, Map *state);

static bool call_cycle_block(const Block *b, Map *state)
{
	for (const Op *op = b->first; op; op = op->next) {
		if (op->code == OP_call && call_cycle(op_attr(op, AT_func)->v.func, state)) return true;
		for (int r = 0; r < op->nregion; r++)
			if (call_cycle_block(op->region[r], state)) return true;
	}
	return false;
}

static bool call_cycle(Func *f, Map *state)
{
	static const char open, done;
	const void *s = map_get(state, f);
	if (s) return s == &open;
	map_set(state, f, (void *)&open);
	if (call_cycle_block(f->body, state)) return true;
	map_set(state, f, (void *)&done);
	return false;
}

bool ir_verify(Module *m, bool from_text)
{
	bool ok = true;
	Map state;
	Arena *scratch = arena_child(m->arena);
	for (int i = 0; i < m->funcs.n; i++) ok &= ir_verify_func(m->funcs.at[i], from_text);
	map_init(&state, scratch);
	for (int i = 0; ok && i < m->funcs.n; i++)
		if (call_cycle(m->funcs.at[i], &state)) {
			diag(m->diag, from_text ? DIAG_ERROR : DIAG_BUG, m->funcs.at[i]->loc, "ir.verify", "@%s calls itself", m->funcs.at[i]->name);
			ok = false;
		}
	arena_free(scratch);
	return ok;
}
