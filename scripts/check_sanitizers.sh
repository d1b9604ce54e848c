#!/bin/sh
# Runs the engine's tests with AddressSanitizer and UndefinedBehaviorSanitizer, in an environment of its
# own under build/. Needs Python 3.11 or later and g++ or clang++.
set -eu
cd "$(dirname "$0")/.."
venv=build/sanitizers
python=$venv/bin/python
[ -x "$python" ] || ${PYTHON:-python3} -m venv "$venv"
"$python" -m pip install --quiet --constraint constraints.txt --config-settings=install.strip=false \
    --config-settings=build-dir=build/sanitizers-engine \
    --config-settings=cmake.define.BOTHWAYS_SANITIZE=ON \
    '.[torch]' beartype hypothesis platformdirs pytest
library() { ${CXX:-g++} "-print-file-name=$1"; }
# The sanitizer comes before the interpreter, and the C++ library with it, or it would miss exceptions.
# The interpreter keeps much memory to the end, so leaks are not looked for.
export LD_PRELOAD="$(library libasan.so) $(library libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1
cd tests  # away from src/, so that the installed package is the one that is tested
"../$python" -m pytest --config-file=../pyproject.toml --rootdir=.. -p no:cacheprovider -q native "$@"
