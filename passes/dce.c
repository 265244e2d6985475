/* dce: what no result and no effect needs goes.
 *
 * Takes and gives tensor IR. Within a function trim_block does the work (dead ops, carries, stacks, scanned operands; invariant carries
 * become captures). Across functions: results that no call uses and parameters that no body reads are dropped from functions that are not
 * exported, and functions that nothing reaches from an exported function or a test are removed. Custom derivative rules have served: all
 * transforms ran before the passes. A module that exports nothing (a text written by hand) keeps all its functions.
 */
#include "derive.h"
#include "passes.h"
#include "walk.h"
#include <string.h>

static bool trim_all(Arena *scratch, Func *f)
{
	bool changed = false;
	while (trim_block(scratch, f->body)) changed = true;
	return changed;
}

/* What the calls of a function use. */
typedef struct Uses {
	bool *result;
	int ncalls;
} Uses;

typedef struct Dce {
	PassCtx *c;
	Map uses; /* Func -> Uses */
	Map read; /* values with a use in the function being looked at */
	bool changed;
} Dce;

static bool is_root(const Func *f)
{
	return f->exported || f->is_test;
}

/* --- reachability ------------------------------------------------------------------------------------------------------- */
static void reach_call(void *ctx, Op *call);

static void reach(Map *seen, Func *f)
{
	if (map_get(seen, f)) return;
	map_set(seen, f, f);
	block_each_call(f->body, reach_call, seen);
}

static void reach_call(void *ctx, Op *call)
{
	reach(ctx, op_attr(call, AT_func)->v.func);
}

static bool has_root(const Module *m)
{
	for (int i = 0; i < m->funcs.n; i++)
		if (is_root(m->funcs.at[i])) return true;
	return false;
}

static bool remove_unreached(PassCtx *c)
{
	Module *m = c->m;
	Map seen;
	if (!has_root(m)) return false;
	map_init(&seen, c->scratch);
	for (int i = 0; i < m->funcs.n; i++)
		if (is_root(m->funcs.at[i])) reach(&seen, m->funcs.at[i]);
	int before = m->funcs.n;
	for (int i = m->funcs.n - 1; i >= 0; i--) {
		Func *f = m->funcs.at[i];
		if (!map_get(&seen, f)) func_remove(f);
		else f->rule_jvp = f->rule_vjp_fwd = f->rule_vjp_bwd = f->rule_vmap = NULL;
	}
	return m->funcs.n != before;
}

/* --- results and parameters of internal functions -------------------------------------------------------------------------- */
static void mark_reads(Dce *d, const Block *b)
{
	for (const Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nin; i++) map_set(&d->read, op->in[i], op->in[i]);
		for (int r = 0; r < op->nregion; r++) mark_reads(d, op->region[r]);
	}
	for (int i = 0; i < b->nresult; i++) map_set(&d->read, b->result[i], b->result[i]);
}

static Uses *uses_of(Dce *d, Func *f)
{
	Uses *u = map_get(&d->uses, f);
	if (!u) {
		u = NEW(d->c->scratch, Uses);
		u->result = NEW_ARRAY(d->c->scratch, bool, f->body->nresult);
		map_set(&d->uses, f, u);
	}
	return u;
}

static void count_call(void *ctx, Op *call)
{
	Dce *d = ctx;
	Uses *u = uses_of(d, op_attr(call, AT_func)->v.func);
	u->ncalls++;
	for (int i = 0; i < call->nout; i++) u->result[i] |= map_get(&d->read, call->out[i]) != NULL;
}

static void drop(Value **v, int *n, const bool *keep, bool owned)
{
	int k = 0;
	for (int i = 0; i < *n; i++) {
		if (!keep[i]) continue;
		v[k] = v[i];
		if (owned) v[k]->index = k;
		k++;
	}
	*n = k;
}

typedef struct Narrow {
	Func *f;
	const bool *param, *result;
} Narrow;

static void narrow_call(void *ctx, Op *call)
{
	const Narrow *w = ctx;
	if (op_attr(call, AT_func)->v.func != w->f) return;
	drop(call->in, &call->nin, w->param, false);
	drop(call->out, &call->nout, w->result, true);
}

static bool all_of(const bool *keep, int n)
{
	for (int i = 0; i < n; i++)
		if (!keep[i]) return false;
	return true;
}

typedef struct SymbolSearch {
	const char *of;
	bool found;
} SymbolSearch;

static void compare_symbol(void *ctx, const char *sym)
{
	SymbolSearch *s = ctx;
	s->found |= strcmp(s->of, sym) == 0;
}

static bool type_has_symbol(const Type *t, const char *sym)
{
	SymbolSearch s = {sym, false};
	for (int i = 0; i < t->rank; i++) dim_symbols(t->dim[i], compare_symbol, &s);
	return s.found;
}

typedef struct Binders {
	const Block *b;
	bool *keep;
	int k;
} Binders;

static void keep_if_only_binder(void *ctx, const char *sym)
{
	Binders *w = ctx;
	for (int i = 0; i < w->b->nparam; i++)
		if (w->keep[i] && type_has_symbol(w->b->param[i]->type, sym)) return;
	w->keep[w->k] = true;
}

/* A parameter that nothing reads still tells the callee the symbols of its type. */
static void keep_binders(const Block *b, bool *keep)
{
	for (int k = 0; k < b->nparam; k++) {
		Binders w = {b, keep, k};
		for (int i = 0; i < b->param[k]->type->rank && !keep[k]; i++) dim_symbols(b->param[k]->type->dim[i], keep_if_only_binder, &w);
	}
}

/* A forward function and its original take and give the same no longer, once f, one of the two, is narrowed. */
static void forget_primal(const Module *m, const Func *f)
{
	for (int i = 0; i < m->funcs.n; i++) {
		Derived *primal = derived_find(m->funcs.at[i], module_str(f->module, "primal"), NULL);
		if (primal && (m->funcs.at[i] == f || primal->a == f)) primal->a = NULL;
	}
}

static bool narrow_func(Dce *d, Func *f)
{
	Uses *u = map_get(&d->uses, f);
	Block *b = f->body;
	if (is_root(f) || !u || !u->ncalls) return false;
	bool *keep = NEW_ARRAY(d->c->scratch, bool, b->nparam);
	int nbefore = b->nresult;
	drop(b->result, &b->nresult, u->result, false);
	trim_all(d->c->scratch, f);
	map_init(&d->read, d->c->scratch);
	mark_reads(d, b);
	for (int i = 0; i < b->nparam; i++) keep[i] = map_get(&d->read, b->param[i]) != NULL;
	keep_binders(b, keep);
	if (all_of(u->result, nbefore) && all_of(keep, b->nparam)) return false;
	drop(b->param, &b->nparam, keep, true);
	forget_primal(d->c->m, f);
	Narrow w = {f, keep, u->result};
	for (int i = 0; i < d->c->m->funcs.n; i++) block_each_call(d->c->m->funcs.at[i]->body, narrow_call, &w);
	return true;
}

static bool narrow_all(PassCtx *c)
{
	Dce d = {.c = c};
	Module *m = c->m;
	bool changed = false;
	map_init(&d.uses, c->scratch);
	for (int i = 0; i < m->funcs.n; i++) {
		map_init(&d.read, c->scratch);
		mark_reads(&d, m->funcs.at[i]->body);
		block_each_call(m->funcs.at[i]->body, count_call, &d);
	}
	for (int i = 0; i < m->funcs.n; i++) changed |= narrow_func(&d, m->funcs.at[i]);
	return changed;
}

/* --- the pass --------------------------------------------------------------------------------------------------------------- */
bool pass_dce(PassCtx *c)
{
	Module *m = c->m;
	bool changed = false, again = true;
	changed |= remove_unreached(c);
	while (again) {
		again = false;
		for (int i = 0; i < m->funcs.n; i++) again |= trim_all(c->scratch, m->funcs.at[i]);
		again |= narrow_all(c);
		changed |= again;
	}
	return changed | remove_unreached(c);
}
