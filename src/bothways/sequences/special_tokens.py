"""Special tokens of a vocabulary, and tokens that continue a word."""

import re
from typing import NamedTuple

import numpy as np

from bothways.sequences.reader import SequenceReader
from bothways.sequences.symbols import SymbolReader
from bothways.sequences.text import TextReader

__all__ = ["SpecialTokens", "continuing_tokens", "special_tokens"]

_MASK = re.compile(r"\W*mask\W*", re.IGNORECASE)
"""[MASK], <mask> and the like: tokenizer.json marks special tokens, but not their roles."""

_CONTINUES_WORD = {"##": True, "Ġ": False, "▁": False}
"""Whether a token with this prefix continues a word: WordPiece's prefix, and the space before a
word in byte-level and Metaspace tokenizers."""


class SpecialTokens(NamedTuple):
    """Ids of special tokens.

    mask: of the mask token, or None. all: of all special tokens.
    """

    mask: int | None
    all: frozenset[int]


def special_tokens(reader: SequenceReader) -> SpecialTokens:
    """The special tokens of a reader of text or symbols; series have none."""
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
    """Which tokens continue the word of the previous token, bool (V,); None if unknown."""
    if not isinstance(reader, TextReader):
        return None
    if getattr(reader.tokenizer.model, "end_of_word_suffix", None):
        return None  # a token says whether another follows, not whether it continues one
    vocabulary = reader.vocabulary
    counts = {p: sum(token.startswith(p) for token in vocabulary) for p in _CONTINUES_WORD}
    prefix = max(counts, key=lambda p: counts[p])
    if not counts[prefix]:
        return None
    continues = np.zeros(max(vocabulary.values()) + 1, dtype=bool)
    special = special_tokens(reader).all
    for token, index in vocabulary.items():
        starts_word = token.startswith(prefix) != _CONTINUES_WORD[prefix]
        continues[index] = index not in special and not starts_word
    return continues
