"""Every optimiser against MLX: 20 steps from the same weights with the same gradients of a small network."""
import numpy as np
import pytest

from std_tools import leaves, mx, run

import mlx.nn as nn
import mlx.optimizers as optim

rng = np.random.default_rng(3)
X = rng.normal(size=(12, 5)).astype(np.float32)
Y = rng.normal(size=(12, 3)).astype(np.float32)
STEPS = 20

CASES = [
    ("SGD", "", 0.1), ("SGD", "momentum=0.9", 0.05), ("SGD", "momentum=0.9, nesterov=True, weight_decay=0.01", 0.05), ("SGD", "momentum=0.8, dampening=0.3", 0.1),
    ("RMSprop", "", 0.01), ("RMSprop", "alpha=0.9, eps=1e-4", 0.01), ("Adagrad", "", 0.1), ("AdaDelta", "", 1.0), ("AdaDelta", "rho=0.8, eps=1e-3", 0.5),
    ("Adam", "", 0.01), ("Adam", "betas=(0.8, 0.99), eps=1e-6, bias_correction=True", 0.01), ("AdamW", "", 0.01),
    ("AdamW", "weight_decay=0.1, bias_correction=True", 0.01), ("Adamax", "", 0.01), ("Lion", "", 0.003), ("Lion", "betas=(0.8, 0.95), weight_decay=0.1", 0.003),
    ("Adafactor", "", None), ("Adafactor", "relative_step=False, scale_parameter=False", 0.01), ("Adafactor", "beta_1=0.9, weight_decay=0.01, warmup_init=True", None),
    ("Muon", "", 0.02), ("Muon", "momentum=0.8, nesterov=False, weight_decay=0.0, ns_steps=3", 0.02),
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.Linear(5, 8), nn.Linear(8, 3)

    def __call__(self, x):
        return self.l2(mx.tanh(self.l1(x)))


SOURCE = """
import nn, losses, optim;
module Mlp() {
  l1 = nn.Linear(5, 8);
  l2 = nn.Linear(8, 3);
  fn (x) { return l2(tanh(l1(x))); }
}
const Net = Mlp();
const Opt = optim.OPTIMISER;
fn loss(net: Net, x, y) { return losses.mse_loss(net(x), y); }
export fn main(net: Net, x: f32[B, 5], y: f32[B, 3]) -> Net {
  var p = net;
  var opt = Opt.init(net);
  for i in 0..20 { p, opt = opt.update(p, grad(loss)(p, x, y)LR); }
  return p;
}
"""


def train(optimiser, net):
    step = nn.value_and_grad(net, lambda x, y: nn.losses.mse_loss(net(x), y))
    x, y = mx.array(X), mx.array(Y)
    for _ in range(STEPS):
        _, g = step(x, y)
        optimiser.update(net, g)
        mx.eval(net.parameters(), optimiser.state)
    return leaves(net.parameters())


@pytest.mark.parametrize("name,args,lr", CASES, ids=[f"{n}({a})" for n, a, _ in CASES])
def test_twenty_steps(mlxcc, tmp_path, name, args, lr):
    mx.random.seed(1)
    net = Net()
    start = leaves(net.parameters())
    want = train(eval(f"optim.{name}({'' if lr is None else f'learning_rate={lr}, '}{args})"), net)
    mine = args.replace("True", "true").replace("False", "false")
    source = SOURCE.replace("OPTIMISER", f"{name}(Net{', ' + mine if mine else ''})").replace("LR", "" if lr is None else f", lr={lr}")
    got = run(mlxcc, tmp_path, source, "main", net=start, x=X, y=Y)
    assert sorted(got) == sorted(want)
    for k in want:
        assert np.abs(want[k] - start[k]).max() > 1e-5
        np.testing.assert_allclose(got[k], want[k], rtol=1e-5, atol=2e-6, err_msg=k)


SCHEDULES = [
    "exponential_decay(0.1, 0.9)", "step_decay(0.1, 0.5, 3)", "cosine_decay(0.1, 10)", "cosine_decay(0.1, 10, 0.01)", "linear_schedule(0.0, 0.1, 5)",
    "join_schedules([OPT.linear_schedule(0.0, 0.1, 4), OPT.cosine_decay(0.1, 6)], [4])",
]


@pytest.mark.parametrize("text", SCHEDULES)
def test_schedule(mlxcc, tmp_path, text):
    source = f"import optim; export fn main(step: u64) -> f32 {{ return optim.{text.replace('OPT', 'optim')}(step); }}"
    schedule = eval(f"optim.{text.replace('OPT', 'optim')}")
    for step in (0, 1, 3, 4, 7, 30):
        got = run(mlxcc, tmp_path, source, "main", step=np.array(step, np.uint64))["out"]
        np.testing.assert_allclose(got, np.array(schedule(mx.array(step, mx.uint64))), rtol=1e-6, atol=1e-9)


def test_schedule_in_the_constructor(mlxcc, tmp_path):
    mx.random.seed(2)
    net = Net()
    start = leaves(net.parameters())
    want = train(optim.SGD(optim.linear_schedule(0.1, 0.01, 15), momentum=0.5), net)
    source = SOURCE.replace("OPTIMISER", "SGD(Net, momentum=0.5, learning_rate=optim.linear_schedule(0.1, 0.01, 15))").replace("LR", "")
    got = run(mlxcc, tmp_path, source, "main", net=start, x=X, y=Y)
    for k in want:
        np.testing.assert_allclose(got[k], want[k], rtol=1e-5, atol=2e-6, err_msg=k)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clip_grad_norm(mlxcc, tmp_path, limit):
    grads = {"a": X, "b": Y}
    got = run(mlxcc, tmp_path, "import optim; export fn main(g: (a: f32[12, 5], b: f32[12, 3]), m: f32) { let c, n = optim.clip_grad_norm(g, m);"
              " return (a=c.a, b=c.b, norm=n); }", "main", g=grads, m=limit)
    want, norm = optim.clip_grad_norm({k: mx.array(v) for k, v in grads.items()}, limit)
    np.testing.assert_allclose(got["norm"], np.array(norm), rtol=1e-6)
    for k in grads:
        np.testing.assert_allclose(got[k], np.array(want[k]), rtol=1e-6, atol=1e-7)


def test_multi_optimizer(mlxcc, tmp_path):
    mx.random.seed(4)
    net = Net()
    start = leaves(net.parameters())
    want = train(optim.MultiOptimizer([optim.Adam(learning_rate=0.01), optim.SGD(learning_rate=0.05, momentum=0.9)], [lambda name, w: "weight" in name]), net)
    source = SOURCE.replace("OPTIMISER", "MultiOptimizer((optim.Adam(Net, learning_rate=0.01), optim.SGD(Net, momentum=0.9, learning_rate=0.05)),"
                            " (|path, g| \"weight\" in path,))").replace("LR", "")
    got = run(mlxcc, tmp_path, source, "main", net=start, x=X, y=Y)
    for k in want:
        np.testing.assert_allclose(got[k], want[k], rtol=1e-5, atol=2e-6, err_msg=k)
