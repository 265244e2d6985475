/* Element-wise meanings as C text: what ops.def writes with FN, SUP, WRAP, T becomes an expression over given operands. The interpreter
 * is built from these texts (tools/elem_loops.c) and the C printer prints them, so both compute the same. */
#ifndef MLXCC_IR_ELEM_TEXT_H
#define MLXCC_IR_ELEM_TEXT_H
#include "arena.h"
#include "dtype.h"

/* The C type in which values of d are held while computing: float for f16 and bf16, else the storage type. */
const char *elem_ctype(DType d);
/* Appends the expression of a meaning (a column of ops.def) at operand dtype d over the atoms operand[0..2]; f16 and bf16 operands are
 * given as float, and the result is not yet rounded. */
void elem_text(StrBuf *out, const char *meaning, DType d, const char *const *operand);
/* The same over vectors (kernels/vector.h) of `bits` a lane. False where the meaning has no such form: known says whether a support
 * function of that name is there. Operands are vectors; where the meaning is pure, operators only, one of two may be a scalar. */
bool elem_text_lanes(StrBuf *out, const char *meaning, DType d, int bits, const char *const *operand,
                     bool (*known)(void *ctx, const char *name), void *ctx);
bool elem_text_is_pure(const char *meaning);
/* The vector type that holds values of d; its suffix in the names of functions: "mx_vf", "vf". */
const char *elem_vector(DType d, int bits);
/* Appends the value of x, an atom of elem_ctype(from), as dtype `to`: in its storage type, so the bits (uint16_t) of f16 and bf16. */
void elem_convert_text(StrBuf *out, DType from, DType to, const char *x);
/* Appends the value of element text x, in storage type, as elem_ctype(d); and the reverse, which rounds to f16, bf16. */
void elem_load_text(StrBuf *out, DType d, const char *x);
void elem_store_text(StrBuf *out, DType d, const char *x);
#endif
