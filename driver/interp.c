/* The reference interpreter behind the commands: prints and failed asserts with their place. */
#include <stdio.h>
#include <string.h>
#include "../passes/loop_eval.h"
#include "interp.h"

static void put_scalar(StrBuf *b, Scalar v)
{
	switch (dtype_kind(v.dtype)) {
	case DK_BOOL: sb_put(b, v.v.u ? "true" : "false"); break;
	case DK_UINT: sb_printf(b, "%llu", (unsigned long long)v.v.u); break;
	case DK_INT: sb_printf(b, "%lld", (long long)v.v.i); break;
	case DK_FLOAT: sb_printf(b, "%.6g", v.v.f); break;
	case DK_COMPLEX: sb_printf(b, "%.6g%+.6gj", (double)v.v.c[0], (double)v.v.c[1]); break;
	}
}

static int64_t put_axis(StrBuf *b, const Tensor *t, int axis, int64_t at)
{
	if (axis == t->rank) return put_scalar(b, tensor_get(t, at)), at + 1;
	enum { EDGE = 3 };
	int64_t n = t->shape[axis], row = 1;
	for (int d = axis + 1; d < t->rank; d++) row *= t->shape[d];
	sb_putc(b, '[');
	for (int64_t i = 0; i < n; i++) {
		if (i) sb_put(b, ", ");
		if (n > 2 * EDGE + 2 && i == EDGE) sb_put(b, "…, "), i = n - EDGE;
		put_axis(b, t, axis + 1, at + i * row);
	}
	sb_putc(b, ']');
	return at + n * row;
}

void tensor_put(StrBuf *b, const Tensor *t)
{
	put_axis(b, t, 0, 0);
}

const char *print_to_hole(StrBuf *b, const char *rest)
{
	const char *hole = strstr(rest, "{}");
	if (!hole) return NULL;
	sb_putn(b, rest, (size_t)(hole - rest));
	return hole + 2;
}

static void on_print(void *ctx, const char *message, Tensor *const *args, int n)
{
	Session *s = ctx;
	const char *rest = message ? message : "";
	StrBuf b;
	sb_init(&b, s->arena);
	for (int i = 0; i < n; i++) {
		const char *behind = print_to_hole(&b, rest);
		if (behind) rest = behind;
		tensor_put(&b, args[i]);
	}
	printf("%s%s\n", sb_text(&b), rest);
}

static bool report_assert(Session *s, Loc loc, const char *message, Tensor *const *args, int n)
{
	diag(s->diag, DIAG_ERROR, loc, "assert", message && *message ? "%s" : "this does not hold%s", message ? message : "");
	for (int i = 0; i < n; i++) {
		StrBuf b;
		sb_init(&b, s->arena);
		tensor_put(&b, args[i]);
		diag_note(s->diag, NO_LOC, "%s %s", tensor_type_str(s->arena, args[i]), sb_text(&b));
	}
	return false;
}

static bool on_assert(void *ctx, const Op *op, Tensor *const *args, int n)
{
	return report_assert(ctx, op->loc, op_str(op, AT_message), args, n);
}

static bool on_loop_assert(void *ctx, const Step *step, Tensor *const *args, int n)
{
	return report_assert(ctx, step->loc, step->message, args, n);
}

static bool on_assert_quietly(void *ctx, const Op *op, Tensor *const *args, int n)
{
	return false;
}

static void on_print_quietly(void *ctx, const char *message, Tensor *const *args, int n) {}

bool interpret(Session *s, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, enum Interpret how)
{
	EvalHooks aloud = {.ctx = s, .print = on_print, .assert_failed = on_assert};
	EvalHooks quiet = {.ctx = s, .print = on_print_quietly, .assert_failed = on_assert_quietly};
	EvalHooks hooks = how == INTERPRET_ALOUD ? aloud : quiet;
	const char *why = "";
	Progress *p = progress_begin("interpreting");
	EvalStatus status = ir_eval(s->arena, f, args, env, results, &hooks, &why);
	progress_end(p);
	if (status == EVAL_OK) return true;
	if (status != EVAL_ASSERT) session_fail(s, "run.eval", "`%s`: %s", f->name, why);
	return false;
}

bool interpret_loops(Session *s, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, enum Interpret how)
{
	LoopHooks aloud = {.ctx = s, .print = on_print, .assert_failed = on_loop_assert}, quiet = {.ctx = s};
	const char *why = "";
	Progress *p = progress_begin("interpreting");
	EvalStatus status = loops_eval(s->arena, s->program, loops_find(s->program, f->name), args, env, results,
	                               how == INTERPRET_ALOUD ? &aloud : &quiet, &why);
	progress_end(p);
	if (status == EVAL_OK) return true;
	if (status == EVAL_FAULT) diag(s->diag, DIAG_BUG, NO_LOC, "run.loops", "%s", why);
	else if (status != EVAL_ASSERT) session_fail(s, "run.eval", "`%s`: %s", f->name, why);
	return false;
}
