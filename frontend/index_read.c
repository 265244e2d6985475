/* Reading by an index: slices first, then one gather for all integer arrays. */
#include "index.h"

/* Axes whose box is cut before anything else: static and not reversed ones take their stride along. */
static Value *cut_static(Plan *p, Value *x)
{
	Elab *e = p->e;
	Dim lo[MAX_RANK], hi[MAX_RANK];
	int64_t step[MAX_RANK];
	bool any = false;
	for (int i = 0; i < x->type->rank; i++) lo[i] = dim_const(e, 0), hi[i] = x->type->dim[i], step[i] = 1;
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		bool whole = t->kind == TERM_SLICE && !t->start, one = t->kind == TERM_INT && !term_is_advanced(p, t);
		if (!whole && !one) continue;
		lo[t->axis] = t->lo;
		hi[t->axis] = dim_add(elab_dims(e), t->lo, whole ? t->size : dim_const(e, 1));
		step[t->axis] = whole && !t->rev ? t->step : 1;
		any |= lo[t->axis] != dim_const(e, 0) || hi[t->axis] != x->type->dim[t->axis] || step[t->axis] != 1;
	}
	return any ? ir_slice(elab_builder(e), x, lo, hi, step) : x;
}

static Value *cut_moving(Plan *p, Value *x)
{
	int64_t axes[MAX_RANK];
	Dim sizes[MAX_RANK];
	Value *starts[MAX_RANK];
	int n = 0;
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		bool one = t->kind == TERM_SCALAR && !term_is_advanced(p, t);
		if (!one && !(t->kind == TERM_SLICE && t->start)) continue;
		axes[n] = t->axis;
		sizes[n] = one ? dim_const(p->e, 1) : t->size;
		starts[n++] = one ? t->idx : t->start;
	}
	return n ? ir_dslice(elab_builder(p->e), x, axes, sizes, starts, n) : x;
}

/* Reversal, and strides that were not taken along. */
static Value *reverse_and_stride(Plan *p, Value *x)
{
	Builder *b = elab_builder(p->e);
	int64_t rev[MAX_RANK];
	int n = 0;
	for (int k = 0; k < p->n; k++)
		if (p->at[k].kind == TERM_SLICE && p->at[k].rev) rev[n++] = p->at[k].axis;
	if (n) x = ir_rev(b, x, rev, n);
	for (int k = 0; k < p->n; k++) {
		const Term *t = &p->at[k];
		if (t->kind == TERM_SLICE && t->step != 1 && (t->rev || t->start))
			x = ir_slice_axis(b, x, t->axis, dim_const(p->e, 0), t->size, t->step);
	}
	return x;
}

Value *plan_read_box(Plan *p)
{
	return reverse_and_stride(p, cut_moving(p, cut_static(p, p->x)));
}

/* [I.., rest..] with the axes I moved behind `before` axes of the rest. */
static Value *place_index_axes(Builder *b, Value *r, int ni, int before)
{
	if (ni == 0 || before == 0) return r;
	int64_t perm[MAX_RANK];
	int k = 0;
	for (int i = 0; i < before; i++) perm[k++] = ni + i;
	for (int i = 0; i < ni; i++) perm[k++] = i;
	for (int i = ni + before; i < r->type->rank; i++) perm[k++] = i;
	return ir_transpose(b, r, perm);
}

Val elab_index(Elab *e, Value *x, const Val *idx, int n, Loc loc)
{
	Builder *b = elab_builder(e);
	Plan p = plan_index(e, x, idx, n, loc);
	for (int k = 0; k < p.n; k++) {
		const Term *t = &p.at[k];
		if (t->kind == TERM_ARRAY || (t->kind == TERM_SCALAR && !t->in_range)) index_require_elements(e, x->type->dim[t->axis]);
	}
	Value *r = plan_read_box(&p);
	const Type *ishape = NULL;
	Dim dims[MAX_RANK];
	int at;
	if (p.arrays) {
		int64_t axes[MAX_RANK];
		int m, before = 0;
		Value *i = plan_indices(&p, axes, &m, &ishape);
		if (ishape->rank + r->type->rank - m > MAX_RANK)
			elab_fail(e, loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
		r = ir_gather(b, r, i, axes, m, 0, "clamp", false);
		for (int k = 0; p.joined && !term_is_advanced(&p, &p.at[k]); k++) before += p.at[k].kind == TERM_SLICE;
		r = place_index_axes(b, r, ishape->rank, before);
	}
	int rank = plan_shape(&p, ishape, dims, &at);
	return val_tensor(ir_reshape(b, r, rank, dims));
}
