/* .npz: a zip archive of .npy files (APPNOTE.TXT of PKWARE; zip64 because numpy.savez writes it). The central directory is what counts.
 * Stored members are read always, deflated ones where zlib was there at build time. */
#include <string.h>
#include "files.h"
#ifdef MLXCC_HAVE_ZLIB
#include <zlib.h>
#endif

typedef struct Zip {
	const unsigned char *data;
	uint64_t n;
} Zip;
typedef struct ZipMember {
	const char *name;
	unsigned method, flags;
	uint32_t crc;
	uint64_t packed, size, at;
} ZipMember;

static uint64_t le(const unsigned char *p, int bytes)
{
	uint64_t v = 0;
	while (bytes--) v = v << 8 | p[bytes];
	return v;
}

static uint32_t crc32_of(const unsigned char *p, size_t n)
{
	uint32_t table[256], crc = ~0u;
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (size_t i = 0; i < n; i++) crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
	return ~crc;
}

/* The end-of-central-directory record: number of members and where the directory begins. */
static bool find_directory(Zip z, uint64_t *count, uint64_t *at)
{
	if (z.n < 22) return false;
	uint64_t e = z.n - 22, stop = e > 65535 ? e - 65535 : 0;
	while (memcmp(z.data + e, "PK\5\6", 4)) {
		if (e == stop) return false;
		e--;
	}
	*count = le(z.data + e + 10, 2);
	*at = le(z.data + e + 16, 4);
	if (e >= 20 && !memcmp(z.data + e - 20, "PK\6\7", 4)) {
		uint64_t e64 = le(z.data + e - 20 + 8, 8);
		if (e64 > z.n || z.n - e64 < 56 || memcmp(z.data + e64, "PK\6\6", 4)) return false;
		*count = le(z.data + e64 + 32, 8);
		*at = le(z.data + e64 + 48, 8);
	}
	return *at <= z.n;
}

/* Sizes and place that did not fit 32 bits stand in the extra field 1, in this order, only those. */
static bool read_zip64(const unsigned char *extra, size_t n, ZipMember *m)
{
	uint64_t *want[3];
	int k = 0;
	if (m->size == 0xffffffff) want[k++] = &m->size;
	if (m->packed == 0xffffffff) want[k++] = &m->packed;
	if (m->at == 0xffffffff) want[k++] = &m->at;
	if (!k) return true;
	while (n >= 4) {
		size_t id = le(extra, 2), length = le(extra + 2, 2);
		extra += 4, n -= 4;
		if (length > n) return false;
		if (id == 1) {
			if (length < 8 * (size_t)k) return false;
			for (int i = 0; i < k; i++) *want[i] = le(extra + 8 * i, 8);
			return true;
		}
		extra += length, n -= length;
	}
	return false;
}

/* The directory entry at *at, which moves behind it. */
static bool read_member(Arena *a, Zip z, uint64_t *at, ZipMember *m)
{
	if (z.n - *at < 46 || memcmp(z.data + *at, "PK\1\2", 4)) return false;
	const unsigned char *p = z.data + *at;
	size_t name = le(p + 28, 2), extra = le(p + 30, 2), comment = le(p + 32, 2);
	if (z.n - *at - 46 < name + extra + comment || !name || memchr(p + 46, 0, name)) return false;
	m->flags = (unsigned)le(p + 8, 2), m->method = (unsigned)le(p + 10, 2), m->crc = (uint32_t)le(p + 16, 4);
	m->packed = le(p + 20, 4), m->size = le(p + 24, 4), m->at = le(p + 42, 4);
	m->name = arena_strndup(a, (const char *)p + 46, name);
	if (!read_zip64(p + 46 + name, extra, m)) return false;
	*at += 46 + name + extra + comment;
	return true;
}

static bool inflate_member(unsigned char *to, size_t size, const unsigned char *from, size_t packed, const char **why)
{
#ifdef MLXCC_HAVE_ZLIB
	z_stream s = {0};
	if (inflateInit2(&s, -15) != Z_OK) return *why = "zlib failed", false;
	int r = Z_OK;
	/* zlib counts in unsigned int */
	while (r == Z_OK) {
		if (!s.avail_in && packed) {
			s.next_in = (unsigned char *)from;
			s.avail_in = packed > 1u << 30 ? 1u << 30 : (unsigned)packed;
			from += s.avail_in, packed -= s.avail_in;
		}
		if (!s.avail_out && size) {
			s.next_out = to;
			s.avail_out = size > 1u << 30 ? 1u << 30 : (unsigned)size;
			to += s.avail_out, size -= s.avail_out;
		}
		r = inflate(&s, Z_NO_FLUSH);
		if (r == Z_BUF_ERROR && ((!s.avail_in && packed) || (!s.avail_out && size))) r = Z_OK;
	}
	bool ok = r == Z_STREAM_END && !s.avail_out && !size;
	inflateEnd(&s);
	if (!ok) *why = "its compressed data is damaged";
	return ok;
#else
	(void)to, (void)size, (void)from, (void)packed;
	*why = "it is compressed, and this mlxcc was built without zlib";
	return false;
#endif
}

static bool unpack(Arena *a, Zip z, const ZipMember *m, unsigned char **out, const char **why)
{
	*why = "its place in the archive is wrong";
	if (m->at > z.n || z.n - m->at < 30 || memcmp(z.data + m->at, "PK\3\4", 4)) return false;
	uint64_t begin = m->at + 30 + le(z.data + m->at + 26, 2) + le(z.data + m->at + 28, 2);
	if (begin > z.n || m->packed > z.n - begin) return false;
	if (m->flags & 1) return *why = "it is encrypted", false;
	if (m->method == 0) {
		if (m->packed != m->size) return false;
		*out = arena_copy(a, z.data + begin, (size_t)m->size);
	} else if (m->method == 8) {
		/* deflate gains at most a factor of 1032 */
		if (m->size / 1040 > m->packed) return *why = "its size is wrong", false;
		*out = arena_alloc(a, (size_t)m->size);
		if (!inflate_member(*out, (size_t)m->size, z.data + begin, (size_t)m->packed, why)) return false;
	} else {
		return *why = "it is compressed in a way that .npz files do not use", false;
	}
	if (crc32_of(*out, (size_t)m->size) != m->crc) return *why = "its checksum is wrong", false;
	return true;
}

bool npz_read(Arena *a, const void *data, size_t n, TensorFile *out, const char **why)
{
	Zip z = {data, n};
	uint64_t count, at;
	if (!find_directory(z, &count, &at) || count > n / 46) return *why = "not a .npz file", false;
	*out = (TensorFile){NEW_ARRAY(a, NamedTensor, count), 0, false};
	for (uint64_t i = 0; i < count; i++) {
		ZipMember m;
		unsigned char *bytes;
		if (!read_member(a, z, &at, &m)) return *why = "the archive's directory is damaged", false;
		size_t length = strlen(m.name);
		if (length && m.name[length - 1] == '/') continue;
		NamedTensor *t = &out->at[out->n++];
		t->name = length > 4 && !strcmp(m.name + length - 4, ".npy") ? arena_strndup(a, m.name, length - 4) : m.name;
		if (!unpack(a, z, &m, &bytes, why) || !npy_read(a, bytes, (size_t)m.size, &t->tensor, why))
			return *why = arena_printf(a, "`%.200s`: %s", m.name, *why), false;
	}
	return true;
}

static void put_le(StrBuf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++) sb_putc(b, (char)(v >> (8 * i) & 255));
}

/* Fields that local header and directory entry have in common, from "version needed" to the lengths. 1 January 1980, so that equal
 * contents give equal bytes. */
static void put_common(StrBuf *b, uint32_t crc, uint64_t size, size_t name, size_t extra)
{
	put_le(b, 45, 2), put_le(b, 0, 2), put_le(b, 0, 2), put_le(b, 0, 2), put_le(b, 0x21, 2), put_le(b, crc, 4);
	put_le(b, size > 0xfffffffe ? 0xffffffff : size, 4), put_le(b, size > 0xfffffffe ? 0xffffffff : size, 4);
	put_le(b, name, 2), put_le(b, extra, 2);
}

void npz_write(StrBuf *out, const NamedTensor *t, int n)
{
	StrBuf directory, npy;
	uint64_t start = out->n;
	sb_init(&directory, out->arena);
	for (int i = 0; i < n; i++) {
		sb_init(&npy, out->arena);
		npy_write(&npy, t[i].tensor);
		uint64_t at = out->n - start, size = npy.n;
		uint32_t crc = crc32_of((const unsigned char *)sb_text(&npy), npy.n);
		size_t name = strlen(t[i].name) + 4;
		bool big = size > 0xfffffffe, far = at > 0xfffffffe;
		sb_putn(out, "PK\3\4", 4);
		put_common(out, crc, size, name, big ? 20 : 0);
		sb_printf(out, "%s.npy", t[i].name);
		if (big) put_le(out, 1, 2), put_le(out, 16, 2), put_le(out, size, 8), put_le(out, size, 8);
		sb_putn(out, sb_text(&npy), npy.n);
		sb_putn(&directory, "PK\1\2", 4);
		put_le(&directory, 45, 2);
		put_common(&directory, crc, size, name, big || far ? 4 + 16 * big + 8 * far : 0);
		put_le(&directory, 0, 2), put_le(&directory, 0, 2), put_le(&directory, 0, 2), put_le(&directory, 0, 4);
		put_le(&directory, far ? 0xffffffff : at, 4);
		sb_printf(&directory, "%s.npy", t[i].name);
		if (big || far) put_le(&directory, 1, 2), put_le(&directory, 16 * big + 8 * far, 2);
		if (big) put_le(&directory, size, 8), put_le(&directory, size, 8);
		if (far) put_le(&directory, at, 8);
	}
	uint64_t at = out->n - start;
	sb_putn(out, sb_text(&directory), directory.n);
	if (at > 0xfffffffe || n > 65534) {
		uint64_t end = out->n - start;
		sb_putn(out, "PK\6\6", 4);
		put_le(out, 44, 8), put_le(out, 45, 2), put_le(out, 45, 2), put_le(out, 0, 4), put_le(out, 0, 4);
		put_le(out, (uint64_t)n, 8), put_le(out, (uint64_t)n, 8), put_le(out, directory.n, 8), put_le(out, at, 8);
		sb_putn(out, "PK\6\7", 4);
		put_le(out, 0, 4), put_le(out, end, 8), put_le(out, 1, 4);
	}
	sb_putn(out, "PK\5\6", 4);
	put_le(out, 0, 2), put_le(out, 0, 2), put_le(out, n > 65534 ? 65535 : (uint64_t)n, 2), put_le(out, n > 65534 ? 65535 : (uint64_t)n, 2);
	put_le(out, directory.n, 4), put_le(out, at > 0xfffffffe ? 0xffffffff : at, 4), put_le(out, 0, 2);
}
