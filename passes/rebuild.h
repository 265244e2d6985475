/* Copying ops through the builder: what simplify and inline share. The copy is folded, interned and hoisted as it is emitted. */
#ifndef MLXCC_PASSES_REBUILD_H
#define MLXCC_PASSES_REBUILD_H
#include "../ir/build.h"

typedef struct DimBinding {
	const char *sym;
	Dim to;
} DimBinding;

typedef struct Rebuild {
	Builder b;
	Map env;                /* old Value -> new Value; a value that is missing stands for itself */
	const DimBinding *dims; /* inlining: the callee's symbols in the caller's dims; NULL: none */
	int ndims;
	bool structure; /* also take constant conds apart and run loops of no or one trip here */
} Rebuild;

void rebuild_init(Rebuild *r, Builder b, Arena *scratch);
Value *rebuild_value(const Rebuild *r, Value *v);
void rebuild_ops(Rebuild *r, const Block *from); /* at r->b.block */
/* f's body again in a new block, which becomes the body. */
void rebuild_func(Func *f, Arena *scratch, bool structure);
#endif
