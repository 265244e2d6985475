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
#endif
