/* In which order the elements of a reduction are combined. The interpreter and lowering both ask here, so results agree to the bit whatever
 * the vector width, the unrolling and the number of threads.
 *
 * Where the operand's last axis is reduced, element j along it belongs to partial result j mod REDUCE_LANES, and the other reduced axes go
 * on in the same partials in row-major order. Partials begin at the neutral element and are folded by halving: p[i] with p[i + 32], then
 * with p[i + 16], 8, 4, 2, 1. Where the last axis is kept, elements are combined one after the other in row-major order. The same goes for
 * products and for the largest and smallest (of equals the later one is taken, which can be told from the sign of a zero). */
#ifndef MLXCC_IR_ORDER_H
#define MLXCC_IR_ORDER_H
#include <stdint.h>

enum { REDUCE_LANES = 64 };
/* Number of partial results of a reduction of an operand of this rank over axes[0..n): REDUCE_LANES, or 1: one after the other. */
int reduce_lanes(int rank, const int64_t *axes, int n);
#endif
