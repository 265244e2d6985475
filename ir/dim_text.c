/* Dimension polynomials as text: `2*B*T+1`, `B*T/8`, `(T+1)//2`; and as C expressions. */
#include "dim_internal.h"
#include <ctype.h>
#include <string.h>

typedef struct Printer {
	StrBuf *b;
	bool c;                        /* C: spaces, renamed symbols, mx_floordiv */
	const char *(*rename)(void *ctx, const char *sym);
	void *ctx;
} Printer;

static void put_poly(Printer *p, Dim d);

static bool is_single(Dim d) { return d->n == 0 || (d->n == 1 && d->term[0].den == 1 && ((d->term[0].n == 0 && d->term[0].num > 0) || dim_is_sym(d, NULL))); }

static void put_operand(Printer *p, Dim d)
{
	bool bare = is_single(d);
	if (!bare) sb_putc(p->b, '(');
	put_poly(p, d);
	if (!bare) sb_putc(p->b, ')');
}

/* All coefficients positive: symbols are never negative, so C's truncating division is floor division. */
static bool never_negative(Dim d)
{
	for (int i = 0; i < d->n; i++) {
		if (d->term[i].num < 0) return false;
		for (int k = 0; k < d->term[i].n; k++)
			if (d->term[i].factor[k].atom->kind == ATOM_VALUE) return false;
	}
	return true;
}

static void put_atom(Printer *p, const Atom *a, bool alone)
{
	if (a->kind == ATOM_SYM) {
		sb_put(p->b, p->c && p->rename ? p->rename(p->ctx, a->name) : a->name);
	} else if (a->kind == ATOM_VALUE) {
		sb_printf(p->b, "%%%d", a->id);
	} else if (p->c && !never_negative(a->num)) {
		sb_put(p->b, "mx_floordiv(");
		put_poly(p, a->num);
		sb_put(p->b, ", ");
		put_poly(p, a->den);
		sb_putc(p->b, ')');
	} else {
		if (!alone) sb_putc(p->b, '(');
		put_operand(p, a->num);
		sb_put(p->b, p->c ? " / " : "//");
		put_operand(p, a->den);
		if (!alone) sb_putc(p->b, ')');
	}
}

static void put_term(Printer *p, const Term *t, bool alone)
{
	uint64_t k = t->num < 0 ? -(uint64_t)t->num : (uint64_t)t->num;
	const char *times = p->c ? " * " : "*";
	bool first = true;
	if (k != 1 || t->n == 0) sb_printf(p->b, "%llu", (unsigned long long)k), first = false;
	for (int i = 0; i < t->n; i++)
		for (int e = 0; e < t->factor[i].exp; e++) {
			if (!first) sb_put(p->b, times);
			put_atom(p, t->factor[i].atom, alone && t->n == 1 && k == 1 && t->den == 1 && t->factor[i].exp == 1);
			first = false;
		}
	if (t->den != 1) sb_printf(p->b, p->c ? " / %lld" : "/%lld", (long long)t->den);
}

static void put_poly(Printer *p, Dim d)
{
	if (!d->n) sb_putc(p->b, '0');
	for (int i = 0; i < d->n; i++) {
		bool neg = d->term[i].num < 0;
		if (i) sb_put(p->b, p->c ? (neg ? " - " : " + ") : (neg ? "-" : "+"));
		else if (neg) sb_putc(p->b, '-');
		put_term(p, &d->term[i], d->n == 1 && !neg);
	}
}

void dim_print(StrBuf *b, Dim d)
{
	Printer p = {b, false, NULL, NULL};
	if (d) put_poly(&p, d);
	else sb_put(b, "?");
}

char *dim_str(Arena *a, Dim d)
{
	StrBuf b;
	sb_init(&b, a);
	dim_print(&b, d);
	return arena_strdup(a, sb_text(&b));
}

void dim_print_c(StrBuf *b, Dim d, const char *(*rename)(void *ctx, const char *sym), void *ctx)
{
	Printer p = {b, true, rename, ctx};
	put_operand(&p, d);
}

/* --- reading: sum = ["-"] product {("+"|"-") product}; product = atom {("*" | "/" | "//") atom}; atom = number | name | "(" sum ")" --- */
typedef struct Reader { DimCtx *c; const char *p, *error; int depth; } Reader;

static Dim read_sum(Reader *r);

static void skip(Reader *r)
{
	while (*r->p == ' ') r->p++;
}

static Dim read_atom(Reader *r)
{
	skip(r);
	if (isdigit((unsigned char)*r->p)) {
		int64_t n = 0;
		while (isdigit((unsigned char)*r->p))
			if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *r->p++ - '0', &n)) return r->error = "number too large", NULL;
		return dim_int(r->c, n);
	}
	if (isalpha((unsigned char)*r->p) || *r->p == '_') {
		const char *s = r->p;
		while (isalnum((unsigned char)*r->p) || *r->p == '_') r->p++;
		return dim_sym(r->c, intern_str(&r->c->names, s, (size_t)(r->p - s)));
	}
	if (*r->p != '(') return r->error = "expected a number, a name or `(` in a dimension", NULL;
	if (++r->depth > 50) return r->error = "dimension nested too deeply", NULL;
	r->p++;
	Dim d = read_sum(r);
	r->depth--;
	skip(r);
	if (!d) return NULL;
	if (*r->p != ')') return r->error = "expected `)` in a dimension", NULL;
	r->p++;
	return d;
}

static Dim read_product(Reader *r)
{
	Dim d = read_atom(r);
	for (int n = 0; d; n++) {
		skip(r);
		bool floor = r->p[0] == '/' && r->p[1] == '/';
		char op = *r->p;
		if (op != '*' && op != '/') return d;
		if (n > 200) return r->error = "dimension too long", NULL;
		r->p += floor ? 2 : 1;
		Dim e = read_atom(r);
		int64_t k;
		if (!e) return NULL;
		if (op == '*') d = dim_mul(r->c, d, e);
		else if (dim_is_const(e, &k) && k <= 0) return r->error = "division by a number that is not positive", NULL;
		else if (floor) d = dim_floordiv(r->c, NULL, d, e);
		else if (dim_is_const(e, &k)) d = dim_scale(r->c, d, 1, k);
		else return r->error = "exact division needs a number", NULL;
		if (!d) r->error = "dimension out of range";
	}
	return d;
}

static Dim read_sum(Reader *r)
{
	skip(r);
	bool neg = *r->p == '-';
	if (neg) r->p++;
	Dim sum = read_product(r);
	if (neg) sum = dim_scale(r->c, sum, -1, 1);
	for (int n = 0; sum; n++) {
		skip(r);
		char op = *r->p;
		if ((op != '+' && op != '-') || (op == '-' && r->p[1] == '>')) return sum;
		if (n > 200) return r->error = "dimension too long", NULL;
		r->p++;
		Dim t = read_product(r);
		if (!t) return NULL;
		sum = op == '+' ? dim_add(r->c, sum, t) : dim_sub(r->c, sum, t);
		if (!sum) r->error = "dimension out of range";
	}
	return sum;
}

Dim dim_parse(DimCtx *c, const char **p, const char **error)
{
	Reader r = {c, *p, NULL, 0};
	Dim d = read_sum(&r);
	*p = r.p;
	if (!d && !r.error) r.error = "dimension out of range";
	*error = r.error;
	return d;
}
