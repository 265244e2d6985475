/* What the rows of the op table share inside ir/: inference and evaluation of element-wise ops, comparison of shapes. */
#ifndef MLXCC_IR_OPTABLE_H
#define MLXCC_IR_OPTABLE_H
#include "ir.h"

/* Operand dtypes and shapes must agree; the result's dtype is by the row's ResultClass. */
bool infer_elementwise(Module *m, const DimFacts *f, const OpView *v, const Type **type, int *n, const char **why);
void eval_elementwise(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out);
bool class_takes(OperandClass c, DType d);
/* Same rank and dims, pointer-equal or equal under the facts (f may be NULL). */
bool type_same_shape(const DimFacts *f, const Type *a, const Type *b);
/* Result types of a call of f with these operand types: f's own, with the symbols of its parameter types replaced by the operands'
 * dims. False with a reason where the operands don't fit the parameters. type[f->body->nresult]. */
bool call_result_types(Func *f, const DimFacts *facts, const Type *const *in, int nin, const Type **type, const char **why);
/* Result types of loop and cond from their regions' results; the number of results. type[regions[0]->nresult] */
int region_result_types(Module *m, OpCode c, const Attr *attrs, int nattr, Block *const *region, const Type **type);
/* Copies attrs in the order of the row into to[8] without copying what they point to; the number kept. A key that the row
 * lacks or a missing required one: -1 with *why. */
int attrs_in_row_order(Module *m, OpCode c, const Attr *attrs, int nattr, Attr *to, const char **why);
#endif
