"""MLXCC_RUNNER: `run`, `test` and `verify` through an executable in another process, here of this machine (env) and of those whose compiler and
emulator are installed; tools/test_paths.sh runs the whole matrix."""
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent
M7 = f"arm-none-eabi-gcc -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16 --specs=rdimon.specs -T {HERE}/cortex_m7/mps2_an500.ld {HERE}/cortex_m7/start.c"
MACHINES = {
    "here": ("env", "gcc"),
    "aarch64": ("qemu-aarch64 -L /usr/aarch64-linux-gnu", "aarch64-linux-gnu-gcc"),
    "wasm": (f"node --no-warnings {HERE}/wasi_run.mjs", "clang --target=wasm32-wasi -msimd128"),
    "cortex_m7": ("qemu-system-arm -M mps2-an500 -display none -monitor none -serial none -semihosting-config enable=on,target=native -kernel", M7),
}
SOURCE = """const Net = (w: f32[7], b: f16, layers: f32[3][2]);
export fn main(net: Net, x: f32[B, 7], n: i64, inout s: f32[7]) {
  print("sizes", x.shape[0], "and", n, "bias", net.b);
  s = s + tanh(net.w);
  return exp(x @ net.w * 0.1) + net.b, n * 3, net.layers[1], x > 0;
}
export fn picky(x: f32[N]) -> f32 { assert all(x < 5), "too large"; return sum(x); }
test "equal" { assert_close(exp(zeros(3)), [1.0, 1.0, 1.0]); }
test "unequal" { assert_close(exp(zeros(3)), [1.0, 1.0, 2.0]); }
"""


def usable(name):
    runner, cc = MACHINES[name]
    if not (shutil.which(runner.split()[0]) and shutil.which(cc.split()[0])):
        return False
    return name != "wasm" or os.path.exists("/usr/include/wasm32-wasi")


@pytest.fixture(params=MACHINES)
def cli(request, mlxcc, tmp_path):
    if not usable(request.param):
        pytest.skip("no compiler or emulator for it")
    runner, cc = MACHINES[request.param]
    (tmp_path / "m.mx").write_text(SOURCE)

    def call(*args, **env):
        return subprocess.run([mlxcc, *args], capture_output=True, text=True, cwd=tmp_path, timeout=100,
                              env={**os.environ, "CC": cc, "MLXCC_RUNNER": runner, "XDG_CACHE_HOME": str(tmp_path / "cache"), **env})
    call.path = tmp_path
    return call


def test_results_prints_and_state(cli):
    r = np.random.default_rng(1)
    w, x, s, layers = r.normal(size=7).astype("f4"), r.normal(size=(5, 7)).astype("f4"), r.normal(size=7).astype("f4"), r.normal(size=(2, 3)).astype("f4")
    np.savez(cli.path / "net.npz", **{"w": w, "b": np.float16(0.5), "layers.0": layers[0], "layers.1": layers[1]})
    np.save(cli.path / "x.npy", x), np.save(cli.path / "s.npy", s)
    for cache in ("cache", "cache", "/proc/none"):  # built, found again, no place to keep it
        done = cli("run", "m.mx:main", "net=net.npz", "x=x.npy", "n=4000000000000", "s=s.npy", "--out", "r.npz", XDG_CACHE_HOME=str(cli.path / cache), TMPDIR=str(cli.path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("sizes 5 and 4000000000000 bias 0.5\n"), done.stdout
    got = np.load(cli.path / "r.npz")
    np.testing.assert_allclose(got["out0"], np.exp(x @ w * 0.1) + 0.5, rtol=1e-5)
    np.testing.assert_allclose(got["s"], s + np.tanh(w), rtol=1e-6)
    assert got["out1"] == 12000000000000 and (got["out2"] == layers[1]).all() and (got["out3"] == (x > 0)).all()
    assert not [f for f in os.listdir(cli.path) if f.startswith("mlxcc.")]


def test_asserts_tests_and_verify(cli):
    done = cli("run", "m.mx:picky", "x=[1,7]", "--check", "--out", "r")
    assert done.returncode == 1 and "error[assert]: too large" in done.stderr
    done = cli("test", "m.mx")
    assert done.returncode == 1 and "ok   equal" in done.stdout and "1 passed, 1 failed" in done.stdout, done.stdout
    done = cli("verify", "m.mx:main")
    assert done.returncode == 0 and "largest difference 0.0e+00" in done.stdout, done.stderr + done.stdout


def test_a_runner_that_fails(mlxcc, tmp_path):
    (tmp_path / "m.mx").write_text("export fn f(x: f32) -> f32 { return x + 1; }\ntest \"t\" { assert true; }\n")

    def call(runner, *args):
        return subprocess.run([mlxcc, *args], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "CC": "gcc", "MLXCC_RUNNER": runner, "XDG_CACHE_HOME": str(tmp_path / "c")})
    for runner, said in (("/no/such", "`/no/such` of MLXCC_RUNNER cannot be started"), ("false", "`f` under `false` ended with 1, before its results were there"),
                         ("true", "`f` under `true` ended with 0, before its results were there")):
        for args in (("run", "m.mx:f", "x=1", "--out", "r"), ("verify", "m.mx")):
            done = call(runner, *args)
            assert done.returncode == 1 and f"mlxcc: error[run.runner]: {said}" in done.stderr and "bug" not in done.stderr, done.stderr
        done = call(runner, "test", "m.mx")
        assert done.returncode == 1 and "FAIL t  (the compiled C crashed)" in done.stdout, done.stdout
