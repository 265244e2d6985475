/* Strip mining for reverse mode: a loop with remat = K (or "sqrt") becomes N/K outer steps, each a call of a function that makes K steps
 * and recomputes: what the backward pass keeps are the carries of every K-th step, and of K steps the rest while it goes through them.
 *
 *   strip(carries.., xs.., captures..) -> (carries.., ys..):   loop N/K { chunk(first, carries, K rows of xs, captures) }, then the N%K
 * last steps chunk, remat(first, carries.., rows.., captures..) -> (carries.., K rows of ys..):   loop K { the body, at step first + j }
 *
 * Only where N is a number and nothing ends the loop early; elsewhere such a loop recomputes step by step (vjp_region.c).
 */
#include "vjp.h"
#include <stdlib.h>
#include <string.h>

typedef struct Strip {
	Func *f;
	Op *op;
	LoopParts p;
	Value **cap; /* what the body captures */
	int ncap;
	int64_t n, k;
} Strip;

static int64_t chunk_length(const LoopParts *p, int64_t n)
{
	if (!p->remat) return 0;
	int64_t k = 1;
	if (strcmp(p->remat->v.str, "sqrt")) return strtoll(p->remat->v.str, NULL, 10);
	while (k * k < n) k++;
	return k;
}

static const Type *with_rows(Module *m, const Type *stacked, int64_t n)
{
	return type_prepend(m, type_row(m, stacked), dim_int(m->dims, n));
}

/* The function of the steps first .. first + n - 1. */
static Func *chunk_func(const Strip *s, int64_t n)
{
	Module *m = s->f->module;
	const LoopParts *p = &s->p;
	Func *g = func_new(m, arena_printf(m->arena, "%s.steps%lld", s->f->name, (long long)n));
	g->facts = s->f->facts, g->loc = s->op->loc, g->remat = true;
	Builder b = builder_at(g);
	b.loc = s->op->loc;
	Value *first = func_param(g, type_scalar(m, DT_i32), "first");
	Value **in = NEW_ARRAY(m->arena, Value *, p->nc + p->nx + 1);
	for (int k = 0; k < p->nc; k++) in[k] = func_param(g, s->op->in[k]->type, loop_param(p->body, k)->name);
	for (int k = p->nc; k < p->nc + p->nx; k++) in[k] = func_param(g, with_rows(m, s->op->in[k]->type, n), s->op->in[k]->name);
	Map env;
	map_init(&env, m->arena);
	for (int i = 0; i < s->ncap; i++) map_set(&env, s->cap[i], func_param(g, s->cap[i]->type, s->cap[i]->name));
	Block *body = block_new(&b, BLOCK_LOOP, b.block);
	clone_params(&b, p->body, body, &env);
	Builder inner = b;
	inner.block = body;
	map_set(&env, p->body->param[0], ir_binary(&inner, OP_add, first, body->param[0]));
	clone_ops(&inner, p->body, &env);
	block_set_results(&inner, body, env_get_all(m->arena, &env, p->body->result, p->body->nresult), p->body->nresult);
	Op *l = loop_emit(&b, dim_int(m->dims, n), in, p->nc, in + p->nc, p->nx, NULL, body, NULL, p->reverse, NULL);
	func_set_results(g, l->out, l->nout);
	return g;
}

static Op *call_chunk(Builder *b, const Strip *s, Func *chunk, Value *first, Value *const *carry, Value *const *rows, Value *const *cap)
{
	Value **in = NEW_ARRAY(b->m->arena, Value *, 1 + s->p.nc + s->p.nx + s->ncap);
	int n = 0;
	in[n++] = first;
	for (int k = 0; k < s->p.nc; k++) in[n++] = carry[k];
	for (int k = 0; k < s->p.nx; k++) in[n++] = rows[k];
	for (int k = 0; k < s->ncap; k++) in[n++] = cap[k];
	return ir_emit_call(b, chunk, in, n);
}

/* [m*k, ..] as [m, k, ..] or back. */
static Value *regroup(Builder *b, Value *x, int64_t m, int64_t k, bool split)
{
	Dim dims[MAX_RANK + 1];
	int r = 0, from = split ? 1 : 2;
	if (split) dims[r++] = d_int(b, m), dims[r++] = d_int(b, k);
	else dims[r++] = d_int(b, m * k);
	for (int i = from; i < x->type->rank; i++) dims[r++] = x->type->dim[i];
	return ir_reshape(b, x, r, dims);
}

/* The steps that fill whole chunks: carries in place; ys[.] receive [m*k, ..]. */
static void whole_chunks(Builder *b, const Strip *s, Value **carry, Value *const *xs, Value *const *cap, Value **ys)
{
	const LoopParts *p = &s->p;
	Module *m = b->m;
	int64_t count = s->n / s->k;
	Value **rows = NEW_ARRAY(m->arena, Value *, p->nx + 1), **row = NEW_ARRAY(m->arena, Value *, p->nx + 1);
	for (int k = 0; k < p->nx; k++)
		rows[k] = regroup(b, ir_slice_axis(b, xs[k], 0, d_int(b, 0), d_int(b, count * s->k), 1), count, s->k, true);
	Block *body = block_new(b, BLOCK_LOOP, b->block);
	Builder inner = *b;
	inner.block = body;
	Value *o = block_param(b, body, type_scalar(m, DT_i32), "chunk"), **c = NEW_ARRAY(m->arena, Value *, p->nc + 1);
	for (int k = 0; k < p->nc; k++) c[k] = block_param(b, body, carry[k]->type, NULL);
	for (int k = 0; k < p->nx; k++) row[k] = block_param(b, body, type_row(m, rows[k]->type), NULL);
	Value *first = ir_binary(&inner, OP_mul, o, ir_scalar_int(&inner, DT_i32, s->k));
	Op *call = call_chunk(&inner, s, chunk_func(s, s->k), first, c, row, cap);
	block_set_results(&inner, body, call->out, call->nout);
	Op *l = loop_emit(b, dim_int(m->dims, count), carry, p->nc, rows, p->nx, NULL, body, NULL, p->reverse, NULL);
	for (int k = 0; k < p->nc; k++) carry[k] = l->out[k];
	for (int k = 0; k < p->ny; k++) ys[k] = regroup(b, l->out[p->nc + k], count, s->k, false);
}

/* The steps behind the last whole chunk. */
static void last_steps(Builder *b, const Strip *s, Value **carry, Value *const *xs, Value *const *cap, Value **ys)
{
	int64_t from = s->n - s->n % s->k;
	Value **rows = NEW_ARRAY(b->m->arena, Value *, s->p.nx + 1);
	for (int k = 0; k < s->p.nx; k++) rows[k] = ir_slice_axis(b, xs[k], 0, d_int(b, from), d_int(b, s->n), 1);
	Op *call = call_chunk(b, s, chunk_func(s, s->n % s->k), ir_scalar_int(b, DT_i32, from), carry, rows, cap);
	for (int k = 0; k < s->p.nc; k++) carry[k] = call->out[k];
	for (int k = 0; k < s->p.ny; k++) ys[k] = call->out[s->p.nc + k];
}

static Func *strip_func(const Strip *s)
{
	Module *m = s->f->module;
	const LoopParts *p = &s->p;
	Func *g = func_new(m, arena_printf(m->arena, "%s.strip%lld", s->f->name, (long long)s->k));
	g->facts = s->f->facts, g->loc = s->op->loc;
	Builder b = builder_at(g);
	b.loc = s->op->loc;
	Value **carry = NEW_ARRAY(m->arena, Value *, p->nc + p->ny + 1), **xs = NEW_ARRAY(m->arena, Value *, p->nx + 1);
	Value **cap = NEW_ARRAY(m->arena, Value *, s->ncap + 1),
	      **y[2] = {NEW_ARRAY(m->arena, Value *, p->ny + 1), NEW_ARRAY(m->arena, Value *, p->ny + 1)};
	for (int k = 0; k < p->nc; k++) carry[k] = func_param(g, s->op->in[k]->type, s->op->in[k]->name);
	for (int k = 0; k < p->nx; k++) xs[k] = func_param(g, s->op->in[p->nc + k]->type, s->op->in[p->nc + k]->name);
	for (int k = 0; k < s->ncap; k++) cap[k] = func_param(g, s->cap[k]->type, s->cap[k]->name);
	bool rest = s->n % s->k != 0;
	if (rest && p->reverse) last_steps(&b, s, carry, xs, cap, y[1]);
	whole_chunks(&b, s, carry, xs, cap, y[0]);
	if (rest && !p->reverse) last_steps(&b, s, carry, xs, cap, y[1]);
	for (int k = 0; k < p->ny; k++) carry[p->nc + k] = rest ? ir_concat(&b, (Value *[]){y[0][k], y[1][k]}, 2, 0) : y[0][k];
	func_set_results(g, carry, p->nc + p->ny);
	return g;
}

Op *vjp_strip(Sweep *s, Op *op)
{
	Strip t = {.f = op->block->func, .op = op, .p = loop_parts(op)};
	Arena *a = s->b.m->arena;
	if (!t.p.trips || t.p.cont || t.p.limit || !dim_is_const(t.p.trips, &t.n)) return NULL;
	t.k = chunk_length(&t.p, t.n);
	if (t.k <= 0 || t.k >= t.n || op_effects(op)) return NULL;
	block_free_values(a, t.p.body, &t.cap, &t.ncap);
	const char *key = module_str(s->b.m, arena_printf(a, "strip[%d]", op->out[0]->id));
	Derived *d = derived_find(t.f, key, NULL);
	if (!d) {
		d = derived_add(t.f, key, NULL);
		d->a = strip_func(&t);
	}
	Op *call = NEW(a, Op);
	*call = *op;
	call->code = OP_call;
	call->nregion = 0;
	call->nin = t.p.nc + t.p.nx + t.ncap;
	call->in = NEW_ARRAY(a, Value *, call->nin + 1);
	for (int k = 0; k < t.p.nc + t.p.nx; k++) call->in[k] = op->in[k];
	for (int k = 0; k < t.ncap; k++) call->in[t.p.nc + t.p.nx + k] = t.cap[k];
	Attr *at = NEW(a, Attr);
	*at = ATTR_FUNC(func, d->a);
	call->attrs = at, call->nattr = 1;
	return call;
}
