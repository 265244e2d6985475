/* The options of all commands, one row each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "options.h"
#include "../ir/target.h"
#include "runner.h"

typedef bool (*Apply)(Arena *a, Diag *d, Options *o, const char *value);
typedef struct OptionRow {
	const char *name, *arg, *help;
	unsigned commands;
	Apply apply;
} OptionRow;

enum { COMPILE = 1 << CMD_COMPILE, RUN = 1 << CMD_RUN, TEST = 1 << CMD_TEST, VERIFY = 1 << CMD_VERIFY, CHECK = 1 << CMD_CHECK };
enum { BUILDS = COMPILE | RUN | TEST | VERIFY, ALL = BUILDS | CHECK };

static bool wrong(Diag *d, const char *label, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static bool wrong(Diag *d, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(d, DIAG_ERROR, NO_LOC, label, fmt, ap);
	va_end(ap);
	return false;
}

static bool set_out(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->out = v, true;
}
static bool set_prefix(Arena *a, Diag *d, Options *o, const char *v)
{
	for (const char *p = v; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || (p > v && *p >= '0' && *p <= '9')))
			return wrong(d, "cli.prefix", "--prefix `%s` cannot begin a C name", v);
	return o->prefix = v, *v || wrong(d, "cli.prefix", "--prefix is empty");
}
static bool set_emit(Arena *a, Diag *d, Options *o, const char *v)
{
	static const char *const kinds[] = {"ir", "loops", "dot", "c", "h", "report"};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i], v)) return o->emit = v, true;
	wrong(d, "cli.emit", "--emit=%s is not known; it is one of ir, loops, dot, c, h, report", v);
	const char *near = diag_suggest(v, kinds, sizeof kinds / sizeof *kinds);
	if (near) diag_help(d, "did you mean `%s`?", near);
	return false;
}
static bool add_entry(Arena *a, Diag *d, Options *o, const char *v)
{
	VEC_PUSH(a, o->entry, v);
	return true;
}
static bool split_pair(Arena *a, const char *v, NameValue *out)
{
	const char *eq = strchr(v, '=');
	if (!eq || eq == v) return false;
	*out = (NameValue){arena_strndup(a, v, (size_t)(eq - v)), eq + 1};
	return true;
}
static bool add_weights(Arena *a, Diag *d, Options *o, const char *v)
{
	NameValue p;
	if (!split_pair(a, v, &p)) return wrong(d, "cli.weights", "--weights takes NAME=FILE, as in --weights net=digits.safetensors");
	VEC_PUSH(a, o->weights, p);
	return true;
}
static bool set_interp(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->interp = true;
}
static bool set_check(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->check = true;
}
static bool set_fma(Arena *a, Diag *d, Options *o, const char *v)
{
	if (strcmp(v, "on") && strcmp(v, "off")) return wrong(d, "cli.fma", "--fma takes on or off");
	o->no_fma = !strcmp(v, "off");
	o->passes.exact_conv |= o->no_fma;
	return true;
}
/* Native code is made for the best row that this machine can run, and compiled for all that it has. */
static bool set_target(Arena *a, Diag *d, Options *o, const char *v)
{
	const char *names[32];
	int n = 0;
	StrBuf all;
	sb_init(&all, a);
	names[n++] = "native";
	for (int i = 0; i < ntargets; i++) names[n++] = targets[i].name;
	for (int i = 0; i < n; i++) sb_printf(&all, "%s%s", i ? ", " : "", names[i]);
	bool native = !strcmp(v, "native");
	const Target *t = native ? target_native() : target_find(v);
	if (!t) {
		wrong(d, "cli.target", "--target-cpu=%s is not known; it is one of %s", v, sb_text(&all));
		const char *near = diag_suggest(v, names, n);
		if (near) diag_help(d, "did you mean `%s`?", near);
		return false;
	}
	if (o->command != CMD_COMPILE && !target_runs_here(t) && !runner_command()) return wrong(d, "cli.target", "--target-cpu=%s: this machine cannot run that code", v);
	o->passes.target = t;
	o->target_flags = !native ? t->flags : !strcmp(t->arch, "arm") ? "-mcpu=native" : *t->flags ? "-march=native" : "";
	return true;
}
static bool set_profile(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->profile = true;
}
static bool number(Diag *d, const char *option, const char *v, uint64_t most, uint64_t *out);
static bool set_calls(Arena *a, Diag *d, Options *o, const char *v)
{
	uint64_t n;
	if (!number(d, "--calls", v, 1000000, &n)) return false;
	return o->calls = (int)n, true;
}
static bool set_fast_math(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.fast_math = true;
}
static bool set_conv(Arena *a, Diag *d, Options *o, const char *v)
{
	if (strcmp(v, "exact") && strcmp(v, "fast")) return wrong(d, "cli.conv", "--conv is exact or fast, not `%s`", v);
	o->passes.exact_conv = !strcmp(v, "exact");
	return true;
}
static bool set_threads(Arena *a, Diag *d, Options *o, const char *v)
{
	char *end;
	long n = strtol(v, &end, 10);
	if (*end || end == v || n < 1 || n > 1024) return wrong(d, "cli.threads", "--threads takes a number from 1 to 1024, not `%s`", v);
	return o->passes.threads = (int)n, true;
}
static bool set_no_loc(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.no_loc = true;
}
static bool set_help(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->help = true;
}
static bool set_version(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->version = true;
}
static bool set_list(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->list_passes = true;
}
static bool set_time(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.time_passes = true;
}
static bool set_verify(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.verify_each = true;
}

static bool known_pass(Diag *d, const char *option, const char *v)
{
	const char *names[256];
	int n = 0;
	for (int i = 0; i < npasses && n < 256; i++) {
		if (!strcmp(passes[i].name, v)) return true;
		names[n++] = passes[i].name;
	}
	wrong(d, "cli.pass", "%s: there is no pass `%s`; --list-passes shows them", option, v);
	const char *near = diag_suggest(v, names, n);
	if (near) diag_help(d, "did you mean `%s`?", near);
	return false;
}
static bool set_print_after(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.print_after = v, !strcmp(v, "all") || known_pass(d, "--print-after", v);
}
static bool set_stop_after(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.stop_after = v, known_pass(d, "--stop-after", v);
}
static bool set_start_at(Arena *a, Diag *d, Options *o, const char *v)
{
	return o->passes.start_at = v, known_pass(d, "--start-at", v);
}
static bool add_skip(Arena *a, Diag *d, Options *o, const char *v)
{
	enum { ROOM = sizeof o->passes.skip / sizeof *o->passes.skip };
	if (o->passes.nskip == ROOM) return wrong(d, "cli.skip", "--skip can be given %d times at most", ROOM);
	o->passes.skip[o->passes.nskip++] = v;
	return known_pass(d, "--skip", v);
}

static bool number(Diag *d, const char *option, const char *v, uint64_t most, uint64_t *out)
{
	char *end;
	errno = 0;
	*out = strtoull(v, &end, 10);
	if (*v < '0' || *v > '9' || *end || errno || *out > most)
		return wrong(d, "cli.number", "%s takes a number from 0 to %llu, not `%s`", option, (unsigned long long)most, v);
	return true;
}
static bool set_bisect(Arena *a, Diag *d, Options *o, const char *v)
{
	uint64_t n;
	if (!number(d, "--bisect", v, 1000000000, &n)) return false;
	return o->passes.bisect = (int)n, true;
}
static bool set_trials(Arena *a, Diag *d, Options *o, const char *v)
{
	uint64_t n;
	if (!number(d, "--trials", v, 1000000, &n)) return false;
	return o->trials = (int)n, true;
}
static bool set_seed(Arena *a, Diag *d, Options *o, const char *v)
{
	return number(d, "--seed", v, UINT64_MAX, &o->seed);
}
static bool set_memory(Arena *a, Diag *d, Options *o, const char *v)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(v, &end, 10), unit = 1;
	if (*end) {
		const char *units = "kmgt", *u = strchr(units, *end | 32);
		if (u && !end[1])
			for (int i = 0; i <= u - units; i++) unit *= 1024;
		else errno = EINVAL;
	}
	if (*v < '0' || *v > '9' || errno || !n || n > SIZE_MAX / 2 / unit)
		return wrong(d, "cli.number", "--max-memory takes a size such as 500M or 2G, not `%s`", v);
	return o->max_memory = (size_t)(n * unit), true;
}

static const OptionRow rows[] = {
    {"-o", "FILE",
     "the C file to write; the header goes beside it, with .h for .c. With --emit: the file for that text (default: standard output)",
     COMPILE, set_out},
    {"--out", "PLACE", "a folder (default: .) that gets one file for each result, or a .npy, .npz or .safetensors file", RUN, set_out},
    {"--emit", "KIND",
     "instead of C and header, write one text: ir, loops, dot, c, h, report. ir is the program before any pass, or after the pass that "
     "--stop-after names",
     COMPILE, set_emit},
    {"--entry", "NAME", "compile this exported function only (can be repeated)", COMPILE | CHECK, add_entry},
    {"--weights", "NAME=FILE",
     "bake a parameter's tensors in as constants, from a .npz or .safetensors file, or one tensor from a .npy file (can be repeated)",
     BUILDS, add_weights},
    {"--prefix", "NAME", "begin all public C names with NAME_ (default: the file's name)", COMPILE, set_prefix},
    {"--check", NULL, "emit checks of what depends on data: asserts, indices; a function then returns a code where one fails",
     COMPILE | RUN, set_check},
    {"--interp", NULL,
     "use the interpreter instead of compiled C. run: of the program as it is, or after the pass that --stop-after names; verify: of "
     "loops, after "
     "each pass that gives them",
     RUN | VERIFY, set_interp},
    {"--trials", "N", "random inputs for each function (default: 3)", VERIFY, set_trials},
    {"--seed", "N", "begin the random inputs elsewhere (default: 0)", VERIFY, set_seed},
    {"--fma", "on|off", "let a*b + c round once where the machine can (default: on); off gives the interpreter's bits: --conv=exact too", COMPILE | RUN, set_fma},
    {"--target-cpu", "NAME",
     "code for this processor alone: native, generic, x86-64, x86-64-v3, x86-64-v4, armv8, wasm-simd128, cortex-m7 (default any: the C "
     "compiler's preprocessor chooses the vectors)",
     BUILDS, set_target},
    {"--profile", NULL,
     "count calls, time, bytes and operations of each kernel. run: shows them, compile: entries take a structure that gets them",
     COMPILE | RUN, set_profile},
    {"--calls", "N", "with --profile: how many calls are counted, after one that is not (default: 10)", RUN, set_calls},
    {"--threads", "N", "code for up to N threads: entries take an executor (mx_exec), which runtime/pool.c and others fill", COMPILE,
     set_threads},
    {"--fast-math", NULL, "allow rewrites that change results in the last bits", BUILDS, set_fast_math},
    {"--conv", "HOW", "convolutions: fast (default) may use Winograd's products, 1e-5 of the largest result off; exact adds up in order",
     BUILDS, set_conv},
    {"--max-memory", "SIZE", "stop with an error where more memory is needed, as in 500M or 2G (default: three quarters of the machine's)",
     ALL, set_memory},
    {"--list-passes", NULL, "show the passes in their order, and stop", COMPILE, set_list},
    {"--print-after", "PASS", "show the program on standard error after a pass, or after all", BUILDS, set_print_after},
    {"--stop-after", "PASS", "end with this pass", COMPILE | RUN, set_stop_after},
    {"--start-at", "PASS", "begin with this pass (for .ir input)", BUILDS, set_start_at},
    {"--skip", "PASS", "leave a pass out (can be repeated)", BUILDS, add_skip},
    {"--bisect", "N", "run only the first N passes that change something", BUILDS, set_bisect},
    {"--time-passes", NULL, "show each pass's time on standard error", BUILDS, set_time},
    {"--verify-each", NULL, "check the program's invariants after every pass", BUILDS, set_verify},
    {"--no-loc", NULL, "print the program without source places", BUILDS, set_no_loc},
    {"--help", NULL, "show this text", ALL, set_help},
    {"--version", NULL, "show the version", ALL, set_version},
};
enum { NROWS = sizeof rows / sizeof *rows };

static const struct {
	const char *name, *usage, *about;
} commands[CMD_COUNT] = {
    {"", "mlxcc FILE.mx -o FILE.c [options]",
     "Compiles a program (.mx, or .ir: the compiler's own text) to FILE.c and FILE.h: C99 that calls no library but libm."},
    {"run", "mlxcc run FILE.mx[:FUNCTION] NAME=VALUE… [--out PLACE] [options]",
     "Runs an exported function. A VALUE is a .npy file, a number, a list such as [0,7], or for a tree a .npz or .safetensors file with "
     "dotted names;\n"
     "single leaves can be given too (net.l1.weight=w.npy). Results go to out.npy (one), out0.npy, out1.npy … (several) or a record's "
     "names; trees to\n"
     ".safetensors. The function is compiled with the C compiler that $CC names (default: cc) and kept in $XDG_CACHE_HOME/mlxcc."},
    {"test", "mlxcc test FILE.mx [options]", "Runs the file's test blocks, each interpreted and as compiled C."},
    {"verify", "mlxcc verify FILE.mx[:FUNCTION] [options]",
     "Runs each exported function on random inputs, interpreted and as compiled C, and compares. Dimensions are drawn from their facts.\n"
     "Integers and booleans must be equal; other results may differ by 1e-12 (f64), 1e-5 (f32, c64), 4e-3 (f16) or 3e-2 (bf16) of the "
     "result's largest element."},
    {"check", "mlxcc check FILE.mx [options]", "Reports mistakes and writes nothing."},
};

const char *command_name(Command c)
{
	return commands[c].name;
}

static void help_rows(FILE *out, unsigned mask)
{
	for (int i = 0; i < NROWS; i++) {
		if (!(rows[i].commands & mask)) continue;
		char left[40];
		snprintf(left, sizeof left, "%s%s%s", rows[i].name,
		         !rows[i].arg             ? ""
		         : rows[i].name[1] == '-' ? "="
		                                  : " ",
		         rows[i].arg ? rows[i].arg : "");
		/* the text in lines of at most 74 characters */
		const char *p = rows[i].help;
		bool first = true;
		while (*p) {
			size_t n = strlen(p);
			if (n > 74)
				for (n = 74; p[n] != ' ';) n--;
			fprintf(out, "  %-22s %.*s\n", first ? left : "", (int)n, p);
			p += n;
			while (*p == ' ') p++;
			first = false;
		}
	}
}

void options_help(FILE *out, Command c, bool all)
{
	if (all) {
		fprintf(out, "mlxcc: tensor programs to plain C\n\nusage:\n");
		for (int i = 0; i < CMD_COUNT; i++) fprintf(out, "  %s\n", commands[i].usage);
		fprintf(out, "  mlxcc COMMAND --help\n\n%s\n\noptions:\n", commands[CMD_COMPILE].about);
	} else {
		fprintf(out, "usage: %s\n\n%s\n\noptions:\n", commands[c].usage, commands[c].about);
	}
	help_rows(out, 1u << c);
	fprintf(out, "\nexit status: 0 done, 1 a mistake in the input, 2 a limitation of mlxcc, 70 a bug in mlxcc.\n");
}

static const OptionRow *find_row(const char *s, size_t n)
{
	if (n == 2 && !memcmp(s, "-h", 2)) s = "--help", n = 6;
	for (int i = 0; i < NROWS; i++)
		if (strlen(rows[i].name) == n && !memcmp(rows[i].name, s, n)) return &rows[i];
	return NULL;
}

static bool unknown_option(Diag *d, const Options *o, const char *s, size_t n)
{
	const char *names[NROWS];
	char given[64];
	int k = 0;
	snprintf(given, sizeof given, "%.*s", (int)n, s);
	for (int i = 0; i < NROWS; i++)
		if (rows[i].commands & 1u << o->command) names[k++] = rows[i].name;
	wrong(d, "cli.option", "`mlxcc%s%s` has no option `%s`", o->command ? " " : "", command_name(o->command), given);
	const char *near = diag_suggest(given, names, k);
	if (near) diag_help(d, "did you mean `%s`?", near);
	return false;
}

/* One option at argv[*i], which moves to its value where that is the next word. */
static bool parse_option(Arena *a, Diag *d, int argc, char **argv, int *i, Options *o)
{
	const char *s = argv[*i], *eq = strchr(s, '=');
	size_t n = eq && s[1] == '-' ? (size_t)(eq - s) : strlen(s);
	const OptionRow *r = find_row(s, n);
	if (!r || !(r->commands & 1u << o->command)) return unknown_option(d, o, s, n);
	const char *value = s[n] == '=' ? s + n + 1 : NULL;
	if (!r->arg && value) return wrong(d, "cli.option", "`%s` takes no value", r->name);
	if (r->arg && !value) {
		if (*i + 1 == argc)
			return wrong(d, "cli.option", "`%s` needs a value: %s%s%s", r->name, r->name, r->name[1] == '-' ? "=" : " ", r->arg);
		value = argv[++*i];
	}
	return r->apply(a, d, o, value);
}

/* "f.mx:predict" -> input and function. Only behind .mx or .ir, since other paths may hold colons. */
static void split_function(Arena *a, Options *o)
{
	const char *colon = strrchr(o->input, ':');
	if (!colon || colon - o->input < 3 || (memcmp(colon - 3, ".mx", 3) && memcmp(colon - 3, ".ir", 3))) return;
	o->function = colon[1] ? colon + 1 : NULL;
	o->input = arena_strndup(a, o->input, (size_t)(colon - o->input));
}

/* Two words that are no options: two files, or a command that does not exist. */
static bool two_inputs(Diag *d, const char *first, const char *second)
{
	const char *names[CMD_COUNT];
	int n = 0;
	for (int c = CMD_RUN; c < CMD_COUNT; c++) names[n++] = commands[c].name;
	if (strchr(first, '.')) return wrong(d, "cli.argument", "one file at a time: `%s` and `%s`", first, second);
	wrong(d, "cli.command", "there is no command `%s`", first);
	const char *near = diag_suggest(first, names, n);
	if (near) diag_help(d, "did you mean `%s`?", near);
	return false;
}

bool options_parse(Arena *a, Diag *d, int argc, char **argv, Options *o)
{
	*o = (Options){.trials = 3, .calls = 10, .passes = {.bisect = -1}};
	int i = 1;
	for (int c = CMD_RUN; c < CMD_COUNT && argc > 1; c++)
		if (!strcmp(argv[1], commands[c].name)) o->command = (Command)c, i = 2;
	bool plain = false;
	for (; i < argc; i++) {
		NameValue pair;
		if (!plain && !strcmp(argv[i], "--")) plain = true;
		else if (!plain && argv[i][0] == '-' && argv[i][1]) {
			if (!parse_option(a, d, argc, argv, &i, o)) return false;
		} else if (o->input && o->command == CMD_RUN && split_pair(a, argv[i], &pair)) VEC_PUSH(a, o->args, pair);
		else if (o->input && o->command == CMD_RUN) return wrong(d, "cli.argument", "`%s`: arguments are given as NAME=VALUE", argv[i]);
		else if (o->input) return two_inputs(d, o->input, argv[i]);
		else o->input = argv[i];
	}
	if (o->help || o->version || o->list_passes) return true;
	if (!o->input) {
		wrong(d, "cli.input", "no input file");
		diag_help(d, "%s", commands[o->command].usage);
		return false;
	}
	if (o->command == CMD_RUN || o->command == CMD_VERIFY) split_function(a, o);
	return true;
}
