"""Sentences given as words: joined for the reader, and matched to tokens again.

Shapes: W words of a sentence; L positions of the sequence that a reader makes of it.
"""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import numpy as np

from bothways.errors import InputError
from bothways.model.inputs import InputKind
from bothways.sequences.fitting import FittedSequence
from bothways.sequences.reader import type_name

__all__ = ["NO_POSITION", "WordSequence", "first_token_positions", "join_words"]

NO_POSITION = -1
"""The position of a word without tokens, because the tokenizer drops it or it was truncated."""


class WordSequence(NamedTuple):
    """The words of a sentence as one sequence for a reader.

    sequence: for text, the words joined by spaces; for symbols, the list of words.
    spans: the character span of each word in the text, int64 (W, 2); None for symbols, where each
        word is one position.
    """

    sequence: str | list[str]
    spans: np.ndarray | None


def join_words(words: Sequence[str], kind: InputKind) -> WordSequence:
    """Join the words of one sentence to a sequence.

    >>> join_words(["two", "words"], "text").sequence
    'two words'

    Raises:
        InputError: if a word is empty or not a string, or the kind has no words.
    """
    for index, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(f"word {index} is {type_name(word)}; expected a string")
        if not word:
            raise InputError(f"word {index} is empty; remove it together with its tag")
    match kind:
        case "text":
            widths = np.array([len(word) for word in words], dtype=np.int64)
            ends = np.cumsum(widths + 1) - 1
            return WordSequence(" ".join(words), np.stack([ends - widths, ends], axis=1))
        case "symbols":
            return WordSequence(list(words), None)
        case "series":
            raise InputError("this model reads series, and a series has no words")
        case unknown:
            assert_never(unknown)


def first_token_positions(fitted: FittedSequence, spans: np.ndarray | None) -> np.ndarray:
    """The merged position of the first token of each word, int64 (W,).

    spans: of `join_words`; None if each symbol, or position of a series, is a word.

    A word without tokens, or whose first token was truncated, gets `NO_POSITION`. Devlin et al.
    2019, section 5.3, tag a word by its first token.

    Raises:
        InputError: if `spans` is given for a sequence that is not text.
    """
    tokenized = fitted.tokenized
    content = slice(tokenized.prefix, len(tokenized) - tokenized.suffix)
    if spans is None:
        first_W = np.arange(content.start, content.stop)
    else:
        if tokenized.offsets is None:
            raise InputError("words have spans only in text")
        first_W = _first_tokens(tokenized.offsets[content], spans, content.start)
    merged_L = np.full(
        len(tokenized) + 1, NO_POSITION
    )  # one more, as the index NO_POSITION is the last
    merged_L[fitted.positions] = np.arange(len(fitted.positions))
    merged_W: np.ndarray = merged_L[first_W]
    return merged_W


def _first_tokens(offsets_L2: np.ndarray, spans_W2: np.ndarray, start: int) -> np.ndarray:
    """The first token that overlaps each word; tokens and words are in order.

    A token may begin with the space before a word, and may have no characters.
    """
    with_characters = np.flatnonzero(offsets_L2[:, 0] < offsets_L2[:, 1])
    starts, ends = offsets_L2[with_characters].T
    candidate_W = np.searchsorted(ends, spans_W2[:, 0], side="right")
    # A sentinel after all tokens, for words after the last one.
    starts = np.append(starts, np.iinfo(np.int64).max)
    positions = np.append(with_characters + start, NO_POSITION)
    return np.where(starts[candidate_W] < spans_W2[:, 1], positions[candidate_W], NO_POSITION)
