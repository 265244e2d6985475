/* Sizes of derived functions. A call finds its callee's symbols by matching parameter types, so every symbol that a derived function uses
 * must be told by a parameter. A backward function that needs no more than the size of something gets the smallest parameter of the forward
 * function that has it.
 */
#include "vjp.h"
#include <string.h>

typedef struct Symbols {
	Module *m;
	Map *bound;
	Values *out;
	const char *missing;
} Symbols;
static void symbol_bound(void *ctx, const char *sym)
{
	set_add(((Symbols *)ctx)->bound, (void *)module_str(((Symbols *)ctx)->m, sym));
}
static void symbol_check(void *ctx, const char *sym)
{
	Symbols *s = ctx;
	const char *name = module_str(s->m, sym);
	if (!s->missing && !set_has(s->bound, name)) s->missing = name;
}
static void type_symbols(const Type *t, void (*fn)(void *, const char *), Symbols *s)
{
	for (int i = 0; i < t->rank; i++) dim_symbols(t->dim[i], fn, s);
}
static void block_symbols(const Block *b, Symbols *s)
{
	for (const Op *op = b->first; op; op = op->next) {
		for (int r = 0; r < op->nout; r++) type_symbols(op->out[r]->type, symbol_check, s);
		for (int k = 0; k < op->nattr; k++) {
			if (attr_kind(op->attrs[k].key) == AK_DIM) dim_symbols(op->attrs[k].v.dim, symbol_check, s);
			for (int i = 0; attr_kind(op->attrs[k].key) == AK_DIMS && i < op->attrs[k].n; i++)
				dim_symbols(op->attrs[k].v.dims[i], symbol_check, s);
		}
		for (int i = 0; i < op->nregion; i++) block_symbols(op->region[i], s);
	}
}
static bool binds(const Value *p, const char *sym)
{
	const char *name;
	for (int i = 0; i < p->type->rank; i++)
		if (dim_is_sym(p->type->dim[i], &name) && !strcmp(name, sym)) return true;
	return false;
}
static bool mentions(Module *m, Arena *tmp, const Value *p, const char *sym)
{
	Symbols s = {.m = m, .bound = &(Map){0}};
	map_init(s.bound, tmp);
	type_symbols(p->type, symbol_bound, &s);
	return set_has(s.bound, module_str(m, sym));
}
/* Adds to extra the parameters of from that tell what g's body uses and neither g's parameters nor kept values do. */
void vjp_bind_sizes(Arena *tmp, Func *g, const Block *from, const Values *kept, Values *extra)
{
	Module *m = g->module;
	Map bound;
	map_init(&bound, tmp);
	Symbols s = {.m = m, .bound = &bound};
	const char *name;
	for (int k = 0; k < g->body->nparam; k++)
		for (int i = 0; i < g->body->param[k]->type->rank; i++)
			if (dim_is_sym(g->body->param[k]->type->dim[i], &name)) symbol_bound(&s, name);
	for (int k = 0; kept && k < kept->n; k++)
		for (int i = 0; i < kept->at[k]->type->rank; i++)
			if (dim_is_sym(kept->at[k]->type->dim[i], &name)) symbol_bound(&s, name);
	for (;;) {
		s.missing = NULL;
		block_symbols(g->body, &s);
		for (int r = 0; r < g->body->nresult; r++) type_symbols(g->body->result[r]->type, symbol_check, &s);
		if (!s.missing) return;
		const Value *best = NULL;
		for (int k = 0; k < from->nparam; k++) {
			const Value *p = from->param[k];
			if (binds(p, s.missing) && (!best || p->type->rank < best->type->rank)) best = p;
		}
		for (int k = 0; !best && k < from->nparam; k++)
			if (mentions(m, tmp, from->param[k], s.missing)) best = from->param[k];
		set_add(&bound, (void *)s.missing);
		if (!best) continue; /* a dimension argument of the program itself */
		for (int i = 0; i < best->type->rank; i++)
			if (dim_is_sym(best->type->dim[i], &name)) symbol_bound(&s, name);
		VEC_PUSH(tmp, *extra, (Value *)best);
	}
}
