/* Forward mode: one sweep over a function; primal and tangent ops interleave in one block.
 *
 * Structure: a loop gets one more carry, row or stack for each active one, in the order [primals, tangents] of each kind; a cond gets the
 * tangents of its active results; a call becomes a call of f.jvp[mask]. Predicates and limits see primals only, so forward mode goes
 * through every `while`. A tangent that is not there is NULL and is made to zeros only at loop inits, loop yields and arm results.
 */
#include "derive.h"
#include <assert.h>

typedef struct Jvp {
	Builder b;
	Map env, tan, active; /* tan: source value -> its tangent; active: source values that may have one */
} Jvp;

static void jvp_block(Jvp *j, Block *b);
static Derived *transposed_bwd(Func *f);

static Value *tangent_or_zeros(Jvp *j, Value *source)
{
	Value *t = map_get(&j->tan, source);
	return t ? t : ir_zeros(&j->b, source->type);
}
static Value **tangents(Jvp *j, Value *const *source, int n)
{
	Value **t = NEW_ARRAY(j->b.m->arena, Value *, n + 1);
	for (int k = 0; k < n; k++) t[k] = map_get(&j->tan, source[k]);
	return t;
}
static void finish_op(Jvp *j, Op *op, Value *const *out, Value *const *dt)
{
	for (int r = 0; r < op->nout; r++) {
		if (op->out[r]->name && !out[r]->name) out[r]->name = op->out[r]->name;
		map_set(&j->env, op->out[r], out[r]);
		if (dt[r]) map_set(&j->tan, op->out[r], dt[r]);
	}
}

/* --- loop ---------------------------------------------------------------------------------------------------------------- */
Block *jvp_widened_cont(Builder *b, Block *cont, const Block *body, int nc, int extra, const Map *env)
{
	if (!cont) return NULL;
	Block *w = block_new(b, BLOCK_WHILE, b->block);
	Map e;
	map_init(&e, b->m->arena);
	Builder inner = *b;
	inner.block = w;
	clone_params(&inner, cont, w, &e);
	for (int k = 0; k < extra; k++) block_param(&inner, w, loop_param(body, nc + k)->type, NULL);
	/* captures of the region go through the enclosing environment */
	Value **captured;
	int n;
	block_free_values(b->m->arena, cont, &captured, &n);
	for (int k = 0; k < n; k++) map_set(&e, captured[k], env_get(env, captured[k]));
	clone_ops(&inner, cont, &e);
	Value *go = env_get(&e, cont->result[0]);
	block_set_results(&inner, w, &go, 1);
	return w;
}

static void jvp_loop(Jvp *j, Op *op, Value **in, Value **t)
{
	LoopParts p = loop_parts(op);
	Arena *a = j->b.m->arena;
	int *ac = NEW_ARRAY(a, int, p.nc + 1), *ax = NEW_ARRAY(a, int, p.nx + 1), *ay = NEW_ARRAY(a, int, p.ny + 1), nac = 0, nax = 0, nay = 0;
	for (int k = 0; k < p.nc; k++)
		if (set_has(&j->active, loop_param(p.body, k))) ac[nac++] = k;
	for (int k = p.nc; k < p.nc + p.nx; k++)
		if (t[k]) ax[nax++] = k;
	for (int k = p.nc; k < p.nc + p.ny; k++)
		if (set_has(&j->active, p.body->result[k])) ay[nay++] = k;

	Builder outer = j->b;
	Block *nb = block_new(&outer, BLOCK_LOOP, outer.block);
	for (int k = 0; k < 1 + p.nc; k++)
		map_set(&j->env, p.body->param[k], block_param(&outer, nb, p.body->param[k]->type, p.body->param[k]->name));
	for (int k = 0; k < nac; k++)
		map_set(&j->tan, loop_param(p.body, ac[k]), block_param(&outer, nb, loop_param(p.body, ac[k])->type, NULL));
	for (int k = p.nc; k < p.nc + p.nx; k++)
		map_set(&j->env, loop_param(p.body, k), block_param(&outer, nb, loop_param(p.body, k)->type, loop_param(p.body, k)->name));
	for (int k = 0; k < nax; k++)
		map_set(&j->tan, loop_param(p.body, ax[k]), block_param(&outer, nb, loop_param(p.body, ax[k])->type, NULL));
	Block *cont = jvp_widened_cont(&outer, p.cont, nb, p.nc, nac, &j->env);

	j->b.block = nb;
	jvp_block(j, p.body);
	int n = 0;
	Value **res = NEW_ARRAY(a, Value *, 2 * (p.nc + p.ny) + 1);
	for (int k = 0; k < p.nc; k++) res[n++] = env_get(&j->env, p.body->result[k]);
	for (int k = 0; k < nac; k++) res[n++] = tangent_or_zeros(j, p.body->result[ac[k]]);
	for (int k = p.nc; k < p.nc + p.ny; k++) res[n++] = env_get(&j->env, p.body->result[k]);
	for (int k = 0; k < nay; k++) res[n++] = tangent_or_zeros(j, p.body->result[ay[k]]);
	block_set_results(&j->b, nb, res, n);
	outer.loc = op->loc;
	j->b = outer;

	Value **carry = NEW_ARRAY(a, Value *, p.nc + nac + 1), **xs = NEW_ARRAY(a, Value *, p.nx + nax + 1);
	for (int k = 0; k < p.nc; k++) carry[k] = in[k];
	for (int k = 0; k < nac; k++) carry[p.nc + k] = t[ac[k]] ? t[ac[k]] : ir_zeros(&j->b, in[ac[k]]->type);
	for (int k = 0; k < p.nx; k++) xs[k] = in[p.nc + k];
	for (int k = 0; k < nax; k++) xs[p.nx + k] = t[ax[k]];
	Op *l = loop_emit(&j->b, p.trips, carry, p.nc + nac, xs, p.nx + nax, p.limit ? in[op->nin - 1] : NULL, nb, cont, p.reverse, p.remat);

	Value **out = NEW_ARRAY(a, Value *, op->nout + 1), **dt = NEW_ARRAY(a, Value *, op->nout + 1);
	for (int k = 0; k < op->nout; k++) out[k] = l->out[k < p.nc ? k : k + nac];
	for (int k = 0; k < nac; k++) dt[ac[k]] = l->out[p.nc + k];
	for (int k = 0; k < nay; k++) dt[ay[k]] = l->out[p.nc + nac + p.ny + k];
	finish_op(j, op, out, dt);
}

/* --- cond ---------------------------------------------------------------------------------------------------------------- */
static void jvp_cond(Jvp *j, Op *op, Value **in)
{
	Arena *a = j->b.m->arena;
	Builder outer = j->b;
	Block *arm[2];
	int n = op->nout;
	for (int i = 0; i < 2; i++) {
		Block *r = op->region[i];
		arm[i] = j->b.block = block_new(&outer, BLOCK_COND, outer.block);
		jvp_block(j, r);
		Value **res = NEW_ARRAY(a, Value *, 2 * op->nout + 1);
		n = op->nout;
		for (int k = 0; k < op->nout; k++) res[k] = env_get(&j->env, r->result[k]);
		for (int k = 0; k < op->nout; k++)
			if (set_has(&j->active, op->out[k])) res[n++] = tangent_or_zeros(j, r->result[k]);
		block_set_results(&j->b, arm[i], res, n);
	}
	outer.loc = op->loc;
	j->b = outer;
	Op *c = ir_emit_region(&j->b, OP_cond, in, 1, NULL, 0, arm, 2);
	Value **dt = NEW_ARRAY(a, Value *, op->nout + 1);
	n = op->nout;
	for (int k = 0; k < op->nout; k++)
		if (set_has(&j->active, op->out[k])) dt[k] = c->out[n++];
	finish_op(j, op, c->out, dt);
}

/* --- call ---------------------------------------------------------------------------------------------------------------- */
/* Tangents of differentiable results, in order, from a rule that gives all of them. */
static void spread(Op *op, Value *const *from, Value **dt)
{
	int n = 0;
	for (int r = 0; r < op->nout; r++)
		if (dtype_is_diff(op->out[r]->type->dtype)) dt[r] = from[n++];
}

static void jvp_call(Jvp *j, Op *op, Value **in, Value **t)
{
	Builder *b = &j->b;
	Func *f = op_func(op);
	Arena *a = b->m->arena;
	Value **dt = NEW_ARRAY(a, Value *, op->nout + 1), **args = NEW_ARRAY(a, Value *, 2 * (op->nin + op->nout) + 2);
	int n = 0;
	if (f->rule_jvp) {
		Op *c = ir_emit_call(b, f, in, op->nin);
		for (int k = 0; k < op->nin; k++) args[n++] = in[k];
		n += instantiate(b, in, t, op->nin, args + n);
		spread(op, ir_emit_call(b, f->rule_jvp, args, n)->out, dt);
		finish_op(j, op, c->out, dt);
		return;
	}
	if (f->rule_vjp_bwd) { /* the reverse rule is linear in the cotangents: transposed, it pushes tangents forward */
		Op *c = ir_emit_call(b, f->rule_vjp_fwd ? f->rule_vjp_fwd : f, in, op->nin);
		Derived *push = transposed_bwd(f);
		if (!push) return;
		args = NEW_ARRAY(a, Value *, 2 * op->nin + 2 * c->nout + 2);
		if (!f->rule_vjp_fwd)
			for (int k = 0; k < op->nin; k++) args[n++] = in[k];
		for (int r = f->rule_vjp_fwd ? op->nout : 0; r < c->nout; r++) args[n++] = c->out[r];
		n += instantiate(b, in, t, op->nin, args + n);
		int np = f->rule_vjp_bwd->body->nparam, ng = 0;
		for (int r = 0; r < op->nout; r++) ng += dtype_is_diff(op->out[r]->type->dtype);
		for (int i = 0; i < push->npres; i++) args[n++] = nth_float(c->out, push->pres[i] - (np - ng));
		spread(op, ir_emit_call(b, push->a, args, n)->out, dt);
		finish_op(j, op, c->out, dt);
		return;
	}
	bool *act = NEW_ARRAY(a, bool, op->nin + 1);
	for (int k = 0; k < op->nin; k++) args[n++] = in[k], act[k] = t[k] != NULL;
	for (int k = 0; k < op->nin; k++)
		if (t[k]) args[n++] = t[k];
	Derived *d = jvp_derive(f, act);
	Op *c = ir_emit_call(b, d->a, args, n);
	n = op->nout;
	for (int r = 0; r < op->nout; r++)
		if (d->mask[r]) dt[r] = c->out[n++];
	finish_op(j, op, c->out, dt);
}

/* bwd (residuals.., cotangents..) -> cotangents of the differentiable parameters, transposed in the cotangents. */
static Derived *transposed_bwd(Func *f)
{
	Func *bwd = f->rule_vjp_bwd;
	int np = bwd->body->nparam, ng = 0;
	for (int r = 0; r < f->body->nresult; r++) ng += dtype_is_diff(f->body->result[r]->type->dtype);
	bool *linear = NEW_ARRAY(f->module->arena, bool, np + 1);
	for (int k = np - ng; k < np; k++) linear[k] = true;
	return vjp_transpose(bwd, linear);
}

/* --- a block --------------------------------------------------------------------------------------------------------------- */
static void jvp_op(Jvp *j, Op *op)
{
	Builder *b = &j->b;
	Arena *a = b->m->arena;
	b->loc = op->loc;
	b->tag = op->tag;
	if (!op_active(op, &j->active)) {
		clone_op(b, op, &j->env);
		return;
	}
	Value **in = env_get_all(a, &j->env, op->in, op->nin), **t = tangents(j, op->in, op->nin);
	if (!b->tag) b->tag = "jvp";
	switch (op->code) {
	case OP_loop: jvp_loop(j, op, in, t); return;
	case OP_cond: jvp_cond(j, op, in); return;
	case OP_call: jvp_call(j, op, in, t); return;
	default: break;
	}
	assert(!op->nregion && "a structure op without a forward rule");
	Value **out = NEW_ARRAY(a, Value *, op->nout + 1), **dt = NEW_ARRAY(a, Value *, op->nout + 1);
	b->tag = op->tag;
	ir_emit_n(b, op->code, in, op->nin, op->attrs, op->nattr, out, op->nout);
	b->tag = op->tag ? op->tag : "jvp";
	OpView v = op_view(b, op, in, out);
	rule_jvp(b, &v, t, dt);
	finish_op(j, op, out, dt);
}

static void jvp_block(Jvp *j, Block *b)
{
	for (Op *op = b->first; op; op = op->next) jvp_op(j, op);
}

Derived *jvp_derive(Func *f, const bool *active)
{
	Module *m = f->module;
	int np = f->body->nparam, nr = f->body->nresult;
	const char *key = derived_key(m, "jvp", active, np, NULL, 0);
	Derived *d = derived_find(f, key, NULL);
	if (d) return d;
	d = derived_add(f, key, NULL);
	Func *g = d->a = derived_func(f, key);
	Arena *tmp = arena_child(m->arena);
	Jvp j = {.b = builder_at(g)};
	map_init(&j.env, tmp), map_init(&j.tan, tmp), map_init(&j.active, tmp);
	clone_params(&j.b, f->body, g->body, &j.env);
	for (int k = 0; k < np; k++) {
		Value *p = f->body->param[k];
		if (!active[k]) continue;
		Value *t = block_param(&j.b, g->body, p->type, p->name ? arena_printf(m->arena, "d_%s", p->name) : NULL);
		if (!dtype_is_diff(p->type->dtype)) continue;
		set_add(&j.active, p);
		map_set(&j.tan, p, t);
	}
	activity_block(f->body, &j.active);
	jvp_block(&j, f->body);
	d->mask = NEW_ARRAY(m->arena, bool, nr + 1);
	Value **res = NEW_ARRAY(m->arena, Value *, 2 * nr + 1);
	int n = nr;
	for (int r = 0; r < nr; r++) {
		Value *v = f->body->result[r], *t = map_get(&j.tan, v);
		res[r] = env_get(&j.env, v);
		d->mask[r] = t != NULL;
		if (t) res[n++] = t;
	}
	func_set_results(g, res, n);
	g->remat = f->remat, g->noinline_cse = f->noinline_cse;
	trim_func(g);
	arena_free(tmp);
	return d;
}

Func *transform_jvp(Func *f, const bool *active, bool *out_active)
{
	int bad = diag_bad(f->module);
	f = derived_wrap(f);
	Derived *d = jvp_derive(f, active);
	for (int r = 0; r < f->body->nresult; r++) out_active[r] = d->mask[r];
	return diag_bad(f->module) == bad ? d->a : NULL;
}
