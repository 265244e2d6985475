/* dot: sums of products over contracted axes. Each result adds its products one after the other, in row-major order of the contracted
 * axes as listed, from 0, without fused multiply-add; f16 and bf16 in f32, rounded once. */
#include "op_util.h"
#include "optable.h"
#include "../kernels/support.h"

/* The axes lists of one side are distinct and in range; fills free[] with the axes that are in neither. */
static bool side_axes(Module *m, const OpView *v, int side, AttrKey contract, AttrKey batch, int *nfree, int64_t *free_axes,
                      const char **why)
{
	int rank = in_type(v, side)->rank, nc = view_count(v, contract), nb = view_count(v, batch), seen = 0;
	bool used[MAX_RANK] = {false};
	for (int i = 0; i < nc + nb; i++) {
		int64_t a = i < nb ? view_ints(v, batch)[i] : view_ints(v, contract)[i - nb];
		if (a < 0 || a >= rank) FAIL("axis %lld of `dot` is outside the %d axes of operand %d", (long long)a, rank, side);
		if (used[a]) FAIL("axis %lld of operand %d of `dot` is named twice", (long long)a, side);
		used[a] = true;
		seen++;
	}
	*nfree = 0;
	for (int a = 0; a < rank; a++)
		if (!used[a]) free_axes[(*nfree)++] = a;
	return true;
}

static bool same_axes(Module *m, const DimFacts *f, const OpView *v, const char *what, AttrKey l, AttrKey r, const char **why)
{
	const Type *x = in_type(v, 0), *y = in_type(v, 1);
	if (view_count(v, l) != view_count(v, r)) FAIL("`dot` has %d and %d %s axes", view_count(v, l), view_count(v, r), what);
	for (int i = 0; i < view_count(v, l); i++) {
		Dim a = x->dim[view_ints(v, l)[i]], b = y->dim[view_ints(v, r)[i]];
		if (!same_dim(f, a, b))
			FAIL("%s axes of `dot` differ: %s of %s and %s of %s", what, dim_str(m->arena, a), type_str(m->arena, x), dim_str(m->arena, b),
			     type_str(m->arena, y));
	}
	return true;
}

INFER(dot)
{
	const Type *x = in_type(v, 0), *y = in_type(v, 1);
	int64_t lf[MAX_RANK], rf[MAX_RANK];
	Dim dims[2 * MAX_RANK];
	int nl, nr, rank = 0;
	if (!want_class(m, v, OC_NUM, why) || !want_same_dtype(m, v, 0, 1, why)) return false;
	if (!side_axes(m, v, 0, AT_lhs_contract, AT_lhs_batch, &nl, lf, why) ||
	    !side_axes(m, v, 1, AT_rhs_contract, AT_rhs_batch, &nr, rf, why))
		return false;
	if (!same_axes(m, f, v, "contracted", AT_lhs_contract, AT_rhs_contract, why)) return false;
	if (!same_axes(m, f, v, "batch", AT_lhs_batch, AT_rhs_batch, why)) return false;
	for (int i = 0; i < view_count(v, AT_lhs_batch); i++) dims[rank++] = x->dim[view_ints(v, AT_lhs_batch)[i]];
	for (int i = 0; i < nl; i++) dims[rank++] = x->dim[lf[i]];
	for (int i = 0; i < nr; i++) dims[rank++] = y->dim[rf[i]];
	if (rank > MAX_RANK) FAIL("the result of `dot` has %d axes: at most %d are supported", rank, MAX_RANK);
	return one_result(type_get(m, x->dtype, rank, dims), type, n);
}

/* x as a dense [batch, rows, cols] block: axes listed first, second, third. size[] receives the three products. */
static Tensor *arrange(Arena *a, const Tensor *x, const int64_t *const *axes, const int *count, int64_t *size)
{
	int64_t stride[MAX_RANK], from[MAX_RANK], to[MAX_RANK], shape[MAX_RANK];
	int r = 0;
	row_major_strides(x->rank, x->shape, stride);
	for (int g = 0; g < 3; g++) {
		size[g] = 1;
		for (int i = 0; i < count[g]; i++, r++) {
			shape[r] = x->shape[axes[g][i]];
			from[r] = stride[axes[g][i]];
			size[g] *= shape[r];
		}
	}
	Tensor *t = tensor_new(a, x->dtype, x->rank, shape);
	row_major_strides(r, shape, to);
	if (tensor_size(t)) copy_strided(r, shape, t->data, to, x->data, from, (size_t)dtype_bytes(x->dtype));
	return t;
}

/* y[rows, cols] += x[rows, depth] w[depth, cols], the sum over depth in order. */
#define PRODUCT(name, T, SUM)                                                                                                              \
	static void product_##name(const void *px, const void *pw, void *py, int64_t rows, int64_t depth, int64_t cols)                        \
	{                                                                                                                                      \
		const T *x = px, *w = pw;                                                                                                          \
		T *y = py;                                                                                                                         \
		for (int64_t i = 0; i < rows; i++)                                                                                                 \
			for (int64_t k = 0; k < depth; k++)                                                                                            \
				for (int64_t j = 0; j < cols; j++) {                                                                                       \
					T s = y[i * cols + j], a = x[i * depth + k], b = w[k * cols + j];                                                      \
					y[i * cols + j] = SUM;                                                                                                 \
				}                                                                                                                          \
	}
PRODUCT(u8, uint8_t, (uint8_t)(s + (uint32_t)a * b))
PRODUCT(u16, uint16_t, (uint16_t)(s + (uint32_t)a * b))
PRODUCT(u32, uint32_t, s + a * b)
PRODUCT(u64, uint64_t, s + a * b)
PRODUCT(i8, int8_t, (int8_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))
PRODUCT(i16, int16_t, (int16_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))
PRODUCT(i32, int32_t, (int32_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))
PRODUCT(i64, int64_t, (int64_t)((uint64_t)s + (uint64_t)a * (uint64_t)b))
PRODUCT(f32, float, s + a * b)
PRODUCT(f64, double, s + a * b)
PRODUCT(c64, mx_c64, mx_c64_add(s, mx_c64_mul(a, b)))

typedef void Product(const void *x, const void *w, void *y, int64_t rows, int64_t depth, int64_t cols);

static Product *product_of(DType d)
{
	switch (d) {
	case DT_u8: return product_u8;
	case DT_u16: return product_u16;
	case DT_u32: return product_u32;
	case DT_u64: return product_u64;
	case DT_i8: return product_i8;
	case DT_i16: return product_i16;
	case DT_i32: return product_i32;
	case DT_i64: return product_i64;
	case DT_f32: return product_f32;
	case DT_f64: return product_f64;
	case DT_c64: return product_c64;
	default: assert(!"dot computes in f32 for f16 and bf16 and takes no bool"); return NULL;
	}
}

static int other_axes(const OpView *v, int rank, AttrKey contract, AttrKey batch, int64_t *axes)
{
	int n = 0;
	for (int a = 0; a < rank; a++)
		if (!ints_contain(view_ints(v, contract), view_count(v, contract), a) &&
		    !ints_contain(view_ints(v, batch), view_count(v, batch), a))
			axes[n++] = a;
	return n;
}

EVAL(dot)
{
	DType c = dtype_compute(in[0]->dtype);
	int64_t lf[MAX_RANK], rf[MAX_RANK], ls[3], rs[3], bytes = dtype_bytes(c);
	int nb = view_count(v, AT_lhs_batch), nc = view_count(v, AT_lhs_contract);
	int nl = other_axes(v, in[0]->rank, AT_lhs_contract, AT_lhs_batch, lf),
	    nr = other_axes(v, in[1]->rank, AT_rhs_contract, AT_rhs_batch, rf);
	const int64_t *laxes[] = {view_ints(v, AT_lhs_batch), lf, view_ints(v, AT_lhs_contract)};
	const int64_t *raxes[] = {view_ints(v, AT_rhs_batch), view_ints(v, AT_rhs_contract), rf};
	const Tensor *x = arrange(scratch, tensor_as(scratch, in[0], c), laxes, (const int[]){nb, nl, nc}, ls);
	const Tensor *w = arrange(scratch, tensor_as(scratch, in[1], c), raxes, (const int[]){nb, nc, nr}, rs);
	Tensor *y = tensor_new(scratch, c, out[0]->rank, out[0]->shape);
	for (int64_t b = 0; b < ls[0]; b++)
		product_of(c)((char *)x->data + b * ls[1] * ls[2] * bytes, (char *)w->data + b * rs[1] * rs[2] * bytes,
		              (char *)y->data + b * ls[1] * rs[2] * bytes, ls[1], ls[2], rs[2]);
	const void *from[] = {y->data};
	elem_convert(c, out[0]->dtype)(from, out[0]->data, tensor_size(y));
}
