/* simplify: every function is emitted again through the builder.
 *
 * Takes and gives tensor IR. Folds constants and identities (ir/rules.def, ir/fold_tensor.c), merges equal pure ops, hoists out of loop
 * bodies, takes conds on constants and loops of no or one trip apart. Keeps functions, effects and their order, names, locations.
 * Leaves dead ops behind for dce.
 */
#include "passes.h"
#include "rebuild.h"
#include "walk.h"

bool pass_simplify(PassCtx *c)
{
	Module *m = c->m;
	bool changed = false;
	for (int i = 0; i < m->funcs.n; i++) {
		ArenaMark mark = arena_mark(c->scratch);
		const Block *before = m->funcs.at[i]->body;
		rebuild_func(m->funcs.at[i], c->scratch, true);
		changed |= !blocks_alike(c->scratch, before, m->funcs.at[i]->body);
		arena_reset(c->scratch, mark);
	}
	return changed;
}
