/* Reads IR text, as print.c writes it or a person does: recursive descent over characters, one function per production.
 *
 *   module  = ["module" string ["stage" string] ["after" name] ["fast_math"]] { func }
 *   func    = "func" @name params "->" "(" types ")" { header } "{" { op } "return" [values] "}"
 *   header  = "export" | "doc" string | "dims" names | "test" string | "composite" string | "remat" | "noinline_cse" | "struct" string
 * string | "param" int [string] ["inout"] ["doc" string] | "result" int [string] ["alias" int] | ("jvp" | "vjp_fwd" | "vjp_bwd" | "vmap")
 * @name | "fact" (name "in" int ".." [int] ["step" int] | dim (">=" | "==") "0") | loc op      = [values "="] name [values] ["{" attr {","
 * attr} "}"] [":" types] [loc] ["tag" string] { ("do"|"while"|"then"|"else") region } region  = params "{" { op } "yield" [values] "}"
 *   params  = "(" [ %name ":" type {"," %name ":" type} ] ")"
 *   attr    = name "=" value          by the attribute's kind: 1, true, [1,2], 2*B+1, [B,64], f32, "text", @f, f32[2](1, -0)
 *
 * # begins a comment. Functions may be used before they are defined. After an error the reader goes on with the next function.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "optable.h"
#include "read.h"
#include "verify.h"

typedef VEC(Value *) Values;
typedef VEC(const Type *) Types;

/* --- values ------------------------------------------------------------------------------------------------------------ */
/* %name or %12; the name is interned, numbers too. */
static bool read_value_name(Reader *r, const char **out)
{
	if (!read_expect(r, '%', "before a value's name")) return false;
	const char *at = r->p;
	bool number = isdigit((unsigned char)*at);
	while (r->p < r->end && (number ? isdigit((unsigned char)*r->p) != 0 : ir_name_char(*r->p))) r->p++;
	if (r->p == at || *at == '.') return read_fail(r, at, "a name or a number expected after `%%`");
	*out = intern_str(&r->m->strings, at, (size_t)(r->p - at));
	return true;
}

static bool define(Reader *r, const char *at, const char *name, Value *v)
{
	Value *before = map_get(&r->scope, name);
	if (before) return read_fail(r, at, "%%%s is defined twice", name);
	if (!isdigit((unsigned char)*name)) v->name = name;
	VEC_PUSH(r->arena, r->undo, ((Undo){name, before}));
	map_set(&r->scope, name, v);
	return true;
}

static void leave_scope(Reader *r, int mark)
{
	while (r->undo.n > mark) {
		Undo u = r->undo.at[--r->undo.n];
		map_set(&r->scope, u.name, u.before);
	}
}

static bool unknown_value(Reader *r, const char *at, const char *name)
{
	const char **known = NEW_ARRAY(r->arena, const char *, r->undo.n);
	for (int i = 0; i < r->undo.n; i++) known[i] = r->undo.at[i].name;
	read_fail(r, at, "%%%s is not defined here", name);
	const char *near = isdigit((unsigned char)*name) ? NULL : diag_suggest(name, known, r->undo.n);
	if (near) diag_help(r->diag, "did you mean `%%%s`?", near);
	return false;
}

static bool read_values(Reader *r, Values *out)
{
	if (!read_peek(r, '%')) return true;
	do {
		const char *name, *at = (read_space(r), r->p);
		if (!read_value_name(r, &name)) return false;
		Value *v = map_get(&r->scope, name);
		if (!v) return unknown_value(r, at, name);
		VEC_PUSH(r->arena, *out, v);
	} while (read_accept(r, ','));
	return true;
}

static bool read_types(Reader *r, Types *out)
{
	do {
		const Type *t;
		if (!read_type(r, &t)) return false;
		VEC_PUSH(r->arena, *out, t);
	} while (read_accept(r, ','));
	return true;
}

/* --- attributes ---------------------------------------------------------------------------------------------------------- */
static bool read_int_list(Reader *r, Attr *a)
{
	VEC(int64_t) x = {0};
	if (!read_expect(r, '[', "before a list")) return false;
	while (!read_accept(r, ']')) {
		int64_t n;
		if (x.n && !read_expect(r, ',', "between list items")) return false;
		if (!read_int(r, &n)) return false;
		VEC_PUSH(r->arena, x, n);
	}
	a->v.ints = x.at;
	a->n = x.n;
	return true;
}

static bool read_dim_list(Reader *r, Attr *a)
{
	VEC(Dim) x = {0};
	if (!read_expect(r, '[', "before a list")) return false;
	while (!read_accept(r, ']')) {
		Dim d;
		if (x.n && !read_expect(r, ',', "between list items")) return false;
		if (!read_dim(r, &d)) return false;
		VEC_PUSH(r->arena, x, d);
	}
	a->v.dims = x.at;
	a->n = x.n;
	return true;
}

static bool read_bool(Reader *r, Attr *a)
{
	a->v.i = read_word(r, "true");
	return a->v.i || read_word(r, "false") || read_fail(r, r->p, "true or false expected");
}

static bool read_func_ref(Reader *r, Func **out)
{
	const char *at = (read_space(r), r->p), *name;
	if (!read_func_name(r, &name)) return false;
	*out = func_find(r->m, name);
	return *out || read_fail(r, at, "there is no function @%s", name);
}

static bool read_attr_value(Reader *r, Attr *a)
{
	switch (attr_kind(a->key)) {
	case AK_INT: return read_int(r, &a->v.i);
	case AK_BOOL: return read_bool(r, a);
	case AK_INTS: return read_int_list(r, a);
	case AK_DIM: return read_dim(r, &a->v.dim);
	case AK_DIMS: return read_dim_list(r, a);
	case AK_DTYPE: return read_dtype(r, &a->v.dtype);
	case AK_STR: return read_string(r, &a->v.str);
	case AK_FUNC: return read_func_ref(r, &a->v.func);
	case AK_TENSOR: return read_tensor(r, &a->v.tensor);
	}
	return false;
}

static bool op_has_attr(OpCode c, AttrKey k)
{
	const OpRow *row = op_row(c);
	for (int i = 0; i < row->nattr; i++)
		if (row->attr[i] == k) return true;
	return false;
}

/* Into attrs[8]. */
static bool read_attrs(Reader *r, OpCode c, Attr *attrs, int *n)
{
	*n = 0;
	while (!read_accept(r, '}')) {
		if (*n && !read_expect(r, ',', "between attributes")) return false;
		const char *at = (read_space(r), r->p), *name = read_ident(r);
		Attr a = {0};
		if (!name || !attr_find(name, &a.key) || !op_has_attr(c, a.key))
			return read_fail(r, at, "`%s` has no attribute `%s`", op_row(c)->name, name ? name : "");
		for (int i = 0; i < *n; i++)
			if (attrs[i].key == a.key) return read_fail(r, at, "the attribute `%s` stands twice", name);
		if (!read_expect(r, '=', "after the attribute's name") || !read_attr_value(r, &a)) return false;
		attrs[(*n)++] = a;
	}
	return true;
}

static bool attrs_complete(Reader *r, const char *at, OpCode c, const Attr *attrs, int n)
{
	const OpRow *row = op_row(c);
	for (int k = 0; k < row->nattr; k++) {
		bool there = row->optional[k];
		for (int i = 0; i < n; i++) there |= attrs[i].key == row->attr[k];
		if (!there) return read_fail(r, at, "`%s` needs the attribute `%s`", row->name, attr_name(row->attr[k]));
	}
	return true;
}

/* --- ops and regions ------------------------------------------------------------------------------------------------------ */
static bool read_ops(Reader *r, Builder *b);

static bool read_params(Reader *r, Builder *b, Block *blk)
{
	if (!read_expect(r, '(', "before the parameters")) return false;
	while (!read_accept(r, ')')) {
		const char *name, *at;
		const Type *t;
		if (blk->nparam && !read_expect(r, ',', "between parameters")) return false;
		at = (read_space(r), r->p);
		if (!read_value_name(r, &name) || !read_expect(r, ':', "after a parameter's name") || !read_type(r, &t)) return false;
		if (!define(r, at, name, block_param(b, blk, t, NULL))) return false;
	}
	return true;
}

static bool region_kind(Reader *r, BlockKind *kind)
{
	if (read_word(r, "do")) return *kind = BLOCK_LOOP, true;
	if (read_word(r, "while")) return *kind = BLOCK_WHILE, true;
	if (read_word(r, "then") || read_word(r, "else")) return *kind = BLOCK_COND, true;
	return false;
}

static bool read_end_of_block(Reader *r, Builder *b, const char *word)
{
	Values v = {0};
	const char *at = (read_space(r), r->p);
	if (!read_word(r, word)) return read_fail(r, at, "an op or `%s` expected", word);
	if (!read_values(r, &v)) return false;
	block_set_results(b, b->block, v.at, v.n);
	return read_expect(r, '}', "at the end of the block");
}

static bool read_region(Reader *r, Builder *b, BlockKind kind, Block **out)
{
	const char *at = r->p;
	if (r->depth >= READ_MAX_DEPTH) return read_fail(r, at, "regions nest deeper than %d", READ_MAX_DEPTH);
	int mark = r->undo.n;
	Builder in = *b;
	in.block = *out = block_new(b, kind, b->block);
	r->depth++;
	bool ok = read_params(r, b, in.block) && read_expect(r, '{', "before the region's ops") && read_ops(r, &in) &&
	          read_end_of_block(r, &in, "yield");
	r->depth--;
	leave_scope(r, mark);
	return ok;
}

typedef struct OpText {
	VEC(const char *) names;
	OpCode code;
	Values in;
	Attr attrs[8];
	int nattr;
	Types types;
	Block *region[2];
	int nregion;
	Loc loc;
	const char *tag;
} OpText;

static bool read_result_names(Reader *r, OpText *t)
{
	if (!read_peek(r, '%')) return true;
	do {
		const char *name;
		if (!read_value_name(r, &name)) return false;
		VEC_PUSH(r->arena, t->names, name);
	} while (read_accept(r, ','));
	return read_expect(r, '=', "after the results");
}

static bool read_op_name(Reader *r, OpCode *out)
{
	const char *at = (read_space(r), r->p), *name = read_ident(r);
	if (name && op_find(name, out)) return true;
	const char *known[OP_COUNT];
	for (int c = 0; c < OP_COUNT; c++) known[c] = op_row((OpCode)c)->name;
	if (!name) return read_fail(r, at, "the name of an op expected");
	const char *near = diag_suggest(name, known, OP_COUNT);
	read_fail(r, at, "unknown op `%s`", name);
	if (near) diag_help(r->diag, "did you mean `%s`?", near);
	return false;
}

static bool read_op_text(Reader *r, Builder *b, OpText *t)
{
	if (!read_result_names(r, t)) return false;
	const char *at = (read_space(r), r->p);
	if (!read_op_name(r, &t->code) || !read_values(r, &t->in)) return false;
	if (read_accept(r, '{') && !read_attrs(r, t->code, t->attrs, &t->nattr)) return false;
	if (!attrs_complete(r, at, t->code, t->attrs, t->nattr)) return false;
	if (read_accept(r, ':') && !read_types(r, &t->types)) return false;
	if (read_word(r, "loc") && !read_loc(r, &t->loc)) return false;
	if (read_word(r, "tag") && !read_string(r, &t->tag)) return false;
	BlockKind kind;
	for (at = (read_space(r), r->p); region_kind(r, &kind); at = (read_space(r), r->p)) {
		if (t->nregion == 2) return read_fail(r, at, "an op has at most two regions");
		if (!read_region(r, b, kind, &t->region[t->nregion++])) return false;
	}
	return true;
}

/* Types that a person left out follow from the operands; a callee may not have been read yet. */
static void infer_types(Reader *r, const Builder *b, OpText *t)
{
	Attr room[8];
	const char *why;
	const Type *few[8], **type = t->nregion ? NEW_ARRAY(r->arena, const Type *, t->region[0]->nresult + 1) : few;
	int n = attrs_in_row_order(r->m, t->code, t->attrs, t->nattr, room, &why), nout = 0;
	if (n < 0 || t->code == OP_call || t->names.n > 8) return;
	OpView v = {.code = t->code, .nin = t->in.n, .nattr = n, .in = t->in.at, .attrs = room};
	const OpRow *row = op_row(t->code);
	if (row->nin >= 0 && row->nin != t->in.n) return;
	if (t->nregion) nout = region_result_types(r->m, t->code, room, n, t->region, type);
	else if (!row->infer || !row->infer(r->m, b->facts, &v, type, &nout, &why)) return;
	for (int i = 0; i < nout; i++) VEC_PUSH(r->arena, t->types, type[i]);
}

static bool read_op(Reader *r, Builder *b)
{
	OpText t = {0};
	const char *at = (read_space(r), r->p), *why;
	if (!read_op_text(r, b, &t)) return false;
	if (t.types.n == 0 && t.names.n > 0) infer_types(r, b, &t);
	if (t.names.n != t.types.n) return read_fail(r, at, "%d results are named, %d have a type", t.names.n, t.types.n);
	b->loc = t.loc;
	b->tag = t.tag;
	Op *op = ir_raw(b, t.code, t.in.at, t.in.n, t.attrs, t.nattr, t.types.at, t.types.n, t.region, t.nregion);
	if (t.code != OP_call && !op_check(op, &why)) return read_fail(r, at, "%s", why);
	for (int i = 0; i < op->nout; i++)
		if (!define(r, at, t.names.at[i], op->out[i])) return false;
	return true;
}

static bool read_ops(Reader *r, Builder *b)
{
	while (!read_next_is(r, "return") && !read_next_is(r, "yield") && !read_peek(r, '}') && r->p < r->end)
		if (!read_op(r, b)) return false;
	return true;
}

/* --- function headers ------------------------------------------------------------------------------------------------------ */
static bool read_index(Reader *r, int n, int *out)
{
	const char *at = (read_space(r), r->p);
	int64_t x;
	if (!read_int(r, &x)) return false;
	*out = (int)x;
	return (x >= 0 && x < n) || read_fail(r, at, "index out of range: %lld of %d", (long long)x, n);
}

static bool read_param_line(Reader *r, Func *f)
{
	int k;
	if (!f->exported) return read_fail(r, r->p, "`param` stands after `export`");
	if (!read_index(r, f->body->nparam, &k)) return false;
	if (read_peek(r, '"') && !read_string(r, &f->param_path[k])) return false;
	f->param_inout[k] = read_word(r, "inout");
	return !read_word(r, "doc") || read_string(r, &f->param_doc[k]);
}

static bool read_result_line(Reader *r, Func *f, int nresult)
{
	int k;
	if (!f->exported) return read_fail(r, r->p, "`result` stands after `export`");
	if (!read_index(r, nresult, &k)) return false;
	if (read_peek(r, '"') && !read_string(r, &f->result_path[k])) return false;
	return !read_word(r, "alias") || read_index(r, f->body->nparam, &f->result_alias[k]);
}

static bool read_struct_line(Reader *r, Func *f)
{
	StructName *s = NEW_ARRAY(r->arena, StructName, f->nstructs + 1);
	if (f->nstructs) memcpy(s, f->structs, sizeof *s * (size_t)f->nstructs);
	f->structs = s;
	return read_string(r, &s[f->nstructs].path) && read_string(r, &s[f->nstructs++].name);
}

static bool read_dims_line(Reader *r, Func *f)
{
	VEC(const char *) d = {0};
	do {
		const char *name = read_ident(r);
		if (!name) return read_fail(r, r->p, "the name of a dimension expected");
		VEC_PUSH(r->arena, d, name);
	} while (read_accept(r, ','));
	f->dims = d.at;
	f->ndims = d.n;
	return true;
}

/* {1, 8, 64} */
static bool read_dim_values(Reader *r, DimFacts *f, const char *sym, bool only)
{
	VEC(int64_t) v = {0};
	const char *at = r->p;
	int64_t n;
	do {
		if (!read_int(r, &n)) return false;
		if (n < 0 || (v.n && n <= v.at[v.n - 1])) return read_fail(r, at, "values of a dimension ascend");
		VEC_PUSH(r->arena, v, n);
	} while (read_accept(r, ','));
	if (!read_expect(r, '}', "behind the values of a dimension")) return false;
	dim_fact_values(f, sym, v.at, v.n, only);
	return true;
}

/* fact B in 1..64 step 8 with {8, 16}; fact B in {1, 8} */
static bool read_range(Reader *r, DimFacts *f, const char *sym)
{
	int64_t lo, hi = INT64_MAX, step = 1;
	const char *at = r->p;
	if (read_accept(r, '{')) return read_dim_values(r, f, sym, true);
	if (!read_int(r, &lo) || !read_expect(r, '.', "in a range") || !read_expect(r, '.', "in a range")) return false;
	if ((read_peek(r, '-') || isdigit((unsigned char)*r->p)) && !read_int(r, &hi)) return false;
	if (read_word(r, "step") && !read_int(r, &step)) return false;
	if (step < 1 || hi < lo) return read_fail(r, at, "the range is empty or its step is below 1");
	dim_fact_range(f, sym, lo, hi, step);
	return !read_word(r, "with") || (read_expect(r, '{', "before the values of a dimension") && read_dim_values(r, f, sym, false));
}

static bool read_fact(Reader *r, DimFacts *f)
{
	const char *at = (read_space(r), r->p), *sym = read_ident(r);
	if (sym && read_word(r, "in")) return read_range(r, f, sym);
	r->p = at;
	Dim d;
	int64_t zero;
	if (!read_dim(r, &d)) return false;
	read_space(r);
	bool equality = strncmp(r->p, "==", 2) == 0;
	if (!equality && strncmp(r->p, ">=", 2) != 0) return read_fail(r, r->p, "`in`, `>= 0` or `== 0` expected");
	r->p += 2;
	if (!read_int(r, &zero)) return false;
	if (zero != 0) return read_fail(r, r->p - 1, "0 expected");
	if (equality) dim_fact_equal(f, d, dim_int(r->m->dims, 0));
	else dim_fact_nonneg(f, d);
	return true;
}

static void export_with(Reader *r, Func *f, int nresult)
{
	Value **before = f->body->result;
	int n = f->body->nresult;
	f->body->nresult = nresult;
	func_export(f);
	f->body->nresult = n;
	f->body->result = before;
	(void)r;
}

static bool read_header_line(Reader *r, Func *f, int nresult)
{
	const char *at = (read_space(r), r->p), *word = read_ident(r);
	if (!word) return read_fail(r, at, "a line of the function's header or `{` expected");
#define LINE(w) (strcmp(word, w) == 0)
	if (LINE("export")) return export_with(r, f, nresult), true;
	if (LINE("doc")) return read_string(r, &f->doc);
	if (LINE("param")) return read_param_line(r, f);
	if (LINE("result")) return read_result_line(r, f, nresult);
	if (LINE("struct")) return read_struct_line(r, f);
	if (LINE("dims")) return read_dims_line(r, f);
	if (LINE("test")) return f->is_test = true, read_string(r, &f->test_title);
	if (LINE("composite")) return read_string(r, &f->composite);
	if (LINE("remat")) return f->remat = true;
	if (LINE("noinline_cse")) return f->noinline_cse = true;
	if (LINE("jvp")) return read_func_ref(r, &f->rule_jvp);
	if (LINE("vjp_fwd")) return read_func_ref(r, &f->rule_vjp_fwd);
	if (LINE("vjp_bwd")) return read_func_ref(r, &f->rule_vjp_bwd);
	if (LINE("vmap")) return read_func_ref(r, &f->rule_vmap);
	if (LINE("fact")) return read_fact(r, (DimFacts *)f->facts);
	if (LINE("loc")) return read_loc(r, &f->loc);
#undef LINE
	return read_fail(r, at, "unknown line `%s` in the function's header", word);
}

static bool results_fit(Reader *r, const char *at, Func *f, const Types *declared)
{
	if (f->body->nresult != declared->n)
		return read_fail(r, at, "@%s declares %d results and returns %d", f->name, declared->n, f->body->nresult);
	for (int i = 0; i < declared->n; i++)
		if (f->body->result[i]->type != declared->at[i])
			return read_fail(r, at, "result %d of @%s is declared %s and is %s", i, f->name, type_str(r->arena, declared->at[i]),
			                 type_str(r->arena, f->body->result[i]->type));
	return true;
}

/* After `func`. The Func exists: names are collected first. */
static bool read_func(Reader *r)
{
	const char *at = (read_space(r), r->p), *name;
	Types results = {0};
	if (!read_func_name(r, &name)) return false;
	Func *f = func_find(r->m, name);
	if (!f || f->body->nparam || f->body->first) return read_fail(r, at, "@%s is defined twice", name);
	Builder b = builder_at(f);
	b.no_fold = true;
	if (!read_params(r, &b, f->body)) return false;
	read_space(r);
	if (strncmp(r->p, "->", 2) != 0) return read_fail(r, r->p, "`->` expected after the parameters");
	r->p += 2;
	if (!read_expect(r, '(', "before the result types") || (!read_peek(r, ')') && !read_types(r, &results)) ||
	    !read_expect(r, ')', "after the result types"))
		return false;
	while (!read_accept(r, '{'))
		if (!read_header_line(r, f, results.n)) return false;
	if (r->body) return r->body(r, f, results.at, results.n);
	return read_ops(r, &b) && read_end_of_block(r, &b, "return") && results_fit(r, at, f, &results);
}

/* --- modules ------------------------------------------------------------------------------------------------------------------ */
/* Moves to the next `func` followed by a name, outside texts and comments. */
static bool next_func(Reader *r)
{
	while (read_space(r), r->p < r->end) {
		const char *at = r->p;
		if (*r->p == '"') {
			for (r->p++; r->p < r->end && *r->p != '"' && *r->p != '\n'; r->p++)
				if (*r->p == '\\' && r->p + 1 < r->end) r->p++;
			if (r->p < r->end) r->p++;
		} else if (read_word(r, "func") && read_peek(r, '@')) {
			r->p = at;
			return true;
		} else if (r->p == at) {
			bool word = ir_name_char(*r->p);
			r->p++;
			while (word && r->p < r->end && ir_name_char(*r->p)) r->p++;
		}
	}
	return false;
}

static bool collect_funcs(Reader *r)
{
	const char *begin = r->p;
	while (next_func(r)) {
		const char *at = r->p, *name;
		read_word(r, "func");
		if (!read_func_name(r, &name)) return false;
		if (func_find(r->m, name)) return read_fail(r, at, "@%s is defined twice", name);
		func_new(r->m, name);
	}
	r->p = begin;
	return true;
}

static bool read_module_line(Reader *r)
{
	if (!read_word(r, "module")) return true;
	if (!read_string(r, &r->m->name)) return false;
	if (read_word(r, "stage") && !read_string(r, &r->m->stage)) return false;
	if (read_word(r, "after") && !(r->m->after = read_ident(r))) return read_fail(r, r->p, "the name of a pass expected after `after`");
	r->m->fast_math = read_word(r, "fast_math");
	return true;
}

void read_module(Reader *r)
{
	if (!read_all_locs(r) || !collect_funcs(r) || !read_module_line(r)) return;
	for (;;) {
		read_space(r);
		if (r->p >= r->end) return;
		const char *at = r->p;
		map_init(&r->scope, r->arena);
		r->undo.n = 0;
		r->depth = 0;
		bool ok = read_word(r, "func") ? read_func(r) : read_fail(r, at, "`func` expected");
		if (ok) continue;
		r->failed = false;
		if (!next_func(r)) return;
	}
}

void reader_init(Reader *r, Arena *a, Diag *d, uint32_t file)
{
	size_t n;
	const char *text = diag_file_text(d, file, &n);
	*r = (Reader){.arena = a, .diag = d, .file = file, .m = module_new(a, d, "")};
	r->text = r->p = arena_strndup(a, text, n);
	r->end = r->text + n;
}

const char *ir_read_stage(Arena *a, Diag *d, uint32_t file)
{
	Reader r;
	Diag *silent = diag_new(a, NULL);
	size_t n;
	const char *text = diag_file_text(d, file, &n);
	reader_init(&r, a, silent, diag_add_file(silent, "", text, n));
	return read_module_line(&r) ? r.m->stage : "tensor";
}

Module *ir_read(Arena *a, Diag *d, uint32_t file)
{
	Reader r;
	reader_init(&r, a, d, file);
	read_module(&r);
	return r.errors ? NULL : r.m;
}
