/* Fourier transforms of any length: complex to complex, real to half a spectrum and back; results are multiplied by `scale`.
 *
 * Compiled into the interpreter and copied, definition by definition, into emitted C (see support.h for the markers), so both do the same
 * operations in the same order and give the same bits without contraction. Lines are transformed 16 at a time: element j of line l of a block
 * is at re[16 * j + l] and im[16 * j + l], so that vectors run over lines, whatever their width, and no butterfly needs a shuffle.
 *
 * How a line of n is done depends on n alone, and on whether its elements are neighbours:
 *   n of prime factors up to 61     Stockham passes of radix 8, 4, 2, 3, 5 or any odd prime (autosort, decimation in frequency)
 *   such n >= 256, neighbours       n = n1 * n2 (Gentleman, Sande; "four steps"): n2 columns of n1 and, twisted and transposed, n1 of n2;
 *                                   both are blocks of 16 lines
 *   other n                         Bluestein: a convolution by transforms of a length m >= 2n - 1, m = 2^k, 3 * 2^k or 5 * 2^k
 * Real lines of even length are complex ones of half the length, untangled; the inverse is the transform with real and imaginary parts
 * exchanged. Roots of unity come from a table made by mx_fft_table in double precision and rounded once. */
#ifndef MX_FFT_H
#define MX_FFT_H
#include "complex.h"
#include "fold.h"

/* ---- plans ---- */

/* @def mx_fft_radix */
/* The radix of the first pass over n elements: 8 while three factors 2 remain (16 is 4 * 4), then the least odd prime. */
static ptrdiff_t mx_fft_radix(ptrdiff_t n)
{
	ptrdiff_t p = 3;
	if (n % 8 == 0 && (n % 16 != 0 || n % 32 == 0)) return 8;
	if (n % 4 == 0) return 4;
	if (n % 2 == 0) return 2;
	while (p * p <= n && n % p != 0) p += 2;
	return n % p == 0 ? p : n;
}

/* @def mx_fft_smooth */
/* Whether no prime factor of n is above 61. */
static bool mx_fft_smooth(ptrdiff_t n)
{
	while (n > 1) {
		const ptrdiff_t r = mx_fft_radix(n);
		if (r > 61) return false;
		n /= r;
	}
	return true;
}

/* @def mx_fft_first */
/* The largest divisor of n up to its square root: the n1 of a line in four steps. */
static ptrdiff_t mx_fft_first(ptrdiff_t n)
{
	ptrdiff_t a = 1;
	while ((a + 1) * (a + 1) <= n) a++;
	while (n % a != 0) a--;
	return a;
}

/* @def mx_fft_convolution */
/* Bluestein's length: the least of 2^k, 3 * 2^k, 5 * 2^k that is at least 2n - 1. */
static ptrdiff_t mx_fft_convolution(ptrdiff_t n)
{
	ptrdiff_t best = 1;
	while (best < 2 * n - 1) best *= 2;
	for (ptrdiff_t odd = 3; odd <= 5; odd += 2) {
		ptrdiff_t m = odd;
		while (m < 2 * n - 1) m *= 2;
		if (m < best) best = m;
	}
	return best;
}

/* @def mx_fft_table_size */
/* Floats of the table for lines of n; apart: the elements of a line are not neighbours. */
static ptrdiff_t mx_fft_table_size(ptrdiff_t n, bool apart)
{
	ptrdiff_t m = n, size = 0;
	if (!mx_fft_smooth(n)) {
		m = mx_fft_convolution(n);
		size = 2 * n + 2 * m;
		apart = false;
	}
	if (apart || m < 256) return size + 2 * m;
	const ptrdiff_t n1 = mx_fft_first(m), n2 = m / n1;
	return size + 2 * n1 + 2 * n2 + 32 * n1 + 2 * n1 * ((n2 + 15) / 16);
}

/* @def mx_fft_room_size */
/* Floats of scratch memory for lines of n. */
static ptrdiff_t mx_fft_room_size(ptrdiff_t n, bool apart)
{
	ptrdiff_t m = n, size = 0;
	if (!mx_fft_smooth(n)) {
		m = mx_fft_convolution(n);
		size = 4 * m;
		apart = false;
	}
	if (apart || m < 256) return size + 64 * m;
	const ptrdiff_t n1 = mx_fft_first(m), n2 = m / n1;
	return size + 64 * n2 + 2 * n2 * ((n1 + 15) / 16 * 16);
}

/* @def mx_rfft_table_size needs mx_fft_table_size */
/* The same for real lines of n: even ones are done as complex lines of n / 2. */
static ptrdiff_t mx_rfft_table_size(ptrdiff_t n, bool apart)
{
	return n % 2 ? mx_fft_table_size(n, apart) : mx_fft_table_size(n / 2, apart) + (n / 4 + 1) * 2;
}

/* @def mx_rfft_room_size needs mx_fft_room_size */
static ptrdiff_t mx_rfft_room_size(ptrdiff_t n, bool apart)
{
	const ptrdiff_t m = n % 2 ? n : n / 2, block = 32 * (m + 1); /* one more block, or one more line */
	return mx_fft_room_size(m, apart) + block;
}

/* ---- roots of unity ---- */

/* @def mx_fft_root */
/* exp(-2 pi i k / n), 0 <= k < n: the octant by integers, Taylor's series within it. */
static void mx_fft_root(ptrdiff_t k, ptrdiff_t n, double *re, double *im)
{
	const ptrdiff_t octant = 8 * k / n, rest = 8 * k - octant * n;
	const double x = 0.78539816339744830962 * (double)(octant % 2 ? n - rest : rest) / (double)n, y = x * x;
	double s = -7.6471637318198164759e-13, c = 4.7794773323873852974e-14, swap;
	s = s * y + 1.6059043836821614599e-10;
	s = s * y - 2.5052108385441718775e-8;
	s = s * y + 2.7557319223985890653e-6;
	s = s * y - 1.9841269841269841270e-4;
	s = s * y + 8.3333333333333333333e-3;
	s = s * y - 1.6666666666666666667e-1;
	s = s * y * x + x;
	c = c * y - 1.1470745597729724714e-11;
	c = c * y + 2.0876756987868098979e-9;
	c = c * y - 2.7557319223985890653e-7;
	c = c * y + 2.4801587301587301587e-5;
	c = c * y - 1.3888888888888888889e-3;
	c = c * y + 4.1666666666666666667e-2;
	c = c * y - 0.5;
	c = c * y + 1.0;
	if ((octant + 1) / 2 % 2) swap = c, c = s, s = swap;
	*re = octant >= 2 && octant < 6 ? -c : c;
	*im = octant < 4 ? -s : s;
}

/* @def mx_fft_halves */
/* Small tables of the n-th roots: those of 0 .. step - 1, then of 0, step, 2 step, ..; the root of any number is a product. Returns step, a
 * power of two. half: 4 * (step + n / step + 1) doubles at most, pairs. */
static ptrdiff_t mx_fft_halves(ptrdiff_t n, double *half)
{
	ptrdiff_t step = 1;
	while (step * step < n) step *= 2;
	for (ptrdiff_t i = 0; i < step && i < n; i++) mx_fft_root(i, n, &half[2 * i], &half[2 * i + 1]);
	for (ptrdiff_t i = 0; i * step < n; i++) mx_fft_root(i * step, n, &half[2 * (step + i)], &half[2 * (step + i) + 1]);
	return step;
}

/* @def mx_fft_powers */
/* The powers 0 .. count - 1 of exp(-2 pi i k / n), k < n, from the tables of n; parts `apart` floats from each other, elements `far_` floats. */
static void mx_fft_powers(ptrdiff_t k, ptrdiff_t n, ptrdiff_t count, const double *half, ptrdiff_t step, float *out, ptrdiff_t far_, ptrdiff_t apart)
{
	ptrdiff_t at = 0; /* k * i modulo n */
	for (ptrdiff_t i = 0; i < count; i++) {
		const double *const x = half + 2 * (at & (step - 1)), *const y = half + 2 * (step + at / step);
		out[i * far_] = (float)(x[0] * y[0] - x[1] * y[1]);
		out[i * far_ + apart] = (float)(x[0] * y[1] + x[1] * y[0]);
		at += k;
		if (at >= n) at -= n;
	}
}

/* ---- passes: x holds s/16 times 16 lines of r * m elements, done m apart; y gets them in order, s times r. u * r * m is the whole length,
 * of whose roots w[] are the pairs. ---- */

/* @def mx_fft_pass2 */
static void mx_fft_pass2(ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	for (ptrdiff_t p = 0; p < m; p++) {
		const float *w1 = w + 2 * u * p;
		const mx_vf c1 = mx_bc_f32(w1[0]), d1 = mx_bc_f32(w1[1]);
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const ptrdiff_t a = s * p + q, b = 2 * s * p + q;
			const mx_vf r0 = mx_ld_f32(xr + a), i0 = mx_ld_f32(xi + a), r1 = mx_ld_f32(xr + a + s * m), i1 = mx_ld_f32(xi + a + s * m);
			const mx_vf er = r0 - r1, ei = i0 - i1;
			mx_st_f32(yr + b, r0 + r1);
			mx_st_f32(yi + b, i0 + i1);
			mx_st_f32(yr + b + s, er * c1 - ei * d1);
			mx_st_f32(yi + b + s, er * d1 + ei * c1);
		}
	}
}

/* @def mx_fft_pass4 */
static void mx_fft_pass4(ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	for (ptrdiff_t p = 0; p < m; p++) {
		const float *w1 = w + 2 * u * p, *w2 = w + 4 * u * p, *w3 = w + 6 * u * p;
		const mx_vf c1 = mx_bc_f32(w1[0]), d1 = mx_bc_f32(w1[1]), c2 = mx_bc_f32(w2[0]), d2 = mx_bc_f32(w2[1]);
		const mx_vf c3 = mx_bc_f32(w3[0]), d3 = mx_bc_f32(w3[1]);
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const ptrdiff_t a = s * p + q, b = 4 * s * p + q;
			const mx_vf r0 = mx_ld_f32(xr + a), r1 = mx_ld_f32(xr + a + s * m), r2 = mx_ld_f32(xr + a + 2 * s * m), r3 = mx_ld_f32(xr + a + 3 * s * m);
			const mx_vf i0 = mx_ld_f32(xi + a), i1 = mx_ld_f32(xi + a + s * m), i2 = mx_ld_f32(xi + a + 2 * s * m), i3 = mx_ld_f32(xi + a + 3 * s * m);
			const mx_vf er = r0 + r2, ei = i0 + i2, fr = r0 - r2, fi = i0 - i2, gr = r1 + r3, gi = i1 + i3, hr = r1 - r3, hi = i1 - i3;
			const mx_vf pr = fr + hi, pi = fi - hr, qr = er - gr, qi = ei - gi, tr = fr - hi, ti = fi + hr;
			mx_st_f32(yr + b, er + gr);
			mx_st_f32(yi + b, ei + gi);
			mx_st_f32(yr + b + s, pr * c1 - pi * d1);
			mx_st_f32(yi + b + s, pr * d1 + pi * c1);
			mx_st_f32(yr + b + 2 * s, qr * c2 - qi * d2);
			mx_st_f32(yi + b + 2 * s, qr * d2 + qi * c2);
			mx_st_f32(yr + b + 3 * s, tr * c3 - ti * d3);
			mx_st_f32(yi + b + 3 * s, tr * d3 + ti * c3);
		}
	}
}

/* @def mx_fft_twist */
/* The product of (re, im) and the root w[0], w[1], stored. */
MX_INLINE void mx_fft_twist(mx_vf re, mx_vf im, const float *w, float *yr, float *yi)
{
	const mx_vf c = mx_bc_f32(w[0]), d = mx_bc_f32(w[1]);
	mx_st_f32(yr, re * c - im * d);
	mx_st_f32(yi, re * d + im * c);
}

/* @def mx_fft_pass8 */
/* Two transforms of four: the sums of elements four apart, and their differences times the eighth roots. */
static void mx_fft_pass8(ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	const mx_vf half = mx_bc_f32(0.70710678f);
	const ptrdiff_t k = s * m;
	for (ptrdiff_t p = 0; p < m; p++) {
		const ptrdiff_t v = 2 * u * p;
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const float *ar = xr + s * p + q, *ai = xi + s * p + q;
			float *br = yr + 8 * s * p + q, *bi = yi + 8 * s * p + q;
			mx_vf r0 = mx_ld_f32(ar), i0 = mx_ld_f32(ai), r4 = mx_ld_f32(ar + 4 * k), i4 = mx_ld_f32(ai + 4 * k);
			mx_vf r2 = mx_ld_f32(ar + 2 * k), i2 = mx_ld_f32(ai + 2 * k), r6 = mx_ld_f32(ar + 6 * k), i6 = mx_ld_f32(ai + 6 * k);
			const mx_vf s0r = r0 + r4, s0i = i0 + i4, d0r = r0 - r4, d0i = i0 - i4;
			const mx_vf s2r = r2 + r6, s2i = i2 + i6, e2r = i2 - i6, e2i = r6 - r2;
			r0 = mx_ld_f32(ar + k), i0 = mx_ld_f32(ai + k), r4 = mx_ld_f32(ar + 5 * k), i4 = mx_ld_f32(ai + 5 * k);
			r2 = mx_ld_f32(ar + 3 * k), i2 = mx_ld_f32(ai + 3 * k), r6 = mx_ld_f32(ar + 7 * k), i6 = mx_ld_f32(ai + 7 * k);
			const mx_vf s1r = r0 + r4, s1i = i0 + i4, d1r = r0 - r4, d1i = i0 - i4;
			const mx_vf s3r = r2 + r6, s3i = i2 + i6, d3r = r2 - r6, d3i = i2 - i6;
			const mx_vf e1r = half * (d1r + d1i), e1i = half * (d1i - d1r), e3r = half * (d3i - d3r), e3i = -half * (d3r + d3i);
			const mx_vf er = s0r + s2r, ei = s0i + s2i, fr = s0r - s2r, fi = s0i - s2i;
			const mx_vf gr = s1r + s3r, gi = s1i + s3i, hr = s1r - s3r, hi = s1i - s3i;
			mx_st_f32(br, er + gr);
			mx_st_f32(bi, ei + gi);
			mx_fft_twist(fr + hi, fi - hr, w + 2 * v, br + 2 * s, bi + 2 * s);
			mx_fft_twist(er - gr, ei - gi, w + 4 * v, br + 4 * s, bi + 4 * s);
			mx_fft_twist(fr - hi, fi + hr, w + 6 * v, br + 6 * s, bi + 6 * s);
			const mx_vf jr = d0r + e2r, ji = d0i + e2i, kr = d0r - e2r, ki = d0i - e2i;
			const mx_vf lr = e1r + e3r, li = e1i + e3i, nr = e1r - e3r, ni = e1i - e3i;
			mx_fft_twist(jr + lr, ji + li, w + v, br + s, bi + s);
			mx_fft_twist(kr + ni, ki - nr, w + 3 * v, br + 3 * s, bi + 3 * s);
			mx_fft_twist(jr - lr, ji - li, w + 5 * v, br + 5 * s, bi + 5 * s);
			mx_fft_twist(kr - ni, ki + nr, w + 7 * v, br + 7 * s, bi + 7 * s);
		}
	}
}

/* @def mx_fft_pass3 */
static void mx_fft_pass3(ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	const mx_vf sine = mx_bc_f32(0.86602540f), half = mx_bc_f32(0.5f);
	for (ptrdiff_t p = 0; p < m; p++)
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const ptrdiff_t a = s * p + q, b = 3 * s * p + q;
			const mx_vf r0 = mx_ld_f32(xr + a), r1 = mx_ld_f32(xr + a + s * m), r2 = mx_ld_f32(xr + a + 2 * s * m);
			const mx_vf i0 = mx_ld_f32(xi + a), i1 = mx_ld_f32(xi + a + s * m), i2 = mx_ld_f32(xi + a + 2 * s * m);
			const mx_vf er = r1 + r2, ei = i1 + i2, fr = sine * (i1 - i2), fi = sine * (r2 - r1), gr = r0 - half * er, gi = i0 - half * ei;
			mx_st_f32(yr + b, r0 + er);
			mx_st_f32(yi + b, i0 + ei);
			mx_fft_twist(gr + fr, gi + fi, w + 2 * u * p, yr + b + s, yi + b + s);
			mx_fft_twist(gr - fr, gi - fi, w + 4 * u * p, yr + b + 2 * s, yi + b + 2 * s);
		}
}

/* @def mx_fft_pass5 */
static void mx_fft_pass5(ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	const mx_vf c1 = mx_bc_f32(0.30901699f), c2 = mx_bc_f32(-0.80901699f), s1 = mx_bc_f32(0.95105652f), s2 = mx_bc_f32(0.58778525f);
	const ptrdiff_t k = s * m;
	for (ptrdiff_t p = 0; p < m; p++)
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const float *ar = xr + s * p + q, *ai = xi + s * p + q;
			float *br = yr + 5 * s * p + q, *bi = yi + 5 * s * p + q;
			const ptrdiff_t v = 2 * u * p;
			const mx_vf r0 = mx_ld_f32(ar), r1 = mx_ld_f32(ar + k), r2 = mx_ld_f32(ar + 2 * k), r3 = mx_ld_f32(ar + 3 * k), r4 = mx_ld_f32(ar + 4 * k);
			const mx_vf i0 = mx_ld_f32(ai), i1 = mx_ld_f32(ai + k), i2 = mx_ld_f32(ai + 2 * k), i3 = mx_ld_f32(ai + 3 * k), i4 = mx_ld_f32(ai + 4 * k);
			const mx_vf er = r1 + r4, ei = i1 + i4, fr = r1 - r4, fi = i1 - i4, gr = r2 + r3, gi = i2 + i3, hr = r2 - r3, hi = i2 - i3;
			const mx_vf jr = r0 + c1 * er + c2 * gr, ji = i0 + c1 * ei + c2 * gi, kr = s1 * fi + s2 * hi, ki = s1 * fr + s2 * hr;
			const mx_vf lr = r0 + c2 * er + c1 * gr, li = i0 + c2 * ei + c1 * gi, nr = s2 * fi - s1 * hi, ni = s2 * fr - s1 * hr;
			mx_st_f32(br, r0 + er + gr);
			mx_st_f32(bi, i0 + ei + gi);
			mx_fft_twist(jr + kr, ji - ki, w + v, br + s, bi + s);
			mx_fft_twist(lr + nr, li - ni, w + 2 * v, br + 2 * s, bi + 2 * s);
			mx_fft_twist(lr - nr, li + ni, w + 3 * v, br + 3 * s, bi + 3 * s);
			mx_fft_twist(jr - kr, ji + ki, w + 4 * v, br + 4 * s, bi + 4 * s);
		}
}

/* @def mx_fft_pass_odd */
/* Any odd r up to 61, r^2 / 2 products: results k and r - k share those of the sums and differences of elements j and r - j. */
static void mx_fft_pass_odd(ptrdiff_t r, ptrdiff_t m, ptrdiff_t s, ptrdiff_t u, const float *w, const float *xr, const float *xi, float *yr, float *yi)
{
	const ptrdiff_t k = s * m, root = u * m; /* the r-th root of one is w[root] */
	for (ptrdiff_t p = 0; p < m; p++)
		for (ptrdiff_t q = 0; q < s; q += MX_W) {
			const float *ar = xr + s * p + q, *ai = xi + s * p + q;
			float *br = yr + r * s * p + q, *bi = yi + r * s * p + q;
			const mx_vf r0 = mx_ld_f32(ar), i0 = mx_ld_f32(ai);
			mx_vf sum_r[30], sum_i[30], dif_r[30], dif_i[30], all_r = r0, all_i = i0;
			for (ptrdiff_t j = 1; j <= r / 2; j++) {
				const mx_vf r1 = mx_ld_f32(ar + j * k), i1 = mx_ld_f32(ai + j * k), r2 = mx_ld_f32(ar + (r - j) * k), i2 = mx_ld_f32(ai + (r - j) * k);
				sum_r[j - 1] = r1 + r2, sum_i[j - 1] = i1 + i2, dif_r[j - 1] = r1 - r2, dif_i[j - 1] = i1 - i2;
				all_r = all_r + sum_r[j - 1], all_i = all_i + sum_i[j - 1];
			}
			mx_st_f32(br, all_r);
			mx_st_f32(bi, all_i);
			for (ptrdiff_t i = 1; i <= r / 2; i++) {
				mx_vf er = r0, ei = i0, fr = mx_bc_f32(0.0f), fi = fr;
				for (ptrdiff_t j = 1; j <= r / 2; j++) {
					const float *z = w + 2 * root * (i * j % r);
					const mx_vf c = mx_bc_f32(z[0]), d = mx_bc_f32(z[1]);
					er = er + c * sum_r[j - 1], ei = ei + c * sum_i[j - 1];
					fr = fr + d * dif_i[j - 1], fi = fi + d * dif_r[j - 1];
				}
				mx_fft_twist(er - fr, ei + fi, w + 2 * u * p * i, br + i * s, bi + i * s);
				mx_fft_twist(er + fr, ei - fi, w + 2 * u * p * (r - i), br + (r - i) * s, bi + (r - i) * s);
			}
		}
}

/* @def mx_fft_block needs mx_fft_radix */
/* Transforms the 16 lines of n in x (real parts, then imaginary ones); y: as much memory. Returns the one that holds the result. */
static float *mx_fft_block(ptrdiff_t n, const float *w, float *x, float *y)
{
	ptrdiff_t s = 16, left = n;
	while (left > 1) {
		const ptrdiff_t r = mx_fft_radix(left), m = left / r, u = n / left;
		const float *xi = x + 16 * n;
		float *yi = y + 16 * n, *swap = x;
		if (r == 8) mx_fft_pass8(m, s, u, w, x, xi, y, yi);
		else if (r == 4) mx_fft_pass4(m, s, u, w, x, xi, y, yi);
		else if (r == 2) mx_fft_pass2(m, s, u, w, x, xi, y, yi);
		else if (r == 3) mx_fft_pass3(m, s, u, w, x, xi, y, yi);
		else if (r == 5) mx_fft_pass5(m, s, u, w, x, xi, y, yi);
		else mx_fft_pass_odd(r, m, s, u, w, x, xi, y, yi);
		x = y;
		y = swap;
		s *= r;
		left = m;
	}
	return x;
}

/* ---- between memory and blocks ---- */

/* @def mx_fft_load_rows */
/* 16 lines of neighbouring pairs, `line` floats apart, by transposes in registers; returns how many elements of each are done. */
static ptrdiff_t mx_fft_load_rows(const float *z, ptrdiff_t line, ptrdiff_t n, float *to, float *ti)
{
	ptrdiff_t j = 0;
#if MX_W > 1
#define MX_EVEN(j) (2 * (j))
#define MX_ODD(j) (2 * (j) + 1)
	for (; j + MX_W <= n; j += MX_W)
		for (ptrdiff_t l = 0; l < 16; l += MX_W) {
			mx_vf re[MX_W], im[MX_W];
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				const float *const at = z + (l + i) * line + 2 * j;
				const mx_vf low = mx_ld_f32(at), high = mx_ld_f32(at + MX_W);
				re[i] = MX_SHUFFLE(low, high, MX_EVEN);
				im[i] = MX_SHUFFLE(low, high, MX_ODD);
			}
			mx_transpose_vf(re);
			mx_transpose_vf(im);
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				mx_st_f32(to + 16 * (j + i) + l, re[i]);
				mx_st_f32(ti + 16 * (j + i) + l, im[i]);
			}
		}
#else
	(void)z, (void)line, (void)n, (void)to, (void)ti;
#endif
	return j;
}

/* @def mx_fft_store_rows */
static ptrdiff_t mx_fft_store_rows(float *z, ptrdiff_t line, ptrdiff_t n, const float *fr, const float *fi, float scale)
{
	ptrdiff_t j = 0;
#if MX_W > 1
#define MX_ZIP_LOW(j) ((j) / 2 + (j) % 2 * MX_W)
#define MX_ZIP_HIGH(j) (((j) + MX_W) / 2 + (j) % 2 * MX_W)
	const mx_vf by = mx_bc_f32(scale);
	for (; j + MX_W <= n; j += MX_W)
		for (ptrdiff_t l = 0; l < 16; l += MX_W) {
			mx_vf re[MX_W], im[MX_W];
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				re[i] = mx_ld_f32(fr + 16 * (j + i) + l) * by;
				im[i] = mx_ld_f32(fi + 16 * (j + i) + l) * by;
			}
			mx_transpose_vf(re);
			mx_transpose_vf(im);
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				float *const at = z + (l + i) * line + 2 * j;
				mx_st_f32(at, MX_SHUFFLE(re[i], im[i], MX_ZIP_LOW));
				mx_st_f32(at + MX_W, MX_SHUFFLE(re[i], im[i], MX_ZIP_HIGH));
			}
		}
#else
	(void)z, (void)line, (void)n, (void)fr, (void)fi, (void)scale;
#endif
	return j;
}

/* @def mx_fft_load */
/* n elements of `lines` lines into a block, zeros into its other lines. Elements are `step` floats apart, lines `line` floats.
 * im NULL: real lines. */
static void mx_fft_load(const float *re, const float *im, ptrdiff_t step, ptrdiff_t line, ptrdiff_t n, ptrdiff_t lines, float *to)
{
	float *const ti = to + 16 * n;
	const bool beside = lines == 16 && im && (im == re + 1 || re == im + 1), pairs = beside && line == 2;
	const ptrdiff_t done = beside && step == 2 && !pairs ? mx_fft_load_rows(re < im ? re : im, line, n, re < im ? to : ti, re < im ? ti : to) : 0;
	for (ptrdiff_t j = done; j < n; j++) {
		const float *r = re + j * step, *i = im ? im + j * step : re;
		if (pairs) {
			const float *z = re < im ? r : i;
			float *a = (re < im ? to : ti) + 16 * j, *b = (re < im ? ti : to) + 16 * j;
			for (int l = 0; l < 16; l += MX_W) {
#if MX_W > 1
				const mx_vf low = mx_ld_f32(z + 2 * l), high = mx_ld_f32(z + 2 * l + MX_W);
				mx_st_f32(a + l, MX_SHUFFLE(low, high, MX_EVEN));
				mx_st_f32(b + l, MX_SHUFFLE(low, high, MX_ODD));
#else
				a[l] = z[2 * l], b[l] = z[2 * l + 1];
#endif
			}
		} else if (line == 1 && lines == 16) {
			for (int l = 0; l < 16; l += MX_W) {
				mx_st_f32(to + 16 * j + l, mx_ld_f32(r + l));
				mx_st_f32(ti + 16 * j + l, im ? mx_ld_f32(i + l) : mx_bc_f32(0.0f));
			}
		} else {
			for (ptrdiff_t l = 0; l < 16; l++) to[16 * j + l] = l < lines ? r[l * line] : 0.0f;
			for (ptrdiff_t l = 0; l < 16; l++) ti[16 * j + l] = im && l < lines ? i[l * line] : 0.0f;
		}
	}
}

/* @def mx_fft_store */
/* The other way round, from parts fr and fi, times scale; im NULL: the real parts alone. */
static void mx_fft_store(float *re, float *im, ptrdiff_t step, ptrdiff_t line, ptrdiff_t n, ptrdiff_t lines, const float *fr, const float *fi, float scale)
{
	const mx_vf by = mx_bc_f32(scale);
	const bool beside = lines == 16 && im && (im == re + 1 || re == im + 1), pairs = beside && line == 2;
	const ptrdiff_t done = beside && step == 2 && !pairs ? mx_fft_store_rows(re < im ? re : im, line, n, re < im ? fr : fi, re < im ? fi : fr, scale) : 0;
	for (ptrdiff_t j = done; j < n; j++) {
		float *r = re + j * step, *i = im ? im + j * step : re;
		if (pairs) {
			float *z = re < im ? r : i;
			const float *a = (re < im ? fr : fi) + 16 * j, *b = (re < im ? fi : fr) + 16 * j;
			for (int l = 0; l < 16; l += MX_W) {
#if MX_W > 1
				const mx_vf even = mx_ld_f32(a + l) * by, odd = mx_ld_f32(b + l) * by;
				mx_st_f32(z + 2 * l, MX_SHUFFLE(even, odd, MX_ZIP_LOW));
				mx_st_f32(z + 2 * l + MX_W, MX_SHUFFLE(even, odd, MX_ZIP_HIGH));
#else
				z[2 * l] = a[l] * by, z[2 * l + 1] = b[l] * by;
#endif
			}
		} else if (line == 1 && lines == 16) {
			for (int l = 0; l < 16; l += MX_W) {
				mx_st_f32(r + l, mx_ld_f32(fr + 16 * j + l) * by);
				if (im) mx_st_f32(i + l, mx_ld_f32(fi + 16 * j + l) * by);
			}
		} else {
			for (ptrdiff_t l = 0; l < lines; l++) r[l * line] = fr[16 * j + l] * scale;
			for (ptrdiff_t l = 0; im && l < lines; l++) i[l * line] = fi[16 * j + l] * scale;
		}
	}
}

/* @def mx_fft_turn */
/* 16 columns of rows k in 0..n1 become 16 rows of t, n1 (at least) apart, each element times its root a[32 * k + column] * b[k]. */
static void mx_fft_turn(ptrdiff_t n1, const float *fr, const float *fi, const float *a, const float *b, ptrdiff_t far_b, ptrdiff_t columns, ptrdiff_t ld, float *tr, float *ti)
{
	for (ptrdiff_t k0 = 0; k0 < n1; k0 += MX_W)
		for (ptrdiff_t l = 0; l < columns; l += MX_W) {
			mx_vf re[MX_W], im[MX_W];
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				const ptrdiff_t k = k0 + i < n1 ? k0 + i : n1 - 1;
				const mx_vf ar = mx_ld_f32(a + 32 * k + l), ai = mx_ld_f32(a + 32 * k + 16 + l);
				const mx_vf br = mx_bc_f32(b[far_b * k]), bi = mx_bc_f32(b[far_b * k + 1]);
				const mx_vf wr = ar * br - ai * bi, wi = ar * bi + ai * br, xr = mx_ld_f32(fr + 16 * k + l), xi = mx_ld_f32(fi + 16 * k + l);
				re[i] = xr * wr - xi * wi;
				im[i] = xr * wi + xi * wr;
			}
			mx_transpose_vf(re);
			mx_transpose_vf(im);
			MX_UNROLL(16) for (int i = 0; i < MX_W; i++) {
				if (l + i >= columns) continue;
				mx_st_f32(tr + (l + i) * ld + k0, re[i]);
				mx_st_f32(ti + (l + i) * ld + k0, im[i]);
			}
		}
}

/* @def mx_fft_smooth_line */
/* One line of n, prime factors up to 61; elements `step` and `to` floats apart. */
static void mx_fft_smooth_line(ptrdiff_t n, const float *re, const float *im, ptrdiff_t step, float *or_, float *oi, ptrdiff_t to, float scale, const float *w, float *room)
{
	if (n < 256) {
		float *x = room, *y = room + 32 * n;
		mx_fft_load(re, im, step, 0, n, 1, x);
		x = mx_fft_block(n, w, x, y);
		mx_fft_store(or_, oi, to, 0, n, 1, x, x + 16 * n, scale);
		return;
	}
	const ptrdiff_t n1 = mx_fft_first(n), n2 = n / n1, ld = (n1 + 15) / 16 * 16, blocks = (n2 + 15) / 16;
	const float *w1 = w, *w2 = w1 + 2 * n1, *a = w2 + 2 * n2, *b = a + 32 * n1;
	float *x = room, *y = room + 32 * n2, *tr = room + 64 * n2, *ti = tr + n2 * ld;
	for (ptrdiff_t j = 0; j < n2; j += 16) {
		const ptrdiff_t columns = n2 - j < 16 ? n2 - j : 16;
		mx_fft_load(re + j * step, im ? im + j * step : NULL, n2 * step, step, n1, columns, x);
		const float *z = mx_fft_block(n1, w1, x, y);
		mx_fft_turn(n1, z, z + 16 * n1, a, b + 2 * (j / 16), 2 * blocks, columns, ld, tr + j * ld, ti + j * ld);
	}
	for (ptrdiff_t k = 0; k < n1; k += 16) {
		const ptrdiff_t lines = n1 - k < 16 ? n1 - k : 16;
		mx_fft_load(tr + k, ti + k, ld, 1, n2, 16, x);
		const float *z = mx_fft_block(n2, w2, x, y);
		mx_fft_store(or_ + k * to, oi ? oi + k * to : NULL, n1 * to, to, n2, lines, z, z + 16 * n2, scale);
	}
}

/* @def mx_fft_line */
/* One line of any n. Bluestein: with c[j] = exp(-pi i j^2 / n), the result is c[k] times the convolution of x[j] c[j] with conj(c). */
static void mx_fft_line(ptrdiff_t n, const float *re, const float *im, ptrdiff_t step, float *or_, float *oi, ptrdiff_t to, float scale, const float *w, float *room)
{
	if (mx_fft_smooth(n)) {
		mx_fft_smooth_line(n, re, im, step, or_, oi, to, scale, w, room);
		return;
	}
	const ptrdiff_t m = mx_fft_convolution(n);
	const float *c = w, *f = w + 2 * n, *table = f + 2 * m;
	float *ar = room, *ai = ar + m, *br = ai + m, *bi = br + m, *rest = bi + m;
	for (ptrdiff_t j = 0; j < n; j++) {
		const float xr = re[j * step], xi = im ? im[j * step] : 0.0f;
		ar[j] = xr * c[2 * j] - xi * c[2 * j + 1];
		ai[j] = xr * c[2 * j + 1] + xi * c[2 * j];
	}
	for (ptrdiff_t j = n; j < m; j++) ar[j] = ai[j] = 0.0f;
	mx_fft_smooth_line(m, ar, ai, 1, br, bi, 1, 1.0f, table, rest);
	for (ptrdiff_t j = 0; j < m; j++) {
		ar[j] = br[j] * f[j] - bi[j] * f[m + j];
		ai[j] = br[j] * f[m + j] + bi[j] * f[j];
	}
	mx_fft_smooth_line(m, ai, ar, 1, bi, br, 1, 1.0f, table, rest);
	for (ptrdiff_t k = 0; k < n; k++) {
		or_[k * to] = (br[k] * c[2 * k] - bi[k] * c[2 * k + 1]) * scale;
		if (oi) oi[k * to] = (br[k] * c[2 * k + 1] + bi[k] * c[2 * k]) * scale;
	}
}

/* @def mx_fft_table */
/* Fills the table for lines of n; room as for the transform. */
static void mx_fft_table(ptrdiff_t n, bool apart, float *w, float *room)
{
	ptrdiff_t m = n;
	float *t = w;
	const bool smooth = mx_fft_smooth(n);
	if (!smooth) {
		m = mx_fft_convolution(n);
		t += 2 * n + 2 * m;
		apart = false;
	}
	double *const half = (double *)(void *)room;
	if (m < 1) return;
	ptrdiff_t step = mx_fft_halves(m, half);
	if (apart || m < 256) {
		mx_fft_powers(1 % m, m, m, half, step, t, 2, 1);
	} else {
		const ptrdiff_t n1 = mx_fft_first(m), n2 = m / n1, blocks = (n2 + 15) / 16;
		float *const a = t + 2 * n1 + 2 * n2, *const b = a + 32 * n1;
		mx_fft_powers(n2 % m, m, n1, half, step, t, 2, 1);
		mx_fft_powers(n1 % m, m, n2, half, step, t + 2 * n1, 2, 1);
		for (ptrdiff_t k = 0; k < n1; k++) {
			mx_fft_powers(k, m, 16, half, step, a + 32 * k, 1, 16);
			mx_fft_powers(16 * k % m, m, blocks, half, step, b + 2 * blocks * k, 2, 1);
		}
	}
	if (smooth) return;
	float *const f = w + 2 * n, *const br = room, *const bi = br + m;
	ptrdiff_t square = 0; /* j^2 modulo 2n */
	step = mx_fft_halves(2 * n, half);
	for (ptrdiff_t j = 0; j < n; j++) {
		const double *const x = half + 2 * (square & (step - 1)), *const y = half + 2 * (step + square / step);
		w[2 * j] = (float)(x[0] * y[0] - x[1] * y[1]), w[2 * j + 1] = (float)(x[0] * y[1] + x[1] * y[0]);
		square = (square + 2 * j + 1) % (2 * n);
	}
	for (ptrdiff_t j = 0; j < 2 * m; j++) br[j] = 0.0f;
	for (ptrdiff_t j = 0; j < n; j++) {
		const ptrdiff_t back = j ? m - j : 0;
		br[j] = br[back] = w[2 * j] / (float)m;
		bi[j] = bi[back] = -w[2 * j + 1] / (float)m;
	}
	mx_fft_smooth_line(m, br, bi, 1, f, f + m, 1, 1.0f, t, room + 4 * m);
}

/* @def mx_rfft_table */
/* The table for real lines of n: the roots of n that untangle, then the table of the complex lines. */
static void mx_rfft_table(ptrdiff_t n, bool apart, float *w, float *room)
{
	if (n < 1) return;
	if (n % 2 == 0) {
		double *const half = (double *)(void *)room;
		const ptrdiff_t step = mx_fft_halves(n, half);
		mx_fft_powers(1, n, n / 4 + 1, half, step, w, 2, 1);
	}
	mx_fft_table(n % 2 ? n : n / 2, apart, n % 2 ? w : w + 2 * (n / 4 + 1), room);
}

/* ---- whole tensors: [outer, n, inner] ---- */

/* @def mx_fft_c64 needs mx_c64 */
static void mx_fft_c64(const mx_c64 *x, mx_c64 *y, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t inner, bool inverse, float scale, const float *w, float *room)
{
	const float *re = (const float *)(const void *)x + (inverse ? 1 : 0), *im = (const float *)(const void *)x + (inverse ? 0 : 1);
	float *or_ = (float *)(void *)y + (inverse ? 1 : 0), *oi = (float *)(void *)y + (inverse ? 0 : 1);
	const bool apart = inner > 1, block = mx_fft_smooth(n) && (apart || n < 256);
	const ptrdiff_t step = 2 * inner, line = apart ? 2 : 2 * n, lines = apart ? inner : outer, times = apart ? outer : 1;
	if (n < 1 || inner < 1) return;
	for (ptrdiff_t o = 0; o < times; o++)
		for (ptrdiff_t l = 0; l < lines; l += block ? 16 : 1) {
			const ptrdiff_t at = 2 * n * inner * o + l * line, some = lines - l < 16 ? lines - l : 16;
			if (block) {
				mx_fft_load(re + at, im + at, step, line, n, some, room);
				const float *z = mx_fft_block(n, w, room, room + 32 * n);
				mx_fft_store(or_ + at, oi + at, step, line, n, some, z, z + 16 * n, scale);
			} else {
				mx_fft_line(n, re + at, im + at, step, or_ + at, oi + at, step, scale, w, room);
			}
		}
}

/* @def MX_BACK */
#define MX_BACK(j) (MX_W - 1 - (j))

/* @def mx_rfft_untangle needs mx_fft_load_rows MX_BACK */
/* From the transform z of h pairs of real elements (lines s side by side) the spectrum 0 .. h of the 2h of them. */
static void mx_rfft_untangle(ptrdiff_t h, ptrdiff_t s, const float *w, const float *zr, const float *zi, float *xr, float *xi)
{
	for (ptrdiff_t q = 0; q < s; q++) {
		const float a = zr[q], b = zi[q];
		xr[q] = a + b, xi[q] = 0.0f;
		xr[s * h + q] = a - b, xi[s * h + q] = 0.0f;
	}
	ptrdiff_t k = 1;
#if MX_W > 1
	for (; s == 1 && 2 * (k + MX_W - 1) < h; k += MX_W) { /* elements k .. and, backwards, h - k .. */
		const ptrdiff_t j = h - k - MX_W + 1;
		const mx_vf half = mx_bc_f32(0.5f), low = mx_ld_f32(w + 2 * k), high = mx_ld_f32(w + 2 * k + MX_W);
		const mx_vf c = half * MX_SHUFFLE(low, high, MX_EVEN), d = half * MX_SHUFFLE(low, high, MX_ODD);
		const mx_vf ar = mx_ld_f32(zr + k), ai = mx_ld_f32(zi + k), tr = mx_ld_f32(zr + j), ti = mx_ld_f32(zi + j);
		const mx_vf br = MX_SHUFFLE(tr, tr, MX_BACK), bi = MX_SHUFFLE(ti, ti, MX_BACK);
		const mx_vf er = half * (ar + br), ei = half * (ai - bi), fr = ai + bi, fi = br - ar, gr = fr * c - fi * d, gi = fr * d + fi * c;
		const mx_vf yr = er - gr, yi = gi - ei;
		mx_st_f32(xr + k, er + gr), mx_st_f32(xi + k, ei + gi);
		mx_st_f32(xr + j, MX_SHUFFLE(yr, yr, MX_BACK)), mx_st_f32(xi + j, MX_SHUFFLE(yi, yi, MX_BACK));
	}
#endif
	for (; k <= h / 2; k++) {
		const float c = 0.5f * w[2 * k], d = 0.5f * w[2 * k + 1];
		for (ptrdiff_t q = 0; q < s; q++) {
			const ptrdiff_t i = s * k + q, j = s * (h - k) + q;
			const float er = 0.5f * (zr[i] + zr[j]), ei = 0.5f * (zi[i] - zi[j]), fr = zi[i] + zi[j], fi = zr[j] - zr[i];
			const float gr = fr * c - fi * d, gi = fr * d + fi * c;
			xr[i] = er + gr, xi[i] = ei + gi;
			xr[j] = er - gr, xi[j] = gi - ei;
		}
	}
}

/* @def mx_rfft_tangle needs mx_fft_load_rows MX_BACK */
/* The way back, times two: what transforms to 2h real elements as h pairs. The imaginary parts of 0 and h are not read. */
static void mx_rfft_tangle(ptrdiff_t h, ptrdiff_t s, const float *w, const float *xr, const float *xi, float *zr, float *zi)
{
	for (ptrdiff_t q = 0; q < s; q++) {
		const float a = xr[q], b = xr[s * h + q];
		zr[q] = a + b, zi[q] = a - b;
	}
	ptrdiff_t k = 1;
#if MX_W > 1
	for (; s == 1 && 2 * (k + MX_W - 1) < h; k += MX_W) {
		const ptrdiff_t j = h - k - MX_W + 1;
		const mx_vf low = mx_ld_f32(w + 2 * k), high = mx_ld_f32(w + 2 * k + MX_W), c = MX_SHUFFLE(low, high, MX_EVEN), d = MX_SHUFFLE(low, high, MX_ODD);
		const mx_vf ar = mx_ld_f32(xr + k), ai = mx_ld_f32(xi + k), tr = mx_ld_f32(xr + j), ti = mx_ld_f32(xi + j);
		const mx_vf br = MX_SHUFFLE(tr, tr, MX_BACK), bi = MX_SHUFFLE(ti, ti, MX_BACK);
		const mx_vf er = ar + br, ei = ai - bi, fr = ar - br, fi = ai + bi, gr = fr * d - fi * c, gi = fr * c + fi * d;
		const mx_vf yr = er - gr, yi = gi - ei;
		mx_st_f32(zr + k, er + gr), mx_st_f32(zi + k, ei + gi);
		mx_st_f32(zr + j, MX_SHUFFLE(yr, yr, MX_BACK)), mx_st_f32(zi + j, MX_SHUFFLE(yi, yi, MX_BACK));
	}
#endif
	for (; k <= h / 2; k++) {
		const float c = w[2 * k], d = w[2 * k + 1];
		for (ptrdiff_t q = 0; q < s; q++) {
			const ptrdiff_t i = s * k + q, j = s * (h - k) + q;
			const float er = xr[i] + xr[j], ei = xi[i] - xi[j], fr = xr[i] - xr[j], fi = xi[i] + xi[j];
			const float gr = fr * d - fi * c, gi = fr * c + fi * d;
			zr[i] = er + gr, zi[i] = ei + gi;
			zr[j] = er - gr, zi[j] = gi - ei;
		}
	}
}

/* @def mx_rfft_f32 needs mx_c64 */
/* x [outer, n, inner] to y [outer, n / 2 + 1, inner]. */
static void mx_rfft_f32(const float *x, mx_c64 *y, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t inner, float scale, const float *w, float *room)
{
	const bool even = n % 2 == 0, apart = inner > 1;
	const ptrdiff_t m = even ? n / 2 : n, keep = n / 2 + 1, lines = apart ? inner : outer, times = apart ? outer : 1;
	const bool block = mx_fft_smooth(m) && (apart || m < 256);
	const ptrdiff_t step = even ? 2 * inner : inner, line = apart ? 1 : n, to = apart ? 2 : 2 * keep;
	const float *const table = even ? w + 2 * (n / 4 + 1) : w;
	float *const spare = room + 32 * (m + 1), *const out = (float *)(void *)y;
	for (ptrdiff_t i = 0; n < 1 && i < 2 * outer * inner; i++) out[i] = 0.0f;
	for (ptrdiff_t o = 0; n > 0 && inner > 0 && o < times; o++)
		for (ptrdiff_t l = 0; l < lines; l += block ? 16 : 1) {
			const float *re = x + n * inner * o + l * line, *im = even ? re + inner : NULL;
			float *const or_ = out + 2 * keep * inner * o + l * to;
			const ptrdiff_t some = lines - l < 16 ? lines - l : 16;
			if (block) {
				mx_fft_load(re, im, step, line, m, some, spare);
				const float *z = mx_fft_block(m, table, spare, spare + 32 * m);
				if (even) mx_rfft_untangle(m, 16, w, z, z + 16 * m, room, room + 16 * keep);
				mx_fft_store(or_, or_ + 1, 2 * inner, to, keep, some, even ? room : z, even ? room + 16 * keep : z + 16 * m, scale);
			} else {
				float *const zr = room, *const zi = zr + m, *const xr = even ? zi + m : zr, *const xi = even ? xr + keep : zi;
				mx_fft_line(m, re, im, step, zr, zi, 1, even ? 1.0f : scale, table, spare);
				if (even) mx_rfft_untangle(m, 1, w, zr, zi, xr, xi);
				const float by = even ? scale : 1.0f;
				const ptrdiff_t rows = inner == 1 ? keep / 16 : 0; /* 16 neighbours are stored as 16 lines are */
				mx_fft_store(or_, or_ + 1, 32, 2, rows, 16, xr, xi, by);
				for (ptrdiff_t k = 16 * rows; k < keep; k++) or_[2 * inner * k] = xr[k] * by, or_[2 * inner * k + 1] = xi[k] * by;
			}
		}
}

/* @def mx_irfft_whole */
/* The whole spectrum of an odd number of real elements from its first half. */
static void mx_irfft_whole(ptrdiff_t n, ptrdiff_t s, const float *xr, const float *xi, float *zr, float *zi)
{
	for (ptrdiff_t q = 0; q < s; q++) zr[q] = xr[q], zi[q] = 0.0f;
	for (ptrdiff_t k = 1; k <= n / 2; k++)
		for (ptrdiff_t q = 0; q < s; q++) {
			const ptrdiff_t i = s * k + q, j = s * (n - k) + q;
			zr[i] = zr[j] = xr[i], zi[i] = xi[i], zi[j] = -xi[i];
		}
}

/* @def mx_irfft_c64 needs mx_c64 */
/* x [outer, n / 2 + 1, inner] to y [outer, n, inner]. */
static void mx_irfft_c64(const mx_c64 *x, float *y, ptrdiff_t outer, ptrdiff_t n, ptrdiff_t inner, float scale, const float *w, float *room)
{
	const bool even = n % 2 == 0, apart = inner > 1;
	const ptrdiff_t m = even ? n / 2 : n, keep = n / 2 + 1, lines = apart ? inner : outer, times = apart ? outer : 1;
	const bool block = mx_fft_smooth(m) && (apart || m < 256);
	const ptrdiff_t step = even ? 2 * inner : inner, line = apart ? 1 : n, from = apart ? 2 : 2 * keep;
	const float *const table = even ? w + 2 * (n / 4 + 1) : w, *const in = (const float *)(const void *)x;
	float *const spare = room + 32 * (m + 1);
	for (ptrdiff_t o = 0; n > 0 && inner > 0 && o < times; o++)
		for (ptrdiff_t l = 0; l < lines; l += block ? 16 : 1) {
			const float *const at = in + 2 * keep * inner * o + l * from;
			float *const re = y + n * inner * o + l * line, *const im = even ? re + inner : NULL;
			const ptrdiff_t some = lines - l < 16 ? lines - l : 16;
			if (block) {
				mx_fft_load(at, at + 1, 2 * inner, from, keep, some, room);
				if (even) mx_rfft_tangle(m, 16, w, room, room + 16 * keep, spare + 16 * m, spare);
				else mx_irfft_whole(n, 16, room, room + 16 * keep, spare + 16 * m, spare);
				const float *z = mx_fft_block(m, table, spare, spare + 32 * m);
				mx_fft_store(re, im, step, line, m, some, z + 16 * m, z, scale);
			} else {
				float *const zr = room, *const zi = zr + m, *const xr = zi + m, *const xi = xr + keep;
				for (ptrdiff_t k = 0; k < keep; k++) xr[k] = at[2 * inner * k], xi[k] = at[2 * inner * k + 1];
				if (even) {
					mx_rfft_tangle(m, 1, w, xr, xi, zr, zi);
					mx_fft_line(m, zi, zr, 1, im, re, step, scale, table, spare);
				} else {
					mx_irfft_whole(n, 1, xr, xi, zr, zi);
					mx_fft_line(m, zi, zr, 1, xi + keep, xi + keep + m, 1, scale, table, spare);
					for (ptrdiff_t j = 0; j < n; j++) re[inner * j] = xi[keep + m + j];
				}
			}
		}
}

/* @end */
#endif
