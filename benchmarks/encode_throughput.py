"""Tokens per second of `minilm`: bothways and its peers, side by side.

The claim: on an ordinary CPU nothing encodes faster, in fp32 or in int8, and sentence-transformers
is the slowest of all. The text is English prose from docstrings (benchmarks/corpus.py): `short`
texts of at most 16 tokens, `mixed` as they come, and `long` ones of 512.

Every contender has a process of its own, the same cores and as many threads, sorts sequences by
length, and pads each batch to its longest (bothways does without). The best setting of each is
found first, for each kind of text, on a part of it: tokens in a batch, and one batch at a time by
all threads or one by each. Two rows are as they come: sentence-transformers with its default
batches of 32, and bothways with its default. Ids go in and unit vectors in NumPy come out;
`from text` is the same with tokenization inside, by the same library for all. Rounds are
interleaved, so that a busy minute of the machine meets all alike; medians count. The vectors of
each are compared with those of sentence-transformers: `worst` and `mean` are cosines.

The fraction of the peak is that of the operations of the matrix products, without padding, of what
the machine's multiply-add (fp32) or dot product (int8) instruction could do (benchmarks/peaks.py).

    pip install . -r benchmarks/requirements.txt
    python benchmarks/encode_throughput.py
    python benchmarks/encode_throughput.py --quick --peers 'bothways*' 'ONNX*' --texts mixed
"""

import argparse
import contextlib
import fnmatch
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import record
from bothways.checkpoints import read_folder, resolve
from corpus import PACKAGES, Workload, make_workload
from peaks import operations, peaks
from peers import PEERS, missing
from peers.peer import Setting
from peers.process import Worker

REFERENCE = "sentence-transformers"
WORKLOADS = ("short", "mixed", "long")
FROM_TEXT = "mixed"
TUNED_ON = 4  # each fourth text


def main() -> None:
    """Run the rounds, print a table for each kind of text and write the figures."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.circumstances()
    model = resolve("minilm")
    config = read_folder(model).transformer
    workloads = [make_workload(name, options.tokens, model) for name in options.texts]
    report["peaks"] = peaks(options.cores)
    report["docstrings_of"] = PACKAGES
    report["skipped"] = {name: absent for name in options.peers if (absent := missing(name))}
    with contextlib.ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                contextlib.closing(Worker(name, options.cores, workloads, model))
            )
            for name in options.peers
            if name not in report["skipped"]
        }
        report["texts"] = {}
        for workload in workloads:
            measured = measure(workers, workload, rounds=options.rounds, tune=not options.quick)
            measured["operations"] = operations(config, workload.num_tokens)
            report["texts"][workload.name] = measured
            print_table(workload.name, measured, report["peaks"])
    for name, absent in report["skipped"].items():
        print(f"skipped: {name}, for want of {', '.join(absent)}")
    record.write(report, options.output, "encode_throughput")


def measure(
    workers: dict[str, Worker], workload: Workload, *, rounds: int, tune: bool
) -> dict[str, Any]:
    """Settings, seconds of each round and cosines of each contender on one kind of text."""
    chosen = {name: best_setting(w, workload, tune=tune) for name, w in workers.items()}
    vectors = {name: w.vectors(workload.name, chosen[name][0]) for name, w in workers.items()}
    names = list(workers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    from_text: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in _rotated(names, number):
            seconds[name].append(workers[name].seconds(workload.name, chosen[name][0]))
        for name in _rotated(names, number) if workload.name == FROM_TEXT else ():
            from_text[name].append(workers[name].seconds_of_text(workload.name, chosen[name][0]))
    lengths = workload.num_tokens
    return {
        "sequences": len(lengths),
        "tokens": int(lengths.sum()),
        "mean_length": float(lengths.mean()),
        "longest": int(lengths.max()),
        "contenders": {
            name: {
                "precision": PEERS[name].precision,
                "setting": str(chosen[name][0]),
                "tried": chosen[name][1],
                "seconds": seconds[name],
                "seconds_from_text": from_text[name],
                **_cosines(vectors[name], vectors.get(REFERENCE)),
            }
            for name in names
        },
    }


def best_setting(
    worker: Worker, workload: Workload, *, tune: bool
) -> tuple[Setting, dict[str, float]]:
    """The fastest of a worker's settings, and the seconds of each: the better of two tries."""
    if not tune or len(worker.settings) == 1:
        return worker.settings[0], {}
    tried = {
        setting: min(worker.seconds(workload.name, setting, share=TUNED_ON) for _ in range(2))
        for setting in worker.settings
    }
    return min(tried, key=lambda setting: tried[setting]), {str(s): t for s, t in tried.items()}


def print_table(name: str, measured: dict[str, Any], most: dict[str, Any] | None) -> None:
    """Tokens a second, their ratios, and how much of the machine that is."""
    print(
        f"\n{name}: {measured['sequences']} texts, {measured['tokens']} tokens "
        f"(mean {measured['mean_length']:.1f}, longest {measured['longest']})"
    )
    heads = (
        "tokens/s", "spread", "x default", "x best", "of peak", "from text", "x default",
        "worst", "mean",
    )  # fmt: skip
    print(f"{'':34}" + "".join(f"{head:>10}" for head in heads) + "  batches")
    contenders = measured["contenders"]
    rate = {c: _rate(measured, f["seconds"]) for c, f in contenders.items()}
    rate_of_text = {c: _rate(measured, f["seconds_from_text"]) for c, f in contenders.items()}
    for contender, figures in contenders.items():
        precision, seconds = figures["precision"], figures["seconds"]
        rivals = [
            rate[c]
            for c, f in contenders.items()
            if not c.startswith("bothways") and f["precision"] == precision
        ]
        of_peak = (
            measured["operations"] / statistics.median(seconds) / most[precision] if most else 0
        )
        text = rate_of_text[contender]
        cells = (
            f"{rate[contender]:.0f}",
            f"{max(seconds) / min(seconds) - 1:.0%}",
            _ratio(rate[contender], rate.get(REFERENCE)),
            _ratio(rate[contender], max(rivals, default=None)),
            f"{of_peak:.0%}" if most else "-",
            f"{text:.0f}" if text else "-",
            _ratio(text, rate_of_text.get(REFERENCE)),
            _written(figures["worst_cosine"]),
            _written(figures["mean_cosine"]),
        )
        print(
            f"{contender:34}" + "".join(f"{cell:>10}" for cell in cells) + f"  {figures['setting']}"
        )


def _rate(measured: dict[str, Any], seconds: list[float]) -> float:
    """Tokens a second; 0 where nothing was measured."""
    return float(measured["tokens"] / statistics.median(seconds)) if seconds else 0.0


def _ratio(rate: float, other: float | None) -> str:
    return f"{rate / other:.2f}" if rate and other else "-"


def _cosines(vectors: np.ndarray, reference: np.ndarray | None) -> dict[str, float | None]:
    if reference is None:
        return {"worst_cosine": None, "mean_cosine": None}
    cosines = (vectors.astype(np.float64) * reference).sum(axis=1)
    return {"worst_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}


def _written(cosine: float | None) -> str:
    return "-" if cosine is None else f"{cosine:.5f}"


def _rotated(names: Sequence[str], by: int) -> list[str]:
    """The names from another start each round: none is always the first."""
    by %= len(names)
    return [*names[by:], *names[:by]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", nargs="+", default=["*"], help="names or patterns of them")
    parser.add_argument("--texts", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--tokens", type=int, help="of each kind of text (24000)")
    parser.add_argument("--rounds", type=int, help="rounds that are measured (7)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads of each (2)")
    parser.add_argument("--quick", action="store_true", help="little text, nothing tuned")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    options.tokens = options.tokens or (2000 if options.quick else 24000)
    options.rounds = options.rounds or (2 if options.quick else 7)
    options.peers = [n for n in PEERS if any(fnmatch.fnmatch(n, p) for p in options.peers)]
    if not options.peers:
        parser.error(f"--peers: expected some of {', '.join(PEERS)}")
    return options


if __name__ == "__main__":
    main()
