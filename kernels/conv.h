/* Convolutions of f32 with channels last, row by row of the result; every sum in row-major order of the taps, channels innermost.
 *
 * A weight comes packed: panels of 32 results, [groups][Q/32][taps][I][32], results past Q zero, so that a micro-kernel of m positions
 * times two vectors of results streams through it. Neighbouring positions of a row read pixels that lie step*C apart, and the taps of a
 * row of the kernel (without dilation) one run of kw*C elements: the input is never copied or padded. Taps outside are left out: rows of
 * taps by their range; positions whose taps cross the left or right border are done one by one with more results at a time.
 *
 * Like support.h this file is copied definition by definition into emitted C. Shapes are constants there, and everything below is
 * inlined where the C compiler sees them; the _any forms serve shapes that are known at run time. */
#ifndef MX_CONV_H
#define MX_CONV_H
#include "fold.h"

/* @def MX_CONV_M */
/* Positions of a tile: with two vectors of results, one of the weight's and a factor they fill the registers. */
#if MX_W == 16
#define MX_CONV_M 14
#elif MX_W == 4 && defined __aarch64__
#define MX_CONV_M 12
#elif MX_W > 1
#define MX_CONV_M 6
#else
#define MX_CONV_M 4
#endif

/* @def mx_conv */
typedef struct mx_conv {
	ptrdiff_t d, h, w, c;    /* the input: three axes (1 where there are fewer), channels */
	ptrdiff_t od, oh, ow, o; /* the result */
	ptrdiff_t kd, kh, kw;    /* taps */
	ptrdiff_t sd, sh, sw;    /* steps */
	ptrdiff_t pd, ph, pw;    /* elements before the first */
	ptrdiff_t dd, dh, dw;    /* distances of taps */
	ptrdiff_t groups;
	ptrdiff_t yw; /* distance of neighbouring positions in the result's row, in positions: more than 1 for one phase of a spread input */
} mx_conv;

/* @def mx_taps */
/* The taps of a tile: n of them on each axis, their distances in the input and in the weight, and the run of products at each. */
typedef struct mx_taps {
	ptrdiff_t nd, nh, nw, xd, xh, xw, wd, wh, ww, run;
} mx_taps;

/* @def mx_conv_narrow */
/* m positions, xs elements apart, times MX_W of the n results (n may be less): y[i * ys + j]. */
MX_INLINE void mx_conv_narrow(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t ys,
                              ptrdiff_t n)
{
	mx_vf c[MX_CONV_M];
	MX_UNROLL(14) for (int i = 0; i < m; i++) c[i] = mx_bc_f32(0.0f);
	MX_NO_UNROLL for (ptrdiff_t d = 0; d < t->nd; d++) MX_NO_UNROLL for (ptrdiff_t h = 0; h < t->nh; h++)
	    MX_NO_UNROLL for (ptrdiff_t j = 0; j < t->nw; j++)
	{
		const float *a = x + d * t->xd + h * t->xh + j * t->xw, *b = w + d * t->wd + h * t->wh + j * t->ww;
		MX_NO_UNROLL for (ptrdiff_t k = 0; k < t->run; k++, b += 32)
		{
			const float *p = a + k;
			mx_vf b0 = mx_ld_f32(b);
			MX_KEEP(b0);
			MX_FRESH(p);
			MX_UNROLL(14) for (int i = 0; i < m; i++) c[i] = c[i] + mx_bc_f32(p[i * xs]) * b0;
		}
	}
	if (n >= MX_W) {
		MX_UNROLL(14) for (int i = 0; i < m; i++) mx_st_f32(y + i * ys, c[i]);
	} else {
		MX_UNROLL(14) for (int i = 0; i < m; i++)
		{
			MX_KEEP(c[i]); /* until here, not in the memory that it is stored through */
			mx_stn_f32(y + i * ys, c[i], n);
		}
	}
}

/* @def mx_conv_tile */
/* The same with 2 * MX_W results. */
MX_INLINE void mx_conv_tile(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t ys,
                            ptrdiff_t n)
{
	mx_vf c[MX_CONV_M][2];
	MX_UNROLL(14) for (int i = 0; i < m; i++) c[i][0] = c[i][1] = mx_bc_f32(0.0f);
	MX_NO_UNROLL for (ptrdiff_t d = 0; d < t->nd; d++) MX_NO_UNROLL for (ptrdiff_t h = 0; h < t->nh; h++)
	    MX_NO_UNROLL for (ptrdiff_t j = 0; j < t->nw; j++)
	{
		const float *a = x + d * t->xd + h * t->xh + j * t->xw, *b = w + d * t->wd + h * t->wh + j * t->ww;
		MX_NO_UNROLL for (ptrdiff_t k = 0; k < t->run; k++, b += 32)
		{
			const float *p = a + k;
			mx_vf b0 = mx_ld_f32(b), b1 = mx_ld_f32(b + MX_W);
			MX_KEEP(b0);
			MX_KEEP(b1);
			MX_FRESH(p);
			MX_UNROLL(14) for (int i = 0; i < m; i++)
			{
				const mx_vf f = mx_bc_f32(p[i * xs]);
				c[i][0] = c[i][0] + f * b0;
				c[i][1] = c[i][1] + f * b1;
			}
		}
	}
	if (n >= 2 * MX_W) {
		MX_UNROLL(14) for (int i = 0; i < m; i++)
		{
			mx_st_f32(y + i * ys, c[i][0]);
			mx_st_f32(y + i * ys + MX_W, c[i][1]);
		}
	} else {
		for (int i = 0; i < m; i++) {
			mx_stn_f32(y + i * ys, c[i][0], n < MX_W ? n : MX_W);
			if (n > MX_W) mx_stn_f32(y + i * ys + MX_W, c[i][1], n - MX_W);
		}
	}
}

/* @def mx_conv_panel */
/* The same for all results of a panel. */
MX_INLINE void mx_conv_panel(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t ys,
                             ptrdiff_t n)
{
	ptrdiff_t j = 0;
	for (; j < 32 && n - j > MX_W; j += 2 * MX_W) mx_conv_tile(m, t, x, xs, w + j, y + j, ys, n - j);
	if (j < 32 && j < n) mx_conv_narrow(m, t, x, xs, w + j, y + j, ys, n - j);
}

/* @def mx_conv_of */
MX_INLINE void mx_conv_of(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t ys, ptrdiff_t n)
{
	switch (m) {
	case 1: mx_conv_panel(1, t, x, xs, w, y, ys, n); break;
	case 2: mx_conv_panel(2, t, x, xs, w, y, ys, n); break;
	case 3: mx_conv_panel(3, t, x, xs, w, y, ys, n); break;
	case 4: mx_conv_panel(4, t, x, xs, w, y, ys, n); break;
#if MX_CONV_M > 4
	case 5: mx_conv_panel(5, t, x, xs, w, y, ys, n); break;
	case 6: mx_conv_panel(6, t, x, xs, w, y, ys, n); break;
#endif
#if MX_CONV_M > 6
	case 7: mx_conv_panel(7, t, x, xs, w, y, ys, n); break;
	case 8: mx_conv_panel(8, t, x, xs, w, y, ys, n); break;
	case 9: mx_conv_panel(9, t, x, xs, w, y, ys, n); break;
	case 10: mx_conv_panel(10, t, x, xs, w, y, ys, n); break;
	case 11: mx_conv_panel(11, t, x, xs, w, y, ys, n); break;
	case 12: mx_conv_panel(12, t, x, xs, w, y, ys, n); break;
#endif
#if MX_CONV_M > 12
	case 13: mx_conv_panel(13, t, x, xs, w, y, ys, n); break;
	case 14: mx_conv_panel(14, t, x, xs, w, y, ys, n); break;
#endif
	default: break;
	}
}

/* @def mx_conv_any */
/* mx_conv_of for numbers of positions that are known at run time. */
#ifdef __GNUC__
__attribute__((noinline))
#endif
static void
mx_conv_any(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t ys, ptrdiff_t n)
{
	mx_conv_of(m, t, x, xs, w, y, ys, n);
}

/* @def mx_conv_edge */
/* One position times nv vectors of results from panel w on; panels are ps elements apart. */
MX_INLINE void mx_conv_edge(const int nv, const mx_taps *t, const float *x, const float *w, ptrdiff_t ps, float *y, ptrdiff_t n)
{
	mx_vf c[8];
	MX_UNROLL(8) for (int v = 0; v < nv; v++) c[v] = mx_bc_f32(0.0f);
	MX_NO_UNROLL for (ptrdiff_t d = 0; d < t->nd; d++) MX_NO_UNROLL for (ptrdiff_t h = 0; h < t->nh; h++)
	    MX_NO_UNROLL for (ptrdiff_t j = 0; j < t->nw; j++)
	{
		const float *a = x + d * t->xd + h * t->xh + j * t->xw, *b = w + d * t->wd + h * t->wh + j * t->ww;
		MX_NO_UNROLL for (ptrdiff_t k = 0; k < t->run; k++, b += 32)
		{
			const mx_vf f = mx_bc_f32(a[k]);
			MX_UNROLL(8) for (int v = 0; v < nv; v++) c[v] = c[v] + f * mx_ld_f32(b + v * MX_W / 32 * ps + v * MX_W % 32);
		}
	}
	if (n >= nv * MX_W) {
		MX_UNROLL(8) for (int v = 0; v < nv; v++) mx_st_f32(y + v * MX_W, c[v]);
	} else {
		for (int v = 0; v < nv; v++)
			if (n > v * MX_W) mx_stn_f32(y + v * MX_W, c[v], n - v * MX_W < MX_W ? n - v * MX_W : MX_W);
	}
}

/* @def mx_conv_position */
/* All n results of one position. */
MX_INLINE void mx_conv_position(const mx_taps *t, const float *x, const float *w, ptrdiff_t ps, float *y, ptrdiff_t n)
{
	const ptrdiff_t all = (n + 31) / 32 * 32; /* with the zeros of the last panel */
	ptrdiff_t j = 0;
#if MX_W >= 4
	for (; j + 8 * MX_W <= all; j += 8 * MX_W) mx_conv_edge(8, t, x, w + j / 32 * ps + j % 32, ps, y + j, n - j);
#endif
	for (; j + 4 * MX_W <= all; j += 4 * MX_W) mx_conv_edge(4, t, x, w + j / 32 * ps + j % 32, ps, y + j, n - j);
	for (; n - j > MX_W; j += 2 * MX_W) mx_conv_edge(2, t, x, w + j / 32 * ps + j % 32, ps, y + j, n - j);
	if (j < n) mx_conv_edge(1, t, x, w + j / 32 * ps + j % 32, ps, y + j, n - j);
}

/* @def mx_conv_range */
/* Taps *k .. of n that position p's window, at distance d from first, has inside 0..extent. */
MX_INLINE ptrdiff_t mx_conv_range(ptrdiff_t first, ptrdiff_t n, ptrdiff_t d, ptrdiff_t extent, ptrdiff_t *k)
{
	ptrdiff_t lo = first < 0 ? (-first + d - 1) / d : 0, hi = first >= extent ? 0 : (extent - 1 - first) / d + 1;
	if (hi > n) hi = n;
	*k = lo;
	return hi > lo ? hi - lo : 0;
}

/* @def mx_conv_rows */
/* Rows r0 .. r1 - 1 (of od * oh) of one sample's result; y is row r0. Panel by panel, so that a panel's weights serve all of the rows. */
MX_INLINE void mx_conv_rows(const mx_conv *s, const bool fixed, const float *x, const float *w, float *y, ptrdiff_t r0, ptrdiff_t r1)
{
	const ptrdiff_t ci = s->c / s->groups, q = s->o / s->groups, taps = s->kd * s->kh * s->kw, ps = taps * ci * 32, px = s->sw * s->c,
	                yo = s->yw * s->o;
	const bool whole = s->dw == 1 && s->groups == 1; /* the taps of a kernel row are one run */
	/* positions i0 .. i1 - 1 have all taps of a kernel row inside */
	const ptrdiff_t room = s->w - 1 - (s->kw - 1) * s->dw + s->pw, last = room < 0 ? 0 : room / s->sw + 1;
	const ptrdiff_t i1 = last < s->ow ? last : s->ow, skip = s->pw > 0 ? (s->pw + s->sw - 1) / s->sw : 0, i0 = skip < i1 ? skip : i1;
	const ptrdiff_t tiles = (i1 - i0 + MX_CONV_M - 1) / MX_CONV_M, small = tiles ? (i1 - i0) / tiles : 0, big = i1 - i0 - small * tiles;
	for (ptrdiff_t g = 0; g < s->groups; g++) {
		const float *wg = w + g * ((q + 31) / 32) * ps;
		for (ptrdiff_t j = 0; j < q; j += 32) {
			for (ptrdiff_t r = r0; r < r1; r++) {
				const ptrdiff_t fd = r / s->oh * s->sd - s->pd, fh = r % s->oh * s->sh - s->ph;
				ptrdiff_t k, l;
				mx_taps t = {0,
				             0,
				             whole ? 1 : s->kw,
				             s->dd * s->h * s->w * s->c,
				             s->dh * s->w * s->c,
				             s->dw * s->c,
				             s->kh * s->kw * ci * 32,
				             s->kw * ci * 32,
				             ci * 32,
				             whole ? s->kw * ci : ci};
				t.nd = mx_conv_range(fd, s->kd, s->dd, s->d, &k);
				t.nh = mx_conv_range(fh, s->kh, s->dh, s->h, &l);
				const float *wr = wg + j / 32 * ps + k * t.wd + l * t.wh;
				const float *xr = x + (((fd + k * s->dd) * s->h + fh + l * s->dh) * s->w + i0 * s->sw - s->pw) * s->c + g * ci;
				float *yr = y + (r - r0) * s->ow * s->o + i0 * yo + g * q + j;
				for (ptrdiff_t i = 0; i < big; i++, xr += (small + 1) * px, yr += (small + 1) * yo) {
					if (fixed) mx_conv_of((int)small + 1, &t, xr, px, wr, yr, yo, q - j);
					else mx_conv_any((int)small + 1, &t, xr, px, wr, yr, yo, q - j);
				}
				for (ptrdiff_t i = big; i < tiles; i++, xr += small * px, yr += small * yo) {
					if (fixed) mx_conv_of((int)small, &t, xr, px, wr, yr, yo, q - j);
					else mx_conv_any((int)small, &t, xr, px, wr, yr, yo, q - j);
				}
			}
		}
		for (ptrdiff_t r = r0; i1 - i0 < s->ow && r < r1; r++) {
			const ptrdiff_t fd = r / s->oh * s->sd - s->pd, fh = r % s->oh * s->sh - s->ph;
			for (ptrdiff_t i = i0 > 0 ? 0 : i1; i < s->ow; i = i + 1 == i0 ? i1 : i + 1) {
				const ptrdiff_t fw = i * s->sw - s->pw;
				ptrdiff_t k, l, m;
				mx_taps t = {
				    0,       0, 0, s->dd * s->h * s->w * s->c, s->dh * s->w * s->c, s->dw * s->c, s->kh * s->kw * ci * 32, s->kw * ci * 32,
				    ci * 32, ci};
				t.nd = mx_conv_range(fd, s->kd, s->dd, s->d, &k);
				t.nh = mx_conv_range(fh, s->kh, s->dh, s->h, &l);
				t.nw = mx_conv_range(fw, s->kw, s->dw, s->w, &m);
				const float *xr = x + (((fd + k * s->dd) * s->h + fh + l * s->dh) * s->w + fw + m * s->dw) * s->c + g * ci;
				mx_conv_position(&t, xr, wg + k * t.wd + l * t.wh + m * t.ww, ps, y + (r - r0) * s->ow * s->o + i * yo + g * q, q);
			}
		}
	}
}

/* ---- one channel to one channel ---- */

/* @def mx_depth_tile */
/* m positions, xs elements apart, of lanes .. MX_W - 1 of channels that lie c apart in the result and a tap's weight. */
MX_INLINE void mx_depth_tile(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t c,
                             ptrdiff_t lanes)
{
	mx_vf acc[8];
	MX_UNROLL(8) for (int i = 0; i < m; i++) acc[i] = mx_bc_f32(0.0f);
	for (ptrdiff_t d = 0; d < t->nd; d++)
		for (ptrdiff_t h = 0; h < t->nh; h++) {
			const float *a = x + d * t->xd + h * t->xh, *b = w + d * t->wd + h * t->wh;
			for (ptrdiff_t j = 0; j < t->nw; j++, a += t->xw, b += t->ww) {
				const mx_vf f = lanes < MX_W ? mx_ldn_f32(b, lanes, 0.0f) : mx_ld_f32(b);
				MX_UNROLL(8)
				for (int i = 0; i < m; i++)
					acc[i] = acc[i] + (lanes < MX_W ? mx_ldn_f32(a + i * xs, lanes, 0.0f) : mx_ld_f32(a + i * xs)) * f;
			}
		}
	MX_UNROLL(8) for (int i = 0; i < m; i++)
	{
		if (lanes < MX_W) mx_stn_f32(y + i * c, acc[i], lanes);
		else mx_st_f32(y + i * c, acc[i]);
	}
}

/* @def mx_depth_tile3 */
/* The same with rows of three taps that are neighbours, as positions are: an element is loaded once for its three products. */
MX_INLINE void mx_depth_tile3(const int m, const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t c)
{
	mx_vf acc[8];
	MX_UNROLL(8) for (int i = 0; i < m; i++) acc[i] = mx_bc_f32(0.0f);
	for (ptrdiff_t d = 0; d < t->nd; d++)
		for (ptrdiff_t h = 0; h < t->nh; h++) {
			const float *a = x + d * t->xd + h * t->xh, *b = w + d * t->wd + h * t->wh;
			const mx_vf w0 = mx_ld_f32(b), w1 = mx_ld_f32(b + t->ww), w2 = mx_ld_f32(b + 2 * t->ww);
			MX_UNROLL(10) for (int i = 0; i < m + 2; i++)
			{
				mx_vf v = mx_ld_f32(a + i * xs);
				MX_KEEP(v);
				if (i < m) acc[i] = acc[i] + v * w0;
				if (i > 0 && i <= m) acc[i - 1] = acc[i - 1] + v * w1;
				if (i > 1) acc[i - 2] = acc[i - 2] + v * w2;
			}
		}
	MX_UNROLL(8) for (int i = 0; i < m; i++) mx_st_f32(y + i * c, acc[i]);
}

/* @def mx_depth_range */
/* n positions of a row whose taps are all those of t. */
MX_INLINE void mx_depth_range(const mx_taps *t, const float *x, ptrdiff_t xs, const float *w, float *y, ptrdiff_t c, ptrdiff_t lanes,
                              ptrdiff_t n)
{
	if (t->nw == 3 && xs == t->xw && lanes == MX_W)
		for (; n >= 8; n -= 8, x += 8 * xs, y += 8 * c) mx_depth_tile3(8, t, x, xs, w, y, c);
	for (; n >= 8; n -= 8, x += 8 * xs, y += 8 * c) mx_depth_tile(8, t, x, xs, w, y, c, lanes);
	if (n & 4) mx_depth_tile(4, t, x, xs, w, y, c, lanes), x += 4 * xs, y += 4 * c;
	if (n & 2) mx_depth_tile(2, t, x, xs, w, y, c, lanes), x += 2 * xs, y += 2 * c;
	if (n & 1) mx_depth_tile(1, t, x, xs, w, y, c, lanes);
}

/* @def mx_depth_rows */
/* Rows r0 .. r1 - 1 of one sample's result; w is [taps][c]. Channels are the lanes; those past the last whole vector are done with the last
 * MX_W channels once more. */
MX_INLINE void mx_depth_rows(const mx_conv *s, const float *x, const float *w, float *y, ptrdiff_t r0, ptrdiff_t r1)
{
	const ptrdiff_t c = s->c, px = s->sw * c, room = s->w - 1 - (s->kw - 1) * s->dw + s->pw, last = room < 0 ? 0 : room / s->sw + 1;
	const ptrdiff_t i1 = last < s->ow ? last : s->ow, skip = s->pw > 0 ? (s->pw + s->sw - 1) / s->sw : 0, i0 = skip < i1 ? skip : i1;
	const ptrdiff_t lanes = c < MX_W ? c : MX_W;
	for (ptrdiff_t r = r0; r < r1; r++) {
		const ptrdiff_t fd = r / s->oh * s->sd - s->pd, fh = r % s->oh * s->sh - s->ph;
		ptrdiff_t k, l;
		mx_taps t = {0, 0, 0, s->dd * s->h * s->w * c, s->dh * s->w * c, s->dw * c, s->kh * s->kw * c, s->kw * c, c, 1};
		t.nd = mx_conv_range(fd, s->kd, s->dd, s->d, &k);
		t.nh = mx_conv_range(fh, s->kh, s->dh, s->h, &l);
		const float *xr = x + ((fd + k * s->dd) * s->h + fh + l * s->dh) * s->w * c, *wr = w + k * t.wd + l * t.wh;
		float *yr = y + (r - r0) * s->ow * c;
		for (ptrdiff_t b = 0; b < c; b += MX_W) {
			const ptrdiff_t at = b + MX_W > c && c > MX_W ? c - MX_W : b;
			t.nw = s->kw;
			mx_depth_range(&t, xr + (i0 * s->sw - s->pw) * c + at, px, wr + at, yr + i0 * c + at, c, lanes, i1 - i0);
			for (ptrdiff_t i = i0 > 0 ? 0 : i1; i < s->ow; i = i + 1 == i0 ? i1 : i + 1) {
				ptrdiff_t m;
				t.nw = mx_conv_range(i * s->sw - s->pw, s->kw, s->dw, s->w, &m);
				mx_depth_tile(1, &t, xr + (i * s->sw - s->pw + m * s->dw) * c + at, px, wr + m * c + at, yr + i * c + at, c, lanes);
			}
		}
	}
}

/* ---- 3x3 by Winograd's F(4,3): 36 products for 16 results of a channel pair instead of 144 ---- */

/* @def mx_wino */
/* A group of rows of 4x4 tiles of the result: its transformed input v[36][tiles][c] and products p[36][tiles][o]. */
typedef struct mx_wino {
	ptrdiff_t rows, across, vs, ps; /* rows of tiles in a group, tiles in one; elements from one of the 36 planes to the next */
} mx_wino;

/* @def mx_wino_bt */
/* r[i * rs] = (B' d)[i] for a column of six. */
MX_INLINE void mx_wino_bt(const mx_vf *d, int ds, mx_vf *r, int rs)
{
	const mx_vf a = d[4 * ds] - 4.0f * d[2 * ds], b = d[3 * ds] - 4.0f * d[ds], c = d[4 * ds] - d[2 * ds], e = 2.0f * (d[3 * ds] - d[ds]);
	r[0] = 4.0f * d[0] - 5.0f * d[2 * ds] + d[4 * ds];
	r[rs] = a + b;
	r[2 * rs] = a - b;
	r[3 * rs] = c + e;
	r[4 * rs] = c - e;
	r[5 * rs] = 4.0f * d[ds] - 5.0f * d[3 * ds] + d[5 * ds];
}

/* @def mx_wino_input */
/* The 6x6 elements from (h, w) on of MX_W channels, transformed, one into each plane. */
MX_INLINE void mx_wino_input(const mx_conv *s, const bool inside, const float *x, ptrdiff_t h, ptrdiff_t w, float *v, ptrdiff_t vs)
{
	mx_vf t[36], r[6];
	MX_UNROLL(6) for (int j = 0; j < 6; j++)
	{
		MX_UNROLL(6)
		for (int i = 0; i < 6; i++)
			r[i] = inside || (h + i >= 0 && h + i < s->h && w + j >= 0 && w + j < s->w) ? mx_ld_f32(x + ((h + i) * s->w + w + j) * s->c)
			                                                                            : mx_bc_f32(0.0f);
		mx_wino_bt(r, 1, t + j, 6);
	}
	MX_UNROLL(6) for (int i = 0; i < 6; i++)
	{
		mx_wino_bt(t + 6 * i, 1, r, 1);
		MX_UNROLL(6) for (int j = 0; j < 6; j++) mx_st_f32(v + (6 * i + j) * vs, r[j]);
	}
}

/* @def mx_wino_at */
/* Row q of A' times six values that lie ms apart. */
MX_INLINE mx_vf mx_wino_at(const int q, const mx_vf m0, const mx_vf m1, const mx_vf m2, const mx_vf m3, const mx_vf m4, const mx_vf m5)
{
	if (q == 0) return m0 + (m1 + m2) + (m3 + m4);
	if (q == 1) return (m1 - m2) + 2.0f * (m3 - m4);
	if (q == 2) return (m1 + m2) + 4.0f * (m3 + m4);
	return (m1 - m2) + 8.0f * (m3 - m4) + m5;
}

/* @def mx_wino_output */
/* Row q of a tile's 4x4 results for MX_W channels; the first n of its four columns are stored. */
MX_INLINE void mx_wino_output(const int q, const float *p, ptrdiff_t ps, float *y, ptrdiff_t o, ptrdiff_t n)
{
	mx_vf z[6], r[4];
	MX_UNROLL(6)
	for (int j = 0; j < 6; j++)
		z[j] =
		    mx_wino_at(q, q == 0 ? mx_ld_f32(p + j * ps) : mx_bc_f32(0.0f), mx_ld_f32(p + (6 + j) * ps), mx_ld_f32(p + (12 + j) * ps),
		               mx_ld_f32(p + (18 + j) * ps), mx_ld_f32(p + (24 + j) * ps), q == 3 ? mx_ld_f32(p + (30 + j) * ps) : mx_bc_f32(0.0f));
	r[0] = mx_wino_at(0, z[0], z[1], z[2], z[3], z[4], z[5]);
	r[1] = mx_wino_at(1, z[0], z[1], z[2], z[3], z[4], z[5]);
	r[2] = mx_wino_at(2, z[0], z[1], z[2], z[3], z[4], z[5]);
	r[3] = mx_wino_at(3, z[0], z[1], z[2], z[3], z[4], z[5]);
	MX_UNROLL(4) for (int j = 0; j < 4; j++) if (j < n) mx_st_f32(y + j * o, r[j]);
}

/* @def mx_wino_row */
MX_INLINE void mx_wino_row(const mx_conv *s, const mx_wino *g, const int q, const float *p, float *y)
{
	for (ptrdiff_t i = 0; i < g->across; i++)
		for (ptrdiff_t o = 0; o < s->o; o += MX_W) mx_wino_output(q, p + i * s->o + o, g->ps, y + 4 * i * s->o + o, s->o, s->ow - 4 * i);
}

/* @def mx_wino_group */
/* Transformed input and products of the rows of tiles from first on. */
MX_INLINE void mx_wino_group(const mx_conv *s, const mx_wino *g, const float *x, const float *u, float *v, float *p, ptrdiff_t first)
{
	const ptrdiff_t left = (s->oh + 3) / 4 - first, rows = left < g->rows ? left : g->rows;
	for (ptrdiff_t r = 0; r < rows; r++) {
		const ptrdiff_t h = 4 * (first + r) - s->ph;
		for (ptrdiff_t i = 0; i < g->across; i++) {
			const ptrdiff_t w = 4 * i - s->pw;
			const bool inside = h >= 0 && h + 6 <= s->h && w >= 0 && w + 6 <= s->w;
			for (ptrdiff_t c = 0; c < s->c; c += MX_W) {
				if (inside) mx_wino_input(s, true, x + c, h, w, v + (r * g->across + i) * s->c + c, g->vs);
				else mx_wino_input(s, false, x + c, h, w, v + (r * g->across + i) * s->c + c, g->vs);
			}
		}
	}
	/* all of the group's tiles, also those that are past the last row: shapes stay constants */
	const ptrdiff_t all = g->rows * g->across, tiles = (all + MX_CONV_M - 1) / MX_CONV_M, small = all / tiles, big = all - small * tiles;
	const mx_taps t = {1, 1, 1, 0, 0, 0, 0, 0, 0, s->c};
	const ptrdiff_t panels = (s->o + 31) / 32;
	for (ptrdiff_t k = 0; k < 36; k++)
		for (ptrdiff_t j = 0; j < panels; j++, u += s->c * 32) {
			const float *a = v + k * g->vs;
			float *y = p + k * g->ps + 32 * j;
			for (ptrdiff_t i = 0; i < big; i++, a += (small + 1) * s->c, y += (small + 1) * s->o)
				mx_conv_of((int)small + 1, &t, a, s->c, u, y, s->o, s->o - 32 * j);
			for (ptrdiff_t i = big; i < tiles; i++, a += small * s->c, y += small * s->o)
				mx_conv_of((int)small, &t, a, s->c, u, y, s->o, s->o - 32 * j);
		}
}

/* @def mx_wino_rows */
/* Row r of one sample's result. The first row of a group computes the group, which stays in scratch for the others: rows come in order. */
MX_INLINE void mx_wino_rows(const mx_conv *s, const mx_wino *g, const float *x, const float *u, float *scratch, float *y, ptrdiff_t r)
{
	float *v = scratch, *p = scratch + 36 * g->vs;
	const ptrdiff_t t = r / 4;
	if (r % (4 * g->rows) == 0) mx_wino_group(s, g, x, u, v, p, t);
	p += t % g->rows * g->across * s->o;
	switch (r % 4) {
	case 0: mx_wino_row(s, g, 0, p, y); break;
	case 1: mx_wino_row(s, g, 1, p, y); break;
	case 2: mx_wino_row(s, g, 2, p, y); break;
	default: mx_wino_row(s, g, 3, p, y); break;
	}
}

/* @def mx_wino_weight */
/* w[o][3][3][c] as u[36][panels][c][32]: G w G', results past o zero. */
static inline void mx_wino_weight(const float *w, float *u, ptrdiff_t o, ptrdiff_t c, bool flip)
{
	static const float G[6][3] = {{0.25f, 0.0f, 0.0f},
	                              {-1.0f / 6.0f, -1.0f / 6.0f, -1.0f / 6.0f},
	                              {-1.0f / 6.0f, 1.0f / 6.0f, -1.0f / 6.0f},
	                              {1.0f / 24.0f, 1.0f / 12.0f, 1.0f / 6.0f},
	                              {1.0f / 24.0f, -1.0f / 12.0f, 1.0f / 6.0f},
	                              {0.0f, 0.0f, 1.0f}};
	const ptrdiff_t plane = (o + 31) / 32 * 32 * c;
	for (ptrdiff_t j = 0; j < (o + 31) / 32 * 32; j += MX_W)
		for (ptrdiff_t i = 0; i < c; i++) {
			float lane[9][MX_W];
			for (int k = 0; k < 9; k++)
				for (int l = 0; l < MX_W; l++) lane[k][l] = j + l < o ? w[((j + l) * 9 + (flip ? 8 - k : k)) * c + i] : 0.0f;
			mx_vf t[6][3];
			for (int a = 0; a < 6; a++)
				for (int k = 0; k < 3; k++)
					t[a][k] = mx_ld_f32(lane[k]) * G[a][0] + mx_ld_f32(lane[3 + k]) * G[a][1] + mx_ld_f32(lane[6 + k]) * G[a][2];
			float *to = u + (j / 32 * c + i) * 32 + j % 32;
			for (int a = 0; a < 6; a++)
				for (int b = 0; b < 6; b++) mx_st_f32(to + (6 * a + b) * plane, t[a][0] * G[b][0] + t[a][1] * G[b][1] + t[a][2] * G[b][2]);
		}
}

/* ---- the derivative by the weight: sums over positions of an element of the input times one of the cotangent ---- */

/* @def mx_grad_tile */
/* y[i * ys + j] += sum over rows x n positions of x[.. + i] * g[.. + j], for m channels and 2 * MX_W of the results that are left.
 * Positions lie px and 32 elements apart, rows xr and gr. */
MX_INLINE void mx_grad_tile(const int m, const float *x, ptrdiff_t xr, ptrdiff_t px, const float *g, ptrdiff_t gr, ptrdiff_t rows,
                            ptrdiff_t n, float *y, ptrdiff_t ys, ptrdiff_t left)
{
	mx_vf c[MX_CONV_M][2];
	MX_UNROLL(14) for (int i = 0; i < m; i++) c[i][0] = c[i][1] = mx_bc_f32(0.0f);
	MX_NO_UNROLL for (ptrdiff_t r = 0; r < rows; r++)
	{
		const float *a = x + r * xr, *b = g + r * gr;
		MX_NO_UNROLL for (ptrdiff_t k = 0; k < n; k++, a += px, b += 32)
		{
			mx_vf b0 = mx_ld_f32(b), b1 = mx_ld_f32(b + MX_W);
			MX_KEEP(b0);
			MX_KEEP(b1);
			MX_UNROLL(14) for (int i = 0; i < m; i++)
			{
				const mx_vf f = mx_bc_f32(a[i]);
				c[i][0] = c[i][0] + f * b0;
				c[i][1] = c[i][1] + f * b1;
			}
		}
	}
	if (left >= 2 * MX_W) {
		MX_UNROLL(14) for (int i = 0; i < m; i++)
		{
			mx_st_f32(y + i * ys, mx_ld_f32(y + i * ys) + c[i][0]);
			mx_st_f32(y + i * ys + MX_W, mx_ld_f32(y + i * ys + MX_W) + c[i][1]);
		}
	} else {
		const ptrdiff_t n0 = left < MX_W ? left : MX_W, n1 = left - n0;
		for (int i = 0; i < m; i++) {
			mx_stn_f32(y + i * ys, mx_ldn_f32(y + i * ys, n0, 0.0f) + c[i][0], n0);
			if (n1) mx_stn_f32(y + i * ys + n0, mx_ldn_f32(y + i * ys + n0, n1, 0.0f) + c[i][1], n1);
		}
	}
}

/* @def mx_grad_of */
MX_INLINE void mx_grad_of(const int m, const float *x, ptrdiff_t xr, ptrdiff_t px, const float *g, ptrdiff_t gr, ptrdiff_t rows,
                          ptrdiff_t n, float *y, ptrdiff_t ys, ptrdiff_t left)
{
	switch (m) {
	case 1: mx_grad_tile(1, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 2: mx_grad_tile(2, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 3: mx_grad_tile(3, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 4: mx_grad_tile(4, x, xr, px, g, gr, rows, n, y, ys, left); break;
#if MX_CONV_M > 4
	case 5: mx_grad_tile(5, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 6: mx_grad_tile(6, x, xr, px, g, gr, rows, n, y, ys, left); break;
#endif
#if MX_CONV_M > 6
	case 7: mx_grad_tile(7, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 8: mx_grad_tile(8, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 9: mx_grad_tile(9, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 10: mx_grad_tile(10, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 11: mx_grad_tile(11, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 12: mx_grad_tile(12, x, xr, px, g, gr, rows, n, y, ys, left); break;
#endif
#if MX_CONV_M > 12
	case 13: mx_grad_tile(13, x, xr, px, g, gr, rows, n, y, ys, left); break;
	case 14: mx_grad_tile(14, x, xr, px, g, gr, rows, n, y, ys, left); break;
#endif
	default: break;
	}
}

/* @def mx_pack_lanes */
/* to[i * 32 or 16 lanes] = n of the `lanes` elements at x + i * step, zeros behind them. */
MX_INLINE void mx_pack_lanes(float *to, const float *x, ptrdiff_t step, ptrdiff_t count, ptrdiff_t lanes, ptrdiff_t n)
{
	for (ptrdiff_t i = 0; i < count; i++, to += lanes, x += step)
		for (ptrdiff_t j = 0; j < lanes; j += MX_W)
			mx_st_f32(to + j, n - j >= MX_W ? mx_ld_f32(x + j) : mx_ldn_f32(x + j, n > j ? n - j : 0, 0.0f));
}

/* @def mx_conv_weight */
/* y[c][taps][o] = the derivative by the weight of a convolution of `samples` inputs x with cotangent g. Blocks of `block` rows: their
 * cotangent is packed as [panel][position][32], the channels of a tile as [row][position][16], so that all taps read them from the first
 * cache. */
static inline void mx_conv_weight(const mx_conv *s, ptrdiff_t samples, const float *x, const float *g, float *y, float *scratch,
                                  ptrdiff_t block)
{
	const ptrdiff_t taps = s->kd * s->kh * s->kw, ys = taps * s->o, panels = (s->o + 31) / 32;
	const ptrdiff_t tiles = (s->c + MX_CONV_M - 1) / MX_CONV_M, small = tiles ? s->c / tiles : 0, big = s->c - small * tiles;
	float *const gp = scratch, *const xp = scratch + panels * block * s->ow * 32;
	for (ptrdiff_t i = 0; i < s->c * ys; i++) y[i] = 0.0f;
	for (ptrdiff_t b = 0; b < samples * s->od * s->kd; b++) {
		const ptrdiff_t n = b / s->kd / s->od, od = b / s->kd % s->od, kd = b % s->kd, d = od * s->sd + kd * s->dd - s->pd;
		if (d < 0 || d >= s->d) continue;
		for (ptrdiff_t r = 0; r < s->oh; r += block) {
			const ptrdiff_t rows = s->oh - r < block ? s->oh - r : block, top = r * s->sh - s->ph,
			                high = (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1;
			for (ptrdiff_t p = 0; p < panels; p++)
				mx_pack_lanes(gp + p * block * s->ow * 32, g + ((n * s->od + od) * s->oh + r) * s->ow * s->o + 32 * p, s->o, rows * s->ow,
				              32, s->o - 32 * p);
			for (ptrdiff_t k = 0, c = 0; k < tiles; k++) {
				const ptrdiff_t m = k < big ? small + 1 : small;
				for (ptrdiff_t i = 0; i < high; i++)
					if (top + i >= 0 && top + i < s->h)
						mx_pack_lanes(xp + i * s->w * 16, x + ((n * s->d + d) * s->h + top + i) * s->w * s->c + c, s->c, s->w, 16,
						              s->c - c);
				for (ptrdiff_t p = 0; p < panels; p++)
					for (ptrdiff_t t = 0; t < s->kh * s->kw; t++) {
						ptrdiff_t i, j;
						const ptrdiff_t kh = t / s->kw, kw = t % s->kw, left = kw * s->dw - s->pw;
						const ptrdiff_t down = mx_conv_range(top + kh * s->dh, rows, s->sh, s->h, &i),
						                across = mx_conv_range(left, s->ow, s->sw, s->w, &j);
						if (!down || !across) continue;
						const float *a = xp + ((i * s->sh + kh * s->dh) * s->w + left + j * s->sw) * 16,
						            *f = gp + (p * block + i) * s->ow * 32 + j * 32;
						for (ptrdiff_t o = 0; o < 32 && 32 * p + o < s->o; o += 2 * MX_W)
							mx_grad_of((int)m, a, s->sh * s->w * 16, s->sw * 16, f + o, s->ow * 32, down, across,
							           y + c * ys + (kd * s->kh * s->kw + t) * s->o + 32 * p + o, ys, s->o - 32 * p - o);
					}
				c += m;
			}
		}
	}
}

/* @end */
#endif
