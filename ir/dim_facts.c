/* What is known of dimensions, and what follows: division by known multiples, bounds, provable inequalities. */
#include "dim_internal.h"
#include <string.h>

typedef struct Range {
	const char *sym;
	int64_t lo, hi, step;
	DimValues values;
} Range;
typedef struct Fact {
	Dim p;
	bool equality;
} Fact;
typedef struct Subst {
	const char *sym;
	Dim by;
} Subst;
struct DimFacts {
	DimCtx *ctx;
	VEC(Range) ranges;
	VEC(Fact) facts;
	VEC(Fact) implied; /* what the ranges of substituted symbols say of what replaced them */
	VEC(Subst) substs;
};

DimFacts *dim_facts_new(DimCtx *c)
{
	DimFacts *f = NEW(c->arena, DimFacts);
	f->ctx = c;
	return f;
}

DimFacts *dim_facts_copy(const DimFacts *f)
{
	DimFacts *g = dim_facts_new(f->ctx);
	for (int i = 0; i < f->ranges.n; i++) VEC_PUSH(f->ctx->arena, g->ranges, f->ranges.at[i]);
	for (int i = 0; i < f->facts.n; i++) VEC_PUSH(f->ctx->arena, g->facts, f->facts.at[i]);
	for (int i = 0; i < f->implied.n; i++) VEC_PUSH(f->ctx->arena, g->implied, f->implied.at[i]);
	for (int i = 0; i < f->substs.n; i++) VEC_PUSH(f->ctx->arena, g->substs, f->substs.at[i]);
	return g;
}

static Range *find_range(const DimFacts *f, const char *sym)
{
	for (int i = 0; f && i < f->ranges.n; i++)
		if (!strcmp(f->ranges.at[i].sym, sym)) return &f->ranges.at[i];
	return NULL;
}

static void set_range(DimFacts *f, Range r)
{
	if (r.step > 1) {
		if (r.lo <= INT64_MAX - r.step) r.lo = (r.lo + r.step - 1) / r.step * r.step;
		if (r.hi != INT64_MAX) r.hi = r.hi / r.step * r.step;
	}
	Range *old = find_range(f, r.sym);
	if (old && !r.values.n) r.values = old->values;
	if (old) *old = r;
	else VEC_PUSH(f->ctx->arena, f->ranges, r);
}

static void imply_nonneg(DimFacts *f, Dim p)
{
	Fact x = {p, false};
	if (p && !dim_is_const(p, NULL)) VEC_PUSH(f->ctx->arena, f->implied, x);
}

/* sym is replaced by `by`: what is known of the one holds of the other. */
static void move_range(DimFacts *f, Range r, Dim by)
{
	DimCtx *c = f->ctx;
	const char *other;
	if (!dim_is_sym(by, &other)) {
		imply_nonneg(f, dim_sub(c, by, dim_int(c, r.lo)));
		if (r.hi != INT64_MAX) imply_nonneg(f, dim_sub(c, dim_int(c, r.hi), by));
		return;
	}
	Range *q = find_range(f, other), both = q ? *q : (Range){.sym = other, .hi = INT64_MAX, .step = 1};
	if (r.lo > both.lo) both.lo = r.lo;
	if (r.hi < both.hi) both.hi = r.hi;
	if (r.step > both.step && r.step % both.step == 0) both.step = r.step;
	set_range(f, both);
}

void dim_fact_range(DimFacts *f, const char *sym, int64_t lo, int64_t hi, int64_t step)
{
	Range r = {.sym = intern_str(&f->ctx->names, sym, strlen(sym)), .lo = lo < 0 ? 0 : lo, .hi = hi, .step = step < 1 ? 1 : step};
	set_range(f, r);
	Dim by = dim_norm(f, dim_sym(f->ctx, sym));
	if (by != dim_sym(f->ctx, sym)) move_range(f, r, by);
}

void dim_fact_nonneg(DimFacts *f, Dim p)
{
	if (!p || dim_is_const(p, NULL)) return;
	Fact x = {p, false};
	VEC_PUSH(f->ctx->arena, f->facts, x);
}

typedef struct FindSym {
	const DimFacts *f;
	Dim d;
	const char *best;
	Dim solution;
} FindSym;
static void try_symbol(void *p, const char *sym)
{
	FindSym *s = p;
	Dim sol = dim_solve_for(s->f->ctx, s->f, s->d, dim_int(s->f->ctx, 0), sym);
	if (sol && !dim_mentions(sol, sym)) s->best = sym, s->solution = sol; /* the last one in order: later names give way to earlier */
}

void dim_fact_equal(DimFacts *f, Dim a, Dim b)
{
	Dim d = dim_sub(f->ctx, dim_norm(f, a), dim_norm(f, b));
	if (!d || dim_is_const(d, NULL)) return;
	Fact x = {dim_sub(f->ctx, a, b), true};
	VEC_PUSH(f->ctx->arena, f->facts, x);
	FindSym s = {f, d, NULL, NULL};
	dim_symbols(d, try_symbol, &s);
	if (!s.best) return;
	Range *r = find_range(f, s.best);
	move_range(f, r ? *r : (Range){.sym = s.best, .hi = INT64_MAX, .step = 1}, s.solution);
	Subst u = {s.best, s.solution};
	VEC_PUSH(f->ctx->arena, f->substs, u);
}

Dim dim_norm(const DimFacts *f, Dim d)
{
	for (int i = 0; f && d && i < f->substs.n; i++)
		if (dim_mentions(d, f->substs.at[i].sym)) d = dim_subst(f->ctx, d, f->substs.at[i].sym, f->substs.at[i].by);
	return d;
}

bool dim_range_of(const DimFacts *f, const char *sym, int64_t *lo, int64_t *hi, int64_t *step)
{
	const Range *r = find_range(f, sym);
	*lo = r ? r->lo : 0;
	*hi = r ? r->hi : INT64_MAX;
	*step = r ? r->step : 1;
	return r != NULL;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
	while (b) {
		int64_t t = a % b;
		a = b, b = t;
	}
	return a;
}

void dim_fact_values(DimFacts *f, const char *sym, const int64_t *at, int n, bool only)
{
	int64_t step = 0;
	Range *r = find_range(f, sym);
	for (int i = 0; i < n; i++) step = common_divisor(step, at[i]);
	if (only) dim_fact_range(f, sym, at[0], at[n - 1], step);
	else if (!r) dim_fact_range(f, sym, 0, INT64_MAX, 1);
	r = find_range(f, sym);
	r->values = (DimValues){arena_copy(f->ctx->arena, at, sizeof *at * (size_t)n), n, only};
}

DimValues dim_values_of(const DimFacts *f, const char *sym)
{
	const Range *r = find_range(f, sym);
	return r ? r->values : (DimValues){0};
}

bool dim_allows(const DimFacts *f, const char *sym, int64_t n)
{
	const Range *r = find_range(f, sym);
	if (!r) return n >= 0;
	bool listed = !r->values.only;
	for (int i = 0; i < r->values.n; i++) listed |= r->values.at[i] == n;
	return listed && n >= r->lo && n <= r->hi && (r->step <= 1 || n % r->step == 0);
}

int dim_fact_count(const DimFacts *f)
{
	return f->facts.n;
}
Dim dim_fact_at(const DimFacts *f, int i, bool *is_equality)
{
	*is_equality = f->facts.at[i].equality;
	return f->facts.at[i].p;
}

/* --- division --------------------------------------------------------------------------------------------------------------------- */
/* An integer that divides the value of t for sure; 1 when nothing is known. A term with a denominator is an integer by construction. */
static int64_t known_multiple(const DimFacts *f, const Term *t)
{
	int64_t m = t->num < 0 ? -t->num : t->num;
	for (int k = 0; k < t->n; k++) {
		const Range *r = t->factor[k].atom->kind == ATOM_SYM ? find_range(f, t->factor[k].atom->name) : NULL;
		for (int e = 0; r && e < t->factor[k].exp; e++)
			if (__builtin_mul_overflow(m, r->step, &m)) return 1;
	}
	return m % t->den ? 1 : m / t->den;
}

static int64_t content(Dim d, int64_t with)
{
	for (int i = 0; i < d->n; i++) {
		if (d->term[i].den != 1) return 1;
		int64_t a = d->term[i].num < 0 ? -d->term[i].num : d->term[i].num, b = with;
		while (b) {
			int64_t t = a % b;
			a = b;
			b = t;
		}
		with = a;
	}
	return with ? with : 1;
}

static Dim floordiv_const(DimCtx *c, const DimFacts *f, Dim a, int64_t d)
{
	if (d <= 0) return NULL;
	if (d == 1) return a;
	Dim q = dim_int(c, 0), rest = q;
	for (int i = 0; i < a->n; i++) {
		Term t = a->term[i];
		if (known_multiple(f, &t) % d == 0) {
			q = dim_add(c, q, dim_scale(c, dim_term(c, &t), 1, d));
			continue;
		}
		if (t.den == 1) {
			int64_t k = t.n ? t.num / d : t.num / d - (t.num % d < 0), r = t.num - k * d;
			Term whole = {k, 1, t.n, t.factor};
			if (k) q = dim_add(c, q, dim_term(c, &whole));
			t.num = r;
			if (!r) continue;
		}
		rest = dim_add(c, rest, dim_term(c, &t));
	}
	int64_t n, hi;
	if (!q || !rest) return NULL;
	if (dim_is_const(rest, &n)) return n / d ? dim_add(c, q, dim_int(c, n / d)) : q;
	if (f && dim_provable_nonneg(f, rest) && dim_upper(f, rest, &hi) && hi < d) return q;
	int64_t g = content(rest, d);
	if (g > 1) rest = dim_scale(c, rest, 1, g), d /= g;
	return dim_add(c, q, d == 1 ? rest : dim_floor_atom(c, rest, dim_int(c, d)));
}

Dim dim_floordiv(DimCtx *c, const DimFacts *f, Dim a, Dim b)
{
	int64_t d;
	if (!a || !b) return NULL;
	if (dim_is_const(b, &d)) return floordiv_const(c, f, a, d);
	Dim exact = dim_div_exact(c, f, a, b);
	return exact ? exact : dim_floor_atom(c, a, b);
}

Dim dim_mod(DimCtx *c, const DimFacts *f, Dim a, Dim b)
{
	return dim_sub(c, a, dim_mul(c, b, dim_floordiv(c, f, a, b)));
}

/* Long division by the leading term; the quotient's terms must be integers for sure. */
Dim dim_div_exact(DimCtx *c, const DimFacts *f, Dim a, Dim b)
{
	if (!a || !b || !b->n) return NULL;
	Dim q = dim_int(c, 0);
	for (int steps = 0; a && a->n; steps++) {
		Dim t = steps < 64 ? dim_term_div(c, &a->term[0], &b->term[0]) : NULL;
		if (!t) return NULL;
		if (t->term[0].den != 1) {
			Term whole = t->term[0];
			int64_t m = whole.num < 0 ? -whole.num : whole.num;
			for (int k = 0; k < whole.n; k++) {
				const Range *r = whole.factor[k].atom->kind == ATOM_SYM ? find_range(f, whole.factor[k].atom->name) : NULL;
				for (int e = 0; r && e < whole.factor[k].exp; e++)
					if (__builtin_mul_overflow(m, r->step, &m)) return NULL;
			}
			if (m % whole.den) return NULL;
		}
		q = dim_add(c, q, t);
		a = dim_sub(c, a, dim_mul(c, t, b));
	}
	return a ? q : NULL;
}

/* --- bounds ----------------------------------------------------------------------------------------------------------------------- */
/* Closed intervals; INT64_MIN and INT64_MAX stand for unbounded. */
typedef struct Interval {
	int64_t lo, hi;
} Interval;
#define UNBOUNDED ((Interval){INT64_MIN, INT64_MAX})

static int64_t sat_add(int64_t a, int64_t b)
{
	int64_t r;
	if (a == INT64_MIN || b == INT64_MIN) return INT64_MIN;
	if (a == INT64_MAX || b == INT64_MAX) return INT64_MAX;
	if (__builtin_add_overflow(a, b, &r)) return a < 0 ? INT64_MIN : INT64_MAX;
	return r;
}

static int64_t sat_mul(int64_t a, int64_t b)
{
	int64_t r;
	if (!a || !b) return 0;
	bool neg = (a < 0) != (b < 0);
	if (a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX || __builtin_mul_overflow(a, b, &r))
		return neg ? INT64_MIN : INT64_MAX;
	return r;
}

static Interval mul(Interval a, Interval b)
{
	int64_t p[4] = {sat_mul(a.lo, b.lo), sat_mul(a.lo, b.hi), sat_mul(a.hi, b.lo), sat_mul(a.hi, b.hi)};
	Interval r = {p[0], p[0]};
	for (int i = 1; i < 4; i++) {
		if (p[i] < r.lo) r.lo = p[i];
		if (p[i] > r.hi) r.hi = p[i];
	}
	return r;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a == INT64_MIN || a == INT64_MAX ? a : a / b - (a % b < 0);
}

static Interval bounds(const DimFacts *f, Dim d, int depth);

static Interval atom_bounds(const DimFacts *f, const Atom *a, int depth)
{
	if (a->kind == ATOM_VALUE) return UNBOUNDED;
	if (a->kind == ATOM_SYM) {
		const Range *r = find_range(f, a->name);
		return r ? (Interval){r->lo, r->hi} : (Interval){0, INT64_MAX};
	}
	Interval n = bounds(f, a->num, depth + 1), d = bounds(f, a->den, depth + 1);
	if (d.lo < 1) return n.lo >= 0 ? (Interval){0, n.hi} : UNBOUNDED;
	return (Interval){floor_div(n.lo, n.lo < 0 ? d.lo : d.hi), floor_div(n.hi, n.hi < 0 ? d.hi : d.lo)};
}

/* Bounds of L*d, L the common denominator. */
static Interval scaled_bounds(const DimFacts *f, Dim d, int64_t L, int depth)
{
	Interval sum = {0, 0};
	for (int i = 0; i < d->n; i++) {
		const Term *t = &d->term[i];
		int64_t k = sat_mul(t->num, L / t->den);
		Interval p = {k, k};
		for (int j = 0; j < t->n; j++)
			for (int e = 0; e < t->factor[j].exp; e++) p = mul(p, atom_bounds(f, t->factor[j].atom, depth));
		sum.lo = sat_add(sum.lo, p.lo);
		sum.hi = sat_add(sum.hi, p.hi);
	}
	return sum;
}

static int64_t common_denominator(Dim d)
{
	int64_t L = 1;
	for (int i = 0; i < d->n; i++) {
		int64_t a = L, b = d->term[i].den;
		while (b) {
			int64_t t = a % b;
			a = b;
			b = t;
		}
		L = sat_mul(L / a, d->term[i].den);
	}
	return L;
}

static Interval bounds(const DimFacts *f, Dim d, int depth)
{
	if (!d || depth > 8) return UNBOUNDED;
	int64_t L = common_denominator(d);
	if (L == INT64_MAX) return UNBOUNDED;
	Interval s = scaled_bounds(f, d, L, depth);
	return (Interval){s.lo == INT64_MIN ? s.lo : -floor_div(s.lo == INT64_MAX ? s.lo : -s.lo, L), floor_div(s.hi, L)};
}

/* d with each floor atom (num // den, den a number, alone in its term) replaced by a bound that makes d smaller:
 * (num - den + 1) / den where its coefficient is positive, num / den where it is negative. */
static Dim relax_floors(DimCtx *c, Dim d)
{
	Dim sum = dim_int(c, 0);
	for (int i = 0; i < d->n; i++) {
		const Term *t = &d->term[i];
		const Atom *a = t->n == 1 && t->factor[0].exp == 1 ? t->factor[0].atom : NULL;
		int64_t den;
		Dim x;
		if (a && a->kind == ATOM_FLOOR && dim_is_const(a->den, &den)) {
			x = t->num > 0 ? dim_sub(c, a->num, dim_int(c, den - 1)) : a->num;
			x = dim_scale(c, dim_scale(c, x, t->num, t->den), 1, den);
		} else {
			x = dim_term(c, t);
		}
		sum = dim_add(c, sum, x);
	}
	return sum;
}

/* Interval arithmetic shows that the integer d is >= 0: L*d > -L. */
static bool nonneg_by_bounds(const DimFacts *f, Dim d)
{
	if (!d) return false;
	int64_t L = common_denominator(d);
	if (L == INT64_MAX) return false;
	int64_t lo = scaled_bounds(f, d, L, 0).lo;
	return lo != INT64_MIN && lo > -L;
}

static bool nonneg_plain(const DimFacts *f, Dim d)
{
	if (nonneg_by_bounds(f, d)) return true;
	Dim r = d ? relax_floors(f->ctx, d) : NULL;
	return r && r != d && nonneg_by_bounds(f, r);
}

static bool nonneg_with_facts(const DimFacts *f, Dim d, int depth);

/* d - k * (fact) for the k that cancel a term of d; then the rest must be >= 0. */
static bool nonneg_by_fact(const DimFacts *f, Dim d, const Fact *fact, int depth)
{
	Dim p = dim_norm(f, fact->p);
	if (!p || !p->n || !p->term[0].n) return false;
	for (int k = 0; k < d->n; k++) {
		Dim q = dim_term_div(f->ctx, &d->term[k], &p->term[0]);
		if (!q || q->term[0].n || (q->term[0].num < 0 && !fact->equality)) continue; /* a number times the fact's leading term */
		Dim rest = dim_sub(f->ctx, d, dim_scale(f->ctx, p, q->term[0].num, q->term[0].den));
		if (rest && nonneg_with_facts(f, rest, depth - 1)) return true;
	}
	return false;
}

static bool nonneg_with_facts(const DimFacts *f, Dim d, int depth)
{
	if (nonneg_plain(f, d)) return true;
	if (depth == 0) return false;
	for (int i = 0; i < f->facts.n; i++)
		if (nonneg_by_fact(f, d, &f->facts.at[i], depth)) return true;
	for (int i = 0; i < f->implied.n; i++)
		if (nonneg_by_fact(f, d, &f->implied.at[i], depth)) return true;
	return false;
}

bool dim_provable_nonneg(const DimFacts *f, Dim d)
{
	d = dim_norm(f, d);
	if (!d || nonneg_with_facts(f, d, 2)) return d != NULL;
	Dim r = relax_floors(f->ctx, d);
	return r && r != d && nonneg_with_facts(f, r, 2);
}

bool dim_provable_equal(const DimFacts *f, Dim a, Dim b)
{
	if (a == b) return a != NULL;
	Dim d = a && b ? dim_norm(f, dim_sub(a->ctx, a, b)) : NULL;
	return d && !d->n;
}

bool dim_provable_less(const DimFacts *f, Dim a, Dim b)
{
	if (!a || !b) return false;
	return dim_provable_nonneg(f, dim_sub(a->ctx, dim_sub(a->ctx, b, a), dim_int(a->ctx, 1)));
}

bool dim_upper(const DimFacts *f, Dim d, int64_t *hi)
{
	*hi = bounds(f, dim_norm(f, d), 0).hi;
	return *hi != INT64_MAX;
}

bool dim_lower(const DimFacts *f, Dim d, int64_t *lo)
{
	*lo = bounds(f, dim_norm(f, d), 0).lo;
	return *lo != INT64_MIN;
}
