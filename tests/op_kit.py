"""One-op programs in IR text with inputs and expected results, from NumPy, SciPy, JAX or MLX; run here by the interpreter and elsewhere as C.

A Case is one op on concrete operands: its expected arrays also give the result types that the text states, so type inference is checked
by the reader's verifier. Cases of one op and dtype are packed into one Program (one function with all results), to run quickly.
"""
import pathlib
import subprocess
import tempfile
import ml_dtypes
import numpy as np

BF16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = {
    "bool": np.dtype(bool), "u8": np.dtype("u1"), "u16": np.dtype("u2"), "u32": np.dtype("u4"), "u64": np.dtype("u8"),
    "i8": np.dtype("i1"), "i16": np.dtype("i2"), "i32": np.dtype("i4"), "i64": np.dtype("i8"),
    "f16": np.dtype("f2"), "bf16": BF16, "f32": np.dtype("f4"), "f64": np.dtype("f8"), "c64": np.dtype("c8"),
}
NAME = {v: k for k, v in DTYPES.items()}
INTS = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"]
FLOATS = ["f16", "bf16", "f32", "f64"]
ALL = list(DTYPES)
NUM = ALL[1:]
REAL = ALL[:-1]


def is_float(d):
    return d in FLOATS


def compute(d):
    """The dtype in which the op computes."""
    return "f32" if d in ("f16", "bf16") else d


def type_text(a):
    d = NAME[a.dtype]
    return d + (f"[{','.join(map(str, a.shape))}]" if a.ndim else "")


def attr_text(x):
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, (list, tuple)):
        return "[" + ",".join(map(str, x)) + "]"
    if isinstance(x, Quoted):
        return f'"{x}"'
    return str(x)


class Quoted(str):
    """A text attribute."""


class Case:
    """op on inputs with attributes gives expected (a list). close(got, want) -> None or a complaint; None: same bits (any nan equals any)."""

    def __init__(self, op, inputs, attrs, expected, close=None, dtype=None):
        self.op, self.attrs, self.close = op, attrs, close
        self.inputs = [np.asarray(x) for x in inputs]
        self.expected = [np.asarray(x) for x in (expected if isinstance(expected, (list, tuple)) else [expected])]
        self.dtype = dtype or (NAME[self.inputs[0].dtype] if self.inputs else NAME[self.expected[0].dtype])


class Program:
    def __init__(self, name, cases):
        self.name, self.cases = name, list(cases)
        self.inputs, params, lines, results = [], [], [], []
        for k, c in enumerate(self.cases):
            operands = []
            for x in c.inputs:
                operands.append(f"%arg{len(self.inputs)}")
                params.append(f"{operands[-1]}: {type_text(x)}")
                self.inputs.append(x)
            names = [f"%r{k}_{i}" for i in range(len(c.expected))]
            attrs = " {" + ", ".join(f"{n}={attr_text(v)}" for n, v in c.attrs.items()) + "}" if c.attrs else ""
            types = ", ".join(type_text(e) for e in c.expected)
            sep = " " if operands else ""
            lines.append(f"  {', '.join(names)} = {c.op}{sep}{', '.join(operands)}{attrs} : {types}")
            results += names
        self.expected = [e for c in self.cases for e in c.expected]
        types = ", ".join(type_text(e) for e in self.expected)
        self.text = ('module "t" stage "tensor"\n\n' + f"func @f({', '.join(params)}) -> ({types}) {{\n" + "\n".join(lines) +
                     f"\n  return {', '.join(results)}\n}}\n")

    def check(self, got):
        """Complaints about the results."""
        out, k = [], 0
        for c in self.cases:
            for i, want in enumerate(c.expected):
                bad = differ(got[k], want, c.close)
                if bad:
                    out.append(f"{c.op} {c.dtype} {c.attrs} result {i}: {bad}")
                k += 1
        return out


def bits_equal(got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    if want.dtype.kind == "c":
        return bits_equal(got.real.copy(), want.real.copy()) and bits_equal(got.imag.copy(), want.imag.copy())
    raw = f"u{want.dtype.itemsize}"
    same = np.ascontiguousarray(got).view(raw) == np.ascontiguousarray(want).view(raw)
    if want.dtype.kind == "f" or want.dtype == BF16:
        same |= (got != got) & (want != want)
    return bool(np.all(same))


def show(a, k):
    return repr(a.reshape(-1)[k].item() if a.dtype != BF16 else float(a.reshape(-1)[k]))


def differ(got, want, close):
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{type_text(got)} instead of {type_text(want)}"
    if bits_equal(got, want):
        return None
    if close:
        return close(got, want)
    wrong = [k for k in range(want.size) if not bits_equal(got.reshape(-1)[k:k + 1], want.reshape(-1)[k:k + 1])]
    return f"{len(wrong)} of {want.size} differ, first at {wrong[0]}: {show(got, wrong[0])} instead of {show(want, wrong[0])}"


def ulps(n):
    """Within n units in the last place of the expected value; infinities and nan must agree, zeros up to sign."""
    def close(got, want):
        wide = np.longdouble if want.dtype == np.float64 else np.float64
        g, w = got.astype(wide), want.astype(wide)
        fin = np.isfinite(w)
        if not np.array_equal(np.isnan(g), np.isnan(w)) or not np.array_equal(g[~fin & ~np.isnan(w)], w[~fin & ~np.isnan(w)]):
            k = np.flatnonzero((np.isnan(g) != np.isnan(w)) | (~fin & ~np.isnan(w) & (g != w)))[0]
            return f"at {k}: {show(got, k)} instead of {show(want, k)}"
        info = ml_dtypes.finfo(want.dtype)
        tiny = float(info.smallest_subnormal)
        with np.errstate(all="ignore"):
            unit = np.maximum(np.abs(w) * float(info.eps), tiny)
            err = np.where(fin, np.abs(g - w) / unit, 0)
        k = int(np.argmax(err))
        return None if err.size == 0 or err.flat[k] <= n else f"{err.flat[k]:.3g} ulp off at {k}: {show(got, k)} instead of {show(want, k)}"
    return close


def near(rtol, atol=0.0):
    """Relative to the magnitude (of both parts for c64)."""
    def close(got, want):
        wide = np.complex128 if want.dtype.kind == "c" else np.float64
        g, w = got.astype(wide), want.astype(wide)
        with np.errstate(all="ignore"):
            bad = ~((np.abs(g - w) <= rtol * np.abs(w) + atol) | (g == w) | (np.isnan(g) & np.isnan(w)))
        if not bad.any():
            return None
        k = int(np.flatnonzero(bad)[0])
        return f"{bad.sum()} of {bad.size} differ, first at {k}: {show(got, k)} instead of {show(want, k)}"
    return close


def write_npy(path, a):
    np.save(path, np.asarray(a, order="C").view("u2") if a.dtype == BF16 else a)


def eval_ir(irtool, text, inputs, folder=None):
    """Evaluates @f of an IR text: (results in order, what it wrote), or (None, message) where it fails. bf16 results come as u16."""
    with tempfile.TemporaryDirectory(dir=folder) as t:
        t = pathlib.Path(t)
        (t / "f.ir").write_text(text)
        args = []
        for k, x in enumerate(inputs):
            write_npy(t / f"in{k}.npy", x)
            args.append(str(t / f"in{k}.npy"))
        done = subprocess.run([irtool, "eval", str(t / "f.ir"), "@f", *args, "-o", str(t / "out")], capture_output=True, text=True, timeout=60)
        if done.returncode:
            return None, done.stderr + done.stdout
        return [np.load(t / "out" / f"{k}.npy") for k in range(len(list((t / "out").iterdir())))], done.stdout


def interpret(irtool, program, folder=None):
    """The results of program in the interpreter."""
    got, said = eval_ir(irtool, program.text, program.inputs, folder)
    assert got is not None, said
    return [a.view(BF16) if e.dtype == BF16 else a for a, e in zip(got, program.expected)]


def refused(irtool, text, folder=None):
    """The message with which the verifier refuses text, or None where it accepts it."""
    with tempfile.NamedTemporaryFile("w", suffix=".ir", dir=folder) as f:
        f.write(text)
        f.flush()
        done = subprocess.run([irtool, "verify", f.name], capture_output=True, text=True, timeout=60)
        return done.stderr if done.returncode else None


def op_table(irtool):
    """name -> (elementwise, dtypes of an element-wise op, attributes)."""
    rows = {}
    for line in subprocess.run([irtool, "ops"], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines():
        f = line.split("|")
        rows[f[0]] = (f[1] == "elementwise", f[4].split(), f[7].split())
    return rows
