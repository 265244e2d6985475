"""The prelude, linalg and fast against MLX: one expression, evaluated by both; and its gradient."""
import numpy as np
import pytest

import mlx.nn as nn

from std_tools import mx, run, type_of

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4)).astype(np.float32)
Y = rng.normal(size=(3, 4)).astype(np.float32)
W = rng.normal(size=(4, 5)).astype(np.float32)
A = rng.normal(size=(2, 3, 4)).astype(np.float32)
S = rng.normal(size=(4, 4)).astype(np.float32)
V = rng.normal(size=(7,)).astype(np.float32)
U = rng.normal(size=(7,)).astype(np.float32)
ODD = np.array([1.5, -np.inf, np.nan, np.inf, -0.0, 2.0], np.float32)
I = rng.integers(-5, 9, (3, 4)).astype(np.int32)
J = rng.integers(0, 4, (9,)).astype(np.int32)
Z = (rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))).astype(np.complex64)
VALUES = dict(x=X, y=Y, w=W, a=A, s=S, v=V, u=U, odd=ODD, i=I, j=J, z=Z)

# (expression, arguments); differentiable ones are checked by their gradients with respect to the first argument too.
SMOOTH = [
    ("mean(x)", "x"), ("mean(x, axis=0)", "x"), ("mean(a, axis=(0, 2), keepdims=true)", "a"),
    ("var(x)", "x"), ("var(x, axis=1, ddof=1)", "x"), ("std(a, axis=(1, 2), keepdims=true)", "a"), ("std(x, axis=0, ddof=1)", "x"),
    ("median(v)", "v"), ("median(x, axis=1)", "x"), ("median(a, axis=(0, 2), keepdims=true)", "a"), ("median(x, axis=-2)", "x"),
    ("logsumexp(x)", "x"), ("logsumexp(x, axis=-1)", "x"), ("logsumexp(a, axis=(0, 1), keepdims=true)", "a"),
    ("softmax(x, axis=-1)", "x"), ("softmax(x)", "x"), ("softmax(a, axis=(0, 2))", "a"), ("softmax(x, axis=0, precise=true)", "x"),
    ("square(x)", "x"), ("reciprocal(x)", "x"), ("degrees(x)", "x"), ("radians(x)", "x"), ("positive(x)", "x"),
    ("tril(s)", "s"), ("triu(s, k=1)", "s"), ("tril(a, k=-1)", "a"), ("diag(v)", "v"), ("diag(v, k=2)", "v"), ("diag(v, k=-1)", "v"),
    ("diag(s)", "s"), ("diag(x, k=1)", "x"), ("diagonal(a, 1, 1, 2)", "a"), ("diagonal(a, -1, 2, 0)", "a"), ("trace(s)", "s"), ("trace(a, 0, 1, 2)", "a"),
    ("outer(v, u)", "v u"), ("inner(v, u)", "v u"), ("inner(x, y)", "x y"), ("vecdot(x, y)", "x y"), ("vecdot(x, y, axis=0)", "x y"),
    ("addmm(y[:, 0:1], x, w, alpha=0.5, beta=2.0)", "y x w"), ("kron(x, w)", "x w"), ("kron(v, x)", "v x"),
    ("diff(x)", "x"), ("diff(x, n=2)", "x"), ("diff(x, axis=0)", "x"),
    ("roll(v, 3)", "v"), ("roll(x, 1, 0)", "x"), ("roll(x, -2, 1)", "x"), ("roll(x, 5)", "x"), ("roll(x, (1, 2), (0, 1))", "x"),
    ("repeat(x, 2, axis=0)", "x"), ("repeat(x, 3, axis=-1)", "x"), ("repeat(x, 2)", "x"), ("tile(x, (2, 1))", "x"), ("tile(x, 3)", "x"), ("tile(v, (2, 3))", "v"),
    ("nan_to_num(x)", "x"), ("sort(topk(v, 4))", "v"), ("matrix_transpose(a)", "a"), ("cumulative_sum(x, axis=1)", "x"), ("cumulative_prod(x, axis=0, reverse=true)", "x"),
    ("atleast_2d(v)", "v"), ("atleast_3d(v)", "v"), ("atleast_3d(x)", "x"), ("atleast_1d(x)", "x"),
    ("linalg.norm(x)", "x"), ("linalg.norm(x, axis=1)", "x"), ("linalg.norm(x, ord=1, axis=0)", "x"), ("linalg.norm(x, ord=3, axis=-1, keepdims=true)", "x"),
    ("linalg.norm(v, ord=inf)", "v"), ("linalg.norm(v, ord=-inf)", "v"), ("linalg.norm(x, ord=1)", "x"), ("linalg.norm(x, ord=-1)", "x"),
    ("linalg.norm(a, ord=inf, axis=(1, 2))", "a"), ("linalg.norm(a, ord=-inf, axis=(0, 2), keepdims=true)", "a"), ("linalg.norm(x, ord=\"fro\")", "x"),
    ("linalg.cross(x[:, :3], y[:, :3])", "x y"), ("linalg.cross(x[:, :2], y[:, :3])", "x y"), ("linalg.cross(x[:, :3], y[:, :2])", "x y"),
    ("linalg.cross(x, y, axis=0)", "x y"), ("linalg.cross(x[:, :2], y[:, :2])", "x y"),
    ("fast.rms_norm(x, w[:, 0], 1e-5)", "x w"), ("fast.rms_norm(x, none, 1e-5)", "x"), ("fast.layer_norm(x, w[:, 0], w[:, 1], 1e-5)", "x w"),
    ("fast.layer_norm(x, none, none, 1e-3)", "x"), ("fast.layer_norm(x, w[:, 0], none, 1e-3)", "x w"),
    ("fast.rope(a, 4, traditional=false, base=10000.0, scale=1.0, offset=0)", "a"), ("fast.rope(a, 2, traditional=true, base=100.0, scale=0.5, offset=3)", "a"),
    ("fast.rope(a, 4, traditional=true, base=none, scale=1.0, offset=2, freqs=array([1.0, 7.0]))", "a"),
    ("fast.rope(a, 2, traditional=false, base=100.0, scale=1.0, offset=array([3, 5]))", "a"),
]
OTHER = [
    ("isfinite(odd)", "odd"), ("isposinf(odd)", "odd"), ("isneginf(odd)", "odd"), ("nan_to_num(odd)", "odd"), ("nan_to_num(odd, nan=1.0, posinf=2.0, neginf=3.0)", "odd"),
    ("nan_to_num(i)", "i"), ("median(odd)", "odd"), ("logsumexp(array([-inf, -inf]))", ""), ("logsumexp(array([inf, 1.0]))", ""), ("softmax(array([-inf, -inf]))", ""),
    ("isclose(odd, odd)", "odd"), ("isclose(odd, odd, equal_nan=true)", "odd"), ("isclose(array([1.0, 1.0, inf, 1.0]), array([1.000001, 1.1, inf, inf]))", ""),
    ("allclose(x, x)", "x"), ("allclose(x, y)", "x y"), ("array_equal(x, x)", "x"), ("array_equal(odd, odd)", "odd"), ("array_equal(odd, odd, equal_nan=true)", "odd"),
    ("logical_and(i, x)", "i x"), ("logical_or(i, x)", "i x"), ("mean(i)", "i"), ("var(i, axis=0)", "i"), ("median(i, axis=1)", "i"), ("std(z)", "z"), ("var(z, axis=0)", "z"),
    ("count_nonzero(i)", "i"), ("count_nonzero(i, axis=1, keepdims=true)", "i"), ("minmax(x, axis=0)[0]", "x"), ("minmax(x)[1]", "x"),
    ("eye(3)", ""), ("eye(3, 4, 1)", ""), ("eye(3, 5, -1, dtype=int32)", ""), ("identity(2)", ""), ("tri(3, 4, 1)", ""), ("tri(3)", ""), ("tril(i, k=1)", "i"),
    ("linspace(0, 1)", ""), ("linspace(-1.0, 2.5, 7)", ""), ("linspace(0, 1, 4, endpoint=false)", ""), ("linspace(3, 4, 1)", ""), ("linspace(0, 10, 5, dtype=int32)", ""),
    ("hanning(8)", ""), ("hamming(8)", ""), ("blackman(8)", ""), ("bartlett(8)", ""), ("hanning(1)", ""), ("diag(i)", "i"),
    ("meshgrid(v, u)[0]", "v u"), ("meshgrid(v, u, indexing=\"ij\")[1]", "v u"), ("meshgrid(v, u, sparse=true)[0]", "v u"), ("meshgrid(v, u, v[:2])[1]", "v u"),
    ("divmod(i, 3)[0]", "i"), ("divmod(x, 0.7)[1]", "x"), ("vecdot(z, z)", "z"), ("linalg.norm(z)", "z"), ("linalg.norm(i)", "i"), ("linalg.norm(v, ord=0)", "v"),
    ("unique(j, 4)", "j"), ("unique(j, 2)", "j"), ("unique(j, 6)", "j"), ("unique(j, 6, fill_value=-1)", "j"), ("unique(j, 6, true, true, true)[1]", "j"),
    ("unique(j, 6, true, true, true)[2]", "j"), ("unique(j, 6, true, true, true)[3]", "j"), ("trace(i, dtype=float32)", "i"), ("repeat(i, 2, axis=1)", "i"),
    ("broadcast_arrays(x, x[0])[1]", "x"), ("softmax(i, axis=-1)", "i"), ("empty_like(x).shape[0] * ones(2)", "x"), ("asarray(i)", "i"), ("square(i)", "i"), ("reciprocal(i)", "i"),
    ("degrees(i)", "i"), ("topk(v, 3).sum()", "v"), ("partition(v, 3)[3]", "v"), ("cumulative_sum(i)", "i"), ("fast.cross_entropy(x, j[:3])", "x j"),
]


def mlx_value(text, names):
    space = {n: getattr(mx, n) for n in dir(mx) if not n.startswith("__")}
    space.update(true=True, false=False, none=None, inf=float("inf"))
    space.update({n: mx.array(VALUES[n]) for n in names})
    return eval(text, space)


def in_mx(text):
    return text.replace("int32", "i32").replace("float32", "f32")


def program(text, names, body):
    params = ", ".join(f"{n}: {type_of(VALUES[n])}" for n in names)
    return f"export fn main({params}) {{ {body.replace('EXPR', in_mx(text))} }}"


def compare(got, want, rtol=2e-5, atol=2e-6):
    want = np.array(want)
    assert got.shape == want.shape and got.dtype == want.dtype, f"{got.dtype}{got.shape}, MLX {want.dtype}{want.shape}"
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("text,args", SMOOTH + OTHER, ids=[t for t, _ in SMOOTH + OTHER])
def test_value(mlxcc, tmp_path, text, args):
    names = args.split()
    got = run(mlxcc, tmp_path, program(text, names, "return EXPR;"), "main", **{n: VALUES[n] for n in names})
    compare(got["out"], mlx_value(text, names))


@pytest.mark.parametrize("text,args", SMOOTH, ids=[t for t, _ in SMOOTH])
def test_gradient(mlxcc, tmp_path, text, args):
    names = args.split()
    p = names[0]
    body = f"return grad(|{p}| {{ let e = EXPR; return sum(e * sin(arange(e.size) + 1.0).reshape(e.shape)); }})({p});"
    got = run(mlxcc, tmp_path, program(text, names, body), "main", **{n: VALUES[n] for n in names})

    def weighted(value):
        space = {n: getattr(mx, n) for n in dir(mx) if not n.startswith("__")}
        space.update(true=True, false=False, none=None, inf=float("inf"))
        space.update({n: mx.array(VALUES[n]) for n in names})
        space[p] = value
        e = eval(text, space)
        return (e * mx.sin(mx.arange(e.size) + 1.0).reshape(e.shape)).sum()

    compare(got["out"], mx.grad(weighted)(mx.array(VALUES[p])), rtol=1e-4, atol=1e-5)


# The same with run-time sizes. What needs a fact (a length, equal sides) gets it.
SIZES = dict(x="M, N", y="M, N", w="N, 5", a="A, M, N", s="N, N", v="K", u="K", i="M, N", z="M, N", odd="L", j="J")
FACTS = {"topk": "assert K >= 4;", "diag(x, k=1)": "assert M < N;", "cross(x, y, axis=0)": "assert M == 3;", "cross": "assert N >= 3;",
         "diagonal(a, 1": "assert M < N;", "diagonal(a, -1": "assert A + 1 < N;", "diag(i": "assert M < N;", "trace(i": "assert M < N;", "trace(a": "assert M < N;", "diff(x, n=2)": "assert N >= 2;", "diff(x, axis=0)": "assert M >= 1;",
         "diff(x)": "assert N >= 1;", "diag(s)": "", "rope(a, 4": "assert N == 4;", "rope(a, 2": "assert N >= 2;", "offset=array([3, 5])": "assert A == 2; assert N >= 2;",
         "median": "assert K >= 1; assert L >= 1; assert M >= 1; assert N >= 1;", "median(a": "assert A * N >= 1;", "array([1.0, 7.0])": "assert N == 4;", "addmm": "assert N >= 1;",
         "meshgrid(v, u, v[:2])": "assert K >= 2;", "j[:3]": "assert J >= 3; assert M == 3;", "x[:, :3]": "assert N >= 3;", "x[:, :2]": "assert N >= 3;",
         "partition(v, 3)": "assert K >= 4;", "unique": "assert J >= 1;", "broadcast_arrays": "assert M >= 1;"}


def symbolic(names, text):
    params = ", ".join(f"{n}: {type_of(VALUES[n]).split('[')[0]}[{SIZES[n]}]" for n in names)
    dims = {d.strip() for n in names for d in SIZES[n].split(",")}
    facts = {part.strip() for key, f in FACTS.items() if key in text for part in f.split(";") if part.strip()}
    facts = [f for f in sorted(facts) if all(w in dims or not w.isupper() for w in f.split())]  # of sizes that these arguments have
    return f"export fn main({params}) {{ {' '.join(f + ';' for f in facts)} BODY }}"


SIZED = [(t, a) for t, a in SMOOTH + OTHER if a]


@pytest.mark.parametrize("text,args", SIZED, ids=[t for t, _ in SIZED])
def test_value_with_symbolic_sizes(mlxcc, tmp_path, text, args):
    names = args.split()
    source = symbolic(names, text).replace("BODY", f"return {in_mx(text)};")
    got = run(mlxcc, tmp_path, source, "main", **{n: VALUES[n] for n in names})
    compare(got["out"], mlx_value(text, names))


def test_sizes_of_new_tensors_may_be_symbolic(mlxcc, tmp_path):
    source = ("export fn main(x: f32[N]) { return linspace(0, 1, N) + linspace(0, 3, N, endpoint=false), hanning(N), eye(N), tri(N, k=1), diag(x, k=-2),"
              " identity(2 * N), bartlett(N); }")
    for n in (1, 6):
        x = rng.normal(size=n).astype(np.float32)
        got = run(mlxcc, tmp_path, source, "main", x=x)
        want = [mx.linspace(0, 1, n) + mx.linspace(0, 3, n, endpoint=False), mx.hanning(n), mx.eye(n), mx.tri(n, k=1), mx.diag(mx.array(x), k=-2), mx.eye(2 * n), mx.bartlett(n)]
        for k, w in enumerate(want):
            compare(got[f"out{k}"], w)


# --- result dtypes, over all fourteen types that MLX accepts ------------------------------------------------------------------------------
TYPES = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()
OURS = dict(zip(TYPES, "bool u8 u16 u32 u64 i8 i16 i32 i64 f16 bf16 f32 f64 c64".split()))
TYPED = ["mean(x)", "mean(x, axis=0)", "var(x)", "std(x, axis=1)", "median(x)", "logsumexp(x, axis=-1)", "softmax(x, axis=-1)", "square(x)", "reciprocal(x)", "degrees(x)",
         "tril(x)", "diag(x)", "trace(x)", "outer(x, x)", "kron(x, x)", "diff(x)", "roll(x, 1, 0)", "repeat(x, 2)", "tile(x, 2)", "topk(x, 1)", "vecdot(x, x)",
         "isfinite(x)", "isclose(x, x)", "count_nonzero(x)", "logical_and(x, x)", "nan_to_num(x)", "linalg.norm(x)", "minmax(x)[0]", "divmod(x, x)[0]", "array_equal(x, x)",
         "addmm(x, x, x)", "inner(x, x)", "cumulative_sum(x)", "unique(x, 3)", "atleast_3d(x)", "relu(x)", "gelu(x)", "softplus(x)", "elu(x)", "hard_tanh(x)", "leaky_relu(x)"]
X22 = np.array([[1, 3], [2, 1]])


@pytest.mark.parametrize("text", TYPED)
def test_result_dtype(mlxcc, tmp_path, text):
    x, wants, body, names = X22.astype(np.float32), [], "", []
    for t in TYPES:
        space = {**{n: getattr(nn, n) for n in dir(nn)}, **{n: getattr(mx, n) for n in dir(mx) if not n.startswith("__")}, "x": mx.array(x).astype(getattr(mx, t))}
        try:
            want = eval(text, space)
            mx.eval(want)
        except (ValueError, TypeError, RuntimeError):
            continue  # MLX refuses this type
        d = OURS[str(want.dtype).split(".")[-1].replace("bool", "bool_")]
        body += f" let r_{t} = |x| {text}; let v_{t} = r_{t}(y.astype({OURS[t]})); assert v_{t}.dtype == {d}, \"{t} gives \" + str(v_{t}.dtype) + \", MLX {d}\";"
        names.append(f"v_{t}" + (".astype(f32)" if d == "bf16" else ""))
        wants.append((t, np.array(want.astype(mx.float32) if d == "bf16" else want), {"f16": 2e-3, "bf16": 2e-2}.get(OURS[t], 1e-5)))
    got = run(mlxcc, tmp_path, f"export fn main(y: f32[2, 2]) {{ {body} return ({', '.join(names)},); }}", "main", y=x)
    for k, (t, want, tol) in enumerate(wants):
        np.testing.assert_allclose(got[f"out{k}"], want, rtol=tol, atol=tol, err_msg=t)
