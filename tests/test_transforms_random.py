"""Random programs (transform_random.py) through all transforms: jvp against differences, vjp and its own derivatives by the adjoint identity,
vmap against one evaluation per lane, linearize against jvp, inlined against called."""
import os
import re

import numpy as np
import pytest

from transform_kit import Tool, check_adjoint, check_batch, check_jvp_fd, near, random_like, with_sizes
from transform_random import program

SEEDS = int(os.environ.get("MLXCC_SEEDS", "120"))


@pytest.fixture(scope="module")
def tool(build):
    return Tool(str(build / "transform_tool"))


def draw(r, t):
    d, shape = with_sizes(t, {})
    return np.asarray(r.standard_normal(shape) * .6 if d == "f64" else np.int32(r.integers(0, 4)) if d == "i32" else np.bool_(r.random() < .5))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_program(tool, seed):
    text, types, results = program(seed)
    r = np.random.default_rng(seed)
    args = [draw(r, t) for t in types]
    tool.module(text)
    y = tool.eval("f", *args)
    active = [t.startswith("f64") and r.random() < .75 for t in types]
    active[0] |= not any(active)
    check_jvp_fd(tool, "f", args, active, seed=seed, tol=3e-5)
    check_adjoint(tool, "f", args, active, seed=seed, tol=1e-8)
    back = tool.vjp("f", active, [True] * len(results), False)
    g = [random_like(r, o) for o in y]
    both = active + [True] * len(g)
    check_jvp_fd(tool, back, args + g, both, seed=seed, tol=1e-4)
    check_adjoint(tool, back, args + g, both, seed=seed, tol=1e-7)

    def vary(k, a, rr):
        return draw(rr, (types + results)[k])
    some = tuple(k for k in range(len(types)) if r.random() < .6) or (0,)
    check_batch(tool, "f", args, vary=vary, n=2, subsets=[some, tuple(range(len(types)))], tol=1e-9)
    check_batch(tool, back, args + g, vary=vary, n=2, subsets=[tuple(range(len(both)))], tol=1e-8)
    t = [random_like(r, a) for a, k in zip(args, active) if k]
    name, mask = tool.jvp("f", active)
    tangents = iter(tool.eval(name, *args, *t)[len(mask):])
    fwd, lin = tool.linearize("f", active)
    out = tool.eval(fwd, *args)
    for a, m, o in zip(tool.eval(lin, *out[len(results):], *t), mask, y):
        near(a, next(tangents) if m else np.zeros(o.shape), 1e-9, "linearize")
    for a, b in zip(tool.eval(tool.inline(back), *args, *g), tool.eval(back, *args, *g)):
        near(a, b, 1e-9, "inlined")


def symbolic(text):
    """The program with a symbol of each function's own for the size 3; None where a function has nothing that tells it."""
    out = ""
    if "i32[3,1]" in text:
        return None
    for fn in re.split(r"(?=^func )", text, flags=re.M)[1:]:
        s = {"f": "N", "g0": "K", "g1": "J"}.get(re.match(r"func @(\w+)", fn)[1], "R")
        if "f64[3" not in fn.split("->")[0]:
            return None
        fn = fn.replace("f64[3,3]", f"f64[{s},{s}]").replace("f64[3]", f"f64[{s}]").replace("trips=3", f"trips={s}")
        out += re.sub(r"shape=\[(\d,)?3\]", lambda m: f"shape=[{s if m[1] == '3,' else (m[1] or '')[:-1]}{',' if m[1] else ''}{s}]", fn)
    return out


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_program_with_symbolic_sizes(tool, seed):
    """Every composition gives the same numbers where sizes are symbols, other ones in every function."""
    text, types, results = program(seed)
    if not symbolic(text):
        return
    r = np.random.default_rng(seed)
    args = [draw(r, t) for t in types]
    active = [t.startswith("f64") and r.random() < .75 for t in types]
    active[0] |= not any(active)
    both = []
    for module in (text, symbolic(text)):
        tool.module(module)
        g = [np.asarray(np.cos(np.arange(o.size).reshape(o.shape))) for o in tool.eval("f", *args)]
        t = [np.asarray(np.sin(1 + np.arange(a.size).reshape(a.shape))) for a, m in zip(args, active) if m]
        back = tool.vjp("f", active, [True] * len(results), False)
        out = tool.eval(back, *args, *g)
        out += tool.eval(tool.jvp(back, active + [False] * len(g))[0], *args, *g, *t)
        twice = tool.vjp(back, active + [True] * len(g), [True] * sum(active), False)
        out += tool.eval(twice, *args, *g, *t) + tool.eval(tool.inline(twice), *args, *g, *t)
        fwd, lin = tool.linearize("f", active)
        out += tool.eval(lin, *tool.eval(fwd, *args)[len(results):], *t)
        v, _ = tool.vmap(back, [True] * len(args + g), "Z" if both else 2)
        out += tool.eval(v, *[np.stack([a, a]) for a in args + g])
        both.append(out)
    assert len(both[0]) == len(both[1])
    for a, b in zip(*both):
        near(b, a, 1e-11, "symbolic sizes")
