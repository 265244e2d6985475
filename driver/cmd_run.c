/* mlxcc run: one exported function on files. */
#include "interp.h"
#include "runner.h"

static int run_native(Session *s, Module *m, const Signature *g, Tensor *const *args, DimEnv *env, Tensor **results)
{
	if (!session_passes(s, m, NULL)) return session_code(s);
	Native *l = native_build(s, g, 1, s->o->check, s->o->no_fma);
	if (!l) return session_code(s);
	int code = s->o->profile ? profile_calls(s, l, g, args, env, results) : native_call(s, l, 0, args, env, results);
	native_free(l);
	if (code && !diag_exit_code(s->diag)) native_report(s, g->name, code);
	return session_code(s);
}

/* As the tensor IR is, or, where --stop-after says so, as it is after that pass: loops then. */
static int run_interpreted(Session *s, Module *m, const Signature *g, Tensor *const *args, DimEnv *env, Tensor **results)
{
	if (s->o->passes.stop_after && !session_passes(s, m, NULL)) return session_code(s);
	bool ok = s->program ? interpret_loops(s, g->f, args, env, results, INTERPRET_ALOUD)
	                     : interpret(s, g->f, args, env, results, INTERPRET_ALOUD);
	return ok ? 0 : session_code(s);
}

int cmd_run(Session *s)
{
	if (s->o->passes.stop_after && !s->o->interp)
		return session_fail(s, "cli.option", "--stop-after=%s: C needs all passes; with --interp the program is interpreted as it is then",
		                    s->o->passes.stop_after);
	if (s->o->profile && (s->o->interp || runner_command()))
		return session_fail(s, "cli.option", "--profile measures compiled code in this process: not with %s", s->o->interp ? "--interp" : "MLXCC_RUNNER");
	Module *m = session_load(s, false);
	Func *f = m ? session_function(s, m, s->o->function) : NULL;
	if (!f) return session_code(s);
	Signature g = signature_of(s->arena, f);
	Tensor **args = NEW_ARRAY(s->arena, Tensor *, g.nin), **results = NEW_ARRAY(s->arena, Tensor *, g.nout);
	DimEnv *env = dim_env_new(s->arena);
	if (!trees_load(s, &g, env, args) || !signature_bind(s, &g, args, env)) return session_code(s);
	int code = (s->o->interp ? run_interpreted : run_native)(s, m, &g, args, env, results);
	if (code) return code;
	trees_save(s, &g, results);
	return session_code(s);
}
