/* Identities that need more than a pattern: of tensor ops, of convert, and of sums into a zero-filled buffer. */
#ifndef MLXCC_IR_FOLD_TENSOR_H
#define MLXCC_IR_FOLD_TENSOR_H
#include "build.h"

bool fold_tensor(Builder *b, const OpView *v, Value **out);
bool fold_elementwise(Builder *b, const OpView *v, Value **out);
/* acc + (zeros with v written somewhere) -> acc with v added there. Not exact for an element of -0 that 0 would have turned into 0, so
 * only where reverse mode made the zeros. */
bool fold_accumulate(Builder *b, const OpView *v, Value **out);
#endif
