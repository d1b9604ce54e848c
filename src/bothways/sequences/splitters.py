"""Four rules for splitting a string into symbols, each a value that `alphabet.json` can store."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from bothways.sequences.safe_patterns import LONGEST_SYMBOL, compile_pattern

__all__ = [
    "Kmers",
    "LongestMatch",
    "Pattern",
    "Pieces",
    "Separator",
    "Splitting",
    "from_fields",
    "make_splitter",
    "to_fields",
]

Pieces = tuple[list[str], list[int]]
"""The pieces of a string in order, and the index of the first character of each."""


@dataclasses.dataclass(frozen=True)
class LongestMatch:
    """Take the longest symbol of the alphabet at each position, from left to right."""


@dataclasses.dataclass(frozen=True)
class Separator:
    """Split at a separator; None for runs of whitespace.

    A separator splits as in `str.split`: between two consecutive ones is an empty symbol, which no
    alphabet has. The empty string has no symbols.
    """

    separator: str | None = None

    def __post_init__(self) -> None:
        if self.separator == "":
            raise ValueError("separator='': expected a string to split at, or None for whitespace")


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Take the next match of a regular expression, in the dialect of `safe_patterns`."""

    pattern: str

    def __post_init__(self) -> None:
        compile_pattern(self.pattern)


@dataclasses.dataclass(frozen=True)
class Kmers:
    """Take k-mers, `stride` characters apart: 1 for overlapping (Ji et al. 2021), k for adjacent.

    Characters that no k-mer covers, at the end of a string or in a string shorter than k, are
    single symbols, so that nothing is left out (Dalla-Torre et al. 2023).
    """

    k: int
    stride: int = 1

    def __post_init__(self) -> None:
        if type(self.k) is not int or type(self.stride) is not int:
            raise ValueError(f"k={self.k!r}, stride={self.stride!r}: expected whole numbers")
        if not 1 <= self.k <= LONGEST_SYMBOL:
            raise ValueError(f"k={self.k}: expected 1 to {LONGEST_SYMBOL}")
        if not 1 <= self.stride <= self.k:
            raise ValueError(
                f"stride={self.stride}: expected 1 to k={self.k}, so that no character is left out"
            )


Splitting = LongestMatch | Separator | Pattern | Kmers

_NAMES: Mapping[type, str] = {
    LongestMatch: "longest",
    Separator: "separator",
    Pattern: "pattern",
    Kmers: "kmers",
}
"""The names of the rules in `alphabet.json`."""


def make_splitter(splitting: Splitting, symbols: Sequence[str]) -> Callable[[str], Pieces]:
    """The function that splits a string by this rule.

    symbols: of the alphabet. A character at which no symbol starts is a piece by itself.
    """
    match splitting:
        case LongestMatch():
            known, lengths = frozenset(symbols), _lengths_by_first_character(symbols)
            return lambda text: _split_longest(text, known, lengths)
        case Separator(separator):
            return lambda text: _split_separated(text, separator)
        case Pattern(pattern):
            compiled = compile_pattern(pattern)
            return lambda text: _split_by_pattern(text, compiled)
        case Kmers(k, stride):
            return lambda text: _split_kmers(text, k, stride)
        case unknown:
            assert_never(unknown)


def to_fields(splitting: Splitting) -> dict[str, Any]:
    """The rule as JSON values: its name under `by`, and its settings."""
    return {"by": _NAMES[type(splitting)], **dataclasses.asdict(splitting)}


def from_fields(fields: Mapping[str, Any]) -> Splitting:
    """Read a rule that `to_fields` wrote.

    Raises:
        ValueError: names the field that is missing, unknown or wrong.
    """
    match fields:
        case {"by": "longest", **rest} if not rest:
            return LongestMatch()
        case {"by": "separator", "separator": str() | None as separator, **rest} if not rest:
            return Separator(separator)
        case {"by": "pattern", "pattern": str(pattern), **rest} if not rest:
            return Pattern(pattern)
        case {"by": "kmers", "k": k, "stride": stride, **rest} if not rest:
            return Kmers(k, stride)
    raise ValueError(
        f"{_shorten(repr(dict(fields)))}: expected by='longest'; by='separator' and separator; "
        "by='pattern' and pattern; or by='kmers', k and stride"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "..."


def _lengths_by_first_character(symbols: Sequence[str]) -> dict[str, list[int]]:
    lengths: dict[str, set[int]] = {}
    for symbol in symbols:
        lengths.setdefault(symbol[0], set()).add(len(symbol))
    return {first: sorted(group, reverse=True) for first, group in lengths.items()}


def _split_longest(
    text: str, symbols: frozenset[str], lengths: Mapping[str, Sequence[int]]
) -> Pieces:
    pieces, starts = [], []
    start, end = 0, len(text)
    while start < end:
        piece = text[start]
        for length in lengths.get(piece, ()):
            if (candidate := text[start : start + length]) in symbols:
                piece = candidate
                break
        pieces.append(piece)
        starts.append(start)
        start += len(piece)
    return pieces, starts


def _split_separated(text: str, separator: str | None) -> Pieces:
    if separator is None:
        words = [(match.group(), match.start()) for match in re.finditer(r"\S+", text)]
        return [word for word, _ in words], [start for _, start in words]
    pieces = text.split(separator) if text else []
    starts, start = [], 0
    for piece in pieces:
        starts.append(start)
        start += len(piece) + len(separator)
    return pieces, starts


def _split_by_pattern(text: str, pattern: re.Pattern[str]) -> Pieces:
    pieces, starts = [], []
    start, end = 0, len(text)
    while start < end:
        match = pattern.match(text, start, start + LONGEST_SYMBOL)
        piece = text[start] if match is None else match.group()
        pieces.append(piece)
        starts.append(start)
        start += len(piece)
    return pieces, starts


def _split_kmers(text: str, k: int, stride: int) -> Pieces:
    starts = list(range(0, len(text) - k + 1, stride))
    pieces = [text[start : start + k] for start in starts]
    rest = starts[-1] + k if starts else 0
    return pieces + list(text[rest:]), starts + list(range(rest, len(text)))
