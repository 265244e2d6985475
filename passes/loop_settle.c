/* What follows from the rest of a loop program: see loop.h. */
#include <ctype.h>
#include <string.h>
#include "c_names.h"
#include "loop_text.h"
#include "loop_walk.h"

/* --- names -------------------------------------------------------------------------------------------------------------------------- */
static void take(Program *p, LoopFunc *f, const char *name)
{
	const char *s = module_str(p->m, name);
	map_set(&f->names, s, (void *)s);
}

/* The C function's argument for a tree is named after the root of its leaves' paths. */
static void reserve_root(Program *p, LoopFunc *f, const char *path)
{
	Arena *a = p->m->arena;
	const char *dot = path ? strchr(path, '.') : NULL;
	if (dot) take(p, f, c_variable_name(a, arena_strndup(a, path, (size_t)(dot - path))));
}

void loop_reserve_names(Program *p, LoopFunc *f)
{
	Func *g = f->func;
	map_init(&f->names, p->m->arena);
	for (int i = 0; i < g->ndims; i++) take(p, f, c_variable_name(p->m->arena, g->dims[i]));
	for (int i = 0; g->param_path && i < g->body->nparam; i++) reserve_root(p, f, g->param_path[i]);
	for (int i = 0; g->result_path && i < g->body->nresult; i++) reserve_root(p, f, g->result_path[i]);
}

const char *loop_name(Program *p, LoopFunc *f, const char *hint)
{
	Arena *a = p->m->arena;
	char base[64];
	int n = 0;
	for (const char *s = hint; *s && n < 48; s++) base[n++] = isalnum((unsigned char)*s) ? *s : '_';
	if (!n || isdigit((unsigned char)base[0])) memmove(base + 1, base, (size_t)n++), base[0] = 'v';
	base[n] = 0;
	const char *stem = c_variable_name(a, base);
	for (int k = 0;; k++) {
		const char *name = module_str(p->m, k ? arena_printf(a, "%s_%d", stem, k) : stem);
		if (map_get(&f->names, name)) continue;
		map_set(&f->names, name, (void *)name);
		return name;
	}
}

/* --- who uses which buffer ------------------------------------------------------------------------------------------------------------ */
static void read_buf(Buf *b)
{
	for (; b; b = b->space == BUF_ALIAS ? b->base : NULL) b->reads++;
}

static void write_buf(Buf *b)
{
	for (; b; b = b->space == BUF_ALIAS ? b->base : NULL) b->writes++;
}

static void count_access(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	(void)ctx, (void)s, (void)index, (void)nindex;
	if (kind & ACCESS_READ) read_buf(b);
	if (kind & ACCESS_WRITE) write_buf(b);
}

static void read_bufs(Buf *const *b, int n)
{
	for (int i = 0; i < n; i++) read_buf(b[i]);
}

typedef struct Settle {
	Program *p;
	LoopFunc *f;
	int kernels, nodes;
	VEC(Buf *) bufs;
} Settle;

static void take_axis(void *ctx, const Axis *x)
{
	Settle *t = ctx;
	take(t->p, t->f, x->name);
}

static void number_body(Settle *t, Body *b, Loc place)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		if (!n->loc.file) n->loc = place;
		n->id = node_gives(n) ? t->nodes++ : -1;
		number_body(t, n->body, place);
		number_body(t, n->other, place);
	}
}

static void settle_kernel(Settle *t, Step *s)
{
	Kernel *k = s->kernel;
	s->loc = k->loc;
	t->nodes = 0;
	k->name = arena_printf(t->p->m->arena, "k%d_%s", t->kernels++, k->stages[k->nstages - 1]->what);
	kernel_axes(t->p->m->arena, k, take_axis, t);
	for (int i = 0; i < k->nstages; i++) {
		number_body(t, k->stages[i]->init, k->stages[i]->loc);
		number_body(t, k->stages[i]->body, k->stages[i]->loc);
		stage_accesses(k->stages[i], count_access, NULL);
	}
}

static void settle_step(void *ctx, StepList *list, Step *s)
{
	Settle *t = ctx;
	(void)list;
	if (s->kind == STEP_KERNEL) settle_kernel(t, s);
	if (s->kind == STEP_LOOP) take_axis(t, s->axis);
	if (s->kind == STEP_ASSERT && s->assert_number > t->p->nasserts) t->p->nasserts = s->assert_number;
	read_buf(s->limit), read_buf(s->cond), write_buf(s->counter);
	write_buf(s->dst), read_buf(s->src), write_buf(s->scratch);
	read_bufs(s->args, s->nargs), read_bufs(s->values, s->nvalues);
	for (int i = 0; i < s->nresults; i++) write_buf(s->results[i]);
}

/* --- the order of buffers: as printed, those of a run-time loop in it
 * ---------------------------------------------------------------------- */
static void keep_bufs(Settle *t, const Step *home)
{
	for (int i = 0; i < t->f->bufs.n; i++) {
		Buf *b = t->f->bufs.at[i];
		bool used = b->reads || b->writes || b->space == BUF_PARAM || b->space == BUF_RESULT;
		if (!used || b->home != home) continue;
		b->order = t->bufs.n;
		take(t->p, t->f, b->name);
		VEC_PUSH(t->p->m->arena, t->bufs, b);
	}
}

static void keep_loop_bufs(void *ctx, StepList *list, Step *s)
{
	(void)list;
	if (s->kind == STEP_LOOP) keep_bufs(ctx, s);
}

static void settle_func(Program *p, LoopFunc *f)
{
	Settle t = {.p = p, .f = f};
	loop_reserve_names(p, f);
	for (int i = 0; i < f->bufs.n; i++) f->bufs.at[i]->reads = f->bufs.at[i]->writes = 0;
	steps_walk(&f->steps, settle_step, &t);
	keep_bufs(&t, NULL);
	steps_walk(&f->steps, keep_loop_bufs, &t);
	f->bufs.at = t.bufs.at, f->bufs.n = t.bufs.n, f->bufs.cap = t.bufs.cap;
}

void loops_settle(Program *p)
{
	p->nasserts = 0;
	for (int i = 0; i < p->funcs.n; i++) settle_func(p, p->funcs.at[i]);
}
