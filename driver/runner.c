/* Compiled code in another process: where MLXCC_RUNNER names what runs executables of the target (an emulator, a simulator, a script that
 * copies to a board), the C becomes an executable with runtime/runner_main.c, which says how calls and results go through its standard
 * input and output. Both are files here, so that neither side waits for the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "runner.h"

#define MAGIC INT64_C(0x6d6c786363)

extern const struct {
	const char *name, *text;
	size_t n;
} runner_sources[];

const char *runner_command(void)
{
	const char *r = getenv("MLXCC_RUNNER");
	return r && *r ? r : NULL;
}

const char *runner_main_text(void)
{
	return runner_sources[0].text;
}

/* --- the call ----------------------------------------------------------------------------------------------------------- */
static void put_int(StrBuf *b, int64_t v)
{
	sb_putn(b, (const char *)&v, sizeof v);
}

static void put_leaf(StrBuf *b, const Tensor *t, bool in, bool out)
{
	put_int(b, (int64_t)tensor_bytes(t)), put_int(b, in), put_int(b, out);
	if (in) sb_putn(b, t->data, tensor_bytes(t));
}

static void put_group(StrBuf *b, const LeafGroup *g, Tensor *const *leaf, const int *index, bool in, bool out)
{
	put_int(b, g->is_tree ? g->n : -1);
	for (int i = 0; i < (g->is_tree ? g->n : 1); i++) put_leaf(b, leaf[index ? index[g->first + i] : g->first + i], in, out);
}

static void put_request(StrBuf *b, const Signature *g, int which, Tensor *const *args, const DimEnv *env, Tensor *const *results,
                        bool prints)
{
	put_int(b, MAGIC), put_int(b, which), put_int(b, prints), put_int(b, g->ndims);
	for (int i = 0; i < g->ndims; i++) {
		int64_t n = 0;
		dim_env_get(env, g->dims[i], &n);
		put_int(b, n);
	}
	put_int(b, g->nparam + g->nresult);
	for (int i = 0; i < g->nparam; i++) put_group(b, &g->param[i], args, NULL, true, g->param[i].is_inout);
	for (int i = 0; i < g->nresult; i++) put_group(b, &g->result[i], results, g->result_index, false, true);
}

/* --- its answer --------------------------------------------------------------------------------------------------------- */
typedef struct Answer {
	const char *at, *end;
} Answer;

/* NULL: the answer ends before. */
static const char *take(Answer *a, size_t n)
{
	if ((size_t)(a->end - a->at) < n) return NULL;
	const char *p = a->at;
	a->at += n;
	return p;
}

static bool take_int(Answer *a, int64_t *v)
{
	const char *p = take(a, sizeof *v);
	if (p) memcpy(v, p, sizeof *v);
	return p && *v >= 0;
}

static const char *take_text(Arena *arena, Answer *a)
{
	int64_t n;
	const char *p = take_int(a, &n) ? take(a, (size_t)n) : NULL;
	return p ? arena_strndup(arena, p, (size_t)n) : NULL;
}

static bool take_print(Session *s, Answer *a, RunnerPrint *print, void *ctx)
{
	const char *message = take_text(s->arena, a), *dtype = message ? take_text(s->arena, a) : NULL, *data = NULL;
	int64_t n, bytes;
	DType d;
	if (!dtype || !dtype_find(dtype, &d) || !take_int(a, &n) || !take_int(a, &bytes) || bytes != n * dtype_bytes(d)) return false;
	if (!(data = take(a, (size_t)bytes))) return false;
	void *aligned = arena_alloc(s->arena, (size_t)bytes + 1);
	memcpy(aligned, data, (size_t)bytes);
	if (print) print(ctx, message, dtype, aligned, (ptrdiff_t)n);
	return true;
}

static bool take_group(Answer *a, const LeafGroup *g, Tensor *const *leaf, const int *index)
{
	for (int i = 0; i < (g->is_tree ? g->n : 1); i++) {
		Tensor *t = leaf[index ? index[g->first + i] : g->first + i];
		const char *p = take(a, tensor_bytes(t));
		if (!p) return false;
		if (tensor_bytes(t)) memcpy(t->data, p, tensor_bytes(t));
	}
	return true;
}

static bool take_answer(Session *s, Answer *a, const Signature *g, Tensor *const *args, Tensor *const *results, RunnerPrint *print,
                        void *ctx, int *code)
{
	const char *kind;
	while ((kind = take(a, 1)) && *kind == 'p')
		if (!take_print(s, a, print, ctx)) return false;
	const char *p = kind && *kind == 'e' ? take(a, sizeof(int64_t)) : NULL;
	if (!p) return false;
	int64_t v;
	memcpy(&v, p, sizeof v);
	*code = (int)v;
	for (int i = 0; i < g->nparam; i++)
		if (g->param[i].is_inout && !take_group(a, &g->param[i], args, NULL)) return false;
	for (int i = 0; i < g->nresult; i++)
		if (!take_group(a, &g->result[i], results, g->result_index)) return false;
	return a->at == a->end;
}

/* --- the process -------------------------------------------------------------------------------------------------------- */
/* Its status as wait gives it; 127 where it cannot be started. */
static int start(Session *s, const char *program, const char *in, const char *out)
{
	VEC(const char *) argv = {0};
	char *words = arena_strdup(s->arena, runner_command()), *rest = NULL;
	for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) VEC_PUSH(s->arena, argv, w);
	VEC_PUSH(s->arena, argv, program);
	VEC_PUSH(s->arena, argv, NULL);
	pid_t child = fork();
	if (child < 0) return 127 << 8;
	if (child == 0) {
		int from = open(in, O_RDONLY), to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (from < 0 || to < 0 || dup2(from, 0) < 0 || dup2(to, 1) < 0) _exit(127);
		execvp(argv.at[0], (char *const *)argv.at);
		_exit(127);
	}
	int status;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
	return status;
}

static void fail(Session *s, const char *name, int status)
{
	const char *runner = runner_command();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) session_fail(s, "run.runner", "`%s` of MLXCC_RUNNER cannot be started", runner);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 93)
		session_fail(s, "run.memory", "`%s` needs more memory than the machine behind `%s` gives", name, runner);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 94)
		session_fail(s, "run.runner", "the machine behind `%s` orders the bytes of numbers otherwise than this one", runner);
	else if (WIFEXITED(status))
		session_fail(s, "run.runner", "`%s` under `%s` ended with %d, before its results were there", name, runner, WEXITSTATUS(status));
	else session_fail(s, "run.runner", "`%s` under `%s` crashed (signal %d)", name, runner, WTERMSIG(status));
}

int runner_call(Session *s, const char *program, const Signature *g, int which, Tensor *const *args, const DimEnv *env,
                Tensor *const *results, RunnerPrint *print, void *ctx)
{
	const char *tmp = getenv("TMPDIR"), *why;
	char *folder = arena_printf(s->arena, "%s/mlxcc.XXXXXX", tmp && *tmp ? tmp : "/tmp"), *text;
	if (!mkdtemp(folder)) return session_fail(s, "file.write", "cannot make a temporary folder: %s", strerror(errno)), -1;
	const char *in = arena_printf(s->arena, "%s/in", folder), *out = arena_printf(s->arena, "%s/out", folder);
	StrBuf b;
	sb_init(&b, s->arena);
	put_request(&b, g, which, args, env, results, print != NULL);
	int code = -1, status = 0;
	size_t n;
	if (!file_write(s->arena, in, b.at, b.n, &why)) {
		session_fail(s, "file.write", "`%s`: %s", in, why);
	} else {
		Progress *p = progress_begin("running");
		status = start(s, program, in, out);
		progress_end(p);
		Answer a = {0};
		if (file_read(s->arena, out, &text, &n, &why)) a = (Answer){text, text + n};
		if (!a.at || !take_answer(s, &a, g, args, results, print, ctx, &code)) fail(s, g->name, status), code = -1;
	}
	unlink(in), unlink(out), rmdir(folder);
	return code;
}
