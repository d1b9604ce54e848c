"""Throughput of jobs of `minilm`: `bothways encode -o folder/` beside encoding in memory and peers.

Claims: a job encodes at least 97 % of the rows per second of `Encoder.encode` in memory, planning
takes at most 2 % of its time, and its peak memory is within the limit given; it encodes at least
2.5 times as many rows per second in fp32, and 7 times in int8, as the multi-process pool of
sentence-transformers. The last depends on the instruction set, which the results state.

The rows are short real texts: the first half of a paragraph of docstrings (benchmarks/corpus.py)
with the second half of another, no two of them equal, because a job encodes equal texts once. A
job reads them from a .txt file and writes parts with ids, texts and vectors, flushed to disk. The
pool has one process with one thread per core; `datasets.map`, measured where `datasets` is
installed, encodes with sentence-transformers with all threads, and writes an Arrow file.

Every measurement is a process of its own, which loads its model before the clock starts. Rounds are
interleaved, and alternate between the job and memory as the first of the two; medians are reported,
and the median of the ratios within rounds. fp32 has a quarter of the rows, peers have an eighth.

    pip install '.[parquet]' -r benchmarks/requirements.txt
    python benchmarks/jobs.py
    python benchmarks/jobs.py --rows 24000 --rounds 3  # a few minutes
    python benchmarks/jobs.py --quick
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import record
from bothways.checkpoints import resolve
from corpus import PACKAGES, make_workload
from memory import LIMIT_BYTES, peak_of
from peers.bulk import CONTENDERS, OURS, missing

POOL = "sentence-transformers pool"
DIVISORS = {"bothways int8": 1, "bothways fp32": 4, POOL: 8, "datasets.map": 8}
"""What the number of rows is divided by."""

ALL_TOKENS = 1 << 40
OF_MEMORY, OF_PLANNING = 0.97, 0.02
WANTED = {"bothways fp32": 2.5, "bothways int8": 7.0}
"""Times the rate of the pool."""


def main() -> None:
    """Measure all contenders, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run((*record.DISTRIBUTIONS, "datasets", "pyarrow"))
    skipped = {name: absent for name in CONTENDERS if (absent := missing(name))}
    rows = {n: max(1, options.rows // DIVISORS[n]) for n in CONTENDERS if n not in skipped}
    report |= {"docstrings_of": PACKAGES, "rows": rows, "skipped": skipped}
    report |= {"threads": options.cores, "limit_bytes": options.limit}
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        folder = Path(scratch).resolve()
        texts = folder / "texts.txt"
        lines = short_rows(options.rows)
        texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        report["rounds"] = measure(texts, rows, options)
        report["peak_bytes"] = {
            name: peak_of_job(lines[: rows[name]], OURS[name], options.limit, folder)
            for name in rows
            if name in OURS
        }
    report["figures"] = summarize(report)
    print_table(report)
    record.write(report, options.output, "jobs")


def short_rows(count: int) -> list[str]:
    """`count` different texts, each of the halves of two short paragraphs; a fixed sample."""
    words = [text.split() for text in make_workload("short", ALL_TOKENS, resolve("minilm")).texts]
    generator = random.Random(0)  # noqa: S311
    rows: dict[str, None] = {}
    while len(rows) < count:
        first, second = generator.choices(words, k=2)
        rows[" ".join(first[: len(first) // 2] + second[len(second) // 2 :])] = None
    return list(rows)


def measure(texts: Path, rows: dict[str, int], options: Any) -> dict[str, list[dict[str, Any]]]:
    """The figures of each round, by contender."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in rows}
    names = list(rows)
    for number in range(options.rounds):
        first = ("memory", "job")[number % 2]
        by = number % max(1, len(names))
        for name in [*names[by:], *names[:by]]:  # so that no contender is always the first
            arguments = [name, texts, rows[name], options.cores, first]
            done = subprocess.run(
                [sys.executable, "-m", "peers.bulk", *map(str, arguments)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parent,
            )
            rounds[name].append(json.loads(done.stdout.splitlines()[-1]))
    return rounds


def peak_of_job(lines: list[str], precision: str, limit: int, scratch: Path) -> int:
    """The peak memory, in bytes, of `bothways encode` into a folder with a limit."""
    texts = scratch / f"{precision}.txt"
    texts.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [
        sys.executable, "-m", "bothways", "encode", str(texts), "-o", f"{scratch / precision}/",
        "--precision", precision, "--backend", "native", "--max-memory", str(limit), "--quiet",
    ]  # fmt: skip
    return peak_of(command, scratch)[0]


def summarize(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Median rows per second of each contender, and ratios of the medians or within rounds."""
    figures: dict[str, dict[str, Any]] = {}
    for name, rounds in report["rounds"].items():
        rows = report["rows"][name]
        if name not in OURS:
            figures[name] = {"rows_per_second": rows / median(r["seconds"] for r in rounds)}
            continue
        figures[name] = {
            "isa": rounds[0]["isa"],
            "rows_per_second": rows / median(r["job"] for r in rounds),
            "rows_per_second_in_memory": rows / median(r["memory"] for r in rounds),
            "tokens_per_row": rounds[0]["tokens"] / rows,
            "of_memory": median(r["memory"] / r["job"] for r in rounds),
            "planning": median(r["planning"] / r["job"] for r in rounds),
        }
    for name, each in figures.items():
        for peer in figures:
            if name in OURS and peer not in OURS:
                each[f"x {peer}"] = each["rows_per_second"] / figures[peer]["rows_per_second"]
    return figures


def print_table(report: dict[str, Any]) -> None:
    """Print rows per second, ratios and peaks, beside what is claimed."""
    figures = report["figures"]
    print(f"\n{'':28}{'rows':>12}{'rows/s':>10}{'in memory':>12}")
    for name, each in figures.items():
        in_memory = each.get("rows_per_second_in_memory")
        cell = "" if in_memory is None else f"{in_memory:,.0f}"
        print(f"{name:28}{report['rows'][name]:12,}{each['rows_per_second']:10,.0f}{cell:>12}")
    for name, each in figures.items():
        if name not in OURS:
            continue
        peak, limit = report["peak_bytes"][name], report["limit_bytes"]
        print(f"{name} with {each['isa']}, {each['tokens_per_row']:.1f} tokens per row:")
        print(f"    of encoding in memory {each['of_memory']:.1%} (claim: {OF_MEMORY:.0%})")
        print(f"    planning {each['planning']:.2%} of the time (claim: {OF_PLANNING:.0%})")
        print(f"    peak memory {peak / 1e6:.0f} MB (limit: {limit / 1e6:.0f} MB)")
        for peer in figures:
            if peer not in OURS:
                claim = f" (claim: {WANTED[name]})" if peer == POOL else ""
                print(f"    {each[f'x {peer}']:.1f} times {peer}{claim}")
    for name, absent in report["skipped"].items():
        print(f"skipped: {name}, which needs {', '.join(absent)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help="rows of int8 (1,000,000)")
    parser.add_argument("--rounds", type=int, help="measured rounds (4)")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads (2)")
    parser.add_argument("--limit", type=int, default=LIMIT_BYTES, help="--max-memory in bytes")
    parser.add_argument("--quick", action="store_true", help="few rows, 2 rounds")
    parser.add_argument("--folder", help="folder for 2 GB of temporary files (the system's)")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.rows = options.rows or (2_000 if options.quick else 1_000_000)
    options.rounds = options.rounds or (2 if options.quick else 4)
    return options


if __name__ == "__main__":
    main()
