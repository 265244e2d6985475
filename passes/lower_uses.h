/* Read positions and storage decisions; see lower_uses.c. */
#ifndef MLXCC_PASSES_LOWER_USES_H
#define MLXCC_PASSES_LOWER_USES_H
#include "lower.h"

void lower_analyse(Lower *L, Func *f);
bool reads_over(Lower *L, Value *v, Op *op, bool equal);
bool reads_identity(Lower *L, Value *v, Value *p);
bool value_reads(Lower *L, Value *v, Value *p);
int read_until(Lower *L, Op *user);
#endif
