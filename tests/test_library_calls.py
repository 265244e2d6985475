"""Random calls of every library function and random index expressions: each compiles or ends in a message of the user's class, never in a bug
of the compiler, a crash or a hang."""
import pathlib
import random
import re
import subprocess

import pytest

TABLE = pathlib.Path(__file__).resolve().parent.parent / "frontend" / "builtins.def"
ROWS = re.findall(r'^(BUILTIN|ELEMENTWISE[12])\("([^"]+)"(?:, "((?:[^"\\]|\\.)*)")?', TABLE.read_text(), re.M)
TRANSFORMS = ["grad", "value_and_grad", "vmap", "jacobian", "hessian", "checkpoint", "custom_vjp", "custom_jvp", "linearize"]
PARAMS = ("x: f32[2, 3], y: f32[3, 4], v: f32[3], i: i32[3], s: i32, m: bool[2, 3], z: c64[3], h: f16[3], c: f32, u: u8[2, 3], b: f32[N, M], w: i64[2], "
          "key: u32[2]")
VALUES = ["x", "y", "v", "i", "s", "m", "z", "h", "c", "u", "b", "w", "key", "x[0]", "[x > 0, m]", "1", "0", "-1", "2", "3", "-7", "100", "2 ** 40", "0.5", "-inf", "nan",
          "1j", "true", "none", "N", "M", "N * 2", "N - M", "()", "(1, 2)", "(0, -1)", "(x, x)", "(0, none)", "((1, 1), (0, 2))", "[]", "[1, 2]", "[[1, 2], [3, 4]]",
          "[x, y]", "[true, false]", "(a=x, b=1)", "x.shape", "0..2", "0..N", "f32", "i32", "c64", "bool", "u8", "f32[2, 3]", '"ij,jk->ik"', '"...i->i"', '"edge"', '""',
          "|a| a", "|a| sum(a)", "|a, b| a", "|*a| a[0]", "relu", "grad", "nn.Linear(3, 2)"]
INDICES = ["0", "-1", "5", ":", "1:", "::2", "::-1", "...", "newaxis", "none", "i", "s", "w", "u", "m", "x", "N", "i[0]", "s:s + 1", ":s", "s + 1:s:-1", ":N", "N:", "-N:",
           ":-5", "::0", "[0, 1]", "[]", "[true, false]", "true", "0.5", "(0, 1)", '"a"', "i[0]:i[0] + 2", "2 ** 40", "-2 ** 40:", "0..1"]


def random_call(r):
    kind, name, params = r.choice(ROWS)
    if kind != "BUILTIN":
        params = "a" if kind.endswith("1") else "a, b"
    names = [re.sub(r"=.*", "", p).strip(" *") for p in re.split(r",\s*(?![^(]*\))", params)]
    args = [r.choice(VALUES) for _ in range(r.randint(max(0, len(names) - 2), len(names) + 1))]
    args += [f"{n}={r.choice(VALUES)}" for n in names if r.random() < 0.2]
    text = f"{name}({', '.join(args)})"
    if name in TRANSFORMS and r.random() < 0.8:
        text += f"({', '.join(r.choice(VALUES) for _ in range(r.randint(1, 2)))})"
    return f"return {text};" if r.random() < 0.7 else f"return sum({text});"


def random_indexing(r):
    base = r.choice(["x", "y", "v", "i", "m", "b", "c", "z"])
    at = ", ".join(r.choice(INDICES) for _ in range(r.randint(1, 3)))
    kind = r.random()
    if kind < 0.4:
        return f"return {r.choice([base, base, '(x, y)', '[x, y]'])}[{at}];"
    if kind < 0.7:
        return f"var q = {base}; q[{at}] {r.choice(['=', '+=', '*=', '-='])} {r.choice(VALUES)}; return q;"
    mode = r.choice(["add", "subtract", "multiply", "divide", "maximum", "minimum", "set"])
    return f"return {base}.at[{at}].{mode}({r.choice(VALUES)});"


def check(mlxcc, folder, bodies):
    f = folder / "t.mx"
    f.write_text("import nn;\n" + "".join(f"export fn case{k}({PARAMS}) {{ {b} }}\n" for k, b in enumerate(bodies)))
    r = subprocess.run([mlxcc, "check", str(f)], capture_output=True, text=True, timeout=60)
    return r.returncode, r.stderr


@pytest.mark.parametrize("seed", range(40))
def test_calls_end_in_a_message(mlxcc, tmp_path, seed):
    r = random.Random(seed)
    bodies = [random_call(r) if r.random() < 0.6 else random_indexing(r) for _ in range(40)]
    code, err = check(mlxcc, tmp_path, bodies)
    if code in (0, 1, 2):
        return
    for b in bodies:
        code, err = check(mlxcc, tmp_path, [b])
        assert code in (0, 1, 2), f"{b}\n{err}"
