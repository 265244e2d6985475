"""Elementary functions (kernels/maths.h): their errors in ULP against libm in double stay within the table of docs/numerics.md, over 1 in 97 floats (all of them with MLXCC_FULL=1); a lane at any width has the
bits of the scalar routine, and these are the same with every compiler and level as long as nothing is contracted."""
import os
import pathlib
import re
import subprocess

import pytest

from test_vector_layer import NEEDS, STRICT, WIDTHS, cpu_has

ROOT = pathlib.Path(__file__).resolve().parent.parent
FULL = os.environ.get("MLXCC_FULL") == "1"
HELPERS = {"pmax", "pmin", "bits", "from_bits", "times_pow2", "high", "exp_part", "exp2_part", "log_part", "log_cubic", "log_ends", "far_angle", "angle", "sin_part", "cos_part", "asin_part", "atan_part"}
ROUTINES = [n for n in re.findall(r"@def mx_(\w+)_f32 \*/", (ROOT / "kernels/maths.h").read_text()) if n not in HELPERS]
PAIRS = ["pow", "atan2", "logaddexp", "rem", "fmod"]


def bounds():
    """name -> (without contraction, with) from the table in docs/numerics.md."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", (ROOT / "docs/numerics.md").read_text(), re.M)
    return {n: (float(a), float(b)) for n, a, b in rows}


def sh(*args, timeout=600):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout)
    assert r.returncode == 0, f"{' '.join(map(str, args))}\n{r.stdout[:3000]}{r.stderr[:3000]}"
    return r


@pytest.fixture(scope="session")
def header(irtool, tmp_path_factory):
    path = tmp_path_factory.mktemp("maths") / "maths.h"
    names = [f"mx_{n}_{t}" for n in ROUTINES for t in ("f32", "vf")] + ["mx_erfinv_f64", "mx_ld_f32", "mx_st_f32"]
    path.write_text(sh(irtool, "support", *names).stdout)
    return path


def build(header, out, source, cc="gcc", flags=("-O2", "-ffp-contract=off")):
    sh(cc, "-std=c99", *STRICT, *flags, f'-DUNDER_TEST="{header}"', ROOT / "tests/maths" / f"{source}.c", "-o", out, "-lm")
    return out


def widest():
    return WIDTHS[next(w for w in ("w16", "w8", "w4", "scalar") if cpu_has(NEEDS[w]))]


@pytest.fixture(scope="session")
def plain(header):
    return {s: build(header, header.parent / f"{s}_plain", s, flags=["-O2", "-ffp-contract=off", *widest()]) for s in ("ulp", "pairs")}


@pytest.fixture(scope="session")
def fused(header):
    if not cpu_has({"fma", "avx2"}):
        return None
    return {s: build(header, header.parent / f"{s}_fused", s, flags=["-O2", "-ffp-contract=fast", "-mfma", "-mavx2"]) for s in ("ulp", "pairs")}


def test_every_routine_has_its_row():
    assert set(bounds()) == set(ROUTINES) and len(ROUTINES) > 25


@pytest.mark.parametrize("name", [n for n in ROUTINES if n not in PAIRS])
def test_error_is_within_the_table(plain, fused, name):
    step = 1 if FULL else 97
    for k, tool in enumerate((plain, fused)):
        if not tool:
            continue
        r = sh(tool["ulp"], name, step if FULL or k == 0 else 997, timeout=7200)
        _, ulp, where, wrong, differ, _ = r.stdout.split()
        assert (wrong, differ) == ("0", "0") or (k and wrong == "0"), r.stderr
        assert float(ulp) <= bounds()[name][k], f"{name}: {ulp} ULP at {where}"


def test_errors_of_pairs(plain, fused):
    for k, tool in enumerate((plain, fused)):
        if not tool:
            continue
        r = sh(tool["pairs"], 100000000 if FULL else 3000000, timeout=7200)
        for line in r.stdout.splitlines():
            name, ulp, where, wrong, differ = line.split()
            assert (wrong, differ) == ("0", "0") or (k and wrong == "0"), r.stderr
            assert float(ulp) <= bounds()[name][k], f"{name}: {ulp} ULP at {where}"


STEP = 400009


@pytest.fixture(scope="session")
def sums(plain):
    return {n: sh(plain["ulp"], n, STEP).stdout.split()[-1] for n in ROUTINES if n not in PAIRS}


@pytest.mark.parametrize("opt", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("width", ["scalar", "w4", "w8", "w16"])
def test_bits_do_not_depend_on_the_build(header, sums, width, cc, opt, tmp_path):
    if not cpu_has(NEEDS[width]):
        pytest.skip("this processor lacks it")
    flags = [opt, "-ffp-contract=off", *WIDTHS[width]]
    tool = build(header, tmp_path / "ulp", "ulp", cc, flags)
    for name, expected in sums.items():
        r = sh(tool, name, STEP)
        _, _, _, wrong, differ, got = r.stdout.split()
        assert (wrong, differ) == ("0", "0"), r.stderr
        assert got == expected, name
    r = sh(build(header, tmp_path / "pairs", "pairs", cc, flags), 20000)
    for line in r.stdout.splitlines():
        assert line.split()[3:] == ["0", "0"], line + r.stderr


@pytest.mark.parametrize("cc", ["g++", "clang++"])
def test_is_cpp_too(header, cc, tmp_path):
    (tmp_path / "m.cc").write_text(header.read_text())
    for width in ("scalar", "w16"):
        sh(cc, "-std=c++11", *STRICT, "-Wno-unused-function", *WIDTHS[width], "-fsyntax-only", tmp_path / "m.cc")
