/* What irtool's commands share. */
#ifndef MLXCC_TESTS_IRTOOL_H
#define MLXCC_TESTS_IRTOOL_H
#include "../../ir/ir.h"

typedef struct Tool {
	Arena *arena, *scratch;
	Diag *diag;
	bool no_loc;
	struct Program *program; /* where the text is loop IR */
} Tool;
_Noreturn void tool_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void tool_exit(Tool *t);            /* with the diagnostics' exit code */
Module *tool_read(Tool *t, const char *path); /* read and verified; exits otherwise */
void tool_print(Tool *t, const Module *m);
Func *tool_func(Module *m, const char *name); /* "@f" or "f"; exits when there is none */
#endif
