"""State that a run-time loop goes on with stays in the caller's memory: no copies before and behind the loop, unless something else reads it."""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = """
export fn one(inout c: f32[600], n: i32) -> f32 {
  for i in 0..n while sum(c) < 1e9 { c = c * 1.5 + 1; }
  return c[3];
}
export fn swapped(inout a: f32[600], inout b: f32[600], n: i32) {
  for i in 0..n while sum(a) < 1e9 { let t = a; a = b + 1; b = t * 0.5; }
}
export fn exchanged(inout a: f32[600], inout b: f32[600], n: i32) {
  var x, y = a, b;
  for i in 0..n while sum(x) < 1e9 { x = x * 1.5; y = y + x; }
  a = y; b = x;
}
export fn read_after(inout a: f32[600], n: i32) -> f32[600] {
  var x = a;
  let first = sin(a);
  for i in 0..n while sum(x) < 1e9 { x = x * 1.5 + 1; }
  let y = x + first + a;
  a = x;
  return y;
}
export fn captured(inout a: f32[600], n: i32) {
  let start = a;
  for i in 0..n while sum(a) < 1e9 { a = a * 0.5 + start; }
}
export fn twice(inout a: f32[600], inout b: f32[600], n: i32) {
  var x, y = a, a;
  for i in 0..n while sum(x) < 1e9 { x = x * 1.5 + y; y = y + b; }
  a = x; b = y;
}
"""


def body(c, name):
    return re.search(rf"^int t_{name}\(.*?^}}", c, re.M | re.S)[0]


def test_loops_carry_state_in_place(mlxcc, tmp_path):
    (tmp_path / "t.mx").write_text(PROGRAM)
    r = subprocess.run([mlxcc, "verify", "t.mx"], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 0 and r.stdout.count("largest difference 0.0e+00") == 6, r.stdout + r.stderr
    subprocess.run([mlxcc, "t.mx", "-o", "t.c"], check=True, cwd=tmp_path)
    c = (tmp_path / "t.c").read_text()
    assert {n: body(c, n).count("memcpy") > 0 for n in ("one", "read_after", "captured")} == {"one": False, "read_after": True, "captured": True}


@pytest.mark.parametrize("name", ["decode", "decode_q4"])
def test_a_cache_is_not_copied(mlxcc, tmp_path, name):
    subprocess.run([mlxcc, str(ROOT / "bench" / "workloads" / f"{name}.mx"), "-o", str(tmp_path / "t.c")], check=True)
    assert "4194304" not in (tmp_path / "t.c").read_text(), "the size of the cache of keys in bytes"
