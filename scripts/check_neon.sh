#!/bin/sh
# Cross-compiles the engine for AArch64 and checks its kernels and encoders on NEON under an emulator.
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
for cpu in max cortex-a72; do # with and without the dot product extension
    qemu-aarch64 -cpu "$cpu" "$build/check_kernels"
    qemu-aarch64 -cpu "$cpu" "$build/check_encoder"
done
