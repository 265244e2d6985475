/* Elaboration: the program is executed symbolically; compile-time values are computed, tensors become IR.
 *
 * Val is any value of the language at compile time. Tensors are SSA values of the IR being built; everything else is data here.
 * Vals are small structs passed by value; what they point to is immutable (a changed tree is a new one).
 *
 * A user's mistake is reported with elab_fail, which does not return: it unwinds to the innermost recovery point (a declaration),
 * so each mistake gives one message and independent declarations are still checked.
 */
#ifndef MLXCC_FRONTEND_ELAB_H
#define MLXCC_FRONTEND_ELAB_H
#include "../ir/build.h"
#include "ast.h"
#include "frontend.h"

typedef struct Elab Elab;
typedef struct Val Val;

typedef enum ValKind {
	V_NONE, V_BOOL, V_INT, V_FLOAT, V_COMPLEX, V_STR,
	V_DIM,          /* an integer known at the entry: a polynomial that is not constant (a constant one is V_INT) */
	V_TENSOR,
	V_TUPLE, V_LIST, V_RECORD,
	V_RANGE,        /* a..b: bounds are V_INT, V_DIM or i32 scalars */
	V_FN,           /* a declared function, lambda or method with its environment */
	V_BUILTIN,      /* implemented in C: a row of builtins.def */
	V_WRAPPED,      /* a function made by a transform: grad(f), vmap(f), custom_vjp(f, r), checkpoint(f) */
	V_MODULE_DECL,  /* `module M(...)`: a constructor */
	V_MODULE,       /* a constructed module: description (leaves without numbers) or value (with them); see Module tree below */
	V_STACK,        /* Block(D)[12]: a homogeneous array of trees; every leaf has a leading axis */
	V_DTYPE, V_TYPE,/* f32; f32[B, 64] */
	V_NAMESPACE,    /* an imported file or standard module */
	V_ELLIPSIS, V_SLICE,   /* only inside indices */
	V_DEVICE
} ValKind;

typedef struct Items { Val *at; const char **name; int n; } Items;   /* name: records; NULL otherwise */
typedef struct TypeVal { DType dtype; bool dtype_var; const char *dtype_name; bool any_dtype; int rank; const Dim *dims; bool ellipsis; int ellipsis_at; } TypeVal;
typedef struct FnVal FnVal;
typedef struct ModuleTree ModuleTree;
typedef struct Builtin Builtin;

struct Val {
	ValKind kind;
	Loc loc;                                   /* where it was written, for messages; may be NO_LOC */
	union {
		bool b;
		int64_t i;
		double f;
		struct { double re, im; } c;
		struct { const char *at; size_t n; } str;
		Dim dim;
		Value *tensor;
		const Items *items;                    /* TUPLE LIST RECORD */
		struct { const Val *lo, *hi, *step; } range;   /* also SLICE; NULL parts absent */
		const FnVal *fn;
		const Builtin *builtin;
		const struct Wrapped *wrapped;
		const struct ModuleDecl *decl;
		const ModuleTree *module;
		const struct Stack *stack;
		DType dtype;
		const TypeVal *type;
		struct Scope *scope;                   /* NAMESPACE */
	} u;
};

/* --- builtins: one row per function implemented in C (builtins.def) -------------------------------------------------- */
/* BUILTIN(name, "a, axis=none, keepdims=false, *rest", fn): the parameter text is parsed once; defaults are literals of the language.
 * Arguments arrive bound and in order: argv[i] is parameter i; a *rest parameter is one V_TUPLE. */
typedef struct CallSite { Loc loc; Loc arg_loc[32]; const char *name; } CallSite;
typedef Val (*BuiltinFn)(Elab *e, const CallSite *at, Val *argv);
struct Builtin { const char *name, *params, *doc; BuiltinFn fn; };
const Builtin *builtin_find(const char *name);

/* --- services for builtins -------------------------------------------------------------------------------------------- */
_Noreturn void elab_fail(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
_Noreturn void elab_fail_note(Elab *e, Loc loc, const char *label, const char *note, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
_Noreturn void elab_limitation(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void elab_warn(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
Builder *elab_builder(Elab *e);
Module *elab_module(Elab *e);
Arena *elab_arena(Elab *e);
DimCtx *elab_dims(Elab *e);
const DimFacts *elab_facts(Elab *e);
const char *val_describe(Elab *e, Val v);      /* "f32[B,64]", "the integer 3", "a function", "a tuple of 2": for messages */

Val val_none(void);
Val val_bool(bool b);
Val val_int(int64_t i);
Val val_float(double f);
Val val_str(Elab *e, const char *s);
Val val_tensor(Value *v);
Val val_dim(Elab *e, Dim d);                   /* V_INT when constant */
Val val_dtype(DType d);
Val val_tuple(Elab *e, const Val *v, int n);
Val val_list(Elab *e, const Val *v, int n);
Val val_record(Elab *e, const char *const *name, const Val *v, int n);

bool val_is_number(Val v);                     /* BOOL INT FLOAT COMPLEX */
bool val_is_weak(Val v);                       /* a number or a dimension: takes the dtype of what it meets */
/* What v is as a tensor: itself; a number as `like` (when it can hold it: an int for any numeric dtype, a float makes integers inexact) or, like
 * NULL, as bool/i32(i64 if it does not fit)/f32/c64; a dimension as i32; a list as array(list). Fails otherwise, naming `what`. */
Value *elab_tensor(Elab *e, Val v, const DType *like, Loc loc, const char *what);
DType elab_result_dtype(Elab *e, const Val *v, int n, Loc loc);   /* promotion with weak numbers, as MLX */
/* Both to one dtype and one shape (broadcast: only a literal 1 stretches). */
void elab_broadcast2(Elab *e, Val a, Val b, Loc loc, const char *opname, Value **x, Value **y);
void elab_broadcast_n(Elab *e, const Val *v, int n, Loc loc, const char *opname, Value **out);
Value *elab_broadcast_to(Elab *e, Value *x, int rank, const Dim *dims, Loc loc);
int64_t elab_int(Elab *e, Val v, Loc loc, const char *what);           /* a compile-time integer, else fails */
bool elab_bool(Elab *e, Val v, Loc loc, const char *what);
double elab_float(Elab *e, Val v, Loc loc, const char *what);
const char *elab_str(Elab *e, Val v, Loc loc, const char *what);
Dim elab_dim(Elab *e, Val v, Loc loc, const char *what);               /* V_INT or V_DIM */
DType elab_dtype(Elab *e, Val v, Loc loc, const char *what);
int elab_axis(Elab *e, Val v, int rank, Loc loc);                      /* negative counts from the end; out of range fails */
/* none: all axes; an int, tuple, list or range of ints. Ascending, distinct. Returns their number. */
int elab_axes(Elab *e, Val v, int rank, int64_t *axes, Loc loc);
/* A shape: an int or dim, or a tuple or list of them; -1 is allowed where total is not NULL (then it is solved from total). */
int elab_shape(Elab *e, Val v, Dim *dims, Dim total, Loc loc);
Dim elab_require_equal(Elab *e, Dim a, Dim b, Loc loc, const char *label, const char *what);   /* fails with the assert to add */
/* Calls a function value. */
Val elab_call(Elab *e, Val fn, const Val *args, int nargs, const char *const *names, const Val *named, int nnamed, Loc loc);
Val elab_binary(Elab *e, BinOp op, Val a, Val b, Loc loc);             /* the language's operators, numbers and tensors alike */
Val elab_unary(Elab *e, UnOp op, Val a, Loc loc);
Val elab_compare(Elab *e, CmpOp op, Val a, Val b, Loc loc);

/* index.c: x[index...] and the new value of x[index...] = v (mode set add mul ... for .at[]). idx: V_INT V_DIM V_TENSOR V_LIST V_NONE V_ELLIPSIS V_SLICE */
Val elab_index(Elab *e, Value *x, const Val *idx, int n, Loc loc);
Value *elab_index_update(Elab *e, Value *x, const Val *idx, int n, Val v, const char *mode, Loc loc);

/* trees.c: leaves in order. A leaf is a tensor, number or none inside TUPLE LIST RECORD MODULE STACK. */
typedef struct Leaves { Val *at; const char **path; bool *diff; int n; } Leaves;   /* diff: a float or complex leaf that is not a buffer */
Leaves tree_leaves(Elab *e, Val tree);
Val tree_rebuild(Elab *e, Val tree, const Val *leaves);                /* same structure, new leaves, consumed in order */
#endif
