/* Ops that make tensors from nothing or from bytes: const, iota, dimsize, bitcast, barrier; and the effects print and assert. */
#include "op_util.h"

INFER(const)
{
	const Tensor *t = view_attr(v, AT_value)->v.tensor;
	Dim dims[MAX_RANK];
	for (int i = 0; i < t->rank; i++) dims[i] = dim_int(m->dims, t->shape[i]);
	return want_operands(m, v, 0, why) && one_result(type_get(m, t->dtype, t->rank, dims), type, n);
}

EVAL(const)
{
	const Tensor *t = view_attr(v, AT_value)->v.tensor;
	memcpy(out[0]->data, t->data, tensor_bytes(t));
}

INFER(iota)
{
	DType d = view_attr(v, AT_dtype)->v.dtype;
	Dim size = view_attr(v, AT_size)->v.dim;
	int64_t c;
	if (!want_operands(m, v, 0, why)) return false;
	if (d == DT_bool || d == DT_c64) FAIL("`iota` gives integers or floats, not %s", dtype_name(d));
	if (dim_is_const(size, &c) && c < 0) FAIL("the size of `iota` is negative: %lld", (long long)c);
	return one_result(type_get(m, d, 1, &size), type, n);
}

EVAL(iota)
{
	Tensor *count = tensor_new(scratch, DT_i64, 1, out[0]->shape);
	const void *in0[] = {count->data};
	for (int64_t i = 0; i < out[0]->shape[0]; i++) ((int64_t *)count->data)[i] = i;
	elem_convert(DT_i64, out[0]->dtype)(in0, out[0]->data, out[0]->shape[0]);
}

INFER(dimsize)
{
	return want_operands(m, v, 0, why) && one_result(type_scalar(m, DT_i32), type, n);
}

EVAL(dimsize)
{
	int64_t c = 0;
	dim_is_const(view_attr(v, AT_dim)->v.dim, &c);
	*(int32_t *)out[0]->data = (int32_t)c;
}

INFER(bitcast)
{
	const Type *t = in_type(v, 0);
	DType d = view_attr(v, AT_dtype)->v.dtype;
	int from = dtype_bytes(t->dtype), to = dtype_bytes(d);
	Dim dims[MAX_RANK];
	if (from == to) return one_result(type_with_dtype(m, t, d), type, n);
	if (t->rank == 0) FAIL("`bitcast` of a scalar %s to %s needs an axis to rescale", dtype_name(t->dtype), dtype_name(d));
	memcpy(dims, t->dim, sizeof(Dim) * (size_t)t->rank);
	Dim bytes = dim_scale(m->dims, dims[t->rank - 1], from, 1);
	dims[t->rank - 1] = dim_div_exact(m->dims, f, bytes, dim_int(m->dims, to));
	if (!dims[t->rank - 1])
		FAIL("`bitcast` of %s to %s: the %s bytes of the last axis are not a multiple of %d", type_str(m->arena, t), dtype_name(d),
		     dim_str(m->arena, bytes), to);
	return one_result(type_get(m, d, t->rank, dims), type, n);
}

/* To bool any bits but zero become true: other bit patterns are no bool in C. */
EVAL(bitcast)
{
	memcpy(out[0]->data, in[0]->data, tensor_bytes(out[0]));
	uint8_t *p = out[0]->data;
	for (int64_t i = 0; out[0]->dtype == DT_bool && i < tensor_size(out[0]); i++) p[i] = p[i] != 0;
}

INFER(barrier)
{
	for (int k = 0; k < v->nin; k++) type[k] = in_type(v, k);
	*n = v->nin;
	return true;
}

EVAL(barrier)
{
	for (int k = 0; k < v->nin; k++) memcpy(out[k]->data, in[k]->data, tensor_bytes(in[k]));
}

INFER(print)
{
	*n = 0;
	return true;
}

INFER(assert)
{
	*n = 0;
	if (v->nin < 1) FAIL("`assert` takes the condition as its first operand");
	const Type *t = in_type(v, 0);
	if (t->rank || t->dtype != DT_bool) FAIL("the condition of `assert` must be a bool scalar, not %s", type_str(m->arena, t));
	return true;
}
