"""Programs in IR text compiled to C by mlxcc, built as a shared library by the system's compiler, and called.

tools/test_paths.sh runs the same tests with every compiler, level and width: MLXCC_PATH="clang -O3 -march=x86-64-v3" replaces what a test asks for, MLXCC_RUNNER="qemu-aarch64 -L .." runs the code as
an executable, MLXCC_FMA=on leaves contraction on."""
import ctypes
import os
import pathlib
import re
import subprocess
import tempfile
import numpy as np
from op_kit import BF16

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


class C64(ctypes.Structure):
    _fields_ = [("re", ctypes.c_float), ("im", ctypes.c_float)]


PATH, RUNNER, FUSED = os.environ.get("MLXCC_PATH", "").split(), os.environ.get("MLXCC_RUNNER", "").split(), os.environ.get("MLXCC_FMA") == "on"
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


def compiler(cc, flags):
    """The command that compiles C as a test asks, or as MLXCC_PATH says."""
    return [PATH[0], "-std=c99", "-ffp-contract=off", *PATH[1:]] if PATH else [cc, "-std=c99", "-ffp-contract=off", *flags]


def emit(mlxcc, text, folder, options):
    (folder / "f.ir").write_text(text)
    done = subprocess.run([mlxcc, str(folder / "f.ir"), "-o", str(folder / "f.c"), *([] if FUSED else ["--fma=off"]), *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[:3000]


def build(mlxcc, text, folder, flags=("-O1",), cc="gcc", options=()):
    """Compiles an IR text; the library, or raises with the compiler's words."""
    folder = pathlib.Path(folder)
    emit(mlxcc, text, folder, options)
    done = subprocess.run([*compiler(cc, flags), "-shared", "-fPIC", "-o", str(folder / "f.so"), str(folder / "f.c"), "-lm"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(folder / "f.so"))


MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *room(size_t n) { char *p = (char *)malloc(n + 128); if (!p) exit(93); return p + (64 - (size_t)p % 64); }
static void *in(size_t n) { void *p = room(n); if (fread(p, 1, n, stdin) != n) exit(91); return p; }
static void *out(size_t n) { void *p = room(n + 16); memset(p, 0xA5, n + 16); return p; }
int main(void)
{
"""


def run_elsewhere(mlxcc, program, folder, options):
    """The same through an executable that reads operands from standard input and writes results and what lies behind them to standard output."""
    emit(mlxcc, exported(program.text, len(program.inputs), len(program.expected)), folder, options)
    header = (folder / "f.h").read_text()
    name, params = re.search(r"\bint (\w+)\(([^;]*)\)", header).groups()
    ctype, arena = params.split(","), re.search(r"_ARENA_BYTES (\d+)", header)[1]
    lines, args, data = [], [], b""
    for k, x in enumerate(program.inputs):
        data += np.ascontiguousarray(x).tobytes()
        lines.append(f"\tvoid *i{k} = in({x.nbytes});\n")
        args.append(f"i{k}" if x.ndim else f"*({ctype[k].rsplit(' ', 1)[0].strip()} *)i{k}")
    for k, e in enumerate(program.expected):
        lines.append(f"\tvoid *o{k} = out({max(e.nbytes, 1)});\n")
        args.append(f"o{k}")
    lines.append(f"\tint code = {name}({', '.join(args)}, room({arena}));\n\tif (code) return 1;\n")
    lines += [f"\tfwrite(o{k}, 1, {max(e.nbytes, 1) + 16}, stdout);\n" for k, e in enumerate(program.expected)]
    text = (folder / "f.c").read_text() + MAIN + "".join(lines) + "\treturn fflush(stdout) ? 1 : 0;\n}\n"
    (folder / "main.c").write_text(text)
    done = subprocess.run([*compiler("gcc", ()), "-I", str(folder), "-o", str(folder / "x"), str(folder / "main.c"), "-lm"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[:3000]
    done = subprocess.run([*RUNNER, str(folder / "x")], input=data, capture_output=True, timeout=300)
    assert done.returncode == 0, f"ended with {done.returncode} {done.stderr[:1000]}"
    results, at = [], 0
    for k, e in enumerate(program.expected):
        raw = np.frombuffer(done.stdout, np.uint8, max(e.nbytes, 1) + 16, at)
        at += raw.size
        assert (raw[e.nbytes:e.nbytes + 16] == 0xA5).all(), f"result {k} is written beyond its end"
        results.append(raw[:e.nbytes].copy().view(e.dtype).reshape(e.shape))
    return results


def run(mlxcc, program, flags=("-O1",), cc="gcc", options=()):
    """The results of a program as compiled C."""
    with tempfile.TemporaryDirectory() as t:
        if RUNNER:
            return run_elsewhere(mlxcc, program, pathlib.Path(t), options)
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
