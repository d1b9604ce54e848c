"""Latency of encoding one sequence with `minilm`: bothways compared with ONNX Runtime.

Claims: bothways encodes a single sequence of 16 or 128 tokens in less time than ONNX Runtime with
its fused graph, in fp32 and in int8; and `encode` of one short text takes at most 60 us more than
the engine takes for its ids.

Blocks of calls are interleaved, the calls of a block follow each other without pause, the first
calls of each block are discarded, and the median of the others is reported.

Contenders get ids and return a unit vector in NumPy; the ids are random, because they do not affect
the time. Each contender runs in its own process, with one thread per core.

The time outside the engine is the difference between `encode` and the backend's `pool` with the
same ids. It depends on the caches: the weights that the engine reads may evict the code and data of
Python. It is therefore shown beside `encode` with a backend that only returns a vector.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/latency.py
    python benchmarks/latency.py --quick
    python benchmarks/latency.py --outside-engine
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

import record
from bothways import Encoder
from bothways.checkpoints import open_reader, read_folder, resolve
from bothways.inference import runner
from bothways.inference.backends import Backend, Precision, create_backend
from bothways.inference.options import RunOptions
from bothways.inference.session import Session
from bothways.model.packing import PackedBatch
from corpus import tokenizer
from peers import PEERS, missing
from peers.process import Worker

OURS = {"fp32": "bothways fp32", "int8": "bothways int8"}
THEIRS = {"fp32": "ONNX Runtime fp32", "int8": "ONNX Runtime int8"}
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
LENGTHS = (16, 128)
TEXT = "The cat sat on the mat and looked at the moon."
WARM_UP = 10


def main() -> None:
    """Run the blocks, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    names = [*OURS.values(), *THEIRS.values(), *options.also]
    report["seconds_with_text"] = {
        precision: time_text(precision, options) for precision in PRECISIONS
    }
    print_outside_engine(report["seconds_with_text"])
    if not options.outside_engine:
        compare(names, options, report)
    record.write(report, options.output, "latency")


def compare(names: list[str], options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Measure each contender with ids, print tables, and add the results to the report."""
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


class VectorBackend:
    """A backend that returns the same vector for each sequence, without computing anything."""

    def __init__(self, backend: Backend) -> None:
        self.name, self.device, self.precision = backend.name, backend.device, backend.precision
        self.config = backend.config
        self._vector = np.ones((1, self.config.d_model), np.float32)

    def pool(self, batch: PackedBatch, modes: Sequence[str], *, skip: int = 0) -> np.ndarray:
        """See `Backend.pool`."""
        return self._vector


def time_text(precision: Precision, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of calls with one short text, by what is called."""
    folder = resolve("minilm")
    bundle = read_folder(folder)
    backend = create_backend(
        "native", bundle.config, bundle.weights, precision=precision, threads=options.cores
    )
    session = Session(bundle, open_reader(bundle), backend)
    encoder = Encoder(session)
    without_engine = Encoder(Session(bundle, session.reader, cast(Backend, VectorBackend(backend))))
    batch = runner.pack(session.prepare([TEXT], RunOptions()))
    modes = session.spec.pooling.modes
    library = tokenizer(folder, encoder.max_length)
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: encoder.encode(TEXT),
        "engine": lambda: backend.pool(batch, modes),
        "encode without the engine": lambda: without_engine.encode(TEXT),
        "tokenizer": lambda: library.encode_batch_fast([TEXT]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.blocks):
        for name, call in calls.items():
            seconds[name] += _times(call, options.calls + WARM_UP)[WARM_UP:]
    return seconds


def _times(call: Callable[[], object], number: int) -> list[float]:
    times = []
    for _ in range(number):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def print_outside_engine(seconds: dict[str, dict[str, list[float]]]) -> None:
    """Print the medians of each precision, and the time outside the engine, in microseconds."""
    columns = [*seconds["fp32"], "outside the engine"]
    print(f"one text, us  {'  '.join(columns)}")
    for precision, by_call in seconds.items():
        median = {name: 1e6 * float(np.median(times)) for name, times in by_call.items()}
        median["outside the engine"] = median["encode"] - median["engine"]
        print(f"{precision:12}  {'  '.join(f'{median[c]:{len(c)}.1f}' for c in columns)}")


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
    parser.add_argument(
        "--outside-engine", action="store_true", help="measure no contender, only one text"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.blocks = options.blocks or (3 if options.quick else 20)
    options.calls = options.calls or (20 if options.quick else 100)
    return options


if __name__ == "__main__":
    main()
