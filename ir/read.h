/* State of the IR reader, shared by read.c (structure) and read_lex.c (characters, numbers, constants, places). */
#ifndef MLXCC_IR_READ_H
#define MLXCC_IR_READ_H
#include "build.h"
#include "text.h"

/* Regions nest at most this deep, dims in parentheses too: a text can't exhaust the stack. */
#define READ_MAX_DEPTH 64

typedef struct Undo {
	const char *name;
	Value *before;
} Undo;

typedef struct Reader Reader;
struct Reader {
	Arena *arena;
	Module *m;
	Diag *diag;
	uint32_t file;
	const char *text, *p, *end; /* text[n] is NUL */
	bool failed;                /* an error was reported since the last recovery */
	int errors;
	int depth;
	Map scope; /* interned name -> Value visible here */
	VEC(Undo) undo;
	struct LocFiles *locs;
	/* loop IR: reads a function's body behind its brace, and the closing one */
	bool (*body)(Reader *r, Func *f, const Type *const *results, int n);
	void *ctx;
};

void reader_init(Reader *r, Arena *a, Diag *d, uint32_t file);
void read_module(Reader *r); /* all of the text; r->errors counts what went wrong */

/* Reports at the text [at, r->p) once per recovery. Always false. */
bool read_fail(Reader *r, const char *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void read_space(Reader *r);        /* blanks and # comments */
bool read_peek(Reader *r, char c); /* after blanks */
bool read_accept(Reader *r, char c);
bool read_expect(Reader *r, char c, const char *after);
bool read_word(Reader *r, const char *word); /* consumes that word if it is next */
bool read_next_is(Reader *r, const char *word);
const char *read_ident(Reader *r); /* interned; NULL when none */
bool read_int(Reader *r, int64_t *out);
const char *read_found(Reader *r); /* what stands next, for messages */
bool read_scalar(Reader *r, DType d, Scalar *out);
bool read_string(Reader *r, const char **out);    /* interned */
bool read_func_name(Reader *r, const char **out); /* @name */
bool read_dim(Reader *r, Dim *out);
bool read_dtype(Reader *r, DType *out);
bool read_type(Reader *r, const Type **out);
bool read_tensor(Reader *r, const Tensor **out);
/* loc("file":line:col-col): found all over the text first, so that files not registered can be given the lines and columns used. */
bool read_all_locs(Reader *r);
bool read_loc(Reader *r, Loc *out);
#endif
