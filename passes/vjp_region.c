/* The reverse sweep through structure.
 *
 * loop   xs and ys, carries and carries, captures and accumulators are each other's duals: the backward loop scans the cotangents of ys
 *        in the opposite direction, carries those of the carries, adds those of captures up in place and stacks those of xs. What a step
 *        needs of its forward step is stacked by the forward loop (one more ys) and scanned by the backward one. A loop that may end
 *        early counts its steps in one more carry; the backward loop takes exactly so many.
 * cond   each arm has a backward arm; what it needs is one more result of the forward cond, zero where the other arm was taken.
 * call   f is replaced by f.fwd in place, which returns what f.bwd needs; only now is it known what that is.
 */
#include "vjp.h"
#include "../ir/optable.h"
#include <string.h>

static bool active(const Entry *e, const Value *v)
{
	return set_has(&e->sweep->act, v);
}

static void block_add_result(Builder *b, Block *blk, Value *v)
{
	Value **all = NEW_ARRAY(b->m->arena, Value *, blk->nresult + 1);
	for (int k = 0; k < blk->nresult; k++) all[k] = blk->result[k];
	all[blk->nresult] = v;
	blk->result = all;
	blk->nresult++;
}

/* Captures that cotangents of all results of fwd can reach, appended to caps. */
static void captures(Sweep *s, Block *fwd, Values *caps)
{
	Arena *a = s->b.m->arena;
	Map ids;
	map_init(&ids, s->tmp);
	Values order = {0};
	for (int k = 0; k < fwd->nresult; k++) set_add(&ids, fwd->result[k]);
	tape_reach(a, tape_of(a, fwd), &ids, &order);
	for (int k = 0; k < fwd->nresult; k++)
		if (set_has(&s->act, fwd->result[k])) VEC_PUSH(a, order, fwd->result[k]);
	for (int i = 0; i < order.n; i++) {
		bool known = order.at[i]->block == fwd;
		for (int k = 0; k < caps->n; k++) known |= caps->at[k] == order.at[i];
		if (!known) VEC_PUSH(a, *caps, order.at[i]);
	}
}

/* --- loop -------------------------------------------------------------------------------------------------------------------- */
static void vjp_loop(Builder *b, Entry *e, Value *const *g, Map *ct);

Entry *forward_loop(Sweep *s, Op *op, Value **in)
{
	LoopParts p = loop_parts(op);
	Module *m = s->b.m;
	Builder outer = s->b;
	Block *F = block_new(&outer, BLOCK_LOOP, outer.block);
	map_set(&s->env, p.body->param[0], block_param(&outer, F, p.body->param[0]->type, p.body->param[0]->name));
	for (int k = 0; k < p.nc + p.nx; k++) {
		if (k == p.nc && p.cont) block_param(&outer, F, type_scalar(m, DT_i32), "steps");
		Value *from = loop_param(p.body, k), *to = block_param(&outer, F, from->type, from->name);
		map_set(&s->env, from, to);
		if (set_has(&s->active, from)) set_add(&s->act, to);
	}
	if (p.cont && p.nx == 0) block_param(&outer, F, type_scalar(m, DT_i32), "steps");
	Block *cont = jvp_widened_cont(&outer, p.cont, F, p.nc, 1, &s->env);
	int extra = p.cont != NULL, n = 0;

	s->b.block = F;
	forward_block(s, p.body);
	Value **res = NEW_ARRAY(m->arena, Value *, op->nout + 2);
	for (int k = 0; k < p.nc; k++) res[n++] = env_get(&s->env, p.body->result[k]);
	if (extra) res[n++] = ir_binary(&s->b, OP_add, loop_param(F, p.nc), ir_scalar_int(&s->b, DT_i32, 1));
	for (int k = p.nc; k < p.nc + p.ny; k++) res[n++] = env_get(&s->env, p.body->result[k]);
	block_set_results(&s->b, F, res, n);
	outer.loc = op->loc;
	s->b = outer;

	Value **carry = NEW_ARRAY(m->arena, Value *, p.nc + 2);
	for (int k = 0; k < p.nc; k++) carry[k] = in[k];
	if (extra) carry[p.nc] = ir_scalar_int(&s->b, DT_i32, 0);
	Op *L = loop_emit(&s->b, p.trips, carry, p.nc + extra, in + p.nc, p.nx, p.limit ? in[op->nin - 1] : NULL, F, cont, p.reverse, p.remat);

	Value **out = NEW_ARRAY(m->arena, Value *, op->nout + 1);
	for (int k = 0; k < op->nout; k++) out[k] = L->out[k < p.nc ? k : k + extra];
	Entry *e = entry_new(s, op, out);
	e->op = L, e->arm[0] = F, e->vjp = vjp_loop;
	if (extra) e->counter = p.nc;
	Values act = {0};
	captures(s, F, &act);
	e->ncapture = act.n;
	for (int k = 0; k < p.nc + p.nx; k++)
		if (set_has(&s->act, in[k])) VEC_PUSH(m->arena, act, in[k]);
	e->act = act.at, e->nact = act.n;
	return e;
}

/* r's values of every step: one more stacked result of the forward loop. */
static Value *stack(Builder *b, Entry *e, Value *r)
{
	Op *L = e->op;
	Block *F = e->arm[0];
	LoopParts q = loop_parts(L);
	for (int k = q.nc; k < F->nresult; k++)
		if (F->result[k] == r) return L->out[k];
	block_add_result(b, F, r);
	return op_add_result(b, L, type_prepend(b->m, r->type, q.trips));
}

/* Moves the ops behind `last` before all others, in order. */
static void move_to_head(Block *b, Op *last, Op *head)
{
	for (Op *op = last ? last->next : b->first, *next; op && head; op = next) {
		next = op->next;
		op_unlink(op);
		op_insert_before(op, head);
	}
}

/* A carry whose yield is stacked anyway needs no stack of its own: its value in a step is the yield of the step before, or the init in
 * the first step. */
static Value *carry_from_yields(Builder *b, Entry *e, Block *B, int k, Value *yields)
{
	LoopParts q = loop_parts(e->op);
	Value *init = e->op->in[k], *one = ir_scalar_int(b, DT_i32, 1), *i = B->param[0], *first;
	Value *end = q.limit ? q.limit : ir_dimsize(b, q.trips);
	first = q.reverse ? ir_binary(b, OP_sub, end, one) : ir_scalar_int(b, DT_i32, 0);
	Builder in = *b;
	in.block = B;
	in.loc = e->loc;
	in.no_fold = true; /* what these ops would be interned with may stand behind them */
	Op *last = B->last, *head = B->first;
	Value *before = ir_binary(&in, q.reverse ? OP_add : OP_sub, i, one);
	Dim row = dim_int(b->m->dims, 1);
	Value *y = ir_dslice(&in, yields, (int64_t[]){0}, &row, &before, 1);
	y = ir_reshape(&in, y, init->type->rank, init->type->dim);
	Value *c = ir_select(&in, ir_binary(&in, OP_eq, i, first), init, y);
	move_to_head(B, last, head);
	return c;
}

/* The stack of the yields of carry k, where one exists or is about to. */
static Value *stacked_yields(Builder *b, Entry *e, int k, const Values *kept)
{
	LoopParts q = loop_parts(e->op);
	Value *y = e->arm[0]->result[k];
	bool there = false;
	int64_t trips;
	if (dim_is_const(q.trips, &trips) && trips == 0) return NULL; /* no row to read, and no step that would */
	if (y->block != e->arm[0] || !y->def) return NULL;
	for (int j = q.nc; j < e->arm[0]->nresult; j++) there |= e->arm[0]->result[j] == y;
	for (int i = 0; i < kept->n; i++) there |= kept->at[i] == y;
	return there ? stack(b, e, y) : NULL;
}

static void unbounded(Builder *b, const Entry *e)
{
	diag(b->m->diag, DIAG_ERROR, e->loc, "grad.unbounded", "reverse mode needs a bound on the number of steps of this loop");
	diag_help(b->m->diag, "write `for i in 0..N while c { .. }` with N a dimension or a number, or give the function a custom_vjp");
}

typedef struct LoopDual {
	int *carry, *row, *stacked, ncarry, nrow, nstacked;
	Values caps;
} LoopDual;

/* Which carries, stacks, rows and captures take part, given the cotangents that arrive. */
static LoopDual loop_dual(Builder *b, Entry *e, Value *const *g)
{
	Arena *a = b->m->arena;
	Block *F = e->arm[0];
	LoopParts q = loop_parts(e->op);
	int n0 = e->nout + (e->counter >= 0);
	LoopDual d = {NEW_ARRAY(a, int, n0 + 1), NEW_ARRAY(a, int, q.nx + 1), NEW_ARRAY(a, int, n0 + 1), 0, 0, 0, {0}};
	bool *used = NEW_ARRAY(a, bool, n0 + 1);
	for (int k = 0; k < n0; k++) used[k] = g[k] != NULL;
	Map ids;
	for (bool again = true; again;) {
		Values order = {0};
		again = false;
		map_init(&ids, e->sweep->tmp);
		for (int k = 0; k < n0; k++)
			if (used[k]) set_add(&ids, F->result[k]);
		tape_reach(a, tape_of(a, F), &ids, &order);
		for (int k = 0; k < q.nc; k++)
			if (!used[k] && set_has(&ids, loop_param(F, k))) again = used[k] = true;
	}
	for (int k = 0; k < q.nc; k++)
		if (used[k] && active(e, loop_param(F, k))) d.carry[d.ncarry++] = k;
	for (int k = q.nc; k < n0; k++)
		if (g[k]) d.stacked[d.nstacked++] = k;
	for (int k = 0; k < q.nx; k++)
		if (set_has(&ids, loop_param(F, q.nc + k)) && active(e, loop_param(F, q.nc + k))) d.row[d.nrow++] = k;
	for (int k = 0; k < e->ncapture; k++)
		if (set_has(&ids, e->act[k])) VEC_PUSH(a, d.caps, e->act[k]);
	return d;
}

/* The body of the backward loop: cotangents of carries, accumulators, rows of the cotangents of stacks. */
static Block *loop_backward_body(Builder *b, Entry *e, const LoopDual *d)
{
	Arena *a = b->m->arena;
	Block *F = e->arm[0], *B = block_new(b, BLOCK_LOOP, b->block);
	LoopParts q = loop_parts(e->op);
	B->twin = F;
	Builder in = *b;
	in.block = B;
	Map ct;
	map_init(&ct, e->sweep->tmp);
	block_param(&in, B, type_scalar(b->m, DT_i32), F->param[0]->name);
	Value **seed = NEW_ARRAY(a, Value *, d->ncarry + d->nstacked + 1), **acc = NEW_ARRAY(a, Value *, d->caps.n + 1);
	for (int k = 0; k < d->ncarry; k++) seed[k] = block_param(&in, B, loop_param(F, d->carry[k])->type, NULL);
	for (int k = 0; k < d->caps.n; k++) acc[k] = block_param(&in, B, d->caps.at[k]->type, NULL);
	for (int k = 0; k < d->nstacked; k++) seed[d->ncarry + k] = block_param(&in, B, F->result[d->stacked[k]]->type, NULL);
	for (int k = 0; k < d->ncarry + d->nstacked; k++) /* one value may be yielded twice: the cotangents add up */
		ct_add(&in, &ct, F->result[k < d->ncarry ? d->carry[k] : d->stacked[k - d->ncarry]], seed[k]);
	tape_backward(&in, tape_of(a, F), &ct);
	Value **res = NEW_ARRAY(a, Value *, d->ncarry + d->caps.n + d->nrow + 1);
	int n = 0;
	in.loc = e->loc;
	for (int k = 0; k < d->ncarry; k++) {
		Value *p = loop_param(F, d->carry[k]), *c = map_get(&ct, p);
		res[n++] = c ? c : ir_zeros(&in, p->type);
	}
	for (int k = 0; k < d->caps.n; k++) res[n++] = rule_add(&in, acc[k], map_get(&ct, d->caps.at[k]));
	for (int k = 0; k < d->nrow; k++) {
		Value *p = loop_param(F, q.nc + d->row[k]), *c = map_get(&ct, p);
		res[n++] = c ? c : ir_zeros(&in, p->type);
	}
	block_set_results(&in, B, res, n);
	return B;
}

static void vjp_loop(Builder *b, Entry *e, Value *const *user_g, Map *ct)
{
	Arena *a = b->m->arena;
	Op *L = e->op;
	Block *F = e->arm[0];
	LoopParts q = loop_parts(L);
	int n0 = e->nout + (e->counter >= 0);
	Value **g = NEW_ARRAY(a, Value *, n0 + 1);
	for (int k = 0; k < e->nout; k++) g[e->counter >= 0 && k >= e->counter ? k + 1 : k] = user_g[k];
	LoopDual d = loop_dual(b, e, g);
	if (d.ncarry + d.nrow + d.caps.n == 0) return;
	if (!q.trips) {
		unbounded(b, e);
		return;
	}
	if (q.reverse && e->counter >= 0) {
		diag(b->m->diag, DIAG_LIMITATION, e->loc, "grad.while", "reverse mode through a loop that counts down and may end early");
		diag_help(b->m->diag, "count up, and index with N - 1 - i");
		return;
	}
	Block *B = loop_backward_body(b, e, &d);
	Values kept = {0};
	bool body_again = q.remat && strcmp(q.remat->v.str, "none"); /* a number of steps that vjp_strip.c could not group */
	vjp_close(B, F, q.nc, body_again, &kept);

	Value **xs = NEW_ARRAY(a, Value *, d.nstacked + kept.n + 1), **init = NEW_ARRAY(a, Value *, d.ncarry + d.caps.n + 1);
	int nxs = 0;
	for (int k = 0; k < d.nstacked; k++) xs[nxs++] = g[d.stacked[k]];
	Map to;
	map_init(&to, e->sweep->tmp);
	for (int i = 0; i < kept.n; i++) {
		Value *r = kept.at[i], *source;
		if (r == F->param[0]) {
			map_set(&to, r, B->param[0]);
			continue;
		}
		if (!r->def && r->index <= q.nc) {
			Value *yields = stacked_yields(b, e, r->index - 1, &kept);
			if (yields) {
				map_set(&to, r, carry_from_yields(b, e, B, r->index - 1, yields));
				continue;
			}
		}
		source = !r->def && r->index > q.nc ? L->in[r->index - 1] : stack(b, e, r);
		xs[nxs++] = source;
		map_set(&to, r, block_param(b, B, r->type, r->name));
	}
	B->twin = NULL;
	block_substitute(B, &to);
	for (int k = 0; k < d.ncarry; k++) init[k] = g[d.carry[k]] ? g[d.carry[k]] : ir_zeros(b, loop_param(F, d.carry[k])->type);
	for (int k = 0; k < d.caps.n; k++) init[d.ncarry + k] = ir_zeros(b, d.caps.at[k]->type);
	Value *limit = e->counter >= 0 ? L->out[e->counter] : q.limit;
	Op *o = loop_emit(b, q.trips, init, d.ncarry + d.caps.n, xs, nxs, limit, B, NULL, !q.reverse, q.remat);

	int n = 0;
	for (int k = 0; k < d.ncarry; k++, n++)
		if (active(e, L->in[d.carry[k]])) ct_add(b, ct, L->in[d.carry[k]], o->out[n]);
	for (int k = 0; k < d.caps.n; k++, n++) ct_add(b, ct, d.caps.at[k], o->out[n]);
	for (int k = 0; k < d.nrow; k++, n++)
		if (active(e, L->in[q.nc + d.row[k]])) ct_add(b, ct, L->in[q.nc + d.row[k]], o->out[n]);
}

/* --- cond -------------------------------------------------------------------------------------------------------------------- */
static void vjp_cond(Builder *b, Entry *e, Value *const *g, Map *ct);

Entry *forward_cond(Sweep *s, Op *op, Value **in)
{
	Builder outer = s->b;
	Block *arm[2];
	Values caps = {0};
	for (int i = 0; i < 2; i++) {
		Block *r = op->region[i];
		arm[i] = s->b.block = block_new(&outer, BLOCK_COND, outer.block);
		forward_block(s, r);
		block_set_results(&s->b, arm[i], env_get_all(s->tmp, &s->env, r->result, r->nresult), r->nresult);
		captures(s, arm[i], &caps);
	}
	outer.loc = op->loc;
	s->b = outer;
	Op *c = ir_emit_region(&s->b, OP_cond, in, 1, NULL, 0, arm, 2);
	Entry *e = entry_new(s, op, c->out);
	e->op = c, e->arm[0] = arm[0], e->arm[1] = arm[1], e->vjp = vjp_cond;
	e->act = caps.at, e->nact = e->ncapture = caps.n;
	return e;
}

/* One more result of the forward cond that holds r where arm i was taken; slots of equal type are shared between the arms. */
static Value *cond_slot(Builder *b, Entry *e, int i, Value *r, bool *used)
{
	Op *c = e->op;
	Block *own = e->arm[i], *other = e->arm[1 - i];
	for (int k = 0; k < own->nresult; k++)
		if (own->result[k] == r) return c->out[k];
	for (int k = e->nout; i == 1 && k < own->nresult; k++) /* filled by arm 0, still a zero here */
		if (!used[k] && own->result[k]->type == r->type) {
			used[k] = true;
			own->result[k] = r;
			return c->out[k];
		}
	Builder ob = *b;
	ob.block = other;
	block_add_result(b, own, r);
	block_add_result(b, other, ir_zeros(&ob, r->type));
	if (i == 1) used[own->nresult - 1] = true;
	return op_add_result(b, c, r->type);
}

static void vjp_cond(Builder *b, Entry *e, Value *const *g, Map *ct)
{
	Arena *a = b->m->arena;
	Block *back[2];
	Map act[2];
	Values caps = {0}, kept[2] = {{0}, {0}};
	for (int i = 0; i < 2; i++) {
		Values order = {0};
		map_init(&act[i], e->sweep->tmp);
		for (int k = 0; k < e->nout; k++)
			if (g[k]) set_add(&act[i], e->arm[i]->result[k]);
		tape_reach(a, tape_of(a, e->arm[i]), &act[i], &order);
	}
	for (int k = 0; k < e->nact; k++)
		if (set_has(&act[0], e->act[k]) || set_has(&act[1], e->act[k])) VEC_PUSH(a, caps, e->act[k]);
	if (caps.n == 0) return;
	for (int i = 0; i < 2; i++) {
		Builder in = *b;
		in.block = back[i] = block_new(b, BLOCK_COND, b->block);
		back[i]->twin = e->arm[i];
		Map act_ct;
		map_init(&act_ct, e->sweep->tmp);
		for (int k = 0; k < e->nout; k++) ct_add(&in, &act_ct, e->arm[i]->result[k], g[k]);
		tape_backward(&in, tape_of(a, e->arm[i]), &act_ct);
		Value **res = NEW_ARRAY(a, Value *, caps.n + 1);
		for (int k = 0; k < caps.n; k++) {
			Value *c = map_get(&act_ct, caps.at[k]);
			res[k] = c ? c : ir_zeros(&in, caps.at[k]->type);
		}
		block_set_results(&in, back[i], res, caps.n);
	}
	for (int i = 0; i < 2; i++) vjp_close(back[i], e->arm[i], 0, false, &kept[i]);
	bool *used = NEW_ARRAY(a, bool, e->nout + kept[0].n + kept[1].n + 1);
	for (int i = 0; i < 2; i++) {
		Map to;
		map_init(&to, e->sweep->tmp);
		for (int k = 0; k < kept[i].n; k++) map_set(&to, kept[i].at[k], cond_slot(b, e, i, kept[i].at[k], used));
		back[i]->twin = NULL;
		block_substitute(back[i], &to);
	}
	Op *o = ir_emit_region(b, OP_cond, e->op->in, 1, NULL, 0, back, 2);
	for (int k = 0; k < caps.n; k++) ct_add(b, ct, caps.at[k], o->out[k]);
}

/* --- call -------------------------------------------------------------------------------------------------------------------- */
static void vjp_call(Builder *b, Entry *e, Value *const *g, Map *ct);

Entry *forward_call(Sweep *s, Op *op, Value **in)
{
	Op *c = ir_emit_call(&s->b, op_func(op), in, op->nin);
	Entry *e = entry_new(s, op, c->out);
	e->op = c, e->vjp = vjp_call;
	e->act = NEW_ARRAY(s->b.m->arena, Value *, op->nin + 1);
	for (int k = 0; k < op->nin; k++)
		if (set_has(&s->act, in[k])) e->act[e->nact++] = in[k];
	return e;
}

/* The call becomes one of fwd, which returns the same results and then residuals. */
static void call_patch(Builder *b, Op *c, Func *fwd)
{
	Arena *a = b->m->arena;
	const Type **in = NEW_ARRAY(a, const Type *, c->nin + 1), **type = NEW_ARRAY(a, const Type *, fwd->body->nresult + 1);
	for (int k = 0; k < c->nin; k++) in[k] = c->in[k]->type;
	const char *why = NULL;
	bool fits = call_result_types(fwd, b->facts, in, c->nin, type, &why);
	if (!fits) {
		diag(b->m->diag, DIAG_BUG, c->loc, "vjp.call", "%s", why);
		return;
	}
	Attr *at = arena_copy(a, c->attrs, sizeof *at * (size_t)c->nattr);
	for (int i = 0; i < c->nattr; i++)
		if (at[i].key == AT_func) at[i].v.func = fwd;
	c->attrs = at;
	for (int r = c->nout; r < fwd->body->nresult; r++) op_add_result(b, c, type[r]);
}

/* Cotangents of the differentiable operands, in order, as a rule gives them. */
static void call_spread(Builder *b, Entry *e, Value *const *from, Map *ct)
{
	int n = 0;
	for (int k = 0; k < e->op->nin; k++) {
		Value *v = e->op->in[k];
		if (!dtype_is_diff(v->type->dtype)) continue;
		if (active(e, v)) ct_add(b, ct, v, from[n]);
		n++;
	}
}

static void vjp_call_custom(Builder *b, Entry *e, Func *f, Value *const *g, Map *ct)
{
	Op *c = e->op;
	Arena *a = b->m->arena;
	int n = 0, nres = f->rule_vjp_fwd ? f->rule_vjp_fwd->body->nresult : 0;
	Value **args = NEW_ARRAY(a, Value *, c->nin + 2 * e->nout + nres + 1);
	Func *back = f->rule_vjp_bwd;
	if (back && f->rule_vjp_fwd) {
		call_patch(b, c, f->rule_vjp_fwd);
		for (int r = e->nout; r < c->nout; r++) args[n++] = c->out[r];
	} else {
		for (int k = 0; k < c->nin; k++) args[n++] = c->in[k];
		for (int r = 0; back && r < e->nout; r++) args[n++] = c->out[r];
	}
	if (!back) { /* only a jvp rule (params.., tangents..): its transpose */
		int np = f->rule_jvp->body->nparam;
		bool *linear = NEW_ARRAY(a, bool, np + 1);
		for (int k = c->nin; k < np; k++) linear[k] = true;
		Derived *d = vjp_transpose(f->rule_jvp, linear);
		if (!d) return;
		back = d->a; /* tangents have the sizes of the parameters, which are there */
	}
	n += instantiate(b, e->out, g, e->nout, args + n);
	call_spread(b, e, ir_emit_call(b, back, args, n)->out, ct);
}

static void vjp_call(Builder *b, Entry *e, Value *const *g, Map *ct)
{
	Op *c = e->op;
	Func *f = op_func(c);
	if (func_has_derivative_rule(f)) {
		vjp_call_custom(b, e, f, g, ct);
		return;
	}
	Arena *a = b->m->arena;
	bool *act = NEW_ARRAY(a, bool, c->nin + 1), *seeded = NEW_ARRAY(a, bool, e->nout + 1), any = false;
	for (int k = 0; k < c->nin; k++) act[k] = active(e, c->in[k]);
	for (int r = 0; r < e->nout; r++) seeded[r] = g[r] != NULL;
	Derived *d = vjp_derive(f, act, seeded, e->sweep->linear);
	for (int k = 0; k < c->nin; k++) any |= d->mask[k];
	if (!any) return;
	if (d->nres) call_patch(b, c, d->a);
	Value **args = NEW_ARRAY(a, Value *, c->nin + d->nres + e->nout + 1);
	int n = 0;
	for (int i = 0; i < d->npres; i++) { /* in a linear function nothing may name its linear values, not even for their size */
		Value *x = c->in[d->pres[i]];
		args[n++] = d->only_size[i] && e->sweep->linear && active(e, x) ? ir_zeros(b, x->type) : x;
	}
	for (int r = 0; r < d->nres; r++) args[n++] = c->out[e->nout + r];
	for (int r = 0; r < e->nout; r++)
		if (g[r]) args[n++] = g[r];
	Op *o = ir_emit_call(b, d->b, args, n);
	n = 0;
	for (int k = 0; k < c->nin; k++)
		if (d->mask[k]) ct_add(b, ct, c->in[k], o->out[n++]);
}
