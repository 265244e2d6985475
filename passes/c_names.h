/* Names that emitted C must not use for values: see c_names.c. */
#ifndef MLXCC_PASSES_C_NAMES_H
#define MLXCC_PASSES_C_NAMES_H
#include "../ir/arena.h"

/* name as a member of a structure, and as a variable or parameter: itself, or with one more "_" at its end. Different names stay different.
 */
const char *c_member_name(Arena *a, const char *name);
const char *c_variable_name(Arena *a, const char *name);
#endif
