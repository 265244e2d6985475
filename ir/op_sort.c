/* The order of elements (numbers ascending, nan last) and sort: a stable merge sort of positions. */
#include "op_util.h"
#include "../kernels/complex.h"

#define ORDER_INT(name, T)                                                                                                                 \
	static bool before_##name(const void *a, const void *b)                                                                                \
	{                                                                                                                                      \
		return *(const T *)a < *(const T *)b;                                                                                              \
	}
#define ORDER_FLOAT(name, T)                                                                                                               \
	static bool before_##name(const void *a, const void *b)                                                                                \
	{                                                                                                                                      \
		T x = *(const T *)a, y = *(const T *)b;                                                                                            \
		return x < y || (x == x && y != y);                                                                                                \
	}
ORDER_INT(bool, bool)
ORDER_INT(u8, uint8_t)
ORDER_INT(u16, uint16_t)
ORDER_INT(u32, uint32_t)
ORDER_INT(u64, uint64_t)
ORDER_INT(i8, int8_t)
ORDER_INT(i16, int16_t)
ORDER_INT(i32, int32_t)
ORDER_INT(i64, int64_t)
ORDER_FLOAT(f32, float)
ORDER_FLOAT(f64, double)

static bool before_c64(const void *a, const void *b)
{
	mx_c64 x = *(const mx_c64 *)a, y = *(const mx_c64 *)b;
	if (mx_c64_isnan(x) || mx_c64_isnan(y)) return !mx_c64_isnan(x);
	return mx_c64_lt(x, y);
}

Before *before_of(DType d)
{
	switch (d) {
	case DT_bool: return before_bool;
	case DT_u8: return before_u8;
	case DT_u16: return before_u16;
	case DT_u32: return before_u32;
	case DT_u64: return before_u64;
	case DT_i8: return before_i8;
	case DT_i16: return before_i16;
	case DT_i32: return before_i32;
	case DT_i64: return before_i64;
	case DT_f32: return before_f32;
	case DT_f64: return before_f64;
	case DT_c64: return before_c64;
	default: assert(!"f16 and bf16 are ordered as f32"); return NULL;
	}
}

bool is_nan(DType d, const void *p)
{
	if (d == DT_f32) return isnan(*(const float *)p);
	if (d == DT_f64) return isnan(*(const double *)p);
	return d == DT_c64 && mx_c64_isnan(*(const mx_c64 *)p);
}

INFER(sort)
{
	const Type *t = in_type(v, 0);
	if (!want_axis(m, v, t->rank, why)) return false;
	type[0] = t;
	type[1] = type_with_dtype(m, t, DT_i32);
	*n = 2;
	return true;
}

typedef struct Keys {
	Before *before;
	const char *at;
	int64_t stride; /* bytes */
} Keys;

static void merge_sort(const Keys *k, int32_t *p, int32_t *room, int64_t n)
{
	int64_t half = n / 2, i = 0, j = half, o = 0;
	if (n < 2) return;
	merge_sort(k, p, room, half);
	merge_sort(k, p + half, room, n - half);
	while (i < half && j < n) room[o++] = k->before(k->at + p[j] * k->stride, k->at + p[i] * k->stride) ? p[j++] : p[i++];
	memcpy(room + o, p + i, sizeof *p * (size_t)(half - i));
	memcpy(p, room, sizeof *p * (size_t)(o + half - i));
}

INFER(topk)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK];
	if (!want_axis(m, v, t->rank, why)) return false;
	int axis = (int)view_int(v, AT_axis);
	Dim size = view_attr(v, AT_size)->v.dim;
	if (surely_less(f, t->dim[axis], size) || surely_less(f, size, dim_int(m->dims, 0)))
		FAIL("the largest %s elements of axis %d with %s", dim_str(m->arena, size), axis, dim_str(m->arena, t->dim[axis]));
	memcpy(dims, t->dim, sizeof *dims * (size_t)t->rank);
	dims[axis] = size;
	type[0] = type_get(m, t->dtype, t->rank, dims);
	type[1] = type_with_dtype(m, type[0], DT_i32);
	*n = 2;
	return true;
}

/* Sorts each row of x and writes its last `keep` elements and their positions. */
static void sort_rows(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out)
{
	DType c = dtype_compute(in[0]->dtype);
	const Tensor *x = tensor_as(scratch, in[0], c);
	int64_t outer, len, inner, bytes = dtype_bytes(c), own = dtype_bytes(in[0]->dtype);
	split_axis(x, (int)view_int(v, AT_axis), &outer, &len, &inner);
	int64_t keep = out[0]->shape[view_int(v, AT_axis)];
	int32_t *perm = NEW_ARRAY(scratch, int32_t, len), *room = NEW_ARRAY(scratch, int32_t, len);
	for (int64_t o = 0; o < outer; o++)
		for (int64_t k = 0; k < inner; k++) {
			int64_t base = o * len * inner + k;
			Keys keys = {before_of(c), (const char *)x->data + base * bytes, inner * bytes};
			for (int64_t i = 0; i < len; i++) perm[i] = (int32_t)i;
			merge_sort(&keys, perm, room, len);
			for (int64_t i = 0; i < keep; i++) {
				int64_t to = o * keep * inner + k + i * inner, from = base + perm[len - keep + i] * inner;
				memcpy((char *)out[0]->data + to * own, (char *)in[0]->data + from * own, (size_t)own);
				((int32_t *)out[1]->data)[to] = perm[len - keep + i];
			}
		}
}

EVAL(sort)
{
	sort_rows(scratch, v, in, out);
}

EVAL(topk)
{
	sort_rows(scratch, v, in, out);
}
