/* Element types: the table, promotion, half-precision formats, conversion of single elements. */
#include "dtype.h"
#include <math.h>
#include <string.h>
#include "../kernels/complex.h"

typedef struct DTypeRow { const char *name; int bytes; DKind kind; const char *ctype; } DTypeRow;
static const DTypeRow rows[DT_COUNT] = {
#define DTYPE(name, bytes, kind, ctype, mlx) {#name, bytes, DK_##kind, ctype},
#include "dtypes.def"
#undef DTYPE
};

const char *dtype_name(DType t) { return rows[t].name; }
int dtype_bytes(DType t) { return rows[t].bytes; }
DKind dtype_kind(DType t) { return rows[t].kind; }
const char *dtype_ctype(DType t) { return rows[t].ctype; }

bool dtype_find(const char *name, DType *out)
{
	for (int i = 0; i < DT_COUNT; i++)
		if (!strcmp(rows[i].name, name)) return *out = (DType)i, true;
	return false;
}

/* MLX's table by rule: c64 wins; then floats (f16 with bf16 gives f32); unsigned with signed gives the signed type that holds both, and
 * u64 with a signed type f32. */
DType dtype_promote(DType a, DType b)
{
	if (a == b) return a;
	if (a > b) {
		DType t = a;
		a = b;
		b = t;
	}
	if (a == DT_bool || b == DT_c64) return b;
	if (dtype_is_float(b)) return a == DT_f16 && b == DT_bf16 ? DT_f32 : b;
	if (dtype_kind(a) == dtype_kind(b)) return b;
	if (a == DT_u64) return DT_f32;
	int need = 2 * dtype_bytes(a); /* a is unsigned, b signed */
	int bytes = dtype_bytes(b) > need ? dtype_bytes(b) : need;
	return bytes == 2 ? DT_i16 : bytes == 4 ? DT_i32 : DT_i64;
}

DType dtype_to_inexact(DType t) { return dtype_is_diff(t) ? t : DT_f32; }
DType dtype_compute(DType t) { return t == DT_f16 || t == DT_bf16 ? DT_f32 : t; }

float f16_to_f32(uint16_t h) { return mx_f32_from_f16(h); }
uint16_t f32_to_f16(float f) { return mx_f16_from_f32(f); }
float bf16_to_f32(uint16_t h) { return mx_f32_from_bf16(h); }
uint16_t f32_to_bf16(float f) { return mx_bf16_from_f32(f); }

Scalar scalar_load(DType t, const void *p)
{
	Scalar s = {.dtype = t};
	switch (t) {
#define LOAD(name, ctype, field)                                                                                                               \
	case DT_##name: {                                                                                                                      \
		ctype x;                                                                                                                           \
		memcpy(&x, p, sizeof x);                                                                                                           \
		s.v.field = x;                                                                                                                     \
		break;                                                                                                                             \
	}
		LOAD(bool, uint8_t, u)
		LOAD(u8, uint8_t, u)
		LOAD(u16, uint16_t, u)
		LOAD(u32, uint32_t, u)
		LOAD(u64, uint64_t, u)
		LOAD(i8, int8_t, i)
		LOAD(i16, int16_t, i)
		LOAD(i32, int32_t, i)
		LOAD(i64, int64_t, i)
		LOAD(f32, float, f)
		LOAD(f64, double, f)
#undef LOAD
	case DT_f16:
	case DT_bf16: {
		uint16_t h;
		memcpy(&h, p, 2);
		s.v.f = t == DT_f16 ? f16_to_f32(h) : bf16_to_f32(h);
		break;
	}
	case DT_c64: memcpy(s.v.c, p, 8); break;
	case DT_COUNT: break;
	}
	return s;
}

void scalar_store(Scalar s, void *p)
{
	switch (s.dtype) {
#define STORE(name, ctype, field)                                                                                                              \
	case DT_##name: {                                                                                                                      \
		ctype x = (ctype)s.v.field;                                                                                                        \
		memcpy(p, &x, sizeof x);                                                                                                           \
		break;                                                                                                                             \
	}
		STORE(u8, uint8_t, u)
		STORE(u16, uint16_t, u)
		STORE(u32, uint32_t, u)
		STORE(u64, uint64_t, u)
		STORE(i8, int8_t, i)
		STORE(i16, int16_t, i)
		STORE(i32, int32_t, i)
		STORE(i64, int64_t, i)
		STORE(f32, float, f)
		STORE(f64, double, f)
#undef STORE
	case DT_bool: *(uint8_t *)p = s.v.u != 0; break;
	case DT_f16:
	case DT_bf16: {
		uint16_t h = s.dtype == DT_f16 ? f32_to_f16((float)s.v.f) : f32_to_bf16((float)s.v.f);
		memcpy(p, &h, 2);
		break;
	}
	case DT_c64: memcpy(p, s.v.c, 8); break;
	case DT_COUNT: break;
	}
}

static double round_to(double x, DType t)
{
	switch (t) {
	case DT_f16: return mx_f32_from_f16(mx_f16_from_f64(x));
	case DT_bf16: return mx_f32_from_bf16(mx_bf16_from_f64(x));
	case DT_f32: return (float)x;
	default: return x;
	}
}

/* Truncates and saturates; nan gives 0. */
static int64_t to_signed(double x, DType t)
{
	int bits = 8 * dtype_bytes(t);
	double lim = ldexp(1, bits - 1);
	if (x != x) return 0;
	if (x >= lim) return bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
	if (x <= -lim) return bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
	return (int64_t)x;
}

static uint64_t to_unsigned(double x, DType t)
{
	int bits = 8 * dtype_bytes(t);
	double lim = ldexp(1, bits);
	if (!(x > 0)) return 0;
	if (x >= lim) return bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
	return (uint64_t)x;
}

static uint64_t wrap(uint64_t u, DType t)
{
	int bits = 8 * dtype_bytes(t);
	return bits == 64 ? u : u & (((uint64_t)1 << bits) - 1);
}

static Scalar wrap_int(uint64_t u, DType t)
{
	Scalar s = {.dtype = t};
	u = wrap(u, t);
	if (dtype_is_signed(t)) {
		int shift = 64 - 8 * dtype_bytes(t);
		uint64_t sign = (uint64_t)1 << (63 - shift);
		s.v.i = (int64_t)((u ^ sign) - sign);
	} else {
		s.v.u = u;
	}
	return s;
}

Scalar scalar_convert(Scalar s, DType to)
{
	DKind from = dtype_kind(s.dtype), kind = dtype_kind(to);
	if (s.dtype == to) return s;
	Scalar r = {.dtype = to};
	if (kind == DK_COMPLEX) {
		r.v.c[0] = (float)scalar_to_double(s);
	} else if (kind == DK_BOOL) {
		r.v.u = from == DK_COMPLEX ? s.v.c[0] != 0 || s.v.c[1] != 0 : from == DK_FLOAT ? s.v.f != 0 : s.v.u != 0;
	} else if (from == DK_FLOAT || from == DK_COMPLEX) {
		double x = scalar_to_double(s);
		if (kind == DK_FLOAT) r.v.f = round_to(x, to);
		else if (kind == DK_INT) r.v.i = to_signed(x, to);
		else r.v.u = to_unsigned(x, to);
	} else if (kind == DK_FLOAT) {
		/* an integer goes to f32 in one rounding, and through it to the half formats */
		if (to == DT_f64) r.v.f = from == DK_INT ? (double)s.v.i : (double)s.v.u;
		else r.v.f = round_to(from == DK_INT ? (float)s.v.i : (float)s.v.u, to);
	} else {
		return wrap_int(from == DK_INT ? (uint64_t)s.v.i : s.v.u, to);
	}
	return r;
}

Scalar scalar_from_double(double x, DType to)
{
	return scalar_convert((Scalar){.v.f = x, .dtype = DT_f64}, to);
}

Scalar scalar_from_int(int64_t x, DType to)
{
	return scalar_convert((Scalar){.v.i = x, .dtype = DT_i64}, to);
}

double scalar_to_double(Scalar s)
{
	switch (dtype_kind(s.dtype)) {
	case DK_INT: return (double)s.v.i;
	case DK_FLOAT: return s.v.f;
	case DK_COMPLEX: return s.v.c[0];
	default: return (double)s.v.u;
	}
}

int64_t scalar_to_int(Scalar s)
{
	Scalar r = scalar_convert(s, DT_i64);
	return r.v.i;
}
