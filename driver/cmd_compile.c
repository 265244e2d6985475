/* mlxcc FILE.mx -o FILE.c: the pipeline from text to C, or to one of the texts between. Nothing is written unless all went well. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../codegen/codegen.h"
#include "../passes/loop.h"
#include "driver.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* model.c -> model.h; another ending keeps it: model.cc -> model.cc.h */
static const char *header_path(Arena *a, const char *c)
{
	size_t n = strlen(c);
	if (n > 2 && !strcmp(c + n - 2, ".c")) return arena_printf(a, "%.*s.h", (int)n - 2, c);
	return arena_printf(a, "%s.h", c);
}

static CodegenOptions codegen_options(Session *s, const char *header)
{
	return (CodegenOptions){.prefix = s->o->prefix,
	                        .threads = s->o->passes.threads,
	                        .profile = s->o->profile,
	                        .target = s->o->passes.target,
	                        .target_flags = s->o->target_flags,
	                        .header_name = header,
	                        .command = arena_printf(s->arena, "mlxcc %s", base_name(s->o->input)),
	                        .no_fma = s->o->no_fma,
	                        .check = s->o->check};
}

static int write_text(Session *s, const char *path, StrBuf *b)
{
	const char *why;
	if (!path || !strcmp(path, "-")) {
		if (fwrite(sb_text(b), 1, b->n, stdout) == b->n && !fflush(stdout)) return 0;
		return session_fail(s, "file.write", "cannot write to standard output");
	}
	if (file_write(s->arena, path, sb_text(b), b->n, &why)) return 0;
	return session_fail(s, "file.write", "`%s`: %s", path, why);
}

static int emit(Session *s, Module *m, const char *kind)
{
	const Options *o = s->o;
	bool early = (!strcmp(kind, "ir") || !strcmp(kind, "dot")) && !o->passes.stop_after;
	StrBuf out;
	sb_init(&out, s->arena);
	if (!early && !session_passes(s, m, !strcmp(kind, "report") ? &out : NULL)) return session_code(s);
	if (s->program && (!strcmp(kind, "loops") || !strcmp(kind, "ir"))) {
		loops_print(&out, s->program, (PrintOptions){.no_loc = o->passes.no_loc});
	} else if (!strcmp(kind, "ir")) {
		ir_print_module(&out, m, (PrintOptions){.no_loc = o->passes.no_loc});
	} else if (!strcmp(kind, "dot")) {
		dot_print(&out, m);
	} else if (!s->program) {
		return session_fail(s, "cli.emit", "--emit=%s needs the passes up to the loops, and they end with `%s`", kind,
		                    o->passes.stop_after ? o->passes.stop_after : "nothing");
	} else {
		const char *c = o->out && strcmp(o->out, "-") ? o->out : arena_printf(s->arena, "%s.c", m->name);
		CodegenOptions g = codegen_options(s, base_name(!strcmp(kind, "h") ? c : header_path(s->arena, c)));
		if (!strcmp(kind, "c")) codegen_c(&out, s->program, g);
		else if (!strcmp(kind, "h")) codegen_header(&out, s->program, g);
		else codegen_report(&out, s->program);
	}
	if (session_code(s)) return session_code(s);
	return write_text(s, o->out, &out);
}

static int emit_c(Session *s, Module *m)
{
	StrBuf c, h;
	struct stat st;
	const char *out = s->o->out, *why, *header = header_path(s->arena, out);
	if (!session_passes(s, m, NULL)) return session_code(s);
	if (!s->program) return session_fail(s, "cli.emit", "--stop-after=%s ends before there is C: add --emit=ir", s->o->passes.stop_after);
	sb_init(&c, s->arena), sb_init(&h, s->arena);
	codegen_c(&c, s->program, codegen_options(s, base_name(header)));
	codegen_header(&h, s->program, codegen_options(s, base_name(header)));
	if (session_code(s)) return session_code(s);
	/* a device (/dev/null) has no header beside it */
	bool beside = stat(out, &st) < 0 || S_ISREG(st.st_mode);
	if (beside && !file_write(s->arena, header, sb_text(&h), h.n, &why)) return session_fail(s, "file.write", "`%s`: %s", header, why);
	if (file_write(s->arena, out, sb_text(&c), c.n, &why)) return 0;
	if (beside) unlink(header);
	return session_fail(s, "file.write", "`%s`: %s", out, why);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int cmd_compile(Session *s)
{
	const Options *o = s->o;
	if (o->out && same_file(o->out, o->input))
		return session_fail(s, "cli.output", "-o names the program itself, `%s`: it would be overwritten", o->input);
	if (!o->out && !o->emit) {
		session_fail(s, "cli.output", "no output: where shall the C go?");
		const char *base = base_name(o->input), *dot = strrchr(base, '.');
		diag_help(s->diag, "-o %.*s.c", (int)(dot ? dot - base : (long)strlen(base)), base);
		return 1;
	}
	if (o->out && !o->emit) {
		size_t n = strlen(o->out);
		if (n > 2 && !strcmp(o->out + n - 2, ".h"))
			return session_fail(s, "cli.output", "-o names the C file; the header is written beside it");
		if (n > 3 && (!strcmp(o->out + n - 3, ".mx") || !strcmp(o->out + n - 3, ".ir")))
			return session_fail(s, "cli.output", "-o `%s`: this is the name of a program, not of a C file", o->out);
	}
	Module *m = session_load(s, false);
	if (!m) return session_code(s);
	return o->emit ? emit(s, m, o->emit) : emit_c(s, m);
}
