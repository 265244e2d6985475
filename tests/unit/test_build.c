/* The builder: where ops land, what is interned, twins, placeholder tangents, names of functions, walks. */
#include <check.h>
#include <string.h>
#include "../../ir/build.h"

static Arena *a;
static Module *m;
static Func *f;
static Builder b;
static Value *x, *n;

static void setup(void)
{
	a = arena_new(0, NULL, NULL);
	m = module_new(a, diag_new(a, NULL), "t");
	f = func_new(m, "f");
	x = func_param(f, type_get(m, DT_f32, 1, (Dim[]){dim_sym(m->dims, "B")}), "x");
	n = func_param(f, type_scalar(m, DT_f32), "n");
	b = builder_at(f);
}
static void teardown(void)
{
	arena_free(a);
}

static Builder inside(Block *blk)
{
	Builder in = b;
	in.block = blk;
	return in;
}

static Block *loop_block(Block *parent)
{
	Block *blk = block_new(&b, BLOCK_LOOP, parent);
	block_param(&b, blk, type_scalar(m, DT_i32), "i");
	block_param(&b, blk, x->type, "c");
	return blk;
}

START_TEST(types_and_dims_are_interned)
{
	Dim d = dim_add(m->dims, dim_sym(m->dims, "B"), dim_int(m->dims, 1)), e = dim_add(m->dims, dim_int(m->dims, 1), dim_sym(m->dims, "B"));
	ck_assert_ptr_eq(type_get(m, DT_f32, 1, &d), type_get(m, DT_f32, 1, &e));
	ck_assert_ptr_ne(type_get(m, DT_f32, 1, &d), type_get(m, DT_f16, 1, &d));
	ck_assert_str_eq(type_str(a, type_prepend(m, x->type, dim_int(m->dims, 3))), "f32[3,B]");
}
END_TEST

START_TEST(equal_ops_are_one)
{
	Value *y = ir_unary(&b, OP_exp, x);
	ck_assert_ptr_eq(ir_unary(&b, OP_exp, x), y);
	ck_assert_ptr_eq(ir_binary(&b, OP_add, y, x), ir_binary(&b, OP_add, x, y));
	ck_assert_ptr_ne(ir_binary(&b, OP_sub, y, x), ir_binary(&b, OP_sub, x, y));
	ck_assert_ptr_eq(ir_scalar(&b, DT_f32, 2), ir_scalar(&b, DT_f32, 2));
	ck_assert_ptr_ne(ir_scalar(&b, DT_f32, 0.0), ir_scalar(&b, DT_f32, -0.0));
}
END_TEST

START_TEST(unlinked_op_is_not_found_again)
{
	Value *y = ir_unary(&b, OP_exp, x);
	op_unlink(y->def);
	ck_assert_ptr_ne(ir_unary(&b, OP_exp, x), y);
}
END_TEST

START_TEST(hoists_out_of_loops)
{
	Block *outer = loop_block(f->body), *inner = loop_block(outer);
	Builder in = inside(inner);
	ck_assert_ptr_eq(ir_unary(&in, OP_exp, n)->block, f->body);
	ck_assert_ptr_eq(ir_unary(&in, OP_exp, outer->param[1])->block, outer);
	ck_assert_ptr_eq(ir_unary(&in, OP_exp, inner->param[1])->block, inner);
	ck_assert_ptr_eq(ir_scalar(&in, DT_f32, 5)->block, f->body);
}
END_TEST

START_TEST(never_out_of_a_branch)
{
	Block *loop = loop_block(f->body), *arm = block_new(&b, BLOCK_COND, loop);
	Builder in = inside(arm);
	ck_assert_ptr_eq(ir_unary(&in, OP_exp, n)->block, arm);
	Value *before = ir_unary(&b, OP_sin, n);
	ck_assert_ptr_eq(ir_unary(&in, OP_sin, n), before);
}
END_TEST

/* A backward body names values of its forward body; they count as available inside, so nothing is hoisted over them. */
START_TEST(twin_values_are_at_home)
{
	Block *fwd = loop_block(f->body), *bwd = loop_block(f->body);
	bwd->twin = fwd;
	Builder in = inside(fwd), back = inside(bwd);
	Value *y = ir_unary(&in, OP_exp, fwd->param[1]);
	ck_assert_ptr_eq(ir_unary(&back, OP_neg, y)->block, bwd);
}
END_TEST

START_TEST(placeholder_tangents_stay)
{
	Block *loop = loop_block(f->body);
	Builder in = inside(loop);
	Value *t = block_param(&b, f->body, x->type, NULL);
	t->lin = true;
	Value *y = ir_binary(&in, OP_mul, t, x);
	ck_assert_ptr_eq(y->block, loop);
	ck_assert(y->lin);
	ck_assert(!ir_unary(&in, OP_exp, x)->lin);
}
END_TEST

/* What follows an attached region in its parent may not dominate it: nothing is hoisted out or found there any more. */
START_TEST(attached_region_gives_nothing_away)
{
	Block *loop = loop_block(f->body);
	Attr at[] = {ATTR_DIM(trips, dim_int(m->dims, 4)), ATTR_INT(ncarry, 1), ATTR_INT(nscan, 0), ATTR_INT(reverse, 0), ATTR_INT(limit, 0)};
	block_set_results(&b, loop, &loop->param[1], 1);
	ir_emit_region(&b, OP_loop, &x, 1, at, 5, &loop, 1);
	Value *after = ir_unary(&b, OP_exp, n);
	Builder in = inside(loop);
	Value *again = ir_unary(&in, OP_exp, n);
	ck_assert_ptr_ne(again, after);
	ck_assert_ptr_eq(again->block, loop);
}
END_TEST

START_TEST(barrier_is_opaque)
{
	Value *p, *q;
	ir_emit_n(&b, OP_barrier, &x, 1, NULL, 0, &p, 1);
	ir_emit_n(&b, OP_barrier, &x, 1, NULL, 0, &q, 1);
	ck_assert_ptr_ne(p, q);
}
END_TEST

START_TEST(no_fold_emits_what_is_asked)
{
	b.no_fold = true;
	ck_assert_ptr_ne(ir_unary(&b, OP_exp, x), ir_unary(&b, OP_exp, x));
	Value *y = ir_unary(&b, OP_neg, ir_unary(&b, OP_neg, x));
	ck_assert_int_eq(y->def->code, OP_neg);
}
END_TEST

START_TEST(splats_are_seen_through_views)
{
	double v;
	Value *s = ir_splat(&b, x->type, 2.5);
	ck_assert(value_const_scalar(s, &v) && v == 2.5);
	ck_assert(!value_const_scalar(x, &v));
	ck_assert(value_const_scalar(ir_binary(&b, OP_add, s, s), &v) && v == 5);
}
END_TEST

START_TEST(function_names_are_unique)
{
	ck_assert_str_eq(func_new(m, "f")->name, "f.1");
	ck_assert_str_eq(func_new(m, "f")->name, "f.2");
	ck_assert_ptr_eq(func_find(m, "f"), f);
	func_remove(f);
	ck_assert_ptr_null(func_find(m, "f"));
}
END_TEST

START_TEST(free_values_by_first_use)
{
	Block *loop = loop_block(f->body), *arm = block_new(&b, BLOCK_COND, loop);
	Builder in = inside(arm);
	Value *s = ir_unary(&b, OP_sin, x);
	Value *y = ir_binary(&in, OP_mul, s, ir_binary(&in, OP_sub, loop->param[1], x));
	block_set_results(&in, arm, (Value *[]){y, s}, 2);
	Value **free;
	int k;
	block_free_values(a, arm, &free, &k);
	ck_assert_int_eq(k, 3);
	ck_assert_ptr_eq(free[0], loop->param[1]);
	ck_assert_ptr_eq(free[1], x);
	ck_assert_ptr_eq(free[2], s);
}
END_TEST

START_TEST(calls_take_the_callers_dims)
{
	Func *g = func_new(m, "g");
	Dim p[] = {dim_sym(m->dims, "P"), dim_sym(m->dims, "Q")}, swapped[] = {p[1], p[0]};
	Value *y = func_param(g, type_get(m, DT_f32, 2, p), "y");
	Builder in = builder_at(g);
	Value *t = ir_transpose(&in, y, (int64_t[]){1, 0});
	func_set_results(g, &t, 1);
	Value *z = func_param(f, type_get(m, DT_f32, 2, swapped), "z");
	ck_assert_str_eq(type_str(a, ir_emit_call(&b, g, &z, 1)->out[0]->type), "f32[P,Q]");
}
END_TEST

Suite *build_suite(void)
{
	Suite *s = suite_create("build");
	TCase *t = tcase_create("builder");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, types_and_dims_are_interned);
	tcase_add_test(t, equal_ops_are_one);
	tcase_add_test(t, unlinked_op_is_not_found_again);
	tcase_add_test(t, hoists_out_of_loops);
	tcase_add_test(t, never_out_of_a_branch);
	tcase_add_test(t, twin_values_are_at_home);
	tcase_add_test(t, placeholder_tangents_stay);
	tcase_add_test(t, attached_region_gives_nothing_away);
	tcase_add_test(t, barrier_is_opaque);
	tcase_add_test(t, no_fold_emits_what_is_asked);
	tcase_add_test(t, splats_are_seen_through_views);
	tcase_add_test(t, function_names_are_unique);
	tcase_add_test(t, free_values_by_first_use);
	tcase_add_test(t, calls_take_the_callers_dims);
	suite_add_tcase(s, t);
	return s;
}
