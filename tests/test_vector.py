"""Vector code gives the interpreter's bits at every width, with gcc and clang, at every optimisation: row lengths 1..70 with an inaccessible
page behind and before every operand, nan, infinities, zeros of both signs and subnormals in every lane."""
import ctypes
import os
import pathlib
import platform
import subprocess
import sys
import numpy as np
import pytest
import c_kit
from op_kit import eval_ir, bits_equal
from test_ops_symbolic import export, with_numbers

HERE = pathlib.Path(__file__).resolve().parent
FULL = bool(os.environ.get("MLXCC_FULL"))
SIZES = list(range(1, 71)) if FULL else [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 47, 48, 49, 63, 64, 65, 70]

# name -> operands, body, results; B is 3
PROGRAMS = {
    "maps": ("%x: f32[3,N], %y: f32[N]", """
  %w = broadcast %y {shape=[3,N], dims=[1]} : f32[3,N]
  %a = mul %x, %w : f32[3,N]
  %b = sub %a, %x : f32[3,N]
  %c = div %b, %w : f32[3,N]
  %d = abs %c : f32[3,N]
  %e = sqrt %d : f32[3,N]
  %f = neg %e : f32[3,N]
  %p = lt %x, %w : bool[3,N]
  %q = isnan %c : bool[3,N]
  %o = or %p, %q : bool[3,N]
  %g = select %o, %f, %a : f32[3,N]
  %h = maximum %g, %w : f32[3,N]
  %k = minimum %h, %x : f32[3,N]
  %l = floor %k : f32[3,N]
  %u = sign %x : f32[3,N]
  %v = not %o : bool[3,N]""", "%l f32[3,N], %h f32[3,N], %o bool[3,N], %u f32[3,N], %v bool[3,N], %c f32[3,N]"),
    "sums": ("%x: f32[3,N]", """
  %a = reduce_sum %x {axes=[1]} : f32[3]
  %b = reduce_sum %x {axes=[0]} : f32[N]
  %c = reduce_sum %x {axes=[0,1]} : f32
  %d = reduce_max %x {axes=[1]} : f32[3]
  %e = reduce_min %x {axes=[0]} : f32[N]
  %f = reduce_prod %x {axes=[1]} : f32[3]
  %s = mul %x, %x : f32[3,N]
  %g = reduce_sum %s {axes=[1]} : f32[3]
  %h = argmax %x {axis=1} : u32[3]
  %k = round %x : f32[3,N]
  %i = argmin %k {axis=1} : u32[3]
  %m = argmax %x {axis=0} : u32[N]
  %o = argmin %k {axis=0} : u32[N]""", "%m u32[N], %o u32[N], %a f32[3], %b f32[N], %c f32, %d f32[3], %e f32[N], %f f32[3], %g f32[3], %h u32[3], %i u32[3]"),
    "softmax": ("%x: f32[3,N]", """
  %m = reduce_max %x {axes=[1]} : f32[3]
  %n = broadcast %m {shape=[3,N], dims=[0]} : f32[3,N]
  %d = sub %x, %n : f32[3,N]
  %e = exp %d : f32[3,N]
  %s = reduce_sum %e {axes=[1]} : f32[3]
  %t = broadcast %s {shape=[3,N], dims=[0]} : f32[3,N]
  %r = div %e, %t : f32[3,N]
  %l = tanh %x : f32[3,N]
  %z = sigmoid %l : f32[3,N]""", "%r f32[3,N], %z f32[3,N]"),
    "halves": ("%h: f16[3,N], %k: bf16[N], %u: u8[N], %i: i8[3,N]", """
  %a = convert %h {dtype=f32} : f32[3,N]
  %b = add %h, %h : f16[3,N]
  %c = mul %b, %h : f16[3,N]
  %d = convert %k {dtype=f32} : f32[N]
  %e = broadcast %d {shape=[3,N], dims=[1]} : f32[3,N]
  %f = mul %a, %e : f32[3,N]
  %g = convert %f {dtype=bf16} : bf16[3,N]
  %v = convert %u {dtype=f32} : f32[N]
  %w = broadcast %v {shape=[3,N], dims=[1]} : f32[3,N]
  %x = convert %i {dtype=f32} : f32[3,N]
  %y = add %w, %x : f32[3,N]
  %z = convert %y {dtype=f16} : f16[3,N]
  %s = reduce_sum %h {axes=[1]} : f16[3]
  %t = reduce_sum %g {axes=[0]} : bf16[N]
  %o = convert %f {dtype=i32} : i32[3,N]""", "%c f16[3,N], %g bf16[3,N], %y f32[3,N], %z f16[3,N], %s f16[3], %t bf16[N], %o i32[3,N]"),
    "integers": ("%x: i32[3,N], %y: u32[N], %m: bool[3,N]", """
  %a = add %x, %x : i32[3,N]
  %b = mul %a, %x : i32[3,N]
  %c = neg %b : i32[3,N]
  %d = maximum %c, %x : i32[3,N]
  %e = and %d, %a : i32[3,N]
  %f = select %m, %e, %b : i32[3,N]
  %g = convert %f {dtype=f32} : f32[3,N]
  %h = mul %y, %y : u32[N]
  %i = neg %h : u32[N]
  %j = convert %m {dtype=i32} : i32[3,N]
  %k = reduce_sum %f {axes=[1]} : i32[3]
  %l = reduce_max %y {axes=[0]} : u32
  %o = convert %m {dtype=f32} : f32[3,N]
  %p = reduce_sum %o {axes=[1]} : f32[3]
  %q = abs %x : i32[3,N]""", "%f i32[3,N], %g f32[3,N], %i u32[N], %j i32[3,N], %k i32[3], %l u32, %p f32[3], %q i32[3,N]"),
    "views": ("%x: f32[3,N], %y: f32[2,N]", """
  %z = const {value=f32(-1)} : f32
  %a = pad %x, %z {lo=[0,2], hi=[1,3], step=[1,1]} : f32[4,N+5]
  %b = neg %a : f32[4,N+5]
  %c = concat %x, %y {axis=0} : f32[5,N]
  %d = exp %c : f32[5,N]
  %e = concat %x, %x, %x {axis=1} : f32[3,3*N]
  %f = mul %e, %e : f32[3,3*N]
  %g = rev %x {axes=[1]} : f32[3,N]
  %h = add %g, %x : f32[3,N]
  %t = transpose %x {perm=[1,0]} : f32[N,3]
  %k = mul %t, %t : f32[N,3]
  %i = iota {size=N, dtype=i32} : i32[N]
  %j = broadcast %i {shape=[N,N], dims=[1]} : i32[N,N]
  %l = broadcast %i {shape=[N,N], dims=[0]} : i32[N,N]
  %m = le %j, %l : bool[N,N]
  %w = slice %x {lo=[0,0], hi=[1,N], step=[1,1]} : f32[1,N]
  %r = reshape %w {shape=[N]} : f32[N]
  %v = broadcast %r {shape=[N,N], dims=[1]} : f32[N,N]
  %n = broadcast %z {shape=[N,N], dims=[]} : f32[N,N]
  %s = select %m, %v, %n : f32[N,N]
  %u = reduce_sum %s {axes=[1]} : f32[N]
  %p = reduce_sum %t {axes=[0]} : f32[3]
  %q = reduce_sum %t {axes=[1]} : f32[N]""",
              "%b f32[4,N+5], %d f32[5,N], %f f32[3,3*N], %h f32[3,N], %k f32[N,3], %s f32[N,N], %u f32[N], %p f32[3], %q f32[N]"),
    "doubles": ("%x: f64[3,N], %y: f64[N]", """
  %w = broadcast %y {shape=[3,N], dims=[1]} : f64[3,N]
  %a = mul %x, %w : f64[3,N]
  %b = div %a, %x : f64[3,N]
  %p = gt %b, %w : bool[3,N]
  %c = select %p, %a, %b : f64[3,N]
  %d = maximum %c, %x : f64[3,N]
  %e = exp %d : f64[3,N]
  %s = reduce_sum %x {axes=[1]} : f64[3]
  %t = reduce_sum %a {axes=[0]} : f64[N]
  %m = reduce_max %x {axes=[1]} : f64[3]""", "%d f64[3,N], %e f64[3,N], %s f64[3], %t f64[N], %m f64[3]"),
}
PROGRAMS["scans"] = ("%x: f32[3,N], %y: f64[3,N], %i: i32[3,N], %z: f32[2,3,N]", """
  %a = cumsum %x {axis=0, reverse=false, exclusive=false} : f32[3,N]
  %b = cumsum %x {axis=0, reverse=true, exclusive=false} : f32[3,N]
  %c = cumsum %x {axis=0, reverse=true, exclusive=true} : f32[3,N]
  %d = cumprod %x {axis=0, reverse=true, exclusive=false} : f32[3,N]
  %e = cumsum %y {axis=0, reverse=false, exclusive=false} : f64[3,N]
  %f = cumprod %i {axis=0, reverse=false, exclusive=false} : i32[3,N]
  %g = cumsum %z {axis=1, reverse=true, exclusive=false} : f32[2,3,N]
  %h = exp %x : f32[3,N]
  %v = const {value=f32(-1)} : f32
  %w = pad %h, %v {lo=[1,2], hi=[0,1], step=[1,1]} : f32[4,N+3]
  %k = cumsum %w {axis=0, reverse=false, exclusive=false} : f32[4,N+3]""",
                     "%a f32[3,N], %b f32[3,N], %c f32[3,N], %d f32[3,N], %e f64[3,N], %f i32[3,N], %g f32[2,3,N], %k f32[4,N+3]")
NUMPY = {"f32": "f4", "f64": "f8", "f16": "f2", "bf16": "u2", "i32": "i4", "u32": "u4", "i8": "i1", "u8": "u1", "bool": "?"}


def parts(name):
    params, body, results = PROGRAMS[name]
    out = [r.split() for r in results.split(", ")]
    text = f'module "t" stage "tensor"\n\nfunc @f({params}) -> ({", ".join(t for _, t in out)}) {{{body}\n  return {", ".join(v for v, _ in out)}\n}}\n'
    given = [p.split(": ")[1] for p in params.split(", ")]
    return text, given, [t for _, t in out]


def shape(t, n):
    dims = t.partition("[")[2].rstrip("]")
    return tuple(eval(d, {"N": n}) for d in dims.split(",")) if dims else ()


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-41, -3e-42, 1.5, -2.0, 3e38]


def value(t, n, r):
    d, s = t.partition("[")[0], shape(t, n)
    if d in ("f32", "f64", "f16"):
        x = (r.normal(size=s) * 4).astype(NUMPY[d])
        special = [v for v in SPECIAL if d != "f16" or v != 3e38]
        for k in r.choice(x.size, min(x.size, r.integers(0, 4)), replace=False):   # anywhere, also in the last lanes; some rows stay finite
            x.reshape(-1)[k] = special[r.integers(len(special))]
        return x
    if d == "bf16":
        return (r.normal(size=s).astype("f4").view("u4") >> 16).astype("u2")
    if d == "bool":
        return r.random(s) < 0.5
    i = np.iinfo(NUMPY[d])
    return r.integers(i.min, i.max, s, dtype=NUMPY[d], endpoint=True)


def same(got, want, dtype):
    if dtype == "bf16":
        def nan(a):
            return (a & 0x7fff) > 0x7f80
        return bool(np.all((got == want) | (nan(got) & nan(want))))
    return bits_equal(got, want)


@pytest.fixture(scope="module")
def expected(irtool, tmp_path_factory):
    """Inputs and the interpreter's results of a program, for every size, in one file."""
    folder, made = tmp_path_factory.mktemp("vector"), {}

    def make(name):
        if name not in made:
            text, given, results = parts(name)
            data = {"sizes": SIZES, "inputs": len(given), "results": len(results)}
            want = {}
            for n in SIZES:
                r = np.random.default_rng([n, len(name)])
                inputs = [value(t, n, r) for t in given]
                got, said = eval_ir(irtool, with_numbers(text, {"N": n}), inputs)
                assert got is not None, said
                for k, x in enumerate(inputs):
                    data[f"{n}_{k}"] = x
                for k, (t, w) in enumerate(zip(results, got)):
                    data[f"dtype_{k}"], data[f"{n}_shape_{k}"] = NUMPY[t.partition("[")[0]], np.array(shape(t, n), int)
                    want[n, k] = w
            np.savez(folder / f"{name}.npz", **data)
            made[name] = folder / f"{name}.npz", want, results
        return made[name]
    return make


X86 = platform.machine() == "x86_64"
CPU = pathlib.Path("/proc/cpuinfo").read_text() if X86 else ""
WIDTHS = {"scalar": ["-DMLXCC_SCALAR"], "base": []}
if X86:
    WIDTHS |= {w: f for w, (need, f) in {"avx": ("avx ", ["-mavx"]), "avx2": ("avx2", ["-mavx2", "-mf16c"]), "avx512": ("avx512bw", ["-march=native"])}.items() if need in CPU}
SOME = [("gcc", "-O0", "base"), ("gcc", "-O2", "scalar"), ("gcc", "-O2", "avx512"), ("gcc", "-O3", "avx2"), ("clang", "-O1", "avx512"), ("clang", "-O2", "base"), ("clang", "-O3", "scalar")]
ALL = [(c, o, w) for c in ("gcc", "clang") for o in ("-O0", "-O2", "-O3") for w in WIDTHS]


@pytest.mark.parametrize("cc, level, width", [v for v in (ALL if FULL else SOME) if v[2] in WIDTHS])
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_bits_at_every_width(name, cc, level, width, mlxcc, expected, tmp_path):
    path, want, results = expected(name)
    text, given, _ = parts(name)
    exported, dims = export(text, given, results)
    assert dims == ["N"]
    c_kit.build(mlxcc, exported, tmp_path, (level, *WIDTHS[width], *c_kit.STRICT), cc)
    for place in ("behind", "before"):
        done = subprocess.run([sys.executable, str(HERE / "vector_guard.py"), str(tmp_path / "f.so"), str(path), str(tmp_path / "out.npz"), place], capture_output=True, text=True)
        assert done.returncode == 0, f"{place}: {done.returncode} {done.stderr[-1000:]}"
        got = np.load(tmp_path / "out.npz")
        bad = [f"N={n} result {k} ({results[k]}): {got[f'{n}_{k}']} instead of {w}" for (n, k), w in want.items() if not same(got[f"{n}_{k}"], w, results[k].partition("[")[0])]
        assert not bad, "\n".join(bad[:4])


@pytest.mark.parametrize("cc, width", [("gcc", "avx512"), ("clang", "base"), ("gcc", "scalar")])
@pytest.mark.parametrize("n", [1, 15, 63, 64, 65, 130, 200])
def test_place_of_the_largest_in_special_rows(n, cc, width, mlxcc, tmp_path):
    """Rows of nothing but infinities, nans, equal zeros; a nan, the least and the largest anywhere: the first one, as NumPy says."""
    if width not in WIDTHS:
        pytest.skip("not on this machine")
    r = np.random.default_rng(n)
    rows = [np.full(n, v) for v in (-np.inf, np.inf, np.nan, 0.0, 1.0)] + [np.where(np.arange(n) == k, v, w) for k in sorted({0, n // 2, n - 1})
            for v, w in ((np.nan, -np.inf), (-3e38, -np.inf), (3e38, np.inf), (0.0, -0.0), (np.nan, np.inf))] + [r.integers(-2, 3, n) for _ in range(20)]
    x = np.array(rows, "f4")
    text = f'module "t" stage "tensor"\n\nfunc @f(%x: f32[{len(x)},{n}]) -> (u32[{len(x)}], u32[{len(x)}]) {{\n  %a = argmax %x {{axis=1}} : u32[{len(x)}]\n  %b = argmin %x {{axis=1}} : u32[{len(x)}]\n  return %a, %b\n}}\n'
    exported, _ = export(text, [f"f32[{len(x)},{n}]"], [f"u32[{len(x)}]"] * 2)
    c_kit.build(mlxcc, exported, tmp_path, ("-O2", *WIDTHS[width], *c_kit.STRICT), cc)
    f = ctypes.CDLL(str(tmp_path / "f.so")).t_f
    a, b = np.zeros(len(x), "u4"), np.zeros(len(x), "u4")
    f(*(v.ctypes.data_as(ctypes.c_void_p) for v in (x, a, b)), None)
    np.testing.assert_array_equal(a, np.argmax(x, axis=1))
    np.testing.assert_array_equal(b, np.argmin(x, axis=1))
