/* See dot_view.h. */
#include "dot_view.h"
#include <string.h>
#include "../ir/dot.h"

Dim access_stride(DimCtx *c, const Buf *b, const Index *idx, const Axis *x)
{
	Dim step = dim_int(c, 0), stride = dim_int(c, 1);
	for (int i = b->type->rank - 1; i >= (b->space == BUF_ROW ? b->drop : 0); i--) {
		for (int k = 0; k < idx[i].n; k++)
			if (idx[i].term[k].axis == x) step = dim_add(c, step, dim_mul(c, stride, idx[i].term[k].coef));
		stride = dim_mul(c, stride, b->type->dim[i]);
	}
	return step;
}

static bool is_affine(const Node *n)
{
	if (n->kind != N_LOAD) return false;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].node) return false;
	return true;
}

/* The load behind x, through the conversion of f16 and bf16 to f32. */
static Node *operand_load(Node *x, DType sum)
{
	bool widened = x->kind == N_OP && x->op == OP_convert && dtype_compute(x->from) != x->from && x->dtype == sum;
	Node *n = widened ? x->arg[0] : x;
	return is_affine(n) ? n : NULL;
}

/* How many of the last of axis[0..n) run through both accesses as one axis would: its extent and strides. NULL accesses do not matter. */
static int merge_axes(DimCtx *c, const Axis *const *axis, int n, const Node *const *at, int nat, Dim *extent, Dim *stride)
{
	int used = 0;
	*extent = dim_int(c, 1);
	for (int k = 0; k < nat; k++) stride[k] = dim_int(c, 0);
	bool first = true;
	for (int i = n - 1; i >= 0; i--, used++) {
		if (dim_is(axis[i]->extent, 1)) continue;
		for (int k = 0; k < nat; k++) {
			Dim s = at[k] ? access_stride(c, at[k]->buf, at[k]->index, axis[i]) : NULL;
			if (!s) continue;
			if (first) stride[k] = s;
			else if (s != dim_mul(c, stride[k], *extent)) return used;
		}
		first = false;
		*extent = dim_mul(c, *extent, axis[i]->extent);
		if (!*extent) return -1;
	}
	return used;
}

/* Axes that an index counts in row-major order, ones left out, and nothing else. */
static bool counts(DimCtx *c, const Index *x, const Axis *const *axis, int n)
{
	int used = 0;
	Dim stride = dim_int(c, 1);
	for (int i = n - 1; i >= 0; i--) {
		if (dim_is(axis[i]->extent, 1)) continue;
		bool found = false;
		for (int k = 0; k < x->n; k++) found |= x->term[k].axis == axis[i] && x->term[k].coef == stride;
		if (!found) return false;
		used++;
		stride = dim_mul(c, stride, axis[i]->extent);
	}
	return used == x->n && x->add == dim_int(c, 0);
}

/* b[j / PANEL, k, j % PANEL], j the columns (weights.c). */
static bool is_panels(DimCtx *c, const Nest *s, const Node *r, const Node *b)
{
	const Node *part[2] = {NULL, NULL};
	int64_t width;
	if (b->kind != N_LOAD || b->nindex != 3 || b->buf->space != BUF_CONST || !dim_is_const(b->buf->type->dim[2], &width)) return false;
	for (int i = 0; i < 2; i++) {
		const Index *x = &b->index[2 * i];
		if (x->n != 1 || !x->term->node || x->add != dim_int(c, 0) || x->term->coef != dim_int(c, 1)) return false;
		part[i] = x->term->node;
		if (part[i]->kind != (i ? N_IMOD : N_IDIV) || part[i]->hi != b->buf->type->dim[2]) return false;
		if (!counts(c, part[i]->index, s->axis + s->naxis - s->cols, s->cols)) return false;
	}
	return width == 2 * 64 / dtype_bytes(b->dtype) && counts(c, &b->index[1], r->axis, r->naxis);
}

static Node *only_store(Body *b)
{
	Node *store = NULL;
	for (Node *n = b->first; n; n = n->next)
		if (n->kind == N_STORE) store = store || n->mode ? NULL : n;
	return store;
}

bool dot_view(DimCtx *c, const Nest *s, DotView *out)
{
	Node *r = s->body->first;
	*out = (DotView){0};
	if (s->init || !r || r->kind != N_REDUCE || r->op != OP_add || !dtype_is_float(r->dtype)) return false;
	Node *p = r->body->result;
	if (p->kind != N_OP || p->op != OP_mul) return false;
	out->sum = r;
	out->a = operand_load(p->arg[0], r->dtype);
	out->panels = is_panels(c, s, r, p->arg[1]);
	out->b = out->panels ? p->arg[1] : operand_load(p->arg[1], r->dtype);
	out->store = only_store(s->body);
	if (!out->a || !out->b || !out->store || out->a->dtype != out->b->dtype) return false;
	const Node *b = out->panels ? NULL : out->b;
	const Node *ab[2] = {out->a, b}, *ac[2] = {out->a, out->store}, *bc[2] = {b, out->store};
	bool memory = out->store->buf->space != BUF_ROW && out->store->buf->space != BUF_TILE;
	if (!memory) ac[1] = bc[1] = NULL;
	Dim stride[2];
	int outer = s->naxis - s->rows - s->cols;
	if (merge_axes(c, r->axis, r->naxis, ab, 2, &out->k, stride) != r->naxis) return false;
	out->ak = stride[0], out->bk = stride[1];
	int n = merge_axes(c, s->axis + outer + s->rows, s->cols, bc, 2, &out->n, stride);
	out->bn = stride[0], out->cn = stride[1];
	int m = merge_axes(c, s->axis + outer, s->rows, ac, 2, &out->m, stride);
	out->am = stride[0], out->cm = stride[1];
	if (n < 0 || m < 0) return false;
	for (int i = 0; i < outer + s->rows - m; i++) out->loop[out->nloop++] = s->axis[i];
	for (int i = 0; i < s->cols - n; i++) out->loop[out->nloop++] = s->axis[outer + s->rows + i];
	for (int i = s->rows - m; i < s->rows; i++) out->row[out->nrow++] = s->axis[outer + i];
	for (int i = s->cols - n; i < s->cols; i++) out->col[out->ncol++] = s->axis[outer + s->rows + i];
	return true;
}

int dot_shared(const DotView *v, const Axis *x, const Axis *const **axes)
{
	for (int i = 0; i < v->nloop; i++)
		if (v->loop[i] == x) return *axes = v->loop + i, 1;
	if (v->nrow && v->row[0] == x) return *axes = v->row, v->nrow;
	if (v->ncol && v->col[0] == x) return *axes = v->col, v->ncol;
	return 0;
}

static Dim at_most(DimCtx *c, const DimFacts *f, Dim d, int64_t n)
{
	int64_t hi;
	return dim_upper(f, d, &hi) && hi <= n ? d : dim_int(c, n);
}

static Dim round_up(DimCtx *c, const DimFacts *f, Dim d, int64_t by)
{
	return dim_scale(c, dim_floordiv(c, f, dim_add(c, d, dim_int(c, by - 1)), dim_int(c, by)), by, 1);
}

Dim dot_room(DimCtx *c, const DimFacts *f, const DotView *v)
{
	int64_t n;
	Dim k = round_up(c, f, at_most(c, f, v->k, DOT_BLOCK), 16), columns = v->n;
	if (v->panels) return dim_mul(c, k, at_most(c, f, v->m, DOT_ROWS_PANELS));
	if (dim_is_const(columns, &n) && n > DOT_WIDE) columns = dim_int(c, DOT_WIDE);
	return dim_mul(c, k, dim_add(c, at_most(c, f, v->m, DOT_ROWS), round_up(c, f, columns, 32)));
}

const DotTemplate *dot_template(const char *name)
{
	enum { WHOLE, TILES, PRODUCTS = 0, BYTES, ROWS = 0, COLUMNS };
	static const DotTemplate templates[] = {
#define DOT_TEMPLATE(name, tiles, cost, cut, panels) {#name, tiles, cost, cut, panels},
#include "dot_templates.def"
	};
	for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
		if (!strcmp(templates[i].name, name)) return &templates[i];
	return NULL;
}
