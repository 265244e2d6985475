"""Declared values of a dimension: `dim B in {1, 8}` allows no others, `dim B in 1..64 with {1, 8}` does; both give copies of the entry's steps in which the
dimension is a number. A copy gives the bits of the general code."""
import ctypes
import re
import subprocess

import numpy as np
import pytest
from mxrun import fails

WARN = ["-std=c99", "-O2", "-march=native", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]

MLP = """import nn;
module Mlp() {{ a = nn.Linear(48, 80); b = nn.Linear(80, 24); fn (x) {{ return b(gelu(a(x))); }} }}
const Net = Mlp();
{dims}
export fn f(net: Net, x: f32[B, 48]) -> f32[B, 24] {{ return softmax(net(x), axis=-1); }}
"""
# name: program, arguments as functions of the dimensions, results; the entry is f(arguments.., results.., dimensions.., arena)
CASES = {
    "rows": ("{dims}\nexport fn f(x: f32[B, 70]) -> f32[B, 70] {{ return softmax(x, axis=-1); }}", lambda B: [(B, 70)], lambda B: [(B, 70)]),
    "columns": ("{dims}\nexport fn f(x: f32[70, B]) -> (f32[70, B], f32[B]) {{ let y = exp(x) + 1; return y, sum(y, axis=0); }}",
                lambda B: [(70, B)], lambda B: [(70, B), (B,)]),
    "square": ("{dims}\nexport fn f(x: f32[B, B]) -> (f32[B, B], f32) {{ let y = x @ x.T; return y.T + x, sum(y); }}", lambda B: [(B, B)], lambda B: [(B, B), ()]),
    "product": ("{dims}\nexport fn f(x: f32[B, 900], w: f32[900, 33]) -> f32[B, 33] {{ return tanh(x @ w + 1); }}", lambda B: [(B, 900), (900, 33)], lambda B: [(B, 33)]),
    "flipped": ("{dims}\nexport fn f(x: f32[B, 90], w: f32[33, 90]) -> f32[B, 33] {{ return tanh(x @ w.T + 1); }}", lambda B: [(B, 90), (33, 90)], lambda B: [(B, 33)]),
    "loop": ("{dims}\nexport fn f(x: f32[B, 16], w: f32[16, 16]) -> f32[B, 16] {{ var h = x; for i in 0..5 {{ h = tanh(h @ w) + x; }} return h; }}",
             lambda B: [(B, 16), (16, 16)], lambda B: [(B, 16)]),
    "trips": ("{dims}\nexport fn f(x: f32[B, 16]) -> f32[16] {{ var h = zeros(16); for r in x {{ h = tanh(h) + r; }} return h; }}", lambda B: [(B, 16)], lambda B: [(16,)]),
    "concat": ("{dims}\nexport fn f(x: f32[B, 9], y: f32[B + 2, 9]) -> f32[2*B + 2, 9] {{ return concatenate([x, y * 2], axis=0)[::-1]; }}",
               lambda B: [(B, 9), (B + 2, 9)], lambda B: [(2 * B + 2, 9)]),
    "conv": ("{dims}\nexport fn f(x: f32[B, 12, 12, 16], w: f32[16, 3, 3, 16]) -> f32[B, 12, 12, 16] {{ return relu(conv2d(x, w, padding=1)); }}",
             lambda B: [(B, 12, 12, 16), (16, 3, 3, 16)], lambda B: [(B, 12, 12, 16)]),
    "branch": ("{dims}\nexport fn f(x: f32[B, 9]) -> f32[B, 9] {{ var y = x; if sum(x) > 0 {{ y = x @ x.T @ x; }} return y + 1; }}", lambda B: [(B, 9)], lambda B: [(B, 9)]),
}
VALUES = (1, 4, 32)


def build(mlxcc, tmp, name, text, *options):
    (tmp / f"{name}.mx").write_text(text)
    subprocess.run([mlxcc, f"{name}.mx", "-o", f"{name}.c", "--verify-each", *options], check=True, cwd=tmp)
    subprocess.run(["gcc", *WARN, "-shared", "-fPIC", f"{name}.c", "-o", f"{name}.so", "-lm"], check=True, cwd=tmp)
    return ctypes.CDLL(str(tmp / f"{name}.so"))


def call(lib, prefix, args, shapes, *dims):
    out = [np.full(s, np.nan, np.float32) for s in shapes]
    size = getattr(lib, f"{prefix}_f_arena_bytes")
    size.restype = ctypes.c_size_t
    ds = [ctypes.c_ssize_t(d) for d in dims]
    arena = np.zeros(size(*ds) + 64, np.uint8)
    code = getattr(lib, f"{prefix}_f")(*[ctypes.c_void_p(a.ctypes.data) for a in args + out], *ds, ctypes.c_void_p(arena.ctypes.data + -arena.ctypes.data % 64))
    return code, out


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dims", ["dim B in {1, 4, 32};", "dim B in 1..40 with {1, 4, 32};"], ids=["only", "with"])
def test_bits(mlxcc, tmp_path, name, dims):
    text, args, results = CASES[name]
    text = text.format(dims=dims)
    special = build(mlxcc, tmp_path, "special", text, "--fma=off")
    general = build(mlxcc, tmp_path, "general", text, "--fma=off", "--skip=specialise")
    source = (tmp_path / "special.c").read_text()
    assert "if (B == 1) {" in source and "B == " not in (tmp_path / "general.c").read_text()
    rng = np.random.default_rng(0)
    for b in VALUES + ((7, 40) if "with" in dims else ()):
        x = [rng.normal(size=s).astype(np.float32) for s in args(b)]
        code, got = call(special, "special", x, results(b), b)
        _, want = call(general, "general", x, results(b), b)
        assert code == 0
        for g, w in zip(got, want):
            assert not np.isnan(w).any() and g.tobytes() == w.tobytes(), b
    for b in (2, 33) if "{1" in dims[:10] else (0, 41):
        assert call(special, "special", [np.zeros(s, np.float32) for s in args(b)], results(b), b)[0] == 1


@pytest.mark.parametrize("name", CASES)
def test_loops_are_right(mlxcc, tmp_path, name):
    """The loop interpreter after every pass against the tensor IR: bounds, stale memory and numbers."""
    (tmp_path / "t.mx").write_text(CASES[name][0].format(dims="dim B in 1..40 with {1, 4, 32};"))
    done = subprocess.run([mlxcc, "verify", "--interp", "t.mx"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout


def test_inout_tree_and_two_dimensions(mlxcc, tmp_path):
    text = """dim B in {2, 8};
dim T in 1..64 with {16};
export fn f(inout s: f32[B, 4], x: f32[B, T, 4], w: f32[T, 4]) -> f32[B, T] {
  s = s + sum(x, axis=1);
  return sum(x * w, axis=-1) * sum(s);
}
"""
    lib = build(mlxcc, tmp_path, "special", text, "--fma=off")
    rng = np.random.default_rng(1)
    for b in (2, 8):
        for t in (16, 5, 64):
            s, x, w = (rng.normal(size=n).astype(np.float32) for n in ((b, 4), (b, t, 4), (t, 4)))
            after = s + x.sum(1)
            code, (out,) = call(lib, "special", [s, x, w], [(b, t)], b, t)
            assert code == 0
            np.testing.assert_allclose(s, after, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(out, (x * w).sum(-1) * after.sum(), rtol=2e-4, atol=1e-3)


def test_static_kernels(mlxcc, tmp_path):
    """A copy is what a static build is: the same templates with the same numbers."""
    (tmp_path / "d.mx").write_text("dim B in {32};\nexport fn f(x: f32[B, 64], w: f32[64, 48]) -> f32[B, 48] { return x @ w; }\n")
    (tmp_path / "s.mx").write_text("export fn f(x: f32[32, 64], w: f32[64, 48]) -> f32[32, 48] { return x @ w; }\n")
    calls = []
    for n in "ds":
        subprocess.run([mlxcc, f"{n}.mx", "-o", f"{n}.c"], check=True, cwd=tmp_path)
        calls.append(re.findall(r"^\t+(mx_gemm_small_f32\(32, 48, 64, .*)$", (tmp_path / f"{n}.c").read_text(), re.M))
    assert len(calls[0]) == 1 and len(calls[1]) == 1


def test_called_functions_are_copied(mlxcc, tmp_path):
    """Functions that are called, and call others, get copies too; what does not need the dimension is shared."""
    text = """dim B in 1..64 with {1, 16};
composite fn h(x: f32[M, K], w: f32[K, N]) -> f32[M, N] { return softmax(x @ w, axis=-1); }
composite fn g(x: f32[M, K], w: f32[K, N]) -> f32[M, N] { return tanh(h(x, w)) + h(x, w * 2); }
composite fn s(w: f32[N, K]) -> f32[N, K] { return w / (1 + sum(w * w)); }
export fn f(x: f32[B, 24], w: f32[24, 24]) -> f32[B, 24] { return g(g(x, s(w)), s(s(w))); }
"""
    options = ("--fma=off", "--skip=inline", "--skip=outline")
    lib = build(mlxcc, tmp_path, "special", text, *options)
    plain = build(mlxcc, tmp_path, "general", text, *options, "--skip=specialise")
    loops = subprocess.run([mlxcc, "special.mx", "--emit=loops", *options], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"func @(\S+)\(", loops)
    assert {"g", "h", "s", "g.B1", "h.B1", "g.B16", "h.B16"} <= set(names) and not any(n.startswith("s.B") for n in names)
    assert names.index("h.B16") < names.index("g.B16") < names.index("f")
    rng = np.random.default_rng(2)
    w = rng.normal(size=(24, 24)).astype(np.float32)
    for b in (1, 16, 9):
        x = rng.normal(size=(b, 24)).astype(np.float32)
        got, want = (call(p, n, [x, w], [(b, 24)], b)[1][0] for p, n in ((lib, "special"), (plain, "general")))
        assert got.tobytes() == want.tobytes()


def test_report_and_text(mlxcc, tmp_path):
    (tmp_path / "t.mx").write_text(MLP.format(dims="dim B in 1..64 with {1, 8};"))
    report = subprocess.run([mlxcc, "t.mx", "--emit=report"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "f: 2 specialised copies for B in {1, 8} and general code" in report
    assert re.search(r"when B is 8: \d+ nests in \d+ kernels", report)
    assert re.search(r"C code: \d+ bytes", report)
    loops = subprocess.run([mlxcc, "t.mx", "--emit=loops"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "fact B in 1..64 with {1, 8}" in loops and "when B is 1" in loops
    (tmp_path / "again.ir").write_text(loops)
    again = subprocess.run([mlxcc, "again.ir", "--emit=loops"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert again == loops


def test_header_names_the_values(mlxcc, tmp_path):
    (tmp_path / "t.mx").write_text(MLP.format(dims="dim B in {64, 1, 8};"))
    subprocess.run([mlxcc, "t.mx", "-o", "t.c"], check=True, cwd=tmp_path)
    assert "B: 1, 8 or 64." in (tmp_path / "t.h").read_text()
    assert "if (B != 1 && B != 8 && B != 64) return T_EINVAL;" in (tmp_path / "t.c").read_text()


@pytest.mark.parametrize("interp", [True, False])
def test_run_refuses_other_values(mlxcc, tmp_path, interp):
    (tmp_path / "t.mx").write_text("dim B in {1, 8};\nexport fn f(x: f32[B]) -> f32[B] { return x + 1; }\n")
    np.save(tmp_path / "x.npy", np.zeros(4, np.float32))
    done = subprocess.run([mlxcc, "run", "t.mx:f", "x=x.npy", *(["--interp"] if interp else [])], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "B is 4: `f` needs 1 or 8" in done.stderr


def test_facts_of_a_set(mlxcc):
    """The range and the common divisor of the values are known: 8 divides, and at least 8."""
    text = "dim T in {8, 24, 64};\nexport fn f(x: f32[T]) -> f32[T // 8, 8] { return reshape(x, T // 8, 8) + x[:8]; }\n"
    assert fails(mlxcc, text) == (0, "")


@pytest.mark.parametrize("decl, words", [("dim B in {1, 1};", "has the value 1 twice"), ("dim B in 1..8 with {16};", "16 is outside the range of dimension `B`"),
                                         ("dim B in {-1};", "can't be -1"), ("dim B in {" + ", ".join(map(str, range(17))) + "};", "at most 16")])
def test_mistakes(mlxcc, decl, words):
    code, err = fails(mlxcc, decl + "\nexport fn f(x: f32[B]) -> f32[B] { return x; }\n")
    assert code != 0 and words in err and "[dim.values]" in err
