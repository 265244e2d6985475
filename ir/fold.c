/* Folding of an op that is about to be emitted: constants, the identity rows of rules.def, broadcasts moved below element-wise ops, and
 * the identities of tensor ops (fold_tensor.c).
 *
 * A row of rules.def is matched by reading its text against the operands: patterns are a few characters long and an op has few rows, so
 * nothing is compiled in advance.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "eval.h"
#include "fold.h"
#include "fold_tensor.h"
#include "optable.h"

const RuleRow fold_rules[] = {
#define RULE(name, exact, dtypes, op, args, becomes) {#name, RULE_##exact, OC_##dtypes, OP_##op, args, becomes},
#include "rules.def"
#undef RULE
};
const int nfold_rules = (int)(sizeof fold_rules / sizeof *fold_rules);

bool rule_takes(const RuleRow *r, DType d)
{
	return class_takes(r->takes, d) && op_takes(r->op, d);
}

bool is_bwd_tag(const char *tag)
{
	return tag && strstr(tag, "bwd") != NULL;
}

/* --- reading a rule --------------------------------------------------------------------------------------------------- */
typedef struct Vars {
	Value *at[26];
} Vars;

static void skip_comma(const char **p)
{
	while (**p == ',' || **p == ' ') (*p)++;
}

/* A term is a letter, a number, or name(term, ..). Moves *p behind it. */
static void skip_term(const char **p)
{
	int depth = 0;
	for (; **p; (*p)++) {
		if (**p == '(') depth++;
		if (**p == ')' && depth-- == 0) return;
		if (**p == ',' && depth == 0) return;
	}
}

static bool is_var(const char *p)
{
	return p[0] >= 'a' && p[0] <= 'z' && (p[1] == '\0' || p[1] == ',' || p[1] == ')');
}

static Scalar rule_number(const char *p, DType d)
{
	if (strncmp(p, "true", 4) == 0 || strncmp(p, "false", 5) == 0) return scalar_from_int(p[0] == 't', d);
	double x = strtod(p, NULL);
	return dtype_is_diff(d) ? scalar_from_double(x, d) : scalar_from_int((int64_t)x, d);
}

static bool number_matches(const char *p, const Value *v)
{
	Scalar have;
	bool truth = p[0] == 't' || p[0] == 'f';
	if (truth && v->type->dtype != DT_bool) return false;
	if (!value_const_splat(v, &have)) return false;
	uint64_t a = 0, b = 0;
	scalar_store(have, &a);
	scalar_store(rule_number(p, have.dtype), &b);
	return a == b;
}

static bool match_term(const char **p, Value *v, Vars *vars);

static bool match_list(const char *p, Value *const *in, int nin, Vars *vars)
{
	for (int i = 0; i < nin; i++) {
		if (!match_term(&p, in[i], vars)) return false;
		skip_comma(&p);
	}
	return true;
}

static bool match_args(const char *p, OpCode c, Value *const *in, int nin, Vars *vars)
{
	Vars saved = *vars;
	if (match_list(p, in, nin, vars)) return true;
	*vars = saved;
	if (!(op_row(c)->flags & OPF_COMMUTES)) return false;
	if (match_list(p, (Value *[]){in[1], in[0]}, 2, vars)) return true;
	*vars = saved;
	return false;
}

static OpCode term_op(const char *p, const char **args)
{
	char name[32];
	size_t n = strcspn(p, "(");
	OpCode c = OP_COUNT;
	assert(n < sizeof name);
	memcpy(name, p, n);
	name[n] = '\0';
	bool found = op_find(name, &c);
	assert(found);
	(void)found;
	*args = p + n + 1;
	return c;
}

static bool match_term(const char **p, Value *v, Vars *vars)
{
	const char *at = *p, *args;
	skip_term(p);
	if (is_var(at)) {
		Value **slot = &vars->at[*at - 'a'];
		if (*slot) return *slot == v;
		*slot = v;
		return true;
	}
	if (!strchr("abcdefghijklmnopqrstuvwxyz", *at) || strncmp(at, "true", 4) == 0 || strncmp(at, "false", 5) == 0)
		return number_matches(at, v);
	OpCode c = term_op(at, &args);
	return v->def && v->def->code == c && match_args(args, c, v->def->in, v->def->nin, vars);
}

static Value *build_term(Builder *b, const char **p, const Type *type, const Vars *vars)
{
	const char *at = *p, *args;
	skip_term(p);
	if (is_var(at)) return vars->at[*at - 'a'];
	if (!strchr("abcdefghijklmnopqrstuvwxyz", *at) || strncmp(at, "true", 4) == 0 || strncmp(at, "false", 5) == 0)
		return ir_splat(b, type, scalar_to_double(rule_number(at, type->dtype)));
	OpCode c = term_op(at, &args);
	Value *in[3];
	for (int i = 0; i < op_row(c)->nin; i++) {
		in[i] = build_term(b, &args, type, vars);
		skip_comma(&args);
	}
	return ir_emit(b, c, in, op_row(c)->nin, NULL, 0);
}

static bool fold_by_rows(Builder *b, const OpView *v, Value **out)
{
	DType d = v->in[v->nin - 1]->type->dtype;
	for (int r = 0; r < nfold_rules; r++) {
		const RuleRow *row = &fold_rules[r];
		Vars vars = {0};
		if (row->op != v->code || (row->exactness == RULE_RELAXED && !b->m->fast_math) || !rule_takes(row, d)) continue;
		if (!match_args(row->args, v->code, v->in, v->nin, &vars)) continue;
		const Type *type[1];
		int n;
		const char *why, *p = row->becomes;
		if (!op_row(v->code)->infer(b->m, b->facts, v, type, &n, &why)) return false;
		*out = build_term(b, &p, type[0], &vars);
		return true;
	}
	return false;
}

/* --- constants --------------------------------------------------------------------------------------------------------- */
static bool static_size(const Type *t, int64_t *shape, int64_t limit)
{
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) {
		if (!dim_is_const(t->dim[i], &shape[i]) || shape[i] > limit) return false;
		n *= shape[i];
		if (n > limit) return false;
	}
	return true;
}

static bool static_attrs(const OpView *v)
{
	for (int i = 0; i < v->nattr; i++) {
		const Attr *a = &v->attrs[i];
		AttrKind k = attr_kind(a->key);
		if (k == AK_DIM && !dim_is_const(a->v.dim, &(int64_t){0})) return false;
		for (int j = 0; k == AK_DIMS && j < a->n; j++)
			if (!dim_is_const(a->v.dims[j], &(int64_t){0})) return false;
	}
	return true;
}

/* Broadcasts stay: a repeated value is smaller as what it is. */
static bool fold_constant(Builder *b, const OpView *v, Value **out, int nout)
{
	const OpRow *row = op_row(v->code);
	Tensor *in[8], *res[4];
	const Type *type[4];
	int64_t shape[MAX_RANK];
	int n;
	const char *why;
	int64_t limit = v->code == OP_transpose ? FOLD_MAX_MOVED : FOLD_MAX_ELEMENTS;
	if (v->nin == 0 || v->nin > 8 || nout > 4 || row->nout != nout || v->code == OP_broadcast || !row->eval || !static_attrs(v))
		return false;
	for (int i = 0; i < v->nin; i++) {
		const Tensor *t = value_const(v->in[i]);
		if (!t || tensor_size(t) > limit) return false;
		in[i] = (Tensor *)t;
	}
	if (!row->infer(b->m, b->facts, v, type, &n, &why) || n != nout) return false;
	for (int i = 0; i < n; i++)
		if (!static_size(type[i], shape, limit)) return false;
	Arena *scratch = arena_child(b->m->arena);
	OpView counted = *v;
	counted.nout = n;
	ir_eval_op(scratch, &counted, type, in, res);
	for (int i = 0; i < n; i++) out[i] = ir_const(b, res[i]);
	/* a leaf of baked weights stays known; another name is given by who uses the result */
	if (v->code == OP_transpose && v->in[0]->name && strchr(v->in[0]->name, '.') && !out[0]->name)
		out[0]->name = module_str(b->m, arena_printf(b->m->arena, "%s.T", v->in[0]->name));
	arena_free(scratch);
	return true;
}

/* --- broadcasts below element-wise ops ---------------------------------------------------------------------------------- */
static const Op *as_broadcast(const Value *v)
{
	return v->def && v->def->code == OP_broadcast ? v->def : NULL;
}

/* f(broadcast(x), broadcast(y)) -> broadcast(f(x, y)) where both repeat along the same axes; splats join either. */
static bool fold_sink_broadcast(Builder *b, const OpView *v, Value **out)
{
	const Op *lead = NULL;
	for (int i = 0; i < v->nin; i++) {
		const Op *o = as_broadcast(v->in[i]);
		if (!o) return false;
		if (!lead || o->in[0]->type->rank > lead->in[0]->type->rank) lead = o;
	}
	if (!lead) return false;
	const Attr *dims = op_attr(lead, AT_dims);
	Value *in[3];
	for (int i = 0; i < v->nin; i++) {
		const Op *o = as_broadcast(v->in[i]);
		Value *x = o->in[0];
		if (x->type->rank == 0) in[i] = ir_broadcast_scalar(b, x, lead->in[0]->type);
		else if (attr_equal(op_attr(o, AT_dims), dims) && type_same_shape(b->facts, x->type, lead->in[0]->type)) in[i] = x;
		else return false;
	}
	Value *inner = ir_emit(b, v->code, in, v->nin, v->attrs, v->nattr);
	*out = ir_broadcast(b, inner, lead->out[0]->type, dims->v.ints);
	return true;
}

bool fold_op(Builder *b, const OpView *v, Value **out, int nout)
{
	if (fold_constant(b, v, out, nout)) return true;
	if (!op_is_elementwise(v->code)) return fold_tensor(b, v, out);
	return fold_accumulate(b, v, out) || fold_by_rows(b, v, out) || fold_elementwise(b, v, out) || fold_sink_broadcast(b, v, out);
}
