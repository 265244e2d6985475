"""The convolution kernels (kernels/conv.h) against the interpreter, bit for bit without contraction: sizes around every tile, panel and vector
boundary, borders wider than the input, steps, dilations, groups, crops, batches of weights; every vector width; sizes known at run time."""
import ctypes
import subprocess

import numpy as np
import pytest
import c_kit
import op_kit
from op_cases_tensor import conv_of
from op_kit import Case, Program

WIDTHS = {"16": ("-march=x86-64-v4",), "8": ("-march=x86-64-v3",), "4": (), "scalar": ("-DMLXCC_SCALAR",)}
SHAPES = [  # x, w, attributes
    ((1, 5, 17, 16), (32, 3, 3, 16), conv_of(2, lo=[1, 1], hi=[1, 1])), ((2, 4, 31, 3), (33, 3, 3, 3), conv_of(2, lo=[1, 1], hi=[1, 1])), ((1, 3, 14, 5), (40, 1, 1, 5), conv_of(2)),
    ((1, 9, 15, 3), (64, 7, 7, 3), conv_of(2, step=[2, 2], lo=[3, 3], hi=[3, 3])), ((1, 6, 13, 4), (70, 2, 3, 4), conv_of(2, step=[1, 3], lo=[0, 2], hi=[1, 4])),
    ((1, 2, 2, 8), (16, 5, 5, 8), conv_of(2, lo=[2, 2], hi=[2, 2])), ((1, 8, 29, 4), (9, 3, 3, 4), conv_of(2, dilation=[2, 3], lo=[2, 3], hi=[2, 3])),
    ((1, 6, 12, 6), (24, 3, 3, 3), conv_of(2, groups=2, lo=[1, 1], hi=[1, 1])), ((1, 6, 12, 8), (100, 3, 2, 2), conv_of(2, groups=4, dilation=[1, 2], lo=[1, 1], hi=[1, 1])),
    ((1, 7, 9, 3), (8, 3, 3, 3), conv_of(2, lo=[-1, -2], hi=[-2, -1])), ((1, 6, 7, 3), (12, 3, 3, 3), conv_of(2, flip=True, lo=[1, 1], hi=[1, 1])),
    ((3, 40, 5), (17, 4, 5), conv_of(1, lo=[3], hi=[1], step=[2])), ((2, 11, 2), (130, 3, 2), conv_of(1, lo=[1], hi=[1])), ((1, 3, 4, 5, 2), (9, 2, 3, 3, 2), conv_of(3, lo=[1, 1, 1], hi=[0, 1, 1])),
    ((1, 3, 4, 6, 2), (32, 3, 3, 3, 2), conv_of(3, step=[2, 1, 2], dilation=[1, 2, 1], lo=[1, 2, 1], hi=[1, 2, 1])), ((2, 3, 5, 7, 4), (2, 16, 3, 3, 4), conv_of(2, nb=1, lo=[1, 1], hi=[1, 1])),
    ((1, 4, 6, 128), (96, 3, 3, 128), conv_of(2, lo=[1, 1], hi=[1, 1])),  # past ROW_WEIGHT: a call for each sample
    ((2, 5, 6, 5), (12, 3, 3, 5), conv_of(2, spread=[2, 2], lo=[1, 1], hi=[2, 1], flip=True)), ((1, 4, 17, 3), (33, 4, 4, 3), conv_of(2, spread=[2, 3], lo=[2, 3], hi=[2, 2])),
    ((2, 7, 4), (40, 2, 4), conv_of(1, spread=[3], lo=[1], hi=[3])), ((1, 3, 4, 16), (16, 2, 2, 16), conv_of(2, spread=[3, 1], lo=[0, 1], hi=[4, 0])),
    ((1, 5, 5, 8), (8, 3, 3, 8), conv_of(2, spread=[2, 2], lo=[-1, -2], hi=[-1, 0])), ((0, 4, 6, 8), (16, 3, 3, 8), conv_of(2)), ((1, 3, 3, 0), (8, 2, 2, 0), conv_of(2)), ((1, 3, 2, 4), (8, 2, 3, 4), conv_of(2)),
    # few results: one vector
    ((1, 7, 28, 1), (6, 5, 5, 1), conv_of(2, lo=[2, 2], hi=[2, 2])), ((2, 5, 9, 3), (1, 3, 3, 3), conv_of(2, lo=[1, 1], hi=[1, 1], step=[2, 2])), ((1, 4, 16, 5), (3, 1, 1, 5), conv_of(2)),
    ((1, 6, 17, 2), (5, 2, 3, 2), conv_of(2, dilation=[1, 2])), ((2, 21, 4), (7, 4, 4), conv_of(1, lo=[2], hi=[1])), ((1, 4, 15, 3), (48, 3, 3, 3), conv_of(2, lo=[1, 1], hi=[1, 1])),
] + [((2, 5, n, c), (c, 3, 3, 1), conv_of(2, groups=c, lo=[1, 1], hi=[1, 1], step=[1, s])) for n, c, s in ((19, 32, 1), (8, 40, 1), (11, 7, 2), (3, 17, 1), (16, 1, 1))] + [
    ((1, 30, 24), (24, 5, 1), conv_of(1, groups=24, lo=[4], hi=[0], dilation=[2])), ((1, 4, 5, 6, 20), (20, 3, 2, 3, 1), conv_of(3, groups=20, lo=[1, 1, 1], hi=[1, 0, 1])),
    ((2, 1, 6, 9, 16), (2, 16, 3, 3, 1), conv_of(2, nb=1, groups=16, lo=[2, 0], hi=[1, 0], flip=True)), ((1, 2, 2, 20), (20, 5, 5, 1), conv_of(2, groups=20, lo=[2, 2], hi=[2, 2])),
]


def result_shape(xs, ws, at):
    nb, n = at["nb"], len(at["step"])
    room = [(s - 1) * r + l + h - (k - 1) * d for s, k, r, l, h, d in zip(xs[nb + 1:], ws[nb + 1:], at["spread"], at["lo"], at["hi"], at["dilation"])]
    return (*xs[:nb + 1], *[r // s + 1 for r, s in zip(room, at["step"])], ws[nb])[:n + nb + 2]


def cases():
    r = np.random.default_rng(5)
    for xs, ws, at in SHAPES:
        yield Case("conv", [r.normal(size=xs).astype("f4"), r.normal(size=ws).astype("f4")], at, np.zeros(result_shape(xs, ws, at), "f4"))


@pytest.fixture(scope="module")
def wanted(irtool):
    program = Program("conv", cases())
    return program, op_kit.interpret(irtool, program)


def check(program, got, want):
    bad = [f"{c.inputs[0].shape} {c.inputs[1].shape} {c.attrs}: {op_kit.differ(g, w, None)}" for c, g, w in zip(program.cases, got, want) if op_kit.differ(g, w, None)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("cc,opt,width", [("gcc", "-O1", w) for w in WIDTHS] + [("clang", "-O1", "16")])
def test_same_bits_as_the_interpreter(mlxcc, wanted, width, cc, opt):
    program, want = wanted
    check(program, c_kit.run(mlxcc, program, (opt, *c_kit.STRICT, *WIDTHS[width]), cc), want)


def test_constant_weights_are_packed_while_compiling(mlxcc, irtool, tmp_path):
    from op_cases_tensor import const_text
    r = np.random.default_rng(6)
    picked = [s for k, s in enumerate(SHAPES) if k in (1, 10, 7) or max(s[2]["spread"], default=1) > 1 or s[2]["groups"] in (32, 20)]
    for xs, ws, at in picked:
        x, w, shape = r.normal(size=xs).astype("f4"), r.normal(size=ws).astype("f4"), result_shape(xs, ws, at)
        attrs = ", ".join(f"{k}={op_kit.attr_text(v)}" for k, v in at.items())
        types = f"f32[{','.join(map(str, xs))}]", f"f32[{','.join(map(str, ws))}]", f"f32[{','.join(map(str, shape))}]"
        program = Program("conv", [Case("conv", [x], {}, np.zeros(shape, "f4"))])
        program.text = (f'module "t" stage "tensor"\n\nfunc @f(%x: {types[0]}) -> ({types[2]}) {{\n  %w = const {{value={const_text(w)}}} : {types[1]}\n'
                        f"  %r = conv %x, %w {{{attrs}}} : {types[2]}\n  return %r\n}}\n")
        want = op_kit.interpret(irtool, program)
        check(program, c_kit.run(mlxcc, program, ("-O1", "-march=native")), want)
        (tmp_path / "f.ir").write_text(c_kit.exported(program.text, 1, 1))
        loops = subprocess.run([mlxcc, str(tmp_path / "f.ir"), "--emit=loops", "-o", "-"], capture_output=True, text=True).stdout
        assert "pack" not in loops


@pytest.mark.parametrize("sizes", [(1, 3, 3), (2, 7, 30), (3, 5, 17), (1, 1, 1), (0, 4, 4)])
@pytest.mark.parametrize("weight", ["f32[20,3,3,4]", "f32[4,3,3,1]"])
def test_sizes_known_at_run_time(mlxcc, irtool, tmp_path, sizes, weight):
    groups = 4 if weight.endswith("1]") else 1
    o = 4 if groups == 4 else 20
    text = (f'module "t" stage "tensor"\n\nfunc @f(%x: f32[B,H,W,4], %w: {weight}) -> (f32[B,H,W,{o}]) {{\n'
            f"  %r = conv %x, %w {{nb=0, step=[1,1], lo=[1,1], hi=[1,1], dilation=[1,1], spread=[1,1], groups={groups}, flip=false}} : f32[B,H,W,{o}]\n  return %r\n}}\n")
    r = np.random.default_rng(7)
    b, h, w = sizes
    x = r.normal(size=(b, h, w, 4)).astype("f4")
    k = r.normal(size=[int(n) for n in weight[4:-1].split(",")]).astype("f4")
    want, said = op_kit.eval_ir(irtool, text, [x, k])
    assert want is not None, said
    exported = c_kit.exported(text, 2, 1).replace("\n{\n", "\n  dims B, H, W\n{\n", 1)
    c_kit.build(mlxcc, exported, tmp_path, ("-O0", *c_kit.STRICT))
    (tmp_path / "size.c").write_text('#include "f.c"\nsize_t size(ptrdiff_t B, ptrdiff_t H, ptrdiff_t W);\nsize_t size(ptrdiff_t B, ptrdiff_t H, ptrdiff_t W) { return t_f_arena_bytes(B, H, W); }\n')
    subprocess.run(["gcc", "-std=c99", "-O1", "-march=native", "-ffp-contract=off", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC", "-o", str(tmp_path / "size.so"),
                    str(tmp_path / "size.c"), "-lm"], check=True)
    lib = ctypes.CDLL(str(tmp_path / "size.so"))
    lib.size.restype = ctypes.c_size_t
    room = np.zeros(lib.size(*map(ctypes.c_ssize_t, sizes)) + 64, np.uint8)
    y = np.full(b * h * w * o + 4, 7, "f4")
    code = lib.t_f(*[ctypes.c_void_p(a.ctypes.data) for a in (x, k, y)], *map(ctypes.c_ssize_t, sizes), ctypes.c_void_p(room.ctypes.data + -room.ctypes.data % 64))
    assert code == 0 and (y[b * h * w * o:] == 7).all()
    assert op_kit.differ(y[:b * h * w * o].reshape(b, h, w, o), want[0], None) is None


# --- Winograd ----------------------------------------------------------------------------------------------------------------------------
WINOGRAD = [((1, 16, 16, 16), (16, 3, 3, 16), 1, False), ((2, 31, 14, 32), (48, 3, 3, 32), 1, True), ((1, 23, 30, 16), (32, 3, 3, 16), 0, False), ((3, 14, 15, 48), (16, 3, 3, 48), 2, False)]


def winograd_program(xs, ws, pad, flip, constant, r):
    from op_cases_tensor import const_text
    x, w = r.normal(size=xs).astype("f4"), (r.normal(size=ws) / np.sqrt(9 * ws[3])).astype("f4")  # results of the order of 1, at most some 5
    at = conv_of(2, lo=[pad, pad], hi=[pad, pad], flip=flip)
    shape = result_shape(xs, ws, at)
    case = Case("conv", [x] if constant else [x, w], at, np.zeros(shape, "f4"))
    program = Program("conv", [case])
    types = [f"f32[{','.join(map(str, s))}]" for s in (xs, ws, shape)]
    head = f"%arg0: {types[0]}" + ("" if constant else f", %arg1: {types[1]}")
    weight = f"  %arg1 = const {{value={const_text(w)}}} : {types[1]}\n" if constant else ""
    attrs = ", ".join(f"{k}={op_kit.attr_text(v)}" for k, v in at.items())
    program.text = f'module "t" stage "tensor"\n\nfunc @f({head}) -> ({types[2]}) {{\n{weight}  %r = conv %arg0, %arg1 {{{attrs}}} : {types[2]}\n  %z = tanh %r : {types[2]}\n  return %z\n}}\n'
    exact = np.tanh(op_conv64(x, w, at))
    return program, exact


def op_conv64(x, w, at):
    """float64, by shifted products."""
    if at["flip"]:
        w = w[:, ::-1, ::-1]
    p = at["lo"][0]
    x = np.pad(x.astype("f8"), ((0, 0), (p, p), (p, p), (0, 0)))
    h, v = x.shape[1] - 2, x.shape[2] - 2
    return sum(x[:, i:i + h, j:j + v] @ w[:, i, j].astype("f8").T for i in range(3) for j in range(3))


@pytest.mark.parametrize("constant", [False, True], ids=["argument", "constant"])
@pytest.mark.parametrize("shape", WINOGRAD, ids=lambda s: "x".join(map(str, s[0])))
def test_winograd(mlxcc, irtool, tmp_path, shape, constant):
    program, exact = winograd_program(*shape, constant, np.random.default_rng(8))
    text = c_kit.exported(program.text, len(program.inputs), 1)
    (tmp_path / "f.ir").write_text(text)
    loops = subprocess.run([mlxcc, str(tmp_path / "f.ir"), "--emit=loops", "-o", "-"], capture_output=True, text=True).stdout
    sixteenths = shape[0][0] * (shape[0][1] + 2 * shape[2] - 2) * (shape[0][2] + 2 * shape[2] - 2)
    assert (" winograd " in loops) == (constant or sixteenths >= 500), loops[:2000]
    for cc, flags in (("gcc", ("-O1", *c_kit.STRICT, "-march=x86-64-v4")), ("clang", ("-O1", *c_kit.STRICT, "-march=x86-64-v3")), ("gcc", ("-O1", "-DMLXCC_SCALAR"))):
        got = c_kit.run(mlxcc, program, flags, cc, ("--conv=fast",))[0]
        assert np.abs(got - exact).max() < 5e-5
    lib = c_kit.build(mlxcc, text, tmp_path, ("-O1", "-march=native"), options=("--fma=on", "--conv=exact"))
    assert lib and "mx_wino" not in (tmp_path / "f.c").read_text()


# --- the weight's derivative --------------------------------------------------------------------------------------------------------------
def transposed_conv_program(xs, ws, step, pad, dilation):
    """The program of the rule: x and the cotangent with samples and channels exchanged."""
    r = np.random.default_rng(9)
    out = result_shape(xs, ws, conv_of(len(step), step=step, lo=pad, hi=pad, dilation=dilation))
    x, g = r.normal(size=xs).astype("f4"), r.normal(size=out).astype("f4")
    n = len(step)
    swap = [n + 1, *range(1, n + 1), 0]
    hi = [(k - 1) * d + (o - 1) * s + 1 - e - p for k, d, o, s, e, p in zip(ws[1:], dilation, out[1:], step, xs[1:], pad)]
    at = conv_of(n, step=dilation, lo=pad, hi=hi, dilation=step)
    want = (ws[-1], *ws[1:-1], ws[0])
    case = Case("conv", [x, g], at, np.zeros(want, "f4"))
    program = Program("conv", [case])
    t = [op_kit.type_text(x), op_kit.type_text(g), op_kit.type_text(x.transpose(swap)), op_kit.type_text(g.transpose(swap)), op_kit.type_text(case.expected[0])]
    attrs = ", ".join(f"{k}={op_kit.attr_text(v)}" for k, v in at.items())
    perm = op_kit.attr_text(swap)
    program.text = (f'module "t" stage "tensor"\n\nfunc @f(%arg0: {t[0]}, %arg1: {t[1]}) -> ({t[4]}) {{\n  %a = transpose %arg0 {{perm={perm}}} : {t[2]}\n'
                    f"  %b = transpose %arg1 {{perm={perm}}} : {t[3]}\n  %r = conv %a, %b {{{attrs}}} : {t[4]}\n  return %r\n}}\n")
    return program


@pytest.mark.parametrize("xs,ws,step,pad,dilation", [((2, 9, 30, 17), (40, 3, 3, 17), [1, 1], [1, 1], [1, 1]), ((1, 13, 14, 20), (9, 3, 2, 20), [2, 3], [2, 1], [1, 2]),
                                                     ((3, 21, 5), (65, 4, 5), [2], [2], [1]), ((2, 3, 5, 6, 3), (10, 2, 3, 3, 3), [1, 2, 1], [1, 1, 0], [1, 1, 1]),
                                                     ((1, 2, 2, 16), (8, 5, 5, 16), [1, 1], [2, 2], [1, 1])], ids=lambda v: "x".join(map(str, v)))
def test_weight_derivative(mlxcc, irtool, tmp_path, xs, ws, step, pad, dilation):
    program = transposed_conv_program(xs, ws, step, pad, dilation)
    (tmp_path / "f.ir").write_text(c_kit.exported(program.text, 2, 1))
    loops = subprocess.run([mlxcc, str(tmp_path / "f.ir"), "--emit=loops", "-o", "-"], capture_output=True, text=True).stdout
    assert " convweight " in loops
    want = op_kit.interpret(irtool, program)[0]
    for width, flags in WIDTHS.items():
        got = c_kit.run(mlxcc, program, ("-O1", *c_kit.STRICT, *flags), options=("--conv=fast",))[0]
        assert np.abs(got - want).max() <= 2e-6 * np.abs(want).max() * np.sqrt(xs[0] * xs[1]), width
