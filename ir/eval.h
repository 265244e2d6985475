/* The reference interpreter: slow, short, plainly right. Every backend is tested against it. */
#ifndef MLXCC_IR_EVAL_H
#define MLXCC_IR_EVAL_H
#include "ir.h"

typedef struct EvalHooks {
	void *ctx;
	void (*print)(void *ctx, const char *message, Tensor *const *args, int n);
	/* An assert that does not hold; return true to go on, false to stop the evaluation. NULL: stop. */
	bool (*assert_failed)(void *ctx, const Op *op, Tensor *const *args, int n);
	int64_t max_steps;             /* loop steps in all; 0: no limit */
} EvalHooks;
typedef enum EvalStatus { EVAL_OK, EVAL_ASSERT, EVAL_STEPS, EVAL_DIM /* a dimension has no value or an argument's shape differs */, EVAL_FAULT /* loop IR: an access out of bounds and the like */ } EvalStatus;

/* args[nparam] with f's parameter dtypes; dimensions are bound from their shapes and from env (may be NULL, is extended).
 * results[nresult] receives tensors allocated in a. why: where not OK, a message. */
EvalStatus ir_eval(Arena *a, Func *f, Tensor *const *args, DimEnv *env, Tensor **results, const EvalHooks *hooks, const char **why);
/* Only the dimensions: bound from the arguments' shapes and env, which is extended; the function's facts are checked. */
EvalStatus ir_bind_dims(Arena *a, Func *f, Tensor *const *args, DimEnv *env, const char **why);
/* One op on concrete tensors: the folder's entry. in[] and the op must be pure and without regions. */
void ir_eval_op(Arena *a, const OpView *v, const Type *const *types, Tensor *const *in, Tensor **out);
#endif
