/* specialise: a dimension of an entry that has declared values (`dim B in {1, 8, 64};`, `dim B in 1..256 with {1, 8, 64};`) gets a copy of
 * the entry's steps for each of them, in which it is a number: later passes then choose templates, loops and memory as in a static build.
 * The entry looks at the dimension and runs the copy; where other values are allowed the general steps stay. The order of every sum was
 * settled by `lower`, so that a copy gives the bits of the general steps. Needs loop IR before fusion. Several dimensions with values make
 * a copy for each combination, as long as those are few; further dimensions then stay general. */
#include <string.h>
#include "loop_clone.h"
#include "passes.h"

enum { MOST_COPIES = 16 };

typedef struct Specialise {
	PassCtx *c;
	Program *p;
	LoopFunc *f;
	int at; /* of f in the program */
	const char *sym[MAX_RANK];
	int nsym, copies;
} Specialise;

static void when_steps(Specialise *s, StepList *list, int k);

/* list with the k-th dimension equal to v, and the dimensions behind it in turn. */
static StepList copy_for(Specialise *s, const StepList *list, int k, int64_t v)
{
	LoopClone c = {.p = s->p, .f = s->f, .sym = s->sym[k], .value = v, .at = &s->at};
	map_init(&c.copy, s->p->m->arena);
	StepList y = loop_clone_steps(&c, list);
	when_steps(s, &y, k + 1);
	return y;
}

/* Makes of list: when sym is v0 { copy } else when sym is v1 { copy } else … { list }. */
static void when_steps(Specialise *s, StepList *list, int k)
{
	if (k == s->nsym) return;
	DimValues v = dim_values_of(s->f->func->facts, s->sym[k]);
	StepList rest = *list;
	if (v.only) rest = copy_for(s, list, k, v.at[v.n - 1]);
	else when_steps(s, &rest, k + 1);
	for (int i = v.n - 1 - v.only; i >= 0; i--) {
		Step *w = NEW(s->p->m->arena, Step);
		w->kind = STEP_WHEN;
		w->loc = s->f->func->loc;
		w->dim = s->sym[k];
		w->equals = v.at[i];
		w->body = copy_for(s, list, k, v.at[i]);
		w->other = rest;
		rest = (StepList){0};
		VEC_PUSH(s->p->m->arena, rest, w);
	}
	*list = rest;
}

static void report(const Specialise *s)
{
	StrBuf *out = s->c->report;
	if (!out) return;
	sb_printf(out, "%s: %d specialised copies for", s->f->func->name, s->copies);
	for (int i = 0; i < s->nsym; i++) {
		DimValues v = dim_values_of(s->f->func->facts, s->sym[i]);
		sb_printf(out, "%s %s", i ? "," : "", s->sym[i]);
		for (int k = 0; k < v.n; k++) sb_printf(out, "%s%lld", k ? ", " : " in {", (long long)v.at[k]);
		sb_put(out, v.only ? "}" : "} and general code");
	}
	sb_put(out, "\n\n");
}

static bool specialise_func(Specialise *s)
{
	const Func *g = s->f->func;
	s->nsym = 0, s->copies = 1;
	for (int i = 0; i < g->ndims && s->nsym < MAX_RANK; i++) {
		DimValues v = dim_values_of(g->facts, g->dims[i]);
		if (v.n && s->copies * v.n > MOST_COPIES)
			note_add(s->p->m->arena, &s->f->func->notes, g->loc, "no copies for the values of %s: there would be %d, more than %d",
			         g->dims[i], s->copies * v.n, MOST_COPIES);
		if (!v.n || s->copies * v.n > MOST_COPIES || !loop_steps_mention(s->p, &s->f->steps, g->dims[i])) continue;
		s->sym[s->nsym++] = g->dims[i];
		s->copies *= v.n;
	}
	if (!s->nsym) return false;
	when_steps(s, &s->f->steps, 0);
	report(s);
	return true;
}

bool pass_specialise(PassCtx *c)
{
	bool changed = false;
	Specialise s = {.c = c, .p = c->program};
	for (s.at = 0; s.at < s.p->funcs.n; s.at++) {
		s.f = s.p->funcs.at[s.at];
		if (s.f->func->exported) changed |= specialise_func(&s);
	}
	return changed;
}
