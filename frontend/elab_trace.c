/* Tracing a call into an IR function of its own: for the transforms, checkpoint, and composite functions, which stay calls in the IR.
 *
 * Tensors of the arguments become parameters. Outer tensors that the body uses by capture become parameters behind them, except those that
 * need no operands (constants, dimensions), which are made anew inside.
 */
#include "elab_core.h"
#include <string.h>

/* --- tensors of a tree ---------------------------------------------------------------------------------------------------------- */

typedef struct Tensors {
	VEC(Value *) list;
} Tensors;

static Val collect_leaf(Elab *e, void *ctx, Val v)
{
	Tensors *t = ctx;
	if (v.kind == V_TENSOR) VEC_PUSH(e->arena, t->list, v.u.tensor);
	return v;
}

int tree_tensors(Elab *e, Val tree, Value ***out)
{
	Tensors t = {0};
	val_map(e, tree, collect_leaf, &t);
	*out = t.list.at;
	return t.list.n;
}

typedef struct Feed {
	Value *const *v;
	int at;
} Feed;

static Val feed_leaf(Elab *e, void *ctx, Val v)
{
	Feed *f = ctx;
	if (v.kind != V_TENSOR) return v;
	Val r = val_tensor(f->v[f->at++]);
	r.loc = v.loc;
	return r;
}

Val tree_with_tensors(Elab *e, Val tree, Value *const *v)
{
	Feed f = {v, 0};
	return val_map(e, tree, feed_leaf, &f);
}

/* --- arguments to parameters ------------------------------------------------------------------------------------------------------ */

typedef struct ArgJob {
	Func *f;
	bool diff;
	int arg, leaf;
	VEC(Value *) outer;
	VEC(int) arg_of;
	VEC(int) leaf_of;
	Loc loc;
} ArgJob;

/* Numbers of a differentiated argument as tensors, in the caller's block. */
static Val number_leaf(Elab *e, void *ctx, Val v)
{
	ArgJob *j = ctx;
	if (!j->diff || !val_is_weak(v) || (v.kind == V_TENSOR && !v.weak)) return v;
	DType d = v.kind == V_COMPLEX ? DT_c64 : DT_f32;
	return val_tensor(ir_convert(&e->b, elab_tensor(e, v, &d, j->loc, "a differentiated argument"), d));
}

static Val param_leaf(Elab *e, void *ctx, Val v)
{
	ArgJob *j = ctx;
	int leaf = j->leaf++;
	if (v.kind != V_TENSOR) return v;
	VEC_PUSH(e->arena, j->outer, v.u.tensor);
	VEC_PUSH(e->arena, j->arg_of, j->arg);
	VEC_PUSH(e->arena, j->leaf_of, leaf);
	Val p = val_tensor(func_param(j->f, v.u.tensor->type, v.u.tensor->name));
	p.weak = v.weak;
	p.loc = v.loc;
	return p;
}

/* --- results and captures --------------------------------------------------------------------------------------------------------- */

static Val result_leaf(Elab *e, void *ctx, Val v)
{
	if (val_is_weak(v) || v.kind == V_LIST) return val_tensor(elab_tensor(e, v, NULL, *(Loc *)ctx, "a result"));
	return v;
}

/* An op without operands is as good inside as outside. */
static Value *inside_copy(Elab *e, Func *f, Value *v)
{
	Op *d = v->def;
	if (!d || d->nin || d->nregion || d->nout != 1) return NULL;
	Builder b = builder_at(f);
	b.facts = e->facts;
	b.loc = d->loc;
	Value *c = ir_emit(&b, d->code, NULL, 0, d->attrs, d->nattr);
	if (!c->def || c->block != f->body) return NULL;
	if (c->def != f->body->first) {
		op_unlink(c->def);
		op_insert_before(c->def, f->body->first);
	}
	return c;
}

static void capture(Elab *e, Func *f, Traced *t, Value ***args, int n)
{
	Value **free_values;
	int nfree;
	block_free_values(e->arena, f->body, &free_values, &nfree);
	Value **all = NEW_ARRAY(e->arena, Value *, n + nfree);
	memcpy(all, *args, sizeof(Value *) * (size_t)n);
	for (int i = 0; i < nfree; i++) {
		Value *v = free_values[i], *in = inside_copy(e, f, v);
		if (!in) {
			in = func_param(f, v->type, v->name);
			all[n + t->ncaptured++] = v;
		}
		block_replace_uses(f->body, v, in);
		for (int k = 0; k < f->body->nresult; k++) {
			if (f->body->result[k] == v) f->body->result[k] = in;
		}
	}
	*args = all;
}

typedef Val (*TraceCall)(Elab *e, void *ctx, CallArgs *a);

static Traced trace(Elab *e, TraceCall call, void *ctx, const CallArgs *a, const bool *diff, const char *name, Loc loc)
{
	Traced t = {0};
	int n = a->n + a->nnamed;
	ArgJob j = {.loc = loc};
	Val *given = NEW_ARRAY(e->arena, Val, n);
	for (int i = 0; i < n; i++) {
		j.diff = diff && diff[i];
		given[i] = val_map(e, elab_here(e, i < a->n ? a->at[i] : a->named[i - a->n]), number_leaf, &j);
	}
	t.arg = given, t.narg = n;
	Func *f = j.f = func_new(e->m, name);
	f->facts = e->facts;
	f->loc = loc;
	Val *inner = NEW_ARRAY(e->arena, Val, n);
	for (int i = 0; i < n; i++) {
		j.arg = i, j.leaf = 0;
		inner[i] = val_map(e, given[i], param_leaf, &j);
	}
	Context saved = context_save(e);
	context_enter_func(e, f);
	e->b.loc = loc;
	CallArgs in = *a;
	in.at = inner, in.named = inner + a->n;
	in.inout_out = NEW_ARRAY(e->arena, Val, n);
	t.result = val_map(e, call(e, ctx, &in), result_leaf, &loc);
	t.result = elab_here(e, t.result);
	Value **out, **all;
	t.nresult = tree_tensors(e, t.result, &out);
	VEC(Value *) results = {0};
	for (int i = 0; i < t.nresult; i++) VEC_PUSH(e->arena, results, out[i]);
	t.inout_result = NEW_ARRAY(e->arena, Val, n);
	for (int i = 0; a->inout && i < n; i++) {
		if (!a->inout[i]) continue;
		Val v = elab_here(e, val_map(e, in.inout_out[i], result_leaf, &loc));
		t.inout_result[t.ninout++] = v;
		int k = tree_tensors(e, v, &out);
		for (int r = 0; r < k; r++) VEC_PUSH(e->arena, results, out[r]);
	}
	func_set_results(f, results.at, results.n);
	all = j.outer.at;
	capture(e, f, &t, &all, j.outer.n);
	Context after = context_save(e);
	saved.facts_open = after.facts_open;
	context_restore(e, &saved);
	t.func = f;
	t.args = all;
	t.nargs = j.outer.n + t.ncaptured;
	t.arg_of = j.arg_of.at;
	t.leaf_of = j.leaf_of.at;
	return t;
}

static Val call_value(Elab *e, void *ctx, CallArgs *a)
{
	return elab_call_args(e, *(Val *)ctx, a);
}

Traced elab_trace(Elab *e, Val fn, const CallArgs *a, const bool *diff, const char *name, Loc loc)
{
	return trace(e, call_value, &fn, a, diff, name && *name ? name : "fn", loc);
}

Val traced_result(Elab *e, const Traced *t, Value *const *v)
{
	return tree_with_tensors(e, t->result, v);
}

void traced_store_inout(Elab *e, const Traced *t, CallArgs *a, Value *const *v)
{
	int k = 0, n = a->n + a->nnamed;
	for (int i = 0; a->inout && i < n; i++) {
		if (!a->inout[i]) continue;
		Value **unused;
		Val tree = t->inout_result[k++];
		int count = tree_tensors(e, tree, &unused);
		if (a->inout_out) a->inout_out[i] = tree_with_tensors(e, tree, v);
		v += count;
		e->effects++;
	}
}

/* --- composite functions ------------------------------------------------------------------------------------------------------------ */

typedef struct Instance {
	const Fn *fn;
	const DimFacts *facts;
	const char *key;
	Traced t;
	struct Instance *next;
} Instance;

static Val call_direct(Elab *e, void *ctx, CallArgs *a)
{
	return elab_call_fn(e, ctx, a, NULL);
}

static bool any_tensor(Elab *e, Val v)
{
	Value **list;
	return tree_tensors(e, v, &list) > 0;
}

static const char *instance_key(Elab *e, const CallArgs *a)
{
	StrBuf b;
	sb_init(&b, e->arena);
	sb_printf(&b, "%d;", e->training);
	for (int i = 0; i < a->n + a->nnamed; i++) {
		if (i >= a->n) sb_printf(&b, "%s=", a->names[i - a->n]);
		val_key(e, &b, i < a->n ? a->at[i] : a->named[i - a->n]);
		sb_put(&b, a->inout && a->inout[i] ? "!;" : ";");
	}
	return arena_strdup(e->arena, sb_text(&b));
}

/* A call with other arguments of the same types. */
static Val instance_call(Elab *e, const Traced *t, CallArgs *a)
{
	VEC(Value *) list = {0};
	for (int i = 0; i < a->n + a->nnamed; i++) {
		Value **v;
		int n = tree_tensors(e, elab_here(e, i < a->n ? a->at[i] : a->named[i - a->n]), &v);
		for (int k = 0; k < n; k++) VEC_PUSH(e->arena, list, v[k]);
	}
	e->b.loc = a->loc;
	Op *op = ir_emit_call(&e->b, t->func, list.at, t->nargs);
	traced_store_inout(e, t, a, op->out + t->nresult);
	return traced_result(e, t, op->out);
}

static void put_argument(Elab *e, StrBuf *b, const char *sep, const char *name, Val v)
{
	const char *text = v.kind == V_NONE   ? "none"
	                   : v.kind == V_BOOL ? (v.u.b ? "true" : "false")
	                   : v.kind == V_STR  ? arena_strndup(e->arena, v.u.str.at, v.u.str.n)
	                                      : NULL;
	if (v.kind == V_INT) text = arena_printf(e->arena, "%lld", (long long)v.u.i);
	if (v.kind == V_FLOAT) text = arena_printf(e->arena, "%.17g", v.u.f);
	if (text) sb_printf(b, "%s%s=%s", sep, name, text);
	else if (any_tensor(e, v) || v.kind == V_LIST) sb_printf(b, "%s%s", sep, name);
}

/* What a kernel that stands for the function must know: "f(q, k, scale=0.5)", tensors by name in the order of the IR function's parameters,
 * arguments known while compiling with their values. */
static const char *composite_text(Elab *e, const Fn *f, const CallArgs *a)
{
	StrBuf b;
	sb_init(&b, e->arena);
	sb_printf(&b, "%s(", f->name.text);
	for (int i = 0; i < a->n && i < f->params.n; i++) put_argument(e, &b, i ? ", " : "", f->params.at[i]->name.text, a->at[i]);
	for (int i = 0; i < a->nnamed; i++) put_argument(e, &b, i + a->n ? ", " : "", a->names[i], a->named[i]);
	sb_put(&b, ")");
	return module_str(e->m, sb_text(&b));
}

/* A composite function keeps its name in the IR. With nothing but compile-time arguments it is evaluated like any other. */
Val composite_call(Elab *e, const FnVal *f, CallArgs *a)
{
	bool tensors = false;
	for (int i = 0; i < a->n; i++) tensors |= any_tensor(e, a->at[i]) || a->at[i].kind == V_LIST;
	for (int i = 0; i < a->nnamed; i++) tensors |= any_tensor(e, a->named[i]);
	if (!tensors) return elab_call_fn(e, f, a, NULL);
	const char *key = instance_key(e, a);
	for (Instance *i = e->instances; i; i = i->next) {
		if (i->fn == f->fn && i->facts == e->facts && !strcmp(i->key, key)) return instance_call(e, &i->t, a);
	}
	CallArgs plain = *a;
	Val *at = NEW_ARRAY(e->arena, Val, a->n);
	for (int i = 0; i < a->n; i++)
		at[i] = a->at[i].kind == V_LIST ? val_tensor(elab_tensor(e, a->at[i], NULL, a->loc, "an argument")) : a->at[i];
	plain.at = at;
	Traced t = trace(e, call_direct, (void *)f, &plain, NULL, f->fn->name.text, a->loc);
	t.func->composite = composite_text(e, f->fn, &plain);
	t.func->loc = f->fn->loc;
	if (!t.ncaptured && !e->quiet) {
		Instance *i = NEW(e->arena, Instance);
		*i = (Instance){f->fn, e->facts, key, t, e->instances};
		e->instances = i;
	}
	e->b.loc = a->loc;
	Op *op = ir_emit_call(&e->b, t.func, t.args, t.nargs);
	Val r = traced_result(e, &t, op->out);
	traced_store_inout(e, &t, a, op->out + t.nresult);
	return r;
}
