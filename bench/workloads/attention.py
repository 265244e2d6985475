"""Scaled dot-product attention of a short causal, a short full and a long sequence; heads of 64."""
import numpy as np
from harness.workload import normal, workload

D = 64


def attention(name, title, heads, length, causal):
    class Attention:
        # Least work: a causal row sees half of the keys.
        flops = 4 * heads * length * length * D // (2 if causal else 1)
        exps = heads * length * length // (2 if causal else 1)
        bytes = 4 * 4 * heads * length * D

        def inputs(rng):
            return {k: normal(rng, 1, heads, length, D) for k in "qkv"}

        def reference(q, k, v):
            out = np.empty_like(q)
            for h in range(heads):
                s = q[0, h] @ k[0, h].T / np.sqrt(D)
                if causal:
                    s = np.where(np.tril(np.ones((length, length), bool)), s, -np.inf)
                e = np.exp(s - s.max(-1, keepdims=True))
                out[0, h] = e @ v[0, h] / e.sum(-1, keepdims=True)
            return out

        def numpy(np, q, k, v):
            s = q @ k.swapaxes(-1, -2) * np.float32(D ** -0.5)
            if causal:
                s = np.where(np.tril(np.ones((length, length), bool)), s, np.float32(-np.inf))
            e = np.exp(s - s.max(-1, keepdims=True))
            return (e / e.sum(-1, keepdims=True)) @ v

        def torch(torch, q, k, v):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

        def jax(jax, q, k, v):
            jnp = jax.numpy
            s = jnp.einsum("bhqd,bhkd->bhqk", q, k) * D ** -0.5
            if causal:
                s = jnp.where(jnp.tril(jnp.ones((length, length), bool)), s, -jnp.inf)
            return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(s, axis=-1), v)

        def mlx(mx, q, k, v):
            return mx.fast.scaled_dot_product_attention(q, k, v, scale=D ** -0.5, mask="causal" if causal else None)

        def onnx(g, q, k, v):
            return g.MultiHeadAttention(q, k, v, domain="com.microsoft", num_heads=heads, unidirectional=int(causal))

        def onnx_in(arrays):
            """[batch, length, heads * D], as MultiHeadAttention takes it: no transposes in the timed part."""
            return {k: np.ascontiguousarray(v.transpose(0, 2, 1, 3).reshape(1, length, heads * D)) for k, v in arrays.items()}

        def onnx_out(out):
            return out.reshape(1, length, heads, D).transpose(0, 2, 1, 3)

        def ggml(g, q, k, v):
            return g.attention(q, k, v, D ** -0.5, causal)

        def ggml_out(out):
            return np.ascontiguousarray(out.reshape(1, length, heads, D).transpose(0, 2, 1, 3))
    if length > 1024:
        Attention.skip = {p: "its scores are 2 GB at a time" for p in ("numpy", "jax")}
    Attention.name, Attention.title, Attention.__module__ = name, title, __name__
    return workload(Attention)


attention("attention_causal", "attention 1x12x512x64, causal", 12, 512, True)
attention("attention_full", "attention 1x12x512x64", 12, 512, False)
attention("attention_long", "attention 1x32x4096x64", 32, 4096, False)
