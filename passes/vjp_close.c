/* Closing a backward block: which values of its forward twin it still names (the residuals), after cloning into it what is cheaper to
 * compute again than to keep.
 *
 * A residual r with definition d is recomputed where d has no effect and the policy is `all` (checkpoint); or d is a constant or an iota;
 * or d only moves elements or compares and what it needs, as far as it is not kept anyway, is not larger than r; or d is cheap arithmetic
 * (flag of its row) and that is smaller than r.
 */
#include "vjp.h"

typedef struct Close {
	Arena *a;
	Block *fwd;
	const DimFacts *facts;
	int carries;
	bool all;
	Map first;       /* free from the start: kept or recomputed anyway */
	Map seen, clone; /* values on the list; ops to clone */
	Values work;
} Close;

static Dim value_bytes(Module *m, const Value *v)
{
	return dim_scale(m->dims, type_size(m, v->type), dtype_bytes(v->type->dtype), 1);
}
static bool is_source(const Op *d)
{
	return d->code == OP_const || d->code == OP_iota || d->code == OP_dimsize;
}
static bool is_move(const Op *d)
{
	OpCode c = d->code;
	return (op_row(c)->flags & OPF_VIEW) || c == OP_convert || c == OP_eq || c == OP_ne || c == OP_lt || c == OP_le || c == OP_gt ||
	       c == OP_ge || c == OP_not || c == OP_isnan;
}

/* What naming v in the backward block adds to memory. NULL: more than a polynomial can tell. */
static Dim cost(Close *c, const Value *v)
{
	Module *m = c->fwd->func->module;
	Dim zero = dim_int(m->dims, 0);
	if (v->block != c->fwd || set_has(&c->first, v)) return zero;
	if (!v->def) return v->index >= 1 && v->index <= c->carries ? value_bytes(m, v) : zero;
	if (is_source(v->def)) return zero;
	if (v->def->code == OP_broadcast || v->def->code == OP_reshape || v->def->code == OP_transpose) return cost(c, v->def->in[0]);
	return value_bytes(m, v);
}

static bool worth(Close *c, const Value *r)
{
	const Op *d = r->def;
	Module *m = c->fwd->func->module;
	if (d->nregion || d->code == OP_call || op_effects(d)) return c->all && !op_effects(d);
	if (c->all || is_source(d)) return true;
	bool move = is_move(d);
	if (!move && !(op_row(d->code)->flags & OPF_CHEAP) && d->code != OP_sqrt) return false;
	Dim sum = dim_int(m->dims, 0), own = value_bytes(m, r);
	for (int k = 0; k < d->nin; k++) sum = dim_add(m->dims, sum, cost(c, d->in[k]));
	if (!sum || !own) return false;
	return move ? dim_provable_nonneg(c->facts, dim_sub(m->dims, own, sum)) : dim_provable_less(c->facts, sum, own);
}

static void add_work(Close *c, Value *v)
{
	if (v->block != c->fwd || set_has(&c->seen, v)) return;
	set_add(&c->seen, v);
	VEC_PUSH(c->a, c->work, v);
}

static void decide(Close *c, Value *r)
{
	Op *d = r->def;
	if (!d || !worth(c, r)) return;
	set_add(&c->clone, d);
	for (int k = 0; k < d->nin; k++) add_work(c, d->in[k]);
	for (int i = 0; i < d->nregion; i++) {
		Value **inner;
		int n;
		block_free_values(c->a, d->region[i], &inner, &n);
		for (int k = 0; k < n; k++) add_work(c, inner[k]);
	}
}

/* Clones the chosen ops, in forward order, before everything else in bwd. */
static void insert_clones(Close *c, Block *bwd)
{
	Map env;
	map_init(&env, c->a);
	Builder b = builder_at(bwd->func);
	b.block = bwd, b.tag = "bwd";
	Op *head = bwd->first;
	for (Op *op = c->fwd->first; op; op = op->next) {
		if (!set_has(&c->clone, op)) continue;
		Op *copy = clone_raw(&b, op, &env);
		if (!head) continue;
		op_unlink(copy);
		op_insert_before(copy, head);
	}
	/* the clones themselves are mapped already; only what came before them still names the forward values */
	block_substitute(bwd, &env);
}

static void sort_by_id(Value **v, int n)
{
	for (int i = 1; i < n; i++)
		for (int j = i; j > 0 && v[j - 1]->id > v[j]->id; j--) {
			Value *t = v[j];
			v[j] = v[j - 1], v[j - 1] = t;
		}
}

void vjp_close(Block *bwd, Block *fwd, int carries, bool all, Values *kept)
{
	Arena *tmp = arena_child(bwd->func->module->arena);
	Close c = {.a = tmp, .fwd = fwd, .facts = bwd->func->facts, .carries = carries, .all = all};
	map_init(&c.first, tmp), map_init(&c.seen, tmp), map_init(&c.clone, tmp);
	trim_block(tmp, bwd);
	Value **list;
	int n;
	block_free_values(tmp, bwd, &list, &n);
	sort_by_id(list, n);
	for (int i = 0; i < n; i++)
		if (list[i]->block == fwd) set_add(&c.first, list[i]);
	for (int i = 0; i < n; i++) add_work(&c, list[i]);
	for (int i = 0; i < c.work.n; i++) decide(&c, c.work.at[i]);
	if (c.clone.n) {
		insert_clones(&c, bwd);
		trim_block(tmp, bwd);
		block_free_values(tmp, bwd, &list, &n);
		sort_by_id(list, n);
	}
	for (int i = 0; i < n; i++)
		if (list[i]->block == fwd) VEC_PUSH(fwd->func->module->arena, *kept, list[i]);
	arena_free(tmp);
}
