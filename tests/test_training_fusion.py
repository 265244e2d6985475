"""Optimizer updates: all that happens to one parameter is one loop over it, whatever the order in which the program updates its trees."""
import re
import subprocess

import numpy as np
import pytest
from mxrun import run

HEAD = """import nn, optim;
module Net() { a = nn.Linear(24, 40); b = nn.Linear(40, 24); c = nn.Linear(24, 8, bias=false); fn (x) { return c(tanh(b(tanh(a(x))))); } }
const N = Net();
const O = %s;
export fn main(inout net: N, inout opt: O, g: N) { net, opt = opt.update(net, g, lr=1e-2); }
"""


def update_kernels(mlxcc, tmp_path, opt, *options):
    (tmp_path / "t.mx").write_text(HEAD % opt)
    loops = subprocess.run([mlxcc, "t.mx", "--emit=loops", "--verify-each", *options], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    return [k for k in re.findall(r"^  kernel .*?^  }", loops, re.M | re.S) if "axis" in k or "outer" in k]


@pytest.mark.parametrize("opt", ["optim.Adam(N)", "optim.AdamW(N, bias_correction=true)", "optim.SGD(N, momentum=0.9)", "optim.RMSprop(N)"])
def test_one_kernel_for_each_parameter(mlxcc, tmp_path, opt):
    kernels = update_kernels(mlxcc, tmp_path, opt)
    assert len(kernels) == 5, len(kernels)  # a.weight a.bias b.weight b.bias c.weight
    assert all(len(re.findall(r"^    stage ", k, re.M)) == 1 for k in kernels)
    (tmp_path / "t.mx").write_text(HEAD % opt)
    done = subprocess.run([mlxcc, "verify", "--interp", "t.mx"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


def test_order_is_kept_where_it_matters(mlxcc):
    """A map goes back past others only where it neither reads what they write nor writes what they read."""
    text = """export fn main(inout a: f32[64, 9], inout b: f32[64, 9], c: f32[64, 9]) -> f32[64, 9] {
  a = a + c;
  b = b * sum(a);
  a = a - b[::-1];
  b = a[::-1] + c;
  let t = a * b;
  return t + c;
}
"""
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((64, 9)).astype(np.float32) for _ in range(3))
    x = a + c
    y = b * x.sum(dtype=np.float64)
    x = x - y[::-1]
    y = x[::-1] + c
    for compiled in (True, False):
        out = run(mlxcc, text, compiled=compiled, a=a, b=b, c=c)
        np.testing.assert_allclose(out[-1] if len(out) > 1 else out[0], x * y + c, rtol=1e-3, atol=1e-2)
