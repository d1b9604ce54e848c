"""Which peptides kill microbes: amino acids as symbols, learned from nothing.

2,600 antimicrobial peptides and 2,600 others of UniProt, as modlAMP ships them (Müller et al. 2017,
"modlAMP: Python for antimicrobial peptides"). A sequence that is there more than once is kept once,
and not at all where its classes contradict each other; then a fifth is held out to report on. On
the rest learn

- a fresh encoder, trained as `bothways train classify train.csv --alphabet protein` does it;
- logistic regression and a forest of trees on composition: the share of each amino acid, and the
  length, which alone tells much, as no other peptide here has more than 50.

    python examples/peptides_amp.py

Relatives of a test peptide may be among those to learn from, as in most published figures on such
sets: they say how well peptides like the known ones are told apart, not wholly new ones.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, matthews_corrcoef, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bothways
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from fetching import python_package
from outcome import circumstances, use_cores, write

WHEEL = "modlamp==4.3.3"
FILE = "modlamp/data/AMPvsUniProt.csv"
CLASSES = ("other", "antimicrobial")
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
SEED = 0
MODEL: dict[str, Any] = {"alphabet": "protein", "size": "tiny"}
TRAINING: dict[str, Any] = {
    "epochs": 20, "learning_rate": 1e-3, "batch_tokens": 1024, "seed": SEED
}  # fmt: skip


class Peptides(NamedTuple):
    """Sequences of amino acids, and the class of each: 1 for antimicrobial."""

    sequences: list[str]
    classes: np.ndarray


def read_peptides(path: Path) -> Peptides:
    """The sequences of one class only, each once, in the order of the file."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    found: dict[str, set[int]] = {}
    for line in lines:
        sequence, _, label = line.partition(",")
        if label.strip():
            found.setdefault(sequence.strip(), set()).add(int(label))
    certain = {sequence: labels for sequence, labels in found.items() if len(labels) == 1}
    return Peptides(list(certain), np.array([min(labels) for labels in certain.values()]))


def halves(peptides: Peptides) -> tuple[Peptides, Peptides]:
    """Four fifths to learn from, a fifth to report on, as many of each class."""
    split = train_test_split(
        peptides.sequences, peptides.classes, test_size=0.2, stratify=peptides.classes,
        random_state=SEED,
    )  # fmt: skip
    return Peptides(split[0], split[2]), Peptides(split[1], split[3])


def composition(sequences: Sequence[str]) -> np.ndarray:
    """The share of each amino acid, and the length, (n, 21)."""
    counts = np.array([[s.count(letter) for letter in AMINO_ACIDS] for s in sequences], float)
    lengths = np.array([[len(s)] for s in sequences])
    return np.hstack([counts / lengths, np.log(lengths)])


def encoder(learned: Peptides, test: Peptides, training: dict[str, Any]) -> np.ndarray:
    """The probability of being antimicrobial, by an encoder."""
    with tempfile.TemporaryDirectory() as scratch:
        data, out = Path(scratch) / "train.csv", Path(scratch) / "peptides"
        with data.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["peptide", "class"])
            names = [CLASSES[label] for label in learned.classes]
            writer.writerows(zip(learned.sequences, names, strict=True))
        tables = {"model": MODEL, "training": training}
        train(TrainingPlan.from_tables("classify", [str(data)], str(out), tables), tell=print)
        found = bothways.load(out).classify(test.sequences)
        return found.probabilities[:, found.names.index(CLASSES[1])]


def scores(test: Peptides, probability: np.ndarray) -> dict[str, float]:
    """How well classes are told apart, at even odds and at any."""
    predicted = probability > 0.5
    return {
        "accuracy": float(accuracy_score(test.classes, predicted)),
        "matthews": float(matthews_corrcoef(test.classes, predicted)),
        "roc_auc": float(roc_auc_score(test.classes, probability)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sliver of it, to see that it runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args(arguments)
    report = circumstances()
    use_cores(2)
    learned, test = halves(read_peptides(python_package(WHEEL) / FILE))
    training = TRAINING | ({"max_steps": 4} if options.quick else {})
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    forest = RandomForestClassifier(n_estimators=500, random_state=SEED)
    figures: dict[str, dict[str, Any]] = {}
    started = time.process_time()
    for name, baseline in {"logistic regression": linear, "forest": forest}.items():
        baseline.fit(composition(learned.sequences), learned.classes)
        probability = baseline.predict_proba(composition(test.sequences))[:, 1]
        figures[f"{name} on composition"] = scores(test, probability)
        figures[f"{name} on composition"]["cpu_seconds"] = time.process_time() - started
        started = time.process_time()
    figures["encoder"] = scores(test, encoder(learned, test, training))
    figures["encoder"]["cpu_seconds"] = time.process_time() - started
    print(f"\n{'':36}{'accuracy':>10}{'Matthews':>10}{'ROC area':>10}{'CPU seconds':>13}")
    for name, row in figures.items():
        print(
            f"{name:36}{row['accuracy']:10.2%}{row['matthews']:10.3f}{row['roc_auc']:10.3f}"
            f"{row['cpu_seconds']:13.0f}"
        )
    data = {"train": len(learned.sequences), "test": len(test.sequences)}
    details = {"data": data, "model": MODEL, "training": training}
    write(report | details | {"figures": figures}, options.output, "peptides_amp")


if __name__ == "__main__":
    main()
