"""Cases of the tensor ops: moving, indexing, reducing, scanning, sorting, products, random bits. Sums are expected bit for bit, in the
order that the op table states (row-major, one after the other, from the neutral element)."""
import itertools
import numpy as np
import op_kit
from op_kit import ALL, BF16, Case, DTYPES, FLOATS, INTS, NUM, Quoted, compute, is_float, near, ulps

INX = FLOATS + ["c64"]


def data(d, shape, seed=0, small=False):
    """Random elements: full range of integers (few distinct ones where small), floats with some equal ones."""
    r = np.random.default_rng([seed, *shape, ALL.index(d)])
    t = DTYPES[d]
    if d == "bool":
        return r.random(shape) < 0.5
    if d in INTS:
        i = np.iinfo(t)
        return r.integers(max(i.min, -3), 4, shape, dtype=t) if small else r.integers(i.min, i.max, shape, dtype=t, endpoint=True)
    x = r.integers(-4, 5, shape) / 2.0 if small else r.normal(size=shape)
    if d == "c64":
        x = x + 1j * (r.integers(-1, 2, shape) if small else r.normal(size=shape))
    return np.asarray(x).astype(t)


def with_nan(x, *places):
    x = x.copy()
    for k in places:
        x.reshape(-1)[k] = np.nan
    return x


def ramp(d, shape):
    return data(d, shape, 1)


# --- sources and moves ----------------------------------------------------------------------------------------------------------------
class Const(str):
    pass


def const_text(x):
    raw = np.ascontiguousarray(x)
    body = raw.view("u1").tobytes().hex() if x.size else ""
    d = op_kit.NAME[x.dtype]
    shape = f"[{','.join(map(str, x.shape))}]" if x.ndim else ""
    return Const(f'{d}{shape}(hex "{body}")')


def const(d):
    for shape in [(), (3,), (2, 0), (70,)]:
        x = data(d, shape)
        yield Case("const", [], {"value": const_text(x)}, x)


def iota(d):
    if d in ("bool", "c64"):
        return
    for n in (0, 1, 100, 300):
        t = DTYPES[d]
        yield Case("iota", [], {"size": n, "dtype": d}, np.arange(n).astype("f4" if d in ("f16", "bf16") else "i8").astype(t))


def dimsize(d):
    if d == "i32":
        yield Case("dimsize", [], {"dim": 42}, np.int32(42))


def bitcast(d):
    x = ramp(d, (2, 8))
    for e in ALL:
        size = DTYPES[e].itemsize
        raw = np.ascontiguousarray(x).view("u1").reshape(2, -1)
        want = raw != 0 if e == "bool" else raw.view(f"u{size}").view(DTYPES[e]) if e != "c64" else raw.view("c8")
        if size == 8 and x.dtype.itemsize == 1 and e == "c64":
            want = raw.view("c8")
        yield Case("bitcast", [x], {"dtype": e}, want, dtype=d)
    if d != "bool":
        yield Case("bitcast", [ramp(d, ())], {"dtype": f"u{8 * x.dtype.itemsize}"}, ramp(d, ()).reshape(1).view(f"u{x.dtype.itemsize}").reshape(()))


def barrier(d):
    yield Case("barrier", [ramp(d, (3,)), ramp(d, ())], {}, [ramp(d, (3,)), ramp(d, ())])


def broadcast(d):
    for shape, to, dims in [((), (2, 3), []), ((3,), (2, 3), [1]), ((2,), (2, 3), [0]), ((2, 4), (2, 3, 4), [0, 2]), ((1,), (1, 5), [0]), ((0,), (0, 3), [0]), ((3,), (0, 3), [1])]:
        x = ramp(d, shape)
        want = np.broadcast_to(x.reshape([to[i] if i in dims else 1 for i in range(len(to))]), to)
        yield Case("broadcast", [x], {"shape": list(to), "dims": dims}, want)


def reshape(d):
    for shape, to in [((6,), (2, 3)), ((2, 3), (3, 2, 1)), ((1,), ()), ((), (1, 1)), ((0, 4), (2, 0))]:
        x = ramp(d, shape)
        yield Case("reshape", [x], {"shape": list(to)}, x.reshape(to))


def transpose(d):
    for shape, perm in [((2, 3), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((3,), [0]), ((), []), ((2, 0, 3), [1, 2, 0]), ((2, 1, 3, 2), [3, 1, 0, 2])]:
        x = ramp(d, shape)
        yield Case("transpose", [x], {"perm": perm}, x.transpose(perm))


def rev(d):
    for shape, axes in [((5,), [0]), ((2, 3), [1]), ((2, 3, 4), [0, 2]), ((0, 3), [0]), ((1, 3), [0, 1]), ((3,), [])]:
        x = ramp(d, shape)
        yield Case("rev", [x], {"axes": axes}, np.flip(x, axes) if axes else x)


def slice_(d):
    for shape, lo, hi, step in [((10,), [2], [7], [1]), ((10,), [0], [10], [3]), ((10,), [1], [9], [4]), ((4, 6), [1, 0], [3, 6], [1, 2]), ((5,), [5], [5], [1]), ((5,), [2], [2], [3]),
                                ((0, 3), [0, 1], [0, 2], [1, 1])]:
        x = ramp(d, shape)
        yield Case("slice", [x], {"lo": lo, "hi": hi, "step": step}, x[tuple(slice(*t) for t in zip(lo, hi, step))])


def pad_reference(x, fill, lo, hi, step):
    shape = [l + h + (n - 1) * s + 1 for n, l, h, s in zip(x.shape, lo, hi, step)]
    y = np.full(shape, fill, x.dtype)
    for at in itertools.product(*[range(n) for n in x.shape]):
        to = tuple(l + i * s for i, l, s in zip(at, lo, step))
        if all(0 <= t < n for t, n in zip(to, shape)):
            y[to] = x[at]
    return y


def pad(d):
    for shape, lo, hi, step in [((3,), [2], [1], [1]), ((3,), [-1], [-1], [1]), ((4,), [0], [0], [3]), ((4,), [-1], [2], [2]), ((4,), [-4], [-3], [3]), ((2, 3), [1, -1], [0, 2], [2, 1]), ((0,), [2], [3], [1]),
                                ((0,), [1], [3], [2]), ((3,), [-5], [4], [1]), ((1,), [3], [0], [5]), ((), [], [], [])]:
        x, fill = ramp(d, shape), data(d, (), 5)
        yield Case("pad", [x, fill], {"lo": lo, "hi": hi, "step": step}, pad_reference(x, fill, lo, hi, step))


def concat(d):
    for shapes, axis in [([(2,), (3,)], 0), ([(2, 1), (2, 3), (2, 0)], 1), ([(2, 2, 2), (1, 2, 2)], 0), ([(3,)], 0)]:
        xs = [data(d, s, k) for k, s in enumerate(shapes)]
        yield Case("concat", xs, {"axis": axis}, np.concatenate(xs, axis))


def clamp(s, n, size):
    return max(0, min(s, n - size))


def dslice(d):
    for shape, axes, sizes, starts in [((6,), [0], [3], [2]), ((6,), [0], [3], [5]), ((6,), [0], [3], [-2]), ((4, 5), [1], [2], [3]), ((4, 5), [0, 1], [2, 5], [9, 1]), ((4,), [0], [0], [2]), ((3, 3), [], [], [])]:
        x = ramp(d, shape)
        cut = [slice(None)] * len(shape)
        for a, n, s in zip(axes, sizes, starts):
            cut[a] = slice(clamp(s, shape[a], n), clamp(s, shape[a], n) + n)
        yield Case("dslice", [x, *map(np.int32, starts)], {"axes": axes, "sizes": sizes}, x[tuple(cut)])


def combine(mode, d, a, b):
    """a mode b in dtype d, rounded once."""
    t = DTYPES[d]
    if mode == "set":
        return b
    if d == "bool":
        return {"add": a | b, "mul": a & b, "max": a | b, "min": a & b}[mode]
    a, b = np.asarray(a).astype(DTYPES[compute(d)]), np.asarray(b).astype(DTYPES[compute(d)])
    if mode in ("max", "min") and d == "c64":
        return max(a, b, key=lambda z: (z.real, z.imag)) if mode == "max" else min(a, b, key=lambda z: (z.real, z.imag))
    with np.errstate(all="ignore"):
        return {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[mode](a, b).astype(t)


def dupdate(d):
    for shape, part, axes, starts in [((6,), (3,), [0], [2]), ((6,), (3,), [0], [5]), ((6,), (3,), [0], [-9]), ((4, 5), (4, 2), [1], [3]), ((4, 5), (2, 5), [0, 1], [1, 1]), ((4,), (0,), [0], [2])]:
        for mode in ("set", "add"):
            x, v = ramp(d, shape), data(d, part, 9)
            y, cut = x.copy(), [slice(None)] * len(shape)
            for a, s in zip(axes, starts):
                cut[a] = slice(clamp(s, shape[a], part[a]), clamp(s, shape[a], part[a]) + part[a])
            if v.size:
                y[tuple(cut)] = combine(mode, d, y[tuple(cut)], v)
            yield Case("dupdate", [x, v, *map(np.int32, starts)], {"axes": axes, "mode": Quoted(mode)}, y, dtype=d)


# --- gather and scatter -----------------------------------------------------------------------------------------------------------------
INDEXED = [  # shape of x, axes, nb, shape of idx
    ((5,), [0], 0, (4, 1)), ((5,), [0], 0, (1,)), ((4, 3), [0], 0, (6, 1)), ((4, 3), [1], 0, (2, 2, 1)), ((4, 3), [0, 1], 0, (5, 2)), ((3, 4, 2), [1], 1, (3, 2, 1)),
    ((2, 3, 4, 2), [1, 3], 1, (2, 3, 2)), ((3, 4), [1], 1, (3, 1)), ((4, 3), [0], 0, (0, 1)), ((2, 3), [], 0, (2, 0)), ((4, 3), [1, 0], 0, (3, 2)),
]


def rows(shape, axes, nb, idx, clamped):
    """For each index vector in row-major order: its position in idx, and the place in x with full slices, or None where outside."""
    for at in np.ndindex(*idx.shape[:-1]):
        place, ok = [slice(None)] * len(shape), True
        place[:nb] = at[:nb]
        for j, a in enumerate(axes):
            i = int(idx[at + (j,)])
            ok &= 0 <= i < shape[a]
            place[a] = max(0, min(i, shape[a] - 1))
        yield at, tuple(place) if ok or clamped else None


def indices(shape, axes, idx_shape, seed):
    r = np.random.default_rng([seed, *idx_shape])
    idx = np.empty(idx_shape, np.int32)
    for j, a in enumerate(axes):
        idx[..., j] = r.integers(-2, shape[a] + 2, idx_shape[:-1])
    return idx


def gather(d):
    for shape, axes, nb, idx_shape in INDEXED:
        x, idx = ramp(d, shape), indices(shape, axes, idx_shape, 3)
        rest = [n for i, n in enumerate(shape) if i >= nb and i not in axes]
        for oob in ("clamp", "zero"):
            y = np.zeros([*idx_shape[:-1], *rest], x.dtype)
            for at, place in rows(shape, axes, nb, idx, oob == "clamp"):
                if place is not None:
                    y[at] = x[place]
            yield Case("gather", [x, idx], {"axes": axes, "nb": nb, "oob": Quoted(oob)}, y, dtype=d)


def scatter(d):
    for shape, axes, nb, idx_shape in INDEXED:
        x, idx = ramp(d, shape), indices(shape, axes, idx_shape, 4)
        rest = [n for i, n in enumerate(shape) if i >= nb and i not in axes]
        v = data(d, (*idx_shape[:-1], *rest), 8)
        for oob, mode in itertools.product(("clamp", "drop"), ("set", "add", "max", "min", "mul")):
            y = x.copy()
            for at, place in rows(shape, axes, nb, idx, oob == "clamp"):
                if place is None:
                    continue
                if d == "c64" and mode in ("max", "min") and np.ndim(y[place]):
                    y[place] = [combine(mode, d, a, b) for a, b in zip(y[place].reshape(-1), v[at].reshape(-1))] if y[place].ndim == 1 else np.reshape(
                        [combine(mode, d, a, b) for a, b in zip(y[place].reshape(-1), v[at].reshape(-1))], y[place].shape)
                else:
                    y[place] = combine(mode, d, y[place], v[at])
            yield Case("scatter", [x, idx, v], {"axes": axes, "nb": nb, "oob": Quoted(oob), "mode": Quoted(mode)}, y, near(1e-6) if d == "c64" else None, dtype=d)


# --- reductions and scans -----------------------------------------------------------------------------------------------------------------
REDUCED = [((5,), [0]), ((4, 3), [0]), ((4, 3), [1]), ((2, 3, 4), [0, 2]), ((2, 3, 4), [1]), ((3, 4), [0, 1]), ((3,), []), ((), []), ((0, 3), [0]), ((3, 0), [1]), ((1, 4), [0]), ((2, 0, 3), [0])]


def flattened(x, axes):
    keep = [i for i in range(x.ndim) if i not in axes]
    return x.transpose(keep + axes).reshape([x.shape[i] for i in keep] + [-1] if x.size else [x.shape[i] for i in keep] + [int(np.prod([x.shape[i] for i in axes]))])


def sequential(ufunc, start, x, d):
    """x reduced over its last axis, one after the other from start, in the compute dtype."""
    c = DTYPES[compute(d)]
    x = np.concatenate([np.full((*x.shape[:-1], 1), start, c), x.astype(c)], -1)
    with np.errstate(all="ignore"):
        return ufunc.accumulate(x, axis=-1, dtype=c)[..., -1].astype(DTYPES[d])


def by_lanes(ufunc, start, x, axes, d):
    """x reduced over axes, the last of them x's last: 64 partial results along it, which are folded by halving."""
    c = DTYPES[compute(d)]
    keep = [i for i in range(x.ndim) if i not in axes]
    rows = x.transpose(keep + axes).reshape([x.shape[i] for i in keep] + [int(np.prod([x.shape[i] for i in axes[:-1]])), x.shape[-1]]).astype(c)
    part = np.full((*rows.shape[:-2], 64), start, c)
    with np.errstate(all="ignore"):
        for r in range(rows.shape[-2]):
            for j in range(0, rows.shape[-1], 64):
                n = min(64, rows.shape[-1] - j)
                part[..., :n] = ufunc(part[..., :n], rows[..., r, j:j + n])
        for half in (32, 16, 8, 4, 2, 1):
            part[..., :half] = ufunc(part[..., :half], part[..., half:2 * half])
    return part[..., 0].astype(DTYPES[d])


LONG = [((70,), [0]), ((2, 129), [1]), ((3, 2, 65), [0, 2]), ((65, 2), [0])]


def reduce_arith(op, ufunc, start, d):
    for shape, axes in REDUCED + LONG:
        x = data(d, shape, 2)
        x = x / 7 + 1 if op == "reduce_prod" and x.size > 60 and is_float(d) else x
        x = x.astype(DTYPES[d])
        last = len(shape) - 1 in axes
        want = by_lanes(ufunc, start, x, axes, d) if last else sequential(ufunc, start, flattened(x, axes), d)
        yield Case(op, [x], {"axes": axes}, want, near(1e-5, 1e-6) if d == "c64" else None)


def extreme(d, largest):
    if d == "bool":
        return not largest if False else largest
    if d in INTS:
        return np.iinfo(DTYPES[d]).max if largest else np.iinfo(DTYPES[d]).min
    v = np.inf if largest else -np.inf
    return complex(v, v) if d == "c64" else v


def reduce_best(op, d):
    largest = op == "reduce_max"
    for shape, axes in REDUCED:
        x = data(d, shape, 2, small=True)
        for x in [x, with_nan(x, 0)] if d in INX and x.size else [x]:
            f = flattened(x, axes)
            pads = np.full((*f.shape[:-1], 1), extreme(d, not largest), f.dtype)
            f = np.concatenate([pads, f], -1)
            f = f.astype(DTYPES[compute(d)])
            want = (np.max if largest else np.min)(f, -1).astype(DTYPES[d])
            yield Case(op, [x], {"axes": axes}, want, near(0))


def reduce_logic(op, d):
    if d == "bool":
        for shape, axes in REDUCED:
            x = data(d, shape, 2)
            yield Case(op, [x], {"axes": axes}, (np.all if op == "reduce_and" else np.any)(x, tuple(axes)))


def arg(op, d):
    for shape, axis in [((5,), 0), ((4, 3), 0), ((4, 3), 1), ((2, 3, 4), 1), ((1,), 0), ((0, 3), 1), ((7, 1), 0)]:
        x = data(d, shape, 2, small=True)
        for x in [x, with_nan(x, 1, -1)] if d in INX and x.size > 2 else [x]:
            c = x.astype(DTYPES[compute(d)])
            yield Case(op, [x], {"axis": axis}, getattr(np, op)(c, axis).astype("u4"))


SCANNED = [((5,), 0), ((4, 3), 0), ((4, 3), 1), ((2, 3, 4), 1), ((0,), 0), ((3, 0), 0), ((1, 2), 0)]


def scanned(step, start, xs, axis, reverse, exclusive, d):
    """step(state, *rows) along axis in the compute dtype; rows are arrays without that axis."""
    c = DTYPES[compute(d)]
    xs = [np.moveaxis(x, axis, 0).astype(c) for x in xs]
    order = range(len(xs[0]))[::-1] if reverse else range(len(xs[0]))
    y = np.empty(xs[0].shape, c)
    state = np.full(xs[0].shape[1:], start, c)
    with np.errstate(all="ignore"):
        for i in order:
            if exclusive:
                y[i] = state
            state = np.asarray(step(state, *[x[i] for x in xs])).astype(c)
            if not exclusive:
                y[i] = state
        return np.moveaxis(y, 0, axis).astype(DTYPES[d])


def scan_arith(op, step, start, d, close=None):
    for (shape, axis), reverse, exclusive in itertools.product(SCANNED, (False, True), (False, True)):
        x = data(d, shape, 2)
        yield Case(op, [x], {"axis": axis, "reverse": reverse, "exclusive": exclusive}, scanned(step, start, [x], axis, reverse, exclusive, d), close or (near(1e-5) if d == "c64" else None))


def wide_logaddexp(d):
    def step(s, x):
        if d == "c64":
            m, n = np.where(s.real >= x.real, s, x), np.where(s.real >= x.real, x, s)
            return np.where(np.isinf(n.real), m, m + np.log1p(np.exp(n - m)))
        return np.logaddexp(s, x)
    return step


def cumlogsumexp(d):
    if d in INX:
        eps = {"f16": 2e-3, "bf16": 2e-2, "f32": 1e-6, "f64": 1e-14, "c64": 1e-5}[d]
        yield from scan_arith("cumlogsumexp", wide_logaddexp(d), -np.inf, d, near(eps, eps))


def cum_best(op, d):
    for (shape, axis), reverse in itertools.product(SCANNED, (False, True)):
        x = data(d, shape, 2, small=True)
        for x in [x, with_nan(x, 1)] if d in INX and x.size > 2 else [x]:
            m = np.moveaxis(x, axis, 0)
            c = m.astype(DTYPES[compute(d)])
            y, idx = np.empty_like(m), np.empty(m.shape, np.int32)
            order = range(len(m))[::-1] if reverse else range(len(m))
            for lane in np.ndindex(*m.shape[1:]):
                best = None
                for i in order:
                    a, b = c[(i, *lane)], None if best is None else c[(best, *lane)]
                    if best is None or (b == b and (a != a or (key(a) > key(b) if op == "cummax" else key(a) < key(b)))):
                        best = i
                    y[(i, *lane)], idx[(i, *lane)] = m[(best, *lane)], best
            yield Case(op, [x], {"axis": axis, "reverse": reverse}, [np.moveaxis(y, 0, axis), np.moveaxis(idx, 0, axis)])


def key(z):
    return (z.real, z.imag) if np.iscomplexobj(z) else z


def linrec(d):
    for (shape, axis), reverse in itertools.product(SCANNED, (False, True)):
        a, b = data(d, shape, 2), data(d, shape, 3)
        c = compute(d)
        step = lambda h, a, b: (h * a).astype(DTYPES[c]) + b
        yield Case("linrec", [a, b], {"axis": axis, "reverse": reverse}, scanned(step, 0, [a, b], axis, reverse, False, d), near(1e-5) if d == "c64" else None)


# --- sort, products, random bits -------------------------------------------------------------------------------------------------------------
def sort(d):
    for shape, axis in [((9,), 0), ((4, 5), 0), ((4, 5), 1), ((2, 7, 2), 1), ((0,), 0), ((1, 3), 0), ((40,), 0), ((500,), 0), ((3, 70), 1)]:
        x = data(d, shape, 2, small=True)
        for x in [x, with_nan(x, 0, 3)] if d in INX and x.size > 4 else [x]:
            if d == "c64":
                x[np.isnan(x)] = complex(np.nan, np.nan)
            c = x.astype(DTYPES[compute(d)])
            p = np.argsort(c, axis, kind="stable")
            yield Case("sort", [x], {"axis": axis}, [np.take_along_axis(x, p, axis), p.astype("i4")])


def topk(d):
    for shape, axis, k in [((9,), 0, 4), ((4, 5), 0, 4), ((4, 5), 1, 1), ((2, 7, 2), 1, 3), ((3,), 0, 0), ((0,), 0, 0), ((300,), 0, 5), ((300,), 0, 299)]:
        x = data(d, shape, 2, small=True)
        for x in [x, with_nan(x, 0, 3)] if d in INX and x.size > 4 else [x]:
            if d == "c64":
                x[np.isnan(x)] = complex(np.nan, np.nan)
            p = np.take(np.argsort(x.astype(DTYPES[compute(d)]), axis, kind="stable"), range(shape[axis] - k, shape[axis]), axis)
            yield Case("topk", [x], {"axis": axis, "size": k}, [np.take_along_axis(x, p, axis), p.astype("i4")])


def searchsorted(d):
    for n, shape, right in itertools.product((0, 1, 8), ((6,), (), (2, 3)), (False, True)):
        table, v = np.sort(data(d, (n,), 2, small=True).astype(DTYPES[compute(d)])), data(d, shape, 3, small=True)
        want = np.searchsorted(table, v.astype(table.dtype), "right" if right else "left")
        yield Case("searchsorted", [table.astype(DTYPES[d]), v], {"right": right}, np.asarray(want).astype("u4"))


DOTS = [  # x, y, contract, batch
    ((3, 4), (4, 5), ([1], [0]), ([], [])), ((4,), (4,), ([0], [0]), ([], [])), ((3, 4), (4,), ([1], [0]), ([], [])), ((2, 3, 4), (2, 4, 5), ([2], [1]), ([0], [0])),
    ((3, 4), (5, 4), ([1], [1]), ([], [])), ((2, 3), (4,), ([], []), ([], [])), ((2, 3, 4), (3, 2, 5), ([0, 1], [1, 0]), ([], [])), ((4, 2, 3), (3, 5, 2), ([0], [1]), ([2, 1], [0, 2])) if False else
    ((4, 2, 3), (3, 4, 2), ([0], [1]), ([2, 1], [0, 2])), ((3, 0), (0, 2), ([1], [0]), ([], [])), ((0, 3), (3, 2), ([1], [0]), ([], [])), ((), (), ([], []), ([], [])), ((1, 1), (1, 3), ([1], [0]), ([], [])),
    ((2, 1543), (1543, 3), ([1], [0]), ([], [])), ((2, 3, 300), (300, 3, 2), ([1, 2], [1, 0]), ([], [])), ((3, 150), (150,), ([1], [0]), ([], [])), ((1, 150), (3, 150), ([1], [1]), ([], [])),
    ((1, 900), (900, 3), ([1], [0]), ([], [])), ((200,), (200,), ([0], [0]), ([], [])), ((2, 1, 70), (2, 70, 3), ([2], [1]), ([0], [0])),
]


def sum_of_products(p, q, lanes):
    """p[b, n, k] q[b, k, m] in the order of ir/dot.h."""
    c, (b, n, k), m = p.dtype, p.shape, q.shape[2]
    if lanes:
        part = np.zeros((64, b, n, m), c)
        for i in range(k):
            part[i % 64] += p[:, :, i, None] * q[:, i, None, :]
        while len(part) > 1:
            part = part[:len(part) // 2] + part[len(part) // 2:]
        return part[0]
    acc = np.zeros((b, n, m), c)
    block = 768 if c in (np.float32, np.float64) else max(k, 1)
    for first in range(0, k, block):
        s = np.zeros((b, n, m), c)
        for i in range(first, min(k, first + block)):
            s = (s + (p[:, :, i, None] * q[:, i, None, :]).astype(c)).astype(c)
        acc = acc + s
    return acc


def dot(d):
    c = DTYPES[compute(d)]
    for xs, ys, (xc, yc), (xb, yb) in DOTS:
        x, y = data(d, xs, 2), data(d, ys, 3)
        xf, yf = [i for i in range(len(xs)) if i not in xc + xb], [i for i in range(len(ys)) if i not in yc + yb]
        shape = [xs[i] for i in xb + xf] + [ys[i] for i in yf]
        b, n, k, m = (int(np.prod([s[i] for i in a])) for s, a in ((xs, xb), (xs, xf), (xs, xc), (ys, yf)))
        p = x.transpose(xb + xf + xc).reshape(b, n, k).astype(c)
        q = y.transpose(yb + yc + yf).reshape(b, k, m).astype(c)
        last = (yc, len(ys)) if n == 1 else (xc, len(xs))
        lanes = c in (np.float32, np.float64) and (n == 1 or m == 1) and last[0] == [last[1] - 1]
        acc = sum_of_products(p, q, lanes)
        yield Case("dot", [x, y], {"lhs_contract": xc, "rhs_contract": yc, "lhs_batch": xb, "rhs_batch": yb}, acc.reshape(shape).astype(DTYPES[d]), near(1e-5, 1e-6) if d == "c64" else None)


def conv_of(c, nb=0, **more):
    """Attributes of a convolution over n axes from what differs from the plain one."""
    n = c if isinstance(c, int) else len(c)
    at = {"nb": nb, "step": [1] * n, "lo": [0] * n, "hi": [0] * n, "dilation": [1] * n, "spread": [1] * n, "groups": 1, "flip": False}
    return at | more


CONVS = [  # x, w, attributes
    ((2, 5, 3), (4, 3, 3), conv_of(1)), ((1, 6, 2), (3, 2, 2), conv_of(1, step=[2], lo=[1], hi=[2])), ((2, 7, 2), (2, 3, 2), conv_of(1, dilation=[2], lo=[3], hi=[1])),
    ((1, 4, 2), (3, 3, 2), conv_of(1, spread=[3], lo=[2], hi=[1])), ((1, 4, 2), (3, 3, 2), conv_of(1, spread=[2], step=[3], dilation=[2], lo=[2], hi=[3], flip=True)),
    ((2, 4, 5, 3), (2, 3, 2, 3), conv_of(2, lo=[1, 0], hi=[1, 1])), ((1, 5, 5, 4), (6, 3, 3, 2), conv_of(2, groups=2, lo=[1, 1], hi=[1, 1], step=[2, 1])),
    ((1, 5, 4, 6), (6, 3, 3, 1), conv_of(2, groups=6, lo=[1, 1], hi=[1, 1])), ((2, 3, 3, 2), (4, 2, 2, 1), conv_of(2, groups=2, flip=True)), ((2, 3, 4, 3), (5, 1, 1, 3), conv_of(2)),
    ((1, 3, 4, 3, 2), (2, 2, 3, 2, 2), conv_of(3, lo=[0, 1, -1], hi=[1, 1, 0])), ((3, 2, 5, 2), (3, 4, 3, 2), conv_of(1, nb=1, lo=[1], hi=[1])), ((3, 2), (4, 2), conv_of(0)),
    ((1, 6, 2), (2, 3, 2), conv_of(1, lo=[-2], hi=[-1])), ((0, 5, 2), (3, 2, 2), conv_of(1)), ((1, 5, 0), (3, 2, 0), conv_of(1)),
    ((1, 2, 3), (2, 3, 3), conv_of(1)), ((2, 3, 3), (0, 2, 3), conv_of(1)),
]


def conv_reference(x, w, at, c):
    """One product after the other, taps row-major, channels innermost, in dtype c; from 0."""
    nb, n, groups = at["nb"], len(at["step"]), at["groups"]
    if nb:
        return np.stack([conv_reference(a, b, at | {"nb": nb - 1}, c) for a, b in zip(x, w)])
    ks, per = w.shape[1:1 + n], w.shape[0] // groups
    room = [(s - 1) * r + l + h - (k - 1) * d for s, k, r, l, h, d in zip(x.shape[1:], ks, at["spread"], at["lo"], at["hi"], at["dilation"])]
    out = [r // s + 1 for r, s in zip(room, at["step"])]
    y = np.zeros((x.shape[0], *out, w.shape[0]), c)
    for s in np.ndindex(*out):
        for k in np.ndindex(*ks):
            p = [i * st + j * d - l for i, st, j, d, l in zip(s, at["step"], k, at["dilation"], at["lo"])]
            if any(q < 0 or q % r or q // r >= m for q, r, m in zip(p, at["spread"], x.shape[1:])):
                continue
            row = x[(slice(None), *[q // r for q, r in zip(p, at["spread"])])].astype(c).reshape(x.shape[0], groups, w.shape[-1])
            tap = w[(slice(None), *[m - 1 - j if at["flip"] else j for j, m in zip(k, ks)])].astype(c).reshape(groups, per, w.shape[-1])
            for i in range(w.shape[-1]):
                at_s = (slice(None), *s)
                y[at_s] = (y[at_s] + (row[:, :, i, None] * tap[None, :, :, i]).astype(c).reshape(y.shape[0], y.shape[-1])).astype(c)
    return y


def conv(d):
    for xs, ws, at in CONVS:
        x, w = data(d, xs, 2), data(d, ws, 3)
        with np.errstate(all="ignore"):
            want = conv_reference(x, w, at, DTYPES[compute(d)]).astype(DTYPES[d])
        yield Case("conv", [x, w], at, want, near(1e-5, 1e-6) if d == "c64" else None)


WINDOWS = [  # shape, axes, sizes, step, dilation
    ((7,), [0], [3], [1], [1]), ((8, 2), [0], [3], [2], [1]), ((2, 9, 3), [1], [2], [3], [4]), ((2, 5, 6, 2), [1, 2], [3, 2], [2, 1], [1, 2]), ((4, 5), [0, 1], [2, 2], [2, 2], [1, 1]),
    ((3, 2, 5), [0, 2], [2, 3], [1, 2], [1, 1]), ((2, 3), [], [], [], []), ((2, 3), [1], [4], [1], [1]), ((0, 5), [1], [2], [1], [1]),
]


def windowed(x, axes, sizes, step, dilation):
    """For each element of the windowed tensor the flat position in x that it comes from, as an array of its shape."""
    at = np.arange(x.size).reshape(x.shape)
    n = [(x.shape[a] - (k - 1) * d - 1) // s + 1 for a, k, s, d in zip(axes, sizes, step, dilation)]
    last = axes[-1] if axes else -1
    shape = list(x.shape)
    for a, m in zip(axes, n):
        shape[a] = m
    out = np.empty((*shape[:last + 1], *sizes, *shape[last + 1:]), int)
    for k in np.ndindex(*sizes):
        cut = [slice(None)] * x.ndim
        for a, m, j, s, d in zip(axes, n, k, step, dilation):
            cut[a] = slice(j * d, j * d + (m - 1) * s + 1, s) if m else slice(0, 0)
        out[(slice(None),) * (last + 1) + k] = at[tuple(cut)]
    return out


def window(d):
    for shape, axes, sizes, step, dilation in WINDOWS:
        x = data(d, shape, 2)
        at = windowed(x, axes, sizes, step, dilation)
        yield Case("window", [x], {"axes": axes, "sizes": sizes, "step": step, "dilation": dilation}, x.reshape(-1)[at])


def fold(d):
    for shape, axes, sizes, step, dilation in WINDOWS:
        c = DTYPES[compute(d)]
        at = windowed(np.empty(shape), axes, sizes, step, dilation)
        x, y = data(d, at.shape, 2), np.zeros(shape, c)
        flat = y.reshape(-1)
        with np.errstate(all="ignore"):
            for i, v in zip(at.reshape(-1), x.astype(c).reshape(-1)):
                flat[i] += v
        yield Case("fold", [x], {"axes": axes, "shape": [shape[a] for a in axes], "step": step, "dilation": dilation}, y.astype(DTYPES[d]), near(1e-5, 1e-6) if d == "c64" else None)


# --- Fourier transforms and factorisations --------------------------------------------------------------------------------------------------
LINES = [((12,), 0), ((2, 5, 3), 1), ((1,), 0), ((2,), 0), ((3, 4), 1), ((3, 4), 0), ((7, 2), 0), ((16,), 0), ((8, 17), 0), ((3, 30), 1), ((61,), 0), ((67, 2), 0), ((67,), 0), ((32,), 0), ((45, 2), 0),
         ((5, 64), 1), ((128,), 0), ((2, 256), 1), ((259,), 0), ((300,), 0), ((2, 512, 1), 1), ((1, 521), 1), ((0, 4), 1), ((2, 0), 0), ((20, 6), 1)]


def spectrum_close(n):
    return near(0, 3e-6 * max(n, 1) ** 0.5)


FACTOR = {"none": lambda n: 1, "size": lambda n: 1 / max(n, 1), "root": lambda n: max(n, 1) ** -0.5}


def lines():
    """Lines with a norm: none at all of them, the others here and there."""
    for k, (shape, axis) in enumerate(LINES):
        for norm in ["none"] + [["size"], ["root"], []][k % 3]:
            yield shape, axis, norm, FACTOR[norm](shape[axis])


def fft(d):
    if d == "c64":
        for (shape, axis, norm, by), inverse in itertools.product(lines(), (False, True)):
            x, n = data(d, shape, 2), shape[axis]
            want = (np.fft.ifft(x.astype("c16"), axis=axis) * n if inverse else np.fft.fft(x.astype("c16"), axis=axis)) * by if n else x
            yield Case("fft", [x], {"axis": axis, "inverse": inverse, "norm": Quoted(norm)}, want.astype("c8"), spectrum_close(n))


def rfft(d):
    if d == "f32":
        for shape, axis, norm, by in lines():
            x, n = data(d, shape, 2), shape[axis]
            want = np.fft.rfft(x.astype("f8"), axis=axis) * by if n else np.zeros([m if k != axis else 1 for k, m in enumerate(shape)])
            yield Case("rfft", [x], {"axis": axis, "norm": Quoted(norm)}, want.astype("c8"), spectrum_close(n))


def irfft(d):
    if d == "c64":
        for shape, axis, norm, by in lines():
            n = shape[axis]
            x = data(d, [m if k != axis else n // 2 + 1 for k, m in enumerate(shape)], 2)
            want = np.fft.irfft(x.astype("c16"), n, axis=axis) * n * by if n else np.zeros(shape)
            yield Case("irfft", [x], {"axis": axis, "size": n, "norm": Quoted(norm)}, want.astype("f4"), spectrum_close(n))


MATRICES = [(4, 4), (2, 3, 3), (1, 1), (9, 9), (2, 0, 0), (0, 3, 3), (33, 33), (70, 70)]
MATRIX_EPS = {"f32": 2e-5, "f64": 1e-13}


def definite(d, shape, seed=0):
    """Well-conditioned symmetric positive definite matrices."""
    x = np.random.default_rng([seed, *shape]).normal(size=shape)
    return (x @ np.swapaxes(x, -1, -2) / max(shape[-1], 1) + np.eye(shape[-1])).astype(DTYPES[d])


def cholesky(d):
    if d in MATRIX_EPS:
        for shape in MATRICES:
            a = definite(d, shape)
            want = np.linalg.cholesky(a.astype("f8")) if a.size else a
            upper = np.triu(np.full(shape[-2:], 7.0), 1).astype(a.dtype)  # not read
            yield Case("cholesky", [a + upper], {}, want.astype(a.dtype), near(MATRIX_EPS[d], MATRIX_EPS[d]))
        bad = np.stack([definite(d, (3, 3)), np.diag([1, -1, 2]).astype(DTYPES[d]), np.zeros((3, 3), DTYPES[d])])
        want = np.tril(np.full((3, 3, 3), np.nan))
        want[0] = np.linalg.cholesky(bad[0])
        yield Case("cholesky", [bad], {}, np.where(np.tri(3), want, 0).astype(bad.dtype), near(MATRIX_EPS[d], MATRIX_EPS[d]))


def trisolve(d):
    if d in MATRIX_EPS:
        for shape, (upper, transposed, unit) in itertools.product(MATRICES, itertools.product((False, True), repeat=3)):
            n = shape[-1]
            x = np.random.default_rng([7, *shape]).normal(size=shape) / (n + 1) ** 0.5
            a = (x + np.eye(n) * (1 if unit else 2)).astype(DTYPES[d])
            b = data(d, (*shape[:-1], {3: 1, 4: 5, 9: 40}.get(n, 2)), 3)
            t = (np.triu if upper else np.tril)(a).astype("f8")
            if unit:
                t = t * (1 - np.eye(n)) + np.eye(n)
            want = np.linalg.solve(np.swapaxes(t, -1, -2) if transposed else t, b.astype("f8")) if b.size else b
            yield Case("trisolve", [a, b], {"upper": upper, "transposed": transposed, "unit": unit}, want.astype(b.dtype), near(MATRIX_EPS[d], MATRIX_EPS[d] * np.abs(want).max(initial=1)))


def lu_reference(a):
    """Partial pivoting in f64, the first of equals."""
    lu, order = a.astype("f8"), np.arange(len(a))
    for k in range(len(a)):
        p = k + int(np.argmax(np.abs(lu[k:, k])))
        lu[[k, p]], order[[k, p]] = lu[[p, k]], order[[p, k]]
        lu[k + 1:, k] /= lu[k, k]
        lu[k + 1:, k + 1:] -= np.outer(lu[k + 1:, k], lu[k, k + 1:])
    return lu, order


def lu(d):
    if d in MATRIX_EPS:
        for shape in MATRICES:
            a = np.random.default_rng([3, *shape]).normal(size=shape).astype(DTYPES[d])
            both = [lu_reference(x) for x in a.reshape(-1, *shape[-2:])] if a.size else []
            want = np.array([x for x, _ in both]).reshape(shape).astype(a.dtype)
            order = np.array([p for _, p in both]).reshape(shape[:-1]).astype("i4")
            yield Case("lu", [a], {}, [want, order], near(50 * MATRIX_EPS[d], 50 * MATRIX_EPS[d]))


def jax_bits(key, shape, d):
    """JAX's original threefry draws MLX's bits (MLX offers u32 only, by split and uniform: test_ops_numpy compares those)."""
    import jax
    with jax.threefry_partitionable(False):
        return np.array(jax.random.bits(jax.random.wrap_key_data(key, impl="threefry2x32"), shape, DTYPES[d]))


def rng_bits(d):
    widths = {"u8": 1, "u16": 2, "u32": 4}
    if d not in widths:
        return
    for shape in [(1,), (2,), (3,), (7,), (8,), (2, 5), (101,), (), (0,)]:
        key = np.array([7, 0xdeadbeef], np.uint32)
        yield Case("rng_bits", [key], {"shape": list(shape), "width": widths[d]}, jax_bits(key, shape, d), dtype=d)
    keys = (np.arange(12, dtype=np.uint32) * np.uint32(77777777)).reshape(2, 3, 2)
    want = np.stack([np.stack([jax_bits(k, (5,), d) for k in row]) for row in keys])
    yield Case("rng_bits", [keys], {"shape": [5], "width": widths[d]}, want, dtype=d)


def only(dtypes, f):
    return lambda d: f(d) if d in dtypes else ()


CASES = {
    "const": const, "iota": iota, "dimsize": dimsize, "bitcast": bitcast, "barrier": barrier, "broadcast": broadcast, "reshape": reshape, "transpose": transpose, "rev": rev,
    "slice": slice_, "pad": pad, "concat": concat, "dslice": dslice, "dupdate": dupdate, "gather": gather, "scatter": scatter,
    "reduce_sum": only(NUM, lambda d: reduce_arith("reduce_sum", np.add, 0, d)), "reduce_prod": only(NUM, lambda d: reduce_arith("reduce_prod", np.multiply, 1, d)),
    "reduce_max": lambda d: reduce_best("reduce_max", d), "reduce_min": lambda d: reduce_best("reduce_min", d),
    "reduce_and": lambda d: reduce_logic("reduce_and", d), "reduce_or": lambda d: reduce_logic("reduce_or", d),
    "argmax": lambda d: arg("argmax", d), "argmin": lambda d: arg("argmin", d),
    "cumsum": only(NUM, lambda d: scan_arith("cumsum", np.add, 0, d)), "cumprod": only(NUM, lambda d: scan_arith("cumprod", np.multiply, 1, d)),
    "cummax": lambda d: cum_best("cummax", d), "cummin": lambda d: cum_best("cummin", d), "cumlogsumexp": cumlogsumexp, "linrec": only(NUM, linrec),
    "sort": sort, "topk": topk, "searchsorted": searchsorted, "dot": only(NUM, dot), "conv": only(NUM, conv), "window": window, "fold": only(NUM, fold), "rng_bits": rng_bits, "fft": fft, "rfft": rfft, "irfft": irfft, "cholesky": cholesky, "trisolve": trisolve, "lu": lu,
}


def tensor_cases():
    with np.errstate(all="ignore"):
        for f in CASES.values():
            for d in ALL:
                yield from f(d)
