/* Expands the scalar meanings of ops.def into C: see elem_text.h and the conventions at the top of kernels/support.h. */
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "elem_text.h"

typedef struct Expander {
	StrBuf *out;
	DType d;
	const char *const *operand;
	/* over vectors: */
	int bits; /* of a lane; 0: scalars */
	bool (*known)(void *ctx, const char *name);
	void *ctx;
	bool failed;
} Expander;

static bool is_half(DType d)
{
	return d == DT_f16 || d == DT_bf16;
}

const char *elem_ctype(DType d)
{
	return dtype_ctype(dtype_compute(d));
}

static void expand(Expander *e, const char *s, size_t n);

const char *elem_vector(DType d, int bits)
{
	if (d == DT_bool) return bits == 64 ? "mx_vl" : "mx_vi";
	if (d == DT_f64) return "mx_vd";
	if (dtype_is_float(d)) return "mx_vf";
	return dtype_is_signed(d) ? "mx_vi" : "mx_vu";
}

/* mx_NAME_vf where there is one. */
static void put_vector_function(Expander *e, const char *name, int len)
{
	char full[64];
	snprintf(full, sizeof full, "mx_%.*s_%s", len, name, elem_vector(e->d, e->bits) + 3);
	if (!e->known(e->ctx, full)) e->failed = true;
	sb_put(e->out, full);
}

/* The end of the argument that begins at s: a comma or closing parenthesis at its own depth. */
static size_t argument_length(const char *s)
{
	size_t n = 0;
	for (int depth = 0; depth > 0 || (s[n] != ',' && s[n] != ')'); n++) {
		assert(s[n] && "unbalanced meaning in ops.def");
		depth += (s[n] == '(') - (s[n] == ')');
	}
	return n;
}

/* WRAP(x, op, y) from behind its parenthesis; returns the length up to and with the closing one. Unsigned types of int's width and
 * above wrap by themselves. */
static size_t expand_wrap(Expander *e, const char *s)
{
	size_t nx = argument_length(s), nop = argument_length(s + nx + 1), ny = argument_length(s + nx + nop + 2);
	const char *x = s, *op = s + nx + 1, *y = op + nop + 1, *wide = dtype_bytes(e->d) == 8 ? "uint64_t" : "uint32_t";
	bool plain = e->d == DT_u32 || e->d == DT_u64;
	if (e->bits) wide = "mx_vu", e->failed |= dtype_bytes(e->d) != 4;
	while (*op == ' ') op++, nop--;
	while (*y == ' ') y++, ny--;
	const char *type = e->bits ? elem_vector(e->d, e->bits) : dtype_ctype(e->d);
	bool number = e->bits && isdigit((unsigned char)*x); /* a vector and a scalar; that is not cast */
	if (number) sb_printf(e->out, plain ? "(%.0s%.*su" : "((%s)(%.*su", type, (int)nx, x);
	else sb_printf(e->out, plain ? "(" : "((%s)((%s)", type, wide);
	if (!number) expand(e, x, nx);
	sb_printf(e->out, plain ? " %.*s " : " %.*s (%s)", (int)nop, op, wide);
	expand(e, y, ny);
	sb_put(e->out, plain ? ")" : "))");
	return (size_t)(y - s) + ny + 1;
}

static void put_limit(Expander *e, bool max)
{
	int bits = 8 * dtype_bytes(e->d);
	if (dtype_is_float(e->d)) sb_put(e->out, max ? "INFINITY" : "(-INFINITY)");
	else if (dtype_is_signed(e->d)) sb_printf(e->out, "INT%d_%s", bits, max ? "MAX" : "MIN");
	else if (max) sb_printf(e->out, "UINT%d_MAX", bits);
	else sb_put(e->out, "0");
}

/* One identifier of n characters; returns how much of the text it took. */
static size_t expand_name(Expander *e, const char *s, size_t n)
{
	DType c = dtype_compute(e->d);
	if (n == 1 && *s >= 'a' && *s <= 'c') return sb_put(e->out, e->operand[*s - 'a']), n;
	if (e->bits && n == 1 && *s == 'T') {
		e->failed |= dtype_is_float(e->d);
		return sb_put(e->out, elem_vector(e->d, e->bits)), n;
	}
	if (n == 1 && *s == 'T') return sb_put(e->out, dtype_ctype(c)), n;
	if (n == 4 && !memcmp(s, "MAXV", 4)) return put_limit(e, true), n;
	if (n == 4 && !memcmp(s, "MINV", 4)) return put_limit(e, false), n;
	if (n == 4 && !memcmp(s, "BITS", 4)) return sb_printf(e->out, "%d", 8 * dtype_bytes(e->d)), n;
	if (n == 4 && !memcmp(s, "WRAP", 4)) return n + 1 + expand_wrap(e, s + n + 1);
	bool libm = n == 4 && !memcmp(s, "LIBM", 4), fn = n == 2 && !memcmp(s, "FN", 2);
	if (libm || fn || (n == 3 && !memcmp(s, "SUP", 3))) {
		const char *name = s + n + 1;
		int len = (int)argument_length(name);
		if (e->bits) put_vector_function(e, name, len);
		else if (libm || (fn && c == DT_f64)) sb_printf(e->out, "%.*s%s", len, name, c == DT_f32 ? "f" : "");
		else sb_printf(e->out, "mx_%.*s_%s", len, name, dtype_name(c));
		return n + 2 + (size_t)len;
	}
	return sb_putn(e->out, s, n), n;
}

static void expand(Expander *e, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		while (i + k < n && (isalnum((unsigned char)s[i + k]) || s[i + k] == '_')) k++;
		if (k && isalpha((unsigned char)s[i])) i += expand_name(e, s + i, k);
		else if (k && e->bits && dtype_is_float(e->d)) sb_printf(e->out, e->d == DT_f64 ? "%.*s.0" : "%.*s.0f", (int)k, s + i), i += k;
		else sb_putn(e->out, s + i, k ? k : 1), i += k ? k : 1;
	}
}

void elem_text(StrBuf *out, const char *meaning, DType d, const char *const *operand)
{
	Expander e = {.out = out, .d = d, .operand = operand};
	expand(&e, meaning, strlen(meaning));
}

bool elem_text_is_pure(const char *meaning)
{
	return !meaning[strspn(meaning, "abc +-*/<>=!&|^")] && !strstr(meaning, "||") && !strstr(meaning, "&&");
}

/* The first place of op outside all parentheses, or NULL. */
static const char *at_top(const char *s, size_t n, const char *op)
{
	int depth = 0;
	for (size_t i = 0; i + strlen(op) <= n; i++) {
		depth += (s[i] == '(') - (s[i] == ')');
		if (!depth && !memcmp(s + i, op, strlen(op))) return s + i;
	}
	return NULL;
}

static void put_trimmed(Expander *e, const char *s, size_t n, void (*put)(Expander *, const char *, size_t))
{
	while (n && *s == ' ') s++, n--;
	while (n && s[n - 1] == ' ') n--;
	put(e, s, n);
}

/* Masks are combined bit by bit; a choice is a function. */
static void expand_lanes(Expander *e, const char *s, size_t n)
{
	const char *vector = elem_vector(e->d, e->bits), *q = at_top(s, n, " ? "), *j;
	bool mask = e->d == DT_bool;
	if (q) {
		const char *colon = at_top(s, n, " : ");
		sb_printf(e->out, "mx_sel%s(", !strcmp(vector, "mx_vf") ? "" : vector + 2);
		put_trimmed(e, s, (size_t)(q - s), expand_lanes);
		sb_put(e->out, ", ");
		put_trimmed(e, q + 3, (size_t)(colon - q - 3), expand_lanes);
		sb_put(e->out, ", ");
		put_trimmed(e, colon + 3, n - (size_t)(colon + 3 - s), expand_lanes);
		sb_putc(e->out, ')');
	} else if ((j = at_top(s, n, "||")) || (j = at_top(s, n, "&&"))) {
		sb_putc(e->out, '(');
		put_trimmed(e, s, (size_t)(j - s), expand_lanes);
		sb_printf(e->out, ") %c (", *j);
		put_trimmed(e, j + 2, n - (size_t)(j + 2 - s), expand_lanes);
		sb_putc(e->out, ')');
	} else if (mask && (j = at_top(s, n, "=="))) {
		sb_printf(e->out, "mx_not%s(%s ^ %s)", e->bits == 64 ? "_vd" : "", e->operand[0], e->operand[1]);
	} else if (mask && at_top(s, n, "!=")) {
		sb_printf(e->out, "%s ^ %s", e->operand[0], e->operand[1]);
	} else if (mask && *s == '!') {
		sb_printf(e->out, "mx_not%s(", e->bits == 64 ? "_vd" : "");
		expand(e, s + 1, n - 1);
		sb_putc(e->out, ')');
	} else {
		e->failed |= mask && (at_top(s, n, "<") || at_top(s, n, ">"));
		e->failed |= dtype_is_int(e->d) && dtype_bytes(e->d) < 4 && at_top(s, n, "~");
		expand(e, s, n);
	}
}

bool elem_text_lanes(StrBuf *out, const char *meaning, DType d, int bits, const char *const *operand,
                     bool (*known)(void *ctx, const char *name), void *ctx)
{
	Expander e = {out, d, operand, bits, known, ctx, false};
	expand_lanes(&e, meaning, strlen(meaning));
	return !e.failed;
}

void elem_load_text(StrBuf *out, DType d, const char *x)
{
	if (is_half(d)) sb_printf(out, "mx_f32_from_%s(%s)", dtype_name(d), x);
	else sb_put(out, x);
}

void elem_store_text(StrBuf *out, DType d, const char *x)
{
	if (is_half(d)) sb_printf(out, "mx_%s_from_f32(%s)", dtype_name(d), x);
	else sb_put(out, x);
}

/* Real part of a complex value first; integers go to the half formats through f32, f64 in one rounding. */
void elem_convert_text(StrBuf *out, DType from, DType to, const char *x)
{
	const char *part = from == DT_c64 ? ".re" : "", *type = dtype_ctype(to);
	DType c = from == DT_c64 ? DT_f32 : dtype_compute(from);
	if (to == from && !is_half(to)) sb_put(out, x);
	else if (to == DT_bool && from == DT_c64) sb_printf(out, "(%s.re != 0 || %s.im != 0)", x, x);
	else if (to == DT_bool) sb_printf(out, "(%s != 0)", x);
	else if (to == DT_c64) sb_printf(out, "mx_c64_make((float)%s, 0)", x);
	else if (is_half(to) && c == DT_f64) sb_printf(out, "mx_%s_from_f64(%s)", dtype_name(to), x);
	else if (is_half(to)) sb_printf(out, c == DT_f32 ? "mx_%s_from_f32(%s%s)" : "mx_%s_from_f32((float)%s%s)", dtype_name(to), x, part);
	else if (dtype_is_int(to) && dtype_is_float(c)) sb_printf(out, "mx_%s_from_%s(%s%s)", dtype_name(to), dtype_name(c), x, part);
	else if (to == c) sb_printf(out, "%s%s", x, part);
	else sb_printf(out, "(%s)%s%s", type, x, part);
}
