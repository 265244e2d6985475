/* The reference interpreter. A frame holds the tensors of one call's values and the numbers of its dimensions; ops are evaluated in order
 * by their rows' eval functions after dimensions in attributes have been replaced by numbers. Tensors never change once made, so values
 * may share them.
 *
 * Memory: each call has an arena of its own, and each loop step one that is reset, so a program's size of memory does not grow with the
 * steps it takes; results and carries are copied out.
 */
#include "eval.h"
#include <assert.h>
#include <string.h>

typedef struct Interp {
	Module *m;
	Arena *scratch; /* reset after each op */
	const EvalHooks *hooks;
	int64_t steps;
	EvalStatus status;
	const char **why;
	Arena *messages;
} Interp;

typedef struct Frame {
	Interp *it;
	Func *func;
	Map values; /* Value -> Tensor */
	DimEnv *env;
	struct Frame *caller;
	Arena *arena; /* where tensors go now */
} Frame;

static bool fail(Interp *it, EvalStatus s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static bool fail(Interp *it, EvalStatus s, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	it->status = s;
	*it->why = arena_vprintf(it->messages, fmt, ap);
	va_end(ap);
	return false;
}

static Tensor *tensor_copy(Arena *a, const Tensor *t)
{
	Tensor *r = tensor_new(a, t->dtype, t->rank, t->shape);
	memcpy(r->data, t->data, tensor_bytes(t));
	return r;
}

/* --- dimensions ----------------------------------------------------------------------------------------------------------------- */
static void inherit_symbol(void *ctx, const char *sym)
{
	Frame *f = ctx;
	int64_t n;
	if (dim_env_get(f->env, sym, &n)) return;
	for (Frame *c = f->caller; c; c = c->caller)
		if (dim_env_get(c->env, sym, &n)) {
			dim_env_set(f->env, sym, n);
			return;
		}
}

/* A symbol that no parameter binds means what it means in the caller: derived functions drop parameters that gave a dimension. */
static bool dim_number(Frame *f, Dim d, int64_t *n)
{
	if (dim_is_const(d, n) || dim_eval(d, f->env, n)) return true;
	dim_symbols(d, inherit_symbol, f);
	if (dim_eval(d, f->env, n)) return true;
	return fail(f->it, EVAL_DIM, "dimension %s of @%s has no value", dim_str(f->it->messages, d), f->func->name);
}

static bool type_shape(Frame *f, const Type *t, int64_t *shape)
{
	for (int i = 0; i < t->rank; i++) {
		if (!dim_number(f, t->dim[i], &shape[i])) return false;
		if (shape[i] < 0)
			return fail(f->it, EVAL_DIM, "dimension %s of @%s is %lld", dim_str(f->it->messages, t->dim[i]), f->func->name,
			            (long long)shape[i]);
	}
	return true;
}

static bool symbol_known(void *ctx, const char *sym)
{
	int64_t n;
	return dim_env_get(((Frame *)ctx)->env, sym, &n);
}

static const char *param_label(const Func *f, int k)
{
	if (f->param_path && f->param_path[k]) return f->param_path[k];
	return f->body->param[k]->name ? f->body->param[k]->name : "(unnamed)";
}

static bool misfit(Frame *f, int param, int axis, int64_t extent)
{
	Dim d = f->func->body->param[param]->type->dim[axis];
	return fail(f->it, EVAL_DIM, "axis %d of argument `%s` of @%s has %lld elements: no dimensions make %s that", axis,
	            param_label(f->func, param), f->func->name, (long long)extent, dim_str(f->it->messages, d));
}

/* Matches one entry of a parameter's type with an extent: checks it, or finds the one symbol it is linear in. */
static bool bind_entry(Frame *f, int param, int axis, int64_t extent, bool *progress)
{
	DimCtx *c = f->it->m->dims;
	Dim d = f->func->body->param[param]->type->dim[axis], solution;
	const char *sym;
	int64_t n;
	if (dim_eval(d, f->env, &n)) {
		if (n == extent) return true;
		return fail(f->it, EVAL_DIM, "axis %d of argument `%s` of @%s has %lld elements, its type says %s%lld", axis,
		            param_label(f->func, param), f->func->name, (long long)extent,
		            dim_is_const(d, NULL) ? "" : arena_printf(f->it->messages, "%s = ", dim_str(f->it->messages, d)), (long long)n);
	}
	if (!dim_solve(c, NULL, d, dim_int(c, extent), symbol_known, f, &sym, &solution)) return true;
	if (dim_eval(solution, f->env, &n)) dim_env_set(f->env, sym, n);
	if (!dim_eval(d, f->env, &n) || n != extent) return misfit(f, param, axis, extent);
	return *progress = true;
}

/* At an entry every dimension of an argument's type must have come out; a call may leave some to the caller. */
static bool check_bound(Frame *f, Tensor *const *args)
{
	Block *b = f->func->body;
	int64_t n;
	for (int k = 0; k < b->nparam && !f->caller; k++)
		for (int i = 0; i < args[k]->rank; i++)
			if (!dim_eval(b->param[k]->type->dim[i], f->env, &n)) return misfit(f, k, i, args[k]->shape[i]);
	return true;
}

static bool bind_params(Frame *f, Tensor *const *args)
{
	Block *b = f->func->body;
	bool progress = true;
	for (int k = 0; k < b->nparam; k++) {
		const Type *t = b->param[k]->type;
		if (args[k]->dtype != t->dtype || args[k]->rank != t->rank)
			return fail(f->it, EVAL_DIM, "argument `%s` of @%s is %s of rank %d, its type is %s", param_label(f->func, k), f->func->name,
			            dtype_name(args[k]->dtype), args[k]->rank, type_str(f->it->messages, t));
	}
	while (progress) {
		progress = false;
		for (int k = 0; k < b->nparam; k++)
			for (int i = 0; i < args[k]->rank; i++)
				if (!bind_entry(f, k, i, args[k]->shape[i], &progress)) return false;
	}
	for (int k = 0; k < b->nparam; k++) map_set(&f->values, b->param[k], args[k]);
	return check_bound(f, args);
}

/* What the function states of its dimensions: ranges of the symbols, relations. */
static void check_range(void *ctx, const char *sym)
{
	Frame *f = ctx;
	int64_t n, lo, hi, step;
	if (f->it->status || !dim_env_get(f->env, sym, &n) || !dim_range_of(f->func->facts, sym, &lo, &hi, &step)) return;
	if (n < lo || n > hi)
		fail(f->it, EVAL_DIM, "dimension %s of @%s is %lld, outside %lld..%lld", sym, f->func->name, (long long)n, (long long)lo,
		     (long long)hi);
	else if (!dim_allows(f->func->facts, sym, n) && dim_values_of(f->func->facts, sym).only)
		fail(f->it, EVAL_DIM, "dimension %s of @%s is %lld, none of its values", sym, f->func->name, (long long)n);
	else if (step > 1 && n % step)
		fail(f->it, EVAL_DIM, "dimension %s of @%s is %lld, not a multiple of %lld", sym, f->func->name, (long long)n, (long long)step);
}

static bool check_facts(Frame *f)
{
	Block *b = f->func->body;
	for (int k = 0; k < b->nparam; k++)
		for (int i = 0; i < b->param[k]->type->rank; i++) dim_symbols(b->param[k]->type->dim[i], check_range, f);
	for (int i = 0; i < dim_fact_count(f->func->facts) && !f->it->status; i++) {
		bool equality;
		int64_t n;
		Dim d = dim_fact_at(f->func->facts, i, &equality);
		if (dim_eval(d, f->env, &n) && (equality ? n != 0 : n < 0))
			return fail(f->it, EVAL_DIM, "@%s states that %s %s 0, and it is %lld", f->func->name, dim_str(f->it->messages, d),
			            equality ? "==" : ">=", (long long)n);
	}
	return f->it->status == EVAL_OK;
}

/* --- plain ops ------------------------------------------------------------------------------------------------------------------- */
static bool run_block(Frame *f, Block *b);

static Tensor *value_of(Frame *f, const Value *v)
{
	Tensor *t = map_get(&f->values, v);
	assert(t && "a value is used before it is computed");
	return t;
}

static Tensor **operands(Frame *f, const Op *op)
{
	Tensor **t = NEW_ARRAY(f->it->scratch, Tensor *, op->nin);
	for (int i = 0; i < op->nin; i++) t[i] = value_of(f, op->in[i]);
	return t;
}

/* attrs with numbers for all dimensions. */
static bool concrete_attrs(Frame *f, const Op *op, const Attr **out)
{
	Attr *at = arena_copy(f->it->scratch, op->attrs, sizeof(Attr) * (size_t)op->nattr);
	int64_t n;
	for (int i = 0; i < op->nattr; i++) {
		if (attr_kind(at[i].key) == AK_DIM) {
			if (!dim_number(f, at[i].v.dim, &n)) return false;
			at[i].v.dim = dim_int(f->it->m->dims, n);
		} else if (attr_kind(at[i].key) == AK_DIMS) {
			Dim *d = NEW_ARRAY(f->it->scratch, Dim, at[i].n);
			for (int k = 0; k < at[i].n; k++) {
				if (!dim_number(f, at[i].v.dims[k], &n)) return false;
				d[k] = dim_int(f->it->m->dims, n);
			}
			at[i].v.dims = d;
		}
	}
	*out = at;
	return true;
}

static bool run_plain(Frame *f, Op *op)
{
	OpView v = {op->code, op->nin, op->nattr, op->nout, op->in, op->out, NULL, op->loc};
	Tensor **out = NEW_ARRAY(f->it->scratch, Tensor *, op->nout);
	int64_t shape[MAX_RANK];
	if (!concrete_attrs(f, op, &v.attrs)) return false;
	for (int i = 0; i < op->nout; i++) {
		if (!type_shape(f, op->out[i]->type, shape)) return false;
		out[i] = tensor_new(f->arena, op->out[i]->type->dtype, op->out[i]->type->rank, shape);
		map_set(&f->values, op->out[i], out[i]);
	}
	op_row(op->code)->eval(f->it->scratch, &v, operands(f, op), out);
	return true;
}

void ir_eval_op(Arena *a, const OpView *v, const Type *const *types, Tensor *const *in, Tensor **out)
{
	int64_t shape[MAX_RANK];
	for (int i = 0; i < v->nout; i++) {
		for (int k = 0; k < types[i]->rank; k++) {
			bool known = dim_is_const(types[i]->dim[k], &shape[k]);
			assert(known && "one op is evaluated at constant shapes");
			(void)known;
		}
		out[i] = tensor_new(a, types[i]->dtype, types[i]->rank, shape);
	}
	op_row(v->code)->eval(a, v, in, out);
}

static bool run_effect(Frame *f, const Op *op)
{
	const EvalHooks *h = f->it->hooks;
	Tensor **t = operands(f, op);
	const char *message = op_str(op, AT_message) ? op_str(op, AT_message) : "";
	if (op->code == OP_print) {
		if (h && h->print) h->print(h->ctx, message, t, op->nin);
		return true;
	}
	if (*(const bool *)t[0]->data || (h && h->assert_failed && h->assert_failed(h->ctx, op, t + 1, op->nin - 1))) return true;
	return fail(f->it, EVAL_ASSERT, "assertion failed%s%s", *message ? ": " : "", message);
}

/* --- calls, loops, branches --------------------------------------------------------------------------------------------------- */
/* Evaluates func in an arena of its own; results[] go to `to`. */
static bool run_call(Interp *it, Frame *caller, Func *func, Tensor *const *args, DimEnv *env, Arena *to, Tensor **results)
{
	Arena *own = arena_child(to);
	Frame f = {.it = it, .func = func, .env = env ? env : dim_env_new(own), .caller = caller, .arena = own};
	map_init(&f.values, own);
	bool ok = bind_params(&f, args) && (caller || check_facts(&f)) && run_block(&f, func->body);
	for (int i = 0; ok && i < func->body->nresult; i++) results[i] = tensor_copy(to, value_of(&f, func->body->result[i]));
	arena_free(own);
	return ok;
}

static bool run_call_op(Frame *f, Op *op)
{
	Tensor **args = arena_copy(f->arena, operands(f, op), sizeof(Tensor *) * (size_t)op->nin);
	Tensor **results = NEW_ARRAY(f->arena, Tensor *, op->nout);
	if (!run_call(f->it, f, op_attr(op, AT_func)->v.func, args, NULL, f->arena, results)) return false;
	for (int i = 0; i < op->nout; i++) map_set(&f->values, op->out[i], results[i]);
	return true;
}

static bool run_cond(Frame *f, Op *op)
{
	Block *arm = op->region[*(const bool *)value_of(f, op->in[0])->data ? 0 : 1];
	if (!run_block(f, arm)) return false;
	for (int i = 0; i < op->nout; i++) map_set(&f->values, op->out[i], value_of(f, arm->result[i]));
	return true;
}

typedef struct Loop {
	Op *op;
	int ncarry, nscan, nstack;
	bool bounded, reverse;
	int64_t trips;
	Tensor **carry, **scan, **stack;
	Arena *step, *kept[2]; /* one step's values; the carries of this step and of the one before */
} Loop;

static bool loop_begin(Frame *f, Op *op, Loop *l)
{
	const Attr *trips = op_attr(op, AT_trips);
	int64_t shape[MAX_RANK];
	*l = (Loop){.op = op,
	            .ncarry = (int)op_int(op, AT_ncarry, 0),
	            .nscan = (int)op_int(op, AT_nscan, 0),
	            .bounded = trips != NULL,
	            .reverse = op_bool(op, AT_reverse)};
	l->nstack = op->nout - l->ncarry;
	if (trips && !dim_number(f, trips->v.dim, &l->trips)) return false;
	if (op_bool(op, AT_limit)) {
		int64_t limit = *(const int32_t *)value_of(f, op->in[op->nin - 1])->data;
		if (limit < l->trips) l->trips = limit < 0 ? 0 : limit;
	}
	l->carry = NEW_ARRAY(f->arena, Tensor *, op->nin);
	for (int i = 0; i < op->nin; i++) l->carry[i] = value_of(f, op->in[i]);
	l->scan = l->carry + l->ncarry;
	l->stack = NEW_ARRAY(f->arena, Tensor *, l->nstack);
	for (int k = 0; k < l->nstack; k++) {
		const Type *t = op->out[l->ncarry + k]->type;
		if (!type_shape(f, t, shape)) return false;
		l->stack[k] = tensor_new(f->arena, t->dtype, t->rank, shape);
	}
	l->step = arena_child(f->arena);
	l->kept[0] = arena_child(f->arena);
	l->kept[1] = arena_child(f->arena);
	return true;
}

static void *row_of(const Tensor *t, int64_t i, size_t *bytes)
{
	*bytes = t->shape[0] ? tensor_bytes(t) / (size_t)t->shape[0] : 0;
	return (char *)t->data + (size_t)i * *bytes;
}

static bool loop_goes_on(Frame *f, Loop *l, bool *go)
{
	*go = true;
	if (l->op->nregion < 2) return true;
	Block *w = l->op->region[1];
	for (int k = 0; k < l->ncarry; k++) map_set(&f->values, w->param[k], l->carry[k]);
	if (!run_block(f, w)) return false;
	*go = *(const bool *)value_of(f, w->result[0])->data;
	return true;
}

static bool loop_step(Frame *f, Loop *l, int64_t i, int64_t count)
{
	Block *b = l->op->region[0];
	Arena *to = l->kept[count % 2];
	size_t bytes;
	if (f->it->hooks && f->it->hooks->max_steps && ++f->it->steps > f->it->hooks->max_steps)
		return fail(f->it, EVAL_STEPS, "more than %lld loop steps", (long long)f->it->hooks->max_steps);
	map_set(&f->values, b->param[0], tensor_scalar(f->arena, scalar_from_int(i, DT_i32)));
	for (int k = 0; k < l->ncarry; k++) map_set(&f->values, b->param[1 + k], l->carry[k]);
	for (int k = 0; k < l->nscan; k++) {
		Tensor *row = tensor_new(f->arena, l->scan[k]->dtype, l->scan[k]->rank - 1, l->scan[k]->shape + 1);
		const void *from = row_of(l->scan[k], i, &bytes);
		memcpy(row->data, from, bytes);
		map_set(&f->values, b->param[1 + l->ncarry + k], row);
	}
	if (!run_block(f, b)) return false;
	arena_reset(to, (ArenaMark){0});
	for (int k = 0; k < l->ncarry; k++) l->carry[k] = tensor_copy(to, value_of(f, b->result[k]));
	for (int k = 0; k < l->nstack; k++) {
		void *dst = row_of(l->stack[k], i, &bytes);
		memcpy(dst, value_of(f, b->result[l->ncarry + k])->data, bytes);
	}
	return true;
}

static bool run_loop(Frame *f, Op *op)
{
	Loop l;
	Arena *outside = f->arena;
	bool ok = loop_begin(f, op, &l), go = true;
	if (!ok) return false;
	f->arena = l.step;
	for (int64_t n = 0; ok && (!l.bounded || n < l.trips); n++) {
		ok = loop_goes_on(f, &l, &go);
		if (!ok || !go) break;
		ok = loop_step(f, &l, l.reverse ? l.trips - 1 - n : n, n);
		arena_reset(l.step, (ArenaMark){0});
	}
	f->arena = outside;
	for (int k = 0; ok && k < l.ncarry; k++) map_set(&f->values, op->out[k], tensor_copy(outside, l.carry[k]));
	for (int k = 0; ok && k < l.nstack; k++) map_set(&f->values, op->out[l.ncarry + k], l.stack[k]);
	arena_free(l.step);
	arena_free(l.kept[0]);
	arena_free(l.kept[1]);
	return ok;
}

static bool run_block(Frame *f, Block *b)
{
	for (Op *op = b->first; op; op = op->next) {
		ArenaMark mark = arena_mark(f->it->scratch);
		unsigned flags = op_row(op->code)->flags;
		bool ok;
		if (flags & OPF_EFFECT) ok = run_effect(f, op);
		else if (!(flags & OPF_REGION)) ok = run_plain(f, op);
		else if (op->code == OP_call) ok = run_call_op(f, op);
		else if (op->code == OP_loop) ok = run_loop(f, op);
		else ok = run_cond(f, op);
		arena_reset(f->it->scratch, mark);
		if (!ok) return false;
	}
	return true;
}

EvalStatus ir_eval(Arena *a, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, const EvalHooks *hooks, const char **why)
{
	const char *unread;
	Interp it = {.m = f->module, .scratch = arena_child(a), .hooks = hooks, .why = why ? why : &unread, .messages = a};
	arena_alloc(it.scratch, 1); /* keeps its first chunk through resets */
	run_call(&it, NULL, f, args, env, a, results);
	arena_free(it.scratch);
	return it.status;
}

EvalStatus ir_bind_dims(Arena *a, Func *f, Tensor *const *args, DimEnv *env, const char **why)
{
	Interp it = {.m = f->module, .why = why, .messages = a};
	Frame frame = {.it = &it, .func = f, .env = env, .arena = a};
	map_init(&frame.values, a);
	if (bind_params(&frame, args)) check_facts(&frame);
	return it.status;
}
