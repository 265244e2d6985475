/* Factorisations and triangular solves of matrices in the last two axes, f32 and f64. The work is kernels/linalg.h, whose text emitted C
 * has too. */
#include "op_util.h"
#include "../kernels/fold.h"

#define UPDATE update_f32
#define CHOLESKY cholesky_f32
#define TRISOLVE trisolve_f32
#define LU lu_f32
#define T float
#define V mx_vf
#define LANES MX_W
#define LD mx_ld_f32
#define ST mx_st_f32
#define LDN mx_ldn_f32
#define STN mx_stn_f32
#define BC mx_bc_f32
#define SQRT sqrtf
#define FABS fabsf
#include "../kernels/linalg.h"
#undef UPDATE
#undef CHOLESKY
#undef TRISOLVE
#undef LU
#undef T
#undef V
#undef LANES
#undef LD
#undef ST
#undef LDN
#undef STN
#undef BC
#undef SQRT
#undef FABS
#define UPDATE update_f64
#define CHOLESKY cholesky_f64
#define TRISOLVE trisolve_f64
#define LU lu_f64
#define T double
#define V mx_vd
#define LANES MX_WD
#define LD mx_ld_f64
#define ST mx_st_f64
#define LDN mx_ldn_f64
#define STN mx_stn_f64
#define BC mx_bc_f64
#define SQRT sqrt
#define FABS fabs
#include "../kernels/linalg.h"

static bool want_square(Module *m, const DimFacts *f, const OpView *v, const char **why)
{
	const Type *t = in_type(v, 0);
	const char *name = op_row(v->code)->name;
	if (t->dtype != DT_f32 && t->dtype != DT_f64) FAIL("`%s` takes f32 or f64, not %s", name, dtype_name(t->dtype));
	if (t->rank < 2 || !same_dim(f, t->dim[t->rank - 1], t->dim[t->rank - 2]))
		FAIL("`%s` takes square matrices [.., n, n], not %s", name, type_str(m->arena, t));
	return true;
}

INFER(cholesky)
{
	return want_square(m, f, v, why) && one_result(in_type(v, 0), type, n);
}

INFER(lu)
{
	if (!want_square(m, f, v, why)) return false;
	const Type *t = in_type(v, 0);
	type[0] = t;
	type[1] = type_get(m, DT_i32, t->rank - 1, t->dim);
	*n = 2;
	return true;
}

INFER(trisolve)
{
	if (!want_square(m, f, v, why) || !want_same_dtype(m, v, 0, 1, why)) return false;
	const Type *a = in_type(v, 0), *b = in_type(v, 1);
	bool same = a->rank == b->rank;
	for (int i = 0; same && i < a->rank - 1; i++) same = same_dim(f, a->dim[i], b->dim[i]);
	if (!same)
		FAIL("`trisolve` of %s takes [.., n, k] with the same leading axes and n, not %s", type_str(m->arena, a), type_str(m->arena, b));
	return one_result(b, type, n);
}

/* Elements of one matrix of t, and how many there are. */
static int64_t matrices(const Tensor *t, int64_t *each)
{
	*each = t->shape[t->rank - 2] * t->shape[t->rank - 1];
	return *each ? tensor_size(t) / *each : 0;
}

EVAL(cholesky)
{
	int64_t each, count = matrices(in[0], &each), n = in[0]->shape[in[0]->rank - 1];
	char *room = arena_alloc(scratch, (size_t)((n + 7) * (n + 31)) * dtype_bytes(in[0]->dtype));
	for (int64_t i = 0; i < count; i++) {
		if (in[0]->dtype == DT_f32) cholesky_f32((float *)in[0]->data + i * each, (float *)out[0]->data + i * each, n, (float *)room);
		else cholesky_f64((double *)in[0]->data + i * each, (double *)out[0]->data + i * each, n, (double *)room);
	}
}

EVAL(lu)
{
	int64_t each, count = matrices(in[0], &each), n = in[0]->shape[in[0]->rank - 1];
	for (int64_t i = 0; i < count; i++) {
		int32_t *perm = (int32_t *)out[1]->data + i * n;
		if (in[0]->dtype == DT_f32) lu_f32((float *)in[0]->data + i * each, (float *)out[0]->data + i * each, perm, n);
		else lu_f64((double *)in[0]->data + i * each, (double *)out[0]->data + i * each, perm, n);
	}
}

EVAL(trisolve)
{
	int64_t each, step, count = matrices(in[1], &each), n = in[0]->shape[in[0]->rank - 1], k = in[1]->shape[in[1]->rank - 1];
	matrices(in[0], &step);
	bool turned = view_flag(v, AT_transposed), upper = view_flag(v, AT_upper) != turned, unit = view_flag(v, AT_unit);
	int64_t rs = turned ? 1 : n, cs = turned ? n : 1;
	memcpy(out[0]->data, in[1]->data, tensor_bytes(in[1]));
	for (int64_t i = 0; i < count; i++) {
		if (in[0]->dtype == DT_f32)
			trisolve_f32((float *)in[0]->data + i * step, rs, cs, (float *)out[0]->data + i * each, n, k, upper, unit);
		else trisolve_f64((double *)in[0]->data + i * step, rs, cs, (double *)out[0]->data + i * each, n, k, upper, unit);
	}
}
