/* Kernels whose sums of products a template computes: the call, and what is done with each finished tile. */
#include "gemm.h"
#include <ctype.h>
#include <string.h>
#include "../passes/dot_view.h"
#include "c_body.h"

/* --- the texts of kernels/gemm.h
 * ----------------------------------------------------------------------------------------------------------- */
typedef struct Word {
	const char *from, *to;
	bool stem; /* FROM_rest too */
} Word;

static const char *word_for(const Word *w, int n, const char *s, size_t len, size_t *used)
{
	for (int i = 0; i < n; i++) {
		size_t k = strlen(w[i].from);
		if (k > len || memcmp(w[i].from, s, k)) continue;
		if (k < len && !(w[i].stem && s[k] == '_')) continue;
		*used = k;
		return w[i].to;
	}
	return NULL;
}

static void put_words(StrBuf *out, const char *s, const char *end, const Word *w, int n)
{
	while (s < end) {
		size_t len = 0, used;
		while (s + len < end && (isalnum((unsigned char)s[len]) || s[len] == '_')) len++;
		const char *to = len ? word_for(w, n, s, len, &used) : NULL;
		if (!to) used = len ? len : 1;
		if (to) sb_put(out, to);
		else sb_putn(out, s, used);
		if (to && used < len) sb_putn(out, s + used, len - used);
		s += to && used < len ? len : used;
	}
}

/* The text of a template of a file, with T, S and the rest as the dtype d has them. */
static void put_template(Emit *e, const char *file, const char *kernel, const char *name, const char *micro_name, DType d, bool pairs)
{
	const char *text = strstr(kernel_source(file), arena_printf(e->a, "/* @template %s */", kernel));
	text = strchr(text, '\n') + 1;
	DType c = dtype_compute(d);
	const char *end = strstr(text, "/* @"), *t = dtype_name(c), *s = dtype_name(d);
	bool same = c == d;
	const Word words[] = {{"NAME", name, true},
	                      {"MICRO", micro_name, true},
	                      {"MADD", arena_printf(e->a, "%s_MADD", name), false},
	                      {"PACK", pairs ? "2" : "1", false},
	                      {"T", dtype_ctype(c), false},
	                      {"S", dtype_ctype(d), false},
	                      {"V", c == DT_f64 ? "mx_vd" : "mx_vf", false},
	                      {"W", c == DT_f64 ? "MX_WD" : "MX_W", false},
	                      {"LD", arena_printf(e->a, "mx_ld_%s", t), false},
	                      {"ST", arena_printf(e->a, "mx_st_%s", t), false},
	                      {"LDN", arena_printf(e->a, "mx_ldn_%s", t), false},
	                      {"STN", arena_printf(e->a, "mx_stn_%s", t), false},
	                      {"BC", arena_printf(e->a, "mx_bc_%s", t), false},
	                      {"LDNS", arena_printf(e->a, "mx_ldn_%s", s), false},
	                      {"LDS", arena_printf(e->a, "mx_ld_%s", s), false},
	                      {"LOAD", same ? "" : arena_printf(e->a, "mx_f32_from_%s", s), false},
	                      {"TRANSPOSE", c == DT_f64 ? "mx_transpose_vd" : "mx_transpose_vf", false},
	                      {"MUST_PACK", same ? "" : "true ||", false},
	                      {"DIRECT_B", same ? "g->b + g->pc * g->bk + j" : "g->cols", false},
	                      {"PARTS_UNROLL", "16", false}};
	put_words(e->constants, text, end, words, (int)(sizeof words / sizeof *words));
}

static void put_micro(Emit *e, const char *name, DType c, bool pairs)
{
	sb_printf(e->constants, "#define %s_MADD(c, x, b) c %s\n", name, pairs ? "= mx_dot2_vf(c, x, b)" : "+= x * b");
	put_template(e, "gemm", "gemm_micro", name, "", c, pairs);
}

static void put_gemm(Emit *e, const char *name, const char *micro, DType d, bool pairs)
{
	put_template(e, "gemm", "gemm", name, micro, d, pairs);
	put_template(e, pairs ? "gemm_bf16" : "gemm", pairs ? "gemm_pack_pairs" : "gemm_pack", name, micro, d, pairs);
	put_template(e, "gemm", "gemm_walk", name, micro, d, pairs);
}

/* bf16 goes in pairs where the target has the instruction: tiles of its own then, in two forms. --fma=off asks for separate roundings. */
static bool goes_in_pairs(const Emit *e, DType d)
{
	return d == DT_bf16 && !e->o.no_fma;
}

static const char *micro_of(Emit *e, DType d)
{
	return goes_in_pairs(e, d) ? "mx_gemm_micro_bf16" : gemm_template(e, "gemm_micro", d);
}

const char *gemm_template(Emit *e, const char *kernel, DType d)
{
	DType c = dtype_compute(d);
	bool is_micro = !strcmp(kernel, "gemm_micro"), is_gemm = !strcmp(kernel, "gemm");
	if (is_micro) d = c;
	const char *name = module_str(e->m, arena_printf(e->a, "mx_%s_%s", kernel, dtype_name(d)));
	for (int i = 0; i < e->tables.n; i++)
		if (e->tables.at[i] == name) return name;
	const char *micro = is_gemm ? micro_of(e, d) : "";
	VEC_PUSH(e->a, e->tables, name);
	if (is_micro) put_micro(e, name, d, false);
	else if (!is_gemm) put_template(e, "gemm", kernel, name, micro, d, false);
	else if (!goes_in_pairs(e, d)) put_gemm(e, name, micro, d, false);
	else {
		sb_put(e->constants, "#if MX_W == 16 && defined __AVX512BF16__ /* two products at a time */\n");
		put_micro(e, micro, c, true);
		put_gemm(e, name, micro, d, true);
		sb_put(e->constants, "#else\n");
		put_micro(e, micro, c, false);
		put_gemm(e, name, micro, d, false);
		sb_put(e->constants, "#endif\n");
	}
	return name;
}

/* --- the call ----------------------------------------------------------------------------------------------------------------------------
 */
static const char *dims_text(Emit *e, Dim d)
{
	return emit_dim(e, d);
}

/* Where element 0 of the rows, columns and k is, at the loops' indices. */
static const char *start(Emit *e, const DotView *v, const Node *n)
{
	Index at[MAX_RANK + 1];
	for (int i = 0; i < n->nindex; i++) {
		at[i] = (Index){NEW_ARRAY(e->a, Term, n->index[i].n + 1), 0, n->index[i].add};
		for (int k = 0; k < n->index[i].n; k++)
			for (int j = 0; j < v->nloop; j++)
				if (n->index[i].term[k].axis == v->loop[j]) at[i].term[at[i].n++] = n->index[i].term[k];
	}
	return address(e, n->buf, at);
}

/* Values of axes that together are counted by `at`: the one that matters is named so by the caller. */
static void split_axes(Emit *e, const Axis *const *axis, int n, const char *at)
{
	int more = 0;
	for (int i = 0; i < n; i++) more += !dim_is(axis[i]->extent, 1);
	Dim below = dim_int(e->m->dims, 1);
	for (int i = n - 1; i >= 0; i--) {
		const char *x = axis[i]->name;
		if (dim_is(axis[i]->extent, 1)) {
			emit_line(e, "enum { %s = 0 };", x);
			continue;
		}
		if (more > 1) {
			const char *part = dim_is(below, 1) ? at : arena_printf(e->a, "%s / %s", at, emit_dim(e, below));
			emit_line(e, "const ptrdiff_t %s = %s %% %s;", x, part, emit_dim(e, axis[i]->extent));
			emit_line(e, "(void)%s;", x);
		}
		below = dim_mul(e->m->dims, below, axis[i]->extent);
	}
}

/* The name of the loop over axes that run as one. */
static const char *counter(Emit *e, const Axis *const *axis, int n, const char *other)
{
	const char *name = other, *single = other;
	int more = 0;
	for (int i = 0; i < n; i++)
		if (!dim_is(axis[i]->extent, 1)) single = axis[i]->name, more++;
	if (more == 1) return single;
	while (emit_is_taken(e, name)) name = arena_printf(e->a, "%s_", name);
	return name;
}

/* The part of the rows and of the columns that this piece computes. */
typedef struct Part {
	const char *i0, *i1, *j0, *j1; /* "0": from the first on */
	const char *m, *n;             /* how many */
} Part;

static const char *length_text(Emit *e, const char *lo, const char *hi)
{
	return strcmp(lo, "0") ? arena_printf(e->a, "%s - %s", hi, atom(e, lo)) : hi;
}

static Part part_of(Emit *e, const DotView *v)
{
	Part p = {"0", dims_text(e, v->m), "0", dims_text(e, v->n), NULL, NULL};
	if (v->nrow && v->row[0] == e->shared) emit_bounds(e, v->row, v->nrow, &p.i0, &p.i1);
	if (v->ncol && v->col[0] == e->shared) emit_bounds(e, v->col, v->ncol, &p.j0, &p.j1);
	p.m = length_text(e, p.i0, p.i1), p.n = length_text(e, p.j0, p.j1);
	return p;
}

/* An address `by` elements further for each of `at`. */
static const char *moved(Emit *e, const char *base, const char *at, Dim by)
{
	if (!strcmp(at, "0")) return base;
	return dim_is(by, 1) ? arena_printf(e->a, "%s + %s", base, at)
	                     : arena_printf(e->a, "%s + %s * %s", base, atom(e, at), dims_text(e, by));
}

/* Where the columns of the part begin. Panels: j0 is a multiple of their width, as pieces of columns begin at multiples of 64. */
static const char *right_operand(Emit *e, const DotView *v, const Part *p)
{
	return v->panels ? moved(e, buf_text(e, v->b->buf), p->j0, v->k) : moved(e, start(e, v, v->b), p->j0, v->bn);
}

static const char *from_part(Emit *e, const char *begin, const char *at)
{
	return strcmp(begin, "0") ? arena_printf(e->a, "%s + %s", begin, at) : at;
}

static void emit_behind(Emit *e, const DotView *v, Nest *s, const char *const *range)
{
	const char *i = counter(e, v->row, v->nrow, "row"), *j = counter(e, v->col, v->ncol, "col");
	const Axis *last = v->ncol ? v->col[v->ncol - 1] : NULL;
	emit_line(e, "for (ptrdiff_t %s = %s; %s < %s; %s++) {", i, range[0], i, range[1], i);
	e->indent++;
	split_axes(e, v->row, v->nrow, i);
	int cols = 0;
	for (int k = 0; k < v->ncol; k++) cols += !dim_is(v->col[k]->extent, 1);
	if (last && last->vec && cols == 1 && last == s->axis[s->naxis - 1]) {
		for (int k = 0; k + 1 < v->ncol; k++) emit_line(e, "enum { %s = 0 };", v->col[k]->name);
		vector_range(e, last, s->body, range[2], range[3]);
	} else {
		emit_line(e, "for (ptrdiff_t %s = %s; %s < %s; %s++) {", j, range[2], j, range[3], j);
		e->indent++;
		split_axes(e, v->col, v->ncol, j);
		if (last) ((Axis *)last)->vec = 0;
		emit_body(e, s->body);
		close_block(e);
	}
	close_block(e);
}

static const char *room_text(Emit *e, const Nest *s)
{
	return s->room ? buf_text(e, s->room) : "NULL";
}

static void emit_gemm(Emit *e, Kernel *k, const DotView *v, DType d)
{
	Nest *s = k->stages[0];
	bool tile = v->store->buf->space == BUF_TILE;
	int64_t n;
	const char *name = gemm_template(e, "gemm", d), *g = temp(e, "g");
	bool wide = dim_is_const(v->n, &n) && n > 2048;
	const Part p = part_of(e, v);
	const char *a = moved(e, start(e, v, v->a), p.i0, v->am), *b = right_operand(e, v, &p);
	b = v->panels ? arena_printf(e->a, "NULL, 0, 0, %s", b)
	              : arena_printf(e->a, "%s, %s, %s, NULL", b, dims_text(e, v->bk), dims_text(e, v->bn));
	const char *c = tile ? "NULL" : moved(e, moved(e, start(e, v, v->store), p.i0, v->cm), p.j0, dim_int(e->m->dims, 1));
	emit_line(e, "%s %s;", name, g);
	emit_line(e, "%s_begin(&%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);", name, g, p.m, p.n, dims_text(e, v->k), a,
	          dims_text(e, v->am), dims_text(e, v->ak), b, c, tile ? "0" : dims_text(e, v->cm), room_text(e, s),
	          wide ? "2048" : dims_text(e, v->n));
	if (k->nstages == 1) {
		emit_line(e, "while (%s_next(&%s)) {}", name, g);
		return;
	}
	emit_line(e, "while (%s_next(&%s)) {", name, g);
	e->indent++;
	const char *i0 = arena_printf(e->a, "%s.i0", g), *j0 = arena_printf(e->a, "%s.j0", g);
	const char *const range[] = {from_part(e, p.i0, i0), from_part(e, p.i0, arena_printf(e->a, "%s.i1", g)), from_part(e, p.j0, j0),
	                             from_part(e, p.j0, arena_printf(e->a, "%s.j1", g))};
	if (tile)
		map_set(&e->refs, v->store->buf,
		        arena_printf(e->a, "%s.tile[(%s - %s) * %s_PANEL + %s - %s]", g, counter(e, v->row, v->nrow, "row"), atom(e, range[0]),
		                     micro_of(e, d), counter(e, v->col, v->ncol, "col"), atom(e, range[2])));
	emit_behind(e, v, k->stages[1], range);
	close_block(e);
}

static void emit_whole(Emit *e, Kernel *k, const DotView *v, DType d)
{
	Nest *s = k->stages[0];
	const Part p = part_of(e, v);
	const char *name = gemm_template(e, s->how, d), *a = moved(e, start(e, v, v->a), p.i0, v->am);
	const char *b = right_operand(e, v, &p), *c = start(e, v, v->store);
	bool row = dim_is(v->m, 1);
	if (!strcmp(s->how, "gemm_small"))
		emit_line(e, "%s(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s);", name, p.m, p.n, dims_text(e, v->k), a, dims_text(e, v->am),
		          dims_text(e, v->ak), b, dims_text(e, v->bk), moved(e, c, p.i0, v->cm), dims_text(e, v->cm));
	else if (!strcmp(s->how, "gemv_rows"))
		emit_line(e, "%s(%s, %s, %s, %s, %s, %s);", name, row ? p.n : p.m, dims_text(e, v->k), row ? b : a,
		          dims_text(e, row ? v->bn : v->am), row ? a : b, moved(e, c, row ? p.j0 : p.i0, dim_int(e->m->dims, 1)));
	else if (v->panels)
		emit_line(e, "%s(%s, %s, %s, %s, %s, %s);", name, p.n, dims_text(e, v->k), b, a, dims_text(e, v->ak),
		          moved(e, c, p.j0, dim_int(e->m->dims, 1)));
	else
		emit_line(e, "%s(%s, %s, %s, %s, %s, %s, %s, %s);", name, row ? p.n : p.m, dims_text(e, v->k), row ? b : a,
		          dims_text(e, row ? v->bk : v->ak), row ? a : b, dims_text(e, row ? v->ak : v->bk),
		          moved(e, c, row ? p.j0 : p.i0, dim_int(e->m->dims, 1)), room_text(e, s));
	if (k->nstages == 1) return;
	const char *const range[] = {p.i0, p.i1, p.j0, p.j1};
	emit_behind(e, v, k->stages[1], range);
}

void emit_dot_stages(Emit *e, Kernel *k)
{
	DotView v;
	Nest *s = k->stages[0];
	if (!dot_view(e->m->dims, s, &v)) return;
	for (int i = 0; i < v.nloop; i++) emit_open_axis(e, v.loop[i]);
	DType d = v.a->buf->type->dtype;
	emit_line(e, "{");
	e->indent++;
	if (dot_template(s->how)->tiles) emit_gemm(e, k, &v, d);
	else emit_whole(e, k, &v, d);
	close_block(e);
	for (int i = 0; i < v.nloop; i++) close_block(e);
}
