/* Element-wise ops and conversions on concrete tensors: the loops that tools/elem_loops.c makes of the meanings in ops.def. */
#include "../kernels/complex.h"
#include "../kernels/maths.h"
#include "op_util.h"
#include "optable.h"
#include "elem_loops.h"

ElemLoop *elem_loop(OpCode c, DType d)
{
	return elem_loops[c][d];
}
ElemLoop *elem_convert(DType from, DType to)
{
	return elem_converts[from][to];
}

void eval_elementwise(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out)
{
	const void *data[3];
	for (int k = 0; k < v->nin; k++) data[k] = in[k]->data;
	DType d = in[v->nin == 3 ? 1 : 0]->dtype;
	ElemLoop *loop = v->code == OP_convert ? elem_convert(d, out[0]->dtype) : elem_loop(v->code, d);
	loop(data, out[0]->data, tensor_size(out[0]));
}
