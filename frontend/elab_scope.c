/* Names: locals, parameters and dimensions, members, the file, the prelude; and what the syntax tells about names before anything runs.
 *
 * An inner name hides an outer one, twice in one block is a mistake. A file's declarations are evaluated when first used, so their order
 * does not matter; one that needs itself is a mistake.
 */
#include "elab_core.h"
#include "builtins.h"
#include <math.h>
#include <string.h>

/* --- locals --------------------------------------------------------------------------------------------------------------- */

Local *scope_local(Frame *f, const char *name)
{
	for (Local *l = f->locals; l; l = l->next) {
		if (l->name == name && l->kind != LOCAL_SELF) return l;
	}
	return NULL;
}

static bool is_hidden_name(Elab *e, const Frame *f, const char *name, Val *hidden)
{
	for (int i = 0; i < f->file->n; i++) {
		const Global *g = &f->file->globals[i];
		if (g->name == name) return g->decl->kind == DECL_IMPORT && g->state == G_DONE ? (*hidden = g->v, true) : false;
	}
	const Builtin *b = builtin_find(name);
	if (b) return *hidden = (Val){.kind = V_BUILTIN, .u.builtin = b}, true;
	return e->prelude && scope_global(e, e->prelude, name, hidden) && elab_is_callable(*hidden);
}

/* A local that hides an imported module or a function of the prelude, in a function that also calls what is hidden. */
static void warn_hiding(Elab *e, Name name, Val v)
{
	const Frame *f = e->frame;
	if (!f->body || !f->file || f->file->standard || e->quiet || elab_is_callable(v)) return;
	NameSet *called = map_get(&e->called, f->body);
	if (!called) {
		called = NEW(e->arena, NameSet);
		scan_called(e, f->body, called);
		map_set(&e->called, f->body, called);
	}
	Val hidden;
	bool calls = name_set_has(called, name.text), looks = name_set_has(called, elab_intern(e, arena_printf(e->arena, ".%s", name.text)));
	if (!(calls || looks) || !is_hidden_name(e, f, name.text, &hidden) || !(hidden.kind == V_NAMESPACE ? looks : calls)) return;
	elab_warn(e, name.loc, "name.hides", "`%s` hides %s, which this function also uses", name.text,
	          hidden.kind == V_NAMESPACE ? arena_printf(e->arena, "the imported `%s`", name.text) : val_describe(e, hidden));
}

Local *scope_declare(Elab *e, Name name, Val v, LocalKind kind)
{
	Frame *f = e->frame;
	for (Local *l = f->locals; l && l->depth == f->depth; l = l->next) {
		if (l->name != name.text || l->kind == LOCAL_CAPTURED || l->kind == LOCAL_SELF) continue;
		/* parameters may be declared anew in the body, which is a block of its own */
		elab_fail_note(e, name.loc, "name.twice", arena_printf(e->arena, "assign with `%s = …`, or take another name", name.text),
		               "`%s` is declared twice in one block", name.text);
	}
	if (kind == LOCAL_LET || kind == LOCAL_VAR) warn_hiding(e, name, v); /* a call of a parameter is a mistake already */
	Local *l = NEW(e->arena, Local);
	*l = (Local){.name = name.text, .v = v, .kind = kind, .depth = f->depth, .loc = name.loc, .next = f->locals};
	f->locals = l;
	if (v.kind == V_TENSOR && !v.u.tensor->name && v.u.tensor->def) v.u.tensor->name = name.text;
	return l;
}

void scope_enter(Elab *e)
{
	e->frame->depth++;
}

void scope_leave(Elab *e)
{
	Frame *f = e->frame;
	while (f->locals && f->locals->depth == f->depth && f->depth > 0) f->locals = f->locals->next;
	f->depth--;
}

/* --- the file and the prelude --------------------------------------------------------------------------------------------- */

static const char *const namespaces[] = {"random", "linalg", "fft", "fast", "dist", "quant"};
enum { NAMESPACES = sizeof namespaces / sizeof *namespaces };

static Val namespace_val(Scope *s)
{
	return (Val){.kind = V_NAMESPACE, .u.scope = s};
}

static Val import_std(Elab *e, const char *name, Loc loc)
{
	Scope *s = elab_scope_std(e, name);
	if (s && !s->file->had_errors) return namespace_val(s);
	if (s) elab_unwind(e);
	for (int i = 0; i < NAMESPACES; i++) {
		if (!strcmp(namespaces[i], name)) elab_limitation(e, loc, "limit.module", "the standard module `%s` is not available yet", name);
	}
	static const char *const all[] = {"nn", "losses", "init", "optim", "random", "linalg", "fft", "fast", "dist", "quant", "tree"};
	const char *near = diag_suggest(name, all, sizeof all / sizeof *all);
	elab_fail_help(e, loc, "import.not_found",
	               near ? arena_printf(e->arena, "did you mean `%s`?", near)
	                    : arena_printf(e->arena, "a file is imported by its path: `import \"%s.mx\" as %s;`", name, name),
	               "there is no standard module `%s`", name);
}

static Val import_file(Elab *e, Scope *s, const Decl *d)
{
	const char *path = d->u.import.path;
	char *full = *path == '/' || !strcmp(s->dir, ".") ? arena_strdup(e->arena, path) : arena_printf(e->arena, "%s/%s", s->dir, path);
	Scope *in = elab_scope_file(e, full, full, d->u.import.path_loc);
	if (!in || in->file->had_errors) elab_unwind(e);
	return namespace_val(in);
}

typedef struct GlobalJob {
	Scope *s;
	Global *g;
} GlobalJob;

static Val eval_const(Elab *e, void *ctx)
{
	GlobalJob *j = ctx;
	Frame f = {.file = j->s, .name = j->g->name};
	e->frame = &f;
	Val v = elab_eval(e, j->g->decl->u.const_.value);
	if (j->g->decl->u.const_.type) {
		Val t = type_eval(e, j->g->decl->u.const_.type);
		v = type_unify(e, t, v, j->g->decl->u.const_.value->loc, arena_printf(e->arena, "the constant `%s`", j->g->name));
	}
	e->frame = NULL;
	return v;
}

static void eval_global(Elab *e, void *ctx)
{
	GlobalJob *j = ctx;
	const Decl *d = j->g->decl;
	switch (d->kind) {
	case DECL_CONST: j->g->v = elab_constant(e, eval_const, j, d->loc, arena_printf(e->arena, "the constant `%s`", j->g->name)); break;
	case DECL_FN: {
		FnVal f = {.fn = d->u.fn, .file = j->s};
		j->g->v = (Val){.kind = V_FN, .u.fn = arena_copy(e->arena, &f, sizeof f)};
		break;
	}
	case DECL_MODULE: {
		ModuleDecl m = {d, j->s};
		j->g->v = (Val){.kind = V_MODULE_DECL, .u.decl = arena_copy(e->arena, &m, sizeof m)};
		break;
	}
	case DECL_IMPORT: j->g->v = d->u.import.path ? import_file(e, j->s, d) : import_std(e, d->name.text, d->loc); break;
	case DECL_KERNEL: elab_limitation(e, d->name.loc, "limit.kernel", "custom kernels are not available yet");
	case DECL_EXTERN: elab_limitation(e, d->name.loc, "limit.extern", "extern functions are not available yet");
	default: break;
	}
	j->g->loc = d->name.loc;
}

static Val global_value(Elab *e, Scope *s, Global *g)
{
	if (g->state == G_FAILED) elab_unwind(e);
	if (g->state == G_RUNNING) elab_fail(e, g->loc, "const.cycle", "the value of `%s` depends on itself", g->name);
	if (g->state == G_NEW) {
		GlobalJob j = {s, g};
		int quiet = e->quiet;
		bool muted = diag_mute(e->diag, false); /* a mistake in a declaration is one whoever asks */
		e->quiet = 0;
		g->state = G_RUNNING;
		bool ok = elab_protect(e, eval_global, &j);
		e->quiet = quiet;
		diag_mute(e->diag, muted);
		g->state = ok ? G_DONE : G_FAILED;
		if (!ok) elab_unwind(e);
	}
	return elab_here(e, g->v);
}

bool scope_global(Elab *e, Scope *s, const char *name, Val *out)
{
	for (int i = 0; i < s->n; i++) {
		if (s->globals[i].name != name) continue;
		*out = global_value(e, s, &s->globals[i]);
		return true;
	}
	return false;
}

static bool special_name(Elab *e, const char *name, Val *out)
{
	DType d;
	if (dtype_find(name, &d)) return *out = val_dtype(d), true;
	if (!strcmp(name, "inf")) return *out = val_float(INFINITY), true;
	if (!strcmp(name, "nan")) return *out = val_float(NAN), true;
	if (!strcmp(name, "pi")) return *out = val_float(3.14159265358979323846), true;
	if (!strcmp(name, "newaxis")) return *out = val_none(), true;
	if (!strcmp(name, "training")) return *out = val_bool(e->training), true;
	if (!strcmp(name, "cpu") || !strcmp(name, "gpu")) return *out = (Val){.kind = V_DEVICE}, true;
	return false;
}

bool scope_prelude(Elab *e, const char *name, Val *out)
{
	if (e->prelude && scope_global(e, e->prelude, name, out)) return true;
	const Builtin *b = builtin_find(name);
	if (b) return *out = (Val){.kind = V_BUILTIN, .u.builtin = b}, true;
	if (special_name(e, name, out)) return true;
	for (int i = 0; i < NAMESPACES; i++) {
		if (!strcmp(name, namespaces[i])) return *out = import_std(e, name, e->b.loc), true;
	}
	return false;
}

bool scope_find(Elab *e, const char *name, Loc loc, Val *out)
{
	Frame *f = e->frame;
	if (f) {
		Local *l = scope_local(f, name);
		if (l) return *out = l->kind == LOCAL_CAPTURED ? elab_here(e, l->v) : l->v, true;
		if (f->self && module_scope_lookup(e, f->self->v, name, out)) return true;
		if (f->self && !strcmp(name, "self")) return *out = f->self->v, true;
		if (f->in_init && !strcmp(name, "new")) {
			FnVal n = {.is_new = true, .self = arena_copy(e->arena, &f->self->v, sizeof(Val)), .file = f->file};
			return *out = (Val){.kind = V_FN, .u.fn = arena_copy(e->arena, &n, sizeof n)}, true;
		}
		if (scope_global(e, f->file, name, out)) return true;
	}
	return scope_prelude(e, name, out);
}

bool scope_is_dim_decl(Elab *e, Scope *s, const char *name, const Decl **decl)
{
	for (int i = 0; i < s->file->ndecls; i++) {
		const Decl *d = s->file->decls[i];
		if (d->kind != DECL_DIM || d->name.text != name) continue;
		if (decl) *decl = d;
		return true;
	}
	return false;
}

/* --- unknown names -------------------------------------------------------------------------------------------------------- */

static const char *python_hint(const char *name)
{
	static const char *const hints[][2] = {
	    {"break", "there is no `break`: a loop with an early end is `for i in 0..n while c { }`"},
	    {"continue", "there is no `continue`: put the rest of the body into an `if`"},
	    {"elif", "write `else if`"},
	    {"def", "functions are declared with `fn` at file level; inside functions use a lambda, `|x| …`"},
	    {"class", "write `module`"},
	    {"lambda", "a lambda is written `|x| …`"},
	    {"struct", "there is no `struct`: use a record `(k=a, v=b)` or a `module`"},
	    {"None", "write `none`"},
	    {"True", "write `true`"},
	    {"False", "write `false`"},
	    {"range", "a range is written `a..b`"},
	    {"mx", "the names of `mlx.core` are in scope as they are: `mx.exp(x)` is `exp(x)`"},
	    {"np", "the names of `mlx.core` are in scope as they are: `np.exp(x)` is `exp(x)`"},
	    {"float32", "write `f32`"},
	    {"float16", "write `f16`"},
	    {"int32", "write `i32`"},
	    {"uint8", "write `u8`"},
	};
	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
		if (!strcmp(name, hints[i][0])) return hints[i][1];
	}
	return NULL;
}

typedef VEC(const char *) Candidates;

static void add_globals(Elab *e, Candidates *c, const Scope *s)
{
	for (int i = 0; s && i < s->n; i++) VEC_PUSH(e->arena, *c, s->globals[i].name);
}

static const char *const common_builtins[] = {"abs",         "all",
                                              "any",         "arange",
                                              "argmax",      "argmin",
                                              "argsort",     "array",
                                              "array_equal", "assert_close",
                                              "checkpoint",  "clip",
                                              "concatenate", "cos",
                                              "cumsum",      "custom_vjp",
                                              "diag",        "einsum",
                                              "enumerate",   "erf",
                                              "exp",         "expand_dims",
                                              "eye",         "flatten",
                                              "flip",        "floor",
                                              "full",        "grad",
                                              "hessian",     "isnan",
                                              "jacobian",    "jvp",
                                              "len",         "linspace",
                                              "log",         "logsumexp",
                                              "map",         "matmul",
                                              "max",         "maximum",
                                              "mean",        "min",
                                              "minimum",     "ones",
                                              "ones_like",   "outer",
                                              "pad",         "print",
                                              "prod",        "relu",
                                              "repeat",      "reshape",
                                              "round",       "sigmoid",
                                              "sign",        "sin",
                                              "softmax",     "sort",
                                              "split",       "sqrt",
                                              "square",      "squeeze",
                                              "stack",       "stop_gradient",
                                              "sum",         "take",
                                              "tan",         "tanh",
                                              "tensordot",   "transpose",
                                              "tree_map",    "tril",
                                              "triu",        "value_and_grad",
                                              "var",         "vjp",
                                              "vmap",        "where",
                                              "zeros",       "zeros_like",
                                              "zip"};

static void add_prelude(Elab *e, Candidates *c)
{
	add_globals(e, c, e->prelude);
	for (size_t i = 0; i < sizeof common_builtins / sizeof *common_builtins; i++) {
		if (builtin_find(common_builtins[i])) VEC_PUSH(e->arena, *c, common_builtins[i]);
	}
}

const char *scope_prelude_near(Elab *e, const char *name)
{
	Candidates c = {0};
	add_prelude(e, &c);
	return strlen(name) > 2 ? diag_suggest(name, c.at, c.n) : NULL;
}

void scope_unknown(Elab *e, Name name)
{
	const char *hint = python_hint(name.text);
	if (hint) elab_fail_help(e, name.loc, "name.unknown", hint, "unknown name `%s`", name.text);
	Candidates c = {0};
	const Frame *f = e->frame;
	for (const Local *l = f ? f->locals : NULL; l; l = l->next) VEC_PUSH(e->arena, c, l->name);
	if (f && f->self && f->self->v.kind == V_MODULE) {
		for (int i = 0; i < f->self->v.u.module->n; i++) VEC_PUSH(e->arena, c, f->self->v.u.module->members[i].name);
	}
	if (f) add_globals(e, &c, f->file);
	add_prelude(e, &c);
	if (f && scope_is_dim_decl(e, f->file, name.text, NULL))
		elab_fail_note(e, name.loc, "name.unknown", "a dimension is known in functions whose parameters or result have it in their types",
		               "`%s` is not a dimension of this function", name.text);
	size_t n;
	if (std_module_text(name.text, &n))
		elab_fail_help(e, name.loc, "name.unknown", arena_printf(e->arena, "write `import %s;` at the top of the file", name.text),
		               "unknown name `%s`", name.text);
	const char *near = strlen(name.text) > 2 ? diag_suggest(name.text, c.at, c.n) : NULL;
	if (near)
		elab_fail_help(e, name.loc, "name.unknown", arena_printf(e->arena, "did you mean `%s`?", near), "unknown name `%s`", name.text);
	elab_fail(e, name.loc, "name.unknown", "unknown name `%s`", name.text);
}

Val scope_member(Elab *e, Scope *s, Name name, bool from_outside)
{
	Val v;
	if (from_outside && name.text[0] == '_') elab_fail(e, name.loc, "member.private", "`%s` is private to `%s`", name.text, s->name);
	if (scope_global(e, s, name.text, &v)) return v;
	const Builtin *b = s->standard ? builtin_find(arena_printf(e->arena, "%s.%s", s->name, name.text)) : NULL;
	if (b) return (Val){.kind = V_BUILTIN, .u.builtin = b}; /* nn.freeze: a row of builtins.def */
	Candidates c = {0};
	add_globals(e, &c, s);
	const char *near = diag_suggest(name.text, c.at, c.n);
	if (near)
		elab_fail_help(e, name.loc, "member.unknown", arena_printf(e->arena, "did you mean `%s`?", near), "`%s` has no `%s`", s->name,
		               name.text);
	elab_fail(e, name.loc, "member.unknown", "`%s` has no `%s`", s->name, name.text);
}

/* --- what the syntax tells ------------------------------------------------------------------------------------------------ */

static void add_name(Elab *e, NameSet *s, const char *name)
{
	if (name && !name_set_has(s, name)) VEC_PUSH(e->arena, *s, name);
}

bool name_set_has(const NameSet *s, const char *name)
{
	for (int i = 0; i < s->n; i++) {
		if (s->at[i] == name) return true;
	}
	return false;
}

/* Visitors: x for each expression (children after it), in nested lambdas only where deep. */
typedef struct Visitor {
	Elab *e;
	NameSet *out;
	void (*expr)(struct Visitor *, const Expr *);
	bool lambdas;
} Visitor;
static void visit_list(Visitor *v, const StmtList *l);
static void visit(Visitor *v, const Expr *x);

static void visit_index(Visitor *v, const IndexList *l)
{
	for (int i = 0; i < l->n; i++) {
		const Index *ix = l->at[i];
		visit(v, ix->expr), visit(v, ix->lo), visit(v, ix->hi), visit(v, ix->step);
	}
}

static void visit(Visitor *v, const Expr *x)
{
	if (!x) return;
	v->expr(v, x);
	switch (x->kind) {
	case EXPR_TUPLE:
	case EXPR_RECORD:
	case EXPR_RECORD_TYPE:
	case EXPR_LIST:
		for (int i = 0; i < x->u.items.n; i++) visit(v, x->u.items.at[i]->value);
		break;
	case EXPR_UNARY: visit(v, x->u.unary.a); break;
	case EXPR_BINARY: visit(v, x->u.binary.a), visit(v, x->u.binary.b); break;
	case EXPR_COMPARE:
		for (int i = 0; i <= x->u.compare.n; i++) visit(v, x->u.compare.operand[i]);
		break;
	case EXPR_IF: visit(v, x->u.cond.cond), visit(v, x->u.cond.a), visit(v, x->u.cond.b); break;
	case EXPR_RANGE: visit(v, x->u.range.lo), visit(v, x->u.range.hi); break;
	case EXPR_LAMBDA:
		if (!v->lambdas) break;
		visit(v, x->u.lambda.body);
		if (x->u.lambda.block) visit_list(v, x->u.lambda.block);
		break;
	case EXPR_CALL:
		visit(v, x->u.call.fn);
		for (int i = 0; i < x->u.call.args.n; i++) visit(v, x->u.call.args.at[i]->value);
		break;
	case EXPR_INDEX: visit(v, x->u.index.base), visit_index(v, &x->u.index.index); break;
	case EXPR_MEMBER: visit(v, x->u.member.base); break;
	default: break;
	}
}

static void add_root(Visitor *v, const Expr *target)
{
	switch (target->kind) {
	case EXPR_NAME: add_name(v->e, v->out, target->u.name.text); break;
	case EXPR_MEMBER: add_root(v, target->u.member.base); break;
	case EXPR_INDEX: add_root(v, target->u.index.base); break;
	case EXPR_TUPLE:
		for (int i = 0; i < target->u.items.n; i++) add_root(v, target->u.items.at[i]->value);
		break;
	default: break;
	}
}

static void visit_stmt(Visitor *v, const Stmt *s, bool targets)
{
	switch (s->kind) {
	case STMT_LET:
	case STMT_VAR: visit(v, s->u.let.value); break;
	case STMT_ASSIGN:
	case STMT_AUGMENT:
		if (targets) add_root(v, s->u.assign.target);
		visit(v, s->u.assign.target), visit(v, s->u.assign.value);
		break;
	case STMT_EXPR:
	case STMT_RETURN: visit(v, s->u.expr); break;
	case STMT_ASSERT: visit(v, s->u.assert_.cond), visit(v, s->u.assert_.message); break;
	case STMT_IF:
		visit(v, s->u.if_.cond), visit_list(v, &s->u.if_.then);
		if (s->u.if_.otherwise) visit_list(v, s->u.if_.otherwise);
		break;
	case STMT_FOR:
		visit(v, s->u.for_.in), visit(v, s->u.for_.step), visit(v, s->u.for_.while_);
		visit_list(v, &s->u.for_.body);
		break;
	case STMT_WHILE: visit(v, s->u.while_.cond), visit_list(v, &s->u.while_.body); break;
	case STMT_WITH: visit(v, s->u.with.what), visit_list(v, &s->u.with.body); break;
	case STMT_ERROR: break;
	}
}

static void inout_roots(Visitor *v, const Expr *x)
{
	if (x->kind != EXPR_CALL) return;
	for (int i = 0; i < x->u.call.args.n; i++) {
		if (x->u.call.args.at[i]->is_inout) add_root(v, x->u.call.args.at[i]->value);
	}
}

static void visit_list(Visitor *v, const StmtList *l)
{
	for (int i = 0; i < l->n; i++) visit_stmt(v, l->at[i], v->expr == inout_roots);
}

void scan_assigned(Elab *e, const StmtList *body, NameSet *out)
{
	Visitor v = {e, out, inout_roots, false};
	visit_list(&v, body);
}

/* Names that are called; those that are looked into, `nn.Linear`, with a point before them. */
static void called_names(Visitor *v, const Expr *x)
{
	const Expr *f = x->kind == EXPR_CALL ? x->u.call.fn : x->kind == EXPR_MEMBER ? x->u.member.base : NULL;
	if (!f || f->kind != EXPR_NAME) return;
	const char *name = f->u.name.text;
	add_name(v->e, v->out, x->kind == EXPR_CALL ? name : elab_intern(v->e, arena_printf(v->e->arena, ".%s", name)));
}

void scan_called(Elab *e, const StmtList *body, NameSet *out)
{
	Visitor v = {e, out, called_names, false};
	visit_list(&v, body);
}

static void plain_names(Visitor *v, const Expr *x)
{
	if (x->kind == EXPR_NAME) add_name(v->e, v->out, x->u.name.text);
}

void scan_expr_names(Elab *e, const Expr *x, NameSet *out)
{
	Visitor v = {e, out, plain_names, true};
	visit(&v, x);
}

bool scan_returns(const StmtList *body)
{
	for (int i = 0; i < body->n; i++) {
		const Stmt *s = body->at[i];
		switch (s->kind) {
		case STMT_RETURN: return true;
		case STMT_IF:
			if (scan_returns(&s->u.if_.then) || (s->u.if_.otherwise && scan_returns(s->u.if_.otherwise))) return true;
			break;
		case STMT_FOR:
			if (scan_returns(&s->u.for_.body)) return true;
			break;
		case STMT_WHILE:
			if (scan_returns(&s->u.while_.body)) return true;
			break;
		case STMT_WITH:
			if (scan_returns(&s->u.with.body)) return true;
			break;
		default: break;
		}
	}
	return false;
}

/* The outer names that a lambda uses, as they are now. */
const Local *scope_capture(Elab *e, const Expr *lambda)
{
	NameSet *names = map_get(&e->free_names, lambda);
	if (!names) {
		names = NEW(e->arena, NameSet);
		scan_expr_names(e, lambda, names);
		map_set(&e->free_names, lambda, names);
	}
	Local *first = NULL;
	for (int i = 0; i < names->n; i++) {
		Local *l = scope_local(e->frame, names->at[i]);
		if (!l) continue;
		Local *c = arena_copy(e->arena, l, sizeof *l);
		c->kind = LOCAL_CAPTURED;
		c->depth = -1;
		c->next = first;
		first = c;
	}
	return first;
}
