/* fuse: merges neighbouring kernels that share outer axes, so that a softmax, a norm or a layer with its activation becomes one nest.
 *
 * Two neighbours merge over their first p axes if these have the same extents and each buffer that one writes and the other touches is
 * accessed by both at exactly the row of the outer axes: then row by row in order is the same as one after the other. Values that no
 * other step touches become row buffers (BUF_ROW). Needs lowered loop IR, keeps the order of all sums. */
#include "../ir/target.h"
#include "loop_walk.h"
#include "merge.h"

enum { MAX_STAGES = 24 };

/* --- may two kernels merge over p axes? --------------------------------------------------------------------------------------------- */
static bool row_aligned(const Touch *t, int p)
{
	return !(t->kind & ACCESS_WHOLE) && index_aligned(t->index, t->nindex, t->stage->axis, p);
}

static bool may_merge(const Touches *a, const Touches *b, int p, bool *shared)
{
	for (int i = 0; i < a->at.n; i++)
		for (int k = 0; k < b->at.n; k++) {
			const Touch *x = &a->at.at[i], *y = &b->at.at[k];
			if (buf_root(x->buf) != buf_root(y->buf)) continue;
			bool aligned = x->buf == y->buf && row_aligned(x, p) && row_aligned(y, p);
			if (((x->kind | y->kind) & ACCESS_WRITE) && !aligned) return false;
			if (aligned) *shared = true;
		}
	return true;
}

/* Behind a sum of products that a template may compute only maps over all of its result's axes merge, before it nothing. */
static bool template_permits(const Kernel *a, const Kernel *b, int p)
{
	const Nest *s = a->stages[0];
	if (b->stages[0]->rows + b->stages[0]->cols) return false;
	if (s->rows + s->cols == 0) return true;
	if (p != s->naxis) return false;
	for (int i = 0; i < b->nstages; i++) {
		const Nest *m = b->stages[i];
		if (m->naxis != p || m->init) return false;
		for (const Node *n = m->body->first; n; n = n->next)
			if (n->naxis || n->kind == N_RAW || n->kind == N_IF) return false;
	}
	return true;
}

/* Why b runs by itself behind a, where the loops below have tried every number of shared axes: for the report. */
static const char *whole_or_row(Arena *a, const Touch *x, const Touch *y)
{
	const Touch *write = y->kind & ACCESS_WRITE ? y : x;
	bool earlier = write == x;
	const char *name = buf_root(write->buf)->name;
	if (earlier) return arena_printf(a, "it needs other rows of `%s` than the one just written", name);
	return arena_printf(a, "it writes `%s`, of which the kernel before still needs other rows", name);
}

static const char *conflict(Arena *a, const Touches *x, const Touches *y, int p)
{
	for (int i = 0; i < x->at.n; i++)
		for (int k = 0; k < y->at.n; k++) {
			const Touch *s = &x->at.at[i], *t = &y->at.at[k];
			if (buf_root(s->buf) != buf_root(t->buf) || !((s->kind | t->kind) & ACCESS_WRITE)) continue;
			if (s->buf != t->buf || !row_aligned(s, p) || !row_aligned(t, p)) return whole_or_row(a, s, t);
		}
	return NULL;
}

static bool touch_alike(const Touches *x, const Touches *y)
{
	for (int i = 0; i < x->at.n; i++)
		for (int k = 0; k < y->at.n; k++)
			if (buf_root(x->at.at[i].buf) == buf_root(y->at.at[k].buf)) return true;
	return false;
}

static const char *extents(Arena *a, const Axis *const *axis, int n)
{
	StrBuf b;
	sb_init(&b, a);
	for (int i = 0; i < n; i++) sb_printf(&b, "%s%s", i ? " x " : "", dim_str(a, axis[i]->extent));
	return n ? sb_text(&b) : "one";
}

static const char *why_apart(Arena *a, const Kernel *k, const Kernel *m, int common, const Touches *x, const Touches *y)
{
	const Nest *first = m->stages[0];
	if (first->rows + first->cols) return "a product begins a kernel";
	if (k->stages[0]->rows + k->stages[0]->cols && !template_permits(k, m, common))
		return "behind a product only element by element operations on all of its result join it";
	if (!common && (!k->nouter || !first->nkeep)) {
		const Nest *s = k->nouter ? first : k->stages[k->nstages - 1];
		const Node *n = s->body->first;
		return arena_printf(a, n && n->kind == N_RAW ? "`%s` is one library call for all rows" : "`%s` does not run row by row", s->what);
	}
	if (!common)
		return arena_printf(a, "it has %s rows, the kernel before %s", extents(a, first->axis, first->nkeep),
		                    extents(a, k->outer, k->nouter));
	const char *why = conflict(a, x, y, k->stages[0]->rows + k->stages[0]->cols ? common : 1);
	if (why) return why;
	if (k->nstages >= MAX_STAGES) return arena_printf(a, "the kernel before has %d stages, as many as one may have", MAX_STAGES);
	return touch_alike(x, y) ? "they have no row of memory in common" : "they have no memory in common";
}

static int common_axes(const Kernel *a, const Nest *s)
{
	int p = a->nouter < s->nkeep ? a->nouter : s->nkeep;
	for (int i = 0; i < p; i++)
		if (a->outer[i]->extent != s->axis[i]->extent) return i;
	return p;
}

/* --- merging ------------------------------------------------------------------------------------------------------------------------- */
typedef struct Rename {
	const Axis *from, *to;
} Rename;

static void rename_index(Index *x, int n, const Rename *r)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < x[i].n; k++)
			if (x[i].term[k].axis == r->from) x[i].term[k].axis = r->to;
}

static void rename_node(void *p, Node *n)
{
	const Rename *r = p;
	rename_index(n->index, n->nindex, r);
	for (int i = 0; i < n->naxis; i++)
		if (n->axis[i] == r->from) n->axis[i] = r->to;
}

static void share_axes(Nest *s, const Kernel *k, int p)
{
	for (int i = 0; i < p; i++) {
		Rename r = {s->axis[i], k->outer[i]};
		if (r.from == r.to) continue;
		body_walk(s->init, rename_node, &r);
		body_walk(s->body, rename_node, &r);
		for (int j = 0; j < s->naxis; j++)
			if (s->axis[j] == r.from) s->axis[j] = r.to;
		for (int j = 0; j < s->ninit; j++)
			if (s->init_axis[j] == r.from) s->init_axis[j] = r.to;
	}
}

static void merge(Arena *a, Kernel *k, Kernel *m, int p)
{
	for (int i = 0; i < m->nstages; i++) share_axes(m->stages[i], k, p);
	Nest **all = NEW_ARRAY(a, Nest *, k->nstages + m->nstages);
	int n = 0;
	for (int i = 0; i < k->nstages; i++) all[n++] = k->stages[i];
	for (int i = 0; i < m->nstages; i++) all[n++] = m->stages[i];
	for (int i = 0; i < m->notes.n; i++) note_add(a, &k->notes, m->notes.at[i].loc, "%s", m->notes.at[i].text);
	k->stages = all;
	k->nstages = n;
	k->nouter = p;
}

/* --- numbers between kernels -------------------------------------------------------------------------------------------------------- */
static bool is_number(const Step *s)
{
	if (s->kind != STEP_KERNEL) return false;
	for (int i = 0; i < s->kernel->nstages; i++)
		if (s->kernel->stages[i]->naxis || s->kernel->stages[i]->ninit) return false;
	return true;
}

/* May the two change places? */
static bool independent(Arena *a, const Kernel *k, const Kernel *m)
{
	Touches x = kernel_touches(a, k), y = kernel_touches(a, m);
	for (int i = 0; i < x.at.n; i++)
		for (int j = 0; j < y.at.n; j++)
			if (buf_root(x.at.at[i].buf) == buf_root(y.at.at[j].buf) && ((x.at.at[i].kind | y.at.at[j].kind) & ACCESS_WRITE)) return false;
	return true;
}

/* A kernel that computes a number goes before the kernels that it does not depend on: they become neighbours of what follows it. */
static void numbers_first(Arena *a, StepList *list)
{
	for (int i = 1; i < list->n; i++) {
		Step *s = list->at[i];
		if (!is_number(s)) continue;
		int k = i;
		while (k > 0 && list->at[k - 1]->kind == STEP_KERNEL && !is_number(list->at[k - 1]) &&
		       independent(a, list->at[k - 1]->kernel, s->kernel))
			list->at[k] = list->at[k - 1], k--;
		list->at[k] = s;
	}
}

/* --- maps that others stand between -------------------------------------------------------------------------------------------------- */
enum { LOOK_BACK = 96 };

static void see_loop(void *p, Node *n)
{
	if (n->naxis || n->kind == N_RAW) *(bool *)p = true;
}

/* Nothing but maps over the elements of its outer axes. */
static bool is_map(const Kernel *k)
{
	bool loops = false;
	for (int i = 0; i < k->nstages; i++) {
		const Nest *s = k->stages[i];
		loops |= s->init || s->naxis != k->nouter || s->rows + s->cols > 0;
		body_walk(s->body, see_loop, &loops);
	}
	return !loops && k->nouter > 0;
}

/* The update of a parameter's state, of the parameter itself, …: maps over the same elements that read what another wrote or read, with
 * those of other parameters in between. m goes to the nearest such kernel of list[0..n), past kernels that it has nothing to do with. */
static bool join_map(Arena *a, StepList *list, int n, Kernel *m)
{
	if (!is_map(m)) return false;
	Touches y = kernel_touches(a, m);
	for (int i = n - 1; i >= 0 && i >= n - LOOK_BACK && list->at[i]->kind == STEP_KERNEL; i--) {
		Kernel *k = list->at[i]->kernel;
		Touches x = kernel_touches(a, k);
		bool shared = false;
		if (is_map(k) && k->nouter == m->nouter && k->nstages < MAX_STAGES && common_axes(k, m->stages[0]) == m->nouter &&
		    may_merge(&x, &y, m->nouter, &shared) && shared) {
			if (i < n - 1)
				note_add(a, &k->notes, m->loc, "`%s` joined past the %d between: it reads or writes the same elements", m->stages[0]->what,
				         n - 1 - i);
			merge(a, k, m, m->nouter);
			return true;
		}
		if (!independent(a, k, m)) return false;
	}
	return false;
}

/* Why the kernel m, of the original order, does not go on in the step before it. */
static void note_apart(Arena *a, const Step *before, Kernel *m)
{
	static const char *const word[STEP_COUNT] = {
#define STEP(kind, word, text, doc) [STEP_##kind] = #word,
#include "loop.def"
	};
	if (before->kind != STEP_KERNEL) {
		note_add(a, &m->notes, m->loc, "begins a kernel: the step before it is `%s`", word[before->kind]);
		return;
	}
	const Kernel *k = before->kernel;
	Touches x = kernel_touches(a, k), y = kernel_touches(a, m);
	note_add(a, &m->notes, m->loc, "not fused with the kernel before (`%s`): %s", k->stages[k->nstages - 1]->what,
	         why_apart(a, k, m, common_axes(k, m->stages[0]), &x, &y));
}

static bool fuse_list(Arena *a, StepList *list)
{
	bool changed = false;
	int n = 0;
	numbers_first(a, list);
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		changed |= fuse_list(a, &s->head) | fuse_list(a, &s->body) | fuse_list(a, &s->other);
		if (s->kind == STEP_KERNEL && !s->kernel->nouter) {
			Nest *st = s->kernel->stages[0];
			s->kernel->nouter = st->nkeep;
			for (int k = 0; k < st->nkeep; k++) s->kernel->outer[k] = st->axis[k];
		}
		if (n && s->kind == STEP_KERNEL && list->at[n - 1]->kind == STEP_KERNEL) {
			Kernel *k = list->at[n - 1]->kernel;
			Touches x = kernel_touches(a, k), y = kernel_touches(a, s->kernel);
			int p = common_axes(k, s->kernel->stages[0]);
			bool shared = false;
			while (p > 0 && (!template_permits(k, s->kernel, p) || !may_merge(&x, &y, p, &shared))) p--, shared = false;
			if (p > 0 && shared && k->nstages < MAX_STAGES) {
				merge(a, k, s->kernel, p);
				changed = true;
				continue;
			}
		}
		if (s->kind == STEP_KERNEL && join_map(a, list, n, s->kernel)) {
			changed = true;
			continue;
		}
		if (n && s->kind == STEP_KERNEL) note_apart(a, list->at[n - 1], s->kernel);
		list->at[n++] = s;
	}
	list->n = n;
	return changed;
}

/* --- row buffers --------------------------------------------------------------------------------------------------------------------- */
typedef struct Owner {
	Kernel *kernel;
	bool other;      /* must stay whole: another kernel, a step, a row out of line */
	bool read, held; /* by a kernel; by a step or as the memory of another buffer */
} Owner;
typedef struct Owners {
	Arena *a;
	Map of;
	Kernel *now;
} Owners;

static Owner *owner_of(Owners *o, Buf *b)
{
	Owner *w = map_get(&o->of, b);
	if (!w) {
		w = NEW(o->a, Owner);
		map_set(&o->of, b, w);
	}
	return w;
}

static void other_use(Owners *o, Buf *b)
{
	for (; b; b = b->space == BUF_ALIAS ? b->base : NULL) owner_of(o, b)->other = owner_of(o, b)->held = true;
}

static void note_access(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Owners *o = p;
	Owner *w = owner_of(o, b);
	bool aligned = !(kind & ACCESS_WHOLE) && index_aligned(index, nindex, o->now->outer, o->now->nouter);
	if (b->space == BUF_ALIAS || (w->kernel && w->kernel != o->now) || !aligned || o->now->nstages < 2) {
		bool held = w->held;
		other_use(o, b);
		if (b->space != BUF_ALIAS) w->held = held;
	}
	w->kernel = o->now;
	w->read |= (kind & ACCESS_READ) != 0;
	(void)s;
}

static void note_step(void *p, StepList *list, Step *s)
{
	Owners *o = p;
	(void)list;
	if (s->kind == STEP_KERNEL) {
		o->now = s->kernel;
		for (int i = 0; i < s->kernel->nstages; i++) stage_accesses(s->kernel->stages[i], note_access, o);
	}
	other_use(o, s->limit), other_use(o, s->cond), other_use(o, s->dst), other_use(o, s->src), other_use(o, s->scratch),
	    other_use(o, s->counter);
	for (int i = 0; i < s->nargs; i++) other_use(o, s->args[i]);
	for (int i = 0; i < s->nresults; i++) other_use(o, s->results[i]);
	for (int i = 0; i < s->nvalues; i++) other_use(o, s->values[i]);
}

static int64_t row_bytes(Module *m, const Buf *b, int drop)
{
	Dim n = dim_int(m->dims, 1);
	for (int i = drop; i < b->type->rank; i++) n = dim_mul(m->dims, n, b->type->dim[i]);
	int64_t c;
	return dim_is_const(n, &c) ? c * dtype_bytes(b->type->dtype) : INT64_MAX;
}

static void make_rows(Module *m, LoopFunc *f)
{
	Owners o = {m->arena, {0}, NULL};
	map_init(&o.of, m->arena);
	steps_walk(&f->steps, note_step, &o);
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.at[i]->space == BUF_ALIAS) other_use(&o, f->bufs.at[i]->base);
	Kernel *last = NULL;
	int64_t stack = 0;
	for (int i = 0; i < f->bufs.n; i++) {
		Buf *b = f->bufs.at[i];
		Owner *w = map_get(&o.of, b);
		if (b->space != BUF_ARENA || !w || w->other || !w->kernel || b->type->rank < w->kernel->nouter) continue;
		b->space = BUF_ROW;
		b->drop = w->kernel->nouter;
		int64_t bytes = row_bytes(m, b, b->drop);
		if (w->kernel != last) stack = 0, last = w->kernel;
		b->in_arena = bytes > m->target->row_stack || stack + bytes > m->target->kernel_stack;
		if (!b->in_arena) stack += bytes;
		else if (bytes == INT64_MAX)
			note_add(m->arena, &w->kernel->notes, w->kernel->loc, "row `%s` is in the arena: its size is not a number", b->name);
		else
			note_add(m->arena, &w->kernel->notes, w->kernel->loc, "row `%s` is in the arena: of its %lld bytes the stack has room for %lld",
			         b->name, (long long)bytes,
			         (long long)(m->target->kernel_stack - stack < m->target->row_stack ? m->target->kernel_stack - stack
			                                                                            : m->target->row_stack));
	}
}

/* --- stores that nobody reads any more: the value went on in its loop ---------------------------------------------------------------- */
static bool is_dead(const Owners *o, const Node *n)
{
	const Owner *w = n->kind == N_STORE ? map_get(&o->of, n->buf) : NULL;
	return w && !n->mode && !w->read && !w->held && (n->buf->space == BUF_ARENA || n->buf->space == BUF_ROW);
}

static void drop_in(const Owners *o, Body *b)
{
	for (Node *n = b ? b->first : NULL, *last = NULL; n; n = n->next) {
		drop_in(o, n->body), drop_in(o, n->other);
		if (!is_dead(o, n)) {
			last = n;
			continue;
		}
		n->buf->writes--;
		if (last) last->next = n->next;
		else b->first = n->next;
		if (b->last == n) b->last = last;
	}
}

static void merge_step(void *p, StepList *list, Step *s)
{
	Owners *o = p;
	(void)list;
	if (s->kind == STEP_KERNEL && merge_stages(o->a, s->kernel)) o->now = s->kernel;
}

static void drop_step(void *p, StepList *list, Step *s)
{
	(void)list;
	for (int i = 0; s->kind == STEP_KERNEL && s->kernel->nstages && i < s->kernel->nstages; i++) drop_in(p, s->kernel->stages[i]->body);
}

/* Stages of a kernel in one loop; what only they handed on is not stored. */
static bool merge_loops(Arena *a, LoopFunc *f)
{
	Owners o = {a, {0}, NULL};
	map_init(&o.of, a);
	steps_walk(&f->steps, merge_step, &o);
	if (!o.now) return false;
	Owners of = {a, {0}, NULL};
	map_init(&of.of, a);
	steps_walk(&f->steps, note_step, &of);
	for (int i = 0; i < f->bufs.n; i++)
		if (f->bufs.at[i]->space == BUF_ALIAS) other_use(&of, f->bufs.at[i]->base);
	steps_walk(&f->steps, drop_step, &of);
	return true;
}

bool fuse_program(Program *p)
{
	bool changed = false;
	for (int i = 0; i < p->funcs.n; i++) {
		changed |= fuse_list(p->m->arena, &p->funcs.at[i]->steps);
		changed |= merge_loops(p->m->arena, p->funcs.at[i]);
		make_rows(p->m, p->funcs.at[i]);
	}
	return changed;
}
