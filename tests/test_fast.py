"""fast.*: values against MLX in each option, gradients against JAX, batching against a loop."""
import subprocess

import numpy as np
import pytest

from std_tools import mx, run, type_of

import jax
import jax.numpy as jnp

rng = np.random.default_rng(11)
Q, K, V = (rng.standard_normal(s).astype(np.float32) for s in ((2, 6, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8)))
SINKS = rng.standard_normal(6).astype(np.float32)
ADDED = rng.standard_normal((2, 6, 5, 7)).astype(np.float32)
SEEN = rng.random((2, 1, 5, 7)) < 0.7
SEEN[..., 0] = True
G = rng.standard_normal(Q.shape).astype(np.float32)


def attention(q, k, v, kind, m, sinks):
    """JAX's words for it."""
    k, v = jnp.repeat(k, q.shape[1] // k.shape[1], 1), jnp.repeat(v, q.shape[1] // v.shape[1], 1)
    s = 0.4 * jnp.einsum("bhqd,bhkd->bhqk", q, k)
    if kind == "causal":
        s = jnp.where(jnp.arange(s.shape[-2])[:, None] + s.shape[-1] - s.shape[-2] >= jnp.arange(s.shape[-1]), s, -1e30)
    if kind == "bool":
        s = jnp.where(m, s, -1e30)
    if kind in ("add", "add2"):
        s = s + m
    if sinks is not None:
        s = jnp.concatenate([jnp.broadcast_to(sinks[None, :, None, None], (*s.shape[:-1], 1)), s], -1)
    p = jax.nn.softmax(s, -1)
    return jnp.einsum("bhqk,bhkd->bhqd", p if sinks is None else p[..., 1:], v)


MASKS = {"none": None, "causal": "causal", "bool": SEEN, "add": ADDED, "add2": ADDED[0, 0]}


def attention_case(kind, sinks):
    m = MASKS[kind]
    arrays = {"q": Q, "k": K, "v": V}
    mask = "none" if m is None else '"causal"' if kind == "causal" else "m"
    if mask == "m":
        arrays["m"] = m
    if sinks:
        arrays["s"] = SINKS
    call = f"fast.scaled_dot_product_attention(q, k, v, scale=0.4, mask={mask}{', sinks=s' if sinks else ''})"
    return m, arrays, call


@pytest.mark.parametrize("sinks", (False, True))
@pytest.mark.parametrize("kind", MASKS)
def test_attention(mlxcc, tmp_path, kind, sinks):
    m, arrays, call = attention_case(kind, sinks)
    params = ", ".join(f"{n}: {type_of(a)}" for n, a in arrays.items())
    names = ", ".join(arrays)
    wrt = [i for i, n in enumerate(arrays) if arrays[n].dtype == np.float32]
    src = f"""fn f({names}) {{ return {call}; }}
    fn loss({names}, g) {{ return sum(f({names}) * g); }}
    export fn main({params}, g: {type_of(G)}) {{ return f({names}), grad(loss, argnums=({", ".join(map(str, wrt))},))({names}, g); }}"""
    got = run(mlxcc, tmp_path, src, "main", **arrays, g=G)
    want = mx.fast.scaled_dot_product_attention(*map(mx.array, (Q, K, V)), scale=0.4, mask=mx.array(m) if isinstance(m, np.ndarray) else m,
                                                sinks=mx.array(SINKS) if sinks else None)
    np.testing.assert_allclose(got["out0"], np.array(want), rtol=1e-4, atol=1e-5)

    def f(*args):
        a = dict(zip(arrays, args))
        return jnp.sum(attention(a["q"], a["k"], a["v"], kind, a.get("m"), a.get("s")) * G)

    for k, d in enumerate(jax.grad(f, argnums=tuple(wrt))(*arrays.values())):
        np.testing.assert_allclose(got[f"out1.{k}"], np.array(d), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ("none", "causal", "add"))
def test_attention_batched(mlxcc, tmp_path, kind):
    """vmap over four problems, queries alone, and the mask alone."""
    m, arrays, call = attention_case(kind, False)
    params = ", ".join(f"{n}: {type_of(np.stack([a, a]))}" for n, a in arrays.items())
    names = ", ".join(arrays)
    rest = len(arrays) - 1
    src = f"""fn f({names}) {{ return {call}; }}
    export fn main({params}) {{ return vmap(f)({names}), vmap(f, in_axes=(0{", none" * rest}))(q{"".join(f", {n}[1]" for n in list(arrays)[1:])}); }}"""
    two = {n: np.stack([a, a[..., ::-1] if n != "m" else a * 0.5]) for n, a in arrays.items()}
    got = run(mlxcc, tmp_path, src, "main", **two)
    pick = lambda i, j: attention(two["q"][i], two["k"][j], two["v"][j], kind, two["m"][j] if "m" in two else None, None)
    for name, j in (("out0", (0, 1)), ("out1", (1, 1))):
        np.testing.assert_allclose(got[name], np.stack([pick(i, j[i]) for i in range(2)]), rtol=1e-4, atol=1e-5)


def test_attention_half(mlxcc, tmp_path):
    q, k, v = (a.astype(np.float16) for a in (Q, K, V))
    src = f"export fn main(q: {type_of(q)}, k: {type_of(k)}, v: {type_of(v)}) {{ return fast.scaled_dot_product_attention(q, k, v, scale=0.4, mask=\"causal\"); }}"
    got = run(mlxcc, tmp_path, src, "main", q=q, k=k, v=v)["out"]
    want = np.array(mx.fast.scaled_dot_product_attention(*map(mx.array, (q, k, v)), scale=0.4, mask="causal"))
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=5e-3, atol=5e-3)


X = rng.standard_normal((2, 3, 4, 12)).astype(np.float32)


@pytest.mark.parametrize("dims", (12, 8))
@pytest.mark.parametrize("traditional", (False, True))
@pytest.mark.parametrize("offset", ("3", "o", "each"))
@pytest.mark.parametrize("freqs", (False, True))
def test_rope(mlxcc, tmp_path, dims, traditional, offset, freqs):
    f = (1.5 ** np.arange(dims // 2)).astype(np.float32)
    offsets = {"3": 3, "o": np.int32(3), "each": np.array([3, 11], np.int32)}
    o = offsets[offset]
    arrays = {"x": X, **({"f": f} if freqs else {}), **({} if offset == "3" else {"o": np.asarray(o)})}
    base = "base=none, freqs=f" if freqs else "base=100.0"
    src = f"""fn r(x{", f" if freqs else ""}{", o" if offset != "3" else ""}) {{
      return fast.rope(x, {dims}, traditional={str(traditional).lower()}, {base}, scale=0.7, offset={3 if offset == "3" else "o"});
    }}
    export fn main({", ".join(f"{n}: {type_of(a)}" for n, a in arrays.items())}) {{ return r({", ".join(arrays)}), grad(|a| sum(square(r(a{"".join(", " + n for n in list(arrays)[1:])})) * x))(x); }}"""
    got = run(mlxcc, tmp_path, src, "main", **arrays)
    mo = o if offset == "3" else mx.array(o)
    g = lambda x: mx.fast.rope(x, dims, traditional=traditional, base=None if freqs else 100.0, scale=0.7, offset=mo, freqs=mx.array(f) if freqs else None)
    np.testing.assert_allclose(got["out0"], np.array(g(mx.array(X))), rtol=1e-4, atol=1e-5)
    d = mx.grad(lambda x: mx.sum(mx.square(g(x)) * mx.array(X)))(mx.array(X))
    np.testing.assert_allclose(got["out1"], np.array(d), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name,weight,bias", [("rms_norm", w, False) for w in (True, False)] + [("layer_norm", w, b) for w in (True, False) for b in (True, False)])
def test_norms(mlxcc, tmp_path, name, weight, bias):
    w, b = rng.standard_normal(12).astype(np.float32), rng.standard_normal(12).astype(np.float32)
    g = rng.standard_normal(X.shape).astype(np.float32)
    arrays = {"x": X, **({"w": w} if weight else {}), **({"b": b} if bias else {})}
    tail = (", b" if bias else ", none") if name == "layer_norm" else ""
    names = ", ".join(arrays)
    src = f"""fn f({names}) {{ return fast.{name}(x, {"w" if weight else "none"}{tail}, 1e-3); }}
    fn loss({names}, g) {{ return sum(f({names}) * g); }}
    export fn main({", ".join(f"{n}: {type_of(a)}" for n, a in arrays.items())}, g: {type_of(g)}) {{
      return f({names}), grad(loss, argnums=({", ".join(map(str, range(len(arrays))))},))({names}, g), vmap(f, in_axes=(0{", none" * (len(arrays) - 1)}))({names});
    }}"""
    got = run(mlxcc, tmp_path, src, "main", **arrays, g=g)
    one = {"rms_norm": lambda x, w, b: mx.fast.rms_norm(x, w, 1e-3), "layer_norm": lambda x, w, b: mx.fast.layer_norm(x, w, b, 1e-3)}[name]
    want = np.array(one(mx.array(X), mx.array(w) if weight else None, mx.array(b) if bias else None))
    np.testing.assert_allclose(got["out0"], want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got["out2"], want, rtol=1e-4, atol=1e-5)

    def f(*args):
        a = dict(zip(arrays, args))
        x = a["x"]
        c = x - x.mean(-1, keepdims=True) if name == "layer_norm" else x
        n = c * jax.lax.rsqrt((c * c).mean(-1, keepdims=True) + 1e-3)
        return jnp.sum((n * a.get("w", 1) + a.get("b", 0)) * g)

    for k, d in enumerate(jax.grad(f, argnums=tuple(range(len(arrays))))(*arrays.values())):
        np.testing.assert_allclose(got[f"out1.{k}"], np.array(d), rtol=1e-3, atol=1e-4)


def test_norms_of_run_time_sizes_are_one_kernel(mlxcc, tmp_path):
    """The number of elements is a dimension, not a quotient computed between the kernels."""
    for f in ("fast.layer_norm(x, w, w, 1e-5)", "fast.rms_norm(x, w, 1e-5)", "(x - mean(x, axis=-1, keepdims=true)) / std(x, axis=-1, keepdims=true)"):
        (tmp_path / "t.mx").write_text(f"export fn f(x: f32[B, C], w: f32[C]) -> f32[B, C] {{ return {f}; }}\n")
        report = subprocess.run([mlxcc, "t.mx", "--emit=report"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        assert "nests in 1 kernels" in report, report
