/* The emitted files: banner, includes, support functions, constants, kernels and functions; and the header. */
#include <ctype.h>
#include <string.h>
#include "../passes/c_names.h"
#include "emit.h"
#include "profile.h"
#include "prune.h"

void emit_line(Emit *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (*fmt != '#')
		for (int i = 0; i < e->indent; i++) sb_putc(e->out, '\t');
	sb_vprintf(e->out, fmt, ap);
	sb_putc(e->out, '\n');
	va_end(ap);
}

const char *emit_symbol(Emit *e, const char *hint)
{
	StrBuf b;
	sb_init(&b, e->a);
	sb_printf(&b, "%s_", e->prefix);
	for (const char *s = hint; *s; s++) sb_putc(&b, isalnum((unsigned char)*s) ? *s : '_');
	const char *base = arena_strdup(e->a, sb_text(&b));
	for (int k = 1;; k++) {
		const char *name = module_str(e->m, k > 1 ? arena_printf(e->a, "%s_%d", base, k) : base);
		if (map_get(&e->symbols, name)) continue;
		map_set(&e->symbols, name, (void *)name);
		return name;
	}
}

const char *emit_place(Emit *e, Loc loc)
{
	const char *file = diag_file_name(e->m->diag, loc.file);
	int line, col;
	if (!file) return NULL;
	diag_line_col(e->m->diag, loc.file, loc.begin, &line, &col);
	const char *slash = strrchr(file, '/');
	return module_str(e->m, arena_printf(e->a, "%s:%d", slash ? slash + 1 : file, line));
}

const char *emit_dim_name(Emit *e, const char *symbol)
{
	return c_variable_name(e->a, symbol);
}

static const char *dim_name(void *ctx, const char *symbol)
{
	return emit_dim_name(ctx, symbol);
}

bool emit_is_taken(Emit *e, const char *name)
{
	return map_get(&e->f->names, module_str(e->m, name)) != NULL;
}

const char *emit_dim(Emit *e, Dim d)
{
	StrBuf b;
	sb_init(&b, e->a);
	dim_print_c(&b, d, dim_name, e);
	return arena_strdup(e->a, sb_text(&b));
}

static Emit emit_new(Program *p, CodegenOptions o)
{
	Emit e = {.a = p->m->arena, .m = p->m, .p = p, .o = o};
	StrBuf b;
	sb_init(&b, e.a);
	const char *name = o.prefix ? o.prefix : p->m->name;
	if (isdigit((unsigned char)*name)) sb_put(&b, "m");
	for (const char *s = name; *s; s++) sb_putc(&b, isalnum((unsigned char)*s) ? *s : '_');
	if (!strcmp(sb_text(&b), "mx") || !strncmp(sb_text(&b), "mx_", 3))
		sb_putc(&b, '_'); /* mx_clamp and the like are the support functions' */
	e.prefix = arena_strdup(e.a, sb_text(&b));
	char *up = arena_strdup(e.a, e.prefix);
	for (char *s = up; *s; s++) *s = (char)toupper((unsigned char)*s);
	e.PREFIX = up;
	e.constants = NEW(e.a, StrBuf);
	e.code = NEW(e.a, StrBuf);
	sb_init(e.constants, e.a), sb_init(e.code, e.a);
	map_init(&e.text, e.a), map_init(&e.uses, e.a), map_init(&e.refs, e.a), map_init(&e.symbols, e.a), map_init(&e.counted, e.a);
	return e;
}

static bool is_entry(const LoopFunc *f)
{
	return f->func->exported || f->func->is_test;
}

static bool uses_complex(const Program *p)
{
	for (int i = 0; i < p->funcs.n; i++)
		for (int k = 0; k < p->funcs.at[i]->bufs.n; k++)
			if (p->funcs.at[i]->bufs.at[k]->type->dtype == DT_c64) return true;
	return false;
}

static void name_functions(Emit *e)
{
	for (int i = 0; i < e->p->funcs.n; i++) {
		LoopFunc *f = e->p->funcs.at[i];
		if (is_entry(f)) {
			const char *s = module_str(e->m, arena_printf(e->a, "%s_%s", e->prefix, f->func->name));
			map_set(&e->symbols, s, (void *)s);
		}
	}
	for (int i = 0; i < e->p->funcs.n; i++)
		if (!is_entry(e->p->funcs.at[i])) map_set(&e->refs, e->p->funcs.at[i], (void *)emit_symbol(e, e->p->funcs.at[i]->func->name));
}

static void put_arena_prototype(Emit *e, StrBuf *out, const Func *f)
{
	sb_printf(out, "size_t %s_%s_arena_bytes(", e->prefix, f->name);
	for (int i = 0; i < f->ndims; i++) sb_printf(out, "%sptrdiff_t %s", i ? ", " : "", emit_dim_name(e, f->dims[i]));
	sb_printf(out, "%s)", f->ndims ? "" : "void");
}

bool text_mentions(const char *text, const char *name)
{
	size_t n = strlen(name);
	for (const char *s = strstr(text, name); s; s = strstr(s + 1, name))
		if ((s == text || !(isalnum((unsigned char)s[-1]) || s[-1] == '_')) && !(isalnum((unsigned char)s[n]) || s[n] == '_')) return true;
	return false;
}

/* size_t P_f_arena_bytes(dims): the formula of the plan. */
static void put_arena_function(Emit *e, StrBuf *out, const LoopFunc *lf)
{
	const Func *f = lf->func;
	const char *size = emit_dim(e, lf->arena);
	put_arena_prototype(e, out, f);
	sb_put(out, "\n{\n");
	for (int i = 0; i < f->ndims; i++)
		if (!text_mentions(size, emit_dim_name(e, f->dims[i]))) sb_printf(out, "\t(void)%s;\n", emit_dim_name(e, f->dims[i]));
	sb_printf(out, "\treturn (size_t)%s;\n}\n\n", size);
}

/* For which processor, how to compile for it, and the check that this was done. */
static void put_target(StrBuf *out, CodegenOptions o)
{
	const Target *t = o.target;
	const char *flags = o.target_flags ? o.target_flags : "";
	if (!t || !t->lanes) return;
	sb_printf(out, "/* Made for --target-cpu=%s (%s): compile with -O2%s%s. */\n", t->name, t->doc, *flags ? " " : "", flags);
	if (!*t->macros) return;
	sb_put(out, "#if !(defined __GNUC__");
	for (const char *w = t->macros; *w;) {
		size_t n = strcspn(w, " ");
		sb_printf(out, " && defined %.*s", (int)n, w);
		w += n + (w[n] == ' ');
	}
	sb_printf(out, ")\n#error \"made for --target-cpu=%s: compile with gcc or clang and %s\"\n#endif\n", t->name, flags);
}

void codegen_c(StrBuf *out, Program *p, CodegenOptions o)
{
	Emit e = emit_new(p, o);
	StrBuf structs;
	sb_init(&structs, e.a);
	emit_structs(&e, &structs);
	name_functions(&e);
	for (int i = 0; i < p->funcs.n; i++) {
		emit_func(&e, p->funcs.at[i]);
		if (is_entry(p->funcs.at[i])) put_arena_function(&e, e.code, p->funcs.at[i]);
	}
	StrBuf text, support;
	sb_init(&text, e.a), sb_init(&support, e.a);
	sb_put(&text, sb_text(e.constants));
	sb_put(&text, sb_text(e.code));
	profile_source(&e, &text);
	const char *code = prune_text(e.a, o.target, sb_text(&text));
	codegen_support(&support, e.a, o.target, code, !uses_complex(p)); /* else the header has them */
	sb_printf(out, "/* Written by %s. C99; needs nothing but libm. */\n", o.command ? o.command : "mlxcc");
	put_target(out, o);
	if (o.profile)
		sb_put(out, "#if !defined MX_CLOCK && !defined _POSIX_C_SOURCE\n#define _POSIX_C_SOURCE 199309L /* clock_gettime */\n#endif\n");
	sb_put(out, "#include <math.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n");
	if (o.header_name) sb_printf(out, "#include \"%s\"\n", o.header_name);
	sb_put(out, o.no_fma
	                ? "\n#ifdef __clang__\n#pragma STDC FP_CONTRACT OFF\n#endif\n"
	                : "\n/* a * b + c may round once: --fma=off leaves this out */\n#if defined __clang__\n#pragma STDC FP_CONTRACT ON\n"
	                  "#elif defined __GNUC__\n#pragma GCC optimize(\"fp-contract=fast\")\n#endif\n");
	sb_put(out, "#ifdef __cplusplus\n#define restrict __restrict\n#endif\n");
	if (strstr(sb_text(&text), "MX_W") || strstr(sb_text(&support), "MX_W")) /* each width needs others of the support functions */
		sb_put(out, "#ifdef __clang__\n#pragma clang diagnostic ignored \"-Wunused-function\"\n#endif\n");
	/* gcc 12 at -O3 forgets, where it inlines two kernels into one function, that their restrict parameters may name the same memory:
	 * tests/test_fuzz_programs.py, seed 100. */
	sb_put(out,
	       "#if defined(__GNUC__) && !defined(__clang__)\n#define MX_KERNEL __attribute__((noinline))\n#else\n#define MX_KERNEL\n#endif\n");
	if (strstr(sb_text(&text), "MX_NO_VECTOR"))
		sb_put(out, "#if defined(__GNUC__) && !defined(__clang__)\n#define MX_NO_VECTOR "
		            "__attribute__((optimize(\"no-tree-loop-vectorize\")))\n#else\n"
		            "#define MX_NO_VECTOR\n#endif\n");
	sb_putc(out, '\n');
	sb_put(&support, code);
	sb_put(out, prune_text(e.a, o.target, sb_text(&support)));
}

/* --- the header ---------------------------------------------------------------------------------------------------------------------- */
static void put_doc(Emit *e, StrBuf *out, LoopFunc *lf)
{
	Func *f = lf->func;
	CSignature g = c_signature(e, f);
	sb_put(out, "/** ");
	const char *doc = f->doc ? f->doc : f->test_title ? f->test_title : f->name;
	while (*doc == ' ') doc++;
	for (const char *s = doc; *s; s++) {
		if (s[0] == '*' && s[1] == '/') sb_put(out, "* ");
		else if (*s == '\n') sb_put(out, "\n * ");
		else sb_putc(out, *s);
	}
	sb_put(out, "\n");
	for (int i = 0; i < g.nparam; i++) {
		const SigArg *a = &g.param[i];
		const char *shape =
		    f->param_doc && f->param_doc[a->first] ? f->param_doc[a->first] : type_str(e->a, f->body->param[a->first]->type);
		sb_printf(out, " *  %s: %s%s.\n", a->name, a->tree ? a->type_name : shape, a->inout ? ", read and updated" : "");
	}
	for (int i = 0; i < g.nresult; i++) {
		const SigArg *a = &g.result[i];
		sb_printf(out, " *  %s: %s, written.\n", a->name, a->tree ? a->type_name : type_str(e->a, f->body->result[a->first]->type));
	}
	for (int i = 0; i < f->ndims; i++) {
		int64_t lo, hi, step;
		dim_range_of(f->facts, f->dims[i], &lo, &hi, &step);
		DimValues v = dim_values_of(f->facts, f->dims[i]);
		sb_printf(out, " *  %s: ", emit_dim_name(e, f->dims[i]));
		for (int k = 0; v.only && k < v.n; k++) sb_printf(out, "%s%lld", k == 0 ? "" : k == v.n - 1 ? " or " : ", ", (long long)v.at[k]);
		if (v.only) {
			sb_put(out, ".\n");
			continue;
		}
		sb_printf(out, "%lld..", (long long)lo);
		if (hi != INT64_MAX) sb_printf(out, "%lld", (long long)hi);
		if (step > 1) sb_printf(out, ", a multiple of %lld", (long long)step);
		sb_put(out, ".\n");
	}
	if (e->o.threads > 1) sb_put(out, " *  exec: who runs the pieces of large kernels; NULL: the caller's thread alone.\n");
	if (e->o.profile) sb_put(out, " *  profile: gets the counts of the kernels that run; NULL: none are made.\n");
	if (f->ndims)
		sb_printf(out, " *  Returns 0, or %s_EINVAL where a dimension breaks a stated fact. Reentrant: touches only its arguments. */\n",
		          e->PREFIX);
	else sb_put(out, " *  Returns 0. Reentrant: touches only its arguments. */\n");
}

static void put_arena(Emit *e, StrBuf *out, LoopFunc *lf)
{
	Func *f = lf->func;
	int64_t bytes;
	char *up = arena_strdup(e->a, f->name);
	for (char *s = up; *s; s++) *s = (char)toupper((unsigned char)*s);
	if (dim_upper(f->facts, lf->arena, &bytes))
		sb_printf(out, "#define %s_%s_ARENA_BYTES %lld%s\n", e->PREFIX, up, (long long)bytes,
		          f->ndims ? "   /* for every permitted dimension */" : "");
	put_arena_prototype(e, out, f);
	sb_put(out, ";   /* exact for these dimensions */\n\n");
}

/* The same text in every header, and in runtime/mxrt.h. */
static const char exec_type[] = "#ifndef MLXCC_EXEC\n#define MLXCC_EXEC\n"
                                "/* Who runs the pieces of a kernel: run calls task(ctx, begin, end) for ranges that together cover 0..n "
                                "once, on any threads, and returns\n"
                                " * when all have. threads: how many pieces are worth making. */\n"
                                "typedef void (*mx_task)(void *ctx, ptrdiff_t begin, ptrdiff_t end);\n"
                                "typedef struct mx_exec {\n\tvoid *self;\n\tint threads;\n\tvoid (*run)(void *self, ptrdiff_t n, mx_task "
                                "task, void *ctx);\n} mx_exec;\n"
                                "#endif\n\n";

void codegen_header(StrBuf *out, Program *p, CodegenOptions o)
{
	Emit e = emit_new(p, o);
	sb_printf(out, "/* Written by %s. */\n#ifndef %s_H\n#define %s_H\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n",
	          o.command ? o.command : "mlxcc", e.PREFIX, e.PREFIX);
	sb_put(out, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
	sb_printf(out, "#define %s_EINVAL 1    /* a dimension breaks a stated fact */\n", e.PREFIX);
	if (o.check) sb_printf(out, "#define %s_EASSERT 2   /* from here on: an assertion about data does not hold */\n", e.PREFIX);
	sb_put(out, "\n");
	if (uses_complex(p)) sb_put(out, "#ifndef MX_C64\n#define MX_C64\ntypedef struct mx_c64 {\n\tfloat re, im;\n} mx_c64;\n#endif\n\n");
	if (o.threads > 1) sb_put(out, exec_type);
	profile_header(&e, out);
	emit_structs(&e, out);
	for (int i = 0; i < p->funcs.n; i++) {
		LoopFunc *f = p->funcs.at[i];
		if (!is_entry(f)) continue;
		put_doc(&e, out, f);
		emit_prototype(&e, out, f->func);
		sb_put(out, ";\n");
		put_arena(&e, out, f);
	}
	sb_put(out, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
}
