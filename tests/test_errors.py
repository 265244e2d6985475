"""Exact diagnostics. tests/errors/NAME.mx is checked with `mlxcc check`; NAME.expect holds all that it must print on standard error and, in its
last line, the exit code. A person who has read the difference writes the files anew with `python tests/test_errors.py --update [NAME...]`."""
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "errors"
CASES = sorted(FOLDER.glob("*.mx"))


def diagnostics(mlxcc, case):
    r = subprocess.run([mlxcc, "check", case.name], cwd=case.parent, capture_output=True, timeout=60)
    assert r.stdout == b""
    return r.stderr.decode("utf-8", "backslashreplace") + f"exit {r.returncode}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.stem)
def test_diagnostics(mlxcc, case):
    assert diagnostics(mlxcc, case) == case.with_suffix(".expect").read_text()


def test_every_expectation_has_a_program():
    assert {c.stem for c in FOLDER.glob("*.expect")} == {c.stem for c in CASES}
    assert len(CASES) >= 80


if __name__ == "__main__":
    import conftest

    names = [a for a in sys.argv[1:] if a != "--update"]
    assert "--update" in sys.argv[1:], __doc__
    for case in CASES:
        if names and case.stem not in names:
            continue
        text = diagnostics(str(conftest.BUILD / "mlxcc"), case)
        old = case.with_suffix(".expect")
        if not old.exists() or old.read_text() != text:
            print(f"--- {case.stem}\n{text}", end="")
            old.write_text(text)
