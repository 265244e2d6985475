/* Rules of dynamic slices, gather and scatter. Reads and writes are each other's adjoints: dslice and dupdate, gather and scatter add,
 * with out-of-range modes in pairs (clamp with clamp, zero with drop). */
#include "rules.h"
#include <assert.h>
#include <string.h>

/* --- dslice, dupdate ---------------------------------------------------------------------------------------------------- */
TRANSPOSE(dslice)
{
	const Attr *axes = view_attr(v, AT_axes);
	return ir_dupdate(b, ir_zeros(b, in_type(v, 0)), g[0], axes->v.ints, v->in + 1, axes->n, "set");
}
TRANSPOSE(dupdate)
{
	const Attr *axes = view_attr(v, AT_axes);
	if (k == 1) {
		Dim sizes[MAX_RANK];
		for (int i = 0; i < axes->n; i++) sizes[i] = in_type(v, 1)->dim[axes->v.ints[i]];
		return ir_dslice(b, g[0], axes->v.ints, sizes, v->in + 2, axes->n);
	}
	if (!strcmp(view_attr(v, AT_mode)->v.str, "add")) return g[0];
	return ir_dupdate(b, g[0], ir_zeros(b, in_type(v, 1)), axes->v.ints, v->in + 2, axes->n, "set");
}

/* Index vectors of every element of the window, per lane: [n, sizes of axes.., naxes]. Starts are clamped as the op does. */
static Value *window_index(Builder *b, const Type *x, const int64_t *axes, const Dim *sizes, int na, Value *const *start, const bool *isb,
                           Dim n)
{
	Dim dims[MAX_RANK + 2];
	dims[0] = n;
	for (int i = 0; i < na; i++) dims[i + 1] = sizes[i];
	const Type *t = type_get(b->m, DT_i32, na + 1, dims);
	Value **part = NEW_ARRAY(b->m->arena, Value *, na);
	for (int i = 0; i < na; i++) {
		Value *s = rule_lifted(b, start[i], isb[i], n);
		Value *top = ir_lift(b, ir_dimsize(b, d_sub(b, x->dim[axes[i]], sizes[i])), n);
		s = ir_binary(b, OP_minimum, ir_binary(b, OP_maximum, s, ir_zeros(b, s->type)), top);
		s = ir_broadcast(b, s, t, (int64_t[]){0});
		Value *at = ir_binary(b, OP_add, s, ir_iota_nd(b, t, i + 1));
		part[i] = ir_broadcast_new_axis(b, at, na + 1, d_int(b, 1));
	}
	return na == 1 ? part[0] : ir_concat(b, part, na, na + 1);
}

/* Moves axes (ascending, of the unbatched operand) to just behind the batch axis; back = the inverse. */
static Value *axes_first(Builder *b, Value *x, const int64_t *axes, int na, bool back)
{
	int64_t perm[MAX_RANK + 1] = {0}, inv[MAX_RANK + 1];
	int k = 1;
	for (int i = 0; i < na; i++) perm[k++] = axes[i] + 1;
	for (int i = 1; i < x->type->rank; i++)
		if (!has_ax(axes, na, i - 1)) perm[k++] = i;
	for (int i = 0; i < k; i++) inv[perm[i]] = i;
	return ir_transpose(b, x, back ? inv : perm);
}

static const int64_t *axes_up(Builder *b, const Attr *axes)
{
	int64_t *up = NEW_ARRAY(b->m->arena, int64_t, axes->n);
	for (int i = 0; i < axes->n; i++) up[i] = axes->v.ints[i] + 1;
	return up;
}
static bool any_of(const bool *p, int n)
{
	for (int i = 0; i < n; i++)
		if (p[i]) return true;
	return false;
}

BATCH(dslice)
{
	const Attr *axes = view_attr(v, AT_axes), *sizes = view_attr(v, AT_sizes);
	int na = axes->n;
	Value *x = rule_lifted(b, in[0], isb[0], n);
	if (!any_of(isb + 1, na)) {
		out[0] = ir_dslice(b, x, axes_up(b, axes), sizes->v.dims, in + 1, na);
		return;
	}
	Value *idx = window_index(b, in_type(v, 0), axes->v.ints, sizes->v.dims, na, in + 1, isb + 1, n);
	Value *r; /* [n, sizes.., rest..] */
	if (isb[0]) r = ir_gather(b, x, idx, axes_up(b, axes), na, 1, "clamp", false);
	else r = ir_gather(b, in[0], idx, axes->v.ints, na, 0, "clamp", false);
	out[0] = axes_first(b, r, axes->v.ints, na, true);
}

BATCH(dupdate)
{
	const Attr *axes = view_attr(v, AT_axes);
	const char *mode = view_attr(v, AT_mode)->v.str;
	int na = axes->n;
	Value *x = rule_lifted(b, in[0], isb[0], n), *u = rule_lifted(b, in[1], isb[1], n);
	if (!any_of(isb + 2, na)) {
		out[0] = ir_dupdate(b, x, u, axes_up(b, axes), in + 2, na, mode);
		return;
	}
	Dim sizes[MAX_RANK];
	for (int i = 0; i < na; i++) sizes[i] = in_type(v, 1)->dim[axes->v.ints[i]];
	Value *idx = window_index(b, in_type(v, 0), axes->v.ints, sizes, na, in + 2, isb + 2, n);
	out[0] = ir_scatter(b, x, idx, axes_first(b, u, axes->v.ints, na, false), axes_up(b, axes), na, 1, "clamp", mode, true);
}

/* --- gather --------------------------------------------------------------------------------------------------------------- */
static bool view_unique(const OpView *v)
{
	const Attr *u = view_attr(v, AT_unique);
	return u && u->v.i;
}

TRANSPOSE(gather)
{
	const Attr *axes = view_attr(v, AT_axes);
	const char *oob = strcmp(view_attr(v, AT_oob)->v.str, "clamp") ? "drop" : "clamp";
	return ir_scatter(b, ir_zeros(b, in_type(v, 0)), v->in[1], g[0], axes->v.ints, axes->n, (int)view_int(v, AT_nb), oob, "add",
	                  view_unique(v));
}

BATCH(gather)
{
	const Attr *axes = view_attr(v, AT_axes);
	int nb = (int)view_int(v, AT_nb);
	const char *oob = view_attr(v, AT_oob)->v.str;
	if (isb[0] != isb[1] && nb == 0) {
		if (isb[1]) { /* more index dimensions */
			out[0] = ir_gather(b, in[0], in[1], axes->v.ints, axes->n, 0, oob, false);
			return;
		}
		/* the batch axis is one more full axis; it lands behind the index dimensions */
		Value *r = ir_gather(b, in[0], in[1], axes_up(b, axes), axes->n, 0, oob, view_unique(v));
		out[0] = ir_move_axis(b, r, in_type(v, 1)->rank - 1, 0);
		return;
	}
	Value *x = rule_lifted(b, in[0], isb[0], n), *idx = rule_lifted(b, in[1], isb[1], n);
	out[0] = ir_gather(b, x, idx, axes_up(b, axes), axes->n, nb + 1, oob, view_unique(v));
}

/* --- scatter -------------------------------------------------------------------------------------------------------------- */
typedef struct Scatter {
	const int64_t *axes;
	int na, nb;
	const char *oob, *mode;
	bool unique;
} Scatter;
static Scatter scatter_of(const OpView *v)
{
	const Attr *axes = view_attr(v, AT_axes);
	return (Scatter){axes->v.ints,  axes->n, (int)view_int(v, AT_nb), view_attr(v, AT_oob)->v.str, view_attr(v, AT_mode)->v.str,
	                 view_unique(v)};
}
static const char *read_mode(const Scatter *s)
{
	return strcmp(s->oob, "clamp") ? "zero" : "clamp";
}
static Value *scatter_into(Builder *b, const Scatter *s, Value *x, Value *idx, Value *u, const char *mode)
{
	return ir_scatter(b, x, idx, u, s->axes, s->na, s->nb, s->oob, mode, s->unique);
}
static Value *gather_at(Builder *b, const Scatter *s, Value *x, Value *idx)
{
	return ir_gather(b, x, idx, s->axes, s->na, s->nb, read_mode(s), s->unique);
}

/* Which index vectors write last to their target, as a bool of v's shape: number them, let them race, read who stayed. */
static Value *scatter_won(Builder *b, const Scatter *s, const Type *x, Value *idx, const Type *u)
{
	Dim dims[MAX_RANK];
	int64_t at[MAX_RANK], into[MAX_RANK];
	int rank = 0, ni = idx->type->rank - 1;
	for (int i = 0; i < x->rank; i++) {
		if (i >= s->nb && !has_ax(s->axes, s->na, i)) continue;
		for (int j = 0; j < s->na; j++)
			if (s->axes[j] == i) at[j] = rank;
		dims[rank++] = x->dim[i];
	}
	const Type *rows = type_get(b->m, DT_i32, ni, idx->type->dim);
	Value *me = ir_reshape(b, ir_iota(b, type_size(b->m, rows), DT_i32), ni, idx->type->dim);
	Value *none = ir_splat(b, type_get(b->m, DT_i32, rank, dims), -1);
	Value *last = ir_scatter(b, none, idx, me, at, s->na, s->nb, s->oob, "set", false);
	Value *won = ir_binary(b, OP_eq, ir_gather(b, last, idx, at, s->na, s->nb, read_mode(s), false), me);
	for (int i = 0; i < ni; i++) into[i] = i;
	return ir_broadcast(b, won, u, into);
}

TRANSPOSE(scatter)
{
	Scatter s = scatter_of(v);
	bool add = !strcmp(s.mode, "add");
	if (k == 0) return add ? g[0] : scatter_into(b, &s, g[0], v->in[1], ir_zeros(b, in_type(v, 2)), "set");
	Value *r = gather_at(b, &s, g[0], v->in[1]);
	if (add || s.unique) return r;
	return ir_select(b, scatter_won(b, &s, in_type(v, 0), v->in[1], in_type(v, 2)), r, ir_zeros(b, r->type));
}

/* max, min: the winners of a cell share its tangent evenly, the old value being one of them. */
static Value *scatter_extreme_jvp(Builder *b, const OpView *v, const Scatter *s, Value *const *t)
{
	Value *x = v->in[0], *idx = v->in[1], *u = v->in[2], *y = v->out[0];
	DType d = y->type->dtype;
	Value *m = rule_mask(b, ir_binary(b, OP_eq, x, y), d), *won = rule_mask(b, ir_binary(b, OP_eq, u, gather_at(b, s, y, idx)), d);
	Value *zero = ir_zeros(b, x->type), *sum = NULL;
	if (t[0]) sum = ir_binary(b, OP_mul, m, t[0]);
	if (t[2]) sum = rule_add(b, sum, scatter_into(b, s, zero, idx, ir_binary(b, OP_mul, won, t[2]), "add"));
	Value *count = ir_binary(b, OP_add, m, scatter_into(b, s, zero, idx, won, "add"));
	return ir_binary(b, OP_div, sum, count);
}

/* mul: y = x * q * [z = 0] with q the product of the non-zero factors of a cell and z the number of zero ones. */
static Value *scatter_mul_jvp(Builder *b, const OpView *v, const Scatter *s, Value *const *t)
{
	Value *x = v->in[0], *idx = v->in[1], *u = v->in[2];
	DType d = x->type->dtype;
	Value *one_x = ir_splat(b, x->type, 1), *zero_u = ir_zeros(b, u->type), *is0 = ir_binary(b, OP_eq, u, zero_u);
	Value *safe = ir_select(b, is0, ir_splat(b, u->type, 1), u);
	Value *q = scatter_into(b, s, one_x, idx, safe, "mul"), *zero_x = ir_zeros(b, x->type);
	Value *z = scatter_into(b, s, zero_x, idx, rule_mask(b, is0, d), "add"), *r = NULL;
	if (t[0]) r = ir_binary(b, OP_mul, t[0], ir_select(b, ir_binary(b, OP_eq, z, zero_x), q, zero_x));
	if (!t[2]) return r;
	/* the other factors of v's cell: v != 0: [z = 0] q/v, v == 0: [z = 1] q */
	Value *zu = gather_at(b, s, z, idx), *others = ir_binary(b, OP_div, gather_at(b, s, q, idx), safe);
	Value *alone = ir_binary(b, OP_eq, zu, rule_mask(b, is0, d));
	Value *coef = ir_binary(b, OP_mul, gather_at(b, s, x, idx), ir_select(b, alone, others, zero_u));
	return rule_add(b, r, scatter_into(b, s, zero_x, idx, ir_binary(b, OP_mul, t[2], coef), "add"));
}

JvpRule jvp_scatter;
void jvp_scatter(Builder *b, const OpView *v, Value *const *t, Value **dt)
{
	Scatter s = scatter_of(v);
	Value *x = v->in[0], *u = v->in[2];
	if (!strcmp(s.mode, "max") || !strcmp(s.mode, "min")) dt[0] = scatter_extreme_jvp(b, v, &s, t);
	else if (!strcmp(s.mode, "mul")) dt[0] = scatter_mul_jvp(b, v, &s, t);
	else if (!strcmp(s.mode, "add") && !t[2]) dt[0] = t[0];
	else dt[0] = scatter_into(b, &s, t[0] ? t[0] : ir_zeros(b, x->type), v->in[1], t[2] ? t[2] : ir_zeros(b, u->type), s.mode);
}

BATCH(scatter)
{
	Scatter s = scatter_of(v);
	Value *full[3];
	for (int k = 0; k < 3; k++) full[k] = rule_lifted(b, in[k], isb[k], n);
	out[0] = ir_scatter(b, full[0], full[1], full[2], axes_up(b, view_attr(v, AT_axes)), s.na, s.nb + 1, s.oob, s.mode, s.unique);
}
