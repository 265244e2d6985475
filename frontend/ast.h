/* The syntax tree of a .mx file. One node type per category; every node has its exact place.
 * Built by parser.y in the compilation's arena; lists are arrays in source order. */
#ifndef MLXCC_FRONTEND_AST_H
#define MLXCC_FRONTEND_AST_H
#include <stdbool.h>
#include "../ir/arena.h"
#include "../ir/diag.h"

typedef struct Expr Expr;
typedef struct Stmt Stmt;
typedef struct Decl Decl;
typedef struct StmtList { Stmt **at; int n, cap; Loc loc; int height; } StmtList;     /* a block */
typedef struct ExprList { Expr **at; int n, cap; } ExprList;
typedef struct Name { const char *text; Loc loc; } Name;                   /* interned */

/* name, or a nested tuple of patterns. "_" binds nothing. */
typedef struct Pattern { bool is_tuple; Name name; struct Pattern **items; int n, cap; Loc loc; } Pattern;

typedef enum ParamKind { PARAM_PLAIN, PARAM_INOUT, PARAM_REST } ParamKind;
typedef struct Param {
	ParamKind kind;
	Name name;                 /* of a plain lambda parameter that is a tuple pattern: empty, see pattern */
	Pattern *pattern;          /* lambdas only, else NULL */
	Expr *type, *init;         /* NULL where absent */
	const char *doc;           /* of a declared function's parameter, or NULL */
	Loc loc;
} Param;
typedef struct ParamList { Param **at; int n, cap; Loc loc; } ParamList;

typedef enum ArgKind { ARG_PLAIN, ARG_NAMED, ARG_SPREAD } ArgKind;
typedef struct Arg { ArgKind kind; bool is_inout; Name name; Expr *value; Loc loc; } Arg;
typedef struct ArgList { Arg **at; int n, cap; } ArgList;

typedef enum IndexKind { INDEX_EXPR, INDEX_SLICE, INDEX_ELLIPSIS } IndexKind;
typedef struct Index { IndexKind kind; Expr *expr, *lo, *hi, *step; Loc loc; } Index;   /* absent parts NULL */
typedef struct IndexList { Index **at; int n, cap; } IndexList;

typedef enum ItemKind { ITEM_PLAIN, ITEM_SPREAD, ITEM_VALUE /* name = e */, ITEM_TYPE /* name: e */ } ItemKind;
typedef struct Item { ItemKind kind; Name name; Expr *value; Loc loc; const char *doc; /* TYPE: of the field, or NULL */ } Item;
typedef struct ItemList { Item **at; int n, cap; } ItemList;

typedef enum ExprKind {
	EXPR_NAME, EXPR_INT, EXPR_FLOAT, EXPR_IMAG, EXPR_STR, EXPR_TRUE, EXPR_FALSE, EXPR_NONE,
	EXPR_TUPLE,      /* items: PLAIN, SPREAD; also a bare `a, b` */
	EXPR_RECORD,     /* items: VALUE, SPREAD */
	EXPR_RECORD_TYPE,/* items: TYPE */
	EXPR_LIST,       /* items: PLAIN, SPREAD */
	EXPR_UNARY,      /* op a:   - ~ not   (+x is x) */
	EXPR_BINARY,     /* a op b: + - * / // % @ ** & | ^ << >> and or */
	EXPR_COMPARE,    /* operand[0] cmp[0] operand[1] cmp[1] ...: chained */
	EXPR_IF,         /* a if c else b: c = cond */
	EXPR_RANGE,      /* a .. b */
	EXPR_LAMBDA, EXPR_CALL, EXPR_INDEX, EXPR_MEMBER
} ExprKind;

typedef enum BinOp {
	B_ADD, B_SUB, B_MUL, B_DIV, B_FLOORDIV, B_MOD, B_MATMUL, B_POW, B_BITAND, B_BITOR, B_BITXOR, B_SHL, B_SHR, B_AND, B_OR
} BinOp;
typedef enum CmpOp { C_LT, C_GT, C_LE, C_GE, C_EQ, C_NE, C_IN, C_NOT_IN, C_IS, C_IS_NOT } CmpOp;
typedef enum UnOp { U_NEG, U_INVERT, U_NOT } UnOp;

struct Expr {
	ExprKind kind;
	Loc loc;
	bool parenthesised;
	int height;                                  /* of the tree below: the parser keeps it under 2000, so recursion over a tree is bounded */
	Loc op_loc;                                  /* the operator, the dot, the bracket */
	union {
		Name name;                               /* NAME */
		struct { uint64_t value; bool too_big; } integer;   /* INT: beyond uint64 too_big was reported */
		double number;                           /* FLOAT, IMAG */
		struct { const char *text; size_t n; bool raw; } str;  /* STR: escapes resolved; may hold NULs */
		ItemList items;                          /* TUPLE RECORD RECORD_TYPE LIST */
		struct { UnOp op; Expr *a; } unary;
		struct { BinOp op; Expr *a, *b; } binary;
		struct { Expr **operand; CmpOp *op; int n; } compare;   /* n operators, n+1 operands */
		struct { Expr *cond, *a, *b; } cond;
		struct { Expr *lo, *hi; } range;
		struct { ParamList params; Expr *body; StmtList *block; } lambda;   /* one of body, block */
		struct { Expr *fn; ArgList args; } call;
		struct { Expr *base; IndexList index; } index;
		struct { Expr *base; Name name; } member;
	} u;
};

typedef struct Bind { Pattern *pattern; Expr *type; } Bind;

typedef enum StmtKind {
	STMT_LET, STMT_VAR, STMT_ASSIGN, STMT_AUGMENT, STMT_EXPR, STMT_RETURN, STMT_ASSERT, STMT_IF, STMT_FOR, STMT_WHILE, STMT_WITH,
	STMT_ERROR                                   /* a statement that did not parse; already reported */
} StmtKind;
struct Stmt {
	StmtKind kind;
	Loc loc;
	int height;
	union {
		struct { Bind *binds; int n; Expr *value; } let;          /* LET VAR; value of `a, b = x, y` is a TUPLE */
		struct { Expr *target; Expr *value; BinOp op; } assign;   /* ASSIGN AUGMENT; target: name, member, index, tuple of them */
		Expr *expr;                              /* EXPR; RETURN: NULL for a bare one */
		struct { Expr *cond, *message; } assert_;
		struct { Expr *cond; StmtList then; StmtList *otherwise; } if_;   /* otherwise NULL: none; `else if` is a list of one IF */
		struct { bool unroll; Pattern *pattern; Expr *in, *step, *while_; StmtList body; } for_;
		struct { Expr *cond; StmtList body; } while_;
		struct { Expr *what; StmtList body; } with;
	} u;
};

typedef struct Fn {                              /* fn, export fn, composite fn, methods */
	Name name;                                   /* text NULL: a module's unnamed fn */
	bool exported, composite;
	ParamList params;
	Expr *result;                                /* NULL: not annotated */
	StmtList body;
	const char *doc;
	Loc loc;
} Fn;

typedef enum MemberKind { MEMBER_PARAM, MEMBER_BUFFER, MEMBER_VALUE, MEMBER_ASSERT, MEMBER_FN } MemberKind;
typedef struct Member {
	MemberKind kind;
	Loc loc;
	const char *doc;
	Name name;                                   /* PARAM BUFFER */
	Name *names; int nnames;                     /* VALUE: `kh, kw = …` has two */
	Expr *type, *value, *message;                /* PARAM BUFFER: type, value (NULL: must be loaded); VALUE: value; ASSERT: value, message */
	Fn *fn;
} Member;

typedef struct KernelBody { Name word; const char *code; size_t ncode; Loc code_loc; ArgList over, by; bool has_over, has_by; Fn *rule; } KernelBody;

typedef enum DeclKind { DECL_LANGUAGE, DECL_IMPORT, DECL_DIM, DECL_CONST, DECL_FN, DECL_MODULE, DECL_KERNEL, DECL_EXTERN, DECL_TEST } DeclKind;
struct Decl {
	DeclKind kind;
	Loc loc;
	Name name;                                   /* CONST FN MODULE KERNEL EXTERN; DIM; IMPORT: the name it is known by (file without `as`: empty) */
	const char *doc;
	union {
		int64_t language;
		struct { const char *path; Loc path_loc; } import;        /* path NULL: a standard module named name; one Decl per item */
		struct { Expr *lo, *hi, *step, *values; bool only; } dim;   /* one Decl per item; lo NULL: no range; values: one or a tuple, or NULL; only: no others */
		struct { Expr *type, *value; } const_;
		Fn *fn;
		struct { ParamList params; bool has_params; Member **members; int n; } module;
		struct { ParamList params; Expr *result; KernelBody *bodies; int n; } kernel;
		struct { const char *header; ParamList params; Expr *result, *call; } extern_;
		struct { const char *title; StmtList body; } test;
	} u;
};

typedef struct File {
	uint32_t file;                               /* in the Diag */
	const char *doc;
	Decl **decls; int ndecls;
	bool had_errors;
} File;

/* Parses a registered file. Reports every mistake; never NULL, had_errors says whether the tree is whole. */
File *parse_file(Arena *a, Intern *strings, Diag *d, uint32_t file);
#endif
