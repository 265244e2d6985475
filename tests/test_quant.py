"""Quantisation against MLX: packed words, scales and biases exactly, dequantised values exactly, products to rounding; derivatives of the
product against those of the dequantised matrix; vmap against a loop; whole models."""
import subprocess

import numpy as np
import pytest

from std_tools import leaves, mx, run, type_of

import mlx.nn as nn

BITS = (2, 3, 4, 5, 6, 8)


def weights(seed, shape=(6, 256), dtype=np.float32):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape).astype(dtype)
    w[0, :32] = 0  # a group of zeros, one of equal numbers, one-sided ones, exact halves between two steps
    w[1, :128] = 0.75
    w[2] = abs(w[2])
    w[3] = -abs(w[3])
    w[4, :256] = np.round(w[4, :256] * 4) / 4
    return w


def packed(w, group_size, bits):
    return [np.array(a) for a in mx.quantize(mx.array(w), group_size=group_size, bits=bits)]


@pytest.mark.parametrize("bits", (1, *BITS))
@pytest.mark.parametrize("group_size", (32, 64, 128))
@pytest.mark.parametrize("dtype", ("float32", "float16"))
def test_quantize(mlxcc, tmp_path, bits, group_size, dtype):
    w = weights(bits, dtype=dtype)
    src = f"export fn main(w: {type_of(w)}) {{ return quantize(w, group_size={group_size}, bits={bits}); }}"
    got = run(mlxcc, tmp_path, src, "main", w=w)
    want = packed(w, group_size, bits)
    for i, a in enumerate(want):
        b = got[f"out{i}"]
        assert b.dtype == a.dtype and b.tobytes() == a.tobytes(), (i, np.argwhere(a != b)[:4])


@pytest.mark.parametrize("bits", (1, *BITS))
@pytest.mark.parametrize("dtype", ("float32", "float16"))
def test_dequantize(mlxcc, tmp_path, bits, dtype):
    q, s, b = packed(weights(bits, dtype=dtype), 64, bits)
    src = f"export fn main(w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}) {{ return dequantize(w, s, b, 64, {bits}); }}"
    got = run(mlxcc, tmp_path, src, "main", w=q, s=s, b=b)["out"]
    want = np.array(mx.dequantize(mx.array(q), mx.array(s), mx.array(b), group_size=64, bits=bits))
    assert got.dtype == want.dtype and got.tobytes() == want.tobytes()


def matmul_source(x, q, s, b, extra):
    return f"export fn main(x: {type_of(x)}, w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}) {{ return quantized_matmul(x, w, s, b{extra}); }}"


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("shape,transpose", [((256,), True), ((3, 256), True), ((2, 3, 256), True), ((6,), False), ((5, 6), False)])
def test_quantized_matmul(mlxcc, tmp_path, bits, shape, transpose):
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    q, s, b = packed(weights(bits), 64, bits)
    got = run(mlxcc, tmp_path, matmul_source(x, q, s, b, f", transpose={str(transpose).lower()}, bits={bits}"), "main", x=x, w=q, s=s, b=b)["out"]
    want = np.array(mx.quantized_matmul(mx.array(x), mx.array(q), mx.array(s), mx.array(b), transpose=transpose, group_size=64, bits=bits))
    wide = np.array(mx.dequantize(mx.array(q), mx.array(s), mx.array(b), group_size=64, bits=bits), dtype=np.float64)
    exact = x @ (wide.T if transpose else wide)
    assert got.shape == want.shape
    scale = abs(x) @ abs(wide.T if transpose else wide)
    assert (abs(got - exact) <= 1e-6 * scale).all() and (abs(want - exact) <= 1e-5 * scale).all()


def test_quantized_matmul_half(mlxcc, tmp_path):
    x = np.random.default_rng(7).standard_normal((4, 256)).astype(np.float16)
    q, s, b = packed(weights(1, dtype=np.float16), 64, 4)
    got = run(mlxcc, tmp_path, matmul_source(x, q, s, b, ""), "main", x=x, w=q, s=s, b=b)["out"]
    want = np.array(mx.quantized_matmul(mx.array(x), mx.array(q), mx.array(s), mx.array(b)))
    assert got.dtype == want.dtype == np.float16
    exact = x.astype(np.float64) @ np.array(mx.dequantize(*(mx.array(a.astype(np.float32) if a.dtype == np.float16 else a) for a in (q, s, b))), dtype=np.float64).T
    np.testing.assert_allclose(got, exact, rtol=6e-4, atol=1e-5)
    np.testing.assert_allclose(want, exact, rtol=0.05, atol=0.05)


def test_gather_qmm(mlxcc, tmp_path):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, 2, 64)).astype(np.float32)
    q, s, b = packed(rng.standard_normal((4, 5, 64)).astype(np.float32), 32, 4)
    left, right = np.array([2, 0, 1, 1], np.uint32), np.array([3, 3, 0, 1], np.uint32)
    src = f"""export fn main(x: {type_of(x)}, w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}, l: u32[4], r: u32[4]) {{
      return gather_qmm(x, w, s, b, l, r, group_size=32);
    }}"""
    got = run(mlxcc, tmp_path, src, "main", x=x, w=q, s=s, b=b, l=left, r=right)["out"]
    want = np.array(mx.gather_qmm(mx.array(x), mx.array(q), mx.array(s), mx.array(b), mx.array(left), mx.array(right), group_size=32))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transpose", (True, False))
@pytest.mark.parametrize("bits", (3, 4))
def test_derivatives(mlxcc, tmp_path, transpose, bits):
    """By x, scales and biases, against JAX on the integers that MLX packed."""
    import jax
    import jax.numpy as jnp

    q, s, b = packed(weights(bits), 64, bits)
    ones, zeros = mx.ones(s.shape), mx.zeros(s.shape)
    levels = np.array(mx.dequantize(mx.array(q), ones, zeros, group_size=64, bits=bits)).reshape(6, 4, 64)
    rng = np.random.default_rng(9)
    x = rng.standard_normal((3, 256 if transpose else 6)).astype(np.float32)
    g = rng.standard_normal((3, 6 if transpose else 256)).astype(np.float32)

    def f(x, s, b):
        w = (levels * s[:, :, None] + b[:, :, None]).reshape(6, 256)
        return jnp.sum(jnp.tanh(x @ (w.T if transpose else w)) * g)

    want = jax.grad(f, argnums=(0, 1, 2))(x, s, b)
    src = f"""fn f(x, s, b, w, g) {{ return sum(tanh(quantized_matmul(x, w, s, b, transpose={str(transpose).lower()}, bits={bits})) * g); }}
    export fn main(x: {type_of(x)}, w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}, g: {type_of(g)}) {{
      return grad(f, argnums=(0, 1, 2))(x, s, b, w, g);
    }}"""
    got = run(mlxcc, tmp_path, src, "main", x=x, w=q, s=s, b=b, g=g)
    for k, a in enumerate(want):
        np.testing.assert_allclose(got[f"out{k}"], np.array(a), rtol=2e-4, atol=2e-5 * abs(np.array(a)).max())


def test_vmap(mlxcc, tmp_path):
    """MLX has none. Over x, over the matrices, over both."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 2, 64)).astype(np.float32)
    q, s, b = packed(rng.standard_normal((4, 5, 64)).astype(np.float32), 32, 5)
    src = f"""fn f(x, w, s, b) {{ return quantized_matmul(x, w, s, b, group_size=32, bits=5); }}
    export fn main(x: {type_of(x)}, w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}) {{
      return vmap(f)(x, w, s, b), vmap(f, in_axes=(0, none, none, none))(x, w[1], s[1], b[1]), vmap(f, in_axes=(none, 0, 0, 0))(x[0], w, s, b),
             vmap(|v| quantize(v, 32, 5))(dequantize(w, s, b, 32, 5))[0];
    }}"""
    got = run(mlxcc, tmp_path, src, "main", x=x, w=q, s=s, b=b)

    def one(i, j):
        return np.array(mx.quantized_matmul(mx.array(x[i]), mx.array(q[j]), mx.array(s[j]), mx.array(b[j]), group_size=32, bits=5))

    np.testing.assert_allclose(got["out0"], [one(i, i) for i in range(4)], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["out1"], [one(i, 1) for i in range(4)], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["out2"], [one(0, i) for i in range(4)], rtol=1e-4, atol=1e-5)
    again = mx.quantize(mx.dequantize(mx.array(q), mx.array(s), mx.array(b), group_size=32, bits=5), group_size=32, bits=5)
    assert (got["out3"] == np.array(again[0])).all()


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(64, 64)
        self.b = nn.Linear(64, 96, bias=False)

    def __call__(self, x):
        return self.b(nn.relu(self.a(x)))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(20, 64)
        self.blocks = [Block() for _ in range(3)]
        self.norm = nn.LayerNorm(96)

    def __call__(self, t):
        x = self.emb(t)
        return self.norm(sum(b(x) for b in self.blocks)), self.emb.as_linear(x)


MODEL = """import nn;
module Block() { a = nn.Linear(64, 64); b = nn.Linear(64, 96, bias=false); fn (x) { return b(relu(a(x))); } }
module Model() {
  emb = nn.Embedding(20, 64);
  blocks = Block()[3];
  norm = nn.LayerNorm(96);
  fn (t) {
    let x = emb(t);
    var y = zeros((t.shape[0], 96));
    for b in blocks { y = y + b(x); }
    return norm(y), emb.as_linear(x);
  }
}
const Float = Model();
"""


@pytest.mark.parametrize("how,call", [({}, ""), ({"group_size": 32, "bits": 8}, ", group_size=32, bits=8"),
                                      ({"class_predicate": lambda p, m: p.endswith("a")}, ', class_predicate=|p, m| "a" in p and "em" not in p and m is nn.Linear')])
def test_models(mlxcc, tmp_path, how, call):
    model = Model()
    before = leaves(model.parameters())
    src = MODEL + f"const Packed = nn.quantize(Float{call});\nexport fn convert(net: Float) -> Packed {{ return nn.quantize(net{call}); }}\n" \
        "export fn main(net: Packed, t: i32[7]) { return net(t); }\nexport fn both(net: Float, t: i32[7]) { let q = nn.quantize(net" + call + "); return q(t); }\n"
    got = run(mlxcc, tmp_path, src, "convert", net=before)
    if "class_predicate" in how:
        how = {"class_predicate": lambda p, m: isinstance(m, nn.Linear) and p.endswith("a")}
    nn.quantize(model, **how)
    after = leaves(model.parameters())
    got = {k.removeprefix("out."): a for k, a in got.items()}
    assert got.keys() == after.keys()
    for k, v in after.items():
        assert got[k].dtype == v.dtype and got[k].tobytes() == v.tobytes(), k
    t = np.array([3, 1, 4, 1, 5, 9, 2], np.int32)
    y = run(mlxcc, tmp_path, src, "main", net=after, t=t)
    z = run(mlxcc, tmp_path, src, "both", net=before, t=t)
    for k, v in enumerate(model(mx.array(t))):
        np.testing.assert_allclose(y[f"out{k}"], np.array(v), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(z[f"out{k}"], np.array(v), rtol=1e-4, atol=1e-5)


def test_packed_layers_have_no_gradient_but_their_bias(mlxcc, tmp_path):
    f = tmp_path / "t.mx"
    f.write_text("import nn; const Net = nn.quantize(nn.Linear(64, 8)); test \"t\" { let names = map(|p| p[0], tree_flatten(trainable(Net))); assert names == [\"bias\"]; }")
    r = subprocess.run([mlxcc, "test", str(f)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr


# --- the kernel in emitted C: x of few rows times packed rows ----------------------------------------------------------------------------------
BUILDS = ["gcc -O0", "gcc -O2", "gcc -O3 -march=native", "clang -O2 -march=native", "clang -O2", "gcc -O2 -DMLXCC_SCALAR",
          *(["gcc -O2 -mavx2 -mfma"] if " avx2 " in open("/proc/cpuinfo").read() else []),
          *(["gcc -O2 -march=native -mno-avx512vnni"] if " avx512_vnni " in open("/proc/cpuinfo").read() else [])]
DRIVER = """#include "t.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
static void *get(const char *n, size_t size) {
  FILE *f = fopen(n, "rb"); void *p = malloc(size);
  if (!f || fread(p, 1, size, f) != size) exit(3);
  fclose(f); return p;
}
int main(void) {
  enum { M = %d, N = %d, K = %d, G = %d };
  float *y = (float *)malloc(4 * M * N), *w = (float *)get("want", 4 * M * N), *near = (float *)get("near", 4 * M * N); int i, bad = 0;
  t_main((float *)get("x", 4 * M * K), (uint32_t *)get("w", N * K / 2), (float *)get("s", 4 * N * K / G), (float *)get("b", 4 * N * K / G), y, malloc(1 << 20));
  for (i = 0; i < M * N; i++) bad += !(fabsf(y[i] - w[i]) <= near[i]);
  return bad > 0;
}
"""


@pytest.mark.parametrize("rows,k,group", [(1, 256, 64), (3, 96, 32), (1, 384, 128), (2, 64, 64), (1, 32, 32), (1, 4160, 64)])
def test_kernel(mlxcc, tmp_path, rows, k, group):
    n = 19
    rng = np.random.default_rng(k)
    x = (rng.standard_normal((rows, k)) * np.exp(4 * rng.standard_normal((rows, k)))).astype(np.float32)  # of very different sizes
    x[0, :group] = 0 if k > group else x[0, :group]
    q, s, b = packed(rng.standard_normal((n, k)).astype(np.float32), group, 4)
    f = tmp_path / "t.mx"
    f.write_text(f"export fn main(x: f32[{rows}, {k}], w: {type_of(q)}, s: {type_of(s)}, b: {type_of(b)}) {{ return quantized_matmul(x, w, s, b, group_size={group}); }}")
    subprocess.run([mlxcc, str(f), "-o", str(tmp_path / "t.c")], check=True)
    assert "mx_q4_product(x" in (tmp_path / "t.c").read_text()
    wide = np.array(mx.dequantize(mx.array(q), mx.array(s), mx.array(b), group_size=group, bits=4), dtype=np.float64)
    levels = abs(s).repeat(group, 1) * 15 + abs(b).repeat(group, 1)  # what is added up before the biases cancel most of it
    for name, a in [("x", x), ("w", q), ("s", s), ("b", b), ("want", (x @ wide.T).astype(np.float32)), ("near", (2e-6 * (abs(x) @ levels.T)).astype(np.float32))]:
        np.ascontiguousarray(a).tofile(tmp_path / name)
    (tmp_path / "main.c").write_text(DRIVER % (rows, n, k, group))
    for build in BUILDS:
        compiler, *flags = build.split()
        subprocess.run([compiler, "-std=c99", *flags, "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "t.c", "main.c", "-o", "t", "-lm"], cwd=tmp_path, check=True)
        assert subprocess.run(["./t"], cwd=tmp_path).returncode == 0, build


def test_kernel_or_plain_form(mlxcc, tmp_path):
    """Any number of rows calls the kernel, many rows known before do not; nan and inf are seen."""
    f = tmp_path / "t.mx"
    text = "export fn main(x: f32[{}, 64], w: u32[8, 8], s: f32[8, 1], b: f32[8, 1]) {{ return quantized_matmul(x, w, s, b); }}"
    for rows, called in [("N", True), ("16", True), ("17", False)]:
        f.write_text(text.format(rows))
        subprocess.run([mlxcc, str(f), "-o", str(tmp_path / "t.c")], check=True)
        assert ("mx_q4_product(x" in (tmp_path / "t.c").read_text()) == called
    q, s, b = packed(np.random.default_rng(2).standard_normal((8, 64)).astype(np.float32), 64, 4)
    x = np.random.default_rng(3).standard_normal((5, 64)).astype(np.float32)
    x[1, 7], x[2, 9] = np.nan, np.inf
    got = run(mlxcc, tmp_path, text.format("N"), "main", interp=False, x=x, w=q, s=s, b=b)["out"]
    assert not np.isfinite(got[1:3]).any() and np.isnan(got[1]).all()
    assert np.isfinite(np.delete(got, [1, 2], axis=0)).all()
