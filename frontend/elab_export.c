/* Exported functions: parameters and results as named leaves, dimensions, facts, and what the header needs to know. */
#include "elab_core.h"
#include <string.h>

/* --- struct names ----------------------------------------------------------------------------------------------------------------- */

/* A tree's layout as text: two trees of one layout are one struct. */
static void layout(Elab *e, StrBuf *b, Val v)
{
	switch (v.kind) {
	case V_MODULE:
		sb_printf(b, "%s{", v.u.module->name);
		for (int i = 0; i < v.u.module->n; i++) {
			const MemberVal *m = &v.u.module->members[i];
			if (m->kind != MK_PARAM && m->kind != MK_BUFFER && m->kind != MK_SUB) continue;
			sb_printf(b, "%s:", m->name);
			layout(e, b, m->v);
		}
		sb_putc(b, '}');
		break;
	case V_RECORD:
	case V_TUPLE:
	case V_LIST:
		sb_putc(b, '(');
		for (int i = 0; i < v.u.items->n; i++) {
			sb_printf(b, "%s:", v.u.items->name ? v.u.items->name[i] : "");
			layout(e, b, v.u.items->at[i]);
		}
		sb_putc(b, ')');
		break;
	case V_STACK:
		sb_putc(b, '[');
		layout(e, b, v.u.stack->elem);
		sb_putc(b, ']');
		break;
	case V_NONE: sb_put(b, "-,"); break;
	default: val_key(e, b, v), sb_putc(b, ',');
	}
}

static const char *capital(Elab *e, const char *s)
{
	char *c = arena_strdup(e->arena, s);
	if (*c >= 'a' && *c <= 'z') *c -= 'a' - 'A';
	char *to = c;
	for (const char *p = c; *p; p++) { /* an array's elements are named after the array */
		if (!strncmp(p, ".*", 2)) p++;
		else *to++ = *p == '.' ? '_' : *p;
	}
	*to = 0;
	return c;
}

static const char *struct_name(Elab *e, Val v, const char *preferred, const char *path)
{
	StrBuf b;
	sb_init(&b, e->arena);
	layout(e, &b, v);
	const char *key = sb_text(&b);
	for (StructRow *r = e->structs; r; r = r->next) {
		if (!strcmp(r->key, key)) return r->name;
	}
	const char *base = preferred ? preferred : v.kind == V_MODULE ? v.u.module->name : capital(e, path), *name = base;
	for (int n = 2;; n++) {
		bool taken = false;
		for (StructRow *r = e->structs; r; r = r->next) taken |= !strcmp(r->name, name);
		if (!taken) break;
		name = arena_printf(e->arena, "%s%d", base, n);
	}
	StructRow *r = NEW(e->arena, StructRow);
	*r = (StructRow){arena_strdup(e->arena, key), module_str(e->m, name), e->structs};
	e->structs = r;
	return r->name;
}

/* --- leaves -------------------------------------------------------------------------------------------------------------------------- */

typedef struct Out {
	Func *f;
	VEC(const char *) path;
	VEC(bool) inout;
	VEC(const char *) doc; /* parameters */
	VEC(const char *) rpath;
	VEC(int) alias;
	VEC(Value *) result;
	VEC(StructName) structs;
	const char *text;
	bool is_inout;
	Loc loc;
	Weights *weights;
} Out;

static const char *join(Elab *e, const char *path, const char *name)
{
	return *path ? arena_printf(e->arena, "%s.%s", path, name) : name;
}

static void add_structs(Elab *e, Out *o, Val v, const char *path, const char *preferred)
{
	if (v.kind == V_STACK) {
		add_structs(e, o, v.u.stack->elem, path, NULL); /* its fields are the element's, with a leading axis */
		return;
	}
	if (!val_is_tree(v) || !*path) return;
	VEC_PUSH(e->arena, o->structs, ((StructName){module_str(e->m, path), struct_name(e, v, preferred, path)}));
	if (v.kind == V_MODULE) {
		for (int i = 0; i < v.u.module->n; i++) {
			const MemberVal *m = &v.u.module->members[i];
			if (m->kind == MK_PARAM || m->kind == MK_BUFFER || m->kind == MK_SUB) add_structs(e, o, m->v, join(e, path, m->name), NULL);
		}
		return;
	}
	for (int i = 0; i < v.u.items->n; i++)
		add_structs(e, o, v.u.items->at[i], join(e, path, v.u.items->name ? v.u.items->name[i] : arena_printf(e->arena, "%d", i)), NULL);
}

static Val leaf_value(Elab *e, void *ctx, Val t, Val same, const char *path)
{
	Out *o = ctx;
	DType d;
	int rank;
	Dim dims[MAX_RANK];
	bool part = strchr(path, '.') != NULL;
	if (t.kind == V_NONE || (part && elab_is_callable(t) && t.kind != V_DTYPE)) return t; /* functions stand among the layers of a model */
	if (t.kind == V_BUILTIN)
		elab_fail(e, o->loc, "export.compile_time", "an exported function takes tensors; `%s` is a compile-time type", t.u.builtin->name);
	if (!type_is_type(t) || !val_shape(e, t, &d, &rank, dims))
		elab_fail(e, o->loc, "type.not_a_type", "%s is not a type", val_describe(e, t));
	if (o->weights) return weights_leaf(e, o->weights, path, d, rank, dims);
	Value *v = func_param(o->f, type_get(e->m, d, rank, dims), module_str(e->m, path));
	VEC_PUSH(e->arena, o->path, module_str(e->m, path));
	VEC_PUSH(e->arena, o->inout, o->is_inout);
	VEC_PUSH(e->arena, o->doc, o->text);
	return val_tensor(v);
}

static const char *annotation_name(const Expr *x)
{
	return x && x->kind == EXPR_NAME ? x->u.name.text : x && x->kind == EXPR_MEMBER ? x->u.member.name.text : NULL;
}

static const char *weights_for(Elab *e, const char *name)
{
	for (int i = 0; i < e->o.nweights; i++) {
		if (!strcmp(e->o.weight_name[i], name)) return e->o.weight_file[i];
	}
	return NULL;
}

static Val add_param(Elab *e, Out *o, const Param *p)
{
	const char *name = p->name.text;
	if (p->kind == PARAM_REST) elab_fail(e, p->loc, "export.rest", "an exported function has a fixed number of parameters");
	if (!p->type)
		elab_fail_help(e, p->loc, "export.untyped", arena_printf(e->arena, "`%s: f32[…]`", name),
		               "the parameter `%s` of an exported function needs a type", name);
	e->frame->types_open = true;
	Val t = type_eval(e, p->type);
	e->frame->types_open = false;
	if (t.kind == V_MODULE_DECL)
		elab_fail(e, p->type->loc, "type.module_args", "the module `%s` needs its arguments to be a type: `%s(…)`",
		          t.u.decl->decl->name.text, t.u.decl->decl->name.text);
	if (t.kind == V_FN || t.kind == V_WRAPPED) elab_fail(e, p->type->loc, "type.not_a_type", "%s is not a type", val_describe(e, t));
	if (t.kind == V_TYPE && t.u.type->ellipsis)
		elab_fail(e, p->type->loc, "export.ellipsis",
		          "the shape of an exported function's parameter states each axis; `...` stands for any number");
	o->is_inout = p->kind == PARAM_INOUT;
	o->text = type_is_type(t) ? module_str(e->m, elab_source(e, p->type->loc)) : NULL;
	o->loc = p->type->loc;
	o->weights = NULL;
	const char *file = weights_for(e, name);
	Weights w;
	if (file) {
		if (o->is_inout)
			elab_fail(e, p->loc, "weights.inout", "weights of the inout parameter `%s` cannot be baked in: the function changes them",
			          name);
		w = weights_open(e, file, file, p->loc);
		w.prefix = name;
		o->weights = &w;
	}
	Val v = val_map2(e, t, t, leaf_value, o, name);
	if (!o->weights) add_structs(e, o, v, name, annotation_name(p->type));
	o->weights = NULL;
	return v;
}

static Val result_leaf(Elab *e, void *ctx, Val v, Val same, const char *path)
{
	Out *o = ctx;
	if (val_is_weak(v) || v.kind == V_LIST) v = val_tensor(elab_tensor(e, v, NULL, o->loc, "a result"));
	if (v.kind == V_NONE || v.kind == V_STR) return v;
	if (elab_is_callable(v) && v.kind != V_MODULE) {
		if (*path && strchr(path, '.')) return v; /* a function among the layers of a model */
		elab_fail(e, o->loc, "export.result", "an exported function returns tensors, not %s", val_describe(e, v));
	}
	if (v.kind != V_TENSOR) elab_fail(e, o->loc, "export.result", "an exported function returns tensors, not %s", val_describe(e, v));
	VEC_PUSH(e->arena, o->rpath, module_str(e->m, path));
	VEC_PUSH(e->arena, o->alias, -1);
	VEC_PUSH(e->arena, o->result, elab_here(e, v).u.tensor);
	return v;
}

static void add_results(Elab *e, Out *o, Val v, const Expr *type)
{
	if (v.kind == V_NONE) return;
	if (v.kind == V_LIST) v = val_tensor(elab_tensor(e, v, NULL, o->loc, "a result"));
	if (v.kind == V_RECORD || v.kind == V_TUPLE) {
		for (int i = 0; i < v.u.items->n; i++) {
			const char *name = v.kind == V_RECORD ? v.u.items->name[i] : arena_printf(e->arena, "out%d", i);
			const Expr *item = type && (type->kind == EXPR_TUPLE || type->kind == EXPR_RECORD_TYPE) && i < type->u.items.n
			                       ? type->u.items.at[i]->value
			                       : NULL;
			val_map2(e, v.u.items->at[i], v.u.items->at[i], result_leaf, o, name);
			add_structs(e, o, v.u.items->at[i], name, annotation_name(item));
		}
		return;
	}
	val_map2(e, v, v, result_leaf, o, "out");
	add_structs(e, o, v, "out", annotation_name(type));
}

/* The new value of each leaf of an inout parameter is a result that aliases it. */
static void add_inout_results(Elab *e, Out *o, Val v, int first)
{
	Value **leaf;
	int n = tree_tensors(e, elab_here(e, v), &leaf);
	for (int i = 0; i < n; i++) {
		VEC_PUSH(e->arena, o->rpath, o->path.at[first + i]);
		VEC_PUSH(e->arena, o->alias, first + i);
		VEC_PUSH(e->arena, o->result, leaf[i]);
	}
}

static void add_dims(Elab *e, Func *f, const Frame *fr)
{
	int n = 0;
	for (const Unknown *u = fr->unknowns; u; u = u->next) n += !u->is_dtype;
	f->dims = NEW_ARRAY(e->arena, const char *, n);
	f->ndims = n;
	for (const Unknown *u = fr->unknowns; u; u = u->next) {
		if (!u->is_dtype) f->dims[--n] = module_str(e->m, u->name);
	}
}

static void fill(Elab *e, const Out *o, const Decl *d)
{
	Func *f = o->f;
	func_set_results(f, o->result.at, o->result.n);
	func_export(f);
	for (int i = 0; i < o->path.n; i++)
		f->param_path[i] = o->path.at[i], f->param_inout[i] = o->inout.at[i], f->param_doc[i] = o->doc.at[i];
	for (int i = 0; i < o->rpath.n; i++) f->result_path[i] = o->rpath.at[i], f->result_alias[i] = o->alias.at[i];
	f->structs = o->structs.at;
	f->nstructs = o->structs.n;
	const char *doc = d->u.fn->doc ? d->u.fn->doc : d->doc;
	f->doc = doc ? module_str(e->m, doc) : NULL;
}

void export_function(Elab *e, Scope *s, const Decl *d)
{
	const Fn *fn = d->u.fn;
	Func *f = map_get(&e->exports, d);
	e->facts = dim_facts_new(e->m->dims);
	e->facts_open = true;
	f->facts = e->facts;
	f->loc = fn->name.loc;
	context_enter_func(e, f);
	FnVal v = {.fn = fn, .file = s};
	Frame *fr = frame_new(e, &v, NO_LOC);
	fr->is_export = true;
	e->frame = NULL;
	frame_push(e, fr);
	Out o = {.f = f};
	int *first = NEW_ARRAY(e->arena, int, fn->params.n + 1);
	for (int i = 0; i < fn->params.n; i++) {
		const Param *p = fn->params.at[i];
		first[i] = o.path.n;
		Val a = add_param(e, &o, p);
		scope_declare(e, p->name, a, p->kind == PARAM_INOUT ? LOCAL_INOUT : LOCAL_PARAM);
	}
	if (fn->result) {
		fr->types_open = true;
		type_eval(e, fn->result);
		fr->types_open = false;
	}
	frame_run(e, &v);
	o.loc = fr->value_loc.file ? fr->value_loc : fr->result_loc;
	add_results(e, &o, fr->value, fn->result);
	for (int i = 0; i < fn->params.n; i++) {
		const Param *p = fn->params.at[i];
		if (p->kind != PARAM_INOUT) continue;
		fr->types_open = true;
		Val t = type_eval(e, p->type);
		fr->types_open = false;
		Val now = type_unify(e, t, scope_local(fr, p->name.text)->v, p->loc,
		                     arena_printf(e->arena, "the new value of the inout parameter `%s`", p->name.text));
		add_inout_results(e, &o, now, first[i]);
	}
	add_dims(e, f, fr);
	frame_pop(e);
	fill(e, &o, d);
}
