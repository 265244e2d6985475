/* Runs loop programs: memory, steps, kernels; see loop_eval.h.
 *
 * Planned arena buffers overlap as the plan says, in one memory for the whole run: a called function gets its part of the caller's.
 * Buffers without an offset (before plan) have memory of their own. Row buffers are forgotten at every point of the outer axes, as in C. */
#include "loop_eval.h"
#include <assert.h>
#include <string.h>
#include "loop_walk.h"

bool loop_eval_fail(LoopFrame *f, const char *fmt, ...)
{
	Eval *e = f->e;
	if (e->status) return false;
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(e->arena, fmt, ap);
	va_end(ap);
	e->status = EVAL_FAULT;
	if (f->kernel)
		text =
		    arena_printf(e->arena, "kernel @%s%s%s: %s", f->kernel->name, f->stage ? ", stage " : "", f->stage ? f->stage->what : "", text);
	e->why = arena_printf(e->arena, "@%s: %s", f->f->name, text);
	return false;
}

/* --- numbers ------------------------------------------------------------------------------------------------------------------------ */
bool loop_eval_dim(LoopFrame *f, Dim d, int64_t *out)
{
	if (dim_is_const(d, out)) return true;
	int64_t *known = map_get(&f->e->dims, d);
	if (!known) {
		int64_t n;
		if (!dim_eval(d, f->e->env, &n)) return loop_eval_fail(f, "dimension %s has no value", dim_str(f->e->arena, d));
		known = NEW(f->e->arena, int64_t);
		*known = n;
		map_set(&f->e->dims, d, known);
	}
	*out = *known;
	return true;
}

int64_t *loop_eval_axis(LoopFrame *f, const Axis *x)
{
	int64_t *v = map_get(&f->axis, x);
	if (!v) map_set(&f->axis, x, v = NEW(f->e->arena, int64_t));
	return v;
}

bool loop_eval_position(LoopFrame *f, const Index *i, int64_t *out)
{
	int64_t sum, coef;
	if (!loop_eval_dim(f, i->add, &sum)) return false;
	for (int k = 0; k < i->n; k++) {
		const Term *t = &i->term[k];
		if (!loop_eval_dim(f, t->coef, &coef)) return false;
		sum += coef * (t->axis ? *loop_eval_axis(f, t->axis) : scalar_to_int(scalar_load(t->node->dtype, f->node[t->node->id].raw)));
	}
	*out = sum;
	return true;
}

bool loop_eval_over(LoopFrame *f, const Axis *const *axis, int n, PointFn *fn, void *ctx)
{
	int64_t extent, *at;
	if (!n) {
		if (f->e->hooks && f->e->hooks->max_steps && ++f->e->steps > f->e->hooks->max_steps) return loop_eval_fail(f, "too many steps");
		return fn(f, ctx);
	}
	if (!loop_eval_dim(f, axis[0]->extent, &extent)) return false;
	at = loop_eval_axis(f, axis[0]);
	for (*at = 0; *at < extent; ++*at)
		if (!loop_eval_over(f, axis + 1, n - 1, fn, ctx)) return false;
	return true;
}

/* --- memory ------------------------------------------------------------------------------------------------------------------------- */
static Store *store_new(Eval *e, int64_t size)
{
	Store *s = NEW(e->arena, Store);
	s->size = size;
	s->bytes = arena_alloc(e->arena, (size_t)size);
	s->owner = NEW_ARRAY(e->arena, uint32_t, size);
	memset(s->bytes, 0xa5, (size_t)size);
	return s;
}

static void own(const View *v, int64_t at, int64_t n, uint32_t id)
{
	for (int64_t i = 0; i < n; i++) v->store->owner[v->at + at + i] = id;
}

static bool owned(LoopFrame *f, const Buf *b, const View *v, int64_t at, int64_t n)
{
	for (int64_t i = at; i < at + n; i++) {
		uint32_t id = v->store->owner[v->at + i];
		if (id == v->id) continue;
		const char *where = b->type->rank
		                        ? arena_printf(f->e->arena, "element %lld of `%s`", (long long)(i / dtype_bytes(b->type->dtype)), b->name)
		                        : arena_printf(f->e->arena, "`%s`", b->name);
		if (!id) return loop_eval_fail(f, "%s is read, and nothing has written it", where);
		return loop_eval_fail(f, "%s is read after `%s` was written in its memory", where, f->e->owners.at[id - 1]->name);
	}
	return true;
}

bool loop_eval_shape(LoopFrame *f, const Buf *b, int64_t *shape)
{
	for (int i = 0; i < b->type->rank; i++)
		if (!loop_eval_dim(f, b->type->dim[i], &shape[i])) return false;
	return true;
}

static bool buf_bytes(LoopFrame *f, const Buf *b, int64_t *out)
{
	int64_t shape[MAX_RANK];
	if (!loop_eval_shape(f, b, shape)) return false;
	*out = dtype_bytes(b->type->dtype);
	for (int i = b->space == BUF_ROW ? b->drop : 0; i < b->type->rank; i++) *out *= shape[i];
	return true;
}

bool loop_eval_view(LoopFrame *f, const Buf *b, View *out)
{
	if (b->space != BUF_ALIAS) {
		*out = f->view[b->order];
		return true;
	}
	int64_t row, rows, bytes;
	if (!loop_eval_view(f, b->base, out)) return false;
	if (!b->has_row) return true;
	if (!loop_eval_position(f, &b->row, &row) || !loop_eval_dim(f, b->base->type->dim[0], &rows) || !buf_bytes(f, b, &bytes)) return false;
	if (row < 0 || row >= rows)
		return loop_eval_fail(f, "`%s` is row %lld of `%s`, which has %lld", b->name, (long long)row, b->base->name, (long long)rows);
	out->at += row * bytes;
	out->size = bytes;
	return true;
}

/* Where element index of b lies in its view. */
static bool element(LoopFrame *f, const Buf *b, const Index *index, View *v, int64_t *at)
{
	int64_t shape[MAX_RANK], i, w = dtype_bytes(b->type->dtype), linear = 0;
	int drop = b->space == BUF_ROW ? b->drop : 0;
	if (!loop_eval_view(f, b, v) || !loop_eval_shape(f, b, shape)) return false;
	for (int k = 0; k < b->type->rank; k++) {
		if (!loop_eval_position(f, &index[k], &i)) return false;
		if (i < 0 || i >= shape[k])
			return loop_eval_fail(f, "index %d of `%s` is %lld, outside of 0..%lld", k, b->name, (long long)i, (long long)shape[k]);
		if (k >= drop) linear = linear * shape[k] + i;
	}
	*at = linear * w;
	return *at + w <= v->size ||
	       loop_eval_fail(f, "`%s` has %lld bytes, and %lld are used", b->name, (long long)v->size, (long long)(*at + w));
}

bool loop_eval_load(LoopFrame *f, const Buf *b, const Index *index, Cell *out)
{
	View v;
	int64_t at, w = dtype_bytes(b->type->dtype);
	if (!element(f, b, index, &v, &at) || !owned(f, b, &v, at, w)) return false;
	memcpy(out->raw, v.store->bytes + v.at + at, (size_t)w);
	return true;
}

bool loop_eval_store(LoopFrame *f, const Buf *b, const Index *index, const Cell *x)
{
	View v;
	int64_t at, w = dtype_bytes(b->type->dtype);
	if (b->space == BUF_CONST) return loop_eval_fail(f, "the constant `%s` is written", b->name);
	if (!element(f, b, index, &v, &at)) return false;
	memcpy(v.store->bytes + v.at + at, x->raw, (size_t)w);
	own(&v, at, w, v.id);
	return true;
}

bool loop_eval_read(LoopFrame *f, const Buf *b, Tensor **out)
{
	View v;
	int64_t shape[MAX_RANK];
	if (!loop_eval_view(f, b, &v) || !loop_eval_shape(f, b, shape)) return false;
	int drop = b->space == BUF_ROW ? b->drop : 0;
	Tensor *t = *out = tensor_new(f->e->scratch, b->type->dtype, b->type->rank - drop, shape + drop);
	if (!owned(f, b, &v, 0, (int64_t)tensor_bytes(t))) return false;
	memcpy(t->data, v.store->bytes + v.at, tensor_bytes(t));
	return true;
}

bool loop_eval_write(LoopFrame *f, const Buf *b, const Tensor *t)
{
	View v;
	if (b->space == BUF_CONST) return loop_eval_fail(f, "the constant `%s` is written", b->name);
	if (!loop_eval_view(f, b, &v)) return false;
	assert((int64_t)tensor_bytes(t) == v.size);
	memcpy(v.store->bytes + v.at, t->data, tensor_bytes(t));
	own(&v, 0, v.size, v.id);
	return true;
}

/* --- frames --------------------------------------------------------------------------------------------------------------------------- */
static void count_node(void *ctx, Node *n)
{
	int *most = ctx;
	if (n->id >= *most) *most = n->id + 1;
}

static void count_nodes(void *ctx, StepList *list, Step *s)
{
	(void)list;
	for (int i = 0; s->kind == STEP_KERNEL && i < s->kernel->nstages; i++) {
		body_walk(s->kernel->stages[i]->init, count_node, ctx);
		body_walk(s->kernel->stages[i]->body, count_node, ctx);
	}
}

/* Memory of a buffer of this frame's own: in the arena where it has an offset. */
static bool place_buf(LoopFrame *f, Buf *b, View *v)
{
	Eval *e = f->e;
	int64_t at;
	if (b->callee) {
		Dim arena = b->callee->arena;
		*v = (View){0};
		if (!arena || !b->offset) return true;
		if (!loop_eval_dim(f, b->offset, &at) || !loop_eval_dim(f, arena, &v->size)) return false;
	} else if (!buf_bytes(f, b, &v->size)) return false;
	else if (b->space == BUF_CONST) {
		v->store = store_new(e, v->size);
		memcpy(v->store->bytes, b->data->data, (size_t)v->size);
		own(v, 0, v->size, v->id);
		return true;
	} else if ((b->space != BUF_ARENA && !b->in_arena) || !b->offset) {
		v->store = store_new(e, v->size);
		return true;
	} else if (!loop_eval_dim(f, b->offset, &at)) return false;
	if (at < 0 || at + v->size > f->arena.size)
		return loop_eval_fail(f, "`%s` has bytes %lld..%lld of an arena of %lld", b->name, (long long)at, (long long)(at + v->size),
		                      (long long)f->arena.size);
	v->store = f->arena.store;
	v->at = f->arena.at + at;
	return true;
}

static bool frame_init(LoopFrame *f, Eval *e, LoopFunc *lf, const View *arena)
{
	int nodes = 0;
	*f = (LoopFrame){.e = e, .f = lf};
	map_init(&f->axis, e->arena);
	f->view = NEW_ARRAY(e->arena, View, lf->bufs.n + 1);
	steps_walk(&lf->steps, count_nodes, &nodes);
	f->node = NEW_ARRAY(e->arena, Cell, nodes + 1);
	if (arena) f->arena = *arena;
	else if (lf->arena) {
		int64_t bytes;
		if (!loop_eval_dim(f, lf->arena, &bytes)) return false;
		f->arena = (View){.store = store_new(e, bytes), .size = bytes};
	}
	for (int i = 0; i < lf->bufs.n; i++) {
		VEC_PUSH(e->arena, e->owners, lf->bufs.at[i]);
		f->view[i].id = (uint32_t)e->owners.n;
	}
	for (int i = 0; i < lf->bufs.n; i++) {
		Buf *b = lf->bufs.at[i];
		if (b->space == BUF_PARAM || b->space == BUF_RESULT || b->space == BUF_ALIAS) continue;
		if (!place_buf(f, b, &f->view[i])) return false;
	}
	return true;
}

/* --- kernels -------------------------------------------------------------------------------------------------------------------------- */
static bool run_body(LoopFrame *f, void *ctx)
{
	return loop_eval_body(f, ctx);
}

static void forget_row(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	LoopFrame *f = ctx;
	(void)s, (void)index, (void)nindex, (void)kind;
	if (b->space == BUF_ROW) own(&f->view[b->order], 0, f->view[b->order].size, 0);
}

/* The stages at one point of the kernel's outer axes. */
static bool run_stages(LoopFrame *f, void *ctx)
{
	const Kernel *k = f->kernel;
	int outer = *(int *)ctx;
	for (int i = 0; i < k->nstages; i++) stage_accesses(k->stages[i], forget_row, f);
	for (int i = 0; i < k->nstages; i++) {
		Nest *s = k->stages[i];
		f->stage = s;
		if (s->init && !loop_eval_over(f, s->init_axis + outer, s->ninit - outer, run_body, s->init)) return false;
		if (!loop_eval_over(f, s->axis + outer, s->naxis - outer, run_body, s->body)) return false;
	}
	f->stage = NULL;
	return true;
}

static bool run_kernel(LoopFrame *f, const Step *s)
{
	int outer = s->kernel->nstages > 1 ? s->kernel->nouter : 0;
	f->kernel = s->kernel;
	bool ok = loop_eval_over(f, s->kernel->outer, outer, run_stages, &outer);
	f->kernel = NULL;
	f->stage = NULL;
	return ok;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------------------
 */
static bool run_steps(LoopFrame *f, const StepList *list);

static bool read_scalar(LoopFrame *f, const Buf *b, Scalar *out)
{
	Cell c;
	if (!loop_eval_load(f, b, NULL, &c)) return false;
	*out = scalar_load(b->type->dtype, c.raw);
	return true;
}

static bool loop_goes_on(LoopFrame *f, const Step *s, bool *go)
{
	Scalar c;
	*go = true;
	if (!s->cond) return true;
	if (!run_steps(f, &s->head) || !read_scalar(f, s->cond, &c)) return false;
	*go = c.v.u != 0;
	return true;
}

static bool set_counter(LoopFrame *f, const Buf *b, int64_t i)
{
	Cell c;
	scalar_store(scalar_from_int(i, b->type->dtype), c.raw);
	return loop_eval_store(f, b, NULL, &c);
}

static bool run_loop(LoopFrame *f, const Step *s)
{
	int64_t trips = INT64_MAX, *at = loop_eval_axis(f, s->axis);
	Scalar limit;
	bool go = true;
	if (s->axis->extent && !loop_eval_dim(f, s->axis->extent, &trips)) return false;
	if (s->limit) {
		if (!read_scalar(f, s->limit, &limit)) return false;
		if (scalar_to_int(limit) < trips) trips = scalar_to_int(limit);
	}
	for (int64_t n = 0; n < trips; n++) {
		if (f->e->hooks && f->e->hooks->max_steps && ++f->e->steps > f->e->hooks->max_steps) return loop_eval_fail(f, "too many steps");
		*at = s->reverse ? trips - 1 - n : n;
		if (!loop_goes_on(f, s, &go)) return false;
		if (!go) break;
		*at = s->reverse ? trips - 1 - n : n;
		if ((s->counter && !set_counter(f, s->counter, *at)) || !run_steps(f, &s->body)) return false;
		*at = s->reverse ? trips - 1 - n : n;
	}
	return true;
}

static bool run_cond(LoopFrame *f, const Step *s)
{
	Scalar c;
	return read_scalar(f, s->cond, &c) && run_steps(f, c.v.u ? &s->body : &s->other);
}

static bool run_when(LoopFrame *f, const Step *s)
{
	int64_t n;
	if (!loop_eval_dim(f, dim_sym(f->e->p->m->dims, s->dim), &n)) return false;
	return run_steps(f, n == s->equals ? &s->body : &s->other);
}

/* Tensors are passed by reference, numbers by value. */
static bool run_call(LoopFrame *f, const Step *s)
{
	LoopFrame g;
	View arena = s->scratch ? f->view[s->scratch->order] : (View){0}, v;
	ArenaMark mark = arena_mark(f->e->scratch);
	if (!frame_init(&g, f->e, s->callee, arena.store ? &arena : NULL)) return false;
	for (int i = 0; i < s->nargs; i++) {
		const Buf *p = s->callee->param[i];
		if (!loop_eval_view(f, s->args[i], &v)) return false;
		g.view[p->order] = v;
		if (p->type->rank) continue;
		if (!owned(f, s->args[i], &v, 0, v.size)) return false;
		View *copy = &g.view[p->order];
		copy->store = store_new(f->e, v.size), copy->at = 0;
		memcpy(copy->store->bytes, v.store->bytes + v.at, (size_t)v.size);
		own(copy, 0, v.size, v.id);
	}
	for (int i = 0; i < s->nresults; i++)
		if (!loop_eval_view(f, s->results[i], &g.view[s->callee->result[i]->order])) return false;
	bool ok = run_steps(&g, &s->callee->steps);
	arena_reset(f->e->scratch, mark);
	return ok;
}

/* What was not written stays so: a carry may be filled in part. */
static bool run_copy(LoopFrame *f, const Step *s)
{
	View to, from;
	if (!loop_eval_view(f, s->dst, &to) || !loop_eval_view(f, s->src, &from)) return false;
	if (s->dst->space == BUF_CONST) return loop_eval_fail(f, "the constant `%s` is written", s->dst->name);
	if (to.size != from.size) return loop_eval_fail(f, "`%s` and `%s` differ in size", s->dst->name, s->src->name);
	for (int64_t i = 0; i < from.size; i++)
		if (from.store->owner[from.at + i] && !owned(f, s->src, &from, i, 1)) return false;
	memmove(to.store->bytes + to.at, from.store->bytes + from.at, (size_t)to.size);
	for (int64_t i = 0; i < to.size; i++) own(&to, i, 1, from.store->owner[from.at + i] ? to.id : 0);
	return true;
}

static bool run_effect(LoopFrame *f, const Step *s)
{
	const LoopHooks *h = f->e->hooks;
	const char *message = s->message ? s->message : "";
	ArenaMark mark = arena_mark(f->e->scratch);
	Tensor **t = NEW_ARRAY(f->e->scratch, Tensor *, s->nvalues + 1);
	for (int i = 0; i < s->nvalues; i++)
		if (!loop_eval_read(f, s->values[i], &t[i])) return false;
	bool ok = true;
	if (s->kind == STEP_PRINT) {
		if (h && h->print) h->print(h->ctx, message, t, s->nvalues);
	} else if (!*(const bool *)t[0]->data && !(h && h->assert_failed && h->assert_failed(h->ctx, s, t + 1, s->nvalues - 1))) {
		ok = loop_eval_fail(f, "assertion failed%s%s", *message ? ": " : "", message);
		f->e->status = EVAL_ASSERT;
	}
	arena_reset(f->e->scratch, mark);
	return ok;
}

static bool run_steps(LoopFrame *f, const StepList *list)
{
	static bool (*const run[STEP_COUNT])(LoopFrame *, const Step *) = {
	    [STEP_KERNEL] = run_kernel, [STEP_WHEN] = run_when, [STEP_LOOP] = run_loop,    [STEP_COND] = run_cond,
	    [STEP_CALL] = run_call,     [STEP_COPY] = run_copy, [STEP_PRINT] = run_effect, [STEP_ASSERT] = run_effect,
	};
	for (int i = 0; i < list->n; i++)
		if (!run[list->at[i]->kind](f, list->at[i])) return false;
	return true;
}

/* --- entries
 * ------------------------------------------------------------------------------------------------------------------------------ */
static bool run_entry(LoopFrame *f, Tensor *const *args, Tensor **results)
{
	Eval *e = f->e;
	Func *g = f->f->func;
	for (int i = 0; i < g->body->nparam; i++) {
		View *v = &f->view[f->f->param[i]->order];
		v->size = (int64_t)tensor_bytes(args[i]);
		v->store = store_new(e, v->size);
		memcpy(v->store->bytes, args[i]->data, (size_t)v->size);
		own(v, 0, v->size, v->id);
	}
	for (int i = 0; i < g->body->nresult; i++) {
		View *v = &f->view[f->f->result[i]->order];
		if (f->f->result[i]->space != BUF_RESULT) continue;
		if (!buf_bytes(f, f->f->result[i], &v->size)) return false;
		v->store = store_new(e, v->size);
	}
	if (!run_steps(f, &f->f->steps)) return false;
	for (int i = 0; i < g->body->nresult; i++) {
		Tensor *t;
		if (!loop_eval_read(f, f->f->result[i], &t)) return false;
		results[i] = tensor_new(e->arena, t->dtype, t->rank, t->shape);
		memcpy(results[i]->data, t->data, tensor_bytes(t));
	}
	return true;
}

LoopFunc *loops_find(const Program *p, const char *name)
{
	for (int i = 0; i < p->funcs.n; i++)
		if (!strcmp(p->funcs.at[i]->name, name)) return p->funcs.at[i];
	return NULL;
}

EvalStatus loops_eval(Arena *a, Program *p, LoopFunc *lf, Tensor *const *args, DimEnv *env, Tensor **results, const LoopHooks *hooks,
                      const char **why)
{
	Eval e = {.arena = a, .scratch = arena_child(a), .p = p, .hooks = hooks, .env = env, .why = ""};
	LoopFrame f;
	EvalStatus bound = ir_bind_dims(a, lf->func, args, env, why);
	if (bound) return bound;
	map_init(&e.dims, a);
	arena_alloc(e.scratch, 1); /* keeps its first chunk through resets */
	if (frame_init(&f, &e, lf, NULL)) run_entry(&f, args, results);
	arena_free(e.scratch);
	*why = e.why;
	return e.status;
}
