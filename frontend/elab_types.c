/* Types are values: an annotation is evaluated like any expression, with fresh symbols for the names that nothing else explains, and then
 * unified leaf by leaf with what it is given. What is learnt about the symbols becomes the function's dimensions.
 *
 * In an exported function the dimensions are symbols of their own names from the start; in a function expanded at a call they become
 * the caller's expressions.
 */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

typedef struct Deferred {
	Dim want, have;
	Loc loc;
	const char *what;
	struct Deferred *next;
} Deferred;

/* --- unknowns ------------------------------------------------------------------------------------------------------------- */

Unknown *type_unknown(Frame *f, const char *name)
{
	for (Unknown *u = f->unknowns; u; u = u->next) {
		if (u->name == name) return u;
	}
	return NULL;
}

static Unknown *unknown_of_sym(Elab *e, const char *sym)
{
	for (Frame *f = e->frame; f; f = f->up) {
		for (Unknown *u = f->unknowns; u; u = u->next) {
			if (!strcmp(u->sym, sym)) return u;
		}
	}
	return NULL;
}

void type_know(Elab *e, Unknown *u, Val v)
{
	Frame *f = e->frame;
	u->known = true;
	u->v = v;
	Local *l = NEW(e->arena, Local);
	*l = (Local){.name = u->name, .v = v, .kind = LOCAL_DIM, .depth = f->depth, .loc = u->loc, .next = f->locals};
	f->locals = l;
}

static const Decl *near_dim(Elab *e, const char *name)
{
	/* a capitalised name that differs by one letter from a declared dimension or constant is probably a slip */
	const File *file = e->frame->file->file;
	for (int i = 0; i < file->ndecls; i++) {
		const Decl *d = file->decls[i];
		if ((d->kind != DECL_DIM && d->kind != DECL_CONST) || !d->name.text) continue;
		const char *a = name, *b = d->name.text;
		size_t n = strlen(a);
		if (n < 2 || n != strlen(b) || a[0] < 'A' || a[0] > 'Z') continue;
		int diff = 0;
		for (size_t k = 0; k < n; k++) diff += a[k] != b[k];
		if (diff == 1) return d;
	}
	return NULL;
}

/* dim B in lo..hi step s */
static void declared_range(Elab *e, const char *name, const Decl *d)
{
	int64_t lo = elab_int(e, elab_eval(e, d->u.dim.lo), d->u.dim.lo->loc, "the lower bound of a dimension");
	int64_t hi = elab_int(e, elab_eval(e, d->u.dim.hi), d->u.dim.hi->loc, "the upper bound of a dimension");
	int64_t step = d->u.dim.step ? elab_int(e, elab_eval(e, d->u.dim.step), d->u.dim.step->loc, "the step of a dimension") : 1;
	if (lo < 0 || hi < lo)
		elab_fail(e, d->loc, "dim.range", "the range %lld..%lld of dimension `%s` is empty or negative", (long long)lo, (long long)hi,
		          name);
	if (step < 1) elab_fail(e, d->loc, "dim.step", "the step of dimension `%s` must be positive", name);
	dim_fact_range(e->facts, name, lo, hi, step);
}

enum { MAX_VALUES = 16 };

/* dim B in {1, 8}; dim B in lo..hi with {1, 8} */
static void declared_values(Elab *e, const char *name, const Decl *d)
{
	Loc loc = d->u.dim.values->loc;
	Val v = elab_eval(e, d->u.dim.values);
	int n = v.kind == V_TUPLE ? v.u.items->n : 1, count = 0;
	int64_t at[MAX_VALUES];
	if (n > MAX_VALUES)
		elab_fail(e, loc, "dim.values", "dimension `%s` has %d values: at most %d get a copy of their own", name, n, MAX_VALUES);
	for (int i = 0; i < n; i++) {
		int64_t x = elab_int(e, v.kind == V_TUPLE ? v.u.items->at[i] : v, loc, "a value of a dimension");
		if (x < 0) elab_fail(e, loc, "dim.values", "dimension `%s` can't be %lld", name, (long long)x);
		if (!d->u.dim.only && !dim_allows(e->facts, name, x))
			elab_fail(e, loc, "dim.values", "%lld is outside the range of dimension `%s`", (long long)x, name);
		int k = count++;
		for (; k > 0 && at[k - 1] > x; k--) at[k] = at[k - 1];
		if (k > 0 && at[k - 1] == x) elab_fail(e, loc, "dim.values", "dimension `%s` has the value %lld twice", name, (long long)x);
		at[k] = x;
	}
	dim_fact_values(e->facts, name, at, count, d->u.dim.only);
}

static void declared_facts(Elab *e, const char *name)
{
	const Decl *d;
	if (!scope_is_dim_decl(e, e->frame->file, name, &d)) return;
	Frame f = {.file = e->frame->file, .name = name};
	Frame *saved = e->frame;
	e->frame = &f;
	if (d->u.dim.lo) declared_range(e, name, d);
	if (d->u.dim.values) declared_values(e, name, d);
	e->frame = saved;
}

Unknown *type_unknown_new(Elab *e, Name name)
{
	Frame *f = e->frame;
	Unknown *u = NEW(e->arena, Unknown);
	u->name = name.text;
	u->loc = name.loc;
	u->sym = f->is_export ? name.text : arena_printf(e->arena, "%s'%d", name.text, ++e->serial);
	u->next = f->unknowns;
	f->unknowns = u;
	return u;
}

Val type_unknown_dim(Elab *e, Name name)
{
	Frame *f = e->frame;
	Unknown *u = type_unknown(f, name.text);
	if (!u) {
		u = type_unknown_new(e, name);
		const Decl *near = near_dim(e, name.text);
		if (near) elab_warn(e, name.loc, "dim.near", "`%s` is a new dimension; the file declares `%s`", name.text, near->name.text);
		if (f->is_export) {
			declared_facts(e, name.text);
			type_know(e, u, val_dim(e, dim_sym(e->m->dims, u->sym)));
		}
	}
	return u->known ? u->v : val_dim(e, dim_sym(e->m->dims, u->sym));
}

typedef struct Symbols {
	Elab *e;
	VEC(Unknown *) list;
} Symbols;

static void collect_unknown(void *ctx, const char *sym)
{
	Symbols *s = ctx;
	Unknown *u = strchr(sym, '\'') ? unknown_of_sym(s->e, sym) : NULL;
	if (u) VEC_PUSH(s->e->arena, s->list, u);
}

static Symbols unknowns_in(Elab *e, Dim d)
{
	Symbols s = {.e = e};
	dim_symbols(d, collect_unknown, &s);
	return s;
}

Dim type_subst(Elab *e, Dim d)
{
	Symbols s = unknowns_in(e, d);
	for (int i = 0; i < s.list.n; i++) {
		Unknown *u = s.list.at[i];
		if (u->known && !u->is_dtype) d = dim_subst(e->m->dims, d, u->sym, u->v.kind == V_INT ? dim_int(e->m->dims, u->v.u.i) : u->v.u.dim);
	}
	return d;
}

static bool has_open(Elab *e, Dim d)
{
	Symbols s = unknowns_in(e, d);
	for (int i = 0; i < s.list.n; i++) {
		if (!s.list.at[i]->known) return true;
	}
	return false;
}

/* --- evaluating ----------------------------------------------------------------------------------------------------------- */

bool type_is_type(Val v)
{
	return v.kind == V_DTYPE || v.kind == V_TYPE;
}

Val type_shaped(Elab *e, Val base, const Val *idx, int n, Loc loc)
{
	TypeVal *t = NEW(e->arena, TypeVal);
	Dim dims[MAX_RANK];
	if (base.kind == V_TYPE) *t = *base.u.type; /* a dtype variable as scalar type */
	else t->dtype = base.u.dtype;
	if (base.kind == V_TYPE && (base.u.type->rank || base.u.type->ellipsis))
		elab_fail(e, loc, "type.twice", "%s has a shape already", val_describe(e, base));
	for (int i = 0; i < n; i++) {
		if (idx[i].kind == V_ELLIPSIS) {
			if (t->ellipsis) elab_fail(e, loc, "type.ellipsis", "a shape has at most one `...`");
			t->ellipsis = true, t->ellipsis_at = t->rank;
			continue;
		}
		if (t->rank == MAX_RANK) elab_fail(e, loc, "shape.rank", "a tensor has at most %d axes", MAX_RANK);
		if (idx[i].kind == V_INT && idx[i].u.i < 0)
			elab_fail(e, loc, "shape.negative", "an entry of a shape is %lld", (long long)idx[i].u.i);
		dims[t->rank++] = elab_dim(e, idx[i], idx[i].loc.file ? idx[i].loc : loc, "an entry of a shape");
	}
	t->dims = arena_copy(e->arena, dims, sizeof(Dim) * (size_t)t->rank);
	return (Val){.kind = V_TYPE, .u.type = t, .loc = loc};
}

/* The dtype that NumPy and MLX call so: float32 -> f32. NULL: no such name. */
static const char *dtype_ours(const char *name)
{
	static const char *const pair[][2] = {{"float16", "f16"},  {"bfloat16", "bf16"}, {"float32", "f32"}, {"float64", "f64"},
	                                      {"int8", "i8"},      {"int16", "i16"},     {"int32", "i32"},   {"int64", "i64"},
	                                      {"uint8", "u8"},     {"uint16", "u16"},    {"uint32", "u32"},  {"uint64", "u64"},
	                                      {"complex64", "c64"}};
	for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
		if (!strcmp(pair[i][0], name)) return pair[i][1];
	return NULL;
}

static Val dtype_variable(Elab *e, Name name)
{
	Unknown *u = type_unknown(e->frame, name.text);
	const char *ours = dtype_ours(name.text);
	if (ours) elab_fail_help(e, name.loc, "type.dtype_name", arena_printf(e->arena, "write `%s`", ours), "`%s` is no type", name.text);
	if (e->frame->is_export)
		elab_fail(e, name.loc, "type.export_dtype", "`%s` is no type; an exported function states its dtypes", name.text);
	if (!u) u = type_unknown_new(e, name);
	u->is_dtype = true;
	TypeVal *t = NEW(e->arena, TypeVal);
	t->dtype_var = true;
	t->dtype_name = u->sym;
	return (Val){.kind = V_TYPE, .u.type = t, .loc = name.loc};
}

static bool is_unknown_name(Elab *e, const Expr *x)
{
	Val v;
	return x->kind == EXPR_NAME && !scope_find(e, x->u.name.text, x->loc, &v) &&
	       (!type_unknown(e->frame, x->u.name.text) || !type_unknown(e->frame, x->u.name.text)->known);
}

static Val eval_items(Elab *e, const Expr *x)
{
	int n = x->u.items.n;
	Val *v = NEW_ARRAY(e->arena, Val, n);
	const char **name = NEW_ARRAY(e->arena, const char *, n);
	for (int i = 0; i < n; i++) v[i] = type_eval(e, x->u.items.at[i]->value), name[i] = x->u.items.at[i]->name.text;
	return x->kind == EXPR_RECORD_TYPE ? val_record(e, name, v, n) : val_tuple(e, v, n);
}

static bool has_spread(const Expr *x)
{
	for (int i = 0; i < x->u.items.n; i++) {
		if (x->u.items.at[i]->kind == ITEM_SPREAD) return true;
	}
	return false;
}

Val type_eval(Elab *e, const Expr *x)
{
	bool open = e->frame->types_open;
	Val v;
	if ((x->kind == EXPR_TUPLE || x->kind == EXPR_RECORD_TYPE) && !has_spread(x)) return eval_items(e, x);
	if (x->kind == EXPR_NAME && open && is_unknown_name(e, x)) return dtype_variable(e, x->u.name);
	if (x->kind == EXPR_INDEX && open && is_unknown_name(e, x->u.index.base)) {
		Val idx[MAX_RANK + 2];
		int n = elab_indices(e, &x->u.index.index, idx);
		v = type_shaped(e, dtype_variable(e, x->u.index.base->u.name), idx, n, x->loc);
	} else {
		v = elab_eval(e, x);
	}
	v.loc = x->loc;
	return v;
}

const char *type_text_val(Elab *e, Val t)
{
	if (t.kind == V_DTYPE) return dtype_name(t.u.dtype);
	if (t.kind != V_TYPE) return val_describe(e, t);
	const TypeVal *v = t.u.type;
	StrBuf b;
	sb_init(&b, e->arena);
	sb_put(&b, v->dtype_var ? v->dtype_name : dtype_name(v->dtype));
	bool brackets = v->rank || v->ellipsis;
	if (brackets) sb_putc(&b, '[');
	for (int i = 0; i <= v->rank; i++) {
		if (v->ellipsis && v->ellipsis_at == i) sb_printf(&b, "%s...%s", i ? "," : "", i < v->rank ? "," : "");
		if (i == v->rank) break;
		if (i && !(v->ellipsis && v->ellipsis_at == i)) sb_putc(&b, ',');
		sb_put(&b, dim_str(e->arena, type_subst(e, v->dims[i])));
	}
	if (brackets) sb_putc(&b, ']');
	/* the marks of unknowns are ours, not the user's */
	char *s = arena_strdup(e->arena, sb_text(&b)), *w = s;
	for (char *r = s; *r;) {
		if (*r == '\'') {
			for (r++; *r >= '0' && *r <= '9'; r++) {}
			continue;
		}
		*w++ = *r++;
	}
	*w = 0;
	return s;
}

/* --- unifying ------------------------------------------------------------------------------------------------------------- */

static const char *plain_dim(Elab *e, Dim d)
{
	TypeVal t = {.rank = 1, .dims = &d};
	const char *s = type_text_val(e, (Val){.kind = V_TYPE, .u.type = &t});
	size_t n = strlen(s);
	return arena_strndup(e->arena, s + strlen(dtype_name(0)) + 1, n - strlen(dtype_name(0)) - 2);
}

static void require_dim(Elab *e, Dim want, Dim have, Loc loc, const char *what)
{
	if (dim_equal(want, have) || dim_provable_equal(e->facts, want, have)) return;
	int64_t a, b;
	const char *ws = plain_dim(e, want), *hs = plain_dim(e, have);
	if (dim_is_const(want, &a) && dim_is_const(have, &b)) elab_fail(e, loc, "type.dim", "%s: the type says %s, this is %s", what, ws, hs);
	elab_fail_help(
	    e, loc, "type.dim",
	    arena_printf(e->arena, "if they are always equal, say so at the head of the exported function: `assert %s == %s;`", hs, ws),
	    "%s: the type says %s, this is %s; cannot show that they are equal", what, ws, hs);
}

static bool sym_known(void *ctx, const char *sym)
{
	if (!strchr(sym, '\'')) return true;
	Unknown *u = unknown_of_sym(ctx, sym);
	return !u || u->known;
}

/* False: cannot be decided yet. */
static bool unify_dim(Elab *e, Dim want, Dim have, Loc loc, const char *what)
{
	want = type_subst(e, want), have = type_subst(e, have);
	if (!has_open(e, want)) return require_dim(e, want, have, loc, what), true;
	const char *sym;
	Dim solution;
	if (!dim_solve(e->m->dims, e->facts, want, have, sym_known, e, &sym, &solution)) return false;
	Unknown *u = unknown_of_sym(e, sym);
	int64_t n;
	if (dim_is_const(have, &n) && !dim_is_const(solution, &n))
		elab_fail(e, loc, "type.dim_solve", "%s: no integer `%s` makes %s equal %s", what, u->name, plain_dim(e, want), plain_dim(e, have));
	if (dim_is_const(solution, &n) && n < 0) elab_fail(e, loc, "type.dim_solve", "%s: `%s` would be %lld", what, u->name, (long long)n);
	type_know(e, u, val_dim(e, solution));
	return true;
}

static void unify_shape_entry(Elab *e, Dim want, Dim have, Loc loc, const char *what)
{
	if (unify_dim(e, want, have, loc, what)) return;
	Deferred *d = NEW(e->arena, Deferred);
	*d = (Deferred){want, have, loc, what, e->frame->deferred};
	e->frame->deferred = d;
}

void type_check_deferred(Elab *e)
{
	bool progress = true;
	while (e->frame->deferred && progress) {
		progress = false;
		Deferred *list = e->frame->deferred;
		e->frame->deferred = NULL;
		for (Deferred *d = list; d; d = d->next) {
			if (unify_dim(e, d->want, d->have, d->loc, d->what)) {
				progress = true;
				continue;
			}
			Deferred *keep = arena_copy(e->arena, d, sizeof *d);
			keep->next = e->frame->deferred;
			e->frame->deferred = keep;
		}
	}
	Deferred *d = e->frame->deferred;
	if (!d) return;
	Dim want = type_subst(e, d->want), have = type_subst(e, d->have);
	Symbols s = unknowns_in(e, want);
	int64_t n;
	if (s.list.n == 1 && dim_is_const(have, &n))
		elab_fail(e, d->loc, "type.dim_solve", "%s: no integer `%s` makes %s equal %s", d->what, s.list.at[0]->name, plain_dim(e, want),
		          plain_dim(e, have));
	const char *name = s.list.n ? s.list.at[0]->name : "?";
	elab_fail_help(e, d->loc, "type.dim_open", arena_printf(e->arena, "give it by name: `%s=…`", name),
	               "%s: the dimension `%s` cannot be found from %s", d->what, name, plain_dim(e, type_subst(e, d->want)));
}

static void unify_dtype(Elab *e, const TypeVal *t, Value *x, Loc loc, const char *what, Val tv)
{
	DType want = t->dtype;
	if (t->dtype_var) {
		Unknown *u = unknown_of_sym(e, t->dtype_name);
		if (!u->known) {
			type_know(e, u, val_dtype(x->type->dtype));
			return;
		}
		if (u->v.kind != V_DTYPE) elab_fail(e, loc, "type.dtype", "%s: `%s` is a dimension, not a dtype", what, u->name);
		want = u->v.u.dtype;
	}
	if (want == x->type->dtype) return;
	elab_fail_help(e, loc, "type.dtype", arena_printf(e->arena, "convert it: `.astype(%s)`", dtype_name(want)),
	               "%s has dtype %s, its type is %s", what, dtype_name(x->type->dtype),
	               t->dtype_var ? dtype_name(want) : type_text_val(e, tv));
}

static Val unify_tensor(Elab *e, Val tv, Val v, Loc loc, const char *what)
{
	const TypeVal *t = tv.u.type;
	Unknown *u = t->dtype_var ? unknown_of_sym(e, t->dtype_name) : NULL;
	DType like = u && u->known && u->v.kind == V_DTYPE ? u->v.u.dtype : t->dtype;
	bool typed = !u || u->known;
	if (val_is_weak(v)) {
		if (t->rank) elab_fail(e, loc, "type.rank", "%s must be %s, not %s", what, type_text_val(e, tv), val_describe(e, v));
		if (!typed) return v;
		if (!weak_fits(v, like)) elab_fail(e, loc, "type.number", "%s must be %s, not %s", what, type_text_val(e, tv), val_describe(e, v));
		v = val_tensor(ir_convert(&e->b, elab_tensor(e, v, &like, loc, what), like));
	}
	if (v.kind == V_LIST) {
		Value *x = elab_tensor(e, v, NULL, loc, what);
		/* a list of numbers is weak, as a number is */
		bool fits = weak_fits(val_tensor(x), like) && typed && x->def && value_const(x);
		v = val_tensor(fits ? ir_convert(&e->b, x, like) : x);
	}
	if (v.kind != V_TENSOR) elab_fail(e, loc, "type.kind", "%s must be %s, not %s", what, type_text_val(e, tv), val_describe(e, v));
	Value *x = elab_here(e, v).u.tensor;
	unify_dtype(e, t, x, loc, what, tv);
	int have = x->type->rank;
	if (t->ellipsis ? have < t->rank : have != t->rank)
		elab_fail(e, loc, "type.rank", "%s is %s, its type is %s", what, type_str(e->arena, x->type), type_text_val(e, tv));
	for (int i = 0; i < t->rank; i++) {
		int axis = t->ellipsis && i >= t->ellipsis_at ? have - t->rank + i : i;
		const char *w = arena_printf(e->arena, "%s, axis %d of %s", what, axis, type_str(e->arena, x->type));
		unify_shape_entry(e, t->dims[i], x->type->dim[axis], loc, w);
	}
	Val r = val_tensor(x);
	r.loc = v.loc;
	return r;
}

static Val unify_scalar(Elab *e, DType d, Val v, Loc loc, const char *what)
{
	TypeVal *t = NEW(e->arena, TypeVal);
	t->dtype = d;
	return unify_tensor(e, (Val){.kind = V_TYPE, .u.type = t}, v, loc, what);
}

static _Noreturn void type_kind(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	if (v.kind == V_MODULE_DECL || (v.kind == V_MODULE && t.kind == V_MODULE))
		elab_fail(e, loc, "type.module", "%s must be %s, not %s", what, val_describe(e, t), val_describe(e, v));
	elab_fail(e, loc, "type.kind", "%s must be %s, not %s", what, val_describe(e, t), val_describe(e, v));
}

static Val unify_items(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	bool record = t.kind == V_RECORD;
	if (record ? v.kind != V_RECORD : v.kind != V_TUPLE && v.kind != V_LIST) type_kind(e, t, v, loc, what);
	const Items *a = t.u.items, *b = v.u.items;
	if (!record && a->n != b->n) elab_fail(e, loc, "type.length", "%s must have %d elements, not %d", what, a->n, b->n);
	Items *r = (Items *)items_new(e, a->at, a->name, a->n);
	for (int i = 0; i < a->n; i++) {
		int k = record ? items_find(b, a->name[i]) : i;
		if (k < 0) elab_fail(e, loc, "type.field", "%s has no field `%s`", what, a->name[i]);
		const char *part =
		    record ? arena_printf(e->arena, "field `%s` of %s", a->name[i], what) : arena_printf(e->arena, "element %d of %s", i, what);
		r->at[i] = type_unify(e, a->at[i], b->at[k], loc, part);
	}
	for (int i = 0; record && i < b->n; i++) {
		if (items_find(a, b->name[i]) < 0) elab_fail(e, loc, "type.field", "%s has a field `%s` that its type has not", what, b->name[i]);
	}
	v.kind = t.kind;
	v.u.items = r;
	return v;
}

static void unify_args(Elab *e, const ModuleTree *t, const ModuleTree *v, Loc loc, const char *what)
{
	for (int i = 0; i < t->nargs && i < v->nargs; i++) {
		Val a = t->args[i], b = v->args[i];
		bool dims = (a.kind == V_DIM || a.kind == V_INT) && (b.kind == V_DIM || b.kind == V_INT);
		const char *w = arena_printf(e->arena, "%s, the argument `%s` of the module `%s`", what, t->members[i].name, t->name);
		if (dims) {
			Dim x = a.kind == V_DIM ? a.u.dim : dim_int(e->m->dims, a.u.i), y = b.kind == V_DIM ? b.u.dim : dim_int(e->m->dims, b.u.i);
			unify_shape_entry(e, x, y, loc, w);
			continue;
		}
		bool plain = val_is_number(a) || a.kind == V_STR || a.kind == V_NONE;
		if (plain && !val_equal(e, a, b))
			elab_fail(e, loc, "type.module_args", "%s: the type has %s, this has %s", w, val_describe(e, a), val_describe(e, b));
	}
}

static Val unify_module(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	if (v.kind != V_MODULE || v.u.module->decl->decl != t.u.module->decl->decl) type_kind(e, t, v, loc, what);
	const ModuleTree *a = t.u.module, *b = v.u.module;
	unify_args(e, a, b, loc, what);
	if (a->n != b->n) elab_fail(e, loc, "type.module", "%s has other members than the module `%s` of its type", what, a->name);
	ModuleTree *r = module_copy(e, b);
	for (int i = 0; i < a->n; i++) {
		const MemberVal *x = &a->members[i], *y = &b->members[i];
		if (x->kind != MK_PARAM && x->kind != MK_BUFFER && x->kind != MK_SUB) continue;
		const char *w = arena_printf(e->arena, "`%s` of %s", x->name, what);
		if (x->kind != y->kind && x->v.kind != V_NONE && y->v.kind != V_NONE)
			elab_fail(e, loc, "type.member_kind", "%s is a %s, its type has a %s", w, y->kind == MK_BUFFER ? "buffer" : "parameter",
			          x->kind == MK_BUFFER ? "buffer" : "parameter");
		((MemberVal *)r->members)[i].v = type_unify(e, x->v, y->v, loc, w);
	}
	v.u.module = r;
	return v;
}

static Val unify_stack(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	if (v.kind != V_STACK) type_kind(e, t, v, loc, what);
	unify_shape_entry(e, t.u.stack->n, v.u.stack->n, loc, arena_printf(e->arena, "the length of %s", what));
	Val r =
	    val_stack(e, type_unify(e, t.u.stack->elem, v.u.stack->elem, loc, arena_printf(e->arena, "an element of %s", what)), v.u.stack->n);
	r.loc = v.loc;
	return r;
}

static Val unify_builtin(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	const char *name = t.u.builtin->name;
	bool is_int = !strcmp(name, "int"), is_float = !strcmp(name, "float"), is_str = !strcmp(name, "str");
	if (!is_int && !is_float && !is_str) elab_fail(e, t.loc.file ? t.loc : loc, "type.not_a_type", "%s is not a type", val_describe(e, t));
	if (is_int && (v.kind == V_INT || v.kind == V_DIM)) return v;
	if (is_float && v.kind == V_FLOAT) return v;
	if (is_float && v.kind == V_INT) return val_float((double)v.u.i);
	if (is_str && v.kind == V_STR) return v;
	if (v.kind == V_TENSOR)
		elab_fail(e, loc, "type.compile_time", "%s must be %s known while compiling; this is a tensor, %s", what,
		          is_int     ? "an integer"
		          : is_float ? "a number"
		                     : "a string",
		          val_describe(e, v));
	elab_fail(e, loc, "type.kind", "%s must be %s, not %s", what,
	          is_int     ? "an integer"
	          : is_float ? "a number"
	                     : "a string",
	          val_describe(e, v));
}

Val type_unify(Elab *e, Val t, Val v, Loc loc, const char *what)
{
	if (v.kind == V_MODULE && t.kind == V_MODULE && val_module_is_description(v) && val_module_is_description(t) &&
	    v.u.module->decl->decl == t.u.module->decl->decl)
		elab_fail_help(e, loc, "type.description", arena_printf(e->arena, "give it numbers: `%s.init(key)`", v.u.module->name),
		               "%s is a module without numbers", what);
	switch (t.kind) {
	case V_DTYPE: return unify_scalar(e, t.u.dtype, v, loc, what);
	case V_TYPE: return unify_tensor(e, t, v, loc, what);
	case V_TUPLE:
	case V_LIST:
	case V_RECORD: return unify_items(e, t, v, loc, what);
	case V_MODULE: return unify_module(e, t, v, loc, what);
	case V_STACK: return unify_stack(e, t, v, loc, what);
	case V_FN:
	case V_WRAPPED:
		/* a function among the layers of a model */
		if (elab_is_callable(v)) return v;
		elab_fail(e, t.loc.file ? t.loc : loc, "type.not_a_type", "%s is not a type", val_describe(e, t));
	case V_BUILTIN: return elab_is_callable(v) ? v : unify_builtin(e, t, v, loc, what);
	case V_NONE:
		if (v.kind == V_NONE) return v;
		elab_fail(e, loc, "type.kind", "%s must be `none`, not %s", what, val_describe(e, v));
	case V_MODULE_DECL:
		elab_fail(e, t.loc.file ? t.loc : loc, "type.module_args", "the module `%s` needs its arguments to be a type: `%s(…)`",
		          t.u.decl->decl->name.text, t.u.decl->decl->name.text);
	default: elab_fail(e, t.loc.file ? t.loc : loc, "type.not_a_type", "%s is not a type", val_describe(e, t));
	}
}
