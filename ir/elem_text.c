/* Expands the scalar meanings of ops.def into C: see elem_text.h and the conventions at the top of kernels/support.h. */
#include <assert.h>
#include <ctype.h>
#include <string.h>
#include "elem_text.h"

typedef struct Expander {
	StrBuf *out;
	DType d;
	const char *const *operand;
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
	while (*op == ' ') op++, nop--;
	while (*y == ' ') y++, ny--;
	sb_printf(e->out, plain ? "(" : "((%s)((%s)", dtype_ctype(e->d), wide);
	expand(e, x, nx);
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
	if (n == 1 && *s == 'T') return sb_put(e->out, dtype_ctype(c)), n;
	if (n == 4 && !memcmp(s, "MAXV", 4)) return put_limit(e, true), n;
	if (n == 4 && !memcmp(s, "MINV", 4)) return put_limit(e, false), n;
	if (n == 4 && !memcmp(s, "BITS", 4)) return sb_printf(e->out, "%d", 8 * dtype_bytes(e->d)), n;
	if (n == 4 && !memcmp(s, "WRAP", 4)) return n + 1 + expand_wrap(e, s + n + 1);
	if ((n == 2 && !memcmp(s, "FN", 2)) || (n == 3 && !memcmp(s, "SUP", 3))) {
		const char *name = s + n + 1;
		int len = (int)argument_length(name);
		if (n == 2) sb_printf(e->out, "%.*s%s", len, name, c == DT_f32 ? "f" : "");
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
		else sb_putn(e->out, s + i, k ? k : 1), i += k ? k : 1;
	}
}

void elem_text(StrBuf *out, const char *meaning, DType d, const char *const *operand)
{
	Expander e = {out, d, operand};
	expand(&e, meaning, strlen(meaning));
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
