/* Short forms: one function per op that rules and the front end write often. They only arrange attributes; ir_emit simplifies. */
#include <assert.h>
#include <string.h>
#include "build.h"
#include "fold.h"

Value *ir_unary(Builder *b, OpCode c, Value *x)
{
	return ir_emit(b, c, &x, 1, NULL, 0);
}
Value *ir_binary(Builder *b, OpCode c, Value *x, Value *y)
{
	return ir_emit(b, c, (Value *[]){x, y}, 2, NULL, 0);
}

Value *ir_select(Builder *b, Value *p, Value *x, Value *y)
{
	if (p->type->rank == 0 && x->type->rank > 0) p = ir_broadcast_scalar(b, p, x->type);
	return ir_emit(b, OP_select, (Value *[]){p, x, y}, 3, NULL, 0);
}

Value *ir_convert(Builder *b, Value *x, DType d)
{
	if (x->type->dtype == d) return x;
	return ir_emit(b, OP_convert, &x, 1, &ATTR_DTYPE(dtype, d), 1);
}

/* --- creation ---------------------------------------------------------------------------------------------------------- */
Value *ir_const(Builder *b, const Tensor *t)
{
	return ir_emit(b, OP_const, NULL, 0, &ATTR_TENSOR(value, t), 1);
}

static Value *scalar_const(Builder *b, Scalar s)
{
	uint64_t word = 0;
	scalar_store(s, &word);
	Tensor t = {.dtype = s.dtype, .data = &word};
	return ir_const(b, &t);
}

Value *ir_scalar(Builder *b, DType d, double x)
{
	return scalar_const(b, scalar_from_double(x, d));
}
Value *ir_scalar_int(Builder *b, DType d, int64_t x)
{
	return scalar_const(b, scalar_from_int(x, d));
}
Value *ir_splat(Builder *b, const Type *t, double x)
{
	return ir_broadcast_scalar(b, ir_scalar(b, t->dtype, x), t);
}
Value *ir_zeros(Builder *b, const Type *t)
{
	return ir_splat(b, t, 0);
}

Value *ir_dimsize(Builder *b, Dim d)
{
	int64_t n;
	if (dim_is_const(d, &n)) return ir_scalar_int(b, DT_i32, n);
	return ir_emit(b, OP_dimsize, NULL, 0, &ATTR_DIM(dim, d), 1);
}

Value *ir_iota(Builder *b, Dim n, DType d)
{
	return ir_emit(b, OP_iota, NULL, 0, (Attr[]){ATTR_DIM(size, n), ATTR_DTYPE(dtype, d)}, 2);
}

Value *ir_iota_nd(Builder *b, const Type *t, int axis)
{
	int64_t dims[1] = {axis};
	return ir_broadcast(b, ir_iota(b, t->dim[axis], t->dtype), t, dims);
}

/* --- views -------------------------------------------------------------------------------------------------------------- */
Value *ir_broadcast(Builder *b, Value *x, const Type *shape_of, const int64_t *dims)
{
	Attr at[] = {ATTR_DIMS(shape, shape_of->dim, shape_of->rank), ATTR_INTS(dims, dims, x->type->rank)};
	return ir_emit(b, OP_broadcast, &x, 1, at, 2);
}

Value *ir_broadcast_scalar(Builder *b, Value *x, const Type *shape_of)
{
	assert(x->type->rank == 0);
	return shape_of->rank == 0 ? x : ir_broadcast(b, x, shape_of, NULL);
}

Value *ir_broadcast_new_axis(Builder *b, Value *x, int axis, Dim n)
{
	Dim dims[MAX_RANK + 1];
	int64_t to[MAX_RANK + 1];
	for (int i = 0; i < x->type->rank; i++) {
		to[i] = i < axis ? i : i + 1;
		dims[to[i]] = x->type->dim[i];
	}
	dims[axis] = n;
	return ir_broadcast(b, x, type_get(b->m, x->type->dtype, x->type->rank + 1, dims), to);
}

Value *ir_lift(Builder *b, Value *x, Dim n)
{
	return ir_broadcast_new_axis(b, x, 0, n);
}
Value *ir_reshape(Builder *b, Value *x, int rank, const Dim *dims)
{
	return ir_emit(b, OP_reshape, &x, 1, &ATTR_DIMS(shape, dims, rank), 1);
}
Value *ir_transpose(Builder *b, Value *x, const int64_t *perm)
{
	return ir_emit(b, OP_transpose, &x, 1, &ATTR_INTS(perm, perm, x->type->rank), 1);
}

Value *ir_move_axis(Builder *b, Value *x, int from, int to)
{
	int64_t perm[MAX_RANK];
	int rank = x->type->rank;
	for (int i = 0, k = 0; i < rank; i++)
		if (i == to) perm[i] = from;
		else {
			if (k == from) k++;
			perm[i] = k++;
		}
	return ir_transpose(b, x, perm);
}

Value *ir_rev(Builder *b, Value *x, const int64_t *axes, int n)
{
	return ir_emit(b, OP_rev, &x, 1, &ATTR_INTS(axes, axes, n), 1);
}

static const int64_t *steps_or_ones(const int64_t *step, int rank, int64_t *room)
{
	for (int i = 0; i < rank; i++) room[i] = step ? step[i] : 1;
	return room;
}

Value *ir_slice(Builder *b, Value *x, const Dim *lo, const Dim *hi, const int64_t *step)
{
	int64_t room[MAX_RANK];
	int r = x->type->rank;
	Attr at[] = {ATTR_DIMS(lo, lo, r), ATTR_DIMS(hi, hi, r), ATTR_INTS(step, steps_or_ones(step, r, room), r)};
	return ir_emit(b, OP_slice, &x, 1, at, 3);
}

Value *ir_slice_axis(Builder *b, Value *x, int axis, Dim lo, Dim hi, int64_t step)
{
	Dim l[MAX_RANK], h[MAX_RANK];
	int64_t s[MAX_RANK];
	for (int i = 0; i < x->type->rank; i++) {
		l[i] = i == axis ? lo : dim_int(b->m->dims, 0);
		h[i] = i == axis ? hi : x->type->dim[i];
		s[i] = i == axis ? step : 1;
	}
	return ir_slice(b, x, l, h, s);
}

Value *ir_pad(Builder *b, Value *x, Value *fill, const Dim *lo, const Dim *hi, const int64_t *step)
{
	int64_t room[MAX_RANK];
	int r = x->type->rank;
	Attr at[] = {ATTR_DIMS(lo, lo, r), ATTR_DIMS(hi, hi, r), ATTR_INTS(step, steps_or_ones(step, r, room), r)};
	return ir_emit(b, OP_pad, (Value *[]){x, fill}, 2, at, 3);
}

Value *ir_concat(Builder *b, Value *const *x, int n, int axis)
{
	return ir_emit(b, OP_concat, x, n, &ATTR_INT(axis, axis), 1);
}

/* --- indexing ------------------------------------------------------------------------------------------------------------ */
Value *ir_dslice(Builder *b, Value *x, const int64_t *axes, const Dim *sizes, Value *const *starts, int n)
{
	Value *in[MAX_RANK + 1] = {x};
	for (int i = 0; i < n; i++) in[1 + i] = starts[i];
	return ir_emit(b, OP_dslice, in, 1 + n, (Attr[]){ATTR_INTS(axes, axes, n), ATTR_DIMS(sizes, sizes, n)}, 2);
}

Value *ir_dupdate(Builder *b, Value *x, Value *v, const int64_t *axes, Value *const *starts, int n, const char *mode)
{
	Value *in[MAX_RANK + 2] = {x, v};
	for (int i = 0; i < n; i++) in[2 + i] = starts[i];
	return ir_emit(b, OP_dupdate, in, 2 + n, (Attr[]){ATTR_INTS(axes, axes, n), ATTR_STR(mode, mode)}, 2);
}

Value *ir_gather(Builder *b, Value *x, Value *idx, const int64_t *axes, int naxes, int nb, const char *oob, bool unique)
{
	Attr at[] = {ATTR_INTS(axes, axes, naxes), ATTR_INT(nb, nb), ATTR_STR(oob, oob), ATTR_INT(unique, unique)};
	return ir_emit(b, OP_gather, (Value *[]){x, idx}, 2, at, unique ? 4 : 3);
}

Value *ir_scatter(Builder *b, Value *x, Value *idx, Value *v, const int64_t *axes, int naxes, int nb, const char *oob, const char *mode,
                  bool unique)
{
	Attr at[] = {ATTR_INTS(axes, axes, naxes), ATTR_INT(nb, nb), ATTR_STR(oob, oob), ATTR_STR(mode, mode), ATTR_INT(unique, unique)};
	return ir_emit(b, OP_scatter, (Value *[]){x, idx, v}, 3, at, unique ? 5 : 4);
}

/* --- reductions and products --------------------------------------------------------------------------------------------- */
Value *ir_reduce(Builder *b, OpCode c, Value *x, const int64_t *axes, int n)
{
	return n == 0 ? x : ir_emit(b, c, &x, 1, &ATTR_INTS(axes, axes, n), 1);
}

Value *ir_unreduce(Builder *b, Value *r, const Type *full, const int64_t *axes, int n)
{
	int64_t dims[MAX_RANK];
	int k = 0;
	for (int i = 0; i < full->rank; i++) {
		bool reduced = false;
		for (int j = 0; j < n; j++) reduced |= axes[j] == i;
		if (!reduced) dims[k++] = i;
	}
	assert(k == r->type->rank);
	return ir_broadcast(b, r, full, dims);
}

Value *ir_dot(Builder *b, Value *x, Value *y, const int64_t *xc, const int64_t *yc, int nc, const int64_t *xb, const int64_t *yb,
              int nbatch)
{
	Attr at[] = {ATTR_INTS(lhs_contract, xc, nc), ATTR_INTS(rhs_contract, yc, nc), ATTR_INTS(lhs_batch, xb, nbatch),
	             ATTR_INTS(rhs_batch, yb, nbatch)};
	return ir_emit(b, OP_dot, (Value *[]){x, y}, 2, at, 4);
}

/* --- constants seen through views ------------------------------------------------------------------------------------------ */
const Tensor *value_const(const Value *v)
{
	return v->def && v->def->code == OP_const ? op_attr(v->def, AT_value)->v.tensor : NULL;
}

static bool all_elements_same(const Tensor *t)
{
	size_t w = (size_t)dtype_bytes(t->dtype);
	int64_t n = tensor_size(t);
	for (int64_t i = 1; i < n; i++)
		if (memcmp((const char *)t->data + w * (size_t)i, t->data, w) != 0) return false;
	return n > 0;
}

bool value_const_splat(const Value *v, Scalar *out)
{
	while (v->def && (op_row(v->def->code)->flags & OPF_VIEW) && v->def->nin == 1 && v->type->dtype == v->def->in[0]->type->dtype)
		v = v->def->in[0];
	const Tensor *t = value_const(v);
	if (!t || tensor_size(t) > FOLD_MAX_ELEMENTS || !all_elements_same(t)) return false;
	*out = tensor_get(t, 0);
	return true;
}

bool value_const_scalar(const Value *v, double *out)
{
	Scalar s;
	if (!value_const_splat(v, &s) || s.dtype == DT_c64) return false;
	*out = scalar_to_double(s);
	return true;
}
