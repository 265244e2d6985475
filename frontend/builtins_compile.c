/* Functions of compile-time values: map, zip, enumerate, len, int, float, str, typeof, accepts; and print and limitation. */
#include "builtins.h"
#include "elab_core.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- sequences ---------------------------------------------------------------------------------------------------------- */
static Val element_of(Elab *e, Val seq, int64_t i, Loc loc)
{
	Val idx = val_int(i);
	return elab_index_val(e, seq, &idx, 1, loc);
}

/* The number of elements of what can be iterated while compiling; fails for anything else. */
static int64_t seq_length(Elab *e, Val v, Loc loc, const char *name)
{
	int64_t n;
	switch (v.kind) {
	case V_TUPLE:
	case V_LIST: return v.u.items->n;
	case V_RANGE: {
		int64_t lo = elab_int(e, *v.u.range.lo, loc, "the start of a range"), hi = elab_int(e, *v.u.range.hi, loc, "the end of a range");
		return hi > lo ? hi - lo : 0;
	}
	case V_TENSOR:
		if (v.u.tensor->type->rank > 0 && dim_is_const(v.u.tensor->type->dim[0], &n)) return n;
		elab_fail(e, loc, "seq.length", "`%s` needs a known length, but takes %s", name, val_describe(e, v));
	case V_STACK:
		if (dim_is_const(v.u.stack->n, &n)) return n;
		elab_fail(e, loc, "seq.length", "`%s` needs a known length, but takes %s", name, val_describe(e, v));
	default: elab_fail(e, loc, "seq.kind", "`%s` takes tuples, lists and ranges, not %s", name, val_describe(e, v));
	}
}

static Val seq_at(Elab *e, Val v, int64_t i, Loc loc)
{
	if (val_is_seq(v)) return v.u.items->at[i];
	if (v.kind == V_RANGE) return val_int(elab_int(e, *v.u.range.lo, loc, "the start of a range") + i);
	return element_of(e, v, i, loc);
}

static int64_t common_length(Elab *e, const CallSite *at, const Items *seqs)
{
	int64_t n = 0;
	for (int k = 0; k < seqs->n; k++) {
		int64_t m = seq_length(e, seqs->at[k], at->loc, at->name);
		if (k && m != n)
			elab_fail(e, at->loc, "seq.length", "`%s`: sequence 0 has %lld elements, sequence %d has %lld", at->name, (long long)n, k,
			          (long long)m);
		n = m;
	}
	return n;
}

static Val map_row(Elab *e, void *ctx, Value *row)
{
	const CallSite *at = ((void **)ctx)[0];
	const Val *fn = ((void **)ctx)[1];
	Val arg = val_tensor(row);
	return elab_call(e, *fn, &arg, 1, NULL, NULL, 0, at->loc);
}

/* A tuple gives a tuple; a list or range a list; a tensor is mapped by a run-time loop over its rows, whose results are stacked. */
Val builtin_map(Elab *e, const CallSite *at, Val *argv)
{
	const Items *seqs = argv[1].u.items;
	if (!elab_is_callable(argv[0]))
		elab_fail(e, arg_at(at, 0), "call.kind", "`map` takes a function first, not %s", val_describe(e, argv[0]));
	if (seqs->n == 0) elab_fail(e, at->loc, "call.missing", "`map(f, seq)` lacks its sequence");
	if (seqs->n == 1 && seqs->at[0].kind == V_TENSOR && seqs->at[0].u.tensor->type->rank > 0) {
		void *ctx[2] = {(void *)at, &argv[0]};
		return elab_loop_map(e, elab_tensor(e, seqs->at[0], NULL, at->loc, "the sequence"), map_row, ctx, at->loc);
	}
	int64_t n = common_length(e, at, seqs);
	Val *out = NEW_ARRAY(elab_arena(e), Val, n), *arg = NEW_ARRAY(elab_arena(e), Val, seqs->n);
	for (int64_t i = 0; i < n; i++) {
		for (int k = 0; k < seqs->n; k++) arg[k] = seq_at(e, seqs->at[k], i, at->loc);
		out[i] = elab_call(e, argv[0], arg, seqs->n, NULL, NULL, 0, at->loc);
	}
	return seqs->at[0].kind == V_TUPLE ? val_tuple(e, out, (int)n) : val_list(e, out, (int)n);
}

Val builtin_zip(Elab *e, const CallSite *at, Val *argv)
{
	const Items *seqs = argv[0].u.items;
	int64_t n = common_length(e, at, seqs);
	Val *out = NEW_ARRAY(elab_arena(e), Val, n);
	for (int64_t i = 0; i < n; i++) {
		Val *row = NEW_ARRAY(elab_arena(e), Val, seqs->n);
		for (int k = 0; k < seqs->n; k++) row[k] = seq_at(e, seqs->at[k], i, at->loc);
		out[i] = val_tuple(e, row, seqs->n);
	}
	return val_list(e, out, (int)n);
}

Val builtin_enumerate(Elab *e, const CallSite *at, Val *argv)
{
	int64_t n = seq_length(e, argv[0], at->loc, at->name), start = elab_int(e, argv[1], arg_at(at, 1), "start");
	Val *out = NEW_ARRAY(elab_arena(e), Val, n);
	for (int64_t i = 0; i < n; i++) {
		Val pair[2] = {val_int(start + i), seq_at(e, argv[0], i, at->loc)};
		out[i] = val_tuple(e, pair, 2);
	}
	return val_list(e, out, (int)n);
}

Val builtin_len(Elab *e, const CallSite *at, Val *argv)
{
	Val v = argv[0];
	switch (v.kind) {
	case V_STR: return val_int((int64_t)v.u.str.n);
	case V_RECORD:
	case V_TUPLE:
	case V_LIST: return val_int(v.u.items->n);
	case V_STACK: return val_dim(e, v.u.stack->n);
	case V_RANGE:
		if (val_is_int_like(*v.u.range.lo) && val_is_int_like(*v.u.range.hi))
			return elab_binary(e, B_SUB, *v.u.range.hi, *v.u.range.lo, at->loc);
		break;
	case V_TENSOR:
		if (v.u.tensor->type->rank > 0) return val_dim(e, v.u.tensor->type->dim[0]);
		break;
	default: break;
	}
	elab_fail(e, arg_at(at, 0), "len.kind", "%s has no length", val_describe(e, v));
}

/* --- numbers and texts -------------------------------------------------------------------------------------------------- */
/* A compile-time number of v: a number, or a scalar tensor that is constant. */
static bool known_number(Val v, Val *out)
{
	*out = v;
	if (val_is_number(v)) return true;
	const Tensor *t = v.kind == V_TENSOR && v.u.tensor->type->rank == 0 ? value_const(v.u.tensor) : NULL;
	if (!t) return false;
	DType d = t->dtype;
	Scalar s = tensor_get(t, 0);
	*out = d == DT_bool ? val_bool(s.v.u != 0) : dtype_is_int(d) ? val_int(scalar_to_int(s)) : val_float(scalar_to_double(s));
	return d != DT_c64;
}

static _Noreturn void fail_number(Elab *e, const CallSite *at, Val v)
{
	const char *cast = !strcmp(at->name, "int") ? "i32(x)" : "f32(x)";
	if (v.kind == V_TENSOR)
		elab_fail_note(e, arg_at(at, 0), "number.known", arena_printf(elab_arena(e), "a tensor is converted with `%s`", cast),
		               "`%s` takes a compile-time number, not %s", at->name, val_describe(e, v));
	elab_fail(e, arg_at(at, 0), "number.known", "`%s` takes a compile-time number, not %s", at->name, val_describe(e, v));
}

/* A text that is wholly a number. */
static double read_number(Elab *e, const CallSite *at, Val v)
{
	char *end;
	char *s = arena_strndup(elab_arena(e), v.u.str.at, v.u.str.n);
	double x = strtod(s, &end);
	if (end == s || *end) elab_fail(e, arg_at(at, 0), "number.text", "\"%s\" is not a number", s);
	return x;
}

Val builtin_int(Elab *e, const CallSite *at, Val *argv)
{
	Val v = argv[0];
	if (v.kind == V_DIM) return v;
	if (v.kind == V_STR) v = val_float(read_number(e, at, v));
	if (!known_number(v, &v) || v.kind == V_COMPLEX) fail_number(e, at, argv[0]);
	if (v.kind == V_BOOL) return val_int(v.u.b);
	if (v.kind == V_INT) return v;
	double t = trunc(v.u.f);
	if (!(t >= -9223372036854775808.0 && t < 9223372036854775808.0))
		elab_fail(e, arg_at(at, 0), "int.overflow", "%g does not fit a 64-bit integer", v.u.f);
	return val_int((int64_t)t);
}

Val builtin_float(Elab *e, const CallSite *at, Val *argv)
{
	Val v = argv[0];
	if (v.kind == V_STR) return val_float(read_number(e, at, v));
	if (!known_number(v, &v) || v.kind == V_COMPLEX) fail_number(e, at, argv[0]);
	return v.kind == V_FLOAT ? v : val_float(v.kind == V_BOOL ? v.u.b : (double)v.u.i);
}

/* The shortest text that reads back as x, with a point or exponent in it. */
static const char *float_text(Elab *e, double x)
{
	char s[40];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, x);
		if (strtod(s, NULL) == x || isnan(x)) break;
	}
	return arena_printf(elab_arena(e), strpbrk(s, ".en") ? "%s" : "%s.0", s);
}

static const char *text_of(Elab *e, Val v)
{
	Arena *a = elab_arena(e);
	switch (v.kind) {
	case V_NONE: return "none";
	case V_BOOL: return v.u.b ? "true" : "false";
	case V_INT: return arena_printf(a, "%lld", (long long)v.u.i);
	case V_FLOAT: return float_text(e, v.u.f);
	case V_COMPLEX: return arena_printf(a, "%s%s%sj", float_text(e, v.u.c.re), v.u.c.im < 0 ? "" : "+", float_text(e, v.u.c.im));
	case V_STR: return arena_strndup(a, v.u.str.at, v.u.str.n);
	case V_DIM: return dim_str(a, v.u.dim);
	case V_DTYPE: return dtype_name(v.u.dtype);
	case V_TUPLE:
	case V_LIST: {
		StrBuf b;
		sb_init(&b, a);
		sb_putc(&b, v.kind == V_TUPLE ? '(' : '[');
		for (int i = 0; i < v.u.items->n; i++) sb_printf(&b, "%s%s", i ? ", " : "", text_of(e, v.u.items->at[i]));
		if (v.kind == V_TUPLE && v.u.items->n == 1) sb_putc(&b, ',');
		sb_putc(&b, v.kind == V_TUPLE ? ')' : ']');
		return arena_strdup(a, sb_text(&b));
	}
	default: return NULL;
	}
}

Val builtin_str(Elab *e, const CallSite *at, Val *argv)
{
	const char *s = text_of(e, argv[0]);
	if (!s)
		elab_fail(e, arg_at(at, 0), "str.kind", "`str` takes a compile-time number, text or dimension, not %s", val_describe(e, argv[0]));
	return val_str(e, s);
}

/* --- types -------------------------------------------------------------------------------------------------------------- */
static Val type_of_leaf(Elab *e, Val v)
{
	switch (v.kind) {
	case V_TENSOR: return val_type(e, v.u.tensor->type->dtype, v.u.tensor->type->rank, v.u.tensor->type->dim);
	case V_BOOL: return val_dtype(DT_bool);
	case V_INT:
	case V_DIM: return val_dtype(DT_i32);
	case V_FLOAT: return val_dtype(DT_f32);
	case V_COMPLEX: return val_dtype(DT_c64);
	default: return v;
	}
}

Val builtin_typeof(Elab *e, const CallSite *at, Val *argv)
{
	Leaves l = tree_leaves(e, argv[0]);
	for (int i = 0; i < l.n; i++) l.at[i] = type_of_leaf(e, l.at[i]);
	return tree_rebuild(e, argv[0], l.at);
}

Val builtin_accepts_name(Elab *e, const CallSite *at, Val *argv)
{
	return val_bool(elab_accepts(e, argv[0], elab_str(e, argv[1], arg_at(at, 1), "the name of a parameter")));
}

/* --- effects and messages ----------------------------------------------------------------------------------------------- */
/* The message is the text with {} where an operand is to stand. */
Val builtin_print(Elab *e, const CallSite *at, Val *argv)
{
	const Items *p = argv[0].u.items;
	StrBuf b;
	sb_init(&b, elab_arena(e));
	Value **in = NEW_ARRAY(elab_arena(e), Value *, p->n);
	int n = 0;
	for (int i = 0; i < p->n; i++) {
		const char *s = text_of(e, p->at[i]);
		if (i) sb_putc(&b, ' ');
		if (s && p->at[i].kind != V_DIM && p->at[i].kind != V_LIST) {
			sb_put(&b, s);
		} else {
			sb_put(&b, "{}");
			in[n++] = elab_tensor(e, p->at[i], NULL, p->at[i].loc.file ? p->at[i].loc : at->loc, "what `print` shows");
		}
	}
	Attr a = ATTR_STR(message, module_str(elab_module(e), sb_text(&b)));
	ir_emit_effect(elab_builder(e), OP_print, in, n, &a, 1);
	return val_none();
}

Val builtin_limitation(Elab *e, const CallSite *at, Val *argv)
{
	elab_limitation(e, at->loc, "limitation.library", "%s", elab_str(e, argv[0], arg_at(at, 0), "the text of `limitation`"));
}
