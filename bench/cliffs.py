"""Cliffs: shapes that take out of proportion longer than their neighbours.

    python3 bench/cliffs.py [--cc gcc] [--flags "-O2 -march=native"] [--only product,conv] [--all]

Matrix products with sizes around every tile edge, convolutions with few channels and narrow pictures, rows of element-wise work. Each family is one program with symbolic sizes, timed in one process (minima).
A shape is a cliff where, along one size and the others the same, the next larger one takes less than 1/1.5 of its time, or the next smaller one less than 1/2.2 of its time per product (16 to 17 elements: twice the vectors). Prints the cliffs, worst
first, and fails if there are any; --all prints every time."""
import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EDGES = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129]
CHANNELS = [1, 3, 5, 17]
WIDTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33]
LARGER, PER_PRODUCT, FLOOR = 1.5, 2.2, 150.0  # below FLOOR ns a call is overhead


def families():
    """name -> (program, sizes' names in the C call, shapes, flops, floats of the operands)"""
    yield ("product", "a: f32[M, K], b: f32[K, N]", "f32[M, N]", "a @ b", "MKN", list(itertools.product(EDGES, EDGES, EDGES)), lambda m, k, n: m * k * n)
    yield ("rows", "a: f32[M, N], b: f32[N]", "f32[M, N]", "tanh(a) * b + 1", "MN", list(itertools.product([1, 3, 17, 64], EDGES)), lambda m, n: m * n)
    yield ("soft_rows", "a: f32[M, N], b: f32[N]", "f32[M, N]", "softmax(a + b, axis=-1)", "MN", list(itertools.product([1, 3, 17, 64], EDGES)), lambda m, n: m * n)
    square = list(itertools.product(WIDTHS, WIDTHS))
    for i, o in itertools.product(CHANNELS, CHANNELS):
        yield (f"conv_{i}_{o}", f"a: f32[1, H, W, {i}], b: f32[{o}, 3, 3, {i}]", f"f32[1, H, W, {o}]", "conv2d(a, b, padding=1)", "HW", square, lambda h, w, i=i, o=o: h * w * i * o * 9)
    for c in CHANNELS:
        yield (f"depthwise_{c}", f"a: f32[1, H, W, {c}], b: f32[{c}, 3, 3, 1]", f"f32[1, H, W, {c}]", f"conv2d(a, b, padding=1, groups={c})", "HW", square, lambda h, w, c=c: h * w * c * 9)


DRIVER = r"""
#include "p.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static float a[1 << 20], b[1 << 20], out[1 << 20];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return 1e9 * (double)t.tv_sec + (double)t.tv_nsec; }
#define TIME(name, call, ...) do { double best = 1e18; for (int r = 0; r < 7; r++) { long n = 1; double t; for (;; n *= 4) { t = now(); for (long i = 0; i < n; i++) call; t = now() - t; \
	if (t > 8000) break; } if (t / (double)n < best) best = t / (double)n; } printf(name "%.1f\n", __VA_ARGS__, best); } while (0)
"""


def measure(options):
    chosen = [f for f in families() if not options.only or any(f[0].startswith(o) for o in options.only.split(","))]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "p.mx").write_text("".join(f"export fn {n}({args}) -> {result} {{ return {body}; }}\n" for n, args, result, body, *_ in chosen))
        subprocess.run([options.mlxcc, "p.mx", "-o", "p.c", "--prefix=p"], cwd=folder, check=True)
        text = DRIVER + "int main(void)\n{\n\tfor (long i = 0; i < 1 << 20; i++) a[i] = (float)(i % 13) * 0.1f - 0.6f, b[i] = (float)(i % 7) * 0.1f - 0.3f;\n"
        for name, _, _, _, sizes, shapes, _ in chosen:
            values = ", ".join("{" + ", ".join(map(str, s)) + "}" for s in shapes)
            call = ", ".join(f"s[k][{i}]" for i in range(len(sizes)))
            text += (f"\t{{\n\t\tstatic const long s[][{len(sizes)}] = {{{values}}};\n\t\tfor (int k = 0; k < {len(shapes)}; k++) {{\n"
                     f"\t\t\tvoid *room = aligned_alloc(64, (p_{name}_arena_bytes({call}) / 64 + 1) * 64);\n"
                     f"\t\t\tTIME(\"{name} {'%ld ' * len(sizes)}\", p_{name}(a, b, out, {call}, room), {call});\n\t\t\tfree(room);\n\t\t}}\n\t}}\n")
        (folder / "main.c").write_text(text + "}\n")
        subprocess.run([options.cc, *options.flags.split(), "main.c", "p.c", "-o", "main", "-lm"], cwd=folder, check=True)
        lines = [line for _ in range(3) for line in subprocess.run([str(folder / "main")], capture_output=True, text=True, check=True).stdout.splitlines()]
    times = {}
    for line in lines:
        name, *sizes, ns = line.split()
        shape = name, tuple(map(int, sizes))
        times[shape] = min(times.get(shape, float("inf")), float(ns))
    return {f[0]: f[6] for f in chosen}, times


def cliffs(flops, times):
    """(how much, what) for each shape that is out of line."""
    for (name, shape), t in times.items():
        if t < FLOOR:
            continue
        for i, size in enumerate(shape):
            others = sorted(s[i] for n, s in times if n == name and s[:i] + s[i + 1:] == shape[:i] + shape[i + 1:])
            at = others.index(size)
            if at + 1 < len(others):
                more = shape[:i] + (others[at + 1],) + shape[i + 1:]
                if t > LARGER * times[name, more]:
                    yield t / times[name, more] / LARGER, f"{name} {shape}: {t:.0f} ns, {more}: {times[name, more]:.0f} ns"
            if at > 0:
                less = shape[:i] + (others[at - 1],) + shape[i + 1:]
                rate, before = t / flops[name](*shape), times[name, less] / flops[name](*less)
                if rate > PER_PRODUCT * before:
                    yield rate / before / PER_PRODUCT, f"{name} {shape}: {rate:.3f} ns each, {less}: {before:.3f} ns each"


def main():
    parser = argparse.ArgumentParser(description="shapes that take out of proportion longer than their neighbours")
    parser.add_argument("--mlxcc", default=str(pathlib.Path(os.environ.get("MLXCC_BUILD", ROOT / "build")).resolve() / "mlxcc"))
    parser.add_argument("--cc", default="gcc")
    parser.add_argument("--flags", default="-O2 -march=native")
    parser.add_argument("--only", default="", help="families whose names begin so, with commas")
    parser.add_argument("--all", action="store_true", help="print every time")
    options = parser.parse_args()
    flops, times = measure(options)
    if options.all:
        for (name, shape), t in times.items():
            print(f"{name} {' '.join(map(str, shape))}: {t:.1f} ns, {t / flops[name](*shape):.4f} ns each")
    found = sorted(cliffs(flops, times), reverse=True)
    for much, what in found:
        print(f"{much:.2f}  {what}")
    print(f"{len(found)} cliffs among {len(times)} shapes")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
