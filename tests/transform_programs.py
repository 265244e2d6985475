"""Programs in IR with their JAX twins: what the composition tests of the transforms run."""
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")  # small programs, run once
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from transform_kit import NP, Fn, parse_type, with_sizes  # noqa: E402

jax.config.update("jax_enable_x64", True)
P = {}


def program(types, twin, text, name, reverse=True, positive=(), bounds=True):
    P[name] = dict(types=types, twin=twin, text=text, name=name, reverse=reverse, positive=positive, bounds=bounds)


def arguments(p, seed=0):
    r = np.random.RandomState(seed)
    out = []
    for k, t in enumerate(p["types"]):
        d, shape = with_sizes(t, {})
        if d == "bool":
            out.append(r.rand(*shape) > .3)
        elif d == "i32":
            out.append(np.asarray(r.randint(1, 4, shape), np.int32))
        else:
            x = r.randn(*shape) * .5 + (1.7 if shape == () else 0)
            out.append(np.asarray(np.abs(x) + .5 if k in p["positive"] else x, NP[d]))
    return out


def matmul(f, x, y, rank=2):
    return f("dot", x, y, attrs=f"lhs_contract=[{rank - 1}], rhs_contract=[0], lhs_batch=[], rhs_batch=[]")


def up(f, x, shape, dims):
    return f("broadcast", x, attrs=f"shape=[{shape}], dims={str(list(dims)).replace(' ', '')}")


# --- straight line ---------------------------------------------------------------------------------------------------------------
def mlp(name="f"):
    f = Fn(name, *MLP)
    w1, b1, w2, b2, w3, x, y = f.p
    h = f("tanh", f("add", matmul(f, x, w1), up(f, b1, "5,16", [1])))
    h = f("tanh", f("add", matmul(f, h, w2), up(f, b2, "5,16", [1])))
    d = f("sub", matmul(f, h, w3), y)
    return f.ret(("f64", f("mul", f.sum(f("mul", d, d), 2), f.const("f64", 0.05))))


MLP = ["f64[8,16]", "f64[16]", "f64[16,16]", "f64[16]", "f64[16,4]", "f64[5,8]", "f64[5,4]"]


def j_mlp(w1, b1, w2, b2, w3, x, y):
    h = jnp.tanh(x @ w1 + b1)
    h = jnp.tanh(h @ w2 + b2)
    return jnp.mean((h @ w3 - y) ** 2)


program(MLP, j_mlp, str(mlp()), "mlp")


def softmax(f, x, shape):
    r = len(shape.split(","))
    keep = list(range(r - 1))
    m = up(f, f("reduce_max", x, attrs=f"axes=[{r - 1}]"), shape, keep)
    e = f("exp", f("sub", x, m))
    return f("div", e, up(f, f("reduce_sum", e, attrs=f"axes=[{r - 1}]"), shape, keep))


def attention():
    f = Fn("f", *ATTENTION)
    q, k, v, m = f.p
    s = f("dot", q, k, attrs="lhs_contract=[2], rhs_contract=[2], lhs_batch=[0], rhs_batch=[0]")
    s = f("mul", s, f.splat("f64", "2,6,6", 0.5))
    s = f("select", up(f, m, "2,6,6", [1, 2]), s, f.splat("f64", "2,6,6", -1e9))
    o = f("dot", softmax(f, s, "2,6,6"), v, attrs="lhs_contract=[2], rhs_contract=[1], lhs_batch=[0], rhs_batch=[0]")
    return f.ret(("f64", f.sum(f("sin", o), 3)))


ATTENTION = ["f64[2,6,4]", "f64[2,6,4]", "f64[2,6,4]", "bool[6,6]"]


def j_attention(q, k, v, m):
    s = jnp.where(m, q @ k.swapaxes(-1, -2) * 0.5, -1e9)
    return jnp.sum(jnp.sin(jax.nn.softmax(s, -1) @ v))


program(ATTENTION, j_attention, str(attention()), "attention")


# --- loops -------------------------------------------------------------------------------------------------------------------------
def rnn():
    f = Fn("f", *RNN)
    wx, wh, b, xs, h0 = f.p

    def step(i, h, x):
        z = f("add", f("add", matmul(f, x, wx), matmul(f, h, wh)), up(f, b, "2,5", [1]))
        h = f("tanh", z)
        return h, h
    h, ys = f.loop([(h0, "f64[2,5]")], step, [(xs, "f64[2,3]")], trips=7, ny=1)
    return f.ret(("f64", f("add", f.sum(f("mul", h, h), 2), f.sum(f("sin", ys), 3))))


RNN = ["f64[3,5]", "f64[5,5]", "f64[5]", "f64[7,2,3]", "f64[2,5]"]


def j_rnn(wx, wh, b, xs, h0):
    def step(h, x):
        h = jnp.tanh(x @ wx + h @ wh + b)
        return h, h
    h, ys = jax.lax.scan(step, h0, xs)
    return jnp.sum(h * h) + jnp.sum(jnp.sin(ys))


program(RNN, j_rnn, str(rnn()), "rnn")


def layer(name="layer", header=""):
    f = Fn(name, "f64[3,4]", "f64[4,4]", "f64[4]", header=header)
    h, w, b = f.p
    return f.ret(("f64[3,4]", f("add", h, f("tanh", f("add", matmul(f, h, w), up(f, b, "3,4", [1]))))))


def layers(n=12):
    f = Fn("f", f"f64[{n},4,4]", f"f64[{n},4]", "f64[3,4]")
    ws, bs, x = f.p
    h, = f.loop([(x, "f64[3,4]")], lambda i, h, w, b: [f.call("layer", h, w, b, to="f64[3,4]")], [(ws, "f64[4,4]"), (bs, "f64[4]")], trips=n)
    return f.ret(("f64", f.sum(f("mul", h, h), 2)))


def j_layers(ws, bs, x):
    return jnp.sum(jax.lax.scan(lambda h, wb: (h + jnp.tanh(h @ wb[0] + wb[1]), None), x, (ws, bs))[0] ** 2)


program(["f64[12,4,4]", "f64[12,4]", "f64[3,4]"], j_layers, str(layer()) + str(layers()), "layers")


def twice():
    f = Fn("f", "f64[4,4]", "f64[4]", "f64[3,4]")
    w, b, x = f.p
    h = f.call("layer", f.call("layer", x, w, b, to="f64[3,4]"), w, b, to="f64[3,4]")
    return f.ret(("f64", f.sum(f("mul", h, h), 2)))


def j_twice(w, b, x):
    def one(h):
        return h + jnp.tanh(h @ w + b)
    return jnp.sum(one(one(x)) ** 2)


program(["f64[4,4]", "f64[4]", "f64[3,4]"], j_twice, str(layer()) + str(twice()), "twice")


def dynloop():
    f = Fn("f", "f64[6,3]", "f64[3]")
    x, t = f.p

    def step(i, c):
        r = f("reshape", f("dslice", x, i, attrs="axes=[0], sizes=[1]"), attrs="shape=[3]")
        c2, = f.cond(f("gt", f.sum(c, 1), f.const("f64", 0)), lambda: [f("mul", f("sin", c), r)], lambda: [f("add", f("mul", c, c), t)])
        first = f("reshape", f("slice", r, attrs="lo=[0], hi=[1], step=[1]"), attrs="shape=[]")
        return c2, f("mul", up(f, first, "3", []), c2)
    c, ys = f.loop([(t, "f64[3]")], step, trips=5, ny=1)
    return f.ret(("f64", f("add", f.sum(c, 1), f.sum(f("mul", ys, ys), 2))))


def j_dynloop(x, t):
    def step(c, i):
        r = jax.lax.dynamic_slice(x, (i, 0), (1, 3))[0]
        c = jax.lax.cond(jnp.sum(c) > 0, lambda: jnp.sin(c) * r, lambda: c * c + t)
        return c, r[0] * c
    c, ys = jax.lax.scan(step, t, jnp.arange(5))
    return jnp.sum(c) + jnp.sum(ys * ys)


program(["f64[6,3]", "f64[3]"], j_dynloop, str(dynloop()), "dynloop")


def newton(bound):
    f = Fn("f", "f64", "f64")
    a, b = f.p

    def go(x, k):
        return f("gt", f("abs", f("sub", f("mul", x, x), a)), f.const("f64", 1e-9))

    def step(i, x, k):
        return f("mul", f.const("f64", 0.5), f("add", x, f("div", a, x))), f("add", k, f.const("i32", 1))
    x, k = f.loop([(f.const("f64", 1), "f64"), (f.const("i32", 0), "i32")], step, cont=go, trips=bound)
    return f.ret(("f64", f("mul", x, f("sin", b))))


def j_newton(a, b):
    def step(i, x):
        return jnp.where(jnp.abs(x * x - a) > 1e-9, 0.5 * (x + a / x), x)
    return jax.lax.fori_loop(0, 40, step, a * 0 + 1) * jnp.sin(b)


program(["f64", "f64"], j_newton, str(newton(None)), "newton_while", reverse=False, positive=(0,))
program(["f64", "f64"], j_newton, str(newton(40)), "newton_bounded", positive=(0,))


def limited(reverse=False):
    f = Fn("f", "f64[3]", "i32")
    x, n = f.p

    def step(i, c):
        d = f("sin", f("mul", c, x))
        d = f("add", d, up(f, f("mul", f("convert", i, attrs="dtype=f64"), f.const("f64", 0.1)), "3", []))
        return d, f("mul", d, x)
    c, ys = f.loop([(x, "f64[3]")], step, trips=6, limit=n, ny=1, reverse=reverse)
    return f.ret(("f64", f("add", f.sum(c, 1), f.sum(f("mul", ys, ys), 2))))


def j_limited(order):
    def twin(x, n):
        def step(c, i):
            d = jnp.where(i < n, jnp.sin(c * x) + 0.1 * i, c)
            return d, jnp.where(i < n, d * x, 0.)
        c, ys = jax.lax.scan(step, x, order)
        return jnp.sum(c) + jnp.sum(ys ** 2)
    return twin


program(["f64[3]", "i32"], j_limited(jnp.arange(6)), str(limited()), "limit")
program(["f64[3]", "i32"], j_limited(jnp.arange(5, -1, -1)), str(limited(True)), "limit_reverse")


def nested():
    f = Fn("f", "f64[3]", "f64[3]")
    x, w = f.p

    def outer(i, c):
        def inner(j, d):
            e = f("add", f("sin", f("mul", d, w)), c)
            return e, f("mul", e, w)
        d, ys = f.loop([(f("mul", c, w), "f64[3]")], inner, trips=3, ny=1)
        return d, f("reduce_sum", ys, attrs="axes=[0]")
    c, zs = f.loop([(x, "f64[3]")], outer, trips=4, ny=1)
    return f.ret(("f64", f("add", f.sum(c, 1), f.sum(f("mul", zs, zs), 2))))


def j_nested(x, w):
    def outer(c, _):
        def inner(d, _):
            d = jnp.sin(d * w) + c
            return d, d * w
        d, ys = jax.lax.scan(inner, c * w, None, 3)
        return d, jnp.sum(ys, 0)
    c, zs = jax.lax.scan(outer, x, None, 4)
    return jnp.sum(c) + jnp.sum(zs ** 2)


program(["f64[3]", "f64[3]"], j_nested, str(nested()), "nested")


def early_end():
    """A bounded loop with stacks, scanned rows and an early end that depends on the data; an inner loop inside."""
    f = Fn("f", "f64[5,3]", "f64[3]")
    xs, w = f.p

    def step(i, c, x):
        d, = f.loop([(c, "f64[3]")], lambda j, d: [f("add", f("mul", d, w), x)], trips=2)
        return d, f("mul", f("tanh", d), x)

    def go(c):
        return f("lt", f.sum(f("mul", c, c), 1), f.const("f64", 1.2))
    c, ys = f.loop([(w, "f64[3]")], step, [(xs, "f64[3]")], trips=5, cont=go, ny=1)
    return f.ret(("f64", f("add", f.sum(f("sin", c), 1), f.sum(f("mul", ys, ys), 2))))


def j_early_end(xs, w):
    def step(s, x):
        c, live = s
        live = live & (jnp.sum(c * c) < 1.2)
        d = c
        for _ in range(2):
            d = d * w + x
        return (jnp.where(live, d, c), live), jnp.where(live, jnp.tanh(d) * x, 0.)
    (c, _), ys = jax.lax.scan(step, (w, True), xs)
    return jnp.sum(jnp.sin(c)) + jnp.sum(ys ** 2)


program(["f64[5,3]", "f64[3]"], j_early_end, str(early_end()), "early_end")


# --- a mix of tensor ops -----------------------------------------------------------------------------------------------------------
def misc():
    f = Fn("f", "f64[4,5]", "f64[4,4]")
    x, a = f.p
    s = f("sort", x, attrs="axis=1", n=2)[0]
    c = f("add", f("cumprod", x, attrs="axis=1, reverse=false, exclusive=false"), f("cumsum", s, attrs="axis=0, reverse=false, exclusive=false"))
    y = matmul(f, a, f("slice", c, attrs="lo=[0,0], hi=[4,2], step=[1,1]"))
    p = f("rev", f("pad", y, f.const("f64", 0), attrs="lo=[1,0], hi=[0,2], step=[1,1]"), attrs="axes=[0]")
    ix = f("const", attrs="value=i32[4,1](0, 2, 2, 4)")
    g = f("gather", p, ix, attrs='axes=[0], nb=0, oob="clamp"')
    z = f("scatter", f.splat("f64", "5,4", 0), f("const", attrs="value=i32[4,1](1, 1, 3, 0)"), f("mul", g, g), attrs='axes=[0], nb=0, oob="drop", mode="add"')
    m = f.sum(f("reduce_max", z, attrs="axes=[0]"), 1)
    q = f.sum(f("pow", f("abs", x), f.splat("f64", "4,5", 1.5)), 2)
    return f.ret(("f64", f("add", m, q)))


def j_misc(x, a):
    s = jnp.sort(x, 1)
    c = jnp.cumprod(x, 1) + jnp.cumsum(s, 0)
    y = a @ c[:, :2]
    p = jnp.pad(y, ((1, 0), (0, 2)))[::-1]
    g = p[jnp.array([0, 2, 2, 4])]
    z = jnp.zeros((5, 4)).at[jnp.array([1, 1, 3, 0])].add(g * g)
    return jnp.sum(jnp.max(z, 0)) + jnp.sum(jnp.abs(x) ** 1.5)


program(["f64[4,5]", "f64[4,4]"], j_misc, str(misc()), "misc")


# --- rules of the user, checkpoint ----------------------------------------------------------------------------------------------------
def cube_parts():
    V = "f64[3]"
    prim = Fn("cube", V, V, header="vjp_fwd @cube_fwd vjp_bwd @cube_bwd")
    x, w = prim.p
    prim.ret((V, prim("mul", prim("mul", prim("mul", x, x), x), w)))
    fwd = Fn("cube_fwd", V, V)
    x, w = fwd.p
    fwd.ret((V, fwd("mul", fwd("mul", fwd("mul", x, x), x), w)), (V, x), (V, w))
    bwd = Fn("cube_bwd", V, V, V)
    x, w, g = bwd.p
    xx = bwd("mul", x, x)
    bwd.ret((V, bwd("mul", bwd("mul", bwd("mul", bwd.splat("f64", "3", 3), xx), w), g)), (V, bwd("mul", bwd("mul", xx, x), g)))
    return str(prim) + str(fwd) + str(bwd)


def custom_vjp():
    f = Fn("f", "f64[3]", "f64[3]")
    x, w = f.p
    return f.ret(("f64", f.sum(f("sin", f.call("cube", f("sin", x), w, to="f64[3]")), 1)))


program(["f64[3]", "f64[3]"], lambda x, w: jnp.sum(jnp.sin(jnp.sin(x) ** 3 * w)), cube_parts() + str(custom_vjp()), "custom_vjp")


def custom_vjp_simple():
    """No forward rule: the reverse rule gets parameters, results, cotangents."""
    V = "f64[3]"
    prim = Fn("expo", V, header="vjp_bwd @expo_bwd")
    prim.ret((V, prim("exp", prim.p[0])))
    bwd = Fn("expo_bwd", V, V, V)
    bwd.ret((V, bwd("mul", bwd.p[1], bwd.p[2])))
    f = Fn("f", V)
    f.ret(("f64", f.sum(f("sin", f.call("expo", f("sin", f.p[0]), to="f64[3]")), 1)))
    return str(prim) + str(bwd) + str(f)


program(["f64[3]"], lambda x: jnp.sum(jnp.sin(jnp.exp(jnp.sin(x)))), custom_vjp_simple(), "custom_vjp_simple")


def custom_jvp():
    V = "f64[3]"
    prim = Fn("cj", V, header="jvp @cj_jvp")
    x, = prim.p
    prim.ret((V, prim("mul", prim("mul", x, x), x)))
    rule = Fn("cj_jvp", V, V)
    x, t = rule.p
    rule.ret((V, rule("mul", rule("mul", rule.splat("f64", "3", 3), rule("mul", x, x)), t)))
    f = Fn("f", V)
    f.ret(("f64", f.sum(f("sin", f.call("cj", f.p[0], to="f64[3]")), 1)))
    return str(prim) + str(rule) + str(f)


program(["f64[3]"], lambda x: jnp.sum(jnp.sin(x ** 3)), custom_jvp(), "custom_jvp")


def checkpoint(header="remat"):
    M = "f64[3,3]"
    block = Fn("block", M, M, header=header)
    x, w = block.p
    block.ret((M, block("tanh", block("mul", block("sin", matmul(block, x, w)), block("exp", x)))))
    f = Fn("f", M, M)
    x, w = f.p
    f.ret(("f64", f.sum(f.call("block", f.call("block", x, w, to="f64[3,3]"), w, to="f64[3,3]"), 2)))
    return str(block) + str(f)


def j_checkpoint(x, w):
    def one(x):
        return jnp.tanh(jnp.sin(x @ w) * jnp.exp(x))
    return jnp.sum(one(one(x)))


program(["f64[3,3]", "f64[3,3]"], j_checkpoint, checkpoint(), "checkpoint")


def symbolic():
    """Dimensions as symbols, through a call whose own symbols are named otherwise, and a loop over one of them."""
    g = Fn("part", "f64[K]", "f64[K,J]")
    x, w = g.p
    g.ret(("f64[J]", g("tanh", matmul(g, x, w, 1))))
    f = Fn("f", "f64[J,K]", "f64[K,K]")
    x, w = f.p
    c, ys = f.loop([(f("reduce_sum", x, attrs="axes=[0]"), "f64[K]")], lambda i, c, r: (lambda y: (y, f("mul", y, r)))(f.call("part", c, w, to="f64[K]")), [(x, "f64[K]")], trips="J", ny=1)
    f.ret(("f64", f("add", f.sum(c, 1), f.sum(ys, 2))))
    return str(g) + str(f)


def j_symbolic(x, w):
    def step(c, r):
        y = jnp.tanh(c @ w)
        return y, y * r
    c, ys = jax.lax.scan(step, jnp.sum(x, 0), x)
    return jnp.sum(c) + jnp.sum(ys)


program(["f64[4,3]", "f64[3,3]"], j_symbolic, symbolic(), "symbolic")
assert parse_type("f64[J]") == ("f64", ["J"])
