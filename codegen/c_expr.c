/* Bodies as C: each node is an expression at its place of use or a named temporary. The scalar meanings are the texts of ir/ops.def. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "../ir/elem_text.h"
#include "c_body.h"

bool is_half(DType d)
{
	return d == DT_f16 || d == DT_bf16;
}

/* --- numbers ------------------------------------------------------------------------------------------------------------------------- */
static const char *float_text(Emit *e, double x, bool single)
{
	if (x != x) return "NAN";
	if (isinf(x)) return single ? (x > 0 ? "INFINITY" : "(-INFINITY)") : (x > 0 ? "(double)INFINITY" : "(-(double)INFINITY)");
	char b[48];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(b, sizeof b - 4, "%.*g", digits, x);
		if (single ? strtof(b, NULL) == (float)x : strtod(b, NULL) == x) break;
	}
	if (!strpbrk(b, ".e")) strcat(b, ".0");
	const char *s = arena_printf(e->a, "%s%s", b, single ? "f" : "");
	return signbit(x) ? arena_printf(e->a, "(%s)", s) : s;
}

const char *scalar_text(Emit *e, Scalar s)
{
	switch (s.dtype) {
	case DT_bool: return s.v.u ? "true" : "false";
	case DT_f64: return float_text(e, s.v.f, false);
	case DT_f16:
	case DT_bf16:
	case DT_f32: return float_text(e, s.v.f, true);
	case DT_c64: return arena_printf(e->a, "mx_c64_make(%s, %s)", float_text(e, s.v.c[0], true), float_text(e, s.v.c[1], true));
	case DT_u8:
	case DT_u16: return arena_printf(e->a, "%" PRIu64, s.v.u);
	case DT_u32: return arena_printf(e->a, "%" PRIu64 "u", s.v.u);
	case DT_u64: return arena_printf(e->a, "UINT64_C(%" PRIu64 ")", s.v.u);
	case DT_i64:
		if (s.v.i == INT64_MIN) return "INT64_MIN";
		return arena_printf(e->a, s.v.i < 0 ? "(-INT64_C(%" PRId64 "))" : "INT64_C(%" PRId64 ")", s.v.i < 0 ? -s.v.i : s.v.i);
	default:
		if (s.v.i == INT32_MIN) return "INT32_MIN";
		return arena_printf(e->a, s.v.i < 0 ? "(%" PRId64 ")" : "%" PRId64, s.v.i);
	}
}

/* --- uses: a node that is used once, in the body where it is made, may stand where it is used
 * ---------------------------------------------- */
static void use_node(Emit *e, Node *n, Body *at)
{
	if (!n) return;
	Use *u = map_get(&e->uses, n);
	if (!u) {
		u = NEW(e->a, Use);
		u->body = at;
		map_set(&e->uses, n, u);
	}
	u->n += u->body == at ? 1 : 2;
}

static void count_uses(Emit *e, Body *b)
{
	for (Node *n = b ? b->first : NULL; n; n = n->next) {
		for (int i = 0; i < n->narg; i++) use_node(e, n->arg[i], b);
		for (int i = 0; i < n->nindex; i++)
			for (int k = 0; k < n->index[i].n; k++) use_node(e, n->index[i].term[k].node, b);
		count_uses(e, n->body);
		count_uses(e, n->other);
	}
	if (b) use_node(e, b->result, b), use_node(e, b->result2, b);
}

void count_body(Emit *e, Body *b)
{
	if (b->parent || map_get(&e->counted, b)) return; /* it may be printed more than once */
	count_uses(e, b);
	map_set(&e->counted, b, b);
}

/* --- indices -----------------------------------------------------------------------------------------------------------------------------
 */
const char *node_text(Emit *e, Node *n)
{
	const char *s = map_get(&e->text, n);
	return s ? s : "0";
}

static bool dim_one(Dim d, int64_t *n)
{
	return dim_is_const(d, n);
}

/* coef * x with the sign handled by the caller. */
static void put_scaled(Emit *e, StrBuf *b, const char *x, Dim coef, bool negative)
{
	int64_t n;
	if (dim_one(coef, &n)) {
		n = negative ? -n : n;
		if (n == 1) sb_put(b, x);
		else sb_printf(b, "%s * %" PRId64, x, n);
	} else {
		sb_printf(b, "%s * %s", x, emit_dim(e, coef));
	}
}

/* The index of a flat loop is its last axis'; the others stay out. */
static bool in_flat_loop(const Emit *e, const Axis *x)
{
	for (int i = 0; x && i < e->nflat; i++)
		if (e->flat[i] == x) return true;
	return false;
}

static bool index_is_fixed(const Emit *e, const Index *i)
{
	for (int k = 0; k < i->n; k++)
		if (!in_flat_loop(e, i->term[k].axis)) return false;
	return true;
}

const char *index_text(Emit *e, const Index *i)
{
	StrBuf b;
	sb_init(&b, e->a);
	bool first = true;
	for (int k = 0; k < i->n; k++) {
		int64_t n;
		if (in_flat_loop(e, i->term[k].axis)) continue;
		const char *x = i->term[k].axis ? i->term[k].axis->name : node_text(e, i->term[k].node);
		bool negative = dim_one(i->term[k].coef, &n) && n < 0;
		if (!first || negative) sb_put(&b, negative ? (first ? "-" : " - ") : " + ");
		put_scaled(e, &b, x, i->term[k].coef, negative);
		first = false;
	}
	int64_t add;
	if (dim_one(i->add, &add)) {
		if (first) sb_printf(&b, "%" PRId64, add);
		else if (add) sb_printf(&b, add < 0 ? " - %" PRId64 : " + %" PRId64, add < 0 ? -add : add);
	} else {
		sb_printf(&b, "%s%s", first ? "" : " + ", emit_dim(e, i->add));
	}
	return arena_strdup(e->a, sb_text(&b));
}

/* An index as an atom. */
const char *index_atom(Emit *e, const Index *i)
{
	const char *s = index_text(e, i);
	for (const char *p = s; *p; p++)
		if (*p == ' ' || *p == '-') return arena_printf(e->a, "(%s)", s);
	return s;
}

/* Row-major position: ((i*N + j)*M + k); leading axes of a row buffer are left out. */
const char *access_text(Emit *e, const Buf *b, const Index *idx)
{
	if (buf_is_value(b) || b->space == BUF_TILE) return buf_text(e, b);
	int drop = b->space == BUF_ROW ? b->drop : 0;
	DimCtx *c = e->m->dims;
	StrBuf s;
	sb_init(&s, e->a);
	sb_printf(&s, "%s[", buf_text(e, b));
	bool first = true;
	int64_t constant = 0;
	Dim stride = dim_int(c, 1), strides[MAX_RANK];
	for (int i = b->type->rank - 1; i >= drop; i--) {
		strides[i] = stride;
		stride = dim_mul(c, stride, b->type->dim[i]);
	}
	for (int i = drop; i < b->type->rank; i++) {
		int64_t add, st;
		if (index_is_fixed(e, &idx[i]) && dim_one(idx[i].add, &add) && (add == 0 || dim_one(strides[i], &st))) {
			if (add) constant += add * st;
			continue;
		}
		const char *x = index_text(e, &idx[i]);
		if (!first) sb_put(&s, " + ");
		if (dim_one(strides[i], &st) && st == 1) sb_put(&s, x);
		else sb_printf(&s, "%s * %s", index_atom(e, &idx[i]), emit_dim(e, strides[i]));
		first = false;
	}
	if (constant || first) sb_printf(&s, first ? "%" PRId64 : " + %" PRId64, constant);
	sb_put(&s, "]");
	return arena_strdup(e->a, sb_text(&s));
}

/* --- operations --------------------------------------------------------------------------------------------------------------------------
 */
const char *meaning(OpCode op, DType d)
{
	const OpRow *r = op_row(op);
	switch (dtype_kind(d)) {
	case DK_BOOL: return r->expr_bool;
	case DK_FLOAT: return r->expr_float;
	case DK_COMPLEX: return r->expr_complex;
	default: return r->expr_int;
	}
}

const char *rounded(Emit *e, DType d, const char *x)
{
	if (!is_half(d)) return x;
	return arena_printf(e->a, "mx_f32_from_%s(mx_%s_from_f32(%s))", dtype_name(d), dtype_name(d), x);
}

/* NAME(...) or NAME[...], the brackets closing at the end: needs no parentheses. */
static bool is_call(const char *s)
{
	size_t n = 0;
	while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '.' || (s[n] == '-' && s[n + 1] == '>') ||
	       (n && s[n] == '>' && s[n - 1] == '-'))
		n++;
	if (!n || (s[n] != '(' && s[n] != '[')) return false;
	int depth = 0;
	for (; s[n]; n++) {
		depth += (s[n] == '(' || s[n] == '[') - (s[n] == ')' || s[n] == ']');
		if (!depth) return !s[n + 1];
	}
	return false;
}

/* Values of op at operand dtype d, as elem_ctype of the result, not rounded. Narrow integers are brought back from int. */
static const char *apply(Emit *e, OpCode op, DType d, const char *const *arg)
{
	StrBuf b;
	sb_init(&b, e->a);
	elem_text(&b, meaning(op, d), d, arg);
	const char *s = sb_text(&b);
	bool narrow = dtype_is_int(d) && dtype_bytes(d) < 4 && op_row(op)->gives == RC_SAME && !is_call(s);
	return narrow ? arena_printf(e->a, "(%s)(%s)", dtype_ctype(d), s) : arena_strdup(e->a, s);
}

const char *atom(Emit *e, const char *s)
{
	if (is_call(s) || !strpbrk(s, " -+*/?<>=!&|^~")) return s;
	int depth = 0;
	if (*s == '(') {
		for (const char *p = s; *p; p++) {
			depth += (*p == '(') - (*p == ')');
			if (!depth) {
				if (!p[1]) return s;
				break;
			}
		}
	}
	return arena_printf(e->a, "(%s)", s);
}

static const char *op_text(Emit *e, Node *n)
{
	const char *arg[3] = {NULL, NULL, NULL};
	for (int i = 0; i < n->narg; i++) arg[i] = atom(e, node_text(e, n->arg[i]));
	if (n->op == OP_convert) {
		StrBuf b, r;
		sb_init(&b, e->a);
		elem_convert_text(&b, n->from, n->dtype, arg[0]);
		sb_init(&r, e->a);
		elem_load_text(&r, n->dtype, sb_text(&b));
		return arena_strdup(e->a, sb_text(&r));
	}
	if (n->variant) return rounded(e, n->dtype, arena_printf(e->a, "mx_%s_%s_f32(%s)", op_row(n->op)->name, n->variant, arg[0]));
	return rounded(e, n->dtype, apply(e, n->op, n->from, arg));
}

static const char *index_value(Emit *e, Node *n)
{
	StrBuf b, r;
	sb_init(&b, e->a);
	elem_convert_text(&b, DT_i64, n->dtype, index_atom(e, n->index));
	sb_init(&r, e->a);
	elem_load_text(&r, n->dtype, sb_text(&b));
	return arena_strdup(e->a, sb_text(&r));
}

/* x clamped to [lo, hi] as ptrdiff_t; x is an integer of any dtype. */
static const char *clamp_text(Emit *e, Node *n)
{
	Node *x = n->arg[0];
	return arena_printf(e->a, "mx_clamp((ptrdiff_t)%s, %s, %s)", atom(e, node_text(e, x)), emit_dim(e, n->lo), emit_dim(e, n->hi));
}

const char *test_text(Emit *e, Node *n)
{
	const char *x = index_text(e, n->index);
	int64_t lo;
	bool from_zero = dim_is_const(n->lo, &lo) && lo == 0;
	bool never_negative = true;
	for (int i = 0; i < n->index->n; i++) {
		int64_t k;
		never_negative &= n->index->term[i].axis && dim_is_const(n->index->term[i].coef, &k) && k > 0;
	}
	int64_t add;
	never_negative &= dim_is_const(n->index->add, &add) && add >= 0;
	if (from_zero && never_negative) return arena_printf(e->a, "%s < %s", x, emit_dim(e, n->hi));
	return arena_printf(e->a, "%s >= %s && %s < %s", x, emit_dim(e, n->lo), x, emit_dim(e, n->hi));
}

/* --- statements --------------------------------------------------------------------------------------------------------------------------
 */
/* d is already taken by `best`? */
static const char *takes_place(Emit *e, DType d, bool max, const char *best, const char *y)
{
	DType c = dtype_compute(d);
	const char *before = max ? arena_printf(e->a, c == DT_c64 ? "mx_c64_lt(%s, %s)" : "%s < %s", best, y)
	                         : arena_printf(e->a, c == DT_c64 ? "mx_c64_lt(%s, %s)" : "%s < %s", y, best);
	if (c == DT_c64) return arena_printf(e->a, "!mx_c64_isnan(%s) && (mx_c64_isnan(%s) || %s)", best, y, before);
	if (dtype_is_float(c)) return arena_printf(e->a, "%s == %s && (%s != %s || %s)", best, best, y, y, before);
	return before;
}

const char *temp(Emit *e, const char *hint)
{
	const char *name = arena_printf(e->a, "%s%d", hint, e->next_temp++);
	while (emit_is_taken(e, name)) name = arena_printf(e->a, "%s%d", hint, e->next_temp++);
	return name;
}

void open_loop(Emit *e, const Axis *x, bool reverse)
{
	if (reverse) emit_line(e, "for (ptrdiff_t %s = %s; %s-- > 0;) {", x->name, emit_dim(e, x->extent), x->name);
	else emit_line(e, "for (ptrdiff_t %s = 0; %s < %s; %s++) {", x->name, x->name, emit_dim(e, x->extent), x->name);
	e->indent++;
}

void close_block(Emit *e)
{
	e->indent--;
	emit_line(e, "}");
}

void update(Emit *e, OpCode op, DType d, const char *acc, const char *x)
{
	const char *arg[2] = {acc, atom(e, x)};
	if (op == OP_add && (dtype_is_float(d) || d == DT_u32 || d == DT_u64)) emit_line(e, "%s += %s;", acc, x);
	else emit_line(e, "%s = %s;", acc, apply(e, op, d, arg));
}

/* How many partial results there can be along an axis: absent ones are neutral elements, so a short axis needs no more than its extent,
 * rounded up to a power of two. */
static int partials(const Node *n)
{
	int64_t extent;
	int lanes = n->lanes;
	if (n->naxis && dim_is_const(n->axis[n->naxis - 1]->extent, &extent))
		while (lanes > 1 && lanes / 2 >= extent) lanes /= 2;
	return lanes;
}

const char *fold_halves(Emit *e, OpCode op, DType c, const char *part, int n)
{
	const char *h = temp(e, "h"), *k = temp(e, "k");
	emit_line(e, "for (int %s = %d; %s; %s /= 2) {", h, n / 2, h, h);
	e->indent++;
	emit_line(e, "for (int %s = 0; %s < %s; %s++) {", k, k, h, k);
	e->indent++;
	update(e, op, c, arena_printf(e->a, "%s[%s]", part, k), arena_printf(e->a, "%s[%s + %s]", part, k, h));
	close_block(e);
	close_block(e);
	return arena_printf(e->a, "%s[0]", part);
}

/* Partial results in an array, folded by halving at the end. */
static const char *reduce_lanes_text(Emit *e, Node *n, int lanes)
{
	DType c = dtype_compute(n->dtype);
	const char *acc = temp(e, "acc"), *k = temp(e, "k"), *j = n->axis[n->naxis - 1]->name;
	emit_line(e, "%s %s[%d];", elem_ctype(n->dtype), acc, lanes);
	emit_line(e, "for (int %s = 0; %s < %d; %s++) %s[%s] = %s;", k, k, lanes, k, acc, k, scalar_text(e, reduce_identity(n->op, c)));
	for (int i = 0; i < n->naxis; i++) open_loop(e, n->axis[i], false);
	emit_body(e, n->body);
	update(e, n->op, c, arena_printf(e->a, lanes == n->lanes ? "%s[%s %% %d]" : "%s[%s]", acc, j, lanes), node_text(e, n->body->result));
	for (int i = 0; i < n->naxis; i++) close_block(e);
	return fold_halves(e, n->op, c, acc, lanes);
}

static void emit_reduce(Emit *e, Node *n)
{
	DType c = dtype_compute(n->dtype);
	if (n->naxis && n->axis[n->naxis - 1]->vec) {
		vector_reduce(e, n);
		return;
	}
	int lanes = partials(n);
	if (lanes > 1) {
		map_set(&e->text, n, (void *)rounded(e, n->dtype, reduce_lanes_text(e, n, lanes)));
		return;
	}
	const char *acc = temp(e, "acc"), *part = n->block ? temp(e, "part") : acc, *count = n->block ? temp(e, "count") : NULL;
	emit_line(e, "%s %s = %s;", elem_ctype(n->dtype), acc, scalar_text(e, reduce_identity(n->op, c)));
	if (count) {
		emit_line(e, "%s %s = %s;", elem_ctype(n->dtype), part, scalar_text(e, reduce_identity(n->op, c)));
		emit_line(e, "int %s = 0;", count);
	}
	for (int i = 0; i < n->naxis; i++) open_loop(e, n->axis[i], false);
	emit_body(e, n->body);
	update(e, n->op, c, part, node_text(e, n->body->result));
	if (count) {
		emit_line(e, "if (++%s == %d) {", count, n->block);
		e->indent++;
		update(e, n->op, c, acc, part);
		emit_line(e, "%s = %s;", part, scalar_text(e, reduce_identity(n->op, c)));
		emit_line(e, "%s = 0;", count);
		close_block(e);
	}
	for (int i = 0; i < n->naxis; i++) close_block(e);
	if (count) update(e, n->op, c, acc, part);
	map_set(&e->text, n, (void *)rounded(e, n->dtype, acc));
}

static void emit_arg(Emit *e, Node *n)
{
	Node *r = n->body->result;
	if (n->axis[0]->vec) {
		vector_arg(e, n);
		return;
	}
	const char *best = temp(e, "best"), *at = temp(e, "at");
	const Axis *x = n->axis[0];
	emit_line(e, "%s %s = %s;", elem_ctype(r->dtype), best, scalar_text(e, scalar_from_int(0, dtype_compute(r->dtype))));
	emit_line(e, "uint32_t %s = 0;", at);
	open_loop(e, x, false);
	emit_body(e, n->body);
	const char *y = temp(e, "y");
	emit_line(e, "const %s %s = %s;", elem_ctype(r->dtype), y, node_text(e, r));
	emit_line(e, "if (%s == 0 || (%s)) {", x->name, takes_place(e, r->dtype, n->op == OP_maximum, best, y));
	e->indent++;
	emit_line(e, "%s = %s;", best, y);
	emit_line(e, "%s = (uint32_t)%s;", at, x->name);
	close_block(e);
	close_block(e);
	map_set(&e->text, n, (void *)at);
}

static const char *stored(Emit *e, DType d, const char *x)
{
	StrBuf b;
	sb_init(&b, e->a);
	elem_store_text(&b, d, x);
	return arena_strdup(e->a, sb_text(&b));
}

static void emit_scan(Emit *e, Node *n)
{
	DType c = dtype_compute(n->dtype);
	const Axis *x = n->axis[0];
	const char *acc = temp(e, "acc"), *at = n->buf2 ? temp(e, "at") : NULL, *target = access_text(e, n->buf, n->index);
	bool best = n->op == OP_maximum || n->op == OP_minimum;
	emit_line(e, "%s %s = %s;", elem_ctype(n->dtype), acc,
	          scalar_text(e, n->op == OP_linrec ? scalar_from_int(0, c) : reduce_identity(n->op, c)));
	if (at) emit_line(e, "int32_t %s = 0;", at);
	open_loop(e, x, n->reverse);
	emit_body(e, n->body);
	const char *y = node_text(e, n->body->result);
	if (n->exclusive) {
		const char *t = temp(e, "x"); /* the result may lie where the operand does */
		emit_line(e, "const %s %s = %s;", elem_ctype(n->dtype), t, y);
		y = t;
		emit_line(e, "%s = %s;", target, stored(e, n->dtype, acc));
	}
	if (best) {
		const char *first = n->reverse ? arena_printf(e->a, "%s == %s - 1", x->name, emit_dim(e, x->extent))
		                               : arena_printf(e->a, "%s == 0", x->name),
		           *t = temp(e, "y");
		emit_line(e, "const %s %s = %s;", elem_ctype(n->dtype), t, y);
		emit_line(e, "if (%s || (%s)) {", first, takes_place(e, n->dtype, n->op == OP_maximum, acc, t));
		e->indent++;
		emit_line(e, "%s = %s;", acc, t);
		emit_line(e, "%s = (int32_t)%s;", at, x->name);
		close_block(e);
	} else if (n->op == OP_linrec) {
		const char *m[2] = {acc, atom(e, y)}, *s[2] = {acc, atom(e, node_text(e, n->body->result2))};
		emit_line(e, "%s = %s;", acc, apply(e, OP_mul, c, m));
		emit_line(e, "%s = %s;", acc, apply(e, OP_add, c, s));
	} else {
		update(e, n->op, c, acc, y);
	}
	if (!n->exclusive) emit_line(e, "%s = %s;", target, stored(e, n->dtype, acc));
	if (at) emit_line(e, "%s = %s;", access_text(e, n->buf2, n->index), at);
	close_block(e);
}

static void emit_store(Emit *e, Node *n)
{
	DType d = n->buf->type->dtype;
	const char *target = access_text(e, n->buf, n->index), *x = node_text(e, n->arg[0]);
	if (!n->mode) {
		emit_line(e, "%s = %s;", target, stored(e, d, x));
		return;
	}
	OpCode op = OP_add;
	op_find(n->mode, &op);
	if (!is_half(d)) {
		update(e, op, d, target, x);
		return;
	}
	StrBuf b;
	sb_init(&b, e->a);
	elem_load_text(&b, d, target);
	const char *arg[2] = {sb_text(&b), atom(e, x)};
	emit_line(e, "%s = %s;", target, stored(e, d, apply(e, op, d, arg)));
}

static void emit_if(Emit *e, Node *n)
{
	const char *cond = node_text(e, n->arg[0]), *t = n->body->result ? temp(e, "t") : NULL;
	if (t) emit_line(e, "%s %s;", elem_ctype(n->dtype), t);
	emit_line(e, "if (%s) {", cond);
	e->indent++;
	emit_body(e, n->body);
	if (t) emit_line(e, "%s = %s;", t, node_text(e, n->body->result));
	e->indent--;
	if (n->other) {
		emit_line(e, "} else {");
		e->indent++;
		emit_body(e, n->other);
		emit_line(e, "%s = %s;", t, node_text(e, n->other->result));
		e->indent--;
	}
	emit_line(e, "}");
	if (t) map_set(&e->text, n, (void *)t);
}

/* Address of element idx of b. */
const char *address(Emit *e, const Buf *b, const Index *idx)
{
	const char *s = access_text(e, b, idx);
	size_t n = strlen(s);
	if (n > 3 && !strcmp(s + n - 3, "[0]")) return arena_printf(e->a, "%.*s", (int)n - 3, s);
	return arena_printf(e->a, "&%s", s);
}

/* --- a node where it is made
 * --------------------------------------------------------------------------------------------------------------- */
const char *node_expression(Emit *e, Node *n)
{
	StrBuf b;
	switch (n->kind) {
	case N_CONST: return scalar_text(e, n->value);
	case N_INDEX: return index_value(e, n);
	case N_OP: return op_text(e, n);
	case N_LOAD:
		sb_init(&b, e->a);
		elem_load_text(&b, n->dtype, access_text(e, n->buf, n->index));
		return arena_strdup(e->a, sb_text(&b));
	case N_IDIV: return arena_printf(e->a, "%s / %s", index_atom(e, n->index), emit_dim(e, n->hi));
	case N_IMOD: return arena_printf(e->a, "%s %% %s", index_atom(e, n->index), emit_dim(e, n->hi));
	case N_CLAMP: return clamp_text(e, n);
	case N_TEST: return test_text(e, n);
	case N_MULTIPLE: return arena_printf(e->a, "%s %% %s == 0", index_atom(e, n->index), emit_dim(e, n->hi));
	case N_INRANGE:
		return arena_printf(e->a, "%s >= 0 && %s < %s", atom(e, node_text(e, n->arg[0])), atom(e, node_text(e, n->arg[0])),
		                    emit_dim(e, n->hi));
	default: return NULL;
	}
}

void emit_node(Emit *e, Body *b, Node *n)
{
	Use *u = map_get(&e->uses, n);
	if (e->vec && vector_node(e, b, n)) return;
	switch (n->kind) {
	case N_STORE: emit_store(e, n); return;
	case N_FOR:
		if (n->axis[0]->vec) {
			vector_loop(e, n->axis, 1, n->body);
			return;
		}
		open_loop(e, n->axis[0], false);
		emit_body(e, n->body);
		close_block(e);
		return;
	case N_REDUCE: emit_reduce(e, n); return;
	case N_ARG: emit_arg(e, n); return;
	case N_SCAN: emit_scan(e, n); return;
	case N_IF: emit_if(e, n); return;
	case N_RAW: emit_raw(e, n); return;
	default: break;
	}
	if (!u) return;
	const char *s = node_expression(e, n);
	bool integer = n->kind == N_IDIV || n->kind == N_IMOD || n->kind == N_CLAMP;
	bool here = n->kind == N_CONST || n->kind == N_INDEX ||
	            (u->n == 1 && u->body == b && strlen(s) < 90 && n->kind != N_IDIV && n->kind != N_IMOD && n->kind != N_CLAMP);
	if (here) {
		map_set(&e->text, n, (void *)s);
		return;
	}
	const char *t = temp(e, "t");
	emit_line(e, "const %s %s = %s;", integer ? "ptrdiff_t" : elem_ctype(n->dtype), t, s);
	map_set(&e->text, n, (void *)t);
}

void emit_body(Emit *e, Body *b)
{
	count_body(e, b);
	for (Node *n = b->first; n; n = n->next) emit_node(e, b, n);
}
