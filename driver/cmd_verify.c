/* mlxcc verify: the compiled C against the interpreter on random inputs; or (--interp) the loops after each pass that gives loops, which
 * names the pass that goes wrong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "interp.h"

/* splitmix64 */
static uint64_t next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static double uniform(uint64_t *s)
{
	return (double)(next(s) >> 11) * 0x1p-53;
}
static double normal(uint64_t *s)
{
	return sqrt(-2 * log(1 - uniform(s))) * cos(6.283185307179586 * uniform(s));
}

/* A multiple of step in lo..hi, near lo or small: large sizes are slow to interpret. */
static int64_t draw_dim(uint64_t *s, int64_t lo, int64_t hi, int64_t step)
{
	if (step < 1) step = 1;
	int64_t first = lo <= 0 ? 0 : (lo + step - 1) / step, last = hi == INT64_MAX ? first + 8 : hi / step;
	if (first == 0 && last > 0) first = 1;
	if (last > first + 8) last = first + 8;
	return step * (first + (last > first ? (int64_t)(next(s) % (uint64_t)(last - first + 1)) : 0));
}

static bool facts_hold(const Signature *g, const DimEnv *env)
{
	for (int i = 0; i < dim_fact_count(g->facts); i++) {
		bool equal;
		int64_t n;
		Dim fact = dim_fact_at(g->facts, i, &equal);
		if (dim_eval(fact, env, &n) && !(equal ? n == 0 : n >= 0)) return false;
	}
	for (int i = 0; i < g->nin; i++)
		for (int d = 0; d < g->param_type[i]->rank; d++) {
			int64_t n;
			if (!dim_eval(g->param_type[i]->dim[d], env, &n) || n < 0) return false;
		}
	return true;
}

/* The k-th try widens the choice, so that `N >= 16` and `N == M` are met. */
static DimEnv *draw_dims(Arena *a, const Signature *g, uint64_t *s)
{
	for (int k = 0; k < 4000; k++) {
		DimEnv *env = dim_env_new(a);
		for (int i = 0; i < g->ndims; i++) {
			int64_t lo, hi, step;
			if (!dim_range_of(g->facts, g->dims[i], &lo, &hi, &step)) lo = 0, hi = INT64_MAX, step = 1;
			int64_t n = draw_dim(s, lo, hi, step);
			DimValues v = dim_values_of(g->facts, g->dims[i]);
			if (v.n && (v.only || next(s) % 2)) {
				dim_env_set(env, g->dims[i], v.at[next(s) % (uint64_t)v.n]);
				continue;
			}
			if (k > 200) n += (step > 1 ? step : 1) * (int64_t)(next(s) % (uint64_t)(1 + k / 40));
			dim_env_set(env, g->dims[i], n > hi ? hi : n);
		}
		if (facts_hold(g, env)) return env;
	}
	return NULL;
}

static Tensor *draw_tensor(Arena *a, const Type *t, const DimEnv *env, uint64_t *s)
{
	int64_t shape[MAX_RANK];
	for (int i = 0; i < t->rank; i++)
		if (!dim_eval(t->dim[i], env, &shape[i])) shape[i] = 1;
	Tensor *x = tensor_new(a, t->dtype, t->rank, shape);
	for (int64_t i = 0; i < tensor_size(x); i++) {
		Scalar v = {.dtype = t->dtype};
		switch (dtype_kind(t->dtype)) {
		case DK_BOOL: v.v.u = next(s) & 1; break;
		case DK_UINT: v = scalar_from_int((int64_t)(t->dtype == DT_u32 ? next(s) & 0xffffffff : next(s) % 10), t->dtype); break;
		case DK_INT: v = scalar_from_int((int64_t)(next(s) % 10), t->dtype); break;
		case DK_FLOAT: v = scalar_from_double(normal(s), t->dtype); break;
		case DK_COMPLEX: v.v.c[0] = (float)normal(s), v.v.c[1] = (float)normal(s); break;
		}
		tensor_set(x, i, v);
	}
	return x;
}

static double tolerance(DType d)
{
	switch (d) {
	case DT_f64: return 1e-12;
	case DT_f32:
	case DT_c64: return 1e-5;
	case DT_f16: return 4e-3;
	case DT_bf16: return 3e-2;
	default: return 0;
	}
}

static double part(const Tensor *t, int64_t i, int imaginary)
{
	Scalar v = tensor_get(t, i);
	if (t->dtype == DT_c64) return (double)v.v.c[imaginary];
	return scalar_to_double(v);
}

/* The largest difference relative to the largest finite element of a; infinity where nan or infinities differ. *at: where. */
static double difference(const Tensor *a, const Tensor *b, int64_t *at)
{
	double scale = 0, worst = 0;
	int64_t n = tensor_size(a);
	int parts = a->dtype == DT_c64 ? 2 : 1;
	*at = 0;
	if (tolerance(a->dtype) == 0) {
		int bytes = dtype_bytes(a->dtype);
		for (int64_t i = 0; i < n; i++)
			if (memcmp((char *)a->data + i * bytes, (char *)b->data + i * bytes, (size_t)bytes)) return *at = i, INFINITY;
		return 0;
	}
	for (int64_t i = 0; i < n * parts; i++) {
		double x = fabs(part(a, i / parts, (int)(i % parts)));
		if (isfinite(x) && x > scale) scale = x;
	}
	for (int64_t i = 0; i < n * parts; i++) {
		double x = part(a, i / parts, (int)(i % parts)), y = part(b, i / parts, (int)(i % parts)), d;
		if (x == y || (isnan(x) && isnan(y))) continue;
		d = isfinite(x) && isfinite(y) ? fabs(x - y) / (scale > 0 ? scale : 1) : INFINITY;
		if (d > worst) worst = d, *at = i / parts;
	}
	return worst;
}

static Tensor *copy_tensor(Arena *a, const Tensor *t)
{
	Tensor *c = tensor_new(a, t->dtype, t->rank, t->shape);
	if (tensor_bytes(t)) memcpy(c->data, t->data, tensor_bytes(t));
	return c;
}

typedef struct Trial {
	DimEnv *env;
	Tensor **args, **expected;
	uint64_t seed; /* that draws these inputs */
} Trial;

/* Inputs and the interpreter's results. False: no dimensions fit (with a message), or assertions refuse all inputs. */
static bool draw_trial(Session *s, const Signature *g, uint64_t *seed, Trial *t)
{
	t->args = NEW_ARRAY(s->arena, Tensor *, g->nin);
	t->expected = NEW_ARRAY(s->arena, Tensor *, g->nout);
	Tensor **copies = NEW_ARRAY(s->arena, Tensor *, g->nin);
	for (int tries = 0; tries < 30; tries++) {
		t->seed = *seed;
		t->env = draw_dims(s->arena, g, seed);
		if (!t->env) return session_fail(s, "verify.dims", "`%s`: no small dimensions were found that its facts allow", g->name), false;
		for (int i = 0; i < g->nin; i++) {
			t->args[i] = draw_tensor(s->arena, g->param_type[i], t->env, seed);
			copies[i] = copy_tensor(s->arena, t->args[i]);
		}
		if (interpret(s, g->f, copies, t->env, t->expected, INTERPRET_QUIETLY)) return true;
		if (diag_exit_code(s->diag)) return false;
	}
	return false;
}

/* how: "as C", "after the pass `fuse`" */
static bool compare(Session *s, const Signature *g, const Trial *t, Tensor *const *got, const char *how, double *worst)
{
	for (int i = 0; i < g->nout; i++) {
		int64_t at;
		double d = difference(t->expected[i], got[i], &at), most = tolerance(got[i]->dtype);
		if (d <= most) {
			if (d > *worst) *worst = d;
			continue;
		}
		StrBuf b;
		sb_init(&b, s->arena);
		for (int k = 0; k < g->ndims; k++) {
			int64_t n = 0;
			dim_env_get(t->env, g->dims[k], &n);
			sb_printf(&b, "%s%s = %lld", k ? ", " : " with ", g->dims[k], (long long)n);
		}
		diag(s->diag, DIAG_BUG, NO_LOC, "verify.differs", "`%s`, result `%s`%s: element %lld is %.9g %s and %.9g interpreted", g->name,
		     g->out_path[i], sb_text(&b), (long long)at, part(got[i], at, 0), how, part(t->expected[i], at, 0));
		diag_note(s->diag, NO_LOC, "the same inputs again: mlxcc verify %s:%s --trials=1 --seed=%llu", s->o->input, g->name,
		          (unsigned long long)t->seed);
		return false;
	}
	return true;
}

static bool compare_native(Session *s, Native *l, int which, const Signature *g, Trial *t, double *worst)
{
	Tensor **got = NEW_ARRAY(s->arena, Tensor *, g->nout);
	int code = native_call(s, l, which, t->args, t->env, got);
	if (!code) return compare(s, g, t, got, "as C", worst);
	if (code < 0) return false;
	diag(s->diag, DIAG_BUG, NO_LOC, "verify.code", "`%s` returned %d as C; the interpreter has no objection", g->name, code);
	return false;
}

static bool compare_loops(Session *s, const Signature *g, Trial *t, const char *pass, double *worst)
{
	Tensor **got = NEW_ARRAY(s->arena, Tensor *, g->nout);
	if (interpret_loops(s, g->f, t->args, t->env, got, INTERPRET_QUIETLY))
		return compare(s, g, t, got, arena_printf(s->arena, "after the pass `%s`", pass), worst);
	diag_note(s->diag, NO_LOC, "after the pass `%s`", pass);
	return false;
}

/* Runs the passes one by one once there are loops. */
static int verify_loops(Session *s, Module *m, const Signature *sig, Trial *trials, int n)
{
	PassOptions o = s->o->passes;
	PassCtx c = {.m = m, .scratch = arena_child(s->arena), .o = &o, .program = s->program};
	int per = s->o->trials, failed = 0;
	bool *bad = NEW_ARRAY(s->arena, bool, n + 1);
	double *worst = NEW_ARRAY(s->arena, double, n + 1);
	for (int p = 0; p < npasses; p++) {
		if (passes[p].gives != STAGE_LOOP) continue;
		o.start_at = c.program ? passes[p].name : s->o->passes.start_at;
		o.stop_after = passes[p].name;
		if (!passes_run(&c)) return 0;
		s->program = c.program;
		for (int i = 0; i < n; i++)
			for (int k = 0; k < per && !bad[i]; k++) bad[i] = !compare_loops(s, &sig[i], &trials[i * per + k], passes[p].name, &worst[i]);
	}
	diag_flush(s->diag);
	for (int i = 0; i < n; i++) {
		if (!bad[i]) printf("ok   %s  (%d inputs, largest difference %.1e)\n", sig[i].name, per, worst[i]);
		else printf("FAIL %s\n", sig[i].name);
		failed += bad[i];
	}
	arena_free(c.scratch);
	return failed;
}

/* How many of the functions differ; messages of a failed build are in the session. */
static int verify_all(Session *s, Module *m, const Signature *sig, Trial *trials, int n)
{
	int per = s->o->trials, failed = 0;
	m->exact_conv = true; /* the interpreter's bits */
	Native *l = session_passes(s, m, NULL) ? native_build(s, sig, n, false, true) : NULL;
	if (!l) return 0;
	for (int i = 0; i < n; i++) {
		double worst = 0;
		bool ok = true;
		for (int k = 0; k < per && ok; k++) ok = compare_native(s, l, i, &sig[i], &trials[i * per + k], &worst);
		diag_flush(s->diag);
		if (ok) printf("ok   %s  (%d inputs, largest difference %.1e)\n", sig[i].name, per, worst);
		else printf("FAIL %s\n", sig[i].name);
		failed += !ok;
	}
	native_free(l);
	return failed;
}

int cmd_verify(Session *s)
{
	Module *m = session_load(s, false);
	if (!m || (s->o->function && !session_function(s, m, s->o->function))) return session_code(s);
	if (s->program) return session_fail(s, "verify.loops", "`%s` is loops: what they should compute is not known", s->o->input);
	int n = 0, exported = 0, per = s->o->trials;
	uint64_t seed = s->o->seed;
	Signature *sig = NEW_ARRAY(s->arena, Signature, m->funcs.n), *skipped = NEW_ARRAY(s->arena, Signature, m->funcs.n);
	Trial *trials = NEW_ARRAY(s->arena, Trial, m->funcs.n * per);
	/* the interpreter first: the passes take over the module */
	for (int i = 0; i < m->funcs.n; i++) {
		Func *f = m->funcs.at[i];
		if (!f->exported || f->is_test || (s->o->function && strcmp(s->o->function, f->name))) continue;
		sig[n] = signature_of(s->arena, f);
		bool drawn = true;
		for (int k = 0; k < per && drawn; k++) drawn = draw_trial(s, &sig[n], &seed, &trials[n * per + k]);
		if (diag_exit_code(s->diag)) return session_code(s);
		if (drawn) n++;
		else skipped[exported - n] = sig[n];
		exported++;
	}
	if (!exported) return session_fail(s, "run.function", "`%s` exports no function", s->o->input);
	int failed = n ? (s->o->interp ? verify_loops : verify_all)(s, m, sig, trials, n) : 0;
	if (diag_exit_code(s->diag) && !failed) return session_code(s);
	for (int i = 0; i < exported - n; i++) printf("skip %s  (its assertions refuse random inputs)\n", skipped[i].name);
	printf("%d verified, %d failed\n", n - failed, failed);
	return session_code(s);
}
