/* Stages of one kernel in one loop: part of fuse. */
#ifndef MLXCC_PASSES_MERGE_H
#define MLXCC_PASSES_MERGE_H
#include "loop.h"

bool merge_stages(Arena *a, Kernel *k);
#endif
