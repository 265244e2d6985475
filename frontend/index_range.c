/* What is known of run-time integers that index: their polynomials, signs and bounds.
 *
 * A wrap costs a select and a write that may be outside a scatter, so both are left out where loops tell the range: `for q in p + 1..N {
 * u[:, q] = v; }`.
 */
#include "index.h"
#include "elab_core.h"

static bool known_nonneg(Elab *e, Dim d)
{
	return d && dim_provable_nonneg(elab_facts(e), d);
}

static Dim dim_of_op(Elab *e, Value *v)
{
	DimCtx *c = elab_dims(e);
	Op *op = v->def;
	const Tensor *t = value_const(v);
	if (t) return dim_int(c, scalar_to_int(tensor_get(t, 0)));
	if (!op || v->type->rank != 0 || !dtype_is_int(v->type->dtype)) return NULL;
	switch (op->code) {
	case OP_dimsize: return op_attr(op, AT_dim)->v.dim;
	case OP_add: return dim_add(c, dim_of_value(e, op->in[0]), dim_of_value(e, op->in[1]));
	case OP_sub: return dim_sub(c, dim_of_value(e, op->in[0]), dim_of_value(e, op->in[1]));
	case OP_mul: return dim_mul(c, dim_of_value(e, op->in[0]), dim_of_value(e, op->in[1]));
	case OP_neg: return dim_scale(c, dim_of_value(e, op->in[0]), -1, 1);
	case OP_convert: return dtype_is_int(op->in[0]->type->dtype) ? dim_of_value(e, op->in[0]) : NULL;
	default: return NULL;
	}
}

Dim dim_of_value(Elab *e, Value *v)
{
	Dim d = dim_of_op(e, v);
	return d ? d : dim_value(elab_dims(e), v, v->id);
}

/* v >= 0 whatever the data: unsigned sources, loop counters, constants, sums and products of those. */
static bool value_nonneg(Elab *e, const Value *v, int depth)
{
	const Op *op = v->def;
	if (!dtype_is_signed(v->type->dtype)) return true;
	if (!op) return v->block->kind == BLOCK_LOOP && v->index == 0;
	if (depth == 0) return false;
	switch (op->code) {
	case OP_const: {
		const Tensor *t = value_const(v);
		int64_t n = tensor_size(t);
		for (int64_t i = 0; i < n; i++)
			if (scalar_to_int(tensor_get(t, i)) < 0) return false;
		return true;
	}
	case OP_iota: return true;
	case OP_dimsize: return dim_provable_nonneg(elab_facts(e), op_attr(op, AT_dim)->v.dim);
	case OP_add:
	case OP_mul:
	case OP_minimum:
	case OP_and: return value_nonneg(e, op->in[0], depth - 1) && value_nonneg(e, op->in[1], depth - 1);
	case OP_maximum: return value_nonneg(e, op->in[0], depth - 1) || value_nonneg(e, op->in[1], depth - 1);
	case OP_rem: return value_nonneg(e, op->in[1], depth - 1);
	case OP_convert:
		return dtype_bytes(op->in[0]->type->dtype) <= 4 && dtype_is_int(op->in[0]->type->dtype) && value_nonneg(e, op->in[0], depth - 1);
	case OP_broadcast:
	case OP_reshape:
	case OP_slice:
	case OP_dslice:
	case OP_transpose: return value_nonneg(e, op->in[0], depth - 1);
	case OP_sort:
	case OP_topk: return v->index == 1;
	default: return false;
	}
}

/* --- bounds ------------------------------------------------------------------------------------------------------------- */
/* Indices of the k + 1 innermost open loops are replaced by their ends, outer ones stay what they are: so p cancels in q = p + 1 + j where
 * the inner loop has N - p - 1 steps. Other values stand for themselves. */
typedef struct Range {
	Dim lo, hi;
} Range;

static Range value_range(Elab *e, Value *v, int k);

static Value *without_clamp(Value *limit)
{
	const Op *op = limit->def;
	double zero;
	bool clamp = op && (op->code == OP_maximum || op->code == OP_minimum);
	if (!clamp) return limit;
	if (op->code == OP_maximum && value_const_scalar(op->in[1], &zero) && zero == 0) return without_clamp(op->in[0]);
	if (op->code == OP_maximum && value_const_scalar(op->in[0], &zero) && zero == 0) return without_clamp(op->in[1]);
	return limit;
}

/* The last step of a loop that takes one. */
static Dim last_step(Elab *e, const LoopIndex *l, int k)
{
	DimCtx *c = elab_dims(e);
	Dim n = l->limit ? value_range(e, without_clamp(l->limit), k).hi : l->trips;
	return dim_sub(c, n, dim_const(e, 1));
}

static Range atom(Elab *e, Value *v)
{
	Dim d = dim_of_value(e, v);
	return (Range){d, d};
}

static Range leaf_range(Elab *e, Value *v, int k)
{
	int depth = 0;
	for (const LoopIndex *l = e->loop_indices; l && depth <= k; l = l->next, depth++)
		if (l->index == v) return (Range){dim_const(e, 0), last_step(e, l, k)};
	return atom(e, v);
}

static Range product_range(Elab *e, Range a, Range b)
{
	DimCtx *c = elab_dims(e);
	bool positive = known_nonneg(e, a.lo) && known_nonneg(e, b.lo);
	return positive ? (Range){dim_mul(c, a.lo, b.lo), dim_mul(c, a.hi, b.hi)} : (Range){NULL, NULL};
}

static Range value_range(Elab *e, Value *v, int k)
{
	DimCtx *c = elab_dims(e);
	const Op *op = v->def;
	double m;
	if (!op) return leaf_range(e, v, k);
	switch (op->code) {
	case OP_convert: return dtype_is_int(op->in[0]->type->dtype) ? value_range(e, op->in[0], k) : atom(e, v);
	case OP_argmax:
	case OP_argmin: return (Range){dim_const(e, 0), dim_sub(c, op->in[0]->type->dim[op_int(op, AT_axis, 0)], dim_const(e, 1))};
	case OP_rem:
		if (value_const_scalar(op->in[1], &m) && m >= 1) return (Range){dim_const(e, 0), dim_const(e, (int64_t)m - 1)};
		return atom(e, v);
	case OP_add:
	case OP_sub:
	case OP_mul: break;
	default: return atom(e, v);
	}
	Range a = value_range(e, op->in[0], k), b = value_range(e, op->in[1], k);
	if (op->code == OP_add) return (Range){dim_add(c, a.lo, b.lo), dim_add(c, a.hi, b.hi)};
	if (op->code == OP_sub) return (Range){dim_sub(c, a.lo, b.hi), dim_sub(c, a.hi, b.lo)};
	return product_range(e, a, b);
}

bool index_in_range(Elab *e, Value *idx, Dim n)
{
	int loops = 1;
	for (const LoopIndex *l = e->loop_indices; l; l = l->next) loops++;
	for (int k = -1; k < loops; k++) {
		Range r = value_range(e, idx, k);
		bool low = known_nonneg(e, r.lo) || value_nonneg(e, idx, 8);
		if (low && r.hi && known_nonneg(e, dim_sub(elab_dims(e), dim_sub(elab_dims(e), n, r.hi), dim_const(e, 1)))) return true;
	}
	return false;
}

Value *index_wrap(Elab *e, Value *idx, Dim n, Loc loc)
{
	Builder *b = elab_builder(e);
	bool known = value_nonneg(e, idx, 8) || (idx->type->rank == 0 && known_nonneg(e, dim_of_value(e, idx)));
	idx = ir_convert(b, idx, DT_i32);
	if (known) return idx;
	Value *zero = ir_broadcast_scalar(b, ir_scalar_int(b, DT_i32, 0), idx->type);
	Value *size = ir_broadcast_scalar(b, ir_dimsize(b, n), idx->type);
	return ir_select(b, ir_binary(b, OP_lt, idx, zero), ir_binary(b, OP_add, idx, size), idx);
}
