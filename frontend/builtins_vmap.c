/* vmap, and jacobian and hessian, which are vmap of a derivative over unit vectors. */
#include "transform.h"
#include <string.h>

/* --- axes --------------------------------------------------------------------------------------------------------------- */
enum { UNMAPPED = -1000 };
typedef struct Axes {
	Elab *e;
	int *at;
	int n;
	Loc loc;
	const char *what;
	bool negative;
} Axes;

/* One axis for each leaf of a tree: a number or none for a whole part, or a tree of them. */
static void spread_axes(Axes *x, Val axes, Val of)
{
	Elab *e = x->e;
	if (axes.kind == V_INT || axes.kind == V_NONE) {
		int n = tree_leaves(e, of).n;
		for (int i = 0; i < n; i++) x->at[x->n++] = axes.kind == V_NONE ? UNMAPPED : (int)axes.u.i;
		return;
	}
	bool like = val_is_tree(axes) && val_is_tree(of) && (axes.kind == of.kind || (val_is_seq(axes) && val_is_seq(of)));
	if (!like || !(val_is_seq(axes) || axes.kind == V_RECORD) || axes.u.items->n != of.u.items->n)
		elab_fail(e, x->loc, "vmap.axes", "%s: an axis is a number or none, or a tree like the argument's; here %s stands for %s", x->what,
		          val_describe(e, axes), val_describe(e, of));
	for (int i = 0; i < axes.u.items->n; i++) spread_axes(x, axes.u.items->at[i], of.u.items->at[i]);
}

static int *axes_of(Elab *e, Val axes, Val of, Loc loc, const char *what)
{
	Axes x = {.e = e, .at = NEW_ARRAY(elab_arena(e), int, tree_leaves(e, of).n + 1), .loc = loc, .what = what};
	spread_axes(&x, axes, of);
	return x.at;
}

/* --- vmap --------------------------------------------------------------------------------------------------------------- */
typedef struct VmapData {
	Val in_axes, out_axes;
} VmapData;

/* A call while its arguments lose their mapped axes. */
typedef struct Lanes {
	Elab *e;
	CallArgs *a;
	const VmapData *d;
	Dim n;          /* size of the mapped axis; NULL until one is seen */
	int n_arg;      /* the argument that it was seen in */
	int **axis;     /* [argument][leaf] */
	Val *lane;      /* the arguments of one lane: stand-ins of the right types */
	Value ***value; /* [argument][leaf]: the mapped leaf with its axis in front */
} Lanes;

static Val axes_for_argument(Lanes *l, int i)
{
	Val in = l->d->in_axes;
	if (!val_is_seq(in)) return in;
	if (i >= l->a->n) return val_int(0);
	if (in.u.items->n != l->a->n)
		elab_fail(l->e, l->a->loc, "vmap.axes", "in_axes has %d entries, but the call has %d arguments", in.u.items->n, l->a->n);
	return in.u.items->at[i];
}

static void see_size(Lanes *l, int arg, const Type *t, int axis)
{
	Dim n = t->dim[axis];
	if (!l->n) {
		l->n = n;
		l->n_arg = arg;
	} else if (!dim_provable_equal(elab_facts(l->e), l->n, n)) {
		elab_fail(l->e, l->a->loc, "vmap.size", "mapped axes differ in size: %s in argument %d, %s in argument %d, which is %s",
		          dim_str(elab_arena(l->e), l->n), l->n_arg, dim_str(elab_arena(l->e), n), arg, type_text(l->e, t));
	}
}

static void split_argument(Lanes *l, int i, Val v)
{
	Elab *e = l->e;
	Builder *b = elab_builder(e);
	Leaves leaf = tree_leaves(e, v);
	int *axis = l->axis[i] = axes_of(e, axes_for_argument(l, i), v, l->a->loc, "in_axes");
	l->value[i] = NEW_ARRAY(elab_arena(e), Value *, leaf.n + 1);
	for (int k = 0; k < leaf.n; k++) {
		if (axis[k] == UNMAPPED || leaf.at[k].kind != V_TENSOR) {
			axis[k] = UNMAPPED; /* numbers are the same in every lane */
			continue;
		}
		Value *x = elab_tensor(e, leaf.at[k], NULL, l->a->loc, "an argument");
		const Type *t = x->type;
		if (axis[k] < -t->rank || axis[k] >= t->rank)
			elab_fail(e, l->a->loc, "vmap.axes", "in_axes is %d for argument %d%s%s, which is %s", axis[k], i, *leaf.path[k] ? " at " : "",
			          leaf.path[k], type_text(e, t));
		if (axis[k] < 0) axis[k] += t->rank;
		see_size(l, i, t, axis[k]);
		x = l->value[i][k] = ir_move_axis(b, x, axis[k], 0);
		leaf.at[k] = val_tensor(ir_zeros(b, type_get(elab_module(e), t->dtype, t->rank - 1, x->type->dim + 1)));
	}
	l->lane[i] = tree_rebuild(e, v, leaf.at);
}

/* The value of result r, batched, with its axis where out_axes wants it. */
static Value *place_result(Lanes *l, Value *v, bool batched, int axis)
{
	Elab *e = l->e;
	Builder *b = elab_builder(e);
	if (axis == UNMAPPED) {
		if (batched) elab_fail(e, l->a->loc, "vmap.out_axes", "out_axes is none for a result that differs between lanes");
		return v;
	}
	if (!batched) v = ir_lift(b, v, l->n);
	int rank = v->type->rank;
	if (axis < -rank || axis >= rank)
		elab_fail(e, l->a->loc, "vmap.out_axes", "out_axes is %d for a result of type %s", axis, type_text(e, v->type));
	return ir_move_axis(b, v, 0, axis < 0 ? axis + rank : axis);
}

static Val place_results(Lanes *l, const Traced *t, Value *const *out, const bool *batched)
{
	Elab *e = l->e;
	int *axis = axes_of(e, l->d->out_axes, t->result, l->a->loc, "out_axes"), r = 0;
	Value **v = NEW_ARRAY(elab_arena(e), Value *, t->nresult + 1);
	Leaves leaf = tree_leaves(e, t->result);
	for (int i = 0; i < leaf.n; i++) {
		if (leaf.at[i].kind != V_TENSOR) continue;
		v[r] = place_result(l, out[r], batched[r], axis[i]);
		r++;
	}
	return traced_result(e, t, v);
}

/* New values of inout arguments go back where they came from. */
static void place_inout(Lanes *l, const Traced *t, Value *const *out, const bool *batched)
{
	Elab *e = l->e;
	CallArgs *a = l->a;
	Value **v = NEW_ARRAY(elab_arena(e), Value *, t->func->body->nresult + 1);
	int r = 0, k = 0;
	for (int i = 0; a->inout && i < a->n + a->nnamed; i++) {
		if (!a->inout[i]) continue;
		Leaves leaf = tree_leaves(e, t->inout_result[k]);
		for (int j = 0; j < leaf.n; j++) {
			if (leaf.at[j].kind != V_TENSOR) continue;
			int axis = l->axis[i][j];
			if (axis == UNMAPPED && batched[r])
				elab_fail(e, a->loc, "vmap.inout", "inout argument %d is not mapped, but each lane would change it in its own way%s%s", i,
				          *leaf.path[j] ? ", at " : "", leaf.path[j]);
			v[r] = place_result(l, out[r], batched[r], axis);
			r++;
		}
		k++;
	}
	if (r) traced_store_inout(e, t, a, v);
}

static Val vmap_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	int n = a->n + a->nnamed;
	Arena *ar = elab_arena(e);
	VmapData data = {w->extra[0], w->extra[1]};
	Lanes l = {.e = e,
	           .a = a,
	           .d = &data,
	           .axis = NEW_ARRAY(ar, int *, n + 1),
	           .lane = NEW_ARRAY(ar, Val, n + 1),
	           .value = NEW_ARRAY(ar, Value **, n + 1)};
	for (int i = 0; i < n; i++) split_argument(&l, i, i < a->n ? a->at[i] : a->named[i - a->n]);
	if (!l.n) elab_fail(e, a->loc, "vmap.axes", "`vmap` maps no argument of this call");
	CallArgs lane = *a;
	lane.at = l.lane;
	lane.named = l.lane + a->n;
	Traced t = elab_trace(e, w->fn, &lane, NULL, "vmap", a->loc);
	bool *batched = NEW_ARRAY(ar, bool, t.nargs + 1), *out = NEW_ARRAY(ar, bool, t.func->body->nresult + 1);
	Value **args = NEW_ARRAY(ar, Value *, t.nargs + 1);
	for (int i = 0; i < t.nargs; i++) {
		Value *v = i < t.nargs - t.ncaptured ? l.value[t.arg_of[i]][t.leaf_of[i]] : NULL;
		batched[i] = v != NULL;
		args[i] = v ? v : t.args[i];
	}
	Op *c = call_derived(e, transform_vmap(t.func, batched, l.n, false, out), args, t.nargs);
	place_inout(&l, &t, c->out + t.nresult, out + t.nresult);
	return place_results(&l, &t, c->out, out);
}

Val builtin_vmap(Elab *e, const CallSite *at, Val *argv)
{
	if (!elab_is_callable(argv[0])) elab_fail(e, arg_at(at, 0), "call.kind", "`vmap` takes a function, not %s", val_describe(e, argv[0]));
	Val *axes = NEW_ARRAY(elab_arena(e), Val, 2);
	axes[0] = argv[1];
	axes[1] = argv[2];
	return val_wrapped(e, (Wrapped){.name = at->name, .call = vmap_call, .fn = argv[0], .extra = axes, .nextra = 2});
}

/* --- jacobian ----------------------------------------------------------------------------------------------------------- */
typedef enum JacobianMode { JACOBIAN_AUTO, JACOBIAN_FORWARD, JACOBIAN_REVERSE } JacobianMode;
typedef struct JacobianData {
	Choice choice;
	JacobianMode mode;
	const char *name;
} JacobianData;

/* All derivatives of one call: block[r][p] is result leaf r by parameter p, of shape [result.., parameter..]. */
typedef struct Jacobian {
	Elab *e;
	Traced t;
	bool *active, *diff;
	Value ***block;
	Loc loc;
} Jacobian;

static Dim type_elements(Elab *e, const Type *t)
{
	return shape_product(e, t->rank, t->dim);
}

/* The unit vectors of t: [n, t..]. */
static Value *unit_vectors(Elab *e, const Type *t)
{
	Builder *b = elab_builder(e);
	Module *m = elab_module(e);
	Dim n = type_elements(e, t), square[2] = {n, n}, dims[MAX_RANK + 1];
	const Type *grid = type_get(m, DT_i32, 2, square);
	Value *same = ir_binary(b, OP_eq, ir_iota_nd(b, grid, 0), ir_iota_nd(b, grid, 1));
	dims[0] = n;
	memcpy(dims + 1, t->dim, sizeof(Dim) * (size_t)t->rank);
	return ir_reshape(b, ir_convert(b, same, t->dtype), t->rank + 1, dims);
}

/* v [n, a..] or, not batched, [a..] for all n: as [front.., back..]. */
static Value *block_shape(Elab *e, Value *v, const Type *front, const Type *back)
{
	Dim dims[2 * MAX_RANK];
	if (front->rank + back->rank > MAX_RANK) return NULL;
	memcpy(dims, front->dim, sizeof(Dim) * (size_t)front->rank);
	memcpy(dims + front->rank, back->dim, sizeof(Dim) * (size_t)back->rank);
	return ir_reshape(elab_builder(e), v, front->rank + back->rank, dims);
}

static void require_rank(Jacobian *j, const Type *a, const Type *b)
{
	if (a->rank + b->rank > MAX_RANK)
		elab_fail(j->e, j->loc, "rank.limit", "the derivative of %s by %s would have more than %d axes", type_text(j->e, a),
		          type_text(j->e, b), MAX_RANK);
	if (a->dtype == DT_c64 || b->dtype == DT_c64)
		elab_fail(j->e, j->loc, "jacobian.complex", "a jacobian is of real results by real arguments, not of %s by %s; use `jvp` or `vjp`",
		          type_text(j->e, a), type_text(j->e, b));
}

/* One reverse sweep, vmapped over the unit cotangents of result r. */
static void reverse_row(Jacobian *j, int r)
{
	Elab *e = j->e;
	int np = j->t.nargs, n = 0;
	const Type *out = j->t.func->body->result[r]->type;
	bool *seeded = NEW_ARRAY(elab_arena(e), bool, j->t.func->body->nresult + 1);
	seeded[r] = true;
	Func *g = transform_vjp(j->t.func, j->active, seeded, false);
	if (!g) elab_unwind(e);
	bool *batched = NEW_ARRAY(elab_arena(e), bool, np + 2), *got = NEW_ARRAY(elab_arena(e), bool, g->body->nresult + 1);
	batched[np] = true;
	Value **args = NEW_ARRAY(elab_arena(e), Value *, np + 2);
	memcpy(args, j->t.args, sizeof *args * (size_t)np);
	args[np] = unit_vectors(e, out);
	Op *c = call_derived(e, transform_vmap(g, batched, type_elements(e, out), true, got), args, np + 1);
	for (int p = 0; p < np; p++) {
		if (!j->active[p]) continue;
		const Type *in = j->t.func->body->param[p]->type;
		require_rank(j, out, in);
		j->block[r][p] = block_shape(e, c->out[n++], out, in);
	}
}

/* One forward sweep, vmapped over the unit tangents of parameter p. */
static void forward_column(Jacobian *j, int p)
{
	Elab *e = j->e;
	Builder *b = elab_builder(e);
	int np = j->t.nargs, nr = j->t.func->body->nresult, n = nr;
	const Type *in = j->t.func->body->param[p]->type;
	bool *only = NEW_ARRAY(elab_arena(e), bool, np + 1), *have = NEW_ARRAY(elab_arena(e), bool, nr + 1);
	only[p] = true;
	Func *g = transform_jvp(j->t.func, only, have);
	if (!g) elab_unwind(e);
	bool *batched = NEW_ARRAY(elab_arena(e), bool, np + 2), *got = NEW_ARRAY(elab_arena(e), bool, g->body->nresult + 1);
	batched[np] = true;
	Value **args = NEW_ARRAY(elab_arena(e), Value *, np + 2);
	memcpy(args, j->t.args, sizeof *args * (size_t)np);
	args[np] = unit_vectors(e, in);
	Dim size = type_elements(e, in);
	Op *c = call_derived(e, transform_vmap(g, batched, size, false, got), args, np + 1);
	for (int r = 0; r < nr; r++) {
		const Type *out = j->t.func->body->result[r]->type;
		if (r >= j->t.nresult || !j->diff[r]) {
			n += have[r];
			continue;
		}
		require_rank(j, out, in);
		Value *col = have[r] ? c->out[n] : ir_zeros(b, out);
		if (!have[r] || !got[n]) col = ir_lift(b, col, size);
		n += have[r];
		j->block[r][p] = block_shape(e, ir_move_axis(b, col, 0, out->rank), out, in);
	}
}

/* Forward where the arguments have no more elements than the results; reverse where that cannot be decided. */
static bool choose_forward(Jacobian *j, JacobianMode mode)
{
	if (mode != JACOBIAN_AUTO) return mode == JACOBIAN_FORWARD;
	Elab *e = j->e;
	Dim in = dim_const(e, 0), out = in;
	for (int p = 0; p < j->t.nargs; p++)
		if (j->active[p]) in = dim_add(elab_dims(e), in, type_elements(e, j->t.func->body->param[p]->type));
	for (int r = 0; r < j->t.nresult; r++)
		if (j->diff[r]) out = dim_add(elab_dims(e), out, type_elements(e, j->t.func->body->result[r]->type));
	return in && out && dim_provable_nonneg(elab_facts(e), dim_sub(elab_dims(e), out, in));
}

/* For result leaf r: the blocks in the structure of the chosen arguments. */
static Val row_tree(Jacobian *j, const Choice *choice, const int *chosen, int n, int r)
{
	Elab *e = j->e;
	Val *by_arg = NEW_ARRAY(elab_arena(e), Val, n);
	for (int i = 0; i < n; i++) {
		Value **row = NEW_ARRAY(elab_arena(e), Value *, j->t.nargs + 1);
		int k = 0;
		for (int p = 0; p < j->t.nargs - j->t.ncaptured; p++)
			if (j->active[p] && j->t.arg_of[p] == chosen[i]) row[k++] = j->block[r][p];
		Value *const *next = row;
		by_arg[i] = traced_by_argument(e, &j->t, chosen[i], j->active, &next);
	}
	return choice_result(e, choice, by_arg);
}

/* A tree whose leaves are replaced by trees. */
static Val graft(Elab *e, Val tree, const Val **next)
{
	if (!val_is_tree(tree)) return *(*next)++;
	if (!val_is_seq(tree) && tree.kind != V_RECORD)
		elab_limitation(e, NO_LOC, "jacobian.tree", "the jacobian of a function whose result is a module");
	int n = tree.u.items->n;
	Val *out = NEW_ARRAY(elab_arena(e), Val, n);
	for (int i = 0; i < n; i++) out[i] = graft(e, tree.u.items->at[i], next);
	return tree.kind == V_RECORD ? val_record(e, tree.u.items->name, out, n)
	       : tree.kind == V_LIST ? val_list(e, out, n)
	                             : val_tuple(e, out, n);
}

static Val jacobian_call(Elab *e, const Wrapped *w, CallArgs *a)
{
	const JacobianData *d = w->data;
	Arena *ar = elab_arena(e);
	int chosen[TRANSFORM_MAX_ARGS], n = choice_resolve(e, &d->choice, w->fn, a, d->name, chosen);
	bool *on = NEW_ARRAY(ar, bool, a->n + a->nnamed + 1);
	for (int i = 0; i < n; i++) on[chosen[i]] = true;
	Jacobian j = {.e = e, .loc = a->loc};
	j.t = trace_for(e, w->fn, a, on, d->name);
	int nr = j.t.func->body->nresult;
	j.active = NEW_ARRAY(ar, bool, j.t.nargs + 1);
	j.diff = NEW_ARRAY(ar, bool, nr + 1);
	j.block = NEW_ARRAY(ar, Value **, nr + 1);
	if (traced_active(e, &j.t, on, j.active) == 0)
		elab_fail(e, a->loc, "grad.leaves", "`%s` has nothing to differentiate by: argument %d is %s", d->name, chosen[0],
		          val_describe(e, j.t.arg[chosen[0]]));
	traced_diff_results(&j.t, j.diff);
	for (int r = 0; r < nr; r++) j.block[r] = NEW_ARRAY(ar, Value *, j.t.nargs + 1);
	bool forward = choose_forward(&j, d->mode);
	for (int p = 0; forward && p < j.t.nargs; p++)
		if (j.active[p]) forward_column(&j, p);
	for (int r = 0; !forward && r < j.t.nresult; r++)
		if (j.diff[r]) reverse_row(&j, r);
	Leaves l = tree_leaves(e, j.t.result);
	for (int i = 0, r = 0; i < l.n; i++) {
		bool tensor = l.at[i].kind == V_TENSOR;
		l.at[i] = tensor && j.diff[r] ? row_tree(&j, &d->choice, chosen, n, r) : val_none();
		r += tensor;
	}
	const Val *next = l.at;
	return graft(e, j.t.result, &next);
}

static Val make_jacobian(Elab *e, const CallSite *at, Val fn, Choice c, JacobianMode mode)
{
	JacobianData *d = NEW(elab_arena(e), JacobianData);
	*d = (JacobianData){c, mode, at->name};
	return val_wrapped(e, (Wrapped){.name = at->name, .call = jacobian_call, .fn = fn, .data = d});
}

Val builtin_jacobian(Elab *e, const CallSite *at, Val *argv)
{
	static const char *const modes[] = {"auto", "forward", "reverse"};
	if (!elab_is_callable(argv[0]))
		elab_fail(e, arg_at(at, 0), "call.kind", "`jacobian` takes a function, not %s", val_describe(e, argv[0]));
	int mode = elab_choice(e, argv[3], modes, 3, arg_at(at, 3), "mode of `jacobian`");
	return make_jacobian(e, at, argv[0], choice_read(e, at, argv[1], argv[2]), (JacobianMode)mode);
}

/* Forward over reverse. */
Val builtin_hessian(Elab *e, const CallSite *at, Val *argv)
{
	CallSite grad = *at;
	grad.name = "grad";
	return make_jacobian(e, at, builtin_grad(e, &grad, argv), choice_read(e, at, argv[1], argv[2]), JACOBIAN_FORWARD);
}
