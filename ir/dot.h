/* Sums of products: which axes of the two operands are which, and in which order the products are added. The interpreter and lowering both
 * ask here, so results agree to the bit whatever the vector width, the tiles and the number of threads. */
#ifndef MLXCC_IR_DOT_H
#define MLXCC_IR_DOT_H
#include "ir.h"

/* Axes of one operand: shared with the other, its own, summed over (both operands in the same order). */
typedef struct DotSide {
	int64_t batch[MAX_RANK], free[MAX_RANK], contract[MAX_RANK];
	int nbatch, nfree, ncontract;
} DotSide;
DotSide dot_side(int rank, const int64_t *contract, int ncontract, const int64_t *batch, int nbatch);

/* The order of a sum over k = the contracted axes, flattened in row-major order as listed:
 * block > 0: products are added one after the other, from 0 anew in each block of that many k; the sums of blocks are added in order.
 * lanes > 1: product k goes to partial sum k mod lanes, from 0; partial sums are folded by halving: p[i] + p[i + lanes / 2], and so on.
 * Neither: one after the other from 0. */
typedef struct DotOrder {
	int block, lanes;
} DotOrder;
enum { DOT_BLOCK = 768, DOT_LANES = 64 };

/* lanes: a matrix times a vector (one side has one row at most, as its type says) where the contracted axis is the matrix's last one.
 * Floats only; other numbers are added one after the other. */
DotOrder dot_order(const Type *x, const DotSide *xs, const Type *y, const DotSide *ys);
#endif
