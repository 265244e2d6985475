/* The inside of lowering: shared by passes/lower*.c. */
#ifndef MLXCC_PASSES_LOWER_H
#define MLXCC_PASSES_LOWER_H
#include "loop.h"

typedef struct Info {
	int uses;    /* operands, region results, captures */
	bool stored; /* has a buffer of its own; otherwise recomputed where it is used */
	int last;    /* number of the last op that reads it, through values that are not stored */
	int order;   /* number of the defining op */
	int cost;    /* operations to recompute one element */
	Buf *buf;
	Buf *target;     /* where it is wanted: a result, a carry, a row */
	VEC(Op *) users; /* each op once per use */
	bool looped;     /* read inside a run-time loop that it is defined outside of */
	int yields;      /* uses as a result of its own block */
	bool in_place;   /* dupdate, scatter: may overwrite operand 0 */
} Info;

typedef struct Lower {
	Arena *a;
	Module *m;
	DimCtx *dims;
	Program *p;
	LoopFunc *f;
	const DimFacts *facts;
	Map info;   /* Value -> Info */
	Map func;   /* Func -> LoopFunc */
	Map holder; /* Buf -> Value: what it holds at this point */
	int next_node, next_order, next_axis;
	StepList *steps; /* where steps go */
	const Step *home;
	Loc loc;
} Lower;

Info *lower_info(Lower *L, const Value *v);
Buf *lower_buf(Lower *L, BufSpace space, const Type *t, Value *v, const char *hint);
const char *lower_name(Lower *L, const char *hint);
Step *lower_step(Lower *L, StepKind k);
const Axis *lower_axis(Lower *L, Dim extent, int position);

/* --- one row per op (lower_table.c); the rows of tensor ops are lower_NAME, beside their functions -------------------------------------
 */
typedef struct LowerRow {
	Node *(*pull)(Lower *L, Body *b, Value *v, const Index *idx); /* the element of v at idx; NULL: v is always stored */
	void (*store)(Lower *L, Op *op);               /* the kernels that fill the results' buffers; NULL: one nest that pulls */
	void (*step)(Lower *L, Op *op);                /* structure ops and effects: not values to store or pull */
	int cost;                                      /* operations per pulled element; elementwise: 1 cheap, 8 dear */
	enum { ONCE, REPEATS, REPEATS_FIRST } repeats; /* reads an element (of its first operand) more than once */
	bool trivial;                                  /* never worth memory: constants, counters */
	bool memory;                                   /* reads its operands through memory */
	bool update;                                   /* operand 0 with parts changed: in place where it may */
	OpCode combine;                                /* reductions, scans: the running op */
} LowerRow;
const LowerRow *lower_row(OpCode c);

/* lower_pull.c */
Body *body_new(Lower *L, Body *parent);
Node *node_add(Lower *L, Body *b, NodeKind k, DType d);
Index index_axis(Lower *L, const Axis *x);
Index index_dim(Lower *L, Dim d);
Index index_node(Lower *L, Node *n);
Index index_add(Lower *L, Index a, Index b);
Index index_scale(Lower *L, Index a, Dim k);
Index index_offset(Lower *L, Index a, Dim d);
Node *node_index(Lower *L, Body *b, Index i, DType d);
Node *node_op(Lower *L, Body *b, OpCode op, DType d, Node *const *arg, int n);
Node *node_const(Lower *L, Body *b, Scalar s);
Node *node_clamp(Lower *L, Body *b, Node *x, Dim lo, Dim hi);
Node *node_test(Lower *L, Body *b, Index i, Dim lo, Dim hi);         /* bool: lo <= i < hi */
Node *node_quotient(Lower *L, Body *b, NodeKind k, Index i, Dim by); /* N_IDIV, N_IMOD, N_MULTIPLE */
Node *node_and(Lower *L, Body *b, Node *x, Node *y);                 /* x may be NULL: true */
Node *node_if(Lower *L, Body *b, Node *cond, DType d);               /* the caller fills both arms; their results are its value */
Node *node_load(Lower *L, Body *b, Buf *buf, const Index *idx);
Node *node_store(Lower *L, Body *b, Buf *buf, const Index *idx, Node *x, const char *mode);
/* The element of v at idx (one index per axis). pull_def: from its definition although it is stored. */
Node *pull(Lower *L, Body *b, Value *v, const Index *idx);
Node *pull_def(Lower *L, Body *b, Value *v, const Index *idx);
/* Loads the whole value through memory: its buffer. */
Buf *lower_value_buf(Lower *L, Value *v);

/* lower_stage.c: emits the kernels that compute v into buf. */
void lower_stored(Lower *L, Op *op);
Scalar reduce_identity(OpCode op, DType d); /* the value that op leaves unchanged */
Nest *stage_new(Lower *L, Value *v, Buf *out, const char *what);
/* Why the kernel of the last stage_new is as it is. */
void lower_note(Lower *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A stage with one axis per axis of t; idx[] are their indices. */
Nest *stage_over(Lower *L, Value *v, Buf *out, const Type *t, Index *idx, const char *what);
/* A reduction whose body the caller fills; a loop before s that stores op's identity. */
Node *lower_reduce_node(Lower *L, Body *b, OpCode op, DType d, const Axis *const *axis, int n);
void lower_init_stage(Lower *L, Nest *s, Buf *out, OpCode op, const Index *idx, const Axis *const *axis, int n);
/* lower_dot.c: x with its axes permuted, stored; the product of two elements in d, of f16 and bf16 in f32. */
Buf *lower_transposed_copy(Lower *L, Value *x, const int64_t *perm);
Node *lower_product(Lower *L, Body *b, DType d, Node *x, Node *y);
#endif
