/* The rows of loop.def as data: what the printer, the reader, the verifier and the interpreter of loop IR share. */
#ifndef MLXCC_PASSES_LOOP_TEXT_H
#define MLXCC_PASSES_LOOP_TEXT_H
#include "loop.h"

/* Structs that have a text, and how a field is written:
 *   WORD an identifier         TEXT "a string"          DIM 2*B+1           INT -3              FLAG the field's own name
 *   TYPE f32[B,64]             TENSOR f32[2](1, 2)      SCALAR of the node's dtype              OP the name of an op
 *   FUNC @f                    BUF name                 BUFS a, b           NAMES B, T          LOC loc("f.mx":1:2-3)
 *   NUMBERS 1, -2, 3
 *   ARGS %0, %1                POSITION 2*i + %3 + (B)  ACCESS [i, j], nothing at rank 0        ROW a position
 *   AXIS a declaration         AXES names of axes       BODY { nodes }      STEPS { steps }     LOOP { buffers, counter, while, steps }
 *   STAGES { axes, stages }    KERNEL a kernel */
typedef enum LoopStruct { LS_Axis, LS_Buf, LS_Node, LS_Nest, LS_Kernel, LS_Step, LS_LoopFunc, LS_COUNT } LoopStruct;
typedef enum FieldKind {
	FK_WORD,
	FK_TEXT,
	FK_DIM,
	FK_INT,
	FK_FLAG,
	FK_TYPE,
	FK_TENSOR,
	FK_SCALAR,
	FK_OP,
	FK_FUNC,
	FK_BUF,
	FK_BUFS,
	FK_NAMES,
	FK_LOC,
	FK_ARGS,
	FK_NUMBERS,
	FK_POSITION,
	FK_ACCESS,
	FK_ROW,
	FK_AXIS,
	FK_AXES,
	FK_BODY,
	FK_STEPS,
	FK_LOOP,
	FK_STAGES,
	FK_KERNEL
} FieldKind;
typedef struct FieldRow {
	LoopStruct of;
	const char *name;
	FieldKind kind;
	size_t at, size, count_at, count_size;
} FieldRow;
typedef enum Gives { GIVES_NONE, GIVES_VALUE, GIVES_MAYBE } Gives;
typedef enum RawWrites { RAW_WRITES_WHOLE, RAW_WRITES_ROW, RAW_WRITES_LINE } RawWrites;
typedef enum RawScratch { RAW_SCRATCH_NONE, RAW_SCRATCH_BUF2, RAW_SCRATCH_SRC2 } RawScratch;
typedef enum RawCut { RAW_CUT_NONE, RAW_CUT_QUERIES, RAW_CUT_COLUMNS, RAW_CUT_LINES, RAW_CUT_MATRICES, RAW_CUT_GROUPS } RawCut;
typedef enum RawFlops {
	RAW_FLOPS_NONE,
	RAW_FLOPS_CONV,
	RAW_FLOPS_DEPTHWISE,
	RAW_FLOPS_WINOGRAD,
	RAW_FLOPS_ATTENTION,
	RAW_FLOPS_PACKED_ROWS
} RawFlops;
typedef struct KindRow {
	const char *word;
	Gives gives;
	const char *text, *doc;
	/* of a RAW row: how its buf is written, which buffer is work memory, how it may be cut, its operations */
	RawWrites writes;
	RawScratch scratch;
	RawCut cut;
	RawFlops flops;
} KindRow;

extern const char *const loop_syntax[LS_COUNT];
extern const KindRow loop_nodes[N_COUNT], loop_steps[STEP_COUNT], loop_bufs[], loop_raws[];
extern const int nloop_bufs, nloop_raws;
const KindRow *loop_node_row(const Node *n); /* of a RAW node: the row of its mode, NULL when there is none */
bool node_gives(const Node *n);              /* has a value */

/* One item of a syntax: a character that stands for itself, a field, or an optional part, whose text is [inside, inside + n). */
typedef struct SyntaxItem {
	enum { SYNTAX_CHAR, SYNTAX_FIELD, SYNTAX_GROUP } kind;
	char c;
	const FieldRow *field;
	const char *inside;
	size_t n;
} SyntaxItem;
/* Reads the item at *p, which moves behind it. False at end. */
bool syntax_next(LoopStruct of, const char **p, const char *end, SyntaxItem *out);
int64_t field_int(const void *object, size_t at, size_t size);
void field_set_int(void *object, size_t at, size_t size, int64_t n);
bool field_present(const FieldRow *f, const void *object); /* not zero, not empty */
bool syntax_has(const FieldRow *f, const char *text);      /* mentions the field */
#define FIELD_AT(T, object, f) (*(T *)((char *)(object) + (f)->at))
#endif
