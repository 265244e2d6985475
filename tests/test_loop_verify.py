"""The rules of loop IR: a list of broken programs, each rule once, with the exact message."""
import subprocess
import pytest

GOOD = """module "m" stage "loops" after plan

func @g(%x: f32[4], %n: i32) -> (f32[4], f32[4])
{
  arena 64
  buf x: f32[4] param 0
  buf n: i32 param 1
  buf out: f32[4] result 0
  buf other: f32[4] result 1
  buf c: f32[4] const f32[4](1, 2, 3, 4)
  buf r: f32[4,4] row 1
  buf ok: bool scalar
  kernel @k {
    outer i in 4
    axis j in 4
    stage a over i, j keep 1 {
      %0: f32 = load x[j]
      store r[i, j] %0
    }
    stage b over i {
      %1: f32 = reduce add over j {
        %2: f32 = load r[i, j]
        yield %2
      }
      store out[i] %1
    }
  }
  kernel @l {
    axis i in 4
    stage a over i {
      %0: i64 = remainder 3*i by 4
      %1: f32 = load c[%0]
      %2: bool = test 0 <= i < 2
      %3: f32 = if %2 {
        yield %1
      } else {
        %4: f32 = load x[i]
        yield %4
      }
      store other[i] %3
    }
  }
}
"""
A, B, L = "@g: kernel @k0_b, stage a: ", "@g: kernel @k0_b, stage b: ", "@g: kernel @k1_a, stage a: "
BROKEN = [
    ("stage b over i {", "stage b over i, j {", B + "axis `j` is bound twice"),
    ("store out[i] %1", "store out[j] %1", B + "axis `j` is used where it is not bound"),
    ("stage b over i {", "stage b over j {", B + "its axes do not begin with the outer ones"),
    ("load r[i, j]", "load r[j, i]", B + "the row `r` is accessed at another row than that of the outer axes"),
    ("load r[i, j]", "load r[i]", B + "`r` is f32[4,4] and has 1 indices"),
    ("load x[j]\n", "load x[j + 4]\n", A + "index 0 of `x` reaches 7, and the axis has 4 elements"),
    ("load x[j]\n", "load x[j - 1]\n", A + "index 0 of `x` reaches -1"),
    ("  kernel @l {", "  when Q is 4 {\n  }\n  kernel @l {", "@g: `when`: @g has no dimension Q"),
    ("store out[i] %1", "store c[i] %1", B + "the constant `c` is written"),
    ("store out[i] %1", "store x[i] %1", B + "the parameter `x` is written and not inout"),
    ("%0: f32 = load x[j]", "%0: f64 = load x[j]", A + "the result is f64, not f32"),
    ("store other[i] %3", "store other[i] %2", L + "what is stored is bool, not f32"),
    ("load c[%0]", "load r[i, %0]", L + "the row `r` is of kernel @k0_b"),
    ("%0: i64 = remainder 3*i by 4", "%0: f32 = remainder 3*i by 4", L + "the result is f32, not i64"),
    ("if %2 {", "if %1 {", L + "the condition is f32, not bool"),
    ("""      } else {
        %4: f32 = load x[i]
        yield %4
      }""", "      }", L + "`if` has a value and no `else`"),
    ("store other[i] %3", "store other[i] pow2 %3", L + "`store`: `pow2` is no op of two operands"),
    ("        yield %2\n", "", B + "a body yields nothing"),
    ("store out[i] %1", "%5: f32 = add %1\n      store out[i] %5", B + "`add` takes 2 operands, not 1"),
    ("  kernel @l {", "  copy n to ok\n  kernel @l {", "@g: `ok` is bool and `n` is i32"),
    ("  kernel @l {", "  if n {\n  }\n  kernel @l {", "@g: the condition `n` is i32, not bool"),
    ("  kernel @l {", "  assert 1 ()\n  kernel @l {", "@g: `assert` needs a value"),
    ("  kernel @l {", "  call @g(x) to (out)\n  kernel @l {", "@g: @g takes 2 arguments and gives 2 results, not 1 and 1"),
    ("buf out: f32[4] result 0", "buf out: f32[5] result 0", "@g: result 0 is f32[4], and its buffer f32[5]"),
]
UNREADABLE = [
    ("load x[j]\n", "load x[k]\n", "there is no axis `k`"),
    ("load x[j]\n", "load y[j]\n", "there is no buffer `y`"),
    ("store out[i] %1", "store out[i] %2", "%2 is not defined here"),
    ("axis j in 4", "axis i in 4", "the axis i is defined twice"),
    ("result 0\n", "nowhere 0\n", "where the buffer `out` lives is not known"),
    ("reduce add over j", "reduce add along j", "`over` expected, found `along`"),
    ("load x[j]\n", "loaf x[j]\n", "there is no node `loaf`"),
    ("%0: f32 = load x[j]", "load x[j]", "`load` gives a value: %0: dtype = … expected"),
    ("store out[i] %1", "%9: f32 = store out[i] %1", "`store` gives no value here"),
    ("param 1", "param 0", "parameter 0 of @g has two buffers"),
    ("  buf other: f32[4] result 1\n", "", "there is no buffer `other`"),
    ("  kernel @k {", "  kernels @k {", "a step expected (kernel, loop, if, when, call, copy, print, assert), found `kernels`"),
]


def verify(irtool, path, text):
    path.write_text(text)
    return subprocess.run([irtool, "verify", str(path)], capture_output=True, text=True)


def test_the_good_one(irtool, tmp_path):
    r = verify(irtool, tmp_path / "f.ir", GOOD)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("old, new, message", BROKEN)
def test_broken(irtool, tmp_path, old, new, message):
    assert old in GOOD
    r = verify(irtool, tmp_path / "f.ir", GOOD.replace(old, new, 1))
    assert r.returncode == 1 and f"error[loops.verify]: {message}\n" in r.stderr, r.stderr


@pytest.mark.parametrize("old, new, message", UNREADABLE)
def test_unreadable(irtool, tmp_path, old, new, message):
    assert old in GOOD
    r = verify(irtool, tmp_path / "f.ir", GOOD.replace(old, new, 1))
    assert r.returncode == 1 and f"error[ir.read]: {message}\n" in r.stderr, r.stderr
