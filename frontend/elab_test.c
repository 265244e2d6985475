/* A test block becomes a function without parameters and results; its asserts are ops that the interpreter and compiled C check. */
#include "elab_core.h"

void test_function(Elab *e, Scope *s, const Decl *d)
{
	Func *f = func_new(e->m, arena_printf(e->arena, "test_%d", ++e->tests));
	f->is_test = true;
	f->test_title = module_str(e->m, d->u.test.title);
	f->loc = d->loc;
	e->facts = dim_facts_new(e->m->dims);
	e->facts_open = true;
	f->facts = e->facts;
	context_enter_func(e, f);
	Frame fr = {.file = s, .name = "test", .body = &d->u.test.body};
	e->frame = NULL;
	frame_push(e, &fr);
	elab_body(e, &d->u.test.body);
	frame_pop(e);
	func_set_results(f, NULL, 0);
	func_export(f);
}
