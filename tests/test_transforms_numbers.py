"""Derivatives at the edges: ties, zeros, nan, duplicates, out of range; and what MLX has wrong or lacks, right here (each states MLX's answer)."""
import numpy as np
import pytest

from transform_kit import NP, Fn, Tool, check_adjoint, check_batch, check_jvp_fd, near
from transform_programs import jax, jnp


@pytest.fixture(scope="module")
def tool(build):
    return Tool(str(build / "transform_tool"))


def load(tool, types, results, body, name="f"):
    f = Fn(name, *types)
    ys = body(f, *f.p)
    tool.module(str(f.ret(*zip(results, ys if isinstance(ys, (list, tuple)) else [ys]))))


def pull(tool, args, g, active=None):
    """Cotangents of the (float) arguments for a cotangent g of the first result."""
    active = active or [np.asarray(a).dtype.kind in "fc" for a in args]
    back = tool.vjp("f", active, [True], False)
    return tool.eval(back, *args, g)


def push(tool, args, t, active=None):
    active = active or [np.asarray(a).dtype.kind in "fc" for a in args]
    name, mask = tool.jvp("f", active)
    return tool.eval(name, *args, *t)[len(mask):]


def f64(*x):
    return np.array(x if len(x) > 1 else x[0], np.float64)


# --- edges --------------------------------------------------------------------------------------------------------------------------
def test_ties_max_maximum(tool):
    load(tool, ["f64[4]"], ["f64"], lambda f, x: f("reduce_max", x, attrs="axes=[0]"))
    assert pull(tool, [f64(1, 3, 3, 2)], f64(6))[0].tolist() == [0, 3, 3, 0]
    assert float(push(tool, [f64(1, 3, 3, 2)], [f64(1, 2, 4, 8)])[0]) == 3
    got = pull(tool, [f64(1, np.nan, 3, np.nan)], f64(6))[0]  # nan wins, the nans share
    assert got.tolist() == [0, 3, 0, 3]
    load(tool, ["f64[3]", "f64[3]"], ["f64[3]"], lambda f, a, b: f("maximum", a, b))
    a, b = pull(tool, [f64(1, 2, 3), f64(1, 1, 4)], f64(1, 1, 1))
    assert a.tolist() == [0, 1, 0] and b.tolist() == [1, 0, 1]  # equal: all to the second, as MLX
    load(tool, ["f64[3]"], ["f64[3]"], lambda f, a: f("maximum", a, f.splat("f64", "3", 0)))
    assert pull(tool, [f64(-1, 0, 2)], f64(1, 1, 1))[0].tolist() == [0, 0, 1]  # relu'(0) = 0


def test_abs_sign_sqrt_at_zero(tool):
    load(tool, ["f64[3]"], ["f64[3]"], lambda f, a: f("abs", a))
    assert pull(tool, [f64(-2, 0, 2)], f64(1, 1, 1))[0].tolist() == [-1, 0, 1]
    load(tool, ["f64"], ["f64"], lambda f, a: f("sqrt", a))
    assert pull(tool, [f64(0)], f64(1))[0] == np.inf
    load(tool, ["f64[2]"], ["f64[2]"], lambda f, a: f("sign", a))
    assert tool.jvp("f", [True])[1] == [False]


def test_pow_zero(tool):
    load(tool, ["f64[4]", "f64[4]"], ["f64[4]"], lambda f, a, b: f("pow", a, b))
    a, b = f64(0, 0, 2, -1), f64(0, 2, 0, 2)
    ga, gb = pull(tool, [a, b], np.ones(4))
    assert tool.eval("f", a, b)[0].tolist() == [1, 0, 1, 1]
    assert ga.tolist() == [0, 0, 0, -2]
    assert gb[:3].tolist() == [0, 0, np.log(2)] and np.isnan(gb[3])


def test_prod_cumprod_zeros_order2(tool):
    """Exact with one and two zeros, first and second order."""
    for x in (f64(2, 0, 3, 5), f64(2, 0, 0, 5), f64(0, 0, 0, 1)):
        for body, twin in ((lambda f, a: f("reduce_prod", a, attrs="axes=[0]"), lambda z: z[0] * z[1] * z[2] * z[3]),
                           (lambda f, a: f.sum(f("cumprod", a, attrs="axis=0, reverse=false, exclusive=false"), 1),
                            lambda z: z[0] + z[0] * z[1] + z[0] * z[1] * z[2] + z[0] * z[1] * z[2] * z[3])):
            load(tool, ["f64[4]"], ["f64"], body)
            near(pull(tool, [x], f64(1))[0], jax.grad(twin)(x), 1e-14)
            g = tool.grad("f", [True])
            j, _ = tool.jvp(g, [True])
            for k in range(4):
                near(tool.eval(j, x, np.eye(4)[k])[1], jax.hessian(twin)(x)[k], 1e-14)


def test_where_nan_documented(tool):
    """A masked arm contributes 0 * inf: nan, as in MLX and JAX; the double `where` is the remedy."""
    def single(f, x):
        return f("select", f("gt", x, f.const("f64", 0)), f("sqrt", x), f.const("f64", 0))

    def double(f, x):
        p = f("gt", x, f.const("f64", 0))
        return f("select", p, f("sqrt", f("select", p, x, f.const("f64", 1))), f.const("f64", 0))
    load(tool, ["f64"], ["f64"], single)
    assert np.isnan(pull(tool, [f64(0)], f64(1))[0])
    load(tool, ["f64"], ["f64"], double)
    assert pull(tool, [f64(0)], f64(1))[0] == 0


def test_clip_edges(tool):
    load(tool, ["f64[5]"], ["f64[5]"], lambda f, x: f("minimum", f("maximum", x, f.splat("f64", "5", -1)), f.splat("f64", "5", 1)))
    assert pull(tool, [f64(-2, -1, 0, 1, 2)], np.ones(5))[0].tolist() == [0, 0, 1, 0, 0]


def test_complex_convention(tool):
    """grad |z|^2 = 2z, as MLX (JAX: the conjugate); jvp is holomorphic where it exists."""
    load(tool, ["c64[2]"], ["f32"], lambda f, z: f.sum(f("real", f("mul", z, f("conj", z))), 1))
    z = np.array([1 + 2j, 3 - 1j], np.complex64)
    assert np.allclose(tool.eval(tool.grad("f", [True]), z)[0], 2 * z)
    load(tool, ["c64[2]"], ["c64[2]"], lambda f, z: f("mul", z, z))
    t = np.array([1j, 2], np.complex64)
    assert np.allclose(push(tool, [z], [t])[0], 2 * z * t)
    assert np.allclose(pull(tool, [z], t)[0], np.conj(2 * z) * t)
    load(tool, ["c64[3]"], ["f32[3]"], lambda f, z: f("abs", z))
    z = np.array([3 + 4j, 0, -2], np.complex64)
    assert np.allclose(pull(tool, [z], np.ones(3, np.float32))[0], [0.6 + 0.8j, 0, -1])
    load(tool, ["f32[2]"], ["c64[2]"], lambda f, x: f("convert", x, attrs="dtype=c64"))
    assert pull(tool, [np.ones(2, np.float32)], t)[0].tolist() == [0, 2]


def test_scatter_set_duplicates(tool):
    """The last write wins and is the only one that gets a cotangent."""
    load(tool, ["f64[4]", "i32[3,1]", "f64[3]"], ["f64[4]"], lambda f, x, i, v: f("scatter", x, i, v, attrs='axes=[0], nb=0, oob="drop", mode="set"'))
    idx = np.array([[1], [1], [7]], np.int32)
    x, v = f64(1, 2, 3, 4), f64(10, 20, 30)
    assert tool.eval("f", x, idx, v)[0].tolist() == [1, 20, 3, 4]
    gx, gv = pull(tool, [x, idx, v], f64(1, 2, 3, 4))
    assert gx.tolist() == [1, 0, 3, 4] and gv.tolist() == [0, 2, 0]


def test_scatter_extreme_ties(tool):
    load(tool, ["f64[3]", "i32[4,1]", "f64[4]"], ["f64[3]"], lambda f, x, i, v: f("scatter", x, i, v, attrs='axes=[0], nb=0, oob="drop", mode="max"'))
    idx = np.array([[0], [0], [1], [1]], np.int32)
    gx, gv = pull(tool, [f64(5, 1, 1), idx, f64(5, 2, 3, 3)], f64(6, 6, 6))
    assert gx.tolist() == [3, 0, 6] and gv.tolist() == [3, 0, 3, 3]


def test_scatter_mul_zeros(tool):
    """Products with zero factors among the updates, and in x."""
    load(tool, ["f64[3]", "i32[4,1]", "f64[4]"], ["f64[3]"], lambda f, x, i, v: f("scatter", x, i, v, attrs='axes=[0], nb=0, oob="drop", mode="mul"'))
    idx = np.array([[0], [0], [1], [1]], np.int32)

    def twin(x, v):
        return jnp.stack([x[0] * v[0] * v[1], x[1] * v[2] * v[3], x[2]])
    for x, v in ((f64(2, 3, 4), f64(0, 5, 0, 0)), (f64(0, 3, 4), f64(2, 5, 0, 7)), (f64(2, 0, 4), f64(3, 5, 0, 7))):
        g = f64(1, 2, 3)
        gx, gv = pull(tool, [x, idx, v], g)
        wx, wv = jax.vjp(twin, x, v)[1](jnp.array(g))
        near(gx, wx, 1e-14)
        near(gv, wv, 1e-14)


def test_gather_oob_adjoint(tool):
    idx = np.array([[-3], [1], [9]], np.int32)
    for oob, want in (("clamp", [1, 2, 0, 4]), ("zero", [0, 2, 0, 0])):
        load(tool, ["f64[4]", "i32[3,1]"], ["f64[3]"], lambda f, x, i, oob=oob: f("gather", x, i, attrs=f'axes=[0], nb=0, oob="{oob}"'))
        assert pull(tool, [np.ones(4), idx], f64(1, 2, 4))[0].tolist() == want


def test_logcumsumexp_minus_inf(tool):
    load(tool, ["f64[4]"], ["f64[4]"], lambda f, x: f("cumlogsumexp", x, attrs="axis=0, reverse=false, exclusive=false"))
    g = pull(tool, [f64(-np.inf, -np.inf, 1, 2)], np.ones(4))[0]
    want = jax.vjp(lambda x: jnp.stack([jnp.log(jnp.sum(jnp.exp(x[:k + 1]))) for k in range(4)]), f64(-50, -50, 1, 2))[1](jnp.array([0., 0, 1, 1]))[0]
    near(g, want, 1e-12)
    load(tool, ["f64[3]"], ["f64[3]"], lambda f, x: f("cumlogsumexp", x, attrs="axis=0, reverse=true, exclusive=true"))
    got = pull(tool, [f64(1, 2, 3)], f64(1, 1, 0))[0]
    p = np.exp(2) / (np.exp(2) + np.exp(3))
    near(got, f64(0, p, 1 - p + 1), 1e-12)


def test_empty_reductions(tool):
    load(tool, ["f64[N]"], ["f64"], lambda f, x: f("add", f("reduce_prod", x, attrs="axes=[0]"), f("reduce_sum", x, attrs="axes=[0]")))
    assert pull(tool, [np.zeros(0)], f64(1))[0].shape == (0,)


def test_cummax_ties_to_the_first(tool):
    load(tool, ["f64[4]"], ["f64[4]"], lambda f, x: f("cummax", x, attrs="axis=0, reverse=false", n=2)[0])
    assert pull(tool, [f64(1, 3, 3, 2)], f64(1, 2, 4, 8))[0].tolist() == [1, 14, 0, 0]


def test_sort_stable_cotangent(tool):
    load(tool, ["f64[4]"], ["f64[4]"], lambda f, x: f("sort", x, attrs="axis=0", n=2)[0])
    assert pull(tool, [f64(3, 1, np.nan, 1)], f64(1, 2, 4, 8))[0].tolist() == [4, 1, 8, 2]


def test_f16_sum_of_cotangents_accumulates_wide(tool):
    """broadcast's cotangent is a sum: in f16 it accumulates in f32 and rounds once."""
    load(tool, ["f16"], ["f16[4096]"], lambda f, x: f("broadcast", x, attrs="shape=[4096], dims=[]"))
    assert float(pull(tool, [np.float16(1)], np.ones(4096, np.float16))[0]) == 4096


# --- MLX wrong or missing (reference: MLX 0.32 run by hand) -------------------------------------------------------------------------------
def test_mlx_slice_update_vmap_unbatched_update(tool):
    """MLX: vmap of x[0:2] = const changes lane 0 only."""
    load(tool, ["f64[4]", "f64[2]", "i32"], ["f64[4]"], lambda f, x, v, i: f("dupdate", x, v, i, attrs='axes=[0], mode="set"'))
    name, _ = tool.vmap("f", [True, False, False], 3)
    got = tool.eval(name, np.zeros((3, 4)), f64(7, 8), np.int32(1))[0]
    assert got.tolist() == [[0, 7, 8, 0]] * 3


def test_mlx_addmm_jvp_alpha_beta(tool):
    """MLX: the tangent ignores alpha and beta."""
    def body(f, c, a, b):
        d = f("dot", a, b, attrs="lhs_contract=[1], rhs_contract=[0], lhs_batch=[], rhs_batch=[]")
        return f("add", f("mul", c, f.splat("f64", "2,2", 3)), f("mul", d, f.splat("f64", "2,2", 2)))
    load(tool, ["f64[2,2]"] * 3, ["f64[2,2]"], body)
    r = np.random.default_rng(0)
    args = [r.standard_normal((2, 2)) for _ in range(3)]
    t = [r.standard_normal((2, 2)) for _ in range(3)]
    near(push(tool, args, t)[0], 3 * t[0] + 2 * (t[1] @ args[2] + args[1] @ t[2]), 1e-12)
    check_batch(tool, "f", args)


def test_mlx_pad_value_grad(tool):
    """MLX: vjp by the fill value crashes, jvp drops its tangent."""
    load(tool, ["f64[2,3]", "f64"], ["f64[4,4]"], lambda f, x, v: f("pad", x, v, attrs="lo=[1,0], hi=[1,1], step=[1,1]"))
    x = np.ones((2, 3))
    assert float(pull(tool, [x, f64(2)], np.ones((4, 4)))[1]) == 10
    assert push(tool, [x, f64(2)], [np.zeros((2, 3)), f64(5)])[0].sum() == 50
    check_batch(tool, "f", [x, f64(2)], vary=lambda k, a, r: a + r.standard_normal())


def test_mlx_divmod_vjp_vmap(tool):
    """MLX: the cotangent of the remainder is lost, vmap raises."""
    load(tool, ["f64[3]", "f64[3]"], ["f64[3]", "f64[3]"], lambda f, a, b: (f("floordiv", a, b), f("rem", a, b)))
    a, b = f64(7.5, -7.5, 5.), f64(2, 2, -3)
    back = tool.vjp("f", [True, True], [True, True], False)
    ga, gb = tool.eval(back, a, b, np.ones(3), f64(1, 1, 1))
    assert ga.tolist() == [1, 1, 1] and gb.tolist() == (-np.floor(a / b)).tolist()
    check_batch(tool, "f", [a, b])


def test_mlx_scatter_jvp(tool):
    """MLX: no jvp of any indexed assignment, so no Hessian-vector product either."""
    idx = np.array([[0], [2], [2]], np.int32)
    for mode in ("set", "add", "max", "min", "mul"):
        load(tool, ["f64[4]", "i32[3,1]", "f64[3]"], ["f64[4]"], lambda f, x, i, v, m=mode: f("scatter", x, i, v, attrs=f'axes=[0], nb=0, oob="drop", mode="{m}"'))
        r = np.random.default_rng(1)
        check_jvp_fd(tool, "f", [r.standard_normal(4), idx, r.standard_normal(3)], [True, False, True])


def test_mlx_scatter_prod_vjp(tool):
    """MLX: vjp of x.at[i].multiply(v) divides by zero or raises."""
    idx = np.array([[0], [0], [2]], np.int32)
    load(tool, ["f64[4]", "i32[3,1]", "f64[3]"], ["f64[4]"], lambda f, x, i, v: f("scatter", x, i, v, attrs='axes=[0], nb=0, oob="drop", mode="mul"'))
    gx, gv = pull(tool, [f64(2, 3, 4, 5), idx, f64(0, 6, 7)], np.ones(4))
    assert gx.tolist() == [0, 1, 7, 1] and gv.tolist() == [12, 0, 4]


def test_mlx_cumprod_cummax_jvp(tool):
    """MLX: no jvp of cumprod, cummax, cummin."""
    x = np.random.default_rng(2).standard_normal((3, 4))
    for op, extra in (("cumprod", ", exclusive=false"), ("cummax", ""), ("cummin", "")):
        for rev in ("true", "false"):
            load(tool, ["f64[3,4]"], ["f64[3,4]"], lambda f, a, o=op, e=extra, r=rev: (lambda y: y[0] if isinstance(y, list) else y)(
                f(o, a, attrs=f"axis=1, reverse={r}{e}", n=1 if e else 2)))
            check_jvp_fd(tool, "f", [x], [True])


def test_mlx_dynamic_slice_vmap_starts(tool):
    """MLX: vmap over the start of a dynamic slice or update raises."""
    load(tool, ["f64[5,3]", "f64[2,3]", "i32"], ["f64[5,3]", "f64[2,3]"], lambda f, x, v, i: (
        f("dupdate", x, v, i, attrs='axes=[0], mode="add"'), f("dslice", x, i, attrs="axes=[0], sizes=[2]")))
    r = np.random.default_rng(3)
    check_batch(tool, "f", [r.standard_normal((5, 3)), r.standard_normal((2, 3)), np.int32(1)], vary=lambda k, a, g: np.int32(g.integers(-2, 8)) if k == 2 else a + 1,
                twice=True)
    check_adjoint(tool, "f", [r.standard_normal((5, 3)), r.standard_normal((2, 3)), np.int32(9)], [True, True, False])


def test_mlx_searchsorted_vmap_table(tool):
    """MLX: vmap over the table raises."""
    load(tool, ["f64[5]", "f64[3]"], ["u32[3]"], lambda f, s, v: f("searchsorted", s, v, attrs="right=true"))
    r = np.random.default_rng(4)
    tables, v = np.sort(r.standard_normal((4, 5)), 1), r.standard_normal(3)
    name, _ = tool.vmap("f", [True, False], 4)
    assert np.array_equal(tool.eval(name, tables, v)[0], np.stack([np.searchsorted(s, v, "right") for s in tables]))


def test_mlx_checkpoint_jvp_vmap(tool):
    """MLX: checkpoint has neither forward mode nor vmap."""
    block = Fn("block", "f64[3]", header="remat")
    block.ret(("f64[3]", block("sin", block("mul", block.p[0], block.p[0]))))
    f = Fn("f", "f64[3]")
    f.ret(("f64[3]", f.call("block", f.p[0], to="f64[3]")))
    tool.module(str(block) + str(f))
    x = f64(.1, .2, .3)
    near(push(tool, [x], [np.ones(3)])[0], np.cos(x * x) * 2 * x, 1e-12)
    check_batch(tool, "f", [x])


def test_mlx_f64_derivatives(tool):
    """MLX computes f64 on the CPU only and several derivatives in f32; here every digit counts."""
    load(tool, ["f64"], ["f64"], lambda f, x: f("erf", f("log1p", f("exp", x))))
    x = f64(.3)
    want = jax.grad(lambda z: jax.scipy.special.erf(jnp.log1p(jnp.exp(z))))(x)
    assert abs(float(pull(tool, [x], f64(1))[0]) - float(want)) < 1e-15


def test_mlx_hvp_of_indexed_update(tool):
    """Forward over reverse through gather, scatter and sort, which MLX lacks."""
    def body(f, x, i):
        g = f("gather", x, i, attrs='axes=[0], nb=0, oob="clamp"')
        s = f("sort", f("scatter", f("mul", x, x), i, f("sin", g), attrs='axes=[0], nb=0, oob="drop", mode="add"'), attrs="axis=0", n=2)[0]
        return f.sum(f("mul", s, f("cumsum", s, attrs="axis=0, reverse=false, exclusive=false")), 1)
    load(tool, ["f64[4]", "i32[3,1]"], ["f64"], body)
    idx = np.array([[0], [2], [2]], np.int32)

    def twin(x):
        s = jnp.sort((x * x).at[idx[:, 0]].add(jnp.sin(x[idx[:, 0]])))
        return jnp.sum(s * jnp.cumsum(s))
    x = f64(.5, -1.2, .3, 2.)
    g = tool.grad("f", [True, False])
    j, _ = tool.jvp(g, [True, False])
    for k in range(4):
        near(tool.eval(j, x, idx, np.eye(4)[k])[1], jax.hessian(twin)(x)[k], 1e-10)
    assert NP["f64"] is np.float64
