"""Speed of int8 and fp32 by instruction set: tokens per second of `minilm` on one core.

For docs/performance.md and `bothways doctor`, which say on which instruction sets int8 is faster.
Measured is the CPU time of one thread, in rounds that alternate between all settings, from random
ids to pooled vectors; the best round counts, because other programs can only slow a round down.

    python benchmarks/int8_by_isa.py
"""

import argparse
import time
from pathlib import Path

import numpy as np

import record
from bothways.checkpoints import read_folder, resolve
from bothways.model.baselines.any_encoder import require_transformer
from bothways.model.packing import PackedBatch
from bothways.native import NativeBackend, available_isas

LENGTHS = (12, 56, 512)
PRECISIONS = ("fp32", "int8")
TOKENS = 1024
ROUNDS = 7


def main() -> None:
    """Measure all settings, print a table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    report = record.describe_run(("bothways", "numpy"))
    model = read_folder(resolve("minilm"))
    config = require_transformer(model.config, "this benchmark needs", "choose minilm")
    backends = {
        (isa, precision): NativeBackend(
            config, model.weights, precision=precision, threads=1, isa=isa
        )
        for isa in available_isas()
        for precision in PRECISIONS
    }
    rng = np.random.default_rng(0)
    batches = {
        length: PackedBatch.of(
            [rng.integers(1000, 30000, length) for _ in range(max(1, TOKENS // length))]
        )
        for length in LENGTHS
    }
    best: dict[tuple[str, str, int], float] = {}
    for _ in range(ROUNDS):
        for (isa, precision), backend in backends.items():
            for length, batch in batches.items():
                start = time.thread_time()
                backend.pool(batch, ["mean"])
                speed = batch.num_tokens / (time.thread_time() - start)
                key = isa, precision, length
                best[key] = max(best.get(key, 0.0), speed)
    report["tokens_per_second"] = {
        isa: {
            precision: {str(length): round(best[isa, precision, length]) for length in LENGTHS}
            for precision in PRECISIONS
        }
        for isa in available_isas()
    }
    for isa in available_isas():
        speeds = [
            f"{length}: {best[isa, 'fp32', length]:,.0f} {best[isa, 'int8', length]:,.0f} "
            f"({best[isa, 'int8', length] / best[isa, 'fp32', length]:.2f})"
            for length in LENGTHS
        ]
        print(f"{isa:12} {'   '.join(speeds)}")
    record.write(report, options.output, "int8_by_isa")


if __name__ == "__main__":
    main()
