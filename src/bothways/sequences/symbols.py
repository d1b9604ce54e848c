"""Reading sequences of symbols (residues, bases, atoms, events) with an `Alphabet`."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bothways.errors import InputError
from bothways.sequences.alphabet import ALPHABET_FILE, Alphabet
from bothways.sequences.reader import Description, Tokenized, type_name
from bothways.sequences.splitters import Pieces

__all__ = ["SymbolReader"]


class SymbolReader:
    """Converts strings, or lists of symbols, to ids of an alphabet."""

    kind: Literal["symbols"] = "symbols"

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._begin = _ids_of(alphabet.begin, alphabet)
        self._end = _ids_of(alphabet.end, alphabet)
        # -1 marks symbols to refuse.
        self._unknown = -1 if alphabet.unknown is None else alphabet.id_of(alphabet.unknown)

    def read(self, sequences: Sequence[Any] | np.ndarray, *, prompt: str = "") -> list[Tokenized]:
        """Convert each str or list of symbols to ids, between the begin and end symbols.

        Raises:
            InputError: names the sequence, position and symbol outside the alphabet.
        """
        if prompt:
            raise InputError("a prompt is text, but this model reads symbols; leave it out")
        return [self._read_one(sequence, index) for index, sequence in enumerate(sequences)]

    @property
    def added_ids(self) -> frozenset[int]:
        """Ids of the begin and end symbols."""
        return frozenset((*self._begin, *self._end))

    def prompt_length(self, prompt: str) -> int:
        """Always 0, as symbols have no prompt."""
        return 0

    def save(self, folder: Path) -> None:
        """Write `alphabet.json`."""
        self.alphabet.save(folder / ALPHABET_FILE)

    def _read_one(self, sequence: Any, index: int) -> Tokenized:
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
        )

    def _pieces(self, sequence: Any, index: int) -> tuple[Sequence[str], list[int] | None]:
        """The pieces of the sequence and, for a str, the index of the first character of each."""
        if isinstance(sequence, str):
            if self.alphabet.outside == "runs":
                return self._merge_runs(sequence)
            return self.alphabet.split(sequence)
        if not isinstance(sequence, list | tuple):
            raise InputError(
                f"got {type_name(sequence)}; expected a string or a list of symbols", sequence=index
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
        offsets[len(self._begin) : len(values) - len(self._end)] = np.stack([first, last], axis=1)
        return Description(tokens, offsets)


def _ids_of(symbol: str | None, alphabet: Alphabet) -> list[int]:
    return [] if symbol is None else [alphabet.id_of(symbol)]
