/* Reads loop IR text, as loop_print.c writes it or a person does. The module line, signatures, types, dims, constants and places are those
 * of tensor IR (ir/read.c); a function's body is read here, construct by construct, as the syntaxes of loop.def say:
 *
 *   body of a function = ["arena" dim] ["sizes" names] bufs steps "}"
 *   bufs    = { "buf" name ":" type space … }
 *   steps   = { word … }                            a row of STEP; in braces where a step holds steps
 *   loop    = "{" bufs ["counter" buf] ["while" buf "{" steps "}"] steps "}"
 *   kernel  = "kernel" "@" name … "{" { "outer" axis } { "axis" axis } { "stage" … } "}"
 *   body    = "{" { [%n ":" dtype "="] word … [loc] } ["yield" %n ["," %n]] "}"    a row of NODE, RAW, or an element-wise op
 */
#include <ctype.h>
#include <string.h>
#include "../ir/read.h"
#include "loop_text.h"

typedef struct Scoped {
	Map *map;
	const char *name;
} Scoped;

typedef struct LoopReader {
	Reader *r;
	Program *p;
	LoopFunc *f;
	Map funcs; /* Func -> LoopFunc */
	Map bufs, axes, nodes;
	VEC(Scoped) scoped; /* names that go when a block ends */
	const Step *home;
	Body *body; /* the one being read */
	Loc place;  /* of the stage being read */
	int depth;
} LoopReader;

static bool read_syntax(LoopReader *l, LoopStruct of, void *x, const char *s, const char *end);

static bool read_text(LoopReader *l, LoopStruct of, void *x, const char *text)
{
	return read_syntax(l, of, x, text, text + strlen(text));
}

/* --- names ---------------------------------------------------------------------------------------------------------------------------- */
static bool define(LoopReader *l, Map *map, const char *at, const char *what, const char *name, void *x, bool scoped)
{
	if (map_get(map, name)) return read_fail(l->r, at, "%s%s is defined twice", what, name);
	map_set(map, name, x);
	if (scoped) VEC_PUSH(l->r->arena, l->scoped, ((Scoped){map, name}));
	return true;
}

static void leave(LoopReader *l, int mark)
{
	while (l->scoped.n > mark) {
		Scoped s = l->scoped.at[--l->scoped.n];
		map_set(s.map, s.name, NULL);
	}
}

static bool read_name(LoopReader *l, const char *what, const char **out)
{
	*out = read_ident(l->r);
	return *out || read_fail(l->r, l->r->p, "the name of %s expected, found %s", what, read_found(l->r));
}

static bool read_buf(LoopReader *l, Buf **out)
{
	const char *at = (read_space(l->r), l->r->p), *name = NULL;
	if (!read_name(l, "a buffer", &name)) return false;
	if ((*out = map_get(&l->bufs, name))) return true;
	const char **known = NEW_ARRAY(l->r->arena, const char *, l->f->bufs.n);
	for (int i = 0; i < l->f->bufs.n; i++) known[i] = l->f->bufs.at[i]->name;
	read_fail(l->r, at, "there is no buffer `%s`", name);
	const char *near = diag_suggest(name, known, l->f->bufs.n);
	if (near) diag_help(l->r->diag, "did you mean `%s`?", near);
	return false;
}

static bool read_axis_name(LoopReader *l, const Axis **out)
{
	const char *at = (read_space(l->r), l->r->p), *name = NULL;
	if (!read_name(l, "an axis", &name)) return false;
	*out = map_get(&l->axes, name);
	return *out || read_fail(l->r, at, "there is no axis `%s`", name);
}

static bool read_node_name(LoopReader *l, const char **out)
{
	if (!read_expect(l->r, '%', "before the number of a node")) return false;
	const char *at = l->r->p;
	while (l->r->p < l->r->end && isdigit((unsigned char)*l->r->p)) l->r->p++;
	if (l->r->p == at) return read_fail(l->r, at, "a number expected after `%%`");
	*out = intern_str(&l->r->m->strings, at, (size_t)(l->r->p - at));
	return true;
}

static bool read_node_ref(LoopReader *l, Node **out)
{
	const char *at = (read_space(l->r), l->r->p), *name = NULL;
	if (!read_node_name(l, &name)) return false;
	*out = map_get(&l->nodes, name);
	return *out || read_fail(l->r, at, "%%%s is not defined here", name);
}

static LoopFunc *loop_func(LoopReader *l, Func *f)
{
	LoopFunc *lf = map_get(&l->funcs, f);
	if (lf) return lf;
	lf = NEW(l->r->arena, LoopFunc);
	lf->func = f;
	lf->name = f->name;
	map_set(&l->funcs, f, lf);
	return lf;
}

static bool read_func_ref(LoopReader *l, LoopFunc **out)
{
	const char *at = (read_space(l->r), l->r->p), *name = NULL;
	if (!read_func_name(l->r, &name)) return false;
	Func *f = func_find(l->r->m, name);
	if (!f) return read_fail(l->r, at, "there is no function @%s", name);
	*out = loop_func(l, f);
	return true;
}

/* --- positions --------------------------------------------------------------------------------------------------------------------------
 */
typedef struct Terms {
	VEC(Term) at;
	Dim add;
	int adds;
} Terms;

static bool starts_name(LoopReader *l)
{
	read_space(l->r);
	return l->r->p < l->r->end && (isalpha((unsigned char)*l->r->p) || *l->r->p == '_');
}

/* [coef "*"] axis | [coef "*"] %node | number | "(" dim ")" */
static bool read_term(LoopReader *l, Terms *t, bool minus)
{
	Reader *r = l->r;
	Dim coef = dim_int(r->m->dims, minus ? -1 : 1);
	const char *at = (read_space(r), r->p);
	if (read_peek(r, '(') || isdigit((unsigned char)*r->p)) {
		int64_t n;
		if (read_accept(r, '(')) {
			if (minus) return read_fail(r, at, "a dimension is added, not subtracted");
			if (!read_dim(r, &coef) || !read_expect(r, ')', "after the dimension")) return false;
		} else {
			if (!read_int(r, &n)) return false;
			coef = dim_int(r->m->dims, minus ? -n : n);
		}
		if (!read_accept(r, '*')) {
			if (t->adds++) return read_fail(r, at, "a position has one term without an axis or node");
			t->add = coef;
			return true;
		}
	}
	Term x = {.coef = coef};
	if (read_peek(r, '%') ? !read_node_ref(l, &x.node) : !read_axis_name(l, &x.axis)) return false;
	VEC_PUSH(r->arena, t->at, x);
	return true;
}

static bool read_position(LoopReader *l, Index *out)
{
	Terms t = {.add = dim_int(l->r->m->dims, 0)};
	bool minus = read_accept(l->r, '-');
	if (!read_term(l, &t, minus)) return false;
	for (;;) {
		if (read_accept(l->r, '+')) minus = false;
		else if (read_accept(l->r, '-')) minus = true;
		else break;
		if (!read_term(l, &t, minus)) return false;
	}
	*out = (Index){t.at.at, t.at.n, t.add};
	return true;
}

static bool read_access(LoopReader *l, Node *n)
{
	enum { MAX_INDICES = 32 }; /* of a library call's sizes; an element has at most MAX_RANK */
	Index index[MAX_INDICES];
	n->nindex = 0;
	if (!read_accept(l->r, '[')) return true;
	do {
		if (n->nindex == MAX_INDICES) return read_fail(l->r, l->r->p, "an access has at most %d indices", MAX_INDICES);
		if (!read_position(l, &index[n->nindex++])) return false;
	} while (read_accept(l->r, ','));
	n->index = arena_copy(l->r->arena, index, sizeof *index * (size_t)n->nindex);
	return read_expect(l->r, ']', "after the indices");
}

/* --- nodes ------------------------------------------------------------------------------------------------------------------------------
 */
static bool read_body(LoopReader *l, Body **out);

/* What a word at the beginning of a node means. False after a message. */
static bool find_node(LoopReader *l, const char *at, const char *word, Node *n, const KindRow **row)
{
	const char *known[N_COUNT + 64 + OP_COUNT];
	int count = 0;
	for (int k = 0; k < N_COUNT; k++) {
		if (k == N_OP || k == N_RAW) continue;
		known[count++] = loop_nodes[k].word;
		if (!strcmp(word, loop_nodes[k].word)) return n->kind = (NodeKind)k, *row = &loop_nodes[k], true;
	}
	for (int k = 0; k < nloop_raws && k < 64; k++) {
		known[count++] = loop_raws[k].word;
		if (!strcmp(word, loop_raws[k].word)) return n->kind = N_RAW, n->mode = loop_raws[k].word, *row = &loop_raws[k], true;
	}
	if (op_find(word, &n->op) && op_is_elementwise(n->op)) return n->kind = N_OP, *row = &loop_nodes[N_OP], true;
	for (int k = 0; k < OP_COUNT; k++)
		if (op_is_elementwise((OpCode)k)) known[count++] = op_row((OpCode)k)->name;
	read_fail(l->r, at, "there is no node `%s`", word);
	const char *near = diag_suggest(word, known, count);
	if (near) diag_help(l->r->diag, "did you mean `%s`?", near);
	return false;
}

/* What a node's text leaves out. */
static void complete(Node *n)
{
	if (n->kind == N_OP && n->narg) n->from = n->arg[n->op == OP_select && n->narg > 1 ? 1 : 0]->dtype;
	if (n->kind == N_RAW && n->src && !n->buf) n->from = n->src->type->dtype;
	if (!node_gives(n) && n->buf) n->dtype = n->buf->type->dtype;
}

static bool read_node(LoopReader *l, Body *b)
{
	Reader *r = l->r;
	Node *n = NEW(r->arena, Node);
	const KindRow *row;
	const char *name = NULL, *at = (read_space(r), r->p), *word, *word_at;
	if (read_peek(r, '%') && (!read_node_name(l, &name) || !read_expect(r, ':', "before a node's dtype") || !read_dtype(r, &n->dtype) ||
	                          !read_expect(r, '=', "after a node's dtype")))
		return false;
	word_at = (read_space(r), r->p);
	if (!(word = read_ident(r))) return read_fail(r, r->p, "a node, `yield` or `}` expected, found %s", read_found(r));
	if (!find_node(l, word_at, word, n, &row)) return false;
	n->loc = l->place;
	if (n->kind == N_OP) r->p = word_at; /* the op is a field */
	if (!read_text(l, LS_Node, n, row->text)) return false;
	if (n->variant && !variant_exists(n->op, n->variant)) return read_fail(r, word_at, "`%s` has no variant `%s`", word, n->variant);
	if (read_word(r, "loc") && !read_loc(r, &n->loc)) return false;
	complete(n);
	if (node_gives(n) != (name != NULL))
		return read_fail(r, at, name ? "`%s` gives no value here" : "`%s` gives a value: %%0: dtype = … expected", word);
	if (b->last) b->last->next = n;
	else b->first = n;
	b->last = n;
	return !name || define(l, &l->nodes, at, "%", name, n, true);
}

static bool read_body(LoopReader *l, Body **out)
{
	Reader *r = l->r;
	Body *b = *out = NEW(r->arena, Body);
	b->parent = l->body;
	if (!read_expect(r, '{', "before a body")) return false;
	if (++l->depth > READ_MAX_DEPTH) return read_fail(r, r->p, "bodies nest deeper than %d", READ_MAX_DEPTH);
	int mark = l->scoped.n;
	l->body = b;
	while (!read_peek(r, '}') && !read_next_is(r, "yield"))
		if (!read_node(l, b)) return false;
	if (read_word(r, "yield")) {
		if (!read_node_ref(l, &b->result)) return false;
		if (read_accept(r, ',') && !read_node_ref(l, &b->result2)) return false;
	}
	leave(l, mark);
	l->depth--;
	l->body = b->parent;
	return read_expect(r, '}', "at the end of the body");
}

/* --- kernels
 * ------------------------------------------------------------------------------------------------------------------------------ */
static bool read_axis(LoopReader *l, const Axis **out)
{
	Axis *x = NEW(l->r->arena, Axis);
	const char *at = (read_space(l->r), l->r->p);
	*out = x;
	return read_text(l, LS_Axis, x, loop_syntax[LS_Axis]) && define(l, &l->axes, at, "the axis ", x->name, x, true);
}

static bool read_stages(LoopReader *l, Kernel *k)
{
	Reader *r = l->r;
	const Axis *x;
	VEC(Nest *) stages = {0};
	if (!read_expect(r, '{', "before the stages of a kernel")) return false;
	while (read_word(r, "outer")) {
		if (k->nouter == MAX_RANK) return read_fail(r, r->p, "at most %d axes", MAX_RANK);
		if (!read_axis(l, &k->outer[k->nouter++])) return false;
	}
	while (read_word(r, "axis"))
		if (!read_axis(l, &x)) return false;
	while (!read_accept(r, '}')) {
		Nest *s = NEW(r->arena, Nest);
		int mark = l->scoped.n;
		l->place = NO_LOC;
		if (!read_next_is(r, "stage")) return read_fail(r, r->p, "`outer`, `axis`, `stage` or `}` expected, found %s", read_found(r));
		if (!read_text(l, LS_Nest, s, loop_syntax[LS_Nest])) return false;
		leave(l, mark);
		VEC_PUSH(r->arena, stages, s);
	}
	k->stages = stages.at;
	k->nstages = k->cap = stages.n;
	return true;
}

static bool read_kernel(LoopReader *l, Step *s)
{
	Reader *r = l->r;
	Kernel *k = s->kernel = NEW(r->arena, Kernel);
	int mark = l->scoped.n;
	bool ok = read_text(l, LS_Kernel, k, loop_syntax[LS_Kernel]);
	leave(l, mark);
	s->loc = k->loc;
	if (ok && !k->nstages) return read_fail(r, r->p, "a kernel needs a stage");
	return ok;
}

/* --- steps
 * -------------------------------------------------------------------------------------------------------------------------------- */
static bool read_bufs(LoopReader *l)
{
	Reader *r = l->r;
	while (read_word(r, "buf")) {
		Buf *b = NEW(r->arena, Buf);
		const char *at = (read_space(r), r->p), *word;
		int k = 0;
		b->home = l->home;
		b->first = INT32_MAX, b->last = -1;
		if (!read_text(l, LS_Buf, b, loop_syntax[LS_Buf])) return false;
		const char *word_at = (read_space(r), r->p);
		word = read_ident(r);
		while (k < nloop_bufs && !(word && !strcmp(loop_bufs[k].word, word))) k++;
		if (k == nloop_bufs) return read_fail(r, word_at, "where the buffer `%s` lives is not known", b->name);
		b->space = (BufSpace)k;
		if (!read_text(l, LS_Buf, b, loop_bufs[k].text)) return false;
		if (!define(l, &l->bufs, at, "the buffer ", b->name, b, false)) return false;
		VEC_PUSH(r->arena, l->f->bufs, b);
	}
	return true;
}

static bool read_steps(LoopReader *l, StepList *list)
{
	Reader *r = l->r;
	if (++l->depth > READ_MAX_DEPTH) return read_fail(r, r->p, "steps nest deeper than %d", READ_MAX_DEPTH);
	while (!read_accept(r, '}')) {
		Step *s = NEW(r->arena, Step);
		const char *at = (read_space(r), r->p), *word = read_ident(r);
		int k = 0;
		while (k < STEP_COUNT && !(word && !strcmp(loop_steps[k].word, word))) k++;
		if (k == STEP_COUNT) {
			r->p = at;
			return read_fail(r, at, "a step expected (kernel, loop, if, when, call, copy, print, assert), found %s", read_found(r));
		}
		s->kind = (StepKind)k;
		int mark = l->scoped.n;
		if (!read_text(l, LS_Step, s, loop_steps[k].text)) return false;
		leave(l, mark);
		VEC_PUSH(r->arena, *list, s);
	}
	l->depth--;
	return true;
}

static bool read_loop(LoopReader *l, Step *s)
{
	Reader *r = l->r;
	const Step *home = l->home;
	l->home = s;
	if (!read_expect(r, '{', "before the steps of a loop") || !read_bufs(l)) return false;
	if (read_word(r, "counter") && !read_buf(l, &s->counter)) return false;
	if (read_word(r, "while") &&
	    (!read_buf(l, &s->cond) || !read_expect(r, '{', "before the steps of `while`") || !read_steps(l, &s->head)))
		return false;
	if (!read_steps(l, &s->body)) return false;
	l->home = home;
	return true;
}

/* --- fields
 * -------------------------------------------------------------------------------------------------------------------------------- */
static bool read_names(LoopReader *l, const FieldRow *f, void *x)
{
	VEC(const char *) names = {0};
	while (starts_name(l)) {
		const char *name = read_ident(l->r);
		VEC_PUSH(l->r->arena, names, name);
		if (!read_accept(l->r, ',')) break;
	}
	FIELD_AT(StepList, x, f).at = (Step **)names.at; /* any VEC of pointers */
	FIELD_AT(StepList, x, f).n = FIELD_AT(StepList, x, f).cap = names.n;
	return true;
}

static bool read_buf_list(LoopReader *l, const FieldRow *f, void *x)
{
	VEC(Buf *) list = {0};
	while (starts_name(l)) {
		Buf *b;
		if (!read_buf(l, &b)) return false;
		VEC_PUSH(l->r->arena, list, b);
		if (!read_accept(l->r, ',')) break;
	}
	FIELD_AT(Buf **, x, f) = list.at;
	field_set_int(x, f->count_at, f->count_size, list.n);
	return true;
}

static bool read_axes(LoopReader *l, const FieldRow *f, void *x)
{
	const Axis **list = &FIELD_AT(const Axis *, x, f);
	int n = 0;
	while (starts_name(l)) {
		if (n == MAX_RANK) return read_fail(l->r, l->r->p, "at most %d axes", MAX_RANK);
		if (!read_axis_name(l, &list[n++])) return false;
		if (!read_accept(l->r, ',')) break;
	}
	field_set_int(x, f->count_at, f->count_size, n);
	return true;
}

static bool read_args(LoopReader *l, Node *n)
{
	do {
		if (n->narg == 3) return read_fail(l->r, l->r->p, "a node has at most three operands");
		if (!read_node_ref(l, &n->arg[n->narg++])) return false;
	} while (read_accept(l->r, ','));
	return true;
}

static bool read_op(LoopReader *l, OpCode *out)
{
	const char *at = (read_space(l->r), l->r->p), *name = read_ident(l->r);
	return (name && op_find(name, out)) || read_fail(l->r, at, "the name of an op expected, found `%s`", name ? name : "");
}

static bool read_number(LoopReader *l, const FieldRow *f, void *x)
{
	int64_t n;
	const char *at = l->r->p;
	if (!read_int(l->r, &n)) return false;
	if (f->size == 4 && n != (int32_t)n) return read_fail(l->r, at, "the number is too large");
	field_set_int(x, f->at, f->size, n);
	return true;
}

static bool read_numbers(LoopReader *l, const FieldRow *f, void *x)
{
	VEC(int64_t) list = {0};
	do {
		int64_t n;
		if (!read_int(l->r, &n)) return false;
		VEC_PUSH(l->r->arena, list, n);
	} while (read_accept(l->r, ','));
	FIELD_AT(const int64_t *, x, f) = list.at;
	field_set_int(x, f->count_at, f->count_size, list.n);
	return true;
}

static bool read_flag(LoopReader *l, const FieldRow *f, void *x)
{
	if (!read_word(l->r, f->name)) return read_fail(l->r, l->r->p, "`%s` expected, found %s", f->name, read_found(l->r));
	field_set_int(x, f->at, f->size, 1);
	return true;
}

static bool read_place(LoopReader *l, Loc *out)
{
	if (!read_word(l->r, "loc")) return read_fail(l->r, l->r->p, "`loc` expected, found %s", read_found(l->r));
	if (!read_loc(l->r, out)) return false;
	l->place = *out;
	return true;
}

static bool read_field(LoopReader *l, const FieldRow *f, void *x)
{
	Reader *r = l->r;
	switch (f->kind) {
	case FK_WORD: return read_name(l, f->name, &FIELD_AT(const char *, x, f));
	case FK_TEXT: return read_string(r, &FIELD_AT(const char *, x, f));
	case FK_DIM: return read_dim(r, &FIELD_AT(Dim, x, f));
	case FK_INT: return read_number(l, f, x);
	case FK_FLAG: return read_flag(l, f, x);
	case FK_TYPE: return read_type(r, &FIELD_AT(const Type *, x, f));
	case FK_TENSOR: return read_tensor(r, &FIELD_AT(const Tensor *, x, f));
	case FK_SCALAR: return read_scalar(r, ((Node *)x)->dtype, &FIELD_AT(Scalar, x, f));
	case FK_OP: return read_op(l, &FIELD_AT(OpCode, x, f));
	case FK_FUNC: return read_func_ref(l, &FIELD_AT(LoopFunc *, x, f));
	case FK_BUF: return read_buf(l, &FIELD_AT(Buf *, x, f));
	case FK_BUFS: return read_buf_list(l, f, x);
	case FK_NAMES: return read_names(l, f, x);
	case FK_LOC: return read_place(l, &FIELD_AT(Loc, x, f));
	case FK_ARGS: return read_args(l, x);
	case FK_NUMBERS: return read_numbers(l, f, x);
	case FK_POSITION:
		FIELD_AT(Index *, x, f) = NEW(r->arena, Index);
		field_set_int(x, f->count_at, f->count_size, 1);
		return read_position(l, FIELD_AT(Index *, x, f));
	case FK_ACCESS: return read_access(l, x);
	case FK_ROW: field_set_int(x, f->count_at, f->count_size, 1); return read_position(l, &FIELD_AT(Index, x, f));
	case FK_AXIS: return read_axis(l, &FIELD_AT(const Axis *, x, f));
	case FK_AXES: return read_axes(l, f, x);
	case FK_BODY: return read_body(l, &FIELD_AT(Body *, x, f));
	case FK_STEPS: return read_expect(r, '{', "before steps") && read_steps(l, &FIELD_AT(StepList, x, f));
	case FK_LOOP: return read_loop(l, x);
	case FK_STAGES: return read_stages(l, x);
	case FK_KERNEL: return read_kernel(l, x);
	}
	return false;
}

/* --- syntaxes ----------------------------------------------------------------------------------------------------------------------------
 */
/* Does the text go on with what the optional part begins with? */
static bool group_begins(LoopReader *l, LoopStruct of, const char *s, const char *end)
{
	SyntaxItem i;
	while (s < end && isspace((unsigned char)*s)) s++;
	if (s < end && (isalnum((unsigned char)*s) || *s == '_')) {
		char word[32];
		size_t n = 0;
		while (s < end && n < sizeof word - 1 && (isalnum((unsigned char)*s) || *s == '_')) word[n++] = *s++;
		word[n] = 0;
		return read_next_is(l->r, word);
	}
	if (!syntax_next(of, &s, end, &i)) return false;
	if (i.kind == SYNTAX_GROUP) return group_begins(l, of, i.inside, i.inside + i.n);
	if (i.kind == SYNTAX_CHAR) return read_peek(l->r, i.c);
	switch (i.field->kind) {
	case FK_FLAG: return read_next_is(l->r, i.field->name);
	case FK_LOC: return read_next_is(l->r, "loc");
	case FK_TEXT: return read_peek(l->r, '"');
	case FK_ARGS: return read_peek(l->r, '%');
	case FK_ACCESS: return read_peek(l->r, '[');
	default: return starts_name(l);
	}
}

/* The characters that stand for themselves: words as a whole, others singly. */
static bool read_literal(LoopReader *l, const char *s, size_t n)
{
	Reader *r = l->r;
	read_space(r);
	if ((size_t)(r->end - r->p) >= n && !memcmp(r->p, s, n) && !(isalnum((unsigned char)*s) && ir_name_char(r->p[n])))
		return r->p += n, true;
	return read_fail(r, r->p, "`%.*s` expected, found %s", (int)n, s, read_found(r));
}

static bool read_syntax(LoopReader *l, LoopStruct of, void *x, const char *s, const char *end)
{
	while (s < end) {
		if (isspace((unsigned char)*s)) {
			s++;
			continue;
		}
		if (*s != '{' && *s != '[') {
			const char *from = s++;
			while (isalnum((unsigned char)*from) && s < end && isalnum((unsigned char)*s)) s++;
			if (!read_literal(l, from, (size_t)(s - from))) return false;
			continue;
		}
		SyntaxItem i;
		syntax_next(of, &s, end, &i);
		if (i.kind == SYNTAX_FIELD ? !read_field(l, i.field, x)
		                           : group_begins(l, of, i.inside, i.inside + i.n) && !read_syntax(l, of, x, i.inside, i.inside + i.n))
			return false;
	}
	return true;
}

/* --- functions --------------------------------------------------------------------------------------------------------------------------
 */
static void set_results(Reader *r, Func *f, const Type *const *types, int n)
{
	f->body->result = NEW_ARRAY(r->arena, Value *, n + 1);
	f->body->nresult = n;
	for (int i = 0; i < n; i++) {
		Value *v = f->body->result[i] = NEW(r->arena, Value);
		*v = (Value){.type = types[i], .block = f->body, .index = i, .id = r->m->next_id++};
	}
}

/* Parameters and results to their buffers. */
static bool bind_signature(LoopReader *l, const char *at)
{
	LoopFunc *f = l->f;
	Func *g = f->func;
	int np = g->body->nparam, nr = g->body->nresult;
	f->param = NEW_ARRAY(l->r->arena, Buf *, np + 1);
	f->result = NEW_ARRAY(l->r->arena, Buf *, nr + 1);
	for (int i = 0; i < f->bufs.n; i++) {
		Buf *b = f->bufs.at[i];
		if (b->space != BUF_PARAM && b->space != BUF_RESULT) continue;
		bool param = b->space == BUF_PARAM;
		const char *what = param ? "parameter" : "result";
		if (b->number < 0 || b->number >= (param ? np : nr)) return read_fail(l->r, at, "@%s has no %s %d", g->name, what, b->number);
		Buf **to = &(param ? f->param : f->result)[b->number];
		if (*to) return read_fail(l->r, at, "%s %d of @%s has two buffers", what, b->number, g->name);
		*to = b;
		if (param && g->param_path) b->path = g->param_path[b->number];
		if (!param && g->result_path) b->path = g->result_path[b->number];
	}
	for (int i = 0; i < np; i++)
		if (!f->param[i]) return read_fail(l->r, at, "parameter %d of @%s has no buffer", i, g->name);
	for (int i = 0; i < nr; i++) {
		int alias = g->result_alias ? g->result_alias[i] : -1;
		if (alias >= 0 && f->result[i]) return read_fail(l->r, at, "result %d of @%s is parameter %d, and has a buffer", i, g->name, alias);
		if (alias >= 0) f->result[i] = f->param[alias];
		if (!f->result[i]) return read_fail(l->r, at, "result %d of @%s has no buffer", i, g->name);
	}
	return true;
}

static bool read_func_body(Reader *r, Func *g, const Type *const *results, int nresults)
{
	LoopReader *l = r->ctx;
	const char *at = r->p;
	LoopFunc *f = l->f = loop_func(l, g);
	map_init(&l->bufs, r->arena), map_init(&l->axes, r->arena), map_init(&l->nodes, r->arena);
	l->scoped.n = 0, l->depth = 0, l->home = NULL, l->body = NULL, l->place = NO_LOC;
	set_results(r, g, results, nresults);
	VEC_PUSH(r->arena, l->p->funcs, f);
	return read_text(l, LS_LoopFunc, f, loop_syntax[LS_LoopFunc]) && read_bufs(l) && read_steps(l, &f->steps) && bind_signature(l, at);
}

Program *loops_read(Arena *a, Diag *d, uint32_t file)
{
	Reader r;
	reader_init(&r, a, d, file);
	LoopReader l = {.r = &r, .p = NEW(a, Program)};
	map_init(&l.funcs, a);
	l.p->m = r.m;
	r.body = read_func_body;
	r.ctx = &l;
	read_module(&r);
	if (r.errors) return NULL;
	l.p->after = r.m->after;
	loops_settle(l.p);
	return l.p;
}
