/* The C signature of exported functions: which leaves make one argument, which trees become structs, in which order all of it stands. */
#include <ctype.h>
#include <string.h>
#include "../passes/c_names.h"
#include "profile.h"

static size_t top(const char *path)
{
	return strcspn(path, ".");
}

/* The leaves of a module array are one tensor with a leading axis: its struct holds the element's fields, "layers.*.weight" is
 * layers.weight. */
const char *c_path(Emit *e, const char *path)
{
	if (!strstr(path, ".*")) return path;
	char *s = arena_strdup(e->a, path), *w = s;
	for (const char *r = s; *r;) {
		if (r[0] == '.' && r[1] == '*' && (r[2] == '.' || !r[2])) r += 2;
		else *w++ = *r++;
	}
	*w = 0;
	return module_str(e->m, s);
}

const char *emit_member(Emit *e, const char *path)
{
	StrBuf b;
	sb_init(&b, e->a);
	for (const char *s = path;; s++) {
		size_t n = top(s);
		sb_put(&b, c_member_name(e->a, arena_strndup(e->a, s, n)));
		s += n;
		if (!*s) break;
		sb_putc(&b, '.');
	}
	return arena_strdup(e->a, sb_text(&b));
}

static const char *struct_type(Emit *e, const Func *f, const char *path, size_t n)
{
	for (int i = 0; i < f->nstructs; i++)
		if (strlen(f->structs[i].path) == n && !memcmp(f->structs[i].path, path, n)) return f->structs[i].name;
	return arena_printf(e->a, "%c%.*s", toupper((unsigned char)path[0]), (int)n - 1, path + 1);
}

/* The type of an argument's tree is known by its function and the path of its first leaf, once emit_structs has written it. */
static const char *tree_key(Emit *e, const Func *f, const char *leaf)
{
	return module_str(e->m, arena_printf(e->a, "%s(%s)", f->name, leaf));
}

static int group(Emit *e, Func *f, const char *const *path, const bool *skip, int n, SigArg *out)
{
	int count = 0;
	for (int i = 0; i < n;) {
		if (skip && skip[i]) {
			i++;
			continue;
		}
		size_t len = top(path[i]);
		SigArg *a = &out[count++];
		*a = (SigArg){.first = i, .path = arena_strndup(e->a, path[i], len), .tree = path[i][len] == '.'};
		a->name = c_variable_name(e->a, arena_strndup(e->a, path[i], len));
		if (a->tree) {
			const char *written = map_get(&e->symbols, tree_key(e, f, path[i]));
			a->type_name = written ? written : struct_type(e, f, path[i], len);
		}
		while (i < n && !strncmp(path[i], a->path, len) && top(path[i]) == len) {
			if (!(skip && skip[i])) a->n++;
			i++;
			if (!a->tree) break;
		}
	}
	return count;
}

CSignature c_signature(Emit *e, Func *f)
{
	CSignature g = {.f = f};
	int np = f->body->nparam, nr = f->body->nresult;
	g.param = NEW_ARRAY(e->a, SigArg, np + 1);
	g.result = NEW_ARRAY(e->a, SigArg, nr + 1);
	bool *skip = NEW_ARRAY(e->a, bool, nr + 1);
	const char **pp = NEW_ARRAY(e->a, const char *, np + 1), **rp = NEW_ARRAY(e->a, const char *, nr + 1);
	for (int i = 0; i < np; i++)
		pp[i] = f->param_path && f->param_path[i] ? c_path(e, f->param_path[i])
		        : f->body->param[i]->name         ? f->body->param[i]->name
		                                          : arena_printf(e->a, "arg%d", i);
	for (int i = 0; i < nr; i++) {
		rp[i] = f->result_path && f->result_path[i] ? c_path(e, f->result_path[i]) : nr == 1 ? "out" : arena_printf(e->a, "out%d", i);
		skip[i] = f->result_alias && f->result_alias[i] >= 0;
	}
	g.nparam = group(e, f, pp, NULL, np, g.param);
	g.nresult = group(e, f, rp, skip, nr, g.result);
	for (int i = 0; i < g.nresult; i++) /* a parameter keeps its name, a result gives way */
		for (int k = 0; k < g.nparam; k++)
			if (!strcmp(g.result[i].name, g.param[k].name)) g.result[i].name = arena_printf(e->a, "%s_", g.result[i].name), k = -1;
	for (int i = 0; i < g.nparam; i++) {
		SigArg *a = &g.param[i];
		a->inout = f->param_inout && f->param_inout[a->first];
		a->by_value = !a->tree && !a->inout && f->body->param[a->first]->type->rank == 0;
	}
	return g;
}

void emit_prototype(Emit *e, StrBuf *out, Func *f)
{
	CSignature g = c_signature(e, f);
	int n = 0;
	sb_printf(out, "int %s_%s(", e->prefix, f->name);
	for (int i = 0; i < g.nparam; i++) {
		const SigArg *a = &g.param[i];
		const char *sep = n++ ? ", " : "";
		if (a->tree) sb_printf(out, "%s%s%s_%s *%s", sep, a->inout ? "" : "const ", e->prefix, a->type_name, a->name);
		else if (a->by_value) sb_printf(out, "%s%s %s", sep, dtype_ctype(f->body->param[a->first]->type->dtype), a->name);
		else sb_printf(out, "%s%s%s *%s", sep, a->inout ? "" : "const ", dtype_ctype(f->body->param[a->first]->type->dtype), a->name);
	}
	for (int i = 0; i < g.nresult; i++) {
		const SigArg *a = &g.result[i];
		const char *sep = n++ ? ", " : "";
		if (a->tree) sb_printf(out, "%s%s%s_%s *%s", sep, "const ", e->prefix, a->type_name, a->name);
		else sb_printf(out, "%s%s *%s", sep, dtype_ctype(f->body->result[a->first]->type->dtype), a->name);
	}
	for (int i = 0; i < f->ndims; i++) sb_printf(out, "%sptrdiff_t %s", n++ ? ", " : "", emit_dim_name(e, f->dims[i]));
	sb_printf(out, "%svoid *arena%s%s)", n ? ", " : "", e->o.threads > 1 ? ", const mx_exec *exec" : "", profile_parameter(e));
}

/* --- structs: a tree of fields per argument, each type written once
 * ----------------------------------------------------------------------- */
typedef struct Leaf {
	const char *path;
	const Type *type;
} Leaf;
static bool starts(const char *path, const char *prefix, size_t n)
{
	return !strncmp(path, prefix, n) && path[n] == '.';
}

/* Writes the struct for leaves[0..n), all below path; returns its C type name. Inner structs come first. */
static const char *write_struct(Emit *e, Func *f, StrBuf *out, VEC_OF_TEXT *seen, const char *path, const Leaf *leaf, int n)
{
	size_t len = strlen(path);
	StrBuf fields;
	sb_init(&fields, e->a);
	for (int i = 0; i < n;) {
		const char *rest = leaf[i].path + len + 1;
		size_t k = top(rest);
		const char *name = c_member_name(e->a, arena_strndup(e->a, rest, k));
		if (!rest[k]) {
			sb_printf(&fields, "\t%s *%s;   /* %s */\n", dtype_ctype(leaf[i].type->dtype), name, type_str(e->a, leaf[i].type));
			i++;
			continue;
		}
		const char *inner = arena_strndup(e->a, leaf[i].path, len + 1 + k);
		int j = i;
		while (j < n && starts(leaf[j].path, inner, strlen(inner))) j++;
		sb_printf(&fields, "\t%s %s;\n", write_struct(e, f, out, seen, inner, leaf + i, j - i), name);
		i = j;
	}
	const char *base = arena_printf(e->a, "%s_%s", e->prefix, struct_type(e, f, path, len));
	bool named = false;
	for (int i = 0; i < f->nstructs; i++) named |= !strcmp(f->structs[i].path, path);
	if (!named && strchr(path, '.')) {
		StrBuf b; /* without a name of its own: after its path */
		sb_init(&b, e->a);
		sb_printf(&b, "%s_", e->prefix);
		for (const char *s = path; *s; s++) sb_putc(&b, *s == '.' ? '_' : *s);
		base = arena_strdup(e->a, sb_text(&b));
	}
	const char *text = arena_strdup(e->a, sb_text(&fields)), *name = base;
	for (int k = 2;; k++) {
		int i = 0;
		while (i < seen->n && strcmp(seen->at[i].name, name)) i++;
		if (i == seen->n) break;
		if (!strcmp(seen->at[i].text, text)) return name;
		name = arena_printf(e->a, "%s%d", base, k);
	}
	NamedText x = {name, text};
	VEC_PUSH(e->a, *seen, x);
	sb_printf(out, "typedef struct %s {\n%s} %s;\n\n", name, text, name);
	return name;
}

/* X(path, ctype, dtype, count, rank, {shape}) for each leaf of a struct with static shapes. */
static void write_leaves(Emit *e, StrBuf *out, const char *name, const char *path, const Leaf *leaf, int n)
{
	static const char *const st[DT_COUNT] = {"BOOL", "U8",  "U16", "U32",  "U64", "I8",  "I16",
	                                         "I32",  "I64", "F16", "BF16", "F32", "F64", "C64"};
	StrBuf b;
	sb_init(&b, e->a);
	for (int i = 0; i < n; i++) {
		const Type *t = leaf[i].type;
		int64_t count = 1, d;
		StrBuf shape;
		sb_init(&shape, e->a);
		for (int k = 0; k < t->rank; k++) {
			if (!dim_is_const(t->dim[k], &d)) return;
			count *= d;
			sb_printf(&shape, "%s%lld", k ? ", " : "", (long long)d);
		}
		sb_printf(&b, " \\\n\tX(%s, %s, \"%s\", %lld, %d, {%s})", emit_member(e, leaf[i].path + strlen(path) + 1), dtype_ctype(t->dtype),
		          st[t->dtype], (long long)count, t->rank, t->rank ? sb_text(&shape) : "1");
	}
	StrBuf up;
	sb_init(&up, e->a);
	for (const char *s = name; *s; s++) sb_putc(&up, (char)toupper((unsigned char)*s));
	sb_printf(out, "#define %s_LEAVES(X)%s\n\n", sb_text(&up), sb_text(&b));
}

void emit_structs(Emit *e, StrBuf *out)
{
	VEC_OF_TEXT seen = {0}, listed = {0};
	StrBuf lists;
	sb_init(&lists, e->a);
	for (int i = 0; i < e->p->funcs.n; i++) {
		Func *f = e->p->funcs.at[i]->func;
		if (!f->exported && !f->is_test) continue;
		CSignature g = c_signature(e, f);
		for (int k = 0; k < g.nparam + g.nresult; k++) {
			bool param = k < g.nparam;
			SigArg *a = param ? &g.param[k] : &g.result[k - g.nparam];
			if (!a->tree) continue;
			Leaf *leaf = NEW_ARRAY(e->a, Leaf, a->n + 1);
			int n = 0;
			for (int j = 0; n < a->n; j++) {
				if (!param && f->result_alias && f->result_alias[a->first + j] >= 0) continue;
				leaf[n++] = param ? (Leaf){c_path(e, f->param_path[a->first + j]), f->body->param[a->first + j]->type}
				                  : (Leaf){c_path(e, f->result_path[a->first + j]), f->body->result[a->first + j]->type};
			}
			const char *name = write_struct(e, f, out, &seen, a->path, leaf, n);
			a->type_name = name + strlen(e->prefix) + 1;
			map_set(&e->symbols, tree_key(e, f, leaf[0].path), (void *)a->type_name);
			bool have = false;
			for (int j = 0; j < listed.n; j++) have |= !strcmp(listed.at[j].name, name);
			if (have) continue;
			NamedText x = {name, ""};
			VEC_PUSH(e->a, listed, x);
			write_leaves(e, &lists, name, a->path, leaf, n);
		}
	}
	if (lists.n)
		sb_printf(out,
		          "/* The leaves of each structure, to allocate, save and load them: X(member, C type, safetensors dtype, number of "
		          "elements, rank, {shape}). */\n%s",
		          sb_text(&lists));
}
