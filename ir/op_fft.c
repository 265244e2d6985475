/* Fourier transforms: fft of c64, rfft of f32 to half a spectrum, irfft back. The work is kernels/fft.h, whose text emitted C has too. */
#include <math.h>
#include "op_fft.h"
#include "op_util.h"
#include "../kernels/fft.h"

static bool want_dtype(Module *m, const OpView *v, DType d, const char **why)
{
	if (in_type(v, 0)->dtype == d) return true;
	FAIL("`%s` takes %s, not %s", op_row(v->code)->name, dtype_name(d), dtype_name(in_type(v, 0)->dtype));
}

/* t with another extent along the axis of v, and another dtype. */
static const Type *with_extent(Module *m, const OpView *v, DType d, Dim n)
{
	const Type *t = in_type(v, 0);
	Dim dims[MAX_RANK];
	memcpy(dims, t->dim, sizeof(Dim) * (size_t)t->rank);
	dims[view_int(v, AT_axis)] = n;
	return type_get(m, d, t->rank, dims);
}

static Dim half(Module *m, const DimFacts *f, Dim n)
{
	return dim_add(m->dims, dim_floordiv(m->dims, f, n, dim_int(m->dims, 2)), dim_int(m->dims, 1));
}

bool fft_norm(const char *text, int *norm)
{
	static const char *const names[] = {"none", "size", "root"};
	for (*norm = 0; *norm < 3; ++*norm)
		if (!strcmp(text, names[*norm])) return true;
	return false;
}

float fft_scale(int norm, int64_t n)
{
	return norm == 0 ? 1.0f : norm == 1 ? (float)(1.0 / (double)n) : (float)(1.0 / sqrt((double)n));
}

static float view_scale(const OpView *v, int64_t n)
{
	int norm;
	fft_norm(view_text(v, AT_norm), &norm);
	return fft_scale(norm, n);
}

static bool want_norm(Module *m, const OpView *v, const char **why)
{
	int norm;
	if (fft_norm(view_text(v, AT_norm), &norm)) return true;
	FAIL("the norm of `%s` is none, size or root, not %s", op_row(v->code)->name, view_text(v, AT_norm));
}

INFER(fft)
{
	const Type *t = in_type(v, 0);
	return want_axis(m, v, t->rank, why) && want_norm(m, v, why) && want_dtype(m, v, DT_c64, why) && one_result(t, type, n);
}

INFER(rfft)
{
	const Type *t = in_type(v, 0);
	if (!want_axis(m, v, t->rank, why) || !want_norm(m, v, why) || !want_dtype(m, v, DT_f32, why)) return false;
	return one_result(with_extent(m, v, DT_c64, half(m, f, t->dim[view_int(v, AT_axis)])), type, n);
}

INFER(irfft)
{
	const Type *t = in_type(v, 0);
	if (!want_axis(m, v, t->rank, why) || !want_norm(m, v, why) || !want_dtype(m, v, DT_c64, why)) return false;
	Dim size = view_attr(v, AT_size)->v.dim, have = t->dim[view_int(v, AT_axis)], need = half(m, f, size);
	if (!dim_provable_nonneg(f, size)) FAIL("`irfft` to %s elements", dim_str(m->arena, size));
	if (!same_dim(f, have, need))
		FAIL("`irfft` to %s elements takes %s along axis %d, not %s", dim_str(m->arena, size), dim_str(m->arena, need),
		     (int)view_int(v, AT_axis), dim_str(m->arena, have));
	return one_result(with_extent(m, v, DT_f32, size), type, n);
}

int64_t fft_table_size(OpCode c, int64_t n, bool apart)
{
	return c == OP_fft ? mx_fft_table_size(n, apart) : mx_rfft_table_size(n, apart);
}

int64_t fft_room_size(OpCode c, int64_t n, bool apart)
{
	return c == OP_fft ? mx_fft_room_size(n, apart) : mx_rfft_room_size(n, apart);
}

void fft_table_fill(OpCode c, int64_t n, bool apart, float *table, float *room)
{
	if (c == OP_fft) mx_fft_table(n, apart, table, room);
	else mx_rfft_table(n, apart, table, room);
}

typedef struct Plan {
	int64_t outer, n, inner;
	float *table, *room;
} Plan;

/* real: the tensor that has the lines' whole length. */
static Plan plan(Arena *a, const OpView *v, const Tensor *real)
{
	Plan p;
	split_axis(real, (int)view_int(v, AT_axis), &p.outer, &p.n, &p.inner);
	bool apart = p.inner > 1;
	p.table = NEW_ARRAY(a, float, fft_table_size(v->code, p.n, apart) + 1);
	p.room = NEW_ARRAY(a, float, fft_room_size(v->code, p.n, apart) + 1);
	fft_table_fill(v->code, p.n, apart, p.table, p.room);
	return p;
}

EVAL(fft)
{
	Plan p = plan(scratch, v, in[0]);
	mx_fft_c64(in[0]->data, out[0]->data, p.outer, p.n, p.inner, view_flag(v, AT_inverse), view_scale(v, p.n), p.table, p.room);
}

EVAL(rfft)
{
	Plan p = plan(scratch, v, in[0]);
	mx_rfft_f32(in[0]->data, out[0]->data, p.outer, p.n, p.inner, view_scale(v, p.n), p.table, p.room);
}

EVAL(irfft)
{
	Plan p = plan(scratch, v, out[0]);
	mx_irfft_c64(in[0]->data, out[0]->data, p.outer, p.n, p.inner, view_scale(v, p.n), p.table, p.room);
}
