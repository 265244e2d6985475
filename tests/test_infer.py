"""Type inference of ops: shapes that are polynomials, and the message for each way in which an op does not fit."""
import pytest
from op_kit import refused

HEAD = 'module "t" stage "tensor"\n\n'

# parameters | facts | op and its operands | result types
FITS = [
    ("%x: f32[B,T], %y: f32[B,T]", "", "add %x, %y", "f32[B,T]"),
    ("%x: f32[N], %y: f32[M]", "fact N-M == 0", "add %x, %y", "f32[N]"),
    ("%x: f32[N], %y: f32[M]", "fact N-M == 0", "lt %x, %y", "bool[M]"),
    ("%x: c64[N]", "", "abs %x", "f32[N]"),
    ("%x: f32[B,T]", "", "reshape %x {shape=[T*B]}", "f32[B*T]"),
    ("%x: f32[B,T]", "fact T in 0.. step 8", "reshape %x {shape=[B,T/8,8]}", "f32[B,T/8,8]"),
    ("%x: f32[N]", "", "reshape %x {shape=[1,N,1]}", "f32[1,N,1]"),
    ("%x: f32[N]", "fact N in 2..", "slice %x {lo=[1], hi=[N-1], step=[1]}", "f32[N-2]"),
    ("%x: f32[N]", "", "slice %x {lo=[0], hi=[N], step=[2]}", "f32[(N+1)//2]"),
    ("%x: f32[2*N]", "", "slice %x {lo=[0], hi=[2*N], step=[2]}", "f32[N]"),
    ("%x: f32[N], %f: f32", "", "pad %x, %f {lo=[2], hi=[-1], step=[1]}", "f32[N+1]"),
    ("%x: f32[N], %f: f32", "", "pad %x, %f {lo=[0], hi=[0], step=[3]}", "f32[3*N-2]"),
    ("%x: f32[N,3], %y: f32[M,3]", "", "concat %x, %y {axis=0}", "f32[M+N,3]"),
    ("%x: f32[N]", "", "bitcast %x {dtype=u8}", "u8[4*N]"),
    ("%x: u8[8*N]", "", "bitcast %x {dtype=f64}", "f64[N]"),
    ("%x: f32[B,N], %y: f32[N,M]", "", "dot %x, %y {lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]}", "f32[B,M]"),
    ("%x: f32[N,V], %i: i32[B,T,1]", "", 'gather %x, %i {axes=[0], nb=0, oob="clamp"}', "f32[B,T,V]"),
    ("%x: f32[B,N,V], %i: i32[B,T,1]", "", 'gather %x, %i {axes=[1], nb=1, oob="zero"}', "f32[B,T,V]"),
    ("%x: f32[N,V], %i: i32[B,1], %v: f32[B,V]", "", 'scatter %x, %i, %v {axes=[0], nb=0, oob="drop", mode="add"}', "f32[N,V]"),
    ("%x: f32[N,K], %s: i32", "fact N in 4..", "dslice %x, %s {axes=[0], sizes=[4]}", "f32[4,K]"),
    ("%x: f32[A,B,C]", "", "reduce_sum %x {axes=[0,2]}", "f32[B]"),
    ("%x: f32[A,B,C]", "", "argmax %x {axis=1}", "u32[A,C]"),
    ("%k: u32[B,2]", "", "rng_bits %k {shape=[N], width=2}", "u16[B,N]"),
    ("%x: c64[B,N]", "", "fft %x {axis=1, inverse=true, norm=\"root\"}", "c64[B,N]"),
    ("%x: f32[B,N]", "", "rfft %x {axis=0, norm=\"root\"}", "c64[B//2+1,N]"),
    ("%x: c64[N+1]", "", "irfft %x {axis=0, size=2*N, norm=\"root\"}", "f32[2*N]"),
    ("%x: c64[N+1]", "", "irfft %x {axis=0, size=2*N+1, norm=\"root\"}", "f32[2*N+1]"),
    ("%x: f32[B,N,N]", "", "cholesky %x", "f32[B,N,N]"),
    ("%x: f32[B,N,N], %y: f32[B,N,M]", "", "trisolve %x, %y {upper=true, transposed=false, unit=true}", "f32[B,N,M]"),
    ("%x: f32[B]", "", "broadcast %x {shape=[N,B,2], dims=[1]}", "f32[N,B,2]"),
    ("", "", "iota {size=2*N, dtype=i32}", "i32[2*N]"),
]


def program(params, facts, line, types):
    return f"{HEAD}func @f({params}) -> ({types})\n  dims N, M, B, T\n  {facts}\n{{\n  %r = {line} : {types}\n  return %r\n}}\n"


@pytest.mark.parametrize("params,facts,line,types", FITS, ids=lambda s: None)
def test_fits(params, facts, line, types, irtool):
    message = refused(irtool, program(params, facts, line, types))
    assert message is None, message


DOT = "{lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]}"
# parameters | op and its operands | a result type | the message
MISFITS = [
    ("%x: f32[3], %y: f32[4]", "add %x, %y", "f32[3]", "operand shapes of `add` differ: f32[3] and f32[4]"),
    ("%x: f32[N], %y: f32[M]", "add %x, %y", "f32[N]", "operand shapes of `add` differ: f32[N] and f32[M]"),
    ("%x: f32[3], %y: f64[3]", "add %x, %y", "f32[3]", "operand dtypes of `add` differ: f32 and f64"),
    ("%x: i32[3]", "exp %x", "i32[3]", "`exp` takes a float or complex dtype, not i32"),
    ("%x: f32[3], %y: f32[3]", "and %x, %y", "f32[3]", "`and` takes an integer dtype or bool, not f32"),
    ("%x: f64, %y: f64", "complex %x, %y", "c64", "`complex` takes f32, not f64"),
    ("%x: f32[3], %y: f32[3]", "select %x, %y, %y", "f32[3]", "operand 0 of `select` must be bool, not f32[3]"),
    ("%x: f32[3]", "neg %x", "f32[4]", "result 0 of `neg` is f32[3], not f32[4]"),
    ("", "iota {size=3, dtype=bool}", "bool[3]", "`iota` gives integers or floats, not bool"),
    ("", "iota {size=-1, dtype=i32}", "i32[0]", "the size of `iota` is negative: -1"),
    ("%x: f32", "bitcast %x {dtype=u8}", "u8", "`bitcast` of a scalar f32 to u8 needs an axis to rescale"),
    ("%x: u8[N]", "bitcast %x {dtype=f32}", "f32[N]", "`bitcast` of u8[N] to f32: the N bytes of the last axis are not a multiple of 4"),
    ("%x: f32[3]", "broadcast %x {shape=[3,2], dims=[1]}", "f32[3,2]", "axis 0 of the operand of `broadcast` is 3, axis 1 of the result 2"),
    ("%x: f32[3]", "broadcast %x {shape=[3,2], dims=[]}", "f32[3,2]", "`broadcast` names 0 axes for an operand of 1"),
    ("%x: f32[3]", "broadcast %x {shape=[3], dims=[1]}", "f32[3]", "axis 1 of `broadcast` is outside the 1 axes"),
    ("%x: f32[B,T]", "reshape %x {shape=[B,2]}", "f32[B,2]", "`reshape` of f32[B,T] to f32[B,2] changes the number of elements from B*T to 2*B"),
    ("%x: f32[2,3]", "transpose %x {perm=[0,0]}", "f32[2,3]", "perm of `transpose` is not a permutation of the 2 axes"),
    ("%x: f32[2,3]", "transpose %x {perm=[0]}", "f32[2]", "`transpose` permutes 1 axes of an operand with 2"),
    ("%x: f32[2,3]", "rev %x {axes=[2]}", "f32[2,3]", "axis 2 of `rev` is outside the 2 axes of its operand"),
    ("%x: f32[2,3]", "rev %x {axes=[1,0]}", "f32[2,3]", "the axes of `rev` must ascend"),
    ("%x: f32[5]", "slice %x {lo=[2], hi=[6], step=[1]}", "f32[4]", "slice 2:6 of axis 0 is outside its 5 elements"),
    ("%x: f32[N]", "slice %x {lo=[0], hi=[N+1], step=[1]}", "f32[N+1]", "slice 0:N+1 of axis 0 is outside its N elements"),
    ("%x: f32[5]", "slice %x {lo=[0], hi=[4], step=[0]}", "f32[4]", "step 0 of `slice` is not positive"),
    ("%x: f32[5]", "slice %x {lo=[0,0], hi=[4], step=[1]}", "f32[4]", "lo, hi and step of `slice` need one entry for each of the 1 axes"),
    ("%x: f32[5], %f: f32[1]", "pad %x, %f {lo=[0], hi=[0], step=[1]}", "f32[5]", "the filler of `pad` must be a scalar, not f32[1]"),
    ("%x: f32[5], %f: f64", "pad %x, %f {lo=[0], hi=[0], step=[1]}", "f32[5]", "operand dtypes of `pad` differ: f32 and f64"),
    ("%x: f32[5], %f: f32", "pad %x, %f {lo=[-4], hi=[-4], step=[1]}", "f32[0]", "`pad` crops more than axis 0 has: extent -3"),
    ("%x: f32[2,3], %y: f32[2,4]", "concat %x, %y {axis=0}", "f32[4,3]", "operands of `concat` along axis 0 differ elsewhere: f32[2,3] and f32[2,4]"),
    ("%x: f32[4], %s: i32", "dslice %x, %s {axes=[0], sizes=[5]}", "f32[5]", "a slice of 5 elements does not fit axis 0 with 4"),
    ("%x: f32[4], %s: i64", "dslice %x, %s {axes=[0], sizes=[2]}", "f32[2]", "a start of `dslice` must be an i32 scalar, not i64"),
    ("%x: f32[4], %s: i32", "dslice %x, %s {axes=[], sizes=[]}", "f32[4]", "`dslice` takes 1 operands here, not 2"),
    ("%x: f32[4], %v: f32[5], %s: i32", 'dupdate %x, %v, %s {axes=[0], mode="set"}', "f32[4]", "the part of `dupdate`, f32[5], does not fit into f32[4]"),
    ("%x: f32[4], %v: f32[2], %s: i32", 'dupdate %x, %v, %s {axes=[0], mode="mul"}', "f32[4]", "the mode of `dupdate` is set or add, not mul"),
    ("%x: f32[4], %i: i64[2,1]", 'gather %x, %i {axes=[0], nb=0, oob="clamp"}', "f32[2]", "the indices of `gather` must be i32, not i64"),
    ("%x: f32[4], %i: i32[2,2]", 'gather %x, %i {axes=[0], nb=0, oob="clamp"}', "f32[2]", "the last axis of the indices of `gather` is 2: one number for each of the 1 indexed axes"),
    ("%x: f32[4], %i: i32[2,1]", 'gather %x, %i {axes=[1], nb=0, oob="clamp"}', "f32[2]", "axis 1 of `gather` is not one of f32[4] behind its 0 batch axes"),
    ("%x: f32[4], %i: i32[2,1]", 'gather %x, %i {axes=[0], nb=0, oob="drop"}', "f32[2]", "oob of `gather` is clamp or zero, not drop"),
    ("%x: f32[3,4], %i: i32[2,1]", 'gather %x, %i {axes=[1], nb=1, oob="clamp"}', "f32[2]", "batch axis 0 of `gather` is 3 in the operand and 2 in the indices"),
    ("%x: f32[4], %i: i32[2,1], %v: f32[3]", 'scatter %x, %i, %v {axes=[0], nb=0, oob="drop", mode="set"}', "f32[4]", "the values of `scatter` are f32[3], the indices ask for f32[2]"),
    ("%x: f32[4], %i: i32[2,1], %v: f32[2]", 'scatter %x, %i, %v {axes=[0], nb=0, oob="drop", mode="sub"}', "f32[4]", "the mode of `scatter` is set, add, max, min or mul, not sub"),
    ("%x: bool[4]", "reduce_sum %x {axes=[0]}", "bool", "`reduce_sum` takes a number dtype (not bool), not bool"),
    ("%x: f32[4]", "reduce_and %x {axes=[0]}", "f32", "`reduce_and` takes bool, not f32"),
    ("%x: f32[4]", "reduce_sum %x {axes=[1]}", "f32", "axis 1 of `reduce_sum` is outside the 1 axes of its operand"),
    ("%x: f32[0]", "argmax %x {axis=0}", "u32", "`argmax` along an axis without elements"),
    ("%x: i32[4]", "cumlogsumexp %x {axis=0, reverse=false, exclusive=false}", "i32[4]", "`cumlogsumexp` takes a float or complex dtype, not i32"),
    ("%x: f32[4], %y: f32[5]", "linrec %x, %y {axis=0, reverse=false}", "f32[4]", "operand shapes of `linrec` differ: f32[4] and f32[5]"),
    ("%x: f32[2,4], %y: f32", "searchsorted %x, %y {right=false}", "u32", "`searchsorted` takes a sorted tensor of one axis, not f32[2,4]"),
    ("%x: f32[B,64], %y: f32[128,10]", f"dot %x, %y {DOT}", "f32[B,10]", "contracted axes of `dot` differ: 64 of f32[B,64] and 128 of f32[128,10]"),
    ("%x: bool[2,3], %y: bool[3,2]", f"dot %x, %y {DOT}", "bool[2,2]", "`dot` takes a number dtype (not bool), not bool"),
    ("%x: f32[2,3], %y: f32[3]", "dot %x, %y {lhs_contract=[1,1], rhs_contract=[0,0], lhs_batch=[], rhs_batch=[]}", "f32[2]", "axis 1 of operand 0 of `dot` is named twice"),
    ("%x: f32[2,3], %y: f32[3]", "dot %x, %y {lhs_contract=[1], rhs_contract=[1], lhs_batch=[], rhs_batch=[]}", "f32[2]", "axis 1 of `dot` is outside the 1 axes of operand 1"),
    ("%x: f32[2,3], %y: f32[3]", "dot %x, %y {lhs_contract=[1], rhs_contract=[], lhs_batch=[], rhs_batch=[]}", "f32[2]", "`dot` has 1 and 0 contracted axes"),
    ("%x: f32[4]", "fft %x {axis=0, inverse=false, norm=\"root\"}", "c64[4]", "`fft` takes c64, not f32"),
    ("%x: c64[4]", "fft %x {axis=1, inverse=false, norm=\"root\"}", "c64[4]", "axis 1 of `fft` is outside the 1 axes of its operand"),
    ("%x: c64[4]", "fft %x {axis=0, inverse=true, norm=\"half\"}", "c64[4]", "the norm of `fft` is none, size or root, not half"),
    ("%x: f64[4]", "rfft %x {axis=0, norm=\"root\"}", "c64[3]", "`rfft` takes f32, not f64"),
    ("%x: c64[4]", "irfft %x {axis=0, size=8, norm=\"root\"}", "f32[8]", "`irfft` to 8 elements takes 5 along axis 0, not 4"),
    ("%x: c64[4]", "irfft %x {axis=0, size=-8, norm=\"root\"}", "f32[0]", "`irfft` to -8 elements"),
    ("%x: f16[4,4]", "cholesky %x", "f16[4,4]", "`cholesky` takes f32 or f64, not f16"),
    ("%x: f32[4,3]", "lu %x", "f32[4,3]", "`lu` takes square matrices [.., n, n], not f32[4,3]"),
    ("%x: f32[4,4], %y: f32[3,2]", "trisolve %x, %y {upper=false, transposed=false, unit=false}", "f32[3,2]", "`trisolve` of f32[4,4] takes [.., n, k] with the same leading axes and n, not f32[3,2]"),
    ("%k: u32[3]", "rng_bits %k {shape=[4], width=4}", "u32[4]", "the key of `rng_bits` is u32[.., 2], not u32[3]"),
    ("%k: u32[2]", "rng_bits %k {shape=[4], width=3}", "u32[4]", "the width of `rng_bits` is 1, 2 or 4 bytes, not 3"),
]


@pytest.mark.parametrize("params,line,types,want", MISFITS, ids=lambda s: None)
def test_misfit(params, line, types, want, irtool):
    message = refused(irtool, program(params, "", line, types))
    assert message is not None, "accepted"
    assert want in message, message


def test_assert_wants_a_bool(irtool):
    text = HEAD + 'func @f(%x: f32) -> () {\n  assert %x {message="m"}\n  return\n}\n'
    assert "the condition of `assert` must be a bool scalar, not f32" in refused(irtool, text)
