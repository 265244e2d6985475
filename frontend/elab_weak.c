/* Weak numbers, promotion and broadcasting: where numbers, dimensions and lists become tensors.
 *
 * A number takes the dtype of the tensor that it meets, as in MLX: an int any numeric dtype, a float makes integers f32, a complex number
 * gives c64. Promotion between tensors is dtype_promote. Only a literal 1 stretches.
 */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

/* bool < int < float < complex */
static int category(Val v)
{
	if (v.kind == V_TENSOR)
		return dtype_kind(v.u.tensor->type->dtype) == DK_BOOL ? 0
		       : dtype_is_int(v.u.tensor->type->dtype)        ? 1
		       : dtype_is_float(v.u.tensor->type->dtype)      ? 2
		                                                      : 3;
	return v.kind == V_BOOL ? 0 : v.kind == V_FLOAT ? 2 : v.kind == V_COMPLEX ? 3 : 1;
}

static int dtype_category(DType d)
{
	return d == DT_bool ? 0 : dtype_is_int(d) ? 1 : dtype_is_float(d) ? 2 : 3;
}

static DType weak_join(DType d, Val v)
{
	int c = category(v);
	if (c <= dtype_category(d)) return d;
	return c == 1 ? DT_i32 : c == 2 ? DT_f32 : DT_c64;
}

DType weak_default(Val v)
{
	switch (v.kind) {
	case V_BOOL: return DT_bool;
	case V_INT: return v.u.i >= INT32_MIN && v.u.i <= INT32_MAX ? DT_i32 : DT_i64;
	case V_FLOAT: return DT_f32;
	case V_COMPLEX: return DT_c64;
	case V_TENSOR: return v.u.tensor->type->dtype;
	default: return DT_i32;
	}
}

bool weak_fits(Val v, DType d)
{
	return category(v) <= dtype_category(d);
}

/* An integer that no wrapping explains is a mistake: 300 for u8 (but -1 for u32 is all ones, and 0xffffffff is an i32 pattern). */
static void check_range(Elab *e, Val v, DType d, Loc loc)
{
	if (v.kind != V_INT || !dtype_is_int(d) || dtype_bytes(d) == 8) return;
	int64_t top = (int64_t)1 << (8 * dtype_bytes(d));
	if (v.u.i >= top || v.u.i < -(top / 2)) elab_fail(e, loc, "number.fits", "%lld does not fit in %s", (long long)v.u.i, dtype_name(d));
}

static Value *number_tensor(Elab *e, Val v, DType d, Loc loc)
{
	check_range(e, v, d, loc);
	Scalar s = scalar_convert(val_scalar(v), d);
	return ir_const(&e->b, tensor_scalar(e->arena, s));
}

Value *elab_tensor(Elab *e, Val v, const DType *like, Loc loc, const char *what)
{
	if (loc.file) e->b.loc = loc;
	switch (v.kind) {
	case V_TENSOR:
		v = elab_here(e, v);
		if (v.weak && like && weak_fits(v, *like)) return ir_convert(&e->b, v.u.tensor, *like);
		return v.u.tensor;
	case V_BOOL:
	case V_INT:
	case V_FLOAT:
	case V_COMPLEX: return number_tensor(e, v, like ? weak_join(*like, v) : weak_default(v), loc);
	case V_DIM: {
		Value *n = ir_dimsize(&e->b, v.u.dim);
		return ir_convert(&e->b, n, like ? weak_join(*like, v) : DT_i32);
	}
	case V_LIST: return elab_array(e, v, loc);
	case V_TUPLE:
		elab_fail_help(e, loc, "tensor.tuple", "write a list, or `stack(...)`", "%s must be a tensor; a tuple never becomes one", what);
	case V_NONE: elab_fail(e, loc, "tensor.none", "%s must be a tensor, not `none`", what);
	default: elab_fail(e, loc, "tensor.kind", "%s must be a tensor, not %s", what, val_describe(e, v));
	}
}

DType elab_result_dtype(Elab *e, const Val *v, int n, Loc loc)
{
	bool have = false;
	DType d = DT_bool;
	for (int i = 0; i < n; i++) {
		Val x = v[i];
		if (x.kind == V_LIST) x = val_tensor(elab_tensor(e, x, NULL, loc, "an operand"));
		if (x.kind != V_TENSOR || x.weak) continue;
		d = have ? dtype_promote(d, x.u.tensor->type->dtype) : x.u.tensor->type->dtype;
		have = true;
	}
	for (int i = 0; i < n; i++) {
		if (!val_is_weak(v[i])) continue;
		d = have ? weak_join(d, v[i]) : weak_default(v[i]);
		have = true;
	}
	return d;
}

Value *elab_broadcast_to(Elab *e, Value *x, int rank, const Dim *dims, Loc loc)
{
	const Type *t = x->type;
	int64_t map[MAX_RANK];
	Dim kept[MAX_RANK];
	int n = 0, shift = rank - t->rank;
	bool dropped = false, same = shift == 0;
	if (shift < 0)
		elab_fail(e, loc, "broadcast.rank", "%s has more axes than the shape %s", type_str(e->arena, t), shape_str(e, rank, dims));
	for (int i = 0; i < t->rank; i++) {
		Dim want = dims[i + shift];
		int64_t one;
		if (dim_equal(t->dim[i], want)) {
			kept[n] = want, map[n++] = i + shift;
		} else if (dim_is_const(t->dim[i], &one) && one == 1) {
			dropped = true, same = false;
		} else if (dim_provable_equal(e->facts, t->dim[i], want)) {
			kept[n] = want, map[n++] = i + shift, dropped = true;
		} else {
			elab_fail(e, loc, "broadcast.shape", "%s does not broadcast to the shape %s: %s and %s differ", type_str(e->arena, t),
			          shape_str(e, rank, dims), dim_str(e->arena, t->dim[i]), dim_str(e->arena, want));
		}
	}
	if (loc.file) e->b.loc = loc;
	if (dropped) x = ir_reshape(&e->b, x, n, kept);
	if (same) return x;
	return ir_broadcast(&e->b, x, type_get(e->m, t->dtype, rank, dims), map);
}

void elab_broadcast_n(Elab *e, const Val *v, int n, Loc loc, const char *opname, Value **out)
{
	Val *x = NEW_ARRAY(e->arena, Val, n);
	for (int i = 0; i < n; i++)
		x[i] =
		    v[i].kind == V_LIST ? val_tensor(elab_tensor(e, v[i], NULL, loc, arena_printf(e->arena, "an operand of `%s`", opname))) : v[i];
	DType d = elab_result_dtype(e, x, n, loc);
	Dim dims[MAX_RANK];
	int rank;
	for (int i = 0; i < n; i++)
		out[i] = ir_convert(&e->b, elab_tensor(e, x[i], &d, loc, arena_printf(e->arena, "an operand of `%s`", opname)), d);
	elab_broadcast_shape(e, out, n, loc, "broadcast.size", arena_printf(e->arena, "operands of `%s`", opname), &rank, dims);
	for (int i = 0; i < n; i++) out[i] = elab_broadcast_to(e, out[i], rank, dims, loc);
}

void elab_broadcast2(Elab *e, Val a, Val b, Loc loc, const char *opname, Value **x, Value **y)
{
	Val v[2] = {a, b};
	Value *out[2];
	elab_broadcast_n(e, v, 2, loc, opname, out);
	*x = out[0], *y = out[1];
}

/* --- operators ------------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	OpCode op;
} binary_ops[] = {
    [B_ADD] = {"+", OP_add},
    [B_SUB] = {"-", OP_sub},
    [B_MUL] = {"*", OP_mul},
    [B_DIV] = {"/", OP_div},
    [B_FLOORDIV] = {"//", OP_floordiv},
    [B_MOD] = {"%", OP_rem},
    [B_POW] = {"**", OP_pow},
    [B_BITAND] = {"&", OP_and},
    [B_BITOR] = {"|", OP_or},
    [B_BITXOR] = {"^", OP_xor},
    [B_SHL] = {"<<", OP_shl},
    [B_SHR] = {">>", OP_shr},
    [B_AND] = {"and", OP_and},
    [B_OR] = {"or", OP_or},
    [B_MATMUL] = {"@", OP_dot},
};

static void check_operand(Elab *e, Val v, const char *op, Loc loc)
{
	if (v.kind == V_TENSOR || v.kind == V_LIST || val_is_weak(v)) return;
	if (v.kind == V_NONE) elab_fail(e, loc, "operator.none", "an operand of `%s` is `none`", op);
	if (v.kind == V_TUPLE)
		elab_fail_help(e, loc, "operator.tuple", "write a list, `[a, b]`, or `stack(...)`",
		               "an operand of `%s` is a tuple; a tuple never becomes a tensor", op);
	if (v.kind == V_MODULE)
		elab_fail_help(e, loc, "operator.kind", "work on its leaves: `tree_map(|p, g| p - lr * g, net, g)`", "`%s` does not take %s", op,
		               val_describe(e, v));
	elab_fail(e, loc, "operator.kind", "`%s` does not take %s", op, val_describe(e, v));
}

static Value *to_bool(Elab *e, Val v, Loc loc, const char *op)
{
	Value *x = elab_tensor(e, v, NULL, loc, arena_printf(e->arena, "an operand of `%s`", op));
	return ir_convert(&e->b, x, DT_bool);
}

Val elab_binary(Elab *e, BinOp op, Val a, Val b, Loc loc)
{
	Val r;
	if (loc.file) e->b.loc = loc;
	if (op != B_AND && op != B_OR && number_binary(e, op, a, b, loc, &r)) return r.loc = loc, r;
	const char *text = binary_ops[op].text;
	check_operand(e, a, text, a.loc.file ? a.loc : loc);
	check_operand(e, b, text, b.loc.file ? b.loc : loc);
	if (op == B_MATMUL) return elab_matmul(e, a, b, loc);
	Val v[2] = {a, b};
	Value *x[2];
	if (op == B_AND || op == B_OR) {
		v[0] = val_tensor(to_bool(e, a, loc, text)), v[1] = val_tensor(to_bool(e, b, loc, text));
		elab_broadcast_n(e, v, 2, loc, text, x);
		return val_tensor(ir_binary(&e->b, binary_ops[op].op, x[0], x[1]));
	}
	DType d = elab_result_dtype(e, v, 2, loc);
	if (op == B_DIV) d = dtype_to_inexact(d);
	/* arithmetic on bools counts: MLX has no difference or remainder of bools, integers do; its shifts of bools are u8 */
	if (d == DT_bool && !op_takes(binary_ops[op].op, d)) d = op == B_SHL || op == B_SHR ? DT_u8 : DT_i32;
	bool takes = op_takes(binary_ops[op].op, d);
	if (!takes && !strcmp(text, "^"))
		elab_fail_help(e, loc, "operator.dtype", "a power is `x ** y`", "`^` is the exclusive or of integers; it does not take %s and %s",
		               val_describe(e, a), val_describe(e, b));
	if (!takes)
		elab_fail(e, loc, "operator.dtype", "`%s` does not take %s (operands %s and %s)", text, dtype_name(d), val_describe(e, a),
		          val_describe(e, b));
	for (int i = 0; i < 2; i++) {
		if (v[i].kind != V_TENSOR || v[i].weak) v[i] = val_tensor(elab_tensor(e, v[i], &d, loc, text));
		v[i] = val_tensor(ir_convert(&e->b, elab_here(e, v[i]).u.tensor, d));
	}
	elab_broadcast_n(e, v, 2, loc, text, x);
	r = val_tensor(ir_binary(&e->b, binary_ops[op].op, x[0], x[1]));
	r.weak = val_is_weak(a) && val_is_weak(b);
	r.loc = loc;
	return r;
}

Val elab_unary(Elab *e, UnOp op, Val a, Loc loc)
{
	static const char *const text[] = {[U_NEG] = "-", [U_INVERT] = "~", [U_NOT] = "not"};
	if (loc.file) e->b.loc = loc;
	if (op == U_NOT && a.kind == V_BOOL) return val_bool(!a.u.b);
	if (op == U_NOT && a.kind != V_TENSOR && a.kind != V_LIST)
		elab_fail(e, loc, "condition.kind", "`not` takes a bool, not %s", val_describe(e, a));
	if (op == U_NEG) {
		if (a.kind == V_INT || a.kind == V_BOOL) return elab_binary(e, B_SUB, val_int(0), a, loc);
		if (a.kind == V_FLOAT) return val_float(-a.u.f);
		if (a.kind == V_COMPLEX) return (Val){.kind = V_COMPLEX, .u.c = {-a.u.c.re, -a.u.c.im}};
		if (a.kind == V_DIM) return elab_binary(e, B_SUB, val_int(0), a, loc);
	}
	if (op == U_INVERT && a.kind == V_INT) return val_int(~a.u.i);
	if (op == U_INVERT && a.kind == V_BOOL) return val_bool(!a.u.b);
	check_operand(e, a, text[op], loc);
	Value *x =
	    op == U_NOT ? to_bool(e, a, loc, "not") : elab_tensor(e, a, NULL, loc, arena_printf(e->arena, "the operand of `%s`", text[op]));
	OpCode c = op == U_NEG ? OP_neg : OP_not;
	if (op == U_NEG && x->type->dtype == DT_bool) x = ir_convert(&e->b, x, DT_i32);
	if (!op_takes(c, x->type->dtype)) elab_fail(e, loc, "operator.dtype", "`%s` does not take %s", text[op], dtype_name(x->type->dtype));
	Val r = val_tensor(ir_unary(&e->b, c, x));
	r.weak = val_is_weak(a);
	return r;
}

static const struct {
	const char *text;
	OpCode op;
} compare_ops[] = {
    [C_LT] = {"<", OP_lt},  [C_GT] = {">", OP_gt},  [C_LE] = {"<=", OP_le},
    [C_GE] = {">=", OP_ge}, [C_EQ] = {"==", OP_eq}, [C_NE] = {"!=", OP_ne},
};

Val elab_compare(Elab *e, CmpOp op, Val a, Val b, Loc loc)
{
	bool known;
	if (loc.file) e->b.loc = loc;
	if (number_compare(e, op, a, b, loc, &known)) return val_bool(known);
	const char *text = compare_ops[op].text;
	check_operand(e, a, text, a.loc.file ? a.loc : loc);
	check_operand(e, b, text, b.loc.file ? b.loc : loc);
	Value *x, *y;
	elab_broadcast2(e, a, b, loc, text, &x, &y);
	return val_tensor(ir_binary(&e->b, compare_ops[op].op, x, y));
}

/* --- axes and shapes ------------------------------------------------------------------------------------------------------ */

int elab_axis(Elab *e, Val v, int rank, Loc loc)
{
	int64_t a = elab_int(e, v, loc, "an axis");
	if (a < -rank || a >= rank)
		elab_fail(e, loc, "axis.range", "axis %lld is out of range for %d ax%s", (long long)a, rank, rank == 1 ? "is" : "es");
	return (int)(a < 0 ? a + rank : a);
}

int elab_axes(Elab *e, Val v, int rank, int64_t *axes, Loc loc)
{
	bool used[MAX_RANK] = {0};
	if (v.kind == V_NONE) {
		for (int i = 0; i < rank; i++) used[i] = true;
	} else if (v.kind == V_INT || v.kind == V_TENSOR) {
		used[elab_axis(e, v, rank, loc)] = true;
	} else {
		int64_t list[MAX_RANK];
		int n = elab_ints(e, v, list, MAX_RANK, loc, "an axis");
		for (int i = 0; i < n; i++) {
			int a = elab_axis(e, val_int(list[i]), rank, loc);
			if (used[a]) elab_fail(e, loc, "axis.twice", "axis %d is named twice", a);
			used[a] = true;
		}
	}
	int k = 0;
	for (int i = 0; i < rank; i++) {
		if (used[i]) axes[k++] = i;
	}
	return k;
}

int elab_shape(Elab *e, Val v, Dim *dims, Dim total, Loc loc)
{
	Val one = v;
	const Val *at = &one;
	int n = 1, hole = -1;
	if (v.kind == V_TUPLE || v.kind == V_LIST) at = v.u.items->at, n = v.u.items->n;
	if (n > MAX_RANK) elab_fail(e, loc, "shape.rank", "a tensor has at most %d axes", MAX_RANK);
	Dim product = dim_int(e->m->dims, 1);
	for (int i = 0; i < n; i++) {
		if (total && at[i].kind == V_INT && at[i].u.i == -1) {
			if (hole >= 0) elab_fail(e, loc, "shape.two_holes", "only one entry of a shape may be -1");
			hole = i;
			continue;
		}
		dims[i] = elab_dim(e, at[i], loc, "an entry of a shape");
		if (at[i].kind == V_INT && at[i].u.i < 0) elab_fail(e, loc, "shape.negative", "an entry of a shape is %lld", (long long)at[i].u.i);
		product = dim_mul(e->m->dims, product, dims[i]);
	}
	if (hole < 0) return n;
	int64_t zero;
	bool empty = product && dim_is_const(product, &zero) && zero == 0;
	dims[hole] = empty ? NULL : dim_div_exact(e->m->dims, e->facts, total, product);
	if (!dims[hole])
		elab_fail(e, loc, "shape.divide", "%s elements do not divide exactly by %s for the entry -1", dim_str(e->arena, total),
		          product ? dim_str(e->arena, product) : "the other entries");
	return n;
}

Dim elab_require_equal(Elab *e, Dim a, Dim b, Loc loc, const char *label, const char *what)
{
	if (dim_equal(a, b) || dim_provable_equal(e->facts, a, b)) return a;
	int64_t x, y;
	const char *as = dim_str(e->arena, a), *bs = dim_str(e->arena, b);
	if (dim_is_const(a, &x) && dim_is_const(b, &y)) elab_fail(e, loc, label, "%s: %s and %s", what, as, bs);
	elab_fail_help(
	    e, loc, label,
	    arena_printf(e->arena, "if they are always equal, say so at the head of the exported function: `assert %s == %s;`", as, bs),
	    "%s: cannot show that %s equals %s", what, as, bs);
}
