"""Runs an exported function of .mx text on NumPy arrays through `mlxcc run --interp`."""
import pathlib
import subprocess
import tempfile
import numpy as np


def run(mlxcc, text, fn="main", timeout=120, compiled=False, **arrays):
    """The results of one call as a list of arrays: out.npy, or out0.npy, out1.npy, .. compiled: through C, else interpreted."""
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        (d / "t.mx").write_text(text)
        args = []
        for name, a in arrays.items():
            np.save(d / f"{name}.npy", np.asarray(a))
            args.append(f"{name}={d / name}.npy")
        r = subprocess.run([mlxcc, "run", *([] if compiled else ["--interp"]), f"{d / 't.mx'}:{fn}", *args, "--out", str(d / "out")],
                           capture_output=True, text=True, timeout=timeout)
        assert r.returncode == 0, r.stderr + r.stdout
        one = d / "out" / "out.npy"
        if one.exists():
            return [np.load(one)]
        n = len(list((d / "out").glob("out*.npy")))
        return [np.load(d / "out" / f"out{i}.npy") for i in range(n)]


def fails(mlxcc, text, timeout=60):
    """Exit code and message of a program that must not compile."""
    with tempfile.TemporaryDirectory() as d:
        f = pathlib.Path(d) / "t.mx"
        f.write_text(text)
        r = subprocess.run([mlxcc, "--emit=ir", str(f)], capture_output=True, text=True, timeout=timeout)
        return r.returncode, r.stderr


def program(exprs, params, prelude=""):
    """An exported `main` whose results are the expressions."""
    body = "".join(f"  let r{i} = {e};\n" for i, e in enumerate(exprs))
    result = ", ".join(f"r{i}" for i in range(len(exprs)))
    return f"{prelude}\nexport fn main({params}) {{\n{body}  return {result};\n}}\n"
