/* What a target settles of the conditional compilation in emitted C: of `#if MX_W == 16 … #elif …` the branch that holds stays, without its
 * condition. Conditions are evaluated with three values, so that what the target leaves open (which compiler it is, say) stays as it is
 * written, less what is known of it. Integers that the text itself defines count where nothing open is around their #define. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "prune.h"

typedef struct Known {
	const char *name;
	size_t n;
	long value;
} Known;
typedef struct Group {
	bool outer;   /* the text around it stays */
	bool taken;   /* a branch holds: those that follow do not */
	bool printed; /* a branch is open: its condition stands in the output */
	bool live;
} Group;
typedef struct Prune {
	Arena *a;
	const Target *t;
	VEC(Known) known;
	VEC(Group) group;
} Prune;

/* --- conditions -------------------------------------------------------------------------------------------------------------------- */
typedef struct Cond {
	bool known;
	long value;
	const char *text; /* where it is not known */
} Cond;
typedef struct Reader {
	Prune *p;
	const char *s;
	bool odd; /* something that is not understood */
} Reader;

static Cond value_of(long v)
{
	return (Cond){true, v, NULL};
}

static void skip_blanks(Reader *r)
{
	while (*r->s == ' ' || *r->s == '\t') r->s++;
}

static bool accept(Reader *r, const char *word)
{
	skip_blanks(r);
	size_t n = strlen(word);
	if (strncmp(r->s, word, n)) return false;
	return r->s += n, true;
}

static size_t name_length(const char *s)
{
	size_t n = 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
	return n;
}

static const Known *find_known(const Prune *p, const char *s, size_t n)
{
	for (int i = p->known.n; i-- > 0;)
		if (p->known.at[i].n == n && !memcmp(p->known.at[i].name, s, n)) return &p->known.at[i];
	return NULL;
}

static Cond defined(Reader *r)
{
	bool paren = accept(r, "(");
	skip_blanks(r);
	const char *s = r->s;
	size_t n = name_length(s);
	r->s += n;
	if (paren) r->odd |= !accept(r, ")");
	r->odd |= !n;
	int yes = find_known(r->p, s, n) ? 1 : target_defines(r->p->t, s, n);
	if (n == 4 && !memcmp(s, "MX_W", n)) yes = find_known(r->p, s, n) != NULL;
	return yes >= 0 ? value_of(yes) : (Cond){.text = arena_printf(r->p->a, "defined %.*s", (int)n, s)};
}

static Cond either(Reader *r);

static Cond atom(Reader *r)
{
	if (accept(r, "!")) {
		Cond c = atom(r);
		return c.known ? value_of(!c.value) : (Cond){.text = arena_printf(r->p->a, "!%s", c.text)};
	}
	if (accept(r, "(")) {
		Cond c = either(r);
		r->odd |= !accept(r, ")");
		if (!c.known) c.text = arena_printf(r->p->a, strpbrk(c.text, "|&=<>") ? "(%s)" : "%s", c.text);
		return c;
	}
	skip_blanks(r);
	const char *s = r->s;
	size_t n = name_length(s);
	r->s += n;
	if (!n) return r->odd = true, value_of(0);
	if (isdigit((unsigned char)*s)) return value_of(strtol(s, NULL, 0));
	if (n == 7 && !memcmp(s, "defined", n)) return defined(r);
	const Known *k = find_known(r->p, s, n);
	if (k) return value_of(k->value);
	if (n == 4 && !memcmp(s, "MX_W", n)) return value_of(r->p->t->lanes);
	return (Cond){.text = arena_strndup(r->p->a, s, n)};
}

static long compare(const char *op, long a, long b)
{
	if (!strcmp(op, "==")) return a == b;
	if (!strcmp(op, "!=")) return a != b;
	if (!strcmp(op, ">=")) return a >= b;
	if (!strcmp(op, "<=")) return a <= b;
	return *op == '>' ? a > b : a < b;
}

static const char *cond_text(Prune *p, Cond c)
{
	return c.known ? arena_printf(p->a, "%ld", c.value) : c.text;
}

static Cond comparison(Reader *r)
{
	static const char *const ops[] = {"==", "!=", ">=", "<=", ">", "<"};
	Cond a = atom(r);
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		if (!accept(r, ops[i])) continue;
		Cond b = atom(r);
		if (a.known && b.known) return value_of(compare(ops[i], a.value, b.value));
		return (Cond){.text = arena_printf(r->p->a, "%s %s %s", cond_text(r->p, a), ops[i], cond_text(r->p, b))};
	}
	return a;
}

/* a op b, where `settles` of one side settles both and its opposite leaves the other side. */
static Cond join(Reader *r, Cond a, Cond b, const char *op, bool settles)
{
	if ((a.known && !a.value == !settles) || (b.known && !b.value == !settles)) return value_of(settles);
	if (a.known) return b;
	if (b.known) return a;
	return (Cond){.text = arena_printf(r->p->a, "%s %s %s", a.text, op, b.text)};
}

static Cond both(Reader *r)
{
	Cond a = comparison(r);
	while (accept(r, "&&")) a = join(r, a, comparison(r), "&&", false);
	return a;
}

static Cond either(Reader *r)
{
	Cond a = both(r);
	while (accept(r, "||")) a = join(r, a, both(r), "||", true);
	return a;
}

static Cond evaluate(Prune *p, const char *text)
{
	Reader r = {.p = p, .s = text};
	Cond c = either(&r);
	skip_blanks(&r);
	return r.odd || *r.s ? (Cond){.text = text} : c;
}

/* --- lines -------------------------------------------------------------------------------------------------------------------------- */
static bool is_live(const Prune *p)
{
	return !p->group.n || p->group.at[p->group.n - 1].live;
}

static bool is_settled(const Prune *p)
{
	for (int i = 0; i < p->group.n; i++)
		if (p->group.at[i].printed || !p->group.at[i].live) return false;
	return true;
}

/* A branch of the innermost group under cond: printed as #if or #elif where it is open. */
static void branch(Prune *p, StrBuf *out, Cond c, const char *as_written)
{
	Group *g = &p->group.at[p->group.n - 1];
	g->live = g->outer && !g->taken && !(c.known && !c.value);
	if (!g->live) return;
	if (c.known) {
		if (g->printed) sb_put(out, "#else\n");
		g->taken = true;
	} else if (g->printed) sb_printf(out, "#elif %s\n", c.text);
	else if (as_written) sb_put(out, as_written);
	else sb_printf(out, "#if %s\n", c.text);
	g->printed |= !c.known;
}

/* The line of a directive, continued ones joined, without its comment. */
static const char *directive_rest(Prune *p, const char *s, size_t n)
{
	char *t = arena_strndup(p->a, s, n), *to = t;
	for (char *c = t; *c; c++) {
		if (*c == '\\' && c[1] == '\n') c++, *to++ = ' ';
		else if (*c == '/' && c[1] == '*') break;
		else *to++ = *c;
	}
	while (to > t && isspace((unsigned char)to[-1])) to--;
	*to = 0;
	return t;
}

static void note_define(Prune *p, const char *rest)
{
	while (*rest == ' ') rest++;
	size_t n = name_length(rest);
	char *end;
	if (!n || rest[n] != ' ' || !is_settled(p)) return;
	long v = strtol(rest + n, &end, 0);
	while (*end == ' ') end++;
	if (end > rest + n && !*end) VEC_PUSH(p->a, p->known, ((Known){rest, n, v}));
}

/* Handles a line that begins with #; false: it is to be printed as it is. */
static bool directive(Prune *p, StrBuf *out, const char *line, size_t n)
{
	const char *s = line + 1;
	while (*s == ' ') s++;
	size_t k = name_length(s);
	const char *word = arena_strndup(p->a, s, k), *rest = directive_rest(p, s + k, n - (size_t)(s + k - line));
	while (*rest == ' ') rest++;
	if (!strcmp(word, "if") || !strcmp(word, "ifdef") || !strcmp(word, "ifndef")) {
		bool plain = !word[2], negative = word[2] == 'n';
		Cond c = evaluate(p, plain ? rest : arena_printf(p->a, "%sdefined %s", negative ? "!" : "", rest));
		Group g = {.outer = is_live(p)};
		VEC_PUSH(p->a, p->group, g);
		branch(p, out, c, plain ? NULL : arena_strndup(p->a, line, n));
	} else if (p->group.n && !strcmp(word, "elif")) branch(p, out, evaluate(p, rest), NULL);
	else if (p->group.n && !strcmp(word, "else")) branch(p, out, value_of(1), NULL);
	else if (p->group.n && !strcmp(word, "endif")) {
		if (p->group.at[--p->group.n].printed) sb_put(out, "#endif\n");
	} else {
		if (!strcmp(word, "define")) note_define(p, rest);
		return false;
	}
	return true;
}

static size_t line_length(const char *s)
{
	for (size_t n = 0;; n++)
		if (!s[n] || (s[n] == '\n' && !(n && s[n - 1] == '\\'))) return s[n] ? n + 1 : n;
}

const char *prune_text(Arena *a, const Target *t, const char *text)
{
	if (!t || !t->lanes) return text;
	Prune p = {.a = a, .t = t};
	StrBuf out;
	sb_init(&out, a);
	for (size_t n; *text; text += n) {
		n = line_length(text);
		if (*text == '#' && directive(&p, &out, text, n)) continue;
		if (is_live(&p)) sb_putn(&out, text, n);
	}
	return sb_text(&out);
}
