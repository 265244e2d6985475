/* What emission simplifies: identities and constants. */
#ifndef MLXCC_IR_FOLD_H
#define MLXCC_IR_FOLD_H
#include "build.h"

/* Constants with more elements are not computed at compile time. */
#define FOLD_MAX_ELEMENTS 4096
#define FOLD_MAX_MOVED (1 << 22) /* a transposed constant stands in for the original: baked weights need no memory and no time at run time */

/* True with out[0..nout) set where the op is an identity, a constant, or a smaller op (which is then emitted). attrs of v are in row order.
 */
bool fold_op(Builder *b, const OpView *v, Value **out, int nout);
bool is_bwd_tag(const char *tag); /* the op was made by reverse mode */

typedef enum Exactness { RULE_EXACT, RULE_CLOSER, RULE_RELAXED } Exactness;
typedef struct RuleRow {
	const char *name;
	Exactness exactness;
	OperandClass takes;
	OpCode op;
	const char *args, *becomes;
} RuleRow;
bool rule_takes(const RuleRow *r, DType d); /* applies where the last operand has that dtype */
extern const RuleRow fold_rules[];
extern const int nfold_rules;
#endif
