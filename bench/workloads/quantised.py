"""A vector times a 4-bit matrix, 4096², groups of 32: values (q - 8) * scale with scales that f16 holds, so every peer's format means the same matrix."""
import numpy as np
from harness.workload import normal, workload

N, GROUP = 4096, 32


def random_codes(rng, rows, cols):
    """4-bit codes [rows, cols] and scales [rows, cols / GROUP]."""
    codes = rng.integers(0, 16, (rows, cols), dtype=np.uint8)
    scales = (0.01 + 0.02 * rng.random((rows, cols // GROUP))).astype(np.float16).astype(np.float32)
    return codes, scales


def pack_mlx(codes):
    """Eight codes in a u32, the first in the lowest bits."""
    parts = codes.reshape(codes.shape[0], -1, 8).astype(np.uint32)
    return (parts << (4 * np.arange(8, dtype=np.uint32))).sum(-1, dtype=np.uint32)


def unpack_mlx(packed):
    return ((packed[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15).astype(np.uint8).reshape(packed.shape[0], -1)


def matrix(packed, scales, kind=np.float64):
    codes = unpack_mlx(np.asarray(packed, np.uint32)).astype(kind) - 8
    return (codes.reshape(len(codes), -1, GROUP) * np.asarray(scales, kind)[..., None]).reshape(len(codes), -1)


@workload
class q4_matvec:
    title = "4-bit matrix-vector 4096², group 32"
    weights = ("w", "scales", "biases")
    flops, bytes = 0, N * N // 2 + 2 * N * N // GROUP + 8 * N
    # Results differ by how activations are rounded: to int8 in ggml and in ONNX Runtime at this accuracy level, to bf16 in torch, not at all elsewhere.
    tolerance = {"": 2e-4, "ort": 2e-2, "torch": 2e-2, "torch.compile": 2e-2, "ggml": 2e-2}

    def inputs(rng):
        codes, scales = random_codes(rng, N, N)
        return dict(x=normal(rng, 1, N), w=pack_mlx(codes), scales=scales, biases=-8 * scales)

    def reference(x, w, scales, biases):
        return x @ matrix(w, scales).T

    def mlx(mx, x, w, scales, biases):
        return mx.quantized_matmul(x, w, scales, biases, transpose=True, group_size=GROUP, bits=4)

    def torch_in(arrays):
        w = matrix(arrays["w"], arrays["scales"], np.float32)
        return dict(x=arrays["x"], codes=unpack_mlx(arrays["w"]), scales=arrays["scales"], w=w)

    def torch_build(torch, arrays, compiled):
        """aten's int4 kernel; its activations are bf16."""
        codes = torch.from_numpy(arrays["codes"].astype(np.int32))
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        scales = torch.from_numpy(arrays["scales"]).to(torch.bfloat16).t().contiguous()
        both = torch.stack([scales, torch.zeros_like(scales)], -1).contiguous()
        x = torch.from_numpy(arrays["x"])

        def f(x, packed, both):
            return torch.ops.aten._weight_int4pack_mm_for_cpu(x.to(torch.bfloat16), packed, GROUP, both).float()
        run = torch.compile(f) if compiled else f
        box = [None]

        def call():
            with torch.inference_mode():
                box[0] = run(x, packed, both)
        return call, lambda: box

    def jax(jax, x, w, scales, biases):
        jnp = jax.numpy
        codes = (w[..., None] >> (4 * jnp.arange(8, dtype=jnp.uint32))) & 15
        codes = codes.reshape(N, N // GROUP, GROUP).astype(jnp.float32)
        return x @ ((codes - 8) * scales[..., None]).reshape(N, N).T
    skip = {"iree": "constant folding of the dequantised matrix makes it a dense product of 64 MB"}

    def onnx_in(arrays):
        codes = unpack_mlx(arrays["w"]).reshape(N, N // GROUP, GROUP)
        return dict(x=arrays["x"], w=codes[..., 0::2] | codes[..., 1::2] << 4, scales=arrays["scales"].reshape(-1), biases=arrays["biases"])

    def onnx(g, x, w, scales, biases):
        return g.MatMulNBits(x, w, scales, domain="com.microsoft", K=N, N=N, bits=4, block_size=GROUP, accuracy_level=4)

    def ggml(g, x, w, scales, biases):
        return g.ggml_mul_mat(w, x)

    def ggml_in(arrays):
        """q4_0: an f16 scale, then 16 bytes: code i low, code i + 16 high."""
        codes = unpack_mlx(arrays["w"]).reshape(N, N // GROUP, GROUP)
        blocks = np.empty((N, N // GROUP, 18), np.uint8)
        blocks[..., :2] = arrays["scales"].astype(np.float16)[..., None].view(np.uint8)
        blocks[..., 2:] = codes[..., :16] | codes[..., 16:] << 4
        return dict(x=arrays["x"], w=("q4_0", (N, N), blocks), scales=np.zeros(1, np.float32), biases=np.zeros(1, np.float32))
