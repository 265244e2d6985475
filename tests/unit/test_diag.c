/* Diagnostics: the exact text, counting, suggestions; and the arena under them. */
#include <check.h>
#include <setjmp.h>
#include <string.h>
#include "../../ir/diag.h"

static Arena *arena;
static Diag *d;
static void setup(void)
{
	arena = arena_new(0, NULL, NULL);
	d = diag_new(arena, NULL);
}
static void teardown(void)
{
	arena_free(arena);
}

static const char source[] = "fn f(x) {\n\treturn \xce\xb1 @ w + b;\n}\n";

START_TEST(text)
{
	uint32_t f = diag_add_file(d, "mlp.mx", source, strlen(source));
	uint32_t at = (uint32_t)(strstr(source, "\xce\xb1") - source);
	diag(d, DIAG_ERROR, (Loc){f, at, at + 6}, "matmul.C2", "inner dimensions differ: %d and %d", 64, 128);
	diag_note(d, NO_LOC, "`x` is %s", "f32[32,64]");
	diag_help(d, "`x @ w.T` has type f32[32,128]");
	ck_assert_str_eq(diag_text(d), "mlp.mx:2:9: error[matmul.C2]: inner dimensions differ: 64 and 128\n"
	                               "    2 | \treturn \xce\xb1 @ w + b;\n"
	                               "      | \t       ^~~~~\n"
	                               "note: `x` is f32[32,64]\n"
	                               "help: `x @ w.T` has type f32[32,128]\n");
	int line, col;
	diag_line_col(d, f, at + 3, &line, &col);
	ck_assert_int_eq(line, 2);
	ck_assert_int_eq(col, 11);
	ck_assert_str_eq(diag_file_name(d, f), "mlp.mx");
}
END_TEST

START_TEST(counts_and_exit_codes)
{
	ck_assert_int_eq(diag_exit_code(d), 0);
	diag(d, DIAG_WARNING, NO_LOC, NULL, "w");
	ck_assert_int_eq(diag_exit_code(d), 0);
	diag(d, DIAG_LIMITATION, NO_LOC, NULL, "l");
	ck_assert_int_eq(diag_exit_code(d), 2);
	diag(d, DIAG_ERROR, NO_LOC, NULL, "e");
	diag(d, DIAG_ERROR, NO_LOC, NULL, "e");
	ck_assert_int_eq(diag_count(d, DIAG_ERROR), 1);
	ck_assert_int_eq(diag_exit_code(d), 1);
	for (int i = 0; i < 40; i++) diag(d, DIAG_ERROR, NO_LOC, NULL, "e%d", i);
	ck_assert_int_eq(diag_count(d, DIAG_ERROR), 41);
	const char *all = diag_text(d), *many = strstr(all, "too many errors");
	ck_assert_ptr_nonnull(many);
	ck_assert_ptr_null(strstr(many + 1, "too many errors"));
	ck_assert_ptr_null(strstr(all, "e30"));
	diag(d, DIAG_BUG, NO_LOC, NULL, "b");
	ck_assert_int_eq(diag_exit_code(d), 70);
}
END_TEST

START_TEST(odd_places)
{
	const char *t = "abc\r\nlast";
	uint32_t f = diag_add_file(d, "a", t, strlen(t));
	diag(d, DIAG_ERROR, (Loc){f, 9, 9}, NULL, "at the end");
	diag(d, DIAG_ERROR, (Loc){f, 0, 9}, NULL, "over two lines");
	diag(d, DIAG_ERROR, (Loc){f, 500, 600}, NULL, "outside");
	ck_assert_str_eq(diag_text(d), "a:2:5: error: at the end\n    2 | last\n      |     ^\n"
	                               "a:1:1: error: over two lines\n    1 | abc\n      | ^~~\n"
	                               "a:2:5: error: outside\n    2 | last\n      |     ^\n");
}
END_TEST

START_TEST(suggestions)
{
	const char *const names[] = {"softmax", "softmin", "relu", "reshape", "sum"};
	ck_assert_str_eq(diag_suggest("sotfmax", names, 5), "softmax");
	ck_assert_str_eq(diag_suggest("rehsape", names, 5), "reshape");
	ck_assert_str_eq(diag_suggest("reluu", names, 5), "relu");
	ck_assert_ptr_null(diag_suggest("convolve", names, 5));
	ck_assert_ptr_null(diag_suggest("xyz", names, 5));
}
END_TEST

static jmp_buf out;
static void on_exhausted(void *ctx)
{
	longjmp(out, 1);
}
START_TEST(arena_limits)
{
	Arena *volatile small = arena_new(1 << 16, on_exhausted, NULL);
	volatile size_t got = 0;
	if (!setjmp(out)) {
		for (;;) {
			char *p = arena_alloc(small, 100);
			for (int i = 0; i < 100; i++) ck_assert_int_eq(p[i], 0);
			memset(p, 1, 100);
			got += 100;
		}
	}
	ck_assert(got > 50000 && got <= 1 << 16);
	arena_free(small);
	ArenaMark m = arena_mark(arena);
	size_t used = arena_used(arena);
	for (int i = 0; i < 1000; i++) memset(arena_alloc(arena, 1000), 1, 1000);
	arena_reset(arena, m);
	ck_assert_uint_eq(arena_used(arena), used);
	char *p = arena_alloc(arena, 1000);
	for (int i = 0; i < 1000; i++) ck_assert_int_eq(p[i], 0);
}
END_TEST

START_TEST(maps)
{
	Map m;
	Intern t;
	map_init(&m, arena);
	intern_init(&t, arena);
	ck_assert_ptr_null(map_get(&m, source));
	for (int i = 0; i < 1000; i++) {
		char name[16];
		snprintf(name, sizeof name, "n%d", i);
		const char *s = intern_str(&t, name, strlen(name));
		ck_assert_ptr_eq(s, intern_str(&t, name, strlen(name)));
		map_set(&m, s, arena_printf(arena, "%d", i));
	}
	ck_assert_str_eq(map_get(&m, intern_str(&t, "n123", 4)), "123");
	ck_assert_str_eq(map_get(&m, intern_str(&t, "n999tail", 4)), "999");
	ck_assert_int_eq(m.n, 1000);
}
END_TEST

Suite *diag_suite(void)
{
	Suite *s = suite_create("diag");
	TCase *t = tcase_create("diag");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, text);
	tcase_add_test(t, counts_and_exit_codes);
	tcase_add_test(t, odd_places);
	tcase_add_test(t, suggestions);
	tcase_add_test(t, arena_limits);
	tcase_add_test(t, maps);
	suite_add_tcase(s, t);
	return s;
}
