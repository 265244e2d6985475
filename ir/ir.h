/* The tensor IR: SSA values, ops with regions, functions.
 *
 * A Func is a Block. Ops may hold regions that capture enclosing values by name. Everything lives in the
 * Module's arena. Text form: print.c writes it, read.c reads it, and what is printed is what is parsed:
 *
 *   func @predict(%x: f32[B,64], %w: f32[128,64]) -> (f32[B,128]) {
 *     %0 = dot %x, %w {lhs_contract=[1], rhs_contract=[1], lhs_batch=[], rhs_batch=[]} : f32[B,128]   loc("digits.mx":17:10-24)
 *     return %0
 *   }
 */
#ifndef MLXCC_IR_IR_H
#define MLXCC_IR_IR_H
#include <stdbool.h>
#include <stdio.h>
#include "arena.h"
#include "diag.h"
#include "dim.h"
#include "dtype.h"
#include "note.h"
#include "tensor.h"

typedef struct Module Module;
typedef struct Func Func;
typedef struct Block Block;
typedef struct Op Op;
typedef struct Value Value;

typedef enum OpCode {
#define ELEM(name, ...) OP_##name,
#define TENSOR(name, ...) OP_##name,
#include "ops.def"
#undef ELEM
#undef TENSOR
	OP_COUNT
} OpCode;

typedef enum AttrKey {
#define ATTR(name, kind, doc) AT_##name,
#include "attrs.def"
#undef ATTR
	AT_COUNT
} AttrKey;
typedef enum AttrKind { AK_INT, AK_BOOL, AK_INTS, AK_DIM, AK_DIMS, AK_DTYPE, AK_STR, AK_FUNC, AK_TENSOR } AttrKind;

typedef struct Attr {
	AttrKey key;
	int n;                         /* INTS, DIMS: length */
	union {
		int64_t i;                 /* INT, BOOL */
		const int64_t *ints;
		Dim dim;
		const Dim *dims;
		DType dtype;
		const char *str;           /* interned in the module */
		Func *func;
		const Tensor *tensor;
	} v;
} Attr;

/* Interned in the module: equal types are equal pointers. */
typedef struct Type { DType dtype; int rank; Dim dim[]; } Type;

struct Value {
	int id;                        /* unique in the module, in order of creation */
	const Type *type;
	Op *def;                       /* NULL for a block parameter */
	Block *block;                  /* where it is defined */
	int index;                     /* result number, or parameter number */
	const char *name;              /* the user's name for it, or NULL; printing makes it unique */
	bool lin;                      /* depends on a placeholder tangent (vjp of ops that have only a jvp) */
};

struct Op {
	OpCode code;
	Block *block;
	Op *prev, *next;
	int nin, nout, nattr, nregion;
	Value **in, **out;
	const Attr *attrs;             /* in the order of the op's row; absent optional ones left out */
	Block **region;
	Loc loc;
	const char *tag;               /* "bwd", "jvp", "vmap": what derived this op from loc; NULL: the user's own */
	int mark;                      /* scratch of the running pass */
};

typedef enum BlockKind { BLOCK_FUNC, BLOCK_LOOP, BLOCK_COND, BLOCK_WHILE } BlockKind;
struct Block {
	BlockKind kind;
	Func *func;
	Block *parent;                 /* NULL for a function's body */
	Block *twin;                   /* a backward block may name values of that forward block while it is built */
	Op *owner;                     /* the op whose region this is; NULL for a function's body and while under construction */
	Op *first, *last;
	int nparam, nresult;
	Value **param, **result;
	struct CseTable *cse;          /* the builder's; NULL when not building */
	void *tape;                    /* passes/vjp.c's while sweeping */
};

/* Where the leaves of an exported function sit in its C signature. Each parameter and result has a path: "x", "net.l1.weight",
 * "out", "out0.m.l1.bias", "opt.betas.0". A path prefix may have a struct type name in structs. */
typedef struct StructName { const char *path, *name; } StructName;   /* "net" -> "Net", "net.l1" -> "Linear" */

struct Func {
	const char *name;
	Module *module;
	Block *body;
	bool exported, is_test;
	const char *test_title;        /* tests: the text after `test` */
	const char *composite;         /* the name that codegen may match, or NULL */
	bool remat;                    /* backward recomputes (checkpoint) */
	bool noinline_cse;             /* set on backward functions of remat functions: inlining needs a barrier */
	/* custom rules, NULL where none; signatures: passes/transform.h */
	Func *rule_jvp, *rule_vjp_fwd, *rule_vjp_bwd, *rule_vmap;
	const DimFacts *facts;         /* what holds of the dimensions; never NULL */
	/* exported functions: */
	const char *doc;
	const char **param_path;       /* [nparam] */
	bool *param_inout;             /* [nparam] */
	const char **param_doc;        /* shape text as the user wrote it, or NULL */
	const char **result_path;      /* [nresult] */
	int *result_alias;             /* [nresult]: the inout parameter that this result updates, or -1 */
	StructName *structs; int nstructs;
	const char **dims; int ndims;  /* dimension arguments of the C function, in order of appearance */
	Loc loc;
	struct Derived *derived;       /* passes: cache of functions derived from this one */
	Notes notes;                   /* why it is as it is: --emit=report */
};

struct Module {
	Arena *arena;
	Diag *diag;
	DimCtx *dims;
	Intern strings;
	VEC(Func *) funcs;             /* in order of creation */
	Map by_name;                   /* interned name -> Func */
	int next_id;
	const char *name;              /* "digits": prefix of C names */
	bool fast_math;                /* rules that are not exact may run */
	const struct Target *target;   /* whose limits the cost model keeps to; never NULL */
	bool exact_conv;               /* no kernels whose sums are not those of the op table (Winograd) */
	struct TypeTable *types;
	Map tensors;                   /* constants that live in the module's arena: Tensor -> itself */
	const char *stage;             /* "tensor"; "loops" where only the signatures of functions are tensor IR */
	const char *after;             /* loops: the pass that the text was printed after, or NULL */
	void (*on_bug)(void *ctx);     /* the pass driver's: called after a DIAG_BUG, before the program ends; may be NULL */
	void *on_bug_ctx;
};

Module *module_new(Arena *a, Diag *d, const char *name);
Func *func_new(Module *m, const char *name);          /* the name is made unique in the module: f, f.1, f.2; facts: empty */
Func *func_find(Module *m, const char *name);
void func_remove(Func *f);                            /* from its module; nothing may call it any more */
const Type *type_get(Module *m, DType d, int rank, const Dim *dims);
const Type *type_scalar(Module *m, DType d);
const Type *type_with_dtype(Module *m, const Type *t, DType d);
const Type *type_prepend(Module *m, const Type *t, Dim n);   /* [n, ...] */
Dim type_size(Module *m, const Type *t);              /* product of the dims */
char *type_str(Arena *a, const Type *t);              /* "f32[B,64]"; a scalar is "f32" */
const char *module_str(Module *m, const char *s);     /* interned */

const Attr *op_attr(const Op *op, AttrKey k);         /* NULL when absent */
int64_t op_int(const Op *op, AttrKey k, int64_t otherwise);
bool op_bool(const Op *op, AttrKey k);
const char *op_str(const Op *op, AttrKey k);          /* NULL when absent */

/* --- the op table ------------------------------------------------------------------------------------------------ */
typedef enum ZeroReason { ZERO_NONE, ZERO_DISCRETE, ZERO_INTEGER, ZERO_STOP, ZERO_RANDOM_BITS, ZERO_SOURCE } ZeroReason;
enum OpFlags { OPF_COMMUTES = 1, OPF_CHEAP = 2, OPF_VIEW = 4, OPF_EFFECT = 8, OPF_REGION = 16, OPF_OWN_JVP = 32, OPF_OPAQUE = 64 };
typedef enum OperandClass { OC_ALL, OC_NUM, OC_FLT, OC_INX, OC_INTB, OC_INT, OC_REAL, OC_CPX } OperandClass;
typedef enum ResultClass { RC_SAME, RC_BOOL, RC_ABSOF, RC_DTYPE, RC_CPLX } ResultClass;

/* Operands and attributes of an op that may not exist yet. */
typedef struct OpView { OpCode code; int nin, nattr, nout; Value *const *in; Value *const *out; const Attr *attrs; Loc loc; } OpView;
const Attr *view_attr(const OpView *v, AttrKey k);

typedef struct OpRow {
	const char *name, *doc;
	bool elementwise;
	int nin, nout;                 /* -1: any */
	OperandClass takes; ResultClass gives;              /* elementwise */
	const char *expr_float, *expr_int, *expr_bool, *expr_complex;   /* elementwise: scalar meaning, NULL where not taken */
	const char *partial[3];
	const char *lin;
	ZeroReason zero;
	unsigned flags;
	int nattr; AttrKey attr[8]; bool optional[8];
	/* Result types of a tensor op into type[0..*n). False after reporting through why (a message without place). Elementwise rows share one. */
	bool (*infer)(Module *m, const DimFacts *f, const OpView *v, const Type **type, int *n, const char **why);
	/* The meaning on concrete tensors; out[] are allocated with their shapes. Structure ops are NULL (eval.c walks them). */
	void (*eval)(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out);
} OpRow;
const OpRow *op_row(OpCode c);
bool op_find(const char *name, OpCode *out);
bool op_is_elementwise(OpCode c);
bool op_takes(OpCode c, DType d);                     /* elementwise: is d a permitted operand dtype */
const char *attr_name(AttrKey k);
AttrKind attr_kind(AttrKey k);
bool attr_find(const char *name, AttrKey *out);
bool attr_equal(const Attr *a, const Attr *b);
/* Linear group of operand k by row->lin: 0 none. */
int op_lin_group(const OpRow *row, int nin, int k);

/* --- walking ----------------------------------------------------------------------------------------------------- */
/* Values used in b (deep) that are defined outside it, each once, by first use. */
void block_free_values(Arena *a, Block *b, Value ***out, int *n);
bool block_defines(const Block *b, const Value *v);   /* v is a parameter or result of an op directly in b */
void op_unlink(Op *op);
void op_insert_before(Op *op, Op *at);
void op_append(Block *b, Op *op);
/* Replaces uses in b (deep). map(v) gives the new value. */
void block_replace_uses(Block *b, Value *from, Value *to);

/* --- text -------------------------------------------------------------------------------------------------------- */
typedef struct PrintOptions { bool no_loc; } PrintOptions;
void ir_print_module(StrBuf *out, const Module *m, PrintOptions o);
void ir_print_func(StrBuf *out, const Func *f, PrintOptions o);
void ir_settle_names(Func *f);                        /* gives values the unique names that they print with */
/* Reads text that ir_print_module wrote, or a person did. NULL after diagnostics. file: number from diag_add_file. */
Module *ir_read(Arena *a, Diag *d, uint32_t file);
const char *ir_read_stage(Arena *a, Diag *d, uint32_t file);  /* what the text says that it is */
/* Checks every invariant; reports each breach as DIAG_BUG (or DIAG_ERROR when from_text) naming the op. True if there is none. */
bool ir_verify(Module *m, bool from_text);
bool ir_verify_func(Func *f, bool from_text);
#endif
