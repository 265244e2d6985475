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
	V_NONE,
	V_BOOL,
	V_INT,
	V_FLOAT,
	V_COMPLEX,
	V_STR,
	V_DIM, /* an integer known at the entry: a polynomial that is not constant (a constant one is V_INT) */
	V_TENSOR,
	V_TUPLE,
	V_LIST,
	V_RECORD,
	V_RANGE,       /* a..b: bounds are V_INT, V_DIM or i32 scalars */
	V_FN,          /* a declared function, lambda or method with its environment */
	V_BUILTIN,     /* implemented in C: a row of builtins.def */
	V_WRAPPED,     /* a function made by a transform: grad(f), vmap(f), custom_vjp(f, r), checkpoint(f) */
	V_MODULE_DECL, /* `module M(...)`: a constructor */
	V_MODULE,      /* a constructed module: description (leaves without numbers) or value (with them); see Module tree below */
	V_STACK,       /* Block(D)[12]: a homogeneous array of trees; every leaf has a leading axis */
	V_DTYPE,
	V_TYPE,      /* f32; f32[B, 64] */
	V_NAMESPACE, /* an imported file or standard module */
	V_ELLIPSIS,
	V_SLICE, /* only inside indices; a slice's parts are u.range.lo hi step, NULL where absent */
	V_DEVICE
} ValKind;

typedef struct Items {
	Val *at;
	const char **name;
	int n;
} Items; /* name: records; NULL otherwise */
typedef struct TypeVal {
	DType dtype;
	bool dtype_var;
	const char *dtype_name;
	bool any_dtype;
	int rank;
	const Dim *dims;
	bool ellipsis;
	int ellipsis_at;
} TypeVal;
typedef struct FnVal FnVal;
typedef struct ModuleTree ModuleTree;
typedef struct Builtin Builtin;

struct Val {
	ValKind kind;
	bool weak; /* TENSOR: a rank-0 result of dimensions and numbers (`D ** -0.5`): takes the dtype it meets */
	Loc loc;   /* where it was written, for messages; may be NO_LOC */
	union {
		bool b;
		int64_t i;
		double f;
		struct {
			double re, im;
		} c;
		struct {
			const char *at;
			size_t n;
		} str;
		Dim dim;
		Value *tensor;
		const Items *items; /* TUPLE LIST RECORD */
		struct {
			const Val *lo, *hi, *step;
		} range; /* also SLICE; NULL parts absent */
		const FnVal *fn;
		const Builtin *builtin;
		const struct Wrapped *wrapped;
		const struct ModuleDecl *decl;
		const ModuleTree *module;
		const struct Stack *stack;
		DType dtype;
		const TypeVal *type;
		struct Scope *scope; /* NAMESPACE; NULL for one whose functions are all builtins, see str */
	} u;
};

/* --- module trees ------------------------------------------------------------------------------------------------------ */
/* A description has types (V_TYPE, V_DTYPE or trees of them) where a value has tensors; none: the member does not exist. Copyable: to
 * change a member, copy the tree (module_copy) and set members[i].v. */
typedef enum MemberKindV {
	MK_PARAM,
	MK_BUFFER,
	MK_SUB /* module, stack, or tuple/list/record/array holding some */,
	MK_SHARED,
	MK_CONST,
	MK_ARG
} MemberKindV;
typedef struct MemberVal {
	MemberKindV kind;
	const char *name;
	Val v;              /* MK_SHARED: unused, see shared */
	Val init;           /* PARAM BUFFER: the initialiser as evaluated (function, number, tensor); V_ELLIPSIS: none given, must be loaded */
	const char *shared; /* MK_SHARED: path inside this module of the member it names: "wte", "adam.step" */
	const char *doc;
	Loc loc;
} MemberVal;
struct ModuleTree {
	const struct ModuleDecl *decl; /* identity: equal types have the same decl */
	const char *name;              /* "Linear" */
	const Val *args;
	int nargs; /* constructor arguments in parameter order */
	const MemberVal *members;
	int n; /* constructor arguments first (MK_ARG), then in order of declaration */
};
/* An array of like trees: in elem every leaf (tensor or type) has the leading axis n. */
typedef struct Stack {
	Val elem;
	Dim n;
} Stack;
ModuleTree *module_copy(Elab *e, const ModuleTree *m); /* members writable through (MemberVal *)copy->members */
Val val_module(const ModuleTree *m);
Val val_stack(Elab *e, Val elem, Dim n);
Val val_type(Elab *e, DType d, int rank, const Dim *dims); /* V_DTYPE when rank is 0 */
/* Member of a module by name with sharing resolved; false: there is none. */
bool module_member(Elab *e, const ModuleTree *m, const char *name, Val *out);
/* Leaf tests for trees.c: does this Val have children (TUPLE LIST RECORD MODULE STACK). */
bool val_is_tree(Val v);
/* dtype and dims of a tensor, V_TYPE or V_DTYPE; false for anything else. dims has room for MAX_RANK. */
bool val_shape(Elab *e, Val v, DType *d, int *rank, Dim *dims);

/* --- builtins: one row per function implemented in C (builtins.def) -------------------------------------------------- */
/* BUILTIN(name, "a, axis=none, keepdims=false, *rest", fn): the parameter text is parsed once; defaults are literals of the language.
 * Arguments arrive bound and in order: argv[i] is parameter i; a *rest parameter is one V_TUPLE. */
typedef struct CallSite {
	Loc loc;
	Loc arg_loc[32];
	const char *name;
} CallSite;
typedef Val (*BuiltinFn)(Elab *e, const CallSite *at, Val *argv);
struct Builtin {
	const char *name, *params, *doc;
	BuiltinFn fn;
};
const Builtin *builtin_find(const char *name);

/* --- services for builtins -------------------------------------------------------------------------------------------- */
_Noreturn void elab_fail(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
_Noreturn void elab_fail_note(Elab *e, Loc loc, const char *label, const char *note, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void elab_fail_help(Elab *e, Loc loc, const char *label, const char *help, const char *fmt, ...)
    __attribute__((format(printf, 5, 6), noreturn));
_Noreturn void elab_limitation(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void elab_warn(Elab *e, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
Builder *elab_builder(Elab *e);
Module *elab_module(Elab *e);
Arena *elab_arena(Elab *e);
DimCtx *elab_dims(Elab *e);
const DimFacts *elab_facts(Elab *e);
const char *val_describe(Elab *e, Val v); /* "f32[B,64]", "the integer 3", "a function", "a tuple of 2": for messages */

Val val_none(void);
Val val_bool(bool b);
Val val_int(int64_t i);
Val val_float(double f);
Val val_str(Elab *e, const char *s);
Val val_tensor(Value *v);
Val val_dim(Elab *e, Dim d); /* V_INT when constant */
Val val_dtype(DType d);
Val val_tuple(Elab *e, const Val *v, int n);
Val val_list(Elab *e, const Val *v, int n);
Val val_record(Elab *e, const char *const *name, const Val *v, int n);

bool val_is_number(Val v); /* BOOL INT FLOAT COMPLEX */
bool val_is_weak(Val v);   /* a number or a dimension: takes the dtype of what it meets */
/* What v is as a tensor: itself; a number as `like` (when it can hold it: an int for any numeric dtype, a float makes integers inexact) or,
 * like NULL, as bool/i32(i64 if it does not fit)/f32/c64; a dimension as i32; a list as array(list). Fails otherwise, naming `what`. */
Value *elab_tensor(Elab *e, Val v, const DType *like, Loc loc, const char *what);
DType elab_result_dtype(Elab *e, const Val *v, int n, Loc loc); /* promotion with weak numbers, as MLX */
/* Both to one dtype and one shape (broadcast: only a literal 1 stretches). */
void elab_broadcast2(Elab *e, Val a, Val b, Loc loc, const char *opname, Value **x, Value **y);
void elab_broadcast_n(Elab *e, const Val *v, int n, Loc loc, const char *opname, Value **out);
Value *elab_broadcast_to(Elab *e, Value *x, int rank, const Dim *dims, Loc loc);
int64_t elab_int(Elab *e, Val v, Loc loc, const char *what); /* a compile-time integer, else fails */
bool elab_bool(Elab *e, Val v, Loc loc, const char *what);
const char *elab_str(Elab *e, Val v, Loc loc, const char *what);
Dim elab_dim(Elab *e, Val v, Loc loc, const char *what); /* V_INT or V_DIM */
DType elab_dtype(Elab *e, Val v, Loc loc, const char *what);
int elab_axis(Elab *e, Val v, int rank, Loc loc); /* negative counts from the end; out of range fails */
/* none: all axes; an int, tuple, list or range of ints. Ascending, distinct. Returns their number. */
int elab_axes(Elab *e, Val v, int rank, int64_t *axes, Loc loc);
/* A shape: an int or dim, or a tuple or list of them; -1 is allowed where total is not NULL (then it is solved from total). */
int elab_shape(Elab *e, Val v, Dim *dims, Dim total, Loc loc);
Dim elab_require_equal(Elab *e, Dim a, Dim b, Loc loc, const char *label, const char *what); /* fails with the assert to add */
/* Calls a function value. */
Val elab_call(Elab *e, Val fn, const Val *args, int nargs, const char *const *names, const Val *named, int nnamed, Loc loc);
/* The full form: named arguments and inout. inout (NULL: none) has n + nnamed flags, positional first; the callee puts the new value of
 * each inout argument into inout_out (same length). */
typedef struct CallArgs {
	const Val *at;
	int n;
	const char *const *names;
	const Val *named;
	int nnamed;
	const bool *inout;
	Val *inout_out;
	const Loc *arg_loc; /* n + nnamed places, or NULL */
	Loc loc;
} CallArgs;
Val elab_call_args(Elab *e, Val fn, CallArgs *a);
/* V_WRAPPED: what a transform returns. call gets the arguments as written. fn and extra[] may hold captured tensors; data may not. */
typedef struct Wrapped {
	const char *name; /* "grad": for messages */
	Val (*call)(Elab *e, const struct Wrapped *w, CallArgs *a);
	Val fn;
	const Val *extra;
	int nextra;
	const void *data;
} Wrapped;
Val val_wrapped(Elab *e, Wrapped w);
bool elab_is_callable(Val v);
bool elab_accepts(Elab *e, Val fn, const char *param); /* can the function take an argument of that name */
/* Names of fn's parameters in order (a *rest as "*rest"), for argnames; n -1 where unknown (builtins with *rest, wrapped: those of fn). */
int elab_param_names(Elab *e, Val fn, const char **names, int max);

/* Tracing a call into an IR function of its own.
 *   t = elab_trace(e, fn, &a, diff, "loss", loc)
 * Parameters of t.func: the tensor leaves of positional arguments, then of named ones, in tree_leaves order; then the captured outer
 * tensors. In an argument with diff[i] (positional first, then named; NULL: none) number leaves become tensors too (bool, int, float ->
 * f32). Other number leaves stay compile-time. Results of t.func: the tensor leaves of the result tree (numbers in it become tensors), then
 * those of the new values of the inout arguments, in argument order. */
typedef struct Traced {
	Func *func;
	Value **args;
	int nargs; /* values for all parameters in the caller's block, the captured ones last */
	int ncaptured;
	int *arg_of;
	int *leaf_of; /* [nargs - ncaptured]: the argument and the index in tree_leaves(argument) of each parameter */
	Val result;   /* result tree, tensor leaves are func's results */
	int nresult;  /* how many of func's results belong to it */
	Val *inout_result;
	int ninout; /* trees of the new values, one per inout argument */
	const Val *arg;
	int narg; /* the arguments, numbers of diff positions replaced by tensors */
} Traced;
Traced elab_trace(Elab *e, Val fn, const CallArgs *a, const bool *diff, const char *name, Loc loc);
/* The tree t.result with its tensor leaves replaced by v[0..nresult). */
Val traced_result(Elab *e, const Traced *t, Value *const *v);
/* Stores into a->inout_out from the values v[0..) of the inout leaves, in order. */
void traced_store_inout(Elab *e, const Traced *t, CallArgs *a, Value *const *v);
/* Rebuilds any tree whose tensor leaves (in tree_leaves order) are replaced by v; other leaves stay. */
Val tree_with_tensors(Elab *e, Val tree, Value *const *v);
int tree_tensors(Elab *e, Val tree, Value ***out);

Val elab_binary(Elab *e, BinOp op, Val a, Val b, Loc loc); /* the language's operators, numbers and tensors alike */
Val elab_unary(Elab *e, UnOp op, Val a, Loc loc);
Val elab_compare(Elab *e, CmpOp op, Val a, Val b, Loc loc);

/* index.c: x[index...] and the new value of x[index...] = v (mode set add mul ... for .at[]). idx: V_INT V_DIM V_TENSOR V_LIST V_NONE
 * V_ELLIPSIS V_SLICE */
Val elab_index(Elab *e, Value *x, const Val *idx, int n, Loc loc);
Value *elab_index_update(Elab *e, Value *x, const Val *idx, int n, Val v, const char *mode, Loc loc);

/* The value of a standard module's or the prelude's function by name ("random", "split"); fails as a bug if there is none. */
Val elab_std(Elab *e, const char *module, const char *name);
const char *elab_source_dir(Elab *e, Loc loc); /* directory of the file that loc is in, for load("f.npy") */
/* May this dimension comparison be taken for granted: 1 yes, 0 no, -1 undecided by the facts. */
int elab_dim_compare(Elab *e, CmpOp op, Dim a, Dim b);

/* trees.c: leaves in order. Paths: "l1.weight", "0.m", for stacks "layers.*.weight" (one leaf with a leading axis). Shared members,
 * constants and constructor arguments of modules are no leaves. Types (V_TYPE, V_DTYPE) are leaves too. A leaf is a tensor, number or none
 * inside TUPLE LIST RECORD MODULE STACK. */
typedef struct Leaves {
	Val *at;
	const char **path;
	bool *diff;
	int n;
} Leaves; /* diff: a float or complex leaf that is not a buffer */
Leaves tree_leaves(Elab *e, Val tree);
Val tree_rebuild(Elab *e, Val tree, const Val *leaves); /* same structure, new leaves, consumed in order */
#endif
