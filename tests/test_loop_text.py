"""Loop IR as text. Every program of the repository, after every pass that gives loops: what is printed reads back as the same text, and going on from it
gives the same C. The random programs of tests/fuzz too."""
import os
import pathlib
import subprocess
import sys
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "fuzz"))
import programs  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACES = ["examples", "tests/lang", "tests/models", "frontend/std"]
FILES = sorted(p for place in PLACES for p in (ROOT / place).rglob("*.mx"))
SEEDS = range(2001, 2101 if os.environ.get("MLXCC_FULL") == "1" else 2004)


def run(mlxcc, *args):
    return subprocess.run([mlxcc, *map(str, args)], capture_output=True, text=True, timeout=120, cwd=ROOT)


def loop_passes(mlxcc):
    rows = [line.split()[:2] for line in run(mlxcc, "--list-passes").stdout.splitlines()]
    return [rows[i][0] for i in range(len(rows)) if i + 1 == len(rows) or rows[i + 1][1] == "loops"]


def check(mlxcc, source, folder):
    c = folder / "m.c"
    whole = run(mlxcc, source, "-o", c)
    if whole.returncode == 2 or "no function is exported" in whole.stderr:
        pytest.skip("stops at a limitation or exports nothing")
    assert whole.returncode == 0, whole.stderr
    want = [(folder / f"m.{e}").read_text().split("\n", 1)[1] for e in "ch"]
    for p in loop_passes(mlxcc):
        half, again = folder / (pathlib.Path(source).stem + ".ir"), folder / "again.ir"
        assert run(mlxcc, source, "--emit=ir", f"--stop-after={p}", "-o", half).returncode == 0
        assert half.read_text().startswith("module ") and f'stage "loops" after {p}\n' in half.read_text()
        r = run(mlxcc, half, "--emit=ir", "-o", again)
        assert r.returncode == 0, r.stderr
        assert again.read_text() == half.read_text(), f"after {p}: other text"
        r = run(mlxcc, half, "-o", c, "--verify-each")
        assert r.returncode == 0, r.stderr
        got = [(folder / f"m.{e}").read_text().split("\n", 1)[1] for e in "ch"]
        assert got == want, f"after {p}: other C"  # but for the first line, which names the input


def test_loop_passes_are_known(mlxcc):
    assert loop_passes(mlxcc)[0] == "lower" and "plan" in loop_passes(mlxcc)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_program(path, mlxcc, tmp_path):
    check(mlxcc, path.relative_to(ROOT), tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_programs(seed, mlxcc, tmp_path):
    source = tmp_path / f"programs{seed}.mx"
    source.write_text(programs.programs(seed, 100))
    check(mlxcc, source, tmp_path)


@pytest.mark.parametrize("start, have, message", [
    ("fuse", "tensor", "--start-at fuse: this pass takes loops, and the program is tensor IR"),
    ("cse", "loops", "--start-at cse: this pass takes tensor IR, and the program is loops"),
])
def test_start_at_a_pass_of_the_other_stage(mlxcc, tmp_path, start, have, message):
    (tmp_path / "f.mx").write_text("export fn f(x: f32[N]) { return x + 1; }\n")
    ir = tmp_path / "f.ir"
    assert run(mlxcc, tmp_path / "f.mx", "--emit=ir", "-o", ir, *(["--stop-after=lower"] if have == "loops" else [])).returncode == 0
    r = run(mlxcc, ir, f"--start-at={start}", "-o", tmp_path / "f.c")
    assert r.returncode == 1 and r.stderr == f"mlxcc: error[pass.stage]: {message}\n"


def test_without_places(mlxcc, tmp_path):
    (tmp_path / "f.mx").write_text("export fn f(x: f32[N]) { return softmax(x); }\n")
    text = run(mlxcc, tmp_path / "f.mx", "--emit=loops", "--no-loc").stdout
    assert "loc(" not in text and "kernel @k0_" in text
    (tmp_path / "f.ir").write_text(text)
    assert run(mlxcc, tmp_path / "f.ir", "--emit=loops").stdout == text
