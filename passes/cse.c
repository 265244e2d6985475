/* cse: what the builder does not merge because it has regions or calls a function.
 *
 * Takes and gives tensor IR. Of two equal pure calls, loops or conds in one block, or one in a block inside, the later one goes and its
 * results become the earlier one's. Plain ops are merged as well, so that a text that was not built here profits. Barriers stay apart.
 */
#include "passes.h"
#include "walk.h"

enum { BUCKETS = 1024 };
typedef struct Seen {
	Op *op;
	int before, bucket;
} Seen; /* before: the previous one of its bucket, + 1 */

typedef struct Cse {
	Arena *scratch;
	Map to;              /* result of an op that went -> the one that stays */
	VEC(Seen) seen;      /* candidates of this block and the enclosing ones */
	int bucket[BUCKETS]; /* the last candidate of each, + 1 */
	bool changed;
} Cse;

static Value *follow(const Cse *c, Value *v)
{
	Value *w = map_get(&c->to, v);
	return w ? w : v;
}

static void rename_uses(Cse *c, Value **v, int n)
{
	for (int i = 0; i < n; i++) v[i] = follow(c, v[i]);
}

static bool may_merge(const Op *op)
{
	return op->nout > 0 && !(op_row(op->code)->flags & OPF_OPAQUE) && !op_has_effects(op);
}

static int bucket_of(const Op *op)
{
	uint64_t h = (uint64_t)op->code * 2654435761u;
	for (int i = 0; i < op->nin; i++) h = (h ^ (uint64_t)op->in[i]->id) * 0x9E3779B97F4A7C15u;
	return (int)(h >> 32) & (BUCKETS - 1);
}

static Op *find_equal(Cse *c, const Op *op)
{
	Op *found = NULL;
	for (int k = c->bucket[bucket_of(op)]; k && !found; k = c->seen.at[k - 1].before) {
		ArenaMark mark = arena_mark(c->scratch);
		if (ops_alike(c->scratch, c->seen.at[k - 1].op, op)) found = c->seen.at[k - 1].op;
		arena_reset(c->scratch, mark);
	}
	return found;
}

static void remember(Cse *c, Op *op)
{
	int k = bucket_of(op);
	VEC_PUSH(c->scratch, c->seen, ((Seen){op, c->bucket[k], k}));
	c->bucket[k] = c->seen.n;
}

static void forget_down_to(Cse *c, int n)
{
	while (c->seen.n > n) {
		Seen s = c->seen.at[--c->seen.n];
		c->bucket[s.bucket] = s.before;
	}
}

static void cse_block(Cse *c, Block *b)
{
	int outer = c->seen.n;
	for (Op *op = b->first, *next; op; op = next) {
		next = op->next;
		rename_uses(c, op->in, op->nin);
		for (int r = 0; r < op->nregion; r++) cse_block(c, op->region[r]);
		if (!may_merge(op)) continue;
		Op *same = find_equal(c, op);
		if (!same) {
			remember(c, op);
			continue;
		}
		for (int i = 0; i < op->nout; i++) map_set(&c->to, op->out[i], same->out[i]);
		op_unlink(op);
		c->changed = true;
	}
	rename_uses(c, b->result, b->nresult);
	forget_down_to(c, outer);
}

bool pass_cse(PassCtx *p)
{
	bool changed = false;
	for (int i = 0; i < p->m->funcs.n; i++) {
		Cse c = {.scratch = p->scratch};
		map_init(&c.to, p->scratch);
		cse_block(&c, p->m->funcs.at[i]->body);
		changed |= c.changed;
	}
	return changed;
}
