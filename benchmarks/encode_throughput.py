"""Tokens per second of `minilm` on real text: bothways with torch against sentence-transformers.

The text is English prose about mathematics and its programs: paragraphs of the docstrings of scipy,
in the version that constraints.txt pins (it comes with sentence-transformers). Every docstring of a
module, class or function is cut at blank lines, paragraphs under 10 characters and repetitions are
left out, and a sample is drawn with a fixed seed. Lengths are as prose has them: many short, a long
tail, cut by the model at 256 tokens.

All contenders run in one process, on the same cores, from text to unit vectors in NumPy, each with
its own tokenisation inside. Rounds are interleaved, so that a busy minute of the machine meets all
alike; the median of the rounds counts. Their vectors are compared too.

    python benchmarks/encode_throughput.py --cores 2 --output benchmarks/results/NAME.json
"""

import argparse
import ast
import datetime
import importlib.metadata
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

Contender = Callable[[list[str]], np.ndarray]

LIBRARIES = ("bothways", "numpy", "scipy", "sentence-transformers", "tokenizers", "torch")
BASELINES = ("sentence-transformers", "sentence-transformers, batches of 128")


def main() -> None:
    """Run the rounds, print a table and write the figures."""
    options = _arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model comes from a wheel
    texts = sample_paragraphs(options.texts)
    contenders, num_tokens = make_contenders(texts)
    vectors = {name: encode(texts) for name, encode in contenders.items()}  # and warm up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        for name in _rotated(list(contenders), number):
            start = time.perf_counter()
            contenders[name](texts)
            seconds[name].append(time.perf_counter() - start)
    report = make_report(seconds, num_tokens, vectors)
    print_report(report)
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


def sample_paragraphs(count: int) -> list[str]:
    """Paragraphs of scipy's docstrings: the same for the same version of scipy."""
    package = Path(str(importlib.metadata.distribution("scipy").locate_file("scipy")))
    found: dict[str, None] = {}
    for source in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    text = " ".join(paragraph.split())
                    if len(text) >= 10:
                        found[text] = None
    return random.Random(0).sample(list(found), count)  # noqa: S311


def make_contenders(texts: list[str]) -> tuple[dict[str, Contender], np.ndarray]:
    """Those who encode, by name; and how many tokens each text has, special tokens included."""
    import torch
    from sentence_transformers import SentenceTransformer

    import bothways
    from bothways.checkpoints import read_folder, resolve
    from bothways.nn import TorchBackend
    from bothways.packing import DEFAULT_MAX_TOKENS, PackedBatch, plan_batches
    from bothways.sequences import SequenceReader, open_reader

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    path = resolve("minilm")
    folder = read_folder(path)
    reader = cast(SequenceReader, open_reader(folder.reader_path, folder.config))
    backend = TorchBackend(folder.config, folder.weights, device="cpu")
    encoder = bothways.load("minilm", backend="torch")
    rival = SentenceTransformer(str(path), device="cpu")

    def through_the_backend(texts: list[str]) -> np.ndarray:
        ids = [_cut(tokenized.values, folder.max_length) for tokenized in reader.read(texts)]
        vectors: np.ndarray = np.empty((len(ids), folder.config.d_model), np.float32)
        for batch in plan_batches([len(i) for i in ids], DEFAULT_MAX_TOKENS):
            vectors[batch] = backend.pool(PackedBatch.of([ids[i] for i in batch]), ["mean"])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    contenders: dict[str, Contender] = {
        "bothways": lambda texts: encoder.encode_detailed(texts).vectors,
        "bothways, the backend alone": through_the_backend,
        BASELINES[0]: lambda texts: rival.encode(texts),
        BASELINES[1]: lambda texts: rival.encode(texts, batch_size=128),
    }
    return contenders, encoder.encode_detailed(texts).num_tokens


def make_report(
    seconds: dict[str, list[float]], num_tokens: np.ndarray, vectors: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Everything that a reader needs to judge the figures, and the figures."""
    total = int(num_tokens.sum())
    per_second = {name: total / statistics.median(times) for name, times in seconds.items()}
    best_baseline = max(per_second[name] for name in BASELINES)
    return {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "text": {
            "sequences": len(num_tokens),
            "tokens": total,
            "mean_length": float(num_tokens.mean()),
            "median_length": float(np.median(num_tokens)),
            "longest": int(num_tokens.max()),
        },
        "seconds": seconds,
        "tokens_per_second": per_second,
        "ratio_to_the_best_baseline": {
            name: rate / best_baseline for name, rate in per_second.items()
        },
        "largest_difference_from_the_baseline": {
            name: float(np.abs(found - vectors[BASELINES[0]]).max())
            for name, found in vectors.items()
        },
    }


def print_report(report: dict[str, Any]) -> None:
    """The table."""
    text, machine = report["text"], report["machine"]
    print(
        f"{text['sequences']} texts, {text['tokens']} tokens "
        f"(mean {text['mean_length']:.1f}, median {text['median_length']:.0f}, "
        f"longest {text['longest']}); {machine['processor']}, {machine['cores']} cores"
    )
    print(f"{'':38}{'tokens/s':>10}{'ratio':>8}{'difference':>12}")
    for name, rate in report["tokens_per_second"].items():
        ratio = report["ratio_to_the_best_baseline"][name]
        difference = report["largest_difference_from_the_baseline"][name]
        print(f"{name:38}{rate:10.0f}{ratio:8.2f}{difference:12.1e}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=2000, help="how many paragraphs")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured")
    parser.add_argument("--cores", type=int, default=2, help="cores that the process may use")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args()


def _cut(ids: np.ndarray, length: int) -> np.ndarray:
    """The first ids and the closing special token."""
    return ids if len(ids) <= length else np.append(ids[: length - 1], ids[-1])


def _rotated(names: list[str], by: int) -> list[str]:
    """The names in another order each round: none always follows the same one."""
    by %= len(names)
    return names[by:] + names[:by]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
