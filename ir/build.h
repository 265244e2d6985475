/* Building IR. emit() cleans as it goes: it folds what is constant or an identity (rows of passes-free rules in fold.c),
 * interns pure ops along the chain of enclosing blocks, and hoists a pure op whose operands are all available outside a
 * loop body out of it (never out of a cond, never into another function). Rules build naively and get small code.
 */
#ifndef MLXCC_IR_BUILD_H
#define MLXCC_IR_BUILD_H
#include "ir.h"

typedef struct Builder {
	Module *m;
	Block *block;                  /* where ops go */
	const DimFacts *facts;
	Loc loc;                       /* given to new ops */
	const char *tag;               /* likewise */
	bool no_fold;                  /* emit exactly what is asked (the text reader, tests) */
} Builder;

Builder builder_at(Func *f);                                    /* at the end of f's body, with f's facts */
Block *block_new(Builder *b, BlockKind kind, Block *parent);    /* not yet a region of any op */
Value *block_param(Builder *b, Block *blk, const Type *t, const char *name);
void block_set_results(Builder *b, Block *blk, Value *const *v, int n);
Value *func_param(Func *f, const Type *t, const char *name);    /* appends; paths are the caller's to set with func_set_export */
void func_set_results(Func *f, Value *const *v, int n);
/* Allocates param_path.. result_alias for the present counts: paths NULL, no inout, alias -1. */
void func_export(Func *f);

/* The results of a pure op, folded, interned or new. attrs in any order; copied. A type error here is a bug of mlxcc: reported as
 * DIAG_BUG and exit 70, for callers check first. Multi-result ops: out[0..n). */
void ir_emit_n(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, Value **out, int nout);
Value *ir_emit(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr);
Op *ir_emit_effect(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr);
/* An op with regions (loop, cond): takes ownership of the blocks; never folded. Result types come from the regions' results. */
Op *ir_emit_region(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, Block *const *region, int nregion);
Op *ir_emit_call(Builder *b, Func *callee, Value *const *in, int nin);
/* A new op that is never folded, interned or hoisted, linked at the end of b->block. */
Op *ir_raw(Builder *b, OpCode c, Value *const *in, int nin, const Attr *attrs, int nattr, const Type *const *types, int nout, Block *const *region, int nregion);
/* Appends a result to an existing call, loop or cond (residuals). */
Value *op_add_result(Builder *b, Op *op, const Type *t);

#define ATTR_INT(k, x)        ((Attr){.key = AT_##k, .v.i = (x)})
#define ATTR_INTS(k, p, len)  ((Attr){.key = AT_##k, .n = (len), .v.ints = (p)})
#define ATTR_DIM(k, d)        ((Attr){.key = AT_##k, .v.dim = (d)})
#define ATTR_DIMS(k, p, len)  ((Attr){.key = AT_##k, .n = (len), .v.dims = (p)})
#define ATTR_DTYPE(k, d)      ((Attr){.key = AT_##k, .v.dtype = (d)})
#define ATTR_STR(k, s)        ((Attr){.key = AT_##k, .v.str = (s)})
#define ATTR_FUNC(k, f)       ((Attr){.key = AT_##k, .v.func = (f)})
#define ATTR_TENSOR(k, t)     ((Attr){.key = AT_##k, .v.tensor = (t)})

/* --- short forms: one per op that rules and the front end write often. Operands must already agree in dtype and shape. --- */
Value *ir_unary(Builder *b, OpCode c, Value *x);
Value *ir_binary(Builder *b, OpCode c, Value *x, Value *y);
Value *ir_select(Builder *b, Value *p, Value *x, Value *y);      /* p of the arms' shape, or a scalar (broadcast here) */
Value *ir_convert(Builder *b, Value *x, DType d);                /* x itself when it has d */
Value *ir_const(Builder *b, const Tensor *t);
Value *ir_scalar(Builder *b, DType d, double x);                 /* rank 0 */
Value *ir_scalar_int(Builder *b, DType d, int64_t x);
Value *ir_splat(Builder *b, const Type *t, double x);            /* broadcast of a scalar constant */
Value *ir_zeros(Builder *b, const Type *t);
Value *ir_dimsize(Builder *b, Dim d);                            /* i32 scalar; a constant when d is one */
Value *ir_iota(Builder *b, Dim n, DType d);                      /* [n] */
Value *ir_iota_nd(Builder *b, const Type *t, int axis);          /* t's shape and dtype, counting along axis */
Value *ir_broadcast(Builder *b, Value *x, const Type *shape_of, const int64_t *dims);   /* dtype of x, shape of shape_of; dims[x.rank] */
Value *ir_broadcast_scalar(Builder *b, Value *x, const Type *shape_of);
Value *ir_broadcast_new_axis(Builder *b, Value *x, int axis, Dim n);     /* inserts an axis of n */
Value *ir_lift(Builder *b, Value *x, Dim n);                     /* [n, ...] */
Value *ir_reshape(Builder *b, Value *x, int rank, const Dim *dims);
Value *ir_transpose(Builder *b, Value *x, const int64_t *perm);
Value *ir_move_axis(Builder *b, Value *x, int from, int to);
Value *ir_rev(Builder *b, Value *x, const int64_t *axes, int n);
Value *ir_slice(Builder *b, Value *x, const Dim *lo, const Dim *hi, const int64_t *step);  /* step NULL: 1 */
Value *ir_slice_axis(Builder *b, Value *x, int axis, Dim lo, Dim hi, int64_t step);
Value *ir_pad(Builder *b, Value *x, Value *fill, const Dim *lo, const Dim *hi, const int64_t *step);
Value *ir_concat(Builder *b, Value *const *x, int n, int axis);
Value *ir_dslice(Builder *b, Value *x, const int64_t *axes, const Dim *sizes, Value *const *starts, int n);
Value *ir_dupdate(Builder *b, Value *x, Value *v, const int64_t *axes, Value *const *starts, int n, const char *mode);
Value *ir_gather(Builder *b, Value *x, Value *idx, const int64_t *axes, int naxes, int nb, const char *oob, bool unique);
Value *ir_scatter(Builder *b, Value *x, Value *idx, Value *v, const int64_t *axes, int naxes, int nb, const char *oob, const char *mode, bool unique);
Value *ir_reduce(Builder *b, OpCode c, Value *x, const int64_t *axes, int n);   /* n 0: x itself */
Value *ir_unreduce(Builder *b, Value *r, const Type *full, const int64_t *axes, int n);  /* broadcast back over axes */
Value *ir_dot(Builder *b, Value *x, Value *y, const int64_t *xc, const int64_t *yc, int nc, const int64_t *xb, const int64_t *yb, int nbatch);
bool value_const_scalar(const Value *v, double *out);            /* v is a (broadcast, reshaped) scalar real constant */
bool value_const_splat(const Value *v, Scalar *out);
const Tensor *value_const(const Value *v);                       /* v is a const op */
#endif
