/* How an index expression selects elements; between index.c (what is selected), index_read.c and index_write.c. */
#ifndef MLXCC_FRONTEND_INDEX_H
#define MLXCC_FRONTEND_INDEX_H
#include "builtins.h"

typedef enum TermKind { TERM_SLICE, TERM_NEW, TERM_INT, TERM_SCALAR, TERM_ARRAY } TermKind;

/* One axis of the operand, or a new axis. A slice is: the box [lo, lo+size) of the axis, or one of that size at a run-time start; reversed
 * if rev; then every step-th element, len of them. */
typedef struct Term {
	TermKind kind;
	int axis;          /* of the operand; -1 for TERM_NEW */
	Dim lo, size, len; /* SLICE; INT: lo is the index */
	int64_t step;
	bool rev;
	Value *start;   /* SLICE with a run-time start: i32, >= 0 or clamped by the op */
	Value *idx;     /* SCALAR, ARRAY: i32, negative ones wrapped */
	bool in_range;  /* SCALAR: 0 <= idx < size of the axis is known */
	bool after_gap; /* behind a `...` that stands for no axis: it still separates integer arrays, as in NumPy */
	Loc loc;
} Term;

typedef struct Plan {
	Elab *e;
	Value *x; /* the operand */
	Term at[2 * MAX_RANK];
	int n;
	bool arrays; /* an array among the indices: then integers index together with it */
	bool joined; /* all advanced terms are neighbours: their axes stay in place, else they come first */
	Loc loc;
} Plan;

Plan plan_index(Elab *e, Value *x, const Val *idx, int n, Loc loc);
bool term_is_advanced(const Plan *p, const Term *t); /* goes through gather or scatter */
/* The shape of the selection; *at is where the axes of the index arrays (rank and dims in ishape) begin. */
int plan_shape(const Plan *p, const Type *ishape, Dim *dims, int *at);
/* The advanced terms' indices broadcast and stacked: i32 [I.., m]; axes of the operand in axes[m]. *ishape: type with the axes I. */
Value *plan_indices(Plan *p, int64_t *axes, int *m, const Type **ishape);
/* x with the slice terms applied (integers too where they are not advanced, as size 1); all axes kept. */
Value *plan_read_box(Plan *p);
/* x with that box replaced by v (mode "set") or increased ("add"). */
Value *plan_write_box(Plan *p, Value *v, const char *mode);
/* A run-time integer as a polynomial, loop indices and other values as atoms. */
Dim dim_of_value(Elab *e, Value *v);
/* 0 <= idx < n is known of a scalar. */
bool index_in_range(Elab *e, Value *idx, Dim n);
/* An axis of n elements that is read at a clamped index has one: known, or made a fact. */
void index_require_elements(Elab *e, Dim n);
/* i32 indices with negative ones counted from n. */
Value *index_wrap(Elab *e, Value *idx, Dim n, Loc loc);
#endif
