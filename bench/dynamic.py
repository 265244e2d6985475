"""What run-time dimensions cost: workloads compiled once as they are and once with their sizes made dimensions, timed in turns in one process.

    MLXCC_BUILD=build python3 bench/dynamic.py [--cc gcc] [--rounds 7] [NAME ...]

Prints for each workload the static time, the dynamic one and their ratio (minima over the rounds), and, where a size is also declared as a common value
(`dim B in 1..N with {size}`), the ratio of the specialised copy. Weights are by pointer in all of them. Exit status 1 where a ratio is above --limit.
"""
import argparse
import ctypes
import pathlib
import sys
import tempfile
import time
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness.mlxcc import C_FLAGS, Header, aligned, build_dir, run_tool  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
# workload: what to replace in its text (old, new), the dimensions' values in order of their first appearance
CASES = {
    "softmax": ([("4096, 1024", "B, C")], dict(B=4096, C=1024)),
    "layer_norm": ([("4096, 1024", "B, C"), ("[1024]", "[C]")], dict(B=4096, C=1024)),
    "rms_norm": ([("4096, 1024", "B, C"), ("[1024]", "[C]")], dict(B=4096, C=1024)),
    "sum_all": ([("4096, 4096", "M, N")], dict(M=4096, N=4096)),
    "sum_axis0": ([("4096, 4096", "M, N"), ("f32[4096]", "f32[N]")], dict(M=4096, N=4096)),
    "sum_axis1": ([("4096, 4096", "M, N"), ("f32[4096]", "f32[M]")], dict(M=4096, N=4096)),
    "logsumexp": ([("4096, 4096", "M, N"), ("f32[4096]", "f32[M]")], dict(M=4096, N=4096)),
    "ew_chain": ([("const N = 4 * 1024 * 1024;", "")], dict(N=4 << 20)),
    "matmul_512": ([("a: f32[512, 512]", "a: f32[M, K]"), ("b: f32[512, 512]", "b: f32[K, N]"), ("-> f32[512, 512]", "-> f32[M, N]")], dict(M=512, K=512, N=512)),
    "matmul_127": ([("a: f32[127, 127]", "a: f32[M, K]"), ("b: f32[127, 127]", "b: f32[K, N]"), ("-> f32[127, 127]", "-> f32[M, N]")], dict(M=127, K=127, N=127)),
    "gemv": ([("4096, 4096", "M, K"), ("b: f32[4096]", "b: f32[K]"), ("-> f32[4096]", "-> f32[M]")], dict(M=4096, K=4096)),
    "conv_3x3": ([("1, 56, 56, 64", "B, H, W, 64")], dict(B=1, H=56, W=56)),
    "conv_batch": ([("1, 56, 56, 64", "B, 56, 56, 64")], dict(B=1)),
    "linear_gelu": ([("[128, ", "[B, ")], dict(B=128)),
    "encoder_b1": ([("f32[1, 128, D]", "f32[B, T, D]")], dict(B=1, T=128)),
    "lstm": ([("[1, 100, ", "[1, T, ")], dict(T=100)),
    "lstm_batch": ([("[1, 100, ", "[B, T, ")], dict(B=1, T=100)),
    "vmap_grad": ([("10000", "N")], dict(N=10000)),
}
SAME_FILE = {"lstm_batch": "lstm", "conv_batch": "conv_3x3"}


def program(name, common=False):
    """(static text, dynamic text): common: the values are declared ones."""
    text = (HERE / "workloads" / f"{SAME_FILE.get(name, name)}.mx").read_text()
    changes, dims = CASES[name]
    dynamic = text
    for old, new in changes:
        if old not in dynamic:
            raise SystemExit(f"{name}: `{old}` is not in the workload any more")
        dynamic = dynamic.replace(old, new)
    if common:
        dynamic += "".join(f"dim {k} in 1..{2 * v} with {{{v}}};\n" for k, v in dims.items())
    return text, dynamic


class Compiled:
    """One build of a workload; its arguments are random, shared by shape with the other builds through `pool`."""

    def __init__(self, text, name, folder, cc, dims, pool, build=None, flags=()):
        self.stem = name
        source = folder / f"{name}.mx"
        source.write_text(text)
        run_tool([str(build_dir(build) / "mlxcc"), str(source), "-o", str(folder / f"{name}.c"), f"--prefix={name}", *flags])
        run_tool([cc, *C_FLAGS, "-fPIC", "-shared", "-o", str(folder / f"{name}.so"), str(folder / f"{name}.c"), "-lm"])
        self.header = Header(folder / f"{name}.h", name, "main")
        self.library = ctypes.CDLL(str(folder / f"{name}.so"))
        self.function = getattr(self.library, self.header.function)
        self.args, self.keep, self.dims = [], [], dims
        self.own = [p["name"] for p in self.header.parameters if p["type"] == "ptrdiff_t"]
        self.fill(pool)

    def arena(self):
        size = getattr(self.library, f"{self.header.function}_arena_bytes")
        size.restype = ctypes.c_size_t
        return aligned((max(size(*[ctypes.c_ssize_t(self.dims[d]) for d in self.own]), 64),), np.uint8)

    def fill(self, pool):
        for p in self.header.parameters:
            if p["type"] == "ptrdiff_t":
                self.args.append(ctypes.c_ssize_t(self.dims[p["name"]]))
            elif p["type"] == "void":
                self.keep.append(self.arena())
                self.args.append(ctypes.c_void_p(self.keep[-1].ctypes.data))
            elif p["type"] == "float":
                self.args.append(ctypes.c_void_p(pool[p["name"]].ctypes.data))
            else:
                leaves = [pool.setdefault((p["name"], m), random(shape)) for m, _, shape in self.header.leaves(p["type"])]
                self.keep.append((ctypes.c_void_p * len(leaves))(*[a.ctypes.data for a in leaves]))
                self.args.append(ctypes.byref(self.keep[-1]))

    def __call__(self):
        if self.function(*self.args):
            raise SystemExit(f"{self.stem}: the entry refuses its dimensions")


def random(shape):
    a = aligned(shape, np.float32)
    a[...] = np.random.default_rng(abs(hash(shape)) % 1000).normal(size=shape, scale=0.3)
    return a


def shapes(text, dims, constants):
    """name -> shape of the entry's plain arguments and results."""
    import re
    head = re.search(r"export fn main\((.*?)\) -> (.*?) \{", text, re.S)
    found = dict(re.findall(r"(\w+): f32\[([^\]]*)\]", head[1] + ", " + head[2]))
    if not re.search(r"\(", head[2]):
        found["out"] = re.search(r"f32\[([^\]]*)\]", head[2])[1] if "[" in head[2] else ""
    return {k: tuple(int(eval(e, {}, {**constants, **dims})) for e in v.split(",") if e.strip()) for k, v in found.items()}


def measure(calls, rounds, seconds):
    best = [float("inf")] * len(calls)
    for call in calls:
        call()
    for r in range(rounds):
        for i in list(range(len(calls)))[:: 1 if r % 2 else -1]:
            calls[i]()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                start = time.perf_counter()
                calls[i]()
                best[i] = min(best[i], time.perf_counter() - start)
    return best


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    p.add_argument("--cc", default="gcc")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=0.05, help="of one turn")
    p.add_argument("--limit", type=float, default=1.05)
    o = p.parse_args()
    over = False
    print(f"{'workload':14s} {'static ms':>10s} {'dynamic':>8s} {'with':>8s}")
    for name in o.names or CASES:
        dims = CASES[name][1]
        with tempfile.TemporaryDirectory() as t:
            folder, pool = pathlib.Path(t), {}
            plain, dynamic = program(name)
            pool.update({k: random(s) for k, s in shapes(dynamic, dims, dict(D=384)).items()})
            builds = [(plain, "fixed"), (dynamic, "dynamic"), (program(name, True)[1], "common")]
            calls = [Compiled(text, f"{name}_{kind}", folder, o.cc, dims, pool) for text, kind in builds]
            best = measure(calls, o.rounds, o.seconds)
        ratio = [b / best[0] for b in best]
        over |= max(ratio[1:]) > o.limit
        print(f"{name:14s} {best[0] * 1e3:10.4g} {ratio[1]:8.3f} {ratio[2]:8.3f}", flush=True)
    return over


if __name__ == "__main__":
    sys.exit(main())
