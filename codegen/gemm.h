/* Matrix product kernels (kernels/gemm.h) for emitted files: what printers of other templates build on. */
#ifndef MLXCC_CODEGEN_GEMM_H
#define MLXCC_CODEGEN_GEMM_H
#include "emit.h"

/* Each writes its definitions to e->constants once, for the dtype of a and b in memory, and returns its C name. Sums are in
 * dtype_compute(d).
 *
 * gemm_micro  NAME_MR, NAME_NV, NAME_NR, NAME_PANEL, NAME_KC and NAME_rows[m](K, a, as, b, bs, c, cs, js, add, next), m <= NAME_MR: a tile
 * gemm        struct NAME, NAME_begin, NAME_next: all of a product, tile by tile
 * gemm_small  NAME(M, N, K, a, am, ak, b, bk, c, cm)
 * gemv_rows   NAME(N, K, w, wn, x, y)
 * gemv_panels NAME(N, K, w, x, xk, y)
 * gemv_columns NAME(N, K, w, wk, x, xk, y, room) */
const char *gemm_template(Emit *e, const char *kernel, DType d);
#endif
