"""The loop interpreter computes what the tensor interpreter computes, bit for bit, after every pass that gives loops: every op at every dtype, random
programs, the programs of the repository. And it reports what C would do silently: accesses out of bounds, memory that nothing has written."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import numpy as np
import pytest
import c_kit
import ir_random
import op_cases_elem
import op_kit
from op_kit import ALL, BF16, Program
from test_ops_c import chunks, thinned
from test_ops_numpy import TENSOR

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "fuzz"))
import programs  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDS = range(3001, 3101 if os.environ.get("MLXCC_FULL") == "1" else 3009)


def evals(irtool, text, inputs, folder, function="@f"):
    """The results after each loop pass, by its name."""
    (folder / "f.ir").write_text(text)
    shutil.rmtree(folder / "out", ignore_errors=True)
    paths = []
    for k, x in enumerate(inputs):
        paths.append(str(folder / f"in{k}.npy"))
        np.save(paths[-1], np.asarray(x).view(np.uint16) if np.asarray(x).dtype == BF16 else x)
    done = subprocess.run([irtool, "evals", str(folder / "f.ir"), function, *paths, "-o", str(folder / "out")], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return {p.name: [np.load(p / f"{k}.npy") for k in range(len(list(p.glob("*.npy"))))] for p in sorted((folder / "out").iterdir())}


def check(irtool, program, folder):
    want = op_kit.interpret(irtool, program)
    text = c_kit.exported(program.text, len(program.inputs), len(program.expected))
    for name, got in evals(irtool, text, program.inputs, folder).items():
        got = [g.view(BF16) if w.dtype == BF16 else g for g, w in zip(got, want, strict=True)]
        wrong = [f"after {name}, result {k}: {op_kit.differ(g, w, None)}" for k, (g, w) in enumerate(zip(got, want)) if op_kit.differ(g, w, None)]
        assert not wrong, "\n".join(wrong[:10])


@pytest.mark.parametrize("d", ALL)
def test_elementwise(d, irtool, tmp_path):
    table = op_kit.op_table(irtool)
    with np.errstate(all="ignore"):
        for part in chunks(op_cases_elem.elem_cases({op: (e, [d] if d in ds else [], at) for op, (e, ds, at) in table.items()})):
            check(irtool, Program(d, part), tmp_path)


@pytest.mark.parametrize("op", TENSOR)
def test_tensor_op(op, irtool, tmp_path):
    for part in chunks(thinned(op)):
        check(irtool, Program(op, part), tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_random_ir(seed, irtool, tmp_path):
    text, types = ir_random.module(seed)
    r = np.random.default_rng(seed)
    inputs = [r.integers(-9, 9, [ir_random.SIZE.get(d, 1 + seed % 4) for d in dims]).astype("f8") for _, dims in types]
    (tmp_path / "p.ir").write_text(text)
    for k, x in enumerate(inputs):
        np.save(tmp_path / f"p{k}.npy", x)
    paths = [str(tmp_path / f"p{k}.npy") for k in range(len(inputs))]
    done = subprocess.run([irtool, "eval", str(tmp_path / "p.ir"), "@main", *paths, "-o", str(tmp_path / "want")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    want = [np.load(tmp_path / "want" / f"{k}.npy") for k in range(len(list((tmp_path / "want").iterdir())))]
    got = evals(irtool, exported_main(text, len(inputs), len(want)), inputs, tmp_path, "@main")
    assert got
    for name, results in got.items():
        for a, b in zip(want, results, strict=True):
            assert np.array_equal(a, b, equal_nan=True), (name, a, b, text)


def exported_main(text, inputs, results):
    """c_kit.exported for @main."""
    head = ["  export"] + [f'  param {k} "p{k}"' for k in range(inputs)] + [f'  result {k} "r{k}"' for k in range(results)]
    return re.sub(r"^(func @main\(.*\) -> \([^)]*\))", lambda m: m[1] + "\n" + "\n".join(head) + "\n ", text, count=1, flags=re.M)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed, mlxcc, tmp_path):
    """100 functions each, the arena overlaid as planned."""
    source = tmp_path / "programs.mx"
    source.write_text(programs.programs(seed, 100))
    r = subprocess.run([mlxcc, "verify", "--interp", str(source)], capture_output=True, text=True, timeout=300)
    assert r.returncode == 0 and r.stdout.count("largest difference 0.0e+00") == 100, r.stderr[-3000:] + r.stdout[-300:]


PROGRAMS = sorted(p for place in ("examples", "tests/lang") for p in (ROOT / place).rglob("*.mx"))
SLOW = ["gpt2", "lora", "bert", "sd_unet", "cnn_batchnorm", "newton", "char_lm", "llama", "whisper", "digits_cnn"]  # minutes, or no end, in an interpreter on random inputs


@pytest.mark.parametrize("path", [p for p in PROGRAMS if not any(s in p.stem for s in SLOW)], ids=lambda p: p.stem)
def test_programs(path, mlxcc):
    r = subprocess.run([mlxcc, "verify", "--interp", "--trials=1", str(path)], capture_output=True, text=True, timeout=300)
    if r.returncode == 2 or "exports no function" in r.stderr:
        pytest.skip("stops at a limitation or exports nothing")
    assert r.returncode == 0, r.stderr
    # attention is one kernel with a running maximum: close to its plain form, not equal; `columns` of 28_vmap multiplies columns, whose sum has
    # another order (ir/dot.h) than before the transpose in front of it was folded away
    worst = [float(x) for x in re.findall(r"largest difference (\S+)\)", r.stdout)]
    assert all(x == 0 for x in worst) or (("attention" in path.read_text() or path.stem == "28_vmap") and max(worst) < 1e-5), r.stdout


# --- what is wrong is said ------------------------------------------------------------------------------------------------------------------
HEAD = """module "m" stage "loops" after plan
func @f(%x: f32[4]) -> (f32[4])
{
  arena 64
  buf x: f32[4] param 0
  buf out: f32[4] result 0
  buf a: f32[4] arena at 0
  buf b: f32[4] arena at 16
  buf c: f32[4] const f32[4](1, 2, 3, 4)
"""


def kernel(name, to, frm, store="i", load="i", n=4):
    return f"""  kernel @{name} {{
    axis i in {n}
    stage {name} over i {{
      %0: f32 = load {frm}[{load}]
      store {to}[{store}] %0
    }}
  }}
"""


@pytest.mark.parametrize("steps, message", [
    (kernel("k", "out", "x", load="i + 1"), "@f: kernel @k0_k, stage k: index 0 of `x` reaches 4, and the axis has 4 elements"),
    (kernel("k", "out", "x", store="2*i - 2"), "@f: kernel @k0_k, stage k: index 0 of `out` reaches 4, and the axis has 4 elements"),
    (kernel("k", "out", "x", n=3), "@f: element 3 of `out` is read, and nothing has written it"),
    (kernel("k", "out", "a"), "@f: kernel @k0_k, stage k: element 0 of `a` is read, and nothing has written it"),
    (kernel("p", "a", "x") + kernel("q", "b", "c") + kernel("r", "out", "a") + kernel("s", "out", "b"), None),
])
def test_faults(irtool, tmp_path, steps, message):
    (tmp_path / "f.ir").write_text(HEAD + steps + "}\n")
    np.save(tmp_path / "x.npy", np.arange(4, dtype="f4"))
    r = subprocess.run([irtool, "eval", str(tmp_path / "f.ir"), "@f", str(tmp_path / "x.npy"), "-o", str(tmp_path / "out")], capture_output=True, text=True)
    if message:
        by = "mlxcc: error[loops.verify]" if "reaches" in message else "irtool"  # the verifier sees what is decidable
        assert r.returncode == 1 and r.stderr == f"{by}: {message}\n"
    else:
        assert r.returncode == 0, r.stderr


def test_overlapping_buffers(irtool, tmp_path):
    """a and b share bytes 0..16 by a wrong plan."""
    text = HEAD.replace("arena at 16", "arena at 8") + kernel("p", "a", "x") + kernel("q", "b", "c") + kernel("r", "out", "a") + kernel("s", "out", "b") + "}\n"
    (tmp_path / "f.ir").write_text(text)
    np.save(tmp_path / "x.npy", np.arange(4, dtype="f4"))
    r = subprocess.run([irtool, "eval", str(tmp_path / "f.ir"), "@f", str(tmp_path / "x.npy")], capture_output=True, text=True)
    assert r.returncode == 1 and r.stderr == "irtool: @f: kernel @k2_r, stage r: element 2 of `a` is read after `b` was written in its memory\n"


def test_interpreting_after_a_pass(mlxcc, tmp_path):
    """mlxcc run --interp --stop-after=PASS: for people who look for a bad pass."""
    (tmp_path / "f.mx").write_text("export fn f(x: f32[N]) { print(x); return softmax(x); }\n")
    np.save(tmp_path / "x.npy", np.arange(4, dtype="f4"))
    results = []
    for stop in ([], ["--stop-after=cse"], ["--stop-after=lower"], ["--stop-after=plan"]):
        r = subprocess.run([mlxcc, "run", f"{tmp_path / 'f.mx'}:f", f"x={tmp_path / 'x.npy'}", "--interp", "--out", str(tmp_path), *stop], capture_output=True, text=True)
        assert r.returncode == 0 and r.stdout.startswith("[0, 1, 2, 3]\n"), r.stderr
        results.append(np.load(tmp_path / "out.npy"))
    assert all(np.array_equal(a, results[0]) for a in results)
    e = np.exp(np.arange(4) - 3.0)
    assert np.allclose(results[0], e / e.sum(), rtol=1e-6)
    r = subprocess.run([mlxcc, "run", f"{tmp_path / 'f.mx'}:f", f"x={tmp_path / 'x.npy'}", "--stop-after=plan"], capture_output=True, text=True)
    assert r.returncode == 1 and "with --interp the program is interpreted as it is then" in r.stderr
