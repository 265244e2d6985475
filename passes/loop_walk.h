/* Walking loop IR: steps, nodes, accesses. */
#ifndef MLXCC_PASSES_LOOP_WALK_H
#define MLXCC_PASSES_LOOP_WALK_H
#include "loop.h"

typedef enum AccessKind {
	ACCESS_READ = 1,
	ACCESS_WRITE = 2,
	ACCESS_WHOLE = 4 /* not by index: templates */,
	ACCESS_SCRATCH = 8 /* its work memory */,
	ACCESS_LINE = 16 /* with WHOLE: of the line through the index */
} AccessKind;
typedef void AccessFn(void *ctx, Nest *s, Buf *b, const Index *index, int nindex, int kind);
void stage_accesses(Nest *s, AccessFn *fn, void *ctx);
/* The same as a list. */
typedef struct Touch {
	Buf *buf;
	const Index *index;
	int nindex, kind;
	Nest *stage;
} Touch;
typedef struct Touches {
	Arena *a;
	VEC(Touch) at;
} Touches;
void stage_touches(Nest *s, Touches *out);
Touches kernel_touches(Arena *a, const Kernel *k);
typedef void StepFn(void *ctx, StepList *list, Step *s);
void steps_walk(StepList *list, StepFn *fn, void *ctx); /* a step before the steps inside it */
typedef void NodeFn(void *ctx, Node *n);
void body_walk(Body *b, NodeFn *fn, void *ctx); /* nodes of b and of the bodies inside, in order */
Buf *buf_root(Buf *b);                          /* whose memory it is */
typedef void AxisFn(void *ctx, const Axis *x);
void kernel_axes(Arena *a, const Kernel *k, AxisFn *fn, void *ctx); /* those that k binds, each once, outer ones first */
/* The axis along which k may be shared out among threads, or NULL. */
const Axis *kernel_shared_axis(Arena *a, const Kernel *k);
/* index[0..p) are exactly axis[0..p). */
bool index_aligned(const Index *index, int nindex, const Axis *const *axis, int p);
#endif
