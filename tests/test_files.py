""".npy, .npz and safetensors: read and written by `mlxcc run`, against NumPy, the safetensors package and MLX. The functions that are run are given as IR."""
import random
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

DTYPES = {"bool": "?", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "f16": "f2", "f32": "f4", "f64": "f8", "c64": "c8"}


def values(dtype, shape=(2, 3)):
    r = np.random.default_rng(1)
    if dtype == "bool":
        return r.integers(0, 2, shape).astype(bool)
    if dtype[0] in "ui":
        info = np.iinfo(DTYPES[dtype])
        return r.integers(info.min, info.max, shape, dtype=DTYPES[dtype], endpoint=True)
    x = r.standard_normal(shape)
    return (x + 1j * r.standard_normal(shape)).astype("c8") if dtype == "c64" else x.astype(DTYPES[dtype])


def identity(tmp_path, leaves):
    """A function that gives back its leaves: {path: type}."""
    params = ", ".join(f"%p{i}: {t}" for i, t in enumerate(leaves.values()))
    text = f'module "id" stage "tensor"\n\nfunc @f({params}) -> ({", ".join(leaves.values())})\n  export\n'
    for i, path in enumerate(leaves):
        text += f'  param {i} "{path}"\n'
    for i, path in enumerate(leaves):
        text += f'  result {i} "{path.replace("in", "out", 1)}"\n'
    text += "{\n  return " + ", ".join(f"%p{i}" for i in range(len(leaves))) + "\n}\n"
    (tmp_path / "id.ir").write_text(text)
    return str(tmp_path / "id.ir")


def run(mlxcc, f, *args, ok=True):
    r = subprocess.run([mlxcc, "run", f, "--interp", *map(str, args)], capture_output=True, text=True, errors="replace", timeout=60)
    if ok:
        assert r.returncode == 0, r.stderr
        return r.stdout
    assert r.returncode == 1, (r.returncode, r.stderr)
    assert r.stdout == "" and r.stderr.count("error[") == 1, r.stderr
    return r.stderr


@pytest.mark.parametrize("dtype", DTYPES)
def test_npy(mlxcc, tmp_path, dtype):
    x = values(dtype)
    f = identity(tmp_path, {"in": f"{dtype}[2,3]"})
    np.save(tmp_path / "x.npy", x)
    assert f"out = {dtype}[2,3]" in run(mlxcc, f, f"in={tmp_path}/x.npy", "--out", tmp_path / "r")
    y = np.load(tmp_path / "r/out.npy")
    assert y.dtype == x.dtype and np.array_equal(x, y)


@pytest.mark.parametrize("change", ["fortran", "big-endian", "version 2", "sliced"])
@pytest.mark.parametrize("dtype", ["f64", "i32", "c64", "u16"])
def test_npy_layouts(mlxcc, tmp_path, change, dtype):
    x = values(dtype, (2, 3, 4))
    f = identity(tmp_path, {"in": f"{dtype}[2,3,4]"})
    y = np.asfortranarray(x) if change == "fortran" else x.astype(x.dtype.newbyteorder(">")) if change == "big-endian" else np.ascontiguousarray(x)[..., ::-1]
    with open(tmp_path / "x.npy", "wb") as out:
        np.lib.format.write_array(out, y, version=(2, 0) if change == "version 2" else None)
    run(mlxcc, f, f"in={tmp_path}/x.npy", "--out", tmp_path / "r.npy")
    assert np.array_equal(np.load(tmp_path / "r.npy"), y)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (1, 1, 1, 1, 1)])
def test_shapes(mlxcc, tmp_path, shape):
    x = values("f32", shape)
    f = identity(tmp_path, {"in": "f32" + (f"[{','.join(map(str, shape))}]" if shape else "")})
    np.save(tmp_path / "x.npy", x)
    for out in ("r.npy", "r.npz", "r.safetensors"):
        run(mlxcc, f, f"in={tmp_path}/x.npy", "--out", tmp_path / out)
    for y in (np.load(tmp_path / "r.npy"), np.load(tmp_path / "r.npz")["out"], load_file(tmp_path / "r.safetensors")["out"]):
        assert y.shape == shape and np.array_equal(x, y)


@pytest.mark.parametrize("kind", ["savez", "savez_compressed", "safetensors"])
def test_trees(mlxcc, tmp_path, kind):
    tree = {f"l{i}.{d}": values(d, (i + 1, 2)) for i, d in enumerate(DTYPES)}
    f = identity(tmp_path, {f"in.{k}": f"{k.split('.')[1]}[{v.shape[0]},2]" for k, v in tree.items()})
    if kind == "safetensors":
        save_file({k: v for k, v in tree.items()}, tmp_path / "t")
    else:
        with open(tmp_path / "t", "wb") as out:
            getattr(np, kind)(out, **tree)
    run(mlxcc, f, f"in={tmp_path}/t", "--out", tmp_path / "r")
    run(mlxcc, f, f"in={tmp_path}/t", "--out", tmp_path / "r.npz")
    for got in (load_file(tmp_path / "r/out.safetensors"), np.load(tmp_path / "r.npz")):
        assert set(got.keys()) == set(tree)
        for k, v in tree.items():
            assert got[k].dtype == v.dtype and np.array_equal(got[k], v), k


def test_bfloat16_as_mlx(mlxcc, tmp_path):
    import mlx.core as mx

    x = mx.array([[1.5, -2.25, 3e38], [0.1, float("inf"), -0.0]], dtype=mx.bfloat16)
    mx.save_safetensors(str(tmp_path / "x.safetensors"), {"w": x, "v": x[0]})
    f = identity(tmp_path, {"in.w": "bf16[2,3]", "in.v": "bf16[3]"})
    run(mlxcc, f, f"in={tmp_path}/x.safetensors", "--out", tmp_path / "r.safetensors")
    y = mx.load(str(tmp_path / "r.safetensors"))
    assert y["w"].dtype == mx.bfloat16 and mx.array_equal(y["w"], x).item() and mx.array_equal(y["v"], x[0]).item()


def test_bfloat16_npy_as_ml_dtypes(mlxcc, tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([1.5, -2.25, 0.1], ml_dtypes.bfloat16)
    np.save(tmp_path / "x.npy", x)
    f = identity(tmp_path, {"in": "bf16[3]"})
    run(mlxcc, f, f"in={tmp_path}/x.npy", "--out", tmp_path / "r.npy")
    assert (tmp_path / "r.npy").read_bytes()[-6:] == x.tobytes()


def test_stacked_leaves(mlxcc, tmp_path):
    """One leaf of a module array has a leading axis; files have one tensor for each row."""
    rows = {f"layers.{i}.w": values("f32", (2,)) + i for i in range(4)}
    save_file({**rows, "head": values("f32", (3,))}, tmp_path / "t.safetensors")
    f = identity(tmp_path, {"in.layers.*.w": "f32[4,2]", "in.head": "f32[3]"})
    run(mlxcc, f, f"in={tmp_path}/t.safetensors", "--out", tmp_path / "r.safetensors")
    y = load_file(tmp_path / "r.safetensors")
    assert set(y) == {*rows, "head"}
    assert all(np.array_equal(y[k], v) for k, v in rows.items())
    f = identity(tmp_path, {"in.layers.*.w": "f32[5,2]", "in.head": "f32[3]"})
    assert "the file has no `layers.4.w`" in run(mlxcc, f, f"in={tmp_path}/t.safetensors", ok=False)


def test_nested_stacks_and_unknown_length(mlxcc, tmp_path):
    rows = {f"a.{i}.b.{j}.w": np.full((2,), 10 * i + j, np.float32) for i in range(3) for j in range(2)}
    np.savez(tmp_path / "t.npz", **rows)
    f = identity(tmp_path, {"in.a.*.b.*.w": "f32[N,M,2]", "in.x": "f32[N]"})
    run(mlxcc, f, f"in={tmp_path}/t.npz", "in.x=[1,2,3]", "--out", tmp_path / "r.npz")
    y = np.load(tmp_path / "r.npz")
    assert all(np.array_equal(y[k], v) for k, v in rows.items())


@pytest.mark.parametrize("given, wanted, ok", [
    ("u1", "f32", True), ("i8", "i32", True), ("f8", "f32", True), ("f4", "f16", True), ("f4", "c64", True), ("?", "i32", True), ("i4", "u8", True),
    ("f4", "i32", False), ("c8", "f32", False), ("i4", "bool", False)])
def test_conversion(mlxcc, tmp_path, given, wanted, ok):
    x = np.array([0, 1, 5]).astype(given)
    np.save(tmp_path / "x.npy", x)
    f = identity(tmp_path, {"in": f"{wanted}[3]"})
    text = run(mlxcc, f, f"in={tmp_path}/x.npy", "--out", tmp_path / "r.npy", ok=ok)
    if ok:
        y = np.load(tmp_path / "r.npy")
        assert y.dtype == np.dtype(DTYPES[wanted]) and np.array_equal(y, x.astype(y.dtype))
    else:
        assert "error[run.dtype]" in text and not (tmp_path / "r.npy").exists()


@pytest.mark.parametrize("x, wanted", [([-1], "u8"), ([256], "u8"), ([2**31], "i32"), ([-2**31 - 1], "i32"), ([-1], "u64")])
def test_conversion_that_changes_a_value(mlxcc, tmp_path, x, wanted):
    np.save(tmp_path / "x.npy", np.array(x, np.int64))
    f = identity(tmp_path, {"in": f"{wanted}[1]"})
    assert "error[run.dtype]" in run(mlxcc, f, f"in={tmp_path}/x.npy", ok=False)


@pytest.mark.parametrize("text, dtype, expect", [
    ("0.1", "f32", np.float32(0.1)), ("3", "i32", 3), ("-7", "i64", -7), ("18446744073709551615", "u64", 2**64 - 1), ("true", "bool", True), ("1e-3", "f64", 1e-3),
    ("inf", "f32", np.inf), ("0x10", "u8", 16), ("2", "f32", 2)])
def test_numbers(mlxcc, tmp_path, text, dtype, expect):
    f = identity(tmp_path, {"in": dtype})
    run(mlxcc, f, f"in={text}", "--out", tmp_path / "r.npy")
    assert np.load(tmp_path / "r.npy") == expect


def test_lists(mlxcc, tmp_path):
    f = identity(tmp_path, {"in": "u32[2]"})
    run(mlxcc, f, "in=[0,7]", "--out", tmp_path / "r.npy")
    assert np.array_equal(np.load(tmp_path / "r.npy"), [0, 7])
    assert "is not a list of numbers" in run(mlxcc, f, "in=[0,[7]]", ok=False)


BROKEN = {
    "empty.npy": (b"", "neither"),
    "text.npy": (b"hello, world", "neither"),
    "short.npy": (b"\x93NUMPY\1\0\x76\0{'descr'", "longer than the file"),
    "header.npy": (b"\x93NUMPY\1\0\x10\0{'descr': 'f4'} ", "bad .npy header"),
    "size.npy": (b"\x93NUMPY\1\0\x40\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }".ljust(63) + b"\n1234", "its shape says 12"),
    "huge.npy": (b"\x93NUMPY\1\0\x60\0" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }".ljust(95) + b"\n", "too big"),
    "object.npy": (b"\x93NUMPY\1\0\x40\0" + b"{'descr': '|O8', 'fortran_order': False, 'shape': (1,), }".ljust(63) + b"\n12345678", "no counterpart"),
    "length.safetensors": (b"\xff\xff\0\0\0\0\0\0{}", "not a safetensors file"),
    "json.safetensors": (b"\x08\0\0\0\0\0\0\0{\"a\": 1,", "the header is not JSON"),
    "twice.safetensors": (b"\x10\0\0\0\0\0\0\0{\"a\":1, \"a\":2}  ", "stands twice"),
    "offsets.safetensors": (b"\x3f\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}         12345678", "its shape needs 4 bytes"),
    "beyond.safetensors": (b"\x3f\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}         1234", "beyond the end"),
    "dtype.safetensors": (b"\x3f\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F8\",\"shape\":[1],\"data_offsets\":[0,1]}}          1", "no counterpart"),
    "archive.npz": (b"PK\3\4" + b"\0" * 60, "not a .npz file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(mlxcc, tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    f = identity(tmp_path, {"in.a": "f32[1]"})
    assert message in run(mlxcc, f, f"in={tmp_path}/{name}", "--out", tmp_path / "r", ok=False)
    assert not (tmp_path / "r").exists()


def test_damaged_archives(mlxcc, tmp_path):
    f = identity(tmp_path, {"in.a": "f32[64]"})
    np.savez_compressed(tmp_path / "t.npz", a=np.zeros(64, np.float32))
    raw = bytearray((tmp_path / "t.npz").read_bytes())
    at = raw.index(b"PK\1\2")
    raw[at + 16] ^= 1
    (tmp_path / "crc.npz").write_bytes(raw)
    assert "its checksum is wrong" in run(mlxcc, f, f"in={tmp_path}/crc.npz", ok=False)
    raw[at + 16] ^= 1
    raw[at + 24:at + 28] = b"\xff\xff\xff\x7f"
    (tmp_path / "bomb.npz").write_bytes(raw)
    assert "its size is wrong" in run(mlxcc, f, f"in={tmp_path}/bomb.npz", ok=False)


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed.npz", "safetensors"])
def test_mutations_are_answered(mlxcc, tmp_path, kind):
    """Random damage ends in a result or in one diagnostic."""
    tree = {"a": values("f32", (3, 2)), "b": values("u8", (5,))}
    path = tmp_path / f"t.{kind}"
    if kind == "npy":
        np.save(path, tree["a"])
    elif kind == "safetensors":
        save_file(tree, path)
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, **tree)
    f = identity(tmp_path, {"in.a": "f32[3,2]"})
    raw, rng = path.read_bytes(), random.Random(kind)
    for i in range(60):
        b = bytearray(raw)
        for _ in range(rng.randint(1, 3)):
            if rng.random() < 0.15:
                del b[rng.randrange(1, len(b)):]
            else:
                b[rng.randrange(len(b))] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
        path.write_bytes(b)
        r = subprocess.run([mlxcc, "run", f, "--interp", f"in={path}", "--out", tmp_path / "r.npy"], capture_output=True, timeout=60)
        assert r.returncode in (0, 1), (i, r.stderr)
