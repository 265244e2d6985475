/* Vector loops: the same bodies over MX_W elements at a time, with kernels/vector.h. Which loops is passes/vectorise.c's decision.
 *
 * Values that do not differ between lanes stay scalars, those of the whole loop are computed before it. Comparisons give masks. What has no
 * vector routine is computed lane by lane through a small array. A loop whose body asks whether an index lies in a range is cut where the
 * answer changes. The last elements of a loop are done with fewer lanes (`active`). A sum keeps its REDUCE_LANES partial results
 * (ir/order.h) in an array of vectors, which the compiler turns into registers. */
#include <inttypes.h>
#include <string.h>
#include "../passes/vectorise.h"
#include "c_body.h"
#include "codegen.h"

enum { MAX_TESTS = 2 /* a loop is cut for: at most 3 * 3 pieces */ };

/* --- names --------------------------------------------------------------------------------------------------------------------------- */
static const char *vector_type(const Emit *e, DType d)
{
	return elem_vector(d, e->vec->bits);
}

static const char *width(const VecLoop *v)
{
	return v->bits == 64 ? "MX_WD" : "MX_W";
}

/* mx_bc_f32, mx_ld_f32: the lanes' own types. */
static const char *lane_name(DType d)
{
	if (is_half(d)) return "f32";
	if (dtype_is_int(d)) return dtype_is_signed(d) ? "i32" : "u32";
	return dtype_name(d);
}

static bool varies(const Emit *e, const Node *n)
{
	return e->vec && map_get(&e->vec->varies, n) != NULL;
}

static const char *broadcast(Emit *e, DType d, const char *x)
{
	if (d == DT_bool && e->vec->bits == 64) return arena_printf(e->a, "(mx_first_vd(%s ? MX_WD : 0))", atom(e, x));
	return arena_printf(e->a, "mx_bc_%s(%s)", lane_name(d), x);
}

/* n as a vector, an atom. */
const char *vector_text(Emit *e, Node *n)
{
	const char *x = node_text(e, n);
	return varies(e, n) ? atom(e, x) : broadcast(e, n->dtype, x);
}

static bool known_function(void *ctx, const char *name)
{
	Emit *e = ctx;
	return codegen_has_definition(e->a, name);
}

/* --- lane by lane ---------------------------------------------------------------------------------------------------------------------
 * The nodes that n needs and that no vector holds (integers for indices) are printed inside the loop over lanes, as scalars. */
typedef struct Lanes {
	Node *node[64];
	const char *old[64];
	int n;
} Lanes;

static void lanes_text(Emit *e, Lanes *l, Node *n, const char *s)
{
	if (l->n == 64) return;
	l->node[l->n] = n;
	l->old[l->n++] = map_get(&e->text, n);
	map_set(&e->text, n, (void *)s);
}

static bool has_vector(const Node *n)
{
	return n->kind != N_IDIV && n->kind != N_IMOD && n->kind != N_CLAMP && dtype_bytes(n->dtype) <= 8 && n->dtype != DT_i64 &&
	       n->dtype != DT_u64;
}

static void lanes_need(Emit *e, Lanes *l, Node *n, StrBuf *before, int depth);

/* What n is computed from: vectors are put into arrays before the loop over lanes. */
static void lanes_needs(Emit *e, Lanes *l, Node *n, StrBuf *before, int depth)
{
	for (int i = 0; i < n->narg; i++) lanes_need(e, l, n->arg[i], before, depth);
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].node) lanes_need(e, l, n->index[i].term[k].node, before, depth);
}

static void lanes_need(Emit *e, Lanes *l, Node *n, StrBuf *before, int depth)
{
	for (int i = 0; i < l->n; i++)
		if (l->node[i] == n) return;
	if (!varies(e, n)) return;
	if (has_vector(n) && map_get(&e->text, n)) {
		const char *t = temp(e, "lane");
		if (n->dtype == DT_bool && e->vec->bits == 64) { /* a mask of 64 bits a lane */
			sb_printf(before, "double %s[MX_WD];\nmx_st_f64(%s, mx_sel_vd(%s, mx_bc_f64(1.0), mx_bc_f64(0.0)));\n", t, t, node_text(e, n));
			lanes_text(e, l, n, arena_printf(e->a, "(%s[mx_lane] != 0.0)", t));
			return;
		}
		sb_printf(before, "%s %s[MX_W];\nmx_st_%s(%s, %s);\n", elem_ctype(n->dtype == DT_bool ? DT_bool : n->dtype), t,
		          is_half(n->dtype) ? "f32" : dtype_name(n->dtype), t, node_text(e, n));
		lanes_text(e, l, n, arena_printf(e->a, "%s[mx_lane]", t));
		return;
	}
	lanes_needs(e, l, n, before, depth + 1);
	VecLoop *v = e->vec;
	e->vec = NULL;
	const char *s = atom(e, node_expression(e, n));
	e->vec = v;
	lanes_text(e, l, n, s);
}

static const char *store_lanes_name(DType d)
{
	return is_half(d) ? "f32" : dtype_name(d);
}

/* The vector of n's values, each computed as a scalar. */
static const char *lane_by_lane(Emit *e, Node *n)
{
	VecLoop *v = e->vec;
	Lanes l = {.n = 0};
	StrBuf before, inside, *out = e->out;
	sb_init(&before, e->a), sb_init(&inside, e->a);
	const char *name = v->axis->name, *at = temp(e, name), *t = temp(e, "t"), *array = temp(e, "lane");
	((Axis *)v->axis)->name = at;
	lanes_needs(e, &l, n, &before, 0);
	e->vec = NULL;
	e->out = &inside;
	e->indent++;
	const char *value;
	if (n->kind == N_IF) emit_node(e, n->body->parent, n), value = node_text(e, n);
	else value = node_expression(e, n);
	e->indent--;
	e->out = out;
	e->vec = v;
	((Axis *)v->axis)->name = name;
	char *text = arena_strdup(e->a, sb_text(&before));
	for (char *s = strtok(text, "\n"); s; s = strtok(NULL, "\n")) emit_line(e, "%s", s);
	bool wide = n->dtype == DT_bool && v->bits == 64; /* a mask of 64 bits a lane: through numbers */
	emit_line(e, "%s %s[%s]%s;", wide ? "double" : elem_ctype(n->dtype), array, width(v), v->active ? " = {0}" : "");
	emit_line(e, "for (int mx_lane = 0; mx_lane < %s; mx_lane++) {", v->active ? v->active : width(v));
	e->indent++;
	if (text_mentions(value, at) || text_mentions(sb_text(&inside), at)) emit_line(e, "const ptrdiff_t %s = %s + mx_lane;", at, name);
	sb_put(e->out, sb_text(&inside));
	if (wide) value = arena_printf(e->a, "%s ? 1.0 : 0.0", atom(e, value));
	emit_line(e, "%s[mx_lane] = %s;", array, value);
	close_block(e);
	if (wide) emit_line(e, "const mx_vl %s = mx_ld_f64(%s) != mx_bc_f64(0.0);", t, array);
	else emit_line(e, "const %s %s = mx_ld_%s(%s);", vector_type(e, n->dtype), t, store_lanes_name(n->dtype), array);
	for (int i = l.n - 1; i >= 0; i--) map_set(&e->text, l.node[i], (void *)l.old[i]);
	return t;
}

/* --- operations ---------------------------------------------------------------------------------------------------------------------- */
/* op over vector operands, not rounded; NULL: there is no such routine. pure[]: the operands as scalars where they are. */
static const char *apply_lanes(Emit *e, OpCode op, DType d, const char *const *vector, const char *const *pure)
{
	const char *m = meaning(op, d), *twin = arena_printf(e->a, "mx_%s_%s", op_row(op)->name, elem_vector(d, e->vec->bits) + 3);
	StrBuf b;
	if (!m) return NULL;
	if (d != DT_bool && !elem_text_is_pure(m) && codegen_has_definition(e->a, twin)) {
		if (op_row(op)->nin == 1) return arena_printf(e->a, "%s(%s)", twin, vector[0]);
		if (op_row(op)->nin == 2) return arena_printf(e->a, "%s(%s, %s)", twin, vector[0], vector[1]);
	}
	sb_init(&b, e->a);
	bool ok = elem_text_lanes(&b, m, d, e->vec->bits, elem_text_is_pure(m) ? pure : vector, known_function, e);
	return ok ? arena_strdup(e->a, sb_text(&b)) : NULL;
}

/* Rounding that the store does anyway is left to it. */
static bool only_stored(Emit *e, const Node *n)
{
	const Use *u = map_get(&e->uses, n);
	if (!u || u->n != 1) return false;
	for (const Node *s = n->next; s; s = s->next)
		if (s->kind == N_STORE && s->arg[0] == n) return !s->mode && s->buf->type->dtype == n->dtype;
	return false;
}

static const char *rounded_lanes(Emit *e, const Node *n, const char *x)
{
	if (!is_half(n->dtype) || only_stored(e, n)) return x;
	return arena_printf(e->a, "mx_round_%s_vf(%s)", dtype_name(n->dtype), x);
}

/* Change of dtype; NULL: lane by lane. */
static const char *convert_lanes(Emit *e, const Node *n, const char *x)
{
	DType from = dtype_compute(n->from), to = n->dtype;
	const char *vector = vector_type(e, to);
	bool wide = e->vec->bits == 64;
	if (from == to || (is_half(to) && from == DT_f32) || (to == DT_f32 && from == DT_f32)) return rounded_lanes(e, n, x);
	if (to == DT_bool)
		return arena_printf(e->a, "%s != %s", x, from == DT_f32 ? "0.0f" : from == DT_f64 ? "0.0" : dtype_is_signed(from) ? "0" : "0u");
	if (wide) return NULL;
	if (dtype_is_float(to)) {
		if (from == DT_bool) return arena_printf(e->a, "mx_vf_from_mask(%s)", x);
		return rounded_lanes(e, n, arena_printf(e->a, "mx_vf_from_%s(%s)", elem_vector(from, 32) + 3, x));
	}
	if (from == DT_bool) return arena_printf(e->a, "(%s)mx_vi_from_mask(%s)", vector, x);
	if (from == DT_f32) return dtype_bytes(to) == 4 ? arena_printf(e->a, "mx_%s_from_vf(%s)", dtype_name(to), x) : NULL;
	bool fits = dtype_bytes(to) == 4 || (dtype_bytes(from) < dtype_bytes(to) && dtype_is_signed(to)) ||
	            (dtype_bytes(from) < dtype_bytes(to) && !dtype_is_signed(from));
	return fits ? arena_printf(e->a, "(%s)%s", vector, x) : NULL;
}

static const char *op_lanes(Emit *e, Node *n)
{
	const char *vector[3], *pure[3];
	if (n->op == OP_select && !varies(e, n->arg[0]))
		return arena_printf(e->a, "%s ? %s : %s", atom(e, node_text(e, n->arg[0])), vector_text(e, n->arg[1]), vector_text(e, n->arg[2]));
	for (int i = 0; i < n->narg; i++) {
		vector[i] = vector_text(e, n->arg[i]);
		pure[i] = n->arg[i]->dtype == DT_bool ? vector[i] : atom(e, node_text(e, n->arg[i]));
	}
	if (n->op == OP_convert) return convert_lanes(e, n, vector[0]);
	const char *s = n->variant ? arena_printf(e->a, "mx_%s_%s_vf(%s)", op_row(n->op)->name, n->variant, vector[0])
	                           : apply_lanes(e, n->op, n->from, vector, pure);
	return s ? rounded_lanes(e, n, s) : NULL;
}

/* The index of each lane as a number. Positions along one axis stay below 2^31. */
static const char *index_lanes(Emit *e, const Node *n)
{
	int64_t coef = 0;
	for (int k = 0; k < n->index->n; k++)
		if (n->index->term[k].axis != e->vec->axis) {
			if (n->index->term[k].node && varies(e, n->index->term[k].node)) return NULL;
		} else if (!dim_is_const(n->index->term[k].coef, &coef)) {
			return NULL;
		}
	if (e->vec->bits == 64 || coef < INT32_MIN || coef > INT32_MAX) return NULL;
	const char *lane = coef == 1 ? "mx_iota()" : arena_printf(e->a, "mx_iota() * (%" PRId64 ")", coef);
	const char *at = arena_printf(e->a, "mx_bc_i32((int32_t)%s) + %s", index_atom(e, n->index), lane);
	if (n->dtype == DT_i32) return at;
	if (n->dtype == DT_u32) return arena_printf(e->a, "(mx_vu)(%s)", at);
	if (n->dtype == DT_f32) return arena_printf(e->a, "mx_vf_from_vi(%s)", at);
	return NULL;
}

static const char *zero_text(Emit *e, DType d)
{
	return scalar_text(e, scalar_from_int(0, dtype_compute(d)));
}

static const char *load_lanes(Emit *e, Node *n)
{
	DType d = n->dtype;
	int64_t step;
	Dim s = access_step(e->m->dims, n->buf, n->index, e->vec->axis);
	if (access_gathers(n->index, n->nindex, &e->vec->varies) || (d == DT_bool && e->vec->bits == 64)) return NULL;
	const char *p = address(e, n->buf, n->index);
	if (!dim_is_const(s, &step) || step != 1)
		return d == DT_f32 && !e->vec->active ? arena_printf(e->a, "mx_ld_stride_f32(%s, %s)", p, emit_dim(e, s)) : NULL;
	if (!e->vec->active) return arena_printf(e->a, "mx_ld_%s(%s)", dtype_name(d), p);
	return arena_printf(e->a, "mx_ldn_%s(%s, %s, %s)", dtype_name(d), p, e->vec->active, zero_text(e, d));
}

static void store_lanes(Emit *e, Node *n)
{
	DType d = n->buf->type->dtype;
	const char *p = address(e, n->buf, n->index), *x = vector_text(e, n->arg[0]);
	if (n->mode) {
		OpCode op = OP_add;
		op_find(n->mode, &op);
		const char *old = e->vec->sum      ? e->vec->sum
		                  : e->vec->active ? arena_printf(e->a, "mx_ldn_%s(%s, %s, %s)", dtype_name(d), p, e->vec->active, zero_text(e, d))
		                                   : arena_printf(e->a, "mx_ld_%s(%s)", dtype_name(d), p);
		const char *both[] = {old, x};
		x = apply_lanes(e, op, d, both, both);
		if (e->vec->sum) {
			emit_line(e, "%s = %s;", e->vec->sum, x);
			return;
		}
	}
	if (e->vec->active) emit_line(e, "mx_stn_%s(%s, %s, %s);", dtype_name(d), p, x, e->vec->active);
	else emit_line(e, "mx_st_%s(%s, %s);", dtype_name(d), p, x);
}

/* --- nodes with bodies --------------------------------------------------------------------------------------------------------------- */
/* The condition is the same in all lanes: one of the arms runs. */
static const char *if_lanes(Emit *e, Node *n)
{
	const char *t = temp(e, "t");
	emit_line(e, "%s %s;", vector_type(e, n->dtype), t);
	emit_line(e, "if (%s) {", node_text(e, n->arg[0]));
	e->indent++;
	emit_body(e, n->body);
	emit_line(e, "%s = %s;", t, vector_text(e, n->body->result));
	e->indent--;
	emit_line(e, "} else {");
	e->indent++;
	emit_body(e, n->other);
	emit_line(e, "%s = %s;", t, vector_text(e, n->other->result));
	close_block(e);
	return t;
}

/* A sum of its own in each lane. */
static const char *reduce_in_lanes(Emit *e, Node *n)
{
	DType c = dtype_compute(n->dtype);
	const char *acc = temp(e, "acc");
	emit_line(e, "%s %s = %s;", vector_type(e, c), acc, broadcast(e, c, scalar_text(e, reduce_identity(n->op, c))));
	for (int i = 0; i < n->naxis; i++) open_loop(e, n->axis[i], false);
	emit_body(e, n->body);
	const char *both[] = {acc, vector_text(e, n->body->result)};
	emit_line(e, "%s = %s;", acc, apply_lanes(e, n->op, c, both, both));
	for (int i = 0; i < n->naxis; i++) close_block(e);
	return rounded_lanes(e, n, acc);
}

/* One row of a scan: what stands in the row before, combined with the body's result. */
static void scan_lanes(Emit *e, Node *n)
{
	DType d = n->dtype;
	Axis *row = (Axis *)n->axis[0];
	const char *name = row->name, *acc = temp(e, "acc"), *t = dtype_name(d), *active = e->vec->active;
	const char *first =
	    n->reverse ? arena_printf(e->a, "%s == %s - 1", name, emit_dim(e, row->extent)) : arena_printf(e->a, "%s == 0", name);
	emit_body(e, n->body);
	const char *p = address(e, n->buf, n->index), *x = vector_text(e, n->body->result);
	row->name = arena_printf(e->a, "(%s %c 1)", name, n->reverse ? '+' : '-');
	const char *before = address(e, n->buf, n->index);
	row->name = name;
	before = active ? arena_printf(e->a, "mx_ldn_%s(%s, %s, %s)", t, before, active, zero_text(e, d))
	                : arena_printf(e->a, "mx_ld_%s(%s)", t, before);
	emit_line(e, "const %s %s = %s ? %s : %s;", vector_type(e, d), acc, first, broadcast(e, d, scalar_text(e, reduce_identity(n->op, d))),
	          before);
	const char *both[] = {acc, x};
	x = apply_lanes(e, n->op, d, both, both);
	if (active) emit_line(e, "mx_stn_%s(%s, %s, %s);", t, p, x, active);
	else emit_line(e, "mx_st_%s(%s, %s);", t, p, x);
}

static const char *expression_lanes(Emit *e, Node *n)
{
	switch (n->kind) {
	case N_OP: return op_lanes(e, n);
	case N_INDEX: return index_lanes(e, n);
	case N_LOAD: return load_lanes(e, n);
	case N_IF: return varies(e, n->arg[0]) ? NULL : if_lanes(e, n);
	case N_REDUCE: return reduce_in_lanes(e, n);
	case N_ARG: return vector_arg_lanes(e, n);
	default: return NULL;
	}
}

/* One arm only. */
static void decided_if(Emit *e, Node *n, int arm)
{
	Body *b = arm ? n->body : n->other;
	if (!b) return;
	emit_body(e, b);
	if (!b->result) return;
	const Use *u = map_get(&e->uses, n);
	const char *x = node_text(e, b->result);
	if (u && u->n > 1 && strpbrk(x, " (")) {
		const char *t = temp(e, "t");
		emit_line(e, "const %s %s = %s;", varies(e, n) ? vector_type(e, n->dtype) : elem_ctype(n->dtype), t, x);
		x = t;
	}
	map_set(&e->text, n, (void *)x);
}

bool vector_node(Emit *e, Body *b, Node *n)
{
	VecLoop *v = e->vec;
	if (map_get(&v->done, n)) return true;
	int known = n->kind == N_IF ? node_decided(n->arg[0], &v->decided) : node_decided(n, &v->decided);
	if (known >= 0 && n->kind == N_IF) {
		decided_if(e, n, known);
		return true;
	}
	if (known >= 0) {
		map_set(&e->text, n, known ? "true" : "false");
		return true;
	}
	if (n->kind == N_STORE) {
		store_lanes(e, n);
		return true;
	}
	if (n->kind == N_SCAN) {
		scan_lanes(e, n);
		return true;
	}
	if (n->kind == N_IF && !n->body->result) {
		emit_line(e, "if (%s) {", node_text(e, n->arg[0]));
		e->indent++;
		emit_body(e, n->body);
		close_block(e);
		return true;
	}
	const Use *u = map_get(&e->uses, n);
	if (!varies(e, n)) return false;
	if (!u || !has_vector(n)) {
		map_set(&e->text, n, NULL);
		return true; /* printed where a lane needs it */
	}
	const char *s = expression_lanes(e, n);
	if (!s) s = lane_by_lane(e, n);
	bool here = (u->n == 1 && u->body == b && strlen(s) < 90) || !strpbrk(s, " (");
	if (!here) {
		const char *t = temp(e, "t");
		emit_line(e, "const %s %s = %s;", vector_type(e, n->dtype), t, s);
		s = t;
	}
	map_set(&e->text, n, (void *)s);
	return true;
}

/* --- before the loop ----------------------------------------------------------------------------------------------------------------- */
static bool is_safe_before(const VecLoop *v, const Node *n, bool runs)
{
	if (map_get(&v->varies, n) || node_decided(n, &v->decided) >= 0) return false;
	if (n->kind == N_LOAD && !buf_is_value(n->buf) && !runs) return false; /* without an iteration there may be nothing to load */
	if (n->kind != N_LOAD && n->kind != N_OP && n->kind != N_CONST && n->kind != N_INDEX) return false;
	for (int i = 0; i < n->narg; i++)
		if (!map_get(&v->done, n->arg[i])) return false;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++)
			if (n->index[i].term[k].node) return false;
	return true;
}

/* Computes before the loop what is the same for all of it. */
static void hoist(Emit *e, VecLoop *v, Body *b, bool runs)
{
	for (Node *n = b->first; n; n = n->next) {
		if (!map_get(&e->uses, n) || !is_safe_before(v, n, runs)) continue;
		const char *s = node_expression(e, n);
		if (n->kind == N_OP || (n->kind == N_LOAD && !buf_is_value(n->buf))) {
			const char *t = temp(e, "t");
			emit_line(e, "const %s %s = %s;", elem_ctype(n->dtype), t, s);
			s = t;
		}
		map_set(&e->text, n, (void *)s);
		map_set(&v->done, n, n);
	}
}

/* --- loops --------------------------------------------------------------------------------------------------------------------------- */
void vector_begin(Emit *e, VecLoop *v, const Axis *const *axis, int n)
{
	const Axis *x = axis[n - 1];
	*v = (VecLoop){.axis = x, .bits = x->vec};
	e->flat = axis + n - 1 - x->flat;
	e->nflat = x->flat;
	map_init(&v->varies, e->a), map_init(&v->done, e->a);
}

static Dim flat_extent(Emit *e, const Axis *const *axis, int n)
{
	Dim d = axis[n - 1]->extent;
	for (int i = n - 1 - axis[n - 1]->flat; i < n - 1; i++) d = dim_mul(e->m->dims, d, axis[i]->extent);
	return d;
}

/* --- the next row -------------------------------------------------------------------------------------------------------------------- */
typedef struct Ahead {
	Emit *e;
	const Axis *outer, *at; /* the loop over rows; the loop that asks */
	bool light;             /* which computes nothing dear */
	const Buf *seen[16];
	int n;
} Ahead;

static bool depends_on(const Index *index, int n, const Axis *x)
{
	for (int i = 0; i < n; i++)
		for (int k = 0; k < index[i].n; k++) {
			if (index[i].term[k].node) return false;
			if (index[i].term[k].axis == x) return true;
		}
	return false;
}

/* Is every axis of the index one of the kernel's outer ones, or x? */
static bool only_outer(const Kernel *k, const Node *n, const Axis *x)
{
	for (int i = 0; i < n->nindex; i++)
		for (int j = 0; j < n->index[i].n; j++) {
			bool bound = n->index[i].term[j].axis == x;
			for (int o = 0; o < k->nouter; o++) bound |= k->outer[o] == n->index[i].term[j].axis;
			if (!bound) return false;
		}
	return true;
}

/* An access to neighbours in a vector loop of the kernel whose row moves with the outer loop. */
static void ahead_node(void *p, Node *n)
{
	Ahead *a = p;
	Emit *e = a->e;
	bool write = n->kind == N_STORE;
	int64_t step;
	if ((!write && n->kind != N_LOAD) || !(write ? a->at->ahead_out : a->at->ahead) || buf_is_value(n->buf)) return;
	if (n->buf->space == BUF_ROW || n->buf->space == BUF_CONST || !depends_on(n->index, n->nindex, a->outer)) return;
	for (int i = 0; i < a->n; i++)
		if (a->seen[i] == n->buf) return;
	for (int i = 0; i < n->nindex; i++)
		for (int k = 0; k < n->index[i].n; k++) {
			const Axis *x = n->index[i].term[k].axis;
			if (!x || !x->vec || x->flat || !dim_is_const(access_step(e->m->dims, n->buf, n->index, x), &step) || step != 1) continue;
			if (!only_outer(e->kernel, n, x)) return;
			const char *name = x->name, *row = a->outer->name;
			((Axis *)x)->name = a->at->name;
			/* a store is prefetched in its own row, a load in the next one */
			if (!write) ((Axis *)a->outer)->name = arena_printf(e->a, "(%s + 1)", row);
			emit_line(e, "MX_AHEAD%s%s(%s);", a->light ? "_LIGHT" : "", write ? "_W" : "", address(e, n->buf, n->index));
			((Axis *)a->outer)->name = row;
			((Axis *)x)->name = name;
			if (a->n < 16) a->seen[a->n++] = n->buf;
			return;
		}
}

static void note_dear(void *p, Node *n)
{
	if (n->kind == N_OP && !(op_row(n->op)->flags & OPF_CHEAP)) *(bool *)p = true;
}

static void emit_ahead(Emit *e, const Axis *at, Body *b)
{
	bool dear = false;
	const Kernel *k = e->kernel;
	const Nest *s = k->stages[0];
	int outer = k->nstages > 1 ? k->nouter : s->naxis;
	if (!outer || !(at->ahead || at->ahead_out)) return;
	body_walk(b, note_dear, &dear);
	Ahead a = {.e = e, .light = !dear, .outer = k->nstages > 1 ? k->outer[outer - 1] : s->axis[outer - 1], .at = at};
	for (int i = 0; i < k->nstages; i++) body_walk(k->stages[i]->body, ahead_node, &a);
}

/* Four rows are added to a vector that is loaded and stored once. */
static void body_of_rows(Emit *e, VecLoop *v, Body *b, const char *active)
{
	const Axis *row = v->row;
	Node *s = b->last;
	const char *sum = temp(e, "sum"), *r = temp(e, "r"), *name = row->name, *at = temp(e, name), *t = dtype_name(s->buf->type->dtype);
	VecLoop *old = e->vec;
	v->active = active;
	e->vec = v;
	const char *p = address(e, s->buf, s->index), *zero = zero_text(e, s->buf->type->dtype);
	if (active) emit_line(e, "%s %s = mx_ldn_%s(%s, %s, %s);", vector_type(e, s->buf->type->dtype), sum, t, p, active, zero);
	else emit_line(e, "%s %s = mx_ld_%s(%s);", vector_type(e, s->buf->type->dtype), sum, t, p);
	emit_line(e, "MX_UNROLL(4) for (int %s = 0; %s < 4; %s++) {", r, r, r);
	e->indent++;
	emit_line(e, "const ptrdiff_t %s = %s + %s;", at, name, r);
	((Axis *)row)->name = at;
	v->sum = sum;
	emit_body(e, b);
	v->sum = NULL;
	((Axis *)row)->name = name;
	close_block(e);
	if (active) emit_line(e, "mx_stn_%s(%s, %s, %s);", t, p, sum, active);
	else emit_line(e, "mx_st_%s(%s, %s);", t, p, sum);
	e->vec = old;
}

void vector_body(Emit *e, VecLoop *v, Body *b, const char *active)
{
	if (v->row) {
		body_of_rows(e, v, b, active);
		return;
	}
	if (!active) emit_ahead(e, v->axis, b);
	VecLoop *old = e->vec;
	v->active = active;
	e->vec = v;
	emit_body(e, b);
	e->vec = old;
}

/* lo..hi of the loop over v's axis. */
static void loop_piece(Emit *e, VecLoop *v, Body *b, const char *lo, const char *hi, bool exact)
{
	const char *j = v->axis->name, *w = width(v);
	map_init(&v->varies, e->a);
	nodes_varying(b, v->axis, &v->decided, &v->varies);
	if (exact) {
		emit_line(e, "for (ptrdiff_t %s = %s; %s < %s; %s += %s) {", j, lo, j, hi, j, w);
		e->indent++;
		vector_body(e, v, b, NULL);
		close_block(e);
		return;
	}
	emit_line(e, "{");
	e->indent++;
	emit_line(e, "ptrdiff_t %s = %s;", j, lo);
	emit_line(e, "for (; %s + %s <= %s; %s += %s) {", j, w, hi, j, w);
	e->indent++;
	vector_body(e, v, b, NULL);
	close_block(e);
	emit_line(e, "if (%s < %s) {", j, hi);
	e->indent++;
	const char *n = temp(e, "n");
	emit_line(e, "const ptrdiff_t %s = %s - %s;", n, hi, j);
	vector_body(e, v, b, n);
	close_block(e);
	close_block(e);
}

static void find_tests(const VecLoop *v, const Map *varies, Body *b, Node **test, int *n)
{
	for (Node *x = b ? b->first : NULL; x; x = x->next) {
		if (node_decided(x, &v->decided) < 0 && test_splits(x, v->axis, varies)) {
			if (*n < MAX_TESTS) test[*n] = x;
			(*n)++;
		}
		int arm = x->kind == N_IF ? node_decided(x->arg[0], &v->decided) : -1;
		if (arm != 0) find_tests(v, varies, x->body, test, n);
		if (arm != 1) find_tests(v, varies, x->other, test, n);
	}
}

static const char *clamped(Emit *e, Dim d, const char *rest, const char *lo, const char *hi)
{
	const char *t = temp(e, "cut");
	const char *x = rest ? arena_printf(e->a, "%s - (%s)", emit_dim(e, d), rest) : emit_dim(e, d);
	emit_line(e, "const ptrdiff_t %s = mx_clamp(%s, %s, %s);", t, x, lo, hi);
	return t;
}

static void loop_pieces(Emit *e, VecLoop *v, Body *b, const char *lo, const char *hi, bool exact, int depth)
{
	Node *test[MAX_TESTS];
	int n = 0;
	map_init(&v->varies, e->a);
	nodes_varying(b, v->axis, &v->decided, &v->varies);
	find_tests(v, &v->varies, b, test, &n);
	if (!n || depth == MAX_TESTS) {
		loop_piece(e, v, b, lo, hi, exact);
		return;
	}
	/* test: tlo <= coef * axis + rest < thi */
	Node *t = test[0];
	DimCtx *c = e->m->dims;
	int64_t coef = 1;
	Index rest = {NEW_ARRAY(e->a, Term, t->index->n), 0, dim_int(c, 0)};
	for (int k = 0; k < t->index->n; k++) {
		if (t->index->term[k].axis == v->axis) dim_is_const(t->index->term[k].coef, &coef);
		else rest.term[rest.n++] = t->index->term[k];
	}
	Dim from = dim_sub(c, t->lo, t->index->add), to = dim_sub(c, t->hi, t->index->add);
	if (coef < 0) { /* lo <= rest - x < hi: rest - hi < x <= rest - lo */
		Dim a = dim_sub(c, dim_int(c, 1), to), z = dim_sub(c, dim_int(c, 1), from);
		from = a, to = z;
		for (int k = 0; k < rest.n; k++) rest.term[k].coef = dim_scale(c, rest.term[k].coef, -1, 1);
	}
	const char *others = rest.n ? index_text(e, &rest) : NULL;
	int64_t zero;
	bool from_start = !others && dim_is_const(from, &zero) && zero <= 0 && !strcmp(lo, "0");
	emit_line(e, "{");
	e->indent++;
	const char *a = from_start ? lo : clamped(e, from, others, lo, hi), *z = clamped(e, to, others, a, hi);
	for (int part = from_start ? 1 : 0; part < 3; part++) {
		v->decided.test[v->decided.n] = t;
		v->decided.holds[v->decided.n++] = part == 1;
		loop_pieces(e, v, b, part == 0 ? lo : part == 1 ? a : z, part == 0 ? a : part == 1 ? z : hi, false, depth + 1);
		v->decided.n--;
	}
	close_block(e);
}

void vector_loop(Emit *e, const Axis *const *axis, int n, Body *b)
{
	VecLoop v;
	int64_t count;
	vector_begin(e, &v, axis, n);
	Dim extent = flat_extent(e, axis, n);
	nodes_varying(b, v.axis, NULL, &v.varies);
	count_body(e, b);
	hoist(e, &v, b, dim_is_const(extent, &count) && count > 0);
	const char *lo, *hi;
	emit_bounds(e, axis + n - 1 - axis[n - 1]->flat, axis[n - 1]->flat + 1, &lo, &hi);
	loop_pieces(e, &v, b, lo, hi, !v.axis->mask, 0);
	e->nflat = 0;
}

bool vector_rows_fit(const Axis *const *axis, int n, const Body *b)
{
	const Node *s = b->last;
	if (n < 2 || axis[n - 1]->flat || !s || s->kind != N_STORE || !s->mode || depends_on(s->index, s->nindex, axis[n - 2])) return false;
	for (const Node *x = b->first; x; x = x->next)
		if (x->body || (x->kind == N_STORE && x != s)) return false;
	for (int i = 0; i < s->nindex; i++)
		for (int k = 0; k < s->index[i].n; k++)
			if (s->index[i].term[k].node) return false;
	return true;
}

void vector_rows(Emit *e, const Axis *const *axis, int n, Body *b)
{
	const Axis *x = axis[n - 1], *row = axis[n - 2];
	const char *i = row->name, *rows = emit_dim(e, row->extent), *lo, *hi;
	VecLoop v;
	emit_bounds(e, &x, 1, &lo, &hi);
	count_body(e, b);
	emit_line(e, "{");
	e->indent++;
	emit_line(e, "ptrdiff_t %s = 0;", i);
	emit_line(e, "for (; %s + 4 <= %s; %s += 4) {", i, rows, i);
	e->indent++;
	vector_begin(e, &v, axis, n);
	v.row = row;
	loop_piece(e, &v, b, lo, hi, !x->mask);
	close_block(e);
	emit_line(e, "for (; %s < %s; %s++) {", i, rows, i);
	e->indent++;
	vector_loop(e, axis, n, b);
	close_block(e);
	close_block(e);
}

void vector_scan(Emit *e, const Axis *const *axis, int n, Body *b)
{
	open_loop(e, b->first->axis[0], b->first->reverse);
	vector_loop(e, axis, n, b);
	close_block(e);
}

void vector_range(Emit *e, const Axis *x, Body *b, const char *lo, const char *hi)
{
	VecLoop v;
	vector_begin(e, &v, &x, 1);
	nodes_varying(b, x, NULL, &v.varies);
	count_body(e, b);
	hoist(e, &v, b, true);
	loop_pieces(e, &v, b, lo, hi, false, 0);
	e->nflat = 0;
}

/* --- sums along the lanes ------------------------------------------------------------------------------------------------------------ */
/* Combines what the body gives with partial results acc[u]; `active` lanes only. */
static void reduce_step(Emit *e, VecLoop *v, Node *n, const char *acc, const char *active)
{
	DType c = dtype_compute(n->dtype);
	VecLoop *old = e->vec;
	vector_body(e, v, n->body, active);
	e->vec = v;
	const char *x = vector_text(e, n->body->result), *part = arena_printf(e->a, "%s[u]", acc);
	if (active) {
		const char *sel = c == DT_f32 ? "mx_sel" : arena_printf(e->a, "mx_sel_%s", vector_type(e, c) + 3);
		x = arena_printf(e->a, "%s(mx_first%s(%s), %s, %s)", sel, v->bits == 64 ? "_vd" : "", active, x,
		                 broadcast(e, c, scalar_text(e, reduce_identity(n->op, c))));
	}
	const char *both[] = {part, x};
	emit_line(e, "%s = %s;", part, apply_lanes(e, n->op, c, both, both));
	e->vec = old;
}

/* for (u over the parts) at j + u * W */
static void open_parts(Emit *e, const char *w)
{
	emit_line(e, "MX_PARTS(u, %s) {", w);
	e->indent++;
}

static void reduce_along(Emit *e, VecLoop *v, Node *n, const char *acc, const char *extent, bool exact)
{
	const char *j = v->axis->name, *w = width(v), *at = temp(e, j);
	int64_t count;
	bool is_short = dim_is_const(v->axis->extent, &count) && !v->axis->flat && count < n->lanes;
	if (!exact) emit_line(e, "ptrdiff_t %s = 0;", j);
	if (!is_short) {
		if (exact) emit_line(e, "for (ptrdiff_t %s = 0; %s < %s; %s += %d) {", j, j, extent, j, n->lanes);
		else emit_line(e, "for (; %s + %d <= %s; %s += %d) {", j, n->lanes, extent, j, n->lanes);
		e->indent++;
		open_parts(e, w);
		emit_line(e, "const ptrdiff_t %s = %s + u * %s;", at, j, w);
		((Axis *)v->axis)->name = at;
		reduce_step(e, v, n, acc, NULL);
		((Axis *)v->axis)->name = j;
		close_block(e);
		close_block(e);
	}
	if (exact) return;
	const char *left = temp(e, "n");
	open_parts(e, w);
	emit_line(e, "const ptrdiff_t %s = %s + u * %s, %s = mx_clamp(%s - %s, 0, %s);", at, j, w, left, extent, at, w);
	emit_line(e, "if (%s > 0) {", left);
	e->indent++;
	((Axis *)v->axis)->name = at;
	reduce_step(e, v, n, acc, left);
	((Axis *)v->axis)->name = j;
	close_block(e);
	close_block(e);
}

/* The partial results through memory, as scalars. */
static const char *fold_scalars(Emit *e, const Node *n, const char *acc, const char *w)
{
	DType c = dtype_compute(n->dtype);
	const char *part = temp(e, "part");
	emit_line(e, "%s %s[%d];", elem_ctype(c), part, n->lanes);
	emit_line(e, "MX_PARTS(u, %s) mx_st_%s(%s + u * %s, %s[u]);", w, dtype_name(c), part, w, acc);
	return fold_halves(e, n->op, c, part, n->lanes);
}

void vector_reduce(Emit *e, Node *n)
{
	VecLoop v;
	DType c = dtype_compute(n->dtype);
	const char *acc = temp(e, "acc"), *vector = elem_vector(c, n->axis[n->naxis - 1]->vec);
	int64_t count;
	vector_begin(e, &v, n->axis, n->naxis);
	const char *w = width(&v);
	Dim extent = flat_extent(e, n->axis, n->naxis);
	int outer = n->naxis - 1 - v.axis->flat;
	emit_line(e, "%s %s[%d / %s];", vector, acc, n->lanes, w);
	VecLoop *old = e->vec;
	e->vec = &v;
	emit_line(e, "MX_PARTS(u, %s) %s[u] = %s;", w, acc, broadcast(e, c, scalar_text(e, reduce_identity(n->op, c))));
	e->vec = old;
	for (int i = 0; i < outer; i++) open_loop(e, n->axis[i], false);
	bool block = v.axis->mask;
	if (block) emit_line(e, "{"), e->indent++;
	nodes_varying(n->body, v.axis, NULL, &v.varies);
	hoist(e, &v, n->body, dim_is_const(extent, &count) && count > 0);
	reduce_along(e, &v, n, acc, emit_dim(e, extent), !v.axis->mask);
	if (block) close_block(e);
	for (int i = 0; i < outer; i++) close_block(e);
	e->nflat = 0;
	const char *fold = op_row(n->op)->name;
	if (n->op == OP_maximum) fold = "max";
	if (n->op == OP_minimum) fold = "min";
	const char *routine = arena_printf(e->a, "mx_fold_%s_%s", fold, vector + 3), *t = temp(e, "t");
	bool there = codegen_has_definition(e->a, routine);
	const char *x = there ? arena_printf(e->a, "%s(%s)", routine, acc) : fold_scalars(e, n, acc, w);
	emit_line(e, "const %s %s = %s;", elem_ctype(n->dtype), t, rounded(e, n->dtype, x));
	map_set(&e->text, n, (void *)t);
}
