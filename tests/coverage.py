"""Prints the op x dtype x path table, from the cases that the tests run: python3 tests/coverage.py [irtool].

Each path names the test module whose covered() gives the (op, dtype) pairs it runs; a module that does not exist yet leaves its column empty.
A pair without a test has a reason here, and test_no_hole fails where it has none.
"""
import importlib
import pathlib
import subprocess
import sys

PATHS = {
    "interp": "test_ops_numpy", "C": "test_ops_c", "jvp": "test_transforms_rules", "vjp": "test_transforms_rules", "vjp.vjp": "test_transforms_rules",
    "vmap": "test_transforms_rules",
}
ALL = ["bool", "u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f16", "bf16", "f32", "f64", "c64"]
NOT_BOOL = "bool is refused: sums of bool are counted in an integer dtype"
REASONS = {
    "iota": lambda d: "counts in integers and real floats only" if d in ("bool", "c64") else None,
    "dimsize": lambda d: "a dimension is i32" if d != "i32" else None,
    "reduce_sum": lambda d: NOT_BOOL if d == "bool" else None, "reduce_prod": lambda d: NOT_BOOL if d == "bool" else None,
    "reduce_and": lambda d: "of bool only" if d != "bool" else None, "reduce_or": lambda d: "of bool only" if d != "bool" else None,
    "cumsum": lambda d: NOT_BOOL if d == "bool" else None, "cumprod": lambda d: NOT_BOOL if d == "bool" else None,
    "linrec": lambda d: NOT_BOOL if d == "bool" else None, "dot": lambda d: NOT_BOOL if d == "bool" else None,
    "conv": lambda d: NOT_BOOL if d == "bool" else None, "fold": lambda d: NOT_BOOL if d == "bool" else None,
    "cumlogsumexp": lambda d: "integers have no exponential" if d in ALL[:9] else None,
    "fft": lambda d: "of c64 only" if d != "c64" else None, "irfft": lambda d: "of c64 only" if d != "c64" else None,
    "rfft": lambda d: "of f32 only" if d != "f32" else None,
    **{op: lambda d: "matrices are f32 or f64" if d not in ("f32", "f64") else None for op in ("cholesky", "trisolve", "lu")},
    "rng_bits": lambda d: "words of 1, 2, 4 bytes" if d not in ("u8", "u16", "u32") else None,
}


def reason(op, d, path="interp"):
    own = REASONS.get(op, lambda d: None)(d)
    if own or path in ("interp", "C"):
        return own
    return importlib.import_module(PATHS[path]).reason(path, op, d)


def covered(path, table):
    """The pairs of a path. A module's covered() may take the path's name."""
    try:
        module = importlib.import_module(PATHS[path])
    except ImportError:
        return set()
    if not hasattr(module, "covered"):
        return set()
    pairs = set(module.covered() if path == "interp" else module.covered(path))
    return pairs | ({(op, d) for op, (e, ds, _) in table.items() if e for d in ds} if path in ("interp", "C") else set())


def main():
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import op_kit
    irtool = sys.argv[1] if len(sys.argv) > 1 else str(pathlib.Path(__file__).resolve().parent.parent / "build/irtool")
    table = op_kit.op_table(irtool)
    have = {p: covered(p, table) for p in PATHS}
    print(f"{'op':15}{'path':9}" + "".join(f"{d:>5}" for d in ALL))
    for op, (elementwise, dtypes, _) in table.items():
        for p in PATHS:
            marks = ["x" if (op, d) in have[p] else "-" if (elementwise and d not in dtypes) or reason(op, d, p) else "." for d in ALL]
            if "x" in marks:
                print(f"{op:15}{p:9}" + "".join(f"{m:>5}" for m in marks))
    for p in PATHS:
        print(f"{p}: {len(have[p])} pairs of op and dtype")
    print("x tested, - not taken (reason in the row or in tests/coverage.py), . not tested")


if __name__ == "__main__":
    main()
