/* The fourteen element types: sizes, kinds, MLX's promotion, conversions. */
#ifndef MLXCC_IR_DTYPE_H
#define MLXCC_IR_DTYPE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DType {
#define DTYPE(name, bytes, kind, ctype, mlx) DT_##name,
#include "dtypes.def"
#undef DTYPE
	DT_COUNT
} DType;
typedef enum DKind { DK_BOOL, DK_UINT, DK_INT, DK_FLOAT, DK_COMPLEX } DKind;

const char *dtype_name(DType t);          /* "f32" */
int dtype_bytes(DType t);
DKind dtype_kind(DType t);
const char *dtype_ctype(DType t);         /* storage type in emitted C: f16 and bf16 are "uint16_t" */
bool dtype_find(const char *name, DType *out);
static inline bool dtype_is_int(DType t) { return t >= DT_u8 && t <= DT_i64; }
static inline bool dtype_is_signed(DType t) { return t >= DT_i8 && t <= DT_i64; }
static inline bool dtype_is_float(DType t) { return t >= DT_f16 && t <= DT_f64; }
/* Has tangents and cotangents: real floats and c64. */
static inline bool dtype_is_diff(DType t) { return t >= DT_f16; }
/* MLX's table (reference/mlx_inventory.md 1.0): u64+signed -> f32, f16+bf16 -> f32, any int+f16 -> f16, f64+real -> f64. */
DType dtype_promote(DType a, DType b);
/* bool and integers -> f32, the rest unchanged (division, mean, transcendental functions). */
DType dtype_to_inexact(DType t);
/* The type in which values of t are computed: f16, bf16 -> f32, otherwise t. */
DType dtype_compute(DType t);

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);             /* round to nearest even, overflow to inf */
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f);            /* round to nearest even, nan stays nan */

/* One element of any dtype, widened. Exactly one of the fields is meaningful by kind:
 * u (bool, unsigned), i (signed), f (floats; f16/bf16/f32 exactly representable), c (complex). */
typedef struct Scalar { union { uint64_t u; int64_t i; double f; float c[2]; } v; DType dtype; } Scalar;
Scalar scalar_load(DType t, const void *p);
void scalar_store(Scalar s, void *p);               /* s.dtype's own format */
/* Language rules: float to integer truncates and saturates, nan gives 0; integer narrowing wraps;
 * x to bool is x != 0; real to complex has zero imaginary part; complex to real drops it. */
Scalar scalar_convert(Scalar s, DType to);
Scalar scalar_from_double(double x, DType to);
Scalar scalar_from_int(int64_t x, DType to);
double scalar_to_double(Scalar s);                  /* real part for complex */
int64_t scalar_to_int(Scalar s);
#endif
