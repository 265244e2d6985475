/* random_bits_: the one primitive under std/random.mx. */
#include "builtins.h"

Val builtin_random_bits(Elab *e, const CallSite *at, Val *argv)
{
	Dim dims[MAX_RANK];
	int rank = elab_shape(e, argv[0], dims, NULL, arg_at(at, 0));
	Value *key = arg_tensor(e, at, argv, 1);
	int64_t width = elab_int(e, argv[2], arg_at(at, 2), "width"), two;
	const Type *t = key->type;
	if (t->dtype != DT_u32 || t->rank != 1 || !dim_is_const(t->dim[0], &two) || two != 2)
		elab_fail(e, arg_at(at, 1), "random.key", "a key is u32[2], as random.key(seed) makes it, not %s", type_text(e, t));
	if (width != 1 && width != 2 && width != 4)
		elab_fail(e, arg_at(at, 2), "random.width", "the width of random words is 1, 2 or 4 bytes, not %lld", (long long)width);
	Attr a[2] = {ATTR_DIMS(shape, dims, rank), ATTR_INT(width, width)};
	return val_tensor(ir_emit(elab_builder(e), OP_rng_bits, &key, 1, a, 2));
}
