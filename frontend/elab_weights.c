/* Weights as constants: `Net.load("f.safetensors")` and parameters baked in with --weights. */
#include "elab_core.h"
#include <string.h>

Weights weights_open(Elab *e, const char *path, const char *shown, Loc loc)
{
	Weights w = {.shown = shown, .prefix = "", .loc = loc};
	const char *why;
	if (!tensor_file_read(e->arena, path, &w.file, &why)) elab_fail(e, loc, "weights.file", "%s: %s", shown, why);
	return w;
}

static const char *file_name(Elab *e, const Weights *w, const char *path)
{
	path += strlen(w->prefix);
	path += *path == '.';
	if (w->rename.kind == V_NONE) return path;
	Val arg = val_str(e, path);
	return elab_str(e, elab_call(e, w->rename, &arg, 1, NULL, NULL, 0, w->loc), w->loc, "the file's name for a path");
}

Val weights_leaf(Elab *e, const Weights *w, const char *path, DType d, int rank, const Dim *dims)
{
	int64_t count[MAX_RANK];
	int stars = 0;
	const char *name = file_name(e, w, path), *why;
	for (const char *p = name; (p = strchr(p, '*')); p++, stars++) {
		if (stars == rank || !dim_is_const(dims[stars], &count[stars]))
			elab_fail(e, w->loc, "weights.shape", "the weights of an array of unknown length, `%s`, cannot be constants", name);
	}
	Tensor *t;
	bool found = tensor_file_leaf(e->arena, &w->file, name, count, &t, &why);
	if (!found && !*name)
		elab_fail_note(e, w->loc, "weights.tree", "a file of several tensors is for a module or a record, whose leaves it names",
		               "%s: `%s` is one tensor: give a .npy file", w->shown, path);
	if (!found) elab_fail(e, w->loc, "weights.missing", "%s: %s", w->shown, why);
	const char *want = type_str(e->arena, type_get(e->m, d, rank, dims));
	bool floats = dtype_is_float(t->dtype) && dtype_is_float(d);
	if (t->dtype != d && !floats)
		elab_fail(e, w->loc, "weights.type", "%s: `%s` has dtype %s, the parameter is %s", w->shown, name, dtype_name(t->dtype), want);
	bool same = t->rank == rank;
	Dim have[MAX_RANK];
	for (int i = 0; i < t->rank; i++) have[i] = dim_int(e->m->dims, t->shape[i]);
	for (int i = 0; same && i < rank; i++) same = dim_equal(have[i], dims[i]);
	if (!same)
		elab_fail(e, w->loc, "weights.shape", "%s: `%s` is %s, the parameter is %s", w->shown, name,
		          type_str(e->arena, type_get(e->m, t->dtype, t->rank, have)), want);
	Value *v = ir_convert(&e->b, ir_const(&e->b, t), d);
	if (!v->name) v->name = module_str(e->m, path);
	return val_tensor(v);
}

static Val load_leaf(Elab *e, void *ctx, Val t, Val same, const char *path)
{
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (!type_is_type(t) || !val_shape(e, t, &d, &rank, dims)) return t;
	return weights_leaf(e, ctx, path, d, rank, dims);
}

Val module_load(Elab *e, Val description, CallArgs *a)
{
	if (a->n < 1 || a->n > 2 || a->nnamed)
		elab_fail(e, a->loc, "call.arguments", "`load` takes a file and, optionally, a function from our paths to the file's");
	const char *name = elab_str(e, a->at[0], a->loc, "the file of `load`");
	Loc loc = a->arg_loc ? a->arg_loc[0] : a->loc;
	bool here = *name == '/' || !strcmp(elab_source_dir(e, loc), ".");
	Weights w = weights_open(e, here ? name : arena_printf(e->arena, "%s/%s", elab_source_dir(e, loc), name), name, loc);
	if (a->n == 2) {
		if (!elab_is_callable(a->at[1]))
			elab_fail(e, a->loc, "call.kind", "the second argument of `load` is a function of a path, not %s", val_describe(e, a->at[1]));
		w.rename = a->at[1];
	}
	return val_map2(e, description, description, load_leaf, &w, "");
}
