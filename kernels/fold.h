/* Folds: 64 partial results, lane l of vector v being number v * MX_W + l, are combined by halving: 32, 16, 8, 4, 2, 1, whatever MX_W is.
 * Written out for each operation, as support.h's functions are for each dtype: emitted C gets the one that it reaches, as a plain function. */
#ifndef MX_FOLD_H
#define MX_FOLD_H
#include "lanes.h"

/* @def MX_ROTATE_8 */
#define MX_ROTATE_8(j) (((j) + 8) % MX_W)

/* @def MX_ROTATE_4 */
#define MX_ROTATE_4(j) (((j) + 4) % MX_W)

/* @def MX_ROTATE_2 */
#define MX_ROTATE_2(j) (((j) + 2) % MX_W)

/* @def MX_ROTATE_1 */
#define MX_ROTATE_1(j) (((j) + 1) % MX_W)

/* @def mx_hadd_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly t[i] + t[i + w] at each width w. */
MX_INLINE float mx_hadd_vf(mx_vf v)
{
#if MX_W > 8
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_8);
#endif
#if MX_W > 4
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_4);
#endif
#if MX_W > 1
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_2);
	v = v + MX_SHUFFLE(v, v, MX_ROTATE_1);
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_add_vf */
MX_INLINE float mx_fold_add_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = t[i] + t[i + 32];
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = t[i] + t[i + 16];
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = t[i] + t[i + 8];
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = t[i] + t[i + 4];
#endif
	t[0] = t[0] + t[2];
	t[1] = t[1] + t[3];
	return mx_hadd_vf(t[0] + t[1]);
}

/* @def mx_hmul_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly t[i] * t[i + w] at each width w. */
MX_INLINE float mx_hmul_vf(mx_vf v)
{
#if MX_W > 8
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_8);
#endif
#if MX_W > 4
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_4);
#endif
#if MX_W > 1
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_2);
	v = v * MX_SHUFFLE(v, v, MX_ROTATE_1);
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_mul_vf */
MX_INLINE float mx_fold_mul_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = t[i] * t[i + 32];
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = t[i] * t[i + 16];
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = t[i] * t[i + 8];
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = t[i] * t[i + 4];
#endif
	t[0] = t[0] * t[2];
	t[1] = t[1] * t[3];
	return mx_hmul_vf(t[0] * t[1]);
}

/* @def mx_hmax_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_max(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hmax_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_max_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_max_vf */
MX_INLINE float mx_fold_max_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_max_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_max_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_max_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_max_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_max_vf(t[0], t[2]);
	t[1] = mx_max_vf(t[1], t[3]);
	return mx_hmax_vf(mx_max_vf(t[0], t[1]));
}

/* @def mx_hmin_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_min(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hmin_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_min_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_min_vf */
MX_INLINE float mx_fold_min_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_min_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_min_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_min_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_min_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_min_vf(t[0], t[2]);
	t[1] = mx_min_vf(t[1], t[3]);
	return mx_hmin_vf(mx_min_vf(t[0], t[1]));
}

/* @def mx_hpmax_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_pmax(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hpmax_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_pmax_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_pmax_vf */
MX_INLINE float mx_fold_pmax_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_pmax_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_pmax_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_pmax_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_pmax_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_pmax_vf(t[0], t[2]);
	t[1] = mx_pmax_vf(t[1], t[3]);
	return mx_hpmax_vf(mx_pmax_vf(t[0], t[1]));
}

/* @def mx_hpmin_vf */
/* One vector, by halving: rotated copies are combined, so that lane 0 gets exactly mx_pmin(t[i], t[i + w]) at each width w. */
MX_INLINE float mx_hpmin_vf(mx_vf v)
{
#if MX_W > 8
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_8));
#endif
#if MX_W > 4
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_4));
#endif
#if MX_W > 1
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_2));
	v = mx_pmin_vf(v, MX_SHUFFLE(v, v, MX_ROTATE_1));
	return v[0];
#else
	return v;
#endif
}

/* @def mx_fold_pmin_vf */
MX_INLINE float mx_fold_pmin_vf(const mx_vf *part)
{
	mx_vf t[64 / MX_W];
	MX_UNROLL(16) for (int i = 0; i < 64 / MX_W; i++) t[i] = part[i];
#if MX_W == 1
	MX_UNROLL(32) for (int i = 0; i < 32; i++) t[i] = mx_pmin_vf(t[i], t[i + 32]);
	MX_UNROLL(16) for (int i = 0; i < 16; i++) t[i] = mx_pmin_vf(t[i], t[i + 16]);
#endif
#if MX_W <= 4
	MX_UNROLL(8) for (int i = 0; i < 8; i++) t[i] = mx_pmin_vf(t[i], t[i + 8]);
#endif
#if MX_W <= 8
	MX_UNROLL(4) for (int i = 0; i < 4; i++) t[i] = mx_pmin_vf(t[i], t[i + 4]);
#endif
	t[0] = mx_pmin_vf(t[0], t[2]);
	t[1] = mx_pmin_vf(t[1], t[3]);
	return mx_hpmin_vf(mx_pmin_vf(t[0], t[1]));
}

/* @def mx_fold_add_vd */
MX_INLINE double mx_fold_add_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = t[i] + t[i + w];
	return t[0];
}

/* @def mx_fold_mul_vd */
MX_INLINE double mx_fold_mul_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = t[i] * t[i + w];
	return t[0];
}

/* @def mx_fold_max_vd */
MX_INLINE double mx_fold_max_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = mx_max_f64(t[i], t[i + w]);
	return t[0];
}

/* @def mx_fold_min_vd */
MX_INLINE double mx_fold_min_vd(const mx_vd *part)
{
	double t[64];
	for (int i = 0; i < 64 / MX_WD; i++) mx_st_f64(t + i * MX_WD, part[i]);
	for (int w = 32; w >= 1; w /= 2)
		for (int i = 0; i < w; i++) t[i] = mx_min_f64(t[i], t[i + w]);
	return t[0];
}

/* @def mx_arg_merge */
/* Takes w, found at k, for v, found at `at`, in each lane where it is larger; a nan before numbers, the lower position of equals. */
MX_INLINE void mx_arg_merge(mx_vf *v, mx_vi *at, mx_vf w, mx_vi k)
{
	const mx_vi better = (*v == *v) & ((w > *v) | (w != w)), equal = (w == *v) | ((*v != *v) & (w != w)), take = better | (equal & (k < *at));
	*v = mx_sel(take, w, *v);
	*at = mx_sel_vi(take, k, *at);
}

/* @def mx_arg_vf */
/* The position at[l] of the largest v[l]: a nan before numbers, the lower position of equals. */
MX_INLINE uint32_t mx_arg_vf(mx_vf v, mx_vi at)
{
#if MX_W > 8
	mx_arg_merge(&v, &at, MX_SHUFFLE(v, v, MX_ROTATE_8), MX_SHUFFLE(at, at, MX_ROTATE_8));
#endif
#if MX_W > 4
	mx_arg_merge(&v, &at, MX_SHUFFLE(v, v, MX_ROTATE_4), MX_SHUFFLE(at, at, MX_ROTATE_4));
#endif
#if MX_W > 1
	mx_arg_merge(&v, &at, MX_SHUFFLE(v, v, MX_ROTATE_2), MX_SHUFFLE(at, at, MX_ROTATE_2));
	mx_arg_merge(&v, &at, MX_SHUFFLE(v, v, MX_ROTATE_1), MX_SHUFFLE(at, at, MX_ROTATE_1));
	return (uint32_t)at[0];
#else
	(void)v;
	return (uint32_t)at;
#endif
}

/* @end */
#endif
