"""Programs at run-time sizes that MLX's mx.compile(shapeless=True) gets wrong or refuses: one compilation here, several sizes, as C and interpreted.

MLX 0.32.4: tril reads out of bounds on a larger input; slice, split, topk, pad, repeat, scatter, random and reshape raise; x.shape[0] as a number is
baked in silently.
"""
import subprocess
import mlx.core as mx
import numpy as np
import pytest

TEXT = """
dim N in 2..64;
export fn tril_of(x: f32[N, N]) { return tril(x); }
export fn slice_of(x: f32[N, N]) { return x[1:, ::2]; }
export fn split_of(x: f32[N, N]) { let a, b = split(concatenate([x, 2 * x]), 2); return a - b; }
export fn topk_of(x: f32[N, N]) { return sort(topk(x, 2)); }
export fn pad_of(x: f32[N, N]) { return pad(x, 1); }
export fn repeat_of(x: f32[N, N]) { return repeat(x, 3, axis=1); }
export fn scatter_of(x: f32[N, N], i: i32[3]) { return x.at[i].add(1.0); }
export fn random_of(x: f32[N, N]) { return random.uniform(shape=x.shape, key=random.key(7)); }
export fn reshape_of(x: f32[N, N]) { return reshape(x, -1); }
export fn shape_number(x: f32[N, N]) { return sum(x) / x.shape[0]; }
"""

def expected(x, i):
    n = len(x)
    y = x.copy()
    np.add.at(y, i, np.float32(1))
    return {
        "tril_of": [np.tril(x)], "slice_of": [x[1:, ::2]], "split_of": [-x], "topk_of": [np.sort(x)[:, -2:]], "pad_of": [np.pad(x, 1)], "repeat_of": [np.repeat(x, 3, 1)],
        "scatter_of": [y], "random_of": [np.array(mx.random.uniform(shape=(n, n), key=mx.random.key(7)))], "reshape_of": [x.reshape(-1)],
        "shape_number": [np.float32(x.sum() / n)],
    }

@pytest.mark.parametrize("n", [2, 3, 9])
@pytest.mark.parametrize("how", [[], ["--interp"]], ids=["C", "interp"])
def test_mlx_shapeless(n, how, mlxcc, tmp_path):
    r = np.random.default_rng(n)
    x, i = r.integers(-9, 9, (n, n)).astype("f4"), np.array([0, 1, 0], np.int32)
    (tmp_path / "t.mx").write_text(TEXT)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "i.npy", i)
    for name, want in expected(x, i).items():
        args = [f"x={tmp_path / 'x.npy'}"] + ([f"i={tmp_path / 'i.npy'}"] if name == "scatter_of" else [])
        done = subprocess.run([mlxcc, "run", *how, f"{tmp_path / 't.mx'}:{name}", *args, "--out", str(tmp_path / name)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, name + ": " + done.stderr
        assert np.allclose(np.load(tmp_path / name / "out.npy"), want[0], rtol=1e-6, atol=1e-6), name
