/* The table of functions implemented in C, and how their arguments are bound.
 *
 * A row's parameter text is the one description of a signature: binding, defaults, messages and `accepts` all read it.
 */
#include "builtins.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const Builtin table[] = {
#define BUILTIN(name, params, fn, doc) {name, params, doc, fn},
#define ELEMENTWISE1(name, op, doc) {name, "a", doc, NULL},
#define ELEMENTWISE2(name, op, doc) {name, "a, b", doc, NULL},
#include "builtins.def"
#undef BUILTIN
#undef ELEMENTWISE1
#undef ELEMENTWISE2
};
/* The op of an element-wise row, beside the table. */
static const int table_op[] = {
#define BUILTIN(name, params, fn, doc) -1,
#define ELEMENTWISE1(name, op, doc) OP_##op,
#define ELEMENTWISE2(name, op, doc) OP_##op,
#include "builtins.def"
#undef BUILTIN
#undef ELEMENTWISE1
#undef ELEMENTWISE2
};
enum { TABLE_N = sizeof table / sizeof table[0] };

const Builtin *builtin_find(const char *name)
{
	for (int i = 0; i < TABLE_N; i++)
		if (!strcmp(table[i].name, name)) return &table[i];
	return NULL;
}

/* --- parameter texts ---------------------------------------------------------------------------------------------------- */
static void skip_space(const char **p)
{
	while (isspace((unsigned char)**p)) (*p)++;
}

static const char *read_word(Elab *e, const char **p)
{
	const char *s = *p;
	while (isalnum((unsigned char)**p) || **p == '_') (*p)++;
	return arena_strndup(elab_arena(e), s, (size_t)(*p - s));
}

/* none true false 12 -1 0.5 "text" () f32 */
static Val read_literal(Elab *e, const char **p)
{
	if (**p == '"') {
		const char *s = ++*p;
		while (**p != '"') (*p)++;
		return val_str(e, arena_strndup(elab_arena(e), s, (size_t)((*p)++ - s)));
	}
	if (**p == '(') {
		*p += 2;
		return val_tuple(e, NULL, 0);
	}
	if (**p == '-' || isdigit((unsigned char)**p)) {
		char *end, *fend;
		long long i = strtoll(*p, &end, 10);
		double f = strtod(*p, &fend);
		bool is_int = end == fend;
		*p = fend;
		return is_int ? val_int(i) : val_float(f);
	}
	const char *w = read_word(e, p);
	DType d;
	if (!strcmp(w, "true")) return val_bool(true);
	if (!strcmp(w, "false")) return val_bool(false);
	return dtype_find(w, &d) ? val_dtype(d) : val_none();
}

int builtin_params(Elab *e, const Builtin *b, BuiltinParam *out)
{
	int n = 0;
	for (const char *p = b->params; skip_space(&p), *p; n++) {
		BuiltinParam *q = &out[n];
		*q = (BuiltinParam){.init = val_none()};
		if (*p == '*') q->rest = q->shape = q->optional = true, p++;
		if (*p == '*') q->shape = false, p++;
		q->name = read_word(e, &p);
		skip_space(&p);
		if (*p == '=') {
			p++;
			skip_space(&p);
			q->optional = true;
			q->init = read_literal(e, &p);
			skip_space(&p);
		}
		if (*p == ',') p++;
	}
	return n;
}

bool builtin_accepts(Elab *e, const Builtin *b, const char *name)
{
	BuiltinParam p[BUILTIN_MAX_PARAMS];
	int n = builtin_params(e, b, p);
	for (int i = 0; i < n; i++)
		if (!strcmp(p[i].name, name)) return true;
	return false;
}

/* --- binding ------------------------------------------------------------------------------------------------------------ */
typedef struct Binding {
	Elab *e;
	const Builtin *b;
	BuiltinParam param[BUILTIN_MAX_PARAMS];
	int n;
	Val argv[BUILTIN_MAX_PARAMS];
	bool given[BUILTIN_MAX_PARAMS];
	CallSite at;
} Binding;

/* How many of args[0..n) a rest parameter takes. */
static int rest_length(const BuiltinParam *p, const Val *args, int n)
{
	if (!p->shape || n == 0) return n;
	int k = 0;
	while (k < n && val_is_int_like(args[k])) k++;
	return k > 0 ? k : args[0].kind == V_DTYPE ? 0 : 1;
}

static Val rest_tuple(Elab *e, const BuiltinParam *p, const Val *args, int n)
{
	if (n == 1 && p->shape && val_is_seq(args[0])) return val_tuple(e, args[0].u.items->at, args[0].u.items->n);
	return val_tuple(e, args, n);
}

static void bind_positional(Binding *x, const Val *args, const Loc *loc, int nargs)
{
	int i = 0;
	for (int k = 0; k < x->n && i < nargs; k++) {
		int take = x->param[k].rest ? rest_length(&x->param[k], args + i, nargs - i) : 1;
		if (take == 0) continue;
		x->given[k] = true;
		x->argv[k] = x->param[k].rest ? rest_tuple(x->e, &x->param[k], args + i, take) : args[i];
		x->at.arg_loc[k] = loc && loc[i].file ? loc[i] : args[i].loc;
		i += take;
	}
	if (i < nargs)
		elab_fail(x->e, loc && loc[i].file ? loc[i] : x->at.loc, "call.count", "`%s(%s)` takes at most %d positional arguments, %d given",
		          x->b->name, x->b->params, x->n, nargs);
}

static void bind_named(Binding *x, const char *name, Val v, Loc loc)
{
	const char *known[BUILTIN_MAX_PARAMS];
	for (int k = 0; k < x->n; k++) {
		known[k] = x->param[k].name;
		if (strcmp(known[k], name)) continue;
		if (x->given[k]) elab_fail(x->e, loc, "call.twice", "argument `%s` of `%s` is given twice", name, x->b->name);
		x->given[k] = true;
		const Val *items;
		int n = x->param[k].rest ? val_items(x->e, v, &items) : 0;
		x->argv[k] = x->param[k].rest ? val_tuple(x->e, items, n) : v;
		x->at.arg_loc[k] = loc;
		return;
	}
	const char *near = diag_suggest(name, known, x->n);
	elab_fail(x->e, loc, "call.name", "`%s(%s)` has no parameter `%s`%s%s%s", x->b->name, x->b->params, name,
	          near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

static Val run_row(Binding *x)
{
	int op = table_op[x->b - table];
	if (op < 0) return x->b->fn(x->e, &x->at, x->argv);
	if (x->n == 1) return elem_unary(x->e, (OpCode)op, x->argv[0], x->at.loc, x->b->name);
	return elem_binary(x->e, (OpCode)op, x->argv[0], x->argv[1], x->at.loc, x->b->name);
}

Val builtin_call(Elab *e, const Builtin *b, const Val *args, const Loc *arg_loc, int nargs, const char *const *names, const Val *named,
                 const Loc *named_loc, int nnamed, Loc loc)
{
	Binding x = {.e = e, .b = b, .at = {.loc = loc, .name = b->name}};
	x.n = builtin_params(e, b, x.param);
	bind_positional(&x, args, arg_loc, nargs);
	for (int i = 0; i < nnamed; i++)
		bind_named(&x, names[i], named[i], named_loc && named_loc[i].file ? named_loc[i] : named[i].loc.file ? named[i].loc : loc);
	for (int k = 0; k < x.n; k++) {
		if (x.given[k]) continue;
		if (!x.param[k].optional)
			elab_fail(e, loc, "call.missing", "`%s(%s)` lacks its argument `%s`", b->name, b->params, x.param[k].name);
		x.argv[k] = x.param[k].rest ? val_tuple(e, NULL, 0) : x.param[k].init;
	}
	return run_row(&x);
}

/* --- what the families share -------------------------------------------------------------------------------------------- */
Loc arg_at(const CallSite *at, int i)
{
	return at->arg_loc[i].file ? at->arg_loc[i] : at->loc;
}

Value *arg_tensor(Elab *e, const CallSite *at, const Val *argv, int i)
{
	return elab_tensor(e, argv[i], NULL, arg_at(at, i), at->name);
}

bool val_is_int_like(Val v)
{
	return v.kind == V_INT || v.kind == V_DIM;
}

bool val_is_seq(Val v)
{
	return v.kind == V_TUPLE || v.kind == V_LIST;
}

int val_items(Elab *e, Val v, const Val **at)
{
	if (val_is_seq(v)) {
		*at = v.u.items->at;
		return v.u.items->n;
	}
	Val *one = NEW(elab_arena(e), Val);
	*one = v;
	*at = one;
	return 1;
}

int elab_ints(Elab *e, Val v, int64_t *out, int cap, Loc loc, const char *what)
{
	if (v.kind == V_RANGE) {
		int64_t lo = elab_int(e, *v.u.range.lo, loc, what), hi = elab_int(e, *v.u.range.hi, loc, what);
		if (hi - lo > cap) elab_fail(e, loc, "call.length", "%s has more than %d entries", what, cap);
		for (int64_t i = lo; i < hi; i++) out[i - lo] = i;
		return hi > lo ? (int)(hi - lo) : 0;
	}
	const Val *at;
	int n = val_items(e, v, &at);
	if (n > cap) elab_fail(e, loc, "call.length", "%s has %d entries, more than %d", what, n, cap);
	for (int i = 0; i < n; i++) out[i] = elab_int(e, at[i], loc, what);
	return n;
}

char *shape_str(Elab *e, int rank, const Dim *dims)
{
	StrBuf b;
	sb_init(&b, elab_arena(e));
	sb_putc(&b, '(');
	for (int i = 0; i < rank; i++) {
		if (i) sb_put(&b, ", ");
		dim_print(&b, dims[i]);
	}
	sb_put(&b, rank == 1 ? ",)" : ")");
	return arena_strdup(elab_arena(e), sb_text(&b));
}

const char *type_text(Elab *e, const Type *t)
{
	return type_str(elab_arena(e), t);
}

Dim dim_const(Elab *e, int64_t n)
{
	return dim_int(elab_dims(e), n);
}

Dim shape_product(Elab *e, int rank, const Dim *dims)
{
	Dim p = dim_const(e, 1);
	for (int i = 0; i < rank; i++) p = dim_mul(elab_dims(e), p, dims[i]);
	return p;
}

Value *flatten_all(Elab *e, Value *x)
{
	if (x->type->rank == 1) return x;
	Dim n = shape_product(e, x->type->rank, x->type->dim);
	return ir_reshape(elab_builder(e), x, 1, &n);
}

int axis_or_flatten(Elab *e, Value **x, Val axis, Loc loc)
{
	if (axis.kind != V_NONE) return elab_axis(e, axis, (*x)->type->rank, loc);
	*x = flatten_all(e, *x);
	return 0;
}

int elab_choice(Elab *e, Val v, const char *const *names, int n, Loc loc, const char *what)
{
	const char *s = elab_str(e, v, loc, what);
	for (int i = 0; i < n; i++)
		if (!strcmp(s, names[i])) return i;
	StrBuf b;
	sb_init(&b, elab_arena(e));
	for (int i = 0; i < n; i++) sb_printf(&b, "%s\"%s\"", i ? ", " : "", names[i]);
	const char *near = diag_suggest(s, names, n);
	elab_fail(e, loc, "call.choice", "%s \"%s\" is not known: %s%s%s%s", what, s, sb_text(&b), near ? "; did you mean \"" : "",
	          near ? near : "", near ? "\"?" : "");
}
