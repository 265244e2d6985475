/* templates: which kernel template computes each sum of products that is marked as worth one (Nest.rows, Nest.cols). The table below is
 * tried in order. What follows in the kernel, maps over exactly the result's axes, becomes one nest behind the stage: it runs tile by tile
 * while the tile is in the first-level cache, so that a result which only the kernel reads needs no memory: it goes where the last of the
 * maps writes, or lives in one tile. Needs fused loop IR; keeps the order of all sums. */
#include <string.h>
#include "../ir/dot.h"
#include "../ir/target.h"
#include "dot_view.h"
#include "passes.h"

typedef struct Choice {
	Program *p;
	LoopFunc *f;
	DimCtx *c;
	Kernel *k;
	Nest *s;
	DotView v;
} Choice;

/* --- what each template takes ----------------------------------------------------------------------------------------------------------
 */
/* Each test says why it refuses, NULL: it takes the product. */
static bool is_vector(const Choice *t)
{
	return dim_is(t->v.m, 1) || dim_is(t->v.n, 1);
}

static const char NO_VECTOR[] = "neither side is a vector", LANES[] = "64 partial sums", NO_LANES[] = "sums in order",
                  FAR[] = "results are not next to each other";

static const char *not_gemv_rows(const Choice *t)
{
	const DotView *v = &t->v;
	bool row = dim_is(v->m, 1);
	if (!is_vector(t)) return NO_VECTOR;
	if (v->sum->lanes != 64) return NO_LANES;
	if (!dim_is(v->ak, 1) || !dim_is(v->bk, 1)) return "operands are not contiguous along the sum";
	return v->store->buf->space == BUF_ROW || dim_is(row ? v->cn : v->cm, 1) || dim_is(row ? v->n : v->m, 1) ? NULL : FAR;
}

static const char *not_gemv_columns(const Choice *t)
{
	const DotView *v = &t->v;
	bool row = dim_is(v->m, 1);
	if (!is_vector(t)) return NO_VECTOR;
	if (v->sum->lanes) return LANES;
	if (!dim_is(row ? v->bn : v->am, 1)) return "columns of the matrix are not next to each other";
	return v->store->buf->space == BUF_ROW || dim_is(row ? v->cn : v->cm, 1) ? NULL : FAR;
}

static const char *sizes(const Choice *t)
{
	Arena *a = t->p->m->arena;
	return arena_printf(a, "%s x %s x %s", dim_str(a, t->v.m), dim_str(a, t->v.k), dim_str(a, t->v.n));
}

/* What both uses of gemm_small ask of sizes and layout. */
static const char *not_unpacked_shape(const Choice *t, int64_t n, int64_t k)
{
	const DotView *v = &t->v;
	if (k > DOT_BLOCK) return arena_printf(t->p->m->arena, "sums of more than %d products", DOT_BLOCK);
	if (n < 16) return "fewer than 16 columns";
	if (!dim_is(v->bn, 1)) return "columns of the right matrix are not next to each other";
	return v->store->buf->space == BUF_ROW || dim_is(v->cn, 1) ? NULL : FAR;
}

static const char *not_small(const Choice *t)
{
	int64_t m, n, k;
	const DotView *v = &t->v;
	if (v->sum->lanes) return LANES;
	if (!dim_is_const(v->m, &m) || !dim_is_const(v->n, &n) || !dim_is_const(v->k, &k))
		return arena_printf(t->p->m->arena, "%s: a size is not a number", sizes(t));
	const char *shape = not_unpacked_shape(t, n, k);
	if (shape) return shape;
	return m <= 128 && n <= 128 && m * n * k <= 80 * 80 * 80 ? NULL : arena_printf(t->p->m->arena, "%s is too large", sizes(t));
}

static Dim gemm_room(const Choice *t);

/* Do the packed operands fit where the target has room for them? */
static bool may_pack(const Choice *t)
{
	int64_t n, most = t->p->m->target->scratch;
	if (most == INT64_MAX) return true;
	return dim_upper(t->f->func->facts, gemm_room(t), &n) && n <= most / dtype_bytes(t->v.sum->dtype);
}

static const char *not_gemm(const Choice *t)
{
	if (t->v.sum->lanes) return LANES;
	if (!may_pack(t)) return "the target has no room for packed operands";
	return t->v.store->buf->space == BUF_ROW || dim_is(t->v.cn, 1) || dim_is(t->v.n, 1) ? NULL : FAR;
}

/* Products whose operands the target has no room to pack. */
static const char *not_unpacked(const Choice *t)
{
	int64_t n, k;
	const DotView *v = &t->v;
	if (v->sum->lanes) return LANES;
	if (may_pack(t)) return "operands can be packed";
	if (!dim_is_const(v->n, &n) || !dim_is_const(v->k, &k)) return arena_printf(t->p->m->arena, "%s: a size is not a number", sizes(t));
	return not_unpacked_shape(t, n, k);
}

/* --- memory: elements of the sum's dtype ------------------------------------------------------------------------------------------------
 */
static Dim no_room(const Choice *t)
{
	return NULL;
}

static Dim gemv_room(const Choice *t)
{
	return t->v.sum->block ? dim_is(t->v.m, 1) ? t->v.n : t->v.m : NULL;
}

static Dim gemm_room(const Choice *t)
{
	return dot_room(t->c, t->f->func->facts, &t->v);
}

/* In the order in which they are tried. */
static const struct Row {
	const char *name; /* of dot_templates.def */
	const char *(*refuses)(const Choice *t);
	Dim (*room)(const Choice *t);
} rows[] = {
    {"gemv_rows", not_gemv_rows, no_room}, {"gemv_columns", not_gemv_columns, gemv_room}, {"gemm_small", not_small, no_room},
    {"gemm", not_gemm, gemm_room},         {"gemm_small", not_unpacked, no_room},
};

static Buf *new_buf(Choice *t, BufSpace space, const Type *type, const char *hint)
{
	Buf *b = NEW(t->p->m->arena, Buf);
	b->space = space;
	b->type = type;
	b->home = t->v.a->buf->home;
	b->first = INT32_MAX;
	b->last = -1;
	b->name = loop_name(t->p, t->f, hint);
	VEC_PUSH(t->p->m->arena, t->f->bufs, b);
	return b;
}

/* --- the nest behind the sum -------------------------------------------------------------------------------------------------------------
 */
typedef struct Subst {
	const Node *from;
	Node *to;
} Subst;

static void replace_use(void *p, Node *n)
{
	Subst *s = p;
	for (int i = 0; i < n->narg; i++)
		if (n->arg[i] == s->from) n->arg[i] = s->to;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].node == s->from) n->index[i].term[k].node = s->to;
	for (int r = 0; r < 2; r++) {
		Body *b = r ? n->other : n->body;
		if (b && b->result == s->from) b->result = s->to;
		if (b && b->result2 == s->from) b->result2 = s->to;
	}
}

static void append(Body *to, Node *first)
{
	if (to->last) to->last->next = first;
	else to->first = first;
	for (Node *n = first; n; n = n->next) to->last = n;
}

static void unlink_node(Body *b, Node *gone)
{
	Node **at = &b->first;
	b->last = NULL;
	while (*at) {
		if (*at == gone) *at = gone->next;
		else b->last = *at, at = &(*at)->next;
	}
}

typedef struct Forward {
	Body *top;
	const Buf *buf;
	Node *value;
	Node *dead;
} Forward;

static void forward_load(void *p, Node *n)
{
	Forward *f = p;
	if (n->kind != N_LOAD || n->buf != f->buf) return;
	Subst s = {n, f->value};
	body_walk(f->top, replace_use, &s);
	f->dead = n;
}

static bool drop_load(Body *b, const Buf *buf)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		if (n->kind == N_LOAD && n->buf == buf) return unlink_node(b, n), true;
		if (drop_load(n->body, buf) || drop_load(n->other, buf)) return true;
	}
	return false;
}

/* Scalars that pass a value from one map to the next become that value. */
static void forward_scalars(Body *b)
{
	for (Node *n = b->first, *next; n; n = next) {
		next = n->next;
		if (n->kind != N_STORE || n->buf->space != BUF_ROW) continue;
		Forward f = {b, n->buf, n->arg[0], NULL};
		body_walk(b, forward_load, &f);
		while (drop_load(b, n->buf)) {}
		next = n->next;
		unlink_node(b, n);
	}
}

static bool index_identity(const Node *n, const Nest *s)
{
	if (n->nindex != s->naxis || !index_aligned(n->index, n->nindex, s->axis, s->naxis)) return false;
	for (int i = 0; i < s->naxis; i++)
		if (n->buf->type->dim[i] != s->axis[i]->extent) return false;
	return true;
}

typedef struct Look {
	const Buf *y;
	bool touched;
} Look;

static void look_node(void *p, Node *n)
{
	Look *l = p;
	if ((n->kind == N_LOAD || n->kind == N_STORE) && buf_root(n->buf) == buf_root((Buf *)l->y)) l->touched = true;
}

/* The last store of the maps, where the sums can go instead of memory of their own: it writes the element itself, of the same dtype, and
 * nothing else in the kernel touches that memory. */
static Node *final_store(const Choice *t, Body *b)
{
	Node *y = b->last;
	if (!y || y->kind != N_STORE || y->mode || y->buf->type->dtype != t->v.sum->dtype || !index_identity(y, t->s)) return NULL;
	Look l = {y->buf, false};
	for (Node *n = b->first; n && n != y; n = n->next) {
		look_node(&l, n);
		body_walk(n->body, look_node, &l), body_walk(n->other, look_node, &l);
	}
	body_walk(t->s->body, look_node, &l);
	return l.touched ? NULL : y;
}

static Node *new_node(Choice *t, NodeKind k, const Node *like, Buf *buf)
{
	Node *n = NEW(t->p->m->arena, Node);
	n->kind = k;
	n->dtype = buf->type->dtype;
	n->buf = buf;
	n->loc = like->loc;
	n->nindex = t->s->naxis;
	n->index = NEW_ARRAY(t->p->m->arena, Index, n->nindex + 1);
	for (int i = 0; i < n->nindex; i++) {
		Term *x = NEW(t->p->m->arena, Term);
		*x = (Term){t->s->axis[i], NULL, dim_int(t->c, 1)};
		n->index[i] = (Index){x, 1, dim_int(t->c, 0)};
	}
	return n;
}

/* One nest of what follows the sum in its body and in the other stages; the sum itself is stored to memory, or to a tile. */
static void make_behind(Choice *t, bool tiles)
{
	Arena *a = t->p->m->arena;
	Nest *s = t->s, *behind = NEW(a, Nest);
	bool direct = t->v.store->buf->space != BUF_ROW && t->v.store->arg[0] == t->v.sum;
	*behind = *t->k->stages[t->k->nstages - 1];
	behind->rows = behind->cols = 0;
	behind->body = NEW(a, Body);
	behind->nkeep = s->naxis;
	for (int i = 0; i < s->naxis; i++) behind->axis[i] = s->axis[i];
	behind->naxis = s->naxis;
	if (!direct) append(behind->body, t->v.sum->next);
	for (int i = 1; i < t->k->nstages; i++) append(behind->body, t->k->stages[i]->body->first);
	for (Node *n = behind->body->first; n; n = n->next) {
		if (n->body) n->body->parent = behind->body;
		if (n->other) n->other->parent = behind->body;
	}
	forward_scalars(behind->body);
	if (!behind->body->first) { /* the result and nothing else */
		t->k->nstages = 1;
		return;
	}
	if (!direct) {
		t->v.sum->next = NULL;
		s->body->last = t->v.sum;
		Node *y = final_store(t, behind->body);
		Dim extent[MAX_RANK], k = t->v.k;
		int64_t n;
		for (int i = 0; i < s->naxis; i++) extent[i] = s->axis[i]->extent;
		bool one_block = dim_is_const(k, &n) && n <= DOT_BLOCK;
		Buf *at = y ? y->buf
		            : new_buf(t, tiles && one_block ? BUF_TILE : BUF_ARENA, type_get(t->p->m, t->v.sum->dtype, s->naxis, extent), "sums");
		Node *store = new_node(t, N_STORE, t->v.sum, at), *load = new_node(t, N_LOAD, t->v.sum, at);
		store->arg[store->narg++] = t->v.sum;
		append(s->body, store);
		s->out = at;
		Subst sub = {t->v.sum, load};
		for (Node *m = behind->body->first; m; m = m->next) replace_use(&sub, m);
		body_walk(behind->body, replace_use, &sub);
		load->next = behind->body->first;
		behind->body->first = load;
		if (!behind->body->last) behind->body->last = load;
	}
	Nest **both = NEW_ARRAY(a, Nest *, 2);
	both[0] = s, both[1] = behind;
	t->k->stages = both;
	t->k->nstages = t->k->cap = 2;
}

/* "gemm, not gemv_rows or gemv_columns (neither side is a vector), not gemm_small (…)": chosen is the number of a row; -1: none. */
static void note_choice(Choice *t, int chosen, const char *const *why, int n)
{
	StrBuf b;
	sb_init(&b, t->p->m->arena);
	sb_printf(&b, "`%s` is %s", t->s->what, chosen < 0 ? "plain loops" : rows[chosen].name);
	for (int i = 0; i < n; i++) {
		bool same = i && !strcmp(why[i], why[i - 1]), more = i + 1 < n && !strcmp(why[i], why[i + 1]);
		sb_printf(&b, "%s%s", same ? " or " : ", not ", rows[i].name);
		if (!more) sb_printf(&b, " (%s)", why[i]);
	}
	note_add(t->p->m->arena, &t->k->notes, t->s->loc, "%s", sb_text(&b));
}

/* The stages behind the first, which are about to become one nest. */
static void note_behind(Choice *t, bool tiles)
{
	StrBuf b;
	if (t->k->nstages < 2) return;
	sb_init(&b, t->p->m->arena);
	for (int i = 1; i < t->k->nstages; i++) sb_printf(&b, "%s`%s`", i > 1 ? ", " : "", t->k->stages[i]->what);
	note_add(t->p->m->arena, &t->k->notes, t->k->stages[1]->loc, "%s: on %s of the product", sb_text(&b),
	         tiles ? "each tile" : "the result");
}

static bool choose(Choice *t)
{
	const char *why[sizeof rows / sizeof *rows];
	int n = sizeof rows / sizeof *rows;
	for (int i = 0; i < n; i++) {
		if ((why[i] = rows[i].refuses(t)) != NULL) continue;
		note_choice(t, i, why, i);
		note_behind(t, dot_template(rows[i].name)->tiles);
		t->s->how = rows[i].name;
		Dim room = rows[i].room(t);
		if (room) t->s->room = new_buf(t, BUF_ARENA, type_get(t->p->m, t->v.sum->dtype, 1, &room), "room");
		make_behind(t, dot_template(rows[i].name)->tiles);
		t->k->nouter = 0;
		return true;
	}
	note_choice(t, -1, why, n - 1);
	return false;
}

typedef struct Templates {
	Program *p;
	LoopFunc *f;
	bool changed;
} Templates;

static void choose_step(void *ctx, StepList *list, Step *s)
{
	Templates *all = ctx;
	Kernel *k = s->kernel;
	(void)list;
	if (s->kind != STEP_KERNEL) return;
	Nest *first = k->stages[0];
	if (first->rows + first->cols == 0) return;
	Choice t = {.p = all->p, .f = all->f, .c = all->p->m->dims, .k = k, .s = first};
	bool alone = true;
	for (int i = 1; i < k->nstages; i++) alone &= k->stages[i]->naxis == first->naxis;
	bool viewed = alone && dot_view(t.c, first, &t.v);
	if (!viewed)
		note_add(all->p->m->arena, &k->notes, first->loc, "`%s` is plain loops: %s", first->what,
		         alone ? "its operands are not read with a step for each axis" : "what joined it has other axes");
	if (viewed && choose(&t)) all->changed = true;
	else first->rows = first->cols = 0;
}

bool pass_templates(PassCtx *c)
{
	Templates t = {.p = c->program};
	for (int i = 0; i < t.p->funcs.n; i++) {
		t.f = t.p->funcs.at[i];
		steps_walk(&t.f->steps, choose_step, &t);
	}
	return t.changed;
}
