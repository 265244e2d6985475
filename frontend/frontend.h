/* From .mx text to tensor IR. */
#ifndef MLXCC_FRONTEND_FRONTEND_H
#define MLXCC_FRONTEND_FRONTEND_H
#include "../ir/ir.h"

typedef struct FrontendOptions {
	const char *const *entry; int nentry;       /* export only these (all when 0) */
	bool tests;                                 /* elaborate the file's test blocks too, as functions with is_test */
	bool no_exports;                            /* tests only */
	bool train;                                 /* unused: `with train_mode()` in the source decides */
	/* weights baked in: "net" -> file; the parameter is then constant */
	const char *const *weight_name; const char *const *weight_file; int nweights;
} FrontendOptions;

/* Compiles the file at path (and what it imports) into a new module named after it, with one exported Func for each `export fn` and,
 * on request, one for each test. NULL after errors, which are in d. */
Module *frontend_compile(Arena *a, Diag *d, const char *path, FrontendOptions o);
/* Standard modules are embedded: text of "nn", "losses", ...; NULL when there is none. */
const char *std_module_text(const char *name, size_t *n);
#endif
