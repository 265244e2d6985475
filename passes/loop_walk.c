/* Walking loop IR: see loop_walk.h. */
#include "loop_walk.h"
#include "loop_text.h"

Buf *buf_root(Buf *b)
{
	while (b->space == BUF_ALIAS) b = b->base;
	return b;
}

void body_walk(Body *b, NodeFn *fn, void *ctx)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		fn(ctx, n);
		body_walk(n->body, fn, ctx);
		body_walk(n->other, fn, ctx);
	}
}

typedef struct Visit {
	Nest *s;
	AccessFn *fn;
	void *ctx;
} Visit;

static void visit_call(Visit *v, Node *n)
{
	const KindRow *r = loop_node_row(n);
	const int buf2 = r->scratch == RAW_SCRATCH_BUF2 ? ACCESS_SCRATCH : 0, src2 = r->scratch == RAW_SCRATCH_SRC2 ? ACCESS_SCRATCH : 0;
	if (r->writes == RAW_WRITES_ROW) {
		v->fn(v->ctx, v->s, n->src, NULL, 0, ACCESS_READ | ACCESS_WHOLE);
		v->fn(v->ctx, v->s, n->src2, NULL, 0, ACCESS_READ | ACCESS_WHOLE);
		v->fn(v->ctx, v->s, n->buf, n->index, n->nindex, ACCESS_WRITE);
		if (n->buf2) v->fn(v->ctx, v->s, n->buf2, NULL, 0, ACCESS_READ | ACCESS_WRITE | ACCESS_WHOLE | buf2);
		return;
	}
	bool line = r->writes == RAW_WRITES_LINE;
	const int whole = line ? ACCESS_WHOLE | ACCESS_LINE : ACCESS_WHOLE, nindex = line ? n->nindex : 0;
	const Index *index = line ? n->index : NULL;
	if (n->buf) v->fn(v->ctx, v->s, n->buf, index, nindex, ACCESS_READ | ACCESS_WRITE | whole);
	if (n->buf2) v->fn(v->ctx, v->s, n->buf2, index, nindex, ACCESS_WRITE | whole | buf2);
	if (n->src) v->fn(v->ctx, v->s, n->src, NULL, 0, ACCESS_READ | ACCESS_WHOLE);
	if (n->src2) v->fn(v->ctx, v->s, n->src2, NULL, 0, ACCESS_READ | ACCESS_WRITE | ACCESS_WHOLE | src2);
	for (int i = 0; i < n->nuses; i++) v->fn(v->ctx, v->s, n->uses[i], NULL, 0, ACCESS_READ | ACCESS_WHOLE);
	if (n->table) v->fn(v->ctx, v->s, n->table, NULL, 0, ACCESS_READ | ACCESS_WHOLE);
}

static void visit_node(void *p, Node *n)
{
	Visit *v = p;
	switch (n->kind) {
	case N_LOAD: v->fn(v->ctx, v->s, n->buf, n->index, n->nindex, ACCESS_READ); break;
	case N_STORE: v->fn(v->ctx, v->s, n->buf, n->index, n->nindex, n->mode ? ACCESS_READ | ACCESS_WRITE : ACCESS_WRITE); break;
	case N_SCAN:
		v->fn(v->ctx, v->s, n->buf, n->index, n->nindex, ACCESS_WRITE);
		if (n->buf2) v->fn(v->ctx, v->s, n->buf2, n->index, n->nindex, ACCESS_WRITE);
		break;
	case N_RAW: visit_call(v, n); break;
	default: break;
	}
}

void stage_accesses(Nest *s, AccessFn *fn, void *ctx)
{
	Visit v = {s, fn, ctx};
	body_walk(s->init, visit_node, &v);
	body_walk(s->body, visit_node, &v);
	if (s->room) fn(ctx, s, s->room, NULL, 0, ACCESS_READ | ACCESS_WRITE | ACCESS_WHOLE | ACCESS_SCRATCH);
}

static void add_touch(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Touches *t = p;
	VEC_PUSH(t->a, t->at, ((Touch){b, index, nindex, kind, s}));
}

void stage_touches(Nest *s, Touches *out)
{
	stage_accesses(s, add_touch, out);
}

Touches kernel_touches(Arena *a, const Kernel *k)
{
	Touches t = {a, {0}};
	for (int i = 0; i < k->nstages; i++) stage_touches(k->stages[i], &t);
	return t;
}

void steps_walk(StepList *list, StepFn *fn, void *ctx)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		fn(ctx, list, s);
		steps_walk(&s->head, fn, ctx);
		steps_walk(&s->body, fn, ctx);
		steps_walk(&s->other, fn, ctx);
	}
}

typedef struct AxisWalk {
	Map seen;
	AxisFn *fn;
	void *ctx;
} AxisWalk;

static void see_axes(AxisWalk *w, const Axis *const *axis, int n)
{
	for (int i = 0; i < n; i++) {
		if (map_get(&w->seen, axis[i])) continue;
		map_set(&w->seen, axis[i], (void *)axis[i]);
		w->fn(w->ctx, axis[i]);
	}
}

static void see_node(void *p, Node *n)
{
	see_axes(p, n->axis, n->naxis);
}

void kernel_axes(Arena *a, const Kernel *k, AxisFn *fn, void *ctx)
{
	AxisWalk w = {.fn = fn, .ctx = ctx};
	map_init(&w.seen, a);
	see_axes(&w, k->outer, k->nouter);
	for (int i = 0; i < k->nstages; i++) {
		Nest *s = k->stages[i];
		see_axes(&w, s->init_axis, s->ninit);
		see_axes(&w, s->axis, s->naxis);
		body_walk(s->init, see_node, &w);
		body_walk(s->body, see_node, &w);
	}
}

static void find_shared(void *p, const Axis *x)
{
	if (x->pieces) *(const Axis **)p = x;
}

const Axis *kernel_shared_axis(Arena *a, const Kernel *k)
{
	const Axis *x = NULL;
	kernel_axes(a, k, find_shared, &x);
	return x;
}

bool index_aligned(const Index *index, int nindex, const Axis *const *axis, int p)
{
	if (nindex < p) return false;
	for (int i = 0; i < p; i++) {
		int64_t coef, add;
		if (index[i].n != 1 || index[i].term[0].axis != axis[i]) return false;
		if (!dim_is_const(index[i].term[0].coef, &coef) || coef != 1 || !dim_is_const(index[i].add, &add) || add != 0) return false;
	}
	return true;
}
