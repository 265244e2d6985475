/* Functions and their steps as C: entry checks, arena pointers, loops, branches, calls. */
#include <ctype.h>
#include <string.h>
#include "profile.h"

bool buf_is_value(const Buf *b)
{
	return b->type->rank == (b->space == BUF_ROW ? b->drop : 0);
}
const char *buf_ctype(const Buf *b)
{
	return dtype_ctype(b->type->dtype);
}

/* A rank-0 buffer that is reached through a pointer in the function (not the kernel). */
static bool through_pointer(const Buf *b)
{
	if (b->type->rank) return false;
	return b->space == BUF_RESULT || (b->space == BUF_PARAM && b->inout) || (b->space == BUF_ALIAS);
}

const char *buf_text(Emit *e, const Buf *b)
{
	const char *s = map_get(&e->refs, b);
	if (s) return s;
	if (b->space == BUF_CONST) return b->name;
	return b->name;
}

Dim buf_elements(Emit *e, const Buf *b)
{
	Dim n = dim_int(e->m->dims, 1);
	for (int i = b->space == BUF_ROW ? b->drop : 0; i < b->type->rank; i++) n = dim_mul(e->m->dims, n, b->type->dim[i]);
	return n;
}

static Dim buf_size(Emit *e, const Buf *b)
{
	return dim_scale(e->m->dims, buf_elements(e, b), dtype_bytes(b->type->dtype), 1);
}

const char *emit_func_name(Emit *e, const LoopFunc *f)
{
	return map_get(&e->refs, f);
}

/* --- constants ----------------------------------------------------------------------------------------------------------------------- */
/* A number of a list needs no parentheses around its sign. */
static const char *bare(Emit *e, const char *text)
{
	return *text == '(' ? arena_strndup(e->a, text + 1, strlen(text) - 2) : text;
}

static bool same_data(const Tensor *a, const Tensor *b)
{
	return a && (a == b || (a->dtype == b->dtype && tensor_bytes(a) == tensor_bytes(b) && !memcmp(a->data, b->data, tensor_bytes(a))));
}

static void emit_table(Emit *e, Buf *b)
{
	for (int i = 0; i < e->p->funcs.n; i++)
		for (int k = 0; k < e->p->funcs.at[i]->bufs.n; k++) {
			Buf *o = e->p->funcs.at[i]->bufs.at[k];
			const char *name = o != b && same_data(o->data, b->data) ? map_get(&e->symbols, o) : NULL;
			if (name) {
				b->name = name;
				map_set(&e->symbols, b, (void *)name);
				return;
			}
		}
	int64_t n = tensor_size(b->data);
	b->name = emit_symbol(e, strncmp(b->name, "table", 5) ? arena_printf(e->a, "table_%s", b->name) : b->name);
	map_set(&e->symbols, b, (void *)b->name);
	sb_printf(e->constants, "static const %s %s[%lld] = {", buf_ctype(b), b->name, (long long)(n ? n : 1));
	for (int64_t i = 0; i < n; i++) {
		Scalar s = tensor_get(b->data, i);
		sb_put(e->constants, i % 8 ? " " : "\n\t");
		if (s.dtype == DT_f16 || s.dtype == DT_bf16) sb_printf(e->constants, "0x%04x,", ((const uint16_t *)b->data->data)[i]);
		else if (s.dtype == DT_c64) {
			Scalar re = {.dtype = DT_f32, .v.f = s.v.c[0]}, im = {.dtype = DT_f32, .v.f = s.v.c[1]};
			sb_printf(e->constants, "{%s, %s},", bare(e, scalar_text(e, re)), bare(e, scalar_text(e, im)));
		} else sb_printf(e->constants, "%s,", bare(e, scalar_text(e, s)));
	}
	sb_put(e->constants, n ? "\n};\n\n" : "0};\n\n");
}

/* --- steps --------------------------------------------------------------------------------------------------------------------------- */
static void emit_steps(Emit *e, StepList *list);

static void emit_copy(Emit *e, Step *s)
{
	const char *d = buf_text(e, s->dst), *x = buf_text(e, s->src);
	if (buf_is_value(s->dst)) emit_line(e, "%s = %s;", d, x);
	else emit_line(e, "memcpy(%s, %s, (size_t)%s);", d, x, emit_dim(e, buf_size(e, s->dst)));
}

/* What stands for b as an argument: values as they are, results by address. */
static const char *argument(Emit *e, const Buf *b, bool result)
{
	const char *s = buf_text(e, b);
	if (!result || !buf_is_value(b)) return s;
	return *s == '*' ? s + 1 : arena_printf(e->a, "&%s", s);
}

static void emit_call(Emit *e, Step *s)
{
	StrBuf b;
	sb_init(&b, e->a);
	int n = 0;
	for (int i = 0; i < s->nargs; i++) sb_printf(&b, "%s%s", n++ ? ", " : "", argument(e, s->args[i], false));
	for (int i = 0; i < s->nresults; i++) sb_printf(&b, "%s%s", n++ ? ", " : "", argument(e, s->results[i], true));
	for (int i = 0; i < s->callee->dims.n; i++) sb_printf(&b, "%s%s", n++ ? ", " : "", emit_dim_name(e, s->callee->dims.at[i]));
	int64_t zero;
	const char *arena =
	    dim_is_const(s->callee->arena, &zero) && !zero ? "NULL" : arena_printf(e->a, "mx_arena + %s", emit_dim(e, s->scratch->offset));
	sb_printf(&b, "%s%s%s%s", n ? ", " : "", arena, e->o.threads > 1 ? ", exec" : "", profile_argument(e));
	if (e->o.check) {
		emit_line(e, "if ((mx_code = %s(%s)) != 0) return mx_code;", emit_func_name(e, s->callee), sb_text(&b));
	} else {
		emit_line(e, "%s(%s);", emit_func_name(e, s->callee), sb_text(&b));
	}
}

/* Pointers to row i of scanned operands and stacked results. */
static void emit_rows(Emit *e, const Step *loop)
{
	for (int i = 0; i < e->f->bufs.n; i++) {
		Buf *b = e->f->bufs.at[i];
		if (b->space != BUF_ALIAS || b->home != loop || !b->has_row || (!b->reads && !b->writes)) continue;
		Dim row = dim_int(e->m->dims, 1);
		for (int k = 0; k < b->type->rank; k++) row = dim_mul(e->m->dims, row, b->type->dim[k]);
		bool is_const = !b->writes && buf_root(b)->space != BUF_ARENA && !(buf_root(b)->space == BUF_PARAM && buf_root(b)->inout) &&
		                buf_root(b)->space != BUF_RESULT;
		emit_line(e, "%s%s *%s = %s + %s * %s;", is_const ? "const " : "", buf_ctype(b), b->name, buf_text(e, b->base),
		          b->row.term[0].axis->name, emit_dim(e, row));
		if (through_pointer(b)) map_set(&e->refs, b, arena_printf(e->a, "*%s", b->name));
	}
}

static void emit_loop(Emit *e, Step *s)
{
	const char *i = s->axis->name, *n = s->axis->extent ? emit_dim(e, s->axis->extent) : NULL;
	if (s->limit) {
		const char *limit = buf_text(e, s->limit);
		const char *bound = arena_printf(e->a, "%s_end", i);
		emit_line(e, "{");
		e->indent++;
		if (n) emit_line(e, "const ptrdiff_t %s = %s < %s ? %s : %s;", bound, limit, n, limit, n);
		else emit_line(e, "const ptrdiff_t %s = %s;", bound, limit);
		n = bound;
	}
	if (s->reverse) emit_line(e, "for (ptrdiff_t %s = %s; %s-- > 0;) {", i, n, i);
	else if (n) emit_line(e, "for (ptrdiff_t %s = 0; %s < %s; %s++) {", i, i, n, i);
	else if (s->counter) emit_line(e, "for (ptrdiff_t %s = 0;; %s++) {", i, i);
	else emit_line(e, "for (;;) {");
	e->indent++;
	if (s->cond) {
		emit_steps(e, &s->head);
		emit_line(e, "if (!%s) break;", buf_text(e, s->cond));
	}
	if (s->counter) emit_line(e, "%s = (int32_t)%s;", buf_text(e, s->counter), i);
	emit_rows(e, s);
	emit_steps(e, &s->body);
	e->indent--;
	emit_line(e, "}");
	if (s->limit) e->indent--, emit_line(e, "}");
}

static void emit_cond(Emit *e, Step *s)
{
	emit_line(e, "if (%s) {", buf_text(e, s->cond));
	e->indent++;
	emit_steps(e, &s->body);
	e->indent--;
	if (s->other.n) {
		emit_line(e, "} else {");
		e->indent++;
		emit_steps(e, &s->other);
		e->indent--;
	}
	emit_line(e, "}");
}

/* if (B == 1) { … } else if (B == 8) { … } else { … } */
static void emit_when(Emit *e, Step *s)
{
	emit_line(e, "if (%s == %lld) {", emit_dim_name(e, s->dim), (long long)s->equals);
	for (;; s = s->other.at[0]) {
		e->indent++;
		emit_steps(e, &s->body);
		e->indent--;
		if (s->other.n != 1 || s->other.at[0]->kind != STEP_WHEN) break;
		emit_line(e, "} else if (%s == %lld) {", emit_dim_name(e, s->other.at[0]->dim), (long long)s->other.at[0]->equals);
	}
	emit_line(e, "} else {");
	e->indent++;
	emit_steps(e, &s->other);
	e->indent--;
	emit_line(e, "}");
}

static const char *quoted(Emit *e, const char *s)
{
	StrBuf b;
	sb_init(&b, e->a);
	sb_putc(&b, '"');
	for (; s && *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') sb_printf(&b, "\\%c", c);
		else if (c == '\n') sb_put(&b, "\\n");
		else if (c < 32 || c > 126 || c == '?') sb_printf(&b, "\\%03o", c);
		else sb_putc(&b, (char)c);
	}
	sb_putc(&b, '"');
	return sb_text(&b);
}

/* Scalars that only a print or an assert reads are set but not used where that is left out. */
static void unused_scalars(Emit *e, const Step *s)
{
	for (int i = 0; i < s->nvalues; i++)
		if (s->values[i]->space == BUF_SCALAR) emit_line(e, "(void)%s;", s->values[i]->name);
}

static void emit_print(Emit *e, Step *s)
{
	emit_line(e, "#ifdef MLXCC_PRINT");
	if (!s->nvalues) emit_line(e, "MLXCC_PRINT(%s, \"\", NULL, 0);", quoted(e, s->message));
	for (int i = 0; i < s->nvalues; i++)
		emit_line(e, "MLXCC_PRINT(%s, \"%s\", %s, %s);", i ? "\"\"" : quoted(e, s->message), dtype_name(s->values[i]->type->dtype),
		          argument(e, s->values[i], true), emit_dim(e, buf_elements(e, s->values[i])));
	emit_line(e, "#else");
	unused_scalars(e, s);
	emit_line(e, "#endif");
}

static void emit_assert(Emit *e, Step *s)
{
	if (!e->o.check) {
		unused_scalars(e, s);
		return;
	}
	const char *place = emit_place(e, s->loc);
	emit_line(e, "if (!%s) return %s_EASSERT + %d;%s", buf_text(e, s->values[0]), e->PREFIX, s->assert_number - 1,
	          place ? arena_printf(e->a, "   /* %s */", place) : "");
}

static void emit_steps(Emit *e, StepList *list)
{
	for (int i = 0; i < list->n; i++) {
		Step *s = list->at[i];
		switch (s->kind) {
		case STEP_KERNEL: emit_kernel(e, s->kernel); break;
		case STEP_LOOP: emit_loop(e, s); break;
		case STEP_COND: emit_cond(e, s); break;
		case STEP_WHEN: emit_when(e, s); break;
		case STEP_CALL: emit_call(e, s); break;
		case STEP_COPY: emit_copy(e, s); break;
		case STEP_PRINT: emit_print(e, s); break;
		case STEP_ASSERT: emit_assert(e, s); break;
		}
	}
}

/* --- the function -------------------------------------------------------------------------------------------------------------------- */
static void emit_checks(Emit *e, Func *f)
{
	for (int i = 0; i < f->ndims; i++) {
		int64_t lo, hi, step;
		const char *d = emit_dim_name(e, f->dims[i]);
		dim_range_of(f->facts, f->dims[i], &lo, &hi, &step);
		StrBuf b;
		sb_init(&b, e->a);
		sb_printf(&b, "%s < %lld", d, (long long)lo);
		if (hi != INT64_MAX) sb_printf(&b, " || %s > %lld", d, (long long)hi);
		DimValues v = dim_values_of(f->facts, f->dims[i]);
		if (v.only) sb_init(&b, e->a);
		for (int k = 0; v.only && k < v.n; k++) sb_printf(&b, "%s%s != %lld", k ? " && " : "", d, (long long)v.at[k]);
		if (step > 1 && !v.only) sb_printf(&b, " || %s %% %lld != 0", d, (long long)step);
		emit_line(e, "if (%s) return %s_EINVAL;", sb_text(&b), e->PREFIX);
	}
	for (int i = 0; i < dim_fact_count(f->facts); i++) {
		bool equality;
		Dim p = dim_fact_at(f->facts, i, &equality);
		emit_line(e, "if (%s %s) return %s_EINVAL;", emit_dim(e, p), equality ? "!= 0" : "< 0", e->PREFIX);
	}
}

static void declare(Emit *e, LoopFunc *f)
{
	for (int i = 0; i < f->bufs.n; i++) {
		Buf *b = f->bufs.at[i];
		if (b->space == BUF_CONST && b->reads + b->writes >= 0) emit_table(e, b);
		if (b->space == BUF_ALIAS && !b->has_row) {
			map_set(&e->refs, b, (void *)buf_text(e, b->base));
			continue;
		}
		if (through_pointer(b) && b->space != BUF_ALIAS && *buf_text(e, b) != '*')
			map_set(&e->refs, b, arena_printf(e->a, "*%s", buf_text(e, b)));
		if (b->space == BUF_SCALAR) emit_line(e, "%s %s%s;", buf_ctype(b), b->name, b->type->dtype == DT_c64 ? "" : " = 0");
		bool arena = (b->space == BUF_ARENA || (b->space == BUF_ROW && b->in_arena)) && b->offset && !b->callee;
		if (arena) emit_line(e, "%s *%s = (%s *)(void *)(mx_arena + %s);", buf_ctype(b), b->name, buf_ctype(b), emit_dim(e, b->offset));
	}
}

/* Names of the leaves of trees: net->l1.weight. */
static const char *leaf_access(Emit *e, const SigArg *a, const char *path)
{
	return arena_printf(e->a, "%s->%s", a->name, emit_member(e, c_path(e, path) + strlen(a->path) + 1));
}

static void bind_leaves(Emit *e, LoopFunc *f)
{
	CSignature g = c_signature(e, f->func);
	for (int i = 0; i < g.nparam + g.nresult; i++) {
		const SigArg *a = i < g.nparam ? &g.param[i] : &g.result[i - g.nparam];
		Buf **leaf = i < g.nparam ? f->param : f->result;
		int k = 0;
		for (int j = 0; k < a->n; j++) {
			if (i >= g.nparam && f->func->result_alias && f->func->result_alias[a->first + j] >= 0) continue;
			k++;
			Buf *b = leaf[a->first + j];
			if (!a->tree) {
				map_set(&e->refs, b, (void *)a->name);
				continue;
			}
			const char *s = leaf_access(e, a, b->path);
			/* a leaf of rank 0 is a pointer too */
			map_set(&e->refs, b, b->type->rank ? (void *)s : arena_printf(e->a, "*%s", s));
		}
	}
}

static void emit_entry(Emit *e, LoopFunc *f)
{
	StrBuf proto;
	sb_init(&proto, e->a);
	emit_prototype(e, &proto, f->func);
	sb_printf(e->out, "%s\n{\n", sb_text(&proto));
	bind_leaves(e, f);
	emit_checks(e, f->func);
}

static void emit_static_head(Emit *e, LoopFunc *f)
{
	StrBuf b;
	sb_init(&b, e->a);
	const char *what = f->func->composite ? f->func->composite : f->func->name;
	sb_printf(&b, "/* %s */\nstatic %s %s(", what, e->o.check ? "int" : "void", emit_func_name(e, f));
	int n = 0;
	for (int i = 0; i < f->func->body->nparam; i++) {
		Buf *p = f->param[i];
		if (p->type->rank) sb_printf(&b, "%sconst %s *%s", n++ ? ", " : "", buf_ctype(p), p->name);
		else sb_printf(&b, "%s%s %s", n++ ? ", " : "", buf_ctype(p), p->name);
	}
	for (int i = 0; i < f->func->body->nresult; i++)
		sb_printf(&b, "%s%s *%s", n++ ? ", " : "", buf_ctype(f->result[i]), f->result[i]->name);
	for (int i = 0; i < f->dims.n; i++) sb_printf(&b, "%sptrdiff_t %s", n++ ? ", " : "", emit_dim_name(e, f->dims.at[i]));
	sb_printf(&b, "%sunsigned char *mx_arena%s%s)\n{\n", n ? ", " : "", e->o.threads > 1 ? ", const mx_exec *exec" : "",
	          profile_parameter(e));
	sb_put(e->out, sb_text(&b));
}

/* Arguments of an entry that nothing needs stay in its signature. */
static void mark_unused_arguments(Emit *e, LoopFunc *f, StrBuf *code, const char *text)
{
	CSignature g = c_signature(e, f->func);
	for (int i = 0; i < g.nparam + g.nresult; i++) {
		const char *name = i < g.nparam ? g.param[i].name : g.result[i - g.nparam].name;
		if (!text_mentions(text, name)) sb_printf(code, "\t(void)%s;\n", name);
	}
}

void emit_func(Emit *e, LoopFunc *f)
{
	StrBuf body, *code = e->code;
	sb_init(&body, e->a);
	e->f = f;
	e->out = &body;
	e->indent = 1;
	bool entry = f->func->exported || f->func->is_test;
	if (entry) emit_entry(e, f);
	else emit_static_head(e, f);
	size_t head = body.n;
	declare(e, f);
	emit_steps(e, &f->steps);
	const char *text = arena_strdup(e->a, sb_text(&body));
	sb_putn(code, text, head);
	if (entry) {
		if (strstr(text + head, "mx_arena")) sb_put(code, "\tunsigned char *mx_arena = (unsigned char *)arena;\n");
		else sb_put(code, "\t(void)arena;\n");
		mark_unused_arguments(e, f, code, text + head);
	} else {
		if (!strstr(text + head, "mx_arena")) sb_put(code, "\t(void)mx_arena;\n");
		for (int i = 0; i < f->dims.n; i++)
			if (!text_mentions(text + head, emit_dim_name(e, f->dims.at[i])))
				sb_printf(code, "\t(void)%s;\n", emit_dim_name(e, f->dims.at[i]));
		for (int i = 0; i < f->func->body->nparam; i++)
			if (!f->param[i]->reads) sb_printf(code, "\t(void)%s;\n", f->param[i]->name);
	}
	if (e->o.threads > 1 && !text_mentions(text + head, "exec")) sb_put(code, "\t(void)exec;\n");
	if (e->o.profile && !text_mentions(text + head, "profile")) sb_put(code, "\t(void)profile;\n");
	if (strstr(text + head, "mx_code")) sb_put(code, "\tint mx_code;\n");
	sb_put(code, text + head);
	if (entry || e->o.check) sb_put(code, "\treturn 0;\n");
	sb_put(code, "}\n\n");
}
