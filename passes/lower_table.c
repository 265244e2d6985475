/* The lowering row of every op: element-wise ops share one (by their CHEAP flag), the others have lower_NAME; a missing one does not link.
 */
#include "lower.h"

extern const LowerRow lower_elementwise, lower_elementwise_cheap;
#define ELEM(name, ...)
#define TENSOR(name, ...) extern const LowerRow lower_##name;
#include "../ir/ops.def"
#undef ELEM
#undef TENSOR

static const LowerRow *const rows[OP_COUNT] = {
#define ELEM(name, ...) NULL,
#define TENSOR(name, ...) &lower_##name,
#include "../ir/ops.def"
#undef ELEM
#undef TENSOR
};

const LowerRow *lower_row(OpCode c)
{
	if (rows[c]) return rows[c];
	return op_row(c)->flags & OPF_CHEAP ? &lower_elementwise_cheap : &lower_elementwise;
}
