/* The processors that code is made for: the rows of targets.def. */
#ifndef MLXCC_IR_TARGET_H
#define MLXCC_IR_TARGET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Target {
	const char *name, *arch;
	int lanes;
	const char *flags, *macros; /* words between blanks */
	int64_t row_stack, kernel_stack, scratch, winograd;
	const char *doc;
} Target;

extern const Target targets[];
extern const int ntargets;
const Target *target_find(const char *name); /* NULL: there is none */
const Target *target_any(void);              /* of programs for which none was named */
const Target *target_native(void);           /* the best row that this machine can run */
bool target_runs_here(const Target *t);
/* Is `word` among the words of a list between blanks? */
bool target_has_word(const char *list, const char *word, size_t n);
/* The macro is defined (1), not defined (0) or may be either (-1) where code for t is compiled. */
int target_defines(const Target *t, const char *macro, size_t n);
#endif
