/* Stages of a kernel that run over the same elements share one loop: a map that feeds a map or a sum over its axes is computed where its
 * value is wanted, so that a row is passed over once instead of twice (softmax: the exponentials are stored and summed at once). Called by
 * fuse. The order of sums stays: a sum's loop takes the map's nodes in front of its own. */
#include "loop_walk.h"
#include "merge.h"

static void note_loops(void *p, Node *n)
{
	if (n->naxis || n->kind == N_RAW) *(bool *)p = true;
}

static bool is_straight(Body *b)
{
	bool loops = false;
	body_walk(b, note_loops, &loops);
	return !loops;
}

/* --- taking over nodes --------------------------------------------------------------------------------------------------------------- */
typedef struct Change {
	const Axis *from[MAX_RANK], *to[MAX_RANK];
	int n;
	const Node *old; /* a node and what stands for it */
	Node *by;
	Body *inside, *into; /* bodies inside this one are now inside that one */
} Change;

static void change_node(void *p, Node *n)
{
	const Change *c = p;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++) {
			Term *t = &n->index[i].term[k];
			for (int j = 0; j < c->n; j++)
				if (t->axis && t->axis == c->from[j]) {
					t->axis = c->to[j];
					break;
				}
			if (t->node && t->node == c->old) t->node = c->by;
		}
	for (int i = 0; i < n->narg; i++)
		if (n->arg[i] == c->old) n->arg[i] = c->by;
	Body *arm[] = {n->body, n->other};
	for (int i = 0; i < 2; i++) {
		if (!arm[i]) continue;
		if (arm[i]->parent == c->inside && c->inside) arm[i]->parent = c->into;
		if (arm[i]->result && arm[i]->result == c->old) arm[i]->result = c->by;
		if (arm[i]->result2 && arm[i]->result2 == c->old) arm[i]->result2 = c->by;
	}
}

static void replace(Body *root, const Node *old, Node *by)
{
	Change c = {.old = old, .by = by};
	body_walk(root, change_node, &c);
	if (root->result == old) root->result = by;
	if (root->result2 == old) root->result2 = by;
}

/* Loads of b in body (its own nodes and those inside) are x. */
static void forward(Body *root, Body *body, const Buf *b, Node *x)
{
	for (Node *n = body->first, *last = NULL; n; n = n->next) {
		if (n->body) forward(root, n->body, b, x);
		if (n->other) forward(root, n->other, b, x);
		if (n->kind == N_LOAD && n->buf == b && n != x) {
			n->buf->reads--;
			replace(root, n, x);
			if (last) last->next = n->next;
			else body->first = n->next;
			if (body->last == n) body->last = last;
			continue;
		}
		last = n;
	}
}

/* The nodes of from go in front of those of to. */
static void prepend(Body *to, Body *from)
{
	if (!from->last) return;
	from->last->next = to->first;
	to->first = from->first;
	if (!to->last) to->last = from->last;
}

/* --- which stages -------------------------------------------------------------------------------------------------------------------- */
/* The loop of s behind the kernel's outer axes: its own axes, or those of the only reduction of its body. */
typedef struct Inner {
	const Axis *const *axis;
	int n;
	Body *body;
	Node *reduce;
} Inner;

static bool inner_loop(Nest *s, int outer, Inner *out)
{
	if (s->init || s->naxis < outer) return false;
	if (s->naxis > outer || is_straight(s->body)) {
		*out = (Inner){s->axis + outer, s->naxis - outer, s->body, NULL};
		return is_straight(s->body);
	}
	*out = (Inner){NULL, 0, NULL, NULL};
	for (Node *n = s->body->first; n; n = n->next) {
		if (!n->naxis && !n->body && n->kind != N_RAW) continue;
		if (n->kind != N_REDUCE || out->reduce) return false;
		*out = (Inner){n->axis, n->naxis, n->body, n};
	}
	return out->reduce && is_straight(out->body);
}

static bool same_axes(const Inner *a, const Inner *b)
{
	if (a->n != b->n) return false;
	for (int i = 0; i < a->n; i++)
		if (a->axis[i]->extent != b->axis[i]->extent) return false;
	return true;
}

/* index is the element that the loops over outer and inner axes stand at. */
static bool is_here(const Touch *t, const Axis *const *outer, int nouter, const Inner *in)
{
	const Axis *all[2 * MAX_RANK];
	for (int i = 0; i < nouter; i++) all[i] = outer[i];
	for (int i = 0; i < in->n; i++) all[nouter + i] = in->axis[i];
	return !(t->kind & ACCESS_WHOLE) && t->nindex == nouter + in->n && index_aligned(t->index, t->nindex, all, nouter + in->n);
}

static bool may_share(Arena *a, Kernel *k, Nest *x, Nest *y, const Inner *ix, const Inner *iy)
{
	Touches tx = {a, {0}}, ty = {a, {0}};
	stage_touches(x, &tx);
	stage_touches(y, &ty);
	bool fed = !ix->n && !iy->n && !iy->reduce; /* maps that run element by element as it is */
	for (int i = 0; i < tx.at.n; i++)
		for (int j = 0; j < ty.at.n; j++) {
			const Touch *p = &tx.at.at[i], *q = &ty.at.at[j];
			if (buf_root(p->buf) != buf_root(q->buf) || !((p->kind | q->kind) & ACCESS_WRITE)) continue;
			if (p->buf != q->buf || !is_here(p, k->outer, k->nouter, ix) || !is_here(q, k->outer, k->nouter, iy)) return false;
			fed |= (p->kind & ACCESS_WRITE) && q->kind == ACCESS_READ;
		}
	return fed;
}

static bool share_loop(Arena *a, Kernel *k, Nest *x, Nest *y)
{
	Inner ix, iy;
	if (!inner_loop(x, k->nouter, &ix) || !inner_loop(y, k->nouter, &iy) || ix.reduce || !same_axes(&ix, &iy)) return false;
	if (!may_share(a, k, x, y, &ix, &iy)) return false;
	Change c = {.n = ix.n, .inside = x->body, .into = iy.body};
	for (int i = 0; i < ix.n; i++) c.from[i] = ix.axis[i], c.to[i] = iy.axis[i];
	body_walk(x->body, change_node, &c);
	for (Node *n = x->body->first; n; n = n == x->body->last ? NULL : n->next)
		if (n->kind == N_STORE && !n->mode) forward(y->body, iy.body, n->buf, n->arg[0]);
	prepend(iy.body, x->body);
	return true;
}

bool merge_stages(Arena *a, Kernel *k)
{
	bool changed = false;
	int n = 0;
	for (int i = 0; i < k->nstages; i++) {
		if (n && share_loop(a, k, k->stages[n - 1], k->stages[i])) {
			note_add(a, &k->notes, k->stages[n - 1]->loc, "`%s` runs in the loop of `%s`", k->stages[n - 1]->what, k->stages[i]->what);
			k->stages[n - 1] = k->stages[i];
			changed = true;
		} else {
			k->stages[n++] = k->stages[i];
		}
	}
	k->nstages = n;
	return changed;
}
