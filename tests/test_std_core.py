"""The prelude, linalg and fast against MLX: one expression, evaluated by both; and its gradient."""
import numpy as np
import pytest

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
