"""Quantisation against MLX: packed words, scales and biases exactly, dequantised values exactly, products to rounding; derivatives of the
product against those of the dequantised matrix; vmap against a loop; whole models."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from std_tools import leaves, mx, run, type_of

import mlx.nn as nn

HERE = pathlib.Path(__file__).resolve().parent
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


# --- the kernel in emitted C ---------------------------------------------------------------------------------------------------------------------
CPU = open("/proc/cpuinfo").read()
BUILDS = ["gcc -O0 -march=native", "gcc -O2", "gcc -O3 -march=native", "clang -O2 -march=native", "clang -O2", "gcc -O2 -DMLXCC_SCALAR", "gcc -O2 -msse4.2",
          *(["gcc -O2 -mavx2 -mfma", "clang -O2 -mavx2 -mfma -mf16c"] if " avx2 " in CPU else []),
          *(["gcc -O2 -march=native -mno-avx512vbmi -mno-avx512vnni", "clang -O2 -march=native -mno-avx512vbmi",
             "gcc -O2 -mavx2 -mfma -mavx512f -mavx512vl -mavx512vnni -DMX_W=8"] if " avx512_vnni " in CPU else [])]
# rows of x, rows of w, elements, group, bits, dtypes of x and of scales
KERNELS = [(1, 19, 256, 64, 4, "f32", "f32"), (3, 4, 96, 32, 4, "f32", "f32"), (1, 7, 1184, 32, 4, "f32", "f32"), (35, 9, 128, 128, 4, "f32", "f32"), (1, 3, 32, 32, 4, "f32", "f32"),
           *[(2, 5, k, g, b, "f32", "f32") for b in (1, 2, 3, 5, 6, 8) for k, g in ((544, 32), (320, 64))], *[(2, 5, 2304, 128, b, "f32", "f32") for b in (2, 3, 8)],
           (2, 5, 192, 64, 4, "f16", "f16"), (2, 5, 192, 64, 8, "bf16", "bf16"), (1, 6, 192, 32, 3, "f32", "f16"), (1, 6, 192, 32, 4, "f32", "bf16")]


def narrow(a, dtype):
    """a rounded to dtype, as numpy holds it (bf16: the bits)."""
    if dtype != "bf16":
        return a.astype({"f32": np.float32, "f16": np.float16}[dtype])
    u = a.astype(np.float32).view(np.uint32)
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)


def widened(a, dtype):
    return (a.astype(np.uint32) << 16).view(np.float32).astype(np.float64) if dtype == "bf16" else a.astype(np.float64)


def unpacked(q, bits):
    """Codes of packed rows: a row's bits, the lowest first."""
    flat = np.unpackbits(q.view(np.uint8), axis=-1, bitorder="little")
    return (flat.reshape(*q.shape[:-1], -1, bits) << np.arange(bits, dtype=np.uint8)).sum(-1, dtype=np.int64)


def kernel_case(i, exact):
    """Operands, the product in float64 and how far a result may be from it."""
    m, n, k, group, bits, dtype, sdtype = KERNELS[i]
    rng = np.random.default_rng(i)
    x = narrow((rng.standard_normal((m, k)) * np.exp(2 * rng.standard_normal((m, k)))).clip(-3e4, 3e4), dtype)
    if m > 1:
        x[0, :32] = 0
        x[1, :] = narrow(x[1] * 1e-37, dtype) if dtype == "f32" else x[1]  # groups of the least numbers
    q = rng.integers(0, 1 << 32, (n, k * bits // 32), dtype=np.uint32)
    s = narrow(rng.standard_normal((n, k // group)) * 2.0**-bits, sdtype)
    b = narrow(rng.standard_normal((n, k // group)), sdtype)
    wide = np.float64(1) * unpacked(q, bits) * widened(s, sdtype).repeat(group, 1) + widened(b, sdtype).repeat(group, 1)
    levels = abs(widened(s, sdtype)).repeat(group, 1) * (2**bits - 1) + abs(widened(b, sdtype)).repeat(group, 1)
    xw = widened(x, dtype)
    want = xw @ wide.T
    near = 1e-6 * (abs(xw) @ levels.T) + 2.0**-118 * k
    if not exact:  # docs/numerics.md: x is rounded to steps of its group's largest / 32512
        step = np.maximum(abs(xw).reshape(m, -1, group).max(-1) / 32512, 2.0**-100).repeat(group, 1)
        near = near + 0.505 * (step @ abs(wide).T)
    near = near + {"f32": 0, "f16": abs(want) * 2.0**-11 + 2.0**-25, "bf16": abs(want) * 2.0**-8}[dtype]
    return (x, q, s, b), want, near


@pytest.fixture(scope="module", params=["on", "off"])
def kernels(request, mlxcc, tmp_path_factory):
    where = tmp_path_factory.mktemp("kernels")
    text = ""
    for i, (m, n, k, group, bits, dtype, sdtype) in enumerate(KERNELS):
        text += f"export fn kernel{i}(x: {dtype}[{m}, {k}], w: u32[{n}, {k * bits // 32}], s: {sdtype}[{n}, {k // group}], b: {sdtype}[{n}, {k // group}]) {{\n" \
            f"  return quantized_matmul(x, w, s, b, group_size={group}, bits={bits});\n}}\n"
    (where / "t.mx").write_text(text)
    subprocess.run([mlxcc, str(where / "t.mx"), "-o", str(where / "t.c"), f"--fma={request.param}"], check=True)
    assert (where / "t.c").read_text().count("mx_q_product(x") == len({k[3:] for k in KERNELS})
    data = {"calls": len(KERNELS)}
    for i, kernel in enumerate(KERNELS):
        operands, want, _ = kernel_case(i, True)
        for j, a in enumerate(operands):
            data[f"{i}_{j}"] = a
        data[f"{i}_shape"], data[f"{i}_dtype"] = want.shape, {"f32": "float32", "f16": "float16", "bf16": "uint16"}[kernel[5]]
    np.savez(where / "in.npz", **data)
    return where, request.param == "off"


@pytest.mark.parametrize("build", BUILDS)
def test_kernel(kernels, build):
    """Every compiler and width, guard pages behind all operands, warnings as errors; with --fma=off x is not rounded."""
    where, exact = kernels
    compiler, *flags = build.split()
    subprocess.run([compiler, "-std=c99", *flags, "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-shared", "-fPIC", "t.c", "-o", "t.so", "-lm"], cwd=where, check=True)
    done = subprocess.run([sys.executable, str(HERE / "guarded_calls.py"), "./t.so", "in.npz", "out.npz"], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(where / "out.npz") as out:
        for i, kernel in enumerate(KERNELS):
            _, want, near = kernel_case(i, exact)
            far = abs(widened(out[str(i)], kernel[5]) - want)
            assert (far <= near).all(), (kernel, float((far / near).max()))


def test_kernel_takes_numbers_that_are_none(mlxcc, tmp_path):
    """Any number of rows; nan and inf are seen, by their rows only."""
    text = "export fn main(x: f32[N, 64], w: u32[8, 8], s: f32[8, 1], b: f32[8, 1]) { return quantized_matmul(x, w, s, b); }"
    q, s, b = packed(np.random.default_rng(2).standard_normal((8, 64)).astype(np.float32), 64, 4)
    x = np.random.default_rng(3).standard_normal((5, 64)).astype(np.float32)
    x[1, 7], x[2, 9] = np.nan, np.inf
    x[4] = 3e38 * np.sign(x[4])
    got = run(mlxcc, tmp_path, text, "main", interp=False, x=x, w=q, s=s, b=b)["out"]
    assert not np.isfinite(got[1:3]).any() and np.isnan(got[1]).all()
    assert np.isfinite(got[[0, 3]]).all()
