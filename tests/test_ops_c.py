"""The cases of test_ops_numpy as C: emitted, built warning-free by the system's compiler, called, compared with the same numbers."""
import subprocess
import numpy as np
import pytest
import c_kit
import op_cases_elem
import op_kit
from op_kit import ALL, Program
from test_ops_numpy import TENSOR

CHUNK = 300  # values in one function: ctypes passes at most 1024


def covered(path):
    """The columns of tests/coverage.py; element-wise pairs come from the table."""
    return {(c.op, c.dtype) for cases in TENSOR.values() for c in cases}


def chunks(cases):
    part, n = [], 0
    for c in cases:
        k = len(c.inputs) + len(c.expected)
        if part and n + k > CHUNK * 3:
            yield part
            part, n = [], 0
        part.append(c)
        n += k
    if part:
        yield part


def check(mlxcc, name, cases, flags=("-O0", *c_kit.STRICT)):
    bad = []
    for part in chunks(cases):
        program = Program(name, part)
        bad += program.check(c_kit.run(mlxcc, program, flags))
    assert not bad, "\n".join(bad[:20])


@pytest.mark.parametrize("d", ALL)
def test_elementwise(d, mlxcc, irtool):
    table = op_kit.op_table(irtool)
    with np.errstate(all="ignore"):
        check(mlxcc, d, op_cases_elem.elem_cases({op: (e, [d] if d in ds else [], at) for op, (e, ds, at) in table.items()}))


def thinned(op):
    """The many attribute combinations of scatter are spread over the dtypes: each dtype sees a third of them, each combination four dtypes."""
    cases = TENSOR[op]
    return [c for k, c in enumerate(cases) if (k + ALL.index(c.dtype)) % 3 == 0] if op == "scatter" else cases


@pytest.mark.parametrize("op", TENSOR)
def test_tensor_op(op, mlxcc):
    check(mlxcc, op, thinned(op))


@pytest.mark.parametrize("d", ALL)
def test_same_bits_as_the_interpreter(d, mlxcc, irtool):
    """One function with a case of every op, optimised: bit for bit what the interpreter gives."""
    table = op_kit.op_table(irtool)
    with np.errstate(all="ignore"):
        cases = list(op_cases_elem.elem_cases({op: (e, [d] if d in ds else [], at) for op, (e, ds, at) in table.items()}))
    for op in TENSOR:
        cases += [c for c in TENSOR[op] if c.dtype == d][:2]
    for part in chunks(cases):
        program = Program(d, part)
        want = op_kit.interpret(irtool, program)
        got = c_kit.run(mlxcc, program, ("-O2",))
        wrong = [f"result {k}: {op_kit.differ(g, w, None)}" for k, (g, w) in enumerate(zip(got, want)) if op_kit.differ(g, w, None)]
        assert not wrong, "\n".join(wrong[:10])


@pytest.mark.parametrize("cc", [("gcc", "-std=c99"), ("clang", "-std=c99"), ("g++", "-std=c++11", "-x", "c++"), ("clang++", "-std=c++11", "-x", "c++")], ids=lambda c: c[0])
def test_clean_under_every_compiler(cc, mlxcc, irtool, tmp_path):
    """Two cases of every op at a few dtypes, without a warning, as C and as C++."""
    table = op_kit.op_table(irtool)
    for d in ("bool", "u8", "i64", "bf16", "f32", "c64"):
        with np.errstate(all="ignore"):
            cases = list(op_cases_elem.elem_cases({op: (e, [d] if d in ds else [], at) for op, (e, ds, at) in table.items()}))
        program = Program(d, cases + [c for op in TENSOR for c in [c for c in TENSOR[op] if c.dtype == d][:2]])
        (tmp_path / "f.ir").write_text(c_kit.exported(program.text, len(program.inputs), len(program.expected)))
        subprocess.run([mlxcc, str(tmp_path / "f.ir"), "-o", str(tmp_path / "f.c")], check=True, timeout=60)
        done = subprocess.run([*cc, *c_kit.STRICT, "-fsyntax-only", str(tmp_path / "f.c")], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[:2000]
