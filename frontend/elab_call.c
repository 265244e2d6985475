/* Calls: the callee and its place, arguments, binding, dimensions, inout, and the expansion of a function's body at the call. */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

enum { CALL_DEPTH = 256 };

/* --- the parts of a function ------------------------------------------------------------------------------------------------ */

static const ParamList no_params = {0};

static const ParamList *params_of(const FnVal *f)
{
	return f->fn ? &f->fn->params : f->lambda ? &f->lambda->u.lambda.params : &no_params;
}
static const char *name_of(Elab *e, const FnVal *f)
{
	if (f->is_init) return "init";
	if (f->is_load) return "load";
	if (f->is_new) return "new";
	if (!f->fn) return "a lambda";
	if (!f->fn->name.text && f->self && f->self->kind == V_MODULE) return f->self->u.module->name;
	return f->fn->name.text ? f->fn->name.text : "fn";
}

bool elab_is_callable(Val v)
{
	return v.kind == V_FN || v.kind == V_BUILTIN || v.kind == V_WRAPPED || v.kind == V_MODULE || v.kind == V_MODULE_DECL ||
	       v.kind == V_DTYPE;
}

static const Fn *module_call(const ModuleTree *m)
{
	const Fn *fn;
	return module_find_method(m, NULL, &fn) ? fn : NULL;
}

bool elab_accepts(Elab *e, Val fn, const char *param)
{
	if (fn.kind == V_BUILTIN) return builtin_accepts(e, fn.u.builtin, param);
	if (fn.kind == V_WRAPPED) return elab_accepts(e, fn.u.wrapped->fn, param);
	const ParamList *p = NULL;
	if (fn.kind == V_FN) p = params_of(fn.u.fn);
	if (fn.kind == V_MODULE_DECL) p = &fn.u.decl->decl->u.module.params;
	if (fn.kind == V_MODULE && module_call(fn.u.module)) p = &module_call(fn.u.module)->params;
	for (int i = 0; p && i < p->n; i++) {
		if (p->at[i]->kind != PARAM_REST && p->at[i]->name.text && !strcmp(p->at[i]->name.text, param)) return true;
	}
	return false;
}

int elab_param_names(Elab *e, Val fn, const char **names, int max)
{
	if (fn.kind == V_WRAPPED) return elab_param_names(e, fn.u.wrapped->fn, names, max);
	const ParamList *p = NULL;
	if (fn.kind == V_FN) p = params_of(fn.u.fn);
	if (fn.kind == V_MODULE && module_call(fn.u.module)) p = &module_call(fn.u.module)->params;
	if (!p) return -1;
	int n = 0;
	for (int i = 0; i < p->n && n < max; i++) {
		const char *name = p->at[i]->name.text ? p->at[i]->name.text : "";
		names[n++] = p->at[i]->kind == PARAM_REST ? arena_printf(e->arena, "*%s", name) : name;
	}
	return n;
}

/* --- frames ------------------------------------------------------------------------------------------------------------------- */

Frame *frame_new(Elab *e, const FnVal *f, Loc call_loc)
{
	Frame *fr = NEW(e->arena, Frame);
	fr->file = f->file;
	fr->body = f->fn ? &f->fn->body : NULL;
	fr->name = name_of(e, f);
	fr->result = f->fn ? f->fn->result : NULL;
	fr->result_loc = f->fn ? f->fn->loc : f->lambda ? f->lambda->loc : call_loc;
	fr->call_loc = call_loc;
	fr->locals = (Local *)f->captured;
	if (f->self) {
		Local *self = NEW(e->arena, Local);
		*self = (Local){.name = elab_intern(e, "self"), .v = elab_here(e, *f->self), .kind = LOCAL_SELF, .depth = -1, .next = fr->locals};
		fr->locals = fr->self = self;
		fr->in_init = f->fn && f->fn->name.text && !strcmp(f->fn->name.text, "init");
	}
	return fr;
}

void frame_push(Elab *e, Frame *f)
{
	f->up = e->frame;
	e->frame = f;
	if (++e->call_depth > CALL_DEPTH)
		elab_fail_note(e, f->call_loc, "call.depth",
		               "there is no recursion at run time; recursion on compile-time values must end while compiling",
		               "calls are nested %d levels deep", CALL_DEPTH);
}

void frame_pop(Elab *e)
{
	e->frame = e->frame->up;
	e->call_depth--;
}

void frame_run(Elab *e, const FnVal *f)
{
	Frame *fr = e->frame;
	if (f->lambda && f->lambda->u.lambda.body) {
		fr->value = elab_eval(e, f->lambda->u.lambda.body);
		fr->returned = true;
		return;
	}
	const StmtList *body = f->lambda ? f->lambda->u.lambda.block : &f->fn->body;
	elab_body(e, body);
	if (!fr->returned) fr->value = frame_result(e, fr, val_none(), fr->result_loc);
}

Val frame_result(Elab *e, Frame *f, Val v, Loc loc)
{
	if (!f->result) return v;
	f->types_open = true;
	Val t = type_eval(e, f->result);
	f->types_open = false;
	if (v.kind == V_NONE && t.kind != V_NONE)
		elab_fail(e, f->result->loc, "call.missing_return", "`%s` must return %s; an end of its body is reached without `return`", f->name,
		          elab_source(e, f->result->loc));
	v = type_unify(e, t, v, loc, arena_printf(e->arena, "the result of `%s`", f->name));
	type_check_deferred(e);
	return v;
}

/* --- binding ------------------------------------------------------------------------------------------------------------------ */

typedef struct Bound {
	Val v;
	Loc loc;
	bool given, marked;
	int arg;
} Bound; /* one per parameter; arg: index for inout_out */

static Loc arg_loc(const CallArgs *a, int i)
{
	return a->arg_loc && a->arg_loc[i].file ? a->arg_loc[i] : a->loc;
}

static int rest_index(const ParamList *p)
{
	for (int i = 0; i < p->n; i++) {
		if (p->at[i]->kind == PARAM_REST) return i;
	}
	return -1;
}

static const char *signature(Elab *e, const Frame *f, const ParamList *p)
{
	StrBuf b;
	sb_init(&b, e->arena);
	sb_printf(&b, "its parameters are (");
	for (int i = 0; i < p->n; i++)
		sb_printf(&b, "%s%s%s%s", i ? ", " : "",
		          p->at[i]->kind == PARAM_INOUT  ? "inout "
		          : p->at[i]->kind == PARAM_REST ? "*"
		                                         : "",
		          p->at[i]->name.text ? p->at[i]->name.text : "(…)", p->at[i]->init ? "=…" : "");
	sb_putc(&b, ')');
	return sb_text(&b);
}

/* A shape is a tuple or its integers spelled out, `random.normal(50, 2, key=k)`: where a standard function's parameter `shape` is given an
 * integer, the positional arguments from there on are the shape. */
static bool spelled_shape(const Frame *f, const ParamList *p, const CallArgs *a, int i)
{
	if (!f->file || !f->file->standard || i >= p->n || !p->at[i]->name.text || strcmp(p->at[i]->name.text, "shape")) return false;
	for (int k = i; k < a->n; k++) {
		if (a->at[k].kind != V_INT && a->at[k].kind != V_DIM) return false;
	}
	return i < a->n;
}

static void bind_positional(Elab *e, const Frame *f, const ParamList *p, const CallArgs *a, Bound *bound)
{
	int rest = rest_index(p), fixed = rest < 0 ? p->n : rest;
	for (int i = 0; i < a->n && i < fixed; i++) {
		bound[i] = (Bound){a->at[i], arg_loc(a, i), true, a->inout && a->inout[i], i};
		if (!spelled_shape(f, p, a, i)) continue;
		bound[i].v = val_tuple(e, a->at + i, a->n - i);
		return;
	}
	if (rest < 0 && a->n > p->n)
		elab_fail_note(e, arg_loc(a, p->n), "call.too_many", signature(e, f, p), "`%s` takes %d argument%s, this call gives %d", f->name,
		               p->n, p->n == 1 ? "" : "s", a->n);
	if (rest < 0) return;
	int extra = a->n > rest ? a->n - rest : 0;
	bound[rest] = (Bound){val_tuple(e, a->at + (a->n - extra), extra), a->loc, true, false, -1};
	for (int i = rest; a->inout && i < a->n; i++) {
		if (a->inout[i]) elab_fail(e, arg_loc(a, i), "call.inout_extra", "`*%s` takes no inout arguments", p->at[rest]->name.text);
	}
}

/* A dimension of the function, given by name. */
static bool bind_dim(Elab *e, const ParamList *p, const Expr *result, const char *name, Val v, Loc loc)
{
	NameSet names = {0};
	for (int i = 0; i < p->n; i++) scan_expr_names(e, p->at[i]->type, &names);
	scan_expr_names(e, result, &names);
	if (!name_set_has(&names, name)) return false;
	elab_dim(e, v, loc, arena_printf(e->arena, "the dimension `%s`", name));
	type_know(e, type_unknown_new(e, (Name){name, loc}), v);
	return true;
}

static void bind_named(Elab *e, Frame *f, const ParamList *p, const CallArgs *a, Bound *bound)
{
	for (int k = 0; k < a->nnamed; k++) {
		const char *name = elab_intern(e, a->names[k]);
		Loc loc = arg_loc(a, a->n + k);
		int i = 0;
		while (i < p->n && (p->at[i]->name.text != name || p->at[i]->kind == PARAM_REST)) i++;
		if (i == p->n) {
			if (bind_dim(e, p, f->result, name, a->named[k], loc)) continue;
			if (!strcmp(name, "device")) elab_limitation(e, loc, "limit.device", "placement on devices is not available yet");
			const char **c = NEW_ARRAY(e->arena, const char *, p->n);
			int n = 0;
			for (int q = 0; q < p->n; q++) {
				if (p->at[q]->name.text) c[n++] = p->at[q]->name.text;
			}
			const char *near = diag_suggest(name, c, n);
			if (near)
				elab_fail_help(e, loc, "call.unknown_argument", arena_printf(e->arena, "did you mean `%s`?", near),
				               "`%s` has no parameter `%s`", f->name, name);
			elab_fail_note(e, loc, "call.unknown_argument", signature(e, f, p), "`%s` has no parameter `%s`", f->name, name);
		}
		if (bound[i].given) elab_fail(e, loc, "call.twice", "the argument `%s` of `%s` is given twice", name, f->name);
		bound[i] = (Bound){a->named[k], loc, true, a->inout && a->inout[a->n + k], a->n + k};
	}
}

static void check_marks(Elab *e, const Frame *f, const Param *p, const Bound *b)
{
	if (p->kind == PARAM_INOUT && !b->marked)
		elab_fail_help(e, b->loc, "call.inout_missing", arena_printf(e->arena, "write `inout %s`", elab_source(e, b->loc)),
		               "the parameter `%s` of `%s` is inout; the call must say so", p->name.text, f->name);
	if (p->kind != PARAM_INOUT && b->marked)
		elab_fail(e, b->loc, "call.inout_extra", "the parameter `%s` of `%s` is not inout", p->name.text ? p->name.text : "(…)", f->name);
}

/* Binds in the frame on top, in order, so that defaults and types see the parameters before them. */
static void bind_params(Elab *e, const ParamList *p, const CallArgs *a, Bound *bound, Val *types)
{
	Frame *f = e->frame;
	bind_positional(e, f, p, a, bound);
	bind_named(e, f, p, a, bound);
	for (int i = 0; i < p->n; i++) {
		const Param *q = p->at[i];
		if (!bound[i].given) {
			if (!q->init)
				elab_fail_note(e, a->loc, "call.missing_argument", signature(e, f, p), "`%s` needs an argument `%s`", f->name,
				               q->name.text ? q->name.text : "(…)");
			bound[i] = (Bound){elab_eval(e, q->init), q->init->loc, true, false, -1};
			if (q->kind == PARAM_INOUT)
				elab_fail(e, a->loc, "call.missing_argument", "`%s` needs an inout argument `%s`", f->name, q->name.text);
		} else {
			check_marks(e, f, q, &bound[i]);
		}
		Val v = elab_here(e, bound[i].v);
		types[i] = val_none();
		bool defaulted_none = v.kind == V_NONE && q->init && q->init->kind == EXPR_NONE;
		if (q->type && !defaulted_none) {
			f->types_open = true;
			types[i] = type_eval(e, q->type);
			f->types_open = false;
			v = type_unify(e, types[i], v, bound[i].loc, arena_printf(e->arena, "the argument `%s` of `%s`", q->name.text, f->name));
		}
		if (q->pattern && q->pattern->is_tuple) elab_bind_pattern(e, q->pattern, v, LOCAL_PARAM, bound[i].loc);
		else if (q->name.text && strcmp(q->name.text, "_"))
			scope_declare(e, q->name, v, q->kind == PARAM_INOUT ? LOCAL_INOUT : LOCAL_PARAM);
	}
	type_check_deferred(e);
	if (f->result) { /* dimensions that stand only in the result must have been named by now: the body may use them */
		f->types_open = true;
		type_eval(e, f->result);
		f->types_open = false;
	}
}

void frame_bind(Elab *e, const ParamList *p, CallArgs *a)
{
	bind_params(e, p, a, NEW_ARRAY(e->arena, Bound, p->n), NEW_ARRAY(e->arena, Val, p->n));
}

static void store_inout(Elab *e, const ParamList *p, CallArgs *a, const Bound *bound, const Val *types)
{
	Frame *f = e->frame;
	for (int i = 0; i < p->n; i++) {
		if (p->at[i]->kind != PARAM_INOUT || bound[i].arg < 0) continue;
		Val v = scope_local(f, p->at[i]->name.text)->v;
		if (types[i].kind != V_NONE)
			v = type_unify(e, types[i], v, p->at[i]->loc,
			               arena_printf(e->arena, "the new value of the inout parameter `%s`", p->at[i]->name.text));
		if (a->inout_out) a->inout_out[bound[i].arg] = v;
		e->effects++;
	}
}

/* A method changed its module. */
static void store_self(Elab *e, Val before, Val *self_out)
{
	Frame *fr = e->frame;
	if (!fr->self || fr->in_init || val_same(fr->self->v, before)) return;
	if (!self_out)
		elab_fail_help(e, fr->call_loc, "module.not_a_place", "call it on a `var`, an inout parameter, or a member of one",
		               "`%s` changes its module, but what it is called on is not a place", fr->name);
	*self_out = fr->self->v;
	e->effects++;
}

Val elab_call_fn(Elab *e, const FnVal *f, CallArgs *a, Val *self_out)
{
	Loc saved = e->b.loc;
	const ParamList *p = params_of(f);
	Frame *fr = frame_new(e, f, a->loc);
	Val self = fr->self ? fr->self->v : val_none();
	frame_push(e, fr);
	Bound *bound = NEW_ARRAY(e->arena, Bound, p->n);
	Val *types = NEW_ARRAY(e->arena, Val, p->n);
	bind_params(e, p, a, bound, types);
	frame_run(e, f);
	Val v = fr->value;
	store_inout(e, p, a, bound, types);
	store_self(e, self, self_out);
	frame_pop(e);
	e->b.loc = saved;
	return v;
}

/* --- calling any value -------------------------------------------------------------------------------------------------------- */

static void no_inout(Elab *e, const CallArgs *a, const char *what)
{
	for (int i = 0; a->inout && i < a->n + a->nnamed; i++) {
		if (a->inout[i]) elab_fail(e, arg_loc(a, i), "call.inout_extra", "%s takes no inout arguments", what);
	}
}

static Val call_builtin(Elab *e, const Builtin *b, CallArgs *a)
{
	no_inout(e, a, arena_printf(e->arena, "`%s`", b->name));
	bool weak = a->n > 0, dim = false;
	for (int i = 0; i < a->n; i++) weak &= val_is_weak(a->at[i]), dim |= a->at[i].kind == V_DIM || a->at[i].kind == V_TENSOR;
	e->b.loc = a->loc;
	Val v = builtin_call(e, b, a->at, a->arg_loc, a->n, a->names, a->named, a->arg_loc ? a->arg_loc + a->n : NULL, a->nnamed, a->loc);
	if (!strcmp(b->name, "print")) e->effects++;
	/* a function of dimensions and numbers is weak, as they are: sqrt(D) */
	if (weak && dim && v.kind == V_TENSOR && v.u.tensor->type->rank == 0 && strcmp(b->name, "array")) v.weak = true;
	return v;
}

static Val call_dtype(Elab *e, DType d, CallArgs *a)
{
	if (a->n != 1 || a->nnamed) elab_fail(e, a->loc, "call.arguments", "`%s` takes one value", dtype_name(d));
	no_inout(e, a, "a dtype");
	Val v = a->at[0];
	e->b.loc = a->loc;
	if (val_is_number(v)) return val_tensor(ir_const(&e->b, tensor_scalar(e->arena, scalar_convert(val_scalar(v), d))));
	return val_tensor(
	    ir_convert(&e->b, elab_tensor(e, v, NULL, arg_loc(a, 0), arena_printf(e->arena, "the argument of `%s`", dtype_name(d))), d));
}

static Val call_module(Elab *e, Val m, CallArgs *a, Val *self_out)
{
	const Fn *fn = module_call(m.u.module);
	if (!fn) elab_fail(e, a->loc, "call.module", "the module `%s` has no unnamed `fn` and cannot be called", m.u.module->name);
	if (val_module_is_description(m))
		elab_fail_help(
		    e, a->loc, "call.description",
		    arena_printf(e->arena, "give it numbers first: `%s.init(key)`; or take it as a parameter, `net: …`", m.u.module->name),
		    "the module `%s` has no numbers yet", m.u.module->name);
	return elab_call_fn(e, module_method(e, m, fn).u.fn, a, self_out);
}

static Val call_fn(Elab *e, Val fn, CallArgs *a, Val *self_out)
{
	const FnVal *f = fn.u.fn;
	if (f->is_init) return module_init(e, *f->self, a);
	if (f->is_new) return module_fresh(e, *f->self, a);
	if (f->is_load) return module_load(e, *f->self, a);
	if (f->fn && f->fn->composite && !f->self) return composite_call(e, f, a);
	return elab_call_fn(e, f, a, self_out);
}

Val elab_invoke(Elab *e, Val fn, CallArgs *a, Val *self_out)
{
	switch (fn.kind) {
	case V_FN: return call_fn(e, fn, a, self_out);
	case V_BUILTIN: return call_builtin(e, fn.u.builtin, a);
	case V_WRAPPED: return fn.u.wrapped->call(e, fn.u.wrapped, a);
	case V_MODULE_DECL: no_inout(e, a, "a module"); return module_construct(e, fn.u.decl, a);
	case V_MODULE: return call_module(e, fn, a, self_out);
	case V_DTYPE: return call_dtype(e, fn.u.dtype, a);
	case V_STACK:
		elab_fail_help(e, a->loc, "call.array", "iterate it, `for l in layers { x = l(x); }`, or index it",
		               "an array of modules cannot be called");
	default: elab_fail(e, a->loc, "call.kind", "%s cannot be called", val_describe(e, fn));
	}
}

Val elab_call_args(Elab *e, Val fn, CallArgs *a)
{
	return elab_invoke(e, fn, a, NULL);
}

Val elab_call(Elab *e, Val fn, const Val *args, int nargs, const char *const *names, const Val *named, int nnamed, Loc loc)
{
	CallArgs a = {.at = args, .n = nargs, .names = names, .named = named, .nnamed = nnamed, .loc = loc};
	return elab_invoke(e, fn, &a, NULL);
}

/* --- call expressions ----------------------------------------------------------------------------------------------------------- */

typedef struct Callee {
	Val fn;
	bool has_place;
	Place place;
	bool has_first;
	Val first;
	Loc first_loc;
} Callee;

/* What a call is made on: a function, or a module at a place, whose changes go back there. `x.f(a)` without a member f is f(x, a). */
static Callee callee_of(Elab *e, const Expr *x)
{
	Callee c = {0};
	c.has_place = place_of(e, x, &c.place);
	if (c.has_place) {
		c.fn = place_read(e, &c.place);
		if (c.fn.kind != V_MODULE) c.has_place = false;
		return c;
	}
	if (x->kind != EXPR_MEMBER) {
		c.fn = elab_eval(e, x);
		return c;
	}
	c.has_place = place_of(e, x->u.member.base, &c.place);
	Val base = c.has_place ? place_read(e, &c.place) : elab_eval(e, x->u.member.base);
	base.loc = x->u.member.base->loc;
	if (base.kind != V_MODULE) c.has_place = false;
	if (elab_find_member(e, base, x->u.member.name, &c.fn)) return c;
	if (base.kind == V_MODULE_DECL || !scope_prelude(e, x->u.member.name.text, &c.fn) || !elab_is_callable(c.fn))
		c.fn = elab_member(e, base, x->u.member.name);
	c.has_place = false;
	c.has_first = true, c.first = base, c.first_loc = base.loc;
	return c;
}

typedef struct Args {
	VEC(Val) at;
	VEC(Loc) loc;
	VEC(bool) inout;
	VEC(Place *) place;
	VEC(const char *) names;
	VEC(Val) named;
	VEC(Loc) nloc;
	VEC(bool) ninout;
	VEC(Place *) nplace;
} Args;

static void positional(Elab *e, Args *g, Val v, Loc loc, Place *p)
{
	VEC_PUSH(e->arena, g->at, v);
	VEC_PUSH(e->arena, g->loc, loc);
	VEC_PUSH(e->arena, g->inout, p != NULL);
	VEC_PUSH(e->arena, g->place, p);
}

static Place *inout_place(Elab *e, const Arg *a)
{
	Place *p = NEW(e->arena, Place);
	if (!place_of(e, a->value, p))
		elab_fail(e, a->value->loc, "inout.place",
		          "`%s` is not a place: an inout argument is a `var`, an inout parameter, or a member or element of one",
		          elab_source(e, a->value->loc));
	if (p->root->kind == LOCAL_PARAM)
		elab_fail_help(
		    e, a->value->loc, "inout.parameter",
		    arena_printf(e->arena, "declare the parameter as `inout %s`, or copy it: `var copy = %s;`", p->root->name, p->root->name),
		    "the parameter `%s` is not inout", p->root->name);
	place_check_writable(e, p, "pass as inout");
	return p;
}

static void evaluate_args(Elab *e, const ArgList *list, Args *g)
{
	for (int i = 0; i < list->n; i++) {
		const Arg *a = list->at[i];
		Place *p = a->is_inout ? inout_place(e, a) : NULL;
		Val v = p ? place_read(e, p) : elab_eval(e, a->value);
		v.loc = a->value->loc;
		if (a->kind == ARG_SPREAD) {
			Val *parts;
			int n;
			if (!elab_unpack(e, v, &parts, &n, a->loc)) elab_fail(e, a->loc, "spread.kind", "cannot spread %s", val_describe(e, v));
			for (int k = 0; k < n; k++) positional(e, g, parts[k], a->loc, NULL);
		} else if (a->kind == ARG_NAMED) {
			VEC_PUSH(e->arena, g->names, a->name.text);
			VEC_PUSH(e->arena, g->named, v);
			VEC_PUSH(e->arena, g->nloc, a->value->loc);
			VEC_PUSH(e->arena, g->ninout, p != NULL);
			VEC_PUSH(e->arena, g->nplace, p);
		} else {
			if (g->names.n) elab_fail(e, a->loc, "call.order", "a positional argument after a named one");
			positional(e, g, v, a->value->loc, p);
		}
	}
	for (int k = 0; k < g->named.n; k++) {
		VEC_PUSH(e->arena, g->loc, g->nloc.at[k]);
		VEC_PUSH(e->arena, g->inout, g->ninout.at[k]);
		VEC_PUSH(e->arena, g->place, g->nplace.at[k]);
	}
}

static void check_overlap(Elab *e, const Args *g)
{
	for (int i = 0; i < g->place.n; i++) {
		for (int k = i + 1; k < g->place.n; k++) {
			if (!g->place.at[i] || !g->place.at[k] || !place_overlap(g->place.at[i], g->place.at[k])) continue;
			elab_fail(e, g->place.at[k]->loc, "inout.overlap", "the inout arguments `%s` and `%s` overlap",
			          elab_source(e, g->place.at[i]->loc), elab_source(e, g->place.at[k]->loc));
		}
	}
}

/* x.at[i].add(v): the combination adds up over repeated indices. */
static bool at_update(Elab *e, const Expr *x, Val *out)
{
	const Expr *m = x->u.call.fn;
	if (m->kind != EXPR_MEMBER || m->u.member.base->kind != EXPR_INDEX) return false;
	const Expr *ix = m->u.member.base, *at = ix->u.index.base;
	if (at->kind != EXPR_MEMBER || strcmp(at->u.member.name.text, "at")) return false;
	static const char *const modes[] = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "set"};
	const char *name = m->u.member.name.text, *mode = NULL;
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (!strcmp(modes[i], name)) mode = modes[i];
	}
	Value *base = elab_tensor(e, elab_eval(e, at->u.member.base), NULL, at->loc, "the indexed value");
	if (!mode)
		elab_fail(e, m->u.member.name.loc, "index.at_mode",
		          "`.at[…]` has `add`, `subtract`, `multiply`, `divide`, `maximum`, `minimum`, not `%s`", name);
	Val idx[MAX_RANK + 3];
	int n = elab_indices(e, &ix->u.index.index, idx);
	if (x->u.call.args.n != 1) elab_fail(e, x->loc, "call.arguments", "`.at[…].%s` takes one value", name);
	Val v = elab_eval(e, x->u.call.args.at[0]->value);
	*out = val_tensor(elab_index_update(e, base, idx, n, v, mode, x->loc));
	return true;
}

static _Noreturn void not_callable(Elab *e, const Expr *x, Val fn)
{
	const Expr *f = x->u.call.fn;
	Val hidden, member;
	const char *name = f->kind == EXPR_NAME ? f->u.name.text : NULL;
	const char *what = name && scope_local(e->frame, name) ? "variable" : "member";
	bool inner = name && (*what == 'v' || (e->frame->self && module_scope_lookup(e, e->frame->self->v, name, &member)));
	if (inner && scope_prelude(e, name, &hidden) && elab_is_callable(hidden))
		elab_fail_note(e, f->loc, "call.hidden", arena_printf(e->arena, "the %s `%s` hides the function of the prelude", what, name),
		               "%s cannot be called", val_describe(e, fn));
	elab_fail(e, f->loc, "call.kind", "%s cannot be called", val_describe(e, fn));
}

Val elab_call_expr(Elab *e, const Expr *x)
{
	Val v;
	if (at_update(e, x, &v)) return v;
	Callee c = callee_of(e, x->u.call.fn);
	if (!elab_is_callable(c.fn) && c.fn.kind != V_STACK) not_callable(e, x, c.fn);
	Args g = {0};
	if (c.has_first) positional(e, &g, c.first, c.first_loc, NULL);
	evaluate_args(e, &x->u.call.args, &g);
	check_overlap(e, &g);
	int n = g.at.n + g.named.n;
	CallArgs a = {.at = g.at.at,
	              .n = g.at.n,
	              .names = g.names.at,
	              .named = g.named.at,
	              .nnamed = g.named.n,
	              .inout = g.inout.at,
	              .arg_loc = g.loc.at,
	              .loc = x->loc};
	a.inout_out = NEW_ARRAY(e->arena, Val, n);
	for (int i = 0; i < n; i++) a.inout_out[i] = g.place.at[i] ? place_read(e, g.place.at[i]) : val_none();
	Val self = val_none();
	bool writable = c.has_place && place_writable(&c.place);
	v = elab_invoke(e, c.fn, &a, c.has_place ? &self : NULL);
	for (int i = 0; i < n; i++) {
		if (g.place.at[i]) place_write(e, g.place.at[i], a.inout_out[i], x->loc);
	}
	if (self.kind == V_NONE) return v;
	if (!writable) place_check_writable(e, &c.place, "change");
	if (c.place.root->kind == LOCAL_PARAM)
		elab_fail_help(e, x->loc, "inout.parameter",
		               arena_printf(e->arena, "declare the parameter as `inout %s`, or copy it: `var copy = %s;`", c.place.root->name,
		                            c.place.root->name),
		               "this call changes the module `%s`, whose parameter is not inout", c.place.root->name);
	place_write(e, &c.place, self, x->loc);
	return v;
}
