/* Characters, numbers, constants and places of IR text. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "read.h"

bool read_fail(Reader *r, const char *at, const char *fmt, ...)
{
	if (r->failed) return false;
	r->failed = true;
	r->errors++;
	va_list ap;
	va_start(ap, fmt);
	const char *stop = r->p > at ? r->p : at < r->end ? at + 1 : at;
	diag_v(r->diag, DIAG_ERROR, (Loc){r->file, (uint32_t)(at - r->text), (uint32_t)(stop - r->text)}, "ir.read", fmt, ap);
	va_end(ap);
	return false;
}

void read_space(Reader *r)
{
	for (;; r->p++) {
		if (*r->p == '#')
			while (r->p < r->end && *r->p != '\n') r->p++;
		if (r->p >= r->end || !isspace((unsigned char)*r->p)) return;
	}
}

bool read_peek(Reader *r, char c)
{
	read_space(r);
	return r->p < r->end && *r->p == c;
}

bool read_accept(Reader *r, char c)
{
	if (!read_peek(r, c)) return false;
	r->p++;
	return true;
}

/* What stands at r->p, for messages. */
const char *read_found(Reader *r)
{
	read_space(r);
	if (r->p >= r->end) return "the end of the text";
	const char *s = r->p;
	while (s < r->end && s - r->p < 24 && ir_name_char(*s)) s++;
	if (s == r->p) s++;
	char *copy = arena_strndup(r->arena, r->p, (size_t)(s - r->p));
	if (!isprint((unsigned char)copy[0])) return arena_printf(r->arena, "byte 0x%02x", (unsigned char)copy[0]);
	return arena_printf(r->arena, "`%s`", copy);
}

bool read_expect(Reader *r, char c, const char *after)
{
	if (read_accept(r, c)) return true;
	return read_fail(r, r->p, "`%c` expected %s, found %s", c, after, read_found(r));
}

bool read_next_is(Reader *r, const char *word)
{
	size_t n = strlen(word);
	read_space(r);
	return (size_t)(r->end - r->p) >= n && memcmp(r->p, word, n) == 0 && !ir_name_char(r->p[n]);
}

bool read_word(Reader *r, const char *word)
{
	if (!read_next_is(r, word)) return false;
	r->p += strlen(word);
	return true;
}

const char *read_ident(Reader *r)
{
	read_space(r);
	const char *s = r->p;
	if (s < r->end && (isalpha((unsigned char)*s) || *s == '_'))
		while (s < r->end && (isalnum((unsigned char)*s) || *s == '_')) s++;
	if (s == r->p) return NULL;
	const char *id = intern_str(&r->m->strings, r->p, (size_t)(s - r->p));
	r->p = s;
	return id;
}

bool read_int(Reader *r, int64_t *out)
{
	read_space(r);
	const char *at = r->p;
	if (!isdigit((unsigned char)*at) && !(*at == '-' && isdigit((unsigned char)at[1])))
		return read_fail(r, at, "an integer expected, found %s", read_found(r));
	char *stop;
	errno = 0;
	long long x = strtoll(at, &stop, 10);
	r->p = stop;
	if (errno == ERANGE) return read_fail(r, at, "the integer does not fit 64 bits");
	*out = x;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

static bool read_escape(Reader *r, StrBuf *b)
{
	char c = *++r->p;
	if (c == 'n') sb_putc(b, '\n');
	else if (c == 't') sb_putc(b, '\t');
	else if (c == '"' || c == '\\') sb_putc(b, c);
	else if (c == 'x' && hex_value(r->p[1]) >= 0 && hex_value(r->p[2]) >= 0 && (r->p[1] != '0' || r->p[2] != '0')) {
		sb_putc(b, (char)(hex_value(r->p[1]) * 16 + hex_value(r->p[2])));
		r->p += 2;
	} else
		return read_fail(r, r->p - 1, "unknown escape in a text; known are \\n \\t \\\" \\\\ and \\x with two hexadecimal digits, not 00");
	r->p++;
	return true;
}

bool read_string(Reader *r, const char **out)
{
	if (!read_peek(r, '"')) return read_fail(r, r->p, "a text in double quotes expected, found %s", read_found(r));
	const char *at = r->p++;
	StrBuf b;
	sb_init(&b, r->arena);
	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\n') break;
		if (*r->p == '\\') {
			if (!read_escape(r, &b)) return false;
		} else sb_putc(&b, *r->p++);
	}
	if (*r->p != '"') return read_fail(r, at, "the text has no closing quote on its line");
	r->p++;
	*out = intern_str(&r->m->strings, sb_text(&b), b.n);
	return true;
}

bool read_func_name(Reader *r, const char **out)
{
	if (!read_expect(r, '@', "before a function's name")) return false;
	if (r->p < r->end && *r->p == '"') return read_string(r, out);
	const char *at = r->p;
	while (r->p < r->end && ir_func_name_char(*r->p)) r->p++;
	if (r->p == at) return read_fail(r, at, "a function's name expected after `@`, found %s", read_found(r));
	*out = intern_str(&r->m->strings, at, (size_t)(r->p - at));
	return true;
}

/* --- dims and types ------------------------------------------------------------------------------------------------------ */
/* The parser of dims recurses into parentheses and multiplies as told: depth and length are bounded here. */
static bool dim_is_modest(Reader *r)
{
	int depth = 0, n = 0;
	for (const char *s = r->p; s < r->end && n < 4096; s++, n++) {
		if (*s == '(' && ++depth > READ_MAX_DEPTH) return false;
		if (*s == ')' && depth-- == 0) return true;
		if (depth == 0 && strchr(",]}>=\n", *s)) return true;
	}
	return n < 4096;
}

bool read_dim(Reader *r, Dim *out)
{
	read_space(r);
	const char *at = r->p, *error = NULL;
	if (!dim_is_modest(r)) return read_fail(r, at, "the dimension is too long or nested too deeply");
	*out = dim_parse(r->m->dims, &r->p, &error);
	if (!*out) return read_fail(r, at, "%s", error ? error : "a dimension expected");
	return true;
}

bool read_dtype(Reader *r, DType *out)
{
	const char *at = (read_space(r), r->p), *name = read_ident(r);
	if (name && dtype_find(name, out)) return true;
	const char *known[DT_COUNT];
	for (int d = 0; d < DT_COUNT; d++) known[d] = dtype_name((DType)d);
	if (!name) return read_fail(r, at, "a dtype expected, found %s", read_found(r));
	const char *near = diag_suggest(name, known, DT_COUNT);
	read_fail(r, at, "unknown dtype `%s`", name);
	if (near) diag_help(r->diag, "did you mean `%s`?", near);
	return false;
}

bool read_type(Reader *r, const Type **out)
{
	DType d;
	Dim dims[MAX_RANK];
	int rank = 0;
	if (!read_dtype(r, &d)) return false;
	const char *at = r->p;
	if (r->p < r->end && *r->p == '[') {
		r->p++;
		while (!read_accept(r, ']')) {
			if (rank && !read_expect(r, ',', "between dimensions")) return false;
			if (rank == MAX_RANK) return read_fail(r, at, "a tensor has at most %d axes", MAX_RANK);
			if (!read_dim(r, &dims[rank++])) return false;
		}
	}
	*out = type_get(r->m, d, rank, dims);
	return true;
}

/* --- constants ------------------------------------------------------------------------------------------------------------ */
static bool read_hex_word(Reader *r, uint64_t *out)
{
	const char *at = r->p;
	uint64_t x = 0;
	int n = 0;
	if (*r->p != '0' || r->p[1] != 'x') return read_fail(r, at, "0x expected");
	for (r->p += 2; hex_value(*r->p) >= 0; r->p++, n++) x = x << 4 | (uint64_t)hex_value(*r->p);
	if (n == 0 || n > 16) return read_fail(r, at, "one to sixteen hexadecimal digits expected");
	*out = x;
	return true;
}

static void store_float(DType d, const char *text, char **stop, void *to)
{
	if (d == DT_f64) {
		double x = strtod(text, stop);
		memcpy(to, &x, sizeof x);
		return;
	}
	float x = strtof(text, stop);
	uint16_t half = d == DT_f16 ? f32_to_f16(x) : f32_to_bf16(x);
	memcpy(to, d == DT_f32 ? (void *)&x : (void *)&half, (size_t)dtype_bytes(d));
}

static bool read_float(Reader *r, DType d, void *to)
{
	read_space(r);
	const char *at = r->p;
	uint64_t bits = ir_plain_nan(d);
	if (read_word(r, "nan")) {
		if (*r->p == ':' && (r->p++, !read_hex_word(r, &bits))) return false;
		memcpy(to, &bits, (size_t)dtype_bytes(d));
		return true;
	}
	bool digits = isdigit((unsigned char)*at) || (strchr("-.", *at) && isdigit((unsigned char)at[1]));
	bool inf = strncmp(at + (*at == '-'), "inf", 3) == 0;
	if (!digits && !inf) return read_fail(r, at, "a number expected, found %s", read_found(r));
	char *stop;
	store_float(d, at, &stop, to);
	r->p = stop;
	return true;
}

static bool read_whole(Reader *r, DType d, void *to)
{
	const char *at = (read_space(r), r->p);
	int bits = 8 * dtype_bytes(d);
	if (d == DT_u64) {
		char *stop;
		errno = 0;
		uint64_t x = isdigit((unsigned char)*at) ? strtoull(at, &stop, 10) : (errno = ERANGE, stop = (char *)at, 0);
		r->p = stop;
		if (errno) return read_fail(r, at, "a number from 0 to 18446744073709551615 expected");
		memcpy(to, &x, sizeof x);
		return true;
	}
	int64_t x;
	if (!read_int(r, &x)) return false;
	bool fits = dtype_is_signed(d) ? bits == 64 || (x >= -((int64_t)1 << (bits - 1)) && x < (int64_t)1 << (bits - 1))
	                               : x >= 0 && x < (int64_t)1 << bits;
	if (!fits) return read_fail(r, at, "the number is no %s", dtype_name(d));
	scalar_store(scalar_from_int(x, d), to);
	return true;
}

/* One element into room[8]. */
static bool read_element(Reader *r, DType d, char *room)
{
	const char *at = (read_space(r), r->p);
	switch (dtype_kind(d)) {
	case DK_BOOL:
		if (!read_next_is(r, "true") && !read_next_is(r, "false")) return read_fail(r, at, "true or false expected, found %s", read_found(r));
		room[0] = *at == 't';
		r->p += *at == 't' ? 4 : 5;
		return true;
	case DK_UINT:
	case DK_INT: return read_whole(r, d, room);
	case DK_FLOAT: return read_float(r, d, room);
	case DK_COMPLEX:
		return read_expect(r, '(', "before a complex number") && read_float(r, DT_f32, room) &&
		       read_expect(r, ',', "between the parts of a complex number") && read_float(r, DT_f32, room + 4) &&
		       read_expect(r, ')', "after a complex number");
	}
	return false;
}

bool read_scalar(Reader *r, DType d, Scalar *out)
{
	char room[8] = {0};
	if (!read_element(r, d, room)) return false;
	*out = scalar_load(d, room);
	return true;
}

static bool read_shape(Reader *r, Tensor *t, int64_t *n)
{
	const char *at = r->p;
	*n = 1;
	if (r->p >= r->end || *r->p != '[') return true;
	for (r->p++; !read_accept(r, ']');) {
		int64_t x;
		if (t->rank && !read_expect(r, ',', "between dimensions")) return false;
		if (t->rank == MAX_RANK) return read_fail(r, at, "a tensor has at most %d axes", MAX_RANK);
		if (!read_int(r, &x)) return false;
		if (x < 0 || __builtin_mul_overflow(*n, x, n) || *n > INT64_MAX / 16) return read_fail(r, at, "the shape is negative or too large");
		t->shape[t->rank++] = x;
	}
	return true;
}

static bool read_hex_data(Reader *r, Tensor *t, int64_t n)
{
	if (!read_accept(r, '"')) return read_fail(r, r->p, "a text of hexadecimal digits expected");
	const char *at = r->p;
	size_t bytes = (size_t)n * (size_t)dtype_bytes(t->dtype), digits = 0;
	while (r->p < r->end && hex_value(*r->p) >= 0) r->p++, digits++;
	if (digits != 2 * bytes) return read_fail(r, at, "%zu hexadecimal digits expected, found %zu", 2 * bytes, digits);
	t->data = arena_alloc(r->arena, bytes);
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)t->data)[i] = (unsigned char)(hex_value(at[2 * i]) * 16 + hex_value(at[2 * i + 1]));
	return read_expect(r, '"', "after the hexadecimal digits");
}

bool read_tensor(Reader *r, const Tensor **out)
{
	Tensor *t = NEW(r->arena, Tensor);
	int64_t n;
	if (!read_dtype(r, &t->dtype) || !read_shape(r, t, &n) || !read_expect(r, '(', "before the elements")) return false;
	const char *at = r->p;
	if (read_word(r, "hex")) {
		read_space(r);
		if (!read_hex_data(r, t, n)) return false;
	} else {
		if (n > r->end - r->p) return read_fail(r, at, "%lld elements expected", (long long)n);
		size_t w = (size_t)dtype_bytes(t->dtype);
		t->data = arena_alloc(r->arena, w * (size_t)n);
		for (int64_t i = 0; i < n; i++) {
			char room[8] = {0};
			if (i && !read_expect(r, ',', "between elements")) return false;
			if (!read_element(r, t->dtype, room)) return false;
			memcpy((char *)t->data + w * (size_t)i, room, w);
		}
	}
	map_set(&r->m->tensors, t, t);
	*out = t;
	return read_expect(r, ')', "after the last element");
}
