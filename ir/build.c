/* Emission: fold, intern along the chain of enclosing blocks, hoist out of loop bodies, infer, append.
 *
 * The block in which a pure op lands is the outermost one reachable through loop bodies at which all operands are available
 * (emit_target). A value of a block's twin counts as available in the block: closing a backward block later turns such names into
 * residuals. An op that depends on a placeholder tangent (Value.lin) stays where it is asked for: passes/vjp.c transposes it and takes
 * it out again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "build.h"
#include "fold.h"
#include "optable.h"

static _Noreturn __attribute__((format(printf, 2, 3))) void build_bug(const Builder *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(b->m->diag, DIAG_BUG, b->loc, "ir.build", fmt, ap);
	va_end(ap);
	if (b->m->on_bug) b->m->on_bug(b->m->on_bug_ctx);
	diag_flush(b->m->diag);
	exit(70);
}

/* --- attributes ------------------------------------------------------------------------------------------------------ */
int attrs_in_row_order(Module *m, OpCode c, const Attr *attrs, int nattr, Attr *to, const char **why)
{
	const OpRow *row = op_row(c);
	int n = 0;
	for (int k = 0; k < row->nattr; k++) {
		int at = 0;
		while (at < nattr && attrs[at].key != row->attr[k]) at++;
		if (at < nattr) to[n++] = attrs[at];
		else if (!row->optional[k])
			return *why = arena_printf(m->arena, "`%s` needs the attribute %s", row->name, attr_name(row->attr[k])), -1;
	}
	for (int i = 0; i < nattr; i++) {
		bool known = false, twice = false;
		for (int k = 0; k < row->nattr; k++) known |= row->attr[k] == attrs[i].key;
		for (int k = 0; k < i; k++) twice |= attrs[k].key == attrs[i].key;
		if (!known || twice)
			return *why = arena_printf(m->arena, "`%s` %s the attribute %s", row->name, twice ? "has twice" : "does not have",
			                           attr_name(attrs[i].key)),
			       -1;
	}
	return n;
}

static const Tensor *own_tensor(Module *m, const Tensor *t)
{
	if (map_get(&m->tensors, t)) return t;
	Tensor *c = arena_copy(m->arena, t, sizeof *t);
	c->data = arena_copy(m->arena, t->data, tensor_bytes(t));
	map_set(&m->tensors, c, c);
	return c;
}

/* A copy whose arrays, texts and data live in the module. */
static const Attr *own_attrs(Module *m, const Attr *attrs, int n)
{
	Attr *own = arena_copy(m->arena, attrs, sizeof(Attr) * (size_t)n);
	for (int i = 0; i < n; i++) {
		switch (attr_kind(own[i].key)) {
		case AK_INTS: own[i].v.ints = arena_copy(m->arena, own[i].v.ints, sizeof(int64_t) * (size_t)own[i].n); break;
		case AK_DIMS: own[i].v.dims = arena_copy(m->arena, own[i].v.dims, sizeof(Dim) * (size_t)own[i].n); break;
		case AK_STR: own[i].v.str = module_str(m, own[i].v.str); break;
		case AK_TENSOR: own[i].v.tensor = own_tensor(m, own[i].v.tensor); break;
		default: break;
		}
	}
	return own;
}

/* --- interning ------------------------------------------------------------------------------------------------------- */
struct CseTable {
	Op **slots;
	int n, cap;
};

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 31;
}

static uint64_t mix_bytes(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;
	for (size_t i = 0; i < n; i++) h = (h ^ c[i]) * 0x100000001B3u;
	return mix(h, n);
}

static uint64_t attr_hash(const Attr *a)
{
	switch (attr_kind(a->key)) {
	case AK_INT:
	case AK_BOOL: return (uint64_t)a->v.i;
	case AK_INTS: return mix_bytes(1, a->v.ints, sizeof(int64_t) * (size_t)a->n);
	case AK_DIM: return (uint64_t)(uintptr_t)a->v.dim;
	case AK_DIMS: return mix_bytes(2, a->v.dims, sizeof(Dim) * (size_t)a->n);
	case AK_DTYPE: return a->v.dtype;
	case AK_STR: return mix_bytes(3, a->v.str, strlen(a->v.str));
	case AK_FUNC: return (uint64_t)(uintptr_t)a->v.func;
	case AK_TENSOR: {
		size_t bytes = tensor_bytes(a->v.tensor);
		return mix_bytes(mix(a->v.tensor->dtype, bytes), a->v.tensor->data, bytes < 256 ? bytes : 256);
	}
	}
	return 0;
}

/* Operands of commuting ops hash alike in both orders. */
static uint64_t view_hash(const OpView *v)
{
	uint64_t h = v->code, s = 0;
	bool commutes = op_row(v->code)->flags & OPF_COMMUTES;
	for (int i = 0; i < v->nin; i++)
		if (commutes) s += mix(7, (uint64_t)(uintptr_t)v->in[i]);
		else h = mix(h, (uint64_t)(uintptr_t)v->in[i]);
	h = mix(h, s);
	for (int i = 0; i < v->nattr; i++) h = mix(h, attr_hash(&v->attrs[i]) + v->attrs[i].key);
	return h;
}

static OpView op_view(const Op *op)
{
	return (OpView){op->code, op->nin, op->nattr, op->nout, op->in, op->out, op->attrs, op->loc};
}

static bool view_equal(const OpView *a, const Op *b)
{
	if (a->code != b->code || a->nin != b->nin || a->nattr != b->nattr) return false;
	bool same = true;
	for (int i = 0; i < a->nin; i++) same &= a->in[i] == b->in[i];
	if (!same && !((op_row(a->code)->flags & OPF_COMMUTES) && a->in[0] == b->in[1] && a->in[1] == b->in[0])) return false;
	for (int i = 0; i < a->nattr; i++)
		if (!attr_equal(&a->attrs[i], &b->attrs[i])) return false;
	return true;
}

/* An entry whose op was unlinked or rewritten since does not match any more, or matches as what it is now. */
static Op *cse_find(const Block *b, const OpView *v, uint64_t hash)
{
	const struct CseTable *t = b->cse;
	if (!t) return NULL;
	for (int i = (int)(hash & (uint64_t)(t->cap - 1)); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (t->slots[i]->block == b && view_equal(v, t->slots[i])) return t->slots[i];
	return NULL;
}

static void cse_put(struct CseTable *t, Op *op)
{
	OpView v = op_view(op);
	int i = (int)(view_hash(&v) & (uint64_t)(t->cap - 1));
	while (t->slots[i]) i = (i + 1) & (t->cap - 1);
	t->slots[i] = op;
	t->n++;
}

static void cse_add(Arena *a, Block *b, Op *op)
{
	if (!b->cse) b->cse = NEW(a, struct CseTable);
	struct CseTable *t = b->cse;
	if (2 * (t->n + 1) > t->cap) {
		struct CseTable old = *t;
		t->cap = old.cap ? 2 * old.cap : 32;
		t->n = 0;
		t->slots = NEW_ARRAY(a, Op *, t->cap);
		for (int i = 0; i < old.cap; i++)
			if (old.slots[i] && old.slots[i]->block == b) cse_put(t, old.slots[i]);
	}
	cse_put(t, op);
}

/* --- where an op lands ----------------------------------------------------------------------------------------------- */
/* The block of b's chain at which v is available, twins included; NULL: none. */
static Block *value_home(Block *b, const Value *v)
{
	for (; b; b = b->parent)
		for (Block *t = b; t; t = t->twin)
			if (t == v->block) return b;
	return NULL;
}

static bool any_lin(Value *const *in, int nin)
{
	for (int i = 0; i < nin; i++)
		if (in[i]->lin) return true;
	return false;
}

/* A block whose op exists already (owner) gives nothing to its parent: what the parent holds may stand behind that op. */
static Block *emit_target(Block *b, Value *const *in, int nin)
{
	if (any_lin(in, nin)) return b;
	while (b->kind == BLOCK_LOOP && b->parent && !b->owner) {
		for (int i = 0; i < nin; i++) {
			Block *home = value_home(b, in[i]);
			if (home == b || !home) return b;
		}
		b = b->parent;
	}
	return b;
}

static Op *chain_find(Block *b, const OpView *v)
{
	uint64_t hash = view_hash(v);
	for (;; b = b->parent) {
		Op *op = cse_find(b, v, hash);
		if (op || b->owner || !b->parent) return op;
	}
}

/* --- making ops ------------------------------------------------------------------------------------------------------- */
static Value *value_new(Module *m, Block *b, const Type *t, Op *def, int index)
{
	Value *v = NEW(m->arena, Value);
	*v = (Value){.id = m->next_id++, .type = t, .def = def, .block = b, .index = index};
	return v;
}

/* attrs in row order. */
static Op *op_make(Builder *b, Block *at, const OpView *v, const Type *const *types, int nout, Block *const *region, int nregion)
{
	Module *m = b->m;
	Op *op = NEW(m->arena, Op);
	op->code = v->code;
	op->nin = v->nin;
	op->nattr = v->nattr;
	op->nout = nout;
	op->nregion = nregion;
	op->in = arena_copy(m->arena, v->in, sizeof(Value *) * (size_t)v->nin);
	op->attrs = own_attrs(m, v->attrs, v->nattr);
	op->out = NEW_ARRAY(m->arena, Value *, nout);
	op->region = nregion ? arena_copy(m->arena, region, sizeof(Block *) * (size_t)nregion) : NULL;
	op->loc = b->loc;
	op->tag = b->tag ? module_str(m, b->tag) : NULL;
	bool lin = any_lin(v->in, v->nin);
	for (int i = 0; i < nout; i++) {
		op->out[i] = value_new(m, at, types[i], op, i);
		op->out[i]->lin = lin;
	}
	op_append(at, op);
	return op;
}

static OpView make_view(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, Attr *room)
{
	const char *why = NULL;
	int n = attrs_in_row_order(b->m, c, attrs, nattr, room, &why);
	if (n < 0) build_bug(b, "%s", why);
	for (int i = 0; i < nin; i++)
		if (!in[i]) build_bug(b, "operand %d of `%s` is missing", i, op_row(c)->name);
	return (OpView){.code = c, .nin = nin, .nattr = n, .in = in, .attrs = room, .loc = b->loc};
}

static int infer_types(Builder *b, const OpView *v, const Type **types)
{
	int n = 0;
	const char *why = NULL;
	if (!op_row(v->code)->infer(b->m, b->facts, v, types, &n, &why)) build_bug(b, "%s", why ? why : op_row(v->code)->name);
	return n;
}

void ir_emit_n(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, Value **out, int nout)
{
	Attr room[8];
	const OpRow *row = op_row(c);
	assert(!(row->flags & (OPF_EFFECT | OPF_REGION)));
	OpView v = make_view(b, c, in, nin, attrs, nattr, room);
	v.nout = nout;
	bool plain = b->no_fold || (row->flags & OPF_OPAQUE);
	if (!plain && fold_op(b, &v, out, nout)) return;
	Block *at = plain ? b->block : emit_target(b->block, in, nin);
	Op *op = plain ? NULL : chain_find(at, &v);
	if (!op) {
		const Type *few[4], **types = nout > 4 ? NEW_ARRAY(b->m->arena, const Type *, nout) : few;
		int n = infer_types(b, &v, types);
		if (n != nout) build_bug(b, "`%s` has %d results, %d are asked for", row->name, n, nout);
		op = op_make(b, at, &v, types, nout, NULL, 0);
		if (!plain) cse_add(b->m->arena, at, op);
	}
	for (int i = 0; i < nout; i++) out[i] = op->out[i];
}

Value *ir_emit(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr)
{
	Value *out;
	ir_emit_n(b, c, in, nin, attrs, nattr, &out, 1);
	return out;
}

Op *ir_emit_effect(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr)
{
	Attr room[8];
	OpView v = make_view(b, c, in, nin, attrs, nattr, room);
	const Type *types[1];
	infer_types(b, &v, types);
	return op_make(b, b->block, &v, types, 0, NULL, 0);
}

/* Carries keep their type, the rows of a stacked result get the trip count as their first axis. */
static int infer_loop(Module *m, const Attr *attrs, int nattr, Block *body, const Type **type)
{
	OpView v = {.code = OP_loop, .nattr = nattr, .attrs = attrs};
	const Attr *ncarry = view_attr(&v, AT_ncarry), *trips = view_attr(&v, AT_trips);
	for (int i = 0; i < body->nresult; i++) {
		const Type *t = body->result[i]->type;
		type[i] = i >= ncarry->v.i && trips && t->rank < MAX_RANK ? type_prepend(m, t, trips->v.dim) : t;
	}
	return body->nresult;
}

static int infer_cond(Block *then, const Type **type)
{
	for (int i = 0; i < then->nresult; i++) type[i] = then->result[i]->type;
	return then->nresult;
}

int region_result_types(Module *m, OpCode c, const Attr *attrs, int nattr, Block *const *region, const Type **type)
{
	return c == OP_loop ? infer_loop(m, attrs, nattr, region[0], type) : infer_cond(region[0], type);
}

Op *ir_emit_region(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, Block *const *region, int nregion)
{
	Attr room[8];
	OpView v = make_view(b, c, in, nin, attrs, nattr, room);
	const Type **types = NEW_ARRAY(b->m->arena, const Type *, region[0]->nresult);
	int n = region_result_types(b->m, c, v.attrs, v.nattr, region, types);
	return op_make(b, b->block, &v, types, n, region, nregion);
}

Op *ir_emit_call(Builder *b, Func *callee, Value *const *in, int nin)
{
	Attr room[8], func = ATTR_FUNC(func, callee);
	OpView v = make_view(b, OP_call, in, nin, &func, 1, room);
	const Type **ins = NEW_ARRAY(b->m->arena, const Type *, nin), **types = NEW_ARRAY(b->m->arena, const Type *, callee->body->nresult);
	for (int i = 0; i < nin; i++) ins[i] = in[i]->type;
	const char *why = NULL;
	if (!call_result_types(callee, b->facts, ins, nin, types, &why)) build_bug(b, "%s", why);
	return op_make(b, b->block, &v, types, callee->body->nresult, NULL, 0);
}

Op *ir_raw(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, const Type *const *types, int nout,
           Block *const *region, int nregion)
{
	Attr room[8];
	OpView v = make_view(b, c, in, nin, attrs, nattr, room);
	return op_make(b, b->block, &v, types, nout, region, nregion);
}

Value *op_add_result(Builder *b, Op *op, const Type *t)
{
	Value **out = NEW_ARRAY(b->m->arena, Value *, op->nout + 1);
	if (op->nout) memcpy(out, op->out, sizeof(Value *) * (size_t)op->nout);
	out[op->nout] = value_new(b->m, op->block, t, op, op->nout);
	op->out = out;
	return op->out[op->nout++];
}

/* --- blocks and functions ---------------------------------------------------------------------------------------------- */
Builder builder_at(Func *f)
{
	return (Builder){.m = f->module, .block = f->body, .facts = f->facts};
}

Block *block_new(Builder *b, BlockKind kind, Block *parent)
{
	Block *blk = NEW(b->m->arena, Block);
	blk->kind = kind;
	blk->parent = parent;
	blk->func = parent ? parent->func : b->block->func;
	return blk;
}

static Value *param_append(Module *m, Block *blk, const Type *t, const char *name)
{
	Value **param = NEW_ARRAY(m->arena, Value *, blk->nparam + 1), *v = value_new(m, blk, t, NULL, blk->nparam);
	if (blk->nparam) memcpy(param, blk->param, sizeof(Value *) * (size_t)blk->nparam);
	v->name = module_str(m, name);
	param[blk->nparam++] = v;
	blk->param = param;
	return v;
}

Value *block_param(Builder *b, Block *blk, const Type *t, const char *name)
{
	return param_append(b->m, blk, t, name);
}
Value *func_param(Func *f, const Type *t, const char *name)
{
	return param_append(f->module, f->body, t, name);
}

void block_set_results(Builder *b, Block *blk, Value *const *v, int n)
{
	blk->result = n ? arena_copy(b->m->arena, v, sizeof(Value *) * (size_t)n) : NULL;
	blk->nresult = n;
}

void func_set_results(Func *f, Value *const *v, int n)
{
	f->body->result = n ? arena_copy(f->module->arena, v, sizeof(Value *) * (size_t)n) : NULL;
	f->body->nresult = n;
}

void func_export(Func *f)
{
	Arena *a = f->module->arena;
	int np = f->body->nparam, nr = f->body->nresult;
	f->exported = true;
	f->param_path = NEW_ARRAY(a, const char *, np);
	f->param_inout = NEW_ARRAY(a, bool, np);
	f->param_doc = NEW_ARRAY(a, const char *, np);
	f->result_path = NEW_ARRAY(a, const char *, nr);
	f->result_alias = NEW_ARRAY(a, int, nr);
	for (int i = 0; i < nr; i++) f->result_alias[i] = -1;
}
