/* take, take_along_axis, put_along_axis, slice, slice_update: indexing under MLX's names. */
#include "index.h"
#include <string.h>

Val builtin_take(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int axis = axis_or_flatten(e, &x, argv[2], arg_at(at, 2));
	Val idx[MAX_RANK];
	for (int i = 0; i < axis; i++) idx[i] = (Val){.kind = V_SLICE};
	idx[axis] = argv[1];
	idx[axis].loc = arg_at(at, 1);
	return elab_index(e, x, idx, axis + 1, at->loc);
}

/* x and idx brought to [others.., axis] with equal others; idx as i32 [others.., k, 1]. */
typedef struct Along {
	Value *x, *idx;
	int axis, rank;
} Along;

static Along along(Elab *e, const CallSite *at, Value *x, Value *idx, Val axis)
{
	Builder *b = elab_builder(e);
	if (!dtype_is_int(idx->type->dtype))
		elab_fail(e, arg_at(at, 1), "index.dtype", "an index is an integer, not %s", type_text(e, idx->type));
	if (axis.kind == V_NONE) idx = flatten_all(e, idx);
	int k = axis_or_flatten(e, &x, axis, at->loc), r = x->type->rank;
	if (idx->type->rank != r)
		elab_fail(e, arg_at(at, 1), "along.rank", "`%s`: indices are %s, the operand is %s; ranks differ", at->name,
		          type_text(e, idx->type), type_text(e, x->type));
	Dim xd[MAX_RANK], id[MAX_RANK + 1];
	for (int i = 0; i < r; i++) {
		int64_t one;
		Dim p = x->type->dim[i], q = idx->type->dim[i];
		bool stretch_x = dim_is_const(p, &one) && one == 1, stretch_i = dim_is_const(q, &one) && one == 1;
		if (i != k && !stretch_x && !stretch_i && !dim_provable_equal(elab_facts(e), p, q))
			elab_fail(e, arg_at(at, 1), "along.size", "`%s`: indices are %s, the operand is %s; axis %d differs: %s and %s", at->name,
			          type_text(e, idx->type), type_text(e, x->type), i, dim_str(elab_arena(e), q), dim_str(elab_arena(e), p));
		xd[i] = i == k || !stretch_x ? p : q;
		id[i] = i == k || !stretch_i ? q : p;
	}
	x = ir_move_axis(b, elab_broadcast_to(e, x, r, xd, at->loc), k, r - 1);
	idx = ir_move_axis(b, elab_broadcast_to(e, index_wrap(e, idx, x->type->dim[r - 1], at->loc), r, id, at->loc), k, r - 1);
	memcpy(id, idx->type->dim, sizeof(Dim) * (size_t)r);
	id[r] = dim_const(e, 1);
	if (r + 1 > MAX_RANK) elab_fail(e, at->loc, "rank.limit", "`%s` on more than %d axes", at->name, MAX_RANK - 1);
	return (Along){x, ir_reshape(b, idx, r + 1, id), k, r};
}

Val builtin_take_along_axis(Elab *e, const CallSite *at, Val *argv)
{
	Along a = along(e, at, arg_tensor(e, at, argv, 0), arg_tensor(e, at, argv, 1), argv[2]);
	index_require_elements(e, a.x->type->dim[a.rank - 1]);
	Value *r = ir_gather(elab_builder(e), a.x, a.idx, &(int64_t){a.rank - 1}, 1, a.rank - 1, "clamp", false);
	return val_tensor(ir_move_axis(elab_builder(e), r, a.rank - 1, a.axis));
}

Val builtin_put_along_axis(Elab *e, const CallSite *at, Val *argv)
{
	Builder *b = elab_builder(e);
	Value *x = arg_tensor(e, at, argv, 0);
	DType d = x->type->dtype;
	Along a = along(e, at, x, arg_tensor(e, at, argv, 1), argv[3]);
	Value *v = ir_convert(b, elab_tensor(e, argv[2], &d, arg_at(at, 2), "the values of `put_along_axis`"), d);
	/* The values have the shape of the indices, in the operand's order of axes. */
	Dim dims[MAX_RANK];
	for (int i = 0, k = 0; i < a.rank; i++) dims[i] = i == a.axis ? a.idx->type->dim[a.rank - 1] : a.idx->type->dim[k++];
	if (argv[3].kind == V_NONE && v->type->rank > 1) v = flatten_all(e, v);
	v = ir_move_axis(b, elab_broadcast_to(e, v, a.rank, dims, arg_at(at, 2)), a.axis, a.rank - 1);
	Value *r = ir_scatter(b, a.x, a.idx, v, &(int64_t){a.rank - 1}, 1, a.rank - 1, "drop", "set", false);
	r = ir_move_axis(b, r, a.rank - 1, a.axis);
	return val_tensor(ir_reshape(b, r, x->type->rank, x->type->dim));
}

/* The starts of slice and slice_update: an integer, a list of them, or a vector tensor; one for each of axes. */
static int read_starts(Elab *e, const CallSite *at, Value *x, Val starts, Val axes, int start_arg, int64_t *ax, Value **start)
{
	Builder *b = elab_builder(e);
	int n = elab_axes(e, axes, x->type->rank, ax, arg_at(at, start_arg + 1));
	Value *v = elab_tensor(e, val_is_seq(starts) ? (Val){.kind = V_LIST, .u.items = starts.u.items} : starts, NULL, arg_at(at, start_arg),
	                       "start_indices");
	int64_t k;
	if (!dtype_is_int(v->type->dtype))
		elab_fail(e, arg_at(at, start_arg), "index.dtype", "start_indices are integers, not %s", type_text(e, v->type));
	if (v->type->rank > 1 || (v->type->rank == 1 && (!dim_is_const(v->type->dim[0], &k) || k != n)) || (v->type->rank == 0 && n != 1))
		elab_fail(e, arg_at(at, start_arg), "slice.starts", "`%s` on %d axes takes as many start_indices, not %s", at->name, n,
		          type_text(e, v->type));
	v = ir_convert(b, v, DT_i32);
	for (int i = 0; i < n; i++) {
		Value *s = v->type->rank ? ir_reshape(b, ir_slice_axis(b, v, 0, dim_const(e, i), dim_const(e, i + 1), 1), 0, NULL) : v;
		start[i] = index_wrap(e, s, x->type->dim[ax[i]], at->loc);
	}
	return n;
}

static void require_fits(Elab *e, const CallSite *at, Value *x, int axis, Dim size)
{
	if (!dim_provable_nonneg(elab_facts(e), dim_sub(elab_dims(e), x->type->dim[axis], size)))
		elab_fail(e, at->loc, "slice.size", "`%s`: a slice of size %s does not fit axis %d of %s", at->name, dim_str(elab_arena(e), size),
		          axis, type_text(e, x->type));
}

Val builtin_slice(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0), *start[MAX_RANK];
	int64_t ax[MAX_RANK];
	Dim size[MAX_RANK], picked[MAX_RANK], zero[MAX_RANK];
	int n = read_starts(e, at, x, argv[1], argv[2], 1, ax, start), r = elab_shape(e, argv[3], size, NULL, arg_at(at, 3));
	if (r != x->type->rank)
		elab_fail(e, arg_at(at, 3), "slice.size", "slice_size has %d entries for the %d axes of %s", r, x->type->rank,
		          type_text(e, x->type));
	for (int i = 0; i < r; i++) require_fits(e, at, x, i, size[i]), zero[i] = dim_const(e, 0), picked[i] = size[i];
	for (int i = 0; i < n; i++) picked[ax[i]] = x->type->dim[ax[i]];
	x = ir_slice(elab_builder(e), x, zero, picked, NULL);
	for (int i = 0; i < n; i++) picked[i] = size[ax[i]];
	return val_tensor(n ? ir_dslice(elab_builder(e), x, ax, picked, start, n) : x);
}

Val builtin_slice_update(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0), *start[MAX_RANK];
	int64_t ax[MAX_RANK];
	Builder *b = elab_builder(e);
	Value *v = ir_convert(b, arg_tensor(e, at, argv, 1), x->type->dtype);
	if (v->type->rank != x->type->rank)
		elab_fail(e, arg_at(at, 1), "slice.rank", "slice_update: the update is %s, the operand %s; ranks differ", type_text(e, v->type),
		          type_text(e, x->type));
	int n = read_starts(e, at, x, argv[2], argv[3], 2, ax, start);
	bool named[MAX_RANK] = {false};
	for (int i = 0; i < n; i++) named[ax[i]] = true;
	for (int i = 0; i < x->type->rank; i++) { /* the other axes start at 0 */
		require_fits(e, at, x, i, v->type->dim[i]);
		if (named[i] || v->type->dim[i] == x->type->dim[i]) continue;
		ax[n] = i;
		start[n++] = ir_scalar_int(b, DT_i32, 0);
	}
	for (int i = 1; i < n; i++) /* axes ascending */
		for (int k = i; k > 0 && ax[k] < ax[k - 1]; k--) {
			int64_t t = ax[k];
			ax[k] = ax[k - 1], ax[k - 1] = t;
			Value *s = start[k];
			start[k] = start[k - 1], start[k - 1] = s;
		}
	return val_tensor(n ? ir_dupdate(b, x, v, ax, start, n, "set") : v);
}
