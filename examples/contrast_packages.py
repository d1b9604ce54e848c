"""Find a Debian package's long description by its short one, better than `minilm` does.

A package has a short description ("lightweight PDF viewer") and a long one. Contrastive training
moves the vectors of the two together and those of different packages apart. It starts from
`minilm`, which was trained on a billion pairs of texts. The metric is recall@10 on held-out
packages: how often the right long description is among the ten nearest to a short one.

    python examples/contrast_packages.py

Packages built from one source ("libfoo1", "libfoo-dev", "foo-doc") have similar descriptions, so
one package of each source is used, and packages with equal texts are dropped, ignoring digits and
punctuation. Learning rate and temperature were selected on the validation pairs; the weights are
those of the best validation.
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
from recording import describe_run, use_cores, write

SEED = 0
MAX_WORDS = 64
"""Number of words of a long description to keep; half of the descriptions have fewer than 45."""
SIZES = 5000, 1000, 8000
"""Number of pairs for testing, validation and training."""
EPOCHS, LEARNING_RATE, TEMPERATURE, BATCH_TOKENS = 1, 5e-5, 0.05, 8192
SIDES = ("short", "long")


class Pair(NamedTuple):
    """The two descriptions of a package."""

    package: str
    short: str
    long: str


def read_pairs(lists: Path) -> list[Pair]:
    """Read one pair for each source package, with distinct texts, sorted by source."""
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
        # The package with the name of its source, or else the one with the shortest name.
        package = min(packages_of_source[source], key=lambda p: (p != source, len(p), p))
        short, _, rest = descriptions[package].partition("\n")
        long = " ".join(word for word in rest.split() if word != ".")  # a dot is a blank line
        texts = {letters(short), letters(long), letters(source)}
        if len(short.split()) >= 3 and len(long.split()) >= 12 and not texts & seen:
            seen |= texts
            pairs.append(Pair(package, short, " ".join(long.split()[:MAX_WORDS])))
    return pairs


def read_records(file: Path, *fields: str) -> Iterator[dict[str, str]]:
    """Yield the given fields of each record of a control file (Debian Policy, section 5.1)."""
    field = re.compile(rf"^({'|'.join(fields)}): ?(.*(?:\n[ \t].*)*)", re.MULTILINE)
    for paragraph in file.read_text(encoding="utf-8").split("\n\n"):
        if pairs := field.findall(paragraph):
            yield dict(pairs)


def letters(text: str) -> str:
    """Words in lowercase, without digits and punctuation: equal for "gcc-11" and "gcc-12"."""
    return " ".join(re.findall("[a-z]+", text.lower()))


def ranks(similarity: np.ndarray) -> np.ndarray:
    """The rank of the right long description for each short one, from 1; ties count against it.

    similarity: of each short description (row) to each long one (column), (n, n); the diagonal has
        the pairs of one package.
    """
    rank: np.ndarray = (similarity >= similarity.diagonal()[:, None]).sum(axis=1)
    return rank


def ranks_by_model(source: str | Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Ranks by the vectors of a model."""
    encoder = bothways.load(source)
    short, long = (encoder.encode([getattr(pair, side) for pair in pairs]) for side in SIDES)
    return ranks(short @ long.T)


def ranks_by_words(pairs: Sequence[Pair], known: Sequence[Pair]) -> np.ndarray:
    """Ranks by the cosine of TF-IDF vectors, fitted on `known`."""
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectorizer.fit([text for pair in known for text in (pair.short, pair.long)])
    short, long = (vectorizer.transform([getattr(pair, side) for pair in pairs]) for side in SIDES)
    return ranks((short @ long.T).toarray())


def metrics(rank: np.ndarray) -> dict[str, float]:
    """Recall at 1 and 10, and mean reciprocal rank."""
    return {
        "recall@1": recall_at(1, rank),
        "recall@10": recall_at(10, rank),
        "mrr": mean_reciprocal_rank(rank),
    }


def train_on(pairs: Sequence[Pair], validation: Sequence[Pair], out: Path) -> float:
    """Train from `minilm` like `bothways train contrast`; return the CPU time in seconds."""
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
    """Train, print a table and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="run on a small part of the data, as a test"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args(arguments)
    report = describe_run()
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
    figures = {name: metrics(of_model) for name, of_model in rank.items()}
    print(f"\n{'':20}{'recall@1':>10}{'recall@10':>11}{'MRR':>8}   among {num_test:,}")
    for name, row in figures.items():
        print(f"{name:20}{row['recall@1']:10.2%}{row['recall@10']:11.2%}{row['mrr']:8.3f}")
    before, after = rank["minilm"] <= 10, rank["minilm, trained"] <= 10
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    print(f"among the ten nearest: {gained} gained, {lost} lost")
    details = {
        "pairs": {"train": len(pairs), "validation": len(validation), "test": len(test)},
        "settings": {"epochs": EPOCHS, "learning_rate": LEARNING_RATE, "seed": SEED}
        | {"temperature": TEMPERATURE, "batch_tokens": BATCH_TOKENS},
        "training_cpu_seconds": seconds,
        "figures": figures,
        "among_ten": {"gained": gained, "lost": lost},
    }
    write(report | details, options.output, "contrast_packages")


def show(event: TrainingEvent) -> None:
    """Print a line for each validation."""
    if isinstance(event, ValidationEvent):
        print(f"step {event.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in event.metrics.items()))


if __name__ == "__main__":
    main()
