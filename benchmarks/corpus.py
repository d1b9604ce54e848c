"""Real text to measure with: English prose about mathematics and its programs.

It is taken from the docstrings of scientific packages that are installed with the benchmarks
(benchmarks/requirements.txt), in whatever version those have; the results name the versions. Every
docstring of a module, class or function is cut at blank lines. Paragraphs under 10 characters,
repetitions, and those that are no prose (examples of code, underlined headings with their tables)
are left out, and a sample is drawn with a fixed seed. Lengths are as prose has them: many short, a
long tail, some 40 tokens of `minilm` on average.
"""

import ast
import dataclasses
import functools
import importlib.metadata
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

__all__ = [
    "NUM_SAMPLED",
    "PACKAGES",
    "TextName",
    "Workload",
    "make_workload",
    "sample_paragraphs",
    "tokenizer",
]

PACKAGES = ("scipy", "scikit-learn", "numpy")
"""Whose docstrings are read; each as its distribution is called."""

NUM_SAMPLED = 8000
"""Paragraphs that short and mixed texts are taken from, in order, until there are enough tokens."""

_FOLDERS = {"scikit-learn": "sklearn"}
_NOT_PROSE = (">>>", "----", "====")
_PER_LONG_TEXT = 30
"""Paragraphs of a long text: more than twice the tokens it is cut to."""

TextName = str
"""`short` (at most 16 tokens), `mixed` (as they come, cut at 256) or `long` (512 tokens each)."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """Texts to encode, and how many tokens of each the model takes, special tokens included.

    num_tokens: int64, of each text as it is encoded.
    """

    name: TextName
    texts: list[str]
    max_length: int
    num_tokens: np.ndarray


def sample_paragraphs(count: int, packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """Paragraphs of the packages' docstrings: the same for the same versions of them.

    Raises:
        ValueError: if there are not so many.
    """
    return random.Random(0).sample(_all_paragraphs(packages), count)  # noqa: S311


def tokenizer(model: Path, max_length: int) -> Tokenizer:
    """The model's own, without padding: what all contenders read text with."""
    own = Tokenizer.from_file(str(model / "tokenizer.json"))
    own.no_padding()
    own.enable_truncation(max_length)
    return own


def make_workload(name: TextName, tokens: int, model: Path) -> Workload:
    """About so many tokens of text in all."""
    if name == "mixed":
        return _take(name, sample_paragraphs(NUM_SAMPLED), 256, 256, tokens, model)
    if name == "short":
        return _take(name, sample_paragraphs(NUM_SAMPLED), 512, 16, tokens, model)
    count = tokens // 512 + 1
    paragraphs = sample_paragraphs(_PER_LONG_TEXT * count)
    joined = [" ".join(paragraphs[start::count]) for start in range(count)]
    return _take(name, joined, 512, 512, tokens, model)


def _take(
    name: TextName, texts: list[str], max_length: int, longest: int, tokens: int, model: Path
) -> Workload:
    lengths = [len(e.ids) for e in tokenizer(model, max_length).encode_batch_fast(texts)]
    kept: list[int] = []
    total = 0
    for index, length in enumerate(lengths):
        if total >= tokens:
            break
        if length <= longest:
            kept.append(index)
            total += length
    return Workload(
        name, [texts[i] for i in kept], max_length, np.array([lengths[i] for i in kept], np.int64)
    )


@functools.cache
def _all_paragraphs(packages: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(text for package in packages for text in _paragraphs(package)))


def _paragraphs(package: str) -> Iterator[str]:
    folder = importlib.metadata.distribution(package).locate_file(_FOLDERS.get(package, package))
    for source in sorted(Path(str(folder)).rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    text = " ".join(paragraph.split())
                    if len(text) >= 10 and not any(mark in text for mark in _NOT_PROSE):
                        yield text
