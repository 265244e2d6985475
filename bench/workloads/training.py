"""Training steps: a perceptron by SGD, a small GPT by AdamW, and gradients of each of 10,000 examples."""
import numpy as np
from scipy.special import erf
from harness.workload import normal, workload

# ---- perceptron 784-256-256-10, batch 128, SGD ----

BATCH, SIZES, RATE = 128, (784, 256, 256, 10), 1e-3


def mlp_parameters(rng):
    net = {}
    for i in range(3):
        net[f"l{i + 1}.weight"] = normal(rng, SIZES[i + 1], SIZES[i], scale=SIZES[i] ** -0.5)
        net[f"l{i + 1}.bias"] = normal(rng, SIZES[i + 1], scale=0.02)
    return net


def mlp_step_numpy(net, x, y):
    """Loss and updated parameters, derivatives by hand."""
    layers, h = [x], x
    for i in (1, 2, 3):
        h = h @ net[f"l{i}.weight"].T + net[f"l{i}.bias"]
        if i < 3:
            h = np.maximum(h, 0)
            layers.append(h)
    m = h.max(-1, keepdims=True)
    e = np.exp(h - m)
    total = e.sum(-1, keepdims=True)
    rows = np.arange(len(y))
    loss = np.mean((m + np.log(total))[:, 0] - h[rows, y])
    d = e / total
    d[rows, y] -= 1
    d /= h.dtype.type(len(y))
    rate, new = h.dtype.type(RATE), {}
    for i in (3, 2, 1):
        new[f"l{i}.weight"] = net[f"l{i}.weight"] - rate * (d.T @ layers[i - 1])
        new[f"l{i}.bias"] = net[f"l{i}.bias"] - rate * d.sum(0)
        if i > 1:
            d = (d @ net[f"l{i}.weight"]) * (layers[i - 1] > 0)
    return [loss] + [new[k] for k in net]


@workload
class mlp_train:
    title = "MLP 784-256-256-10 training step, batch 128, SGD"
    state = ("net",)
    flops = 2 * BATCH * (2 * 784 * 256 + 3 * (256 * 256 + 256 * 10))
    bytes = 4 * (2 * (784 * 256 + 256 * 256 + 2560) + BATCH * 784)

    def inputs(rng):
        return dict(net=mlp_parameters(rng), x=normal(rng, BATCH, 784), y=rng.integers(0, 10, BATCH).astype(np.int32))

    def reference(net, x, y):
        return mlp_step_numpy(net, x, y)

    def numpy(np, net, x, y):
        return mlp_step_numpy(net, x, y)

    def torch_build(torch, arrays, compiled):
        nn = torch.nn
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        with torch.no_grad():
            for p, v in zip(model.parameters(), arrays["net"].values()):
                p.copy_(torch.from_numpy(v))
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE, fused=True)
        x, y, box = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]).long(), [None]

        def forward(x, y):
            return nn.functional.cross_entropy(model(x), y)
        run = torch.compile(forward) if compiled else forward

        def call():
            optimiser.zero_grad(set_to_none=True)
            box[0] = run(x, y)
            box[0].backward()
            optimiser.step()
        return call, lambda: [box[0], *model.parameters()]

    def jax(jax, net, x, y):
        def loss(net):
            h = jax.nn.relu(x @ net["l1.weight"].T + net["l1.bias"])
            h = jax.nn.relu(h @ net["l2.weight"].T + net["l2.bias"])
            h = h @ net["l3.weight"].T + net["l3.bias"]
            return jax.numpy.mean(jax.nn.logsumexp(h, axis=-1) - jax.numpy.take_along_axis(h, y[:, None], 1)[:, 0])
        value, g = jax.value_and_grad(loss)(net)
        return [value] + [net[k] - RATE * g[k] for k in net]

    def mlx(mx, net, x, y):
        def loss(net):
            h = mx.maximum(mx.addmm(net["l1.bias"], x, net["l1.weight"].T), 0)
            h = mx.maximum(mx.addmm(net["l2.bias"], h, net["l2.weight"].T), 0)
            h = mx.addmm(net["l3.bias"], h, net["l3.weight"].T)
            return mx.mean(mx.logsumexp(h, axis=-1) - mx.take_along_axis(h, y[:, None], 1)[:, 0])
        value, g = mx.value_and_grad(loss)(net)
        return [value] + [net[k] - RATE * g[k] for k in net]
    skip = {"ort": "the package has no training", "emx": "inference only"}


# ---- GPT, 4 layers of width 256, 8 heads, 512 tokens of vocabulary, batch 4 x 128, AdamW ----

D, HEADS, LAYERS, VOCAB, T, B = 256, 8, 4, 512, 128, 4
HEAD, EPS, LEARN, DECAY, B1, B2, ADAM_EPS = D // HEADS, 1e-5, 3e-6, 0.01, 0.9, 0.999, 1e-8


def gpt_parameters(rng):
    net = {"wte.weight": normal(rng, VOCAB, D, scale=0.05), "wpe.weight": normal(rng, T, D, scale=0.05)}
    for i in range(LAYERS):
        p = f"layers.{i}."
        for name, out, inp in (("qkv", 3 * D, D), ("proj", D, D), ("up", 4 * D, D), ("down", D, 4 * D)):
            net[p + name + ".weight"] = normal(rng, out, inp, scale=inp ** -0.5)
            net[p + name + ".bias"] = normal(rng, out, scale=0.02)
        for name in ("ln1", "ln2"):
            net[p + name + ".weight"] = normal(rng, D, scale=0.1) + np.float32(1)
            net[p + name + ".bias"] = normal(rng, D, scale=0.02)
    net["ln.weight"] = normal(rng, D, scale=0.1) + np.float32(1)
    net["ln.bias"] = normal(rng, D, scale=0.02)
    net["head.weight"] = normal(rng, VOCAB, D, scale=D ** -0.5)
    return net


def norm_forward(x, w, b):
    c = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((c * c).mean(-1, keepdims=True) + EPS)
    return c * r * w + b, (c * r, r)


def norm_backward(d, kept, w):
    n, r = kept
    dn = d * w
    axes = tuple(range(d.ndim - 1))
    return r * (dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True)), (d * n).sum(axes), d.sum(axes)


def gelu_forward(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_slope(x):
    return 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def gpt_loss_and_gradient(net, tokens, targets):
    """Float64 forward and backward pass by hand."""
    g = {k: np.zeros_like(v) for k, v in net.items()}
    mask = np.where(np.tril(np.ones((T, T), bool)), 0, -np.inf)
    x, tape = net["wte.weight"][tokens] + net["wpe.weight"], []

    def heads(a):
        return a.reshape(B, T, HEADS, HEAD).swapaxes(1, 2)

    def rows(a):
        return a.swapaxes(1, 2).reshape(B, T, D)

    def linear(p, a):
        return a @ net[p + ".weight"].T + net[p + ".bias"]

    def linear_back(p, d, a):
        g[p + ".weight"] += d.reshape(-1, d.shape[-1]).T @ a.reshape(-1, a.shape[-1])
        g[p + ".bias"] += d.sum((0, 1))
        return d @ net[p + ".weight"]
    for i in range(LAYERS):
        p = f"layers.{i}."
        h, n1 = norm_forward(x, net[p + "ln1.weight"], net[p + "ln1.bias"])
        q, k, v = (heads(a) for a in np.split(linear(p + "qkv", h), 3, axis=-1))
        s = q @ k.swapaxes(-1, -2) / np.sqrt(HEAD) + mask
        e = np.exp(s - s.max(-1, keepdims=True))
        a = e / e.sum(-1, keepdims=True)
        o = rows(a @ v)
        x = x + linear(p + "proj", o)
        m, n2 = norm_forward(x, net[p + "ln2.weight"], net[p + "ln2.bias"])
        u = linear(p + "up", m)
        f = gelu_forward(u)
        x = x + linear(p + "down", f)
        tape.append((h, n1, q, k, v, a, o, m, n2, u, f))
    y, n = norm_forward(x, net["ln.weight"], net["ln.bias"])
    logits = y @ net["head.weight"].T
    top = logits.max(-1, keepdims=True)
    e = np.exp(logits - top)
    total = e.sum(-1, keepdims=True)
    picked = np.take_along_axis(logits, targets[..., None], -1)
    loss = np.mean(top + np.log(total) - picked)
    d = e / total
    np.put_along_axis(d, targets[..., None], np.take_along_axis(d, targets[..., None], -1) - 1, -1)
    d /= B * T
    g["head.weight"] += d.reshape(-1, VOCAB).T @ y.reshape(-1, D)
    d, g["ln.weight"], g["ln.bias"] = norm_backward(d @ net["head.weight"], n, net["ln.weight"])
    for i in reversed(range(LAYERS)):
        p = f"layers.{i}."
        h, n1, q, k, v, a, o, m, n2, u, f = tape[i]
        dm = linear_back(p + "up", linear_back(p + "down", d, f) * gelu_slope(u), m)
        dx, g[p + "ln2.weight"], g[p + "ln2.bias"] = norm_backward(dm, n2, net[p + "ln2.weight"])
        d = d + dx
        do = heads(linear_back(p + "proj", d, o))
        da = do @ v.swapaxes(-1, -2)
        ds = a * (da - (da * a).sum(-1, keepdims=True)) / np.sqrt(HEAD)
        dqkv = np.concatenate([rows(ds @ k), rows(ds.swapaxes(-1, -2) @ q), rows(a.swapaxes(-1, -2) @ do)], axis=-1)
        dx, g[p + "ln1.weight"], g[p + "ln1.bias"] = norm_backward(linear_back(p + "qkv", dqkv, h), n1, net[p + "ln1.weight"])
        d = d + dx
    np.add.at(g["wte.weight"], tokens, d)
    g["wpe.weight"] += d.sum(0)
    return loss, g


def gpt_loss(net, tokens, targets, lib):
    """The loss in terms of a library's functions (jax and mlx): linear, norm, attend, gelu, embed, cross_entropy."""
    x = lib.embed(net["wte.weight"], tokens) + net["wpe.weight"]
    for i in range(LAYERS):
        p = f"layers.{i}."
        h = lib.norm(x, net[p + "ln1.weight"], net[p + "ln1.bias"])
        x = x + lib.linear(lib.attend(lib.linear(h, net[p + "qkv.weight"], net[p + "qkv.bias"])), net[p + "proj.weight"], net[p + "proj.bias"])
        h = lib.norm(x, net[p + "ln2.weight"], net[p + "ln2.bias"])
        x = x + lib.linear(lib.gelu(lib.linear(h, net[p + "up.weight"], net[p + "up.bias"])), net[p + "down.weight"], net[p + "down.bias"])
    return lib.cross_entropy(lib.norm(x, net["ln.weight"], net["ln.bias"]) @ net["head.weight"].T, targets)


def adam(p, g, m, v, sqrt):
    """AdamW with bias correction, first step."""
    m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
    return p * (1 - LEARN * DECAY) - LEARN * (m / (1 - B1)) / (sqrt(v / (1 - B2)) + ADAM_EPS), m, v


def gpt_results(loss, net, opt, g, sqrt):
    """[loss, parameters, step, first moments, second moments] after one step."""
    new = {k: adam(net[k], g[k], opt["adam.m." + k], opt["adam.v." + k], sqrt) for k in net}
    return [loss] + [new[k][0] for k in net] + [opt["adam.step"] + 1] + [new[k][1] for k in net] + [new[k][2] for k in net]


@workload
class gpt_train:
    title = "GPT training step, 4 layers of 256, batch 4 × 128, AdamW"
    state = ("net", "opt")
    tolerance = 1e-3
    _weights = LAYERS * 12 * D * D + VOCAB * D
    flops = 6 * _weights * B * T + 3 * LAYERS * 4 * B * T * T * D // 2
    bytes = 4 * 7 * (_weights + VOCAB * D + T * D)

    def inputs(rng):
        net = gpt_parameters(rng)
        opt = {"adam.step": np.zeros((), np.uint64)}
        opt.update({f"adam.{kind}.{k}": np.zeros_like(v) for kind in "mv" for k, v in net.items()})
        tokens = rng.integers(0, VOCAB, (B, T + 1)).astype(np.int32)
        return dict(net=net, opt=opt, tokens=np.ascontiguousarray(tokens[:, :-1]), targets=np.ascontiguousarray(tokens[:, 1:]))

    def reference(net, opt, tokens, targets):
        loss, g = gpt_loss_and_gradient(net, tokens, targets)
        return gpt_results(loss, net, opt, g, np.sqrt)

    def torch_build(torch, arrays, compiled):
        F = torch.nn.functional
        net = {k: torch.nn.Parameter(torch.from_numpy(v.copy())) for k, v in arrays["net"].items()}
        optimiser = torch.optim.AdamW(list(net.values()), lr=LEARN, betas=(B1, B2), eps=ADAM_EPS, weight_decay=DECAY, fused=True)
        tokens, targets, box = torch.from_numpy(arrays["tokens"]).long(), torch.from_numpy(arrays["targets"]).long(), [None]

        class Torch:
            embed = staticmethod(lambda w, t: F.embedding(t, w))
            linear = staticmethod(F.linear)
            norm = staticmethod(lambda x, w, b: F.layer_norm(x, (D,), w, b, EPS))
            gelu = staticmethod(F.gelu)
            cross_entropy = staticmethod(lambda x, t: F.cross_entropy(x.reshape(-1, VOCAB), t.reshape(-1)))

            @staticmethod
            def attend(qkv):
                q, k, v = (a.view(B, T, HEADS, HEAD).transpose(1, 2) for a in qkv.split(D, dim=-1))
                return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, D)

        def forward(net, tokens, targets):
            return gpt_loss(net, tokens, targets, Torch)
        run = torch.compile(forward) if compiled else forward

        def call():
            optimiser.zero_grad(set_to_none=True)
            box[0] = run(net, tokens, targets)
            box[0].backward()
            optimiser.step()

        def fetch():
            state = [optimiser.state[p] for p in net.values()]
            return [box[0], *net.values(), state[0]["step"], *(s["exp_avg"] for s in state), *(s["exp_avg_sq"] for s in state)]
        return call, fetch

    def jax(jax, net, opt, tokens, targets):
        jnp = jax.numpy

        class Jax:
            embed = staticmethod(lambda w, t: w[t])
            linear = staticmethod(lambda x, w, b: x @ w.T + b)
            norm = staticmethod(lambda x, w, b: (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + EPS) * w + b)
            gelu = staticmethod(lambda x: jax.nn.gelu(x, approximate=False))
            cross_entropy = staticmethod(lambda x, t: jnp.mean(jax.nn.logsumexp(x, axis=-1) - jnp.take_along_axis(x, t[..., None], -1)[..., 0]))

            @staticmethod
            def attend(qkv):
                q, k, v = (a.reshape(B, T, HEADS, HEAD).swapaxes(1, 2) for a in jnp.split(qkv, 3, axis=-1))
                s = jnp.where(jnp.tril(jnp.ones((T, T), bool)), q @ k.swapaxes(-1, -2) * HEAD ** -0.5, -jnp.inf)
                return (jax.nn.softmax(s, axis=-1) @ v).swapaxes(1, 2).reshape(B, T, D)
        loss, g = jax.value_and_grad(gpt_loss)(net, tokens, targets, Jax)
        return gpt_results(loss, net, opt, g, jnp.sqrt)

    def mlx(mx, net, opt, tokens, targets):
        import mlx.nn as nn

        class Mlx:
            embed = staticmethod(lambda w, t: w[t])
            linear = staticmethod(lambda x, w, b: mx.addmm(b, x, w.T))
            norm = staticmethod(lambda x, w, b: mx.fast.layer_norm(x, w, b, EPS))
            gelu = staticmethod(nn.gelu)
            cross_entropy = staticmethod(lambda x, t: mx.mean(nn.losses.cross_entropy(x, t)))

            @staticmethod
            def attend(qkv):
                q, k, v = (a.reshape(B, T, HEADS, HEAD).swapaxes(1, 2) for a in mx.split(qkv, 3, axis=-1))
                return mx.fast.scaled_dot_product_attention(q, k, v, scale=HEAD ** -0.5, mask="causal").swapaxes(1, 2).reshape(B, T, D)
        loss, g = mx.value_and_grad(gpt_loss)(net, tokens, targets, Mlx)
        return gpt_results(loss, net, opt, g, mx.sqrt)
    skip = {"ort": "the package has no training", "emx": "inference only"}


# ---- gradients of each of 10,000 examples of a perceptron 8-16-1 ----

N = 10_000


@workload
class vmap_grad:
    title = "vmap(grad) of an MLP 8-16-1 over 10,000 examples"
    bytes, exps = 4 * N * (8 + 1 + 16 * 8 + 16 + 16 + 1), N * 16

    def inputs(rng):
        net = {"l1.weight": normal(rng, 16, 8, scale=0.35), "l1.bias": normal(rng, 16, scale=0.1), "l2.weight": normal(rng, 1, 16, scale=0.25), "l2.bias": normal(rng, 1, scale=0.1)}
        return dict(net=net, x=normal(rng, N, 8), y=normal(rng, N))

    def reference(net, x, y):
        h = np.tanh(x @ net["l1.weight"].T + net["l1.bias"])
        d = 2 * (h @ net["l2.weight"][0] + net["l2.bias"][0] - y)
        dh = d[:, None] * net["l2.weight"][0] * (1 - h * h)
        return [dh[:, :, None] * x[:, None, :], dh, (d[:, None] * h)[:, None, :], d[:, None]]

    def numpy(np, net, x, y):
        return vmap_grad.reference(net, x, y)

    def torch(torch, net, x, y):
        def loss(net, x, y):
            h = torch.tanh(torch.nn.functional.linear(x, net["l1.weight"], net["l1.bias"]))
            return (torch.nn.functional.linear(h, net["l2.weight"], net["l2.bias"])[0] - y) ** 2
        g = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(net, x, y)
        return [g[k] for k in net]

    def torch_build(torch, arrays, compiled):
        def f(net, x, y):
            return vmap_grad.torch(torch, net, x, y)
        run = torch.compile(f) if compiled else f
        net = {k: torch.from_numpy(v) for k, v in arrays["net"].items()}
        x, y, box = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"]), [None]

        def call():
            box[0] = run(net, x, y)
        return call, lambda: box[0]

    def jax(jax, net, x, y):
        def loss(net, x, y):
            h = jax.numpy.tanh(net["l1.weight"] @ x + net["l1.bias"])
            return ((net["l2.weight"] @ h + net["l2.bias"])[0] - y) ** 2
        g = jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(net, x, y)
        return [g[k] for k in net]

    def mlx(mx, net, x, y):
        def loss(w1, b1, w2, b2, x, y):
            h = mx.tanh(w1 @ x + b1)
            return ((w2 @ h + b2)[0] - y) ** 2
        return list(mx.vmap(mx.grad(loss, argnums=(0, 1, 2, 3)), in_axes=(None, None, None, None, 0, 0))(*net.values(), x, y))
    skip = {"ort": "no derivatives", "emx": "no derivatives"}
