/* Ops that move or repeat elements: broadcast, reshape, transpose, rev, slice, pad, concat, dslice, dupdate. Their evaluation is a strided
 * copy each. */
#include "op_util.h"
#include "optable.h"

/* --- broadcast, reshape, transpose, rev ----------------------------------------------------------------------------------------- */
INFER(broadcast)
{
	const Type *t = in_type(v, 0);
	const int64_t *axis = view_ints(v, AT_dims);
	const Dim *shape = view_dims(v, AT_shape);
	int rank = view_count(v, AT_shape);
	if (rank > MAX_RANK) FAIL("`broadcast` to %d axes: at most %d are supported", rank, MAX_RANK);
	if (view_count(v, AT_dims) != t->rank) FAIL("`broadcast` names %d axes for an operand of %d", view_count(v, AT_dims), t->rank);
	if (!want_axes(m, v, AT_dims, rank, why)) return false;
	for (int i = 0; i < t->rank; i++)
		if (!same_dim(f, t->dim[i], shape[axis[i]]))
			FAIL("axis %d of the operand of `broadcast` is %s, axis %lld of the result %s", i, dim_str(m->arena, t->dim[i]),
			     (long long)axis[i], dim_str(m->arena, shape[axis[i]]));
	return one_result(type_get(m, t->dtype, rank, shape), type, n);
}

EVAL(broadcast)
{
	int64_t xs[MAX_RANK], from[MAX_RANK] = {0}, to[MAX_RANK];
	row_major_strides(in[0]->rank, in[0]->shape, xs);
	row_major_strides(out[0]->rank, out[0]->shape, to);
	for (int i = 0; i < in[0]->rank; i++) from[view_ints(v, AT_dims)[i]] = xs[i];
	copy_strided(out[0]->rank, out[0]->shape, out[0]->data, to, in[0]->data, from, (size_t)dtype_bytes(in[0]->dtype));
}

INFER(reshape)
{
	const Type *t = in_type(v, 0);
	int rank = view_count(v, AT_shape);
	if (rank > MAX_RANK) FAIL("`reshape` to %d axes: at most %d are supported", rank, MAX_RANK);
	const Type *r = type_get(m, t->dtype, rank, view_dims(v, AT_shape));
	Dim a = type_size(m, t), b = type_size(m, r);
	if (!a || !b) FAIL("the number of elements of %s or %s does not fit 64 bits", type_str(m->arena, t), type_str(m->arena, r));
	if (!same_dim(f, a, b))
		FAIL("`reshape` of %s to %s changes the number of elements from %s to %s", type_str(m->arena, t), type_str(m->arena, r),
		     dim_str(m->arena, a), dim_str(m->arena, b));
	return one_result(r, type, n);
}

EVAL(reshape)
{
	memcpy(out[0]->data, in[0]->data, tensor_bytes(in[0]));
}

INFER(transpose)
{
	const Type *t = in_type(v, 0);
	const int64_t *perm = view_ints(v, AT_perm);
	Dim dims[MAX_RANK];
	bool seen[MAX_RANK] = {false};
	if (view_count(v, AT_perm) != t->rank) FAIL("`transpose` permutes %d axes of an operand with %d", view_count(v, AT_perm), t->rank);
	for (int i = 0; i < t->rank; i++) {
		if (perm[i] < 0 || perm[i] >= t->rank || seen[perm[i]]) FAIL("perm of `transpose` is not a permutation of the %d axes", t->rank);
		seen[perm[i]] = true;
		dims[i] = t->dim[perm[i]];
	}
	return one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

EVAL(transpose)
{
	int64_t xs[MAX_RANK], from[MAX_RANK], to[MAX_RANK];
	row_major_strides(in[0]->rank, in[0]->shape, xs);
	row_major_strides(out[0]->rank, out[0]->shape, to);
	for (int i = 0; i < in[0]->rank; i++) from[i] = xs[view_ints(v, AT_perm)[i]];
	copy_strided(out[0]->rank, out[0]->shape, out[0]->data, to, in[0]->data, from, (size_t)dtype_bytes(in[0]->dtype));
}

INFER(rev)
{
	return want_axes(m, v, AT_axes, in_type(v, 0)->rank, why) && one_result(in_type(v, 0), type, n);
}

EVAL(rev)
{
	int64_t from[MAX_RANK], to[MAX_RANK], start = 0;
	size_t bytes = (size_t)dtype_bytes(in[0]->dtype);
	row_major_strides(in[0]->rank, in[0]->shape, from);
	row_major_strides(in[0]->rank, in[0]->shape, to);
	for (int i = 0; i < view_count(v, AT_axes); i++) {
		int64_t a = view_ints(v, AT_axes)[i];
		start += from[a] * (in[0]->shape[a] - 1);
		from[a] = -from[a];
	}
	if (tensor_size(in[0]))
		copy_strided(in[0]->rank, in[0]->shape, out[0]->data, to, (char *)in[0]->data + start * (int64_t)bytes, from, bytes);
}

/* --- slice, pad, concat ----------------------------------------------------------------------------------------------------------- */
/* lo, hi, step have one entry per axis and steps are positive. */
static bool want_box(Module *m, const OpView *v, int rank, const char **why)
{
	const char *name = op_row(v->code)->name;
	if (view_count(v, AT_lo) != rank || view_count(v, AT_hi) != rank || view_count(v, AT_step) != rank)
		FAIL("lo, hi and step of `%s` need one entry for each of the %d axes", name, rank);
	for (int i = 0; i < rank; i++)
		if (view_ints(v, AT_step)[i] < 1) FAIL("step %lld of `%s` is not positive", (long long)view_ints(v, AT_step)[i], name);
	return true;
}

INFER(slice)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK], zero = dim_int(m->dims, 0);
	if (!want_box(m, v, t->rank, why)) return false;
	for (int i = 0; i < t->rank; i++) {
		Dim lo = view_dims(v, AT_lo)[i], hi = view_dims(v, AT_hi)[i];
		int64_t step = view_ints(v, AT_step)[i];
		if (surely_less(f, lo, zero) || surely_less(f, hi, lo) || surely_less(f, t->dim[i], hi))
			FAIL("slice %s:%s of axis %d is outside its %s elements", dim_str(m->arena, lo), dim_str(m->arena, hi), i,
			     dim_str(m->arena, t->dim[i]));
		dims[i] = dim_sub(m->dims, hi, lo);
		if (step > 1) dims[i] = dim_floordiv(m->dims, f, dim_add(m->dims, dims[i], dim_int(m->dims, step - 1)), dim_int(m->dims, step));
	}
	return one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

EVAL(slice)
{
	int64_t from[MAX_RANK], to[MAX_RANK], start = 0;
	size_t bytes = (size_t)dtype_bytes(in[0]->dtype);
	row_major_strides(in[0]->rank, in[0]->shape, from);
	row_major_strides(out[0]->rank, out[0]->shape, to);
	for (int i = 0; i < in[0]->rank; i++) {
		start += from[i] * view_const(v, AT_lo, i);
		from[i] *= view_ints(v, AT_step)[i];
	}
	if (tensor_size(out[0]))
		copy_strided(out[0]->rank, out[0]->shape, out[0]->data, to, (char *)in[0]->data + start * (int64_t)bytes, from, bytes);
}

/* Extent lo + hi + (n-1)*step + 1 also for n = 0: so pad undoes a slice of any length, and its extent is one polynomial. */
INFER(pad)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK], zero = dim_int(m->dims, 0), one = dim_int(m->dims, 1);
	if (!want_box(m, v, t->rank, why) || !want_same_dtype(m, v, 0, 1, why)) return false;
	if (in_type(v, 1)->rank) FAIL("the filler of `pad` must be a scalar, not %s", type_str(m->arena, in_type(v, 1)));
	for (int i = 0; i < t->rank; i++) {
		Dim spread = dim_add(m->dims, dim_scale(m->dims, dim_sub(m->dims, t->dim[i], one), view_ints(v, AT_step)[i], 1), one);
		dims[i] = dim_add(m->dims, dim_add(m->dims, view_dims(v, AT_lo)[i], view_dims(v, AT_hi)[i]), spread);
		if (surely_less(f, dims[i], zero)) FAIL("`pad` crops more than axis %d has: extent %s", i, dim_str(m->arena, dims[i]));
	}
	return one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
	return a <= 0 ? 0 : (a + b - 1) / b;
}

EVAL(pad)
{
	int64_t zero[MAX_RANK] = {0}, from[MAX_RANK], to[MAX_RANK], kept[MAX_RANK], src = 0, dst = 0;
	int rank = in[0]->rank;
	size_t bytes = (size_t)dtype_bytes(in[0]->dtype);
	row_major_strides(rank, in[0]->shape, from);
	row_major_strides(rank, out[0]->shape, to);
	copy_strided(rank, out[0]->shape, out[0]->data, to, in[1]->data, zero, bytes);
	for (int i = 0; i < rank; i++) {
		/* element j lands on lo + j*step: those with 0 <= lo + j*step < extent stay */
		int64_t lo = view_const(v, AT_lo, i), step = view_ints(v, AT_step)[i];
		int64_t first = ceil_div(-lo, step), end = ceil_div(out[0]->shape[i] - lo, step);
		if (end > in[0]->shape[i]) end = in[0]->shape[i];
		kept[i] = end > first ? end - first : 0;
		src += first * from[i];
		dst += (lo + first * step) * to[i];
		to[i] *= step;
	}
	if (shape_size(rank, kept))
		copy_strided(rank, kept, (char *)out[0]->data + dst * (int64_t)bytes, to, (char *)in[0]->data + src * (int64_t)bytes, from, bytes);
}

INFER(concat)
{
	if (v->nin < 1) FAIL("`concat` needs an operand");
	const Type *t = in_type(v, 0);
	int64_t axis = view_int(v, AT_axis);
	Dim dims[MAX_RANK];
	if (!want_axis(m, v, t->rank, why)) return false;
	memcpy(dims, t->dim, sizeof(Dim) * (size_t)t->rank);
	for (int k = 1; k < v->nin; k++) {
		const Type *o = in_type(v, k);
		if (!want_same_dtype(m, v, 0, k, why)) return false;
		bool fits = o->rank == t->rank;
		for (int i = 0; fits && i < t->rank; i++) fits = i == axis || same_dim(f, o->dim[i], t->dim[i]);
		if (!fits)
			FAIL("operands of `concat` along axis %lld differ elsewhere: %s and %s", (long long)axis, type_str(m->arena, t),
			     type_str(m->arena, o));
		dims[axis] = dim_add(m->dims, dims[axis], o->dim[axis]);
	}
	return one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

EVAL(concat)
{
	int64_t outer, len, inner, at = 0;
	size_t bytes = (size_t)dtype_bytes(out[0]->dtype);
	int axis = (int)view_int(v, AT_axis);
	split_axis(out[0], axis, &outer, &len, &inner);
	for (int k = 0; k < v->nin; k++) {
		size_t run = (size_t)(in[k]->shape[axis] * inner) * bytes, row = (size_t)(len * inner) * bytes;
		for (int64_t o = 0; o < outer; o++)
			memcpy((char *)out[0]->data + (size_t)o * row + (size_t)(at * inner) * bytes, (char *)in[k]->data + (size_t)o * run, run);
		at += in[k]->shape[axis];
	}
}

/* --- slices that start at run-time positions ---------------------------------------------------------------------------------- */
static bool want_starts(Module *m, const OpView *v, int first, const char **why)
{
	if (!want_axes(m, v, AT_axes, in_type(v, 0)->rank, why) || !want_operands(m, v, first + view_count(v, AT_axes), why)) return false;
	for (int k = first; k < v->nin; k++)
		if (!want_i32_scalar(m, v, k, "a start", why)) return false;
	return true;
}

INFER(dslice)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK];
	if (!want_starts(m, v, 1, why)) return false;
	if (view_count(v, AT_sizes) != view_count(v, AT_axes))
		FAIL("`dslice` has %d sizes for %d axes", view_count(v, AT_sizes), view_count(v, AT_axes));
	memcpy(dims, t->dim, sizeof(Dim) * (size_t)t->rank);
	for (int i = 0; i < view_count(v, AT_axes); i++) {
		int64_t a = view_ints(v, AT_axes)[i];
		if (surely_less(f, t->dim[a], view_dims(v, AT_sizes)[i]))
			FAIL("a slice of %s elements does not fit axis %lld with %s", dim_str(m->arena, view_dims(v, AT_sizes)[i]), (long long)a,
			     dim_str(m->arena, t->dim[a]));
		dims[a] = view_dims(v, AT_sizes)[i];
	}
	return one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

/* Offset of the box of extents `box` in x, whose start on axes[i] is operand first+i, clamped so that it fits. */
static int64_t clamped_start(const OpView *v, Tensor *const *in, int first, const int64_t *stride, const int64_t *box)
{
	int64_t offset = 0;
	for (int i = 0; i < view_count(v, AT_axes); i++) {
		int64_t a = view_ints(v, AT_axes)[i], s = *(int32_t *)in[first + i]->data, last = in[0]->shape[a] - box[a];
		offset += stride[a] * (s > last ? last : s < 0 ? 0 : s);
	}
	return offset;
}

EVAL(dslice)
{
	int64_t from[MAX_RANK], to[MAX_RANK];
	size_t bytes = (size_t)dtype_bytes(in[0]->dtype);
	row_major_strides(in[0]->rank, in[0]->shape, from);
	row_major_strides(out[0]->rank, out[0]->shape, to);
	int64_t start = clamped_start(v, in, 1, from, out[0]->shape);
	if (tensor_size(out[0]))
		copy_strided(out[0]->rank, out[0]->shape, out[0]->data, to, (char *)in[0]->data + start * (int64_t)bytes, from, bytes);
}

INFER(dupdate)
{
	if (v->nin < 2) FAIL("`dupdate` takes the tensor, the new part and its starts");
	const Type *t = in_type(v, 0), *part = in_type(v, 1);
	bool fits = part->rank == t->rank;
	if (!want_starts(m, v, 2, why) || !want_same_dtype(m, v, 0, 1, why)) return false;
	if (!view_has(v, AT_mode, "set") && !view_has(v, AT_mode, "add"))
		FAIL("the mode of `dupdate` is set or add, not %s", view_text(v, AT_mode));
	if (view_has(v, AT_mode, "add") && !op_takes(OP_add, t->dtype)) FAIL("`dupdate` cannot add %s", dtype_name(t->dtype));
	for (int i = 0; fits && i < t->rank; i++)
		fits = ints_contain(view_ints(v, AT_axes), view_count(v, AT_axes), i) ? !surely_less(f, t->dim[i], part->dim[i])
		                                                                      : same_dim(f, t->dim[i], part->dim[i]);
	if (!fits) FAIL("the part of `dupdate`, %s, does not fit into %s", type_str(m->arena, part), type_str(m->arena, t));
	return one_result(t, type, n);
}

EVAL(dupdate)
{
	int64_t from[MAX_RANK], to[MAX_RANK];
	const Tensor *part = in[1];
	size_t bytes = (size_t)dtype_bytes(part->dtype);
	row_major_strides(part->rank, part->shape, from);
	row_major_strides(in[0]->rank, in[0]->shape, to);
	char *dst = (char *)out[0]->data + clamped_start(v, in, 2, to, part->shape) * (int64_t)bytes;
	memcpy(out[0]->data, in[0]->data, tensor_bytes(in[0]));
	if (tensor_size(part) == 0) return;
	if (view_has(v, AT_mode, "add")) {
		Tensor *sum = tensor_new(scratch, part->dtype, part->rank, part->shape);
		copy_strided(part->rank, part->shape, sum->data, from, dst, to, bytes);
		const void *both[] = {sum->data, part->data};
		elem_loop(OP_add, part->dtype)(both, sum->data, tensor_size(part));
		part = sum;
	}
	copy_strided(part->rank, part->shape, dst, to, part->data, from, bytes);
}
