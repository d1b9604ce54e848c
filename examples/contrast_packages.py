"""Find a Debian package's long description by its short one, better than `minilm` does.

A package has a short description ("lightweight PDF viewer") and a long one. Contrastive training
brings the vectors of the two together, against those of the other packages of a step, starting from
`minilm`, which has seen a billion pairs of texts already. What counts is recall@10 on packages that
were not trained on: how often the right long description is among the ten nearest to a short one.

    python examples/contrast_packages.py

Packages built from one source ("libfoo1", "libfoo-dev", "foo-doc") say nearly the same, so one is
taken of each source, and none whose texts another has, digits and punctuation aside. Learning rate
and temperature were chosen on the validation pairs; weights are those of the best validation.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

import bothways
from bothways.training.objectives.metrics import mean_reciprocal_rank, recall_at
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from bothways.training.runs.events import TrainingEvent, ValidationEvent
from fetching import debian_lists
from outcome import circumstances, use_cores, write

SEED = 0
LONGEST = 64
"""Words that are read of a long description; half of them have fewer than 45."""
SIZES = 5000, 1000, 8000
"""Pairs to report on, to choose by, and to learn from."""
EPOCHS, LEARNING_RATE, TEMPERATURE, BATCH_TOKENS = 1, 5e-5, 0.05, 8192
SIDES = ("short", "long")


class Pair(NamedTuple):
    """The two descriptions of a package."""

    package: str
    short: str
    long: str


def read_pairs(lists: Path) -> list[Pair]:
    """One pair for each source package, unlike all the others, sorted by source."""
    descriptions = {
        record["Package"]: record["Description-en"]
        for file in sorted(lists.glob("*_Translation-en"))
        for record in read_records(file, "Package", "Description-en")
    }
    packages_of_source: dict[str, list[str]] = defaultdict(list)
    for file in sorted(lists.glob("*_Packages")):
        for record in read_records(file, "Package", "Source"):
            source = record.get("Source", record["Package"]).split()[0]
            if record["Package"] in descriptions:
                packages_of_source[source].append(record["Package"])
    pairs = []
    seen: set[str] = set()
    for source in sorted(packages_of_source):
        # The package that is called as its source, else the one with the shortest name.
        package = min(packages_of_source[source], key=lambda p: (p != source, len(p), p))
        short, _, rest = descriptions[package].partition("\n")
        long = " ".join(word for word in rest.split() if word != ".")  # a dot is a blank line
        texts = {letters(short), letters(long), letters(source)}
        if len(short.split()) >= 3 and len(long.split()) >= 12 and not texts & seen:
            seen |= texts
            pairs.append(Pair(package, short, " ".join(long.split()[:LONGEST])))
    return pairs


def read_records(file: Path, *fields: str) -> Iterator[dict[str, str]]:
    """These fields of the records of a control file (Debian Policy, section 5.1), by name."""
    field = re.compile(rf"^({'|'.join(fields)}): ?(.*(?:\n[ \t].*)*)", re.MULTILINE)
    for paragraph in file.read_text(encoding="utf-8").split("\n\n"):
        if found := field.findall(paragraph):
            yield dict(found)


def letters(text: str) -> str:
    """Words in lower case, without digits and punctuation: equal for "gcc-11" and "gcc-12"."""
    return " ".join(re.findall("[a-z]+", text.lower()))


def ranks(similarity: np.ndarray) -> np.ndarray:
    """From 1, where the long description of each short one comes; those as near count before it.

    similarity: of each short description (row) to each long one (column); those of one package
    meet on the diagonal.
    """
    rank: np.ndarray = (similarity >= similarity.diagonal()[:, None]).sum(axis=1)
    return rank


def ranks_by_model(source: str | Path, pairs: Sequence[Pair]) -> np.ndarray:
    """By the vectors of a model."""
    encoder = bothways.load(source)
    short, long = (encoder.encode([getattr(pair, side) for pair in pairs]) for side in SIDES)
    return ranks(short @ long.T)


def ranks_by_words(pairs: Sequence[Pair], known: Sequence[Pair]) -> np.ndarray:
    """By the words in common, rare ones counting more: TF-IDF, fitted on `known`."""
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectorizer.fit([text for pair in known for text in (pair.short, pair.long)])
    short, long = (vectorizer.transform([getattr(pair, side) for pair in pairs]) for side in SIDES)
    return ranks((short @ long.T).toarray())


def figures_of(rank: np.ndarray) -> dict[str, float]:
    """Recall at 1 and 10, and the mean reciprocal rank."""
    return {
        "recall@1": recall_at(1, rank),
        "recall@10": recall_at(10, rank),
        "mrr": mean_reciprocal_rank(rank),
    }


def train_on(pairs: Sequence[Pair], validation: Sequence[Pair], out: Path) -> float:
    """Train from `minilm`, as `bothways train contrast` does; returns the CPU's seconds."""
    files = {"train": pairs, "validation": validation}
    for name, part in files.items():
        lines = [json.dumps({side: getattr(pair, side) for side in SIDES}) for pair in part]
        (out.parent / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    tables: dict[str, dict[str, Any]] = {
        "data": {"columns": SIDES, "validation": [str(out.parent / "validation.jsonl")]},
        "model": {"from": "minilm"},
        "objective": {"temperature": TEMPERATURE},
        "training": {
            "epochs": EPOCHS,
            "learning_rate": LEARNING_RATE,
            "batch_tokens": BATCH_TOKENS,
            "seed": SEED,
        },
    }
    plan = TrainingPlan.from_tables("contrast", [str(out.parent / "train.jsonl")], str(out), tables)
    started = time.process_time()
    train(plan, progress=show, tell=print)
    return time.process_time() - started


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sliver of it, to see that it runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args(arguments)
    report = circumstances()
    use_cores(2)
    pairs = read_pairs(debian_lists())
    random.Random(SEED).shuffle(pairs)
    num_test, num_validation, num_train = (40, 20, 60) if options.quick else SIZES
    test, pairs = pairs[:num_test], pairs[num_test:]
    validation, pairs = pairs[:num_validation], pairs[num_validation:][:num_train]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "trained"
        seconds = train_on(pairs, validation, out)
        rank = {
            "words (TF-IDF)": ranks_by_words(test, pairs),
            "minilm": ranks_by_model("minilm", test),
            "minilm, trained": ranks_by_model(out, test),
        }
    figures = {name: figures_of(found) for name, found in rank.items()}
    print(f"\n{'':20}{'recall@1':>10}{'recall@10':>11}{'MRR':>8}   among {num_test:,}")
    for name, row in figures.items():
        print(f"{name:20}{row['recall@1']:10.2%}{row['recall@10']:11.2%}{row['mrr']:8.3f}")
    before, after = rank["minilm"] <= 10, rank["minilm, trained"] <= 10
    found, lost = int((after & ~before).sum()), int((before & ~after).sum())
    print(f"among the ten nearest: {found} gained, {lost} lost")
    details = {
        "pairs": {"train": len(pairs), "validation": len(validation), "test": len(test)},
        "settings": {"epochs": EPOCHS, "learning_rate": LEARNING_RATE, "seed": SEED}
        | {"temperature": TEMPERATURE, "batch_tokens": BATCH_TOKENS},
        "training_cpu_seconds": seconds,
        "figures": figures,
        "among_ten": {"gained": found, "lost": lost},
    }
    write(report | details, options.output, "contrast_packages")


def show(event: TrainingEvent) -> None:
    """A line for each validation."""
    if isinstance(event, ValidationEvent):
        print(f"step {event.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in event.metrics.items()))


if __name__ == "__main__":
    main()
