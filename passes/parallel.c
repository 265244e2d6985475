/* parallel: which axis of a kernel may be shared out among threads, and what one step along it costs.
 *
 * An axis qualifies where iterations write distinct elements and read nothing that another iteration writes: every access to memory that
 * the kernel writes has the axis as the one plain term of the same subscript. Results then depend neither on the number of threads nor on
 * where the pieces begin. The code that is printed makes pieces of at least a certain cost (kernels/threads.h), one where the whole is too
 * small. Takes fused and vectorised loop IR; a no-op unless --threads asks for it. Row buffers in the arena get one slice per piece
 * (plan.c). */
#include "dot_view.h"
#include "loop_cut.h"
#include "loop_text.h"
#include "passes.h"
#include <string.h>

/* Costs in 1/16 of a cycle per element, vector code assumed: a load or store as from L3, an operation, one that takes a polynomial. Code
 * that runs element by element costs SCALAR times that. */
enum { COST_LOAD = 3, COST_STORE = 4, COST_OP = 1, COST_DEAR = 15, COST_CALL = 64, SCALAR = 8 };

typedef struct Check {
	Kernel *k;
	const Axis *x;
	Buf *written;
	int subscript; /* of x in the accesses of `written`; -1: not seen yet */
	bool ok;
} Check;

/* The one subscript that is x plus something fixed; -1 otherwise. */
static int subscript_of(const Index *index, int n, const Axis *x)
{
	int found = -1;
	int64_t coef;
	for (int i = 0; i < n; i++)
		for (int k = 0; k < index[i].n; k++) {
			if (index[i].term[k].axis != x) continue;
			if (found >= 0 || index[i].n != 1 || !dim_is_const(index[i].term[k].coef, &coef) || coef != 1) return -1;
			found = i;
		}
	return found;
}

static void check_access(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Check *c = p;
	int64_t add;
	(void)s;
	if (buf_root(b) != c->written || kind & ACCESS_SCRATCH || !c->ok) return;
	int at = (kind & ACCESS_WHOLE) && !(kind & ACCESS_LINE) ? -1 : subscript_of(index, nindex, c->x);
	c->ok = at >= 0 && (c->subscript < 0 || c->subscript == at) && dim_is_const(index[at].add, &add) && add == 0 && b == c->written;
	c->subscript = at;
}

typedef struct Written {
	Kernel *k;
	const Axis *x;
	bool ok;
} Written;

static void check_written(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Written *w = p;
	(void)s, (void)index, (void)nindex;
	if (!(kind & ACCESS_WRITE) || kind & ACCESS_SCRATCH || !w->ok) return;
	Check c = {.k = w->k, .x = w->x, .written = buf_root(b), .subscript = -1, .ok = true};
	for (int i = 0; i < w->k->nstages; i++) stage_accesses(w->k->stages[i], check_access, &c);
	w->ok = c.ok;
}

/* --- cost ------------------------------------------------------------------------------------------------------------------------ */
static Dim body_cost(DimCtx *c, const Body *b, const Axis *without, int scale);

static Dim over_axes(DimCtx *c, Dim cost, const Axis *const *axis, int n, const Axis *without)
{
	for (int i = 0; i < n; i++)
		if (axis[i] != without && axis[i]->extent) cost = dim_mul(c, cost, axis[i]->extent);
	return cost;
}

static int node_cost(const Node *n)
{
	switch (n->kind) {
	case N_LOAD: return COST_LOAD;
	case N_STORE: return COST_STORE;
	case N_OP: return op_row(n->op)->flags & OPF_CHEAP ? COST_OP : COST_DEAR;
	case N_RAW: return COST_CALL;
	case N_CONST:
	case N_INDEX: return 0;
	default: return COST_OP;
	}
}

/* Of a call that computes a row of a convolution: 16 multiply-adds in a cycle. The weight has an element for each tap, channel of the
 * input and of the result. Of another call: see loop_cut.h. */
static Dim row_call_cost(DimCtx *c, const Node *n)
{
	const Buf *y = n->buf, *w = n->src2;
	int64_t size, row = 1, taps = 1;
	if (loop_node_row(n)->writes != RAW_WRITES_ROW || !w) return raw_part_cost(c, n);
	for (int i = 0; i < y->type->rank; i++)
		if (!n->index[i].n) row *= dim_is_const(y->type->dim[i], &size) ? size : 16;
	for (int i = 0; i < w->type->rank; i++) taps *= dim_is_const(w->type->dim[i], &size) ? size : 16;
	if (dim_is_const(y->type->dim[y->type->rank - 1], &size) && size) taps = (taps + size - 1) / size;
	if (loop_node_row(n)->cut == RAW_CUT_GROUPS) taps = (taps + 15) / 16; /* 36 products for 16 results */
	return dim_int(c, row < INT32_MAX / (taps + 1) ? row * taps : INT32_MAX);
}

static Dim body_cost(DimCtx *c, const Body *b, const Axis *without, int scale)
{
	Dim sum = dim_int(c, 0);
	for (const Node *n = b ? b->first : NULL; n; n = n->next) {
		int inner = n->naxis && n->axis[n->naxis - 1]->vec ? 1 : n->naxis ? SCALAR : scale;
		Dim call = n->kind == N_RAW ? row_call_cost(c, n) : NULL;
		Dim own = call ? call : dim_int(c, (int64_t)node_cost(n) * scale);
		own = dim_add(c, own, over_axes(c, body_cost(c, n->body, without, inner), n->axis, n->naxis, without));
		sum = dim_add(c, sum, dim_add(c, own, body_cost(c, n->other, without, scale)));
	}
	return sum;
}

static Dim nest_cost(DimCtx *c, const Body *b, const Axis *const *axis, int n, const Axis *without)
{
	int scale = n && axis[n - 1]->vec ? 1 : SCALAR;
	return b ? over_axes(c, body_cost(c, b, without, scale), axis, n, without) : dim_int(c, 0);
}

static Dim cost_per_step(DimCtx *c, const Kernel *k, const Axis *x)
{
	Dim sum = dim_int(c, 0);
	for (int i = 0; i < k->nstages; i++) {
		const Nest *s = k->stages[i];
		sum = dim_add(c, sum, nest_cost(c, s->init, s->init_axis, s->ninit, x));
		sum = dim_add(c, sum, nest_cost(c, s->body, s->axis, s->naxis, x));
	}
	return sum;
}

/* --- the choice -------------------------------------------------------------------------------------------------------------------- */
/* Does a nest run over x, as an axis of its own or (where it is the only one) the first of a flat loop? */
static bool runs_over(const Axis *const *axis, int n, const Axis *x, bool alone)
{
	for (int i = 0; i < n; i++) {
		if (axis[i] != x) continue;
		int flat = axis[n - 1]->vec ? axis[n - 1]->flat : 0;
		return flat && alone ? i <= n - 1 - flat : i < n - flat - (flat > 0);
	}
	return false;
}

static bool may_share(Kernel *k, const Axis *x)
{
	int64_t n;
	if (dim_is_const(x->extent, &n) && n < 2) return false;
	Written w = {k, x, true};
	bool alone = k->nstages == 1 && !k->stages[0]->init;
	for (int i = 0; i < k->nstages && w.ok; i++) {
		const Nest *s = k->stages[i];
		w.ok = runs_over(s->axis, s->naxis, x, alone) && (!s->init || runs_over(s->init_axis, s->ninit, x, alone));
		if (w.ok) stage_accesses(k->stages[i], check_written, &w);
	}
	return w.ok;
}

static void share_along(const Axis *x, int threads, Dim cost)
{
	Axis *own = (Axis *)x; /* const for everybody who only reads it */
	own->pieces = threads;
	own->cost = cost;
}

/* --- sums of products that a template computes ------------------------------------------------------------------------------------------
 */
/* Rows that a piece should have at least, so that its tiles are whole, and columns: a piece packs the panels that it needs. */
enum { PIECE_ROWS = 28, PIECE_COLUMNS = 64 };

static Dim dot_cost(DimCtx *c, const Kernel *k, const DotView *v, const Axis *x)
{
	const Nest *s = k->stages[0];
	bool vector = dot_template(s->how)->bytes; /* else multiply-adds: 16 of f32 in a cycle */
	Dim each = dim_int(c, (vector ? COST_LOAD : 1) * dtype_bytes(v->sum->dtype) / 4);
	Dim sum = over_axes(c, over_axes(c, each, v->sum->axis, v->sum->naxis, x), s->axis, s->naxis, x);
	for (int i = 1; i < k->nstages; i++)
		sum = dim_add(c, sum, nest_cost(c, k->stages[i]->body, k->stages[i]->axis, k->stages[i]->naxis, x));
	return sum;
}

/* Of what the kernel writes, iterations along all of these axes write distinct elements. */
static bool apart_along(Kernel *k, const Axis *const *axis, int n)
{
	int64_t one;
	for (int a = 0; a < n; a++) {
		Written w = {k, axis[a], true};
		if (dim_is_const(axis[a]->extent, &one) && one == 1) continue;
		for (int i = 0; i < k->nstages && w.ok; i++) stage_accesses(k->stages[i], check_written, &w);
		if (!w.ok) return false;
	}
	return n > 0;
}

static int64_t size_or(Dim d, int64_t otherwise)
{
	int64_t n;
	return dim_is_const(d, &n) ? n : otherwise;
}

/* Along a loop around the products where it is long enough; else along rows or columns, whichever there are more of: the smaller operand is
 * then the one that every piece packs. A number of rows that is not known counts as few, as in a call with a batch of one. */
static bool share_dot(Program *p, Kernel *k, int threads)
{
	DotView v;
	DimCtx *c = p->m->dims;
	const Nest *s = k->stages[0];
	if (!dot_view(c, s, &v)) return false;
	for (int i = 0; i < v.nloop; i++)
		if (size_or(v.loop[i]->extent, threads) >= threads && apart_along(k, v.loop + i, 1)) {
			share_along(v.loop[i], threads, dot_cost(c, k, &v, v.loop[i]));
			return true;
		}
	int64_t m = size_or(v.m, 1), n = size_or(v.n, 1);
	bool rows = v.nrow && size_or(v.m, 2) > 1 && apart_along(k, v.row, v.nrow);
	bool columns = v.ncol && size_or(v.n, 2) > 1 && dot_template(s->how)->columns && apart_along(k, v.col, v.ncol);
	if (rows && columns) {
		bool many_rows = m >= threads * PIECE_ROWS, many_columns = n >= threads * PIECE_COLUMNS;
		if (many_rows != many_columns) rows = many_rows;
		else rows = m >= n;
	}
	if (!rows && !columns) return false;
	const Axis *x = rows ? v.row[0] : v.col[0];
	share_along(x, threads, dot_cost(c, k, &v, x));
	return true;
}

/* --- a call that is all of its kernel ---------------------------------------------------------------------------------------------------
 */
static Node *only_call(const Kernel *k)
{
	const Nest *s = k->stages[0];
	Node *call = NULL;
	if (k->nstages != 1 || s->naxis || s->init) return NULL;
	for (Node *n = s->body->first; n; n = n->next) {
		if (n->kind == N_CONST) continue;
		if (call || n->kind != N_RAW) return NULL;
		call = n;
	}
	return call;
}

static bool share_call(Program *p, Node *n, int threads)
{
	DimCtx *c = p->m->dims;
	Dim parts = raw_parts(c, n);
	int64_t known;
	if (!parts || n->naxis || !raw_parts_apart(n) || (dim_is_const(parts, &known) && known < 2)) return false;
	Axis *x = NEW(p->m->arena, Axis);
	*x = (Axis){.name = "p", .extent = parts};
	n->axis[n->naxis++] = x;
	share_along(x, threads, raw_part_cost(c, n));
	return true;
}

/* --- any other kernel -------------------------------------------------------------------------------------------------------------------
 */
static bool share_kernel(Program *p, Kernel *k, int threads)
{
	if (k->stages[0]->how) return share_dot(p, k, threads);
	Node *call = only_call(k);
	if (call) return share_call(p, call, threads);
	const Nest *s = k->stages[0];
	int n = k->nstages > 1 ? k->nouter : s->naxis;
	for (int i = 0; i < n; i++) {
		const Axis *x = k->nstages > 1 ? k->outer[i] : s->axis[i];
		if (!may_share(k, x)) continue;
		share_along(x, threads, cost_per_step(p->m->dims, k, x));
		return true;
	}
	return false;
}

typedef struct Share {
	Program *p;
	int threads;
	bool changed;
} Share;

static void share_step(void *ctx, StepList *list, Step *s)
{
	Share *h = ctx;
	(void)list;
	if (s->kind != STEP_KERNEL) return;
	if (share_kernel(h->p, s->kernel, h->threads)) h->changed = true;
	else
		note_add(h->p->m->arena, &s->kernel->notes, s->kernel->loc,
		         "not shared out among threads: along no axis do all of its stages write elements of their own");
}

bool pass_parallel(PassCtx *c)
{
	Share h = {c->program, c->o->threads, false};
	for (int i = 0; h.threads > 1 && i < c->program->funcs.n; i++) steps_walk(&c->program->funcs.at[i]->steps, share_step, &h);
	return h.changed;
}
