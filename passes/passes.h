/* The functions named in passes.def. */
#ifndef MLXCC_PASSES_PASSES_H
#define MLXCC_PASSES_PASSES_H
#include "pass.h"

#define PASS(name, function, required, takes, gives, doc) bool function(PassCtx *c);
#include "passes.def"
#undef PASS
#endif
