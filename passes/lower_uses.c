/* What lowering must know before it starts: who reads each value and until when, which values get memory of their own, and which updates
 * may happen in place. */
#include <string.h>
#include "composite.h"
#include "lower.h"
#include "lower_uses.h"

Info *lower_info(Lower *L, const Value *v)
{
	Info *i = map_get(&L->info, v);
	if (!i) {
		i = NEW(L->a, Info);
		map_set(&L->info, v, i);
	}
	return i;
}

/* --- who reads -------------------------------------------------------------------------------------------------------------------- */
/* The op of block b in whose regions (deep) op stands, or op itself. NULL when op is not below b. */
static Op *containing(Op *op, const Block *b)
{
	while (op && op->block != b) op = op->block->owner;
	return op;
}

static void use(Lower *L, Value *v, Op *by)
{
	Info *i = lower_info(L, v);
	i->uses++;
	Op *at = containing(by, v->block);
	VEC_PUSH(L->a, i->users, at ? at : by);
	/* read again and again inside a loop: kept, not recomputed */
	for (Op *o = by; o && o->block != v->block; o = o->block->owner)
		if (o->block->kind == BLOCK_LOOP || o->block->kind == BLOCK_WHILE) i->looped = true;
}

static void number_block(Lower *L, Block *b)
{
	for (Op *op = b->first; op; op = op->next) {
		int order = L->next_order++;
		for (int i = 0; i < op->nin; i++) use(L, op->in[i], op);
		for (int r = 0; r < op->nregion; r++) number_block(L, op->region[r]);
		for (int i = 0; i < op->nout; i++) lower_info(L, op->out[i])->order = order;
		op->mark = order;
	}
	for (int i = 0; i < b->nresult; i++) {
		Info *r = lower_info(L, b->result[i]);
		r->uses++;
		if (b->result[i]->block == b) r->yields++;
		else if (b->owner) {
			Op *at = containing(b->owner, b->result[i]->block);
			if (at) VEC_PUSH(L->a, r->users, at);
			if (b->kind != BLOCK_COND) r->looped = true;
		}
	}
}

/* The order number after which v, read directly by user, is not read any more on that account. */
int read_until(Lower *L, Op *user)
{
	if (user->nregion || user->nout != 1) return user->mark;
	Info *i = lower_info(L, user->out[0]);
	return i->stored ? user->mark : i->last;
}

/* --- what is stored ---------------------------------------------------------------------------------------------------------------- */
enum { CHEAP_USES = 4, LARGE = 60 };

/* The shapes differ in axes of size 1 only: the index of the operand is that of the result. */
static bool same_but_ones(const Type *a, const Type *b)
{
	int i = 0, k = 0;
	int64_t n;
	while (i < a->rank || k < b->rank) {
		if (i < a->rank && dim_is_const(a->dim[i], &n) && n == 1) i++;
		else if (k < b->rank && dim_is_const(b->dim[k], &n) && n == 1) k++;
		else if (i == a->rank || k == b->rank || a->dim[i++] != b->dim[k++]) return false;
	}
	return true;
}

static int op_cost(const Op *op)
{
	if (op->code == OP_reshape && same_but_ones(op->in[0]->type, op->out[0]->type)) return 0;
	return lower_row(op->code)->cost;
}

static bool is_trivial(const Value *v)
{
	return !v->def || lower_row(v->def->code)->trivial;
}

/* Does a use of v in op compute an element of v more than once? */
static bool repeats(const Op *op, const Value *v)
{
	const LowerRow *row = lower_row(op->code);
	return row->repeats == REPEATS || (row->repeats == REPEATS_FIRST && op->in[0] == v);
}

static bool needs_memory(const Op *op)
{
	const LowerRow *row = lower_row(op->code);
	return row->step || row->memory;
}

static void decide(Lower *L, Op *op)
{
	if (lower_row(op->code)->step) return;
	if (!lower_row(op->code)->pull) {
		for (int i = 0; i < op->nout; i++) lower_info(L, op->out[i])->stored = true;
		return;
	}
	for (int k = 0; k < op->nout; k++) {
		Value *v = op->out[k];
		Info *me = lower_info(L, v);
		me->cost = op_cost(op);
		for (int i = 0; i < op->nin; i++) {
			Info *in = lower_info(L, op->in[i]);
			me->cost += in->stored ? 0 : in->cost;
		}
		if (is_trivial(v)) continue;
		bool repeated = false, memory = false;
		for (int i = 0; i < me->users.n; i++) {
			repeated |= repeats(me->users.at[i], v);
			memory |= needs_memory(me->users.at[i]) && !composite_reads_view(me->users.at[i], v) && me->users.at[i]->block == v->block &&
			          !me->users.at[i]->nregion;
		}
		me->stored = me->yields > 0 || memory || me->cost > LARGE || (me->looped && me->cost > 0) ||
		             (me->uses > 1 && me->cost > CHEAP_USES) || (repeated && me->cost > 1);
	}
}

static void decide_block(Lower *L, Block *b)
{
	for (Op *op = b->first; op; op = op->next) {
		for (int r = 0; r < op->nregion; r++) decide_block(L, op->region[r]);
		decide(L, op);
	}
}

/* --- until when -------------------------------------------------------------------------------------------------------------------- */
static void last_reads(Lower *L, Block *b)
{
	for (Op *op = b->last; op; op = op->prev) {
		for (int k = 0; k < op->nout; k++) {
			Info *me = lower_info(L, op->out[k]);
			me->last = me->yields ? INT32_MAX : op->mark;
			for (int i = 0; i < me->users.n; i++) {
				int until = read_until(L, me->users.at[i]);
				if (until > me->last) me->last = until;
			}
		}
		for (int r = 0; r < op->nregion; r++) last_reads(L, op->region[r]);
	}
}

/* Every read of v other than by op itself is over before op runs; with equal, reads by op itself are allowed. */
bool reads_over(Lower *L, Value *v, Op *op, bool equal)
{
	Info *i = lower_info(L, v);
	if (i->yields) return false;
	for (int k = 0; k < i->users.n; k++) {
		Op *u = i->users.at[k];
		if (u == op) {
			if (op->nregion) return false;
			continue;
		}
		int until = read_until(L, u);
		if (until > op->mark || (until == op->mark && !equal)) return false;
	}
	return true;
}

/* v reads p only element by element: through element-wise ops that are not stored. */
bool reads_identity(Lower *L, Value *v, Value *p)
{
	if (v == p) return true;
	if (!v->def || (lower_info(L, v)->stored && lower_info(L, v)->buf)) return true;
	bool ew = op_is_elementwise(v->def->code);
	for (int i = 0; i < v->def->nin; i++) {
		Value *x = v->def->in[i];
		if (x == p && !ew) return false;
		if (x != p && x->def && !lower_info(L, x)->stored) {
			if (ew ? !reads_identity(L, x, p) : value_reads(L, x, p)) return false;
		}
	}
	return true;
}

/* The expression of v (through values that are not stored) reads p. */
bool value_reads(Lower *L, Value *v, Value *p)
{
	if (v == p) return true;
	if (!v->def || lower_info(L, v)->stored || lower_row(v->def->code)->step) return false; /* what a step gives is in memory */
	for (int i = 0; i < v->def->nin; i++)
		if (value_reads(L, v->def->in[i], p)) return true;
	return false;
}

static bool is_update(const Op *op)
{
	return lower_row(op->code)->update;
}

/* An update may overwrite its operand when nobody reads that afterwards; what is written must not read it meanwhile: it is stored first. */
static void plan_updates(Lower *L, Block *b)
{
	for (Op *op = b->first; op; op = op->next) {
		for (int r = 0; r < op->nregion; r++) plan_updates(L, op->region[r]);
		if (!is_update(op)) continue;
		Value *x = op->in[0];
		for (int i = 1; i < op->nin; i++) {
			if (op->in[i] == x) goto next;
			if (value_reads(L, op->in[i], x) && op->in[i]->def) lower_info(L, op->in[i])->stored = true;
		}
		if (x->block != b || !reads_over(L, x, op, true)) continue;
		lower_info(L, op->out[0])->in_place = true;
	next:;
	}
}

void lower_analyse(Lower *L, Func *f)
{
	number_block(L, f->body);
	decide_block(L, f->body);
	last_reads(L, f->body);
	plan_updates(L, f->body);
	last_reads(L, f->body);
}
