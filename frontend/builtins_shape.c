/* Functions that move elements without arithmetic: reshape, transpose, concatenate, split, pad, flip and their kin. */
#include "builtins.h"
#include <stdlib.h>
#include <string.h>

/* --- broadcasting ------------------------------------------------------------------------------------------------------- */
/* Two dimensions that may be equal get the assert to add; two that cannot do not. */
static _Noreturn __attribute__((format(printf, 6, 7))) void fail_unequal(Elab *e, Dim a, Dim b, Loc loc, const char *label, const char *fmt,
                                                                         ...)
{
	va_list ap;
	va_start(ap, fmt);
	const char *text = arena_vprintf(elab_arena(e), fmt, ap), *as = dim_str(elab_arena(e), a), *bs = dim_str(elab_arena(e), b);
	va_end(ap);
	if (elab_dim_compare(e, C_EQ, a, b) == 0) elab_fail(e, loc, label, "%s", text);
	elab_fail_help(
	    e, loc, label,
	    arena_printf(elab_arena(e), "if they are always equal, say so at the head of the exported function: `assert %s == %s;`", as, bs),
	    "%s", text);
}

void elab_broadcast_shape(Elab *e, Value *const *x, int n, Loc loc, const char *label, const char *what, int *rank, Dim *dims)
{
	*rank = 0;
	for (int i = 0; i < n; i++)
		if (x[i]->type->rank > *rank) *rank = x[i]->type->rank;
	for (int k = 0; k < *rank; k++) {
		Dim d = dim_const(e, 1);
		for (int i = 0; i < n; i++) {
			const Type *t = x[i]->type;
			int own = k - (*rank - t->rank);
			int64_t one;
			if (own < 0 || (dim_is_const(t->dim[own], &one) && one == 1)) continue;
			if (dim_is_const(d, &one) && one == 1) d = t->dim[own];
			else if (!dim_provable_equal(elab_facts(e), d, t->dim[own]))
				fail_unequal(e, d, t->dim[own], loc, label, "%s of shapes %s and %s do not broadcast: %s and %s differ on axis %d", what,
				             shape_str(e, x[0]->type->rank, x[0]->type->dim), shape_str(e, t->rank, t->dim), dim_str(elab_arena(e), d),
				             dim_str(elab_arena(e), t->dim[own]), k - *rank);
		}
		dims[k] = d;
	}
}

Val builtin_broadcast_to(Elab *e, const CallSite *at, Val *argv)
{
	Dim dims[MAX_RANK];
	int rank = elab_shape(e, argv[1], dims, NULL, arg_at(at, 1));
	return val_tensor(elab_broadcast_to(e, arg_tensor(e, at, argv, 0), rank, dims, at->loc));
}

/* --- reshape and kin ---------------------------------------------------------------------------------------------------- */
Val builtin_reshape(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	Dim dims[MAX_RANK], total = shape_product(e, x->type->rank, x->type->dim);
	int rank = elab_shape(e, argv[1], dims, total, arg_at(at, 1));
	Dim got = shape_product(e, rank, dims);
	if (!dim_provable_equal(elab_facts(e), total, got))
		elab_fail(e, at->loc, "reshape.size", "cannot reshape %s, which has %s elements, to %s, which has %s", type_text(e, x->type),
		          dim_str(elab_arena(e), total), shape_str(e, rank, dims), dim_str(elab_arena(e), got));
	return val_tensor(ir_reshape(elab_builder(e), x, rank, dims));
}

Val builtin_flatten(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	if (x->type->rank == 0) return val_tensor(flatten_all(e, x));
	int a = elab_axis(e, argv[1], x->type->rank, arg_at(at, 1)), z = elab_axis(e, argv[2], x->type->rank, arg_at(at, 2));
	if (z < a) elab_fail(e, at->loc, "flatten.axes", "flatten: start_axis %d comes after end_axis %d", a, z);
	Dim dims[MAX_RANK];
	int n = 0;
	for (int i = 0; i < a; i++) dims[n++] = x->type->dim[i];
	dims[n++] = shape_product(e, z - a + 1, x->type->dim + a);
	for (int i = z + 1; i < x->type->rank; i++) dims[n++] = x->type->dim[i];
	return val_tensor(ir_reshape(elab_builder(e), x, n, dims));
}

Val builtin_unflatten(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int axis = elab_axis(e, argv[1], x->type->rank, arg_at(at, 1));
	Dim part[MAX_RANK], dims[2 * MAX_RANK];
	int k = elab_shape(e, argv[2], part, x->type->dim[axis], arg_at(at, 2)), n = 0;
	Dim got = shape_product(e, k, part);
	if (!dim_provable_equal(elab_facts(e), got, x->type->dim[axis]))
		elab_fail(e, at->loc, "reshape.size", "cannot unflatten axis %d of %s, which has size %s, into %s, which has %s", axis,
		          type_text(e, x->type), dim_str(elab_arena(e), x->type->dim[axis]), shape_str(e, k, part), dim_str(elab_arena(e), got));
	if (x->type->rank + k - 1 > MAX_RANK) elab_fail(e, at->loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
	for (int i = 0; i < axis; i++) dims[n++] = x->type->dim[i];
	for (int i = 0; i < k; i++) dims[n++] = part[i];
	for (int i = axis + 1; i < x->type->rank; i++) dims[n++] = x->type->dim[i];
	return val_tensor(ir_reshape(elab_builder(e), x, n, dims));
}

Val builtin_expand_dims(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int64_t axes[MAX_RANK];
	int k = elab_ints(e, argv[1], axes, MAX_RANK, arg_at(at, 1), "the axes of `expand_dims`"), rank = x->type->rank + k;
	if (rank > MAX_RANK) elab_fail(e, at->loc, "rank.limit", "the result would have more than %d axes", MAX_RANK);
	k = elab_axes(e, argv[1], rank, axes, arg_at(at, 1));
	Dim dims[MAX_RANK];
	for (int i = 0, next = 0, old = 0; i < rank; i++) {
		bool fresh = next < k && axes[next] == i;
		dims[i] = fresh ? dim_const(e, 1) : x->type->dim[old++];
		next += fresh;
	}
	return val_tensor(ir_reshape(elab_builder(e), x, rank, dims));
}

Val builtin_squeeze(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int64_t axes[MAX_RANK], one;
	bool drop[MAX_RANK] = {false};
	if (argv[1].kind == V_NONE) {
		for (int i = 0; i < x->type->rank; i++) drop[i] = dim_is_const(x->type->dim[i], &one) && one == 1;
	} else {
		int k = elab_axes(e, argv[1], x->type->rank, axes, arg_at(at, 1));
		for (int i = 0; i < k; i++) {
			if (!dim_is_const(x->type->dim[axes[i]], &one) || one != 1)
				elab_fail(e, arg_at(at, 1), "squeeze.size", "cannot squeeze axis %d of %s: its size is %s, not 1", (int)axes[i],
				          type_text(e, x->type), dim_str(elab_arena(e), x->type->dim[axes[i]]));
			drop[axes[i]] = true;
		}
	}
	Dim dims[MAX_RANK];
	int n = 0;
	for (int i = 0; i < x->type->rank; i++)
		if (!drop[i]) dims[n++] = x->type->dim[i];
	return val_tensor(ir_reshape(elab_builder(e), x, n, dims));
}

/* --- order of axes ------------------------------------------------------------------------------------------------------ */
Val builtin_transpose(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int r = x->type->rank;
	int64_t perm[MAX_RANK];
	const Items *p = argv[1].u.items;
	if (p->n == 0 || (p->n == 1 && p->at[0].kind == V_NONE)) {
		for (int i = 0; i < r; i++) perm[i] = r - 1 - i;
	} else {
		bool seen[MAX_RANK] = {false};
		if (p->n != r)
			elab_fail(e, at->loc, "transpose.axes", "`%s` needs all %d axes of %s, %d given", at->name, r, type_text(e, x->type), p->n);
		for (int i = 0; i < r; i++) {
			perm[i] = elab_axis(e, p->at[i], r, arg_at(at, 1));
			if (seen[perm[i]]) elab_fail(e, arg_at(at, 1), "transpose.axes", "axis %d is named twice", (int)perm[i]);
			seen[perm[i]] = true;
		}
	}
	return val_tensor(ir_transpose(elab_builder(e), x, perm));
}

Val builtin_swapaxes(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int a = elab_axis(e, argv[1], x->type->rank, arg_at(at, 1)), z = elab_axis(e, argv[2], x->type->rank, arg_at(at, 2));
	int64_t perm[MAX_RANK];
	for (int i = 0; i < x->type->rank; i++) perm[i] = i == a ? z : i == z ? a : i;
	return val_tensor(ir_transpose(elab_builder(e), x, perm));
}

/* One axis, or NumPy's lists of them. */
Val builtin_moveaxis(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int r = x->type->rank;
	const Val *from, *to;
	int n = val_items(e, argv[1], &from), k = val_items(e, argv[2], &to);
	if (n != k) elab_fail(e, at->loc, "moveaxis.axes", "moveaxis: %d axes to move, %d destinations", n, k);
	int64_t perm[MAX_RANK];
	bool moved[MAX_RANK] = {false}, set[MAX_RANK] = {false};
	for (int i = 0; i < n; i++) {
		int a = elab_axis(e, from[i], r, arg_at(at, 1)), z = elab_axis(e, to[i], r, arg_at(at, 2));
		if (moved[a] || set[z]) elab_fail(e, at->loc, "moveaxis.axes", "moveaxis: axis %d is named twice", moved[a] ? a : z);
		moved[a] = set[z] = true;
		perm[z] = a;
	}
	for (int i = 0, old = 0; i < r; i++) {
		if (set[i]) continue;
		while (moved[old]) old++;
		perm[i] = old++;
	}
	return val_tensor(ir_transpose(elab_builder(e), x, perm));
}

Val builtin_flip(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int64_t axes[MAX_RANK];
	int n = elab_axes(e, argv[1], x->type->rank, axes, arg_at(at, 1));
	return val_tensor(n ? ir_rev(elab_builder(e), x, axes, n) : x);
}

/* --- joining and cutting ------------------------------------------------------------------------------------------------ */
/* The operands as tensors of one dtype. */
static int joined(Elab *e, const CallSite *at, Val seq, Value ***out)
{
	if (!val_is_seq(seq))
		elab_fail(e, arg_at(at, 0), "concatenate.arrays", "`%s` takes a tuple or list of tensors, not %s", at->name, val_describe(e, seq));
	int n = seq.u.items->n;
	const Val *v = seq.u.items->at;
	if (n == 0) elab_fail(e, arg_at(at, 0), "concatenate.arrays", "`%s` of nothing", at->name);
	DType d = elab_result_dtype(e, v, n, at->loc);
	*out = NEW_ARRAY(elab_arena(e), Value *, n);
	for (int i = 0; i < n; i++) {
		Value *x = elab_tensor(e, v[i], &d, v[i].loc.file ? v[i].loc : arg_at(at, 0), at->name);
		(*out)[i] = ir_convert(elab_builder(e), x, d);
		if ((*out)[i]->type->rank != (*out)[0]->type->rank)
			elab_fail(e, at->loc, "concatenate.rank", "`%s`: operand 0 is %s and operand %d is %s; ranks differ", at->name,
			          type_text(e, (*out)[0]->type), i, type_text(e, (*out)[i]->type));
	}
	return n;
}

static void require_same_axis(Elab *e, const CallSite *at, Value *const *x, int i, int k)
{
	const Type *a = x[0]->type, *b = x[i]->type;
	if (!dim_provable_equal(elab_facts(e), a->dim[k], b->dim[k]))
		elab_fail(e, at->loc, "concatenate.axis", "`%s`: operand 0 is %s and operand %d is %s; axis %d differs: %s and %s", at->name,
		          type_text(e, a), i, type_text(e, b), k, dim_str(elab_arena(e), a->dim[k]), dim_str(elab_arena(e), b->dim[k]));
}

Val builtin_concatenate(Elab *e, const CallSite *at, Val *argv)
{
	Value **x;
	int n = joined(e, at, argv[0], &x);
	if (argv[1].kind == V_NONE) {
		for (int i = 0; i < n; i++) x[i] = flatten_all(e, x[i]);
		argv[1] = val_int(0);
	}
	if (x[0]->type->rank == 0)
		elab_fail(e, at->loc, "concatenate.rank", "`%s` needs tensors with an axis, not scalars; `stack` makes one", at->name);
	int axis = elab_axis(e, argv[1], x[0]->type->rank, arg_at(at, 1));
	for (int i = 1; i < n; i++)
		for (int k = 0; k < x[0]->type->rank; k++)
			if (k != axis) require_same_axis(e, at, x, i, k);
	return val_tensor(n == 1 ? x[0] : ir_concat(elab_builder(e), x, n, axis));
}

Val builtin_stack(Elab *e, const CallSite *at, Val *argv)
{
	Value **x;
	int n = joined(e, at, argv[0], &x);
	int axis = elab_axis(e, argv[1], x[0]->type->rank + 1, arg_at(at, 1));
	for (int i = 1; i < n; i++)
		for (int k = 0; k < x[0]->type->rank; k++) require_same_axis(e, at, x, i, k);
	for (int i = 0; i < n; i++) x[i] = ir_broadcast_new_axis(elab_builder(e), x[i], axis, dim_const(e, 1));
	return val_tensor(n == 1 ? x[0] : ir_concat(elab_builder(e), x, n, axis));
}

static Val split_equal(Elab *e, const CallSite *at, Value *x, int axis, int64_t n)
{
	Dim size = x->type->dim[axis];
	if (n <= 0) elab_fail(e, arg_at(at, 1), "split.count", "cannot split into %lld parts", (long long)n);
	Dim part = dim_div_exact(elab_dims(e), elab_facts(e), size, dim_const(e, n));
	int64_t whole;
	if (dim_is_const(size, &whole) && whole % n) part = NULL;
	if (!part)
		elab_fail(e, at->loc, "split.count", "cannot split axis %d of %s into %lld equal parts: %s does not divide by %lld", axis,
		          type_text(e, x->type), (long long)n, dim_str(elab_arena(e), size), (long long)n);
	Val *out = NEW_ARRAY(elab_arena(e), Val, n);
	for (int64_t i = 0; i < n; i++) {
		Dim lo = dim_scale(elab_dims(e), part, i, 1), hi = dim_scale(elab_dims(e), part, i + 1, 1);
		out[i] = val_tensor(ir_slice_axis(elab_builder(e), x, axis, lo, hi, 1));
	}
	return val_tuple(e, out, (int)n);
}

Val builtin_split(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int axis = elab_axis(e, argv[2], x->type->rank, arg_at(at, 2));
	if (!val_is_seq(argv[1])) return split_equal(e, at, x, axis, elab_int(e, argv[1], arg_at(at, 1), "the number of parts"));
	/* Cuts at indices, as slices would be taken. */
	const Items *p = argv[1].u.items;
	Val *out = NEW_ARRAY(elab_arena(e), Val, p->n + 1);
	Val *idx = NEW_ARRAY(elab_arena(e), Val, axis + 1);
	for (int i = 0; i < axis; i++) idx[i] = (Val){.kind = V_SLICE};
	for (int i = 0; i <= p->n; i++) {
		idx[axis] = (Val){.kind = V_SLICE, .u.range = {i ? &p->at[i - 1] : NULL, i < p->n ? &p->at[i] : NULL, NULL}};
		out[i] = elab_index(e, x, idx, axis + 1, arg_at(at, 1));
	}
	return val_tuple(e, out, p->n + 1);
}

Val builtin_unstack(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	int axis = elab_axis(e, argv[1], x->type->rank, arg_at(at, 1));
	int64_t n;
	if (!dim_is_const(x->type->dim[axis], &n))
		elab_fail(e, at->loc, "unstack.size", "cannot unstack axis %d of %s: %s is not a compile-time number", axis, type_text(e, x->type),
		          dim_str(elab_arena(e), x->type->dim[axis]));
	Val *out = NEW_ARRAY(elab_arena(e), Val, n);
	Val *idx = NEW_ARRAY(elab_arena(e), Val, axis + 1);
	for (int i = 0; i < axis; i++) idx[i] = (Val){.kind = V_SLICE};
	for (int64_t i = 0; i < n; i++) {
		idx[axis] = val_int(i);
		out[i] = elab_index(e, x, idx, axis + 1, at->loc);
	}
	return val_tuple(e, out, (int)n);
}

/* --- pad ---------------------------------------------------------------------------------------------------------------- */
/* MLX's pad_width: n, (before, after), ((before, after), ..) or a list of them with one pair for each axis or one for all. */
static void pad_widths(Elab *e, Val v, int rank, Dim *lo, Dim *hi, Loc loc)
{
	bool nested = val_is_seq(v) && v.u.items->n > 0 && val_is_seq(v.u.items->at[0]);
	if (nested && v.u.items->n != rank && v.u.items->n != 1)
		elab_fail(e, loc, "pad.width", "pad_width has %d pairs for %d axes", v.u.items->n, rank);
	for (int i = 0; i < rank; i++) {
		Val pair = nested ? v.u.items->at[v.u.items->n == 1 ? 0 : i] : v;
		const Val *at;
		int n = val_items(e, pair, &at);
		if (n != 1 && n != 2)
			elab_fail(e, loc, "pad.width", "pad_width takes a number or pairs (before, after), not %s", val_describe(e, pair));
		lo[i] = elab_dim(e, at[0], loc, "pad_width");
		hi[i] = elab_dim(e, at[n - 1], loc, "pad_width");
		int64_t a = 0;
		if ((dim_is_const(lo[i], &a) && a < 0) || (dim_is_const(hi[i], &a) && a < 0))
			elab_fail(e, loc, "pad.width", "pad_width %lld is negative; take a slice instead", (long long)a);
	}
}

/* Edge, reflect and symmetric on one axis: the border rows are slices, reversed or repeated, joined with x. */
static Value *pad_border(Elab *e, Value *x, int axis, Dim lo, Dim hi, int mode, Loc loc)
{
	Builder *b = elab_builder(e);
	DimCtx *c = elab_dims(e);
	Dim n = x->type->dim[axis], zero = dim_const(e, 0), one = dim_const(e, 1);
	Value *part[3];
	int k = 0;
	for (int side = 0; side < 2; side++) {
		Dim w = side ? hi : lo;
		if (side) part[k++] = x;
		if (w == zero) continue;
		Dim need = mode == 1 ? one : mode == 2 ? dim_add(c, w, one) : w; /* edge, reflect, symmetric */
		if (!dim_provable_nonneg(elab_facts(e), dim_sub(c, n, need)))
			elab_fail(e, loc, "pad.width", "cannot pad axis %d of %s by %s: that needs a size of at least %s", axis, type_text(e, x->type),
			          dim_str(elab_arena(e), w), dim_str(elab_arena(e), need));
		Dim from = mode == 1 ? side ? dim_sub(c, n, one) : zero : side ? dim_sub(c, n, need) : mode == 2 ? one : zero;
		Value *row = ir_slice_axis(b, x, axis, from, mode == 1 ? dim_add(c, from, one) : dim_add(c, from, w), 1);
		int64_t ax = axis;
		if (mode != 1) {
			part[k++] = ir_rev(b, row, &ax, 1);
			continue;
		}
		Dim dims[MAX_RANK];
		memcpy(dims, x->type->dim, sizeof(Dim) * (size_t)x->type->rank);
		dims[axis] = w;
		part[k++] = elab_broadcast_to(e, row, x->type->rank, dims, loc);
	}
	return k == 1 ? x : ir_concat(b, part, k, axis);
}

Val builtin_pad(Elab *e, const CallSite *at, Val *argv)
{
	static const char *const modes[] = {"constant", "edge", "reflect", "symmetric"};
	Value *x = arg_tensor(e, at, argv, 0);
	Builder *b = elab_builder(e);
	Dim lo[MAX_RANK], hi[MAX_RANK];
	pad_widths(e, argv[1], x->type->rank, lo, hi, arg_at(at, 1));
	int mode = elab_choice(e, argv[2], modes, 4, arg_at(at, 2), "pad mode");
	if (mode == 0) {
		DType d = x->type->dtype;
		Value *fill = ir_convert(b, elab_tensor(e, argv[3], &d, arg_at(at, 3), "constant_values"), d);
		if (fill->type->rank) elab_fail(e, arg_at(at, 3), "pad.value", "constant_values is a scalar, not %s", type_text(e, fill->type));
		int64_t step[MAX_RANK];
		for (int i = 0; i < x->type->rank; i++) step[i] = 1;
		return val_tensor(x->type->rank ? ir_pad(b, x, fill, lo, hi, step) : x);
	}
	for (int i = 0; i < x->type->rank; i++) x = pad_border(e, x, i, lo[i], hi[i], mode, at->loc);
	return val_tensor(x);
}

/* --- raw views ---------------------------------------------------------------------------------------------------------- */
/* The flat elements at offset + sum(index * stride): a gather with constant indices, so its derivative is right where windows overlap. */
Val builtin_as_strided(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = flatten_all(e, arg_tensor(e, at, argv, 0));
	Dim dims[MAX_RANK];
	int64_t stride[MAX_RANK], offset = elab_int(e, argv[3], arg_at(at, 3), "offset"), n, lo = offset, hi = offset;
	int rank;
	if (argv[1].kind == V_NONE) {
		const Type *t = arg_tensor(e, at, argv, 0)->type;
		rank = t->rank;
		memcpy(dims, t->dim, sizeof(Dim) * (size_t)rank);
	} else {
		rank = elab_shape(e, argv[1], dims, NULL, arg_at(at, 1));
	}
	int64_t size[MAX_RANK], total = 1;
	for (int i = 0; i < rank; i++) {
		if (!dim_is_const(dims[i], &size[i])) elab_limitation(e, at->loc, "as_strided.dims", "as_strided with a dimension in its shape");
		total *= size[i];
	}
	if (argv[2].kind == V_NONE) {
		int64_t s = 1;
		for (int i = rank - 1; i >= 0; i--) stride[i] = s, s *= size[i];
	} else if (elab_ints(e, argv[2], stride, MAX_RANK, arg_at(at, 2), "strides") != rank) {
		elab_fail(e, arg_at(at, 2), "as_strided.strides", "as_strided: %d axes but another number of strides", rank);
	}
	for (int i = 0; i < rank; i++) *(stride[i] < 0 ? &lo : &hi) += stride[i] * (size[i] > 0 ? size[i] - 1 : 0);
	if (!dim_is_const(x->type->dim[0], &n))
		elab_limitation(e, at->loc, "as_strided.dims", "as_strided of a tensor whose size is not a compile-time number");
	if (total && (lo < 0 || hi >= n))
		elab_fail(e, at->loc, "as_strided.range", "as_strided reads elements %lld to %lld of %lld", (long long)lo, (long long)hi,
		          (long long)n);
	int64_t shape[MAX_RANK + 1], at_index[MAX_RANK] = {0};
	memcpy(shape, size, sizeof size);
	shape[rank] = 1;
	Tensor *idx = tensor_new(elab_arena(e), DT_i32, rank + 1, shape);
	for (int64_t i = 0; i < total; i++) {
		int64_t flat = offset;
		for (int k = 0; k < rank; k++) flat += at_index[k] * stride[k];
		tensor_set(idx, i, scalar_from_int(flat, DT_i32));
		for (int k = rank - 1; k >= 0 && ++at_index[k] == size[k]; k--) at_index[k] = 0;
	}
	int64_t axis = 0;
	Builder *b = elab_builder(e);
	return val_tensor(ir_gather(b, x, ir_const(b, idx), &axis, 1, 0, "clamp", false));
}

Val builtin_view(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0);
	DType d = elab_dtype(e, argv[1], arg_at(at, 1), "the dtype of `view`");
	int from = dtype_bytes(x->type->dtype), to = dtype_bytes(d), r = x->type->rank;
	if (from == to && d == x->type->dtype) return val_tensor(x);
	if (from != to && r == 0)
		elab_fail(e, at->loc, "view.size", "a scalar of %d bytes cannot be seen as %s of %d bytes", from, dtype_name(d), to);
	if (to > from && !dim_div_exact(elab_dims(e), elab_facts(e), x->type->dim[r - 1], dim_const(e, to / from)))
		elab_fail(e, at->loc, "view.size", "the last axis of %s does not divide by %d, the number of its elements in one %s",
		          type_text(e, x->type), to / from, dtype_name(d));
	Attr a = ATTR_DTYPE(dtype, d);
	return val_tensor(ir_emit(elab_builder(e), OP_bitcast, &x, 1, &a, 1));
}
