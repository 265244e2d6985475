"""--target-cpu: code for one processor: smaller, of fixed width, refused by a compiler that aims lower, and with the same results."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
LANES = {"generic": 1, "x86-64": 4, "x86-64-v3": 8, "x86-64-v4": 16, "armv8": 4, "wasm-simd128": 4, "cortex-m7": 1}
FLAGS = {"generic": [], "x86-64": ["-march=x86-64"], "x86-64-v3": ["-march=x86-64-v3"], "x86-64-v4": ["-march=x86-64-v4"], "cortex-m7": []}
PROGRAM = """
import nn;
export fn mix(x: f32[2,17,33], w: f32[33,40], b: f32[40]) -> f32[2,17,40] { return softmax(nn.gelu(x @ w + b), axis=-1); }
export fn sums(x: f32[70,99], h: f16[70,99]) -> (f32[70], f16[99]) { return sum(x, axis=1), sum(h, axis=0); }
export fn pictures(x: f32[2,12,12,16], w: f32[16,3,3,16]) -> f32[2,12,12,16] { return conv_general(x, w, padding=1); }
export fn draw(k: u32[2]) -> f32[40] { return random.normal([40], key=k); }
"""


def mlx(mlxcc, *args, code=0, cwd=None):
    r = subprocess.run([mlxcc, *map(str, args)], capture_output=True, text=True, timeout=120, cwd=cwd)
    assert r.returncode == code, r.stderr
    return r


@pytest.fixture
def program(tmp_path):
    (tmp_path / "mix.mx").write_text(PROGRAM)
    return tmp_path / "mix.mx"


def runs_here(mlxcc, program, target):
    r = subprocess.run([mlxcc, "verify", str(program), "--trials=0", f"--target-cpu={target}"], capture_output=True, text=True)
    return "cannot run that code" not in r.stderr


@pytest.mark.parametrize("target", ["native", "generic", "x86-64", "x86-64-v3", "x86-64-v4", "cortex-m7"])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_results_are_the_interpreters(mlxcc, program, target, cc):
    if not runs_here(mlxcc, program, target):
        pytest.skip("not this processor")
    r = subprocess.run([mlxcc, "verify", str(program), "--trials=1", f"--target-cpu={target}"], capture_output=True, text=True, env={**os.environ, "CC": cc})
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.mark.parametrize("target", list(LANES))
def test_one_width_is_written(mlxcc, program, target):
    plain = mlx(mlxcc, program, "--emit=c").stdout
    c = mlx(mlxcc, program, "--emit=c", f"--target-cpu={target}").stdout
    assert len(c) < 0.95 * len(plain)
    assert f"made for --target-cpu={target} " in c.splitlines()[1].lower()
    assert int(re.search(r"#define MX_W (\d+)", c)[1]) == LANES[target]
    conditions = re.findall(r"^#\s*(?:el)?if.*", c, flags=re.M)
    assert not [x for x in conditions if "MX_W" in x]
    if target != "x86-64-v4":
        assert "_mm512" not in c
    if not target.startswith("x86"):
        assert "_mm" not in c


@pytest.mark.parametrize("target", list(FLAGS))
@pytest.mark.parametrize("cc", [["gcc"], ["clang"], ["g++", "-x", "c++"]])
def test_no_compiler_warns(mlxcc, program, target, cc, tmp_path):
    mlx(mlxcc, program, "-o", tmp_path / "t.c", f"--target-cpu={target}")
    strict = [f for f in STRICT if not (cc[0] == "g++" and (f == "-std=c99" or f == "-pedantic"))]
    quiet = ["-Wno-uninitialized", "-Wno-maybe-uninitialized"] if cc[0] == "g++" else []  # of gcc 12's own AVX-512 header as C++
    r = subprocess.run([*cc, *strict, *quiet, "-O1", *FLAGS[target], "-c", str(tmp_path / "t.c"), "-o", str(tmp_path / "t.o")], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr[:2000]


def test_a_compiler_that_aims_lower_is_told(mlxcc, program, tmp_path):
    mlx(mlxcc, program, "-o", tmp_path / "t.c", "--target-cpu=x86-64-v3")
    r = subprocess.run(["gcc", "-std=c99", "-march=x86-64", "-fsyntax-only", str(tmp_path / "t.c")], capture_output=True, text=True)
    assert r.returncode and "made for --target-cpu=x86-64-v3: compile with gcc or clang and -march=x86-64-v3" in r.stderr


@pytest.mark.parametrize("target, machine", [("armv8", "aarch64-none-elf"), ("wasm-simd128", "wasm32")])
def test_other_machines(mlxcc, program, target, machine, tmp_path):
    mlx(mlxcc, program, "-o", tmp_path / "t.c", f"--target-cpu={target}")
    for name in ("string.h", "math.h"):  # of a machine without a C library
        (tmp_path / name).write_text("#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t); void *memset(void *, int, size_t); float sqrtf(float); double sqrt(double);"
                                     "float fabsf(float); double fabs(double); float floorf(float); float ceilf(float);\n#define NAN __builtin_nanf(\"\")\n#define INFINITY __builtin_inff()\n")
    flags = {"armv8": ["-march=armv8-a"], "wasm-simd128": ["-msimd128"]}[target]
    r = subprocess.run(["clang", f"--target={machine}", "-ffreestanding", "-O2", *flags, "-I", str(tmp_path), "-S", str(tmp_path / "t.c"), "-o", str(tmp_path / "t.s")], capture_output=True, text=True)
    if "unable to create target" in r.stderr:
        pytest.skip("this clang has no such target")
    assert r.returncode == 0, r.stderr[:2000]
    assert re.search(r"\bfmla\s+v|\bf32x4\.", (tmp_path / "t.s").read_text())


def test_cortex_m7(mlxcc, tmp_path):
    """No panels of packed operands, small arrays on the stack, and a compiler for it takes the C."""
    digits = (ROOT / "examples/digits/digits.mx").read_text().replace("dim B in 1..512", "dim B in 1..4")
    (tmp_path / "digits.mx").write_text(digits)
    arena = {}
    for target in ("any", "cortex-m7"):
        mlx(mlxcc, "digits.mx", "-o", "digits.c", "--entry=predict", f"--target-cpu={target}", cwd=tmp_path)
        arena[target] = int(re.search(r"ARENA_BYTES (\d+)", (tmp_path / "digits.h").read_text())[1])
    assert arena["cortex-m7"] <= 4 * 256 * 4 * 2 + 128 < arena["any"] / 30
    c = (tmp_path / "digits.c").read_text()
    assert "mx_gemm_f32" not in c and "room" not in c
    if not shutil.which("arm-none-eabi-gcc"):
        pytest.skip("no compiler for it")
    flags = re.search(r"compile with (.*)\. \*/", c)[1].split()
    r = subprocess.run(["arm-none-eabi-gcc", *flags, "-std=c99", "-Wstack-usage=2600", "-Werror", "-c", "digits.c", "-o", "digits.o"], cwd=tmp_path, capture_output=True, text=True)
    if "No such file" in r.stderr:
        pytest.skip("no C library for it")
    assert r.returncode == 0, r.stderr[:2000]


def test_names(mlxcc, program):
    r = mlx(mlxcc, program, "--emit=c", "--target-cpu=x86-64-v5", code=1)
    assert r.stderr == ("mlxcc: error[cli.target]: --target-cpu=x86-64-v5 is not known; it is one of native, any, generic, x86-64, x86-64-v3, x86-64-v4, armv8, wasm-simd128, "
                        "cortex-m7\nhelp: did you mean `x86-64-v3`?\n")
    assert mlx(mlxcc, program, "--emit=c", "--target-cpu=any").stdout == mlx(mlxcc, program, "--emit=c").stdout
    r = mlx(mlxcc, "verify", program, "--target-cpu=wasm-simd128", code=1)
    assert r.stderr == "mlxcc: error[cli.target]: --target-cpu=wasm-simd128: this machine cannot run that code\n"


def test_every_name_is_in_the_help(mlxcc):
    rows = re.findall(r'^TARGET\("([^"]+)"', (ROOT / "ir/targets.def").read_text(), flags=re.M)
    text = " ".join(mlx(mlxcc, "--help").stdout.split())
    page = (ROOT / "docs/targets.md").read_text()
    for name in ["native", *rows]:
        assert name in text and f"`{name}`" in page
