/* Runs the rows of passes.def: verifies, prints, times, bisects, and keeps the IR before a pass that breaks it.
 *
 * With verify_each the text of the module is taken before every pass; when the verifier finds a breach, or the text does not come
 * back through the reader as it was, the text goes to mlxcc-bug-PASS.ir and the command that replays the pass alone is printed. After each
 * pass values are numbered and named anew in print order: going on from a printed text then gives what going on in memory gives.
 */
#include <assert.h>
#include <string.h>
#include <time.h>
#include "loop.h"
#include "passes.h"

const Pass passes[] = {
#define PASS(name, function, required, takes, gives, doc) {#name, doc, function, required, takes, gives},
#include "passes.def"
#undef PASS
};
const int npasses = (int)(sizeof passes / sizeof *passes);

void passes_list(FILE *out)
{
	for (int i = 0; i < npasses; i++)
		fprintf(out, "%-12s %-6s %s%s\n", passes[i].name, passes[i].takes == STAGE_TENSOR ? "tensor" : "loops", passes[i].doc,
		        passes[i].required ? " (required)" : "");
}

static const Pass *find_in(const PassTable *t, const char *name)
{
	for (int i = 0; i < t->n; i++)
		if (strcmp(t->at[i].name, name) == 0) return &t->at[i];
	return NULL;
}

const Pass *pass_find(const char *name)
{
	return find_in(&(PassTable){passes, npasses}, name);
}

static FILE *out_of(const PassCtx *c)
{
	return c->o->out ? c->o->out : stderr;
}

static bool is_skipped(const PassOptions *o, const Pass *p)
{
	for (int i = 0; i < o->nskip; i++)
		if (strcmp(o->skip[i], p->name) == 0) return true;
	return false;
}

static bool known_pass(PassCtx *c, const PassTable *t, const char *option, const char *name, bool required_matters)
{
	const char *names[64];
	const Pass *p = find_in(t, name);
	if (p && !(required_matters && p->required)) return true;
	if (p) {
		diag(c->m->diag, DIAG_ERROR, NO_LOC, "pass.required", "%s %s: what follows needs what this pass gives", option, name);
		return false;
	}
	for (int i = 0; i < t->n; i++) names[i] = t->at[i].name;
	const char *near = diag_suggest(name, names, t->n);
	diag(c->m->diag, DIAG_ERROR, NO_LOC, "pass.name", "%s: there is no pass `%s`", option, name);
	if (near) diag_help(c->m->diag, "did you mean `%s`?", near);
	else diag_help(c->m->diag, "--list-passes shows them all");
	return false;
}

/* The first pass to run: the one asked for, or the one behind that which the text was printed after. -1 after a message. */
static int first_pass(PassCtx *c, const PassTable *t)
{
	Stage have = c->program ? STAGE_LOOP : STAGE_TENSOR;
	const Pass *p = c->o->start_at ? find_in(t, c->o->start_at) : NULL;
	if (p && p->takes == have) return (int)(p - t->at);
	if (p) {
		diag(c->m->diag, DIAG_ERROR, NO_LOC, "pass.stage", "--start-at %s: this pass takes %s, and the program is %s", p->name,
		     p->takes == STAGE_LOOP ? "loops" : "tensor IR", have == STAGE_LOOP ? "loops" : "tensor IR");
		return -1;
	}
	const Pass *after = c->program && c->program->after ? find_in(t, c->program->after) : NULL;
	if (after) return (int)(after - t->at) + 1;
	int i = 0;
	while (i < t->n && t->at[i].takes != have) i++;
	return i;
}

static bool options_ok(PassCtx *c, const PassTable *t)
{
	const PassOptions *o = c->o;
	bool ok = true;
	if (o->print_after && strcmp(o->print_after, "all") != 0) ok &= known_pass(c, t, "--print-after", o->print_after, false);
	if (o->stop_after) ok &= known_pass(c, t, "--stop-after", o->stop_after, false);
	if (o->start_at) ok &= known_pass(c, t, "--start-at", o->start_at, false);
	for (int i = 0; i < o->nskip; i++) ok &= known_pass(c, t, "--skip", o->skip[i], true);
	return ok;
}

/* --- text ----------------------------------------------------------------------------------------------------------------- */
static const char *stage_text(PassCtx *c, Arena *a)
{
	StrBuf b;
	PrintOptions o = {.no_loc = c->o->no_loc};
	sb_init(&b, a);
	if (c->program) loops_print(&b, c->program, o);
	else ir_print_module(&b, c->m, o);
	return sb_text(&b);
}

static void print_after(PassCtx *c, const Pass *p, bool changed)
{
	if (!c->o->print_after || (strcmp(c->o->print_after, "all") != 0 && strcmp(c->o->print_after, p->name) != 0)) return;
	FILE *f = out_of(c);
	fprintf(f, "# after %s%s\n", p->name, changed ? "" : " (unchanged)");
	if (changed || strcmp(c->o->print_after, "all") != 0) fputs(stage_text(c, c->scratch), f);
	fflush(f);
}

/* Reads the text in a compilation of its own and prints it again. */
static bool round_trips(PassCtx *c, const char *text)
{
	Diag *d = diag_new(c->scratch, NULL);
	StrBuf again;
	uint32_t file = diag_add_file(d, "round-trip.ir", text, strlen(text));
	Program *p = c->program ? loops_read(c->scratch, d, file) : NULL;
	Module *m = c->program ? NULL : ir_read(c->scratch, d, file);
	if (!m && !p) {
		diag(c->m->diag, DIAG_BUG, NO_LOC, "pass.text", "the printed IR is not read back: %s", diag_text(d));
		return false;
	}
	sb_init(&again, c->scratch);
	if (p) loops_print(&again, p, (PrintOptions){0});
	else ir_print_module(&again, m, (PrintOptions){0});
	if (strcmp(sb_text(&again), text) == 0) return true;
	diag(c->m->diag, DIAG_BUG, NO_LOC, "pass.text", "the printed IR reads back as another text");
	return false;
}

static bool sound(PassCtx *c)
{
	StrBuf b;
	if (c->program ? !loops_verify(c->program, false) : !ir_verify(c->m, false)) return false;
	sb_init(&b, c->scratch);
	if (c->program) loops_print(&b, c->program, (PrintOptions){0});
	else ir_print_module(&b, c->m, (PrintOptions){0});
	return round_trips(c, sb_text(&b));
}

static void keep_for_replay(PassCtx *c, const Pass *p, const char *before)
{
	const char *dir = c->o->replay_dir ? c->o->replay_dir : ".";
	const char *path = arena_printf(c->scratch, "%s/mlxcc-bug-%s.ir", dir, p->name);
	FILE *f = before ? fopen(path, "w") : NULL;
	if (!before) {
		diag_note(c->m->diag, NO_LOC, "in pass `%s`; run again with --verify-each to keep the IR before it", p->name);
		return;
	}
	if (!f || fputs(before, f) < 0) diag_note(c->m->diag, NO_LOC, "in pass `%s`; `%s` can't be written", p->name, path);
	else
		diag_note(c->m->diag, NO_LOC, "in pass `%s`; replay it with: mlxcc %s --start-at=%s --stop-after=%s --verify-each", p->name, path,
		          p->name, p->name);
	if (f) fclose(f);
}

/* --- numbering --------------------------------------------------------------------------------------------------------------- */
static void renumber_block(Module *m, Block *b)
{
	for (int i = 0; i < b->nparam; i++) b->param[i]->id = m->next_id++;
	b->cse = NULL;
	for (Op *op = b->first; op; op = op->next) {
		for (int r = 0; r < op->nregion; r++) renumber_block(m, op->region[r]);
		for (int i = 0; i < op->nout; i++) op->out[i]->id = m->next_id++;
	}
}

static void renumber(Module *m)
{
	m->next_id = 0;
	for (int i = 0; i < m->funcs.n; i++) {
		renumber_block(m, m->funcs.at[i]->body);
		ir_settle_names(m->funcs.at[i]);
	}
}

/* --- running ------------------------------------------------------------------------------------------------------------------ */
typedef struct Timing {
	double ms[64];
	bool ran[64], changed[64];
} Timing;

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

typedef struct BugNote {
	PassCtx *c;
	const Pass *p;
	const char *before;
} BugNote;
static void note_bug(void *ctx)
{
	BugNote *n = ctx;
	keep_for_replay(n->c, n->p, n->before);
}

/* False after an error. */
static bool run_one(PassCtx *c, const Pass *p, bool *changed, double *ms)
{
	Diag *d = c->m->diag;
	int bugs = diag_count(d, DIAG_BUG), errors = diag_count(d, DIAG_ERROR) + diag_count(d, DIAG_LIMITATION);
	const char *before = c->o->verify_each ? stage_text(c, c->scratch) : NULL;
	BugNote note = {c, p, before};
	c->m->on_bug = note_bug;
	c->m->on_bug_ctx = &note;
	double start = now_ms();
	*changed = p->run(c);
	*ms = now_ms() - start;
	c->m->on_bug = NULL;
	if (p->gives == STAGE_TENSOR) renumber(c->m);
	else if (c->program) loops_settle(c->program), c->program->after = p->name;
	if (c->o->verify_each) sound(c);
	if (diag_count(d, DIAG_BUG) > bugs) keep_for_replay(c, p, before);
	return diag_count(d, DIAG_BUG) == bugs && diag_count(d, DIAG_ERROR) + diag_count(d, DIAG_LIMITATION) == errors;
}

static void print_times(PassCtx *c, const PassTable *table, const Timing *t)
{
	double sum = 0;
	FILE *f = out_of(c);
	for (int i = 0; i < table->n; i++) {
		if (!t->ran[i]) continue;
		fprintf(f, "%-12s %9.3f ms%s\n", table->at[i].name, t->ms[i], t->changed[i] ? "" : "  (unchanged)");
		sum += t->ms[i];
	}
	fprintf(f, "%-12s %9.3f ms\n", "all", sum);
}

bool passes_run_table(PassCtx *c, const PassTable *table)
{
	const PassOptions *o = c->o;
	Timing t = {0};
	bool ok = true;
	int changes = 0;
	assert(table->n <= (int)(sizeof t.ms / sizeof *t.ms));
	if (!options_ok(c, table)) return false;
	c->m->fast_math |= o->fast_math;
	c->m->exact_conv |= o->exact_conv;
	if (o->target) c->m->target = o->target;
	int first = first_pass(c, table);
	if (first < 0) return false;
	if (!c->program) renumber(c->m);
	for (int i = first; ok && i < table->n; i++) {
		const Pass *p = &table->at[i];
		bool bisected = o->bisect >= 0 && changes >= o->bisect && !p->required;
		if (!is_skipped(o, p) && !bisected) {
			ArenaMark mark = arena_mark(c->scratch);
			ok = run_one(c, p, &t.changed[i], &t.ms[i]);
			t.ran[i] = true;
			if (t.changed[i] && ++changes == o->bisect)
				fprintf(out_of(c), "bisect: change %d is by `%s`, the last that ran\n", changes, p->name);
			if (ok) print_after(c, p, t.changed[i]);
			arena_reset(c->scratch, mark);
		}
		if (o->stop_after && strcmp(p->name, o->stop_after) == 0) break;
	}
	if (o->time_passes) print_times(c, table, &t);
	return ok;
}

bool passes_run(PassCtx *c)
{
	return passes_run_table(c, &(PassTable){passes, npasses});
}
