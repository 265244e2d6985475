/* Element types: half formats on every bit pattern, rounding at midpoints, conversions. tests/test_dtypes.py holds
 * them against NumPy, ml_dtypes and MLX. */
#include <check.h>
#include <math.h>
#include <string.h>
#include "../../ir/dtype.h"

START_TEST(half_round_trip)
{
	for (uint32_t h = 0; h < 65536; h++) {
		float f = f16_to_f32((uint16_t)h), g = bf16_to_f32((uint16_t)h);
		if (f == f) ck_assert_uint_eq(f32_to_f16(f), h);
		else ck_assert((f32_to_f16(f) & 0x7c00) == 0x7c00 && (f32_to_f16(f) & 0x3ff));
		if (g == g) ck_assert_uint_eq(f32_to_bf16(g), h);
		else ck_assert((f32_to_bf16(g) & 0x7f80) == 0x7f80 && (f32_to_bf16(g) & 0x7f));
	}
}
END_TEST

/* Between two neighbours: below, at and above the midpoint. */
START_TEST(half_rounding)
{
	for (uint32_t h = 0; h < 0x7bff; h++) {
		float a = f16_to_f32((uint16_t)h), b = f16_to_f32((uint16_t)(h + 1)), mid = a + (b - a) / 2;
		ck_assert_uint_eq(f32_to_f16(mid), h + (h & 1));
		ck_assert_uint_eq(f32_to_f16(nextafterf(mid, 0)), h);
		ck_assert_uint_eq(f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
		ck_assert_uint_eq(f32_to_f16(-mid), 0x8000 | (h + (h & 1)));
	}
	ck_assert_uint_eq(f32_to_f16(65519.996f), 0x7bff);
	ck_assert_uint_eq(f32_to_f16(65520.0f), 0x7c00);
	ck_assert_uint_eq(f32_to_f16(1e-10f), 0);
	for (uint32_t h = 0; h < 0x7f7f; h++) {
		uint32_t bits = h << 16 | 0x8000;
		float mid;
		memcpy(&mid, &bits, 4);
		ck_assert_uint_eq(f32_to_bf16(mid), h + (h & 1));
		ck_assert_uint_eq(f32_to_bf16(nextafterf(mid, INFINITY)), h + 1);
	}
	ck_assert_uint_eq(f32_to_bf16(3.4e38f), 0x7f80);
}
END_TEST

START_TEST(names)
{
	DType t;
	for (int i = 0; i < DT_COUNT; i++) {
		ck_assert(dtype_find(dtype_name((DType)i), &t));
		ck_assert_int_eq(t, i);
	}
	ck_assert(!dtype_find("float32", &t));
	ck_assert_int_eq(DT_COUNT, 14);
}
END_TEST

START_TEST(conversions)
{
	ck_assert_int_eq(scalar_from_double(-1.9, DT_i32).v.i, -1);
	ck_assert_int_eq(scalar_from_double(3e9, DT_i32).v.i, INT32_MAX);
	ck_assert_int_eq(scalar_from_double(-3e9, DT_i32).v.i, INT32_MIN);
	ck_assert_int_eq(scalar_from_double(NAN, DT_i64).v.i, 0);
	ck_assert_int_eq(scalar_from_double(1e30, DT_i64).v.i, INT64_MAX);
	ck_assert_uint_eq(scalar_from_double(-1.5, DT_u8).v.u, 0);
	ck_assert_uint_eq(scalar_from_double(300, DT_u8).v.u, 255);
	ck_assert_uint_eq(scalar_from_double(INFINITY, DT_u64).v.u, UINT64_MAX);
	ck_assert_uint_eq(scalar_from_double(NAN, DT_bool).v.u, 1);
	ck_assert_uint_eq(scalar_from_double(0.5, DT_bool).v.u, 1);
	ck_assert_int_eq(scalar_from_int(300, DT_i8).v.i, 44);
	ck_assert_int_eq(scalar_from_int(200, DT_i8).v.i, -56);
	ck_assert_uint_eq(scalar_from_int(-1, DT_u16).v.u, 65535);
	ck_assert_uint_eq(scalar_from_int(-1, DT_u64).v.u, UINT64_MAX);
	ck_assert(scalar_from_int((1 << 24) + 1, DT_f32).v.f == 16777216.0);
	ck_assert(scalar_from_double(2049, DT_f16).v.f == 2048.0);
	ck_assert(scalar_from_double(70000, DT_f16).v.f == INFINITY);
	Scalar z = {.v.c = {2.5f, -1}, .dtype = DT_c64};
	ck_assert(scalar_convert(z, DT_f32).v.f == 2.5);
	ck_assert_int_eq(scalar_convert(z, DT_i32).v.i, 2);
	ck_assert(scalar_convert(scalar_from_int(3, DT_i8), DT_c64).v.c[0] == 3.0f);
	for (int t = 0; t < DT_COUNT; t++) {
		unsigned char a[8] = {0}, b[8] = {0};
		a[0] = (DType)t == DT_bool ? 1 : 0x12;
		if (dtype_bytes((DType)t) > 1) a[1] = 0x34;
		scalar_store(scalar_load((DType)t, a), b);
		ck_assert_int_eq(memcmp(a, b, 8), 0);
	}
}
END_TEST

START_TEST(promotion_laws)
{
	for (int a = 0; a < DT_COUNT; a++)
		for (int b = 0; b < DT_COUNT; b++) {
			DType p = dtype_promote((DType)a, (DType)b);
			ck_assert_int_eq(p, dtype_promote((DType)b, (DType)a));
			ck_assert_int_eq(dtype_promote(p, (DType)a), p);
		}
}
END_TEST

Suite *dtype_suite(void)
{
	Suite *s = suite_create("dtype");
	TCase *t = tcase_create("dtype");
	tcase_add_test(t, half_round_trip);
	tcase_add_test(t, half_rounding);
	tcase_add_test(t, names);
	tcase_add_test(t, conversions);
	tcase_add_test(t, promotion_laws);
	suite_add_tcase(s, t);
	return s;
}
