/* What the infer_ and eval_ functions of tensor ops (op_*.c) share: attributes by key, failures with a message, walks over strided data. */
#ifndef MLXCC_IR_OP_UTIL_H
#define MLXCC_IR_OP_UTIL_H
#include <assert.h>
#include <string.h>
#include "ir.h"

/* Arguments that every infer_NAME has. */
#define INFER(name) bool infer_##name(Module *m, const DimFacts *f, const OpView *v, const Type **type, int *n, const char **why)
#define EVAL(name) void eval_##name(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out)
/* Leaves the enclosing infer function with a message. */
/* X(name, type, s + a * b) for the integers: sums of products wrap. */
#define MULTIPLY_ADD_INTEGERS(X)                                                                                                           \
	X(u8, uint8_t, (uint8_t)(s + (uint32_t)a * b))                                                                                         \
	X(u16, uint16_t, (uint16_t)(s + (uint32_t)a * b))                                                                                      \
	X(u32, uint32_t, s + a * b)                                                                                                            \
	X(u64, uint64_t, s + a * b)                                                                                                            \
	X(i8, int8_t, (int8_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))                                                                       \
	X(i16, int16_t, (int16_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))                                                                    \
	X(i32, int32_t, (int32_t)((uint32_t)s + (uint32_t)a * (uint32_t)b))                                                                    \
	X(i64, int64_t, (int64_t)((uint64_t)s + (uint64_t)a * (uint64_t)b))

#define FAIL(...) return *why = arena_printf(m->arena, __VA_ARGS__), false

/* --- inference ------------------------------------------------------------------------------------------------------------------ */
static inline const Type *in_type(const OpView *v, int k)
{
	return v->in[k]->type;
}
const int64_t *view_ints(const OpView *v, AttrKey k); /* a required attribute's list */
int view_count(const OpView *v, AttrKey k);           /* its length */
const Dim *view_dims(const OpView *v, AttrKey k);
int64_t view_int(const OpView *v, AttrKey k); /* 0 when absent */
bool view_flag(const OpView *v, AttrKey k);
const char *view_text(const OpView *v, AttrKey k);     /* "" when absent */
int64_t view_const(const OpView *v, AttrKey k, int i); /* entry i of DIMS, known to be constant */
bool view_has(const OpView *v, AttrKey k, const char *text);

bool one_result(const Type *t, const Type **type, int *n); /* true, for `return one_result(..)` */
/* Number of operands as wanted, with a message. */
bool want_operands(Module *m, const OpView *v, int nin, const char **why);
/* axes[0..n) ascending, distinct, in 0..rank. */
bool want_axes(Module *m, const OpView *v, AttrKey k, int rank, const char **why);
bool want_axis(Module *m, const OpView *v, int rank, const char **why);
bool want_class(Module *m, const OpView *v, OperandClass c, const char **why); /* dtype of operand 0 */
bool want_same_dtype(Module *m, const OpView *v, int i, int j, const char **why);
bool want_i32_scalar(Module *m, const OpView *v, int k, const char *what, const char **why);
bool same_dim(const DimFacts *f, Dim a, Dim b);
bool surely_less(const DimFacts *f, Dim a, Dim b); /* a < b in every permitted case */
bool ints_contain(const int64_t *p, int n, int64_t x);

/* --- evaluation ----------------------------------------------------------------------------------------------------------------- */
typedef void ElemLoop(const void *const *in, void *out, int64_t n);
ElemLoop *elem_loop(OpCode c, DType d); /* NULL where c does not take d */
ElemLoop *elem_convert(DType from, DType to);
/* An order on elements of a compute dtype (dtype_compute): numbers ascending, c64 by real then imaginary part, nan behind all. */
typedef bool Before(const void *a, const void *b);
Before *before_of(DType d);
bool is_nan(DType d, const void *p);
bool takes_place(DType d, bool max, const void *best, const void *y); /* y follows best in a search for the largest or smallest */
/* t as a new tensor of dtype d in a, t itself when it has d. */
Tensor *tensor_as(Arena *a, const Tensor *t, DType d);

void row_major_strides(int rank, const int64_t *shape, int64_t *stride); /* in elements */
/* Copies a box of elements of `bytes` each; strides in elements, of any sign, 0 repeats. */
void copy_strided(int rank, const int64_t *shape, void *dst, const int64_t *dst_stride, const void *src, const int64_t *src_stride,
                  size_t bytes);
/* A position in a box, in row-major order, with N offsets kept along. */
typedef struct Walk {
	int rank;
	const int64_t *shape;
	int64_t at[MAX_RANK], offset[3];
	const int64_t *stride[3];
} Walk;
Walk walk_begin(int rank, const int64_t *shape, const int64_t *s0, const int64_t *s1, const int64_t *s2); /* strides or NULL */
void walk_next(Walk *w);
int64_t shape_size(int rank, const int64_t *shape);
/* Splits t at an axis: product of the extents before it, extent, product of those behind it. */
void split_axis(const Tensor *t, int axis, int64_t *outer, int64_t *len, int64_t *inner);
#endif
