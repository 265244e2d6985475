"""Small models of the size that runs on microcontrollers, batch norms folded, random weights:
mlp, lenet5, dscnn (keyword spotting), resnet8, vww (MobileNet 0.25), ad (autoencoder), tfm (transformer block), lstm and gru.

Each network is written once, in terms of a library's layers (`lib`): conv, dense, relu, pools. NHWC here; torch and ONNX get NCHW.
"""
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import erf
from harness.recurrent import lstm_jax
from harness.workload import normal, workload


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: (before, after)."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Numpy:
    def __init__(self, net):
        self.net = net

    def conv(self, x, name, kernel, stride=1, groups=1, pads=None):
        w, b = self.net[name + ".weight"], self.net[name + ".bias"]
        (t, d), (left, right) = pads
        windows = sliding_window_view(np.pad(x, ((0, 0), (t, d), (left, right), (0, 0))), kernel, axis=(1, 2))[:, ::stride, ::stride]
        if groups > 1:
            return np.einsum("nhwcyx,cyx->nhwc", windows, w[..., 0]) + b
        return np.tensordot(windows, w, axes=([3, 4, 5], [3, 1, 2])) + b

    def dense(self, x, name):
        return x @ self.net[name + ".weight"].T + self.net[name + ".bias"]

    relu = staticmethod(lambda x: np.maximum(x, 0))
    add = staticmethod(lambda a, b: a + b)
    mean = staticmethod(lambda x: x.mean((1, 2)))
    flat = staticmethod(lambda x: x.reshape(len(x), -1))

    @staticmethod
    def max_pool(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    @staticmethod
    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


class Jax:
    def __init__(self, jax, net):
        self.jax, self.net = jax, net

    def conv(self, x, name, kernel, stride=1, groups=1, pads=None):
        w = self.net[name + ".weight"].transpose(1, 2, 3, 0)
        return self.jax.lax.conv_general_dilated(x, w, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups) + self.net[name + ".bias"]

    def dense(self, x, name):
        return x @ self.net[name + ".weight"].T + self.net[name + ".bias"]

    relu = staticmethod(lambda x: (x > 0) * x)
    add = staticmethod(lambda a, b: a + b)
    mean = staticmethod(lambda x: x.mean((1, 2)))
    flat = staticmethod(lambda x: x.reshape(len(x), -1))
    max_pool = staticmethod(Numpy.max_pool)

    def softmax(self, x):
        return self.jax.nn.softmax(x, axis=-1)


class Onnx:
    """In NCHW; what is flattened is brought back to NHWC order first, unless it has one pixel."""

    def __init__(self, g, net):
        self.g, self.net = g, net

    def conv(self, x, name, kernel, stride=1, groups=1, pads=None):
        w = np.ascontiguousarray(self.net[name + ".weight"].transpose(0, 3, 1, 2))
        (t, d), (left, right) = pads
        return self.g.Conv(x, w, self.net[name + ".bias"], kernel_shape=list(kernel), strides=[stride, stride], pads=[t, left, d, right], group=groups)

    def dense(self, x, name):
        return self.g.Gemm(x, self.net[name + ".weight"], self.net[name + ".bias"], transB=1)

    def relu(self, x):
        return self.g.Relu(x)

    def add(self, a, b):
        return self.g.Add(a, b)

    def mean(self, x):
        return self.g.Flatten(self.g.GlobalAveragePool(x))

    def flat(self, x):
        return self.g.Flatten(self.g.Transpose(x, perm=[0, 2, 3, 1]))

    def max_pool(self, x):
        return self.g.MaxPool(x, kernel_shape=[2, 2], strides=[2, 2])

    def softmax(self, x):
        return self.g.Softmax(x, axis=-1)


def conv_weights(net, rng, name, out, kernel, inp):
    net[name + ".weight"] = normal(rng, out, *kernel, inp, scale=(2 / (kernel[0] * kernel[1] * inp)) ** 0.5)
    net[name + ".bias"] = normal(rng, out, scale=0.05)


def dense_weights(net, rng, name, out, inp):
    net[name + ".weight"] = normal(rng, out, inp, scale=(2 / inp) ** 0.5)
    net[name + ".bias"] = normal(rng, out, scale=0.05)


class Tracer:
    """Runs a network on shapes only and makes its weights."""

    def __init__(self, rng):
        self.rng, self.net, self.macs = rng, {}, 0

    def conv(self, x, name, kernel, stride=1, groups=1, pads=None):
        conv_weights(self.net, self.rng, name, x[3] if groups > 1 else OUT[name], kernel, x[3] // groups)
        h, w = ((n + sum(p) - k) // stride + 1 for n, p, k in zip(x[1:3], pads, kernel))
        out = len(self.net[name + ".bias"])
        self.macs += h * w * out * kernel[0] * kernel[1] * x[3] // groups
        return (1, h, w, out)

    def dense(self, x, name):
        dense_weights(self.net, self.rng, name, OUT[name], x[-1])
        self.macs += x[-1] * OUT[name]
        return (1, OUT[name])

    relu = softmax = staticmethod(lambda x: x)
    add = staticmethod(lambda a, b: a)
    mean = staticmethod(lambda x: (1, x[3]))
    flat = staticmethod(lambda x: (1, int(np.prod(x))))
    max_pool = staticmethod(lambda x: (1, x[1] // 2, x[2] // 2, x[3]))


OUT = {}  # width of each layer of the network that is being traced


def network(name, title, shape, widths, forward):
    """A feed-forward network of convolutions and dense layers."""
    def trace(rng):
        OUT.clear()
        OUT.update(widths)
        t = Tracer(rng)
        forward(t, shape)
        return t
    counted = trace(np.random.default_rng(0))

    class Network:
        weights = ("net",)
        flops = 2 * counted.macs
        bytes = 4 * sum(v.size for v in counted.net.values())

        def inputs(rng):
            return dict(net=trace(rng).net, x=normal(rng, *shape))

        def reference(net, x):
            return forward(Numpy(net), x)

        def jax(jax, net, x):
            return forward(Jax(jax, net), x)

        def onnx_in(arrays):
            x = arrays["x"]
            return dict(net=arrays["net"], x=np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x)

        def onnx(g, net, x):
            return forward(Onnx(g, net), x)
    Network.name, Network.title, Network.__module__ = name, f"{title}, {counted.macs / 1e6:.3g} M MAC", __name__
    return workload(Network)


def mlp(lib, x):
    return lib.softmax(lib.dense(lib.relu(lib.dense(x, "l1")), "l2"))


def lenet5(lib, x):
    x = lib.max_pool(lib.relu(lib.conv(x, "c1", (5, 5), pads=((2, 2), (2, 2)))))
    x = lib.max_pool(lib.relu(lib.conv(x, "c2", (5, 5), pads=((0, 0), (0, 0)))))
    x = lib.relu(lib.dense(lib.flat(x), "f1"))
    return lib.softmax(lib.dense(lib.relu(lib.dense(x, "f2")), "f3"))


ONE, ZERO = ((1, 1), (1, 1)), ((0, 0), (0, 0))


def dscnn(lib, x):
    x = lib.relu(lib.conv(x, "c0", (10, 4), 2, pads=(same_padding(49, 10, 2), same_padding(10, 4, 2))))
    for i in range(1, 5):
        x = lib.relu(lib.conv(x, f"d{i}", (3, 3), groups=64, pads=ONE))
        x = lib.relu(lib.conv(x, f"p{i}", (1, 1), pads=ZERO))
    return lib.softmax(lib.dense(lib.mean(x), "f"))


def resnet8(lib, x):
    x = lib.relu(lib.conv(x, "c0", (3, 3), pads=ONE))
    size = 32
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        pad = same_padding(size, 3, stride)
        y = lib.relu(lib.conv(x, f"a{i}", (3, 3), stride, pads=(pad, pad)))
        y = lib.conv(y, f"b{i}", (3, 3), pads=ONE)
        x = lib.relu(lib.add(x if stride == 1 else lib.conv(x, f"s{i}", (1, 1), stride, pads=ZERO), y))
        size //= stride
    return lib.softmax(lib.dense(lib.mean(x), "f"))


VWW = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), *[(128, 128, 1)] * 5, (128, 256, 2), (256, 256, 1)]


def vww(lib, x):
    size, pad = 48, same_padding(96, 3, 2)
    x = lib.relu(lib.conv(x, "c0", (3, 3), 2, pads=(pad, pad)))
    for i, (inp, _, stride) in enumerate(VWW):
        pad = same_padding(size, 3, stride)
        x = lib.relu(lib.conv(x, f"d{i}", (3, 3), stride, groups=inp, pads=(pad, pad)))
        x = lib.relu(lib.conv(x, f"p{i}", (1, 1), pads=ZERO))
        size //= stride
    return lib.softmax(lib.dense(lib.mean(x), "f"))


def ad(lib, x):
    for i in range(9):
        x = lib.relu(lib.dense(x, f"l{i}"))
    return lib.dense(x, "l9")


network("mlp", "mlp 784-128-10", (1, 784), {"l1": 128, "l2": 10}, mlp)
network("lenet5", "lenet5 28x28", (1, 28, 28, 1), {"c1": 6, "c2": 16, "f1": 120, "f2": 84, "f3": 10}, lenet5)
network("dscnn", "dscnn 49x10", (1, 49, 10, 1), {"c0": 64, **{f"p{i}": 64 for i in range(1, 5)}, "f": 12}, dscnn)
network("resnet8", "resnet8 32x32x3", (1, 32, 32, 3), {"c0": 16, **{k + str(i): 8 << i for k in "abs" for i in (1, 2, 3)}, "f": 10}, resnet8)
network("vww", "vww, mobilenet 0.25, 96x96x3", (1, 96, 96, 3), {"c0": 8, **{f"p{i}": row[1] for i, row in enumerate(VWW)}, "f": 2}, vww)
network("ad", "ad, autoencoder 640", (1, 640), {f"l{i}": w for i, w in enumerate([128] * 4 + [8] + [128] * 4 + [640])}, ad)


# ---- a transformer block, 16 tokens of width 32, 2 heads ----

T, D, HEADS = 16, 32, 2


@workload
class tfm:
    title = "tfm, transformer block T 16, D 32"
    weights = ("net",)
    flops = 2 * T * 12 * D * D + 4 * T * T * D
    bytes = 4 * (12 * D * D + 2 * T * D)

    def inputs(rng):
        net = {}
        for name, out, inp in (("q", D, D), ("k", D, D), ("v", D, D), ("o", D, D), ("up", 4 * D, D), ("down", D, 4 * D)):
            dense_weights(net, rng, name, out, inp)
        for name in ("n1", "n2"):
            net[name + ".weight"], net[name + ".bias"] = normal(rng, D, scale=0.1) + np.float32(1), normal(rng, D, scale=0.05)
        return dict(net=net, x=normal(rng, 1, T, D))

    def reference(net, x):
        return block(x, lambda y, p: y @ net[p + ".weight"].T + net[p + ".bias"], lambda y, p: norm(np, y, net[p + ".weight"], net[p + ".bias"]), Numpy.softmax,
                     lambda y: 0.5 * y * (1 + erf(y / np.sqrt(2))))

    def jax(jax, net, x):
        return block(x, lambda y, p: y @ net[p + ".weight"].T + net[p + ".bias"], lambda y, p: norm(jax.numpy, y, net[p + ".weight"], net[p + ".bias"]),
                     lambda s: jax.nn.softmax(s, axis=-1), lambda y: jax.nn.gelu(y, approximate=False))

    def onnx(g, net, x):
        def linear(y, p):
            return g.Add(g.MatMul(y, np.ascontiguousarray(net[p + ".weight"].T)), net[p + ".bias"])

        def heads(y):
            return g.Transpose(g.Reshape(y, [1, T, HEADS, -1]), perm=[0, 2, 1, 3])

        def normed(y, p):
            return g.LayerNormalization(y, net[p + ".weight"], net[p + ".bias"], axis=-1, epsilon=1e-5)
        h = normed(x, "n1")
        s = g.Mul(g.MatMul(heads(linear(h, "q")), g.Transpose(heads(linear(h, "k")), perm=[0, 1, 3, 2])), np.array((D / HEADS) ** -0.5, np.float32))
        o = g.Reshape(g.Transpose(g.MatMul(g.Softmax(s, axis=-1), heads(linear(h, "v"))), perm=[0, 2, 1, 3]), [1, T, D])
        x = g.Add(x, linear(o, "o"))
        return g.Add(x, linear(g.Gelu(linear(normed(x, "n2"), "up")), "down"))


def norm(xp, x, w, b):
    c = x - x.mean(-1, keepdims=True)
    return c / xp.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * w + b


def block(x, linear, normed, softmax, gelu):
    def heads(y):
        return y.reshape(1, T, HEADS, -1).swapaxes(1, 2)
    h = normed(x, "n1")
    s = softmax(heads(linear(h, "q")) @ heads(linear(h, "k")).swapaxes(-1, -2) * (D / HEADS) ** -0.5)
    x = x + linear((s @ heads(linear(h, "v"))).swapaxes(1, 2).reshape(1, T, D), "o")
    return x + linear(gelu(linear(normed(x, "n2"), "up")), "down")


# ---- recurrent layers, 20 steps, 16 -> 32 ----

STEPS, I, H = 20, 16, 32


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def order(a, gates):
    """The gates' blocks in another order, with a leading axis for the direction, as ONNX has it."""
    return np.concatenate([np.split(a, len(gates))[i] for i in gates])[None]


class Recurrent:
    weights = ("net",)

    def onnx_in(arrays):
        return dict(net=arrays["net"], x=np.ascontiguousarray(arrays["x"].transpose(1, 0, 2)))

    def onnx_out(out):
        return out[:, 0].transpose(1, 0, 2)


@workload
class lstm_small(Recurrent):
    title = "lstm 16→32, 20 steps"
    flops, bytes = 2 * STEPS * 4 * H * (I + H), 4 * 4 * H * (I + H + 1)

    def inputs(rng):
        return dict(net={"Wx": normal(rng, 4 * H, I, scale=0.2), "Wh": normal(rng, 4 * H, H, scale=0.2), "bias": normal(rng, 4 * H, scale=0.2)}, x=normal(rng, 1, STEPS, I))

    def reference(net, x):
        h = c = np.zeros(H)
        out = np.empty((1, STEPS, H))
        for t in range(STEPS):
            i, f, g, o = np.split(net["Wx"] @ x[0, t] + net["bias"] + net["Wh"] @ h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            out[0, t] = h
        return out

    def jax(jax, net, x):
        return lstm_jax(jax, net, x, H)

    def onnx(g, net, x):
        gates = (0, 3, 1, 2)
        bias = np.concatenate([order(net["bias"], gates), np.zeros((1, 4 * H), np.float32)], axis=1)
        return g.LSTM(x, order(net["Wx"], gates), order(net["Wh"], gates), bias, hidden_size=H)


@workload
class gru_small(Recurrent):
    title = "gru 16→32, 20 steps"
    flops, bytes = 2 * STEPS * 3 * H * (I + H), 4 * 3 * H * (I + H + 1)

    def inputs(rng):
        return dict(net={"Wx": normal(rng, 3 * H, I, scale=0.2), "Wh": normal(rng, 3 * H, H, scale=0.2), "b": normal(rng, 3 * H, scale=0.2), "bhn": normal(rng, H, scale=0.2)},
                    x=normal(rng, 1, STEPS, I))

    def reference(net, x):
        h, out = np.zeros(H), np.empty((1, STEPS, H))
        for t in range(STEPS):
            xr, xz, xn = np.split(net["Wx"] @ x[0, t] + net["b"], 3)
            hr, hz, hn = np.split(net["Wh"] @ h, 3)
            r, z = sigmoid(xr + hr), sigmoid(xz + hz)
            n = np.tanh(xn + r * (hn + net["bhn"]))
            h = (1 - z) * n + z * h
            out[0, t] = h
        return out

    def jax(jax, net, x):
        jnp = jax.numpy

        def step(h, row):
            xr, xz, xn = jnp.split(row, 3)
            hr, hz, hn = jnp.split(net["Wh"] @ h, 3)
            r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
            h = (1 - z) * jnp.tanh(xn + r * (hn + net["bhn"])) + z * h
            return h, h
        return jax.lax.scan(step, jnp.zeros(H), x[0] @ net["Wx"].T + net["b"])[1][None]

    def onnx(g, net, x):
        gates = (1, 0, 2)
        recurrent = np.concatenate([np.zeros((1, 2 * H), np.float32), net["bhn"][None]], axis=1)
        return g.GRU(x, order(net["Wx"], gates), order(net["Wh"], gates), np.concatenate([order(net["b"], gates), recurrent], axis=1), hidden_size=H, linear_before_reset=1)
