"""Peak arithmetic of this machine, and the number of operations that a batch needs.

A C++ program, `src/bothways/native/engine/tools/peaks.cpp`, measures the peak: the multiply-add
instruction in fp32 and the dot product in int8, on registers alone, in all threads at once.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from bothways.model.config import EncoderConfig

__all__ = ["operations", "peaks"]

_TRIES = 5
_ROOT = Path(__file__).parents[1]
_TOOLS = _ROOT / "src" / "bothways" / "native" / "engine" / "tools"
_BUILD = _ROOT / "build" / "tools"


def peaks(threads: int) -> dict[str, Any] | None:
    """Operations per second of all threads together, `fp32` and `int8`; None without CMake.

    A multiply-add counts as two operations. The result is the best of several tries: other
    processes can only slow a try down.

    Raises:
        subprocess.CalledProcessError: if the program cannot be built or fails.
    """
    if not shutil.which("cmake"):
        return None
    program = _build()
    isa = os.environ.get("BOTHWAYS_ISA", "")
    done = subprocess.run(
        [program, str(threads), str(_TRIES), isa], check=True, capture_output=True, text=True
    )
    tries = [
        {fields[1]: float(fields[2]), fields[3]: float(fields[4])}
        for fields in map(str.split, done.stdout.splitlines())
    ]
    return {
        "fp32": max(each["fp32"] for each in tries),
        "int8": max(each["int8"] for each in tries),
        "how": "engine/tools/peaks.cpp: fp32 multiply-add and int8 dot product on registers",
        "tries": tries,
    }


def _build() -> Path:
    configure = ["cmake", "-S", str(_TOOLS), "-B", str(_BUILD)]
    if shutil.which("ninja") and not (_BUILD / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    subprocess.run(configure, check=True, capture_output=True)
    build = ["cmake", "--build", str(_BUILD), "--target", "peaks", "--parallel"]
    subprocess.run(build, check=True, capture_output=True)
    return _BUILD / "peaks"


def operations(config: EncoderConfig, lengths: np.ndarray) -> float:
    """Operations of the matrix products of an encoder without gates, padding not counted.

    Each token meets every weight of a layer once: 4 D² in attention and 2 D F in feed-forward. Its
    scores and weighted sum over the L positions of its sequence take another 2 D L.
    """
    D, F = config.d_model, config.d_ff
    weights = config.num_layers * (4 * D * D + 2 * D * F)
    positions = config.num_layers * 2 * D
    lengths = lengths.astype(np.float64)
    return float(2 * (weights * lengths + positions * lengths**2).sum())
