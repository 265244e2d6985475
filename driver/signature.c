/* What a function takes and gives, leaf by leaf, taken before the passes rewrite it; and what its dimensions are for given arguments. */
#include <stdlib.h>
#include <string.h>
#include "driver.h"

static size_t top_length(const char *path)
{
	return strcspn(path, ".");
}

/* Leaves with one first segment are neighbours: one argument. */
static int group_leaves(Arena *a, const char *const *path, const int *leaf, int n, LeafGroup *out)
{
	int count = 0;
	for (int i = 0; i < n;) {
		size_t top = top_length(path[leaf[i]]);
		LeafGroup *g = &out[count++];
		*g = (LeafGroup){arena_strndup(a, path[leaf[i]], top), path[leaf[i]][top] == '.', false, i, 0};
		while (i < n && !strncmp(path[leaf[i]], g->name, top) && (path[leaf[i]][top] == '.' || !path[leaf[i]][top]) &&
		       top_length(path[leaf[i]]) == top)
			i++, g->n++;
	}
	return count;
}

Signature signature_of(Arena *a, Func *f)
{
	Signature g = {.f = f,
	               .name = f->name,
	               .nin = f->body->nparam,
	               .nout = f->body->nresult,
	               .dims = f->dims,
	               .ndims = f->ndims,
	               .facts = f->facts,
	               .ctx = f->module->dims};
	int n = g.nin > g.nout ? g.nin : g.nout, *leaf = NEW_ARRAY(a, int, n);
	g.in_path = NEW_ARRAY(a, const char *, g.nin);
	g.out_path = NEW_ARRAY(a, const char *, g.nout);
	g.param_type = NEW_ARRAY(a, const Type *, g.nin);
	g.result_type = NEW_ARRAY(a, const Type *, g.nout);
	g.alias = NEW_ARRAY(a, int, g.nout);
	for (int i = 0; i < g.nin; i++) {
		const Value *v = f->body->param[i];
		g.in_path[i] = f->param_path ? f->param_path[i] : v->name ? v->name : arena_printf(a, "arg%d", i);
		g.param_type[i] = v->type;
		leaf[i] = i;
	}
	g.param = NEW_ARRAY(a, LeafGroup, g.nin);
	g.nparam = group_leaves(a, g.in_path, leaf, g.nin, g.param);
	for (int i = 0; i < g.nparam; i++) g.param[i].is_inout = f->param_inout && f->param_inout[g.param[i].first];
	int k = 0;
	for (int i = 0; i < g.nout; i++) {
		g.result_type[i] = f->body->result[i]->type;
		g.alias[i] = f->result_alias ? f->result_alias[i] : -1;
		if (g.alias[i] < 0) leaf[k++] = i;
		const char *plain = g.nout == 1 ? "out" : arena_printf(a, "out%d", i);
		g.out_path[i] = g.alias[i] >= 0 ? g.in_path[g.alias[i]] : f->result_path ? f->result_path[i] : plain;
	}
	g.result_index = arena_copy(a, leaf, sizeof *leaf * (size_t)k);
	g.result = NEW_ARRAY(a, LeafGroup, k);
	g.nresult = group_leaves(a, g.out_path, g.result_index, k, g.result);
	return g;
}

const char *tensor_type_str(Arena *a, const Tensor *t)
{
	StrBuf b;
	sb_init(&b, a);
	sb_put(&b, dtype_name(t->dtype));
	for (int i = 0; i < t->rank; i++) sb_printf(&b, i ? ",%lld" : "[%lld", (long long)t->shape[i]);
	if (t->rank) sb_putc(&b, ']');
	return sb_text(&b);
}

bool signature_result_shape(const Signature *g, int result, const DimEnv *env, int64_t *shape)
{
	const Type *t = g->result_type[result];
	for (int i = 0; i < t->rank; i++)
		if (!dim_eval(t->dim[i], env, &shape[i])) return false;
	return true;
}

static bool is_known(void *ctx, const char *sym)
{
	int64_t n;
	return dim_env_get(ctx, sym, &n);
}

/* One round over the entries that are linear in one unknown dimension. True if something was found. */
static bool solve_round(const Signature *g, Tensor *const *args, DimEnv *env)
{
	bool found = false;
	for (int i = 0; i < g->nin; i++)
		for (int d = 0; d < g->param_type[i]->rank; d++) {
			int64_t n;
			const char *sym;
			Dim entry = g->param_type[i]->dim[d], solution;
			if (dim_eval(entry, env, &n)) continue;
			if (!dim_solve(g->ctx, g->facts, entry, dim_int(g->ctx, args[i]->shape[d]), is_known, env, &sym, &solution)) continue;
			if (!dim_eval(solution, env, &n)) continue;
			dim_env_set(env, sym, n);
			found = true;
		}
	return found;
}

static bool check_facts(Session *s, const Signature *g, const DimEnv *env)
{
	for (int i = 0; i < g->ndims; i++) {
		int64_t n, lo, hi, step;
		if (!dim_env_get(env, g->dims[i], &n)) {
			session_fail(s, "run.dim", "the dimension %s of `%s` stands in no argument: give it by name, as in %s=4", g->dims[i], g->name,
			             g->dims[i]);
			return false;
		}
		if (!dim_range_of(g->facts, g->dims[i], &lo, &hi, &step)) lo = 0, hi = INT64_MAX, step = 1;
		if (dim_allows(g->facts, g->dims[i], n)) continue;
		DimValues v = dim_values_of(g->facts, g->dims[i]);
		if (v.only) {
			StrBuf b;
			sb_init(&b, s->arena);
			for (int k = 0; k < v.n; k++) sb_printf(&b, "%s%lld", k == 0 ? "" : k == v.n - 1 ? " or " : ", ", (long long)v.at[k]);
			session_fail(s, "run.dim", "%s is %lld: `%s` needs %s", g->dims[i], (long long)n, g->name, sb_text(&b));
			return false;
		}
		const char *multiple = step > 1 ? arena_printf(s->arena, ", a multiple of %lld", (long long)step) : "";
		if (hi == INT64_MAX)
			session_fail(s, "run.dim", "%s is %lld: `%s` needs %lld or more%s", g->dims[i], (long long)n, g->name, (long long)lo, multiple);
		else
			session_fail(s, "run.dim", "%s is %lld: `%s` needs %lld to %lld%s", g->dims[i], (long long)n, g->name, (long long)lo,
			             (long long)hi, multiple);
		return false;
	}
	for (int i = 0; i < dim_fact_count(g->facts); i++) {
		bool equal;
		int64_t n;
		Dim fact = dim_fact_at(g->facts, i, &equal);
		if (!dim_eval(fact, env, &n) || (equal ? n == 0 : n >= 0)) continue;
		session_fail(s, "run.dim", "`%s` asserts %s %s 0, and it is %lld", g->name, dim_str(s->arena, fact),
		             equal ? "==" : ">=", (long long)n);
		return false;
	}
	return true;
}

bool signature_bind(Session *s, const Signature *g, Tensor *const *args, DimEnv *env)
{
	for (int i = 0; i < g->nin; i++)
		if (args[i]->rank != g->param_type[i]->rank) {
			session_fail(s, "run.shape", "`%s` is %s; `%s` takes %s", g->in_path[i], tensor_type_str(s->arena, args[i]), g->name,
			             type_str(s->arena, g->param_type[i]));
			return false;
		}
	while (solve_round(g, args, env)) continue;
	for (int i = 0; i < g->nin; i++)
		for (int d = 0; d < g->param_type[i]->rank; d++) {
			int64_t n;
			Dim entry = g->param_type[i]->dim[d];
			if (dim_eval(entry, env, &n) && n == args[i]->shape[d]) continue;
			session_fail(s, "run.shape", "`%s` is %s; `%s` takes %s", g->in_path[i], tensor_type_str(s->arena, args[i]), g->name,
			             type_str(s->arena, g->param_type[i]));
			if (dim_eval(entry, env, &n) && !dim_is_const(entry, &n))
				diag_note(s->diag, NO_LOC, "%s is %lld by the other arguments", dim_str(s->arena, entry), (long long)n);
			return false;
		}
	return check_facts(s, g, env);
}
