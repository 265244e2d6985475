/* Functions that make tensors: array, arange, zeros, ones, full and their _like forms. Sizes may be dimensions. */
#include "builtins.h"
#include <math.h>
#include <string.h>

/* --- array -------------------------------------------------------------------------------------------------------------- */
static bool all_numbers(Val v)
{
	if (!val_is_seq(v)) return val_is_number(v);
	for (int i = 0; i < v.u.items->n; i++)
		if (!all_numbers(v.u.items->at[i])) return false;
	return true;
}

/* Kinds of the numbers in v: the widest decides the dtype. */
static void widest(Val v, ValKind *k, bool *wide)
{
	if (val_is_seq(v)) {
		for (int i = 0; i < v.u.items->n; i++) widest(v.u.items->at[i], k, wide);
		return;
	}
	if (v.kind > *k) *k = v.kind; /* V_BOOL < V_INT < V_FLOAT < V_COMPLEX */
	if (v.kind == V_INT && (v.u.i > INT32_MAX || v.u.i < INT32_MIN)) *wide = true;
}

static void nested_shape(Elab *e, Val v, Loc loc, int *rank, int64_t *shape)
{
	for (*rank = 0; val_is_seq(v); v = v.u.items->at[0]) {
		if (*rank == MAX_RANK) elab_fail(e, loc, "array.rank", "lists are nested more than %d deep", MAX_RANK);
		shape[(*rank)++] = v.u.items->n;
		if (v.u.items->n == 0) return;
	}
}

typedef struct Fill {
	Elab *e;
	Tensor *t;
	int64_t next;
	Loc loc;
} Fill;

static Scalar number_as(Val v, DType d)
{
	switch (v.kind) {
	case V_BOOL: return scalar_from_int(v.u.b, d);
	case V_INT: return scalar_from_int(v.u.i, d);
	case V_FLOAT: return scalar_from_double(v.u.f, d);
	default: {
		Scalar s = {.dtype = DT_c64};
		s.v.c[0] = (float)v.u.c.re;
		s.v.c[1] = (float)v.u.c.im;
		return scalar_convert(s, d);
	}
	}
}

static void fill_numbers(Fill *f, Val v, int depth)
{
	if (depth == f->t->rank && val_is_number(v)) {
		tensor_set(f->t, f->next++, number_as(v, f->t->dtype));
		return;
	}
	int n = val_is_seq(v) ? v.u.items->n : -1;
	if (depth == f->t->rank || n != f->t->shape[depth])
		elab_fail(f->e, v.loc.file ? v.loc : f->loc, "array.ragged", "the list is ragged: at depth %d %s stands where %s is expected",
		          depth, n < 0 ? "a number" : arena_printf(elab_arena(f->e), "a list of %d", n),
		          depth == f->t->rank ? "a number" : arena_printf(elab_arena(f->e), "a list of %lld", (long long)f->t->shape[depth]));
	for (int i = 0; i < n; i++) fill_numbers(f, v.u.items->at[i], depth + 1);
}

static Value *array_of_numbers(Elab *e, Val v, Loc loc)
{
	ValKind k = V_NONE;
	bool wide = false;
	int rank;
	int64_t shape[MAX_RANK];
	widest(v, &k, &wide);
	nested_shape(e, v, loc, &rank, shape);
	DType d = k == V_NONE || k == V_FLOAT ? DT_f32 : k == V_BOOL ? DT_bool : k == V_INT ? (wide ? DT_i64 : DT_i32) : DT_c64;
	Fill f = {e, tensor_new(elab_arena(e), d, rank, shape), 0, loc};
	fill_numbers(&f, v, 0);
	return ir_const(elab_builder(e), f.t);
}

static Value *array_of(Elab *e, Val v, Loc loc);

/* A list with tensors or dimensions in it: the rows brought to one dtype and stacked. */
static Value *array_of_rows(Elab *e, Val v, Loc loc)
{
	Builder *b = elab_builder(e);
	int n = v.u.items->n;
	Val *row = NEW_ARRAY(elab_arena(e), Val, n);
	for (int i = 0; i < n; i++) {
		Val item = v.u.items->at[i];
		row[i] = val_is_seq(item) ? val_tensor(array_of(e, item, loc)) : item;
	}
	DType d = elab_result_dtype(e, row, n, loc);
	Value **x = NEW_ARRAY(elab_arena(e), Value *, n);
	const Type *first = NULL;
	for (int i = 0; i < n; i++) {
		x[i] = ir_convert(b, elab_tensor(e, row[i], &d, loc, "an element of the list"), d);
		const Type *t = x[i]->type;
		if (!first) first = t;
		if (t->rank != first->rank)
			elab_fail(e, loc, "array.ragged", "the list is ragged: element 0 is %s, element %d is %s", type_text(e, first), i,
			          type_text(e, t));
		for (int k = 0; k < t->rank; k++) elab_require_equal(e, first->dim[k], t->dim[k], loc, "array.ragged", "elements of the list");
		x[i] = ir_lift(b, x[i], dim_const(e, 1));
	}
	return ir_concat(b, x, n, 0);
}

static Value *array_of(Elab *e, Val v, Loc loc)
{
	if (!val_is_seq(v)) return elab_tensor(e, v, NULL, loc, "array");
	return all_numbers(v) ? array_of_numbers(e, v, loc) : array_of_rows(e, v, loc);
}

Value *elab_array(Elab *e, Val v, Loc loc)
{
	return array_of(e, v, loc);
}

Val builtin_array(Elab *e, const CallSite *at, Val *argv)
{
	Loc loc = arg_at(at, 0);
	if (argv[1].kind == V_NONE) return val_tensor(array_of(e, argv[0], loc));
	DType d = elab_dtype(e, argv[1], arg_at(at, 1), "the dtype of `array`");
	if (val_is_seq(argv[0]) && all_numbers(argv[0])) { /* straight into d: no detour over f32 */
		Fill f = {e, NULL, 0, loc};
		int rank;
		int64_t shape[MAX_RANK];
		nested_shape(e, argv[0], loc, &rank, shape);
		f.t = tensor_new(elab_arena(e), d, rank, shape);
		fill_numbers(&f, argv[0], 0);
		return val_tensor(ir_const(elab_builder(e), f.t));
	}
	if (val_is_number(argv[0])) return val_tensor(ir_const(elab_builder(e), tensor_scalar(elab_arena(e), number_as(argv[0], d))));
	return val_tensor(ir_convert(elab_builder(e), array_of(e, argv[0], loc), d));
}

/* --- arange ------------------------------------------------------------------------------------------------------------- */
static double number_value(Val v)
{
	return v.kind == V_FLOAT ? v.u.f : v.kind == V_BOOL ? v.u.b : (double)v.u.i;
}

/* Compile-time bounds: MLX computes the elements in double and then converts. */
static Val arange_numbers(Elab *e, Val lo, Val hi, Val step, DType d, Loc loc)
{
	double a = number_value(lo), b = number_value(hi), s = number_value(step);
	double n = ceil((b - a) / s);
	if (!(n >= 0)) n = 0;
	if (n > 1 << 30) elab_fail(e, loc, "arange.size", "arange would have %.0f elements", n);
	Builder *bl = elab_builder(e);
	if (a == 0 && s == 1 && d != DT_bool) return val_tensor(ir_iota(bl, dim_const(e, (int64_t)n), d));
	int64_t count = (int64_t)n;
	Tensor *t = tensor_new(elab_arena(e), d, 1, &count);
	bool ints = lo.kind != V_FLOAT && step.kind != V_FLOAT;
	for (int64_t i = 0; i < count; i++)
		tensor_set(t, i, ints ? scalar_from_int((int64_t)a + i * (int64_t)s, d) : scalar_from_double(a + (double)i * s, d));
	return val_tensor(ir_const(bl, t));
}

/* Bounds that are dimensions, step a compile-time integer: start + step * iota. */
static Val arange_dims(Elab *e, Val lo, Val hi, Val step, DType d, const CallSite *at)
{
	DimCtx *c = elab_dims(e);
	Builder *b = elab_builder(e);
	Dim a = elab_dim(e, lo, at->loc, "start of `arange`"), z = elab_dim(e, hi, at->loc, "stop of `arange`");
	int64_t s = elab_int(e, step, at->loc, "step of `arange` with a dimension for a bound");
	if (s < 0) {
		Dim t = a;
		a = z, z = t;
	}
	int64_t mag = s < 0 ? -s : s;
	Dim len = dim_sub(c, z, a);
	if (!dim_provable_nonneg(elab_facts(e), len))
		elab_fail(e, at->loc, "arange.size", "arange: cannot show that the length %s is not negative; add `assert %s >= %s;`",
		          dim_str(elab_arena(e), len), dim_str(elab_arena(e), z), dim_str(elab_arena(e), a));
	Dim n = mag == 1 ? len : dim_floordiv(c, elab_facts(e), dim_add(c, len, dim_const(e, mag - 1)), dim_const(e, mag));
	DType w = dtype_is_int(d) ? d : DT_i32;
	Value *x = ir_iota(b, n, w);
	if (s != 1) x = ir_binary(b, OP_mul, x, ir_broadcast_scalar(b, ir_scalar_int(b, w, s), x->type));
	Dim first = s < 0 ? z : a;
	int64_t zero;
	if (!dim_is_const(first, &zero) || zero != 0)
		x = ir_binary(b, OP_add, x, ir_broadcast_scalar(b, ir_convert(b, ir_dimsize(b, first), w), x->type));
	return val_tensor(ir_convert(b, x, d));
}

Val builtin_arange(Elab *e, const CallSite *at, Val *argv)
{
	const Items *p = argv[0].u.items;
	if (p->n < 1 || p->n > 3)
		elab_fail(e, at->loc, "arange.args", "`arange` takes stop, or start, stop and step; %d arguments given", p->n);
	Val lo = p->n == 1 ? val_int(0) : p->at[0], hi = p->n == 1 ? p->at[0] : p->at[1], step = p->n == 3 ? p->at[2] : val_int(1);
	Val part[3] = {lo, hi, step};
	bool flt = false, sym = false;
	for (int i = 0; i < 3; i++) {
		if (part[i].kind == V_TENSOR)
			elab_fail(e, at->loc, "arange.data",
			          "a size never depends on data: bounds of `arange` are compile-time numbers or dimensions, not %s",
			          val_describe(e, part[i]));
		if (part[i].kind != V_INT && part[i].kind != V_FLOAT && part[i].kind != V_DIM)
			elab_fail(e, at->loc, "arange.args", "bounds of `arange` are numbers, not %s", val_describe(e, part[i]));
		flt = flt || part[i].kind == V_FLOAT;
		sym = sym || part[i].kind == V_DIM;
	}
	if (!sym && number_value(step) == 0) elab_fail(e, at->loc, "arange.step", "the step of `arange` is 0");
	if (sym && flt) elab_fail(e, at->loc, "arange.args", "`arange` over a dimension takes integers; write `lo + step * arange(n)`");
	DType d = argv[1].kind == V_NONE ? flt ? DT_f32 : DT_i32 : elab_dtype(e, argv[1], arg_at(at, 1), "the dtype of `arange`");
	if (d == DT_bool) elab_fail(e, at->loc, "dtype.operand", "`arange` makes numbers, not bool");
	return sym ? arange_dims(e, lo, hi, step, d, at) : arange_numbers(e, lo, hi, step, d, at->loc);
}

/* --- filled tensors ----------------------------------------------------------------------------------------------------- */
static const Type *shape_type(Elab *e, Val shape, DType d, Loc loc)
{
	Dim dims[MAX_RANK];
	int rank = elab_shape(e, shape, dims, NULL, loc);
	return type_get(elab_module(e), d, rank, dims);
}

static Val filled(Elab *e, const Type *t, double x)
{
	return val_tensor(ir_splat(elab_builder(e), t, x));
}

Val builtin_zeros(Elab *e, const CallSite *at, Val *argv)
{
	return filled(e, shape_type(e, argv[0], elab_dtype(e, argv[1], arg_at(at, 1), "dtype"), arg_at(at, 0)), 0);
}

Val builtin_ones(Elab *e, const CallSite *at, Val *argv)
{
	return filled(e, shape_type(e, argv[0], elab_dtype(e, argv[1], arg_at(at, 1), "dtype"), arg_at(at, 0)), 1);
}

/* vals broadcast to the shape, in dtype or its own. */
static Val full(Elab *e, const Dim *dims, int rank, Val vals, Val dtype, Loc loc)
{
	DType d = dtype.kind == V_NONE ? elab_result_dtype(e, &vals, 1, loc) : elab_dtype(e, dtype, loc, "dtype");
	Value *x = elab_tensor(e, vals, &d, loc, "the value of `full`");
	return val_tensor(elab_broadcast_to(e, ir_convert(elab_builder(e), x, d), rank, dims, loc));
}

/* full(shape, vals) and full(2, 3, vals): unless vals= is named, the last positional argument is the value. */
Val builtin_full(Elab *e, const CallSite *at, Val *argv)
{
	const Items *p = argv[0].u.items;
	int n = p->n;
	Val vals = argv[1];
	if (vals.kind == V_NONE && n > 1 && p->at[n - 1].kind == V_DTYPE && argv[2].kind == V_NONE) argv[2] = p->at[--n];
	if (vals.kind == V_NONE) {
		if (n < 2) elab_fail(e, at->loc, "call.missing", "`full(shape, vals, dtype=none)` lacks its argument `vals`");
		vals = p->at[--n];
	}
	Val shape = n == 1 ? p->at[0] : val_tuple(e, p->at, n);
	Dim dims[MAX_RANK];
	int rank = elab_shape(e, shape, dims, NULL, arg_at(at, 0));
	return full(e, dims, rank, vals, argv[2], at->loc);
}

static const Type *like_type(Elab *e, const CallSite *at, Val *argv, int dtype_at)
{
	Val a = argv[0], dt = argv[dtype_at];
	const Type *t;
	if (a.kind == V_TYPE) {
		const TypeVal *tv = a.u.type;
		if (tv->any_dtype || tv->dtype_var || tv->ellipsis)
			elab_fail(e, arg_at(at, 0), "type.open", "`%s` needs a type with a dtype and a shape", at->name);
		t = type_get(elab_module(e), tv->dtype, tv->rank, tv->dims);
	} else if (a.kind == V_DTYPE) {
		t = type_scalar(elab_module(e), a.u.dtype);
	} else {
		t = arg_tensor(e, at, argv, 0)->type;
	}
	return dt.kind == V_NONE ? t : type_with_dtype(elab_module(e), t, elab_dtype(e, dt, arg_at(at, dtype_at), "dtype"));
}

Val builtin_zeros_like(Elab *e, const CallSite *at, Val *argv)
{
	return filled(e, like_type(e, at, argv, 1), 0);
}

Val builtin_ones_like(Elab *e, const CallSite *at, Val *argv)
{
	return filled(e, like_type(e, at, argv, 1), 1);
}

Val builtin_full_like(Elab *e, const CallSite *at, Val *argv)
{
	const Type *t = like_type(e, at, argv, 2);
	return full(e, t->dim, t->rank, argv[1], val_dtype(t->dtype), at->loc);
}
