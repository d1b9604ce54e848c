#!/bin/sh
# Cross-compiles the engine for AArch64 and compares NEON with plain C++ under an emulator.
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
cmake -S src/bothways/native/engine/check -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static
cmake --build "$build" --parallel 2
qemu-aarch64 -cpu max "$build/check_isas"        # with the dot product extension
qemu-aarch64 -cpu cortex-a72 "$build/check_isas" # without
