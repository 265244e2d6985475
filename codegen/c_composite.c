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
	emit_line(e, "mx_attend(&sizes, %s, %s, %s, %s, %d, %s, %s, %s, 0, %s);", buf_text(e, n->uses[0]), buf_text(e, n->uses[1]),
	          buf_text(e, n->uses[2]), mask ? buf_text(e, n->uses[3]) : "NULL", n->number == 2 ? 1 : 4, sinks, buf_text(e, n->buf),
	          buf_text(e, n->src2), emit_dim(e, dim_mul(e->m->dims, n->index[0].add, n->index[2].add)));
	e->indent--;
	emit_line(e, "}");
}

/* rows of x, rows of w, elements of a row; the group size is a literal, so that the kernel is made for it. */
void emit_raw_quantized_product(Emit *e, Node *n)
{
	const char *rows = emit_dim(e, n->index[0].add), *of = emit_dim(e, n->index[1].add), *k = emit_dim(e, n->index[2].add);
	emit_line(e, "mx_q4_product(%s, %s, %s, %s, %s, %s, %s, %s, %s, %d, 0, %s);", buf_text(e, n->uses[0]), buf_text(e, n->uses[1]),
	          buf_text(e, n->uses[2]), buf_text(e, n->uses[3]), buf_text(e, n->buf), buf_text(e, n->src2), rows, of, k, (int)n->number, of);
}
