"""What the language means: programs whose tests state values that Python, or arithmetic by hand, gives; run interpreted and as C."""
import pathlib
import re
import subprocess
import time

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "elab"
PROGRAMS = sorted(p for p in FOLDER.glob("*.mx") if re.search(r"^test ", p.read_text(), re.M))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_program(mlxcc, program):
    r = subprocess.run([mlxcc, "test", program.name], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    blocks = len(re.findall(r"^test ", program.read_text(), re.M))
    assert r.returncode == 0, r.stdout + r.stderr
    assert f"{blocks} passed, 0 failed" in r.stdout


def failing(mlxcc, tmp_path, body):
    (tmp_path / "t.mx").write_text('test "t" {\n' + body + "\n}\n")
    return subprocess.run([mlxcc, "test", "t.mx"], cwd=tmp_path, capture_output=True, text=True, timeout=60)


def test_a_test_can_fail(mlxcc, tmp_path):
    r = failing(mlxcc, tmp_path, "  var n = 0;\n  for i in 0..10 step 3 { n += i; }\n  assert n == 17;")
    assert r.returncode == 1
    assert "0 passed, 1 failed" in r.stdout
    assert "t.mx:4:10" in r.stderr and "assert n == 17" in r.stderr


def weights():
    return {
        "l1.weight": np.arange(6, dtype=np.float32).reshape(3, 2),
        "l1.bias": np.ones(3, np.float32),
        "blocks.0.weight": np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32),
        "blocks.0.bias": np.zeros(3, np.float32),
        "blocks.1.weight": 2 * np.eye(3, dtype=np.float32),
        "blocks.1.bias": np.array([1, 2, 3], np.float32),
    }


def reference(w, x, names=("l1", "blocks.0", "blocks.1")):
    for n in names:
        x = w[n + ".weight"] @ x + w[n + ".bias"]
    return x


@pytest.mark.parametrize("how", [[], ["--interp"]])
def test_weights(mlxcc, tmp_path, how):
    w = weights()
    (tmp_path / "weights.mx").write_text((FOLDER / "weights.mx").read_text())
    np.savez(tmp_path / "weights.npz", **w)
    x = np.array([1, 2], np.float32)
    for entry, args, want in [
        ("loaded", [], reference(w, x)),
        ("mapped", [], reference(w, x, ["l1"])),
        ("given", ["net=weights.npz"], reference(w, x)),
        ("given", ["--weights=net=weights.npz"], reference(w, x)),
    ]:
        r = subprocess.run([mlxcc, "run", f"weights.mx:{entry}", "x=[1,2]", *args, *how], cwd=tmp_path, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        assert np.array_equal(np.load(tmp_path / "out.npy"), want), (entry, args)


@pytest.mark.parametrize("change, message", [
    (lambda w: w.pop("l1.bias"), "l1.bias"),
    (lambda w: w.update({"l1.bias": np.ones(4, np.float32)}), "`l1.bias` is f32[4], the parameter is f32[3]"),
    (lambda w: w.update({"l1.bias": np.ones(3, np.int32)}), "`l1.bias` has dtype i32, the parameter is f32[3]"),
    (lambda w: w.pop("blocks.1.bias"), "blocks.1.bias"),
])
def test_wrong_weights(mlxcc, tmp_path, change, message):
    w = weights()
    change(w)
    (tmp_path / "weights.mx").write_text((FOLDER / "weights.mx").read_text())
    np.savez(tmp_path / "weights.npz", **w)
    r = subprocess.run([mlxcc, "check", "weights.mx"], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode == 1 and "weights.mx:13:" in r.stderr and message in r.stderr, r.stderr


def test_baked_weights_need_no_memory(mlxcc, tmp_path):
    """x @ weight.T reads a transposed constant, however large, which has the parameter's name; the report tells its size."""
    (tmp_path / "m.mx").write_text("""import nn;
const Net = nn.Linear(200, 100);
export fn f(net: Net, x: f32[200]) -> f32[100] { return net(x); }
""")
    rng = np.random.default_rng(0)
    w, b = rng.normal(size=(100, 200)).astype(np.float32), rng.normal(size=100).astype(np.float32)
    np.savez(tmp_path / "w.npz", weight=w, bias=b)
    np.save(tmp_path / "x.npy", np.ones(200, np.float32))
    mx = lambda *args: subprocess.run([mlxcc, *args], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    mx("m.mx", "--weights=net=w.npz", "-o", "m.c")
    code, header = (tmp_path / "m.c").read_text(), (tmp_path / "m.h").read_text()
    assert "m_table_net_weight_T[20000]" in code and "(-" not in code.split("};")[0]
    assert int(re.search(r"M_F_ARENA_BYTES (\d+)", header)[1]) <= 512
    assert "constants 80400 bytes" in mx("m.mx", "--weights=net=w.npz", "--emit=report")
    mx("run", "m.mx", "x=x.npy", "--weights=net=w.npz")
    assert np.allclose(np.load(tmp_path / "out.npy"), w @ np.ones(200) + b, atol=1e-4)


def test_weights_of_one_tensor(mlxcc, tmp_path):
    (tmp_path / "m.mx").write_text("export fn f(w: f32[2], x: f32[2]) -> f32[2] { return w * x; }\n")
    np.save(tmp_path / "w.npy", np.array([2, 3], np.float32))
    np.savez(tmp_path / "w.npz", w=np.array([2, 3], np.float32), v=np.ones(2, np.float32))
    run = lambda file: subprocess.run([mlxcc, "run", "m.mx", "x=[1,2]", f"--weights=w={file}"], cwd=tmp_path, capture_output=True, text=True)
    assert run("w.npy").returncode == 0 and np.array_equal(np.load(tmp_path / "out.npy"), [2, 6])
    r = run("w.npz")
    assert r.returncode == 1 and "w.npz: `w` is one tensor: give a .npy file" in r.stderr, r.stderr


def test_a_thousand_layers_are_one(mlxcc, tmp_path):
    program = """import nn;
module Net(n) {
  layers = nn.Linear(16, 16)[n];
  fn (x) { for l in layers { x = tanh(l(x)); } return x; }
}
export fn f(net: Net(COUNT), x: f32[16]) -> f32[16] { return net(x); }
export fn g(net: Net(COUNT), x: f32[16]) -> Net(COUNT) { return grad(|n| sum(n(x)))(net); }
"""
    sizes = []
    for n in (10, 1000):
        (tmp_path / "deep.mx").write_text(program.replace("COUNT", str(n)))
        start = time.perf_counter()
        subprocess.run([mlxcc, "deep.mx", "-o", "deep.c"], cwd=tmp_path, check=True)
        assert time.perf_counter() - start < 1
        sizes.append(len((tmp_path / "deep.c").read_text()))
    assert sizes[1] - sizes[0] < 300
