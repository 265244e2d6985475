/* In which order the elements of a reduction are combined. The interpreter and lowering both ask here, so results agree to the bit whatever
 * the vector width, the unrolling and the number of threads.
 *
 * Where the operand's last axis is reduced, element j along it belongs to partial result j mod REDUCE_LANES, and the other reduced axes go
 * on in the same partials in row-major order. Partials begin at the neutral element and are folded by halving: p[i] with p[i + 32], then
 * with p[i + 16], 8, 4, 2, 1.
 *
 * Where all axes are reduced and there are many elements, each chunk of so many rows of the outermost axis (the last chunk may be shorter)
 * is reduced on its own in that way; then the results of the chunks are combined one after the other, from the neutral element. Chunks can
 * be shared out among threads, and depend on the size only.
 *
 * Where the last axis is kept, elements are combined one after the other in row-major order. The same goes for products and for the
 * largest and smallest (of equals the later one is taken, which can be told from the sign of a zero). An operand is large
 * where its type says so: with an extent that is a symbol there it is not. */
#ifndef MLXCC_IR_ORDER_H
#define MLXCC_IR_ORDER_H
#include "ir.h"

enum { REDUCE_LANES = 64, REDUCE_CHUNK = 1 << 16 /* elements of a chunk, at least; two of them make a large operand */ };
typedef struct ReduceOrder {
	int lanes;    /* partial results: REDUCE_LANES, or 1: one after the other */
	int64_t rows; /* of the outermost axis in a chunk; 0: no chunks */
} ReduceOrder;
ReduceOrder reduce_order(const Type *t, const int64_t *axes, int n);
#endif
