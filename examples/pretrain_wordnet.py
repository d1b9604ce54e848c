"""Does pretraining help? Masked tokens on WordNet's glosses, then classes with few labels.

A gloss is a definition, such as "a tool with a flat blade used as a lever". WordNet stores it in
one of 45 lexicographer files, by what it defines: artifacts, animals, acts, verbs of motion, ...
The task is to predict the file of a gloss from 20 labeled glosses of each file.

1. An encoder is pretrained on masked tokens of 110,000 glosses, without labels.
2. It is fine-tuned on the labeled glosses. The same encoder with random weights is trained on the
   same glosses with the same number of steps. Each uses its best learning rate on the validation
   glosses.
3. Both classify glosses that are in neither the pretraining nor the training data. A logistic
   regression on words, trained on the labeled glosses only, is the baseline.

    python examples/pretrain_wordnet.py

The experiment is repeated with several samples of labeled glosses, each with its own seed.
"""

import argparse
import gzip
import json
import random
import re
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import bothways
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from bothways.training.runs.events import TrainingEvent, ValidationEvent
from fetching import debian_package
from recording import describe_run, use_cores, write

ENCODER = {"num_layers": 4, "d_model": 128, "num_heads": 4}
VOCABULARY = 8000


class Budget(NamedTuple):
    """Training lengths and repetitions.

    labeled: number of labeled glosses per lexicographer file. draws: number of repetitions.
    """

    labeled: int = 20
    pretraining_epochs: float = 5.0
    fine_tuning_epochs: float = 20.0
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    draws: int = 5


QUICK = Budget(
    labeled=4, pretraining_epochs=1.0, fine_tuning_epochs=1.0, learning_rates=(1e-3,), draws=2
)


class Gloss(NamedTuple):
    """A definition and its lexicographer file: noun.animal, verb.motion, ..."""

    text: str
    label: str


def read_glosses(share: Path) -> list[Gloss]:
    """Read all definitions of WordNet from `usr/share` of the package, each once.

    Definitions that are in several lexicographer files are dropped.
    """
    manual = gzip.decompress((share / "man/man5/lexnames.5WN.gz").read_bytes()).decode()
    label_of_number = dict(re.findall(r"^(\d\d)\t(\S+)", manual, re.MULTILINE))
    labels: dict[str, set[str]] = defaultdict(set)
    for part_of_speech in ("noun", "verb", "adj", "adv"):
        data = (share / f"wordnet/data.{part_of_speech}").read_text(encoding="utf-8")
        for number, text in read_synsets(data):
            labels[text].add(label_of_number[number])
    return [Gloss(text, *names) for text, names in labels.items() if len(names) == 1]


def read_synsets(data: str) -> Iterator[tuple[str, str]]:
    """Yield the lexicographer file number and the definition of each synset (see wndb(5WN)).

    Examples, which follow a definition in quotes, are dropped.
    """
    for line in data.splitlines():
        if not line.startswith("  "):  # the license
            fields, _, gloss = line.partition(" | ")
            definition = re.split(r';? *"', gloss)[0].strip(" ;")
            if definition:
                yield fields.split()[1], definition


class Parts(NamedTuple):
    """Glosses by use. The parts are disjoint, except that `unlabeled` includes all of `pool`.

    pool: glosses of the larger lexicographer files, from which labeled glosses are sampled.
    unlabeled: texts for pretraining.
    """

    test: list[Gloss]
    validation: list[Gloss]
    pool: dict[str, list[Gloss]]
    unlabeled: list[str]


def split(
    glosses: list[Gloss], *, test: int, validation: int, min_glosses: int, seed: int
) -> Parts:
    """Hold out `test` and `validation` glosses of each file that has at least `min_glosses`.

    Pretraining sees neither of the two.
    """
    glosses_by_label: dict[str, list[Gloss]] = defaultdict(list)
    for gloss in glosses:
        glosses_by_label[gloss.label].append(gloss)
    parts = Parts([], [], {}, [])
    rng = random.Random(seed)
    for label, members in sorted(glosses_by_label.items()):
        rng.shuffle(members)
        if len(members) >= min_glosses:
            parts.test.extend(members[:test])
            parts.validation.extend(members[test : test + validation])
            parts.pool[label] = members[test + validation :]
        parts.unlabeled.extend(gloss.text for gloss in parts.pool.get(label, members))
    return parts


def draw(parts: Parts, labeled: int, seed: int) -> list[Gloss]:
    """Sample `labeled` glosses of each lexicographer file."""
    rng = random.Random(seed)
    return [gloss for members in parts.pool.values() for gloss in rng.sample(members, labeled)]


def subset(parts: Parts) -> Parts:
    """A few glosses of three lexicographer files."""
    labels = sorted(parts.pool)[:3]
    test, validation = ([g for g in part if g.label in labels] for part in parts[:2])
    pool = {label: parts.pool[label] for label in labels}
    return Parts(test, validation, pool, parts.unlabeled[:300])


def pretrain(texts: Sequence[str], out: Path, epochs: float) -> None:
    """Pretrain on masked tokens, like `bothways train mlm`; a tenth is held out."""
    file = out.with_suffix(".txt")
    file.write_text("\n".join(texts), encoding="utf-8")
    tables: dict[str, dict[str, Any]] = {
        "model": {"size": "tiny", "vocab_size": VOCABULARY},
        "encoder": ENCODER,
        "training": {"epochs": epochs, "learning_rate": 2e-3, "batch_tokens": 4096},
    }
    train(TrainingPlan.from_tables("mlm", [str(file)], str(out), tables), progress=show, tell=print)


def fine_tune(start: Path, glosses: Sequence[Gloss], rate: float, epochs: float, seed: int) -> Path:
    """Fine-tune a model on labeled glosses, like `bothways train classify --from`."""
    out = start.parent / f"{start.name}-{rate}-{seed}"
    file = out.with_suffix(".jsonl")
    file.write_text("\n".join(json.dumps(gloss._asdict()) for gloss in glosses), encoding="utf-8")
    tables: dict[str, dict[str, Any]] = {
        "data": {"held_out": 0.0},
        "model": {"from": str(start)},
        "training": {"epochs": epochs, "learning_rate": rate, "batch_tokens": 512, "seed": seed},
    }
    train(TrainingPlan.from_tables("classify", [str(file)], str(out), tables))
    return out


def accuracy(predicted: Sequence[Any], glosses: Sequence[Gloss]) -> float:
    """The fraction of correct predictions; every lexicographer file has the same weight."""
    return statistics.fmean(p == gloss.label for p, gloss in zip(predicted, glosses, strict=True))


def accuracy_of_model(folder: Path, glosses: Sequence[Gloss]) -> float:
    """The accuracy of a trained model."""
    encoder = bothways.load(folder)
    return accuracy(encoder.classify([gloss.text for gloss in glosses]).labels, glosses)


def accuracy_of_words(labeled: Sequence[Gloss], glosses: Sequence[Gloss]) -> float:
    """The accuracy of a logistic regression on TF-IDF, trained on `labeled`."""
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=500)
    )
    model.fit([gloss.text for gloss in labeled], [gloss.label for gloss in labeled])
    return accuracy(model.predict([gloss.text for gloss in glosses]), glosses)


def main(arguments: Sequence[str] | None = None) -> None:
    """Pretrain, fine-tune, print a table and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="run on a small part of the data, as a test"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args(arguments)
    report = describe_run()
    use_cores(2)
    budget = QUICK if options.quick else Budget()
    glosses = read_glosses(debian_package("wordnet-base") / "usr/share")
    parts = split(glosses, test=100, validation=20, min_glosses=200, seed=0)
    if options.quick:
        parts = subset(parts)
    accuracies: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        starts = {"pretrained": Path(scratch) / "pretrained", "from scratch": Path(scratch) / "new"}
        started = time.process_time()
        pretrain(parts.unlabeled, starts["pretrained"], budget.pretraining_epochs)
        seconds = time.process_time() - started
        encoder = bothways.load(starts["pretrained"])
        assert encoder.reader is not None
        bothways.create(starts["from scratch"], encoder.config, encoder.reader, seed=0)
        search = {name: search_rate(start, parts, budget) for name, start in starts.items()}
        rates = {name: max(scores, key=scores.__getitem__) for name, scores in search.items()}
        for seed in range(budget.draws):
            labeled = draw(parts, budget.labeled, seed)
            accuracies["words"].append(accuracy_of_words(labeled, parts.test))
            for name, start in starts.items():
                epochs = budget.fine_tuning_epochs
                folder = fine_tune(start, labeled, rates[name], epochs, seed)
                accuracies[name].append(accuracy_of_model(folder, parts.test))
            print(f"draw {seed}: " + ", ".join(f"{k} {v[-1]:.2%}" for k, v in accuracies.items()))
    print(f"\n{'':15}{'accuracy':>10}{'lowest':>9}{'highest':>9}   of {budget.draws} draws")
    for name, values in accuracies.items():
        print(f"{name:15}{statistics.mean(values):10.2%}{min(values):9.2%}{max(values):9.2%}")
    details = {
        "glosses": {
            "pretraining": len(parts.unlabeled),
            "classes": len(parts.pool),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "encoder": ENCODER,
        "vocabulary": VOCABULARY,
        "budget": budget._asdict(),
        "pretraining_cpu_seconds": seconds,
        "validation_by_learning_rate": search,
        "learning_rates": rates,
        "accuracies": accuracies,
    }
    write(report | details, options.output, "pretrain_wordnet")


def search_rate(start: Path, parts: Parts, budget: Budget) -> dict[float, float]:
    """Validation accuracy by learning rate, with a sample that is not used for the results."""
    seed = budget.draws
    labeled = draw(parts, budget.labeled, seed)
    folders = {
        rate: fine_tune(start, labeled, rate, budget.fine_tuning_epochs, seed)
        for rate in budget.learning_rates
    }
    return {rate: accuracy_of_model(out, parts.validation) for rate, out in folders.items()}


def show(event: TrainingEvent) -> None:
    """Print a line for each validation."""
    if isinstance(event, ValidationEvent):
        print(f"step {event.step}: " + ", ".join(f"{k} {v:.4f}" for k, v in event.metrics.items()))


if __name__ == "__main__":
    main()
