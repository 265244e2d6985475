/* vectorise: decides which loops run MX_W (or MX_WD) elements at a time, and writes that on their axes; bodies stay scalar, and the C
 * printer prints vector code from them (codegen/c_vector.c).
 *
 * A loop qualifies where neighbouring elements lie next to each other in memory (or are the same, or are gathered now and then), all that
 * it computes has lanes of one width, and no iteration reads what another one writes. Neighbouring axes that together run through memory
 * without a gap become one flat loop first. A sum runs along lanes where ir/order.h gives it partial results; where it does not, the
 * loop around it may. Needs fused loop IR; changes no value and no order. */
#include "passes.h"
#include "vectorise.h"

enum { SHORTEST = 8 /* extents below are left to the C compiler */ };

/* --- what varies along an axis ------------------------------------------------------------------------------------------------------ */
static bool index_varies(const Index *index, int n, const Axis *x, const Map *varies)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < index[i].n; k++) {
			const Term *t = &index[i].term[k];
			if (t->axis ? t->axis == x : map_get(varies, t->node) != NULL) return true;
		}
	return false;
}

static bool any_varies(const Body *b, const Map *varies)
{
	for (const Node *n = b ? b->first : NULL; n; n = n->next)
		if (map_get(varies, n)) return true;
	return b && ((b->result && map_get(varies, b->result)) || (b->result2 && map_get(varies, b->result2)));
}

int node_decided(const Node *n, const Decided *d)
{
	for (int i = 0; d && i < d->n; i++)
		if (d->test[i] == n) return d->holds[i];
	if (!d || n->kind != N_OP || n->op != OP_and) return -1;
	int x = node_decided(n->arg[0], d), y = node_decided(n->arg[1], d);
	return x == 0 || y == 0 ? 0 : x == 1 && y == 1 ? 1 : -1;
}

void nodes_varying(const Body *b, const Axis *x, const Decided *d, Map *out)
{
	for (const Node *n = b ? b->first : NULL; n; n = n->next) {
		if (node_decided(n, d) >= 0) continue;
		int arm = n->kind == N_IF ? node_decided(n->arg[0], d) : -1;
		bool yes = index_varies(n->index, n->nindex, x, out);
		for (int i = 0; i < n->narg; i++) yes |= map_get(out, n->arg[i]) != NULL;
		if (arm != 0) nodes_varying(n->body, x, d, out), yes |= any_varies(n->body, out);
		if (arm != 1) nodes_varying(n->other, x, d, out), yes |= any_varies(n->other, out);
		if (yes) map_set(out, n, (void *)n);
	}
}

Dim access_step(DimCtx *c, const Buf *b, const Index *index, const Axis *x)
{
	Dim step = dim_int(c, 0), stride = dim_int(c, 1);
	int drop = b->space == BUF_ROW ? b->drop : 0;
	for (int i = b->type->rank - 1; i >= drop; i--) {
		for (int k = 0; k < index[i].n; k++)
			if (index[i].term[k].axis == x) step = dim_add(c, step, dim_mul(c, stride, index[i].term[k].coef));
		stride = dim_mul(c, stride, b->type->dim[i]);
	}
	return step;
}

bool access_gathers(const Index *index, int n, const Map *varies)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < index[i].n; k++)
			if (index[i].term[k].node && map_get(varies, index[i].term[k].node)) return true;
	return false;
}

bool test_splits(const Node *n, const Axis *x, const Map *varies)
{
	int64_t coef;
	bool along = false;
	if (n->kind != N_TEST || access_gathers(n->index, 1, varies)) return false;
	for (int k = 0; k < n->index->n; k++)
		if (n->index->term[k].axis == x) {
			if (!dim_is_const(n->index->term[k].coef, &coef) || (coef != 1 && coef != -1)) return false;
			along = true;
		}
	return along;
}

/* --- may the loop over x run in lanes? ---------------------------------------------------------------------------------------------- */
typedef struct Seen {
	const Buf *buf;
	const Index *index;
	int n;
	bool write;
} Seen;
typedef struct Look {
	Arena *a;
	DimCtx *c;
	const Axis *x;
	const Body *body; /* of the loop */
	Map varies;
	bool may_split;      /* the loop may be cut where a test changes: no sum runs along it */
	bool wide, narrow;   /* lanes of 64 and of 32 bits are needed */
	const char *refused; /* why not, for the report: the first reason */
	bool bools;          /* in memory: only lanes of 32 bits load and store them */
	int along, single;   /* accesses to neighbours; nodes that are computed lane by lane */
	VEC(Seen) seen;
} Look;

static void refuse(Look *l, const char *why)
{
	if (!l->refused) l->refused = why;
}

static bool index_same(const Index *a, const Index *b, int n)
{
	for (int i = 0; i < n; i++) {
		if (a[i].n != b[i].n || a[i].add != b[i].add) return false;
		for (int k = 0; k < a[i].n; k++)
			if (a[i].term[k].axis != b[i].term[k].axis || a[i].term[k].node != b[i].term[k].node || a[i].term[k].coef != b[i].term[k].coef)
				return false;
	}
	return true;
}

/* Memory that is written is touched in one place only: the element of the lane itself. */
static void look_conflict(Look *l, const Buf *b, const Index *index, int n, bool write)
{
	for (int i = 0; i < l->seen.n; i++) {
		const Seen *s = &l->seen.at[i];
		if (buf_root((Buf *)s->buf) != buf_root((Buf *)b) || !(write || s->write)) continue;
		if (s->buf != b || !index_same(s->index, index, n))
			refuse(l, arena_printf(l->a, "`%s` is written and touched at another place in the same loop", b->name));
	}
	VEC_PUSH(l->a, l->seen, ((Seen){b, index, n, write}));
}

static void look_dtype(Look *l, DType d)
{
	if (d == DT_f64) l->wide = true;
	else if (d == DT_bool) return;
	else if (dtype_bytes(d) == 8) refuse(l, arena_printf(l->a, "%s has no lanes", dtype_name(d)));
	else l->narrow = true;
}

static void look_access(Look *l, const Node *n, bool write)
{
	int64_t step;
	bool varies = map_get(&l->varies, n) != NULL, unit;
	Dim d = access_step(l->c, n->buf, n->index, l->x);
	look_conflict(l, n->buf, n->index, n->nindex, write);
	unit = dim_is_const(d, &step) && step == 1;
	if (access_gathers(n->index, n->nindex, &l->varies)) unit = false;
	else if (dim_is_const(d, &step) && step == 0) {
		if (write) refuse(l, arena_printf(l->a, "every turn writes the same element of `%s`", n->buf->name));
		return;
	}
	if (!varies && !write) return;
	DType t = n->buf->type->dtype;
	look_dtype(l, t);
	l->bools |= t == DT_bool;
	if (write && n->mode && (t == DT_bool || (dtype_is_int(t) && dtype_bytes(t) != 4)))
		refuse(l, arena_printf(l->a, "no routine combines %s in memory", dtype_name(t)));
	if (unit) l->along++;
	else if (write) refuse(l, arena_printf(l->a, "neighbours are not written next to each other in `%s`", n->buf->name));
	else l->single++;
}

static void look_body(Look *l, const Body *b);

/* Running sums and products of rows, each row from the one before: the loop over x then runs inside the scan (codegen/c_vector.c). */
static void look_scan(Look *l, const Node *n)
{
	bool lanes = n->dtype == DT_f32 || n->dtype == DT_f64 || n->dtype == DT_i32 || n->dtype == DT_u32;
	bool simple = (n->op == OP_add || n->op == OP_mul) && !n->exclusive && !n->buf2 && lanes;
	if (n != l->body->first || n->next || !simple) refuse(l, "a running sum goes through it");
	look_access(l, n, true);
	look_body(l, n->body);
}

static void look_node(Look *l, const Node *n)
{
	bool varies = map_get(&l->varies, n) != NULL;
	switch (n->kind) {
	case N_LOAD: look_access(l, n, false); return;
	case N_STORE: look_access(l, n, true); return;
	case N_SCAN: look_scan(l, n); return;
	case N_RAW: refuse(l, "it is a library call"); return;
	case N_ARG:
		if (!varies) return;
		look_dtype(l, n->dtype);
		if (n->body->result->dtype != DT_f32) refuse(l, "the place of the largest or smallest is vectorised for f32");
		look_body(l, n->body);
		return;
	case N_FOR: refuse(l, "there is a loop in it"); return;
	case N_REDUCE:
		if (!varies) return;
		look_dtype(l, n->dtype);
		if (n->lanes > 1 || n->block || n->dtype == DT_bool) refuse(l, "a sum in it has partial results of its own");
		look_body(l, n->body);
		return;
	case N_IF:
		if (map_get(&l->varies, n->arg[0]) && (!n->body->result || !l->may_split)) refuse(l, "a condition that changes along it guards it");
		look_body(l, n->body);
		look_body(l, n->other);
		return;
	case N_OP:
		if (!varies) return;
		look_dtype(l, n->dtype);
		if (n->op == OP_convert || op_row(n->op)->gives != RC_SAME) look_dtype(l, n->from);
		return;
	case N_INDEX:
		if (varies) look_dtype(l, n->dtype);
		return;
	case N_IDIV:
	case N_IMOD:
	case N_CLAMP:
	case N_MULTIPLE:
	case N_INRANGE: l->single += varies; return;
	case N_TEST:
	case N_CONST: return;
	}
}

static void look_body(Look *l, const Body *b)
{
	for (const Node *n = b ? b->first : NULL; n; n = n->next) look_node(l, n);
}

/* Bits of a lane, or 0 where the loop stays scalar. */
static int lanes_of(Arena *a, DimCtx *c, const Body *b, const Axis *x, bool may_split, const char **why)
{
	Look l = {.a = a, .c = c, .x = x, .body = b, .may_split = may_split};
	int64_t n;
	map_init(&l.varies, a);
	nodes_varying(b, x, NULL, &l.varies);
	look_body(&l, b);
	if (l.wide && (l.narrow || l.bools)) refuse(&l, "it needs lanes of 32 and of 64 bits");
	if (!l.along) refuse(&l, "it reads and writes nothing at neighbouring places");
	if (l.single > l.along) refuse(&l, "it gathers more than it reads and writes at neighbouring places");
	if (dim_is_const(x->extent, &n) && n < SHORTEST)
		refuse(&l, arena_printf(a, "its innermost loop has %lld turns, fewer than %d", (long long)n, SHORTEST));
	*why = l.refused;
	return l.refused ? 0 : l.wide ? 64 : 32;
}

typedef struct Vectoriser {
	Arena *a;
	DimCtx *c;
	const DimFacts *facts;
	bool may_flat, changed;
	const char *why; /* the last loop that was looked at stays scalar; NULL */
} Vectoriser;

/* --- flat loops --------------------------------------------------------------------------------------------------------------------- */
typedef struct Flat {
	DimCtx *c;
	const Axis *outer, *inner;
	Dim extent; /* of inner and what is flat with it already */
	bool ok;
} Flat;

static void flat_node(void *p, Node *n)
{
	Flat *f = p;
	if (n->kind == N_LOAD || n->kind == N_STORE) {
		Dim step = access_step(f->c, n->buf, n->index, f->inner);
		if (access_step(f->c, n->buf, n->index, f->outer) != dim_mul(f->c, step, f->extent)) f->ok = false;
		return;
	}
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].axis == f->outer || n->index[i].term[k].axis == f->inner) f->ok = false;
	if (n->kind == N_IF || n->kind == N_RAW) f->ok = false;
}

/* How many of the innermost of axis[from..n) can run as one loop without a gap. */
static int flat_axes(const Vectoriser *v, Body *b, const Axis *const *axis, int from, int n)
{
	DimCtx *c = v->c;
	int flat = 1;
	Dim extent = axis[n - 1]->extent;
	if (!v->may_flat) return 1;
	for (int i = n - 2; i >= from; i--, flat++) {
		Flat f = {c, axis[i], axis[n - 1], extent, true};
		body_walk(b, flat_node, &f);
		extent = dim_mul(c, extent, axis[i]->extent);
		if (!f.ok || !extent) break;
	}
	return flat;
}

/* --- loops of a kernel -------------------------------------------------------------------------------------------------------------- */

static bool is_multiple(const Vectoriser *v, Dim d, int64_t by)
{
	int64_t rest;
	return dim_is_const(dim_mod(v->c, v->facts, d, dim_int(v->c, by)), &rest) && rest == 0;
}

/* Axes are const for everybody who reads them; what is decided here is this file's to write. */
static void mark_axis(Vectoriser *v, const Axis *x, int bits, int flat, Dim extent, int step)
{
	Axis *y = (Axis *)x;
	y->vec = bits;
	y->flat = flat - 1;
	y->mask = !is_multiple(v, extent, step);
	v->changed = true;
}

static void unmark_axis(const Axis *x)
{
	((Axis *)x)->vec = 0;
	((Axis *)x)->flat = 0;
	((Axis *)x)->mask = false;
}

static Dim product(const Vectoriser *v, const Axis *const *axis, int from, int n)
{
	Dim d = axis[from]->extent;
	for (int i = from + 1; i < n; i++) d = dim_mul(v->c, d, axis[i]->extent);
	return d;
}

static bool has_loops(const Body *b)
{
	for (const Node *n = b ? b->first : NULL; n; n = n->next)
		if (n->naxis || n->kind == N_RAW || has_loops(n->body) || has_loops(n->other)) return true;
	return false;
}

static bool is_lane_reduce(OpCode op, DType d)
{
	return d != DT_bool && (op == OP_add || op == OP_mul || op == OP_maximum || op == OP_minimum) &&
	       (d == DT_f32 || d == DT_f64 || d == DT_i32 || d == DT_u32 || d == DT_f16 || d == DT_bf16);
}

/* The last axis of a loop node; its last axes as one where no partial result changes. */
static bool try_node(Vectoriser *v, Node *n)
{
	const Axis *x = n->axis[n->naxis - 1];
	if (has_loops(n->body) || (n->kind != N_REDUCE && n->kind != N_FOR && n->kind != N_ARG)) return false;
	if (n->kind == N_ARG && dtype_compute(n->body->result->dtype) != DT_f32) return false;
	if (n->kind == N_REDUCE && (n->lanes <= 1 || !is_lane_reduce(n->op, n->dtype))) return false;
	int bits = lanes_of(v->a, v->c, n->body, x, n->kind == N_FOR, &v->why);
	if (!bits || (n->kind == N_REDUCE && (bits == 64) != (n->dtype == DT_f64)) || (n->kind == N_ARG && bits == 64)) return false;
	int flat = 1;
	if (n->kind == N_FOR || (n->kind == N_REDUCE && is_multiple(v, x->extent, n->lanes)))
		flat = flat_axes(v, n->body, n->axis, 0, n->naxis);
	mark_axis(v, x, bits, flat, product(v, n->axis, n->naxis - flat, n->naxis), n->kind == N_REDUCE ? n->lanes : bits == 32 ? 16 : 8);
	return true;
}

static bool try_inside(Vectoriser *v, Body *b)
{
	bool any = false;
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		if (n->naxis && try_node(v, n)) any = true;
		else any |= try_inside(v, n->body) | try_inside(v, n->other);
	}
	return any;
}

static void try_axes(Vectoriser *v, Body *b, const Axis *const *axis, int from, int n)
{
	if (!b || n <= from) return;
	const char *longer_why;
	int bits = lanes_of(v->a, v->c, b, axis[n - 1], true, &v->why), flat = bits && !has_loops(b) ? flat_axes(v, b, axis, from, n) : 1;
	if (!bits && n - from > 1) { /* a short last axis may do as part of a long flat one */
		int64_t extent;
		flat = has_loops(b) ? 1 : flat_axes(v, b, axis, from, n);
		if (flat < 2) return;
		Axis longer = *axis[n - 1], *real = (Axis *)axis[n - 1];
		Dim was = real->extent;
		real->extent = product(v, axis, n - flat, n);
		bits = dim_is_const(was, &extent) && extent < SHORTEST ? lanes_of(v->a, v->c, b, axis[n - 1], true, &longer_why) : 0;
		*real = longer;
	}
	if (bits) mark_axis(v, axis[n - 1], bits, flat, product(v, axis, n - flat, n), bits == 32 ? 16 : 8);
}

static void unmark(void *p, Node *n)
{
	for (int i = 0; i < n->naxis; i++) unmark_axis(n->axis[i]);
	(void)p;
}

/* The axes of an accumulating stage serve its filling loop too: both run in vectors or neither does, and nothing is flat. */
static void try_stage(Vectoriser *v, const Kernel *k, Nest *s)
{
	int outer = k->nstages > 1 ? k->nouter : 0;
	v->may_flat = !s->init && !k->stages[0]->how;
	if (!try_inside(v, s->body)) try_axes(v, s->body, s->axis, outer, s->naxis);
	if (!s->init || s->ninit <= outer) return;
	const Axis *x = s->init_axis[s->ninit - 1];
	const char *why = NULL;
	if (lanes_of(v->a, v->c, s->init, x, true, &why) == x->vec) return;
	body_walk(s->body, unmark, NULL);
	for (int i = 0; i < s->naxis; i++) unmark_axis(s->axis[i]);
	unmark_axis(x);
}

static void see_vectors(void *p, Node *n)
{
	for (int i = 0; i < n->naxis; i++) *(bool *)p |= n->axis[i]->vec > 0;
	if (n->kind == N_RAW) *(bool *)p = true;
}

static void vectorise_stage(Vectoriser *v, Kernel *k, Nest *s)
{
	if (s->how) return; /* the template's own business; the nest behind it runs tile by tile */
	v->why = NULL;
	try_stage(v, k, s);
	bool vectors = s->naxis && s->axis[s->naxis - 1]->vec;
	body_walk(s->body, see_vectors, &vectors);
	if (!vectors && v->why) note_add(v->a, &k->notes, s->loc, "`%s` runs element by element: %s", s->what, v->why);
}

/* --- rows: which loop asks for the next one ------------------------------------------------------------------------------------------ */
typedef struct RowLoop {
	const Axis *axis;
	bool dear, reads, writes; /* computes dear functions; touches memory of the caller or the arena */
} RowLoop;
typedef struct RowLoops {
	RowLoop at[8];
	int n;
	RowLoop now;
} RowLoops;

static void note_row_node(void *p, Node *n)
{
	RowLoop *r = p;
	bool far =
	    n->buf && (n->buf->space == BUF_PARAM || n->buf->space == BUF_RESULT || n->buf->space == BUF_ARENA || n->buf->space == BUF_ALIAS);
	r->dear |= n->kind == N_OP && !(op_row(n->op)->flags & OPF_CHEAP);
	r->reads |= n->kind == N_LOAD && far;
	r->writes |= n->kind == N_STORE && far;
}

static void note_row_loop(RowLoops *l, const Axis *x, Body *b)
{
	RowLoop r = {.axis = x};
	body_walk(b, note_row_node, &r);
	if (l->n < 8) l->at[l->n++] = r;
}

static void find_row_loops(RowLoops *l, Body *b)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next)
		if (n->naxis && n->axis[n->naxis - 1]->vec && n->kind == N_REDUCE) note_row_loop(l, n->axis[n->naxis - 1], n->body);
}

/* Spread over the loop that takes longest: lines that are asked for in a burst stall everything else. So the one with dear functions; else
 * reads in the first loop and, where there is one before the loop that writes, writes in the second. */
static void choose_ahead(const Kernel *k)
{
	RowLoops l = {.n = 0};
	int outer = k->nstages > 1 ? k->nouter : 0, writes = -1, dear = -1;
	for (int i = 0; i < k->nstages; i++) {
		Nest *s = k->stages[i];
		if (s->init) return;
		find_row_loops(&l, s->body);
		if (k->nstages > 1 && s->naxis == outer + 1 && s->axis[outer]->vec) note_row_loop(&l, s->axis[outer], s->body);
	}
	if (!l.n || (k->nstages > 1 ? k->nouter : k->stages[0]->naxis) == 0) return;
	for (int i = l.n - 1; i >= 0; i--) {
		if (l.at[i].writes) writes = i;
		if (l.at[i].dear) dear = i;
	}
	((Axis *)l.at[dear >= 0 ? dear : 0].axis)->ahead = true;
	if (writes < 0) return;
	int at = dear >= 0 && dear < writes ? dear : writes >= 1 ? (writes > 1 ? 1 : 0) : -1;
	if (at >= 0) ((Axis *)l.at[at].axis)->ahead_out = true;
}

static void vectorise_list(Vectoriser *v, StepList *list)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		for (int k = 0; s->kind == STEP_KERNEL && k < s->kernel->nstages; k++) vectorise_stage(v, s->kernel, s->kernel->stages[k]);
		if (s->kind == STEP_KERNEL) choose_ahead(s->kernel);
		vectorise_list(v, &s->head);
		vectorise_list(v, &s->body);
		vectorise_list(v, &s->other);
	}
}

bool vectorise_program(Program *p)
{
	Vectoriser v = {.a = p->m->arena, .c = p->m->dims};
	for (int i = 0; i < p->funcs.n; i++) {
		v.facts = p->funcs.at[i]->func->facts;
		vectorise_list(&v, &p->funcs.at[i]->steps);
	}
	return v.changed;
}
