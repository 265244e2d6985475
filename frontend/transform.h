/* Between the files of the user's transforms: how trees meet flat masks. */
#ifndef MLXCC_FRONTEND_TRANSFORM_H
#define MLXCC_FRONTEND_TRANSFORM_H
#include "builtins.h"
#include "elab_core.h"
#include "../passes/transform.h"

enum { TRANSFORM_MAX_ARGS = 64 };

/* Which arguments a derivative is taken by: argnums count positional ones, argnames name any. */
typedef struct Choice {
	int num[TRANSFORM_MAX_ARGS], nnum;
	const char *name[TRANSFORM_MAX_ARGS];
	int nname;
	bool one_num, one_name; /* written as a number or text, not as a list of one */
} Choice;
Choice choice_read(Elab *e, const CallSite *at, Val argnums, Val argnames);
/* Numbers of the chosen arguments (positional, then named) of a call, in order. */
int choice_resolve(Elab *e, const Choice *c, Val fn, const CallArgs *a, const char *what, int *chosen);
/* The derivatives by the chosen arguments as the user asked for them: bare, tuple, record. */
Val choice_result(Elab *e, const Choice *c, const Val *v);

/* Traces a call of fn that is differentiated by the arguments with on[i] (NULL: all). */
Traced trace_for(Elab *e, Val fn, CallArgs *a, const bool *on, const char *name);
/* Parameter i of t.func is differentiable and its argument has on[argument] (NULL: all). Fills active[nparam]; their number. */
int traced_active(Elab *e, const Traced *t, const bool *on, bool *active);
/* t.arg[arg] with its leaf for each active parameter replaced by *next++, none elsewhere. */
Val traced_by_argument(Elab *e, const Traced *t, int arg, const bool *active, Value *const **next);
/* The tensor leaves of t.result that are differentiable. */
void traced_diff_results(const Traced *t, bool *diff);
/* t.result with values for the results in `have`, zeros for other differentiable ones, none elsewhere. */
Val traced_tangent_result(Elab *e, const Traced *t, const bool *have, Value *const *v);
/* The leaves of `of`, in tree_leaves order, of a tree given for its tangents or cotangents: `none` may stand for any part of it. */
Val *match_leaves(Elab *e, Val tree, Val of, Loc loc, const char *what);
/* v as a tensor of like's type: numbers and scalars are spread; fails naming both types. */
Value *fit_leaf(Elab *e, Val v, const Type *like, Loc loc, const char *what);
/* The call of a derived function; unwinds where the transform failed with a message. */
Op *call_derived(Elab *e, Func *g, Value *const *args, int n);
/* A tuple or list as arguments; anything else is one. */
CallArgs spread_primals(Elab *e, Val primals, Loc loc, bool *bare);
#endif
