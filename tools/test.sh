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

export MLXCC_BUILD=$PWD/build-test MLXCC_ASAN_BUILD=$PWD/build-asan JAX_PLATFORMS=cpu
log=$(mktemp)
"$venv/bin/python" -m pytest -q -p no:cacheprovider -n "$(nproc)" --dist loadgroup tests 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
last=$(grep -E '^[^ ]*.*(passed|failed|error).* in [0-9.]+' "$log" | tail -1)
count() { echo "$last" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
passed=$(count passed)
failed=$(($(count failed) + $(count error)))
rm -f "$log"
[ "$status" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
