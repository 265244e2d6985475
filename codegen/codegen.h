/* From loop IR to C. */
#ifndef MLXCC_CODEGEN_CODEGEN_H
#define MLXCC_CODEGEN_CODEGEN_H
#include "../ir/ir.h"
#include "../passes/pass.h"

typedef struct CodegenOptions {
	const char *prefix;      /* of public names; the module's name when NULL */
	const char *header_name; /* "digits.h" as the source includes it */
	const char *command;     /* shown in the banner; must not name paths or dates */
	bool no_fma;             /* a*b + c rounds twice everywhere */
	const struct Target *target; /* --target-cpu, or NULL: for all, the preprocessor chooses */
	const char *target_flags;    /* of the C compiler for it */
	bool profile;            /* --profile: functions take a structure that counts their kernels */
	int threads;             /* as PassOptions.threads: 2 or more give entries an executor */
	bool check;              /* --check: run-time asserts of data return a code */
} CodegenOptions;
void codegen_c(StrBuf *out, Program *p, CodegenOptions o);
void codegen_header(StrBuf *out, Program *p, CodegenOptions o);
void codegen_report(StrBuf *out, Program *p);
/* support.c: the definitions of kernels/ that text reaches, in C's order; types that a program's header has only where asked for. */
bool codegen_has_definition(Arena *a, const char *name); /* in kernels/ */
void codegen_support(StrBuf *out, Arena *a, const struct Target *t, const char *text, bool with_header_types);
#endif
