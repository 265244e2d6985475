/* What the commands share: the session of one call of mlxcc, loading, building, running. */
#ifndef MLXCC_DRIVER_DRIVER_H
#define MLXCC_DRIVER_DRIVER_H
#include "../frontend/files.h"
#include "../frontend/frontend.h"
#include "../ir/eval.h"
#include "../ir/ir.h"
#include "options.h"

typedef struct Session {
	Arena *arena; /* limited by --max-memory */
	Diag *diag;   /* to standard error */
	const Options *o;
	Program *program; /* of build_passes */
} Session;

int cmd_compile(Session *s);
int cmd_run(Session *s);
int cmd_test(Session *s);
int cmd_verify(Session *s);
int cmd_check(Session *s);

/* --- session.c --------------------------------------------------------------------------------------------------------- */
/* Reports a mistake that has no place in a source, and returns its exit code, 1. */
int session_fail(Session *s, const char *label, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int session_code(Session *s); /* flushes messages; exit code of the gravest */
/* The module of o->input (.mx or .ir). tests: with its test blocks, and without its exports. NULL after messages. */
Module *session_load(Session *s, bool tests);
/* Runs the passes; s->program is set if they reach the loop stage. False after messages. report may be NULL. */
bool session_passes(Session *s, Module *m, StrBuf *report);
/* Forgets that there were errors (failed tests are no reason not to compile), but not the sources. */
void session_fresh_diag(Session *s, Module *m);
/* The exported function `name`, or the only one when name is NULL. NULL after a message. */
Func *session_function(Session *s, Module *m, const char *name);
void dot_print(StrBuf *out, const Module *m); /* dot.c: a picture for Graphviz */

/* --- progress.c: what takes more than a second shows itself, if standard error is a terminal ---------------------------- */
typedef struct Progress Progress;
Progress *progress_begin(const char *what);
void progress_end(Progress *p);

/* --- trees.c: arguments and results as leaves --------------------------------------------------------------------------- */
/* A group of leaves that is one argument of the C function: a tensor or number, or a tree (a struct of pointers). */
typedef struct LeafGroup {
	const char *name;
	bool is_tree, is_inout;
	int first, n;
} LeafGroup;
typedef struct Signature {
	Func *f;
	const char *name;
	LeafGroup *param, *result;
	int nparam, nresult; /* results: those that update no inout parameter */
	int *result_index;   /* leaf of a result group -> index into f's results */
	const Type **param_type, **result_type;
	int nin, nout;
	int *alias; /* [nout]: the inout parameter leaf that result i updates, or -1 */
	const char **in_path, **out_path;
	const char *const *dims;
	int ndims;
	const DimFacts *facts;
	DimCtx *ctx;
} Signature;
Signature signature_of(Arena *a, Func *f);
/* Binds the dimensions of env from the arguments' shapes and checks these and the facts. False after messages. */
bool signature_bind(Session *s, const Signature *g, Tensor *const *args, DimEnv *env);
bool signature_result_shape(const Signature *g, int result, const DimEnv *env, int64_t *shape);
/* The tensors that the command line names, by parameter leaf. False after messages. */
bool trees_load(Session *s, const Signature *g, DimEnv *env, Tensor **args);
/* Writes the results, by leaf of f's results, where --out says. */
bool trees_save(Session *s, const Signature *g, Tensor *const *results);
const char *tensor_type_str(Arena *a, const Tensor *t); /* "f32[4,10]" */

/* --- native.c: the module as a shared library --------------------------------------------------------------------------- */
typedef struct Native Native;
/* Generates C for s->program, compiles it (or finds it in the cache) and loads it. sig: the functions to call. NULL after messages. */
/* no_fma: the interpreter's bits. */
Native *native_build(Session *s, const Signature *sig, int n, bool check, bool no_fma);
void native_free(Native *l);
void *native_handle(const Native *l); /* of the library */
/* --- profile.c: run --profile ------------------------------------------------------------------------------------------- */
const char *profile_wrapper(void); /* C behind the entries' */
/* Calls function 0 several times with the same arguments, prints the counts. The C function's code. */
int profile_calls(Session *s, Native *l, const Signature *g, Tensor *const *args, const DimEnv *env, Tensor **results);
/* Reports what the C function `name` returned: a broken fact, or the assertion (of a checking build) that does not hold. */
void native_report(Session *s, const char *name, int code);
/* Calls function `which`. args: by parameter leaf; inout ones are overwritten. results[nout] are allocated in the session's arena, those of
 * inout parameters being the overwritten arguments. Returns the C function's code, or -1 after a message. */
int native_call(Session *s, Native *l, int which, Tensor *const *args, const DimEnv *env, Tensor **results);
#endif
