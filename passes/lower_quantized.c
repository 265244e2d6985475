/* Products with packed rows as one kernel call: kernels/quantized.h. Taken are f32, f16 and bf16 with any number of bits and rows of x;
 * f64 and a length that is not known are lowered from the plain body. */
#include "composite.h"

enum { ROWS = 32, BLOCK = 512, GROUPS = 16 }; /* rows of x in scratch, MX_Q_X; mx_q_room counts the same floats */

static const Type *param_type(const Func *f, const char *name)
{
	int k = composite_tensor(f, name);
	return k < 0 ? NULL : f->body->param[k]->type;
}

static bool is_taken(const Type *t)
{
	return t && (t->dtype == DT_f32 || t->dtype == DT_f16 || t->dtype == DT_bf16);
}

static Dim row_count(DimCtx *c, const Type *x)
{
	Dim rows = dim_int(c, 1);
	for (int i = 0; i < x->rank - 1; i++) rows = dim_mul(c, rows, x->dim[i]);
	return rows;
}

bool matches_quantized_matmul_t(const Func *f)
{
	const Type *x = param_type(f, "x"), *w = param_type(f, "w"), *s = param_type(f, "scales"), *b = param_type(f, "biases");
	int64_t k, groups;
	if (!is_taken(x) || !is_taken(s) || s != b || !w || w->rank != 2 || s->rank != 2 || x->rank < 1 || f->body->nparam != 4) return false;
	return dim_is_const(x->dim[x->rank - 1], &k) && dim_is_const(s->dim[1], &groups) && groups && k;
}

/* Rows of x that are prepared at a time: all where few are known to be there. */
static Dim rows_at_once(DimCtx *c, Dim rows)
{
	int64_t n;
	return dim_is_const(rows, &n) && n < ROWS ? rows : dim_int(c, ROWS);
}

void lower_composite_quantized_matmul_t(Lower *L, Op *call, Buf *out)
{
	Func *f = op_attr(call, AT_func)->v.func;
	const Type *x = param_type(f, "x"), *w = param_type(f, "w"), *s = param_type(f, "scales");
	static const char *const operand[4] = {"x", "w", "scales", "biases"};
	Buf **uses = NEW_ARRAY(L->a, Buf *, 4);
	for (int i = 0; i < 4; i++) uses[i] = lower_value_buf(L, call->in[composite_tensor(f, operand[i])]);
	int64_t k = 0, groups = 1;
	dim_is_const(x->dim[x->rank - 1], &k);
	dim_is_const(s->dim[1], &groups);
	Nest *nest = stage_new(L, call->out[0], out, "quantized_product");
	Node *node = node_add(L, nest->body, N_RAW, DT_f32);
	node->mode = "quantized_product";
	node->buf = out;
	node->uses = uses;
	node->nuses = 4;
	const Index sizes[3] = {index_dim(L, row_count(L->dims, x)), index_dim(L, w->dim[0]), index_dim(L, dim_int(L->dims, k))};
	node->index = arena_copy(L->a, sizes, sizeof sizes);
	node->nindex = 3;
	node->number = k / groups;
	const int64_t each = (k / BLOCK + 1) * BLOCK + 2 * ((groups + GROUPS - 1) / GROUPS * GROUPS);
	Dim room = dim_scale(L->dims, rows_at_once(L->dims, sizes[0].add), each, 1);
	node->src2 = lower_buf(L, BUF_ARENA, type_get(L->m, DT_f32, 1, &room), NULL, "quantized_room");
}
