/* Dead code for structure: what no result needs goes, in loops too: stacks nobody reads, carries that feed only themselves, scanned
 * operands nobody looks at, carries that never change (they become captures). Two walks: mark what is live through all regions with one
 * set (values are unique in a module), then remove the rest.
 */
#include "derive.h"

typedef struct Trim {
	Map live, to; /* to: values replaced by others */
	bool changed;
} Trim;

static bool live(Trim *t, Value *v)
{
	return set_has(&t->live, v);
}
static void mark(Trim *t, Value *v)
{
	set_add(&t->live, v);
}
static void mark_block(Trim *t, Block *b);

static bool carry_live(Trim *t, const Op *op, const LoopParts *p, int k)
{
	return live(t, op->out[k]) || live(t, loop_param(p->body, k)) || (p->cont && live(t, p->cont->param[k]));
}

static void mark_loop(Trim *t, Op *op)
{
	LoopParts p = loop_parts(op);
	if (p.cont) {
		mark(t, p.cont->result[0]);
		mark_block(t, p.cont);
	}
	for (int k = 0; k < p.ny; k++)
		if (live(t, op->out[p.nc + k])) mark(t, p.body->result[p.nc + k]);
	for (int before = -1, now = 0;; before = now) { /* a carry that a live value needs makes its yield live */
		now = 0;
		for (int k = 0; k < p.nc; k++) {
			if (!carry_live(t, op, &p, k)) continue;
			mark(t, p.body->result[k]);
			mark(t, loop_param(p.body, k));
			now++;
		}
		if (now == before) break;
		mark_block(t, p.body);
	}
	for (int k = 0; k < p.nc + p.nx; k++)
		if (live(t, loop_param(p.body, k))) mark(t, op->in[k]);
	if (p.limit) mark(t, p.limit);
}

static void mark_op(Trim *t, Op *op)
{
	bool needed = op_effects(op);
	for (int r = 0; r < op->nout; r++) needed |= live(t, op->out[r]);
	if (!needed) return;
	if (op->code == OP_loop) {
		mark_loop(t, op);
		return;
	}
	for (int k = 0; k < op->nin; k++) mark(t, op->in[k]);
	for (int i = 0; i < op->nregion; i++) {
		for (int r = 0; r < op->nout; r++)
			if (live(t, op->out[r])) mark(t, op->region[i]->result[r]);
		mark_block(t, op->region[i]);
	}
}

static void mark_block(Trim *t, Block *b)
{
	for (Op *op = b->last; op; op = op->prev) mark_op(t, op);
}

/* --- removal ------------------------------------------------------------------------------------------------------------- */
static void sweep_block(Trim *t, Block *b);

static void keep_values(Value **v, int *n, const bool *keep)
{
	int k = 0;
	for (int i = 0; i < *n; i++)
		if (keep[i]) v[k] = v[i], v[k]->index = k, k++;
	*n = k;
}
static void keep_uses(Value **v, int *n, const bool *keep)
{ /* operands and results name values, they don't own them */
	int k = 0;
	for (int i = 0; i < *n; i++)
		if (keep[i]) v[k++] = v[i];
	*n = k;
}

static void set_ints(Op *op, Module *m, int nc, int nx)
{
	Attr *a = arena_copy(m->arena, op->attrs, sizeof *a * (size_t)op->nattr);
	for (int i = 0; i < op->nattr; i++) {
		if (a[i].key == AT_ncarry) a[i].v.i = nc;
		if (a[i].key == AT_nscan) a[i].v.i = nx;
	}
	op->attrs = a;
}

static void sweep_loop(Trim *t, Op *op)
{
	LoopParts p = loop_parts(op);
	Module *m = op->block->func->module;
	int nin = p.nc + p.nx, nout = p.nc + p.ny, keptc = 0, keptx = 0;
	bool *in = NEW_ARRAY(t->live.arena, bool, nin + 3), *out = NEW_ARRAY(t->live.arena, bool, nout + 1), all = true;
	bool *par = NEW_ARRAY(t->live.arena, bool, nin + 3);
	for (int k = 0; k < nin; k++) {
		bool keep = live(t, loop_param(p.body, k));
		if (k < p.nc && keep && p.body->result[k] == loop_param(p.body, k)) { /* never changes: a capture */
			map_set(&t->to, loop_param(p.body, k), op->in[k]);
			map_set(&t->to, op->out[k], op->in[k]);
			if (p.cont) map_set(&t->to, p.cont->param[k], op->in[k]);
			keep = false;
		}
		in[k] = par[k + 1] = keep;
		if (k < p.nc) out[k] = keep, keptc += keep;
		else keptx += keep;
		all &= keep;
	}
	for (int k = p.nc; k < nout; k++) all &= out[k] = live(t, op->out[k]);
	if (!all) {
		t->changed = true;
		par[0] = true;
		in[nin] = true; /* the limit */
		keep_uses(op->in, &op->nin, in);
		keep_values(op->out, &op->nout, out);
		keep_uses(p.body->result, &p.body->nresult, out);
		keep_values(p.body->param, &p.body->nparam, par);
		if (p.cont) keep_values(p.cont->param, &p.cont->nparam, in);
		set_ints(op, m, keptc, keptx);
	}
	sweep_block(t, p.body);
	if (p.cont) sweep_block(t, p.cont);
}

static void sweep_cond(Trim *t, Op *op)
{
	bool *keep = NEW_ARRAY(t->live.arena, bool, op->nout + 1), all = true;
	for (int r = 0; r < op->nout; r++) all &= keep[r] = live(t, op->out[r]);
	for (int i = 0; i < 2 && !all; i++) keep_uses(op->region[i]->result, &op->region[i]->nresult, keep);
	if (!all) keep_values(op->out, &op->nout, keep), t->changed = true;
	for (int i = 0; i < 2; i++) sweep_block(t, op->region[i]);
}

/* A call of f.fwd whose residuals nobody reads is a call of f again. */
static void sweep_call(Trim *t, Op *op)
{
	Func *f = op_func(op);
	Derived *d = derived_find(f, module_str(f->module, "primal"), NULL);
	if (!d || !d->a) return;
	int n = d->a->body->nresult;
	for (int r = n; r < op->nout; r++)
		if (live(t, op->out[r])) return;
	Attr *a = arena_copy(f->module->arena, op->attrs, sizeof *a * (size_t)op->nattr);
	for (int i = 0; i < op->nattr; i++)
		if (a[i].key == AT_func) a[i].v.func = d->a;
	op->attrs = a;
	op->nout = n;
	t->changed = true;
}

static void sweep_block(Trim *t, Block *b)
{
	for (Op *op = b->last, *prev; op; op = prev) {
		prev = op->prev;
		bool needed = op_effects(op);
		for (int r = 0; r < op->nout; r++) needed |= live(t, op->out[r]);
		if (!needed) {
			op_unlink(op);
			t->changed = true;
		} else if (op->code == OP_loop) sweep_loop(t, op);
		else if (op->code == OP_cond) sweep_cond(t, op);
		else if (op->code == OP_call) sweep_call(t, op);
	}
}

bool trim_block(Arena *scratch, Block *b)
{
	Trim t = {0};
	map_init(&t.live, scratch);
	map_init(&t.to, scratch);
	for (int r = 0; r < b->nresult; r++) mark(&t, b->result[r]);
	mark_block(&t, b);
	sweep_block(&t, b);
	if (t.to.n) block_substitute(b, &t.to);
	return t.changed;
}

void trim_func(Func *f)
{
	Arena *tmp = arena_child(f->module->arena);
	while (trim_block(tmp, f->body)) {}
	arena_free(tmp);
}
