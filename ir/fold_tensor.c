/* Identities of tensor ops, each in a function named after its op. All are exact; the few that are not say so and ask m->fast_math. */
#include <string.h>
#include "fold.h"
#include "fold_tensor.h"
#include "optable.h"

static const Op *def_of(const Value *v, OpCode c)
{
	return v->def && v->def->code == c ? v->def : NULL;
}
static const int64_t *ints_of(const Op *op, AttrKey k)
{
	return op_attr(op, k)->v.ints;
}

static bool is_zero(Dim d)
{
	int64_t n;
	return dim_is_const(d, &n) && n == 0;
}

static bool is_iota_perm(const int64_t *p, int n)
{
	for (int i = 0; i < n; i++)
		if (p[i] != i) return false;
	return true;
}

static bool all_ones(const int64_t *p, int n)
{
	for (int i = 0; i < n; i++)
		if (p[i] != 1) return false;
	return true;
}

static int index_of(const int64_t *p, int n, int64_t x)
{
	for (int i = 0; i < n; i++)
		if (p[i] == x) return i;
	return -1;
}

/* A view of a scalar repeated everywhere is the scalar repeated over the view's shape. */
static bool fold_view_of_splat(Builder *b, const OpView *v, Value **out)
{
	const Op *o = def_of(v->in[0], OP_broadcast);
	const Type *t[1];
	int n;
	const char *why;
	if (!o || o->in[0]->type->rank != 0) return false;
	if (!op_row(v->code)->infer(b->m, b->facts, v, t, &n, &why)) return false;
	*out = ir_broadcast_scalar(b, o->in[0], t[0]);
	return true;
}

static bool fold_broadcast(Builder *b, const OpView *v, Value **out)
{
	const Attr *shape = view_attr(v, AT_shape), *dims = view_attr(v, AT_dims);
	Value *x = v->in[0];
	if (shape->n == x->type->rank) return *out = x, true;
	const Op *o = def_of(x, OP_broadcast);
	if (!o) return false;
	int64_t through[MAX_RANK];
	int r = o->in[0]->type->rank;
	for (int i = 0; i < r; i++) through[i] = dims->v.ints[ints_of(o, AT_dims)[i]];
	Attr at[] = {*shape, ATTR_INTS(dims, through, r)};
	return *out = ir_emit(b, OP_broadcast, o->in, 1, at, 2), true;
}

/* Only axes of one element appear or disappear: the same values in the same order for a broadcast operand too. */
static bool fold_reshape(Builder *b, const OpView *v, Value **out)
{
	const Attr *shape = view_attr(v, AT_shape);
	Value *x = v->in[0];
	bool same = shape->n == x->type->rank;
	for (int i = 0; same && i < shape->n; i++)
		same = shape->v.dims[i] == x->type->dim[i] || dim_provable_equal(b->facts, shape->v.dims[i], x->type->dim[i]);
	if (same) return *out = x, true;
	const Op *o = def_of(x, OP_reshape);
	if (o) return *out = ir_reshape(b, o->in[0], shape->n, shape->v.dims), true;
	return fold_view_of_splat(b, v, out);
}

static bool fold_transpose(Builder *b, const OpView *v, Value **out)
{
	const Attr *perm = view_attr(v, AT_perm);
	const int64_t *p = perm->v.ints;
	Value *x = v->in[0];
	int n = perm->n;
	if (is_iota_perm(p, n)) return *out = x, true;
	const Op *o = def_of(x, OP_transpose);
	if (o) {
		int64_t q[MAX_RANK];
		for (int i = 0; i < n; i++) q[i] = ints_of(o, AT_perm)[p[i]];
		return *out = ir_transpose(b, o->in[0], q), true;
	}
	return fold_view_of_splat(b, v, out);
}

static bool fold_rev(Builder *b, const OpView *v, Value **out)
{
	const Attr *axes = view_attr(v, AT_axes);
	const Op *o = def_of(v->in[0], OP_rev);
	if (axes->n == 0) return *out = v->in[0], true;
	if (!o) return fold_view_of_splat(b, v, out);
	const Attr *inner = op_attr(o, AT_axes);
	int64_t left[MAX_RANK];
	int n = 0;
	for (int a = 0; a < v->in[0]->type->rank; a++)
		if ((index_of(axes->v.ints, axes->n, a) >= 0) != (index_of(inner->v.ints, inner->n, a) >= 0)) left[n++] = a;
	return *out = n ? ir_rev(b, o->in[0], left, n) : o->in[0], true;
}

/* slice(concat(.., x, ..)) -> slice(x) where the piece contains all of the range. */
static bool slice_of_concat(Builder *b, const OpView *v, const Op *o, Value **out)
{
	DimCtx *c = b->m->dims;
	int axis = (int)op_int(o, AT_axis, 0);
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step);
	Dim start = dim_int(c, 0);
	for (int k = 0; k < o->nin; k++) {
		Dim end = dim_add(c, start, o->in[k]->type->dim[axis]), l = dim_sub(c, lo->v.dims[axis], start),
		    h = dim_sub(c, hi->v.dims[axis], start);
		if (!end || !l || !h) return false;
		if (dim_provable_nonneg(b->facts, l) && dim_provable_nonneg(b->facts, dim_sub(c, end, hi->v.dims[axis]))) {
			Dim ls[MAX_RANK], hs[MAX_RANK];
			for (int i = 0; i < lo->n; i++) ls[i] = i == axis ? l : lo->v.dims[i], hs[i] = i == axis ? h : hi->v.dims[i];
			return *out = ir_slice(b, o->in[k], ls, hs, step->v.ints), true;
		}
		start = end;
	}
	return false;
}

/* slice(pad(x)) -> slice(x) where the range lies inside x, with pad's own step 1. */
static bool slice_of_pad(Builder *b, const OpView *v, const Op *o, Value **out)
{
	DimCtx *c = b->m->dims;
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step), *plo = op_attr(o, AT_lo);
	Dim ls[MAX_RANK], hs[MAX_RANK];
	if (!all_ones(ints_of(o, AT_step), lo->n)) return false;
	for (int i = 0; i < lo->n; i++) {
		ls[i] = dim_sub(c, lo->v.dims[i], plo->v.dims[i]);
		hs[i] = dim_sub(c, hi->v.dims[i], plo->v.dims[i]);
		if (!ls[i] || !hs[i] || !dim_provable_nonneg(b->facts, ls[i])) return false;
		if (!dim_provable_nonneg(b->facts, dim_sub(c, o->in[0]->type->dim[i], hs[i]))) return false;
	}
	return *out = ir_slice(b, o->in[0], ls, hs, step->v.ints), true;
}

static bool slice_of_slice(Builder *b, const OpView *v, const Op *o, Value **out)
{
	DimCtx *c = b->m->dims;
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step);
	const Dim *ilo = op_attr(o, AT_lo)->v.dims;
	const int64_t *istep = ints_of(o, AT_step);
	Dim ls[MAX_RANK], hs[MAX_RANK];
	int64_t ss[MAX_RANK];
	if (!all_ones(istep, lo->n)) return false;
	for (int i = 0; i < lo->n; i++) {
		ls[i] = dim_add(c, ilo[i], lo->v.dims[i]);
		hs[i] = dim_add(c, ilo[i], hi->v.dims[i]);
		ss[i] = step->v.ints[i];
		if (!ls[i] || !hs[i]) return false;
	}
	return *out = ir_slice(b, o->in[0], ls, hs, ss), true;
}

static bool fold_slice(Builder *b, const OpView *v, Value **out)
{
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step);
	const Type *t = v->in[0]->type;
	bool whole = all_ones(step->v.ints, t->rank);
	for (int i = 0; whole && i < t->rank; i++)
		whole = is_zero(lo->v.dims[i]) && (hi->v.dims[i] == t->dim[i] || dim_provable_equal(b->facts, hi->v.dims[i], t->dim[i]));
	if (whole) return *out = v->in[0], true;
	const Op *o = v->in[0]->def;
	if (!o) return false;
	if (o->code == OP_concat && slice_of_concat(b, v, o, out)) return true;
	if (o->code == OP_pad && slice_of_pad(b, v, o, out)) return true;
	if (o->code == OP_slice && slice_of_slice(b, v, o, out)) return true;
	return fold_view_of_splat(b, v, out);
}

static bool fold_pad(Builder *b, const OpView *v, Value **out)
{
	const Attr *lo = view_attr(v, AT_lo), *hi = view_attr(v, AT_hi), *step = view_attr(v, AT_step);
	for (int i = 0; i < lo->n; i++)
		if (!is_zero(lo->v.dims[i]) || !is_zero(hi->v.dims[i]) || step->v.ints[i] != 1) return false;
	return *out = v->in[0], true;
}

/* One operand; operands without elements; concat of concat; neighbouring slices of one value. */
static bool fold_concat(Builder *b, const OpView *v, Value **out)
{
	int axis = (int)view_attr(v, AT_axis)->v.i, n = 0;
	if (v->nin == 1) return *out = v->in[0], true;
	bool nested = false, empty = false;
	for (int i = 0; i < v->nin; i++) {
		const Op *o = def_of(v->in[i], OP_concat);
		bool flat = o && op_int(o, AT_axis, 0) == axis;
		nested |= flat;
		empty |= is_zero(v->in[i]->type->dim[axis]);
		n += flat ? o->nin : 1;
	}
	if (!nested && !empty) return false;
	Value **in = NEW_ARRAY(b->m->arena, Value *, n);
	n = 0;
	for (int i = 0; i < v->nin; i++) {
		const Op *o = def_of(v->in[i], OP_concat);
		if (is_zero(v->in[i]->type->dim[axis])) continue;
		if (o && op_int(o, AT_axis, 0) == axis)
			for (int k = 0; k < o->nin; k++) in[n++] = o->in[k];
		else in[n++] = v->in[i];
	}
	if (n == 0) return *out = v->in[0], true;
	return *out = ir_concat(b, in, n, axis), true;
}

/* reduce(reduce(x)) -> one reduce. Reordering a float sum or product is not exact; a maximum has no order. */
static bool reduce_of_reduce(Builder *b, const OpView *v, const Op *o, Value **out)
{
	const Attr *outer = view_attr(v, AT_axes), *inner = op_attr(o, AT_axes);
	int64_t axes[MAX_RANK];
	int n = 0, rank = o->in[0]->type->rank, kept = 0;
	for (int a = 0; a < rank; a++) {
		bool in = index_of(inner->v.ints, inner->n, a) >= 0;
		if (in || index_of(outer->v.ints, outer->n, kept) >= 0) axes[n++] = a;
		kept += !in;
	}
	return *out = ir_reduce(b, v->code, o->in[0], axes, n), true;
}

/* The number of elements reduced, when it is a power of two: then x * n is what pairwise addition gives, in every bit. */
static bool power_of_two(Dim n)
{
	int64_t k;
	return dim_is_const(n, &k) && k > 0 && (k & (k - 1)) == 0;
}

/* reduce(broadcast(x)) over axes that the broadcast made: they go. The sum becomes x * n. */
static bool reduce_of_broadcast(Builder *b, const OpView *v, const Op *o, Value **out)
{
	Module *m = b->m;
	const Attr *axes = view_attr(v, AT_axes), *dims = op_attr(o, AT_dims);
	const Type *full = o->out[0]->type;
	int64_t inner[MAX_RANK], kept_dims[MAX_RANK];
	Dim left[MAX_RANK], n = dim_int(m->dims, 1);
	int ninner = 0, nkept = 0, nleft = 0;
	bool empty_possible = false;
	for (int a = 0; a < full->rank; a++) {
		int k = index_of(dims->v.ints, dims->n, a);
		bool reduced = index_of(axes->v.ints, axes->n, a) >= 0;
		if (reduced && k >= 0) inner[ninner++] = k;
		if (reduced && k < 0) {
			n = dim_mul(m->dims, n, full->dim[a]);
			empty_possible |= !dim_provable_nonneg(b->facts, dim_sub(m->dims, full->dim[a], dim_int(m->dims, 1)));
		}
		if (!reduced && k >= 0) kept_dims[nkept++] = nleft;
		if (!reduced) left[nleft++] = full->dim[a];
	}
	if (ninner == axes->n || !n) return false;
	DType d = full->dtype;
	bool sum = v->code == OP_reduce_sum;
	if (sum && !(dtype_is_int(d) || power_of_two(n) || m->fast_math)) return false;
	if (!sum && (v->code == OP_reduce_prod || empty_possible)) return false;
	Value *r = ir_reduce(b, v->code, o->in[0], inner, ninner);
	r = ir_broadcast(b, r, type_get(m, d, nleft, left), kept_dims);
	if (sum) {
		int64_t k;
		Value *count = dim_is_const(n, &k) ? ir_scalar_int(b, d, k) : ir_convert(b, ir_dimsize(b, n), d);
		r = ir_binary(b, OP_mul, r, ir_broadcast_scalar(b, count, r->type));
	}
	return *out = r, true;
}

static bool fold_reduce(Builder *b, const OpView *v, Value **out)
{
	const Op *o = v->in[0]->def;
	if (view_attr(v, AT_axes)->n == 0) return *out = v->in[0], true;
	if (!o) return false;
	bool exact = (v->code != OP_reduce_sum && v->code != OP_reduce_prod) || dtype_is_int(v->in[0]->type->dtype);
	if (o->code == v->code && (exact || b->m->fast_math)) return reduce_of_reduce(b, v, o, out);
	return o->code == OP_broadcast && reduce_of_broadcast(b, v, o, out);
}

/* A transposed operand only renames the axes that contract and batch; its free axes must keep their order. */
static bool dot_of_transpose(Builder *b, const OpView *v, int k, Value **out)
{
	const Op *o = def_of(v->in[k], OP_transpose);
	if (!o) return false;
	const int64_t *perm = ints_of(o, AT_perm);
	const Attr *contract = view_attr(v, k ? AT_rhs_contract : AT_lhs_contract), *batch = view_attr(v, k ? AT_rhs_batch : AT_lhs_batch);
	int64_t last = -1, c[MAX_RANK], t[MAX_RANK];
	for (int i = 0; i < o->in[0]->type->rank; i++) {
		if (index_of(contract->v.ints, contract->n, i) >= 0 || index_of(batch->v.ints, batch->n, i) >= 0) continue;
		if (perm[i] < last) return false;
		last = perm[i];
	}
	for (int i = 0; i < contract->n; i++) c[i] = perm[contract->v.ints[i]];
	for (int i = 0; i < batch->n; i++) t[i] = perm[batch->v.ints[i]];
	Value *in[2] = {v->in[0], v->in[1]};
	in[k] = o->in[0];
	const Attr *oc = view_attr(v, k ? AT_lhs_contract : AT_rhs_contract), *ob = view_attr(v, k ? AT_lhs_batch : AT_rhs_batch);
	*out = k ? ir_dot(b, in[0], in[1], oc->v.ints, c, contract->n, ob->v.ints, t, batch->n)
	         : ir_dot(b, in[0], in[1], c, oc->v.ints, contract->n, t, ob->v.ints, batch->n);
	return true;
}

static bool fold_dot(Builder *b, const OpView *v, Value **out)
{
	return dot_of_transpose(b, v, 0, out) || dot_of_transpose(b, v, 1, out);
}

static bool fold_bitcast(Builder *b, const OpView *v, Value **out)
{
	if (view_attr(v, AT_dtype)->v.dtype != v->in[0]->type->dtype) return false;
	return *out = v->in[0], true;
}

static bool fold_dimsize(Builder *b, const OpView *v, Value **out)
{
	int64_t n;
	if (!dim_is_const(view_attr(v, AT_dim)->v.dim, &n)) return false;
	return *out = ir_scalar_int(b, DT_i32, n), true;
}

bool fold_tensor(Builder *b, const OpView *v, Value **out)
{
	switch (v->code) {
	case OP_broadcast: return fold_broadcast(b, v, out);
	case OP_reshape: return fold_reshape(b, v, out);
	case OP_transpose: return fold_transpose(b, v, out);
	case OP_rev: return fold_rev(b, v, out);
	case OP_slice: return fold_slice(b, v, out);
	case OP_pad: return fold_pad(b, v, out);
	case OP_concat: return fold_concat(b, v, out);
	case OP_reduce_sum:
	case OP_reduce_prod:
	case OP_reduce_max:
	case OP_reduce_min:
	case OP_reduce_and:
	case OP_reduce_or: return fold_reduce(b, v, out);
	case OP_dot: return fold_dot(b, v, out);
	case OP_bitcast: return fold_bitcast(b, v, out);
	case OP_dimsize: return fold_dimsize(b, v, out);
	default: return false;
	}
}

/* --- element-wise ------------------------------------------------------------------------------------------------------- */
/* Every value of `from` is a value of `to`, so a round trip through `to` changes nothing. */
static bool dtype_embeds(DType from, DType to)
{
	static const int mantissa[DT_COUNT] = {[DT_f16] = 11, [DT_bf16] = 8, [DT_f32] = 24, [DT_f64] = 53, [DT_c64] = 24};
	int bits = dtype_bytes(from) * 8;
	if (from == to || from == DT_bool) return true;
	if (dtype_is_int(from) && dtype_is_int(to))
		return dtype_is_signed(from) ? dtype_is_signed(to) && dtype_bytes(to) >= dtype_bytes(from)
		                             : dtype_bytes(to) + !dtype_is_signed(to) > dtype_bytes(from);
	if (dtype_is_int(from)) return mantissa[to] >= bits && to != DT_f16;
	if (!dtype_is_diff(to) || from == DT_c64) return false;
	return mantissa[to] >= mantissa[from] && !(from == DT_bf16 && to == DT_f16);
}

static bool fold_convert(Builder *b, const OpView *v, Value **out)
{
	DType d = view_attr(v, AT_dtype)->v.dtype;
	Value *x = v->in[0];
	if (x->type->dtype == d) return *out = x, true;
	const Op *o = def_of(x, OP_convert);
	if (!o || !dtype_embeds(o->in[0]->type->dtype, x->type->dtype)) return false;
	return *out = ir_convert(b, o->in[0], d), true;
}

/* and, or, select with constant true: rows can't name a bool constant that means `all`. */
static bool fold_select(Builder *b, const OpView *v, Value **out)
{
	Scalar yes, no;
	if (v->in[1]->type->dtype != DT_bool || !value_const_splat(v->in[1], &yes) || !value_const_splat(v->in[2], &no) || yes.v.u == no.v.u)
		return false;
	return *out = yes.v.u ? v->in[0] : ir_unary(b, OP_not, v->in[0]), true;
}

bool fold_elementwise(Builder *b, const OpView *v, Value **out)
{
	if (v->code == OP_convert) return fold_convert(b, v, out);
	if (v->code == OP_select) return fold_select(b, v, out);
	return false;
}

/* --- sums into zero-filled buffers ----------------------------------------------------------------------------------------- */
static bool is_zeros(const Value *v)
{
	Scalar s;
	uint64_t word = 0;
	if (!value_const_splat(v, &s)) return false;
	scalar_store(s, &word);
	return word == 0;
}

static bool accumulate_pad(Builder *b, Value *acc, const Op *o, Value **out)
{
	int r = acc->type->rank;
	const Attr *lo = op_attr(o, AT_lo), *hi = op_attr(o, AT_hi);
	int64_t axes[MAX_RANK];
	Value *starts[MAX_RANK];
	if (!is_zeros(o->in[1]) || !all_ones(ints_of(o, AT_step), r) || r == 0) return false;
	for (int i = 0; i < r; i++)
		if (!dim_provable_nonneg(b->facts, lo->v.dims[i]) || !dim_provable_nonneg(b->facts, hi->v.dims[i])) return false;
	int n = 0;
	for (int i = 0; i < r; i++)
		if (!is_zero(lo->v.dims[i]) || !is_zero(hi->v.dims[i])) axes[n] = i, starts[n++] = ir_dimsize(b, lo->v.dims[i]);
	*out = n ? ir_dupdate(b, acc, o->in[0], axes, starts, n, "add") : ir_binary(b, OP_add, acc, o->in[0]);
	return true;
}

/* pad(x) + pad(y) where y begins on the padded axis at the end of x -> pad(concat(x, y)): the cotangents of a split. */
static bool neighbouring_pads(Builder *b, const Op *p, const Op *q, Value **out)
{
	DimCtx *c = b->m->dims;
	int r = p->out[0]->type->rank, axis = -1;
	const Dim *plo = op_attr(p, AT_lo)->v.dims, *phi = op_attr(p, AT_hi)->v.dims, *qlo = op_attr(q, AT_lo)->v.dims,
	          *qhi = op_attr(q, AT_hi)->v.dims;
	if (!is_zeros(p->in[1]) || !is_zeros(q->in[1]) || !all_ones(ints_of(p, AT_step), r) || !all_ones(ints_of(q, AT_step), r)) return false;
	for (int i = 0; i < r; i++) {
		if (plo[i] == qlo[i] && phi[i] == qhi[i]) continue;
		if (axis >= 0) return false;
		axis = i;
	}
	if (axis < 0 || dim_add(c, plo[axis], p->in[0]->type->dim[axis]) != qlo[axis]) return false;
	Dim hi[MAX_RANK];
	for (int i = 0; i < r; i++) hi[i] = i == axis ? qhi[i] : phi[i];
	Value *both = ir_concat(b, (Value *[]){p->in[0], q->in[0]}, 2, axis);
	return *out = ir_pad(b, both, p->in[1], plo, hi, NULL), true;
}

static bool accumulate_into(Builder *b, Value *acc, Value *x, Value **out)
{
	const Op *o = x->def;
	if (!o || !(is_bwd_tag(o->tag) || b->m->fast_math)) return false;
	bool sets = o->code == OP_dupdate && (strcmp(op_str(o, AT_mode), "set") == 0 || strcmp(op_str(o, AT_mode), "add") == 0);
	if (sets && is_zeros(o->in[0])) {
		const Attr *axes = op_attr(o, AT_axes);
		return *out = ir_dupdate(b, acc, o->in[1], axes->v.ints, o->in + 2, axes->n, "add"), true;
	}
	if (o->code == OP_scatter && is_zeros(o->in[0]) && strcmp(op_str(o, AT_mode), "add") == 0) {
		Value *in[] = {acc, o->in[1], o->in[2]};
		return *out = ir_emit(b, OP_scatter, in, 3, o->attrs, o->nattr), true;
	}
	if (o->code != OP_pad) return false;
	const Op *p = def_of(acc, OP_pad);
	if (p && (neighbouring_pads(b, p, o, out) || neighbouring_pads(b, o, p, out))) return true;
	return accumulate_pad(b, acc, o, out);
}

bool fold_accumulate(Builder *b, const OpView *v, Value **out)
{
	if (v->code != OP_add || v->in[0]->type->dtype == DT_bool) return false;
	if (is_bwd_tag(b->tag) || b->m->fast_math) {
		if (is_zeros(v->in[1])) return *out = v->in[0], true;
		if (is_zeros(v->in[0])) return *out = v->in[1], true;
	}
	return accumulate_into(b, v->in[0], v->in[1], out) || accumulate_into(b, v->in[1], v->in[0], out);
}
