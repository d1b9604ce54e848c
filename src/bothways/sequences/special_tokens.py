"""Tokens that stand for no part of a sequence, and tokens that go on with a word."""

import re
from typing import NamedTuple

import numpy as np

from bothways.sequences.reader import SequenceReader
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.text import TextReader

__all__ = ["SpecialTokens", "continuing_tokens", "special_tokens"]

_MASK = re.compile(r"\W*mask\W*", re.IGNORECASE)
"""[MASK], <mask> and the like: tokenizer.json says which tokens are special, not what for."""


_MARKS = {"##": True, "Ġ": False, "▁": False}
"""What tokens begin with, and whether it means that they go on with a word: WordPiece's, and the
space before a word as tokenizers of bytes and Metaspace write it."""


class SpecialTokens(NamedTuple):
    """Ids. mask: of the token that hides another, or None. all: of all special ones."""

    mask: int | None
    all: frozenset[int]


def special_tokens(reader: SequenceReader) -> SpecialTokens:
    """The special tokens of a reader of text or symbols; a series has none."""
    if isinstance(reader, SymbolReader):
        special = {role: reader.alphabet.id_of(s) for role, s in reader.alphabet.special.items()}
        return SpecialTokens(special.get("mask"), frozenset(special.values()))
    if isinstance(reader, TextReader):
        added = reader.tokenizer.get_added_tokens_decoder()
        ids = {index: token.content for index, token in added.items() if token.special}
        masks = [index for index, content in ids.items() if _MASK.fullmatch(content)]
        return SpecialTokens(min(masks, default=None), frozenset(ids))
    return SpecialTokens(None, frozenset())


def continuing_tokens(reader: SequenceReader) -> np.ndarray | None:
    """Which tokens go on with the word of the one before, bool (tokens,); None if none says so."""
    if not isinstance(reader, TextReader):
        return None
    vocabulary = reader.tokenizer.get_vocab()
    counts = {mark: sum(token.startswith(mark) for token in vocabulary) for mark in _MARKS}
    mark = max(_MARKS, key=lambda mark: counts[mark])
    if not counts[mark]:
        return None
    continues = np.zeros(max(vocabulary.values()) + 1, dtype=bool)
    special = special_tokens(reader).all
    for token, index in vocabulary.items():
        continues[index] = index not in special and token.startswith(mark) == _MARKS[mark]
    return continues
