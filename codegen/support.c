/* What emitted programs need of kernels/: the definitions that their text reaches, in the order of the files: mx_ functions and types and
 * MX_ macros. */
#include <ctype.h>
#include <string.h>
#include "../ir/elem_text.h"
#include "emit.h"
#include "prune.h"

extern const struct {
	const char *name, *text;
	size_t n;
} kernel_sources[];

const char *kernel_source(const char *name)
{
	for (int i = 0; kernel_sources[i].name; i++)
		if (!strcmp(kernel_sources[i].name, name)) return kernel_sources[i].text;
	return "";
}

/* How the text of a definition becomes C: as it stands, or a function of maths.h for scalars or for lanes. */
typedef enum Form { FORM_PLAIN, FORM_SCALAR, FORM_LANES } Form;

typedef struct Definition {
	const char *name, *text, *needs;
	size_t nname, ntext, nneeds;
	Form form;
	bool used;
} Definition;
typedef struct Definitions {
	Definition *at;
	int n, cap;
} Definitions;

static Definition *find(Definitions *d, const char *s, size_t n)
{
	for (int i = 0; i < d->n; i++)
		if (d->at[i].nname == n && !memcmp(d->at[i].name, s, n)) return &d->at[i];
	return NULL;
}

/* "@def NAME needs A B" opens a definition, which goes up to the comment that opens the next one, or to the end. */
static void parse_definitions(Arena *a, Definitions *d, const char *source, Form form)
{
	const char *s = strstr(kernel_source(source), "_H\n"); /* behind the include guard: the head explains the marker */
	while (s && (s = strstr(s, "\n/* @"))) {
		s++;
		const char *line = s + 4, *close = strstr(line, "*/"), *next = strstr(line, "/* @");
		if (strncmp(line, "def ", 4)) break;
		const char *name = line + 4, *end = name;
		while (isalnum((unsigned char)*end) || *end == '_') end++;
		Definition x = {.name = name, .nname = (size_t)(end - name), .text = close + 3, .needs = end, .nneeds = (size_t)(close - end)};
		x.ntext = next ? (size_t)(next - x.text) : strlen(x.text);
		x.form = form;
		const char *section = strstr(x.text, "/* ----"); /* a heading before the next definition is not part of this one */
		if (section && section < x.text + x.ntext) x.ntext = (size_t)(section - x.text);
		VEC_PUSH(a, *d, x);
		s = x.text;
	}
}

/* The files in the order in which they need each other; behind maths.h mx_NAME_vf of each mx_NAME_f32 that has none. */
static Definitions all_definitions(Arena *a)
{
	static const char *const basis[] = {"support", "complex", "vector", "lanes", "fold"};
	static const char *const others[] = {"threads", "profile", "attention", "quantized", "fft", "conv"};
	Definitions d = {0};
	for (size_t i = 0; i < sizeof basis / sizeof *basis; i++) parse_definitions(a, &d, basis[i], FORM_PLAIN);
	int first = d.n;
	parse_definitions(a, &d, "maths", FORM_SCALAR);
	for (int i = first, n = d.n; i < n; i++) {
		Definition x = d.at[i];
		if (x.nname < 4 || memcmp(x.name + x.nname - 4, "_f32", 4)) continue;
		x.name = arena_printf(a, "%.*s_vf", (int)x.nname - 4, x.name);
		x.nname--;
		x.form = FORM_LANES;
		if (!find(&d, x.name, x.nname)) VEC_PUSH(a, d, x);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) parse_definitions(a, &d, others[i], FORM_PLAIN);
	return d;
}

/* --- the two forms of a function of maths.h ------------------------------------------------------------------------------------------- */
static size_t word_length(const char *s)
{
	size_t k = 0;
	while (isalnum((unsigned char)s[k]) || s[k] == '_') k++;
	return k;
}

static bool word_is(const char *s, size_t n, const char *w)
{
	return strlen(w) == n && !memcmp(s, w, n);
}

/* The end of the argument at s: a comma or closing parenthesis at its own depth. */
static size_t argument_length(const char *s)
{
	size_t n = 0;
	for (int depth = 0; depth || (s[n] != ',' && s[n] != ')'); n++) depth += (s[n] == '(') - (s[n] == ')');
	return n;
}

static void put_form(StrBuf *out, const char *s, size_t n, Form form);

/* MX_SEL, MX_K, MX_ANY, MX_NOT with its arguments from s on; returns the length with the closing parenthesis, 0 where it is none of them.
 */
static size_t put_macro(StrBuf *out, const char *s, Form form)
{
	static const struct {
		const char *name, *lanes, *scalar[3]; /* scalar: what stands before each argument */
		bool wrap;                            /* scalar: the argument in parentheses unless it is a word, not only where it has | or & */
	} macros[] = {{"MX_SEL", "mx_sel", {"", " ? ", " : "}, false},
	              {"MX_K", "mx_bc_f32", {""}, false},
	              {"MX_ANY", "mx_any", {""}, false},
	              {"MX_NOT", "mx_not", {"!"}, true}};
	size_t k = word_length(s), at = k + 1;
	for (size_t m = 0; m < sizeof macros / sizeof *macros; m++) {
		if (!word_is(s, k, macros[m].name)) continue;
		if (form == FORM_LANES) sb_put(out, macros[m].lanes);
		bool bare = form == FORM_SCALAR && !macros[m].scalar[1];
		if (!bare) sb_putc(out, '(');
		for (int i = 0;; i++, at++) {
			while (s[at] == ' ' || s[at] == '\n' || s[at] == '\t') at++;
			size_t len = argument_length(s + at);
			bool wrap = form == FORM_SCALAR && (macros[m].wrap ? word_length(s + at) != len
			                                                   : !bare && !i && (memchr(s + at, '|', len) || memchr(s + at, '&', len)));
			sb_put(out, form == FORM_SCALAR ? macros[m].scalar[i] : i ? ", " : "");
			if (wrap) sb_putc(out, '(');
			put_form(out, s + at, len, form);
			if (wrap) sb_putc(out, ')');
			at += len;
			if (s[at] == ')') break;
		}
		if (!bare) sb_putc(out, ')');
		return at + 1;
	}
	return 0;
}

static void put_form(StrBuf *out, const char *s, size_t n, Form form)
{
	static const char *const lanes[][2] = {{"float", "mx_vf"},
	                                       {"int32_t", "mx_vi"},
	                                       {"uint32_t", "mx_vu"},
	                                       {"sqrtf", "mx_sqrt_vf"},
	                                       {"fabsf", "mx_fabs_vf"},
	                                       {"copysignf", "mx_copysign_vf"},
	                                       {"static inline", "MX_INLINE"},
	                                       {"mx_f32_from_i32", "mx_vf_from_vi"},
	                                       {"mx_trunc_i32", "mx_trunc_vi"}};
	for (size_t i = 0; i < n;) {
		size_t k = word_length(s + i), r = 0;
		if (!k) {
			sb_putc(out, s[i++]);
			continue;
		}
		size_t macro = put_macro(out, s + i, form);
		if (macro) {
			i += macro;
			continue;
		}
		if (form == FORM_LANES && word_is(s + i, k, "static")) k = strlen("static inline");
		while (r < sizeof lanes / sizeof *lanes && !word_is(s + i, k, lanes[r][0])) r++;
		bool twin = k > 7 && !memcmp(s + i, "mx_", 3) && !memcmp(s + i + k - 4, "_f32", 4);
		if (form == FORM_LANES && r < sizeof lanes / sizeof *lanes) sb_put(out, lanes[r][1]);
		else if (form == FORM_LANES && twin) sb_putn(out, s + i, k - 4), sb_put(out, "_vf");
		else sb_putn(out, s + i, k);
		i += k;
	}
}

/* --- what is reached --------------------------------------------------------------------------------------------------------------------
 */
static void mark(Arena *a, Definitions *d, const Target *t, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = word_length(s + i);
		bool ours = k > 3 && (!memcmp(s + i, "mx_", 3) || !memcmp(s + i, "MX_", 3));
		Definition *x = ours ? find(d, s + i, k) : NULL;
		if (x && !x->used) {
			x->used = true;
			if (x->form != FORM_PLAIN) {
				StrBuf b;
				sb_init(&b, a);
				put_form(&b, x->text, x->ntext, x->form);
				x->text = sb_text(&b);
				x->ntext = b.n;
			}
			if (t && t->lanes) {
				x->text = prune_text(a, t, arena_strndup(a, x->text, x->ntext));
				x->ntext = strlen(x->text);
			}
			mark(a, d, t, x->needs, x->nneeds);
			mark(a, d, t, x->text, x->ntext);
		}
		i += k ? k : 1;
	}
}

bool codegen_has_definition(Arena *a, const char *name)
{
	ArenaMark m = arena_mark(a);
	Definitions d = all_definitions(a);
	bool yes = find(&d, name, strlen(name)) != NULL;
	arena_reset(a, m);
	return yes;
}

void codegen_support(StrBuf *out, Arena *a, const Target *t, const char *text, bool with_header_types)
{
	Definitions d = all_definitions(a);
	mark(a, &d, t, text, strlen(text));
	for (int i = 0; i < d.n; i++) {
		if (!d.at[i].used) continue;
		size_t n = d.at[i].ntext;
		while (n && isspace((unsigned char)d.at[i].text[n - 1])) n--;
		const char *s = d.at[i].text;
		while (n && isspace((unsigned char)*s)) s++, n--;
		bool in_header = d.at[i].nname == 6 && !memcmp(d.at[i].name, "mx_c64", 6); /* the user's code includes it too */
		if (in_header && !with_header_types) continue;
		sb_putn(out, s, n);
		sb_put(out, "\n\n");
	}
}

static void replace(StrBuf *out, const char *s, size_t n, const char *const (*pairs)[2], int npairs)
{
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		while (i + k < n && (isalnum((unsigned char)s[i + k]) || s[i + k] == '_')) k++;
		int p = 0;
		while (k && p < npairs && (strlen(pairs[p][0]) != k || memcmp(pairs[p][0], s + i, k))) p++;
		if (k && p < npairs) sb_put(out, pairs[p][1]);
		else sb_putn(out, s + i, k ? k : 1);
		i += k ? k : 1;
	}
}

/* The function, or cast, that makes an unsigned integer of the same order. */
static const char *sort_key(Emit *e, DType c)
{
	if (dtype_is_float(c)) return arena_printf(e->a, "mx_key_%s", dtype_name(c));
	if (!dtype_is_signed(c)) return dtype_bytes(c) > 4 ? "(uint64_t)" : "(uint32_t)";
	return dtype_bytes(c) > 4 ? "mx_key_i64" : "mx_key_i32";
}

static const char *template_text(Emit *e, const char *kernel)
{
	static const char *const source[] = {"templates", "linalg"};
	const char *mark = arena_printf(e->a, "/* @template %s ", kernel), *text = NULL;
	for (size_t i = 0; !text && i < sizeof source / sizeof *source; i++) text = strstr(kernel_source(source[i]), mark);
	return strstr(text, "*/") + 3;
}

/* The names that kernels/linalg.h leaves open, for f32 or f64. Its templates call `update`. */
const char *emit_matrix_template(Emit *e, const char *kernel, DType d)
{
	const bool wide = d == DT_f64;
	const char *name = module_str(e->m, arena_printf(e->a, "%s_%s_%s", e->prefix, kernel, dtype_name(d))),
	           *upper = arena_strdup(e->a, kernel);
	for (int i = 0; i < e->tables.n; i++)
		if (e->tables.at[i] == name) return name;
	VEC_PUSH(e->a, e->tables, name);
	for (char *c = (char *)upper; *c; c++) *c = (char)toupper((unsigned char)*c);
	const char *text = template_text(e, kernel), *end = strstr(text, "/* @");
	const char *update = strcmp(kernel, "update") && text_mentions(arena_printf(e->a, "%.*s", (int)(end - text), text), "UPDATE")
	                         ? emit_matrix_template(e, "update", d)
	                         : "";
	const char *const pairs[][2] = {{upper, name},
	                                {"UPDATE", update},
	                                {"T", dtype_ctype(d)},
	                                {"V", wide ? "mx_vd" : "mx_vf"},
	                                {"LANES", wide ? "MX_WD" : "MX_W"},
	                                {"LD", wide ? "mx_ld_f64" : "mx_ld_f32"},
	                                {"ST", wide ? "mx_st_f64" : "mx_st_f32"},
	                                {"LDN", wide ? "mx_ldn_f64" : "mx_ldn_f32"},
	                                {"STN", wide ? "mx_stn_f64" : "mx_stn_f32"},
	                                {"BC", wide ? "mx_bc_f64" : "mx_bc_f32"},
	                                {"SQRT", wide ? "sqrt" : "sqrtf"},
	                                {"FABS", wide ? "fabs" : "fabsf"}};
	replace(e->constants, text, (size_t)(end - text), pairs, (int)(sizeof pairs / sizeof *pairs));
	return name;
}

/* LOAD and BEFORE of d as function-like text: small inline functions beside the template. */
const char *emit_template(Emit *e, const char *kernel, DType d)
{
	const char *name = module_str(e->m, arena_printf(e->a, "%s_%s_%s", e->prefix, kernel, dtype_name(d)));
	for (int i = 0; i < e->tables.n; i++)
		if (e->tables.at[i] == name) return name;
	VEC_PUSH(e->a, e->tables, name);
	bool merges = d == DT_c64, small = !strcmp(kernel, "sort_small"), pairs_of = !strcmp(kernel, "sort") || !strcmp(kernel, "topk");
	if (small) kernel = "sort";
	const char *merge = pairs_of || small || !strcmp(kernel, "radix_pairs") ? emit_template(e, "merge_pairs", d) : "";
	const char *sorter = pairs_of && !merges ? emit_template(e, "radix_pairs", d) : merge;
	const char *text = template_text(e, kernel), *end;
	end = strstr(text, "/* @");
	DType c = dtype_compute(d);
	bool half = c != d, order = strcmp(kernel, "random_bits") != 0;
	const char *before = arena_printf(e->a, "%s_before_%s", e->prefix, dtype_name(c)),
	           *load = half ? arena_printf(e->a, "mx_f32_from_%s", dtype_name(d)) : "";
	const char *known = module_str(e->m, before);
	bool have = false;
	for (int i = 0; i < e->tables.n; i++) have |= e->tables.at[i] == known;
	if (order && !have) {
		VEC_PUSH(e->a, e->tables, known);
		sb_printf(e->constants, "static inline bool %s(%s a, %s b)\n{\n\t", before, elem_ctype(d), elem_ctype(d));
		if (c == DT_c64)
			sb_put(e->constants, "if (mx_c64_isnan(a) || mx_c64_isnan(b)) return !mx_c64_isnan(a);\n\treturn mx_c64_lt(a, b);\n}\n\n");
		else sb_printf(e->constants, "return a < b%s;\n}\n\n", dtype_is_float(c) ? " || (a == a && b != b)" : "");
	}
	const char *const pairs[][2] = {{"NAME", name},
	                                {"T", dtype_ctype(d)},
	                                {"V", elem_ctype(d)},
	                                {"BEFORE", before},
	                                {"LOAD", load},
	                                {"PAIR", arena_printf(e->a, "%s_pair_%s", e->prefix, dtype_name(d))},
	                                {"MERGE", merge},
	                                {"PAIRS", sorter},
	                                {"KEY", sort_key(e, c)},
	                                {"KEY_T", dtype_bytes(c) > 4 ? "uint64_t" : "uint32_t"},
	                                {"SORT_RADIX_FROM", arena_printf(e->a, "%d", SORT_RADIX_FROM)},
	                                {"TOPK_SLACK", arena_printf(e->a, "%d", TOPK_SLACK)}};
	replace(e->constants, text, (size_t)(end - text), pairs, (int)(sizeof pairs / sizeof *pairs));
	return name;
}
