/* Running operations along one axis: cumsum, cumprod, cummax, cummin, cumlogsumexp, linrec. The state is kept in the compute dtype (f32
 * for f16 and bf16) and each element of the result is rounded from it. `reverse` runs from the end; "first" means first met. */
#include "op_util.h"
#include "../kernels/support.h"

static bool infer_scan(Module *m, const OpView *v, OperandClass takes, const Type **type, int *n, const char **why)
{
	return want_axis(m, v, in_type(v, 0)->rank, why) && want_class(m, v, takes, why) && one_result(in_type(v, 0), type, n);
}

INFER(cumsum)
{
	return infer_scan(m, v, OC_NUM, type, n, why);
}
INFER(cumprod)
{
	return infer_scan(m, v, OC_NUM, type, n, why);
}
INFER(cumlogsumexp)
{
	return infer_scan(m, v, OC_INX, type, n, why);
}

static bool infer_best(Module *m, const OpView *v, const Type **type, int *n, const char **why)
{
	if (!infer_scan(m, v, OC_ALL, type, n, why)) return false;
	type[1] = type_with_dtype(m, in_type(v, 0), DT_i32);
	*n = 2;
	return true;
}

INFER(cummax)
{
	return infer_best(m, v, type, n, why);
}
INFER(cummin)
{
	return infer_best(m, v, type, n, why);
}

INFER(linrec)
{
	if (!want_same_dtype(m, v, 0, 1, why) || !infer_scan(m, v, OC_NUM, type, n, why)) return false;
	const Type *a = in_type(v, 0), *b = in_type(v, 1);
	bool same = a->rank == b->rank;
	for (int i = 0; same && i < a->rank; i++) same = same_dim(f, a->dim[i], b->dim[i]);
	if (!same) FAIL("operand shapes of `linrec` differ: %s and %s", type_str(m->arena, a), type_str(m->arena, b));
	return true;
}

/* One step of a scan: rows of n neighbouring elements, all of one compute dtype. y may be the state itself. */
typedef void ScanStep(DType c, const void *const *x, void *state, int64_t n);

/* Runs step over the rows of each outer block; state begins as copies of `start`. */
static void scan(Arena *scratch, const OpView *v, ScanStep *step, const void *start, Tensor *const *in, Tensor *out)
{
	DType c = dtype_compute(out->dtype);
	int64_t outer, len, inner, bytes = dtype_bytes(c);
	bool exclusive = view_flag(v, AT_exclusive), reverse = view_flag(v, AT_reverse);
	const Tensor *x[2] = {NULL, NULL};
	for (int k = 0; k < v->nin; k++) x[k] = tensor_as(scratch, in[k], c);
	Tensor *y = c == out->dtype ? out : tensor_new(scratch, c, out->rank, out->shape);
	split_axis(out, (int)view_int(v, AT_axis), &outer, &len, &inner);
	char *state = arena_alloc(scratch, (size_t)(inner * bytes));
	for (int64_t o = 0; o < outer; o++) {
		for (int64_t k = 0; k < inner; k++) memcpy(state + k * bytes, start, (size_t)bytes);
		for (int64_t i = 0; i < len; i++) {
			int64_t at = (o * len + (reverse ? len - 1 - i : i)) * inner * bytes;
			const void *row[2] = {(char *)x[0]->data + at, x[1] ? (char *)x[1]->data + at : NULL};
			if (exclusive) memcpy((char *)y->data + at, state, (size_t)(inner * bytes));
			step(c, row, state, inner);
			if (!exclusive) memcpy((char *)y->data + at, state, (size_t)(inner * bytes));
		}
	}
	if (y == out) return;
	const void *from[] = {y->data};
	elem_convert(c, out->dtype)(from, out->data, tensor_size(out));
}

static void combine(OpCode code, DType c, const void *x, void *state, int64_t n)
{
	const void *both[] = {state, x};
	elem_loop(code, c)(both, state, n);
}

static void step_add(DType c, const void *const *x, void *state, int64_t n)
{
	combine(OP_add, c, x[0], state, n);
}
static void step_mul(DType c, const void *const *x, void *state, int64_t n)
{
	combine(OP_mul, c, x[0], state, n);
}
static void step_logaddexp(DType c, const void *const *x, void *state, int64_t n)
{
	combine(OP_logaddexp, c, x[0], state, n);
}
static void step_linrec(DType c, const void *const *x, void *state, int64_t n)
{
	combine(OP_mul, c, x[0], state, n);
	combine(OP_add, c, x[1], state, n);
}

EVAL(cumsum)
{
	char zero[8] = {0};
	scan(scratch, v, step_add, zero, in, out[0]);
}

EVAL(cumprod)
{
	char one[8];
	scalar_store(scalar_from_int(1, dtype_compute(in[0]->dtype)), one);
	scan(scratch, v, step_mul, one, in, out[0]);
}

EVAL(cumlogsumexp)
{
	char empty[8];
	scalar_store(scalar_from_double(-(double)INFINITY, dtype_compute(in[0]->dtype)), empty);
	scan(scratch, v, step_logaddexp, empty, in, out[0]);
}

EVAL(linrec)
{
	char zero[8] = {0};
	scan(scratch, v, step_linrec, zero, in, out[0]);
}

static void eval_best(Arena *scratch, const OpView *v, bool max, Tensor *const *in, Tensor *const *out)
{
	DType c = dtype_compute(in[0]->dtype);
	const Tensor *x = tensor_as(scratch, in[0], c);
	int64_t outer, len, inner, bytes = dtype_bytes(c), own = dtype_bytes(in[0]->dtype);
	bool reverse = view_flag(v, AT_reverse);
	split_axis(x, (int)view_int(v, AT_axis), &outer, &len, &inner);
	for (int64_t o = 0; o < outer; o++)
		for (int64_t k = 0; k < inner; k++) {
			int64_t base = o * len * inner + k, best = reverse ? len - 1 : 0;
			for (int64_t step = 0; step < len; step++) {
				int64_t i = reverse ? len - 1 - step : step, at = base + i * inner;
				const char *p = x->data;
				if (takes_place(c, max, p + (base + best * inner) * bytes, p + at * bytes)) best = i;
				memcpy((char *)out[0]->data + at * own, (char *)in[0]->data + (base + best * inner) * own, (size_t)own);
				((int32_t *)out[1]->data)[at] = (int32_t)best;
			}
		}
}

EVAL(cummax)
{
	eval_best(scratch, v, true, in, out);
}
EVAL(cummin)
{
	eval_best(scratch, v, false, in, out);
}
