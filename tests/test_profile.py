"""--profile and the counts of --emit=report: calls, ticks of the user's clock, bytes and operations."""
import re
import subprocess

import numpy as np
import pytest

PROGRAM = """
dim B in 1..64;
export fn f(x: f32[B,200], w: f32[200,300], b: f32[300]) -> f32[B,300] { return relu(x @ w + b); }
export fn many(x: f32[1000]) -> f32[1000] { var y = x; for i in 0..7 { y = softmax(y * 2); } return y; }
export fn half(x: f32[64,100]) -> f32[64] { return sum(x[:, 0:50] * 3, axis=1); }
"""
HOST = """
#include <stdint.h>
static uint64_t now;
static uint64_t tick(void) { return now += 500; }
#define MX_CLOCK() tick()
#define MX_CLOCK_HZ 1e6
#include "p.c"
#include <stdio.h>
#include <stdlib.h>
static float x[64 * 200], w[200 * 300], b[300], out[64 * 300];
int main(void)
{
	p_profile counts = {0};
	static char text[4096];
	void *arena = aligned_alloc(64, (P_F_ARENA_BYTES + 127) / 64 * 64);
	for (int i = 0; i < 3; i++) p_f(x, w, b, out, 16, arena, &counts);
	p_f(x, w, b, out, 16, arena, NULL);
	size_t n = p_profile_report(&counts, 0, 0, text, sizeof text);
	printf("%d %zu %zu\\n%s", P_KERNELS, n, p_profile_report(&counts, 0, 0, text, 10), text);
	p_profile_report(&counts, 0, 0, text, sizeof text);
	fputs(text, stdout);
	for (int i = 0; i < P_KERNELS; i++)
		if (counts.kernel[i].calls) printf("\\nrow %s %s %d %.0f %.0f", p_kernels[i].name, p_kernels[i].place, (int)counts.kernel[i].calls, counts.kernel[i].bytes, counts.kernel[i].flops);
	return 0;
}
"""


def mlx(mlxcc, cwd, *args, code=0):
    r = subprocess.run([mlxcc, *map(str, args)], capture_output=True, text=True, timeout=200, cwd=cwd)
    assert r.returncode == code, r.stderr
    return r


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_counts_with_a_clock_of_the_user(mlxcc, tmp_path, cc):
    (tmp_path / "p.mx").write_text(PROGRAM)
    mlx(mlxcc, tmp_path, "p.mx", "-o", "p.c", "--profile")
    (tmp_path / "host.c").write_text(HOST)
    subprocess.run([cc, "-O1", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-c", "p.c", "-o", "p.o"], cwd=tmp_path, check=True)
    subprocess.run([cc, "-O1", "-std=c11", "-w", "host.c", "-o", "host", "-lm"], cwd=tmp_path, check=True)
    out = subprocess.run([str(tmp_path / "host")], capture_output=True, text=True, check=True).stdout
    rows = [line.split()[1:] for line in out.splitlines() if line.startswith("row ")]
    assert len(rows) == 1 and rows[0][0].startswith("f.") and rows[0][1] == "p.mx:3" and rows[0][2] == "3"
    assert float(rows[0][3]) == 3 * 4 * (16 * 200 + 200 * 300 + 300 + 16 * 300)
    assert 2 * 16 * 200 * 300 <= float(rows[0][4]) / 3 <= 2.02 * 16 * 200 * 300
    table = [line for line in out.splitlines() if line.startswith("f.")]
    fields = table[0].split()
    assert fields[2:5] == ["3", "500.00", "100.0"]  # a call takes one tick of 500 microseconds
    assert float(fields[5]) == pytest.approx(float(rows[0][3]) / 1.5e-3 / 1e9, abs=0.006)
    kernels, whole, again = map(int, out.splitlines()[0].split())
    assert whole == again > 60 and out.splitlines()[1].startswith("kernel   ")


def test_report_counts(mlxcc, tmp_path):
    (tmp_path / "p.mx").write_text(PROGRAM)
    text = mlx(mlxcc, tmp_path, "p.mx", "--emit=report").stdout
    f = text[text.index("f\n"):]
    assert "reads 800*B+241200 bytes, writes 1200*B, 120600*B flops" in f, f
    assert "by gemm with" in f
    half = text[text.index("half\n"):]
    assert "reads 12800 bytes, writes 256, 6400 flops" in half
    threads = mlx(mlxcc, tmp_path, "p.mx", "--emit=report", "--threads=4").stdout
    assert re.search(r"shared out along 64, in at most 4 pieces; a step costs \d+/16 cycles", threads[threads.index("half\n"):])


def test_run_prints_the_table(mlxcc, tmp_path):
    (tmp_path / "p.mx").write_text(PROGRAM)
    x = np.random.default_rng(0).random(1000, dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    r = mlx(mlxcc, tmp_path, "run", "--profile", "--calls=4", "p.mx:many", "x=x.npy", "--out=out.npy")
    head, *rows = [line.split() for line in r.stdout.splitlines() if line.startswith(("kernel", "many."))]
    assert head == ["kernel", "line", "calls", "us/call", "%", "GB/s", "GFLOP/s", "limit"]
    assert sum(int(row[2]) for row in rows) % 28 == 0 and abs(sum(float(row[4]) for row in rows) - 100) < 1
    y = x.astype(np.float64)
    for _ in range(7):
        y = np.exp(2 * y - np.max(2 * y))
        y /= y.sum()
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), y, rtol=1e-5)
    bad = mlx(mlxcc, tmp_path, "run", "--profile", "--interp", "p.mx:many", "x=x.npy", code=1)
    assert bad.stderr == "mlxcc: error[cli.option]: --profile measures compiled code in this process: not with --interp\n"


def test_updates_happen_once(mlxcc, tmp_path):
    (tmp_path / "p.mx").write_text("export fn step(inout w: f32[300], g: f32[300]) -> f32 { w = w - 0.5 * g; return sum(w); }\n")
    np.save(tmp_path / "w.npy", np.full(300, 2, np.float32))
    np.save(tmp_path / "g.npy", np.ones(300, np.float32))
    r = mlx(mlxcc, tmp_path, "run", "--profile", "p.mx:step", "w=w.npy", "g=g.npy", "--out", ".")
    assert "step." in r.stdout
    found = [np.load(p) for p in tmp_path.glob("*.npy") if p.name not in ("w.npy", "g.npy") and np.load(p).shape == ()]
    assert any(v == 450 for v in found), list(tmp_path.iterdir())
