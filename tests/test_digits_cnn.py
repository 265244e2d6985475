"""examples/digits_cnn: a convolutional network with batch norm and pooling learns the digits, in compiled code; its gradient is JAX's."""
import pathlib
import subprocess

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "examples/digits_cnn/digits_cnn.mx"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Every fifth image is held back."""
    folder = tmp_path_factory.mktemp("digits")
    x, y = np.load(ROOT / "examples/digits/images.npy").astype("f4"), np.load(ROOT / "examples/digits/labels.npy").astype("i4")
    held = np.arange(len(x)) % 5 == 0
    for name, a in (("x", x[~held]), ("y", y[~held]), ("tx", x[held]), ("ty", y[held])):
        np.save(folder / f"{name}.npy", a)
    return folder


def run(mlxcc, folder, fn, *args):
    done = subprocess.run([mlxcc, "run", f"{PROGRAM}:{fn}", *args], cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr


def test_it_learns(mlxcc, data):
    run(mlxcc, data, "fit", "x=x.npy", "y=y.npy", "epochs=10", "seed=1", "--out", "net.safetensors")
    run(mlxcc, data, "classes", "net=net.safetensors", "x=tx.npy", "--out", "c.npy")
    assert (np.load(data / "c.npy") == np.load(data / "ty.npy")).mean() >= 0.98


def test_its_gradient_is_that_of_jax(mlxcc, data):
    jax = pytest.importorskip("jax")
    jnp, lax = jax.numpy, jax.lax
    from safetensors.numpy import load_file
    run(mlxcc, data, "fit", "x=x.npy", "y=y.npy", "epochs=1", "seed=3", "--out", "one.safetensors")
    net = load_file(data / "one.safetensors")
    x, y = np.load(data / "x.npy")[:40], np.load(data / "y.npy")[:40]
    np.save(data / "bx.npy", x), np.save(data / "by.npy", y)
    run(mlxcc, data, "gradient", "net=one.safetensors", "x=bx.npy", "y=by.npy", "--out", "g.npz")

    def conv(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "OHWI", "NHWC"), precision="highest")

    def pool(x):  # MLX's: equal maxima share the gradient
        b, h, w, c = x.shape
        return x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))

    def loss(p):
        h = conv((x.reshape(-1, 8, 8, 1) - 8) / 8, p["c1.weight"])
        mean, var = h.mean((0, 1, 2)), h.var((0, 1, 2))
        h = pool(jax.nn.relu((h - mean) / jnp.sqrt(var + 1e-5) * p["bn1.weight"] + p["bn1.bias"]))
        h = pool(jax.nn.relu(conv(h, p["c2.weight"]) + p["c2.bias"]))
        scores = h.reshape(-1, 128) @ p["head.weight"].T + p["head.bias"]
        return -jax.nn.log_softmax(scores)[jnp.arange(len(y)), y].mean()

    params = {k: v for k, v in net.items() if not k.startswith("bn1.running")}
    want_loss, want = jax.value_and_grad(loss)(params)
    with np.load(data / "g.npz") as got:
        assert abs(float(got["loss"]) - float(want_loss)) < 1e-5
        assert {k for k in got.files} == {"loss", *(f"grad.{k}" for k in params)}
        for k, v in want.items():
            np.testing.assert_allclose(got[f"grad.{k}"], np.asarray(v), rtol=0, atol=2e-5 * float(np.abs(v).max()), err_msg=k)
