"""Latency of encoding one sequence with `minilm`, in ms: bothways compared with ONNX Runtime.

Claim: bothways encodes a single sequence of 16 or 128 tokens in less time than ONNX Runtime with
its fused graph, in fp32 and in int8. The input is ids and the output is a unit vector in NumPy; the
ids are random, because they do not affect the time. Each contender runs in its own process, with
one thread per core. Blocks of calls are interleaved, the calls of a block follow each other without
pause, the first calls of each block are discarded, and the median of the others is reported.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/latency.py
    python benchmarks/latency.py --quick
"""

import argparse
import contextlib
from pathlib import Path
from typing import Any

import numpy as np

import record
from bothways.checkpoints import resolve
from peers import PEERS, missing
from peers.process import Worker

OURS = {"fp32": "bothways fp32", "int8": "bothways int8"}
THEIRS = {"fp32": "ONNX Runtime fp32", "int8": "ONNX Runtime int8"}
LENGTHS = (16, 128)
WARM_UP = 10


def main() -> None:
    """Run the blocks, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    names = [*OURS.values(), *THEIRS.values(), *options.also]
    report["skipped"] = {name: absent for name in names if (absent := missing(name))}
    report["seconds"] = {}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                contextlib.closing(Worker(name, options.cores, [], resolve("minilm")))
            )
            for name in names
            if name not in report["skipped"]
        ]
        for length in LENGTHS:
            seconds: dict[str, list[float]] = {worker.name: [] for worker in workers}
            for number in range(options.blocks):
                first = number % len(workers)
                for worker in [*workers[first:], *workers[:first]]:
                    times = worker.latencies(length, options.calls + WARM_UP)
                    seconds[worker.name] += times[WARM_UP:]
            report["seconds"][str(length)] = seconds
            print_table(length, seconds)
    for name, absent in report["skipped"].items():
        print(f"skipped: {name}, which needs {', '.join(absent)}")
    record.write(report, options.output, "latency")


def print_table(length: int, seconds: dict[str, list[float]]) -> None:
    """Print medians and quartiles in milliseconds, and ratios to ONNX Runtime."""
    print(f"\none sequence of {length} tokens, {len(next(iter(seconds.values())))} calls each")
    print(f"{'ms':34}{'median':>10}{'quartiles':>20}{'99 %':>10}{'x ONNX Runtime':>16}")
    for name, times in seconds.items():
        low, median, high, percentile_99 = (
            1e3 * np.quantile(times, q) for q in (0.25, 0.5, 0.75, 0.99)
        )
        peer: Any = seconds.get(THEIRS[PEERS[name].precision])
        ratio = f"{median / (1e3 * np.median(peer)):.2f}" if peer else "-"
        quartiles = f"{low:.2f} to {high:.2f}"
        print(f"{name:34}{median:10.2f}{quartiles:>20}{percentile_99:10.2f}{ratio:>16}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    others = [n for n in PEERS if n not in (*OURS.values(), *THEIRS.values())]
    parser.add_argument(
        "--also", nargs="+", choices=others, default=[], help="additional contenders"
    )
    parser.add_argument("--blocks", type=int, help="blocks of calls per contender (20)")
    parser.add_argument("--calls", type=int, help="measured calls per block (100)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads per contender (2)")
    parser.add_argument("--quick", action="store_true", help="few calls")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.blocks = options.blocks or (3 if options.quick else 20)
    options.calls = options.calls or (20 if options.quick else 100)
    return options


if __name__ == "__main__":
    main()
