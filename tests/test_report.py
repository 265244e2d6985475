"""The reasons in --emit=report: what fused and what did not, which form of a kernel was chosen and why no faster one."""
import pathlib
import re
import subprocess

import pytest

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "profile.md"
APART = "not fused with the kernel before"
GEMV = "not gemv_rows or gemv_columns (neither side is a vector)"


def report(mlxcc, cwd, text, *options, name="t.mx"):
    (cwd / name).write_text(text)
    r = subprocess.run([mlxcc, name, "--emit=report", "--verify-each", *options], cwd=cwd, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout


def reasons(text):
    """Without the places in the library, whose lines move."""
    return [re.sub(r"  prelude\.mx:\d+$", "", line.strip()[2:]) for line in text.splitlines() if re.match(r" +- ", line)]


QKV = "q: f32[2,4,{t},{d}], k: f32[2,4,{t},{d}], v: f32[2,4,{t},{d}]"
SCORES = "let s = q @ k.transpose(0,1,3,2); "
CASES = {
    # fusion
    "one loop for both": ("x: f32[8,300]", "f32[8,300]", "softmax(x, axis=-1)", ["`exp` runs in the loop of `reduce_sum`"]),
    "reduces the rows": ("x: f32[64,100]", "f32[64,100]", "x - sum(x, axis=0)", [f"{APART} (`reduce_sum`): `reduce_sum` does not run row by row  t.mx:1"]),
    "other extents": ("x: f32[64,100], y: f32[50]", "(f32[64], f32[50])", "(sum(x, axis=1), exp(y))", [f"{APART} (`reduce_sum`): it has 50 rows, the kernel before 64  t.mx:1"]),
    "other rows": ("x: f32[64,100]", "f32[64,100]", "cumsum(cumsum(x, axis=1)[::-1], axis=1)",
                   [f"{APART} (`cumsum`): it needs other rows of `cumsum` than the one just written  t.mx:1"]),
    "nothing shared": ("x: f32[64,100], y: f32[64,100]", "(f32[64], f32[64])", "(sum(x, axis=1), sum(y, axis=1))", [f"{APART} (`reduce_sum`): they have no memory in common  t.mx:1"]),
    "two products": ("x: f32[64,100], y: f32[100,120], z: f32[120,120]", "f32[64,120]", "x @ y @ z", [f"{APART} (`dot`): a product begins a kernel  t.mx:1"]),
    "behind a product": ("x: f32[64,200], y: f32[200,200]", "f32[64]", "sum(x @ y, axis=1)",
                         [f"{APART} (`dot`): behind a product only element by element operations on all of its result join it  t.mx:1"]),
    "tiles": ("x: f32[200,200], y: f32[200,200]", "f32[200,200]", "exp(x @ y)", ["`exp`: on each tile of the product  t.mx:1"]),
    "stack": ("x: f32[8,100000]", "f32[8,100000]", "softmax(x, axis=-1)", ["row `p` is in the arena: of its 400000 bytes the stack has room for 4096"]),
    # products
    "gemm": ("x: f32[200,200], y: f32[200,200]", "f32[200,200]", "x @ y", [f"`dot` is gemm, {GEMV}, not gemm_small (200 x 200 x 200 is too large)  t.mx:1"]),
    "symbolic": ("x: f32[B,200], y: f32[200,200]", "f32[B,200]", "x @ y", [f"`dot` is gemm, {GEMV}, not gemm_small (B x 200 x 200: a size is not a number)  t.mx:1"]),
    "few columns": ("x: f32[200,200], y: f32[200,10]", "f32[200,10]", "x @ y", [f"`dot` is gemm, {GEMV}, not gemm_small (fewer than 16 columns)  t.mx:1"]),
    "long sum": ("x: f32[64,900], y: f32[900,64]", "f32[64,64]", "x @ y", [f"`dot` is gemm, {GEMV}, not gemm_small (sums of more than 768 products)  t.mx:1"]),
    "gemm_small": ("x: f32[64,64], y: f32[64,64]", "f32[64,64]", "x @ y", [f"`dot` is gemm_small, {GEMV}  t.mx:1"]),
    "gemv": ("x: f32[200,300], y: f32[300]", "f32[200]", "x @ y", ["`dot` is gemv_rows  t.mx:1"]),
    "gemv columns": ("x: f32[200], y: f32[200,300]", "f32[300]", "x @ y", ["`dot` is gemv_columns, not gemv_rows (sums in order)  t.mx:1"]),
    "integers": ("x: i32[64,64], y: i32[64,64]", "i32[64,64]", "x @ y", ["`dot` is plain loops: templates are for floats, this is i32  t.mx:1"]),
    "too small": ("x: f32[4,4], y: f32[4,4]", "f32[4,4]", "x @ y", ["`dot` is plain loops: too small for a template to pay  t.mx:1"]),
    # convolutions
    "winograd": ("x: f32[1,32,32,16], w: f32[16,3,3,16]", "f32[1,32,32,16]", "conv2d(x, w, padding=1)", ["convolution: kernel `winograd`  t.mx:1"]),
    "stride": ("x: f32[1,32,32,16], w: f32[16,3,3,16]", "f32[1,16,16,16]", "conv2d(x, w, stride=2, padding=1)",
               ["convolution: kernel `conv`, not winograd (stride 2), not depthwise (a result has more than one input channel)  t.mx:1"]),
    "channels": ("x: f32[1,32,32,3], w: f32[16,3,3,3]", "f32[1,32,32,16]", "conv2d(x, w, padding=1)",
                 ["convolution: kernel `conv`, not winograd (3 and 16 channels: both must be multiples of 16), not depthwise (a result has more than one input channel)  t.mx:1"]),
    "half": ("x: f16[1,8,8,4], w: f16[8,3,3,4]", "f16[1,8,8,8]", "conv2d(x, w, padding=1)",
             ["convolution: plain loops, not winograd (it is not f32), not depthwise (it is not f32), not conv (it is not f32)  t.mx:1"]),
    # vectors
    "wide integers": ("x: i64[100]", "i64[100]", "x + x", ["`add` runs element by element: i64 has no lanes  t.mx:1"]),
    "short": ("x: f32[5]", "f32[5]", "x + x", ["`add` runs element by element: its innermost loop has 5 turns, fewer than 8  t.mx:1"]),
    "scan": ("x: f32[100,30]", "f32[100,30]", "cumsum(x, axis=1)", ["`cumsum` runs element by element: neighbours are not written next to each other in `out`  t.mx:1"]),
    # attention
    "no largest": (QKV.format(t=40, d=32), "f32[2,4,40,32]", "exp(s) / sum(exp(s), axis=-1, keepdims=true) @ v", ["nearly attention: its softmax does not subtract the largest score  t.mx:1"]),
    "few keys": (QKV.format(t=16, d=32), "f32[2,4,16,32]", "softmax(s, axis=-1) @ v", ["nearly attention: fewer than 32 keys  t.mx:1"]),
    "small heads": (QKV.format(t=40, d=4), "f32[2,4,40,4]", "softmax(s, axis=-1) @ v", ["nearly attention: heads of fewer than 8 numbers  t.mx:1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_reason(mlxcc, tmp_path, name):
    params, result, value, want = CASES[name]
    before = SCORES if params.startswith("q:") else ""
    text = report(mlxcc, tmp_path, f"export fn f({params}) -> {result} {{ {before}return {value}; }}\n")
    assert set(want) <= set(reasons(text)), text


def test_options_are_reasons(mlxcc, tmp_path):
    text = f"export fn f({QKV.format(t=40, d=32)}) -> f32[2,4,40,32] {{ {SCORES}return softmax(s, axis=-1) @ v; }}\n"
    assert "nearly attention: --conv=exact keeps the order of sums  t.mx:1" in reasons(report(mlxcc, tmp_path, text, "--conv=exact"))
    assert not reasons(report(mlxcc, tmp_path, text))
    conv = "export fn f(x: f32[1,32,32,16], w: f32[16,3,3,16]) -> f32[1,32,32,16] { return conv2d(x, w, padding=1); }\n"
    want = "convolution: kernel `conv`, not winograd (--conv=exact), not depthwise (a result has more than one input channel)  t.mx:1"
    assert want in reasons(report(mlxcc, tmp_path, conv, "--conv=exact"))


def test_maps_join_past_others(mlxcc, tmp_path):
    text = report(mlxcc, tmp_path, "export fn step(inout m: f32[300], inout n: f32[400], inout w: f32[300], inout u: f32[400], g: f32[300], h: f32[400]) {\n"
                                   "  m = 0.9 * m + g; n = 0.9 * n + h;\n  w = w - m;\n  u = u - n;\n}\n")
    assert reasons(text) == ["`sub` joined past the 1 between: it reads or writes the same elements  t.mx:3",
                             "`add` runs in the loop of `sub`  t.mx:2",
                             f"{APART} (`add`): it has 400 rows, the kernel before 300  t.mx:2",
                             "`add` runs in the loop of `sub`  t.mx:2"]


def test_copies_keep_reasons(mlxcc, tmp_path):
    """A copy that specialise made has the reasons of lowering and its own of the passes behind."""
    text = report(mlxcc, tmp_path, "dim B in {4, 300};\nexport fn f(x: f32[B,64], y: f32[64,64]) -> f32[B,64] { return x @ y; }\n")
    small, large = (f"`dot` is {how}, {GEMV}" for how in ("gemm_small", "gemm"))
    assert reasons(text) == [f"{small}  t.mx:2", f"{large}, not gemm_small (300 x 64 x 64 is too large)  t.mx:2"]


def test_too_many_copies(mlxcc, tmp_path):
    text = report(mlxcc, tmp_path, "dim N in {1, 2, 3, 4, 5};\ndim M in {1, 2, 3, 4, 5};\nexport fn f(x: f32[N, M]) -> f32[N, M] { return x * 2; }\n")
    assert "no copies for the values of M: there would be 25, more than 16  t.mx:3" in reasons(text)


def test_threads(mlxcc, tmp_path):
    text = "export fn f(x: f32[100000]) -> f32 { return sum(x * x[0]); }\n"
    assert not reasons(report(mlxcc, tmp_path, text))
    want = "not shared out among threads: along no axis do all of its stages write elements of their own  t.mx:1"
    assert want in reasons(report(mlxcc, tmp_path, text, "--threads=4"))


def test_user_line_of_a_kernel(mlxcc, tmp_path):
    """A kernel whose stages are partly the library's names the line of the program."""
    text = report(mlxcc, tmp_path, "export fn f(x: f32[8,300]) -> f32[8,300] {\n  let y = softmax(x, axis=-1);\n  return y * cumsum(x, axis=-1);\n}\n")
    assert re.search(r"^  kernel 0  over 8  t\.mx:3$", text, flags=re.M), text


def test_text_has_no_reasons(mlxcc, tmp_path):
    """From a text the report has the reasons of the passes that still run, and the kernels are the same."""
    text = "export fn f(x: f32[200,200], y: f32[200,200]) -> f32[200] { return sum(exp(x @ y), axis=1); }\n"
    whole = report(mlxcc, tmp_path, text)
    for after, left in (("lower", reasons(whole)), ("fuse", [r for r in reasons(whole) if APART not in r]), ("plan", [])):
        loops = subprocess.run([mlxcc, "t.mx", "--emit=loops", f"--stop-after={after}"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        again = report(mlxcc, tmp_path, loops, name="t.ir")
        assert reasons(again) == left
        plain = [[line for line in t.splitlines() if not line.strip().startswith("-")] for t in (whole, again)]
        assert plain[0] == plain[1]


def test_example_of_the_page(mlxcc, tmp_path):
    program = re.search(r"^```mx\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S).group(1)
    want = re.search(r"^```report\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S).group(1)
    text = report(mlxcc, tmp_path, program, name="head.mx")
    want, text = (re.sub(r"prelude\.mx:\d+", "prelude.mx", t) for t in (want, text))
    assert want in text
