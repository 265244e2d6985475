/* Cloning of ops and regions with substitution, and small facts about ops that all transforms need. */
#include "derive.h"
#include <string.h>

typedef struct DimSubst DimSubst;

Value **env_get_all(Arena *a, const Map *env, Value *const *v, int n)
{
	Value **r = NEW_ARRAY(a, Value *, n + 1);
	for (int i = 0; i < n; i++) r[i] = env_get(env, v[i]);
	return r;
}
void set_add(Map *s, void *p)
{
	map_set(s, p, p);
}

const Type *type_row(Module *m, const Type *t)
{
	return type_get(m, t->dtype, t->rank - 1, t->dim + 1);
}

OpView op_view(Builder *b, Op *op, Value **in, Value **out)
{
	return (OpView){
	    .code = op->code, .nin = op->nin, .nattr = op->nattr, .nout = op->nout, .in = in, .out = out, .attrs = op->attrs, .loc = b->loc};
}

Attr *attrs_with_int(Builder *b, const Op *op, AttrKey k, int64_t x)
{
	Attr *a = arena_copy(b->m->arena, op->attrs, sizeof *a * (size_t)op->nattr);
	for (int i = 0; i < op->nattr; i++)
		if (a[i].key == k) a[i].v.i = x;
	return a;
}

LoopParts loop_parts(const Op *op)
{
	const Attr *trips = op_attr(op, AT_trips);
	LoopParts p = {.body = op->region[0], .cont = op->nregion > 1 ? op->region[1] : NULL};
	p.nc = (int)op_int(op, AT_ncarry, 0), p.nx = (int)op_int(op, AT_nscan, 0);
	p.ny = op->region[0]->nresult - p.nc;
	p.trips = trips ? trips->v.dim : NULL;
	p.limit = op_bool(op, AT_limit) ? op->in[op->nin - 1] : NULL;
	p.reverse = op_bool(op, AT_reverse);
	p.remat = op_attr(op, AT_remat);
	return p;
}

Op *loop_emit(Builder *b, Dim trips, Value *const *carry, int nc, Value *const *xs, int nx, Value *limit, Block *body, Block *cont,
              bool reverse, const Attr *remat)
{
	Value **in = NEW_ARRAY(b->m->arena, Value *, nc + nx + 1);
	for (int k = 0; k < nc; k++) in[k] = carry[k];
	for (int k = 0; k < nx; k++) in[nc + k] = xs[k];
	if (limit) in[nc + nx] = limit;
	Attr at[6];
	int na = 0;
	if (trips) at[na++] = ATTR_DIM(trips, trips);
	at[na++] = ATTR_INT(ncarry, nc);
	at[na++] = ATTR_INT(nscan, nx);
	at[na++] = ATTR_INT(reverse, reverse);
	at[na++] = ATTR_INT(limit, limit != NULL);
	if (remat) at[na++] = *remat;
	Block *region[2] = {body, cont};
	return ir_emit_region(b, OP_loop, in, nc + nx + (limit != NULL), at, na, region, cont ? 2 : 1);
}

void clone_params(Builder *b, Block *from, Block *to, Map *env)
{
	for (int k = 0; k < from->nparam; k++) map_set(env, from->param[k], block_param(b, to, from->param[k]->type, from->param[k]->name));
}

/* --- dimensions ------------------------------------------------------------------------------------------------------ */
/* The callee's symbols, replaced at once by the caller's dimensions. */
struct DimSubst {
	int n;
	const char **sym;
	Dim *via, *to;
};

static Dim dim_through(Builder *b, Dim d, const DimSubst *s)
{
	DimCtx *c = b->m->dims;
	const char *name;
	for (int i = 0; i < s->n; i++) d = dim_subst(c, d, s->sym[i], s->via[i]);
	for (int i = 0; i < s->n; i++)
		if (dim_is_sym(s->via[i], &name)) d = dim_subst(c, d, name, s->to[i]);
	return d;
}

static const Type *type_through(Builder *b, const Type *t, const DimSubst *s)
{
	Dim dims[MAX_RANK];
	if (!s) return t;
	for (int i = 0; i < t->rank; i++) dims[i] = dim_through(b, t->dim[i], s);
	return type_get(b->m, t->dtype, t->rank, dims);
}

static const Attr *attrs_through(Builder *b, const Op *op, const DimSubst *s)
{
	if (!s) return op->attrs;
	Attr *a = arena_copy(b->m->arena, op->attrs, sizeof *a * (size_t)op->nattr);
	for (int i = 0; i < op->nattr; i++) {
		AttrKind kind = attr_kind(a[i].key);
		if (kind == AK_DIM) a[i].v.dim = dim_through(b, a[i].v.dim, s);
		if (kind != AK_DIMS) continue;
		Dim *d = NEW_ARRAY(b->m->arena, Dim, a[i].n + 1);
		for (int k = 0; k < a[i].n; k++) d[k] = dim_through(b, a[i].v.dims[k], s);
		a[i].v.dims = d;
	}
	return a;
}

/* NULL where the arguments have the parameters' own types. */
static const DimSubst *bind_dims(Builder *b, const Func *f, Value *const *args)
{
	int max = 0;
	bool same = true;
	for (int k = 0; k < f->body->nparam; k++) {
		same &= f->body->param[k]->type == args[k]->type;
		max += args[k]->type->rank;
	}
	if (same) return NULL;
	Arena *a = b->m->arena;
	DimSubst *s = NEW(a, DimSubst);
	s->sym = NEW_ARRAY(a, const char *, max), s->via = NEW_ARRAY(a, Dim, max), s->to = NEW_ARRAY(a, Dim, max);
	for (int k = 0; k < f->body->nparam; k++) {
		const Type *t = f->body->param[k]->type;
		for (int i = 0; i < t->rank; i++) {
			const char *sym;
			bool known = false;
			if (!dim_is_sym(t->dim[i], &sym)) continue;
			for (int j = 0; j < s->n; j++) known |= !strcmp(s->sym[j], sym);
			if (known) continue;
			s->sym[s->n] = sym;
			s->via[s->n] = dim_sym(b->m->dims, arena_printf(a, "_inline_%d", s->n));
			s->to[s->n++] = args[k]->type->dim[i];
		}
	}
	return s;
}

/* --- cloning --------------------------------------------------------------------------------------------------------- */
static void clone_op_dims(Builder *b, Op *op, Map *env, const DimSubst *s);

static Block *clone_region_dims(Builder *b, Block *r, Map *env, const DimSubst *s)
{
	Block *to = block_new(b, r->kind, b->block);
	for (int k = 0; k < r->nparam; k++)
		map_set(env, r->param[k], block_param(b, to, type_through(b, r->param[k]->type, s), r->param[k]->name));
	Builder inner = *b;
	inner.block = to;
	for (Op *op = r->first; op; op = op->next) clone_op_dims(&inner, op, env, s);
	block_set_results(b, to, env_get_all(b->m->arena, env, r->result, r->nresult), r->nresult);
	return to;
}

static void enter(Map *env, Op *op, Value *const *out)
{
	for (int r = 0; r < op->nout; r++) {
		if (op->out[r]->name && out[r]->def && !out[r]->name) out[r]->name = op->out[r]->name;
		map_set(env, op->out[r], out[r]);
	}
}

/* A loop that makes no step gives its inits and empty stacks. Its body may not even fit: it may read rows that are not there. */
static bool clone_no_steps(Builder *b, Op *op, Map *env, const DimSubst *s)
{
	int64_t n;
	const Attr *trips = op->code == OP_loop ? op_attr(op, AT_trips) : NULL;
	if (!trips || !dim_is_const(s ? dim_through(b, trips->v.dim, s) : trips->v.dim, &n) || n != 0) return false;
	int nc = (int)op_int(op, AT_ncarry, 0);
	for (int r = 0; r < op->nout; r++)
		map_set(env, op->out[r], r < nc ? env_get(env, op->in[r]) : ir_zeros(b, type_through(b, op->out[r]->type, s)));
	return true;
}

static void clone_op_dims(Builder *b, Op *op, Map *env, const DimSubst *s)
{
	Arena *a = b->m->arena;
	b->loc = op->loc;
	Value **in = env_get_all(a, env, op->in, op->nin);
	const Attr *attrs = attrs_through(b, op, s);
	if (op->code == OP_call) {
		enter(env, op, ir_emit_call(b, op_func(op), in, op->nin)->out);
	} else if (clone_no_steps(b, op, env, s)) {
		return;
	} else if (op->nregion) {
		Block *region[2] = {0};
		for (int i = 0; i < op->nregion; i++) region[i] = clone_region_dims(b, op->region[i], env, s);
		b->loc = op->loc;
		enter(env, op, ir_emit_region(b, op->code, in, op->nin, attrs, op->nattr, region, op->nregion)->out);
	} else if (op_row(op->code)->flags & OPF_EFFECT) {
		enter(env, op, ir_emit_effect(b, op->code, in, op->nin, attrs, op->nattr)->out);
	} else {
		Value **out = NEW_ARRAY(a, Value *, op->nout + 1);
		ir_emit_n(b, op->code, in, op->nin, attrs, op->nattr, out, op->nout);
		enter(env, op, out);
	}
}

void clone_op(Builder *b, Op *op, Map *env)
{
	clone_op_dims(b, op, env, NULL);
}

void clone_ops(Builder *b, Block *from, Map *env)
{
	for (Op *op = from->first; op; op = op->next) clone_op(b, op, env);
}

Op *clone_raw(Builder *b, Op *op, Map *env)
{
	Arena *a = b->m->arena;
	Value **in = env_get_all(a, env, op->in, op->nin);
	Block *region[2] = {0};
	for (int i = 0; i < op->nregion; i++) {
		Block *r = op->region[i], *to = region[i] = block_new(b, r->kind, b->block);
		clone_params(b, r, to, env);
		Builder inner = *b;
		inner.block = to;
		for (Op *o = r->first; o; o = o->next) clone_raw(&inner, o, env);
		block_set_results(b, to, env_get_all(a, env, r->result, r->nresult), r->nresult);
	}
	const Type **types = NEW_ARRAY(a, const Type *, op->nout + 1);
	for (int i = 0; i < op->nout; i++) types[i] = op->out[i]->type;
	b->loc = op->loc;
	Op *copy = ir_raw(b, op->code, in, op->nin, op->attrs, op->nattr, types, op->nout, region, op->nregion);
	enter(env, op, copy->out);
	return copy;
}

static bool block_effects(const Block *b)
{
	for (const Op *op = b->first; op; op = op->next)
		if (op_effects(op)) return true;
	return false;
}
/* Remembered: a function's effects don't change, and calls of calls would be walked as often as they are reached. */
bool func_effects(Func *f)
{
	const char *key = module_str(f->module, "effects");
	Derived *d = derived_find(f, key, NULL);
	if (!d) {
		d = derived_add(f, key, NULL);
		d->mask = NEW_ARRAY(f->module->arena, bool, 1);
		d->mask[0] = block_effects(f->body);
	}
	return d->mask[0];
}
bool op_effects(const Op *op)
{
	if (op_row(op->code)->flags & OPF_EFFECT) return true;
	if (op->code == OP_call) return func_effects(op_func(op));
	for (int i = 0; i < op->nregion; i++)
		if (block_effects(op->region[i])) return true;
	return false;
}

static Value *follow(const Map *to, Value *v)
{
	for (Value *n; (n = map_get(to, v)) && n != v;) v = n;
	return v;
}
void block_substitute(Block *b, const Map *to)
{
	for (Op *op = b->first; op; op = op->next) {
		for (int k = 0; k < op->nin; k++) op->in[k] = follow(to, op->in[k]);
		for (int i = 0; i < op->nregion; i++) block_substitute(op->region[i], to);
	}
	for (int k = 0; k < b->nresult; k++) b->result[k] = follow(to, b->result[k]);
}

int instantiate(Builder *b, Value *const *v, Value *const *t, int n, Value **out)
{
	int k = 0;
	for (int i = 0; i < n; i++)
		if (dtype_is_diff(v[i]->type->dtype)) out[k++] = t[i] ? t[i] : ir_zeros(b, v[i]->type);
	return k;
}

Value *nth_float(Value *const *v, int n)
{
	while (!dtype_is_diff((*v)->type->dtype) || n-- > 0) v++;
	return *v;
}

void inline_call(Builder *b, Func *f, Value *const *args, Value **out)
{
	Arena *tmp = arena_child(f->module->arena);
	Map env;
	map_init(&env, tmp);
	Builder at = *b;
	const DimSubst *dims = bind_dims(b, f, args);
	for (int k = 0; k < f->body->nparam; k++) {
		/* what recomputes must not be merged with what it recomputes */
		Value *v = f->noinline_cse ? ir_unary(&at, OP_barrier, args[k]) : args[k];
		map_set(&env, f->body->param[k], v);
	}
	for (Op *op = f->body->first; op; op = op->next) {
		at.tag = op->tag;
		clone_op_dims(&at, op, &env, dims);
	}
	for (int r = 0; r < f->body->nresult; r++) out[r] = env_get(&env, f->body->result[r]);
	arena_free(tmp);
}
