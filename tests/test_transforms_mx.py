"""The .mx programs of tests/transforms: their test blocks pass, interpreted and as C."""
import pathlib
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "transforms"


@pytest.mark.parametrize("program", sorted(FOLDER.glob("*.mx")), ids=lambda p: p.stem)
def test_blocks_pass(mlxcc, program):
    r = subprocess.run([mlxcc, "test", program.name], cwd=FOLDER, capture_output=True, text=True, timeout=200)
    assert r.returncode == 0 and " 0 failed" in r.stdout, r.stdout + r.stderr
