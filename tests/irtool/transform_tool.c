/* Drives the transforms and the interpreter from tests: one process, many cases. Commands on stdin, one a line:
 *
 *   module N            then N bytes of IR text: a new module replaces the old one
 *   jvp F 101           -> "ok NAME 011": the derived function and its mask of results
 *   vjp F 101 1 V       (active, seeded, V: 1 with values) -> "ok NAME"
 *   grad F 101 V        -> "ok NAME"
 *   vmap F 101 N ALL    (N: a dimension's text) -> "ok NAME 11"
 *   linearize F 101     -> "ok FWD LIN"
 *   transpose F 001     -> "ok NAME"
 *   inline F            -> "ok NAME": F with all calls inlined, once
 *   eval F K            then K tensors, each "DTYPE RANK D0 D1 .." and its bytes -> "ok K" and the results in the same form
 *   text F              -> "ok N" and N bytes
 *   export F            -> "ok N" and N bytes: the whole module with an exported function `main` that calls F
 *   count F             -> "ok OPS DOTS LOOPS": ops without views and constants, functions once
 *   funcs               -> "ok N" and N bytes: names of all functions, one a line
 *
 * A user error or limitation answers "error N" and N bytes of message. Derived functions are verified before they are answered.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "../../ir/eval.h"
#include "../../passes/transform.h"

static Arena *arena;
static Diag *diags;
static Module *mod;

static void answer_text(const char *status, const char *text)
{
	printf("%s %zu\n", status, strlen(text));
	fwrite(text, 1, strlen(text), stdout);
}

static void fresh_module(void)
{
	arena_free(arena);
	arena = arena_new(0, NULL, NULL);
	diags = diag_new(arena, NULL);
}

static char *read_bytes(size_t n)
{
	char *p = arena_alloc(arena, n + 1);
	if (fread(p, 1, n, stdin) != n) exit(3);
	return p;
}

static void load(size_t n)
{
	fresh_module();
	char *text = read_bytes(n);
	mod = ir_read(arena, diags, diag_add_file(diags, "test.ir", text, n));
	if (mod && ir_verify(mod, true)) puts("ok");
	else answer_text("error", diag_text(diags));
}

static bool *mask(const char *s)
{
	bool *m = arena_alloc(arena, strlen(s) + 1);
	for (size_t i = 0; s[i]; i++) m[i] = s[i] == '1';
	return m;
}

static void put_mask(const bool *m, int n)
{
	putchar(' ');
	for (int i = 0; i < n; i++) putchar(m[i] ? '1' : '0');
}

/* False after an answer: the transform failed. */
static bool good(const void *result)
{
	if (result && ir_verify(mod, false)) return true;
	StrBuf b;
	sb_init(&b, arena);
	sb_put(&b, diag_text(diags));
	if (result) ir_print_module(&b, mod, (PrintOptions){.no_loc = true});
	answer_text("error", sb_text(&b));
	return false;
}

/* --- counting --------------------------------------------------------------------------------------------------------- */
typedef struct Count {
	int ops, dots, loops;
	Map seen;
} Count;

static void count_block(Count *c, const Block *b)
{
	for (const Op *op = b->first; op; op = op->next) {
		bool free = (op_row(op->code)->flags & OPF_VIEW) || op->code == OP_const || op->code == OP_dimsize || op->code == OP_stop_gradient;
		c->ops += !free;
		c->dots += op->code == OP_dot;
		c->loops += op->code == OP_loop;
		for (int i = 0; i < op->nregion; i++) count_block(c, op->region[i]);
		if (op->code != OP_call) continue;
		Func *f = op_attr(op, AT_func)->v.func;
		if (map_get(&c->seen, f)) continue;
		map_set(&c->seen, f, f);
		count_block(c, f->body);
	}
}

static Func *inlined(Func *f);

/* --- evaluation --------------------------------------------------------------------------------------------------------- */
static Tensor *read_tensor(void)
{
	char name[16];
	int rank;
	int64_t shape[MAX_RANK];
	DType d;
	if (scanf("%15s %d", name, &rank) != 2 || !dtype_find(name, &d)) exit(3);
	for (int i = 0; i < rank; i++)
		if (scanf("%" SCNd64, &shape[i]) != 1) exit(3);
	getchar();
	Tensor *t = tensor_new(arena, d, rank, shape);
	if (fread(t->data, 1, tensor_bytes(t), stdin) != tensor_bytes(t)) exit(3);
	return t;
}

static void write_tensor(const Tensor *t)
{
	printf("%s %d", dtype_name(t->dtype), t->rank);
	for (int i = 0; i < t->rank; i++) printf(" %" PRId64, t->shape[i]);
	putchar('\n');
	fwrite(t->data, 1, tensor_bytes(t), stdout);
}

static void on_print(void *ctx, const char *message, Tensor *const *args, int n)
{
	(*(int *)ctx)++;
}

static void evaluate(Func *f, int n)
{
	Tensor **args = NEW_ARRAY(arena, Tensor *, n + 1), **res = NEW_ARRAY(arena, Tensor *, f->body->nresult + 1);
	for (int i = 0; i < n; i++) args[i] = read_tensor();
	if (n != f->body->nparam) {
		answer_text("error", "number of arguments");
		return;
	}
	const char *why = NULL;
	int prints = 0;
	EvalHooks hooks = {.ctx = &prints, .print = on_print, .max_steps = 10000000};
	DimEnv *env = dim_env_new(arena);
	EvalStatus s = ir_eval(arena, f, args, env, res, &hooks, &why);
	if (s != EVAL_OK) {
		answer_text("error", why ? why : "evaluation stopped");
		return;
	}
	printf("ok %d %d\n", f->body->nresult, prints);
	for (int i = 0; i < f->body->nresult; i++) write_tensor(res[i]);
}

/* --- commands ------------------------------------------------------------------------------------------------------------ */
static void transform(const char *cmd, Func *f, char **arg)
{
	bool out[256] = {0};
	int nr = f->body->nresult;
	if (!strcmp(cmd, "jvp")) {
		Func *g = transform_jvp(f, mask(arg[0]), out);
		if (!good(g)) return;
		printf("ok %s", g->name);
		put_mask(out, nr);
	} else if (!strcmp(cmd, "vmap")) {
		const char *text = arg[1], *why = NULL;
		Dim n = dim_parse(mod->dims, &text, &why);
		Func *g = transform_vmap(f, mask(arg[0]), n, arg[2][0] == '1', out);
		if (!good(g)) return;
		printf("ok %s", g->name);
		put_mask(out, nr);
	} else if (!strcmp(cmd, "linearize")) {
		Func *fwd, *lin;
		if (!good(transform_linearize(f, mask(arg[0]), &fwd, &lin) ? fwd : NULL)) return;
		printf("ok %s %s", fwd->name, lin->name);
	} else {
		Func *g = NULL;
		if (!strcmp(cmd, "vjp")) g = transform_vjp(f, mask(arg[0]), mask(arg[1]), arg[2][0] == '1');
		else if (!strcmp(cmd, "grad")) g = transform_grad(f, mask(arg[0]), arg[1][0] == '1');
		else if (!strcmp(cmd, "transpose")) g = transform_transpose(f, mask(arg[0]));
		else if (!strcmp(cmd, "inline")) g = inlined(f);
		if (!good(g)) return;
		printf("ok %s", g->name);
	}
	putchar('\n');
}

static bool has_call(const Block *b)
{
	for (const Op *op = b->first; op; op = op->next) {
		if (op->code == OP_call) return true;
		for (int i = 0; i < op->nregion; i++)
			if (has_call(op->region[i])) return true;
	}
	return false;
}

static void inline_ops(Builder *b, Block *from, Map *env);

static Value *env_value(const Map *env, Value *v)
{
	Value *r = map_get(env, v);
	return r ? r : v;
}

static void inline_op(Builder *b, Op *op, Map *env)
{
	Value **in = NEW_ARRAY(arena, Value *, op->nin + 1), **out = NEW_ARRAY(arena, Value *, op->nout + 1);
	for (int k = 0; k < op->nin; k++) in[k] = env_value(env, op->in[k]);
	b->tag = op->tag;
	if (op->code == OP_call) {
		inline_call(b, inlined(op_attr(op, AT_func)->v.func), in, out);
	} else if (op->nregion) {
		Block *region[2] = {0};
		for (int i = 0; i < op->nregion; i++) {
			Block *r = op->region[i], *to = region[i] = block_new(b, r->kind, b->block);
			Builder inner = *b;
			inner.block = to;
			for (int k = 0; k < r->nparam; k++) map_set(env, r->param[k], block_param(b, to, r->param[k]->type, r->param[k]->name));
			inline_ops(&inner, r, env);
			Value **res = NEW_ARRAY(arena, Value *, r->nresult + 1);
			for (int k = 0; k < r->nresult; k++) res[k] = env_value(env, r->result[k]);
			block_set_results(b, to, res, r->nresult);
		}
		out = ir_emit_region(b, op->code, in, op->nin, op->attrs, op->nattr, region, op->nregion)->out;
	} else if (op_row(op->code)->flags & OPF_EFFECT) ir_emit_effect(b, op->code, in, op->nin, op->attrs, op->nattr);
	else ir_emit_n(b, op->code, in, op->nin, op->attrs, op->nattr, out, op->nout);
	for (int k = 0; k < op->nout; k++) map_set(env, op->out[k], out[k]);
}

static void inline_ops(Builder *b, Block *from, Map *env)
{
	for (Op *op = from->first; op; op = op->next) inline_op(b, op, env);
}

/* f with every call in it opened; f itself where there is none. */
static Func *inlined(Func *f)
{
	if (!has_call(f->body)) return f;
	Func *g = func_new(mod, arena_printf(arena, "%s.inlined", f->name));
	g->facts = f->facts;
	g->noinline_cse = f->noinline_cse;
	Builder b = builder_at(g);
	Map env;
	map_init(&env, arena);
	for (int k = 0; k < f->body->nparam; k++)
		map_set(&env, f->body->param[k], func_param(g, f->body->param[k]->type, f->body->param[k]->name));
	inline_ops(&b, f->body, &env);
	Value **y = NEW_ARRAY(arena, Value *, f->body->nresult + 1);
	for (int k = 0; k < f->body->nresult; k++) y[k] = env_value(&env, f->body->result[k]);
	func_set_results(g, y, f->body->nresult);
	return g;
}

static void export_main(Func *f)
{
	Func *g = func_new(mod, "main");
	g->facts = f->facts;
	Builder b = builder_at(g);
	for (int k = 0; k < f->body->nparam; k++) func_param(g, f->body->param[k]->type, NULL);
	Op *call = ir_emit_call(&b, f, g->body->param, g->body->nparam);
	func_set_results(g, call->out, call->nout);
	func_export(g);
	for (int k = 0; k < g->body->nparam; k++) g->param_path[k] = module_str(mod, arena_printf(arena, "p%d", k));
	for (int k = 0; k < g->body->nresult; k++) g->result_path[k] = module_str(mod, arena_printf(arena, "out%d", k));
}

static void inspect(const char *cmd, Func *f)
{
	StrBuf b;
	sb_init(&b, arena);
	if (!strcmp(cmd, "export")) {
		export_main(f);
		ir_print_module(&b, mod, (PrintOptions){.no_loc = true});
		answer_text("ok", sb_text(&b));
	} else if (!strcmp(cmd, "text")) {
		ir_print_func(&b, f, (PrintOptions){.no_loc = true});
		answer_text("ok", sb_text(&b));
	} else if (!strcmp(cmd, "count")) {
		Count c = {0};
		map_init(&c.seen, arena);
		count_block(&c, f->body);
		printf("ok %d %d %d\n", c.ops, c.dots, c.loops);
	} else answer_text("error", "unknown command");
}

static void list_funcs(void)
{
	StrBuf b;
	sb_init(&b, arena);
	for (int i = 0; i < mod->funcs.n; i++) sb_printf(&b, "%s\n", mod->funcs.at[i]->name);
	answer_text("ok", sb_text(&b));
}

static void command(char *line)
{
	char *word[8] = {0};
	int n = 0;
	for (char *w = strtok(line, " \n"); w && n < 8; w = strtok(NULL, " \n")) word[n++] = w;
	if (n == 0) return;
	if (!strcmp(word[0], "module")) {
		load((size_t)atol(word[1]));
		return;
	}
	if (!strcmp(word[0], "funcs")) {
		list_funcs();
		return;
	}
	Func *f = n > 1 ? func_find(mod, word[1]) : NULL;
	if (!f) answer_text("error", "no such function");
	else if (!strcmp(word[0], "eval")) evaluate(f, atoi(word[2]));
	else if (n > 2 || !strcmp(word[0], "inline")) transform(word[0], f, word + 2);
	else inspect(word[0], f);
}

/* A bug ends the process inside of the builder: its message would be lost. */
static void last_words(void)
{
	if (diags && diag_count(diags, DIAG_BUG)) fputs(diag_text(diags), stderr);
}

int main(void)
{
	char line[4096];
	atexit(last_words);
	while (fgets(line, sizeof line, stdin)) {
		command(line);
		fflush(stdout);
	}
	diags = NULL;
	arena_free(arena);
	return 0;
}
