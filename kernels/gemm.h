/* Matrix products of emitted C: c[m, n] = sum over k of a[m, k] b[k, n], in the order of ir/dot.h. This file is text for the C printer
 * (codegen/gemm.c), once for each dtype: T is the dtype that sums are in, S that of a and b in memory, V a vector of W lanes of T. It is not
 * compiled by itself.
 *
 * NAME_next walks over the tiles of c: blocks of NAME_KC along k and NAME_NC along n; in each, panels of b, [n/PANEL][k][PANEL], that are
 * packed first (not where b is packed already, or has so few rows of c to serve that its own rows will do), then blocks of rows, packed as
 * [k/16][row][16] so that no transpose is needed, and tiles of rows that differ by one row at most. A tile is NAME_MR rows (or fewer) times
 * NAME_NV vectors, all of it in registers. Panels have the same form for every width of vectors. Each call of NAME_next that gives true
 * leaves a finished tile, rows i0..i1 and columns j0..j1, in the first-level cache: what is to be done with it is done there.
 */

/* @template gemm_micro */
/* Tiles in registers: rows and vectors of a tile. */
#if MX_W == 16
#define NAME_MR 14
#define NAME_NV 2
#elif MX_W == 8
#define NAME_MR 6
#define NAME_NV 2
#elif MX_W == 4 && (defined __aarch64__ || defined __wasm_relaxed_simd__)
#define NAME_MR 6
#define NAME_NV 4
#elif MX_W == 4
#define NAME_MR 4
#define NAME_NV 2
#else
#define NAME_MR 4
#define NAME_NV 4
#endif
enum { NAME_KC = 768, NAME_PANEL = 2 * 64 / sizeof(T), NAME_NR = NAME_NV * W };

/* One row after the other, by name: the sums must be variables of their own to stay in registers. */
#define NAME_ROWS_1(X) X(0)
#define NAME_ROWS_2(X) NAME_ROWS_1(X) X(1)
#define NAME_ROWS_3(X) NAME_ROWS_2(X) X(2)
#define NAME_ROWS_4(X) NAME_ROWS_3(X) X(3)
#define NAME_ROWS_5(X) NAME_ROWS_4(X) X(4)
#define NAME_ROWS_6(X) NAME_ROWS_5(X) X(5)
#define NAME_ROWS_7(X) NAME_ROWS_6(X) X(6)
#define NAME_ROWS_8(X) NAME_ROWS_7(X) X(7)
#define NAME_ROWS_9(X) NAME_ROWS_8(X) X(8)
#define NAME_ROWS_10(X) NAME_ROWS_9(X) X(9)
#define NAME_ROWS_11(X) NAME_ROWS_10(X) X(10)
#define NAME_ROWS_12(X) NAME_ROWS_11(X) X(11)
#define NAME_ROWS_13(X) NAME_ROWS_12(X) X(12)
#define NAME_ROWS_14(X) NAME_ROWS_13(X) X(13)
#if NAME_NV == 4
#define NAME_ZERO(r) V c##r##_0 = BC(0), c##r##_1 = BC(0), c##r##_2 = BC(0), c##r##_3 = BC(0);
#define NAME_FMA(r) x = BC(p[r * 16]); MADD(c##r##_0, x, b0); MADD(c##r##_1, x, b1); MADD(c##r##_2, x, b2); MADD(c##r##_3, x, b3);
#define NAME_ADD(r) NAME_ADD1(r, 0) NAME_ADD1(r, 1) NAME_ADD1(r, 2) NAME_ADD1(r, 3)
#define NAME_PUT(r) ST(c + r * cs, c##r##_0); ST(c + r * cs + js, c##r##_1); ST(c + r * cs + 2 * js, c##r##_2); ST(c + r * cs + 3 * js, c##r##_3);
#define NAME_LOAD V b0 = LD(b), b1 = LD(b + W), b2 = LD(b + 2 * W), b3 = LD(b + 3 * W); MX_KEEP(b0); MX_KEEP(b1); MX_KEEP(b2); MX_KEEP(b3);
#else
#define NAME_ZERO(r) V c##r##_0 = BC(0), c##r##_1 = BC(0);
#define NAME_FMA(r) x = BC(p[r * 16]); MADD(c##r##_0, x, b0); MADD(c##r##_1, x, b1);
#define NAME_ADD(r) NAME_ADD1(r, 0) NAME_ADD1(r, 1)
#define NAME_PUT(r) ST(c + r * cs, c##r##_0); ST(c + r * cs + js, c##r##_1);
#define NAME_LOAD V b0 = LD(b), b1 = LD(b + W); MX_KEEP(b0); MX_KEEP(b1);
#endif
#define NAME_ADD1(r, v) c##r##_##v += LD(c + r * cs + v * js);

/* c[MR rows, NV vectors] = or += a b over K; rows of c are cs apart, vectors js; a: blocks of 16 k, each with `as` rows of 16; rows of b are
 * bs apart. Fetched ahead: rows of b, one row of c in each block, and one line of `next` in each block, for the next call. */
#define NAME_MICRO(MR) \
static void NAME_##MR(ptrdiff_t K, const T *restrict a, ptrdiff_t as, const T *restrict b, ptrdiff_t bs, T *restrict c, ptrdiff_t cs, ptrdiff_t js, bool add, const T *next) \
{ \
	NAME_ROWS_##MR(NAME_ZERO) \
	const T *line = c; \
	for (ptrdiff_t r = (K + 15) / 16; r < MR; r++, line += cs) { \
		MX_PREFETCH_W(line); \
		MX_PREFETCH_W(line + (NAME_NV - 1) * js); \
	} \
	for (ptrdiff_t k = 0; k < K; k += 16, a += 16 * as) { \
		const T *p = a, *const end = a + (K - k < 16 ? K - k : 16); \
		MX_PREFETCH_L2(next); \
		MX_PREFETCH_W(line); \
		MX_PREFETCH_W(line + (NAME_NV - 1) * js); \
		next += 64 / sizeof(T); \
		line += cs; \
		MX_NO_UNROLL for (; p < end; p++, b += bs) { \
			V x; \
			NAME_LOAD \
			MX_PREFETCH(b + 16 * bs); \
			MX_PREFETCH(b + 16 * bs + (NAME_NV - 1) * W); \
			NAME_ROWS_##MR(NAME_FMA) \
		} \
	} \
	if (add) { \
		NAME_ROWS_##MR(NAME_ADD) \
	} \
	NAME_ROWS_##MR(NAME_PUT) \
}
NAME_MICRO(1)
NAME_MICRO(2)
NAME_MICRO(3)
NAME_MICRO(4)
#if NAME_MR > 4
NAME_MICRO(5)
NAME_MICRO(6)
#endif
#if NAME_MR > 6
NAME_MICRO(7)
NAME_MICRO(8)
NAME_MICRO(9)
NAME_MICRO(10)
NAME_MICRO(11)
NAME_MICRO(12)
NAME_MICRO(13)
NAME_MICRO(14)
#endif
typedef void (*NAME_tile)(ptrdiff_t K, const T *restrict a, ptrdiff_t as, const T *restrict b, ptrdiff_t bs, T *restrict c, ptrdiff_t cs, ptrdiff_t js, bool add, const T *next);
static const NAME_tile NAME_rows[] = {
	NULL, NAME_1, NAME_2, NAME_3, NAME_4,
#if NAME_MR > 4
	NAME_5, NAME_6,
#endif
#if NAME_MR > 6
	NAME_7, NAME_8, NAME_9, NAME_10, NAME_11, NAME_12, NAME_13, NAME_14,
#endif
};

/* @template gemm */
typedef struct NAME {
	ptrdiff_t M, N, K;        /* K: packed elements, of PACK along k each; length: elements of a and b */
	ptrdiff_t length;
	const S *a, *b;
	ptrdiff_t am, ak, bk, bn; /* a[m, k] is a[m * am + k * ak], b[k, n] is b[k * bk + n * bn] */
	const T *panels;          /* b packed beforehand, [n/PANEL][K][PANEL], or NULL */
	T *c;                     /* c[m, n] is c[m * cm + n]; NULL: each tile is left in tile[] only, K is one block then */
	ptrdiff_t cm;
	T *rows, *cols;           /* memory for packed rows of a and panels of b */
	ptrdiff_t tiles, block;   /* tiles of rows, and in a block */
	ptrdiff_t jc, nc, pc, kc, jr, t0, t1, t; /* where the walk is */
	bool packed, started;
	ptrdiff_t i0, i1, j0, j1; /* the finished tile */
	T tile[14 * MICRO_PANEL];
} NAME;

/* Rows of a that are packed at a time, 126 at most and 28 where b is packed already, are in room before the panels of b, at most `wide`
 * columns of them. */
static void NAME_begin(NAME *g, ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, const S *a, ptrdiff_t am, ptrdiff_t ak, const S *b, ptrdiff_t bk, ptrdiff_t bn, const T *panels, T *c, ptrdiff_t cm, T *room, ptrdiff_t wide)
{
	const ptrdiff_t packed = (K + PACK - 1) / PACK, most = panels ? 28 / MICRO_MR : 9;
	const ptrdiff_t depth = packed < MICRO_KC ? (packed + 15) / 16 * 16 : (ptrdiff_t)MICRO_KC, rows = M < most * MICRO_MR ? M : most * MICRO_MR;
	g->M = M, g->N = N, g->K = packed, g->length = K;
	g->a = a, g->am = am, g->ak = ak;
	g->b = b, g->bk = bk, g->bn = bn;
	g->panels = panels;
	g->c = c, g->cm = cm;
	g->rows = room, g->cols = room + rows * depth;
	g->tiles = (M + MICRO_MR - 1) / MICRO_MR;
	g->block = g->tiles ? (g->tiles + most - 1) / most : 1;
	g->block = (g->tiles + g->block - 1) / g->block;
	g->nc = wide;
	g->jc = g->pc = g->kc = g->jr = g->t0 = g->t1 = g->t = 0;
	g->packed = MUST_PACK bn != 1 || g->tiles > 3 || N < MICRO_NR;
	g->started = false;
}

/* @template gemm_pack */
/* Rows of a of the tiles t0..t1, from k = pc. */
static void NAME_pack_rows(const NAME *g)
{
	T *to = g->rows;
	for (ptrdiff_t t = g->t0; t < g->t1; t++) {
		const ptrdiff_t base = g->M / g->tiles, more = g->M % g->tiles, m = base + (t < more);
		const S *a = g->a + (t * base + (t < more ? t : more)) * g->am + g->pc * g->ak;
		for (ptrdiff_t k = 0; k < g->kc; k += 16, a += 16 * g->ak, to += 16 * m) {
			const ptrdiff_t n = g->kc - k < 16 ? g->kc - k : 16;
			if (g->ak == 1 && n == 16) {
				for (ptrdiff_t i = 0; i < m; i++)
					for (ptrdiff_t l = 0; l < 16; l += W) ST(to + i * 16 + l, LDS(a + i * g->am + l));
			} else if (g->ak == 1) {
				for (ptrdiff_t i = 0; i < m; i++)
					for (ptrdiff_t l = 0; l < n; l += W) ST(to + i * 16 + l, n - l < W ? LDNS(a + i * g->am + l, n - l, 0) : LDS(a + i * g->am + l));
			} else if (W > 1 && g->am == 1 && n == 16) { /* squares of columns become rows */
				for (ptrdiff_t l = 0; l < 16; l += W)
					for (ptrdiff_t i = 0; i < m; i += W) {
						const ptrdiff_t high = m - i < W ? m - i : W;
						V column[W];
						MX_UNROLL(PARTS_UNROLL)
						for (int j = 0; j < W; j++) column[j] = high < W ? LDNS(a + i + (l + j) * g->ak, high, 0) : LDS(a + i + (l + j) * g->ak);
						TRANSPOSE(column);
						MX_UNROLL(PARTS_UNROLL)
						for (int j = 0; j < W; j++)
							if (j < high) ST(to + (i + j) * 16 + l, column[j]);
					}
			} else {
				for (ptrdiff_t l = 0; l < n; l++)
					for (ptrdiff_t i = 0; i < m; i++) to[i * 16 + l] = LOAD(a[i * g->am + l * g->ak]);
			}
		}
	}
}

/* Columns j..j+w of b from k = pc as one panel, padded with zeros. */
static void NAME_pack_panel(const NAME *g, ptrdiff_t j, ptrdiff_t w, T *to)
{
	const S *b = g->b + g->pc * g->bk + j * g->bn;
	if (w == MICRO_PANEL && g->bn == 1) {
		for (ptrdiff_t k = 0; k < g->kc; k++, b += g->bk, to += MICRO_PANEL)
			for (ptrdiff_t l = 0; l < MICRO_PANEL; l += W) ST(to + l, LDS(b + l));
		return;
	}
	if (g->bn == 1) {
		for (ptrdiff_t k = 0; k < g->kc; k++, b += g->bk, to += MICRO_PANEL)
			for (ptrdiff_t l = 0; l < MICRO_PANEL; l += W) ST(to + l, w - l >= W ? LDS(b + l) : w > l ? LDNS(b + l, w - l, 0) : BC(0));
		return;
	}
	for (ptrdiff_t k = 0; k < g->kc; k += 16) {
		const ptrdiff_t n = g->kc - k < 16 ? g->kc - k : 16;
		if (W > 1 && w == MICRO_PANEL && g->bk == 1 && n == 16) { /* squares of rows become columns */
			for (ptrdiff_t l = 0; l < MICRO_PANEL; l += W)
				for (ptrdiff_t r = 0; r < 16; r += W) {
					V row[W];
					MX_UNROLL(PARTS_UNROLL)
					for (int i = 0; i < W; i++) row[i] = LDS(b + k + r + (l + i) * g->bn);
					TRANSPOSE(row);
					MX_UNROLL(PARTS_UNROLL)
					for (int i = 0; i < W; i++) ST(to + (k + r + i) * MICRO_PANEL + l, row[i]);
				}
			continue;
		}
		for (ptrdiff_t l = 0; l < MICRO_PANEL; l++)
			for (ptrdiff_t i = 0; i < n; i++) to[(k + i) * MICRO_PANEL + l] = l < w ? LOAD(b[(k + i) * g->bk + l * g->bn]) : 0;
	}
}

/* @template gemm_walk */
static void NAME_pack_columns(const NAME *g)
{
	const ptrdiff_t n = g->N - g->jc < g->nc ? g->N - g->jc : g->nc, whole = n / MICRO_NR * MICRO_NR;
	if (g->panels) return;
	if (!g->packed) { /* the last columns only, where they are no whole tile */
		if (whole < n) NAME_pack_panel(g, g->jc + whole, n - whole, g->cols);
		return;
	}
	for (ptrdiff_t j = 0; j < n; j += MICRO_PANEL)
		NAME_pack_panel(g, g->jc + j, n - j < MICRO_PANEL ? n - j : (ptrdiff_t)MICRO_PANEL, g->cols + j * g->kc);
}

/* The tile t of rows and the columns from jr: into c, or tile[]. */
static void NAME_compute(NAME *g, ptrdiff_t i, ptrdiff_t m, const T *a)
{
	const ptrdiff_t j = g->jc + g->jr, left = g->N - j, w = left < MICRO_NR ? left : (ptrdiff_t)MICRO_NR;
	const ptrdiff_t in = g->jr % MICRO_PANEL, at = g->jr - in;
	const T *b;
	ptrdiff_t bs = MICRO_PANEL;
	bool add = g->pc > 0;
	if (g->panels) b = g->panels + (g->jc + at) * g->K + g->pc * MICRO_PANEL + in;
	else if (g->packed) b = g->cols + at * g->kc + in;
	else if (w < MICRO_NR) b = g->cols;
	else b = DIRECT_B, bs = g->bk;
	const T *next = b + (bs == MICRO_PANEL ? MICRO_PANEL * g->kc + (g->t - g->t0) * g->kc : 0);
	if (g->c && w == MICRO_NR) {
		MICRO_rows[m](g->kc, a, m, b, bs, g->c + i * g->cm + j, g->cm, W, add, next);
		return;
	}
	MICRO_rows[m](g->kc, a, m, b, bs, g->tile, MICRO_PANEL, W, false, next);
	if (!g->c) return;
	for (ptrdiff_t r = 0; r < m; r++) {
		T *c = g->c + (i + r) * g->cm + j;
		const T *s = g->tile + r * MICRO_PANEL;
		ptrdiff_t n = 0;
		for (; n + W <= w; n += W) ST(c + n, add ? LD(c + n) + LD(s + n) : LD(s + n));
		if (n < w) STN(c + n, add ? LDN(c + n, w - n, 0) + LD(s + n) : LD(s + n), w - n);
	}
}

/* The next finished tile; false: there is none. */
static bool NAME_next(NAME *g)
{
	if (!g->started && (!g->M || !g->N)) return false;
	for (;;) {
		if (g->t == g->t1) { /* the next columns, block of rows, block of k, block of columns */
			const ptrdiff_t n = g->N - g->jc < g->nc ? g->N - g->jc : g->nc;
			bool rows = false;
			g->jr += MICRO_NR;
			if (!g->started || g->jr >= n) {
				bool cols = !g->started;
				if (g->started && g->t1 == g->tiles) {
					g->t1 = 0;
					cols = true;
					g->pc += g->kc;
					if (g->pc >= g->K) {
						g->pc = 0;
						g->jc += n;
						if (g->jc >= g->N) return false;
					}
				}
				g->started = true;
				g->kc = g->K - g->pc < MICRO_KC ? g->K - g->pc : (ptrdiff_t)MICRO_KC;
				if (cols) NAME_pack_columns(g);
				g->t0 = g->t1;
				g->t1 = g->tiles - g->t0 < g->block ? g->tiles : g->t0 + g->block;
				g->jr = 0;
				rows = true;
			}
			g->t = g->t0;
			if (rows) NAME_pack_rows(g);
		}
		{
			const ptrdiff_t base = g->M / g->tiles, more = g->M % g->tiles, t = g->t, m = base + (t < more);
			const ptrdiff_t i = t * base + (t < more ? t : more), first = g->t0 * base + (g->t0 < more ? g->t0 : more);
			NAME_compute(g, i, m, g->rows + (i - first) * ((g->kc + 15) / 16 * 16));
			g->t++;
			if (g->pc + g->kc < g->K) continue;
			g->i0 = i, g->i1 = i + m;
			g->j0 = g->jc + g->jr;
			g->j1 = g->N - g->j0 < MICRO_NR ? g->N : g->j0 + MICRO_NR;
			return true;
		}
	}
}

/* @template gemv_rows */
/* y[n] = sum over k of w[n, k] x[k], k contiguous in both: 64 partial sums, folded by halving. */
static void NAME(ptrdiff_t N, ptrdiff_t K, const S *restrict w, ptrdiff_t wn, const S *restrict x, T *restrict y)
{
	enum { PARTS = 64 / W };
	for (ptrdiff_t n = 0; n < N; n++, w += wn) {
		V p[PARTS];
		T sum[64];
		ptrdiff_t k = 0;
		MX_UNROLL(PARTS_UNROLL)
		for (int v = 0; v < PARTS; v++) p[v] = BC(0);
		for (; k + 64 <= K; k += 64) {
			for (int v = 0; v < 64; v += 16) MX_AHEAD_LIGHT(w + k + 1024 + v);
			MX_UNROLL(PARTS_UNROLL)
			for (int v = 0; v < PARTS; v++) p[v] += LDS(w + k + v * W) * LDS(x + k + v * W);
		}
		MX_UNROLL(PARTS_UNROLL)
		for (int v = 0; v < PARTS; v++) ST(sum + v * W, p[v]);
		for (ptrdiff_t i = 0; k + i < K; i++) sum[i] += LOAD(w[k + i]) * LOAD(x[k + i]);
		for (int half = 32; half >= W; half /= 2)
			for (int i = 0; i < half; i += W) ST(sum + i, LD(sum + i) + LD(sum + i + half));
		for (int half = W / 2; half; half /= 2)
			for (int i = 0; i < half; i++) sum[i] += sum[i + half];
		y[n] = sum[0];
	}
}

/* @template gemv_columns */
/* y[n] = sum over k of w[k, n] x[k], n contiguous: four rows of w at a time; blocks of 768 rows are summed in room[N] and added. */
static void NAME(ptrdiff_t N, ptrdiff_t K, const S *restrict w, ptrdiff_t wk, const S *restrict x, ptrdiff_t xk, T *restrict y, T *restrict room)
{
	if (!K) memset(y, 0, (size_t)N * sizeof *y);
	for (ptrdiff_t k0 = 0; k0 < K; k0 += 768) {
		const ptrdiff_t end = K - k0 < 768 ? K : k0 + 768;
		T *const sum = k0 ? room : y;
		for (ptrdiff_t k = k0; k < end;) {
			const bool first = k == k0, four = end - k >= 4;
			const S *const p = w + k * wk;
			const T x0 = LOAD(x[k * xk]);
			ptrdiff_t n = 0;
			if (four) {
				const T x1 = LOAD(x[(k + 1) * xk]), x2 = LOAD(x[(k + 2) * xk]), x3 = LOAD(x[(k + 3) * xk]);
				for (; n + W <= N; n += W) {
					V s = first ? BC(0) : LD(sum + n);
					s += LDS(p + n) * x0;
					s += LDS(p + n + wk) * x1;
					s += LDS(p + n + 2 * wk) * x2;
					s += LDS(p + n + 3 * wk) * x3;
					ST(sum + n, s);
				}
				for (; n < N; n++) {
					T s = first ? 0 : sum[n];
					s += LOAD(p[n]) * x0;
					s += LOAD(p[n + wk]) * x1;
					s += LOAD(p[n + 2 * wk]) * x2;
					s += LOAD(p[n + 3 * wk]) * x3;
					sum[n] = s;
				}
				k += 4;
				continue;
			}
			for (; n < N; n++) {
				T s = first ? 0 : sum[n];
				s += LOAD(p[n]) * x0;
				sum[n] = s;
			}
			k++;
		}
		if (k0)
			for (ptrdiff_t n = 0; n < N; n++) y[n] += room[n];
	}
}

/* @template gemv_panels */
/* y[n] = sum over k of w[k, n] x[k], w in panels [n/PANEL][K][PANEL]: eight vectors of y at a time; blocks of 768 rows are added in order. */
#define NAME_TILE(NV) \
static inline void NAME_##NV(ptrdiff_t N, ptrdiff_t K, const S *restrict w, ptrdiff_t panel, const S *restrict x, ptrdiff_t xk, T *restrict y, bool add) \
{ \
	NAME_COLS_##NV(NAME_ZERO) \
	MX_NO_UNROLL for (ptrdiff_t k = 0; k < K; k++, w += NAME_PANEL) { \
		const V s = BC(x[k * xk]); \
		NAME_COLS_##NV(NAME_FMA) \
	} \
	NAME_COLS_##NV(NAME_PUT) \
}
enum { NAME_PANEL = 2 * 64 / sizeof(T) };
#define NAME_COLS_1(X) X(0)
#define NAME_COLS_2(X) X(0) X(1)
#define NAME_COLS_4(X) X(0) X(1) X(2) X(3)
#define NAME_COLS_8(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define NAME_ZERO(v) V c##v = BC(0);
#define NAME_FMA(v) c##v += s * LD(w + v * W / NAME_PANEL * panel + v * W % NAME_PANEL);
#define NAME_PUT(v) \
	if ((v + 1) * W <= N) ST(y + v * W, add ? LD(y + v * W) + c##v : c##v); \
	else if (v * W < N) STN(y + v * W, add ? LDN(y + v * W, N - v * W, 0) + c##v : c##v, N - v * W);
NAME_TILE(1)
NAME_TILE(2)
NAME_TILE(4)
NAME_TILE(8)

static void NAME(ptrdiff_t N, ptrdiff_t K, const S *restrict w, const S *restrict x, ptrdiff_t xk, T *restrict y)
{
	const ptrdiff_t panel = K * NAME_PANEL;
	if (!K) memset(y, 0, (size_t)N * sizeof *y);
	for (ptrdiff_t n = 0; n < N;) {
		const ptrdiff_t left = (N - n + W - 1) / W, columns = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
		for (ptrdiff_t k = 0; k < K; k += 768) {
			const S *const p = w + n / NAME_PANEL * panel + n % NAME_PANEL + k * NAME_PANEL, *const q = x + k * xk;
			const ptrdiff_t depth = K - k < 768 ? K - k : 768;
			switch (columns) {
			case 8: NAME_8(N - n, depth, p, panel, q, xk, y + n, k > 0); break;
			case 4: NAME_4(N - n, depth, p, panel, q, xk, y + n, k > 0); break;
			case 2: NAME_2(N - n, depth, p, panel, q, xk, y + n, k > 0); break;
			default: NAME_1(N - n, depth, p, panel, q, xk, y + n, k > 0); break;
			}
		}
		n += columns * W;
	}
}

/* @template gemm_small */
/* c = a b for small matrices, where they lie: rows of b are contiguous, N is at least a vector, K at most a block; tiles of 4 rows. */
#define NAME_TILE(MR, NV) \
static inline void NAME_##MR##x##NV(ptrdiff_t K, const S *restrict a, ptrdiff_t am, ptrdiff_t ak, const S *restrict b, ptrdiff_t bk, T *restrict c, ptrdiff_t cm) \
{ \
	NAME_ROWS_##MR(NAME_ZERO##NV) \
	MX_NO_UNROLL for (ptrdiff_t k = 0; k < K; k++, a += ak, b += bk) { \
		V x; \
		NAME_LOAD##NV \
		NAME_ROWS_##MR(NAME_FMA##NV) \
	} \
	NAME_ROWS_##MR(NAME_PUT##NV) \
}
#define NAME_ROWS_1(X) X(0)
#define NAME_ROWS_2(X) X(0) X(1)
#define NAME_ROWS_3(X) X(0) X(1) X(2)
#define NAME_ROWS_4(X) X(0) X(1) X(2) X(3)
#define NAME_ZERO1(r) V c##r##_0 = BC(0);
#define NAME_LOAD1 V b0 = LDS(b); MX_KEEP(b0);
#define NAME_FMA1(r) x = BC(LOAD(a[r * am])); c##r##_0 += x * b0;
#define NAME_PUT1(r) ST(c + r * cm, c##r##_0);
#if MX_W == 16 || defined __aarch64__
enum { NAME_NV = 4 };
#define NAME_ZERO4(r) V c##r##_0 = BC(0), c##r##_1 = BC(0), c##r##_2 = BC(0), c##r##_3 = BC(0);
#define NAME_LOAD4 V b0 = LDS(b), b1 = LDS(b + W), b2 = LDS(b + 2 * W), b3 = LDS(b + 3 * W); MX_KEEP(b0); MX_KEEP(b1); MX_KEEP(b2); MX_KEEP(b3);
#define NAME_FMA4(r) x = BC(LOAD(a[r * am])); c##r##_0 += x * b0; c##r##_1 += x * b1; c##r##_2 += x * b2; c##r##_3 += x * b3;
#define NAME_PUT4(r) ST(c + r * cm, c##r##_0); ST(c + r * cm + W, c##r##_1); ST(c + r * cm + 2 * W, c##r##_2); ST(c + r * cm + 3 * W, c##r##_3);
NAME_TILE(1, 4)
NAME_TILE(2, 4)
NAME_TILE(3, 4)
NAME_TILE(4, 4)
#define NAME_WIDE(MR) NAME_##MR##x4
#else
enum { NAME_NV = 2 };
#define NAME_ZERO2(r) V c##r##_0 = BC(0), c##r##_1 = BC(0);
#define NAME_LOAD2 V b0 = LDS(b), b1 = LDS(b + W); MX_KEEP(b0); MX_KEEP(b1);
#define NAME_FMA2(r) x = BC(LOAD(a[r * am])); c##r##_0 += x * b0; c##r##_1 += x * b1;
#define NAME_PUT2(r) ST(c + r * cm, c##r##_0); ST(c + r * cm + W, c##r##_1);
NAME_TILE(1, 2)
NAME_TILE(2, 2)
NAME_TILE(3, 2)
NAME_TILE(4, 2)
#define NAME_WIDE(MR) NAME_##MR##x2
#endif
NAME_TILE(1, 1)
NAME_TILE(2, 1)
NAME_TILE(3, 1)
NAME_TILE(4, 1)

static void NAME(ptrdiff_t M, ptrdiff_t N, ptrdiff_t K, const S *restrict a, ptrdiff_t am, ptrdiff_t ak, const S *restrict b, ptrdiff_t bk, T *restrict c, ptrdiff_t cm)
{
	for (ptrdiff_t i = 0; i < M; i += 4) {
		const ptrdiff_t m = M - i < 4 ? M - i : 4;
		for (ptrdiff_t j = 0; j < N;) {
			const bool wide = N - j >= NAME_NV * W;
			if (!wide && N - j < W) j = N - W; /* the last vector, again */
			const S *const p = a + i * am, *const q = b + j;
			T *const to = c + i * cm + j;
			switch (wide ? m : m + 4) {
			case 1: NAME_WIDE(1)(K, p, am, ak, q, bk, to, cm); break;
			case 2: NAME_WIDE(2)(K, p, am, ak, q, bk, to, cm); break;
			case 3: NAME_WIDE(3)(K, p, am, ak, q, bk, to, cm); break;
			case 4: NAME_WIDE(4)(K, p, am, ak, q, bk, to, cm); break;
			case 5: NAME_1x1(K, p, am, ak, q, bk, to, cm); break;
			case 6: NAME_2x1(K, p, am, ak, q, bk, to, cm); break;
			case 7: NAME_3x1(K, p, am, ak, q, bk, to, cm); break;
			default: NAME_4x1(K, p, am, ak, q, bk, to, cm); break;
			}
			j += wide ? NAME_NV * W : W;
		}
	}
}

/* @end */
