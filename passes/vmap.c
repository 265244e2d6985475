/* Batching: one sweep; inside, the batch axis is always axis 0. What does not depend on a batched value is cloned as it is, so unbatched
 * work stays unbatched.
 *
 * loop   batched carries get [n, ..]; scanned operands [n, N, ..] become [N, n, ..] and stacks come back. Lanes that stop earlier than
 *        others (batched `while` predicate, batched limit) are masked: they keep their carries and their rows are zero.
 * cond   one predicate for all lanes: stays a cond. A predicate per lane: both arms, then select; with effects inside, a loop over lanes.
 * call   f.vmap[mask]; a function that carries rules keeps them, batched, and then all operands and results are.
 */
#include "derive.h"
#include <assert.h>
#include <string.h>

typedef struct Vmap {
	Builder b;
	Arena *tmp;
	Map env, batched; /* batched: source values that get the axis */
	Dim n;
} Vmap;

static void batched_block(Block *b, Map *set);
static void vmap_block(Vmap *v, Block *b);

/* --- which values get the axis ------------------------------------------------------------------------------------------ */
static void batched_call(Op *op, Map *set)
{
	Func *f = op_func(op);
	bool *in = NEW_ARRAY(set->arena, bool, op->nin + 1), any = false;
	for (int k = 0; k < op->nin; k++) any |= in[k] = set_has(set, op->in[k]);
	if (!any) return;
	if (func_has_rules(f)) {
		for (int r = 0; r < op->nout; r++) set_add(set, op->out[r]);
		return;
	}
	const char *key = derived_key(f->module, "batched", in, op->nin, NULL, 0);
	Derived *d = derived_find(f, key, NULL);
	if (!d) {
		d = derived_add(f, key, NULL);
		d->mask = NEW_ARRAY(f->module->arena, bool, op->nout + 1);
		Map inner;
		map_init(&inner, set->arena);
		for (int k = 0; k < op->nin; k++)
			if (in[k]) set_add(&inner, f->body->param[k]);
		batched_block(f->body, &inner);
		for (int r = 0; r < f->body->nresult; r++) d->mask[r] = set_has(&inner, f->body->result[r]);
	}
	for (int r = 0; r < op->nout; r++)
		if (d->mask[r]) set_add(set, op->out[r]);
}

/* Lanes may take different numbers of steps. */
static bool loop_masked(const LoopParts *p, const Map *set)
{
	return (p->limit && set_has(set, p->limit)) || (p->cont && set_has(set, p->cont->result[0]));
}

static void batched_loop(Op *op, Map *set)
{
	LoopParts p = loop_parts(op);
	for (int k = 0; k < p.nc + p.nx; k++)
		if (set_has(set, op->in[k])) set_add(set, loop_param(p.body, k));
	for (bool again = true; again;) {
		again = false;
		for (int k = 0; p.cont && k < p.nc; k++)
			if (set_has(set, loop_param(p.body, k))) set_add(set, p.cont->param[k]);
		if (p.cont) batched_block(p.cont, set);
		batched_block(p.body, set);
		bool masked = loop_masked(&p, set);
		for (int k = 0; k < p.nc; k++) {
			Value *v = loop_param(p.body, k);
			if (set_has(set, v) || !(masked || set_has(set, p.body->result[k]))) continue;
			set_add(set, v);
			again = true;
		}
	}
	bool masked = loop_masked(&p, set);
	for (int k = 0; k < op->nout; k++)
		if (masked || set_has(set, k < p.nc ? loop_param(p.body, k) : p.body->result[k])) set_add(set, op->out[k]);
}

static void batched_op(Op *op, Map *set)
{
	if (op->code == OP_call) {
		batched_call(op, set);
	} else if (op->code == OP_loop) {
		batched_loop(op, set);
	} else if (op->code == OP_cond) {
		for (int i = 0; i < 2; i++) {
			batched_block(op->region[i], set);
			for (int r = 0; r < op->nout; r++)
				if (set_has(set, op->in[0]) || set_has(set, op->region[i]->result[r])) set_add(set, op->out[r]);
		}
	} else {
		bool any = false;
		for (int k = 0; k < op->nin; k++) any |= set_has(set, op->in[k]);
		for (int r = 0; any && r < op->nout; r++) set_add(set, op->out[r]);
	}
}

static void batched_block(Block *b, Map *set)
{
	for (Op *op = b->first; op; op = op->next) batched_op(op, set);
}

/* --- values -------------------------------------------------------------------------------------------------------------- */
static bool is_batched(const Vmap *v, const Value *source)
{
	return set_has(&v->batched, source);
}
/* source's value in the clone, with the axis if want. */
static Value *mapped(Vmap *v, Value *source, bool want)
{
	Value *x = env_get(&v->env, source);
	return want && !is_batched(v, source) ? ir_lift(&v->b, x, v->n) : x;
}
static const Type *param_type(Vmap *v, const Value *source, bool isb)
{
	return isb ? type_prepend(v->b.m, source->type, v->n) : source->type;
}
static Value *along_lanes(Vmap *v, Value *p, const Type *t)
{
	return ir_broadcast(&v->b, p, type_with_dtype(v->b.m, t, DT_bool), (int64_t[]){0});
}
static Value *any_lane(Vmap *v, Value *p)
{
	return ir_reduce(&v->b, OP_reduce_or, p, (int64_t[]){0}, 1);
}
static void enter(Vmap *v, Op *op, Value *const *out)
{
	for (int r = 0; r < op->nout; r++) {
		if (op->out[r]->name && !out[r]->name) out[r]->name = op->out[r]->name;
		map_set(&v->env, op->out[r], out[r]);
	}
}

/* --- loop ---------------------------------------------------------------------------------------------------------------- */
/* The predicate of a `while` region on the given carries of the clone, computed at the builder. */
static Value *predicate(Vmap *v, Block *cont, Value *const *carry, bool want)
{
	for (int k = 0; k < cont->nparam; k++) map_set(&v->env, cont->param[k], carry[k]);
	vmap_block(v, cont);
	return mapped(v, cont->result[0], want);
}

/* Region 1 of the batched loop: the predicate itself, or whether any lane is still live (the carry behind the others). */
static Block *vmap_cont(Vmap *v, Block *cont, const Block *body, int nc, bool lanes)
{
	Builder outer = v->b;
	Block *w = v->b.block = block_new(&outer, BLOCK_WHILE, outer.block);
	Value **c = NEW_ARRAY(v->tmp, Value *, nc + 2);
	for (int k = 0; k < nc + lanes; k++) c[k] = block_param(&outer, w, loop_param(body, k)->type, NULL);
	Value *go = lanes ? any_lane(v, c[nc]) : predicate(v, cont, c, false);
	block_set_results(&v->b, w, &go, 1);
	v->b = outer;
	return w;
}

static void vmap_loop(Vmap *v, Op *op)
{
	LoopParts p = loop_parts(op);
	Arena *a = v->b.m->arena;
	bool lane_limit = p.limit && is_batched(v, p.limit), lane_pred = p.cont && is_batched(v, p.cont->result[0]),
	     masked = lane_limit || lane_pred;
	Value *limit = p.limit ? env_get(&v->env, p.limit) : NULL;
	Value **carry = NEW_ARRAY(a, Value *, p.nc + 2), **xs = NEW_ARRAY(a, Value *, p.nx + 1);
	for (int k = 0; k < p.nc; k++) carry[k] = mapped(v, op->in[k], is_batched(v, loop_param(p.body, k)));
	for (int k = 0; k < p.nx; k++) {
		xs[k] = env_get(&v->env, op->in[p.nc + k]);
		if (is_batched(v, op->in[p.nc + k])) xs[k] = ir_move_axis(&v->b, xs[k], 1, 0); /* [n, N, ..] -> [N, n, ..] */
	}
	if (lane_pred) carry[p.nc] = predicate(v, p.cont, carry, true);

	Builder outer = v->b;
	Block *nb = block_new(&outer, BLOCK_LOOP, outer.block);
	for (int k = 0; k < p.body->nparam; k++) {
		if (k == 1 + p.nc && lane_pred) block_param(&outer, nb, carry[p.nc]->type, "live");
		Value *s = p.body->param[k];
		map_set(&v->env, s, block_param(&outer, nb, param_type(v, s, is_batched(v, s)), s->name));
	}
	if (lane_pred && p.nx == 0) block_param(&outer, nb, carry[p.nc]->type, "live");
	Block *cont = p.cont ? vmap_cont(v, p.cont, nb, p.nc, lane_pred) : NULL;
	v->b.block = nb;
	vmap_block(v, p.body);
	Value **res = NEW_ARRAY(a, Value *, op->nout + 2), *go = NULL;
	int nres = p.nc + p.ny;
	for (int k = 0; k < nres; k++) res[k] = mapped(v, p.body->result[k], is_batched(v, op->out[k]));
	if (lane_pred) go = loop_param(nb, p.nc);
	if (lane_limit) {
		Value *before = ir_binary(&v->b, OP_lt, ir_lift(&v->b, nb->param[0], v->n), limit);
		go = go ? ir_binary(&v->b, OP_and, go, before) : before;
	}
	for (int k = 0; masked && k < nres; k++) {
		Value *idle = k < p.nc ? loop_param(nb, k) : ir_zeros(&v->b, res[k]->type);
		res[k] = ir_select(&v->b, along_lanes(v, go, res[k]->type), res[k], idle);
	}
	if (lane_pred) { /* live: the lane has not stopped and its new carries say go on */
		Value *next = ir_binary(&v->b, OP_and, loop_param(nb, p.nc), predicate(v, p.cont, res, true));
		memmove(res + p.nc + 1, res + p.nc, sizeof *res * (size_t)p.ny);
		res[p.nc] = next;
		nres++;
	}
	block_set_results(&v->b, nb, res, nres);
	outer.loc = op->loc;
	v->b = outer;
	if (lane_limit) limit = ir_reduce(&v->b, OP_reduce_max, limit, (int64_t[]){0}, 1);
	Op *l = loop_emit(&v->b, p.trips, carry, p.nc + lane_pred, xs, p.nx, limit, nb, cont, p.reverse, p.remat);
	Value **out = NEW_ARRAY(a, Value *, op->nout + 1);
	for (int k = 0; k < op->nout; k++) {
		out[k] = l->out[k < p.nc ? k : k + lane_pred];
		if (k >= p.nc && is_batched(v, op->out[k])) out[k] = ir_move_axis(&v->b, out[k], 1, 0);
	}
	enter(v, op, out);
}

/* --- cond ---------------------------------------------------------------------------------------------------------------- */
/* The predicate and what the arms capture, each once. */
static int cond_operands(Vmap *v, Op *op, Value ***out)
{
	Value **in[2];
	int n[2], all = 0;
	Map seen;
	map_init(&seen, v->tmp);
	for (int i = 0; i < 2; i++) block_free_values(v->tmp, op->region[i], &in[i], &n[i]);
	*out = NEW_ARRAY(v->tmp, Value *, n[0] + n[1] + 1);
	(*out)[all++] = op->in[0];
	set_add(&seen, op->in[0]);
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < n[i]; k++) {
			if (set_has(&seen, in[i][k])) continue;
			set_add(&seen, in[i][k]);
			(*out)[all++] = in[i][k];
		}
	return all;
}

/* Effects under a predicate per lane: the cond itself, lane by lane. */
static void vmap_cond_lanes(Vmap *v, Op *op)
{
	Arena *a = v->b.m->arena;
	Builder outer = v->b;
	Block *body = block_new(&outer, BLOCK_LOOP, outer.block);
	block_param(&outer, body, type_scalar(v->b.m, DT_i32), "lane");
	Value **captured;
	int n = cond_operands(v, op, &captured);
	Map env;
	map_init(&env, v->tmp);
	Value **xs = NEW_ARRAY(a, Value *, n + 1);
	int nx = 0;
	for (int k = 0; k < n; k++) {
		Value *s = captured[k], *x = env_get(&v->env, s);
		if (is_batched(v, s)) {
			xs[nx++] = x;
			x = block_param(&outer, body, s->type, s->name);
		}
		map_set(&env, s, x);
	}
	Builder in = outer;
	in.block = body;
	clone_op(&in, op, &env);
	block_set_results(&in, body, env_get_all(v->tmp, &env, op->out, op->nout), op->nout);
	enter(v, op, loop_emit(&v->b, v->n, NULL, 0, xs, nx, NULL, body, NULL, false, NULL)->out);
}

static void vmap_cond(Vmap *v, Op *op)
{
	Arena *a = v->b.m->arena;
	Value *p = env_get(&v->env, op->in[0]);
	bool lanes = is_batched(v, op->in[0]);
	if (lanes && op_effects(op)) {
		vmap_cond_lanes(v, op);
		return;
	}
	Value **res[2];
	Block *arm[2];
	Builder outer = v->b;
	for (int i = 0; i < 2; i++) {
		if (!lanes) v->b.block = arm[i] = block_new(&outer, BLOCK_COND, outer.block);
		vmap_block(v, op->region[i]);
		res[i] = NEW_ARRAY(a, Value *, op->nout + 1);
		for (int r = 0; r < op->nout; r++) res[i][r] = mapped(v, op->region[i]->result[r], is_batched(v, op->out[r]));
		if (!lanes) block_set_results(&v->b, arm[i], res[i], op->nout);
	}
	outer.loc = op->loc;
	v->b = outer;
	if (!lanes) {
		enter(v, op, ir_emit_region(&v->b, OP_cond, &p, 1, NULL, 0, arm, 2)->out);
		return;
	}
	Value **out = NEW_ARRAY(a, Value *, op->nout + 1);
	for (int r = 0; r < op->nout; r++) out[r] = ir_select(&v->b, along_lanes(v, p, res[0][r]->type), res[0][r], res[1][r]);
	enter(v, op, out);
}

/* --- call ---------------------------------------------------------------------------------------------------------------- */
/* A callee's batch size must be bound by its own parameters: a number stays one, anything else is a fresh symbol there. */
static Dim callee_size(Func *f, Dim n)
{
	int64_t k;
	DimCtx *c = f->module->dims;
	if (dim_is_const(n, &k)) return n;
	for (int i = 0;; i++) {
		const char *name = i ? arena_printf(f->module->arena, "lanes%d", i) : "lanes", *sym;
		bool taken = false;
		for (int p = 0; p < f->body->nparam; p++)
			for (int d = 0; d < f->body->param[p]->type->rank; d++)
				taken |= dim_is_sym(f->body->param[p]->type->dim[d], &sym) && !strcmp(sym, name);
		if (!taken) return dim_sym(c, name);
	}
}

static void vmap_call(Vmap *v, Op *op)
{
	Func *f = op_func(op);
	Arena *a = v->b.m->arena;
	bool all = func_has_rules(f), *isb = NEW_ARRAY(a, bool, op->nin + 1);
	Value **in = NEW_ARRAY(a, Value *, op->nin + 1), **out = NEW_ARRAY(a, Value *, op->nout + 1);
	for (int k = 0; k < op->nin; k++) {
		isb[k] = all || is_batched(v, op->in[k]);
		in[k] = mapped(v, op->in[k], isb[k]);
	}
	if (f->rule_vmap) {
		enter(v, op, ir_emit_call(&v->b, f->rule_vmap, in, op->nin)->out);
		return;
	}
	Derived *d = vmap_derive(f, isb, callee_size(f, v->n), all);
	Op *c = ir_emit_call(&v->b, d->a, in, op->nin);
	for (int r = 0; r < op->nout; r++) {
		out[r] = c->out[r];
		assert(d->mask[r] == is_batched(v, op->out[r]));
	}
	enter(v, op, out);
}

/* --- a block --------------------------------------------------------------------------------------------------------------- */
static bool touches_batch(Vmap *v, Op *op)
{
	for (int k = 0; k < op->nin; k++)
		if (is_batched(v, op->in[k])) return true;
	for (int r = 0; r < op->nout; r++)
		if (is_batched(v, op->out[r])) return true;
	for (int i = 0; i < op->nregion; i++) {
		Value **captured;
		int n;
		block_free_values(v->tmp, op->region[i], &captured, &n);
		for (int k = 0; k < n; k++)
			if (is_batched(v, captured[k])) return true;
	}
	return false;
}

static void vmap_op(Vmap *v, Op *op)
{
	Builder *b = &v->b;
	b->loc = op->loc;
	b->tag = op->tag;
	if (!touches_batch(v, op)) {
		clone_op(b, op, &v->env);
		return;
	}
	if (!b->tag) b->tag = "vmap";
	switch (op->code) {
	case OP_loop: vmap_loop(v, op); return;
	case OP_cond: vmap_cond(v, op); return;
	case OP_call: vmap_call(v, op); return;
	default: break;
	}
	assert(!op->nregion && "a structure op without a batch rule");
	Arena *a = b->m->arena;
	Value **in = env_get_all(a, &v->env, op->in, op->nin), **out = NEW_ARRAY(a, Value *, op->nout + 1);
	bool *isb = NEW_ARRAY(a, bool, op->nin + 1);
	for (int k = 0; k < op->nin; k++) isb[k] = is_batched(v, op->in[k]);
	OpView view = op_view(b, op, op->in, op->out);
	rule_batch(b, &view, in, isb, v->n, out);
	enter(v, op, out);
}

static void vmap_block(Vmap *v, Block *b)
{
	for (Op *op = b->first; op; op = op->next) vmap_op(v, op);
}

/* f's rules for g = f.vmap: batched too, all operands and results. */
static Func *vmap_rule(Func *rule, Dim n)
{
	if (!rule) return NULL;
	bool *all = NEW_ARRAY(rule->module->arena, bool, rule->body->nparam + 1);
	for (int k = 0; k < rule->body->nparam; k++) all[k] = true;
	return vmap_derive(rule, all, n, true)->a;
}

Derived *vmap_derive(Func *f, const bool *batched, Dim n, bool all_out)
{
	Module *m = f->module;
	int np = f->body->nparam, nr = f->body->nresult;
	const char *key = derived_key(m, all_out ? "vmap_all" : "vmap", batched, np, NULL, 0);
	Derived *d = derived_find(f, key, n);
	if (d) return d;
	d = derived_add(f, key, n);
	Func *g = d->a = derived_func(f, derived_key(m, "vmap", batched, np, NULL, 0));
	Vmap v = {.b = builder_at(g), .tmp = arena_child(m->arena), .n = n};
	map_init(&v.env, v.tmp), map_init(&v.batched, v.tmp);
	for (int k = 0; k < np; k++) {
		Value *p = f->body->param[k];
		if (batched[k]) set_add(&v.batched, p);
		map_set(&v.env, p, func_param(g, param_type(&v, p, batched[k]), p->name));
	}
	batched_block(f->body, &v.batched);
	vmap_block(&v, f->body);
	d->mask = NEW_ARRAY(m->arena, bool, nr + 1);
	Value **res = NEW_ARRAY(m->arena, Value *, nr + 1);
	for (int r = 0; r < nr; r++) {
		d->mask[r] = all_out || is_batched(&v, f->body->result[r]);
		res[r] = mapped(&v, f->body->result[r], d->mask[r]);
	}
	func_set_results(g, res, nr);
	g->remat = f->remat, g->noinline_cse = f->noinline_cse;
	if (func_has_rules(f)) {
		g->rule_jvp = vmap_rule(f->rule_jvp, n);
		g->rule_vjp_fwd = vmap_rule(f->rule_vjp_fwd, n);
		g->rule_vjp_bwd = vmap_rule(f->rule_vjp_bwd, n);
	}
	trim_func(g);
	arena_free(v.tmp);
	return d;
}

Func *transform_vmap(Func *f, const bool *batched, Dim n, bool all_out, bool *out_batched)
{
	int bad = diag_bad(f->module);
	f = derived_wrap(f);
	Derived *d = vmap_derive(f, batched, n, all_out);
	for (int r = 0; r < f->body->nresult; r++) out_batched[r] = d->mask[r];
	return diag_bad(f->module) == bad ? d->a : NULL;
}
