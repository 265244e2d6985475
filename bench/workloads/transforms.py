"""A Fourier transform of 2^16 complex numbers and Cholesky factors of 64 matrices of 64 x 64."""
import numpy as np
from harness.workload import normal, workload

N = 1 << 16


@workload
class fft_65536:
    title = "fft 2^16"
    bytes, flops = 2 * 8 * N, 5 * N * 16

    def inputs(rng):
        return dict(x=(normal(rng, N) + 1j * normal(rng, N)).astype(np.complex64))

    def reference(x):
        return np.fft.fft(x)

    def numpy(np, x):
        return np.fft.fft(x)

    def torch(torch, x):
        return torch.fft.fft(x)

    def jax(jax, x):
        return jax.numpy.fft.fft(x)

    def mlx(mx, x):
        return mx.fft.fft(x)


@workload
class cholesky_64:
    title = "cholesky 64 × 64²"
    bytes, flops = 2 * 4 * 64 ** 3, 64 ** 4 // 3

    def inputs(rng):
        a = normal(rng, 64, 64, 64)
        return dict(a=(a @ a.transpose(0, 2, 1) + 64 * np.eye(64)).astype(np.float32))

    def reference(a):
        return np.linalg.cholesky(a)

    def numpy(np, a):
        return np.linalg.cholesky(a)

    def torch(torch, a):
        return torch.linalg.cholesky(a)

    def jax(jax, a):
        return jax.lax.linalg.cholesky(a, symmetrize_input=False)

    def mlx(mx, a):
        return mx.linalg.cholesky(a)
