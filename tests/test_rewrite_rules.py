"""rewrite_rules_bit_exact: both sides of every row of ir/rules.def, interpreted over special values of each dtype it takes.

EXACT rows must agree in every bit, where any nan equals any other; CLOSER ones to one unit in the last place. Each row must also fire: the
left side, simplified, is the right side.
"""
import itertools
import re
import subprocess
import numpy as np
import pytest

FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 1.5, 7.25, 1e-7, -1e-40, 1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan, 6e-8, 65504.0]
NUMPY = {"bool": "?", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8",
         "f16": "f2", "bf16": "u2", "f32": "f4", "f64": "f8", "c64": "c8"}


def specials(d):
    if d == "bool":
        return np.array([False, True])
    if d[0] in "ui":
        info = np.iinfo(NUMPY[d])
        few = [0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1] + ([-1, -2] if d[0] == "i" else [])
        return np.array(few, NUMPY[d])
    if d == "bf16":
        return (np.array(FLOATS, "f4").view("u4") >> 16).astype("u2")
    if d == "c64":
        some = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 1e-40], "f4")
        return np.array([complex(a, b) for a in some for b in some], "c8")
    with np.errstate(over="ignore"):
        return np.array(FLOATS + ([5e-324, 1e300] if d == "f64" else []), NUMPY[d])


def parse(text):
    """"add(a, 0)" -> ("add", ["a", "0"]); a letter or a number stands for itself."""
    m = re.fullmatch(r"(\w+)\((.*)\)", text)
    return (m[1], split(m[2])) if m else text


def split(text):
    parts, depth, start = [], 0, 0
    for k, c in enumerate(text + ","):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(parse(text[start:k].strip()))
            start = k + 1
    return parts


class Side:
    """One side of a rule as IR text over parameters that get their dtype at their first use."""

    def __init__(self, variables):
        self.lines, self.variables, self.n = [], variables, 0

    def new(self, text, d):
        self.lines.append(f"  %v{self.n} = {text} : {d}[N]")
        self.n += 1
        return f"%v{self.n - 1}"

    def term(self, t, d):
        if isinstance(t, tuple):
            return self.op(t[0], t[1], d)
        if re.fullmatch("[a-z]", t):
            assert self.variables.setdefault(t, d) == d
            return f"%{t}"
        self.lines.append(f"  %c{self.n} = const {{value={d}({constant(t, d)})}} : {d}")
        return self.new(f"broadcast %c{self.n} {{shape=[N], dims=[]}}", d)

    def op(self, name, args, d):
        """d: dtype of the result where that is the operands' too."""
        inner = "f32" if name == "complex" else d
        types = ["bool", d, d] if name == "select" else [inner] * len(args)
        return self.new(f"{name} " + ", ".join(self.term(a, k) for a, k in zip(args, types)), result(name, d))


def result(name, d):
    if name in ("eq", "ne", "isnan", "isinf"):
        return "bool"
    return "f32" if d == "c64" and name in ("real", "imag", "abs") else d


def constant(t, d):
    if d == "bool":
        return {"0": "false", "1": "true"}.get(t, t)
    if d == "c64":
        return f"({t}, 0)"
    if d[0] == "u" and t == "-1":
        return str(2 ** (8 * int(np.dtype(NUMPY[d]).itemsize)) - 1)
    return str(int(t == "true")) if t in ("true", "false") else t.removeprefix("-") if t == "-0" and d[0] in "ui" else t


def function(name, lines, value, out, variables):
    params = ", ".join(f"%{v}: {d}[N]" for v, d in variables.items())
    return "\n".join([f"func @{name}({params}) -> ({out}[N]) {{", *lines, f"  return {value}", "}", ""])


def module(op, args, becomes, d):
    variables, out = {}, result(op, d)
    left, right = Side(variables), Side(variables)
    lv = left.op(op, split(args), d)
    term = parse(becomes)
    rv = right.term(term, d if isinstance(term, tuple) else out)
    return function("left", left.lines, lv, out, variables) + function("right", right.lines, rv, out, variables), variables, out


def rules(irtool):
    return [line.split("|") for line in subprocess.run([irtool, "rules"], capture_output=True, text=True, check=True).stdout.splitlines()]


def evaluate(irtool, path, name, inputs, out):
    done = subprocess.run([irtool, "eval", str(path), f"@{name}", *inputs, "-o", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + path.read_text()
    return np.load(out / "0.npy")


def as_float(x, d):
    return (x.astype("u4") << 16).view("f4") if d == "bf16" else x


def same_bits(a, b, d):
    a, b = as_float(a, d), as_float(b, d)
    if a.dtype.kind == "c":
        return same_bits(a.view("f4"), b.view("f4"), "f32")
    if a.dtype.kind != "f":
        return a == b
    w = f"u{a.dtype.itemsize}"
    return (a.view(w) == b.view(w)) | (np.isnan(a) & np.isnan(b))


def ulps(a, b, d):
    """Distance in units of the dtype's last place; 0 where the bits agree."""
    w = {"f16": "i2", "bf16": "i2", "f32": "i4", "f64": "i8"}[d]
    a, b = a.view(w).astype(object), b.view(w).astype(object)
    return np.abs(a - b)


def test_every_rule(irtool, tmp_path):
    seen = 0
    for name, exactness, op, args, becomes, dtypes in rules(irtool):
        for d in dtypes.split():
            if exactness == "RELAXED" or ("true" in args + becomes and d != "bool" and op == "and"):
                continue
            text, variables, out = module(op, args, becomes, d)
            path = tmp_path / f"{name}_{d}.ir"
            path.write_text(text)
            grids = np.meshgrid(*[specials(k) for k in variables.values()], indexing="ij")
            inputs = []
            for v, g in zip(variables, grids):
                inputs.append(str(tmp_path / f"{v}.npy"))
                np.save(inputs[-1], np.ascontiguousarray(g.reshape(-1)))
            left = evaluate(irtool, path, "left", inputs, tmp_path / "l")
            right = evaluate(irtool, path, "right", inputs, tmp_path / "r")
            ok = same_bits(left, right, out)
            if exactness == "CLOSER":
                ok |= ulps(left, right, out) <= 1
            bad = np.flatnonzero(~ok)[:3]
            assert ok.all(), (name, d, [tuple(g.reshape(-1)[k] for g in grids) + (left[k], right[k]) for k in bad])
            seen += 1
    assert seen > 200, seen


def bodies(text):
    return [part.split("{", 1)[1].strip() for part in text.split("func @")[1:]]


def test_every_rule_fires(irtool, tmp_path):
    for name, exactness, op, args, becomes, dtypes in rules(irtool):
        if exactness == "RELAXED":
            continue
        for d in dtypes.split():
            if "true" in args and d != "bool" and op == "and":
                continue
            text, _, _ = module(op, args, becomes, d)
            path = tmp_path / f"{name}_{d}.ir"
            path.write_text(text)
            done = subprocess.run([irtool, "pass", "simplify,dce", "--no-loc", str(path)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            left, right = [re.sub(r"%[cv]?\d+", "%_", b) for b in bodies(done.stdout)]
            assert left == right, (name, d, done.stdout)
