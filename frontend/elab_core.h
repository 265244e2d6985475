/* What the files of the elaborator share (elab*.c). Services for builtins are in elab.h.
 *
 * Elaboration is an interpreter whose tensors are IR values. A Frame is one activation of a function; its names are a list of Locals,
 * changed in place by assignment. Run-time branches and loops save the values of all Locals, run the body, and compare: what changed is
 * merged or carried.
 */
#ifndef MLXCC_FRONTEND_ELAB_CORE_H
#define MLXCC_FRONTEND_ELAB_CORE_H
#include <setjmp.h>
#include "elab.h"
#include "files.h"

typedef enum LocalKind { LOCAL_LET, LOCAL_VAR, LOCAL_PARAM, LOCAL_INOUT, LOCAL_DIM, LOCAL_CAPTURED, LOCAL_SELF } LocalKind;
typedef struct Local {
	const char *name;
	Val v;
	LocalKind kind;
	int depth; /* block nesting in which it was declared */
	Loc loc;
	struct Local *next; /* declared before this one */
} Local;

/* A dimension (or dtype variable) of a function whose value is not known yet: it stands in types as a symbol of its own. */
typedef struct Unknown {
	const char *name, *sym; /* "B", "B'3"; an exported function's dimension has sym == name from the start */
	bool known, is_dtype;
	Val v;
	Loc loc;
	struct Unknown *next;
} Unknown;

typedef struct Frame {
	Local *locals;
	int depth;
	Local *self;  /* the module a method belongs to, or NULL */
	bool in_init; /* `new` is available */
	struct Scope *file;
	const StmtList *body; /* where names are looked for that a local hides; NULL: nowhere */
	const char *name;     /* for messages */
	const Expr *result;   /* annotation, or NULL */
	Loc result_loc;
	Unknown *unknowns;
	struct Deferred *deferred; /* shape entries to compare once more dimensions are known */
	bool is_export;            /* dimensions are symbols of their own names */
	bool types_open;           /* unknown names in types become dimensions of this function */
	int loops, unrolled;       /* run-time loops, unrolled loops that this frame is inside of */
	bool returned;
	Val value; /* of the return statement */
	Loc value_loc;
	struct Frame *up;
	Loc call_loc;
} Frame;

typedef enum GlobalState { G_NEW, G_RUNNING, G_DONE, G_FAILED } GlobalState;
typedef struct Global {
	const char *name;
	const Decl *decl;
	GlobalState state;
	Val v;
	Loc loc;
} Global;
typedef struct Scope {
	const char *name; /* "nn", or the path of a file */
	const File *file;
	const char *dir; /* of the file, for imports and load */
	bool standard;
	Global *globals;
	int n;
	struct Scope *next;
} Scope;

struct FnVal {
	const Fn *fn; /* NULL: a lambda, or `new` */
	const Expr *lambda;
	Scope *file;
	const Local *captured; /* lambdas: the outer names that the body uses */
	const Val *self;       /* methods: the module */
	bool is_init;          /* the standard `init` of a module description: self is it */
	bool is_new;           /* `new` inside `fn init` */
	bool is_load;
};

typedef struct ModuleDecl {
	const Decl *decl;
	Scope *file;
} ModuleDecl;

/* The step number of a run-time loop that is open, 0..trips; limit: an i32 value that bounds it too, or NULL. */
typedef struct LoopIndex {
	const Value *index;
	Dim trips;
	Value *limit;
	struct LoopIndex *next;
} LoopIndex;

struct Elab {
	Arena *arena;
	Diag *diag;
	Module *m;
	Intern strings;
	FrontendOptions o;
	Scope *scopes; /* every file read so far */
	Scope *prelude;
	Frame *frame; /* NULL outside functions */
	Builder b;
	Func *func;      /* being built */
	DimFacts *facts; /* of the root function */
	bool facts_open; /* no run-time branch or loop is open: an assert on dimensions is a fact */
	bool training;
	int call_depth, serial, effects, tests;
	int quiet; /* > 0: a trial: mistakes unwind without a message */
	jmp_buf *recover;
	int const_depth; /* evaluating a constant: effects are mistakes */
	Map called;      /* StmtList -> the names that are called or looked into in it */
	Map free_names;  /* Expr of a lambda -> its free names */
	LoopIndex *loop_indices;
	struct Instance *instances; /* composite functions built so far */
	Map exports;                /* Decl of an exported function -> its Func, made first so that it has its name */
	struct StructRow *structs;  /* struct names given so far, by layout */
};

/* elab.c */
Scope *elab_scope_std(Elab *e, const char *name); /* NULL: there is no such standard module */
Scope *elab_scope_file(Elab *e, const char *path, const char *shown, Loc loc);
const char *elab_intern(Elab *e, const char *s);
Loc elab_user_place(Elab *e, Loc loc);   /* of code in the library: the user's call that led there */
char *elab_source(Elab *e, Loc loc); /* the text of a place, on one line */
/* Runs fn with mistakes caught here; false: there was one. Restores frame, builder and contexts. */
bool elab_protect(Elab *e, void (*fn)(Elab *e, void *ctx), void *ctx);
/* The context of code that belongs to no caller: no frame, scratch function, not training. */
typedef struct Context {
	Frame *frame;
	Builder b;
	Func *func;
	DimFacts *facts;
	bool facts_open, training;
	int const_depth, call_depth;
	LoopIndex *loop_indices;
} Context;
Context context_save(const Elab *e);
void context_restore(Elab *e, const Context *c);
void context_enter_func(Elab *e, Func *f);
/* An expression outside functions: evaluated with the interpreter, tensors become constants. */
Val elab_constant(Elab *e, Val (*fn)(Elab *e, void *ctx), void *ctx, Loc loc, const char *what);
Val elab_fold_tensors(Elab *e, Func *scratch, Val v, Loc loc, const char *what);
/* v for use in the function being built: constants that another function holds are made anew. */
Val elab_here(Elab *e, Val v);

/* elab_scope.c */
Local *scope_declare(Elab *e, Name name, Val v, LocalKind kind);
Local *scope_local(Frame *f, const char *name); /* locals, parameters, captured; not self */
void scope_enter(Elab *e);
void scope_leave(Elab *e);
bool scope_find(Elab *e, const char *name, Loc loc, Val *out); /* all levels */
Val scope_member(Elab *e, Scope *s, Name name, bool from_outside);
bool scope_global(Elab *e, Scope *s, const char *name, Val *out);
bool scope_prelude(Elab *e, const char *name, Val *out);
const char *scope_prelude_near(Elab *e, const char *name); /* the name in the prelude that is meant, or NULL */
_Noreturn void scope_unknown(Elab *e, Name name);
const Local *scope_capture(Elab *e, const Expr *lambda);
bool scope_is_dim_decl(Elab *e, Scope *s, const char *name, const Decl **decl);
/* Names that a statement list assigns (targets of =, op=, inout arguments), roots only; each once. */
typedef VEC(const char *) NameSet;
void scan_assigned(Elab *e, const StmtList *body, NameSet *out);
void scan_expr_names(Elab *e, const Expr *x, NameSet *out);
void scan_called(Elab *e, const StmtList *body, NameSet *out);
bool scan_returns(const StmtList *body);
bool name_set_has(const NameSet *s, const char *name);

/* elab_expr.c */
Val elab_eval(Elab *e, const Expr *x);
Val elab_member(Elab *e, Val base, Name name);
bool elab_find_member(Elab *e, Val base, Name name, Val *out); /* members and attributes */
int elab_indices(Elab *e, const IndexList *list, Val *out);
Val elab_index_val(Elab *e, Val base, const Val *idx, int n, Loc loc);
/* A condition: 1, 0, or -1 and *run_time is a bool scalar. */
int elab_condition(Elab *e, const Expr *x, Value **run_time);

/* elab_stmt.c */
typedef struct Rest {
	const StmtList *list;
	int from;
	int depth;
	bool training;
	const struct Rest *outer;
} Rest;
/* Runs list[from..]; true: the function has returned. rest: what follows the list in the function. */
bool elab_block(Elab *e, const StmtList *list, int from, const Rest *rest);
bool elab_body(Elab *e, const StmtList *list); /* in a scope of its own */
/* The elements of a tuple, list, or tensor whose first axis is a known number. */
bool elab_unpack(Elab *e, Val v, Val **parts, int *n, Loc loc);
void elab_bind_pattern(Elab *e, const Pattern *p, Val v, LocalKind kind, Loc loc);

/* elab_call.c */
Val elab_call_expr(Elab *e, const Expr *x);
Val elab_call_fn(Elab *e, const FnVal *f, CallArgs *a, Val *self_out);
Val elab_invoke(Elab *e, Val fn, CallArgs *a, Val *self_out); /* self_out: where a changed module goes, or NULL */
Frame *frame_new(Elab *e, const FnVal *f, Loc call_loc);
void frame_push(Elab *e, Frame *f);
void frame_pop(Elab *e);
void frame_bind(Elab *e, const ParamList *p, CallArgs *a); /* arguments to parameters, in the frame on top */
void frame_run(Elab *e, const FnVal *f);                   /* the body of the frame on top */
/* The result checked against the annotation. */
Val frame_result(Elab *e, Frame *f, Val v, Loc loc);

/* elab_types.c */
Val type_eval(Elab *e, const Expr *x); /* in the frame on top, unknown names as dimensions */
/* v as a value of type t: numbers become tensors, shapes are unified. what: "argument `x` of `f`". */
Val type_unify(Elab *e, Val t, Val v, Loc loc, const char *what);
void type_check_deferred(Elab *e);
const char *type_text_val(Elab *e, Val t);
Unknown *type_unknown(Frame *f, const char *name);
Unknown *type_unknown_new(Elab *e, Name name);
Val type_unknown_dim(Elab *e, Name name); /* a name in a shape that nothing else explains */
void type_know(Elab *e, Unknown *u, Val v);
/* f32[2, 3]: the type with that shape; idx as of elab_indices. */
Val type_shaped(Elab *e, Val base, const Val *idx, int n, Loc loc);
bool type_is_type(Val v);
Dim type_subst(Elab *e, Dim d);

/* elab_number.c */
bool number_binary(Elab *e, BinOp op, Val a, Val b, Loc loc, Val *out); /* false: not two compile-time values */
bool number_compare(Elab *e, CmpOp op, Val a, Val b, Loc loc, bool *out);
bool val_truth(Elab *e, Val v, bool *out);
bool val_equal(Elab *e, Val a, Val b); /* compile-time equality, trees too */
Scalar val_scalar(Val v);

/* elab_weak.c */
bool weak_fits(Val v, DType d);
DType weak_default(Val v);

_Noreturn void elab_unwind(Elab *e);
/* elab_val.c */
typedef Val (*LeafFn)(Elab *e, void *ctx, Val leaf);
Val val_map(Elab *e, Val v, LeafFn fn, void *ctx);          /* every leaf, numbers and types too */
Val val_map_captured(Elab *e, Val v, LeafFn fn, void *ctx); /* also into closures, constants of modules */
typedef Val (*LeafFn2)(Elab *e, void *ctx, Val a, Val b, const char *path);
/* Leaf by leaf over two trees of one structure; where the structures differ, fn is called with the subtrees. */
Val val_map2(Elab *e, Val a, Val b, LeafFn2 fn, void *ctx, const char *path);
bool val_same(Val a, Val b);               /* identical, tensors by SSA value */
void val_key(Elab *e, StrBuf *out, Val v); /* text that is equal for equal compile-time values and tensor types */
const Items *items_new(Elab *e, const Val *v, const char *const *name, int n);
int items_find(const Items *it, const char *name);
bool val_module_is_description(Val v);

/* elab_branch.c, elab_loop.c */
typedef struct State {
	Local *top;
	int depth;
	Val *v;
	int n;
	bool facts_open, training;
} State;
State state_save(Elab *e);
void state_restore(Elab *e, State s);
State state_after(Elab *e, State before); /* of the names that before has */
const char *local_text(Elab *e, const Local *l);
typedef Val (*ArmFn)(Elab *e, void *ctx, int arm);
Val elab_branch(Elab *e, Value *cond, Loc loc, ArmFn arm, void *ctx, bool want);
void elab_for(Elab *e, const Stmt *s);
void elab_while(Elab *e, const Stmt *s);
/* A loop over n rows of xs (a tensor [n, ..]) whose results, a tree of tensors, are stacked. */
typedef Val (*RowFn)(Elab *e, void *ctx, Value *row);
Val elab_loop_map(Elab *e, Value *xs, RowFn fn, void *ctx, Loc loc);

/* elab_place.c */
typedef struct Step {
	bool member;
	const char *name;
	const Val *idx;
	int n;
	Loc loc;
} Step;
typedef struct Place {
	Local *root;
	Step *steps;
	int nsteps;
	Loc loc;
} Place;
bool place_of(Elab *e, const Expr *x, Place *out); /* false: x is not a place; indices are evaluated */
Val place_read(Elab *e, const Place *p);
void place_write(Elab *e, const Place *p, Val v, Loc loc);
bool place_writable(const Place *p);
bool place_overlap(const Place *a, const Place *b);
void elab_assign(Elab *e, const Expr *target, Val v, Loc loc);
void place_check_writable(Elab *e, const Place *p, const char *verb);

/* elab_module.c */
Val module_construct(Elab *e, const ModuleDecl *d, CallArgs *a);
bool module_find_method(const ModuleTree *m, const char *name, const Fn **fn); /* name NULL: the unnamed one */
Val module_method(Elab *e, Val self, const Fn *fn);
bool module_lookup(Elab *e, Val self, const char *name, Val *out);       /* after a dot: members, methods, init, load */
bool module_scope_lookup(Elab *e, Val self, const char *name, Val *out); /* as a plain name inside the module */
Val module_init(Elab *e, Val description, CallArgs *a);
Val module_fresh(Elab *e, Val description, CallArgs *a);
Val module_load(Elab *e, Val description, CallArgs *a);
Val module_stack_of(Elab *e, Val elem, Dim n, Loc loc);
Val stack_row(Elab *e, const Stack *s, Val index, Loc loc);
Val stack_set_row(Elab *e, const Stack *s, Val index, Val row, Loc loc);
Val module_set_member(Elab *e, Val m, const char *name, Val v, Loc loc);
bool module_member_is_state(const ModuleTree *m, const char *name);

/* elab_weights.c */
typedef struct Weights {
	TensorFile file;
	const char *shown, *prefix;
	Val rename;
	Loc loc;
} Weights;
Weights weights_open(Elab *e, const char *path, const char *shown, Loc loc);
/* The tensor at a path of the tree as a constant of the wanted type; prefix is not part of the file's names. */
Val weights_leaf(Elab *e, const Weights *w, const char *path, DType d, int rank, const Dim *dims);
/* elab_trace.c */
Val composite_call(Elab *e, const FnVal *f, CallArgs *a);

/* elab_export.c */
typedef struct StructRow {
	const char *key, *name;
	struct StructRow *next;
} StructRow;
void export_function(Elab *e, Scope *s, const Decl *d);
/* elab_test.c */
void test_function(Elab *e, Scope *s, const Decl *d);
#endif
