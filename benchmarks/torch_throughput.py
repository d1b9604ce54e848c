"""Claim: with torch on a CPU, bothways encodes at 1.7 times the speed of sentence-transformers.

`minilm` in fp32, from text to unit vectors: `Encoder.encode` with the torch backend, and with the
native engine, against `SentenceTransformer.encode`, as it comes and with batches of 128. All run in
one process on the same cores, each with its own tokenization inside. Rounds are interleaved, so
that a busy minute of the machine meets all alike; the median of the rounds counts. The text is that
of `corpus`: prose from docstrings of pinned packages, of mixed lengths, cut at 256 tokens.

    python benchmarks/torch_throughput.py
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import record
from corpus import sample_paragraphs

Contender = Callable[[list[str]], np.ndarray]

THEIRS = ("sentence-transformers", "sentence-transformers, batches of 128")


def main() -> None:
    """Run the rounds, print a table and write the figures."""
    options = _arguments()
    record.use_cores(2)
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model comes from a wheel
    texts = sample_paragraphs(options.texts)
    contenders, num_tokens = make_contenders(texts)
    vectors = {name: encode(texts) for name, encode in contenders.items()}  # and warm up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        names = list(contenders)
        by = number % len(names)
        for name in names[by:] + names[:by]:  # none always follows the same one
            start = time.perf_counter()
            contenders[name](texts)
            seconds[name].append(time.perf_counter() - start)
    rates = {name: int(num_tokens.sum()) / statistics.median(s) for name, s in seconds.items()}
    best = max(rates[name] for name in THEIRS)
    print(f"{len(texts)} texts, {num_tokens.sum()} tokens, {num_tokens.mean():.1f} in the mean")
    for name, rate in rates.items():
        difference = float(np.abs(vectors[name] - vectors[THEIRS[0]]).max())
        print(f"{name:40}{rate:9,.0f} tokens/s{rate / best:7.2f} x{difference:10.1e}")
    report = record.circumstances() | {
        "text": {"sequences": len(texts), "tokens": int(num_tokens.sum())},
        "seconds": seconds,
        "tokens_per_second": rates,
        "ratio_to_the_best_of_theirs": {name: rate / best for name, rate in rates.items()},
    }
    record.write(report, options.output, "torch_throughput")


def make_contenders(texts: list[str]) -> tuple[dict[str, Contender], np.ndarray]:
    """Those who encode, by name; and how many tokens each text has, special tokens included."""
    import torch
    from sentence_transformers import SentenceTransformer

    import bothways

    torch.set_num_threads(2)
    by_torch = bothways.load("minilm", backend="torch")
    by_engine = bothways.load("minilm", backend="native")
    rival = SentenceTransformer(str(by_torch.path), device="cpu")
    contenders: dict[str, Contender] = {
        "bothways, torch": lambda texts: by_torch.encode_detailed(texts).vectors,
        "bothways, native": lambda texts: by_engine.encode_detailed(texts).vectors,
        THEIRS[0]: lambda texts: rival.encode(texts),
        THEIRS[1]: lambda texts: rival.encode(texts, batch_size=128),
    }
    return contenders, by_torch.encode_detailed(texts).num_tokens


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=500, help="how many paragraphs")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that are measured")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
