"""Encoding one shard: its rows into a part, its bad rows into a report, and its record."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from bothways.files import ReadProgress, Row, VectorBatch
from bothways.files.kept_cells import KeptCells
from bothways.files.parts import BadRow
from bothways.io.atomic import open_atomic
from bothways.jobs.bad_rows import BadRows, refused_row
from bothways.jobs.deadly_rows import can_fork, find_deadly_rows
from bothways.jobs.job import EncodingJob
from bothways.jobs.part_writer import PartWriter
from bothways.jobs.plan import Shard
from bothways.jobs.records import ShardRecord, machine_of
from bothways.jobs.shard_chunks import ShardChunk, ShardReader, Watch
from bothways.jobs.shard_rows import kept_types, read_shard
from bothways.jobs.text_cache import TextCache, gather_vectors
from bothways.streaming.chunks import encode_chunk, split_into_chunks, vector_batch
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.settings import int8_scheme_of

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import SequenceVectors

__all__ = ["ShardEncoder", "ShardProgress"]

_TRUSTED_ATTEMPTS = 2
"""Workers that may die at a shard before its rows are tried one by one."""


@dataclasses.dataclass
class ShardProgress:
    """Counts of a shard while it is encoded: see `ShardRecord`.

    first_bad: why the first bad row is one.
    """

    rows: int = 0
    tokens: int = 0
    truncated: int = 0
    unknown: int = 0
    copied: int = 0
    bad: int = 0
    first_bad: str = ""

    def count_bad(self, row: BadRow) -> None:
        """Count a bad row."""
        self.bad += 1
        self.first_bad = self.first_bad or row.message


Report = Callable[[ShardProgress], object]
VectorCache = TextCache["tuple[SequenceVectors, int]"]


class ShardEncoder:
    """Encodes shards of a job with one encoder.

    plan: sizes of chunks. max_memory: the limit that the plan keeps, which also bounds the memory
    of vectors to copy; None for no limit. watch: called with each shard and its rows that can be
    read, in another thread; returns these rows.
    """

    def __init__(
        self,
        job: EncodingJob,
        encoder: "Encoder",
        plan: ChunkPlan,
        *,
        max_memory: int | None = None,
        watch: Watch = lambda shard, rows: rows,
    ) -> None:
        self.job, self.encoder, self._plan = job, encoder, plan
        self._machine = machine_of(encoder)
        self._origin = dataclasses.replace(job.spec.origin, int8_scheme=int8_scheme_of(encoder))
        row_bytes = 4 * job.spec.origin.dimensions + 256
        self._reader = ShardReader(
            job=job,
            encoder=encoder,
            plan=plan,
            kept_types=kept_types(job),
            max_copies=None if max_memory is None else max_memory // 16 // row_bytes,
            watch=watch,
        )

    def run(
        self, shard: Shard, *, attempt: int = 1, report: Report = lambda _: None
    ) -> ShardRecord:
        """Encode a shard, and write its bad rows, its part and its record, in this order.

        attempt: one more than the number of workers that died at the shard. report: called after
            each batch; what it raises ends the work, and leaves no files.

        Raises:
            DataFileError: if an input cannot be read, or a file cannot be written.
        """
        started = time.monotonic()
        job, counts, bad = self.job, ShardProgress(), BadRows(self.job.bad_path(shard.shard))
        deadly = self._find_deadly(shard) if attempt > _TRUSTED_ATTEMPTS else {}
        read_progress = ReadProgress([])
        path = job.part_path(shard.shard)
        ids: list[str] = []
        cache: VectorCache = TextCache(self._reader.max_copies)
        with (
            open_atomic(path, before_rename=bad.write) as file,
            PartWriter(
                file,
                str(path),
                self._origin,
                self._reader.kept_types,
                job.spec.ranges,
                behind=self._plan.ahead,
            ) as part,
            closing(self._reader.chunks(shard, deadly, read_progress)) as chunks,
        ):
            for chunk in chunks:
                for row in chunk.bad:
                    bad.add(row)
                    counts.count_bad(row)
                    report(counts)
                batch = self._encode(chunk, cache, counts, report)
                if chunk.rows:
                    ids = [ids[0] if ids else chunk.rows[0].id, chunk.rows[-1].id]
                    part.write(batch, KeptCells.of(chunk.rows))
        record = ShardRecord(
            shard=shard.shard,
            part=path.name,
            rows=counts.rows,
            tokens=counts.tokens,
            truncated=counts.truncated,
            unknown=counts.unknown,
            copied=counts.copied,
            bad=counts.bad,
            missing=read_progress.missing,
            bytes=part.size,
            sha256=part.sha256,
            bad_sha256=bad.sha256,
            first_id=ids[0] if ids else None,
            last_id=ids[1] if ids else None,
            seconds=round(time.monotonic() - started, 3),
            machine=self._machine,
        )
        record.write(job.record_path(shard.shard))
        return record

    def _encode(
        self, chunk: ShardChunk, cache: VectorCache, counts: ShardProgress, report: Report
    ) -> VectorBatch:
        """Encode each new text of a chunk, and give its vector to all rows that have it."""
        if chunk.new:
            vectors = self._encode_new(chunk, counts, report)
            cache.update((key, (vectors, index)) for index, key in enumerate(chunk.new))
        places = [cache[key] for key in chunk.keys]
        vectors = gather_vectors(places, self.job.spec.origin.dimensions)
        batch = vector_batch(chunk.rows, vectors, texts=self.job.spec.texts)
        cache.forget()
        counts.rows += len(chunk.rows)
        counts.copied += len(chunk.rows) - len(chunk.new)
        counts.tokens += int(batch.num_tokens.sum())
        counts.truncated += int(batch.truncated.sum())
        counts.unknown += int(vectors.mostly_unknown.sum())
        report(counts)
        return batch

    def _encode_new(
        self, chunk: ShardChunk, counts: ShardProgress, report: Report
    ) -> "SequenceVectors":
        base = counts.tokens

        def progress(done: int, total: int) -> None:
            share = len(chunk.new) * done // max(1, total)
            report(dataclasses.replace(counts, rows=counts.rows + share, tokens=base + done))

        return encode_chunk(
            self.encoder,
            list(chunk.new.values()),
            self.job.spec.settings,
            self._plan,
            progress,
            chunk.prepared,
        )

    def _find_deadly(self, shard: Shard) -> dict[int, BadRow]:
        """The rows of a shard at which the process dies, by row."""
        if not can_fork():
            return {}
        deadly: dict[int, BadRow] = {}

        def encode(rows: Sequence[Row]) -> None:
            for part in split_into_chunks(rows, self._plan):
                chunk = self._reader.prepare(part, [], TextCache(None))
                self._encode(chunk, TextCache(None), ShardProgress(), lambda _: None)

        with closing(read_shard(self.job, shard, ReadProgress([]))) as rows:
            good = (row for row in rows if isinstance(row, Row))
            for chunk in split_into_chunks(good, dataclasses.replace(self._plan, longest_row=None)):
                for index in find_deadly_rows(chunk, encode):
                    row = chunk[index]
                    message = f"{row.place}: the process that encoded it was killed"
                    deadly[row.place.row] = refused_row(row, "killed", message)
        return deadly
