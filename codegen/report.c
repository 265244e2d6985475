/* --emit=report: what became of the program: kernels with their stages and source lines, memory, what each function needs. */
#include <string.h>
#include "../passes/cost.h"
#include "emit.h"

typedef struct Count {
	StrBuf *out;
	Emit *e;
	const LoopFunc *f;
	int kernels, nests, loops, calls;
} Count;

/* What a kernel moves and computes, which loops run in vectors, what is shared out. */
static void put_cost(Count *c, Kernel *k)
{
	Emit *e = c->e;
	KernelCost cost = kernel_cost(e->m->dims, e->a, k);
	sb_printf(c->out, "    reads %s bytes, writes %s, %s flops", dim_str(e->a, cost.read), dim_str(e->a, cost.written),
	          dim_str(e->a, cost.flops));
	if (cost.stack) sb_printf(c->out, ", stack %lld bytes", (long long)cost.stack);
	for (int i = 0; i < k->nstages; i++)
		if (k->stages[i]->how) {
			sb_printf(c->out, ", by %s", k->stages[i]->how);
			if (k->stages[i]->room) sb_printf(c->out, " with %s packed elements", dim_str(e->a, k->stages[i]->room->type->dim[0]));
		}
	sb_putc(c->out, '\n');
	const Axis *shared = kernel_shared_axis(e->a, k);
	if (shared && shared->pieces)
		sb_printf(c->out, "    shared out along %s, in at most %d pieces; a step costs %s/16 cycles\n", dim_str(e->a, shared->extent),
		          shared->pieces, dim_str(e->a, shared->cost));
}

/* Why it is as it is. */
static void put_notes(Count *c, const Notes *n, const char *indent)
{
	for (int i = 0; i < n->n; i++) {
		const char *place = emit_place(c->e, n->at[i].loc);
		sb_printf(c->out, "%s- %s%s%s\n", indent, n->at[i].text, place ? "  " : "", place ? place : "");
	}
}

static void see_loop(void *p, Node *n)
{
	*(bool *)p |= n->naxis > 0;
}

static void see_vectors(void *p, Node *n)
{
	for (int i = 0; i < n->naxis; i++) *(bool *)p |= n->axis[i]->vec > 0;
}

/* How the innermost loop of a stage runs. */
static const char *loop_text(Emit *e, const Kernel *k, const Nest *n)
{
	const Axis *x = n->naxis ? n->axis[n->naxis - 1] : NULL;
	bool inside = false;
	body_walk(n->body, see_vectors, &inside);
	if (n->how) return "";
	for (const Node *r = n->body->first; r; r = r->next)
		if (r->kind == N_RAW) return arena_printf(e->a, "  library: %s", r->mode);
	if (inside) return "  vectors";
	if (!x) return "";
	bool loops = false;
	body_walk(n->body, see_loop, &loops);
	if (!x->vec) return k->nstages > 1 && n->naxis == k->nouter && !loops ? "  once for each row" : "  element by element";
	return x->flat ? arena_printf(e->a, "  vectors along the last %d axes", x->flat + 1) : "  vectors";
}

static void count_step(void *p, StepList *list, Step *s)
{
	Count *c = p;
	(void)list;
	c->loops += s->kind == STEP_LOOP;
	c->calls += s->kind == STEP_CALL;
	if (s->kind != STEP_KERNEL) return;
	sb_printf(c->out, "  kernel %d", c->kernels++);
	Kernel *k = s->kernel;
	const char *user = emit_place(c->e, kernel_loc(c->f, k));
	if (k->nstages > 1 && k->nouter) {
		sb_put(c->out, "  over");
		for (int i = 0; i < k->nouter; i++) sb_printf(c->out, " %s", emit_dim(c->e, k->outer[i]->extent));
	}
	sb_printf(c->out, "%s%s\n", user ? "  " : "", user ? user : "");
	put_cost(c, k);
	for (int i = 0; i < k->nstages; i++) {
		Nest *n = k->stages[i];
		const char *place = emit_place(c->e, n->loc);
		sb_printf(c->out, "    %-14s %-24s %s%s%s\n", n->what, n->out ? type_str(c->e->a, n->out->type) : "", place ? place : "",
		          n->out && n->out->space == BUF_ROW ? (n->out->in_arena ? "  row buffer in the arena" : "  row buffer") : "",
		          loop_text(c->e, k, n));
		c->nests++;
	}
	put_notes(c, &k->notes, "    ");
}

/* The constants that a function reads: what it needs in read-only memory beside its code. */
static int64_t constant_bytes(const LoopFunc *f)
{
	int64_t n = 0;
	for (int i = 0; i < f->bufs.n; i++) {
		const Buf *b = f->bufs.at[i];
		if (b->space == BUF_CONST && b->reads + b->writes >= 0) n += tensor_size(b->data) * (int64_t)dtype_bytes(b->data->dtype);
	}
	return n;
}

/* The copies that `specialise` made: what each of them is. */
static void report_copies(StrBuf *out, Emit *e, const LoopFunc *f, const StepList *list, const char *indent)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		if (s->kind != STEP_WHEN) continue;
		StrBuf unused;
		sb_init(&unused, e->a);
		Count c = {.out = &unused, .e = e, .f = f};
		steps_walk(&s->body, count_step, &c);
		sb_printf(out, "%swhen %s is %lld: %d nests in %d kernels\n", indent, s->dim, (long long)s->equals, c.nests, c.kernels);
		report_copies(out, e, f, &s->body, arena_printf(e->a, "%s  ", indent));
		report_copies(out, e, f, &s->other, indent);
	}
}

void codegen_report(StrBuf *out, Program *p)
{
	Emit e = {.a = p->m->arena, .m = p->m, .p = p};
	for (int i = 0; i < p->funcs.n; i++) {
		LoopFunc *f = p->funcs.at[i];
		Count c = {.out = out, .e = &e, .f = f};
		sb_printf(out, "%s\n", f->func->name);
		put_notes(&c, &f->func->notes, "  ");
		steps_walk(&f->steps, count_step, &c);
		sb_printf(out, "  %d nests in %d kernels, %d run-time loops, %d calls; arena %s bytes, constants %lld bytes\n", c.nests, c.kernels,
		          c.loops, c.calls, dim_str(e.a, f->arena), (long long)constant_bytes(f));
		report_copies(out, &e, f, &f->steps, "  ");
		sb_putc(out, '\n');
	}
	StrBuf c;
	sb_init(&c, e.a);
	codegen_c(&c, p, (CodegenOptions){.header_name = "report.h"});
	sb_printf(out, "C code: %zu bytes\n", c.n);
}
