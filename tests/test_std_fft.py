"""fft and linalg of the language against MLX and NumPy; their gradients against JAX; compiled C to the interpreter's bits at every kind of length (without contraction)."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import test_loop_text
from std_tools import mx, run, type_of

rng = np.random.default_rng(5)
X = rng.normal(size=(4, 6)).astype(np.float32)
R = rng.normal(size=(3, 5, 8)).astype(np.float32)
Z = (rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5))).astype(np.complex64)
B = (rng.normal(size=(2, 4, 6)) + 1j * rng.normal(size=(2, 4, 6))).astype(np.complex64)
P = rng.normal(size=(4, 4)).astype(np.float32)
P = P @ P.T + 2 * np.eye(4, dtype=np.float32)
Q = rng.normal(size=(3, 4, 4)).astype(np.float32)
Q = Q @ Q.transpose(0, 2, 1) + 2 * np.eye(4, dtype=np.float32)
M = rng.normal(size=(4, 4)).astype(np.float32)
I = rng.integers(-5, 9, (3, 8)).astype(np.int32)
VALUES = dict(x=X, r=R, z=Z, b=B, p=P, q=Q, m=M, i=I, y=rng.normal(size=(4, 3)).astype(np.float32), v=rng.normal(size=4).astype(np.float32), w=rng.normal(size=(3, 4, 2)).astype(np.float32))

FFT = [(f"fft.{f}({a}{more})", a) for f in ("fft", "ifft") for a in ("x", "z", "b", "i") for more in ("", ", 4", ", 9, -1", ", axis=0", ', norm="ortho"', ', 3, norm="forward"')]
FFT += [(f"fft.rfft({a}{more})", a) for a in ("x", "r", "i") for more in ("", ", 4", ", 9", ", axis=0", ', norm="ortho"', ', 3, norm="forward"')]
FFT += [(f"fft.irfft({a}{more})", a) for a in ("z", "b", "x") for more in ("", ", 4", ", 9", ", axis=0", ', norm="ortho"', ', 3, norm="forward"')]
FFT += [(f"fft.{f}({a}{more})", a) for f in ("fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn", "irfft2", "irfftn") for a in ("r",) for more in ("", ", s=(4, 6), axes=(1, 2)", ", axes=(0, 1)", ", s=(2, 9), axes=(0, 2)", ', norm="ortho"')]
FFT += [(f"fft.{f}({a}{more})", a) for f in ("fftshift", "ifftshift") for a in ("x", "r", "z") for more in ("", ", axes=0", ", axes=(0, 1)")]
FFT += [("fft.fftfreq(8)", ""), ("fft.fftfreq(7, 0.5)", ""), ("fft.rfftfreq(8, 0.1)", ""), ("fft.rfftfreq(7)", "")]
LINALG = [
    ("linalg.cholesky(p)", "p"), ("linalg.cholesky(q)", "q"), ("linalg.cholesky(q, upper=true)", "q"), ("linalg.cholesky_inv(linalg.cholesky(q))", "q"),
    ("linalg.cholesky_inv(linalg.cholesky(p, upper=true), upper=true)", "p"), ("linalg.solve_triangular(p, y)", "p y"), ("linalg.solve_triangular(p, y, upper=true)", "p y"),
    ("linalg.solve_triangular(q, y)", "q y"), ("linalg.solve_triangular(p, w)", "p w"), ("linalg.solve_triangular(q, w, upper=true)", "q w"), ("linalg.tri_inv(q)", "q"),
    ("linalg.tri_inv(p, upper=true)", "p"), ("linalg.inv(m)", "m"), ("linalg.inv(q)", "q"), ("linalg.solve(m, y)", "m y"), ("linalg.solve(q, w)", "q w"), ("linalg.solve(m, v)", "m v"),
    ("linalg.det(m)", "m"), ("linalg.det(q)", "q"), ("linalg.slogdet(m)[0]", "m"), ("linalg.slogdet(q)[1]", "q"),
]


def of_mlx(expr, names):
    text = expr.replace("true", "True")
    if "slogdet" in text:  # MLX has no vmap or tuple index trouble here: NumPy says the same
        return np.asarray(eval(text, {"linalg": np.linalg}, {n: VALUES[n].astype("f8") for n in names})).astype("f4")
    if "tri(" in text:
        return None
    return np.array(eval(text, {"fft": mx.fft, "linalg": mx.linalg}, {n: mx.array(VALUES[n]) for n in names}))


@pytest.mark.parametrize("part", range(6))
def test_values(mlxcc, tmp_path, part):
    """Many expressions in one program: dtype, shape and numbers of MLX."""
    cases = (FFT + LINALG)[part::6]
    lines, want = [], {}
    for k, (expr, names) in enumerate(cases):
        a = ", ".join(f"{n}: {type_of(VALUES[n])}" for n in VALUES)
        lines.append(f"  let r{k} = {expr};")
        want[f"r{k}"] = of_mlx(expr, names.split())
    record = ", ".join(f"r{k}=r{k}" for k in range(len(cases)))
    got = run(mlxcc, tmp_path, f"export fn main({a}) {{\n" + "\n".join(lines) + f"\n  return ({record});\n}}", "main", interp=part % 2 == 0, **VALUES)
    for k, (expr, _) in enumerate(cases):
        g, w = got[f"r{k}"], want[f"r{k}"]
        assert g.shape == w.shape and g.dtype == w.dtype, (expr, g.dtype, g.shape, w.dtype, w.shape)
        np.testing.assert_allclose(g, w, rtol=3e-4, atol=3e-5 * max(1, np.abs(w).max(initial=0)), err_msg=expr)


GRADIENTS = {  # a real function of x (and more): the language, JAX
    "rfft": ("sum(square(abs(fft.rfft(r)))[..., 1:])", lambda r: jnp.sum(jnp.abs(jnp.fft.rfft(r))[..., 1:] ** 2), "r"),
    "fft2": ("sum(real(fft.fft2(r) * fft.fft2(r)))", lambda r: jnp.sum((jnp.fft.fft2(r) ** 2).real), "r"),
    "irfft": ("sum(fft.irfft(fft.rfft(r) * fft.rfft(r)) ** 3)", lambda r: jnp.sum(jnp.fft.irfft(jnp.fft.rfft(r) ** 2) ** 3), "r"),
    "irfft_odd": ("sum(fft.irfft(fft.rfft(x, 5) * 1j, 5) ** 3)", lambda x: jnp.sum(jnp.fft.irfft(jnp.fft.rfft(x, 5) * 1j, 5) ** 3), "x"),
    "cholesky": ("sum(linalg.cholesky((m @ m.T + p + p.T) / 2) ** 3)", lambda m, p: jnp.sum(jnp.linalg.cholesky((m @ m.T + p + p.T) / 2) ** 3), "m p"),
    "cholesky_batch": ("sum(sin(linalg.cholesky((q + q.swapaxes(-1, -2)) / 2, upper=true)))", lambda q: jnp.sum(jnp.sin(jnp.swapaxes(jnp.linalg.cholesky((q + q.swapaxes(-1, -2)) / 2), -1, -2))), "q"),
    "solve_triangular": ("sum(linalg.solve_triangular(p, y) ** 3)", lambda p, y: jnp.sum(jax.scipy.linalg.solve_triangular(p, y, lower=True) ** 3), "p y"),
    "solve": ("sum(linalg.solve(m, y) ** 3)", lambda m, y: jnp.sum(jnp.linalg.solve(m, y) ** 3), "m y"),
    "inv": ("sum(linalg.inv(q) ** 3)", lambda q: jnp.sum(jnp.linalg.inv(q) ** 3), "q"),
    "det": ("linalg.det(m) ** 2", lambda m: jnp.linalg.det(m) ** 2, "m"),
    "slogdet": ("sum(linalg.slogdet(q)[1] ** 2)", lambda q: jnp.sum(jnp.linalg.slogdet(q)[1] ** 2), "q"),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(mlxcc, tmp_path, name):
    """First derivatives and, as the gradient of the gradient's square, second ones."""
    text, f, names = GRADIENTS[name]
    names = names.split()
    values = {n: VALUES[n].astype("f8") if "fft" not in name else VALUES[n] for n in names}
    params = ", ".join(f"{n}: {type_of(v)}" for n, v in values.items())
    source = f"fn f({', '.join(names)}) {{ return {text}; }}\nfn g({', '.join(names)}) {{ let d = grad(f)({', '.join(names)}); return sum(d * d); }}\n"
    source += f"export fn main({params}) {{ return (first=grad(f)({', '.join(names)}), second=grad(g)({', '.join(names)})); }}"
    got = run(mlxcc, tmp_path, source, "main", interp=False, **values)
    with jax.enable_x64(True):
        wide = [v.astype("f8") for v in values.values()]
        first = jax.grad(f)(*wide)
        second = jax.grad(lambda *a: jnp.sum(jax.grad(f)(*a) ** 2))(*wide)
    tol = 1e-4 if "fft" in name else 1e-8
    for g, w in ((got["first"], first), (got["second"], second)):
        np.testing.assert_allclose(g, w, rtol=tol, atol=tol * float(np.abs(w).max()))


def test_vmap_is_the_batch(mlxcc, tmp_path):
    source = """fn one(a, t) { let l = linalg.cholesky(a); return linalg.solve_triangular(l, t), fft.fft(t, axis=0), linalg.solve(a, t); }
export fn main(q: f32[3, 4, 4], w: f32[3, 4, 2], p: f32[4, 4]) {
  let a, b, c = vmap(one)(q, w);
  let d, e, g = vmap(one, in_axes=(none, 0))(p, w);
  return (a=a, b=b, c=c, d=d, g=g);
}"""
    got = run(mlxcc, tmp_path, source, "main", q=Q, w=VALUES["w"], p=P)
    w = VALUES["w"].astype("f8")
    np.testing.assert_allclose(got["a"], np.linalg.solve(np.linalg.cholesky(Q.astype("f8")), w), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["b"], np.fft.fft(w, axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["c"], np.linalg.solve(Q.astype("f8"), w), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["d"], np.linalg.solve(np.linalg.cholesky(P.astype("f8")), w), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["g"], np.linalg.solve(P.astype("f8"), w), rtol=1e-4, atol=1e-5)


def test_not_definite_is_nan(mlxcc, tmp_path):
    got = run(mlxcc, tmp_path, "export fn main(a: f32[2, 3, 3]) { return (l=linalg.cholesky(a), u=linalg.cholesky(a, upper=true)); }", "main", a=np.stack([np.eye(3, dtype="f4"), -np.eye(3, dtype="f4")]))
    low = np.tri(3, dtype=bool)
    assert np.array_equal(got["l"][0], np.eye(3)) and np.isnan(got["l"][1][low]).all() and (got["l"][1][~low] == 0).all()
    assert np.array_equal(got["u"][0], np.eye(3)) and np.isnan(got["u"][1][low.T]).all() and (got["u"][1][~low.T] == 0).all()


def test_symbolic_lengths(mlxcc, tmp_path):
    """One function for every length: roots made at run time; n that may cut or extend; the default of irfft."""
    source = """export fn main(x: f32[B, N], y: f32[M]) {
  return (f=fft.fft(x), s=fft.fft(x, len(y)), r=fft.irfft(fft.rfft(x), N), t=fft.ifft(x, axis=0, norm="ortho"));
}"""
    for n, m, b in ((8, 5, 3), (67, 300, 1), (1, 1, 2), (600, 2, 2), (131, 131, 17)):
        x = rng.normal(size=(b, n)).astype("f4")
        got = run(mlxcc, tmp_path, source, "main", interp=False, x=x, y=np.zeros(m, "f4"))
        w = x.astype("f8")
        for k, want in (("f", np.fft.fft(w)), ("s", np.fft.fft(w, m)), ("r", w), ("t", np.fft.ifft(w, axis=0, norm="ortho"))):
            np.testing.assert_allclose(got[k], want, rtol=0, atol=1e-6 * max(n, m, 4) ** 0.5 * 4, err_msg=k)


@pytest.mark.parametrize("n", [1, 2, 3, 12, 49, 61, 64, 67, 210, 255, 256, 360, 521, 1000, 4099, 1 << 14])
def test_c_has_the_interpreters_bits(mlxcc, tmp_path, n):
    """At every kind of length: passes of each radix, four steps, Bluestein; neighbours and not."""
    more = 3 if n < 3000 else 1
    source = f"""export fn main(z: c64[{more}, {n}], x: f32[{n}, {more}]) {{
  return (a=fft.fft(z), b=fft.ifft(z), c=fft.rfft(x, axis=0), d=fft.rfft(x.T), e=fft.irfft(z, {n}, axis=-1), f=fft.irfft(z.T, {2 * n - 1}, axis=0), g=fft.irfft(z));
}}""".replace(", g=fft.irfft(z)", "" if n == 1 else ", g=fft.irfft(z)")
    z = (rng.normal(size=(more, n)) + 1j * rng.normal(size=(more, n))).astype("c8")
    x = rng.normal(size=(n, more)).astype("f4")
    a = run(mlxcc, tmp_path, source, "main", interp=True, z=z, x=x)
    b = run(mlxcc, tmp_path, source, "main", interp=False, options=["--fma=off"], z=z, x=x)
    for k in a:
        assert np.array_equal(a[k], b[k]), k
    np.testing.assert_allclose(a["a"], np.fft.fft(z.astype("c16")), rtol=0, atol=2e-6 * n ** 0.5)


def test_loop_text_round_trip(mlxcc, tmp_path):
    source = tmp_path / "s.mx"
    source.write_text("""export fn main(x: f32[B, N], y: f32[64, 20], a: f32[B, N, N], c: f64[5, 5]) {
  let l = linalg.cholesky(a);
  return (f=fft.fft(x), i=fft.ifft2(y, norm="ortho"), r=fft.irfft(fft.rfft(y, axis=0), axis=0), l=l, s=linalg.solve_triangular(l, x[..., newaxis]), d=linalg.det(c));
}""")
    test_loop_text.check(mlxcc, source, tmp_path)
