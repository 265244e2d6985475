"""Convolution from the language against JAX: values, gradients of every operand, Hessian-vector products, per-example gradients, run-time sizes;
convolve against NumPy. Layers against MLX are in test_std_nn.py, the rules in test_transforms_rules.py."""
import numpy as np
import pytest
from std_tools import run, type_of

jax = pytest.importorskip("jax")
jnp = jax.numpy
rng = np.random.default_rng(11)
SPACE = ["", "H", "HW", "DHW"]


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


# call, x, w, and the same for jax.lax.conv_general_dilated
CASES = {
    "conv1d": ("conv1d(x, w)", (2, 9, 3), (4, 3, 3), {}),
    "conv1d-stride": ("conv1d(x, w, stride=3, padding=2)", (2, 9, 3), (4, 4, 3), dict(window_strides=[3], padding=[(2, 2)])),
    "conv2d": ("conv2d(x, w, padding=1)", (2, 6, 5, 3), (4, 3, 3, 3), dict(padding=[(1, 1)] * 2)),
    "conv2d-all": ("conv2d(x, w, stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2)", (2, 7, 6, 4), (6, 3, 2, 2),
                   dict(window_strides=[2, 1], padding=[(2, 2), (1, 1)], rhs_dilation=[1, 2], feature_group_count=2)),
    # wide enough for the tuned kernels, forward and by the weight
    "wide1d": ("conv1d(x, w, stride=2, padding=2)", (3, 21, 5), (12, 4, 5), dict(window_strides=[2], padding=[(2, 2)])),
    "wide2d": ("conv2d(x, w, padding=1)", (2, 9, 30, 17), (40, 3, 3, 17), dict(padding=[(1, 1)] * 2)),
    "wide2d-all": ("conv2d(x, w, stride=(2, 3), padding=(2, 1), dilation=(1, 2))", (2, 13, 14, 20), (9, 3, 2, 20), dict(window_strides=[2, 3], padding=[(2, 2), (1, 1)], rhs_dilation=[1, 2])),
    "wide2d-step": ("conv2d(x, w, stride=2, padding=1)", (2, 9, 12, 20), (33, 3, 3, 20), dict(window_strides=[2, 2], padding=[(1, 1)] * 2)),
    "wide-transposed": ("conv_transpose2d(x, w, stride=(3, 2), padding=1, output_padding=(1, 0))", (2, 4, 5, 9), (12, 3, 4, 9),
                        dict(lhs_dilation=[3, 2], padding=[(1, 2), (2, 2)], flip=True)),
    "wide3d": ("conv3d(x, w, padding=(1, 1, 0), stride=(1, 2, 1))", (2, 3, 5, 6, 3), (10, 2, 3, 3, 3), dict(window_strides=[1, 2, 1], padding=[(1, 1), (1, 1), (0, 0)])),
    "depthwise": ("conv2d(x, w, padding=1, groups=5)", (1, 5, 6, 5), (10, 3, 3, 1), dict(padding=[(1, 1)] * 2, feature_group_count=5)),
    "conv2d-1x1": ("conv2d(x, w)", (2, 4, 3, 6), (5, 1, 1, 6), {}),
    "conv2d-1x1-stride": ("conv2d(x, w, stride=2)", (2, 5, 4, 6), (5, 1, 1, 6), dict(window_strides=[2, 2])),
    "conv3d": ("conv3d(x, w, padding=(0, 1, 1), stride=(1, 2, 1))", (1, 3, 5, 4, 2), (3, 2, 3, 3, 2), dict(window_strides=[1, 2, 1], padding=[(0, 0), (1, 1), (1, 1)])),
    "transposed": ("conv_transpose2d(x, w, stride=(3, 2), padding=(1, 0), output_padding=(1, 1))", (2, 4, 3, 3), (4, 2, 3, 3),
                   dict(lhs_dilation=[3, 2], padding=[(0, 1), (2, 3)], flip=True)),
    "general": ("conv_general(x, w, stride=2, padding=((1, 2), (0, 3)), kernel_dilation=(2, 1), input_dilation=(1, 3), flip=true)", (1, 6, 5, 2), (3, 2, 3, 2),
                dict(window_strides=[2, 2], padding=[(1, 0), (2, 3)], rhs_dilation=[2, 1], lhs_dilation=[1, 3], flip=True)),
    "cropped": ("conv_general(x, w, padding=((-1,), (-2,)))", (2, 9, 3), (4, 3, 3), dict(padding=[(-1, -2)])),
}


def reference(kw):
    def f(x, w):
        kw2 = dict(kw)
        n = x.ndim - 2
        if kw2.pop("flip", False):
            w = jnp.flip(w, tuple(range(1, n + 1)))
        s = SPACE[n]
        return jax.lax.conv_general_dilated(x, w, **{"window_strides": [1] * n, "padding": [(0, 0)] * n, **kw2}, dimension_numbers=(f"N{s}C", f"O{s}I", f"N{s}C"),
                                            precision="highest")
    return f


def close(got, want, tol=2e-5):
    want = np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype, (got.shape, want.shape)
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol * max(1.0, float(np.abs(want).max(initial=0))))


@pytest.mark.parametrize("compiled", [False, True], ids=["interpreted", "C"])
@pytest.mark.parametrize("name", CASES)
def test_against_jax(mlxcc, tmp_path, name, compiled):
    call, xs, ws, kw = CASES[name]
    x, w, f = normal(*xs), normal(*ws), reference(kw)
    y = f(x, w)
    weight = np.sin(np.arange(y.size, dtype=np.float32) + 1).reshape(y.shape)
    loss = lambda x, w: jnp.sum(weight * jnp.tanh(f(x, w)))
    loss_mx = "|x, w| { let y = " + call + "; return sum(sin(arange(y.size) + 1.0).reshape(y.shape) * tanh(y)); }"
    u, v = normal(*xs), normal(*ws)
    src = (f"export fn main(x: {type_of(x)}, w: {type_of(w)}, u: {type_of(x)}, v: {type_of(w)}) {{\n"
           f"  let loss = {loss_mx};\n  let g, h = jvp(|x, w| grad(loss, argnums=(0, 1))(x, w), (x, w), (u, v));\n  return ({call}, *g, *h);\n}}\n")
    got = run(mlxcc, tmp_path, src, "main", interp=not compiled, x=x, w=w, u=u, v=v)
    g, h = jax.jvp(lambda x, w: jax.grad(loss, argnums=(0, 1))(x, w), (x, w), (u, v))
    for k, want in enumerate((y, *g, *h)):
        close(got[f"out{k}"], want)


@pytest.mark.parametrize("groups", [1, 2])
def test_per_example_gradients(mlxcc, tmp_path, groups):
    """vmap of grad: the weight's gradient of each example by itself."""
    x, w = normal(5, 6, 5, 4), normal(6, 3, 3, 4 // groups)
    src = (f"fn loss(w, x) {{ return sum(square(conv2d(x[newaxis], w, padding=1, stride=2, groups={groups}))); }}\n"
           f"export fn main(x: {type_of(x)}, w: {type_of(w)}) {{ return vmap(grad(loss), in_axes=(none, 0))(w, x); }}\n")
    f = reference(dict(padding=[(1, 1)] * 2, window_strides=[2, 2], feature_group_count=groups))
    want = jax.vmap(jax.grad(lambda w, x: jnp.sum(f(x[None], w) ** 2)), in_axes=(None, 0))(w, x)
    close(run(mlxcc, tmp_path, src, "main", interp=False, x=x, w=w)["out"], want)


def test_vmap_over_weights(mlxcc, tmp_path):
    x, w = normal(2, 6, 4), normal(3, 6, 3, 2)
    src = f"export fn main(x: {type_of(x)}, w: {type_of(w)}) {{ return vmap(|w| conv1d(x, w, groups=2))(w); }}\n"
    f = reference(dict(feature_group_count=2))
    close(run(mlxcc, tmp_path, src, "main", interp=False, x=x, w=w)["out"], jax.vmap(lambda w: f(x, w))(w))


@pytest.mark.parametrize("size", [(1, 3, 3), (2, 8, 5), (3, 9, 12)])
def test_sizes_known_at_run_time(mlxcc, tmp_path, size):
    x, w = normal(*size, 3), normal(4, 3, 3, 3)
    src = ("import nn;\nfn net(x, w) { return nn.MaxPool2d(2, stride=1, padding=1)(relu(conv2d(x, w, stride=2, padding=1))); }\n"
           "export fn main(x: f32[B, H, W, 3], w: f32[4, 3, 3, 3]) { return net(x, w), grad(|x, w| sum(square(net(x, w))), argnums=(0, 1))(x, w); }\n")
    f = reference(dict(padding=[(1, 1)] * 2, window_strides=[2, 2]))

    def net(x, w):
        return jax.lax.reduce_window(jax.nn.relu(f(x, w)), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 1, 1, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))

    def loss(x, w):
        return jnp.sum(net(x, w) ** 2)
    got = run(mlxcc, tmp_path, src, "main", interp=False, x=x, w=w)
    close(got["out0"], net(x, w))
    gx, gw = jax.grad(loss, argnums=(0, 1))(x, w)
    close(got["out1.0"] if "out1.0" in got else got["out1"], gx)
    close(got["out1.1"] if "out1.1" in got else got["out2"], gw)


def test_a_size_too_small_at_run_time_is_refused(mlxcc, tmp_path):
    import subprocess
    (tmp_path / "t.mx").write_text("export fn main(x: f32[B, L, 2], w: f32[3, 5, 2]) { return conv1d(x, w); }\n")
    for n, rc in ((5, 0), (4, 1)):
        np.save(tmp_path / "x.npy", normal(2, n, 2))
        np.save(tmp_path / "w.npy", normal(3, 5, 2))
        r = subprocess.run([mlxcc, "run", f"{tmp_path}/t.mx:main", f"x={tmp_path}/x.npy", f"w={tmp_path}/w.npy", f"--out={tmp_path}/o.npz"], capture_output=True, text=True)
        assert (r.returncode != 0) == bool(rc), r.stderr
        assert not rc or "L" in r.stderr, r.stderr


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("n,m", [(7, 3), (3, 7), (6, 4), (5, 5), (1, 4)])
def test_convolve(mlxcc, tmp_path, mode, n, m):
    a, v = normal(n), normal(m)
    got = run(mlxcc, tmp_path, f'export fn main(a: {type_of(a)}, v: {type_of(v)}) {{ return convolve(a, v, mode="{mode}"); }}', "main", a=a, v=v)["out"]
    close(got, np.convolve(a, v, mode))


def test_complex_and_integer_operands(mlxcc, tmp_path):
    x = (normal(1, 6, 2) + 1j * normal(1, 6, 2)).astype(np.complex64)
    w = (normal(3, 2, 2) + 1j * normal(3, 2, 2)).astype(np.complex64)
    src = "export fn main(x: c64[1, 6, 2], w: c64[3, 2, 2]) { return conv1d(x, w); }"
    close(run(mlxcc, tmp_path, src, "main", x=x, w=w)["out"], reference({})(x, w))
    i, k = rng.integers(-9, 9, (1, 6, 2), dtype=np.int32), rng.integers(-9, 9, (3, 2, 2), dtype=np.int32)
    got = run(mlxcc, tmp_path, src.replace("c64", "i32"), "main", x=i, w=k)["out"]
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, np.asarray(reference({})(i.astype(np.float32), k.astype(np.float32))))
