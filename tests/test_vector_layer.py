"""The vector layer (kernels/vector.h, lanes.h, fold.h): every function against scalar C at each width, with gcc and clang, unoptimised and optimised; without warnings, also as C++."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-Wno-psabi"]
WIDTHS = {"scalar": ["-DMLXCC_SCALAR"], "w4": ["-msse2"], "w8": ["-mavx2", "-mf16c"], "w8_avx": ["-mavx"], "w16": ["-mavx512f"]}
NEEDS = {"scalar": set(), "w4": set(), "w8": {"avx2", "f16c"}, "w8_avx": {"avx"}, "w16": {"avx512f"}}


def cpu_has(flags):
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return not flags
    return flags <= set(text[text.index("flags"):].split("\n", 1)[0].split())


def ok(*args):
    r = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, f"{' '.join(map(str, args))}\n{r.stdout[:3000]}{r.stderr[:3000]}"


@pytest.mark.parametrize("opt", ["-O0", "-O2", "-O3"])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("width", WIDTHS)
def test_lanes_are_scalars(width, cc, opt, tmp_path):
    if width == "w8_avx" and opt != "-O2":
        return
    if not cpu_has(NEEDS[width]):
        pytest.skip("this processor lacks it")
    ok(cc, "-std=c99", "-ffp-contract=off", opt, *WIDTHS[width], *STRICT, ROOT / "tests/vector/vector_check.c", "-o", tmp_path / "check", "-lm")
    ok(tmp_path / "check")


@pytest.mark.parametrize("cc", ["g++", "clang++"])
@pytest.mark.parametrize("width", WIDTHS)
def test_is_cpp_too(width, cc, tmp_path):
    (tmp_path / "v.cc").write_text(f'#include "{ROOT}/kernels/fold.h"\n')
    ok(cc, "-std=c++11", "-O1", *WIDTHS[width], *STRICT, "-fsyntax-only", tmp_path / "v.cc")


def test_each_definition_comes_with_what_it_needs(irtool, tmp_path):
    """What emitted C gets for one name compiles by itself, at every width."""
    names = [n for f in ("vector", "lanes", "fold") for n in re.findall(r"^/\* @def (\w+)", (ROOT / f"kernels/{f}.h").read_text(), re.M)]
    assert len(names) > 120
    files = []
    for name in names:
        text = subprocess.run([irtool, "support", name], capture_output=True, text=True, check=True).stdout
        assert name in text or name in ("MX_INTRINSICS", "MX_PARTS")
        files.append(tmp_path / f"{name}.c")
        files[-1].write_text(text)
    for width in ("scalar", "w4", "w16"):
        ok("gcc", "-std=c99", "-O1", *WIDTHS[width], *STRICT, "-Wno-unused-function", "-fsyntax-only", *files)


@pytest.mark.parametrize("target", ["aarch64-none-elf", "wasm32"])
def test_other_targets_compile(target, tmp_path):
    """Without their libraries: declarations of what the file takes from libc are enough to compile it."""
    extra = {"aarch64-none-elf": [], "wasm32": ["-msimd128"]}[target]
    (tmp_path / "math.h").write_text("".join(f"float {f}f(float); double {f}(double);\n" for f in "fabs sqrt exp log log1p rint sin cos tan tanh sinh cosh floor ceil trunc log2 asin acos atan asinh acosh "
                                                                                                  "atanh expm1 exp2 log10 erf erfc cbrt".split())
                                     + "".join(f"float {f}f(float, float); double {f}(double, double);\n" for f in "fmod hypot copysign atan2 pow".split())
                                     + "#define INFINITY (__builtin_inff())\n#define NAN (__builtin_nanf(\"\"))\n")
    (tmp_path / "string.h").write_text("void *memcpy(void *, const void *, unsigned long);\n")
    (tmp_path / "v.c").write_text(f'#include "{ROOT}/kernels/fold.h"\n_Static_assert(MX_W == 4, "four lanes");\nvoid f(float *x) {{ mx_st_f32(x, mx_sqrt_vf(mx_floor_vf(mx_ld_f32(x)))); }}\n')
    r = subprocess.run(["clang", f"--target={target}", "-std=c11", "-ffreestanding", "-O2", *extra, *STRICT, "-Wno-incompatible-library-redeclaration", "-I", str(tmp_path), "-S", str(tmp_path / "v.c"), "-o",
                        str(tmp_path / "v.s")], capture_output=True, text=True, timeout=120)
    if "unable to create target" in r.stderr:
        pytest.skip("this clang has no such target")
    assert r.returncode == 0, r.stderr[:3000]
    assert "sqrt" in (tmp_path / "v.s").read_text()
