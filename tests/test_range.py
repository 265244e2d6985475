"""The pass `range`: exp becomes exp.neg exactly where its operand is known not to be positive, which changes no bit of any result; with --fast-math tanh and erf become rationals."""
import ctypes
import pathlib
import re
import subprocess

import numpy as np
import pytest

CASES = [
    # name, program, variants of its exps in order
    ("softmax", "softmax(x * 0.125, axis=-1)", ["neg"]),
    ("softmax of a sum", "softmax(x + x[0], axis=-1)", ["neg"]),
    ("cross entropy's", "{ let m = max(x, axis=-1, keepdims=true); let d = x - m; return d * 2 + exp(d) + log(sum(exp(d), axis=-1, keepdims=true)); }", ["neg"]),
    ("gaussian", "exp(-(x * x) / 2)", ["neg"]),
    ("laplace", "exp(-abs(x))", ["neg"]),
    ("elu", "where(x > 0, x, exp(minimum(x, 0)) - 1)", ["neg"]),
    ("negated relu", "exp(-maximum(x, 0))", ["neg"]),
    ("another maximum", "exp(x * 2 - max(x, axis=-1, keepdims=true))", [""]),
    ("negated square", "exp(-x * x)", ["neg"]),
    ("square, negated behind", "exp(x * -x)", ["neg"]),
    ("maximum of columns", "exp(x - max(x, axis=0, keepdims=true))", [""]),
    ("minimum", "exp(x - min(x, axis=-1, keepdims=true))", [""]),
    ("maximum of neighbours", "exp(x[::-1] - max(x, axis=-1, keepdims=true))", [""]),
    ("any", "exp(x - 1)", [""]),
    ("shifted abs", "exp(1 - abs(x))", [""]),
    ("product", "exp(-(x * x[:, ::-1]))", [""]),
]


def sh(*args, **kw):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120, **kw)
    assert r.returncode == 0, r.stderr[:3000]
    return r.stdout


def source(body):
    body = body if body.startswith("{") else f"{{ return {body}; }}"
    return f"export fn f(x: f32[R, 64]) -> f32[R, 64] {body}\n"


def library(mlxcc, folder, name, *options):
    sh(mlxcc, "p.mx", "-o", f"{name}.c", "--prefix=p", *options, cwd=folder)
    sh("gcc", "-std=c99", "-O2", "-shared", "-fPIC", "-o", f"{name}.so", f"{name}.c", "-lm", cwd=folder)
    return ctypes.CDLL(str(folder / f"{name}.so"))


def call(lib, x):
    out = np.empty_like(x)
    lib.p_f_arena_bytes.restype = ctypes.c_size_t
    room = np.zeros(lib.p_f_arena_bytes(ctypes.c_ssize_t(len(x))) + 64, np.uint8)
    place = room.ctypes.data + -room.ctypes.data % 64
    assert lib.p_f(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_ssize_t(len(x)), ctypes.c_void_p(place)) == 0
    return out


def inputs():
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((24, 64)) * np.array([1, 10, 60, 1e4])[rng.integers(0, 4, (24, 1))]).astype(np.float32)
    for row, v in enumerate([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38]):
        x[row, rng.integers(0, 64, 5)] = v
    x[7], x[8] = -np.inf, -100.0
    return x


@pytest.mark.parametrize("name,body,variants", CASES, ids=[c[0] for c in CASES])
def test_variants_are_found_and_change_nothing(mlxcc, tmp_path, name, body, variants):
    (tmp_path / "p.mx").write_text(source(body))
    loops = sh(mlxcc, "p.mx", "--emit=loops", cwd=tmp_path)
    found = [m or "" for m in re.findall(r"= exp(?:\.(\w+))? ", loops)]
    assert found and set(found) == set(variants), loops
    x = inputs()
    plain = call(library(mlxcc, tmp_path, "plain", "--fma=off", "--skip=range"), x)
    got = call(library(mlxcc, tmp_path, "ranged", "--fma=off"), x)
    assert np.array_equal(np.isnan(plain), np.isnan(got))
    assert np.where(np.isnan(got), 0, got).tobytes() == np.where(np.isnan(plain), 0, plain).tobytes()


def test_softmax_with_far_tails_is_numpys(mlxcc, tmp_path):
    (tmp_path / "p.mx").write_text(source("softmax(x, axis=-1)"))
    x = inputs()
    x = x[~np.isnan(x).any(1) & (x.max(1) < np.inf) & (x.max(1) > -np.inf)]
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True).astype(np.float64))
    np.testing.assert_allclose(call(library(mlxcc, tmp_path, "s"), x), e / e.sum(1, keepdims=True), rtol=2e-5, atol=2e-45)


@pytest.mark.parametrize("f", ["tanh", "erf"])
def test_fast_math_takes_the_rationals(mlxcc, tmp_path, f):
    (tmp_path / "p.mx").write_text(source(f"{f}(x)"))
    assert f"= {f} " in sh(mlxcc, "p.mx", "--emit=loops", cwd=tmp_path)
    assert f"= {f}.fast " in sh(mlxcc, "p.mx", "--emit=loops", "--fast-math", cwd=tmp_path)
    x = inputs()
    got, exact = call(library(mlxcc, tmp_path, "fast", "--fast-math"), x), call(library(mlxcc, tmp_path, "exact"), x)
    assert (got != exact)[~np.isnan(exact)].any()
    np.testing.assert_allclose(got, exact, rtol=8e-7)


def test_an_unknown_variant_is_refused(mlxcc, tmp_path):
    (tmp_path / "p.mx").write_text(source("exp(-abs(x))"))
    text = sh(mlxcc, "p.mx", "--emit=loops", cwd=tmp_path)
    (tmp_path / "q.ir").write_text(text.replace("exp.neg", "exp.pos"))
    r = subprocess.run([mlxcc, "q.ir", "--emit=loops"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 1 and "`exp` has no variant `pos`" in r.stderr
