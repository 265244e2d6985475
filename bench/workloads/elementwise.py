"""One fused chain over four million elements: gelu, sigmoid, tanh, exp; as reference also the smallest call that there is."""
import numpy as np
from scipy.special import erf
from harness.workload import normal, workload

N = 4 * 1024 * 1024


@workload
class ew_chain:
    title = "gelu, sigmoid, tanh, exp chain, 4M"
    bytes, exps = 3 * 4 * N, 4 * N

    def inputs(rng):
        return dict(x=normal(rng, N), y=normal(rng, N))

    def reference(x, y):
        return 0.5 * x * (1 + erf(x / np.sqrt(2))) / (1 + np.exp(-y)) + np.tanh(x - y) * np.exp(-y * y)

    def numpy(np, x, y):
        return np.float32(0.5) * x * (1 + erf(x * np.float32(0.70710678))) / (1 + np.exp(-y)) + np.tanh(x - y) * np.exp(-y * y)

    def torch(torch, x, y):
        return torch.nn.functional.gelu(x) * torch.sigmoid(y) + torch.tanh(x - y) * torch.exp(-y * y)

    def jax(jax, x, y):
        return jax.nn.gelu(x, approximate=False) * jax.nn.sigmoid(y) + jax.numpy.tanh(x - y) * jax.numpy.exp(-y * y)

    def mlx(mx, x, y):
        import mlx.nn as nn
        return nn.gelu(x) * mx.sigmoid(y) + mx.tanh(x - y) * mx.exp(-y * y)

    def onnx(g, x, y):
        return g.Add(g.Mul(g.Gelu(x), g.Sigmoid(y)), g.Mul(g.Tanh(g.Sub(x, y)), g.Exp(g.Neg(g.Mul(y, y)))))


@workload
class call_overhead:
    title = "x + 1 on 16 elements (cost of a call)"
    bytes = 128

    def inputs(rng):
        return dict(x=normal(rng, 16))

    def reference(x):
        return x + 1

    def numpy(np, x):
        return x + np.float32(1)

    def torch(torch, x):
        return x + 1

    def jax(jax, x):
        return x + 1

    def mlx(mx, x):
        return x + 1

    def onnx(g, x):
        return g.Add(x, np.array(1, np.float32))
