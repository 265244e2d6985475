/* Convolutions that kernels/conv.h does: the table of kernels, the layouts of their weights, the nest that calls one. A call computes rows
 * of the result, so that what follows element by element merges with it row by row (fuse.c) while the row is in the cache. Weights that are
 * constants are packed while compiling, others by a nest before. */
#include <string.h>
#include "../ir/target.h"
#include "conv_kernels.h"

enum {
	PANEL = 32,           /* results of a panel: kernels/conv.h */
	ROW_WEIGHT = 1 << 18, /* bytes of weight that each row may read anew */
	MOST_PHASES = 16,     /* each is code of its own */
	LEAST_RESULTS = 8,    /* of each of several groups: with fewer the packed weight would be mostly zeros */
	WINO_TILES = 14,      /* of a group of rows */
	WINO_LEAST = 12,      /* tiles of a sample */
	WINO_POSITIONS = 500  /* of all samples, where the weight is transformed in each call: measured, 10 ns for each pair of channels */
};

static bool constant(Dim d, int64_t *n)
{
	return dim_is_const(d, n);
}

/* f32, at most three axes, no spread elements, numbers for paddings, taps and channels; or what is not so. */
static const char *not_plain_shape(const ConvSpec *c, const Type *x, const Type *w, int64_t *in, int64_t *out)
{
	int64_t n;
	if (x->dtype != DT_f32) return "it is not f32";
	if (c->n < 1 || c->n > 3) return "it has more than 3 spatial axes";
	if (!constant(w->dim[w->rank - 1], in) || !constant(w->dim[c->nb], out)) return "the number of channels is not known";
	for (int i = 0; i < c->n; i++) {
		if (c->spread[i] != 1) return "its input is spread";
		if (!constant(c->lo[i], &n)) return "the padding is not a number";
		if (!constant(w->dim[c->nb + 1 + i], &n)) return "the number of taps is not known";
	}
	return NULL;
}

static const char *not_depthwise(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y)
{
	int64_t in, out;
	(void)L, (void)y;
	const char *why = not_plain_shape(c, x, w->type, &in, &out);
	return why ? why : in == 1 && out == c->groups ? NULL : "a result has more than one input channel";
}

static const char *not_direct(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y)
{
	int64_t in, out;
	(void)y;
	const char *why = not_plain_shape(c, x, w->type, &in, &out);
	if (why || c->groups == 1 || out / c->groups >= LEAST_RESULTS) return why;
	return arena_printf(L->a, "a group has fewer than %d results", LEAST_RESULTS);
}

/* Tiles of a group's rows: enough to fill a register tile of 14 positions. */
static void wino_tiles(const Type *y, int64_t *down, int64_t *across, int64_t *rows)
{
	int64_t h, w;
	constant(y->dim[1], &h), constant(y->dim[2], &w);
	*down = (h + 3) / 4, *across = (w + 3) / 4;
	*rows = (WINO_TILES + *across - 1) / *across;
	if (*rows > *down) *rows = *down;
}

static const char *not_winograd(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y)
{
	int64_t in, out, n, h, wd, samples, down, across, rows;
	if (L->m->exact_conv) return "--conv=exact";
	if (c->nb || c->n != 2) return "it is not 2-dimensional";
	if (c->groups != 1) return arena_printf(L->a, "%lld groups", (long long)c->groups);
	const char *why = not_plain_shape(c, x, w->type, &in, &out);
	if (why) return why;
	for (int i = 0; i < 2; i++) {
		if (c->step[i] != 1) return arena_printf(L->a, "stride %lld", (long long)c->step[i]);
		if (c->dilation[i] != 1) return arena_printf(L->a, "dilation %lld", (long long)c->dilation[i]);
		if (!constant(w->type->dim[1 + i], &n) || n != 3) return "the kernel is not 3 x 3";
		if (!constant(x->dim[1 + i], &n)) return "the size of the image is not known";
	}
	if (in % 16 || out % 16)
		return arena_printf(L->a, "%lld and %lld channels: both must be multiples of 16", (long long)in, (long long)out);
	if (36 * 4 * in * out > L->m->target->winograd) return "the transformed weight is larger than the target's cache";
	if (!constant(y->dim[1], &h) || !constant(y->dim[2], &wd)) return "the size of the image is not known";
	if (!constant(y->dim[0], &samples)) samples = 1;
	wino_tiles(y, &down, &across, &rows);
	if (down * across < WINO_LEAST) return arena_printf(L->a, "fewer than %d tiles of 4 x 4", WINO_LEAST);
	if (16 * down * across * 3 > 4 * h * wd) return "tiles of 4 x 4 reach too far over the edge"; /* a third more than there is */
	if (value_const(w) || samples * h * wd >= WINO_POSITIONS) return NULL;
	return arena_printf(L->a, "%lld positions: too few to transform the weight in each call", (long long)(samples * h * wd));
}

/* --- weights ---------------------------------------------------------------------------------------------------------------------- */
/* One element of a packed weight as an index of the plain one; false: a zero. */
typedef struct Packed {
	Index w[MAX_RANK + 1];
	Node *inside;
} Packed;

static Index tap_index(Lower *L, const ConvSpec *c, Index k, Dim n)
{
	DimCtx *d = L->dims;
	return c->flip ? index_offset(L, index_scale(L, k, dim_int(d, -1)), dim_sub(d, n, dim_int(d, 1))) : k;
}

static const Tensor *pack_panels(Lower *L, const ConvSpec *c, const Tensor *w, const Type *t)
{
	int64_t shape[MAX_RANK], last = w->rank - 1, in = w->shape[last], q = w->shape[c->nb] / c->groups, taps = 1, batch = 1;
	for (int i = 0; i < t->rank; i++) constant(t->dim[i], &shape[i]);
	for (int i = 0; i < c->nb; i++) batch *= w->shape[i];
	for (int i = c->nb + 1; i < last; i++) taps *= w->shape[i];
	Tensor *r = tensor_new(L->a, DT_f32, t->rank, shape);
	int64_t panels = (q + PANEL - 1) / PANEL;
	const float *from = w->data;
	float *to = r->data;
	memset(to, 0, tensor_bytes(r));
	for (int64_t b = 0; b < batch * c->groups; b++)
		for (int64_t o = 0; o < q; o++)
			for (int64_t k = 0; k < taps; k++)
				for (int64_t i = 0; i < in; i++) {
					int64_t tap = c->flip ? taps - 1 - k : k;
					to[(((b * panels + o / PANEL) * taps + k) * in + i) * PANEL + o % PANEL] = from[((b * q + o) * taps + tap) * in + i];
				}
	return r;
}

/* [batch.., groups*Q, K.., I] as [batch.., groups, panels, K.., I, 32], results past Q zero. */
static Buf *weight_panels(Lower *L, const ConvSpec *c, Value *w)
{
	DimCtx *d = L->dims;
	const Type *t = w->type;
	Dim dims[MAX_RANK];
	int64_t out;
	int r = 0;
	constant(t->dim[c->nb], &out);
	int64_t q = out / c->groups, panels = (q + PANEL - 1) / PANEL;
	for (int i = 0; i < c->nb; i++) dims[r++] = t->dim[i];
	dims[r++] = dim_int(d, c->groups);
	dims[r++] = dim_int(d, panels);
	for (int i = c->nb + 1; i < t->rank; i++) dims[r++] = t->dim[i];
	dims[r++] = dim_int(d, PANEL);
	const Type *packed = type_get(L->m, t->dtype, r, dims);
	const char *name = arena_printf(L->a, "%s_panels", w->name ? w->name : "weight");
	if (value_const(w)) {
		Buf *b = lower_buf(L, BUF_CONST, packed, NULL, name);
		b->data = pack_panels(L, c, value_const(w), packed);
		return b;
	}
	Buf *b = lower_buf(L, BUF_ARENA, packed, NULL, name);
	Index to[MAX_RANK + 1], from[MAX_RANK + 1];
	Nest *s = stage_over(L, NULL, b, packed, to, "pack");
	Index o = index_add(L, index_scale(L, to[c->nb + 1], dim_int(d, PANEL)), to[r - 1]);
	for (int i = 0; i < c->nb; i++) from[i] = to[i];
	from[c->nb] = index_add(L, index_scale(L, to[c->nb], dim_int(d, q)), o);
	for (int i = 0; i < c->n; i++) from[c->nb + 1 + i] = tap_index(L, c, to[c->nb + 2 + i], t->dim[c->nb + 1 + i]);
	from[t->rank - 1] = to[r - 2];
	Node *x;
	if (q % PANEL == 0) x = pull(L, s->body, w, from);
	else {
		x = node_if(L, s->body, node_test(L, s->body, o, dim_int(d, 0), dim_int(d, q)), t->dtype);
		x->body->result = pull(L, x->body, w, from);
		x->other->result = node_const(L, x->other, scalar_from_int(0, t->dtype));
	}
	node_store(L, s->body, b, to, x, NULL);
	return b;
}

/* [batch.., C, K.., 1] as [batch.., K.., C] */
static Buf *weight_taps(Lower *L, const ConvSpec *c, Value *w)
{
	DimCtx *d = L->dims;
	const Type *t = w->type;
	Dim dims[MAX_RANK];
	int r = 0;
	for (int i = 0; i < c->nb; i++) dims[r++] = t->dim[i];
	for (int i = c->nb + 1; i < t->rank - 1; i++) dims[r++] = t->dim[i];
	dims[r++] = t->dim[c->nb];
	const Type *packed = type_get(L->m, t->dtype, r, dims);
	const char *name = arena_printf(L->a, "%s_taps", w->name ? w->name : "weight");
	const Tensor *k = value_const(w);
	if (k) {
		int64_t shape[MAX_RANK], taps = 1, batch = 1, chan = k->shape[c->nb];
		for (int i = 0; i < r; i++) constant(dims[i], &shape[i]);
		for (int i = 0; i < c->nb; i++) batch *= k->shape[i];
		for (int i = c->nb; i < r - 1; i++) taps *= shape[i];
		Tensor *to = tensor_new(L->a, DT_f32, r, shape);
		for (int64_t b = 0; b < batch; b++)
			for (int64_t o = 0; o < chan; o++)
				for (int64_t i = 0; i < taps; i++)
					((float *)to->data)[(b * taps + i) * chan + o] =
					    ((const float *)k->data)[(b * chan + o) * taps + (c->flip ? taps - 1 - i : i)];
		Buf *b = lower_buf(L, BUF_CONST, packed, NULL, name);
		b->data = to;
		return b;
	}
	Buf *b = lower_buf(L, BUF_ARENA, packed, NULL, name);
	Index to[MAX_RANK + 1], from[MAX_RANK + 1];
	Nest *s = stage_over(L, NULL, b, packed, to, "pack");
	for (int i = 0; i < c->nb; i++) from[i] = to[i];
	from[c->nb] = to[r - 1];
	for (int i = 0; i < c->n; i++) from[c->nb + 1 + i] = tap_index(L, c, to[c->nb + i], t->dim[c->nb + 1 + i]);
	from[t->rank - 1] = index_dim(L, dim_int(d, 0));
	node_store(L, s->body, b, to, pull(L, s->body, w, from), NULL);
	return b;
}

/* Planes of 36 products, 36 planes: their distance is kept off powers of two, which share cache sets. */
static int64_t wino_plane(int64_t n)
{
	return n % 512 ? n : n + 32;
}

const double wino_g[6][3] = {{0.25, 0, 0},
                             {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                             {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                             {1 / 24.0, 1 / 12.0, 1 / 6.0},
                             {1 / 24.0, -1 / 12.0, 1 / 6.0},
                             {0, 0, 1}};

static const Tensor *wino_weight(Lower *L, const ConvSpec *c, const Tensor *w, const Type *t)
{
	int64_t shape[4], out = w->shape[0], in = w->shape[3];
	for (int i = 0; i < 4; i++) constant(t->dim[i], &shape[i]);
	Tensor *r = tensor_new(L->a, DT_f32, 4, shape);
	memset(r->data, 0, tensor_bytes(r));
	for (int64_t o = 0; o < out; o++)
		for (int64_t i = 0; i < in; i++)
			for (int a = 0; a < 6; a++)
				for (int b = 0; b < 6; b++) {
					double s = 0;
					for (int p = 0; p < 3; p++)
						for (int q = 0; q < 3; q++)
							s += wino_g[a][p] * wino_g[b][q] *
							     (double)((const float *)w->data)[(o * 9 + (c->flip ? 8 - p * 3 - q : p * 3 + q)) * in + i];
					((float *)r->data)[(((6 * a + b) * shape[1] + o / PANEL) * in + i) * PANEL + o % PANEL] = (float)s;
				}
	return r;
}

/* [O, 3, 3, I] as [36, panels, I, 32], transformed. */
static Buf *weight_winograd(Lower *L, const ConvSpec *c, Value *w)
{
	DimCtx *d = L->dims;
	int64_t in, out;
	constant(w->type->dim[0], &out), constant(w->type->dim[3], &in);
	Dim dims[] = {dim_int(d, 36), dim_int(d, (out + PANEL - 1) / PANEL), dim_int(d, in), dim_int(d, PANEL)};
	const Type *t = type_get(L->m, DT_f32, 4, dims);
	const char *name = arena_printf(L->a, "%s_winograd", w->name ? w->name : "weight");
	if (value_const(w)) {
		Buf *b = lower_buf(L, BUF_CONST, t, NULL, name);
		b->data = wino_weight(L, c, value_const(w), t);
		return b;
	}
	Buf *src = lower_value_buf(L, w), *b = lower_buf(L, BUF_ARENA, t, NULL, name);
	Nest *s = stage_new(L, NULL, b, "transform");
	Node *n = node_add(L, s->body, N_RAW, DT_f32);
	n->mode = "winoweight";
	n->buf = b, n->src = src;
	n->number = c->flip;
	b->writes++, src->reads++;
	return b;
}

/* --- the table -------------------------------------------------------------------------------------------------------------------- */
static const ConvKernel kernels[] = {
    {"winograd", "f32, 3x3 without step, groups, dilation; channels in sixteens; at least 12 tiles of 4x4; not --conv=exact", not_winograd,
     weight_winograd, true},
    {"depthwise", "f32, a channel of the result for each channel of the input", not_depthwise, weight_taps, false},
    {"conv", "f32, at least 8 results in a group", not_direct, weight_panels, false},
};

const ConvKernel *conv_kernel(Lower *L, const ConvSpec *c, Value *w, const Type *x, const Type *y, const char **why)
{
	StrBuf b;
	sb_init(&b, L->a);
	for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
		const char *not = kernels[i].refuses(L, c, w, x, y);
		*why = sb_text(&b);
		if (!not ) return &kernels[i];
		sb_printf(&b, ", not %s (%s)", kernels[i].name, not );
	}
	*why = sb_text(&b);
	return NULL;
}

static int64_t weight_bytes(const Buf *b, int nb)
{
	int64_t n, bytes = 4;
	for (int i = nb; i < b->type->rank; i++) bytes *= constant(b->type->dim[i], &n) ? n : 1;
	return bytes;
}

/* Paddings, tiles in a group and across, the distances of planes of inputs and of products; memory for both. */
static void group_scratch(Lower *L, const ConvSpec *c, const Op *op, Node *n)
{
	int64_t in, out, down, *p = NEW_ARRAY(L->a, int64_t, 6);
	constant(op->in[1]->type->dim[0], &out), constant(op->in[1]->type->dim[3], &in);
	constant(c->lo[0], &p[0]), constant(c->lo[1], &p[1]);
	wino_tiles(op->out[0]->type, &down, &p[3], &p[2]);
	p[4] = wino_plane(p[2] * p[3] * in), p[5] = wino_plane(p[2] * p[3] * out);
	Dim size = dim_int(L->dims, 36 * (p[4] + p[5]));
	n->ints = p, n->nints = 6;
	n->buf2 = lower_buf(L, BUF_ARENA, type_get(L->m, DT_f32, 1, &size), NULL, "tiles");
	n->buf2->writes++;
}

void conv_call_kernel(Lower *L, const ConvKernel *k, const ConvSpec *c, Op *op)
{
	Value *y = op->out[0];
	Buf *out = lower_info(L, y)->buf, *x = lower_value_buf(L, op->in[0]), *w = k->weight(L, c, op->in[1]);
	bool rows = k->grouped || weight_bytes(w, c->nb) <= ROW_WEIGHT;
	int outer = c->nb + 1 + (rows ? c->n - 1 : 0);
	Nest *s = stage_new(L, y, out, k->name);
	Node *n = node_add(L, s->body, N_RAW, y->type->dtype);
	Index idx[MAX_RANK + 1];
	for (int i = 0; i < y->type->rank; i++) {
		idx[i] = index_dim(L, dim_int(L->dims, 0));
		if (i >= outer) continue;
		s->axis[s->naxis++] = lower_axis(L, y->type->dim[i], i);
		idx[i] = index_axis(L, s->axis[i]);
	}
	s->nkeep = outer;
	n->mode = k->name;
	n->buf = out, n->src = x, n->src2 = w;
	out->writes++, x->reads++, w->reads++;
	n->nindex = y->type->rank;
	n->index = arena_copy(L->a, idx, sizeof *idx * (size_t)(n->nindex + 1));
	n->number = outer;
	if (k->grouped) {
		group_scratch(L, c, op, n);
		return;
	}
	int64_t *p = NEW_ARRAY(L->a, int64_t, 3 * c->n + 1);
	for (int i = 0; i < c->n; i++) p[i] = c->step[i], dim_is_const(c->lo[i], &p[c->n + i]), p[2 * c->n + i] = c->dilation[i];
	p[3 * c->n] = c->groups;
	n->ints = p;
	n->nints = 3 * c->n + 1;
}

/* --- the weight's derivative --------------------------------------------------------------------------------------------------------- */
/* x itself where v is x with its first and last axes exchanged, and not stored. */
static Value *swapped(Lower *L, Value *v)
{
	const Op *op = v->def;
	if (!op || op->code != OP_transpose || lower_info(L, v)->buf) return NULL;
	const Attr *perm = op_attr(op, AT_perm);
	for (int i = 0; i < perm->n; i++)
		if (perm->v.ints[i] != (i == 0 ? perm->n - 1 : i == perm->n - 1 ? 0 : i)) return NULL;
	return op->in[0];
}

/* Rows of a block: some 256 positions, so that a sum is loaded and stored seldom. */
static int64_t block_rows(const Type *g)
{
	int64_t h, w;
	if (g->rank < 4) return 1;
	if (!constant(g->dim[g->rank - 3], &h)) h = 256;
	if (!constant(g->dim[g->rank - 2], &w)) return h < 4 ? h : 4;
	int64_t rows = (255 + w) / (w > 0 ? w : 1);
	return rows < h ? rows : h > 0 ? h : 1;
}

bool conv_call_weight_kernel(Lower *L, const ConvSpec *c, Op *op)
{
	Value *y = op->out[0], *x = swapped(L, op->in[0]), *g = swapped(L, op->in[1]);
	int64_t out, in, n;
	if (L->m->exact_conv || !x || !g || c->nb || c->groups != 1 || c->flip || c->n < 1 || c->n > 3 || y->type->dtype != DT_f32)
		return false;
	for (int i = 0; i < c->n; i++)
		if (c->spread[i] != 1 || !constant(c->lo[i], &n) || !constant(y->type->dim[1 + i], &n)) return false;
	if (!constant(y->type->dim[c->n + 1], &out) || !constant(y->type->dim[0], &in) || out < LEAST_RESULTS) return false;
	Buf *to = lower_info(L, y)->buf, *bx = lower_value_buf(L, x), *bg = lower_value_buf(L, g);
	Nest *s = stage_new(L, y, to, "convweight");
	Node *r = node_add(L, s->body, N_RAW, DT_f32);
	DimCtx *d = L->dims;
	r->mode = "convweight";
	r->buf = to, r->src = bx, r->src2 = bg;
	to->writes++, bx->reads++, bg->reads++;
	r->nindex = y->type->rank;
	r->index = NEW_ARRAY(L->a, Index, r->nindex + 1);
	for (int i = 0; i < r->nindex; i++) r->index[i] = index_dim(L, dim_int(d, 0));
	r->number = block_rows(g->type);
	int64_t *p = NEW_ARRAY(L->a, int64_t, 3 * c->n + 1), taps;
	for (int i = 0; i < c->n; i++) p[i] = c->dilation[i], constant(c->lo[i], &p[c->n + i]), p[2 * c->n + i] = c->step[i];
	p[3 * c->n] = 1;
	r->ints = p, r->nints = 3 * c->n + 1;
	int last = c->n - 1; /* of the spatial axes: across; the one before it: down */
	int64_t high = 1;
	if (c->n > 1) constant(y->type->dim[last], &taps), high = (r->number - 1) * p[last - 1] + (taps - 1) * p[2 * c->n + last - 1] + 1;
	Dim cot = dim_scale(d, g->type->dim[1 + last], (out + PANEL - 1) / PANEL * PANEL * r->number, 1);
	Dim size = dim_add(d, cot, dim_scale(d, x->type->dim[1 + last], high * 16, 1));
	r->buf2 = lower_buf(L, BUF_ARENA, type_get(L->m, DT_f32, 1, &size), NULL, "rows");
	r->buf2->writes++;
	return true;
}

/* --- spread inputs: transposed convolutions, and the derivative of a stepping one by its input -------------------------------------------
 */
ConvPhase conv_phase(int64_t s, int64_t lo, int64_t k, int64_t p)
{
	ConvPhase r = {.first = ((lo - p) % s + s) % s};
	r.n = r.first < k ? (k - 1 - r.first) / s + 1 : 0;
	r.before = (lo - p - r.first) / s;
	return r;
}

/* The taps of one phase of [O, K.., I] as panels, from element `at` of b on. */
static void pack_phase(Lower *L, const ConvSpec *c, Value *w, const ConvPhase *ph, Buf *b, int64_t at, int64_t panels)
{
	DimCtx *d = L->dims;
	const Type *t = w->type;
	int64_t in, out, k, size = PANEL;
	constant(t->dim[0], &out), constant(t->dim[c->n + 1], &in);
	Nest *s = stage_new(L, NULL, b, "pack");
	const Axis *axis[MAX_RANK];
	Index from[MAX_RANK + 1], to;
	int n = 0;
	axis[n++] = lower_axis(L, dim_int(d, panels), 0);
	for (int i = 0; i < c->n; i++) axis[n++] = lower_axis(L, dim_int(d, ph[i].n), 1 + i);
	axis[n++] = lower_axis(L, t->dim[c->n + 1], c->n + 1);
	axis[n++] = lower_axis(L, dim_int(d, PANEL), c->n + 2);
	for (int i = 0; i < n; i++) s->axis[s->naxis++] = axis[i];
	from[0] = index_add(L, index_scale(L, index_axis(L, axis[0]), dim_int(d, PANEL)), index_axis(L, axis[n - 1]));
	to = index_add(L, index_axis(L, axis[n - 1]), index_scale(L, index_axis(L, axis[n - 2]), dim_int(d, size)));
	size *= in;
	for (int i = c->n - 1; i >= 0; i--) {
		to = index_add(L, to, index_scale(L, index_axis(L, axis[1 + i]), dim_int(d, size)));
		size *= ph[i].n;
		constant(t->dim[1 + i], &k);
		Index tap = index_offset(L, index_scale(L, index_axis(L, axis[1 + i]), dim_int(d, c->spread[i])), dim_int(d, ph[i].first));
		from[1 + i] = tap_index(L, c, tap, t->dim[1 + i]);
	}
	to = index_offset(L, index_add(L, to, index_scale(L, index_axis(L, axis[0]), dim_int(d, size))), dim_int(d, at));
	from[c->n + 1] = index_axis(L, axis[n - 2]);
	Node *x = node_if(L, s->body, node_test(L, s->body, from[0], dim_int(d, 0), dim_int(d, out)), DT_f32);
	x->body->result = pull(L, x->body, w, from);
	x->other->result = node_const(L, x->other, scalar_from_int(0, DT_f32));
	node_store(L, s->body, b, &to, x, NULL);
}

/* The same while compiling. */
static void pack_phase_const(const ConvSpec *c, const Tensor *w, const ConvPhase *ph, float *to)
{
	int64_t out = w->shape[0], in = w->shape[c->n + 1], down = c->n == 2 ? ph[0].n : 1, across = ph[c->n - 1].n, kw = w->shape[c->n];
	int64_t taps = 1;
	for (int i = 0; i < c->n; i++) taps *= w->shape[1 + i];
	for (int64_t o = 0; o < out; o++)
		for (int64_t k = 0; k < down * across; k++) {
			int64_t tap = ph[c->n - 1].first + k % across * c->spread[c->n - 1];
			if (c->n == 2) tap += (ph[0].first + k / across * c->spread[0]) * kw;
			if (c->flip) tap = taps - 1 - tap;
			for (int64_t i = 0; i < in; i++)
				to[((o / PANEL * down * across + k) * in + i) * PANEL + o % PANEL] = ((const float *)w->data)[(o * taps + tap) * in + i];
		}
}

bool conv_call_spread_kernel(Lower *L, const ConvSpec *c, Op *op)
{
	Value *y = op->out[0], *w = op->in[1];
	const Type *x = op->in[0]->type;
	int64_t k[2], lo[2], in, out, n, phases = 1, size = PANEL;
	if (c->nb || c->n < 1 || c->n > 2 || c->groups != 1 || x->dtype != DT_f32) return false;
	if (!constant(w->type->dim[0], &out) || !constant(w->type->dim[c->n + 1], &in) || out < LEAST_RESULTS) return false;
	for (int i = 0; i < c->n; i++) {
		if (c->step[i] != 1 || c->dilation[i] != 1 || !constant(c->lo[i], &lo[i]) || !constant(w->type->dim[1 + i], &k[i])) return false;
		if (!constant(y->type->dim[1 + i], &n)) return false;
		phases *= c->spread[i], size *= k[i];
	}
	if (phases == 1 || phases > MOST_PHASES) return false;
	int64_t panels = (out + PANEL - 1) / PANEL, at = 0, *p = NEW_ARRAY(L->a, int64_t, 3 * c->n);
	Buf *to = lower_info(L, y)->buf, *bx = lower_value_buf(L, op->in[0]);
	Dim all = dim_int(L->dims, size * in * panels);
	const Tensor *known = value_const(w);
	const char *name = arena_printf(L->a, "%s_phases", w->name ? w->name : "weight");
	Buf *b = lower_buf(L, known ? BUF_CONST : BUF_ARENA, type_get(L->m, DT_f32, 1, &all), NULL, name);
	Tensor *packed = known ? tensor_new(L->a, DT_f32, 1, (const int64_t[]){size * in * panels}) : NULL;
	if (known) memset(packed->data, 0, tensor_bytes(packed));
	b->data = packed;
	for (int64_t i = 0; i < phases; i++) {
		ConvPhase ph[2];
		if (c->n == 2) ph[0] = conv_phase(c->spread[0], lo[0], k[0], i / c->spread[1]);
		ph[c->n - 1] = conv_phase(c->spread[c->n - 1], lo[c->n - 1], k[c->n - 1], i % c->spread[c->n - 1]);
		int64_t taps = 1;
		for (int j = 0; j < c->n; j++) taps *= ph[j].n;
		if (taps && known) pack_phase_const(c, known, ph, (float *)packed->data + at);
		else if (taps) pack_phase(L, c, w, ph, b, at, panels);
		at += taps * in * PANEL * panels;
	}
	Nest *s = stage_new(L, y, to, "convspread");
	Node *r = node_add(L, s->body, N_RAW, DT_f32);
	r->nindex = y->type->rank;
	r->index = NEW_ARRAY(L->a, Index, r->nindex + 1);
	for (int i = 0; i < r->nindex; i++) {
		r->index[i] = index_dim(L, dim_int(L->dims, 0));
		if (i >= c->n) continue;
		s->axis[s->naxis++] = lower_axis(L, y->type->dim[i], i);
		r->index[i] = index_axis(L, s->axis[i]);
	}
	s->nkeep = c->n;
	r->mode = "convspread";
	r->buf = to, r->src = bx, r->src2 = b;
	to->writes++, bx->reads++, b->reads++;
	r->number = c->n;
	for (int i = 0; i < c->n; i++) p[i] = c->spread[i], p[c->n + i] = lo[i], p[2 * c->n + i] = k[i];
	r->ints = p, r->nints = 3 * c->n;
	return true;
}
