/* The safetensors format (huggingface/safetensors, README "Format"): u64 length of a JSON header, the header, the data. Checked as the
 * library checks: offsets lie one behind the other and fill the data, sizes are those of shape and dtype, keys are distinct. */
#include <stdlib.h>
#include <string.h>
#include "files.h"
#include "json.h"

#define MAX_HEADER ((uint64_t)100 * 1000 * 1000)

static const struct {
	const char *name;
	DType dtype;
} names[] = {
    {"BOOL", DT_bool}, {"U8", DT_u8},   {"U16", DT_u16}, {"U32", DT_u32},   {"U64", DT_u64}, {"I8", DT_i8},   {"I16", DT_i16},
    {"I32", DT_i32},   {"I64", DT_i64}, {"F16", DT_f16}, {"BF16", DT_bf16}, {"F32", DT_f32}, {"F64", DT_f64}, {"C64", DT_c64},
};
enum { NNAMES = sizeof names / sizeof *names };

typedef struct Entry {
	const char *name;
	DType dtype;
	int rank;
	int64_t shape[MAX_RANK];
	int64_t begin, end;
	Tensor *tensor;
} Entry;

static int by_begin(const void *x, const void *y)
{
	const Entry *a = *(Entry *const *)x, *b = *(Entry *const *)y;
	if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

static bool dtype_named(const char *s, DType *out)
{
	for (int i = 0; i < NNAMES; i++)
		if (!strcmp(names[i].name, s)) return *out = names[i].dtype, true;
	return false;
}

/* One entry of the header; sets *why where it is not what the format says. */
static bool read_entry(Arena *a, const char *name, const Json *j, Entry *e, const char **why)
{
	const Json *dtype = json_get(j, "dtype"), *shape = json_get(j, "shape"), *offsets = json_get(j, "data_offsets");
	e->name = name;
	bool whole = dtype && dtype->kind == JSON_STRING && shape && shape->kind == JSON_ARRAY && offsets && offsets->kind == JSON_ARRAY &&
	             offsets->n == 2;
	if (!whole) return *why = arena_printf(a, "tensor \"%.200s\": dtype, shape and data_offsets are needed", name), false;
	if (!dtype_named(dtype->str, &e->dtype))
		return *why = arena_printf(a, "tensor \"%.200s\": the type %.40s has no counterpart here", name, dtype->str), false;
	if (shape->n > MAX_RANK)
		return *why = arena_printf(a, "tensor \"%.200s\" has %d dimensions, %d are possible", name, shape->n, MAX_RANK), false;
	int64_t size = dtype_bytes(e->dtype);
	bool zero = false;
	e->rank = shape->n;
	for (int i = 0; i < e->rank; i++) {
		const Json *d = shape->item[i];
		if (d->kind != JSON_INT || d->integer < 0 || (d->integer && __builtin_mul_overflow(size, d->integer, &size)))
			return *why = arena_printf(a, "tensor \"%.200s\": bad shape", name), false;
		e->shape[i] = d->integer;
		zero |= d->integer == 0;
	}
	const Json *begin = offsets->item[0], *end = offsets->item[1];
	if (begin->kind != JSON_INT || end->kind != JSON_INT || begin->integer < 0 || end->integer < begin->integer)
		return *why = arena_printf(a, "tensor \"%.200s\": bad data_offsets", name), false;
	e->begin = begin->integer;
	e->end = end->integer;
	if (e->end - e->begin != (zero ? 0 : size))
		return *why = arena_printf(a, "tensor \"%.200s\": its shape needs %lld bytes, data_offsets span %lld", name,
		                           (long long)(zero ? 0 : size), (long long)(e->end - e->begin)),
		       false;
	return true;
}

bool safetensors_read(Arena *a, const void *data, size_t n, TensorFile *out, const char **why)
{
	const unsigned char *p = data;
	uint64_t length = 0;
	if (n < 8) return *why = "the file is too short for a safetensors file", false;
	for (int i = 7; i >= 0; i--) length = length << 8 | p[i];
	if (length > MAX_HEADER || length > n - 8 || length == 0 || p[8] != '{') return *why = "not a safetensors file", false;
	Json *head;
	if (!json_read(a, (const char *)p + 8, (size_t)length, &head, why))
		return *why = arena_printf(a, "the header is not JSON: %s", *why), false;
	size_t bytes = n - 8 - (size_t)length;
	const unsigned char *base = p + 8 + length;
	Entry *entries = NEW_ARRAY(a, Entry, head->n), **sorted = NEW_ARRAY(a, Entry *, head->n);
	int count = 0;
	for (int i = 0; i < head->n; i++) {
		if (!strcmp(head->key[i], "__metadata__")) continue;
		sorted[count] = &entries[count];
		if (!read_entry(a, head->key[i], head->item[i], &entries[count++], why)) return false;
	}
	qsort(sorted, (size_t)count, sizeof *sorted, by_begin);
	int64_t at = 0;
	for (int i = 0; i < count; i++) {
		if (sorted[i]->begin != at)
			return *why = arena_printf(a, "tensor \"%.200s\" does not begin where the one before it ends", sorted[i]->name), false;
		at = sorted[i]->end;
		if ((uint64_t)at > bytes)
			return *why = arena_printf(a, "tensor \"%.200s\" reaches beyond the end of the file", sorted[i]->name), false;
	}
	if ((uint64_t)at != bytes) return *why = arena_printf(a, "the tensors end at byte %lld of %zu", (long long)at, bytes), false;
	*out = (TensorFile){NEW_ARRAY(a, NamedTensor, count), count, false};
	for (int i = 0; i < count; i++) {
		Entry *e = &entries[i];
		Tensor *t = tensor_new(a, e->dtype, e->rank, e->shape);
		if (e->end > e->begin) memcpy(t->data, base + e->begin, (size_t)(e->end - e->begin));
		if (e->dtype == DT_bool)
			for (int64_t k = 0; k < tensor_size(t); k++) ((unsigned char *)t->data)[k] = ((unsigned char *)t->data)[k] != 0;
		out->at[i] = (NamedTensor){e->name, t};
	}
	return true;
}

static int by_alignment(const void *x, const void *y)
{
	const NamedTensor *a = x, *b = y;
	int da = dtype_bytes(a->tensor->dtype), db = dtype_bytes(b->tensor->dtype);
	return da != db ? db - da : strcmp(a->name, b->name);
}

static const char *name_of(DType d)
{
	for (int i = 0; i < NNAMES; i++)
		if (names[i].dtype == d) return names[i].name;
	return "";
}

void safetensors_write(StrBuf *out, const NamedTensor *t, int n)
{
	NamedTensor *sorted = NEW_ARRAY(out->arena, NamedTensor, n);
	if (n) memcpy(sorted, t, sizeof *t * (size_t)n);
	qsort(sorted, (size_t)n, sizeof *sorted, by_alignment);
	StrBuf head;
	sb_init(&head, out->arena);
	sb_putc(&head, '{');
	size_t at = 0;
	for (int i = 0; i < n; i++) {
		const Tensor *x = sorted[i].tensor;
		if (i) sb_putc(&head, ',');
		json_put_string(&head, sorted[i].name, strlen(sorted[i].name));
		sb_printf(&head, ":{\"dtype\":\"%s\",\"shape\":[", name_of(x->dtype));
		for (int d = 0; d < x->rank; d++) sb_printf(&head, d ? ",%lld" : "%lld", (long long)x->shape[d]);
		sb_printf(&head, "],\"data_offsets\":[%zu,%zu]}", at, at + tensor_bytes(x));
		at += tensor_bytes(x);
	}
	sb_putc(&head, '}');
	while (head.n % 8) sb_putc(&head, ' ');
	for (int i = 0; i < 8; i++) sb_putc(out, (char)((uint64_t)head.n >> (8 * i) & 255));
	sb_putn(out, sb_text(&head), head.n);
	for (int i = 0; i < n; i++)
		if (tensor_bytes(sorted[i].tensor)) sb_putn(out, sorted[i].tensor->data, tensor_bytes(sorted[i].tensor));
}
