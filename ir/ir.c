/* Modules, interned types, functions, and walks over blocks: the data structure itself. What ops mean is in the op table. */
#include <assert.h>
#include <string.h>
#include "optable.h"
#include "target.h"

/* --- types: interned by open addressing, compared by pointer afterwards --------------------------------------------- */
struct TypeTable {
	const Type **slots;
	int n, cap;
};

static uint64_t type_hash(DType d, int rank, const Dim *dims)
{
	uint64_t h = (uint64_t)d * 31 + (uint64_t)rank;
	for (int i = 0; i < rank; i++) h = (h ^ (uint64_t)(uintptr_t)dims[i]) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

static bool type_is(const Type *t, DType d, int rank, const Dim *dims)
{
	return t->dtype == d && t->rank == rank && (rank == 0 || memcmp(t->dim, dims, sizeof(Dim) * (size_t)rank) == 0);
}

static int type_slot(const struct TypeTable *t, DType d, int rank, const Dim *dims)
{
	int i = (int)(type_hash(d, rank, dims) & (uint64_t)(t->cap - 1));
	while (t->slots[i] && !type_is(t->slots[i], d, rank, dims)) i = (i + 1) & (t->cap - 1);
	return i;
}

static void type_table_grow(Arena *a, struct TypeTable *t)
{
	struct TypeTable old = *t;
	t->cap = old.cap ? 2 * old.cap : 64;
	t->slots = NEW_ARRAY(a, const Type *, t->cap);
	for (int i = 0; i < old.cap; i++)
		if (old.slots[i]) t->slots[type_slot(t, old.slots[i]->dtype, old.slots[i]->rank, old.slots[i]->dim)] = old.slots[i];
}

const Type *type_get(Module *m, DType d, int rank, const Dim *dims)
{
	struct TypeTable *t = m->types;
	assert(rank >= 0 && rank <= MAX_RANK);
	if (2 * (t->n + 1) > t->cap) type_table_grow(m->arena, t);
	int i = type_slot(t, d, rank, dims);
	if (!t->slots[i]) {
		Type *new = arena_alloc(m->arena, sizeof(Type) + sizeof(Dim) * (size_t)rank);
		new->dtype = d;
		new->rank = rank;
		for (int k = 0; k < rank; k++) new->dim[k] = dims[k];
		t->slots[i] = new;
		t->n++;
	}
	return t->slots[i];
}

const Type *type_scalar(Module *m, DType d)
{
	return type_get(m, d, 0, NULL);
}
const Type *type_with_dtype(Module *m, const Type *t, DType d)
{
	return t->dtype == d ? t : type_get(m, d, t->rank, t->dim);
}

const Type *type_prepend(Module *m, const Type *t, Dim n)
{
	Dim dims[MAX_RANK + 1] = {n};
	for (int i = 0; i < t->rank; i++) dims[i + 1] = t->dim[i];
	return type_get(m, t->dtype, t->rank + 1, dims);
}

Dim type_size(Module *m, const Type *t)
{
	Dim n = dim_int(m->dims, 1);
	for (int i = 0; i < t->rank; i++) n = dim_mul(m->dims, n, t->dim[i]);
	return n;
}

char *type_str(Arena *a, const Type *t)
{
	StrBuf b;
	sb_init(&b, a);
	sb_put(&b, dtype_name(t->dtype));
	for (int i = 0; i < t->rank; i++) {
		sb_putc(&b, i ? ',' : '[');
		dim_print(&b, t->dim[i]);
	}
	if (t->rank) sb_putc(&b, ']');
	return (char *)sb_text(&b);
}

/* --- modules and functions ------------------------------------------------------------------------------------------- */
Module *module_new(Arena *a, Diag *d, const char *name)
{
	Module *m = NEW(a, Module);
	m->arena = a;
	m->diag = d;
	m->dims = dim_ctx_new(a);
	intern_init(&m->strings, a);
	m->types = NEW(a, struct TypeTable);
	m->name = module_str(m, name ? name : "");
	m->stage = "tensor";
	m->target = target_any();
	map_init(&m->by_name, a);
	map_init(&m->tensors, a);
	return m;
}

const char *module_str(Module *m, const char *s)
{
	return s ? intern_str(&m->strings, s, strlen(s)) : NULL;
}

Func *func_find(Module *m, const char *name)
{
	return map_get(&m->by_name, module_str(m, name));
}

static const char *unique_name(Module *m, const char *name)
{
	if (!func_find(m, name)) return module_str(m, name);
	for (int k = 1;; k++) {
		const char *s = arena_printf(m->arena, "%s.%d", name, k);
		if (!func_find(m, s)) return module_str(m, s);
	}
}

Func *func_new(Module *m, const char *name)
{
	Func *f = NEW(m->arena, Func);
	f->module = m;
	f->name = unique_name(m, name);
	f->facts = dim_facts_new(m->dims);
	f->body = NEW(m->arena, Block);
	f->body->kind = BLOCK_FUNC;
	f->body->func = f;
	VEC_PUSH(m->arena, m->funcs, f);
	map_set(&m->by_name, f->name, f);
	return f;
}

void func_remove(Func *f)
{
	Module *m = f->module;
	int k = 0;
	for (int i = 0; i < m->funcs.n; i++)
		if (m->funcs.at[i] != f) m->funcs.at[k++] = m->funcs.at[i];
	m->funcs.n = k;
	map_set(&m->by_name, f->name, NULL);
}

/* A parameter's dim that is one symbol binds it; every other dim must then agree. */
typedef struct Binding {
	const char *sym;
	Dim to;
	const char *temp;
} Binding;

static Dim substitute(Module *m, Dim d, const Binding *b, int n)
{
	for (int i = 0; i < n; i++) d = dim_subst(m->dims, d, b[i].sym, dim_sym(m->dims, b[i].temp));
	for (int i = 0; i < n; i++) d = dim_subst(m->dims, d, b[i].temp, b[i].to);
	return d;
}

static int bind_symbols(Func *f, const Type *const *in, Binding *b, int max)
{
	Module *m = f->module;
	int n = 0;
	for (int k = 0; k < f->body->nparam; k++) {
		const Type *p = f->body->param[k]->type;
		for (int i = 0; i < p->rank && i < in[k]->rank; i++) {
			const char *sym;
			if (!dim_is_sym(p->dim[i], &sym)) continue;
			bool known = false;
			for (int j = 0; j < n; j++) known |= strcmp(b[j].sym, sym) == 0;
			if (!known && n < max) b[n] = (Binding){sym, in[k]->dim[i], arena_printf(m->arena, "_bind_%d", n)}, n++;
		}
	}
	return n;
}

static const Type *type_substitute(Module *m, const Type *t, const Binding *b, int n)
{
	Dim dims[MAX_RANK];
	for (int i = 0; i < t->rank; i++) dims[i] = substitute(m, t->dim[i], b, n);
	return type_get(m, t->dtype, t->rank, dims);
}

bool call_result_types(Func *f, const DimFacts *facts, const Type *const *in, int nin, const Type **type, const char **why)
{
	Module *m = f->module;
	Binding b[64];
	if (nin != f->body->nparam) return *why = arena_printf(m->arena, "@%s takes %d operands, not %d", f->name, f->body->nparam, nin), false;
	bool same = true;
	for (int k = 0; k < nin; k++) same &= f->body->param[k]->type == in[k];
	int nb = same ? 0 : bind_symbols(f, in, b, 64);
	for (int k = 0; k < nin && !same; k++) {
		const Type *p = type_substitute(m, f->body->param[k]->type, b, nb);
		if (p->dtype != in[k]->dtype || !type_same_shape(facts, p, in[k]))
			return *why = arena_printf(m->arena, "parameter %d of @%s is %s, the operand is %s", k, f->name,
			                           type_str(m->arena, f->body->param[k]->type), type_str(m->arena, in[k])),
			       false;
	}
	for (int k = 0; k < f->body->nresult; k++) {
		const Type *r = f->body->result[k]->type;
		type[k] = same ? r : type_substitute(m, r, b, nb);
	}
	return true;
}

/* --- walks ----------------------------------------------------------------------------------------------------------- */
bool block_defines(const Block *b, const Value *v)
{
	return v->block == b;
}

typedef struct FreeWalk {
	Arena *a;
	Map inside, seen;
	VEC(Value *) found;
} FreeWalk;

static void free_use(FreeWalk *w, Value *v)
{
	if (map_get(&w->inside, v) || map_get(&w->seen, v)) return;
	map_set(&w->seen, v, v);
	VEC_PUSH(w->a, w->found, v);
}

static void free_walk(FreeWalk *w, Block *b)
{
	for (int i = 0; i < b->nparam; i++) map_set(&w->inside, b->param[i], b);
	for (Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nin; i++) free_use(w, op->in[i]);
		for (int r = 0; r < op->nregion; r++) free_walk(w, op->region[r]);
		for (int i = 0; i < op->nout; i++) map_set(&w->inside, op->out[i], b);
	}
	for (int i = 0; i < b->nresult; i++) free_use(w, b->result[i]);
}

void block_free_values(Arena *a, Block *b, Value ***out, int *n)
{
	FreeWalk w = {.a = a};
	map_init(&w.inside, a);
	map_init(&w.seen, a);
	free_walk(&w, b);
	*out = w.found.at;
	*n = w.found.n;
}

void op_unlink(Op *op)
{
	Block *b = op->block;
	assert(b);
	*(op->prev ? &op->prev->next : &b->first) = op->next;
	*(op->next ? &op->next->prev : &b->last) = op->prev;
	op->prev = op->next = NULL;
	op->block = NULL;
}

static void op_set_block(Op *op, Block *b)
{
	op->block = b;
	for (int i = 0; i < op->nout; i++) op->out[i]->block = b;
	for (int r = 0; r < op->nregion; r++) op->region[r]->parent = b, op->region[r]->owner = op;
}

void op_insert_before(Op *op, Op *at)
{
	Block *b = at->block;
	assert(!op->block && b);
	op->prev = at->prev;
	op->next = at;
	*(at->prev ? &at->prev->next : &b->first) = op;
	at->prev = op;
	op_set_block(op, b);
}

void op_append(Block *b, Op *op)
{
	assert(!op->block);
	op->prev = b->last;
	op->next = NULL;
	*(b->last ? &b->last->next : &b->first) = op;
	b->last = op;
	op_set_block(op, b);
}

void block_replace_uses(Block *b, Value *from, Value *to)
{
	for (Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nin; i++)
			if (op->in[i] == from) op->in[i] = to;
		for (int r = 0; r < op->nregion; r++) block_replace_uses(op->region[r], from, to);
	}
	for (int i = 0; i < b->nresult; i++)
		if (b->result[i] == from) b->result[i] = to;
}
