#!/bin/sh
# Cross-compiles the engine for AArch64 and checks its kernels and encoders under an emulator, on NEON with and
# without dot products and products of matrices (i8mm).
# Debian or Ubuntu: apt-get install cmake ninja-build g++-aarch64-linux-gnu qemu-user
set -eu
cd "$(dirname "$0")/.."
for tool in cmake ninja aarch64-linux-gnu-g++ qemu-aarch64; do
    command -v "$tool" >/dev/null || {
        echo "check_neon: $tool is missing: apt-get install cmake ninja-build g++-aarch64-linux-gnu qemu-user" >&2
        exit 2
    }
done
build=build/neon
cmake -S src/bothways/native/engine/tools -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static \
    -DBOTHWAYS_WERROR=ON
cmake --build "$build" --parallel 2

# Each processor, with the instruction sets that are checked on it. On the first one the engine must detect
# neither extension, and on the second one both; what is not available is an error.
check() {
    cpu=$1
    shift
    qemu-aarch64 -cpu "$cpu" "$build/check_kernels" "$@"
    qemu-aarch64 -cpu "$cpu" "$build/check_encoder" "$@"
}
if qemu-aarch64 -cpu cortex-a72 "$build/check_kernels" neondot 2>/dev/null; then
    echo "check_neon: dot products were detected on a processor without them" >&2
    exit 1
fi
check cortex-a72 plain neon &
first=$!
check max neondot neoni8mm
wait "$first"
