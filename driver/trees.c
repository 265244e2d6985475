/* Arguments from the command line and results into files: dotted names on one side, leaves on the other.
 *
 *   x=x.npy          a tensor              net=w.safetensors      a tree, by the names in the file
 *   lr=0.1           a number              net.l1.weight=w.npy    one leaf
 *   key=[0,7]        a small tensor        K=4                    a dimension that stands in no argument
 *
 * Numbers are converted where no value changes: integers and booleans to any type that holds them, floats to other floats (rounded). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../frontend/json.h"
#include "driver.h"

typedef struct Loader {
	Session *s;
	const Signature *g;
	Tensor **args;
	const char **from;
} Loader; /* from: the option that gave a leaf */

static bool holds(DType to, Scalar v)
{
	Scalar there = scalar_convert(v, to), back = scalar_convert(there, v.dtype);
	return dtype_kind(v.dtype) == DK_BOOL ? back.v.u == v.v.u : dtype_is_signed(v.dtype) ? back.v.i == v.v.i : back.v.u == v.v.u;
}

/* t as `to`; NULL where values would change. */
static Tensor *convert(Arena *a, const Tensor *t, DType to)
{
	if (t->dtype == to) return (Tensor *)t;
	DKind from = dtype_kind(t->dtype), target = dtype_kind(to);
	bool whole = from == DK_BOOL || from == DK_UINT || from == DK_INT;
	if (from == DK_COMPLEX || target == DK_BOOL || (from == DK_FLOAT && target != DK_FLOAT && target != DK_COMPLEX)) return NULL;
	Tensor *out = tensor_new(a, to, t->rank, t->shape);
	for (int64_t i = 0; i < tensor_size(t); i++) {
		Scalar v = tensor_get(t, i);
		if (whole && (target == DK_UINT || target == DK_INT)) {
			/* a negative number wraps and comes back: its sign must be the same there */
			bool negative = dtype_is_signed(t->dtype) && v.v.i < 0;
			Scalar there = scalar_convert(v, to);
			if (!holds(to, v) || (negative && target == DK_UINT) || (!negative && target == DK_INT && there.v.i < 0)) return NULL;
		}
		tensor_set(out, i, scalar_convert(v, to));
	}
	return out;
}

static void put_number(StrBuf *b, Scalar v)
{
	switch (dtype_kind(v.dtype)) {
	case DK_BOOL: sb_put(b, v.v.u ? "true" : "false"); break;
	case DK_UINT: sb_printf(b, "%llu", (unsigned long long)v.v.u); break;
	case DK_INT: sb_printf(b, "%lld", (long long)v.v.i); break;
	case DK_FLOAT: sb_printf(b, "%.9g", v.v.f); break;
	case DK_COMPLEX: sb_printf(b, "%.9g%+.9gj", (double)v.v.c[0], (double)v.v.c[1]); break;
	}
}

static bool put(Loader *l, int leaf, const Tensor *t, const char *given)
{
	const char *path = l->g->in_path[leaf];
	if (l->from[leaf]) {
		session_fail(l->s, "run.argument", "`%s` is given twice: by `%s` and by `%s`", path, l->from[leaf], given);
		return false;
	}
	l->from[leaf] = given;
	l->args[leaf] = convert(l->s->arena, t, l->g->param_type[leaf]->dtype);
	if (l->args[leaf]) return true;
	const char *wanted = type_str(l->s->arena, l->g->param_type[leaf]);
	if (t->rank == 0) {
		StrBuf b;
		sb_init(&b, l->s->arena);
		put_number(&b, tensor_get(t, 0));
		session_fail(l->s, "run.dtype", "`%s` is %s, which is no %s; `%s` takes %s", path, sb_text(&b),
		             dtype_name(l->g->param_type[leaf]->dtype), l->g->name, wanted);
	} else {
		session_fail(l->s, "run.dtype", "`%s` is %s; `%s` takes %s", path, tensor_type_str(l->s->arena, t), l->g->name, wanted);
		diag_note(l->s->diag, NO_LOC, "numbers are converted only where none of them changes");
	}
	return false;
}

/* --- values written on the command line -------------------------------------------------------------------------------- */
static bool parse_number(const char *v, Scalar *out)
{
	char *end;
	errno = 0;
	if (!strcmp(v, "true") || !strcmp(v, "false")) return *out = (Scalar){.v.u = *v == 't', .dtype = DT_bool}, true;
	if (!strpbrk(v, ".eEnN") || strpbrk(v, "xX")) {
		long long i = strtoll(v, &end, 0);
		if (end != v && !*end && !errno) return *out = (Scalar){.v.i = i, .dtype = DT_i64}, true;
		errno = 0;
		if (*v != '-') out->v.u = strtoull(v, &end, 0), out->dtype = DT_u64;
		if (*v != '-' && end != v && !*end && !errno) return true;
	}
	double f = strtod(v, &end);
	if (end == v || *end) return false;
	return *out = (Scalar){.v.f = f, .dtype = DT_f64}, true;
}

static bool list_shape(const Json *j, int64_t *shape, int *rank)
{
	for (*rank = 0; j->kind == JSON_ARRAY; j = j->item[0]) {
		if (*rank == MAX_RANK) return false;
		shape[(*rank)++] = j->n;
		if (!j->n) break;
	}
	return true;
}

static bool list_fill(const Json *j, const int64_t *shape, int rank, double **at, bool *whole)
{
	if (rank == 0) {
		*whole &= j->kind == JSON_INT;
		*(*at)++ = j->kind == JSON_TRUE ? 1 : j->number;
		return j->kind == JSON_INT || j->kind == JSON_FLOAT;
	}
	if (j->kind != JSON_ARRAY || j->n != shape[0]) return false;
	for (int i = 0; i < j->n; i++)
		if (!list_fill(j->item[i], shape + 1, rank - 1, at, whole)) return false;
	return true;
}

/* "[[1, 2], [3, 4]]". Numbers go through f64: enough for keys and small examples. */
static Tensor *parse_list(Arena *a, const char *v)
{
	Json *j;
	const char *why;
	int64_t shape[MAX_RANK], size = 1;
	int rank;
	bool whole = true;
	if (!json_read(a, v, strlen(v), &j, &why) || !list_shape(j, shape, &rank)) return NULL;
	for (int i = 0; i < rank; i++) size *= shape[i];
	double *numbers = NEW_ARRAY(a, double, size), *at = numbers;
	if (!list_fill(j, shape, rank, &at, &whole)) return NULL;
	Tensor *t = tensor_new(a, whole ? DT_i64 : DT_f64, rank, shape);
	for (int64_t i = 0; i < size; i++)
		tensor_set(t, i, whole ? scalar_from_int((int64_t)numbers[i], DT_i64) : scalar_from_double(numbers[i], DT_f64));
	return t;
}

/* --- matching names ----------------------------------------------------------------------------------------------------- */
static const char *below(const char *path, const char *name)
{
	size_t n = strlen(name);
	return !strncmp(path, name, n) && path[n] == '.' ? path + n + 1 : NULL;
}

/* How many rows the stack axes of a leaf have, where all are numbers; NULL otherwise. */
static const int64_t *row_counts(Arena *a, const char *path, const Type *t)
{
	int64_t *count = NEW_ARRAY(a, int64_t, t->rank + 1);
	int k = 0;
	for (const char *p = path; (p = strchr(p, '*')); p++)
		if (k == t->rank || !dim_is_const(t->dim[k], &count[k])) return NULL;
		else k++;
	return count;
}

static bool put_from_file(Loader *l, int leaf, const TensorFile *f, const char *rest, const NameValue *given)
{
	Arena *a = l->s->arena;
	const char *path = l->g->in_path[leaf], *why, *ignored;
	const int64_t *count = row_counts(a, path, l->g->param_type[leaf]);
	Tensor *t;
	if (f->single) t = f->at[0].tensor;
	else if (!(rest && tensor_file_leaf(a, f, rest, count, &t, &why)) && !tensor_file_leaf(a, f, path, count, &t, rest ? &ignored : &why)) {
		session_fail(l->s, "run.leaf", "`%s=%s`: %s", given->name, given->value, why);
		return false;
	}
	return put(l, leaf, t, given->name);
}

/* The option NAME=VALUE for the leaves that it names. */
static bool load_option(Loader *l, const NameValue *given, DimEnv *env)
{
	Session *s = l->s;
	const Signature *g = l->g;
	int exact = -1, under = 0;
	for (int i = 0; i < g->nin; i++) {
		if (!strcmp(g->in_path[i], given->name)) exact = i;
		else if (below(g->in_path[i], given->name)) under++;
	}
	Scalar number;
	bool is_number = parse_number(given->value, &number);
	for (int i = 0; i < g->ndims && exact < 0 && !under; i++)
		if (!strcmp(g->dims[i], given->name) && is_number && number.dtype == DT_i64) return dim_env_set(env, g->dims[i], number.v.i), true;
	if (exact < 0 && !under) {
		const char **names = NEW_ARRAY(s->arena, const char *, g->nparam);
		for (int i = 0; i < g->nparam; i++) names[i] = g->param[i].name;
		session_fail(s, "run.argument", "`%s` has no parameter `%s`", g->name, given->name);
		const char *near = diag_suggest(given->name, names, g->nparam);
		if (near) diag_help(s->diag, "did you mean `%s`?", near);
		return false;
	}
	if (exact >= 0 && is_number) return put(l, exact, tensor_scalar(s->arena, number), given->name);
	if (exact >= 0 && given->value[0] == '[') {
		Tensor *t = parse_list(s->arena, given->value);
		if (t) return put(l, exact, t, given->name);
		session_fail(s, "run.argument", "`%s=%s` is not a list of numbers", given->name, given->value);
		return false;
	}
	TensorFile f;
	const char *why;
	if (!tensor_file_read(s->arena, given->value, &f, &why)) {
		session_fail(s, "file.read", "`%s=%s`: %s", given->name, given->value, why);
		return false;
	}
	if (exact >= 0 && !f.single && f.n == 1) f.single = true;
	if (under && f.single && under > 1) {
		session_fail(s, "run.argument", "`%s` is a tree of %d tensors: it takes a .npz or .safetensors file", given->name, under);
		return false;
	}
	if (exact >= 0) return put_from_file(l, exact, &f, NULL, given);
	for (int i = 0; i < g->nin; i++) {
		const char *rest = below(g->in_path[i], given->name);
		/* a leaf of its own on the command line comes before the tree's file */
		if (rest && !(l->from[i] && strlen(l->from[i]) > strlen(given->name)) && !put_from_file(l, i, &f, rest, given)) return false;
	}
	return true;
}

static int by_length(const void *x, const void *y)
{
	const NameValue *a = x, *b = y;
	size_t na = strlen(a->name), nb = strlen(b->name);
	return (na < nb) - (na > nb);
}

bool trees_load(Session *s, const Signature *g, DimEnv *env, Tensor **args)
{
	Loader l = {s, g, args, NEW_ARRAY(s->arena, const char *, g->nin)};
	int n = s->o->args.n;
	/* longer names first: single leaves before the trees that they are in */
	NameValue *sorted = NEW_ARRAY(s->arena, NameValue, n);
	if (n) memcpy(sorted, s->o->args.at, sizeof *sorted * (size_t)n);
	qsort(sorted, (size_t)n, sizeof *sorted, by_length);
	for (int i = 0; i < n; i++)
		if (!load_option(&l, &sorted[i], env)) return false;
	for (int i = 0; i < g->nin; i++) {
		if (args[i]) continue;
		session_fail(s, "run.argument", "`%s` is missing: %s", g->in_path[i], type_str(s->arena, g->param_type[i]));
		if (!g->param_type[i]->rank && !strchr(g->in_path[i], '.')) diag_help(s->diag, "%s=NUMBER", g->in_path[i]);
		else diag_help(s->diag, "%.*s=FILE", (int)strcspn(g->in_path[i], "."), g->in_path[i]);
		return false;
	}
	return true;
}

/* --- results ------------------------------------------------------------------------------------------------------------ */
/* "out.npy  f32[4,10]", and of a number its value. */
static void announce(Session *s, const char *path, const char *name, const NamedTensor *t, int n)
{
	StrBuf b;
	sb_init(&b, s->arena);
	if (n == 1 && t->tensor->rank == 0) put_number(&b, tensor_get(t->tensor, 0));
	else if (n == 1) sb_put(&b, tensor_type_str(s->arena, t->tensor));
	else sb_printf(&b, "%d tensors", n);
	printf("%s = %s  (%s)\n", name, sb_text(&b), path);
}

static bool save(Session *s, const char *path, const char *name, const NamedTensors *t)
{
	const char *why;
	if (!tensor_file_write(s->arena, path, t->at, t->n, &why)) return session_fail(s, "file.write", "`%s`: %s", path, why), false;
	announce(s, path, name, t->at, t->n);
	return true;
}

typedef struct Output {
	const char *name;
	bool is_tree;
	int n, *leaf;
} Output; /* leaf: indices into the results */

/* One output for each result group and each inout argument, in this order. */
static int outputs(Session *s, const Signature *g, Output **out)
{
	int n = 0;
	*out = NEW_ARRAY(s->arena, Output, g->nresult + g->nparam);
	for (int i = 0; i < g->nresult; i++)
		(*out)[n++] = (Output){g->result[i].name, g->result[i].is_tree, g->result[i].n, g->result_index + g->result[i].first};
	for (int i = 0; i < g->nparam; i++) {
		const LeafGroup *p = &g->param[i];
		Output o = {p->name, p->is_tree, 0, NEW_ARRAY(s->arena, int, g->nout)};
		for (int r = 0; r < g->nout; r++)
			if (g->alias[r] >= p->first && g->alias[r] < p->first + p->n) o.leaf[o.n++] = r;
		if (o.n) (*out)[n++] = o;
	}
	return n;
}

static void add_leaves(Session *s, const Signature *g, const Output *o, bool relative, Tensor *const *results, NamedTensors *to)
{
	for (int i = 0; i < o->n; i++) {
		const char *path = g->out_path[o->leaf[i]], *rest = below(path, o->name);
		tensors_split(s->arena, to, relative && rest ? rest : path, results[o->leaf[i]]);
	}
}

static bool is_file_name(const char *p)
{
	size_t n = strlen(p);
	return (n > 4 && (!strcmp(p + n - 4, ".npy") || !strcmp(p + n - 4, ".npz"))) || (n > 12 && !strcmp(p + n - 12, ".safetensors"));
}

bool trees_save(Session *s, const Signature *g, Tensor *const *results)
{
	Output *out;
	int n = outputs(s, g, &out);
	const char *place = s->o->out ? s->o->out : ".";
	if (is_file_name(place)) {
		NamedTensors all = {0};
		for (int i = 0; i < n; i++) add_leaves(s, g, &out[i], n == 1, results, &all);
		return save(s, place, n == 1 ? out[0].name : "results", &all);
	}
	struct stat st;
	if (mkdir(place, 0777) && errno != EEXIST) return session_fail(s, "file.write", "`%s`: %s", place, strerror(errno)), false;
	if (stat(place, &st) || !S_ISDIR(st.st_mode))
		return session_fail(s, "file.write", "`%s` is no folder; a file's name ends with .npy, .npz or .safetensors", place), false;
	for (int i = 0; i < n; i++) {
		NamedTensors t = {0};
		add_leaves(s, g, &out[i], true, results, &t);
		const char *path = arena_printf(s->arena, "%s/%s.%s", place, out[i].name, out[i].is_tree ? "safetensors" : "npy");
		if (!save(s, path, out[i].name, &t)) return false;
	}
	return true;
}
