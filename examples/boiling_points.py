"""At what temperature a substance boils: from its SMILES, learned from nothing.

Yaws' boiling points at one atmosphere and the structures of PubChem, as the package `chemicals`
ships them, joined by CAS number. Kept are organic molecules: one piece, carbon, and none but
common elements; and what is said to boil above 1,000 K is left out, where no such molecule stays
whole. A tenth is held out to report on, another tenth to choose by; isomers whose
SMILES differ in the marks of stereochemistry alone go to the same part. Of the rest learn

- a fresh encoder, trained as `bothways train regress train.csv --alphabet smiles` does it;
- ridge regression on how often each symbol occurs, its strength chosen on the same molecules.

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
from outcome import circumstances, use_cores, write

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
HIGHEST = 1000.0
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)


class Molecule(NamedTuple):
    """A structure, and the temperature at which it boils, in kelvin."""

    smiles: str
    kelvin: float


class Parts(NamedTuple):
    """Molecules to learn from, to choose by, and to report on."""

    train: list[Molecule]
    validation: list[Molecule]
    test: list[Molecule]


def read_molecules(folder: Path) -> Iterator[Molecule]:
    """Every organic molecule of which the boiling point is known, each SMILES once."""
    smiles: dict[str, str] = {}
    for name in STRUCTURES:
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            fields = line.split("\t")
            smiles.setdefault(fields[1], fields[4])
    seen: set[str] = set()
    for line in (folder / BOILING_POINTS).read_text(encoding="utf-8").splitlines()[1:]:
        cas, kelvin = line.split("\t")
        found = smiles.get(cas, "")
        if found not in seen and is_organic(found) and float(kelvin) < HIGHEST:
            seen.add(found)
            yield Molecule(found, float(kelvin))


def is_organic(smiles: str) -> bool:
    """Whether it is one piece, has carbon, and no element but the common ones.

    >>> [is_organic(smiles) for smiles in ("C[C@H](O)C#N", "[Na+].[Cl-]", "C[Hg]C", "O")]
    [True, False, False, False]
    """
    atoms = [symbol for symbol in SYMBOL.findall(smiles) if symbol[0] == "[" or symbol.isalpha()]
    elements = {re.sub(r"\[\d*([A-Z][a-z]?|[a-z]{1,2}).*", r"\1", atom) for atom in atoms}
    return "." not in smiles and "C" in {e.capitalize() for e in elements} <= COMMON


def split(molecules: Iterator[Molecule]) -> Parts:
    """Eight tenths, one and one, by a hash of the SMILES without its marks of stereochemistry."""
    parts = Parts([], [], [])
    for molecule in molecules:
        flat = re.sub(r"[/\\@]", "", molecule.smiles).replace("[CH]", "C").replace("[C]", "C")
        number = hashlib.sha256(flat.encode()).digest()[0] * 10 // 256
        {8: parts.validation, 9: parts.test}.get(number, parts.train).append(molecule)
    return parts


class Predicted(NamedTuple):
    """Kelvin for the molecules to choose by and to report on, and what was chosen."""

    validation: np.ndarray
    test: np.ndarray
    chosen: dict[str, Any]


def ridge(parts: Parts) -> Predicted:
    """The baseline, at the strength with the least error on the molecules to choose by."""

    def counts(molecules: Sequence[Molecule]) -> list[Counter[str]]:
        return [Counter(SYMBOL.findall(molecule.smiles)) for molecule in molecules]

    def fitted(strength: float) -> Predicted:
        model = make_pipeline(DictVectorizer(), Ridge(alpha=strength))
        model.fit(counts(parts.train), kelvins(parts.train))
        validation, test = (model.predict(counts(part)) for part in parts[1:])
        return Predicted(validation, test, {"alpha": strength})

    truth = kelvins(parts.validation)
    found = [fitted(strength) for strength in STRENGTHS]
    return min(found, key=lambda predicted: mean_absolute_error(truth, predicted.validation))


def encoder(parts: Parts, training: dict[str, Any]) -> Predicted:
    """A fresh encoder, whose best weights on the molecules to choose by are kept."""
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
        trained = train(
            TrainingPlan.from_tables("regress", [str(files["train"])], str(out), tables), tell=print
        )
        loaded = bothways.load(out)
        validation, test = (loaded.predict([m.smiles for m in part]) for part in parts[1:])
        return Predicted(validation, test, {"step": trained.result.best_step})


def kelvins(molecules: Sequence[Molecule]) -> np.ndarray:
    """The temperatures, (n,)."""
    return np.array([molecule.kelvin for molecule in molecules])


def scores(molecules: Sequence[Molecule], predicted: np.ndarray) -> dict[str, float]:
    """Errors in kelvin, and the share of the variance that is predicted."""
    truth = kelvins(molecules)
    return {
        "mae": float(mean_absolute_error(truth, predicted)),
        "rmse": float(root_mean_squared_error(truth, predicted)),
        "r2": float(r2_score(truth, predicted)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sliver of it, to see that it runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args(arguments)
    report = circumstances()
    use_cores(2)
    parts = split(read_molecules(python_package(WHEEL)))
    training = TRAINING
    if options.quick:
        parts, training = Parts(*(part[:100] for part in parts)), TRAINING | {"max_steps": 4}
    runs: dict[str, Callable[[], Predicted]] = {
        "always the mean": lambda: always_the_mean(parts),
        "ridge on counts of symbols": lambda: ridge(parts),
        "encoder of SMILES": lambda: encoder(parts, training),
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


def always_the_mean(parts: Parts) -> Predicted:
    """What needs no structure at all."""
    mean = kelvins(parts.train).mean()
    validation, test = (np.full(len(part), mean) for part in parts[1:])
    return Predicted(validation, test, {})


if __name__ == "__main__":
    main()
