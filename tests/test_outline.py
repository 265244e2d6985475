"""outline: layers written one after the other become one function; results keep their bits, and code stops growing with the number of layers."""
import re
import subprocess

import pytest

LAYERS = """
import nn, optim;
module Block(d) {{
  n1 = nn.LayerNorm(d); n2 = nn.LayerNorm(d);
  q = nn.Linear(d, d); k = nn.Linear(d, d); v = nn.Linear(d, d); o = nn.Linear(d, d);
  f1 = nn.Linear(d, 4 * d); f2 = nn.Linear(4 * d, d);
  fn (x) {{
    let h = n1(x);
    x = x + o(softmax(q(h) @ k(h).T / 4, axis=-1) @ v(h));
    return x + f2(nn.gelu(f1(n2(x))));
  }}
}}
module Net(d) {{
{members}
  fn (x) {{ {calls} return x; }}
}}
const N = Net(16);
{dims}
export fn predict(net: N, x: f32[{L}, 16]) -> f32[{L}, 16] {{ return net(x); }}
"""
TRAIN = """
export fn train(inout net: N, inout opt: optim.SGD(N), x: f32[8, 16], y: f32[8, 16]) -> f32 {
  let l, g = value_and_grad(|net, x, y| mean((net(x) - y) ** 2))(net, x, y);
  net, opt = opt.update(net, g, lr=1e-2);
  return l;
}
"""


def layers(n, train=False, symbolic=False):
    names = [f"b{i}" for i in range(n)]
    return LAYERS.format(members="\n".join(f"  {b} = Block(16);" for b in names), calls=" ".join(f"x = {b}(x);" for b in names),
                         dims="dim L;" if symbolic else "", L="L" if symbolic else 8) + (TRAIN if train else "")


def compile_(mlxcc, tmp_path, text, *switches, name="m"):
    (tmp_path / f"{name}.mx").write_text(text)
    r = subprocess.run([mlxcc, f"{name}.mx", "-o", f"{name}.c", "--verify-each", *switches], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 0, r.stderr
    return (tmp_path / f"{name}.c").read_text(), r.stderr


def parts(mlxcc, tmp_path, text):
    _, ir = compile_(mlxcc, tmp_path, text, "--print-after=dce")
    return re.findall(r"^func @([\w.]+\.part[\w.]*)\(", ir, re.M), re.findall(r"= call .*func=@([\w.]+\.part[\w.]*)", ir)


@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
def test_layers_become_one_function(mlxcc, tmp_path, symbolic):
    functions, calls = parts(mlxcc, tmp_path, layers(12, symbolic=symbolic))
    assert functions == ["predict.part"]
    assert len(calls) == 11, "all but the last, whose sum is the result"


def test_code_does_not_grow_with_the_layers(mlxcc, tmp_path):
    few, many = (len(compile_(mlxcc, tmp_path, layers(n))[0].splitlines()) for n in (6, 24))
    assert many < few + 18 * 40, "a call, and its parameters' names, per layer"


@pytest.mark.parametrize("train", [False, True], ids=["forward", "training"])
def test_the_bits_stay(mlxcc, tmp_path, train):
    text = layers(6, train)
    assert parts(mlxcc, tmp_path, text)[0]
    r = subprocess.run([mlxcc, "verify", "m.mx"], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 0 and r.stdout.count("largest difference 0.0e+00") == 1 + train, r.stdout + r.stderr


def chain(step, n=12):
    return "export fn f(x: f32[16]) -> f32[16] {\n  var y = x;\n" + "".join(f"  {step(i)}\n" for i in range(n)) + "  return y * 0.5;\n}\n"


def long_step(c, n=7):
    return " ".join(["y = sin(y) * 1.25;", "y = y + tanh(y);"] * n) + f" y = y * {c};"


def test_numbers_that_differ_become_parameters(mlxcc, tmp_path):
    functions, calls = parts(mlxcc, tmp_path, chain(lambda i: long_step(f"0.{i + 1}")))
    assert functions == ["f.part"] and len(calls) >= 10


def test_tensor_constants_that_differ_keep_the_copies_apart(mlxcc, tmp_path):
    table = lambda i: "array([" + ", ".join(f"{i}.{k}" for k in range(16)) + "])"
    assert parts(mlxcc, tmp_path, chain(lambda i: long_step(table(i), 5))) == ([], []), "the ops between two of them are too few"
    assert parts(mlxcc, tmp_path, chain(lambda i: long_step(table(7), 5)))[0] == ["f.part"]


def test_small_runs_stay(mlxcc, tmp_path):
    assert parts(mlxcc, tmp_path, chain(lambda i: "y = sin(y) * 1.25;", 40))[0] == []


def test_prints_and_checks_are_not_moved(mlxcc, tmp_path):
    text = chain(lambda i: long_step("0.5") + ' print("step", y);', 6)
    _, ir = compile_(mlxcc, tmp_path, text, "--print-after=dce")
    assert ir.count("print ") == 6 and "func @f.part" in ir, "what lies between two prints is a run; the prints stay in order"
    body = ir[ir.index("func @f("):ir.index("func @f.part")]
    order = re.findall(r"^  (print|.*= call)", body, re.M)
    assert [w.split()[-1] for w in order[-6:]] == ["call", "print"] * 3
