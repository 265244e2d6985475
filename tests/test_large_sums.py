"""Reductions of all elements of large operands go chunk by chunk (ir/order.h): in the order that is written down, with the same bits from the
interpreter and from C at every vector width, and from every number of threads."""
import ctypes
import subprocess

import numpy as np
import pytest

from c_kit import exported
from op_kit import eval_ir
from test_loop_eval import evals
from test_threads import EXECUTOR, Exec

CHUNK = 1 << 16
SHAPES = [(200001,), (1 << 18,), (700, 300), (50001, 3), (300, 30, 20), (2, 70001), (3, 65536)]
WIDTHS = {"native": ["-march=native"], "sse2": ["-mno-avx"], "scalar": ["-DMLXCC_SCALAR"]}


def rows_of(n, row):
    """Of a chunk: at least CHUNK elements, a multiple of 64 rows if so many, a divisor of n if there is one below twice that."""
    least = -(-CHUNK // row)
    step = 64 if least >= 64 else 1
    least = -(-least // step) * step
    return next((r for r in range(least, 2 * least, step) if n % r == 0), least)


def in_chunks(ufunc, start, x):
    rows = rows_of(len(x), int(np.prod(x.shape[1:])))
    total = x.dtype.type(start)
    for i in range(0, len(x), rows):
        runs = x[i:i + rows] if x.ndim > 1 else x[None, i:i + rows]
        runs = runs.reshape(-1, runs.shape[-1])
        blocks = np.full((len(runs), -(-runs.shape[-1] // 64) * 64), start, x.dtype)
        blocks[:, :runs.shape[-1]] = runs
        part = ufunc.accumulate(np.concatenate([np.full((1, 64), start, x.dtype), blocks.reshape(-1, 64)]), axis=0)[-1]
        for half in (32, 16, 8, 4, 2, 1):
            part = ufunc(part[:half], part[half:2 * half])
        total = ufunc(total, part[0])
    return total


def program(shape):
    t, axes = ",".join(map(str, shape)), list(range(len(shape)))
    return f"""func @f(%x: f32[{t}]) -> (f32, f32, f32, f32) {{
  %a = reduce_sum %x {{axes={axes}}} : f32
  %b = reduce_max %x {{axes={axes}}} : f32
  %c = reduce_min %x {{axes={axes}}} : f32
  %s = mul %x, %x : f32[{t}]
  %d = reduce_sum %s {{axes={axes}}} : f32
  return %a, %b, %c, %d
}}
"""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_order_and_bits(mlxcc, irtool, tmp_path, shape):
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    want = [in_chunks(np.add, 0, x), in_chunks(np.maximum, -np.inf, x), in_chunks(np.minimum, np.inf, x), in_chunks(np.add, 0, x * x)]
    got, said = eval_ir(irtool, program(shape), [x])
    assert got is not None, said
    assert [float(g) for g in got] == [float(w) for w in want]
    text = exported(program(shape), 1, 4)
    if shape == (50001, 3):
        for name, loops in evals(irtool, text, [x], tmp_path).items():
            assert [g.tobytes() for g in loops] == [w.tobytes() for w in got], name
    (tmp_path / "t.ir").write_text(text)
    subprocess.run([mlxcc, "t.ir", "-o", "t.c", "--threads=7", "--fma=off", "--verify-each"], check=True, cwd=tmp_path)
    (tmp_path / "e.c").write_text(EXECUTOR)
    for name, flags in WIDTHS.items():
        subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O2", "-DMX_GRAIN=1", *flags, "-shared", "-fPIC", "t.c", "e.c", "-o", f"{name}.so", "-lm"],
                       check=True, cwd=tmp_path)
        lib = ctypes.CDLL(str(tmp_path / f"{name}.so"))
        lib.t_f_arena_bytes.restype = ctypes.c_size_t
        lib.test_exec.restype = Exec
        arena = np.zeros(lib.t_f_arena_bytes() + 64, np.uint8)
        out = np.zeros(4, np.float32)
        for threads in (0, 2, 3, 7, 64):
            e = lib.test_exec(threads)
            out[:] = 7
            results = [ctypes.c_void_p(out.ctypes.data + 4 * k) for k in range(4)]
            assert lib.t_f(ctypes.c_void_p(x.ctypes.data), *results, ctypes.c_void_p(arena.ctypes.data + 63 & ~63), ctypes.byref(e) if threads else None) == 0
            assert out.tobytes() == b"".join(w.tobytes() for w in got), (name, threads)
        assert ctypes.c_int.in_dll(lib, "test_calls").value > 0, "nothing was given to the executor"
