/* The main program behind MLXCC_RUNNER: `mlxcc run`, `test` and `verify` put it behind emitted C (and behind mx_call and mx_arena, which
 * they write), compile both for another machine, and run the executable there or in an emulator. It reads one call from standard input and
 * writes what comes of it to standard output: C99 and stdio, no files, no arguments, so that semihosting and WASI do.
 *
 * In, as 64-bit integers of the machine that asks: MAGIC, function, 1 if prints are wanted, number of dimensions, these, number of pointers
 * that the function takes; for each of them the number of its leaves (-1: it points to one tensor), and for each leaf its bytes, 1 if
 * data comes in, 1 if data goes out, and the data that comes in.
 * Out: for each print 'p', length and text of the message, of the dtype, number of elements, bytes, data; at the end 'e', the code that the
 * function returned, and the data of the leaves that go out. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC INT64_C(0x6d6c786363) /* another byte order reads another number */

static void get(void *p, size_t n)
{
	if (fread(p, 1, n, stdin) != n) exit(91);
}
static int64_t get_int(void)
{
	int64_t v;
	get(&v, sizeof v);
	return v;
}
static void put(const void *p, size_t n)
{
	if (fwrite(p, 1, n, stdout) != n) exit(92);
}
static void put_int(int64_t v)
{
	put(&v, sizeof v);
}
static void put_text(const char *s)
{
	put_int((int64_t)strlen(s));
	put(s, strlen(s));
}
/* At a multiple of 64, never NULL. */
static void *room(size_t n)
{
	char *p = (char *)malloc(n + 128);
	if (!p) exit(93);
	return p + (64 - (uintptr_t)p % 64);
}

static void put_print(void *ctx, const char *message, const char *dtype, const void *data, ptrdiff_t n)
{
	const char *bits = dtype + strcspn(dtype, "0123456789");
	size_t size = *bits ? (size_t)atoi(bits) / 8 : 1;
	(void)ctx;
	put("p", 1);
	put_text(message), put_text(dtype), put_int(n), put_int((int64_t)size * n);
	put(data, size * (size_t)n);
}

typedef struct Leaf {
	void *at;
	size_t bytes;
	int out;
} Leaf;

static Leaf get_leaf(void)
{
	Leaf l;
	int in;
	l.bytes = (size_t)get_int();
	in = (int)get_int(), l.out = (int)get_int();
	l.at = room(l.bytes);
	if (in) get(l.at, l.bytes);
	return l;
}

int main(void)
{
	int which, ndims, npointers, nleaves = 0, nroom = 16, i, k;
	Leaf *leaf = (Leaf *)room(sizeof *leaf * (size_t)nroom);
	ptrdiff_t *dims;
	void **p, *arena;
	if (get_int() != MAGIC) return 94;
	which = (int)get_int();
	mx_print = get_int() ? put_print : NULL;
	ndims = (int)get_int();
	dims = (ptrdiff_t *)room(sizeof *dims * (size_t)ndims);
	for (i = 0; i < ndims; i++) dims[i] = (ptrdiff_t)get_int();
	npointers = (int)get_int();
	p = (void **)room(sizeof *p * (size_t)npointers);
	for (i = 0; i < npointers; i++) {
		int n = (int)get_int(), single = n < 0;
		void **tree = (void **)room(sizeof *tree * (size_t)(single ? 1 : n));
		for (k = 0; k < (single ? 1 : n); k++) {
			if (nleaves == nroom) {
				Leaf *more = (Leaf *)room(sizeof *more * (size_t)nroom * 2);
				memcpy(more, leaf, sizeof *leaf * (size_t)nroom);
				leaf = more, nroom *= 2;
			}
			leaf[nleaves] = get_leaf();
			tree[k] = leaf[nleaves++].at;
		}
		p[i] = single ? tree[0] : (void *)tree;
	}
	arena = room(mx_arena(which, dims));
	which = mx_call(which, p, dims, arena);
	put("e", 1);
	put_int(which);
	for (i = 0; i < nleaves; i++)
		if (leaf[i].out) put(leaf[i].at, leaf[i].bytes);
	return fflush(stdout) ? 92 : 0;
}
