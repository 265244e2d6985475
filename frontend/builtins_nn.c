/* Changes of a whole model: on module descriptions (types, no numbers yet) and on their values alike. */
#include "builtins.h"
#include "elab_core.h"
#include <string.h>

typedef struct Change {
	Elab *e;
	Val fn;
	Loc loc;
	const char *name;
	DType dtype;
} Change;

static const char *join(Elab *e, const char *path, const char *name)
{
	return *path ? arena_printf(elab_arena(e), "%s.%s", path, name) : name;
}

static void require_module(Elab *e, const CallSite *at, Val v)
{
	if (!val_is_tree(v))
		elab_fail(e, arg_at(at, 0), "module.kind", "`%s` takes a module or its value, not %s", at->name, val_describe(e, v));
}

/* --- set_dtype ---------------------------------------------------------------------------------------------------------- */
static Val leaf_with_dtype(Elab *e, Val v, DType d)
{
	DType own;
	int rank;
	Dim dims[MAX_RANK];
	if (!val_shape(e, v, &own, &rank, dims) || !dtype_is_float(own)) return v;
	return v.kind == V_TENSOR ? val_tensor(ir_convert(elab_builder(e), v.u.tensor, d)) : val_type(e, d, rank, dims);
}

Val builtin_set_dtype(Elab *e, const CallSite *at, Val *argv)
{
	require_module(e, at, argv[0]);
	DType d = elab_dtype(e, argv[1], arg_at(at, 1), "the dtype of `nn.set_dtype`");
	Leaves l = tree_leaves(e, argv[0]);
	for (int i = 0; i < l.n; i++) l.at[i] = leaf_with_dtype(e, l.at[i], d);
	return tree_rebuild(e, argv[0], l.at);
}

/* --- freeze ------------------------------------------------------------------------------------------------------------- */
static bool is_frozen(const Change *c, const char *path)
{
	if (c->fn.kind == V_NONE) return true;
	Val p = val_str(c->e, path);
	return elab_bool(c->e, elab_call(c->e, c->fn, &p, 1, NULL, NULL, 0, c->loc), c->loc, "the answer of the predicate of `nn.freeze`");
}

static Val freeze(const Change *c, Val v, const char *path)
{
	Elab *e = c->e;
	if (v.kind == V_STACK) return val_stack(e, freeze(c, v.u.stack->elem, join(e, path, "*")), v.u.stack->n);
	if (val_is_seq(v) || v.kind == V_RECORD) {
		int n = v.u.items->n;
		Val *out = NEW_ARRAY(elab_arena(e), Val, n);
		for (int i = 0; i < n; i++) {
			const char *name = v.kind == V_RECORD ? v.u.items->name[i] : arena_printf(elab_arena(e), "%d", i);
			out[i] = freeze(c, v.u.items->at[i], join(e, path, name));
		}
		return v.kind == V_RECORD ? val_record(e, v.u.items->name, out, n) : v.kind == V_LIST ? val_list(e, out, n) : val_tuple(e, out, n);
	}
	if (v.kind != V_MODULE) return v;
	ModuleTree *m = module_copy(e, v.u.module);
	MemberVal *member = (MemberVal *)m->members;
	for (int i = 0; i < m->n; i++) {
		const char *p = join(e, path, member[i].name);
		if (member[i].kind == MK_SUB) member[i].v = freeze(c, member[i].v, p);
		else if (member[i].kind == MK_PARAM && member[i].v.kind != V_NONE && is_frozen(c, p)) member[i].kind = MK_BUFFER;
	}
	return val_module(m);
}

Val builtin_freeze(Elab *e, const CallSite *at, Val *argv)
{
	require_module(e, at, argv[0]);
	Change c = {.e = e, .fn = argv[1], .loc = at->loc, .name = at->name};
	return freeze(&c, argv[0], "");
}

/* --- map_modules -------------------------------------------------------------------------------------------------------- */
/* The tree with the leading axis n of every leaf taken off (types only), or put on. */
static Val stack_axis(Elab *e, Val tree, const Dim *put_on)
{
	Leaves l = tree_leaves(e, tree);
	for (int i = 0; i < l.n; i++) {
		DType d;
		int rank, skip = put_on ? 0 : 1;
		Dim dims[MAX_RANK + 1];
		if (l.at[i].kind == V_TENSOR || !val_shape(e, l.at[i], &d, &rank, dims + 1)) continue;
		if (put_on) dims[0] = *put_on, rank++;
		else rank--;
		l.at[i] = val_type(e, d, rank, dims + 2 * skip);
	}
	return tree_rebuild(e, tree, l.at);
}

static Val map_modules(const Change *c, Val v, const char *path);

static Val map_stack(const Change *c, Val v, const char *path)
{
	Elab *e = c->e;
	Leaves l = tree_leaves(e, v);
	for (int i = 0; i < l.n; i++)
		if (l.at[i].kind == V_TENSOR)
			elab_limitation(
			    e, c->loc, "module.stack",
			    "`nn.map_modules` of a module value with an array of modules at `%s`; change the module before its `init` or `load`", path);
	Dim n = v.u.stack->n;
	return val_stack(e, stack_axis(e, map_modules(c, stack_axis(e, v.u.stack->elem, NULL), join(e, path, "*")), &n), n);
}

static Val map_modules(const Change *c, Val v, const char *path)
{
	Elab *e = c->e;
	if (v.kind == V_STACK) return map_stack(c, v, path);
	if (val_is_seq(v) || v.kind == V_RECORD) {
		int n = v.u.items->n;
		Val *out = NEW_ARRAY(elab_arena(e), Val, n);
		for (int i = 0; i < n; i++) {
			const char *name = v.kind == V_RECORD ? v.u.items->name[i] : arena_printf(elab_arena(e), "%d", i);
			out[i] = map_modules(c, v.u.items->at[i], join(e, path, name));
		}
		return v.kind == V_RECORD ? val_record(e, v.u.items->name, out, n) : v.kind == V_LIST ? val_list(e, out, n) : val_tuple(e, out, n);
	}
	if (v.kind != V_MODULE) return v;
	ModuleTree *m = module_copy(e, v.u.module);
	MemberVal *member = (MemberVal *)m->members;
	for (int i = 0; i < m->n; i++)
		if (member[i].kind == MK_SUB) member[i].v = map_modules(c, member[i].v, join(e, path, member[i].name));
	Val arg[2] = {val_str(e, path), val_module(m)};
	return elab_call(e, c->fn, arg, 2, NULL, NULL, 0, c->loc);
}

Val builtin_map_modules(Elab *e, const CallSite *at, Val *argv)
{
	require_module(e, at, argv[0]);
	if (!elab_is_callable(argv[1]))
		elab_fail(e, arg_at(at, 1), "call.kind", "`nn.map_modules` takes a function of (path, module), not %s", val_describe(e, argv[1]));
	Change c = {.e = e, .fn = argv[1], .loc = at->loc, .name = at->name};
	return map_modules(&c, argv[0], "");
}

/* --- replace_layers_ ------------------------------------------------------------------------------------------------------ */
/* How many axes arrays of modules put before the layer's own, outermost first. */
typedef struct Stacked {
	Dim dim[MAX_RANK];
	int n;
} Stacked;

/* A description with those axes on every leaf. */
static Val stack_axes(Elab *e, Val tree, const Stacked *s)
{
	for (int i = s->n - 1; i >= 0; i--) tree = stack_axis(e, tree, &s->dim[i]);
	return tree;
}

/* The description with the float dtype that the other tree has first. */
static Val with_dtype_of(Elab *e, Val description, Val other)
{
	Leaves to = tree_leaves(e, description), from = tree_leaves(e, other);
	DType d = DT_f32;
	int rank;
	Dim dims[MAX_RANK];
	for (int i = from.n - 1; i >= 0; i--) {
		DType own;
		if (val_shape(e, from.at[i], &own, &rank, dims) && dtype_is_float(own)) d = own;
	}
	for (int i = 0; i < to.n; i++) to.at[i] = leaf_with_dtype(e, to.at[i], d);
	return tree_rebuild(e, description, to.at);
}

/* f(path, m) of a layer: none, or a pair of the new description and a record of its members' values (none: there are none yet). The values
 * in an array of modules have its axis in front, for f too; descriptions have not. Floats get the dtype that the layer had. */
static Val replace_layer(const Change *c, Val v, const char *path, const Stacked *s)
{
	Elab *e = c->e;
	Val arg[2] = {val_str(e, path), v};
	Val pair = elab_call(e, c->fn, arg, 2, NULL, NULL, 0, c->loc);
	if (pair.kind == V_NONE) return stack_axes(e, v, s);
	Val made = stack_axes(e, with_dtype_of(e, pair.u.items->at[0], v), s), values = pair.u.items->at[1];
	for (int i = 0; values.kind == V_RECORD && i < values.u.items->n; i++)
		if (values.u.items->at[i].kind != V_NONE) made = module_set_member(e, made, values.u.items->name[i], values.u.items->at[i], c->loc);
	return made;
}

static Val replace_layers(const Change *c, Val v, const char *path, Stacked s)
{
	Elab *e = c->e;
	if (v.kind == V_STACK) {
		s.dim[s.n++] = v.u.stack->n;
		return val_stack(e, replace_layers(c, stack_axis(e, v.u.stack->elem, NULL), join(e, path, "*"), s), v.u.stack->n);
	}
	if (val_is_seq(v) || v.kind == V_RECORD) {
		int n = v.u.items->n;
		Val *out = NEW_ARRAY(elab_arena(e), Val, n);
		for (int i = 0; i < n; i++) {
			const char *name = v.kind == V_RECORD ? v.u.items->name[i] : arena_printf(elab_arena(e), "%d", i);
			out[i] = replace_layers(c, v.u.items->at[i], join(e, path, name), s);
		}
		return v.kind == V_RECORD ? val_record(e, v.u.items->name, out, n) : v.kind == V_LIST ? val_list(e, out, n) : val_tuple(e, out, n);
	}
	if (v.kind != V_MODULE) return v;
	ModuleTree *m = module_copy(e, v.u.module);
	MemberVal *member = (MemberVal *)m->members;
	bool leaf = true;
	for (int i = 0; i < m->n; i++) leaf &= member[i].kind != MK_SUB;
	if (leaf) return replace_layer(c, v, path, &s);
	for (int i = 0; i < m->n; i++) {
		if (member[i].kind == MK_SUB) member[i].v = replace_layers(c, member[i].v, join(e, path, member[i].name), s);
		else member[i].v = stack_axes(e, member[i].v, &s);
	}
	return val_module(m);
}

Val builtin_replace_layers(Elab *e, const CallSite *at, Val *argv)
{
	require_module(e, at, argv[0]);
	Change c = {.e = e, .fn = argv[1], .loc = at->loc, .name = at->name};
	Stacked none = {.n = 0};
	return replace_layers(&c, argv[0], "", none);
}
