/* elem_loops OUT.c: the element-wise meanings of ops.def as one loop per op and dtype, for the interpreter, and the 14 x 14 conversions.
 *
 *   static void elem_add_i8(const void *const *in, void *out, int64_t n)
 *   ElemLoop *const elem_loops[OP_COUNT][DT_COUNT]     NULL where the op does not take the dtype
 *   ElemLoop *const elem_converts[DT_COUNT][DT_COUNT]  [from][to]
 */
#include <stdio.h>
#include <string.h>
#include "../ir/elem_text.h"

typedef struct Row {
	const char *name;
	int nin;
	const char *takes, *gives, *meaning[4]; /* float, integer, bool, complex */
} Row;

static const Row rows[] = {
#define ELEM(name, arity, takes, gives, F, I, B, C, ...) {#name, arity, #takes, #gives, {F, I, B, C}},
#define TENSOR(...)
#include "../ir/ops.def"
#undef ELEM
#undef TENSOR
};

static const char *meaning_at(const Row *r, DType d)
{
	static const int column[] = {[DK_BOOL] = 2, [DK_UINT] = 1, [DK_INT] = 1, [DK_FLOAT] = 0, [DK_COMPLEX] = 3};
	if (!strcmp(r->gives, "CPLX") && d != DT_f32) return NULL;
	return r->meaning[column[dtype_kind(d)]];
}

static DType result_dtype(const Row *r, DType d)
{
	if (!strcmp(r->gives, "BOOL")) return DT_bool;
	if (!strcmp(r->gives, "CPLX")) return DT_c64;
	return !strcmp(r->gives, "ABSOF") && d == DT_c64 ? DT_f32 : d;
}

static void print_loop(StrBuf *b, const char *name, int nin, const DType *operand, DType result, const char *value)
{
	static const char *const param[] = {"p0[i]", "p1[i]", "p2[i]"};
	sb_printf(b, "static void %s(const void *const *in, void *out, int64_t n)\n{\n", name);
	for (int k = 0; k < nin; k++) sb_printf(b, "\tconst %s *p%d = in[%d];\n", dtype_ctype(operand[k]), k, k);
	sb_printf(b, "\t%s *p = out;\n\tfor (int64_t i = 0; i < n; i++) {\n", dtype_ctype(result));
	for (int k = 0; k < nin; k++) {
		sb_printf(b, "\t\t%s %c = ", elem_ctype(operand[k]), 'a' + k);
		elem_load_text(b, operand[k], param[k]);
		sb_put(b, ";\n");
	}
	sb_printf(b, "\t\tp[i] = %s;\n\t}\n}\n\n", value);
}

static void print_elem(Arena *a, StrBuf *b, const Row *r, DType d)
{
	static const char *const operand[] = {"a", "b", "c"};
	StrBuf meaning, value;
	DType in[3] = {r->nin == 3 ? DT_bool : d, d, d}, out = result_dtype(r, d);
	sb_init(&meaning, a);
	sb_init(&value, a);
	elem_text(&meaning, meaning_at(r, d), d, operand);
	elem_store_text(&value, out, sb_text(&meaning));
	print_loop(b, arena_printf(a, "elem_%s_%s", r->name, dtype_name(d)), r->nin, in, out, sb_text(&value));
}

static void print_table(StrBuf *b)
{
	sb_put(b, "static ElemLoop *const elem_loops[OP_COUNT][DT_COUNT] = {\n");
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
		for (int d = 0; d < DT_COUNT; d++)
			if (meaning_at(&rows[k], d))
				sb_printf(b, "\t[OP_%s][DT_%s] = elem_%s_%s,\n", rows[k].name, dtype_name(d), rows[k].name, dtype_name(d));
	sb_put(b, "};\n\nstatic ElemLoop *const elem_converts[DT_COUNT][DT_COUNT] = {\n");
	for (int d = 0; d < DT_COUNT; d++)
		for (int e = 0; e < DT_COUNT; e++)
			sb_printf(b, "\t[DT_%s][DT_%s] = convert_%s_%s,\n", dtype_name(d), dtype_name(e), dtype_name(d), dtype_name(e));
	sb_put(b, "};\n");
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "w") : NULL;
	if (!f) return perror(argc == 2 ? argv[1] : "usage: elem_loops OUT.c"), 1;
	Arena *a = arena_new(0, NULL, NULL);
	StrBuf b, value;
	sb_init(&b, a);
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
		for (int d = 0; d < DT_COUNT; d++)
			if (meaning_at(&rows[k], d)) print_elem(a, &b, &rows[k], d);
	for (DType d = 0; d < DT_COUNT; d++)
		for (DType e = 0; e < DT_COUNT; e++) {
			sb_init(&value, a);
			elem_convert_text(&value, d, e, "a");
			print_loop(&b, arena_printf(a, "convert_%s_%s", dtype_name(d), dtype_name(e)), 1, &d, e, sb_text(&value));
		}
	print_table(&b);
	fputs(sb_text(&b), f);
	arena_free(a);
	return fclose(f) ? 1 : 0;
}
