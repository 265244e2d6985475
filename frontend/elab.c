/* The elaborator's entry: files, imports, standard modules, recovery from mistakes, and constants.
 *
 * A compilation reads the file, then what it imports (standard modules are texts inside this program), and elaborates each exported
 * function and, on request, each test. Everything else is elaborated where it is used. A mistake unwinds to the declaration being
 * elaborated.
 */
#include "elab_core.h"
#include "../ir/eval.h"
#include <stdlib.h>
#include <string.h>

/* Written by tools/embed from frontend/std/. */
extern const struct {
	const char *name, *text;
	size_t n;
} std_modules[];

const char *std_module_text(const char *name, size_t *n)
{
	for (int i = 0; std_modules[i].name; i++) {
		if (strcmp(std_modules[i].name, name)) continue;
		*n = std_modules[i].n;
		return std_modules[i].text;
	}
	return NULL;
}

const char *elab_intern(Elab *e, const char *s)
{
	return intern_str(&e->strings, s, strlen(s));
}

/* --- mistakes ----------------------------------------------------------------------------------------------------------- */

/* The call sites that led here, innermost first. A call that contains the place itself says nothing new. */
static void note_callers(Elab *e, const Frame *from, Loc at)
{
	int shown = 0;
	Loc last = at;
	for (const Frame *f = from; f && shown < 4; f = f->up) {
		Loc c = f->call_loc;
		bool inside = c.file == at.file && c.begin <= at.begin && at.end <= c.end;
		if (!c.file || inside || (c.file == last.file && c.begin == last.begin)) continue;
		bool named = strncmp(f->name, "a ", 2) != 0; /* not "a lambda" */
		diag_note(e->diag, c, named ? "in `%s`, called here" : "in %s, called here", f->name);
		last = c;
		shown++;
	}
}

/* Frames of the library between a mistake and the user's code: the outermost of them, or NULL. Its call is the line to blame. */
static const Frame *library_entry(Elab *e)
{
	const Frame *entry = NULL;
	for (const Frame *f = e->frame; f && f->file && f->file->standard; f = f->up)
		if (f->call_loc.file) entry = f;
	return entry && entry->up && entry->up->file && !entry->up->file->standard ? entry : NULL;
}

Loc elab_user_place(Elab *e, Loc loc)
{
	const Frame *entry = library_entry(e);
	return entry ? entry->call_loc : loc;
}

static void report(Elab *e, DiagClass class, Loc loc, const char *label, const char *note, const char *help, const char *fmt, va_list ap)
{
	const Frame *entry = library_entry(e);
	if (entry && entry->call_loc.file == loc.file) entry = NULL; /* the place is the user's already */
	Loc at = entry ? entry->call_loc : loc;
	diag_v(e->diag, class, at, label, fmt, ap);
	if (note) diag_note(e->diag, NO_LOC, "%s", note);
	if (help) diag_help(e->diag, "%s", help);
	if (entry) diag_note(e->diag, loc, "found in `%s` of the library", e->frame->name);
	note_callers(e, entry ? entry->up : e->frame, at);
}

static _Noreturn void unwind(Elab *e)
{
	if (!e->recover) abort();
	longjmp(*e->recover, 1);
}

static _Noreturn void fail_v(Elab *e, DiagClass class, Loc loc, const char *label, const char *note, const char *fmt, va_list ap)
{
	if (!e->quiet) report(e, class, loc, label, note, NULL, fmt, ap);
	va_end(ap);
	unwind(e);
}

void elab_fail(Elab *e, Loc loc, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_v(e, DIAG_ERROR, loc, label, NULL, fmt, ap);
}

void elab_fail_note(Elab *e, Loc loc, const char *label, const char *note, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_v(e, DIAG_ERROR, loc, label, note, fmt, ap);
}

void elab_fail_help(Elab *e, Loc loc, const char *label, const char *help, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!e->quiet) report(e, DIAG_ERROR, loc, label, NULL, help, fmt, ap);
	va_end(ap);
	unwind(e);
}

void elab_limitation(Elab *e, Loc loc, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fail_v(e, DIAG_LIMITATION, loc, label, NULL, fmt, ap);
}

void elab_warn(Elab *e, Loc loc, const char *label, const char *fmt, ...)
{
	if (e->quiet) return;
	va_list ap;
	va_start(ap, fmt);
	diag_v(e->diag, DIAG_WARNING, loc, label, fmt, ap);
	va_end(ap);
}

_Noreturn void elab_unwind(Elab *e)
{
	unwind(e);
}

Context context_save(const Elab *e)
{
	return (Context){e->frame, e->b, e->func, e->facts, e->facts_open, e->training, e->const_depth, e->call_depth, e->loop_indices};
}

void context_restore(Elab *e, const Context *c)
{
	e->frame = c->frame, e->b = c->b, e->func = c->func, e->facts = c->facts;
	e->facts_open = c->facts_open, e->training = c->training, e->const_depth = c->const_depth, e->call_depth = c->call_depth;
	e->loop_indices = c->loop_indices;
}

void context_enter_func(Elab *e, Func *f)
{
	e->func = f;
	e->b = builder_at(f);
	e->b.facts = e->facts;
}

bool elab_protect(Elab *e, void (*fn)(Elab *e, void *ctx), void *ctx)
{
	jmp_buf here;
	jmp_buf *volatile outer = e->recover;
	volatile Context saved = context_save(e);
	volatile int quiet = e->quiet;
	if (setjmp(here)) {
		Context c = saved;
		context_restore(e, &c);
		e->quiet = quiet;
		e->recover = outer;
		return false;
	}
	e->recover = &here;
	fn(e, ctx);
	e->recover = outer;
	return true;
}

/* --- services ------------------------------------------------------------------------------------------------------------- */

Builder *elab_builder(Elab *e)
{
	return &e->b;
}
Module *elab_module(Elab *e)
{
	return e->m;
}
Arena *elab_arena(Elab *e)
{
	return e->arena;
}
DimCtx *elab_dims(Elab *e)
{
	return e->m->dims;
}
const DimFacts *elab_facts(Elab *e)
{
	return e->facts;
}

char *elab_source(Elab *e, Loc loc)
{
	size_t n;
	const char *text = loc.file ? diag_file_text(e->diag, loc.file, &n) : NULL;
	if (!text || loc.end > n) return arena_strdup(e->arena, "");
	char *s = arena_strndup(e->arena, text + loc.begin, loc.end - loc.begin), *w = s;
	for (char *r = s; *r; r++) {
		bool space = *r == '\n' || *r == '\t' || *r == ' ';
		if (space && w > s && w[-1] == ' ') continue;
		*w++ = space ? ' ' : *r;
	}
	*w = 0;
	return s;
}

const char *elab_source_dir(Elab *e, Loc loc)
{
	for (Scope *s = e->scopes; s; s = s->next) {
		if (s->file->file == loc.file) return s->dir;
	}
	return ".";
}

Val elab_std(Elab *e, const char *module, const char *name)
{
	Scope *s = elab_scope_std(e, module);
	Val v;
	if (s && scope_global(e, s, elab_intern(e, name), &v)) return v;
	diag(e->diag, DIAG_BUG, e->b.loc, "internal.std", "the standard module `%s` has no `%s`", module, name);
	unwind(e);
}

/* --- files ---------------------------------------------------------------------------------------------------------------- */

static char *stem(Arena *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
	char *s = arena_strndup(a, base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
	for (char *p = s; *p; p++) {
		bool ok = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_';
		if (!ok) *p = '_';
	}
	return (*s >= '0' && *s <= '9') || !*s ? arena_printf(a, "m%s", s) : s;
}

static const char *decl_name(Elab *e, const Decl *d)
{
	/* `import "dir/gpt.mx";` is known as gpt */
	if (d->kind == DECL_IMPORT && d->u.import.path && !(d->name.text && *d->name.text)) return stem(e->arena, d->u.import.path);
	switch (d->kind) {
	case DECL_CONST:
	case DECL_MODULE:
	case DECL_KERNEL:
	case DECL_EXTERN:
	case DECL_IMPORT:
	case DECL_FN: return d->name.text;
	default: return NULL;
	}
}

/* The table of a file's names. A name declared twice is reported once, at the second place. */
static void scope_fill(Elab *e, Scope *s)
{
	VEC(Global) v = {0};
	for (int i = 0; i < s->file->ndecls; i++) {
		const Decl *d = s->file->decls[i];
		const char *name = decl_name(e, d);
		if (!name || !*name) continue;
		bool twice = false;
		Loc at = d->name.loc.file ? d->name.loc : d->loc;
		for (int k = 0; k < v.n && !twice; k++) {
			if (v.at[k].name != elab_intern(e, name)) continue;
			diag(e->diag, DIAG_ERROR, at, "name.twice", "`%s` is declared twice", name);
			diag_note(e->diag, v.at[k].loc, "the first declaration of `%s`", name);
			twice = true;
		}
		if (!twice) VEC_PUSH(e->arena, v, ((Global){.name = elab_intern(e, name), .decl = d, .loc = at}));
	}
	s->globals = v.at;
	s->n = v.n;
}

static Scope *scope_add(Elab *e, const char *name, const char *dir, const char *shown, const char *text, size_t n, bool standard)
{
	Scope *s = NEW(e->arena, Scope);
	uint32_t file = diag_add_file(e->diag, shown, text, n);
	s->name = arena_strdup(e->arena, name);
	s->dir = arena_strdup(e->arena, dir);
	s->standard = standard;
	s->file = parse_file(e->arena, &e->strings, e->diag, file);
	s->next = e->scopes;
	e->scopes = s;
	scope_fill(e, s);
	return s;
}

Scope *elab_scope_std(Elab *e, const char *name)
{
	for (Scope *s = e->scopes; s; s = s->next) {
		if (s->standard && !strcmp(s->name, name)) return s;
	}
	size_t n;
	const char *text = std_module_text(name, &n);
	if (!text) return NULL;
	return scope_add(e, name, ".", arena_printf(e->arena, "std/%s.mx", name), text, n, true);
}

static char *read_text(Elab *e, const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	if (!f) return NULL;
	StrBuf b;
	sb_init(&b, e->arena);
	char chunk[4096];
	size_t k;
	while ((k = fread(chunk, 1, sizeof chunk, f)) > 0) sb_putn(&b, chunk, k);
	bool bad = ferror(f);
	fclose(f);
	if (bad) return NULL;
	*n = b.n;
	return (char *)sb_text(&b);
}

Scope *elab_scope_file(Elab *e, const char *path, const char *shown, Loc loc)
{
	for (Scope *s = e->scopes; s; s = s->next) {
		if (!s->standard && !strcmp(s->name, path)) return s;
	}
	size_t n = 0;
	const char *text = read_text(e, path, &n);
	if (!text) {
		diag(e->diag, DIAG_ERROR, loc, "import.not_found", "cannot read `%s`", shown);
		return NULL;
	}
	const char *slash = strrchr(path, '/');
	const char *dir = slash ? arena_strndup(e->arena, path, (size_t)(slash - path) + (slash == path)) : ".";
	return scope_add(e, path, dir, shown, text, n, false);
}

/* --- constants ------------------------------------------------------------------------------------------------------------ */

static Val leaf_here(Elab *e, void *ctx, Val v)
{
	if (v.kind != V_TENSOR || !e->func || v.u.tensor->block->func == e->func) return v;
	const Tensor *t = value_const(v.u.tensor);
	if (!t) return v;
	Loc loc = e->b.loc;
	Val r = val_tensor(ir_const(&e->b, t));
	e->b.loc = loc;
	r.weak = v.weak;
	r.loc = v.loc;
	return r;
}

Val elab_here(Elab *e, Val v)
{
	return val_map_captured(e, v, leaf_here, NULL);
}

typedef struct Fold {
	Value **values;
	int n, cap;
	Tensor **to;
	Func *func;
} Fold;

static Val leaf_collect(Elab *e, void *ctx, Val v)
{
	Fold *f = ctx;
	if (v.kind != V_TENSOR || v.u.tensor->block->func != f->func || value_const(v.u.tensor)) return v;
	for (int i = 0; i < f->n; i++) {
		if (f->values[i] == v.u.tensor) return v;
	}
	if (f->n == f->cap) f->values = vec_grow(e->arena, f->values, f->n, &f->cap, sizeof *f->values);
	f->values[f->n++] = v.u.tensor;
	return v;
}

static Val leaf_folded(Elab *e, void *ctx, Val v)
{
	Fold *f = ctx;
	if (v.kind != V_TENSOR) return v;
	for (int i = 0; i < f->n; i++) {
		if (f->values[i] != v.u.tensor) continue;
		Val r = val_tensor(ir_const(&e->b, f->to[i]));
		r.loc = v.loc;
		return r;
	}
	return v;
}

/* The tensors in v, values of the scratch function, computed now and put in as constants. */
Val elab_fold_tensors(Elab *e, Func *scratch, Val v, Loc loc, const char *what)
{
	Fold f = {.func = scratch};
	val_map_captured(e, v, leaf_collect, &f);
	if (!f.n) return v;
	func_set_results(scratch, f.values, f.n);
	f.to = NEW_ARRAY(e->arena, Tensor *, f.n);
	const char *why = NULL;
	EvalHooks hooks = {.max_steps = 4000000};
	EvalStatus s = ir_eval(e->arena, scratch, NULL, NULL, f.to, &hooks, &why);
	if (s == EVAL_ASSERT) elab_fail(e, loc, "const.assert", "an assert fails in %s: %s", what, why ? why : "");
	if (s != EVAL_OK)
		elab_fail(e, loc, "const.value", "%s is not known while compiling: %s", what, why ? why : "it depends on a dimension");
	return val_map_captured(e, v, leaf_folded, &f);
}

/* Evaluates fn in a scratch function without caller. The scratch function is no part of the module: its constants are copied where they are
 * used. */
Val elab_constant(Elab *e, Val (*fn)(Elab *e, void *ctx), void *ctx, Loc loc, const char *what)
{
	Context saved = context_save(e);
	Func *scratch = func_new(e->m, "constant");
	for (int i = e->m->funcs.n - 1; i >= 0; i--) {
		if (e->m->funcs.at[i] != scratch) continue;
		memmove(&e->m->funcs.at[i], &e->m->funcs.at[i + 1], sizeof(Func *) * (size_t)(e->m->funcs.n - 1 - i));
		e->m->funcs.n--;
		break;
	}
	e->frame = NULL;
	e->facts = dim_facts_new(e->m->dims);
	e->facts_open = false;
	e->training = false;
	e->const_depth = saved.const_depth + 1;
	scratch->facts = e->facts;
	context_enter_func(e, scratch);
	Val v = elab_fold_tensors(e, scratch, fn(e, ctx), loc, what);
	context_restore(e, &saved);
	return v;
}

/* --- the entry ------------------------------------------------------------------------------------------------------------ */

static bool wanted_entry(Elab *e, const char *name)
{
	for (int i = 0; i < e->o.nentry; i++) {
		if (!strcmp(e->o.entry[i], name)) return true;
	}
	return e->o.nentry == 0;
}

typedef struct DeclJob {
	Scope *s;
	const Decl *d;
} DeclJob;
static void run_export(Elab *e, void *ctx)
{
	export_function(e, ((DeclJob *)ctx)->s, ((DeclJob *)ctx)->d);
}
static void run_test(Elab *e, void *ctx)
{
	test_function(e, ((DeclJob *)ctx)->s, ((DeclJob *)ctx)->d);
}
static void run_global(Elab *e, void *ctx)
{
	DeclJob *j = ctx;
	Val v;
	scope_global(e, j->s, elab_intern(e, decl_name(e, j->d)), &v);
}

static void check_entries(Elab *e, Scope *s)
{
	VEC(const char *) names = {0};
	for (int i = 0; i < s->file->ndecls; i++) {
		const Decl *d = s->file->decls[i];
		if (d->kind == DECL_FN && d->u.fn->exported) VEC_PUSH(e->arena, names, d->name.text);
	}
	for (int i = 0; i < e->o.nentry; i++) {
		bool found = false;
		for (int k = 0; k < names.n; k++) found |= !strcmp(names.at[k], e->o.entry[i]);
		if (found) continue;
		diag(e->diag, DIAG_ERROR, NO_LOC, "entry.unknown", "there is no exported function `%s`", e->o.entry[i]);
		const char *near = diag_suggest(e->o.entry[i], names.at, names.n);
		if (near) diag_help(e->diag, "did you mean `%s`?", near);
	}
}

/* Each --weights must name a parameter of a function that is compiled: a misspelt one would leave the parameter in the C function. */
static void check_weights(Elab *e, Scope *s)
{
	for (int i = 0; i < e->o.nweights; i++) {
		VEC(const char *) names = {0};
		bool found = false;
		for (int k = 0; k < s->file->ndecls; k++) {
			const Decl *d = s->file->decls[k];
			if (d->kind != DECL_FN || !d->u.fn->exported || !wanted_entry(e, d->name.text)) continue;
			for (int j = 0; j < d->u.fn->params.n; j++) VEC_PUSH(e->arena, names, d->u.fn->params.at[j]->name.text);
		}
		for (int k = 0; k < names.n; k++) found |= !strcmp(names.at[k], e->o.weight_name[i]);
		if (found) continue;
		diag(e->diag, DIAG_ERROR, NO_LOC, "weights.unknown", "--weights: no exported function that is compiled has a parameter `%s`",
		     e->o.weight_name[i]);
		const char *near = diag_suggest(e->o.weight_name[i], names.at, names.n);
		if (near) diag_help(e->diag, "did you mean `%s`?", near);
	}
}

/* Exports, constants (so that a mistake in one shows even if nothing uses it), and tests. */
static void elaborate_file(Elab *e, Scope *s)
{
	map_init(&e->exports, e->arena);
	for (int i = 0; i < s->file->ndecls; i++) {
		const Decl *d = s->file->decls[i];
		if (d->kind != DECL_FN || !d->u.fn->exported || e->o.no_exports || !wanted_entry(e, d->name.text)) continue;
		Func *f = func_new(e->m, d->name.text);
		f->exported = true;
		map_set(&e->exports, d, f);
	}
	for (int i = 0; i < s->file->ndecls; i++) {
		DeclJob j = {s, s->file->decls[i]};
		if (j.d->kind == DECL_CONST || j.d->kind == DECL_IMPORT) {
			elab_protect(e, run_global, &j);
		} else if (map_get(&e->exports, j.d)) {
			elab_protect(e, run_export, &j);
		} else if (j.d->kind == DECL_TEST && e->o.tests) {
			elab_protect(e, run_test, &j);
		}
	}
}

static void mark_func(Elab *e, Func *f, Map *seen);
static void mark_block(Elab *e, const Block *b, Map *seen)
{
	for (const Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nattr; i++) {
			if (attr_kind(op->attrs[i].key) == AK_FUNC) mark_func(e, op->attrs[i].v.func, seen);
		}
		for (int i = 0; i < op->nregion; i++) mark_block(e, op->region[i], seen);
	}
}

static void mark_func(Elab *e, Func *f, Map *seen)
{
	if (!f || map_get(seen, f)) return;
	map_set(seen, f, f);
	mark_block(e, f->body, seen);
	mark_func(e, f->rule_jvp, seen), mark_func(e, f->rule_vjp_fwd, seen);
	mark_func(e, f->rule_vjp_bwd, seen), mark_func(e, f->rule_vmap, seen);
}

/* Functions that trials and constants left behind go. */
static void drop_unreachable(Elab *e)
{
	Map seen;
	map_init(&seen, e->arena);
	for (int i = 0; i < e->m->funcs.n; i++) {
		Func *f = e->m->funcs.at[i];
		if (f->exported || f->is_test) mark_func(e, f, &seen);
	}
	int k = 0;
	for (int i = 0; i < e->m->funcs.n; i++) {
		if (map_get(&seen, e->m->funcs.at[i])) e->m->funcs.at[k++] = e->m->funcs.at[i];
	}
	e->m->funcs.n = k;
}

Module *frontend_compile(Arena *a, Diag *d, const char *path, FrontendOptions o)
{
	Elab *e = NEW(a, Elab);
	e->arena = a, e->diag = d, e->o = o;
	e->m = module_new(a, d, stem(a, path));
	intern_init(&e->strings, a);
	map_init(&e->free_names, a);
	map_init(&e->called, a);
	e->prelude = elab_scope_std(e, "prelude");
	Scope *s = elab_scope_file(e, path, path, NO_LOC);
	if (!s) return NULL;
	check_entries(e, s);
	if (!e->o.no_exports) check_weights(e, s);
	if (!s->file->had_errors && diag_exit_code(d) == 0) elaborate_file(e, s);
	if (diag_exit_code(d) != 0) return NULL;
	drop_unreachable(e);
	return e->m;
}
