/* The inside of dimension polynomials: shared by dim.c, dim_facts.c and dim_text.c only. */
#ifndef MLXCC_IR_DIM_INTERNAL_H
#define MLXCC_IR_DIM_INTERNAL_H
#include "dim.h"

typedef enum AtomKind { ATOM_SYM, ATOM_FLOOR, ATOM_VALUE } AtomKind;
typedef struct Atom {
	AtomKind kind;
	const char *name;   /* SYM: interned */
	Dim num, den;       /* FLOOR: floor(num / den) */
	void *value;        /* VALUE */
	int id;             /* VALUE: what it prints as; else the order of creation, for hashing */
} Atom;
typedef struct Factor { const Atom *atom; int exp; } Factor;
typedef struct Term { int64_t num, den; int n; const Factor *factor; } Term;   /* num/den in lowest terms, den > 0, num != 0 */
struct DimPoly { DimCtx *ctx; uint64_t hash; int n; Term term[]; };             /* no terms: 0 */
struct DimCtx {
	Arena *arena;
	Intern names;
	VEC(const Atom *) atoms;
	Dim *slots; int npoly, cap;
};
typedef VEC(const char *) VEC_OF_NAMES;
typedef struct EnvItem { const char *name; int64_t value; } EnvItem;
struct DimEnv { Arena *arena; VEC(EnvItem) items; };

int dim_atom_compare(const Atom *a, const Atom *b);
bool dim_frac_add(int64_t *num, int64_t *den, int64_t bn, int64_t bd);
Dim dim_of_atom(DimCtx *c, const Atom *a);
Dim dim_floor_atom(DimCtx *c, Dim num, Dim den);   /* no simplification */
Dim dim_term(DimCtx *c, const Term *t);
Dim dim_term_div(DimCtx *c, const Term *t, const Term *s);   /* NULL when a factor of s is missing in t */
Dim dim_solve_for(DimCtx *c, const DimFacts *f, Dim d, Dim value, const char *sym);
bool dim_mentions(Dim d, const char *sym);
#endif
