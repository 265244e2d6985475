"""Runs a compiled function over many sizes with an inaccessible page right behind (or before) every operand, in a process of its own:
python3 vector_guard.py LIB.so INPUTS.npz OUTPUTS.npz before|behind. Inputs are named N_k, result shapes come as N_shape_k and N_dtype_k."""
import ctypes
import mmap
import sys
import numpy as np

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Guarded:
    def __init__(self, nbytes, place):
        pages = max(1, -(-nbytes // PAGE))
        self.size = (pages + 2) * PAGE
        self.base = libc.mmap(None, self.size, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        libc.mprotect(self.base, PAGE, 0)
        libc.mprotect(self.base + PAGE + pages * PAGE, PAGE, 0)
        self.at = self.base + PAGE + (pages * PAGE - nbytes if place == "behind" else 0)
        self.nbytes = nbytes

    def put(self, a):
        ctypes.memmove(self.at, a.ctypes.data, a.nbytes)
        return self

    def get(self, dtype, shape):
        return np.frombuffer(ctypes.string_at(self.at, self.nbytes), dtype).reshape(shape)

    def free(self):
        libc.munmap(self.base, self.size)


def main(lib, inputs, outputs, place):
    lib, data, out = ctypes.CDLL(lib), np.load(inputs), {}
    lib.t_f_arena_bytes.restype = ctypes.c_size_t
    for n in data["sizes"].tolist():
        args = [Guarded(data[f"{n}_{k}"].nbytes, place).put(data[f"{n}_{k}"]) for k in range(int(data["inputs"]))]
        shapes = [(str(data[f"dtype_{k}"]), tuple(data[f"{n}_shape_{k}"])) for k in range(int(data["results"]))]
        got = [Guarded(int(np.prod(s)) * np.dtype(d).itemsize, place) for d, s in shapes]
        room = np.empty(lib.t_f_arena_bytes(ctypes.c_ssize_t(n)) + 64, np.uint8)
        at = room.ctypes.data + -room.ctypes.data % 64
        code = lib.t_f(*[ctypes.c_void_p(g.at) for g in args + got], ctypes.c_ssize_t(n), ctypes.c_void_p(at))
        assert code == 0, code
        for k, (d, s) in enumerate(shapes):
            out[f"{n}_{k}"] = got[k].get(d, s)
        for g in args + got:
            g.free()
    np.savez(outputs, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
