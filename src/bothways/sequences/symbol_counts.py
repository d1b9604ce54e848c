"""Counting the symbols that occur in sequences, for an alphabet learned from data."""

import collections
from collections.abc import Callable, Collection, Iterable, Sequence

from bothways.errors import InputError
from bothways.sequences.splitters import Pieces

__all__ = ["frequent_symbols"]


def frequent_symbols(
    sequences: Iterable[str | Sequence[str]],
    split: Callable[[str], Pieces],
    *,
    min_count: int,
    exclude: Collection[str],
) -> list[str]:
    """The symbols that occur at least `min_count` times, the most frequent first.

    split: splits a string into symbols; lists of symbols are taken as they are.

    Raises:
        InputError: names the sequence that is neither a string nor a list of strings.
    """
    counts: collections.Counter[str] = collections.Counter()
    for index, sequence in enumerate(sequences):
        if isinstance(sequence, str):
            counts.update(split(sequence)[0])
        elif isinstance(sequence, list | tuple) and all(isinstance(s, str) for s in sequence):
            counts.update(sequence)
        else:
            raise InputError("expected a string, or a list of strings", sequence=index)
    symbols = (s for s, count in counts.items() if count >= min_count and s and s not in exclude)
    return sorted(symbols, key=lambda symbol: (-counts[symbol], symbol))
