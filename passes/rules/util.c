/* What the rules of several families share: adding symbolic zeros, lifting, shifting, taking along an axis, and the generic rules that
 * follow from a row of ops.def alone (linear groups, element-wise partials). */
#include "rules.h"
#include <assert.h>
#include <string.h>

Value *rule_add(Builder *b, Value *x, Value *y)
{
	return !x ? y : !y ? x : ir_binary(b, OP_add, x, y);
}
Value *rule_conj(Builder *b, Value *x)
{
	return x->type->dtype == DT_c64 ? ir_unary(b, OP_conj, x) : x;
}
Value *rule_mask(Builder *b, Value *p, DType d)
{
	return ir_convert(b, p, d);
}
Value *rule_lifted(Builder *b, Value *x, bool isb, Dim n)
{
	return isb ? x : ir_lift(b, x, n);
}

Value *rule_shift(Builder *b, Value *x, int axis, int by, double fill)
{
	Dim lo[MAX_RANK], hi[MAX_RANK];
	int64_t step[MAX_RANK];
	for (int i = 0; i < x->type->rank; i++) {
		lo[i] = d_int(b, i == axis ? by : 0);
		hi[i] = d_int(b, i == axis ? -by : 0);
		step[i] = 1;
	}
	return ir_pad(b, x, ir_scalar(b, x->type->dtype, fill), lo, hi, step);
}

Value *rule_take_along(Builder *b, Value *x, Value *idx, int axis, bool unique)
{
	int last = x->type->rank - 1;
	Value *xt = ir_move_axis(b, x, axis, last), *it = ir_move_axis(b, idx, axis, last);
	it = ir_broadcast_new_axis(b, it, last + 1, d_int(b, 1));
	Value *r = ir_gather(b, xt, it, (int64_t[]){last}, 1, last, "clamp", unique);
	return ir_move_axis(b, r, last, axis);
}

void rule_again_n(Builder *b, const OpView *v, Value *const *in, Value **out)
{
	ir_emit_n(b, v->code, in, v->nin, v->attrs, v->nattr, out, v->nout);
}
Value *rule_again(Builder *b, const OpView *v, Value *const *in)
{
	return ir_emit(b, v->code, in, v->nin, v->attrs, v->nattr);
}

const Attr *rule_attrs_up(Builder *b, const OpView *v)
{
	Attr *a = arena_copy(b->m->arena, v->attrs, sizeof *a * (size_t)v->nattr);
	for (int i = 0; i < v->nattr; i++) {
		if (a[i].key == AT_axis) a[i].v.i++;
		if (a[i].key != AT_axes) continue;
		int64_t *up = NEW_ARRAY(b->m->arena, int64_t, a[i].n);
		for (int j = 0; j < a[i].n; j++) up[j] = a[i].v.ints[j] + 1;
		a[i].v.ints = up;
	}
	return a;
}

/* --- generic rules ------------------------------------------------------------------------------------------------- */
bool rule_linear(const OpView *v, int k)
{
	if (v->code == OP_scatter) { /* max, min and mul are not linear in what they combine */
		const char *mode = view_attr(v, AT_mode)->v.str;
		if (strcmp(mode, "set") && strcmp(mode, "add")) return false;
	}
	return op_lin_group(op_row(v->code), v->nin, k) != 0;
}

bool rule_direct(const OpView *v, int k)
{
	return rule_linear(v, k) || op_is_elementwise(v->code);
}

/* c64 -> f32 by a unit direction u: t |-> Re(conj(u) t), adjoint g |-> g u. */
static Value *abs_complex_jvp(Builder *b, Value *u, Value *t)
{
	return ir_unary(b, OP_real, ir_binary(b, OP_mul, ir_unary(b, OP_conj, u), t));
}

/* y = a/|a|: t |-> (t - y Re(conj(y) t)) / |a|, 0 at 0; its own adjoint. */
static Value *sign_complex_jvp(Builder *b, const OpView *v, Value *t)
{
	Value *a = v->in[0], *y = v->out[0], *r = ir_convert(b, ir_unary(b, OP_abs, a), DT_c64), *zero = ir_zeros(b, a->type);
	Value *radial = ir_binary(b, OP_mul, y, ir_convert(b, abs_complex_jvp(b, y, t), DT_c64));
	Value *origin = ir_binary(b, OP_eq, a, zero);
	Value *q = ir_binary(b, OP_div, ir_binary(b, OP_sub, t, radial), ir_select(b, origin, ir_splat(b, a->type, 1), r));
	return ir_select(b, origin, zero, q);
}

static bool is_complex(const Value *x)
{
	return x->type->dtype == DT_c64;
}

static Value *elementwise_partial_jvp(Builder *b, const OpView *v, int k, Value *t)
{
	if (v->code == OP_sign && is_complex(v->in[0])) return sign_complex_jvp(b, v, t);
	if (is_complex(v->in[k]) && !is_complex(v->out[0])) return abs_complex_jvp(b, partial_value(b, v, k), t);
	return partial_times(b, v, k, t, false);
}

/* The terms of one linear group: the op with the group's operands replaced by their tangents, zeros only inside the group. */
static void group_jvp(Builder *b, const OpView *v, int group, Value *const *t, Value **dt)
{
	const OpRow *row = op_row(v->code);
	Value **in = NEW_ARRAY(b->m->arena, Value *, v->nin + 1), *out[1];
	bool any = false, whole = true;
	for (int k = 0; k < v->nin; k++) {
		bool inside = op_lin_group(row, v->nin, k) == group;
		any |= inside && t[k];
		whole &= !inside || t[k];
	}
	if (!any) return;
	assert(v->nout == 1);
	if (!whole && (v->code == OP_add || v->code == OP_sub)) { /* a + 0 is not folded for floats; the missing term is known to be zero */
		dt[0] = rule_add(b, dt[0], t[0] ? t[0] : v->code == OP_add ? t[1] : ir_unary(b, OP_neg, t[1]));
		return;
	}
	for (int k = 0; k < v->nin; k++) {
		bool inside = op_lin_group(row, v->nin, k) == group;
		in[k] = !inside ? v->in[k] : t[k] ? t[k] : ir_zeros(b, v->in[k]->type);
	}
	rule_again_n(b, v, in, out);
	dt[0] = rule_add(b, dt[0], out[0]);
}

void rule_jvp(Builder *b, const OpView *v, Value *const *t, Value **dt)
{
	const OpRow *row = op_row(v->code);
	bool any = false;
	for (int r = 0; r < v->nout; r++) dt[r] = NULL;
	for (int k = 0; k < v->nin; k++) any |= t[k] != NULL;
	if (!any || row->zero) return;
	if (v->code == OP_barrier) { /* identity on each operand by itself */
		for (int k = 0; k < v->nin; k++)
			if (t[k]) dt[k] = ir_unary(b, OP_barrier, t[k]);
	} else if (rule_of(v->code)->jvp) {
		rule_of(v->code)->jvp(b, v, t, dt);
	} else {
		int groups = 0;
		for (int k = 0; k < v->nin; k++) {
			int g = op_lin_group(row, v->nin, k);
			if (g > groups) groups = g;
			if (!g && t[k]) dt[0] = rule_add(b, dt[0], elementwise_partial_jvp(b, v, k, t[k]));
		}
		for (int g = 1; g <= groups; g++) group_jvp(b, v, g, t, dt);
	}
	for (int r = 0; r < v->nout; r++)
		if (!dtype_is_diff(v->out[r]->type->dtype)) dt[r] = NULL;
}

Value *rule_cotangent(Builder *b, const OpView *v, int k, Value *const *g)
{
	if (op_row(v->code)->zero) return NULL;
	if (rule_linear(v, k)) return rule_of(v->code)->transpose(b, v, k, g);
	if (v->code == OP_sign && is_complex(v->in[0])) return sign_complex_jvp(b, v, g[0]);
	if (is_complex(v->in[k]) && !is_complex(v->out[0])) return ir_binary(b, OP_mul, ir_convert(b, g[0], DT_c64), partial_value(b, v, k));
	return partial_times(b, v, k, g[0], true);
}
