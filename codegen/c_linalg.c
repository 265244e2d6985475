/* Calls of the kernels that do a whole tensor: Fourier transforms (kernels/fft.h) and factorisations of each matrix (kernels/linalg.h). */
#include <string.h>
#include "../ir/op_fft.h"
#include "emit.h"

static const char *product_of(Emit *e, const Type *t, int from, int to)
{
	Dim n = dim_int(e->m->dims, 1);
	for (int i = from; i < to; i++) n = dim_mul(e->m->dims, n, t->dim[i]);
	return emit_dim(e, n);
}

static const char *apart(Emit *e, Dim inner)
{
	int64_t n;
	if (dim_is_const(inner, &n)) return n > 1 ? "true" : "false";
	return arena_printf(e->a, "%s > 1", emit_dim(e, inner));
}

/* The factor of results: a constant where the length is one. */
static const char *scale_text(Emit *e, Node *n)
{
	int64_t len;
	if (n->norm == 0) return "1.0f";
	if (dim_is_const(n->hi, &len)) return scalar_text(e, scalar_from_double(len ? fft_scale(n->norm, len) : 1.0, DT_f32));
	return arena_printf(e->a, n->norm == 1 ? "(float)(1.0 / (double)%s)" : "(float)(1.0 / sqrt((double)%s))", emit_dim(e, n->hi));
}

static void call_fft(Emit *e, Node *n)
{
	const char *kernel = !strcmp(n->mode, "fft") ? "mx_fft_c64" : !strcmp(n->mode, "rfft") ? "mx_rfft_f32" : "mx_irfft_c64";
	const char *inverse = strcmp(n->mode, "fft") ? "" : n->reverse ? ", true" : ", false";
	emit_line(e, "%s(%s, %s, %s, %s, %s%s, %s, %s, %s);", kernel, buf_text(e, n->src), buf_text(e, n->buf),
	          product_of(e, n->buf->type, 0, (int)n->number), emit_dim(e, n->hi), emit_dim(e, n->lo), inverse, scale_text(e, n),
	          buf_text(e, n->table), buf_text(e, n->buf2));
}

/* Calls kernel for each matrix of the result. */
static void call_matrix(Emit *e, Node *n)
{
	const Type *t = n->buf->type;
	int batch = t->rank - 2;
	int64_t one;
	const char *kernel = emit_matrix_template(e, n->mode, t->dtype), *size = emit_dim(e, n->hi), *count = product_of(e, t, 0, batch);
	bool solve = !strcmp(n->mode, "trisolve"),
	     many = !dim_is_const(type_size(e->m, type_get(e->m, t->dtype, batch, t->dim)), &one) || one != 1;
	const char *m = "i";
	while (emit_is_taken(e, m)) m = arena_printf(e->a, "%s_", m);
	const char *at = many ? arena_printf(e->a, " + %s * ", m) : "", *square = many ? arena_printf(e->a, "%s * %s", size, size) : "";
	const char *wide = many ? product_of(e, t, batch, t->rank) : "";
	const char *src = arena_printf(e->a, "%s%s%s", buf_text(e, n->src), at, square),
	           *out = arena_printf(e->a, "%s%s%s", buf_text(e, n->buf), at, wide);
	if (solve && buf_text(e, n->buf) != buf_text(e, n->table))
		emit_line(e, "memcpy(%s, %s, sizeof(%s) * (size_t)%s);", buf_text(e, n->buf), buf_text(e, n->table), buf_ctype(n->buf),
		          product_of(e, t, 0, t->rank));
	const char *loop = many ? arena_printf(e->a, "for (ptrdiff_t %s = 0; %s < %s; %s++) ", m, m, count, m) : "";
	if (solve) {
		const char *rs = n->reverse ? "1" : size, *cs = n->reverse ? size : "1";
		emit_line(e, "%s%s(%s, %s, %s, %s, %s, %s, %s, %s);", loop, kernel, src, rs, cs, out, size, emit_dim(e, n->lo),
		          n->exclusive ? "true" : "false", n->number ? "true" : "false");
	} else if (!strcmp(n->mode, "lu")) {
		emit_line(e, "%s%s(%s, %s, %s%s%s, %s);", loop, kernel, src, out, buf_text(e, n->buf2), at, many ? size : "", size);
	} else {
		emit_line(e, "%s%s(%s, %s, %s, %s);", loop, kernel, src, out, size, buf_text(e, n->buf2));
	}
}

bool emit_linalg(Emit *e, Node *n)
{
	if (!strcmp(n->mode, "fft") || !strcmp(n->mode, "rfft") || !strcmp(n->mode, "irfft")) call_fft(e, n);
	else if (!strcmp(n->mode, "fft_table") || !strcmp(n->mode, "rfft_table"))
		emit_line(e, "mx_%s(%s, %s, %s, %s);", n->mode, emit_dim(e, n->hi), apart(e, n->lo), buf_text(e, n->buf), buf_text(e, n->buf2));
	else if (!strcmp(n->mode, "cholesky") || !strcmp(n->mode, "lu") || !strcmp(n->mode, "trisolve")) call_matrix(e, n);
	else return false;
	return true;
}
