"""Rules, table-driven: every row of ops.def. jvp against finite differences, vjp by the adjoint identity, second order, batching of every
subset of operands against a loop, twice; symbolic dimensions at sizes 0, 1 and more; the narrow dtypes and c64."""
import pathlib
import re

import numpy as np
import pytest

import op_cases_elem
import op_cases_tensor
import op_kit
from transform_kit import DIFF, NAME, NP, Fn, Tool, ToolError, check_adjoint, check_batch, check_jvp_fd, check_second_order, parse_type, prepend, scalarised, with_sizes

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tool(build):
    return Tool(str(build / "transform_tool"))


def split_row(text):
    """The arguments of one ELEM(..) or TENSOR(..) row."""
    out, depth, quoted, cur = [], 0, False, ""
    for c in text:
        if c == '"':
            quoted = not quoted
        if c == "," and not quoted and depth == 0:
            out.append(cur.strip())
            cur = ""
            continue
        depth += (c == "(") - (c == ")") if not quoted else 0
        cur += c
    return out + [cur.strip()]


def rows(kind):
    text = (ROOT / "ir" / "ops.def").read_text()
    return [split_row(m) for m in re.findall(rf"^{kind}\((.*)\)$", text, re.M)]


ELEM = {r[0]: dict(n=int(r[1]), takes=r[2], res=r[3], partial=r[8:11], lin=r[11].strip('"'), zero=r[12]) for r in rows("ELEM")}
TENSOR = {r[0]: dict(lin=r[4].strip('"'), zero=r[5], flags=r[6]) for r in rows("TENSOR")}

# --- element-wise ------------------------------------------------------------------------------------------------------------
POSITIVE = {"log", "log2", "log10", "sqrt", "rsqrt", "cbrt", "pow"}
UNIT = {"asin", "acos", "atanh", "erfinv"}


def elementwise_arg(op, k, shape, r, dtype="f64"):
    x = r.standard_normal(shape)
    if dtype == "c64":
        return (x + 1j * r.standard_normal(shape) + (2 if op in POSITIVE else 0)).astype(np.complex64)
    if op in POSITIVE and (op != "pow" or k == 0):
        x = np.abs(x) + 0.3
    elif op in UNIT:
        x = np.clip(x / 3, -0.8, 0.8)
    elif op in ("acosh",):
        x = np.abs(x) + 1.2
    elif op == "log1p":
        x = np.abs(x)
    elif op in ("div", "rem", "floordiv") and k == 1:
        x = np.sign(x) * (np.abs(x) + 0.5)
    elif op == "select" and k == 0:
        return x > 0
    return np.asarray(x).astype(NP[dtype])


def out_dtype(op, d):
    res = ELEM[op]["res"]
    return {"SAME": d, "BOOL": "bool", "ABSOF": "f32" if d == "c64" else d, "DTYPE": "f32", "CPLX": "c64"}[res]


def elementwise_fn(op, d, dims="3,4"):
    types = [f"{d}[{dims}]"] * ELEM[op]["n"]
    if op == "select":
        types[0] = f"bool[{dims}]"
    f = Fn("f", *types)
    y = f(op, *f.p, attrs="dtype=f32" if op == "convert" else "")
    return f.ret((f"{out_dtype(op, d)}[{dims}]", y)), types


TAKES_F64 = [o for o, r in ELEM.items() if r["takes"] in ("ALL", "NUM", "FLT", "INX", "REAL") and r["res"] != "CPLX"]
SMOOTH = [o for o in TAKES_F64 if ELEM[o]["zero"] == "NONE" and o not in ("convert", "sign")]


@pytest.mark.parametrize("op", TAKES_F64)
def test_elementwise_jvp_and_vjp(tool, op):
    f, types = elementwise_fn(op, "f64")
    tool.module(str(f))
    r = np.random.default_rng(7)
    args = [elementwise_arg(op, k, (3, 4), r) for k in range(len(types))]
    active = [t.startswith("f64") for t in types]
    if op == "convert":
        check_jvp_fd(tool, "f", args, active, h=1e-2, tol=1e-4)
        check_adjoint(tool, "f", args, active, tol=1e-5)
        return
    if op == "stop_gradient":
        assert tool.jvp("f", active)[1] == [False]
        return
    check_jvp_fd(tool, "f", args, active, tol=1e-5)
    if out_dtype(op, "f64") == "f64":
        check_adjoint(tool, "f", args, active)
    for k in range(len(types)):  # one operand at a time: the others are symbolic zeros
        only = [j == k and active[j] for j in range(len(types))]
        if any(only):
            check_jvp_fd(tool, "f", args, only, tol=1e-5)


@pytest.mark.parametrize("op", SMOOTH)
def test_elementwise_second_order(tool, op):
    f, types = elementwise_fn(op, "f64")
    s = scalarised("f", types, [f"{out_dtype(op, 'f64')}[3,4]"])
    tool.module(str(f) + str(s))
    r = np.random.default_rng(8)
    args = [elementwise_arg(op, k, (3, 4), r) for k in range(len(types))] + [r.standard_normal((3, 4))]
    check_second_order(tool, "s", args, [t.startswith("f64") for t in types] + [True])


COMPLEX = [o for o, r in ELEM.items() if r["takes"] in ("ALL", "NUM", "INX", "CPX") and o not in ("floordiv",)]
NUMPY = dict(add=np.add, sub=np.subtract, mul=np.multiply, div=np.divide, pow=np.power, neg=np.negative, abs=np.abs, sqrt=np.sqrt, exp=np.exp, exp2=np.exp2,
             log=np.log, log2=np.log2, log10=np.log10, log1p=np.log1p, sin=np.sin, cos=np.cos, tan=np.tan, sinh=np.sinh, cosh=np.cosh, tanh=np.tanh,
             asin=np.arcsin, acos=np.arccos, atan=np.arctan, asinh=np.arcsinh, acosh=np.arccosh, atanh=np.arctanh, real=np.real, imag=np.imag, conj=np.conj,
             rsqrt=lambda a: 1 / np.sqrt(a), sign=lambda a: a / np.abs(a), logaddexp=lambda a, b: np.log(np.exp(a) + np.exp(b)), select=np.where)


@pytest.mark.parametrize("op", COMPLEX)
def test_elementwise_c64(tool, op):
    """jvp against differences of NumPy's function in complex128; vjp by the adjoint identity."""
    f, types = elementwise_fn(op, "c64")
    tool.module(str(f))
    r = np.random.default_rng(9)
    args = [elementwise_arg(op, k, (3, 4), r, "f32" if op == "select" and k == 0 else "c64") for k in range(len(types))]
    active = [t.startswith("c64") for t in types]
    if op in NUMPY:
        t = [normal(r, a.shape, "c64") if k else None for a, k in zip(args, active)]
        name, mask = tool.jvp("f", active)
        out = tool.eval(name, *args, *[x for x in t if x is not None])
        h = 1e-6
        ends = [NUMPY[op](*[a if x is None else a.astype(complex) + s * h * x for a, x in zip(args, t)]) for s in (1, -1)]
        fd = (ends[0] - ends[1]) / (2 * h)
        assert mask == [True] and np.allclose(out[1], fd, rtol=1e-3, atol=1e-4 * np.abs(fd).max()), (out[1], fd)
    if op != "stop_gradient" and out_dtype(op, "c64") in ("c64", "f32"):
        check_adjoint(tool, "f", args, active, tol=1e-4)


def test_complex_of_two_reals(tool):
    f, types = elementwise_fn("complex", "f32")
    tool.module(str(f))
    r = np.random.default_rng(1)
    check_adjoint(tool, "f", [r.standard_normal((3, 4)).astype(np.float32) for _ in range(2)], [True, True], tol=1e-5)


@pytest.mark.parametrize("d", ["f16", "bf16", "f32"])
@pytest.mark.parametrize("op", [o for o in SMOOTH if ELEM[o]["takes"] != "CPX"])
def test_elementwise_narrow(tool, op, d):
    """Cotangents have the primal's dtype and are near those of f64."""
    f, types = elementwise_fn(op, d)
    g, wide_types = elementwise_fn(op, "f64")
    g.name = "g"
    tool.module(str(f) + str(g))
    r = np.random.default_rng(10)
    args = [elementwise_arg(op, k, (3, 4), r, "f64") for k in range(len(types))]
    active = [not t.startswith("bool") for t in types]
    low = [a if a.dtype == bool else a.astype(NP[d]) for a in args]
    one = np.ones((3, 4))
    a = tool.eval(tool.vjp("f", active, [True]), *low, one.astype(NP[d]))
    b = tool.eval(tool.vjp("g", active, [True]), *[x if x.dtype == bool else x.astype(np.float64) for x in low], one)
    tol = {"f16": 4e-3, "bf16": 4e-2, "f32": 1e-5}[d]
    for x, y in zip(a[1:], b[1:]):
        assert NAME[x.dtype] == d
        assert np.allclose(x.astype(np.float64), y, rtol=4 * tol, atol=4 * tol * (1 + np.abs(y).max()))


@pytest.mark.parametrize("op", [o for o in ELEM if ELEM[o]["takes"] not in ("CPX",)])
def test_elementwise_batch(tool, op):
    d = {"INTB": "i32", "INT": "i32"}.get(ELEM[op]["takes"], "f32")
    f, types = elementwise_fn(op, d)
    tool.module(str(f))
    r = np.random.default_rng(11)

    def make(k):
        if d == "i32":
            return r.integers(0, 5, (3, 4)).astype(np.int32)
        return elementwise_arg(op, k, (3, 4), r, d)
    args = [make(k) for k in range(len(types))]
    check_batch(tool, "f", args, twice=True, vary=lambda k, a, _: make(k))


# --- tensor ops: (name, operand types, attributes, result types, how to make operands) -------------------------------------------
def normal(r, shape, d):
    x = r.standard_normal(shape)
    return (x + 1j * r.standard_normal(shape) if d == "c64" else x).astype(NP[d])


def index(n):
    return lambda r, shape, d: r.integers(-1, n + 1, shape).astype(np.int32)


def distinct_rows(n):
    def make(r, shape, d):
        flat = [r.permutation(n)[:shape[-2]].reshape(-1, 1) for _ in range(int(np.prod(shape[:-2])))]
        return np.concatenate(flat).reshape(shape).astype(np.int32)
    return make


def positive(r, shape, d):
    return (np.abs(r.standard_normal(shape)) + 0.4).astype(NP[d])


def some_zeros(r, shape, d):
    x = r.standard_normal(shape)
    return np.where(r.random(shape) < 0.3, 0.0, x).astype(NP[d])


def key(r, shape, d):
    return r.integers(0, 2**32, shape, dtype=np.uint32)


def rising(r, shape, d):
    return np.sort(r.standard_normal(shape), -1).astype(NP[d])


CASES = []


def case(op, types, attrs, results, *make, name="", first=True):
    make = list(make) + [normal] * (len(types) - len(make))
    CASES.append(pytest.param(op, types, attrs, results, make, id=op + (f"-{name}" if name else "")))


case("broadcast", ["f64[3]"], "shape=[2,3,4], dims=[1]", ["f64[2,3,4]"])
case("broadcast", ["f64"], "shape=[2,3], dims=[]", ["f64[2,3]"], name="scalar")
case("reshape", ["f64[3,4]"], "shape=[2,6]", ["f64[2,6]"])
case("transpose", ["f64[2,3,4]"], "perm=[2,0,1]", ["f64[4,2,3]"])
case("rev", ["f64[3,4]"], "axes=[1]", ["f64[3,4]"])
case("slice", ["f64[5,7]"], "lo=[1,2], hi=[4,7], step=[1,2]", ["f64[3,3]"])
case("slice", ["f64[5,7]"], "lo=[0,1], hi=[1,2], step=[3,4]", ["f64[1,1]"], name="one")
case("pad", ["f64[3,4]", "f64"], "lo=[1,0], hi=[2,3], step=[1,2]", ["f64[6,10]"])
case("pad", ["f64[5,4]", "f64"], "lo=[-1,2], hi=[1,-2], step=[1,3]", ["f64[5,10]"], name="crop")
case("concat", ["f64[2,3]", "f64[2,1]", "f64[2,2]"], "axis=1", ["f64[2,6]"])
case("dslice", ["f64[5,6]", "i32", "i32"], "axes=[0,1], sizes=[2,3]", ["f64[2,3]"], normal, index(6), index(6))
case("dslice", ["f64[5,6]", "i32"], "axes=[1], sizes=[3]", ["f64[5,3]"], normal, index(6), name="one-axis")
case("dupdate", ["f64[5,6]", "f64[2,6]", "i32"], 'axes=[0], mode="set"', ["f64[5,6]"], normal, normal, index(5), name="set")
case("dupdate", ["f64[5,6]", "f64[5,2]", "i32"], 'axes=[1], mode="add"', ["f64[5,6]"], normal, normal, index(6), name="add")
case("dupdate", ["f64[5,6]", "f64[2,3]", "i32", "i32"], 'axes=[0,1], mode="set"', ["f64[5,6]"], normal, normal, index(6), index(6), name="two")
case("gather", ["f64[5,3]", "i32[4,1]"], 'axes=[0], nb=0, oob="clamp"', ["f64[4,3]"], normal, index(5))
case("gather", ["f64[5,3]", "i32[4,1]"], 'axes=[1], nb=0, oob="zero"', ["f64[4,5]"], normal, index(3), name="zero")
case("gather", ["f64[5,3,2]", "i32[2,4,2]"], 'axes=[0,2], nb=0, oob="clamp"', ["f64[2,4,3]"], normal, index(4), name="two")
case("gather", ["f64[2,5,3]", "i32[2,4,1]"], 'axes=[1], nb=1, oob="clamp"', ["f64[2,4,3]"], normal, index(5), name="batch")
case("gather", ["f64[5,3]", "i32[4,1]"], 'axes=[0], nb=0, oob="clamp", unique=true', ["f64[4,3]"], normal, distinct_rows(5), name="unique")
for mode in ("set", "add"):
    case("scatter", ["f64[5,3]", "i32[6,1]", "f64[6,3]"], f'axes=[0], nb=0, oob="drop", mode="{mode}"', ["f64[5,3]"], normal, index(5), name=mode)
    case("scatter", ["f64[2,5,3]", "i32[2,4,1]", "f64[2,4,3]"], f'axes=[1], nb=1, oob="clamp", mode="{mode}"', ["f64[2,5,3]"], normal, index(5), name=mode + "-batch")
    case("scatter", ["f64[4,3,2]", "i32[7,2]", "f64[7,3]"], f'axes=[0,2], nb=0, oob="clamp", mode="{mode}"', ["f64[4,3,2]"], normal, index(3), name=mode + "-two")
for mode in ("max", "min", "mul"):
    case("scatter", ["f64[5,3]", "i32[6,1]", "f64[6,3]"], f'axes=[0], nb=0, oob="drop", mode="{mode}"', ["f64[5,3]"], normal, index(5), name=mode)
for red in ("sum", "prod", "max", "min"):
    case(f"reduce_{red}", ["f64[2,3,4]"], "axes=[0,2]", ["f64[3]"])
    case(f"reduce_{red}", ["f64[5]"], "axes=[0]", ["f64"], name="all")
case("reduce_prod", ["f64[4,5]"], "axes=[1]", ["f64[4]"], some_zeros, name="zeros")
case("argmax", ["f64[3,4]"], "axis=1", ["u32[3]"])
case("argmin", ["f64[3,4]"], "axis=0", ["u32[4]"])
case("reduce_and", ["bool[3,4]"], "axes=[1]", ["bool[3]"], lambda r, s, d: r.random(s) < 0.8)
case("reduce_or", ["bool[3,4]"], "axes=[0]", ["bool[4]"], lambda r, s, d: r.random(s) < 0.2)
for rev in ("false", "true"):
    for exc in ("false", "true"):
        tag = ("r" if rev == "true" else "f") + ("x" if exc == "true" else "i")
        for scan in ("cumsum", "cumprod", "cumlogsumexp"):
            skip_inf = scan == "cumlogsumexp" and exc == "true"
            if not skip_inf:
                case(scan, ["f64[3,4]"], f"axis=1, reverse={rev}, exclusive={exc}", ["f64[3,4]"], name=tag)
    case("cumprod", ["f64[4,5]"], f"axis=0, reverse={rev}, exclusive=false", ["f64[4,5]"], some_zeros, name="zeros-" + rev)
    case("cummax", ["f64[3,4]"], f"axis=1, reverse={rev}", ["f64[3,4]", "i32[3,4]"], name=rev)
    case("cummin", ["f64[3,4]"], f"axis=0, reverse={rev}", ["f64[3,4]", "i32[3,4]"], name=rev)
    case("linrec", ["f64[3,4]", "f64[3,4]"], f"axis=1, reverse={rev}", ["f64[3,4]"], name=rev)
case("sort", ["f64[3,4]"], "axis=1", ["f64[3,4]", "i32[3,4]"])
case("sort", ["f64[3,4]"], "axis=0", ["f64[3,4]", "i32[3,4]"], name="first")
case("topk", ["f64[3,4]"], "axis=1, size=2", ["f64[3,2]", "i32[3,2]"])
case("topk", ["f64[3,4]"], "axis=0, size=2", ["f64[2,4]", "i32[2,4]"], name="first")
case("searchsorted", ["f64[5]", "f64[2,3]"], "right=false", ["u32[2,3]"], rising)
case("searchsorted", ["f64[5]", "f64[2,3]"], "right=true", ["u32[2,3]"], rising, name="right")
case("dot", ["f64[3,4]", "f64[4,5]"], "lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]", ["f64[3,5]"])
case("dot", ["f64[2,3,4]", "f64[5,4,2]"], "lhs_contract=[2], rhs_contract=[1], lhs_batch=[0], rhs_batch=[2]", ["f64[2,3,5]"], name="batch")
case("dot", ["f64[3,4,2]", "f64[2,5,3]"], "lhs_contract=[0,2], rhs_contract=[2,0], lhs_batch=[], rhs_batch=[]", ["f64[4,5]"], name="two")
case("dot", ["f64[3]", "f64[3]"], "lhs_contract=[0], rhs_contract=[0], lhs_batch=[], rhs_batch=[]", ["f64"], name="inner")
case("dot", ["f64[3]", "f64[2]"], "lhs_contract=[], rhs_contract=[], lhs_batch=[], rhs_batch=[]", ["f64[3,2]"], name="outer")
CONV = "nb={nb}, step={step}, lo={lo}, hi={hi}, dilation={dilation}, spread={spread}, groups={groups}, flip={flip}"


def conv_case(x, w, y, name, nb=0, **more):
    n = x.count(",") - 1 - nb
    at = dict(nb=nb, step=[1] * n, lo=[0] * n, hi=[0] * n, dilation=[1] * n, spread=[1] * n, groups=1, flip="false") | more
    case("conv", [f"f64[{x}]", f"f64[{w}]"], CONV.format(**at).replace(", ", ",").replace(",step", ", step").replace(",lo", ", lo"), [f"f64[{y}]"], name=name)


conv_case("2,5,3", "4,3,3", "2,3,4", "1d")
conv_case("2,7,2", "3,3,2", "2,4,3", "step", step=[2], lo=[1], hi=[2])
conv_case("2,8,2", "3,3,2", "2,7,3", "dilation", dilation=[2], lo=[2], hi=[1])
conv_case("2,4,2", "3,3,2", "2,11,3", "spread", spread=[3], lo=[2], hi=[1], flip="true")
conv_case("1,5,2", "3,2,2", "1,4,3", "all", spread=[2], step=[3], dilation=[3], lo=[1], hi=[3], flip="true")
conv_case("2,4,5,4", "6,3,2,2", "2,2,5,6", "2d-groups", groups=2, step=[2, 1], lo=[1, 0], hi=[1, 1])
conv_case("1,4,4,3", "6,3,3,1", "1,4,4,6", "depthwise", groups=3, lo=[1, 1], hi=[1, 1])
conv_case("1,3,4,3,2", "2,2,3,2,2", "1,3,4,1,2", "3d", lo=[0, 1, -1], hi=[1, 1, 0])
conv_case("2,3,5,2", "2,4,3,2", "2,3,5,4", "batch", nb=1, lo=[1], hi=[1])
conv_case("2,2,5,4", "2,4,3,2", "2,2,2,4", "batch-groups", nb=1, groups=2, step=[2])
for shape, axes, sizes, step, dil, out in (("7", [0], [3], [1], [1], "5,3"), ("2,9,3", [1], [3], [2], [2], "2,3,3,3"), ("2,5,6,2", [1, 2], [3, 2], [2, 1], [1, 2], "2,2,4,3,2,2")):
    near_attrs = f"step={step}, dilation={dil}".replace(", ", ",").replace(",dil", ", dil")
    lists = [str(a).replace(" ", "") for a in (axes, sizes, [int(shape.split(",")[a]) for a in axes])]
    case("window", [f"f64[{shape}]"], f"axes={lists[0]}, sizes={lists[1]}, {near_attrs}", [f"f64[{out}]"], name=f"{len(axes)}-{shape}")
    case("fold", [f"f64[{out}]"], f"axes={lists[0]}, shape={lists[2]}, {near_attrs}", [f"f64[{shape}]"], name=f"{len(axes)}-{shape}")


def definite(r, shape, d):
    x = r.standard_normal(shape)
    return (x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])).astype(NP[d])


def triangular(r, shape, d):
    return (r.standard_normal(shape) / 2 + 2 * np.eye(shape[-1])).astype(NP[d])


case("cholesky", ["f64[4,4]"], "", ["f64[4,4]"], definite)
case("cholesky", ["f64[2,3,3]"], "", ["f64[2,3,3]"], definite, name="batch")
case("lu", ["f64[4,4]"], "", ["f64[4,4]", "i32[4]"])
case("lu", ["f64[2,3,3]"], "", ["f64[2,3,3]", "i32[2,3]"], name="batch")
for way in range(8):
    flags = [str(bool(way >> k & 1)).lower() for k in range(3)]
    case("trisolve", ["f64[4,4]", "f64[4,3]"], "upper={}, transposed={}, unit={}".format(*flags), ["f64[4,3]"], triangular, name="-".join(flags))
case("trisolve", ["f64[2,3,3]", "f64[2,3,1]"], "upper=false, transposed=true, unit=false", ["f64[2,3,1]"], triangular, name="batch")
case("rng_bits", ["u32[2]"], "shape=[3,4], width=4", ["u32[3,4]"], key)
case("rng_bits", ["u32[3,2]"], "shape=[5], width=2", ["u16[3,5]"], key, name="keys")
case("bitcast", ["f64[3,4]"], "dtype=u32", ["u32[3,8]"])
case("barrier", ["f64[3]", "f64[2,2]"], "", ["f64[3]", "f64[2,2]"])

# Fourier transforms have one dtype, c64 with its f32: linear, tested below.
SPECTRAL = [pytest.param(*c, id=c[0] + str(k)) for k, c in enumerate([
    ("fft", "c64[3,8]", 'axis=1, inverse=false, norm="none"', "c64[3,8]"), ("fft", "c64[6,2]", 'axis=0, inverse=true, norm="size"', "c64[6,2]"), ("fft", "c64[67]", 'axis=0, inverse=false, norm="root"', "c64[67]"),
    ("rfft", "f32[3,8]", 'axis=1, norm="root"', "c64[3,5]"), ("rfft", "f32[7,2]", 'axis=0, norm="root"', "c64[4,2]"), ("rfft", "f32[1]", 'axis=0, norm="root"', "c64[1]"), ("rfft", "f32[2]", 'axis=0, norm="root"', "c64[2]"),
    ("irfft", "c64[3,5]", 'axis=1, size=8, norm="size"', "f32[3,8]"), ("irfft", "c64[4,2]", 'axis=0, size=7, norm="size"', "f32[7,2]"), ("irfft", "c64[1]", 'axis=0, size=1, norm="size"', "f32[1]"), ("irfft", "c64[2]", 'axis=0, size=2, norm="size"', "f32[2]")])]
SPECTRAL_DTYPE = {"fft": "c64", "rfft": "f32", "irfft": "c64"}
MATRIX = ("cholesky", "trisolve", "lu")
NEEDS_NO_CASE = {"const": "no operand", "iota": "no operand", "dimsize": "no operand", "print": "effect", "assert": "effect",
                 "call": "structure", "loop": "structure", "cond": "structure"}


def make_case(op, types, attrs, results):
    f = Fn("f", *types)
    ys = f(op, *f.p, attrs=attrs, n=len(results))
    return f.ret(*zip(results, ys if isinstance(ys, list) else [ys]))


def make_args(types, make, seed):
    r = np.random.default_rng(seed)
    return [m(r, with_sizes(t, {})[1], parse_type(t)[0]) for m, t in zip(make, types)]


def test_every_row_has_a_case():
    have = {c.values[0] for c in CASES + SPECTRAL}
    assert set(TENSOR) == have | set(NEEDS_NO_CASE)


def test_rule_zero_has_reason():
    for name, r in ELEM.items():
        given = [p for p in r["partial"] if p != "NULL"]
        assert r["zero"] != "NONE" or given or r["lin"], name
        assert r["zero"] == "NONE" or not (given or r["lin"]), name
    for name, r in TENSOR.items():
        own = "OWN_JVP" in r["flags"] or "REGION" in r["flags"] or "EFFECT" in r["flags"]
        assert (r["zero"] != "NONE") != bool(r["lin"] or own), name


@pytest.mark.parametrize("op, types, attrs, results, make", CASES)
def test_rule(tool, op, types, attrs, results, make):
    f = make_case(op, types, attrs, results)
    args = make_args(types, make, 5)
    active = [t.startswith("f64") for t in types]
    text = str(f)
    smooth = TENSOR[op]["zero"] == "NONE" and any(t.startswith("f64") for t in results)
    if smooth:
        s = scalarised("f", types, results)
        text += str(s)
    tool.module(text)
    if any(active):
        check_jvp_fd(tool, "f", args, active)
        if smooth:
            check_adjoint(tool, "f", args, active)
            for k in range(len(types)):
                if active[k] and sum(active) > 1:
                    only = [j == k for j in range(len(types))]
                    check_jvp_fd(tool, "f", args, only)
                    check_adjoint(tool, "f", args, only)
            r = np.random.default_rng(6)
            weights = [normal(r, with_sizes(t, {})[1], "f64") for t in results if t.startswith("f64")]
            check_second_order(tool, "s", args + weights, active + [True] * len(weights), tol=1e-5)


def test_rule_transpose_ignores_operand(tool):
    """The pullback by an operand in which an op is linear does not read it."""
    seen = set()
    for c in CASES:
        op, types, attrs, results, _ = c.values
        for k, t in enumerate(types):
            lin = TENSOR[op]["lin"]
            digit = lin[0] if lin.endswith("*") else lin[k] if k < len(lin) else "0"
            if digit == "0" or not t.startswith("f64") or any(m in attrs for m in ('"max"', '"min"', '"mul"')):
                continue
            tool.module(str(make_case(op, types, attrs, results)))
            back = tool.vjp("f", [j == k for j in range(len(types))], [r.startswith("f64") for r in results], False)
            body = tool.text(back).split("{\n", 1)[1]
            assert not re.search(rf"%p{k}\b", body), (op, k, body)
            seen.add(op)
    assert {o for o, r in TENSOR.items() if r["lin"]} == seen | set(SPECTRAL_DTYPE)


@pytest.mark.parametrize("op, operand, attrs, result", SPECTRAL)
def test_rule_spectral(tool, op, operand, attrs, result):
    """Linear: the tangent is transformed, the pullback does not read the operand, is the adjoint, and is linear itself; lanes are transformed one by one."""
    f = make_case(op, [operand], attrs, [result])
    tool.module(str(f))
    r = np.random.default_rng(2)
    d, shape = parse_type(operand)[0], with_sizes(operand, {})[1]
    x, t = normal(r, shape, d), normal(r, shape, d)
    name, mask = tool.jvp("f", [True])
    assert mask == [True] and np.array_equal(tool.eval(name, x, t)[1], tool.eval("f", t)[0])
    check_adjoint(tool, "f", [x], [True], tol=1e-5)
    back = tool.vjp("f", [True], [True], False)
    assert not re.search(r"%p0\b", tool.text(back).split("{\n", 1)[1])
    g = normal(r, with_sizes(result, {})[1], parse_type(result)[0])
    check_adjoint(tool, back, [x, g], [False, True], tol=1e-5)
    check_batch(tool, "f", [x], twice=True, vary=lambda k, a, r: normal(r, a.shape, d))
    check_batch(tool, back, [x, g], twice=True, vary=lambda k, a, r: normal(r, a.shape, NAME[a.dtype]))


@pytest.mark.parametrize("op, types, attrs, results, make", CASES)
def test_rule_batch_each_subset(tool, op, types, attrs, results, make):
    tool.module(str(make_case(op, types, attrs, results)))
    args = make_args(types, make, 5)
    check_batch(tool, "f", args, twice=True, vary=lambda k, a, r: make[k](r, a.shape, parse_type(types[k])[0]))


@pytest.mark.parametrize("op, types, attrs, results, make", [c for c in CASES if TENSOR[c.values[0]]["zero"] == "NONE"])
def test_rule_batched_derivative(tool, op, types, attrs, results, make):
    """vmap of vjp against one vjp per lane: the rules of what rules emit."""
    tool.module(str(make_case(op, types, attrs, results)))
    active = [t.startswith("f64") for t in types]
    floats = [t.startswith("f64") for t in results]
    if not any(floats):
        return
    back = tool.vjp("f", active, floats, False)
    g = [normal(np.random.default_rng(3), with_sizes(t, {})[1], "f64") for t in results if t.startswith("f64")]
    check_batch(tool, back, make_args(types, make, 5) + g, subsets=[tuple(range(len(types) + len(g))), tuple(range(len(types))), (len(types),)], tol=1e-9,
                vary=lambda k, a, r: make[k](r, a.shape, parse_type(types[k])[0]) if k < len(types) else normal(r, a.shape, "f64"))


DTYPED = [c for c in CASES if TENSOR[c.values[0]]["zero"] == "NONE" and c.values[0] not in ("cumlogsumexp",)]


@pytest.mark.parametrize("d", ["f16", "bf16", "f32", "c64"])
@pytest.mark.parametrize("op, types, attrs, results, make", DTYPED)
def test_rule_other_dtypes(tool, op, types, attrs, results, make, d):
    """Cotangents in the primal's dtype, near those of f64 (c64: the adjoint identity)."""
    if op in MATRIX and d != "f32":
        return
    if d == "c64" and op in ("reduce_max", "reduce_min", "cummax", "cummin", "sort", "topk"):
        return
    if d == "c64" and any(m in attrs for m in ('"max"', '"min"')):
        return

    def swap(ts):
        return [t.replace("f64", d) for t in ts]
    f, g = make_case(op, swap(types), attrs, swap(results)), make_case(op, types, attrs, results)
    g.name = "g"
    tool.module(str(f) + str(g))
    active, floats = [t.startswith("f64") for t in types], [t.startswith("f64") for t in results]
    if d == "c64":
        r = np.random.default_rng(5)
        args = [normal(r, with_sizes(t, {})[1], "c64") if t.startswith("f64") else m(r, with_sizes(t, {})[1], "i32") for m, t in zip(make, types)]
        check_adjoint(tool, "f", args, active, tol=2e-4)
        return
    args = make_args(types, make, 5)
    low = [a.astype(NP[d]) if a.dtype == np.float64 else a for a in args]
    ct = [normal(np.random.default_rng(3), with_sizes(t, {})[1], "f64").astype(NP[d]) for t in results if t.startswith("f64")]
    a = tool.eval(tool.vjp("f", active, floats, False), *low, *ct)
    b = tool.eval(tool.vjp("g", active, floats, False), *[x.astype(np.float64) if n else x for x, n in zip(low, active)], *[c.astype(np.float64) for c in ct])
    tol = {"f16": 2e-2, "bf16": 1e-1, "f32": 1e-4}[d]
    for x, y in zip(a, b):
        assert NAME[x.dtype] == d
        near_enough = np.abs(x.astype(np.float64) - y) <= tol * (1 + np.abs(y).max(initial=0))
        assert near_enough.all(), (x, y)


# --- symbolic dimensions, sizes 0, 1 and more ---------------------------------------------------------------------------------------
SYMBOLIC = [
    ("broadcast", ["f64[N]"], "shape=[2,N,M], dims=[1]", ["f64[2,N,M]"], ["M"]),
    ("reshape", ["f64[N,M]"], "shape=[N*M]", ["f64[N*M]"], []),
    ("transpose", ["f64[N,2,M]"], "perm=[2,0,1]", ["f64[M,N,2]"], []),
    ("rev", ["f64[N,M]"], "axes=[0]", ["f64[N,M]"], []),
    ("slice", ["f64[N+2,M]"], "lo=[1,0], hi=[N+1,M], step=[1,1]", ["f64[N,M]"], []),
    ("slice", ["f64[2*N,M]"], "lo=[0,0], hi=[2*N,M], step=[2,1]", ["f64[N,M]"], []),
    ("slice", ["f64[2*N+1,M]"], "lo=[1,0], hi=[2*N+1,M], step=[2,1]", ["f64[N,M]"], []),
    ("pad", ["f64[N,M]", "f64"], "lo=[1,0], hi=[M,2], step=[1,1]", ["f64[N+M+1,M+2]"], []),
    ("concat", ["f64[N,2]", "f64[M,2]"], "axis=0", ["f64[N+M,2]"], []),
    ("dslice", ["f64[N+2,M]", "i32"], "axes=[0], sizes=[2]", ["f64[2,M]"], []),
    ("dupdate", ["f64[N+2,M]", "f64[2,M]", "i32"], 'axes=[0], mode="set"', ["f64[N+2,M]"], []),
    ("gather", ["f64[N+1,M]", "i32[3,1]"], 'axes=[0], nb=0, oob="clamp"', ["f64[3,M]"], []),
    ("scatter", ["f64[N+1,M]", "i32[3,1]", "f64[3,M]"], 'axes=[0], nb=0, oob="drop", mode="set"', ["f64[N+1,M]"], []),
    ("scatter", ["f64[N+1,M]", "i32[3,1]", "f64[3,M]"], 'axes=[0], nb=0, oob="clamp", mode="add"', ["f64[N+1,M]"], []),
    ("reduce_sum", ["f64[N,M]"], "axes=[0]", ["f64[M]"], []),
    ("reduce_prod", ["f64[N,M]"], "axes=[0,1]", ["f64"], []),
    ("reduce_max", ["f64[N+1,M]"], "axes=[0]", ["f64[M]"], []),
    ("cumsum", ["f64[N,M]"], "axis=0, reverse=false, exclusive=true", ["f64[N,M]"], []),
    ("cumprod", ["f64[N,M]"], "axis=0, reverse=true, exclusive=false", ["f64[N,M]"], []),
    ("cummax", ["f64[N,M]"], "axis=0, reverse=false", ["f64[N,M]", "i32[N,M]"], []),
    ("cumlogsumexp", ["f64[N,M]"], "axis=0, reverse=false, exclusive=false", ["f64[N,M]"], []),
    ("linrec", ["f64[N,M]", "f64[N,M]"], "axis=0, reverse=false", ["f64[N,M]"], []),
    ("topk", ["f64[N+2,M]"], "axis=0, size=N", ["f64[N,M]", "i32[N,M]"], []),
    ("sort", ["f64[N,M]"], "axis=0", ["f64[N,M]", "i32[N,M]"], []),
    ("conv", ["f64[M,2*N+3,2]", "f64[M,3,2]"], "nb=0, step=[2], lo=[1], hi=[1], dilation=[1], spread=[1], groups=1, flip=false", ["f64[M,N+2,M]"], []),
    ("conv", ["f64[2,N+3,2]", "f64[4,3,1]"], "nb=0, step=[2], lo=[1], hi=[0], dilation=[1], spread=[1], groups=2, flip=false", ["f64[2,(N+1)//2+1,4]"], []),
    ("conv", ["f64[M,N+1,2]", "f64[4,3,2]"], "nb=0, step=[1], lo=[2], hi=[2], dilation=[1], spread=[2], groups=1, flip=true", ["f64[M,2*N+3,4]"], []),
    ("window", ["f64[M,2*N+3]"], "axes=[1], sizes=[3], step=[2], dilation=[1]", ["f64[M,N+1,3]"], []),
    ("window", ["f64[N+4,M]"], "axes=[0], sizes=[3], step=[3], dilation=[1]", ["f64[(N+1)//3+1,3,M]"], []),
    ("fold", ["f64[M,N+1,3]"], "axes=[1], shape=[2*N+3], step=[2], dilation=[1]", ["f64[M,2*N+3]"], []),
    ("lu", ["f64[M,N,N]"], "", ["f64[M,N,N]", "i32[M,N]"], []),
    ("trisolve", ["f64[N,N]", "f64[N,M]"], "upper=false, transposed=true, unit=true", ["f64[N,M]"], []),
    ("dot", ["f64[N,M]", "f64[M,3]"], "lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]", ["f64[N,3]"], []),
    ("dot", ["f64[N,M,2]", "f64[N,3,M]"], "lhs_contract=[1], rhs_contract=[2], lhs_batch=[0], rhs_batch=[0]", ["f64[N,2,3]"], []),
]


@pytest.mark.parametrize("op, types, attrs, results, extra", SYMBOLIC, ids=[f"{c[0]}{i}" for i, c in enumerate(SYMBOLIC)])
def test_rule_symbolic_dims(tool, op, types, attrs, results, extra):
    types = types + [f"f64[{s}]" for s in extra]  # an operand that only binds a symbol
    f = Fn("f", *types)
    ys = f(op, *f.p[:len(types) - len(extra)], attrs=attrs, n=len(results))
    f.ret(*zip(results, ys if isinstance(ys, list) else [ys]))
    tool.module(str(f))
    active = [t.startswith("f64") for t in types]
    floats = [t.startswith("f64") for t in results]
    for sizes in (dict(N=3, M=2), dict(N=1, M=1), dict(N=0, M=2), dict(N=2, M=0), dict(N=5, M=4)):
        r = np.random.default_rng(4)
        args = [r.standard_normal(with_sizes(t, sizes)[1]) if a else r.integers(0, 2, with_sizes(t, sizes)[1]).astype(np.int32) for t, a in zip(types, active)]
        check_jvp_fd(tool, "f", args, active)
        check_adjoint(tool, "f", args, active)
        check_batch(tool, "f", args, subsets=[tuple(range(len(args)))])
    # a symbolic batch
    name, _ = tool.vmap("f", [True] * len(types), "lanes")
    got = tool.eval(name, *[np.stack([a, a]) for a in args])
    want = tool.eval("f", *args)
    for a, b in zip(got, want):
        assert np.array_equal(a[0], b) and np.array_equal(a[1], b)
    assert floats and prepend("f64[N]", 3) == "f64[3,N]" and ToolError


# --- every dtype ---------------------------------------------------------------------------------------------------------------------
TOLERANCE = {"f16": 2e-2, "bf16": 1.5e-1, "f32": 2e-4, "c64": 2e-3, "f64": 1e-9}


def taken(op, d):
    takes = {"ALL": DIFF, "NUM": DIFF, "FLT": DIFF[:4], "INX": DIFF, "REAL": DIFF[:4], "CPX": ("c64",)}.get(ELEM[op]["takes"], ())
    return d in takes and not (op == "complex" and d != "f32")


def typed_case(op, types, attrs, results, d):
    def swap(ts):
        return [t.replace("f64", d) for t in ts]
    return make_case(op, swap(types), attrs, swap(results)), swap(types), swap(results)


ELEM_DIFF = [(op, d) for op in ELEM for d in DIFF if taken(op, d) and ELEM[op]["zero"] == "NONE"]
TENSOR_DIFF = [c for c in CASES if TENSOR[c.values[0]]["zero"] == "NONE"]


def rule_dtype(op, d):
    return d in ("f32", "f64") if op in MATRIX else d in DIFF


def check_both_orders(tool, f, types, results, args, d):
    """The adjoint identity of f, and of its pullback as a function of arguments and cotangents."""
    active, floats = [parse_type(t)[0] in DIFF for t in types], [parse_type(t)[0] in DIFF for t in results]
    if not any(active) or not any(floats):
        return
    check_adjoint(tool, f, args, active, tol=TOLERANCE[d])
    back = tool.vjp(f, active, floats, False)
    r = np.random.default_rng(12)
    g = [normal(r, with_sizes(t, {})[1], parse_type(t)[0]) for t, m in zip(results, floats) if m]
    check_adjoint(tool, back, args + g, active + [True] * len(g), tol=TOLERANCE[d])


@pytest.mark.parametrize("op, d", ELEM_DIFF)
def test_elementwise_both_orders(tool, op, d):
    f, types = elementwise_fn(op, d)
    tool.module(str(f))
    r = np.random.default_rng(13)
    args = [elementwise_arg(op, k, (3, 4), r, "f64" if op == "select" and k == 0 else d) for k in range(len(types))]
    check_both_orders(tool, "f", types, [f"{out_dtype(op, d)}[3,4]"], args, "f32" if op == "convert" and d == "f64" else d)


@pytest.mark.parametrize("d", DIFF)
@pytest.mark.parametrize("op, types, attrs, results, make", TENSOR_DIFF)
def test_tensor_both_orders(tool, op, types, attrs, results, make, d):
    if not rule_dtype(op, d):
        return
    f, types, results = typed_case(op, types, attrs, results, d)
    tool.module(str(f))
    r = np.random.default_rng(14)
    args = [normal(r, with_sizes(t, {})[1], d) if parse_type(t)[0] == d and d == "c64" else m(r, with_sizes(t, {})[1], parse_type(t)[0]) for m, t in zip(make, types)]
    check_both_orders(tool, "f", types, results, args, d)


def zero_ops():
    for op in ELEM:
        for d in DIFF:
            if taken(op, d) and ELEM[op]["zero"] != "NONE":
                yield op, d, *elementwise_fn(op, d)
    for c in CASES:
        op, types, attrs, results, _ = c.values
        if TENSOR[op]["zero"] == "NONE" or not any(t.startswith("f64") for t in types):
            continue
        for d in ("f32", "f64", "f16", "bf16"):
            if op == "bitcast" and d != "f64":
                continue
            f, ts, _ = typed_case(op, types, attrs, results, d)
            yield op, d, f, ts


def test_zero_derivatives_are_symbolic(tool):
    """No tangent and no float value for ops whose derivative vanishes, at every dtype."""
    n = 0
    for op, d, f, types in zero_ops():
        tool.module(str(f))
        active = [parse_type(t)[0] in DIFF for t in types]
        name, mask = tool.jvp("f", active)
        assert not any(mask), op
        n += 1
    assert n > 60


def lanes_of(case, r):
    """Each operand, and the same elements rolled by one; sorted tables stay what they are."""
    out = []
    for k, x in enumerate(case.inputs):
        fixed = case.op == "searchsorted" and k == 0
        out.append(np.stack([x, x if fixed else np.roll(x.reshape(-1), 1).reshape(x.shape)]))
    return out


def op_cases(op, d):
    with np.errstate(all="ignore"):
        if op in ELEM:
            table = {o: (True, [d] if o == op else [], ()) for o in ELEM}
            return [c for c in op_cases_elem.elem_cases(table) if c.op == op]
        return list(op_cases_tensor.CASES[op](d))


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and ((a.tobytes() == b.tobytes()) or bool(np.all((a == b) | ((a != a) & (b != b)))))


def nearly(a, b):
    """A matrix times a vector adds in 64 partial sums, a batch of them is a matrix product and adds one after the other (ir/dot.h)."""
    return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, rtol=8 * np.finfo(a.dtype).eps, atol=64 * np.finfo(a.dtype).eps, equal_nan=True)


@pytest.mark.parametrize("d", list(NP))
@pytest.mark.parametrize("op", [o for o in list(ELEM) + list(TENSOR) if o not in NEEDS_NO_CASE])
def test_batch_every_dtype(tool, op, d):
    """The cases of the op table at every dtype, all operands batched and each alone: bit for bit what the lanes give one by one."""
    if not has_cases(op, d):
        return
    cases = [c for c in op_cases(op, d) if c.inputs and all(x.size < 3000 for x in c.inputs)][:12]
    r = np.random.default_rng(0)
    for c in cases:
        p = op_kit.Program("f", [c])
        tool.module(p.text)
        lanes = lanes_of(c, r)
        k = len(c.inputs)
        for mask in {(True,) * k} | {tuple(i == j for i in range(k)) for j in range(k)}:
            name, out = tool.vmap("f", mask, 2)
            got = tool.eval(name, *[x if m else y for x, y, m in zip(lanes, c.inputs, mask)])
            for lane in range(2):
                want = tool.eval("f", *[x[lane] if m else y for x, y, m in zip(lanes, c.inputs, mask)])
                for a, b in zip(got, want):
                    same = nearly if op == "dot" and d in ("f32", "f64") else same_bits
                    assert same(a[lane], b), f"{op} {d} {c.attrs} {mask}"


def has_cases(op, d):
    if op in ELEM:
        classes = {"ALL": list(NP), "NUM": list(NP)[1:], "FLT": DIFF[:4], "INX": DIFF, "REAL": list(NP)[:-1], "CPX": ["c64"], "INT": list(NP)[1:9], "INTB": list(NP)[:9]}
        return d in classes[ELEM[op]["takes"]] and not (op == "complex" and d != "f32")
    return op in op_cases_tensor.CASES and any(c.inputs for c in op_cases_tensor.CASES[op](d))


def covered(path):
    """(op, dtype) pairs of a column of tests/coverage.py."""
    if path == "vmap":
        return {(op, d) for op in list(ELEM) + list(TENSOR) if op not in NEEDS_NO_CASE for d in NP if has_cases(op, d)}
    pairs = set(ELEM_DIFF)
    pairs |= {(c.values[0], d) for c in TENSOR_DIFF for d in DIFF if rule_dtype(c.values[0], d)} | set(SPECTRAL_DTYPE.items())
    if path == "jvp":
        pairs |= {(op, d) for op, d, _, _ in zero_ops()}
    return pairs


def reason(path, op, d):
    """Why a pair has no test in a column, or None."""
    if op in ("print", "assert", "call", "loop", "cond"):
        return "structure and effects: tests/test_transforms.py"
    row = ELEM.get(op) or TENSOR[op]
    if path == "vmap":
        return "no operand" if op in NEEDS_NO_CASE else None
    if d not in DIFF:
        return "integers and bool have no tangent"
    if row["zero"] != "NONE":
        return f"derivative zero: {row['zero'].lower()}"
    return None


def test_no_hole():
    """Every op at every dtype it takes is tested in every column, or says why not."""
    from test_ops_numpy import covered as interpreted
    takes = interpreted() | {(op, d) for op in ELEM for d in NP if has_cases(op, d)}
    for path in ("jvp", "vjp", "vjp.vjp", "vmap"):
        holes = {p for p in takes - covered(path) if not reason(path, *p)}
        assert not holes, (path, sorted(holes))
