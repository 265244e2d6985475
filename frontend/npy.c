/* The .npy format of NumPy, versions 1 to 3 (numpy/lib/format.py): magic, header length, a Python dictionary in text, data.
 * Big-endian and Fortran-ordered arrays are converted on reading. */
#include <string.h>
#include "files.h"

typedef struct Header {
	char kind;
	int bytes;
	bool big_endian, fortran;
	int rank;
	int64_t shape[MAX_RANK];
} Header;
typedef struct Text {
	const char *p, *end;
} Text;

static void space(Text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\n' || *t->p == '\t')) t->p++;
}

static bool eat(Text *t, char c)
{
	space(t);
	if (t->p == t->end || *t->p != c) return false;
	t->p++;
	return true;
}

static bool quoted(Text *t, char *out, size_t room)
{
	space(t);
	if (t->p == t->end || (*t->p != '\'' && *t->p != '"')) return false;
	char quote = *t->p++;
	size_t n = 0;
	while (t->p < t->end && *t->p != quote && n + 1 < room) out[n++] = *t->p++;
	out[n] = 0;
	return t->p < t->end && *t->p++ == quote;
}

static bool integer(Text *t, int64_t *out)
{
	space(t);
	const char *begin = t->p;
	for (*out = 0; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++)
		if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *t->p - '0', out)) return false;
	if (t->p < t->end && *t->p == 'L') t->p++;
	return t->p > begin;
}

static bool shape(Text *t, Header *h)
{
	if (!eat(t, '(')) return false;
	while (!eat(t, ')')) {
		if (h->rank == MAX_RANK || !integer(t, &h->shape[h->rank])) return false;
		h->rank++;
		if (!eat(t, ',')) return eat(t, ')');
	}
	return true;
}

static bool descr(const char *s, Header *h)
{
	if (strlen(s) < 3 || strlen(s) > 4 || !strchr("<>|=", s[0])) return false;
	h->big_endian = s[0] == '>';
	h->kind = s[1];
	h->bytes = s[2] - '0';
	if (s[3]) h->bytes = h->bytes * 10 + s[3] - '0';
	return s[2] >= '0' && s[2] <= '9' && (!s[3] || (s[3] >= '0' && s[3] <= '9'));
}

static bool header(Text t, Header *h, char *type, size_t room)
{
	unsigned seen = 0;
	if (!eat(&t, '{')) return false;
	while (!eat(&t, '}')) {
		char key[24];
		if (!quoted(&t, key, sizeof key) || !eat(&t, ':')) return false;
		space(&t);
		if (!strcmp(key, "descr")) {
			if (!quoted(&t, type, room)) return false;
			seen |= 1;
		} else if (!strcmp(key, "fortran_order")) {
			h->fortran = t.end - t.p >= 4 && !memcmp(t.p, "True", 4);
			if (!h->fortran && (t.end - t.p < 5 || memcmp(t.p, "False", 5))) return false;
			t.p += h->fortran ? 4 : 5;
			seen |= 2;
		} else if (!strcmp(key, "shape") && !(seen & 4)) {
			if (!shape(&t, h)) return false;
			seen |= 4;
		} else {
			return false;
		}
		if (!eat(&t, ',')) {
			if (!eat(&t, '}')) return false;
			break;
		}
	}
	return seen == 7;
}

static bool dtype_of(const Header *h, DType *out)
{
	static const struct {
		char kind;
		int bytes;
		DType dtype;
	} row[] = {
	    {'b', 1, DT_bool}, {'u', 1, DT_u8},  {'u', 2, DT_u16}, {'u', 4, DT_u32},  {'u', 8, DT_u64}, {'i', 1, DT_i8},  {'i', 2, DT_i16},
	    {'i', 4, DT_i32},  {'i', 8, DT_i64}, {'f', 2, DT_f16}, {'V', 2, DT_bf16}, {'f', 4, DT_f32}, {'f', 8, DT_f64}, {'c', 8, DT_c64},
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		if (row[i].kind == h->kind && row[i].bytes == h->bytes) return *out = row[i].dtype, true;
	return false;
}

/* Element by element from any order and endianness. unit: bytes that are swapped together (half of a complex number). */
static void copy_converted(Tensor *t, const unsigned char *from, const Header *h)
{
	size_t bytes = (size_t)h->bytes, unit = h->kind == 'c' ? bytes / 2 : bytes;
	int64_t n = tensor_size(t), index[MAX_RANK] = {0};
	unsigned char *to = t->data;
	for (int64_t i = 0; i < n; i++, to += bytes) {
		int64_t at = i;
		if (h->fortran) {
			at = 0;
			for (int d = t->rank - 1; d >= 0; d--) at = at * t->shape[d] + index[d];
			for (int d = t->rank - 1; d >= 0 && ++index[d] == t->shape[d]; d--) index[d] = 0;
		}
		const unsigned char *src = from + (size_t)at * bytes;
		for (size_t k = 0; k < bytes; k++) to[k] = src[h->big_endian ? k / unit * unit + (unit - 1 - k % unit) : k];
	}
}

bool npy_read(Arena *a, const void *data, size_t n, Tensor **out, const char **why)
{
	const unsigned char *p = data;
	if (n < 10 || memcmp(p, "\x93NUMPY", 6)) return *why = "not a .npy file", false;
	size_t prefix = p[6] == 1 ? 10 : 12, length = p[8] | (size_t)p[9] << 8;
	if (p[6] < 1 || p[6] > 3) return *why = arena_printf(a, ".npy version %d is not known", p[6]), false;
	if (n < prefix) return *why = "the file is too short", false;
	if (prefix == 12) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (length > n - prefix) return *why = "the header is longer than the file", false;
	Header h = {0};
	char type[16] = "";
	if (!header((Text){(const char *)p + prefix, (const char *)p + prefix + length}, &h, type, sizeof type))
		return *why = "bad .npy header", false;
	DType dtype;
	if (!descr(type, &h) || !dtype_of(&h, &dtype))
		return *why = arena_printf(a, "numbers of the NumPy type `%s` have no counterpart here", type), false;
	int64_t size = h.bytes;
	for (int i = 0; i < h.rank; i++)
		if (h.shape[i] && __builtin_mul_overflow(size, h.shape[i], &size)) return *why = "the shape is too big", false;
	for (int i = 0; i < h.rank; i++)
		if (!h.shape[i]) size = 0;
	if ((uint64_t)size != n - prefix - length)
		return *why = arena_printf(a, "the file holds %zu bytes of numbers, its shape says %lld", n - prefix - length, (long long)size),
		       false;
	*out = tensor_new(a, dtype, h.rank, h.shape);
	if (h.big_endian || (h.fortran && h.rank > 1)) copy_converted(*out, p + prefix + length, &h);
	else if (size) memcpy((*out)->data, p + prefix + length, (size_t)size);
	if (dtype == DT_bool)
		for (int64_t i = 0; i < size; i++) ((unsigned char *)(*out)->data)[i] = ((unsigned char *)(*out)->data)[i] != 0;
	return true;
}

void npy_write(StrBuf *out, const Tensor *t)
{
	static const char *const descr[DT_COUNT] = {
	    [DT_bool] = "|b1", [DT_u8] = "|u1",  [DT_u16] = "<u2", [DT_u32] = "<u4",  [DT_u64] = "<u8", [DT_i8] = "|i1",  [DT_i16] = "<i2",
	    [DT_i32] = "<i4",  [DT_i64] = "<i8", [DT_f16] = "<f2", [DT_bf16] = "|V2", [DT_f32] = "<f4", [DT_f64] = "<f8", [DT_c64] = "<c8"};
	StrBuf head;
	sb_init(&head, out->arena);
	sb_printf(&head, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr[t->dtype]);
	for (int i = 0; i < t->rank; i++) sb_printf(&head, i ? ", %lld" : "%lld", (long long)t->shape[i]);
	sb_put(&head, t->rank == 1 ? ",), }" : "), }");
	/* the data begins at a multiple of 64 */
	while ((10 + head.n + 1) % 64) sb_putc(&head, ' ');
	sb_putc(&head, '\n');
	sb_putn(out, "\x93NUMPY\1\0", 8);
	sb_putc(out, (char)(head.n & 255)), sb_putc(out, (char)(head.n >> 8));
	sb_putn(out, sb_text(&head), head.n);
	if (tensor_bytes(t)) sb_putn(out, t->data, tensor_bytes(t));
}
