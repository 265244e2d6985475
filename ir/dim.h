/* Dimensions: canonical polynomials with rational coefficients over atoms.
 *
 * An atom is a symbol (`B`), a floor quotient `(p // q)` that is not exact, or a run-time integer
 * (used by the front end for slice lengths only). A Dim is interned in its DimCtx: equal
 * polynomials are equal pointers. A coefficient may be a fraction when facts show that the whole is
 * an integer: with 8 | T, `T // 8` is the polynomial T/8, so 64*B*T == 512*(B*T//8) needs no rule of its own.
 *
 * Text (what is printed is what is parsed): monomials in canonical order, `2*B*T+1`, `B*T/8`, `(T+1)//2`, `-3`.
 */
#ifndef MLXCC_IR_DIM_H
#define MLXCC_IR_DIM_H
#include <stdbool.h>
#include <stdint.h>
#include "arena.h"

typedef const struct DimPoly *Dim;
typedef struct DimCtx DimCtx;
typedef struct DimEnv DimEnv;

DimCtx *dim_ctx_new(Arena *a);
Dim dim_int(DimCtx *c, int64_t n);
Dim dim_sym(DimCtx *c, const char *name);
Dim dim_value(DimCtx *c, void *value, int id);   /* a run-time integer as an atom; prints as `%id` */
Dim dim_add(DimCtx *c, Dim a, Dim b);
Dim dim_sub(DimCtx *c, Dim a, Dim b);
Dim dim_mul(DimCtx *c, Dim a, Dim b);
Dim dim_scale(DimCtx *c, Dim a, int64_t num, int64_t den);
bool dim_is_const(Dim d, int64_t *out);
bool dim_is(Dim d, int64_t n); /* the number n */
bool dim_equal(Dim a, Dim b);                    /* pointer equality: canonical */
bool dim_is_sym(Dim d, const char **name);
bool dim_has_value_atom(Dim d);
/* NULL unless every coefficient stays within int64; callers report `dim.overflow`. dim_add, dim_mul also return NULL then;
 * every function takes NULL operands and returns NULL. */

/* What is known: ranges of symbols, p >= 0, p == 0. */
typedef struct DimFacts DimFacts;
DimFacts *dim_facts_new(DimCtx *c);
DimFacts *dim_facts_copy(const DimFacts *f);
/* lo..hi both included (hi INT64_MAX: unbounded), a multiple of step (1: any). A symbol without a range is >= 0. */
void dim_fact_range(DimFacts *f, const char *sym, int64_t lo, int64_t hi, int64_t step);
void dim_fact_nonneg(DimFacts *f, Dim p);        /* p >= 0 */
void dim_fact_equal(DimFacts *f, Dim a, Dim b);  /* one side linear in a symbol with coefficient +-1: later dim_norm substitutes it */
Dim dim_norm(const DimFacts *f, Dim d);          /* d with the equalities substituted: equal under the facts => equal pointers */
bool dim_range_of(const DimFacts *f, const char *sym, int64_t *lo, int64_t *hi, int64_t *step);
/* Values that a symbol commonly has, ascending; only: it has no others (then its range says what follows). They are facts of the entry like
 * ranges, and what the pass `specialise` makes copies for. */
typedef struct DimValues { const int64_t *at; int n; bool only; } DimValues;
void dim_fact_values(DimFacts *f, const char *sym, const int64_t *at, int n, bool only);
DimValues dim_values_of(const DimFacts *f, const char *sym);
bool dim_allows(const DimFacts *f, const char *sym, int64_t n);   /* by its range and values */
int dim_fact_count(const DimFacts *f);           /* asserted facts (ranges not counted) */
Dim dim_fact_at(const DimFacts *f, int i, bool *is_equality);
/* floor(a / b), b > 0 known: exact division where facts show it, else splits off what divides and makes an atom. f may be NULL. */
Dim dim_floordiv(DimCtx *c, const DimFacts *f, Dim a, Dim b);
Dim dim_mod(DimCtx *c, const DimFacts *f, Dim a, Dim b);
/* Exact quotient a/b as polynomials when it exists (reshape -1), else NULL. */
Dim dim_div_exact(DimCtx *c, const DimFacts *f, Dim a, Dim b);
bool dim_provable_nonneg(const DimFacts *f, Dim d);        /* d >= 0 in every permitted case */
bool dim_provable_equal(const DimFacts *f, Dim a, Dim b);
bool dim_provable_less(const DimFacts *f, Dim a, Dim b);   /* a < b */
/* Bounds of d under the facts; false where unbounded. */
bool dim_upper(const DimFacts *f, Dim d, int64_t *hi);
bool dim_lower(const DimFacts *f, Dim d, int64_t *lo);
/* If d is linear in exactly one symbol outside `known`, d == value gives it: *sym and *solution. */
bool dim_solve(DimCtx *c, const DimFacts *f, Dim d, Dim value, bool (*known)(void *ctx, const char *sym), void *ctx, const char **sym, Dim *solution);
Dim dim_subst(DimCtx *c, Dim d, const char *sym, Dim by);  /* in floor atoms too */
/* Calls fn once for each symbol in d, in canonical order, floor atoms included. */
void dim_symbols(Dim d, void (*fn)(void *ctx, const char *sym), void *ctx);

/* Numbers for symbols. */
DimEnv *dim_env_new(Arena *a);
void dim_env_set(DimEnv *e, const char *sym, int64_t n);
bool dim_env_get(const DimEnv *e, const char *sym, int64_t *n);
bool dim_eval(Dim d, const DimEnv *e, int64_t *out);       /* false: a symbol is missing */

void dim_print(StrBuf *b, Dim d);
char *dim_str(Arena *a, Dim d);
/* C expression over `ptrdiff_t` names equal to the symbols; parenthesised unless an atom. Floor division of
 * possibly negative numerators calls mx_floordiv(a, b). rename (may be NULL) maps a symbol to its C name. */
void dim_print_c(StrBuf *b, Dim d, const char *(*rename)(void *ctx, const char *sym), void *ctx);
/* Parses the printed form from *p, advancing it. NULL and *error on bad text. */
Dim dim_parse(DimCtx *c, const char **p, const char **error);
#endif
