"""Library code as C: programs whose interpreter and compiled results must agree, on names and arrays of modules that strain the C signature. The
tests of the standard modules run wholly as C with MLXCC_COMPILED=1."""
import pathlib
import subprocess

import pytest

PROGRAMS = {
    "arrays_and_names": """
import nn;
const L = nn.Linear(3, 3)[4];
fn KV() { return (k: f32[2], v: f32[2])[3]; }
export fn main(ls: L, x: f32[3], inout c: KV(), out: f32[3]) -> f32[3] {
  for l in ls { x = l(x); }
  for i in 0..3 { c[i].k = c[i].k + 1.0; }
  return x + out;
}
export fn p(net: nn.Linear(2, 3), x: f32[2]) { return (p=grad(|net| sum(net(x) ** 2))(net)); }
export fn caches() -> KV() { return tree_map(zeros_like, KV()); }
""",
    "transformer": """
import nn, optim;
const Net = nn.TransformerEncoder(3, 8, 2);
const Opt = optim.AdamW(Net);
export fn predict(net: Net, x: f32[2, 5, 8]) { return net(x, "causal"); }
export fn step(inout net: Net, inout opt: Opt, x: f32[2, 5, 8]) -> f32 {
  let l, g = value_and_grad(|net| mean(square(net(x))))(net);
  let c, n = optim.clip_grad_norm(g, 1.0);
  net, opt = opt.update(net, c, lr=optim.cosine_decay(1e-3, 100)(opt.step));
  return l + 0 * n;
}
""",
    "recurrent": """
import nn;
const Net = nn.LSTM(4, 6);
dim T in 1..64;
export fn states(net: Net, x: f32[B, T, 4]) { let h, c = net(x); return h, c; }
export fn slope(net: Net, x: f32[B, T, 4]) { return (g=grad(|net| sum(net(x)[0] ** 2))(net)); }
""",
    "random": """
export fn draw(seed: u32) {
  let k = random.split(random.key(seed), 4);
  return random.normal((5, 3), key=k[0]), random.randint(0, 9, (7,), key=k[1]), random.categorical(random.normal((4, 3), key=k[2]), key=k[3]);
}
""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_is_interpreted(mlxcc, tmp_path, name):
    f = tmp_path / f"{name}.mx"
    f.write_text(PROGRAMS[name])
    r = subprocess.run([mlxcc, "verify", str(f)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    c = tmp_path / "out.c"
    assert subprocess.run([mlxcc, str(f), "-o", str(c)]).returncode == 0
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-c", str(c), "-o", str(tmp_path / "out.o")], check=True)


STD = sorted((pathlib.Path(__file__).resolve().parent.parent / "frontend" / "std").glob("*.mx"))


@pytest.mark.parametrize("module", STD, ids=[p.stem for p in STD])
def test_blocks_of_the_standard_modules(mlxcc, module):
    r = subprocess.run([mlxcc, "test", str(module)], capture_output=True, text=True)
    assert r.returncode == 0 and " 0 failed" in r.stdout, r.stdout + r.stderr


def test_the_checks_of_tests_can_fail(mlxcc, tmp_path):
    f = tmp_path / "t.mx"
    f.write_text("""
test "a wrong derivative" { check_grads(custom_vjp(|x| sin(x), |p, c, o| c * 1.1 * cos(p[0])), (array([0.3, 1.0]),)); }
test "far" { assert_close(array([1.0]), [1.1]); }
test "a leaf of a tree" { assert_close((a=ones(2), b=(zeros(1), 3.0)), (a=ones(2), b=(ones(1), 3.0))); }
test "equal trees" { assert_close((a=ones(2), b=(zeros(1), 3.0)), (a=ones(2), b=(zeros(1), 3.0))); }
""")
    r = subprocess.run([mlxcc, "test", str(f)], capture_output=True, text=True)
    assert r.returncode == 1 and "1 passed, 3 failed" in r.stdout, r.stdout + r.stderr
