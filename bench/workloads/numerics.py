"""Sorting, Fourier transform, Cholesky factors, an LSTM: what is neither dot nor element-wise."""
import numpy as np
from harness.recurrent import lstm_jax
from harness.workload import normal, workload

MILLION = 1_000_000


@workload
class sort:
    title = "sort of 1,000,000"
    bytes = 2 * 4 * MILLION

    def inputs(rng):
        return dict(x=normal(rng, MILLION))

    def reference(x):
        return np.sort(x)

    def numpy(np, x):
        return np.sort(x)

    def torch(torch, x):
        return torch.sort(x).values

    def jax(jax, x):
        return jax.numpy.sort(x)

    def mlx(mx, x):
        return mx.sort(x)
    skip = {"ort": "no sort operator", "torch.compile": "falls back to eager sort"}


@workload
class topk:
    title = "largest 100 of 1,000,000"
    bytes = 4 * MILLION

    def inputs(rng):
        return dict(x=normal(rng, MILLION))

    def reference(x):
        return np.sort(x)[-100:]

    def canonical(results):
        return [np.sort(results[0])]

    def numpy(np, x):
        return np.partition(x, MILLION - 100)[-100:]

    def torch(torch, x):
        return torch.topk(x, 100).values

    def jax(jax, x):
        return jax.lax.top_k(x, 100)[0]

    def mlx(mx, x):
        return mx.topk(x, 100)

    def onnx(g, x):
        return g.TopK(x, [100], outputs=2)[0]


@workload
class fft:
    title = "FFT of 2^16 complex"
    # 5 n log2 n operations is the usual count; what is bound by is not clear, so only memory is stated.
    bytes = 2 * 8 * 65536

    def inputs(rng):
        return dict(x=(normal(rng, 65536) + 1j * normal(rng, 65536)).astype(np.complex64))

    def reference(x):
        return np.fft.fft(x)

    def numpy(np, x):
        return np.fft.fft(x)

    def torch(torch, x):
        return torch.fft.fft(x)

    def jax(jax, x):
        return jax.numpy.fft.fft(x)

    def mlx(mx, x):
        return mx.fft.fft(x, stream=mx.cpu)

    def onnx_in(arrays):
        x = arrays["x"]
        return dict(x=np.stack([x.real, x.imag], -1)[None])

    def onnx(g, x):
        return g.DFT(x, None, np.array(1, np.int64))

    def onnx_out(out):
        return out[0, :, 0] + 1j * out[0, :, 1]


@workload
class cholesky:
    title = "cholesky 64 × 64x64"
    flops, bytes = 64 * 64 ** 3 // 3, 2 * 4 * 64 ** 3

    def inputs(rng):
        a = normal(rng, 64, 64, 64)
        return dict(a=a @ a.swapaxes(1, 2) + 8 * np.eye(64, dtype=np.float32))

    def reference(a):
        return np.linalg.cholesky(a)

    def numpy(np, a):
        return np.linalg.cholesky(a)

    def torch(torch, a):
        return torch.linalg.cholesky(a)

    def jax(jax, a):
        return jax.numpy.linalg.cholesky(a)

    def mlx(mx, a):
        return mx.linalg.cholesky(a, stream=mx.cpu)


D, H, STEPS = 128, 256, 100


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@workload
class lstm:
    title = "LSTM of 100 steps, 128→256, batch 1"
    weights = ("net",)
    # Every step reads the recurrent matrix (1 MB) from cache: a bound by the memory rate of that footprint.
    bytes, footprint = 4 * 4 * H * (STEPS * H + D), 4 * 4 * H * (D + H)

    def inputs(rng):
        return dict(net={"Wx": normal(rng, 4 * H, D, scale=0.06), "Wh": normal(rng, 4 * H, H, scale=0.06), "bias": normal(rng, 4 * H, scale=0.06)},
                    x=normal(rng, 1, STEPS, D))

    def reference(net, x):
        xw = x[0] @ net["Wx"].T + net["bias"]
        h = c = np.zeros(H, x.dtype)
        out = np.empty((1, STEPS, H), x.dtype)
        for t in range(STEPS):
            i, f, g, o = np.split(xw[t] + net["Wh"] @ h, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            out[0, t] = h
        return out

    def numpy(np, net, x):
        return lstm.reference(net, x)

    def torch_build(torch, arrays, compiled):
        net = arrays["net"]
        module = torch.nn.LSTM(D, H, batch_first=True)
        with torch.no_grad():
            module.weight_ih_l0.copy_(torch.from_numpy(net["Wx"]))
            module.weight_hh_l0.copy_(torch.from_numpy(net["Wh"]))
            module.bias_ih_l0.copy_(torch.from_numpy(net["bias"]))
            module.bias_hh_l0.zero_()
        run = torch.compile(module) if compiled else module
        x, box = torch.from_numpy(arrays["x"]), [None]

        def call():
            with torch.no_grad():
                box[0] = run(x)[0]
        return call, lambda: box

    def jax(jax, net, x):
        return lstm_jax(jax, net, x, H)

    def mlx(mx, net, x):
        xw = mx.addmm(net["bias"], x[0], net["Wx"].T)
        h, c, out = mx.zeros((1, H)), mx.zeros((1, H)), []
        for t in range(STEPS):
            i, f, g, o = mx.split(xw[t:t + 1] + h @ net["Wh"].T, 4, axis=-1)
            c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
            h = mx.sigmoid(o) * mx.tanh(c)
            out.append(h)
        return mx.stack(out, axis=1)

    def onnx_in(arrays):
        """ONNX orders the gates i, o, f, c and has time first."""
        def order(a):
            i, f, g, o = np.split(a, 4)
            return np.concatenate([i, o, f, g])[None]
        net = arrays["net"]
        bias = np.concatenate([order(net["bias"]), np.zeros((1, 4 * H), np.float32)], axis=1)
        return dict(net={"W": order(net["Wx"]), "R": order(net["Wh"]), "B": bias}, x=np.ascontiguousarray(arrays["x"].transpose(1, 0, 2)))

    def onnx(g, net, x):
        return g.LSTM(x, net["W"], net["R"], net["B"], hidden_size=H, outputs=1)

    def onnx_out(out):
        return out[:, 0].transpose(1, 0, 2)
