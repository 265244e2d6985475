/* Diagnostics: one message per mistake, with place, caret, both sides and a fix.
 *
 *   mlp.mx:3:10: error[matmul.C2]: inner dimensions differ: 64 and 128
 *      3 |   gelu(x @ w + b)
 *        |        ^~~~~
 *   note: `x` is f32[32,64]
 *   help: `x @ w.T` has type f32[32,128]
 *
 * Three classes, three exit codes: user error (1), limitation of mlxcc (2), bug in mlxcc (70).
 */
#ifndef MLXCC_IR_DIAG_H
#define MLXCC_IR_DIAG_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include "arena.h"

/* A half-open byte range of a source file. file 0: no place known. Line and column (1-based, in
 * characters) are computed when printing. */
typedef struct Loc { uint32_t file, begin, end; } Loc;
#define NO_LOC ((Loc){0, 0, 0})

typedef enum DiagClass { DIAG_ERROR, DIAG_WARNING, DIAG_LIMITATION, DIAG_BUG } DiagClass;
typedef struct Diag Diag;               /* the sink of one compilation */

Diag *diag_new(Arena *a, FILE *out);    /* out NULL: messages are kept, not printed */
/* Registers a source text (copied); returns its file number (>= 1). The name is what messages show. */
uint32_t diag_add_file(Diag *d, const char *name, const char *text, size_t n);
const char *diag_file_name(const Diag *d, uint32_t file);
const char *diag_file_text(const Diag *d, uint32_t file, size_t *n);
void diag_line_col(const Diag *d, uint32_t file, uint32_t offset, int *line, int *col);

/* Reports at loc. label: "matmul.C2", shared by code, docs and test; NULL for none. Messages start in lower
 * case and have no final point. After 20 errors "too many errors" is printed and the rest is only counted.
 * The same class, place and text twice is printed once. */
void diag(Diag *d, DiagClass c, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void diag_v(Diag *d, DiagClass c, Loc loc, const char *label, const char *fmt, va_list ap);
/* Attach to the diagnostic just reported. */
void diag_note(Diag *d, Loc loc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_help(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_flush(Diag *d);                          /* prints what is pending */
/* While muted nothing but bugs is reported: the front end tries something that may fail. Returns what it was. */
bool diag_mute(Diag *d, bool muted);
int diag_count(const Diag *d, DiagClass c);
/* 0, or the exit code of the gravest class seen: 70 bug, 2 limitation (only if there is no error), 1 error. */
int diag_exit_code(const Diag *d);
const char *diag_text(Diag *d);                    /* everything reported so far */
/* "did you mean": the candidate nearest to name by edit distance (at most a third of its length), or NULL. */
const char *diag_suggest(const char *name, const char *const *candidates, int n);
#endif
