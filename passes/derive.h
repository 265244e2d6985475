/* What the transforms share: environments, cloning, activity, trimming, the cache of derived functions. Internal to passes/. */
#ifndef MLXCC_PASSES_DERIVE_H
#define MLXCC_PASSES_DERIVE_H
#include "transform.h"
#include "rules/rules.h"

/* --- environments: source value -> value of the derived function; a missing one is a capture, itself ----------------------- */
static inline Value *env_get(const Map *env, Value *v)
{
	Value *r = map_get(env, v);
	return r ? r : v;
}
Value **env_get_all(Arena *a, const Map *env, Value *const *v, int n);
static inline bool set_has(const Map *s, const void *p)
{
	return map_get(s, p) != NULL;
}
void set_add(Map *s, void *p);

/* --- cloning (clone.c) -------------------------------------------------------------------------------------------------------- */
/* Emits op, mapped, at b (folding, interning, hoisting) and enters its results into env. */
void clone_op(Builder *b, Op *op, Map *env);
void clone_ops(Builder *b, Block *from, Map *env);
/* As clone_op, but exactly the op, never merged with another (recomputation must stay one). */
Op *clone_raw(Builder *b, Op *op, Map *env);
/* Parameters of to for each of from's, entered into env. */
void clone_params(Builder *b, Block *from, Block *to, Map *env);
bool op_effects(const Op *op); /* deep, through calls */
bool func_effects(Func *f);
OpView op_view(Builder *b, Op *op, Value **in, Value **out);
const Type *type_row(Module *m, const Type *t);                       /* without the first axis */
Attr *attrs_with_int(Builder *b, const Op *op, AttrKey k, int64_t x); /* a copy with one integer changed */
void block_substitute(Block *b, const Map *to);                       /* deep; follows chains */
static inline Func *op_func(const Op *op)
{
	return op_attr(op, AT_func)->v.func;
}

/* --- loops: names for the parts of an op ---------------------------------------------------------------------------------------- */
typedef struct LoopParts {
	Block *body, *cont; /* cont: the `while` region or NULL */
	int nc, nx, ny;     /* carries, scanned operands, stacked results */
	Dim trips;          /* NULL: no static bound */
	Value *limit;       /* NULL: none */
	bool reverse;
	const Attr *remat;
} LoopParts;
LoopParts loop_parts(const Op *op);
Op *loop_emit(Builder *b, Dim trips, Value *const *carry, int nc, Value *const *xs, int nx, Value *limit, Block *body, Block *cont,
              bool reverse, const Attr *remat);
static inline Value *loop_param(const Block *body, int k)
{
	return body->param[1 + k];
} /* carries, then rows */

/* --- activity (activity.c): values that depend on active ones and have a tangent ----------------------------------------------- */
void activity_block(Block *b, Map *active);
/* Results of f that depend on the active parameters; cached. */
const bool *activity_of(Func *f, const bool *active);
static inline bool func_has_derivative_rule(const Func *f)
{
	return f->rule_jvp || f->rule_vjp_bwd;
}
static inline bool func_has_rules(const Func *f)
{
	return func_has_derivative_rule(f) || f->rule_vmap;
}
bool op_active(const Op *op, const Map *active); /* any result is */

/* --- dead code (trim.c) ------------------------------------------------------------------------------------------------------------ */
/* Removes dead ops, dead and invariant carries, unused scans and stacks; deep. Returns whether anything changed. */
bool trim_block(Arena *scratch, Block *b);
void trim_func(Func *f);

/* --- the cache (derived.c) ----------------------------------------------------------------------------------------------------------- */
typedef struct Derived {
	struct Derived *next;
	const char *key; /* "jvp[101]", interned */
	Dim n;           /* vmap: the batch size */
	Func *a, *b;
	bool *mask;             /* per result (jvp, activity, vmap) or per parameter (fwd/bwd) */
	bool *only_size;        /* fwd/bwd: pres[i] is passed for its type alone */
	int *pres, npres, nres; /* fwd/bwd: parameters passed again, number of residuals */
} Derived;
Derived *derived_find(Func *f, const char *key, Dim n);
Derived *derived_add(Func *f, const char *key, Dim n);
/* "kind[101]" or "kind[101/1]" */
const char *derived_key(Module *m, const char *kind, const bool *p, int np, const bool *r, int nr);
/* A new function f.<key>, with f's facts, place and composite name. */
Func *derived_func(Func *f, const char *key);
/* A function that only calls f, where f carries rules or recomputes: sweeps of its body then honour them; else f itself. */
Func *derived_wrap(Func *f);
int diag_bad(const Module *m); /* errors, limitations and bugs reported so far */

/* --- sweeps ------------------------------------------------------------------------------------------------------------------------------
 */
/* A copy of a `while` region (NULL: none) for a loop that carries `extra` more values behind the first nc. */
Block *jvp_widened_cont(Builder *b, Block *cont, const Block *body, int nc, int extra, const Map *env);
/* jvp.c: cached; mask: which results have a tangent. */
Derived *jvp_derive(Func *f, const bool *active);
/* vjp.c */
Derived *vjp_derive(Func *f, const bool *active, const bool *seeded, bool linear); /* a: forward, b: backward */
/* a: the transpose; pres: linear parameters of g whose size only they told, for which a value of the same type is passed at the end. */
Derived *vjp_transpose(Func *g, const bool *linear);
/* vmap.c: cached; mask: which results are batched. */
Derived *vmap_derive(Func *f, const bool *batched, Dim n, bool all_out);
/* Tangents in order for a rule: instantiated for each differentiable value. Returns their number. */
Value *nth_float(Value *const *v, int n); /* number n of the differentiable values */
int instantiate(Builder *b, Value *const *v, Value *const *t, int n, Value **out);
#endif
