/* mlxcc run: one exported function on files. */
#include "interp.h"

static int run_native(Session *s, Module *m, const Signature *g, Tensor *const *args, DimEnv *env, Tensor **results)
{
	if (!session_passes(s, m, NULL)) return session_code(s);
	Native *l = native_build(s, g, 1, s->o->check, s->o->no_fma);
	if (!l) return session_code(s);
	int code = native_call(s, l, 0, args, env, results);
	native_free(l);
	if (code && !diag_exit_code(s->diag)) native_report(s, g->name, code);
	return session_code(s);
}

int cmd_run(Session *s)
{
	Module *m = session_load(s, false);
	Func *f = m ? session_function(s, m, s->o->function) : NULL;
	if (!f) return session_code(s);
	Signature g = signature_of(s->arena, f);
	Tensor **args = NEW_ARRAY(s->arena, Tensor *, g.nin), **results = NEW_ARRAY(s->arena, Tensor *, g.nout);
	DimEnv *env = dim_env_new(s->arena);
	if (!trees_load(s, &g, env, args) || !signature_bind(s, &g, args, env)) return session_code(s);
	if (s->o->interp) {
		if (!interpret(s, f, args, env, results, INTERPRET_ALOUD)) return session_code(s);
	} else {
		int code = run_native(s, m, &g, args, env, results);
		if (code) return code;
	}
	trees_save(s, &g, results);
	return session_code(s);
}
