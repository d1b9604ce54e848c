#!/bin/sh
# Runs the engine's checks and tests with AddressSanitizer and UndefinedBehaviorSanitizer, in a separate
# environment under build/. Needs CMake, Python 3.11 or later and g++ or clang++.
set -eu
cd "$(dirname "$0")/.."
tools=build/sanitizers-tools
cmake -S src/bothways/native/engine/tools -B "$tools" -DBOTHWAYS_SANITIZE=ON
cmake --build "$tools" --parallel 2
"$tools/check_kernels"
"$tools/check_encoder"
venv=build/sanitizers
python=$venv/bin/python
[ -x "$python" ] || ${PYTHON:-python3} -m venv "$venv"
"$python" -m pip install --quiet --constraint constraints.txt --config-settings=install.strip=false \
    --config-settings=build-dir=build/sanitizers-engine \
    --config-settings=cmake.define.BOTHWAYS_SANITIZE=ON \
    '.[torch]' beartype hypothesis platformdirs pytest
library() { ${CXX:-g++} "-print-file-name=$1"; }
# Load the sanitizer before the interpreter, and the C++ library with it, or it would miss exceptions. The
# interpreter keeps memory until it exits, so leak detection is off.
export LD_PRELOAD="$(library libasan.so) $(library libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1
cd tests  # away from src/, so that the tests import the installed package
"../$python" -m pytest --config-file=../pyproject.toml --rootdir=.. -p no:cacheprovider -q native \
    --ignore=native/test_kernels.py "$@"
