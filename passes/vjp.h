/* The reverse sweep's parts: the tape that the forward clone records (vjp.c), structure (vjp_region.c), closing (vjp_close.c). */
#ifndef MLXCC_PASSES_VJP_H
#define MLXCC_PASSES_VJP_H
#include "derive.h"

/* One op of the forward clone that cotangents pass through. */
typedef struct Entry Entry;
typedef struct Sweep Sweep;
struct Entry {
	Value **out;
	int nout;
	Value **act;
	int nact; /* active operands and active captures */
	void (*vjp)(Builder *b, Entry *e, Value *const *g, Map *ct);
	Op *op; /* structure: the op in the forward clone */
	OpView view;
	bool *want;    /* tensor ops: want[k], operand k is active */
	Block *arm[2]; /* loop: the body; cond: both arms */
	int ncapture;  /* the first of act are captures */
	int counter;   /* loop: which carry counts the steps, -1 none */
	Loc loc;
	Sweep *sweep; /* alive until its function is done */
};
typedef VEC(Entry *) Tape;

struct Sweep {
	Builder b;
	Arena *tmp;
	Map env, active; /* source values */
	/* The swept function is linear in its active parameters and is being transposed: what it needs of its callees must not come out of
	 * calls that have a linear operand, so their backward functions compute it again. */
	bool linear;
	Map act;  /* values of the clone that have a tape entry or are active parameters */
	Map seen; /* ops that have an entry or are known to be passive */
};

Tape *tape_of(Arena *a, Block *b);
void tape_push(Sweep *s, Entry *e); /* on the tape of the block where its result landed */
Entry *entry_new(Sweep *s, Op *source, Value **out);
void ct_add(Builder *b, Map *ct, Value *v, Value *c);
void tape_backward(Builder *b, Tape *t, Map *ct);
/* Which active values the cotangents of ids can reach; order: each once. ids grows. */
typedef VEC(Value *) Values;
void tape_reach(Arena *a, Tape *t, Map *ids, Values *order);

void forward_block(Sweep *s, Block *b);
Entry *forward_loop(Sweep *s, Op *op, Value **in);
Entry *forward_cond(Sweep *s, Op *op, Value **in);
Entry *forward_call(Sweep *s, Op *op, Value **in);

/* The residuals of bwd: values of its twin fwd that remain free after cheap ones (with `all`, everything without effect) were cloned
 * into it. carries: how many parameters behind the first one are loop carries. */
void vjp_close(Block *bwd, Block *fwd, int carries, bool all, Values *kept);
/* A call that does what a loop with remat = K does (vjp_strip.c); NULL: not such a loop. */
Op *vjp_strip(Sweep *s, Op *op);
/* See vjp_sizes.c. */
void vjp_bind_sizes(Arena *tmp, Func *g, const Block *from, const Values *kept, Values *extra);
#endif
