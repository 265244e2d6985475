/* Helpers of the tensor ops' infer_ and eval_ functions: see op_util.h. */
#include "op_util.h"
#include "optable.h"

const int64_t *view_ints(const OpView *v, AttrKey k)
{
	return view_attr(v, k)->v.ints;
}
int view_count(const OpView *v, AttrKey k)
{
	return view_attr(v, k)->n;
}
const Dim *view_dims(const OpView *v, AttrKey k)
{
	return view_attr(v, k)->v.dims;
}

int64_t view_int(const OpView *v, AttrKey k)
{
	const Attr *a = view_attr(v, k);
	return a ? a->v.i : 0;
}

bool view_flag(const OpView *v, AttrKey k)
{
	return view_int(v, k) != 0;
}

const char *view_text(const OpView *v, AttrKey k)
{
	const Attr *a = view_attr(v, k);
	return a ? a->v.str : "";
}

bool view_has(const OpView *v, AttrKey k, const char *text)
{
	return !strcmp(view_text(v, k), text);
}

int64_t view_const(const OpView *v, AttrKey k, int i)
{
	int64_t x = 0;
	bool known = dim_is_const(view_dims(v, k)[i], &x);
	assert(known && "the interpreter puts numbers for dimensions");
	(void)known;
	return x;
}

bool one_result(const Type *t, const Type **type, int *n)
{
	type[0] = t;
	*n = 1;
	return true;
}

bool want_operands(Module *m, const OpView *v, int nin, const char **why)
{
	if (v->nin == nin) return true;
	FAIL("`%s` takes %d operands here, not %d", op_row(v->code)->name, nin, v->nin);
}

bool want_axes(Module *m, const OpView *v, AttrKey k, int rank, const char **why)
{
	const int64_t *axes = view_ints(v, k);
	for (int i = 0; i < view_count(v, k); i++) {
		if (axes[i] < 0 || axes[i] >= rank)
			FAIL("axis %lld of `%s` is outside the %d axes of its operand", (long long)axes[i], op_row(v->code)->name, rank);
		if (i && axes[i] <= axes[i - 1]) FAIL("the axes of `%s` must ascend", op_row(v->code)->name);
	}
	return true;
}

bool want_axis(Module *m, const OpView *v, int rank, const char **why)
{
	int64_t axis = view_int(v, AT_axis);
	if (axis >= 0 && axis < rank) return true;
	FAIL("axis %lld of `%s` is outside the %d axes of its operand", (long long)axis, op_row(v->code)->name, rank);
}

bool want_class(Module *m, const OpView *v, OperandClass c, const char **why)
{
	static const char *const words[] = {"any dtype",
	                                    "a number dtype (not bool)",
	                                    "a real float dtype",
	                                    "a float or complex dtype",
	                                    "an integer dtype or bool",
	                                    "an integer dtype",
	                                    "a real dtype",
	                                    "a complex dtype"};
	DType d = in_type(v, 0)->dtype;
	if (class_takes(c, d)) return true;
	FAIL("`%s` takes %s, not %s", op_row(v->code)->name, words[c], dtype_name(d));
}

bool want_same_dtype(Module *m, const OpView *v, int i, int j, const char **why)
{
	DType a = in_type(v, i)->dtype, b = in_type(v, j)->dtype;
	if (a == b) return true;
	FAIL("operand dtypes of `%s` differ: %s and %s", op_row(v->code)->name, dtype_name(a), dtype_name(b));
}

bool want_i32_scalar(Module *m, const OpView *v, int k, const char *what, const char **why)
{
	const Type *t = in_type(v, k);
	if (t->rank == 0 && t->dtype == DT_i32) return true;
	FAIL("%s of `%s` must be an i32 scalar, not %s", what, op_row(v->code)->name, type_str(m->arena, t));
}

bool same_dim(const DimFacts *f, Dim a, Dim b)
{
	return a == b || dim_provable_equal(f, a, b);
}

bool surely_less(const DimFacts *f, Dim a, Dim b)
{
	return a != b && dim_provable_less(f, a, b);
}

bool ints_contain(const int64_t *p, int n, int64_t x)
{
	for (int i = 0; i < n; i++)
		if (p[i] == x) return true;
	return false;
}

/* --- evaluation ----------------------------------------------------------------------------------------------------------------- */
Tensor *tensor_as(Arena *a, const Tensor *t, DType d)
{
	if (t->dtype == d) return (Tensor *)t;
	Tensor *r = tensor_new(a, d, t->rank, t->shape);
	const void *in[] = {t->data};
	elem_convert(t->dtype, d)(in, r->data, tensor_size(t));
	return r;
}

void row_major_strides(int rank, const int64_t *shape, int64_t *stride)
{
	int64_t n = 1;
	for (int i = rank - 1; i >= 0; i--) {
		stride[i] = n;
		n *= shape[i];
	}
}

int64_t shape_size(int rank, const int64_t *shape)
{
	int64_t n = 1;
	for (int i = 0; i < rank; i++) n *= shape[i];
	return n;
}

Walk walk_begin(int rank, const int64_t *shape, const int64_t *s0, const int64_t *s1, const int64_t *s2)
{
	return (Walk){.rank = rank, .shape = shape, .stride = {s0, s1, s2}};
}

void walk_next(Walk *w)
{
	for (int i = w->rank - 1; i >= 0; i--) {
		int64_t step = ++w->at[i] < w->shape[i] ? 1 : 1 - w->shape[i];
		for (int k = 0; k < 3; k++)
			if (w->stride[k]) w->offset[k] += step * w->stride[k][i];
		if (w->at[i] < w->shape[i]) return;
		w->at[i] = 0;
	}
}

/* One row of n elements; the sizes that occur are spelled out so that each is a plain loop. */
static void copy_row(int64_t n, char *dst, int64_t ds, const char *src, int64_t ss, size_t bytes)
{
	if (ds == 1 && ss == 1) {
		memcpy(dst, src, (size_t)n * bytes);
		return;
	}
	ds *= (int64_t)bytes;
	ss *= (int64_t)bytes;
	for (int64_t i = 0; i < n; i++) {
		char *to = dst + i * ds;
		const char *from = src + i * ss;
		switch (bytes) {
		case 1: *to = *from; break;
		case 2: memcpy(to, from, 2); break;
		case 4: memcpy(to, from, 4); break;
		default: memcpy(to, from, 8);
		}
	}
}

void copy_strided(int rank, const int64_t *shape, void *dst, const int64_t *dst_stride, const void *src, const int64_t *src_stride,
                  size_t bytes)
{
	int64_t outer = shape_size(rank ? rank - 1 : 0, shape), n = rank ? shape[rank - 1] : 1;
	Walk w = walk_begin(rank ? rank - 1 : 0, shape, dst_stride, src_stride, NULL);
	if (n == 0) return;
	for (int64_t i = 0; i < outer; i++, walk_next(&w))
		copy_row(n, (char *)dst + w.offset[0] * (int64_t)bytes, rank ? dst_stride[rank - 1] : 1,
		         (const char *)src + w.offset[1] * (int64_t)bytes, rank ? src_stride[rank - 1] : 1, bytes);
}

void split_axis(const Tensor *t, int axis, int64_t *outer, int64_t *len, int64_t *inner)
{
	*outer = shape_size(axis, t->shape);
	*len = t->shape[axis];
	*inner = shape_size(t->rank - axis - 1, t->shape + axis + 1);
}
