/* The loop IR: what tensor IR becomes on the way to C.
 *
 * A Program has one LoopFunc per function that is exported or called. A LoopFunc is a list of steps: kernels, run-time loops, branches,
 * calls, copies. A Kernel is a unit of fusion: outer axes that all of its stages share, and stages that run one after the other for each
 * point of the outer axes; values that only the kernel needs live in row buffers without the outer axes, or in scalars. A stage computes
 * one value: a nest over its own axes with a body of scalar SSA nodes. Accesses are affine in the axes, plus gathered terms: transpose,
 * broadcast, slice, pad, concat and the like have become index maps and guards and cost nothing.
 *
 * Text (--emit=loops), one line per node:
 *
 *   kernel @k1_softmax  outer r in R                                   digits.mx:17
 *     m[r] stage: %1 = reduce max j in 10 { %0 = load x[r, j]  yield %0 }
 */
#ifndef MLXCC_PASSES_LOOP_H
#define MLXCC_PASSES_LOOP_H
#include "../ir/ir.h"

typedef struct Buf Buf;
typedef struct Node Node;
typedef struct Body Body;
typedef struct LoopFunc LoopFunc;
typedef struct Step Step;
typedef VEC(Step *) StepList;

typedef struct Axis {
	const char *name;
	Dim extent;
} Axis;

/* An affine index: sum of coef * (axis or integer node) + add. */
typedef struct Term {
	const Axis *axis;
	Node *node;
	Dim coef;
} Term; /* one of axis, node */
typedef struct Index {
	Term *term;
	int n;
	Dim add;
} Index;

typedef enum BufSpace {
	BUF_PARAM,  /* the caller's memory, read (and written where inout); rank 0: by value unless inout */
	BUF_RESULT, /* the caller's memory, written */
	BUF_ARENA,  /* at an offset of the arena */
	BUF_SCALAR, /* rank 0: a C local */
	BUF_CONST,  /* static const array */
	BUF_ROW,    /* of one kernel: without its outer axes */
	BUF_ALIAS   /* the memory of another buffer: in place, row of a scanned operand, view */
} BufSpace;
struct Buf {
	const char *name; /* C identifier, unique in its function */
	BufSpace space;
	const Type *type;   /* of the value, full shape */
	int drop;           /* BUF_ROW: leading axes left out */
	const Tensor *data; /* BUF_CONST */
	Buf *base;
	Index row;
	bool has_row;    /* BUF_ALIAS: of base, or of base's row number `row` along its first axis */
	Dim offset;      /* BUF_ARENA (and BUF_ROW in the arena): bytes, set by plan */
	bool in_arena;   /* BUF_ROW that is too big for the stack */
	int first, last; /* lifetime in step numbers */
	bool inout;
	Value *value;     /* what it holds first, for names and messages */
	Value *holder;    /* while lowering: the value that it holds at this point */
	const Step *home; /* innermost run-time loop whose body it belongs to; NULL: the function */
	int writes, reads;
	int order;        /* in its function */
	LoopFunc *callee; /* BUF_ARENA: memory that a call of it needs */
	const char *path; /* BUF_PARAM, BUF_RESULT of exported functions: "net.l1.weight" */
};

typedef enum NodeKind {
	N_CONST, /* value */
	N_INDEX, /* index[0] as a number of dtype */
	N_OP,    /* op of the table over args, computed in dtype (convert: from -> dtype) */
	N_LOAD,  /* buf[index...] */
	N_STORE, /* buf[index...] = arg0; with mode: combined with what is there */
	N_IDIV,
	N_IMOD,     /* index[0] / hi, index[0] % hi: an integer for index terms */
	N_CLAMP,    /* arg0 clamped to lo..hi: an integer for index terms */
	N_TEST,     /* bool: lo <= index[0] < hi */
	N_MULTIPLE, /* bool: index[0] % hi == 0 */
	N_INRANGE,  /* bool: 0 <= arg0 < hi, arg0 an integer value */
	N_IF,       /* arg0; body, other: the result is the body's (a value of dtype) or none */
	N_FOR,      /* axis[0], body */
	N_REDUCE,   /* op over axis[0..naxis) of the body's result, in order, from the identity */
	N_ARG,      /* position along axis[0] of the largest (op maximum) or smallest of the body's result */
	N_SCAN,     /* running op along axis[0]; body's result (linrec: two); stores to buf[index], position to buf2[index] */
	N_RAW       /* a call of a support function: mode names it; see codegen/c_raw.c */
} NodeKind;
struct Node {
	NodeKind kind;
	int id;
	DType dtype, from;
	OpCode op;
	Node *arg[3];
	int narg;
	Scalar value;
	Buf *buf, *buf2, *src, *src2;
	Index *index;
	int nindex;
	Dim lo, hi;
	const char *mode;
	const Axis *axis[MAX_RANK];
	int naxis;
	int lanes; /* REDUCE */
	Body *body, *other;
	bool reverse, exclusive;
	int64_t number;
	Loc loc;
	Node *next;
};
struct Body {
	Body *parent;
	Node *first, *last;
	Node *result, *result2;
};

typedef struct Nest {
	Buf *out;
	Value *value;
	const Axis *axis[MAX_RANK];
	int naxis;  /* loops around body; the first ones may be the kernel's outer axes */
	int nkeep;  /* how many leading axes of the value are leading axes here (may be shared) */
	Body *init; /* accumulating stages: runs over the value's axes before body's loops; else NULL */
	const Axis *init_axis[MAX_RANK];
	int ninit;
	Body *body;
	Loc loc;
	const char *what; /* "add", "dot", "reduce_sum": for comments */
} Nest;

typedef struct Kernel {
	const char *name;
	const Axis *outer[MAX_RANK];
	int nouter;
	Nest **stages;
	int nstages, cap;
	Loc loc;
} Kernel;

typedef enum StepKind { STEP_KERNEL, STEP_LOOP, STEP_COND, STEP_CALL, STEP_COPY, STEP_PRINT, STEP_ASSERT } StepKind;
struct Step {
	StepKind kind;
	int number, end; /* position in the order of execution; of a loop also that of its end */
	Loc loc;
	Kernel *kernel;
	/* LOOP: for i in 0..trips (limit: a scalar buffer or NULL; test: runs `head`, goes on while cond) */
	const Axis *axis; /* trips in axis->extent; NULL: no bound */
	Buf *limit, *cond;
	bool reverse;
	Buf *counter;               /* i as an i32 scalar, NULL when not used */
	StepList head, body, other; /* COND: body, other */
	/* CALL */
	LoopFunc *callee;
	Buf **args;
	int nargs;
	Buf **results;
	int nresults;
	Buf *scratch;
	/* COPY: dst = src (same type) */
	Buf *dst, *src;
	/* PRINT ASSERT */
	const char *message;
	Buf **values;
	int nvalues;
	int assert_number;
};

struct LoopFunc {
	Func *func;
	const char *name;
	StepList steps;
	VEC(Buf *) bufs;
	Buf **param, **result;  /* [nparam], [nresult]; a result that is an inout parameter is that parameter's buffer */
	Dim arena;              /* bytes */
	VEC(const char *) dims; /* symbols that its code needs */
	Map names;              /* interned C names in use */
	int nkernels;
	bool reached;
};
struct Program {
	Module *m;
	VEC(LoopFunc *) funcs; /* callees first */
	int nasserts;
};
typedef struct Program Program;

/* lower.c: tensor IR to steps with one stage per kernel. */
Program *lower_program(Arena *a, Module *m);
/* fuse.c: merges neighbouring kernels. plan.c: arena offsets. */
bool fuse_program(Program *p);
bool plan_program(Program *p);
void loops_print(StrBuf *out, const Program *p);
#endif
