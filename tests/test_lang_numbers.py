"""Exported functions of the language's programs, run as compiled C on files, against NumPy and JAX."""
import pathlib
import subprocess

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "lang"
rng = np.random.default_rng(0)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def run(mlxcc, tmp_path, entry, **args):
    words = []
    for name, v in args.items():
        if isinstance(v, np.ndarray):
            np.save(tmp_path / f"{name}.npy", v)
            words.append(f"{name}={tmp_path / name}.npy")
        else:
            words.append(f"{name}={v}")
    r = subprocess.run([mlxcc, "run", entry, *words, "--out", str(tmp_path) + "/out"], cwd=FOLDER, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return {p.stem: np.load(p) for p in (tmp_path / "out").glob("*.npy")}


def one(out):
    assert len(out) == 1, out.keys()
    return next(iter(out.values()))


def edit_distance(a, b):
    d = np.arange(len(b) + 1)
    for i, x in enumerate(a):
        new = [i + 1]
        for j, y in enumerate(b):
            new.append(min(new[j] + 1, d[j + 1] + 1, d[j] + (x != y)))
        d = new
    return d[-1]


def laplacian(u):
    p = np.pad(u, 1, mode="edge")
    return p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * u


def heat(u, alpha, steps):
    for _ in range(steps):
        u = u + alpha * laplacian(u)
    return u


def test_fft(mlxcc, tmp_path):
    x = f32(1024)
    got = one(run(mlxcc, tmp_path, "17_fft.mx:spectrum", x=x))
    np.testing.assert_allclose(got, np.abs(np.fft.rfft(x)), rtol=1e-4, atol=1e-4)


def test_solve(mlxcc, tmp_path):
    a, b = rng.standard_normal((7, 7)), rng.standard_normal((7, 3))
    np.testing.assert_allclose(one(run(mlxcc, tmp_path, "16_linalg.mx:solve", a=a, b=b)), np.linalg.solve(a, b), rtol=1e-9)


@pytest.mark.parametrize("n, m", [(0, 3), (5, 7), (9, 4)])
def test_edit_distance(mlxcc, tmp_path, n, m):
    a, b = rng.integers(0, 3, n).astype(np.uint8), rng.integers(0, 3, m).astype(np.uint8)
    assert one(run(mlxcc, tmp_path, "39_tokens_search.mx:edit_distance", a=a, b=b)) == edit_distance(a, b)


@pytest.mark.parametrize("value", [-1, 4, 5, 100])
def test_lower_bound(mlxcc, tmp_path, value):
    x = np.array([0, 1, 4, 4, 9, 12], np.int32)
    assert one(run(mlxcc, tmp_path, "39_tokens_search.mx:lower_bound", x=x, value=value)) == np.searchsorted(x, value)


def test_popcount(mlxcc, tmp_path):
    x = rng.integers(0, 2**32, 50).astype(np.uint32)
    want = [bin(v).count("1") for v in x.tolist()]
    assert one(run(mlxcc, tmp_path, "39_tokens_search.mx:popcount", x=x)).tolist() == want


@pytest.mark.parametrize("x", [-3.0, 0.25, 3.0])
def test_clamp_sign(mlxcc, tmp_path, x):
    assert one(run(mlxcc, tmp_path, "39_tokens_search.mx:clamp_sign", x=x)) == max(-1, min(1, x))


def test_dimensions(mlxcc, tmp_path):
    x = f32(3, 16)
    np.testing.assert_array_equal(one(run(mlxcc, tmp_path, "32_dynamic_shapes.mx:windows", x=x)), x.reshape(3, -1, 8))
    (tmp_path / "b").mkdir()
    length = np.array([16, 5, 0], np.int32)
    want = [row[:n].sum() / max(n, 1) for row, n in zip(x, length)]
    np.testing.assert_allclose(one(run(mlxcc, tmp_path / "b", "32_dynamic_shapes.mx:ragged_mean", x=x, length=length)), want, rtol=1e-5)


@pytest.mark.parametrize("start, first", [(0, 0), (4, 4), (100, 4), (-3, 4), (-18, 2)])
def test_crop_stays_inside(mlxcc, tmp_path, start, first):
    x = f32(20, 3)
    np.testing.assert_array_equal(one(run(mlxcc, tmp_path, "32_dynamic_shapes.mx:crop", x=x, start=start)), x[first : first + 16])


def test_kmeans(mlxcc, tmp_path):
    x = np.concatenate([f32(40, 2), 30 + f32(60, 2)])
    out = run(mlxcc, tmp_path, "30_kmeans.mx:kmeans", x=x, seed=3, K=2)
    want = sorted([x[:40].mean(0).tolist(), x[40:].mean(0).tolist()])
    np.testing.assert_allclose(sorted(out["centres"].tolist()), want, rtol=1e-4)
    assert len(set(out["label"][:40])) == 1 and out["label"][0] != out["label"][99] and out["rounds"] >= 2


def test_heat_and_its_sensitivity(mlxcc, tmp_path):
    u = f32(6, 5)
    got = one(run(mlxcc, tmp_path, "38_physics.mx:heat", u=u, alpha=0.1, steps=7))
    np.testing.assert_allclose(got, heat(u.astype(np.float64), 0.1, 7), rtol=1e-4, atol=1e-5)
    (tmp_path / "b").mkdir()
    got = one(run(mlxcc, tmp_path / "b", "38_physics.mx:sensitivity", u=u, alpha=0.05))
    f = lambda a: (heat(u.astype(np.float64), a, 100) ** 2).sum()
    assert abs(got - (f(0.05 + 1e-6) - f(0.05 - 1e-6)) / 2e-6) < 1e-3 * abs(got)


def test_mandelbrot(mlxcc, tmp_path):
    c = (rng.uniform(-2, 1, (5, 4)) + 1j * rng.uniform(-1, 1, (5, 4))).astype(np.complex64)
    z, n = np.zeros_like(c), np.zeros(c.shape, np.int32)
    for _ in range(200):
        if not (abs(z) < 2).any():
            break
        with np.errstate(all="ignore"):
            z = np.where(abs(z) < 2, z * z + c, z)
        n += abs(z) < 2
    got = one(run(mlxcc, tmp_path, "38_physics.mx:mandelbrot", c=c))
    assert (got != n).mean() < 0.1  # chaotic orbits differ by rounding


def test_attention(mlxcc, tmp_path):
    q, k, v = f32(2, 3, 4), f32(2, 5, 4), f32(2, 5, 4)
    s = q @ k.transpose(0, 2, 1) / 2
    w = np.exp(s - s.max(-1, keepdims=True))
    want = (w / w.sum(-1, keepdims=True)) @ v
    np.testing.assert_allclose(one(run(mlxcc, tmp_path, "41_complex_signal.mx:attention", q=q, k=k, v=v)), want, rtol=1e-5, atol=1e-6)


def test_custom_derivative(mlxcc, tmp_path):
    x = f32(3)
    np.testing.assert_allclose(one(run(mlxcc, tmp_path, "41_complex_signal.mx:gradient", x=x)), x / np.linalg.norm(x), rtol=1e-5)


def test_metaprogramming(mlxcc, tmp_path):
    x = f32(4) * np.float32(0.5)
    np.testing.assert_allclose(one(run(mlxcc, tmp_path, "33_metaprogramming.mx:poly", x=x)), x**13, rtol=1e-5)
    (tmp_path / "b").mkdir()
    want = np.concatenate([i + np.linspace(0, 1, 64) for i in range(4)])
    np.testing.assert_allclose(one(run(mlxcc, tmp_path / "b", "33_metaprogramming.mx:table")), want, rtol=1e-6, atol=1e-6)


def test_newton(mlxcc, tmp_path):
    assert abs(one(run(mlxcc, tmp_path, "22_newton.mx:root", a=2.0)) - 2**0.5) < 1e-6
    (tmp_path / "b").mkdir()
    assert abs(one(run(mlxcc, tmp_path / "b", "22_newton.mx:droot", a=2.0)) - 0.5 / 2**0.5) < 1e-4


def test_pairwise(mlxcc, tmp_path):
    x, y = f32(3, 4), f32(5, 4)
    want = ((x[:, None] - y) ** 2).sum(-1)
    np.testing.assert_allclose(one(run(mlxcc, tmp_path, "28_vmap.mx:pairwise", x=x, y=y)), want, rtol=1e-5)


def test_regression_recovers_the_line(mlxcc, tmp_path):
    x = f32(200, 3)
    y = x @ np.array([1, -2, 0.5], np.float32) + 4
    out = run(mlxcc, tmp_path, "01_linear_regression.mx:fit", w=np.zeros(3, np.float32), b=0.0, x=x, y=y, lr=0.1, steps=400)
    np.testing.assert_allclose(out["w"], [1, -2, 0.5], atol=1e-3)
    assert abs(out["b"] - 4) < 1e-3 and out["loss"] < 1e-6


@pytest.mark.parametrize("broken, args", [
    ("same", {"x": "[1,2,3]", "y": "[1,2]"}),
    ("head", {"x": "[1,2,3]"}),
])
def test_facts_are_checked_at_the_entry(mlxcc, tmp_path, broken, args):
    words = [f"{k}={v}" for k, v in args.items()]
    r = subprocess.run([mlxcc, "run", f"32_dynamic_shapes.mx:{broken}", *words, "--out", str(tmp_path)], cwd=FOLDER, capture_output=True, text=True)
    assert r.returncode == 1 and "error[" in r.stderr, r.stderr
