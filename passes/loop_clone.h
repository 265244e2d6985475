/* Copies of steps with a dimension replaced by a number: what `specialise` makes. */
#ifndef MLXCC_PASSES_LOOP_CLONE_H
#define MLXCC_PASSES_LOOP_CLONE_H
#include "loop.h"

typedef struct LoopClone {
	Program *p;
	LoopFunc *f; /* whose steps are copied; the copies' buffers are added to it */
	const char *sym;
	int64_t value;
	Map copy; /* Buf, Axis, Node, Step -> its copy */
	/* called functions that need the dimension: their copies, in front of f in the program */
	int *at; /* f's position in the program */
} LoopClone;

StepList loop_clone_steps(LoopClone *c, const StepList *list);
/* Does anything in the steps need the dimension? */
bool loop_steps_mention(Program *p, const StepList *list, const char *sym);
#endif
