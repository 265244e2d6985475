/* Indexing as NumPy does it: what an index expression selects.
 *
 * Every index becomes terms, one for each axis of the operand and one for each new axis. Slices become boxes whose size is a dimension:
 * compile-time numbers clamp as in NumPy, dimensions must be provably inside, a run-time start moves so that the box fits. Integers and
 * arrays at run time wrap once when negative; then reads clamp and writes outside are dropped.
 *
 * One thing is taken for granted instead of demanded: an axis of which the program names the element or end 0, 1 or -1 (x[0], x[1:],
 * x[:-1]) is not empty. That becomes a fact of the function, checked where data comes in.
 */
#include "index.h"
#include <string.h>

/* --- proofs ------------------------------------------------------------------------------------------------------------- */
static bool nonneg(Elab *e, Dim d)
{
	return d && dim_provable_nonneg(elab_facts(e), d);
}

static bool leq(Elab *e, Dim a, Dim b)
{
	return nonneg(e, dim_sub(elab_dims(e), b, a));
}

static Dim plus(Elab *e, Dim a, int64_t k)
{
	return dim_add(elab_dims(e), a, dim_const(e, k));
}

/* d >= 0 holds, or is made a fact of the function that is being elaborated. */
static bool take_for_granted(Elab *e, Dim d)
{
	if (nonneg(e, d)) return true;
	if (!d || dim_has_value_atom(d) || nonneg(e, plus(e, dim_scale(elab_dims(e), d, -1, 1), -1))) return false;
	return elab_assume_nonneg(e, d);
}

void index_require_elements(Elab *e, Dim n)
{
	take_for_granted(e, plus(e, n, -1));
}

/* The facts belong to the function that is being elaborated; a fact that is added to them is checked at its entry. */
bool elab_assume_nonneg(Elab *e, Dim p)
{
	dim_fact_nonneg((DimFacts *)elab_facts(e), p);
	return true;
}

static const char *text(Elab *e, Dim d)
{
	return dim_str(elab_arena(e), d);
}

/* --- integers ----------------------------------------------------------------------------------------------------------- */
static _Noreturn void fail_range(Plan *p, const Term *t, const char *index, Dim need)
{
	Elab *e = p->e;
	Dim n = p->x->type->dim[t->axis];
	int64_t size;
	if (dim_is_const(n, &size))
		elab_fail(e, t->loc, "index.range", "index %s is out of range for axis %d of %s, which has size %lld", index, t->axis,
		          type_text(e, p->x->type), (long long)size);
	elab_fail_note(e, t->loc, "index.range", arena_printf(elab_arena(e), "add `assert %s >= %s;`", text(e, n), text(e, need)),
	               "index %s may be out of range for axis %d of %s", index, t->axis, type_text(e, p->x->type));
}

static void plan_int(Plan *p, Term *t, Val v)
{
	Elab *e = p->e;
	Dim n = p->x->type->dim[t->axis], d = elab_dim(e, v, t->loc, "an index");
	const char *name = text(e, d);
	int64_t i = 2;
	bool literal = dim_is_const(d, &i), negative = literal ? i < 0 : !nonneg(e, d);
	if (negative && !literal && !nonneg(e, plus(e, dim_scale(elab_dims(e), d, -1, 1), -1)))
		elab_fail_note(e, t->loc, "index.sign", arena_printf(elab_arena(e), "add `assert %s >= 0;`", name),
		               "cannot show whether index %s counts from the start or from the end", name);
	t->kind = TERM_INT;
	t->lo = negative ? dim_add(elab_dims(e), n, d) : d;
	Dim room = negative ? t->lo : plus(e, dim_sub(elab_dims(e), n, d), -1);
	bool fits = nonneg(e, room) || (literal && (i == 0 || i == -1) && take_for_granted(e, room));
	if (!fits) fail_range(p, t, name, negative ? dim_scale(elab_dims(e), d, -1, 1) : plus(e, d, 1));
}

/* --- integer tensors ---------------------------------------------------------------------------------------------------- */
static void check_constant_indices(Plan *p, const Term *t, Value *idx)
{
	const Tensor *c = value_const(idx);
	int64_t n, count = c ? tensor_size(c) : 0;
	if (!dim_is_const(p->x->type->dim[t->axis], &n)) return;
	for (int64_t k = 0; k < count; k++) {
		int64_t i = scalar_to_int(tensor_get(c, k));
		if (i < -n || i >= n) fail_range(p, t, arena_printf(elab_arena(p->e), "%lld", (long long)i), NULL);
	}
}

static void plan_tensor(Plan *p, Term *t, Value *idx)
{
	Elab *e = p->e;
	Dim n = p->x->type->dim[t->axis];
	int64_t zero;
	if (!dtype_is_int(idx->type->dtype)) elab_fail(e, t->loc, "index.dtype", "an index is an integer, not %s", type_text(e, idx->type));
	if (dim_is_const(n, &zero) && zero == 0 && type_size(elab_module(e), idx->type) != dim_const(e, 0))
		elab_fail(e, t->loc, "index.range", "axis %d of %s has no elements to index", t->axis, type_text(e, p->x->type));
	check_constant_indices(p, t, idx);
	t->kind = idx->type->rank ? TERM_ARRAY : TERM_SCALAR;
	t->in_range = t->kind == TERM_SCALAR && index_in_range(e, idx, n);
	t->idx = index_wrap(e, idx, n, t->loc);
	p->arrays |= t->kind == TERM_ARRAY;
}

/* --- slices ------------------------------------------------------------------------------------------------------------- */
/* The end points of a slice while they are worked out. */
typedef struct Bounds {
	Dim lo, hi;
	bool small;
} Bounds; /* small: made of 0, 1, -1 and nothing else */

static bool part_given(const Val *v)
{
	return v && v->kind != V_NONE;
}

static _Noreturn void fail_slice(Plan *p, const Term *t, const char *fact)
{
	Elab *e = p->e;
	elab_fail_note(e, t->loc, "index.slice", arena_printf(elab_arena(e), "add `assert %s;`", fact),
	               "cannot show that this slice lies inside axis %d of %s", t->axis, type_text(e, p->x->type));
}

/* A compile-time bound as a place between 0 and n (from -1 to n-1 where steps go down). */
static Dim static_bound(Plan *p, const Term *t, Val v, bool down)
{
	Elab *e = p->e;
	Arena *a = elab_arena(e);
	DimCtx *c = elab_dims(e);
	Dim n = p->x->type->dim[t->axis], d = elab_dim(e, v, t->loc, "a slice bound");
	Dim least = dim_const(e, down ? -1 : 0), most = down ? plus(e, n, -1) : n;
	int64_t i = 2;
	bool literal = dim_is_const(d, &i), unit = literal && i >= -1 && i <= 1;
	if (literal ? i >= 0 : nonneg(e, d)) {
		if (leq(e, d, most) || (unit && take_for_granted(e, dim_sub(c, most, d)))) return d;
		if (leq(e, most, d)) return most;
		fail_slice(p, t, arena_printf(a, "%s >= %s", text(e, n), text(e, down ? plus(e, d, 1) : d)));
	}
	Dim from_end = dim_add(c, n, d), minus = dim_scale(c, d, -1, 1);
	if (!literal && !nonneg(e, minus))
		elab_fail_note(e, t->loc, "index.sign", arena_printf(a, "add `assert %s >= 0;`", text(e, d)),
		               "cannot show whether slice bound %s counts from the start or from the end", text(e, d));
	if (leq(e, least, from_end) || (unit && take_for_granted(e, dim_sub(c, from_end, least)))) return from_end;
	if (leq(e, from_end, least)) return least;
	fail_slice(p, t, arena_printf(a, "%s >= %s", text(e, n), text(e, minus)));
}

static bool unit_part(const Val *v)
{
	return !part_given(v) || (v->kind == V_INT && v->u.i >= -1 && v->u.i <= 1);
}

/* Both ends known at the entry. Leaves lo and size of the box. */
static void plan_static_slice(Plan *p, Term *t, Val s, bool down)
{
	Elab *e = p->e;
	DimCtx *c = elab_dims(e);
	Dim n = p->x->type->dim[t->axis];
	Dim first = part_given(s.u.range.lo) ? static_bound(p, t, *s.u.range.lo, down) : down ? plus(e, n, -1) : dim_const(e, 0);
	Dim end = part_given(s.u.range.hi) ? static_bound(p, t, *s.u.range.hi, down) : down ? dim_const(e, -1) : n;
	Dim lo = down ? plus(e, end, 1) : first, hi = down ? plus(e, first, 1) : end, size = dim_sub(c, hi, lo);
	if (!nonneg(e, size)) {
		if (nonneg(e, dim_scale(c, size, -1, 1))) size = dim_const(e, 0), lo = leq(e, lo, n) ? lo : n;
		else if (!(unit_part(s.u.range.lo) && unit_part(s.u.range.hi) && take_for_granted(e, size)))
			fail_slice(p, t, arena_printf(elab_arena(e), "%s >= %s", text(e, hi), text(e, lo)));
	}
	t->lo = lo;
	t->size = size;
}

/* A bound of a slice with a run-time end, as a polynomial. */
static Dim moving_bound(Plan *p, const Term *t, const Val *v, Dim otherwise)
{
	Elab *e = p->e;
	if (!part_given(v)) return otherwise;
	if (v->kind != V_TENSOR) {
		Dim d = elab_dim(e, *v, t->loc, "a slice bound");
		int64_t i;
		return dim_is_const(d, &i) && i < 0 ? dim_add(elab_dims(e), p->x->type->dim[t->axis], d) : d;
	}
	const Type *ty = v->u.tensor->type;
	if (ty->rank != 0 || !dtype_is_int(ty->dtype))
		elab_fail(e, t->loc, "index.dtype", "a slice bound is an integer, not %s", type_text(e, ty));
	return dim_of_value(e, v->u.tensor);
}

static void plan_moving_slice(Plan *p, Term *t, Val s, bool down)
{
	Elab *e = p->e;
	Builder *b = elab_builder(e);
	DimCtx *c = elab_dims(e);
	Dim n = p->x->type->dim[t->axis];
	Dim lo = moving_bound(p, t, s.u.range.lo, down ? plus(e, n, -1) : dim_const(e, 0));
	Dim hi = moving_bound(p, t, s.u.range.hi, down ? dim_const(e, -1) : n);
	t->size = down ? dim_sub(c, lo, hi) : dim_sub(c, hi, lo);
	if (!t->size || dim_has_value_atom(t->size))
		elab_fail_note(e, t->loc, "index.length",
		               "a slice may start anywhere, `x[t : t + 16]`, but its length is fixed; to leave elements out use `where`",
		               "the length of this slice depends on data");
	if (!nonneg(e, t->size)) fail_slice(p, t, arena_printf(elab_arena(e), "%s >= 0", text(e, t->size)));
	if (!leq(e, t->size, n)) fail_slice(p, t, arena_printf(elab_arena(e), "%s >= %s", text(e, n), text(e, t->size)));
	const Val *from = down ? s.u.range.hi : s.u.range.lo;
	Value *start;
	if (part_given(from) && from->kind == V_TENSOR) start = ir_convert(b, from->u.tensor, DT_i32);
	else start = ir_dimsize(b, down ? hi : lo);
	if (down) start = ir_binary(b, OP_add, start, ir_scalar_int(b, DT_i32, 1));
	t->start = index_wrap(e, start, n, t->loc);
}

static void plan_slice(Plan *p, Term *t, Val s)
{
	Elab *e = p->e;
	const Val *step = s.u.range.step;
	t->kind = TERM_SLICE;
	t->step = part_given(step) ? elab_int(e, *step, t->loc, "the step of a slice") : 1;
	if (t->step == 0) elab_fail(e, t->loc, "index.step", "the step of a slice is 0");
	t->rev = t->step < 0;
	bool moving =
	    (part_given(s.u.range.lo) && s.u.range.lo->kind == V_TENSOR) || (part_given(s.u.range.hi) && s.u.range.hi->kind == V_TENSOR);
	if (moving) plan_moving_slice(p, t, s, t->rev);
	else plan_static_slice(p, t, s, t->rev);
	if (t->rev) t->step = t->step == INT64_MIN ? INT64_MAX : -t->step;
	t->len = t->step == 1 ? t->size : dim_floordiv(elab_dims(e), elab_facts(e), plus(e, t->size, t->step - 1), dim_const(e, t->step));
}

static void plan_full_axis(Plan *p, int axis)
{
	Dim n = p->x->type->dim[axis];
	p->at[p->n++] = (Term){.kind = TERM_SLICE, .axis = axis, .lo = dim_const(p->e, 0), .size = n, .len = n, .step = 1, .loc = p->loc};
}

/* --- whole expressions -------------------------------------------------------------------------------------------------- */
static Val tensor_of_list(Elab *e, Val v, Loc loc)
{
	if (v.kind != V_LIST) return v;
	Value *x = elab_array(e, v, loc);
	int64_t none; /* NumPy's `x[[]]`: an empty list indexes nothing */
	if (x->type->rank == 1 && dim_is_const(x->type->dim[0], &none) && none == 0) x = ir_convert(elab_builder(e), x, DT_i32);
	return val_tensor(x);
}

static bool is_mask(Val v)
{
	return v.kind == V_TENSOR && v.u.tensor->type->dtype == DT_bool;
}

static void plan_term(Plan *p, Val v, int axis, Loc loc)
{
	Elab *e = p->e;
	Term *t = &p->at[p->n++];
	*t = (Term){.axis = axis, .step = 1, .loc = loc};
	if (is_mask(v))
		elab_fail_note(e, loc, "index.mask", "use `where(mask, x, 0)`, or assign through the mask",
		               "cannot read by a mask: the size of the result would depend on data");
	switch (v.kind) {
	case V_SLICE: plan_slice(p, t, v); break;
	case V_INT:
	case V_DIM: plan_int(p, t, v); break;
	case V_TENSOR: plan_tensor(p, t, v.u.tensor); break;
	case V_RANGE: elab_fail(e, loc, "index.kind", "a range is no index; a slice is written `a:b`");
	default:
		elab_fail(e, loc, "index.kind", "an index is an integer, a slice, `...`, newaxis or a tensor of integers, not %s",
		          val_describe(e, v));
	}
}

static void find_joined(Plan *p)
{
	int state = 0; /* 0 before, 1 inside, 2 after the advanced terms */
	p->joined = true;
	for (int i = 0; i < p->n; i++) {
		bool adv = term_is_advanced(p, &p->at[i]);
		if (p->at[i].after_gap && state == 1) state = 2;
		if (adv && state == 2) p->joined = false;
		state = adv ? 1 : state == 1 ? 2 : state;
	}
}

Plan plan_index(Elab *e, Value *x, const Val *idx, int n, Loc loc)
{
	Plan p = {.e = e, .x = x, .loc = loc};
	int used = 0, dots = 0, fresh = 0, axis = 0, rank = x->type->rank;
	if (n == 1 && idx[0].kind == V_TUPLE) {
		n = idx[0].u.items->n;
		idx = idx[0].u.items->at;
	}
	for (int i = 0; i < n; i++) {
		dots += idx[i].kind == V_ELLIPSIS;
		fresh += idx[i].kind == V_NONE;
		used += idx[i].kind != V_ELLIPSIS && idx[i].kind != V_NONE;
	}
	if (dots > 1) elab_fail(e, loc, "index.ellipsis", "an index has at most one `...`");
	if (used > rank)
		elab_fail(e, loc, "index.count", "%d indices for %s, which has %d %s", used, type_text(e, x->type), rank,
		          rank == 1 ? "axis" : "axes");
	if (fresh + rank > MAX_RANK) elab_fail(e, loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
	bool gap = false;
	for (int i = 0; i < n; i++) {
		Loc at = idx[i].loc.file ? idx[i].loc : loc;
		Val v = tensor_of_list(e, idx[i], at);
		if (v.kind == V_ELLIPSIS) {
			gap = used == rank;
			for (int k = used; k < rank; k++) plan_full_axis(&p, axis++);
		} else if (v.kind == V_NONE) {
			p.at[p.n++] = (Term){.kind = TERM_NEW, .axis = -1, .len = dim_const(e, 1), .loc = at};
		} else {
			plan_term(&p, v, axis++, at);
			p.at[p.n - 1].after_gap = gap;
			gap = false;
		}
	}
	while (axis < rank) plan_full_axis(&p, axis++);
	find_joined(&p);
	return p;
}

bool term_is_advanced(const Plan *p, const Term *t)
{
	return t->kind == TERM_ARRAY || (p->arrays && (t->kind == TERM_INT || t->kind == TERM_SCALAR));
}

int plan_shape(const Plan *p, const Type *ishape, Dim *dims, int *at)
{
	int r = 0;
	bool placed = !ishape;
	*at = 0;
	if (ishape && !p->joined) {
		for (int i = 0; i < ishape->rank; i++) dims[r++] = ishape->dim[i];
		placed = true;
	}
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		if (t->kind == TERM_SLICE || t->kind == TERM_NEW) {
			if (r == MAX_RANK) elab_fail(p->e, p->loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
			dims[r++] = t->len;
		} else if (!placed && term_is_advanced(p, t)) {
			if (r + ishape->rank > MAX_RANK) elab_fail(p->e, p->loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
			*at = r;
			for (int i = 0; i < ishape->rank; i++) dims[r++] = ishape->dim[i];
			placed = true;
		}
	}
	return r;
}

/* An integer of the index as an i32 tensor. */
static Value *term_index(Plan *p, const Term *t)
{
	return t->kind == TERM_INT ? ir_dimsize(elab_builder(p->e), t->lo) : t->idx;
}

Value *plan_indices(Plan *p, int64_t *axes, int *m, const Type **ishape)
{
	Elab *e = p->e;
	Builder *b = elab_builder(e);
	Value *col[MAX_RANK];
	*m = 0;
	for (int k = 0; k < p->n; k++) {
		if (!term_is_advanced(p, &p->at[k])) continue;
		axes[*m] = p->at[k].axis;
		col[(*m)++] = term_index(p, &p->at[k]);
	}
	int rank;
	Dim dims[MAX_RANK + 1];
	elab_broadcast_shape(e, col, *m, p->loc, "index.broadcast", "indices", &rank, dims);
	*ishape = type_get(elab_module(e), DT_i32, rank, dims);
	dims[rank] = dim_const(e, 1);
	for (int k = 0; k < *m; k++) col[k] = ir_reshape(b, elab_broadcast_to(e, col[k], rank, (*ishape)->dim, p->loc), rank + 1, dims);
	return *m == 1 ? col[0] : ir_concat(b, col, *m, rank);
}
