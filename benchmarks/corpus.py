"""Real text for benchmarks: English prose about mathematics and software.

The text comes from the docstrings of scientific packages that are installed with the benchmarks
(benchmarks/requirements.txt); the results record their versions. The docstrings of modules, classes
and functions are split at blank lines. Paragraphs with fewer than 10 characters, repetitions, code
examples and underlined headings with their tables are dropped, and a sample is drawn with a fixed
seed. The lengths are typical of prose: many short paragraphs, a long tail, and a mean of about 40
`minilm` tokens.
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
"""Distributions whose docstrings are read."""

NUM_SAMPLED = 8000
"""Size of the sample from which short and mixed texts are taken, in order, up to a token count."""

_FOLDERS = {"scikit-learn": "sklearn"}
_NOT_PROSE = (">>>", "----", "====")
_PER_LONG_TEXT = 30
"""Paragraphs per long text: more than twice the tokens to which it is truncated."""

TextName = str
"""`short` (at most 16 tokens), `mixed` (all lengths, truncated at 256) or `long` (512 tokens)."""


@dataclasses.dataclass(frozen=True)
class Workload:
    """Texts to encode.

    max_length: maximum number of tokens per text, special tokens included.
    num_tokens: number of tokens of each text after truncation, int64 (n,).
    """

    name: TextName
    texts: list[str]
    max_length: int
    num_tokens: np.ndarray


def sample_paragraphs(count: int, packages: tuple[str, ...] = PACKAGES) -> list[str]:
    """Sample paragraphs of the packages' docstrings; the same versions give the same sample.

    Raises:
        ValueError: if there are fewer than `count` paragraphs.
    """
    return random.Random(0).sample(_all_paragraphs(packages), count)  # noqa: S311


def tokenizer(model: Path, max_length: int) -> Tokenizer:
    """The model's tokenizer without padding, which all contenders use."""
    model_tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    model_tokenizer.no_padding()
    model_tokenizer.enable_truncation(max_length)
    return model_tokenizer


def make_workload(name: TextName, tokens: int, model: Path) -> Workload:
    """Texts of one kind with about `tokens` tokens in total."""
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
        try:
            tree = ast.parse(source.read_text(encoding="utf-8"))
        except SyntaxError:  # of a later version of Python
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    text = " ".join(paragraph.split())
                    if len(text) >= 10 and not any(mark in text for mark in _NOT_PROSE):
                        yield text
