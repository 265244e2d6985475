/* IR as text. What is printed is what read.c parses; grammar and an example are in docs/ir.md.
 *
 * Values keep the user's names where they have one; a second %x of a function becomes %x.1. Unnamed ones are numbered in print order, so
 * that the text does not depend on the history of the module. Constants print exactly: the shortest decimal that reads back to the same
 * bits, nan with its payload, and lists of more than 64 elements as hexadecimal bytes.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "ir.h"
#include "text.h"

typedef struct Printer {
	StrBuf *out;
	Arena *scratch;
	PrintOptions o;
	const Diag *diag;
	Intern names;
	Map name_of;     /* Value -> printed name */
	Map taken;       /* printed name -> itself */
	Map last_suffix; /* base name -> the suffix last given */
	int next_number;
	const char *const *symbols; /* loop IR: the symbols of the body, which is not printed here; NULL: those of the body */
	int nsymbols;
} Printer;

/* --- names ------------------------------------------------------------------------------------------------------------ */
bool ir_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

static const char *clean_name(Printer *p, const char *name)
{
	char *s = arena_strdup(p->scratch, name);
	for (char *c = s; *c; c++)
		if (!ir_name_char(*c)) *c = '_';
	if (!isalpha((unsigned char)s[0]) && s[0] != '_') s = arena_printf(p->scratch, "_%s", s);
	return intern_str(&p->names, s, strlen(s));
}

/* x.3 -> x: a second x.3 is numbered among the x. */
static const char *without_suffix(Printer *p, const char *name)
{
	size_t n = strlen(name), k = n;
	while (k > 0 && isdigit((unsigned char)name[k - 1])) k--;
	return k < n && k > 1 && name[k - 1] == '.' ? intern_str(&p->names, name, k - 1) : name;
}

static const char *unique_name(Printer *p, const char *name)
{
	name = clean_name(p, name);
	if (map_get(&p->taken, name)) {
		const char *base = without_suffix(p, name);
		intptr_t k = (intptr_t)map_get(&p->last_suffix, base);
		while (map_get(&p->taken, name)) {
			const char *s = arena_printf(p->scratch, "%s.%d", base, (int)++k);
			name = intern_str(&p->names, s, strlen(s));
		}
		map_set(&p->last_suffix, base, (void *)k);
	}
	map_set(&p->taken, name, (void *)name);
	return name;
}

static void name_value(Printer *p, const Value *v)
{
	const char *name = v->name ? unique_name(p, v->name) : arena_printf(p->scratch, "%d", p->next_number++);
	map_set(&p->name_of, v, (void *)name);
}

static void name_block(Printer *p, const Block *b)
{
	for (int i = 0; i < b->nparam; i++) name_value(p, b->param[i]);
	for (const Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nout; i++) name_value(p, op->out[i]);
		for (int r = 0; r < op->nregion; r++) name_block(p, op->region[r]);
	}
}

static void printer_init(Printer *p, const Func *f)
{
	p->scratch = arena_child(f->module->arena);
	p->diag = f->module->diag;
	intern_init(&p->names, p->scratch);
	map_init(&p->name_of, p->scratch);
	map_init(&p->taken, p->scratch);
	map_init(&p->last_suffix, p->scratch);
	if (!p->symbols) name_block(p, f->body);
	for (int i = 0; p->symbols && i < f->body->nparam; i++) name_value(p, f->body->param[i]);
}

static void settle_name(Printer *p, Module *m, Value *v)
{
	if (v->name) v->name = module_str(m, map_get(&p->name_of, v));
}

static void settle_block(Printer *p, Module *m, Block *b)
{
	for (int i = 0; i < b->nparam; i++) settle_name(p, m, b->param[i]);
	for (Op *op = b->first; op; op = op->next) {
		for (int i = 0; i < op->nout; i++) settle_name(p, m, op->out[i]);
		for (int r = 0; r < op->nregion; r++) settle_block(p, m, op->region[r]);
	}
}

void ir_settle_names(Func *f)
{
	Printer p = {0};
	printer_init(&p, f);
	settle_block(&p, f->module, f->body);
	arena_free(p.scratch);
}

static void put_value(Printer *p, const Value *v)
{
	const char *name = v ? map_get(&p->name_of, v) : NULL;
	if (name) sb_printf(p->out, "%%%s", name);
	else sb_printf(p->out, "%%<undefined %d>", v ? v->id : -1);
}

static void put_values(Printer *p, Value *const *v, int n)
{
	for (int i = 0; i < n; i++) {
		if (i) sb_put(p->out, ", ");
		put_value(p, v[i]);
	}
}

/* --- texts and types -------------------------------------------------------------------------------------------------- */
void ir_put_string(StrBuf *b, const char *s)
{
	sb_putc(b, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '"' || c == '\\') sb_printf(b, "\\%c", c);
		else if (c == '\n') sb_put(b, "\\n");
		else if (c == '\t') sb_put(b, "\\t");
		else if (c < 32 || c == 127) sb_printf(b, "\\x%02x", c);
		else sb_putc(b, (char)c);
	}
	sb_putc(b, '"');
}

bool ir_func_name_char(char c)
{
	return ir_name_char(c) || c == '[' || c == ']' || c == '/';
}

void ir_put_func_name(StrBuf *b, const char *name)
{
	bool plain = *name != '\0';
	for (const char *c = name; *c; c++) plain &= ir_func_name_char(*c);
	sb_putc(b, '@');
	if (plain) sb_put(b, name);
	else ir_put_string(b, name);
}

void ir_put_type(StrBuf *b, const Type *t)
{
	sb_put(b, dtype_name(t->dtype));
	for (int i = 0; i < t->rank; i++) {
		sb_putc(b, i ? ',' : '[');
		dim_print(b, t->dim[i]);
	}
	if (t->rank) sb_putc(b, ']');
}

static void put_types_of(Printer *p, Value *const *v, int n)
{
	for (int i = 0; i < n; i++) {
		if (i) sb_put(p->out, ", ");
		ir_put_type(p->out, v[i]->type);
	}
}

void ir_put_loc(StrBuf *b, const Diag *d, Loc loc)
{
	if (!loc.file) return;
	int line, col, end_line, end_col;
	diag_line_col(d, loc.file, loc.begin, &line, &col);
	diag_line_col(d, loc.file, loc.end, &end_line, &end_col);
	sb_put(b, "loc(");
	ir_put_string(b, diag_file_name(d, loc.file));
	sb_printf(b, ":%d:%d-", line, col);
	if (end_line != line) sb_printf(b, "%d:", end_line);
	sb_printf(b, "%d)", end_col);
}

static void put_loc(Printer *p, Loc loc)
{
	if (!p->o.no_loc) ir_put_loc(p->out, p->diag, loc);
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */
static void put_f64(StrBuf *b, double x)
{
	char s[40];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, x);
		if (strtod(s, NULL) == x) break;
	}
	sb_put(b, s);
}

/* The shortest decimal that gives the same bits when it is read as f32 and converted to the dtype. */
static void put_f32_as(StrBuf *b, DType d, float x)
{
	char s[40];
	for (int digits = 1; digits <= 9; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, (double)x);
		float back = strtof(s, NULL);
		if (d == DT_f16) back = f16_to_f32(f32_to_f16(back));
		if (d == DT_bf16) back = bf16_to_f32(f32_to_bf16(back));
		if (back == x) break;
	}
	sb_put(b, s);
}

/* The payload of every nan but the plain quiet one is written out. */
static void put_nan(StrBuf *b, uint64_t bits, uint64_t plain)
{
	if (bits == plain) sb_put(b, "nan");
	else sb_printf(b, "nan:0x%llx", (unsigned long long)bits);
}

static void put_float_bits(StrBuf *b, DType d, uint64_t bits)
{
	uint64_t plain = ir_plain_nan(d);
	double x;
	if (d == DT_f64) memcpy(&x, &bits, sizeof x);
	else if (d == DT_f32) {
		float f;
		uint32_t w = (uint32_t)bits;
		memcpy(&f, &w, sizeof f);
		x = f;
	} else x = d == DT_f16 ? f16_to_f32((uint16_t)bits) : bf16_to_f32((uint16_t)bits);
	if (isnan(x)) put_nan(b, bits, plain);
	else if (isinf(x)) sb_put(b, x < 0 ? "-inf" : "inf");
	else if (d == DT_f64) put_f64(b, x);
	else put_f32_as(b, d, (float)x);
}

uint64_t ir_plain_nan(DType d)
{
	switch (d) {
	case DT_f16: return 0x7e00;
	case DT_bf16: return 0x7fc0;
	case DT_f64: return 0x7ff8000000000000u;
	default: return 0x7fc00000;
	}
}

static void put_element(StrBuf *b, DType d, const void *at)
{
	uint64_t bits = 0;
	memcpy(&bits, at, (size_t)dtype_bytes(d));
	switch (dtype_kind(d)) {
	case DK_BOOL: sb_put(b, bits ? "true" : "false"); break;
	case DK_UINT: sb_printf(b, "%llu", (unsigned long long)bits); break;
	case DK_INT: sb_printf(b, "%lld", (long long)scalar_to_int(scalar_load(d, at))); break;
	case DK_FLOAT: put_float_bits(b, d, bits); break;
	case DK_COMPLEX:
		sb_putc(b, '(');
		put_float_bits(b, DT_f32, bits & 0xffffffffu);
		sb_put(b, ", ");
		put_float_bits(b, DT_f32, bits >> 32);
		sb_putc(b, ')');
		break;
	}
}

void ir_put_tensor(StrBuf *b, const Tensor *t)
{
	int64_t n = tensor_size(t);
	sb_put(b, dtype_name(t->dtype));
	for (int i = 0; i < t->rank; i++) sb_printf(b, "%c%lld", i ? ',' : '[', (long long)t->shape[i]);
	sb_put(b, t->rank ? "](" : "(");
	if (n > IR_LIST_ELEMENTS) {
		const unsigned char *byte = t->data;
		size_t bytes = tensor_bytes(t);
		sb_put(b, "hex \"");
		for (size_t i = 0; i < bytes; i++) {
			sb_putc(b, "0123456789abcdef"[byte[i] >> 4]);
			sb_putc(b, "0123456789abcdef"[byte[i] & 15]);
		}
		sb_putc(b, '"');
	} else
		for (int64_t i = 0; i < n; i++) {
			if (i) sb_put(b, ", ");
			put_element(b, t->dtype, (const char *)t->data + (size_t)dtype_bytes(t->dtype) * (size_t)i);
		}
	sb_putc(b, ')');
}

void ir_put_scalar(StrBuf *b, Scalar s)
{
	char room[8];
	scalar_store(s, room);
	put_element(b, s.dtype, room);
}

/* --- ops -------------------------------------------------------------------------------------------------------------- */
static void put_ints(StrBuf *b, const int64_t *x, int n)
{
	sb_putc(b, '[');
	for (int i = 0; i < n; i++) sb_printf(b, "%s%lld", i ? "," : "", (long long)x[i]);
	sb_putc(b, ']');
}

static void put_dims(StrBuf *b, const Dim *x, int n)
{
	sb_putc(b, '[');
	for (int i = 0; i < n; i++) {
		if (i) sb_putc(b, ',');
		dim_print(b, x[i]);
	}
	sb_putc(b, ']');
}

static void put_attr(StrBuf *b, const Attr *a)
{
	sb_printf(b, "%s=", attr_name(a->key));
	switch (attr_kind(a->key)) {
	case AK_INT: sb_printf(b, "%lld", (long long)a->v.i); break;
	case AK_BOOL: sb_put(b, a->v.i ? "true" : "false"); break;
	case AK_INTS: put_ints(b, a->v.ints, a->n); break;
	case AK_DIM: dim_print(b, a->v.dim); break;
	case AK_DIMS: put_dims(b, a->v.dims, a->n); break;
	case AK_DTYPE: sb_put(b, dtype_name(a->v.dtype)); break;
	case AK_STR: ir_put_string(b, a->v.str); break;
	case AK_FUNC: ir_put_func_name(b, a->v.func->name); break;
	case AK_TENSOR: ir_put_tensor(b, a->v.tensor); break;
	}
}

static void put_indent(Printer *p, int depth)
{
	for (int i = 0; i < depth; i++) sb_put(p->out, "  ");
}

static void put_params(Printer *p, const Block *b)
{
	sb_putc(p->out, '(');
	for (int i = 0; i < b->nparam; i++) {
		if (i) sb_put(p->out, ", ");
		put_value(p, b->param[i]);
		sb_put(p->out, ": ");
		ir_put_type(p->out, b->param[i]->type);
	}
	sb_putc(p->out, ')');
}

const char *ir_region_word(BlockKind kind, int index)
{
	if (kind == BLOCK_COND) return index ? "else" : "then";
	return kind == BLOCK_WHILE ? "while" : "do";
}

static void put_block(Printer *p, const Block *b, int depth);

static void put_op(Printer *p, const Op *op, int depth)
{
	StrBuf *out = p->out;
	put_indent(p, depth);
	put_values(p, op->out, op->nout);
	sb_printf(out, "%s%s%s", op->nout ? " = " : "", op_row(op->code)->name, op->nin ? " " : "");
	put_values(p, op->in, op->nin);
	if (op->nattr) sb_put(out, " {");
	for (int i = 0; i < op->nattr; i++) {
		if (i) sb_put(out, ", ");
		put_attr(out, &op->attrs[i]);
	}
	if (op->nattr) sb_putc(out, '}');
	if (op->nout) sb_put(out, " : ");
	put_types_of(p, op->out, op->nout);
	if (op->loc.file && !p->o.no_loc) sb_put(out, "   ");
	put_loc(p, op->loc);
	if (op->tag && !p->o.no_loc) sb_put(out, " tag "), ir_put_string(out, op->tag);
	for (int r = 0; r < op->nregion; r++) {
		sb_printf(out, " %s", ir_region_word(op->region[r]->kind, r));
		put_params(p, op->region[r]);
		sb_put(out, " {\n");
		put_block(p, op->region[r], depth + 1);
		put_indent(p, depth);
		sb_putc(out, '}');
	}
	sb_putc(out, '\n');
}

static void put_block(Printer *p, const Block *b, int depth)
{
	for (const Op *op = b->first; op; op = op->next) put_op(p, op, depth);
	put_indent(p, depth);
	sb_put(p->out, b->kind == BLOCK_FUNC ? "return" : "yield");
	if (b->nresult) sb_putc(p->out, ' ');
	put_values(p, b->result, b->nresult);
	sb_putc(p->out, '\n');
}

/* --- function headers -------------------------------------------------------------------------------------------------- */
typedef struct SymbolWalk {
	Module *m;
	Map seen;
	VEC(const char *) found;
} SymbolWalk;

static void symbol_seen(void *ctx, const char *sym)
{
	SymbolWalk *w = ctx;
	sym = module_str(w->m, sym);
	if (map_get(&w->seen, sym)) return;
	map_set(&w->seen, sym, (void *)sym);
	VEC_PUSH(w->seen.arena, w->found, sym);
}

static void symbols_of_values(SymbolWalk *w, Value *const *v, int n)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < v[i]->type->rank; k++) dim_symbols(v[i]->type->dim[k], symbol_seen, w);
}

static void symbols_of_block(SymbolWalk *w, const Block *b)
{
	symbols_of_values(w, b->param, b->nparam);
	for (const Op *op = b->first; op; op = op->next) {
		symbols_of_values(w, op->out, op->nout);
		for (int i = 0; i < op->nattr; i++) {
			const Attr *a = &op->attrs[i];
			if (attr_kind(a->key) == AK_DIM) dim_symbols(a->v.dim, symbol_seen, w);
			if (attr_kind(a->key) == AK_DIMS)
				for (int k = 0; k < a->n; k++) dim_symbols(a->v.dims[k], symbol_seen, w);
		}
		for (int r = 0; r < op->nregion; r++) symbols_of_block(w, op->region[r]);
	}
}

/* fact B in 1..64 step 8 with {8, 16}; fact B in {1, 8} */
static void put_range(Printer *p, const DimFacts *f, const char *sym)
{
	int64_t lo, hi, step;
	DimValues v = dim_values_of(f, sym);
	if (!dim_range_of(f, sym, &lo, &hi, &step)) return;
	sb_printf(p->out, "\n  fact %s in ", sym);
	if (!v.only) {
		sb_printf(p->out, "%lld..", (long long)lo);
		if (hi != INT64_MAX) sb_printf(p->out, "%lld", (long long)hi);
		if (step != 1) sb_printf(p->out, " step %lld", (long long)step);
		if (v.n) sb_put(p->out, " with ");
	}
	for (int i = 0; i < v.n; i++) sb_printf(p->out, "%s%lld", i ? ", " : "{", (long long)v.at[i]);
	if (v.n) sb_put(p->out, "}");
}

static void put_facts(Printer *p, const Func *f)
{
	SymbolWalk w = {.m = f->module};
	map_init(&w.seen, p->scratch);
	for (int i = 0; i < f->ndims; i++) symbol_seen(&w, f->dims[i]);
	for (int i = 0; i < p->nsymbols; i++) symbol_seen(&w, p->symbols[i]);
	if (p->symbols) {
		symbols_of_values(&w, f->body->param, f->body->nparam);
		symbols_of_values(&w, f->body->result, f->body->nresult);
	} else symbols_of_block(&w, f->body);
	for (int i = 0; i < dim_fact_count(f->facts); i++) {
		bool equality;
		dim_symbols(dim_fact_at(f->facts, i, &equality), symbol_seen, &w);
	}
	for (int i = 0; i < w.found.n; i++) {
		put_range(p, f->facts, w.found.at[i]);
	}
	for (int i = 0; i < dim_fact_count(f->facts); i++) {
		bool equality;
		Dim d = dim_fact_at(f->facts, i, &equality);
		sb_put(p->out, "\n  fact ");
		dim_print(p->out, d);
		sb_put(p->out, equality ? " == 0" : " >= 0");
	}
}

static void put_text_line(Printer *p, const char *word, const char *text)
{
	if (!text) return;
	sb_printf(p->out, "\n  %s ", word);
	ir_put_string(p->out, text);
}

static void put_rule(Printer *p, const char *word, const Func *f)
{
	if (!f) return;
	sb_printf(p->out, "\n  %s ", word);
	ir_put_func_name(p->out, f->name);
}

static void put_export(Printer *p, const Func *f)
{
	sb_put(p->out, "\n  export");
	put_text_line(p, "doc", f->doc);
	for (int i = 0; i < f->body->nparam; i++) {
		sb_printf(p->out, "\n  param %d", i);
		if (f->param_path[i]) sb_putc(p->out, ' '), ir_put_string(p->out, f->param_path[i]);
		if (f->param_inout[i]) sb_put(p->out, " inout");
		if (f->param_doc[i]) sb_put(p->out, " doc "), ir_put_string(p->out, f->param_doc[i]);
	}
	for (int i = 0; i < f->body->nresult; i++) {
		sb_printf(p->out, "\n  result %d", i);
		if (f->result_path[i]) sb_putc(p->out, ' '), ir_put_string(p->out, f->result_path[i]);
		if (f->result_alias[i] >= 0) sb_printf(p->out, " alias %d", f->result_alias[i]);
	}
	for (int i = 0; i < f->nstructs; i++) {
		put_text_line(p, "struct", f->structs[i].path);
		sb_putc(p->out, ' ');
		ir_put_string(p->out, f->structs[i].name);
	}
}

static void put_header(Printer *p, const Func *f)
{
	size_t start = p->out->n;
	if (f->exported) put_export(p, f);
	else put_text_line(p, "doc", f->doc);
	if (f->ndims) sb_put(p->out, "\n  dims");
	for (int i = 0; i < f->ndims; i++) sb_printf(p->out, "%s%s", i ? ", " : " ", f->dims[i]);
	if (f->is_test) put_text_line(p, "test", f->test_title ? f->test_title : "");
	put_text_line(p, "composite", f->composite);
	if (f->remat) sb_put(p->out, "\n  remat");
	if (f->noinline_cse) sb_put(p->out, "\n  noinline_cse");
	if (!p->symbols) {
		put_rule(p, "jvp", f->rule_jvp);
		put_rule(p, "vjp_fwd", f->rule_vjp_fwd);
		put_rule(p, "vjp_bwd", f->rule_vjp_bwd);
		put_rule(p, "vmap", f->rule_vmap);
	}
	put_facts(p, f);
	if (f->loc.file && !p->o.no_loc) sb_put(p->out, "\n  ");
	put_loc(p, f->loc);
	sb_putc(p->out, p->out->n > start ? '\n' : ' ');
}

static void put_head(Printer *p, const Func *f)
{
	sb_put(p->out, "func ");
	ir_put_func_name(p->out, f->name);
	put_params(p, f->body);
	sb_put(p->out, " -> (");
	put_types_of(p, f->body->result, f->body->nresult);
	sb_putc(p->out, ')');
	put_header(p, f);
	sb_put(p->out, "{\n");
}

void ir_print_head(StrBuf *out, const Func *f, const char *const *symbols, int n, PrintOptions o)
{
	Printer p = {.out = out, .o = o, .symbols = symbols, .nsymbols = n};
	printer_init(&p, f);
	put_head(&p, f);
	arena_free(p.scratch);
}

void ir_print_func(StrBuf *out, const Func *f, PrintOptions o)
{
	Printer p = {.out = out, .o = o};
	printer_init(&p, f);
	put_head(&p, f);
	put_block(&p, f->body, 1);
	sb_put(out, "}\n");
	arena_free(p.scratch);
}

void ir_print_module_line(StrBuf *out, const Module *m, const char *stage, const char *after)
{
	sb_put(out, "module ");
	ir_put_string(out, m->name);
	sb_put(out, " stage ");
	ir_put_string(out, stage);
	if (after) sb_printf(out, " after %s", after);
	if (m->fast_math) sb_put(out, " fast_math");
	sb_putc(out, '\n');
}

void ir_print_module(StrBuf *out, const Module *m, PrintOptions o)
{
	ir_print_module_line(out, m, m->stage, NULL);
	for (int i = 0; i < m->funcs.n; i++) {
		sb_putc(out, '\n');
		ir_print_func(out, m->funcs.at[i], o);
	}
}
