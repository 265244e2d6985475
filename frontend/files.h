/* Tensors in files: .npy, .npz, .safetensors. They are here and not with the command line because constants (`load("t.npy")`,
 * `Net.load("f.safetensors")`, --weights) come from them too.
 *
 * Readers take bytes from anybody: every size is checked before it is used, and a malformed file gives false and *why, a text in the
 * arena without the file's name. What they give lies in the arena, row-major. Files are little-endian; so is the machine. */
#ifndef MLXCC_FRONTEND_FILES_H
#define MLXCC_FRONTEND_FILES_H
#include <stdbool.h>
#include "../ir/tensor.h"

typedef struct NamedTensor {
	const char *name;
	Tensor *tensor;
} NamedTensor;
typedef struct TensorFile {
	NamedTensor *at;
	int n;
	bool single;
} TensorFile; /* in file order; single: a .npy, its one name is "" */

bool npy_read(Arena *a, const void *data, size_t n, Tensor **out, const char **why);
bool npz_read(Arena *a, const void *data, size_t n, TensorFile *out, const char **why);
bool safetensors_read(Arena *a, const void *data, size_t n, TensorFile *out, const char **why);
/* Writers append the file's bytes. bf16 in .npy and .npz is written as `|V2`, as ml_dtypes does. */
void npy_write(StrBuf *out, const Tensor *t);
void npz_write(StrBuf *out, const NamedTensor *t, int n);         /* uncompressed, as numpy.savez */
void safetensors_write(StrBuf *out, const NamedTensor *t, int n); /* tensors by falling alignment, then name, as the library does */

/* --- whole files ------------------------------------------------------------------------------------------------------- */
/* All bytes of a file, with a NUL behind them. why: "cannot open: No such file or directory". */
bool file_read(Arena *a, const char *path, char **data, size_t *n, const char **why);
/* Writes aside and renames, so that path has the whole content or is left as it was. */
bool file_write(Arena *a, const char *path, const void *data, size_t n, const char **why);
/* By what the file begins with, not by its name. */
bool tensor_file_read(Arena *a, const char *path, TensorFile *out, const char **why);
/* By the ending of path: .npy (n must be 1), .npz, .safetensors. */
bool tensor_file_write(Arena *a, const char *path, const NamedTensor *t, int n, const char **why);
const Tensor *tensor_file_find(const TensorFile *f, const char *name); /* NULL when missing */

/* --- stacked leaves ---------------------------------------------------------------------------------------------------- */
/* The leaf at a tree path. In the path of a module array's leaf, "layers.*.weight", `*` stands for the leading axis: the file's
 * layers.0.weight, layers.1.weight, … are stacked. count: how many are wanted on each `*`, in order (NULL: as many as the file has).
 * False where a tensor is missing, or dtypes or shapes of a stack differ. */
bool tensor_file_leaf(Arena *a, const TensorFile *f, const char *path, const int64_t *count, Tensor **out, const char **why);
/* The inverse: appends t under its path, split along its leading axes where the path has `*`. */
typedef VEC(NamedTensor) NamedTensors;
void tensors_split(Arena *a, NamedTensors *out, const char *path, Tensor *t);
#endif
