"""The runtime: its thread pool under the thread and the address sanitizer, and as C++ sees its header."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
WARN = ["-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]


@pytest.mark.parametrize("san", ["thread", "address,undefined", None], ids=["tsan", "asan", "plain"])
def test_pool(san, tmp_path):
    flags = [f"-fsanitize={san}"] if san else []
    subprocess.run(["gcc", "-std=gnu11", "-g", "-O1", *WARN, *flags, ROOT / "tests/runtime_pool.c", ROOT / "runtime/pool.c", "-pthread", "-o", tmp_path / "pool"], check=True)
    run = subprocess.run([tmp_path / "pool"], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout == "ok\n", run.stderr[-3000:]


def test_header_in_cpp_and_twice(tmp_path):
    (tmp_path / "a.cc").write_text('#include "mxrt.h"\n#include "mxrt.h"\nmx_exec e;\n')
    subprocess.run(["g++", *WARN, "-I", ROOT / "runtime", "-c", tmp_path / "a.cc", "-o", tmp_path / "a.o"], check=True)


def test_pool_in_clang(tmp_path):
    subprocess.run(["clang", "-std=c11", *WARN, "-c", ROOT / "runtime/pool.c", "-o", tmp_path / "pool.o"], check=True)
