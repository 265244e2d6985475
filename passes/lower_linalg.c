/* Fourier transforms and factorisations: one call of a kernel (kernels/fft.h, kernels/linalg.h) that does the whole tensor. */
#include <string.h>
#include "../ir/op_fft.h"
#include "lower.h"

enum { TABLE_IN_TEXT = 32768 }; /* floats: longer tables are made at run time */

static Node *call_new(Lower *L, Value *v, const char *kernel)
{
	Buf *out = lower_info(L, v)->buf;
	Nest *s = stage_new(L, v, out, kernel);
	Node *n = node_add(L, s->body, N_RAW, v->type->dtype);
	n->mode = kernel;
	n->buf = out;
	out->writes++;
	return n;
}

static void call_reads(Node *n, Buf **at, Buf *b)
{
	*at = b;
	b->reads++;
}

static Buf *room(Lower *L, DType d, Dim n, const char *name)
{
	return lower_buf(L, BUF_ARENA, type_get(L->m, d, 1, &n), NULL, name);
}

static Dim dim_linear(Lower *L, Dim n, int64_t factor, int64_t more)
{
	return dim_add(L->dims, dim_scale(L->dims, n, factor, 1), dim_int(L->dims, more));
}

/* A table of these contents that the function has already. */
static Buf *same_table(Lower *L, const Tensor *t)
{
	for (int i = 0; i < L->f->bufs.n; i++) {
		const Buf *b = L->f->bufs.at[i];
		if (b->space == BUF_CONST && b->data && b->data->dtype == t->dtype && tensor_bytes(b->data) == tensor_bytes(t) &&
		    !memcmp(b->data->data, t->data, tensor_bytes(t)))
			return L->f->bufs.at[i];
	}
	return NULL;
}

/* The roots of unity for lines of n: constants where the length is known and they are not too many, else made by a call before. */
static Buf *fft_table(Lower *L, Op *op, Dim n, Dim inner, Buf *scratch)
{
	int64_t len, in;
	bool known = dim_is_const(n, &len) && dim_is_const(inner, &in);
	if (known && fft_table_size(op->code, len, in > 1) <= TABLE_IN_TEXT) {
		int64_t size = fft_table_size(op->code, len, in > 1);
		Tensor *t = tensor_new(L->a, DT_f32, 1, &size);
		float *work = NEW_ARRAY(L->a, float, fft_room_size(op->code, len, in > 1) + 1);
		fft_table_fill(op->code, len, in > 1, t->data, work);
		Buf *b = same_table(L, t);
		if (b) return b;
		Dim d = dim_int(L->dims, size);
		b = lower_buf(L, BUF_CONST, type_get(L->m, DT_f32, 1, &d), NULL, "roots");
		b->data = t;
		return b;
	}
	Dim size = known ? dim_int(L->dims, fft_table_size(op->code, len, in > 1)) : dim_linear(L, n, FFT_TABLE_PER_ELEMENT, FFT_TABLE_MORE);
	Buf *table = room(L, DT_f32, size, "roots");
	Nest *s = stage_new(L, NULL, table, "fft_table");
	Node *c = node_add(L, s->body, N_RAW, DT_f32);
	c->mode = op->code == OP_fft ? "fft_table" : "rfft_table";
	c->buf = table;
	table->writes++;
	c->buf2 = scratch;
	c->hi = n;
	c->lo = inner;
	return table;
}

static void store_fft(Lower *L, Op *op)
{
	Value *v = op->out[0];
	int64_t axis = op_int(op, AT_axis, 0), len, in;
	const Type *whole = op->code == OP_irfft ? v->type : op->in[0]->type;
	Buf *x = lower_value_buf(L, op->in[0]);
	Dim n = whole->dim[axis], inner = dim_int(L->dims, 1);
	for (int i = (int)axis + 1; i < whole->rank; i++) inner = dim_mul(L->dims, inner, whole->dim[i]);
	bool known = dim_is_const(n, &len) && dim_is_const(inner, &in);
	Dim size = known ? dim_int(L->dims, fft_room_size(op->code, len, in > 1)) : dim_linear(L, n, FFT_ROOM_PER_ELEMENT, FFT_ROOM_MORE);
	Buf *scratch = room(L, DT_f32, size, "fft_room");
	Buf *table = fft_table(L, op, n, inner, scratch);
	Node *c = call_new(L, v, op_row(op->code)->name);
	call_reads(c, &c->src, x);
	call_reads(c, &c->table, table);
	c->buf2 = scratch;
	c->hi = n;
	c->lo = inner;
	c->number = axis;
	c->reverse = op_bool(op, AT_inverse);
	fft_norm(op_str(op, AT_norm), &c->norm);
}

static void store_cholesky(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Dim n = v->type->dim[v->type->rank - 1];
	Buf *a = lower_value_buf(L, op->in[0]);
	Node *c = call_new(L, v, "cholesky");
	call_reads(c, &c->src, a);
	c->buf2 = room(L, v->type->dtype, dim_mul(L->dims, dim_linear(L, n, 1, 7), dim_linear(L, n, 1, 31)), "cholesky_room");
	c->hi = n;
}

static void store_lu(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *a = lower_value_buf(L, op->in[0]), *order = lower_info(L, op->out[1])->buf;
	Node *c = call_new(L, v, "lu");
	call_reads(c, &c->src, a);
	c->buf2 = order;
	order->writes++;
	c->hi = v->type->dim[v->type->rank - 1];
}

static void store_trisolve(Lower *L, Op *op)
{
	Value *v = op->out[0];
	Buf *a = lower_value_buf(L, op->in[0]), *b = lower_value_buf(L, op->in[1]);
	Node *c = call_new(L, v, "trisolve");
	call_reads(c, &c->src, a);
	call_reads(c, &c->table, b);
	c->hi = v->type->dim[v->type->rank - 2];
	c->lo = v->type->dim[v->type->rank - 1];
	c->reverse = op_bool(op, AT_transposed);
	c->exclusive = op_bool(op, AT_upper) != c->reverse;
	c->number = op_bool(op, AT_unit);
}

const LowerRow lower_fft = {.store = store_fft, .memory = true};
const LowerRow lower_rfft = {.store = store_fft, .memory = true};
const LowerRow lower_irfft = {.store = store_fft, .memory = true};
const LowerRow lower_cholesky = {.store = store_cholesky, .memory = true};
const LowerRow lower_lu = {.store = store_lu, .memory = true};
const LowerRow lower_trisolve = {.store = store_trisolve, .memory = true};
