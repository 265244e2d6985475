/* Concrete row-major tensors. */
#include "tensor.h"
#include <string.h>

int64_t tensor_size(const Tensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) n *= t->shape[i];
	return n;
}

size_t tensor_bytes(const Tensor *t) { return (size_t)tensor_size(t) * (size_t)dtype_bytes(t->dtype); }

Tensor *tensor_new(Arena *a, DType d, int rank, const int64_t *shape)
{
	Tensor *t = NEW(a, Tensor);
	t->dtype = d;
	t->rank = rank;
	if (rank) memcpy(t->shape, shape, sizeof *shape * (size_t)rank);
	t->data = arena_alloc(a, tensor_bytes(t));
	return t;
}

Tensor *tensor_scalar(Arena *a, Scalar s)
{
	Tensor *t = tensor_new(a, s.dtype, 0, NULL);
	scalar_store(s, t->data);
	return t;
}

Scalar tensor_get(const Tensor *t, int64_t i) { return scalar_load(t->dtype, (const char *)t->data + i * dtype_bytes(t->dtype)); }
void tensor_set(Tensor *t, int64_t i, Scalar s) { scalar_store(s, (char *)t->data + i * dtype_bytes(t->dtype)); }
