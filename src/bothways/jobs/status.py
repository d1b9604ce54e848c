"""How far a job is, from its records and leases; other workers may be at it meanwhile."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from bothways.jobs.job import EncodingJob
from bothways.jobs.leases import is_live, read_lease
from bothways.jobs.records import ShardRecord

__all__ = ["JobStatus", "status_of"]


@dataclasses.dataclass(frozen=True)
class JobStatus:
    """The state of a job.

    rows, bad, missing, tokens, truncated, unknown, copied: of the finished shards. workers: what
    is at a shard, such as `host pid 42, shard 3`. dead: leases of workers that died. rereads:
    inputs of which a shard is read from the start of the file. seconds: of work in all shards.
    rows_per_second: of the last 20 shards, times the workers. machines: kinds that differ in bits.
    """

    complete: bool
    shards: int
    total_shards: int
    rows: int
    total_rows: int
    bad: int
    missing: int
    tokens: int
    truncated: int
    unknown: int
    copied: int
    workers: list[str]
    dead: int
    rereads: list[str]
    rows_per_second: float | None
    seconds_left: float | None
    machines: list[str]

    def to_json(self) -> dict[str, Any]:
        """The state as a JSON object."""
        return dataclasses.asdict(self)


def status_of(job: EncodingJob) -> JobStatus:
    """Read the state of a job.

    Raises:
        DataFileError: if a record is damaged.
    """
    records = job.records()
    workers, dead = [], 0
    for path in sorted((job.folder / "_leases").glob("[0-9]*")):
        if job.is_done(int(path.name)):
            continue
        if is_live(path):
            holder = read_lease(path)
            host = str(holder.get("host", "?")).split(" ")[0]
            workers.append(f"{host} pid {holder.get('pid', '?')}, shard {int(path.name)}")
        else:
            dead += 1
    total = job.plan.rows
    counts = {
        name: sum(getattr(record, name) for record in records)
        for name in ("rows", "bad", "missing", "tokens", "truncated", "unknown", "copied")
    }
    read = sum(job.plan.shards[record.shard].rows for record in records)
    speed = _speed(job, records, max(1, len(workers)))
    complete = job.success_path.is_file()
    return JobStatus(
        complete=complete,
        shards=len(records),
        total_shards=len(job.plan.shards),
        total_rows=total,
        workers=workers,
        dead=dead,
        rereads=_read_from_the_start(job),
        rows_per_second=speed,
        seconds_left=None if complete or not speed else (total - read) / speed,
        machines=machines(records),
        **counts,
    )


def machines(records: list[ShardRecord]) -> list[str]:
    """The kinds of machines whose vectors may differ in their last digits."""
    kinds = (
        f"{m.backend} {m.isa or m.device}, bothways {m.version}"
        for m in (record.machine for record in records)
    )
    return list(dict.fromkeys(kinds))


def _speed(job: EncodingJob, records: list[ShardRecord], workers: int) -> float | None:
    """Rows per second: of each of the last 20 shards to be finished, times the workers."""
    recent = sorted(records, key=lambda record: _time(job.record_path(record.shard)))[-20:]
    seconds = sum(record.seconds for record in recent)
    rows = sum(job.plan.shards[record.shard].rows for record in recent)
    return rows / seconds * workers if seconds > 0 else None


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _read_from_the_start(job: EncodingJob) -> list[str]:
    """Inputs of several shards in which reading cannot begin in the middle."""
    several = {shard.input for shard in job.plan.shards if shard.row > 0 and shard.offset is None}
    files = (job.spec.inputs[index] for index in sorted(several))
    return [file.name for file in files if file.format != "parquet"]
