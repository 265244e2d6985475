/* Whole files, formats by content or ending, and the leaves of module arrays. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files.h"

bool file_read(Arena *a, const char *path, char **data, size_t *n, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat s;
	if (fd < 0 || fstat(fd, &s) < 0) {
		*why = arena_printf(a, "cannot open: %s", strerror(errno));
		if (fd >= 0) close(fd);
		return false;
	}
	if (S_ISDIR(s.st_mode)) return close(fd), *why = "this is a folder", false;
	/* pipes have no size: read until the end, growing */
	size_t room = S_ISREG(s.st_mode) && s.st_size > 0 ? (size_t)s.st_size : 65536, got = 0;
	char *buffer = arena_alloc(a, room + 1);
	for (;;) {
		if (got == room) {
			char *more = arena_alloc(a, 2 * room + 1);
			memcpy(more, buffer, got);
			buffer = more;
			room *= 2;
		}
		ssize_t k = read(fd, buffer + got, room - got);
		if (k < 0 && errno == EINTR) continue;
		if (k < 0) return *why = arena_printf(a, "cannot read: %s", strerror(errno)), close(fd), false;
		if (k == 0) break;
		got += (size_t)k;
		if (S_ISREG(s.st_mode) && got == (size_t)s.st_size) break;
	}
	close(fd);
	buffer[got] = 0;
	*data = buffer;
	*n = got;
	return true;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno == EINTR) continue;
		if (k <= 0) return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

bool file_write(Arena *a, const char *path, const void *data, size_t n, const char **why)
{
	struct stat s;
	/* a device or pipe cannot be replaced: it is written to */
	bool replace = stat(path, &s) < 0 || S_ISREG(s.st_mode);
	char *aside = replace ? arena_printf(a, "%s.XXXXXX", path) : arena_strdup(a, path);
	int fd = replace ? mkstemp(aside) : open(path, O_WRONLY);
	if (fd < 0) return *why = arena_printf(a, "cannot write: %s", strerror(errno)), false;
	mode_t mask = umask(0);
	umask(mask);
	bool ok = write_all(fd, data, n);
	if (replace) ok = ok && fchmod(fd, 0666 & ~mask) == 0;
	ok = close(fd) == 0 && ok;
	if (replace) ok = ok && rename(aside, path) == 0;
	if (ok) return true;
	*why = arena_printf(a, "cannot write: %s", strerror(errno));
	if (replace) unlink(aside);
	return false;
}

bool tensor_file_read(Arena *a, const char *path, TensorFile *out, const char **why)
{
	char *data;
	size_t n;
	if (!file_read(a, path, &data, &n, why)) return false;
	if (n >= 6 && !memcmp(data, "\x93NUMPY", 6)) {
		*out = (TensorFile){NEW(a, NamedTensor), 1, true};
		out->at[0].name = "";
		return npy_read(a, data, n, &out->at[0].tensor, why);
	}
	if (n >= 4 && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "PK\5\6", 4))) return npz_read(a, data, n, out, why);
	if (n >= 9 && data[8] == '{') return safetensors_read(a, data, n, out, why);
	*why = "this is neither .npy, .npz nor safetensors";
	return false;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && !strcmp(s + n - k, end);
}

bool tensor_file_write(Arena *a, const char *path, const NamedTensor *t, int n, const char **why)
{
	StrBuf b;
	sb_init(&b, a);
	if (ends_with(path, ".safetensors")) safetensors_write(&b, t, n);
	else if (ends_with(path, ".npz")) npz_write(&b, t, n);
	else if (!ends_with(path, ".npy")) return *why = "the name must end with .npy, .npz or .safetensors", false;
	else if (n != 1) return *why = arena_printf(a, "a .npy file holds one tensor, not %d: use .npz or .safetensors", n), false;
	else npy_write(&b, t[0].tensor);
	return file_write(a, path, sb_text(&b), b.n, why);
}

const Tensor *tensor_file_find(const TensorFile *f, const char *name)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->at[i].name, name)) return f->at[i].tensor;
	return NULL;
}

/* "layers.*.w" -> "layers.7.w", first `*` only; NULL where there is none. A `*` is a whole segment. */
static char *nth_path(Arena *a, const char *path, int64_t i)
{
	for (const char *p = path; (p = strchr(p, '*')); p++)
		if ((p == path || p[-1] == '.') && (p[1] == '.' || !p[1]))
			return arena_printf(a, "%.*s%lld%s", (int)(p - path), path, (long long)i, p + 1);
	return NULL;
}

static Tensor *stack(Arena *a, Tensor *const *row, int64_t n)
{
	int64_t shape[MAX_RANK] = {n};
	for (int d = 0; d < row[0]->rank; d++) shape[d + 1] = row[0]->shape[d];
	Tensor *t = tensor_new(a, row[0]->dtype, row[0]->rank + 1, shape);
	size_t bytes = tensor_bytes(row[0]);
	for (int64_t i = 0; i < n && bytes; i++) memcpy((char *)t->data + (size_t)i * bytes, row[i]->data, bytes);
	return t;
}

static bool same_shape(const Tensor *x, const Tensor *y)
{
	return x->dtype == y->dtype && x->rank == y->rank && !memcmp(x->shape, y->shape, sizeof *x->shape * (size_t)x->rank);
}

/* Whether the file has a tensor at this path or below it, where the path has `*` for its first row. */
static bool has_row(Arena *a, const TensorFile *f, const char *path)
{
	char *next;
	while ((next = nth_path(a, path, 0))) path = next;
	return tensor_file_find(f, path) != NULL;
}

bool tensor_file_leaf(Arena *a, const TensorFile *f, const char *path, const int64_t *count, Tensor **out, const char **why)
{
	char *first = nth_path(a, path, 0);
	if (!first) {
		*out = (Tensor *)tensor_file_find(f, path);
		if (!*out) *why = arena_printf(a, "the file has no `%s`", path);
		return *out != NULL;
	}
	VEC(Tensor *) rows = {0};
	for (int64_t i = 0; count ? i < *count : has_row(a, f, nth_path(a, path, i)); i++) {
		Tensor *t;
		if (!tensor_file_leaf(a, f, nth_path(a, path, i), count ? count + 1 : NULL, &t, why)) return false;
		if (rows.n && !same_shape(t, rows.at[0]))
			return *why = arena_printf(a, "`%s` differs in shape or type from `%s`, with which it is stacked", nth_path(a, path, i), first),
			       false;
		VEC_PUSH(a, rows, t);
	}
	if (!rows.n) return *why = arena_printf(a, "the file has no `%s`", first), false;
	if (rows.at[0]->rank == MAX_RANK) return *why = arena_printf(a, "`%s` has too many dimensions", first), false;
	*out = stack(a, rows.at, rows.n);
	return true;
}

void tensors_split(Arena *a, NamedTensors *out, const char *path, Tensor *t)
{
	if (t->rank == 0 || !nth_path(a, path, 0)) {
		VEC_PUSH(a, *out, ((NamedTensor){path, t}));
		return;
	}
	size_t bytes = t->shape[0] ? tensor_bytes(t) / (size_t)t->shape[0] : 0;
	for (int64_t i = 0; i < t->shape[0]; i++) {
		Tensor *row = NEW(a, Tensor);
		*row = *t;
		row->rank = t->rank - 1;
		memmove(row->shape, t->shape + 1, sizeof *t->shape * (size_t)row->rank);
		row->data = (char *)t->data + (size_t)i * bytes;
		tensors_split(a, out, nth_path(a, path, i), row);
	}
}
