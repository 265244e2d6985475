/* The new value of x after x[index] = v, and of x.at[index].add(v) and its kin.
 *
 * Where only slices and known integers index, no element is named twice: the region is replaced by one dupdate. Arrays, and run-time
 * integers that may be outside, go through one scatter that drops what is outside, on the box that the slices select.
 */
#include "index.h"
#include <string.h>

/* --- boxes -------------------------------------------------------------------------------------------------------------- */
static bool box_is_strided(const Plan *p)
{
	for (int k = 0; k < p->n; k++)
		if (p->at[k].kind == TERM_SLICE && p->at[k].step != 1) return true;
	return false;
}

static bool term_is_full(const Plan *p, const Term *t)
{
	return t->kind == TERM_SLICE && !t->start && t->size == p->x->type->dim[t->axis];
}

/* v with its elements step apart on the strided axes, fill between them; the box's size. */
static Value *spread(Plan *p, Value *v, Value *fill)
{
	Elab *e = p->e;
	DimCtx *c = elab_dims(e);
	Dim lo[MAX_RANK], hi[MAX_RANK];
	int64_t step[MAX_RANK];
	for (int i = 0; i < v->type->rank; i++) lo[i] = hi[i] = dim_const(e, 0), step[i] = 1;
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		if (t->kind != TERM_SLICE || t->step == 1) continue;
		Dim covered = dim_add(c, dim_scale(c, dim_sub(c, t->len, dim_const(e, 1)), t->step, 1), dim_const(e, 1));
		hi[t->axis] = dim_sub(c, t->size, covered);
		step[t->axis] = t->step;
	}
	return ir_pad(elab_builder(e), v, fill, lo, hi, step);
}

/* The box as it is now, reversed axes reversed, no strides. */
static Value *read_whole_box(Plan *p)
{
	Plan q = *p;
	for (int k = 0; k < q.n; k++) {
		if (q.at[k].kind != TERM_SLICE) continue;
		q.at[k].step = 1;
		q.at[k].len = q.at[k].size;
	}
	return plan_read_box(&q);
}

static bool box_is_empty(const Plan *p)
{
	int64_t n;
	for (int k = 0; k < p->n; k++)
		if (p->at[k].kind == TERM_SLICE && dim_is_const(p->at[k].len, &n) && n == 0) return true;
	return false;
}

static Value *term_start(Plan *p, const Term *t)
{
	if (t->kind == TERM_SCALAR) return t->idx;
	return t->start ? t->start : ir_dimsize(elab_builder(p->e), t->lo);
}

Value *plan_write_box(Plan *p, Value *v, const char *mode)
{
	Elab *e = p->e;
	Builder *b = elab_builder(e);
	if (box_is_empty(p)) return p->x;
	if (box_is_strided(p)) {
		Value *yes = ir_splat(b, type_with_dtype(elab_module(e), v->type, DT_bool), 1);
		Value *hit = spread(p, yes, ir_scalar_int(b, DT_bool, 0)), *wide = spread(p, v, ir_scalar(b, v->type->dtype, 0));
		Value *rest = strcmp(mode, "add") ? read_whole_box(p) : ir_zeros(b, wide->type);
		v = ir_select(b, hit, wide, rest);
	}
	int64_t axes[MAX_RANK];
	Value *starts[MAX_RANK];
	int n = 0;
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		if (t->kind == TERM_SLICE && t->rev) v = ir_rev(b, v, &(int64_t){t->axis}, 1);
		if (t->kind == TERM_NEW || term_is_advanced(p, t) || term_is_full(p, t)) continue;
		axes[n] = t->axis;
		starts[n++] = term_start(p, t);
	}
	if (n) return ir_dupdate(b, p->x, v, axes, starts, n, mode);
	return strcmp(mode, "add") ? v : ir_binary(b, OP_add, p->x, v);
}

/* --- values ------------------------------------------------------------------------------------------------------------- */
/* v brought to the shape of the selection, as NumPy: leading axes of size 1 too many are dropped. */
static Value *fit_value(Plan *p, Value *v, int rank, const Dim *dims)
{
	Elab *e = p->e;
	int64_t one;
	int skip = 0;
	while (v->type->rank - skip > rank && dim_is_const(v->type->dim[skip], &one) && one == 1) skip++;
	if (skip) v = ir_reshape(elab_builder(e), v, v->type->rank - skip, v->type->dim + skip);
	bool fits = v->type->rank <= rank;
	for (int i = 0; fits && i < v->type->rank; i++) {
		Dim have = v->type->dim[v->type->rank - 1 - i], want = dims[rank - 1 - i];
		fits = (dim_is_const(have, &one) && one == 1) || dim_provable_equal(elab_facts(e), have, want);
	}
	if (!fits)
		elab_fail(e, p->loc, "index.value", "cannot store %s here: the selection has shape %s", type_text(e, v->type),
		          shape_str(e, rank, dims));
	return elab_broadcast_to(e, v, rank, dims, p->loc);
}

/* From the order of the selection to that of the operand: new axes removed, integers as axes of size 1; the index axes first. */
static Value *value_for_box(Plan *p, Value *v, int ni, int at)
{
	Builder *b = elab_builder(p->e);
	if (ni && at) {
		int64_t perm[MAX_RANK];
		int r = 0;
		for (int i = 0; i < ni; i++) perm[r++] = at + i;
		for (int i = 0; i < v->type->rank; i++)
			if (i < at || i >= at + ni) perm[r++] = i;
		v = ir_transpose(b, v, perm);
	}
	Dim dims[2 * MAX_RANK];
	int r = 0;
	for (int i = 0; i < ni; i++) dims[r++] = v->type->dim[i];
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		if (t->kind == TERM_NEW || term_is_advanced(p, t)) continue;
		dims[r++] = t->kind == TERM_SLICE ? t->len : dim_const(p->e, 1);
	}
	return ir_reshape(b, v, r, dims);
}

/* --- masks -------------------------------------------------------------------------------------------------------------- */
static bool list_is_bool(Val v)
{
	while (v.kind == V_LIST && v.u.items->n > 0) v = v.u.items->at[0];
	return v.kind == V_BOOL || (v.kind == V_TENSOR && v.u.tensor->type->dtype == DT_bool);
}

static bool val_is_mask(Val v)
{
	return (v.kind == V_TENSOR || v.kind == V_LIST) && list_is_bool(v);
}

bool elab_index_has_mask(Elab *e, const Val *idx, int n)
{
	for (int i = 0; i < n; i++)
		if (val_is_mask(idx[i])) return true;
	return false;
}

typedef struct Mask {
	Value *m;
	int axis;
} Mask;

/* The one mask among full slices. */
static Mask find_mask(Elab *e, Value *x, const Val *idx, int n, Loc loc)
{
	Mask r = {NULL, 0};
	int rank = x->type->rank, after = 0;
	bool dots = false;
	for (int i = 0; i < n; i++) {
		bool full = idx[i].kind == V_SLICE && !idx[i].u.range.lo && !idx[i].u.range.hi && !idx[i].u.range.step;
		if (val_is_mask(idx[i]) && !r.m) r.m = elab_tensor(e, idx[i], NULL, loc, "the mask");
		else if (idx[i].kind == V_ELLIPSIS) dots |= !r.m;
		else if (full) *(r.m ? &after : &r.axis) += 1;
		else elab_fail(e, loc, "index.mask", "a mask stands with full slices only; combine conditions in one mask instead");
	}
	if (dots) r.axis = rank - after - r.m->type->rank;
	if (r.axis < 0 || r.axis + r.m->type->rank + after > rank)
		elab_fail(e, loc, "index.count", "a mask of %s does not fit %s", type_text(e, r.m->type), type_text(e, x->type));
	for (int i = 0; i < r.m->type->rank; i++)
		if (!dim_provable_equal(elab_facts(e), r.m->type->dim[i], x->type->dim[r.axis + i]))
			elab_fail(e, loc, "index.mask", "the mask is %s, but axis %d of %s has size %s", type_text(e, r.m->type), r.axis + i,
			          type_text(e, x->type), dim_str(elab_arena(e), x->type->dim[r.axis + i]));
	return r;
}

/* x[mask] = v with one row of v for each true element, in order: the k-th true element takes row k. */
static Value *rows_by_mask(Elab *e, Value *x, Mask k, Value *v)
{
	Builder *b = elab_builder(e);
	Value *flat = ir_convert(b, flatten_all(e, k.m), DT_i32);
	Attr a[3] = {ATTR_INT(axis, 0), ATTR_INT(reverse, 0), ATTR_INT(exclusive, 1)};
	Value *pos = ir_emit(b, OP_cumsum, &flat, 1, a, 3);
	Dim dims[MAX_RANK + 1];
	int r = k.m->type->rank;
	memcpy(dims, k.m->type->dim, sizeof(Dim) * (size_t)r);
	dims[r] = dim_const(e, 1);
	return ir_gather(b, v, ir_reshape(b, pos, r + 1, dims), &(int64_t){0}, 1, 0, "clamp", false);
}

static OpCode mode_op(const char *mode)
{
	return !strcmp(mode, "add") ? OP_add : !strcmp(mode, "mul") ? OP_mul : !strcmp(mode, "max") ? OP_maximum : OP_minimum;
}

static Value *update_by_mask(Plan *p, Mask k, Value *v, const char *mode)
{
	Elab *e = p->e;
	Builder *b = elab_builder(e);
	const Type *t = p->x->type;
	int mr = k.m->type->rank, rest = t->rank - k.axis - mr;
	int64_t dims[MAX_RANK], one;
	for (int i = 0; i < mr; i++) dims[i] = k.axis + i;
	Value *mask = ir_broadcast(b, k.m, t, dims);
	if (k.axis == 0 && v->type->rank == rest + 1 && !(dim_is_const(v->type->dim[0], &one) && one == 1)) v = rows_by_mask(e, p->x, k, v);
	else v = fit_value(p, v, rest, t->dim + k.axis + mr);
	v = elab_broadcast_to(e, v, t->rank, t->dim, p->loc);
	if (strcmp(mode, "set")) v = ir_binary(b, mode_op(mode), p->x, v);
	return ir_select(b, mask, v, p->x);
}

/* --- updates ------------------------------------------------------------------------------------------------------------ */
/* Scatter into the box, then the box back into x. */
static Value *update_scattered(Plan *p, Value *v, const char *mode)
{
	Elab *e = p->e;
	const Type *ishape;
	int64_t axes[MAX_RANK];
	int m, at;
	Dim dims[MAX_RANK];
	Value *idx = plan_indices(p, axes, &m, &ishape);
	int rank = plan_shape(p, ishape, dims, &at);
	v = value_for_box(p, fit_value(p, v, rank, dims), ishape->rank, at);
	Value *box = plan_read_box(p);
	box = ir_scatter(elab_builder(e), box, idx, v, axes, m, 0, "drop", mode, false);
	return plan_write_box(p, box, "set");
}

static Value *update_boxed(Plan *p, Value *v, const char *mode)
{
	Dim dims[MAX_RANK];
	int at, rank = plan_shape(p, NULL, dims, &at);
	v = value_for_box(p, fit_value(p, v, rank, dims), 0, 0);
	if (!strcmp(mode, "set") || !strcmp(mode, "add")) return plan_write_box(p, v, mode);
	return plan_write_box(p, ir_binary(elab_builder(p->e), mode_op(mode), plan_read_box(p), v), "set");
}

/* The value in x's dtype and one of the modes set, add, mul, max, min. */
static Value *prepare_value(Elab *e, Value *x, Val v, const char **mode, Loc loc)
{
	static const char *const from[] = {"set", "add", "subtract", "multiply", "divide", "maximum", "minimum", "mul", "max", "min"};
	static const char *const to[] = {"set", "add", "add", "mul", "mul", "max", "min", "mul", "max", "min"};
	Builder *b = elab_builder(e);
	DType d = x->type->dtype;
	int k = elab_choice(e, val_str(e, *mode), from, 10, loc, "update");
	*mode = to[k];
	if (k == 4 && !dtype_is_diff(d))
		elab_fail(e, loc, "index.divide", "`.at[].divide` needs a float or complex tensor, not %s", type_text(e, x->type));
	if (k == 2 && d == DT_bool) elab_fail(e, loc, "dtype.operand", "`.at[].subtract` needs numbers, not %s", type_text(e, x->type));
	if (v.kind == V_NONE) elab_fail(e, loc, "index.value", "cannot store none in %s", type_text(e, x->type));
	Value *t = ir_convert(b, elab_tensor(e, v, &d, loc, "the stored value"), d);
	if (k == 2) t = ir_unary(b, OP_neg, t);
	if (k == 4) t = ir_binary(b, OP_div, ir_splat(b, t->type, 1), t);
	return t;
}

/* Run-time integers that may be outside must not be clamped by a write: they are scattered. */
static void scatter_unsafe_scalars(Plan *p)
{
	for (int k = 0; k < p->n; k++)
		if (p->at[k].kind == TERM_SCALAR && !p->at[k].in_range) p->arrays = true;
}

Value *elab_index_update(Elab *e, Value *x, const Val *idx, int n, Val v, const char *mode, Loc loc)
{
	Value *t = prepare_value(e, x, v, &mode, loc);
	if (n == 1 && idx[0].kind == V_TUPLE) {
		n = idx[0].u.items->n;
		idx = idx[0].u.items->at;
	}
	if (elab_index_has_mask(e, idx, n)) {
		Plan p = {.e = e, .x = x, .loc = loc};
		return update_by_mask(&p, find_mask(e, x, idx, n, loc), t, mode);
	}
	Plan p = plan_index(e, x, idx, n, loc);
	scatter_unsafe_scalars(&p);
	return p.arrays ? update_scattered(&p, t, mode) : update_boxed(&p, t, mode);
}
