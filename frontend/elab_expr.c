/* Expressions, left to right. What is known while compiling is computed; the rest becomes IR. */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

/* --- literals and collections --------------------------------------------------------------------------------------------- */

typedef struct Collector {
	VEC(Val) v;
	VEC(const char *) name;
} Collector;

static void put(Elab *e, Collector *c, const char *name, Val v)
{
	for (int i = 0; name && i < c->name.n; i++) {
		if (strcmp(c->name.at[i], name)) continue;
		c->v.at[i] = v; /* the later field wins */
		return;
	}
	VEC_PUSH(e->arena, c->v, v);
	if (name) VEC_PUSH(e->arena, c->name, name);
}

static void spread(Elab *e, Collector *c, Val v, bool record, Loc loc)
{
	if (record) {
		if (v.kind != V_RECORD) elab_fail(e, loc, "spread.record", "only a record can be spread into a record, not %s", val_describe(e, v));
		for (int i = 0; i < v.u.items->n; i++) put(e, c, v.u.items->name[i], v.u.items->at[i]);
		return;
	}
	Val *parts;
	int n;
	if (!elab_unpack(e, v, &parts, &n, loc)) elab_fail(e, loc, "spread.kind", "cannot spread %s", val_describe(e, v));
	for (int i = 0; i < n; i++) put(e, c, NULL, parts[i]);
}

static Val eval_items(Elab *e, const Expr *x)
{
	Collector c = {0};
	bool record = x->kind == EXPR_RECORD || x->kind == EXPR_RECORD_TYPE;
	for (int i = 0; i < x->u.items.n; i++) {
		const Item *it = x->u.items.at[i];
		Val v = elab_eval(e, it->value);
		if (it->kind == ITEM_SPREAD) spread(e, &c, v, record, it->loc);
		else put(e, &c, record ? it->name.text : NULL, v);
	}
	if (record) return val_record(e, c.name.at, c.v.at, c.v.n);
	return x->kind == EXPR_LIST ? val_list(e, c.v.at, c.v.n) : val_tuple(e, c.v.at, c.v.n);
}

bool elab_unpack(Elab *e, Val v, Val **parts, int *n, Loc loc)
{
	if (v.kind == V_TUPLE || v.kind == V_LIST) {
		*parts = (Val *)v.u.items->at, *n = v.u.items->n;
		return true;
	}
	int64_t len;
	if (v.kind == V_STACK && dim_is_const(v.u.stack->n, &len)) {
		*n = (int)len, *parts = NEW_ARRAY(e->arena, Val, len);
		for (int i = 0; i < *n; i++) (*parts)[i] = stack_row(e, v.u.stack, val_int(i), loc);
		return true;
	}
	if (v.kind == V_RANGE && v.u.range.lo->kind == V_INT && v.u.range.hi->kind == V_INT) {
		int64_t lo = v.u.range.lo->u.i, k = v.u.range.hi->u.i - lo;
		if (k > 1 << 20) elab_fail(e, loc, "unroll.size", "%lld values are too many to take apart", (long long)k);
		*n = k > 0 ? (int)k : 0, *parts = NEW_ARRAY(e->arena, Val, *n);
		for (int i = 0; i < *n; i++) (*parts)[i] = val_int(lo + i);
		return true;
	}
	if (v.kind != V_TENSOR || v.u.tensor->type->rank == 0 || !dim_is_const(v.u.tensor->type->dim[0], &len)) return false;
	if (len > 1 << 16) elab_fail(e, loc, "unroll.size", "%lld rows are too many to take apart", (long long)len);
	*n = (int)len, *parts = NEW_ARRAY(e->arena, Val, len);
	for (int i = 0; i < *n; i++) {
		Val idx = val_int(i);
		(*parts)[i] = elab_index(e, v.u.tensor, &idx, 1, loc);
	}
	return true;
}

static Val eval_int(Elab *e, const Expr *x)
{
	if (x->u.integer.too_big) elab_unwind(e);
	if (x->u.integer.value > INT64_MAX)
		elab_fail(e, x->loc, "number.overflow", "the integer %llu does not fit in 64 bits with a sign",
		          (unsigned long long)x->u.integer.value);
	return val_int((int64_t)x->u.integer.value);
}

static Val eval_name(Elab *e, const Expr *x)
{
	Val v;
	if (scope_find(e, x->u.name.text, x->loc, &v)) return v;
	if (e->frame && e->frame->types_open) return type_unknown_dim(e, x->u.name);
	scope_unknown(e, x->u.name);
}

static Val eval_lambda(Elab *e, const Expr *x)
{
	FnVal f = {.lambda = x, .file = e->frame->file, .captured = scope_capture(e, x)};
	if (e->frame->self) f.self = arena_copy(e->arena, &e->frame->self->v, sizeof(Val));
	return (Val){.kind = V_FN, .u.fn = arena_copy(e->arena, &f, sizeof f), .loc = x->loc};
}

static Val eval_range(Elab *e, const Expr *x)
{
	Val lo = elab_eval(e, x->u.range.lo), hi = elab_eval(e, x->u.range.hi);
	const Expr *at[2] = {x->u.range.lo, x->u.range.hi};
	Val v[2] = {lo, hi};
	for (int i = 0; i < 2; i++) {
		bool tensor = v[i].kind == V_TENSOR && v[i].u.tensor->type->rank == 0 && dtype_is_int(v[i].u.tensor->type->dtype);
		if (v[i].kind == V_INT || v[i].kind == V_DIM || tensor) continue;
		elab_fail(e, at[i]->loc, "range.kind", "the bounds of a range are integers, not %s", val_describe(e, v[i]));
	}
	Val r = {.kind = V_RANGE, .loc = x->loc};
	r.u.range.lo = arena_copy(e->arena, &lo, sizeof lo);
	r.u.range.hi = arena_copy(e->arena, &hi, sizeof hi);
	return r;
}

/* --- operators ------------------------------------------------------------------------------------------------------------ */

static Val eval_logic(Elab *e, const Expr *x)
{
	bool is_and = x->u.binary.op == B_AND, known;
	Val a = elab_eval(e, x->u.binary.a);
	if (val_truth(e, a, &known)) {
		if (known != is_and) return a;
		Val b = elab_eval(e, x->u.binary.b);
		if (b.kind != V_BOOL && b.kind != V_TENSOR && b.kind != V_LIST)
			elab_fail(e, x->u.binary.b->loc, "condition.kind", "`%s` takes bools, not %s", is_and ? "and" : "or", val_describe(e, b));
		return b;
	}
	if (a.kind != V_TENSOR && a.kind != V_LIST)
		elab_fail(e, x->u.binary.a->loc, "condition.kind", "`%s` takes bools, not %s", is_and ? "and" : "or", val_describe(e, a));
	Val b = elab_eval(e, x->u.binary.b);
	if (val_truth(e, b, &known)) {
		if (known == is_and) return a;
		if (a.kind == V_TENSOR && a.u.tensor->type->rank == 0) return b;
	}
	return elab_binary(e, x->u.binary.op, a, b, x->loc);
}

static Val eval_type_word(Elab *e, const Expr *x)
{
	static const char *const words[] = {"tuple", "list", "record", "tensor", "function"};
	Val v;
	if (x->kind == EXPR_NAME && !scope_find(e, x->u.name.text, x->loc, &v)) {
		for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
			if (!strcmp(words[i], x->u.name.text)) return val_str(e, words[i]);
		}
	}
	return elab_eval(e, x);
}

static Val eval_compare(Elab *e, const Expr *x)
{
	Val a = elab_eval(e, x->u.compare.operand[0]), all = val_none();
	a.loc = x->u.compare.operand[0]->loc;
	for (int i = 0; i < x->u.compare.n; i++) {
		CmpOp op = x->u.compare.op[i];
		const Expr *bx = x->u.compare.operand[i + 1];
		Val b = op == C_IS || op == C_IS_NOT ? eval_type_word(e, bx) : elab_eval(e, bx);
		b.loc = bx->loc;
		Val r = elab_compare(e, op, a, b, x->u.compare.n == 1 ? x->loc : bx->loc);
		if (r.kind == V_BOOL && !r.u.b && i + 1 < x->u.compare.n) return r;
		if (all.kind == V_NONE || (all.kind == V_BOOL && all.u.b)) all = r;
		else if (r.kind == V_BOOL) all = r.u.b ? all : r;
		else all = elab_binary(e, B_AND, all, r, x->loc);
		a = b;
	}
	return all;
}

int elab_condition(Elab *e, const Expr *x, Value **run_time)
{
	Val v = elab_eval(e, x);
	bool known;
	if (val_truth(e, v, &known)) return known;
	if (v.kind == V_TENSOR) {
		const Type *t = v.u.tensor->type;
		if (t->rank > 0)
			elab_fail_help(e, x->loc, "condition.shape",
			               "choose element by element with `where(c, a, b)`, or reduce with `any(c)` or `all(c)`",
			               "a condition is one bool, not %s", type_str(e->arena, t));
		if (t->dtype != DT_bool)
			elab_fail_help(e, x->loc, "condition.kind", arena_printf(e->arena, "write `%s != 0`", elab_source(e, x->loc)),
			               "a condition is a bool, not %s", type_str(e->arena, t));
		*run_time = v.u.tensor;
		return -1;
	}
	if (val_is_number(v) || v.kind == V_DIM)
		elab_fail_help(e, x->loc, "condition.kind", arena_printf(e->arena, "write `%s != 0`", elab_source(e, x->loc)),
		               "a condition is a bool, not %s", val_describe(e, v));
	if (v.kind == V_NONE || val_is_tree(v) || v.kind == V_STR)
		elab_fail_help(e, x->loc, "condition.kind", "compare with `is none`, or ask `len(…) > 0`", "a condition is a bool, not %s",
		               val_describe(e, v));
	elab_fail(e, x->loc, "condition.kind", "a condition is a bool, not %s", val_describe(e, v));
}

static Val cond_arm(Elab *e, void *ctx, int arm)
{
	const Expr *x = ctx;
	return elab_eval(e, arm ? x->u.cond.b : x->u.cond.a);
}

static Val eval_cond(Elab *e, const Expr *x)
{
	Value *c = NULL;
	int known = elab_condition(e, x->u.cond.cond, &c);
	if (known >= 0) return elab_eval(e, known ? x->u.cond.a : x->u.cond.b);
	return elab_branch(e, c, x->loc, cond_arm, (void *)x, true);
}

/* --- indexing ------------------------------------------------------------------------------------------------------------- */

static const Val *eval_part(Elab *e, const Expr *x)
{
	if (!x) return NULL;
	Val v = elab_eval(e, x);
	v.loc = x->loc;
	return arena_copy(e->arena, &v, sizeof v);
}

int elab_indices(Elab *e, const IndexList *list, Val *out)
{
	if (list->n > MAX_RANK + 2 && list->n > 0) elab_fail(e, list->at[0]->loc, "index.count", "%d indices are too many", list->n);
	for (int i = 0; i < list->n; i++) {
		const Index *x = list->at[i];
		switch (x->kind) {
		case INDEX_ELLIPSIS: out[i] = (Val){.kind = V_ELLIPSIS}; break;
		case INDEX_EXPR: out[i] = elab_eval(e, x->expr); break;
		case INDEX_SLICE:
			out[i] = (Val){.kind = V_SLICE};
			out[i].u.range.lo = eval_part(e, x->lo);
			out[i].u.range.hi = eval_part(e, x->hi);
			out[i].u.range.step = eval_part(e, x->step);
			break;
		}
		out[i].loc = x->loc;
	}
	return list->n;
}

static int64_t slice_bound(Elab *e, const Val *v, int64_t n, int64_t otherwise, int64_t lo, int64_t hi)
{
	if (!v || v->kind == V_NONE) return otherwise;
	int64_t i = elab_int(e, *v, v->loc, "the bound of a slice");
	if (i < 0) i += n;
	return i < lo ? lo : i > hi ? hi : i;
}

static Val slice_items(Elab *e, Val base, const Val *s)
{
	int64_t n = base.u.items->n, step = s->u.range.step ? elab_int(e, *s->u.range.step, s->loc, "the step of a slice") : 1;
	if (step == 0) elab_fail(e, s->loc, "index.step", "the step of a slice is 0");
	int64_t lo = slice_bound(e, s->u.range.lo, n, step > 0 ? 0 : n - 1, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
	int64_t hi = slice_bound(e, s->u.range.hi, n, step > 0 ? n : -1, step > 0 ? 0 : -1, step > 0 ? n : n - 1);
	VEC(Val) v = {0};
	for (int64_t i = lo; step > 0 ? i < hi : i > hi; i += step) VEC_PUSH(e->arena, v, base.u.items->at[i]);
	return base.kind == V_LIST ? val_list(e, v.at, v.n) : val_tuple(e, v.at, v.n);
}

static Val index_items(Elab *e, Val base, const Val *idx, int n, Loc loc)
{
	Val i = idx[0];
	bool more = n > 1 || i.kind == V_TENSOR || i.kind == V_LIST || i.kind == V_NONE || i.kind == V_ELLIPSIS || i.kind == V_DIM;
	if (base.kind == V_LIST && more) return elab_index(e, elab_tensor(e, base, NULL, loc, "the indexed list"), idx, n, loc);
	if (n > 1) elab_fail(e, loc, "index.tuple", "a tuple takes one index, not %d", n);
	if (i.kind == V_SLICE) return slice_items(e, base, &i);
	if (i.kind == V_TENSOR)
		elab_fail_help(e, loc, "index.run_time", "unlike things cannot be chosen at run time; like modules make an array, `Block(D)[n]`",
		               "the index of a tuple must be known while compiling");
	int64_t k = elab_int(e, i, i.loc.file ? i.loc : loc, "the index of a tuple");
	int64_t len = base.u.items->n, at = k < 0 ? k + len : k;
	if (at < 0 || at >= len)
		elab_fail(e, loc, "index.range", "index %lld is out of range for a %s of %lld", (long long)k,
		          base.kind == V_LIST ? "list" : "tuple", (long long)len);
	return base.u.items->at[at];
}

static Val index_record(Elab *e, Val base, const Val *idx, int n, Loc loc)
{
	if (n == 1 && idx[0].kind == V_STR) {
		const char *name = elab_str(e, idx[0], loc, "a field");
		int k = items_find(base.u.items, name);
		if (k >= 0) return base.u.items->at[k];
		const char *near = diag_suggest(name, base.u.items->name, base.u.items->n);
		if (near)
			elab_fail_help(e, loc, "member.unknown", arena_printf(e->arena, "did you mean `%s`?", near), "the record has no field `%s`",
			               name);
		elab_fail(e, loc, "member.unknown", "the record has no field `%s`", name);
	}
	if (n == 1 && val_module_is_description(base)) return module_stack_of(e, base, elab_dim(e, idx[0], loc, "the length of an array"), loc);
	elab_fail(e, loc, "index.record", "a record is indexed by the name of a field");
}

static Val slice_stack_leaf(Elab *e, void *ctx, Val v)
{
	return v.kind == V_TENSOR ? elab_index(e, v.u.tensor, ctx, 1, ((Val *)ctx)->loc) : v;
}

static Val index_stack(Elab *e, Val base, const Val *idx, int n, Loc loc)
{
	if (n != 1) elab_fail(e, loc, "index.array", "an array of modules takes one index, not %d", n);
	if (idx[0].kind == V_SLICE) {
		Val elem = val_map(e, base.u.stack->elem, slice_stack_leaf, (void *)idx);
		Value **leaf;
		if (!tree_tensors(e, elem, &leaf)) elab_fail(e, loc, "index.array", "cannot slice %s", val_describe(e, base));
		return val_stack(e, elem, leaf[0]->type->dim[0]);
	}
	return stack_row(e, base.u.stack, idx[0], loc);
}

Val elab_index_val(Elab *e, Val base, const Val *idx, int n, Loc loc)
{
	if (loc.file) e->b.loc = loc;
	if (n == 0) elab_fail(e, loc, "index.empty", "an index is missing");
	switch (base.kind) {
	case V_TENSOR: return elab_index(e, elab_here(e, base).u.tensor, idx, n, loc);
	case V_DTYPE:
	case V_TYPE:
		if (base.kind == V_TYPE && !base.u.type->dtype_var)
			return module_stack_of(e, base, elab_dim(e, idx[0], loc, "the length of an array"), loc);
		return type_shaped(e, base, idx, n, loc);
	case V_LIST:
	case V_TUPLE: return index_items(e, base, idx, n, loc);
	case V_RECORD: return index_record(e, base, idx, n, loc);
	case V_STACK: return index_stack(e, base, idx, n, loc);
	case V_MODULE:
		if (n != 1) elab_fail(e, loc, "index.array", "an array of modules has one length");
		return module_stack_of(e, base, elab_dim(e, idx[0], loc, "the length of an array"), loc);
	case V_MODULE_DECL:
		elab_fail_help(e, loc, "index.module", arena_printf(e->arena, "write `%s(…)[…]`", base.u.decl->decl->name.text),
		               "the module `%s` needs its arguments", base.u.decl->decl->name.text);
	case V_STR: {
		int64_t k = elab_int(e, idx[0], loc, "the index of a string"), len = (int64_t)base.u.str.n;
		if (k < 0) k += len;
		if (k < 0 || k >= len)
			elab_fail(e, loc, "index.range", "index %lld is out of range for a string of %lld bytes", (long long)idx[0].u.i,
			          (long long)len);
		return val_str(e, arena_strndup(e->arena, base.u.str.at + k, 1));
	}
	default: elab_fail(e, loc, "index.kind", "%s cannot be indexed", val_describe(e, base));
	}
}

/* --- members -------------------------------------------------------------------------------------------------------------- */

static Val shape_tuple(Elab *e, int rank, const Dim *dims)
{
	Val *v = NEW_ARRAY(e->arena, Val, rank);
	for (int i = 0; i < rank; i++) v[i] = val_dim(e, dims[i]);
	return val_tuple(e, v, rank);
}

static bool attribute(Elab *e, Val base, const char *name, Loc loc, Val *out)
{
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	static const char *const names[] = {"shape", "dtype", "ndim", "size", "T", "itemsize", "nbytes"};
	int k = 0, count = (int)(sizeof names / sizeof *names);
	while (k < count && strcmp(names[k], name)) k++;
	if (k == count) return false;
	if (base.kind == V_LIST || val_is_weak(base)) base = val_tensor(elab_tensor(e, base, NULL, loc, "the value"));
	if (!val_shape(e, base, &d, &rank, dims)) return false;
	if (k == 0) return *out = shape_tuple(e, rank, dims), true;
	if (k == 1) return *out = val_dtype(d), true;
	if (k == 2) return *out = val_int(rank), true;
	if (k == 4 && base.kind == V_TENSOR) {
		int64_t perm[MAX_RANK];
		for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
		e->b.loc = loc;
		*out = val_tensor(rank < 2 ? base.u.tensor : ir_transpose(&e->b, base.u.tensor, perm));
		return true;
	}
	if (k == 5) return *out = val_int(dtype_bytes(d)), true;
	if (k == 4) return false;
	*out = val_int(k == 6 ? dtype_bytes(d) : 1);
	for (int i = 0; i < rank; i++) *out = elab_binary(e, B_MUL, *out, val_dim(e, dims[i]), loc);
	return true;
}

bool elab_find_member(Elab *e, Val base, Name name, Val *out)
{
	if (base.kind == V_NAMESPACE) return *out = scope_member(e, base.u.scope, name, true), true;
	if (base.kind == V_MODULE && module_lookup(e, base, name.text, out)) return true;
	if (base.kind == V_RECORD) {
		int k = items_find(base.u.items, name.text);
		if (k >= 0) return *out = base.u.items->at[k], true;
	}
	return attribute(e, base, name.text, name.loc, out);
}

static _Noreturn void no_member(Elab *e, Val base, Name name)
{
	VEC(const char *) c = {0};
	if (base.kind == V_RECORD) {
		for (int i = 0; i < base.u.items->n; i++) VEC_PUSH(e->arena, c, base.u.items->name[i]);
	}
	if (base.kind == V_MODULE) {
		for (int i = 0; i < base.u.module->n; i++) VEC_PUSH(e->arena, c, base.u.module->members[i].name);
		const Decl *d = base.u.module->decl->decl;
		for (int i = 0; i < d->u.module.n; i++) {
			if (d->u.module.members[i]->kind == MEMBER_FN && d->u.module.members[i]->fn->name.text)
				VEC_PUSH(e->arena, c, d->u.module.members[i]->fn->name.text);
		}
	}
	const char *what = base.kind == V_MODULE ? arena_printf(e->arena, "`%s`", base.u.module->name) : val_describe(e, base);
	const char *near = diag_suggest(name.text, c.at, c.n);
	Val f;
	bool prelude = scope_prelude(e, name.text, &f);
	if (!near && !prelude && base.kind == V_TENSOR) near = scope_prelude_near(e, name.text); /* x.f(a) is f(x, a) */
	if (near)
		elab_fail_help(e, name.loc, "member.unknown", arena_printf(e->arena, "did you mean `%s`?", near), "%s has no member `%s`", what,
		               name.text);
	if (base.kind == V_MODULE_DECL)
		elab_fail_help(e, name.loc, "member.unknown", arena_printf(e->arena, "write `%s(…).%s`", base.u.decl->decl->name.text, name.text),
		               "the module `%s` needs its arguments", base.u.decl->decl->name.text);
	if (prelude && elab_is_callable(f))
		elab_fail_help(e, name.loc, "member.function", arena_printf(e->arena, "call it: `.%s(…)`", name.text),
		               "`%s` is a function of the prelude, not a member of %s", name.text, what);
	elab_fail(e, name.loc, "member.unknown", "%s has no member `%s`", what, name.text);
}

Val elab_member(Elab *e, Val base, Name name)
{
	Val v;
	if (elab_find_member(e, base, name, &v)) return v;
	no_member(e, base, name);
}

/* On its own so that the array is not on the stack of every level of an expression. */
static Val eval_index(Elab *e, const Expr *x)
{
	Val base = elab_eval(e, x->u.index.base), idx[MAX_RANK + 3];
	int n = elab_indices(e, &x->u.index.index, idx);
	return elab_index_val(e, base, idx, n, x->loc);
}

Val elab_eval(Elab *e, const Expr *x)
{
	Loc saved = e->b.loc;
	Val v;
	e->b.loc = x->loc;
	switch (x->kind) {
	case EXPR_NAME: v = eval_name(e, x); break;
	case EXPR_INT: v = eval_int(e, x); break;
	case EXPR_FLOAT: v = val_float(x->u.number); break;
	case EXPR_IMAG: v = (Val){.kind = V_COMPLEX, .u.c = {0, x->u.number}}; break;
	case EXPR_STR:
		v = (Val){.kind = V_STR};
		v.u.str.at = x->u.str.text, v.u.str.n = x->u.str.n;
		break;
	case EXPR_TRUE: v = val_bool(true); break;
	case EXPR_FALSE: v = val_bool(false); break;
	case EXPR_NONE: v = val_none(); break;
	case EXPR_TUPLE:
	case EXPR_RECORD:
	case EXPR_RECORD_TYPE:
	case EXPR_LIST: v = eval_items(e, x); break;
	case EXPR_UNARY: v = elab_eval(e, x->u.unary.a), v = elab_unary(e, x->u.unary.op, v, x->loc); break;
	case EXPR_BINARY: {
		if (x->u.binary.op == B_AND || x->u.binary.op == B_OR) {
			v = eval_logic(e, x);
			break;
		}
		Val a = elab_eval(e, x->u.binary.a), b = elab_eval(e, x->u.binary.b);
		a.loc = x->u.binary.a->loc, b.loc = x->u.binary.b->loc;
		v = elab_binary(e, x->u.binary.op, a, b, x->loc);
		break;
	}
	case EXPR_COMPARE: v = eval_compare(e, x); break;
	case EXPR_IF: v = eval_cond(e, x); break;
	case EXPR_RANGE: v = eval_range(e, x); break;
	case EXPR_LAMBDA: v = eval_lambda(e, x); break;
	case EXPR_CALL: v = elab_call_expr(e, x); break;
	case EXPR_INDEX: v = eval_index(e, x); break;
	case EXPR_MEMBER: v = elab_eval(e, x->u.member.base), v = elab_member(e, v, x->u.member.name); break;
	default: v = val_none(); break;
	}
	e->b.loc = saved;
	v.loc = x->loc;
	return v;
}
