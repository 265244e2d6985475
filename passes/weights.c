/* weights: constant right operands of products (--weights, literals) are laid out while compiling as their template reads them: panels
 * [n/PANEL][K][PANEL] of the columns, padded with zeros, so that no call packs them and no memory is needed for it. The scalar body goes on
 * to say what is read: w_panels[j / PANEL, k, j % PANEL]. A weight that one product reads in panels is read so by all that can, those with
 * one row too, so that there is one copy of it in a program; what nobody reads any more is not emitted. Needs chosen templates; keeps the
 * order of all sums. */
#include <string.h>
#include "../ir/target.h"
#include "dot_view.h"
#include "passes.h"

typedef struct Weights {
	Program *p;
	LoopFunc *f;
	DimCtx *c;
	struct Panels *packed;
	bool shared, changed; /* now: products of other templates, by weights that are in panels already */
} Weights;
/* The panels of a weight that is read with these strides from `start` on. Functions have constants of their own: equal ones count as one.
 */
typedef struct Panels {
	int64_t start, n, k, bn, bk;
	const Tensor *of, *data;
	struct Panels *next;
} Panels;

/* Element number of an access at index 0 of all axes. */
static bool access_start(const Node *n, int64_t *start)
{
	*start = 0;
	for (int i = 0; i < n->nindex; i++) {
		int64_t extent, add;
		if (!dim_is_const(n->buf->type->dim[i], &extent) || !dim_is_const(n->index[i].add, &add)) return false;
		*start = *start * extent + add;
	}
	return true;
}

static bool reads_axis(const Node *n, const Axis *x)
{
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].axis == x) return true;
	return false;
}

static int64_t panel_width(DType d)
{
	return 2 * 64 / dtype_bytes(d);
}

static const Tensor *make_panels(Arena *a, const Tensor *w, const Panels *p)
{
	int64_t width = panel_width(w->dtype), bytes = dtype_bytes(w->dtype), shape[] = {(p->n + width - 1) / width, p->k, width};
	Tensor *t = tensor_new(a, w->dtype, 3, shape);
	memset(t->data, 0, tensor_bytes(t));
	for (int64_t j = 0; j < p->n; j++)
		for (int64_t k = 0; k < p->k; k++)
			memcpy((char *)t->data + ((j / width * p->k + k) * width + j % width) * bytes,
			       (const char *)w->data + (p->start + k * p->bk + j * p->bn) * bytes, (size_t)bytes);
	return t;
}

static bool same_weight(const Tensor *a, const Tensor *b)
{
	return a == b || (a->dtype == b->dtype && tensor_bytes(a) == tensor_bytes(b) && !memcmp(a->data, b->data, tensor_bytes(a)));
}

static const Tensor *panels_of(Weights *t, const Tensor *w, const Panels *want)
{
	for (Panels *p = t->packed; p; p = p->next)
		if (p->start == want->start && p->n == want->n && p->k == want->k && p->bn == want->bn && p->bk == want->bk &&
		    same_weight(p->of, w))
			return p->data;
	if (t->shared) return NULL;
	Panels *p = NEW(t->p->m->arena, Panels);
	*p = *want;
	p->of = w;
	p->next = t->packed;
	p->data = make_panels(t->p->m->arena, w, p);
	t->packed = p;
	return p->data;
}

static Buf *panels_buf(Weights *t, const Node *load, const Tensor *data)
{
	for (int i = 0; i < t->f->bufs.n; i++)
		if (t->f->bufs.at[i]->data == data) return t->f->bufs.at[i];
	Arena *a = t->p->m->arena;
	Buf *b = NEW(a, Buf);
	Dim dims[3];
	for (int i = 0; i < 3; i++) dims[i] = dim_int(t->c, data->shape[i]);
	b->space = BUF_CONST;
	b->type = type_get(t->p->m, data->dtype, 3, dims);
	b->data = data;
	b->first = INT32_MAX, b->last = -1;
	b->name = loop_name(t->p, t->f, arena_printf(a, "%s_panels", load->buf->name));
	VEC_PUSH(a, t->f->bufs, b);
	return b;
}

/* Axes that run as one, as an index. */
static Index row_major(Weights *t, const Axis *const *axis, int n)
{
	Index x = {NEW_ARRAY(t->p->m->arena, Term, n + 1), 0, dim_int(t->c, 0)};
	Dim stride = dim_int(t->c, 1);
	for (int i = n - 1; i >= 0; i--) {
		if (!dim_is(axis[i]->extent, 1)) x.term[x.n++] = (Term){axis[i], NULL, stride};
		stride = dim_mul(t->c, stride, axis[i]->extent);
	}
	return x;
}

static Index of_node(Weights *t, Node *n)
{
	Term *x = NEW(t->p->m->arena, Term);
	*x = (Term){NULL, n, dim_int(t->c, 1)};
	return (Index){x, 1, dim_int(t->c, 0)};
}

static Node *quotient(Weights *t, NodeKind kind, Index at, int64_t by, const Node *like)
{
	Node *n = NEW(t->p->m->arena, Node);
	n->kind = kind;
	n->dtype = DT_i64;
	n->loc = like->loc;
	n->index = arena_copy(t->p->m->arena, &at, sizeof at);
	n->nindex = 1;
	n->hi = dim_int(t->c, by);
	return n;
}

/* The load of b becomes one of its panels. */
static void read_panels(Weights *t, const DotView *v, const Tensor *data)
{
	Node *load = v->b;
	Body *b = v->sum->body;
	Index j = row_major(t, v->col, v->ncol), k = row_major(t, v->sum->axis, v->sum->naxis);
	Node *panel = quotient(t, N_IDIV, j, data->shape[2], load), *in = quotient(t, N_IMOD, j, data->shape[2], load);
	Node **at = &b->first;
	while (*at != load) at = &(*at)->next;
	*at = panel;
	panel->next = in;
	in->next = load;
	load->buf = panels_buf(t, load, data);
	load->index = NEW_ARRAY(t->p->m->arena, Index, 4);
	load->nindex = 3;
	load->index[0] = of_node(t, panel), load->index[1] = k, load->index[2] = of_node(t, in);
}

/* The template that reads panels in the place of this one, NULL: none. */
static const char *panels_template(const Weights *t, const Nest *s, const DotView *v)
{
	const DotTemplate *now = dot_template(s->how);
	bool packs = now->panels && !strcmp(now->panels, now->name);
	if (packs == t->shared || (now->bytes && !dim_is(v->m, 1))) return NULL;
	return now->panels;
}

static Dim room_of(const Weights *t, const DotView *v)
{
	DotView packed = {.m = v->m, .n = v->n, .k = v->k, .panels = true};
	return dot_room(t->c, t->f->func->facts, &packed);
}

/* Do the packed rows fit where the target has room for them? Small products needed none before. */
static bool fits_target(const Weights *t, const DotView *v)
{
	int64_t n, most = t->p->m->target->scratch;
	if (most == INT64_MAX) return true;
	return dim_upper(t->f->func->facts, room_of(t, v), &n) && n <= most / dtype_bytes(v->sum->dtype);
}

static void give_room(Weights *t, Nest *s, const DotView *v)
{
	Dim room = room_of(t, v);
	if (!s->room) {
		Buf *b = s->room = NEW(t->p->m->arena, Buf);
		b->space = BUF_ARENA;
		b->home = v->a->buf->home;
		b->first = INT32_MAX, b->last = -1;
		b->name = loop_name(t->p, t->f, "room");
		VEC_PUSH(t->p->m->arena, t->f->bufs, b);
	}
	s->room->type = type_get(t->p->m, v->sum->dtype, 1, &room);
}

static void pack_step(void *ctx, StepList *list, Step *step)
{
	Weights *t = ctx;
	DotView v;
	Panels p = {0};
	(void)list;
	if (step->kind != STEP_KERNEL) return;
	Nest *s = step->kernel->stages[0];
	if (!s->how || !dot_view(t->c, s, &v) || v.panels) return;
	const char *how = panels_template(t, s, &v);
	if (!how) return;
	const Node *b = v.b;
	if (b->buf->space != BUF_CONST || b->dtype != v.sum->dtype || v.ncol != s->cols || !access_start(b, &p.start)) return;
	for (int i = 0; i < v.nloop; i++)
		if (reads_axis(b, v.loop[i])) return;
	if (!dim_is_const(v.n, &p.n) || !dim_is_const(v.k, &p.k) || !dim_is_const(v.bn, &p.bn) || !dim_is_const(v.bk, &p.bk)) return;
	if (!fits_target(t, &v)) return;
	const Tensor *data = panels_of(t, b->buf->data, &p);
	if (!data) return;
	read_panels(t, &v, data);
	s->how = how;
	if (dot_template(how)->tiles) give_room(t, s, &v);
	else s->room = NULL;
	t->changed = true;
}

bool pass_weights(PassCtx *c)
{
	Weights t = {.p = c->program, .c = c->program->m->dims};
	for (int round = 0; round < 2; round++) {
		t.shared = round == 1;
		for (int i = 0; i < t.p->funcs.n; i++) {
			t.f = t.p->funcs.at[i];
			steps_walk(&t.f->steps, pack_step, &t);
		}
	}
	return t.changed;
}
