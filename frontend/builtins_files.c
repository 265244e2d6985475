/* load("file"): a constant of the program, read while compiling: a tensor of .npy, a record of .npz and .safetensors, plain values of
 * .json. */
#include "builtins.h"
#include "files.h"
#include "json.h"
#include <string.h>

static Val constant(Elab *e, const Tensor *t)
{
	return val_tensor(ir_const(elab_builder(e), t));
}

static Val of_json(Elab *e, const Json *j)
{
	Val *v = NEW_ARRAY(elab_arena(e), Val, j->n + 1);
	switch (j->kind) {
	case JSON_NULL: return val_none();
	case JSON_FALSE: return val_bool(false);
	case JSON_TRUE: return val_bool(true);
	case JSON_INT: return val_int(j->integer);
	case JSON_FLOAT: return val_float(j->number);
	case JSON_STRING: return val_str(e, j->str);
	default:
		for (int i = 0; i < j->n; i++) v[i] = of_json(e, j->item[i]);
		return j->kind == JSON_ARRAY ? val_list(e, v, j->n) : val_record(e, j->key, v, j->n);
	}
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && !strcmp(s + n - k, end);
}

Val builtin_load(Elab *e, const CallSite *at, Val *argv)
{
	Arena *a = elab_arena(e);
	const char *name = elab_str(e, argv[0], arg_at(at, 0), "the path of `load`"), *why = "";
	const char *dir = elab_source_dir(e, at->loc);
	const char *path = *name == '/' || !dir || !*dir ? name : arena_printf(a, "%s/%s", dir, name);
	if (ends_with(name, ".json")) {
		char *text;
		size_t n;
		Json *j;
		if (!file_read(a, path, &text, &n, &why) || !json_read(a, text, n, &j, &why))
			elab_fail(e, arg_at(at, 0), "load.file", "\"%s\": %s", name, why);
		return of_json(e, j);
	}
	TensorFile f;
	if (!tensor_file_read(a, path, &f, &why)) elab_fail(e, arg_at(at, 0), "load.file", "\"%s\": %s", name, why);
	if (f.single) return constant(e, f.at[0].tensor);
	Val *v = NEW_ARRAY(a, Val, f.n + 1);
	const char **names = NEW_ARRAY(a, const char *, f.n + 1);
	for (int i = 0; i < f.n; i++) {
		v[i] = constant(e, f.at[i].tensor);
		names[i] = module_str(elab_module(e), f.at[i].name);
	}
	return val_record(e, names, v, f.n);
}
