/* The verifier on IR that no text can hold: broken links, values used outside their region, rows and types that do not fit. */
#include <check.h>
#include <string.h>
#include "../../ir/build.h"

static Arena *a;
static Diag *sink;
static Module *m;
static Func *f;
static Builder b;
static Value *x;

static void setup(void)
{
	a = arena_new(0, NULL, NULL);
	sink = diag_new(a, NULL);
	m = module_new(a, sink, "t");
	f = func_new(m, "f");
	x = func_param(f, type_get(m, DT_f32, 1, (Dim[]){dim_sym(m->dims, "B")}), "x");
	b = builder_at(f);
	Value *y = ir_unary(&b, OP_exp, ir_unary(&b, OP_sin, x));
	func_set_results(f, &y, 1);
}
static void teardown(void)
{
	arena_free(a);
}

static void breach(const char *text)
{
	ck_assert(!ir_verify(m, false));
	ck_assert_int_eq(diag_exit_code(sink), 70);
	ck_assert_msg(strstr(diag_text(sink), text) != NULL, "%s", diag_text(sink));
}

START_TEST(sound_ir_passes)
{
	ck_assert(ir_verify(m, false));
	ck_assert_int_eq(diag_exit_code(sink), 0);
}
END_TEST

START_TEST(operand_of_an_unlinked_op)
{
	op_unlink(f->body->first);
	breach("in @f, `exp`: operand 0 is not defined before its use");
}
END_TEST

START_TEST(broken_links)
{
	f->body->first->block = NULL;
	breach("in @f, `sin`: it is not linked into its block");
}
END_TEST

START_TEST(changed_type)
{
	f->body->last->out[0]->type = type_scalar(m, DT_f32);
	breach("in @f, `exp`: result 0 of `exp` is f32[B], not f32");
}
END_TEST

START_TEST(value_of_a_closed_region)
{
	Value *p = func_param(f, type_scalar(m, DT_bool), "p");
	Block *arm[2];
	for (int k = 0; k < 2; k++) {
		arm[k] = block_new(&b, BLOCK_COND, f->body);
		Builder in = b;
		in.block = arm[k];
		Value *v = ir_unary(&in, k ? OP_cos : OP_tan, x);
		block_set_results(&in, arm[k], &v, 1);
	}
	ir_emit_region(&b, OP_cond, &p, 1, NULL, 0, arm, 2);
	ck_assert(ir_verify(m, false));
	f->body->result[0] = arm[0]->result[0];
	breach("result 0 is not defined before its use in this block or an enclosing one");
}
END_TEST

START_TEST(export_without_paths)
{
	func_export(f);
	breach("parameter 0 of an exported function has no path");
}
END_TEST

START_TEST(foreign_rule)
{
	f->rule_jvp = func_new(module_new(a, sink, "other"), "g");
	breach("a custom rule belongs to another module");
}
END_TEST

Suite *verify_suite(void)
{
	Suite *s = suite_create("verify");
	TCase *t = tcase_create("breaches");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sound_ir_passes);
	tcase_add_test(t, operand_of_an_unlinked_op);
	tcase_add_test(t, broken_links);
	tcase_add_test(t, changed_type);
	tcase_add_test(t, value_of_a_closed_region);
	tcase_add_test(t, export_without_paths);
	tcase_add_test(t, foreign_rule);
	suite_add_tcase(s, t);
	return s;
}
