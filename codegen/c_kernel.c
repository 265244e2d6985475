/* A kernel as a C function: outer loops once, the stages one after the other inside. Its parameters are the buffers, numbers and dimensions
 * that its text mentions. A kernel without loops is printed in place. */
#include <ctype.h>
#include <string.h>
#include "../passes/dot_view.h"
#include "../passes/loop_cut.h"
#include "c_body.h"
#include "profile.h"

typedef struct Used {
	Arena *a;
	VEC(Buf *) at;
} Used;

static void use_buf(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Used *u = p;
	(void)s, (void)index, (void)nindex, (void)kind;
	for (int i = 0; i < u->at.n; i++)
		if (u->at.at[i] == b) return;
	VEC_PUSH(u->a, u->at, b);
}

typedef struct Written {
	const Buf *b;
	bool yes;
} Written;
static void note_written(void *p, Nest *s, Buf *b, const Index *index, int nindex, int kind)
{
	Written *w = p;
	(void)s, (void)index, (void)nindex;
	if (b == w->b && (kind & ACCESS_WRITE)) w->yes = true;
}

static bool is_written(const Kernel *k, const Buf *b)
{
	Written w = {b, false};
	for (int i = 0; i < k->nstages; i++) stage_accesses(k->stages[i], note_written, &w);
	return w.yes;
}

static void mentions_axis(void *p, Node *n)
{
	if (n->naxis) *(bool *)p = true;
}

bool kernel_has_loops(const Kernel *k)
{
	bool loops = false;
	for (int i = 0; i < k->nstages; i++) {
		loops |= k->stages[i]->naxis > 0;
		body_walk(k->stages[i]->body, mentions_axis, &loops);
	}
	return loops;
}

/* --- names of loop variables: i j k … by depth, in every kernel anew ------------------------------------------------------------------ */
static const char *depth_name(Emit *e, int depth)
{
	static const char letters[] = "ijklmnpqrs";
	int n = (int)sizeof letters - 1;
	const char *name = arena_printf(e->a, depth < n ? "%c" : "%c%d", letters[depth % n], depth / n);
	while (emit_is_taken(e, name)) name = arena_printf(e->a, "%s_", name);
	return name;
}

/* Axes are const for everybody who reads them; their names are this file's to give. */
static void name_axis(Emit *e, const Axis *x, int depth)
{
	((Axis *)x)->name = depth_name(e, depth);
}

static void name_inner(Emit *e, Body *b, int depth)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		for (int i = 0; i < n->naxis; i++) name_axis(e, n->axis[i], depth + i);
		name_inner(e, n->body, depth + n->naxis);
		name_inner(e, n->other, depth + n->naxis);
	}
}

static void name_axes(Emit *e, Kernel *k)
{
	for (int i = 0; i < k->nstages; i++) {
		Nest *s = k->stages[i];
		for (int j = 0; j < s->naxis; j++) name_axis(e, s->axis[j], j);
		name_inner(e, s->body, s->naxis);
		for (int j = 0; j < s->ninit; j++) {
			bool shared = false; /* the axes of an accumulating stage serve both nests; those of its inner loops keep their names */
			for (int m = 0; m < s->naxis; m++) shared |= s->axis[m] == s->init_axis[j];
			if (!shared && !s->init_axis[j]->name) name_axis(e, s->init_axis[j], j);
		}
	}
}

void emit_bounds(Emit *e, const Axis *const *axis, int n, const char **lo, const char **hi)
{
	Dim extent = axis[0]->extent;
	for (int i = 1; i < n; i++) extent = dim_mul(e->m->dims, extent, axis[i]->extent);
	*lo = "0", *hi = emit_dim(e, extent);
	if (axis[0] != e->shared) return;
	*lo = e->unit > 1 ? arena_printf(e->a, "mx_begin * %d", e->unit) : "mx_begin";
	*hi = e->unit > 1 ? arena_printf(e->a, "mx_clamp(mx_end * %d, 0, %s)", e->unit, *hi) : "mx_end";
}

void emit_parts(Emit *e, const Node *n, const char **lo, const char **hi)
{
	if (n->naxis) emit_bounds(e, n->axis, 1, lo, hi);
	else *lo = "0", *hi = emit_dim(e, raw_parts(e->m->dims, n));
}

void emit_open_axis(Emit *e, const Axis *x)
{
	const char *lo, *hi;
	emit_bounds(e, &x, 1, &lo, &hi);
	emit_line(e, "for (ptrdiff_t %s = %s; %s < %s; %s++) {", x->name, lo, x->name, hi, x->name);
	e->indent++;
}

static void close_axis(Emit *e)
{
	e->indent--;
	emit_line(e, "}");
}

static void emit_nest(Emit *e, const Axis *const *axis, int n, int skip, Body *b)
{
	if (n > skip && axis[n - 1]->vec) {
		int outer = n - 1 - axis[n - 1]->flat;
		if (n - 2 >= skip && vector_rows_fit(axis, n, b)) {
			for (int i = skip; i < n - 2; i++) emit_open_axis(e, axis[i]);
			vector_rows(e, axis, n, b);
			for (int i = skip; i < n - 2; i++) close_axis(e);
			return;
		}
		for (int i = skip; i < outer; i++) emit_open_axis(e, axis[i]);
		if (b->first->kind == N_SCAN) vector_scan(e, axis, n, b);
		else vector_loop(e, axis, n, b);
		for (int i = skip; i < outer; i++) close_axis(e);
		return;
	}
	for (int i = skip; i < n; i++) emit_open_axis(e, axis[i]);
	emit_body(e, b);
	for (int i = skip; i < n; i++) close_axis(e);
}

static void declare_rows(Emit *e, Kernel *k, const Used *u)
{
	for (int i = 0; i < u->at.n; i++) {
		const Buf *b = u->at.at[i];
		if (b->space != BUF_ROW || b->in_arena) continue;
		if (buf_is_value(b)) emit_line(e, "%s %s;", buf_ctype(b), b->name);
		else emit_line(e, "%s %s[%s];", buf_ctype(b), b->name, emit_dim(e, buf_elements(e, b)));
	}
	(void)k;
}

static void emit_stages(Emit *e, Kernel *k, const Used *u)
{
	int outer = k->nstages > 1 ? k->nouter : 0;
	if (k->stages[0]->how) {
		emit_dot_stages(e, k);
		return;
	}
	for (int i = 0; i < outer; i++) emit_open_axis(e, k->outer[i]);
	declare_rows(e, k, u);
	const char *place = NULL;
	for (int i = 0; i < k->nstages; i++) {
		Nest *s = k->stages[i];
		const char *here = emit_place(e, s->loc);
		if (k->nstages > 1 && here && here != place) emit_line(e, "/* %s  %s */", s->what, here);
		place = here;
		bool block = outer > 0 && s->naxis == outer && !s->init;
		if (s->init) emit_nest(e, s->init_axis, s->ninit, outer, s->init);
		if (block) emit_line(e, "{"), e->indent++;
		emit_nest(e, s->axis, s->naxis, outer, s->body);
		if (block) close_axis(e);
	}
	for (int i = 0; i < outer; i++) close_axis(e);
}

static const char *describe(Emit *e, const Kernel *k)
{
	StrBuf b;
	sb_init(&b, e->a);
	const char *last = NULL;
	for (int i = 0; i < k->nstages; i++) {
		const char *what = k->stages[i]->what;
		if (last && !strcmp(what, last)) continue;
		sb_printf(&b, "%s%s", last ? ", " : "", what);
		last = what;
	}
	return sb_text(&b);
}

static bool same_memory(const Used *u, const Kernel *k)
{
	for (int i = 0; i < u->at.n; i++)
		for (int j = 0; j < i; j++)
			if (buf_root(u->at.at[i]) == buf_root(u->at.at[j]) && (is_written(k, u->at.at[i]) || is_written(k, u->at.at[j]))) return true;
	return false;
}

/* Does x come from a bool that was made a number? */
static bool from_bool(const Node *x)
{
	if (x->kind == N_OP && x->op == OP_convert && x->from == DT_bool) return true;
	for (int i = 0; i < x->narg; i++)
		if (x->kind == N_OP && from_bool(x->arg[i])) return true;
	return false;
}

static void indexes_by_bool(void *p, Node *n)
{
	if (n->kind == N_CLAMP && from_bool(n->arg[0])) *(bool *)p = true;
}

/* gcc 12 at -O3 without AVX2 reads table[a <= b] at 0 and -1 where it vectorises the loop: such kernels are not vectorised there. */
static const char *kernel_attribute(const Kernel *k)
{
	bool by_bool = false;
	for (int i = 0; i < k->nstages; i++) body_walk(k->stages[i]->body, indexes_by_bool, &by_bool);
	return by_bool ? "MX_KERNEL MX_NO_VECTOR" : "MX_KERNEL";
}

/* --- sharing out -----------------------------------------------------------------------------------------------------------------------
 */
/* Vector loops are cut at multiples of every width, and of the partial results of a sum. */
enum { VECTOR_UNIT = 64 };

static bool leads_vector(const Axis *const *axis, int n, const Axis *x)
{
	return n && axis[n - 1]->vec && axis[n - 1 - axis[n - 1]->flat] == x;
}

/* The axes that are cut as one with x in a kernel of products. */
static int product_axes(Emit *e, const Kernel *k, const Axis *x, DotView *v, const Axis *const **axes)
{
	return k->stages[0]->how && dot_view(e->m->dims, k->stages[0], v) ? dot_shared(v, x, axes) : 0;
}

typedef struct Unit {
	const Axis *x;
	int n;
} Unit;

static void see_unit(void *p, Node *n)
{
	Unit *u = p;
	int unit = raw_unit(n, u->x);
	if (unit > u->n) u->n = unit;
}

static int unit_of(Emit *e, const Kernel *k, const Axis *x)
{
	DotView v;
	const Axis *const *axes;
	if (product_axes(e, k, x, &v, &axes)) return axes == v.col ? VECTOR_UNIT : 1;
	Unit unit = {x, 1};
	for (int i = 0; i < k->nstages; i++) {
		const Nest *s = k->stages[i];
		if (leads_vector(s->axis, s->naxis, x) || leads_vector(s->init_axis, s->ninit, x)) return VECTOR_UNIT;
		body_walk(s->body, see_unit, &unit);
	}
	return unit.n;
}

/* All elements of the loop that is shared out. */
static Dim shared_extent(Emit *e, const Kernel *k, const Axis *x)
{
	const Nest *s = k->stages[0];
	Dim n = x->extent;
	DotView v;
	const Axis *const *axes;
	int flat = product_axes(e, k, x, &v, &axes);
	for (int i = 1; i < flat; i++) n = dim_mul(e->m->dims, n, axes[i]->extent);
	if (flat) return n;
	if (leads_vector(s->axis, s->naxis, x))
		for (int i = s->naxis - s->axis[s->naxis - 1]->flat; i < s->naxis; i++) n = dim_mul(e->m->dims, n, s->axis[i]->extent);
	return n;
}

/* --- the function ----------------------------------------------------------------------------------------------------------------------
 */
typedef struct Arg {
	const char *type, *name, *value; /* type: with its blank or star */
	const Buf *row;                  /* a row buffer in the arena: of which each piece has a slice */
} Arg;
typedef struct Args {
	Arena *a;
	VEC(Arg) at;
} Args;

static void arg_add(Args *s, const char *type, const char *name, const char *value, const Buf *row)
{
	VEC_PUSH(s->a, s->at, ((Arg){type, name, value, row}));
}

static const char *parameters(Emit *e, const Args *s, const char *more)
{
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < s->at.n; i++) sb_printf(&b, "%s%s%s", i ? ", " : "", s->at.at[i].type, s->at.at[i].name);
	if (more) sb_printf(&b, "%s%s", s->at.n ? ", " : "", more);
	return b.n ? arena_strdup(e->a, sb_text(&b)) : "void";
}

static void collect_args(Emit *e, Kernel *k, const Used *u, const char *text, Args *out)
{
	const char *restr = same_memory(u, k) ? "" : "restrict ";
	for (int i = 0; i < u->at.n; i++) {
		Buf *b = u->at.at[i];
		if (b->space == BUF_CONST || b->space == BUF_TILE || (b->space == BUF_ROW && !b->in_arena)) continue;
		bool written = is_written(k, b), scalar = buf_is_value(b);
		const char *value = buf_text(e, b);
		if (scalar && !written) {
			arg_add(out, arena_printf(e->a, "%s ", buf_ctype(b)), b->name, value, NULL);
			continue;
		}
		if (scalar) value = *value == '*' ? value + 1 : arena_printf(e->a, "&%s", value);
		arg_add(out, arena_printf(e->a, "%s%s *%s", written ? "" : "const ", buf_ctype(b), restr), b->name, value,
		        b->space == BUF_ROW || b->slices > 1 ? b : NULL);
	}
	for (int i = 0; i < e->f->dims.n; i++) {
		const char *d = emit_dim_name(e, e->f->dims.at[i]);
		if (text_mentions(text, d)) arg_add(out, "ptrdiff_t ", d, d, NULL);
	}
}

static void emit_plain_call(Emit *e, const char *name, const Args *s)
{
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < s->at.n; i++) sb_printf(&b, "%s%s", i ? ", " : "", s->at.at[i].value);
	emit_line(e, "%s(%s);", name, sb_text(&b));
}

/* The kernel's arguments as a struct, and a function that runs a piece from it. */
static void emit_task(Emit *e, const char *name, const Args *s)
{
	sb_printf(e->code, "typedef struct %s_args {\n", name);
	for (int i = 0; i < s->at.n; i++) {
		const char *type = s->at.at[i].type, *r = strstr(type, "restrict ");
		sb_printf(e->code, "\t%.*s%s;\n", r ? (int)(r - type) : (int)strlen(type), type, s->at.at[i].name);
		if (s->at.at[i].row) sb_printf(e->code, "\tptrdiff_t %s_slice;\n", s->at.at[i].name);
	}
	sb_printf(e->code, "} %s_args;\n\nstatic void %s_piece(const void *args, ptrdiff_t begin, ptrdiff_t end, ptrdiff_t piece)\n{\n", name,
	          name);
	sb_printf(e->code, "\tconst %s_args *a = (const %s_args *)args;\n", name, name);
	StrBuf b;
	sb_init(&b, e->a);
	bool slices = false;
	for (int i = 0; i < s->at.n; i++) {
		const Arg *x = &s->at.at[i];
		sb_printf(&b, "a->%s%s, ", x->name, x->row ? arena_printf(e->a, " + piece * a->%s_slice", x->name) : "");
		slices |= x->row != NULL;
	}
	if (!slices) sb_put(e->code, "\t(void)piece;\n");
	sb_printf(e->code, "\t%s(%sbegin, end);\n}\n\n", name, sb_text(&b));
}

static void emit_shared_call(Emit *e, Kernel *k, const char *name, const Args *s)
{
	DimCtx *c = e->m->dims;
	Dim n = shared_extent(e, k, e->shared), steps = n;
	if (e->unit > 1) steps = dim_floordiv(c, e->f->func->facts, dim_add(c, n, dim_int(c, e->unit - 1)), dim_int(c, e->unit));
	emit_line(e, "{");
	e->indent++;
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < s->at.n; i++) {
		const Buf *row = s->at.at[i].row;
		sb_printf(&b, "%s%s", i ? ", " : "", s->at.at[i].value);
		if (row) sb_printf(&b, ", %s", emit_dim(e, dim_scale(c, plan_bytes(c, e->f->func->facts, row), 1, dtype_bytes(row->type->dtype))));
	}
	emit_line(e, "const %s_args args = {%s};", name, sb_text(&b));
	Dim cost = dim_mul(c, e->shared->cost, e->shared->extent);
	int64_t known;
	if (dim_is_const(cost, &known) && known > INT32_MAX) cost = dim_int(c, INT32_MAX); /* enough for every number of pieces */
	emit_line(e, "mx_parallel(exec, %d, %s, %s, %s_piece, &args);", e->shared->pieces, emit_dim(e, steps), emit_dim(e, cost), name);
	close_axis(e);
}

Loc kernel_loc(const LoopFunc *f, const Kernel *k)
{
	for (int i = k->nstages; i-- > 0;)
		if (k->stages[i]->loc.file == f->func->loc.file && f->func->loc.file) return k->stages[i]->loc;
	return k->stages[k->nstages - 1]->loc;
}

/* Scalars that the kernel writes are seen through a pointer inside it. */
void emit_kernel(Emit *e, Kernel *k)
{
	Used u = {e->a, {0}};
	e->kernel = k;
	name_axes(e, k);
	for (int i = 0; i < k->nstages; i++) stage_accesses(k->stages[i], use_buf, &u);
	if (!kernel_has_loops(k)) {
		emit_line(e, "{");
		e->indent++;
		emit_stages(e, k, &u);
		close_axis(e);
		return;
	}
	e->shared = e->o.threads > 1 ? kernel_shared_axis(e->a, k) : NULL;
	e->unit = e->shared ? unit_of(e, k, e->shared) : 1;
	StrBuf body, *old = e->out;
	int indent = e->indent;
	Map refs = e->refs;
	sb_init(&body, e->a);
	map_init(&e->refs, e->a);
	for (int i = 0; i < u.at.n; i++) {
		Buf *b = u.at.at[i];
		if (b->space == BUF_CONST) continue;
		bool scalar = buf_is_value(b) && b->space != BUF_ROW;
		map_set(&e->refs, b, (void *)(scalar && is_written(k, b) ? arena_printf(e->a, "*%s", b->name) : b->name));
	}
	e->out = &body;
	e->indent = 1;
	emit_stages(e, k, &u);
	e->out = old;
	e->indent = indent;
	e->refs = refs;
	const char *text = sb_text(&body), *name = emit_symbol(e, k->name);
	Args list = {e->a, {0}};
	collect_args(e, k, &u, text, &list);
	const char *place = emit_place(e, kernel_loc(e->f, k));
	sb_printf(e->code, "/* %s%s%s */\nstatic %s void %s(%s)\n{\n%s}\n\n", describe(e, k), place ? "  " : "", place ? place : "",
	          kernel_attribute(k), name, parameters(e, &list, e->shared ? "ptrdiff_t mx_begin, ptrdiff_t mx_end" : NULL), text);
	profile_open(e, k);
	if (e->shared) {
		emit_task(e, name, &list);
		emit_shared_call(e, k, name, &list);
	} else {
		emit_plain_call(e, name, &list);
	}
	profile_close(e, k);
	e->shared = NULL;
}
