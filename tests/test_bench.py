"""The benchmark runs: two small workloads, mlxcc against NumPy, one round. Its figures are not looked at, only that they come from checked results."""
import json
import os
import subprocess
import sys
import pytest
from conftest import BUILD, ROOT

SMALL = ["matmul_127", "call_overhead"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    store, table = folder / "results.json", folder / "table.md"
    env = dict(os.environ, MLXCC_BUILD=str(BUILD), BENCH_PYTHON=sys.executable)
    command = ["bash", str(ROOT / "bench/run.sh"), "--only", ",".join(SMALL), "--peers", "mlxcc,numpy", "--rounds", "1", "--quick", "--threads", "1",
               "--results", str(store), "--table", str(table)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(store.read_text()), table.read_text(), (folder / "chart.svg").read_text()


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("peer", ["mlxcc", "numpy"])
def test_results_are_checked_and_timed(ran, name, peer):
    row = ran[0]["times"]["1"][name][peer]
    assert row["state"] == "ok", row
    assert row["error"] < 1e-4
    assert 0 < row["min_s"] <= row["median_s"]


def test_table_and_chart(ran):
    _, table, chart = ran
    assert "| matmul 127³ | numpy |" in table
    assert "sgemm" in table
    assert chart.startswith("<svg") and "matmul 127³" in chart


def test_a_wrong_result_is_refused():
    """A result that is off by one element, or a nan, is no result."""
    sys.path.insert(0, str(ROOT / "bench"))
    try:
        import numpy as np
        from harness import workload
    finally:
        sys.path.pop(0)
    want = [np.ones(4)]
    assert workload.largest_error([np.ones(4)], want)[0] == 0
    assert workload.largest_error([np.array([1, 1, 2, 1])], want)[0] == 1
    assert workload.largest_error([np.array([1, np.nan, 1, 1])], want)[0] == float("inf")
    assert workload.largest_error([np.ones(3)], want)[0] == float("inf")
    assert workload.largest_error([], want)[0] == float("inf")


def test_every_program_has_its_description():
    env = dict(os.environ, BENCH_PYTHON=sys.executable, MLXCC_BUILD=str(BUILD))
    for flag, folder in (([], "workloads"), (["--embedded"], "embedded")):
        done = subprocess.run(["bash", str(ROOT / "bench/run.sh"), "--list", *flag], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        names = {line.split()[0] for line in done.stdout.splitlines()}
        assert names == {p.stem for p in (ROOT / "bench" / folder).glob("*.mx")}
