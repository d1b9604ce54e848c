"""The unknown token: its id, how often it occurs, and what to do about it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences.fitting import FittedSequence
from bothways.sequences.reader import SequenceReader, Tokenized
from bothways.sequences.symbols import SymbolReader

__all__ = [
    "count_unknown",
    "explain_unknown",
    "has_mostly_unknown",
    "is_mostly_unknown",
    "unknown_id",
]

_MOSTLY = 0.5
"""Share of unknown tokens above which a sequence is mostly unknown."""
_PROBED_CHARACTERS = 256
_UNIGRAM_NAMES = ("<unk>", "[UNK]")
"""Names of the unknown token of a Unigram model, which does not give its own."""


def unknown_id(reader: SequenceReader | None) -> int | None:
    """The id that a reader gives what is not in its vocabulary; None if it has none."""
    if isinstance(reader, SymbolReader):
        symbol = reader.alphabet.unknown
        return None if symbol is None else reader.alphabet.id_of(symbol)
    if reader is None or reader.kind != "text":
        return None
    # Imported here because it needs a library that other kinds of models do without.
    from bothways.sequences.text import TextReader

    if not isinstance(reader, TextReader):
        return None
    tokenizer = reader.tokenizer
    is_unigram = type(tokenizer.model).__name__ == "Unigram"
    names = _UNIGRAM_NAMES if is_unigram else (getattr(tokenizer.model, "unk_token", None),)
    ids = [tokenizer.token_to_id(name) for name in names if name is not None]
    return next((index for index in ids if index is not None), None)


def count_unknown(fitted: Sequence[FittedSequence], unknown: int | None) -> list[int]:
    """Unknown tokens among those of each sequence that are encoded.

    Tokens of a prompt do not count.
    """
    if unknown is None:
        return [0] * len(fitted)
    return [_values(f).tolist().count(unknown) for f in fitted]


def is_mostly_unknown(fitted: Sequence[FittedSequence], counts: Sequence[int]) -> list[bool]:
    """Whether more than half of the content of each sequence is unknown.

    counts: of unknown tokens, as `count_unknown` gives them.
    """
    return [
        count > _MOSTLY * max(f.num_tokens - _num_added(f.tokenized), 0)
        for f, count in zip(fitted, counts, strict=True)
    ]


def has_mostly_unknown(tokenized: Tokenized, unknown: int) -> bool:
    """Whether more than half of the content of a sequence that is not cut is unknown."""
    values = tokenized.values[tokenized.prefix + tokenized.prompt :]
    content = len(tokenized) - _num_added(tokenized)
    return bool(np.count_nonzero(values == unknown) > _MOSTLY * content)


def explain_unknown(sequence: Any, reader: SequenceReader | None) -> str:
    """The likely reason why a sequence is mostly unknown, as advice: what spelling is known."""
    unknown = unknown_id(reader)
    if isinstance(sequence, str) and reader is not None and unknown is not None:
        text = sequence[:_PROBED_CHARACTERS]
        share = _share_unknown(text, reader, unknown)
        spaced = " ".join(text) if text.isascii() and " " not in text.strip() else text
        for variant, advice in (
            (text.upper(), "write them in upper case"),
            (text.lower(), "write them in lower case"),
            (spaced, "put a space between residues or symbols"),
            (spaced.upper(), "write them in upper case, with a space between residues or symbols"),
        ):
            if variant != text and _share_unknown(variant, reader, unknown) < min(share, _MOSTLY):
                return advice
    return "use a model, or an alphabet, that was made for such sequences"


def _values(fitted: FittedSequence) -> np.ndarray:
    """The values that are encoded, without those of the prompt."""
    tokenized = fitted.tokenized
    values = tokenized.values[fitted.positions] if fitted.truncated else tokenized.values
    return values[tokenized.prefix + tokenized.prompt :]


def _num_added(tokenized: Tokenized) -> int:
    """Tokens that are not of the sequence: special ones, and those of the prompt."""
    return tokenized.prefix + tokenized.middle + tokenized.suffix + tokenized.prompt


def _share_unknown(text: str, reader: SequenceReader, unknown: int) -> float:
    try:
        (tokenized,) = reader.read([text])
    except InputError:
        return 1.0
    count = np.count_nonzero(tokenized.values == unknown)
    return float(count / max(len(tokenized) - _num_added(tokenized), 1))
