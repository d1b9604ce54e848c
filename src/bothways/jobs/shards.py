"""Encoding one shard: its rows into a part, its bad rows into a report, and its record."""

import dataclasses
import hashlib
import itertools
import socket
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bothways
from bothways.errors import DataFileError, InputError, SequenceTooLong
from bothways.files import ReadProgress, Row, VectorBatch
from bothways.files.kept_cells import NO_CELLS, KeptCells, KeptTypes
from bothways.files.parts import BadRow, BadRowCode, read_part
from bothways.files.sink import Sink
from bothways.files.vector_writers import ParquetVectorWriter
from bothways.io.atomic import open_atomic
from bothways.jobs.bad_rows import BadRows, refused_row
from bothways.jobs.deadly_rows import can_fork, find_deadly_rows
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard
from bothways.jobs.records import Machine, ShardRecord
from bothways.jobs.vector_cache import VectorCache, digest_of, gather_vectors
from bothways.streaming.chunks import checked_size, encode_chunk, split_into_chunks, vector_batch
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.refusals import find_refusal
from bothways.streaming.settings import int8_scheme_of

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.vectors import SequenceVectors

__all__ = ["ShardEncoder", "ShardProgress", "machine_of", "read_shard"]

_TYPED_ROWS = 1_000
"""Rows that determine the types of columns of JSON values."""
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
Watch = Callable[[Shard, Iterable[Row]], Iterable[Row]]


class ShardEncoder:
    """Encodes shards of a job with one encoder.

    plan: sizes of chunks. max_memory: the limit that the plan keeps, which also bounds the memory
    of vectors to copy; None for no limit. watch: called with each shard and its rows that can be
    read; returns these rows.
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
        self.job, self.encoder, self._plan, self._watch = job, encoder, plan, watch
        self._machine = machine_of(encoder)
        self._kept_types = _kept_types(job)
        self._origin = dataclasses.replace(job.spec.origin, int8_scheme=int8_scheme_of(encoder))
        row_bytes = 4 * job.spec.origin.dimensions + 256
        self._max_copies = None if max_memory is None else max_memory // 16 // row_bytes

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
        with open_atomic(path, before_rename=bad.write) as file:
            sink = _HashingSink(file, str(path))
            writer = ParquetVectorWriter(sink, self._origin, self._kept_types)
            try:
                rows = self._good_rows(shard, deadly, bad, counts, report, read_progress)
                with closing(rows):
                    cache = VectorCache(self._max_copies)
                    for chunk in split_into_chunks(self._watch(shard, rows), self._plan):
                        fitting = self._fitting(chunk, bad, counts)
                        good, batch = self._encode(fitting, cache, bad, counts, report)
                        if good:
                            ids = [ids[0] if ids else good[0].id, good[-1].id]
                            writer.write(batch, KeptCells.of(good))
                writer.finish()
            except BaseException:
                sink.discards = True
                writer.finish()
                raise
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
            bytes=sink.size,
            sha256=sink.sha256,
            bad_sha256=bad.sha256,
            first_id=ids[0] if ids else None,
            last_id=ids[1] if ids else None,
            seconds=round(time.monotonic() - started, 3),
            machine=self._machine,
        )
        record.write(job.record_path(shard.shard))
        return record

    def _good_rows(
        self,
        shard: Shard,
        deadly: dict[int, BadRow],
        bad: BadRows,
        counts: ShardProgress,
        report: Report,
        read_progress: ReadProgress,
    ) -> Generator[Row]:
        """The rows that can be read; the others go to `bad`."""
        with closing(read_shard(self.job, shard, read_progress)) as rows:
            for each in rows:
                row = deadly.get(each.place.row, each)
                if isinstance(row, Row):
                    try:
                        checked_size(row, self._plan)
                    except InputError as error:
                        row = refused_row(row, "refused", error.detail)
                if isinstance(row, Row):
                    yield row
                else:
                    bad.add(row)
                    counts.count_bad(row)
                    report(counts)

    def _fitting(self, chunk: list[Row], bad: BadRows, counts: ShardProgress) -> list[Row]:
        """The rows whose copied cells are of the types of their columns; others go to `bad`."""
        try:
            self._kept_types.arrays(KeptCells.of(chunk))
        except DataFileError:
            good = []
            for row in chunk:
                try:
                    self._kept_types.arrays(KeptCells.of([row]))
                    good.append(row)
                except DataFileError as error:
                    refused = refused_row(row, "invalid", str(error))
                    bad.add(refused)
                    counts.count_bad(refused)
            return good
        return chunk

    def _encode(
        self,
        chunk: list[Row],
        cache: VectorCache,
        bad: BadRows,
        counts: ShardProgress,
        report: Report,
    ) -> tuple[list[Row], VectorBatch]:
        """Encode each text of a chunk once, and give its vector to all rows that have it."""
        keys = [digest_of(row.value) for row in chunk]
        new: dict[bytes, Row] = {}
        for key, row in zip(keys, chunk, strict=True):
            if key not in cache:
                new.setdefault(key, row)
        refused = self._encode_new(new, cache, counts, report)
        good: list[Row] = []
        places: list[tuple[SequenceVectors, int]] = []
        for key, row in zip(keys, chunk, strict=True):
            if key in refused:
                code, detail = refused[key]
                bad_row = refused_row(row, code, f"{row.place}: {detail}")
                bad.add(bad_row)
                counts.count_bad(bad_row)
            else:
                good.append(row)
                places.append(cache[key])
        vectors = gather_vectors(places, self.job.spec.origin.dimensions)
        batch = vector_batch(good, vectors, texts=self.job.spec.texts)
        cache.forget()
        counts.rows += len(good)
        counts.copied += len(good) - (len(new) - len(refused))
        counts.tokens += int(batch.num_tokens.sum())
        counts.truncated += int(batch.truncated.sum())
        counts.unknown += int(vectors.mostly_unknown.sum())
        report(counts)
        return good, batch

    def _encode_new(
        self, new: dict[bytes, Row], cache: VectorCache, counts: ShardProgress, report: Report
    ) -> dict[bytes, tuple[BadRowCode, str]]:
        """Encode rows into the cache; the code and reason of those that the model refuses."""
        if not new:
            return {}
        base = counts.tokens

        def progress(done: int, total: int) -> None:
            share = len(new) * done // max(1, total)
            report(dataclasses.replace(counts, rows=counts.rows + share, tokens=base + done))

        refused: dict[bytes, tuple[BadRowCode, str]] = {}
        spec = self.job.spec
        try:
            vectors = encode_chunk(
                self.encoder, list(new.values()), spec.settings, self._plan, progress
            )
        except InputError:
            refused = {key: why for key, row in new.items() if (why := self._refusal(row))}
            if not refused:
                raise
            new = {key: row for key, row in new.items() if key not in refused}
            if not new:
                return refused
            vectors = encode_chunk(
                self.encoder, list(new.values()), spec.settings, self._plan, progress
            )
        for index, key in enumerate(new):
            cache[key] = vectors, index
        return refused

    def _refusal(self, row: Row) -> tuple[BadRowCode, str] | None:
        """Why the model refuses a row; None if it does not."""
        error = find_refusal(self.encoder, row.value, self.job.spec.settings)
        if error is None:
            return None
        return "too_long" if isinstance(error, SequenceTooLong) else "refused", error.detail

    def _find_deadly(self, shard: Shard) -> dict[int, BadRow]:
        """The rows of a shard at which the process dies, by row."""
        if not can_fork():
            return {}
        deadly: dict[int, BadRow] = {}

        def encode(chunk: Sequence[Row]) -> None:
            for part in split_into_chunks(chunk, self._plan):
                self._encode(
                    part, VectorCache(None), BadRows(Path()), ShardProgress(), lambda _: None
                )

        with closing(read_shard(self.job, shard, ReadProgress([]))) as rows:
            good = (row for row in rows if isinstance(row, Row))
            for chunk in split_into_chunks(good, dataclasses.replace(self._plan, longest_row=None)):
                for index in find_deadly_rows(chunk, encode):
                    row = chunk[index]
                    message = f"{row.place}: the process that encoded it was killed"
                    deadly[row.place.row] = refused_row(row, "killed", message)
        return deadly


def read_shard(
    job: EncodingJob, shard: Shard, read_progress: ReadProgress
) -> Generator[Row | BadRow]:
    """The rows of a shard, in order.

    Raises:
        DataFileError: if the input cannot be read.
    """
    planned = job.plan.inputs[shard.input]
    file = job.spec.inputs[shard.input]
    selection, kept_names = planned.columns, None
    if job.spec.columns.keep == "all":
        kept_names = next(each.keep for each in job.plan.inputs if each.rows)
        if file.format in ("jsonl", "json"):  # whose rows may have columns that the first lacks
            selection = selection._replace(keep="all")
    return read_part(
        file._replace(part=shard.part),
        shard.rows,
        kind=job.spec.kind,
        selection=selection,
        on_missing=job.spec.on_missing,
        number=planned.number,
        read_progress=read_progress,
        kept_names=kept_names,
    )


def _kept_types(job: EncodingJob) -> KeptTypes:
    """The types of copied columns in all parts, as the first rows of the job have them.

    Raises:
        DataFileError: if the first values of a column have different types.
    """
    if not job.spec.columns.keep:
        return KeptTypes(NO_CELLS)
    first: list[Row] = []
    for shard in job.plan.shards:
        if len(first) == _TYPED_ROWS:
            break
        with closing(read_shard(job, shard, ReadProgress([]))) as rows:
            good = (row for row in rows if isinstance(row, Row))
            first += itertools.islice(good, _TYPED_ROWS - len(first))
    return KeptTypes(KeptCells.of(first))


def machine_of(encoder: "Encoder") -> Machine:
    """The machine and backend that an encoder runs on."""
    backend = encoder.backend
    return Machine(
        host=socket.gethostname(),
        backend=backend.name,
        device=str(backend.device),
        isa=getattr(backend, "isa", None),
        precision=backend.precision,
        threads=getattr(backend, "threads", None),
        version=bothways.__version__,
    )


class _HashingSink(Sink):
    """A sink that is written from its start to its end, with the digest of its bytes."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(file, name)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """See `Sink.write`."""
        written = super().write(data)
        if not self.discards:
            self._digest.update(data)
            self.size += written
        return written

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written, in hex."""
        return self._digest.hexdigest()
