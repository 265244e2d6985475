/* Every function of kernels/vector.h, lanes.h and fold.h against scalar C, lane by lane, to the bit (a nan for a nan). Built by tests/test_vector_layer.py at each
 * width and by several compilers; prints what differs and returns 1. */
#include "../../kernels/fold.h"
#include <stdio.h>
#include <stdlib.h>

static int failures;

static uint32_t bits(float x)
{
	uint32_t u;
	memcpy(&u, &x, sizeof u);
	return u;
}

static float from_bits(uint32_t u)
{
	float x;
	memcpy(&x, &u, sizeof x);
	return x;
}

static void same_f32(const char *what, float got, float want, float a, float b)
{
	if (bits(got) == bits(want) || (got != got && want != want)) return;
	if (failures++ < 40) printf("%s(%a, %a) = %a, not %a\n", what, (double)a, (double)b, (double)got, (double)want);
}

static void same_u32(const char *what, uint32_t got, uint32_t want, double a)
{
	if (got != want && failures++ < 40) printf("%s(%a) = %08x, not %08x\n", what, a, got, want);
}

static uint32_t seed = 12345;
static uint32_t random_u32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

static const float special[] = {0.0f,          -0.0f,          1.0f,          -1.0f,         0.5f,
                                -0.5f,         1.5f,           2.5f,          INFINITY,      -INFINITY,
                                NAN,           -NAN,           1e-45f,        -1e-45f,       1.17549435e-38f,
                                3.4e38f,       -3.4e38f,       8388607.5f,    8388608.0f,    -8388609.0f,
                                4194304.5f,    65504.0f,       65519.996f,    65520.0f,      6.1035156e-5f,
                                6.0975552e-5f, 5.9604645e-8f,  2.9802322e-8f, 2.9802326e-8f, 2147483648.0f,
                                2147483520.0f, -2147483648.0f, 4294967296.0f, 4294967040.0f, 255.5f,
                                -128.5f,       0.99999994f,    -0.99999994f,  3e9f,          -3e9f};
enum { SPECIALS = sizeof special / sizeof *special };

static float number(int k)
{
	return k < SPECIALS ? special[k] : k % 3 ? from_bits(random_u32()) : (float)(int32_t)random_u32() * (k % 2 ? 1e-7f : 4e-5f);
}

/* lanes of x in a vector, from an address that is aligned as an element only */
typedef struct Lanes {
	float pad, at[MX_W];
} Lanes;

static float scalar_floor(float x)
{
	return floorf(x);
}

static void check_lanes(const float *a, const float *b)
{
	const mx_vf va = mx_ld_f32(a), vb = mx_ld_f32(b);
	Lanes r;
	uint32_t u[MX_W];
	int32_t s[MX_W];
#define F32(value, want)                                                                                                                   \
	mx_st_f32(r.at, value);                                                                                                                \
	for (int i = 0; i < MX_W; i++) same_f32(#value, r.at[i], want, a[i], b[i]);
#define U32(value, want)                                                                                                                   \
	mx_st_u32(u, value);                                                                                                                   \
	for (int i = 0; i < MX_W; i++) same_u32(#value, u[i], want, (double)a[i]);
#define I32(value, want)                                                                                                                   \
	mx_st_i32(s, value);                                                                                                                   \
	for (int i = 0; i < MX_W; i++) same_u32(#value, (uint32_t)s[i], (uint32_t)(want), (double)a[i]);
	F32(va, a[i])
	F32(mx_bc_f32(a[0]), a[0])
	F32(mx_pmax_vf(va, vb), a[i] > b[i] ? a[i] : b[i])
	F32(mx_pmin_vf(va, vb), a[i] < b[i] ? a[i] : b[i])
	F32(mx_max_vf(va, vb), mx_max_f32(a[i], b[i]))
	F32(mx_min_vf(va, vb), mx_min_f32(a[i], b[i]))
	F32(mx_sel(va < vb, va, vb), a[i] < b[i] ? a[i] : b[i])
	F32(mx_sel(mx_not(va < vb), va, vb), a[i] < b[i] ? b[i] : a[i])
	F32(mx_fabs_vf(va), fabsf(a[i]))
	F32(mx_copysign_vf(va, vb), copysignf(a[i], b[i]))
	F32(mx_sqrt_vf(va), sqrtf(a[i]))
	F32(mx_rint_vf(va), rintf(a[i]))
	F32(mx_floor_vf(va), scalar_floor(a[i]))
	F32(mx_ceil_vf(va), ceilf(a[i]))
	F32(mx_trunc_vf(va), truncf(a[i]))
	F32(mx_sign_vf(va), (float)((a[i] > 0) - (a[i] < 0)))
	F32(mx_vf_from_mask(va >= vb), a[i] >= b[i] ? 1.0f : 0.0f)
	F32(mx_round_f16_vf(va), mx_f32_from_f16(mx_f16_from_f32(a[i])))
	F32(mx_round_bf16_vf(va), mx_f32_from_bf16(mx_bf16_from_f32(a[i])))
	U32(mx_f16_from_vf(va), mx_f16_from_f32(a[i]))
	U32(mx_bf16_from_vf(va), mx_bf16_from_f32(a[i]))
	U32(mx_u32_from_vf(va), mx_u32_from_f32(a[i]))
	U32(mx_bits_vf(va), bits(a[i]))
	F32(mx_from_bits_vf(mx_bits_vf(va)), a[i])
	I32(mx_i32_from_vf(va), mx_i32_from_f32(a[i]))
	I32(mx_vi_from_mask(va == vb), a[i] == b[i])
	F32(mx_vf_from_vi((mx_vi)mx_bits_vf(va)), (float)(int32_t)bits(a[i]))
	F32(mx_vf_from_vu(mx_bits_vf(va)), (float)bits(a[i]))
	U32(mx_sel_vu(va < vb, mx_bits_vf(va), mx_bits_vf(vb)), a[i] < b[i] ? bits(a[i]) : bits(b[i]))
	I32(mx_sel_vi(va < vb, mx_bc_i32(7), mx_bc_i32(-9)), a[i] < b[i] ? 7 : -9)
	I32(mx_iota(), i)
	U32(mx_bc_u32(bits(b[0])), bits(b[0]))
	{
		uint16_t h[MX_W + 1], k[MX_W + 1];
		for (int i = 0; i < MX_W; i++) h[i] = mx_f16_from_f32(a[i]), k[i] = (uint16_t)(bits(a[i]) >> 16);
		F32(mx_ld_f16(h), mx_f32_from_f16(h[i]))
		F32(mx_ld_bf16(k), mx_f32_from_bf16(k[i]))
		mx_st_f16(h, vb);
		mx_st_bf16(k, vb);
		for (int i = 0; i < MX_W; i++) same_u32("mx_st_f16", h[i], mx_f16_from_f32(b[i]), (double)b[i]);
		for (int i = 0; i < MX_W; i++) same_u32("mx_st_bf16", k[i], mx_bf16_from_f32(b[i]), (double)b[i]);
	}
	bool any = false, all = true, flag[MX_W];
	for (int i = 0; i < MX_W; i++) any |= a[i] < b[i], all &= a[i] < b[i];
	same_u32("mx_any", mx_any(va < vb), any, 0);
	same_u32("mx_all", mx_all(va < vb), all, 0);
	mx_st_bool(flag, va < vb);
	for (int i = 0; i < MX_W; i++) same_u32("mx_st_bool", flag[i], a[i] < b[i], 0);
	F32(mx_sel(mx_ld_bool(flag), va, vb), a[i] < b[i] ? a[i] : b[i])
	F32(mx_sel(mx_bc_bool(a[0] < b[0]), va, vb), a[0] < b[0] ? a[i] : b[i])
}

/* Partial loads and stores: nothing outside the n lanes is written, the fill stands in the others. */
static void check_partial(void)
{
	float x[MX_W + 2], y[MX_W + 2];
	int32_t ix[MX_W + 2], iy[MX_W + 2];
	uint8_t bx[MX_W + 2], by[MX_W + 2];
	uint16_t hx[MX_W + 2], hy[MX_W + 2];
	bool fx[MX_W + 2], fy[MX_W + 2];
	double dx[MX_WD + 2], dy[MX_WD + 2];
	for (int i = 0; i < MX_W + 2; i++) {
		x[i] = (float)(i + 1), ix[i] = -i - 1, bx[i] = (uint8_t)(200 + i), hx[i] = (uint16_t)(60000 + i), fx[i] = i % 2;
		if (i < MX_WD + 2) dx[i] = i + 0.5;
	}
	for (ptrdiff_t n = 0; n <= MX_W; n++) {
		float t[MX_W];
		int32_t k[MX_W];
		uint32_t u[MX_W];
		mx_st_f32(t, mx_ldn_f32(x + 1, n, -7.0f));
		for (int i = 0; i < MX_W; i++) same_f32("mx_ldn_f32", t[i], i < n ? x[i + 1] : -7.0f, (float)n, (float)i);
		mx_st_i32(k, mx_ldn_i32(ix + 1, n, 5));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_i32", (uint32_t)k[i], (uint32_t)(i < n ? ix[i + 1] : 5), (double)n);
		mx_st_u32(u, mx_ldn_u32((uint32_t *)ix + 1, n, 5));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_u32", u[i], (uint32_t)(i < n ? ix[i + 1] : 5), (double)n);
		mx_st_u32(u, mx_ldn_u8(bx + 1, n, 1000));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_u8", u[i], i < n ? bx[i + 1] : 1000, (double)n);
		mx_st_i32(k, mx_ldn_i8((int8_t *)bx + 1, n, -1000));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_i8", (uint32_t)k[i], (uint32_t)(i < n ? (int8_t)bx[i + 1] : -1000), (double)n);
		mx_st_u32(u, mx_ldn_u16(hx + 1, n, 1));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_u16", u[i], i < n ? hx[i + 1] : 1, (double)n);
		mx_st_i32(k, mx_ldn_i16((int16_t *)hx + 1, n, 1));
		for (int i = 0; i < MX_W; i++) same_u32("mx_ldn_i16", (uint32_t)k[i], (uint32_t)(i < n ? (int16_t)hx[i + 1] : 1), (double)n);
		mx_st_f32(t, mx_ldn_f16(hx + 1, n, -0.0f));
		for (int i = 0; i < MX_W; i++) same_f32("mx_ldn_f16", t[i], i < n ? mx_f32_from_f16(hx[i + 1]) : -0.0f, (float)n, 0);
		mx_st_f32(t, mx_ldn_bf16(hx + 1, n, -0.0f));
		for (int i = 0; i < MX_W; i++) same_f32("mx_ldn_bf16", t[i], i < n ? mx_f32_from_bf16(hx[i + 1]) : -0.0f, (float)n, 0);
		mx_st_f32(t, mx_vf_from_mask(mx_ldn_bool(fx + 1, n, true)));
		for (int i = 0; i < MX_W; i++) same_f32("mx_ldn_bool", t[i], i < n ? (float)fx[i + 1] : 1.0f, (float)n, 0);
		memset(y, 0, sizeof y), memset(iy, 0, sizeof iy), memset(by, 0, sizeof by), memset(hy, 0, sizeof hy), memset(fy, 0, sizeof fy);
		mx_stn_f32(y + 1, mx_ld_f32(x + 1), n);
		mx_stn_i32(iy + 1, mx_ld_i32(ix + 1), n);
		mx_stn_u8(by + 1, mx_ld_u8(bx + 1), n);
		mx_stn_u16(hy + 1, mx_ld_u16(hx + 1), n);
		mx_stn_bool(fy + 1, mx_ld_bool(fx + 1), n);
		for (int i = 0; i < MX_W + 2; i++) {
			bool in = i >= 1 && i <= n;
			same_f32("mx_stn_f32", y[i], in ? x[i] : 0, (float)n, (float)i);
			same_u32("mx_stn_i32", (uint32_t)iy[i], (uint32_t)(in ? ix[i] : 0), (double)n);
			same_u32("mx_stn_u8", by[i], in ? bx[i] : 0, (double)n);
			same_u32("mx_stn_u16", hy[i], in ? hx[i] : 0, (double)n);
			same_u32("mx_stn_bool", fy[i], in ? fx[i] : 0, (double)n);
		}
		memset(iy, 0, sizeof iy), memset(by, 0, sizeof by), memset(hy, 0, sizeof hy);
		mx_stn_u32((uint32_t *)iy + 1, mx_ld_u32((uint32_t *)ix + 1), n);
		mx_stn_i8((int8_t *)by + 1, mx_ld_i8((int8_t *)bx + 1), n);
		mx_stn_i16((int16_t *)hy + 1, mx_ld_i16((int16_t *)hx + 1), n);
		for (int i = 0; i < MX_W + 2; i++) {
			bool in = i >= 1 && i <= n;
			same_u32("mx_stn_u32", (uint32_t)iy[i], (uint32_t)(in ? ix[i] : 0), (double)n);
			same_u32("mx_stn_i8", by[i], in ? bx[i] : 0, (double)n);
			same_u32("mx_stn_i16", hy[i], in ? hx[i] : 0, (double)n);
		}
		memset(hy, 0, sizeof hy);
		mx_stn_f16(hy + 1, mx_ld_f32(x + 1), n);
		for (int i = 0; i < MX_W + 2; i++) same_u32("mx_stn_f16", hy[i], i >= 1 && i <= n ? mx_f16_from_f32(x[i]) : 0, (double)n);
		mx_stn_bf16(hy + 1, mx_ld_f32(x + 1), n);
		for (int i = 0; i < MX_W + 2; i++) same_u32("mx_stn_bf16", hy[i], i >= 1 && i <= n ? mx_bf16_from_f32(x[i]) : 0, (double)n);
		if (n > MX_WD) continue;
		double d[MX_WD];
		memset(dy, 0, sizeof dy);
		mx_st_f64(d, mx_ldn_f64(dx + 1, n, -3.0));
		for (int i = 0; i < MX_WD; i++) same_f32("mx_ldn_f64", (float)d[i], i < n ? (float)dx[i + 1] : -3.0f, 0, 0);
		mx_stn_f64(dy + 1, mx_ld_f64(dx + 1), n);
		for (int i = 0; i < MX_WD + 2; i++) same_f32("mx_stn_f64", (float)dy[i], i >= 1 && i <= n ? (float)dx[i] : 0, 0, 0);
	}
}

static void check_narrow(void)
{
	int32_t x[MX_W];
	uint8_t u8[MX_W];
	int8_t i8[MX_W];
	uint16_t u16[MX_W];
	int16_t i16[MX_W];
	for (int i = 0; i < MX_W; i++) x[i] = (int32_t)random_u32();
	mx_st_u8(u8, mx_ld_u32((uint32_t *)x)), mx_st_i8(i8, mx_ld_i32(x)), mx_st_u16(u16, mx_ld_u32((uint32_t *)x)),
	    mx_st_i16(i16, mx_ld_i32(x));
	for (int i = 0; i < MX_W; i++) {
		same_u32("mx_st_u8", u8[i], (uint8_t)x[i], x[i]), same_u32("mx_st_i8", (uint8_t)i8[i], (uint8_t)x[i], x[i]);
		same_u32("mx_st_u16", u16[i], (uint16_t)x[i], x[i]), same_u32("mx_st_i16", (uint16_t)i16[i], (uint16_t)x[i], x[i]);
	}
	int32_t y[MX_W];
	mx_st_u32((uint32_t *)y, mx_ld_u8(u8));
	for (int i = 0; i < MX_W; i++) same_u32("mx_ld_u8", (uint32_t)y[i], u8[i], 0);
	mx_st_i32(y, mx_ld_i8(i8));
	for (int i = 0; i < MX_W; i++) same_u32("mx_ld_i8", (uint32_t)y[i], (uint32_t)i8[i], 0);
	mx_st_u32((uint32_t *)y, mx_ld_u16(u16));
	for (int i = 0; i < MX_W; i++) same_u32("mx_ld_u16", (uint32_t)y[i], u16[i], 0);
	mx_st_i32(y, mx_ld_i16(i16));
	for (int i = 0; i < MX_W; i++) same_u32("mx_ld_i16", (uint32_t)y[i], (uint32_t)i16[i], 0);
}

static void check_moves(void)
{
	float x[MX_W * MX_W + 8], y[MX_W * MX_W + 8];
	int32_t at[MX_W], w[64];
	mx_vf r[MX_W];
	for (int i = 0; i < MX_W * MX_W + 8; i++) x[i] = (float)i, y[i] = 0;
	for (int i = 0; i < 64; i++) w[i] = 3 * i;
	for (int i = 0; i < MX_W; i++) r[i] = mx_ld_f32(x + i * MX_W), at[i] = (int32_t)(random_u32() % (MX_W * MX_W));
	mx_transpose_vf(r);
	for (int i = 0; i < MX_W; i++) mx_st_f32(y + i * MX_W, r[i]);
	for (int i = 0; i < MX_W; i++)
		for (int j = 0; j < MX_W; j++) same_f32("mx_transpose_vf", y[i * MX_W + j], x[j * MX_W + i], (float)i, (float)j);
	mx_st_f32(y, mx_ld_stride_f32(x + 3, MX_W));
	for (int i = 0; i < MX_W; i++) same_f32("mx_ld_stride_f32", y[i], x[3 + i * MX_W], 0, 0);
	mx_st_stride_f32(y + 1, MX_W, mx_ld_f32(x));
	for (int i = 0; i < MX_W; i++) same_f32("mx_st_stride_f32", y[1 + i * MX_W], x[i], 0, 0);
	mx_st_f32(y, mx_gather_f32(x, mx_ld_i32(at)));
	for (int i = 0; i < MX_W; i++) same_f32("mx_gather_f32", y[i], x[at[i]], 0, 0);
	for (int i = 0; i < MX_W; i++) at[i] &= 63;
	int32_t got[MX_W];
	mx_st_i32(got, mx_gather_i32(w, mx_ld_i32(at)));
	for (int i = 0; i < MX_W; i++) same_u32("mx_gather_i32", (uint32_t)got[i], (uint32_t)w[at[i]], 0);
	for (int n = 0; n <= MX_W; n++) {
		mx_st_f32(y, mx_vf_from_mask(mx_first(n)));
		for (int i = 0; i < MX_W; i++) same_f32("mx_first", y[i], i < n, (float)n, 0);
	}
}

/* The folds have the bits of a scalar array[64] that is halved; doubles likewise. */
static void check_folds(int round)
{
	float x[64];
	double d[64];
	mx_vf part[64 / MX_W];
	mx_vd partd[64 / MX_WD];
	for (int i = 0; i < 64; i++) {
		x[i] = round == 0 ? -0.0f : round == 1 ? from_bits(random_u32()) : (float)(int32_t)random_u32() * 1e-9f + 1.0f;
		d[i] = (double)x[i] * 1.0000001;
	}
	for (int i = 0; i < 64 / MX_W; i++) part[i] = mx_ld_f32(x + i * MX_W);
	for (int i = 0; i < 64 / MX_WD; i++) partd[i] = mx_ld_f64(d + i * MX_WD);
#define FOLD(name, expr)                                                                                                                   \
	{                                                                                                                                      \
		float t[64];                                                                                                                       \
		memcpy(t, x, sizeof t);                                                                                                            \
		for (int w = 32; w; w /= 2)                                                                                                        \
			for (int i = 0; i < w; i++) {                                                                                                  \
				float a = t[i], b = t[i + w];                                                                                              \
				t[i] = expr;                                                                                                               \
			}                                                                                                                              \
		same_f32("mx_fold_" #name, mx_fold_##name##_vf(part), t[0], (float)round, 0);                                                      \
	}
	FOLD(add, a + b)
	FOLD(mul, a * b)
	FOLD(max, mx_max_f32(a, b))
	FOLD(min, mx_min_f32(a, b))
	FOLD(pmax, a > b ? a : b)
	FOLD(pmin, a < b ? a : b)
#define FOLD_F64(name, expr)                                                                                                               \
	{                                                                                                                                      \
		double t[64], got = mx_fold_##name##_vd(partd);                                                                                    \
		memcpy(t, d, sizeof t);                                                                                                            \
		for (int w = 32; w; w /= 2)                                                                                                        \
			for (int i = 0; i < w; i++) {                                                                                                  \
				double a = t[i], b = t[i + w];                                                                                             \
				t[i] = expr;                                                                                                               \
			}                                                                                                                              \
		if (memcmp(&got, t, sizeof got) && !(got != got && t[0] != t[0])) failures++, printf("mx_fold_%s_vd\n", #name);                    \
	}
	FOLD_F64(add, a + b)
	FOLD_F64(mul, a * b)
	FOLD_F64(max, mx_max_f64(a, b))
	FOLD_F64(min, mx_min_f64(a, b))
}

static void check_f64(void)
{
	double a[MX_WD], b[MX_WD], r[MX_WD];
	for (int i = 0; i < MX_WD; i++) a[i] = (double)number((int)(random_u32() % 80)), b[i] = (double)number((int)(random_u32() % 80));
	const mx_vd va = mx_ld_f64(a), vb = mx_ld_f64(b);
#define F64(value, want)                                                                                                                   \
	mx_st_f64(r, value);                                                                                                                   \
	for (int i = 0; i < MX_WD; i++) {                                                                                                      \
		const double w = want;                                                                                                             \
		if (memcmp(&r[i], &w, sizeof w) && !(r[i] != r[i] && w != w)) failures++, printf(#value "(%a, %a) = %a\n", a[i], b[i], r[i]);      \
	}
	F64(mx_max_vd(va, vb), mx_max_f64(a[i], b[i]))
	F64(mx_min_vd(va, vb), mx_min_f64(a[i], b[i]))
	F64(mx_fabs_vd(va), fabs(a[i]))
	F64(mx_sqrt_vd(va), sqrt(a[i]))
	F64(mx_sel_vd(va < vb, va, vb), a[i] < b[i] ? a[i] : b[i])
	F64(mx_sel_vd(mx_not_vd(va < vb), va, vb), a[i] < b[i] ? b[i] : a[i])
	F64(mx_bc_f64(a[0]) + vb, a[0] + b[i])
}

int main(void)
{
	Lanes a, b;
	a.pad = b.pad = 0;
	for (int i = 0; i < SPECIALS; i++)
		for (int j = 0; j < SPECIALS; j += MX_W) {
			for (int k = 0; k < MX_W; k++) a.at[k] = special[i], b.at[k] = special[(j + k) % SPECIALS];
			check_lanes(a.at, b.at);
			check_lanes(b.at, a.at);
		}
	for (int n = 0; n < 20000; n++) {
		for (int k = 0; k < MX_W; k++) a.at[k] = number(n + k), b.at[k] = number(n + k + 7);
		check_lanes(a.at, b.at);
		check_narrow();
		check_f64();
	}
	check_partial();
	check_moves();
	for (int round = 0; round < 200; round++) check_folds(round < 3 ? round : 1 + round % 2);
	if (failures) printf("%d failures at MX_W = %d\n", failures, MX_W);
	return failures != 0;
}
