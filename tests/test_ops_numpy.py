"""Every op at every dtype it takes, interpreted, against NumPy, SciPy, JAX and MLX; what it does not take is refused with a message."""
import mlx.core as mx
import ml_dtypes
import numpy as np
import pytest
import coverage
import op_cases_elem
import op_cases_tensor
import op_kit
from op_kit import ALL, Case, DTYPES, INTS, Program, Quoted

with np.errstate(all="ignore"):
    ELEM = {d: [] for d in ALL}
    TENSOR = {}
    for op, f in op_cases_tensor.CASES.items():
        TENSOR[op] = [c for d in ALL for c in f(d)]


def covered():
    """(op, dtype) pairs that the interpreter is tested on here; element-wise ones are walked from the table itself."""
    return {(c.op, c.dtype) for cases in TENSOR.values() for c in cases}


@pytest.fixture(scope="session")
def table(irtool):
    return op_kit.op_table(irtool)


@pytest.mark.parametrize("d", ALL)
def test_elementwise(d, irtool, table):
    with np.errstate(all="ignore"):
        program = Program(d, [c for c in op_cases_elem.elem_cases({op: (e, [d] if d in ds else [], at) for op, (e, ds, at) in table.items()})])
    assert not program.check(op_kit.interpret(irtool, program))


@pytest.mark.parametrize("op", TENSOR)
def test_tensor_op(op, irtool):
    program = Program(op, TENSOR[op])
    assert not program.check(op_kit.interpret(irtool, program))


def test_no_hole(irtool, table):
    """Every op has cases at every dtype, or refuses the dtype, or is tested by a named test elsewhere."""
    structure = {"print", "assert", "call", "loop", "cond"}
    have = covered()
    assert set(table) == {op for op, (e, _, _) in table.items() if e} | set(TENSOR) | structure
    for op in TENSOR:
        for d in set(ALL) - {x for o, x in have if o == op}:
            reason = coverage.reason(op, d)
            assert reason, f"{op} has no case at {d} and no reason"


# What a dtype that an op does not take is answered with.
REFUSED = {
    "reduce_sum": ({"axes": [0]}, 1), "reduce_prod": ({"axes": [0]}, 1), "reduce_and": ({"axes": [0]}, 1), "reduce_or": ({"axes": [0]}, 1),
    "cumsum": ({"axis": 0, "reverse": False, "exclusive": False}, 1), "cumprod": ({"axis": 0, "reverse": False, "exclusive": False}, 1),
    "cumlogsumexp": ({"axis": 0, "reverse": False, "exclusive": False}, 1), "linrec": ({"axis": 0, "reverse": False}, 2),
    "fft": ({"axis": 0, "inverse": False, "norm": Quoted("none")}, 1), "rfft": ({"axis": 0, "norm": Quoted("none")}, 1), "irfft": ({"axis": 0, "size": 4, "norm": Quoted("none")}, 1), "cholesky": ({}, 1), "lu": ({}, 1),
    "trisolve": ({"upper": False, "transposed": False, "unit": False}, 2),
    "dot": ({"lhs_contract": [0], "rhs_contract": [0], "lhs_batch": [], "rhs_batch": []}, 2),
}


def test_untaken_dtypes_are_refused(irtool, table):
    for op, (elementwise, dtypes, attrs) in table.items():
        if not elementwise and op not in REFUSED:
            continue
        for d in ALL:
            if d in dtypes or (not elementwise and (op, d) in covered()):
                continue
            at, nin = ({}, 3 if op == "select" else 2 if op in op_cases_elem.INT_OPS and op not in op_cases_elem.UNARY else 1) if elementwise else REFUSED[op]
            nin = 2 if op in ("div", "sub", "atan2", "logaddexp", "complex", "floordiv", "rem") else nin
            x = np.zeros(3, DTYPES[d])
            case = Case(op, [x] * nin, at, x[0] if not elementwise and "axes" in at or op == "dot" else x)
            message = op_kit.refused(irtool, Program("p", [case]).text)
            assert message and f"`{op}` takes" in message, f"{op} {d}: {message}"


def test_erfinv_over_the_whole_range(irtool):
    """f32 within 2 ulp, f64 within 8, against 40 digits."""
    import mpmath
    r = np.random.default_rng(0)
    x = np.concatenate([r.uniform(-1, 1, 1500), 1 - 10.0 ** r.uniform(-7, 0, 500), 10.0 ** r.uniform(-38, 0, 300)])
    for t, limit in ((np.float32, 2), (np.float64, 8)):
        a = x.astype(t)
        a = a[np.abs(a) < 1]
        with mpmath.workdps(40):
            want = np.array([mpmath.nstr(mpmath.erfinv(mpmath.mpf(float(v))), 25) for v in a], dtype=np.longdouble)
        got, = op_kit.interpret(irtool, Program("erfinv", [Case("erfinv", [a], {}, a)]))
        err = np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(want).astype(t)).astype(np.longdouble)
        assert err.max() <= limit, f"{t.__name__}: {err.max():.2f} ulp at {a[err.argmax()]}"


def test_random_bits_are_those_of_mlx(irtool):
    """MLX shows its words as split (pairs of u32) and as uniform (scaled to 24 bits); the second reaches odd counts."""
    key = np.array([3, 141592653], np.uint32)
    u32 = lambda n: op_kit.interpret(irtool, Program("bits", [Case("rng_bits", [key], {"shape": [n], "width": 4}, np.zeros(n, "u4"))]))[0]
    for n in (1, 2, 5, 64):
        assert np.array_equal(u32(2 * n), np.array(mx.random.split(mx.array(key), n)).reshape(-1))
    for n in (1, 3, 7, 101):
        want = np.array(mx.random.uniform(shape=(n,), key=mx.array(key)))
        assert np.allclose(u32(n) / 2.0 ** 32, want, rtol=0, atol=2.0 ** -23)


def test_convert_and_promotion_agree_with_mlx(irtool):
    """The sums that MLX's promotion makes: convert both operands, add."""
    for d in INTS:
        x = np.arange(0 if d[0] == "u" else -3, 4).astype(DTYPES[d])
        y = np.array(mx.array(x) + mx.array(np.float16(0.5)))
        got = op_kit.interpret(irtool, Program("p", [Case("convert", [x], {"dtype": "f16"}, x.astype("f2"))]))[0]
        assert np.array_equal(got + np.float16(0.5), y)


@pytest.mark.parametrize("mode", ["set", "add"])
def test_dupdate_agrees_with_mlx_slice_update(mode, irtool):
    x, v = np.arange(12, dtype="f4").reshape(3, 4), np.ones((2, 4), "f4")
    want = np.array(x)
    want[1:3] = v if mode == "set" else want[1:3] + v
    if mode == "set":
        assert np.array_equal(want, np.array(mx.slice_update(mx.array(x), mx.array(v), mx.array([1]), [0])))
    program = Program("p", [Case("dupdate", [x, v, np.int32(1)], {"axes": [0], "mode": Quoted(mode)}, want)])
    assert not program.check(op_kit.interpret(irtool, program))


def test_complex_functions_at_extremes(irtool):
    """Huge, tiny and infinite parts, where formulas overflow or cancel; NumPy in complex128 (its rsqrt and log1p fail at some of them)."""
    r = [0.0, -0.0, 1, -1, np.inf, -np.inf, 1e30, -1e30, 1e-40, 3e38, 88.9, -200, 0.7]
    z = np.array([complex(x, y) for x in r for y in r], np.complex64)
    ops = "exp log sqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh".split()
    got = op_kit.interpret(irtool, Program("p", [Case(op, [z], {}, z) for op in ops]))
    both = np.isinf(z.real) & np.isinf(z.imag)
    with np.errstate(all="ignore"):
        for op, g in zip(ops, got):
            want = op_cases_elem.COMPLEX[op](z.astype("c16")).astype("c8")
            for part in (np.real, np.imag):
                a, b = part(g), part(want)
                fine = (np.isnan(a) & np.isnan(b)) | (a == b) | (np.abs(a - b) <= 3e-6 * np.abs(want)) | (np.abs(a - b) < 1e-44) | both | np.isnan(want)
                assert fine.all(), f"{op} of {z[~fine][0]}: {g[~fine][0]} instead of {want[~fine][0]}"


@pytest.mark.parametrize("d", ["f16", "bf16"])
def test_every_half_value(d, irtool, table):
    """All 65,536 operands of every unary op and conversion, within one unit of the exactly rounded result; conversions to the bit."""
    x = np.arange(65536).astype("u2").view(DTYPES[d])
    cases = []
    with np.errstate(all="ignore"):
        for op, (elementwise, dtypes, _) in table.items():
            if not elementwise or d not in dtypes or op not in op_cases_elem.UNARY:
                continue
            if op in op_cases_elem.FLOAT_EXACT:
                cases.append(Case(op, [x], {}, op_cases_elem.FLOAT_EXACT[op](x.astype("f4")).astype(x.dtype)))
            elif op == "normal_cdf":  # the tail to the left has an absolute error
                info = ml_dtypes.finfo(x.dtype)
                close = op_kit.near(float(info.eps), 3e-8 + float(info.smallest_subnormal))
                cases.append(Case(op, [x], {}, op_cases_elem.float_near(op, d, [x]).astype(x.dtype), close))
            elif op in op_cases_elem.FLOAT_NEAR:
                cases.append(Case(op, [x], {}, op_cases_elem.float_near(op, d, [x]).astype(x.dtype), op_kit.ulps(1)))
            else:
                cases.append(Case(op, [x], {}, getattr(np, op)(x.astype("f4"))))
        for e in ALL:
            if e == "bool":
                want = x.astype("f4") != 0
            else:
                want = op_cases_elem.saturate(x.astype("f4"), e) if e in INTS else x.astype("f4").astype(DTYPES[e])
            cases.append(Case("convert", [x], {"dtype": e}, want))
    program = Program(d, cases)
    assert len(cases) > 45 and not program.check(op_kit.interpret(irtool, program))


def test_narrowing_of_random_bits(irtool):
    """f32 and f64 of all magnitudes to f16 and bf16, ties and neighbours of ties included: one rounding, to nearest even."""
    r = np.random.default_rng(5)
    halves = r.integers(0, 1 << 16, 4000).astype("u2")
    with np.errstate(all="ignore"):
        mids = {d: halves.view(DTYPES[d]).astype("f8") / 2 + (halves + 1).astype("u2").view(DTYPES[d]).astype("f8") / 2 for d in ("f16", "bf16")}
        cases = []
        for d in ("f16", "bf16"):
            m = mids[d][np.isfinite(mids[d])]
            wide = np.concatenate([m, np.nextafter(m, np.inf), np.nextafter(m, -np.inf), r.integers(0, 1 << 62, 4000).view("f8")])
            single = np.concatenate([m.astype("f4"), np.nextafter(m.astype("f4"), np.float32(np.inf)), r.integers(0, 1 << 32, 8000, dtype="u4").view("f4")])
            cases.append(Case("convert", [wide], {"dtype": d}, op_cases_elem.half_from_double(wide, DTYPES[d])))
            cases.append(Case("convert", [single], {"dtype": d}, single.astype(DTYPES[d])))
    program = Program("narrow", cases)
    assert not program.check(op_kit.interpret(irtool, program))
