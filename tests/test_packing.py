"""Constant operands of products: laid out while compiling as their template reads them, once in a program, with the bits of the interpreter."""
import ctypes
import pathlib
import re
import subprocess
import numpy as np
import pytest
import c_kit
from test_threads import EXECUTOR, Exec

LAYERS = """import nn;
module Net() {
  l1 = nn.Linear(%d, %d);
  l2 = nn.Linear(%d, %d);
  fn (x) { return l2(relu(l1(x))); }
}
"""


def compile_net(mlxcc, folder, source, weights, *options):
    folder = pathlib.Path(folder)
    (folder / "net.mx").write_text(source)
    np.savez(folder / "net.npz", **weights)
    done = subprocess.run([mlxcc, "net.mx", "--weights", "net=net.npz", "-o", "net.c", "--verify-each", *options], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[:2000]
    loops = subprocess.run([mlxcc, "net.mx", "--weights", "net=net.npz", "--emit=loops", *options], cwd=folder, capture_output=True, text=True, timeout=60)
    assert loops.returncode == 0, loops.stderr[:2000]
    return (folder / "net.c").read_text(), (folder / "net.h").read_text(), loops.stdout


def parameters(inputs, hidden, outputs, seed=0, dtype="f4"):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: (rng.standard_normal(shape) / shape[-1] ** 0.5).astype(dtype)
    return {"l1.weight": draw(hidden, inputs), "l1.bias": draw(hidden), "l2.weight": draw(outputs, hidden), "l2.bias": draw(outputs)}


def forward(w, x):
    h = np.maximum(x.astype("f8") @ w["l1.weight"].T.astype("f8") + w["l1.bias"], 0)
    return h @ w["l2.weight"].T.astype("f8") + w["l2.bias"]


def library(folder, cc="gcc", flags=("-O1",), more=()):
    folder = pathlib.Path(folder)
    out = folder / f"net_{cc}.so"
    done = subprocess.run([cc, "-std=c99", *c_kit.STRICT, *flags, "-shared", "-fPIC", "-o", str(out), str(folder / "net.c"), *map(str, more), "-lm"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(out))


def call(lib, name, dims, x, shape, arena, *more):
    out, room = np.full(shape, np.nan, x.dtype), np.full(arena + 64, 0x5A, np.uint8)
    place = room.ctypes.data + -room.ctypes.data % 64
    code = getattr(lib, name)(*(ctypes.c_void_p(p) for p in (x.ctypes.data, out.ctypes.data)), *(ctypes.c_ssize_t(d) for d in dims), ctypes.c_void_p(place), *more)
    assert code == 0 and (room[place - room.ctypes.data + arena :] == 0x5A).all()
    return out


SIZES = [(100, 70, 35), (64, 256, 130), (800, 40, 65), (17, 2100, 5)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_one_copy_serves_every_number_of_rows(mlxcc, tmp_path, sizes):
    k, h, n = sizes
    w = parameters(k, h, n)
    source = LAYERS % (k, h, h, n) + f"dim B in 1..200;\nexport fn any(net: Net(), x: f32[B, {k}]) -> f32[B, {n}] {{ return net(x); }}\n" + "".join(
        f"export fn of{b}(net: Net(), x: f32[{b}, {k}]) -> f32[{b}, {n}] {{ return net(x); }}\n" for b in (1, 70))
    text, header, loops = compile_net(mlxcc, tmp_path, source, w, "--fma=off")
    for name, width in ("l1", h), ("l2", n):
        rows = k if name == "l1" else h
        tables = re.findall(rf"static const float \w*table_net_{name}_weight\w*\[(\d+)\]", text)
        plain = [rows * width] * bool(re.search(rf"load net_{name}_weight_T\[", loops))  # a product too small for a template, fused with its neighbours
        assert sizes == SIZES[3] or not plain
        assert sorted(map(int, tables)) == sorted([-(-width // 32) * 32 * rows, *plain]), "one copy, in panels"
    assert all(", NULL, 0, 0, net_table_net_l" in line for line in re.findall(r"mx_gemm_f32_begin\(&.*", text))
    done = subprocess.run(["clang", "-std=c99", *c_kit.STRICT, "-fsyntax-only", "net.c"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[:2000]
    lib = library(tmp_path)
    x = np.random.default_rng(1).standard_normal((200, k)).astype("f4")
    wide = call(lib, "net_any", (200,), x, (200, n), int(1 << 23))
    want = forward(w, x)
    assert np.allclose(wide, want, rtol=1e-4, atol=1e-4)
    for b in (1, 2, 29, 70):
        got = call(lib, "net_any", (b,), x, (b, n), 1 << 23)
        assert np.array_equal(got, wide[:b]), "a row's bits do not depend on the others"
        if b in (1, 70):
            assert np.array_equal(call(lib, f"net_of{b}", (), x, (b, n), 1 << 23), wide[:b])


@pytest.mark.parametrize("flags", [["-DMLXCC_SCALAR"], ["-msse2"], ["-mavx2", "-mfma"], ["-march=native"]], ids=lambda f: f[-1])
def test_every_width_reads_the_same_panels(mlxcc, irtool, tmp_path, flags):
    if flags[-1] == "-mfma" and "avx2" not in open("/proc/cpuinfo").read():
        pytest.skip("not on this machine")
    w = parameters(900, 75, 70)
    source = LAYERS % (900, 75, 75, 70) + "export fn many(net: Net(), x: f32[150, 900]) -> f32[150, 70] { return net(x); }\nexport fn one(net: Net(), x: f32[1, 900]) -> f32[1, 70] { return net(x); }\n"
    text, _, loops = compile_net(mlxcc, tmp_path, source, w, "--fma=off")
    assert "by gemv_panels" in loops and "by gemm room" in loops
    x = np.random.default_rng(1).standard_normal((150, 900)).astype("f4")
    lib = library(tmp_path, "gcc", ["-O1", "-ffp-contract=off", *flags])
    many = call(lib, "net_many", (), x, (150, 70), 1 << 22)
    assert np.array_equal(many, by_order(w, x)), "the order of ir/dot.h"
    assert np.array_equal(call(lib, "net_one", (), x[:1].copy(), (1, 70), 1 << 22), many[:1])


def by_order(w, x):
    """In float32: products added one after the other in blocks of 768."""
    def dot(a, b):
        total = None
        for k0 in range(0, a.shape[1], 768):
            s = np.zeros((a.shape[0], b.shape[1]), "f4")
            for k in range(k0, min(k0 + 768, a.shape[1])):
                s = s + a[:, k : k + 1] * b[k]
            total = s if total is None else total + s
        return total
    h = np.maximum(dot(x, w["l1.weight"].T) + w["l1.bias"], 0)
    return dot(h, w["l2.weight"].T) + w["l2.bias"]


def test_float64_panels_are_sixteen_wide(mlxcc, tmp_path):
    w = parameters(50, 40, 20, dtype="f8")
    source = "export fn main(a: f64[50, 40], x: f64[200, 50]) -> f64[200, 40] { return x @ a; }\n"
    folder = pathlib.Path(tmp_path)
    (folder / "net.mx").write_text(source)
    np.save(folder / "a.npy", w["l1.weight"].T.copy())
    done = subprocess.run([mlxcc, "net.mx", "--weights", "a=a.npy", "-o", "net.c"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"panels[{3 * 16 * 50}]" in (folder / "net.c").read_text()
    x = np.random.default_rng(1).standard_normal((200, 50))
    assert np.allclose(call(library(tmp_path), "net_main", (), x, (200, 40), 1 << 22), x @ w["l1.weight"].T, rtol=1e-12, atol=1e-12)


def test_nothing_is_packed_in_memory(mlxcc, tmp_path):
    """The arena holds the hidden layer and 28 rows of x, not the weights."""
    w = parameters(64, 256, 256)
    source = LAYERS % (64, 256, 256, 256) + "export fn main(net: Net(), x: f32[200, 64]) -> f32[200, 256] { return net(x); }\n"
    _, header, _ = compile_net(mlxcc, tmp_path, source, w)
    assert int(re.search(r"_ARENA_BYTES (\d+)", header)[1]) == 4 * 200 * 256 + 4 * 28 * 256
    plain = subprocess.run([mlxcc, "net.mx", "--emit=h"], cwd=tmp_path, capture_output=True, text=True)
    assert int(re.search(r"_ARENA_BYTES (\d+)", plain.stdout)[1]) >= 4 * 200 * 256 + 4 * 256 * 256


def test_what_another_reader_needs_stays(mlxcc, tmp_path):
    """A weight that a sum reads as it is is there in its own layout too."""
    w = parameters(64, 256, 256)
    source = LAYERS % (64, 256, 256, 256) + "export fn main(net: Net(), x: f32[200, 64]) -> (f32[200, 256], f32[64]) { return net(x), net.l1.weight.sum(axis=0) * x[0]; }\n"
    text, _, _ = compile_net(mlxcc, tmp_path, source, w)
    sizes = sorted(int(n) for n in re.findall(r"static const float \w*table_net_l1_weight\w*\[(\d+)\]", text))
    assert sizes in ([64 * 256], [64 * 256, 64 * 256]), sizes


def test_text_with_panels_goes_on(mlxcc, tmp_path):
    w = parameters(100, 70, 70)
    source = LAYERS % (100, 70, 70, 70) + "export fn main(net: Net(), x: f32[200, 100]) -> f32[200, 70] { return net(x); }\n"
    text, _, loops = compile_net(mlxcc, tmp_path, source, w)
    (tmp_path / "again.ir").write_text(loops)
    done = subprocess.run([mlxcc, "again.ir", "--start-at=plan", "-o", "again.c", "--prefix=net"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[:1000]
    strip = lambda s: re.sub(r"again|net|\.mx|\.ir", "", s)
    assert strip((tmp_path / "again.c").read_text()) == strip(text)


@pytest.mark.parametrize("flags", [["-DMLXCC_SCALAR"], ["-march=native"]], ids=lambda f: f[-1])
@pytest.mark.parametrize("rows", [1, 5, 300])
def test_threads_read_whole_panels(mlxcc, tmp_path, flags, rows):
    """Pieces of columns begin at a panel, pieces of rows read all of them; the bits are those of one thread."""
    w = parameters(200, 260, 130)
    source = LAYERS % (200, 260, 260, 130) + f"export fn main(net: Net(), x: f32[{rows}, 200]) -> f32[{rows}, 130] {{ return net(x); }}\n" \
        "export fn many(net: Net(), x: f32[40, 200]) -> f32[40, 130] { return net(x); }\n"
    compile_net(mlxcc, tmp_path, source, w, "--fma=off")
    x = np.random.default_rng(1).standard_normal((rows, 200)).astype("f4")
    want = call(library(tmp_path, "gcc", ["-O1", "-ffp-contract=off", *flags]), "net_main", (), x, (rows, 130), 1 << 23)
    shared = tmp_path / "shared"
    shared.mkdir()
    text, header, _ = compile_net(mlxcc, shared, source, w, "--fma=off", "--threads=4")
    reader = r"mx_gemv_panels_f32\(mx_clamp" if rows == 1 else r"mx_gemm_f32_begin\(&"
    assert re.search(reader + r".*_panels \+ \(mx_begin \* 64\) \* 200", text)
    (shared / "e.c").write_text(EXECUTOR.replace("t.h", "net.h"))
    lib = library(shared, "gcc", ["-O1", "-ffp-contract=off", "-DMX_GRAIN=1000", *flags], [shared / "e.c"])
    lib.test_exec.restype = Exec
    for threads in 1, 3, 4:
        e, room = lib.test_exec(threads), int(re.search(r"NET_MAIN_ARENA_BYTES (\d+)", header)[1])
        assert np.array_equal(call(lib, "net_main", (), x, (rows, 130), room, ctypes.byref(e)), want)
    assert ctypes.c_int.in_dll(lib, "test_calls").value > 0, "nothing was given to the executor"


@pytest.mark.parametrize("flags", [["-DMLXCC_SCALAR"], ["-msse2"], ["-march=native"]], ids=lambda f: f[-1])
def test_transposed_operands_are_packed_by_squares(mlxcc, tmp_path, flags):
    """Odd sizes, each layout: vectors along k are turned, and what is left of a square is copied; the order of sums is the same."""
    source = "export fn nt(x: f32[130, 101], w: f32[75, 101]) -> f32[130, 75] { return x @ w.T; }\n" \
             "export fn tn(x: f32[101, 130], w: f32[101, 75]) -> f32[130, 75] { return x.T @ w; }\n" \
             "export fn wide(x: f64[101, 130], w: f64[75, 101]) -> f64[130, 75] { return x.T @ w.T; }\n"
    (tmp_path / "net.mx").write_text(source)
    done = subprocess.run([mlxcc, "net.mx", "-o", "net.c", "--fma=off"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "mx_transpose_vf(column)" in (tmp_path / "net.c").read_text()
    lib, rng = library(tmp_path, "gcc", ["-O1", "-ffp-contract=off", *flags]), np.random.default_rng(0)
    for name, a, b, dtype in ("nt", (130, 101), (75, 101), "f4"), ("tn", (101, 130), (101, 75), "f4"), ("wide", (101, 130), (75, 101), "f8"):
        x, w = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
        rows, columns = x if name == "nt" else x.T, w if name == "tn" else w.T
        out, room = np.zeros((130, 75), dtype), np.zeros(1 << 20, np.uint8)
        code = getattr(lib, f"net_{name}")(*(ctypes.c_void_p(p) for p in (x.ctypes.data, w.ctypes.data, out.ctypes.data, room.ctypes.data + -room.ctypes.data % 64)))
        want = np.zeros((130, 75), dtype)
        for k in range(101):
            want = want + rows[:, k : k + 1] * columns[k]
        assert code == 0 and np.array_equal(out, want)
