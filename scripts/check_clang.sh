#!/bin/sh
# Builds the engine with clang, with warnings as errors, and checks its kernels and encoders.
# Debian or Ubuntu: apt-get install cmake clang
set -eu
cd "$(dirname "$0")/.."
for tool in cmake clang++; do
    command -v "$tool" >/dev/null || {
        echo "check_clang: $tool is missing: apt-get install cmake clang" >&2
        exit 2
    }
done
build=build/tools-clang
cmake -S src/bothways/native/engine/tools -B "$build" -DCMAKE_CXX_COMPILER=clang++ -DBOTHWAYS_WERROR=ON
cmake --build "$build" --parallel 2
"$build/check_kernels"
"$build/check_encoder"
