"""Programs in IR text compiled to C by mlxcc, built as a shared library by the system's compiler, and called."""
import ctypes
import pathlib
import re
import subprocess
import tempfile
import numpy as np
from op_kit import BF16

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


class C64(ctypes.Structure):
    _fields_ = [("re", ctypes.c_float), ("im", ctypes.c_float)]


BY_VALUE = {"b1": ctypes.c_bool, "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64, "i1": ctypes.c_int8, "i2": ctypes.c_int16,
            "i4": ctypes.c_int32, "i8": ctypes.c_int64, "f2": ctypes.c_uint16, "f4": ctypes.c_float, "f8": ctypes.c_double}


def argument(x):
    """An input as the C function takes it: scalars by value, f16 and bf16 as their bits."""
    if x.ndim:
        return ctypes.c_void_p(x.ctypes.data)
    if x.dtype == np.complex64:
        return C64(float(x.real), float(x.imag))
    if x.dtype == BF16 or x.dtype == np.float16:
        return ctypes.c_uint16(int(x.reshape(1).view("u2")[0]))
    return BY_VALUE[x.dtype.str[1:]](x.item())


def exported(text, inputs, results):
    """The text of @f with an export header."""
    head = ["  export"] + [f'  param {k} "p{k}"' for k in range(inputs)] + [f'  result {k} "r{k}"' for k in range(results)]
    return re.sub(r"(func @f\(.*\) -> \(.*\)) \{", lambda m: m[1] + "\n" + "\n".join(head) + "\n{", text, count=1)


def build(mlxcc, text, folder, flags=("-O1",), cc="gcc", options=()):
    """Compiles an IR text; the library, or raises with the compiler's words."""
    folder = pathlib.Path(folder)
    (folder / "f.ir").write_text(text)
    done = subprocess.run([mlxcc, str(folder / "f.ir"), "-o", str(folder / "f.c"), "--fma=off", *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[:3000]
    done = subprocess.run([cc, "-std=c99", "-ffp-contract=off", *flags, "-shared", "-fPIC", "-o", str(folder / "f.so"), str(folder / "f.c"), "-lm"], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(folder / "f.so"))


def run(mlxcc, program, flags=("-O1",), cc="gcc", options=()):
    """The results of a program as compiled C."""
    with tempfile.TemporaryDirectory() as t:
        lib = build(mlxcc, exported(program.text, len(program.inputs), len(program.expected)), t, flags, cc, options)
        header = (pathlib.Path(t) / "f.h").read_text()
        name = re.search(r"\bint (\w+)\(", header)[1]
        arena = int(re.search(r"_ARENA_BYTES (\d+)", header)[1])
        out = [np.full(max(e.nbytes, 1) + 16, 0xA5, np.uint8) for e in program.expected]
        room = np.full(arena + 64, 0x5A, np.uint8)
        place = room.ctypes.data + -room.ctypes.data % 64
        keep = [np.ascontiguousarray(x) if x.ndim else x for x in program.inputs]
        code = getattr(lib, name)(*map(argument, keep), *[ctypes.c_void_p(o.ctypes.data) for o in out], ctypes.c_void_p(place))
        assert code == 0, f"returned {code}"
        for k, (o, e) in enumerate(zip(out, program.expected)):
            assert (o[e.nbytes:e.nbytes + 16] == 0xA5).all(), f"result {k} is written beyond its end"
        return [o[:e.nbytes].view(e.dtype).reshape(e.shape).copy() for o, e in zip(out, program.expected)]
