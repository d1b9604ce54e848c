"""Throughput of the torch backend on a CPU, compared with sentence-transformers.

Claim: bothways is 1.7 times as fast. The benchmark measures `minilm` in fp32, from text to unit
vectors: `Encoder.encode` with the torch backend and with the native engine, and
`SentenceTransformer.encode` with its defaults and with batches of 128. All run in one process on
the same cores, with their own tokenization. Rounds are interleaved, so that other load on the
machine affects all contenders alike; medians are reported. The text is prose of mixed lengths from
docstrings (benchmarks/corpus.py), truncated at 256 tokens.

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
    """Run the rounds, print a table and write the results."""
    options = _arguments()
    record.use_cores(2)
    os.environ["HF_HUB_OFFLINE"] = "1"  # the model comes from a wheel
    texts = sample_paragraphs(options.texts)
    contenders, num_tokens = make_contenders(texts)
    vectors = {name: encode(texts) for name, encode in contenders.items()}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        names = list(contenders)
        by = number % len(names)
        for name in names[by:] + names[:by]:  # no contender is always the first
            start = time.perf_counter()
            contenders[name](texts)
            seconds[name].append(time.perf_counter() - start)
    rates = {name: int(num_tokens.sum()) / statistics.median(s) for name, s in seconds.items()}
    best = max(rates[name] for name in THEIRS)
    print(f"{len(texts)} texts, {num_tokens.sum()} tokens, {num_tokens.mean():.1f} on average")
    for name, rate in rates.items():
        difference = float(np.abs(vectors[name] - vectors[THEIRS[0]]).max())
        print(f"{name:40}{rate:9,.0f} tokens/s{rate / best:7.2f} x{difference:10.1e}")
    report = record.describe_run() | {
        "text": {"sequences": len(texts), "tokens": int(num_tokens.sum())},
        "seconds": seconds,
        "tokens_per_second": rates,
        "ratio_to_the_best_of_theirs": {name: rate / best for name, rate in rates.items()},
    }
    record.write(report, options.output, "torch_throughput")


def make_contenders(texts: list[str]) -> tuple[dict[str, Contender], np.ndarray]:
    """The contenders by name; and the number of tokens of each text, with special tokens, (n,)."""
    import torch
    from sentence_transformers import SentenceTransformer

    import bothways

    torch.set_num_threads(2)
    with_torch = bothways.load("minilm", backend="torch")
    with_engine = bothways.load("minilm", backend="native")
    peer = SentenceTransformer(str(with_torch.path), device="cpu")
    contenders: dict[str, Contender] = {
        "bothways, torch": lambda texts: with_torch.encode_detailed(texts).vectors,
        "bothways, native": lambda texts: with_engine.encode_detailed(texts).vectors,
        THEIRS[0]: lambda texts: peer.encode(texts),
        THEIRS[1]: lambda texts: peer.encode(texts, batch_size=128),
    }
    return contenders, with_torch.encode_detailed(texts).num_tokens


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, default=500, help="number of paragraphs")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
