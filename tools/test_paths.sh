#!/usr/bin/env bash
# The optimised paths of emitted C: the tests of ops, kernels, library code and random programs with every compiler, level and width of vectors,
# and on other machines through emulators; prints a table of configurations, cases and results.
#   bash tools/test_paths.sh               every configuration, the compact set of tests
#   bash tools/test_paths.sh --brief       every configuration, only tests/paths/kernels.mx: a function for each kernel and kind of loop
#   bash tools/test_paths.sh --all         every configuration, all tests that run compiled code
#   bash tools/test_paths.sh NAME…         only these, e.g. gcc-O3-avx512 aarch64; --list shows all
#   bash tools/test_paths.sh --fused NAME… with contraction, Winograd and all default flags: near, not equal to, the interpreter
#   bash tools/test_paths.sh --sanitize    AddressSanitizer and UBSan over the same tests, widest vectors and scalar
# What this machine cannot run is left out, and said. A configuration sets CC and MLXCC_PATH (the compiler's command), MLXCC_RUNNER (what runs
# its executables) and MLXCC_FMA; tests/c_kit.py and mlxcc itself go by these.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/install.sh
root=$PWD build=$(realpath "${MLXCC_BUILD:-build-test}") python=${MLXCC_PYTHON:-python3}
[ -x build-venv/bin/python ] && python=$root/build-venv/bin/python
set_of_tests=compact fused="" sanitize=0 names=()
for a in "$@"; do
	case $a in
	--all) set_of_tests=all ;;
	--brief) set_of_tests=brief ;;
	--fused) fused=on ;;
	--sanitize) sanitize=1 ;;
	--list) list=1 ;;
	*) names+=("$a") ;;
	esac
done

# NAME|compiler and flags|runner|flag of /proc/cpuinfo that the machine needs
configurations() {
	local cc level
	if [ "$sanitize" = 1 ]; then
		local san="-O2 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-sanitize=float-divide-by-zero"
		echo "gcc-san-avx512|gcc $san -march=x86-64-v4|env|avx512bw"
		echo "gcc-san-scalar|gcc $san -march=x86-64 -DMLXCC_SCALAR|env|"
		return
	fi
	for cc in gcc clang; do
		for level in O2 O3; do
			echo "$cc-$level-scalar|$cc -$level -march=x86-64 -DMLXCC_SCALAR||"
			echo "$cc-$level-sse2|$cc -$level -march=x86-64||"
			echo "$cc-$level-avx2|$cc -$level -march=x86-64-v3||avx2"
			echo "$cc-$level-avx512|$cc -$level -march=x86-64-v4||avx512bw"
			echo "$cc-$level-native|$cc -$level -march=native||"
		done
	done
	local m7="arm-none-eabi-gcc -O2 -mcpu=cortex-m7 -mfloat-abi=hard -mfpu=fpv5-d16 --specs=rdimon.specs"
	echo "aarch64-gcc|aarch64-linux-gnu-gcc -O2|qemu-aarch64 -L /usr/aarch64-linux-gnu|"
	echo "aarch64-clang|clang -O2 --target=aarch64-linux-gnu|qemu-aarch64 -L /usr/aarch64-linux-gnu|"
	echo "wasm-simd128|clang -O2 --target=wasm32-wasi -msimd128 -Wl,-z,stack-size=1048576|node --no-warnings $root/tests/wasi_run.mjs|"
	echo "cortex-m7|$m7 -T $root/tests/cortex_m7/mps2_an500.ld $root/tests/cortex_m7/start.c|qemu-system-arm -M mps2-an500 -display none -monitor none -serial none -semihosting-config enable=on,target=native -kernel|"
}
if [ "${list:-0}" = 1 ]; then
	configurations | cut -d'|' -f1-3
	exit 0
fi
need_packages $PATHS_PACKAGES ||
	echo "some emulators are missing; their configurations are left out"

# Tests of compiled code that take the compiler from the environment.
compact=(
	"tests/test_ops_c.py::test_same_bits_as_the_interpreter" "tests/test_dot_kernels.py::test_c_has_the_bits_of_the_interpreter"
	"tests/test_conv_kernels.py::test_same_bits_as_the_interpreter" "tests/test_attention_kernel.py::test_values" "tests/test_attention_kernel.py::test_nothing_finite"
	"tests/test_fuzz_programs.py::test_interpreter_and_c_agree[3]"
)
whole=(
	"tests/test_ops_c.py::test_elementwise" "tests/test_ops_c.py::test_tensor_op" "tests/test_conv_kernels.py::test_weight_derivative" "tests/test_conv_kernels.py::test_winograd"
	"tests/test_attention_kernel.py::test_symbolic_lengths" "tests/test_std_compiled.py::test_compiled_is_interpreted" "tests/test_std_compiled.py::test_blocks_of_the_standard_modules"
	"tests/test_fuzz_programs.py::test_interpreter_and_c_agree" "tests/test_every_program.py::test_c_equals_interpreter" "tests/test_quant.py" "tests/test_fast.py" "tests/test_std_fft.py"
	"tests/test_std_nn.py" "tests/test_std_optim.py"
)
# One of the builds that a test of several asks for: the environment replaces all.
other_builds="not (bits_of_the_interpreter and (sse or avx)) and not (conv_kernels and same_bits and (16 or 8 or scalar)) and not clean_under"

log=$(mktemp -d)
failed=0
printf '%-18s %7s %7s %7s %8s   %s\n' configuration cases passed failed seconds command
while IFS='|' read -r name cc runner need; do
	[ ${#names[@]} -gt 0 ] && [[ " ${names[*]} " != *" $name "* ]] && continue
	if [ -n "$need" ] && ! grep -qw "$need" /proc/cpuinfo; then
		echo "$name: left out, this processor has no $need"
		continue
	fi
	if ! command -v "${cc%% *}" >/dev/null || { [ -n "$runner" ] && ! command -v "${runner%% *}" >/dev/null; }; then
		echo "$name: left out, ${cc%% *} or ${runner%% *} is not here"
		continue
	fi
	tests=("${compact[@]}")
	[ "$set_of_tests" = all ] && tests+=("${whole[@]}")
	begin=$(date +%s)
	if [ "$set_of_tests" = brief ]; then
		CC=$cc MLXCC_RUNNER=$runner XDG_CACHE_HOME=$log/cache ASAN_OPTIONS=detect_leaks=0 nice -n "${NICE:-10}" "$build/mlxcc" verify tests/paths/kernels.mx --trials=2 >"$log/$name" 2>&1 </dev/null
		status=$?
		good=$(grep -c '^ok ' "$log/$name") bad=$(grep -c '^FAIL' "$log/$name")
		[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
		printf '%-18s %7d %7d %7d %8d   %s\n' "$name" $((good + bad)) "$good" "$bad" $(($(date +%s) - begin)) "${cc//$root\//}"
		grep -vE '^ok .*difference 0.0e' "$log/$name" | head -30 | cut -c1-200
		failed=$((failed + bad))
		continue
	fi
	CC=$cc MLXCC_PATH=$cc MLXCC_RUNNER=$runner MLXCC_FMA=$fused MLXCC_COMPILED=1 MLXCC_BUILD=$build XDG_CACHE_HOME=$log/cache JAX_PLATFORMS=cpu ASAN_OPTIONS=detect_leaks=0 \
		nice -n "${NICE:-10}" "$python" -m pytest -q -p no:cacheprovider -n "${JOBS:-$(nproc)}" "${tests[@]}" -k "$other_builds" >"$log/$name" 2>&1 </dev/null
	status=$?
	last=$(grep -E '(passed|failed|error).* in [0-9.]+' "$log/$name" | tail -1)
	count() { echo "$last" | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
	good=$(count passed) bad=$(($(count failed) + $(count error)))
	[ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
	printf '%-18s %7d %7d %7d %8d   %s\n' "$name" $((good + bad)) "$good" "$bad" $(($(date +%s) - begin)) "${cc//$root\//}"
	grep -E '^(FAILED|ERROR)' "$log/$name" | cut -c1-200
	failed=$((failed + bad))
	rm -rf "$log/cache"
done < <(configurations)
echo "$failed failed; logs in $log"
[ "$failed" -eq 0 ]
