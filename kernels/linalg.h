/* Dense factorisations and triangular solves, for one element type at a time: T is the type, V a vector of LANES of it, LD ST LDN STN BC its
 * memory functions and broadcast (vector.h), SQRT its root. The C printer replaces these names in the text between the markers and gives each
 * function its own name; the interpreter includes this file with the same names defined. So both do the same operations in the same order: an
 * element subtracts its products one after the other, rows (columns) ascending, whatever the blocking or the vector width.
 * A template may call the ones before it. */

/* @template update */
/* Eight rows of x, `cols` columns: x[i] -= c[i * rs + m * cs] * y[m] for m = 0 .. count - 1 in order. Rows of x are ld apart, those of y step. */
static void UPDATE(T *x, const T *c, ptrdiff_t rs, ptrdiff_t cs, const T *y, ptrdiff_t step, ptrdiff_t count, ptrdiff_t ld, ptrdiff_t cols)
{
	ptrdiff_t j = 0;
	for (; j + 2 * LANES <= cols; j += 2 * LANES) {
		V s[8], t[8];
		MX_UNROLL(8) for (int i = 0; i < 8; i++) s[i] = LD(x + i * ld + j), t[i] = LD(x + i * ld + j + LANES);
		for (ptrdiff_t m = 0; m < count; m++) {
			const V a = LD(y + m * step + j), b = LD(y + m * step + j + LANES);
			MX_UNROLL(8) for (int i = 0; i < 8; i++) {
				const V f = BC(c[i * rs + m * cs]);
				s[i] = s[i] - f * a;
				t[i] = t[i] - f * b;
			}
		}
		MX_UNROLL(8) for (int i = 0; i < 8; i++) ST(x + i * ld + j, s[i]), ST(x + i * ld + j + LANES, t[i]);
	}
	for (; j < cols; j += LANES) {
		const ptrdiff_t n = cols - j < LANES ? cols - j : LANES;
		V s[8];
		MX_UNROLL(8) for (int i = 0; i < 8; i++) s[i] = LDN(x + i * ld + j, n, 0);
		for (ptrdiff_t m = 0; m < count; m++) {
			const V a = LDN(y + m * step + j, n, 0);
			MX_UNROLL(8) for (int i = 0; i < 8; i++) s[i] = s[i] - BC(c[i * rs + m * cs]) * a;
		}
		MX_UNROLL(8) for (int i = 0; i < 8; i++) STN(x + i * ld + j, s[i], n);
	}
}

/* @template cholesky */
/* The lower triangle of a [n, n] is that of L L^T: L, zeros above. The factor is made as U = L^T in u, whose rows are long: blocks of eight
 * rows, updated by the rows above them in panels of 64. u: (n + 7) * (n + 31) elements. Where a pivot is not positive all of L is nan. */
static void CHOLESKY(const T *a, T *l, ptrdiff_t n, T *u)
{
	const ptrdiff_t rows = (n + 7) / 8 * 8, ld = (n + 31) / 32 * 32;
	for (ptrdiff_t k = 0; k < rows; k++) {
		for (ptrdiff_t j = k / 32 * 32; j < ld; j++) u[k * ld + j] = (T)(j == k && k >= n);
		for (ptrdiff_t j = k; j < n; j++) u[k * ld + j] = a[j * n + k];
	}
	for (ptrdiff_t panel = 0; panel < n; panel += 64) {
		const ptrdiff_t end = panel + 64 < rows ? panel + 64 : rows;
		for (ptrdiff_t k = panel; k < end; k += 8) {
			const ptrdiff_t first = k / 32 * 32;
			T t[8][8], over[8];
			UPDATE(u + k * ld + first, u + panel * ld + k, 1, ld, u + panel * ld + first, ld, k - panel, ld, ld - first);
			for (int i = 0; i < 8; i++) {
				for (int j = i; j < 8; j++) t[i][j] = u[(k + i) * ld + k + j];
				for (int q = 0; q < i; q++)
					for (int j = i; j < 8; j++) t[i][j] = t[i][j] - t[q][i] * t[q][j];
				t[i][i] = t[i][i] > 0 ? SQRT(t[i][i]) : (T)NAN;
				over[i] = 1 / t[i][i];
				for (int j = i + 1; j < 8; j++) t[i][j] = t[i][j] * over[i];
			}
			for (ptrdiff_t j = first; j < ld; j += LANES) {
				V s[8];
				MX_UNROLL(8) for (int i = 0; i < 8; i++) {
					s[i] = LD(u + (k + i) * ld + j);
					MX_UNROLL(8) for (int q = 0; q < i; q++) s[i] = s[i] - BC(t[q][i]) * s[q];
					s[i] = s[i] * BC(over[i]);
					ST(u + (k + i) * ld + j, s[i]);
				}
			}
			for (int i = 0; i < 8; i++) u[(k + i) * ld + k + i] = t[i][i];
		}
		for (ptrdiff_t k = end; k < rows; k += 8) {
			const ptrdiff_t first = k / 32 * 32;
			UPDATE(u + k * ld + first, u + panel * ld + k, 1, ld, u + panel * ld + first, ld, end - panel, ld, ld - first);
		}
	}
	const bool fine = n == 0 || u[(n - 1) * ld + n - 1] > 0; /* a nan spreads to the last pivot */
	for (ptrdiff_t i = 0; i < n; i++) {
		for (ptrdiff_t j = 0; j <= i; j++) l[i * n + j] = fine ? u[j * ld + i] : (T)NAN;
		for (ptrdiff_t j = i + 1; j < n; j++) l[i * n + j] = 0;
	}
}

/* @template trisolve */
/* x [n, k] becomes the solution of A X = x, where A's element i, j is a[i * rs + j * cs], of a triangle: rows from the first one, or from
 * the last one where it is the upper. The other triangle is not read,
 * nor (unit) the diagonal, which counts as ones. */
static void TRISOLVE(const T *a, ptrdiff_t rs, ptrdiff_t cs, T *x, ptrdiff_t n, ptrdiff_t k, bool upper, bool unit)
{
	for (ptrdiff_t done = 0; done < n;) {
		const ptrdiff_t some = done % 8 == n % 8 && n - done >= 8 ? 8 : 1; /* the rows over come first, one by one */
		const ptrdiff_t row = upper ? n - done - some : done;
		if (some == 8) {
			if (upper) UPDATE(x + row * k, a + row * rs + (n - 1) * cs, rs, -cs, x + (n - 1) * k, -k, done, k, k);
			else UPDATE(x + row * k, a + row * rs, rs, cs, x, k, done, k, k);
		}
		for (ptrdiff_t i = 0; i < some; i++) {
			const ptrdiff_t at = upper ? row + some - 1 - i : row + i, from = some == 8 ? done : 0;
			const T pivot = unit ? 1 : a[at * (rs + cs)];
			T *const to = x + at * k;
			for (ptrdiff_t j = 0; j < k; j += LANES) {
				const ptrdiff_t lanes = k - j < LANES ? k - j : LANES;
				V s = LDN(to + j, lanes, 0);
				for (ptrdiff_t m = from; m < done + i; m++) {
					const ptrdiff_t other = upper ? n - 1 - m : m;
					s = s - BC(a[at * rs + other * cs]) * LDN(x + other * k + j, lanes, 0);
				}
				STN(to + j, s / BC(pivot), lanes);
			}
		}
		done += some;
	}
}

/* @template lu */
/* lu: L (ones on the diagonal, not stored) and U with L U = the rows of a in the order `perm`: partial pivoting, the first of equals. */
static void LU(const T *a, T *lu, int32_t *perm, ptrdiff_t n)
{
	memcpy(lu, a, sizeof(T) * (size_t)(n * n));
	for (ptrdiff_t i = 0; i < n; i++) perm[i] = (int32_t)i;
	for (ptrdiff_t k = 0; k < n; k++) {
		ptrdiff_t best = k;
		T *const top = lu + k * n;
		for (ptrdiff_t i = k + 1; i < n; i++)
			if (FABS(lu[i * n + k]) > FABS(lu[best * n + k])) best = i;
		if (best != k) {
			const int32_t swap = perm[k];
			perm[k] = perm[best];
			perm[best] = swap;
			for (ptrdiff_t j = 0; j < n; j++) {
				const T t = top[j];
				top[j] = lu[best * n + j];
				lu[best * n + j] = t;
			}
		}
		for (ptrdiff_t i = k + 1; i < n; i++) {
			T *const row = lu + i * n;
			const T f = row[k] = row[k] / top[k];
			for (ptrdiff_t j = k + 1; j < n; j += LANES) {
				const ptrdiff_t lanes = n - j < LANES ? n - j : LANES;
				STN(row + j, LDN(row + j, lanes, 0) - BC(f) * LDN(top + j, lanes, 0), lanes);
			}
		}
	}
}

/* @end */
