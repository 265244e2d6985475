"""Transforms over whole programs: against JAX, composed with each other, and the shape of what they build."""
import re

import numpy as np
import pytest

from transform_kit import Fn, Tool, ToolError, near, parse_type
from transform_programs import P, arguments, jax, jnp, layer, layers

DIFF_PROGRAMS = [p for p in P.values() if p["reverse"]]
ids = [p["name"] for p in P.values()]


@pytest.fixture(scope="module")
def tool(build):
    return Tool(str(build / "transform_tool"))


def floats(p):
    return [t.startswith("f64") for t in p["types"]]


def of_floats(p, args):
    """The twin as a function of its float arguments."""
    fl = [k for k, m in enumerate(floats(p)) if m]

    def fn(*z):
        full = list(args)
        for k, x in zip(fl, z):
            full[k] = x
        return p["twin"](*full)
    return fn, [args[k] for k in fl], tuple(range(len(fl)))


def tangents(p, args, seed=1):
    r = np.random.RandomState(seed)
    return [r.randn(*np.shape(a)) for a, m in zip(args, floats(p)) if m]


def all_near(got, want, tol, what):
    assert len(got) == len(want), what
    for a, b in zip(got, want):
        near(a, np.asarray(b), tol, what)


@pytest.mark.parametrize("p", P.values(), ids=ids)
def test_value_and_jvp(tool, p):
    a = arguments(p)
    tool.module(p["text"])
    fn, z, _ = of_floats(p, a)
    t = tangents(p, a)
    all_near(tool.eval("f", *a), [p["twin"](*a)], 1e-9, "value")
    name, mask = tool.jvp("f", floats(p))
    assert mask == [True]
    all_near(tool.eval(name, *a, *t), jax.jvp(fn, z, t), 1e-7, "jvp")


@pytest.mark.parametrize("p", DIFF_PROGRAMS, ids=[p["name"] for p in DIFF_PROGRAMS])
def test_grad(tool, p):
    a = arguments(p)
    tool.module(p["text"])
    fn, z, nums = of_floats(p, a)
    out = tool.eval(tool.grad("f", floats(p), True), *a)
    all_near(out[:1], [p["twin"](*a)], 1e-9, "value of value_and_grad")
    all_near(out[1:], jax.grad(fn, nums)(*z), 1e-7, "grad")
    for k, m in enumerate(floats(p)):  # by one argument only
        if m:
            one = [j == k for j in range(len(a))]
            all_near(tool.eval(tool.grad("f", one), *a), [jax.grad(lambda x, k=k: p["twin"](*[x if j == k else y for j, y in enumerate(a)]))(a[k])], 1e-7, f"grad by {k}")


@pytest.mark.parametrize("p", DIFF_PROGRAMS, ids=[p["name"] for p in DIFF_PROGRAMS])
def test_second_order(tool, p):
    a = arguments(p)
    tool.module(p["text"])
    fn, z, nums = of_floats(p, a)
    t = tangents(p, a)
    jg = jax.grad(fn, nums)
    g = tool.grad("f", floats(p))
    want = jax.jvp(jg, z, t)[1]
    name, mask = tool.jvp(g, floats(p))
    out = tool.eval(name, *a, *t)
    it = iter(out[len(mask):])
    all_near([next(it) if m else np.zeros(np.shape(w)) for m, w in zip(mask, want)], want, 1e-6, "jvp of grad")
    back = tool.vjp(g, floats(p), [True] * len(z), False)
    all_near(tool.eval(back, *a, *t), want, 1e-6, "vjp of grad")
    gj, mask = tool.jvp("f", floats(p))  # reverse over forward: the tangent as a function
    seeded = [False, True]
    act = floats(p) + [False] * len(t)
    all_near(tool.eval(tool.vjp(gj, act, seeded, False), *a, *t, np.float64(1)), want, 1e-6, "vjp of jvp")


def stacked(p, n=3):
    return [np.stack([arguments(p, s)[k] for s in range(n)]) for k in range(len(p["types"]))]


@pytest.mark.parametrize("p", P.values(), ids=ids)
def test_vmap(tool, p):
    n, a = 3, arguments(p)
    b = stacked(p, n)
    tool.module(p["text"])
    name, _ = tool.vmap("f", [True] * len(a), n)
    all_near(tool.eval(name, *b), [np.stack([p["twin"](*[x[i] for x in b]) for i in range(n)])], 1e-7, "vmap")
    for k in range(len(a)):
        m = [j == k for j in range(len(a))]
        name, _ = tool.vmap("f", m, n)
        mixed = [b[j] if j == k else a[j] for j in range(len(a))]
        want = np.stack([p["twin"](*[mixed[j][i] if j == k else a[j] for j in range(len(a))]) for i in range(n)])
        all_near(tool.eval(name, *mixed), [want], 1e-7, f"vmap over argument {k}")


@pytest.mark.parametrize("p", DIFF_PROGRAMS, ids=[p["name"] for p in DIFF_PROGRAMS])
def test_vmap_grad_equals_grad_vmap(tool, p):
    n, b = 3, stacked(p)
    tool.module(p["text"])
    m = [True] * len(b)
    fl = [k for k, x in enumerate(floats(p)) if x]
    want = [np.stack(x) for x in zip(*[jax.grad(p["twin"], fl)(*[x[i] for x in b]) for i in range(n)])]
    g = tool.grad("f", floats(p))
    vg, _ = tool.vmap(g, m, n)
    all_near(tool.eval(vg, *b), want, 1e-6, "vmap of grad")
    fv, _ = tool.vmap("f", m, n)
    gv = tool.vjp(fv, floats(p), [True], False)
    all_near(tool.eval(gv, *b, np.ones(n)), want, 1e-6, "grad of vmap")


@pytest.mark.parametrize("p", P.values(), ids=ids)
def test_linearize_equals_jvp(tool, p):
    a = arguments(p)
    tool.module(p["text"])
    t = tangents(p, a)
    fwd, lin = tool.linearize("f", floats(p))
    out = tool.eval(fwd, *a)
    fn, z, _ = of_floats(p, a)
    want = jax.jvp(fn, z, t)
    all_near(out[:1], want[:1], 1e-9, "value of linearize")
    all_near(tool.eval(lin, *out[1:], *t), want[1:], 1e-7, "linearize")


@pytest.mark.parametrize("p", DIFF_PROGRAMS, ids=[p["name"] for p in DIFF_PROGRAMS])
def test_inlined_gradient_is_the_same(tool, p):
    a = arguments(p)
    tool.module(p["text"])
    g = tool.grad("f", floats(p))
    all_near(tool.eval(tool.inline(g), *a), tool.eval(g, *a), 1e-12, "inlined")


def test_grad4_scalar(tool):
    f = Fn("f", "f64")
    x, = f.p
    f.ret(("f64", f("mul", f("sin", f("mul", x, x)), f("exp", x))))
    tool.module(str(f))
    g, j = "f", lambda x: jnp.sin(x * x) * jnp.exp(x)
    for _ in range(4):
        g, j = tool.grad(g, [True]), jax.grad(j)
    near(tool.eval(g, np.float64(0.7))[0], j(0.7), 1e-9, "fourth derivative")
    assert tool.count(g)[0] <= 250


def test_grad_vmap_jvp_grad_rnn(tool):
    p = P["rnn"]
    tool.module(p["text"])
    b = stacked(p, 2)
    t = [np.stack(x) for x in zip(*[tangents(p, arguments(p), s) for s in range(2)])]
    g = tool.grad("f", [True] * 5)
    gj, mask = tool.jvp(g, [True] * 5)
    v, _ = tool.vmap(gj, [True] * 10, 2)
    seeded = [False] * 5 + [True] * sum(mask)
    back = tool.vjp(v, [True] * 5 + [False] * 5, seeded, False)
    ones = [np.ones_like(b[k]) for k in range(5)]

    def hvp_sum(args, tan):
        return sum(jnp.sum(x) for x in jax.jvp(lambda *z: jax.grad(p["twin"], range(5))(*z), args, tan)[1])
    want = [np.stack(x) for x in zip(*[jax.grad(hvp_sum)([x[i] for x in b], [x[i] for x in t]) for i in range(2)])]
    all_near(tool.eval(back, *b, *t, *ones), want, 1e-6, "grad of vmap of jvp of grad")


# --- structure ------------------------------------------------------------------------------------------------------------------------
def tensor_fn(*lines, params, results):
    return f"func @f({params}) -> ({', '.join(t for t, _ in results)}) {{\n" + "\n".join(lines) + f"\n return {', '.join(v for _, v in results)}\n}}\n"


def test_grad_shared_value_summed(tool):
    tool.module(tensor_fn("%a = sin %x", "%b = mul %a, %a", "%c = add %b, %a", params="%x: f64", results=[("f64", "%c")]))
    x = np.float64(0.3)
    near(tool.eval(tool.grad("f", [True]), x)[0], np.cos(x) * (2 * np.sin(x) + 1), 1e-12)


def test_grad_folded_op_not_taped_twice(tool):
    """neg(neg(x)) and a repeated expression intern to earlier values: their cotangents count once per use."""
    tool.module(tensor_fn("%a = neg %x", "%b = neg %a", "%c = sin %b", "%d = sin %x", "%e = mul %c, %d", params="%x: f64", results=[("f64", "%e")]))
    x = np.float64(0.3)
    near(tool.eval(tool.grad("f", [True]), x)[0], 2 * np.sin(x) * np.cos(x), 1e-12)


def test_grad_result_is_parameter(tool):
    tool.module(tensor_fn(params="%x: f64, %y: f64", results=[("f64", "%x")]))
    out = tool.eval(tool.grad("f", [True, True], True), np.float64(3), np.float64(4))
    assert [float(o) for o in out] == [3, 1, 0]


def test_grad_same_value_yielded_twice(tool):
    f = Fn("f", "f64")

    def step(i, a, b):
        s = f("sin", f("mul", a, b))
        return s, s, s
    a, b, ys = f.loop([(f.p[0], "f64"), (f.p[0], "f64")], step, trips=3, ny=1)
    f.ret(("f64", f("add", f("mul", a, b), f.sum(ys, 1))))
    tool.module(str(f))

    def twin(x):
        a = b = x
        tot = 0
        for _ in range(3):
            a = b = jnp.sin(a * b)
            tot = tot + a
        return a * b + tot
    near(tool.eval(tool.grad("f", [True]), np.float64(1.1))[0], jax.grad(twin)(1.1), 1e-10)


def test_call_one_backward_for_12_layers(tool):
    sizes = []
    for n in (3, 12):
        tool.module(str(layer()) + str(layers(n)))
        g = tool.grad("f", [True, True, True])
        names = tool.funcs()
        assert len([f for f in names if f.startswith("layer.fwd")]) == 1
        assert len([f for f in names if f.startswith("layer.bwd")]) == 1
        sizes.append(tool.count(g))
        assert tool.count(g)[2] == 2
    assert sizes[0] == sizes[1]


def test_call_cache_by_mask(tool):
    tool.module(P["twice"]["text"])
    tool.grad("f", [True, True, True])
    assert [f for f in tool.funcs() if f.startswith("layer.fwd")] == ["layer.fwd[111/1]"]
    tool.grad("f", [True, True, False])  # the first call has a passive input now
    assert [f for f in tool.funcs() if f.startswith("layer.fwd")] == ["layer.fwd[111/1]", "layer.fwd[011/1]"]


def test_call_no_cotangent_stays_primal(tool):
    g = Fn("g", "f64", header="")
    g.ret(("f64", g("sin", g.p[0])))
    f = Fn("f", "f64")
    y = f.call("g", f.p[0], to="f64")
    f.ret(("f64", f("mul", f.p[0], f.p[0])), ("f64", y))
    tool.module(str(g) + str(f))
    name = tool.grad("f", [True], True)
    assert "g.fwd" not in tool.text(name) and "@g}" in tool.text(name)


def test_loop_zero_trips(tool):
    f = Fn("f", "f64[N,3]", "f64[3]")
    c, ys = f.loop([(f.p[1], "f64[3]")], lambda i, c, x: (f("mul", c, x), f("sin", c)), [(f.p[0], "f64[3]")], trips="N", ny=1)
    f.ret(("f64", f("add", f.sum(f("mul", c, c), 1), f.sum(ys, 2))))
    tool.module(str(f))
    g = tool.grad("f", [True, True])
    for n in (0, 1, 4):
        r = np.random.RandomState(n)
        xs, c = r.randn(n, 3), r.randn(3)

        def twin(xs, c):
            tot = 0.
            for i in range(n):
                tot = tot + jnp.sum(jnp.sin(c))
                c = c * xs[i]
            return jnp.sum(c * c) + tot
        all_near(tool.eval(g, xs, c), jax.grad(twin, (0, 1))(xs, c), 1e-9, f"{n} trips")


def test_loop_passive_carry_becomes_active(tool):
    f = Fn("f", "f64")
    a, b = f.loop([(f.const("f64", 0), "f64"), (f.p[0], "f64")], lambda i, a, b: (f("add", a, f("mul", b, b)), f("sin", b)), trips=3)
    f.ret(("f64", a))
    tool.module(str(f))

    def twin(x):
        a = 0.
        for _ in range(3):
            a, x = a + x * x, jnp.sin(x)
        return a
    near(tool.eval(tool.grad("f", [True]), np.float64(.4))[0], jax.grad(twin)(.4), 1e-12)
    name, _ = tool.jvp("f", [True])
    near(tool.eval(name, np.float64(.4), np.float64(1))[1], jax.grad(twin)(.4), 1e-12)


def loops_of(text):
    return [line for line in text.split("\n") if " = loop " in line]


def test_loop_invariant_differentiated_outside(tool):
    """sin(w) does not depend on the step: one sin, one cos, both outside of the loops."""
    f = Fn("f", "f64[3]", "f64[3]")
    c, = f.loop([(f.p[0], "f64[3]")], lambda i, c: [f("mul", c, f("sin", f.p[1]))], trips=4)
    f.ret(("f64", f.sum(c, 1)))
    tool.module(str(f))
    text = tool.text(tool.grad("f", [True, True]))
    lines = text.split("\n")
    for op in ("sin", "cos"):
        at = [line for line in lines if f" = {op} " in line]
        assert len(at) == 1 and at[0].startswith("  %"), text


def test_loop_dynamic_index_update_add(tool):
    """The cotangent of a row read in a loop is added in place: no zero-filled buffer per step."""
    f = Fn("f", "f64[6,3]")

    def step(i, c):
        r = f("reshape", f("dslice", f.p[0], i, attrs="axes=[0], sizes=[1]"), attrs="shape=[3]")
        return [f("mul", c, f("sin", r))]
    c, = f.loop([(f.splat("f64", "3", 1), "f64[3]")], step, trips=6)
    f.ret(("f64", f.sum(c, 1)))
    tool.module(str(f))
    text = tool.text(tool.grad("f", [True]))
    assert 'mode="add"' in text and 'mode="set"' not in text, text
    x = np.random.RandomState(0).randn(6, 3)
    near(tool.eval(tool.grad("f", [True]), x)[0], jax.grad(lambda x: jnp.sum(jnp.prod(jnp.sin(x), 0)))(x), 1e-9)


def test_loop_capture_accumulates_in_place(tool):
    """A captured matrix's cotangent is one carry, started once."""
    p = P["rnn"]
    tool.module(p["text"])
    text = tool.text(tool.grad("f", [True, True, True, False, False]))
    assert len(loops_of(text)) == 2
    back = loops_of(text)[1]
    assert "ncarry=4" in back, back  # h, wx, wh, b


def test_loop_carry_stack_shared(tool):
    """rnn: h is stacked as a result already; the previous h of a step is a row of that stack, not a stack of its own."""
    tool.module(P["rnn"]["text"])
    text = tool.text(tool.grad("f", [True] * 5))
    assert len(loops_of(text)[0].split(" = ")[0].split(",")) == 2, text


def test_loop_integer_carry_has_no_tangent(tool):
    p = P["newton_bounded"]
    tool.module(p["text"])
    name, _ = tool.jvp("f", [True, True])
    assert "ncarry=2" in tool.text(name) or "ncarry=3" in tool.text(name)
    g = tool.grad("f", [True, True])
    assert "f64" in tool.text(g)
    for line in tool.text(g).split("\n"):
        assert "convert" not in line, line


def test_while_vjp_bounded_k_trips(tool):
    """Early ends are reversed in exactly the steps taken: the backward loop has the counted limit."""
    tool.module(P["newton_bounded"]["text"])
    text = tool.text(tool.grad("f", [True, True]))
    fwd, back = loops_of(text)
    assert "limit=true" in back and "reverse=true" in back and "limit=false" in fwd


def test_while_vjp_unbounded_diagnostic(tool):
    tool.module(P["newton_while"]["text"])
    with pytest.raises(ToolError, match="reverse mode needs a bound"):
        tool.grad("f", [True, True])


def test_while_unreached_no_error(tool):
    """By b only, the loop gets no cotangent."""
    tool.module(P["newton_while"]["text"])
    got = tool.eval(tool.grad("f", [False, True]), np.float64(2), np.float64(.5))[0]
    near(got, np.sqrt(2) * np.cos(.5), 1e-8)


def test_cond_capture_in_one_arm(tool):
    f = Fn("f", "bool", "f64", "f64")
    p, x, y = f.p
    r, = f.cond(p, lambda: [f("mul", x, f("exp", x))], lambda: [f("sin", x)])
    s, = f.cond(p, lambda: [f("mul", y, y)], lambda: [r])
    f.ret(("f64", f("add", r, s)))
    tool.module(str(f))
    g = tool.grad("f", [False, True, True])
    x, y = np.float64(.3), np.float64(.6)
    all_near(tool.eval(g, np.bool_(True), x, y), [np.exp(x) * (1 + x), 2 * y], 1e-12, "then")
    all_near(tool.eval(g, np.bool_(False), x, y), [2 * np.cos(x), 0.], 1e-12, "else")


def test_checkpoint_residuals_inputs_only(tool):
    tool.module(P["checkpoint"]["text"])
    g = tool.grad("f", [True, True])
    names = tool.funcs()
    fwd = [n for n in names if n.startswith("block.fwd")]
    assert all(tool.text(n).count("->") == 1 and "-> (f64[3,3]) " in tool.text(n) for n in fwd)
    assert "block.fwd" not in tool.text(g)  # nothing to save: the forward call stays a call of block
    plain = P["checkpoint"]["text"].replace("remat", "")
    n_remat = tool.count(g)[0]
    n_block = tool.count("f")[0]
    tool.module(plain)
    assert n_remat <= tool.count(tool.grad("f", [True, True]))[0] + n_block


def test_checkpoint_survives_cse(tool):
    """Inlined, the recomputation is still there: it is fenced from the forward pass."""
    tool.module(P["checkpoint"]["text"])
    text = tool.text(tool.inline(tool.grad("f", [True, True])))
    assert text.count("barrier") >= 2 and "call" not in text, text
    assert text.count("= exp") == 3, text  # one forward (the second block's value is not asked for), two recomputed


def remat_loop(remat):
    f = Fn("f", "f64[4]", "f64[4]")
    x, w = f.p

    def step(i, c):
        a = f("sin", f("mul", c, w))
        b = f("exp", f("mul", a, c))
        return [f("tanh", f("mul", a, b))]
    c, = f.loop([(x, "f64[4]")], step, trips=10, remat=remat)
    return str(f.ret(("f64", f.sum(c, 1))))


def stacks(text):
    """Bytes of the stacked results of the first loop."""
    types = loops_of(text)[0].split(" : ")[1].split(" do(")[0]
    return sum(int(np.prod([int(d) for d in parse_type(t.strip())[1]])) * 8 for t in types.split(", ") if t.strip().startswith("f64[10"))


def test_loop_remat_body(tool):
    got, bytes_ = [], []
    x, w = np.random.RandomState(0).randn(2, 4)
    for remat in (None, "body"):
        tool.module(remat_loop(remat))
        g = tool.grad("f", [True, True])
        got.append(tool.eval(g, x, w))
        bytes_.append(stacks(tool.text(g)))
    all_near(got[0], got[1], 1e-12, "remat")
    assert bytes_[1] == 10 * 4 * 8 < bytes_[0], bytes_


def strip_loop(n, remat, reverse=False):
    """Carries, scanned rows, a captured value, the step's number, stacked results."""
    f = Fn("f", f"f64[{n},3]", "f64[3]", "f64[3]")
    xs, c, w = f.p

    def step(i, c, x):
        k = f("broadcast", f("convert", i, attrs="dtype=f64"), attrs="shape=[3], dims=[]")
        d = f("sin", f("add", f("mul", c, w), f("mul", x, f("cos", k))))
        return d, f("mul", d, x)
    c, ys = f.loop([(c, "f64[3]")], step, [(xs, "f64[3]")], trips=n, ny=1, remat=remat, reverse=reverse)
    return str(f.ret(("f64", f("add", f.sum(f("mul", c, c), 1), f.sum(f("sin", ys), 2)))))


@pytest.mark.parametrize("remat", ["4", "5", "sqrt", "99"])
@pytest.mark.parametrize("reverse", [False, True])
def test_loop_remat_steps(tool, remat, reverse):
    r = np.random.RandomState(0)
    a = [r.randn(16, 3), r.randn(3), r.randn(3)]
    t = [r.randn(*x.shape) for x in a]
    got = []
    for m in (None, remat):
        tool.module(strip_loop(16, m, reverse))
        g = tool.grad("f", [True] * 3, True)
        gg = tool.vjp(g, [True] * 3, [False] + [True] * 3, False)
        name, _ = tool.vmap(g, [True] * 3, 2)
        got.append(tool.eval(g, *a) + tool.eval(gg, *a, *t) + tool.eval(name, *[np.stack([x, x]) for x in a]))
    all_near(got[1], got[0], 1e-11, f"remat {remat}")


def test_checkpoint_sqrt_bytes(tool):
    """64 steps in chunks of 8: the outer loop keeps 8 carries; the 8 steps of a chunk are kept while it is gone through, not between the passes."""
    tool.module(strip_loop(64, "8"))
    tool.grad("f", [False, True, True])
    strip = [n for n in tool.funcs() if n.startswith("f.strip8.fwd")][0]
    assert bytes_of(saved_by(tool, strip, 2)) == 8 * 3 * 8, tool.text(strip)
    chunk = [n for n in tool.funcs() if n.startswith("f.steps8.fwd")]
    assert all(not saved_by(tool, n, 2) for n in chunk)


def test_custom_vjp_forward_mode(tool):
    """Forward mode of a function that has only a reverse rule: that rule, transposed."""
    tool.module(P["custom_vjp"]["text"])
    name, _ = tool.jvp("f", [True, True])
    assert "transpose" in tool.text(name)


def test_custom_rule_is_used(tool):
    """A rule that lies shows that it is used, at the top too."""
    f = Fn("f", "f64", header="jvp @r")
    f.ret(("f64", f("sin", f.p[0])))
    r = Fn("r", "f64", "f64")
    r.ret(("f64", r("mul", r.p[1], r.const("f64", 42))))
    tool.module(str(f) + str(r))
    assert float(tool.eval(tool.grad("f", [True]), np.float64(1))[0]) == 42
    name, _ = tool.jvp("f", [True])
    assert float(tool.eval(name, np.float64(1), np.float64(1))[1]) == 42
    v, _ = tool.vmap("f", [True], 3)
    assert tool.eval(tool.vjp(v, [True], [True], False), np.ones(3), np.ones(3))[0].tolist() == [42] * 3


def test_custom_jvp_not_linear_diagnostic(tool):
    f = Fn("f", "f64", header="jvp @r")
    f.ret(("f64", f("sin", f.p[0])))
    r = Fn("r", "f64", "f64")
    r.ret(("f64", r("mul", r.p[1], r.p[1])))
    tool.module(str(f) + str(r))
    with pytest.raises(ToolError, match="not linear in its tangents"):
        tool.grad("f", [True])


def test_custom_vmap(tool):
    f = Fn("g", "f64", header="vmap @v")
    f.ret(("f64", f("sin", f.p[0])))
    v = Fn("v", "f64[n]")
    v.ret(("f64[n]", v("mul", v.p[0], v.splat("f64", "n", 42))))
    h = Fn("f", "f64")
    h.ret(("f64", h.call("g", h.p[0], to="f64")))
    tool.module(str(f) + str(v) + str(h))
    name, _ = tool.vmap("f", [True], 3)
    assert tool.eval(name, np.ones(3))[0].tolist() == [42] * 3


def test_stop_gradient_all_orders(tool):
    tool.module(tensor_fn("%s = stop_gradient %x", "%y = mul %s, %x", "%z = mul %y, %x", params="%x: f64", results=[("f64", "%z")]))
    x = np.float64(3)
    g = tool.grad("f", [True])
    near(tool.eval(g, x)[0], 2 * x * x, 1e-12)
    near(tool.eval(tool.grad(g, [True]), x)[0], 2 * x, 1e-12)
    name, _ = tool.jvp("f", [True])
    near(tool.eval(name, x, np.float64(1))[1], 2 * x * x, 1e-12)


def test_effects_once(tool):
    f = Fn("f", "f64[3]")
    y = f("sin", f.p[0])
    f.line(f'print {y} {{message="y"}}')
    c, = f.loop([(y, "f64[3]")], lambda i, c: (f.line(f'print {c} {{message="c"}}'), [f("sin", c)])[1], trips=2)
    f.ret(("f64", f.sum(c, 1)))
    tool.module(str(f))
    x = np.ones(3)
    for name in (tool.grad("f", [True]), tool.jvp("f", [True])[0], tool.vmap("f", [True], 2)[0]):
        n = len(tool.text(name).split("(")[1].split("%")) - 1
        args = [x] * n if "vmap" not in name else [np.ones((2, 3))]
        tool.eval(name, *args)
        assert tool.prints == 3, name


def test_effect_in_batched_cond(tool):
    f = Fn("f", "f64")
    x, = f.p

    def then():
        f.line(f'print {x} {{message="big"}}')
        return [f("sin", x)]
    y, = f.cond(f("gt", x, f.const("f64", 0)), then, lambda: [f("cos", x)])
    f.ret(("f64", y))
    tool.module(str(f))
    name, _ = tool.vmap("f", [True], 4)
    x = np.array([1., -1., 2., -3.])
    near(tool.eval(name, x)[0], np.where(x > 0, np.sin(x), np.cos(x)), 1e-12)
    assert tool.prints == 2


def test_vmap_unbatched_work_stays(tool):
    tool.module(tensor_fn("%a = sin %x", "%b = mul %a, %y", params="%x: f64[3], %y: f64[3]", results=[("f64[3]", "%b")]))
    name, _ = tool.vmap("f", [False, True], 5)
    assert "= sin %x : f64[3]" in tool.text(name), tool.text(name)


def test_vmap_rng_keys(tool):
    tool.module(tensor_fn("%a = rng_bits %k {shape=[4], width=4}", params="%k: u32[2]", results=[("u32[4]", "%a")]))
    name, _ = tool.vmap("f", [True], 3)
    keys = np.random.RandomState(0).randint(0, 2**31, (3, 2)).astype(np.uint32)
    want = np.stack([tool.eval("f", k)[0] for k in keys])
    assert np.array_equal(tool.eval(name, keys)[0], want)


def test_derived_names_deterministic(tool):
    names = []
    for _ in range(2):
        tool.module(P["twice"]["text"])
        g = tool.grad("f", [True, False, True])
        tool.vmap(g, [True, False, True], 3)
        names.append(tool.funcs())
    assert names[0] == names[1]
    assert "layer.vmap[101]" in names[0] or any("vmap" in n for n in names[0])


@pytest.mark.parametrize("p", [p for p in DIFF_PROGRAMS if p["bounds"]], ids=[p["name"] for p in DIFF_PROGRAMS if p["bounds"]])
def test_bounds_opcount(tool, p):
    tool.module(p["text"])
    m = floats(p)
    n, dots, loops = tool.count("f")
    remat = p["name"] == "checkpoint"
    g = tool.grad("f", m)
    ng, dg, lg = tool.count(g)
    assert ng <= 4 * n + 12 and dg <= 3 * dots + (dots if remat else 0) and lg <= 2 * loops, (n, ng, dots, dg)
    j, _ = tool.jvp("f", m)
    nj, dj, lj = tool.count(j)
    assert nj <= 3 * n + 12 and dj <= 3 * dots and lj == loops, (n, nj)
    jg, _ = tool.jvp(g, m)
    gg = tool.vjp(g, m, [True] * sum(m), False)
    assert tool.count(jg)[0] <= (6 if remat else 3) * ng + 12, (ng, tool.count(jg))
    assert tool.count(gg)[0] <= (6 if remat else 4) * ng + 12, (ng, tool.count(gg))


def bytes_of(types):
    width = {"bool": 1, "i32": 4, "u32": 4, "f64": 8}
    return sum(width[d] * int(np.prod([int(x) for x in dims])) for d, dims in map(parse_type, types))


def intermediate_bytes(tool, name):
    """What all ops of a function and its callees compute, once per trip; views are free."""
    total, trips = 0, [1]
    for line in tool.text(name).split("\n"):
        line = line.strip()
        if line.startswith("}"):
            trips.pop()
        m = re.match(r"%\S.* = (\w+)", line)
        if m and m[1] not in ("loop", "cond", "call", "const", "broadcast", "reshape", "transpose"):
            total += trips[-1] * bytes_of(re.sub(r" (do|then)\(.*", "", line.split(" : ")[-1]).split(", "))
        if m and m[1] == "call":
            total += trips[-1] * intermediate_bytes(tool, re.search(r"func=@([^}]+)\}", line)[1])
        if line.endswith("{"):
            n = re.search(r"trips=(\d+)", line)
            trips.append(trips[-1] * (int(n[1]) if n else 1))
    return total


def saved_by(tool, fwd, results=1):
    head = tool.text(fwd).split("-> (")[1].split(") {")[0]
    return re.findall(r"\w+(?:\[[^]]*\])?", head)[results:]


@pytest.mark.parametrize("p", [p for p in DIFF_PROGRAMS if p["bounds"] and "custom" not in p["name"] and p["name"] != "symbolic"],
                         ids=[p["name"] for p in DIFF_PROGRAMS if p["bounds"] and "custom" not in p["name"] and p["name"] != "symbolic"])
def test_bounds_residuals(tool, p):
    """As a called function: what is saved is no more than what was computed, and nothing is saved twice."""
    g = Fn("g", *p["types"])
    g.ret(("f64", g.call("f", *g.p, to="f64")))
    tool.module(p["text"] + str(g))
    tool.grad("g", floats(p))
    fwd = [n for n in tool.funcs() if n.startswith("f.fwd")][0]
    saved = saved_by(tool, fwd)
    assert bytes_of(saved) <= intermediate_bytes(tool, "f"), saved
    names = tool.text(fwd).rstrip().rsplit("return ", 1)[1].split("\n")[0].split(", ")
    assert len(set(names)) == len(names)
    if p["name"] == "mlp":  # the two activations and the difference that the loss squares
        assert sorted(saved) == ["f64[5,16]", "f64[5,16]", "f64[5,4]"]
    if p["name"] == "checkpoint":
        assert bytes_of(saved) <= bytes_of(["f64[3,3]"])
