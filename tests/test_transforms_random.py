"""Random programs (transform_random.py) through all transforms: jvp against differences, vjp and its own derivatives by the adjoint identity,
vmap against one evaluation per lane, linearize against jvp, inlined against called."""
import os

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
