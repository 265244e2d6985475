/* Small questions about functions that several passes ask. */
#include "walk.h"

int block_op_count(const Block *b)
{
	int n = 0;
	for (const Op *op = b->first; op; op = op->next) {
		const OpRow *row = op_row(op->code);
		n += row->zero != ZERO_SOURCE && !(row->flags & OPF_VIEW);
		for (int r = 0; r < op->nregion; r++) n += block_op_count(op->region[r]);
	}
	return n;
}

bool op_has_effects(const Op *op)
{
	if (op_row(op->code)->flags & OPF_EFFECT) return true;
	if (op->code == OP_call && block_has_effects(op_attr(op, AT_func)->v.func->body)) return true;
	for (int r = 0; r < op->nregion; r++)
		if (block_has_effects(op->region[r])) return true;
	return false;
}

bool block_has_effects(const Block *b)
{
	for (const Op *op = b->first; op; op = op->next)
		if (op_has_effects(op)) return true;
	return false;
}

void block_each_call(Block *b, void (*fn)(void *ctx, Op *call), void *ctx)
{
	for (Op *op = b->first, *next; op; op = next) {
		next = op->next;
		if (op->code == OP_call) fn(ctx, op);
		for (int r = 0; r < op->nregion; r++) block_each_call(op->region[r], fn, ctx);
	}
}

typedef struct Order {
	Map done;
	Func **out;
	int n;
} Order;
static void order_func(Order *o, Func *f);
static void order_callee(void *ctx, Op *call)
{
	order_func(ctx, op_attr(call, AT_func)->v.func);
}

static void order_func(Order *o, Func *f)
{
	if (map_get(&o->done, f)) return;
	map_set(&o->done, f, f);
	block_each_call(f->body, order_callee, o);
	o->out[o->n++] = f;
}

void funcs_callees_first(Module *m, Arena *scratch, Func **out)
{
	Order o = {.out = out};
	map_init(&o.done, scratch);
	for (int i = 0; i < m->funcs.n; i++) order_func(&o, m->funcs.at[i]);
}

/* --- comparison: to maps each value defined inside a to its counterpart inside b --------------------------------------------- */
static bool alike_values(const Map *to, Value *const *a, Value *const *b, int na, int nb)
{
	if (na != nb) return false;
	for (int i = 0; i < na; i++) {
		Value *want = map_get(to, a[i]);
		if ((want ? want : a[i]) != b[i]) return false;
	}
	return true;
}

static bool pair_up(Map *to, Value *const *a, Value *const *b, int na, int nb)
{
	if (na != nb) return false;
	for (int i = 0; i < na; i++) {
		if (a[i]->type != b[i]->type) return false;
		map_set(to, a[i], b[i]);
	}
	return true;
}

static bool alike_blocks(Map *to, const Block *a, const Block *b);

static bool alike_ops(Map *to, const Op *a, const Op *b)
{
	if (a->code != b->code || a->nattr != b->nattr || a->nregion != b->nregion || !alike_values(to, a->in, b->in, a->nin, b->nin))
		return false;
	for (int i = 0; i < a->nattr; i++)
		if (!attr_equal(&a->attrs[i], &b->attrs[i])) return false;
	for (int r = 0; r < a->nregion; r++)
		if (!alike_blocks(to, a->region[r], b->region[r])) return false;
	return pair_up(to, a->out, b->out, a->nout, b->nout);
}

static bool alike_blocks(Map *to, const Block *a, const Block *b)
{
	if (a->kind != b->kind || !pair_up(to, a->param, b->param, a->nparam, b->nparam)) return false;
	const Op *p = a->first, *q = b->first;
	for (; p && q; p = p->next, q = q->next)
		if (!alike_ops(to, p, q)) return false;
	return !p && !q && alike_values(to, a->result, b->result, a->nresult, b->nresult);
}

bool blocks_alike(Arena *scratch, const Block *a, const Block *b)
{
	Map to;
	map_init(&to, scratch);
	return alike_blocks(&to, a, b);
}

bool ops_alike_under(Map *to, const Op *a, const Op *b)
{
	return alike_ops(to, a, b);
}

bool ops_alike(Arena *scratch, const Op *a, const Op *b)
{
	Map to;
	map_init(&to, scratch);
	return alike_ops(&to, a, b);
}
