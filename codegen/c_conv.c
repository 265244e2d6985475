/* Calls of the convolution kernels (kernels/conv.h): the shape as a constant where its numbers are known, so that the C compiler sees them.
 */
#include <string.h>
#include "../passes/conv_kernels.h"
#include "c_body.h"

/* The last n of the axes at dims[0..have) as up to three extents, 1 in front. */
static void put_axes(Emit *e, StrBuf *b, const Dim *dims, int have)
{
	for (int i = 0; i < 3; i++) sb_printf(b, "%s, ", i < 3 - have ? "1" : emit_dim(e, dims[i - (3 - have)]));
}

static void put_ints(StrBuf *b, const int64_t *v, int have, int fill)
{
	for (int i = 0; i < 3; i++) sb_printf(b, "%lld, ", (long long)(i < 3 - have ? fill : v[i - (3 - have)]));
}

static bool all_constant(const Dim *d, int n)
{
	int64_t k;
	for (int i = 0; i < n; i++)
		if (!dim_is_const(d[i], &k)) return false;
	return true;
}

/* Of the row in which position `at` of the result's spatial axes stands: its number; n axes before the last are rows. */
static const char *row_text(Emit *e, const Index *at, const Dim *extent, int n)
{
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < n; i++) {
		const char *t = index_text(e, &at[i]);
		if (i) sb_printf(&b, " * %s + %s", emit_dim(e, extent[i]), t);
		else sb_put(&b, t);
	}
	return n ? arena_strdup(e->a, sb_text(&b)) : "0";
}

void emit_raw_winograd(Emit *e, Node *n)
{
	const Type *x = n->src->type, *y = n->buf->type;
	const int64_t *p = n->ints;
	Index at[] = {n->index[0], {NULL, 0, dim_int(e->m->dims, 0)}, {NULL, 0, dim_int(e->m->dims, 0)}, {NULL, 0, dim_int(e->m->dims, 0)}};
	const char *shape = temp(e, "shape"), *tiles = temp(e, "tiles");
	StrBuf b;
	sb_init(&b, e->a);
	put_axes(e, &b, x->dim + 1, 2);
	sb_printf(&b, "%s, ", emit_dim(e, x->dim[3]));
	put_axes(e, &b, y->dim + 1, 2);
	sb_printf(&b, "%s, 1, 3, 3, 1, 1, 1, 0, %lld, %lld, 1, 1, 1, 1, 1", emit_dim(e, y->dim[3]), (long long)p[0], (long long)p[1]);
	emit_line(e, "const mx_conv %s = {%s};", shape, sb_text(&b));
	emit_line(e, "const mx_wino %s = {%lld, %lld, %lld, %lld};", tiles, (long long)p[2], (long long)p[3], (long long)p[4], (long long)p[5]);
	emit_line(e, "mx_wino_rows(&%s, &%s, %s, %s, %s, %s, %s);", shape, tiles, address(e, n->src, at), buf_text(e, n->src2),
	          buf_text(e, n->buf2), address(e, n->buf, n->index), index_text(e, &n->index[1]));
}

void emit_raw_winoweight(Emit *e, Node *n)
{
	const Type *w = n->src->type;
	emit_line(e, "mx_wino_weight(%s, %s, %s, %s, %s);", buf_text(e, n->src), buf_text(e, n->buf), emit_dim(e, w->dim[0]),
	          emit_dim(e, w->dim[3]), n->number ? "true" : "false");
}

void emit_raw_convweight(Emit *e, Node *n)
{
	const Type *x = n->src->type, *g = n->src2->type, *y = n->buf->type;
	int ns = x->rank - 2;
	const char *shape = temp(e, "shape");
	StrBuf b;
	sb_init(&b, e->a);
	put_axes(e, &b, x->dim + 1, ns);
	sb_printf(&b, "%s, ", emit_dim(e, x->dim[ns + 1]));
	put_axes(e, &b, g->dim + 1, ns);
	sb_printf(&b, "%s, ", emit_dim(e, g->dim[ns + 1]));
	put_axes(e, &b, y->dim + 1, ns);
	put_ints(&b, n->ints, ns, 1), put_ints(&b, n->ints + ns, ns, 0), put_ints(&b, n->ints + 2 * ns, ns, 1);
	emit_line(e, "const mx_conv %s = {%s1, 1};", shape, sb_text(&b));
	emit_line(e, "mx_conv_weight(&%s, %s, %s, %s, %s, %s, %lld);", shape, emit_dim(e, x->dim[0]), buf_text(e, n->src), buf_text(e, n->src2),
	          buf_text(e, n->buf), buf_text(e, n->buf2), (long long)n->number);
}

/* Every s-th element of n, from p on: how many. */
static Dim phase_extent(Emit *e, Dim n, int64_t s, int64_t p)
{
	DimCtx *c = e->m->dims;
	return dim_floordiv(c, e->f->func->facts, dim_add(c, n, dim_int(c, s - 1 - p)), dim_int(c, s));
}

static void emit_phase(Emit *e, Node *n, const ConvPhase *down, const ConvPhase *across, int64_t pw, int64_t at)
{
	const Type *x = n->src->type, *y = n->buf->type;
	int ns = x->rank - 2;
	const int64_t *s = n->ints;
	Index from[MAX_RANK + 1], to[MAX_RANK + 1], flat = {NULL, 0, dim_int(e->m->dims, at)};
	for (int i = 0; i < x->rank; i++) from[i] = (Index){NULL, 0, dim_int(e->m->dims, 0)}, to[i] = n->index[i];
	from[0] = n->index[0];
	to[ns] = (Index){NULL, 0, dim_int(e->m->dims, pw)};
	const char *shape = temp(e, "shape"), *row = "0";
	bool fixed = all_constant(x->dim + ns, 2) && all_constant(y->dim + ns, 2);
	StrBuf b;
	sb_init(&b, e->a);
	put_axes(e, &b, x->dim + 1, ns);
	sb_printf(&b, "%s, 1, ", emit_dim(e, x->dim[ns + 1]));
	sb_printf(&b, "%s, ", ns == 2 ? emit_dim(e, phase_extent(e, y->dim[1], s[0], 0)) : "1");
	sb_printf(&b, "%s, %s, ", emit_dim(e, phase_extent(e, y->dim[ns], s[ns - 1], pw)), emit_dim(e, y->dim[ns + 1]));
	sb_printf(&b, "1, %lld, %lld, 1, 1, 1, 0, %lld, %lld, 1, 1, 1, 1, %lld", (long long)(down ? down->n : 1), (long long)across->n,
	          (long long)(down ? down->before : 0), (long long)across->before, (long long)s[ns - 1]);
	emit_line(e, "const mx_conv %s = {%s};", shape, sb_text(&b));
	if (ns == 2)
		row = s[0] > 1 ? arena_printf(e->a, "%s / %lld", index_atom(e, &n->index[1]), (long long)s[0]) : index_text(e, &n->index[1]);
	emit_line(e, "mx_conv_rows(&%s, %s, %s, %s, %s, %s, %s + 1);", shape, fixed ? "true" : "false", address(e, n->src, from),
	          address(e, n->src2, &flat), address(e, n->buf, to), row, row);
}

/* The phase of a row is known at run time only: one branch for each. */
void emit_raw_convspread(Emit *e, Node *n)
{
	int ns = n->src->type->rank - 2;
	const int64_t *s = n->ints, *lo = s + ns, *k = lo + ns;
	int64_t in = 1, out = 1, at = 0, rows = ns == 2 ? s[0] : 1;
	dim_is_const(n->src->type->dim[ns + 1], &in), dim_is_const(n->buf->type->dim[ns + 1], &out);
	for (int64_t p = 0; p < rows; p++) {
		ConvPhase down = {0, 1, 0};
		if (ns == 2) down = conv_phase(s[0], lo[0], k[0], p);
		if (rows > 1) {
			emit_line(e, "%sif (%s %% %lld == %lld) {", p ? "else " : "", index_atom(e, &n->index[1]), (long long)rows, (long long)p);
			e->indent++;
		}
		for (int64_t q = 0; q < s[ns - 1]; q++) {
			ConvPhase across = conv_phase(s[ns - 1], lo[ns - 1], k[ns - 1], q);
			emit_phase(e, n, ns == 2 ? &down : NULL, &across, q, at);
			at += down.n * across.n * in * ((out + 31) / 32 * 32);
		}
		if (rows > 1) close_block(e);
	}
}

static void direct(Emit *e, Node *n, bool depth)
{
	const Type *x = n->src->type, *w = n->src2->type, *y = n->buf->type;
	int ns = (n->nints - 1) / 3, first = y->rank - 1 - ns, nb = first - 1, rows = (int)n->number - first;
	const Dim *taps = w->dim + (depth ? nb : nb + 2);
	const int64_t *step = n->ints, *lo = step + ns, *dil = lo + ns;
	Index at[MAX_RANK + 1], wat[MAX_RANK + 1], zero = {NULL, 0, dim_int(e->m->dims, 0)};
	for (int i = 0; i < x->rank; i++) at[i] = i < first ? n->index[i] : zero;
	for (int i = 0; i < w->rank; i++) wat[i] = i < nb ? n->index[i] : zero;
	StrBuf b;
	sb_init(&b, e->a);
	put_axes(e, &b, x->dim + first, ns);
	sb_printf(&b, "%s, ", emit_dim(e, x->dim[x->rank - 1]));
	put_axes(e, &b, y->dim + first, ns);
	sb_printf(&b, "%s, ", emit_dim(e, y->dim[y->rank - 1]));
	put_axes(e, &b, taps, ns);
	put_ints(&b, step, ns, 1), put_ints(&b, lo, ns, 0), put_ints(&b, dil, ns, 1);
	sb_printf(&b, "%lld, 1", (long long)n->ints[3 * ns]);
	bool fixed = all_constant(x->dim + x->rank - 2, 2) && all_constant(y->dim + y->rank - 2, 2);
	const char *shape = temp(e, "shape"), *row = "0", *end = NULL;
	if (rows > 0) {
		row = row_text(e, n->index + first, y->dim + first, ns - 1);
		end = ns == 2 || *row == '0' ? arena_printf(e->a, "%s + 1", row) : arena_printf(e->a, "(%s) + 1", row);
	} else {
		Dim all = dim_int(e->m->dims, 1);
		for (int i = 0; i < ns - 1; i++) all = dim_mul(e->m->dims, all, y->dim[first + i]);
		end = emit_dim(e, all);
	}
	emit_line(e, "const mx_conv %s = {%s};", shape, sb_text(&b));
	emit_line(e, "%s(&%s%s, %s, %s, %s, %s, %s);", depth ? "mx_depth_rows" : "mx_conv_rows", shape,
	          depth   ? ""
	          : fixed ? ", true"
	                  : ", false",
	          address(e, n->src, at), address(e, n->src2, wat), address(e, n->buf, n->index), row, end);
}

void emit_raw_conv(Emit *e, Node *n)
{
	direct(e, n, false);
}

void emit_raw_depthwise(Emit *e, Node *n)
{
	direct(e, n, true);
}
