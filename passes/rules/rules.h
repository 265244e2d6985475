/* Derivative and batching rules, one set per row of ops.def.
 *
 * jvp        t[k] is the tangent of operand k, NULL where it is identically zero (at least one is not). dt[r] receives the tangent of
 *            result r or NULL. Operands and results in the view are already those of the derived function.
 * transpose  the cotangent of linear operand k from those of the results, g[r], NULL where zero (at least one is not). Must not read
 *            the value of operand k, only its type. The adjoint is taken under Re<a,b> = Re sum conj(a) b.
 * batch      in[k] has a leading axis of n where isb[k] (at least one has); the view is the unbatched op, for its types and attributes.
 *            Every result comes back with that axis.
 *
 * A symbolic zero is NULL and never a constant: 0*x can't be folded. Rules build naively; ir_emit folds, interns and hoists.
 */
#ifndef MLXCC_PASSES_RULES_H
#define MLXCC_PASSES_RULES_H
#include "../../ir/build.h"

typedef void JvpRule(Builder *b, const OpView *v, Value *const *t, Value **dt);
typedef Value *TransposeRule(Builder *b, const OpView *v, int k, Value *const *g);
typedef void BatchRule(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out);
typedef struct Rule {
	JvpRule *jvp;
	TransposeRule *transpose;
	BatchRule *batch;
} Rule;
/* NULL columns: does not apply. Rows of structure ops are empty, the sweeps handle them. */
const Rule *rule_of(OpCode c);

/* Whether every result of v is linear in operand k (a scatter is for some modes only). */
bool rule_linear(const OpView *v, int k);
/* Tangents of any tensor op. */
void rule_jvp(Builder *b, const OpView *v, Value *const *t, Value **dt);
/* The cotangent of operand k where v is linear in it or an element-wise partial exists; rule_direct says whether. */
bool rule_direct(const OpView *v, int k);
Value *rule_cotangent(Builder *b, const OpView *v, int k, Value *const *g);
void rule_batch(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out);

/* The partial derivative of an element-wise op by operand k at the view's operands and result; NULL: identically zero. */
Value *partial_value(Builder *b, const OpView *v, int k);
/* t times it (adjoint: its conjugate), or NULL. */
Value *partial_times(Builder *b, const OpView *v, int k, Value *t, bool adjoint);

/* --- helpers ------------------------------------------------------------------------------------------------------- */
static inline Dim d_int(Builder *b, int64_t n)
{
	return dim_int(b->m->dims, n);
}
static inline Dim d_add(Builder *b, Dim x, Dim y)
{
	return dim_add(b->m->dims, x, y);
}
static inline Dim d_sub(Builder *b, Dim x, Dim y)
{
	return dim_sub(b->m->dims, x, y);
}
static inline Dim d_mul(Builder *b, Dim x, Dim y)
{
	return dim_mul(b->m->dims, x, y);
}
static inline int64_t view_int(const OpView *v, AttrKey k)
{
	return view_attr(v, k)->v.i;
}
static inline const Type *in_type(const OpView *v, int k)
{
	return v->in[k]->type;
}
static inline const Type *out_type(const OpView *v, int r)
{
	return v->out[r]->type;
}
static inline bool has_ax(const int64_t *axes, int n, int64_t a)
{
	for (int i = 0; i < n; i++)
		if (axes[i] == a) return true;
	return false;
}
Value *rule_add(Builder *b, Value *x, Value *y);           /* either may be NULL */
Value *rule_conj(Builder *b, Value *x);                    /* x itself where real */
Value *rule_mask(Builder *b, Value *p, DType d);           /* 1 where the bool holds, else 0 */
Value *rule_lifted(Builder *b, Value *x, bool isb, Dim n); /* x, with the batch axis */
/* x[i-1] along axis (by = 1) or x[i+1] (by = -1); fill enters at the open end. */
Value *rule_shift(Builder *b, Value *x, int axis, int by, double fill);
/* x[.., idx[.., i, ..], ..] along axis; idx is i32 and has x's shape but for that axis. */
Value *rule_take_along(Builder *b, Value *x, Value *idx, int axis, bool unique);
/* v's op on other operands, same attributes. */
Value *rule_again(Builder *b, const OpView *v, Value *const *in);
void rule_again_n(Builder *b, const OpView *v, Value *const *in, Value **out);
/* The attributes of v with axis moved up by one / axes moved up by one; for ops whose rule is "shift axes by one". */
const Attr *rule_attrs_up(Builder *b, const OpView *v);
/* A rule's head: declares and defines it by its name, so that table.c and the definition can't disagree. */
#define TRANSPOSE(name)                                                                                                                    \
	TransposeRule transpose_##name;                                                                                                        \
	Value *transpose_##name(Builder *b, const OpView *v, int k, Value *const *g)
#define BATCH(name)                                                                                                                        \
	BatchRule batch_##name;                                                                                                                \
	void batch_##name(Builder *b, const OpView *v, Value *const *in, const bool *isb, Dim n, Value **out)
#define JVP(name)                                                                                                                          \
	JvpRule jvp_##name;                                                                                                                    \
	void jvp_##name(Builder *b, const OpView *v, Value *const *t, Value **dt)
#endif
