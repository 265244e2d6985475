"""A BERT-like encoder: 6 post-norm layers of width 384, 12 heads, inner width 1536, 128 tokens, batch 1 and 8."""
import numpy as np
from scipy.special import erf
from harness.workload import normal, workload

D, HEADS, INNER, LAYERS, T, EPS = 384, 12, 1536, 6, 128, 1e-12
HEAD = D // HEADS


def parameters(rng):
    net = {}
    for i in range(LAYERS):
        for name, out, inp in (("query", D, D), ("key", D, D), ("value", D, D), ("out", D, D), ("up", INNER, D), ("down", D, INNER)):
            net[f"layers.{i}.{name}.weight"] = normal(rng, out, inp, scale=inp ** -0.5)
            net[f"layers.{i}.{name}.bias"] = normal(rng, out, scale=0.02)
        for name in ("norm1", "norm2"):
            net[f"layers.{i}.{name}.weight"] = normal(rng, D, scale=0.1) + np.float32(1)
            net[f"layers.{i}.{name}.bias"] = normal(rng, D, scale=0.02)
    return net


def encode(net, x, linear, norm, attend, gelu):
    """The network in terms of a library's functions."""
    for i in range(LAYERS):
        def part(name, y):
            return linear(y, net[f"layers.{i}.{name}.weight"], net[f"layers.{i}.{name}.bias"])
        a = attend(part("query", x), part("key", x), part("value", x))
        x = norm(part("out", a) + x, net[f"layers.{i}.norm1.weight"], net[f"layers.{i}.norm1.bias"])
        x = norm(part("down", gelu(part("up", x))) + x, net[f"layers.{i}.norm2.weight"], net[f"layers.{i}.norm2.bias"])
    return x


def encoder(name, batch):
    def heads(x):
        return x.reshape(batch, T, HEADS, HEAD).swapaxes(1, 2)

    def attend_with(softmax, scale):
        def attend(q, k, v):
            a = softmax(heads(q) @ heads(k).swapaxes(-1, -2) * scale) @ heads(v)
            return a.swapaxes(1, 2).reshape(batch, T, D)
        return attend

    def in_numpy(net, x):
        kind = x.dtype.type

        def norm(y, w, b):
            c = y - y.mean(-1, keepdims=True)
            return c / np.sqrt((c * c).mean(-1, keepdims=True) + kind(EPS)) * w + b

        def softmax(s):
            e = np.exp(s - s.max(-1, keepdims=True))
            return e / e.sum(-1, keepdims=True)
        return encode(net, x, lambda y, w, b: y @ w.T + b, norm, attend_with(softmax, kind(HEAD ** -0.5)), lambda y: kind(0.5) * y * (1 + erf(y * kind(2 ** -0.5))))

    class Encoder:
        weights, baked = ("net",), ()
        tolerance = 3e-4
        flops = batch * LAYERS * (2 * T * (4 * D * D + 2 * D * INNER) + 4 * T * T * D)
        bytes = 4 * (LAYERS * (4 * D * D + 2 * D * INNER) + 2 * batch * T * D)

        def inputs(rng):
            return dict(net=parameters(rng), x=normal(rng, batch, T, D))

        def reference(net, x):
            return in_numpy(net, x)

        def numpy(np, net, x):
            return in_numpy(net, x)

        def torch(torch, net, x):
            F = torch.nn.functional

            def attend(q, k, v):
                q, k, v = (a.view(batch, T, HEADS, HEAD).transpose(1, 2) for a in (q, k, v))
                return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, T, D)
            return encode(net, x, F.linear, lambda y, w, b: F.layer_norm(y, (D,), w, b, EPS), attend, F.gelu)

        def jax(jax, net, x):
            jnp = jax.numpy

            def norm(y, w, b):
                return (y - y.mean(-1, keepdims=True)) * jax.lax.rsqrt(jnp.var(y, -1, keepdims=True) + EPS) * w + b
            return encode(net, x, lambda y, w, b: y @ w.T + b, norm, attend_with(jax.nn.softmax, HEAD ** -0.5), lambda y: jax.nn.gelu(y, approximate=False))

        def mlx(mx, net, x):
            import mlx.nn as nn

            def attend(q, k, v):
                return mx.fast.scaled_dot_product_attention(heads(q), heads(k), heads(v), scale=HEAD ** -0.5).swapaxes(1, 2).reshape(batch, T, D)
            return encode(net, x, lambda y, w, b: mx.addmm(b, y, w.T), lambda y, w, b: mx.fast.layer_norm(y, w, b, EPS), attend, nn.gelu)

        def onnx(g, net, x):
            def linear(y, w, b):
                return g.Add(g.MatMul(y, np.ascontiguousarray(w.T)), b)

            def attend(q, k, v):
                return g.MultiHeadAttention(q, k, v, domain="com.microsoft", num_heads=HEADS)

            class Sum(str):
                """A value's name that can be added to another."""
                def __add__(self, other):
                    return Sum(g.Add(str(self), str(other)))
            wrap = {"linear": lambda y, w, b: Sum(linear(y, w, b)), "norm": lambda y, w, b: Sum(g.LayerNormalization(str(y), w, b, axis=-1, epsilon=EPS))}
            return str(encode(net, x, wrap["linear"], wrap["norm"], attend, lambda y: g.Gelu(str(y))))
        skip = {"emx": "the weights would be 150 MB of C text"}
    Encoder.name, Encoder.title, Encoder.__module__ = name, f"encoder d 384, 6 layers, 128 tokens, batch {batch}", __name__
    return workload(Encoder)


encoder("encoder_b1", 1)
encoder("encoder_b8", 8)
