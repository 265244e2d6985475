/* Which values depend on the active parameters and have a tangent (real floats and c64). One pass over a function fills one set for
 * all of its regions: the set only grows, so the fixpoints of loops share it. */
#include "derive.h"

static void mark(Map *active, Value *v)
{
	if (dtype_is_diff(v->type->dtype)) set_add(active, v);
}

bool op_active(const Op *op, const Map *active)
{
	for (int r = 0; r < op->nout; r++)
		if (set_has(active, op->out[r])) return true;
	return false;
}

static void activity_call(Op *op, Map *active)
{
	bool *in = NEW_ARRAY(active->arena, bool, op->nin + 1);
	bool any = false;
	for (int k = 0; k < op->nin; k++) any |= in[k] = set_has(active, op->in[k]);
	if (!any) return;
	const bool *out = activity_of(op_func(op), in);
	for (int r = 0; r < op->nout; r++)
		if (out[r]) mark(active, op->out[r]);
}

static void activity_loop(Op *op, Map *active)
{
	LoopParts p = loop_parts(op);
	for (int k = 0; k < p.nc + p.nx; k++)
		if (set_has(active, op->in[k])) mark(active, loop_param(p.body, k));
	for (bool again = true; again;) { /* a carry is active if its init or its yield is */
		again = false;
		activity_block(p.body, active);
		for (int k = 0; k < p.nc; k++) {
			if (!set_has(active, p.body->result[k]) || set_has(active, loop_param(p.body, k))) continue;
			mark(active, loop_param(p.body, k));
			again = true;
		}
	}
	for (int k = 0; k < op->nout; k++)
		if (set_has(active, k < p.nc ? loop_param(p.body, k) : p.body->result[k])) mark(active, op->out[k]);
}

static void activity_op(Op *op, Map *active)
{
	if (op->code == OP_call) {
		activity_call(op, active);
	} else if (op->code == OP_loop) {
		activity_loop(op, active);
	} else if (op->code == OP_cond) {
		for (int i = 0; i < 2; i++) {
			activity_block(op->region[i], active);
			for (int r = 0; r < op->nout; r++)
				if (set_has(active, op->region[i]->result[r])) mark(active, op->out[r]);
		}
	} else if (!op_row(op->code)->zero) {
		bool any = false;
		for (int k = 0; k < op->nin; k++) any |= set_has(active, op->in[k]);
		for (int r = 0; any && r < op->nout; r++) mark(active, op->out[r]);
	}
}

void activity_block(Block *b, Map *active)
{
	for (Op *op = b->first; op; op = op->next) activity_op(op, active);
}

const bool *activity_of(Func *f, const bool *active)
{
	const char *key = derived_key(f->module, "activity", active, f->body->nparam, NULL, 0);
	Derived *d = derived_find(f, key, NULL);
	if (d) return d->mask;
	d = derived_add(f, key, NULL);
	d->mask = NEW_ARRAY(f->module->arena, bool, f->body->nresult + 1);
	Arena *tmp = arena_child(f->module->arena);
	Map set;
	map_init(&set, tmp);
	bool any = false;
	for (int k = 0; k < f->body->nparam; k++)
		if (active[k]) mark(&set, f->body->param[k]), any = true;
	if (!func_has_derivative_rule(f)) activity_block(f->body, &set);
	for (int r = 0; r < f->body->nresult; r++) {
		Value *v = f->body->result[r];
		d->mask[r] = func_has_derivative_rule(f) ? any && dtype_is_diff(v->type->dtype) : set_has(&set, v);
	}
	arena_free(tmp);
	return d->mask;
}
