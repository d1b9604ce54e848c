"""Predict the boiling point of a molecule from its SMILES, with a model trained from scratch.

The data are Yaws' boiling points at 1 atm and the structures of PubChem, from the package
`chemicals`, joined by CAS number. Only organic molecules are kept: a single fragment that contains
carbon and only common elements. Boiling points above 1,000 K are dropped, because such molecules
decompose. A tenth of the molecules is for testing and a tenth for validation; isomers whose SMILES
differ only in stereochemistry are in the same part. Two models are trained on the rest:

- a new encoder, trained like `bothways train regress train.csv --alphabet smiles`;
- ridge regression on symbol counts, with its regularization selected on the validation molecules.

    python examples/boiling_points.py
"""

import argparse
import csv
import hashlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline

import bothways
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from fetching import python_package
from recording import describe_run, use_cores, write

WHEEL = "chemicals==1.5.2"
BOILING_POINTS = "chemicals/Phase Change/Yaws Boiling Points.tsv"
STRUCTURES = (
    "chemicals/Identifiers/chemical identifiers pubchem large.tsv",
    "chemicals/Identifiers/chemical identifiers pubchem small.tsv",
)
COMMON = {"B", "Br", "C", "Cl", "F", "H", "I", "N", "O", "P", "S", "Si"}
SYMBOL = re.compile(r"\[[^]]*\]|Br|Cl|%\d\d|.")
MODEL: dict[str, Any] = {"alphabet": "smiles", "size": "small"}
TRAINING: dict[str, Any] = {"epochs": 40, "learning_rate": 1e-3, "batch_tokens": 2048}
MAX_KELVIN = 1000.0
ALPHAS = (0.01, 0.1, 1.0, 10.0, 100.0)


class Molecule(NamedTuple):
    """A structure and its boiling point in kelvin."""

    smiles: str
    kelvin: float


class Parts(NamedTuple):
    """Molecules for training, validation and testing."""

    train: list[Molecule]
    validation: list[Molecule]
    test: list[Molecule]


def read_molecules(folder: Path) -> Iterator[Molecule]:
    """Yield each organic molecule with a known boiling point, each SMILES once."""
    smiles: dict[str, str] = {}
    for name in STRUCTURES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            smiles.setdefault(fields[1], fields[4])
    seen: set[str] = set()
    for line in (folder / BOILING_POINTS).read_text(encoding="utf-8").splitlines()[1:]:
        cas, kelvin = line.split("\t")
        structure = smiles.get(cas, "")
        if structure not in seen and is_organic(structure) and float(kelvin) < MAX_KELVIN:
            seen.add(structure)
            yield Molecule(structure, float(kelvin))


def is_organic(smiles: str) -> bool:
    """Whether a molecule is a single fragment with carbon and only common elements.

    >>> [is_organic(smiles) for smiles in ("C[C@H](O)C#N", "[Na+].[Cl-]", "C[Hg]C", "O")]
    [True, False, False, False]
    """
    atoms = [symbol for symbol in SYMBOL.findall(smiles) if symbol[0] == "[" or symbol.isalpha()]
    elements = {re.sub(r"\[\d*([A-Z][a-z]?|[a-z]{1,2}).*", r"\1", atom) for atom in atoms}
    return "." not in smiles and "C" in {e.capitalize() for e in elements} <= COMMON


def split(molecules: Iterator[Molecule]) -> Parts:
    """Split 8:1:1 by a hash of the SMILES without stereochemistry."""
    parts = Parts([], [], [])
    for molecule in molecules:
        flat = re.sub(r"[/\\@]", "", molecule.smiles).replace("[CH]", "C").replace("[C]", "C")
        tenth = hashlib.sha256(flat.encode()).digest()[0] * 10 // 256
        {8: parts.validation, 9: parts.test}.get(tenth, parts.train).append(molecule)
    return parts


class Predictions(NamedTuple):
    """Predicted kelvin for the validation and test molecules, and the selected hyperparameters."""

    validation: np.ndarray
    test: np.ndarray
    chosen: dict[str, Any]


def predict_ridge(parts: Parts) -> Predictions:
    """Predict with ridge regression, at the alpha with the lowest validation error."""

    def counts(molecules: Sequence[Molecule]) -> list[Counter[str]]:
        return [Counter(SYMBOL.findall(molecule.smiles)) for molecule in molecules]

    def fit(alpha: float) -> Predictions:
        model = make_pipeline(DictVectorizer(), Ridge(alpha=alpha))
        model.fit(counts(parts.train), kelvins(parts.train))
        validation, test = (model.predict(counts(part)) for part in parts[1:])
        return Predictions(validation, test, {"alpha": alpha})

    truth = kelvins(parts.validation)
    candidates = [fit(alpha) for alpha in ALPHAS]
    return min(candidates, key=lambda predicted: mean_absolute_error(truth, predicted.validation))


def predict_encoder(parts: Parts, training: dict[str, Any]) -> Predictions:
    """Train a new encoder, and predict with its best weights on the validation molecules."""
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / f"{name}.csv" for name in ("train", "validation")}
        for name, file in files.items():
            with file.open("w", encoding="utf-8", newline="") as opened:
                writer = csv.writer(opened)
                writer.writerows([Molecule._fields, *getattr(parts, name)])
        tables = {
            "data": {"labels": ["kelvin"], "validation": [str(files["validation"])]},
            "model": MODEL,
            "training": training,
        }
        out = Path(scratch) / "boiling"
        run = train(
            TrainingPlan.from_tables("regress", [str(files["train"])], str(out), tables), tell=print
        )
        loaded = bothways.load(out)
        validation, test = (loaded.predict([m.smiles for m in part]) for part in parts[1:])
        return Predictions(validation, test, {"step": run.result.best_step})


def kelvins(molecules: Sequence[Molecule]) -> np.ndarray:
    """The boiling points of molecules in kelvin, (n,)."""
    return np.array([molecule.kelvin for molecule in molecules])


def scores(molecules: Sequence[Molecule], predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute and root-mean-square error in kelvin, and R²."""
    truth = kelvins(molecules)
    return {
        "mae": float(mean_absolute_error(truth, predicted)),
        "rmse": float(root_mean_squared_error(truth, predicted)),
        "r2": float(r2_score(truth, predicted)),
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
    parts = split(read_molecules(python_package(WHEEL)))
    training = TRAINING
    if options.quick:
        parts, training = Parts(*(part[:100] for part in parts)), TRAINING | {"max_steps": 4}
    runs: dict[str, Callable[[], Predictions]] = {
        "mean of training data": lambda: predict_mean(parts),
        "ridge on symbol counts": lambda: predict_ridge(parts),
        "encoder of SMILES": lambda: predict_encoder(parts, training),
    }
    figures: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        started = time.process_time()
        predicted = run()
        figures[name] = scores(parts.test, predicted.test) | {
            "validation_mae": scores(parts.validation, predicted.validation)["mae"],
            "chosen": predicted.chosen,
            "cpu_seconds": time.process_time() - started,
        }
    print(f"\n{'error in kelvin':28}{'mean':>8}{'RMS':>8}{'R2':>8}{'CPU seconds':>13}")
    for name, row in figures.items():
        print(f"{name:28}{row['mae']:8.1f}{row['rmse']:8.1f}{row['r2']:8.3f}", end="")
        print(f"{row['cpu_seconds']:13.0f}")
    data = {name: len(part) for name, part in parts._asdict().items()}
    details = {"data": data, "model": MODEL, "training": training}
    write(report | details | {"figures": figures}, options.output, "boiling_points")


def predict_mean(parts: Parts) -> Predictions:
    """Predict the mean of the training data for every molecule."""
    mean = kelvins(parts.train).mean()
    validation, test = (np.full(len(part), mean) for part in parts[1:])
    return Predictions(validation, test, {})


if __name__ == "__main__":
    main()
