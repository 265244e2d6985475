/* Between the files of the C half of the library (builtins_*.c, index.c, trees.c) and the elaborator that calls them.
 *
 * The table is builtins.def; a row's parameter text is parsed when it is called (it is short), so there is no cache to keep.
 */
#ifndef MLXCC_FRONTEND_BUILTINS_H
#define MLXCC_FRONTEND_BUILTINS_H
#include "elab.h"

enum { BUILTIN_MAX_PARAMS = 24 };

/* One parameter of a builtin. A shape-like rest parameter `*shape` takes either one tuple or list, or the integers spelled out; a plain
 * rest parameter `**items` takes everything that is left. Both arrive as one V_TUPLE. */
typedef struct BuiltinParam {
	const char *name;
	bool rest, shape, optional;
	Val init;
} BuiltinParam;
int builtin_params(Elab *e, const Builtin *b, BuiltinParam *out);
bool builtin_accepts(Elab *e, const Builtin *b, const char *name);
/* Binds and calls. arg_loc, named_loc may be NULL. */
Val builtin_call(Elab *e, const Builtin *b, const Val *args, const Loc *arg_loc, int nargs, const char *const *names, const Val *named,
                 const Loc *named_loc, int nnamed, Loc loc);

/* The `@` operator and matmul. */
Val elab_matmul(Elab *e, Val a, Val b, Loc loc);
/* Nested lists (and tuples) of numbers, dimensions and tensors as a tensor: what elab_tensor does with a list. */
Value *elab_array(Elab *e, Val v, Loc loc);
/* Any of the indices is a boolean mask: x[mask] op= v is then elab_index_update with that mode, since masks cannot be read by. */
bool elab_index_has_mask(Elab *e, const Val *idx, int n);

/* --- helpers that the families share ------------------------------------------------------------------------------------ */
Loc arg_at(const CallSite *at, int i);                                  /* place of argument i, or of the call */
Value *arg_tensor(Elab *e, const CallSite *at, const Val *argv, int i); /* argument i as a tensor; fails naming the function */
bool val_is_int_like(Val v);                                            /* a V_INT or V_DIM: an entry of a shape */
bool val_is_seq(Val v);                                                 /* tuple or list */
/* The elements of a tuple or list; a single other value is one element. */
int val_items(Elab *e, Val v, const Val **at);
/* Compile-time integers of an int, tuple, list or range. */
int elab_ints(Elab *e, Val v, int64_t *out, int cap, Loc loc, const char *what);
/* An axis of x, or with none: x flattened and axis 0. */
int axis_or_flatten(Elab *e, Value **x, Val axis, Loc loc);
Value *flatten_all(Elab *e, Value *x);
char *shape_str(Elab *e, int rank, const Dim *dims); /* "(B, 64)" */
const char *type_text(Elab *e, const Type *t);
Dim dim_const(Elab *e, int64_t n);
Dim shape_product(Elab *e, int rank, const Dim *dims);
/* p >= 0 is known, or became known: see index.c. */
bool elab_assume_nonneg(Elab *e, Dim p);
/* The shape to which n tensors broadcast (only a literal 1 stretches); fails with both shapes. */
void elab_broadcast_shape(Elab *e, Value *const *x, int n, Loc loc, const char *label, const char *what, int *rank, Dim *dims);
/* A name of a fixed set; fails with the permitted ones and a suggestion. Returns its number. */
int elab_choice(Elab *e, Val v, const char *const *names, int n, Loc loc, const char *what);

/* A scalar operation on compile-time numbers, by the op's own meaning in f64 (c64 for complex numbers). */
Val number_op(Elab *e, OpCode c, const Val *v, int n, Loc loc);
/* Element-wise op on values of any kind, with MLX's promotion. */
Val elem_unary(Elab *e, OpCode c, Val x, Loc loc, const char *name);
Val elem_binary(Elab *e, OpCode c, Val a, Val b, Loc loc, const char *name);

#define BUILTIN(name, params, fn, doc) Val fn(Elab *e, const CallSite *at, Val *argv);
#define ELEMENTWISE1(name, op, doc)
#define ELEMENTWISE2(name, op, doc)
#include "builtins.def"
#undef BUILTIN
#undef ELEMENTWISE1
#undef ELEMENTWISE2
#endif
