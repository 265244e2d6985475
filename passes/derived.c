/* The cache of derived functions and their stable names: f.jvp[101], f.fwd[11/1], f.bwd[11/1], f.vmap[01]. */
#include "derive.h"
#include <string.h>

Derived *derived_find(Func *f, const char *key, Dim n)
{
	for (Derived *d = f->derived; d; d = d->next)
		if (d->key == key && d->n == n) return d;
	return NULL;
}

Derived *derived_add(Func *f, const char *key, Dim n)
{
	Derived *d = NEW(f->module->arena, Derived);
	d->key = key, d->n = n, d->next = f->derived;
	f->derived = d;
	return d;
}

/* 0110; long ones as runs, 1x40.0x2, which no short one looks like. */
static void put_mask(StrBuf *s, const bool *m, int n)
{
	if (n <= 16) {
		for (int i = 0; i < n; i++) sb_putc(s, m[i] ? '1' : '0');
		return;
	}
	for (int i = 0, k; i < n; i = k) {
		for (k = i; k < n && m[k] == m[i]; k++) {}
		sb_printf(s, "%s%dx%d", i ? "." : "", m[i], k - i);
	}
}

const char *derived_key(Module *m, const char *kind, const bool *p, int np, const bool *r, int nr)
{
	StrBuf s;
	sb_init(&s, m->arena);
	sb_printf(&s, "%s[", kind);
	put_mask(&s, p, np);
	if (r) {
		sb_putc(&s, '/');
		put_mask(&s, r, nr);
	}
	sb_putc(&s, ']');
	return module_str(m, sb_text(&s));
}

Func *derived_func(Func *f, const char *key)
{
	Module *m = f->module;
	Func *g = func_new(m, arena_printf(m->arena, "%s.%s", f->name, key));
	g->facts = f->facts;
	g->loc = f->loc;
	/* codegen matches "softmax.bwd", whatever the masks */
	if (f->composite) g->composite = module_str(m, arena_printf(m->arena, "%s.%.*s", f->composite, (int)strcspn(key, "["), key));
	return g;
}

Func *derived_wrap(Func *f)
{
	if (!func_has_rules(f) && !f->remat) return f;
	const char *key = module_str(f->module, "call");
	Derived *d = derived_find(f, key, NULL);
	if (d) return d->a;
	Func *w = derived_func(f, key);
	Map env;
	map_init(&env, f->module->arena);
	Builder b = builder_at(w);
	b.loc = f->loc;
	clone_params(&b, f->body, w->body, &env);
	Op *call = ir_emit_call(&b, f, w->body->param, w->body->nparam);
	func_set_results(w, call->out, call->nout);
	derived_add(f, key, NULL)->a = w;
	return w;
}

int diag_bad(const Module *m)
{
	return diag_count(m->diag, DIAG_ERROR) + diag_count(m->diag, DIAG_LIMITATION) + diag_count(m->diag, DIAG_BUG);
}
