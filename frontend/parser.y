/* The grammar of .mx: LALR(1) without conflicts. Types are expressions, so there is one expression grammar and no feedback to the
 * scanner; the one precedence that is needed is that of `var` (a declaration at the head of a statement, a name elsewhere).
 * Actions build the tree of ast.h through parse.c. Recovery resumes behind the next `;` or block. Where only a `;` was missing
 * parse_lex supplies it (an `error` alternative of `semi` would not do: with LAC an error is seen before the reductions that lead there). */
%code requires {
#include "parse.h"
}
%code {
int parse_lex(MXPSTYPE *v, Loc *loc, ParseState *ps);
#define mxplex parse_lex
static void mxperror(Loc *loc, ParseState *ps, const char *message);
#define YYMAXDEPTH 6000
#define YYLLOC_DEFAULT(cur, rhs, n)                                                      \
	do {                                                                                 \
		if (n) {                                                                         \
			(cur) = YYRHSLOC(rhs, 1);                                                    \
			for (int i_ = 2; i_ <= (n); i_++) (cur) = loc_join((cur), YYRHSLOC(rhs, i_)); \
		} else {                                                                         \
			(cur) = YYRHSLOC(rhs, 0);                                                    \
			(cur).begin = (cur).end;                                                     \
		}                                                                                \
	} while (0)
/* A list of one element, and one more element. */
#define ONE(ps, list, T, x) do { (list) = NEW((ps)->a, T); VEC_PUSH((ps)->a, *(list), x); } while (0)
/* Behind a supplied `;` nothing is amiss: the next mistake is a new one. */
#define RESUMED do { if (ps->resume) yyerrok; } while (0)
#define MORE(ps, list, x) VEC_PUSH((ps)->a, *(list), x)
}
%locations
%define api.prefix {mxp}
%define api.pure full
%define api.location.type {Loc}
%define parse.error custom
%define parse.lac full
%define lr.type lalr
%expect 0
%parse-param {ParseState *ps}
%lex-param {ParseState *ps}
%initial-action { @$ = (Loc){ps->file, 0, 0}; }
%union {
	Name name;
	BinOp op;
	Expr *expr;
	Stmt *stmt;
	StmtList *block;
	Fn *fn;
	Member *member;
	MemberList *members;
	KernelBody body;
	BodyList *bodies;
	Param *param;
	ParamList *params;
	Pattern *pattern;
	PatternList *patterns;
	Bind bind;
	BindList *binds;
	NameList *names;
	Piece piece;
	PieceList *pieces;
	Index *index;
	IndexList *indices;
	struct { Expr *lo, *hi, *step, *values; bool only; } dim;
}
%token <expr> INT "integer" FLOAT "float" IMAG "imaginary number" STRING "string" RAWSTRING "raw string"
%token <name> IDENT "name" VAR "var" MODULE "module" PARAM "param" BUFFER "buffer" KERNEL "kernel" EXTERN "extern" TEST "test" DIM "dim"
%token <name> COMPOSITE "composite" STEP "step" OVER "over" BY "by" AS "as" LANGUAGE "language" UNROLL "unroll"
%token <op> AUG "assignment operator"
%token LET "let" CONST "const" FN "fn" EXPORT "export" IMPORT "import" IF "if" ELSE "else" FOR "for" WHILE "while" RETURN "return" IN "in"
%token AND "and" OR "or" NOT "not" IS "is" TRUE "true" FALSE "false" NONE "none" WITH "with" INOUT "inout" ASSERT "assert"
%token ARROW "->" DOTDOT ".." ELLIPSIS "..." POW "**" FDIV "//" SHL "<<" SHR ">>" EQ "==" NE "!=" LE "<=" GE ">="
%token MXPEOF 0 "end of file"
%precedence LOW
%precedence '('
%type <name> name
%type <names> names
%type <fn> fn method
%type <member> member
%type <members> members
%type <body> body
%type <bodies> bodies
%type <param> param lparam
%type <params> params paramlist lparams
%type <pattern> pattern patternlist
%type <patterns> patterns
%type <bind> bind
%type <binds> binds
%type <dim> range_of
%type <block> block stmts
%type <stmt> stmt ifstmt
%type <expr> typeopt initopt result stepopt withopt whileopt oexpr exprs expr lambda range orx andx notx cmpx bor bxor band shift sum mul unary power
%type <expr> postfix primary
%type <piece> arg pitem
%type <pieces> args arglist pitems over by
%type <index> index
%type <indices> indices
%%
file: decls ;
decls: %empty | decls decl | decls ';' ;
decl: LANGUAGE INT semi { parse_language(ps, $2, loc_span(@1, @2)); }
  | IMPORT imports semi
  | DIM dims semi
  | CONST name typeopt '=' exprs semi {
		Decl *d = parse_decl(ps, DECL_CONST, loc_span(@1, @5), $2);
		d->u.const_.type = $3, d->u.const_.value = $5;
	}
  | fn { parse_decl_fn(ps, $1); }
  | EXPORT fn { $2->exported = true; $2->loc = @$; parse_decl_fn(ps, $2); }
  | COMPOSITE fn { $2->composite = true; $2->loc = @$; parse_decl_fn(ps, $2); }
  | MODULE name params '{' members '}' {
		Decl *d = parse_decl(ps, DECL_MODULE, @$, $2);
		d->u.module.params = *$3, d->u.module.has_params = true, d->u.module.members = $5->at, d->u.module.n = $5->n;
	}
  | MODULE name '{' members '}' {
		Decl *d = parse_decl(ps, DECL_MODULE, @$, $2);
		d->u.module.members = $4->at, d->u.module.n = $4->n;
	}
  | KERNEL name params result '{' bodies '}' {
		Decl *d = parse_decl(ps, DECL_KERNEL, @$, $2);
		d->u.kernel.params = *$3, d->u.kernel.result = $4, d->u.kernel.bodies = $6->at, d->u.kernel.n = $6->n;
	}
  | EXTERN STRING FN name params result '=' expr semi {
		Decl *d = parse_decl(ps, DECL_EXTERN, loc_span(@1, @8), $4);
		d->u.extern_.header = parse_plain_string(ps, $2), d->u.extern_.params = *$5, d->u.extern_.result = $6, d->u.extern_.call = $8;
	}
  | TEST STRING block {
		Decl *d = parse_decl(ps, DECL_TEST, @$, (Name){NULL, @2});
		d->u.test.title = parse_plain_string(ps, $2), d->u.test.body = *$3;
	}
  | error ';' { RESUMED; }
  | error block
  | error '}' ;
semi: ';' ;
fn: FN name params result block { $$ = parse_fn(ps, @$, $2, $3, $4, $5); } ;
imports: import | imports ',' import ;
import: name { parse_import(ps, NULL, $1, @$); }
  | STRING { parse_import(ps, $1, (Name){NULL, @1}, @$); }
  | STRING AS name { parse_import(ps, $1, $3, @$); } ;
dims: dimdecl | dims ',' dimdecl ;
dimdecl: name range_of {
		Decl *d = parse_decl(ps, DECL_DIM, @$, $1);
		d->u.dim.lo = $2.lo, d->u.dim.hi = $2.hi, d->u.dim.step = $2.step, d->u.dim.values = $2.values;
		d->u.dim.only = $2.only;
	} ;
range_of: withopt { $$.lo = $$.hi = $$.step = NULL, $$.values = $1, $$.only = false; }
  | IN '{' exprs '}' { $$.lo = $$.hi = $$.step = NULL, $$.values = $3, $$.only = true; }
  | IN orx DOTDOT orx stepopt withopt { $$.lo = $2, $$.hi = $4, $$.step = $5, $$.values = $6, $$.only = false; } ;
withopt: %empty { $$ = NULL; } | WITH '{' exprs '}' { $$ = $3; } ;
params: '(' ')' { $$ = NEW(ps->a, ParamList); $$->loc = @$; }
  | '(' paramlist ')' { $$ = parse_params_check(ps, $2); $$->loc = @$; }
  | '(' paramlist ',' ')' { $$ = parse_params_check(ps, $2); $$->loc = @$; } ;
paramlist: param { ONE(ps, $$, ParamList, $1); } | paramlist ',' param { $$ = $1; MORE(ps, $$, $3); } ;
param: name typeopt initopt { $$ = parse_param(ps, PARAM_PLAIN, $1, $2, $3, @$); }
  | INOUT name typeopt { $$ = parse_param(ps, PARAM_INOUT, $2, $3, NULL, @$); }
  | '*' name { $$ = parse_param(ps, PARAM_REST, $2, NULL, NULL, @$); } ;
typeopt: %empty { $$ = NULL; } | ':' expr { $$ = $2; } ;
initopt: %empty { $$ = NULL; } | '=' expr { $$ = $2; } ;
result: %empty { $$ = NULL; } | ARROW expr { $$ = $2; } ;

members: %empty { $$ = NEW(ps->a, MemberList); } | members member { $$ = $1; if ($2) MORE(ps, $$, $2); } | members ';' { $$ = $1; } ;
member: PARAM name ':' expr initopt semi {
		$$ = parse_member(ps, MEMBER_PARAM, loc_span(@1, $5 ? @5 : @4));
		$$->name = $2, $$->type = $4, $$->value = $5;
	}
  | BUFFER name ':' expr initopt semi {
		$$ = parse_member(ps, MEMBER_BUFFER, loc_span(@1, $5 ? @5 : @4));
		$$->name = $2, $$->type = $4, $$->value = $5;
	}
  | names '=' exprs semi {
		$$ = parse_member(ps, MEMBER_VALUE, loc_span(@1, @3));
		$$->names = $1->at, $$->nnames = $1->n, $$->value = $3;
	}
  | ASSERT exprs semi {
		$$ = parse_member(ps, MEMBER_ASSERT, loc_span(@1, @2));
		parse_split_assert(ps, $2, $$->loc, &$$->value, &$$->message);
	}
  | method { $$ = parse_member(ps, MEMBER_FN, @$); $$->fn = $1; $$->name = $1->name; }
  | error ';' { $$ = NULL; RESUMED; }
  | error block { $$ = NULL; } ;
method: fn | FN params result block { $$ = parse_fn(ps, @$, (Name){NULL, @1}, $2, $3, $4); } ;
names: name { ONE(ps, $$, NameList, $1); } | names ',' name { $$ = $1; MORE(ps, $$, $3); } ;

bodies: %empty { $$ = NEW(ps->a, BodyList); } | bodies body { $$ = $1; MORE(ps, $$, $2); } ;
body: IDENT RAWSTRING over by {
		$$ = (KernelBody){.word = $1, .code = $2->u.str.text, .ncode = $2->u.str.n};
		$$.code_loc = (Loc){@2.file, @2.begin + 3, @2.end - 3};
		if ($3) $$.has_over = true, $$.over = parse_args(ps, $3);
		if ($4) $$.has_by = true, $$.by = parse_args(ps, $4);
	}
  | IDENT params block { $$ = (KernelBody){.word = $1, .rule = parse_fn(ps, @$, $1, $2, NULL, $3)}; } ;
over: %empty { $$ = NULL; } | OVER '(' args ')' { $$ = $3; } ;
by: %empty { $$ = NULL; } | BY '(' args ')' { $$ = $3; } ;

block: '{' stmts '}' { $$ = $2; $$->loc = @$; } ;
stmts: %empty { $$ = NEW(ps->a, StmtList); }
  | stmts stmt { $$ = $1; MORE(ps, $$, $2); if ($2->height > $$->height) $$->height = $2->height; }
  | stmts ';' { $$ = $1; } ;
stmt: LET binds '=' exprs semi { $$ = parse_let(ps, STMT_LET, $2, $4, loc_span(@1, @4)); }
  | VAR binds '=' exprs semi { $$ = parse_let(ps, STMT_VAR, $2, $4, loc_span(@1, @4)); }
  | exprs '=' exprs semi { $$ = parse_assign(ps, $1, $3, loc_span(@1, @3)); }
  | expr AUG exprs semi { $$ = parse_augment(ps, $1, $2, $3, loc_span(@1, @3)); }
  | exprs semi { $$ = parse_stmt(ps, STMT_EXPR, @1); $$->u.expr = $1; parse_stmt_end(ps, $$, @1); }
  | RETURN semi { $$ = parse_stmt(ps, STMT_RETURN, @1); }
  | RETURN exprs semi { $$ = parse_stmt(ps, STMT_RETURN, @1); $$->u.expr = $2; parse_stmt_end(ps, $$, @2); }
  | ASSERT exprs semi { $$ = parse_assert(ps, $2, loc_span(@1, @2)); }
  | ifstmt
  | FOR patternlist IN expr stepopt whileopt block {
		$$ = parse_stmt(ps, STMT_FOR, @1);
		$$->u.for_.pattern = $2, $$->u.for_.in = $4, $$->u.for_.step = $5, $$->u.for_.while_ = $6, $$->u.for_.body = *$7;
		parse_stmt_end(ps, $$, @7);
	}
  | UNROLL FOR patternlist IN expr stepopt block {
		$$ = parse_stmt(ps, STMT_FOR, @1);
		$$->u.for_.unroll = true, $$->u.for_.pattern = $3, $$->u.for_.in = $5, $$->u.for_.step = $6, $$->u.for_.body = *$7;
		parse_stmt_end(ps, $$, @7);
	}
  | WHILE expr block { $$ = parse_stmt(ps, STMT_WHILE, @1); $$->u.while_.cond = $2, $$->u.while_.body = *$3; parse_stmt_end(ps, $$, @3); }
  | WITH expr block { $$ = parse_stmt(ps, STMT_WITH, @1); $$->u.with.what = $2, $$->u.with.body = *$3; parse_stmt_end(ps, $$, @3); }
  | error ';' { $$ = parse_stmt(ps, STMT_ERROR, @$); RESUMED; }
  | error block { $$ = parse_stmt(ps, STMT_ERROR, @$); } ;
ifstmt: IF expr block { $$ = parse_if(ps, $2, $3, NULL, @$); }
  | IF expr block ELSE block { $$ = parse_if(ps, $2, $3, $5, @$); }
  | IF expr block ELSE ifstmt { $$ = parse_if(ps, $2, $3, parse_single(ps, $5), @$); } ;
stepopt: %empty { $$ = NULL; } | STEP expr { $$ = $2; } ;
whileopt: %empty { $$ = NULL; } | WHILE expr { $$ = $2; } ;
binds: bind { ONE(ps, $$, BindList, $1); } | binds ',' bind { $$ = $1; MORE(ps, $$, $3); } ;
bind: pattern typeopt { $$ = (Bind){$1, $2}; } ;
patternlist: patterns { $$ = parse_pattern(ps, $1, @$, true); } ;
patterns: pattern { ONE(ps, $$, PatternList, $1); } | patterns ',' pattern { $$ = $1; MORE(ps, $$, $3); } ;
pattern: name { $$ = parse_pattern_name(ps, $1); }
  | '(' patterns ')' { $$ = parse_pattern(ps, $2, @$, true); }
  | '(' patterns ',' ')' { $$ = parse_pattern(ps, $2, @$, false); } ;

exprs: expr | exprs ',' expr { $$ = parse_tuple_add(ps, $1, $3); } ;
expr: lambda | range | orx IF orx ELSE expr { $$ = parse_cond(ps, $1, @2, $3, $5); } ;
lambda: '|' lparams '|' expr { $$ = parse_lambda(ps, parse_params_check(ps, $2), $4, NULL, @$); }
  | '|' lparams '|' block { $$ = parse_lambda(ps, parse_params_check(ps, $2), NULL, $4, @$); }
  | '|' '|' expr { $$ = parse_lambda(ps, NEW(ps->a, ParamList), $3, NULL, @$); }
  | '|' '|' block { $$ = parse_lambda(ps, NEW(ps->a, ParamList), NULL, $3, @$); } ;
lparams: lparam { ONE(ps, $$, ParamList, $1); } | lparams ',' lparam { $$ = $1; MORE(ps, $$, $3); } ;
lparam: pattern {
		$$ = parse_param(ps, PARAM_PLAIN, $1->is_tuple ? (Name){NULL, @1} : $1->name, NULL, NULL, @$);
		$$->pattern = $1->is_tuple ? $1 : NULL;
	}
  | '*' name { $$ = parse_param(ps, PARAM_REST, $2, NULL, NULL, @$); } ;
range: orx | orx DOTDOT orx { $$ = parse_range(ps, $1, @2, $3); } ;
orx: andx | orx OR andx { $$ = parse_binary(ps, B_OR, $1, @2, $3); } ;
andx: notx | andx AND notx { $$ = parse_binary(ps, B_AND, $1, @2, $3); } ;
notx: cmpx | NOT notx { $$ = parse_unary(ps, U_NOT, @1, $2); } ;
cmpx: bor
  | cmpx '<' bor { $$ = parse_compare(ps, C_LT, $1, @2, $3); }
  | cmpx '>' bor { $$ = parse_compare(ps, C_GT, $1, @2, $3); }
  | cmpx LE bor { $$ = parse_compare(ps, C_LE, $1, @2, $3); }
  | cmpx GE bor { $$ = parse_compare(ps, C_GE, $1, @2, $3); }
  | cmpx EQ bor { $$ = parse_compare(ps, C_EQ, $1, @2, $3); }
  | cmpx NE bor { $$ = parse_compare(ps, C_NE, $1, @2, $3); }
  | cmpx IN bor { $$ = parse_compare(ps, C_IN, $1, @2, $3); }
  | cmpx NOT IN bor { $$ = parse_compare(ps, C_NOT_IN, $1, loc_span(@2, @3), $4); }
  | cmpx IS bor { $$ = parse_compare(ps, C_IS, $1, @2, $3); }
  | cmpx IS NOT bor { $$ = parse_compare(ps, C_IS_NOT, $1, loc_span(@2, @3), $4); } ;
bor: bxor | bor '|' bxor { $$ = parse_binary(ps, B_BITOR, $1, @2, $3); } ;
bxor: band | bxor '^' band { $$ = parse_binary(ps, B_BITXOR, $1, @2, $3); } ;
band: shift | band '&' shift { $$ = parse_binary(ps, B_BITAND, $1, @2, $3); } ;
shift: sum
  | shift SHL sum { $$ = parse_binary(ps, B_SHL, $1, @2, $3); }
  | shift SHR sum { $$ = parse_binary(ps, B_SHR, $1, @2, $3); } ;
sum: mul
  | sum '+' mul { $$ = parse_binary(ps, B_ADD, $1, @2, $3); }
  | sum '-' mul { $$ = parse_binary(ps, B_SUB, $1, @2, $3); } ;
mul: unary
  | mul '*' unary { $$ = parse_binary(ps, B_MUL, $1, @2, $3); }
  | mul '/' unary { $$ = parse_binary(ps, B_DIV, $1, @2, $3); }
  | mul FDIV unary { $$ = parse_binary(ps, B_FLOORDIV, $1, @2, $3); }
  | mul '%' unary { $$ = parse_binary(ps, B_MOD, $1, @2, $3); }
  | mul '@' unary { $$ = parse_binary(ps, B_MATMUL, $1, @2, $3); } ;
unary: power
  | '-' unary { $$ = parse_unary(ps, U_NEG, @1, $2); }
  | '+' unary { $$ = $2; $$->loc = @$; }
  | '~' unary { $$ = parse_unary(ps, U_INVERT, @1, $2); } ;
power: postfix | postfix POW unary { $$ = parse_binary(ps, B_POW, $1, @2, $3); } ;
postfix: primary
  | postfix '(' args ')' { $$ = parse_call(ps, $1, $3, @2, @$); }
  | postfix '[' indices ']' { $$ = parse_index(ps, $1, $3, @2, @$); }
  | postfix '.' name { $$ = parse_member_of(ps, $1, $3, @2); } ;
primary: name { $$ = parse_expr(ps, EXPR_NAME, @1); $$->u.name = $1; }
  | INT | FLOAT | IMAG | STRING | RAWSTRING
  | TRUE { $$ = parse_expr(ps, EXPR_TRUE, @1); }
  | FALSE { $$ = parse_expr(ps, EXPR_FALSE, @1); }
  | NONE { $$ = parse_expr(ps, EXPR_NONE, @1); }
  | '(' ')' { $$ = parse_expr(ps, EXPR_TUPLE, @$); $$->parenthesised = true; }
  | '(' pitems ')' { $$ = parse_paren(ps, $2, false, @$); }
  | '(' pitems ',' ')' { $$ = parse_paren(ps, $2, true, @$); }
  | '[' ']' { $$ = parse_expr(ps, EXPR_LIST, @$); }
  | '[' arglist ']' { $$ = parse_list(ps, $2, @$); }
  | '[' arglist ',' ']' { $$ = parse_list(ps, $2, @$); } ;
pitems: pitem { ONE(ps, $$, PieceList, $1); } | pitems ',' pitem { $$ = $1; MORE(ps, $$, $3); } ;
pitem: arg | name ':' expr { $$ = (Piece){PIECE_TYPED, false, $1, $3, @$, parse_doc(ps, @1)}; } ;
args: %empty { $$ = NEW(ps->a, PieceList); } | arglist | arglist ',' ;
arglist: arg { ONE(ps, $$, PieceList, $1); } | arglist ',' arg { $$ = $1; MORE(ps, $$, $3); } ;
arg: expr { $$ = (Piece){.kind = PIECE_PLAIN, .value = $1, .loc = @$}; }
  | '*' expr { $$ = (Piece){.kind = PIECE_SPREAD, .value = $2, .loc = @$}; }
  | INOUT expr { $$ = (Piece){.kind = PIECE_PLAIN, .is_inout = true, .value = $2, .loc = @$}; parse_check_target(ps, $2, "`inout` needs a variable, or a member or element of one"); }
  | name '=' expr { $$ = (Piece){PIECE_NAMED, false, $1, $3, @$, NULL}; }
  | name '=' INOUT expr { $$ = (Piece){PIECE_NAMED, true, $1, $4, @$, NULL}; parse_check_target(ps, $4, "`inout` needs a variable, or a member or element of one"); } ;
indices: index { ONE(ps, $$, IndexList, $1); } | indices ',' index { $$ = $1; MORE(ps, $$, $3); } ;
index: expr { $$ = NEW(ps->a, Index); $$->kind = INDEX_EXPR; $$->expr = $1; $$->loc = @$; }
  | ELLIPSIS { $$ = NEW(ps->a, Index); $$->kind = INDEX_ELLIPSIS; $$->loc = @$; }
  | oexpr ':' oexpr { $$ = NEW(ps->a, Index); $$->kind = INDEX_SLICE; $$->lo = $1, $$->hi = $3; $$->loc = @$; }
  | oexpr ':' oexpr ':' oexpr { $$ = NEW(ps->a, Index); $$->kind = INDEX_SLICE; $$->lo = $1, $$->hi = $3, $$->step = $5; $$->loc = @$; } ;
oexpr: %empty { $$ = NULL; } | expr ;
name: IDENT | VAR %prec LOW | MODULE | PARAM | BUFFER | KERNEL | EXTERN | TEST | DIM | COMPOSITE | STEP | OVER | BY | AS | LANGUAGE | UNROLL ;
%%
static int yyreport_syntax_error(const yypcontext_t *c, ParseState *ps)
{
	yysymbol_kind_t kind[YYNTOKENS];
	const char *name[YYNTOKENS];
	int n = yypcontext_expected_tokens(c, kind, YYNTOKENS);
	if (n < 0) n = 0;
	for (int i = 0; i < n; i++) name[i] = yysymbol_name(kind[i]);
	parse_unexpected(ps, name, n);
	return 0;
}

/* Called for a full stack only: everything else goes through yyreport_syntax_error. */
static void mxperror(Loc *loc, ParseState *ps, const char *message)
{
	parse_stack_full(ps);
}
