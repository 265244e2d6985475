/* mlxcc test: each test block interpreted and as compiled C. The C runs in a child process, so that a crash fails its test only. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "interp.h"

typedef struct Tests {
	Func **at;
	Signature *sig;
	bool *failed;
	int n, cap;
} Tests;

static Tests collect(Session *s, const Module *m)
{
	Tests t = {0};
	t.at = NEW_ARRAY(s->arena, Func *, m->funcs.n);
	t.sig = NEW_ARRAY(s->arena, Signature, m->funcs.n);
	t.failed = NEW_ARRAY(s->arena, bool, m->funcs.n);
	for (int i = 0; i < m->funcs.n; i++)
		if (m->funcs.at[i]->is_test) {
			t.at[t.n] = m->funcs.at[i];
			t.sig[t.n] = signature_of(s->arena, m->funcs.at[i]);
			t.n++;
		}
	return t;
}

static const char *title(const Func *f)
{
	return f->test_title ? f->test_title : f->name;
}

/* Runs test i as C in a child; its prints are not repeated. The code that it returns, or -1 for a crash. */
static int run_child(Session *s, Native *l, int i, int nout)
{
	fflush(stdout);
	pid_t child = fork();
	if (child < 0) return -1;
	if (child == 0) {
		static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
		for (size_t k = 0; k < sizeof signals / sizeof *signals; k++) signal(signals[k], SIG_DFL);
		if (!freopen("/dev/null", "w", stdout)) _exit(254);
		int code = native_call(s, l, i, NULL, dim_env_new(s->arena), NEW_ARRAY(s->arena, Tensor *, nout));
		if (code < 0) abort(); /* no results from a runner */
		_exit(code > 254 ? 254 : code);
	}
	int status;
	if (waitpid(child, &status, 0) < 0) return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* One line for test i; true if it passed both ways. */
static bool finish(Session *s, const Tests *t, Native *l, int i)
{
	int status = l ? run_child(s, l, i, t->sig[i].nout) : 0;
	const char *what = "";
	if (!l) what = "  (not compiled)";
	else if (t->failed[i] && !status) what = "  (interpreted; the compiled C passes)";
	else if (!t->failed[i] && status < 0) what = "  (the compiled C crashed)";
	else if (!t->failed[i] && status) what = "  (the compiled C; the interpreter passes)";
	if (!t->failed[i] && status > 0) native_report(s, title(t->at[i]), status);
	diag_flush(s->diag);
	bool passed = l && !t->failed[i] && !status;
	printf("%s %s%s\n", passed ? "ok  " : "FAIL", title(t->at[i]), what);
	return passed;
}

int cmd_test(Session *s)
{
	Module *m = session_load(s, true);
	if (!m) return session_code(s);
	Tests t = collect(s, m);
	for (int i = 0; i < t.n; i++) {
		t.failed[i] = !interpret(s, t.at[i], NULL, dim_env_new(s->arena), NEW_ARRAY(s->arena, Tensor *, t.sig[i].nout), INTERPRET_ALOUD);
		diag_flush(s->diag);
	}
	session_fresh_diag(s, m);
	m->exact_conv = true; /* the interpreter's bits */
	Native *l = t.n && session_passes(s, m, NULL) ? native_build(s, t.sig, t.n, true, true) : NULL;
	int code = session_code(s), failed = 0;
	for (int i = 0; i < t.n; i++) failed += !finish(s, &t, l, i);
	printf("%d passed, %d failed\n", t.n - failed, failed);
	native_free(l);
	return code ? code : failed > 0;
}
