/* What vectorise finds out about loops and the C printer asks again while printing. */
#ifndef MLXCC_PASSES_VECTORISE_H
#define MLXCC_PASSES_VECTORISE_H
#include "loop_walk.h"

/* Tests whose answer is known in a part of a loop. */
typedef struct Decided {
	const Node *test[4];
	bool holds[4];
	int n;
} Decided;
/* 1, 0: n holds, does not, by what is decided (may be NULL); -1: it depends. */
int node_decided(const Node *n, const Decided *d);
/* The nodes of b, deep, whose values differ along x, as keys of out. What decided tests rule out does not count. */
void nodes_varying(const Body *b, const Axis *x, const Decided *d, Map *out);
/* Elements from one value of x to the next, as far as the index is affine. */
Dim access_step(DimCtx *c, const Buf *b, const Index *index, const Axis *x);
/* An index of the access names a node of varies. */
bool access_gathers(const Index *index, int n, const Map *varies);
/* A test along x with a step of one: it splits the loop into before, inside, behind. */
bool test_splits(const Node *n, const Axis *x, const Map *varies);
#endif
