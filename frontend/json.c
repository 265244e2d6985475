/* A recursive-descent reader of RFC 8259, strict: no comments, no trailing commas, no duplicate keys. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "json.h"

#define MAX_DEPTH 64

typedef struct Reader {
	Arena *a;
	const char *text, *p, *end;
	const char *why;
} Reader;

static bool value(Reader *r, Json *out, int depth);

static bool fail(Reader *r, const char *what)
{
	if (r->why) return false;
	int line = 1, col = 1;
	for (const char *s = r->text; s < r->p; s++)
		if (*s == '\n') line++, col = 1;
		else col++;
	r->why = arena_printf(r->a, "line %d, column %d: %s", line, col, what);
	return false;
}

static void space(Reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')) r->p++;
}

static bool word(Reader *r, Json *out, const char *text, JsonKind kind)
{
	size_t n = strlen(text);
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, text, n)) return fail(r, "expected a value");
	r->p += n;
	out->kind = kind;
	return true;
}

static const char *digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9') p++;
	return p;
}

static bool number(Reader *r, Json *out)
{
	const char *begin = r->p, *p = begin + (*begin == '-'), *d = p;
	bool whole = true;
	if ((p = digits(p, r->end)) == d || (*d == '0' && p > d + 1)) return fail(r, "bad number");
	if (p < r->end && *p == '.') {
		whole = false;
		d = ++p;
		if ((p = digits(p, r->end)) == d) return fail(r, "bad number");
	}
	if (p < r->end && (*p | 32) == 'e') {
		whole = false;
		p++;
		if (p < r->end && (*p == '+' || *p == '-')) p++;
		d = p;
		if ((p = digits(p, r->end)) == d) return fail(r, "bad number");
	}
	char *text = arena_strndup(r->a, begin, (size_t)(p - begin));
	out->number = strtod(text, NULL);
	out->kind = JSON_FLOAT;
	if (whole && p - begin <= 19) {
		long long i = strtoll(text, NULL, 10);
		/* 19 characters may still be too many: then strtoll saturates and the text differs */
		if (p - begin < 19 || (i != INT64_MAX && i != INT64_MIN) || !strcmp(text, "9223372036854775807"))
			out->kind = JSON_INT, out->integer = i;
	}
	r->p = p;
	return true;
}

static bool hex4(Reader *r, uint32_t *out)
{
	if (r->end - r->p < 4) return false;
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = *r->p++;
		int d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
		if (d < 0) return false;
		*out = *out * 16 + (uint32_t)d;
	}
	return true;
}

static bool escape(Reader *r, StrBuf *b)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = r->p < r->end ? *r->p++ : 0;
	const char *k = c ? strchr(from, c) : NULL;
	if (k) {
		sb_putc(b, to[k - from]);
		return true;
	}
	uint32_t u, low;
	if (c != 'u' || !hex4(r, &u)) return fail(r, "bad escape in a string");
	if (u >= 0xd800 && u < 0xdc00) {
		if (r->end - r->p < 6 || r->p[0] != '\\' || r->p[1] != 'u') return fail(r, "half a surrogate pair");
		r->p += 2;
		if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff) return fail(r, "half a surrogate pair");
		u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
	} else if (u >= 0xdc00 && u <= 0xdfff) {
		return fail(r, "half a surrogate pair");
	}
	if (u < 0x80) return sb_putc(b, (char)u), true;
	if (u >= 0x10000) sb_putc(b, (char)(0xf0 | u >> 18)), sb_putc(b, (char)(0x80 | (u >> 12 & 63)));
	else if (u >= 0x800) sb_putc(b, (char)(0xe0 | u >> 12));
	if (u >= 0x800) sb_putc(b, (char)(0x80 | (u >> 6 & 63)));
	else sb_putc(b, (char)(0xc0 | u >> 6));
	sb_putc(b, (char)(0x80 | (u & 63)));
	return true;
}

static bool string(Reader *r, const char **out, size_t *n)
{
	StrBuf b;
	sb_init(&b, r->a);
	r->p++;
	while (r->p < r->end && *r->p != '"') {
		if ((unsigned char)*r->p < 32) return fail(r, "control character in a string");
		if (*r->p != '\\') {
			const char *from = r->p;
			while (r->p < r->end && *r->p != '"' && *r->p != '\\' && (unsigned char)*r->p >= 32) r->p++;
			sb_putn(&b, from, (size_t)(r->p - from));
			continue;
		}
		r->p++;
		if (!escape(r, &b)) return false;
	}
	if (r->p == r->end) return fail(r, "unclosed string");
	r->p++;
	*out = sb_text(&b);
	*n = b.n;
	return true;
}

static bool array(Reader *r, Json *out, int depth)
{
	VEC(Json *) items = {0};
	out->kind = JSON_ARRAY;
	r->p++;
	space(r);
	if (r->p < r->end && *r->p == ']') return r->p++, true;
	for (;;) {
		Json *item = NEW(r->a, Json);
		if (!value(r, item, depth + 1)) return false;
		VEC_PUSH(r->a, items, item);
		space(r);
		if (r->p < r->end && *r->p == ',') r->p++;
		else break;
	}
	if (r->p == r->end || *r->p != ']') return fail(r, "expected `,` or `]`");
	r->p++;
	out->n = items.n;
	out->item = items.at;
	return true;
}

static bool object(Reader *r, Json *out, int depth)
{
	VEC(Json *) items = {0};
	VEC(const char *) keys = {0};
	Intern names;
	Map seen;
	intern_init(&names, r->a);
	map_init(&seen, r->a);
	out->kind = JSON_OBJECT;
	r->p++;
	space(r);
	if (r->p < r->end && *r->p == '}') return r->p++, true;
	for (;;) {
		const char *key;
		size_t n;
		space(r);
		if (r->p == r->end || *r->p != '"') return fail(r, "expected a key in quotes");
		if (!string(r, &key, &n)) return false;
		if (memchr(key, 0, n)) return fail(r, "a key with a zero character");
		key = intern_str(&names, key, n);
		if (map_get(&seen, key)) return fail(r, arena_printf(r->a, "the key \"%.100s\" stands twice", key));
		map_set(&seen, key, (void *)key);
		space(r);
		if (r->p == r->end || *r->p != ':') return fail(r, "expected `:`");
		r->p++;
		Json *item = NEW(r->a, Json);
		if (!value(r, item, depth + 1)) return false;
		VEC_PUSH(r->a, keys, key);
		VEC_PUSH(r->a, items, item);
		space(r);
		if (r->p < r->end && *r->p == ',') r->p++;
		else break;
	}
	if (r->p == r->end || *r->p != '}') return fail(r, "expected `,` or `}`");
	r->p++;
	out->n = items.n;
	out->item = items.at;
	out->key = keys.at;
	return true;
}

static bool value(Reader *r, Json *out, int depth)
{
	if (depth > MAX_DEPTH) return fail(r, "nested too deeply");
	space(r);
	if (r->p == r->end) return fail(r, "expected a value");
	switch (*r->p) {
	case '{': return object(r, out, depth);
	case '[': return array(r, out, depth);
	case '"': out->kind = JSON_STRING; return string(r, &out->str, &out->nstr);
	case 't': return word(r, out, "true", JSON_TRUE);
	case 'f': return word(r, out, "false", JSON_FALSE);
	case 'n': return word(r, out, "null", JSON_NULL);
	default:
		if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) return number(r, out);
		return fail(r, "expected a value");
	}
}

bool json_read(Arena *a, const char *text, size_t n, Json **out, const char **why)
{
	Reader r = {a, text, text, text + n, NULL};
	*out = NEW(a, Json);
	bool ok = value(&r, *out, 0);
	space(&r);
	if (ok && r.p != r.end) ok = fail(&r, "text behind the value");
	*why = r.why;
	return ok;
}

const Json *json_get(const Json *object, const char *key)
{
	if (!object || object->kind != JSON_OBJECT) return NULL;
	for (int i = 0; i < object->n; i++)
		if (!strcmp(object->key[i], key)) return object->item[i];
	return NULL;
}

void json_put_string(StrBuf *b, const char *s, size_t n)
{
	sb_putc(b, '"');
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '"' || s[i] == '\\') sb_putc(b, '\\'), sb_putc(b, s[i]);
		else if ((unsigned char)s[i] < 32) sb_printf(b, "\\u%04x", (unsigned char)s[i]);
		else sb_putc(b, s[i]);
	}
	sb_putc(b, '"');
}
