"""Attention written in primitives becomes the attention kernel in several spellings, gives the right numbers, and what only looks like it does not."""
import subprocess

import numpy as np
import pytest
from mxrun import run

rng = np.random.default_rng(5)
B, H, T, D = 2, 4, 70, 24
FOUR = f"q: f32[{B}, {H}, {T}, {D}], k: f32[{B}, {H}, {T}, {D}], v: f32[{B}, {H}, {T}, {D}]"


def data(*shape):
    return rng.standard_normal(shape).astype(np.float32)


Q, K, V = data(B, H, T, D), data(B, H, T, D), data(B, H, T, D)
LOWER = np.tril(np.ones((T, T), bool))
MASK = rng.random((B, 1, T, T)) < 0.6
MASK[..., 0] = True
ADDED = data(H, T, T)


def reference(q, k, v, scale, seen=None, added=None, far=-np.inf):
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    s = q @ k.swapaxes(-1, -2) * scale
    if added is not None:
        s = s + added
    if seen is not None:
        s = np.where(seen, s, far)
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True) @ v


C = 1 / np.sqrt(D)
RETURN = "return softmax(s, axis=-1) @ v;"
POSITIONS = f"let i, j = arange({T})[:, newaxis], arange({T})[newaxis, :];"
# spelling: parameters, body, inputs, expected
SPELLINGS = {
    "plain": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}", (Q, K, V), reference(Q, K, V, C)),
    "divided": (FOUR, f"let s = q @ k.swapaxes(-1, -2) / {1 / C}; {RETURN}", (Q, K, V), reference(Q, K, V, C)),
    "scaled_q": (FOUR, f"let s = ({C} * q) @ k.swapaxes(-1, -2); {RETURN}", (Q, K, V), reference(Q, K, V, C)),
    "scaled_both": (FOUR, f"let s = (q * 0.5) @ (k * 0.25).swapaxes(-1, -2); {RETURN}", (Q, K, V), reference(Q, K, V, 0.125)),
    "unscaled": (FOUR, f"let s = q @ k.swapaxes(-1, -2); {RETURN}", (Q, K, V), reference(Q, K, V, 1)),
    "einsum": (FOUR, f'let s = einsum("bhqd,bhkd->bhqk", q, k) * {C}; return einsum("bhqk,bhkd->bhqd", softmax(s, axis=-1), v);', (Q, K, V), reference(Q, K, V, C)),
    "by_hand": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C}; let e = exp(s - max(s, axis=-1, keepdims=true)); return e / sum(e, axis=-1, keepdims=true) @ v;",
                (Q, K, V), reference(Q, K, V, C)),
    "causal_where": (FOUR, f"{POSITIONS} let s = where(i >= j, q @ k.swapaxes(-1, -2) * {C}, -inf); {RETURN}", (Q, K, V), reference(Q, K, V, C, LOWER)),
    "causal_less": (FOUR, f"{POSITIONS} let s = where(j <= i, q @ k.swapaxes(-1, -2) * {C}, -1e9); {RETURN}", (Q, K, V), reference(Q, K, V, C, LOWER)),
    "causal_tril": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C} + where(tril(ones({T}, {T})) > 0, 0.0, -1e9); {RETURN}", (Q, K, V), reference(Q, K, V, C, LOWER)),
    "added": (FOUR + f", m: f32[{H}, {T}, {T}]", f"let s = q @ k.swapaxes(-1, -2) * {C} + m; {RETURN}", (Q, K, V, ADDED), reference(Q, K, V, C, added=ADDED)),
    "bool": (FOUR + f", m: bool[{B}, 1, {T}, {T}]", f"let s = where(m, q @ k.swapaxes(-1, -2) * {C}, -1e9); {RETURN}", (Q, K, V, MASK), reference(Q, K, V, C, MASK)),
    "bool_inf": (FOUR + f", m: bool[{B}, 1, {T}, {T}]", f"let s = where(m, q @ k.swapaxes(-1, -2) * {C}, -inf); {RETURN}", (Q, K, V, MASK), reference(Q, K, V, C, MASK)),
    "no_batch": (f"q: f32[{T}, {D}], k: f32[{T}, {D}], v: f32[{T}, {D}]", f"let s = q @ k.T * {C}; {RETURN}", (Q[0, 0], K[0, 0], V[0, 0]), reference(Q, K, V, C)[0, 0]),
    "heads_only": (f"q: f32[{H}, {T}, {D}], k: f32[{H}, {T}, {D}], v: f32[{H}, {T}, {D}], m: f32[{H}, {T}, {T}]", f"let s = q @ k.swapaxes(-1, -2) * {C} + m; {RETURN}",
                   (Q[0], K[0], V[0], ADDED), reference(Q, K, V, C, added=ADDED)[0]),
    "five_axes": (f"q: f32[3, {B}, {H}, {T}, {D}], k: f32[3, {B}, {H}, {T}, {D}], v: f32[3, {B}, {H}, {T}, {D}]", f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}",
                  tuple(np.stack([x, 2 * x, -x]) for x in (Q, K, V)), np.stack([reference(Q * f, K * f, V * f, C) for f in (1, 2, -1)])),
    "groups": (f"q: f32[{B}, {H}, {T}, {D}], k: f32[{B}, 2, {T}, {D}], v: f32[{B}, 2, {T}, {D}]",
               f"let kk, vv = repeat(k, 2, axis=1), repeat(v, 2, axis=1); return softmax(q @ kk.swapaxes(-1, -2) * {C}, axis=-1) @ vv;",
               (Q, K[:, :2], V[:, :2]), reference(Q, np.repeat(K[:, :2], 2, 1), np.repeat(V[:, :2], 2, 1), C)),
    "heads_last": (f"q: f32[{B}, {T}, {H}, {D}], k: f32[{B}, {T}, {H}, {D}], v: f32[{B}, {T}, {H}, {D}]",
                   f'let s = einsum("bqhd,bkhd->bhqk", q, k) * {C}; return einsum("bhqk,bkhd->bqhd", softmax(s, axis=-1), v);',
                   tuple(x.swapaxes(1, 2).copy() for x in (Q, K, V)), reference(Q, K, V, C).swapaxes(1, 2)),
    "keys_longer": (f"q: f32[{B}, {H}, {T - 20}, {D}], k: f32[{B}, {H}, {T}, {D}], v: f32[{B}, {H}, {T}, {D}]",
                    f"let i, j = arange({T - 20})[:, newaxis] + 20, arange({T})[newaxis, :]; let s = where(i >= j, q @ k.swapaxes(-1, -2) * {C}, -inf); {RETURN}",
                    (Q[:, :, 20:].copy(), K, V), reference(Q, K, V, C, LOWER)[:, :, 20:]),
    "symbolic": ("q: f32[N, H, L, 24], k: f32[N, H, M, 24], v: f32[N, H, M, 24]", f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}", (Q, K, V), reference(Q, K, V, C)),
    "in_a_loop": (FOUR, f"var x = q; for i in 0..2 {{ x = x + softmax(x @ k.swapaxes(-1, -2) * {C}, axis=-1) @ v; }} return x;", (Q, K, V),
                  (lambda y: y + reference(y, K, V, C))(Q + reference(Q, K, V, C))),
}
# nearly: every one of these means something else, or would not be faster
NEAR = {
    "another_axis": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C}; return softmax(s, axis=-2) @ v;"),
    "no_maximum": (FOUR, f"let e = exp(q @ k.swapaxes(-1, -2) * {C}); return e / sum(e, axis=-1, keepdims=true) @ v;"),
    "not_normalised": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C}; return exp(s - max(s, axis=-1, keepdims=true)) @ v;"),
    "other_sum": (FOUR, f"let s = q @ k.swapaxes(-1, -2) * {C}; let e = exp(s - max(s, axis=-1, keepdims=true)); return e / sum(e * e, axis=-1, keepdims=true) @ v;"),
    "soft_mask": (FOUR + f", m: bool[{T}, {T}]", f"let s = where(m, q @ k.swapaxes(-1, -2) * {C}, -10.0); {RETURN}"),
    "scale_after_mask": (FOUR + f", m: f32[{T}, {T}]", f"let s = (q @ k.swapaxes(-1, -2) + m) * {C}; {RETURN}"),
    "softcap": (FOUR, f"let s = 30 * tanh(q @ k.swapaxes(-1, -2) * {C / 30}); {RETURN}"),
    "read_twice": (FOUR, f"let p = softmax(q @ k.swapaxes(-1, -2) * {C}, axis=-1); return p @ v + sum(p, axis=-1, keepdims=true);"),
    "half": (FOUR.replace("f32", "f16"), f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}"),
    "few_keys": ("q: f32[2, 4, 9, 24], k: f32[2, 4, 9, 24], v: f32[2, 4, 9, 24]", f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}"),
    "other_width": (f"q: f32[4, {T}, {D}], k: f32[4, {T}, {D}], v: f32[4, {T}, 8]", f"let s = q @ k.swapaxes(-1, -2) * {C}; {RETURN}"),
}
# these are attention, with a mask that is not the causal one
NOT_CAUSAL = {
    "upper": ("where(i <= j, s, -1e9)", LOWER.T),
    "strict": ("where(i > j, s, -1e9)", np.tril(np.ones((T, T), bool), -1)),
    "shifted": ("where(i + 1 >= j, s, -1e9)", np.tril(np.ones((T, T), bool), 1)),
    "window": ("where(i - j < 9, s, -1e9)", np.arange(T)[:, None] - np.arange(T) < 9),
}


def text_of(params, body):
    return f"export fn main({params}) {{ {body} }}\n"


def report(mlxcc, tmp_path, text, *options):
    (tmp_path / "t.mx").write_text(text)
    return subprocess.run([mlxcc, "t.mx", "--emit=report", "--verify-each", *options], cwd=tmp_path, capture_output=True, text=True, check=True).stdout


def is_recognised(text):
    return "    attention " in text


@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling(mlxcc, tmp_path, name):
    params, body, inputs, want = SPELLINGS[name]
    text = text_of(params, body)
    assert is_recognised(report(mlxcc, tmp_path, text))
    assert not is_recognised(report(mlxcc, tmp_path, text, "--fma=off"))
    assert not is_recognised(report(mlxcc, tmp_path, text, "--conv=exact"))
    assert not is_recognised(report(mlxcc, tmp_path, text, "--skip=recognise"))
    names = [p.split(":")[0].strip() for p in params.split("], ")]
    out, = run(mlxcc, text, compiled=True, **dict(zip(names, inputs)))
    np.testing.assert_allclose(out, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["groups", "added", "bool", "bool_inf", "causal_where", "heads_last", "five_axes", "keys_longer"])
def test_body_means_the_same(mlxcc, tmp_path, name):
    """What the call's body says, for the interpreter."""
    params, body, inputs, want = SPELLINGS[name]
    (tmp_path / "t.mx").write_text(text_of(params, body))
    names = [p.split(":")[0].strip() for p in params.split("], ")]
    for n, a in zip(names, inputs):
        np.save(tmp_path / f"{n}.npy", a)
    subprocess.run([mlxcc, "run", "t.mx:main", "--interp", "--stop-after=recognise", *[f"{n}={n}.npy" for n in names], "--out", "out"], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "out.npy"), want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", NEAR)
def test_near_miss(mlxcc, tmp_path, name):
    assert not is_recognised(report(mlxcc, tmp_path, text_of(*NEAR[name])))


@pytest.mark.parametrize("name", NOT_CAUSAL)
def test_other_mask(mlxcc, tmp_path, name):
    masked, seen = NOT_CAUSAL[name]
    text = text_of(FOUR, f"{POSITIONS} let s0 = q @ k.swapaxes(-1, -2) * {C}; let s = {masked.replace(' s,', ' s0,')}; {RETURN}")
    assert is_recognised(report(mlxcc, tmp_path, text))
    out, = run(mlxcc, text, compiled=True, q=Q, k=K, v=V)
    np.testing.assert_allclose(out, reference(Q, K, V, C, seen, far=-1e9), rtol=1e-4, atol=2e-5)


def test_rows_that_hide_all_are_nan(mlxcc):
    """where(m, s, -inf) gives nan for a row without a true, as NumPy does; with -1e9 all keys count alike."""
    seen = MASK.copy()
    seen[0, 0, 3] = False
    for far, want in (("-inf", np.nan), ("-1e9", V[0, :, :].mean(1))):
        text = text_of(FOUR + f", m: bool[{B}, 1, {T}, {T}]", f"let s = where(m, q @ k.swapaxes(-1, -2) * {C}, {far}); {RETURN}")
        out, = run(mlxcc, text, compiled=True, q=Q, k=K, v=V, m=seen)
        np.testing.assert_allclose(out[0, :, 3], np.broadcast_to(want, (H, D)), rtol=1e-4, atol=2e-5)
        assert not np.isnan(out[1]).any()


def test_derivatives_are_of_the_primitives(mlxcc, tmp_path):
    """The backward pass reads the probabilities: nothing to replace."""
    text = f"fn f({FOUR}) {{ return sum((softmax(q @ k.swapaxes(-1, -2) * {C}, axis=-1) @ v) ** 2); }}\nexport fn main({FOUR}) {{ return grad(f, argnums=(0, 1, 2))(q, k, v); }}\n"
    assert not is_recognised(report(mlxcc, tmp_path, text))
