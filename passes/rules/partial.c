/* Partial derivatives of element-wise ops, written in ops.def as texts over a b c (operands) and y (the result):
 *
 *   expr := number | a | b | c | y | name ( expr {, expr} )
 *
 * A number is a splat of the operands' type. name is an op of the table or one of
 *   convert_like(p, x)  p in x's dtype        abs_grad(a, y)   d|a|/da: sign(a); for c64 the unit direction a/|a|
 *   sign_grad(a, y)     NULL: the sign of a real is discrete (c64 is handled in util.c)
 * NULL as a value means identically zero.
 */
#include "rules.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Partial {
	Builder *b;
	const OpView *v;
	const char *p;
} Partial;
static Value *expr(Partial *s);

static void skip(Partial *s)
{
	while (*s->p == ' ') s->p++;
}

static Value *call(Partial *s, const char *name, size_t n)
{
	Value *arg[3];
	int narg = 0;
	do {
		s->p++; /* ( or , */
		assert(narg < 3);
		arg[narg++] = expr(s);
		skip(s);
	} while (*s->p == ',');
	assert(*s->p == ')');
	s->p++;
	char buf[32];
	assert(n < sizeof buf);
	memcpy(buf, name, n);
	buf[n] = 0;
	if (!strcmp(buf, "convert_like")) return ir_convert(s->b, arg[0], arg[1]->type->dtype);
	if (!strcmp(buf, "abs_grad")) return ir_unary(s->b, OP_sign, arg[0]);
	if (!strcmp(buf, "sign_grad")) return NULL;
	OpCode c;
	bool found = op_find(buf, &c);
	assert(found && "unknown name in a partial derivative of ops.def");
	(void)found;
	return ir_emit(s->b, c, arg, narg, NULL, 0);
}

static Value *expr(Partial *s)
{
	skip(s);
	const char *start = s->p;
	if (isdigit((unsigned char)*start) || *start == '-' || *start == '.') {
		char *end;
		double x = strtod(start, &end); /* reads -inf too */
		s->p = end;
		return ir_splat(s->b, s->v->in[s->v->nin - 1]->type, x);
	}
	while (isalnum((unsigned char)*s->p) || *s->p == '_') s->p++;
	size_t n = (size_t)(s->p - start);
	assert(n > 0);
	if (*s->p == '(') return call(s, start, n);
	assert(n == 1 && "a name in a partial derivative that is neither an operand nor a call");
	return *start == 'y' ? s->v->out[0] : s->v->in[*start - 'a'];
}

static bool accept(Partial *s, const char *prefix)
{
	skip(s);
	size_t n = strlen(prefix);
	if (strncmp(s->p, prefix, n)) return false;
	s->p += n;
	return true;
}

static void expect(Partial *s, char c)
{
	skip(s);
	assert(*s->p == c);
	(void)c;
	s->p++;
}

static Value *maybe_conj(Partial *s, Value *x, bool adjoint)
{
	return adjoint ? rule_conj(s->b, x) : x;
}

/* t times the expression, in the form that costs least: t * (1/x) is t/x (one rounding, and shared with the quotient rule's other term),
 * t * p of a bool is a select (exactly 0 where it does not hold), signs move outwards, where sums swallow them. */
static Value *times(Partial *s, Value *t, bool adjoint)
{
	Value *r;
	if (accept(s, "neg(")) {
		r = ir_unary(s->b, OP_neg, times(s, t, adjoint));
	} else if (accept(s, "convert_like(")) {
		r = ir_select(s->b, expr(s), t, ir_zeros(s->b, t->type));
		expect(s, ',');
		expr(s);
	} else if (accept(s, "div(1,")) {
		r = ir_binary(s->b, OP_div, t, maybe_conj(s, expr(s), adjoint));
	} else if (accept(s, "mul(y, div(1,")) {
		r = ir_binary(s->b, OP_div, t, maybe_conj(s, expr(s), adjoint));
		r = ir_binary(s->b, OP_mul, r, maybe_conj(s, s->v->out[0], adjoint));
		expect(s, ')');
	} else return ir_binary(s->b, OP_mul, t, maybe_conj(s, expr(s), adjoint));
	expect(s, ')');
	return r;
}

static Partial begin(Builder *b, const OpView *v, int k)
{
	return (Partial){b, v, op_row(v->code)->partial[k]};
}

Value *partial_value(Builder *b, const OpView *v, int k)
{
	Partial s = begin(b, v, k);
	return s.p ? expr(&s) : NULL;
}

Value *partial_times(Builder *b, const OpView *v, int k, Value *t, bool adjoint)
{
	Partial s = begin(b, v, k);
	if (!s.p || !strncmp(s.p, "sign_grad", 9)) return NULL;
	Value *r = times(&s, t, adjoint);
	skip(&s);
	assert(*s.p == 0);
	return r;
}
