"""The rows of a shard in chunks that are ready to be encoded, and those that cannot be."""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from bothways.errors import DataFileError, InputError, SequenceTooLong
from bothways.files import ReadProgress, Row
from bothways.files.kept_cells import KeptCells, KeptTypes
from bothways.files.parts import BadRow, BadRowCode
from bothways.io.read_ahead import read_ahead
from bothways.jobs.bad_rows import refused_row
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard
from bothways.jobs.shard_rows import read_shard
from bothways.jobs.text_cache import TextCache, digest_of
from bothways.streaming.chunks import checked_size, prepare_chunk, split_into_chunks
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.refusals import find_refusal

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import PreparedSequences

__all__ = ["ShardChunk", "ShardReader", "Watch"]

Watch = Callable[[Shard, Iterable[Row]], Iterable[Row]]


class ShardChunk(NamedTuple):
    """Rows that can be encoded, and the bad rows that were found since the chunk before.

    keys: digests of the rows' texts. new: the rows to encode, by key: the first of each text whose
    vector is not in memory. prepared: their tokens; None if there are none.
    """

    rows: list[Row]
    keys: list[bytes]
    new: dict[bytes, Row]
    prepared: "PreparedSequences | None"
    bad: list[BadRow]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardReader:
    """Reads and tokenizes the rows of shards.

    kept_types: of copied cells. max_copies: texts of a shard whose vectors are remembered; None for
    no limit. watch: called with each shard and its rows that can be read; returns these rows.
    """

    job: EncodingJob
    encoder: "Encoder"
    plan: ChunkPlan
    kept_types: KeptTypes
    max_copies: int | None
    watch: Watch

    def chunks(
        self, shard: Shard, deadly: dict[int, BadRow], read_progress: ReadProgress
    ) -> Generator[ShardChunk]:
        """The chunks of a shard, each read in a thread while the caller encodes the one before.

        deadly: rows that are not encoded, by number.

        Raises:
            DataFileError: if an input cannot be read.
        """
        chunks = self._chunks(shard, deadly, read_progress)
        with closing(read_ahead(chunks, 1) if self.plan.ahead else chunks) as ready:
            yield from ready

    def prepare(self, chunk: list[Row], bad: list[BadRow], known: TextCache[None]) -> ShardChunk:
        """Tokenize the new texts of rows; those that cannot be encoded are appended to `bad`.

        known: texts of earlier chunks, to which those of this one are added.
        """
        rows = self._fitting(chunk, bad)
        keys = [digest_of(row.value) for row in rows]
        new: dict[bytes, Row] = {}
        for key, row in zip(keys, rows, strict=True):
            if key not in known:
                new.setdefault(key, row)
        refused, prepared = self._tokenize(new)
        if refused:
            new = {key: row for key, row in new.items() if key not in refused}
            good = []
            for key, row in zip(keys, rows, strict=True):
                if key in refused:
                    code, detail = refused[key]
                    bad.append(refused_row(row, code, f"{row.place}: {detail}"))
                else:
                    good.append((key, row))
            keys, rows = [key for key, _ in good], [row for _, row in good]
        known.update(dict.fromkeys(new))
        known.forget()
        return ShardChunk(rows, keys, new, prepared, bad)

    def _chunks(
        self, shard: Shard, deadly: dict[int, BadRow], read_progress: ReadProgress
    ) -> Generator[ShardChunk]:
        bad: list[BadRow] = []
        known: TextCache[None] = TextCache(self.max_copies)
        with closing(self._good_rows(shard, deadly, bad, read_progress)) as rows:
            for chunk in split_into_chunks(self.watch(shard, rows), self.plan):
                found = bad.copy()
                bad.clear()
                yield self.prepare(chunk, found, known)
        if bad:
            yield ShardChunk([], [], {}, None, bad)

    def _good_rows(
        self,
        shard: Shard,
        deadly: dict[int, BadRow],
        bad: list[BadRow],
        read_progress: ReadProgress,
    ) -> Generator[Row]:
        """The rows that can be read; the others are appended to `bad`."""
        with closing(read_shard(self.job, shard, read_progress)) as rows:
            for each in rows:
                row = deadly.get(each.place.row, each)
                if isinstance(row, Row):
                    try:
                        checked_size(row, self.plan)
                    except InputError as error:
                        row = refused_row(row, "refused", error.detail)
                if isinstance(row, Row):
                    yield row
                else:
                    bad.append(row)

    def _fitting(self, chunk: list[Row], bad: list[BadRow]) -> list[Row]:
        """The rows whose copied cells are of the types of their columns."""
        try:
            self.kept_types.arrays(KeptCells.of(chunk))
        except DataFileError:
            return list(self._fitting_rows(chunk, bad))
        return chunk

    def _fitting_rows(self, chunk: list[Row], bad: list[BadRow]) -> Iterator[Row]:
        for row in chunk:
            try:
                self.kept_types.arrays(KeptCells.of([row]))
                yield row
            except DataFileError as error:
                bad.append(refused_row(row, "invalid", str(error)))

    def _tokenize(
        self, new: dict[bytes, Row]
    ) -> "tuple[dict[bytes, tuple[BadRowCode, str]], PreparedSequences | None]":
        """Why the model refuses texts, by key, and the tokens of the others."""
        rows, settings = list(new.values()), self.job.spec.settings
        if not rows:
            return {}, None
        try:
            prepared = prepare_chunk(self.encoder, rows, settings)
        except InputError:
            refused = {key: why for key, row in new.items() if (why := self._refusal(row))}
            if not refused:
                raise
            rows = [row for key, row in new.items() if key not in refused]
            return refused, prepare_chunk(self.encoder, rows, settings) if rows else None
        return {}, prepared

    def _refusal(self, row: Row) -> tuple[BadRowCode, str] | None:
        """Why the model refuses a row; None if it does not."""
        error = find_refusal(self.encoder, row.value, self.job.spec.settings)
        if error is None:
            return None
        return "too_long" if isinstance(error, SequenceTooLong) else "refused", error.detail
