/* Convolutions, MLX's way: channels last, weight [O, K.., C/groups], cross-correlation. All of them are the one conv op; a transposed one
 * spreads its input and reverses the kernel. Windows for pooling. */
#include <string.h>
#include "../ir/conv.h"
#include "builtins.h"

typedef struct ConvCall {
	Elab *e;
	const CallSite *at;
	Value *x, *w;
	ConvSpec c;
} ConvCall;

static const char *text(Elab *e, Dim d)
{
	return dim_str(elab_arena(e), d);
}

/* Operands in one dtype, of n + 2 axes each; n < 0: as many as the input has. */
static ConvCall conv_begin(Elab *e, const CallSite *at, const Val *argv, int n)
{
	static const char *const space[] = {"", "L", "H, W", "D, H, W"}, *const taps[] = {"", "K", "kH, kW", "kD, kH, kW"};
	ConvCall v = {.e = e, .at = at};
	DType d = elab_result_dtype(e, argv, 2, at->loc);
	if (d == DT_bool) elab_fail(e, at->loc, "conv.dtype", "`%s` takes numbers, not bool", at->name);
	Value *x[2];
	for (int i = 0; i < 2; i++) x[i] = ir_convert(elab_builder(e), elab_tensor(e, argv[i], &d, arg_at(at, i), at->name), d);
	if (n < 0) n = x[0]->type->rank - 2;
	if (n < 1 || n > 3)
		elab_fail(e, arg_at(at, 0), "conv.rank", "`%s` takes an input with one to three axes between the batch and the channels, not %s",
		          at->name, type_text(e, x[0]->type));
	if (x[0]->type->rank != n + 2)
		elab_fail(e, arg_at(at, 0), "conv.rank", "`%s` takes an input [N, %s, C], not %s", at->name, space[n], type_text(e, x[0]->type));
	if (x[1]->type->rank != n + 2)
		elab_fail(e, arg_at(at, 1), "conv.rank", "`%s` takes a weight [O, %s, C/groups], not %s", at->name, taps[n],
		          type_text(e, x[1]->type));
	v.x = x[0], v.w = x[1];
	v.c.n = n;
	v.c.groups = 1;
	for (int i = 0; i < n; i++) {
		v.c.step[i] = v.c.dilation[i] = v.c.spread[i] = 1;
		v.c.lo[i] = v.c.hi[i] = dim_const(e, 0);
	}
	return v;
}

/* A positive integer for each axis, or one for all. */
static void conv_distances(const ConvCall *v, const Val *argv, int i, const char *what, int64_t *out)
{
	int n = elab_ints(v->e, argv[i], out, MAX_RANK, arg_at(v->at, i), what);
	if (n != 1 && n != v->c.n)
		elab_fail(v->e, arg_at(v->at, i), "conv.length", "%s of `%s` has %d entries for %d axes", what, v->at->name, n, v->c.n);
	for (int k = n == 1 ? 1 : n; k < v->c.n; k++) out[k] = out[0];
	for (int k = 0; k < v->c.n; k++)
		if (out[k] < 1)
			elab_fail(v->e, arg_at(v->at, i), "conv.positive", "%s of `%s` must be positive, not %lld", what, v->at->name,
			          (long long)out[k]);
}

static void conv_dims(const ConvCall *v, Val a, int i, const char *what, Dim *out)
{
	const Val *at;
	int n = val_items(v->e, a, &at);
	if (n != 1 && n != v->c.n)
		elab_fail(v->e, arg_at(v->at, i), "conv.length", "%s of `%s` has %d entries for %d axes", what, v->at->name, n, v->c.n);
	for (int k = 0; k < v->c.n; k++) out[k] = elab_dim(v->e, at[n == 1 ? 0 : k], arg_at(v->at, i), what);
}

/* padding: a number, one for each axis, or ((before..), (after..)). */
static void conv_padding(ConvCall *v, Val p, int i)
{
	bool pair = val_is_seq(p) && p.u.items->n == 2 && val_is_seq(p.u.items->at[0]);
	conv_dims(v, pair ? p.u.items->at[0] : p, i, "padding", v->c.lo);
	conv_dims(v, pair ? p.u.items->at[1] : p, i, "padding", v->c.hi);
}

static void conv_groups(ConvCall *v, const Val *argv, int i)
{
	Elab *e = v->e;
	const Type *x = v->x->type, *w = v->w->type;
	int64_t g = v->c.groups = elab_int(e, argv[i], arg_at(v->at, i), "groups");
	if (g < 1) elab_fail(e, arg_at(v->at, i), "conv.groups", "groups of `%s` must be positive, not %lld", v->at->name, (long long)g);
	if (g > 1 && !dim_div_exact(elab_dims(e), elab_facts(e), w->dim[0], dim_const(e, g)))
		elab_fail(e, arg_at(v->at, i), "conv.groups", "the %s results of `%s` do not divide into %lld groups", text(e, w->dim[0]),
		          v->at->name, (long long)g);
	Dim have = x->dim[x->rank - 1], per = w->dim[w->rank - 1], want = dim_scale(elab_dims(e), per, g, 1), fits;
	if (dim_provable_equal(elab_facts(e), have, want)) return;
	const char *note = "the last axis of the input, and that of the weight times groups, are channels";
	if (g == 1 && (fits = dim_div_exact(elab_dims(e), elab_facts(e), have, per)) &&
	    dim_div_exact(elab_dims(e), elab_facts(e), w->dim[0], fits))
		note = arena_printf(elab_arena(e), "with `groups=%s` they fit", text(e, fits));
	else if (dim_provable_equal(elab_facts(e), x->dim[1], want)) note = "axis 1 of the input fits: channels come last here, not first";
	elab_fail_note(e, v->at->loc, "conv.channels", note, "the input of `%s` has %s channels, its weight is for %s: %s and %s", v->at->name,
	               text(e, have), text(e, want), type_text(e, x), type_text(e, w));
}

/* The kernel fits into the padded input: shown, or made a fact that is checked at the entry. */
static Val conv_end(ConvCall *v)
{
	Elab *e = v->e;
	DimCtx *d = elab_dims(e);
	for (int i = 0; i < v->c.n; i++) {
		Dim room = conv_room(d, &v->c, i, v->x->type->dim[1 + i], v->w->type->dim[1 + i]);
		Dim span = conv_span(d, v->w->type->dim[1 + i], v->c.dilation[i]);
		if (dim_provable_nonneg(elab_facts(e), room)) continue;
		if (!room || dim_has_value_atom(room) || dim_provable_less(elab_facts(e), room, dim_const(e, 0)))
			elab_fail(e, v->at->loc, "conv.size", "the kernel of `%s` spans %s elements of axis %d, the padded input %s has only %s there",
			          v->at->name, text(e, span), 1 + i, type_text(e, v->x->type), text(e, dim_add(d, room, span)));
		elab_assume_nonneg(e, room);
	}
	return val_tensor(ir_conv(elab_builder(e), v->x, v->w, &v->c));
}

static Val conv_plain(Elab *e, const CallSite *at, const Val *argv, int n)
{
	ConvCall v = conv_begin(e, at, argv, n);
	conv_distances(&v, argv, 2, "stride", v.c.step);
	conv_padding(&v, argv[3], 3);
	conv_distances(&v, argv, 4, "dilation", v.c.dilation);
	conv_groups(&v, argv, 5);
	return conv_end(&v);
}

Val builtin_conv1d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_plain(e, at, argv, 1);
}
Val builtin_conv2d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_plain(e, at, argv, 2);
}
Val builtin_conv3d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_plain(e, at, argv, 3);
}

Val builtin_conv_general(Elab *e, const CallSite *at, Val *argv)
{
	ConvCall v = conv_begin(e, at, argv, -1);
	conv_distances(&v, argv, 2, "stride", v.c.step);
	conv_padding(&v, argv[3], 3);
	conv_distances(&v, argv, 4, "kernel_dilation", v.c.dilation);
	conv_distances(&v, argv, 5, "input_dilation", v.c.spread);
	conv_groups(&v, argv, 6);
	v.c.flip = elab_bool(e, argv[7], arg_at(at, 7), "flip");
	return conv_end(&v);
}

/* Result extent (S-1)*stride - 2*padding + (K-1)*dilation + 1 + output_padding. */
static Val conv_transposed(Elab *e, const CallSite *at, const Val *argv, int n)
{
	ConvCall v = conv_begin(e, at, argv, n);
	DimCtx *d = elab_dims(e);
	Dim extra[MAX_RANK];
	conv_distances(&v, argv, 2, "stride", v.c.spread);
	conv_padding(&v, argv[3], 3);
	conv_distances(&v, argv, 4, "dilation", v.c.dilation);
	conv_dims(&v, argv[5], 5, "output_padding", extra);
	conv_groups(&v, argv, 6);
	v.c.flip = true;
	for (int i = 0; i < n; i++) {
		Dim reach = dim_scale(d, dim_sub(d, v.w->type->dim[1 + i], dim_const(e, 1)), v.c.dilation[i], 1);
		v.c.lo[i] = dim_sub(d, reach, v.c.lo[i]);
		v.c.hi[i] = dim_add(d, dim_sub(d, reach, v.c.hi[i]), extra[i]);
	}
	return conv_end(&v);
}

Val builtin_conv_transpose1d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_transposed(e, at, argv, 1);
}
Val builtin_conv_transpose2d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_transposed(e, at, argv, 2);
}
Val builtin_conv_transpose3d(Elab *e, const CallSite *at, Val *argv)
{
	return conv_transposed(e, at, argv, 3);
}

/* [N, S.., C] -> [N, positions.., sizes.., C]: what a pooling layer reduces. what names it in messages. */
Val builtin_pool_windows(Elab *e, const CallSite *at, Val *argv)
{
	const char *what = elab_str(e, argv[0], at->loc, "the name");
	Value *x = elab_tensor(e, argv[1], NULL, at->loc, what);
	int64_t size[MAX_RANK], step[MAX_RANK], one[MAX_RANK], axes[MAX_RANK];
	int n = elab_ints(e, argv[2], size, MAX_RANK, at->loc, "kernel_size");
	if (elab_ints(e, argv[3], step, MAX_RANK, at->loc, "stride") != n)
		elab_fail(e, at->loc, "pool.length", "stride of `%s` needs one entry for each of %d axes", what, n);
	if (x->type->rank != n + 2)
		elab_fail(e, at->loc, "pool.rank", "`%s` takes an input of %d axes, the batch first and the channels last, not %s", what, n + 2,
		          type_text(e, x->type));
	Dim sizes[MAX_RANK];
	DimCtx *d = elab_dims(e);
	for (int i = 0; i < n; i++) {
		if (size[i] < 1 || step[i] < 1)
			elab_fail(e, at->loc, "pool.positive", "kernel_size and stride of `%s` must be positive, not %lld and %lld", what,
			          (long long)size[i], (long long)step[i]);
		axes[i] = 1 + i, one[i] = 1, sizes[i] = dim_const(e, size[i]);
		Dim room = dim_sub(d, x->type->dim[1 + i], sizes[i]);
		if (dim_provable_nonneg(elab_facts(e), room)) continue;
		if (dim_has_value_atom(room) || dim_provable_less(elab_facts(e), room, dim_const(e, 0)))
			elab_fail(e, at->loc, "pool.size", "a window of %lld elements does not fit axis %d of the padded input %s of `%s`",
			          (long long)size[i], 1 + i, type_text(e, x->type), what);
		elab_assume_nonneg(e, room);
	}
	return val_tensor(ir_window(elab_builder(e), x, axes, n, sizes, step, one));
}
