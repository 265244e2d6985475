/* Calls of library functions, one function per RAW row of loop.def: see loop_eval.h. What is an op is computed by the tensor interpreter's
 * function for it on whole tensors; kernels whose operands are packed are written out plainly. */
#include <math.h>
#include <string.h>
#include "../ir/build.h"
#include "../ir/op_fft.h"
#include "../ir/op_util.h"
#include "conv_kernels.h"
#include "loop_eval.h"
#include "loop_text.h"

/* out = op of in, with constant attributes. */
static void run_op(LoopFrame *f, OpCode op, const Attr *attrs, int nattr, Tensor *const *in, int nin, Tensor *const *out, int nout)
{
	OpView v = {.code = op, .nin = nin, .nattr = nattr, .nout = nout, .attrs = attrs};
	op_row(op)->eval(f->e->scratch, &v, in, out);
}

static bool tensor_like(LoopFrame *f, const Buf *b, Tensor **out)
{
	int64_t shape[MAX_RANK];
	if (!loop_eval_shape(f, b, shape)) return false;
	*out = tensor_new(f->e->scratch, b->type->dtype, b->type->rank, shape);
	return true;
}

/* The op on whole buffers: n->src and `second` (or NULL) to n->buf and `also` (or NULL). */
static bool whole_op(LoopFrame *f, const Node *n, OpCode op, const Attr *attrs, int nattr, const Buf *second, const Buf *also)
{
	Tensor *in[2], *out[2];
	if (!loop_eval_read(f, n->src, &in[0]) || (second && !loop_eval_read(f, second, &in[1])) || !tensor_like(f, n->buf, &out[0]) ||
	    (also && !tensor_like(f, also, &out[1])))
		return false;
	run_op(f, op, attrs, nattr, in, second ? 2 : 1, out, also ? 2 : 1);
	return loop_eval_write(f, n->buf, out[0]) && (!also || loop_eval_write(f, also, out[1]));
}

/* --- rows -------------------------------------------------------------------------------------------------------------------------------
 */
/* A position that follows the indices of n, but for one axis. */
static void indices_at(LoopFrame *f, const Node *n, int64_t axis, int64_t i, Index *out)
{
	for (int k = 0; k < n->nindex; k++) out[k] = n->index[k];
	if (axis < n->nindex) out[axis] = (Index){NULL, 0, dim_int(f->e->p->m->dims, i)};
}

/* sort, topk: rows of `from` along n->number; the first `keep` results to n->buf, their positions to n->buf2. */
static bool ordered(LoopFrame *f, const Node *n, const Buf *from, OpCode op, int64_t keep)
{
	int64_t len;
	Index at[MAX_RANK];
	Cell x;
	if (!loop_eval_dim(f, n->hi, &len)) return false;
	Tensor *in[1] = {tensor_new(f->e->scratch, from->type->dtype, 1, &len)};
	Tensor *out[2] = {tensor_new(f->e->scratch, in[0]->dtype, 1, &keep), tensor_new(f->e->scratch, DT_i32, 1, &keep)};
	for (int64_t i = 0; i < len; i++) {
		indices_at(f, n, n->number, i, at);
		if (!loop_eval_load(f, from, at, &x)) return false;
		memcpy((char *)in[0]->data + i * dtype_bytes(in[0]->dtype), x.raw, (size_t)dtype_bytes(in[0]->dtype));
	}
	Attr attrs[2] = {ATTR_INT(axis, 0), ATTR_DIM(size, dim_int(f->e->p->m->dims, keep))};
	run_op(f, op, attrs, op == OP_topk ? 2 : 1, in, 1, out, 2);
	for (int64_t i = 0; i < keep; i++) {
		indices_at(f, n, n->number, i, at);
		memcpy(x.raw, (char *)out[0]->data + i * dtype_bytes(in[0]->dtype), (size_t)dtype_bytes(in[0]->dtype));
		if (!loop_eval_store(f, n->buf, at, &x)) return false;
		scalar_store(tensor_get(out[1], i), x.raw);
		if (!loop_eval_store(f, n->buf2, at, &x)) return false;
	}
	return true;
}

static bool eval_raw_sort(LoopFrame *f, const Node *n)
{
	int64_t len;
	return loop_eval_dim(f, n->hi, &len) && ordered(f, n, n->buf, OP_sort, len);
}

static bool eval_raw_topk(LoopFrame *f, const Node *n)
{
	int64_t keep;
	return loop_eval_dim(f, n->lo, &keep) && ordered(f, n, n->src, OP_topk, keep);
}

static bool eval_raw_searchsorted(LoopFrame *f, const Node *n)
{
	Tensor *in[2], *out[1] = {tensor_new(f->e->scratch, DT_u32, 0, NULL)};
	if (!loop_eval_read(f, n->src, &in[0])) return false;
	in[1] = tensor_scalar(f->e->scratch, scalar_load(n->arg[0]->dtype, f->node[n->arg[0]->id].raw));
	Attr right = ATTR_INT(right, n->number);
	run_op(f, OP_searchsorted, &right, 1, in, 2, out, 1);
	memcpy(f->node[n->id].raw, out[0]->data, 4);
	return true;
}

static bool eval_raw_rng_bits(LoopFrame *f, const Node *n)
{
	static const int64_t two = 2;
	DimCtx *c = f->e->p->m->dims;
	int64_t len, shape[MAX_RANK], i;
	Index at[MAX_RANK + 1];
	Cell x;
	if (!loop_eval_dim(f, n->hi, &len) || !loop_eval_shape(f, n->buf, shape)) return false;
	Tensor *key[1] = {tensor_new(f->e->scratch, DT_u32, 1, &two)}, *out[1] = {tensor_new(f->e->scratch, n->buf->type->dtype, 1, &len)};
	for (int k = 0; k < n->number; k++) at[k] = n->index[k];
	for (i = 0; i < 2; i++) {
		at[n->number] = (Index){NULL, 0, dim_int(c, i)};
		if (!loop_eval_load(f, n->src, at, &x)) return false;
		tensor_set(key[0], i, scalar_load(DT_u32, x.raw));
	}
	Dim size = dim_int(c, len);
	Attr attrs[2] = {ATTR_DIMS(shape, &size, 1), ATTR_INT(width, dtype_bytes(n->buf->type->dtype))};
	run_op(f, OP_rng_bits, attrs, 2, key, 1, out, 1);
	for (int64_t k = 0; k < len; k++) { /* row-major over the axes behind the batch */
		int64_t rest = k;
		for (int a = n->nindex - 1; a >= n->number; a--) at[a] = (Index){NULL, 0, dim_int(c, rest % shape[a])}, rest /= shape[a];
		for (int a = 0; a < n->number; a++) at[a] = n->index[a];
		scalar_store(tensor_get(out[0], k), x.raw);
		if (!loop_eval_store(f, n->buf, at, &x)) return false;
	}
	return true;
}

static bool eval_raw_bitcast(LoopFrame *f, const Node *n)
{
	Tensor *from;
	int64_t shape[MAX_RANK];
	if (!loop_eval_read(f, n->src, &from) || !loop_eval_shape(f, n->buf, shape)) return false;
	Tensor *to = tensor_new(f->e->scratch, n->buf->type->dtype, n->buf->type->rank, shape);
	if (tensor_bytes(to) != tensor_bytes(from))
		return loop_eval_fail(f, "bitcast: `%s` and `%s` differ in size", n->src->name, n->buf->name);
	for (size_t i = 0; i < tensor_bytes(to); i++) {
		unsigned char x = ((const unsigned char *)from->data)[i];
		((unsigned char *)to->data)[i] = to->dtype == DT_bool ? x != 0 : x;
	}
	return loop_eval_write(f, n->buf, to);
}

/* --- transforms and factorisations
 * ---------------------------------------------------------------------------------------------------------- */
static Attr norm_attr(const Node *n)
{
	static const char *const names[] = {"none", "size", "root"}; /* fft_norm's numbers */
	return ATTR_STR(norm, names[n->norm]);
}

static bool eval_raw_fft(LoopFrame *f, const Node *n)
{
	Attr attrs[3] = {ATTR_INT(axis, n->number), ATTR_INT(inverse, n->reverse), norm_attr(n)};
	return whole_op(f, n, OP_fft, attrs, 3, NULL, NULL);
}

static bool eval_raw_rfft(LoopFrame *f, const Node *n)
{
	Attr attrs[2] = {ATTR_INT(axis, n->number), norm_attr(n)};
	return whole_op(f, n, OP_rfft, attrs, 2, NULL, NULL);
}

static bool eval_raw_irfft(LoopFrame *f, const Node *n)
{
	int64_t size;
	if (!loop_eval_dim(f, n->hi, &size)) return false;
	Attr attrs[3] = {ATTR_INT(axis, n->number), ATTR_DIM(size, dim_int(f->e->p->m->dims, size)), norm_attr(n)};
	return whole_op(f, n, OP_irfft, attrs, 3, NULL, NULL);
}

/* The buffer is large enough for any length; what the plan leaves is zero. */
static bool roots(LoopFrame *f, const Node *n, OpCode op)
{
	Tensor *t;
	int64_t len, inner;
	if (!loop_eval_dim(f, n->hi, &len) || !loop_eval_dim(f, n->lo, &inner) || !tensor_like(f, n->buf, &t)) return false;
	int64_t size = fft_table_size(op, len, inner > 1);
	if (size > tensor_size(t))
		return loop_eval_fail(f, "`%s` has %lld elements, the table %lld", n->buf->name, (long long)tensor_size(t), (long long)size);
	fft_table_fill(op, len, inner > 1, t->data, NEW_ARRAY(f->e->scratch, float, fft_room_size(op, len, inner > 1) + 1));
	return loop_eval_write(f, n->buf, t);
}

static bool eval_raw_fft_table(LoopFrame *f, const Node *n)
{
	return roots(f, n, OP_fft);
}

static bool eval_raw_rfft_table(LoopFrame *f, const Node *n)
{
	return roots(f, n, OP_rfft);
}

static bool eval_raw_cholesky(LoopFrame *f, const Node *n)
{
	return whole_op(f, n, OP_cholesky, NULL, 0, NULL, NULL);
}

static bool eval_raw_lu(LoopFrame *f, const Node *n)
{
	return whole_op(f, n, OP_lu, NULL, 0, NULL, n->buf2);
}

static bool eval_raw_trisolve(LoopFrame *f, const Node *n)
{
	Attr attrs[3] = {ATTR_INT(upper, n->exclusive != n->reverse), ATTR_INT(transposed, n->reverse), ATTR_INT(unit, n->number)};
	return whole_op(f, n, OP_trisolve, attrs, 3, n->table, NULL);
}

/* --- convolutions: the rows that the index names
 * ---------------------------------------------------------------------------------------------- */
enum { PANEL = 32 /* results of a panel of the weight: kernels/conv.h */ };
typedef struct ConvRows {
	const Node *n;
	Tensor *x, *w;
	int64_t y[MAX_RANK]; /* shape of the result */
	int rank, ns, first; /* of the result; spatial axes; where they begin */
	float (*element)(const struct ConvRows *c, const int64_t *at);
} ConvRows;

static int64_t offset_of(const Tensor *t, const int64_t *at)
{
	int64_t r = 0;
	for (int i = 0; i < t->rank; i++) r = r * t->shape[i] + at[i];
	return r;
}

/* element at every position of the axes behind the first n->number, whose index is given. */
static bool conv_rows(LoopFrame *f, ConvRows *c)
{
	const Node *n = c->n;
	int64_t at[MAX_RANK], count = 1;
	Index index[MAX_RANK];
	c->rank = n->buf->type->rank;
	if (!loop_eval_read(f, n->src, &c->x) || !loop_eval_read(f, n->src2, &c->w) || !loop_eval_shape(f, n->buf, c->y)) return false;
	for (int i = 0; i < n->number; i++)
		if (!loop_eval_position(f, &n->index[i], &at[i])) return false;
	for (int i = (int)n->number; i < c->rank; i++) count *= c->y[i];
	for (int64_t k = 0; k < count; k++) {
		int64_t rest = k;
		for (int i = c->rank - 1; i >= n->number; i--) at[i] = rest % c->y[i], rest /= c->y[i];
		for (int i = 0; i < c->rank; i++) index[i] = (Index){NULL, 0, dim_int(f->e->p->m->dims, at[i])};
		Cell x = {{0}};
		float r = c->element(c, at);
		memcpy(x.raw, &r, sizeof r);
		if (!loop_eval_store(f, n->buf, index, &x)) return false;
	}
	return true;
}

/* taps: extents of the kernel; xat, wat: indices with everything but the spatial axes (and channels) set, at which the sum runs. */
static float conv_sum(const ConvRows *c, const int64_t *at, const int64_t *taps, int64_t *xat, int64_t *wat, int wfirst, int64_t per,
                      int64_t xchan, int wchan)
{
	const int64_t *step = c->n->ints, *lo = step + c->ns, *dil = lo + c->ns;
	int64_t count = 1;
	float sum = 0;
	for (int i = 0; i < c->ns; i++) count *= taps[i];
	for (int64_t k = 0; k < count; k++) {
		bool hit = true;
		int64_t rest = k;
		for (int i = c->ns - 1; i >= 0; i--) {
			int64_t tap = rest % taps[i], p = at[c->first + i] * step[i] + tap * dil[i] - lo[i];
			rest /= taps[i];
			hit &= p >= 0 && p < c->x->shape[c->first + i];
			xat[c->first + i] = p;
			wat[wfirst + i] = tap;
		}
		for (int64_t i = 0; hit && i < per; i++) {
			xat[c->x->rank - 1] = xchan + i;
			if (wchan >= 0) wat[wchan] = i;
			sum += ((const float *)c->x->data)[offset_of(c->x, xat)] * ((const float *)c->w->data)[offset_of(c->w, wat)];
		}
	}
	return sum;
}

/* Weight [batch.., groups, panels, K.., I, 32]. */
static float conv_element(const ConvRows *c, const int64_t *at)
{
	int64_t groups = c->n->ints[3 * c->ns], xat[MAX_RANK], wat[MAX_RANK];
	int nb = c->first - 1, last = c->rank - 1;
	int64_t q = c->y[last] / groups, g = at[last] / q, o = at[last] % q, per = c->x->shape[last] / groups;
	for (int i = 0; i < c->first; i++) xat[i] = at[i];
	for (int i = 0; i < nb; i++) wat[i] = at[i];
	wat[nb] = g, wat[nb + 1] = o / PANEL, wat[c->w->rank - 1] = o % PANEL;
	return conv_sum(c, at, c->w->shape + nb + 2, xat, wat, nb + 2, per, g * per, c->w->rank - 2);
}

/* Weight [batch.., K.., C]. */
static float depthwise_element(const ConvRows *c, const int64_t *at)
{
	int64_t xat[MAX_RANK], wat[MAX_RANK];
	int nb = c->first - 1, last = c->rank - 1;
	for (int i = 0; i < c->first; i++) xat[i] = at[i];
	for (int i = 0; i < nb; i++) wat[i] = at[i];
	wat[c->w->rank - 1] = at[last];
	return conv_sum(c, at, c->w->shape + nb, xat, wat, nb, 1, at[last], -1);
}

static bool conv_of(LoopFrame *f, const Node *n, float (*element)(const ConvRows *c, const int64_t *at))
{
	int ns = (n->nints - 1) / 3;
	ConvRows c = {.n = n, .ns = ns, .first = n->buf->type->rank - 1 - ns, .element = element};
	return conv_rows(f, &c);
}

/* Weight phase by phase as panels, flat. */
static float convspread_element(const ConvRows *c, const int64_t *at)
{
	const int64_t *s = c->n->ints, *lo = s + c->ns, *k = lo + c->ns;
	int64_t in = c->x->shape[c->rank - 1], o = at[c->rank - 1], panels = (c->y[c->rank - 1] + PANEL - 1) / PANEL, start = 0, inside[2];
	const ConvPhase one = {0, 1, 0};
	ConvPhase ph[2] = {one, one};
	int across = c->ns - 1;
	int64_t mine = at[1 + across] % s[across] + (c->ns == 2 ? at[1] % s[0] * s[1] : 0);
	for (int64_t p = 0; p <= mine; p++) { /* the phases before this one lie in front of it */
		if (p) start += ph[0].n * ph[1].n * in * PANEL * panels;
		if (c->ns == 2) ph[0] = conv_phase(s[0], lo[0], k[0], p / s[1]);
		ph[1] = conv_phase(s[across], lo[across], k[across], p % s[across]);
	}
	float sum = 0;
	for (int64_t a = 0; a < ph[0].n * ph[1].n; a++) {
		inside[0] = c->ns == 2 ? at[1] / s[0] + a / ph[1].n - ph[0].before : 0;
		inside[1] = at[1 + across] / s[across] + a % ph[1].n - ph[1].before;
		bool hit = inside[1] >= 0 && inside[1] < c->x->shape[1 + across] && inside[0] >= 0 && (c->ns == 1 || inside[0] < c->x->shape[1]);
		int64_t row = c->ns == 2 ? at[0] * c->x->shape[1] + inside[0] : at[0];
		const float *x = (const float *)c->x->data + (row * c->x->shape[1 + across] + inside[1]) * in;
		const float *w = (const float *)c->w->data + start + (o / PANEL * ph[0].n * ph[1].n + a) * in * PANEL + o % PANEL;
		for (int64_t i = 0; hit && i < in; i++) sum += x[i] * w[i * PANEL];
	}
	return sum;
}

static bool eval_raw_convspread(LoopFrame *f, const Node *n)
{
	ConvRows c = {.n = n, .ns = n->nints / 3, .first = 1, .element = convspread_element};
	return conv_rows(f, &c);
}

static bool eval_raw_conv(LoopFrame *f, const Node *n)
{
	return conv_of(f, n, conv_element);
}

static bool eval_raw_depthwise(LoopFrame *f, const Node *n)
{
	return conv_of(f, n, depthwise_element);
}

/* F(4,3): result tiles of 4x4 from 6x6 of the input. Weight [36, panels, I, 32], transformed. In double: close to the kernel, not equal. */
static float winograd_element(const ConvRows *c, const int64_t *at)
{
	static const double BT[6][6] = {{4, 0, -5, 0, 1, 0},  {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0},
	                                {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}};
	static const double AT[4][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}};
	int64_t in = c->x->shape[3], panels = c->w->shape[1], top = at[1] / 4 * 4 - c->n->ints[0], left = at[2] / 4 * 4 - c->n->ints[1];
	const double *ay = AT[at[1] % 4], *ax = AT[at[2] % 4];
	const float *w = c->w->data, *x = c->x->data;
	double sum = 0;
	for (int64_t i = 0; i < in; i++)
		for (int a = 0; a < 6; a++)
			for (int b = 0; b < 6; b++) {
				double v = 0;
				for (int p = 0; p < 6; p++)
					for (int q = 0; q < 6; q++) {
						int64_t h = top + p, s = left + q;
						if (h < 0 || h >= c->x->shape[1] || s < 0 || s >= c->x->shape[2]) continue;
						v += BT[a][p] * BT[b][q] * (double)x[((at[0] * c->x->shape[1] + h) * c->x->shape[2] + s) * in + i];
					}
				sum += ay[a] * ax[b] * v * (double)w[(((6 * a + b) * panels + at[3] / PANEL) * in + i) * PANEL + at[3] % PANEL];
			}
	return (float)sum;
}

static bool eval_raw_winograd(LoopFrame *f, const Node *n)
{
	ConvRows c = {.n = n, .ns = 2, .first = 1, .element = winograd_element};
	return conv_rows(f, &c);
}

/* [O, 3, 3, I] to [36, panels, I, 32] */
static bool eval_raw_winoweight(LoopFrame *f, const Node *n)
{
	Tensor *w, *r;
	if (!loop_eval_read(f, n->src, &w) || !tensor_like(f, n->buf, &r)) return false;
	int64_t in = w->shape[3];
	for (int64_t o = 0; o < w->shape[0]; o++)
		for (int64_t k = 0; k < 36 * in; k++) {
			int64_t i = k % in, a = k / in / 6, b = k / in % 6;
			double s = 0;
			for (int t = 0; t < 9; t++)
				s += wino_g[a][t / 3] * wino_g[b][t % 3] * (double)((const float *)w->data)[(o * 9 + (n->number ? 8 - t : t)) * in + i];
			((float *)r->data)[(((6 * a + b) * r->shape[1] + o / PANEL) * in + i) * PANEL + o % PANEL] = (float)s;
		}
	return loop_eval_write(f, n->buf, r);
}

/* y[i, k.., o] = sum over samples and positions of x[n, s * step + k * dilation - lo, i] g[n, s, o], in double: close to the kernel. */
static bool eval_raw_convweight(LoopFrame *f, const Node *n)
{
	Tensor *x, *g, *y;
	int ns = (n->nints - 1) / 3;
	const int64_t *step = n->ints, *lo = step + ns, *dil = lo + ns;
	if (!loop_eval_read(f, n->src, &x) || !loop_eval_read(f, n->src2, &g) || !tensor_like(f, n->buf, &y)) return false;
	int64_t in = x->shape[ns + 1], out = g->shape[ns + 1], positions = tensor_size(g) / (out ? out : 1);
	for (int64_t e = 0; e < tensor_size(y); e++) {
		int64_t o = e % out, rest = e / out, tap[MAX_RANK];
		double sum = 0;
		for (int i = ns - 1; i >= 0; i--) tap[i] = rest % y->shape[1 + i], rest /= y->shape[1 + i];
		for (int64_t p = 0; p < positions; p++) {
			int64_t at[MAX_RANK], q = p, linear;
			bool hit = true;
			for (int i = ns - 1; i >= 0; i--) {
				at[i] = q % g->shape[1 + i] * step[i] + tap[i] * dil[i] - lo[i];
				q /= g->shape[1 + i];
				hit &= at[i] >= 0 && at[i] < x->shape[1 + i];
			}
			linear = q; /* the sample */
			for (int i = 0; i < ns; i++) linear = linear * x->shape[1 + i] + at[i];
			if (hit) sum += (double)((const float *)x->data)[linear * in + rest] * (double)((const float *)g->data)[p * out + o];
		}
		((float *)y->data)[e] = (float)sum;
	}
	return loop_eval_write(f, n->buf, y);
}

/* --- attention --- */
/* Sizes and distances as lower_attention.c lists them: of batches, heads and rows of q, k, v, the result and the mask. */
typedef struct Attention {
	int64_t batch, heads, kv_heads, queries, keys, depth, apart[5][3];
	const float *q, *k, *v, *sinks;
	const Tensor *mask;
	float *out;
	int kind; /* 0 no mask, 1 causal, 2 bool, 3 numbers to add */
	double scale;
} Attention;

static double attention_score(const Attention *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
	const float *q = a->q + b * a->apart[0][0] + h * a->apart[0][1] + i * a->apart[0][2];
	const float *k = a->k + b * a->apart[1][0] + h / (a->heads / a->kv_heads) * a->apart[1][1] + j * a->apart[1][2];
	int64_t m = b * a->apart[4][0] + h * a->apart[4][1] + i * a->apart[4][2] + j;
	double s = 0;
	if (a->kind == 1 && j > i + a->keys - a->queries) return -INFINITY;
	if (a->kind == 2 && !((const bool *)a->mask->data)[m])
		return -3.4028234663852886e38; /* the least f32: a row without any true sees all */
	for (int64_t d = 0; d < a->depth; d++) s += (double)q[d] * (double)k[d];
	return s * a->scale + (a->kind == 3 ? (double)((const float *)a->mask->data)[m] : 0);
}

/* In double: close to the kernel, which keeps a running maximum. */
static void attention_row(const Attention *a, int64_t b, int64_t h, int64_t i, double *score)
{
	float *out = a->out + b * a->apart[3][0] + h * a->apart[3][1] + i * a->apart[3][2];
	const float *v = a->v + b * a->apart[2][0] + h / (a->heads / a->kv_heads) * a->apart[2][1];
	double most = a->sinks ? (double)a->sinks[h] : -INFINITY, sum;
	for (int64_t j = 0; j < a->keys; j++) {
		score[j] = attention_score(a, b, h, i, j);
		if (!(score[j] <= most)) most = score[j];
	}
	sum = a->sinks ? exp((double)a->sinks[h] - most) : 0;
	for (int64_t j = 0; j < a->keys; j++) sum += score[j] = exp(score[j] - most);
	for (int64_t d = 0; d < a->depth; d++) {
		double x = 0;
		for (int64_t j = 0; j < a->keys; j++) x += score[j] * (double)v[j * a->apart[2][2] + d];
		out[d] = a->keys ? (float)(x / sum) : 0;
	}
}

static bool eval_raw_attention(LoopFrame *f, const Node *n)
{
	Tensor *use[5], *out;
	Attention a = {.kind = (int)n->number, .scale = scalar_to_double(scalar_load(DT_f32, f->node[n->arg[0]->id].raw))};
	int64_t *size[6] = {&a.batch, &a.heads, &a.kv_heads, &a.queries, &a.keys, &a.depth};
	for (int i = 0; i < 6; i++)
		if (!loop_eval_position(f, &n->index[i], size[i])) return false;
	for (int i = 0; i < 15; i++)
		if (!loop_eval_position(f, &n->index[6 + i], &a.apart[i / 3][i % 3])) return false;
	for (int i = 0; i < n->nuses; i++)
		if (!loop_eval_read(f, n->uses[i], &use[i])) return false;
	if (!tensor_like(f, n->buf, &out)) return false;
	a.q = use[0]->data, a.k = use[1]->data, a.v = use[2]->data, a.out = out->data;
	a.mask = a.kind > 1 ? use[3] : NULL;
	a.sinks = n->nuses > 3 + (a.kind > 1) ? use[3 + (a.kind > 1)]->data : NULL;
	double *score = NEW_ARRAY(f->e->scratch, double, a.keys + 1);
	for (int64_t r = 0; r < a.batch * a.heads * a.queries; r++)
		attention_row(&a, r / a.queries / a.heads, r / a.queries % a.heads, r % a.queries, score);
	return loop_eval_write(f, n->buf, out);
}

/* --- products with packed rows --- */
static double number_at(const Tensor *t, int64_t i)
{
	return scalar_to_double(tensor_get(t, i));
}

static bool eval_raw_quantized_product(LoopFrame *f, const Node *n)
{
	Tensor *use[4], *out;
	int64_t size[3];
	for (int i = 0; i < 3; i++)
		if (!loop_eval_position(f, &n->index[i], &size[i])) return false;
	for (int i = 0; i < 4; i++)
		if (!loop_eval_read(f, n->uses[i], &use[i])) return false;
	if (!tensor_like(f, n->buf, &out)) return false;
	const uint32_t *w = use[1]->data;
	int64_t rows = size[0], of = size[1], k = size[2], groups = k / n->number, words = use[1]->shape[1], bits = words * 32 / k;
	double *row = NEW_ARRAY(f->e->scratch, double, k);
	for (int64_t i = 0; i < of; i++) {
		for (int64_t j = 0; j < k; j++) {
			const uint32_t *at = w + i * words + j * bits / 32;
			int64_t in = j * bits % 32, g = i * groups + j / n->number;
			uint32_t q = at[0] >> in | (in + bits > 32 ? at[1] << (32 - in) : 0);
			row[j] = number_at(use[2], g) * (q & ((1u << bits) - 1)) + number_at(use[3], g);
		}
		for (int64_t r = 0; r < rows; r++) {
			double sum = 0;
			for (int64_t j = 0; j < k; j++) sum += number_at(use[0], r * k + j) * row[j];
			tensor_set(out, r * of + i, scalar_from_double(sum, out->dtype));
		}
	}
	return loop_eval_write(f, n->buf, out);
}

/* --- the table
 * ------------------------------------------------------------------------------------------------------------------------------ */
bool loop_eval_raw(LoopFrame *f, const Node *n)
{
	static bool (*const raws[])(LoopFrame * f, const Node *n) = {
#define RAW(word, gives, writes, scratch, cut, flops, text, doc) eval_raw_##word,
#include "loop.def"
	};
	for (int i = 0; i < nloop_raws; i++)
		if (!strcmp(loop_raws[i].word, n->mode)) return raws[i](f, n);
	return loop_eval_fail(f, "there is no library call `%s`", n->mode);
}
