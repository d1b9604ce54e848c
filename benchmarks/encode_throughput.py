"""Throughput of `minilm` in tokens per second: bothways compared with other libraries.

Claim: on an ordinary CPU, bothways is the fastest in fp32 and in int8, and sentence-transformers is
the slowest. The text is English prose from docstrings (benchmarks/corpus.py): `short` texts of at
most 16 tokens, `mixed` texts of all lengths, and `long` texts of 512 tokens.

Each contender runs in its own process, with the same cores and the same number of threads. It sorts
sequences by length and pads each batch to its longest sequence (bothways does not pad). Its best
setting is determined first, for each kind of text, on a part of the texts: the tokens per batch,
and whether all threads share a batch or each takes one. Two contenders use their defaults:
sentence-transformers with batches of 32, and bothways. The input is ids and the output is unit
vectors in NumPy; `from text` includes tokenization, by the same library for all. Rounds are
interleaved, so that other load on the machine affects all contenders alike; medians are reported.
The vectors are compared with those of sentence-transformers: `worst` and `mean` are cosines.
fastembed tokenizes itself and is measured from text alone.

With `--isa avx2`, all contenders that can be told so use AVX2 without VNNI, as on a processor that
has no more: bothways (BOTHWAYS_ISA), CTranslate2 and OpenVINO (oneDNN), and torch (oneDNN, MKL).
ONNX Runtime, and fastembed on it, cannot be: they use all that the processor has.

The fraction of the peak is the operations of the matrix products, without padding, divided by the
peak of the machine's multiply-add (fp32) or dot product (int8) instruction (benchmarks/peaks.py).

    pip install . -r benchmarks/requirements.txt
    python benchmarks/encode_throughput.py
    python benchmarks/encode_throughput.py --isa avx2
    python benchmarks/encode_throughput.py --quick --peers 'bothways*' 'ONNX*' --texts mixed
"""

import argparse
import contextlib
import fnmatch
import os
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
from peers.process import PeerFailed, Worker

REFERENCE = "sentence-transformers"
WORKLOADS = ("short", "mixed", "long")
FORCED = {
    "avx2": {
        "BOTHWAYS_ISA": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "DNNL_MAX_CPU_ISA": "AVX2",
        "CT2_FORCE_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
}
"""Environment that limits libraries to an instruction set."""

TUNING_STRIDE = 4  # settings are tuned on every fourth text


def main() -> None:
    """Run the rounds, print a table for each kind of text, and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
    report["forced"] = FORCED.get(options.isa, {})
    os.environ |= report["forced"]
    model = resolve("minilm")
    config = read_folder(model).transformer
    workloads = [make_workload(name, options.tokens, model) for name in options.texts]
    report["peaks"] = peaks(options.cores)
    report["docstrings_of"] = PACKAGES
    report["skipped"] = {
        name: f"needs {', '.join(absent)}" for name in options.peers if (absent := missing(name))
    }
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
            for name, failure in failures(workers, workload).items():
                report["skipped"][name] = failure
                workers.pop(name)
            measured = measure(workers, workload, rounds=options.rounds, tune=not options.quick)
            measured["operations"] = operations(config, workload.num_tokens)
            report["texts"][workload.name] = measured
            print_table(workload.name, measured, report["peaks"])
    for name, reason in report["skipped"].items():
        print(f"skipped: {name}: {reason}")
    suffix = f"_{options.isa}" if options.isa else ""
    record.write(report, options.output, f"encode_throughput{suffix}")


def failures(workers: dict[str, Worker], workload: Workload) -> dict[str, str]:
    """Contenders that cannot encode, as some libraries limited to AVX2, and the last line why."""
    failed = {}
    for name, worker in workers.items():
        try:
            worker.vectors(workload.name, worker.settings[0])
        except PeerFailed as error:
            failed[name] = str(error).strip().splitlines()[-1]
    return failed


def measure(
    workers: dict[str, Worker], workload: Workload, *, rounds: int, tune: bool
) -> dict[str, Any]:
    """Settings, seconds per round and cosines of each contender on one kind of text."""
    best = {name: best_setting(w, workload, tune=tune) for name, w in workers.items()}
    vectors = {name: w.vectors(workload.name, best[name][0]) for name, w in workers.items()}
    names = list(workers)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    from_text: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in _rotated(names, number):
            if PEERS[name].reads_ids:
                seconds[name].append(workers[name].seconds(workload.name, best[name][0]))
        for name in _rotated(names, number):
            from_text[name].append(workers[name].seconds_from_text(workload.name, best[name][0]))
    lengths = workload.num_tokens
    return {
        "sequences": len(lengths),
        "tokens": int(lengths.sum()),
        "mean_length": float(lengths.mean()),
        "longest": int(lengths.max()),
        "contenders": {
            name: {
                "precision": PEERS[name].precision,
                "setting": str(best[name][0]),
                "tried": best[name][1],
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
    """The fastest setting of a worker, and the seconds of each setting, the better of two runs."""
    if not tune or len(worker.settings) == 1:
        return worker.settings[0], {}
    tried = {
        setting: min(worker.seconds(workload.name, setting, stride=TUNING_STRIDE) for _ in range(2))
        for setting in worker.settings
    }
    return min(tried, key=lambda setting: tried[setting]), {str(s): t for s, t in tried.items()}


def print_table(name: str, measured: dict[str, Any], peak: dict[str, Any] | None) -> None:
    """Print tokens per second, ratios between contenders, and fractions of the peak."""
    print(
        f"\n{name}: {measured['sequences']} texts, {measured['tokens']} tokens "
        f"(mean {measured['mean_length']:.1f}, longest {measured['longest']})"
    )
    headings = (
        "tokens/s", "spread", "x default", "x best", "of peak", "from text", "x default",
        "x best", "worst", "mean",
    )  # fmt: skip
    print(f"{'':34}" + "".join(f"{heading:>10}" for heading in headings) + "  batches")
    contenders = measured["contenders"]
    rate = {c: _rate(measured, f["seconds"]) for c, f in contenders.items()}
    rate_of_text = {c: _rate(measured, f["seconds_from_text"]) for c, f in contenders.items()}
    for contender, figures in contenders.items():
        precision, seconds = figures["precision"], figures["seconds"]
        peers = [
            c
            for c, f in contenders.items()
            if not c.startswith("bothways") and f["precision"] == precision
        ]
        of_peak = measured["operations"] / statistics.median(seconds) if seconds else 0
        cells = (
            f"{rate[contender]:.0f}" if seconds else "-",
            f"{max(seconds) / min(seconds) - 1:.0%}" if seconds else "-",
            _ratio(rate[contender], rate.get(REFERENCE)),
            _ratio(rate[contender], max((rate[c] for c in peers), default=None)),
            f"{of_peak / peak[precision]:.0%}" if peak and of_peak else "-",
            f"{rate_of_text[contender]:.0f}",
            _ratio(rate_of_text[contender], rate_of_text.get(REFERENCE)),
            _ratio(rate_of_text[contender], max((rate_of_text[c] for c in peers), default=None)),
            _format_cosine(figures["worst_cosine"]),
            _format_cosine(figures["mean_cosine"]),
        )
        print(
            f"{contender:34}" + "".join(f"{cell:>10}" for cell in cells) + f"  {figures['setting']}"
        )


def _rate(measured: dict[str, Any], seconds: list[float]) -> float:
    """Tokens per second; 0 without measurements."""
    return float(measured["tokens"] / statistics.median(seconds)) if seconds else 0.0


def _ratio(rate: float, other: float | None) -> str:
    return f"{rate / other:.2f}" if rate and other else "-"


def _cosines(vectors: np.ndarray, reference: np.ndarray | None) -> dict[str, float | None]:
    if reference is None:
        return {"worst_cosine": None, "mean_cosine": None}
    cosines = (vectors.astype(np.float64) * reference).sum(axis=1)
    return {"worst_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}


def _format_cosine(cosine: float | None) -> str:
    return "-" if cosine is None else f"{cosine:.5f}"


def _rotated(names: Sequence[str], by: int) -> list[str]:
    """The names, rotated, so that no contender is always the first."""
    by %= len(names)
    return [*names[by:], *names[:by]]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", nargs="+", default=["*"], help="names or patterns of contenders")
    parser.add_argument("--texts", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--tokens", type=int, help="tokens of each kind of text (24000)")
    parser.add_argument("--rounds", type=int, help="measured rounds (7)")
    parser.add_argument("--isa", choices=tuple(FORCED), help="limit to this instruction set")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads per contender (2)")
    parser.add_argument("--quick", action="store_true", help="few texts, no tuning")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.tokens = options.tokens or (2000 if options.quick else 24000)
    options.rounds = options.rounds or (2 if options.quick else 7)
    options.peers = [n for n in PEERS if any(fnmatch.fnmatch(n, p) for p in options.peers)]
    if not options.peers:
        parser.error(f"--peers: expected some of {', '.join(PEERS)}")
    return options


if __name__ == "__main__":
    main()
