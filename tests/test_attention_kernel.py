"""The attention kernel in emitted C against float64: masks, groups, sinks, head sizes, lengths around its tiles and blocks, operands read
through transpositions, symbolic lengths, few queries; with gcc and clang, at every vector width that this machine runs."""
import itertools
import subprocess

import numpy as np
import pytest

from std_tools import run, type_of

LEAST = np.finfo(np.float32).min


def reference(q, k, v, scale, mask, sinks):
    q, k, v = (a.astype(np.float64) for a in (q, k, v))
    g = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, g, 1), np.repeat(v, g, 1)
    s = scale * q @ k.swapaxes(-1, -2)
    if isinstance(mask, str):
        s = np.where(np.arange(s.shape[-2])[:, None] + s.shape[-1] - s.shape[-2] >= np.arange(s.shape[-1]), s, LEAST)
    elif mask is not None:
        s = np.where(mask, s, LEAST) if mask.dtype == bool else s + mask
    m = s.max(-1, keepdims=True)
    if sinks is not None:
        m = np.maximum(m, sinks[:, None, None])
    p = np.exp(s - m)
    total = p.sum(-1, keepdims=True)
    if sinks is not None:
        total = total + np.exp(sinks[:, None, None] - m)
    return p / total @ v


def problem(seed, b, heads, kv, tq, tk, d, kind, sinks):
    r = np.random.default_rng(seed)
    arrays = {"q": r.standard_normal((b, heads, tq, d)), "k": r.standard_normal((b, kv, tk, d)), "v": r.standard_normal((b, kv, tk, d))}
    arrays = {n: a.astype(np.float32) for n, a in arrays.items()}
    mask = {"none": None, "causal": "causal"}.get(kind)
    if kind == "bool":
        mask = r.random((b, 1, tq, tk)) < 0.6
        mask[0, 0, 0] = False  # all of a row hidden: all keys count the same
    if kind == "added":
        mask = np.where(r.random((heads, tq, tk)) < 0.3, -np.inf, r.standard_normal((heads, tq, tk))).astype(np.float32)
        mask[..., tk // 2] = 0.5
    if kind == "row":
        mask = r.standard_normal((b, 1, 1, tk)).astype(np.float32)
    if mask is not None and kind != "causal":
        arrays["m"] = mask
    if sinks:
        arrays["s"] = r.standard_normal(heads).astype(np.float32)
    return arrays, mask


def source(arrays, kind, types=type_of):
    mask = '"causal"' if kind == "causal" else "m" if "m" in arrays else "none"
    call = f"fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask={mask}{', sinks=s' if 's' in arrays else ''})"
    return f"export fn main({', '.join(f'{n}: {types(a)}' for n, a in arrays.items())}) {{ return {call}; }}"


def emitted(mlxcc, tmp_path, text):
    f = tmp_path / "t.mx"
    f.write_text(text)
    subprocess.run([mlxcc, str(f), "-o", str(tmp_path / "t.c")], check=True)
    return (tmp_path / "t.c").read_text()


CASES = [(2, 4, 2, 29, 70, 64, "none", False), (1, 3, 3, 300, 300, 32, "causal", False), (2, 4, 2, 14, 257, 17, "causal", True), (1, 6, 2, 33, 300, 80, "bool", False),
         (2, 2, 2, 15, 31, 1, "added", True), (1, 4, 1, 1, 513, 64, "none", False), (2, 2, 1, 2, 5, 100, "causal", False), (1, 2, 2, 3, 1, 8, "bool", True),
         (1, 2, 2, 40, 520, 260, "row", False), (1, 2, 1, 1, 300, 48, "added", False), (1, 1, 1, 20, 20, 300, "causal", False)]


@pytest.mark.parametrize("case", CASES, ids=lambda c: "x".join(map(str, c)))
def test_values(mlxcc, tmp_path, case):
    arrays, mask = problem(sum(case[:6]), *case)
    text = source(arrays, case[6])
    assert "mx_attend(" in emitted(mlxcc, tmp_path, text)
    got = run(mlxcc, tmp_path, text, "main", interp=False, **arrays)["out"]
    want = reference(*(arrays[n] for n in "qkv"), 0.25, mask, arrays.get("s"))
    near = 3e-6 * max(1, case[5] / 64)  # scores of more terms are larger, and so are their errors, which exp makes relative
    np.testing.assert_allclose(got, want, rtol=0, atol=near)
    plain = run(mlxcc, tmp_path, text, "main", interp=True, **arrays)["out"]
    np.testing.assert_allclose(plain, want, rtol=0, atol=near)


def test_symbolic_lengths(mlxcc, tmp_path):
    """One program for every length; no key at all gives zeros."""
    text = ("export fn main(q: f32[B, 4, T, 40], k: f32[B, 2, S, 40], v: f32[B, 2, S, 40], m: bool[T, S]) {\n"
            "  return fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask=m), fast.scaled_dot_product_attention(q, q, q, scale=0.25, mask=\"causal\");\n}\n")
    assert emitted(mlxcc, tmp_path, text).count("mx_attend(&") == 2
    r = np.random.default_rng(5)
    for b, t, s in [(1, 1, 1), (2, 37, 5), (1, 13, 300), (1, 4, 0), (0, 3, 3), (1, 0, 4)]:
        q, k, v = (r.standard_normal((b, h, n, 40)).astype(np.float32) for h, n in ((4, t), (2, s), (2, s)))
        m = r.random((t, s)) < 0.8
        got = run(mlxcc, tmp_path, text, "main", interp=False, q=q, k=k, v=v, m=m)
        want = reference(q, k, v, 0.25, m, None) if s else np.zeros_like(q)
        np.testing.assert_allclose(got["out0"], want, rtol=0, atol=3e-6)
        if t:
            np.testing.assert_allclose(got["out1"], reference(q, q, q, 0.25, "causal", None), rtol=0, atol=3e-6)


def test_transposed_operands_are_read_as_they_lie(mlxcc, tmp_path):
    text = """export fn main(x: f32[2, 20, 192]) {
      let heads = |a| unflatten(a, -1, (4, 16)).transpose(0, 2, 1, 3);
      return flatten(fast.scaled_dot_product_attention(heads(x[..., :64] * 1.5), heads(x[..., 64:128] + 0.5), heads(exp(x[..., 128:])), scale=0.25).transpose(0, 2, 1, 3), -2, -1);
    }"""
    c = emitted(mlxcc, tmp_path, text)
    assert "{1280, 16, 64}" in c  # distances of batches, heads and rows of [2, 20, 4, 16]
    x = np.random.default_rng(6).standard_normal((2, 20, 192)).astype(np.float32)
    heads = lambda a: a.reshape(2, 20, 4, 16).transpose(0, 2, 1, 3)
    want = reference(heads(x[..., :64] * np.float32(1.5)), heads(x[..., 64:128] + np.float32(0.5)), heads(np.exp(x[..., 128:])), 0.25, None, None)
    got = run(mlxcc, tmp_path, text, "main", interp=False, x=x)["out"]
    np.testing.assert_allclose(got, want.transpose(0, 2, 1, 3).reshape(2, 20, 64), rtol=0, atol=1e-5)


def test_nothing_finite(mlxcc, tmp_path):
    """A row without any finite score is nan, nan and inf pass; other rows do not notice."""
    arrays, mask = problem(3, 1, 1, 1, 20, 40, 16, "added", False)
    mask[0, 3] = -np.inf
    arrays["q"][0, 0, 5, 2] = np.nan
    arrays["v"][0, 0, 7, 1] = np.inf
    text = source(arrays, "added")
    for interp in (False, True):
        got = run(mlxcc, tmp_path, text, "main", interp=interp, **arrays)["out"][0, 0]
        assert np.isnan(got[3]).all() and np.isnan(got[5]).all()
        rest = np.delete(np.arange(20), [3, 5])
        assert np.isfinite(np.delete(got[rest], 1, axis=1)).all() and (np.isinf(got[rest, 1]) | np.isnan(got[rest, 1])).all()


@pytest.mark.parametrize("why,text", [
    ("f16", "export fn main(q: f16[1, 2, 8, 16]) { return fast.scaled_dot_product_attention(q, q, q, scale=0.25); }"),
    ("more queries than keys", "export fn main(q: f32[1, 2, 8, 16], k: f32[1, 2, 4, 16]) { return fast.scaled_dot_product_attention(q, k, k, scale=0.25, mask=\"causal\"); }"),
    ("a scale of the program", "export fn main(q: f32[1, 2, 8, 16], s: f32) { return fast.scaled_dot_product_attention(q, q, q, scale=s); }"),
])
def test_the_plain_form_stays(mlxcc, tmp_path, why, text):
    assert "mx_attend" not in emitted(mlxcc, tmp_path, text), why


BUILDS = [(c, o, w) for c in ("gcc", "clang") for o, w in itertools.product(("-O0", "-O2", "-O3"), ("", "-march=native", *(["-mavx2 -mfma"] if " avx2 " in open("/proc/cpuinfo").read() else []), "-DMLXCC_SCALAR"))]


@pytest.fixture(scope="module")
def program(mlxcc, tmp_path_factory):
    """Two problems in one program with a main that compares with numbers from here."""
    folder = tmp_path_factory.mktemp("attention")
    arrays, mask = problem(1, 1, 4, 2, 29, 300, 40, "bool", True)
    text = source(arrays, "bool") + "\n" + source({n: arrays[n] for n in "qkv"}, "causal").replace("main", "causal")
    emitted(mlxcc, folder, text)
    want = [reference(*(arrays[n] for n in "qkv"), 0.25, mask, arrays["s"]), reference(*(arrays[n] for n in "qkv"), 0.25, "causal", None)]
    for n, a in [*arrays.items(), ("w0", want[0].astype(np.float32)), ("w1", want[1].astype(np.float32))]:
        np.ascontiguousarray(a).tofile(folder / n)
    (folder / "main.c").write_text('''#include "t.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
static void *get(const char *n) {
  FILE *f = fopen(n, "rb"); long size; void *p;
  if (!f) exit(3);
  fseek(f, 0, SEEK_END); size = ftell(f); rewind(f); p = malloc((size_t)size);
  if (fread(p, 1, (size_t)size, f) != (size_t)size) exit(3);
  fclose(f); return p;
}
int main(void) {
  const float *w[2]; float *o = (float *)malloc(4 * 4 * 29 * 40); int bad = 0, k, i; void *arena = malloc(1 << 22);
  w[0] = (const float *)get("w0"); w[1] = (const float *)get("w1");
  for (k = 0; k < 2; k++) {
    if (k) t_causal((float *)get("q"), (float *)get("k"), (float *)get("v"), o, arena);
    else t_main((float *)get("q"), (float *)get("k"), (float *)get("v"), (bool *)get("m"), (float *)get("s"), o, arena);
    for (i = 0; i < 4 * 29 * 40; i++) bad += !(fabsf(o[i] - w[k][i]) < 3e-6f);
  }
  return bad > 0;
}
''')
    return folder


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
def test_builds(program, build):
    compiler, level, width = build
    exe = program / ("x" + str(abs(hash(build))))
    flags = ["-std=c99", level, *width.split(), "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
    subprocess.run([compiler, *flags, "t.c", "main.c", "-o", str(exe), "-lm"], cwd=program, check=True)
    assert subprocess.run([str(exe)], cwd=program).returncode == 0
