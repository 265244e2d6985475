/* Modules: a declaration called with arguments gives a description, a tree with types where the numbers will be; `init`, `new` and `load`
 * give it numbers. Both are copyable trees of members; arrays of modules have a leading axis on every leaf.
 */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

static bool is_state(MemberKindV k)
{
	return k == MK_PARAM || k == MK_BUFFER || k == MK_SUB || k == MK_SHARED;
}

/* --- members ------------------------------------------------------------------------------------------------------------------- */

/* The last member of that name: a parameter may have the name of the constructor argument that decides on it. */
static int find_member(const ModuleTree *m, const char *name)
{
	for (int i = m->n - 1; i >= 0; i--) {
		if (!strcmp(m->members[i].name, name)) return i;
	}
	return -1;
}

bool module_member_is_state(const ModuleTree *m, const char *name)
{
	int i = find_member(m, name);
	return i >= 0 && is_state(m->members[i].kind);
}

static bool path_lookup(Elab *e, Val v, const char *path, Val *out)
{
	while (*path) {
		size_t n = strcspn(path, ".");
		const char *name = arena_strndup(e->arena, path, n);
		if (v.kind == V_MODULE && module_member(e, v.u.module, name, &v)) {
		} else if (v.kind == V_RECORD && items_find(v.u.items, name) >= 0) {
			v = v.u.items->at[items_find(v.u.items, name)];
		} else {
			return false;
		}
		path += n + (path[n] == '.');
	}
	*out = v;
	return true;
}

bool module_member(Elab *e, const ModuleTree *m, const char *name, Val *out)
{
	int i = find_member(m, name);
	if (i < 0) return false;
	if (m->members[i].kind == MK_SHARED) return path_lookup(e, val_module(m), m->members[i].shared, out);
	*out = m->members[i].v;
	return true;
}

bool module_find_method(const ModuleTree *m, const char *name, const Fn **fn)
{
	const Decl *d = m->decl->decl;
	for (int i = 0; i < d->u.module.n; i++) {
		const Member *mem = d->u.module.members[i];
		if (mem->kind != MEMBER_FN) continue;
		const char *own = mem->fn->name.text && *mem->fn->name.text ? mem->fn->name.text : NULL;
		if (name ? own && !strcmp(own, name) : !own) return *fn = mem->fn, true;
	}
	return false;
}

Val module_method(Elab *e, Val self, const Fn *fn)
{
	FnVal f = {.fn = fn, .file = self.u.module->decl->file, .self = arena_copy(e->arena, &self, sizeof self)};
	return (Val){.kind = V_FN, .u.fn = arena_copy(e->arena, &f, sizeof f)};
}

static Val standard(Elab *e, Val self, bool load)
{
	FnVal f = {.is_init = !load, .is_load = load, .file = self.u.module->decl->file, .self = arena_copy(e->arena, &self, sizeof self)};
	return (Val){.kind = V_FN, .u.fn = arena_copy(e->arena, &f, sizeof f)};
}

bool module_scope_lookup(Elab *e, Val self, const char *name, Val *out)
{
	if (self.kind != V_MODULE) return false;
	if (module_member(e, self.u.module, name, out)) return true;
	const Fn *fn;
	/* `init` is also the standard module of initialisers, which members use: the method is `self.init` */
	if (strcmp(name, "init") && module_find_method(self.u.module, name, &fn)) return *out = module_method(e, self, fn), true;
	return false;
}

bool module_lookup(Elab *e, Val self, const char *name, Val *out)
{
	const Fn *fn;
	if (module_member(e, self.u.module, name, out)) return true;
	if (module_find_method(self.u.module, name, &fn)) return *out = module_method(e, self, fn), true;
	if (!strcmp(name, "init")) return *out = standard(e, self, false), true;
	if (!strcmp(name, "load")) return *out = standard(e, self, true), true;
	return false;
}

static Val leaf_type(Elab *e, void *ctx, Val v)
{
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (v.kind == V_TENSOR && val_shape(e, v, &d, &rank, dims)) return val_type(e, d, rank, dims);
	return v;
}

static Val set_path(Elab *e, Val v, const char *path, Val x, Loc loc)
{
	size_t n = strcspn(path, ".");
	const char *name = arena_strndup(e->arena, path, n);
	if (path[n]) {
		Val inner;
		module_member(e, v.u.module, name, &inner);
		x = set_path(e, inner, path + n + 1, x, loc);
	}
	return module_set_member(e, v, name, x, loc);
}

static Val keep_leaf(Elab *e, void *ctx, Val old, Val v, const char *path)
{
	if (old.kind != V_TENSOR && !type_is_type(old)) return val_is_tree(old) || old.kind == V_NONE ? v : old;
	Val t = old.kind == V_TENSOR ? leaf_type(e, NULL, old) : old;
	return type_unify(e, t, v, *(Loc *)ctx, *path ? arena_printf(e->arena, "the new value of `%s`", path) : "the new value");
}

Val module_set_member(Elab *e, Val m, const char *name, Val v, Loc loc)
{
	int i = find_member(m.u.module, name);
	if (i < 0) elab_fail(e, loc, "member.unknown", "`%s` has no member `%s`", m.u.module->name, name);
	const MemberVal *mem = &m.u.module->members[i];
	if (mem->kind == MK_SHARED) return set_path(e, m, mem->shared, v, loc);
	if (!is_state(mem->kind)) elab_fail(e, loc, "place.constant", "`%s` is a constant of the module `%s`", name, m.u.module->name);
	ModuleTree *c = module_copy(e, m.u.module);
	((MemberVal *)c->members)[i].v = val_map2(e, mem->v, v, keep_leaf, &loc, name);
	m.u.module = c;
	return m;
}

/* --- construction ---------------------------------------------------------------------------------------------------------------- */

static bool holds_module(Val v)
{
	if (v.kind == V_MODULE || v.kind == V_STACK) return true;
	if (v.kind != V_TUPLE && v.kind != V_LIST && v.kind != V_RECORD) return false;
	for (int i = 0; i < v.u.items->n; i++) {
		if (holds_module(v.u.items->at[i])) return true;
	}
	return false;
}

/* The path of a member that the expression names, `wte` or `adam.step`; NULL for anything else. */
static const char *member_path(Elab *e, const ModuleTree *m, const Expr *x)
{
	if (x->kind == EXPR_NAME) {
		int i = find_member(m, x->u.name.text);
		return i >= 0 && is_state(m->members[i].kind) ? x->u.name.text : NULL;
	}
	if (x->kind != EXPR_MEMBER) return NULL;
	const char *base = member_path(e, m, x->u.member.base);
	Val v;
	if (!base || !path_lookup(e, val_module(m), base, &v)) return NULL;
	bool state = v.kind == V_MODULE ? module_member_is_state(v.u.module, x->u.member.name.text) : v.kind == V_RECORD;
	return state ? arena_printf(e->arena, "%s.%s", base, x->u.member.name.text) : NULL;
}

static void add_member(Elab *e, ModuleTree *m, MemberVal v, Loc name_loc)
{
	for (int i = 0; i < m->n; i++) {
		if (strcmp(m->members[i].name, v.name) || m->members[i].kind == MK_ARG) continue;
		elab_fail(e, name_loc, "name.twice", "the member `%s` is declared twice", v.name);
	}
	MemberVal *list = NEW_ARRAY(e->arena, MemberVal, m->n + 1);
	if (m->n) memcpy(list, m->members, sizeof(MemberVal) * (size_t)m->n);
	list[m->n] = v;
	m->members = list;
	m->n++;
}

static void check_param_type(Elab *e, Val t, Loc loc, const char *name)
{
	if (t.kind == V_DTYPE || t.kind == V_NONE || (t.kind == V_TYPE && !t.u.type->dtype_var && !t.u.type->ellipsis) || val_is_tree(t))
		return;
	elab_fail(e, loc, "type.not_a_type", "the type of `%s` must be a dtype with a shape, or a tree of them, not %s", name,
	          val_describe(e, t));
}

static void add_param(Elab *e, ModuleTree *m, const Member *mem)
{
	const char *name = mem->name.text;
	MemberVal v = {.kind = mem->kind == MEMBER_PARAM ? MK_PARAM : MK_BUFFER,
	               .name = name,
	               .doc = mem->doc,
	               .loc = mem->loc,
	               .init = {.kind = V_ELLIPSIS}};
	v.v = elab_eval(e, mem->type);
	check_param_type(e, v.v, mem->type->loc, name);
	if (mem->value) {
		v.init = elab_eval(e, mem->value);
		bool fine =
		    v.init.kind == V_NONE || val_is_weak(v.init) || v.init.kind == V_TENSOR || v.init.kind == V_LIST || elab_is_callable(v.init);
		if (!fine)
			elab_fail(e, mem->value->loc, "param.init",
			          "an initialiser is a function of (key, shape, dtype), a number, a tensor or `none`, not %s", val_describe(e, v.init));
		if (v.init.kind == V_NONE) v.v = val_none();
	}
	add_member(e, m, v, mem->name.loc);
}

static void add_value(Elab *e, ModuleTree *m, const Member *mem)
{
	const char *path = mem->nnames == 1 ? member_path(e, m, mem->value) : NULL;
	if (path) {
		add_member(e, m,
		           (MemberVal){.kind = MK_SHARED,
		                       .name = mem->names[0].text,
		                       .shared = path,
		                       .doc = mem->doc,
		                       .loc = mem->loc,
		                       .init = {.kind = V_ELLIPSIS}},
		           mem->names[0].loc);
		return;
	}
	Val v = elab_eval(e, mem->value), *parts = &v;
	int n = 1;
	if (mem->nnames > 1 && !elab_unpack(e, v, &parts, &n, mem->value->loc))
		elab_fail(e, mem->value->loc, "destructure.kind", "cannot take %s apart", val_describe(e, v));
	if (n != mem->nnames) elab_fail(e, mem->value->loc, "destructure.count", "%d names for %d values", mem->nnames, n);
	for (int i = 0; i < n; i++) {
		MemberKindV kind = holds_module(parts[i]) ? MK_SUB : MK_CONST;
		add_member(
		    e, m,
		    (MemberVal){
		        .kind = kind, .name = mem->names[i].text, .v = parts[i], .doc = mem->doc, .loc = mem->loc, .init = {.kind = V_ELLIPSIS}},
		    mem->names[i].loc);
	}
}

static void check_assert(Elab *e, const Member *mem, const char *module)
{
	Value *c;
	int known = elab_condition(e, mem->value, &c);
	if (known < 0) elab_fail(e, mem->value->loc, "module.assert", "an assert in a module is about values known while compiling");
	if (known) return;
	const char *text = mem->message ? elab_str(e, elab_eval(e, mem->message), mem->message->loc, "the message of an assert")
	                                : elab_source(e, mem->value->loc);
	elab_fail(e, mem->value->loc, "assert.fails", "the assertion of `%s` does not hold: %s", module, text);
}

/* Constructor arguments as members, in the order of the parameters. */
static void bind_constructor(Elab *e, ModuleTree *m, const ModuleDecl *d, CallArgs *a)
{
	const ParamList *p = &d->decl->u.module.params;
	Fn shell = {.name = d->decl->name, .params = *p, .loc = d->decl->loc};
	FnVal f = {.fn = &shell, .file = d->file};
	Frame *fr = frame_new(e, &f, a->loc);
	frame_push(e, fr);
	frame_bind(e, p, a);
	Val *args = NEW_ARRAY(e->arena, Val, p->n);
	for (int i = 0; i < p->n; i++) {
		Local *l = p->at[i]->name.text ? scope_local(fr, p->at[i]->name.text) : NULL;
		args[i] = l ? l->v : val_none();
		MemberVal v = {.kind = MK_ARG,
		               .name = p->at[i]->name.text ? p->at[i]->name.text : "_",
		               .v = args[i],
		               .init = {.kind = V_ELLIPSIS},
		               .loc = p->at[i]->loc};
		MemberVal *list = NEW_ARRAY(e->arena, MemberVal, m->n + 1);
		if (m->n) memcpy(list, m->members, sizeof(MemberVal) * (size_t)m->n);
		list[m->n++] = v;
		m->members = list;
	}
	m->args = args, m->nargs = p->n;
	frame_pop(e);
}

Val module_construct(Elab *e, const ModuleDecl *d, CallArgs *a)
{
	ModuleTree *m = NEW(e->arena, ModuleTree);
	m->decl = d;
	m->name = d->decl->name.text;
	bind_constructor(e, m, d, a);
	FnVal f = {.file = d->file};
	Frame *fr = frame_new(e, &f, a->loc);
	fr->name = m->name;
	frame_push(e, fr);
	Local *self = NEW(e->arena, Local);
	*self = (Local){.name = elab_intern(e, "self"), .kind = LOCAL_SELF, .depth = -1};
	fr->locals = fr->self = self;
	for (int i = 0; i < d->decl->u.module.n; i++) {
		const Member *mem = d->decl->u.module.members[i];
		self->v = val_module(arena_copy(e->arena, m, sizeof *m));
		switch (mem->kind) {
		case MEMBER_PARAM:
		case MEMBER_BUFFER: add_param(e, m, mem); break;
		case MEMBER_VALUE: add_value(e, m, mem); break;
		case MEMBER_ASSERT: check_assert(e, mem, m->name); break;
		case MEMBER_FN: break;
		}
	}
	frame_pop(e);
	return val_module(m);
}

/* --- arrays ---------------------------------------------------------------------------------------------------------------------- */

typedef struct Axis {
	Dim n;
	Loc loc;
} Axis;

static Val prepend_leaf(Elab *e, void *ctx, Val v)
{
	Axis *a = ctx;
	DType d;
	int rank;
	Dim dims[MAX_RANK + 1];
	if (v.kind == V_TENSOR)
		elab_fail(e, a->loc, "index.array", "an array is made of descriptions, not of values: make the array first, then `init`");
	if (!type_is_type(v) || !val_shape(e, v, &d, &rank, dims + 1)) return v;
	if (rank == MAX_RANK) elab_fail(e, a->loc, "shape.rank", "a tensor has at most %d axes", MAX_RANK);
	dims[0] = a->n;
	return val_type(e, d, rank + 1, dims);
}

Val module_stack_of(Elab *e, Val elem, Dim n, Loc loc)
{
	int64_t k;
	if (dim_is_const(n, &k) && k < 0) elab_fail(e, loc, "shape.negative", "the length of an array is %lld", (long long)k);
	Axis a = {n, loc};
	return val_stack(e, val_map(e, elem, prepend_leaf, &a), n);
}

typedef struct RowJob {
	Val index;
	Loc loc;
	Val row;
} RowJob;

static Val row_leaf(Elab *e, void *ctx, Val v)
{
	RowJob *r = ctx;
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (v.kind == V_TENSOR) return elab_index(e, v.u.tensor, &r->index, 1, r->loc);
	if (type_is_type(v) && val_shape(e, v, &d, &rank, dims) && rank > 0) return val_type(e, d, rank - 1, dims + 1);
	return v;
}

Val stack_row(Elab *e, const Stack *s, Val index, Loc loc)
{
	int64_t n;
	bool scalar = index.kind == V_INT || index.kind == V_DIM ||
	              (index.kind == V_TENSOR && index.u.tensor->type->rank == 0 && dtype_is_int(index.u.tensor->type->dtype));
	if (!scalar) elab_fail(e, loc, "index.array", "the index of an array of modules is an integer, not %s", val_describe(e, index));
	if (index.kind == V_INT && dim_is_const(s->n, &n) && (index.u.i >= n || index.u.i < -n))
		elab_fail(e, loc, "index.range", "index %lld is out of range for an array of %lld", (long long)index.u.i, (long long)n);
	RowJob r = {index, loc, {0}};
	return val_map(e, elab_here(e, s->elem), row_leaf, &r);
}

static Val set_row_leaf(Elab *e, void *ctx, Val old, Val row, const char *path)
{
	RowJob *r = ctx;
	if (old.kind != V_TENSOR) return old;
	Val t = row_leaf(e, r, leaf_type(e, NULL, old));
	row = type_unify(e, t, row, r->loc, *path ? arena_printf(e->arena, "`%s` of the new element", path) : "the new element");
	return val_tensor(elab_index_update(e, old.u.tensor, &r->index, 1, row, "set", r->loc));
}

Val stack_set_row(Elab *e, const Stack *s, Val index, Val row, Loc loc)
{
	RowJob r = {index, loc, {0}};
	return val_stack(e, val_map2(e, s->elem, row, set_row_leaf, &r, ""), s->n);
}

/* --- numbers --------------------------------------------------------------------------------------------------------------------- */

static bool needs_key(Val v);

static bool member_needs_key(const MemberVal *m)
{
	if (m->kind == MK_SUB) return needs_key(m->v);
	if (m->kind != MK_PARAM && m->kind != MK_BUFFER) return false;
	return val_module_is_description(m->v) && elab_is_callable(m->init);
}

static bool needs_key(Val v)
{
	if (v.kind == V_STACK) return needs_key(v.u.stack->elem);
	if (v.kind == V_TUPLE || v.kind == V_LIST || v.kind == V_RECORD) {
		for (int i = 0; i < v.u.items->n; i++) {
			if (needs_key(v.u.items->at[i])) return true;
		}
	}
	if (v.kind != V_MODULE) return false;
	for (int i = 0; i < v.u.module->n; i++) {
		if (member_needs_key(&v.u.module->members[i])) return true;
	}
	return false;
}

/* n keys from one; none splits into nones. */
static Val *split_key(Elab *e, Val key, int n, Loc loc)
{
	Val *keys = NEW_ARRAY(e->arena, Val, n + 1);
	if (key.kind == V_NONE || n == 0) return keys;
	if (n == 1) return keys[0] = key, keys;
	Val args[2] = {key, val_int(n)}, all = elab_call(e, elab_std(e, "random", "split"), args, 2, NULL, NULL, 0, loc), *parts;
	int k;
	if (!elab_unpack(e, all, &parts, &k, loc) || k != n)
		elab_fail(e, loc, "init.key", "`random.split` gave %s for %d keys", val_describe(e, all), n);
	if (n) memcpy(keys, parts, sizeof(Val) * (size_t)n);
	return keys;
}

typedef struct InitJob {
	Val init, key;
	Loc loc;
	const char *name, *module;
} InitJob;

static Val init_leaf(Elab *e, void *ctx, Val t)
{
	InitJob *j = ctx;
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	if (!type_is_type(t) || !val_shape(e, t, &d, &rank, dims)) return t;
	const char *what = arena_printf(e->arena, "the initial value of `%s` of `%s`", j->name, j->module);
	if (j->init.kind == V_ELLIPSIS)
		elab_fail_help(e, j->loc, "module.no_init",
		               arena_printf(e->arena, "load it, `.load(\"file.safetensors\")`, or give it: `new(%s=…)`", j->name),
		               "`%s` of the module `%s` has no initialiser", j->name, j->module);
	Val v = elab_here(e, j->init);
	if (elab_is_callable(v)) {
		Val *shape = NEW_ARRAY(e->arena, Val, rank);
		for (int i = 0; i < rank; i++) shape[i] = val_dim(e, dims[i]);
		Val args[3] = {j->key, val_tuple(e, shape, rank), val_dtype(d)};
		v = elab_call(e, v, args, 3, NULL, NULL, 0, j->loc);
	}
	if (val_is_weak(v) || v.kind == V_LIST) {
		if (val_is_weak(v) && !weak_fits(v, d))
			elab_fail(e, j->loc, "type.number", "%s must be %s, not %s", what, dtype_name(d), val_describe(e, v));
		v = val_tensor(ir_convert(&e->b, elab_tensor(e, v, &d, j->loc, what), d));
	}
	if (v.kind == V_TENSOR && v.u.tensor->type->rank < rank && v.u.tensor->type->dtype == d)
		v = val_tensor(elab_broadcast_to(e, v.u.tensor, rank, dims, j->loc));
	return type_unify(e, val_type(e, d, rank, dims), v, j->loc, what);
}

static Val init_tree(Elab *e, Val v, Val key, Loc loc);

static Val init_items(Elab *e, Val v, Val key, Loc loc)
{
	const Items *it = v.u.items;
	int n = 0;
	for (int i = 0; i < it->n; i++) n += needs_key(it->at[i]);
	Val *keys = split_key(e, key, n, loc);
	Items *r = (Items *)items_new(e, it->at, it->name, it->n);
	n = 0;
	for (int i = 0; i < it->n; i++) r->at[i] = init_tree(e, it->at[i], needs_key(it->at[i]) ? keys[n++] : val_none(), loc);
	v.u.items = r;
	return v;
}

typedef struct StackInit {
	Val elem;
	Loc loc;
} StackInit;

static Val init_row(Elab *e, void *ctx, Value *row)
{
	StackInit *s = ctx;
	return init_tree(e, s->elem, val_tensor(row), s->loc);
}

static Val init_stack(Elab *e, Val v, Val key, Loc loc)
{
	const Stack *s = v.u.stack;
	if (!needs_key(s->elem) || key.kind == V_NONE) return val_stack(e, init_tree(e, s->elem, key, loc), s->n);
	Val args[2] = {key, val_dim(e, s->n)};
	Val keys = elab_call(e, elab_std(e, "random", "split"), args, 2, NULL, NULL, 0, loc);
	RowJob r = {val_int(0), loc, {0}};
	StackInit job = {val_map(e, s->elem, row_leaf, &r), loc};
	return val_stack(e, elab_loop_map(e, elab_tensor(e, keys, NULL, loc, "the keys"), init_row, &job, loc), s->n);
}

static Val init_module(Elab *e, Val v, Val key, Loc loc, const CallArgs *given)
{
	ModuleTree *m = module_copy(e, v.u.module);
	MemberVal *mem = (MemberVal *)m->members;
	int n = 0;
	bool *have = NEW_ARRAY(e->arena, bool, m->n + 1);
	for (int k = 0; given && k < given->nnamed; k++) {
		int i = find_member(m, given->names[k]);
		if (i < 0 || !is_state(mem[i].kind))
			elab_fail(e, given->loc, "call.unknown_argument", "the module `%s` has no parameter, buffer or sub-module `%s`", m->name,
			          given->names[k]);
		mem[i].v =
		    type_unify(e, mem[i].v, given->named[k], given->loc, arena_printf(e->arena, "the member `%s` of `%s`", mem[i].name, m->name));
		have[i] = true;
	}
	for (int i = 0; i < m->n; i++) n += !have[i] && member_needs_key(&mem[i]);
	Val *keys = split_key(e, key, n, loc);
	n = 0;
	for (int i = 0; i < m->n; i++) {
		if (have[i]) continue;
		Val k = member_needs_key(&mem[i]) ? keys[n++] : val_none();
		if (mem[i].kind == MK_SUB) mem[i].v = init_tree(e, mem[i].v, k, loc);
		if (mem[i].kind != MK_PARAM && mem[i].kind != MK_BUFFER) continue;
		InitJob j = {mem[i].init, k, loc, mem[i].name, m->name};
		mem[i].v = val_map(e, mem[i].v, init_leaf, &j);
	}
	v.u.module = m;
	return v;
}

static Val init_tree(Elab *e, Val v, Val key, Loc loc)
{
	switch (v.kind) {
	case V_MODULE: return init_module(e, v, key, loc, NULL);
	case V_STACK: return init_stack(e, v, key, loc);
	case V_TUPLE:
	case V_LIST:
	case V_RECORD: return init_items(e, v, key, loc);
	default: return v;
	}
}

static Val key_argument(Elab *e, const CallArgs *a, const char *what)
{
	Val key = a->n ? a->at[0] : val_none();
	if (a->n > 1) elab_fail(e, a->loc, "call.too_many", "`%s` takes one key", what);
	if (key.kind == V_NONE) return key;
	bool ok = key.kind == V_TENSOR && key.u.tensor->type->dtype == DT_u32 && key.u.tensor->type->rank == 1;
	if (!ok)
		elab_fail_help(e, a->loc, "init.key", "a key is made of a number: `random.key(0)`", "`%s` takes a key, u32[2], not %s", what,
		               val_describe(e, key));
	return key;
}

Val module_init(Elab *e, Val description, CallArgs *a)
{
	CallArgs only = *a;
	Val named;
	if (a->nnamed == 1 && !a->n && !strcmp(a->names[0], "key")) {
		named = a->named[0];
		only = (CallArgs){.at = &named, .n = 1, .loc = a->loc};
	} else if (a->nnamed) {
		elab_fail(e, a->loc, "call.unknown_argument", "`init` takes a key, not `%s`", a->names[0]);
	}
	Val key = key_argument(e, &only, "init");
	if (key.kind == V_NONE && needs_key(description))
		elab_fail_help(e, a->loc, "init.key", "`.init(random.key(0))`", "`init` of the module `%s` needs a key",
		               description.u.module->name);
	return init_module(e, description, key, a->loc, NULL);
}

Val module_fresh(Elab *e, Val description, CallArgs *a)
{
	return init_module(e, description, key_argument(e, a, "new"), a->loc, a);
}
