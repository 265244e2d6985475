/* Copies blocks op by op through the builder, regions included; locations, tags and names go along. */
#include <string.h>
#include "rebuild.h"

void rebuild_init(Rebuild *r, Builder b, Arena *scratch)
{
	*r = (Rebuild){.b = b};
	map_init(&r->env, scratch);
}

Value *rebuild_value(const Rebuild *r, Value *v)
{
	Value *w = map_get(&r->env, v);
	return w ? w : v;
}

static void set_value(Rebuild *r, Value *from, Value *to)
{
	map_set(&r->env, from, to);
	if (!to->name) to->name = from->name;
}

/* --- dims of an inlined callee ------------------------------------------------------------------------------------------- */
static Dim rebuild_dim(const Rebuild *r, Dim d)
{
	DimCtx *c = r->b.m->dims;
	Arena *a = r->env.arena;
	/* In two steps, through names that nothing else has: the bindings hold at the same time. */
	for (int i = 0; i < r->ndims; i++) d = dim_subst(c, d, r->dims[i].sym, dim_sym(c, arena_printf(a, "_bind_%d", i)));
	for (int i = 0; i < r->ndims; i++) d = dim_subst(c, d, arena_printf(a, "_bind_%d", i), r->dims[i].to);
	return dim_norm(r->b.facts, d);
}

static const Type *rebuild_type(const Rebuild *r, const Type *t)
{
	if (!r->ndims) return t;
	Dim dims[MAX_RANK];
	for (int i = 0; i < t->rank; i++) dims[i] = rebuild_dim(r, t->dim[i]);
	return type_get(r->b.m, t->dtype, t->rank, dims);
}

/* attrs with the callee's dims replaced, in room[8]. */
static const Attr *rebuild_attrs(const Rebuild *r, const Op *op, Attr *room)
{
	if (!r->ndims) return op->attrs;
	for (int i = 0; i < op->nattr; i++) {
		room[i] = op->attrs[i];
		if (attr_kind(room[i].key) == AK_DIM) room[i].v.dim = rebuild_dim(r, room[i].v.dim);
		if (attr_kind(room[i].key) != AK_DIMS) continue;
		Dim *dims = NEW_ARRAY(r->env.arena, Dim, room[i].n);
		for (int k = 0; k < room[i].n; k++) dims[k] = rebuild_dim(r, op->attrs[i].v.dims[k]);
		room[i].v.dims = dims;
	}
	return room;
}

/* --- ops ------------------------------------------------------------------------------------------------------------------ */
static Value **values_of(const Rebuild *r, Value *const *v, int n)
{
	Value **out = NEW_ARRAY(r->env.arena, Value *, n);
	for (int i = 0; i < n; i++) out[i] = rebuild_value(r, v[i]);
	return out;
}

static Block *rebuild_region(Rebuild *r, const Block *from)
{
	Builder outer = r->b;
	Block *to = block_new(&r->b, from->kind, r->b.block);
	for (int i = 0; i < from->nparam; i++)
		set_value(r, from->param[i], block_param(&r->b, to, rebuild_type(r, from->param[i]->type), from->param[i]->name));
	r->b.block = to;
	rebuild_ops(r, from);
	block_set_results(&r->b, to, values_of(r, from->result, from->nresult), from->nresult);
	r->b = outer;
	return to;
}

/* The ops of a block that runs exactly once here. */
static void splice(Rebuild *r, const Block *b)
{
	Builder outer = r->b;
	rebuild_ops(r, b);
	r->b = outer;
}

static bool take_cond_apart(Rebuild *r, const Op *op)
{
	Scalar s;
	if (op->code != OP_cond || !value_const_splat(rebuild_value(r, op->in[0]), &s)) return false;
	const Block *arm = op->region[s.v.u ? 0 : 1];
	splice(r, arm);
	for (int i = 0; i < op->nout; i++) set_value(r, op->out[i], rebuild_value(r, arm->result[i]));
	return true;
}

/* A loop of no trips gives its first carries and empty stacks; a loop of one trip runs here. */
static bool take_loop_apart(Rebuild *r, const Op *op)
{
	int64_t trips;
	if (op->code != OP_loop || !op_attr(op, AT_trips) || !dim_is_const(rebuild_dim(r, op_attr(op, AT_trips)->v.dim), &trips)) return false;
	if (trips > 1 || (trips == 1 && (op->nregion > 1 || op_bool(op, AT_limit)))) return false;
	const Block *body = op->region[0];
	int nc = (int)op_int(op, AT_ncarry, 0), ns = (int)op_int(op, AT_nscan, 0);
	if (trips == 1) {
		map_set(&r->env, body->param[0], ir_scalar_int(&r->b, DT_i32, 0));
		for (int k = 0; k < nc; k++) map_set(&r->env, body->param[1 + k], rebuild_value(r, op->in[k]));
		for (int k = 0; k < ns; k++) {
			const Type *t = rebuild_type(r, body->param[1 + nc + k]->type);
			map_set(&r->env, body->param[1 + nc + k], ir_reshape(&r->b, rebuild_value(r, op->in[nc + k]), t->rank, t->dim));
		}
		splice(r, body);
	}
	for (int k = 0; k < op->nout; k++) {
		Value *v;
		if (k < nc) v = rebuild_value(r, trips ? body->result[k] : op->in[k]);
		else if (trips == 0) v = ir_zeros(&r->b, rebuild_type(r, op->out[k]->type));
		else v = ir_lift(&r->b, rebuild_value(r, body->result[k]), dim_int(r->b.m->dims, 1));
		set_value(r, op->out[k], v);
	}
	return true;
}

static void rebuild_region_op(Rebuild *r, const Op *op, Value *const *in, const Attr *attrs)
{
	Block *region[2];
	Op *new;
	if (op->code == OP_call) new = ir_emit_call(&r->b, op_attr(op, AT_func)->v.func, in, op->nin);
	else {
		for (int k = 0; k < op->nregion; k++) region[k] = rebuild_region(r, op->region[k]);
		r->b.loc = op->loc;
		r->b.tag = op->tag;
		new = ir_emit_region(&r->b, op->code, in, op->nin, attrs, op->nattr, region, op->nregion);
	}
	for (int k = 0; k < op->nout; k++) set_value(r, op->out[k], new->out[k]);
}

static void rebuild_op(Rebuild *r, const Op *op)
{
	Attr room[8];
	unsigned flags = op_row(op->code)->flags;
	r->b.loc = op->loc;
	r->b.tag = op->tag;
	if (r->structure && (take_cond_apart(r, op) || take_loop_apart(r, op))) return;
	Value **in = values_of(r, op->in, op->nin);
	const Attr *attrs = rebuild_attrs(r, op, room);
	if (r->structure && op->code == OP_stop_gradient) { /* passes run after all derivatives: it has done its work */
		set_value(r, op->out[0], in[0]);
		return;
	}
	if (flags & OPF_REGION) rebuild_region_op(r, op, in, attrs);
	else if (flags & OPF_EFFECT) ir_emit_effect(&r->b, op->code, in, op->nin, attrs, op->nattr);
	else {
		Value **out = NEW_ARRAY(r->env.arena, Value *, op->nout);
		ir_emit_n(&r->b, op->code, in, op->nin, attrs, op->nattr, out, op->nout);
		for (int k = 0; k < op->nout; k++) set_value(r, op->out[k], out[k]);
	}
}

void rebuild_ops(Rebuild *r, const Block *from)
{
	for (const Op *op = from->first; op; op = op->next) rebuild_op(r, op);
}

void rebuild_func(Func *f, Arena *scratch, bool structure)
{
	Rebuild r;
	rebuild_init(&r, builder_at(f), scratch);
	r.structure = structure;
	Block *old = f->body;
	f->body = block_new(&r.b, BLOCK_FUNC, NULL);
	r.b.block = f->body;
	for (int i = 0; i < old->nparam; i++) set_value(&r, old->param[i], func_param(f, old->param[i]->type, old->param[i]->name));
	rebuild_ops(&r, old);
	func_set_results(f, values_of(&r, old->result, old->nresult), old->nresult);
}
