/* A sum of products as a kernel template sees it: c[m, n] = sum over k of a[m, k] * b[k, n], with strides, inside loops over other axes.
 * Everything follows from the scalar body of the stage. */
#ifndef MLXCC_PASSES_DOT_VIEW_H
#define MLXCC_PASSES_DOT_VIEW_H
#include "loop_walk.h"

typedef struct DotView {
	Node *sum, *a, *b, *store; /* of the stage's body */
	const Axis *loop[MAX_RANK], *row[MAX_RANK], *col[MAX_RANK];
	int nloop, nrow, ncol; /* the axes of the stage: loops around, then those that together are rows, columns */
	Dim m, n, k;
	Dim am, ak, bk, bn, cm, cn; /* strides in elements; of c: 0 where no memory holds it */
	bool panels;                /* b is a constant in panels (weights.c): no strides */
} DotView;
/* False: the stage is no sum of products of two loads, or its contracted axes are no single one in memory. */
bool dot_view(DimCtx *c, const Nest *s, DotView *out);
typedef struct DotTemplate {
	const char *name;
	bool tiles, bytes, columns; /* TILES, BYTES, COLUMNS of its row */
	const char *panels;
} DotTemplate;
const DotTemplate *dot_template(const char *name); /* its row of dot_templates.def */
/* A kernel of template how is shared out along axis x: the axes that run as one with it, x first. 0: x is none that can be. */
int dot_shared(const DotView *v, const Axis *x, const Axis *const **axes);
/* Elements of memory that the template gemm needs: rows of a, then panels of b where it packs them, of all columns where their number is
 * not known (the walk is told so, codegen/gemm.c). */
Dim dot_room(DimCtx *c, const DimFacts *f, const DotView *v);
enum {
	DOT_WIDE = 2048,     /* most columns of b that are packed at a time */
	DOT_ROWS = 126,      /* most rows of a, with the widest vectors */
	DOT_ROWS_PANELS = 28 /* the same where b needs no packing: its panels are read once for so many rows */
};
/* Element number of an access as an index: position of idx in b, row-major. */
Dim access_stride(DimCtx *c, const Buf *b, const Index *idx, const Axis *x);
#endif
