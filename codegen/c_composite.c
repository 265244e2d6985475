/* Calls of the kernels that stand for composite functions: attention (kernels/attention.h), products with packed rows
 * (kernels/quantized.h). */
#include <string.h>
#include "c_body.h"

/* Sizes and distances in the order of the kernel's struct; the width of a padded row is the kernel's own business. */
void emit_raw_attention(Emit *e, Node *n)
{
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < 6; i++) sb_printf(&b, "%s, ", emit_dim(e, n->index[i].add));
	sb_put(&b, "0");
	for (int i = 6; i < n->nindex; i++)
		sb_printf(&b, "%s%s%s", (i - 6) % 3 ? ", " : ", {", emit_dim(e, n->index[i].add), (i - 6) % 3 == 2 ? "}" : "");
	bool mask = n->number > 1;
	emit_line(e, "{");
	e->indent++;
	emit_line(e, "/* batch, heads, key heads, queries, keys, depth; distances of q, k, v, result, mask; mask, scale */");
	emit_line(e, "const mx_attention sizes = {%s, %d, %s};", sb_text(&b), (int)n->number, scalar_text(e, n->arg[0]->value));
	const char *sinks = n->nuses > 3 + mask ? buf_text(e, n->uses[3 + mask]) : "NULL";
	const char *lo, *hi;
	emit_parts(e, n, &lo, &hi);
	emit_line(e, "mx_attend(&sizes, %s, %s, %s, %s, %d, %s, %s, %s, %s, %s);", buf_text(e, n->uses[0]), buf_text(e, n->uses[1]),
	          buf_text(e, n->uses[2]), mask ? buf_text(e, n->uses[3]) : "NULL", n->number == 2 ? 1 : 4, sinks, buf_text(e, n->buf),
	          buf_text(e, n->src2), lo, hi);
	e->indent--;
	emit_line(e, "}");
}

static int kind_of(const Buf *b)
{
	return b->type->dtype == DT_f32 ? 0 : b->type->dtype == DT_f16 ? 1 : 2;
}

/* A function for each group size, number of bits and types: constants in it, so that the kernel is made for them. */
static const char *quantized_product(Emit *e, const Node *n, int bits)
{
	const Buf *x = n->uses[0], *s = n->uses[2];
	bool mixed = x->type->dtype != s->type->dtype;
	const char *of = mixed ? arena_printf(e->a, "_%s", dtype_name(s->type->dtype)) : "", *exact = e->o.no_fma ? "true" : "false";
	const char *name =
	    module_str(e->m, arena_printf(e->a, "mx_quantized_%d_by_%d_%s%s", bits, (int)n->number, dtype_name(x->type->dtype), of));
	for (int i = 0; i < e->tables.n; i++)
		if (e->tables.at[i] == name) return name;
	VEC_PUSH(e->a, e->tables, name);
	sb_printf(
	    e->constants,
	    "/* rows of %d bits in groups of %d: kernels/quantized.h */\n"
	    "static void %s(const %s *x, const uint32_t *w, const %s *scale, const %s *bias, %s *y, float *room, ptrdiff_t rows, ptrdiff_t n, "
	    "ptrdiff_t k, ptrdiff_t first, ptrdiff_t end)\n{\n\tmx_q_product(x, w, scale, bias, y, room, rows, n, k, first, end, %d, %d, %d, "
	    "%d, %s);\n}\n\n",
	    bits, (int)n->number, name, buf_ctype(x), buf_ctype(s), buf_ctype(s), buf_ctype(n->buf), kind_of(x), kind_of(s), (int)n->number,
	    bits, exact);
	return name;
}

/* rows of x, rows of w, elements of a row; which rows of w */
void emit_raw_quantized_product(Emit *e, Node *n)
{
	const char *rows = emit_dim(e, n->index[0].add), *of = emit_dim(e, n->index[1].add), *k = emit_dim(e, n->index[2].add);
	int64_t length = 1, words = 0;
	dim_is_const(n->index[2].add, &length);
	dim_is_const(n->uses[1]->type->dim[1], &words);
	const char *lo, *hi;
	emit_parts(e, n, &lo, &hi);
	emit_line(e, "%s(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);", quantized_product(e, n, (int)(words * 32 / length)),
	          buf_text(e, n->uses[0]), buf_text(e, n->uses[1]), buf_text(e, n->uses[2]), buf_text(e, n->uses[3]), buf_text(e, n->buf),
	          buf_text(e, n->src2), rows, of, k, lo, hi);
}
