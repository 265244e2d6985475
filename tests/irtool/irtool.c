/* irtool: drives the lower half of the compiler on IR text, for the tests.
 *
 *   irtool verify F.ir                              reads and checks; F.ir of this and the next four may be loop IR
 *   irtool print [--no-loc] F.ir                    reads and prints
 *   irtool eval F.ir @func in.npy .. -o DIR         interprets; writes DIR/0.npy, 1.npy, ..
 *   irtool evals F.ir @func in.npy .. -o DIR        the same after each pass that gives loops; writes DIR/PASS/0.npy, ..
 *   irtool pass NAME[,NAME] [--no-loc] F.ir         runs those passes and prints the IR; each pass is verified
 *   irtool pipeline [switches of the pass driver] F.ir
 *   irtool ops                                      one line per op: what the tests need of the table
 *   irtool support NAME ..                          C: what those names reach of kernels/
 *
 * .npy: bf16 travels as uint16, everything else as itself. Exit code: that of the diagnostics.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "../../codegen/codegen.h"
#include "../../ir/build.h"
#include "../../ir/eval.h"
#include "../../ir/fold.h"
#include "../../passes/loop_eval.h"
#include "../../passes/pass.h"
#include "irtool.h"

_Noreturn void tool_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("irtool: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static char *read_file(Arena *a, const char *path, size_t *n)
{
	FILE *f = fopen(path, "rb");
	if (!f) tool_fail("%s: %s", path, strerror(errno));
	StrBuf b;
	sb_init(&b, a);
	char room[65536];
	for (size_t k; (k = fread(room, 1, sizeof room, f)) > 0;) sb_putn(&b, room, k);
	fclose(f);
	*n = b.n;
	return (char *)sb_text(&b);
}

/* --- .npy: version 1, C order, little endian --------------------------------------------------------------------------- */
static const struct {
	DType d;
	const char *descr;
} npy_types[] = {
    {DT_bool, "|b1"}, {DT_u8, "|u1"},  {DT_i8, "|i1"},  {DT_u16, "<u2"}, {DT_i16, "<i2"}, {DT_u32, "<u4"},  {DT_i32, "<i4"},
    {DT_u64, "<u8"},  {DT_i64, "<i8"}, {DT_f16, "<f2"}, {DT_f32, "<f4"}, {DT_f64, "<f8"}, {DT_bf16, "<u2"}, {DT_c64, "<c8"},
};

static const char *npy_descr(DType d)
{
	for (size_t k = 0; k < sizeof npy_types / sizeof *npy_types; k++)
		if (npy_types[k].d == d) return npy_types[k].descr;
	return "?";
}

/* as: the parameter's dtype, which settles what <u2 means. */
static Tensor *npy_read(Arena *a, const char *path, DType as)
{
	size_t n;
	char *s = read_file(a, path, &n);
	if (n < 10 || memcmp(s, "\x93NUMPY\x01", 7) != 0) tool_fail("%s: no .npy file of version 1", path);
	size_t header = (unsigned char)s[8] + 256u * (unsigned char)s[9];
	const char *dict = arena_strndup(a, s + 10, header), *descr = strstr(dict, "'descr': '"), *p = strstr(dict, "'shape': (");
	if (!descr || !p || strstr(dict, "'fortran_order': True")) tool_fail("%s: header not understood", path);
	if (strncmp(descr + 10, npy_descr(as), 3) != 0) tool_fail("%s: has %.3s, the parameter is %s", path, descr + 10, dtype_name(as));
	int64_t shape[MAX_RANK];
	int rank = 0;
	for (p += 10; *p && *p != ')';) {
		char *stop;
		shape[rank++] = strtoll(p, &stop, 10);
		p = stop + strspn(stop, ", ");
	}
	Tensor *t = tensor_new(a, as, rank, shape);
	if (n - 10 - header != tensor_bytes(t)) tool_fail("%s: wrong number of bytes", path);
	memcpy(t->data, s + 10 + header, tensor_bytes(t));
	return t;
}

static void npy_write(Arena *a, const char *path, const Tensor *t)
{
	StrBuf h;
	sb_init(&h, a);
	sb_printf(&h, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_descr(t->dtype));
	for (int i = 0; i < t->rank; i++) sb_printf(&h, "%lld,", (long long)t->shape[i]);
	sb_put(&h, "), }");
	while ((10 + h.n + 1) % 64) sb_putc(&h, ' ');
	sb_putc(&h, '\n');
	FILE *f = fopen(path, "wb");
	if (!f) tool_fail("%s: %s", path, strerror(errno));
	fwrite("\x93NUMPY\x01\0", 1, 8, f);
	fputc((int)(h.n & 255), f);
	fputc((int)(h.n >> 8), f);
	fwrite(sb_text(&h), 1, h.n, f);
	fwrite(t->data, 1, tensor_bytes(t), f);
	if (fclose(f) != 0) tool_fail("%s: %s", path, strerror(errno));
}

/* --- modules -------------------------------------------------------------------------------------------------------------- */
Module *tool_read(Tool *t, const char *path)
{
	size_t n;
	char *text = read_file(t->arena, path, &n);
	uint32_t file = diag_add_file(t->diag, path, text, n);
	if (!strcmp(ir_read_stage(t->arena, t->diag, file), "loops")) {
		t->program = loops_read(t->arena, t->diag, file);
		if (!t->program || !loops_verify(t->program, true)) tool_exit(t);
		return t->program->m;
	}
	Module *m = ir_read(t->arena, t->diag, file);
	if (!m || !ir_verify(m, true)) tool_exit(t);
	return m;
}

_Noreturn void tool_exit(Tool *t)
{
	diag_flush(t->diag);
	exit(diag_exit_code(t->diag));
}

void tool_print(Tool *t, const Module *m)
{
	StrBuf b;
	sb_init(&b, t->arena);
	if (t->program) loops_print(&b, t->program, (PrintOptions){.no_loc = t->no_loc});
	else ir_print_module(&b, m, (PrintOptions){.no_loc = t->no_loc});
	fputs(sb_text(&b), stdout);
}

Func *tool_func(Module *m, const char *name)
{
	Func *f = func_find(m, name[0] == '@' ? name + 1 : name);
	if (!f) tool_fail("there is no function %s", name);
	return f;
}

static void cmd_verify(Tool *t, char **args, int n)
{
	if (n != 1) tool_fail("verify F.ir");
	tool_read(t, args[0]);
}

static void cmd_print(Tool *t, char **args, int n)
{
	if (n != 1) tool_fail("print F.ir");
	tool_print(t, tool_read(t, args[0]));
}

static void print_op(void *ctx, const char *message, Tensor *const *args, int n)
{
	fputs(message, stdout);
	for (int k = 0; k < n; k++) {
		fputs(k ? ", [" : " [", stdout);
		for (int64_t i = 0; i < tensor_size(args[k]) && i < 16; i++)
			printf("%s%.9g", i ? " " : "", scalar_to_double(tensor_get(args[k], i)));
		fputs("]", stdout);
	}
	putchar('\n');
	(void)ctx;
}

typedef struct Evaluation {
	Module *m;
	Func *f;
	Tensor **in;
	const char *dir;
} Evaluation;

static Evaluation eval_args(Tool *t, char **args, int n)
{
	Evaluation e = {0};
	if (n >= 4 && strcmp(args[n - 2], "-o") == 0) e.dir = args[n - 1], n -= 2;
	if (n < 2) tool_fail("eval F.ir @func in.npy .. -o DIR");
	e.m = tool_read(t, args[0]);
	e.f = tool_func(e.m, args[1]);
	if (n - 2 != e.f->body->nparam) tool_fail("@%s takes %d arguments, not %d", e.f->name, e.f->body->nparam, n - 2);
	e.in = NEW_ARRAY(t->arena, Tensor *, n);
	for (int k = 0; k < e.f->body->nparam; k++) e.in[k] = npy_read(t->arena, args[2 + k], e.f->body->param[k]->type->dtype);
	return e;
}

static void eval_into(Tool *t, const Evaluation *e, const char *dir)
{
	const char *why = NULL;
	Tensor **out = NEW_ARRAY(t->arena, Tensor *, e->f->body->nresult + 1);
	EvalHooks hooks = {.print = print_op};
	LoopHooks loop_hooks = {.print = print_op};
	DimEnv *env = dim_env_new(t->arena);
	LoopFunc *lf = t->program ? loops_find(t->program, e->f->name) : NULL;
	if (t->program && !lf) tool_fail("@%s has no loops: it is not exported", e->f->name);
	EvalStatus s = lf ? loops_eval(t->arena, t->program, lf, e->in, env, out, &loop_hooks, &why)
	                  : ir_eval(t->arena, e->f, e->in, env, out, &hooks, &why);
	if (s != EVAL_OK) tool_fail("%s", why ? why : "evaluation stopped");
	if (dir) mkdir(dir, 0777);
	for (int k = 0; dir && k < e->f->body->nresult; k++) npy_write(t->arena, arena_printf(t->arena, "%s/%d.npy", dir, k), out[k]);
}

static void cmd_eval(Tool *t, char **args, int n)
{
	Evaluation e = eval_args(t, args, n);
	eval_into(t, &e, e.dir);
}

static void cmd_evals(Tool *t, char **args, int n)
{
	Evaluation e = eval_args(t, args, n);
	PassOptions o = {.bisect = -1};
	PassCtx c = {.m = e.m, .scratch = t->scratch, .o = &o, .program = t->program};
	if (e.dir) mkdir(e.dir, 0777);
	for (int p = 0; p < npasses; p++) {
		if (passes[p].gives != STAGE_LOOP) continue;
		o.start_at = c.program ? passes[p].name : NULL;
		o.stop_after = passes[p].name;
		if (!passes_run(&c)) tool_exit(t);
		t->program = c.program;
		eval_into(t, &e, e.dir ? arena_printf(t->arena, "%s/%s", e.dir, passes[p].name) : NULL);
	}
}

static void cmd_pass(Tool *t, char **args, int n)
{
	if (n != 2) tool_fail("pass NAME[,NAME] F.ir");
	Module *m = tool_read(t, args[1]);
	PassOptions o = {.bisect = -1};
	PassCtx c = {.m = m, .scratch = t->scratch, .o = &o};
	for (char *name = strtok(args[0], ","); name; name = strtok(NULL, ",")) {
		const Pass *p = pass_find(name);
		if (!p) tool_fail("there is no pass %s", name);
		ArenaMark mark = arena_mark(c.scratch);
		p->run(&c);
		arena_reset(c.scratch, mark);
		if (!ir_verify(m, false) || diag_exit_code(t->diag)) tool_exit(t);
	}
	tool_print(t, m);
}

static const char *value_of(const char *arg, const char *option)
{
	size_t n = strlen(option);
	return strncmp(arg, option, n) == 0 && arg[n] == '=' ? arg + n + 1 : NULL;
}

static bool pass_switch(PassOptions *o, const char *arg)
{
	const char *v;
	if ((v = value_of(arg, "--print-after"))) o->print_after = v;
	else if ((v = value_of(arg, "--stop-after"))) o->stop_after = v;
	else if ((v = value_of(arg, "--start-at"))) o->start_at = v;
	else if ((v = value_of(arg, "--bisect"))) o->bisect = atoi(v);
	else if ((v = value_of(arg, "--replay-dir"))) o->replay_dir = v;
	else if ((v = value_of(arg, "--skip")) && o->nskip < 16) o->skip[o->nskip++] = v;
	else if (strcmp(arg, "--time-passes") == 0) o->time_passes = true;
	else if (strcmp(arg, "--verify-each") == 0) o->verify_each = true;
	else if (strcmp(arg, "--fast-math") == 0) o->fast_math = true;
	else return false;
	return true;
}

static void cmd_pipeline(Tool *t, char **args, int n)
{
	PassOptions o = {.bisect = -1, .no_loc = t->no_loc};
	int k = 0;
	while (k < n && args[k][0] == '-') {
		if (strcmp(args[k], "--list-passes") == 0) {
			passes_list(stdout);
			return;
		}
		if (!pass_switch(&o, args[k])) tool_fail("unknown switch %s", args[k]);
		k++;
	}
	if (k != n - 1) tool_fail("pipeline [switches] F.ir");
	Module *m = tool_read(t, args[k]);
	PassCtx c = {.m = m, .scratch = t->scratch, .o = &o, .program = t->program};
	if (!passes_run(&c)) tool_exit(t);
	/* without --stop-after: the tensor IR as the last pass on it left it */
	const Pass *last = o.stop_after ? pass_find(o.stop_after) : NULL;
	if (last && last->gives == STAGE_LOOP) t->program = c.program;
	tool_print(t, m);
}

static void print_dtypes(OpCode c)
{
	for (int d = 0; d < DT_COUNT; d++)
		if (op_takes(c, (DType)d)) printf(" %s", dtype_name((DType)d));
}

/* name|elementwise or tensor|operands|results|dtypes taken|linear groups|zero reason|attributes */
static void cmd_ops(Tool *t, char **args, int n)
{
	static const char *const zero[] = {"NONE", "DISCRETE", "INTEGER", "STOP", "RANDOM_BITS", "SOURCE"};
	for (int c = 0; c < OP_COUNT; c++) {
		const OpRow *row = op_row((OpCode)c);
		printf("%s|%s|%d|%d|", row->name, row->elementwise ? "elementwise" : "tensor", row->nin, row->nout);
		if (row->elementwise) print_dtypes((OpCode)c);
		printf("|%s|%s|", row->lin, zero[row->zero]);
		for (int k = 0; k < row->nattr; k++) printf("%s%s%s", k ? " " : "", attr_name(row->attr[k]), row->optional[k] ? "?" : "");
		putchar('\n');
	}
	(void)t, (void)args, (void)n;
}

/* name|exactness|op|arguments|replacement|dtypes */
static void cmd_rules(Tool *t, char **args, int n)
{
	static const char *const words[] = {"EXACT", "CLOSER", "RELAXED"};
	for (int k = 0; k < nfold_rules; k++) {
		const RuleRow *r = &fold_rules[k];
		printf("%s|%s|%s|%s|%s|", r->name, words[r->exactness], op_row(r->op)->name, r->args, r->becomes);
		for (int d = 0; d < DT_COUNT; d++)
			if (rule_takes(r, (DType)d)) printf(" %s", dtype_name((DType)d));
		putchar('\n');
	}
	(void)t, (void)args, (void)n;
}

static void cmd_support(Tool *t, char **args, int n)
{
	StrBuf names, out;
	sb_init(&names, t->arena), sb_init(&out, t->arena);
	for (int k = 0; k < n; k++) sb_printf(&names, "%s ", args[k]);
	codegen_support(&out, t->arena, NULL, sb_text(&names), true);
	printf("#include <math.h>\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n%s", sb_text(&out));
}

static const struct {
	const char *name;
	void (*run)(Tool *t, char **args, int n);
} commands[] = {
    {"verify", cmd_verify},     {"print", cmd_print}, {"eval", cmd_eval},   {"evals", cmd_evals},     {"pass", cmd_pass},
    {"pipeline", cmd_pipeline}, {"ops", cmd_ops},     {"rules", cmd_rules}, {"support", cmd_support},
};

int main(int argc, char **argv)
{
	Tool t = {.arena = arena_new((size_t)1 << 32, NULL, NULL), .scratch = arena_new(0, NULL, NULL)};
	t.diag = diag_new(t.arena, stderr);
	int n = 0;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--no-loc") == 0) t.no_loc = true;
		else argv[n++] = argv[i];
	for (size_t k = 0; n > 0 && k < sizeof commands / sizeof *commands; k++)
		if (strcmp(argv[0], commands[k].name) == 0) {
			commands[k].run(&t, argv + 1, n - 1);
			tool_exit(&t);
		}
	tool_fail("verify, print, eval, evals, pass, pipeline, ops, rules or support expected");
}
