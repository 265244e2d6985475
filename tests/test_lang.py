"""The programs of the language's design, tests/lang/NN_name.mx: those that need only what exists compile to IR that verifies, and their tests pass
interpreted and as C; each of the others stops at the limitation that it waits for and at nothing else."""
import pathlib
import re
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "lang"
PROGRAMS = sorted(FOLDER.glob("*.mx"))

# what a program waits for, as its message says it
WAITS = {
    "18_custom_kernel": {"custom kernels are not available yet"},
    "19_extern_c": {"extern functions are not available yet"},
    "20_placement": {"placement on devices is not available yet"},
    "21_data_parallel": {"the standard module `dist` is not available yet"},
    "29_keyword_spotter": {"the standard module `quant` is not available yet"},
    "31_svd_image": {"linalg.svd needs a singular value decomposition"},
}
# their tests need less than their exported functions
TESTS_PASS = set()


def run(*args):
    return subprocess.run(args, cwd=FOLDER, capture_output=True, text=True, timeout=120)


def check_waits(r, name):
    assert r.returncode == 2, r.stderr
    assert "error[" not in r.stderr, r.stderr
    assert set(re.findall(r"limitation\[[\w.]+\]: (.*)", r.stderr)) == WAITS[name], r.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_compiles_or_waits(mlxcc, irtool, program, tmp_path):
    ir = tmp_path / "out.ir"
    r = run(mlxcc, program.name, "--emit=ir", "-o", str(ir))
    if program.stem in WAITS:
        check_waits(r, program.stem)
        assert not ir.exists()
        return
    assert r.returncode == 0 and r.stderr == "", r.stderr
    r = run(irtool, "verify", str(ir))
    assert r.returncode == 0, r.stderr
    again = run(irtool, "print", str(ir))
    assert again.stdout == ir.read_text()


@pytest.mark.parametrize("program", [p for p in PROGRAMS if re.search(r"^test ", p.read_text(), re.M)], ids=lambda p: p.stem)
def test_test_blocks(mlxcc, program):
    r = run(mlxcc, "test", program.name)
    if program.stem in WAITS and program.stem not in TESTS_PASS:
        assert r.returncode == 2 and "error[" not in r.stderr, r.stderr
        return
    blocks = len(re.findall(r"^test ", program.read_text(), re.M))
    assert r.returncode == 0, r.stdout + r.stderr
    assert f"{blocks} passed, 0 failed" in r.stdout


def test_all_programs_are_here():
    assert len(PROGRAMS) >= 40
    assert set(WAITS) <= {p.stem for p in PROGRAMS}
