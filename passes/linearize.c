/* linearize: needs no machinery of its own. f.fwd gives the results and residuals; f.bwd is linear in the cotangents, and its transpose
 * pushes tangents forward. Where a loop without bound stands in the way, the tangent half of f.jvp with the arguments as residuals. */
#include "derive.h"

static bool unbounded_active(Block *b, const Map *active);

static bool op_unbounded(Op *op, const Map *active)
{
	if (!op_active(op, active)) return false;
	if (op->code == OP_loop && !loop_parts(op).trips) return true;
	for (int i = 0; i < op->nregion; i++)
		if (unbounded_active(op->region[i], active)) return true;
	if (op->code != OP_call || func_has_derivative_rule(op_func(op))) return false;
	Func *f = op_func(op);
	Map inner;
	map_init(&inner, active->arena);
	for (int k = 0; k < op->nin; k++)
		if (set_has(active, op->in[k])) set_add(&inner, f->body->param[k]);
	activity_block(f->body, &inner);
	return unbounded_active(f->body, &inner);
}
static bool unbounded_active(Block *b, const Map *active)
{
	for (Op *op = b->first; op; op = op->next)
		if (op_unbounded(op, active)) return true;
	return false;
}

typedef struct Lin {
	Func *f, *fwd, *lin;
	const bool *active;
	Builder bf, bl;
	Value **x, **res, **t;
	int nres;
} Lin;

/* The shells: fwd (params..) and lin (residuals.., tangents..). Residual r becomes a parameter of lin. */
static Value *residual(Lin *l, Value *r)
{
	l->res[l->nres++] = r;
	return func_param(l->lin, r->type, r->name);
}
static void add_tangents(Lin *l)
{
	for (int k = 0; k < l->f->body->nparam; k++) {
		Value *p = l->f->body->param[k];
		if (l->active[k]) l->t[k] = func_param(l->lin, p->type, p->name ? arena_printf(l->f->module->arena, "d_%s", p->name) : NULL);
	}
}

/* lin's results: tangents of all differentiable results of f in order, zeros where none. */
static void set_lin_results(Lin *l, Value *const *dt)
{
	int nr = l->f->body->nresult, n = 0;
	Value **res = NEW_ARRAY(l->f->module->arena, Value *, nr + 1);
	for (int r = 0; r < nr; r++) {
		const Type *t = l->f->body->result[r]->type;
		if (dtype_is_diff(t->dtype)) res[n++] = dt[r] ? dt[r] : ir_zeros(&l->bl, t);
	}
	func_set_results(l->lin, res, n);
}

static void lin_by_transpose(Lin *l, Derived *d, Value **dt)
{
	Func *f = l->f;
	Module *m = f->module;
	int np = f->body->nparam, nr = f->body->nresult, nb = d->b->body->nparam, n = 0;
	bool *linear = NEW_ARRAY(m->arena, bool, nb + 1);
	Op *c = ir_emit_call(&l->bf, d->nres ? d->a : f, l->x, np);
	Value **args = NEW_ARRAY(m->arena, Value *, nb + np + nr + 1);
	for (int i = 0; i < d->npres; i++) args[n++] = residual(l, l->x[d->pres[i]]);
	for (int r = 0; r < d->nres; r++) args[n++] = residual(l, c->out[nr + r]);
	int before = n;
	for (int k = n; k < nb; k++) linear[k] = true;
	Derived *push = vjp_transpose(d->b, linear);
	Value **sizes = NEW_ARRAY(m->arena, Value *, nr + 1); /* results that tell a size which nothing else does */
	for (int i = 0; push && i < push->npres; i++) sizes[i] = residual(l, nth_float(c->out, push->pres[i] - before));
	add_tangents(l);
	for (int k = 0; k < np; k++)
		if (d->mask[k]) args[n++] = l->t[k];
	if (push) {
		for (int i = 0; i < push->npres; i++) args[n++] = sizes[i];
		Op *p = ir_emit_call(&l->bl, push->a, args, n);
		n = 0;
		for (int r = 0; r < nr; r++)
			if (dtype_is_diff(f->body->result[r]->type->dtype) && n < p->nout) dt[r] = p->out[n++];
	}
	Value **all = NEW_ARRAY(m->arena, Value *, nr + l->nres + 1);
	for (int r = 0; r < nr; r++) all[r] = c->out[r];
	for (int k = 0; k < l->nres; k++) all[nr + k] = l->res[k];
	func_set_results(l->fwd, all, nr + l->nres);
}

static void lin_by_jvp(Lin *l, Value **dt)
{
	Func *f = l->f;
	Module *m = f->module;
	int np = f->body->nparam, nr = f->body->nresult, n = 0;
	Op *c = ir_emit_call(&l->bf, f, l->x, np);
	Value **args = NEW_ARRAY(m->arena, Value *, 2 * np + 1);
	for (int k = 0; k < np; k++) args[n++] = residual(l, l->x[k]);
	add_tangents(l);
	for (int k = 0; k < np; k++)
		if (l->active[k]) args[n++] = l->t[k];
	Derived *d = jvp_derive(f, l->active);
	Op *p = ir_emit_call(&l->bl, d->a, args, n);
	n = nr;
	for (int r = 0; r < nr; r++)
		if (d->mask[r]) dt[r] = p->out[n++];
	Value **all = NEW_ARRAY(m->arena, Value *, nr + np + 1);
	for (int r = 0; r < nr; r++) all[r] = c->out[r];
	for (int k = 0; k < np; k++) all[nr + k] = l->x[k];
	func_set_results(l->fwd, all, nr + np);
}

bool transform_linearize(Func *f, const bool *active, Func **fwd, Func **lin)
{
	Module *m = f->module;
	int bad = diag_bad(m), np = f->body->nparam, nr = f->body->nresult;
	f = derived_wrap(f);
	const char *key = derived_key(m, "linearize", active, np, NULL, 0);
	Derived *d = derived_find(f, key, NULL);
	if (!d) {
		Lin l = {.f = f, .active = active, .fwd = derived_func(f, key), .lin = derived_func(f, derived_key(m, "lin", active, np, NULL, 0))};
		l.bf = builder_at(l.fwd), l.bl = builder_at(l.lin);
		l.bf.loc = l.bl.loc = f->loc;
		bool *seeded = NEW_ARRAY(m->arena, bool, nr + 1);
		Map set;
		Arena *tmp = arena_child(m->arena);
		map_init(&set, tmp);
		for (int k = 0; k < np; k++)
			if (active[k] && dtype_is_diff(f->body->param[k]->type->dtype)) set_add(&set, f->body->param[k]);
		activity_block(f->body, &set);
		for (int r = 0; r < nr; r++) seeded[r] = dtype_is_diff(f->body->result[r]->type->dtype);
		l.x = NEW_ARRAY(m->arena, Value *, np + 1), l.t = NEW_ARRAY(m->arena, Value *, np + 1);
		for (int k = 0; k < np; k++) l.x[k] = func_param(l.fwd, f->body->param[k]->type, f->body->param[k]->name);
		Value **dt = NEW_ARRAY(m->arena, Value *, nr + 1);
		bool by_jvp = unbounded_active(f->body, &set);
		Derived *v = by_jvp ? NULL : vjp_derive(f, active, seeded, false);
		l.res = NEW_ARRAY(m->arena, Value *, np + nr + (v ? v->nres : 0) + 1);
		if (by_jvp) lin_by_jvp(&l, dt);
		else lin_by_transpose(&l, v, dt);
		set_lin_results(&l, dt);
		trim_func(l.lin);
		arena_free(tmp);
		if (diag_bad(m) != bad) return false;
		d = derived_add(f, key, NULL);
		d->a = l.fwd, d->b = l.lin;
	}
	*fwd = d->a;
	*lin = d->b;
	return true;
}
