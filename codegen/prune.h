/* Emitted text for one target. */
#ifndef MLXCC_CODEGEN_PRUNE_H
#define MLXCC_CODEGEN_PRUNE_H
#include "../ir/arena.h"
#include "../ir/target.h"

/* text without the conditional compilation that t settles; text itself where t has no width of its own (or is NULL). */
const char *prune_text(Arena *a, const Target *t, const char *text);
#endif
