/* Why something is as it is, for --emit=report: short texts on functions and kernels, written where the decision is made. Nothing else
 * reads them, and the IR's text leaves them out: a program that was read from text has those of the passes that ran since. */
#ifndef MLXCC_IR_NOTE_H
#define MLXCC_IR_NOTE_H
#include "arena.h"
#include "diag.h"

typedef struct Note {
	const char *text;
	Loc loc;
} Note;
typedef VEC(Note) Notes;

/* The text's memory is a's; a text that is there already, for the same place, is not added again. */
void note_add(Arena *a, Notes *n, Loc loc, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* n in memory of its own. */
Notes notes_copy(Arena *a, const Notes *n);
#endif
