/* The op and attribute tables as data: ops.def and attrs.def included once each with the columns that the compiler asks for.
 *
 * The attribute lists and nothing else are texts in ops.def ("axes nb oob unique?"); they are split when the program starts, before
 * main, and the table does not change after that. A tensor row without its infer_NAME or eval_NAME does not link.
 */
#include <assert.h>
#include <string.h>
#include "optable.h"

enum {
	COMMUTES = OPF_COMMUTES,
	CHEAP = OPF_CHEAP,
	VIEW = OPF_VIEW,
	EFFECT = OPF_EFFECT,
	REGION = OPF_REGION,
	OWN_JVP = OPF_OWN_JVP,
	OPAQUE = OPF_OPAQUE,
};

#define ELEM(...)
#define TENSOR(name, ...)                                                                                                                  \
	bool infer_##name(Module *m, const DimFacts *f, const OpView *v, const Type **type, int *n, const char **why);                         \
	void eval_##name(Arena *scratch, const OpView *v, Tensor *const *in, Tensor *const *out);
#include "ops.def"
#undef ELEM
#undef TENSOR

/* Attribute columns, split from their text by the constructor below. */
typedef struct AttrList {
	const char *text;
	int row;
} AttrList;

static OpRow table[OP_COUNT] = {
#define ELEM(nm, arity, operands, result, F, I, B, C, pa, pb, pc, ln, zr, fl, dc)                                                          \
	[OP_##nm] = {.name = #nm,                                                                                                              \
	             .doc = dc,                                                                                                                \
	             .elementwise = true,                                                                                                      \
	             .nin = arity,                                                                                                             \
	             .nout = 1,                                                                                                                \
	             .takes = OC_##operands,                                                                                                   \
	             .gives = RC_##result,                                                                                                     \
	             .expr_float = F,                                                                                                          \
	             .expr_int = I,                                                                                                            \
	             .expr_bool = B,                                                                                                           \
	             .expr_complex = C,                                                                                                        \
	             .partial = {pa, pb, pc},                                                                                                  \
	             .lin = ln,                                                                                                                \
	             .zero = ZERO_##zr,                                                                                                        \
	             .flags = fl,                                                                                                              \
	             .infer = infer_elementwise,                                                                                               \
	             .eval = eval_elementwise},
#define TENSOR(nm, ni, no, at, ln, zr, fl, dc)                                                                                             \
	[OP_##nm] = {.name = #nm,                                                                                                              \
	             .doc = dc,                                                                                                                \
	             .nin = ni,                                                                                                                \
	             .nout = no,                                                                                                               \
	             .lin = ln,                                                                                                                \
	             .zero = ZERO_##zr,                                                                                                        \
	             .flags = fl,                                                                                                              \
	             .infer = ((fl)&OPF_REGION) ? NULL : infer_##nm,                                                                           \
	             .eval = ((fl) & (OPF_REGION | OPF_EFFECT)) ? NULL : eval_##nm},
#include "ops.def"
#undef ELEM
#undef TENSOR
};

static const AttrList attr_lists[] = {
#define ELEM(nm, arity, operands, result, ...) {RC_##result == RC_DTYPE ? "dtype" : "", OP_##nm},
#define TENSOR(nm, ni, no, at, ...) {at, OP_##nm},
#include "ops.def"
#undef ELEM
#undef TENSOR
};

static const struct AttrRow {
	const char *name;
	AttrKind kind;
	const char *doc;
} attr_table[AT_COUNT] = {
#define ATTR(nm, kd, dc) [AT_##nm] = {#nm, AK_##kd, dc},
#include "attrs.def"
#undef ATTR
};

static AttrKey attr_key_of(const char *s, size_t n)
{
	for (int k = 0; k < AT_COUNT; k++)
		if (strlen(attr_table[k].name) == n && memcmp(attr_table[k].name, s, n) == 0) return (AttrKey)k;
	assert(!"ops.def names an attribute that attrs.def lacks");
	return AT_COUNT;
}

static void split_attrs(OpRow *row, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " ");
		bool optional = s[n - 1] == '?';
		assert(row->nattr < (int)(sizeof row->attr / sizeof *row->attr));
		row->attr[row->nattr] = attr_key_of(s, n - optional);
		row->optional[row->nattr++] = optional;
		s += n + strspn(s + n, " ");
	}
}

__attribute__((constructor)) static void optable_split(void)
{
	for (size_t k = 0; k < sizeof attr_lists / sizeof *attr_lists; k++) split_attrs(&table[attr_lists[k].row], attr_lists[k].text);
}

const OpRow *op_row(OpCode c)
{
	assert((unsigned)c < OP_COUNT);
	return &table[c];
}

bool op_find(const char *name, OpCode *out)
{
	for (int c = 0; c < OP_COUNT; c++)
		if (strcmp(table[c].name, name) == 0) return *out = (OpCode)c, true;
	return false;
}

bool op_is_elementwise(OpCode c)
{
	return op_row(c)->elementwise;
}

bool class_takes(OperandClass c, DType d)
{
	switch (c) {
	case OC_ALL: return true;
	case OC_NUM: return d != DT_bool;
	case OC_FLT: return dtype_is_float(d);
	case OC_INX: return dtype_is_diff(d);
	case OC_INTB: return d == DT_bool || dtype_is_int(d);
	case OC_INT: return dtype_is_int(d);
	case OC_REAL: return d != DT_c64;
	case OC_CPX: return d == DT_c64;
	}
	return false;
}

/* `complex` makes c64, whose parts are f32: the only dtype for which its result class exists. */
bool op_takes(OpCode c, DType d)
{
	const OpRow *row = op_row(c);
	return class_takes(row->takes, d) && (row->gives != RC_CPLX || d == DT_f32);
}

int op_lin_group(const OpRow *row, int nin, int k)
{
	int n = (int)strlen(row->lin);
	if (n == 0 || k >= nin) return 0;
	if (row->lin[n - 1] == '*') {
		n--;
		return row->lin[k < n ? k : n - 1] - '0';
	}
	return k < n ? row->lin[k] - '0' : 0;
}

const char *attr_name(AttrKey k)
{
	return attr_table[k].name;
}
AttrKind attr_kind(AttrKey k)
{
	return attr_table[k].kind;
}

bool attr_find(const char *name, AttrKey *out)
{
	for (int k = 0; k < AT_COUNT; k++)
		if (strcmp(attr_table[k].name, name) == 0) return *out = (AttrKey)k, true;
	return false;
}

static bool tensor_same(const Tensor *a, const Tensor *b)
{
	if (a == b) return true;
	if (a->dtype != b->dtype || a->rank != b->rank || memcmp(a->shape, b->shape, sizeof(int64_t) * (size_t)a->rank) != 0) return false;
	return memcmp(a->data, b->data, tensor_bytes(a)) == 0;
}

bool attr_equal(const Attr *a, const Attr *b)
{
	if (a->key != b->key) return false;
	switch (attr_kind(a->key)) {
	case AK_INT:
	case AK_BOOL: return a->v.i == b->v.i;
	case AK_INTS: return a->n == b->n && (a->n == 0 || memcmp(a->v.ints, b->v.ints, sizeof(int64_t) * (size_t)a->n) == 0);
	case AK_DIM: return a->v.dim == b->v.dim;
	case AK_DIMS: return a->n == b->n && (a->n == 0 || memcmp(a->v.dims, b->v.dims, sizeof(Dim) * (size_t)a->n) == 0);
	case AK_DTYPE: return a->v.dtype == b->v.dtype;
	case AK_STR: return a->v.str == b->v.str || strcmp(a->v.str, b->v.str) == 0;
	case AK_FUNC: return a->v.func == b->v.func;
	case AK_TENSOR: return tensor_same(a->v.tensor, b->v.tensor);
	}
	return false;
}

const Attr *view_attr(const OpView *v, AttrKey k)
{
	for (int i = 0; i < v->nattr; i++)
		if (v->attrs[i].key == k) return &v->attrs[i];
	return NULL;
}

const Attr *op_attr(const Op *op, AttrKey k)
{
	for (int i = 0; i < op->nattr; i++)
		if (op->attrs[i].key == k) return &op->attrs[i];
	return NULL;
}

int64_t op_int(const Op *op, AttrKey k, int64_t otherwise)
{
	const Attr *a = op_attr(op, k);
	return a ? a->v.i : otherwise;
}

bool op_bool(const Op *op, AttrKey k)
{
	return op_int(op, k, 0) != 0;
}

const char *op_str(const Op *op, AttrKey k)
{
	const Attr *a = op_attr(op, k);
	return a ? a->v.str : NULL;
}

/* --- type inference shared by all element-wise rows --------------------------------------------------------------- */
static const char *class_words(OperandClass c)
{
	static const char *const words[] = {
	    [OC_ALL] = "any dtype",
	    [OC_NUM] = "a number dtype (not bool)",
	    [OC_FLT] = "a real float dtype",
	    [OC_INX] = "a float or complex dtype",
	    [OC_INTB] = "an integer dtype or bool",
	    [OC_INT] = "an integer dtype",
	    [OC_REAL] = "a real dtype",
	    [OC_CPX] = "a complex dtype",
	};
	return words[c];
}

static DType result_dtype(const OpRow *row, DType operand, const Attr *want)
{
	switch (row->gives) {
	case RC_SAME: return operand;
	case RC_BOOL: return DT_bool;
	case RC_ABSOF: return operand == DT_c64 ? DT_f32 : operand;
	case RC_DTYPE: return want->v.dtype;
	case RC_CPLX: return DT_c64;
	}
	return operand;
}

bool type_same_shape(const DimFacts *f, const Type *a, const Type *b)
{
	if (a->rank != b->rank) return false;
	for (int i = 0; i < a->rank; i++)
		if (a->dim[i] != b->dim[i] && !dim_provable_equal(f, a->dim[i], b->dim[i])) return false;
	return true;
}

/* All operands have one shape; all but a leading bool predicate (three operands: p, a, b) have one dtype. */
bool infer_elementwise(Module *m, const DimFacts *f, const OpView *v, const Type **type, int *n, const char **why)
{
	const OpRow *row = op_row(v->code);
	int lead = row->nin == 3 ? 1 : 0;
	if (v->nin != row->nin) return *why = arena_printf(m->arena, "`%s` takes %d operands, not %d", row->name, row->nin, v->nin), false;
	const Type *t = v->in[lead]->type;
	for (int k = 0; k < v->nin; k++) {
		const Type *o = v->in[k]->type;
		if (k < lead && o->dtype != DT_bool)
			return *why = arena_printf(m->arena, "operand 0 of `%s` must be bool, not %s", row->name, type_str(m->arena, o)), false;
		if (k >= lead && o->dtype != t->dtype)
			return *why = arena_printf(m->arena, "operand dtypes of `%s` differ: %s and %s", row->name, dtype_name(t->dtype),
			                           dtype_name(o->dtype)),
			       false;
		if (!type_same_shape(f, t, o))
			return *why = arena_printf(m->arena, "operand shapes of `%s` differ: %s and %s", row->name, type_str(m->arena, t),
			                           type_str(m->arena, o)),
			       false;
	}
	if (!op_takes(v->code, t->dtype))
		return *why = arena_printf(m->arena, "`%s` takes %s, not %s", row->name, row->gives == RC_CPLX ? "f32" : class_words(row->takes),
		                           dtype_name(t->dtype)),
		       false;
	const Attr *want = view_attr(v, AT_dtype);
	if (row->gives == RC_DTYPE && !want) return *why = arena_printf(m->arena, "`%s` needs the attribute dtype", row->name), false;
	type[0] = type_with_dtype(m, t, result_dtype(row, t->dtype, want));
	*n = 1;
	return true;
}
