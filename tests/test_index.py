"""Indexing against NumPy: hundreds of random index expressions, read, assigned and accumulated through."""
import random
import subprocess
import numpy as np
import pytest
from mxrun import fails, run

SHAPES = {"a": (5,), "b": (3, 4), "c": (2, 3, 4), "d": (3, 2, 4, 2)}
PARAMS = "a: i32[5], b: i32[3, 4], c: i32[2, 3, 4], d: i32[3, 2, 4, 2]"
# Integers and index arrays that are known at run time only: values fit every axis of size >= 2.
SCALARS = {"i": 1, "j": -1, "k": 0}
ARRAYS = {"p": np.array([0, 1, -1], np.int32), "q": np.array([[1], [0]], np.int32), "r": np.array([1, 1, 0], np.int32)}
RUNTIME = "i: i32, j: i32, k: i32, p: i32[3], q: i32[2, 1], r: i32[3]"


def arrays():
    x = {n: np.arange(np.prod(s), dtype=np.int32).reshape(s) * 3 + 1 for n, s in SHAPES.items()}
    x.update({n: np.int32(v) for n, v in SCALARS.items()})
    x.update(ARRAYS)
    return x


def random_slice(rng, n):
    lo = rng.choice([None, None] + list(range(-n - 2, n + 3)))
    hi = rng.choice([None, None] + list(range(-n - 2, n + 3)))
    step = rng.choice([None, None, None, 1, 2, 3, -1, -2, -3])
    show = lambda v: "" if v is None else str(v)
    return f"{show(lo)}:{show(hi)}" + ("" if step is None else f":{step}"), slice(lo, hi, step)


def random_index(rng, shape):
    """The text of an index and what NumPy takes for it."""
    text, value, axis = [], [], 0
    stop = rng.randint(1, len(shape))
    dots = rng.random() < 0.3
    while axis < stop:
        kind = rng.random()
        if kind < 0.1:
            text.append("newaxis"), value.append(None)
            continue
        if dots and kind < 0.3:
            text.append("..."), value.append(Ellipsis)
            axis = len(shape) - (stop - axis)
            stop, dots = len(shape), False
            if axis >= stop:
                break
            continue
        n = shape[axis]
        if kind < 0.6:
            t, v = random_slice(rng, n)
        elif kind < 0.7:
            v = rng.randrange(-n, n)
            t = str(v)
        elif kind < 0.8:
            t = rng.choice(list(SCALARS))
            v = SCALARS[t]
        elif kind < 0.9:
            v = [rng.randrange(-n, n) for _ in range(rng.choice([1, 3]))]
            t = str(v)
        else:
            t = rng.choice(list(ARRAYS))
            v = ARRAYS[t]
        text.append(t), value.append(v)
        axis += 1
    return ", ".join(text), tuple(np.asarray(v) if isinstance(v, list) else v for v in value)


def cases(seed, n):
    rng, out = random.Random(seed), []
    x = arrays()
    while len(out) < n:
        name = rng.choice(list(SHAPES))
        text, value = random_index(rng, SHAPES[name])
        try:
            want = x[name][value]
        except IndexError:
            continue
        out.append((name, text, value, want))
    return out


def program(lines, count):
    result = ", ".join(f"r{i}" for i in range(count))
    return f"export fn main({PARAMS}, {RUNTIME}) {{\n{lines}  return {result};\n}}\n"


ENGINES = pytest.mark.parametrize("compiled", [False, True], ids=["interp", "C"])
SEEDS = pytest.mark.parametrize("seed, compiled", [(0, False), (1, False), (2, False), (3, True)])


@SEEDS
def test_read(mlxcc, seed, compiled):
    todo = cases(seed, 60 if compiled else 150)
    text = program("".join(f"  let r{i} = {n}[{t}];\n" for i, (n, t, _, _) in enumerate(todo)), len(todo))
    for got, (n, t, _, want) in zip(run(mlxcc, text, compiled=compiled, **arrays()), todo, strict=True):
        assert got.shape == want.shape and (got == want).all(), f"{n}[{t}]: {got.tolist()} is not {want.tolist()}"


def value_for(rng, shape):
    """A value that broadcasts to shape, as text over the iota parameter, and as an array."""
    if rng.random() < 0.3:
        return "-7", np.int32(-7)
    shape = list(shape)
    for k in range(len(shape)):
        if rng.random() < 0.2:
            shape[k] = 1
    shape = shape[rng.choice([0, 0, 0, 1]):] if len(shape) > 1 else shape
    n = int(np.prod(shape))
    text = f"(1000 + arange({n})).reshape({', '.join(map(str, shape))})" if shape else "i32(1000)"
    return text, 1000 + np.arange(n, dtype=np.int32).reshape(shape)


@SEEDS
def test_assign(mlxcc, seed, compiled):
    rng, todo, lines = random.Random(seed + 100), cases(seed + 50, 60 if compiled else 120), ""
    want = []
    for i, (n, t, value, sel) in enumerate(todo):
        text, v = value_for(rng, sel.shape)
        lines += f"  var r{i} = {n};\n  r{i}[{t}] = {text};\n"
        y = arrays()[n].copy()
        y[value] = v
        want.append(y)
    for got, w, (n, t, _, _) in zip(run(mlxcc, program(lines, len(todo)), compiled=compiled, **arrays()), want, todo, strict=True):
        assert (got == w).all(), f"{n}[{t}] = v: {got.tolist()} is not {w.tolist()}"


UFUNC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "maximum": np.maximum, "minimum": np.minimum}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("mode", list(UFUNC))
def test_accumulate(mlxcc, mode, compiled):
    rng, todo, lines = random.Random(mode), cases(mode, 25 if compiled else 60), ""
    want = []
    for i, (n, t, value, sel) in enumerate(todo):
        text, v = value_for(rng, sel.shape)
        lines += f"  let r{i} = {n}.at[{t}].{mode}({text});\n"
        y = arrays()[n].copy()
        UFUNC[mode].at(y, value, v)
        want.append(y)
    for got, w, (n, t, _, _) in zip(run(mlxcc, program(lines, len(todo)), compiled=compiled, **arrays()), want, todo, strict=True):
        assert (got == w).all(), f"{n}.at[{t}].{mode}: {got.tolist()} is not {w.tolist()}"


@ENGINES
def test_augmented_assignment_does_not_add_up(mlxcc, compiled):
    text = "export fn main(x: f32[4], p: i32[3]) -> (f32[4], f32[4]) { var y = x; y[p] += 1; return y, x.at[p].add(1); }"
    x, p = np.zeros(4, np.float32), np.array([1, 1, 3], np.int32)
    y = x.copy()
    y[p] += 1
    z = x.copy()
    np.add.at(z, p, 1)
    got = run(mlxcc, text, compiled=compiled, x=x, p=p)
    assert (got[0] == y).all() and (got[1] == z).all()


@ENGINES
def test_out_of_range_at_run_time(mlxcc, compiled):
    """Reads clamp, writes drop, a slice's start moves so that it fits; negative indices wrap once."""
    text = """export fn main(x: i32[5], i: i32, j: i32, p: i32[4]) {
  var a, b, c = x, x, x;
  a[i] = -1;
  b[p] = -2;
  c[i : i + 2] = -3;
  return x[i], x[j], x[p], x[i : i + 3], x[j : j + 3], a, b, c;
}"""
    x = np.arange(5, dtype=np.int32)
    got = run(mlxcc, text, compiled=compiled, x=x, i=np.int32(7), j=np.int32(-9), p=np.array([9, -1, 2, -8], np.int32))
    want = [4, 0, [4, 4, 2, 0], [2, 3, 4], [0, 1, 2], x, [0, 1, -2, 3, -2], [0, 1, 2, -3, -3]]
    for g, w in zip(got, want, strict=True):
        assert (g == np.asarray(w)).all(), (g, w)


@ENGINES
def test_masks(mlxcc, compiled):
    text = """export fn main(x: f32[3, 4], m: bool[3, 4], r: bool[3], c: bool[4], v: f32[4]) {
  var a, b, d, e, f = x, x, x, x, x;
  a[m] = 0;
  b[r] = v;
  d[:, c] = 7;
  e[..., c] = -1;
  f[x > 5] *= 2;
  return a, b, d, e, f, x.at[r].maximum(5);
}"""
    rng = np.random.default_rng(0)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    m, r, c = rng.random((3, 4)) > 0.5, np.array([True, False, True]), np.array([False, True, True, False])
    v = np.array([9, 8, 7, 6], np.float32)
    a, b, d, e, f = (x.copy() for _ in range(5))
    a[m] = 0
    b[r] = v
    d[:, c] = 7
    e[..., c] = -1
    f[x > 5] *= 2
    h = x.copy()
    h[r] = np.maximum(h[r], 5)
    for got, want in zip(run(mlxcc, text, compiled=compiled, x=x, m=m, r=r, c=c, v=v), [a, b, d, e, f, h], strict=True):
        assert (got == want).all()


@ENGINES
def test_masked_rows_in_order(mlxcc, compiled):
    """x[mask] = v with as many elements as the mask has true ones, as NumPy and MLX."""
    x = np.arange(6, dtype=np.float32)
    m = np.array([True, False, True, True, False, False])
    v = np.array([10, 20, 30], np.float32)
    y = x.copy()
    y[m] = v
    got, = run(mlxcc, "export fn main(x: f32[6], m: bool[6], v: f32[3]) { var y = x; y[m] = v; return y; }", compiled=compiled, x=x, m=m, v=v)
    assert (got == y).all()


@ENGINES
def test_dimensions(mlxcc, compiled):
    """Bounds that are dimensions or numbers over a dimension, run at several sizes."""
    exprs = ["x[1:]", "x[:-1]", "x[1:-1]", "x[::-1]", "x[::2]", "x[1::2]", "x[-1]", "x[0]", "x[N - 1]", "x[:N // 2]", "x[N // 2:]", "x[2:5]", "x[-3:]",
             "x[::-2]", "x[N - 2::-1]", "y[:, 1:]", "y[1:, -1]", "x[K : K + 2]", "y[..., 0]", "x[3:1]", "x[-3:-1]", "y[:K]"]
    body = "".join(f"  let r{i} = {e};\n" for i, e in enumerate(exprs))
    text = f"""dim K in 1..2;
export fn main(x: i32[N], y: i32[M, N], z: i32[K]) {{
  assert N >= 5 and M >= 2;
{body}  return {", ".join(f"r{i}" for i in range(len(exprs)))};
}}"""
    for N, M, K in [(5, 2, 1), (8, 3, 2), (7, 2, 2)]:
        x, y = np.arange(N, dtype=np.int32), np.arange(M * N, dtype=np.int32).reshape(M, N)
        got = run(mlxcc, text, compiled=compiled, x=x, y=y, z=np.zeros(K, np.int32))
        for g, e in zip(got, exprs, strict=True):
            w = eval(e)
            assert g.shape == np.shape(w) and (g == w).all(), (e, N, g, w)


@ENGINES
def test_run_time_slices(mlxcc, compiled):
    text = """export fn main(x: i32[10], t: i32) {
  var total = 0;
  for i in 0..4 { total += sum(x[i * 2 : i * 2 + 4]); }
  var y = x;
  for i in 0..3 { y[i * 3 : i * 3 + 2] = i; }
  return x[t : t + 4], x[t + 1 : t + 5 : 2], x[t + 3 : t - 1 : -1], x[t + 3 : t - 1 : -2], total, y;
}"""
    x, t = np.arange(10, dtype=np.int32) ** 2, 3
    y = x.copy()
    for i in range(3):
        y[i * 3:i * 3 + 2] = i
    want = [x[t:t + 4], x[t + 1:t + 5:2], x[t + 3:t - 1:-1], x[t + 3:t - 1:-2], sum(x[2 * i:2 * i + 4].sum() for i in range(4)), y]
    for g, w in zip(run(mlxcc, text, compiled=compiled, x=x, t=np.int32(t)), want, strict=True):
        assert (g == w).all(), (g, w)


@ENGINES
def test_take_and_put(mlxcc, compiled):
    text = """export fn main(x: f32[3, 4], p: i32[2], q: i32[3, 2], v: f32[3, 2]) {
  return take(x, p), take(x, p, axis=1), take(x, -1, axis=0), take_along_axis(x, q), take_along_axis(x, q.T[:, :1] % 3, axis=0),
         put_along_axis(x, q, v, axis=1), put_along_axis(x, p, 5.0), slice(x, [1, p[0]], (0, 1), (2, 2)), slice_update(x, v[:2], [1, 2], (0, 1));
}"""
    x, p = np.arange(12, dtype=np.float32).reshape(3, 4), np.array([2, 0], np.int32)
    q, v = np.array([[0, 3], [-1, 2], [1, 0]], np.int32), 50 + np.arange(6, dtype=np.float32).reshape(3, 2)
    put, flat, upd = x.copy(), x.copy(), x.copy()
    np.put_along_axis(put, q, v, axis=1)
    flat.flat[p] = 5
    upd[1:3, 2:4] = v[:2]
    want = [np.take(x, p), np.take(x, p, axis=1), x[-1], np.take_along_axis(x, q, 1), np.take_along_axis(x, q.T[:, :1] % 3, 0), put, flat, x[1:3, 2:4], upd]
    for g, w in zip(run(mlxcc, text, compiled=compiled, x=x, p=p, q=q, v=v), want, strict=True):
        assert g.shape == w.shape and (g == w).all(), (g, w)


@ENGINES
def test_loops_that_write(mlxcc, compiled):
    """Writes by loop indices: the range is known from the loops, also where the inner one starts at the outer index."""
    text = """export fn main(x: i32[N, N], p: i32[N]) {
  assert N >= 2;
  var a, b, c, d = x, x, x, x;
  for i in 0..N { a[i, 1] = i; a[i] += 1; }
  for i in 0..N { for j in i + 1..N { b[i, j] = b[j, i] * 2; } }
  for i in N - 1..-1 step -1 { c[i] = c[N - 1 - i] + i; }
  for i in 0..N { d[p[i] % 2, i] = -i; d[argmax(x[:, i]), i] += 100; d[p[i], 0] += 1; }
  return a, b, c, d;
}"""
    for n in (2, 5):
        x = np.random.default_rng(n).integers(0, 50, (n, n)).astype(np.int32)
        p = np.random.default_rng(n).integers(-2 * n, 2 * n, n).astype(np.int32)
        a, b, c, d = (x.copy() for _ in range(4))
        for i in range(n):
            a[i, 1] = i
            a[i] += 1
        for i in range(n):
            for j in range(i + 1, n):
                b[i, j] = b[j, i] * 2
        for i in range(n - 1, -1, -1):
            c[i] = c[n - 1 - i] + i
        for i in range(n):
            d[p[i] % 2, i] = -i
            d[np.argmax(x[:, i]), i] += 100
            if -n <= p[i] < n:
                d[p[i], 0] += 1
        for g, w in zip(run(mlxcc, text, compiled=compiled, x=x, p=p), [a, b, c, d], strict=True):
            assert (g == w).all(), (g, w)


def is_decided(mlxcc, text):
    """An index over dimensions compiles, or the message names the assert to add."""
    code, err = fails(mlxcc, f"export fn main(x: i32[N, M], {RUNTIME}) {{ assert N >= 8 and M >= 8; return x[{text}]; }}")
    assert code == 0 or ("error[index.slice]" in err and "add `assert" in err), err
    return code == 0


@pytest.mark.parametrize("seed, compiled", [(0, False), (1, False), (2, True)])
def test_random_indices_over_dimensions(mlxcc, seed, compiled):
    """One program, read and assigned through, run at two sizes."""
    rng, todo, lines = random.Random(seed), [], ""
    while len(todo) < 40:
        text, value = random_index(rng, (7, 7))
        try:
            np.zeros((8, 9))[value], np.zeros((11, 8))[value]
        except IndexError:
            continue
        if is_decided(mlxcc, text):
            todo.append((text, value))
    for i, (t, _) in enumerate(todo):
        lines += f"  var r{i} = x;\n  r{i}[{t}] = -5;\n" if i % 2 else f"  let r{i} = x[{t}];\n"
    text = f"export fn main(x: i32[N, M], {RUNTIME}) {{\n  assert N >= 8 and M >= 8;\n{lines}  return {', '.join(f'r{i}' for i in range(len(todo)))};\n}}\n"
    for n, m in [(8, 9), (11, 8)]:
        x = np.arange(n * m, dtype=np.int32).reshape(n, m)
        scalars = {k: np.int32(v) for k, v in SCALARS.items()}
        for i, (got, (t, value)) in enumerate(zip(run(mlxcc, text, compiled=compiled, x=x, **scalars, **ARRAYS), todo, strict=True)):
            want = x.copy()
            if i % 2:
                want[value] = -5
            else:
                want = x[value]
            assert got.shape == want.shape and (got == want).all(), f"x[{t}] at {n}, {m}"


@pytest.mark.parametrize("body, needs", [("return x[i];", True), ("return x[p];", True), ("return x[0];", True), ("return sum(x[1:]);", True),
                                         ("return take_along_axis(x, p);", True), ("return sum(x[::2]);", False),
                                         ("var t = 0.0; for k in 0..N { t += x[k]; } return t;", False), ("var y = x; y[i] = 0; return y;", False)])
def test_an_axis_that_must_not_be_empty(mlxcc, tmp_path, body, needs):
    """What reads at a clamped index, or names an end by 0, 1 or -1, makes `N >= 1` a fact of the function; nothing else does."""
    f = tmp_path / "t.mx"
    f.write_text(f"export fn main(x: f32[N], i: i32, p: i32[3]) {{ {body} }}")
    r = subprocess.run([mlxcc, "--emit=ir", "--no-loc", str(f)], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert ("fact N-1 >= 0" in r.stdout) == needs, r.stdout
