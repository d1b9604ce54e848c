"""A sequence as the pieces that a page shows: its text, split where tokens begin and end."""

import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bothways.io.printable import printable

__all__ = ["Piece", "pieces_of"]

MAX_REST = 300
"""Characters of the text after the last token that a page shows."""

_JOINER = "\u200d"


class Piece(NamedTuple):
    """A part of a sequence.

    text: what is shown. positions: the tokens in it; empty for text between tokens, and several
    where tokens end inside a character that readers see as one.
    kind: `token`, `added` for special tokens and the prompt, `gap`, or `rest` for cut text.
    """

    text: str
    positions: list[int]
    kind: str


def pieces_of(
    sequence: Any,
    tokens: list[str],
    offsets: np.ndarray | None,
    texts: np.ndarray,
    added: np.ndarray,
) -> list[Piece]:
    """The pieces in the order of positions; the text between tokens is kept.

    sequence: a str, or a pair of them, where `offsets` are of it.
    """
    sources = _sources(sequence)
    if offsets is None or sources is None:
        return [
            Piece(printable(token), [position], "added" if is_added else "token")
            for position, (token, is_added) in enumerate(zip(tokens, added.tolist(), strict=True))
        ]
    return list(_merge(_in_text(sources, tokens, offsets, texts.tolist(), added.tolist())))


def _sources(sequence: Any) -> tuple[str, ...] | None:
    if isinstance(sequence, str):
        return (sequence,)
    if isinstance(sequence, tuple) and all(isinstance(text, str) for text in sequence):
        return sequence
    return None


class _Span(NamedTuple):
    """A piece before it is shown; `joins` where it belongs to the character before it."""

    text: str
    positions: list[int]
    kind: str
    joins: bool


def _in_text(
    sources: tuple[str, ...],
    tokens: list[str],
    offsets: np.ndarray,
    texts: list[int],
    added: list[bool],
) -> Iterator[_Span]:
    ends = [0] * len(sources)
    last = {text: position for position, text in enumerate(texts) if not added[position]}
    for position, (start, end) in enumerate(offsets.tolist()):
        text = texts[position]
        source = sources[text]
        if added[position]:
            yield _Span(tokens[position], [position], "added", joins=False)
            continue
        if start > ends[text]:
            yield _Span(source[ends[text] : start], [], "gap", joins=False)
        begin = max(start, ends[text])
        joins = start < ends[text] or (begin < end and not _begins_character(source, begin))
        yield _Span(source[begin:end], [position], "token", joins)
        ends[text] = max(ends[text], end)
        if last.get(text) == position and (rest := source[ends[text] :]):
            shown = rest if len(rest) <= MAX_REST else rest[: MAX_REST - 1] + "…"
            yield _Span(shown, [], "rest" if rest.strip() else "gap", joins=False)


def _merge(spans: Iterator[_Span]) -> Iterator[Piece]:
    """Join the tokens of one visible character; escape what would mislead."""
    held: _Span | None = None
    for span in spans:
        if held is not None and span.joins and held.kind == "token":
            held = held._replace(
                text=held.text + span.text, positions=held.positions + span.positions
            )
            continue
        if held is not None:
            yield _shown(held)
        held = span
    if held is not None:
        yield _shown(held)


def _shown(span: _Span) -> Piece:
    lines = span.text.split("\n")
    return Piece("\n".join(printable(line) for line in lines), span.positions, span.kind)


def _begins_character(text: str, index: int) -> bool:
    """Whether a character that readers see as one begins here.

    Marks, joiners, modifiers of emoji and the second half of a flag do not begin one: the cases of
    Unicode's annex 29 (grapheme clusters) that occur in practice.
    """
    if index == 0:
        return True
    character, before = text[index], text[index - 1]
    if unicodedata.category(character).startswith("M") or before == _JOINER:
        return False
    if character == _JOINER or "\U0001f3fb" <= character <= "\U0001f3ff":
        return False
    return not (_is_regional(character) and _regionals_before(text, index) % 2)


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals_before(text: str, index: int) -> int:
    count = 0
    while count < index and _is_regional(text[index - count - 1]):
        count += 1
    return count
