"""tests/paths/kernels.mx, a function for each kernel and kind of loop: its C at each width of vectors without a warning, also of those that firmware
builds turn on, and (a few builds of the many of tools/test_paths.sh) with the results of the interpreter."""
import os
import pathlib
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent / "paths" / "kernels.mx"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Wshadow", "-Wdouble-promotion", "-Wno-psabi", "-Werror"]
WIDTHS = {"scalar": "-DMLXCC_SCALAR", "sse2": "-march=x86-64", "avx2": "-march=x86-64-v3", "avx512": "-march=x86-64-v4"}
CPU = open("/proc/cpuinfo").read() if os.path.exists("/proc/cpuinfo") else ""


@pytest.fixture(scope="module")
def emitted(mlxcc, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paths")
    for how in ("on", "off"):
        subprocess.run([mlxcc, SOURCE, "-o", folder / f"{how}.c", f"--fma={how}"], check=True)
    return folder


@pytest.mark.parametrize("cc", [["gcc", "-std=c99"], ["clang", "-std=c99"], ["g++", "-x", "c++"], ["clang++", "-x", "c++"]], ids=lambda c: c[0])
@pytest.mark.parametrize("width", WIDTHS)
def test_without_a_warning(emitted, cc, width):
    for how in ("on", "off"):
        done = subprocess.run([*cc, *WARNINGS, WIDTHS[width], "-fsyntax-only", emitted / f"{how}.c"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.parametrize("cc", ["gcc -O3 -march=x86-64-v3", "clang -O2 -march=x86-64", "gcc -O2 -march=x86-64 -DMLXCC_SCALAR"])
def test_results(mlxcc, cc):
    if "v3" in cc and " avx2 " not in CPU:
        pytest.skip("not on this machine")
    done = subprocess.run([mlxcc, "verify", SOURCE, "--trials=1"], capture_output=True, text=True, env={**os.environ, "CC": cc})
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    other = [line for line in done.stdout.splitlines() if line.startswith("ok") and "difference 0.0e+00" not in line]
    # complexes: gcc 12.2 -O3 makes fused complex products in spite of -ffp-contract=off (gcc's bug 107647)
    assert {line.split()[1] for line in other} <= {"attention", "four_bits", *(["complexes"] if "gcc -O3" in cc else [])}, other
