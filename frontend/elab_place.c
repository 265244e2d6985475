/* Places: what can be assigned to and passed as inout. A root name and steps of members and indices; the indices are evaluated once. */
#include "elab_core.h"
#include "builtins.h"
#include <string.h>

static void add_step(Elab *e, Place *p, Step s)
{
	Step *steps = NEW_ARRAY(e->arena, Step, p->nsteps + 1);
	if (p->nsteps) memcpy(steps, p->steps, sizeof(Step) * (size_t)p->nsteps);
	steps[p->nsteps] = s;
	p->steps = steps;
	p->nsteps++;
}

static bool place_of_name(Elab *e, const Expr *x, Place *out)
{
	Frame *f = e->frame;
	const char *name = x->u.name.text;
	Local *l = scope_local(f, name);
	*out = (Place){.root = l, .loc = x->loc};
	if (l) return true;
	if (!f->self || f->self->v.kind != V_MODULE) return false;
	out->root = f->self;
	if (module_member_is_state(f->self->v.u.module, name)) {
		add_step(e, out, (Step){.member = true, .name = name, .loc = x->loc});
		return true;
	}
	return !strcmp(name, "self");
}

static bool has_state_member(Val v, const char *name)
{
	if (v.kind == V_RECORD) return items_find(v.u.items, name) >= 0;
	return v.kind == V_MODULE && module_member_is_state(v.u.module, name);
}

bool place_of(Elab *e, const Expr *x, Place *out)
{
	if (!e->frame) return false;
	switch (x->kind) {
	case EXPR_NAME: return place_of_name(e, x, out);
	case EXPR_MEMBER:
		if (!place_of(e, x->u.member.base, out) || !has_state_member(place_read(e, out), x->u.member.name.text)) return false;
		add_step(e, out, (Step){.member = true, .name = x->u.member.name.text, .loc = x->loc});
		out->loc = x->loc;
		return true;
	case EXPR_INDEX: {
		if (!place_of(e, x->u.index.base, out)) return false;
		Val *idx = NEW_ARRAY(e->arena, Val, x->u.index.index.n + 1);
		int n = elab_indices(e, &x->u.index.index, idx);
		add_step(e, out, (Step){.idx = idx, .n = n, .loc = x->loc});
		out->loc = x->loc;
		return true;
	}
	default: return false;
	}
}

static Val step_read(Elab *e, Val base, const Step *s)
{
	if (!s->member) return elab_index_val(e, base, s->idx, s->n, s->loc);
	return elab_member(e, base, (Name){s->name, s->loc});
}

Val place_read(Elab *e, const Place *p)
{
	Val v = p->root->kind == LOCAL_CAPTURED ? elab_here(e, p->root->v) : p->root->v;
	for (int i = 0; i < p->nsteps; i++) v = step_read(e, v, &p->steps[i]);
	return v;
}

bool place_writable(const Place *p)
{
	return p->root->kind == LOCAL_VAR || p->root->kind == LOCAL_INOUT || p->root->kind == LOCAL_PARAM || p->root->kind == LOCAL_SELF;
}

void place_check_writable(Elab *e, const Place *p, const char *verb)
{
	const Local *l = p->root;
	switch (l->kind) {
	case LOCAL_LET:
		elab_fail_help(e, p->loc, "place.let", arena_printf(e->arena, "declare it with `var %s`", l->name),
		               "cannot %s `%s`: it is declared with `let`", verb, l->name);
	case LOCAL_DIM: elab_fail(e, p->loc, "place.dim", "cannot %s `%s`: it is a dimension", verb, l->name);
	case LOCAL_CAPTURED:
		elab_fail_note(e, p->loc, "place.captured", "a lambda reads outer variables as they were when it was made",
		               "cannot %s `%s` inside a lambda", verb, l->name);
	default: break;
	}
}

/* A number stored where a tensor was takes its dtype. */
static Val store_like(Elab *e, Val old, Val v, Loc loc)
{
	if (old.kind != V_TENSOR || old.u.tensor->type->rank || !val_is_weak(v)) return v;
	DType d = old.u.tensor->type->dtype;
	if (!weak_fits(v, d)) return v;
	return val_tensor(ir_convert(&e->b, elab_tensor(e, v, &d, loc, "a value"), d));
}

static Val step_write(Elab *e, Val base, const Step *s, int n, Val v, Loc loc);

static Val write_tensor(Elab *e, Val base, const Step *s, int n, Val v, Loc loc)
{
	Value *x = elab_tensor(e, base, NULL, loc, "the indexed value");
	if (n == 1) return val_tensor(elab_index_update(e, x, s->idx, s->n, v, "set", loc));
	Val inner = elab_index(e, x, s->idx, s->n, s->loc);
	inner = step_write(e, inner, s + 1, n - 1, v, loc);
	return val_tensor(elab_index_update(e, x, s->idx, s->n, inner, "set", loc));
}

static Val write_item(Elab *e, Val base, int k, const Step *s, int n, Val v, Loc loc)
{
	Items *r = (Items *)items_new(e, base.u.items->at, base.u.items->name, base.u.items->n);
	r->at[k] = n == 1 ? store_like(e, r->at[k], v, loc) : step_write(e, r->at[k], s + 1, n - 1, v, loc);
	base.u.items = r;
	return base;
}

static Val write_index(Elab *e, Val base, const Step *s, int n, Val v, Loc loc)
{
	if (base.kind == V_TENSOR) return write_tensor(e, base, s, n, v, loc);
	if (base.kind == V_STACK && s->n == 1) {
		Val row = n == 1 ? v : step_write(e, stack_row(e, base.u.stack, s->idx[0], s->loc), s + 1, n - 1, v, loc);
		return stack_set_row(e, base.u.stack, s->idx[0], row, loc);
	}
	if (base.kind == V_RECORD && s->n == 1 && s->idx[0].kind == V_STR) {
		int k = items_find(base.u.items, elab_str(e, s->idx[0], s->loc, "a field"));
		if (k < 0) elab_fail(e, s->loc, "member.unknown", "the record has no field `%s`", s->idx[0].u.str.at);
		return write_item(e, base, k, s, n, v, loc);
	}
	if ((base.kind == V_TUPLE || base.kind == V_LIST) && s->n == 1) {
		if (s->idx[0].kind != V_INT && base.kind == V_LIST) return write_tensor(e, base, s, n, v, loc);
		int64_t k = elab_int(e, s->idx[0], s->loc, "the index of a tuple");
		if (k < 0) k += base.u.items->n;
		if (k < 0 || k >= base.u.items->n)
			elab_fail(e, s->loc, "index.range", "index %lld is out of range for a tuple of %d", (long long)s->idx[0].u.i, base.u.items->n);
		return write_item(e, base, (int)k, s, n, v, loc);
	}
	if (base.kind == V_LIST) return write_tensor(e, base, s, n, v, loc);
	elab_fail(e, s->loc, "place.index", "cannot assign to an element of %s", val_describe(e, base));
}

static Val step_write(Elab *e, Val base, const Step *s, int n, Val v, Loc loc)
{
	if (n == 0) return v;
	if (!s->member) return write_index(e, base, s, n, v, loc);
	if (base.kind == V_RECORD) {
		int k = items_find(base.u.items, s->name);
		if (k < 0) elab_fail(e, s->loc, "member.unknown", "the record has no field `%s`", s->name);
		return write_item(e, base, k, s, n, v, loc);
	}
	if (base.kind == V_MODULE) {
		if (n > 1) v = step_write(e, elab_member(e, base, (Name){s->name, s->loc}), s + 1, n - 1, v, loc);
		return module_set_member(e, base, s->name, v, loc);
	}
	elab_fail(e, s->loc, "place.member", "cannot assign to `%s` of %s", s->name, val_describe(e, base));
}

void place_write(Elab *e, const Place *p, Val v, Loc loc)
{
	if (loc.file) e->b.loc = loc;
	p->root->v = step_write(e, p->root->v, p->steps, p->nsteps, v, loc);
}

bool place_overlap(const Place *a, const Place *b)
{
	if (a->root != b->root) return false;
	for (int i = 0; i < a->nsteps && i < b->nsteps; i++) {
		const Step *s = &a->steps[i], *t = &b->steps[i];
		if (s->member != t->member) return true;
		if (s->member && strcmp(s->name, t->name)) return false;
		if (s->member) continue;
		for (int k = 0; k < s->n && k < t->n; k++) {
			if (s->idx[k].kind == V_INT && t->idx[k].kind == V_INT && s->idx[k].u.i != t->idx[k].u.i &&
			    (s->idx[k].u.i < 0) == (t->idx[k].u.i < 0))
				return false;
		}
	}
	return true;
}

static _Noreturn void not_a_place(Elab *e, const Expr *target)
{
	Val v;
	if (target->kind == EXPR_NAME && !scope_find(e, target->u.name.text, target->loc, &v))
		elab_fail_help(e, target->loc, "name.unknown", arena_printf(e->arena, "declare it first: `var %s = …;`", target->u.name.text),
		               "assignment to the unknown name `%s`", target->u.name.text);
	elab_fail(e, target->loc, "place.kind", "cannot assign to `%s`", elab_source(e, target->loc));
}

static void assign_tuple(Elab *e, const Expr *target, Val v, Loc loc)
{
	const ItemList *items = &target->u.items;
	if (v.kind == V_TENSOR || v.kind == V_LIST || v.kind == V_TUPLE) {
		int n;
		Val *parts;
		if (!elab_unpack(e, v, &parts, &n, loc))
			elab_fail(e, loc, "destructure.length", "%s has no length known while compiling", val_describe(e, v));
		if (n != items->n) elab_fail(e, target->loc, "destructure.count", "%d targets for %d values", items->n, n);
		for (int i = 0; i < n; i++) elab_assign(e, items->at[i]->value, parts[i], loc);
		return;
	}
	elab_fail(e, loc, "destructure.kind", "cannot take %s apart into %d targets", val_describe(e, v), items->n);
}

void elab_assign(Elab *e, const Expr *target, Val v, Loc loc)
{
	if (target->kind == EXPR_TUPLE) {
		assign_tuple(e, target, v, loc);
		return;
	}
	Place p;
	if (target->kind == EXPR_NAME && !strcmp(target->u.name.text, "_")) return;
	if (!place_of(e, target, &p)) not_a_place(e, target);
	place_check_writable(e, &p, "assign to");
	if (target->kind == EXPR_NAME && p.root->kind == LOCAL_SELF)
		elab_fail_help(e, target->loc, "place.member_name", arena_printf(e->arena, "write `self.%s = …`", target->u.name.text),
		               "`%s` is a member of the module", target->u.name.text);
	if (target->kind == EXPR_NAME && v.kind == V_TENSOR && !v.u.tensor->name && v.u.tensor->def) v.u.tensor->name = target->u.name.text;
	place_write(e, &p, v, loc);
}
