/* Rules of Fourier transforms and of factorisations.
 *
 * The derivative of the Cholesky factor is L phi(L^-1 dA L^-T), phi taking the lower triangle with half the diagonal (I. Murray,
 * "Differentiation of the Cholesky decomposition", 2016, eq. 8); that of LU is L tril(M, -1) and triu(M) U with M = L^-1 dA U^-1 (F. de
 * Hoog et al. 2011, as in JAX); that of a triangular solve A^-1 (dB - dA X) (M. Giles, "Collected matrix derivative results", 2008). Only
 * the triangle that the op reads has a derivative. All are linear in the tangent by ops with transpose rules, which reverse mode uses. */
#include "rules.h"

/* --- Fourier transforms: F^H is the transform with the other sign ------------------------------------------------------------------ */
BATCH(fft)
{
	out[0] = ir_emit(b, OP_fft, in, 1, rule_attrs_up(b, v), v->nattr);
}
BATCH(rfft)
{
	out[0] = ir_emit(b, OP_rfft, in, 1, rule_attrs_up(b, v), v->nattr);
}
BATCH(irfft)
{
	out[0] = ir_emit(b, OP_irfft, in, 1, rule_attrs_up(b, v), v->nattr);
}

TRANSPOSE(fft)
{
	Attr at[] = {ATTR_INT(axis, view_int(v, AT_axis)), ATTR_INT(inverse, !view_int(v, AT_inverse)), *view_attr(v, AT_norm)};
	return ir_emit(b, OP_fft, g, 1, at, 3);
}

/* x, of half a spectrum of n elements, with the elements that stand for two (all but 0 and n/2) times a factor. */
static Value *scale_doubled(Builder *b, Value *x, int axis, Dim n, double factor)
{
	Value *k = ir_iota_nd(b, type_with_dtype(b->m, x->type, DT_i32), axis);
	Value *twice = ir_binary(b, OP_add, k, k), *size = ir_broadcast_scalar(b, ir_dimsize(b, n), k->type);
	Value *single = ir_binary(b, OP_or, ir_binary(b, OP_eq, k, ir_zeros(b, k->type)), ir_binary(b, OP_eq, twice, size));
	Value *by = ir_select(b, single, ir_splat(b, x->type, 1), ir_splat(b, x->type, factor));
	return ir_binary(b, OP_mul, x, by);
}

/* irfft counts each element but 0 and n/2 twice, with its conjugate. */
TRANSPOSE(rfft)
{
	int axis = (int)view_int(v, AT_axis);
	Dim n = in_type(v, 0)->dim[axis];
	Value *x = scale_doubled(b, g[0], axis, n, 0.5);
	return ir_emit(b, OP_irfft, &x, 1, (Attr[]){ATTR_INT(axis, axis), ATTR_DIM(size, n), *view_attr(v, AT_norm)}, 3);
}
TRANSPOSE(irfft)
{
	int axis = (int)view_int(v, AT_axis);
	Value *x = ir_emit(b, OP_rfft, g, 1, (Attr[]){ATTR_INT(axis, axis), *view_attr(v, AT_norm)}, 2);
	return scale_doubled(b, x, axis, out_type(v, 0)->dim[axis], 2);
}

/* --- matrices ------------------------------------------------------------------------------------------------------------------------ */
BATCH(cholesky)
{
	rule_again_n(b, v, in, out);
}
BATCH(lu)
{
	rule_again_n(b, v, in, out);
}

static Value *swapped(Builder *b, Value *x)
{
	int64_t perm[MAX_RANK];
	int r = x->type->rank;
	for (int i = 0; i < r; i++) perm[i] = i < r - 2 ? i : 2 * r - 3 - i;
	return ir_transpose(b, x, perm);
}
static Value *product(Builder *b, Value *x, Value *y)
{
	int64_t batch[MAX_RANK], xc = x->type->rank - 1, yc = y->type->rank - 2;
	int nb = x->type->rank - 2;
	for (int i = 0; i < nb; i++) batch[i] = i;
	return ir_dot(b, x, y, &xc, &yc, 1, batch, batch, nb);
}
/* x where row - column >= by (upper: <= by), else 0. */
static Value *triangle(Builder *b, Value *x, bool upper, int by)
{
	int r = x->type->rank;
	const Type *t = type_with_dtype(b->m, x->type, DT_i32);
	Value *row = ir_iota_nd(b, t, r - 2), *column = ir_iota_nd(b, t, r - 1);
	Value *keep = ir_binary(b, upper ? OP_le : OP_ge, ir_binary(b, OP_sub, row, column), ir_splat(b, t, by));
	return ir_select(b, keep, x, ir_zeros(b, x->type));
}
static Value *solve(Builder *b, Value *a, Value *y, bool upper, bool transposed, bool unit)
{
	Attr at[] = {ATTR_INT(upper, upper), ATTR_INT(transposed, transposed), ATTR_INT(unit, unit)};
	return ir_emit(b, OP_trisolve, (Value *[]){a, y}, 2, at, 3);
}

JVP(cholesky)
{
	Value *l = v->out[0];
	Value *ds = ir_binary(b, OP_add, triangle(b, t[0], false, 0), swapped(b, triangle(b, t[0], false, 1)));
	Value *m = solve(b, l, swapped(b, solve(b, l, ds, false, false, false)), false, false, false);
	Value *phi = ir_binary(b, OP_add, triangle(b, m, false, 0), triangle(b, m, false, 1));
	dt[0] = product(b, l, ir_binary(b, OP_mul, phi, ir_splat(b, phi->type, 0.5)));
}

JVP(lu)
{
	Value *lu = v->out[0], *order = v->out[1];
	int nb = in_type(v, 0)->rank - 2;
	Dim at[MAX_RANK];
	for (int i = 0; i <= nb; i++) at[i] = order->type->dim[i];
	at[nb + 1] = d_int(b, 1);
	int64_t axis = nb;
	Value *da = ir_gather(b, t[0], ir_reshape(b, order, nb + 2, at), &axis, 1, nb, "clamp", true);
	Value *left = solve(b, lu, da, false, false, true);
	Value *m = swapped(b, solve(b, lu, swapped(b, left), true, true, false));
	Value *low = triangle(b, m, false, 1), *high = triangle(b, m, true, 0);
	Value *dl = ir_binary(b, OP_add, product(b, triangle(b, lu, false, 1), low), low);
	Value *du = product(b, high, triangle(b, lu, true, 0));
	dt[0] = ir_binary(b, OP_add, dl, du);
}

static bool flag(const OpView *v, AttrKey k)
{
	return view_int(v, k) != 0;
}

JVP(trisolve)
{
	bool upper = flag(v, AT_upper), transposed = flag(v, AT_transposed), unit = flag(v, AT_unit);
	Value *y = t[1];
	if (t[0]) {
		Value *da = triangle(b, t[0], upper, unit ? (upper ? -1 : 1) : 0);
		Value *p = product(b, transposed ? swapped(b, da) : da, v->out[0]);
		y = y ? ir_binary(b, OP_sub, y, p) : ir_unary(b, OP_neg, p);
	}
	dt[0] = solve(b, v->in[0], y, upper, transposed, unit);
}
TRANSPOSE(trisolve)
{
	return solve(b, v->in[0], g[0], flag(v, AT_upper), !flag(v, AT_transposed), flag(v, AT_unit));
}

/* One matrix for all lanes: they are more columns of it. */
BATCH(trisolve)
{
	if (isb[0]) {
		Value *full[2] = {in[0], rule_lifted(b, in[1], isb[1], n)};
		rule_again_n(b, v, full, out);
		return;
	}
	Value *x = ir_move_axis(b, in[1], 0, in[1]->type->rank - 2); /* [.., n, lanes, k] */
	int r = x->type->rank;
	Dim dims[MAX_RANK], back[MAX_RANK];
	for (int i = 0; i < r; i++) back[i] = dims[i] = x->type->dim[i];
	dims[r - 2] = d_mul(b, dims[r - 2], dims[r - 1]);
	Value *wide[2] = {in[0], ir_reshape(b, x, r - 1, dims)};
	rule_again_n(b, v, wide, out);
	out[0] = ir_move_axis(b, ir_reshape(b, out[0], r, back), r - 2, 0);
}
