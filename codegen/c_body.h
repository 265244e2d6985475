/* How nodes and loops are written: shared by c_expr.c (one element at a time) and c_vector.c. */
#ifndef MLXCC_CODEGEN_C_BODY_H
#define MLXCC_CODEGEN_C_BODY_H
#include "../ir/elem_text.h"
#include "../passes/vectorise.h"
#include "emit.h"

typedef struct Use {
	int n;
	Body *body;
} Use;

struct VecLoop {
	const Axis *axis;
	int bits;           /* of a lane: 32, 64 */
	const Axis *row;    /* four rows of it at a time; NULL: one */
	const char *sum;    /* what the store combines with, in a register over several rows; NULL: memory */
	const char *active; /* how many lanes are in use; NULL: all */
	Decided decided;    /* in the part of the loop that is being printed */
	Map varies, done;   /* nodes; done: printed before the loop */
};

/* c_expr.c */
const char *node_text(Emit *e, Node *n);
const char *node_expression(Emit *e, Node *n);
void emit_node(Emit *e, Body *b, Node *n);
void count_body(Emit *e, Body *b); /* the uses of its nodes, once; of a body inside another one with that one */
const char *index_text(Emit *e, const Index *i);
const char *index_atom(Emit *e, const Index *i);
const char *access_text(Emit *e, const Buf *b, const Index *idx);
const char *address(Emit *e, const Buf *b, const Index *idx);
const char *test_text(Emit *e, Node *n);
const char *meaning(OpCode op, DType d);
const char *rounded(Emit *e, DType d, const char *x);
const char *atom(Emit *e, const char *s);
const char *temp(Emit *e, const char *hint); /* a new name */
void open_loop(Emit *e, const Axis *x, bool reverse);
void close_block(Emit *e);
void update(Emit *e, OpCode op, DType d, const char *acc, const char *x); /* acc = acc op x; */
/* Prints the loops that fold part[0..n) by halving; what holds the result. */
const char *fold_halves(Emit *e, OpCode op, DType c, const char *part, int n);
bool is_half(DType d);
Scalar reduce_identity(OpCode op, DType d);

/* c_raw.c: a library call, by its row of passes/loop.def. */
void emit_raw(Emit *e, Node *n);
/* The parts of a call that may be cut (loop_cut.h) that are computed here. */
void emit_parts(Emit *e, const Node *n, const char **lo, const char **hi);
#define RAW(word, gives, writes, scratch, cut, flops, text, doc) void emit_raw_##word(Emit *e, Node *n);
#include "../passes/loop.def"

/* c_vector.c */
/* The loop over axis[n - 1], or all of axis[0..n) where that axis says they are flat: vectors, then what is left. */
void vector_loop(Emit *e, const Axis *const *axis, int n, Body *b);
/* b adds rows axis[n - 2] to memory: the loops over them and axis[n - 1] take four rows at a time, one after the other. */
bool vector_rows_fit(const Axis *const *axis, int n, const Body *b);
void vector_rows(Emit *e, const Axis *const *axis, int n, Body *b);
/* b is a scan of rows along axis[n - 1]: its loop goes around the vectors, each row is made from the one before. */
void vector_scan(Emit *e, const Axis *const *axis, int n, Body *b);
/* The part lo..hi of the loop over x, which is not empty. */
void vector_range(Emit *e, const Axis *x, Body *b, const char *lo, const char *hi);
void vector_reduce(Emit *e, Node *n);
/* v for the loop over axis[n - 1]; its body, of `active` lanes where that is not NULL; n as a vector, an atom. */
void vector_begin(Emit *e, VecLoop *v, const Axis *const *axis, int n);
void vector_body(Emit *e, VecLoop *v, Body *b, const char *active);
const char *vector_text(Emit *e, Node *n);
/* c_vector_arg.c */
void vector_arg(Emit *e, Node *n);
const char *vector_arg_lanes(Emit *e, Node *n);
/* Prints n as a vector, or what was decided about it; false: it is a scalar here. */
bool vector_node(Emit *e, Body *b, Node *n);
#endif
