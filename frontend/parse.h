/* What the scanner, the grammar and their helpers share. Private to the parser: others use parse_file of ast.h.
 *
 * Scanner and parser are reentrant; all that they know is in a ParseState, all that they build is in the arena. Between the two
 * stands parse_lex (parse.c): it watches brackets and their indentation, so that a missing or surplus brace is found where it is
 * and not where the grammar stumbles over it. */
#ifndef MLXCC_FRONTEND_PARSE_H
#define MLXCC_FRONTEND_PARSE_H
#include "ast.h"

/* Deeper trees are refused, so that recursion over a tree is bounded. The parser's own stack has the limit of YYMAXDEPTH. */
#define PARSE_MAX_HEIGHT 2000

typedef VEC(Pattern *) PatternList;
typedef VEC(Bind) BindList;
typedef VEC(Name) NameList;
typedef VEC(Member *) MemberList;
typedef VEC(KernelBody) BodyList;

/* One entry of a parenthesis, a list or an argument list, before it is known which of them it is in. */
typedef enum PieceKind { PIECE_PLAIN, PIECE_SPREAD, PIECE_NAMED, PIECE_TYPED } PieceKind;
typedef struct Piece {
	PieceKind kind;
	bool is_inout;
	Name name;
	Expr *value;
	Loc loc;
	const char *doc;
} Piece;
typedef VEC(Piece) PieceList;

typedef struct OpenBracket {
	char c;
	bool is_module;
	Loc loc;
	int indent;
} OpenBracket; /* indent: of its line */
/* A doc text and the token it stands before. */
typedef struct DocText {
	const char *text;
	Loc loc;
	uint32_t token;
	bool used;
} DocText;

typedef struct ParseState {
	Arena *a;
	Intern *strings;
	Diag *d;
	File *out;
	const char *text;
	uint32_t n, file;
	void *scanner;

	uint32_t pos;           /* scanner: bytes read */
	uint32_t line_begin;    /* offset of the line that pos is on */
	uint32_t lex_error_end; /* end of the last token that the scanner complained about */
	bool any_token;

	Loc cur, last; /* the newest token and the one before it */
	int cur_token, last_token;
	bool cur_injected;            /* the newest token stands in no text */
	uint32_t cur_line, last_line; /* line_begin of the lines that they end on */
	bool first_on_line;           /* the newest token */
	int indent;                   /* of the line with the newest token */
	VEC(OpenBracket) open;
	bool module_head;      /* between `module` at file level and its `{` */
	OpenBracket mismatch;  /* a `(` or `[` that was open when the newest token ended its statement or block; c 0: none */
	Loc unclosed;          /* a `{` whose `}` was less indented than its line: the likely one without a `}` */
	Loc early, early_open; /* a `}` more indented than the line of its `{`: the likely surplus one */
	bool forgive_close;    /* a surplus `}` has been reported: the next one that closes nothing is its echo */
	int inject;            /* closing braces to hand out before the held tokens */
	struct HeldToken {
		int token;
		Loc loc;
		void *value;
	} held[2];
	int nheld;
	int resume;      /* a missing `;` was reported: 1 hand one out, 2 then the newest token once more */
	void *cur_value; /* the newest token's semantic value */
	bool quiet;      /* the rest is an echo of something reported */
	bool too_deep;

	StrBuf doc; /* pending doc lines */
	bool doc_pending, doc_detached, any_doc;
	Loc doc_loc;
	VEC(DocText) docs; /* by token */
} ParseState;

/* errors: class user error, label as in the language reference */
void parse_error(ParseState *ps, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The grammar cannot go on with the newest token. expected: names of the n tokens that it could go on with. */
void parse_unexpected(ParseState *ps, const char *const *expected, int n);
void parse_stack_full(ParseState *ps);
Loc loc_span(Loc a, Loc b);
Loc loc_join(Loc a, Loc b); /* as loc_span; an empty place counts for nothing */

/* scanner's helpers */
Expr *lex_integer(ParseState *ps, const char *s, size_t n, Loc loc);
Expr *lex_float(ParseState *ps, const char *s, size_t n, Loc loc, ExprKind kind);
Expr *lex_string(ParseState *ps, const char *s, size_t n, Loc loc);
Expr *lex_raw(ParseState *ps, const char *s, size_t n, Loc loc);
int lex_word(const char *s, size_t n); /* the token of a keyword, or IDENT */
int lex_stray(ParseState *ps, const char *s, size_t n, Loc loc);
void lex_error(ParseState *ps, Loc loc, const char *label, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void lex_newlines(ParseState *ps, const char *s, size_t n, Loc loc, bool space);
void lex_doc(ParseState *ps, const char *s, size_t n, Loc loc);

/* grammar's helpers */
const char *parse_doc(ParseState *ps, Loc loc); /* the doc text before the token at loc.begin, or NULL */
Name parse_name(ParseState *ps, const char *s, Loc loc);
const char *parse_plain_string(ParseState *ps, const Expr *str);
Decl *parse_decl(ParseState *ps, DeclKind kind, Loc loc, Name name);
void parse_language(ParseState *ps, const Expr *version, Loc loc);
Decl *parse_import(ParseState *ps, const Expr *path, Name name, Loc loc);
void parse_decl_fn(ParseState *ps, Fn *fn);
Fn *parse_fn(ParseState *ps, Loc loc, Name name, ParamList *params, Expr *result, StmtList *body);
Param *parse_param(ParseState *ps, ParamKind kind, Name name, Expr *type, Expr *init, Loc loc);
ParamList *parse_params_check(ParseState *ps, ParamList *list);
Member *parse_member(ParseState *ps, MemberKind kind, Loc loc);
Pattern *parse_pattern_name(ParseState *ps, Name name);
Pattern *parse_pattern(ParseState *ps, PatternList *items, Loc loc, bool bare); /* bare: one item without parentheses is itself */

Stmt *parse_stmt(ParseState *ps, StmtKind kind, Loc loc);
Stmt *parse_stmt_end(ParseState *ps, Stmt *s, Loc last); /* place and height, once the parts are in */
Stmt *parse_let(ParseState *ps, StmtKind kind, BindList *binds, Expr *value, Loc loc);
Stmt *parse_assign(ParseState *ps, Expr *target, Expr *value, Loc loc);
Stmt *parse_augment(ParseState *ps, Expr *target, BinOp op, Expr *value, Loc loc);
Stmt *parse_assert(ParseState *ps, Expr *what, Loc loc);
Stmt *parse_if(ParseState *ps, Expr *cond, StmtList *then, StmtList *otherwise, Loc loc);
StmtList *parse_single(ParseState *ps, Stmt *s);
void parse_split_assert(ParseState *ps, Expr *what, Loc loc, Expr **cond, Expr **message);

Expr *parse_expr(ParseState *ps, ExprKind kind, Loc loc);
Expr *parse_expr_end(ParseState *ps, Expr *e); /* computes the height, once the parts are in */
Expr *parse_binary(ParseState *ps, BinOp op, Expr *a, Loc at, Expr *b);
Expr *parse_unary(ParseState *ps, UnOp op, Loc at, Expr *a);
Expr *parse_compare(ParseState *ps, CmpOp op, Expr *a, Loc at, Expr *b);
Expr *parse_cond(ParseState *ps, Expr *a, Loc at, Expr *cond, Expr *b);
Expr *parse_range(ParseState *ps, Expr *lo, Loc at, Expr *hi);
Expr *parse_lambda(ParseState *ps, ParamList *params, Expr *body, StmtList *block, Loc loc);
Expr *parse_call(ParseState *ps, Expr *fn, PieceList *args, Loc open, Loc loc);
Expr *parse_index(ParseState *ps, Expr *base, IndexList *index, Loc open, Loc loc);
Expr *parse_member_of(ParseState *ps, Expr *base, Name name, Loc dot);
Expr *parse_tuple_add(ParseState *ps, Expr *list, Expr *e); /* `a, b` without parentheses grows; a single expression becomes a tuple */
Expr *parse_paren(ParseState *ps, PieceList *items, bool trailing_comma, Loc loc);
Expr *parse_list(ParseState *ps, PieceList *items, Loc loc);
ArgList parse_args(ParseState *ps, PieceList *pieces);
void parse_check_target(ParseState *ps, const Expr *e, const char *what); /* e must be something that can be assigned */
#endif
