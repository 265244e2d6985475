/* Matrix products of bf16 where the processor adds two products at a time to an f32: elements of a and b are packed in pairs along k, and a
 * pair takes the place of an element in kernels/gemm.h, which does the rest. What is here stands for that file's packing; like it, this is
 * text for the C printer (codegen/gemm.c). A pair is moved about as the f32 of its bits. */

/* @template gemm_pack_pairs */
/* Rows of a of the tiles t0..t1, from pair pc; an element that is missing is 0. */
static void NAME_pack_rows(const NAME *g)
{
	T *to = g->rows;
	for (ptrdiff_t t = g->t0; t < g->t1; t++) {
		const ptrdiff_t base = g->M / g->tiles, more = g->M % g->tiles, m = base + (t < more);
		const S *a = g->a + (t * base + (t < more ? t : more)) * g->am + 2 * g->pc * g->ak;
		for (ptrdiff_t k = 0; k < g->kc; k += 16, a += 32 * g->ak, to += 16 * m) {
			const ptrdiff_t left = g->length - 2 * (g->pc + k);
			for (ptrdiff_t i = 0; i < m; i++) {
				const S *const row = a + i * g->am;
				if (g->ak == 1 && left >= 32) {
					ST(to + i * 16, LD((const T *)(const void *)row));
					continue;
				}
				for (ptrdiff_t l = 0; l < 16 && 2 * l < left; l++) {
					const uint32_t high = 2 * l + 1 < left ? row[(2 * l + 1) * g->ak] : 0u, pair = row[2 * l * g->ak] | high << 16;
					memcpy(to + i * 16 + l, &pair, sizeof pair);
				}
			}
		}
	}
}

/* Columns j..j+w of b from pair pc as one panel, padded with zeros. */
static void NAME_pack_panel(const NAME *g, ptrdiff_t j, ptrdiff_t w, T *to)
{
	const S *b = g->b + 2 * g->pc * g->bk + j * g->bn;
	for (ptrdiff_t k = 0; k < g->kc; k += 16) {
		const ptrdiff_t n = g->kc - k < 16 ? g->kc - k : 16, left = g->length - 2 * (g->pc + k);
		if (w == MICRO_PANEL && g->bn == 1 && left >= 2 * n) {
			for (ptrdiff_t i = 0; i < n; i++) {
				const S *const p = b + 2 * (k + i) * g->bk;
				for (ptrdiff_t l = 0; l < MICRO_PANEL; l += W)
					ST(to + (k + i) * MICRO_PANEL + l, (V)(mx_ld_u16(p + l) | mx_ld_u16(p + g->bk + l) << 16));
			}
			continue;
		}
		if (w == MICRO_PANEL && g->bk == 1 && left >= 32) { /* rows of 16 pairs become columns */
			for (ptrdiff_t l = 0; l < MICRO_PANEL; l += W) {
				V row[W];
				MX_UNROLL(PARTS_UNROLL)
				for (int i = 0; i < W; i++) row[i] = LD((const T *)(const void *)(b + 2 * k + (l + i) * g->bn));
				mx_transpose_vf(row);
				MX_UNROLL(PARTS_UNROLL)
				for (int i = 0; i < W; i++) ST(to + (k + i) * MICRO_PANEL + l, row[i]);
			}
			continue;
		}
		for (ptrdiff_t l = 0; l < MICRO_PANEL; l++)
			for (ptrdiff_t i = 0; i < n; i++) {
				const S *const p = b + 2 * (k + i) * g->bk + l * g->bn;
				const uint32_t high = l < w && 2 * i + 1 < left ? p[g->bk] : 0u, pair = l < w ? *p | high << 16 : 0u;
				memcpy(to + (k + i) * MICRO_PANEL + l, &pair, sizeof pair);
			}
	}
}

/* @end */
