/* Products: matmul with NumPy's rank rules (integers too, which MLX refuses), tensordot, einsum. All become dot ops. */
#include "builtins.h"
#include <ctype.h>
#include <string.h>

/* The operands in one dtype; bool counts as i32. */
static void product_operands(Elab *e, const Val *v, int n, Value **x, Loc loc, const char *name)
{
	DType d = elab_result_dtype(e, v, n, loc);
	if (d == DT_bool) d = DT_i32;
	for (int i = 0; i < n; i++) x[i] = ir_convert(elab_builder(e), elab_tensor(e, v[i], &d, loc, name), d);
}

/* --- matmul ------------------------------------------------------------------------------------------------------------- */
static _Noreturn void fail_inner(Elab *e, const Type *a, const Type *b, Dim k, Dim m, Loc loc)
{
	Arena *ar = elab_arena(e);
	bool swap = b->rank >= 2 && dim_provable_equal(elab_facts(e), k, b->dim[b->rank - 1]);
	int64_t n;
	const char *note;
	if (swap) note = arena_printf(ar, "the last axis of the right operand fits: `a @ b.T`");
	else if (dim_is_const(k, &n) && dim_is_const(m, &n))
		note = arena_printf(ar, "the operands are %s and %s", type_text(e, a), type_text(e, b));
	else note = arena_printf(ar, "if they are equal, add `assert %s == %s;`", dim_str(ar, k), dim_str(ar, m));
	elab_fail_note(e, loc, "matmul.C2", note, "inner dimensions differ: %s and %s, in %s @ %s", dim_str(ar, k), dim_str(ar, m),
	               type_text(e, a), type_text(e, b));
}

/* x without leading batch axes that are all 1. */
static Value *drop_unit_batch(Elab *e, Value *x)
{
	int nb = x->type->rank - 2;
	for (int i = 0; i < nb; i++)
		if (!dim_is(x->type->dim[i], 1)) return x;
	return nb > 0 ? ir_reshape(elab_builder(e), x, 2, x->type->dim + nb) : x;
}

/* [batch.., M, K] @ [batch.., K, N] with both batches equal. */
static Value *batched_dot(Elab *e, Value *x, Value *y)
{
	int nb = x->type->rank - 2;
	int64_t batch[MAX_RANK], xc = nb + 1, yc = nb;
	for (int i = 0; i < nb; i++) batch[i] = i;
	return ir_dot(elab_builder(e), x, y, &xc, &yc, 1, batch, batch, nb);
}

/* Operands of rank >= 2. Only where both have batch axes are they repeated; a single batch is made of free axes. */
static Value *matmul_matrices(Elab *e, Value *x, Value *y, Loc loc)
{
	Builder *b = elab_builder(e);
	Value *x0 = x, *y0 = y;
	x = drop_unit_batch(e, x);
	y = drop_unit_batch(e, y);
	int xr = x->type->rank, yr = y->type->rank;
	int64_t xc = xr - 1, yc = yr - 2;
	Value *r;
	if (yr == 2) {
		r = ir_dot(b, x, y, &xc, &yc, 1, NULL, NULL, 0);
	} else if (xr == 2) { /* [M, batch.., N] */
		r = ir_move_axis(b, ir_dot(b, x, y, &xc, &yc, 1, NULL, NULL, 0), 0, yr - 2);
	} else {
		Dim dims[MAX_RANK], full[MAX_RANK];
		int nb;
		Value *batch[2] = {x, y};
		for (int i = 0; i < 2; i++) {
			const Type *t = batch[i]->type;
			batch[i] = ir_zeros(b, type_get(elab_module(e), DT_bool, t->rank - 2, t->dim));
		}
		elab_broadcast_shape(e, batch, 2, loc, "matmul.batch", "leading axes of `@`", &nb, dims);
		for (int i = 0; i < 2; i++) {
			Value **z = i ? &y : &x;
			memcpy(full, dims, sizeof(Dim) * (size_t)nb);
			memcpy(full + nb, (*z)->type->dim + (*z)->type->rank - 2, sizeof(Dim) * 2);
			*z = elab_broadcast_to(e, *z, nb + 2, full, loc);
		}
		return batched_dot(e, x, y);
	}
	/* Unit batch axes that were dropped come back in front. */
	int rank = x0->type->rank > y0->type->rank ? x0->type->rank : y0->type->rank;
	if (r->type->rank == rank) return r;
	Dim dims[MAX_RANK];
	for (int i = 0; i < rank; i++) dims[i] = dim_const(e, 1);
	memcpy(dims + rank - r->type->rank, r->type->dim, sizeof(Dim) * (size_t)r->type->rank);
	return ir_reshape(b, r, rank, dims);
}

Val elab_matmul(Elab *e, Val a, Val bv, Loc loc)
{
	Builder *b = elab_builder(e);
	Value *x[2];
	Val v[2] = {a, bv};
	product_operands(e, v, 2, x, loc, "@");
	const Type *t = x[0]->type, *u = x[1]->type;
	if (t->rank == 0 || u->rank == 0)
		elab_fail(e, loc, "matmul.C1", "`@` takes vectors and matrices, not %s @ %s; scalars multiply with `*`", type_text(e, t),
		          type_text(e, u));
	Dim k = t->dim[t->rank - 1], m = u->dim[u->rank >= 2 ? u->rank - 2 : 0];
	if (!dim_provable_equal(elab_facts(e), k, m)) fail_inner(e, t, u, k, m, loc);
	int64_t xc = t->rank - 1, yc = u->rank >= 2 ? u->rank - 2 : 0;
	if (t->rank > 1 && u->rank > 1) return val_tensor(matmul_matrices(e, x[0], x[1], loc));
	return val_tensor(ir_dot(b, x[0], x[1], &xc, &yc, 1, NULL, NULL, 0)); /* a vector contracts away, as in NumPy */
}

Val builtin_matmul(Elab *e, const CallSite *at, Val *argv)
{
	return elab_matmul(e, argv[0], argv[1], at->loc);
}

/* --- tensordot ---------------------------------------------------------------------------------------------------------- */
Val builtin_tensordot(Elab *e, const CallSite *at, Val *argv)
{
	Value *x[2];
	product_operands(e, argv, 2, x, at->loc, at->name);
	int64_t ax[MAX_RANK], ay[MAX_RANK];
	int n;
	if (val_is_seq(argv[2])) {
		if (argv[2].u.items->n != 2) elab_fail(e, arg_at(at, 2), "tensordot.axes", "axes of tensordot are a number or a pair of lists");
		const Val *l, *r;
		n = val_items(e, argv[2].u.items->at[0], &l);
		if (val_items(e, argv[2].u.items->at[1], &r) != n)
			elab_fail(e, arg_at(at, 2), "tensordot.axes", "tensordot: %d axes on the left, %d on the right", n,
			          val_items(e, argv[2].u.items->at[1], &r));
		for (int i = 0; i < n; i++) {
			ax[i] = elab_axis(e, l[i], x[0]->type->rank, arg_at(at, 2));
			ay[i] = elab_axis(e, r[i], x[1]->type->rank, arg_at(at, 2));
		}
	} else {
		n = (int)elab_int(e, argv[2], arg_at(at, 2), "axes of tensordot");
		if (n < 0 || n > x[0]->type->rank || n > x[1]->type->rank)
			elab_fail(e, arg_at(at, 2), "tensordot.axes", "tensordot over %d axes of %s and %s", n, type_text(e, x[0]->type),
			          type_text(e, x[1]->type));
		for (int i = 0; i < n; i++) ax[i] = x[0]->type->rank - n + i, ay[i] = i;
	}
	for (int i = 0; i < n; i++) {
		Dim p = x[0]->type->dim[ax[i]], q = x[1]->type->dim[ay[i]];
		if (!dim_provable_equal(elab_facts(e), p, q))
			elab_fail(e, at->loc, "tensordot.size", "tensordot: axis %d of %s has size %s, axis %d of %s has %s", (int)ax[i],
			          type_text(e, x[0]->type), dim_str(elab_arena(e), p), (int)ay[i], type_text(e, x[1]->type), dim_str(elab_arena(e), q));
	}
	return val_tensor(ir_dot(elab_builder(e), x[0], x[1], ax, ay, n, NULL, NULL, 0));
}

/* --- einsum ------------------------------------------------------------------------------------------------------------- */
/* Labels are characters; the axes under an ellipsis get the codes 1, 2, .. from the last one on. */
typedef struct Term {
	Value *x;
	char label[MAX_RANK + 1];
	int n;
} Term;
typedef struct Einsum {
	Elab *e;
	Loc loc;
	const char *text;
	Term term[32];
	int n;
	char out[MAX_RANK + 1];
	int nout;
	Dim size[128];
} Einsum;

static void read_labels(Einsum *s, const char **p, char *label, int *n, int rank)
{
	const char *start = *p;
	int letters = 0;
	bool dots = false;
	for (const char *q = start; *q && *q != ',' && *q != '-'; q++) letters += isalpha((unsigned char)*q) != 0;
	*n = 0;
	for (; **p && **p != ',' && **p != '-'; (*p)++) {
		if (**p == ' ') continue;
		if (!strncmp(*p, "...", 3) && !dots) {
			int k = rank - letters;
			for (int i = 0; i < k && *n < MAX_RANK; i++) label[(*n)++] = (char)(k - i);
			dots = true;
			*p += 2;
		} else if (isalpha((unsigned char)**p) && *n < MAX_RANK) {
			label[(*n)++] = **p;
		} else {
			elab_fail(s->e, s->loc, "einsum.text",
			          "einsum \"%s\": unexpected \"%c\"; operands are letters and `...`, as in \"bij,bjk->bik\"", s->text, **p);
		}
	}
}

static char *labels_text(Einsum *s, const char *l, int n)
{
	char *t = arena_alloc(elab_arena(s->e), (size_t)n + 1);
	for (int i = 0; i < n; i++) t[i] = isalpha((unsigned char)l[i]) ? l[i] : '.';
	return t;
}

static bool has_label(const char *l, int n, char c)
{
	return n > 0 && memchr(l, c, (size_t)n) != NULL;
}

/* x[i, i] as one axis: a gather of the diagonal, whose axis comes first. */
static void take_diagonals(Einsum *s, Term *t)
{
	Builder *b = elab_builder(s->e);
	for (int i = 0; i < t->n; i++)
		for (int j = i + 1; j < t->n; j++) {
			if (t->label[i] != t->label[j]) continue;
			Dim n = t->x->type->dim[i], col[2] = {n, dim_const(s->e, 1)};
			Value *k = ir_reshape(b, ir_iota(b, n, DT_i32), 2, col), *kk[2] = {k, k};
			int64_t axes[2] = {i, j};
			t->x = ir_gather(b, t->x, ir_concat(b, kk, 2, 1), axes, 2, 0, "clamp", true);
			char c = t->label[i], rest[MAX_RANK];
			int m = 0;
			rest[m++] = c;
			for (int q = 0; q < t->n; q++)
				if (q != i && q != j) rest[m++] = t->label[q];
			memcpy(t->label, rest, (size_t)m);
			t->n = m;
			i = j = 0;
		}
}

/* Sizes of all labels; axes of size 1 that stretch are dropped from their operand. */
static void unify_sizes(Einsum *s)
{
	Elab *e = s->e;
	for (int k = 0; k < s->n; k++)
		for (int i = 0; i < s->term[k].n; i++) {
			Dim *z = &s->size[(int)s->term[k].label[i]], d = s->term[k].x->type->dim[i];
			if (!*z || dim_is(*z, 1)) *z = d;
			else if (!dim_is(d, 1) && !dim_provable_equal(elab_facts(e), *z, d))
				elab_fail(e, s->loc, "einsum.size", "einsum \"%s\": `%s` is %s in one operand and %s in operand %d", s->text,
				          labels_text(s, &s->term[k].label[i], 1), dim_str(elab_arena(e), *z), dim_str(elab_arena(e), d), k);
		}
	for (int k = 0; k < s->n; k++) {
		Term *t = &s->term[k];
		Dim dims[MAX_RANK];
		int m = 0;
		for (int i = 0; i < t->n; i++) {
			bool drop = dim_is(t->x->type->dim[i], 1) && !dim_is(s->size[(int)t->label[i]], 1);
			if (drop) continue;
			dims[m] = t->x->type->dim[i];
			t->label[m++] = t->label[i];
		}
		if (m != t->n) t->x = ir_reshape(elab_builder(e), t->x, m, dims);
		t->n = m;
	}
}

static void parse_einsum(Einsum *s, Value *const *x, int n)
{
	const char *p = s->text;
	s->n = n;
	for (int k = 0;; k++) {
		if (k >= n) elab_fail(s->e, s->loc, "einsum.operands", "einsum \"%s\" names more operands than the %d given", s->text, n);
		Term *t = &s->term[k];
		t->x = x[k];
		read_labels(s, &p, t->label, &t->n, x[k]->type->rank);
		if (t->n != x[k]->type->rank)
			elab_fail(s->e, s->loc, "einsum.rank", "einsum \"%s\": operand %d is %s, but \"%s\" has %d axes", s->text, k,
			          type_text(s->e, x[k]->type), labels_text(s, t->label, t->n), t->n);
		take_diagonals(s, t);
		if (*p == ',') {
			p++;
			continue;
		}
		if (k + 1 < n) elab_fail(s->e, s->loc, "einsum.operands", "einsum \"%s\" names %d operands, %d given", s->text, k + 1, n);
		break;
	}
	unify_sizes(s);
	int widest = 0;
	for (int c = 1; c <= MAX_RANK; c++)
		if (s->size[c]) widest = c;
	if (!strncmp(p, "->", 2)) {
		p += 2;
		int letters = 0;
		for (const char *q = p; *q; q++) letters += isalpha((unsigned char)*q) != 0;
		read_labels(s, &p, s->out, &s->nout, widest + letters);
		if (*p) elab_fail(s->e, s->loc, "einsum.text", "einsum \"%s\": unexpected \"%c\" in the result", s->text, *p);
	} else { /* implicit: the ellipsis, then letters that occur once, sorted */
		for (int c = widest; c >= 1; c--) s->out[s->nout++] = (char)c;
		for (int c = 'A'; c <= 'z'; c++) {
			int times = 0;
			for (const char *q = s->text; *q; q++) times += *q == c;
			if (times == 1 && isalpha(c)) s->out[s->nout++] = (char)c;
		}
	}
	for (int i = 0; i < s->nout; i++)
		if (!s->size[(int)s->out[i]] || has_label(s->out, i, s->out[i]))
			elab_fail(s->e, s->loc, "einsum.text", "einsum \"%s\": `%c` of the result %s", s->text, s->out[i],
			          s->size[(int)s->out[i]] ? "stands twice" : "is in no operand");
}

/* Is a label needed after terms i and j are joined. */
static bool label_kept(const Einsum *s, char c, int i, int j)
{
	if (has_label(s->out, s->nout, c)) return true;
	for (int k = 0; k < s->n; k++)
		if (k != i && k != j && has_label(s->term[k].label, s->term[k].n, c)) return true;
	return false;
}

/* Sums away the axes that nothing else needs. */
static void sum_own(Einsum *s, Term *t, int i, int j, const Term *other)
{
	int64_t axes[MAX_RANK];
	int n = 0, m = 0;
	for (int k = 0; k < t->n; k++) {
		bool needed = label_kept(s, t->label[k], i, j) || (other && has_label(other->label, other->n, t->label[k]));
		if (needed) t->label[m++] = t->label[k];
		else axes[n++] = k;
	}
	t->n = m;
	if (n) t->x = ir_reduce(elab_builder(s->e), OP_reduce_sum, t->x, axes, n);
}

static void join_terms(Einsum *s, int i, int j)
{
	Term *a = &s->term[i], *c = &s->term[j], r = {0};
	int64_t ac[MAX_RANK], cc[MAX_RANK], ab[MAX_RANK], cb[MAX_RANK];
	int nc = 0, nb = 0;
	sum_own(s, a, i, j, c);
	sum_own(s, c, i, j, a);
	for (int k = 0; k < a->n; k++) {
		const char *q = memchr(c->label, a->label[k], (size_t)c->n);
		if (!q || c->n == 0) continue;
		bool keep = label_kept(s, a->label[k], i, j);
		(keep ? ab : ac)[keep ? nb : nc] = k;
		(keep ? cb : cc)[keep ? nb : nc] = q - c->label;
		if (keep) r.label[r.n++] = a->label[k], nb++;
		else nc++;
	}
	for (int k = 0; k < a->n; k++)
		if (!has_label(c->label, c->n, a->label[k])) r.label[r.n++] = a->label[k];
	for (int k = 0; k < c->n; k++)
		if (!has_label(a->label, a->n, c->label[k])) r.label[r.n++] = c->label[k];
	if (r.n > MAX_RANK)
		elab_limitation(s->e, s->loc, "einsum.rank", "einsum \"%s\" needs an intermediate of more than %d axes", s->text, MAX_RANK);
	r.x = ir_dot(elab_builder(s->e), a->x, c->x, ac, cc, nc, ab, cb, nb);
	*a = r;
	*c = s->term[--s->n];
}

static double size_guess(const Einsum *s, char c)
{
	int64_t n;
	return dim_is_const(s->size[(int)c], &n) ? (double)n : 64;
}

/* The work of joining two terms, and what it changes in memory: NumPy's greedy choice takes the smallest growth, then the least work. */
static void join_cost(const Einsum *s, int i, int j, double *growth, double *work)
{
	const Term *a = &s->term[i], *c = &s->term[j];
	double result = 1, left = 1, right = 1;
	*work = 1;
	for (int k = 0; k < a->n; k++) {
		left *= size_guess(s, a->label[k]);
		*work *= size_guess(s, a->label[k]);
		if (label_kept(s, a->label[k], i, j)) result *= size_guess(s, a->label[k]);
	}
	for (int k = 0; k < c->n; k++) {
		right *= size_guess(s, c->label[k]);
		if (has_label(a->label, a->n, c->label[k])) continue;
		*work *= size_guess(s, c->label[k]);
		if (label_kept(s, c->label[k], i, j)) result *= size_guess(s, c->label[k]);
	}
	*growth = result - left - right;
}

static void contract_all(Einsum *s)
{
	while (s->n > 1) {
		int bi = 0, bj = 1;
		double bg = 0, bw = 0;
		for (int i = 0; i < s->n; i++)
			for (int j = i + 1; j < s->n; j++) {
				double g, w;
				join_cost(s, i, j, &g, &w);
				bool first = i == 0 && j == 1;
				if (first || g < bg || (g == bg && w < bw)) bi = i, bj = j, bg = g, bw = w;
			}
		join_terms(s, bi, bj);
	}
	sum_own(s, &s->term[0], 0, 0, NULL);
}

Val builtin_einsum(Elab *e, const CallSite *at, Val *argv)
{
	Einsum s = {.e = e, .loc = at->loc, .text = elab_str(e, argv[0], arg_at(at, 0), "the subscripts of `einsum`")};
	const Items *ops = argv[1].u.items;
	if (ops->n == 0 || ops->n > 32) elab_fail(e, at->loc, "einsum.operands", "einsum takes 1 to 32 operands, not %d", ops->n);
	Value *x[32];
	product_operands(e, ops->at, ops->n, x, at->loc, at->name);
	parse_einsum(&s, x, ops->n);
	contract_all(&s);
	Term *t = &s.term[0];
	int64_t perm[MAX_RANK];
	for (int i = 0; i < s.nout; i++) {
		const char *q = t->n ? memchr(t->label, s.out[i], (size_t)t->n) : NULL;
		if (!q) elab_fail(e, at->loc, "einsum.text", "einsum \"%s\": `%c` of the result is in no operand", s.text, s.out[i]);
		perm[i] = q - t->label;
	}
	return val_tensor(s.nout ? ir_transpose(elab_builder(e), t->x, perm) : t->x);
}
