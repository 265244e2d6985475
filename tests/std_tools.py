"""Running small .mx programs from tests, and MLX as the reference on the CPU."""
import os
import subprocess

import numpy as np
import pytest

mx = pytest.importorskip("mlx.core")
mx.set_default_device(mx.cpu)


# Interpreted, which is fast; with MLXCC_COMPILED=1 as C.
INTERP = not os.environ.get("MLXCC_COMPILED")


def run(mlxcc, tmp_path, source, fn, interp=INTERP, options=(), **inputs):
    """Runs an exported function; arrays, numbers and dicts of leaves go in, {name: array} comes out."""
    program = tmp_path / "t.mx"
    program.write_text(source)
    args = []
    for name, v in inputs.items():
        if isinstance(v, dict):
            np.savez(tmp_path / f"{name}.npz", **{k: np.asarray(a) for k, a in v.items()})
            args.append(f"{name}={tmp_path / name}.npz")
        elif isinstance(v, (int, float)):
            args.append(f"{name}={v}")
        else:
            np.save(tmp_path / f"{name}.npy", np.asarray(v))
            args.append(f"{name}={tmp_path / name}.npy")
    out = tmp_path / "out.npz"
    out.unlink(missing_ok=True)
    r = subprocess.run([mlxcc, "run", f"{program}:{fn}", *args, f"--out={out}", *(["--interp"] if interp else []), *options], capture_output=True, text=True)
    assert r.returncode == 0, f"exit {r.returncode}\n{r.stderr}\n{source}"
    with np.load(out) as z:
        return {k: z[k] for k in z.files}


DTYPES = {"float32": "f32", "float64": "f64", "float16": "f16", "int32": "i32", "int64": "i64", "uint8": "u8", "uint32": "u32", "bool": "bool", "complex64": "c64",
          "int8": "i8", "uint16": "u16", "int16": "i16", "uint64": "u64"}


def type_of(a):
    a = np.asarray(a)
    return f"{DTYPES[str(a.dtype)]}[{', '.join(map(str, a.shape))}]" if a.ndim else DTYPES[str(a.dtype)]


def leaves(tree, prefix=""):
    """MLX's nested parameters as {dotted name: array}."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, (list, tuple)):
        items = enumerate(tree)
    else:
        return {prefix[:-1]: np.array(tree)}
    return {k: v for name, t in items for k, v in leaves(t, f"{prefix}{name}.").items()}
