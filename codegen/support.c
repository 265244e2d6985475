/* What emitted programs need of kernels/: the definitions that their text reaches, in the order of the files: mx_ functions and types and
 * MX_ macros. */
#include <ctype.h>
#include <string.h>
#include "../ir/elem_text.h"
#include "emit.h"

extern const struct {
	const char *name, *text;
	size_t n;
} kernel_sources[];

static const char *kernel_source(const char *name)
{
	for (int i = 0; kernel_sources[i].name; i++)
		if (!strcmp(kernel_sources[i].name, name)) return kernel_sources[i].text;
	return "";
}

typedef struct Definition {
	const char *name, *text, *needs;
	size_t nname, ntext, nneeds;
	bool used;
} Definition;
typedef struct Definitions {
	Definition *at;
	int n, cap;
} Definitions;

/* "@def NAME needs A B" opens a definition, which goes up to the comment that opens the next one, or to the end. */
static void parse_definitions(Arena *a, Definitions *d, const char *source)
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
		const char *section = strstr(x.text, "/* ----"); /* a heading before the next definition is not part of this one */
		if (section && section < x.text + x.ntext) x.ntext = (size_t)(section - x.text);
		VEC_PUSH(a, *d, x);
		s = x.text;
	}
}

/* The files in the order in which they need each other. */
static Definitions all_definitions(Arena *a)
{
	static const char *const source[] = {"support", "vector", "fft", "conv"};
	Definitions d = {0};
	for (size_t i = 0; i < sizeof source / sizeof *source; i++) parse_definitions(a, &d, source[i]);
	return d;
}

static Definition *find(Definitions *d, const char *s, size_t n)
{
	for (int i = 0; i < d->n; i++)
		if (d->at[i].nname == n && !memcmp(d->at[i].name, s, n)) return &d->at[i];
	return NULL;
}

static void mark(Definitions *d, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = 0;
		while (i + k < n && (isalnum((unsigned char)s[i + k]) || s[i + k] == '_')) k++;
		if (!k) {
			i++;
			continue;
		}
		bool ours = k > 3 && (!memcmp(s + i, "mx_", 3) || !memcmp(s + i, "MX_", 3));
		Definition *x = ours ? find(d, s + i, k) : NULL;
		if (x && !x->used) {
			x->used = true;
			mark(d, x->needs, x->nneeds);
			mark(d, x->text, x->ntext);
		}
		i += k;
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

void codegen_support(StrBuf *out, Arena *a, const char *text, bool with_header_types)
{
	Definitions d = all_definitions(a);
	mark(&d, text, strlen(text));
	for (int i = 0; i < d.n; i++) {
		if (!d.at[i].used) continue;
		size_t n = d.at[i].ntext;
		while (n && isspace((unsigned char)d.at[i].text[n - 1])) n--;
		const char *t = d.at[i].text;
		while (n && isspace((unsigned char)*t)) t++, n--;
		bool in_header = d.at[i].nname == 6 && !memcmp(d.at[i].name, "mx_c64", 6); /* the user's code includes it too */
		if (in_header && !with_header_types) continue;
		sb_putn(out, t, n);
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
