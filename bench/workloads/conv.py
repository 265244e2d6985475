"""Convolutions of one image: 3x3, 1x1, depthwise, and a bottleneck block of ResNet-50 with folded batch norms. Each peer gets the layout it prefers."""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from harness.workload import normal, workload


def conv_reference(x, w, groups=1):
    """Same-size convolution, NHWC and OHWI."""
    pad = w.shape[1] // 2
    windows = sliding_window_view(np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0))), w.shape[1:3], axis=(1, 2))  # N H W C kh kw
    if groups > 1:
        return np.einsum("nhwcyx,cyx->nhwc", windows, w[..., 0], optimize=True)
    return np.tensordot(windows, w, axes=([3, 4, 5], [3, 1, 2]))


def to_nchw(arrays):
    """NHWC and OHWI to NCHW and OIHW."""
    return {k: np.ascontiguousarray(v.transpose(0, 3, 1, 2)) if v.ndim == 4 else v for k, v in arrays.items()}


def to_hwio(arrays):
    return {k: v if k == "x" or v.ndim != 4 else np.ascontiguousarray(v.transpose(1, 2, 3, 0)) for k, v in arrays.items()}


def jax_conv(jax, x, w, groups=1):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)


class Nchw:
    """torch and ONNX Runtime compute in NCHW; JAX and IREE in NHWC with HWIO weights."""
    torch_in = onnx_in = ggml_in = staticmethod(to_nchw)
    torch_out = onnx_out = ggml_out = staticmethod(lambda y: y.transpose(0, 2, 3, 1))
    jax_in = staticmethod(to_hwio)


def conv(name, title, size, channels, kernel, groups=1):
    class Conv(Nchw):
        weights = ("weight",)
        flops = 2 * size * size * channels * kernel * kernel * (channels // groups)
        bytes = 4 * (2 * size * size * channels + channels * kernel * kernel * channels // groups)

        def inputs(rng):
            return dict(x=normal(rng, 1, size, size, channels), weight=normal(rng, channels, kernel, kernel, channels // groups, scale=0.1))

        def reference(x, weight):
            return conv_reference(x, weight, groups)

        def torch(torch, x, weight):
            return torch.nn.functional.conv2d(x, weight, padding=kernel // 2, groups=groups)

        def jax(jax, x, weight):
            return jax_conv(jax, x, weight, groups)

        def mlx(mx, x, weight):
            return mx.conv2d(x, weight, padding=kernel // 2, groups=groups)

        def onnx(g, x, weight):
            return g.Conv(x, weight, pads=[kernel // 2] * 4, group=groups)
    if groups == 1:
        Conv.numpy = staticmethod(lambda np, x, weight: conv_reference(x, weight))
        Conv.ggml = staticmethod(lambda g, x, weight: g.ggml_conv_2d(weight, x, 1, 1, kernel // 2, kernel // 2, 1, 1))
    Conv.name, Conv.title, Conv.__module__ = name, title, __name__
    if groups > 1:
        Conv.flops = 0  # bound by memory; the dot rate is no measure for it
    return workload(Conv)


conv("conv_3x3", "conv 3x3 64→64, 56²", 56, 64, 3)
conv("conv_1x1", "conv 1x1 64→64, 56²", 56, 64, 1)
conv("conv_depthwise", "depthwise 3x3, 32 channels, 48²", 48, 32, 3, groups=32)


@workload
class resnet_block(Nchw):
    title = "ResNet-50 block 256→64→64→256, 56²"
    weights = ("w1", "b1", "w2", "b2", "w3", "b3")
    flops = 2 * 56 * 56 * (256 * 64 + 9 * 64 * 64 + 64 * 256)
    bytes = 4 * (2 * 56 * 56 * 256 + 2 * 256 * 64 + 9 * 64 * 64)

    def inputs(rng):
        return dict(x=normal(rng, 1, 56, 56, 256), w1=normal(rng, 64, 1, 1, 256, scale=0.06), b1=normal(rng, 64, scale=0.1),
                    w2=normal(rng, 64, 3, 3, 64, scale=0.04), b2=normal(rng, 64, scale=0.1), w3=normal(rng, 256, 1, 1, 64, scale=0.12), b3=normal(rng, 256, scale=0.1))

    def reference(x, w1, b1, w2, b2, w3, b3):
        h = np.maximum(conv_reference(x, w1) + b1, 0)
        h = np.maximum(conv_reference(h, w2) + b2, 0)
        return np.maximum(conv_reference(h, w3) + b3 + x, 0)

    def torch(torch, x, w1, b1, w2, b2, w3, b3):
        conv = torch.nn.functional.conv2d
        h = torch.relu(conv(x, w1, b1))
        h = torch.relu(conv(h, w2, b2, padding=1))
        return torch.relu(conv(h, w3, b3) + x)

    def jax(jax, x, w1, b1, w2, b2, w3, b3):
        h = jax.nn.relu(jax_conv(jax, x, w1) + b1)
        h = jax.nn.relu(jax_conv(jax, h, w2) + b2)
        return jax.nn.relu(jax_conv(jax, h, w3) + b3 + x)

    def mlx(mx, x, w1, b1, w2, b2, w3, b3):
        h = mx.maximum(mx.conv2d(x, w1) + b1, 0)
        h = mx.maximum(mx.conv2d(h, w2, padding=1) + b2, 0)
        return mx.maximum(mx.conv2d(h, w3) + b3 + x, 0)

    def onnx(g, x, w1, b1, w2, b2, w3, b3):
        h = g.Relu(g.Conv(x, w1, b1))
        h = g.Relu(g.Conv(h, w2, b2, pads=[1, 1, 1, 1]))
        return g.Relu(g.Add(g.Conv(h, w3, b3), x))
