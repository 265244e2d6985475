/* Rules of running reductions, sort and topk. The derivative of every non-linear scan is the linear recurrence `linrec`. */
#include "rules.h"
#include <math.h>

#define BATCH_UP(name)                                                                                                                     \
	BATCH(name)                                                                                                                            \
	{                                                                                                                                      \
		ir_emit_n(b, v->code, in, v->nin, rule_attrs_up(b, v), v->nattr, out, v->nout);                                                    \
	}

BATCH_UP(cumsum)
BATCH_UP(cumprod)
BATCH_UP(cummax)
BATCH_UP(cummin)
BATCH_UP(cumlogsumexp)
BATCH_UP(sort)
BATCH_UP(topk)
BATCH(linrec)
{
	Value *full[2] = {rule_lifted(b, in[0], isb[0], n), rule_lifted(b, in[1], isb[1], n)};
	out[0] = ir_emit(b, OP_linrec, full, 2, rule_attrs_up(b, v), v->nattr);
}

static bool reversed(const OpView *v)
{
	return view_int(v, AT_reverse) != 0;
}
/* Steps from an element to the one that the scan visited before it. */
static int from_previous(const OpView *v)
{
	return reversed(v) ? -1 : 1;
}
static Value *linrec(Builder *b, Value *a, Value *x, int axis, bool reverse)
{
	return ir_emit(b, OP_linrec, (Value *[]){a, x}, 2, (Attr[]){ATTR_INT(axis, axis), ATTR_INT(reverse, reverse)}, 2);
}

TRANSPOSE(cumsum)
{
	Attr at[] = {ATTR_INT(axis, view_int(v, AT_axis)), ATTR_INT(reverse, !reversed(v)), ATTR_INT(exclusive, view_int(v, AT_exclusive))};
	return ir_emit(b, OP_cumsum, g, 1, at, 3);
}

/* h[i] = a[i] h[i-1] + b[i]: with b* = sum over later steps, c[i] = conj(a[i+1]) c[i+1] + g[i]. */
TRANSPOSE(linrec)
{
	int axis = (int)view_int(v, AT_axis);
	Value *next = rule_shift(b, rule_conj(b, v->in[0]), axis, -from_previous(v), 0);
	return linrec(b, next, g[0], axis, !reversed(v));
}
JVP(linrec)
{
	int axis = (int)view_int(v, AT_axis);
	Value *s = t[1];
	if (t[0]) s = rule_add(b, ir_binary(b, OP_mul, t[0], rule_shift(b, v->out[0], axis, from_previous(v), 0)), s);
	dt[0] = linrec(b, v->in[0], s, axis, reversed(v));
}

/* y[i] = x[i] y[i-1]. An exclusive scan's result is y[i-1] itself. */
JVP(cumprod)
{
	int axis = (int)view_int(v, AT_axis);
	bool exclusive = view_int(v, AT_exclusive) != 0;
	Value *before = exclusive ? v->out[0] : rule_shift(b, v->out[0], axis, from_previous(v), 1);
	Value *d = linrec(b, v->in[0], ir_binary(b, OP_mul, t[0], before), axis, reversed(v));
	dt[0] = exclusive ? rule_shift(b, d, axis, from_previous(v), 0) : d;
}

/* exp(x - y), 0 where y = -inf (nothing has been added yet). */
static Value *weight(Builder *b, Value *x, Value *y)
{
	Value *empty = ir_binary(b, OP_eq, y, ir_splat(b, y->type, -INFINITY));
	return ir_select(b, empty, ir_zeros(b, y->type), ir_unary(b, OP_exp, ir_binary(b, OP_sub, x, y)));
}
JVP(cumlogsumexp)
{
	int axis = (int)view_int(v, AT_axis);
	bool exclusive = view_int(v, AT_exclusive) != 0;
	Value *x = v->in[0], *y = v->out[0], *before;
	if (exclusive) before = y, y = ir_binary(b, OP_logaddexp, before, x);
	else before = rule_shift(b, y, axis, from_previous(v), -INFINITY);
	Value *d = linrec(b, weight(b, before, y), ir_binary(b, OP_mul, weight(b, x, y), t[0]), axis, reversed(v));
	dt[0] = exclusive ? rule_shift(b, d, axis, from_previous(v), 0) : d;
}

JVP(cummax)
{
	dt[0] = rule_take_along(b, t[0], v->out[1], (int)view_int(v, AT_axis), false);
}
JVP(cummin)
{
	dt[0] = rule_take_along(b, t[0], v->out[1], (int)view_int(v, AT_axis), false);
}
JVP(sort)
{
	dt[0] = rule_take_along(b, t[0], v->out[1], (int)view_int(v, AT_axis), true);
}
JVP(topk)
{
	dt[0] = rule_take_along(b, t[0], v->out[1], (int)view_int(v, AT_axis), true);
}
