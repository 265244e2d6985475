/* Library calls (N_RAW): one printer for each RAW row of passes/loop.def; a missing one does not link. Here are those of sorting,
 * searching, random bits and memory; the others are in c_conv.c, c_linalg.c and c_composite.c. */
#include <string.h>
#include "../passes/loop_text.h"
#include "c_body.h"

static Dim stride_of(Emit *e, const Buf *b, int64_t axis)
{
	Dim d = dim_int(e->m->dims, 1);
	for (int i = b->type->rank - 1; i > axis; i--) d = dim_mul(e->m->dims, d, b->type->dim[i]);
	return d;
}

void emit_raw_sort(Emit *e, Node *n)
{
	int64_t known;
	const char *sort = dim_is_const(n->hi, &known) && known < SORT_RADIX_FROM ? "sort_small" : "sort";
	emit_line(e, "%s(%s, %s, %s, %s, %s);", emit_template(e, sort, n->dtype), address(e, n->buf, n->index), address(e, n->buf2, n->index),
	          buf_text(e, n->src2), emit_dim(e, n->hi), emit_dim(e, stride_of(e, n->buf, n->number)));
}

void emit_raw_topk(Emit *e, Node *n)
{
	emit_line(e, "%s(%s, %s, %s, %s, %s, %s, %s, %s);", emit_template(e, "topk", n->dtype), address(e, n->src, n->index),
	          address(e, n->buf, n->index), address(e, n->buf2, n->index), buf_text(e, n->src2), emit_dim(e, n->hi), emit_dim(e, n->lo),
	          emit_dim(e, stride_of(e, n->src, n->number)), emit_dim(e, stride_of(e, n->buf, n->number)));
}

void emit_raw_searchsorted(Emit *e, Node *n)
{
	const char *t = temp(e, "at");
	emit_line(e, "const uint32_t %s = %s(%s, %s, %s, %s);", t, emit_template(e, "searchsorted", n->from), buf_text(e, n->src),
	          emit_dim(e, n->hi), node_text(e, n->arg[0]), n->number ? "true" : "false");
	map_set(&e->text, n, (void *)t);
}

void emit_raw_rng_bits(Emit *e, Node *n)
{
	Index key[MAX_RANK + 1];
	for (int i = 0; i < n->number; i++) key[i] = n->index[i];
	key[n->number] = (Index){NULL, 0, dim_int(e->m->dims, 0)};
	emit_line(e, "%s(%s, %s, %s);", emit_template(e, "random_bits", n->dtype), address(e, n->src, key), address(e, n->buf, n->index),
	          emit_dim(e, n->hi));
}

/* A bool of other bits than 0 and 1 is none in C. */
void emit_raw_bitcast(Emit *e, Node *n)
{
	const char *dst = buf_is_value(n->buf) ? arena_printf(e->a, "&%s", buf_text(e, n->buf)) : buf_text(e, n->buf);
	const char *src = buf_is_value(n->src) ? arena_printf(e->a, "&%s", buf_text(e, n->src)) : buf_text(e, n->src);
	if (n->buf->type->dtype != DT_bool) {
		emit_line(e, "memcpy(%s, %s, (size_t)%s);", dst, src, emit_dim(e, n->hi));
		return;
	}
	const char *i = temp(e, "byte");
	emit_line(e, "for (ptrdiff_t %s = 0; %s < %s; %s++) (%s)[%s] = ((const unsigned char *)%s)[%s] != 0;", i, i, emit_dim(e, n->hi), i, dst,
	          i, src, i);
}

void emit_raw(Emit *e, Node *n)
{
	static void (*const raws[])(Emit *, Node *) = {
#define RAW(word, gives, writes, scratch, cut, flops, text, doc) emit_raw_##word,
#include "../passes/loop.def"
	};
	raws[loop_node_row(n) - loop_raws](e, n);
}
