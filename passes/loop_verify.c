/* The rules of loop IR, one function per construct; a breach is reported once for its kernel or step, naming function, kernel and stage.
 *
 * Axes: bound once on a path, used where bound; stages of a kernel begin with its outer axes. Values: defined before they are used, of the
 * dtypes that their node needs. Buffers: of the function, accessed with an index per axis, in bounds where that can be decided; rows in one
 * kernel; constants and plain parameters are not written. Steps: operands of the types that they need. */
#include <string.h>
#include "loop_cut.h"
#include "loop_text.h"
#include "loop_walk.h"

typedef struct Verifier {
	Program *p;
	LoopFunc *f;
	const Step *step;
	const Nest *stage;
	bool from_text, ok, step_ok;
	Map axes, nodes; /* bound axes and defined nodes: themselves */
	Map rows;        /* BUF_ROW -> Kernel */
	int guards;      /* IFs around */
} Verifier;

static bool fail(Verifier *v, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool fail(Verifier *v, Loc loc, const char *fmt, ...)
{
	va_list ap;
	if (!v->step_ok) return false;
	v->ok = v->step_ok = false;
	va_start(ap, fmt);
	Arena *a = v->p->m->arena;
	const char *text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	const Kernel *k = v->step ? v->step->kernel : NULL;
	if (k) text = arena_printf(a, "kernel @%s, stage %s: %s", k->name, v->stage ? v->stage->what : "", text);
	diag(v->p->m->diag, v->from_text ? DIAG_ERROR : DIAG_BUG, loc, "loops.verify", "@%s: %s", v->f->name, text);
	return false;
}

/* --- axes -------------------------------------------------------------------------------------------------------------------------------
 */
static bool bind(Verifier *v, Loc loc, const Axis *const *axis, int n)
{
	for (int i = 0; i < n; i++) {
		if (map_get(&v->axes, axis[i])) return fail(v, loc, "axis `%s` is bound twice", axis[i]->name);
		if (!axis[i]->extent) return fail(v, loc, "axis `%s` has no extent", axis[i]->name);
		map_set(&v->axes, axis[i], (void *)axis[i]);
	}
	return true;
}

static void release(Verifier *v, const Axis *const *axis, int n)
{
	for (int i = 0; i < n; i++) map_set(&v->axes, axis[i], NULL);
}

static bool check_position(Verifier *v, Loc loc, const Index *x)
{
	for (int i = 0; i < x->n; i++) {
		const Term *t = &x->term[i];
		if (t->axis && !map_get(&v->axes, t->axis)) return fail(v, loc, "axis `%s` is used where it is not bound", t->axis->name);
		if (t->node && !map_get(&v->nodes, t->node)) return fail(v, loc, "%%%d is used where it is not defined", t->node->id);
		if (t->node && !dtype_is_int(t->node->dtype))
			return fail(v, loc, "%%%d is an index and has dtype %s", t->node->id, dtype_name(t->node->dtype));
	}
	return true;
}

/* --- buffers ----------------------------------------------------------------------------------------------------------------------------
 */
static bool known(const Verifier *v, const Buf *b)
{
	for (int i = 0; i < v->f->bufs.n; i++)
		if (v->f->bufs.at[i] == b) return true;
	return false;
}

/* The least and the greatest value that the axes give the index; false where a node or a coefficient leaves it open. */
static bool index_range(const Verifier *v, const Index *x, Dim *lo, Dim *hi)
{
	DimCtx *c = v->p->m->dims;
	*lo = *hi = x->add;
	for (int i = 0; i < x->n; i++) {
		int64_t k;
		const Axis *a = x->term[i].axis;
		if (!a || !a->extent || !dim_is_const(x->term[i].coef, &k) || !dim_provable_less(v->f->func->facts, dim_int(c, 0), a->extent))
			return false;
		Dim most = dim_scale(c, dim_sub(c, a->extent, dim_int(c, 1)), k, 1);
		if (k > 0) *hi = dim_add(c, *hi, most);
		else *lo = dim_add(c, *lo, most);
	}
	return true;
}

static bool check_bounds(Verifier *v, Loc loc, const Buf *b, const Index *index)
{
	DimCtx *c = v->p->m->dims;
	const DimFacts *facts = v->f->func->facts;
	for (int i = 0; i < b->type->rank && !v->guards; i++) {
		Dim lo, hi;
		if (!index_range(v, &index[i], &lo, &hi)) continue;
		if (dim_provable_nonneg(facts, dim_sub(c, hi, b->type->dim[i])))
			return fail(v, loc, "index %d of `%s` reaches %s, and the axis has %s elements", i, b->name, dim_str(v->p->m->arena, hi),
			            dim_str(v->p->m->arena, b->type->dim[i]));
		if (dim_provable_less(facts, lo, dim_int(c, 0)))
			return fail(v, loc, "index %d of `%s` reaches %s", i, b->name, dim_str(v->p->m->arena, lo));
	}
	return true;
}

static bool check_writable(Verifier *v, Loc loc, Buf *b)
{
	Buf *r = buf_root(b);
	if (r->space == BUF_CONST) return fail(v, loc, "the constant `%s` is written", r->name);
	if (r->space == BUF_PARAM && !r->inout) return fail(v, loc, "the parameter `%s` is written and not inout", r->name);
	return true;
}

static bool check_row(Verifier *v, Loc loc, Buf *b, const Index *index, int nindex)
{
	const Kernel *k = v->step->kernel, *other = map_get(&v->rows, b);
	if (b->space != BUF_ROW) return true;
	if (other && other != k) return fail(v, loc, "the row `%s` is of kernel @%s", b->name, other->name);
	map_set(&v->rows, b, (void *)k);
	if (b->drop > k->nouter) return fail(v, loc, "the row `%s` is without %d axes, and %d are outer ones", b->name, b->drop, k->nouter);
	if (index && !index_aligned(index, nindex, k->outer, b->drop))
		return fail(v, loc, "the row `%s` is accessed at another row than that of the outer axes", b->name);
	return true;
}

static bool check_buf(Verifier *v, Loc loc, Buf *b, bool writes)
{
	if (!known(v, b)) return fail(v, loc, "`%s` is not a buffer of this function", b->name);
	return (!writes || check_writable(v, loc, b)) && check_row(v, loc, b, NULL, 0);
}

static bool check_access(Verifier *v, const Node *n, Buf *b, bool writes)
{
	if (!check_buf(v, n->loc, b, writes)) return false;
	if (n->nindex != b->type->rank)
		return fail(v, n->loc, "`%s` is %s and has %d indices", b->name, type_str(v->p->m->arena, b->type), n->nindex);
	for (int i = 0; i < n->nindex; i++)
		if (!check_position(v, n->loc, &n->index[i])) return false;
	return check_row(v, n->loc, b, n->index, n->nindex) && check_bounds(v, n->loc, b, n->index);
}

/* --- nodes ------------------------------------------------------------------------------------------------------------------------------
 */
static bool check_body(Verifier *v, const Body *b);

static bool dtype_is(Verifier *v, const Node *n, const char *what, DType is, DType wanted)
{
	return is == wanted || fail(v, n->loc, "%s is %s, not %s", what, dtype_name(is), dtype_name(wanted));
}

static bool check_op(Verifier *v, const Node *n)
{
	const OpRow *r = op_row(n->op);
	if (n->narg != r->nin) return fail(v, n->loc, "`%s` takes %d operands, not %d", r->name, r->nin, n->narg);
	if (!op_takes(n->op, n->from)) return fail(v, n->loc, "`%s` does not take %s", r->name, dtype_name(n->from));
	for (int i = 0; i < n->narg; i++) {
		DType wanted = n->narg == 3 && i == 0 ? DT_bool : n->from;
		if (!dtype_is(v, n, "an operand", n->arg[i]->dtype, wanted)) return false;
	}
	switch (r->gives) {
	case RC_SAME: return dtype_is(v, n, "the result", n->dtype, n->from);
	case RC_BOOL: return dtype_is(v, n, "the result", n->dtype, DT_bool);
	case RC_ABSOF: return dtype_is(v, n, "the result", n->dtype, n->from == DT_c64 ? DT_f32 : n->from);
	case RC_CPLX: return dtype_is(v, n, "the result", n->dtype, DT_c64);
	case RC_DTYPE: break;
	}
	return true;
}

/* Bodies with a result: its dtype is the node's. */
static bool check_result(Verifier *v, const Node *n, const Body *b, DType d)
{
	if (!b->result) return fail(v, n->loc, "a body yields nothing");
	return dtype_is(v, n, "what a body yields", b->result->dtype, d);
}

static bool check_if(Verifier *v, const Node *n)
{
	if (n->narg != 1) return fail(v, n->loc, "`if` takes one operand");
	if (!dtype_is(v, n, "the condition", n->arg[0]->dtype, DT_bool)) return false;
	v->guards++;
	bool ok = check_body(v, n->body) && (!n->other || check_body(v, n->other));
	v->guards--;
	if (!ok || !n->body->result) return ok;
	if (!n->other) return fail(v, n->loc, "`if` has a value and no `else`");
	return check_result(v, n, n->body, n->dtype) && check_result(v, n, n->other, n->dtype);
}

static bool check_nest_node(Verifier *v, const Node *n)
{
	bool scans = n->kind == N_SCAN, values = n->kind != N_FOR;
	if (n->kind != N_REDUCE && n->naxis != 1) return fail(v, n->loc, "`%s` goes over one axis, not %d", loop_nodes[n->kind].word, n->naxis);
	if (!bind(v, n->loc, n->axis, n->naxis) || !check_body(v, n->body)) return false;
	if (scans && (!check_access(v, n, n->buf, true) || (n->buf2 && !check_access(v, n, n->buf2, true)))) return false;
	if (scans && n->op == OP_linrec && !n->body->result2) return fail(v, n->loc, "`scan linrec` needs two values");
	release(v, n->axis, n->naxis);
	if (!values) return true;
	if (n->kind == N_ARG)
		return (n->body->result != NULL && dtype_is(v, n, "the result", n->dtype, DT_u32)) || fail(v, n->loc, "a body yields nothing");
	return check_result(v, n, n->body, scans ? n->buf->type->dtype : n->dtype);
}

/* A call that is shared out: all of its parts, and it is all that its kernel does. */
static bool check_part(Verifier *v, const Node *n)
{
	Dim parts = raw_parts(v->p->m->dims, n);
	const Kernel *k = v->step->kernel;
	if (!n->naxis) return true;
	if (n->naxis != 1 || !parts) return fail(v, n->loc, "`%s` has no parts along %d axes", n->mode, n->naxis);
	if (k->nstages > 1 || k->stages[0]->naxis) return fail(v, n->loc, "`%s` has parts and is not alone in its kernel", n->mode);
	if (!bind(v, n->loc, n->axis, 1)) return false;
	release(v, n->axis, 1);
	if (n->axis[0]->extent != parts)
		return fail(v, n->loc, "`%s` has %s parts, not %s", n->mode, dim_str(v->p->m->arena, parts),
		            dim_str(v->p->m->arena, n->axis[0]->extent));
	return raw_parts_apart(n) || fail(v, n->loc, "a part of `%s` reads what another one writes", n->mode);
}

static bool check_raw(Verifier *v, const Node *n)
{
	if (n->buf && !check_buf(v, n->loc, n->buf, true)) return false;
	if (n->buf2 && !check_buf(v, n->loc, n->buf2, true)) return false;
	if ((n->src && !check_buf(v, n->loc, n->src, false)) || (n->src2 && !check_buf(v, n->loc, n->src2, false))) return false;
	if (n->table && !check_buf(v, n->loc, n->table, false)) return false;
	for (int i = 0; i < n->nuses; i++)
		if (!check_buf(v, n->loc, n->uses[i], false)) return false;
	for (int i = 0; i < n->nindex; i++)
		if (!check_position(v, n->loc, &n->index[i])) return false;
	return check_part(v, n);
}

static bool check_store(Verifier *v, const Node *n)
{
	OpCode op;
	if (n->narg != 1) return fail(v, n->loc, "`store` takes one operand");
	if (n->mode && (!op_find(n->mode, &op) || !op_is_elementwise(op) || op_row(op)->nin != 2))
		return fail(v, n->loc, "`store`: `%s` is no op of two operands", n->mode);
	return check_access(v, n, n->buf, true) && dtype_is(v, n, "what is stored", n->arg[0]->dtype, n->buf->type->dtype);
}

static bool check_node(Verifier *v, const Node *n)
{
	for (int i = 0; i < n->narg; i++)
		if (!map_get(&v->nodes, n->arg[i])) return fail(v, n->loc, "%%%d is used where it is not defined", n->arg[i]->id);
	switch (n->kind) {
	case N_CONST: return dtype_is(v, n, "the number", n->value.dtype, n->dtype);
	case N_OP: return check_op(v, n);
	case N_LOAD: return check_access(v, n, n->buf, false) && dtype_is(v, n, "the result", n->dtype, n->buf->type->dtype);
	case N_STORE: return check_store(v, n);
	case N_INDEX: return check_position(v, n->loc, n->index);
	case N_IDIV:
	case N_IMOD: return check_position(v, n->loc, n->index) && dtype_is(v, n, "the result", n->dtype, DT_i64);
	case N_TEST:
	case N_MULTIPLE: return check_position(v, n->loc, n->index) && dtype_is(v, n, "the result", n->dtype, DT_bool);
	case N_CLAMP:
	case N_INRANGE:
		if (n->narg != 1) return fail(v, n->loc, "`%s` takes one operand", loop_nodes[n->kind].word);
		if (!dtype_is_int(n->arg[0]->dtype))
			return fail(v, n->loc, "%%%d is an index and has dtype %s", n->arg[0]->id, dtype_name(n->arg[0]->dtype));
		return dtype_is(v, n, "the result", n->dtype, n->kind == N_CLAMP ? DT_i64 : DT_bool);
	case N_IF: return check_if(v, n);
	case N_FOR:
	case N_REDUCE:
	case N_ARG:
	case N_SCAN: return check_nest_node(v, n);
	case N_RAW: return check_raw(v, n);
	}
	return true;
}

static bool check_body(Verifier *v, const Body *b)
{
	bool ok = true;
	for (const Node *n = b->first; ok && n; n = n->next) {
		ok = check_node(v, n);
		map_set(&v->nodes, n, (void *)n);
	}
	if (ok && b->result && !map_get(&v->nodes, b->result))
		ok = fail(v, b->result->loc, "%%%d is yielded where it is not defined", b->result->id);
	for (const Node *n = b->first; n; n = n->next) map_set(&v->nodes, n, NULL);
	return ok;
}

/* --- kernels
 * ------------------------------------------------------------------------------------------------------------------------------ */
static bool begins_with_outer(const Kernel *k, const Axis *const *axis, int n)
{
	if (n < k->nouter) return false;
	for (int i = 0; i < k->nouter; i++)
		if (axis[i] != k->outer[i]) return false;
	return true;
}

static bool check_nest(Verifier *v, const Axis *const *axis, int n, const Body *b, Loc loc)
{
	if (v->step->kernel->nstages > 1 && !begins_with_outer(v->step->kernel, axis, n))
		return fail(v, loc, "its axes do not begin with the outer ones");
	bool ok = bind(v, loc, axis, n) && check_body(v, b);
	release(v, axis, n);
	return ok;
}

static void check_kernel(Verifier *v, const Kernel *k)
{
	for (int i = 0; i < k->nstages && v->step_ok; i++) {
		const Nest *s = v->stage = k->stages[i];
		if (s->init && !check_nest(v, s->init_axis, s->ninit, s->init, s->loc)) return;
		if (!check_nest(v, s->axis, s->naxis, s->body, s->loc)) return;
	}
}

/* --- steps ------------------------------------------------------------------------------------------------------------------------------
 */
static bool check_scalar(Verifier *v, Buf *b, const char *what, bool wants_bool)
{
	if (!check_buf(v, v->step->loc, b, false)) return false;
	if (b->type->rank || (wants_bool ? b->type->dtype != DT_bool : !dtype_is_int(b->type->dtype)))
		return fail(v, v->step->loc, "%s `%s` is %s, not %s", what, b->name, type_str(v->p->m->arena, b->type),
		            wants_bool ? "bool" : "an integer");
	return true;
}

static bool check_call(Verifier *v, const Step *s)
{
	const Func *g = s->callee->func;
	if (s->nargs != g->body->nparam || s->nresults != g->body->nresult)
		return fail(v, s->loc, "@%s takes %d arguments and gives %d results, not %d and %d", g->name, g->body->nparam, g->body->nresult,
		            s->nargs, s->nresults);
	for (int i = 0; i < s->nargs; i++)
		if (!check_buf(v, s->loc, s->args[i], false)) return false;
	for (int i = 0; i < s->nresults; i++)
		if (!check_buf(v, s->loc, s->results[i], true)) return false;
	return !s->scratch || s->scratch->callee == s->callee || fail(v, s->loc, "`%s` is not memory for @%s", s->scratch->name, g->name);
}

static bool check_copy(Verifier *v, const Step *s)
{
	if (!check_buf(v, s->loc, s->dst, true) || !check_buf(v, s->loc, s->src, false)) return false;
	if (s->dst->type->dtype == s->src->type->dtype && s->dst->type->rank == s->src->type->rank) return true;
	return fail(v, s->loc, "`%s` is %s and `%s` is %s", s->dst->name, type_str(v->p->m->arena, s->dst->type), s->src->name,
	            type_str(v->p->m->arena, s->src->type));
}

static void check_when(Verifier *v, const Step *s)
{
	const Func *g = v->f->func;
	for (int i = 0; i < g->ndims; i++)
		if (!strcmp(g->dims[i], s->dim)) return;
	fail(v, s->loc, "`when`: @%s has no dimension %s", g->name, s->dim);
}

static void check_step(void *ctx, StepList *list, Step *s)
{
	Verifier *v = ctx;
	(void)list;
	v->step = s, v->stage = NULL, v->step_ok = true, v->guards = 0;
	switch (s->kind) {
	case STEP_KERNEL: check_kernel(v, s->kernel); break;
	case STEP_LOOP:
		if (s->limit && !check_scalar(v, s->limit, "the limit", false)) break;
		if (s->cond && !check_scalar(v, s->cond, "the condition", true)) break;
		if (s->counter) check_scalar(v, s->counter, "the counter", false);
		break;
	case STEP_COND: check_scalar(v, s->cond, "the condition", true); break;
	case STEP_WHEN: check_when(v, s); break;
	case STEP_CALL: check_call(v, s); break;
	case STEP_COPY: check_copy(v, s); break;
	case STEP_PRINT:
	case STEP_ASSERT:
		for (int i = 0; i < s->nvalues; i++) check_buf(v, s->loc, s->values[i], false);
		if (s->kind == STEP_ASSERT && !s->nvalues) fail(v, s->loc, "`assert` needs a value");
		else if (s->kind == STEP_ASSERT) check_scalar(v, s->values[0], "the condition", true);
		break;
	}
	v->step = NULL;
}

/* Run-time loops bind their axis for what stands in them: the axes of row buffers and of the kernels inside. */
static void bind_loop(void *ctx, StepList *list, Step *s)
{
	Verifier *v = ctx;
	(void)list;
	if (s->kind == STEP_LOOP) map_set(&v->axes, s->axis, (void *)s->axis);
}

static void check_signature(Verifier *v)
{
	const Func *g = v->f->func;
	Arena *a = v->p->m->arena;
	v->step_ok = true;
	for (int i = 0; i < g->body->nparam; i++)
		if (v->f->param[i]->type != g->body->param[i]->type)
			fail(v, g->loc, "parameter %d is %s, and its buffer %s", i, type_str(a, g->body->param[i]->type),
			     type_str(a, v->f->param[i]->type));
	for (int i = 0; i < g->body->nresult; i++)
		if (v->f->result[i]->type != g->body->result[i]->type)
			fail(v, g->loc, "result %d is %s, and its buffer %s", i, type_str(a, g->body->result[i]->type),
			     type_str(a, v->f->result[i]->type));
	for (int i = 0; i < v->f->bufs.n; i++) {
		const Buf *b = v->f->bufs.at[i];
		if (b->space == BUF_ALIAS && b->has_row && !b->base->type->rank)
			fail(v, g->loc, "`%s` is a row of `%s`, which has no axis", b->name, b->base->name);
		if (b->space == BUF_ROW && b->drop > b->type->rank) fail(v, g->loc, "`%s` is without more axes than it has", b->name);
		if (b->space == BUF_SCALAR && b->type->rank) fail(v, g->loc, "the scalar `%s` is %s", b->name, type_str(a, b->type));
	}
}

bool loops_verify(Program *p, bool from_text)
{
	bool ok = true;
	for (int i = 0; i < p->funcs.n; i++) {
		Arena *scratch = arena_child(p->m->arena);
		Verifier v = {.p = p, .f = p->funcs.at[i], .from_text = from_text, .ok = true, .step_ok = true};
		map_init(&v.axes, scratch), map_init(&v.nodes, scratch), map_init(&v.rows, scratch);
		check_signature(&v);
		steps_walk(&v.f->steps, bind_loop, &v);
		if (v.ok) steps_walk(&v.f->steps, check_step, &v);
		arena_free(scratch);
		ok &= v.ok;
	}
	return ok;
}
