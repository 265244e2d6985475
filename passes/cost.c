/* Bytes and operations of a kernel.
 *
 * Bytes: each element of a buffer that outlives the kernel counts once if it is read, once if it is written: what has to come from memory
 * if the caches keep the rest. An access covers the extents of the axes in its index, at most the buffer. Operations: one for each
 * floating-point operation of a body, ten for elementary functions (what their polynomials take), one for each element that a reduction
 * takes in; library calls by the formula that loop.def names, in the multiplications and additions of the plain algorithm. */
#include "cost.h"
#include "loop_text.h"

enum { DEAR = 10 };

/* --- operations ---------------------------------------------------------------------------------------------------------------------- */
static Dim elements(DimCtx *c, const Buf *b)
{
	Dim n = dim_int(c, 1);
	for (int i = b->space == BUF_ROW ? b->drop : 0; i < b->type->rank; i++) n = dim_mul(c, n, b->type->dim[i]);
	return n;
}

static Dim last_dim(DimCtx *c, const Buf *b, int back)
{
	return b->type->rank >= back ? b->type->dim[b->type->rank - back] : dim_int(c, 1);
}

static Dim scaled_by(DimCtx *c, Dim n, const Buf *b, int back, int by)
{
	return dim_scale(c, dim_mul(c, n, last_dim(c, b, back)), by, 1);
}

/* Of a library call as a whole, though one of a convolution computes a row. */
static Dim call_flops(DimCtx *c, const Node *n)
{
	Dim all = elements(c, n->buf), sum = dim_scale(c, all, 2, 1);
	int taps = (n->nints - 1) / 3; /* a weight is [.., taps, input channels, 32] or [.., taps, channels] */
	switch (loop_node_row(n)->flops) {
	case RAW_FLOPS_CONV: taps++; /* fall through */
	case RAW_FLOPS_DEPTHWISE:
		for (int i = 0; i < taps; i++) sum = scaled_by(c, sum, n->src2, 2 + i, 1);
		return sum;
	case RAW_FLOPS_WINOGRAD: return scaled_by(c, all, n->src2, 2, 18);      /* [36, panels, input channels, 32] */
	case RAW_FLOPS_ATTENTION: return scaled_by(c, all, n->uses[1], 2, 4);   /* q [.., rows, size], k [.., keys, size]: two products */
	case RAW_FLOPS_PACKED_ROWS: return scaled_by(c, all, n->uses[0], 1, 2); /* x [.., size] */
	case RAW_FLOPS_NONE: break;
	}
	return dim_int(c, 0);
}

static Dim over(DimCtx *c, Dim n, const Axis *const *axis, int naxis)
{
	for (int i = 0; i < naxis; i++)
		if (axis[i]->extent) n = dim_mul(c, n, axis[i]->extent);
	return n;
}

/* Of one run of b; library calls, which are for the whole kernel, go to *whole. */
static Dim body_flops(DimCtx *c, const Body *b, Dim *whole)
{
	Dim sum = dim_int(c, 0);
	for (const Node *n = b ? b->first : NULL; n; n = n->next) {
		Dim inner = dim_add(c, body_flops(c, n->body, whole), body_flops(c, n->other, whole));
		bool floats = dtype_is_float(n->dtype) || n->dtype == DT_c64;
		if (n->kind == N_REDUCE && floats) inner = dim_add(c, inner, dim_int(c, 1));
		sum = dim_add(c, sum, over(c, inner, n->axis, n->naxis));
		if (n->kind == N_OP && floats && n->op != OP_convert)
			sum = dim_add(c, sum, dim_int(c, op_row(n->op)->flags & OPF_CHEAP ? 1 : DEAR));
		if (n->kind == N_STORE && n->mode && floats) sum = dim_add(c, sum, dim_int(c, 1));
		if (n->kind == N_RAW) *whole = dim_add(c, *whole, call_flops(c, n));
	}
	return sum;
}

/* --- bytes ---------------------------------------------------------------------------------------------------------------------------- */
static Dim covered(DimCtx *c, const Touch *t)
{
	const Axis *seen[4 * MAX_RANK];
	int n = 0;
	int64_t all, part;
	bool gathered = false;
	Dim whole = elements(c, t->buf), sum = dim_int(c, 1);
	if (t->kind & ACCESS_WHOLE) return whole;
	for (int i = 0; i < t->nindex; i++)
		for (int k = 0; k < t->index[i].n; k++) {
			const Axis *x = t->index[i].term[k].axis;
			gathered |= !x;
			for (int j = 0; j < n && x; j++)
				if (seen[j] == x) x = NULL;
			if (x && n < 4 * MAX_RANK) seen[n++] = x;
		}
	if (gathered) /* at most one element in each turn of the loops */
		for (int i = 0; i < t->stage->naxis && n < 4 * MAX_RANK; i++) {
			bool have = false;
			for (int j = 0; j < n; j++) have |= seen[j] == t->stage->axis[i];
			if (!have) seen[n++] = t->stage->axis[i];
		}
	if (n > t->buf->type->rank && !gathered) return whole; /* windows */
	sum = over(c, sum, seen, n);
	return dim_is_const(whole, &all) && dim_is_const(sum, &part) && part > all ? whole : sum;
}

static bool outlives(const Touch *t)
{
	const Buf *b = t->buf;
	return b != t->stage->room && b->space != BUF_ROW && b->space != BUF_TILE && b->space != BUF_SCALAR;
}

/* Is b a template's own memory, or written before it is read? */
static bool made_here(const Touches *t, const Buf *b)
{
	for (int i = 0; i < t->at.n; i++)
		if (t->at.at[i].buf == b) return t->at.at[i].kind == ACCESS_WRITE;
	return false;
}

/* The widest access of a kind to each buffer. */
static Dim traffic(DimCtx *c, const Touches *t, int kind)
{
	Dim sum = dim_int(c, 0);
	for (int i = 0; i < t->at.n; i++) {
		Buf *b = t->at.at[i].buf;
		bool first = true;
		Dim most = NULL;
		int64_t x, y;
		for (int k = 0; k < t->at.n; k++) {
			const Touch *o = &t->at.at[k];
			if (o->buf != b || !(o->kind & kind)) continue;
			first &= k >= i;
			Dim n = covered(c, o);
			if (!most || (dim_is_const(n, &x) && dim_is_const(most, &y) && x > y)) most = n;
		}
		if (kind == ACCESS_READ && first && made_here(t, b)) continue;
		if (first && most && (t->at.at[i].kind & kind) && outlives(&t->at.at[i]))
			sum = dim_add(c, sum, dim_scale(c, most, dtype_bytes(b->type->dtype), 1));
	}
	return sum;
}

KernelCost kernel_cost(DimCtx *c, Arena *a, const Kernel *k)
{
	KernelCost r = {.flops = dim_int(c, 0)};
	Touches t = kernel_touches(a, k);
	Dim whole = dim_int(c, 0);
	for (int i = 0; i < k->nstages; i++) {
		const Nest *s = k->stages[i];
		r.flops = dim_add(c, r.flops, over(c, body_flops(c, s->init, &whole), s->init_axis, s->ninit));
		r.flops = dim_add(c, r.flops, over(c, body_flops(c, s->body, &whole), s->axis, s->naxis));
	}
	r.flops = dim_add(c, r.flops, whole);
	r.read = traffic(c, &t, ACCESS_READ);
	r.written = traffic(c, &t, ACCESS_WRITE);
	for (int i = 0; i < t.at.n; i++) {
		const Buf *b = t.at.at[i].buf;
		int64_t n;
		bool seen = false;
		for (int j = 0; j < i; j++) seen |= t.at.at[j].buf == b;
		if (!seen && b->space == BUF_ROW && !b->in_arena && dim_is_const(elements(c, b), &n)) r.stack += n * dtype_bytes(b->type->dtype);
	}
	return r;
}
