/* The loop IR as text. What is printed is what loop_read.c reads; docs/loop_ir.md has the grammar and an example. The syntax of each
 * construct is its row of loop.def; this file knows how each kind of field is written. */
#include <inttypes.h>
#include "../ir/text.h"
#include "loop_text.h"
#include "loop_walk.h"

typedef struct Out {
	StrBuf *b;
	const Program *p;
	const LoopFunc *f;
	const Kernel *kernel;
	int outer; /* how many of its outer axes are declared */
	Loc place; /* of the stage: nodes that have another one show it */
	PrintOptions o;
	int depth;
} Out;

static void tabs(Out *o)
{
	for (int i = 0; i < o->depth; i++) sb_put(o->b, "  ");
}

static void open_block(Out *o)
{
	sb_put(o->b, "{\n");
	o->depth++;
}

static void close_block(Out *o)
{
	o->depth--;
	tabs(o), sb_putc(o->b, '}');
}

/* --- positions -------------------------------------------------------------------------------------------------------------------- */
static void put_coef(Out *o, Dim coef, bool first)
{
	int64_t c;
	if (!dim_is_const(coef, &c)) {
		sb_put(o->b, first ? "(" : " + ("), dim_print(o->b, coef), sb_put(o->b, ")*");
		return;
	}
	bool minus = c < 0 && c != INT64_MIN;
	sb_put(o->b, first ? (minus ? "-" : "") : minus ? " - " : " + ");
	if (minus) c = -c;
	if (c != 1) sb_printf(o->b, "%" PRId64 "*", c);
}

static void put_position(Out *o, const Index *i)
{
	for (int k = 0; k < i->n; k++) {
		put_coef(o, i->term[k].coef, k == 0);
		if (i->term[k].axis) sb_put(o->b, i->term[k].axis->name);
		else sb_printf(o->b, "%%%d", i->term[k].node->id);
	}
	int64_t add;
	if (!dim_is_const(i->add, &add)) {
		sb_put(o->b, i->n ? " + (" : "("), dim_print(o->b, i->add), sb_putc(o->b, ')');
	} else if (!i->n) {
		sb_printf(o->b, "%" PRId64, add);
	} else if (add) {
		if (add < 0 && add != INT64_MIN) sb_printf(o->b, " - %" PRId64, -add);
		else sb_printf(o->b, " + %" PRId64, add);
	}
}

static void put_access(Out *o, const Index *index, int n)
{
	for (int i = 0; i < n; i++) {
		sb_put(o->b, i ? ", " : "[");
		put_position(o, &index[i]);
	}
	if (n) sb_putc(o->b, ']');
}

/* --- syntaxes ----------------------------------------------------------------------------------------------------------------------- */
static void put_field(Out *o, const FieldRow *f, const void *x);

static bool shown(const Out *o, const FieldRow *f, const void *x)
{
	return field_present(f, x) && !(f->kind == FK_LOC && o->o.no_loc);
}

static bool group_shown(const Out *o, LoopStruct of, const void *x, const char *s, const char *end)
{
	SyntaxItem i;
	while (syntax_next(of, &s, end, &i)) {
		if (i.kind == SYNTAX_FIELD && shown(o, i.field, x)) return true;
		if (i.kind == SYNTAX_GROUP && group_shown(o, of, x, i.inside, i.inside + i.n)) return true;
	}
	return false;
}

static void put_syntax(Out *o, LoopStruct of, const void *x, const char *s, const char *end)
{
	SyntaxItem i;
	while (syntax_next(of, &s, end, &i)) {
		if (i.kind == SYNTAX_CHAR) sb_putc(o->b, i.c);
		else if (i.kind == SYNTAX_FIELD) put_field(o, i.field, x);
		else if (group_shown(o, of, x, i.inside, i.inside + i.n)) put_syntax(o, of, x, i.inside, i.inside + i.n);
	}
}

static void put_text(Out *o, LoopStruct of, const void *x, const char *text)
{
	const char *end = text;
	while (*end) end++;
	put_syntax(o, of, x, text, end);
}

/* --- bodies ------------------------------------------------------------------------------------------------------------------------- */
static void put_node(Out *o, const Node *n)
{
	const KindRow *row = loop_node_row(n);
	tabs(o);
	if (node_gives(n)) sb_printf(o->b, "%%%d: %s = ", n->id, dtype_name(n->dtype));
	if (n->kind != N_OP) sb_put(o->b, row->word);
	put_text(o, LS_Node, n, row->text + (n->kind == N_OP));
	if (!o->o.no_loc && n->loc.file && (n->loc.file != o->place.file || n->loc.begin != o->place.begin || n->loc.end != o->place.end))
		sb_put(o->b, "   "), ir_put_loc(o->b, o->p->m->diag, n->loc);
	sb_putc(o->b, '\n');
}

static void put_body(Out *o, const Body *b)
{
	open_block(o);
	for (const Node *n = b->first; n; n = n->next) put_node(o, n);
	if (b->result) tabs(o), sb_printf(o->b, "yield %%%d", b->result->id);
	if (b->result2) sb_printf(o->b, ", %%%d", b->result2->id);
	if (b->result) sb_putc(o->b, '\n');
	close_block(o);
}

/* --- kernels ------------------------------------------------------------------------------------------------------------------------ */
static void put_axis(void *ctx, const Axis *x)
{
	Out *o = ctx;
	bool outer = o->kernel->nouter > o->outer;
	o->outer += outer;
	tabs(o), sb_put(o->b, outer ? "outer " : "axis "), put_text(o, LS_Axis, x, loop_syntax[LS_Axis]), sb_putc(o->b, '\n');
}

static void put_stages(Out *o, const Kernel *k)
{
	open_block(o);
	o->kernel = k, o->outer = 0;
	kernel_axes(o->p->m->arena, k, put_axis, o);
	for (int i = 0; i < k->nstages; i++) {
		o->place = k->stages[i]->loc;
		tabs(o), put_text(o, LS_Nest, k->stages[i], loop_syntax[LS_Nest]), sb_putc(o->b, '\n');
	}
	close_block(o);
}

/* --- steps -------------------------------------------------------------------------------------------------------------------------- */
static void put_bufs(Out *o, const Step *home)
{
	for (int i = 0; i < o->f->bufs.n; i++) {
		const Buf *b = o->f->bufs.at[i];
		if (b->home != home) continue;
		tabs(o), sb_put(o->b, "buf "), put_text(o, LS_Buf, b, loop_syntax[LS_Buf]);
		sb_printf(o->b, " %s", loop_bufs[b->space].word), put_text(o, LS_Buf, b, loop_bufs[b->space].text), sb_putc(o->b, '\n');
	}
}

static void put_steps(Out *o, const StepList *list)
{
	for (int i = 0; i < list->n; i++) {
		const Step *s = list->at[i];
		tabs(o), sb_put(o->b, loop_steps[s->kind].word), put_text(o, LS_Step, s, loop_steps[s->kind].text), sb_putc(o->b, '\n');
	}
}

static void put_loop(Out *o, const Step *s)
{
	open_block(o);
	put_bufs(o, s);
	if (s->counter) tabs(o), sb_printf(o->b, "counter %s\n", s->counter->name);
	if (s->cond) {
		tabs(o), sb_printf(o->b, "while %s ", s->cond->name), open_block(o);
		put_steps(o, &s->head);
		close_block(o), sb_putc(o->b, '\n');
	}
	put_steps(o, &s->body);
	close_block(o);
}

/* --- fields -------------------------------------------------------------------------------------------------------------------------- */
static void put_names(Out *o, const void *x, const FieldRow *f)
{
	int n = f->kind == FK_NAMES ? FIELD_AT(const StepList, x, f).n : (int)field_int(x, f->count_at, f->count_size);
	for (int i = 0; i < n; i++) {
		const char *name;
		if (f->kind == FK_AXES) name = (&FIELD_AT(const Axis *const, x, f))[i]->name;
		else if (f->kind == FK_BUFS) name = FIELD_AT(Buf * *const, x, f)[i]->name;
		else name = ((const char *const *)FIELD_AT(const StepList, x, f).at)[i];
		sb_printf(o->b, "%s%s", i ? ", " : "", name);
	}
}

static void put_args(Out *o, const Node *n)
{
	for (int i = 0; i < n->narg; i++) sb_printf(o->b, "%s%%%d", i ? ", " : "", n->arg[i]->id);
}

static void put_field(Out *o, const FieldRow *f, const void *x)
{
	switch (f->kind) {
	case FK_WORD: sb_put(o->b, FIELD_AT(const char *const, x, f)); break;
	case FK_TEXT: ir_put_string(o->b, FIELD_AT(const char *const, x, f)); break;
	case FK_DIM: dim_print(o->b, FIELD_AT(const Dim, x, f)); break;
	case FK_INT: sb_printf(o->b, "%" PRId64, field_int(x, f->at, f->size)); break;
	case FK_FLAG: sb_put(o->b, f->name); break;
	case FK_TYPE: ir_put_type(o->b, FIELD_AT(const Type *const, x, f)); break;
	case FK_TENSOR: ir_put_tensor(o->b, FIELD_AT(const Tensor *const, x, f)); break;
	case FK_SCALAR: ir_put_scalar(o->b, FIELD_AT(const Scalar, x, f)); break;
	case FK_OP: sb_put(o->b, op_row(FIELD_AT(const OpCode, x, f))->name); break;
	case FK_FUNC: ir_put_func_name(o->b, FIELD_AT(LoopFunc *const, x, f)->name); break;
	case FK_BUF: sb_put(o->b, FIELD_AT(Buf *const, x, f)->name); break;
	case FK_BUFS:
	case FK_AXES:
	case FK_NAMES: put_names(o, x, f); break;
	case FK_LOC: ir_put_loc(o->b, o->p->m->diag, FIELD_AT(const Loc, x, f)); break;
	case FK_ARGS: put_args(o, x); break;
	case FK_NUMBERS:
		for (int i = 0; i < (int)field_int(x, f->count_at, f->count_size); i++)
			sb_printf(o->b, "%s%" PRId64, i ? ", " : "", FIELD_AT(const int64_t *const, x, f)[i]);
		break;
	case FK_POSITION: put_position(o, FIELD_AT(Index *const, x, f)); break;
	case FK_ACCESS: put_access(o, FIELD_AT(Index *const, x, f), (int)field_int(x, f->count_at, f->count_size)); break;
	case FK_ROW: put_position(o, &FIELD_AT(const Index, x, f)); break;
	case FK_AXIS: put_text(o, LS_Axis, FIELD_AT(const Axis *const, x, f), loop_syntax[LS_Axis]); break;
	case FK_BODY: put_body(o, FIELD_AT(Body *const, x, f)); break;
	case FK_STEPS:
		open_block(o);
		put_steps(o, &FIELD_AT(const StepList, x, f));
		close_block(o);
		break;
	case FK_LOOP: put_loop(o, x); break;
	case FK_STAGES: put_stages(o, x); break;
	case FK_KERNEL: put_text(o, LS_Kernel, FIELD_AT(Kernel *const, x, f), loop_syntax[LS_Kernel]); break;
	}
}

void loops_print(StrBuf *out, const Program *p, PrintOptions options)
{
	Out o = {.b = out, .p = p, .o = options};
	ir_print_module_line(out, p->m, "loops", p->after);
	for (int i = 0; i < p->funcs.n; i++) {
		const LoopFunc *f = o.f = p->funcs.at[i];
		sb_putc(out, '\n');
		ir_print_head(out, f->func, f->dims.at ? f->dims.at : (const char *const[]){NULL}, f->dims.n, options);
		o.depth = 0;
		put_text(&o, LS_LoopFunc, f, loop_syntax[LS_LoopFunc]);
		o.depth = 1;
		put_bufs(&o, NULL);
		put_steps(&o, &f->steps);
		sb_put(out, "}\n");
	}
}
