"""Rows in, vectors out, a chunk at a time: memory is that of a chunk, whatever the file's size."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.cli.console import warn
from bothways.cli.memory import ChunkPlan
from bothways.cli.models import EncodeSettings
from bothways.cli.progress import EncodingReport
from bothways.errors import InputError
from bothways.files import Encoded, Meter, Row, VectorWriter
from bothways.sequences.unknown_tokens import explain_unknown

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import SequenceVectors

__all__ = ["Totals", "chunks", "encode_rows", "naming_rows", "within_chunk"]


@dataclasses.dataclass
class Totals:
    """What has been encoded.

    unknown: rows that consist mostly of unknown tokens. first_unknown: the first of them, with what
    to do about it.
    """

    rows: int = 0
    tokens: int = 0
    truncated: int = 0
    unknown: int = 0
    first_unknown: str = ""

    def count_unknown(self, count: int, first: str) -> None:
        """Add rows that consist mostly of unknown tokens; `first` describes the first of them."""
        self.first_unknown = self.first_unknown or first
        self.unknown += count

    def warn_of_unknown(self) -> None:
        """Warn if rows consist mostly of unknown tokens."""
        if self.unknown:
            warn(
                f"{self.unknown:,} of {self.rows:,} rows consist mostly of tokens that the model "
                f"does not know, the first is {self.first_unknown}. --on-unknown error refuses "
                "them, ignore is silent"
            )


def encode_rows(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: VectorWriter,
    *,
    settings: EncodeSettings,
    plan: ChunkPlan,
    meter: Meter,
    report: EncodingReport,
) -> Totals:
    """Encode and write all rows.

    meter: of the reader that gives the rows. report: is called after every batch.

    Raises:
        InputError: naming file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    before: float | None = 0.0
    for chunk in chunks(rows, plan):
        after = meter.share
        progress = within_chunk(report, totals.tokens, before, after)
        encodings = _encode(encoder, chunk, settings, plan, progress)
        writer.write(_with_names(chunk, encodings))
        totals.rows += len(chunk)
        totals.tokens += int(encodings.num_tokens.sum())
        totals.truncated += int(encodings.truncated.sum())
        if encodings.mostly_unknown.any():
            first = chunk[int(encodings.mostly_unknown.argmax())]
            totals.count_unknown(
                int(encodings.mostly_unknown.sum()),
                f"{first.place}; {explain_unknown(first.value, encoder.reader)}",
            )
        before = after
    return totals


def chunks(rows: Iterable[Row], plan: ChunkPlan) -> Iterator[list[Row]]:
    """Rows in lists of at most `plan.rows` rows and `plan.characters` characters.

    A row of more characters is a list by itself. Four numbers count as a character.

    Raises:
        InputError: if a row is longer than the plan allows.
    """
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        size = _size(row.value)
        if plan.longest_row is not None and size > plan.longest_row:
            raise InputError(
                f"{row.place}: {size:,} characters, and --max-memory leaves room for "
                f"{plan.longest_row:,}; raise it, or shorten the row"
            )
        if chunk and (len(chunk) == plan.rows or characters + size > plan.characters):
            yield chunk
            chunk, characters = [], 0
        chunk.append(row)
        characters += size
    if chunk:
        yield chunk


def _encode(
    encoder: "Encoder",
    chunk: list[Row],
    settings: EncodeSettings,
    plan: ChunkPlan,
    progress: Callable[[int, int], None],
) -> "SequenceVectors":
    sequences: list[object] = [row.value for row in chunk]
    with naming_rows(chunk):
        return encoder.encode_detailed(
            sequences,
            pooling=settings.pooling,
            normalize=settings.normalize,
            dimensions=settings.dimensions,
            prompt=settings.prompt,
            prompt_name=settings.prompt_name,
            role=settings.role,
            on_overflow=settings.on_overflow,
            on_unknown=settings.on_unknown,
            max_tokens=plan.batch_tokens,
            progress=progress,
        )


@contextlib.contextmanager
def naming_rows(chunk: list[Row]) -> Iterator[None]:
    """Name file and row of a sequence that cannot be encoded, rather than its place in a chunk."""
    try:
        yield
    except InputError as error:
        if error.sequence is None:
            raise
        raise InputError(f"{chunk[error.sequence].place}: {error.detail}") from error


def within_chunk(
    report: EncodingReport, tokens: int, before: float | None, after: float | None
) -> Callable[[int, int], None]:
    """Progress of a chunk, for the encoder to call, as progress of the whole."""

    def progress(done: int, total: int) -> None:
        if before is None or after is None:
            report(tokens + done, None)
        else:
            report(tokens + done, before + (after - before) * done / total)

    return progress


def _size(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case np.ndarray():
            return value.size // 4
        case _:
            return sum(len(symbol) + 1 for symbol in value)


def _with_names(chunk: list[Row], encodings: "SequenceVectors") -> Encoded:
    return Encoded(
        ids=[row.id for row in chunk],
        texts=[row.value if isinstance(row.value, str) else None for row in chunk],
        vectors=encodings.vectors,
        num_tokens=encodings.num_tokens,
        num_unknown=encodings.num_unknown,
        truncated=encodings.truncated,
    )
