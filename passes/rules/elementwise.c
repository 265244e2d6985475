/* Transposes of the element-wise ops that are linear in some operand. Batching lifts and emits (table.c); the other derivatives are
 * partials in ops.def. Complex values: the adjoint under Re<a,b>, so a factor comes back conjugated. */
#include "rules.h"
#include <stddef.h>

#define RULE(name) Value *transpose_##name(Builder *b, const OpView *v, int k, Value *const *g)
TransposeRule transpose_add, transpose_sub, transpose_mul, transpose_div, transpose_neg, transpose_real, transpose_imag, transpose_conj,
    transpose_complex, transpose_select, transpose_convert;

RULE(add)
{
	return g[0];
}
RULE(sub)
{
	return k == 0 ? g[0] : ir_unary(b, OP_neg, g[0]);
}
RULE(mul)
{
	return ir_binary(b, OP_mul, g[0], rule_conj(b, v->in[1 - k]));
}
RULE(div)
{
	return ir_binary(b, OP_div, g[0], rule_conj(b, v->in[1]));
}
RULE(neg)
{
	return ir_unary(b, OP_neg, g[0]);
}
RULE(conj)
{
	return ir_unary(b, OP_conj, g[0]);
}
RULE(real)
{
	return ir_convert(b, g[0], DT_c64);
}
RULE(imag)
{
	return ir_binary(b, OP_complex, ir_zeros(b, g[0]->type), g[0]);
}
RULE(complex)
{
	return ir_unary(b, k == 0 ? OP_real : OP_imag, g[0]);
}
RULE(convert)
{
	return ir_convert(b, g[0], in_type(v, 0)->dtype);
}
RULE(select)
{
	Value *zero = ir_zeros(b, g[0]->type);
	return k == 1 ? ir_select(b, v->in[0], g[0], zero) : ir_select(b, v->in[0], zero, g[0]);
}
