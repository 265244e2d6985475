/* Concrete tensors: what the interpreter computes with and constants hold. Row-major, contiguous. */
#ifndef MLXCC_IR_TENSOR_H
#define MLXCC_IR_TENSOR_H
#include "arena.h"
#include "dtype.h"
#define MAX_RANK 16

typedef struct Tensor { DType dtype; int rank; int64_t shape[MAX_RANK]; void *data; } Tensor;
int64_t tensor_size(const Tensor *t);                      /* number of elements */
size_t tensor_bytes(const Tensor *t);
Tensor *tensor_new(Arena *a, DType d, int rank, const int64_t *shape);   /* zeroed */
Tensor *tensor_scalar(Arena *a, Scalar s);
Scalar tensor_get(const Tensor *t, int64_t i);             /* i: flat index */
void tensor_set(Tensor *t, int64_t i, Scalar s);           /* s.dtype must be t's */
#endif
