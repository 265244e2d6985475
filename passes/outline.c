/* outline: a run of ops that a block holds several times over becomes a function, called where the runs stood.
 *
 * Takes and gives tensor IR; what it leaves unused goes with dce. Elaboration expands ordinary calls, so twelve layers written one after
 * the other arrive here as twelve copies of the same ops; as one function they are lowered, printed and compiled once, and code grows with
 * the source and not with the unrolled program. A run is worth a function by size alone: RUN_OPS operations at least (what `inline` would
 * leave a function), and SAVED_OPS less in all.
 *
 * Candidates are found by the hash of WINDOW consecutive ops: distances at which many windows come again, and the stretches that repeat at
 * those. Equality of runs is then checked op by op, with the values from outside paired up. What differs between the copies becomes
 * a parameter; constants, and views of constants, are copied into the function. Runs whose tensor constants differ stay: each is folded and
 * packed for itself. A run holds no effect and no result of its block, which may have to be computed in place. */
#include <stdlib.h>
#include <string.h>
#include "derive.h"
#include "passes.h"
#include "walk.h"

enum { WINDOW = 8, RUN_OPS = 25, SAVED_OPS = 96, HOPS = 8, LAGS = 16 };

typedef struct Slot { /* a value from outside, in each copy */
	Value **at;
	Value *param; /* in the function; NULL: copied into it */
} Slot;
typedef struct Window {
	uint64_t hash;
	int at;
} Window;
typedef struct Run { /* copies [start[k], start[k] + len) of the block's ops */
	int len, n, saved;
	int *start;
} Run;

typedef struct Outline {
	PassCtx *c;
	Block *b;
	Op **op;
	int n;
	uint64_t *hash; /* of each op; unequal to every other where it may not be part of a run */
	int *weight;    /* operations before each op */
	int *crossing;  /* values of ops before each op that are used from it on */
	Window *window; /* sorted by hash, then place */
	int *next;      /* the next place with an equal window; -1: none */
	VEC(Slot) slots;
} Outline;

/* --- what may be part of a run ------------------------------------------------------------------------------------------------ */
static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9E3779B97F4A7C15u;
	return h ^ h >> 29;
}

static uint64_t op_hash(const Op *op)
{
	uint64_t h = mix((uint64_t)op->code, (uint64_t)op->nin);
	for (int i = 0; i < op->nin; i++) h = mix(h, (uint64_t)(uintptr_t)op->in[i]->type);
	for (int i = 0; i < op->nout; i++) h = mix(h, (uint64_t)(uintptr_t)op->out[i]->type);
	for (int r = 0; r < op->nregion; r++) h = mix(h, (uint64_t)block_op_count(op->region[r]));
	return h;
}

static bool is_source(const Value *v)
{
	return v->def && v->def->nin == 0 && op_row(v->def->code)->zero == ZERO_SOURCE;
}

/* Constants and views of them: copied into the function rather than passed. */
static bool is_copied(const Value *v)
{
	if (is_source(v)) return true;
	if (!v->def || !(op_row(v->def->code)->flags & OPF_VIEW)) return false;
	for (int i = 0; i < v->def->nin; i++)
		if (!is_copied(v->def->in[i])) return false;
	return true;
}

static bool may_move(const Op *op)
{
	return !(op_row(op->code)->flags & (OPF_OPAQUE | OPF_EFFECT)) && !op_has_effects(op);
}

static void number_ops(Outline *o)
{
	Arena *a = o->c->scratch;
	o->n = 0;
	for (Op *op = o->b->first; op; op = op->next) op->mark = o->n++;
	o->op = NEW_ARRAY(a, Op *, o->n + 1);
	o->hash = NEW_ARRAY(a, uint64_t, o->n + 1);
	o->weight = NEW_ARRAY(a, int, o->n + 1);
	int i = 0;
	for (Op *op = o->b->first; op; op = op->next, i++) {
		const OpRow *row = op_row(op->code);
		o->op[i] = op;
		o->hash[i] = may_move(op) ? op_hash(op) : mix((uint64_t)i, 1);
		int own = row->zero != ZERO_SOURCE && !(row->flags & OPF_VIEW);
		for (int r = 0; r < op->nregion; r++) own += block_op_count(op->region[r]);
		o->weight[i + 1] = o->weight[i] + own;
	}
	for (int k = 0; k < o->b->nresult; k++) {
		Op *def = o->b->result[k]->def;
		if (def && def->block == o->b) o->hash[def->mark] = mix((uint64_t)def->mark, 2);
	}
}

/* --- values from outside a range of ops, in order of use ---------------------------------------------------------------------- */
typedef VEC(Value *) Values;

static bool inside(const Outline *o, const Value *v, int start, int len)
{
	return v->def && v->block == o->b && v->def->mark >= start && v->def->mark < start + len;
}

static void used_values(Outline *o, const Op *op, Values *out)
{
	for (int i = 0; i < op->nin; i++) VEC_PUSH(o->c->scratch, *out, op->in[i]);
	for (int r = 0; r < op->nregion; r++) {
		Value **v;
		int n;
		block_free_values(o->c->scratch, op->region[r], &v, &n);
		for (int i = 0; i < n; i++) VEC_PUSH(o->c->scratch, *out, v[i]);
	}
}

static void count_crossings(Outline *o)
{
	int *last = NEW_ARRAY(o->c->scratch, int, o->n + 1), *ends = NEW_ARRAY(o->c->scratch, int, o->n + 2);
	for (int i = 0; i < o->n; i++) {
		Values used = {0};
		used_values(o, o->op[i], &used);
		for (int k = 0; k < used.n; k++)
			if (used.at[k]->def && used.at[k]->block == o->b) last[used.at[k]->def->mark] = i;
	}
	o->crossing = NEW_ARRAY(o->c->scratch, int, o->n + 2);
	int live = 0;
	for (int i = 0; i < o->n; i++) {
		live -= ends[i];
		o->crossing[i] = live;
		if (last[i] > i && !is_copied(o->op[i]->out[0])) live++, ends[last[i] + 1]++;
	}
}

/* --- equal runs --------------------------------------------------------------------------------------------------------------- */
static bool same_source(const Value *a, const Value *b)
{
	if (a == b) return true;
	if (!is_source(a) || !is_source(b) || a->def->code != b->def->code || a->def->nattr != b->def->nattr) return false;
	for (int i = 0; i < a->def->nattr; i++)
		if (!attr_equal(&a->def->attrs[i], &b->def->attrs[i])) return false;
	return true;
}

/* Pairs the outside values of op p with those of q. */
static bool pair_outside(Outline *o, Map *to, int s, int t, int len, const Op *p, const Op *q)
{
	Values x = {0}, y = {0};
	used_values(o, p, &x), used_values(o, q, &y);
	if (x.n != y.n) return false;
	for (int i = 0; i < x.n; i++) {
		bool in = inside(o, x.at[i], s, len);
		if (in != inside(o, y.at[i], t, len) || x.at[i]->type != y.at[i]->type) return false;
		if (in) continue;
		if (x.at[i] != y.at[i] && (is_copied(x.at[i]) || is_copied(y.at[i])) && x.at[i]->type->rank > 0) return false;
		if (is_copied(x.at[i]) != is_copied(y.at[i])) return false;
		Value *known = map_get(to, x.at[i]);
		if (known && known != y.at[i]) return false;
		map_set(to, x.at[i], y.at[i]);
	}
	return true;
}

/* Are the len ops from t those from s again? How many of them are. */
static int equal_ops(Outline *o, int s, int t, int len)
{
	ArenaMark mark = arena_mark(o->c->scratch);
	Map to;
	map_init(&to, o->c->scratch);
	int i = 0;
	while (i < len && o->hash[s + i] == o->hash[t + i] && pair_outside(o, &to, s, t, len, o->op[s + i], o->op[t + i]) &&
	       ops_alike_under(&to, o->op[s + i], o->op[t + i]))
		i++;
	arena_reset(o->c->scratch, mark);
	return i;
}

static int by_hash(const void *x, const void *y)
{
	const Window *a = x, *b = y;
	if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
	return a->at - b->at;
}

static void sort_windows(Outline *o)
{
	int n = o->n - WINDOW + 1;
	o->window = NEW_ARRAY(o->c->scratch, Window, n + 1);
	o->next = NEW_ARRAY(o->c->scratch, int, n + 1);
	for (int i = 0; i < n; i++) {
		uint64_t h = 0;
		for (int k = 0; k < WINDOW; k++) h = mix(h, o->hash[i + k]);
		o->window[i] = (Window){h, i};
	}
	qsort(o->window, (size_t)n, sizeof *o->window, by_hash);
	for (int i = 0; i < n; i++)
		o->next[o->window[i].at] = i + 1 < n && o->window[i + 1].hash == o->window[i].hash ? o->window[i + 1].at : -1;
}

/* The copies of [start, start + len): those a multiple of the distance away, and every other place that begins alike. */
static Run copies_of(Outline *o, int start, int len)
{
	Run r = {.len = len};
	r.start = NEW_ARRAY(o->c->scratch, int, o->n / len + 2);
	for (int at = start; at >= 0; at = o->next[at]) {
		if (at + len > o->n || (r.n && at < r.start[r.n - 1] + len)) continue;
		if (r.n ? equal_ops(o, start, at, len) == len : true) r.start[r.n++] = at;
	}
	r.saved = (r.n - 1) * (o->weight[start + len] - o->weight[start]);
	return r;
}

/* Where in [from, to] the fewest values cross. */
static int best_phase(const Outline *o, int from, int to)
{
	int best = from;
	for (int i = from; i <= to; i++)
		if (o->crossing[i] < o->crossing[best]) best = i;
	return best;
}

/* --- the best run: distances at which many windows come again, and the stretches that repeat at each -------------------------------- */
static int pick_lags(Outline *o, int *lag)
{
	int *votes = NEW_ARRAY(o->c->scratch, int, o->n + 1), n = 0;
	for (int i = 0; i + WINDOW <= o->n; i++)
		for (int j = o->next[i], hops = 0; j >= 0 && hops < HOPS; j = o->next[j], hops++) votes[j - i]++;
	while (n < LAGS) {
		int best = 0;
		for (int d = 1; d < o->n; d++)
			if (votes[d] > votes[best]) best = d;
		if (!best) break;
		votes[best] = 0;
		lag[n++] = best;
	}
	return n;
}

/* A run begins where the fewest values cross, between two layers rather than within one, even if a copy is lost by it. The first copy often
 * differs, because what it computes the others share: the second is taken as the pattern as well. */
static void try_stretch(Outline *o, int from, int reach, int lag, Run *best)
{
	int len = reach < lag ? reach : lag;
	for (int first = from; first <= from + lag && first + len <= from + reach; first += lag) {
		int last = from + reach - len < first + lag - 1 ? from + reach - len : first + lag - 1, start = best_phase(o, first, last);
		int same = start + lag + len <= o->n ? equal_ops(o, start, start + lag, len) : 0;
		if (o->weight[start + same] - o->weight[start] < RUN_OPS) continue;
		Run r = copies_of(o, start, same);
		if (r.n > 1 && r.saved > best->saved) *best = r;
	}
}

static Run best_run(Outline *o)
{
	Run best = {0};
	int lag[LAGS], nlag = pick_lags(o, lag);
	for (int k = 0; k < nlag; k++)
		for (int i = 0, end; i + lag[k] < o->n; i = end + 1) {
			for (end = i; end + lag[k] < o->n && o->hash[end] == o->hash[end + lag[k]];) end++;
			if (o->weight[end] - o->weight[i] >= RUN_OPS) try_stretch(o, i, end - i, lag[k], &best);
		}
	return best;
}

/* --- the function -------------------------------------------------------------------------------------------------------------- */
static Slot *slot_of(Outline *o, Value *const *at, int n)
{
	for (int i = 0; i < o->slots.n; i++)
		if (!memcmp(o->slots.at[i].at, at, sizeof *at * (size_t)n)) return &o->slots.at[i];
	VEC_PUSH(o->c->scratch, o->slots, ((Slot){arena_copy(o->c->scratch, at, sizeof *at * (size_t)n), NULL}));
	return &o->slots.at[o->slots.n - 1];
}

static void collect_slots(Outline *o, const Run *r)
{
	Value **at = NEW_ARRAY(o->c->scratch, Value *, r->n);
	o->slots.n = 0;
	for (int i = 0; i < r->len; i++) {
		Values *used = NEW_ARRAY(o->c->scratch, Values, r->n);
		for (int k = 0; k < r->n; k++) used_values(o, o->op[r->start[k] + i], &used[k]);
		for (int j = 0; j < used[0].n; j++) {
			if (inside(o, used[0].at[j], r->start[0], r->len)) continue;
			for (int k = 0; k < r->n; k++) at[k] = used[k].at[j];
			slot_of(o, at, r->n);
		}
	}
}

static bool is_common(const Slot *s, int n)
{
	for (int k = 1; k < n; k++)
		if (!same_source(s->at[0], s->at[k])) return false;
	return is_copied(s->at[0]);
}

/* A copy of v's definition in the function. */
static void copy_in(Builder *b, Value *v, Map *env)
{
	if (map_get(env, v)) return;
	for (int i = 0; i < v->def->nin; i++) copy_in(b, v->def->in[i], env);
	clone_raw(b, v->def, env);
}

static bool used_outside(Outline *o, const Map *outside, const Run *r, int i, int k)
{
	for (int c = 0; c < r->n; c++)
		if (map_get(outside, o->op[r->start[c] + i]->out[k])) return true;
	return false;
}

/* Values of the copies that something outside of their copy reads. */
static void mark_outside_uses(Outline *o, const Run *r, Map *outside)
{
	int *copy = NEW_ARRAY(o->c->scratch, int, o->n + 1);
	for (int k = 0; k < r->n; k++)
		for (int i = 0; i < r->len; i++) copy[r->start[k] + i] = k + 1;
	for (int i = 0; i < o->n; i++) {
		Values used = {0};
		used_values(o, o->op[i], &used);
		for (int k = 0; k < used.n; k++) {
			Value *v = used.at[k];
			if (v->def && v->block == o->b && copy[v->def->mark] && copy[v->def->mark] != copy[i]) map_set(outside, v, v);
		}
	}
}

/* What the rest of the block reads of the copies: results of the function, and cheap ops on them that stay in the caller as well. */
typedef struct Part {
	Func *f;
	int *op, *out; /* of each result: op in the run, result of it */
	int nresult;
	bool *again; /* of each op of the run: computed after the call */
} Part;

static bool is_cheap(const Op *op)
{
	return op->nout == 1 && !op->nregion && (op_row(op->code)->flags & (OPF_CHEAP | OPF_VIEW));
}

static void choose_results(Outline *o, const Run *r, Part *p)
{
	Arena *a = o->c->scratch;
	Map outside;
	int most = 0, s = r->start[0];
	map_init(&outside, a);
	mark_outside_uses(o, r, &outside);
	p->again = NEW_ARRAY(a, bool, r->len);
	for (int i = 0; i < r->len; i++) most += o->op[s + i]->nout;
	p->op = NEW_ARRAY(a, int, most + 1), p->out = NEW_ARRAY(a, int, most + 1);
	for (int i = 0; i < r->len; i++) {
		Op *op = o->op[s + i];
		bool again = is_cheap(op);
		for (int k = 0; again && k < op->nin; k++)
			if (inside(o, op->in[k], s, r->len)) again = used_outside(o, &outside, r, op->in[k]->def->mark - s, op->in[k]->index);
		for (int k = 0; k < op->nout; k++) {
			if (!used_outside(o, &outside, r, i, k)) continue;
			if (again) p->again[i] = true;
			else p->op[p->nresult] = i, p->out[p->nresult++] = k;
		}
	}
}

static Part make_part(Outline *o, const Run *r)
{
	Arena *a = o->c->scratch;
	Part p = {.f = func_new(o->c->m, arena_printf(a, "%s.part", o->b->func->name))};
	p.f->facts = o->b->func->facts;
	p.f->loc = o->op[r->start[0]]->loc;
	choose_results(o, r, &p);
	note_add(o->c->m->arena, &p.f->notes, p.f->loc, "a run of %d ops that `%s` holds %d times", r->len, o->b->func->name, r->n);
	Builder b = builder_at(p.f);
	Map env;
	map_init(&env, a);
	for (int i = 0; i < o->slots.n; i++) {
		Slot *s = &o->slots.at[i];
		if (is_common(s, r->n)) continue;
		s->param = block_param(&b, p.f->body, s->at[0]->type, s->at[0]->name);
		map_set(&env, s->at[0], s->param);
	}
	for (int i = 0; i < o->slots.n; i++)
		if (!o->slots.at[i].param) copy_in(&b, o->slots.at[i].at[0], &env);
	for (int i = 0; i < r->len; i++) clone_raw(&b, o->op[r->start[0] + i], &env);
	Value **results = NEW_ARRAY(a, Value *, p.nresult + 1);
	for (int i = 0; i < p.nresult; i++) results[i] = map_get(&env, o->op[r->start[0] + p.op[i]]->out[p.out[i]]);
	block_set_results(&b, p.f->body, results, p.nresult);
	return p;
}

static Value *renamed(const Map *to, Value *v)
{
	Value *w = map_get(to, v);
	return w ? w : v;
}

/* Calls the function in place of copy k; to gives the results of the copies before, by the values that they replaced. */
static void call_part(Outline *o, const Run *r, const Part *p, int k, Map *to)
{
	Builder b = {.m = o->c->m, .block = o->b, .facts = o->b->func->facts, .loc = o->op[r->start[k]]->loc};
	Values args = {0};
	for (int i = 0; i < o->slots.n; i++)
		if (o->slots.at[i].param) VEC_PUSH(o->c->scratch, args, renamed(to, o->slots.at[i].at[k]));
	o->b->cse = NULL;
	Op *call = ir_emit_call(&b, p->f, args.at, args.n);
	o->b->cse = NULL;
	op_unlink(call);
	op_insert_before(call, o->op[r->start[k]]);
	for (int i = 0; i < p->nresult; i++) {
		Value *old = o->op[r->start[k] + p->op[i]]->out[p->out[i]];
		if (!call->out[i]->name) call->out[i]->name = old->name;
		block_replace_uses(o->b, old, call->out[i]);
		map_set(to, old, call->out[i]);
	}
	for (int i = 0; i < r->len; i++)
		if (!p->again[i]) op_unlink(o->op[r->start[k] + i]);
}

static bool outline_block(PassCtx *c, Block *b)
{
	bool changed = false;
	for (Op *op = b->first; op; op = op->next)
		for (int r = 0; r < op->nregion; r++) changed |= outline_block(c, op->region[r]);
	for (;;) {
		Outline o = {.c = c, .b = b};
		number_ops(&o);
		if (o.weight[o.n] < RUN_OPS + SAVED_OPS) return changed;
		count_crossings(&o);
		sort_windows(&o);
		Run r = best_run(&o);
		if (r.saved < SAVED_OPS) return changed;
		collect_slots(&o, &r);
		Part p = make_part(&o, &r);
		Map to;
		map_init(&to, c->scratch);
		for (int k = 0; k < r.n; k++) call_part(&o, &r, &p, k, &to);
		changed = true;
	}
}

bool pass_outline(PassCtx *c)
{
	bool changed = false;
	int n = c->m->funcs.n; /* not the new ones: nothing in them comes again that would be worth it */
	for (int i = 0; i < n; i++)
		if (!c->m->funcs.at[i]->is_test) changed |= outline_block(c, c->m->funcs.at[i]->body);
	return changed;
}
