#!/usr/bin/env bash
# Times mlxcc's C against every peer that installs. Makes the Python environment once, builds mlxcc, then hands over to run.py:
#   bash bench/run.sh --help
# MLXCC_BUILD names the build directory, BENCH_VENV the environment, BENCH_PYTHON an interpreter to use as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${MLXCC_BUILD:-build}
venv=${BENCH_VENV:-build-bench/venv}
if [ -z "${BENCH_PYTHON:-}" ]; then
	if ! cmp -s bench/requirements.txt "$venv/bench-requirements.txt"; then
		echo "installing the peers into $venv" >&2
		python3 -m venv "$venv"
		"$venv/bin/pip" install -q --disable-pip-version-check -r bench/requirements.txt
		# ggml comes as source only: it is built here, and its column stays empty where that fails.
		CMAKE_ARGS=-DGGML_LLAMAFILE=ON "$venv/bin/pip" install -q --disable-pip-version-check -r bench/requirements-ggml.txt || echo "ggml was not built" >&2
		cp bench/requirements.txt "$venv/bench-requirements.txt"
	fi
	BENCH_PYTHON=$venv/bin/python
fi
if [ ! -x "$build/mlxcc" ]; then
	cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release >&2
	cmake --build "$build" -j"$(nproc)" >&2
fi
export MLXCC_BUILD=$build
exec "$BENCH_PYTHON" bench/run.py "$@"
