"""Functions of the rows of a matrix: softmax, the norms, sums, logsumexp."""
import numpy as np
from harness.workload import normal, workload

ROWS, COLS, SQUARE = 4096, 1024, 4096


class Norm:
    bytes = 2 * 4 * ROWS * COLS

    def inputs(rng):
        return dict(x=normal(rng, ROWS, COLS), weight=normal(rng, COLS, scale=0.1) + np.float32(1), bias=normal(rng, COLS, scale=0.1))
    weights = ("weight", "bias")


@workload
class softmax:
    title = "softmax [4096,1024]"
    bytes, exps = 2 * 4 * ROWS * COLS, ROWS * COLS

    def inputs(rng):
        return dict(x=normal(rng, ROWS, COLS, scale=2.0))

    def reference(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    numpy = staticmethod(lambda np, x: softmax.reference(x))

    def torch(torch, x):
        return torch.softmax(x, -1)

    def jax(jax, x):
        return jax.nn.softmax(x, axis=-1)

    def mlx(mx, x):
        return mx.softmax(x, axis=-1)

    def onnx(g, x):
        return g.Softmax(x, axis=-1)

    def ggml(g, x):
        return g.ggml_soft_max(x)


@workload
class layer_norm(Norm):
    title = "layer_norm [4096,1024]"

    def reference(x, weight, bias):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * weight + bias

    def numpy(np, x, weight, bias):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-5)) * weight + bias

    def torch(torch, x, weight, bias):
        return torch.nn.functional.layer_norm(x, (COLS,), weight, bias, 1e-5)

    def jax(jax, x, weight, bias):
        mean = x.mean(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(jax.numpy.var(x, -1, keepdims=True) + 1e-5) * weight + bias

    def mlx(mx, x, weight, bias):
        return mx.fast.layer_norm(x, weight, bias, 1e-5)

    def onnx(g, x, weight, bias):
        return g.LayerNormalization(x, weight, bias, axis=-1, epsilon=1e-5)

    def ggml(g, x, weight, bias):
        return g.ggml_add(g.ggml_mul(g.ggml_norm(x, 1e-5), weight), bias)


@workload
class rms_norm(Norm):
    title = "rms_norm [4096,1024]"
    weights = ("weight",)

    def inputs(rng):
        return dict(x=normal(rng, ROWS, COLS), weight=normal(rng, COLS, scale=0.1) + np.float32(1))

    def reference(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight

    def numpy(np, x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5)) * weight

    def torch(torch, x, weight):
        return torch.nn.functional.rms_norm(x, (COLS,), weight, 1e-5)

    def jax(jax, x, weight):
        return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight

    def mlx(mx, x, weight):
        return mx.fast.rms_norm(x, weight, 1e-5)

    def onnx(g, x, weight):
        return g.SimplifiedLayerNormalization(x, weight, axis=-1, epsilon=1e-5)

    def ggml(g, x, weight):
        return g.ggml_mul(g.ggml_rms_norm(x, 1e-5), weight)


class Sum:
    bytes = 4 * SQUARE * SQUARE

    def inputs(rng):
        return dict(x=rng.random((SQUARE, SQUARE), dtype=np.float32))


def sums(name, title, axis):
    """One workload: the sum over `axis`, None meaning all."""
    class Chosen(Sum):
        pass
    Chosen.name, Chosen.title, Chosen.__module__ = name, title, __name__
    Chosen.reference = staticmethod(lambda x: x.sum(axis=axis))
    Chosen.numpy = staticmethod(lambda np, x: x.sum(axis=axis))
    Chosen.torch = staticmethod(lambda torch, x: x.sum() if axis is None else x.sum(axis))
    Chosen.jax = staticmethod(lambda jax, x: x.sum(axis=axis))
    Chosen.mlx = staticmethod(lambda mx, x: mx.sum(x, axis=axis))
    Chosen.onnx = staticmethod(lambda g, x: g.ReduceSum(x, *([] if axis is None else [[axis]]), keepdims=0))
    if axis == 1:
        Chosen.ggml = staticmethod(lambda g, x: g.ggml_sum_rows(x))
    elif axis is None:
        Chosen.ggml = staticmethod(lambda g, x: g.ggml_sum(x))
    return workload(Chosen)


sums("sum_all", "sum of [4096,4096]", None)
sums("sum_axis0", "sum over axis 0, [4096,4096]", 0)
sums("sum_axis1", "sum over axis 1, [4096,4096]", 1)


@workload
class logsumexp(Sum):
    title = "logsumexp over rows, [4096,4096]"
    exps = SQUARE * SQUARE

    def inputs(rng):
        return dict(x=normal(rng, SQUARE, SQUARE))

    def reference(x):
        m = x.max(-1)
        return m + np.log(np.exp(x - m[:, None]).sum(-1))

    numpy = staticmethod(lambda np, x: logsumexp.reference(x))

    def torch(torch, x):
        return torch.logsumexp(x, -1)

    def jax(jax, x):
        return jax.nn.logsumexp(x, axis=-1)

    def mlx(mx, x):
        return mx.logsumexp(x, axis=-1)

    def onnx(g, x):
        return g.ReduceLogSumExp(x, [1], keepdims=0)
