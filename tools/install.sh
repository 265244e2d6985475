# Sourced by the other scripts: installs Debian packages that are missing, and says which.
# usage: . tools/install.sh; need_packages flex bison ...
need_packages() {
	local missing=() p
	for p in "$@"; do
		dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	local sudo=""
	[ "$(id -u)" -eq 0 ] || sudo=sudo
	echo "installing with apt-get: ${missing[*]}"
	$sudo apt-get update -qq || return 1
	local log
	log=$(mktemp)
	if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
		tail -20 "$log"
		return 1
	fi
	rm -f "$log"
}
BUILD_PACKAGES="gcc libc6-dev cmake make flex bison"
TEST_PACKAGES="g++ clang clang-format check pkg-config valgrind python3 python3-venv man-db zlib1g-dev"
# Other machines: cross compilers and emulators of tools/test_paths.sh; tests/test_runner.py leaves out those that are not there.
PATHS_PACKAGES="clang lld gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user wasi-libc libclang-rt-14-dev-wasm32 nodejs gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"
