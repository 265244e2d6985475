/* Convolution, and windows with their adjoint. The sums of a convolution run in row-major order of the taps, channels innermost, from 0 and
 * without fused multiply-add; taps that fall on padding, or between spread elements, add nothing. f16 and bf16 in f32, rounded once. */
#include "conv.h"
#include "op_util.h"
#include "optable.h"
#include "../kernels/complex.h"

static ConvSpec spec_of_attrs(const Attr *attr, int n)
{
	ConvSpec c = {0};
	for (int i = 0; i < n; i++) {
		const Attr *a = &attr[i];
		for (int k = 0; k < a->n && k < MAX_RANK; k++) switch (a->key) {
			case AT_step: c.step[k] = a->v.ints[k]; break;
			case AT_dilation: c.dilation[k] = a->v.ints[k]; break;
			case AT_spread: c.spread[k] = a->v.ints[k]; break;
			case AT_lo: c.lo[k] = a->v.dims[k]; break;
			case AT_hi: c.hi[k] = a->v.dims[k]; break;
			default: break;
			}
		if (a->key == AT_step) c.n = a->n;
		if (a->key == AT_nb) c.nb = (int)a->v.i;
		if (a->key == AT_groups) c.groups = a->v.i;
		if (a->key == AT_flip) c.flip = a->v.i != 0;
	}
	return c;
}

ConvSpec conv_spec(const OpView *v)
{
	return spec_of_attrs(v->attrs, v->nattr);
}
ConvSpec conv_spec_of(const Op *op)
{
	return spec_of_attrs(op->attrs, op->nattr);
}

Value *ir_conv(Builder *b, Value *x, Value *w, const ConvSpec *c)
{
	Attr at[] = {ATTR_INT(nb, c->nb),
	             ATTR_INTS(step, c->step, c->n),
	             ATTR_DIMS(lo, c->lo, c->n),
	             ATTR_DIMS(hi, c->hi, c->n),
	             ATTR_INTS(dilation, c->dilation, c->n),
	             ATTR_INTS(spread, c->spread, c->n),
	             ATTR_INT(groups, c->groups),
	             ATTR_INT(flip, c->flip)};
	return ir_emit(b, OP_conv, (Value *[]){x, w}, 2, at, 8);
}

Dim conv_span(DimCtx *c, Dim n, int64_t distance)
{
	return dim_add(c, dim_scale(c, dim_sub(c, n, dim_int(c, 1)), distance, 1), dim_int(c, 1));
}

Dim conv_room(DimCtx *d, const ConvSpec *c, int i, Dim s, Dim k)
{
	Dim padded = dim_add(d, conv_span(d, s, c->spread[i]), dim_add(d, c->lo[i], c->hi[i]));
	return dim_sub(d, padded, conv_span(d, k, c->dilation[i]));
}

/* step, dilation (and spread) have one positive entry for each of n axes. */
static bool want_distances(Module *m, const OpView *v, AttrKey k, int n, const char **why)
{
	if (view_count(v, k) != n) FAIL("`%s` has %d entries of %s for %d axes", op_row(v->code)->name, view_count(v, k), attr_name(k), n);
	for (int i = 0; i < n; i++)
		if (view_ints(v, k)[i] < 1)
			FAIL("%s %lld of `%s` is not positive", attr_name(k), (long long)view_ints(v, k)[i], op_row(v->code)->name);
	return true;
}

INFER(conv)
{
	const Type *x = in_type(v, 0), *w = in_type(v, 1);
	int nb = (int)view_int(v, AT_nb), ns = view_count(v, AT_step);
	int64_t groups = view_int(v, AT_groups);
	DimCtx *d = m->dims;
	Dim dims[MAX_RANK];
	if (!want_class(m, v, OC_NUM, why) || !want_same_dtype(m, v, 0, 1, why)) return false;
	if (nb < 0 || x->rank != nb + ns + 2 || w->rank != nb + ns + 2)
		FAIL("`conv` over %d axes takes operands of %d axes, not %s and %s", ns, nb + ns + 2, type_str(m->arena, x), type_str(m->arena, w));
	if (!want_distances(m, v, AT_step, ns, why) || !want_distances(m, v, AT_dilation, ns, why) || !want_distances(m, v, AT_spread, ns, why))
		return false;
	if (view_count(v, AT_lo) != ns || view_count(v, AT_hi) != ns) FAIL("lo and hi of `conv` need one entry for each of %d axes", ns);
	for (int i = 0; i < nb; i++)
		if (!same_dim(f, x->dim[i], w->dim[i]))
			FAIL("batch axes of `conv` differ: %s and %s", type_str(m->arena, x), type_str(m->arena, w));
	Dim out = w->dim[nb], per = w->dim[w->rank - 1];
	if (groups < 1) FAIL("`conv` in %lld groups", (long long)groups);
	if (!same_dim(f, x->dim[x->rank - 1], dim_scale(d, per, groups, 1)))
		FAIL("`conv` in %lld groups of %s channels, the operand %s has %s", (long long)groups, dim_str(m->arena, per),
		     type_str(m->arena, x), dim_str(m->arena, x->dim[x->rank - 1]));
	if (groups > 1 && !dim_div_exact(d, f, out, dim_int(d, groups)))
		FAIL("`conv` has %s results for %lld groups", dim_str(m->arena, out), (long long)groups);
	ConvSpec c = conv_spec(v);
	for (int i = 0; i <= nb; i++) dims[i] = x->dim[i];
	for (int i = 0; i < ns; i++) {
		Dim room = conv_room(d, &c, i, x->dim[nb + 1 + i], w->dim[nb + 1 + i]);
		dims[nb + 1 + i] = dim_add(d, dim_floordiv(d, f, room, dim_int(d, c.step[i])), dim_int(d, 1));
		if (surely_less(f, dims[nb + 1 + i], dim_int(d, 0)))
			FAIL("the kernel of `conv` spans %s elements of axis %d, the padded operand has %s",
			     dim_str(m->arena, conv_span(d, w->dim[nb + 1 + i], c.dilation[i])), nb + 1 + i,
			     dim_str(m->arena, dim_add(d, room, conv_span(d, w->dim[nb + 1 + i], c.dilation[i]))));
	}
	dims[nb + 1 + ns] = out;
	return one_result(type_get(m, x->dtype, x->rank, dims), type, n);
}

/* y[cols] += x[depth] w[depth, cols], the sum over depth in order. */
#define ROW(name, T, SUM)                                                                                                                  \
	static void row_##name(const void *px, const void *pw, void *py, int64_t depth, int64_t cols)                                          \
	{                                                                                                                                      \
		const T *x = px, *w = pw;                                                                                                          \
		T *y = py;                                                                                                                         \
		for (int64_t k = 0; k < depth; k++)                                                                                                \
			for (int64_t j = 0; j < cols; j++) {                                                                                           \
				T s = y[j], a = x[k], b = w[k * cols + j];                                                                                 \
				y[j] = SUM;                                                                                                                \
			}                                                                                                                              \
	}
MULTIPLY_ADD_INTEGERS(ROW)
ROW(f32, float, s + a * b)
ROW(f64, double, s + a * b)
ROW(c64, mx_c64, mx_c64_add(s, mx_c64_mul(a, b)))

typedef void Row(const void *x, const void *w, void *y, int64_t depth, int64_t cols);

static Row *row_of(DType d)
{
	switch (d) {
	case DT_u8: return row_u8;
	case DT_u16: return row_u16;
	case DT_u32: return row_u32;
	case DT_u64: return row_u64;
	case DT_i8: return row_i8;
	case DT_i16: return row_i16;
	case DT_i32: return row_i32;
	case DT_i64: return row_i64;
	case DT_f32: return row_f32;
	case DT_f64: return row_f64;
	case DT_c64: return row_c64;
	default: assert(!"conv computes in f32 for f16 and bf16 and takes no bool"); return NULL;
	}
}

/* w [batch.., groups*Q, K.., I] as [batch.., K.., groups, I, Q], a tap's rows contiguous. */
static Tensor *taps_first(Arena *a, const Tensor *w, int nb, int ns, int64_t groups)
{
	int64_t stride[MAX_RANK], from[MAX_RANK], to[MAX_RANK], shape[MAX_RANK];
	int r = 0;
	row_major_strides(w->rank, w->shape, stride);
	for (int i = 0; i < nb; i++, r++) shape[r] = w->shape[i], from[r] = stride[i];
	for (int i = nb + 1; i <= nb + ns; i++, r++) shape[r] = w->shape[i], from[r] = stride[i];
	int64_t q = w->shape[nb] / groups;
	shape[r] = groups, from[r++] = stride[nb] * q;
	shape[r] = w->shape[w->rank - 1], from[r++] = 1;
	shape[r] = q, from[r++] = stride[nb];
	assert(r <= MAX_RANK);
	Tensor *t = tensor_new(a, w->dtype, r, shape);
	row_major_strides(r, shape, to);
	if (tensor_size(t)) copy_strided(r, shape, t->data, to, w->data, from, (size_t)dtype_bytes(w->dtype));
	return t;
}

/* Where tap k of result position s lies in the operand; -1: on padding or between elements. */
static int64_t tap_at(const ConvSpec *c, int i, int64_t s, int64_t k, int64_t lo, int64_t extent)
{
	int64_t at = s * c->step[i] + k * c->dilation[i] - lo;
	return at < 0 || at % c->spread[i] || at / c->spread[i] >= extent ? -1 : at / c->spread[i];
}

EVAL(conv)
{
	ConvSpec c = conv_spec(v);
	DType d = dtype_compute(in[0]->dtype);
	Row *row = row_of(d);
	int64_t bytes = dtype_bytes(d), ns = c.n, first = c.nb + 1, lo[MAX_RANK];
	const Tensor *x = tensor_as(scratch, in[0], d), *w = taps_first(scratch, tensor_as(scratch, in[1], d), c.nb, c.n, c.groups);
	Tensor *y = tensor_new(scratch, d, out[0]->rank, out[0]->shape);
	int64_t per = in[1]->shape[in[1]->rank - 1], q = in[1]->shape[c.nb] / c.groups, taps = 1, outer = 1, plane = 1;
	for (int i = 0; i < ns; i++) lo[i] = view_const(v, AT_lo, i), taps *= in[1]->shape[first + i], plane *= x->shape[first + i];
	for (int i = 0; i < first; i++) outer *= x->shape[i];
	int64_t batch_of = c.nb ? x->shape[c.nb] : outer; /* consecutive rows of outer that share a weight */
	char *py = y->data;
	for (int64_t o = 0; tensor_size(y) && o < outer; o++) {
		const char *wb = (const char *)w->data + (o / batch_of) * taps * c.groups * per * q * bytes;
		Walk s = walk_begin(c.n, y->shape + first, NULL, NULL, NULL);
		for (int64_t ps = shape_size(c.n, y->shape + first); ps > 0; ps--, walk_next(&s), py += c.groups * q * bytes) {
			Walk k = walk_begin(c.n, in[1]->shape + first, NULL, NULL, NULL);
			for (int64_t t = 0; t < taps; t++, walk_next(&k)) {
				int64_t at = 0, tap = 0;
				bool hit = true;
				for (int i = 0; i < ns; i++) {
					int64_t p = tap_at(&c, i, s.at[i], k.at[i], lo[i], x->shape[first + i]), n = in[1]->shape[first + i];
					hit &= p >= 0;
					at = at * x->shape[first + i] + p;
					tap = tap * n + (c.flip ? n - 1 - k.at[i] : k.at[i]);
				}
				for (int64_t g = 0; hit && g < c.groups; g++)
					row((const char *)x->data + (((o * plane + at) * c.groups + g) * per) * bytes,
					    wb + (tap * c.groups + g) * per * q * bytes, py + g * q * bytes, per, q);
			}
		}
	}
	const void *from[] = {y->data};
	elem_convert(d, out[0]->dtype)(from, out[0]->data, tensor_size(y));
}

/* --- windows --------------------------------------------------------------------------------------------------------------------- */
/* Positions of a window of size k in an extent. */
static Dim positions(DimCtx *c, const DimFacts *f, Dim extent, Dim k, int64_t step, int64_t dilation)
{
	Dim room = dim_sub(c, extent, conv_span(c, k, dilation));
	return dim_add(c, dim_floordiv(c, f, room, dim_int(c, step)), dim_int(c, 1));
}

INFER(window)
{
	const Type *t = in_type(v, 0);
	int na = view_count(v, AT_axes), rank = 0;
	Dim dims[MAX_RANK];
	if (!want_axes(m, v, AT_axes, t->rank, why) || !want_distances(m, v, AT_step, na, why) || !want_distances(m, v, AT_dilation, na, why))
		return false;
	if (view_count(v, AT_sizes) != na) FAIL("`window` has %d sizes for %d axes", view_count(v, AT_sizes), na);
	if (t->rank + na > MAX_RANK) FAIL("the result of `window` has %d axes: at most %d are supported", t->rank + na, MAX_RANK);
	for (int i = 0, k = 0; i < t->rank; i++) {
		dims[rank++] = t->dim[i];
		if (k == na || view_ints(v, AT_axes)[k] != i) continue;
		Dim size = view_dims(v, AT_sizes)[k];
		dims[rank - 1] = positions(m->dims, f, t->dim[i], size, view_ints(v, AT_step)[k], view_ints(v, AT_dilation)[k]);
		if (surely_less(f, dims[rank - 1], dim_int(m->dims, 0)))
			FAIL("a window of %s elements does not fit axis %d with %s", dim_str(m->arena, size), i, dim_str(m->arena, t->dim[i]));
		if (++k == na)
			for (int j = 0; j < na; j++) dims[rank++] = view_dims(v, AT_sizes)[j];
	}
	return one_result(type_get(m, t->dtype, rank, dims), type, n);
}

/* Strides by which the axes of the windowed tensor move in the plain one. */
static void window_strides(const OpView *v, int rank, const int64_t *plain, int64_t *stride)
{
	int na = view_count(v, AT_axes), r = 0;
	for (int i = 0, k = 0; i < rank; i++) {
		stride[r++] = plain[i];
		if (k == na || view_ints(v, AT_axes)[k] != i) continue;
		stride[r - 1] *= view_ints(v, AT_step)[k];
		if (++k == na)
			for (int j = 0; j < na; j++) stride[r++] = plain[view_ints(v, AT_axes)[j]] * view_ints(v, AT_dilation)[j];
	}
}

EVAL(window)
{
	int64_t plain[MAX_RANK], from[MAX_RANK], to[MAX_RANK];
	row_major_strides(in[0]->rank, in[0]->shape, plain);
	window_strides(v, in[0]->rank, plain, from);
	row_major_strides(out[0]->rank, out[0]->shape, to);
	if (tensor_size(out[0]))
		copy_strided(out[0]->rank, out[0]->shape, out[0]->data, to, in[0]->data, from, (size_t)dtype_bytes(in[0]->dtype));
}

INFER(fold)
{
	const Type *t = in_type(v, 0);
	int na = view_count(v, AT_axes), plain = t->rank - na;
	Dim dims[MAX_RANK];
	if (!want_class(m, v, OC_NUM, why)) return false;
	if (plain < na || !want_axes(m, v, AT_axes, plain, why) || !want_distances(m, v, AT_step, na, why) ||
	    !want_distances(m, v, AT_dilation, na, why)) {
		if (plain < na) FAIL("`fold` of %d axes takes an operand of at least %d axes, not %s", na, 2 * na, type_str(m->arena, t));
		return false;
	}
	if (view_count(v, AT_shape) != na) FAIL("`fold` has %d extents for %d axes", view_count(v, AT_shape), na);
	int last = na ? (int)view_ints(v, AT_axes)[na - 1] : -1;
	for (int i = 0; i < plain; i++) dims[i] = t->dim[i <= last ? i : i + na];
	for (int k = 0; k < na; k++) {
		int64_t a = view_ints(v, AT_axes)[k];
		Dim extent = view_dims(v, AT_shape)[k], size = t->dim[last + 1 + k];
		Dim want = positions(m->dims, f, extent, size, view_ints(v, AT_step)[k], view_ints(v, AT_dilation)[k]);
		if (!same_dim(f, want, t->dim[a]))
			FAIL("axis %lld of %s has %s positions, windows of %s elements in %s have %s", (long long)a, type_str(m->arena, t),
			     dim_str(m->arena, t->dim[a]), dim_str(m->arena, size), dim_str(m->arena, extent), dim_str(m->arena, want));
		dims[a] = extent;
	}
	return one_result(type_get(m, t->dtype, plain, dims), type, n);
}

EVAL(fold)
{
	int64_t plain[MAX_RANK], to[MAX_RANK];
	DType d = dtype_compute(in[0]->dtype);
	size_t bytes = (size_t)dtype_bytes(d);
	const Tensor *x = tensor_as(scratch, in[0], d);
	Tensor *y = tensor_new(scratch, d, out[0]->rank, out[0]->shape);
	row_major_strides(y->rank, y->shape, plain);
	window_strides(v, y->rank, plain, to);
	ElemLoop *add = elem_loop(OP_add, d);
	int last = x->rank - 1;
	int64_t run = last < 0 ? 1 : x->shape[last], n = tensor_size(x) / (run ? run : 1);
	bool dense = last < 0 || to[last] == 1;
	const char *p = x->data;
	Walk w = walk_begin(last < 0 ? 0 : last, x->shape, to, NULL, NULL);
	for (; run && n > 0; n--, walk_next(&w)) {
		char *a = (char *)y->data + (size_t)w.offset[0] * bytes;
		for (int64_t i = 0; i < run; i += dense ? run : 1) {
			char *at = dense ? a : a + (size_t)(i * to[last]) * bytes;
			const void *both[] = {at, p + (size_t)i * bytes};
			add(both, at, dense ? run : 1);
		}
		p += (size_t)run * bytes;
	}
	const void *from[] = {y->data};
	elem_convert(d, out[0]->dtype)(from, out[0]->data, tensor_size(y));
}

static Value *windows_that_touch(Builder *b, Value *x, const int64_t *axes, int n, const Dim *sizes)
{
	Dim lo[MAX_RANK], hi[MAX_RANK], dims[MAX_RANK];
	int64_t perm[MAX_RANK], at[MAX_RANK];
	int r = 0;
	for (int i = 0, k = 0; i < x->type->rank; i++) {
		bool cut = k < n && axes[k] == i;
		lo[i] = dim_int(b->m->dims, 0), hi[i] = x->type->dim[i];
		at[i] = r;
		dims[r++] = hi[i];
		if (!cut) continue;
		Dim whole = dim_floordiv(b->m->dims, b->facts, hi[i], sizes[k]);
		hi[i] = dim_mul(b->m->dims, whole, sizes[k]);
		dims[r - 1] = whole, dims[r++] = sizes[k++];
	}
	int p = 0;
	for (int i = 0; i < x->type->rank; i++) {
		perm[p++] = at[i];
		if (i == axes[n - 1])
			for (int k = 0; k < n; k++) perm[p++] = at[axes[k]] + 1;
	}
	return ir_transpose(b, ir_reshape(b, ir_slice(b, x, lo, hi, NULL), r, dims), perm);
}

Value *ir_window(Builder *b, Value *x, const int64_t *axes, int n, const Dim *sizes, const int64_t *step, const int64_t *dilation)
{
	bool touch = n > 0;
	for (int i = 0; i < n; i++) {
		int64_t size;
		touch &= dim_is_const(sizes[i], &size) && size == step[i] && dilation[i] == 1;
	}
	if (touch) return windows_that_touch(b, x, axes, n, sizes);
	Attr at[] = {ATTR_INTS(axes, axes, n), ATTR_DIMS(sizes, sizes, n), ATTR_INTS(step, step, n), ATTR_INTS(dilation, dilation, n)};
	return ir_emit(b, OP_window, &x, 1, at, 4);
}
