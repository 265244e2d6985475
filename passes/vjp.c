/* Reverse mode: one sweep over a function.
 *
 * Forward: the function is cloned; each active op leaves an entry on the tape of the block where its result landed (a hoisted op is
 * differentiated once, outside the loop). Backward: entries in reverse; cotangents accumulate per value; NULL is the symbolic zero.
 * An op that has only a jvp rule is differentiated by emitting that rule on placeholders and transposing what depends on them.
 * Structure: vjp_region.c. Residuals: vjp_close.c.
 */
#include "vjp.h"
#include <assert.h>
#include <string.h>

Tape *tape_of(Arena *a, Block *b)
{
	if (!b->tape) b->tape = NEW(a, Tape);
	return b->tape;
}

void ct_add(Builder *b, Map *ct, Value *v, Value *c)
{
	if (c) map_set(ct, v, rule_add(b, map_get(ct, v), c));
}

void tape_backward(Builder *b, Tape *t, Map *ct)
{
	for (int i = t->n - 1; i >= 0; i--) {
		Entry *e = t->at[i];
		Value **g = NEW_ARRAY(b->m->arena, Value *, e->nout + 1);
		bool any = false;
		for (int r = 0; r < e->nout; r++) {
			g[r] = map_get(ct, e->out[r]);
			if (g[r]) map_set(ct, e->out[r], NULL), any = true;
		}
		if (!any) continue;
		b->loc = e->loc;
		e->vjp(b, e, g, ct);
	}
}

void tape_reach(Arena *a, Tape *t, Map *ids, Values *order)
{
	Map seen;
	map_init(&seen, a);
	for (int i = t->n - 1; i >= 0; i--) {
		Entry *e = t->at[i];
		bool hit = false;
		for (int r = 0; r < e->nout; r++) hit |= set_has(ids, e->out[r]);
		for (int k = 0; hit && k < e->nact; k++) {
			set_add(ids, e->act[k]);
			if (set_has(&seen, e->act[k])) continue;
			set_add(&seen, e->act[k]);
			VEC_PUSH(a, *order, e->act[k]);
		}
	}
}

/* --- one tensor op ----------------------------------------------------------------------------------------------------------- */
/* Emits the jvp rule on placeholders into a block below the current one: what does not depend on them is hoisted out of it, what is
 * left is linear and is transposed in reverse; the block itself is dropped. */
static void vjp_by_jvp(Builder *b, const OpView *v, const bool *want, Value *const *g, Map *ct)
{
	Arena *a = b->m->arena;
	Block *l = block_new(b, BLOCK_LOOP, b->block);
	Builder lb = *b;
	lb.block = l;
	Value **t = NEW_ARRAY(a, Value *, v->nin + 1), **dt = NEW_ARRAY(a, Value *, v->nout + 1);
	for (int k = 0; k < v->nin; k++) t[k] = want[k] ? block_param(&lb, l, v->in[k]->type, NULL) : NULL;
	rule_jvp(&lb, v, t, dt);
	Map lct;
	map_init(&lct, a);
	for (int r = 0; r < v->nout; r++)
		if (g[r] && dt[r] && dt[r]->block == l) ct_add(b, &lct, dt[r], g[r]);
	for (Op *op = l->last; op; op = op->prev) {
		Value **lg = NEW_ARRAY(a, Value *, op->nout + 1);
		bool any = false;
		for (int r = 0; r < op->nout; r++) any |= (lg[r] = map_get(&lct, op->out[r])) != NULL;
		if (!any) continue;
		OpView lv = op_view(b, op, op->in, op->out);
		for (int k = 0; k < op->nin; k++) {
			if (op->in[k]->block != l) continue;
			assert(rule_linear(&lv, k) && "a jvp rule must be linear in its tangents");
			ct_add(b, &lct, op->in[k], rule_of(op->code)->transpose(b, &lv, k, lg));
		}
	}
	for (int k = 0; k < v->nin; k++)
		if (t[k]) ct_add(b, ct, v->in[k], map_get(&lct, t[k]));
}

static void vjp_tensor_op(Builder *b, Entry *e, Value *const *g, Map *ct)
{
	bool direct = true;
	for (int k = 0; k < e->view.nin; k++) direct &= !e->want[k] || rule_direct(&e->view, k);
	if (!direct) {
		vjp_by_jvp(b, &e->view, e->want, g, ct);
		return;
	}
	for (int k = 0; k < e->view.nin; k++)
		if (e->want[k]) ct_add(b, ct, e->view.in[k], rule_cotangent(b, &e->view, k, g));
}

/* --- the forward clone --------------------------------------------------------------------------------------------------------- */
Entry *entry_new(Sweep *s, Op *source, Value **out)
{
	Entry *e = NEW(s->b.m->arena, Entry);
	e->out = out, e->nout = source->nout;
	e->loc = source->loc;
	e->sweep = s;
	e->counter = -1;
	return e;
}

void tape_push(Sweep *s, Entry *e)
{
	Block *at = e->out[0]->block;
	Tape *t = tape_of(s->b.m->arena, at);
	VEC_PUSH(s->b.m->arena, *t, e);
}

/* Whether v depends on an active parameter; if it does, it has an entry afterwards. Folding may have made several ops for one, or found
 * older ones, some of which were only steps of another folding and have no entry yet: what is differentiated are the ops that stand in
 * the function, each once, in the order of their definition. */
static bool tape_value(Sweep *s, Value *v)
{
	Op *op = v->def;
	if (set_has(&s->act, v)) return true;
	if (!op || op->nregion || op->code == OP_call || set_has(&s->seen, op)) return false;
	set_add(&s->seen, op);
	Arena *a = s->b.m->arena;
	Entry *e = NEW(a, Entry);
	e->out = op->out, e->nout = op->nout;
	e->loc = op->loc, e->sweep = s, e->counter = -1;
	e->view = op_view(&s->b, op, op->in, op->out);
	e->want = NEW_ARRAY(a, bool, op->nin + 1);
	e->act = NEW_ARRAY(a, Value *, op->nin + 1);
	for (int k = 0; k < op->nin; k++)
		if ((e->want[k] = tape_value(s, op->in[k]))) e->act[e->nact++] = op->in[k];
	if (e->nact == 0 || op_row(op->code)->zero) return false;
	e->vjp = vjp_tensor_op;
	tape_push(s, e);
	for (int r = 0; r < e->nout; r++)
		if (dtype_is_diff(e->out[r]->type->dtype)) set_add(&s->act, e->out[r]);
	return set_has(&s->act, v);
}

static void forward_passive(Sweep *s, Op *op)
{
	clone_op(&s->b, op, &s->env);
	for (int r = 0; r < op->nout; r++) {
		Value *v = env_get(&s->env, op->out[r]);
		if (v->def) set_add(&s->seen, v->def);
	}
}

static void forward_op(Sweep *s, Op *op)
{
	Builder *b = &s->b;
	b->loc = op->loc;
	b->tag = op->tag;
	if (!op_active(op, &s->active)) {
		forward_passive(s, op);
		return;
	}
	Op *strip = op->code == OP_loop ? vjp_strip(s, op) : NULL;
	if (strip) op = strip;
	Value **in = env_get_all(b->m->arena, &s->env, op->in, op->nin), **out;
	Entry *e = NULL;
	switch (op->code) {
	case OP_loop: e = forward_loop(s, op, in); break;
	case OP_cond: e = forward_cond(s, op, in); break;
	case OP_call: e = forward_call(s, op, in); break;
	default: assert(!op->nregion && "a structure op without a reverse rule");
	}
	if (e) {
		tape_push(s, e);
		out = e->out;
		for (int r = 0; r < op->nout; r++)
			if (set_has(&s->active, op->out[r])) set_add(&s->act, out[r]);
	} else {
		out = NEW_ARRAY(b->m->arena, Value *, op->nout + 1);
		ir_emit_n(b, op->code, in, op->nin, op->attrs, op->nattr, out, op->nout);
		for (int r = 0; r < op->nout; r++) tape_value(s, out[r]);
	}
	for (int r = 0; r < op->nout; r++) {
		if (op->out[r]->name && !out[r]->name) out[r]->name = op->out[r]->name;
		map_set(&s->env, op->out[r], out[r]);
	}
}

void forward_block(Sweep *s, Block *b)
{
	for (Op *op = b->first; op; op = op->next) forward_op(s, op);
}

/* --- functions ------------------------------------------------------------------------------------------------------------------- */
static void sweep_init(Sweep *s, Func *into)
{
	*s = (Sweep){.b = builder_at(into), .tmp = arena_child(into->module->arena)};
	map_init(&s->env, s->tmp), map_init(&s->active, s->tmp), map_init(&s->act, s->tmp), map_init(&s->seen, s->tmp);
}

/* Clones f into the sweep's function with tapes. */
static void sweep_forward(Sweep *s, Func *f, const bool *active)
{
	Block *to = s->b.block;
	clone_params(&s->b, f->body, to, &s->env);
	for (int k = 0; k < f->body->nparam; k++) {
		if (!active[k] || !dtype_is_diff(f->body->param[k]->type->dtype)) continue;
		set_add(&s->active, f->body->param[k]);
		set_add(&s->act, to->param[k]);
	}
	activity_block(f->body, &s->active);
	forward_block(s, f->body);
	block_set_results(&s->b, to, env_get_all(s->tmp, &s->env, f->body->result, f->body->nresult), f->body->nresult);
	s->b.tag = "bwd";
	s->b.loc = f->loc;
}

static void drop_tapes(Block *b)
{
	b->tape = NULL;
	for (Op *op = b->first; op; op = op->next)
		for (int i = 0; i < op->nregion; i++) drop_tapes(op->region[i]);
}

static const char *ct_name(Module *m, const char *prefix, const Value *v)
{
	return v->name ? arena_printf(m->arena, "%s_%s", prefix, v->name) : NULL;
}

/* Parameters of g reordered to first.., those in seeds last. */
static void params_order(Func *g, Value **p, int n)
{
	g->body->param = arena_copy(g->module->arena, p, sizeof *p * (size_t)n);
	g->body->nparam = n;
	for (int k = 0; k < n; k++) p[k]->index = k;
}

static void add_seeds(Builder *b, const Block *fwd, const bool *seeded, Map *ct, Values *seeds)
{
	for (int r = 0; r < fwd->nresult; r++) {
		Value *v = fwd->result[r];
		if (!seeded[r] || !dtype_is_diff(v->type->dtype)) continue;
		Value *c = block_param(b, b->block, v->type, ct_name(b->m, "ct", v));
		VEC_PUSH(b->m->arena, *seeds, c);
		ct_add(b, ct, v, c);
	}
}

/* The cotangents that arrived at active parameters. */
static void backward_results(Derived *d, const bool *active, const Map *ct)
{
	const Block *F = d->a->body;
	Arena *a = d->a->module->arena;
	d->mask = NEW_ARRAY(a, bool, F->nparam + 1);
	Value **res = NEW_ARRAY(a, Value *, F->nparam + 1);
	int n = 0;
	for (int k = 0; k < F->nparam; k++) {
		Value *c = map_get(ct, F->param[k]);
		if ((d->mask[k] = active[k] && c)) res[n++] = c;
	}
	func_set_results(d->b, res, n);
}

/* How the kept values get to the backward function: its parameters are those of the forward one that it needs, in their order, then
 * what the forward function returns for it, then the cotangents. */
static void hand_over(Sweep *s, Derived *d, Builder *b, Values *kept, const Values *seeds)
{
	Arena *a = b->m->arena;
	Block *F = d->a->body, *G = d->b->body;
	Values order = {0}, extra = {0}, results = {0};
	Map to;
	map_init(&to, s->tmp);
	vjp_bind_sizes(s->tmp, d->b, F, kept, &extra);
	d->pres = NEW_ARRAY(a, int, F->nparam + 1);
	d->only_size = NEW_ARRAY(a, bool, F->nparam + 1);
	for (int k = 0; k < F->nparam; k++) {
		bool used = false, sized = false;
		for (int i = 0; i < kept->n; i++) used |= kept->at[i] == F->param[k];
		for (int i = 0; i < extra.n; i++) sized |= extra.at[i] == F->param[k];
		if (!used && !sized) continue;
		d->only_size[d->npres] = !used;
		d->pres[d->npres++] = k;
		map_set(&to, F->param[k], block_param(b, G, F->param[k]->type, F->param[k]->name));
		VEC_PUSH(a, order, map_get(&to, F->param[k]));
	}
	for (int r = 0; r < F->nresult; r++) VEC_PUSH(a, results, F->result[r]);
	for (int i = 0; i < kept->n; i++) {
		Value *r = kept->at[i];
		if (map_get(&to, r)) continue;
		d->nres++;
		VEC_PUSH(a, results, r);
		map_set(&to, r, block_param(b, G, r->type, r->name));
		VEC_PUSH(a, order, map_get(&to, r));
	}
	for (int i = 0; i < seeds->n; i++) VEC_PUSH(a, order, seeds->at[i]);
	params_order(d->b, order.at, order.n);
	block_substitute(G, &to);
	func_set_results(d->a, results.at, results.n);
}

/* f.fwd: (params..) -> (results.., residuals..). f.bwd: (params[pres].., residuals.., cotangents..) -> cotangents of params in mask.
 * linear: f is part of a linear function that is being transposed; see Sweep. */
Derived *vjp_derive(Func *f, const bool *active, const bool *seeded, bool linear)
{
	Module *m = f->module;
	int np = f->body->nparam, nr = f->body->nresult;
	const char *fwd = linear ? "fwd_linear" : "fwd", *bwd = linear ? "bwd_linear" : "bwd";
	Derived *d = derived_find(f, derived_key(m, fwd, active, np, seeded, nr), NULL);
	if (d) return d;
	d = derived_add(f, derived_key(m, fwd, active, np, seeded, nr), NULL);
	d->a = derived_func(f, d->key);
	d->b = derived_func(f, derived_key(m, bwd, active, np, seeded, nr));
	Sweep s;
	sweep_init(&s, d->a);
	s.linear = linear;
	sweep_forward(&s, f, active);
	Builder b = builder_at(d->b);
	b.tag = "bwd", b.loc = f->loc;
	Map ct;
	map_init(&ct, s.tmp);
	Values seeds = {0}, kept = {0};
	d->b->body->twin = d->a->body;
	add_seeds(&b, d->a->body, seeded, &ct, &seeds);
	tape_backward(&b, tape_of(m->arena, d->a->body), &ct);
	backward_results(d, active, &ct);
	vjp_close(d->b->body, d->a->body, 0, f->remat || linear, &kept);
	d->b->body->twin = NULL;
	hand_over(&s, d, &b, &kept, &seeds);
	d->b->noinline_cse = f->remat;
	derived_add(d->a, module_str(m, "primal"), NULL)->a = f;
	drop_tapes(d->a->body);
	trim_func(d->a);
	trim_func(d->b);
	arena_free(s.tmp);
	return d;
}

/* (params..) cloned with tapes into g, one function for both directions. */
Func *transform_vjp(Func *f, const bool *active, const bool *seeded, bool values)
{
	Module *m = f->module;
	int bad = diag_bad(m);
	f = derived_wrap(f);
	int np = f->body->nparam, nr = f->body->nresult, n = 0;
	const char *key = derived_key(m, values ? "vjp" : "pullback", active, np, seeded, nr);
	Derived *d = derived_find(f, key, NULL);
	if (d) return d->a;
	Func *g = derived_func(f, key);
	Sweep s;
	sweep_init(&s, g);
	sweep_forward(&s, f, active);
	Map ct;
	map_init(&ct, s.tmp);
	Values seeds = {0};
	add_seeds(&s.b, g->body, seeded, &ct, &seeds);
	tape_backward(&s.b, tape_of(m->arena, g->body), &ct);
	Value **res = NEW_ARRAY(m->arena, Value *, nr + np + 1);
	for (int r = 0; values && r < nr; r++) res[n++] = g->body->result[r];
	for (int k = 0; k < np; k++) {
		if (!active[k]) continue;
		Value *c = map_get(&ct, g->body->param[k]);
		res[n++] = c ? c : ir_zeros(&s.b, g->body->param[k]->type);
	}
	func_set_results(g, res, n);
	drop_tapes(g->body);
	trim_func(g);
	arena_free(s.tmp);
	if (diag_bad(m) != bad) return NULL;
	derived_add(f, key, NULL)->a = g;
	return g;
}

Func *transform_grad(Func *f, const bool *active, bool values)
{
	Module *m = f->module;
	bool *seeded = NEW_ARRAY(m->arena, bool, f->body->nresult + 1);
	assert(f->body->nresult && f->body->result[0]->type->rank == 0 && dtype_is_float(f->body->result[0]->type->dtype));
	seeded[0] = true;
	const char *key = derived_key(m, values ? "value_and_grad" : "grad", active, f->body->nparam, NULL, 0);
	Derived *d = derived_find(f, key, NULL);
	if (d) return d->a;
	Func *v = transform_vjp(f, active, seeded, values);
	if (!v) return NULL;
	/* the seed is a constant: the multiplications by it fold when the body is emitted again */
	Func *g = derived_func(f, key);
	Builder b = builder_at(g);
	Map env;
	map_init(&env, m->arena);
	int np = f->body->nparam;
	for (int k = 0; k < np; k++) map_set(&env, v->body->param[k], func_param(g, v->body->param[k]->type, v->body->param[k]->name));
	map_set(&env, v->body->param[np], ir_scalar(&b, f->body->result[0]->type->dtype, 1));
	for (Op *op = v->body->first; op; op = op->next) {
		b.tag = op->tag;
		clone_op(&b, op, &env);
	}
	func_set_results(g, env_get_all(m->arena, &env, v->body->result, v->body->nresult), v->body->nresult);
	trim_func(g);
	derived_add(f, key, NULL)->a = g;
	return g;
}

/* --- transposing a linear function -------------------------------------------------------------------------------------------------- */
/* The parameters that are not linear, then cotangents, then what only tells a size. False: a linear parameter is still needed. */
static bool transpose_params(Sweep *s, Derived *d, const bool *linear, const Values *seeds)
{
	Func *t = d->a;
	Arena *a = t->module->arena;
	Block whole = *t->body; /* with the linear parameters */
	Values order = {0}, extra = {0};
	whole.nparam -= seeds->n; /* which stand behind */
	for (int k = 0; k < whole.nparam; k++)
		if (!linear[k]) VEC_PUSH(a, order, whole.param[k]);
	for (int i = 0; i < seeds->n; i++) VEC_PUSH(a, order, seeds->at[i]);
	params_order(t, order.at, order.n);
	Value **needed;
	int nneeded;
	block_free_values(s->tmp, t->body, &needed, &nneeded);
	vjp_bind_sizes(s->tmp, t, &whole, NULL, &extra);
	d->pres = NEW_ARRAY(a, int, whole.nparam + 1);
	for (int i = 0; i < extra.n; i++) {
		for (int k = 0; k < whole.nparam; k++)
			if (whole.param[k] == extra.at[i]) d->pres[d->npres++] = k;
		VEC_PUSH(a, order, extra.at[i]);
	}
	params_order(t, order.at, order.n);
	return nneeded == 0;
}

/* The rule's own text, rather than where it is used: a rule may be no more than the call of what the user wrote. */
static Loc rule_place(const Func *g)
{
	Loc at = g->loc;
	for (const Op *op = g->body->first; op; op = op->next)
		if (op->code == OP_call) at = rule_place(op_func(op));
		else if (op->loc.file) at = op->loc;
	return at;
}

static void report_not_linear(const Func *g)
{
	Loc at = rule_place(g);
	diag(g->module->diag, DIAG_ERROR, at, "custom.linear", "the rule `%s` is not linear in its tangents", g->name);
	diag_help(g->module->diag, "a derivative rule may multiply tangents or cotangents only by values that do not depend on them");
}

Derived *vjp_transpose(Func *g, const bool *linear)
{
	Module *m = g->module;
	int np = g->body->nparam, nr = g->body->nresult, n = 0;
	const char *key = derived_key(m, "transpose", linear, np, NULL, 0);
	Derived *d = derived_find(g, key, NULL);
	if (d) return d;
	Func *t = derived_func(g, key);
	Sweep s;
	sweep_init(&s, t);
	s.linear = true;
	sweep_forward(&s, g, linear);
	Map ct;
	map_init(&ct, s.tmp);
	Values seeds = {0};
	bool *all = NEW_ARRAY(m->arena, bool, nr + 1);
	for (int r = 0; r < nr; r++) all[r] = true;
	add_seeds(&s.b, t->body, all, &ct, &seeds);
	tape_backward(&s.b, tape_of(m->arena, t->body), &ct);
	Value **res = NEW_ARRAY(m->arena, Value *, np + 1);
	for (int k = 0; k < np; k++) {
		if (!linear[k]) continue;
		Value *c = map_get(&ct, t->body->param[k]);
		res[n++] = c ? c : ir_zeros(&s.b, t->body->param[k]->type);
	}
	func_set_results(t, res, n);
	drop_tapes(t->body);
	trim_func(t);
	Derived made = {.a = t};
	bool is_linear = transpose_params(&s, &made, linear, &seeds);
	arena_free(s.tmp);
	if (!is_linear) {
		report_not_linear(g);
		return NULL;
	}
	d = derived_add(g, key, NULL);
	d->a = t, d->pres = made.pres, d->npres = made.npres;
	return d;
}

Func *transform_transpose(Func *g, const bool *linear)
{
	int bad = diag_bad(g->module);
	Derived *d = vjp_transpose(g, linear);
	return diag_bad(g->module) == bad ? d->a : NULL;
}
