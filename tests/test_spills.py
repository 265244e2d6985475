"""No micro-kernel keeps a sum on the stack: the innermost loops that multiply and add, of every product kernel, compiled by gcc and clang for 16 and for 32 vector registers, store no vector to the stack."""
import re
import subprocess

import pytest

BENCH = "export fn main"
PROGRAMS = {  # name: (program, options, innermost loops with products at least)
    "gemm": (f"{BENCH}(a: f32[200, 300], b: f32[300, 400]) -> f32[200, 400] {{ return a @ b; }}", (), 5),
    "gemm_small": (f"{BENCH}(a: f32[9, 64, 64], b: f32[9, 64, 64]) -> f32[9, 64, 64] {{ return a @ b; }}", (), 1),
    "gemm_f64": (f"{BENCH}(a: f64[200, 300], b: f64[300, 400]) -> f64[200, 400] {{ return a @ b; }}", (), 5),
    "gemv": (f"export fn rows(w: f32[1024, 1024], x: f32[1024]) -> f32[1024] {{ return w @ x; }}\n{BENCH}(w: f32[1000, 1000], x: f32[1000]) -> f32[1000] {{ return x @ w; }}", (), 1),
    "conv_3x3": (f"{BENCH}(x: f32[1, 28, 28, 32], w: f32[64, 3, 3, 32]) -> f32[1, 28, 28, 64] {{ return conv2d(x, w, padding=1); }}", ("--conv=exact",), 1),
    "conv_1x1": (f"{BENCH}(x: f32[1, 28, 28, 32], w: f32[64, 1, 1, 32]) -> f32[1, 28, 28, 64] {{ return conv2d(x, w); }}", (), 1),
    "conv_few": (f"{BENCH}(x: f32[1, 28, 28, 1], w: f32[6, 5, 5, 1]) -> f32[1, 24, 24, 6] {{ return conv2d(x, w); }}", (), 1),
    "depthwise": (f"{BENCH}(x: f32[1, N, N, 32], w: f32[32, 3, 3, 1]) -> f32[1, N, N, 32] {{ return conv2d(x, w, padding=1, groups=32); }}", (), 1),
    "attention": (f"{BENCH}(q: f32[1, 4, 256, 64], k: f32[1, 4, 256, 64], v: f32[1, 4, 256, 64]) -> f32[1, 4, 256, 64] {{ return fast.scaled_dot_product_attention(q, k, v, scale=0.125, mask=\"causal\"); }}", (), 1),
}
MULTIPLY = re.compile(r"vfn?m(add|sub)\w*p[sd]\b")


def functions(text):
    """name -> [(address, instruction)] of objdump's text."""
    found, into = {}, None
    for line in text.splitlines():
        if m := re.match(r"^[0-9a-f]+ <(.*)>:", line):
            into = found.setdefault(m.group(1), [])
        elif into is not None and (m := re.match(r"^\s*([0-9a-f]+):\s+(\S.*)", line)):
            into.append((int(m.group(1), 16), m.group(2)))
    return found


def innermost(code):
    jumps = [(int(m.group(1), 16), at) for at, text in code if (m := re.match(r"j\w+\s+([0-9a-f]+) <", text)) and int(m.group(1), 16) <= at]
    for first, last in jumps:
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in jumps):
            yield [text for at, text in code if first <= at <= last]


def spills(code, loop):
    """Vectors that go to the stack; %rbp is the frame where the function says so, else a pointer like any other."""
    frame = any(re.match(r"mov\s+%rsp,%rbp", text) for _, text in code)
    return [t for t in loop if re.match(r"vmov\w+\s+%[xyz]mm\d+,[-0-9a-fx]*\(%r" + ("[sb]p" if frame else "sp"), t)]


@pytest.mark.parametrize("level", ["x86-64-v3", "x86-64-v4"])
@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_sums_stay_in_registers(mlxcc, tmp_path, name, cc, level):
    program, options, least = PROGRAMS[name]
    (tmp_path / "p.mx").write_text(program)
    for command in ([mlxcc, "p.mx", "-o", "p.c", *options], [cc, "-std=c99", "-O2", f"-march={level}", "-c", "p.c", "-o", "p.o"]):
        r = subprocess.run([str(c) for c in command], cwd=tmp_path, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr[:2000]
    code = functions(subprocess.run(["objdump", "-d", "--no-show-raw-insn", "p.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    loops = 0
    for function, lines in code.items():
        for loop in innermost(lines):
            if sum(bool(MULTIPLY.match(t)) for t in loop) < 4:
                continue
            loops += 1
            assert not spills(lines, loop), function + "\n" + "\n".join(loop)
    assert loops >= least, f"{loops} loops"


def test_a_spill_is_seen():
    code = functions("0 <f>:\n   0:\tvmovaps %zmm1,0x40(%rsp)\n   4:\tjne 0 <f>\n   8:\tvmovups %zmm1,(%rax)\n   c:\tjne 8 <f+0x8>\n")["f"]
    assert [spills(code, loop) for loop in innermost(code)] == [["vmovaps %zmm1,0x40(%rsp)"], []]
