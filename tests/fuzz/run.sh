#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer (clang): the .mx parser, the readers of tensor IR and loop IR, those of tensor files.
#   bash tests/fuzz/run.sh [SECONDS] [mx|ir|loops|files]     default: 60 seconds each
# Starts from every .mx and .ir file (tensor files: every .npy and .safetensors) of the repository; what it finds stays in build-fuzz/. A crash file is kept and named.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
which=${2:-mx ir loops files}
CC=clang cmake -S . -B build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMLXCC_FUZZ=ON >build-fuzz.log 2>&1 || { tail build-fuzz.log; exit 1; }
cmake --build build-fuzz -j2 --target fuzz_mx fuzz_ir fuzz_loops fuzz_files >>build-fuzz.log 2>&1 || { tail -30 build-fuzz.log; exit 1; }
rm -f build-fuzz.log
for target in $which; do
	corpus=build-fuzz/corpus-$target
	mkdir -p "$corpus"
	names=(-name "*.$target")
	[ "$target" = loops ] && names=(-path '*/fuzz/loops/*')
	[ "$target" = files ] && names=(-name '*.npy' -o -name '*.npz' -o -name '*.safetensors' -o -name '*.json')
	find . -path './build*' -prune -o \( "${names[@]}" \) -size -64k -print | while read -r f; do cp "$f" "$corpus/$(echo "$f" | tr '/' '_')"; done
	dict=tests/fuzz/$target.dict
	echo "fuzzing the $target reader for $seconds s from $(ls "$corpus" | wc -l) inputs"
	build-fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
		$([ -f "$dict" ] && echo "-dict=$dict") -artifact_prefix=build-fuzz/"$target"- "$corpus" >build-fuzz/"$target".log 2>&1 || {
		tail -40 build-fuzz/"$target".log
		exit 1
	}
	grep -E 'stat::(number_of_executed_units|peak_rss_mb)|cov: ' build-fuzz/"$target".log | tail -3
done
