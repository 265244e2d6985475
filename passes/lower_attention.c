/* Attention as one kernel call: kernels/attention.h. Taken are f32 of static head size with no mask, a causal one (no fewer keys than
 * queries), booleans or f32 numbers whose rows are whole, and sinks; everything else is lowered from the plain body. */
#include <stdlib.h>
#include <string.h>
#include "composite.h"

/* What kernels/attention.h may need at any width: rows of a tile and their distance, columns of a panel, keys in a block. */
enum { TILE_ROWS = 14, TILE_STRIDE = 272, PANEL = 32, KEY_BLOCK = 256 };
enum { MASK_NONE, MASK_CAUSAL, MASK_BOOL, MASK_ADDED };

static const Type *param_type(const Func *f, const char *name)
{
	int k = composite_tensor(f, name);
	return k < 0 ? NULL : f->body->param[k]->type;
}

static bool is_f32(const Type *t, int rank)
{
	return t && t->dtype == DT_f32 && t->rank == rank;
}

static bool absent(const Func *f, const char *name)
{
	size_t n;
	return composite_tensor(f, name) < 0 && (!composite_value(f, name, &n) || composite_is(f, name, "none"));
}

static int mask_kind(const Func *f)
{
	const Type *t = param_type(f, "mask");
	if (t) return t->dtype == DT_bool ? MASK_BOOL : MASK_ADDED;
	return composite_is(f, "mask", "causal") ? MASK_CAUSAL : MASK_NONE;
}

static bool mask_fits(const Func *f, const Type *t, const Type *q, const Type *k)
{
	Dim full[4] = {q->dim[0], q->dim[1], q->dim[2], k->dim[2]};
	int64_t one;
	if ((t->dtype != DT_bool && t->dtype != DT_f32) || t->rank > 4 || t->rank < 1) return false;
	for (int i = 0; i < t->rank; i++) {
		Dim d = t->dim[t->rank - 1 - i], whole = full[3 - i];
		bool single = dim_is_const(d, &one) && one == 1;
		if (d != whole && (!single || i == 0)) return false;
	}
	return true;
}

bool matches_scaled_dot_product_attention(const Func *f)
{
	const Type *q = param_type(f, "q"), *k = param_type(f, "k"), *v = param_type(f, "v"), *m = param_type(f, "mask"),
	           *s = param_type(f, "sinks");
	size_t n;
	int64_t depth, heads, kv_heads;
	if (!is_f32(q, 4) || !is_f32(k, 4) || v != k || f->body->nparam != 3 + (m != NULL) + (s != NULL)) return false;
	if (!composite_value(f, "scale", &n) || q->dim[0] != k->dim[0] || q->dim[3] != k->dim[3]) return false;
	if (!dim_is_const(q->dim[3], &depth) || depth < 1 || !dim_is_const(q->dim[1], &heads) || !dim_is_const(k->dim[1], &kv_heads))
		return false;
	if (kv_heads < 1 || heads % kv_heads) return false;
	if (s ? !is_f32(s, 1) : !absent(f, "sinks")) return false;
	if (m) return mask_fits(f, m, q, k);
	if (composite_is(f, "mask", "causal")) return dim_provable_nonneg(f->facts, dim_sub(f->module->dims, k->dim[2], q->dim[2]));
	return absent(f, "mask");
}

/* Floats of scratch: panels of keys, padded values, tiles of queries, scores and results. */
static Buf *attention_room(Lower *L, const Type *k)
{
	DimCtx *c = L->dims;
	int64_t depth = 1;
	dim_is_const(k->dim[3], &depth);
	int64_t wide = (depth + PANEL - 1) / PANEL * PANEL, tiles = 1 + (depth + KEY_BLOCK - 1) / KEY_BLOCK;
	Dim n = dim_scale(c, dim_add(c, k->dim[2], dim_int(c, PANEL)), depth, 1);
	if (depth % PANEL) n = dim_add(c, n, dim_scale(c, k->dim[2], wide, 1));
	n = dim_add(c, n, dim_int(c, TILE_ROWS * (TILE_STRIDE * tiles + wide)));
	return lower_buf(L, BUF_ARENA, type_get(L->m, DT_f32, 1, &n), NULL, "attention_room");
}

/* Distances of batches, heads and rows. */
static Index *put_strides(Lower *L, Index *at, const Dim *stride)
{
	for (int i = 0; i < 3; i++) *at++ = index_dim(L, stride[i]);
	return at;
}

static void mask_strides(Lower *L, const Type *t, Dim *stride)
{
	Dim apart = dim_int(L->dims, 1);
	int64_t one;
	for (int i = 3; i >= 0; i--) {
		int own = t->rank - 4 + i;
		bool single = own < 0 || (dim_is_const(t->dim[own], &one) && one == 1);
		stride[i] = single ? dim_int(L->dims, 0) : apart;
		if (own >= 0) apart = dim_mul(L->dims, apart, t->dim[own]);
	}
}

void lower_composite_scaled_dot_product_attention(Lower *L, Op *call, Buf *out)
{
	Func *f = op_attr(call, AT_func)->v.func;
	const Type *q = param_type(f, "q"), *k = param_type(f, "k"), *m = param_type(f, "mask"), *s = param_type(f, "sinks");
	const char *const operand[3] = {"q", "k", "v"};
	Dim stride[5][MAX_RANK];
	Buf **uses = NEW_ARRAY(L->a, Buf *, 5);
	int n = 0;
	for (; n < 3; n++) uses[n] = composite_operand(L, call->in[composite_tensor(f, operand[n])], stride[n]);
	stride[3][3] = dim_int(L->dims, 1); /* the result is contiguous */
	for (int i = 2; i >= 0; i--) stride[3][i] = dim_mul(L->dims, stride[3][i + 1], q->dim[i + 1]);
	for (int i = 0; i < 4; i++) stride[4][i] = dim_int(L->dims, 0);
	if (m) {
		uses[n++] = lower_value_buf(L, call->in[composite_tensor(f, "mask")]);
		mask_strides(L, m, stride[4]);
	}
	if (s) uses[n++] = lower_value_buf(L, call->in[composite_tensor(f, "sinks")]);
	Nest *nest = stage_new(L, call->out[0], out, "attention");
	size_t chars;
	Node *scale = node_const(L, nest->body, scalar_from_double(strtod(composite_value(f, "scale", &chars), NULL), DT_f32));
	Node *node = node_add(L, nest->body, N_RAW, DT_f32);
	node->mode = "attention";
	node->buf = out;
	node->uses = uses;
	node->nuses = n;
	node->number = mask_kind(f);
	node->arg[node->narg++] = scale;
	Index sizes[6 + 5 * 3], *at = sizes;
	const Dim size[6] = {q->dim[0], q->dim[1], k->dim[1], q->dim[2], k->dim[2], q->dim[3]};
	for (int i = 0; i < 6; i++) *at++ = index_dim(L, size[i]);
	for (int i = 0; i < 5; i++) at = put_strides(L, at, stride[i]);
	node->nindex = (int)(at - sizes);
	node->index = arena_copy(L->a, sizes, sizeof sizes);
	node->src2 = attention_room(L, k);
}
