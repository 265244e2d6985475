"""Random IR means the same after each pass, and after all of them: interpreted before and after, compared bit for bit."""
import os
import subprocess
import numpy as np
import pytest
import ir_random

SEEDS = range(int(os.environ.get("IR_SEEDS", "60")))
PIPELINES = ["simplify", "dce", "cse", "inline,dce", "simplify,dedupe,inline,simplify2,cse,outline,dce"]


def evaluate(irtool, path, inputs, out):
    done = subprocess.run([irtool, "eval", str(path), "@main", *inputs, "-o", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + path.read_text()
    return [np.load(out / f"{k}.npy") for k in range(len(list(out.glob("*.npy"))))]


@pytest.mark.parametrize("seed", SEEDS)
def test_passes_keep_the_meaning(seed, irtool, tmp_path):
    text, types = ir_random.module(seed)
    path = tmp_path / "p.ir"
    path.write_text(text)
    r = np.random.default_rng(seed)
    inputs = []
    for k, (_, dims) in enumerate(types):
        inputs.append(str(tmp_path / f"in{k}.npy"))
        np.save(inputs[-1], r.integers(-9, 9, [ir_random.SIZE.get(d, 1 + seed % 4) for d in dims]).astype("f8"))
    want = evaluate(irtool, path, inputs, tmp_path / "before")
    for names in PIPELINES:
        done = subprocess.run([irtool, "pass", names, str(path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr + text
        after = tmp_path / "after.ir"
        after.write_text(done.stdout)
        got = evaluate(irtool, after, inputs, tmp_path / names)
        assert len(got) == len(want)
        for a, b in zip(want, got):
            assert np.array_equal(a, b, equal_nan=True), (names, a, b, text, done.stdout)
