/* argmax and argmin in vectors: each lane keeps its first best and where that is, and the lanes are compared at the end. A nan counts as
 * larger than numbers, of equals the lower position wins: so the result does not depend on how elements are dealt out to lanes. */
#include "../passes/vectorise.h"
#include "c_body.h"

enum { ARG_SETS = 4 /* of lanes, so that one comparison needn't wait for the one before */ };

static void arg_step(Emit *e, VecLoop *v, Node *n, const char *best, const char *at, const char *active)
{
	const char *x = temp(e, "x"), *take = temp(e, active ? "take" : "keep");
	VecLoop *old = e->vec;
	vector_body(e, v, n->body, active);
	e->vec = v;
	emit_line(e, "const mx_vf %s = %s;", x, vector_text(e, n->body->result));
	const char *place = arena_printf(e->a, "mx_bc_i32((int32_t)%s) + mx_iota()", v->axis->name);
	if (active) {
		emit_line(e, "const mx_vi %s = mx_first(%s) & (%s == %s) & ((%s %c %s) | (%s != %s));", take, active, best, best, x,
		          n->op == OP_maximum ? '>' : '<', best, x, x);
		emit_line(e, "%s = mx_sel(%s, %s, %s);", best, take, x, best);
		emit_line(e, "%s = mx_sel_vi(%s, %s, %s);", at, take, place, at);
	} else {
		emit_line(e, "const mx_vi %s = (%s %s %s) | (%s != %s);", take, x, n->op == OP_maximum ? "<=" : ">=", best, best, best);
		emit_line(e, "%s = mx_sel(%s, %s, %s);", best, take, best, x);
		emit_line(e, "%s = mx_sel_vi(%s, %s, %s);", at, take, at, place);
	}
	e->vec = old;
}

/* A search of its own in each lane. The first place holds nothing less than what they begin with. */
const char *vector_arg_lanes(Emit *e, Node *n)
{
	const char *best = temp(e, "best"), *at = temp(e, "at"), *x = temp(e, "x"), *keep = temp(e, "keep");
	emit_line(e, "mx_vf %s = mx_bc_f32(%s);", best, n->op == OP_maximum ? "-INFINITY" : "INFINITY");
	emit_line(e, "mx_vi %s = mx_bc_i32(0);", at);
	open_loop(e, n->axis[0], false);
	emit_body(e, n->body);
	emit_line(e, "const mx_vf %s = %s;", x, vector_text(e, n->body->result));
	emit_line(e, "const mx_vi %s = (%s %s %s) | (%s != %s);", keep, x, n->op == OP_maximum ? "<=" : ">=", best, best, best);
	emit_line(e, "%s = mx_sel(%s, %s, %s);", best, keep, best, x);
	emit_line(e, "%s = mx_sel_vi(%s, %s, mx_bc_i32((int32_t)%s));", at, keep, at, n->axis[0]->name);
	close_block(e);
	return arena_printf(e->a, "(mx_vu)%s", at);
}

/* The loop over whole vectors, ARG_SETS of them at a time. */
static void arg_sets(Emit *e, VecLoop *v, Node *n, const char *extent, const char *best, const char *at)
{
	const char *j = v->axis->name, *here = temp(e, j);
	emit_line(e, "for (; %s + %d * MX_W <= %s; %s += %d * MX_W) {", j, ARG_SETS, extent, j, ARG_SETS);
	e->indent++;
	emit_line(e, "MX_UNROLL(%d) for (int u = 0; u < %d; u++) {", ARG_SETS, ARG_SETS);
	e->indent++;
	emit_line(e, "const ptrdiff_t %s = %s + u * MX_W;", here, j);
	((Axis *)v->axis)->name = here;
	arg_step(e, v, n, arena_printf(e->a, "%s[u]", best), arena_printf(e->a, "%s[u]", at), NULL);
	((Axis *)v->axis)->name = j;
	close_block(e);
	close_block(e);
}

/* Each lane keeps its first best and where that is; at first its own first place, which holds nothing less. */
void vector_arg(Emit *e, Node *n)
{
	VecLoop v;
	const char *best = temp(e, "best"), *at = temp(e, "at"), *t = temp(e, "t"), *left = temp(e, "n");
	vector_begin(e, &v, n->axis, 1);
	const char *j = v.axis->name, *extent = emit_dim(e, v.axis->extent), *least = n->op == OP_maximum ? "-INFINITY" : "INFINITY";
	const char *best0 = arena_printf(e->a, "%s[0]", best), *at0 = arena_printf(e->a, "%s[0]", at);
	int64_t count;
	int sets = dim_is_const(v.axis->extent, &count) && count < 64 ? 1 : ARG_SETS;
	nodes_varying(n->body, v.axis, NULL, &v.varies);
	emit_line(e, "mx_vf %s[%d];", best, sets);
	emit_line(e, "mx_vi %s[%d];", at, sets);
	emit_line(e, "MX_UNROLL(%d) for (int u = 0; u < %d; u++) {", sets, sets);
	e->indent++;
	emit_line(e, "%s[u] = mx_bc_f32(%s);", best, least);
	emit_line(e, "%s[u] = mx_bc_i32(u * MX_W) + mx_iota();", at);
	close_block(e);
	emit_line(e, "{");
	e->indent++;
	emit_line(e, "ptrdiff_t %s = 0;", j);
	if (sets > 1) arg_sets(e, &v, n, extent, best, at);
	emit_line(e, "for (; %s + MX_W <= %s; %s += MX_W) {", j, extent, j);
	e->indent++;
	arg_step(e, &v, n, best0, at0, NULL);
	close_block(e);
	if (v.axis->mask) {
		emit_line(e, "if (%s < %s) {", j, extent);
		e->indent++;
		emit_line(e, "const ptrdiff_t %s = %s - %s;", left, extent, j);
		arg_step(e, &v, n, best0, at0, left);
		close_block(e);
	}
	close_block(e);
	const char *sign = n->op == OP_maximum ? "" : "-";
	if (sets > 1 && *sign) emit_line(e, "MX_UNROLL(%d) for (int u = 0; u < %d; u++) %s[u] = -%s[u];", sets, sets, best, best), sign = "";
	if (sets > 1)
		emit_line(e, "MX_UNROLL(%d) for (int u = 1; u < %d; u++) mx_arg_merge(&%s, &%s, %s[u], %s[u]);", sets, sets, best0, at0, best, at);
	emit_line(e, "const uint32_t %s = mx_arg_vf(%s%s, %s);", t, sign, best0, at0);
	map_set(&e->text, n, (void *)t);
}
