"""The command line: exit codes, what is written and what is not, help, the man page, the pass switches."""
import os
import pathlib
import pty
import re
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMANDS = ["", "run", "test", "verify", "check"]
PROGRAM = """
dim B in 1..8;
module Scale(n) { param w: f32[n] = 2; fn (x) { return x * w; } }
const Net = Scale(3);
## Scales the rows.
export fn apply(net: Net, x: f32[B, 3], lr: f32) -> f32[B, 3] { return net(x) + lr; }
export fn both(x: f32[B, 3]) -> (total: f32, rows: f32[B]) { return (total=sum(x), rows=sum(x, axis=1)); }
export fn pair(x: f32[B, 3]) -> (f32, i32[B]) { return sum(x), argmax(x, axis=1).astype(i32); }
export fn step(inout net: Net, x: f32[B, 3]) -> f32 { net.w = net.w + sum(x, axis=0); return sum(net.w); }
export fn init(seed: u32) -> Net { return Net.init(random.key(seed)); }
test "it scales" { assert_close(apply(Net.init(random.key(0)), ones(2, 3), 1.0), 3 * ones(2, 3)); }
"""


@pytest.fixture
def cli(mlxcc, tmp_path):
    (tmp_path / "model.mx").write_text(PROGRAM)
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(*args, code=0, **kw):
        r = subprocess.run([mlxcc, *map(str, args)], cwd=tmp_path, capture_output=True, text=True, timeout=120, env={**env, **kw.pop("env", {})}, **kw)
        assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
        return r

    call.path = tmp_path
    return call


def fails(cli, message, *args, code=1):
    r = cli(*args, code=code)
    assert r.stdout == "" and message in r.stderr, r.stderr
    assert len(re.findall(r"^(?:\S+:\d+:\d+|mlxcc): (?:error|limitation)", r.stderr, re.M)) == 1, r.stderr
    return r.stderr


# --- help ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", COMMANDS)
def test_help(cli, command):
    args = [command] if command else []
    text = cli(*args, "--help").stdout
    assert "usage:" in text and "exit status:" in text and f"mlxcc {command}".strip() in text
    assert cli(*args, "-h").stdout == text
    assert all(len(line) <= 160 for line in text.splitlines())


def test_version(cli):
    assert re.fullmatch(r"mlxcc \d+\.\d+\.\d+\n", cli("--version").stdout)


def test_man_page_has_every_option(cli):
    page = (ROOT / "docs/mlxcc.1").read_text().replace("\\-", "-")
    options = set()
    for command in COMMANDS:
        options |= set(re.findall(r"^  (--?[a-z][a-z-]*)", cli(*([command] if command else []), "--help").stdout, re.M))
    assert len(options) > 15
    assert not {o for o in options if o not in page}
    in_page = set(re.findall(r"^\.BI? (--?[a-z][a-z-]*)", page, re.M))
    assert in_page <= options | {"-h"}


# --- mistakes on the command line ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("args, message", [
    (["--emti=ir", "model.mx"], "did you mean `--emit`?"),
    (["model.mx"], "help: -o model.c"),
    (["model.mx", "--emit=x"], "it is one of ir, loops, dot, c, h, report"),
    (["model.mx", "other.mx", "-o", "x.c"], "one file at a time"),
    (["model.mx", "-o"], "`-o` needs a value"),
    (["model.mx", "-o", "model.h"], "-o names the C file"),
    (["model.mx", "-o", "model.mx"], "-o names the program itself, `model.mx`"),
    (["model.mx", "--emit=ir", "-o", "./model.mx"], "it would be overwritten"),
    (["model.mx", "-o", "other.mx"], "this is the name of a program, not of a C file"),
    (["model.mx", "-o", "x.c", "--weights", "nut=w.npz"], "no exported function that is compiled has a parameter `nut`"),
    (["model.txt", "-o", "x.c"], "must end with .mx or .ir"),
    (["missing.mx", "-o", "x.c"], "missing.mx"),
    (["missing.ir", "-o", "x.c"], "No such file or directory"),
    (["model.mx", "-o", "x.c", "--max-memory=lots"], "--max-memory takes a size"),
    (["model.mx", "-o", "x.c", "--bisect=-1"], "--bisect takes a number"),
    (["model.mx", "-o", "x.c", "--prefix=7up"], "cannot begin a C name"),
    (["model.mx", "-o", "x.c", "--skip=nonsense"], "there is no pass `nonsense`"),
    (["model.mx", "-o", "x.c", "--weights", "net"], "--weights takes NAME=FILE"),
    (["model.mx", "-o", "nowhere/x.c"], "cannot write: No such file or directory"),
    (["check"], "no input file"),
    (["chek", "model.mx"], "there is no command `chek`"),
    (["check", "model.mx", "--interp"], "has no option `--interp`"),
    (["run", "model.mx:apply", "7"], "arguments are given as NAME=VALUE"),
    (["run", "model.mx:aply"], "aply"),
    (["run", "model.mx"], "exports 5 functions"),
])
def test_mistakes(cli, args, message):
    fails(cli, message, *args)
    assert sorted(p.name for p in cli.path.iterdir()) == ["model.mx"]


@pytest.mark.parametrize("text, code", [
    ("export fn f(x: f32[3]) -> f32[3] { return x + y; }", 1),
    ("export fn f(x: f32[3]) -> f32[3] { return x +; }", 1),
    ("export fn f(x: f32[3]) -> f32[4] { return x; }", 1),
    ("kernel k(x: f32[N]) -> (y: f32[N]) { c \"\"\" \"\"\" }\nexport fn f(x: f32[N]) -> f32[N] { return k(x); }", 2),
])
def test_no_output_after_an_error(cli, text, code):
    (cli.path / "bad.mx").write_text(text)
    for args in (["-o", "bad.c"], ["--emit=c", "-o", "bad.txt"], ["--emit=ir", "-o", "bad.ir"]):
        r = cli("bad.mx", *args, code=code)
        assert r.stdout == "" and "bad.mx:" in r.stderr
    assert sorted(p.name for p in cli.path.iterdir()) == ["bad.mx", "model.mx"]


def test_an_older_output_survives_an_error(cli):
    (cli.path / "bad.mx").write_text("export fn f(x: f32[3]) { return x +; }")
    (cli.path / "bad.c").write_text("older")
    cli("bad.mx", "-o", "bad.c", code=1)
    assert (cli.path / "bad.c").read_text() == "older" and not (cli.path / "bad.h").exists()


def test_memory_limit(cli):
    (cli.path / "big.mx").write_text("const t = " + "[" + "1.5, " * 200000 + "0];\nexport fn f() -> f32[200001] { return array(t); }")
    r = cli("check", "big.mx", "--max-memory=4M", code=2)
    assert "limitation[memory]" in r.stderr and "4 MiB" in r.stderr


@pytest.mark.parametrize("text", [
    "const t = random.normal(20000, 20000, key=random.key(1));\nexport fn f() -> f32 { return t[0, 0]; }",
    'test "big" { let x = ones(30000, 30000); assert sum(x + x) > 0; }',
])
def test_memory_limit_of_tensors(cli, text):
    """What the interpreter and the folder take counts too."""
    (cli.path / "big.mx").write_text(text)
    r = cli("test", "big.mx", "--max-memory=500M", code=2)
    assert "limitation[memory]" in r.stderr and "500 MiB" in r.stderr


# --- output --------------------------------------------------------------------------------------------------------------
def test_compile(cli):
    assert cli("model.mx", "-o", "out.c").stdout == ""
    c, h = (cli.path / "out.c").read_text(), (cli.path / "out.h").read_text()
    assert '#include "out.h"' in c and "model_apply" in h and "Scales the rows" in h
    assert str(cli.path) not in c + h
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-c", "out.c", "-o", "out.o"], cwd=cli.path, check=True)
    cli("model.mx", "-o", "again.c")
    assert (cli.path / "again.c").read_text().replace("again.h", "out.h") == c
    assert cli("model.mx", "--emit=c", "-o", "third.c") and (cli.path / "third.c").read_text().replace("third.h", "out.h") == c


def test_output_to_a_device_writes_no_header(cli):
    cli("model.mx", "-o", "/dev/null")
    assert not pathlib.Path("/dev/null.h").exists()


def test_prefix_and_entry(cli):
    cli("model.mx", "-o", "m.c", "--prefix", "kws", "--entry", "apply")
    h = (cli.path / "m.h").read_text()
    assert "kws_apply" in h and "model_" not in h and "kws_both" not in h


def test_emit_ir_is_read_again(cli):
    text = cli("model.mx", "--emit=ir").stdout
    assert text.startswith('module "model"') and "func @apply" in text
    (cli.path / "model.ir").write_text(text)
    assert cli("model.ir", "--emit=ir").stdout == text
    assert cli("model.ir", "--emit=c").stdout == cli("model.mx", "--emit=c").stdout.replace("mlxcc model.mx", "mlxcc model.ir")


@pytest.mark.parametrize("kind", ["loops", "dot", "h", "report"])
def test_other_texts(cli, kind):
    assert "apply" in cli("model.mx", f"--emit={kind}").stdout


def test_passes(cli):
    lines = cli("--list-passes").stdout.splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    assert len(names) > 5
    assert "cse" in names
    shown = cli("model.mx", "--emit=c", "--print-after=cse").stderr
    assert "func @apply" in shown
    text = cli("model.mx", "--emit=ir", "--stop-after=cse").stdout
    (cli.path / "cse.ir").write_text(text)
    after = names[names.index("cse") + 1]
    assert cli("cse.ir", f"--start-at={after}", "--emit=c").stdout == cli("model.mx", "--emit=c").stdout.replace("mlxcc model.mx", "mlxcc cse.ir")
    assert "cse" in cli("model.mx", "--emit=h", "--time-passes").stderr
    fails(cli, "add --emit=ir", "model.mx", "-o", "x.c", "--stop-after=cse")
    cli("model.mx", "--emit=c", "--skip=cse", "--verify-each")
    assert cli("model.mx", "--emit=c", "--bisect=0").stdout


# --- run -----------------------------------------------------------------------------------------------------------------
@pytest.fixture(params=["C", "interpreter"])
def run(cli, request):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(cli.path / "x.npy", x)
    save_file({"w": np.array([1, 2, 3], np.float32)}, cli.path / "net.safetensors")
    flags = ["--interp"] if request.param == "interpreter" else []

    def call(f, *args, file="model.mx", **kw):
        return cli("run", f"{file}:{f}", *args, *flags, **kw)

    call.path, call.x = cli.path, x
    return call


def test_run_tree_and_number(run):
    r = run("apply", "net=net.safetensors", "x=x.npy", "lr=0.5", "--out", "r")
    assert "out = f32[2,3]" in r.stdout and r.stderr == ""
    assert np.array_equal(np.load(run.path / "r/out.npy"), run.x * [1, 2, 3] + 0.5)


def test_run_leaf_by_leaf(run):
    run("apply", "net.w=[1,2,3]", "x=x.npy", "lr=0", "--out", "r.npy")
    assert np.array_equal(np.load(run.path / "r.npy"), run.x * [1, 2, 3])


def test_run_record_and_tuple(run):
    run("both", "x=x.npy", "--out", "r")
    assert np.load(run.path / "r/total.npy") == 15 and np.array_equal(np.load(run.path / "r/rows.npy"), [3, 12])
    run("pair", "x=x.npy", "--out", "r")
    assert np.load(run.path / "r/out0.npy") == 15 and np.array_equal(np.load(run.path / "r/out1.npy"), [2, 2])


def test_run_inout_and_init(run):
    r = run("step", "net=net.safetensors", "x=x.npy", "--out", "r")
    assert "out = 21" in r.stdout
    assert np.array_equal(load_file(run.path / "r/net.safetensors")["w"], [4, 7, 10])
    run("step", "net=net.safetensors", "x=x.npy", "--out", "all.safetensors")
    assert set(load_file(run.path / "all.safetensors")) == {"out", "net.w"}
    run("apply", "net=all.safetensors", "x=x.npy", "lr=0", "--out", "r.npy")
    assert np.array_equal(np.load(run.path / "r.npy"), run.x * [4, 7, 10])
    run("init", "seed=1", "--out", "fresh.safetensors")
    assert np.array_equal(load_file(run.path / "fresh.safetensors")["w"], [2, 2, 2])
    run("apply", "net=fresh.safetensors", "x=x.npy", "lr=0", "--out", "r.npy")


def test_run_dimension_out_of_range(run):
    np.save(run.path / "x9.npy", np.zeros((9, 3), np.float32))
    r = run("both", "x=x9.npy", code=1)
    assert "B is 9: `both` needs 1 to 8" in r.stderr
    r = run("apply", "net=net.safetensors", "x=[[1,2]]", "lr=1", code=1)
    assert "`x` is" in r.stderr and "`apply` takes f32[B,3]" in r.stderr


def test_run_missing_and_unknown_arguments(run):
    assert "`lr` is missing: f32" in run("apply", "net=net.safetensors", "x=x.npy", code=1).stderr
    assert "did you mean `net`?" in run("apply", "nett=net.safetensors", code=1).stderr
    assert "`seed` is -1, which is no u32; `init` takes u32" in run("init", "seed=-1", code=1).stderr
    assert "is given twice" in run("apply", "net=net.safetensors", "x=x.npy", "x=x.npy", "lr=1", code=1).stderr


def test_run_baked_weights(run):
    run("apply", "x=x.npy", "lr=0", "--weights", "net=net.safetensors", "--out", "r.npy")
    assert np.array_equal(np.load(run.path / "r.npy"), run.x * [1, 2, 3])


def test_run_uses_its_cache(cli):
    np.save(cli.path / "x.npy", np.zeros((2, 3), np.float32))
    cli("run", "model.mx:both", "x=x.npy", "--out", "r")
    kept = list((cli.path / "cache/mlxcc").iterdir())
    assert [k.suffix for k in kept] == [".so"]
    cli("run", "model.mx:both", "x=x.npy", "--out", "r", env={"PATH": "/nowhere"})
    r = cli("run", "model.mx:pair", "x=x.npy", "--out", "r", env={"CC": "/nowhere/cc"}, code=1)
    assert "there is no C compiler `/nowhere/cc`" in r.stderr and "--interp" in r.stderr


def test_run_prints_and_asserts(run):
    (run.path / "say.mx").write_text('export fn f(x: f32[N], i: i32) -> f32 {\n  print("x is", x, "i", i);\n  assert i < 2, "i is too big";\n  return x[i];\n}\n')
    r = run("f", "x=[1,2,3]", "i=1", "--out", "r.npy", file="say.mx")
    assert r.stdout.startswith("x is [1, 2, 3] i 1\n") and "out = 2" in r.stdout
    r = run("f", "x=[1,2,3]", "i=2", "--check", "--out", "s.npy", code=1, file="say.mx")
    assert "say.mx:3:" in r.stderr and "error[assert]: i is too big" in r.stderr and not (run.path / "s.npy").exists()


def test_refused_c_is_a_bug_and_kept(cli):
    refuse = cli.path / "refuse"
    refuse.write_text('#!/bin/sh\necho "model.c:1: error: no" >&2\nexit 1\n')
    refuse.chmod(0o755)
    r = cli("run", "model.mx:init", "seed=1", "--out", "r", env={"CC": str(refuse)}, code=70)
    assert "bug in mlxcc[run.compiler]" in r.stderr and "model.c:1: error: no" in r.stderr
    assert "model_init" not in r.stderr and "run_init" in (cli.path / "mlxcc-bug.c").read_text() and not (cli.path / "r").exists()


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_a_terminal_only(cli, mlxcc, terminal):
    slow = cli.path / "slow"
    slow.write_text('#!/bin/sh\nsleep 1.6\nexec cc "$@"\n')
    slow.chmod(0o755)
    ours, theirs = pty.openpty() if terminal else os.pipe()
    env = {**os.environ, "XDG_CACHE_HOME": str(cli.path / "cache"), "CC": str(slow)}
    args = [mlxcc, "run", "model.mx:init", "seed=1", "--out", "r"]
    child = subprocess.Popen(args, cwd=cli.path, stdout=subprocess.DEVNULL, stderr=theirs, env=env)
    assert child.wait(timeout=60) == 0
    if not terminal:
        os.close(theirs)
    text = os.read(ours, 4096).decode() if terminal else b"".join(iter(lambda: os.read(ours, 4096), b"")).decode()
    assert ("compiling the C, 1 s" in text and text.endswith("\r\x1b[K")) if terminal else text == ""


# --- test and verify -----------------------------------------------------------------------------------------------------
def test_test(cli):
    assert cli("test", "model.mx").stdout == "ok   it scales\n1 passed, 0 failed\n"
    (cli.path / "bad.mx").write_text(PROGRAM + 'test "wrong" {\n  let x = ones(2);\n  assert sum(x) == 3, "two is not three";\n}\n')
    r = cli("test", "bad.mx", code=1)
    assert r.stdout == "ok   it scales\nFAIL wrong\n1 passed, 1 failed\n"
    assert "two is not three" in r.stderr and "bad.mx:14:" in r.stderr


def test_wrong_c_is_found(cli):
    """A C compiler that changes the program: `test` and `verify` must see it."""
    wrong = cli.path / "wrong-cc"
    wrong.write_text('#!/bin/sh\nfor a in "$@"; do case $a in *model.c) sed -i "s/ 2\\.0f/ 3.0f/" "$a";; esac; done\nexec cc "$@"\n')
    wrong.chmod(0o755)
    (cli.path / "wrong.mx").write_text("""export fn twice(x: f32[N], n: i32) -> f32[N] { for i in 0..n { x = x * 2 + 1; } return x; }
test "sum" {
  let n = argmax(random.uniform(0, 1, (4,), key=random.key(1)));
  var x = random.normal(3, key=random.key(2)) * 0;
  for i in 0..n.astype(i32) + 5 { x = x * 2 + 1; }
  assert sum(x) < 1000, "the sum is too big";
}
""")
    assert cli("test", "wrong.mx").stdout == "ok   sum\n1 passed, 0 failed\n"
    r = cli("test", "wrong.mx", env={"CC": str(wrong)}, code=1)
    assert r.stdout == "FAIL sum  (the compiled C; the interpreter passes)\n0 passed, 1 failed\n"
    assert "wrong.mx:6:" in r.stderr and "error[assert]: the sum is too big" in r.stderr
    r = cli("verify", "wrong.mx", env={"CC": str(wrong)}, code=70)
    assert r.stdout.startswith("FAIL twice") and "bug in mlxcc[verify.differs]" in r.stderr and "as C and" in r.stderr and "note: the same inputs again: mlxcc verify " in r.stderr


def test_verify_draws_again_where_an_assert_refuses(cli):
    (cli.path / "picky.mx").write_text("""export fn f(x: f32[N], i: i32) -> f32 { assert i < 3; print("not shown", i); return x[i]; }
export fn g(x: f32[3]) -> f32 { assert sum(x) == 77; return x[0]; }
""")
    r = cli("verify", "picky.mx")
    assert re.fullmatch(r"ok   f .*\nskip g .*\n1 verified, 0 failed\n", r.stdout) and r.stderr == ""


def test_test_without_tests(cli):
    (cli.path / "none.mx").write_text("export fn f(x: f32) -> f32 { return x; }")
    assert cli("test", "none.mx").stdout == "0 passed, 0 failed\n"


def test_verify(cli):
    r = cli("verify", "model.mx")
    assert r.stdout.count("ok   ") == 5 and r.stdout.endswith("5 verified, 0 failed\n")
    assert "1 verified" in cli("verify", "model.mx:apply", "--trials=5", "--seed=7").stdout


def test_check_writes_nothing(cli):
    r = cli("check", "model.mx")
    assert r.stdout == r.stderr == "" and [p.name for p in cli.path.iterdir()] == ["model.mx"]


def test_fma_is_a_choice(cli, tmp_path):
    (tmp_path / "p.mx").write_text("export fn f(a: f32[64], b: f32[64]) -> f32[64] { return a * b + a; }\n")
    source = str(tmp_path / "p.mx")
    assert 'fp-contract=fast' in cli(source, "--emit=c").stdout
    off = cli(source, "--emit=c", "--fma=off").stdout
    assert "FP_CONTRACT OFF" in off and "fp-contract=fast" not in off
    bad = cli(source, "--emit=c", "--fma=maybe", code=1)
    assert "--fma takes on or off" in bad.stderr
