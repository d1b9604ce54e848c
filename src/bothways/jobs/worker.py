"""Workers: they take one shard after another, until none is left."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

from bothways.errors import DataFileError
from bothways.files.vector_form import VectorCodec
from bothways.io.sizes import format_bytes
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard
from bothways.jobs.records import ShardRecord
from bothways.jobs.shards import ShardEncoder, ShardProgress

__all__ = [
    "BadLimit",
    "JobProgress",
    "JobTracker",
    "TooManyBadRows",
    "check_room",
    "encode_shard",
    "run_worker",
]

_LEAST_BAD = 1_000
_WAIT_SECONDS = 1.0


class TooManyBadRows(DataFileError):
    """More rows cannot be encoded than `--max-bad` allows."""


@dataclasses.dataclass(frozen=True)
class BadLimit:
    """How many bad rows end a job: a number, or a share of the rows read, above 1,000 rows."""

    rows: int | None = None
    share: float = 0.01

    @classmethod
    def parse(cls, text: str) -> "BadLimit":
        """Read `100` or `1%`.

        Raises:
            ValueError: for anything else.
        """
        number, percent = text.removesuffix("%").strip(), text.endswith("%")
        try:
            if percent and 0 <= float(number) <= 100:
                return cls(None, float(number) / 100)
            if not percent and int(number) >= 0:
                return cls(int(number))
        except ValueError:
            pass
        raise ValueError(f"{text!r}: expected a number of rows such as 100, or a share such as 1%")

    def allows(self, bad: int, rows: int) -> bool:
        """Whether `bad` rows, of `rows` that were read, are few enough."""
        if self.rows is not None:
            return bad <= self.rows
        return bad <= max(_LEAST_BAD, self.share * rows)


@dataclasses.dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    rows, bad, shards: of the whole job. tokens, copied, seconds: of this run. fraction: of the
    bytes of the inputs; started_at: the fraction at the start of this run.
    """

    rows: int
    total_rows: int
    bad: int
    shards: int
    total_shards: int
    tokens: int
    copied: int
    seconds: float
    fraction: float
    started_at: float

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the bytes of this run; None at its start."""
        done = self.fraction - self.started_at
        return None if done <= 0 else self.seconds * (1 - self.fraction) / done

    def to_json(self) -> dict[str, Any]:
        """The progress as a JSON object."""
        left = self.seconds_left
        return {
            **dataclasses.asdict(self),
            "seconds": round(self.seconds, 1),
            "seconds_left": None if left is None else round(left),
        }


def run_worker(
    shard_encoder: ShardEncoder,
    *,
    limit: BadLimit,
    worker: tuple[int, int] | None = None,
    wait: bool = True,
    report: Callable[[JobProgress], object] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Encode the shards of a job that no other worker has; whether the job is complete.

    worker: (i, n) for the i-th of n workers, from 1, which takes every n-th shard; None for all.
    wait: for shards that other workers are at, in case that these die.
    should_stop: asked after each shard.

    Raises:
        TooManyBadRows: naming the first of them.
        DataFileError: if an input cannot be read, or a file cannot be written. What is done stays.
    """
    job = shard_encoder.job
    tracker = JobTracker(job, limit, report)
    while todo := [shard for shard in job.unfinished() if _is_assigned(shard, worker)]:
        taken = 0
        for shard in todo:
            if should_stop():
                return False
            if job.is_done(shard.shard):
                continue  # by another worker
            taken += encode_shard(shard_encoder, shard, tracker, assigned=worker is not None)
        if not taken:
            if not wait:
                break
            time.sleep(_WAIT_SECONDS)
            if should_stop():
                return False
    return job.finish()


def encode_shard(
    shard_encoder: ShardEncoder, shard: Shard, tracker: "JobTracker", *, assigned: bool = False
) -> bool:
    """Encode a shard unless it is done; False if another worker has its lease.

    assigned: see `Lease.acquire`.

    Raises:
        TooManyBadRows, DataFileError: as `run_worker` does.
    """
    job = shard_encoder.job
    lease = job.acquire(shard.shard, assigned=assigned)
    if lease is None:
        return False
    with lease:
        if not job.is_done(shard.shard):
            record = shard_encoder.run(shard, attempt=lease.attempt, report=tracker.within(shard))
            tracker.add(shard, record)
    return True


def check_room(job: EncodingJob) -> None:
    """Raise unless the disk seems to have room for the parts that are missing.

    Raises:
        DataFileError: with both sizes.
    """
    needed = sum(_estimate_bytes(job, shard) for shard in job.unfinished())
    free = shutil.disk_usage(job.folder).free
    if needed > free:
        raise DataFileError(
            f"{job.folder}: the vectors need about {format_bytes(needed)}, and the disk has "
            f"{format_bytes(free)} free; free some of it, or give a folder on another disk"
        )


def _estimate_bytes(job: EncodingJob, shard: Shard) -> int:
    """The size of a part: its vectors and, as much as in the input, its texts."""
    compressed = job.spec.inputs[shard.input].compression is not None
    texts = shard.bytes * (4 if compressed else 1) if job.spec.texts else 0
    return shard.rows * (VectorCodec.row_bytes_of(job.spec.origin) + 32) + texts


def _is_assigned(shard: Shard, worker: tuple[int, int] | None) -> bool:
    return worker is None or shard.shard % worker[1] == worker[0] - 1


class JobTracker:
    """Counts what is done, and ends the job when too many rows are bad."""

    def __init__(
        self, job: EncodingJob, limit: BadLimit, report: Callable[[JobProgress], object]
    ) -> None:
        self._limit, self._report = limit, report
        self._started = time.monotonic()
        self._job = job
        self._bytes = max(1, sum(shard.bytes for shard in job.plan.shards))
        records = job.records()
        self._seen = {record.shard for record in records}
        self._rows = sum(record.rows for record in records)
        self._bad = sum(record.bad for record in records)
        self._tokens = self._copied = 0
        self._done_bytes = sum(job.plan.shards[number].bytes for number in self._seen)
        self._start = self._done_bytes / self._bytes

    def within(self, shard: Shard) -> Callable[[ShardProgress], None]:
        """The callback for the progress of a shard."""
        self._see_others(shard)

        def report(counts: ShardProgress) -> None:
            self._check(counts)
            share = min(1.0, (counts.rows + counts.bad) / max(1, shard.rows))
            self._show(counts, share * shard.bytes)

        return report

    def add(self, shard: Shard, record: ShardRecord) -> None:
        """Count a finished shard."""
        self._seen.add(shard.shard)
        self._rows += record.rows
        self._bad += record.bad
        self._tokens += record.tokens
        self._copied += record.copied
        self._done_bytes += shard.bytes
        self.show()

    def show(self) -> None:
        """Report the finished shards."""
        self._show(ShardProgress(), 0)

    def _see_others(self, current: Shard) -> None:
        """Count the shards that other workers have finished."""
        for number in _done_numbers(self._job):
            if number not in self._seen and number != current.shard:
                record = self._job.record(number)
                self._seen.add(number)
                self._rows += record.rows
                self._bad += record.bad
                size = self._job.plan.shards[number].bytes
                self._done_bytes += size
                self._start += size / self._bytes  # so that the estimate counts this run alone

    def _check(self, counts: ShardProgress) -> None:
        bad = self._bad + counts.bad
        if counts.bad and not self._limit.allows(bad, self._rows + counts.rows + bad):
            raise TooManyBadRows(
                f"{bad:,} rows cannot be encoded, more than --max-bad allows; the first of this "
                f"shard: {counts.first_bad}"
            )

    def _show(self, counts: ShardProgress, done_bytes: float) -> None:
        self._report(
            JobProgress(
                rows=self._rows + counts.rows,
                total_rows=self._job.plan.rows,
                bad=self._bad + counts.bad,
                shards=len(self._seen),
                total_shards=len(self._job.plan.shards),
                tokens=self._tokens + counts.tokens,
                copied=self._copied + counts.copied,
                seconds=time.monotonic() - self._started,
                fraction=(self._done_bytes + done_bytes) / self._bytes,
                started_at=self._start,
            )
        )


def _done_numbers(job: EncodingJob) -> Iterator[int]:
    return (int(path.stem) for path in (job.folder / "_done").glob("[0-9]*.json"))
