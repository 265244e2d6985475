/* The inside of the C printer: shared by the files of codegen/. */
#ifndef MLXCC_CODEGEN_EMIT_H
#define MLXCC_CODEGEN_EMIT_H
#include "../passes/loop_walk.h"
#include "codegen.h"

/* The vector loop that is being printed: codegen/c_vector.c. */
typedef struct VecLoop VecLoop;

typedef struct Emit {
	Arena *a;
	Module *m;
	Program *p;
	CodegenOptions o;
	const char *prefix, *PREFIX; /* "digits", "DIGITS" */
	StrBuf *out;
	int indent;
	LoopFunc *f;
	Map text;                 /* Node -> const char *: how a node is written where it is used */
	Map uses;                 /* Node -> Use */
	Map refs;                 /* Buf -> const char *: how a buffer is written, where that is not its name */
	VEC(const char *) tables; /* names of constant arrays already written */
	StrBuf *constants, *code;
	Map symbols; /* interned C names at file scope */
	Map counted; /* Body: its uses are counted */
	VecLoop *vec;
	const Kernel *kernel;    /* that is being printed */
	const Axis *const *flat; /* axes that run as part of the innermost loop: left out of indices */
	int nflat;
	int next_temp;
	/* the kernel that is being printed is shared out along this axis: it gets steps mx_begin..mx_end of it, of so many elements each */
	const Axis *shared;
	int unit;
} Emit;

void emit_line(Emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *emit_symbol(Emit *e, const char *hint); /* unique at file scope, with the prefix */
const char *emit_place(Emit *e, Loc loc);           /* "digits.mx:17" or NULL */
const char *emit_dim(Emit *e, Dim d);               /* a C expression, an atom */
const char *emit_dim_name(Emit *e, const char *symbol);
bool emit_is_taken(Emit *e, const char *name);      /* by a value or dimension of the function */
const char *emit_member(Emit *e, const char *path); /* "l1.weight" as C writes it */
const char *buf_text(Emit *e, const Buf *b);        /* pointer, array, or the value of a scalar */
const char *buf_ctype(const Buf *b);
bool buf_is_value(const Buf *b); /* written without subscript */
Dim buf_elements(Emit *e, const Buf *b);

bool text_mentions(const char *text, const char *name); /* as a whole word */

/* c_expr.c */
void emit_body(Emit *e, Body *b);
const char *scalar_text(Emit *e, Scalar s);
/* c_kernel.c */
/* The last line of the function's own file that is in k, or where there is none that of its last stage. */
Loc kernel_loc(const LoopFunc *f, const Kernel *k);
/* The bounds of the loop over axis[0..n), a flat one, or the plain one of one axis: "0" and its extent, or the steps of this piece. */
void emit_bounds(Emit *e, const Axis *const *axis, int n, const char **lo, const char **hi);
/* The loop over x, or over this piece's part of it. */
void emit_open_axis(Emit *e, const Axis *x);
void emit_kernel(Emit *e, Kernel *k); /* the function to e->code, the call at e->out */
/* c_func.c */
void emit_func(Emit *e, LoopFunc *f);
const char *c_path(Emit *e, const char *path);
const char *emit_func_name(Emit *e, const LoopFunc *f);
/* templates.c: a support function for a dtype, from kernels/; returns its C name. */
const char *emit_template(Emit *e, const char *kernel, DType d);
const char *emit_matrix_template(Emit *e, const char *kernel, DType d);
const char *kernel_source(const char *name); /* the text of kernels/NAME.h */
/* gemm.c: prints a kernel whose first stage has a template. */
void emit_dot_stages(Emit *e, Kernel *k);
/* signature.c */
typedef struct NamedText {
	const char *name, *text;
} NamedText;
typedef VEC(NamedText) VEC_OF_TEXT;
typedef struct SigArg {
	const char *name, *path;
	bool tree, inout, by_value;
	int first, n;
	const char *type_name;
} SigArg;
typedef struct CSignature {
	Func *f;
	SigArg *param, *result;
	int nparam, nresult;
} CSignature;
CSignature c_signature(Emit *e, Func *f);
void emit_prototype(Emit *e, StrBuf *out, Func *f);
void emit_structs(Emit *e, StrBuf *out);
#endif
