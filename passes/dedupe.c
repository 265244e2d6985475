/* dedupe: of functions that are alike in everything but their names, calls use the first.
 *
 * Takes and gives tensor IR. Callees first, so that callers of merged functions can be found alike in turn. Exported functions and tests
 * keep their own bodies; the others, no longer called, go with dce.
 */
#include <string.h>
#include "passes.h"
#include "walk.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool funcs_alike(Arena *scratch, const Func *f, const Func *g)
{
	return f->body->nparam == g->body->nparam && f->body->nresult == g->body->nresult && f->noinline_cse == g->noinline_cse &&
	       same_text(f->composite, g->composite) && blocks_alike(scratch, f->body, g->body);
}

typedef struct Redirect {
	Map to;
	bool changed;
} Redirect;

static void redirect_call(void *ctx, Op *call)
{
	Redirect *r = ctx;
	const Attr *func = op_attr(call, AT_func);
	Func *g = map_get(&r->to, func->v.func);
	if (!g) return;
	((Attr *)func)->v.func = g;
	r->changed = true;
}

/* A cheap summary: functions that differ in it differ. */
static unsigned fingerprint(const Func *f)
{
	unsigned h = (unsigned)f->body->nparam * 31 + (unsigned)f->body->nresult;
	for (const Op *op = f->body->first; op; op = op->next) h = h * 31 + (unsigned)op->code;
	return h;
}

bool pass_dedupe(PassCtx *c)
{
	int n = c->m->funcs.n;
	Func **order = NEW_ARRAY(c->scratch, Func *, n);
	unsigned *print = NEW_ARRAY(c->scratch, unsigned, n);
	Redirect r = {0};
	map_init(&r.to, c->scratch);
	funcs_callees_first(c->m, c->scratch, order);
	for (int i = 0; i < n; i++) {
		Func *f = order[i];
		block_each_call(f->body, redirect_call, &r);
		print[i] = fingerprint(f);
		if (f->exported || f->is_test) continue;
		for (int k = 0; k < i; k++) {
			if (print[k] != print[i] || order[k]->exported || order[k]->is_test || !funcs_alike(c->scratch, order[k], f)) continue;
			map_set(&r.to, f, map_get(&r.to, order[k]) ? map_get(&r.to, order[k]) : order[k]);
			break;
		}
	}
	return r.changed;
}
