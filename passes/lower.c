/* lower: tensor IR to loop IR. Each stored value becomes the stage of a kernel of its own (fuse.c merges them); loops, branches and calls
 * become steps. Needs simplified tensor IR; leaves arena offsets to plan.c. */
#include <assert.h>
#include <ctype.h>
#include <string.h>
#include "c_names.h"
#include "composite.h"
#include "lower.h"
#include "lower_uses.h"

const char *lower_name(Lower *L, const char *hint)
{
	return loop_name(L->p, L->f, hint);
}

Buf *lower_buf(Lower *L, BufSpace space, const Type *t, Value *v, const char *hint)
{
	Buf *b = NEW(L->a, Buf);
	b->space = space == BUF_ARENA && t->rank == 0 ? BUF_SCALAR : space;
	b->type = t;
	b->home = L->home;
	b->first = INT32_MAX;
	b->last = -1;
	b->name = lower_name(L, hint ? hint : v && v->name ? v->name : v && v->def ? op_row(v->def->code)->name : "t");
	VEC_PUSH(L->a, L->f->bufs, b);
	return b;
}

Step *lower_step(Lower *L, StepKind k)
{
	Step *s = NEW(L->a, Step);
	s->kind = k;
	s->loc = L->loc;
	VEC_PUSH(L->a, *L->steps, s);
	return s;
}

/* Axes are named by position: i j k l for a value's axes, p q for contracted ones; a dimension that is a symbol lends its name. */
const Axis *lower_axis(Lower *L, Dim extent, int position)
{
	static const char *const by_position[] = {"i", "j", "k", "l", "m", "n"};
	Axis *x = NEW(L->a, Axis);
	x->extent = extent;
	const char *base = position < 0 ? "p" : position < 6 ? by_position[position] : "x";
	x->name = lower_name(L, arena_printf(L->a, "%s%d", base, L->next_axis++));
	return x;
}

/* --- bufs of values ---------------------------------------------------------------------------------------------------------------- */
static bool owned(const Buf *b)
{
	while (b->space == BUF_ALIAS) b = b->base;
	return b->space == BUF_ARENA || b->space == BUF_SCALAR || b->space == BUF_RESULT || (b->space == BUF_PARAM && b->inout);
}

static Buf *const_buf(Lower *L, Value *v)
{
	Buf *b = lower_buf(L, BUF_CONST, v->type, v, v->name ? v->name : "table");
	b->data = op_attr(v->def, AT_value)->v.tensor;
	return b;
}

static Buf *settle(Lower *L, Value *v, Buf *b);

Buf *lower_value_buf(Lower *L, Value *v)
{
	Info *i = lower_info(L, v);
	if (i->buf) return i->buf;
	assert(v->def);
	if (v->def->code == OP_const && v->type->rank > 0) return i->buf = const_buf(L, v);
	/* wanted in memory although it is cheap to recompute: stored here */
	Index idx[MAX_RANK + 1];
	Buf *b = i->target ? i->target : lower_buf(L, BUF_ARENA, v->type, v, NULL);
	Nest *s = stage_over(L, v, b, v->type, idx, op_row(v->def->code)->name);
	node_store(L, s->body, b, idx, pull_def(L, s->body, v, idx), NULL);
	return settle(L, v, b);
}

static void copy_step(Lower *L, Buf *dst, Buf *src)
{
	if (dst == src) return;
	Step *s = lower_step(L, STEP_COPY);
	s->dst = dst;
	s->src = src;
}

/* v into dst, by a nest of its own or a copy. */
static void store_into(Lower *L, Value *v, Buf *dst)
{
	Info *i = lower_info(L, v);
	if (i->buf) {
		copy_step(L, dst, i->buf);
		return;
	}
	Buf *old = i->target;
	i->target = dst;
	lower_value_buf(L, v);
	i->target = old;
	i->buf = NULL; /* other uses go on recomputing it: dst may change */
	if (v->def->code == OP_const && v->type->rank > 0) {
		i->buf = const_buf(L, v);
		copy_step(L, dst, i->buf);
	}
}

/* Is v what a loop makes of old, its initial value, that nothing else reads from the loop on? Then the loop may go on in old's memory. */
static bool carried_from(Lower *L, Value *v, Value *old)
{
	Op *op = v->def;
	Info *i = lower_info(L, old);
	int k = 0, reads = 0;
	if (op->code != OP_loop || old->block != op->block) return false;
	while (op->out[k] != v) k++;
	if (k >= op_int(op, AT_ncarry, 0) || op->in[k] != old) return false;
	for (int u = 0; u < i->users.n; u++) {
		reads += i->users.at[u] == op;
		if (i->users.at[u] != op && read_until(L, i->users.at[u]) >= op->mark) return false;
	}
	return reads == 1;
}

/* --- targets: where a region's results are wanted ----------------------------------------------------------------------------------- */
/* May the op that defines v write over the memory of old: is nothing of old read afterwards, or out of step with the writing? A function
 * that is called may write a result before it has read all of its arguments. */
static bool may_overwrite(Lower *L, Value *v, Value *old)
{
	Info *i = lower_info(L, v);
	const LowerRow *row = lower_row(v->def->code);
	if (lower_info(L, old)->yields) return false;
	if (carried_from(L, v, old)) return true;
	if (row->update && v->def->in[0] == old) return i->in_place;
	bool ew = op_is_elementwise(v->def->code);
	if (!reads_over(L, old, v->def, ew)) return false;
	if (ew) return reads_identity(L, v, old);
	for (int k = 0; k < v->def->nin; k++)
		if (value_reads(L, v->def->in[k], old)) return false;
	return true;
}

/* May v be computed where old (NULL: nothing) is until then? */
static bool may_target(Lower *L, Value *v, Block *b, Value *old)
{
	Info *i = lower_info(L, v);
	if (!v->def || v->block != b || i->target || i->buf) return false;
	if (!i->stored && !lower_row(v->def->code)->step) return false;
	return !old || may_overwrite(L, v, old);
}

/* The value that b holds at this point of lowering. */
static Value *holder(const Lower *L, const Buf *b)
{
	return map_get(&L->holder, b);
}

/* The wanted place of v, unless another value moved in there meanwhile that is still read. */
static Buf *take_target(Lower *L, Value *v)
{
	Info *i = lower_info(L, v);
	Buf *b = i->target;
	if (b && holder(L, b) && holder(L, b) != v && !may_overwrite(L, v, holder(L, b))) b = i->target = NULL;
	return b;
}

/* v is in b from here on. */
static Buf *settle(Lower *L, Value *v, Buf *b)
{
	map_set(&L->holder, b, v);
	return lower_info(L, v)->buf = b;
}

static void lower_block(Lower *L, Block *b);

/* Moves the values yielded by b into bufs; values that are still read from another of the bufs are saved first. */
static void yield_into(Lower *L, Block *b, int from, int n, Buf *const *dst, Value *const *old)
{
	Buf **save = NEW_ARRAY(L->a, Buf *, n + 1);
	for (int k = 0; k < n; k++) {
		Value *v = b->result[from + k];
		Info *i = lower_info(L, v);
		if (i->buf == dst[k]) continue;
		for (int j = 0; old && j < n; j++) {
			if (i->buf == dst[j] && b->result[from + j] == v) continue; /* the same value twice: it stays there */
			bool moved = i->buf == dst[j] || (holder(L, dst[j]) && value_reads(L, v, holder(L, dst[j])));
			if (j == k || !(moved || (old[j] && value_reads(L, v, old[j])))) continue;
			save[k] = lower_buf(L, BUF_ARENA, v->type, v, "saved");
			store_into(L, v, save[k]);
			break;
		}
	}
	for (int k = 0; k < n; k++) {
		Value *v = b->result[from + k];
		if (save[k]) copy_step(L, dst[k], save[k]);
		else if (lower_info(L, v)->buf != dst[k]) store_into(L, v, dst[k]);
	}
}

/* --- ops with regions -------------------------------------------------------------------------------------------------------------- */
static Buf *result_buf(Lower *L, Value *v)
{
	Buf *b = take_target(L, v);
	return settle(L, v, b ? b : lower_buf(L, BUF_ARENA, v->type, v, NULL));
}

static void step_cond(Lower *L, Op *op)
{
	Buf *pred = lower_value_buf(L, op->in[0]);
	Buf **out = NEW_ARRAY(L->a, Buf *, op->nout + 1);
	for (int k = 0; k < op->nout; k++) out[k] = result_buf(L, op->out[k]);
	Step *s = lower_step(L, STEP_COND);
	s->cond = pred;
	StepList *outer = L->steps;
	for (int r = 0; r < 2; r++) {
		Block *b = op->region[r];
		L->steps = r ? &s->other : &s->body;
		for (int k = 0; k < op->nout; k++) map_set(&L->holder, out[k], NULL);
		for (int k = 0; k < b->nresult; k++)
			if (may_target(L, b->result[k], b, NULL)) lower_info(L, b->result[k])->target = out[k];
		lower_block(L, b);
		yield_into(L, b, 0, op->nout, out, NULL);
	}
	for (int k = 0; k < op->nout; k++) map_set(&L->holder, out[k], op->out[k]);
	L->steps = outer;
}

/* The buffer that a carry lives in: the result's own target, the initial value's memory where that dies, or new memory. */
static Buf *carry_buf(Lower *L, Op *op, int k)
{
	Info *in = lower_info(L, op->in[k]);
	Buf *wanted = take_target(L, op->out[k]);
	if (wanted) return wanted;
	bool shared = false;
	for (int j = 0; j < op->nin; j++) shared |= j != k && op->in[j] == op->in[k];
	if (!shared && in->buf && holder(L, in->buf) == op->in[k] && owned(in->buf) && op->in[k]->block == op->block &&
	    reads_over(L, op->in[k], op, true) && !in->looped)
		return in->buf;
	return lower_buf(L, BUF_ARENA, op->out[k]->type, op->out[k], NULL);
}

/* reads_over counts the loop itself; a carry's initial value is read by it once, at the start. */
static void zero_fill(Lower *L, Buf *b)
{
	Index idx[MAX_RANK + 1];
	Nest *s = stage_new(L, NULL, b, "zeros");
	for (int k = 0; k < b->type->rank; k++) {
		s->axis[s->naxis++] = lower_axis(L, b->type->dim[k], k);
		idx[k] = index_axis(L, s->axis[k]);
	}
	node_store(L, s->body, b, idx, node_const(L, s->body, scalar_from_int(0, b->type->dtype)), NULL);
}

static Buf *row_alias(Lower *L, Buf *base, const Type *row, const Axis *axis, Value *v)
{
	Buf *b = lower_buf(L, BUF_ALIAS, row, v, NULL);
	b->base = base;
	b->row = index_axis(L, axis);
	b->has_row = true;
	return b;
}

static void step_loop(Lower *L, Op *op)
{
	int nc = (int)op_int(op, AT_ncarry, 0), nx = (int)op_int(op, AT_nscan, 0);
	bool limit = op_bool(op, AT_limit), has_while = op->nregion > 1;
	const Attr *trips = op_attr(op, AT_trips);
	Block *body = op->region[0];
	Buf **carry = NEW_ARRAY(L->a, Buf *, nc + 1), **xs = NEW_ARRAY(L->a, Buf *, nx + 1);
	for (int k = 0; k < nx; k++) xs[k] = lower_value_buf(L, op->in[nc + k]);
	Buf *bound = limit ? lower_value_buf(L, op->in[nc + nx]) : NULL;
	for (int k = 0; k < nc; k++) {
		carry[k] = carry_buf(L, op, k);
		for (int j = 0; j < k; j++)
			if (carry[j] == carry[k]) carry[k] = lower_buf(L, BUF_ARENA, op->out[k]->type, op->out[k], NULL);
	}
	Buf **saved = NEW_ARRAY(L->a, Buf *, nc + 1);
	for (int k = 0; k < nc; k++) { /* an initial value that another carry's buffer holds is saved first */
		Buf *b = lower_info(L, op->in[k])->buf;
		for (int j = 0; b && b != carry[k] && j < k; j++)
			if (carry[j] == b && !saved[k]) saved[k] = lower_buf(L, BUF_ARENA, op->in[k]->type, op->in[k], "saved");
		if (saved[k]) copy_step(L, saved[k], b);
	}
	for (int k = 0; k < nc; k++) {
		if (saved[k]) copy_step(L, carry[k], saved[k]);
		else if (lower_info(L, op->in[k])->buf != carry[k]) store_into(L, op->in[k], carry[k]);
	}
	for (int k = nc; k < op->nout; k++) {
		Buf *b = result_buf(L, op->out[k]);
		if (limit || has_while) zero_fill(L, b);
	}
	Step *s = lower_step(L, STEP_LOOP);
	StepList *outer = L->steps;
	const Step *home = L->home;
	L->home = s;
	s->axis = lower_axis(L, trips ? trips->v.dim : NULL, 0);
	s->reverse = op_bool(op, AT_reverse);
	s->limit = bound;
	Info *i0 = lower_info(L, body->param[0]);
	if (i0->uses) s->counter = i0->buf = lower_buf(L, BUF_SCALAR, body->param[0]->type, body->param[0], "step");
	for (int k = 0; k < nc; k++) {
		settle(L, body->param[1 + k], carry[k]);
		if (has_while) lower_info(L, op->region[1]->param[k])->buf = carry[k];
		if (may_target(L, body->result[k], body, body->param[1 + k])) lower_info(L, body->result[k])->target = carry[k];
	}
	for (int k = 0; k < nx; k++)
		lower_info(L, body->param[1 + nc + k])->buf = row_alias(L, xs[k], body->param[1 + nc + k]->type, s->axis, body->param[1 + nc + k]);
	int ny = op->nout - nc;
	Buf **rows = NEW_ARRAY(L->a, Buf *, ny + 1);
	for (int k = 0; k < ny; k++) {
		Value *v = body->result[nc + k];
		rows[k] = row_alias(L, lower_info(L, op->out[nc + k])->buf, v->type, s->axis, v);
		if (may_target(L, v, body, NULL)) lower_info(L, v)->target = rows[k];
	}
	if (has_while) {
		L->steps = &s->head;
		lower_block(L, op->region[1]);
		s->cond = lower_value_buf(L, op->region[1]->result[0]);
	}
	L->steps = &s->body;
	lower_block(L, body);
	yield_into(L, body, nc, ny, rows, NULL);
	yield_into(L, body, 0, nc, carry, body->param + 1);
	L->steps = outer;
	L->home = home;
	for (int k = 0; k < nc; k++) settle(L, op->out[k], carry[k]);
}

static LoopFunc *lower_func(Lower *parent, Func *f);

static void step_call(Lower *L, Op *op)
{
	const CompositeKernel *kernel = composite_kernel(op_attr(op, AT_func)->v.func);
	if (kernel) {
		kernel->lower(L, op, result_buf(L, op->out[0]));
		return;
	}
	LoopFunc *callee = lower_func(L, op_attr(op, AT_func)->v.func);
	Buf **args = NEW_ARRAY(L->a, Buf *, op->nin + 1), **out = NEW_ARRAY(L->a, Buf *, op->nout + 1);
	for (int k = 0; k < op->nin; k++) args[k] = lower_value_buf(L, op->in[k]);
	for (int k = 0; k < op->nout; k++) out[k] = result_buf(L, op->out[k]);
	Dim bytes = dim_int(L->dims, 0);
	Buf *scratch = lower_buf(L, BUF_ARENA, type_get(L->m, DT_u8, 1, &bytes), NULL, "scratch");
	scratch->callee = callee;
	Step *s = lower_step(L, STEP_CALL);
	s->callee = callee;
	s->args = args, s->nargs = op->nin;
	s->results = out, s->nresults = op->nout;
	s->scratch = scratch;
}

static void effect(Lower *L, Op *op, StepKind kind)
{
	Buf **v = NEW_ARRAY(L->a, Buf *, op->nin + 1);
	for (int k = 0; k < op->nin; k++) v[k] = lower_value_buf(L, op->in[k]);
	Step *s = lower_step(L, kind);
	s->values = v;
	s->nvalues = op->nin;
	s->message = op_str(op, AT_message);
	if (s->kind == STEP_ASSERT) s->assert_number = ++L->p->nasserts;
}

static void step_print(Lower *L, Op *op)
{
	effect(L, op, STEP_PRINT);
}

static void step_assert(Lower *L, Op *op)
{
	effect(L, op, STEP_ASSERT);
}

const LowerRow lower_cond = {.step = step_cond}, lower_loop = {.step = step_loop}, lower_call = {.step = step_call},
               lower_print = {.step = step_print}, lower_assert = {.step = step_assert};

/* An update in place takes over its operand's memory. */
static Buf *update_buf(Lower *L, Op *op)
{
	Info *me = lower_info(L, op->out[0]), *x = lower_info(L, op->in[0]);
	if (me->in_place && x->buf && holder(L, x->buf) == op->in[0] && owned(x->buf)) return x->buf;
	return NULL;
}

static void lower_op(Lower *L, Op *op)
{
	L->loc = op->loc;
	if (lower_row(op->code)->step) lower_row(op->code)->step(L, op);
	else if (lower_info(L, op->out[0])->stored) {
		for (int k = 0; k < op->nout; k++) {
			Buf *b = lower_row(op->code)->update ? update_buf(L, op) : NULL;
			if (!b) b = take_target(L, op->out[k]);
			settle(L, op->out[k], b ? b : lower_buf(L, BUF_ARENA, op->out[k]->type, op->out[k], NULL));
		}
		lower_stored(L, op);
	}
}

static void lower_block(Lower *L, Block *b)
{
	for (Op *op = b->first; op; op = op->next) lower_op(L, op);
}

/* --- functions --------------------------------------------------------------------------------------------------------------------- */
static void collect_dim(void *p, const char *sym)
{
	Lower *L = p;
	for (int i = 0; i < L->f->dims.n; i++)
		if (!strcmp(L->f->dims.at[i], sym)) return;
	VEC_PUSH(L->a, L->f->dims, sym);
}

static void collect_dims(Lower *L, Block *b)
{
	for (int i = 0; i < b->nparam; i++)
		for (int k = 0; k < b->param[i]->type->rank; k++) dim_symbols(b->param[i]->type->dim[k], collect_dim, L);
	for (Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nout; i++)
			for (int k = 0; k < op->out[i]->type->rank; k++) dim_symbols(op->out[i]->type->dim[k], collect_dim, L);
		for (int i = 0; i < op->nattr; i++) {
			if (attr_kind(op->attrs[i].key) == AK_DIM) dim_symbols(op->attrs[i].v.dim, collect_dim, L);
			for (int k = 0; attr_kind(op->attrs[i].key) == AK_DIMS && k < op->attrs[i].n; k++)
				dim_symbols(op->attrs[i].v.dims[k], collect_dim, L);
			if (attr_kind(op->attrs[i].key) == AK_FUNC) {
				LoopFunc *g = map_get(&L->func, op->attrs[i].v.func);
				for (int k = 0; g && k < g->dims.n; k++) collect_dim(L, g->dims.at[k]);
			}
		}
		for (int r = 0; r < op->nregion; r++) collect_dims(L, op->region[r]);
	}
}

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot && !isdigit((unsigned char)dot[1]) ? dot + 1 : path;
}

static void lower_params(Lower *L)
{
	Func *f = L->f->func;
	L->f->param = NEW_ARRAY(L->a, Buf *, f->body->nparam + 1);
	L->f->result = NEW_ARRAY(L->a, Buf *, f->body->nresult + 1);
	for (int i = 0; i < f->body->nparam; i++) {
		Value *v = f->body->param[i];
		const char *path = f->param_path ? f->param_path[i] : NULL;
		Buf *b = lower_buf(L, BUF_PARAM, v->type, v, path ? path : v->name ? v->name : "x");
		b->path = path;
		b->number = i;
		b->inout = f->param_inout && f->param_inout[i];
		L->f->param[i] = settle(L, v, b);
	}
	for (int i = 0; i < f->body->nresult; i++) {
		Value *v = f->body->result[i];
		int alias = f->result_alias ? f->result_alias[i] : -1;
		const char *path = f->result_path ? f->result_path[i] : NULL;
		Buf *b = alias >= 0 ? L->f->param[alias] : lower_buf(L, BUF_RESULT, v->type, v, path ? last_part(path) : "out");
		if (alias < 0) b->path = path, b->number = i;
		L->f->result[i] = b;
		if (may_target(L, v, f->body, alias >= 0 ? f->body->param[alias] : NULL)) lower_info(L, v)->target = b;
	}
}

static LoopFunc *lower_func(Lower *parent, Func *f)
{
	LoopFunc *known = map_get(&parent->func, f);
	if (known) return known;
	Lower *L = NEW(parent->a, Lower);
	*L = (Lower){
	    .a = parent->a, .m = parent->m, .dims = parent->dims, .p = parent->p, .facts = f->facts, .next_order = 1, .func = parent->func};
	map_init(&L->info, L->a);
	map_init(&L->holder, L->a);
	L->f = NEW(L->a, LoopFunc);
	L->f->func = f;
	L->f->name = f->name;
	L->steps = &L->f->steps;
	L->loc = f->loc;
	lower_analyse(L, f);
	loop_reserve_names(L->p, L->f);
	for (int i = 0; i < f->ndims; i++) collect_dim(L, f->dims[i]);
	lower_params(L);
	lower_block(L, f->body);
	Value **old = NEW_ARRAY(L->a, Value *, f->body->nresult + 1);
	for (int i = 0; i < f->body->nresult; i++) {
		int alias = f->result_alias ? f->result_alias[i] : -1;
		if (alias >= 0) old[i] = f->body->param[alias];
	}
	yield_into(L, f->body, 0, f->body->nresult, L->f->result, old);
	parent->func = L->func;
	collect_dims(L, f->body);
	map_set(&parent->func, f, L->f);
	VEC_PUSH(L->a, L->p->funcs, L->f);
	return L->f;
}

Program *lower_program(Arena *a, Module *m)
{
	Program *p = NEW(a, Program);
	p->m = m;
	Lower L = {.a = a, .m = m, .dims = m->dims, .p = p};
	map_init(&L.func, a);
	for (int i = 0; i < m->funcs.n; i++)
		if (m->funcs.at[i]->exported || m->funcs.at[i]->is_test) lower_func(&L, m->funcs.at[i]);
	return p;
}
