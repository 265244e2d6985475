/* A module as a picture: `mlxcc f.mx --emit=dot | dot -Tsvg`. A box for each function; ops are nodes, values the arrows between them. */
#include <string.h>
#include "driver.h"

static void quoted(StrBuf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '"' || *s == '\\') sb_putc(b, '\\');
		sb_putc(b, *s);
	}
}

/* The node that a value comes from: its op, or itself when it is a parameter. */
static void source(StrBuf *b, const Value *v)
{
	if (v->def) sb_printf(b, "o%d", v->def->out[0]->id);
	else sb_printf(b, "p%d", v->id);
}

static void params(StrBuf *b, Arena *a, const Block *k)
{
	for (int i = 0; i < k->nparam; i++) {
		const Value *v = k->param[i];
		sb_printf(b, "    p%d [shape=ellipse, label=\"", v->id);
		quoted(b, v->name ? v->name : k->kind == BLOCK_FUNC ? "" : "carried");
		sb_printf(b, "\\n%s\"];\n", type_str(a, v->type));
	}
}

static void block(StrBuf *b, Arena *a, const Block *k, int *effects)
{
	params(b, a, k);
	for (const Op *op = k->first; op; op = op->next) {
		char name[32];
		if (op->nout) snprintf(name, sizeof name, "o%d", op->out[0]->id);
		else snprintf(name, sizeof name, "e%d", (*effects)++);
		sb_printf(b, "    %s [label=\"%s", name, op_row(op->code)->name);
		if (op_str(op, AT_message)) sb_put(b, " "), quoted(b, op_str(op, AT_message));
		if (op->nout) sb_printf(b, "\\n%s", type_str(a, op->out[0]->type));
		sb_put(b, "\"];\n");
		for (int i = 0; i < op->nin; i++) {
			sb_put(b, "    ");
			source(b, op->in[i]);
			sb_printf(b, " -> %s;\n", name);
		}
		for (int r = 0; r < op->nregion; r++) {
			sb_printf(b, "    subgraph \"cluster_%s_%d\" { style=dashed; label=\"%s\";\n", name, r, op_row(op->code)->name);
			block(b, a, op->region[r], effects);
			sb_put(b, "    }\n");
			for (int i = 0; i < op->region[r]->nresult; i++) {
				sb_put(b, "    ");
				source(b, op->region[r]->result[i]);
				sb_printf(b, " -> %s [style=dashed];\n", name);
			}
		}
	}
}

void dot_print(StrBuf *out, const Module *m)
{
	int effects = 0;
	sb_put(out, "digraph mlxcc {\n  node [shape=box, fontname=monospace, fontsize=10];\n");
	for (int i = 0; i < m->funcs.n; i++) {
		const Func *f = m->funcs.at[i];
		sb_printf(out, "  subgraph \"cluster_%s\" {\n    label=\"%s\";\n", f->name, f->name);
		block(out, m->arena, f->body, &effects);
		for (int r = 0; r < f->body->nresult; r++) {
			sb_printf(out, "    r%d_%d [shape=ellipse, label=\"", i, r);
			quoted(out, f->result_path ? f->result_path[r] : "result");
			sb_put(out, "\"];\n    ");
			source(out, f->body->result[r]);
			sb_printf(out, " -> r%d_%d;\n", i, r);
		}
		sb_put(out, "  }\n");
	}
	sb_put(out, "}\n");
}
