"""Recognize antimicrobial peptides from their amino acids, with a model trained from scratch.

The data are 2,600 antimicrobial peptides and 2,600 others of UniProt, from modlAMP (Müller et al.
2017, "modlAMP: Python for antimicrobial peptides"). Repeated sequences are kept once, and sequences
with contradictory classes are dropped. A fifth is held out for testing. These models are trained on
the rest:

- a new encoder, trained like `bothways train classify train.csv --alphabet protein`;
- logistic regression and a random forest on composition: the fraction of each amino acid, and the
  length, which is informative because no peptide of the other class has more than 50 residues.

    python examples/peptides_amp.py

As in most published results on such data, relatives of a test peptide can be in the training data:
the accuracy is that on peptides similar to known ones, not on unrelated ones.
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
from recording import describe_run, use_cores, write

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
    """Amino acid sequences and their classes: 1 for antimicrobial."""

    sequences: list[str]
    classes: np.ndarray


def read_peptides(path: Path) -> Peptides:
    """Read the sequences that have a single class, each once, in the order of the file."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    classes: dict[str, set[int]] = {}
    for line in lines:
        sequence, _, label = line.partition(",")
        if label.strip():
            classes.setdefault(sequence.strip(), set()).add(int(label))
    unique = {sequence: labels for sequence, labels in classes.items() if len(labels) == 1}
    return Peptides(list(unique), np.array([min(labels) for labels in unique.values()]))


def split(peptides: Peptides) -> tuple[Peptides, Peptides]:
    """Split 4:1 into training and test data, stratified by class."""
    parts = train_test_split(
        peptides.sequences, peptides.classes, test_size=0.2, stratify=peptides.classes,
        random_state=SEED,
    )  # fmt: skip
    return Peptides(parts[0], parts[2]), Peptides(parts[1], parts[3])


def composition(sequences: Sequence[str]) -> np.ndarray:
    """The fraction of each amino acid and the logarithm of the length, (n, 21)."""
    counts = np.array([[s.count(letter) for letter in AMINO_ACIDS] for s in sequences], float)
    lengths = np.array([[len(s)] for s in sequences])
    return np.hstack([counts / lengths, np.log(lengths)])


def predict_encoder(
    training_data: Peptides, test: Peptides, training: dict[str, Any]
) -> np.ndarray:
    """Train an encoder, and predict the probability that a test peptide is antimicrobial, (n,)."""
    with tempfile.TemporaryDirectory() as scratch:
        data, out = Path(scratch) / "train.csv", Path(scratch) / "peptides"
        with data.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["peptide", "class"])
            names = [CLASSES[label] for label in training_data.classes]
            writer.writerows(zip(training_data.sequences, names, strict=True))
        tables = {"model": MODEL, "training": training}
        train(TrainingPlan.from_tables("classify", [str(data)], str(out), tables), tell=print)
        results = bothways.load(out).classify(test.sequences)
        return results.probabilities[:, results.names.index(CLASSES[1])]


def scores(test: Peptides, probability: np.ndarray) -> dict[str, float]:
    """Accuracy and Matthews correlation at threshold 0.5, and the area under the ROC curve."""
    predicted = probability > 0.5
    return {
        "accuracy": float(accuracy_score(test.classes, predicted)),
        "matthews": float(matthews_corrcoef(test.classes, predicted)),
        "roc_auc": float(roc_auc_score(test.classes, probability)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all models, print a table and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="run on a small part of the data, as a test"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args(arguments)
    report = describe_run()
    use_cores(2)
    training_data, test = split(read_peptides(python_package(WHEEL) / FILE))
    training = TRAINING | ({"max_steps": 4} if options.quick else {})
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    forest = RandomForestClassifier(n_estimators=500, random_state=SEED)
    figures: dict[str, dict[str, Any]] = {}
    started = time.process_time()
    for name, baseline in {"logistic regression": linear, "forest": forest}.items():
        baseline.fit(composition(training_data.sequences), training_data.classes)
        probability = baseline.predict_proba(composition(test.sequences))[:, 1]
        figures[f"{name} on composition"] = scores(test, probability)
        figures[f"{name} on composition"]["cpu_seconds"] = time.process_time() - started
        started = time.process_time()
    figures["encoder"] = scores(test, predict_encoder(training_data, test, training))
    figures["encoder"]["cpu_seconds"] = time.process_time() - started
    print(f"\n{'':36}{'accuracy':>10}{'Matthews':>10}{'ROC area':>10}{'CPU seconds':>13}")
    for name, row in figures.items():
        print(
            f"{name:36}{row['accuracy']:10.2%}{row['matthews']:10.3f}{row['roc_auc']:10.3f}"
            f"{row['cpu_seconds']:13.0f}"
        )
    data = {"train": len(training_data.sequences), "test": len(test.sequences)}
    details = {"data": data, "model": MODEL, "training": training}
    write(report | details | {"figures": figures}, options.output, "peptides_amp")


if __name__ == "__main__":
    main()
