/* Function transforms on tensor IR. The algorithms and conventions: docs/ir.md, after shared design "transforms".
 *
 * All take a function and give another in the same module; what they return can be transformed again. Masks are over flat leaves.
 * Derived functions are cached on f and named stably: f.jvp[101], f.fwd[11/1], f.bwd[11/1], f.vmap[01].
 * A function that carries rules or `remat` may be given to any of them: the rules are used, the flag is kept.
 *
 * Signatures of the rules of f: (params..) -> (results..), with `d` meaning only the real-float and c64 leaves, in order:
 *   rule_jvp       (params.., tangents of d params..) -> tangents of d results
 *   rule_vjp_bwd   with rule_vjp_fwd NULL: (params.., results.., cotangents of d results..) -> cotangents of d params
 *   rule_vjp_fwd   (params..) -> (results.., residuals..), and then rule_vjp_bwd (residuals.., cotangents of d results..) -> cotangents of d params
 *   rule_vmap      (params.., each [n, ..]) -> (results.., each [n, ..])
 * One of rule_jvp and rule_vjp_bwd is enough for both directions: the missing one is the other's transpose, so rules must be linear in
 * tangents and cotangents.
 *
 * Errors of the user (an unbounded while reached by a cotangent, a kernel without a rule) are reported in the module's diag with the
 * op's place; then NULL is returned.
 */
#ifndef MLXCC_PASSES_TRANSFORM_H
#define MLXCC_PASSES_TRANSFORM_H
#include "../ir/build.h"

/* (primals.., tangents of the active..) -> (results.., tangents of the results with out_active). active[nparam] marks the parameters that
 * carry a tangent (others: tangent zero). out_active[nresult] is filled: results whose tangent is identically zero get none. */
Func *transform_jvp(Func *f, const bool *active, bool *out_active);
/* (params.., cotangents of the results with seeded) -> (results.. if values, cotangents of the params with active, in order).
 * Unreached active parameters get zeros. seeded[nresult]. */
Func *transform_vjp(Func *f, const bool *active, const bool *seeded, bool values);
/* Reverse mode of the first result, a rank-0 real, seeded with 1: (params..) -> (results.. if values, gradients of the active params). */
Func *transform_grad(Func *f, const bool *active, bool values);
/* batched[nparam]: that parameter has a leading axis of n. Results: out_batched[nresult] is filled; with all_out every result is batched.
 */
Func *transform_vmap(Func *f, const bool *batched, Dim n, bool all_out, bool *out_batched);
/* linearize: *fwd (params..) -> (results.., residuals..), *lin (residuals.., tangents of the active..) -> tangents of all results (zeros
 * where none). */
bool transform_linearize(Func *f, const bool *active, Func **fwd, Func **lin);
/* The transpose of g, which is linear in the parameters with linear: (other params.., cotangents of all results) -> cotangents of the
 * linear ones. */
Func *transform_transpose(Func *g, const bool *linear);
/* A copy of f's body at the builder, with args for parameters: results in out[nresult]. */
void inline_call(Builder *b, Func *f, Value *const *args, Value **out);
#endif
