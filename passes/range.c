/* range: which variant of an elementary function does, by what is known of its operand's sign.
 *
 * Needs fused loop IR, writes Node.variant, changes no value: `exp.neg` (mx_exp_neg_f32) has the bits of exp wherever the operand is zero,
 * negative or nan, and is cheaper. What is known: a node is of one sign by its op (abs, exp, x * x, maximum with a constant, …), or it is
 * x - m where m is the largest of all x, computed in the same kernel over the same expression: the way of softmax and logsumexp.
 * With --fast-math tanh and erf become their rational approximations (5 to 6 ULP; docs/numerics.md), whatever their operand. */
#include <string.h>
#include "loop_walk.h"
#include "passes.h"

typedef struct Range {
	const Kernel *k;
	int stage; /* of the node in question */
	bool fast, changed;
	/* while two expressions are compared: axes of the first and what they are in the second; NULL: not met yet, any of that extent */
	const Axis *from[2 * MAX_RANK], *to[2 * MAX_RANK];
	int naxes;
} Range;

enum { DEPTH = 24 }; /* of an expression that is looked into */

/* --- the same expression, axes renamed --------------------------------------------------------------------------------------------------
 */
static bool is_target(const Range *r, const Axis *b)
{
	for (int i = 0; i < r->naxes; i++)
		if (r->to[i] == b) return true;
	return false;
}

static bool same_axis(Range *r, const Axis *a, const Axis *b)
{
	for (int i = 0; i < r->naxes; i++)
		if (r->from[i] == a) {
			if (!r->to[i] && dim_equal(a->extent, b->extent) && !is_target(r, b)) r->to[i] = b;
			return r->to[i] == b;
		}
	return a == b;
}

static bool same_index(Range *r, const Index *a, const Index *b)
{
	if (a->n != b->n || !dim_equal(a->add, b->add)) return false;
	for (int i = 0; i < a->n; i++)
		if (!a->term[i].axis || !b->term[i].axis || !dim_equal(a->term[i].coef, b->term[i].coef) ||
		    !same_axis(r, a->term[i].axis, b->term[i].axis))
			return false;
	return true;
}

static bool same_node(Range *r, const Node *a, const Node *b, int depth)
{
	if (a->kind != b->kind || a->dtype != b->dtype || a->narg != b->narg || a->nindex != b->nindex || depth == 0) return false;
	if (a->kind != N_LOAD && a->kind != N_OP && a->kind != N_CONST && a->kind != N_INDEX) return false;
	if (a->kind == N_LOAD && a->buf != b->buf) return false;
	if (a->kind == N_OP && (a->op != b->op || a->from != b->from)) return false;
	if (a->kind == N_CONST && (a->dtype == DT_c64 || a->value.v.u != b->value.v.u)) return false;
	for (int i = 0; i < a->nindex; i++)
		if (!same_index(r, &a->index[i], &b->index[i])) return false;
	for (int i = 0; i < a->narg; i++)
		if (!same_node(r, a->arg[i], b->arg[i], depth - 1)) return false;
	return true;
}

/* --- the largest of a row ---------------------------------------------------------------------------------------------------------------
 */
typedef struct Writes {
	const Buf *of;
	bool yes;
} Writes;

static void note_write(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Writes *w = p;
	(void)s, (void)index, (void)nindex;
	if ((kind & ACCESS_WRITE) && buf_root(b) == buf_root((Buf *)w->of)) w->yes = true;
}

/* Does a stage from `first` up to the one in question write what b's memory holds? */
static bool written_since(const Range *r, int first, const Buf *b)
{
	Writes w = {b, false};
	for (int i = first; i <= r->stage; i++) stage_accesses(r->k->stages[i], note_write, &w);
	return w.yes;
}

static bool loads_stay(const Range *r, int first, const Node *n)
{
	if (n->kind == N_LOAD && written_since(r, first, n->buf)) return false;
	for (int i = 0; i < n->narg; i++)
		if (!loads_stay(r, first, n->arg[i])) return false;
	return true;
}

/* reduce maximum of e, stored at `store`; m loads it: is x one of the values of e? */
static bool covers(Range *r, const Node *store, const Node *m, const Node *x)
{
	const Node *top = store->arg[0];
	r->naxes = 0;
	for (int i = 0; i < store->nindex; i++) {
		const Index *at = &store->index[i], *want = &m->index[i];
		if (at->n == 0 && want->n == 0 && dim_equal(at->add, want->add)) continue;
		if (at->n != 1 || !at->term[0].axis || want->n != 1 || !want->term[0].axis) return false;
		if (!dim_equal(at->term[0].coef, want->term[0].coef) || !dim_equal(at->add, want->add)) return false;
		r->from[r->naxes] = at->term[0].axis;
		r->to[r->naxes++] = want->term[0].axis;
	}
	for (int i = 0; i < top->naxis; i++) {
		r->from[r->naxes] = top->axis[i];
		r->to[r->naxes++] = NULL;
	}
	return same_node(r, top->body->result, x, DEPTH);
}

/* x <= m, or one of them is nan. */
static bool at_most(Range *r, const Node *x, const Node *m)
{
	if (m->kind == N_OP && m->op == OP_maximum) return m->arg[0] == x || m->arg[1] == x;
	if (m->kind != N_LOAD) return false;
	for (int i = 0; i < r->stage; i++) {
		const Nest *s = r->k->stages[i];
		if (s->out != m->buf || s->init || written_since(r, i + 1, m->buf)) continue;
		for (const Node *n = s->body->first; n; n = n->next)
			if (n->kind == N_STORE && n->buf == m->buf && !n->mode && n->arg[0]->kind == N_REDUCE && n->arg[0]->op == OP_maximum &&
			    covers(r, n, m, x) && loads_stay(r, i + 1, x))
				return true;
	}
	return false;
}

/* --- signs ------------------------------------------------------------------------------------------------------------------------------
 */
typedef bool Sign(Range *r, const Node *n, int depth);
static Sign never_negative;

/* What an earlier stage of the kernel stored, it alone, has the sign; so has each element. */
static bool stored_has(Range *r, const Node *load, int depth, Sign *sign)
{
	const Node *store = NULL;
	int here = r->stage, at = 0;
	while (at < here && r->k->stages[at]->out != load->buf) at++;
	if (at == here || r->k->stages[at]->init || load->buf->writes != 1 || load->buf->inout || written_since(r, at + 1, load->buf))
		return false;
	for (const Node *n = r->k->stages[at]->body->first; n; n = n->next) {
		if (n->kind == N_STORE && n->buf == load->buf) {
			if (store || n->mode) return false;
			store = n;
		} else if (n->body) {
			return false; /* it may store too */
		}
	}
	r->stage = at;
	bool yes = store && sign(r, store->arg[0], depth);
	r->stage = here;
	return yes;
}

static bool is_same(Range *r, const Node *a, const Node *b, int depth)
{
	r->naxes = 0;
	return a == b || same_node(r, a, b, depth);
}

/* n <= 0 or nan, of floats. */
static bool never_positive(Range *r, const Node *n, int depth)
{
	if (!depth--) return false;
	if (n->kind == N_CONST) return scalar_to_double(n->value) <= 0;
	if (n->kind == N_LOAD && n->buf) return stored_has(r, n, depth, never_positive);
	if (n->kind != N_OP || !dtype_is_float(n->dtype)) return false;
	const Node *a = n->arg[0], *b = n->narg > 1 ? n->arg[1] : NULL;
	switch (n->op) {
	case OP_neg: return never_negative(r, a, depth);
	case OP_sub: return at_most(r, a, b) || (never_positive(r, a, depth) && never_negative(r, b, depth));
	case OP_add:
	case OP_maximum: return never_positive(r, a, depth) && never_positive(r, b, depth);
	case OP_minimum: return never_positive(r, a, depth) || never_positive(r, b, depth);
	case OP_mul:
		if (a->kind == N_OP && a->op == OP_neg && is_same(r, a->arg[0], b, depth)) return true; /* -x * x */
		if (b->kind == N_OP && b->op == OP_neg && is_same(r, b->arg[0], a, depth)) return true;
		/* fall through */
	case OP_div:
		return (never_positive(r, a, depth) && never_negative(r, b, depth)) || (never_negative(r, a, depth) && never_positive(r, b, depth));
	case OP_select: return never_positive(r, b, depth) && never_positive(r, n->arg[2], depth);
	default: return false;
	}
}

/* n >= 0 or nan. */
static bool never_negative(Range *r, const Node *n, int depth)
{
	if (!depth--) return false;
	if (n->kind == N_CONST) return scalar_to_double(n->value) >= 0;
	if (n->kind == N_LOAD && n->buf) return stored_has(r, n, depth, never_negative);
	if (n->kind != N_OP || !dtype_is_float(n->dtype)) return false;
	const Node *a = n->arg[0], *b = n->narg > 1 ? n->arg[1] : NULL;
	switch (n->op) {
	case OP_abs:
	case OP_exp:
	case OP_sqrt:
	case OP_sigmoid:
	case OP_normal_cdf: return true;
	case OP_neg: return never_positive(r, a, depth);
	case OP_sub: return never_negative(r, a, depth) && never_positive(r, b, depth);
	case OP_add:
	case OP_minimum: return never_negative(r, a, depth) && never_negative(r, b, depth);
	case OP_maximum: return never_negative(r, a, depth) || never_negative(r, b, depth);
	case OP_mul:
		if (is_same(r, a, b, depth)) return true;
		return never_negative(r, a, depth) && never_negative(r, b, depth);
	case OP_div: return never_negative(r, a, depth) && never_negative(r, b, depth);
	case OP_select: return never_negative(r, b, depth) && never_negative(r, n->arg[2], depth);
	default: return false;
	}
}

/* --- the pass
 * ----------------------------------------------------------------------------------------------------------------------------- */
bool variant_exists(OpCode op, const char *variant)
{
	return (op == OP_exp && !strcmp(variant, "neg")) || ((op == OP_tanh || op == OP_erf) && !strcmp(variant, "fast"));
}

static void choose(void *p, Node *n)
{
	Range *r = p;
	if (n->kind != N_OP || n->variant || dtype_compute(n->dtype) != DT_f32) return;
	if (n->op == OP_exp && never_positive(r, n->arg[0], DEPTH)) n->variant = "neg";
	if (r->fast && (n->op == OP_tanh || n->op == OP_erf)) n->variant = "fast";
	r->changed |= n->variant != NULL;
}

static void choose_in_kernel(void *p, StepList *list, Step *step)
{
	Range *r = p;
	(void)list;
	r->k = step->kind == STEP_KERNEL ? step->kernel : NULL;
	for (r->stage = 0; r->k && r->stage < r->k->nstages; r->stage++) {
		const Nest *s = r->k->stages[r->stage];
		if (s->init) body_walk(s->init, choose, r);
		body_walk(s->body, choose, r);
	}
}

bool range_program(Program *p, bool fast)
{
	Range r = {.fast = fast};
	for (int i = 0; i < p->funcs.n; i++) steps_walk(&p->funcs.at[i]->steps, choose_in_kernel, &r);
	return r.changed;
}
