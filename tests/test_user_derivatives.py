"""Library functions and index expressions under grad, forward over reverse and vmap, as programs write them, against JAX."""
import functools
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mxrun import run

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
P, I = np.array([2, 0, 2], np.int32), np.int32(1)
sl = jax.lax.dynamic_slice

# text over x, y: f64[3, 4], p: i32[3], i: i32 -> the same in JAX
CASES = {
    "x[1:, ::2]": lambda x, y: x[1:, ::2], "x[::-1, -2::-1]": lambda x, y: x[::-1, -2::-1], "x[p]": lambda x, y: x[P], "x[p, [1, 3, 1]]": lambda x, y: x[P, jnp.array([1, 3, 1])],
    "x[i]": lambda x, y: x[I], "x[:, i, newaxis] * x[i, 1:2]": lambda x, y: x[:, I, None] * x[I, 1:2], "x[i : i + 2]": lambda x, y: x[1:3],
    "x[..., p % 2][:, 0]": lambda x, y: x[..., P % 2][:, 0], "x.at[p].add(y)": lambda x, y: x.at[P].add(y), "x.at[p, 1].multiply(2.5)": lambda x, y: x.at[P, 1].multiply(2.5),
    "x.at[p].maximum(y * 0.5)": lambda x, y: x.at[P].max(y * 0.5), "x.at[0:2].subtract(y[1:])": lambda x, y: x.at[0:2].add(-y[1:]),
    "x.at[::2, 1:].add(y[:2, 1:])": lambda x, y: x.at[::2, 1:].add(y[:2, 1:]), "x.at[:, i].multiply(y[:, 0])": lambda x, y: x.at[:, I].multiply(y[:, 0]),
    "x.at[1].divide(y[1] + 5)": lambda x, y: x.at[1].multiply(1 / (y[1] + 5)), "x.at[1:, ::-2].set(y[1:, :2])": lambda x, y: x.at[1:, ::-2].set(y[1:, :2]),
    "x.at[i].set(y[i] * x[i])": lambda x, y: x.at[I].set(y[I] * x[I]), "x.at[p].set(3 * x)": lambda x, y: x.at[P[1:]].set(3 * x[1:]),
    "take(x, p, axis=1)": lambda x, y: jnp.take(x, P, 1), "take_along_axis(x, argsort(y, axis=1), axis=1)": lambda x, y: jnp.take_along_axis(x, jnp.argsort(y, 1), 1),
    "put_along_axis(x, argmax(y, axis=1, keepdims=true), x[:, :1] * 2, axis=1)": lambda x, y: jnp.put_along_axis(x, jnp.argmax(y, 1, keepdims=True), x[:, :1] * 2, 1, inplace=False),
    "slice(x, [i], (0,), (2, 4))": lambda x, y: x[1:3], "slice_update(x, y[:2, :2], [i, 0], (0, 1))": lambda x, y: x.at[1:3, 0:2].set(y[:2, :2]),
    "as_strided(x, (4, 3), (2, 1))": lambda x, y: x.ravel()[2 * jnp.arange(4)[:, None] + jnp.arange(3)], "pad(x, 1, constant_values=x[0, 0])": lambda x, y: jnp.pad(x, 1, constant_values=x[0, 0]),
    "pad(x, ((1, 2), (2, 1)), mode=\"reflect\")": lambda x, y: jnp.pad(x, ((1, 2), (2, 1)), mode="reflect"), "pad(x, 2, mode=\"edge\")": lambda x, y: jnp.pad(x, 2, mode="edge"),
    "flip(x, 1)": lambda x, y: jnp.flip(x, 1), "concatenate([x, y * x], axis=1)": lambda x, y: jnp.concatenate([x, y * x], 1), "stack([x, x * x], axis=1)": lambda x, y: jnp.stack([x, x * x], 1),
    "split(x, [1, 3], axis=1)[1]": lambda x, y: x[:, 1:3], "moveaxis(x, 0, 1).reshape(2, -1)": lambda x, y: jnp.moveaxis(x, 0, 1).reshape(2, -1), "broadcast_to(x[:1], 3, 4) * y": lambda x, y: x[:1] * y,
    "einsum(\"ij,ij,kj->ki\", x, x, y)": lambda x, y: jnp.einsum("ij,ij,kj->ki", x, x, y), "einsum(\"ii->i\", x[:, :3])": lambda x, y: jnp.diagonal(x[:, :3]),
    "tensordot(x, y, ((0,), (0,)))": lambda x, y: jnp.tensordot(x, y, ((0,), (0,))), "x @ y.T @ x": lambda x, y: x @ y.T @ x, "x[0] @ y[1]": lambda x, y: x[0] @ y[1],
    "prod(x, axis=1)": lambda x, y: jnp.prod(x, 1), "max(x, axis=0)": lambda x, y: jnp.max(x, 0), "min(x)": lambda x, y: jnp.min(x), "cumsum(x, axis=1, reverse=true)": lambda x, y: jnp.cumsum(x[:, ::-1], 1)[:, ::-1],
    "cumprod(x, axis=1)": lambda x, y: jnp.cumprod(x, 1), "cummax(x, axis=1)": lambda x, y: jax.lax.cummax(x, 1), "cummin(x, axis=0, inclusive=false)[1:]": lambda x, y: jax.lax.cummin(x, 0)[:-1],
    "logcumsumexp(x, axis=1)": lambda x, y: jax.lax.cumlogsumexp(x, 1), "sort(x, axis=1)": lambda x, y: jnp.sort(x, 1), "sort(x, axis=none)": lambda x, y: jnp.sort(x, None),
    "where(x > y, x * x, y)": lambda x, y: jnp.where(x > y, x * x, y), "clip(x, -0.5, 0.5) * x": lambda x, y: jnp.clip(x, -0.5, 0.5) * x, "maximum(x, y)": lambda x, y: jnp.maximum(x, y),
    "arctan2(x, y)": lambda x, y: jnp.arctan2(x, y), "logaddexp(x, y)": lambda x, y: jnp.logaddexp(x, y), "x % 0.7": lambda x, y: x % 0.7, "abs(complex(x, y))": lambda x, y: jnp.abs(x + 1j * y),
    "erf(x) + erfinv(x / 4) + sigmoid(x) + expm1(x) + log1p(x * x)": lambda x, y: jax.scipy.special.erf(x) + jax.scipy.special.erfinv(x / 4) + jax.nn.sigmoid(x) + jnp.expm1(x) + jnp.log1p(x * x),
    "tree_reduce(|a, b| a + b, (x, (u=x * y, v=none)))": lambda x, y: x + x * y,
}
SINGLE = {"abs(complex(x, y))"}        # c64 holds f32


WHAT = ["value", "grad", "jvp of grad", "vmap", "vmap of grad"]


@functools.lru_cache(None)
def reference(e):
    f = CASES[e]
    g = jax.grad(lambda x, y: jnp.sum(jnp.sin(f(x, y))))

    @jax.jit
    def everything(x, y):
        lanes = jnp.stack([x, 2 * y])
        push = jax.jvp(lambda x: g(x, y), (x,), (y,))[1]
        return f(x, y), g(x, y), push, jnp.stack([f(v, y) for v in lanes]), jnp.stack([g(v, y) for v in lanes])

    return [np.asarray(w) for w in everything(X, Y)]


@pytest.mark.parametrize("compiled", [False, True], ids=["interp", "C"])
@pytest.mark.parametrize("part", range(4))
def test_derivatives(mlxcc, part, compiled):
    cases = list(CASES.items())[part::4]
    lines, out = "", []
    for k, (e, _) in enumerate(cases):
        lines += f"  let f{k} = |x, y| {e};\n  let s{k} = |x| sum(sin(f{k}(x, y)));\n"
        lines += f"  let n{k} = |xs| vmap(f{k}, in_axes=(0, none))(xs, y);\n"
        out += [f"f{k}(x, y)", f"grad(s{k})(x)", f"jvp(grad(s{k}), (x,), (y,))[1]", f"n{k}(stack([x, 2 * y]))", f"vmap(grad(s{k}))(stack([x, 2 * y]))"]
    text = f"export fn main(x: f64[3, 4], y: f64[3, 4], p: i32[3], i: i32) {{\n{lines}  return {', '.join(out)};\n}}\n"
    got = run(mlxcc, text, compiled=compiled, x=X, y=Y, p=P, i=I)
    for k, (e, _) in enumerate(cases):
        tol = 1e-5 if e in SINGLE else 1e-9
        for name, g, w in zip(WHAT, got[5 * k:5 * k + 5], reference(e), strict=True):
            assert g.shape == w.shape, (e, name, g.shape, w.shape)
            np.testing.assert_allclose(g, w, rtol=tol, atol=tol, err_msg=f"{name} of {e}")
