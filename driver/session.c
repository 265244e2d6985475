/* Loading a program and running the passes on it. */
#include <string.h>
#include "../passes/loop.h"
#include "driver.h"

int session_fail(Session *s, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(s->diag, DIAG_ERROR, NO_LOC, label, fmt, ap);
	va_end(ap);
	return 1;
}

int session_code(Session *s)
{
	diag_flush(s->diag);
	return diag_exit_code(s->diag);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && !strcmp(s + n - k, end);
}

static Module *load_ir(Session *s)
{
	char *text;
	size_t n;
	const char *why;
	if (!file_read(s->arena, s->o->input, &text, &n, &why)) {
		session_fail(s, "file.read", "`%s`: %s", s->o->input, why);
		return NULL;
	}
	uint32_t file = diag_add_file(s->diag, s->o->input, text, n);
	Module *m = NULL;
	if (!strcmp(ir_read_stage(s->arena, s->diag, file), "loops")) {
		s->program = loops_read(s->arena, s->diag, file);
		m = s->program ? s->program->m : NULL;
	} else m = ir_read(s->arena, s->diag, file);
	if (!m || (s->program ? !loops_verify(s->program, true) : !ir_verify(m, true))) return NULL;
	if (m->name && *m->name) return m;
	const char *slash = strrchr(s->o->input, '/'), *base = slash ? slash + 1 : s->o->input;
	m->name = arena_strndup(s->arena, base, strlen(base) - 3);
	return m;
}

Module *session_load(Session *s, bool tests)
{
	const Options *o = s->o;
	if (ends_with(o->input, ".ir")) {
		if (o->weights.n) return session_fail(s, "cli.weights", "--weights needs an .mx file"), NULL;
		return load_ir(s);
	}
	if (!ends_with(o->input, ".mx")) return session_fail(s, "cli.input", "`%s`: the name must end with .mx or .ir", o->input), NULL;
	FrontendOptions f = {.tests = tests, .no_exports = tests && o->command == CMD_TEST};
	const char **names = NEW_ARRAY(s->arena, const char *, o->weights.n), **files = NEW_ARRAY(s->arena, const char *, o->weights.n);
	for (int i = 0; i < o->weights.n; i++) names[i] = o->weights.at[i].name, files[i] = o->weights.at[i].value;
	f.weight_name = names, f.weight_file = files, f.nweights = o->weights.n;
	const char *const *entry = o->function ? &o->function : o->entry.at;
	f.entry = entry, f.nentry = o->function ? 1 : o->entry.n;
	Module *m = frontend_compile(s->arena, s->diag, o->input, f);
	return m && diag_exit_code(s->diag) == 0 ? m : NULL;
}

bool session_passes(Session *s, Module *m, StrBuf *report)
{
	PassCtx c = {.m = m, .scratch = arena_child(s->arena), .o = &s->o->passes, .report = report, .program = s->program};
	bool ok = passes_run(&c) && diag_exit_code(s->diag) == 0;
	s->program = c.program;
	arena_free(c.scratch);
	return ok;
}

void session_fresh_diag(Session *s, Module *m)
{
	Diag *old = s->diag;
	size_t n;
	s->diag = m->diag = diag_new(s->arena, stderr);
	for (uint32_t i = 1; diag_file_name(old, i); i++) {
		const char *text = diag_file_text(old, i, &n);
		diag_add_file(s->diag, diag_file_name(old, i), text, n);
	}
}

static void list_exports(Session *s, const Module *m, const char *name)
{
	const char **names = NEW_ARRAY(s->arena, const char *, m->funcs.n);
	StrBuf b;
	int n = 0;
	sb_init(&b, s->arena);
	for (int i = 0; i < m->funcs.n; i++)
		if (m->funcs.at[i]->exported) {
			sb_printf(&b, "%s`%s`", n ? ", " : "", m->funcs.at[i]->name);
			names[n++] = m->funcs.at[i]->name;
		}
	if (n) diag_note(s->diag, NO_LOC, "it exports %s", sb_text(&b));
	const char *near = name ? diag_suggest(name, names, n) : NULL;
	if (near) diag_help(s->diag, "did you mean `%s`?", near);
}

Func *session_function(Session *s, Module *m, const char *name)
{
	Func *found = NULL;
	int n = 0;
	for (int i = 0; i < m->funcs.n; i++)
		if (m->funcs.at[i]->exported && (!name || !strcmp(m->funcs.at[i]->name, name))) found = m->funcs.at[i], n++;
	if (n == 1) return found;
	if (name) session_fail(s, "run.function", "`%s` exports no function `%s`", s->o->input, name);
	else if (n)
		session_fail(s, "run.function", "`%s` exports %d functions: say which, as in `%s:%s`", s->o->input, n, s->o->input, found->name);
	else session_fail(s, "run.function", "`%s` exports no function", s->o->input);
	list_exports(s, m, name);
	return NULL;
}

int cmd_check(Session *s)
{
	session_load(s, true);
	return session_code(s);
}
