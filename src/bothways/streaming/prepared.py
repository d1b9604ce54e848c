"""Chunks of rows that are read and tokenized while the ones before are encoded."""

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from bothways.files import ReadProgress, Row
from bothways.io.read_ahead import read_ahead
from bothways.streaming.chunks import prepare_chunk, split_into_chunks
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.settings import EncodeSettings

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import PreparedSequences

__all__ = ["PreparedChunk", "prepare_chunks"]


class PreparedChunk(NamedTuple):
    """Rows with their tokens.

    fraction: of the input that is read with them; None if it is not known.
    """

    rows: list[Row]
    prepared: "PreparedSequences"
    fraction: float | None


def prepare_chunks(
    encoder: "Encoder",
    rows: Iterable[Row],
    settings: EncodeSettings,
    plan: ChunkPlan,
    read_progress: ReadProgress,
) -> Generator[PreparedChunk]:
    """Split rows into chunks, and tokenize each in a thread while the caller encodes the last.

    Without `plan.ahead`, all is done in the thread of the caller.

    Raises:
        InputError: naming the file and row of a sequence that cannot be encoded.
    """

    def prepare() -> Iterator[PreparedChunk]:
        for chunk in split_into_chunks(rows, plan):
            fraction = read_progress.fraction
            yield PreparedChunk(chunk, prepare_chunk(encoder, chunk, settings), fraction)

    yield from read_ahead(prepare(), 1) if plan.ahead else prepare()
