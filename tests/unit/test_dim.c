/* Dimension polynomials: examples from the language page, and properties on random polynomials checked against plain integers. */
#include <check.h>
#include <string.h>
#include "../../ir/dim.h"

static Arena *arena;
static DimCtx *ctx;
static void setup(void)
{
	arena = arena_new(0, NULL, NULL);
	ctx = dim_ctx_new(arena);
}
static void teardown(void)
{
	arena_free(arena);
}

static Dim parse(const char *s)
{
	const char *p = s, *error = NULL;
	Dim d = dim_parse(ctx, &p, &error);
	ck_assert_msg(d && !*p, "cannot read `%s`: %s", s, error ? error : p);
	return d;
}
static const char *text(Dim d)
{
	return d ? dim_str(arena, d) : "NULL";
}
#define ASSERT_SAME(a, b) ck_assert_msg((a) == (b), "%s != %s", text(a), text(b))
#define ASSERT_TEXT(d, s) ck_assert_str_eq(text(d), s)

START_TEST(canonical)
{
	ASSERT_SAME(parse("B*T"), parse("T*B"));
	ASSERT_SAME(parse("2*B*T+1"), parse("1+B*2*T"));
	ASSERT_SAME(parse("(B+1)*(B-1)"), parse("B*B-1"));
	ASSERT_SAME(parse("(B+T)-(T+B)"), dim_int(ctx, 0));
	ASSERT_TEXT(parse("1+2*T*B"), "2*B*T+1");
	ASSERT_TEXT(parse("-3"), "-3");
	ASSERT_TEXT(parse("-T+B"), "B-T");
	ASSERT_TEXT(parse("(T+1)//2"), "(T+1)//2");
	ASSERT_TEXT(parse("2*((T+1)//2)+B"), "B+2*((T+1)//2)");
	ASSERT_TEXT(parse("B*T/8"), "B*T/8");
	ASSERT_TEXT(parse("(T+9)//2"), "((T+1)//2)+4");
	ASSERT_TEXT(parse("(2*T)//4"), "T//2");
	ASSERT_TEXT(parse("(4*T+2)//2"), "2*T+1");
}
END_TEST

START_TEST(division_by_known_multiples)
{
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_range(f, "T", 8, 512, 8);
	Dim t8 = dim_floordiv(ctx, f, parse("T"), dim_int(ctx, 8));
	ASSERT_SAME(t8, parse("T/8"));
	ASSERT_SAME(dim_mul(ctx, dim_int(ctx, 8), t8), parse("T"));
	Dim q = dim_floordiv(ctx, f, parse("B*T"), dim_int(ctx, 8));
	ASSERT_SAME(dim_mul(ctx, dim_int(ctx, 512), q), parse("64*B*T"));
	ASSERT_SAME(dim_mod(ctx, f, parse("T+3"), dim_int(ctx, 8)), dim_int(ctx, 3));
	ASSERT_SAME(dim_floordiv(ctx, f, parse("T+3"), dim_int(ctx, 8)), t8);
	ASSERT_SAME(dim_floordiv(ctx, NULL, parse("T"), dim_int(ctx, 8)), parse("T//8"));
	ck_assert(dim_floordiv(ctx, NULL, parse("T"), dim_int(ctx, 8)) != t8);
	ASSERT_SAME(dim_floordiv(ctx, f, dim_int(ctx, -7), dim_int(ctx, 2)), dim_int(ctx, -4));
	ASSERT_SAME(dim_floordiv(ctx, f, parse("B*T"), parse("B")), parse("T"));
	dim_fact_range(f, "S", 0, 7, 1);
	ASSERT_SAME(dim_floordiv(ctx, f, parse("S"), dim_int(ctx, 8)), dim_int(ctx, 0));
}
END_TEST

START_TEST(exact_quotients)
{
	ASSERT_SAME(dim_div_exact(ctx, NULL, parse("6*B*T"), parse("2*T")), parse("3*B"));
	ASSERT_SAME(dim_div_exact(ctx, NULL, parse("B*B-1"), parse("B+1")), parse("B-1"));
	ASSERT_SAME(dim_div_exact(ctx, NULL, parse("B*T"), dim_int(ctx, 2)), NULL);
	ASSERT_SAME(dim_div_exact(ctx, NULL, parse("B"), parse("T")), NULL);
	ASSERT_SAME(dim_div_exact(ctx, NULL, parse("B+1"), parse("B")), NULL);
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_range(f, "T", 8, INT64_MAX, 8);
	ASSERT_SAME(dim_div_exact(ctx, f, parse("B*T"), dim_int(ctx, 4)), parse("B*T/4"));
	ASSERT_SAME(dim_div_exact(ctx, f, parse("B*T"), dim_int(ctx, 16)), NULL);
	ASSERT_SAME(dim_div_exact(ctx, NULL, dim_int(ctx, 0), parse("B")), dim_int(ctx, 0));
}
END_TEST

START_TEST(equalities)
{
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_equal(f, parse("N"), parse("M"));
	ck_assert(dim_provable_equal(f, parse("N*K"), parse("K*M")));
	ASSERT_SAME(dim_norm(f, parse("N+1")), dim_norm(f, parse("M+1")));
	ck_assert(!dim_provable_equal(f, parse("N"), parse("K")));
	dim_fact_equal(f, parse("A"), parse("2*C+1"));
	ck_assert(dim_provable_equal(f, parse("A-1"), parse("2*C")));
	ck_assert(dim_provable_nonneg(f, parse("A-1")));
	bool equality;
	ck_assert_int_eq(dim_fact_count(f), 2);
	dim_fact_at(f, 1, &equality);
	ck_assert(equality);
	DimFacts *g = dim_facts_copy(f);
	dim_fact_equal(g, parse("K"), dim_int(ctx, 3));
	ck_assert(dim_provable_equal(g, parse("K*N"), parse("3*M")));
	ck_assert(!dim_provable_equal(f, parse("K"), dim_int(ctx, 3)));
}
END_TEST

START_TEST(chained_equalities)
{
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_equal(f, parse("A"), parse("B"));
	dim_fact_equal(f, parse("B"), parse("C"));
	dim_fact_equal(f, parse("C"), parse("D"));
	ck_assert(dim_provable_equal(f, parse("A"), parse("D")));
	ck_assert(dim_provable_equal(f, parse("A*B"), parse("D*D")));
	dim_fact_range(f, "D", 4, 9, 1);
	ck_assert(dim_provable_less(f, parse("A"), dim_int(ctx, 10)));
	dim_fact_equal(f, parse("E"), parse("2*F+1"));
	dim_fact_range(f, "E", 5, 9, 1);
	ck_assert(dim_provable_nonneg(f, parse("F-2")));
	ck_assert(dim_provable_less(f, parse("F"), dim_int(ctx, 5)));
	dim_fact_equal(f, parse("G"), parse("H-3"));
	ck_assert(dim_provable_nonneg(f, parse("H-3")));
	ck_assert_int_eq(dim_fact_count(f), 5);
}
END_TEST

START_TEST(inequalities)
{
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_range(f, "B", 1, 256, 1);
	ck_assert(dim_provable_nonneg(f, parse("B-1")));
	ck_assert(!dim_provable_nonneg(f, parse("B-2")));
	ck_assert(dim_provable_less(f, parse("B"), dim_int(ctx, 257)));
	ck_assert(!dim_provable_less(f, parse("B"), dim_int(ctx, 256)));
	ck_assert(!dim_provable_nonneg(f, parse("N-16")));
	dim_fact_nonneg(f, parse("N-16"));
	ck_assert(dim_provable_nonneg(f, parse("N-16")));
	ck_assert(dim_provable_nonneg(f, parse("2*N-20")));
	ck_assert(!dim_provable_nonneg(f, parse("N-17")));
	dim_fact_nonneg(f, parse("M-N"));
	ck_assert(dim_provable_nonneg(f, parse("M-16")));
	ck_assert(dim_provable_nonneg(f, parse("M+N-32")));
	ck_assert(dim_provable_nonneg(f, parse("T-2*(T//2)")));
	ck_assert(dim_provable_less(f, parse("T-2*(T//2)"), dim_int(ctx, 2)));
	ck_assert(dim_provable_nonneg(f, parse("(T+1)//2-T//2")));
	ck_assert(!dim_provable_less(f, parse("K//2"), parse("K")));
	dim_fact_nonneg(f, parse("K-1"));
	ck_assert(dim_provable_less(f, parse("K//2"), parse("K")));
	int64_t hi, lo;
	ck_assert(dim_upper(f, parse("64*B+3"), &hi) && hi == 64 * 256 + 3);
	ck_assert(dim_lower(f, parse("64*B+3"), &lo) && lo == 67);
	ck_assert(!dim_upper(f, parse("K"), &hi));
	ck_assert(dim_lower(f, parse("K"), &lo) && lo == 0);
}
END_TEST

static bool known_b(void *c, const char *sym)
{
	return !strcmp(sym, "B");
}
START_TEST(solving)
{
	const char *sym;
	Dim s;
	ck_assert(dim_solve(ctx, NULL, parse("2*K+1"), dim_int(ctx, 7), known_b, NULL, &sym, &s));
	ck_assert_str_eq(sym, "K");
	ASSERT_SAME(s, dim_int(ctx, 3));
	ck_assert(!dim_solve(ctx, NULL, parse("2*K+1"), dim_int(ctx, 8), known_b, NULL, &sym, &s));
	ck_assert(dim_solve(ctx, NULL, parse("K+B"), parse("N"), known_b, NULL, &sym, &s));
	ASSERT_SAME(s, parse("N-B"));
	ck_assert(!dim_solve(ctx, NULL, parse("K*K"), parse("N"), known_b, NULL, &sym, &s));
	ck_assert(!dim_solve(ctx, NULL, parse("K*L"), parse("N"), known_b, NULL, &sym, &s));
	ck_assert(!dim_solve(ctx, NULL, parse("K//2"), parse("N"), known_b, NULL, &sym, &s));
	ck_assert(dim_solve(ctx, NULL, parse("4-K"), dim_int(ctx, 1), known_b, NULL, &sym, &s));
	ASSERT_SAME(s, dim_int(ctx, 3));
}
END_TEST

START_TEST(bad_text)
{
	const char *bad[] = {"", "+", "B+", "(B", "2*", "B//0", "B/-1", "99999999999999999999", "*B", "B/T"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *p = bad[i], *error = NULL;
		Dim d = dim_parse(ctx, &p, &error);
		ck_assert_msg(!d && error, "`%s` was read", bad[i]);
	}
	Dim big = dim_int(ctx, INT64_MAX);
	ck_assert_ptr_null(dim_add(ctx, big, dim_int(ctx, 1)));
	ck_assert_ptr_null(dim_mul(ctx, dim_scale(ctx, parse("B"), INT64_MAX, 1), dim_int(ctx, 2)));
	ck_assert_ptr_null(dim_add(ctx, NULL, big));
}
END_TEST

static const char *rename_b(void *c, const char *sym)
{
	return strcmp(sym, "B") ? sym : "batch";
}
START_TEST(c_text)
{
	const char *cases[][2] = {
	    {"B", "batch"},
	    {"4", "4"},
	    {"2*B*T+1", "(2 * batch * T + 1)"},
	    {"B*T/8", "(batch * T / 8)"},
	    {"(T+1)//2", "((T + 1) / 2)"},
	    {"(B-T)//2", "(mx_floordiv(batch - T, 2))"},
	    {"B-T", "(batch - T)"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		StrBuf b;
		sb_init(&b, arena);
		dim_print_c(&b, parse(cases[i][0]), rename_b, NULL);
		ck_assert_str_eq(sb_text(&b), cases[i][1]);
	}
}
END_TEST

/* --- random polynomials: values against plain integers, text against itself ---------------------------------------------------------- */
static uint64_t seed = 12345;
static int64_t draw(int64_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (int64_t)((seed >> 33) % (uint64_t)n);
}
static const char *const names[] = {"A", "B", "C"};
enum { NSYMS = 3 };

/* A random expression and its value at v; T is a multiple of 4 under the facts. */
static Dim random_dim(const DimFacts *f, int depth, const int64_t *v, int64_t *value)
{
	if (depth == 0 || draw(5) == 0) {
		if (draw(3) == 0) {
			*value = draw(9) - 4;
			return dim_int(ctx, *value);
		}
		int s = (int)draw(NSYMS);
		*value = v[s];
		return dim_sym(ctx, names[s]);
	}
	int64_t x, y;
	Dim a = random_dim(f, depth - 1, v, &x), b = random_dim(f, depth - 1, v, &y);
	switch (draw(4)) {
	case 0: return *value = x + y, dim_add(ctx, a, b);
	case 1: return *value = x - y, dim_sub(ctx, a, b);
	case 2: return *value = x * y, dim_mul(ctx, a, b);
	default: {
		int64_t d = draw(7) + 1;
		*value = x / d - (x % d < 0);
		return dim_floordiv(ctx, f, a, dim_int(ctx, d));
	}
	}
}

START_TEST(random_values)
{
	DimFacts *f = dim_facts_new(ctx);
	dim_fact_range(f, "A", 4, 40, 4);
	dim_fact_range(f, "B", 1, 9, 1);
	for (int i = 0; i < 3000; i++) {
		int64_t v[NSYMS] = {4 * (1 + draw(10)), 1 + draw(9), draw(30)}, value, got;
		Dim d = random_dim(f, 3, v, &value);
		ck_assert_ptr_nonnull(d);
		DimEnv *env = dim_env_new(arena);
		for (int s = 0; s < NSYMS; s++) dim_env_set(env, names[s], v[s]);
		ck_assert(dim_eval(d, env, &got));
		ck_assert_msg(got == value, "%s is %lld, not %lld", text(d), (long long)value, (long long)got);
		ASSERT_SAME(parse(text(d)), d);
		int64_t hi, lo;
		if (dim_upper(f, d, &hi)) ck_assert_msg(value <= hi, "%s = %lld > %lld", text(d), (long long)value, (long long)hi);
		if (dim_lower(f, d, &lo)) ck_assert_msg(value >= lo, "%s = %lld < %lld", text(d), (long long)value, (long long)lo);
		if (dim_provable_nonneg(f, d)) ck_assert_msg(value >= 0, "%s = %lld", text(d), (long long)value);
		Dim once = dim_norm(f, d);
		ASSERT_SAME(dim_norm(f, once), once);
		Dim sub = dim_subst(ctx, d, "C", dim_int(ctx, v[2]));
		ck_assert(dim_eval(sub, env, &got));
		ck_assert_int_eq(got, value);
	}
}
END_TEST

/* What is proved from asserted facts holds wherever the facts hold. */
START_TEST(random_proofs)
{
	int proofs = 0;
	for (int i = 0; i < 400; i++) {
		int64_t v[NSYMS] = {draw(12), draw(12), draw(12)}, value;
		DimFacts *f = dim_facts_new(ctx);
		Dim fact[2];
		for (int k = 0; k < 2; k++) {
			fact[k] = random_dim(NULL, 1 + k, v, &value);
			if (value >= 0) dim_fact_nonneg(f, fact[k]);
			else fact[k] = NULL;
		}
		Dim d = random_dim(NULL, 2, v, &value);
		if (!dim_provable_nonneg(f, d)) continue;
		proofs++;
		for (int a = 0; a < 14; a++)
			for (int b = 0; b < 14; b++)
				for (int c = 0; c < 14; c++) {
					DimEnv *env = dim_env_new(arena);
					dim_env_set(env, "A", a), dim_env_set(env, "B", b), dim_env_set(env, "C", c);
					int64_t x;
					bool holds = true;
					for (int k = 0; k < 2; k++)
						if (fact[k] && dim_eval(fact[k], env, &x) && x < 0) holds = false;
					if (!holds) continue;
					ck_assert(dim_eval(d, env, &x));
					ck_assert_msg(x >= 0, "proved %s >= 0 from %s, %s, but it is %lld at %d %d %d", text(d), text(fact[0]), text(fact[1]),
					              (long long)x, a, b, c);
				}
	}
	ck_assert_int_gt(proofs, 50);
}
END_TEST

Suite *dim_suite(void)
{
	Suite *s = suite_create("dim");
	TCase *t = tcase_create("dim");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, canonical);
	tcase_add_test(t, division_by_known_multiples);
	tcase_add_test(t, exact_quotients);
	tcase_add_test(t, equalities);
	tcase_add_test(t, chained_equalities);
	tcase_add_test(t, inequalities);
	tcase_add_test(t, solving);
	tcase_add_test(t, bad_text);
	tcase_add_test(t, c_text);
	tcase_add_test(t, random_values);
	tcase_add_test(t, random_proofs);
	suite_add_tcase(s, t);
	return s;
}
