/* Run-time branches. Both arms run from the same state; what differs afterwards is merged leaf by leaf and becomes results of a `cond`. */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

State state_save(Elab *e)
{
	Frame *f = e->frame;
	State s = {.top = f->locals, .depth = f->depth, .facts_open = e->facts_open, .training = e->training};
	for (Local *l = f->locals; l; l = l->next) s.n++;
	s.v = NEW_ARRAY(e->arena, Val, s.n);
	int i = 0;
	for (Local *l = f->locals; l; l = l->next) s.v[i++] = l->v;
	return s;
}

/* Declarations made since are forgotten. */
void state_restore(Elab *e, State s)
{
	Frame *f = e->frame;
	f->locals = s.top;
	f->depth = s.depth;
	e->facts_open = s.facts_open;
	e->training = s.training;
	int i = 0;
	for (Local *l = f->locals; l; l = l->next) l->v = s.v[i++];
}

State state_after(Elab *e, State before)
{
	Frame *f = e->frame;
	f->locals = before.top;
	f->depth = before.depth;
	return state_save(e);
}

/* --- merging the arms of a branch ------------------------------------------------------------------------------------------ */

typedef struct Slot {
	Value *a, *b, *out;
} Slot;
typedef struct Merge {
	Block *arm[2];
	VEC(Slot *) slots;
	const char *what;
	Loc loc;
	Val prior; /* the value before the branch, for the dtype of numbers; NONE: there was none */
} Merge;

static Val slot_val(Elab *e, Merge *m, Value *a, Value *b)
{
	for (int i = 0; i < m->slots.n; i++) {
		if (m->slots.at[i]->a == a && m->slots.at[i]->b == b) return (Val){.kind = V_TENSOR, .u.tensor = (Value *)m->slots.at[i]};
	}
	Slot *s = NEW(e->arena, Slot);
	s->a = a, s->b = b;
	VEC_PUSH(e->arena, m->slots, s);
	return (Val){.kind = V_TENSOR, .u.tensor = (Value *)s};
}

static const char *merge_name(Elab *e, const Merge *m, const char *path)
{
	return *path ? arena_printf(e->arena, "`%s` of %s", path, m->what) : m->what;
}

static _Noreturn void merge_fail(Elab *e, const Merge *m, Val a, Val b, const char *path)
{
	elab_fail(e, m->loc, "branch.type", "the arms of this run-time branch give %s different types: %s and %s", merge_name(e, m, path),
	          val_describe(e, a), val_describe(e, b));
}

static Value *in_arm(Elab *e, Merge *m, int arm, Val v, DType d)
{
	e->b.block = m->arm[arm];
	return ir_convert(&e->b, elab_tensor(e, v, &d, m->loc, m->what), d);
}

static Val merge_leaf(Elab *e, void *ctx, Val a, Val b, const char *path)
{
	Merge *m = ctx;
	if (val_same(a, b)) return a;
	for (int i = 0; i < 2; i++) { /* a list meets a tensor as one */
		Val *v = i ? &b : &a;
		if (v->kind != V_LIST) continue;
		e->b.block = m->arm[i];
		*v = val_tensor(elab_tensor(e, *v, NULL, m->loc, m->what));
	}
	bool wa = val_is_weak(a), wb = val_is_weak(b);
	if ((a.kind != V_TENSOR && !wa) || (b.kind != V_TENSOR && !wb)) merge_fail(e, m, a, b, path);
	if (wa && wb) {
		Val both[2] = {a, b};
		DType d = elab_result_dtype(e, both, 2, m->loc);
		if (m->prior.kind == V_TENSOR && m->prior.u.tensor->type->rank == 0) {
			DType p = m->prior.u.tensor->type->dtype;
			if (weak_fits(a, p) && weak_fits(b, p)) d = p;
		}
		return slot_val(e, m, in_arm(e, m, 0, a, d), in_arm(e, m, 1, b, d));
	}
	if (wa || wb) {
		Val t = wa ? b : a, n = wa ? a : b;
		DType d = t.u.tensor->type->dtype;
		if (t.u.tensor->type->rank || !weak_fits(n, d)) merge_fail(e, m, a, b, path);
		return slot_val(e, m, in_arm(e, m, 0, a, d), in_arm(e, m, 1, b, d));
	}
	const Type *x = a.u.tensor->type, *y = b.u.tensor->type;
	if (x->dtype != y->dtype || x->rank != y->rank) merge_fail(e, m, a, b, path);
	Value *vb = b.u.tensor;
	for (int i = 0; i < x->rank; i++) {
		if (!dim_provable_equal(e->facts, x->dim[i], y->dim[i])) merge_fail(e, m, a, b, path);
	}
	if (x != y) {
		e->b.block = m->arm[1];
		vb = ir_reshape(&e->b, vb, x->rank, x->dim);
	}
	return slot_val(e, m, a.u.tensor, vb);
}

static Val slot_result(Elab *e, void *ctx, Val v)
{
	Merge *m = ctx;
	if (v.kind != V_TENSOR) return v;
	for (int i = 0; i < m->slots.n; i++) {
		if ((Value *)m->slots.at[i] == v.u.tensor) return val_tensor(m->slots.at[i]->out);
	}
	return v;
}

const char *local_text(Elab *e, const Local *l)
{
	return l->kind == LOCAL_SELF ? "the module" : arena_printf(e->arena, "the variable `%s`", l->name);
}

Val elab_branch(Elab *e, Value *cond, Loc loc, ArmFn arm, void *ctx, bool want)
{
	Block *here = e->b.block;
	State before = state_save(e), after[2];
	Val result[2];
	Merge m = {.loc = loc, .what = "their result"};
	for (int k = 0; k < 2; k++) {
		m.arm[k] = block_new(&e->b, BLOCK_COND, here);
		e->b.block = m.arm[k];
		e->facts_open = false;
		result[k] = arm(e, ctx, k);
		after[k] = state_after(e, before);
		state_restore(e, before);
		e->b.block = here;
	}
	Val r = want ? val_map2(e, result[0], result[1], merge_leaf, &m, "") : val_none();
	int i = 0;
	Val *merged = NEW_ARRAY(e->arena, Val, before.n);
	for (Local *l = before.top; l; l = l->next, i++) {
		m.what = local_text(e, l);
		m.prior = before.v[i];
		bool same = val_same(after[0].v[i], before.v[i]) && val_same(after[1].v[i], before.v[i]);
		merged[i] = same ? before.v[i] : val_map2(e, after[0].v[i], after[1].v[i], merge_leaf, &m, "");
	}
	int n = m.slots.n;
	Value **a = NEW_ARRAY(e->arena, Value *, n), **b = NEW_ARRAY(e->arena, Value *, n);
	for (int k = 0; k < n; k++) a[k] = m.slots.at[k]->a, b[k] = m.slots.at[k]->b;
	for (int k = 0; k < 2; k++) {
		e->b.block = m.arm[k];
		block_set_results(&e->b, m.arm[k], k ? b : a, n);
	}
	e->b.block = here;
	e->b.loc = loc;
	if (n || m.arm[0]->first || m.arm[1]->first) {
		Op *op = ir_emit_region(&e->b, OP_cond, &cond, 1, NULL, 0, m.arm, 2);
		for (int k = 0; k < n; k++) m.slots.at[k]->out = op->out[k];
	}
	i = 0;
	for (Local *l = before.top; l; l = l->next, i++)
		l->v = val_same(merged[i], before.v[i]) ? before.v[i] : val_map(e, merged[i], slot_result, &m);
	return val_map(e, r, slot_result, &m);
}
