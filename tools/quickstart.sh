#!/usr/bin/env bash
# Builds mlxcc and does its main job once: compiles examples/digits/digits.mx to C, trains the network with the C that
# came out, on 1,797 real images, and prints how well it reads digits that it has not seen.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/install.sh
need_packages $BUILD_PACKAGES zlib1g-dev

echo "building mlxcc"
cmake -S . -B build -DCMAKE_BUILD_TYPE=Release >build.log 2>&1 && cmake --build build -j"$(nproc)" >>build.log 2>&1 || {
	tail -20 build.log
	echo "quickstart: the build failed; all of its output is in build.log"
	exit 1
}
rm -f build.log
out=build/digits
mkdir -p "$out"

echo "\$ mlxcc examples/digits/digits.mx -o $out/digits.c"
build/mlxcc examples/digits/digits.mx -o "$out/digits.c"
wc -c "$out/digits.c" "$out/digits.h" | head -2
echo "\$ gcc -O3 -march=native -I$out examples/digits/main.c $out/digits.c -lm -o $out/digits"
gcc -O3 -march=native -std=c99 -I"$out" examples/digits/main.c "$out/digits.c" -lm -o "$out/digits"
"$out/digits" examples/digits "$out/digits.safetensors"

cat <<TXT

What to try next
  read the C that came out            $out/digits.c
  see the program as IR               build/mlxcc examples/digits/digits.mx --emit=ir
  run one function on files           build/mlxcc run examples/digits/digits.mx:predict net=$out/digits.safetensors x=examples/digits/five.npy --out $out
  bake the trained weights in         build/mlxcc examples/digits/digits.mx --entry predict --weights net=$out/digits.safetensors -o $out/reader.c
  the language                        docs/language.md
TXT
