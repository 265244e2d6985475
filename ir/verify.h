/* What the reader checks of a single op while its place in the text is known. */
#ifndef MLXCC_IR_VERIFY_H
#define MLXCC_IR_VERIFY_H
#include "ir.h"

/* Operand and result counts, attributes, regions and types. False with a message. Calls are checked against the callee as it is now. */
bool op_check(Op *op, const char **why);
#endif
