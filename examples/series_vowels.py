"""Who is speaking: Japanese vowels as series of twelve numbers, learned from nothing.

Nine men said "ae" again and again; each utterance is a series of 7 to 29 positions of twelve
coefficients (Kudo, Toyama and Shimbo 1999, "Multidimensional curve classification using
passing-through regions"). 270 utterances are there to learn from and 370 to report on, recorded
later. On both learn

- an encoder of series, which is `SequenceClassifier` of `bothways.sklearn` as it comes, from three
  seeds;
- logistic regression on each coefficient's mean, deviation, first and last value, its strength
  chosen by cross-validation.

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
from outcome import circumstances, use_cores, write

WHEEL = "aeon==1.6.0"
FOLDER = "aeon/datasets/data/JapaneseVowels"
SEEDS = (0, 1, 2)


class Utterances(NamedTuple):
    """Series (length, 12), and the speaker of each."""

    series: list[np.ndarray]
    speakers: list[str]


def read_utterances(path: Path) -> Utterances:
    """The cases of a .ts file: the values of each channel, `:` between channels, the class last."""
    utterances = Utterances([], [])
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, speaker = line.split(":")
            values = [[float(value) for value in channel.split(",")] for channel in channels]
            utterances.series.append(np.array(values).T)
            utterances.speakers.append(speaker)
    return utterances


def summaries(series: Sequence[np.ndarray]) -> np.ndarray:
    """Four numbers for each channel of each series, (n, 48)."""
    return np.array([np.concatenate([s.mean(0), s.std(0), s[0], s[-1]]) for s in series])


def accuracies(parts: Sequence[Utterances], epochs: float | None) -> list[float]:
    """The shares of test utterances whose speaker the encoders tell, one for each seed."""
    learned, test = parts
    classifiers = (SequenceClassifier(epochs=epochs, random_state=seed) for seed in SEEDS)
    return [classifier.fit(*learned).score(*test) for classifier in classifiers]


def baseline(parts: Sequence[Utterances]) -> list[float]:
    """That of logistic regression on summaries."""
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    pipeline = make_pipeline(FunctionTransformer(summaries), linear)
    strengths = {"pipeline__logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
    search = GridSearchCV(pipeline, strengths, cv=5).fit(*parts[0])
    return [float(search.score(*parts[1]))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sliver of it, to see that it runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args(arguments)
    report = circumstances()
    use_cores(2)
    folder = python_package(WHEEL) / FOLDER
    parts = [read_utterances(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    runs: dict[str, Callable[[], list[float]]] = {
        "logistic regression on summaries": lambda: baseline(parts),
        "encoder of series": lambda: accuracies(parts, 1 if options.quick else None),
    }
    figures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        started = time.process_time()
        found = run()
        figures[name] = {
            "accuracy": sum(found) / len(found),
            "accuracies": found,
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
