/* The rows of passes.def that make and rewrite loop IR. */
#include "loop.h"
#include "passes.h"

bool pass_lower(PassCtx *c)
{
	c->program = lower_program(c->m->arena, c->m);
	return true;
}
bool pass_fuse(PassCtx *c)
{
	return fuse_program(c->program);
}
bool pass_range(PassCtx *c)
{
	return range_program(c->program, c->o->fast_math);
}
bool pass_vectorise(PassCtx *c)
{
	return vectorise_program(c->program);
}
bool pass_plan(PassCtx *c)
{
	return plan_program(c->program);
}
