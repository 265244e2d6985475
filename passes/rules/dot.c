/* Rules of the product of sums. Result axes: batch, free axes of the left operand, free axes of the right one. */
#include "rules.h"

typedef struct Side {
	const int64_t *contract, *batch;
	int64_t free[MAX_RANK];
	int nfree;
} Side;
typedef struct Dot {
	Side side[2];
	int nc, nb;
} Dot;

static Dot dot_of(const OpView *v)
{
	Dot d = {0};
	const Attr *c[2] = {view_attr(v, AT_lhs_contract), view_attr(v, AT_rhs_contract)};
	const Attr *n[2] = {view_attr(v, AT_lhs_batch), view_attr(v, AT_rhs_batch)};
	d.nc = c[0]->n, d.nb = n[0]->n;
	for (int s = 0; s < 2; s++) {
		Side *x = &d.side[s];
		x->contract = c[s]->v.ints, x->batch = n[s]->v.ints;
		for (int i = 0; i < in_type(v, s)->rank; i++)
			if (!has_ax(x->contract, d.nc, i) && !has_ax(x->batch, d.nb, i)) x->free[x->nfree++] = i;
	}
	return d;
}

/* Axes of operand k in the order in which a product of g and other gives them: batch, then its free ones and (in ascending order of
 * other's axis) the contracted ones; swapped: the contracted ones first. perm undoes it. Whether it is the identity. */
static bool axes_of_product(const Dot *d, const OpView *v, int k, bool swapped, int64_t *perm)
{
	const Side *x = &d->side[k], *y = &d->side[1 - k];
	int64_t at[MAX_RANK];
	int n = 0;
	bool same = true;
	for (int i = 0; i < d->nb; i++) at[n++] = x->batch[i];
	for (int i = 0; !swapped && i < x->nfree; i++) at[n++] = x->free[i];
	for (int axis = 0; axis < in_type(v, 1 - k)->rank; axis++)
		for (int i = 0; i < d->nc; i++)
			if (y->contract[i] == axis) at[n++] = x->contract[i];
	for (int i = 0; swapped && i < x->nfree; i++) at[n++] = x->free[i];
	for (int i = 0; i < n; i++) perm[at[i]] = i, same &= at[i] == i;
	return same;
}

/* g . conj(other) over other's free axes, then its axes put where operand k has them. The two are multiplied in the order that needs no
 * transpose, where there is one; else in the order left, right. */
TransposeRule transpose_dot;
Value *transpose_dot(Builder *b, const OpView *v, int k, Value *const *g)
{
	Dot d = dot_of(v);
	const Side *x = &d.side[k], *y = &d.side[1 - k];
	Value *other = rule_conj(b, v->in[1 - k]);
	int64_t gb[MAX_RANK], gy[MAX_RANK], perm[MAX_RANK];
	for (int i = 0; i < d.nb; i++) gb[i] = i;
	for (int i = 0; i < y->nfree; i++) gy[i] = d.nb + i + (k == 0 ? x->nfree : 0);
	bool swapped = k == 1;
	if (!axes_of_product(&d, v, k, swapped, perm) && axes_of_product(&d, v, k, !swapped, perm)) swapped = !swapped;
	axes_of_product(&d, v, k, swapped, perm);
	Value *r = swapped ? ir_dot(b, other, g[0], y->free, gy, y->nfree, y->batch, gb, d.nb)
	                   : ir_dot(b, g[0], other, gy, y->free, y->nfree, gb, y->batch, d.nb);
	return ir_transpose(b, r, perm);
}

BatchRule batch_dot;
void batch_dot(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	Dot d = dot_of(v);
	int64_t c[2][MAX_RANK], t[2][MAX_RANK + 1];
	bool both = isb[0] && isb[1];
	for (int s = 0; s < 2; s++) {
		if (both) t[s][0] = 0;
		for (int i = 0; i < d.nc; i++) c[s][i] = d.side[s].contract[i] + isb[s];
		for (int i = 0; i < d.nb; i++) t[s][i + both] = d.side[s].batch[i] + isb[s];
	}
	Value *r = ir_dot(b, in[0], in[1], c[0], c[1], d.nc, t[0], t[1], d.nb + both);
	/* one side only: its batch axis is a free one, the first of that side */
	if (!both) r = ir_move_axis(b, r, isb[0] ? d.nb : d.nb + d.side[0].nfree, 0);
	out[0] = r;
}
