/* Library calls that are shared out among threads: how many parts they have and what one costs. See the column `cut` of loop.def. */
#ifndef MLXCC_PASSES_LOOP_CUT_H
#define MLXCC_PASSES_LOOP_CUT_H
#include "loop.h"

/* How many parts a call has of which any range may be computed on its own; NULL: it is always done whole. */
Dim raw_parts(DimCtx *c, const Node *n);
/* Of one part, in 1/16 of a cycle; of a call for one line (sort, topk): of the call. NULL: no more than any call. */
Dim raw_part_cost(DimCtx *c, const Node *n);
/* Does it write nothing that another part may read? */
bool raw_parts_apart(const Node *n);
/* Rows between which the loop over x around the call may be cut; 1: anywhere. */
int raw_unit(const Node *n, const Axis *x);
#endif
