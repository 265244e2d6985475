/* The loop IR as text, for people: --emit=loops. */
#include <inttypes.h>
#include "loop_walk.h"

typedef struct Out {
	StrBuf *b;
	Arena *a;
} Out;

static void tabs(Out *o, int n)
{
	for (int i = 0; i < n; i++) sb_put(o->b, "  ");
}

static void put_index(Out *o, const Index *i)
{
	bool first = true;
	for (int k = 0; k < i->n; k++) {
		int64_t c;
		if (!first) sb_put(o->b, " + ");
		first = false;
		if (!dim_is_const(i->term[k].coef, &c) || c != 1) sb_printf(o->b, "(%s)*", dim_str(o->a, i->term[k].coef));
		if (i->term[k].axis) sb_put(o->b, i->term[k].axis->name);
		else sb_printf(o->b, "%%%d", i->term[k].node->id);
	}
	int64_t add;
	if (first || !dim_is_const(i->add, &add) || add) sb_printf(o->b, "%s%s", first ? "" : " + ", dim_str(o->a, i->add));
}

static void put_access(Out *o, const Node *n, const Buf *b)
{
	sb_put(o->b, b->name);
	for (int i = 0; i < n->nindex; i++) {
		sb_put(o->b, i ? ", " : "[");
		put_index(o, &n->index[i]);
	}
	if (n->nindex) sb_putc(o->b, ']');
}

static void put_scalar(Out *o, Scalar s)
{
	switch (dtype_kind(s.dtype)) {
	case DK_FLOAT: sb_printf(o->b, "%.17g", s.v.f); break;
	case DK_INT: sb_printf(o->b, "%" PRId64, s.v.i); break;
	case DK_COMPLEX: sb_printf(o->b, "(%.9g, %.9g)", (double)s.v.c[0], (double)s.v.c[1]); break;
	default: sb_printf(o->b, "%" PRIu64, s.v.u);
	}
}

static void put_body(Out *o, const Body *b, int depth);

static void put_args(Out *o, const Node *n)
{
	for (int i = 0; i < n->narg; i++) sb_printf(o->b, " %%%d", n->arg[i]->id);
}

static void put_axes(Out *o, const Node *n)
{
	for (int i = 0; i < n->naxis; i++) sb_printf(o->b, " %s in %s", n->axis[i]->name, dim_str(o->a, n->axis[i]->extent));
}

static void put_node(Out *o, const Node *n, int depth)
{
	tabs(o, depth);
	if (n->kind != N_STORE && n->kind != N_FOR) sb_printf(o->b, "%%%d: %s = ", n->id, dtype_name(n->dtype));
	switch (n->kind) {
	case N_CONST: put_scalar(o, n->value); break;
	case N_INDEX: sb_put(o->b, "index "), put_index(o, n->index); break;
	case N_OP: sb_put(o->b, op_row(n->op)->name), put_args(o, n); break;
	case N_LOAD: sb_put(o->b, "load "), put_access(o, n, n->buf); break;
	case N_STORE:
		sb_printf(o->b, "store%s%s ", n->mode ? " " : "", n->mode ? n->mode : "");
		put_access(o, n, n->buf), put_args(o, n);
		break;
	case N_IDIV:
	case N_IMOD:
	case N_MULTIPLE:
		sb_put(o->b, n->kind == N_IDIV ? "quotient " : n->kind == N_IMOD ? "remainder " : "multiple ");
		put_index(o, n->index), sb_printf(o->b, " by %s", dim_str(o->a, n->hi));
		break;
	case N_CLAMP: sb_put(o->b, "clamp"), put_args(o, n), sb_printf(o->b, " to %s..%s", dim_str(o->a, n->lo), dim_str(o->a, n->hi)); break;
	case N_TEST:
		sb_printf(o->b, "test %s <= ", dim_str(o->a, n->lo)), put_index(o, n->index), sb_printf(o->b, " < %s", dim_str(o->a, n->hi));
		break;
	case N_INRANGE: sb_put(o->b, "inrange"), put_args(o, n), sb_printf(o->b, " < %s", dim_str(o->a, n->hi)); break;
	case N_IF: sb_put(o->b, "if"), put_args(o, n); break;
	case N_FOR: sb_put(o->b, "for"), put_axes(o, n); break;
	case N_REDUCE:
		sb_printf(o->b, "reduce %s", op_row(n->op)->name), put_axes(o, n);
		if (n->lanes > 1) sb_printf(o->b, " lanes %d", n->lanes);
		break;
	case N_ARG: sb_printf(o->b, "arg %s", op_row(n->op)->name), put_axes(o, n); break;
	case N_SCAN:
		sb_printf(o->b, "scan %s%s%s", op_row(n->op)->name, n->reverse ? " reverse" : "", n->exclusive ? " exclusive" : "");
		put_axes(o, n), sb_put(o->b, " to "), put_access(o, n, n->buf);
		break;
	case N_RAW:
		sb_printf(o->b, "%s %s%s%s", n->mode, n->buf ? n->buf->name : "", n->src ? " from " : "", n->src ? n->src->name : ""),
		    put_args(o, n);
		break;
	}
	if (n->body) {
		sb_put(o->b, " {\n");
		put_body(o, n->body, depth + 1);
		tabs(o, depth), sb_putc(o->b, '}');
	}
	if (n->other) {
		sb_put(o->b, " else {\n");
		put_body(o, n->other, depth + 1);
		tabs(o, depth), sb_putc(o->b, '}');
	}
	sb_putc(o->b, '\n');
}

static void put_body(Out *o, const Body *b, int depth)
{
	for (const Node *n = b->first; n; n = n->next) put_node(o, n, depth);
	if (b->result) tabs(o, depth), sb_printf(o->b, "yield %%%d\n", b->result->id);
}

static void put_nest(Out *o, const Axis *const *axis, int n, int skip, const Body *b, int depth)
{
	for (int i = skip; i < n; i++) tabs(o, depth++), sb_printf(o->b, "for %s in %s {\n", axis[i]->name, dim_str(o->a, axis[i]->extent));
	put_body(o, b, depth);
	for (int i = skip; i < n; i++) tabs(o, --depth), sb_put(o->b, "}\n");
}

static void put_kernel(Out *o, const Kernel *k, int depth)
{
	int outer = k->nstages > 1 ? k->nouter : 0;
	tabs(o, depth++), sb_put(o->b, "kernel {\n");
	for (int i = 0; i < outer; i++)
		tabs(o, depth++), sb_printf(o->b, "for %s in %s {\n", k->outer[i]->name, dim_str(o->a, k->outer[i]->extent));
	for (int i = 0; i < k->nstages; i++) {
		const Nest *s = k->stages[i];
		tabs(o, depth), sb_printf(o->b, "# %s%s%s\n", s->what, s->out ? " -> " : "", s->out ? s->out->name : "");
		if (s->init) put_nest(o, s->init_axis, s->ninit, outer, s->init, depth);
		put_nest(o, s->axis, s->naxis, outer, s->body, depth);
	}
	for (int i = 0; i < outer; i++) tabs(o, --depth), sb_put(o->b, "}\n");
	tabs(o, --depth), sb_put(o->b, "}\n");
}

static void put_steps(Out *o, const StepList *list, int depth)
{
	for (int i = 0; i < list->n; i++) {
		const Step *s = list->at[i];
		switch (s->kind) {
		case STEP_KERNEL: put_kernel(o, s->kernel, depth); break;
		case STEP_COPY: tabs(o, depth), sb_printf(o->b, "copy %s from %s\n", s->dst->name, s->src->name); break;
		case STEP_CALL:
			tabs(o, depth), sb_printf(o->b, "call @%s(", s->callee->func->name);
			for (int k = 0; k < s->nargs; k++) sb_printf(o->b, "%s%s", k ? ", " : "", s->args[k]->name);
			sb_put(o->b, ") ->");
			for (int k = 0; k < s->nresults; k++) sb_printf(o->b, " %s", s->results[k]->name);
			sb_putc(o->b, '\n');
			break;
		case STEP_PRINT:
		case STEP_ASSERT:
			tabs(o, depth), sb_put(o->b, s->kind == STEP_PRINT ? "print" : "assert");
			for (int k = 0; k < s->nvalues; k++) sb_printf(o->b, " %s", s->values[k]->name);
			sb_putc(o->b, '\n');
			break;
		case STEP_LOOP:
			tabs(o, depth), sb_printf(o->b, "loop %s%s%s%s%s%s {\n", s->axis->name, s->axis->extent ? " in " : "",
			                          s->axis->extent ? dim_str(o->a, s->axis->extent) : "", s->reverse ? " reverse" : "",
			                          s->limit ? " limit " : "", s->limit ? s->limit->name : "");
			put_steps(o, &s->head, depth + 1);
			if (s->cond) tabs(o, depth + 1), sb_printf(o->b, "while %s\n", s->cond->name);
			put_steps(o, &s->body, depth + 1);
			tabs(o, depth), sb_put(o->b, "}\n");
			break;
		case STEP_COND:
			tabs(o, depth), sb_printf(o->b, "if %s {\n", s->cond->name);
			put_steps(o, &s->body, depth + 1);
			tabs(o, depth), sb_put(o->b, "} else {\n");
			put_steps(o, &s->other, depth + 1);
			tabs(o, depth), sb_put(o->b, "}\n");
			break;
		}
	}
}

static const char *space_name(const Buf *b)
{
	static const char *const name[] = {"param", "result", "arena", "scalar", "const", "row", "alias"};
	return name[b->space];
}

void loops_print(StrBuf *out, const Program *p)
{
	Out o = {out, p->m->arena};
	for (int i = 0; i < p->funcs.n; i++) {
		const LoopFunc *f = p->funcs.at[i];
		sb_printf(out, "func @%s  arena %s\n", f->func->name, f->arena ? dim_str(o.a, f->arena) : "not planned");
		for (int k = 0; k < f->bufs.n; k++) {
			const Buf *b = f->bufs.at[k];
			if (!b->reads && !b->writes && b->space != BUF_PARAM && b->space != BUF_RESULT) continue;
			sb_printf(out, "  buf %s: %s %s", b->name, type_str(o.a, b->type), space_name(b));
			if (b->space == BUF_ROW) sb_printf(out, " without %d axes%s", b->drop, b->in_arena ? " in arena" : "");
			if (b->offset) sb_printf(out, " at %s", dim_str(o.a, b->offset));
			if (b->space == BUF_ALIAS) sb_printf(out, " of %s%s", b->base->name, b->has_row ? " row" : "");
			sb_putc(out, '\n');
		}
		put_steps(&o, &f->steps, 1);
		sb_putc(out, '\n');
	}
}
