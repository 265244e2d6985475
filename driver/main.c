/* mlxcc: reads the command line and calls the command.
 *
 * The work is done in a thread with a large stack, since the elaborator recurses over the program; the memory that it takes is limited.
 * A crash is a bug: it is reported as one, with exit code 70. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"

#define STACK_BYTES ((size_t)512 << 20)

typedef struct Call {
	int argc;
	char **argv;
	int code;
	size_t limit;
	Arena *arena;
	jmp_buf exhausted;
} Call;

static size_t default_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	return pages > 0 && size > 0 ? (size_t)pages / 4 * 3 * (size_t)size : (size_t)4 << 30;
}

static void on_exhausted(void *ctx)
{
	longjmp(((Call *)ctx)->exhausted, 1);
}

static int dispatch(Session *s)
{
	switch (s->o->command) {
	case CMD_COMPILE: return cmd_compile(s);
	case CMD_RUN: return cmd_run(s);
	case CMD_TEST: return cmd_test(s);
	case CMD_VERIFY: return cmd_verify(s);
	case CMD_CHECK: return cmd_check(s);
	case CMD_COUNT: break;
	}
	return 70;
}

/* The command in a limited arena. */
static int limited(Call *call, const Options *o)
{
	call->limit = o->max_memory ? o->max_memory : default_memory();
	Session s = {.arena = call->arena = arena_new(call->limit, on_exhausted, call), .o = o};
	if (setjmp(call->exhausted)) {
		fprintf(stderr, "mlxcc: limitation[memory]: more than %zu MiB of memory are needed\nhelp: --max-memory allows more\n",
		        call->limit >> 20);
		arena_free(call->arena);
		return 2;
	}
	s.diag = diag_new(s.arena, stderr);
	int code = dispatch(&s);
	diag_flush(s.diag);
	arena_free(s.arena);
	return code;
}

static void *work(void *arg)
{
	Call *call = arg;
	Arena *a = arena_new(0, NULL, NULL);
	Diag *d = diag_new(a, stderr);
	Options o;
	bool ok = options_parse(a, d, call->argc, call->argv, &o);
	diag_flush(d);
	if (!ok) call->code = 1;
	else if (o.help) options_help(stdout, o.command, o.command == CMD_COMPILE);
	else if (o.version) printf("mlxcc " MLXCC_VERSION "\n");
	else if (o.list_passes) passes_list(stdout);
	else call->code = limited(call, &o);
	arena_free(a);
	if (fflush(stdout) && !call->code) fprintf(stderr, "mlxcc: error[file.write]: cannot write to standard output\n"), call->code = 1;
	return NULL;
}

#if !defined(__SANITIZE_ADDRESS__)
/* Only async-signal-safe calls. */
static void on_crash(int signal)
{
	static const char text[] = "mlxcc: bug in mlxcc: it crashed; the program that it was given shows how\n";
	if (write(2, text, sizeof text - 1) < 0) _exit(70);
	_exit(70);
}

static void catch_crashes(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction act = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &act, NULL);
}

/* A crash for lack of stack needs another one for its handler; it belongs to the thread. */
static void *work_with_handler(void *arg)
{
	size_t bytes = 1 << 16;
	stack_t stack = {.ss_sp = malloc(bytes), .ss_size = bytes};
	if (stack.ss_sp) sigaltstack(&stack, NULL);
	work(arg);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	free(stack.ss_sp);
	return NULL;
}
#else
static void catch_crashes(void) {}
static void *work_with_handler(void *arg)
{
	return work(arg);
}
#endif

int main(int argc, char **argv)
{
	Call call = {.argc = argc, .argv = argv};
	pthread_attr_t attr;
	pthread_t thread;
	catch_crashes();
	signal(SIGPIPE, SIG_IGN);
	if (argc == 1) return options_help(stderr, CMD_COMPILE, true), 1;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(&thread, &attr, work_with_handler, &call)) work(&call);
	else pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	return call.code;
}
