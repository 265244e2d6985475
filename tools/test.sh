#!/usr/bin/env bash
# Installs what the tests need, builds with and without sanitizers, runs every test, prints one closing count.
#   bash tools/test.sh           everything that belongs in a normal run (under 15 minutes on two cores)
#   bash tools/test.sh --full    also the slow sweeps: long fuzzing, 10,000 random programs
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/install.sh
full=0
[ "${1:-}" = "--full" ] && full=1
export MLXCC_FULL=$full
need_packages $BUILD_PACKAGES $TEST_PACKAGES || { echo "test.sh: packages could not be installed"; exit 1; }

venv=${MLXCC_VENV:-build-venv}
if [ ! -x "$venv/bin/python" ] || ! cmp -s tests/requirements.txt "$venv/requirements.txt"; then
	echo "installing the Python oracles into $venv"
	python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt && cp tests/requirements.txt "$venv/" || exit 1
fi

build() { # build DIR OPTIONS...
	local dir=$1
	shift
	echo "building in $dir"
	cmake -S . -B "$dir" "$@" >"$dir.log" 2>&1 && cmake --build "$dir" -j"$(nproc)" >>"$dir.log" 2>&1 || {
		tail -30 "$dir.log"
		exit 1
	}
	if grep -q 'warning:' "$dir.log"; then
		grep 'warning:' "$dir.log" | head
		echo "test.sh: the build has warnings"
		exit 1
	fi
	rm -f "$dir.log"
}
build build-test -DCMAKE_BUILD_TYPE=Release
build build-asan -DCMAKE_BUILD_TYPE=Debug -DMLXCC_SANITIZE=ON

export JAX_PLATFORMS=cpu ASAN_OPTIONS=detect_leaks=0
passed=0
failed=0
run_tests() { # run_tests BUILD TESTS...
	local build=$1 log status last
	shift
	log=$(mktemp)
	MLXCC_BUILD=$PWD/$build "$venv/bin/python" -m pytest -q -p no:cacheprovider -n "$(nproc)" --dist loadgroup "$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	last=$(grep -E '(passed|failed|error).* in [0-9.]+' "$log" | tail -1)
	rm -f "$log"
	count() { echo "$last" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
	passed=$((passed + $(count passed)))
	local bad=$(($(count failed) + $(count error)))
	[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	failed=$((failed + bad))
}
run_tests build-test tests
echo "again with sanitizers in the compiler"
run_tests build-asan tests/test_errors.py tests/test_lang.py tests/test_ir_golden.py tests/test_cli.py tests/test_files.py
if [ "$full" = 1 ]; then
	if MLXCC_BUILD=$PWD/build-test bash tools/test_paths.sh --all; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
	if bash tests/fuzz/run.sh 1800; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
