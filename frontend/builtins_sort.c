/* sort, argsort, topk, searchsorted: stable, nan last, axis none flattens. */
#include "builtins.h"

static void sort_both(Elab *e, const CallSite *at, Val *argv, Value **out)
{
	Value *x = arg_tensor(e, at, argv, 0);
	Attr a = ATTR_INT(axis, axis_or_flatten(e, &x, argv[1], arg_at(at, 1)));
	ir_emit_n(elab_builder(e), OP_sort, &x, 1, &a, 1, out, 2);
}

Val builtin_sort(Elab *e, const CallSite *at, Val *argv)
{
	Value *out[2];
	sort_both(e, at, argv, out);
	return val_tensor(out[0]);
}

Val builtin_argsort(Elab *e, const CallSite *at, Val *argv)
{
	Value *out[2];
	sort_both(e, at, argv, out);
	return val_tensor(ir_convert(elab_builder(e), out[1], DT_u32));
}

/* The k largest, ascending. */
Val builtin_topk(Elab *e, const CallSite *at, Val *argv)
{
	Value *x = arg_tensor(e, at, argv, 0), *out[2];
	Dim k = elab_dim(e, argv[1], arg_at(at, 1), "k");
	int axis = axis_or_flatten(e, &x, argv[2], arg_at(at, 2));
	if (!dim_provable_nonneg(elab_facts(e), k) || !dim_provable_nonneg(elab_facts(e), dim_sub(elab_dims(e), x->type->dim[axis], k)))
		elab_fail_help(e, arg_at(at, 1), "topk.size", "k is in 0..n, n included; `assert k <= n;` states it of run-time sizes",
		               "`topk` of %s elements on an axis of %s", dim_str(elab_arena(e), k), dim_str(elab_arena(e), x->type->dim[axis]));
	Attr a[2] = {ATTR_INT(axis, axis), ATTR_DIM(size, k)};
	ir_emit_n(elab_builder(e), OP_topk, &x, 1, a, 2, out, 2);
	return val_tensor(out[0]);
}

Val builtin_searchsorted(Elab *e, const CallSite *at, Val *argv)
{
	Builder *b = elab_builder(e);
	DType d = elab_result_dtype(e, argv, 2, at->loc);
	Value *in[2];
	for (int i = 0; i < 2; i++) in[i] = ir_convert(b, elab_tensor(e, argv[i], &d, arg_at(at, i), at->name), d);
	if (in[0]->type->rank != 1)
		elab_fail(e, arg_at(at, 0), "searchsorted.rank", "searchsorted needs a sorted vector, not %s", type_text(e, in[0]->type));
	Attr a = ATTR_INT(right, elab_bool(e, argv[2], arg_at(at, 2), "right"));
	return val_tensor(ir_emit(b, OP_searchsorted, in, 2, &a, 1));
}
