/* Attention: softmax(scale q k^T + mask) v, row tiles of queries against blocks of keys, with a running maximum.
 *
 * For one head of keys and values, keys are turned once into panels [depth][2 vectors of keys]; then each tile of MX_TILE_ROWS queries goes
 * over blocks of MX_KEY_BLOCK keys: scores of the block (one row of the tile under the other, MX_TILE_STRIDE apart), mask, exp(s - m) with
 * the largest score m so far, rows of the result scaled by exp(old m - m), plus p v. Blocks that a causal mask hides are not visited. All
 * query heads of a group use the same panels. Where a group has few queries for a head (decoding), keys are read as they lie instead.
 * One micro-kernel multiplies both q k^T and p v: a named accumulator for each of its 2 * MX_TILE_ROWS vectors, which stays in a register.
 *
 * Copied definition by definition into emitted C, like vector.h. The size of the scratch is computed in passes/lower_attention.c, which
 * knows that MX_TILE_ROWS is at most 14 and a panel has at most 32 keys. */
#ifndef MX_ATTENTION_H
#define MX_ATTENTION_H
#include "maths.h"
#include "fold.h"

/* @def MX_TILE_ROWS */
/* Rows of a tile and what is done for each: as many as leave registers for two vectors of the right operand and a broadcast. */
#if MX_W == 16
#define MX_TILE_ROWS 14
#define MX_EACH_ROW(R) R(0) R(1) R(2) R(3) R(4) R(5) R(6) R(7) R(8) R(9) R(10) R(11) R(12) R(13)
#else
#define MX_TILE_ROWS 6
#define MX_EACH_ROW(R) R(0) R(1) R(2) R(3) R(4) R(5)
#endif

/* @def MX_KEY_BLOCK */
/* Keys (or elements of a key) that a tile holds, and the distance of its rows, which is no power of two. */
#define MX_KEY_BLOCK 256

/* @def MX_TILE_STRIDE */
#define MX_TILE_STRIDE (MX_KEY_BLOCK + 16)

/* @def MX_PANEL */
/* Columns of a panel. */
#define MX_PANEL (2 * MX_W)

/* @def mx_tile_product */
/* c[i][0..MX_PANEL) = or += sum over k < n of a[i][k] b[k][..], rows of a MX_TILE_STRIDE apart. */
static void mx_tile_product(ptrdiff_t n, const float *a, const float *b, ptrdiff_t bstride, float *c, ptrdiff_t cstride, bool more)
{
#define MX_ZERO_ROW(i) mx_vf c##i##_0 = {0}, c##i##_1 = {0};
#define MX_LOAD_ROW(i)                                                                                                                     \
	c##i##_0 = mx_ld_f32(c + (i)*cstride);                                                                                                 \
	c##i##_1 = mx_ld_f32(c + (i)*cstride + MX_W);
#define MX_MULTIPLY_ROW(i)                                                                                                                 \
	x = mx_bc_f32(a[(i)*MX_TILE_STRIDE]);                                                                                                  \
	c##i##_0 += x * b0;                                                                                                                    \
	c##i##_1 += x * b1;
#define MX_STORE_ROW(i)                                                                                                                    \
	mx_st_f32(c + (i)*cstride, c##i##_0);                                                                                                  \
	mx_st_f32(c + (i)*cstride + MX_W, c##i##_1);
	MX_EACH_ROW(MX_ZERO_ROW)
	if (more) {
		MX_EACH_ROW(MX_LOAD_ROW)
	}
	MX_NO_UNROLL
	for (ptrdiff_t k = 0; k < n; k++, a++, b += bstride) {
		const mx_vf b0 = mx_ld_f32(b), b1 = mx_ld_f32(b + MX_W);
		mx_vf x;
		MX_PREFETCH(b + 12 * bstride);
		MX_PREFETCH(b + 12 * bstride + MX_W);
		MX_EACH_ROW(MX_MULTIPLY_ROW)
	}
	MX_EACH_ROW(MX_STORE_ROW)
}

/* @def mx_attention */
/* Sizes, and distances of batches, heads and rows (elements of a row are neighbours; a mask's distance is 0 where it is repeated).
 * mask: 0 none, 1 causal (the last query sees the last key), 2 bool (false: hidden), 3 numbers that are added. */
typedef struct mx_attention {
	ptrdiff_t batch, heads, kv_heads, queries, keys, depth, width;
	ptrdiff_t q[3], k[3], v[3], o[3], m[3];
	int mask;
	float scale;
} mx_attention;

/* @def mx_attention_mask */
/* Scores s[0..n) of query i against keys from `first` on: what the mask hides becomes the least number, and what lies beyond n keys -inf.
 */
MX_INLINE void mx_attention_mask(const mx_attention *t, float *s, ptrdiff_t n, ptrdiff_t i, ptrdiff_t first, const void *mask)
{
	ptrdiff_t seen = n, j = 0, end = (n + MX_PANEL - 1) / MX_PANEL * MX_PANEL;
	if (t->mask == 1 && i + t->keys - t->queries + 1 - first < n) seen = i + t->keys - t->queries + 1 - first;
	if (t->mask == 2) {
		const bool *m = (const bool *)mask + first;
		const mx_vf hidden = mx_bc_f32(-3.40282347e+38f);
		for (; j + MX_W <= n; j += MX_W) mx_st_f32(s + j, mx_sel(mx_ld_bool(m + j), mx_ld_f32(s + j), hidden));
		for (; j < n; j++) s[j] = m[j] ? s[j] : -3.40282347e+38f;
	} else if (t->mask == 3) {
		const float *m = (const float *)mask + first;
		for (; j + MX_W <= n; j += MX_W) mx_st_f32(s + j, mx_ld_f32(s + j) + mx_ld_f32(m + j));
		for (; j < n; j++) s[j] += m[j];
	}
	for (j = seen > 0 ? seen : 0; j < end; j++) s[j] = -INFINITY;
}

/* @def mx_attention_exp */
/* Scores become exp(s - m), m the largest so far; the row's sum goes on. What is to be done to the row's result: times the value given. */
MX_INLINE float mx_attention_exp(float *s, ptrdiff_t n, float *max, float *sum)
{
	mx_vf top = mx_bc_f32(*max), total = mx_bc_f32(0.0f);
	for (ptrdiff_t j = 0; j < n; j += MX_W) top = mx_pmax_vf(mx_ld_f32(s + j), top);
	const float m = mx_hpmax_vf(top), from = m > -INFINITY ? m : 0.0f, rescale = *max == m ? 1.0f : mx_exp_neg_f32(*max - from);
	for (ptrdiff_t j = 0; j < n; j += MX_PANEL) {
		const mx_vf e0 = mx_exp_neg_vf(mx_ld_f32(s + j) - from), e1 = mx_exp_neg_vf(mx_ld_f32(s + j + MX_W) - from);
		mx_st_f32(s + j, e0);
		mx_st_f32(s + j + MX_W, e1);
		total += e0 + e1;
	}
	*max = m;
	*sum = *sum * rescale + mx_hadd_vf(total);
	return rescale;
}

/* @def mx_attention_panels */
/* Keys as panels [depth][MX_PANEL keys], zeros beyond the last key. */
static void mx_attention_panels(const mx_attention *t, const float *k, float *panels)
{
	for (ptrdiff_t first = 0; first < t->keys; first += MX_PANEL, panels += t->depth * MX_PANEL)
		for (int half = 0; half < MX_PANEL; half += MX_W)
			for (ptrdiff_t d = 0; d < t->depth; d += MX_W) {
				const ptrdiff_t n = t->depth - d < MX_W ? t->depth - d : MX_W;
				mx_vf r[MX_W];
				for (ptrdiff_t j = 0; j < MX_W; j++) {
					const ptrdiff_t key = first + half + j;
					const float *row = k + key * t->k[2] + d;
					r[j] = key >= t->keys ? mx_bc_f32(0.0f) : n == MX_W ? mx_ld_f32(row) : mx_ldn_f32(row, n, 0.0f);
				}
				mx_transpose_vf(r);
				for (ptrdiff_t j = 0; j < n; j++) mx_st_f32(panels + (d + j) * MX_PANEL + half, r[j]);
			}
}

/* @def mx_attention_values */
/* Values with rows of t->width, zeros beyond depth. */
static void mx_attention_values(const mx_attention *t, const float *v, float *to)
{
	for (ptrdiff_t j = 0; j < t->keys; j++, to += t->width) {
		memcpy(to, v + j * t->v[2], sizeof(float) * (size_t)t->depth);
		for (ptrdiff_t d = t->depth; d < t->width; d++) to[d] = 0.0f;
	}
}

/* @def mx_attention_tile */
/* Queries i .. i+rows of one head. room: the tile's queries, scores and result. */
static void mx_attention_tile(const mx_attention *t, const float *q, const float *panels, const float *v, ptrdiff_t vstride,
                              const char *mask, ptrdiff_t mask_row, const float *sink, float *o, ptrdiff_t i, ptrdiff_t rows, float *room)
{
	enum { TILE = MX_TILE_ROWS * MX_TILE_STRIDE };
	float *const p = room, *const qt = p + TILE, *const r = qt + (t->depth + MX_KEY_BLOCK - 1) / MX_KEY_BLOCK * TILE;
	float max[MX_TILE_ROWS], sum[MX_TILE_ROWS], rescale[MX_TILE_ROWS];
	ptrdiff_t end = t->keys;
	if (t->mask == 1 && i + rows + t->keys - t->queries < end) end = i + rows + t->keys - t->queries;
	for (ptrdiff_t j = 0; j < MX_TILE_ROWS; j++) {
		const float *row = q + (i + (j < rows ? j : rows - 1)) * t->q[2];
		for (ptrdiff_t d = 0; d < t->depth; d++) qt[d / MX_KEY_BLOCK * TILE + j * MX_TILE_STRIDE + d % MX_KEY_BLOCK] = t->scale * row[d];
		max[j] = sink ? *sink : -INFINITY;
		sum[j] = sink ? 1.0f : 0.0f;
	}
	if (end <= 0) memset(r, 0, sizeof(float) * (size_t)(MX_TILE_ROWS * t->width));
	for (ptrdiff_t first = 0; first < end; first += MX_KEY_BLOCK) {
		const ptrdiff_t n = end - first < MX_KEY_BLOCK ? end - first : MX_KEY_BLOCK, all = (n + MX_PANEL - 1) / MX_PANEL * MX_PANEL;
		bool moved = false;
		for (ptrdiff_t j = 0; j < n; j += MX_PANEL)
			for (ptrdiff_t d = 0; d < t->depth; d += MX_KEY_BLOCK)
				mx_tile_product(t->depth - d < MX_KEY_BLOCK ? t->depth - d : MX_KEY_BLOCK, qt + d / MX_KEY_BLOCK * TILE,
				                panels + (first + j) * t->depth + d * MX_PANEL, MX_PANEL, p + j, MX_TILE_STRIDE, d > 0);
		for (ptrdiff_t j = 0; j < rows; j++) {
			float *const s = p + j * MX_TILE_STRIDE;
			mx_attention_mask(t, s, n, i + j, first, t->mask > 1 ? mask + (i + j) * mask_row : NULL);
			rescale[j] = mx_attention_exp(s, all, &max[j], &sum[j]);
			if (first > 0 && rescale[j] != 1.0f) moved = true;
		}
		for (ptrdiff_t j = 0; moved && j < rows; j++)
			for (ptrdiff_t d = 0; d < t->width; d += MX_PANEL) {
				float *const x = r + j * t->width + d;
				mx_st_f32(x, mx_ld_f32(x) * rescale[j]);
				mx_st_f32(x + MX_W, mx_ld_f32(x + MX_W) * rescale[j]);
			}
		for (ptrdiff_t d = 0; d < t->width; d += MX_PANEL)
			mx_tile_product(n, p, v + first * vstride + d, vstride, r + d, t->width, first > 0);
	}
	for (ptrdiff_t j = 0; j < rows; j++) {
		const float by = sum[j] == 0.0f && t->keys == 0 ? 0.0f : 1.0f / sum[j];
		for (ptrdiff_t d = 0; d < t->depth; d++) o[(i + j) * t->o[2] + d] = r[j * t->width + d] * by;
	}
}

/* @def mx_attention_few */
/* One query against keys and values as they lie. room: a block of scores, the query, the result. */
static void mx_attention_few(const mx_attention *t, const float *q, const float *k, const float *v, const void *mask, const float *sink,
                             float *o, ptrdiff_t i, float *room)
{
	float *const s = room, *const x = s + MX_KEY_BLOCK, *const r = x + t->width;
	float max = sink ? *sink : -INFINITY, sum = sink ? 1.0f : 0.0f;
	const ptrdiff_t end = t->mask == 1 ? i + 1 + t->keys - t->queries : t->keys;
	for (ptrdiff_t d = 0; d < t->width; d++) x[d] = d < t->depth ? t->scale * q[d] : 0.0f;
	memset(r, 0, sizeof(float) * (size_t)t->width);
	for (ptrdiff_t first = 0; first < end; first += MX_KEY_BLOCK) {
		const ptrdiff_t n = end - first < MX_KEY_BLOCK ? end - first : MX_KEY_BLOCK, whole = t->depth / MX_W * MX_W,
		                rest = t->depth - whole;
		const float *row = k + first * t->k[2];
		for (ptrdiff_t j = 0; j < n; j++, row += t->k[2]) {
			mx_vf a = mx_bc_f32(0.0f), b = mx_bc_f32(0.0f);
			ptrdiff_t d = 0;
			MX_PREFETCH(row + 8 * t->k[2]);
			for (; d + MX_PANEL <= whole; d += MX_PANEL) {
				a += mx_ld_f32(x + d) * mx_ld_f32(row + d);
				b += mx_ld_f32(x + d + MX_W) * mx_ld_f32(row + d + MX_W);
			}
			if (d < whole) a += mx_ld_f32(x + d) * mx_ld_f32(row + d);
			if (rest) b += mx_ld_f32(x + whole) * mx_ldn_f32(row + whole, rest, 0.0f);
			s[j] = mx_hadd_vf(a + b);
		}
		mx_attention_mask(t, s, n, i, first, mask);
		const float rescale = mx_attention_exp(s, (n + MX_PANEL - 1) / MX_PANEL * MX_PANEL, &max, &sum);
		for (ptrdiff_t d = 0; d < t->depth; d += 4 * MX_W) {
			const ptrdiff_t left = t->depth - d;
			if (left >= 4 * MX_W) {
				mx_vf a0 = mx_ld_f32(r + d) * rescale, a1 = mx_ld_f32(r + d + MX_W) * rescale, a2 = mx_ld_f32(r + d + 2 * MX_W) * rescale,
				      a3 = mx_ld_f32(r + d + 3 * MX_W) * rescale;
				const float *value = v + first * t->v[2] + d;
				for (ptrdiff_t j = 0; j < n; j++, value += t->v[2]) {
					const mx_vf w = mx_bc_f32(s[j]);
					a0 += w * mx_ld_f32(value);
					a1 += w * mx_ld_f32(value + MX_W);
					a2 += w * mx_ld_f32(value + 2 * MX_W);
					a3 += w * mx_ld_f32(value + 3 * MX_W);
				}
				mx_st_f32(r + d, a0);
				mx_st_f32(r + d + MX_W, a1);
				mx_st_f32(r + d + 2 * MX_W, a2);
				mx_st_f32(r + d + 3 * MX_W, a3);
				continue;
			}
			for (ptrdiff_t c = d; c < t->depth; c += MX_W) {
				const ptrdiff_t lanes = t->depth - c < MX_W ? t->depth - c : MX_W;
				const float *value = v + first * t->v[2] + c;
				mx_vf a = mx_ld_f32(r + c) * rescale;
				for (ptrdiff_t j = 0; j < n; j++, value += t->v[2])
					a += mx_bc_f32(s[j]) * (lanes == MX_W ? mx_ld_f32(value) : mx_ldn_f32(value, lanes, 0.0f));
				mx_st_f32(r + c, a);
			}
		}
	}
	const float by = sum == 0.0f && t->keys == 0 ? 0.0f : 1.0f / sum;
	for (ptrdiff_t d = 0; d < t->depth; d++) o[d] = r[d] * by;
}

/* @def mx_attend */
/* Queries first .. end of batch * heads * queries; a tile of them is computed where it begins. sinks: one score for each head, or NULL. */
static void mx_attend(const mx_attention *t, const float *q, const float *k, const float *v, const void *mask, size_t mask_bytes,
                      const float *sinks, float *o, float *room, ptrdiff_t first, ptrdiff_t end)
{
	const ptrdiff_t groups = t->heads / t->kv_heads, tile = groups * t->queries < 6 ? 0 : MX_TILE_ROWS;
	const bool pad = t->depth % MX_PANEL != 0;
	mx_attention u = *t;
	u.width = (t->depth + MX_PANEL - 1) / MX_PANEL * MX_PANEL;
	float *const values = room + (t->keys + MX_PANEL - 1) / MX_PANEL * MX_PANEL * t->depth;
	float *const tiles = values + (pad ? t->keys * u.width : 0);
	const ptrdiff_t each = groups * t->queries; /* queries of a head of keys */
	for (ptrdiff_t at = first < end ? first / each : 0; at * each < end; at++) {
		const ptrdiff_t b = at / t->kv_heads, h = at % t->kv_heads;
		const float *kh = k + b * t->k[0] + h * t->k[1], *vh = v + b * t->v[0] + h * t->v[1];
		if (tile) mx_attention_panels(&u, kh, room);
		if (tile && pad) mx_attention_values(&u, vh, values);
		for (ptrdiff_t g = h * groups; g < (h + 1) * groups; g++) {
			const float *qh = q + b * t->q[0] + g * t->q[1], *sink = sinks ? sinks + g : NULL;
			const char *mh = mask ? (const char *)mask + (ptrdiff_t)mask_bytes * (b * t->m[0] + g * t->m[1]) : NULL;
			float *oh = o + b * t->o[0] + g * t->o[1];
			const ptrdiff_t mrow = (ptrdiff_t)mask_bytes * t->m[2], from = first - (b * t->heads + g) * t->queries,
			                to = end - (b * t->heads + g) * t->queries; /* among the queries of this head */
			if (!tile) {
				for (ptrdiff_t i = from > 0 ? from : 0; i < t->queries && i < to; i++)
					mx_attention_few(&u, qh + i * t->q[2], kh, vh, mh ? mh + i * mrow : NULL, sink, oh + i * t->o[2], i, room);
				continue;
			}
			/* tiles of nearly equal size, none of them thin */
			const ptrdiff_t n = (t->queries + tile - 1) / tile;
			for (ptrdiff_t x = 0; x < n; x++) {
				const ptrdiff_t i = x * t->queries / n;
				if (i >= from && i < to)
					mx_attention_tile(&u, qh, room, pad ? values : vh, pad ? u.width : t->v[2], mh, mrow, sink, oh, i,
					                  (x + 1) * t->queries / n - i, tiles);
			}
		}
	}
}

/* @end */
#endif
