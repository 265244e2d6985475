/* Calls of the kernels that do a whole tensor: Fourier transforms (kernels/fft.h) and factorisations of each matrix (kernels/linalg.h). */
#include <string.h>
#include "../ir/op_fft.h"
#include "c_body.h"

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

/* What lies at number `at` of things of the last axes of b, from `axis` on. */
static const char *element(Emit *e, const Buf *b, const char *at, int axis)
{
	if (!strcmp(at, "0")) return buf_text(e, b);
	return arena_printf(e->a, "%s + %s * %s", buf_text(e, b), at, atom(e, product_of(e, b->type, axis, b->type->rank)));
}

static const char *count(Emit *e, const char *lo, const char *hi)
{
	return strcmp(lo, "0") ? arena_printf(e->a, "%s - %s", hi, lo) : hi;
}

static void call_fft(Emit *e, Node *n, const char *kernel, const char *inverse)
{
	const char *lo, *hi;
	emit_parts(e, n, &lo, &hi);
	emit_line(e, "%s(%s, %s, %s, %s, %s%s, %s, %s, %s);", kernel, element(e, n->src, lo, (int)n->number),
	          element(e, n->buf, lo, (int)n->number), count(e, lo, hi), emit_dim(e, n->hi), emit_dim(e, n->lo), inverse, scale_text(e, n),
	          buf_text(e, n->table), buf_text(e, n->buf2));
}

void emit_raw_fft(Emit *e, Node *n)
{
	call_fft(e, n, "mx_fft_c64", n->reverse ? ", true" : ", false");
}

void emit_raw_rfft(Emit *e, Node *n)
{
	call_fft(e, n, "mx_rfft_f32", "");
}

void emit_raw_irfft(Emit *e, Node *n)
{
	call_fft(e, n, "mx_irfft_c64", "");
}

static void call_table(Emit *e, Node *n, const char *kernel)
{
	emit_line(e, "%s(%s, %s, %s, %s);", kernel, emit_dim(e, n->hi), apart(e, n->lo), buf_text(e, n->buf), buf_text(e, n->buf2));
}

void emit_raw_fft_table(Emit *e, Node *n)
{
	call_table(e, n, "mx_fft_table");
}

void emit_raw_rfft_table(Emit *e, Node *n)
{
	call_table(e, n, "mx_rfft_table");
}

/* --- a call for each matrix of the result -------------------------------------------------------------------------------------------- */
typedef struct EachMatrix {
	const char *loop, *kernel, *size, *src, *out; /* the loop over matrices, or nothing; addresses in it */
	const char *at;                               /* " + i * " in the loop, or nothing */
} EachMatrix;

static EachMatrix each_matrix(Emit *e, Node *n, const char *kernel)
{
	const Type *t = n->buf->type;
	int batch = t->rank - 2;
	int64_t one;
	EachMatrix m = {"", emit_matrix_template(e, kernel, t->dtype), emit_dim(e, n->hi), buf_text(e, n->src), buf_text(e, n->buf), ""};
	if (dim_is_const(type_size(e->m, type_get(e->m, t->dtype, batch, t->dim)), &one) && one == 1) return m;
	const char *i = "i";
	while (emit_is_taken(e, i)) i = arena_printf(e->a, "%s_", i);
	const char *lo, *hi;
	emit_parts(e, n, &lo, &hi);
	m.loop = arena_printf(e->a, "for (ptrdiff_t %s = %s; %s < %s; %s++) ", i, lo, i, hi, i);
	m.at = arena_printf(e->a, " + %s * ", i);
	m.src = arena_printf(e->a, "%s%s%s * %s", m.src, m.at, m.size, m.size);
	m.out = arena_printf(e->a, "%s%s%s", m.out, m.at, product_of(e, t, batch, t->rank));
	return m;
}

void emit_raw_cholesky(Emit *e, Node *n)
{
	EachMatrix m = each_matrix(e, n, "cholesky");
	emit_line(e, "%s%s(%s, %s, %s, %s);", m.loop, m.kernel, m.src, m.out, m.size, buf_text(e, n->buf2));
}

void emit_raw_lu(Emit *e, Node *n)
{
	EachMatrix m = each_matrix(e, n, "lu");
	emit_line(e, "%s%s(%s, %s, %s%s%s, %s);", m.loop, m.kernel, m.src, m.out, buf_text(e, n->buf2), m.at, *m.at ? m.size : "", m.size);
}

void emit_raw_trisolve(Emit *e, Node *n)
{
	EachMatrix m = each_matrix(e, n, "trisolve");
	const char *rs = n->reverse ? "1" : m.size, *cs = n->reverse ? m.size : "1";
	const Type *t = n->buf->type;
	const char *lo, *hi, *all = product_of(e, t, 0, t->rank);
	emit_parts(e, n, &lo, &hi);
	if (strcmp(lo, "0")) all = arena_printf(e->a, "((%s) * %s)", count(e, lo, hi), atom(e, product_of(e, t, t->rank - 2, t->rank)));
	if (buf_text(e, n->buf) != buf_text(e, n->table))
		emit_line(e, "memcpy(%s, %s, sizeof(%s) * (size_t)%s);", element(e, n->buf, lo, t->rank - 2), element(e, n->table, lo, t->rank - 2),
		          buf_ctype(n->buf), all);
	emit_line(e, "%s%s(%s, %s, %s, %s, %s, %s, %s, %s);", m.loop, m.kernel, m.src, rs, cs, m.out, m.size, emit_dim(e, n->lo),
	          n->exclusive ? "true" : "false", n->number ? "true" : "false");
}
