/* Calls that may be cut: see loop_cut.h. Costs are estimates for vector code, 16 multiply-adds of f32 in a cycle; sizes that are not known
 * count as some typical number, where they are part of the work of one part. */
#include "loop_cut.h"
#include "loop_text.h"
#include "loop_walk.h"

enum { COST_EXP = 32, COST_UNPACK = 2, COST_SWAP = 48 };

static Dim product_of(DimCtx *c, const Type *t, int from, int to)
{
	Dim n = dim_int(c, 1);
	for (int i = from; i < to; i++) n = dim_mul(c, n, t->dim[i]);
	return n;
}

Dim raw_parts(DimCtx *c, const Node *n)
{
	switch (loop_node_row(n)->cut) {
	case RAW_CUT_QUERIES: return dim_mul(c, dim_mul(c, n->index[0].add, n->index[1].add), n->index[3].add);
	case RAW_CUT_COLUMNS: return n->index[1].add;
	case RAW_CUT_LINES: return product_of(c, n->buf->type, 0, (int)n->number);
	case RAW_CUT_MATRICES: return product_of(c, n->buf->type, 0, n->buf->type->rank - 2);
	case RAW_CUT_GROUPS:
	case RAW_CUT_NONE: break;
	}
	return NULL;
}

/* How often n can be halved. */
static int64_t log_of(Dim n)
{
	int64_t k, log = 1;
	if (!dim_is_const(n, &k)) return 10;
	for (; k > 2; k /= 2) log++;
	return log;
}

/* Multiply-adds of a factorisation (a third and two thirds of the cube) or of a triangular solve for each column; a few in a cycle. */
static Dim matrix_cost(DimCtx *c, const Node *n)
{
	Dim square = dim_mul(c, n->hi, n->hi);
	return dim_mul(c, dim_scale(c, square, 2, 1), n->lo ? n->lo : n->hi);
}

Dim raw_part_cost(DimCtx *c, const Node *n)
{
	const KindRow *r = loop_node_row(n);
	switch (r->cut) {
	case RAW_CUT_QUERIES: return dim_mul(c, n->index[4].add, dim_add(c, dim_scale(c, n->index[5].add, 2, 1), dim_int(c, COST_EXP)));
	case RAW_CUT_COLUMNS: return dim_mul(c, n->index[2].add, dim_add(c, n->index[0].add, dim_int(c, COST_UNPACK)));
	case RAW_CUT_LINES: return dim_scale(c, dim_mul(c, n->hi, n->lo), 10 * log_of(n->hi), 1);
	case RAW_CUT_MATRICES: return matrix_cost(c, n);
	case RAW_CUT_GROUPS:
	case RAW_CUT_NONE: break;
	}
	return r->writes == RAW_WRITES_LINE ? dim_scale(c, n->hi, COST_SWAP * log_of(n->hi), 1) : NULL;
}

/* A solve may have its right side in the memory of its result: matrix by matrix. */
bool raw_parts_apart(const Node *n)
{
	const KindRow *r = loop_node_row(n);
	const Buf *to = buf_root(n->buf), *also = n->buf2 && r->scratch != RAW_SCRATCH_BUF2 ? buf_root(n->buf2) : NULL;
	Buf *const read[] = {n->src, r->scratch == RAW_SCRATCH_SRC2 ? NULL : n->src2, n->table == n->buf ? NULL : n->table};
	for (int i = 0; i < 3 + n->nuses; i++) {
		Buf *b = i < 3 ? read[i] : n->uses[i - 3];
		if (b && (buf_root(b) == to || buf_root(b) == also)) return false;
	}
	return to != also;
}

int raw_unit(const Node *n, const Axis *x)
{
	enum { TILE = 4, ROW = 1, ROWS_OF_TILES = 2 };
	if (n->kind != N_RAW || loop_node_row(n)->cut != RAW_CUT_GROUPS) return 1;
	const Index *row = &n->index[ROW];
	return row->n && row->term[0].axis == x ? TILE * (int)n->ints[ROWS_OF_TILES] : 1;
}
