"""Ops at symbolic dimensions, interpreted and as C, at sizes that include 0 and 1: the same bits."""
import ctypes
import re
import subprocess
import numpy as np
import pytest
import c_kit
from op_kit import DTYPES, eval_ir

HEAD = 'module "t" stage "tensor"\n\n'
ROWS = "{lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]}"
PROGRAMS = {  # parameters | body, whose last op gives the results
    "broadcast": ("%x: f32[B]", "%r = broadcast %x {shape=[N,B,2], dims=[1]} : f32[N,B,2]"),
    "reshape": ("%x: f32[B,N,2]", "%r = reshape %x {shape=[2*N*B]} : f32[2*B*N]"),
    "reshape_split": ("%x: f32[B*N,3]", "%r = reshape %x {shape=[B,3*N]} : f32[B,3*N]"),
    "transpose": ("%x: f32[B,N,2]", "%r = transpose %x {perm=[1,2,0]} : f32[N,2,B]"),
    "rev": ("%x: i32[B,N]", "%r = rev %x {axes=[0,1]} : i32[B,N]"),
    "slice": ("%x: f32[N+2,B]", "%r = slice %x {lo=[1,0], hi=[N+1,B], step=[1,1]} : f32[N,B]"),
    "slice_step": ("%x: f32[N]", "%r = slice %x {lo=[0], hi=[N], step=[2]} : f32[(N+1)//2]"),
    "pad": ("%x: f32[N,B], %f: f32", "%r = pad %x, %f {lo=[2,-1], hi=[-1,3], step=[1,1]} : f32[N+1,B+2]"),
    "pad_spread": ("%x: f32[N+1], %f: f32", "%r = pad %x, %f {lo=[0], hi=[1], step=[3]} : f32[3*N+2]"),
    "concat": ("%x: f32[N,B], %y: f32[2,B], %z: f32[N,B]", "%r = concat %x, %y, %z {axis=0} : f32[2*N+2,B]"),
    "concat_inner": ("%x: u8[B,N], %y: u8[B,3]", "%r = concat %x, %y {axis=1} : u8[B,N+3]"),
    "bitcast": ("%x: f32[N]", "%r = bitcast %x {dtype=u8} : u8[4*N]"),
    "iota": ("%x: i32[N]", "%i = iota {size=N, dtype=i32} : i32[N]\n  %r = sub %x, %i : i32[N]"),
    "dimsize": ("%x: f32[N,B]", "%r = dimsize {dim=N*B+1} : i32"),
    "dslice": ("%x: f32[N+4,B], %s: i32", "%r = dslice %x, %s {axes=[0], sizes=[4]} : f32[4,B]"),
    "dslice_symbolic": ("%x: f32[N+B], %s: i32", "%r = dslice %x, %s {axes=[0], sizes=[N]} : f32[N]"),
    "dupdate": ("%x: f32[N+2,B], %v: f32[2,B], %s: i32", '%r = dupdate %x, %v, %s {axes=[0], mode="add"} : f32[N+2,B]'),
    "gather": ("%x: f32[N,B], %i: i32[M,1]", '%r = gather %x, %i {axes=[0], nb=0, oob="clamp"} : f32[M,B]'),
    "gather_zero": ("%x: f32[B,N,2], %i: i32[B,M,1]", '%r = gather %x, %i {axes=[1], nb=1, oob="zero"} : f32[B,M,2]'),
    "scatter_add": ("%x: f32[N,B], %i: i32[M,1], %v: f32[M,B]", '%r = scatter %x, %i, %v {axes=[0], nb=0, oob="drop", mode="add"} : f32[N,B]'),
    "scatter_set": ("%x: i64[B,N], %i: i32[B,M,1], %v: i64[B,M]", '%r = scatter %x, %i, %v {axes=[1], nb=1, oob="clamp", mode="set"} : i64[B,N]'),
    "reduce_all": ("%x: f32[N,B]", "%r = reduce_sum %x {axes=[0,1]} : f32"),
    "reduce_first": ("%x: f16[N,B]", "%r = reduce_sum %x {axes=[0]} : f16[B]"),
    "reduce_max": ("%x: f32[N,B]", "%r = reduce_max %x {axes=[1]} : f32[N]"),
    "argmin": ("%x: f32[B,N+1]", "%r = argmin %x {axis=1} : u32[B]"),
    "cumsum": ("%x: bf16[B,N]", "%r = cumsum %x {axis=1, reverse=true, exclusive=true} : bf16[B,N]"),
    "cumprod_outer": ("%x: f32[N,B]", "%r = cumprod %x {axis=0, reverse=false, exclusive=false} : f32[N,B]"),
    "linrec": ("%a: f64[B,N], %b: f64[B,N]", "%r = linrec %a, %b {axis=1, reverse=false} : f64[B,N]"),
    "topk": ("%x: f32[N+1,B]", "%r, %p = topk %x {axis=0, size=N} : f32[N,B], i32[N,B]"),
    "sort": ("%x: f32[N,B]", "%r, %p = sort %x {axis=0} : f32[N,B], i32[N,B]"),
    "searchsorted": ("%x: f32[N], %v: f32[B]", "%r = searchsorted %x, %v {right=true} : u32[B]"),
    "dot": ("%x: f32[B,N], %y: f32[N,M]", f"%r = dot %x, %y {ROWS} : f32[B,M]"),
    "dot_batch": ("%x: f32[B,N,2], %y: f32[B,M,2]", "%r = dot %x, %y {lhs_contract=[2], rhs_contract=[2], lhs_batch=[0], rhs_batch=[0]} : f32[B,N,M]"),
    "rng_bits": ("%k: u32[B,2]", "%r = rng_bits %k {shape=[N], width=2} : u16[B,N]"),
    "fft": ("%x: c64[B,N]", "%r = fft %x {axis=1, inverse=false, norm=\"root\"} : c64[B,N]"),
    "fft_inner": ("%x: c64[N,B]", "%r = fft %x {axis=0, inverse=true, norm=\"root\"} : c64[N,B]"),
    "fft_long": ("%x: c64[B,64*N+3]", "%r = fft %x {axis=1, inverse=false, norm=\"root\"} : c64[B,64*N+3]"),
    "rfft": ("%x: f32[B,N]", "%r = rfft %x {axis=1, norm=\"root\"} : c64[B,N//2+1]"),
    "rfft_inner": ("%x: f32[64*N,B]", "%r = rfft %x {axis=0, norm=\"root\"} : c64[32*N+1,B]"),
    "irfft": ("%x: c64[B,128*N+1]", "%r = irfft %x {axis=1, size=256*N, norm=\"root\"} : f32[B,256*N]"),
    "cholesky": ("%x: f32[B,N,N]", "%t = transpose %x {perm=[0,2,1]} : f32[B,N,N]\n  %d = dot %x, %t {lhs_contract=[2], rhs_contract=[1], lhs_batch=[0], rhs_batch=[0]} : f32[B,N,N]\n  %r = cholesky %d : f32[B,N,N]"),
    "lu": ("%x: f64[B,N,N]", "%r, %o = lu %x : f64[B,N,N], i32[B,N]"),
    "trisolve": ("%a: f32[B,N,N], %b: f32[B,N,M]", "%r = trisolve %a, %b {upper=true, transposed=false, unit=false} : f32[B,N,M]"),
    "softmax": ("%x: f32[B,N+1]", "%m = reduce_max %x {axes=[1]} : f32[B]\n  %n = broadcast %m {shape=[B,N+1], dims=[0]} : f32[B,N+1]\n  %d = sub %x, %n : f32[B,N+1]\n"
                "  %e = exp %d : f32[B,N+1]\n  %s = reduce_sum %e {axes=[1]} : f32[B]\n  %t = broadcast %s {shape=[B,N+1], dims=[0]} : f32[B,N+1]\n  %r = div %e, %t : f32[B,N+1]"),
    "loop": ("%x: f32[N,B]", "%z = const {value=f32(0)} : f32\n  %c = broadcast %z {shape=[B], dims=[]} : f32[B]\n"
             "  %o, %r = loop %c, %x {trips=N, ncarry=1, nscan=1, reverse=true, limit=false} : f32[B], f32[N,B] do(%i: i32, %k: f32[B], %w: f32[B]) {\n"
             "    %s = add %k, %w : f32[B]\n    %q = mul %s, %w : f32[B]\n    yield %s, %q\n  }"),
}
SIZES = [(0, 2, 3), (1, 1, 1), (5, 3, 4), (2, 0, 1), (7, 1, 0)]  # N, B, M


def whole(name):
    params, body = PROGRAMS[name]
    types = re.findall(r"^  (%r\b.*|%o.*) = .*? : ([^{}]*?)(?: do\(.*)?$", "  " + body, re.M)[-1]
    results = re.findall(r"\w+(?:\[[^\]]*\])?", types[1])
    names = re.findall(r"%\w+", types[0])
    text = f"{HEAD}func @f({params}) -> ({', '.join(results)}) {{\n  {body}\n  return {', '.join(names)}\n}}\n"
    return text, re.findall(r"%\w+: (\w+)(\[[^\]]*\])?", params), results


def value(dtype, shape, env, r):
    n = [eval(d, {}, env) for d in shape[1:-1].split(",")] if shape else []
    t = DTYPES[dtype]
    if dtype in ("f16", "bf16", "f32", "f64"):
        return np.asarray(np.round(r.normal(size=n) * 8) / 8 if n else r.normal()).astype(t)
    if dtype == "c64":
        return (r.normal(size=n) + 1j * r.normal(size=n)).astype(t)
    if dtype == "i32":
        return np.asarray(r.integers(-2, 8, n)).astype(t)
    return np.asarray(r.integers(0, 200, n)).astype(t)


def export(text, params, results):
    text = c_kit.exported(text, len(params), len(results))
    dims = [d for d in "NBM" if re.search(rf"\b{d}\b", text)]
    return text.replace("\n{\n", f"\n  dims {', '.join(dims)}\n{{\n", 1) if dims else text, dims


@pytest.mark.parametrize("name", PROGRAMS)
def test_symbolic(name, irtool, mlxcc, tmp_path):
    text, params, results = whole(name)
    exported, dims = export(text, params, results)
    c_kit.build(mlxcc, exported, tmp_path, ("-O0", *c_kit.STRICT))
    args = ", ".join(f"ptrdiff_t {d}" for d in dims)
    (tmp_path / "size.c").write_text(f'#include "f.c"\nsize_t size({args});\nsize_t size({args}) {{ return t_f_arena_bytes({", ".join(dims)}); }}\n')
    subprocess.run(["gcc", "-std=c99", "-ffp-contract=off", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-shared", "-fPIC", "-o", str(tmp_path / "size.so"), str(tmp_path / "size.c"), "-lm"], check=True)
    lib = ctypes.CDLL(str(tmp_path / "size.so"))
    lib.size.restype = ctypes.c_size_t
    for k, (n, b, m) in enumerate(SIZES):
        r, env = np.random.default_rng(k), {"N": n, "B": b, "M": m}
        inputs = [value(d, s, env, r) for d, s in params]
        if name == "searchsorted":
            inputs[0] = np.sort(inputs[0])
        want, said = eval_ir(irtool, with_numbers(text, env), inputs)
        assert want is not None, said
        got = call(lib, inputs, want, [env[d] for d in dims])
        for g, w in zip(got, want):
            assert g.tobytes() == w.tobytes(), f"{env}: {g} instead of {w}"


def with_numbers(text, env):
    """For the interpreter, which finds dimensions from arguments alone: some here stand in none, or only in products."""
    return re.sub(r"(?<![%@\w.\"])([NBM])(?![\w.])", lambda m: str(env[m[1]]), text)


def call(lib, inputs, want, dims):
    out = [np.full(w.nbytes + 16, 0xA5, np.uint8) for w in want]
    sizes = [ctypes.c_ssize_t(d) for d in dims]
    room = np.full(lib.size(*sizes) + 64, 0x5A, np.uint8)
    place = room.ctypes.data + -room.ctypes.data % 64
    keep = [np.ascontiguousarray(x) if x.ndim else x for x in inputs]
    code = lib.t_f(*map(c_kit.argument, keep), *[ctypes.c_void_p(o.ctypes.data) for o in out], *sizes, ctypes.c_void_p(place))
    assert code == 0
    for o, w in zip(out, want):
        assert (o[w.nbytes:] == 0xA5).all(), "written beyond the end"
    return [o[:w.nbytes].view(w.dtype).reshape(w.shape) for o, w in zip(out, want)]
