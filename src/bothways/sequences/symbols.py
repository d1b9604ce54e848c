"""Reading sequences of symbols (residues, bases, atoms, events) with an `Alphabet`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bothways.errors import InputError
from bothways.sequences.alphabet import ALPHABET_FILE, Alphabet
from bothways.sequences.reader import Description, Tokenized, hint_for, type_name
from bothways.sequences.safe_patterns import LONGEST_SYMBOL
from bothways.sequences.splitters import Pieces

__all__ = ["SymbolReader"]

_LONG_CHARACTERS = 1_000_000
"""A longer str is read only as far as it matters. A shorter one is checked to its end."""

_MAX_CHARACTERS = 100_000_000
"""Longest str that is read whole, in characters: it takes about 8 GB."""


class SymbolReader:
    """Converts strings, or lists of symbols, to ids of an alphabet."""

    kind: Literal["symbols"] = "symbols"

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._begin = _ids_of(alphabet.begin, alphabet)
        self._end = _ids_of(alphabet.end, alphabet)
        # -1 marks symbols to refuse.
        self._unknown = -1 if alphabet.unknown is None else alphabet.id_of(alphabet.unknown)

    def read(
        self,
        sequences: Sequence[Any] | np.ndarray,
        *,
        prompt: str = "",
        max_length: int | None = None,
    ) -> list[Tokenized]:
        """Convert each str or list of symbols to ids, between the begin and end symbols.

        Raises:
            InputError: names the sequence, position and symbol outside the alphabet; or the size
                of a str that is too long to be read whole.
        """
        if prompt:
            raise InputError("a prompt is text, but this model reads symbols; leave it out")
        return [
            self._read_one(sequence, index, max_length) for index, sequence in enumerate(sequences)
        ]

    @property
    def added_ids(self) -> frozenset[int]:
        """Ids of the begin and end symbols."""
        return frozenset((*self._begin, *self._end))

    def prompt_length(self, prompt: str) -> int:
        """Always 0, as symbols have no prompt."""
        return 0

    def characters_read(self, max_length: int) -> int | None:
        """See `SequenceReader.characters_read`."""
        return max(_LONG_CHARACTERS, 2 * max_length)

    def save(self, folder: Path) -> None:
        """Write `alphabet.json`."""
        self.alphabet.save(folder / ALPHABET_FILE)

    def _read_one(self, sequence: Any, index: int, max_length: int | None) -> Tokenized:
        is_whole = True
        pieces, starts = None, None
        if isinstance(sequence, str) and len(sequence) > _LONG_CHARACTERS:
            if max_length is not None and (read := self._read_beginning(sequence, max_length)):
                (sequence, pieces, starts), is_whole = read, False
            else:
                _check_size(sequence, index)
        if pieces is None:
            pieces, starts = self._pieces(sequence, index)
        id_of = self.alphabet.ids.get
        ids = [*self._begin, *[id_of(piece, self._unknown) for piece in pieces], *self._end]
        if not ids:
            raise InputError(
                "has no symbols, and this alphabet adds none; leave it out",
                sequence=index,
            )
        values = np.array(ids, dtype=np.int64)
        if self._unknown < 0 and values.min() < 0:
            at = int(values.argmin()) - len(self._begin)
            raise InputError(self._refusal(pieces[at], at, starts), sequence=index)
        return Tokenized(
            values,
            describe=partial(self._describe, sequence, values),
            prefix=len(self._begin),
            suffix=len(self._end),
            is_whole=is_whole,
        )

    def _read_beginning(
        self, sequence: str, max_length: int
    ) -> tuple[str, Sequence[str], list[int]] | None:
        """The beginning of a long str and more than `max_length` symbols; None if there are fewer.

        No rule looks farther than the longest symbol: it is the same one whatever follows.
        """
        size = max(_LONG_CHARACTERS // 2, 2 * max_length)
        while size < len(sequence):
            beginning = sequence[:size]
            pieces, starts = self._pieces(beginning, 0)
            if max_length + 1 <= len(pieces) - LONGEST_SYMBOL and starts is not None:
                return beginning, pieces[: max_length + 1], starts[: max_length + 1]
            size *= 4
        return None

    def _pieces(self, sequence: Any, index: int) -> tuple[Sequence[str], list[int] | None]:
        """The pieces of the sequence and, for a str, the index of the first character of each."""
        if isinstance(sequence, str):
            if self.alphabet.outside == "runs":
                return self._merge_runs(sequence)
            return self.alphabet.split(sequence)
        if not isinstance(sequence, list | tuple):
            raise InputError(
                f"got {type_name(sequence)}; expected a string or a list of symbols"
                f"{hint_for(sequence)}",
                sequence=index,
            )
        for position, symbol in enumerate(sequence):
            if not isinstance(symbol, str):
                raise InputError(
                    f"item {position} is {type_name(symbol)}; expected a symbol (a string)",
                    sequence=index,
                )
        return [self.alphabet.fold(symbol) for symbol in sequence], None

    def _merge_runs(self, text: str) -> Pieces:
        """Merge adjacent pieces outside the alphabet; whitespace ends a run and is skipped."""
        text = self.alphabet.fold(text)
        spans: list[tuple[int, int]] = []
        in_run = False
        for piece, start in zip(*self.alphabet.split(text), strict=True):
            end, is_symbol = start + len(piece), piece in self.alphabet.ids
            if not is_symbol and piece.isspace():
                in_run = False
            elif not is_symbol and in_run:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
                in_run = not is_symbol
        return [text[start:end] for start, end in spans], [start for start, _ in spans]

    def _refusal(self, symbol: str, at: int, starts: list[int] | None) -> str:
        place = f"item {at}" if starts is None else f"character {starts[at]}"
        return (
            f"{place} is {symbol!r:.80}, which is not in the alphabet of "
            f"{self.alphabet.summary()}; correct it, or use an alphabet with an unknown symbol"
        )

    def _describe(self, sequence: Any, values: np.ndarray) -> Description:
        """The symbols as in the alphabet; unknown ones appear as the unknown symbol."""
        tokens = [self.alphabet.symbols[value] for value in values.tolist()]
        if not isinstance(sequence, str):
            return Description(tokens, None)
        pieces, starts = self._pieces(sequence, 0)
        first = np.array(starts, dtype=np.int64)
        last = first + np.array([len(piece) for piece in pieces], dtype=np.int64)
        offsets = np.zeros((len(values), 2), dtype=np.int64)
        content = slice(len(self._begin), len(values) - len(self._end))
        offsets[content] = np.stack([first, last], axis=1)[: content.stop - content.start]
        return Description(tokens, offsets)


def _check_size(sequence: str, index: int) -> None:
    if len(sequence) > _MAX_CHARACTERS:
        raise InputError(
            f"{len(sequence):,} characters are too many to read at once, at about 80 bytes of "
            f"memory for each; the limit is {_MAX_CHARACTERS:,}. Split the sequence, or choose "
            "on_overflow='truncate', which reads only its beginning",
            sequence=index,
        )


def _ids_of(symbol: str | None, alphabet: Alphabet) -> list[int]:
    return [] if symbol is None else [alphabet.id_of(symbol)]
