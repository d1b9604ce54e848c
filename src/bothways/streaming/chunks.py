"""Chunks of rows: limits of their sizes, their vectors, and errors that name the row."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bothways.errors import InputError
from bothways.files import Row, VectorBatch
from bothways.io.progress import ProgressCallback
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.settings import EncodeSettings

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import PreparedSequences, SequenceVectors

__all__ = [
    "checked_size",
    "encode_chunk",
    "name_row_in_errors",
    "prepare_chunk",
    "split_into_chunks",
    "text_or_none",
    "vector_batch",
]


def split_into_chunks(rows: Iterable[Row], plan: ChunkPlan) -> Iterator[list[Row]]:
    """Split rows into lists of at most `plan.rows` rows and `plan.characters` characters.

    A longer row is a list of its own.

    Raises:
        InputError: if a row is longer than the plan allows.
    """
    chunk: list[Row] = []
    characters = 0
    for row in rows:
        size = checked_size(row, plan)
        if chunk and (len(chunk) == plan.rows or characters + size > plan.characters):
            yield chunk
            chunk, characters = [], 0
        chunk.append(row)
        characters += size
    if chunk:
        yield chunk


def checked_size(row: Row, plan: ChunkPlan) -> int:
    """The size of a row in characters.

    Raises:
        InputError: if the row is longer than the plan allows.
    """
    size = plan.size_of(row.value)
    if plan.longest_row is not None and size > plan.longest_row:
        raise InputError(
            f"{row.place}: {size:,} characters, but --max-memory leaves room for only "
            f"{plan.longest_row:,}; raise the limit or shorten the row"
        )
    return size


def prepare_chunk(
    encoder: "Encoder", chunk: list[Row], settings: EncodeSettings
) -> "PreparedSequences":
    """Tokenize the rows of a chunk, for `encode_chunk` in another thread.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    with name_row_in_errors(chunk):
        return encoder.prepare(
            [row.value for row in chunk],
            prompt=settings.prompt,
            prompt_name=settings.prompt_name,
            role=settings.role,
            on_overflow=settings.on_overflow,
            on_unknown=settings.on_unknown,
        )


def encode_chunk(
    encoder: "Encoder",
    chunk: list[Row],
    settings: EncodeSettings,
    plan: ChunkPlan,
    progress: ProgressCallback,
    prepared: "PreparedSequences | None" = None,
) -> "SequenceVectors":
    """Encode the rows of a chunk.

    prepared: what `prepare_chunk` returned for them; None to tokenize them now.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """
    sequences: Any = [row.value for row in chunk] if prepared is None else prepared
    with name_row_in_errors(chunk):
        vectors: SequenceVectors = encoder.encode_detailed(
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
    return vectors


@contextlib.contextmanager
def name_row_in_errors(chunk: list[Row]) -> Iterator[None]:
    """Let errors name the file and row of a sequence, instead of its index in the chunk."""
    try:
        yield
    except InputError as error:
        if error.sequence is None:
            raise
        raise InputError(f"{chunk[error.sequence].place}: {error.detail}") from error


def vector_batch(
    chunk: list[Row], encodings: "SequenceVectors", *, texts: bool = True
) -> VectorBatch:
    """The rows of a chunk with their vectors, for a writer, and with their texts or without."""
    return VectorBatch(
        ids=[row.id for row in chunk],
        texts=[text_or_none(row.value) if texts else None for row in chunk],
        vectors=encodings.vectors,
        num_tokens=encodings.num_tokens,
        num_unknown=encodings.num_unknown,
        truncated=encodings.truncated,
    )


def text_or_none(value: Any) -> str | None:
    """A text, for the output; None for another sequence."""
    return value if isinstance(value, str) else None
