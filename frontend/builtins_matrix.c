/* The primitives under std/fft.mx and std/linalg.mx: one transform along an axis, one factorisation, one triangular solve. */
#include "builtins.h"
#include <string.h>

/* --- Fourier transforms -----------------------------------------------------------------------------------------------------------------
 */
/* x with n elements along axis: cut, or followed by zeros; both where it is not known which. */
static Value *resize(Elab *e, Value *x, int axis, Dim n)
{
	Builder *b = elab_builder(e);
	const DimFacts *f = elab_facts(e);
	Dim have = x->type->dim[axis], zero = dim_const(e, 0);
	if (dim_provable_equal(f, have, n)) return x;
	if (!dim_provable_nonneg(f, dim_sub(elab_dims(e), have, n))) {
		bool grows = dim_provable_nonneg(f, dim_sub(elab_dims(e), n, have));
		Dim dims[MAX_RANK];
		memcpy(dims, x->type->dim, sizeof(Dim) * (size_t)x->type->rank);
		dims[axis] = grows ? dim_sub(elab_dims(e), n, have) : n;
		Value *both[2] = {x, ir_zeros(b, type_get(elab_module(e), x->type->dtype, x->type->rank, dims))};
		x = ir_concat(b, both, 2, axis);
		if (grows) return x;
	}
	return ir_slice_axis(b, x, axis, zero, n, 1);
}

/* The factor of an op's results under MLX's name of a norm. */
static const char *norm_of(Elab *e, const CallSite *at, Val v, int arg, bool inverse)
{
	static const char *const names[] = {"backward", "ortho", "forward"};
	int k = elab_choice(e, v, names, 3, arg_at(at, arg), "norm");
	if (k == 1) return "root";
	return (k == 0) == inverse ? "size" : "none";
}

/* Operand 0 in dtype d and the axis, argument 2. */
static Value *spectral_operand(Elab *e, const CallSite *at, Val *argv, DType d, int *axis)
{
	Value *x = arg_tensor(e, at, argv, 0);
	if (d == DT_f32 && x->type->dtype == DT_c64)
		elab_fail_note(e, arg_at(at, 0), "fft.real", "complex elements have a whole spectrum: fft", "a real Fourier transform of %s",
		               type_text(e, x->type));
	*axis = elab_axis(e, argv[2], x->type->rank, arg_at(at, 2));
	return ir_convert(elab_builder(e), x, d);
}

/* Argument 1: the length, at least one where it is known. */
static Dim wanted_length(Elab *e, const CallSite *at, Val *argv, Dim otherwise, const Value *x)
{
	int64_t k;
	Dim n = argv[1].kind == V_NONE ? otherwise : elab_dim(e, argv[1], arg_at(at, 1), "the length of a Fourier transform");
	if (dim_is_const(n, &k) && k < 1)
		elab_fail(e, arg_at(at, 1), "fft.length", "a Fourier transform to %lld elements, of %s", (long long)k, type_text(e, x->type));
	return n;
}

Val builtin_fft(Elab *e, const CallSite *at, Val *argv)
{
	int axis;
	bool inverse = elab_bool(e, argv[4], arg_at(at, 4), "inverse");
	Value *x = spectral_operand(e, at, argv, DT_c64, &axis);
	x = resize(e, x, axis, wanted_length(e, at, argv, x->type->dim[axis], x));
	Attr a[] = {ATTR_INT(axis, axis), ATTR_INT(inverse, inverse), ATTR_STR(norm, norm_of(e, at, argv[3], 3, inverse))};
	return val_tensor(ir_emit(elab_builder(e), OP_fft, &x, 1, a, 3));
}

Val builtin_rfft(Elab *e, const CallSite *at, Val *argv)
{
	int axis;
	Value *x = spectral_operand(e, at, argv, DT_f32, &axis);
	x = resize(e, x, axis, wanted_length(e, at, argv, x->type->dim[axis], x));
	Attr a[] = {ATTR_INT(axis, axis), ATTR_STR(norm, norm_of(e, at, argv[3], 3, false))};
	return val_tensor(ir_emit(elab_builder(e), OP_rfft, &x, 1, a, 2));
}

Val builtin_irfft(Elab *e, const CallSite *at, Val *argv)
{
	int axis;
	DimCtx *c = elab_dims(e);
	Value *x = spectral_operand(e, at, argv, DT_c64, &axis);
	Dim n = wanted_length(e, at, argv, dim_scale(c, dim_sub(c, x->type->dim[axis], dim_const(e, 1)), 2, 1), x);
	x = resize(e, x, axis, dim_add(c, dim_floordiv(c, elab_facts(e), n, dim_const(e, 2)), dim_const(e, 1)));
	Attr a[] = {ATTR_INT(axis, axis), ATTR_DIM(size, n), ATTR_STR(norm, norm_of(e, at, argv[3], 3, true))};
	return val_tensor(ir_emit(elab_builder(e), OP_irfft, &x, 1, a, 3));
}

/* --- matrices ----------------------------------------------------------------------------------------------------------------------------
 */
/* Arguments 0 (the function's name), 1: square matrices in the last two axes, f32 or f64. */
static void require_square(Elab *e, const CallSite *at, Val *argv, const Value *x)
{
	const char *name = elab_str(e, argv[0], at->loc, "name");
	const Type *t = x->type;
	if (t->dtype != DT_f32 && t->dtype != DT_f64)
		elab_fail_help(e, arg_at(at, 1), "linalg.dtype", "convert it: `.astype(f32)`", "linalg.%s takes f32 or f64, not %s", name,
		               type_text(e, t));
	if (t->rank < 2 || !dim_provable_equal(elab_facts(e), t->dim[t->rank - 1], t->dim[t->rank - 2]))
		elab_fail(e, arg_at(at, 1), "linalg.square", "linalg.%s takes square matrices [.., n, n], not %s", name, type_text(e, t));
}

Val builtin_cholesky(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 1);
	require_square(e, at, argv, x);
	return val_tensor(ir_emit(elab_builder(e), OP_cholesky, &x, 1, NULL, 0));
}

Val builtin_lu(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 1), *out[2];
	require_square(e, at, argv, x);
	ir_emit_n(elab_builder(e), OP_lu, &x, 1, NULL, 0, out, 2);
	Val both[2] = {val_tensor(out[0]), val_tensor(out[1])};
	return val_tuple(e, both, 2);
}

/* b [batch.., n, k] as columns of one matrix: [n, batch * k]; back: the way back. */
static Value *as_columns(Elab *e, Value *b, const Type *full, bool back)
{
	Builder *g = elab_builder(e);
	int r = full->rank;
	int64_t perm[MAX_RANK], inverse[MAX_RANK];
	Dim dims[MAX_RANK], wide[2] = {full->dim[r - 2], dim_const(e, 1)};
	perm[0] = r - 2, perm[r - 1] = r - 1;
	for (int i = 1; i < r - 1; i++) perm[i] = i - 1;
	for (int i = 0; i < r; i++) {
		inverse[perm[i]] = i, dims[i] = full->dim[perm[i]];
		if (i) wide[1] = dim_mul(elab_dims(e), wide[1], dims[i]);
	}
	return back ? ir_transpose(g, ir_reshape(g, b, r, dims), inverse) : ir_reshape(g, ir_transpose(g, b, perm), 2, wide);
}

/* Arguments: name, a, b, upper, transposed, unit. b may be a vector; leading axes are repeated as those of `@`. */
Val builtin_trisolve(Elab *e, const CallSite *at, Val *argv)
{
	Builder *g = elab_builder(e);
	DType d = elab_result_dtype(e, argv + 1, 2, at->loc);
	Value *x[2], *batch[2];
	for (int i = 0; i < 2; i++) x[i] = ir_convert(g, elab_tensor(e, argv[i + 1], &d, arg_at(at, i + 1), at->name), d);
	require_square(e, at, argv, x[0]);
	Dim n = x[0]->type->dim[x[0]->type->rank - 1], one = dim_const(e, 1), dims[MAX_RANK];
	const Type *given = x[1]->type;
	bool vector = given->rank == 1;
	if (given->rank == 0 || !dim_provable_equal(elab_facts(e), n, given->dim[vector ? 0 : given->rank - 2]))
		elab_fail(e, arg_at(at, 2), "linalg.rows", "linalg.%s of matrices %s takes right sides of %s rows, not %s",
		          elab_str(e, argv[0], at->loc, "name"), type_text(e, x[0]->type), dim_str(elab_arena(e), n), type_text(e, given));
	if (vector) x[1] = ir_reshape(g, x[1], 2, (Dim[]){n, one});
	Attr a[] = {ATTR_INT(upper, elab_bool(e, argv[3], arg_at(at, 3), "upper")),
	            ATTR_INT(transposed, elab_bool(e, argv[4], arg_at(at, 4), "transposed")),
	            ATTR_INT(unit, elab_bool(e, argv[5], arg_at(at, 5), "unit"))};
	const Type *full = x[1]->type;
	Value *y;
	if (x[0]->type->rank == 2 && full->rank > 2) {
		x[1] = as_columns(e, x[1], full, false);
		y = as_columns(e, ir_emit(g, OP_trisolve, x, 2, a, 3), full, true);
	} else {
		int nb;
		for (int i = 0; i < 2; i++) batch[i] = ir_zeros(g, type_get(elab_module(e), DT_bool, x[i]->type->rank - 2, x[i]->type->dim));
		elab_broadcast_shape(e, batch, 2, at->loc, "linalg.batch", "leading axes of matrices and right sides", &nb, dims);
		for (int i = 0; i < 2; i++) {
			memcpy(dims + nb, x[i]->type->dim + x[i]->type->rank - 2, sizeof(Dim) * 2);
			x[i] = elab_broadcast_to(e, x[i], nb + 2, dims, at->loc);
		}
		y = ir_emit(g, OP_trisolve, x, 2, a, 3);
	}
	return val_tensor(vector ? ir_reshape(g, y, y->type->rank - 1, y->type->dim) : y);
}
