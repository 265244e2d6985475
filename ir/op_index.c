/* Ops with run-time indices: gather, scatter, searchsorted. */
#include "op_util.h"
#include "optable.h"

/* --- gather and scatter ----------------------------------------------------------------------------------------------------------- */
/* x, idx[batch(nb).., I.., m] and axes agree; *rest receives x's axes behind the batch that are not indexed, in order. */
static bool want_indices(Module *m, const DimFacts *f, const OpView *v, int *rest, int *nrest, const char **why)
{
	const Type *x = in_type(v, 0), *idx = in_type(v, 1);
	const char *name = op_row(v->code)->name;
	int naxes = view_count(v, AT_axes), nb = (int)view_int(v, AT_nb);
	const int64_t *axes = view_ints(v, AT_axes);
	int64_t width;
	if (nb < 0 || nb > x->rank || nb >= idx->rank)
		FAIL("`%s` has %d batch axes, operands %s and %s", name, nb, type_str(m->arena, x), type_str(m->arena, idx));
	if (idx->dtype != DT_i32) FAIL("the indices of `%s` must be i32, not %s", name, dtype_name(idx->dtype));
	if (!dim_is_const(idx->dim[idx->rank - 1], &width) || width != naxes)
		FAIL("the last axis of the indices of `%s` is %s: one number for each of the %d indexed axes", name,
		     dim_str(m->arena, idx->dim[idx->rank - 1]), naxes);
	for (int i = 0; i < naxes; i++)
		if (axes[i] < nb || axes[i] >= x->rank || ints_contain(axes, i, axes[i]))
			FAIL("axis %lld of `%s` is not one of %s behind its %d batch axes, or named twice", (long long)axes[i], name,
			     type_str(m->arena, x), nb);
	for (int i = 0; i < nb; i++)
		if (!same_dim(f, x->dim[i], idx->dim[i]))
			FAIL("batch axis %d of `%s` is %s in the operand and %s in the indices", i, name, dim_str(m->arena, x->dim[i]),
			     dim_str(m->arena, idx->dim[i]));
	*nrest = 0;
	for (int i = nb; i < x->rank; i++)
		if (!ints_contain(axes, naxes, i)) rest[(*nrest)++] = i;
	return true;
}

/* [batch.., I.., rest..]: what gather gives and scatter takes as values. */
static bool rows_type(Module *m, const OpView *v, const int *rest, int nrest, const Type **t, const char **why)
{
	const Type *x = in_type(v, 0), *idx = in_type(v, 1);
	Dim dims[2 * MAX_RANK];
	int rank = idx->rank - 1;
	memcpy(dims, idx->dim, sizeof(Dim) * (size_t)rank);
	for (int i = 0; i < nrest; i++) dims[rank++] = x->dim[rest[i]];
	if (rank > MAX_RANK) FAIL("`%s` has %d axes in its rows: at most %d are supported", op_row(v->code)->name, rank, MAX_RANK);
	*t = type_get(m, x->dtype, rank, dims);
	return true;
}

INFER(gather)
{
	int rest[MAX_RANK], nrest;
	const Type *t;
	if (!want_indices(m, f, v, rest, &nrest, why) || !rows_type(m, v, rest, nrest, &t, why)) return false;
	if (!view_has(v, AT_oob, "clamp") && !view_has(v, AT_oob, "zero"))
		FAIL("oob of `gather` is clamp or zero, not %s", view_text(v, AT_oob));
	return one_result(t, type, n);
}

INFER(scatter)
{
	static const char *const modes[] = {"add", "max", "min", "mul"};
	static const OpCode combine[] = {OP_add, OP_maximum, OP_minimum, OP_mul};
	int rest[MAX_RANK], nrest, mode = -1;
	const Type *t;
	if (!want_indices(m, f, v, rest, &nrest, why) || !rows_type(m, v, rest, nrest, &t, why)) return false;
	if (!want_same_dtype(m, v, 0, 2, why)) return false;
	if (!type_same_shape(f, t, in_type(v, 2)))
		FAIL("the values of `scatter` are %s, the indices ask for %s", type_str(m->arena, in_type(v, 2)), type_str(m->arena, t));
	if (!view_has(v, AT_oob, "clamp") && !view_has(v, AT_oob, "drop"))
		FAIL("oob of `scatter` is clamp or drop, not %s", view_text(v, AT_oob));
	for (int k = 0; k < 4; k++)
		if (view_has(v, AT_mode, modes[k])) mode = k;
	if (mode < 0 && !view_has(v, AT_mode, "set")) FAIL("the mode of `scatter` is set, add, max, min or mul, not %s", view_text(v, AT_mode));
	if (mode >= 0 && !op_takes(combine[mode], t->dtype)) FAIL("`scatter` cannot %s %s", modes[mode], dtype_name(t->dtype));
	return one_result(in_type(v, 0), type, n);
}

/* The rows that an index tensor names in x: position of row r, false where it lies outside (then clamped if `clamp`). */
typedef struct Rows {
	const Tensor *x, *idx;
	const int64_t *axes;
	int naxes, nrest;
	int64_t count, per_batch, batch_stride; /* rows in all and per batch entry; elements of x per batch entry */
	int64_t stride[MAX_RANK], box[MAX_RANK], box_stride[MAX_RANK], packed[MAX_RANK], size;
	bool clamp;
} Rows;

static Rows rows_begin(const OpView *v, const Tensor *x, const Tensor *idx)
{
	int nb = (int)view_int(v, AT_nb);
	Rows r = {.x = x, .idx = idx, .axes = view_ints(v, AT_axes), .naxes = view_count(v, AT_axes), .clamp = view_has(v, AT_oob, "clamp")};
	r.count = shape_size(idx->rank - 1, idx->shape);
	r.per_batch = shape_size(idx->rank - 1 - nb, idx->shape + nb);
	r.batch_stride = shape_size(x->rank - nb, x->shape + nb);
	row_major_strides(x->rank, x->shape, r.stride);
	for (int i = nb; i < x->rank; i++)
		if (!ints_contain(r.axes, r.naxes, i)) {
			r.box[r.nrest] = x->shape[i];
			r.box_stride[r.nrest++] = r.stride[i];
		}
	row_major_strides(r.nrest, r.box, r.packed);
	r.size = shape_size(r.nrest, r.box);
	return r;
}

static bool rows_at(const Rows *r, int64_t row, int64_t *offset)
{
	*offset = row / r->per_batch * r->batch_stride;
	for (int k = 0; k < r->naxes; k++) {
		int64_t i = ((const int32_t *)r->idx->data)[row * r->naxes + k], len = r->x->shape[r->axes[k]];
		if (i < 0 || i >= len) {
			if (!r->clamp || len == 0) return false;
			i = i < 0 ? 0 : len - 1;
		}
		*offset += i * r->stride[r->axes[k]];
	}
	return true;
}

EVAL(gather)
{
	Rows r = rows_begin(v, in[0], in[1]);
	size_t bytes = (size_t)dtype_bytes(in[0]->dtype), row = (size_t)r.size * bytes;
	for (int64_t k = 0; k < r.count && r.size; k++) {
		int64_t at;
		char *to = (char *)out[0]->data + (size_t)k * row;
		if (!rows_at(&r, k, &at)) memset(to, 0, row);
		else copy_strided(r.nrest, r.box, to, r.packed, (const char *)in[0]->data + at * (int64_t)bytes, r.box_stride, bytes);
	}
}

/* Rows in row-major order of the indices, each combined in x's own dtype: f16 and bf16 sums round at each step. */
EVAL(scatter)
{
	Rows r = rows_begin(v, in[0], in[1]);
	DType d = in[0]->dtype;
	size_t bytes = (size_t)dtype_bytes(d), row = (size_t)r.size * bytes;
	const char *mode = view_text(v, AT_mode);
	bool set = !strcmp(mode, "set");
	ElemLoop *combine = elem_loop(!strcmp(mode, "add")   ? OP_add
	                              : !strcmp(mode, "mul") ? OP_mul
	                              : !strcmp(mode, "max") ? OP_maximum
	                                                     : OP_minimum,
	                              d);
	char *old = arena_alloc(scratch, row);
	memcpy(out[0]->data, in[0]->data, tensor_bytes(in[0]));
	for (int64_t k = 0; k < r.count && r.size; k++) {
		int64_t at;
		if (!rows_at(&r, k, &at)) continue;
		const char *from = (const char *)in[2]->data + (size_t)k * row;
		char *to = (char *)out[0]->data + at * (int64_t)bytes;
		if (!set) {
			const void *both[] = {old, from};
			copy_strided(r.nrest, r.box, old, r.packed, to, r.box_stride, bytes);
			combine(both, old, r.size);
		}
		copy_strided(r.nrest, r.box, to, r.box_stride, set ? from : old, r.packed, bytes);
	}
}

/* --- searchsorted -------------------------------------------------------------------------------------------------------------------- */
INFER(searchsorted)
{
	if (in_type(v, 0)->rank != 1) FAIL("`searchsorted` takes a sorted tensor of one axis, not %s", type_str(m->arena, in_type(v, 0)));
	return want_same_dtype(m, v, 0, 1, why) && one_result(type_with_dtype(m, in_type(v, 1), DT_u32), type, n);
}

/* nan counts as larger than everything, as in sort. */
EVAL(searchsorted)
{
	DType c = dtype_compute(in[0]->dtype);
	const Tensor *table = tensor_as(scratch, in[0], c), *x = tensor_as(scratch, in[1], c);
	Before *before = before_of(c);
	int64_t bytes = dtype_bytes(c);
	bool right = view_flag(v, AT_right);
	for (int64_t k = 0; k < tensor_size(x); k++) {
		const char *key = (const char *)x->data + k * bytes;
		int64_t lo = 0, hi = table->shape[0];
		while (lo < hi) {
			int64_t mid = (lo + hi) / 2;
			const char *at = (const char *)table->data + mid * bytes;
			if (right ? !before(key, at) : before(at, key)) lo = mid + 1;
			else hi = mid;
		}
		((uint32_t *)out[0]->data)[k] = (uint32_t)lo;
	}
}
