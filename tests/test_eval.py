"""The interpreter's structure ops and dimensions: functions, loops in all their forms, branches, effects, argument shapes."""
import numpy as np
import pytest
from op_kit import eval_ir

HEAD = 'module "t" stage "tensor"\n\n'


def run(irtool, text, *inputs):
    got, said = eval_ir(irtool, HEAD + text, [np.asarray(x) for x in inputs])
    assert got is not None, said
    return got


def message(irtool, text, *inputs):
    got, said = eval_ir(irtool, HEAD + text, [np.asarray(x) for x in inputs])
    assert got is None, "evaluated"
    return said.strip()


def loop(attrs, body, operands="%a, %x", types="f32, f32[N]", region="%i: i32, %c: f32, %r: f32", params="%a: f32, %x: f32[N]", extra="", go="", pre=""):
    defaults = dict(trips="N", ncarry=1, nscan=1, reverse="false", limit="false")
    defaults.update(attrs)
    at = ", ".join(f"{k}={defaults[k]}" for k in ("trips", "ncarry", "nscan", "reverse", "limit") if defaults[k] is not None)
    results = types.split(", ")
    names = ", ".join(f"%o{k}" for k in range(len(results)))
    return (f"func @f({params}) -> ({types}) {{\n{pre}  {names} = loop {operands} {{{at}}} : {types} do({region}) {{\n{body}  }}{go}\n"
            f"  return {names}\n}}\n{extra}")


STEP = "    %m = mul %c, %r : f32\n    %n = add %m, %r : f32\n    %s = sub %n, %c : f32\n    yield %n, %s\n"


def reference(a, x, order):
    y, c = np.zeros_like(x), np.float32(a)
    for i in order:
        n = c * x[i] + x[i]
        y[i] = n - c
        c = n
    return c, y


X = np.array([0.5, -1.5, 2, 0.25, 3], np.float32)


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("reverse", [False, True])
def test_loop_scans_and_stacks(n, reverse, irtool):
    got = run(irtool, loop({"reverse": str(reverse).lower()}, STEP), np.float32(2), X[:n])
    want = reference(2, X[:n], range(n)[::-1] if reverse else range(n))
    assert np.array_equal(got[0], want[0]) and np.array_equal(got[1], want[1])


@pytest.mark.parametrize("limit", [-3, 0, 2, 5, 9])
@pytest.mark.parametrize("reverse", [False, True])
def test_loop_limit_leaves_later_rows_zero(limit, reverse, irtool):
    text = loop({"reverse": str(reverse).lower(), "limit": "true"}, STEP, operands="%a, %x, %l", params="%a: f32, %x: f32[N], %l: i32")
    got = run(irtool, text, np.float32(2), X, np.int32(limit))
    k = max(0, min(limit, 5))
    want = reference(2, X, range(k)[::-1] if reverse else range(k))
    assert np.array_equal(got[0], want[0]) and np.array_equal(got[1], want[1])


def test_loop_index_is_the_row(irtool):
    body = "    %k = convert %i {dtype=f32} : f32\n    %n = add %c, %r : f32\n    yield %n, %k\n"
    for reverse in ("false", "true"):
        assert run(irtool, loop({"reverse": reverse}, body), np.float32(0), X)[1].tolist() == [0, 1, 2, 3, 4]


WHILE = " while(%c: f32) {\n    %g = lt %c, %a : bool\n    yield %g\n  }"


def test_while_tests_before_each_step(irtool):
    """1, 2, 4, .. while below a: no step at all for a = 1."""
    text = loop({"trips": None, "nscan": 0}, "    %n = add %c, %c : f32\n    yield %n\n", operands="%one", types="f32", region="%i: i32, %c: f32", params="%a: f32", go=WHILE,
                pre="  %one = const {value=f32(1)} : f32\n")
    for a, want in ((1, 1), (1.5, 2), (100, 128)):
        assert run(irtool, text, np.float32(a))[0] == want


def test_bounded_while_stops_and_leaves_rows_zero(irtool):
    body = "    %n = add %c, %r : f32\n    yield %n, %n\n"
    text = loop({}, body, operands="%z, %x", go=WHILE, pre="  %z = const {value=f32(0)} : f32\n")
    got = run(irtool, text, np.float32(3), np.ones(5, np.float32))
    assert got[0] == 3 and got[1].tolist() == [1, 2, 3, 0, 0]


def test_nested_loops_capture_outer_values(irtool):
    """Sum over i, j of x[i] * x[j], the inner loop capturing the outer row."""
    text = """func @f(%x: f32[N]) -> (f32) {
  %z = const {value=f32(0)} : f32
  %o = loop %z, %x {trips=N, ncarry=1, nscan=1, reverse=false, limit=false} : f32 do(%i: i32, %c: f32, %r: f32) {
    %p = loop %c, %x {trips=N, ncarry=1, nscan=1, reverse=false, limit=false} : f32 do(%j: i32, %d: f32, %s: f32) {
      %m = mul %r, %s : f32
      %n = add %d, %m : f32
      yield %n
    }
    yield %p
  }
  return %o
}
"""
    assert np.isclose(run(irtool, text, X)[0], X.sum() ** 2)


def test_carries_that_swap_and_pass_through(irtool):
    text = """func @f(%x: f32, %y: f32, %k: f32[2]) -> (f32, f32, f32[2]) {
  %a, %b, %c = loop %x, %y, %k {trips=3, ncarry=3, nscan=0, reverse=false, limit=false} : f32, f32, f32[2] do(%i: i32, %p: f32, %q: f32, %r: f32[2]) {
    yield %q, %p, %r
  }
  return %a, %b, %c
}
"""
    got = run(irtool, text, np.float32(1), np.float32(2), np.array([7, 8], np.float32))
    assert [x.tolist() for x in got] == [2, 1, [7, 8]]


def test_cond_runs_one_arm(irtool):
    text = """func @f(%p: bool, %x: f32) -> (f32, bool) {
  %r, %q = cond %p : f32, bool then() {
    %y = neg %x : f32
    yield %y, %p
  } else() {
    print %x {message="else"}
    %n = not %p : bool
    yield %x, %n
  }
  return %r, %q
}
"""
    for p, want in ((True, -3), (False, 3)):
        got, said = eval_ir(irtool, HEAD + text, [np.bool_(p), np.float32(3)])
        assert got[0] == want and got[1] and ("else" in said) == (not p)


CALLS = """func @f(%x: f32[B,2*B]) -> (f32[2*B,B]) {
  %0 = call %x {func=@t} : f32[2*B,B]
  %1 = call %0 {func=@t} : f32[B,2*B]
  %2 = call %1 {func=@t} : f32[2*B,B]
  return %2
}

func @t(%x: f32[N,M]) -> (f32[M,N]) {
  %0 = transpose %x {perm=[1,0]} : f32[M,N]
  return %0
}
"""


def test_calls_bind_dimensions_anew(irtool):
    x = np.arange(18, dtype=np.float32).reshape(3, 6)
    assert np.array_equal(run(irtool, CALLS, x)[0], x.T)


def test_dimensions_solved_from_linear_entries(irtool):
    text = """func @f(%x: f32[2*K+1]) -> (i32, i32[K]) {
  %0 = dimsize {dim=K*K} : i32
  %1 = iota {size=K, dtype=i32} : i32[K]
  return %0, %1
}
"""
    got = run(irtool, text, np.zeros(7, np.float32))
    assert got[0] == 9 and got[1].tolist() == [0, 1, 2]
    assert "no dimensions make 2*K+1 that" in message(irtool, text, np.zeros(6, np.float32))


def test_argument_shapes_are_checked(irtool):
    text = "func @f(%x: f32[B,3], %y: f32[B]) -> (f32[B]) {\n  return %y\n}\n"
    m = message(irtool, text, np.zeros((2, 3), np.float32), np.zeros(4, np.float32))
    assert "axis 0 of argument `y` of @f has 4 elements, its type says B = 2" in m
    m = message(irtool, text, np.zeros((2, 4), np.float32), np.zeros(2, np.float32))
    assert "axis 1 of argument `x` of @f has 4 elements, its type says 3" in m
    m = message(irtool, text, np.zeros(2, np.float32), np.zeros(2, np.float32))
    assert "argument `x` of @f is f32 of rank 1, its type is f32[B,3]" in m


FACTS = """func @f(%x: f32[B], %y: f32[C]) -> (f32[B])
  fact B in 8..64 step 8
  fact C-B >= 0
{
  return %x
}
"""


def test_stated_facts_are_checked_at_the_entry(irtool):
    z = lambda n: np.zeros(n, np.float32)
    assert len(run(irtool, FACTS, z(16), z(16))) == 1
    assert "dimension B of @f is 72, outside 8..64" in message(irtool, FACTS, z(72), z(80))
    assert "dimension B of @f is 12, not a multiple of 8" in message(irtool, FACTS, z(12), z(80))
    assert "it is -4" in message(irtool, FACTS, z(16), z(12))


def test_assert_stops_and_print_prints(irtool):
    text = """func @f(%p: bool, %x: f32[2]) -> (f32[2]) {
  print %x {message="x is"}
  assert %p, %x {message="p must hold"}
  return %x
}
"""
    x = np.array([1, 2.5], np.float32)
    got, said = eval_ir(irtool, HEAD + text, [np.True_, x])
    assert got is not None and "x is" in said and "2.5" in said
    assert "assertion failed: p must hold" in message(irtool, text, np.False_, x)


def test_symbolic_attributes_get_numbers(irtool):
    text = """func @f(%x: f32[N]) -> (f32[N//2], f32[N+3], f32[2,N]) {
  %0 = slice %x {lo=[0], hi=[N//2], step=[1]} : f32[N//2]
  %z = const {value=f32(9)} : f32
  %1 = pad %x, %z {lo=[3], hi=[0], step=[1]} : f32[N+3]
  %2 = broadcast %x {shape=[2,N], dims=[1]} : f32[2,N]
  return %0, %1, %2
}
"""
    got = run(irtool, text, X)
    assert got[0].tolist() == X[:2].tolist() and got[1].tolist() == [9, 9, 9, *X.tolist()] and got[2].shape == (2, 5)


MLP = """func @f(%x: f32[256,64], %w: f32[64,128], %v: f32[128,10]) -> (f32[256,10]) {
  %r = loop %x {trips=20, ncarry=1, nscan=0, reverse=false, limit=false} : f32[256,64] do(%i: i32, %c: f32[256,64]) {
    %h = dot %c, %w {lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]} : f32[256,128]
    %t = tanh %h : f32[256,128]
    %u = dot %t, %w {lhs_contract=[1], rhs_contract=[1], lhs_batch=[], rhs_batch=[]} : f32[256,64]
    yield %u
  }
  %h = dot %r, %w {lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]} : f32[256,128]
  %o = dot %h, %v {lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]} : f32[256,10]
  return %o
}
"""


def test_twenty_layers_of_the_digits_size(irtool):
    r = np.random.default_rng(0)
    x, w, v = (r.normal(size=s).astype(np.float32) * 0.03 for s in ((256, 64), (64, 128), (128, 10)))
    got = run(irtool, MLP, x, w, v)[0]
    h = x.astype(np.float64)
    for _ in range(20):
        h = np.tanh(h @ w) @ w.T
    assert np.allclose(got, h @ w @ v, rtol=1e-4, atol=1e-6)
