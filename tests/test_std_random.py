"""random: the same bits as MLX for the same key; split and fold_in as JAX's."""
import numpy as np
import pytest

from std_tools import mx, run

# (expression in .mx, in Python, largest difference in units of the last place of f32 values; 0: the same bits)
CASES = [
    ("random.key(42)", "mx.random.key(42)", 0),
    ("random.key(0x123456789abc)", "mx.random.key(0x123456789abc)", 0),
    ("random.split(k)", "mx.random.split(k)", 0),
    ("random.split(k, 3)", "mx.random.split(k, 3)", 0),
    ("random.uniform(key=k)", "mx.random.uniform(key=k)", 0),
    ("random.uniform(shape=(5, 3), key=k)", "mx.random.uniform(shape=(5, 3), key=k)", 0),
    ("random.uniform(-0.3, 0.3, (7,), key=k)", "mx.random.uniform(-0.3, 0.3, (7,), key=k)", 0),
    ("random.uniform(-1, 2.5, (7, 2), f16, key=k)", "mx.random.uniform(-1, 2.5, (7, 2), mx.float16, key=k)", 0),
    ("random.uniform(0, 1, (9,), bf16, key=k).astype(f32)", "mx.random.uniform(0, 1, (9,), mx.bfloat16, key=k).astype(mx.float32)", 0),
    ("random.normal((4, 5), key=k)", "mx.random.normal((4, 5), key=k)", 4),
    ("random.normal((11,), loc=2.0, scale=0.5, key=k)", "mx.random.normal((11,), loc=2.0, scale=0.5, key=k)", 4),
    ("random.normal((6,), f16, key=k)", "mx.random.normal((6,), mx.float16, key=k)", 0),
    ("random.normal((3, 2), c64, key=k)", "mx.random.normal((3, 2), mx.complex64, key=k)", 4),
    ("random.bernoulli(key=k)", "mx.random.bernoulli(key=k)", 0),
    ("random.bernoulli(0.3, (40,), key=k)", "mx.random.bernoulli(0.3, (40,), key=k)", 0),
    ("random.bernoulli(array([0.0, 0.1, 0.9, 1.0]), key=k)", "mx.random.bernoulli(mx.array([0.0, 0.1, 0.9, 1.0]), key=k)", 0),
    ("random.randint(0, 10, (20,), key=k)", "mx.random.randint(0, 10, (20,), key=k)", 0),
    ("random.randint(-7, 3, (4, 5), i64, key=k)", "mx.random.randint(-7, 3, (4, 5), mx.int64, key=k)", 0),
    ("random.randint(array([0, 5]), array([5, 9]), (3, 2), key=k)", "mx.random.randint(mx.array([0, 5]), mx.array([5, 9]), (3, 2), key=k)", 0),
    ("random.gumbel((8,), key=k)", "mx.random.gumbel((8,), key=k)", 16),
    ("random.truncated_normal(-1.0, 2.0, (30,), key=k)", "mx.random.truncated_normal(-1.0, 2.0, (30,), key=k)", 64),
    ("random.laplace((12,), loc=1.0, scale=2.0, key=k)", "mx.random.laplace((12,), loc=1.0, scale=2.0, key=k)", 8),
    ("random.permutation(10, key=k)", "mx.random.permutation(10, key=k)", 0),
    ("random.permutation(arange(12).reshape(3, 4), axis=1, key=k)", "mx.random.permutation(mx.arange(12).reshape(3, 4), axis=1, key=k)", 0),
    ("random.categorical(l, key=k)", "mx.random.categorical(l, key=k)", 0),
    ("random.categorical(l, axis=0, key=k)", "mx.random.categorical(l, axis=0, key=k)", 0),
    ("random.categorical(l, shape=(6, 3), key=k)", "mx.random.categorical(l, shape=(6, 3), key=k)", 0),
    ("random.categorical(l, num_samples=5, key=k)", "mx.random.categorical(l, num_samples=5, key=k)", 0),
    ("random.categorical(l[0], key=k)", "mx.random.categorical(l[0], key=k)", 0),
    ("random.categorical(l[0], num_samples=20, key=k)", "mx.random.categorical(l[0], num_samples=20, key=k)", 0),
]
L = np.log(np.random.default_rng(5).uniform(0.1, 1, (3, 4))).astype(np.float32)


@pytest.mark.parametrize("seed", [0, 1234567])
@pytest.mark.parametrize("text,python,ulps", CASES, ids=[c[0] for c in CASES])
def test_against_mlx(mlxcc, tmp_path, text, python, ulps, seed):
    got = run(mlxcc, tmp_path, f"export fn main(k: u32[2], l: f32[3, 4]) {{ return {text}; }}", "main", k=np.array([0, seed], np.uint32), l=L)["out"]
    want = np.array(eval(python, dict(mx=mx, k=mx.random.key(seed), l=mx.array(L))))
    assert got.dtype == want.dtype and got.shape == want.shape
    if ulps == 0:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=ulps * 2.0**-23, atol=ulps * 2.0**-24)


def test_fold_in_is_jax(mlxcc, tmp_path):
    jax = pytest.importorskip("jax")
    key = np.array([7, 9], np.uint32)
    got = run(mlxcc, tmp_path, "export fn main(k: u32[2], n: u32) { return random.fold_in(k, 5), random.fold_in(k, n); }", "main", k=key, n=123456789)
    for name, n in (("out0", 5), ("out1", 123456789)):
        np.testing.assert_array_equal(got[name], np.array(jax.random.fold_in(jax.numpy.array(key), n)))


def test_a_key_of_none_splits_into_nones(mlxcc, tmp_path):
    got = run(mlxcc, tmp_path, "export fn main() { let a, b, c = random.split(none, 3); assert c is none; return 1.0; }", "main")
    assert got["out"] == 1.0
