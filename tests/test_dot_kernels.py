"""Matrix product kernels: the bits of the interpreter on every shape, width of vectors and layout; the template that is chosen; registers."""
import random
import re
import subprocess
import numpy as np
import pytest
import c_kit
from op_kit import DTYPES, Case, Program, differ, interpret

WIDTHS = {"scalar": ["-DMLXCC_SCALAR"], "sse": ["-msse2"], "avx2": ["-mavx2", "-mfma"], "avx512": ["-march=native"]}
MATRIX = {"lhs_contract": [1], "rhs_contract": [0], "lhs_batch": [], "rhs_batch": []}


def has(flag):
    return flag in open("/proc/cpuinfo").read()


def usable(width):
    return width in ("scalar", "sse") or has("avx512f" if width == "avx512" else "avx2")


def numbers(rng, shape, d):
    return rng.standard_normal(shape).astype("f4").astype(DTYPES[d])


def case(rng, d, xs, ys, contract, batch=([], [])):
    """A dot of operands of these shapes; its expected value in float64, which the rounding of d bounds."""
    x, y = numbers(rng, xs, d), numbers(rng, ys, d)
    (xc, yc), (xb, yb) = contract, batch
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    xl = [next(letters) for _ in xs]
    yl = [None] * len(ys)
    for i, j in list(zip(xc, yc)) + list(zip(xb, yb)):
        yl[j] = xl[i]
    yl = [n or next(letters) for n in yl]
    out = [xl[i] for i in xb] + [n for i, n in enumerate(xl) if i not in xb + xc] + [n for i, n in enumerate(yl) if i not in yb + yc]
    want = np.einsum("".join(xl) + "," + "".join(yl) + "->" + "".join(out), x.astype("f8"), y.astype("f8"))
    return Case("dot", [x, y], {"lhs_contract": xc, "rhs_contract": yc, "lhs_batch": xb, "rhs_batch": yb}, np.asarray(want).astype(DTYPES[d]))


def product(rng, d, m, n, k, layout="nn"):
    """a is [m, k] or (t) [k, m], b is [k, n] or (t) [n, k]."""
    ta, tb = layout[0] == "t", layout[1] == "t"
    return case(rng, d, (k, m) if ta else (m, k), (n, k) if tb else (k, n), ([0 if ta else 1], [1 if tb else 0]))


def shapes():
    """Edges of the tiles of every width, of blocks of k, of rows and of columns; small and odd sizes; vectors in all layouts."""
    for m, n, k in [(14, 32, 16), (15, 33, 17), (13, 31, 15), (28, 64, 48), (29, 65, 49), (127, 127, 127), (6, 16, 70), (7, 17, 71), (43, 40, 33), (126, 36, 20), (127, 36, 20), (300, 35, 21),
                    (5, 200, 37), (2, 130, 65), (3, 40, 67), (70, 3, 70), (33, 1, 100), (1, 33, 100), (50, 10, 64), (16, 16, 16), (24, 24, 24), (64, 64, 64), (9, 2100, 19)]:
        for layout in ("nn", "nt", "tn", "tt"):
            yield m, n, k, layout
    for k in (767, 768, 769, 800, 1536, 1600):
        yield from ((20, 37, k, "nn"), (3, 50, k, "nn"), (1, 50, k, "nn"), (50, 1, k, "tn"), (1, 20, k, "nt"), (47, 20, k, "nt"))


def program(d, seed=0):
    rng = np.random.default_rng(seed)
    pick = random.Random(seed)
    cases = [product(rng, d, *s) for i, s in enumerate(shapes()) if d == "f32" or i % 5 == seed % 5]
    for _ in range(40 if d == "f32" else 10):
        m, n, k = (pick.choice([1, 2, pick.randint(1, 20), pick.randint(1, 70)]) for _ in range(3))
        cases.append(product(rng, d, m, n, k, pick.choice(["nn", "nt", "tn", "tt"])))
    cases += [case(rng, d, (3, 20, 30), (3, 30, 40), ([2], [1]), ([0], [0])), case(rng, d, (4, 5, 24), (24, 36), ([2], [0])), case(rng, d, (4, 5, 6, 7), (6, 7, 5, 9), ([2, 3], [0, 1])),
              case(rng, d, (2, 9, 3, 16), (2, 11, 3, 16), ([3], [3]), ([0, 2], [0, 2])), case(rng, d, (4, 5, 6, 30), (30, 5, 6, 9), ([1, 3], [1, 0])), case(rng, d, (40, 0), (0, 70), ([1], [0])),
              case(rng, d, (40, 50), (50, 3, 20), ([1], [0])), case(rng, d, (6, 40, 40), (6, 40, 40), ([1], [2]), ([0], [0])), case(rng, d, (3, 1, 900), (3, 900, 40), ([2], [1]), ([0], [0]))]
    return Program("dots", cases)


PROGRAMS = {}


def reference(irtool, d):
    if d not in PROGRAMS:
        p = program(d)
        PROGRAMS[d] = p, interpret(irtool, p)
    return PROGRAMS[d]


@pytest.mark.parametrize("d", ["f32", "f64", "f16", "bf16"])
def test_interpreter_is_near_numpy(irtool, d):
    p, got = reference(irtool, d)
    for c, g in zip(p.cases, got):
        x, y = (np.abs(v.astype("f8")) for v in c.inputs)
        size = max(1.0, float(x.max(initial=0) * y.max(initial=0)) * max(c.inputs[0].size, 1) ** 0.5)
        eps = {"f32": 1e-6, "f64": 1e-15, "f16": 2e-3, "bf16": 2e-2}[d]
        assert np.allclose(g.astype("f8"), c.expected[0].astype("f8"), rtol=8 * eps, atol=8 * eps * size), c.attrs


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("d", ["f32", "f64", "f16", "bf16"])
def test_c_has_the_bits_of_the_interpreter(mlxcc, irtool, d, width):
    if not usable(width):
        pytest.skip("not on this machine")
    p, want = reference(irtool, d)
    got = c_kit.run(mlxcc, p, ("-O1", *WIDTHS[width]), "clang" if width == "avx2" else "gcc")
    for c, g, w in zip(p.cases, got, want):
        assert not differ(g, w, None), f"{[x.shape for x in c.inputs]} {c.attrs}: {differ(g, w, None)}"


@pytest.mark.parametrize("build", ["gcc -O2 -march=native", "gcc -O0 -march=native", "clang -O2 -march=native", "gcc -O2 -mavx2 -mfma"])
def test_products_of_bf16_in_pairs(mlxcc, build):
    """With fused roundings bf16 goes through the pair instruction where the target has it (docs/numerics.md): f32 sums, one rounding to bf16 at the end."""
    cc, *flags = build.split()
    if "-mavx2" in flags and not usable("avx2"):
        pytest.skip("not on this machine")
    p = program("bf16", 3)
    rng = np.random.default_rng(5)
    p = Program("dots", p.cases + [product(rng, "bf16", *s) for s in ((17, 33, 1537, "nn"), (20, 40, 1539, "nt"), (300, 70, 41, "tn"), (130, 2090, 33, "nn"))])
    got = c_kit.run(mlxcc, p, flags, cc, ("--fma=on",))
    for c, g in zip(p.cases, got):
        want = c.expected[0].astype("f8")
        x, y = (np.abs(v.astype("f8")) for v in c.inputs)
        size = float(x.max(initial=0) * y.max(initial=0)) * max(v.shape[i] for v, i in ((c.inputs[0], c.attrs["lhs_contract"][0]),))
        assert (np.abs(g.astype("f8") - want) <= np.abs(want) * 2.0**-7 + size * 2.0**-21).all(), ([v.shape for v in c.inputs], c.attrs)


def test_bf16_has_both_forms_or_one(mlxcc, tmp_path):
    (tmp_path / "t.mx").write_text("export fn main(a: bf16[200, 300], b: bf16[300, 200]) { return a @ b; }")
    for fma, pairs in (("on", True), ("off", False)):
        subprocess.run([mlxcc, str(tmp_path / "t.mx"), "-o", str(tmp_path / "t.c"), f"--fma={fma}"], check=True)
        assert ("_mm512_dpbf16_ps" in (tmp_path / "t.c").read_text()) == pairs
