"""Products of matrices: square, odd, batched, with a vector, in bf16, and a layer with bias and gelu."""
import ml_dtypes
import numpy as np
from scipy.special import erf
from harness.workload import normal, workload


def product(name, title, a_shape, b_shape, dtype=np.float32, tolerance=2e-4):
    """a @ b, both of them inputs."""
    m, k, n = a_shape[-2] if len(a_shape) > 1 else 1, a_shape[-1], b_shape[-1] if len(b_shape) > 1 else 1
    batch = a_shape[0] if len(a_shape) > 2 else 1

    class Product:
        def inputs(rng):
            return dict(a=normal(rng, *a_shape).astype(dtype), b=normal(rng, *b_shape).astype(dtype))

        def reference(a, b):
            return np.matmul(a, b)
    Product.name, Product.title, Product.tolerance, Product.__module__ = name, title, tolerance, __name__
    size = np.dtype(dtype).itemsize
    Product.flops, Product.bytes = 2 * batch * m * k * n, size * batch * (m * k + k * n + m * n)
    Product.torch = staticmethod(lambda torch, a, b: torch.matmul(a, b))
    Product.jax = staticmethod(lambda jax, a, b: jax.numpy.matmul(a, b))
    Product.mlx = staticmethod(lambda mx, a, b: mx.matmul(a, b))
    Product.onnx = staticmethod(lambda g, a, b: g.MatMul(a, b))
    if dtype == np.float32:
        Product.numpy = staticmethod(lambda np, a, b: np.matmul(a, b))

        def ggml_in(arrays):
            """ggml multiplies by rows: it gets b stored [n, k], as its weights are."""
            return dict(a=arrays["a"], b=np.ascontiguousarray(np.swapaxes(arrays["b"], -1, -2)))
        if len(b_shape) == 1:  # ONNX Runtime has a slow path for a vector; a column is the same product
            Product.onnx_in = staticmethod(lambda arrays: dict(a=arrays["a"], b=arrays["b"][:, None]))
            Product.onnx_out = staticmethod(lambda out: out[:, 0])
        if len(b_shape) > 1:
            Product.ggml_in = staticmethod(ggml_in)
            Product.ggml = staticmethod(lambda g, a, b: g.ggml_mul_mat(b, a))
        else:
            Product.ggml = staticmethod(lambda g, a, b: g.ggml_mul_mat(a, b))
    return workload(Product)


product("matmul_64_batched", "matmul 256 × 64³", (256, 64, 64), (256, 64, 64))
product("matmul_127", "matmul 127³", (127, 127), (127, 127))
product("matmul_512", "matmul 512³", (512, 512), (512, 512))
product("matmul_1024", "matmul 1024³", (1024, 1024), (1024, 1024))
product("matmul_2048", "matmul 2048³", (2048, 2048), (2048, 2048))
product("matmul_tall", "matmul [1000,37]x[37,411]", (1000, 37), (37, 411))
product("matmul_wide", "matmul [37,411]x[411,1000]", (37, 411), (411, 1000))
product("gemv", "matrix-vector 4096²", (4096, 4096), (4096,))
product("matmul_bf16", "matmul 1024³, bf16", (1024, 1024), (1024, 1024), ml_dtypes.bfloat16, 2e-2)


@workload
class linear_gelu:
    title = "linear + bias + gelu [128,768]x[768,3072]"
    weights = ("weight", "bias")
    flops, bytes, exps = 2 * 128 * 768 * 3072, 4 * (128 * 768 + 768 * 3072 + 128 * 3072), 128 * 3072

    def inputs(rng):
        return dict(x=normal(rng, 128, 768), weight=normal(rng, 3072, 768, scale=0.05), bias=normal(rng, 3072, scale=0.1))

    def reference(x, weight, bias):
        y = x @ weight.T + bias
        return 0.5 * y * (1 + erf(y / np.sqrt(2)))

    def numpy(np, x, weight, bias):
        y = x @ weight.T + bias
        return np.float32(0.5) * y * (1 + erf(y * np.float32(0.70710678)))

    def torch(torch, x, weight, bias):
        return torch.nn.functional.gelu(torch.nn.functional.linear(x, weight, bias))

    def jax(jax, x, weight, bias):
        return jax.nn.gelu(x @ weight.T + bias, approximate=False)

    def mlx(mx, x, weight, bias):
        import mlx.nn as nn
        return nn.gelu(mx.addmm(bias, x, weight.T))

    def onnx(g, x, weight, bias):
        return g.Gelu(g.Add(g.MatMul(x, np.ascontiguousarray(weight.T)), bias))

    def ggml(g, x, weight, bias):
        return g.ggml_gelu_erf(g.ggml_add(g.ggml_mul_mat(weight, x), bias))
