"""What the language means: programs whose tests state values that Python, or arithmetic by hand, gives; run interpreted and as C."""
import pathlib
import re
import subprocess

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
