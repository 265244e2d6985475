"""Compiles a workload's .mx file with mlxcc and a C compiler, and calls the result through ctypes with preallocated buffers.

The C function's parameters are read from the header that mlxcc writes: tensors by name, structures as their leaves in order, rank-0 inputs by value,
results, the arena. Nothing is allocated or converted in the timed call.
"""
import ctypes
import os
import pathlib
import re
import subprocess
import time
import ml_dtypes
import numpy as np
from .workload import BENCH, as_list

C_FLAGS = ["-O2", "-march=native"]
C_TYPES = {"float": np.float32, "double": np.float64, "int32_t": np.int32, "int64_t": np.int64, "uint32_t": np.uint32, "uint64_t": np.uint64,
           "uint16_t": np.uint16, "int16_t": np.int16, "uint8_t": np.uint8, "int8_t": np.int8, "bool": np.bool_, "_Bool": np.bool_,
           "struct mx_c64": np.complex64, "mx_c64": np.complex64}
BY_VALUE = {"float": ctypes.c_float, "double": ctypes.c_double, "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "int64_t": ctypes.c_int64,
            "uint64_t": ctypes.c_uint64, "bool": ctypes.c_bool}
CACHE_LINE = 64
RUNTIME = BENCH.parent / "runtime"


class CannotCompile(Exception):
    """mlxcc or the C compiler refused; the message says what it said."""


def aligned(shape, dtype, zero=True):
    """An array that starts at a cache line, as a user would place it. It comes from np.empty, as the peers' arrays do: NumPy asks for huge pages
    before the memory is touched; memory of np.zeros has been touched by then, stays in 4 KB pages and is read at half the speed."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    raw = np.empty(size + CACHE_LINE, np.uint8)
    if zero:
        raw.fill(0)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start:start + size].view(dtype).reshape(shape)


def aligned_copy(array):
    out = aligned(array.shape, array.dtype)
    out[...] = array
    return out


def build_dir(build):
    return pathlib.Path(build or os.environ.get("MLXCC_BUILD", BENCH.parent / "build")).resolve()


def run_tool(command, timeout=300):
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise CannotCompile(f"{pathlib.Path(command[0]).name}: no end after {timeout} s")
    if done.returncode:
        lines = [s for s in (done.stderr or done.stdout).strip().splitlines() if s.strip()]
        picked = [s for s in lines if "error" in s] or lines or [f"exit status {done.returncode}"]
        message = re.sub(r"^\S*/", "", picked[0])
        raise CannotCompile(f"{pathlib.Path(command[0]).name}: {message}")
    return time.perf_counter() - start


def baked(tree):
    """Stacks `a.0.b, a.1.b` of a homogeneous module array are written as they are: the compiler takes per-layer names."""
    return {k: np.ascontiguousarray(v) for k, v in tree.items()}


def compile_workload(cls, arrays, out, cc="gcc", flags=(), build=None, shared=True, threads=1):
    """Runs mlxcc and the C compiler, with the pool of runtime/ where there are several threads; returns a dict with the paths, both times in seconds and the sizes in bytes."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    command = [str(build_dir(build) / "mlxcc"), str(cls.mx), "-o", str(out / f"{cls.name}.c"), f"--prefix={cls.name}", *cls.mlxcc_flags, *flags]
    pool = [f"-I{RUNTIME}", str(RUNTIME / "pool.c"), "-pthread"] if threads > 1 else []
    if pool:
        command.append(f"--threads={threads}")
    for name in cls.baked:
        value = arrays[name]
        path = out / (f"{name}.npz" if isinstance(value, dict) else f"{name}.npy")
        if isinstance(value, dict):
            np.savez(path, **baked(value))
        else:
            np.save(path, np.ascontiguousarray(value))
        command.append(f"--weights={name}={path}")
    mlxcc_seconds = run_tool(command)
    source, library = out / f"{cls.name}.c", out / f"{cls.name}.so"
    cc_seconds = run_tool([cc, *C_FLAGS, "-fPIC", "-shared", "-o", str(library), str(source), *pool, "-lm"]) if shared else 0.0
    return dict(source=source, header=source.with_suffix(".h"), library=library, mlxcc_s=mlxcc_seconds, cc_s=cc_seconds,
                c_bytes=source.stat().st_size, so_bytes=library.stat().st_size if shared else 0)


class Header:
    """What the harness needs from the generated header."""

    def __init__(self, path, prefix, entry):
        self.text = pathlib.Path(path).read_text()
        self.function = f"{prefix}_{entry}"
        found = re.search(rf"^int {re.escape(self.function)}\((.*?)\);", self.text, re.M | re.S)
        if not found:
            raise CannotCompile(f"no function {self.function} in the header")
        self.parameters = [self.parameter(p.strip()) for p in found.group(1).split(",")]
        arena = re.search(rf"^#define {self.function.upper()}_ARENA_BYTES (\d+)", self.text, re.M)
        self.arena_bytes = int(arena.group(1)) if arena else 0

    @staticmethod
    def parameter(text):
        const = text.startswith("const ")
        text = text.removeprefix("const ")
        found = re.match(r"(.*?)(\*?)\s*(\w+)$", text)
        return dict(const=const, type=found.group(1).strip(), pointer=bool(found.group(2)), name=found.group(3))

    def leaves(self, struct):
        """(dotted name, dtype, shape) of each leaf in the order of the structure."""
        prefix, name = struct.split("_", 1)
        block = re.search(rf"#define {struct.upper()}_LEAVES\(X\) \\\n((?:.*\\\n)*.*\n)", self.text)
        rows = re.findall(r"X\(([\w.]+), ([\w ]+), \"\w+\", \d+, (\d+), \{([\d, ]+)\}\)", block.group(1))
        result = []
        for member, ctype, rank, shape in rows:
            dims = tuple(int(s) for s in shape.split(","))[:int(rank)]
            result.append((member, C_TYPES[ctype.strip()], dims))
        return result


def python_name(member):
    """`layers._0.w` in C is `layers.0.w` in a checkpoint."""
    return re.sub(r"(^|\.)_(\d+)", r"\1\2", member)


def leaf_value(tree, member):
    """The leaf's array; of a module array the layers are stacked, on the first number that stands in the checkpoint's names."""
    name = python_name(member)
    if name in tree:
        return tree[name]
    parts = name.split(".")
    for cut in range(1, len(parts)):
        head, tail = ".".join(parts[:cut]), ".".join(parts[cut:])
        layers = []
        while f"{head}.{len(layers)}.{tail}" in tree:
            layers.append(tree[f"{head}.{len(layers)}.{tail}"])
        if layers:
            return np.stack(layers)
    raise CannotCompile(f"no input for the leaf {member}")


def updated(named, key):
    """Where the leaf `key` of the inputs lies: a leaf of the structure, or one layer of a stacked one."""
    by_name = {python_name(m): a for m, a in named.items()}
    if key in by_name:
        return by_name[key]
    parts = key.split(".")
    for i, part in enumerate(parts):
        stacked = ".".join(parts[:i] + parts[i + 1:])
        if part.isdigit() and stacked in by_name:
            return by_name[stacked][int(part)]
    raise CannotCompile(f"no leaf for {key}")


def bits(array, dtype):
    """bf16 and f16 travel as 16-bit integers."""
    if array.dtype.itemsize == 2 and array.dtype.kind not in "iu" and dtype == np.uint16:
        return array.view(np.uint16)
    return array.astype(dtype) if array.dtype != dtype else array


def make_call(cls, arrays, info, want, threads=1):
    """-> (call, fetch): one call of the compiled function, and its results in the order of `reference`."""
    header = Header(info["header"], cls.name, cls.entry)
    library = ctypes.CDLL(str(info["library"]))
    function = getattr(library, header.function)
    keep, args, results, states, shapes = [], [], [], {}, [np.shape(w) for w in as_list(want)]
    for p in header.parameters:
        if p["type"] == "void" and p["name"] == "arena":
            buffer = aligned((max(header.arena_bytes, 64),), np.uint8)
            keep.append(buffer)
            args.append(ctypes.c_void_p(buffer.ctypes.data))
        elif p["name"] in arrays and not p["pointer"]:
            args.append(BY_VALUE[p["type"]](np.asarray(arrays[p["name"]]).item()))
        elif p["name"] in arrays and p["type"] in C_TYPES:
            array = aligned_copy(bits(arrays[p["name"]], C_TYPES[p["type"]]))
            keep.append(array)
            args.append(ctypes.c_void_p(array.ctypes.data))
            if p["name"] in cls.state:
                states[p["name"]] = [array]
        elif p["name"] in arrays:
            leaves = [aligned_copy(np.ascontiguousarray(bits(np.asarray(leaf_value(arrays[p["name"]], m)).reshape(shape), t))) for m, t, shape in header.leaves(p["type"])]
            table = (ctypes.c_void_p * len(leaves))(*[a.ctypes.data for a in leaves])
            keep += [leaves, table]
            args.append(ctypes.cast(table, ctypes.c_void_p))
            if p["name"] in cls.state:
                named = {m: a for (m, _, _), a in zip(header.leaves(p["type"]), leaves)}
                states[p["name"]] = [updated(named, key) for key in arrays[p["name"]]]
        elif p["type"] == "struct mx_exec" or p["type"].endswith("mx_exec"):
            args.append(executor(library, threads, keep))
        elif p["pointer"] and p["type"] in C_TYPES:
            array = aligned(shapes[len(results)], C_TYPES[p["type"]])
            results.append(array)
            keep.append(array)
            args.append(ctypes.c_void_p(array.ctypes.data))
        elif p["pointer"]:
            leaves = [aligned(shape, t) for _, t, shape in header.leaves(p["type"])]
            table = (ctypes.c_void_p * len(leaves))(*[a.ctypes.data for a in leaves])
            results += leaves
            keep.append(table)
            args.append(ctypes.cast(table, ctypes.c_void_p))
        else:
            raise CannotCompile(f"parameter {p['name']} of {header.function}: no value")
    ordered = [leaf for name in cls.state for leaf in states.get(name, [])]

    def call(function=function, args=tuple(args), keep=keep):  # the buffers live as long as the call
        function(*args)

    def fetch(keep=keep):
        return [a.view(ml_dtypes.bfloat16).astype(np.float32) if a.dtype == np.uint16 and cls.half == "bf16" else a.copy() for a in results + ordered]
    info["arena_bytes"] = header.arena_bytes
    return call, fetch


def executor(library, threads, keep):
    """The executor argument: a pool of so many threads, which lives as long as the call; a null pointer for one."""
    if threads == 1:
        return ctypes.c_void_p(None)
    library.mxrt_pool_new.restype = library.mxrt_pool_exec.restype = ctypes.c_void_p
    pool = ctypes.c_void_p(library.mxrt_pool_new(threads))
    if not pool.value:
        raise CannotCompile(f"no pool of {threads} threads")
    keep.append(pool)
    return ctypes.c_void_p(library.mxrt_pool_exec(pool))
