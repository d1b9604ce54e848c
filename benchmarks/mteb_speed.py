"""Seconds of one MTEB task with bothways and with sentence-transformers, on the same model.

Claim: `mteb.evaluate` takes less time with `bothways.integrations.mteb` than with
sentence-transformers, and gives the same scores to 1e-4. The task compares pairs of paragraphs
(`corpus.py`) by cosine, with a made-up score for each, so that the time is that of encoding and of
what MTEB adds. Rounds are interleaved; the first of each contender is not counted; medians are
reported. Not part of benchmarks/requirements.txt, as MTEB's dependencies are many:

    pip install '.[mteb]' -r benchmarks/requirements.txt
    python benchmarks/mteb_speed.py
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import mteb
from datasets import Dataset, DatasetDict
from mteb.mocks.mock_tasks import MockSTSTask
from sentence_transformers import SentenceTransformer

import corpus
import record
from bothways.checkpoints import resolve
from bothways.integrations.mteb import BothwaysModel

BASELINE = "sentence-transformers"


class ParagraphPairs(MockSTSTask):  # type: ignore[misc]
    """Pairs of paragraphs with scores from 0 to 1.

    texts: an even number of them; the first half is compared with the second.
    """

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        half = len(texts) // 2
        columns = {
            "sentence1": texts[:half],
            "sentence2": texts[half : 2 * half],
            "score": [i / half for i in range(half)],
        }
        self.dataset, self.data_loaded = DatasetDict(test=Dataset.from_dict(columns)), True


def main() -> None:
    """Evaluate in turn, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run((*record.DISTRIBUTIONS, "mteb"))
    folder = resolve("minilm")
    texts = corpus.sample_paragraphs(options.pairs * 2)
    models = {
        "bothways": BothwaysModel(folder, backend="native", threads=options.cores),
        BASELINE: SentenceTransformer(str(folder), device="cpu"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    scores = {}
    for number in range(options.rounds + 1):
        for name, model in models.items():
            start = time.perf_counter()
            scores[name] = _score(model, texts)
            if number:
                seconds[name].append(time.perf_counter() - start)
    report |= {"pairs": options.pairs, "seconds": seconds, "cosine_spearman": scores}
    for name, rounds in seconds.items():
        print(f"{name:24}{statistics.median(rounds):8.2f} s   {scores[name]:.6f}")
    record.write(report, options.output, "mteb_speed")


def _score(model: Any, texts: list[str]) -> float:
    result = mteb.evaluate(model, ParagraphPairs(texts), cache=None, show_progress_bar=False)
    return float(result[0].scores["test"][0]["cosine_spearman"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=2000, help="pairs of paragraphs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, help="the file of results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
