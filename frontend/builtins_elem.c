/* Element-wise functions. On compile-time numbers they compute numbers by the op's own meaning, dimensions are compared by what is known of
 * them, and tensors are promoted as MLX does: integers become f32 where the op is defined on inexact types only.
 */
#include "builtins.h"
#include "../ir/eval.h"
#include <math.h>
#include <string.h>

/* --- numbers ------------------------------------------------------------------------------------------------------------ */
static bool any_kind(const Val *v, int n, ValKind k)
{
	for (int i = 0; i < n; i++)
		if (v[i].kind == k) return true;
	return false;
}

static Scalar number_scalar(Val v, DType d)
{
	if (v.kind == V_COMPLEX) {
		Scalar s = {.dtype = DT_c64};
		s.v.c[0] = (float)v.u.c.re;
		s.v.c[1] = (float)v.u.c.im;
		return s;
	}
	if (v.kind == V_FLOAT) return scalar_from_double(v.u.f, d);
	return scalar_from_int(v.kind == V_BOOL ? v.u.b : v.u.i, d);
}

static Val scalar_number(Scalar s)
{
	if (s.dtype == DT_c64) return (Val){.kind = V_COMPLEX, .u.c = {s.v.c[0], s.v.c[1]}};
	if (s.dtype == DT_bool) return val_bool(s.v.u != 0);
	return dtype_is_float(s.dtype) ? val_float(s.v.f) : val_int(s.v.i);
}

static Scalar eval_scalar(Elab *e, OpCode c, DType d, const Val *v, int n)
{
	Module *m = elab_module(e);
	const OpRow *row = op_row(c);
	Tensor *in[3], *out[1] = {NULL};
	for (int i = 0; i < n; i++) in[i] = tensor_scalar(elab_arena(e), number_scalar(v[i], d));
	DType r = row->gives == RC_BOOL ? DT_bool : row->gives == RC_ABSOF && d == DT_c64 ? DT_f32 : d;
	const Type *type = type_scalar(m, r);
	OpView view = {.code = c, .nin = n, .nout = 1};
	ir_eval_op(elab_arena(e), &view, &type, in, out);
	return tensor_get(out[0], 0);
}

static const char *op_takes_text(const OpRow *row)
{
	switch (row->takes) {
	case OC_NUM: return "numbers, not bool";
	case OC_FLT: return "real numbers";
	case OC_INX: return "numbers";
	case OC_INTB: return "integers and bool";
	case OC_INT: return "integers";
	case OC_REAL: return "real numbers";
	default: return "other dtypes";
	}
}

static _Noreturn void fail_operand(Elab *e, OpCode c, Loc loc, const char *name, const char *got)
{
	elab_fail(e, loc, "dtype.operand", "`%s` takes %s, not %s", name, op_takes_text(op_row(c)), got);
}

Val number_op(Elab *e, OpCode c, const Val *v, int n, Loc loc)
{
	const OpRow *row = op_row(c);
	bool cpx = any_kind(v, n, V_COMPLEX), flt = any_kind(v, n, V_FLOAT);
	DType d = cpx ? DT_c64 : flt || row->takes == OC_FLT || row->takes == OC_INX ? DT_f64 : any_kind(v, n, V_INT) ? DT_i64 : DT_bool;
	if (!op_takes(c, d)) fail_operand(e, c, loc, row->name, val_describe(e, v[0]));
	if (d == DT_i64 && c == OP_abs && v[0].u.i == INT64_MIN)
		elab_fail(e, loc, "int.overflow", "the magnitude of %lld does not fit 64 bits", (long long)INT64_MIN);
	return scalar_number(eval_scalar(e, c, d, v, n));
}

/* --- tensors ------------------------------------------------------------------------------------------------------------ */
/* x in a dtype that the op takes: bool and integers become f32 for inexact ops, bool becomes u8 for shifts (as MLX). */
static Value *fit_operand(Elab *e, OpCode c, Value *x, Loc loc, const char *name)
{
	const OpRow *row = op_row(c);
	DType d = x->type->dtype;
	if (row->takes == OC_FLT || row->takes == OC_INX) d = dtype_to_inexact(d);
	if (row->takes == OC_INT && d == DT_bool) d = DT_u8;
	if (!op_takes(c, d)) fail_operand(e, c, loc, name, type_text(e, x->type));
	return ir_convert(elab_builder(e), x, d);
}

/* real, imag, conj of what has no imaginary part. */
static Val real_part_op(Elab *e, OpCode c, Val x)
{
	if (c != OP_imag) return x;
	if (x.kind != V_TENSOR) return x.kind == V_FLOAT ? val_float(0) : val_int(0);
	return val_tensor(ir_zeros(elab_builder(e), x.u.tensor->type));
}

static bool val_is_complex(Val x)
{
	return x.kind == V_COMPLEX || (x.kind == V_TENSOR && x.u.tensor->type->dtype == DT_c64);
}

Val elem_unary(Elab *e, OpCode c, Val x, Loc loc, const char *name)
{
	if (x.kind == V_LIST) x = val_tensor(elab_tensor(e, x, NULL, loc, name));
	bool known = val_is_number(x) || x.kind == V_TENSOR;
	if (known && op_row(c)->takes == OC_CPX && !val_is_complex(x)) return real_part_op(e, c, x);
	if (val_is_number(x)) return number_op(e, c, &x, 1, loc);
	Value *t = fit_operand(e, c, elab_tensor(e, x, NULL, loc, name), loc, name);
	Val r = val_tensor(ir_unary(elab_builder(e), c, t));
	r.weak = x.kind == V_DIM || x.weak; /* sqrt(D) is as weak as D */
	return r;
}

/* The larger or smaller of two dimensions where what is known decides it. */
static bool decide_dims(Elab *e, OpCode c, Val a, Val b, Val *out)
{
	if (!val_is_int_like(a) || !val_is_int_like(b) || (c != OP_maximum && c != OP_minimum)) return false;
	Dim x = elab_dim(e, a, NO_LOC, "a"), y = elab_dim(e, b, NO_LOC, "b"), d = dim_sub(elab_dims(e), x, y);
	bool ge = dim_provable_nonneg(elab_facts(e), d);
	if (!ge && !dim_provable_nonneg(elab_facts(e), dim_scale(elab_dims(e), d, -1, 1))) return false;
	*out = ge == (c == OP_maximum) ? a : b;
	return true;
}

Val elem_binary(Elab *e, OpCode c, Val a, Val b, Loc loc, const char *name)
{
	Val v[2] = {a, b}, out;
	if (val_is_number(a) && val_is_number(b)) return number_op(e, c, v, 2, loc);
	if (decide_dims(e, c, a, b, &out)) return out;
	Value *x, *y;
	elab_broadcast2(e, a, b, loc, name, &x, &y);
	x = fit_operand(e, c, x, loc, name);
	y = fit_operand(e, c, y, loc, name);
	out = val_tensor(ir_binary(elab_builder(e), c, x, y));
	out.weak = val_is_weak(a) && val_is_weak(b);
	return out;
}

/* --- the operators under their names ------------------------------------------------------------------------------------ */
#define OPERATOR(fn, op)                                                                                                                   \
	Val fn(Elab *e, const CallSite *at, Val *argv)                                                                                         \
	{                                                                                                                                      \
		return elab_binary(e, op, argv[0], argv[1], at->loc);                                                                              \
	}
OPERATOR(builtin_add, B_ADD)
OPERATOR(builtin_subtract, B_SUB)
OPERATOR(builtin_multiply, B_MUL)
OPERATOR(builtin_divide, B_DIV)
OPERATOR(builtin_floor_divide, B_FLOORDIV)
OPERATOR(builtin_remainder, B_MOD)
OPERATOR(builtin_power, B_POW)
OPERATOR(builtin_bitwise_and, B_BITAND)
OPERATOR(builtin_bitwise_or, B_BITOR)
OPERATOR(builtin_bitwise_xor, B_BITXOR)
OPERATOR(builtin_left_shift, B_SHL)
OPERATOR(builtin_right_shift, B_SHR)
#undef OPERATOR
#define COMPARISON(fn, op)                                                                                                                 \
	Val fn(Elab *e, const CallSite *at, Val *argv)                                                                                         \
	{                                                                                                                                      \
		return elab_compare(e, op, argv[0], argv[1], at->loc);                                                                             \
	}
COMPARISON(builtin_equal, C_EQ)
COMPARISON(builtin_not_equal, C_NE)
COMPARISON(builtin_less, C_LT)
COMPARISON(builtin_less_equal, C_LE)
COMPARISON(builtin_greater, C_GT)
COMPARISON(builtin_greater_equal, C_GE)
#undef COMPARISON

Val builtin_negative(Elab *e, const CallSite *at, Val *argv)
{
	return elab_unary(e, U_NEG, argv[0], at->loc);
}

Val builtin_invert(Elab *e, const CallSite *at, Val *argv)
{
	return elab_unary(e, U_INVERT, argv[0], at->loc);
}

/* x != 0 as bool; x itself when it is bool. */
static Value *truth(Elab *e, Value *x)
{
	return x->type->dtype == DT_bool ? x : ir_convert(elab_builder(e), x, DT_bool);
}

Val builtin_logical_not(Elab *e, const CallSite *at, Val *argv)
{
	if (val_is_number(argv[0]))
		return val_bool(scalar_convert(number_scalar(argv[0], argv[0].kind == V_FLOAT ? DT_f64 : DT_i64), DT_bool).v.u == 0);
	return val_tensor(ir_unary(elab_builder(e), OP_not, truth(e, arg_tensor(e, at, argv, 0))));
}

/* MLX's: scale, round, scale back; integers go through f32. */
Val builtin_round(Elab *e, const CallSite *at, Val *argv)
{
	int64_t decimals = elab_int(e, argv[1], arg_at(at, 1), "decimals");
	if (decimals == 0) return elem_unary(e, OP_round, argv[0], at->loc, at->name);
	Val scale = val_float(pow(10, (double)decimals));
	Val y = elab_binary(e, B_MUL, argv[0], scale, at->loc);
	y = elab_binary(e, B_DIV, elem_unary(e, OP_round, y, at->loc, at->name), scale, at->loc);
	if (argv[0].kind != V_TENSOR || !dtype_is_int(argv[0].u.tensor->type->dtype)) return y;
	return val_tensor(ir_convert(elab_builder(e), elab_tensor(e, y, NULL, at->loc, at->name), argv[0].u.tensor->type->dtype));
}

Val builtin_where(Elab *e, const CallSite *at, Val *argv)
{
	if (argv[0].kind == V_BOOL && val_is_number(argv[1]) && val_is_number(argv[2])) return argv[0].u.b ? argv[1] : argv[2];
	Builder *b = elab_builder(e);
	Value *c = truth(e, elab_tensor(e, argv[0], NULL, arg_at(at, 0), "the condition of `where`"));
	DType d = elab_result_dtype(e, argv + 1, 2, at->loc);
	Value *x = ir_convert(b, elab_tensor(e, argv[1], &d, arg_at(at, 1), at->name), d);
	Value *y = ir_convert(b, elab_tensor(e, argv[2], &d, arg_at(at, 2), at->name), d);
	/* The condition has another dtype, so the three are brought to one shape in pairs. */
	const Type *shape = x->type;
	Value *all[3] = {c, x, y};
	int rank = 0;
	Dim dims[MAX_RANK];
	elab_broadcast_shape(e, all, 3, at->loc, "broadcast.size", "arguments of `where`", &rank, dims);
	shape = type_get(elab_module(e), DT_bool, rank, dims);
	for (int i = 0; i < 3; i++) all[i] = elab_broadcast_to(e, all[i], shape->rank, shape->dim, at->loc);
	return val_tensor(ir_select(b, all[0], all[1], all[2]));
}

Val builtin_clip(Elab *e, const CallSite *at, Val *argv)
{
	Val x = argv[0];
	if (argv[1].kind == V_NONE && argv[2].kind == V_NONE) elab_fail(e, at->loc, "clip.bounds", "`clip` needs a_min or a_max");
	if (argv[1].kind != V_NONE) x = elem_binary(e, OP_maximum, x, argv[1], at->loc, at->name);
	if (argv[2].kind != V_NONE) x = elem_binary(e, OP_minimum, x, argv[2], at->loc, at->name);
	return x;
}

Val builtin_stop_gradient(Elab *e, const CallSite *at, Val *argv)
{
	if (argv[0].kind == V_TENSOR) return val_tensor(ir_unary(elab_builder(e), OP_stop_gradient, argv[0].u.tensor));
	if (val_is_weak(argv[0])) return argv[0];
	Leaves l = tree_leaves(e, argv[0]);
	for (int i = 0; i < l.n; i++)
		if (l.at[i].kind == V_TENSOR) l.at[i] = val_tensor(ir_unary(elab_builder(e), OP_stop_gradient, l.at[i].u.tensor));
	return tree_rebuild(e, argv[0], l.at);
}

Val builtin_astype(Elab *e, const CallSite *at, Val *argv)
{
	DType d = elab_dtype(e, argv[1], arg_at(at, 1), "the dtype of `astype`");
	if (val_is_number(argv[0])) return builtin_array(e, at, argv);
	return val_tensor(ir_convert(elab_builder(e), arg_tensor(e, at, argv, 0), d));
}

Val builtin_complex(Elab *e, const CallSite *at, Val *argv)
{
	Value *x, *y;
	elab_broadcast2(e, argv[0], argv[1], at->loc, at->name, &x, &y);
	if (x->type->dtype == DT_c64) elab_fail(e, at->loc, "dtype.operand", "`complex` takes two real parts, not c64");
	Builder *b = elab_builder(e);
	return val_tensor(ir_binary(b, OP_complex, ir_convert(b, x, DT_f32), ir_convert(b, y, DT_f32)));
}
