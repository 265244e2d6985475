/* How the user's trees meet the flat masks of passes/transform.h. */
#include "transform.h"
#include <string.h>

/* --- choice of arguments ------------------------------------------------------------------------------------------------ */
Choice choice_read(Elab *e, const CallSite *at, Val argnums, Val argnames)
{
	Choice c = {0};
	const Val *v;
	if (argnums.kind == V_NONE && argnames.kind == V_NONE) argnums = val_int(0);
	if (argnums.kind != V_NONE) {
		int64_t num[TRANSFORM_MAX_ARGS];
		c.one_num = !val_is_seq(argnums) && argnums.kind != V_RANGE;
		c.nnum = elab_ints(e, argnums, num, TRANSFORM_MAX_ARGS, arg_at(at, 1), "argnums");
		for (int i = 0; i < c.nnum; i++) c.num[i] = (int)num[i];
	}
	if (argnames.kind != V_NONE) {
		c.one_name = argnames.kind == V_STR;
		c.nname = val_items(e, argnames, &v);
		if (c.nname > TRANSFORM_MAX_ARGS) elab_fail(e, at->loc, "grad.argnames", "more than %d argnames", TRANSFORM_MAX_ARGS);
		for (int i = 0; i < c.nname; i++) c.name[i] = elab_str(e, v[i], arg_at(at, 2), "argnames");
	}
	return c;
}

static int named_argument(const CallArgs *a, const char *name)
{
	for (int i = 0; i < a->nnamed; i++)
		if (!strcmp(a->names[i], name)) return a->n + i;
	return -1;
}

/* The argument for parameter number k of fn; -1: it is not given. */
static int argument_by_number(Elab *e, Val fn, const CallArgs *a, int k)
{
	const char *names[TRANSFORM_MAX_ARGS];
	if (k < 0) k += a->n;
	if (k >= 0 && k < a->n) return k;
	int n = elab_param_names(e, fn, names, TRANSFORM_MAX_ARGS);
	return k >= 0 && k < n ? named_argument(a, names[k]) : -1;
}

static int argument_by_name(Elab *e, Val fn, const CallArgs *a, const char *name)
{
	int i = named_argument(a, name);
	const char *names[TRANSFORM_MAX_ARGS];
	int n = i < 0 ? elab_param_names(e, fn, names, TRANSFORM_MAX_ARGS) : 0;
	for (int k = 0; k < n && k < a->n; k++)
		if (!strcmp(names[k], name)) return k;
	return i;
}

int choice_resolve(Elab *e, const Choice *c, Val fn, const CallArgs *a, const char *what, int *chosen)
{
	int n = 0;
	for (int i = 0; i < c->nnum; i++) {
		int k = argument_by_number(e, fn, a, c->num[i]);
		if (k < 0)
			elab_fail(e, a->loc, "grad.argnums", "`%s` is by argument %d, but this call has %d positional arguments", what, c->num[i],
			          a->n);
		chosen[n++] = k;
	}
	for (int i = 0; i < c->nname; i++) {
		int k = argument_by_name(e, fn, a, c->name[i]);
		if (k < 0) elab_fail(e, a->loc, "grad.argnames", "`%s` is by argument `%s`, which this call does not have", what, c->name[i]);
		chosen[n++] = k;
	}
	return n;
}

Val choice_result(Elab *e, const Choice *c, const Val *v)
{
	Val num = c->one_num ? v[0] : val_tuple(e, v, c->nnum);
	if (c->nname == 0) return num;
	const Val *by_name = v + c->nnum;
	Val named = c->one_name ? by_name[0] : val_record(e, c->name, by_name, c->nname);
	Val both[2] = {num, named};
	return c->nnum == 0 ? named : val_tuple(e, both, 2);
}

/* A number that is itself an argument is differentiated, so it becomes f32; inside a tree floats do, while integers and booleans there are
 * configuration and stay compile-time values. */
static Val with_tensors(Elab *e, Val v, Loc loc)
{
	DType d = DT_f32;
	if (v.kind == V_BOOL || v.kind == V_INT || v.kind == V_FLOAT)
		return val_tensor(ir_convert(elab_builder(e), elab_tensor(e, v, &d, loc, "an argument"), d));
	if (!val_is_tree(v)) return v;
	Leaves l = tree_leaves(e, v);
	for (int i = 0; i < l.n; i++)
		if (l.at[i].kind == V_FLOAT && l.diff[i]) l.at[i] = with_tensors(e, l.at[i], loc);
	return tree_rebuild(e, v, l.at);
}

Traced trace_for(Elab *e, Val fn, CallArgs *a, const bool *on, const char *name)
{
	CallArgs c = *a;
	Val *v = NEW_ARRAY(elab_arena(e), Val, a->n + a->nnamed + 1);
	for (int i = 0; i < a->n + a->nnamed; i++) {
		v[i] = i < a->n ? a->at[i] : a->named[i - a->n];
		if (!on || on[i]) v[i] = with_tensors(e, v[i], a->loc);
	}
	c.at = v;
	c.named = v + a->n;
	return elab_trace(e, fn, &c, NULL, name, a->loc);
}

/* --- traced functions --------------------------------------------------------------------------------------------------- */
int traced_active(Elab *e, const Traced *t, const bool *on, bool *active)
{
	int n = 0;
	Leaves *of = NEW_ARRAY(elab_arena(e), Leaves, t->narg);
	for (int i = 0; i < t->narg; i++) of[i] = tree_leaves(e, t->arg[i]);
	for (int i = 0; i < t->nargs - t->ncaptured; i++) {
		active[i] = (!on || on[t->arg_of[i]]) && of[t->arg_of[i]].diff[t->leaf_of[i]];
		n += active[i];
	}
	return n;
}

Val traced_by_argument(Elab *e, const Traced *t, int arg, const bool *active, Value *const **next)
{
	Leaves l = tree_leaves(e, t->arg[arg]);
	for (int i = 0; i < l.n; i++) l.at[i] = val_none();
	for (int i = 0; i < t->nargs - t->ncaptured; i++)
		if (t->arg_of[i] == arg && active[i]) l.at[t->leaf_of[i]] = val_tensor(*(*next)++);
	return tree_rebuild(e, t->arg[arg], l.at);
}

void traced_diff_results(const Traced *t, bool *diff)
{
	for (int r = 0; r < t->nresult; r++) diff[r] = dtype_is_diff(t->func->body->result[r]->type->dtype);
}

Val traced_tangent_result(Elab *e, const Traced *t, const bool *have, Value *const *v)
{
	Leaves l = tree_leaves(e, t->result);
	for (int i = 0, r = 0; i < l.n; i++) {
		if (l.at[i].kind != V_TENSOR) {
			l.at[i] = val_none();
			continue;
		}
		const Type *type = t->func->body->result[r]->type;
		if (have[r]) l.at[i] = val_tensor(*v++);
		else l.at[i] = dtype_is_diff(type->dtype) ? val_tensor(ir_zeros(elab_builder(e), type)) : val_none();
		r++;
	}
	return tree_rebuild(e, t->result, l.at);
}

/* --- trees of tangents -------------------------------------------------------------------------------------------------- */
typedef struct Match {
	Elab *e;
	Val *out;
	int n;
	Loc loc;
	const char *what;
} Match;

static int leaf_count(Elab *e, Val tree)
{
	return tree_leaves(e, tree).n;
}

/* Children by position; a module's are those that hold leaves. */
static int children(Elab *e, Val t, Val *out, int cap)
{
	if (t.kind == V_STACK) return out[0] = t.u.stack->elem, 1;
	int n = 0;
	if (t.kind == V_MODULE) {
		for (int i = 0; i < t.u.module->n; i++) {
			MemberKindV k = t.u.module->members[i].kind;
			if ((k == MK_PARAM || k == MK_BUFFER || k == MK_SUB) && n < cap) out[n++] = t.u.module->members[i].v;
		}
		return n;
	}
	for (int i = 0; i < t.u.items->n && n < cap; i++) out[n++] = t.u.items->at[i];
	return n;
}

static void match(Match *m, Val tree, Val of)
{
	Elab *e = m->e;
	enum { CAP = 4096 };
	if (tree.kind == V_NONE) {
		for (int i = leaf_count(e, of); i > 0; i--) m->out[m->n++] = val_none();
		return;
	}
	if (!val_is_tree(of)) {
		if (val_is_tree(tree) && tree.kind != V_LIST)
			elab_fail(e, m->loc, "tree.structure", "%s is %s where %s stands", m->what, val_describe(e, tree), val_describe(e, of));
		m->out[m->n++] = tree;
		return;
	}
	Val *a = NEW_ARRAY(elab_arena(e), Val, CAP), *b = NEW_ARRAY(elab_arena(e), Val, CAP);
	int n = children(e, of, b, CAP), k = val_is_tree(tree) ? children(e, tree, a, CAP) : -1;
	if (n != k) elab_fail(e, m->loc, "tree.structure", "%s is %s where %s stands", m->what, val_describe(e, tree), val_describe(e, of));
	for (int i = 0; i < n; i++) match(m, a[i], b[i]);
}

Val *match_leaves(Elab *e, Val tree, Val of, Loc loc, const char *what)
{
	Match m = {e, NEW_ARRAY(elab_arena(e), Val, leaf_count(e, of) + 1), 0, loc, what};
	match(&m, tree, of);
	return m.out;
}

Value *fit_leaf(Elab *e, Val v, const Type *like, Loc loc, const char *what)
{
	Builder *b = elab_builder(e);
	DType d = like->dtype;
	Value *x = elab_tensor(e, v, &d, loc, what);
	bool fits = x->type->rank == like->rank && dtype_promote(x->type->dtype, d) == d;
	for (int i = 0; fits && i < like->rank; i++) fits = dim_provable_equal(elab_facts(e), x->type->dim[i], like->dim[i]);
	if (!fits && x->type->rank == 0 && (val_is_weak(v) || like->rank == 0)) fits = true;
	if (!fits) elab_fail(e, loc, "tangent.type", "%s is %s, but must be %s", what, type_text(e, x->type), type_text(e, like));
	x = ir_convert(b, x, d);
	return x->type->rank == like->rank ? x : ir_broadcast_scalar(b, x, like);
}

Op *call_derived(Elab *e, Func *g, Value *const *args, int n)
{
	if (!g) elab_unwind(e);
	return ir_emit_call(elab_builder(e), g, args, n);
}

CallArgs spread_primals(Elab *e, Val primals, Loc loc, bool *bare)
{
	const Val *at;
	*bare = !val_is_seq(primals);
	int n = val_items(e, primals, &at);
	return (CallArgs){.at = at, .n = n, .loc = loc};
}
