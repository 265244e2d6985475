/* What the printer and the reader of IR text agree on. */
#ifndef MLXCC_IR_TEXT_H
#define MLXCC_IR_TEXT_H
#include "ir.h"

/* Constants with more elements are written as hexadecimal bytes. */
#define IR_LIST_ELEMENTS 64

bool ir_name_char(char c);                             /* may stand in %name, after a letter or _ (digits alone: an unnamed value) */
bool ir_func_name_char(char c);                        /* may stand in @name without quotes */
const char *ir_region_word(BlockKind kind, int index); /* "do", "while", "then", "else" */
uint64_t ir_plain_nan(DType d);                        /* bits of the nan that prints as `nan` */

/* Parts of the text, for the printer of loop IR. */
void ir_put_string(StrBuf *b, const char *s);
void ir_put_func_name(StrBuf *b, const char *name);
void ir_put_type(StrBuf *b, const Type *t);
void ir_put_tensor(StrBuf *b, const Tensor *t);
void ir_put_scalar(StrBuf *b, Scalar s);
void ir_put_loc(StrBuf *b, const Diag *d, Loc loc); /* nothing where no place is known */
void ir_print_module_line(StrBuf *out, const Module *m, const char *stage, const char *after);
/* A function's signature, up to and with the brace that opens its body; facts about its dims and symbols[n] (not NULL), no rules. */
void ir_print_head(StrBuf *out, const Func *f, const char *const *symbols, int n, PrintOptions o);
#endif
