/* inline: calls of small functions, and of functions that are called once, become their bodies.
 *
 * Takes and gives tensor IR, after all transforms: derived functions exist and nothing is derived any more. A function that is called from
 * several places stays one when it is larger than SMALL_OPS, so code grows with the source and not with the unrolled program. The
 * arguments of a backward function that recomputes (checkpoint) go through a barrier, or merging equal ops would undo the recomputation.
 * The callee's symbolic dims are replaced by the caller's.
 */
#include <string.h>
#include "composite.h"
#include "passes.h"
#include "rebuild.h"
#include "walk.h"

enum { SMALL_OPS = 24 };

typedef struct Inline {
	PassCtx *c;
	Map calls; /* Func -> number of call sites */
	bool changed;
} Inline;

static void count_call(void *ctx, Op *call)
{
	Inline *in = ctx;
	Func *f = op_attr(call, AT_func)->v.func;
	map_set(&in->calls, f, (void *)((intptr_t)map_get(&in->calls, f) + 1));
}

static bool wanted(Inline *in, const Func *f)
{
	if (composite_kernel(f)) return false;
	bool once = (intptr_t)map_get(&in->calls, f) == 1 && !f->exported && !f->is_test;
	return once || block_op_count(f->body) <= SMALL_OPS;
}

/* Symbols of the callee's parameters that the operands bind to something else. */
static int bind_dims(const Func *f, Value *const *args, DimBinding *to, int max)
{
	int n = 0;
	for (int k = 0; k < f->body->nparam; k++) {
		const Type *p = f->body->param[k]->type, *a = args[k]->type;
		for (int i = 0; i < p->rank; i++) {
			const char *sym;
			bool known = false;
			if (p->dim[i] == a->dim[i] || !dim_is_sym(p->dim[i], &sym)) continue;
			for (int j = 0; j < n; j++) known |= strcmp(to[j].sym, sym) == 0;
			if (!known && n < max) to[n++] = (DimBinding){sym, a->dim[i]};
		}
	}
	return n;
}

static void splice_body(Inline *in, Builder b, Func *f, Op *call, Value **out)
{
	Rebuild r;
	DimBinding dims[64];
	Value **args = NEW_ARRAY(in->c->scratch, Value *, call->nin);
	rebuild_init(&r, b, in->c->scratch);
	r.dims = dims;
	r.ndims = bind_dims(f, call->in, dims, 64);
	for (int k = 0; k < call->nin; k++) args[k] = call->in[k];
	if (f->noinline_cse && call->nin) ir_emit_n(&b, OP_barrier, call->in, call->nin, NULL, 0, args, call->nin);
	for (int k = 0; k < call->nin; k++) map_set(&r.env, f->body->param[k], args[k]);
	rebuild_ops(&r, f->body);
	for (int k = 0; k < call->nout; k++) out[k] = rebuild_value(&r, f->body->result[k]);
}

/* The ops after the call in its block are set aside, so that the builder appends at the call's place. Everything lands in this block: it is
 * the region of an op (or a function's body), and the builder hoists nothing out of those. */
static void inline_one(Inline *in, Op *call, Map *replaced)
{
	Func *f = op_attr(call, AT_func)->v.func;
	Block *blk = call->block;
	Op *rest = call->next, *last = blk->last;
	Builder b = {.m = in->c->m, .block = blk, .facts = blk->func->facts, .loc = call->loc, .tag = call->tag};
	Value **out = NEW_ARRAY(in->c->scratch, Value *, call->nout);
	op_unlink(call);
	if (rest) {
		blk->last = rest->prev;
		if (rest->prev) rest->prev->next = NULL;
		else blk->first = NULL;
	}
	blk->cse = NULL;
	splice_body(in, b, f, call, out);
	blk->cse = NULL;
	if (rest) {
		rest->prev = blk->last;
		if (blk->last) blk->last->next = rest;
		else blk->first = rest;
		blk->last = last;
	}
	for (int k = 0; k < call->nout; k++) map_set(replaced, call->out[k], out[k]);
	in->changed = true;
}

static void rename_values(const Map *to, Value **v, int n)
{
	for (int i = 0; i < n; i++)
		for (Value *w; (w = map_get(to, v[i]));) v[i] = w;
}

static void inline_block(Inline *in, Block *b, Map *replaced)
{
	for (Op *op = b->first, *next; op; op = next) {
		next = op->next;
		rename_values(replaced, op->in, op->nin);
		for (int r = 0; r < op->nregion; r++) inline_block(in, op->region[r], replaced);
		if (op->code == OP_call && wanted(in, op_attr(op, AT_func)->v.func)) inline_one(in, op, replaced);
	}
	rename_values(replaced, b->result, b->nresult);
}

/* Callees first: what is spliced in holds no call that should go itself. */
bool pass_inline(PassCtx *c)
{
	Inline in = {.c = c};
	Func **order = NEW_ARRAY(c->scratch, Func *, c->m->funcs.n);
	int n = c->m->funcs.n;
	map_init(&in.calls, c->scratch);
	for (int i = 0; i < n; i++) block_each_call(c->m->funcs.at[i]->body, count_call, &in);
	funcs_callees_first(c->m, c->scratch, order);
	for (int i = 0; i < n; i++) {
		Map replaced;
		map_init(&replaced, c->scratch);
		inline_block(&in, order[i]->body, &replaced);
	}
	return in.changed;
}
