"""The machine's limits, measured: sgemm peak, multiply-add peak, exp per second, triad and read bandwidth by footprint, for 1 and 2 threads.

A workload's limit is max(flops / best sgemm rate, bytes / bandwidth at its footprint, exps / exp rate). The sgemm rate is the best of NumPy's OpenBLAS
and torch's MKL at 2048^3 in this run; bandwidth is the better of triad and reading at the next measured footprint.
"""
import ctypes
import subprocess
import threading
import time
import os
import numpy as np
from .workload import BENCH

FOOTPRINTS_KB = [256, 1024, 4096, 16384, 65536, 262144]
FIELDS = "fma exp triad read".split()


def load(folder):
    library = folder / "limits.so"
    subprocess.run(["gcc", "-O2", "-march=native", "-fPIC", "-shared", "-o", str(library), str(BENCH / "harness" / "limits.c"), "-lm"], check=True)
    lib = ctypes.CDLL(str(library))
    for name in FIELDS:
        getattr(lib, f"limit_{name}").restype = ctypes.c_double
    return lib


def together(cpus, f):
    """Runs f(i) on each CPU at once; the sum of what they return."""
    results = [0.0] * len(cpus)

    def run(i):
        os.sched_setaffinity(0, [cpus[i]])
        results[i] = f(i)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(cpus))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(results)


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def sgemm(cpus):
    """Best of NumPy's OpenBLAS and, where it is installed, torch."""
    code = ("import os,sys,time;c=[int(i) for i in sys.argv[1].split(',')];os.sched_setaffinity(0,c)\n"
            "import importlib.util as u\nn=2048;best={}\n"
            "def rate(f):\n f();b=9e9\n for _ in range(8):\n  s=time.perf_counter();f();b=min(b,time.perf_counter()-s)\n return 2*n**3/b\n"
            "import numpy as np\na=np.random.rand(n,n).astype('f');o=np.empty_like(a);best['OpenBLAS']=rate(lambda:np.matmul(a,a,out=o))\n"
            "if u.find_spec('torch'):\n import torch;torch.set_num_threads(len(c));t=torch.from_numpy(a);w=torch.empty_like(t)\n best['MKL']=rate(lambda:torch.mm(t,t,out=w))\n"
            "import json;print(json.dumps(best))")
    import json
    import sys
    env = dict(os.environ, OPENBLAS_NUM_THREADS=str(len(cpus)), OMP_NUM_THREADS=str(len(cpus)), CUDA_VISIBLE_DEVICES="")
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    done = subprocess.run([sys.executable, "-c", code, ",".join(map(str, cpus))], env=env, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def measure(folder, cpu_sets, seconds=0.2):
    """-> {threads: {"sgemm": {...}, "fma": .., "exp": .., "triad": {KB: ..}, "read": {KB: ..}}}."""
    lib = load(folder)
    result = {}
    saved = os.sched_getaffinity(0)
    for cpus in cpu_sets:
        count = len(cpus)
        t = ctypes.c_double(seconds)
        row = {"sgemm": sgemm(cpus)}
        row["fma"] = together(cpus, lambda i: lib.limit_fma(t, ctypes.c_float(1.0)))
        small = [np.random.rand(2048).astype(np.float32) for _ in cpus]
        row["exp"] = together(cpus, lambda i: lib.limit_exp(t, pointer(small[i]), ctypes.c_size_t(2048)))
        row["triad"], row["read"] = {}, {}
        for kb in FOOTPRINTS_KB:
            n = kb * 1024 // 4 // count
            arrays = [np.ones(n, np.float32) for _ in cpus]
            third = n // 3
            row["read"][str(kb)] = together(cpus, lambda i: lib.limit_read(t, pointer(arrays[i]), ctypes.c_size_t(n)))
            row["triad"][str(kb)] = together(cpus, lambda i: lib.limit_triad(t, pointer(arrays[i]), pointer(arrays[i][third:]), pointer(arrays[i][2 * third:]), ctypes.c_size_t(third)))
        result[str(count)] = row
    os.sched_setaffinity(0, saved)
    return result


def merge(old, new):
    """The larger of each figure: other work on the machine only makes them smaller."""
    if isinstance(new, dict):
        return {k: merge(old.get(k, {} if isinstance(new.get(k), dict) else 0), new[k]) if k in new else old[k] for k in {**old, **new}}
    return max(old, new)


def bandwidth(row, footprint):
    """Bytes per second at the smallest measured footprint that holds `footprint` bytes."""
    for kb in FOOTPRINTS_KB:
        if footprint <= kb * 1024:
            break
    return max(row["triad"][str(kb)], row["read"][str(kb)])


def limit_seconds(cls, row):
    """-> (seconds, what bounds it)."""
    bounds = {"memory": cls.bytes / bandwidth(row, cls.footprint or cls.bytes)}
    if cls.flops:
        bounds["sgemm"] = cls.flops / max(row["sgemm"].values(), default=row["fma"])
    if cls.exps:
        bounds["exp"] = cls.exps / row["exp"]
    what = max(bounds, key=bounds.get)
    return bounds[what], what
