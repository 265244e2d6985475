/* Dimension polynomials: interning, arithmetic, substitution, evaluation. Provers are in dim_facts.c, text in dim_text.c.
 *
 * A polynomial is a sorted list of terms (higher degree first, then by atom, the constant last); a term is a fraction in lowest terms
 * times a sorted product of atoms. Everything is interned, so canonical form makes equality a pointer comparison. */
#include "dim_internal.h"
#include <stdlib.h>
#include <string.h>

DimCtx *dim_ctx_new(Arena *a)
{
	DimCtx *c = NEW(a, DimCtx);
	c->arena = a;
	intern_init(&c->names, a);
	return c;
}

static int64_t gcd64(int64_t a, int64_t b)
{
	uint64_t x = a < 0 ? -(uint64_t)a : (uint64_t)a, y = b < 0 ? -(uint64_t)b : (uint64_t)b;
	while (y) {
		uint64_t t = x % y;
		x = y;
		y = t;
	}
	return (int64_t)x;
}

/* --- order ------------------------------------------------------------------------------------------------------------------------ */
static int poly_compare(Dim a, Dim b);

int dim_atom_compare(const Atom *a, const Atom *b)
{
	if (a == b) return 0;
	if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case ATOM_SYM: return strcmp(a->name, b->name);
	case ATOM_VALUE: return a->id < b->id ? -1 : 1;
	default: {
		int c = poly_compare(a->num, b->num);
		return c ? c : poly_compare(a->den, b->den);
	}
	}
}

static int degree(const Term *t)
{
	int n = 0;
	for (int i = 0; i < t->n; i++) n += t->factor[i].exp;
	return n;
}

/* Order of the products alone, coefficients aside. */
static int product_compare(const Term *a, const Term *b)
{
	int da = degree(a), db = degree(b);
	if (da != db) return da > db ? -1 : 1;
	for (int i = 0; i < a->n && i < b->n; i++) {
		int c = dim_atom_compare(a->factor[i].atom, b->factor[i].atom);
		if (c) return c;
		if (a->factor[i].exp != b->factor[i].exp) return a->factor[i].exp > b->factor[i].exp ? -1 : 1;
	}
	return a->n == b->n ? 0 : a->n > b->n ? -1 : 1;
}

static int term_compare(const void *pa, const void *pb)
{
	return product_compare(pa, pb);
}

static int poly_compare(Dim a, Dim b)
{
	if (a == b) return 0;
	for (int i = 0; i < a->n && i < b->n; i++) {
		const Term *s = &a->term[i], *t = &b->term[i];
		int c = product_compare(s, t);
		if (c) return c;
		if (s->num != t->num) return s->num < t->num ? -1 : 1;
		if (s->den != t->den) return s->den < t->den ? -1 : 1;
	}
	return a->n < b->n ? -1 : 1;
}

/* --- interning -------------------------------------------------------------------------------------------------------------------- */
static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 29;
}

static uint64_t poly_hash(const Term *t, int n)
{
	uint64_t h = (uint64_t)n;
	for (int i = 0; i < n; i++) {
		h = mix(mix(h, (uint64_t)t[i].num), (uint64_t)t[i].den);
		for (int k = 0; k < t[i].n; k++) h = mix(mix(h, (uint64_t)t[i].factor[k].atom->id), (uint64_t)t[i].factor[k].exp);
	}
	return h;
}

static bool same_terms(const Term *a, const Term *b, int n)
{
	for (int i = 0; i < n; i++) {
		if (a[i].num != b[i].num || a[i].den != b[i].den || a[i].n != b[i].n) return false;
		for (int k = 0; k < a[i].n; k++)
			if (a[i].factor[k].atom != b[i].factor[k].atom || a[i].factor[k].exp != b[i].factor[k].exp) return false;
	}
	return true;
}

static Dim intern_poly(DimCtx *c, const Term *t, int n)
{
	if (2 * (c->npoly + 1) > c->cap) {
		int cap = c->cap ? 2 * c->cap : 256;
		Dim *slots = NEW_ARRAY(c->arena, Dim, cap);
		for (int i = 0; i < c->cap; i++)
			if (c->slots[i]) {
				size_t k = c->slots[i]->hash & (size_t)(cap - 1);
				while (slots[k]) k = (k + 1) & (size_t)(cap - 1);
				slots[k] = c->slots[i];
			}
		c->slots = slots;
		c->cap = cap;
	}
	uint64_t h = poly_hash(t, n);
	size_t k = h & (size_t)(c->cap - 1);
	for (; c->slots[k]; k = (k + 1) & (size_t)(c->cap - 1))
		if (c->slots[k]->hash == h && c->slots[k]->n == n && same_terms(c->slots[k]->term, t, n)) return c->slots[k];
	struct DimPoly *p = arena_alloc(c->arena, sizeof *p + sizeof(Term) * (size_t)n);
	p->ctx = c;
	p->hash = h;
	p->n = n;
	for (int i = 0; i < n; i++) {
		p->term[i] = t[i];
		p->term[i].factor = arena_copy(c->arena, t[i].factor, sizeof(Factor) * (size_t)t[i].n);
	}
	c->npoly++;
	return c->slots[k] = p;
}

/* Sorts, merges equal products, drops zeros. NULL on overflow. */
static Dim make_poly(DimCtx *c, Term *t, int n)
{
	qsort(t, (size_t)n, sizeof *t, term_compare);
	int m = 0;
	for (int i = 0; i < n; i++) {
		if (m && !product_compare(&t[m - 1], &t[i])) {
			if (!dim_frac_add(&t[m - 1].num, &t[m - 1].den, t[i].num, t[i].den)) return NULL;
		} else {
			if (m && t[m - 1].num == 0) m--;
			t[m++] = t[i];
		}
	}
	if (m && t[m - 1].num == 0) m--;
	return intern_poly(c, t, m);
}

static const Atom *intern_atom(DimCtx *c, Atom key)
{
	for (int i = 0; i < c->atoms.n; i++) {
		const Atom *a = c->atoms.at[i];
		if (a->kind != key.kind) continue;
		if (key.kind == ATOM_SYM     ? a->name == key.name
		    : key.kind == ATOM_VALUE ? a->value == key.value
		                             : a->num == key.num && a->den == key.den)
			return a;
	}
	Atom *a = arena_copy(c->arena, &key, sizeof key);
	if (key.kind != ATOM_VALUE) a->id = c->atoms.n;
	VEC_PUSH(c->arena, c->atoms, a);
	return a;
}

Dim dim_of_atom(DimCtx *c, const Atom *a)
{
	Factor f = {a, 1};
	return intern_poly(c, &(Term){1, 1, 1, &f}, 1);
}

Dim dim_floor_atom(DimCtx *c, Dim num, Dim den)
{
	return dim_of_atom(c, intern_atom(c, (Atom){.kind = ATOM_FLOOR, .num = num, .den = den}));
}

Dim dim_int(DimCtx *c, int64_t n)
{
	Term t = {n, 1, 0, NULL};
	return intern_poly(c, &t, n != 0);
}

Dim dim_sym(DimCtx *c, const char *name)
{
	return dim_of_atom(c, intern_atom(c, (Atom){.kind = ATOM_SYM, .name = intern_str(&c->names, name, strlen(name))}));
}

Dim dim_value(DimCtx *c, void *value, int id)
{
	return dim_of_atom(c, intern_atom(c, (Atom){.kind = ATOM_VALUE, .value = value, .id = id}));
}

/* --- arithmetic ------------------------------------------------------------------------------------------------------------------- */
/* a += b in lowest terms. */
bool dim_frac_add(int64_t *num, int64_t *den, int64_t bn, int64_t bd)
{
	__int128 n = (__int128)*num * bd + (__int128)bn * *den, d = (__int128)*den * bd;
	__int128 x = n < 0 ? -n : n, y = d;
	while (y) {
		__int128 t = x % y;
		x = y;
		y = t;
	}
	if (x > 1) n /= x, d /= x;
	if (n > INT64_MAX || n < -INT64_MAX || d > INT64_MAX) return false;
	*num = (int64_t)n;
	*den = (int64_t)d;
	return true;
}

static bool frac_mul(int64_t *num, int64_t *den, int64_t bn, int64_t bd)
{
	int64_t g = gcd64(*num, bd), h = gcd64(bn, *den);
	int64_t n1 = g ? *num / g : *num, d2 = g ? bd / g : bd, n2 = h ? bn / h : bn, d1 = h ? *den / h : *den;
	if (__builtin_mul_overflow(n1, n2, num) || __builtin_mul_overflow(d1, d2, den)) return false;
	return *num != INT64_MIN;
}

Dim dim_add(DimCtx *c, Dim a, Dim b)
{
	if (!a || !b) return NULL;
	if (!a->n) return b;
	if (!b->n) return a;
	Term *t = malloc(sizeof *t * (size_t)(a->n + b->n));
	memcpy(t, a->term, sizeof *t * (size_t)a->n);
	memcpy(t + a->n, b->term, sizeof *t * (size_t)b->n);
	Dim r = make_poly(c, t, a->n + b->n);
	free(t);
	return r;
}

Dim dim_scale(DimCtx *c, Dim a, int64_t num, int64_t den)
{
	if (!a) return NULL;
	if (!num) return dim_int(c, 0);
	if (den < 0) num = -num, den = -den;
	int64_t g = gcd64(num, den);
	num /= g, den /= g;
	if (num == 1 && den == 1) return a;
	Term *t = malloc(sizeof *t * (size_t)(a->n + 1));
	Dim r = NULL;
	for (int i = 0; i < a->n; i++) {
		t[i] = a->term[i];
		if (!frac_mul(&t[i].num, &t[i].den, num, den)) goto done;
	}
	r = intern_poly(c, t, a->n);
done:
	free(t);
	return r;
}

Dim dim_sub(DimCtx *c, Dim a, Dim b)
{
	return a == b && a ? dim_int(c, 0) : dim_add(c, a, dim_scale(c, b, -1, 1));
}

/* Merges two sorted products into f (room for both); returns the number of factors. */
static int product_mul(const Term *a, const Term *b, Factor *f)
{
	int n = 0, i = 0, k = 0;
	while (i < a->n || k < b->n) {
		int c = i == a->n ? 1 : k == b->n ? -1 : dim_atom_compare(a->factor[i].atom, b->factor[k].atom);
		if (c < 0) f[n++] = a->factor[i++];
		else if (c > 0) f[n++] = b->factor[k++];
		else f[n++] = (Factor){a->factor[i].atom, a->factor[i++].exp + b->factor[k++].exp};
	}
	return n;
}

Dim dim_mul(DimCtx *c, Dim a, Dim b)
{
	if (!a || !b) return NULL;
	if (!a->n || !b->n) return dim_int(c, 0);
	if (a->n > 256 || b->n > 256) return NULL;
	Dim r = NULL;
	int n = 0, nf = 0;
	for (int i = 0; i < a->n; i++)
		for (int k = 0; k < b->n; k++) nf += a->term[i].n + b->term[k].n;
	Term *t = malloc(sizeof *t * (size_t)(a->n * b->n));
	Factor *f = malloc(sizeof *f * (size_t)(nf + 1)), *at = f;
	for (int i = 0; i < a->n; i++)
		for (int k = 0; k < b->n; k++) {
			Term x = {a->term[i].num, a->term[i].den, 0, at};
			if (!frac_mul(&x.num, &x.den, b->term[k].num, b->term[k].den)) goto done;
			x.n = product_mul(&a->term[i], &b->term[k], at);
			if (degree(&x) > 64) goto done;
			at += x.n;
			t[n++] = x;
		}
	r = make_poly(c, t, n);
done:
	free(t);
	free(f);
	return r;
}

bool dim_is_const(Dim d, int64_t *out)
{
	if (!d || d->n > 1 || (d->n == 1 && (d->term[0].n || d->term[0].den != 1))) return false;
	if (out) *out = d->n ? d->term[0].num : 0;
	return true;
}

bool dim_is(Dim d, int64_t n)
{
	int64_t value;
	return dim_is_const(d, &value) && value == n;
}

bool dim_equal(Dim a, Dim b)
{
	return a == b;
}

bool dim_is_sym(Dim d, const char **name)
{
	if (!d || d->n != 1 || d->term[0].n != 1 || d->term[0].num != 1 || d->term[0].den != 1) return false;
	Factor f = d->term[0].factor[0];
	if (f.exp != 1 || f.atom->kind != ATOM_SYM) return false;
	if (name) *name = f.atom->name;
	return true;
}

bool dim_has_value_atom(Dim d)
{
	if (!d) return false;
	for (int i = 0; i < d->n; i++)
		for (int k = 0; k < d->term[i].n; k++) {
			const Atom *a = d->term[i].factor[k].atom;
			if (a->kind == ATOM_VALUE) return true;
			if (a->kind == ATOM_FLOOR && (dim_has_value_atom(a->num) || dim_has_value_atom(a->den))) return true;
		}
	return false;
}

/* --- substitution, symbols, evaluation --------------------------------------------------------------------------------------------- */
static bool mentions(Dim d, const char *sym)
{
	for (int i = 0; i < d->n; i++)
		for (int k = 0; k < d->term[i].n; k++) {
			const Atom *a = d->term[i].factor[k].atom;
			if (a->kind == ATOM_SYM && !strcmp(a->name, sym)) return true;
			if (a->kind == ATOM_FLOOR && (mentions(a->num, sym) || mentions(a->den, sym))) return true;
		}
	return false;
}

bool dim_mentions(Dim d, const char *sym)
{
	return mentions(d, sym);
}

Dim dim_subst(DimCtx *c, Dim d, const char *sym, Dim by)
{
	if (!d || !by) return NULL;
	if (!mentions(d, sym)) return d;
	Dim sum = dim_int(c, 0);
	for (int i = 0; i < d->n; i++) {
		Dim product = dim_scale(c, dim_int(c, 1), d->term[i].num, d->term[i].den);
		for (int k = 0; k < d->term[i].n; k++) {
			Factor f = d->term[i].factor[k];
			Dim x = f.atom->kind == ATOM_SYM && !strcmp(f.atom->name, sym) ? by : dim_of_atom(c, f.atom);
			if (f.atom->kind == ATOM_FLOOR)
				x = dim_floordiv(c, NULL, dim_subst(c, f.atom->num, sym, by), dim_subst(c, f.atom->den, sym, by));
			for (int e = 0; e < f.exp; e++) product = dim_mul(c, product, x);
		}
		sum = dim_add(c, sum, product);
	}
	return sum;
}

static void symbols(Dim d, VEC_OF_NAMES *seen, Arena *a)
{
	for (int i = 0; i < d->n; i++)
		for (int k = 0; k < d->term[i].n; k++) {
			const Atom *at = d->term[i].factor[k].atom;
			if (at->kind == ATOM_FLOOR) symbols(at->num, seen, a), symbols(at->den, seen, a);
			if (at->kind != ATOM_SYM) continue;
			int j = 0;
			while (j < seen->n && seen->at[j] != at->name) j++;
			if (j == seen->n) VEC_PUSH(a, *seen, at->name);
		}
}

void dim_symbols(Dim d, void (*fn)(void *ctx, const char *sym), void *ctx)
{
	if (!d) return;
	VEC_OF_NAMES seen = {0};
	symbols(d, &seen, d->ctx->arena);
	for (int i = 0; i < seen.n; i++) fn(ctx, seen.at[i]);
}

/* The term of d that holds exactly sym to the first power and nothing else; NULL if sym stands anywhere else too. */
static const Term *linear_term(Dim d, const char *sym)
{
	const Term *found = NULL;
	for (int i = 0; i < d->n; i++) {
		const Term *t = &d->term[i];
		for (int k = 0; k < t->n; k++) {
			const Atom *a = t->factor[k].atom;
			if (a->kind == ATOM_FLOOR && (mentions(a->num, sym) || mentions(a->den, sym))) return NULL;
			if (a->kind != ATOM_SYM || strcmp(a->name, sym)) continue;
			if (found || t->n != 1 || t->factor[k].exp != 1) return NULL;
			found = t;
		}
	}
	return found;
}

/* d = coefficient * sym + rest? Then sym = (value - rest) / coefficient, if that is an integer for sure. */
Dim dim_solve_for(DimCtx *c, const DimFacts *f, Dim d, Dim value, const char *sym)
{
	const Term *t = linear_term(d, sym);
	if (!t) return NULL;
	Factor fac = t->factor[0];
	Term only = {t->num, t->den, 1, &fac};
	Dim rest = dim_sub(c, d, intern_poly(c, &only, 1));
	Dim right = dim_scale(c, dim_sub(c, value, rest), t->den, 1);
	int64_t k = t->num;
	if (k < 0) right = dim_scale(c, right, -1, 1), k = -k;
	if (k == 1) return right;
	return dim_div_exact(c, f, right, dim_int(c, k));
}

typedef struct Unknown {
	bool (*known)(void *ctx, const char *sym);
	void *ctx;
	const char *name;
	int n;
} Unknown;
static void note_unknown(void *p, const char *sym)
{
	Unknown *u = p;
	if (u->known(u->ctx, sym)) return;
	u->name = sym;
	u->n++;
}

bool dim_solve(DimCtx *c, const DimFacts *f, Dim d, Dim value, bool (*known)(void *ctx, const char *sym), void *ctx, const char **sym,
               Dim *solution)
{
	Unknown u = {known, ctx, NULL, 0};
	dim_symbols(d, note_unknown, &u);
	if (u.n != 1) return false;
	Dim s = dim_solve_for(c, f, d, value, u.name);
	if (!s) return false;
	*sym = u.name;
	*solution = s;
	return true;
}

DimEnv *dim_env_new(Arena *a)
{
	DimEnv *e = NEW(a, DimEnv);
	e->arena = a;
	return e;
}

void dim_env_set(DimEnv *e, const char *sym, int64_t n)
{
	for (int i = 0; i < e->items.n; i++)
		if (!strcmp(e->items.at[i].name, sym)) {
			e->items.at[i].value = n;
			return;
		}
	EnvItem item = {sym, n};
	VEC_PUSH(e->arena, e->items, item);
}

bool dim_env_get(const DimEnv *e, const char *sym, int64_t *n)
{
	if (!e) return false;
	for (int i = 0; i < e->items.n; i++)
		if (!strcmp(e->items.at[i].name, sym)) return *n = e->items.at[i].value, true;
	return false;
}

static bool eval_atom(const Atom *a, const DimEnv *e, int64_t *out)
{
	if (a->kind == ATOM_SYM) return dim_env_get(e, a->name, out);
	int64_t n, d;
	if (a->kind == ATOM_VALUE || !dim_eval(a->num, e, &n) || !dim_eval(a->den, e, &d) || d <= 0) return false;
	*out = n / d - (n % d < 0);
	return true;
}

bool dim_eval(Dim d, const DimEnv *e, int64_t *out)
{
	if (!d) return false;
	int64_t num = 0, den = 1;
	for (int i = 0; i < d->n; i++) {
		int64_t p = d->term[i].num, x;
		for (int k = 0; k < d->term[i].n; k++) {
			if (!eval_atom(d->term[i].factor[k].atom, e, &x)) return false;
			for (int j = 0; j < d->term[i].factor[k].exp; j++)
				if (__builtin_mul_overflow(p, x, &p)) return false;
		}
		if (!dim_frac_add(&num, &den, p, d->term[i].den)) return false;
	}
	*out = num / den - (num % den < 0);
	return true;
}

/* --- division --------------------------------------------------------------------------------------------------------------------- */
/* t / s as a term when every factor of s is in t. */
static Dim term_div(DimCtx *c, const Term *t, const Term *s)
{
	Factor f[64];
	Term r = {t->num, t->den, 0, f};
	if (t->n > 64 || !frac_mul(&r.num, &r.den, s->den, s->num < 0 ? -s->num : s->num)) return NULL;
	if (s->num < 0) r.num = -r.num;
	int k = 0;
	for (int i = 0; i < t->n; i++) {
		Factor x = t->factor[i];
		if (k < s->n && s->factor[k].atom == x.atom) x.exp -= s->factor[k++].exp;
		if (x.exp < 0) return NULL;
		if (x.exp) f[r.n++] = x;
	}
	return k == s->n ? intern_poly(c, &r, 1) : NULL;
}

Dim dim_term(DimCtx *c, const Term *t)
{
	return intern_poly(c, t, 1);
}

Dim dim_term_div(DimCtx *c, const Term *t, const Term *s)
{
	return term_div(c, t, s);
}
