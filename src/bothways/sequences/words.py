"""Sentences that are words already: as a text with their places in it, and back to the tokens.

W words of a sentence; L positions of what a reader makes of it.
"""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import numpy as np

from bothways.errors import InputError
from bothways.model.inputs import InputKind
from bothways.sequences.fitting import Fitted
from bothways.sequences.reader import type_name

__all__ = ["NO_POSITION", "Words", "first_token_positions", "to_word_sequence"]

NO_POSITION = -1
"""The position of a word that has none: the tokenizer drops its characters, or it was cut off."""


class Words(NamedTuple):
    """A sentence of words as a sequence that a reader takes.

    sequence: for text, the words with a space between them; for symbols, the list of them.
    spans: the characters of each word in that text, int64 (W, 2); None for symbols, of which each
        is one position.
    """

    sequence: str | list[str]
    spans: np.ndarray | None


def to_word_sequence(words: Sequence[str], kind: InputKind) -> Words:
    """The words of one sentence, ready to be read.

    >>> to_word_sequence(["two", "words"], "text").sequence
    'two words'

    Raises:
        InputError: if a word is no string or empty, or the kind has no words.
    """
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(f"word {place} is {type_name(word)}; expected a string")
        if not word:
            raise InputError(f"word {place} is empty; leave it out, with its tag")
    match kind:
        case "text":
            widths = np.array([len(word) for word in words], dtype=np.int64)
            ends = np.cumsum(widths + 1) - 1
            return Words(" ".join(words), np.stack([ends - widths, ends], axis=1))
        case "symbols":
            return Words(list(words), None)
        case "series":
            raise InputError("this model reads series, and a series has no words")
        case unknown:
            assert_never(unknown)


def first_token_positions(fitted: Fitted, spans: np.ndarray | None) -> np.ndarray:
    """Where the first token of each word is in what `fitted.merge` gives, int64 (W,).

    spans: of `to_word_sequence`; None if each symbol, or position of a series, is a word.

    A word without a token, or whose first token was cut off, gets `NO_POSITION`. Devlin et al.
    2019, section 5.3, tag a word by its first token.

    Raises:
        InputError: if spans are asked for in a sequence that is no text.
    """
    tokenized = fitted.tokenized
    content = slice(tokenized.prefix, len(tokenized) - tokenized.suffix)
    if spans is None:
        first_W = np.arange(content.start, content.stop)
    else:
        if tokenized.offsets is None:
            raise InputError("the words of a sequence that is no text have no spans")
        first_W = _first_tokens(tokenized.offsets[content], spans, content.start)
    merged_L = np.full(len(tokenized) + 1, NO_POSITION)  # one more, for NO_POSITION to point at
    merged_L[fitted.positions] = np.arange(len(fitted.positions))
    found: np.ndarray = merged_L[first_W]
    return found


def _first_tokens(offsets_L2: np.ndarray, spans_W2: np.ndarray, start: int) -> np.ndarray:
    """The first token whose span reaches into each word's; tokens and words are in order.

    A token may begin with the space before a word, and may have no characters at all.
    """
    with_characters = np.flatnonzero(offsets_L2[:, 0] < offsets_L2[:, 1])
    starts, ends = offsets_L2[with_characters].T
    candidate_W = np.searchsorted(ends, spans_W2[:, 0], side="right")
    # A sentinel for words after the last token, which begins after everything.
    starts = np.append(starts, np.iinfo(np.int64).max)
    positions = np.append(with_characters + start, NO_POSITION)
    return np.where(starts[candidate_W] < spans_W2[:, 1], positions[candidate_W], NO_POSITION)
