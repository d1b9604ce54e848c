"""Encode rows, or predict from them, in chunks: memory does not grow with the size of the file."""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bothways.cli.console import note, warn
from bothways.cli.prediction_records import Cells, Predictor
from bothways.cli.progress import EncodingReport
from bothways.errors import TruncationWarning, UnknownTokenWarning
from bothways.files import ReadProgress, Row, VectorBatch, VectorWriter
from bothways.files.kept_cells import KeptCells
from bothways.files.record_writers import RecordWriter
from bothways.files.token_output import TokenBatch, TokenWriter
from bothways.io.progress import ProgressCallback
from bothways.io.write_behind import WriteBehind
from bothways.sequences.unknown_tokens import explain_unknown
from bothways.streaming.chunks import (
    encode_chunk,
    name_row_in_errors,
    split_into_chunks,
    text_or_none,
    vector_batch,
)
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.prepared import prepare_chunks
from bothways.streaming.settings import EncodeSettings

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import SequenceVectors

__all__ = [
    "CHUNK_COLUMNS",
    "Totals",
    "encode_chunked_rows",
    "encode_rows",
    "encode_tokens",
    "predict_rows",
    "report_totals",
]

CHUNK_COLUMNS = ("start", "end")
"""Columns of the characters of its row that a chunk covers, beside those of all vectors."""


@dataclasses.dataclass
class Totals:
    """Counts of a finished run: rows, their tokens, and the rows that were truncated.

    unknown: rows that consist mostly of unknown tokens. first_unknown: the place of the first of
    them, and what to do about it.
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


def encode_rows(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: VectorWriter,
    *,
    settings: EncodeSettings,
    plan: ChunkPlan,
    read_progress: ReadProgress,
    report: EncodingReport,
    texts: bool = True,
) -> Totals:
    """Encode and write all rows.

    read_progress: progress of the reader that yields the rows. report: called after every batch.
    texts: whether to write the texts.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    before: float | None = 0.0
    chunks = prepare_chunks(encoder, rows, settings, plan, read_progress)
    with contextlib.closing(chunks), WriteBehind(enabled=plan.ahead) as behind:
        for chunk, prepared, after in chunks:
            progress = _chunk_progress(report, totals.tokens, before, after)
            encodings = encode_chunk(encoder, chunk, settings, plan, progress, prepared)
            batch = vector_batch(chunk, encodings, texts=texts)
            behind.submit(partial(writer.write, batch, KeptCells.of(chunk)))
            _count(totals, chunk, encodings, settings, encoder)
            before = after
    return totals


def _count(
    totals: Totals,
    chunk: list[Row],
    encodings: "SequenceVectors",
    settings: EncodeSettings,
    encoder: "Encoder",
) -> None:
    totals.rows += len(chunk)
    totals.tokens += int(encodings.num_tokens.sum())
    totals.truncated += int(encodings.truncated.sum())
    if settings.on_unknown == "warn" and encodings.mostly_unknown.any():
        first = chunk[int(encodings.mostly_unknown.argmax())]
        totals.count_unknown(
            int(encodings.mostly_unknown.sum()),
            f"{first.place}; {explain_unknown(first.value, encoder.reader)}",
        )


def predict_rows(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: RecordWriter,
    predictor: Predictor,
    *,
    plan: ChunkPlan,
    read_progress: ReadProgress,
    report: EncodingReport,
) -> Totals:
    """Predict and write all rows.

    read_progress: progress of the reader that yields the rows. report: called after every batch.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    for chunk, progress in _each_chunk(rows, totals, plan, read_progress, report):
        counted = _TokenCount(progress)
        with _count_warnings(chunk, totals):
            cells, truncated = predictor.predict(
                encoder,
                [predictor.sequence(row.value) for row in chunk],
                plan.batch_tokens,
                counted,
            )
        records = _row_cells(chunk) | cells | {"truncated": truncated.tolist()}
        writer.write(records, KeptCells.of(chunk))
        totals.tokens += counted.total
        totals.truncated += int(truncated.sum())
    return totals


def encode_tokens(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: TokenWriter,
    *,
    settings: EncodeSettings,
    plan: ChunkPlan,
    read_progress: ReadProgress,
    report: EncodingReport,
    texts: bool = True,
) -> Totals:
    """Encode all rows and write a vector for each of their tokens.

    read_progress: progress of the reader that yields the rows. report: called after every batch.
    texts: whether to write the texts.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    for chunk, progress in _each_chunk(rows, totals, plan, read_progress, report):
        with _count_warnings(chunk, totals):
            contextual = encoder.contextualize(
                [row.value for row in chunk],
                prompt=settings.prompt,
                prompt_name=settings.prompt_name,
                on_overflow=settings.on_overflow,
                on_unknown=settings.on_unknown,
                max_tokens=plan.batch_tokens,
                progress=progress,
            )
        writer.write(
            TokenBatch(
                ids=[row.id for row in chunk],
                texts=[text_or_none(row.value) if texts else None for row in chunk],
                tokens=[each.tokens for each in contextual],
                offsets=[each.offsets for each in contextual],
                vectors=[each.vectors for each in contextual],
                truncated=[each.truncated for each in contextual],
            ),
            KeptCells.of(chunk),
        )
        totals.tokens += sum(len(each.tokens) for each in contextual)
        totals.truncated += sum(each.truncated for each in contextual)
    return totals


def encode_chunked_rows(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: VectorWriter,
    *,
    chunks: int | Literal["sentences"],
    settings: EncodeSettings,
    plan: ChunkPlan,
    read_progress: ReadProgress,
    report: EncodingReport,
    texts: bool = True,
) -> Totals:
    """Encode all rows and write a vector for each of their chunks, with its characters.

    chunks: as in `Encoder.encode_chunks`. read_progress: progress of the reader that yields the
    rows. report: called after every batch. texts: whether to write the texts of chunks.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    for part, progress in _each_chunk(rows, totals, plan, read_progress, report):
        counted = _TokenCount(progress)
        with _count_warnings(part, totals):
            results = encoder.encode_chunks(
                [row.value for row in part],
                chunks=chunks,
                pooling=settings.pooling,
                normalize=settings.normalize,
                dimensions=settings.dimensions,
                prompt=settings.prompt,
                prompt_name=settings.prompt_name,
                on_overflow=settings.on_overflow,
                on_unknown=settings.on_unknown,
                max_tokens=plan.batch_tokens,
                progress=counted,
            )
        chunk_rows = [
            row._replace(
                value=row.value[chunk.start : chunk.end],
                cells={**row.cells, "start": chunk.start, "end": chunk.end},
            )
            for row, result in zip(part, results, strict=True)
            for chunk in result
        ]
        if chunk_rows:
            batch = VectorBatch(
                ids=[row.id for row in chunk_rows],
                texts=[row.value if texts else None for row in chunk_rows],
                vectors=np.concatenate([result.vectors for result in results]),
                num_tokens=np.concatenate([result.num_tokens for result in results]),
                num_unknown=np.concatenate([result.num_unknown for result in results]),
                truncated=np.repeat([result.truncated for result in results], [*map(len, results)]),
            )
            writer.write(batch, KeptCells.of(chunk_rows))
        totals.tokens += counted.total
        totals.truncated += sum(result.truncated for result in results)
    return totals


def _each_chunk(
    rows: Iterable[Row],
    totals: Totals,
    plan: ChunkPlan,
    read_progress: ReadProgress,
    report: EncodingReport,
) -> Iterator[tuple[list[Row], ProgressCallback]]:
    """Yield each chunk of rows, and the callback for the progress of its tokens.

    The rows of a chunk are counted in `totals`, to which the caller adds its tokens.
    """
    before: float | None = 0.0
    for chunk in split_into_chunks(rows, plan):
        after = read_progress.fraction
        yield chunk, _chunk_progress(report, totals.tokens, before, after)
        totals.rows += len(chunk)
        before = after


def report_totals(
    action: str, totals: Totals, seconds: float, *, max_length: int, quiet: bool
) -> None:
    """Warn of truncated rows and unknown tokens; print rows and tokens per second unless quiet.

    action: what was done, such as `encoded`. max_length: of the model, in positions.
    """
    if totals.truncated:
        warn(
            f"truncated {totals.truncated:,} of {totals.rows:,} rows to the model's maximum length "
            f"of {max_length} positions; use --on-overflow window to read them whole"
        )
    if totals.unknown:
        warn(
            f"{totals.unknown:,} of {totals.rows:,} rows consist mostly of tokens that the model "
            f"does not know, the first is {totals.first_unknown}; use --on-unknown error to refuse "
            "them, or ignore"
        )
    if not quiet:
        note(
            f"{action} {totals.rows:,} rows, {totals.tokens:,} tokens, in {seconds:.1f} s "
            f"({totals.tokens / max(seconds, 1e-3):,.0f} tokens/s)"
        )


def _chunk_progress(
    report: EncodingReport, tokens: int, before: float | None, after: float | None
) -> ProgressCallback:
    """A callback for the encoder, which reports the progress of a chunk as that of the whole run.

    tokens: encoded before the chunk. before, after: fraction of the input read before and after it.
    """

    def progress(done: int, total: int) -> None:
        if before is None or after is None:
            report(tokens + done, None)
        else:
            report(tokens + done, before + (after - before) * done / total)

    return progress


def _row_cells(chunk: list[Row]) -> Cells:
    return {"id": [row.id for row in chunk], "text": [_row_text(row.value) for row in chunk]}


def _row_text(value: Any) -> str | None:
    """A row as text, for the output; None for numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "\t".join(value)
    return " ".join(value) if isinstance(value, list) else None


@contextlib.contextmanager
def _count_warnings(chunk: list[Row], totals: Totals) -> Iterator[None]:
    """Count the rows that warnings are about, repeat other warnings, and name rows in errors."""
    with name_row_in_errors(chunk), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", TruncationWarning)  # the totals count truncated rows
        warnings.simplefilter("always", UnknownTokenWarning)  # and these
        yield
    for entry in caught:
        if isinstance(entry.message, UnknownTokenWarning):
            place = chunk[entry.message.first].place
            totals.count_unknown(entry.message.count, f"{place}; {entry.message.advice}")
        else:
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)


class _TokenCount:
    """Passes progress on, and keeps the total number of tokens."""

    def __init__(self, progress: ProgressCallback) -> None:
        self._progress = progress
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        self.total = total
        self._progress(done, total)
