/* plan: gives every arena buffer an offset. Steps are numbered in order of execution; a buffer lives from its first to its last access,
 * over the whole of a run-time loop that it is carried through. Buffers with disjoint lives share a slot when one is shown to be no larger.
 * Offsets and the total are polynomials in the dimensions. Needs fused loop IR; changes nothing but offsets. */
#include <stdlib.h>
#include "loop_walk.h"

typedef struct Planner {
	LoopFunc *f;
	DimCtx *c;
	int now;
	const Step *loop[64];
	int nloops;
} Planner;

/* b is accessed at step s. Outside its home loop the access counts for the whole of the outermost loop in between. */
static void touch(Planner *p, Buf *b)
{
	if (!b) return;
	int from = p->now, to = p->now;
	Buf *r = buf_root(b);
	for (int i = p->nloops - 1; i >= 0 && p->loop[i] != r->home; i--) {
		from = p->loop[i]->number;
		to = p->loop[i]->end;
	}
	if (from < r->first) r->first = from;
	if (to > r->last) r->last = to;
}

static void touch_access(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	(void)s, (void)index, (void)nindex, (void)kind;
	touch(ctx, b);
}

static void number_steps(StepList *list, int *next)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		s->number = (*next)++;
		number_steps(&s->head, next);
		number_steps(&s->body, next);
		number_steps(&s->other, next);
		s->end = (*next)++;
	}
}

static void live_list(Planner *p, StepList *list)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		p->now = s->number;
		if (s->kind == STEP_KERNEL)
			for (int k = 0; k < s->kernel->nstages; k++) stage_accesses(s->kernel->stages[k], touch_access, p);
		touch(p, s->limit), touch(p, s->dst), touch(p, s->src), touch(p, s->scratch);
		if (s->kind == STEP_COND) touch(p, s->cond);
		for (int k = 0; k < s->nargs; k++) touch(p, s->args[k]);
		for (int k = 0; k < s->nresults; k++) touch(p, s->results[k]);
		for (int k = 0; k < s->nvalues; k++) touch(p, s->values[k]);
		if (s->kind == STEP_LOOP && p->nloops < 64) p->loop[p->nloops++] = s;
		live_list(p, &s->head);
		if (s->kind == STEP_LOOP) touch(p, s->cond);
		live_list(p, &s->body);
		live_list(p, &s->other);
		if (s->kind == STEP_LOOP) p->nloops--;
	}
}

/* Bytes, rounded up to 64. */
Dim plan_bytes(DimCtx *c, const DimFacts *f, const Buf *b)
{
	Dim n = dim_int(c, dtype_bytes(b->type->dtype));
	for (int i = b->space == BUF_ROW ? b->drop : 0; i < b->type->rank; i++) n = dim_mul(c, n, b->type->dim[i]);
	return dim_scale(c, dim_floordiv(c, f, dim_add(c, n, dim_int(c, 63)), dim_int(c, 64)), 64, 1);
}

typedef struct SliceCount {
	int n; /* pieces of the kernel */
} SliceCount;

static void give_slices(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	int n = ((SliceCount *)ctx)->n;
	(void)s, (void)index, (void)nindex;
	if ((kind & ACCESS_SCRATCH || (b->space == BUF_ROW && b->in_arena)) && n > b->slices) b->slices = n;
}

/* A row buffer in the arena, and the work memory of a template or a library call, has a slice for each piece of its kernel that may run at
 * the same time. */
static void count_slices(void *ctx, StepList *list, Step *s)
{
	(void)list;
	if (s->kind != STEP_KERNEL) return;
	const Axis *x = kernel_shared_axis(ctx, s->kernel);
	SliceCount c = {x ? x->pieces : 1};
	for (int i = 0; i < s->kernel->nstages; i++) stage_accesses(s->kernel->stages[i], give_slices, &c);
}

typedef struct Slot {
	Dim size;
	int free_after;
	VEC(Buf *) bufs;
} Slot;
typedef VEC(Slot) Slots;

/* The free slot that fits best: equal, else shown to be larger, else one that is shown to be smaller and grows. */
static Slot *find_slot(DimCtx *c, const DimFacts *f, Slots *slots, Dim size, int first)
{
	Slot *larger = NULL, *smaller = NULL;
	for (int i = 0; i < slots->n; i++) {
		Slot *s = &slots->at[i];
		if (s->free_after >= first) continue;
		if (s->size == size) return s;
		if (dim_provable_nonneg(f, dim_sub(c, s->size, size))) {
			if (!larger || dim_provable_nonneg(f, dim_sub(c, larger->size, s->size))) larger = s;
		} else if (dim_provable_nonneg(f, dim_sub(c, size, s->size))) {
			if (!smaller || dim_provable_nonneg(f, dim_sub(c, s->size, smaller->size))) smaller = s;
		}
	}
	if (larger) return larger;
	if (smaller) smaller->size = size;
	return smaller;
}

static int by_first(const void *a, const void *b)
{
	const Buf *x = *(Buf *const *)a, *y = *(Buf *const *)b;
	return x->first != y->first ? (x->first < y->first ? -1 : 1) : x->order < y->order ? -1 : 1;
}

static void plan_func(Program *p, LoopFunc *f)
{
	Arena *a = p->m->arena;
	DimCtx *c = p->m->dims;
	int next = 0;
	number_steps(&f->steps, &next);
	Planner pl = {.f = f, .c = c};
	live_list(&pl, &f->steps);
	steps_walk(&f->steps, count_slices, a);
	VEC(Buf *) list = {0};
	for (int i = 0; i < f->bufs.n; i++) {
		Buf *b = f->bufs.at[i];
		b->order = i;
		if ((b->space == BUF_ARENA || (b->space == BUF_ROW && b->in_arena)) && b->last >= 0) VEC_PUSH(a, list, b);
	}
	if (list.n) qsort(list.at, (size_t)list.n, sizeof *list.at, by_first);
	Slots slots = {0};
	for (int i = 0; i < list.n; i++) {
		Buf *b = list.at[i];
		Dim size = dim_scale(c, plan_bytes(c, f->func->facts, b), b->slices > 1 ? b->slices : 1, 1);
		if (b->callee) size = b->callee->arena;
		if (!size) size = dim_int(c, 0);
		int64_t zero;
		if (dim_is_const(size, &zero) && zero == 0) {
			b->offset = size;
			continue;
		}
		Slot *s = find_slot(c, f->func->facts, &slots, size, b->first);
		if (!s) {
			Slot fresh = {.size = size};
			VEC_PUSH(a, slots, fresh);
			s = &slots.at[slots.n - 1];
		}
		s->free_after = b->last;
		VEC_PUSH(a, s->bufs, b);
	}
	Dim at = dim_int(c, 0);
	for (int i = 0; i < slots.n; i++) {
		for (int k = 0; k < slots.at[i].bufs.n; k++) slots.at[i].bufs.at[k]->offset = at;
		at = dim_add(c, at, slots.at[i].size);
	}
	f->arena = at;
}

bool plan_program(Program *p)
{
	for (int i = 0; i < p->funcs.n; i++) plan_func(p, p->funcs.at[i]);
	return true;
}
