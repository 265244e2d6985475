/* From characters to tokens: literals, words, doc comments, and the watch over brackets.
 *
 * parse_lex stands between scanner and parser. It keeps the open brackets with the indentation of their lines. A `fn`, `export`,
 * `import`, `const` or another declaration inside a body, or the end of the file, shows that a `}` is missing: it names the `{` that
 * lacks it and hands out the missing ones, so that the parser goes on as if they stood there. A `}` that closes nothing is reported
 * and dropped. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "parse.h"
#include "parser.tab.h"

int mxl_lex(MXPSTYPE *v, Loc *loc, void *scanner);
int parse_lex(MXPSTYPE *v, Loc *loc, ParseState *ps);

void lex_error(ParseState *ps, Loc loc, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(ps->d, DIAG_ERROR, loc, label, fmt, ap);
	va_end(ap);
	ps->out->had_errors = true;
	ps->lex_error_end = loc.end;
}

/* --- words and literals ------------------------------------------------------------------------------------------------ */
int lex_word(const char *s, size_t n)
{
	static const struct {
		const char *text;
		int token;
	} word[] = {
	    {"and", AND},       {"as", AS},         {"assert", ASSERT},
	    {"buffer", BUFFER}, {"by", BY},         {"composite", COMPOSITE},
	    {"const", CONST},   {"dim", DIM},       {"else", ELSE},
	    {"export", EXPORT}, {"extern", EXTERN}, {"false", FALSE},
	    {"fn", FN},         {"for", FOR},       {"if", IF},
	    {"import", IMPORT}, {"in", IN},         {"inout", INOUT},
	    {"is", IS},         {"kernel", KERNEL}, {"language", LANGUAGE},
	    {"let", LET},       {"module", MODULE}, {"none", NONE},
	    {"not", NOT},       {"or", OR},         {"over", OVER},
	    {"param", PARAM},   {"return", RETURN}, {"step", STEP},
	    {"test", TEST},     {"true", TRUE},     {"unroll", UNROLL},
	    {"var", VAR},       {"while", WHILE},   {"with", WITH},
	};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (strlen(word[i].text) == n && !memcmp(word[i].text, s, n)) return word[i].token;
	return IDENT;
}

Expr *lex_integer(ParseState *ps, const char *s, size_t n, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_INT, loc);
	unsigned base = 10;
	size_t i = 0;
	if (n > 2 && s[0] == '0' && (s[1] | 32) == 'x') base = 16, i = 2;
	if (n > 2 && s[0] == '0' && (s[1] | 32) == 'b') base = 2, i = 2;
	for (; i < n; i++) {
		if (s[i] == '_') continue;
		unsigned digit = s[i] <= '9' ? (unsigned)(s[i] - '0') : (unsigned)((s[i] | 32) - 'a' + 10);
		if (__builtin_mul_overflow(e->u.integer.value, (uint64_t)base, &e->u.integer.value) ||
		    __builtin_add_overflow(e->u.integer.value, (uint64_t)digit, &e->u.integer.value)) {
			e->u.integer.value = UINT64_MAX;
			e->u.integer.too_big = true;
			lex_error(ps, loc, "syntax.number", "this integer is too big: the largest is 18446744073709551615");
			return e;
		}
	}
	return e;
}

/* s may have one-sided points, which were reported. Numbers are read in the C locale: the compiler never sets another one. */
Expr *lex_float(ParseState *ps, const char *s, size_t n, Loc loc, ExprKind kind)
{
	Expr *e = parse_expr(ps, kind, loc);
	char *digits = arena_alloc(ps->a, n + 1);
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (s[i] != '_') digits[k++] = s[i];
	e->u.number = strtod(digits, NULL);
	if (isinf(e->u.number)) lex_error(ps, loc, "syntax.number", "this number is too big for a 64-bit float; infinity is `inf`");
	return e;
}

static void put_utf8(StrBuf *b, uint32_t c)
{
	if (c < 0x80) {
		sb_putc(b, (char)c);
	} else if (c < 0x800) {
		sb_putc(b, (char)(0xc0 | c >> 6)), sb_putc(b, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		sb_putc(b, (char)(0xe0 | c >> 12)), sb_putc(b, (char)(0x80 | (c >> 6 & 63))), sb_putc(b, (char)(0x80 | (c & 63)));
	} else {
		sb_putc(b, (char)(0xf0 | c >> 18)), sb_putc(b, (char)(0x80 | (c >> 12 & 63)));
		sb_putc(b, (char)(0x80 | (c >> 6 & 63))), sb_putc(b, (char)(0x80 | (c & 63)));
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

/* The code point of \xHH or \u{H…} at s[i] (behind the letter); advances *i behind it. False: malformed. */
static bool hex_escape(const char *s, size_t n, size_t *i, bool braced, uint32_t *out)
{
	size_t k = *i, digits = 0;
	uint32_t c = 0;
	if (braced && (k >= n || s[k++] != '{')) return false;
	for (; k < n && hex_digit(s[k]) >= 0 && digits < (braced ? 6u : 2u); k++, digits++) c = c * 16 + (uint32_t)hex_digit(s[k]);
	if (braced ? (digits == 0 || k >= n || s[k++] != '}') : digits != 2) return false;
	*i = k;
	*out = c;
	return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

Expr *lex_string(ParseState *ps, const char *s, size_t n, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_STR, loc);
	StrBuf b;
	sb_init(&b, ps->a);
	for (size_t i = 0; i < n;) {
		if (s[i] != '\\') {
			sb_putc(&b, s[i++]);
			continue;
		}
		size_t at = i++;
		char c = s[i++];
		const char *plain = "ntr0\\\"'", *means = "\n\t\r\0\\\"'", *p = c ? strchr(plain, c) : NULL;
		uint32_t code;
		if (p) {
			sb_putc(&b, means[p - plain]);
		} else if (c == 'x' || c == 'u') {
			if (hex_escape(s, n, &i, c == 'u', &code)) {
				put_utf8(&b, code);
			} else {
				Loc where = {loc.file, loc.begin + 1 + (uint32_t)at, loc.begin + 1 + (uint32_t)i};
				lex_error(ps, where, "syntax.string",
				          c == 'x' ? "`\\x` takes two hexadecimal digits: `\\x41`" : "`\\u` takes a character's number: `\\u{e9}`");
			}
		} else {
			while (i < n && ((unsigned char)s[i] & 0xc0) == 0x80) i++;
			Loc where = {loc.file, loc.begin + 1 + (uint32_t)at, loc.begin + 1 + (uint32_t)i};
			lex_error(ps, where, "syntax.string", "unknown escape `%.*s`; a backslash itself is `\\\\`", (int)(i - at), s + at);
		}
	}
	e->u.str.text = sb_text(&b);
	e->u.str.n = b.n;
	return e;
}

Expr *lex_raw(ParseState *ps, const char *s, size_t n, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_STR, loc);
	e->u.str.text = arena_strndup(ps->a, s, n);
	e->u.str.n = n;
	e->u.str.raw = true;
	return e;
}

/* A character that starts no token. Returns the token that was meant, MXPerror, or 0 to go on (a further one of a row). */
int lex_stray(ParseState *ps, const char *s, size_t n, Loc loc)
{
	static const struct {
		const char *text, *meant;
		int token;
	} known[] = {
	    {"−", "-", '-'}, {"–", "-", '-'},    {"×", "*", '*'},        {"·", "*", '*'},   {"÷", "/", '/'},   {"≤", "<=", LE}, {"≥", ">=", GE},
	    {"≠", "!=", NE}, {"→", "->", ARROW}, {"…", "...", ELLIPSIS}, {"¬", "not", NOT}, {"∧", "and", AND}, {"∨", "or", OR},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].text) == n && !memcmp(known[i].text, s, n)) {
			lex_error(ps, loc, "syntax.token", "write `%s` for `%s`", known[i].meant, known[i].text);
			return known[i].token;
		}
	if (ps->lex_error_end == loc.begin && loc.begin > 0) {
		ps->lex_error_end = loc.end;
		return 0;
	}
	if ((unsigned char)s[0] < 32 || s[0] == 127) lex_error(ps, loc, "syntax.token", "stray control character 0x%02x", (unsigned char)s[0]);
	else lex_error(ps, loc, "syntax.token", "stray `%.*s`", (int)n, s);
	if (s[0] == '?') diag_help(ps->d, "a choice is written `a if c else b`");
	if (s[0] == '\'' || !strcmp(s, "“") || !strcmp(s, "”")) diag_help(ps->d, "a string stands in double quotes: `\"…\"`");
	return MXPerror;
}

/* --- lines and doc comments -------------------------------------------------------------------------------------------- */
void lex_newlines(ParseState *ps, const char *s, size_t n, Loc loc, bool space)
{
	int lines = 0;
	for (size_t i = 0; i < n; i++)
		if (s[i] == '\n') lines++, ps->line_begin = loc.begin + (uint32_t)i + 1;
	if (space && lines >= 2 && ps->doc_pending) ps->doc_detached = true;
}

/* The pending doc text goes to the token at offset `token`; if an empty line or the end of the file follows it, to the file or to nobody.
 */
static void doc_settle(ParseState *ps, uint32_t token, bool end)
{
	if (!ps->doc_pending) return;
	ps->doc_pending = false;
	const char *text = arena_strdup(ps->a, sb_text(&ps->doc));
	bool first = !ps->any_token && !ps->any_doc;
	ps->any_doc = true;
	if (!ps->doc_detached && !end) {
		DocText doc = {text, ps->doc_loc, token, false};
		VEC_PUSH(ps->a, ps->docs, doc);
	} else if (first) {
		ps->out->doc = text;
	} else {
		diag(ps->d, DIAG_WARNING, ps->doc_loc, "doc.stray", "this doc comment documents nothing: a declaration stands on the next line");
	}
}

void lex_doc(ParseState *ps, const char *s, size_t n, Loc loc)
{
	if (ps->doc_pending && ps->doc_detached) doc_settle(ps, 0, false);
	if (n && s[0] == ' ') s++, n--;
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) n--;
	if (ps->any_token && ps->cur_line == ps->line_begin && !ps->doc_pending) {
		diag(ps->d, DIAG_WARNING, loc, "doc.stray", "a doc comment stands on the lines before what it documents");
		return;
	}
	if (!ps->doc_pending) {
		sb_init(&ps->doc, ps->a);
		ps->doc_pending = true;
		ps->doc_detached = false;
		ps->doc_loc = loc;
	} else {
		sb_putc(&ps->doc, '\n');
	}
	sb_putn(&ps->doc, s, n);
	ps->doc_loc.end = loc.end;
}

/* --- brackets ---------------------------------------------------------------------------------------------------------- */
static int open_braces(const ParseState *ps)
{
	int n = 0;
	for (int i = 0; i < ps->open.n; i++) n += ps->open.at[i].c == '{';
	return n;
}

/* Drops open `(` and `[` down to the innermost `{`, remembering the innermost of them for the message that the parser may give. */
static void unwind_parens(ParseState *ps)
{
	if (ps->open.n && ps->open.at[ps->open.n - 1].c != '{') ps->mismatch = ps->open.at[ps->open.n - 1];
	while (ps->open.n && ps->open.at[ps->open.n - 1].c != '{') ps->open.n--;
}

static void close_paren(ParseState *ps, char opener)
{
	int i = ps->open.n - 1;
	while (i >= 0 && ps->open.at[i].c != opener && ps->open.at[i].c != '{') i--;
	if (i < 0 || ps->open.at[i].c != opener) return;
	if (i < ps->open.n - 1) ps->mismatch = ps->open.at[ps->open.n - 1];
	ps->open.n = i;
}

static void close_brace(ParseState *ps, Loc loc)
{
	unwind_parens(ps);
	OpenBracket o = ps->open.at[--ps->open.n];
	bool outermost = ps->open.n == 0;
	if (ps->first_on_line && !ps->cur_injected) {
		if (ps->indent < o.indent && !ps->unclosed.file) ps->unclosed = o.loc;
		if (ps->indent > o.indent && (outermost || ps->open.at[ps->open.n - 1].is_module)) ps->early = loc, ps->early_open = o.loc;
	}
	if (outermost) ps->unclosed = NO_LOC;
}

static void track(ParseState *ps, int token, Loc loc)
{
	ps->mismatch.c = 0;
	OpenBracket o = {(char)token, false, loc, ps->indent};
	switch (token) {
	case '{':
		o.is_module = ps->module_head && ps->open.n == 0;
		ps->module_head = false;
		if (ps->open.n == 0 || (ps->open.n == 1 && ps->open.at[0].is_module)) ps->early = NO_LOC;
		/* fall through */
	case '(':
	case '[': VEC_PUSH(ps->a, ps->open, o); break;
	case ')': close_paren(ps, '('); break;
	case ']': close_paren(ps, '['); break;
	case '}': close_brace(ps, loc); break;
	case ';': unwind_parens(ps); break;
	case MODULE:
		if (ps->open.n == 0 && (!ps->any_token || ps->cur_token == ';' || ps->cur_token == '}')) ps->module_head = true;
		break;
	default: break;
	}
}

static void report_unclosed(ParseState *ps)
{
	Loc at = ps->unclosed;
	for (int i = ps->open.n - 1; i >= 0 && !at.file; i--)
		if (ps->open.at[i].c == '{') at = ps->open.at[i].loc;
	parse_error(ps, at, "syntax.unclosed", "this `{` is never closed");
	ps->unclosed = NO_LOC;
}

/* Whether the newest token, with the one behind it, can only begin a declaration. */
static bool begins_declaration(int token, int next)
{
	switch (token) {
	case FN:
	case EXPORT:
	case IMPORT:
	case CONST: return true;
	case MODULE:
	case KERNEL:
	case DIM: return next == IDENT;
	case TEST:
	case EXTERN: return next == STRING;
	case COMPOSITE: return next == FN;
	default: return false;
	}
}

/* How many `}` have to be handed out before a declaration that begins here. None where it is indented as part of the body: then it is
 * meant to stand there, which the parser refuses. */
static int missing_braces(const ParseState *ps, int token)
{
	int braces = open_braces(ps), i = ps->open.n - 1;
	while (i >= 0 && ps->open.at[i].c != '{') i--;
	if (i >= 0 && (!ps->first_on_line || ps->indent > ps->open.at[i].indent) && !ps->unclosed.file) return 0;
	bool in_module = braces > 0 && ps->open.at[0].is_module;
	if (token == FN && in_module && (braces == 1 || ps->indent > ps->open.at[0].indent)) return braces - 1;
	return braces;
}

static int next_token(ParseState *ps, MXPSTYPE *v, Loc *loc)
{
	if (ps->nheld) {
		struct HeldToken h = ps->held[0];
		ps->held[0] = ps->held[1];
		ps->nheld--;
		*v = *(MXPSTYPE *)h.value;
		*loc = h.loc;
		return h.token;
	}
	return mxl_lex(v, loc, ps->scanner);
}

static void hold(ParseState *ps, int token, Loc loc, const MXPSTYPE *v)
{
	ps->held[ps->nheld++] = (struct HeldToken){token, loc, arena_copy(ps->a, v, sizeof *v)};
}

/* Offset of the beginning of the line with the byte at offset i. */
static uint32_t line_of(const ParseState *ps, uint32_t i)
{
	while (i > 0 && ps->text[i - 1] != '\n') i--;
	return i;
}

static void note_line(ParseState *ps, Loc loc, uint32_t line)
{
	ps->first_on_line = !ps->any_token || line > ps->cur_line;
	if (!ps->first_on_line) return;
	ps->indent = 0;
	for (uint32_t i = line; i < loc.begin && (ps->text[i] == ' ' || ps->text[i] == '\t'); i++) ps->indent++;
}

/* True if the token waits because braces are handed out first. */
static bool insert_braces(ParseState *ps, int token, Loc loc, const MXPSTYPE *v)
{
	int missing;
	if (token == MXPEOF) {
		missing = open_braces(ps);
		if (missing && !ps->quiet) report_unclosed(ps);
		if (missing) ps->quiet = true;
	} else {
		bool soft = token == MODULE || token == KERNEL || token == DIM || token == TEST || token == EXTERN || token == COMPOSITE;
		if (!ps->open.n || (!soft && !begins_declaration(token, 0))) return false;
		int next = 0;
		if (soft) {
			if (!ps->first_on_line || ps->nheld) return false;
			MXPSTYPE value;
			Loc at;
			doc_settle(ps, loc.begin, false);
			next = mxl_lex(&value, &at, ps->scanner);
			hold(ps, next, at, &value);
		}
		if (!begins_declaration(token, next)) return false;
		missing = missing_braces(ps, token);
		if (missing && !ps->quiet) report_unclosed(ps);
	}
	if (!missing) return false;
	ps->inject = missing;
	ps->held[1] = ps->held[0];
	ps->held[0] = (struct HeldToken){token, loc, arena_copy(ps->a, v, sizeof *v)};
	ps->nheld++;
	return true;
}

int parse_lex(MXPSTYPE *v, Loc *loc, ParseState *ps)
{
	if (ps->resume == 1) {
		ps->resume = 2;
		*loc = (Loc){ps->file, ps->last.end, ps->last.end};
		return ';';
	}
	if (ps->resume == 2) {
		ps->resume = 0;
		*loc = ps->cur;
		*v = *(MXPSTYPE *)ps->cur_value;
		return ps->cur_token;
	}
	for (;;) {
		int token;
		uint32_t line = 0;
		bool injected = ps->inject > 0;
		if (injected) {
			ps->inject--;
			token = '}';
			*loc = (Loc){ps->file, ps->cur.end, ps->cur.end};
			ps->first_on_line = false;
			line = ps->cur_line;
		} else {
			bool was_held = ps->nheld > 0;
			token = next_token(ps, v, loc);
			/* line_begin is already that of a token read ahead: look for the line's start where that is so */
			line = ps->line_begin;
			if (was_held || ps->nheld || line > loc->begin) line = line_of(ps, loc->begin);
			note_line(ps, *loc, line);
			if (token != MXPerror && insert_braces(ps, token, *loc, v)) continue;
			if (token == RAWSTRING) line = line_of(ps, loc->end);
		}
		ps->cur_injected = injected;
		if (token == '}' && open_braces(ps) == 0) {
			if (!ps->forgive_close && !ps->quiet) parse_error(ps, *loc, "syntax.closes", "this `}` closes nothing");
			ps->forgive_close = false;
			continue;
		}
		if (!injected) doc_settle(ps, loc->begin, token == MXPEOF);
		track(ps, token, *loc);
		ps->last = ps->cur, ps->last_token = ps->cur_token, ps->last_line = ps->cur_line;
		ps->cur = *loc, ps->cur_token = token, ps->cur_line = line;
		ps->any_token = true;
		if (!ps->cur_value) ps->cur_value = NEW(ps->a, MXPSTYPE);
		*(MXPSTYPE *)ps->cur_value = *v;
		return token;
	}
}
