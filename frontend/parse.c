/* The syntax tree's constructors, with the checks that a grammar cannot make, and the entry parse_file. */
#include <limits.h>
#include <string.h>
#include "parse.h"
#include "parser.tab.h"

int mxl_lex_init_extra(ParseState *ps, void **scanner);
void *mxl__scan_bytes(const char *text, int n, void *scanner);
int mxl_lex_destroy(void *scanner);

Loc loc_span(Loc a, Loc b)
{
	return (Loc){a.file, a.begin, b.end > a.end ? b.end : a.end};
}

Loc loc_join(Loc a, Loc b)
{
	if (b.begin == b.end) return a;
	if (a.begin == a.end) return b;
	return loc_span(a, b);
}

static int max(int a, int b)
{
	return a > b ? a : b;
}

/* --- declarations ------------------------------------------------------------------------------------------------------ */
const char *parse_doc(ParseState *ps, Loc loc)
{
	int lo = 0, hi = ps->docs.n;
	while (lo < hi) {
		int mid = (lo + hi) / 2;
		if (ps->docs.at[mid].token < loc.begin) lo = mid + 1;
		else hi = mid;
	}
	if (lo == ps->docs.n || ps->docs.at[lo].token != loc.begin) return NULL;
	ps->docs.at[lo].used = true;
	return ps->docs.at[lo].text;
}

Name parse_name(ParseState *ps, const char *s, Loc loc)
{
	return (Name){intern_str(ps->strings, s, strlen(s)), loc};
}

const char *parse_plain_string(ParseState *ps, const Expr *str)
{
	if (memchr(str->u.str.text, 0, str->u.str.n)) parse_error(ps, str->loc, "syntax.string", "this string cannot hold a zero character");
	return intern_str(ps->strings, str->u.str.text, strlen(str->u.str.text));
}

Decl *parse_decl(ParseState *ps, DeclKind kind, Loc loc, Name name)
{
	Decl *d = NEW(ps->a, Decl);
	d->kind = kind;
	d->loc = loc;
	d->name = name;
	d->doc = parse_doc(ps, loc);
	File *f = ps->out;
	/* capacity is the power of two that is at least ndecls */
	if ((f->ndecls & (f->ndecls - 1)) == 0) {
		Decl **grown = NEW_ARRAY(ps->a, Decl *, f->ndecls ? 2 * f->ndecls : 1);
		if (f->ndecls) memcpy(grown, f->decls, sizeof *grown * (size_t)f->ndecls);
		f->decls = grown;
	}
	f->decls[f->ndecls++] = d;
	return d;
}

void parse_language(ParseState *ps, const Expr *version, Loc loc)
{
	bool first = ps->out->ndecls == 0;
	Decl *d = parse_decl(ps, DECL_LANGUAGE, loc, (Name){NULL, loc});
	d->u.language = version->u.integer.value > INT_MAX ? INT_MAX : (int64_t)version->u.integer.value;
	if (!first) parse_error(ps, loc, "language.first", "`language` stands before every other declaration");
	if (d->u.language == 1 || ps->quiet) return;
	parse_error(ps, version->loc, "language.version", "this file is written for version %lld of the language; this compiler knows version 1",
	            (long long)d->u.language);
	ps->quiet = true;
}

Decl *parse_import(ParseState *ps, const Expr *path, Name name, Loc loc)
{
	Decl *d = parse_decl(ps, DECL_IMPORT, loc, name);
	if (path) d->u.import.path = parse_plain_string(ps, path), d->u.import.path_loc = path->loc;
	return d;
}

void parse_decl_fn(ParseState *ps, Fn *fn)
{
	Decl *d = parse_decl(ps, DECL_FN, fn->loc, fn->name);
	if (d->doc) fn->doc = d->doc;
	d->doc = fn->doc;
	d->u.fn = fn;
}

Fn *parse_fn(ParseState *ps, Loc loc, Name name, ParamList *params, Expr *result, StmtList *body)
{
	Fn *fn = NEW(ps->a, Fn);
	fn->loc = loc;
	fn->name = name;
	fn->params = *params;
	fn->result = result;
	fn->body = *body;
	fn->doc = parse_doc(ps, loc);
	return fn;
}

Param *parse_param(ParseState *ps, ParamKind kind, Name name, Expr *type, Expr *init, Loc loc)
{
	Param *p = NEW(ps->a, Param);
	p->kind = kind;
	p->name = name;
	p->type = type;
	p->init = init;
	p->loc = loc;
	p->doc = parse_doc(ps, loc);
	return p;
}

static bool same_name(Name a, Name b)
{
	return a.text && a.text == b.text && strcmp(a.text, "_") != 0;
}

/* Names are few in a list that a person wrote; a longer list is not compared pairwise. */
#define MAX_COMPARED 256

ParamList *parse_params_check(ParseState *ps, ParamList *list)
{
	for (int i = 0; i < list->n && list->n <= MAX_COMPARED; i++) {
		Param *p = list->at[i];
		for (int j = 0; j < i; j++)
			if (same_name(p->name, list->at[j]->name)) {
				parse_error(ps, p->name.loc, "name.twice", "there are two parameters named `%s`", p->name.text);
				diag_note(ps->d, list->at[j]->name.loc, "the first is here");
				break;
			}
		if (p->kind == PARAM_REST && i < list->n - 1 && list->at[i + 1]->kind == PARAM_REST)
			parse_error(ps, list->at[i + 1]->loc, "param.rest", "only one parameter can take the rest of the arguments");
	}
	return list;
}

Member *parse_member(ParseState *ps, MemberKind kind, Loc loc)
{
	Member *m = NEW(ps->a, Member);
	m->kind = kind;
	m->loc = loc;
	m->doc = parse_doc(ps, loc);
	return m;
}

Pattern *parse_pattern_name(ParseState *ps, Name name)
{
	Pattern *p = NEW(ps->a, Pattern);
	p->name = name;
	p->loc = name.loc;
	return p;
}

Pattern *parse_pattern(ParseState *ps, PatternList *items, Loc loc, bool bare)
{
	if (bare && items->n == 1) return items->at[0];
	Pattern *p = NEW(ps->a, Pattern);
	p->is_tuple = true;
	p->items = items->at;
	p->n = items->n;
	p->cap = items->cap;
	p->loc = loc;
	return p;
}

/* --- statements -------------------------------------------------------------------------------------------------------- */
static int height_of(const Expr *e)
{
	return e ? e->height : 0;
}

static void check_height(ParseState *ps, int height, Loc loc)
{
	if (height <= PARSE_MAX_HEIGHT || ps->too_deep) return;
	ps->too_deep = true;
	parse_error(ps, loc, "syntax.depth", "this is nested too deeply: more than %d levels", PARSE_MAX_HEIGHT);
}

Stmt *parse_stmt(ParseState *ps, StmtKind kind, Loc loc)
{
	Stmt *s = NEW(ps->a, Stmt);
	s->kind = kind;
	s->loc = loc;
	s->height = 1;
	return s;
}

Stmt *parse_stmt_end(ParseState *ps, Stmt *s, Loc last)
{
	int h = 0;
	switch (s->kind) {
	case STMT_LET:
	case STMT_VAR:
		h = height_of(s->u.let.value);
		for (int i = 0; i < s->u.let.n; i++) h = max(h, height_of(s->u.let.binds[i].type));
		break;
	case STMT_ASSIGN:
	case STMT_AUGMENT: h = max(height_of(s->u.assign.target), height_of(s->u.assign.value)); break;
	case STMT_EXPR:
	case STMT_RETURN: h = height_of(s->u.expr); break;
	case STMT_ASSERT: h = max(height_of(s->u.assert_.cond), height_of(s->u.assert_.message)); break;
	case STMT_IF: h = max(max(height_of(s->u.if_.cond), s->u.if_.then.height), s->u.if_.otherwise ? s->u.if_.otherwise->height : 0); break;
	case STMT_FOR:
		h = max(max(height_of(s->u.for_.in), height_of(s->u.for_.step)), max(height_of(s->u.for_.while_), s->u.for_.body.height));
		break;
	case STMT_WHILE: h = max(height_of(s->u.while_.cond), s->u.while_.body.height); break;
	case STMT_WITH: h = max(height_of(s->u.with.what), s->u.with.body.height); break;
	case STMT_ERROR: break;
	}
	s->height = h + 1;
	s->loc = loc_span(s->loc, last);
	check_height(ps, s->height, s->loc);
	return s;
}

Stmt *parse_let(ParseState *ps, StmtKind kind, BindList *binds, Expr *value, Loc loc)
{
	Stmt *s = parse_stmt(ps, kind, loc);
	s->u.let.binds = binds->at;
	s->u.let.n = binds->n;
	s->u.let.value = value;
	return parse_stmt_end(ps, s, loc);
}

void parse_check_target(ParseState *ps, const Expr *e, const char *what)
{
	while (e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX) e = e->kind == EXPR_MEMBER ? e->u.member.base : e->u.index.base;
	if (e->kind == EXPR_NAME) return;
	if (e->kind == EXPR_TUPLE && e->u.items.n) {
		for (int i = 0; i < e->u.items.n; i++) {
			if (e->u.items.at[i]->kind == ITEM_PLAIN) parse_check_target(ps, e->u.items.at[i]->value, what);
			else parse_error(ps, e->u.items.at[i]->loc, "syntax.target", "%s", what);
		}
		return;
	}
	parse_error(ps, e->loc, "syntax.target", "%s", what);
}

Stmt *parse_assign(ParseState *ps, Expr *target, Expr *value, Loc loc)
{
	parse_check_target(ps, target, "cannot assign to this: a target is a variable, a member or element of one, or a tuple of such");
	Stmt *s = parse_stmt(ps, STMT_ASSIGN, loc);
	s->u.assign.target = target;
	s->u.assign.value = value;
	return parse_stmt_end(ps, s, loc);
}

Stmt *parse_augment(ParseState *ps, Expr *target, BinOp op, Expr *value, Loc loc)
{
	parse_check_target(ps, target, "cannot assign to this: a target is a variable, or a member or element of one");
	Stmt *s = parse_stmt(ps, STMT_AUGMENT, loc);
	s->u.assign.target = target;
	s->u.assign.value = value;
	s->u.assign.op = op;
	return parse_stmt_end(ps, s, loc);
}

void parse_split_assert(ParseState *ps, Expr *what, Loc loc, Expr **cond, Expr **message)
{
	*cond = what;
	*message = NULL;
	if (what->kind != EXPR_TUPLE || what->parenthesised) return;
	if (what->u.items.n > 2) parse_error(ps, what->u.items.at[2]->loc, "syntax.assert", "`assert` takes a condition and a message");
	*cond = what->u.items.at[0]->value;
	*message = what->u.items.at[1]->value;
}

Stmt *parse_assert(ParseState *ps, Expr *what, Loc loc)
{
	Stmt *s = parse_stmt(ps, STMT_ASSERT, loc);
	parse_split_assert(ps, what, loc, &s->u.assert_.cond, &s->u.assert_.message);
	return parse_stmt_end(ps, s, loc);
}

Stmt *parse_if(ParseState *ps, Expr *cond, StmtList *then, StmtList *otherwise, Loc loc)
{
	Stmt *s = parse_stmt(ps, STMT_IF, loc);
	s->u.if_.cond = cond;
	s->u.if_.then = *then;
	s->u.if_.otherwise = otherwise;
	return parse_stmt_end(ps, s, loc);
}

StmtList *parse_single(ParseState *ps, Stmt *s)
{
	StmtList *list = NEW(ps->a, StmtList);
	VEC_PUSH(ps->a, *list, s);
	list->loc = s->loc;
	list->height = s->height;
	return list;
}

/* --- expressions ------------------------------------------------------------------------------------------------------- */
Expr *parse_expr(ParseState *ps, ExprKind kind, Loc loc)
{
	Expr *e = NEW(ps->a, Expr);
	e->kind = kind;
	e->loc = loc;
	e->height = 1;
	return e;
}

static int height_of_index(const IndexList *list)
{
	int h = 0;
	for (int i = 0; i < list->n; i++) {
		const Index *x = list->at[i];
		h = max(h, max(max(height_of(x->expr), height_of(x->lo)), max(height_of(x->hi), height_of(x->step))));
	}
	return h;
}

Expr *parse_expr_end(ParseState *ps, Expr *e)
{
	int h = 0;
	switch (e->kind) {
	case EXPR_TUPLE:
	case EXPR_RECORD:
	case EXPR_RECORD_TYPE:
	case EXPR_LIST:
		for (int i = 0; i < e->u.items.n; i++) h = max(h, height_of(e->u.items.at[i]->value));
		break;
	case EXPR_UNARY: h = height_of(e->u.unary.a); break;
	case EXPR_BINARY: h = max(height_of(e->u.binary.a), height_of(e->u.binary.b)); break;
	case EXPR_COMPARE:
		for (int i = 0; i <= e->u.compare.n; i++) h = max(h, height_of(e->u.compare.operand[i]));
		break;
	case EXPR_IF: h = max(height_of(e->u.cond.cond), max(height_of(e->u.cond.a), height_of(e->u.cond.b))); break;
	case EXPR_RANGE: h = max(height_of(e->u.range.lo), height_of(e->u.range.hi)); break;
	case EXPR_LAMBDA: h = e->u.lambda.body ? e->u.lambda.body->height : e->u.lambda.block->height; break;
	case EXPR_CALL:
		h = height_of(e->u.call.fn);
		for (int i = 0; i < e->u.call.args.n; i++) h = max(h, height_of(e->u.call.args.at[i]->value));
		break;
	case EXPR_INDEX: h = max(height_of(e->u.index.base), height_of_index(&e->u.index.index)); break;
	case EXPR_MEMBER: h = height_of(e->u.member.base); break;
	default: break;
	}
	e->height = h + 1;
	check_height(ps, e->height, e->op_loc.file ? e->op_loc : e->loc);
	return e;
}

Expr *parse_binary(ParseState *ps, BinOp op, Expr *a, Loc at, Expr *b)
{
	Expr *e = parse_expr(ps, EXPR_BINARY, loc_span(a->loc, b->loc));
	e->op_loc = at;
	e->u.binary.op = op;
	e->u.binary.a = a;
	e->u.binary.b = b;
	return parse_expr_end(ps, e);
}

Expr *parse_unary(ParseState *ps, UnOp op, Loc at, Expr *a)
{
	Expr *e = parse_expr(ps, EXPR_UNARY, loc_span(at, a->loc));
	e->op_loc = at;
	e->u.unary.op = op;
	e->u.unary.a = a;
	return parse_expr_end(ps, e);
}

/* `a < b < c` is one node. Its arrays double when their length is a power of two. */
Expr *parse_compare(ParseState *ps, CmpOp op, Expr *a, Loc at, Expr *b)
{
	bool chain = a->kind == EXPR_COMPARE && !a->parenthesised;
	int n = chain ? a->u.compare.n : 0;
	Expr *e = chain ? a : parse_expr(ps, EXPR_COMPARE, a->loc);
	if ((n & (n - 1)) == 0) {
		int cap = n ? 2 * n : 1;
		Expr **operand = NEW_ARRAY(ps->a, Expr *, cap + 1);
		CmpOp *ops = NEW_ARRAY(ps->a, CmpOp, cap);
		if (n) {
			memcpy(operand, e->u.compare.operand, sizeof *operand * (size_t)(n + 1));
			memcpy(ops, e->u.compare.op, sizeof *ops * (size_t)n);
		} else {
			operand[0] = a;
			e->op_loc = at;
		}
		e->u.compare.operand = operand;
		e->u.compare.op = ops;
	}
	e->u.compare.operand[n + 1] = b;
	e->u.compare.op[n] = op;
	e->u.compare.n = n + 1;
	e->loc = loc_span(e->loc, b->loc);
	int height = e->height;
	if (!chain) return parse_expr_end(ps, e);
	e->height = max(height, b->height + 1);
	check_height(ps, e->height, at);
	return e;
}

Expr *parse_cond(ParseState *ps, Expr *a, Loc at, Expr *cond, Expr *b)
{
	Expr *e = parse_expr(ps, EXPR_IF, loc_span(a->loc, b->loc));
	e->op_loc = at;
	e->u.cond.a = a;
	e->u.cond.cond = cond;
	e->u.cond.b = b;
	return parse_expr_end(ps, e);
}

Expr *parse_range(ParseState *ps, Expr *lo, Loc at, Expr *hi)
{
	Expr *e = parse_expr(ps, EXPR_RANGE, loc_span(lo->loc, hi->loc));
	e->op_loc = at;
	e->u.range.lo = lo;
	e->u.range.hi = hi;
	return parse_expr_end(ps, e);
}

Expr *parse_lambda(ParseState *ps, ParamList *params, Expr *body, StmtList *block, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_LAMBDA, loc);
	e->u.lambda.params = *params;
	e->u.lambda.body = body;
	e->u.lambda.block = block;
	return parse_expr_end(ps, e);
}

ArgList parse_args(ParseState *ps, PieceList *pieces)
{
	ArgList args = {0};
	for (int i = 0; i < pieces->n; i++) {
		const Piece *p = &pieces->at[i];
		Arg *a = NEW(ps->a, Arg);
		a->kind = p->kind == PIECE_NAMED ? ARG_NAMED : p->kind == PIECE_SPREAD ? ARG_SPREAD : ARG_PLAIN;
		a->is_inout = p->is_inout;
		a->name = p->name;
		a->value = p->value;
		a->loc = p->loc;
		for (int j = 0; j < i && a->kind == ARG_NAMED && pieces->n <= MAX_COMPARED; j++)
			if (pieces->at[j].kind == PIECE_NAMED && same_name(a->name, pieces->at[j].name)) {
				parse_error(ps, a->name.loc, "name.twice", "argument `%s` is given twice", a->name.text);
				diag_note(ps->d, pieces->at[j].name.loc, "the first is here");
				break;
			}
		VEC_PUSH(ps->a, args, a);
	}
	return args;
}

Expr *parse_call(ParseState *ps, Expr *fn, PieceList *args, Loc open, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_CALL, loc_span(fn->loc, loc));
	e->op_loc = open;
	e->u.call.fn = fn;
	e->u.call.args = parse_args(ps, args);
	return parse_expr_end(ps, e);
}

Expr *parse_index(ParseState *ps, Expr *base, IndexList *index, Loc open, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_INDEX, loc_span(base->loc, loc));
	e->op_loc = open;
	e->u.index.base = base;
	e->u.index.index = *index;
	return parse_expr_end(ps, e);
}

Expr *parse_member_of(ParseState *ps, Expr *base, Name name, Loc dot)
{
	Expr *e = parse_expr(ps, EXPR_MEMBER, loc_span(base->loc, name.loc));
	e->op_loc = dot;
	e->u.member.base = base;
	e->u.member.name = name;
	return parse_expr_end(ps, e);
}

static void add_item(ParseState *ps, ItemList *list, ItemKind kind, Name name, Expr *value, Loc loc, const char *doc)
{
	Item *item = NEW(ps->a, Item);
	item->kind = kind;
	item->name = name;
	item->value = value;
	item->loc = loc;
	item->doc = doc;
	VEC_PUSH(ps->a, *list, item);
}

Expr *parse_tuple_add(ParseState *ps, Expr *list, Expr *e)
{
	bool grows = list->kind == EXPR_TUPLE && !list->parenthesised;
	Expr *tuple = grows ? list : parse_expr(ps, EXPR_TUPLE, list->loc);
	if (!grows) add_item(ps, &tuple->u.items, ITEM_PLAIN, (Name){NULL, list->loc}, list, list->loc, NULL);
	add_item(ps, &tuple->u.items, ITEM_PLAIN, (Name){NULL, e->loc}, e, e->loc, NULL);
	tuple->loc = loc_span(tuple->loc, e->loc);
	tuple->height = max(max(tuple->height, list->height + !grows), e->height + 1);
	check_height(ps, tuple->height, e->loc);
	return tuple;
}

static ItemKind item_kind(PieceKind k)
{
	return k == PIECE_PLAIN ? ITEM_PLAIN : k == PIECE_SPREAD ? ITEM_SPREAD : k == PIECE_NAMED ? ITEM_VALUE : ITEM_TYPE;
}

static void check_fields(ParseState *ps, const ItemList *list)
{
	for (int i = 0; i < list->n && list->n <= MAX_COMPARED; i++)
		for (int j = 0; j < i; j++)
			if (same_name(list->at[i]->name, list->at[j]->name)) {
				parse_error(ps, list->at[i]->name.loc, "name.twice", "there are two fields named `%s`", list->at[i]->name.text);
				diag_note(ps->d, list->at[j]->name.loc, "the first is here");
				break;
			}
}

/* Grouping, a tuple, a record or a record's type: the pieces decide. */
Expr *parse_paren(ParseState *ps, PieceList *pieces, bool trailing_comma, Loc loc)
{
	int count[4] = {0};
	const Piece *odd = NULL;
	for (int i = 0; i < pieces->n; i++) {
		const Piece *p = &pieces->at[i];
		count[p->kind]++;
		if (p->is_inout) parse_error(ps, p->loc, "syntax.inout", "`inout` marks an argument of a call");
		if (p->kind != PIECE_SPREAD && p->kind != pieces->at[0].kind && !odd && pieces->at[0].kind != PIECE_SPREAD) odd = p;
	}
	if (pieces->n == 1 && count[PIECE_PLAIN] && !trailing_comma) {
		Expr *e = pieces->at[0].value;
		e->parenthesised = true;
		e->loc = loc;
		return e;
	}
	bool record = count[PIECE_NAMED] > 0, type = count[PIECE_TYPED] > 0;
	if ((record || type) && count[PIECE_NAMED] + count[PIECE_SPREAD] != pieces->n && count[PIECE_TYPED] != pieces->n) {
		if (record && type)
			parse_error(ps, odd ? odd->loc : loc, "syntax.record", "a record has `name = value`, a record's type `name: type`: not both");
		else if (type && count[PIECE_SPREAD]) parse_error(ps, loc, "syntax.record", "nothing can be spread into a record's type");
		else parse_error(ps, odd ? odd->loc : loc, "syntax.record", "a record names all of its fields");
	}
	Expr *e = parse_expr(ps, record ? EXPR_RECORD : type ? EXPR_RECORD_TYPE : EXPR_TUPLE, loc);
	e->parenthesised = true;
	for (int i = 0; i < pieces->n; i++) {
		const Piece *p = &pieces->at[i];
		add_item(ps, &e->u.items, item_kind(p->kind), p->name, p->value, p->loc, p->doc);
	}
	check_fields(ps, &e->u.items);
	return parse_expr_end(ps, e);
}

Expr *parse_list(ParseState *ps, PieceList *pieces, Loc loc)
{
	Expr *e = parse_expr(ps, EXPR_LIST, loc);
	for (int i = 0; i < pieces->n; i++) {
		const Piece *p = &pieces->at[i];
		if (p->is_inout) parse_error(ps, p->loc, "syntax.inout", "`inout` marks an argument of a call");
		else if (p->kind == PIECE_NAMED)
			parse_error(ps, p->loc, "syntax.record", "a list's elements have no names; a record is `(name=value)`");
		add_item(ps, &e->u.items, p->kind == PIECE_SPREAD ? ITEM_SPREAD : ITEM_PLAIN, (Name){NULL, p->loc}, p->value, p->loc, NULL);
	}
	return parse_expr_end(ps, e);
}

/* --- entry ------------------------------------------------------------------------------------------------------------- */
/* Offset of the first byte that is not UTF-8 (overlong forms and surrogates are not told apart), or n. */
static size_t invalid_utf8(const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i];
		size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : n;
		if (more >= n - i && more) return i;
		for (size_t k = 1; k <= more; k++)
			if (((unsigned char)s[i + k] & 0xc0) != 0x80) return i;
		i += more + 1;
	}
	return n;
}

static void warn_unused_docs(ParseState *ps)
{
	for (int i = 0; i < ps->docs.n; i++)
		if (!ps->docs.at[i].used)
			diag(ps->d, DIAG_WARNING, ps->docs.at[i].loc, "doc.stray",
			     "this doc comment documents nothing: a declaration stands on the next line");
}

File *parse_file(Arena *a, Intern *strings, Diag *d, uint32_t file)
{
	size_t n;
	const char *text = diag_file_text(d, file, &n);
	ParseState ps = {.a = a, .strings = strings, .d = d, .out = NEW(a, File), .text = text, .n = (uint32_t)n, .file = file};
	ps.out->file = file;
	ps.cur = ps.last = (Loc){file, 0, 0};
	if (n > INT_MAX / 4) {
		parse_error(&ps, ps.cur, "file.size", "this file is too big to be a program");
		return ps.out;
	}
	size_t bad = invalid_utf8(text, n);
	if (bad < n) {
		parse_error(&ps, (Loc){file, (uint32_t)bad, (uint32_t)bad + 1}, "file.utf8", "this file is not UTF-8: byte 0x%02x",
		            (unsigned char)text[bad]);
		return ps.out;
	}
	uint32_t skip = n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	ps.pos = ps.line_begin = ps.cur.end = skip;
	if (mxl_lex_init_extra(&ps, &ps.scanner)) {
		parse_error(&ps, ps.cur, "file.size", "out of memory");
		return ps.out;
	}
	mxl__scan_bytes(text + skip, (int)(n - skip), ps.scanner);
	if (mxpparse(&ps)) ps.out->had_errors = true;
	mxl_lex_destroy(ps.scanner);
	if (!ps.out->had_errors) warn_unused_docs(&ps);
	return ps.out;
}
