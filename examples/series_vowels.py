"""Identify the speaker of a Japanese vowel from a series, with a model trained from scratch.

Nine men repeatedly said "ae"; each utterance is a series of 7 to 29 positions with twelve
coefficients (Kudo, Toyama and Shimbo 1999, "Multidimensional curve classification using
passing-through regions"). The training data has 270 utterances, and the test data has 370, recorded
later. Two models are trained:

- an encoder of series, `SequenceClassifier` of `bothways.sklearn` with its defaults, with three
  seeds;
- logistic regression on the mean, standard deviation, first and last value of each coefficient,
  with its regularization selected by cross-validation.

    python examples/series_vowels.py
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from bothways.sklearn import SequenceClassifier
from fetching import python_package
from recording import describe_run, use_cores, write

WHEEL = "aeon==1.6.0"
FOLDER = "aeon/datasets/data/JapaneseVowels"
SEEDS = (0, 1, 2)


class Utterances(NamedTuple):
    """Series (length, 12) and their speakers."""

    series: list[np.ndarray]
    speakers: list[str]


def read_utterances(path: Path) -> Utterances:
    """Read a .ts file: each line has the channels and then the class, separated by `:`."""
    utterances = Utterances([], [])
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, speaker = line.split(":")
            values = [[float(value) for value in channel.split(",")] for channel in channels]
            utterances.series.append(np.array(values).T)
            utterances.speakers.append(speaker)
    return utterances


def summaries(series: Sequence[np.ndarray]) -> np.ndarray:
    """Mean, standard deviation, first and last value of each channel, (n, 48)."""
    return np.array([np.concatenate([s.mean(0), s.std(0), s[0], s[-1]]) for s in series])


def encoder_accuracies(parts: Sequence[Utterances], epochs: float | None) -> list[float]:
    """Train an encoder from each seed; return their accuracies on the test data."""
    training_data, test = parts
    classifiers = (SequenceClassifier(epochs=epochs, random_state=seed) for seed in SEEDS)
    return [classifier.fit(*training_data).score(*test) for classifier in classifiers]


def baseline_accuracies(parts: Sequence[Utterances]) -> list[float]:
    """Fit logistic regression on the summaries; return its accuracy on the test data."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    pipeline = make_pipeline(FunctionTransformer(summaries), linear)
    grid = {"pipeline__logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    search = GridSearchCV(pipeline, grid, cv=5).fit(*parts[0])
    return [float(search.score(*parts[1]))]


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
    parts = [read_utterances(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    runs: dict[str, Callable[[], list[float]]] = {
        "logistic regression on summaries": lambda: baseline_accuracies(parts),
        "encoder of series": lambda: encoder_accuracies(parts, 1 if options.quick else None),
    }
    figures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        started = time.process_time()
        accuracies = run()
        figures[name] = {
            "accuracy": sum(accuracies) / len(accuracies),
            "accuracies": accuracies,
            "cpu_seconds": time.process_time() - started,
        }
    print(f"\n{'':34}{'accuracy':>10}{'CPU seconds':>13}")
    for name, row in figures.items():
        each = ", ".join(f"{accuracy:.2%}" for accuracy in row["accuracies"])
        print(f"{name:34}{row['accuracy']:10.2%}{row['cpu_seconds']:13.0f}   {each}")
    data = {"train": len(parts[0].series), "test": len(parts[1].series)}
    write(report | {"data": data, "figures": figures}, options.output, "series_vowels")


if __name__ == "__main__":
    main()
