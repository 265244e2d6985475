"""Layers, activations, losses, initialisers against mlx.nn: values, and gradients with respect to the input and every parameter."""
import numpy as np
import pytest

from std_tools import leaves, mx, run, type_of

import mlx.nn as nn

rng = np.random.default_rng(7)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


X = normal(3, 6)
T = normal(2, 5, 6)
IMAGE = normal(2, 4, 3, 6)
CUBE = normal(2, 3, 4, 4, 3)
TIES = rng.integers(0, 2, (1, 5, 5, 3)).astype(np.float32)  # MLX shares the gradient of a window evenly among equal maxima
EDGE = np.array([[-7.0, -3.0, -1.0, -0.5, 0.0, 0.5], [1.0, 2.0, 3.0, 6.0, 8.0, 30.0]], np.float32)

ACTIVATIONS = [
    "celu(x)", "celu(x, alpha=0.5)", "elu(x)", "elu(x, alpha=2.0)", "gelu(x)", "gelu_approx(x)", "gelu_fast_approx(x)", "glu(x)", "glu(x, axis=0)", "hard_shrink(x)",
    "hard_shrink(x, 0.1)", "hard_tanh(x)", "hard_tanh(x, -2.0, 0.5)", "hardswish(x)", "leaky_relu(x)", "leaky_relu(x, 0.3)", "log_sigmoid(x)", "log_softmax(x)",
    "log_softmax(x, axis=0)", "mish(x)", "prelu(x, 0.2)", "relu(x)", "relu2(x)", "relu6(x)", "selu(x)", "sigmoid(x)", "silu(x)", "softmax(x)", "softmax(x, axis=0)",
    "softmin(x)", "softplus(x)", "softshrink(x)", "softshrink(x, 1.0)", "softsign(x)", "step(x)", "step(x, 1.0)", "tanh(x)",
]
MODULES = [
    "CELU()", "CELU(0.3)", "ELU()", "ELU(2.0)", "GELU()", "GELU(approx=\"precise\")", "GELU(approx=\"tanh\")", "GELU(approx=\"fast\")", "GLU()", "HardShrink()", "HardTanh()",
    "Hardswish()", "LeakyReLU()", "LogSigmoid()", "LogSoftmax()", "Mish()", "PReLU()", "PReLU(6, 0.1)", "ReLU()", "ReLU2()", "ReLU6()", "SELU()", "SiLU()", "Sigmoid()",
    "Softmax()", "Softmin()", "Softplus()", "Softshrink()", "Softsign()", "Step()", "Tanh()",
]
# (constructor, input)
LAYERS = [(m, EDGE[:, :6]) for m in MODULES] + [
    ("Identity()", X), ("Linear(6, 4)", X), ("Linear(6, 4, bias=False)", T), ("LayerNorm(6)", T), ("LayerNorm(6, eps=1e-3, affine=False)", X),
    ("LayerNorm(6, bias=False)", X), ("RMSNorm(6)", T), ("RMSNorm(6, eps=1e-2)", X), ("InstanceNorm(6)", T), ("InstanceNorm(6, affine=True)", IMAGE),
    ("GroupNorm(2, 6)", IMAGE), ("GroupNorm(3, 6, pytorch_compatible=True)", IMAGE), ("GroupNorm(2, 6, affine=False)", T), ("BatchNorm(6)", X), ("BatchNorm(6)", IMAGE),
    ("BatchNorm(6, affine=False)", T), ("BatchNorm(6, track_running_stats=False)", T), ("RNN(6, 4)", T), ("RNN(6, 4, bias=False)", X), ("GRU(6, 4)", T),
    ("GRU(6, 4, bias=False)", X), ("SinusoidalPositionalEncoding(8)", X), ("SinusoidalPositionalEncoding(6, cos_first=True, full_turns=True, scale=2.0)", X),
    ("SinusoidalPositionalEncoding(2)", X), ("RoPE(6)", T), ("RoPE(4, traditional=True, scale=0.5)", T), ("ALiBi()", IMAGE), ("ALiBi()", normal(1, 6, 3, 4)),
    ("Dropout(0.3)", X), ("Dropout2d()", IMAGE), ("Dropout3d()", IMAGE), ("Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2), nn.Dropout())", X),
    ("Sequential(nn.Linear(6, 5), nn.relu, nn.Linear(5, 2))", X),
    ("Conv1d(6, 4, 3)", T), ("Conv1d(6, 4, 2, stride=2, padding=1, bias=False)", T), ("Conv1d(6, 9, 3, padding=2, dilation=2, groups=3)", T), ("Conv2d(6, 5, 3, padding=1)", IMAGE),
    ("Conv2d(6, 4, (2, 3), stride=(2, 1), padding=(1, 0), bias=False)", IMAGE), ("Conv2d(6, 6, 3, padding=1, groups=6)", IMAGE), ("Conv2d(6, 8, 2, dilation=(2, 1), groups=2)", IMAGE),
    ("Conv2d(6, 7, 1)", IMAGE), ("Conv3d(3, 4, 2, padding=1)", CUBE), ("Conv3d(3, 2, (1, 2, 3), stride=(2, 1, 1), bias=False)", CUBE), ("ConvTranspose1d(6, 4, 3)", T),
    ("ConvTranspose1d(6, 4, 3, stride=2, padding=1, output_padding=1)", T), ("ConvTranspose2d(6, 4, 3, stride=2, padding=1)", IMAGE),
    ("ConvTranspose2d(6, 3, (2, 3), stride=(3, 2), padding=(1, 1), output_padding=(1, 0), bias=False)", IMAGE), ("ConvTranspose3d(3, 2, 2, stride=(2, 1, 2))", CUBE),
    ("MaxPool1d(2)", T), ("MaxPool1d(3, stride=1, padding=1)", T), ("MaxPool2d(2)", IMAGE), ("MaxPool2d(3, stride=(1, 2), padding=1)", IMAGE), ("MaxPool2d((2, 1))", IMAGE),
    ("MaxPool3d(2, stride=1)", CUBE), ("AvgPool1d(2)", T), ("AvgPool1d(3, stride=2, padding=1)", T), ("AvgPool2d(2)", IMAGE), ("AvgPool2d((3, 2), stride=1, padding=(1, 0))", IMAGE),
    ("AvgPool3d((2, 3, 1), padding=(1, 0, 0))", CUBE), ("MaxPool2d(2, stride=1)", TIES), ("MaxPool2d(2)", TIES),
    ("Upsample(2.0)", IMAGE), ("Upsample((2.0, 3.0))", IMAGE), ("Upsample(1.5)", IMAGE), ("Upsample(0.5)", IMAGE), ("Upsample(2.0, mode='linear')", T),
    ("Upsample((2.0, 1.5), mode='linear')", IMAGE), ("Upsample(2.0, mode='linear', align_corners=True)", IMAGE), ("Upsample(0.5, mode='linear', antialias=True)", IMAGE),
    ("Upsample(2.0, mode='cubic')", IMAGE), ("Upsample((0.5, 2.0), mode='cubic', antialias=True)", IMAGE), ("Upsample(1.5, mode='cubic', align_corners=True)", IMAGE),
]


def to_mx(text):
    return text.replace("True", "true").replace("False", "false").replace("None", "none").replace("'", '"')


def compare(got, want, what="", rtol=1e-4, atol=1e-5):
    want = np.array(want)
    assert got.shape == want.shape and got.dtype == want.dtype, (what, got.dtype, got.shape, want.dtype, want.shape)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=what)


@pytest.mark.parametrize("text", ACTIVATIONS)
def test_activation(mlxcc, tmp_path, text):
    source = (f"import nn; fn f(x) {{ return {text}; }} fn g(x) {{ return nn.{text}; }}"
              f" export fn main(x: {type_of(EDGE)}) {{ let d = grad(|x| {{ let y = f(x); return sum(y * sin(arange(y.size) + 1.0).reshape(y.shape)); }})(x);"
              " return f(x) + 0 * g(x), d; }").replace(" return f(x) + 0 * g(x), d;", " let y = g(x); return y, d;")
    if text == "softmax(x)":
        source = source.replace("return softmax(x);", "return softmax(x, axis=-1);")
    got = run(mlxcc, tmp_path, source, "main", x=EDGE)
    space = {n: getattr(nn, n) for n in dir(nn)}
    call = lambda x: eval(text, {**space, "x": x})
    compare(got["out0"], call(mx.array(EDGE)), atol=2e-6)

    def weighted(x):
        y = call(x)
        return (y * mx.sin(mx.arange(y.size) + 1.0).reshape(y.shape)).sum()

    want = np.array(mx.grad(weighted)(mx.array(EDGE)))
    compare(got["out1"], np.zeros_like(EDGE) if text.startswith("step") else want)


@pytest.mark.parametrize("make,x", LAYERS, ids=[f"{m}{x.ndim}" for m, x in LAYERS])
def test_layer(mlxcc, tmp_path, make, x):
    mx.random.seed(3)
    layer = eval(f"nn.{make}", dict(nn=nn))
    for name, v in leaves(layer.parameters()).items():  # numbers that show mistakes of ones and zeros
        if make.startswith(("LayerNorm", "RMSNorm", "InstanceNorm", "GroupNorm", "BatchNorm")):
            layer[name] = mx.array(np.abs(normal(*v.shape)) + 0.5)
    layer.eval()
    params = leaves(layer.parameters())
    weighted = "{ let y = net(x); return sum(y * sin(arange(y.size) + 1.0).reshape(y.shape)); }"
    if params:
        source = (f"import nn; const Net = nn.{to_mx(make)}; fn loss(net: Net, x) {weighted}"
                  f" export fn main(net: Net, x: {type_of(x)}) {{ return net(x); }}"
                  f" export fn g(net: Net, x: {type_of(x)}) {{ let n, d = grad(loss, argnums=(0, 1))(net, x); return (n=n, d=d); }}")
    else:
        source = (f"import nn; const net = nn.{to_mx(make)}; export fn main(x: {type_of(x)}) {{ return net(x); }}"
                  f" export fn g(x: {type_of(x)}) {{ return (d=grad(|x| {weighted})(x)); }}").replace("(d=grad", "(d=grad")
    inputs = dict(x=x, **({"net": params} if params else {}))
    compare(run(mlxcc, tmp_path, source, "main", **inputs)["out"], layer(mx.array(x)), make, atol=2e-6)

    def loss(p, x):
        layer.update(p)
        y = layer(x)
        return (y * mx.sin(mx.arange(y.size) + 1.0).reshape(y.shape)).sum()

    if make == "Step()":
        return
    got = run(mlxcc, tmp_path, source, "g", **inputs)
    frozen = layer.trainable_parameters()
    want_p, want_x = mx.grad(loss, argnums=(0, 1))(frozen, mx.array(x))
    compare(got["d"], want_x, make)
    want = {f"n.{k}": v for k, v in leaves(want_p).items()}
    assert {k for k in got if k != "d"} == set(want)
    for k, v in want.items():
        compare(got[k], v, f"{make} {k}")


def test_lstm_bilinear_embedding(mlxcc, tmp_path):
    mx.random.seed(5)
    lstm, bil, emb = nn.LSTM(6, 4), nn.Bilinear(6, 4, 3), nn.Embedding(9, 6)
    ids = np.array([[0, 8, 3], [4, 4, 1]], np.int32)
    h, c = normal(2, 4), normal(2, 4)
    source = """import nn; const L = nn.LSTM(6, 4); const B = nn.Bilinear(6, 4, 3); const E = nn.Embedding(9, 6);
export fn lstm(net: L, x: f32[2, 5, 6], h: f32[2, 4], c: f32[2, 4]) { let a, b = net(x); let d, e = net(x, h, c); return a, b, d, e; }
export fn lstm_grad(net: L, x: f32[2, 5, 6], h: f32[2, 4], c: f32[2, 4]) {
  return (g=grad(|net, h| { let a, b = net(x, h, c); return sum(a * a) + sum(b); }, argnums=(0, 1))(net, h));
}
export fn bilinear(net: B, x: f32[2, 5, 6], y: f32[2, 5, 4]) { return net(x, y); }
export fn embedding(net: E, ids: i32[2, 3]) { return net(ids), net.as_linear(net(ids)), grad(|n| sum(n(ids) ** 2))(net).weight; }
"""
    x, y = normal(2, 5, 6), normal(2, 5, 4)
    p = leaves(lstm.parameters())
    got = run(mlxcc, tmp_path, source, "lstm", net=p, x=x, h=h, c=c)
    want = [*lstm(mx.array(x)), *lstm(mx.array(x), mx.array(h), mx.array(c))]
    for i, w in enumerate(want):
        compare(got[f"out{i}"], w)

    def loss(p, h):
        lstm.update(p)
        a, b = lstm(mx.array(x), h, mx.array(c))
        return (a * a).sum() + b.sum()

    want_p, want_h = mx.grad(loss, argnums=(0, 1))(lstm.parameters(), mx.array(h))
    got = run(mlxcc, tmp_path, source, "lstm_grad", net=p, x=x, h=h, c=c)
    compare(got["1"], want_h)
    for k, v in leaves(want_p).items():
        compare(got[f"0.{k}"], v, k)
    compare(run(mlxcc, tmp_path, source, "bilinear", net=leaves(bil.parameters()), x=x, y=y)["out"], bil(mx.array(x), mx.array(y)))
    got = run(mlxcc, tmp_path, source, "embedding", net=leaves(emb.parameters()), ids=ids)
    e = emb(mx.array(ids))
    compare(got["out0"], e)
    compare(got["out1"], emb.as_linear(e))
    compare(got["out2"], mx.grad(lambda w: (w[mx.array(ids)] ** 2).sum())(emb.weight))


ATTENTION = [("none", None), ("\"causal\"", "causal"), ("mask", "mask"), ("mask > 0", "bool")]


@pytest.mark.parametrize("mine,theirs", ATTENTION, ids=[a[0] for a in ATTENTION])
@pytest.mark.parametrize("heads", [2, 4])
def test_attention(mlxcc, tmp_path, mine, theirs, heads):
    q, k, v, mask = normal(2, 4, 3, 6), normal(2, heads, 5, 6), normal(2, heads, 5, 6), normal(3, 5)
    source = (f"fn f(q, k, v, mask) {{ return fast.scaled_dot_product_attention(q, k, v, scale=0.4, mask={mine}); }}"
              f" export fn main(q: {type_of(q)}, k: {type_of(k)}, v: {type_of(v)}, mask: f32[3, 5])"
              " { return f(q, k, v, mask), grad(|q, k, v| sum(f(q, k, v, mask) ** 2), argnums=(0, 1, 2))(q, k, v); }")
    got = run(mlxcc, tmp_path, source, "main", q=q, k=k, v=v, mask=mask)
    m = {None: None, "causal": "causal", "mask": mx.array(mask), "bool": mx.array(mask) > 0}[theirs]
    f = lambda q, k, v: mx.fast.scaled_dot_product_attention(q, k, v, scale=0.4, mask=m)
    args = [mx.array(a) for a in (q, k, v)]
    compare(got["out0"], f(*args), atol=2e-6)
    for i, w in enumerate(mx.grad(lambda *a: (f(*a) ** 2).sum(), argnums=(0, 1, 2))(*args)):
        compare(got[f"out1.{i}"], w)


def test_attention_with_sinks(mlxcc, tmp_path):
    q, k, v, s = normal(1, 4, 3, 6), normal(1, 2, 5, 6), normal(1, 2, 5, 6), normal(4)
    source = "export fn main(q: f32[1, 4, 3, 6], k: f32[1, 2, 5, 6], v: f32[1, 2, 5, 6], s: f32[4]) { return fast.scaled_dot_product_attention(q, k, v, scale=0.4, sinks=s); }"
    got = run(mlxcc, tmp_path, source, "main", q=q, k=k, v=v, s=s)["out"]
    compare(got, mx.fast.scaled_dot_product_attention(*map(mx.array, (q, k, v)), scale=0.4, sinks=mx.array(s)))


TRANSFORMERS = [("TransformerEncoder(3, 8, 2)", 1), ("TransformerEncoder(2, 8, 4, mlp_dims=10, norm_first=False, activation=nn.gelu, checkpoint=True)", 1),
                ("TransformerDecoder(2, 8, 2, norm_first=False)", 2), ("Transformer(8, 2, 2, 1, 12)", 3), ("MultiHeadAttention(8, 2)", 4),
                ("MultiHeadAttention(8, 2, 8, 8, 8, 6, 5, bias=True)", 4)]


@pytest.mark.parametrize("make,kind", TRANSFORMERS, ids=[t[0] for t in TRANSFORMERS])
def test_transformer(mlxcc, tmp_path, make, kind):
    mx.random.seed(11)
    net = eval(f"nn.{make}", dict(nn=nn))
    net.eval()
    x, y, mask = normal(2, 4, 8), normal(2, 3, 8), normal(4, 4)
    call = {1: "net(x, mask)", 2: "net(x, y, mask, none)", 3: "net(x, y, none, none, none)", 4: "net(x, y, y)"}[kind]
    source = (f"import nn; const Net = nn.{to_mx(make)}; export fn main(net: Net, x: {type_of(x)}, y: {type_of(y)}, mask: f32[4, 4]) {{ return {call}; }}"
              f" export fn g(net: Net, x: {type_of(x)}, y: {type_of(y)}, mask: f32[4, 4]) {{ return (p=grad(|net| sum(({call}) ** 2))(net)); }}")
    inputs = dict(net=leaves(net.parameters()), x=x, y=y, mask=mask)
    scope = dict(net=net, x=mx.array(x), y=mx.array(y), mask=mx.array(mask))
    compare(run(mlxcc, tmp_path, source, "main", **inputs)["out"], eval(call.replace("none", "None"), scope), atol=1e-5)

    def loss(p):
        net.update(p)
        return (eval(call.replace("none", "None"), scope) ** 2).sum()

    want = leaves(mx.grad(loss)(net.parameters()))
    got = run(mlxcc, tmp_path, source, "g", **inputs)
    assert set(got) == set(want)
    for k, v in want.items():
        compare(got[k], v, k, rtol=5e-4, atol=5e-5)


def test_batch_norm_trains(mlxcc, tmp_path):
    bn = nn.BatchNorm(6)
    x = IMAGE * 2 + 1
    want = bn(mx.array(x))
    source = ("import nn; const Net = nn.BatchNorm(6); export fn main(net: Net, x: f32[2, 4, 3, 6]) { var n = net; with train_mode() { let y = n(x);"
              " return (y=y, mean=n.running_mean, var=n.running_var); } }")
    p = {"weight": np.ones(6, np.float32), "bias": np.zeros(6, np.float32), "running_mean": np.zeros(6, np.float32), "running_var": np.ones(6, np.float32)}
    got = run(mlxcc, tmp_path, source, "main", net=p, x=x)
    compare(got["y"], want)
    compare(got["mean"], bn.running_mean)
    compare(got["var"], bn.running_var)


def test_dropout_trains(mlxcc, tmp_path):
    source = ("import nn; export fn main(x: f32[64, 64], k: u32[2]) { with train_mode() { return nn.Dropout(0.25)(x, key=k),"
              " nn.Dropout2d(0.5)(ones(4, 5, 6, 32), key=k), nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))(x, key=k); } }")
    key = np.array([0, 4], np.uint32)
    got = run(mlxcc, tmp_path, source, "main", x=np.ones((64, 64), np.float32), k=key)
    keep = np.array(mx.random.bernoulli(0.75, (64, 64), key=mx.random.key(4)))
    np.testing.assert_allclose(got["out0"], keep / 0.75, rtol=1e-6)
    np.testing.assert_array_equal(got["out1"], np.broadcast_to(got["out1"][:, :1, :1], (4, 5, 6, 32)))
    assert set(np.unique(got["out1"])) == {0.0, 2.0} and set(np.unique(got["out2"])) == {0.0, 4.0}


P, Q = normal(4, 5), normal(4, 5)
C = np.array([0, 4, 2, 2], np.int32)
POS = np.abs(normal(4, 5)) + 0.1
PROB = (1 / (1 + np.exp(-normal(4, 5)))).astype(np.float32)
SIGNS = np.sign(normal(4, 5)).astype(np.float32)
BITS = (normal(4, 5) > 0).astype(np.float32)
LOGP = np.log(POS / POS.sum(-1, keepdims=True)).astype(np.float32)
ROW = np.abs(normal(4)) + 0.1
DATA = dict(p=P, q=Q, c=C, pos=POS, prob=PROB, signs=SIGNS, bits=BITS, logp=LOGP, row=ROW)
LOSSES = [
    ("cross_entropy(p, c)", "p c"), ("cross_entropy(p, prob)", "p prob"), ("cross_entropy(p, c, weights=row, reduction=\"mean\")", "p c row"),
    ("cross_entropy(p, c, label_smoothing=0.2)", "p c"), ("cross_entropy(p, prob, label_smoothing=0.3, reduction=\"sum\")", "p prob"), ("cross_entropy(p.T, c, axis=0)", "p c"),
    ("binary_cross_entropy(p, bits)", "p bits"), ("binary_cross_entropy(prob, bits, with_logits=False)", "prob bits"),
    ("binary_cross_entropy(p, bits, weights=pos, reduction=\"none\")", "p bits pos"), ("l1_loss(p, q)", "p q"), ("mse_loss(p, q)", "p q"), ("mse_loss(p, q, \"sum\")", "p q"),
    ("nll_loss(p, c)", "p c"), ("nll_loss(p, c, reduction=\"mean\")", "p c"), ("gaussian_nll_loss(p, q, pos)", "p q pos"),
    ("gaussian_nll_loss(p, q, pos, full=True, reduction=\"none\")", "p q pos"), ("kl_div_loss(p, logp)", "p logp"), ("kl_div_loss(p, logp, axis=0)", "p logp"),
    ("smooth_l1_loss(p, q)", "p q"), ("smooth_l1_loss(p, q, beta=0.5, reduction=\"none\")", "p q"), ("triplet_loss(p, q, pos)", "p q pos"),
    ("triplet_loss(p, q, pos, p=3, margin=0.5, reduction=\"sum\")", "p q pos"), ("hinge_loss(p, signs)", "p signs"), ("huber_loss(p, q)", "p q"),
    ("huber_loss(p, q, delta=0.4, reduction=\"mean\")", "p q"), ("log_cosh_loss(p, q)", "p q"), ("cosine_similarity_loss(p, q)", "p q"),
    ("cosine_similarity_loss(p, q, axis=0, reduction=\"mean\")", "p q"), ("margin_ranking_loss(p, q, signs)", "p q signs"),
    ("margin_ranking_loss(p, q, signs, margin=0.3, reduction=\"sum\")", "p q signs"),
]


@pytest.mark.parametrize("text,args", LOSSES, ids=[t for t, _ in LOSSES])
def test_loss(mlxcc, tmp_path, text, args):
    names = args.split()
    params = ", ".join(f"{n}: {type_of(DATA[n])}" for n in names)
    first = names[0]
    source = (f"import losses; export fn main({params}) {{ return losses.{to_mx(text)}, grad(|{first}| {{ let l = losses.{to_mx(text)};"
              f" return sum(l * sin(arange(l.size) + 1.0).reshape(l.shape)); }})({first}); }}")
    got = run(mlxcc, tmp_path, source, "main", **{n: DATA[n] for n in names})
    space = {n: getattr(nn.losses, n) for n in dir(nn.losses)}
    space.update({n: mx.array(DATA[n]) for n in names})
    compare(got["out0"], eval(text, space), rtol=2e-5, atol=2e-6)

    def weighted(x):
        l = eval(text, {**space, first: x})
        return (l * mx.sin(mx.arange(l.size) + 1.0).reshape(l.shape)).sum()

    compare(got["out1"], mx.grad(weighted)(space[first]))


# (ours, what MLX draws from the same key)
INIT = [
    ("constant(0.5)", "mx.full(s, 0.5)"), ("normal(0.1, 2.0)", "mx.random.normal(s, loc=0.1, scale=2.0, key=k)"), ("uniform(-1.0, 3.0)", "mx.random.uniform(-1.0, 3.0, s, key=k)"),
    ("identity()", "mx.eye(s[0])"), ("glorot_normal()", "mx.random.normal(s, scale=math.sqrt(2 / (o + i)), key=k)"),
    ("glorot_uniform(gain=2.0)", "mx.random.uniform(-2 * math.sqrt(6 / (o + i)), 2 * math.sqrt(6 / (o + i)), s, key=k)"),
    ("he_normal()", "mx.random.normal(s, scale=1 / math.sqrt(i), key=k)"), ("he_normal(mode=\"fan_out\")", "mx.random.normal(s, scale=1 / math.sqrt(o), key=k)"),
    ("he_uniform(gain=0.5)", "mx.random.uniform(-0.5 * math.sqrt(3 / i), 0.5 * math.sqrt(3 / i), s, key=k)"),
]


@pytest.mark.parametrize("mine,theirs", INIT, ids=[i[0] for i in INIT])
def test_initialiser(mlxcc, tmp_path, mine, theirs):
    import math

    shapes = [(6, 6)] if mine.startswith("identity") else [(6, 4), (3, 2, 5, 4)]
    for s in shapes:
        source = f"import init; export fn main(k: u32[2]) {{ return init.{mine}(k, {s}, f32); }}".replace(")(k", ")(k")
        got = run(mlxcc, tmp_path, source, "main", k=np.array([0, 9], np.uint32))["out"]
        between = math.prod(s[1:-1])
        want = eval(theirs, dict(mx=mx, math=math, s=s, k=mx.random.key(9), i=s[-1] * between, o=s[0] * between))
        compare(got, want, rtol=1e-6, atol=1e-6)


def test_sparse_initialiser(mlxcc, tmp_path):
    got = run(mlxcc, tmp_path, "import init; export fn main(k: u32[2]) { return init.sparse(0.3)(k, (20, 10), f32); }", "main", k=np.array([0, 9], np.uint32))["out"]
    np.testing.assert_array_equal((got == 0).sum(1), 3)
    assert 0.8 < got[got != 0].std() < 1.2


def test_a_mistake_inside_the_library_is_shown_at_the_users_line(mlxcc, tmp_path):
    import subprocess

    f = tmp_path / "t.mx"
    f.write_text("import losses;\nexport fn main(x: f32[B, 4], y: f32[N, 4]) {\n  return losses.mse_loss(x, y);\n}\n")
    r = subprocess.run([mlxcc, "check", str(f)], capture_output=True, text=True)
    assert r.returncode == 1
    assert r.stderr.startswith(f"{f}:3:10: error[assert.fails]: the assertion does not hold: the shapes of predictions and targets differ: (B, 4) and (N, 4)\n"), r.stderr
    f.write_text("import losses;\nexport fn main(x: f32[B, 4], y: f32[N, 4]) { assert B == N; return losses.mse_loss(x, y); }\n")
    assert subprocess.run([mlxcc, "check", str(f)]).returncode == 0


WAITING = ["QQLinear(64, 8)"]


@pytest.mark.parametrize("make", WAITING)
def test_a_layer_of_a_later_issue_is_a_limitation(mlxcc, tmp_path, make):
    import subprocess

    f = tmp_path / "t.mx"
    f.write_text(f"import nn; const Net = nn.{make}; export fn shape(net: Net) {{ return 1.0; }}")
    assert subprocess.run([mlxcc, "check", str(f)], capture_output=True).returncode == 0
    f.write_text(f"import nn; const Net = nn.{make}; export fn main(net: Net, x: f32[2, 64]) {{ return net(x); }}")
    r = subprocess.run([mlxcc, "check", str(f)], capture_output=True, text=True)
    assert r.returncode == 2 and make.split("(")[0] in r.stderr, r.stderr


def test_every_name_of_mlx_nn_exists(mlxcc, tmp_path):
    """Layers, activations and helpers; what is missing has its reason here."""
    import inspect
    import subprocess

    absent = {"Module", "FullyShardedModule", "AllToShardedLinear", "ShardedToAllLinear", "QuantizedAllToShardedLinear", "QuantizedShardedToAllLinear",  # distributed
              "value_and_grad", "average_gradients", "fully_shard"}  # transforms are of the prelude
    names = [n for n in dir(nn) if not n.startswith("_") and (inspect.isclass(getattr(nn, n)) or callable(getattr(nn, n))) and n not in absent]
    f = tmp_path / "t.mx"
    missing = []
    f.write_text("import nn;\n" + "\n".join(f"const c{i} = nn.{n};" for i, n in enumerate(names)) + "\nexport fn main() { return 1.0; }\n"
                 + "test \"t\" { " + " ".join(f"let x{i} = c{i};" for i in range(len(names))) + " }")
    r = subprocess.run([mlxcc, "check", str(f)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


SIZED = LAYERS + [("TransformerEncoder(2, 6, 2)", T), ("TransformerDecoderLayer(6, 2)", T)]


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "f64"])
def test_layers_at_symbolic_sizes_in_every_float(mlxcc, tmp_path, dtype):
    """Each layer and its gradient with run-time sizes; the result keeps the dtype of the model."""
    import subprocess

    body = ["import nn;"]
    for k, (make, x) in enumerate(SIZED):
        sizes = ["B", "T", "H", "W"][: x.ndim - 1] + [str(x.shape[-1])]
        if make.startswith("ALiBi"):
            sizes = ["B", str(x.shape[1]), "T", "S"]
        call = "m(x, x)" if "Decoder" in make else "m(x)"
        keeps = not make.startswith(("Sinusoidal", "Step"))  # frequencies are f32 as in MLX; a step is an integer
        body.append(f"const M{k} = nn.set_dtype(nn.{to_mx(make)}, {dtype});\nexport fn layer{k}(m: M{k}, x: {dtype}[{', '.join(sizes)}]) {{ let y = {call};"
                    + (f" assert y.dtype == {dtype}, str(y.dtype); return y, grad(|x| sum({call} ** 2))(x);" if keeps else " return y;") + " }")
    f = tmp_path / "t.mx"
    f.write_text("\n".join(body))
    r = subprocess.run([mlxcc, "check", str(f)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
