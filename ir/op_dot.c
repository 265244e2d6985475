/* dot: sums of products over contracted axes, added in the order of dot.h without fused multiply-add; f16 and bf16 in f32, rounded once.
 * Float products run over panels of columns that stay in the cache, a few rows at a time: the order of each sum is the same. */
#include "dot.h"
#include "op_util.h"
#include "optable.h"
#include "../kernels/complex.h"

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

DotSide dot_side(int rank, const int64_t *contract, int ncontract, const int64_t *batch, int nbatch)
{
	DotSide s = {.nbatch = nbatch, .ncontract = ncontract};
	for (int i = 0; i < nbatch; i++) s.batch[i] = batch[i];
	for (int i = 0; i < ncontract; i++) s.contract[i] = contract[i];
	for (int a = 0; a < rank; a++)
		if (!ints_contain(contract, ncontract, a) && !ints_contain(batch, nbatch, a)) s.free[s.nfree++] = a;
	return s;
}

static bool one_row(const Type *t, const DotSide *s)
{
	int64_t n;
	for (int i = 0; i < s->nfree; i++)
		if (!dim_is_const(t->dim[s->free[i]], &n) || n != 1) return false;
	return true;
}

DotOrder dot_order(const Type *x, const DotSide *xs, const Type *y, const DotSide *ys)
{
	if (!dtype_is_float(x->dtype)) return (DotOrder){0, 1};
	bool matrix_is_y = one_row(x, xs), vector = matrix_is_y || one_row(y, ys);
	int last = matrix_is_y ? y->rank - 1 : x->rank - 1;
	const DotSide *matrix = matrix_is_y ? ys : xs;
	if (vector && matrix->ncontract == 1 && matrix->contract[0] == last) return (DotOrder){0, DOT_LANES};
	return (DotOrder){DOT_BLOCK, 1};
}

/* y[rows, cols] = x[rows, depth] w[depth, cols], each sum in order. */
typedef void Product(const void *x, const void *w, void *y, int64_t rows, int64_t depth, int64_t cols);

#define PRODUCT(name, T, SUM)                                                                                                              \
	static void product_##name(const void *px, const void *pw, void *py, int64_t rows, int64_t depth, int64_t cols)                        \
	{                                                                                                                                      \
		const T *x = px, *w = pw;                                                                                                          \
		T *y = py;                                                                                                                         \
		memset(y, 0, (size_t)(rows * cols) * sizeof *y);                                                                                   \
		for (int64_t i = 0; i < rows; i++)                                                                                                 \
			for (int64_t k = 0; k < depth; k++)                                                                                            \
				for (int64_t j = 0; j < cols; j++) {                                                                                       \
					T s = y[i * cols + j], a = x[i * depth + k], b = w[k * cols + j];                                                      \
					y[i * cols + j] = SUM;                                                                                                 \
				}                                                                                                                          \
	}
MULTIPLY_ADD_INTEGERS(PRODUCT)
PRODUCT(c64, mx_c64, mx_c64_add(s, mx_c64_mul(a, b)))

/* Floats: blocks of DOT_BLOCK along depth; in each, panels of w that are copied together, two vectors wide, and ROWS rows of x at a time.
 * Where the machine has wider vectors they are used: no sum is split over lanes, so the bits are the same. */
#if defined __x86_64__ && defined __GLIBC__ && defined __GNUC__ && !defined __clang__ && !defined __SANITIZE_ADDRESS__
#define FOR_EACH_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_WIDTH
#endif
enum { ROWS = 6, VECTOR = 64 };
#define BLOCKED(name, T)                                                                                                                   \
	enum { name##_LANES = VECTOR / sizeof(T), name##_PANEL = 2 * name##_LANES };                                                           \
	typedef T name##_vec __attribute__((vector_size(VECTOR), aligned(sizeof(T)), may_alias));                                              \
	/* y[ROWS, PANEL] += x[ROWS, depth] w[depth, PANEL] */                                                                                 \
	FOR_EACH_WIDTH static void tile_##name(const T *const *x, const T *w, T *y, int64_t depth)                                             \
	{                                                                                                                                      \
		name##_vec s[ROWS][2] = {{{0}}};                                                                                                   \
		for (int64_t k = 0; k < depth; k++, w += name##_PANEL) {                                                                           \
			name##_vec w0 = *(const name##_vec *)w, w1 = *(const name##_vec *)(w + name##_LANES);                                          \
			_Pragma("GCC unroll 6") for (int r = 0; r < ROWS; r++)                                                                         \
			{                                                                                                                              \
				s[r][0] += x[r][k] * w0;                                                                                                   \
				s[r][1] += x[r][k] * w1;                                                                                                   \
			}                                                                                                                              \
		}                                                                                                                                  \
		_Pragma("GCC unroll 6") for (int r = 0; r < ROWS; r++)                                                                             \
		{                                                                                                                                  \
			*(name##_vec *)(y + r * name##_PANEL) += s[r][0];                                                                              \
			*(name##_vec *)(y + r * name##_PANEL + name##_LANES) += s[r][1];                                                               \
		}                                                                                                                                  \
	}                                                                                                                                      \
	static void block_##name(const T *x, const T *w, T *y, int64_t rows, int64_t depth, int64_t n, int64_t cols, int64_t width)            \
	{                                                                                                                                      \
		T panel[DOT_BLOCK * name##_PANEL], sum[ROWS * name##_PANEL];                                                                       \
		memset(panel, 0, sizeof panel);                                                                                                    \
		for (int64_t k = 0; k < n; k++) memcpy(panel + k * name##_PANEL, w + k * cols, (size_t)width * sizeof(T));                         \
		for (int64_t i = 0; i < rows; i += ROWS) {                                                                                         \
			const T *row[ROWS];                                                                                                            \
			int64_t m = rows - i < ROWS ? rows - i : ROWS;                                                                                 \
			for (int64_t r = 0; r < ROWS; r++) row[r] = x + (i + (r < m ? r : 0)) * depth;                                                 \
			for (int64_t r = 0; r < m; r++) memcpy(sum + r * name##_PANEL, y + (i + r) * cols, (size_t)width * sizeof(T));                 \
			tile_##name(row, panel, sum, n);                                                                                               \
			for (int64_t r = 0; r < m; r++) memcpy(y + (i + r) * cols, sum + r * name##_PANEL, (size_t)width * sizeof(T));                 \
		}                                                                                                                                  \
	}                                                                                                                                      \
	static void product_##name(const void *px, const void *pw, void *py, int64_t rows, int64_t depth, int64_t cols)                        \
	{                                                                                                                                      \
		const T *x = px, *w = pw;                                                                                                          \
		T *y = py;                                                                                                                         \
		memset(y, 0, (size_t)(rows * cols) * sizeof *y);                                                                                   \
		for (int64_t j = 0; j < cols; j += name##_PANEL)                                                                                   \
			for (int64_t k = 0; k < depth; k += DOT_BLOCK)                                                                                 \
				block_##name(x + k, w + k * cols + j, y + j, rows, depth, depth - k < DOT_BLOCK ? depth - k : DOT_BLOCK, cols,             \
				             cols - j < name##_PANEL ? cols - j : name##_PANEL);                                                           \
	}                                                                                                                                      \
	/* y[rows] = x[rows, depth] v[depth], in DOT_LANES partial sums */                                                                     \
	static void lanes_##name(const void *px, const void *pv, void *py, int64_t rows, int64_t depth, int64_t cols)                          \
	{                                                                                                                                      \
		const T *x = px, *v = pv;                                                                                                          \
		T *y = py;                                                                                                                         \
		for (int64_t i = 0; i < rows * cols; i++, x += depth) {                                                                            \
			T p[DOT_LANES] = {0};                                                                                                          \
			for (int64_t k = 0; k < depth; k++) p[k % DOT_LANES] += x[k] * v[k];                                                           \
			for (int half = DOT_LANES / 2; half; half /= 2)                                                                                \
				for (int k = 0; k < half; k++) p[k] += p[k + half];                                                                        \
			y[i] = p[0];                                                                                                                   \
		}                                                                                                                                  \
	}
BLOCKED(f32, float)
BLOCKED(f64, double)

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

EVAL(dot)
{
	DType c = dtype_compute(in[0]->dtype);
	DotSide l = dot_side(in[0]->rank, view_ints(v, AT_lhs_contract), view_count(v, AT_lhs_contract), view_ints(v, AT_lhs_batch),
	                     view_count(v, AT_lhs_batch));
	DotSide r = dot_side(in[1]->rank, view_ints(v, AT_rhs_contract), view_count(v, AT_rhs_contract), view_ints(v, AT_rhs_batch),
	                     view_count(v, AT_rhs_batch));
	int64_t ls[3], rs[3], bytes = dtype_bytes(c), rows, depth, cols;
	bool lanes = dot_order(in_type(v, 0), &l, in_type(v, 1), &r).lanes > 1;
	const int64_t *laxes[] = {l.batch, l.free, l.contract}, *raxes[] = {r.batch, lanes ? r.free : r.contract, lanes ? r.contract : r.free};
	const Tensor *x = arrange(scratch, tensor_as(scratch, in[0], c), laxes, (const int[]){l.nbatch, l.nfree, l.ncontract}, ls);
	const Tensor *w = arrange(scratch, tensor_as(scratch, in[1], c), raxes,
	                          (const int[]){r.nbatch, lanes ? r.nfree : r.ncontract, lanes ? r.ncontract : r.nfree}, rs);
	Tensor *y = tensor_new(scratch, c, out[0]->rank, out[0]->shape);
	rows = ls[1], depth = ls[2], cols = lanes ? rs[1] : rs[2];
	Product *product = !lanes ? product_of(c) : c == DT_f32 ? lanes_f32 : lanes_f64;
	for (int64_t b = 0; b < ls[0]; b++) {
		const char *px = (const char *)x->data + b * rows * depth * bytes, *pw = (const char *)w->data + b * depth * cols * bytes;
		char *py = (char *)y->data + b * rows * cols * bytes;
		if (lanes && rows == 1) product(pw, px, py, cols, depth, 1);
		else product(px, pw, py, rows, depth, cols);
	}
	const void *from[] = {y->data};
	elem_convert(c, out[0]->dtype)(from, out[0]->data, tensor_size(y));
}
