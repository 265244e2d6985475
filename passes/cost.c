/* Bytes and operations of a kernel.
 *
 * Bytes: each element of a buffer that outlives the kernel counts once if it is read, once if it is written: what has to come from memory
 * if the caches keep the rest. An access covers the extents of the axes in its index, at most the buffer. Operations: one for each
 * floating-point operation of a body, ten for elementary functions (what their polynomials take), one for each element that a reduction
 * takes in; library calls by their formulas below, in the multiplications and additions of the plain algorithm. */
#include "cost.h"
#include <string.h>

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

/* A whole convolution, though a call computes one row: [.., taps, input channels, 32] or [.., taps, channels]. */
static Dim conv_flops(DimCtx *c, const Node *n)
{
	Dim sum = dim_scale(c, elements(c, n->buf), 2, 1);
	int axes = (n->nints - 1) / 3, taps = !strcmp(n->mode, "conv") ? axes + 1 : axes;
	for (int i = 0; i < taps; i++) sum = dim_mul(c, sum, last_dim(c, n->src2, 2 + i));
	return sum;
}

static Dim winograd_flops(DimCtx *c, const Node *n)
{
	return dim_scale(c, dim_mul(c, elements(c, n->buf), last_dim(c, n->src2, 2)), 18, 1); /* [36, panels, input channels, 32] */
}

/* q [.., rows, size], k [.., keys, size]: two products. */
static Dim attention_flops(DimCtx *c, const Node *n)
{
	return dim_scale(c, dim_mul(c, elements(c, n->buf), last_dim(c, n->uses[1], 2)), 4, 1);
}

static Dim quantized_flops(DimCtx *c, const Node *n)
{
	return dim_scale(c, dim_mul(c, elements(c, n->buf), last_dim(c, n->uses[0], 1)), 2, 1);
}

static const struct {
	const char *mode;
	Dim (*flops)(DimCtx *c, const Node *n);
} calls[] = {{"conv", conv_flops},
             {"depthwise", conv_flops},
             {"winograd", winograd_flops},
             {"attention", attention_flops},
             {"quantized_product", quantized_flops}};

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
		for (size_t i = 0; n->kind == N_RAW && i < sizeof calls / sizeof *calls; i++)
			if (!strcmp(calls[i].mode, n->mode)) *whole = dim_add(c, *whole, calls[i].flops(c, n));
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
