"""The digits classifier against JAX and MLX: the gradient of its loss, and 20 Adam steps from the same weights."""
import ctypes
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "digits"
LEAVES = [f"l{i}.{k}" for i in (1, 2, 3) for k in ("weight", "bias")]


def data(n):
    x = np.load(DATA / "images.npy")[:n].astype(np.float32)
    y = np.load(DATA / "labels.npy")[:n].astype(np.int32)
    return x, y


def weights():
    r = np.random.default_rng(0)
    shapes = [(256, 64), (256,), (256, 256), (256,), (10, 256), (10,)]
    return [(r.uniform(-1, 1, s) / np.sqrt(s[-1] if len(s) > 1 else 64)).astype(np.float32) for s in shapes]


def library(mlxcc, source, tmp_path):
    c = tmp_path / (source.stem + ".c")
    subprocess.run([mlxcc, str(source), "-o", str(c)], check=True)
    so = tmp_path / (source.stem + ".so")
    subprocess.run(["gcc", "-std=c99", "-shared", "-fPIC", "-O2", str(c), "-o", str(so), "-lm"], check=True)
    return ctypes.CDLL(str(so))


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])


def ptr(a):
    return ctypes.c_void_p(a.ctypes.data)


def jax_loss(params, x, y):
    import jax
    import jax.numpy as jnp

    w1, b1, w2, b2, w3, b3 = params
    h = jax.nn.relu(jax.nn.relu(x / 16 @ w1.T + b1) @ w2.T + b2)
    z = h @ w3.T + b3
    return jnp.mean(jax.nn.logsumexp(z, axis=-1) - jnp.take_along_axis(z, y[:, None], axis=-1)[:, 0])


def mlx_model(params):
    import mlx.core as mx
    import mlx.nn as nn

    class Mlp(nn.Module):
        def __init__(self):
            super().__init__()
            self.l1, self.l2, self.l3 = nn.Linear(64, 256), nn.Linear(256, 256), nn.Linear(256, 10)

        def __call__(self, x):
            return self.l3(nn.relu(self.l2(nn.relu(self.l1(x)))))

    m = Mlp()
    m.load_weights([(k, mx.array(v)) for k, v in zip(LEAVES, params)])
    return m


def mlx_loss(m, x, y):
    import mlx.core as mx
    import mlx.nn as nn

    return mx.mean(nn.losses.cross_entropy(m(x / 16), y))


def close(a, b, rtol=1e-5):
    scale = np.abs(b).max()
    assert np.abs(np.asarray(a) - b).max() <= rtol * scale, np.abs(np.asarray(a) - b).max() / scale


def close_norm(a, b, rtol=1e-5):
    """Relative in the Euclidean norm. Adam divides by sqrt(v): where a gradient is next to nothing, rounding decides a weight's step; single elements of
    JAX's own float32 run differ from its float64 run by up to 5e-5 of the largest weight (ours by 2e-5). Element by element the two are compared in
    float64, below."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert np.linalg.norm(a - b) <= rtol * np.linalg.norm(b), np.linalg.norm(a - b) / np.linalg.norm(b)
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.fixture(scope="module")
def gradients(mlxcc, tmp_path_factory):
    lib = library(mlxcc, ROOT / "tests/models/digits_grad.mx", tmp_path_factory.mktemp("digits_grad"))
    x, y = data(256)
    p = weights()
    g = [np.zeros_like(a) for a in p]
    loss = np.zeros((), np.float32)
    lib.digits_grad_loss_and_grad_arena_bytes.restype = ctypes.c_size_t
    arena = np.zeros(lib.digits_grad_loss_and_grad_arena_bytes(ctypes.c_ssize_t(256)) + 64, np.uint8)
    assert lib.digits_grad_loss_and_grad(pointers(p), ptr(x), ptr(y), ptr(loss), pointers(g), ctypes.c_ssize_t(256), ptr(arena)) == 0
    return x, y, p, float(loss), g


def test_gradient_equals_jax(gradients):
    import jax

    x, y, p, loss, g = gradients
    l, ref = jax.value_and_grad(jax_loss)(p, x, y)
    assert abs(loss - float(l)) <= 1e-5 * abs(float(l))
    for a, b in zip(g, ref):
        close(a, np.asarray(b))


def test_gradient_equals_mlx(gradients):
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_flatten

    x, y, p, loss, g = gradients
    m = mlx_model(p)
    l, grads = nn.value_and_grad(m, mlx_loss)(m, mx.array(x), mx.array(y))
    ref = dict(tree_flatten(grads))
    assert abs(loss - l.item()) <= 1e-5 * abs(l.item())
    for name, a in zip(LEAVES, g):
        close(a, np.array(ref[name]))


def adam_steps(mlxcc, tmp, step, dtype):
    """20 steps of the compiled program on batches of 64: the inputs and the trained weights."""
    lib = library(mlxcc, ROOT / "tests/models/digits_grad.mx", tmp)
    x, y = data(64 * 20)
    x = x.astype(dtype)
    p = [a.astype(dtype) for a in weights()]
    state = [np.zeros((), np.uint64)] + [np.zeros_like(a) for a in p + p]
    loss = np.zeros((), dtype)
    size, run = getattr(lib, f"digits_grad_{step}_arena_bytes"), getattr(lib, f"digits_grad_{step}")
    size.restype = ctypes.c_size_t
    arena = np.zeros(size(ctypes.c_ssize_t(64)) + 64, np.uint8)
    for i in range(20):
        xb, yb = x[64 * i:64 * i + 64].copy(), y[64 * i:64 * i + 64].copy()
        assert run(pointers(p), pointers(state), ptr(xb), ptr(yb), ptr(loss), ctypes.c_ssize_t(64), ptr(arena)) == 0
    assert state[0] == 20
    return x, y, p


@pytest.fixture(scope="module")
def trained(mlxcc, tmp_path_factory):
    return adam_steps(mlxcc, tmp_path_factory.mktemp("adam"), "adam_step", np.float32)


def test_twenty_adam_steps_equal_mlx(trained):
    import mlx.core as mx
    import mlx.nn as nn
    import mlx.optimizers as optim
    from mlx.utils import tree_flatten

    x, y, p = trained
    m, opt = mlx_model(weights()), optim.Adam(learning_rate=1e-3)
    step = nn.value_and_grad(m, mlx_loss)
    for i in range(20):
        _, g = step(m, mx.array(x[64 * i:64 * i + 64]), mx.array(y[64 * i:64 * i + 64]))
        opt.update(m, g)
        mx.eval(m.parameters(), opt.state)
    ref = dict(tree_flatten(m.parameters()))
    for name, a in zip(LEAVES, p):
        close_norm(a, np.array(ref[name]))


def jax_adam(x, y, dtype):
    import jax
    import jax.numpy as jnp

    q, m, v = [a.astype(dtype) for a in weights()], [0.0] * 6, [0.0] * 6
    step = jax.jit(jax.grad(jax_loss))
    for i in range(20):
        g = step(q, x[64 * i:64 * i + 64], y[64 * i:64 * i + 64])
        for k in range(6):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k]
            q[k] = q[k] - 1e-3 * m[k] / (jnp.sqrt(v[k]) + 1e-8)
    return [np.asarray(a) for a in q]


def test_twenty_adam_steps_equal_jax(trained):
    x, y, p = trained
    for a, b in zip(p, jax_adam(x, y, np.float32)):
        close_norm(a, b)


def test_twenty_adam_steps_equal_jax_in_float64(mlxcc, tmp_path):
    import jax

    x, y, p = adam_steps(mlxcc, tmp_path, "adam_step64", np.float64)
    with jax.enable_x64(True):
        for a, b in zip(p, jax_adam(x, y, np.float64)):
            assert a.dtype == b.dtype == np.float64
            close(a, b)
            assert np.allclose(a, b, rtol=1e-5, atol=0), "every single weight"
