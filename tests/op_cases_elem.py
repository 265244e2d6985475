"""Element-wise cases: every op and dtype on edge values, expected from exact integers, or NumPy/SciPy in a wider type."""
import ml_dtypes
import numpy as np
import scipy.special
from op_kit import ALL, Case, DTYPES, FLOATS, INTS, compute, is_float, near, ulps


def edges(d):
    t = DTYPES[d]
    if d == "bool":
        return np.array([False, True])
    if d in INTS:
        i = np.iinfo(t)
        vals = [0, 1, 2, 3, 5, 7, 8, 9, 31, 33, 100, i.max, i.max - 1, i.max // 2, i.max // 3] + ([i.min, i.min + 1, -1, -2, -3, -7, -100] if i.min else [])
        return np.array([v for v in vals if i.min <= v <= i.max], t)
    if d == "c64":
        r = [0.0, -0.0, 1, -1, 0.5, -2.5, 3.25, 1e-3]
        return np.array([complex(x, y) for x in r for y in r], t)
    f = np.finfo(np.float32) if d == "bf16" else np.finfo(t)
    with np.errstate(all="ignore"):
        return np.array([0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, -3, 0.3, -0.7, 7.25, -100, 1e-3, 12.0, np.inf, -np.inf, np.nan,
                         float(f.tiny), -float(f.tiny) / 4, float(f.max), 0.999, -0.999, 1e-30], t)


def pairs(d):
    e = edges(d)
    a, b = np.meshgrid(e, e, indexing="ij")
    return a.reshape(-1), b.reshape(-1)


def wrap(v, d):
    bits = 8 * DTYPES[d].itemsize
    v &= (1 << bits) - 1
    return v - (1 << bits) if d[0] == "i" and v >> (bits - 1) else v


def trunc_ipow(a, b):
    if b < 0:
        return 1 if a == 1 or (a == -1 and b % 2 == 0) else -1 if a == -1 else 0
    return pow(a, b, 1 << 64) if abs(a) > 1 else a ** (b if abs(b) < 4 else 4 + b % 2)


def width(d):
    return 8 * DTYPES[d].itemsize


# Integer meanings in unbounded arithmetic; the result is wrapped.
INT_OPS = {
    "add": lambda d, a, b: a + b, "sub": lambda d, a, b: a - b, "mul": lambda d, a, b: a * b,
    "floordiv": lambda d, a, b: a // b if b else 0, "rem": lambda d, a, b: a % b if b else a, "pow": lambda d, a, b: trunc_ipow(a, b),
    "maximum": lambda d, a, b: max(a, b), "minimum": lambda d, a, b: min(a, b),
    "and": lambda d, a, b: a & b, "or": lambda d, a, b: a | b, "xor": lambda d, a, b: a ^ b,
    "shl": lambda d, a, b: a << (b % width(d)), "shr": lambda d, a, b: a >> (b % width(d)),
    "neg": lambda d, a: -a, "not": lambda d, a: ~a, "popcount": lambda d, a: bin(a & ((1 << width(d)) - 1)).count("1"), "abs": lambda d, a: abs(a),
    "sign": lambda d, a: (a > 0) - (a < 0), "floor": lambda d, a: a, "ceil": lambda d, a: a, "round": lambda d, a: a, "trunc": lambda d, a: a,
    "stop_gradient": lambda d, a: a,
}
BOOL_OPS = {
    "add": np.logical_or, "mul": np.logical_and, "floordiv": np.logical_and, "rem": lambda a, b: a & ~b, "pow": lambda a, b: a | ~b,
    "maximum": np.logical_or, "minimum": np.logical_and, "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
    "not": np.logical_not, "abs": np.copy, "sign": np.copy, "floor": np.copy, "ceil": np.copy, "round": np.copy, "trunc": np.copy,
    "stop_gradient": np.copy,
}
COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}


def float_rem(a, b):
    r = np.fmod(a, b)
    return np.where((r != 0) & ((r < 0) != (b < 0)), r + b, r)


def pick_max(a, b):
    return np.where((a > b) | np.isnan(a), a, b)


def pick_min(a, b):
    return np.where((a < b) | np.isnan(a), a, b)


# Exactly rounded in the compute dtype.
FLOAT_EXACT = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "floordiv": lambda a, b: np.floor(a / b), "rem": float_rem,
    "maximum": pick_max, "minimum": pick_min, "neg": np.negative, "abs": np.abs, "sign": lambda a: np.where(a > 0, 1, np.where(a < 0, -1, 0)),
    "floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "sqrt": np.sqrt, "rsqrt": lambda a: 1 / np.sqrt(a), "stop_gradient": np.copy,
}
# In long double (f64) or double (others), within a few ulp.
FLOAT_NEAR = {
    "pow": (np.power, 1), "atan2": (np.arctan2, 1), "logaddexp": (np.logaddexp, 0), "cbrt": (np.cbrt, 1), "exp": (np.exp, 1), "exp2": (np.exp2, 1),
    "expm1": (np.expm1, 1), "log": (np.log, 1), "log2": (np.log2, 1), "log10": (np.log10, 1.5), "log1p": (np.log1p, 1), "sin": (np.sin, 1), "cos": (np.cos, 1),
    "tan": (np.tan, 1), "sinh": (np.sinh, 2), "cosh": (np.cosh, 2), "tanh": (np.tanh, 2), "asin": (np.arcsin, 1), "acos": (np.arccos, 1), "atan": (np.arctan, 1),
    "asinh": (np.arcsinh, 2), "acosh": (np.arccosh, 2), "atanh": (np.arctanh, 2), "sigmoid": (None, 3), "erf": (None, 2), "normal_cdf": (None, 2), "erfinv": (None, 2),
}


def float_near(op, d, args):
    wide = np.longdouble if d == "f64" else np.float64
    f = FLOAT_NEAR[op][0]
    if op == "sigmoid":
        return 1 / (1 + np.exp(-args[0].astype(wide)))
    if op == "erf":
        return scipy.special.erf(args[0].astype(np.float64))
    if op == "normal_cdf":
        return scipy.special.ndtr(args[0].astype(np.float64))
    if op == "erfinv":
        return scipy.special.erfinv(args[0].astype(np.float64))
    return f(*[a.astype(wide) for a in args])


COMPLEX = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "conj": np.conj, "exp": np.exp, "exp2": np.exp2, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt, "rsqrt": lambda a: 1 / np.sqrt(a), "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "pow": lambda a, b: np.where(b == 0, 1, np.power(a, b)), "stop_gradient": np.copy, "round": np.round,
    "sign": lambda a: np.where(a == 0, 0, a / np.where(a == 0, 1, np.abs(a))),
}
UNARY = {"conj", "exp", "exp2", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh",
         "acosh", "atanh", "neg", "not", "popcount", "abs", "sign", "floor", "ceil", "round", "trunc", "stop_gradient", "cbrt", "expm1", "sigmoid", "erf",
         "normal_cdf", "erfinv", "isnan", "isinf", "real", "imag"}


def operands(op, d):
    if op in UNARY:
        x = edges(d)
        return [x if d == "c64" or not is_float(d) else np.concatenate([x, np.linspace(-1, 1, 41).astype(x.dtype)])]
    return list(pairs(d))


def complex_case(op, args):
    a = [x.astype(np.complex128) for x in args]
    if op in COMPARE:
        return Case(op, args, {}, COMPARE[op](*args))
    if op in ("isnan", "isinf"):
        x = np.array([0, np.nan, complex(0, np.nan), complex(np.inf, 0), complex(1, -np.inf)], np.complex64)
        return Case(op, [x], {}, getattr(np, op)(x))
    if op in ("real", "imag"):
        return Case(op, args, {}, getattr(np, op)(args[0]).copy())
    if op == "abs":
        return Case(op, args, {}, np.abs(a[0]).astype("f4"), ulps(1))
    if op in ("maximum", "minimum"):
        less = np.less(*args)
        return Case(op, args, {}, np.where(less if op == "maximum" else ~less & (args[0] != args[1]), args[1], args[0]), near(0))
    if op == "logaddexp":  # up to multiples of 2 pi i, as the formula of the reals gives it
        keep = np.abs(np.exp(a[0]) + np.exp(a[1])) > 1e-3
        args = [x[keep] for x in args]
        want = np.log(sum(np.exp(x.astype("c16")) for x in args)).astype("c8")
        return Case(op, args, {}, want, lambda got, want: near(2e-6)(np.exp(got.astype("c16")).astype("c8"), np.exp(want.astype("c16")).astype("c8")))
    keep = np.ones(args[0].shape, bool)
    if op in ("div", "pow"):
        keep = args[int(op == "div")] != 0
    args, a = [x[keep] for x in args], [x[keep] for x in a]
    want = COMPLEX[op](*a)
    fine = np.isfinite(want)
    return Case(op, [x[fine] for x in args], {}, want[fine].astype(np.complex64), near(4e-7, 1e-12))


def elem_case(op, d):
    t = DTYPES[d]
    if op == "complex":
        a, b = pairs("f32")
        z = np.empty(a.shape, np.complex64)
        z.real, z.imag = a, b
        return Case(op, [a, b], {}, z)
    if op == "select":
        a, b = pairs(d)
        p = np.arange(a.size) % 3 == 0
        return Case(op, [p, a, b], {}, np.where(p, a, b), dtype=d)
    args = operands(op, d)
    if d == "c64":
        return complex_case(op, args)
    if op in COMPARE:
        return Case(op, args, {}, COMPARE[op](*args))
    if op in ("isnan", "isinf"):
        return Case(op, args, {}, getattr(np, op)(args[0].astype("f8")))
    if d == "bool":
        return Case(op, args, {}, BOOL_OPS[op](*args))
    if d in INTS:
        rows = zip(*[x.tolist() for x in args])
        return Case(op, args, {}, np.array([wrap(INT_OPS[op](d, *r), d) for r in rows], t))
    if op in FLOAT_EXACT:
        return Case(op, args, {}, FLOAT_EXACT[op](*[x.astype(DTYPES[compute(d)]) for x in args]).astype(t), None)
    if op == "logaddexp":  # near zero of the result the terms cancel
        eps = float(ml_dtypes.finfo(t).eps)
        return Case(op, args, {}, float_near(op, d, args).astype(t), near(2 * eps, 2 * eps if d in ("f32", "f64") else 0))
    if op == "normal_cdf" and d != "f64":  # the tail to the left has an absolute error
        return Case(op, args, {}, float_near(op, d, args).astype(t), near(2 * float(ml_dtypes.finfo(t).eps), 3e-8))
    return Case(op, args, {}, float_near(op, d, args).astype(t), ulps(FLOAT_NEAR[op][1] + (4 if d == "f64" and op in ("erfinv",) else 0)))


def saturate(x, d):
    """Float to integer: truncates and saturates, nan gives 0."""
    i = np.iinfo(DTYPES[d])
    return np.array([0 if v != v else i.max if v >= i.max else i.min if v <= i.min else int(v) for v in x.astype("f8").tolist()], DTYPES[d])


def convert_inputs(d):
    x = edges(d)
    if d in INTS:
        return x
    if is_float(d):
        more = [127.9, -128.9, 128, 255.5, 256, 65504, 65519.9, 65520, -70000, 2147483647, 2147483648, -2147483649, 4294967296, 9.3e18, -9.3e18, 1.9e19,
                2.0 ** -24, 2.0 ** -25, 2.0 ** -25 * 1.0001, 1 + 2.0 ** -11, 1 + 2.0 ** -11 + 2.0 ** -40, 1 + 2.0 ** -8 + 2.0 ** -40, 3e-8, 0.1, 1e38, 3.4028235677973366e38]
        with np.errstate(all="ignore"):
            return np.concatenate([x, np.array(more, DTYPES[d])])
    return x


def half_from_double(x, t):
    """One rounding from f64: to bf16 by rounding the integer significand exactly."""
    if t == np.float16:
        return x.astype(t)
    import mpmath
    out = []
    for v in x.tolist():
        if v == 0 or v != v or v in (np.inf, -np.inf):
            out.append(v)
            continue
        m, e = mpmath.frexp(mpmath.mpf(v))
        unit = max(int(e) - 8, -133)
        with mpmath.workdps(60):
            r = float(mpmath.nint(mpmath.ldexp(mpmath.mpf(v), -unit)))
        out.append(float(np.copysign(np.ldexp(r, unit), v)))
    with np.errstate(all="ignore"):
        return np.array(out).astype(np.float32).astype(t)


def convert_case(d, e):
    x, t = convert_inputs(d), DTYPES[e]
    with np.errstate(all="ignore"):
        if e == "bool":
            want = x.astype("c16" if d == "c64" else "f8") != 0
        elif d == "c64" and e != "c64":
            r = x.real.copy()
            want = saturate(r, e) if e in INTS else r.astype(t)
        elif e == "c64":
            want = x.astype("f4").astype(t) if d != "c64" else x
        elif e in INTS:
            want = saturate(x, e) if is_float(d) else x.astype(t)
        elif e in ("f16", "bf16") and d == "f64":
            want = half_from_double(x, t)
        elif e in ("f16", "bf16"):
            want = x.astype("f4").astype(t)
        else:
            want = x.astype(t)
    return Case("convert", [x], {"dtype": e}, want)


def elem_cases(table):
    """(op, dtype) -> case, for every pair that the table takes."""
    with np.errstate(all="ignore"):
        for op, (elementwise, dtypes, _) in table.items():
            for d in dtypes if elementwise else []:
                if op == "convert":
                    yield from (convert_case(d, e) for e in ALL)
                else:
                    yield elem_case(op, d)
