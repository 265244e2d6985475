/* The pass driver when a pass breaks the IR: one report that names the pass, keeps the IR before it and shows the command that replays it.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../../ir/build.h"
#include "../../passes/pass.h"

static const char program[] =
    "module \"m\" stage \"tensor\"\n\nfunc @f(%x: f32[B]) -> (f32[B]) {\n  %a = sin %x : f32[B]\n  %b = neg %a : f32[B]\n  return %b\n}\n";

static bool keep(PassCtx *c)
{
	return (void)c, false;
}

/* Moves the last op before the first: a use before its definition. */
static bool break_order(PassCtx *c)
{
	Block *b = c->m->funcs.at[0]->body;
	Op *last = b->last;
	op_unlink(last);
	op_insert_before(last, b->first);
	return true;
}

/* Asks the builder for an op on dtypes that differ. */
static bool break_types(PassCtx *c)
{
	Builder b = builder_at(c->m->funcs.at[0]);
	ir_binary(&b, OP_add, ir_scalar(&b, DT_f32, 1), ir_dimsize(&b, dim_sym(c->m->dims, "B")));
	return true;
}

static const Pass rows[] = {
    {"keep", "", keep, false, STAGE_TENSOR, STAGE_TENSOR},
    {"order", "", break_order, false, STAGE_TENSOR, STAGE_TENSOR},
    {"types", "", break_types, false, STAGE_TENSOR, STAGE_TENSOR},
};

static Arena *arena;
static Diag *sink;

static bool run(PassOptions o)
{
	arena = arena_new(0, NULL, NULL);
	sink = diag_new(arena, NULL);
	Module *m = ir_read(arena, sink, diag_add_file(sink, "m.ir", program, strlen(program)));
	ck_assert_ptr_nonnull(m);
	PassCtx c = {.m = m, .scratch = arena, .o = &o};
	return passes_run_table(&c, &(PassTable){rows, 3});
}

START_TEST(broken_ir_is_kept_and_replayed)
{
	char dir[] = "/tmp/mlxcc-test-XXXXXX", path[64], text[512] = {0};
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert(!run((PassOptions){.bisect = -1, .verify_each = true, .replay_dir = dir}));
	ck_assert_int_eq(diag_exit_code(sink), 70);
	const char *said = diag_text(sink);
	ck_assert_ptr_nonnull(strstr(said, "bug in mlxcc[ir.verify]: in @f, `neg`: operand 0 is not defined before its use"));
	snprintf(path, sizeof path, "%s/mlxcc-bug-order.ir", dir);
	ck_assert_ptr_nonnull(
	    strstr(said, arena_printf(arena, "replay it with: mlxcc %s --start-at=order --stop-after=order --verify-each", path)));
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fread(text, 1, sizeof text - 1, f), strlen(program));
	fclose(f);
	ck_assert_str_eq(text, program);
	unlink(path);
	rmdir(dir);
	arena_free(arena);
}
END_TEST

START_TEST(unverified_breach_goes_unseen)
{
	ck_assert(run((PassOptions){.bisect = -1, .stop_after = "order"}));
	arena_free(arena);
}
END_TEST

/* The builder ends the program: exit code 70 in a process of its own. */
START_TEST(builder_bug_exits_70)
{
	run((PassOptions){.bisect = -1, .start_at = "types"});
}
END_TEST

Suite *passes_suite(void)
{
	Suite *s = suite_create("passes");
	TCase *t = tcase_create("driver");
	tcase_add_test(t, broken_ir_is_kept_and_replayed);
	tcase_add_test(t, unverified_breach_goes_unseen);
	tcase_add_exit_test(t, builder_bug_exits_70, 70);
	suite_add_tcase(s, t);
	return s;
}
