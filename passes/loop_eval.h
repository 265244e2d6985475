/* The loop IR's interpreter: scalar, plain, bounds-checked. It is the oracle between tensor IR and C: a program that gives other numbers
 * after a loop pass shows which pass is wrong. loop_eval.c runs steps and kernels over memory, loop_eval_node.c nodes, loop_eval_raw.c
 * library calls. */
#ifndef MLXCC_PASSES_LOOP_EVAL_H
#define MLXCC_PASSES_LOOP_EVAL_H
#include "../ir/eval.h"
#include "loop.h"

typedef struct LoopHooks {
	void *ctx;
	void (*print)(void *ctx, const char *message, Tensor *const *args, int n);
	/* An assert that does not hold; return true to go on. NULL: stop. */
	bool (*assert_failed)(void *ctx, const Step *step, Tensor *const *args, int n);
	int64_t max_steps; /* steps of run-time loops and points of kernels in all; 0: no limit */
} LoopHooks;
/* args[nparam]; inout parameters are copied, their new values are among the results. Dimensions are bound from the arguments' shapes and
 * env. results[nresult]: tensors in a. why: where not OK, a message that names kernel, buffer and index. */
EvalStatus loops_eval(Arena *a, Program *p, LoopFunc *f, Tensor *const *args, DimEnv *env, Tensor **results, const LoopHooks *hooks,
                      const char **why);
LoopFunc *loops_find(const Program *p, const char *name); /* NULL when there is none */

/* --- inside ----------------------------------------------------------------------------------------------------------------------------
 */
/* Memory in which every byte knows which buffer wrote it: reading what was never written, or what another buffer has overwritten since
 * (a bad plan of the arena), is an error. */
typedef struct Store {
	unsigned char *bytes;
	uint32_t *owner; /* 0: nothing was written */
	int64_t size;
} Store;
typedef struct View {
	Store *store;
	int64_t at, size;
	uint32_t id; /* what its writes leave as owner */
} View;
typedef struct Cell {
	_Alignas(8) unsigned char raw[8]; /* one element, in storage form */
} Cell;

typedef struct Eval {
	Arena *arena, *scratch;
	Program *p;
	const LoopHooks *hooks;
	EvalStatus status;
	const char *why;
	VEC(const Buf *) owners; /* by id */
	Map dims;                /* Dim -> int64_t */
	DimEnv *env;
	int64_t steps;
} Eval;
typedef struct LoopFrame {
	Eval *e;
	LoopFunc *f;
	View *view; /* by order of the buffer */
	View arena;
	Map axis;   /* Axis -> int64_t */
	Cell *node; /* by id */
	const Kernel *kernel;
	const Nest *stage;
} LoopFrame;

bool loop_eval_fail(LoopFrame *f, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* always false */
bool loop_eval_dim(LoopFrame *f, Dim d, int64_t *out);
bool loop_eval_position(LoopFrame *f, const Index *i, int64_t *out);
bool loop_eval_view(LoopFrame *f, const Buf *b, View *out);
int64_t *loop_eval_axis(LoopFrame *f, const Axis *x);
bool loop_eval_shape(LoopFrame *f, const Buf *b, int64_t *shape);
/* One element; the whole buffer (its rows, for BUF_ROW). */
bool loop_eval_load(LoopFrame *f, const Buf *b, const Index *index, Cell *out);
bool loop_eval_store(LoopFrame *f, const Buf *b, const Index *index, const Cell *x);
bool loop_eval_read(LoopFrame *f, const Buf *b, Tensor **out); /* in e->scratch */
bool loop_eval_write(LoopFrame *f, const Buf *b, const Tensor *t);
/* fn at every point of axis[0..n), in row-major order. */
typedef bool PointFn(LoopFrame *f, void *ctx);
bool loop_eval_over(LoopFrame *f, const Axis *const *axis, int n, PointFn *fn, void *ctx);
bool loop_eval_body(LoopFrame *f, const Body *b);
bool loop_eval_raw(LoopFrame *f, const Node *n);
#endif
