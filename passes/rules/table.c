/* The rule table, built from ops.def. A row that needs a rule names a function here; a rule that nobody wrote is a link error, so no op
 * can fall through to a silent zero derivative. */
#include "rules.h"

enum {
	COMMUTES = OPF_COMMUTES,
	CHEAP = OPF_CHEAP,
	VIEW = OPF_VIEW,
	EFFECT = OPF_EFFECT,
	REGION = OPF_REGION,
	OWN_JVP = OPF_OWN_JVP,
	OPAQUE = OPF_OPAQUE
};

#define ELEM(name, n, takes, res, F, I, B, C, pa, pb, pc, lin, zero, flags, doc) TransposeRule transpose_##name;
#define TENSOR(name, nin, nout, attrs, lin, zero, flags, doc)                                                                              \
	JvpRule jvp_##name;                                                                                                                    \
	TransposeRule transpose_##name;                                                                                                        \
	BatchRule batch_##name;
#include "../../ir/ops.def"
#undef ELEM
#undef TENSOR

static BatchRule batch_elementwise;

/* sizeof(lin) > 1: the text is not empty. The unused branch of a constant condition leaves no reference behind. */
#define ELEM(name, n, takes, res, F, I, B, C, pa, pb, pc, lin, zero, flags, doc)                                                           \
	[OP_##name] = {NULL, sizeof(lin) > 1 ? transpose_##name : NULL, batch_elementwise},
#define TENSOR(name, nin, nout, attrs, lin, zero, flags, doc)                                                                              \
	[OP_##name] = {((flags)&OWN_JVP) ? jvp_##name : NULL, sizeof(lin) > 1 ? transpose_##name : NULL,                                       \
	               ((flags)&REGION) ? NULL : batch_##name},
static const Rule rules[OP_COUNT] = {
#include "../../ir/ops.def"
};
#undef ELEM
#undef TENSOR

const Rule *rule_of(OpCode c)
{
	return &rules[c];
}

static void batch_elementwise(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	Value *full[3];
	for (int k = 0; k < v->nin; k++) full[k] = rule_lifted(b, in[k], isb[k], n);
	rule_again_n(b, v, full, out);
}

void rule_batch(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
{
	rules[v->code].batch(b, v, in, isb, n, out);
}
