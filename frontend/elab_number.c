/* Compile-time numbers: 64-bit integers whose overflow is a mistake, f64 floats, complex numbers, strings, dimensions.
 *
 * Python's operators: `//` and `%` round down, `/` gives a float, a comparison of a number with a dimension is decided by the facts.
 * The remaining rules are those of the language page: an integer that does not fit is never silently another one.
 */
#define _GNU_SOURCE
#include "elab_core.h"
#include <complex.h>
#include <math.h>
#include <string.h>

static const char *const op_text[] = {"+", "-", "*", "/", "//", "%", "@", "**", "&", "|", "^", "<<", ">>", "and", "or"};

static double as_double(Val v)
{
	return v.kind == V_FLOAT ? v.u.f : v.kind == V_BOOL ? (double)v.u.b : (double)v.u.i;
}
static int64_t as_int(Val v)
{
	return v.kind == V_BOOL ? (int64_t)v.u.b : v.u.i;
}

static _Noreturn void overflow(Elab *e, Loc loc, int64_t a, BinOp op, int64_t b)
{
	elab_fail(e, loc, "number.overflow", "%lld %s %lld does not fit in 64 bits", (long long)a, op_text[op], (long long)b);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

static int64_t int_power(Elab *e, int64_t a, int64_t b, Loc loc)
{
	int64_t r = 1, base = a, n = b;
	while (n > 0) {
		if ((n & 1) && __builtin_mul_overflow(r, base, &r)) overflow(e, loc, a, B_POW, b);
		n >>= 1;
		if (n && __builtin_mul_overflow(base, base, &base)) overflow(e, loc, a, B_POW, b);
	}
	return r;
}

static Val int_binary(Elab *e, BinOp op, int64_t a, int64_t b, Loc loc)
{
	int64_t r = 0;
	switch (op) {
	case B_ADD:
		if (__builtin_add_overflow(a, b, &r)) overflow(e, loc, a, op, b);
		return val_int(r);
	case B_SUB:
		if (__builtin_sub_overflow(a, b, &r)) overflow(e, loc, a, op, b);
		return val_int(r);
	case B_MUL:
		if (__builtin_mul_overflow(a, b, &r)) overflow(e, loc, a, op, b);
		return val_int(r);
	case B_FLOORDIV:
	case B_MOD:
		if (b == 0) elab_fail(e, loc, "number.zero_division", "division of the integer %lld by zero", (long long)a);
		if (a == INT64_MIN && b == -1) {
			if (op == B_FLOORDIV) overflow(e, loc, a, op, b);
			return val_int(0);
		}
		return val_int(op == B_FLOORDIV ? floor_div(a, b) : a - floor_div(a, b) * b);
	case B_POW: return b < 0 ? val_float(pow((double)a, (double)b)) : val_int(int_power(e, a, b, loc));
	case B_BITAND: return val_int(a & b);
	case B_BITOR: return val_int(a | b);
	case B_BITXOR: return val_int(a ^ b);
	case B_SHL:
		if (b < 0 || b > 62 || a > (INT64_MAX >> b) || a < (INT64_MIN >> b)) overflow(e, loc, a, op, b);
		return val_int((int64_t)((uint64_t)a << b));
	case B_SHR:
		if (b < 0) elab_fail(e, loc, "number.shift", "the shift %lld is negative", (long long)b);
		return val_int(a >> (b > 63 ? 63 : b));
	default: break;
	}
	return val_float((double)a / (double)b);
}

static Val float_binary(Elab *e, BinOp op, double a, double b, Loc loc)
{
	switch (op) {
	case B_ADD: return val_float(a + b);
	case B_SUB: return val_float(a - b);
	case B_MUL: return val_float(a * b);
	case B_DIV: return val_float(a / b);
	case B_FLOORDIV: return val_float(floor(a / b));
	case B_MOD: {
		double r = fmod(a, b);
		return val_float(r != 0 && (r < 0) != (b < 0) ? r + b : r);
	}
	case B_POW: return val_float(pow(a, b));
	default: elab_fail(e, loc, "number.operator", "`%s` takes integers, not %g and %g", op_text[op], a, b);
	}
}

static Val complex_binary(Elab *e, BinOp op, Val x, Val y, Loc loc)
{
	double complex a = x.kind == V_COMPLEX ? x.u.c.re + x.u.c.im * I : as_double(x);
	double complex b = y.kind == V_COMPLEX ? y.u.c.re + y.u.c.im * I : as_double(y);
	double complex r;
	switch (op) {
	case B_ADD: r = a + b; break;
	case B_SUB: r = a - b; break;
	case B_MUL: r = a * b; break;
	case B_DIV: r = a / b; break;
	case B_POW: r = cpow(a, b); break;
	default: elab_fail(e, loc, "number.operator", "`%s` does not take complex numbers", op_text[op]);
	}
	return (Val){.kind = V_COMPLEX, .u.c = {creal(r), cimag(r)}};
}

static bool is_int(Val v)
{
	return v.kind == V_INT || v.kind == V_BOOL;
}

static Dim need_dim(Elab *e, Dim d, Loc loc)
{
	if (!d) elab_fail(e, loc, "dim.overflow", "a dimension expression has coefficients beyond 64 bits");
	return d;
}

/* A dimension with an integer or dimension; false where the result is no polynomial (then it is computed at run time). */
static bool dim_binary(Elab *e, BinOp op, Val a, Val b, Loc loc, Val *out)
{
	DimCtx *c = e->m->dims;
	int64_t n;
	Dim x = a.kind == V_DIM ? a.u.dim : dim_int(c, as_int(a)), y = b.kind == V_DIM ? b.u.dim : dim_int(c, as_int(b));
	bool by_const = dim_is_const(y, &n);
	switch (op) {
	case B_ADD: return *out = val_dim(e, need_dim(e, dim_add(c, x, y), loc)), true;
	case B_SUB: return *out = val_dim(e, need_dim(e, dim_sub(c, x, y), loc)), true;
	case B_MUL: return *out = val_dim(e, need_dim(e, dim_mul(c, x, y), loc)), true;
	case B_FLOORDIV:
	case B_MOD:
		if (by_const && n == 0) elab_fail(e, loc, "number.zero_division", "division of the dimension %s by zero", dim_str(e->arena, x));
		if (!(by_const ? n > 0 : dim_provable_less(e->facts, dim_int(c, 0), y))) return false;
		*out = val_dim(e, need_dim(e, op == B_MOD ? dim_mod(c, e->facts, x, y) : dim_floordiv(c, e->facts, x, y), loc));
		return true;
	case B_SHR:
		if (!by_const || n < 0 || n > 62) return false;
		*out = val_dim(e, need_dim(e, dim_floordiv(c, e->facts, x, dim_int(c, (int64_t)1 << n)), loc));
		return true;
	case B_SHL:
		if (!by_const || n < 0 || n > 62) return false;
		*out = val_dim(e, need_dim(e, dim_mul(c, x, dim_int(c, (int64_t)1 << n)), loc));
		return true;
	case B_POW: {
		if (!by_const || n < 0 || n > 8) return false;
		Dim r = dim_int(c, 1);
		for (int i = 0; i < n; i++) r = need_dim(e, dim_mul(c, r, x), loc);
		return *out = val_dim(e, r), true;
	}
	default: return false;
	}
}

static Val join_items(Elab *e, Val a, Val b)
{
	int n = a.u.items->n + b.u.items->n;
	Val *v = NEW_ARRAY(e->arena, Val, n);
	memcpy(v, a.u.items->at, sizeof(Val) * (size_t)a.u.items->n);
	memcpy(v + a.u.items->n, b.u.items->at, sizeof(Val) * (size_t)b.u.items->n);
	return val_tuple(e, v, n);
}

bool number_binary(Elab *e, BinOp op, Val a, Val b, Loc loc, Val *out)
{
	if (a.kind == V_STR && b.kind == V_STR && op == B_ADD) {
		char *s = arena_alloc(e->arena, a.u.str.n + b.u.str.n + 1);
		memcpy(s, a.u.str.at, a.u.str.n);
		memcpy(s + a.u.str.n, b.u.str.at, b.u.str.n);
		*out = (Val){.kind = V_STR};
		out->u.str.at = s, out->u.str.n = a.u.str.n + b.u.str.n;
		return true;
	}
	if (a.kind == V_TUPLE && b.kind == V_TUPLE && op == B_ADD) return *out = join_items(e, a, b), true;
	if ((a.kind == V_DIM && (b.kind == V_DIM || is_int(b))) || (b.kind == V_DIM && is_int(a))) return dim_binary(e, op, a, b, loc, out);
	if (!val_is_number(a) || !val_is_number(b)) return false;
	if (op == B_MATMUL) return false;
	if (a.kind == V_COMPLEX || b.kind == V_COMPLEX) *out = complex_binary(e, op, a, b, loc);
	else if (a.kind == V_BOOL && b.kind == V_BOOL && (op == B_BITAND || op == B_BITOR || op == B_BITXOR))
		*out = val_bool(op == B_BITAND ? a.u.b & b.u.b : op == B_BITOR ? a.u.b | b.u.b : a.u.b ^ b.u.b);
	else if (is_int(a) && is_int(b)) *out = int_binary(e, op, as_int(a), as_int(b), loc);
	else *out = float_binary(e, op, as_double(a), as_double(b), loc);
	return true;
}

/* --- comparison ----------------------------------------------------------------------------------------------------------- */

int elab_dim_compare(Elab *e, CmpOp op, Dim a, Dim b)
{
	const DimFacts *f = e->facts;
	switch (op) {
	case C_LT: return dim_provable_less(f, a, b) ? 1 : dim_provable_nonneg(f, dim_sub(e->m->dims, a, b)) ? 0 : -1;
	case C_GE: return dim_provable_nonneg(f, dim_sub(e->m->dims, a, b)) ? 1 : dim_provable_less(f, a, b) ? 0 : -1;
	case C_GT: return elab_dim_compare(e, C_LT, b, a);
	case C_LE: return elab_dim_compare(e, C_GE, b, a);
	case C_EQ: return dim_provable_equal(f, a, b) ? 1 : dim_provable_less(f, a, b) || dim_provable_less(f, b, a) ? 0 : -1;
	case C_NE: {
		int r = elab_dim_compare(e, C_EQ, a, b);
		return r < 0 ? -1 : !r;
	}
	default: return -1;
	}
}

static bool compare_doubles(CmpOp op, double a, double b)
{
	switch (op) {
	case C_LT: return a < b;
	case C_GT: return a > b;
	case C_LE: return a <= b;
	case C_GE: return a >= b;
	case C_EQ: return a == b;
	default: return a != b;
	}
}

static bool compare_ints(CmpOp op, int64_t a, int64_t b)
{
	return op == C_LT ? a < b : op == C_GT ? a > b : op == C_LE ? a <= b : op == C_GE ? a >= b : op == C_EQ ? a == b : a != b;
}

static bool contains(Elab *e, Val item, Val in, Loc loc)
{
	if (in.kind == V_STR) {
		if (item.kind != V_STR) elab_fail(e, loc, "compare.in", "`in` a string takes a string on its left, not %s", val_describe(e, item));
		if (item.u.str.n == 0) return true;
		return memmem(in.u.str.at, in.u.str.n, item.u.str.at, item.u.str.n) != NULL;
	}
	if (in.kind == V_RECORD) {
		return item.kind == V_STR && items_find(in.u.items, arena_strndup(e->arena, item.u.str.at, item.u.str.n)) >= 0;
	}
	if (in.kind == V_TUPLE || in.kind == V_LIST) {
		for (int i = 0; i < in.u.items->n; i++) {
			if (val_equal(e, item, in.u.items->at[i])) return true;
		}
		return false;
	}
	elab_fail(e, loc, "compare.in", "`in` takes a string, tuple, list or record on its right, not %s", val_describe(e, in));
}

static bool is_builtin(Val v, const char *name)
{
	return v.kind == V_BUILTIN && !strcmp(v.u.builtin->name, name);
}

/* `x is none`, `k is tuple`, `m is nn.Linear`, `m is Net`, `x is tensor`, identity of functions. `tuple list record` are names on the right
 * of `is` only (elab_expr.c makes strings of them). */
static bool is_a(Elab *e, Val a, Val b, Loc loc)
{
	if (b.kind == V_STR) {
		const char *w = b.u.str.at;
		if (a.kind == V_STR) return val_same(a, b);
		if (!strcmp(w, "tuple")) return a.kind == V_TUPLE;
		if (!strcmp(w, "list")) return a.kind == V_LIST;
		if (!strcmp(w, "record")) return a.kind == V_RECORD;
		if (!strcmp(w, "tensor")) return a.kind == V_TENSOR;
		if (!strcmp(w, "function")) return elab_is_callable(a);
		return false;
	}
	if (b.kind == V_NONE) return a.kind == V_NONE;
	if (is_builtin(b, "int")) return a.kind == V_INT || a.kind == V_DIM;
	if (is_builtin(b, "float")) return a.kind == V_FLOAT;
	if (is_builtin(b, "str")) return a.kind == V_STR;
	if (b.kind == V_MODULE_DECL) return a.kind == V_MODULE && a.u.module->decl->decl == b.u.decl->decl;
	return val_equal(e, a, b);
}

bool number_compare(Elab *e, CmpOp op, Val a, Val b, Loc loc, bool *out)
{
	if (op == C_IS || op == C_IS_NOT) return *out = is_a(e, a, b, loc) == (op == C_IS), true;
	if (op == C_IN || op == C_NOT_IN) return *out = contains(e, a, b, loc) == (op == C_IN), true;
	if ((a.kind == V_DIM && (b.kind == V_DIM || is_int(b))) || (b.kind == V_DIM && is_int(a))) {
		Dim x = a.kind == V_DIM ? a.u.dim : dim_int(e->m->dims, as_int(a)), y = b.kind == V_DIM ? b.u.dim : dim_int(e->m->dims, as_int(b));
		int r = elab_dim_compare(e, op, x, y);
		if (r >= 0) *out = r;
		return r >= 0;
	}
	if (val_is_number(a) && val_is_number(b) && a.kind != V_COMPLEX && b.kind != V_COMPLEX) {
		*out = is_int(a) && is_int(b) ? compare_ints(op, as_int(a), as_int(b)) : compare_doubles(op, as_double(a), as_double(b));
		return true;
	}
	if (a.kind == V_STR && b.kind == V_STR) {
		size_t n = a.u.str.n < b.u.str.n ? a.u.str.n : b.u.str.n;
		int c = memcmp(a.u.str.at, b.u.str.at, n);
		if (!c) c = (a.u.str.n > b.u.str.n) - (a.u.str.n < b.u.str.n);
		return *out = compare_ints(op, c, 0), true;
	}
	bool tensors =
	    a.kind == V_TENSOR || b.kind == V_TENSOR || (a.kind == V_LIST && val_is_number(b)) || (b.kind == V_LIST && val_is_number(a));
	if (tensors || a.kind == V_DIM || b.kind == V_DIM) return false;
	if (op == C_EQ || op == C_NE) return *out = val_equal(e, a, b) == (op == C_EQ), true;
	elab_fail(e, loc, "compare.order", "cannot order %s and %s", val_describe(e, a), val_describe(e, b));
}

static bool equal_items(Elab *e, const Items *a, const Items *b)
{
	if (a->n != b->n || !a->name != !b->name) return false;
	for (int i = 0; i < a->n; i++) {
		if ((a->name && strcmp(a->name[i], b->name[i])) || !val_equal(e, a->at[i], b->at[i])) return false;
	}
	return true;
}

bool val_equal(Elab *e, Val a, Val b)
{
	bool r;
	if (val_is_number(a) && val_is_number(b)) {
		if (a.kind != V_COMPLEX && b.kind != V_COMPLEX) return number_compare(e, C_EQ, a, b, NO_LOC, &r) && r;
		return a.kind == b.kind && a.u.c.re == b.u.c.re && a.u.c.im == b.u.c.im;
	}
	if ((a.kind == V_DIM || a.kind == V_INT) && (b.kind == V_DIM || b.kind == V_INT)) {
		Dim x = a.kind == V_DIM ? a.u.dim : dim_int(e->m->dims, a.u.i), y = b.kind == V_DIM ? b.u.dim : dim_int(e->m->dims, b.u.i);
		return dim_provable_equal(e->facts, x, y);
	}
	bool seq_a = a.kind == V_TUPLE || a.kind == V_LIST, seq_b = b.kind == V_TUPLE || b.kind == V_LIST;
	if (seq_a && seq_b) return equal_items(e, a.u.items, b.u.items);
	if (a.kind == V_RECORD && b.kind == V_RECORD) return equal_items(e, a.u.items, b.u.items);
	if (a.kind == V_MODULE && b.kind == V_MODULE) {
		if (a.u.module->decl->decl != b.u.module->decl->decl || a.u.module->nargs != b.u.module->nargs) return false;
		for (int i = 0; i < a.u.module->nargs; i++) {
			if (!val_equal(e, a.u.module->args[i], b.u.module->args[i])) return false;
		}
		return true;
	}
	return val_same(a, b);
}

bool val_truth(Elab *e, Val v, bool *out)
{
	if (v.kind != V_BOOL) return false;
	*out = v.u.b;
	return true;
}

/* --- arguments of builtins ------------------------------------------------------------------------------------------------ */

static _Noreturn void wanted(Elab *e, Loc loc, const char *kind, const char *what, Val v)
{
	if (v.kind == V_TENSOR)
		elab_fail(e, loc, "number.run_time", "%s must be %s known while compiling; this is a tensor, %s", what, kind, val_describe(e, v));
	elab_fail(e, loc, "number.kind", "%s must be %s, not %s", what, kind, val_describe(e, v));
}

int64_t elab_int(Elab *e, Val v, Loc loc, const char *what)
{
	if (v.kind == V_INT) return v.u.i;
	wanted(e, loc, "an integer", what, v);
}

bool elab_bool(Elab *e, Val v, Loc loc, const char *what)
{
	if (v.kind == V_BOOL) return v.u.b;
	wanted(e, loc, "`true` or `false`", what, v);
}

const char *elab_str(Elab *e, Val v, Loc loc, const char *what)
{
	if (v.kind == V_STR) return arena_strndup(e->arena, v.u.str.at, v.u.str.n);
	wanted(e, loc, "a string", what, v);
}

Dim elab_dim(Elab *e, Val v, Loc loc, const char *what)
{
	if (v.kind == V_INT) return dim_int(e->m->dims, v.u.i);
	if (v.kind == V_DIM) return v.u.dim;
	if (v.kind == V_TENSOR)
		elab_fail_help(e, loc, "dim.run_time", "a size never depends on data: use a mask, `where(arange(N) < length, x, 0)`",
		               "%s must be an integer or a dimension; this is a tensor, %s", what, val_describe(e, v));
	wanted(e, loc, "an integer or a dimension", what, v);
}

DType elab_dtype(Elab *e, Val v, Loc loc, const char *what)
{
	if (v.kind == V_DTYPE) return v.u.dtype;
	wanted(e, loc, "a dtype such as `f32`", what, v);
}

Scalar val_scalar(Val v)
{
	switch (v.kind) {
	case V_BOOL: return scalar_from_int(v.u.b, DT_bool);
	case V_INT: return scalar_from_int(v.u.i, DT_i64);
	case V_FLOAT: return scalar_from_double(v.u.f, DT_f64);
	default: break;
	}
	Scalar s = {.dtype = DT_c64};
	s.v.c[0] = (float)v.u.c.re, s.v.c[1] = (float)v.u.c.im;
	return s;
}
