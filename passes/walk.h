/* Small questions about functions that several passes ask. */
#ifndef MLXCC_PASSES_WALK_H
#define MLXCC_PASSES_WALK_H
#include "../ir/ir.h"

int block_op_count(const Block *b);     /* deep, without constants and views */
bool block_has_effects(const Block *b); /* deep, through calls */
bool op_has_effects(const Op *op);
/* Calls fn for each call op in b, deep. */
void block_each_call(Block *b, void (*fn)(void *ctx, Op *call), void *ctx);
/* The module's functions, callees before callers; those that no call reaches keep their order. out[m->funcs.n] */
void funcs_callees_first(Module *m, Arena *scratch, Func **out);
/* The same ops on corresponding values with equal types and attributes; places, tags and names may differ. Free values must be the same. */
bool blocks_alike(Arena *scratch, const Block *a, const Block *b);
bool ops_alike(Arena *scratch, const Op *a, const Op *b);
/* The same, free values of a standing for those of b that to gives; enters a's results. */
bool ops_alike_under(Map *to, const Op *a, const Op *b);
#endif
