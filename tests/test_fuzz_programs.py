"""Random well-typed programs (tests/fuzz/programs.py): the emitted C gives the interpreter's results bit for bit, at -O0 and at -O3.

A normal run takes 400 programs; MLXCC_FULL=1 takes 10,000. Any program can be run alone: python3 tests/fuzz/programs.py SEED 100 > p.mx; mlxcc verify p.mx
"""
import os
import subprocess
import sys
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "fuzz"))
import programs  # noqa: E402

COUNT = 100
SEEDS = range(1, 101 if os.environ.get("MLXCC_FULL") == "1" else 5)
# Seeds that once found a fault stay: 3 (a loop variable named like a parameter), 4 (a result computed in place over a value that moved there), 27 (gcc's reads at -1),
# 59 (a comparison of bools lane by lane beside f64), 88 (a call's result over its argument).
KEPT = [3, 4, 27, 59, 88]


@pytest.mark.parametrize("seed", sorted({*SEEDS, *KEPT}))
def test_interpreter_and_c_agree(mlxcc, tmp_path, seed):
    source = tmp_path / f"programs{seed}.mx"
    source.write_text(programs.programs(seed, COUNT))
    for cc in [os.environ["MLXCC_PATH"]] if os.environ.get("MLXCC_PATH") else ["gcc -O0", "gcc -O3"]:
        r = subprocess.run([mlxcc, "verify", str(source)], capture_output=True, text=True, timeout=600, env={**os.environ, "CC": cc})
        assert r.returncode == 0, f"{cc}\n{r.stderr[-3000:]}{r.stdout[-500:]}"
        exact = r.stdout.count("largest difference 0.0e+00")
        assert exact == COUNT, f"{cc}: {COUNT - exact} programs differ\n" + "\n".join(x for x in r.stdout.splitlines() if x.startswith("ok") and "0.0e+00" not in x)


def test_c_has_no_undefined_behaviour(mlxcc, tmp_path):
    source = tmp_path / "programs.mx"
    source.write_text(programs.programs(1001, COUNT))
    env = {**os.environ, "CC": "gcc -O1 -fsanitize=undefined -fno-sanitize-recover=all"}
    r = subprocess.run([mlxcc, "verify", str(source)], capture_output=True, text=True, timeout=600, env=env)
    assert r.returncode == 0 and f"{COUNT} verified, 0 failed" in r.stdout, r.stderr[-3000:] + r.stdout[-500:]


KERNELS_OVER_ONE_BUFFER = """dim N in 1..6;
export fn f(x: i8[N, 4, 5]) {
  let s = sum(flip(x, axis=2), axis=0, keepdims=true);
  return s * s, s;
}
"""


def test_kernels_that_share_memory_at_o3(mlxcc, tmp_path):
    """One kernel writes what the next reads, both through restrict parameters: gcc 12 gets it wrong when it inlines both."""
    (tmp_path / "shared.mx").write_text(KERNELS_OVER_ONE_BUFFER)
    r = subprocess.run([mlxcc, "verify", str(tmp_path / "shared.mx"), "--trials=20"], capture_output=True, text=True, env={**os.environ, "CC": "gcc -O3"})
    assert r.returncode == 0, r.stderr


INDEXED_BY_BOOL = """dim N in 1..64;
export fn f(table: f32[3], x: f32[N], y: f32[N]) { return table[(x <= y).astype(i32)], table[(x <= y).astype(i32) + 1]; }
"""


def test_index_made_of_a_comparison_at_o3(mlxcc, tmp_path):
    """gcc 12 vectorises table[a <= b] to reads at 0 and -1."""
    (tmp_path / "by_bool.mx").write_text(INDEXED_BY_BOOL)
    r = subprocess.run([mlxcc, "verify", str(tmp_path / "by_bool.mx"), "--trials=20"], capture_output=True, text=True, env={**os.environ, "CC": "gcc -O3"})
    assert r.returncode == 0, r.stderr


RESULT_OVER_ARGUMENT = """export fn f(p: f32[5]) {
  let g = |t| { var h = t; for i in 0..3 { h = softmax(h + t, axis=-1); } return sum(h * h); };
  return jacobian(grad(g))(p)[0];
}
"""


def test_a_call_does_not_write_over_what_it_reads(mlxcc, tmp_path):
    """A carry that a function both reads and computes: the function may write its result before it has read all of its arguments."""
    (tmp_path / "carry.mx").write_text(RESULT_OVER_ARGUMENT)
    r = subprocess.run([mlxcc, "verify", str(tmp_path / "carry.mx"), "--skip=inline"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


def test_a_forward_function_that_gives_only_what_it_kept(mlxcc, tmp_path):
    """Where dce leaves a forward function its residual alone, that is not the value of the function that it was made from."""
    (tmp_path / "kept.mx").write_text("export fn f(p: f32[3]) { return grad(|u| sum(grad(|t| sum(tanh(t)))(u)))(p); }\n")
    r = subprocess.run([mlxcc, "verify", str(tmp_path / "kept.mx"), "--skip=inline"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("seed", range(121, 141) if os.environ.get("MLXCC_FULL") == "1" else [121])
def test_functions_that_stay_functions(mlxcc, tmp_path, seed):
    """Without inlining: derivatives as functions of their own, calls inside loops and branches."""
    source = tmp_path / f"programs{seed}.mx"
    source.write_text(programs.programs(seed, COUNT))
    r = subprocess.run([mlxcc, "verify", str(source), "--skip=inline"], capture_output=True, text=True, timeout=600, env={**os.environ, "CC": "gcc -O1"})
    assert r.returncode == 0 and r.stdout.count("largest difference 0.0e+00") == COUNT, r.stderr[-3000:] + r.stdout[-500:]


BOOLS_BESIDE_F64 = """dim N in 1..40;
export fn f(x: f64[N], y: f64[N]) { let b = x <= y; return where(b > b.flip(axis=0), x, y), where(b > b, x, 1 / y); }
"""


@pytest.mark.parametrize("flags", ["-O2", "-O2 -march=x86-64-v3", "-O2 -DMLXCC_SCALAR"])
def test_comparisons_of_bools_beside_f64(mlxcc, tmp_path, flags):
    """What has no vector routine is computed lane by lane; its mask has 64 bits a lane there."""
    (tmp_path / "bools.mx").write_text(BOOLS_BESIDE_F64)
    r = subprocess.run([mlxcc, "verify", str(tmp_path / "bools.mx"), "--trials=10"], capture_output=True, text=True, env={**os.environ, "CC": f"gcc {flags}"})
    assert r.returncode == 0, r.stderr


def test_generator_is_deterministic():
    assert programs.programs(7, 5) == programs.programs(7, 5)
    assert programs.programs(7, 5) != programs.programs(8, 5)
