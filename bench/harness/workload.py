"""What a workload is, and where all of them are found.

A workload is a class in bench/workloads/*.py (or bench/embedded/*.py) marked `@workload`. The class's name is the workload's, NAME.mx beside
it is the program that mlxcc compiles. Its members:

  title              one line for the table
  inputs(rng)        name -> array, the names and order of the program's parameters; a dict stands for a module's parameters by dotted name
  weights            names of the inputs that are constants of the model: baked by every peer that can
  baked              those of them that mlxcc writes into the C as constants (default: all); the others it gets by pointer at each call
  state              names of the inputs that the program updates in place; their new values follow the results
  reference(**in)    the results from float64 arrays, in NumPy
  tolerance          largest error allowed, relative to the largest reference value of the same result
  flops, bytes, exps least work: floating-point operations of dots, bytes that must move, transcendental functions
  numpy, torch, jax, mlx, onnx, ggml    the peer's version: f(library, *arrays); `onnx` gets a graph builder (onnx_graph.Graph)
  NAME_in, NAME_out  where a peer has another layout: arrays -> arrays before, results -> results after
  canonical(results) where results are only equal after some sorting
  NAME_build         instead of NAME where a plain function will not do: (library, arrays, ...) -> (call, fetch)
  skip               peer -> reason why it is not run
"""
import importlib.util
import pathlib
import sys
import numpy as np

BENCH = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = {"workloads": BENCH / "workloads", "embedded": BENCH / "embedded"}
REGISTRY = {}


def workload(cls):
    """Registers a class; the .mx file has its name unless it names another."""
    folder = pathlib.Path(sys.modules[cls.__module__].__file__).parent
    defaults = dict(weights=(), state=(), tolerance=2e-4, flops=0, bytes=0, exps=0, footprint=None, skip={}, entry="main", half="bf16", mlxcc_flags=(), kind=folder.name)
    for key, value in defaults.items():
        if not hasattr(cls, key):
            setattr(cls, key, value)
    if not hasattr(cls, "baked"):
        cls.baked = cls.weights
    cls.name = getattr(cls, "name", cls.__name__)
    if not hasattr(cls, "mx"):
        cls.mx = folder / f"{cls.name}.mx"
    REGISTRY[cls.name] = cls
    return cls


def load_file(kind, path):
    spec = importlib.util.spec_from_file_location(f"bench_{kind}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def load_all(kinds=("workloads", "embedded")):
    """Imports every description, in a fixed order."""
    for kind in kinds:
        for path in sorted(FOLDERS[kind].glob("*.py")):
            load_file(kind, path)
    return REGISTRY


def find(name):
    """One workload, without importing more descriptions than needed."""
    for kind, folder in FOLDERS.items():
        for path in sorted(folder.glob("*.py")):
            if name in REGISTRY:
                return REGISTRY[name]
            load_file(kind, path)
    return REGISTRY[name]


def make_inputs(cls):
    """The same arrays in every process: the seed is made of the name."""
    seed = int.from_bytes(cls.name.encode(), "little") % (2**63)
    return cls.inputs(np.random.default_rng(seed))


def normal(rng, *shape, scale=1.0, dtype=np.float32):
    return (rng.standard_normal(shape) * scale).astype(dtype)


def widen(value):
    """Float arrays to float64, through dicts; the others as they are."""
    if isinstance(value, dict):
        return {k: widen(v) for k, v in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "c":
        return value.astype(np.complex128)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "iub":
        return value.astype(np.float64)
    return value


def as_list(results):
    return list(results) if isinstance(results, (tuple, list)) else [results]


def largest_error(got, want):
    """Over all results: |got - want| against the largest |want|; inf where shapes differ or a nan appears."""
    worst = 0.0
    if len(got) != len(want):
        return float("inf"), f"{len(got)} results, {len(want)} wanted"
    for i, (g, w) in enumerate(zip(got, want)):
        g, w = np.asarray(g), np.asarray(w)
        if g.size != w.size:
            return float("inf"), f"result {i} has shape {g.shape}, {w.shape} wanted"
        wide = np.complex128 if w.dtype.kind == "c" else np.float64
        g, w = g.reshape(w.shape).astype(wide), w.astype(wide)
        error = float(np.max(np.abs(g - w), initial=0.0)) / max(float(np.max(np.abs(w), initial=0.0)), 1e-30)
        if not np.isfinite(error):
            return float("inf"), f"result {i} is not finite"
        worst = max(worst, error)
    return worst, ""
