/* Reductions. Each result combines its elements from the neutral element in the order of order.h; f16 and bf16 in f32, rounded once at the
 * end. Emitted C does the same, so results agree to the bit. */
#include "op_util.h"
#include "order.h"
#include "../kernels/complex.h"

static bool infer_reduction(Module *m, const OpView *v, OperandClass takes, const Type **type, int *n, const char **why)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK];
	int rank = 0;
	if (!want_axes(m, v, AT_axes, t->rank, why) || !want_class(m, v, takes, why)) return false;
	for (int i = 0; i < t->rank; i++)
		if (!ints_contain(view_ints(v, AT_axes), view_count(v, AT_axes), i)) dims[rank++] = t->dim[i];
	return one_result(type_get(m, t->dtype, rank, dims), type, n);
}

static bool infer_bool_reduction(Module *m, const OpView *v, const Type **type, int *n, const char **why)
{
	if (in_type(v, 0)->dtype != DT_bool) FAIL("`%s` takes bool, not %s", op_row(v->code)->name, dtype_name(in_type(v, 0)->dtype));
	return infer_reduction(m, v, OC_ALL, type, n, why);
}

INFER(reduce_sum)
{
	return infer_reduction(m, v, OC_NUM, type, n, why);
}
INFER(reduce_prod)
{
	return infer_reduction(m, v, OC_NUM, type, n, why);
}
INFER(reduce_max)
{
	return infer_reduction(m, v, OC_ALL, type, n, why);
}
INFER(reduce_min)
{
	return infer_reduction(m, v, OC_ALL, type, n, why);
}
INFER(reduce_and)
{
	return infer_bool_reduction(m, v, type, n, why);
}
INFER(reduce_or)
{
	return infer_bool_reduction(m, v, type, n, why);
}

/* The least (or largest) value of a compute dtype. */
static void put_extreme(DType d, bool largest, void *p)
{
	int bits = 8 * dtype_bytes(d);
	Scalar s = {.dtype = d};
	if (d == DT_bool) s.v.u = largest;
	else if (d == DT_c64) s.v.c[0] = s.v.c[1] = largest ? INFINITY : -INFINITY;
	else if (dtype_is_float(d)) s.v.f = largest ? (double)INFINITY : -(double)INFINITY;
	else if (!dtype_is_signed(d)) s.v.u = largest ? UINT64_MAX >> (64 - bits) : 0;
	else s.v.i = largest ? INT64_MAX >> (64 - bits) : INT64_MIN >> (64 - bits);
	scalar_store(s, p);
}

/* Rows of a chunk, each of `row` elements, n rows in all. Where that many rows are still a small part, a number that leaves no shorter
 * chunk is preferred, and multiples of the partial results. */
static int64_t chunk_rows(int64_t n, int64_t row)
{
	int64_t least = (REDUCE_CHUNK + row - 1) / row, step = least >= REDUCE_LANES ? REDUCE_LANES : 1;
	least = (least + step - 1) / step * step;
	for (int64_t r = least; r < 2 * least; r += step)
		if (n % r == 0) return r;
	return least;
}

ReduceOrder reduce_order(const Type *t, const int64_t *axes, int n)
{
	ReduceOrder o = {REDUCE_LANES, 0};
	int64_t extent, row = 1;
	if (!t->rank || !ints_contain(axes, n, t->rank - 1)) return (ReduceOrder){1, 0};
	for (int i = 0; i < t->rank; i++) {
		if (!ints_contain(axes, n, i) || !dim_is_const(t->dim[i], &extent) || extent == 0 || extent > INT64_MAX / row) return o;
		if (i) row *= extent;
	}
	dim_is_const(t->dim[0], &extent);
	if (extent >= 2 && extent >= (2 * (int64_t)REDUCE_CHUNK + row - 1) / row) o.rows = chunk_rows(extent, row);
	return o;
}

/* Axes of x in two groups, kept and reduced but the last, each as a box with the strides of x. */
typedef struct Box {
	int rank;
	int64_t shape[MAX_RANK], stride[MAX_RANK];
} Box;

static void box_add(Box *b, int64_t extent, int64_t stride)
{
	b->shape[b->rank] = extent;
	b->stride[b->rank++] = stride;
}

/* The last axis is reduced: REDUCE_LANES partial results for each element of acc. */
static void reduce_rows(const OpView *v, OpCode combine, const Tensor *x, char *acc, const void *neutral)
{
	size_t bytes = (size_t)dtype_bytes(x->dtype);
	ElemLoop *loop = elem_loop(combine, x->dtype);
	int last = x->rank - 1;
	int64_t stride[MAX_RANK], run = x->shape[last];
	Box kept = {0}, outer = {0};
	row_major_strides(x->rank, x->shape, stride);
	for (int i = 0; i < last; i++)
		box_add(ints_contain(view_ints(v, AT_axes), view_count(v, AT_axes), i) ? &outer : &kept, x->shape[i], stride[i]);
	int64_t nkept = shape_size(kept.rank, kept.shape), nouter = shape_size(outer.rank, outer.shape);
	Walk to = walk_begin(kept.rank, kept.shape, kept.stride, NULL, NULL);
	for (int64_t k = 0; k < nkept; k++, walk_next(&to)) {
		char part[REDUCE_LANES * 8];
		for (size_t i = 0; i < REDUCE_LANES; i++) memcpy(part + i * bytes, neutral, bytes);
		Walk row = walk_begin(outer.rank, outer.shape, outer.stride, NULL, NULL);
		for (int64_t r = 0; r < nouter; r++, walk_next(&row)) {
			const char *p = (const char *)x->data + (to.offset[0] + row.offset[0]) * (int64_t)bytes;
			for (int64_t j = 0; j < run; j += REDUCE_LANES) {
				const void *both[] = {part, p + j * (int64_t)bytes};
				loop(both, part, run - j < REDUCE_LANES ? run - j : REDUCE_LANES);
			}
		}
		for (int half = REDUCE_LANES / 2; half; half /= 2) {
			const void *both[] = {part, part + (size_t)half * bytes};
			loop(both, part, half);
		}
		memcpy(acc + (size_t)k * bytes, part, bytes);
	}
}

/* All axes are reduced: chunk by chunk. */
static void reduce_chunks(const OpView *v, OpCode combine, const Tensor *x, ReduceOrder o, char *acc, const void *neutral)
{
	size_t bytes = (size_t)dtype_bytes(x->dtype);
	ElemLoop *loop = elem_loop(combine, x->dtype);
	int64_t row = shape_size(x->rank - 1, x->shape + 1);
	memcpy(acc, neutral, bytes);
	for (int64_t i = 0; i < x->shape[0]; i += o.rows) {
		char part[8];
		const void *both[] = {acc, part};
		Tensor chunk = *x;
		chunk.shape[0] = x->shape[0] - i < o.rows ? x->shape[0] - i : o.rows;
		chunk.data = (char *)x->data + i * row * (int64_t)bytes;
		reduce_rows(v, combine, &chunk, part, neutral);
		loop(both, acc, 1);
	}
}

/* The last axis is kept: rows are combined one after the other with the row of acc that they belong to. */
static void reduce_columns(const OpView *v, OpCode combine, const Tensor *x, char *acc, int64_t nacc, const void *neutral)
{
	int64_t stride[MAX_RANK], size = 1;
	int last = x->rank - 1;
	size_t bytes = (size_t)dtype_bytes(x->dtype);
	ElemLoop *loop = elem_loop(combine, x->dtype);
	for (int64_t i = 0; i < nacc; i++) memcpy(acc + (size_t)i * bytes, neutral, bytes);
	for (int i = last; i >= 0; i--) {
		bool reduced = ints_contain(view_ints(v, AT_axes), view_count(v, AT_axes), i);
		stride[i] = reduced ? 0 : size;
		size *= reduced ? 1 : x->shape[i];
	}
	if (tensor_size(x) == 0) return;
	int64_t run = last < 0 ? 1 : x->shape[last];
	const char *p = x->data;
	Walk w = walk_begin(last < 0 ? 0 : last, x->shape, stride, NULL, NULL);
	for (int64_t k = tensor_size(x) / run; k > 0; k--, walk_next(&w), p += run * (int64_t)bytes) {
		char *a = acc + w.offset[0] * (int64_t)bytes;
		const void *both[] = {a, p};
		loop(both, a, run);
	}
}

static void eval_reduction(Arena *scratch, const OpView *v, OpCode combine, const void *neutral, Tensor *const *in, Tensor *const *out)
{
	DType c = dtype_compute(in[0]->dtype);
	const Tensor *x = tensor_as(scratch, in[0], c);
	int64_t n = tensor_size(out[0]);
	char *acc = c == out[0]->dtype ? out[0]->data : arena_alloc(scratch, (size_t)(n * dtype_bytes(c)));
	ReduceOrder o = reduce_order(in_type(v, 0), view_ints(v, AT_axes), view_count(v, AT_axes));
	if (o.rows) reduce_chunks(v, combine, x, o, acc, neutral);
	else if (o.lanes > 1) reduce_rows(v, combine, x, acc, neutral);
	else reduce_columns(v, combine, x, acc, n, neutral);
	if (acc == out[0]->data) return;
	const void *from[] = {acc};
	elem_convert(c, out[0]->dtype)(from, out[0]->data, n);
}

EVAL(reduce_sum)
{
	char zero[8] = {0};
	eval_reduction(scratch, v, OP_add, zero, in, out);
}

EVAL(reduce_prod)
{
	char one[8];
	scalar_store(scalar_from_int(1, dtype_compute(in[0]->dtype)), one);
	eval_reduction(scratch, v, OP_mul, one, in, out);
}

EVAL(reduce_max)
{
	char least[8];
	put_extreme(dtype_compute(in[0]->dtype), false, least);
	eval_reduction(scratch, v, OP_maximum, least, in, out);
}

EVAL(reduce_min)
{
	char largest[8];
	put_extreme(dtype_compute(in[0]->dtype), true, largest);
	eval_reduction(scratch, v, OP_minimum, largest, in, out);
}

EVAL(reduce_and)
{
	char yes = 1;
	eval_reduction(scratch, v, OP_and, &yes, in, out);
}

EVAL(reduce_or)
{
	char no = 0;
	eval_reduction(scratch, v, OP_or, &no, in, out);
}

/* --- argmax, argmin ------------------------------------------------------------------------------------------------------------------ */
static bool infer_arg(Module *m, const OpView *v, const Type **type, int *n, const char **why)
{
	const Type *t = in_type(v, 0);
	int64_t axis = view_int(v, AT_axis), c;
	Dim dims[MAX_RANK];
	int rank = 0;
	if (!want_axis(m, v, t->rank, why)) return false;
	if (dim_is_const(t->dim[axis], &c) && c == 0) FAIL("`%s` along an axis without elements", op_row(v->code)->name);
	for (int i = 0; i < t->rank; i++)
		if (i != axis) dims[rank++] = t->dim[i];
	return one_result(type_get(m, DT_u32, rank, dims), type, n);
}

INFER(argmax)
{
	return infer_arg(m, v, type, n, why);
}
INFER(argmin)
{
	return infer_arg(m, v, type, n, why);
}

/* Whether y, met after the best so far, takes its place: ties stay with the first, a nan wins and stays. */
bool takes_place(DType d, bool max, const void *best, const void *y)
{
	if (is_nan(d, best)) return false;
	return is_nan(d, y) || (max ? before_of(d)(best, y) : before_of(d)(y, best));
}

static void eval_arg(Arena *scratch, const OpView *v, bool max, Tensor *const *in, Tensor *const *out)
{
	DType c = dtype_compute(in[0]->dtype);
	const Tensor *x = tensor_as(scratch, in[0], c);
	int64_t outer, len, inner, bytes = dtype_bytes(c);
	uint32_t *y = out[0]->data;
	split_axis(x, (int)view_int(v, AT_axis), &outer, &len, &inner);
	for (int64_t o = 0; o < outer; o++)
		for (int64_t k = 0; k < inner; k++) {
			const char *p = (const char *)x->data + (o * len * inner + k) * bytes;
			int64_t best = 0;
			for (int64_t i = 1; i < len; i++)
				if (takes_place(c, max, p + best * inner * bytes, p + i * inner * bytes)) best = i;
			y[o * inner + k] = (uint32_t)best;
		}
}

EVAL(argmax)
{
	eval_arg(scratch, v, true, in, out);
}
EVAL(argmin)
{
	eval_arg(scratch, v, false, in, out);
}
