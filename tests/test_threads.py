"""--threads: the same bytes for every number of threads and every way to cut, no race, and work that is too small stays on the caller's thread."""
import ctypes
import pathlib
import re
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARN = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]

# An executor that cuts at odd places and runs the pieces last first, in one thread: what a piece computes must not depend on the others.
EXECUTOR = """
#include <stddef.h>
#include "t.h"
static void backwards(void *self, ptrdiff_t n, mx_task task, void *ctx)
{
	++*(int *)self;
	for (ptrdiff_t i = n; i-- > 0;) task(ctx, i, i + 1);
}
int test_calls;
mx_exec test_exec(int threads)
{
	mx_exec e = {&test_calls, threads, backwards};
	return e;
}
"""

CASES = {
    "softmax": ("x: f32[300, 1000]", "softmax(x, axis=-1)", "f32[300, 1000]"),
    "long_rows": ("x: f32[40, 9000]", "softmax(x, axis=-1)", "f32[40, 9000]"),
    "map": ("x: f32[333, 1001]", "tanh(x) * 2 + x", "f32[333, 1001]"),
    "flat": ("x: f32[300007]", "exp(-x * x)", "f32[300007]"),
    "axis0": ("x: f32[700, 801]", "sum(x, axis=0)", "f32[801]"),
    "axis1": ("x: f32[700, 801]", "sum(x, axis=1)", "f32[700]"),
    "transposed": ("x: f32[401, 703]", "x.T + 1", "f32[703, 401]"),
    "doubles": ("x: f64[300, 1000]", "x / (1 + sum(x * x, axis=-1, keepdims=true))", "f64[300, 1000]"),
    "dot": ("x: f32[301, 203]", "x @ x.T", "f32[301, 301]"),
    "batched": ("x: f32[30, 40, 50]", "x @ x.swapaxes(1, 2)", "f32[30, 40, 40]"),
    "products": ("x: f32[520, 300]", "tanh(x[:300] @ x[220:, :].T) + 1", "f32[300, 300]"),
    "columns": ("x: f32[7, 1000]", "relu(x[:, :900] @ ((x.T @ x)[:900, :777])) * 2", "f32[7, 777]"),
    "vector": ("x: f32[900, 1001]", "tanh(x @ x[3])", "f32[900]"),
    "transposed_vector": ("x: f32[900, 1003]", "tanh(x[:, 7] @ x)", "f32[1003]"),
    "long_sums": ("x: f32[150, 2000]", "x @ x.T * 2", "f32[150, 150]"),
    "double_products": ("x: f64[301, 203]", "x @ x.T + 1", "f64[301, 301]"),
    "rows_of_batches": ("x: f32[5, 60, 90]", "relu(x @ (x[0].T @ x[1]))", "f32[5, 60, 90]"),
    "conv": ("x: f32[1, 30, 33, 40]", "tanh(conv2d(x, x[0, :24, :24].reshape(64, 3, 3, 40), stride=2, padding=1))", "f32[1, 15, 17, 64]"),
    "conv_1x1": ("x: f32[1, 30, 33, 64]", "relu(conv2d(x, x[0, :8, :12].reshape(96, 1, 1, 64))) + 1", "f32[1, 30, 33, 96]"),
    "concat": ("x: f32[200, 1000]", "concatenate([x[:, 500:], x * 2], axis=1)", "f32[200, 1500]"),
    "cumsum": ("x: f32[300, 1000]", "cumsum(x, axis=1)", "f32[300, 1000]"),
    "argmax": ("x: f32[3000, 100]", "argmax(x, axis=1)", "u32[3000]"),
    "layer": ("x: f32[500, 300]", "sum(tanh(x) * x.mean(axis=0), axis=1)", "f32[500]"),
    "attention": ("x: f32[2, 4, 70, 64]", 'fast.scaled_dot_product_attention(x, x[:, :2], x[:, 2:], scale=0.125, mask="causal")', "f32[2, 4, 70, 64]"),
    "attention_few": ("x: f32[1, 8, 1500, 64]", "fast.scaled_dot_product_attention(x[:, :, :3], x, x, scale=0.125)", "f32[1, 8, 3, 64]"),
    "quantized": ("x: f32[640, 512]", "quantized_matmul(x[:37], quantize(x)[0], quantize(x)[1], quantize(x)[2])", "f32[37, 640]"),
    "fft": ("x: f32[301, 1000]", "real(fft.fft(x.astype(c64)))", "f32[301, 1000]"),
    "rfft": ("x: f32[301, 128, 3]", "imag(fft.rfft(x, axis=1))", "f32[301, 65, 3]"),
    "irfft": ("x: f32[301, 513]", "fft.irfft(x.astype(c64) * x[0, 0])", "f32[301, 1024]"),
    "cholesky": ("x: f32[12, 80, 80]", "linalg.cholesky(x @ x.swapaxes(1, 2) + 80 * eye(80))", "f32[12, 80, 80]"),
    "lu": ("x: f32[12, 80, 80]", "linalg.solve(x, x[:, :, :10])", "f32[12, 80, 10]"),
    "triangular": ("x: f32[13, 80, 80]", "linalg.solve_triangular(x + 9 * eye(80), x[:, :, 7:])", "f32[13, 80, 73]"),
    "sort": ("x: f32[301, 1000]", "sort(x, axis=1)", "f32[301, 1000]"),
    "sort_columns": ("x: f32[900, 71]", "sort(x, axis=0)", "f32[900, 71]"),
    "topk": ("x: f32[301, 1000]", "topk(x, 10)", "f32[301, 10]"),
    "winograd": ("x: f32[3, 30, 33, 32]", "relu(conv2d(x, x[0, :9, :32].reshape(32, 3, 3, 32), padding=1)) + 1", "f32[3, 30, 33, 32]"),
    "winograd_rows": ("x: f32[1, 61, 63, 32]", "relu(conv2d(x, x[0, :9, :32].reshape(32, 3, 3, 32), padding=1)) + 1", "f32[1, 61, 63, 32]"),
    "depthwise": ("x: f32[1, 60, 63, 40]", "conv2d(x, x[0, :9, :1].reshape(40, 3, 3, 1), padding=1, groups=40)", "f32[1, 60, 63, 40]"),
    "transposed_conv": ("x: f32[1, 24, 24, 48]", "conv_transpose2d(x, x[0, :12, :24].reshape(32, 3, 3, 48), stride=2, padding=1)", "f32[1, 47, 47, 32]"),
    "small_products": ("x: f32[300, 32, 32]", "x @ x", "f32[300, 32, 32]"),
    "symbolic": ("x: f32[N, M]", "softmax(x + 1, axis=-1)", "f32[N, M]"),
}
SIZES = {"symbolic": (123, 4567)}
# Cases whose call (or template) is shared out: the words of it, and of its kernel, in the loop IR.
CALLS = {
    **{n: rf"\n *{c} .* part p" for n, c in {"attention": "attention", "attention_few": "attention", "quantized": "quantized_product", "fft": "fft", "rfft": "rfft", "irfft": "irfft",
                                             "cholesky": "cholesky", "lu": "lu", "triangular": "trisolve"}.items()},
    **{n: rf" par 7 [^@]*\n *{c} " for n, c in {"sort": "sort", "sort_columns": "sort", "topk": "topk", "winograd": "winograd", "winograd_rows": "winograd",
                                                           "depthwise": "depthwise", "transposed_conv": "convspread"}.items()},
    "small_products": " par 7 [^@]* by gemm_small",
}


def build(mlxcc, tmp, name, flags=("-O2", "-march=native")):
    sig, body, res = CASES[name]
    dims = "dim N; dim M;\n" if name == "symbolic" else ""
    (tmp / "t.mx").write_text(f"{dims}export fn f({sig}) -> {res} {{ return {body}; }}\n")
    subprocess.run([mlxcc, "t.mx", "-o", "t.c", "--threads=7", "--verify-each"], check=True, cwd=tmp)
    if name in CALLS:
        loops = subprocess.run([mlxcc, "t.mx", "--emit=loops", "--threads=7"], check=True, cwd=tmp, capture_output=True, text=True).stdout
        assert re.search(CALLS[name], loops), loops
    (tmp / "e.c").write_text(EXECUTOR)
    if "fft" in name:  # gcc 12 warns of the branch for lengths with large factors, which is not taken
        flags = (*flags, "-Wno-array-bounds")
    subprocess.run(["gcc", "-std=c99", *WARN, *flags, "-shared", "-fPIC", "t.c", "e.c", "-o", "t.so", "-lm"], check=True, cwd=tmp)
    subprocess.run(["gcc", "-std=c11", "-O2", "-shared", "-fPIC", ROOT / "runtime/pool.c", "-pthread", "-o", "pool.so"], check=True, cwd=tmp)
    return ctypes.CDLL(str(tmp / "t.so")), ctypes.CDLL(str(tmp / "pool.so"))


class Exec(ctypes.Structure):
    _fields_ = [("self", ctypes.c_void_p), ("threads", ctypes.c_int), ("run", ctypes.c_void_p)]


def call(lib, name, exec_):
    sig, _, res = CASES[name]
    dims = SIZES.get(name, ())
    shape = dims or tuple(int(n) for n in re.search(r"\[([\d, ]+)\]", sig).group(1).split(","))
    dtype = {"f32": np.float32, "f64": np.float64, "u32": np.uint32}
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype[sig[3:6]])
    out = np.zeros(dims or tuple(int(n) for n in re.search(r"\[([\d, ]+)\]", res).group(1).split(",")), dtype[res[:3]])
    sizes = [ctypes.c_ssize_t(n) for n in dims]
    lib.t_f_arena_bytes.restype = ctypes.c_size_t
    arena = np.full(lib.t_f_arena_bytes(*sizes) + 64, 0xA5, np.uint8)
    base = arena.ctypes.data + 63 & ~63
    assert lib.t_f(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data), *sizes, ctypes.c_void_p(base), exec_) == 0
    return out


@pytest.mark.parametrize("name", CASES)
def test_the_same_bytes_for_every_number_of_threads(mlxcc, tmp_path, name):
    lib, pool = build(mlxcc, tmp_path, name)
    want = call(lib, name, None).tobytes()
    lib.test_exec.restype = Exec
    shared = False
    for threads in (2, 3, 5, 7, 64):
        e = lib.test_exec(threads)
        assert call(lib, name, ctypes.byref(e)).tobytes() == want, threads
    shared = ctypes.c_int.in_dll(lib, "test_calls").value > 0
    assert shared, "nothing was given to the executor"
    pool.mxrt_pool_new.restype = pool.mxrt_pool_exec.restype = ctypes.c_void_p
    for threads in (2, 7):
        p = ctypes.c_void_p(pool.mxrt_pool_new(threads))
        for _ in range(3):
            assert call(lib, name, ctypes.c_void_p(pool.mxrt_pool_exec(p))).tobytes() == want
        pool.mxrt_pool_free(p)


@pytest.mark.parametrize("old, new, message", [
    ("", "", None),
    ("axis p in 12 ", "axis p in 11 ", "`cholesky` has 12 parts, not 11"),
    ("cholesky out from x", "cholesky out from out", "a part of `cholesky` reads what another one writes"),
    (" part p", " part p, p", "`cholesky` has no parts along 2 axes"),
])
def test_parts_are_verified(mlxcc, irtool, tmp_path, old, new, message):
    (tmp_path / "t.mx").write_text("export fn f(x: f32[12, 80, 80]) -> f32[12, 80, 80] { return linalg.cholesky(x); }\n")
    text = subprocess.run([mlxcc, "t.mx", "--emit=loops", "--threads=7"], check=True, cwd=tmp_path, capture_output=True, text=True).stdout
    assert old in text
    (tmp_path / "t.ir").write_text(text.replace(old, new, 1))
    r = subprocess.run([irtool, "verify", str(tmp_path / "t.ir")], capture_output=True, text=True)
    assert (r.returncode == 0) == (message is None) and (not message or message in r.stderr), r.stderr


def test_small_work_stays_with_the_caller(mlxcc, tmp_path):
    (tmp_path / "t.mx").write_text("export fn f(x: f32[1000]) -> f32[1000] { return x * 2 + 1; }\n")
    subprocess.run([mlxcc, "t.mx", "-o", "t.c", "--threads=8"], check=True, cwd=tmp_path)
    (tmp_path / "e.c").write_text(EXECUTOR + "#include <stdio.h>\nint main(void)\n{\n\tstatic float x[1000], y[1000];\n\tmx_exec e = test_exec(8);\n"
                                  "\tt_f(x, y, NULL, &e);\n\tprintf(\"%d\\n\", test_calls);\n\treturn 0;\n}\n")
    subprocess.run(["gcc", "-std=c99", *WARN, "t.c", "e.c", "-o", "t", "-lm"], check=True, cwd=tmp_path)
    assert subprocess.run(["./t"], capture_output=True, text=True, cwd=tmp_path).stdout == "0\n"


def test_no_races(mlxcc, tmp_path):
    """The thread sanitizer watches a pool of three run a program of several kernels."""
    (tmp_path / "t.mx").write_text("export fn f(x: f32[200, 3000]) -> f32[200] {\n  let s = softmax(tanh(x), axis=-1);\n  let images = x[:, :288].reshape(4, 15, 15, 64)[:, :, :, :32];\n"
                                     "  let c = conv2d(images, x[0, :1024].reshape(32, 1, 1, 32));\n"
                                     "  let p = tanh(s[:, :300] @ x[:, :300].T) @ x[0, :200];\n  return sum(s * x.mean(axis=0), axis=1) + p + sum(c, axis=(1, 2, 3))[0];\n}\n")
    subprocess.run([mlxcc, "t.mx", "-o", "t.c", "--threads=3"], check=True, cwd=tmp_path)
    (tmp_path / "m.c").write_text('#include <stdio.h>\n#include <stdlib.h>\n#include "t.h"\n#include "mxrt.h"\nint main(void)\n{\n\tfloat *x = calloc(600000, 4), y[200];\n'
                                  "\tvoid *arena = aligned_alloc(64, (t_f_arena_bytes() + 127) / 64 * 64);\n\tmxrt_pool *p = mxrt_pool_new(3);\n\tint code = 0;\n"
                                  "\tfor (int i = 0; i < 5; i++) code |= t_f(x, y, arena, mxrt_pool_exec(p));\n\tmxrt_pool_free(p);\n\tfree(arena), free(x);\n\treturn code;\n}\n")
    subprocess.run(["gcc", "-std=c11", "-g", "-O1", "-fsanitize=thread", "-I", ROOT / "runtime", "t.c", "m.c", ROOT / "runtime/pool.c", "-o", "t", "-lm", "-pthread"], check=True, cwd=tmp_path)
    r = subprocess.run(["./t"], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 0, r.stderr[-3000:]


def test_every_piece_has_work_memory(mlxcc, tmp_path):
    """Packed operands of a product lie in the arena once for each piece: the same again for each thread more."""
    (tmp_path / "t.mx").write_text("export fn f(x: f32[300, 200], w: f32[200, 310]) -> f32[300, 310] { return x @ w; }\n")

    def arena(threads):
        subprocess.run([mlxcc, "t.mx", "-o", "t.c", f"--threads={threads}"], check=True, cwd=tmp_path)
        return int(re.search(r"T_F_ARENA_BYTES (\d+)", (tmp_path / "t.h").read_text()).group(1))
    one, two, eight = arena(1), arena(2), arena(8)
    assert 200 * 310 * 4 < one < 2 * 200 * 310 * 4 and two == 2 * one and eight == 8 * one


@pytest.mark.parametrize("value", ["0", "x", "1025", ""])
def test_the_number_is_checked(mlxcc, tmp_path, value):
    (tmp_path / "t.mx").write_text("export fn f(x: f32) -> f32 { return x; }\n")
    r = subprocess.run([mlxcc, "t.mx", "-o", "t.c", f"--threads={value}"], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 1 and f"--threads takes a number from 1 to 1024, not `{value}`" in r.stderr and not (tmp_path / "t.c").exists()
