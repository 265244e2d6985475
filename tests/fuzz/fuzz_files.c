/* Coverage-guided fuzzing of the readers of tensor files and JSON: what they accept is written and read again and must be the same. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../frontend/files.h"
#include "../../frontend/json.h"

static jmp_buf exhausted;
static void on_exhausted(void *ctx)
{
	(void)ctx;
	longjmp(exhausted, 1);
}

static void must_be_same(const TensorFile *f, const TensorFile *g, const char *why, bool ok)
{
	if (!ok) fprintf(stderr, "written and not read: %s\n", why), abort();
	if (f->n != g->n) abort();
	for (int i = 0; i < f->n; i++) {
		const Tensor *t = f->at[i].tensor, *u = tensor_file_find(g, f->at[i].name);
		if (!u || u->dtype != t->dtype || u->rank != t->rank || memcmp(t->shape, u->shape, sizeof *t->shape * (size_t)t->rank)) abort();
		if (tensor_bytes(t) && memcmp(t->data, u->data, tensor_bytes(t))) abort();
	}
}

/* A zip may hold a name twice: then only the first is found again. */
static bool names_differ(const TensorFile *f)
{
	for (int i = 0; i < f->n; i++)
		if (tensor_file_find(f, f->at[i].name) != f->at[i].tensor) return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena *a = arena_new((size_t)512 << 20, on_exhausted, NULL);
	const char *why = "";
	TensorFile f, g;
	Tensor *t;
	Json *j;
	StrBuf b;
	if (!setjmp(exhausted)) {
		sb_init(&b, a);
		if (npy_read(a, data, size, &t, &why)) {
			npy_write(&b, t);
			TensorFile one = {&(NamedTensor){"", t}, 1, true}, two = {&(NamedTensor){"", NULL}, 1, true};
			bool ok = npy_read(a, sb_text(&b), b.n, &two.at[0].tensor, &why);
			must_be_same(&one, &two, why, ok);
		} else if (npz_read(a, data, size, &f, &why) && names_differ(&f)) {
			npz_write(&b, f.at, f.n);
			bool ok = npz_read(a, sb_text(&b), b.n, &g, &why);
			must_be_same(&f, &g, why, ok);
		} else if (safetensors_read(a, data, size, &f, &why)) {
			safetensors_write(&b, f.at, f.n);
			bool ok = safetensors_read(a, sb_text(&b), b.n, &g, &why);
			must_be_same(&f, &g, why, ok);
		}
		json_read(a, (const char *)data, size, &j, &why);
	}
	arena_free(a);
	return 0;
}
