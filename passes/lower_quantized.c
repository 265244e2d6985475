/* Products with packed rows as one kernel call: kernels/quantized.h. Taken are f32 with 4 bits and few rows of x (a matrix with many is
 * better unpacked once and multiplied); everything else is lowered from the plain body. */
#include "composite.h"

enum { FEW_ROWS = 16, VECTOR = 128 };

static const Type *param_type(const Func *f, const char *name)
{
	int k = composite_tensor(f, name);
	return k < 0 ? NULL : f->body->param[k]->type;
}

static bool is_f32(const Type *t)
{
	return t && t->dtype == DT_f32;
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
	int64_t rows, k, group;
	if (!is_f32(x) || !is_f32(s) || s != b || !w || w->rank != 2 || s->rank != 2 || x->rank < 1 || f->body->nparam != 4) return false;
	if (!composite_is(f, "bits", "4") || !dim_is_const(x->dim[x->rank - 1], &k) || !dim_is_const(s->dim[1], &group) || !group) return false;
	return !dim_is_const(row_count(f->module->dims, x), &rows) || rows <= FEW_ROWS;
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
	Dim room = dim_scale(L->dims, sizes[0].add, (k + VECTOR - 1) / VECTOR * VECTOR + 2 * groups, 1);
	node->src2 = lower_buf(L, BUF_ARENA, type_get(L->m, DT_f32, 1, &room), NULL, "quantized_room");
}
