/* The loop IR: what tensor IR becomes on the way to C. It stands on its own: of the tensor IR only the signatures are left, as the text
 * (--emit=loops, docs/loop_ir.md) shows, from which one can go on: mlxcc F.ir. Its vocabulary is the table loop.def.
 *
 * A Program has one LoopFunc per function that is exported or called. A LoopFunc is a list of steps: kernels, run-time loops, branches,
 * calls, copies. A Kernel is a unit of fusion: outer axes that all of its stages share, and stages that run one after the other for each
 * point of the outer axes; values that only the kernel needs live in row buffers without the outer axes, or in scalars. A stage computes
 * one value: a nest over its own axes with a body of scalar SSA nodes. Accesses are affine in the axes, plus gathered terms: transpose,
 * broadcast, slice, pad, concat and the like have become index maps and guards and cost nothing.
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
	int vec;    /* bits of a lane where the loop runs in vectors, 32 or 64; 0: one element at a time */
	int flat;   /* of a vector loop: how many of the axes around it run as part of it */
	int pieces; /* > 0: its kernel may be shared out among threads along it, in so many pieces at most */
	Dim cost;   /* then: of one step along it, as parallel.c counts */
	bool mask;  /* of a vector loop: the extent is not a multiple of every width; the last elements take a vector of fewer lanes */
	/* of a vector loop in a loop over rows: it asks for the next row of what the kernel reads, and of what it writes */
	bool ahead, ahead_out;
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
#define BUF(space, word, text, doc) BUF_##space,
#include "loop.def"
} BufSpace;
/* What kernels/templates.h and the sizes of its scratch agree on. */
enum { SORT_RADIX_FROM = 64, TOPK_SLACK = 64 };
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
	int slices;      /* BUF_ROW in the arena, set by plan: one for each piece of its kernel, a multiple of 64 bytes apart */
	int first, last; /* lifetime in step numbers */
	bool inout;
	const Step *home;  /* innermost run-time loop whose body it belongs to; NULL: the function */
	int writes, reads; /* how often it stands in a node or step (loops_settle) */
	int number;        /* BUF_PARAM, BUF_RESULT: which */
	int order;         /* in its function */
	LoopFunc *callee;  /* BUF_ARENA: memory that a call of it needs */
	const char *path;  /* BUF_PARAM, BUF_RESULT of exported functions: "net.l1.weight" */
};

typedef enum NodeKind {
#define NODE(kind, word, gives, text, doc) N_##kind,
#include "loop.def"
} NodeKind;
enum {
	N_COUNT = 0
#define NODE(kind, word, gives, text, doc) +1
#include "loop.def"
};
struct Node {
	NodeKind kind;
	int id;
	DType dtype, from;
	OpCode op;
	const char *variant; /* OP: "neg", .. : which routine (range.c); NULL: the plain one */
	Node *arg[3];
	int narg;
	Scalar value;
	Buf *buf, *buf2, *src, *src2;
	Buf *table; /* N_RAW: read */
	Buf **uses; /* N_RAW: read */
	int nuses;
	Index *index;
	int nindex;
	Dim lo, hi;
	const char *mode;
	const Axis *axis[MAX_RANK];
	int naxis;
	int lanes; /* REDUCE: number of partial results; 0: one, in order */
	int block; /* REDUCE: sums of so many elements each are added in order; 0: no blocks */
	Body *body, *other;
	bool reverse, exclusive;
	int64_t number;
	const int64_t *ints; /* RAW: numbers of the kernel's shape */
	int nints;
	int norm; /* RAW transforms: fft_norm's number */
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
	const Axis *axis[MAX_RANK];
	int naxis;  /* loops around body; the first ones may be the kernel's outer axes */
	int nkeep;  /* how many leading axes of the value are leading axes here (may be shared) */
	Body *init; /* accumulating stages: runs over the value's axes before body's loops; else NULL */
	const Axis *init_axis[MAX_RANK];
	int ninit;
	Body *body;
	Loc loc;
	const char *what; /* "add", "dot", "reduce_sum": for comments */
	/* A sum of products that a template may compute (dot_view.h): of the axes, the last `cols` are columns and the `rows` before them rows
	 * of the result. how: the template that the pass `templates` chose, with the memory that it needs; the stages behind this one then
	 * are one nest that runs tile by tile. */
	int rows, cols;
	const char *how;
	Buf *room;
} Nest;

typedef struct Kernel {
	const char *name;
	const Axis *outer[MAX_RANK];
	int nouter;
	Nest **stages;
	int nstages, cap;
	Loc loc;
	Notes notes; /* what fused and what did not, why this form: for --emit=report, not in the text */
} Kernel;

typedef enum StepKind {
#define STEP(kind, word, text, doc) STEP_##kind,
#include "loop.def"
} StepKind;
enum {
	STEP_COUNT = 0
#define STEP(kind, word, text, doc) +1
#include "loop.def"
};
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
	StepList head, body, other; /* COND, WHEN: body, other */
	/* WHEN: a dimension of the function is this number */
	const char *dim;
	int64_t equals;
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
};
struct Program {
	Module *m;
	VEC(LoopFunc *) funcs; /* callees first */
	int nasserts;
	const char *after; /* the last pass that ran, or NULL */
};
typedef struct Program Program;

/* lower.c: tensor IR to steps with one stage per kernel. */
Program *lower_program(Arena *a, Module *m);
/* vectorise.c: which loops run in vectors. */
bool vectorise_program(Program *p);
/* range.c: variants of elementary functions; fast: those too that give other bits. */
bool range_program(Program *p, bool fast);
bool variant_exists(OpCode op, const char *variant);
/* fuse.c: merges neighbouring kernels. plan.c: arena offsets. */
bool fuse_program(Program *p);
bool plan_program(Program *p);
/* Of one slice of b: a multiple of 64. */
Dim plan_bytes(DimCtx *c, const DimFacts *f, const Buf *b);

/* loop_settle.c: what follows from the rest, after every pass and after reading: numbers of nodes, names of kernels, who uses which buffer
 * (unused ones go), the order of buffers, the set of names. Going on from a text then gives what going on in memory gives. */
void loops_settle(Program *p);
/* The names that are taken before there are buffers and axes: dimensions, arguments that are trees. */
void loop_reserve_names(Program *p, LoopFunc *f);
/* A C identifier that is not in use in f. */
const char *loop_name(Program *p, LoopFunc *f, const char *hint);
/* loop_verify.c: checks the rules; reports each breach as DIAG_BUG (or DIAG_ERROR when from_text). True if there is none. */
bool loops_verify(Program *p, bool from_text);
/* loop_print.c. */
void loops_print(StrBuf *out, const Program *p, PrintOptions o);
/* loop_read.c: text that loops_print wrote, or a person did. NULL after diagnostics. file: number from diag_add_file. */
Program *loops_read(Arena *a, Diag *d, uint32_t file);
#endif
