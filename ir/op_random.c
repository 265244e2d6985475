/* rng_bits: the bits that mlx.random.bits gives for a key. For n words of one key the counters are (i, i + ceil(n/2)), the two outputs go
 * to the same two places; an odd n takes its middle word from the counters (n/2, 0). Narrower results are the bytes of ceil(bytes/4)
 * words, least significant first. */
#include "op_util.h"
#include "../kernels/support.h"

INFER(rng_bits)
{
	static const DType by_width[] = {[1] = DT_u8, [2] = DT_u16, [4] = DT_u32};
	const Type *key = in_type(v, 0);
	int64_t two, width = view_int(v, AT_width);
	int rank = key->rank - 1, extra = view_count(v, AT_shape);
	Dim dims[2 * MAX_RANK];
	if (key->dtype != DT_u32 || key->rank < 1 || !dim_is_const(key->dim[key->rank - 1], &two) || two != 2)
		FAIL("the key of `rng_bits` is u32[.., 2], not %s", type_str(m->arena, key));
	if (width != 1 && width != 2 && width != 4) FAIL("the width of `rng_bits` is 1, 2 or 4 bytes, not %lld", (long long)width);
	if (rank + extra > MAX_RANK) FAIL("the result of `rng_bits` has %d axes: at most %d are supported", rank + extra, MAX_RANK);
	for (int i = 0; i < rank; i++) dims[i] = key->dim[i];
	for (int i = 0; i < extra; i++) dims[rank + i] = view_dims(v, AT_shape)[i];
	return one_result(type_get(m, by_width[width], rank + extra, dims), type, n);
}

static void put_word(uint8_t *bytes, int64_t nbytes, int64_t word, uint32_t x)
{
	for (int64_t k = 0; k < 4 && 4 * word + k < nbytes; k++) bytes[4 * word + k] = (uint8_t)(x >> 8 * k);
}

static void random_bytes(const uint32_t *key, uint8_t *bytes, int64_t nbytes)
{
	int64_t words = (nbytes + 3) / 4, half = words / 2, odd = words % 2;
	for (int64_t i = 0; i < half + odd; i++) {
		uint32_t a = (uint32_t)i, b = i < half ? (uint32_t)(i + half + odd) : 0;
		mx_threefry2x32(key[0], key[1], &a, &b);
		put_word(bytes, nbytes, i, a);
		if (i < half) put_word(bytes, nbytes, i + half + odd, b);
	}
}

EVAL(rng_bits)
{
	int64_t width = view_int(v, AT_width), keys = tensor_size(in[0]) / 2, size = keys ? tensor_size(out[0]) / keys : 0;
	uint8_t *bytes = arena_alloc(scratch, (size_t)(size * width));
	for (int64_t k = 0; k < keys; k++) {
		random_bytes((const uint32_t *)in[0]->data + 2 * k, bytes, size * width);
		for (int64_t i = 0; i < size; i++) {
			uint32_t x = 0;
			for (int64_t j = 0; j < width; j++) x |= (uint32_t)bytes[i * width + j] << 8 * j;
			int64_t at = k * size + i;
			if (width == 1) ((uint8_t *)out[0]->data)[at] = (uint8_t)x;
			else if (width == 2) ((uint16_t *)out[0]->data)[at] = (uint16_t)x;
			else ((uint32_t *)out[0]->data)[at] = x;
		}
	}
}
