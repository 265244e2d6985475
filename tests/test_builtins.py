"""Library functions in C: result dtypes against MLX, values against NumPy."""
import math
import mlx.core as mx
import numpy as np
import pytest
import scipy.special as special
from mxrun import run, fails

ENGINES = pytest.mark.parametrize("compiled", [False, True], ids=["interp", "C"])
mx.set_default_device(mx.cpu)
DTYPES = {"bool": mx.bool_, "u8": mx.uint8, "u16": mx.uint16, "u32": mx.uint32, "u64": mx.uint64, "i8": mx.int8, "i16": mx.int16, "i32": mx.int32,
          "i64": mx.int64, "f16": mx.float16, "bf16": mx.bfloat16, "f32": mx.float32, "f64": mx.float64, "c64": mx.complex64}
NAME = {v: k for k, v in DTYPES.items()}
PARAMS = ", ".join(f"x_{d}: {d}[4]" for d in DTYPES)


def mlx_dtype(fn, *args):
    """The dtype that MLX gives, or None where it raises."""
    try:
        r = fn(*args)
        mx.eval(r)
        return NAME[r.dtype]
    except Exception:
        return None


def x(d):
    return mx.array([1, 0, 1, 1]).astype(DTYPES[d])


def check_dtypes(mlxcc, cases):
    """cases: (expression, dtype). All in one program, as compile-time asserts."""
    bad = []
    for k in range(0, len(cases), 400):
        part = cases[k:k + 400]
        lines = "".join(f"  assert ({e}).dtype == {d};\n" for e, d in part)
        code, err = fails(mlxcc, f"export fn main({PARAMS}) -> i32 {{\n{lines}  return 0;\n}}\n")
        if code:
            bad.append(err)
    assert not bad, "\n".join(bad)


UNARY_MX = ["abs", "sign", "floor", "ceil", "round", "sqrt", "rsqrt", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh",
            "tanh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "sigmoid", "erf", "erfinv", "real", "imag", "conj", "isnan", "isinf",
            "logical_not", "sum", "prod", "max", "min", "all", "any", "argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort",
            "argsort", "negative", "bitwise_invert"]
BINARY_MX = ["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "maximum", "minimum", "arctan2", "logaddexp", "equal", "less",
             "bitwise_and", "left_shift", "matmul"]
# Where the language gives a result and MLX another one, or an error, each with its reason.
DIFFERENT = {
    "subtract(x_bool, x_bool)": "not defined: `^` or `-` after a cast is meant",
    **{f"{f}(x_{a}, x_{b})": "complex numbers have no floor" for f in ("floor_divide", "remainder") for a in DTYPES for b in DTYPES if "c64" in (a, b)},
    **{f"{f}(x_c64, {n})": "complex numbers have no floor" for f in ("floor_divide", "remainder") for n in ("2", "0.5", "true")},
}


def test_unary_dtypes(mlxcc):
    cases = []
    for f in UNARY_MX:
        for d in DTYPES:
            want = mlx_dtype(getattr(mx, f), x(d))
            if want:
                cases.append((f"{f}(x_{d})", want))
    assert len(cases) > 550
    check_dtypes(mlxcc, cases)


def test_binary_dtypes(mlxcc):
    cases = []
    for f in BINARY_MX:
        for a in DTYPES:
            for b in DTYPES:
                want = mlx_dtype(getattr(mx, f), x(a), x(b))
                if want and f"{f}(x_{a}, x_{b})" not in DIFFERENT:
                    cases.append((f"{f}(x_{a}, x_{b})", want))
    assert len(cases) > 2000
    check_dtypes(mlxcc, cases)


def test_weak_number_dtypes(mlxcc):
    cases = []
    for f in ["add", "multiply", "divide", "maximum", "power", "floor_divide", "remainder", "less"]:
        for d in DTYPES:
            for n in [2, 0.5, True]:
                want = mlx_dtype(getattr(mx, f), x(d), n)
                if want and f"{f}(x_{d}, {str(n).lower()})" not in DIFFERENT:
                    cases.append((f"{f}(x_{d}, {str(n).lower()})", want))
    check_dtypes(mlxcc, cases)


def test_other_dtypes(mlxcc):
    cases = [("arange(3)", "i32"), ("arange(3.0)", "f32"), ("arange(0, 1, 0.25)", "f32"), ("arange(3, dtype=u8)", "u8"), ("zeros(2)", "f32"),
             ("ones(2, 3, dtype=f16)", "f16"), ("full((2,), 3)", "i32"), ("full((2,), 3.0)", "f32"), ("full(2, true)", "bool"),
             ("zeros_like(x_i8)", "i8"), ("array([1, 2.5])", "f32"), ("array([true, false])", "bool"), ("array([1, 2j])", "c64"),
             ("array([0, -inf])", "f32"), ("array([3000000000])", "i64"), ("where(x_bool, x_f16, 1.0)", "f16"), ("where(x_bool, 1, 2)", "i32"),
             ("where(x_i32, x_i8, x_f16)", "f16"), ("clip(x_u8, 0, 3)", "u8"), ("clip(x_f16, 0, none)", "f16"), ("concatenate([x_i8, x_u8])", "i16"),
             ("stack([x_f16, x_bf16])", "f32"), ("searchsorted(x_f32, x_f32)", "u32"), ("einsum(\"i,i->\", x_i32, x_i32)", "i32"),
             ("x_i32 @ x_i32", "i32"), ("x_bool @ x_bool", "i32"), ("sqrt(x_i8)", "f32"), ("view(x_f32, i32)", "i32"), ("take(x_f16, 0)", "f16"),
             ("complex(x_f32, x_f32)", "c64"), ("(x_f32.shape[0] ** -0.5) * x_f16", "f16")]
    check_dtypes(mlxcc, cases)


def test_wrong_dtypes(mlxcc):
    for e in ["bitwise_and(x_f32, x_i32)", "left_shift(x_f32, 1)", "arctan2(x_c64, x_f32)", "erf(x_c64)", "floor(x_c64)",
              "arange(3, dtype=bool)"]:
        code, err = fails(mlxcc, f"export fn main({PARAMS}) -> i32 {{ let y = {e}; return sum(y.astype(i32)); }}")
        assert code == 1, (e, err)
        assert "dtype" in err or "not" in err, err


V = {"a": np.array([[0.5, -1.5, 2.25], [0.1, 0.9, -0.3]], np.float32), "b": np.array([[2, -3, 4], [1, 0, 7]], np.int32),
     "u": np.array([0.1, 0.5, 0.9], np.float32), "m": np.array([[True, False, True], [False, False, True]]),
     "t": np.arange(24, dtype=np.float32).reshape(2, 3, 4) - 7, "z": np.array([1 + 2j, -0.5j, 3], np.complex64),
     "s": np.array([3, 1, 2, 1, np.nan, -5], np.float32)}
VP = "a: f32[2, 3], b: i32[2, 3], u: f32[3], m: bool[2, 3], t: f32[2, 3, 4], z: c64[3], s: f32[6]"
f32 = np.float32
VALUES = {
    "floor(a)": lambda a, **_: np.floor(a), "ceil(a)": lambda a, **_: np.ceil(a), "round(a)": lambda a, **_: np.round(a),
    "round(a * 10, 1)": lambda a, **_: np.round(a * 10, 1), "round(b * 7, -1)": lambda b, **_: np.round(b * 7, -1), "trunc(a)": lambda a, **_: np.trunc(a),
    "sigmoid(a)": lambda a, **_: special.expit(a), "erf(a)": lambda a, **_: special.erf(a), "erfinv(u)": lambda u, **_: special.erfinv(u),
    "exp2(a)": lambda a, **_: np.exp2(a), "cbrt(a)": lambda a, **_: np.cbrt(a), "logaddexp(a, u)": lambda a, u, **_: np.logaddexp(a, u),
    "maximum(a, 0)": lambda a, **_: np.maximum(a, 0), "arctan2(a, u)": lambda a, u, **_: np.arctan2(a, u), "where(m, a, 0)": lambda a, m, **_: np.where(m, a, 0),
    "where(m, a, u)": lambda a, m, u, **_: np.where(m, a, u), "clip(b, 0, 3)": lambda b, **_: np.clip(b, 0, 3), "clip(a, u, none)": lambda a, u, **_: np.maximum(a, u),
    "real(z)": lambda z, **_: z.real, "imag(z)": lambda z, **_: z.imag, "conj(z)": lambda z, **_: z.conj(), "imag(a)": lambda a, **_: np.zeros_like(a),
    "complex(u, 2)": lambda u, **_: u + 2j, "logical_not(b)": lambda b, **_: np.logical_not(b), "abs(z)": lambda z, **_: np.abs(z),
    "arange(2, 9, 3)": lambda **_: np.arange(2, 9, 3), "arange(5, 0, -2)": lambda **_: np.arange(5, 0, -2), "arange(0, 1, 0.3)": lambda **_: np.arange(0, 1, 0.3),
    "full(2, 2, 7)": lambda **_: np.full((2, 2), 7), "full((2, 3), u)": lambda u, **_: np.full((2, 3), u), "ones_like(b)": lambda b, **_: np.ones_like(b),
    "[[1, 2], [3, 4]] @ u[:2]": lambda u, **_: np.array([[1, 2], [3, 4]]) @ u[:2], "array([u, u * 2])": lambda u, **_: np.array([u, u * 2]),
    "t.reshape(4, -1)": lambda t, **_: t.reshape(4, -1), "t.T": lambda t, **_: t.T, "transpose(t, 2, 0, 1)": lambda t, **_: t.transpose(2, 0, 1),
    "transpose(t, (1, 0, 2))": lambda t, **_: t.transpose(1, 0, 2), "swapaxes(t, 0, -1)": lambda t, **_: t.swapaxes(0, -1),
    "moveaxis(t, 0, -1)": lambda t, **_: np.moveaxis(t, 0, -1), "moveaxis(t, (0, 1), (1, 2))": lambda t, **_: np.moveaxis(t, (0, 1), (1, 2)),
    "expand_dims(a, (0, -1))": lambda a, **_: np.expand_dims(a, (0, -1)), "squeeze(a[newaxis, :, :1])": lambda a, **_: a[None, :, :1].squeeze(),
    "squeeze(a[newaxis], 0)": lambda a, **_: a, "flatten(t, 1)": lambda t, **_: t.reshape(2, 12), "unflatten(t, -1, (2, -1))": lambda t, **_: t.reshape(2, 3, 2, 2),
    "broadcast_to(u, 2, 3)": lambda u, **_: np.broadcast_to(u, (2, 3)), "concatenate([a, b], axis=1)": lambda a, b, **_: np.concatenate([a, b], 1),
    "stack((a, a), axis=-1)": lambda a, **_: np.stack([a, a], -1), "split(t, 3, axis=1)[1]": lambda t, **_: np.split(t, 3, 1)[1],
    "split(t, [1, 3], axis=2)[2]": lambda t, **_: np.split(t, [1, 3], 2)[2], "split(t, [1, 3], axis=2)[1]": lambda t, **_: np.split(t, [1, 3], 2)[1],
    "unstack(t, axis=1)[2]": lambda t, **_: t[:, 2],
    "pad(a, 1)": lambda a, **_: np.pad(a, 1), "pad(a, (1, 2), constant_values=5)": lambda a, **_: np.pad(a, (1, 2), constant_values=5),
    "pad(a, [(1, 0), (0, 2)])": lambda a, **_: np.pad(a, [(1, 0), (0, 2)]), "pad(a, [(1, 0), (0, 2)], mode=\"edge\")": lambda a, **_: np.pad(a, [(1, 0), (0, 2)], mode="edge"),
    "pad(t, [(0, 0), (2, 1), (3, 2)], mode=\"reflect\")": lambda t, **_: np.pad(t, [(0, 0), (2, 1), (3, 2)], mode="reflect"),
    "pad(t, [(1, 0), (2, 1), (3, 2)], mode=\"symmetric\")": lambda t, **_: np.pad(t, [(1, 0), (2, 1), (3, 2)], mode="symmetric"),
    "flip(t, (0, 2))": lambda t, **_: np.flip(t, (0, 2)), "flip(a)": lambda a, **_: np.flip(a),
    "as_strided(t, (3, 2), (2, 5), 1)": lambda t, **_: np.array([[t.flat[1 + 2 * i + 5 * j] for j in range(2)] for i in range(3)]),
    "view(a, i32)": lambda a, **_: a.view(np.int32), "view(u, u8)": lambda u, **_: u.view(np.uint8),
    "sum(t, axis=(0, -1), keepdims=true)": lambda t, **_: t.sum((0, -1), keepdims=True), "prod(b, axis=1)": lambda b, **_: b.prod(1), "max(t)": lambda t, **_: t.max(),
    "min(t, axis=1)": lambda t, **_: t.min(1), "max(m, axis=0)": lambda m, **_: m.max(0), "all(m, axis=1)": lambda m, **_: m.all(1), "any(b)": lambda b, **_: b.any(),
    "sum(m)": lambda m, **_: m.sum(), "argmax(a)": lambda a, **_: a.argmax(), "argmin(t, axis=1)": lambda t, **_: t.argmin(1),
    "argmax(a, axis=1, keepdims=true)": lambda a, **_: a.argmax(1, keepdims=True), "argmax(a, keepdims=true)": lambda a, **_: a.argmax(keepdims=True),
    "argmax(s)": lambda **_: 4, "sum(t, axis=[0, 1])": lambda t, **_: t.sum((0, 1)), "sum(t, axis=0..2)": lambda t, **_: t.sum((0, 1)),
    "cumsum(a)": lambda a, **_: a.cumsum(), "cumsum(t, axis=1)": lambda t, **_: t.cumsum(1), "cumsum(u, axis=0, reverse=true)": lambda u, **_: u[::-1].cumsum()[::-1],
    "cumsum(u, axis=0, inclusive=false)": lambda u, **_: np.array([0, u[0], u[0] + u[1]]), "cumprod(a, axis=1)": lambda a, **_: a.cumprod(1),
    "cummax(t, axis=2)": lambda t, **_: np.maximum.accumulate(t, 2), "cummin(a, axis=1)": lambda a, **_: np.minimum.accumulate(a, 1),
    "cummax(a, axis=1, inclusive=false)": lambda a, **_: np.concatenate([np.full((2, 1), -np.inf), np.maximum.accumulate(a, 1)[:, :-1]], 1),
    "cummax(b, axis=1, reverse=true, inclusive=false)": lambda b, **_: np.array([[4, 4, -2**31], [7, 7, -2**31]]),
    "logcumsumexp(a, axis=1)": lambda a, **_: np.logaddexp.accumulate(a, 1), "sort(s)": lambda s, **_: np.sort(s), "argsort(s)": lambda s, **_: np.argsort(s, kind="stable"),
    "sort(t, axis=0)": lambda t, **_: np.sort(t, 0), "sort(a, axis=none)": lambda a, **_: np.sort(a, None), "searchsorted(u, a)": lambda u, a, **_: np.searchsorted(u, a),
    "searchsorted(u, u, right=true)": lambda u, **_: np.searchsorted(u, u, "right"),
    "a @ t": lambda a, t, **_: a @ t, "b @ b.T": lambda b, **_: b @ b.T, "t @ t.swapaxes(1, 2)": lambda t, **_: t @ t.swapaxes(1, 2), "u @ t": lambda u, t, **_: u @ t,
    "t @ [1, 2, 3, 4]": lambda t, **_: t @ np.array([1, 2, 3, 4], f32), "u @ u": lambda u, **_: u @ u, "a[newaxis] @ t": lambda a, t, **_: a[None] @ t,
    "t[:, newaxis] @ t.swapaxes(1, 2)[newaxis]": lambda t, **_: t[:, None] @ t.swapaxes(1, 2)[None], "t[:1] @ t.swapaxes(1, 2)": lambda t, **_: t[:1] @ t.swapaxes(1, 2),
    "a[newaxis, newaxis] @ u[:, newaxis]": lambda a, u, **_: a[None, None] @ u[:, None], "z @ z": lambda z, **_: z @ z,
    "tensordot(a, t, ((0,), (0,)))": lambda a, t, **_: np.tensordot(a, t, ((0,), (0,))), "tensordot(t, t, 3)": lambda t, **_: np.tensordot(t, t, 3),
    "tensordot(u, u, 0)": lambda u, **_: np.tensordot(u, u, 0),
    **{f'einsum("{s}", {o})': (lambda s, o: lambda **k: np.einsum(s, *[k[n] for n in o.split(", ")]))(s, o) for s, o in [
        ("ij->ji", "a"), ("ij->", "a"), ("ij,ij->i", "a, b"), ("ij,j", "a, u"), ("ijk,j->ik", "t, u"), ("bij,bkj->bik", "t, t"), ("i,j,k->kij", "u, u, u"),
        ("...j,j->...", "a, u"), ("bi...,i->b...", "t, u"), ("...ij,...kj->...ik", "t, t"), ("ij,jk,kl", "a, [[1, 2], [3, 4], [5, 6]], a"),
        ("ijk,ij,j->k", "t, a, u")] if "[[" not in o},
    'einsum("ii->i", t[0, :, :3])': lambda t, **_: np.einsum("ii->i", t[0, :, :3]), 'einsum("ii", t[0, :, :3])': lambda t, **_: np.trace(t[0, :, :3]),
    'einsum("bij,ij->b", t, t[:1].reshape(3, 4))': lambda t, **_: np.einsum("bij,ij->b", t, t[0]),
}


@ENGINES
def test_values(mlxcc, compiled):
    exprs = list(VALUES)
    body = "".join(f"  let r{i} = {e};\n" for i, e in enumerate(exprs))
    text = f"export fn main({VP}) {{\n{body}  return {', '.join(f'r{i}' for i in range(len(exprs)))};\n}}\n"
    for e, got in zip(exprs, run(mlxcc, text, compiled=compiled, **V), strict=True):
        want = np.asarray(VALUES[e](**V))
        assert got.shape == want.shape, (e, got.shape, want.shape)
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6, err_msg=e)


def test_numbers(mlxcc):
    """Functions of compile-time numbers give numbers, in double precision."""
    cases = {"sqrt(2)": math.sqrt(2), "log2(8)": 3.0, "maximum(3, 5)": 5, "minimum(2.5, 1)": 1, "exp(1)": math.e, "floor(2.7)": 2.0, "abs(-3)": 3,
             "sin(0.5)": math.sin(0.5), "erf(0.3)": math.erf(0.3), "prod((2, 3, 4))": 24, "int(log2(1024))": 10, "int(2.9)": 2, "int(-2.9)": -2, "float(3)": 3.0,
             "int(\"42\")": 42, "len([1, 2, 3])": 3, "len(\"abc\")": 3, "sign(-2)": -1, "where(true, 1, 2)": 1, "arctan2(1, 1)": math.pi / 4,
             "maximum(1, 2.0)": 2.0, "clip(5, 0, 3)": 3, "divide(1, 4)": 0.25, "floor_divide(-7, 2)": -4, "remainder(-7, 2)": 1, "power(2, 10)": 1024,
             "logaddexp(0, 0)": math.log(2), "round(2.5)": 2.0, "trunc(-1.5)": -1.0}
    lines = "".join(f"  assert abs(({e}) - ({v!r})) < 1e-15;\n" for e, v in cases.items())
    lines += '  assert str(3) == "3" and str(0.1) == "0.1" and str(1e20) == "1e+20" and str(2.0) == "2.0" and str(true) == "true";\n'
    lines += '  assert map(|x| x * x, (1, 2, 3)) == (1, 4, 9) and map(|x, y| x + y, [1, 2], 3..5)[1] == 6;\n'
    lines += '  assert zip((1, 2), "ab")[1] == (2, "b") or true;\n' if False else '  assert zip((1, 2), [3, 4])[1] == (2, 4) and enumerate((5, 6))[1] == (1, 6);\n'
    lines += "  assert isnan(nan) and isinf(-inf) and not isinf(1);\n"
    code, err = fails(mlxcc, f"export fn main(x: f32) -> f32 {{\n{lines}  return x;\n}}\n")
    assert code == 0, err


@ENGINES
def test_dimensions_as_arguments(mlxcc, compiled):
    text = """export fn main(x: f32[N, M]) {
  assert N >= 2 and M >= N;
  return arange(N), arange(2, N + 2), arange(0, 2 * N, 2), arange(N, 0, -1), zeros(N, 2), x.reshape(M, -1), x.reshape(-1), sqrt(N) * x, maximum(M, N),
         sum(x, axis=0) / N, unflatten(arange(2 * N), 0, (2, N)), broadcast_to(x[:1], N, M), full((N,), 3.0), pad(x, ((0, N), (M - N, 0)));
}"""
    for N, M in [(2, 3), (4, 4)]:
        x = np.arange(N * M, dtype=np.float32).reshape(N, M)
        want = [np.arange(N), np.arange(2, N + 2), np.arange(0, 2 * N, 2), np.arange(N, 0, -1), np.zeros((N, 2)), x.reshape(M, -1), x.reshape(-1),
                np.sqrt(N) * x, M, x.sum(0) / N, np.arange(2 * N).reshape(2, N), np.broadcast_to(x[:1], (N, M)), np.full((N,), 3.0),
                np.pad(x, ((0, N), (M - N, 0)))]
        for k, (got, w) in enumerate(zip(run(mlxcc, text, compiled=compiled, x=x), want, strict=True)):
            assert got.shape == np.shape(w), k
            np.testing.assert_allclose(got, w, rtol=1e-6, err_msg=str(k))


@ENGINES
def test_trees(mlxcc, compiled):
    text = """import nn;
const Net = nn.Linear(3, 2);
export fn main(x: f32[3], n: i32) {
  let t = (a=x, b=(x * 2, n), c=none);
  let flat = tree_flatten(t);
  assert len(flat) == 3 and flat[0][0] == "a" and flat[1][0] == "b.0" and flat[2][0] == "b.1";
  let u = tree_map(|p, q| p + q, t, (a=none, b=(x, n), c=x));
  let w = trainable(t);
  assert w.b[1] is none and w.c is none;
  let m = tree_merge((a=x * 5, b=none, c=none), t);
  let s = tree_reduce(|acc, v| acc + sum(v), t, 0);
  let names = tree_map_with_path(|path, v| v * len(path), t);
  let back = tree_unflatten(flat);
  assert back.b[1].dtype == i32 and len(back.b) == 2 and tree_unflatten([("1.k", 5), ("0", 4)])[1].k == 5;
  assert typeof(t).a == f32[3] and typeof(t).b[1] == i32;
  return u.a, u.b[0], u.b[1], m.a, m.b[0], s, names.b[0], back.b[0];
}"""
    x, n = np.array([1, 2, 3], np.float32), np.int32(4)
    want = [x, x * 3, 8, x * 5, x * 2, x.sum() * 3 + 4, x * 2 * 3, x * 2]
    for got, w in zip(run(mlxcc, text, compiled=compiled, x=x, n=n), want, strict=True):
        np.testing.assert_allclose(got, w)
