"""Milliseconds to encode one sequence of `minilm`, in process: bothways against ONNX Runtime.

The claim: a single sequence of 16 or 128 tokens takes bothways less time than ONNX Runtime with its
fused graph, fp32 against fp32 and int8 against int8. Ids go in and a unit vector in NumPy comes
out; the ids are random words, for their meaning takes no time. Each contender has a process of its
own and as many threads as cores; blocks of calls are interleaved, the calls of a block follow each
other at once, the first of each block are left out, and the median of all the others counts.

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
    """Run the blocks, print a table and write the figures."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.circumstances()
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
            found: dict[str, list[float]] = {worker.name: [] for worker in workers}
            for number in range(options.blocks):
                first = number % len(workers)
                for worker in [*workers[first:], *workers[:first]]:
                    times = worker.latencies(length, options.calls + WARM_UP)
                    found[worker.name] += times[WARM_UP:]
            report["seconds"][str(length)] = found
            print_table(length, found)
    for name, absent in report["skipped"].items():
        print(f"skipped: {name}, for want of {', '.join(absent)}")
    record.write(report, options.output, "latency")


def print_table(length: int, seconds: dict[str, list[float]]) -> None:
    """Medians and quartiles in milliseconds, and each as a multiple of ONNX Runtime's."""
    print(f"\none sequence of {length} tokens, {len(next(iter(seconds.values())))} calls each")
    print(f"{'ms':34}{'median':>10}{'quartiles':>20}{'99 %':>10}{'x ONNX Runtime':>16}")
    for name, times in seconds.items():
        low, median, high, rare = (1e3 * np.quantile(times, q) for q in (0.25, 0.5, 0.75, 0.99))
        rival: Any = seconds.get(THEIRS[PEERS[name].precision])
        ratio = f"{median / (1e3 * np.median(rival)):.2f}" if rival else "-"
        between = f"{low:.2f} to {high:.2f}"
        print(f"{name:34}{median:10.2f}{between:>20}{rare:10.2f}{ratio:>16}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    others = [n for n in PEERS if n not in (*OURS.values(), *THEIRS.values())]
    parser.add_argument("--also", nargs="+", choices=others, default=[], help="more contenders")
    parser.add_argument("--blocks", type=int, help="blocks of calls of each (20)")
    parser.add_argument("--calls", type=int, help="calls of a block that count (100)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads of each (2)")
    parser.add_argument("--quick", action="store_true", help="few calls")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    options.blocks = options.blocks or (3 if options.quick else 20)
    options.calls = options.calls or (20 if options.quick else 100)
    return options


if __name__ == "__main__":
    main()
