/* Copies steps of a function with a dimension replaced by a number, in all extents, types and indices. Memory of the function is copied
 * with the steps (a copy and its original never run both); arguments and results stay, and have an alias where their type names the
 * dimension. A called function that needs the dimension is copied too. Needs loop IR before `plan`. */
#include "loop_clone.h"
#include <string.h>
#include "loop_walk.h"

static Arena *arena_of(const LoopClone *c)
{
	return c->p->m->arena;
}

static Dim clone_dim(const LoopClone *c, Dim d)
{
	return d ? dim_subst(c->p->m->dims, d, c->sym, dim_int(c->p->m->dims, c->value)) : NULL;
}

static const Type *clone_type(const LoopClone *c, const Type *t)
{
	Dim dims[MAX_RANK + 1];
	for (int i = 0; i < t->rank; i++) dims[i] = clone_dim(c, t->dim[i]);
	return type_get(c->p->m, t->dtype, t->rank, dims);
}

static const Axis *clone_axis(LoopClone *c, const Axis *x)
{
	Axis *y = x ? map_get(&c->copy, x) : NULL;
	if (!x || y) return y;
	y = arena_copy(arena_of(c), x, sizeof *x);
	y->name = loop_name(c->p, c->f, x->name);
	y->extent = clone_dim(c, x->extent);
	y->cost = clone_dim(c, x->cost);
	map_set(&c->copy, x, y);
	return y;
}

static void clone_axes(LoopClone *c, const Axis **axis, int n)
{
	for (int i = 0; i < n; i++) axis[i] = clone_axis(c, axis[i]);
}

static Index clone_index(LoopClone *c, const Index *i)
{
	Index x = {NEW_ARRAY(arena_of(c), Term, i->n + 1), i->n, clone_dim(c, i->add)};
	for (int k = 0; k < i->n; k++) {
		Node *n = i->term[k].node;
		x.term[k] = (Term){clone_axis(c, i->term[k].axis), n ? map_get(&c->copy, n) : NULL, clone_dim(c, i->term[k].coef)};
	}
	return x;
}

static LoopFunc *clone_callee(LoopClone *c, LoopFunc *f);

static Buf *clone_buf(LoopClone *c, Buf *b)
{
	Buf *y = b ? map_get(&c->copy, b) : NULL;
	if (!b || y) return y;
	const Type *t = clone_type(c, b->type);
	bool outside = b->space == BUF_PARAM || b->space == BUF_RESULT;
	if (b->space == BUF_CONST || (outside && t == b->type)) return b;
	y = arena_copy(arena_of(c), b, sizeof *b);
	map_set(&c->copy, b, y);
	y->name = loop_name(c->p, c->f, b->name);
	y->type = t;
	y->callee = b->callee ? clone_callee(c, b->callee) : NULL;
	y->home = b->home ? map_get(&c->copy, b->home) : NULL;
	if (outside) y->space = BUF_ALIAS, y->base = b, y->inout = false, y->number = 0, y->path = NULL;
	else if (b->space == BUF_ALIAS) y->base = clone_buf(c, b->base), y->row = clone_index(c, &b->row);
	VEC_PUSH(arena_of(c), c->f->bufs, y);
	return y;
}

static Buf **clone_bufs(LoopClone *c, Buf *const *b, int n)
{
	Buf **y = NEW_ARRAY(arena_of(c), Buf *, n + 1);
	for (int i = 0; i < n; i++) y[i] = clone_buf(c, b[i]);
	return y;
}

static Body *clone_body(LoopClone *c, const Body *b, Body *parent);

static Node *clone_node(LoopClone *c, const Node *n, Body *in)
{
	Node *y = arena_copy(arena_of(c), n, sizeof *n);
	map_set(&c->copy, n, y);
	y->next = NULL;
	for (int i = 0; i < n->narg; i++) y->arg[i] = map_get(&c->copy, n->arg[i]);
	y->buf = clone_buf(c, n->buf), y->buf2 = clone_buf(c, n->buf2);
	y->src = clone_buf(c, n->src), y->src2 = clone_buf(c, n->src2);
	y->table = clone_buf(c, n->table);
	y->uses = clone_bufs(c, n->uses, n->nuses);
	clone_axes(c, y->axis, n->naxis);
	y->index = NEW_ARRAY(arena_of(c), Index, n->nindex + 1);
	for (int i = 0; i < n->nindex; i++) y->index[i] = clone_index(c, &n->index[i]);
	y->lo = clone_dim(c, n->lo), y->hi = clone_dim(c, n->hi);
	y->body = clone_body(c, n->body, in), y->other = clone_body(c, n->other, in);
	return y;
}

static Body *clone_body(LoopClone *c, const Body *b, Body *parent)
{
	if (!b) return NULL;
	Body *y = NEW(arena_of(c), Body);
	y->parent = parent;
	for (const Node *n = b->first; n; n = n->next) {
		Node *m = clone_node(c, n, y);
		if (y->last) y->last->next = m;
		else y->first = m;
		y->last = m;
	}
	y->result = b->result ? map_get(&c->copy, b->result) : NULL;
	y->result2 = b->result2 ? map_get(&c->copy, b->result2) : NULL;
	return y;
}

static Nest *clone_nest(LoopClone *c, const Nest *s)
{
	Nest *y = arena_copy(arena_of(c), s, sizeof *s);
	clone_axes(c, y->axis, y->naxis);
	clone_axes(c, y->init_axis, y->ninit);
	y->init = clone_body(c, s->init, NULL);
	y->body = clone_body(c, s->body, NULL);
	y->out = clone_buf(c, s->out);
	y->room = clone_buf(c, s->room);
	return y;
}

static Kernel *clone_kernel(LoopClone *c, const Kernel *k)
{
	Kernel *y = arena_copy(arena_of(c), k, sizeof *k);
	clone_axes(c, y->outer, y->nouter);
	y->notes = notes_copy(arena_of(c), &k->notes);
	y->stages = NEW_ARRAY(arena_of(c), Nest *, k->nstages + 1);
	y->cap = k->nstages + 1;
	for (int i = 0; i < k->nstages; i++) y->stages[i] = clone_nest(c, k->stages[i]);
	return y;
}

static Step *clone_step(LoopClone *c, const Step *s)
{
	Step *y = arena_copy(arena_of(c), s, sizeof *s);
	map_set(&c->copy, s, y);
	y->axis = clone_axis(c, s->axis);
	y->limit = clone_buf(c, s->limit), y->counter = clone_buf(c, s->counter);
	y->head = loop_clone_steps(c, &s->head);
	y->body = loop_clone_steps(c, &s->body);
	y->other = loop_clone_steps(c, &s->other);
	y->cond = clone_buf(c, s->cond);
	y->kernel = s->kernel ? clone_kernel(c, s->kernel) : NULL;
	y->callee = s->callee ? clone_callee(c, s->callee) : NULL;
	y->args = clone_bufs(c, s->args, s->nargs), y->results = clone_bufs(c, s->results, s->nresults);
	y->values = clone_bufs(c, s->values, s->nvalues);
	y->scratch = clone_buf(c, s->scratch);
	y->dst = clone_buf(c, s->dst), y->src = clone_buf(c, s->src);
	return y;
}

StepList loop_clone_steps(LoopClone *c, const StepList *list)
{
	StepList y = {0};
	for (int i = 0; i < list->n; i++) VEC_PUSH(arena_of(c), y, clone_step(c, list->at[i]));
	return y;
}

/* --- called functions --------------------------------------------------------------------------------------------------------------- */
static Value **clone_values(LoopClone *c, Value *const *v, int n, Block *b)
{
	Value **y = NEW_ARRAY(arena_of(c), Value *, n + 1);
	for (int i = 0; i < n; i++) {
		y[i] = NEW(arena_of(c), Value);
		*y[i] = (Value){.type = clone_type(c, v[i]->type), .name = v[i]->name, .block = b, .index = i, .id = c->p->m->next_id++};
	}
	return y;
}

static Func *clone_signature(LoopClone *c, const Func *f, const char *name)
{
	Func *g = func_new(c->p->m, name);
	g->facts = f->facts, g->composite = f->composite, g->loc = f->loc;
	g->notes = notes_copy(c->p->m->arena, &f->notes);
	g->body->nparam = f->body->nparam, g->body->nresult = f->body->nresult;
	g->body->param = clone_values(c, f->body->param, f->body->nparam, g->body);
	g->body->result = clone_values(c, f->body->result, f->body->nresult, g->body);
	return g;
}

static Buf *signature_buf(LoopClone *c, LoopFunc *g, Buf *b)
{
	Buf *y = map_get(&c->copy, b);
	if (y) return y; /* a result that is a parameter */
	y = arena_copy(arena_of(c), b, sizeof *b);
	y->type = clone_type(c, b->type);
	map_set(&c->copy, b, y);
	VEC_PUSH(arena_of(c), g->bufs, y);
	return y;
}

static bool needs(const LoopFunc *f, const char *sym)
{
	for (int i = 0; i < f->dims.n; i++)
		if (!strcmp(f->dims.at[i], sym)) return true;
	return false;
}

static LoopFunc *find_func(const Program *p, const char *name)
{
	for (int i = 0; i < p->funcs.n; i++)
		if (!strcmp(p->funcs.at[i]->name, name)) return p->funcs.at[i];
	return NULL;
}

static void insert_func(LoopClone *c, LoopFunc *g)
{
	VEC_PUSH(arena_of(c), c->p->funcs, g);
	for (int i = c->p->funcs.n - 1; i > *c->at; i--) c->p->funcs.at[i] = c->p->funcs.at[i - 1];
	c->p->funcs.at[(*c->at)++] = g;
}

static LoopFunc *clone_callee(LoopClone *c, LoopFunc *f)
{
	if (!needs(f, c->sym)) return f;
	Arena *a = arena_of(c);
	const char *name = module_str(c->p->m, arena_printf(a, "%s.%s%lld", f->name, c->sym, (long long)c->value));
	LoopFunc *g = find_func(c->p, name);
	if (g) return g;
	g = NEW(a, LoopFunc);
	g->func = clone_signature(c, f->func, name);
	g->name = g->func->name;
	for (int i = 0; i < f->dims.n; i++)
		if (strcmp(f->dims.at[i], c->sym)) VEC_PUSH(a, g->dims, f->dims.at[i]);
	g->arena = dim_int(c->p->m->dims, 0);
	loop_reserve_names(c->p, g);
	LoopClone inner = {.p = c->p, .f = g, .sym = c->sym, .value = c->value, .at = c->at};
	map_init(&inner.copy, a);
	g->param = NEW_ARRAY(a, Buf *, f->func->body->nparam + 1);
	g->result = NEW_ARRAY(a, Buf *, f->func->body->nresult + 1);
	for (int i = 0; i < f->func->body->nparam; i++) g->param[i] = signature_buf(&inner, g, f->param[i]);
	for (int i = 0; i < f->func->body->nresult; i++) g->result[i] = signature_buf(&inner, g, f->result[i]);
	g->steps = loop_clone_steps(&inner, &f->steps);
	insert_func(c, g);
	return g;
}

/* --- does it matter? ------------------------------------------------------------------------------------------------------------------ */
typedef struct Mention {
	const Program *p;
	const char *sym;
	bool found;
} Mention;

static void see_symbol(void *ctx, const char *sym)
{
	Mention *m = ctx;
	m->found |= !strcmp(sym, m->sym);
}

static void see_axis(void *ctx, const Axis *x)
{
	if (x->extent) dim_symbols(x->extent, see_symbol, ctx);
}

static void see_access(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	(void)s, (void)index, (void)nindex, (void)kind;
	for (int i = 0; i < b->type->rank; i++) dim_symbols(b->type->dim[i], see_symbol, ctx);
}

static void see_step(void *ctx, StepList *list, Step *s)
{
	Mention *m = ctx;
	(void)list;
	if (s->axis) see_axis(m, s->axis);
	if (s->callee) m->found |= needs(s->callee, m->sym);
	if (s->kind != STEP_KERNEL) return;
	kernel_axes(m->p->m->arena, s->kernel, see_axis, m);
	for (int i = 0; i < s->kernel->nstages; i++) stage_accesses(s->kernel->stages[i], see_access, m);
}

bool loop_steps_mention(Program *p, const StepList *list, const char *sym)
{
	Mention m = {p, sym, false};
	steps_walk((StepList *)list, see_step, &m);
	return m.found;
}
