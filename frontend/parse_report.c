/* What the parser says when it cannot go on: one message for one mistake, naming what is missing, or what stands there and what could. */
#include <string.h>
#include "parse.h"
#include "parser.tab.h"

void parse_error(ParseState *ps, Loc loc, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	diag_v(ps->d, DIAG_ERROR, loc, label, fmt, ap);
	va_end(ap);
	ps->out->had_errors = true;
}

void parse_stack_full(ParseState *ps)
{
	parse_error(ps, ps->cur, "syntax.depth", "this is nested too deeply");
	ps->quiet = true;
}

typedef struct Expected {
	const char *const *at;
	int n;
} Expected;

/* Names are those of bison: "'+'" for single characters, otherwise as the grammar's token list says. */
static bool can(Expected e, const char *name)
{
	for (int i = 0; i < e.n; i++)
		if (!strcmp(e.at[i], name)) return true;
	return false;
}

static bool is_keyword(int token)
{
	switch (token) {
	case LET:
	case CONST:
	case FN:
	case EXPORT:
	case IMPORT:
	case IF:
	case ELSE:
	case FOR:
	case WHILE:
	case RETURN:
	case IN:
	case AND:
	case OR:
	case NOT:
	case IS:
	case TRUE:
	case FALSE:
	case NONE:
	case WITH:
	case INOUT:
	case ASSERT: return true;
	default: return false;
	}
}

static bool is_name(int token)
{
	switch (token) {
	case IDENT:
	case VAR:
	case MODULE:
	case PARAM:
	case BUFFER:
	case KERNEL:
	case EXTERN:
	case TEST:
	case DIM:
	case COMPOSITE:
	case STEP:
	case OVER:
	case BY:
	case AS:
	case LANGUAGE:
	case UNROLL: return true;
	default: return false;
	}
}

static const char *text_of(ParseState *ps, Loc l)
{
	return arena_strndup(ps->a, ps->text + l.begin, l.end - l.begin);
}

static const char *describe(ParseState *ps)
{
	uint32_t n = ps->cur.end - ps->cur.begin;
	const char *text = text_of(ps, ps->cur);
	switch (ps->cur_token) {
	case MXPEOF: return "end of the file";
	case INT:
	case FLOAT:
	case IMAG: return n > 40 ? "number" : arena_printf(ps->a, "number `%s`", text);
	case STRING: return n > 40 ? "string" : arena_printf(ps->a, "string `%s`", text);
	case RAWSTRING: return "raw string";
	case IDENT: return n > 60 ? "name" : arena_printf(ps->a, "name `%s`", text);
	default: return ps->cur_injected ? "`}`" : arena_printf(ps->a, "`%s`", text);
	}
}

/* --- hints: what people write who come from another language ----------------------------------------------------------- */
static const char *word_hint(const char *word)
{
	static const struct {
		const char *word, *hint;
	} hint[] = {
	    {"def", "a function is declared with `fn name(x) { … }`"},
	    {"func", "a function is declared with `fn name(x) { … }`"},
	    {"function", "a function is declared with `fn name(x) { … }`"},
	    {"elif", "write `else if`"},
	    {"elseif", "write `else if`"},
	    {"class", "a network is a `module`, data a record `(k=v)`"},
	    {"struct", "data is a record `(k=v)`, its type `(k: f32)`; a network is a `module`"},
	    {"lambda", "a function of x is written `|x| …`"},
	    {"mut", "a variable that changes is declared with `var`"},
	    {"pub", "a function for the C side is declared with `export fn`; imports see every name"},
	    {"from", "write `import name;` and then `name.f`"},
	    {"use", "write `import name;`"},
	    {"break", "a loop ends early by its condition: `for i in a..b while c { … }`"},
	    {"continue", "put the rest of the body into an `if`"},
	    {"foreach", "write `for x in xs { … }`"},
	    {"do", "write `while c { … }`"},
	    {"static", "a value computed while compiling is a `const`"},
	    {"switch", "write `if … { } else if … { }`"},
	    {"match", "write `if … { } else if … { }`"},
	};
	for (size_t i = 0; i < sizeof hint / sizeof *hint; i++)
		if (!strcmp(word, hint[i].word)) return hint[i].hint;
	return NULL;
}

static void suggest_word(ParseState *ps, const char *word, bool declaration)
{
	static const char *const statement[] = {"let", "var", "if", "else", "for", "while", "return", "assert", "with", "unroll"};
	static const char *const top[] = {"fn",     "export", "import", "const",     "dim",     "module",
	                                  "kernel", "extern", "test",   "composite", "language"};
	const char *hint = word_hint(word);
	if (hint) {
		diag_help(ps->d, "%s", hint);
		return;
	}
	if (strlen(word) < 2) return;
	const char *near = declaration ? diag_suggest(word, top, sizeof top / sizeof *top)
	                               : diag_suggest(word, statement, sizeof statement / sizeof *statement);
	if (near && strcmp(near, word)) diag_help(ps->d, "did you mean `%s`?", near);
}

/* A hint that the bad token and the one before it call for. */
static void suggest(ParseState *ps, Expected e, bool declaration)
{
	int t = ps->cur_token;
	const char *next = ps->text + ps->cur.end;
	bool adjacent = ps->last.end == ps->cur.begin && ps->cur.begin > 0;
	if (t == AS && can(e, "';'")) {
		diag_help(ps->d, "only a file gets a name: `import \"lib.mx\" as lib;`");
	} else if (t == LET && (declaration || can(e, "param"))) {
		diag_help(ps->d, declaration ? "a value of the file is declared with `const`" : "a member is written without `let`");
	} else if (is_name(ps->last_token) && ps->last.end > ps->last.begin && !declaration &&
	           (is_name(t) || t == '|' || t == INT || t == STRING)) {
		suggest_word(ps, text_of(ps, ps->last), false);
	} else if (declaration && t == IDENT) {
		suggest_word(ps, text_of(ps, ps->cur), true);
	} else if (t == FDIV || (t == '/' && *next == '*')) {
		if (can(e, "integer") || declaration) diag_help(ps->d, "a comment starts with `#`");
	} else if (t == '|' && ps->last_token == '|' && adjacent) {
		diag_help(ps->d, "write `or` for `||`");
	} else if ((ps->last_token == '+' || ps->last_token == '-') && ps->last.begin > 0 && ps->text[ps->last.begin - 1] == ps->last_token) {
		diag_help(ps->d, "write `x %c= 1`", ps->last_token);
	} else if (t == '|' && can(e, "integer")) {
		diag_help(ps->d, "among operators a lambda stands in parentheses: `(|x| …)`");
	} else if (t == NOT && can(e, "integer")) {
		diag_help(ps->d, "among operators `not` stands in parentheses: `(not x)`");
	} else if (t == ':' && can(e, "'{'")) {
		diag_help(ps->d, "a body stands in braces: `{ … }`");
	} else if (t == DOTDOT && can(e, "']'")) {
		diag_help(ps->d, "a slice is written with `:`, as in `x[a:b]`");
	}
}

/* --- unexpected X; expected … ------------------------------------------------------------------------------------------- */
static bool starts_expression(const char *name)
{
	static const char *const start[] = {
	    "integer", "float", "imaginary number", "string", "raw string", "name", "true", "false", "none", "not", "'('", "'['", "'-'", "'+'",
	    "'~'",     "'|'"};
	for (size_t i = 0; i < sizeof start / sizeof *start; i++)
		if (!strcmp(name, start[i])) return true;
	return false;
}

static bool is_operator(const char *name)
{
	static const char *const operator[] = {"'+'", "'-'", "'*'", "'/'", "//",  "'%'", "'@'", "**",  "'&'", "'|'",
	                                       "'^'", "<<",  ">>",  "'<'", "'>'", "<=",  ">=",  "==",  "!=",  "in",
	                                       "not", "is",  "and", "or",  "if",  "..",  "'('", "'['", "'.'", "assignment operator"};
	for (size_t i = 0; i < sizeof operator/ sizeof * operator; i++)
		if (!strcmp(name, operator[i])) return true;
	return false;
}

static bool is_soft_word(const char *name)
{
	static const char *const word[] = {"var",       "module", "param", "buffer", "kernel", "extern",   "test",  "dim",
	                                   "composite", "step",   "over",  "by",     "as",     "language", "unroll"};
	for (size_t i = 0; i < sizeof word / sizeof *word; i++)
		if (!strcmp(name, word[i])) return true;
	return false;
}

static void put_token(StrBuf *b, const char *name)
{
	size_t n = strlen(name);
	if (!strcmp(name, "end of file")) sb_put(b, "the end of the file");
	else if (name[0] == '\'') sb_printf(b, "`%.*s`", (int)n - 2, name + 1);
	else if (!strcmp(name, "integer")) sb_put(b, "an integer");
	else if (!strcmp(name, "string") || !strcmp(name, "raw string")) sb_printf(b, "a %s", name);
	else sb_printf(b, "`%s`", name);
}

/* "", or "; expected a, b or c": at most four, classes before single tokens. */
static const char *expectations(ParseState *ps, Expected e)
{
	bool statement = can(e, "let"), member = !statement && can(e, "fn") && can(e, "param"),
	     operand = !statement && !member && can(e, "integer");
	bool op = !operand && !statement && !member && can(e, "'+'"), name = !operand && !statement && !member && can(e, "name");
	char *part[4];
	int n = 0;
	if (statement) part[n++] = "a statement";
	if (member) part[n++] = "a member";
	if (operand) part[n++] = "an expression";
	if (op && can(e, "..") && !can(e, "if")) part[n++] = "`..`";
	else if (op) part[n++] = "an operator";
	if (name) part[n++] = "a name";
	for (int i = 0; i < e.n && n < 4; i++) {
		const char *s = e.at[i];
		bool closes = !strcmp(s, "'}'") || !strcmp(s, "')'") || !strcmp(s, "']'");
		if ((statement || member) && !closes) continue;
		if (operand && (starts_expression(s) || !(closes || !strcmp(s, "'{'")))) continue;
		if (op && is_operator(s)) continue;
		if ((name || operand) && (is_soft_word(s) || !strcmp(s, "name"))) continue;
		StrBuf b;
		sb_init(&b, ps->a);
		put_token(&b, s);
		part[n++] = arena_strdup(ps->a, sb_text(&b));
	}
	StrBuf b;
	sb_init(&b, ps->a);
	for (int i = 0; i < n; i++) sb_printf(&b, "%s%s", i == 0 ? "; expected " : i == n - 1 ? " or " : ", ", part[i]);
	return arena_strdup(ps->a, sb_text(&b));
}

/* The state between statements, members or declarations, where `;` is allowed but never missing. */
static bool between(Expected e)
{
	return can(e, "let") || can(e, "export") || (can(e, "param") && can(e, "fn"));
}

/* A `(` or `[` was still open where the statement or block ended, or another bracket closed. */
static bool report_mismatch(ParseState *ps, Expected e)
{
	OpenBracket *above = ps->cur_token == '{' && ps->open.n >= 2 ? &ps->open.at[ps->open.n - 2] : NULL;
	if (above && above->c != '{') ps->mismatch = *above;
	if (!ps->mismatch.c) return false;
	bool paren = ps->mismatch.c == '(';
	if (!can(e, paren ? "')'" : "']'")) return false;
	Loc behind = {ps->file, ps->last.end, ps->last.end};
	parse_error(ps, behind, "syntax.missing", "missing `%c`", paren ? ')' : ']');
	diag_note(ps->d, ps->mismatch.loc, "the `%c` is here", ps->mismatch.c);
	return true;
}

/* Something that ought to stand behind the previous token does not. */
static bool report_missing(ParseState *ps, Expected e)
{
	Loc behind = {ps->file, ps->last.end, ps->last.end};
	int t = ps->cur_token;
	bool breaks = ps->first_on_line || t == '}';
	bool next_statement = t == LET || t == RETURN || t == FOR || t == WHILE || t == ASSERT || t == WITH;
	if (between(e)) return false;
	if (can(e, "';'") && (breaks || next_statement)) {
		parse_error(ps, behind, "syntax.missing", "missing `;`");
		if (t != '{') ps->resume = 1;
		if (ps->last_token == IDENT && is_name(t)) suggest_word(ps, text_of(ps, ps->last), false);
		return true;
	}
	char bracket = can(e, "')'") ? ')' : can(e, "']'") ? ']' : 0;
	if (!bracket || !ps->first_on_line || t == '}') return false;
	parse_error(ps, behind, "syntax.missing", "missing `%c` or `,`", bracket);
	if (next_statement) ps->resume = 1;
	return true;
}

static bool report_outside(ParseState *ps, Expected e)
{
	if (!can(e, "export")) return false;
	if (ps->early.file) {
		int line, col;
		diag_line_col(ps->d, ps->file, ps->early_open.begin, &line, &col);
		parse_error(ps, ps->early, "syntax.closes", "this `}` closes the `{` of line %d, and more of its body follows: one `}` is too many",
		            line);
		ps->early = NO_LOC;
		ps->forgive_close = true;
		return true;
	}
	parse_error(ps, ps->cur, "syntax.unexpected", "unexpected %s outside a declaration", describe(ps));
	suggest(ps, e, true);
	if (ps->cur_token != FDIV && ps->cur_token != LET && !word_hint(text_of(ps, ps->cur)))
		diag_note(ps->d, NO_LOC,
		          "a declaration starts with `import`, `dim`, `const`, `fn`, `export fn`, `composite fn`, `module`, `kernel`, `extern` or "
		          "`test`");
	return true;
}

void parse_unexpected(ParseState *ps, const char *const *expected, int n)
{
	Expected e = {expected, n};
	bool echo = ps->lex_error_end && ps->cur.begin <= ps->lex_error_end && ps->cur_token != MXPEOF;
	ps->out->had_errors = true;
	if (ps->quiet || ps->cur_injected || echo) return;
	if (report_mismatch(ps, e)) return;
	if (ps->cur_token == MXPEOF) {
		if (can(e, "';'") && !can(e, "integer"))
			parse_error(ps, (Loc){ps->file, ps->last.end, ps->last.end}, "syntax.missing", "missing `;`");
		else parse_error(ps, ps->cur, "syntax.unexpected", "the file ends in the middle of a declaration%s", expectations(ps, e));
		return;
	}
	if (report_missing(ps, e) || report_outside(ps, e)) return;
	if (ps->cur_token == '=' && can(e, "'+'")) {
		parse_error(ps, ps->cur, "syntax.unexpected", "`=` assigns and cannot stand here");
		diag_help(ps->d, "`==` compares");
		return;
	}
	if (can(e, "let") && (ps->cur_token == FN || ps->cur_token == CONST || ps->cur_token == IMPORT || ps->cur_token == EXPORT)) {
		parse_error(ps, ps->cur, "syntax.unexpected", "`%s` cannot stand inside a body", text_of(ps, ps->cur));
		if (ps->cur_token == FN) diag_help(ps->d, "a function inside a function is a lambda: `let g = |y| { … };`");
		if (ps->cur_token == CONST) diag_help(ps->d, "write `let`: what is known while compiling is computed while compiling");
		return;
	}
	if (is_keyword(ps->cur_token) && can(e, "name") && !can(e, "integer") && !can(e, "'}'")) {
		parse_error(ps, ps->cur, "syntax.unexpected", "`%s` is a keyword and cannot be a name", text_of(ps, ps->cur));
		return;
	}
	parse_error(ps, ps->cur, "syntax.unexpected", "unexpected %s%s", describe(ps), expectations(ps, e));
	suggest(ps, e, false);
}
