/* grad, value_and_grad, vjp, jvp, linearize, checkpoint, custom_vjp, custom_jvp: the function is traced into one of its own, the tensor
 * IR's transforms make the derived one, and its results take the structure of the user's trees again.
 */
#include "transform.h"
#include <string.h>

static void require_function(Elab *e, const CallSite *at, Val f, int i)
{
	if (!elab_is_callable(f)) elab_fail(e, arg_at(at, i), "call.kind", "`%s` takes a function, not %s", at->name, val_describe(e, f));
}

static bool *arg_flags(Elab *e, const CallArgs *a, const int *chosen, int n)
{
	bool *on = NEW_ARRAY(elab_arena(e), bool, a->n + a->nnamed + 1);
	for (int i = 0; i < n; i++) on[chosen[i]] = true;
	return on;
}

static bool has_inout(const CallArgs *a)
{
	for (int i = 0; a->inout && i < a->n + a->nnamed; i++)
		if (a->inout[i]) return true;
	return false;
}

static bool *new_mask(Elab *e, int n)
{
	return NEW_ARRAY(elab_arena(e), bool, n + 1);
}

/* --- grad --------------------------------------------------------------------------------------------------------------- */
typedef struct GradData {
	Choice choice;
	bool value;
} GradData;

static _Noreturn void fail_nothing(Elab *e, const Traced *t, const int *chosen, int n, Loc loc, const char *name)
{
	StrBuf b;
	sb_init(&b, elab_arena(e));
	for (int i = 0; i < n; i++) sb_printf(&b, "%sargument %d is %s", i ? ", " : "", chosen[i], val_describe(e, t->arg[chosen[i]]));
	elab_fail(e, loc, "grad.leaves", "`%s` has nothing to differentiate by: %s", name, sb_text(&b));
}

/* The first result, which is a real scalar. */
static void require_scalar(Elab *e, const Traced *t, Loc loc, const char *name)
{
	const Type *r = t->nresult ? t->func->body->result[0]->type : NULL;
	if (!r) elab_fail(e, loc, "grad.result", "`%s` needs a function with a result", name);
	if (r->rank != 0)
		elab_fail_note(e, loc, "grad.scalar", "differentiate its sum or mean, or use `jacobian` or `vjp`",
		               "`%s` needs a scalar result, not %s", name, type_text(e, r));
	if (!dtype_is_float(r->dtype))
		elab_fail(e, loc, "grad.scalar", "`%s` needs a real floating-point result, not %s", name, type_text(e, r));
}

static Val grad_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	const GradData *d = w->data;
	int chosen[TRANSFORM_MAX_ARGS], n = choice_resolve(e, &d->choice, w->fn, a, w->name, chosen);
	bool *on = arg_flags(e, a, chosen, n);
	Traced t = trace_for(e, w->fn, a, on, w->name);
	bool *active = new_mask(e, t.nargs);
	require_scalar(e, &t, a->loc, w->name);
	if (traced_active(e, &t, on, active) == 0) fail_nothing(e, &t, chosen, n, a->loc, w->name);
	bool values = d->value || has_inout(a);
	Op *c = call_derived(e, transform_grad(t.func, active, values), t.args, t.nargs);
	/* Gradients come in order of parameters; arguments may have been chosen in another order. */
	Value *const *next = c->out + (values ? t.func->body->nresult : 0);
	Val *by_arg = NEW_ARRAY(elab_arena(e), Val, t.narg), *grads = NEW_ARRAY(elab_arena(e), Val, n);
	for (int i = 0; i < t.narg; i++)
		if (on[i]) by_arg[i] = traced_by_argument(e, &t, i, active, &next);
	for (int i = 0; i < n; i++) grads[i] = by_arg[chosen[i]];
	if (has_inout(a)) traced_store_inout(e, &t, a, c->out + t.nresult);
	Val g = choice_result(e, &d->choice, grads);
	if (!d->value) return g;
	Val both[2] = {traced_result(e, &t, c->out), g};
	return val_tuple(e, both, 2);
}

static Val make_grad(Elab *e, const CallSite *at, Val *argv, bool value)
{
	require_function(e, at, argv[0], 0);
	GradData *d = NEW(elab_arena(e), GradData);
	*d = (GradData){choice_read(e, at, argv[1], argv[2]), value};
	return val_wrapped(e, (Wrapped){.name = at->name, .call = grad_call, .fn = argv[0], .data = d});
}

Val builtin_grad(Elab *e, const CallSite *at, Val *argv)
{
	return make_grad(e, at, argv, false);
}

Val builtin_value_and_grad(Elab *e, const CallSite *at, Val *argv)
{
	return make_grad(e, at, argv, true);
}

/* --- vjp and jvp -------------------------------------------------------------------------------------------------------- */
static Val by_primal(Elab *e, const Traced *t, const bool *active, Value *const *v, bool bare)
{
	Val *out = NEW_ARRAY(elab_arena(e), Val, t->narg);
	for (int i = 0; i < t->narg; i++) out[i] = traced_by_argument(e, t, i, active, &v);
	return bare ? out[0] : val_tuple(e, out, t->narg);
}

Val builtin_vjp(Elab *e, const CallSite *at, Val *argv)
{
	require_function(e, at, argv[0], 0);
	bool bare;
	CallArgs a = spread_primals(e, argv[1], at->loc, &bare);
	Traced t = trace_for(e, argv[0], &a, NULL, at->name);
	int np = t.nargs, nr = t.func->body->nresult;
	bool *active = new_mask(e, np), *seeded = new_mask(e, nr);
	traced_active(e, &t, NULL, active);
	Leaves l = tree_leaves(e, t.result);
	Val *g = match_leaves(e, argv[2], t.result, arg_at(at, 2), "the cotangent");
	Value **args = NEW_ARRAY(elab_arena(e), Value *, np + nr + 1);
	memcpy(args, t.args, sizeof *args * (size_t)np);
	int n = np, r = 0;
	for (int i = 0; i < l.n; i++) {
		if (l.at[i].kind != V_TENSOR) continue;
		const Type *type = t.func->body->result[r]->type;
		seeded[r] = g[i].kind != V_NONE && dtype_is_diff(type->dtype);
		if (seeded[r++]) args[n++] = fit_leaf(e, g[i], type, arg_at(at, 2), "the cotangent");
	}
	Op *c = call_derived(e, transform_vjp(t.func, active, seeded, true), args, n);
	Val both[2] = {traced_result(e, &t, c->out), by_primal(e, &t, active, c->out + nr, bare)};
	return val_tuple(e, both, 2);
}

/* Appends the tangents that a tree gives for the parameters of t to args; active is narrowed to those that have one. */
static int tangent_args(Elab *e, const Traced *t, Val tangents, bool bare, bool *active, Value **args, bool zeros, Loc loc)
{
	Val primals = bare ? t->arg[0] : val_tuple(e, t->arg, t->narg);
	Val *v = match_leaves(e, tangents, primals, loc, "the tangent");
	int n = 0, *base = NEW_ARRAY(elab_arena(e), int, t->narg + 1);
	for (int i = 0; i < t->narg; i++) base[i + 1] = base[i] + tree_leaves(e, t->arg[i]).n;
	for (int i = 0; i < t->nargs - t->ncaptured; i++) {
		if (!active[i]) continue;
		const Type *type = t->func->body->param[i]->type;
		Val leaf = v[base[t->arg_of[i]] + t->leaf_of[i]];
		if (leaf.kind != V_NONE) args[n++] = fit_leaf(e, leaf, type, loc, "the tangent");
		else if (zeros) args[n++] = ir_zeros(elab_builder(e), type);
		else active[i] = false;
	}
	return n;
}

Val builtin_jvp(Elab *e, const CallSite *at, Val *argv)
{
	require_function(e, at, argv[0], 0);
	bool bare;
	CallArgs a = spread_primals(e, argv[1], at->loc, &bare);
	Traced t = trace_for(e, argv[0], &a, NULL, at->name);
	int np = t.nargs, nr = t.func->body->nresult;
	bool *active = new_mask(e, np), *have = new_mask(e, nr);
	traced_active(e, &t, NULL, active);
	Value **args = NEW_ARRAY(elab_arena(e), Value *, 2 * np + 1);
	memcpy(args, t.args, sizeof *args * (size_t)np);
	int n = np + tangent_args(e, &t, argv[2], bare, active, args + np, false, arg_at(at, 2));
	Op *c = call_derived(e, transform_jvp(t.func, active, have), args, n);
	Val both[2] = {traced_result(e, &t, c->out), traced_tangent_result(e, &t, have, c->out + nr)};
	return val_tuple(e, both, 2);
}

/* --- linearize ---------------------------------------------------------------------------------------------------------- */
/* What the pushforward needs beside its residuals: no tensors of the place where it was made, only types. */
typedef struct LinearData {
	Func *lin;
	Val primals, result;
	bool bare;
	Loc loc;
} LinearData;

static Val with_types(Elab *e, Val tree)
{
	Leaves l = tree_leaves(e, tree);
	for (int i = 0; i < l.n; i++)
		if (l.at[i].kind == V_TENSOR)
			l.at[i] = val_type(e, l.at[i].u.tensor->type->dtype, l.at[i].u.tensor->type->rank, l.at[i].u.tensor->type->dim);
	return tree_rebuild(e, tree, l.at);
}

static Val push_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	const LinearData *d = w->data;
	Val given = d->bare && a->n == 1 ? a->at[0] : val_tuple(e, a->at, a->n);
	Leaves p = tree_leaves(e, d->primals);
	Val *v = match_leaves(e, given, d->primals, a->loc, "the tangent");
	Value **args = NEW_ARRAY(elab_arena(e), Value *, w->nextra + p.n + 1);
	int n = 0, r = 0;
	for (int i = 0; i < w->nextra; i++) args[n++] = elab_tensor(e, w->extra[i], NULL, a->loc, "a residual");
	for (int i = 0; i < p.n; i++) {
		DType dt;
		int rank;
		Dim dims[MAX_RANK];
		if (!p.diff[i] || !val_shape(e, p.at[i], &dt, &rank, dims)) continue;
		const Type *type = type_get(elab_module(e), dt, rank, dims);
		args[n++] = v[i].kind == V_NONE ? ir_zeros(elab_builder(e), type) : fit_leaf(e, v[i], type, a->loc, "the tangent");
	}
	Op *c = call_derived(e, d->lin, args, n);
	Leaves l = tree_leaves(e, d->result);
	for (int i = 0; i < l.n; i++) {
		bool tensor = l.at[i].kind == V_TYPE || l.at[i].kind == V_DTYPE;
		DType dt = l.at[i].kind == V_TYPE ? l.at[i].u.type->dtype : tensor ? l.at[i].u.dtype : DT_bool;
		l.at[i] = tensor && dtype_is_diff(dt) ? val_tensor(c->out[r++]) : val_none();
	}
	return tree_rebuild(e, d->result, l.at);
}

static Val linearize(Elab *e, Val fn, CallArgs *a, bool bare)
{
	Traced t = trace_for(e, fn, a, NULL, "linearize");
	bool *active = new_mask(e, t.nargs);
	traced_active(e, &t, NULL, active);
	Func *fwd, *lin;
	if (!transform_linearize(t.func, active, &fwd, &lin)) elab_unwind(e);
	Op *c = call_derived(e, fwd, t.args, t.nargs);
	int nr = t.func->body->nresult, nres = c->nout - nr;
	Val *res = NEW_ARRAY(elab_arena(e), Val, nres + 1);
	for (int i = 0; i < nres; i++) res[i] = val_tensor(c->out[nr + i]);
	LinearData *d = NEW(elab_arena(e), LinearData);
	Val primals = bare ? t.arg[0] : val_tuple(e, t.arg, t.narg);
	*d = (LinearData){lin, with_types(e, primals), with_types(e, t.result), bare, a->loc};
	Val both[2] = {traced_result(e, &t, c->out),
	               val_wrapped(e, (Wrapped){.name = "linearize", .call = push_call, .extra = res, .nextra = nres, .data = d})};
	return val_tuple(e, both, 2);
}

static Val linearize_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	return linearize(e, w->fn, a, a->n + a->nnamed == 1);
}

/* linearize(f, x, ..) as JAX, or linearize(f)(x, ..). */
Val builtin_linearize(Elab *e, const CallSite *at, Val *argv)
{
	require_function(e, at, argv[0], 0);
	const Items *p = argv[1].u.items;
	if (p->n == 0) return val_wrapped(e, (Wrapped){.name = at->name, .call = linearize_call, .fn = argv[0]});
	CallArgs a = {.at = p->at, .n = p->n, .loc = at->loc};
	return linearize(e, argv[0], &a, p->n == 1);
}

/* --- checkpoint --------------------------------------------------------------------------------------------------------- */
static Val traced_call(Elab *e, const Traced *t, CallArgs *a)
{
	Op *c = ir_emit_call(elab_builder(e), t->func, t->args, t->nargs);
	if (has_inout(a)) traced_store_inout(e, t, a, c->out + t->nresult);
	return traced_result(e, t, c->out);
}

static Val checkpoint_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	Traced t = elab_trace(e, w->fn, a, NULL, "checkpoint", a->loc);
	t.func->remat = true;
	return traced_call(e, &t, a);
}

Val builtin_checkpoint(Elab *e, const CallSite *at, Val *argv)
{
	require_function(e, at, argv[0], 0);
	return val_wrapped(e, (Wrapped){.name = at->name, .call = checkpoint_call, .fn = argv[0]});
}

/* --- custom derivatives ------------------------------------------------------------------------------------------------- */
/* The rule is traced with the primals as they are and stand-ins for tangents or cotangents and results. What it captures becomes further
 * parameters of the function, so that the rule as an IR function has no free values. */
typedef struct Custom {
	Elab *e;
	Traced f, rule;
	Loc loc;
	const char *name;
} Custom;

static Val stand_in(Elab *e, Val tree, bool only_diff)
{
	Leaves l = tree_leaves(e, tree);
	for (int i = 0; i < l.n; i++) {
		Val v = l.at[i];
		if (v.kind != V_TENSOR) l.at[i] = only_diff ? (val_is_number(v) ? val_float(0) : val_none()) : v;
		else
			l.at[i] =
			    only_diff && !dtype_is_diff(v.u.tensor->type->dtype) ? val_none() : val_tensor(ir_zeros(elab_builder(e), v.u.tensor->type));
	}
	return tree_rebuild(e, tree, l.at);
}

static void trace_rule(Custom *c, Val rule, const Val *arg, int n)
{
	CallArgs a = {.at = arg, .n = n, .loc = c->loc};
	c->rule = elab_trace(c->e, rule, &a, NULL, c->name, c->loc);
	Traced *f = &c->f;
	int extra = c->rule.ncaptured, own = c->rule.nargs - extra;
	Value **args = NEW_ARRAY(elab_arena(c->e), Value *, f->nargs + extra + 1);
	memcpy(args, f->args, sizeof *args * (size_t)f->nargs);
	for (int i = 0; i < extra; i++) {
		args[f->nargs + i] = c->rule.args[own + i];
		func_param(f->func, c->rule.args[own + i]->type, NULL);
	}
	f->args = args;
	f->nargs += extra;
	f->ncaptured += extra;
}

/* A function with f's parameters (and results), ready for the call of the rule: in *from are the values for the rule's parameters. */
typedef struct Shell {
	Func *func;
	Builder b;
	Value **param, **result, **change;
} Shell;

static Shell shell_new(Custom *c, const char *suffix, bool with_results)
{
	Elab *e = c->e;
	Block *f = c->f.func->body;
	Shell s = {.func = func_new(elab_module(e), arena_printf(elab_arena(e), "%s.%s", c->f.func->name, suffix))};
	s.func->facts = c->f.func->facts;
	s.func->loc = c->loc;
	s.b = builder_at(s.func);
	s.b.loc = c->loc;
	s.param = NEW_ARRAY(elab_arena(e), Value *, f->nparam + 1);
	s.result = NEW_ARRAY(elab_arena(e), Value *, f->nresult + 1);
	s.change = NEW_ARRAY(elab_arena(e), Value *, f->nparam + f->nresult + 1);
	for (int i = 0; i < f->nparam; i++) s.param[i] = func_param(s.func, f->param[i]->type, f->param[i]->name);
	for (int i = 0; with_results && i < f->nresult; i++) s.result[i] = func_param(s.func, f->result[i]->type, NULL);
	/* Cotangents of the results, or tangents of the parameters. */
	Value **of = with_results ? f->result : f->param;
	int n = with_results ? f->nresult : f->nparam;
	for (int i = 0; i < n; i++)
		if (dtype_is_diff(of[i]->type->dtype)) s.change[i] = func_param(s.func, of[i]->type, NULL);
	return s;
}

/* The call of the rule inside the shell. Its parameters are, in order: f's own leaves, then the tensor leaves of the changes, then the
 * results (reverse rules), then what the rule captured, which are f's last parameters. */
static Op *shell_call(Custom *c, Shell *s, bool reverse)
{
	int own = c->f.nargs - c->f.ncaptured, extra = c->rule.ncaptured, n = 0;
	Block *f = c->f.func->body;
	Value **args = NEW_ARRAY(elab_arena(c->e), Value *, c->rule.nargs + 1);
	for (int i = 0; i < own; i++) args[n++] = s->param[i];
	int nchange = reverse ? c->f.nresult : own;
	for (int i = 0; i < nchange; i++)
		if (s->change[i]) args[n++] = s->change[i];
	for (int i = 0; reverse && i < c->f.nresult; i++) args[n++] = s->result[i];
	for (int i = 0; i < extra; i++) args[n++] = s->param[f->nparam - extra + i];
	if (n != c->rule.nargs)
		elab_limitation(c->e, c->loc, "custom.rule", "this rule of `%s` takes its arguments apart in a way that is not supported", c->name);
	return ir_emit_call(&s->b, c->rule.func, args, n);
}

/* What the rule gave for one leaf, as a value of the shell: spread, converted, or zeros where it gave none. */
static Value *shell_leaf(Custom *c, Shell *s, Val v, const Type *like, const char *what)
{
	if (v.kind == V_NONE) return ir_zeros(&s->b, like);
	const Type *t = v.kind == V_TENSOR ? v.u.tensor->type : NULL;
	bool fits = t && (t->rank == 0 || t->rank == like->rank);
	for (int i = 0; fits && t->rank && i < t->rank; i++) fits = dim_provable_equal(c->f.func->facts, t->dim[i], like->dim[i]);
	if (!fits)
		elab_fail(c->e, c->loc, "custom.result", "the rule of `%s` gives %s for %s, which is %s", c->name, val_describe(c->e, v), what,
		          type_text(c->e, like));
	Value *x = ir_convert(&s->b, v.u.tensor, like->dtype);
	return t->rank == like->rank ? x : ir_broadcast_scalar(&s->b, x, like);
}

/* The results of the rule's call in the structure that the rule returned. */
static Val shell_result(Custom *c, Op *call)
{
	return traced_result(c->e, &c->rule, call->out);
}

static Func *reverse_rule(Custom *c, Val rule)
{
	Elab *e = c->e;
	Val arg[3] = {val_tuple(e, c->f.arg, c->f.narg), stand_in(e, c->f.result, true), stand_in(e, c->f.result, false)};
	trace_rule(c, rule, arg, 3);
	Shell s = shell_new(c, "vjp", true);
	Val got = shell_result(c, shell_call(c, &s, true));
	if (c->f.narg == 1 && !(got.kind == V_TUPLE && got.u.items->n == 1)) got = val_tuple(e, &got, 1); /* one primal may stand bare */
	Val *leaf = match_leaves(e, got, arg[0], c->loc, arena_printf(elab_arena(e), "what the rule of `%s` returns", c->name));
	int *base = NEW_ARRAY(elab_arena(e), int, c->f.narg + 1), n = 0;
	for (int i = 0; i < c->f.narg; i++) base[i + 1] = base[i] + tree_leaves(e, c->f.arg[i]).n;
	Block *f = c->f.func->body;
	Value **out = NEW_ARRAY(elab_arena(e), Value *, f->nparam + 1);
	for (int i = 0; i < f->nparam; i++) {
		const Type *t = f->param[i]->type;
		if (!dtype_is_diff(t->dtype)) continue;
		bool own = i < c->f.nargs - c->f.ncaptured;
		out[n++] = own ? shell_leaf(c, &s, leaf[base[c->f.arg_of[i]] + c->f.leaf_of[i]], t,
		                            arena_printf(elab_arena(e), "primal %d", c->f.arg_of[i]))
		               : ir_zeros(&s.b, t);
	}
	func_set_results(s.func, out, n);
	return s.func;
}

static Func *forward_rule(Custom *c, Val rule)
{
	Elab *e = c->e;
	Val primals = val_tuple(e, c->f.arg, c->f.narg), arg[2] = {primals, stand_in(e, primals, true)};
	trace_rule(c, rule, arg, 2);
	Shell s = shell_new(c, "jvp", false);
	Val got = shell_result(c, shell_call(c, &s, false));
	Val *leaf = match_leaves(e, got, c->f.result, c->loc, arena_printf(elab_arena(e), "what the rule of `%s` returns", c->name));
	Leaves l = tree_leaves(e, c->f.result);
	Block *f = c->f.func->body;
	Value **out = NEW_ARRAY(elab_arena(e), Value *, f->nresult + 1);
	int n = 0, r = 0;
	for (int i = 0; i < l.n; i++) {
		if (l.at[i].kind != V_TENSOR) continue;
		const Type *t = f->result[r++]->type;
		if (dtype_is_diff(t->dtype)) out[n++] = shell_leaf(c, &s, leaf[i], t, "the result");
	}
	func_set_results(s.func, out, n);
	return s.func;
}

static Val custom_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	bool reverse = !strcmp(w->name, "custom_vjp");
	if (has_inout(a)) elab_limitation(e, a->loc, "custom.inout", "`%s` of a function with inout arguments", w->name);
	Custom c = {.e = e, .loc = a->loc, .name = w->name};
	c.f = elab_trace(e, w->fn, a, NULL, w->name, a->loc);
	if (reverse) c.f.func->rule_vjp_bwd = reverse_rule(&c, w->extra[0]);
	else c.f.func->rule_jvp = forward_rule(&c, w->extra[0]);
	return traced_call(e, &c.f, a);
}

static Val make_custom(Elab *e, const CallSite *at, Val *argv)
{
	require_function(e, at, argv[0], 0);
	require_function(e, at, argv[1], 1);
	Val *rule = NEW(elab_arena(e), Val);
	*rule = argv[1];
	return val_wrapped(e, (Wrapped){.name = at->name, .call = custom_call, .fn = argv[0], .extra = rule, .nextra = 1});
}

Val builtin_custom_vjp(Elab *e, const CallSite *at, Val *argv)
{
	return make_custom(e, at, argv);
}

Val builtin_custom_jvp(Elab *e, const CallSite *at, Val *argv)
{
	return make_custom(e, at, argv);
}
