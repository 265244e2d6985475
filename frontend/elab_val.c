/* Values: constructors, walks over trees, identity, keys and descriptions. */
#include "elab_core.h"
#include <string.h>

Val val_none(void)
{
	return (Val){.kind = V_NONE};
}
Val val_bool(bool b)
{
	return (Val){.kind = V_BOOL, .u.b = b};
}
Val val_int(int64_t i)
{
	return (Val){.kind = V_INT, .u.i = i};
}
Val val_float(double f)
{
	return (Val){.kind = V_FLOAT, .u.f = f};
}
Val val_tensor(Value *v)
{
	return (Val){.kind = V_TENSOR, .u.tensor = v};
}
Val val_dtype(DType d)
{
	return (Val){.kind = V_DTYPE, .u.dtype = d};
}
Val val_module(const ModuleTree *m)
{
	return (Val){.kind = V_MODULE, .u.module = m};
}

Val val_str(Elab *e, const char *s)
{
	Val v = {.kind = V_STR};
	v.u.str.at = arena_strdup(e->arena, s);
	v.u.str.n = strlen(s);
	return v;
}

Val val_dim(Elab *e, Dim d)
{
	int64_t n;
	if (dim_is_const(d, &n)) return val_int(n);
	return (Val){.kind = V_DIM, .u.dim = d};
}

const Items *items_new(Elab *e, const Val *v, const char *const *name, int n)
{
	Items *it = NEW(e->arena, Items);
	it->n = n;
	it->at = arena_copy(e->arena, v, sizeof(Val) * (size_t)n);
	if (name) it->name = arena_copy(e->arena, name, sizeof(char *) * (size_t)n);
	return it;
}

int items_find(const Items *it, const char *name)
{
	for (int i = 0; i < it->n; i++) {
		if (!strcmp(it->name[i], name)) return i;
	}
	return -1;
}

Val val_tuple(Elab *e, const Val *v, int n)
{
	return (Val){.kind = V_TUPLE, .u.items = items_new(e, v, NULL, n)};
}
Val val_list(Elab *e, const Val *v, int n)
{
	return (Val){.kind = V_LIST, .u.items = items_new(e, v, NULL, n)};
}
Val val_record(Elab *e, const char *const *name, const Val *v, int n)
{
	return (Val){.kind = V_RECORD, .u.items = items_new(e, v, name, n)};
}

Val val_stack(Elab *e, Val elem, Dim n)
{
	Stack *s = NEW(e->arena, Stack);
	s->elem = elem, s->n = n;
	return (Val){.kind = V_STACK, .u.stack = s};
}

Val val_type(Elab *e, DType d, int rank, const Dim *dims)
{
	if (!rank) return val_dtype(d);
	TypeVal *t = NEW(e->arena, TypeVal);
	t->dtype = d, t->rank = rank;
	t->dims = arena_copy(e->arena, dims, sizeof(Dim) * (size_t)rank);
	return (Val){.kind = V_TYPE, .u.type = t};
}

Val val_wrapped(Elab *e, Wrapped w)
{
	return (Val){.kind = V_WRAPPED, .u.wrapped = arena_copy(e->arena, &w, sizeof w)};
}

ModuleTree *module_copy(Elab *e, const ModuleTree *m)
{
	ModuleTree *c = arena_copy(e->arena, m, sizeof *m);
	c->members = arena_copy(e->arena, m->members, sizeof(MemberVal) * (size_t)m->n);
	return c;
}

bool val_is_number(Val v)
{
	return v.kind == V_BOOL || v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_COMPLEX;
}
bool val_is_weak(Val v)
{
	return val_is_number(v) || v.kind == V_DIM || (v.kind == V_TENSOR && v.weak);
}
bool val_is_tree(Val v)
{
	return v.kind == V_TUPLE || v.kind == V_LIST || v.kind == V_RECORD || v.kind == V_MODULE || v.kind == V_STACK;
}

bool val_shape(Elab *e, Val v, DType *d, int *rank, Dim *dims)
{
	if (v.kind == V_TENSOR) {
		*d = v.u.tensor->type->dtype, *rank = v.u.tensor->type->rank;
		memcpy(dims, v.u.tensor->type->dim, sizeof(Dim) * (size_t)*rank);
		return true;
	}
	if (v.kind == V_DTYPE) return *d = v.u.dtype, *rank = 0, true;
	if (v.kind != V_TYPE || v.u.type->ellipsis) return false;
	*d = v.u.type->dtype, *rank = v.u.type->rank;
	for (int i = 0; i < *rank; i++) dims[i] = type_subst(e, v.u.type->dims[i]);
	return true;
}

/* --- walks ---------------------------------------------------------------------------------------------------------------- */

static bool member_is_tree(MemberKindV k)
{
	return k == MK_PARAM || k == MK_BUFFER || k == MK_SUB;
}

static Val map_items(Elab *e, Val v, LeafFn fn, void *ctx, Val (*walk)(Elab *, Val, LeafFn, void *))
{
	const Items *it = v.u.items;
	Items *r = NULL;
	for (int i = 0; i < it->n; i++) {
		Val x = walk(e, it->at[i], fn, ctx);
		if (!r && val_same(x, it->at[i])) continue;
		if (!r) r = (Items *)items_new(e, it->at, it->name, it->n);
		r->at[i] = x;
	}
	if (r) v.u.items = r;
	return v;
}

static Val map_stack(Elab *e, Val v, LeafFn fn, void *ctx, Val (*walk)(Elab *, Val, LeafFn, void *))
{
	Val elem = walk(e, v.u.stack->elem, fn, ctx);
	if (val_same(elem, v.u.stack->elem)) return v;
	Val r = val_stack(e, elem, v.u.stack->n);
	r.loc = v.loc;
	return r;
}

Val val_map(Elab *e, Val v, LeafFn fn, void *ctx)
{
	switch (v.kind) {
	case V_TUPLE:
	case V_LIST:
	case V_RECORD: return map_items(e, v, fn, ctx, val_map);
	case V_STACK: return map_stack(e, v, fn, ctx, val_map);
	case V_MODULE: {
		ModuleTree *m = NULL;
		for (int i = 0; i < v.u.module->n; i++) {
			const MemberVal *mem = &v.u.module->members[i];
			if (!member_is_tree(mem->kind)) continue;
			Val x = val_map(e, mem->v, fn, ctx);
			if (!m && val_same(x, mem->v)) continue;
			if (!m) m = module_copy(e, v.u.module);
			((MemberVal *)m->members)[i].v = x;
		}
		if (m) v.u.module = m;
		return v;
	}
	default: return fn(e, ctx, v);
	}
}

static Val map_module_captured(Elab *e, Val v, LeafFn fn, void *ctx)
{
	ModuleTree *m = NULL;
	for (int i = 0; i < v.u.module->n; i++) {
		const MemberVal *mem = &v.u.module->members[i];
		Val x = mem->kind == MK_SHARED ? mem->v : val_map_captured(e, mem->v, fn, ctx);
		Val init = val_map_captured(e, mem->init, fn, ctx);
		if (!m && val_same(x, mem->v) && val_same(init, mem->init)) continue;
		if (!m) m = module_copy(e, v.u.module);
		((MemberVal *)m->members)[i].v = x;
		((MemberVal *)m->members)[i].init = init;
	}
	Val *args = NULL;
	for (int i = 0; i < v.u.module->nargs; i++) {
		Val x = val_map_captured(e, v.u.module->args[i], fn, ctx);
		if (!args && val_same(x, v.u.module->args[i])) continue;
		if (!args) args = arena_copy(e->arena, v.u.module->args, sizeof(Val) * (size_t)v.u.module->nargs);
		args[i] = x;
	}
	if (args && !m) m = module_copy(e, v.u.module);
	if (args) m->args = args;
	if (m) v.u.module = m;
	return v;
}

static Val map_fn_captured(Elab *e, Val v, LeafFn fn, void *ctx)
{
	const FnVal *f = v.u.fn;
	FnVal r = *f;
	bool changed = false;
	if (f->self) {
		Val s = val_map_captured(e, *f->self, fn, ctx);
		if (!val_same(s, *f->self)) r.self = arena_copy(e->arena, &s, sizeof s), changed = true;
	}
	Local *first = NULL, **tail = &first;
	bool locals = false;
	for (const Local *l = f->captured; l; l = l->next) {
		Local *c = arena_copy(e->arena, l, sizeof *l);
		c->v = val_map_captured(e, l->v, fn, ctx);
		locals |= !val_same(c->v, l->v);
		*tail = c, tail = &c->next;
	}
	if (locals) r.captured = first, changed = true;
	if (changed) v.u.fn = arena_copy(e->arena, &r, sizeof r);
	return v;
}

static Val map_wrapped_captured(Elab *e, Val v, LeafFn fn, void *ctx)
{
	Wrapped w = *v.u.wrapped;
	w.fn = val_map_captured(e, w.fn, fn, ctx);
	bool changed = !val_same(w.fn, v.u.wrapped->fn);
	Val *extra = NEW_ARRAY(e->arena, Val, w.nextra);
	for (int i = 0; i < w.nextra; i++) {
		extra[i] = val_map_captured(e, w.extra[i], fn, ctx);
		changed |= !val_same(extra[i], w.extra[i]);
	}
	if (!changed) return v;
	w.extra = extra;
	Val r = val_wrapped(e, w);
	r.loc = v.loc;
	return r;
}

Val val_map_captured(Elab *e, Val v, LeafFn fn, void *ctx)
{
	switch (v.kind) {
	case V_TUPLE:
	case V_LIST:
	case V_RECORD: return map_items(e, v, fn, ctx, val_map_captured);
	case V_STACK: return map_stack(e, v, fn, ctx, val_map_captured);
	case V_MODULE: return map_module_captured(e, v, fn, ctx);
	case V_FN: return map_fn_captured(e, v, fn, ctx);
	case V_WRAPPED: return map_wrapped_captured(e, v, fn, ctx);
	default: return fn(e, ctx, v);
	}
}

static const char *join_path(Elab *e, const char *path, const char *name)
{
	return *path ? arena_printf(e->arena, "%s.%s", path, name) : name;
}

static bool same_structure(Val a, Val b)
{
	if (a.kind != b.kind) return false;
	if (a.kind == V_STACK) return true;
	if (a.kind == V_MODULE) return a.u.module->decl == b.u.module->decl && a.u.module->n == b.u.module->n;
	if (a.u.items->n != b.u.items->n) return false;
	for (int i = 0; a.kind == V_RECORD && i < a.u.items->n; i++) {
		if (strcmp(a.u.items->name[i], b.u.items->name[i])) return false;
	}
	return true;
}

Val val_map2(Elab *e, Val a, Val b, LeafFn2 fn, void *ctx, const char *path)
{
	if (!val_is_tree(a) || !val_is_tree(b) || !same_structure(a, b)) return fn(e, ctx, a, b, path);
	if (a.kind == V_STACK) {
		if (!dim_equal(a.u.stack->n, b.u.stack->n)) return fn(e, ctx, a, b, path);
		return val_stack(e, val_map2(e, a.u.stack->elem, b.u.stack->elem, fn, ctx, join_path(e, path, "*")), a.u.stack->n);
	}
	if (a.kind == V_MODULE) {
		ModuleTree *m = module_copy(e, a.u.module);
		for (int i = 0; i < m->n; i++) {
			const MemberVal *x = &a.u.module->members[i], *y = &b.u.module->members[i];
			if (!member_is_tree(x->kind)) continue;
			((MemberVal *)m->members)[i].v = val_map2(e, x->v, y->v, fn, ctx, join_path(e, path, x->name));
		}
		a.u.module = m;
		return a;
	}
	Items *r = (Items *)items_new(e, a.u.items->at, a.u.items->name, a.u.items->n);
	for (int i = 0; i < r->n; i++) {
		const char *name = r->name ? r->name[i] : arena_printf(e->arena, "%d", i);
		r->at[i] = val_map2(e, a.u.items->at[i], b.u.items->at[i], fn, ctx, join_path(e, path, name));
	}
	a.u.items = r;
	return a;
}

/* --- identity ------------------------------------------------------------------------------------------------------------- */

static bool same_items(const Items *a, const Items *b)
{
	if (a == b) return true;
	if (a->n != b->n || !a->name != !b->name) return false;
	for (int i = 0; i < a->n; i++) {
		if ((a->name && strcmp(a->name[i], b->name[i])) || !val_same(a->at[i], b->at[i])) return false;
	}
	return true;
}

static bool same_module(const ModuleTree *a, const ModuleTree *b)
{
	if (a == b) return true;
	if (a->decl != b->decl || a->n != b->n) return false;
	for (int i = 0; i < a->n; i++) {
		if (a->members[i].kind != b->members[i].kind || !val_same(a->members[i].v, b->members[i].v)) return false;
	}
	return true;
}

static bool same_type(const TypeVal *a, const TypeVal *b)
{
	if (a == b) return true;
	if (a->dtype != b->dtype || a->rank != b->rank || a->ellipsis != b->ellipsis || a->dtype_var != b->dtype_var ||
	    a->any_dtype != b->any_dtype)
		return false;
	for (int i = 0; i < a->rank; i++) {
		if (!dim_equal(a->dims[i], b->dims[i])) return false;
	}
	return !a->dtype_var || !strcmp(a->dtype_name, b->dtype_name);
}

static bool same_part(const Val *a, const Val *b)
{
	return a == b || (a && b && val_same(*a, *b));
}

bool val_same(Val a, Val b)
{
	if (a.kind != b.kind) return false;
	switch (a.kind) {
	case V_NONE:
	case V_ELLIPSIS:
	case V_DEVICE: return true;
	case V_BOOL: return a.u.b == b.u.b;
	case V_INT: return a.u.i == b.u.i;
	case V_FLOAT: return memcmp(&a.u.f, &b.u.f, sizeof a.u.f) == 0;
	case V_COMPLEX: return memcmp(&a.u.c, &b.u.c, sizeof a.u.c) == 0;
	case V_STR: return a.u.str.n == b.u.str.n && !memcmp(a.u.str.at, b.u.str.at, a.u.str.n);
	case V_DIM: return dim_equal(a.u.dim, b.u.dim);
	case V_TENSOR: return a.u.tensor == b.u.tensor;
	case V_TUPLE:
	case V_LIST:
	case V_RECORD: return same_items(a.u.items, b.u.items);
	case V_RANGE:
	case V_SLICE:
		return same_part(a.u.range.lo, b.u.range.lo) && same_part(a.u.range.hi, b.u.range.hi) && same_part(a.u.range.step, b.u.range.step);
	case V_FN: return a.u.fn == b.u.fn || (a.u.fn->fn && a.u.fn->fn == b.u.fn->fn && !a.u.fn->self && !b.u.fn->self);
	case V_BUILTIN: return a.u.builtin == b.u.builtin;
	case V_WRAPPED: return a.u.wrapped == b.u.wrapped;
	case V_MODULE_DECL: return a.u.decl->decl == b.u.decl->decl;
	case V_MODULE: return same_module(a.u.module, b.u.module);
	case V_STACK: return a.u.stack == b.u.stack || (dim_equal(a.u.stack->n, b.u.stack->n) && val_same(a.u.stack->elem, b.u.stack->elem));
	case V_DTYPE: return a.u.dtype == b.u.dtype;
	case V_TYPE: return same_type(a.u.type, b.u.type);
	case V_NAMESPACE: return a.u.scope == b.u.scope;
	}
	return false;
}

static void key_items(Elab *e, StrBuf *out, const Items *it)
{
	for (int i = 0; i < it->n; i++) {
		if (it->name) sb_printf(out, "%s=", it->name[i]);
		val_key(e, out, it->at[i]);
		sb_putc(out, ',');
	}
}

static void key_module(Elab *e, StrBuf *out, const ModuleTree *m)
{
	sb_printf(out, "M%p{", (const void *)m->decl->decl);
	for (int i = 0; i < m->n; i++) {
		sb_printf(out, "%d%s=", m->members[i].kind, m->members[i].name);
		if (m->members[i].kind == MK_SHARED) sb_put(out, m->members[i].shared);
		else val_key(e, out, m->members[i].v);
		sb_putc(out, ',');
	}
	sb_putc(out, '}');
}

void val_key(Elab *e, StrBuf *out, Val v)
{
	switch (v.kind) {
	case V_NONE: sb_put(out, "none"); break;
	case V_BOOL: sb_put(out, v.u.b ? "true" : "false"); break;
	case V_INT: sb_printf(out, "%lld", (long long)v.u.i); break;
	case V_FLOAT: sb_printf(out, "%a", v.u.f); break;
	case V_COMPLEX: sb_printf(out, "%a+%aj", v.u.c.re, v.u.c.im); break;
	case V_STR: sb_printf(out, "'%zu:", v.u.str.n), sb_putn(out, v.u.str.at, v.u.str.n); break;
	case V_DIM: sb_put(out, dim_str(e->arena, v.u.dim)); break;
	case V_TENSOR: sb_printf(out, "%s%s", v.weak ? "w" : "t", type_str(e->arena, v.u.tensor->type)); break;
	case V_TUPLE: sb_putc(out, '('), key_items(e, out, v.u.items), sb_putc(out, ')'); break;
	case V_LIST: sb_putc(out, '['), key_items(e, out, v.u.items), sb_putc(out, ']'); break;
	case V_RECORD: sb_putc(out, '{'), key_items(e, out, v.u.items), sb_putc(out, '}'); break;
	case V_MODULE: key_module(e, out, v.u.module); break;
	case V_STACK: sb_printf(out, "S%s", dim_str(e->arena, v.u.stack->n)), val_key(e, out, v.u.stack->elem); break;
	case V_DTYPE: sb_put(out, dtype_name(v.u.dtype)); break;
	case V_TYPE: sb_put(out, type_text_val(e, v)); break;
	case V_FN:
		if (v.u.fn->fn && !v.u.fn->self) sb_printf(out, "F%p", (const void *)v.u.fn->fn);
		else sb_printf(out, "f%p", (const void *)v.u.fn);
		break;
	default: sb_printf(out, "%d:%p", v.kind, (const void *)v.u.fn); break;
	}
}

bool val_module_is_description(Val v)
{
	if (v.kind == V_STACK) return val_module_is_description(v.u.stack->elem);
	if (v.kind == V_TUPLE || v.kind == V_LIST || v.kind == V_RECORD) {
		for (int i = 0; i < v.u.items->n; i++) {
			if (val_module_is_description(v.u.items->at[i])) return true;
		}
		return false;
	}
	if (v.kind == V_TYPE || v.kind == V_DTYPE) return true;
	if (v.kind != V_MODULE) return false;
	for (int i = 0; i < v.u.module->n; i++) {
		const MemberVal *m = &v.u.module->members[i];
		if (member_is_tree(m->kind) && val_module_is_description(m->v)) return true;
	}
	return false;
}

/* --- descriptions --------------------------------------------------------------------------------------------------------- */

static const char *describe_fn(Elab *e, const FnVal *f)
{
	if (f->is_init) return "the function `init`";
	if (!f->fn) return "a lambda";
	if (!f->fn->name.text) return "the function of a module";
	return arena_printf(e->arena, "the function `%s`", f->fn->name.text);
}

const char *val_describe(Elab *e, Val v)
{
	Arena *a = e->arena;
	switch (v.kind) {
	case V_NONE: return "`none`";
	case V_BOOL: return v.u.b ? "`true`" : "`false`";
	case V_INT: return arena_printf(a, "the integer %lld", (long long)v.u.i);
	case V_FLOAT: return arena_printf(a, "the number %g", v.u.f);
	case V_COMPLEX: return arena_printf(a, "the number %g%+gj", v.u.c.re, v.u.c.im);
	case V_STR:
		return arena_printf(a, "the string \"%.*s%s\"", v.u.str.n > 40 ? 40 : (int)v.u.str.n, v.u.str.at, v.u.str.n > 40 ? "…" : "");
	case V_DIM: return arena_printf(a, "the dimension %s", dim_str(a, v.u.dim));
	case V_TENSOR: return type_str(a, v.u.tensor->type);
	case V_TUPLE: return arena_printf(a, "a tuple of %d", v.u.items->n);
	case V_LIST: return arena_printf(a, "a list of %d", v.u.items->n);
	case V_RECORD: return arena_printf(a, "a record of %d", v.u.items->n);
	case V_RANGE: return "a range";
	case V_FN: return describe_fn(e, v.u.fn);
	case V_BUILTIN: return arena_printf(a, "the function `%s`", v.u.builtin->name);
	case V_WRAPPED: return arena_printf(a, "a function made by `%s`", v.u.wrapped->name);
	case V_MODULE_DECL: return arena_printf(a, "the module `%s` without its arguments", v.u.decl->decl->name.text);
	case V_MODULE:
		return arena_printf(a, "%s `%s`", val_module_is_description(v) ? "the module" : "a value of the module", v.u.module->name);
	case V_STACK: return arena_printf(a, "an array of %s", dim_str(a, v.u.stack->n));
	case V_DTYPE: return arena_printf(a, "the type `%s`", dtype_name(v.u.dtype));
	case V_TYPE: return arena_printf(a, "the type `%s`", type_text_val(e, v));
	case V_NAMESPACE: return "an imported file";
	case V_ELLIPSIS: return "`...`";
	case V_SLICE: return "a slice";
	case V_DEVICE: return "a device";
	}
	return "a value";
}
