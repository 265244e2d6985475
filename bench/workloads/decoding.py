"""One token of a llama-like model at the end of a context of 256, in f32 and with 4-bit linear layers in the packing of quantised.py."""
import numpy as np
from harness.workload import normal, workload

D, HEADS, INNER, LAYERS, VOCAB, CTX, HEAD, EPS, GROUP = 512, 8, 1376, 8, 32000, 256, 64, 1e-5, 32
LINEAR = {"attn.q_proj": (D, D), "attn.k_proj": (D, D), "attn.v_proj": (D, D), "attn.o_proj": (D, D), "gate": (INNER, D), "up": (INNER, D), "down": (D, INNER)}
POS = CTX - 1


def pack(codes):
    parts = codes.reshape(codes.shape[0], -1, 8).astype(np.uint32)
    return (parts << (4 * np.arange(8, dtype=np.uint32))).sum(-1, dtype=np.uint32)


def unpack(packed):
    return ((packed[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15).astype(np.uint8).reshape(packed.shape[0], -1)


def dense(net, p, kind=np.float32):
    """The matrix of a 4-bit layer."""
    codes = unpack(np.asarray(net[p + ".weight"], np.uint32)).astype(kind) - 8
    return (codes.reshape(len(codes), -1, GROUP) * np.asarray(net[p + ".scales"], kind)[..., None]).reshape(len(codes), -1)


def linears():
    for i in range(LAYERS):
        for name, shape in LINEAR.items():
            yield f"layers.{i}.{name}", shape
    yield "head", (VOCAB, D)


def parameters(rng, quantised):
    net = {"embed.weight": normal(rng, VOCAB, D)}
    for p, (out, inp) in linears():
        if quantised:
            net[p + ".weight"] = pack(rng.integers(0, 16, (out, inp), dtype=np.uint8))
            net[p + ".scales"] = (inp ** -0.5 / 5 * (0.5 + rng.random((out, inp // GROUP)))).astype(np.float16).astype(np.float32)
            net[p + ".biases"] = -8 * net[p + ".scales"]
        else:
            net[p + ".weight"] = normal(rng, out, inp, scale=inp ** -0.5)
    for i in range(LAYERS):
        for name in ("norm1", "norm2"):
            net[f"layers.{i}.{name}.weight"] = normal(rng, D, scale=0.1) + np.float32(1)
    net["norm.weight"] = normal(rng, D, scale=0.1) + np.float32(1)
    return net


def decode(net, x, lib):
    """Logits from the embedding x [1, D], in terms of lib.linear, norm, rope_heads, heads, attend(i, q, k, v), silu."""
    for i in range(LAYERS):
        p = f"layers.{i}."
        h = lib.norm(x, net[p + "norm1.weight"])
        q, k, v = (lib.linear(h, p + f"attn.{n}_proj") for n in "qkv")
        x = lib.add(x, lib.linear(lib.attend(i, q, k, v), p + "attn.o_proj"))
        h = lib.norm(x, net[p + "norm2.weight"])
        x = lib.add(x, lib.linear(lib.mul(lib.silu(lib.linear(h, p + "gate")), lib.linear(h, p + "up")), p + "down"))
    return lib.linear(lib.norm(x, net["norm.weight"]), "head")


def angles(kind=np.float32):
    a = POS * 10000.0 ** (-np.arange(0, HEAD, 2) / HEAD)
    return np.cos(a).astype(kind), np.sin(a).astype(kind)


class Plain:
    """Libraries whose arrays have Python's operators; `net`, `matrix` and `cache` are theirs."""
    add = staticmethod(lambda a, b: a + b)
    mul = staticmethod(lambda a, b: a * b)

    def __init__(self, xp, net, cache, matrix, exp, kind=None):
        self.xp, self.cache, self.matrix, self.exp, self.kind = xp, cache, matrix, exp, kind

    def linear(self, x, p):
        return self.matrix(x, p)

    def norm(self, x, w):
        return x / self.xp.sqrt((x * x).mean(-1, keepdims=True) + EPS) * w

    def silu(self, x):
        return x / (1 + self.exp(-x))

    def rope(self, x):
        cos, sin = (self.xp.asarray(a) for a in angles(self.kind or np.float32))
        a, b = x[..., :HEAD // 2], x[..., HEAD // 2:]
        return self.xp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

    def attend(self, i, q, k, v):
        q, k, v = (a.reshape(HEADS, 1, HEAD) for a in (q, k, v))
        keys = self.xp.concatenate([self.cache["k"][i, 0, :, :POS], self.rope(k)], axis=1)
        values = self.xp.concatenate([self.cache["v"][i, 0, :, :POS], v], axis=1)
        s = (self.rope(q) @ keys.swapaxes(1, 2)) * HEAD ** -0.5
        e = self.exp(s - s.max(-1, keepdims=True))
        return ((e / e.sum(-1, keepdims=True)) @ values).reshape(1, D)


def model(name, title, quantised):
    class Decode:
        weights, baked = ("net",), ()
        tolerance = {"": 5e-4, "ort": 4e-2, "torch": 4e-2, "torch.compile": 4e-2, "ggml": 4e-2} if quantised else {"": 5e-4, "ggml": 2e-3}
        _size = sum(a * b for _, (a, b) in linears())
        bytes = (_size // 2 + _size // GROUP * 4 if quantised else 4 * _size) + 4 * 2 * LAYERS * CTX * D

        def inputs(rng):
            cache = {k: normal(rng, LAYERS, 1, HEADS, CTX, HEAD) for k in "kv"}
            return dict(net=parameters(rng, quantised), cache=cache, token=np.array([17], np.int32), pos=np.array(POS, np.int32))

        def reference(net, cache, token, pos):
            def matrix(x, p):
                return x @ (dense(net, p, np.float64) if quantised else net[p + ".weight"]).T
            return decode(net, net["embed.weight"][token], Plain(np, net, cache, matrix, np.exp, np.float64))

        def jax(jax, net, cache, token, pos):
            jnp = jax.numpy

            def matrix(x, p):
                w = net[p + ".weight"]
                if quantised:
                    codes = ((w[..., None] >> (4 * jnp.arange(8, dtype=jnp.uint32))) & 15).reshape(len(w), -1, GROUP).astype(jnp.float32)
                    w = ((codes - 8) * net[p + ".scales"][..., None]).reshape(len(w), -1)
                return x @ w.T
            return decode(net, net["embed.weight"][token], Plain(jnp, net, cache, matrix, jnp.exp))

        def mlx(mx, net, cache, token, pos):
            import mlx.nn as nn

            class Mlx(Plain):
                silu = staticmethod(nn.silu)
                norm = staticmethod(lambda x, w: mx.fast.rms_norm(x, w, EPS))

                def linear(self, x, p):
                    w = net[p + ".weight"]
                    return mx.quantized_matmul(x, w, net[p + ".scales"], net[p + ".biases"], True, GROUP, 4) if quantised else x @ w.T

                def attend(self, i, q, k, v):
                    q, k, v = (a.reshape(1, HEADS, 1, HEAD) for a in (q, k, v))
                    q, k = (mx.fast.rope(a, HEAD, traditional=False, base=10000.0, scale=1.0, offset=POS) for a in (q, k))
                    keys = mx.concatenate([cache["k"][i][:, :, :POS], k], axis=2)
                    values = mx.concatenate([cache["v"][i][:, :, :POS], v], axis=2)
                    return mx.fast.scaled_dot_product_attention(q, keys, values, scale=HEAD ** -0.5).reshape(1, D)
            return decode(net, net["embed.weight"][token], Mlx(mx, net, cache, None, mx.exp))

        def torch_build(torch, arrays, compiled):
            F = torch.nn.functional
            given = arrays["net"]
            net = {k: torch.from_numpy(v) for k, v in given.items() if v.dtype == np.float32 and not k.endswith((".scales", ".biases"))}
            packed = {}
            if quantised:
                for p, _ in linears():
                    scales = torch.from_numpy(given[p + ".scales"]).to(torch.bfloat16).t().contiguous()
                    codes = torch.from_numpy(unpack(given[p + ".weight"]).astype(np.int32))
                    packed[p] = (torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1), torch.stack([scales, torch.zeros_like(scales)], -1).contiguous())
            cache = {k: torch.from_numpy(v.copy()) for k, v in arrays["cache"].items()}
            token, cos, sin = torch.from_numpy(arrays["token"]), *(torch.from_numpy(a) for a in angles())

            class Torch(Plain):
                silu = staticmethod(F.silu)
                norm = staticmethod(lambda x, w: F.rms_norm(x, (D,), w, EPS))

                def __init__(self, net, packed, cache):
                    self.net, self.packed, self.cache = net, packed, cache

                def linear(self, x, p):
                    if quantised:
                        return torch.ops.aten._weight_int4pack_mm_for_cpu(x.to(torch.bfloat16), self.packed[p][0], GROUP, self.packed[p][1]).float()
                    return F.linear(x, self.net[p + ".weight"])

                def rope(self, x):
                    a, b = x.chunk(2, -1)
                    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

                def attend(self, i, q, k, v):
                    q, k, v = (a.view(1, HEADS, 1, HEAD) for a in (q, k, v))
                    self.cache["k"][i][:, :, POS:POS + 1] = self.rope(k)
                    self.cache["v"][i][:, :, POS:POS + 1] = v
                    return F.scaled_dot_product_attention(self.rope(q), self.cache["k"][i], self.cache["v"][i]).reshape(1, D)

            def forward(net, packed, cache, token):
                return decode(net, F.embedding(token, net["embed.weight"]), Torch(net, packed, cache))
            run, box = torch.compile(forward) if compiled else forward, [None]

            def call():
                with torch.no_grad():
                    box[0] = run(net, packed, cache, token)
            return call, lambda: box

        def onnx_in(arrays):
            past = {f"{k}{i}": np.ascontiguousarray(arrays["cache"][k][i, :, :, :POS]) for k in "kv" for i in range(LAYERS)}
            return dict(net=arrays["net"], token=arrays["token"], **past)

        def onnx(g, net, token, *past):
            cos, sin = (np.concatenate([a, a]) for a in angles())

            class Onnx:
                add, mul = staticmethod(g.Add), staticmethod(g.Mul)
                silu = staticmethod(lambda x: g.Mul(x, g.Sigmoid(x)))
                norm = staticmethod(lambda x, w: g.SimplifiedLayerNormalization(x, w, axis=-1, epsilon=EPS))

                @staticmethod
                def linear(x, p):
                    w = net[p + ".weight"]
                    if quantised:
                        out, inp = len(w), 8 * w.shape[1]
                        codes = unpack(w).reshape(out, inp // GROUP, GROUP)
                        return g.MatMulNBits(x, codes[..., 0::2] | codes[..., 1::2] << 4, net[p + ".scales"].reshape(-1), domain="com.microsoft", K=inp, N=out, bits=4,
                                             block_size=GROUP, accuracy_level=4)
                    return g.MatMul(x, np.ascontiguousarray(w.T))

                @staticmethod
                def rope(x):
                    a, b = g.Split(x, outputs=2, axis=-1, num_outputs=2)
                    return g.Add(g.Mul(x, cos), g.Mul(g.Concat(g.Neg(b), a, axis=-1), sin))

                @classmethod
                def attend(cls, i, q, k, v):
                    q, k, v = (g.Reshape(a, [1, HEADS, 1, HEAD]) for a in (q, k, v))
                    keys, values = g.Concat(past[i], cls.rope(k), axis=2), g.Concat(past[LAYERS + i], v, axis=2)
                    s = g.Mul(g.MatMul(cls.rope(q), g.Transpose(keys, perm=[0, 1, 3, 2])), np.array(HEAD ** -0.5, np.float32))
                    return g.Reshape(g.MatMul(g.Softmax(s, axis=-1), values), [1, D])
            return decode(net, g.Gather(net["embed.weight"], token, axis=0), Onnx)

        def ggml_in(arrays):
            net = dict(arrays["net"])
            if quantised:
                for p, (out, inp) in linears():
                    codes = unpack(net[p + ".weight"]).reshape(out, inp // GROUP, GROUP)
                    blocks = np.empty((out, inp // GROUP, 18), np.uint8)
                    blocks[..., :2] = net.pop(p + ".scales").astype(np.float16)[..., None].view(np.uint8)
                    blocks[..., 2:] = codes[..., :16] | codes[..., 16:] << 4
                    net[p + ".weight"] = ("q4_0", (out, inp), blocks)
                    net.pop(p + ".biases")
            return dict(net=net, cache={k: v.reshape(-1, CTX, HEAD) for k, v in arrays["cache"].items()}, token=arrays["token"], pos=arrays["pos"].reshape(1))

        def ggml(g, net, cache, token, pos):
            class Ggml:
                add, mul, silu = staticmethod(g.ggml_add), staticmethod(g.ggml_mul), staticmethod(g.ggml_silu)
                norm = staticmethod(lambda x, w: g.ggml_mul(g.ggml_rms_norm(x, EPS), w))
                linear = staticmethod(lambda x, p: g.ggml_mul_mat(net[p + ".weight"], x))

                @staticmethod
                def layer(c, i, first, count):
                    row, layer = 4 * HEAD, 4 * HEADS * CTX * HEAD
                    return g.ggml_view_3d(c, HEAD, count, HEADS, row, row * CTX, layer * i + row * first)

                @classmethod
                def attend(cls, i, q, k, v):
                    q, k, v = (g.ggml_reshape_3d(a, HEAD, HEADS, 1) for a in (q, k, v))
                    q, k = (g.ggml_rope(a, pos, HEAD, 2) for a in (q, k))
                    q, k, v = (g.ggml_permute(a, 0, 2, 1, 3) for a in (q, k, v))
                    g.first(g.ggml_cpy(k, cls.layer(cache["k"], i, POS, 1)))
                    g.first(g.ggml_cpy(v, cls.layer(cache["v"], i, POS, 1)))
                    o = g.ggml_flash_attn_ext(q, cls.layer(cache["k"], i, 0, CTX), cls.layer(cache["v"], i, 0, CTX), None, HEAD ** -0.5, 0.0, 0.0)
                    return g.ggml_reshape_2d(o, D, 1)
            return decode(net, g.ggml_get_rows(net["embed.weight"], token), Ggml)
        skip = {"emx": "the weights would be 500 MB of C text", **({"iree": "constant folding makes the matrices dense", "jax": "constant folding makes the matrices dense"} if quantised else {})}
    Decode.name, Decode.title, Decode.__module__ = name, title, __name__
    return workload(Decode)


model("decode", "llama decode of a token, 42 M parameters, f32", False)
model("decode_q4", "llama decode of a token, 42 M parameters, 4-bit", True)
