/* Reductions and scans with MLX's result dtypes: sum and prod of bool and small integers give i32 (u32 for unsigned ones), argmax and
 * argmin u32, cumsum of bool i32 and otherwise the operand's.
 */
#include "builtins.h"
#include <string.h>

/* r with the reduced axes put back as 1. */
static Value *keep_axes(Elab *e, Value *r, const Type *full, const int64_t *axes, int n)
{
	Dim dims[MAX_RANK];
	memcpy(dims, full->dim, sizeof(Dim) * (size_t)full->rank);
	for (int i = 0; i < n; i++) dims[axes[i]] = dim_const(e, 1);
	return ir_reshape(elab_builder(e), r, full->rank, dims);
}

static Val reduce(Elab *e, const CallSite *at, Val *argv, OpCode c, Value *x)
{
	int64_t axes[MAX_RANK];
	int n = elab_axes(e, argv[1], x->type->rank, axes, arg_at(at, 1));
	bool keep = elab_bool(e, argv[2], arg_at(at, 2), "keepdims");
	Value *r = n ? ir_reduce(elab_builder(e), c, x, axes, n) : x;
	return val_tensor(keep ? keep_axes(e, r, x->type, axes, n) : r);
}

/* bool i8 i16 -> i32, u8 u16 -> u32. */
static DType sum_dtype(DType d)
{
	if (d == DT_bool || d == DT_i8 || d == DT_i16) return DT_i32;
	return d == DT_u8 || d == DT_u16 ? DT_u32 : d;
}

Val builtin_sum(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	return reduce(e, at, argv, OP_reduce_sum, ir_convert(elab_builder(e), x, sum_dtype(x->type->dtype)));
}

/* prod(x.shape): a number or dimension. */
static bool known_product(Elab *e, Val v, Val *out)
{
	if (v.kind != V_TUPLE) return false;
	Dim p = dim_const(e, 1);
	for (int i = 0; i < v.u.items->n; i++) {
		if (!val_is_int_like(v.u.items->at[i])) return false;
		p = dim_mul(elab_dims(e), p, elab_dim(e, v.u.items->at[i], NO_LOC, "a factor"));
	}
	*out = val_dim(e, p);
	return true;
}

Val builtin_prod(Elab *e, const CallSite *at, Val *argv)
{
	Val known;
	if (known_product(e, argv[0], &known)) return known;
	Value *x = arg_tensor(e, at, argv, 0);
	return reduce(e, at, argv, OP_reduce_prod, ir_convert(elab_builder(e), x, sum_dtype(x->type->dtype)));
}

/* The extremes of nothing do not exist. */
static void require_elements(Elab *e, const CallSite *at, Value *x, Val axis)
{
	int64_t axes[MAX_RANK], n;
	int k = elab_axes(e, axis, x->type->rank, axes, arg_at(at, 1));
	for (int i = 0; i < k; i++)
		if (dim_is_const(x->type->dim[axes[i]], &n) && n == 0)
			elab_fail(e, at->loc, "reduce.empty", "`%s` over axis %d of %s, which has no elements", at->name, (int)axes[i],
			          type_text(e, x->type));
}

static Val extreme(Elab *e, const CallSite *at, Val *argv, OpCode c, OpCode for_bool)
{
	Value *x = arg_tensor(e, at, argv, 0);
	require_elements(e, at, x, argv[1]);
	return reduce(e, at, argv, x->type->dtype == DT_bool ? for_bool : c, x);
}

Val builtin_max(Elab *e, const CallSite *at, Val *argv)
{
	return extreme(e, at, argv, OP_reduce_max, OP_reduce_or);
}

Val builtin_min(Elab *e, const CallSite *at, Val *argv)
{
	return extreme(e, at, argv, OP_reduce_min, OP_reduce_and);
}

static Val logical(Elab *e, const CallSite *at, Val *argv, OpCode c)
{
	if (argv[0].kind == V_BOOL) return argv[0];
	Value *x = arg_tensor(e, at, argv, 0);
	return reduce(e, at, argv, c, ir_convert(elab_builder(e), x, DT_bool));
}

Val builtin_all(Elab *e, const CallSite *at, Val *argv)
{
	return logical(e, at, argv, OP_reduce_and);
}

Val builtin_any(Elab *e, const CallSite *at, Val *argv)
{
	return logical(e, at, argv, OP_reduce_or);
}

static Val arg_extreme(Elab *e, const CallSite *at, Val *argv, OpCode c)
{
	Value *x = arg_tensor(e, at, argv, 0);
	const Type *full = x->type;
	bool keep = elab_bool(e, argv[2], arg_at(at, 2), "keepdims");
	require_elements(e, at, x, argv[1]);
	int64_t all[MAX_RANK], axis = axis_or_flatten(e, &x, argv[1], arg_at(at, 1));
	Attr a = ATTR_INT(axis, axis);
	Value *r = ir_emit(elab_builder(e), c, &x, 1, &a, 1);
	if (!keep) return val_tensor(r);
	for (int i = 0; i < full->rank; i++) all[i] = i;
	return val_tensor(argv[1].kind == V_NONE ? keep_axes(e, r, full, all, full->rank) : keep_axes(e, r, full, &axis, 1));
}

Val builtin_argmax(Elab *e, const CallSite *at, Val *argv)
{
	return arg_extreme(e, at, argv, OP_argmax);
}

Val builtin_argmin(Elab *e, const CallSite *at, Val *argv)
{
	return arg_extreme(e, at, argv, OP_argmin);
}

/* --- scans: axis none flattens ------------------------------------------------------------------------------------------ */
typedef struct Scan {
	Value *x;
	int axis;
	bool reverse, exclusive;
} Scan;

static Scan scan_args(Elab *e, const CallSite *at, Val *argv, DType (*dtype)(DType))
{
	Scan s = {arg_tensor(e, at, argv, 0), 0, elab_bool(e, argv[2], arg_at(at, 2), "reverse"),
	          !elab_bool(e, argv[3], arg_at(at, 3), "inclusive")};
	s.axis = axis_or_flatten(e, &s.x, argv[1], arg_at(at, 1));
	s.x = ir_convert(elab_builder(e), s.x, dtype(s.x->type->dtype));
	return s;
}

static DType same(DType d)
{
	return d;
}

static DType cumsum_dtype(DType d)
{
	return d == DT_bool ? DT_i32 : d;
}

static Val scan(Elab *e, OpCode c, Scan s)
{
	Attr a[3] = {ATTR_INT(axis, s.axis), ATTR_INT(reverse, s.reverse), ATTR_INT(exclusive, s.exclusive)};
	return val_tensor(ir_emit(elab_builder(e), c, &s.x, 1, a, 3));
}

Val builtin_cumsum(Elab *e, const CallSite *at, Val *argv)
{
	return scan(e, OP_cumsum, scan_args(e, at, argv, cumsum_dtype));
}

static DType count_bool(DType d)
{
	return d == DT_bool ? DT_u8 : d;
}

static Val back_to_bool(Elab *e, Val r, bool was_bool)
{
	return was_bool ? val_tensor(ir_convert(elab_builder(e), r.u.tensor, DT_bool)) : r;
}

static bool is_bool(Val v)
{
	return v.kind == V_TENSOR && v.u.tensor->type->dtype == DT_bool;
}

Val builtin_cumprod(Elab *e, const CallSite *at, Val *argv)
{
	return back_to_bool(e, scan(e, OP_cumprod, scan_args(e, at, argv, count_bool)), is_bool(argv[0]));
}

Val builtin_logcumsumexp(Elab *e, const CallSite *at, Val *argv)
{
	return scan(e, OP_cumlogsumexp, scan_args(e, at, argv, dtype_to_inexact));
}

/* y moved one place on along the axis, `first` entering: what exclusive scans are where the op has no such attribute. */
static Value *shift_in(Elab *e, Value *y, Scan s, double first)
{
	Builder *b = elab_builder(e);
	DimCtx *c = elab_dims(e);
	Dim zero = dim_const(e, 0), one = dim_const(e, 1), n = y->type->dim[s.axis], dims[MAX_RANK];
	int64_t none;
	if (dim_is_const(n, &none) && none == 0) return y;
	memcpy(dims, y->type->dim, sizeof(Dim) * (size_t)y->type->rank);
	dims[s.axis] = one;
	Value *fill = ir_splat(b, type_get(elab_module(e), y->type->dtype, y->type->rank, dims), first);
	Value *rest = ir_slice_axis(b, y, s.axis, s.reverse ? one : zero, s.reverse ? n : dim_sub(c, n, one), 1);
	Value *part[2] = {s.reverse ? rest : fill, s.reverse ? fill : rest};
	return ir_concat(b, part, 2, s.axis);
}

/* The least (or, for cummin, greatest) value of d: what an exclusive maximum starts from. */
static double extreme_start(DType d, bool largest)
{
	if (dtype_is_float(d) || d == DT_c64) return largest ? -__builtin_inf() : __builtin_inf();
	int bits = 8 * dtype_bytes(d);
	if (!dtype_is_signed(d))
		return largest ? 0 : d == DT_bool ? 1 : bits == 64 ? 18446744073709551615.0 : (double)((UINT64_C(1) << bits) - 1);
	double top = (double)(UINT64_C(1) << (bits - 1));
	return largest ? -top : top - 1;
}

static Val running_extreme(Elab *e, const CallSite *at, Val *argv, OpCode c)
{
	Scan s = scan_args(e, at, argv, same);
	Attr a[2] = {ATTR_INT(axis, s.axis), ATTR_INT(reverse, s.reverse)};
	Value *out[2];
	ir_emit_n(elab_builder(e), c, &s.x, 1, a, 2, out, 2);
	return val_tensor(s.exclusive ? shift_in(e, out[0], s, extreme_start(s.x->type->dtype, c == OP_cummax)) : out[0]);
}

Val builtin_cummax(Elab *e, const CallSite *at, Val *argv)
{
	return running_extreme(e, at, argv, OP_cummax);
}

Val builtin_cummin(Elab *e, const CallSite *at, Val *argv)
{
	return running_extreme(e, at, argv, OP_cummin);
}
