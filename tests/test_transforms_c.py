"""Derived functions of random programs as C: `mlxcc verify` runs them compiled and interpreted on the same random inputs."""
import os
import subprocess

import pytest

from transform_kit import Tool
from transform_random import program

SEEDS = int(os.environ.get("MLXCC_SEEDS", "7"))


@pytest.fixture(scope="module")
def tool(build):
    return Tool(str(build / "transform_tool"))


def derived(tool, seed, types, n):
    active = [t.startswith("f64") for t in types]
    back = tool.vjp("f", active, [True] * n, False)
    every = [True] * (len(types) + n)
    return [lambda: back,
            lambda: tool.jvp("f", active)[0],
            lambda: tool.vmap(back, every, 2)[0],
            lambda: tool.vjp(back, active + [True] * n, [True] * sum(active), False),
            lambda: tool.jvp(back, active + [True] * n)[0],
            lambda: tool.linearize("f", active)[1],
            lambda: tool.vjp(tool.vmap("f", [True] * len(types), 2)[0], active, [True] * n, False)][seed % 7]()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_compiled_is_interpreted(mlxcc, tool, seed, tmp_path):
    text, types, results = program(seed)
    tool.module(text)
    path = tmp_path / "t.ir"
    path.write_text(tool.export(derived(tool, seed, types, len(results))))
    r = subprocess.run([mlxcc, "verify", f"{path}:main"], capture_output=True, text=True, timeout=100)
    assert r.returncode == 0, r.stdout + r.stderr
