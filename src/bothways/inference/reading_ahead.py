"""Reading the next texts of a call in a thread, while the caller computes with the last ones."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from bothways.inference.options import RunOptions
from bothways.inference.session import Session
from bothways.io.read_ahead import read_ahead
from bothways.sequences import FittedSequence

__all__ = ["fitted_chunks"]

FIRST_ROWS, MAX_ROWS = 256, 4096
"""Texts of the first chunk, for which the caller waits, and of the largest. Each chunk has twice as
many as the one before, until they are the largest; the last one has at least `FIRST_ROWS`."""


def fitted_chunks(
    session: Session, rows: Sequence[Any], options: RunOptions
) -> Generator[list[FittedSequence]]:
    """Tokenize and fit rows in chunks, of which a thread reads one ahead.

    All rows are one chunk if they are few, if they are not all texts, or if the options need all of
    them before anything is computed: `progress` reports the total, and sequences that are too long
    or mostly unknown are refused first.

    Raises:
        InputError: as `Session.prepare`; the index is that in the next chunk.
    """
    if _may_read_ahead(rows, options):
        yield from read_ahead(_read(session, rows, options), 1)
    else:
        yield session.prepare(rows, options)


def _read(
    session: Session, rows: Sequence[Any], options: RunOptions
) -> Iterator[list[FittedSequence]]:
    start, count = 0, FIRST_ROWS
    while start < len(rows):
        stop = start + count if len(rows) - start - count >= FIRST_ROWS else len(rows)
        yield session.prepare(rows[start:stop], options)
        start, count = stop, min(2 * count, MAX_ROWS)


def _may_read_ahead(rows: Sequence[Any], options: RunOptions) -> bool:
    return (
        len(rows) >= 2 * FIRST_ROWS
        and options.progress is False
        and options.on_overflow != "error"
        and options.on_unknown != "error"
        and set(map(type, rows)) <= {str, tuple}
        and all(_can_be_encoded(row) for row in rows)
    )


def _can_be_encoded(row: Any) -> bool:
    """Whether a text, or each of a pair, has a form in UTF-8; otherwise it will be refused."""
    for text in row if isinstance(row, tuple) else (row,):
        if not isinstance(text, str):
            return False
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return False
    return True
