/* Compiled code in this process: C and a small wrapper go to the system's C compiler, the shared library is loaded.
 *
 * The C function of `export fn f(net: Net, x: f32[B,64], lr: f32)` is int P_f(const P_Net *net, const float *x, float lr, …). A struct of a
 * tree holds nothing but one pointer for each leaf, in order; so the wrapper is called with an array of pointers for each argument, and
 * knows only which arguments are numbers. Libraries are kept under a hash of all that they are made from.
 *
 * With MLXCC_RUNNER (runner.h) the same text becomes an executable for another machine, and calls go through that. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../codegen/codegen.h"
#include "../ir/target.h"
#include "../passes/loop.h"
#include "interp.h"
#include "runner.h"

#define PREFIX "run"
static const char *const flags_always[] = {"-std=gnu99", "-O2", "-ffp-contract=off", "-w"};
static const char *const flags_here[] = {
#if defined __x86_64__
    "-march=native", /* elsewhere every compiler knows what the machine has at least */
#endif
    "-fPIC", "-shared"};
enum { NALWAYS = sizeof flags_always / sizeof *flags_always, NHERE = sizeof flags_here / sizeof *flags_here };

struct Native {
	void *handle;        /* of the library */
	const char *program; /* the executable, where there is a runner: then neither the handle nor the functions */
	bool kept;
	int (*call)(int which, void **p, const ptrdiff_t *d, void *arena);
	size_t (*arena)(int which, const ptrdiff_t *d);
	const Signature *sig;
	Session *s;
	StrBuf line;      /* of a print that is under way */
	const char *rest; /* what of its message is still to come; NULL: none is under way */
};

/* --- the wrapper -------------------------------------------------------------------------------------------------------- */
static void put_dims(StrBuf *b, const Signature *g, const char *before)
{
	for (int i = 0; i < g->ndims; i++) sb_printf(b, "%sd[%d]", i ? ", " : before, i);
}

static void put_call(StrBuf *b, const Signature *g, int which, bool profile)
{
	int k = 0;
	sb_printf(b, "\tcase %d: return " PREFIX "_%s(", which, g->name);
	for (int i = 0; i < g->nparam; i++, k++) {
		const LeafGroup *p = &g->param[i];
		const Type *t = g->param_type[p->first];
		bool by_value = !p->is_tree && !p->is_inout && t->rank == 0;
		if (by_value) sb_printf(b, "%s*(%s *)p[%d]", k ? ", " : "", dtype_ctype(t->dtype), k);
		else sb_printf(b, "%sp[%d]", k ? ", " : "", k);
	}
	for (int i = 0; i < g->nresult; i++, k++) sb_printf(b, "%sp[%d]", k ? ", " : "", k);
	put_dims(b, g, k ? ", " : "");
	sb_printf(b, "%sarena%s);\n", k || g->ndims ? ", " : "", profile ? ", (" PREFIX "_profile *)mx_profile" : "");
}

/* Prints of the program call back through these. */
static const char print_hook[] = "#include <stddef.h>\n"
                                 "void *mx_print_ctx;\n"
                                 "void (*mx_print)(void *ctx, const char *message, const char *dtype, const void *data, ptrdiff_t n);\n"
                                 "#define MLXCC_PRINT(m, t, d, n) do { if (mx_print) mx_print(mx_print_ctx, m, t, d, n); } while (0)\n";

/* One call for each value: the first has the message, whose {} are filled in turn. The numbers come without their shape. */
static void on_print(void *ctx, const char *message, const char *dtype, const void *data, ptrdiff_t n)
{
	Native *l = ctx;
	if (!l->rest) {
		sb_init(&l->line, l->s->arena);
		l->rest = message;
	}
	Tensor t = {.rank = n != 1, .shape = {n}, .data = (void *)data};
	const char *behind = print_to_hole(&l->line, l->rest);
	if (behind) l->rest = behind;
	if (dtype_find(dtype, &t.dtype)) tensor_put(&l->line, &t);
	if (strstr(l->rest, "{}")) return;
	printf("%s%s\n", sb_text(&l->line), l->rest);
	l->rest = NULL;
}

static void put_wrapper(StrBuf *b, const Signature *sig, int n, bool profile)
{
	if (profile) sb_put(b, profile_wrapper());
	sb_put(b, "\nint mx_call(int which, void **p, const ptrdiff_t *d, void *arena);\nsize_t mx_arena(int which, const ptrdiff_t *d);\n");
	sb_put(b, "int mx_call(int which, void **p, const ptrdiff_t *d, void *arena)\n{\n\tswitch (which) {\n");
	for (int i = 0; i < n; i++) put_call(b, &sig[i], i, profile);
	sb_put(b, "\tdefault: return -1;\n\t}\n}\nsize_t mx_arena(int which, const ptrdiff_t *d)\n{\n\tswitch (which) {\n");
	for (int i = 0; i < n; i++) {
		sb_printf(b, "\tcase %d: return " PREFIX "_%s_arena_bytes(", i, sig[i].name);
		put_dims(b, &sig[i], "");
		sb_put(b, ");\n");
	}
	sb_put(b, "\tdefault: return 0;\n\t}\n}\n");
}

/* --- the compiler ------------------------------------------------------------------------------------------------------- */
static uint64_t fnv(uint64_t h, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
	return h;
}

static bool make_folder(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/') continue;
		*p = 0;
		mkdir(path, 0777);
		*p = '/';
	}
	return (mkdir(path, 0777) == 0 || errno == EEXIST) && access(path, W_OK) == 0;
}

/* Where libraries are kept, or NULL. */
static const char *cache_folder(Arena *a)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *path = base && *base == '/'   ? arena_printf(a, "%s/mlxcc", base)
	             : home && *home == '/' ? arena_printf(a, "%s/.cache/mlxcc", home)
	                                    : NULL;
	return path && make_folder(path) ? path : NULL;
}

/* Of --target-cpu: none where its code is plain C99 that is to run here. */
static const char *flags_target(const Session *s)
{
	const Target *t = s->o->passes.target;
	return t && (runner_command() || strcmp(t->arch, "any")) ? s->o->target_flags : "";
}

/* Runs the compiler; its messages go to `log`. Its exit status, 127 where it is not there. */
static int run_compiler(Session *s, const char *cc, const char *source, const char *to, const char *log)
{
	VEC(const char *) argv = {0};
	char *words = arena_strdup(s->arena, cc), *rest = NULL;
	/* what CC says behind the compiler's name comes last: CC="gcc -O3" */
	for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		bool first = argv.n == 0;
		VEC_PUSH(s->arena, argv, w);
		for (int i = 0; first && i < NALWAYS; i++) VEC_PUSH(s->arena, argv, flags_always[i]);
		for (int i = 0; first && !runner_command() && i < NHERE; i++) VEC_PUSH(s->arena, argv, flags_here[i]);
		char *target = first ? arena_strdup(s->arena, flags_target(s)) : "", *more = NULL; /* behind -march=native: the last one counts */
		for (char *f = strtok_r(target, " ", &more); f; f = strtok_r(NULL, " ", &more)) VEC_PUSH(s->arena, argv, f);
	}
	const char *last[] = {"-o", to, source, "-lm", NULL};
	for (size_t i = 0; i < sizeof last / sizeof *last; i++) VEC_PUSH(s->arena, argv, last[i]);
	pid_t child = fork();
	if (child < 0) return 127;
	if (child == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
		execvp(argv.at[0], (char *const *)argv.at);
		_exit(127);
	}
	int status;
	Progress *p = progress_begin("compiling the C");
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
	progress_end(p);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The first lines of the compiler's messages. */
static void note_log(Session *s, const char *log)
{
	char *text;
	size_t n;
	const char *why;
	if (!file_read(s->arena, log, &text, &n, &why)) return;
	int lines = 0;
	for (size_t i = 0; i < n; i++)
		if (text[i] == '\n' && ++lines == 12) n = i;
	while (n && text[n - 1] == '\n') n--;
	if (n) diag_note(s->diag, NO_LOC, "the C compiler says\n%.*s", (int)n, text);
}

static bool compile(Session *s, const char *cc, const StrBuf *c, const char *folder, const char *to)
{
	const char *why, *source = arena_printf(s->arena, "%s/model.c", folder), *log = arena_printf(s->arena, "%s/log", folder),
	                 *lib = arena_printf(s->arena, "%s/model.so", folder);
	bool ok = false;
	if (!file_write(s->arena, source, c->at, c->n, &why)) {
		session_fail(s, "file.write", "`%s`: %s", source, why);
	} else {
		int status = run_compiler(s, cc, source, lib, log);
		if (status == 127) {
			session_fail(s, "run.compiler", "there is no C compiler `%s`", cc);
			diag_help(s->diag, "set CC to one%s", s->o->command == CMD_RUN ? ", or use --interp" : "");
		} else if (status) {
			diag(s->diag, DIAG_BUG, NO_LOC, "run.compiler", "the C compiler refuses what mlxcc wrote");
			note_log(s, log);
			if (file_write(s->arena, "mlxcc-bug.c", c->at, c->n, &why)) diag_note(s->diag, NO_LOC, "the C is kept in mlxcc-bug.c");
		} else if (rename(lib, to)) {
			session_fail(s, "file.write", "`%s`: %s", to, strerror(errno));
		} else {
			ok = true;
		}
	}
	unlink(source), unlink(log), unlink(lib);
	return ok;
}

static bool load(Session *s, Native *l, const char *path)
{
	if (runner_command()) return l->program = path, true;
	l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!l->handle) return session_fail(s, "run.load", "cannot load the compiled code: %s", dlerror()), false;
	*(void **)&l->call = dlsym(l->handle, "mx_call");
	*(void **)&l->arena = dlsym(l->handle, "mx_arena");
	void **print = dlsym(l->handle, "mx_print"), **ctx = dlsym(l->handle, "mx_print_ctx");
	if (print && s->o->command == CMD_RUN)
		*ctx = l, *(void (**)(void *, const char *, const char *, const void *, ptrdiff_t))print = on_print;
	return l->call && l->arena;
}

/* What tells this kind of machine from others that may share the folder: code for one need not run on the other. */
static const char *machine(Session *s)
{
	char *text;
	size_t n;
	const char *why;
	if (!file_read(s->arena, "/proc/cpuinfo", &text, &n, &why)) return "";
	char *flags = strstr(text, "\nflags");
	if (!flags) return "";
	flags[1 + strcspn(flags + 1, "\n")] = 0;
	return flags;
}

Native *native_build(Session *s, const Signature *sig, int n, bool check, bool no_fma)
{
	const char *cc = getenv("CC"), *flags = runner_command() ? "runner" : "";
	if (!cc || !*cc) cc = "cc";
	for (int i = 0; i < NALWAYS; i++) flags = arena_printf(s->arena, "%s %s", flags, flags_always[i]);
	for (int i = 0; i < NHERE; i++) flags = arena_printf(s->arena, "%s %s", flags, flags_here[i]);
	StrBuf c, source;
	CodegenOptions o = {.prefix = PREFIX, .header_name = NULL, .command = "mlxcc", .no_fma = no_fma, .check = check, .profile = s->o->profile,
	                    .target = s->o->passes.target, .target_flags = s->o->target_flags};
	sb_init(&c, s->arena), sb_init(&source, s->arena);
	sb_put(&source, print_hook);
	codegen_header(&source, s->program, o);
	codegen_c(&c, s->program, o);
	sb_putn(&source, sb_text(&c), c.n);
	put_wrapper(&source, sig, n, o.profile);
	if (runner_command()) sb_put(&source, runner_main_text());
	if (diag_exit_code(s->diag)) return NULL;
	const char *key = arena_printf(s->arena, "%s%s " MLXCC_VERSION "%s", cc, flags, machine(s)), *text = sb_text(&source);
	uint64_t h1 = fnv(fnv(0xcbf29ce484222325u, key, strlen(key)), text, source.n),
	         h2 = fnv(fnv(0x9e3779b97f4a7c15u, text, source.n), key, strlen(key));
	const char *cache = cache_folder(s->arena), *tmp = getenv("TMPDIR");
	char *work = arena_printf(s->arena, "%s/mlxcc.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (cache) work = arena_printf(s->arena, "%s/build.XXXXXX", cache);
	const char *lib = cache ? arena_printf(s->arena, "%s/%016llx%016llx.so", cache, (unsigned long long)h1, (unsigned long long)h2) : NULL;
	Native *l = NEW(s->arena, Native);
	l->sig = sig;
	l->s = s;
	l->kept = lib != NULL;
	if (lib && access(lib, R_OK) == 0) return load(s, l, lib) ? l : NULL;
	if (!mkdtemp(work)) return session_fail(s, "file.write", "cannot make a temporary folder: %s", strerror(errno)), NULL;
	if (!lib) lib = arena_printf(s->arena, "%s/loaded.so", work);
	bool ok = compile(s, cc, &source, work, lib) && load(s, l, lib);
	if (!cache && !(ok && l->program)) unlink(lib);
	rmdir(work); /* where the executable stays, native_free does it */
	return ok ? l : NULL;
}

/* --- assertions --------------------------------------------------------------------------------------------------------- */
static const Step *find_assert(const StepList *list, int number)
{
	for (int i = 0; i < list->n; i++) {
		const Step *s = list->at[i], *found = NULL;
		if (s->kind == STEP_ASSERT && s->assert_number == number) return s;
		if (!found) found = find_assert(&s->head, number);
		if (!found) found = find_assert(&s->body, number);
		if (!found) found = find_assert(&s->other, number);
		if (found) return found;
	}
	return NULL;
}

void native_report(Session *s, const char *name, int code)
{
	const Step *found = NULL;
	for (int i = 0; i < s->program->funcs.n && !found; i++) found = find_assert(&s->program->funcs.at[i]->steps, code - 1);
	if (code == 1) session_fail(s, "run.dim", "`%s`: a dimension breaks a stated fact", name);
	else if (!found) session_fail(s, "run.code", "`%s` returned %d", name, code);
	else diag(s->diag, DIAG_ERROR, found->loc, "assert", "%s", found->message && *found->message ? found->message : "this does not hold");
}

void *native_handle(const Native *l)
{
	return l->handle;
}

void native_free(Native *l)
{
	if (l && l->handle) dlclose(l->handle);
	if (!l || !l->program || l->kept) return;
	unlink(l->program);
	rmdir(arena_strndup(l->s->arena, l->program, (size_t)(strrchr(l->program, '/') - l->program)));
}

/* --- calling ------------------------------------------------------------------------------------------------------------ */
/* The address of a group's argument: its one tensor's data, or an array of its leaves' data. */
static void *group_address(Arena *a, const LeafGroup *g, Tensor *const *leaf, const int *index)
{
	if (!g->is_tree) return leaf[index ? index[g->first] : g->first]->data;
	void **at = NEW_ARRAY(a, void *, g->n);
	for (int i = 0; i < g->n; i++) at[i] = leaf[index ? index[g->first + i] : g->first + i]->data;
	return at;
}

int native_call(Session *s, Native *l, int which, Tensor *const *args, const DimEnv *env, Tensor **results)
{
	const Signature *g = &l->sig[which];
	void **p = NEW_ARRAY(s->arena, void *, g->nparam + g->nresult + 1);
	ptrdiff_t *d = NEW_ARRAY(s->arena, ptrdiff_t, g->ndims + 1);
	for (int i = 0; i < g->ndims; i++) {
		int64_t n = 0;
		dim_env_get(env, g->dims[i], &n);
		d[i] = (ptrdiff_t)n;
	}
	for (int i = 0; i < g->nout; i++) {
		int64_t shape[MAX_RANK];
		if (g->alias[i] >= 0) results[i] = args[g->alias[i]];
		else if (signature_result_shape(g, i, env, shape))
			results[i] = tensor_new(s->arena, g->result_type[i]->dtype, g->result_type[i]->rank, shape);
		else return session_fail(s, "run.dim", "the shape of `%s` is not known from the arguments", g->out_path[i]);
	}
	if (l->program) return runner_call(s, l->program, g, which, args, env, results, s->o->command == CMD_RUN ? on_print : NULL, l);
	for (int i = 0; i < g->nparam; i++) p[i] = group_address(s->arena, &g->param[i], args, NULL);
	for (int i = 0; i < g->nresult; i++) p[g->nparam + i] = group_address(s->arena, &g->result[i], results, g->result_index);
	size_t bytes = l->arena(which, d);
	void *arena = NULL;
	if (posix_memalign(&arena, 64, bytes + 64)) return session_fail(s, "run.memory", "`%s` needs %zu bytes of memory", g->name, bytes);
	Progress *progress = progress_begin("running");
	int code = l->call(which, p, d, arena);
	progress_end(progress);
	free(arena);
	return code;
}
