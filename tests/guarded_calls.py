"""Calls functions kernel0, kernel1, ... of a compiled library with every operand, and the arena, right before an inaccessible page, in a process of its own:
python3 guarded_calls.py LIB.so INPUTS.npz OUTPUTS.npz. Inputs are named N_k; result shapes and dtypes come as N_shape, N_dtype."""
import ctypes
import sys
import numpy as np
from vector_guard import Guarded


def main(lib, inputs, outputs):
    lib, data, out = ctypes.CDLL(lib), np.load(inputs), {}
    for n in range(int(data["calls"])):
        args, k = [], 0
        while f"{n}_{k}" in data.files:
            args.append(Guarded(data[f"{n}_{k}"].nbytes, "behind").put(data[f"{n}_{k}"]))
            k += 1
        shape, dtype = tuple(data[f"{n}_shape"]), str(data[f"{n}_dtype"])
        result = Guarded(int(np.prod(shape)) * np.dtype(dtype).itemsize, "behind")
        room = getattr(lib, f"t_kernel{n}_arena_bytes")
        room.restype = ctypes.c_size_t
        arena = Guarded(-(-(room() or 1) // 64) * 64, "behind")
        assert getattr(lib, f"t_kernel{n}")(*[ctypes.c_void_p(g.at) for g in [*args, result, arena]]) == 0
        out[str(n)] = result.get(dtype, shape)
        for g in [*args, result, arena]:
            g.free()
    np.savez(outputs, **out)


if __name__ == "__main__":
    main(*sys.argv[1:])
