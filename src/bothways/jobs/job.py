"""`EncodingJob`: a folder of parts with its plan and records.

    job.json                       settings, origin, inputs with their fingerprints; written first
    plan.jsonl                     one line per shard
    part-000000-of-000123.parquet  vectors of a shard, as `bothways encode` writes them
    _done/000000.json              the record of a part; written after it
    _bad/000000.jsonl              rows of the shard that cannot be encoded; written before the part
    _leases/000000                 the worker that is at the shard
    _SUCCESS.json                  totals, and the parts with their digests; written last

All files appear under their names when they are complete and flushed to disk. What a worker writes
for a shard is a function of the job alone, except for times and machine in its record.
"""

import dataclasses
import datetime
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bothways
from bothways.errors import DataFileError
from bothways.io.atomic import is_partial, remove_partial, wrap_write_errors
from bothways.jobs.leases import Lease, is_live
from bothways.jobs.plan import JobPlan, Shard, plan_job
from bothways.jobs.records import ShardRecord
from bothways.jobs.signed_json import read_signed, write_bytes, write_signed
from bothways.jobs.spec import JobSpec, first_difference, job_id

__all__ = ["EncodingJob", "check_folder", "is_job", "open_job", "prepare_job"]

_OWN_NAMES = re.compile(
    r"job\.json|plan\.jsonl|_SUCCESS\.json|_done|_bad|_leases|part-\d{6,}-of-\d{6,}\.parquet"
)


@dataclasses.dataclass(frozen=True)
class EncodingJob:
    """A planned job in its folder."""

    folder: Path
    id: str
    spec: JobSpec
    plan: JobPlan

    def part_path(self, shard: int) -> Path:
        """The part of a shard."""
        return self.folder / f"part-{shard:06d}-of-{len(self.plan.shards):06d}.parquet"

    def record_path(self, shard: int) -> Path:
        """The record of a shard."""
        return self.folder / "_done" / f"{shard:06d}.json"

    def bad_path(self, shard: int) -> Path:
        """The rows of a shard that cannot be encoded; the file exists if there are any."""
        return self.folder / "_bad" / f"{shard:06d}.jsonl"

    def lease_path(self, shard: int) -> Path:
        """The lease of a shard."""
        return self.folder / "_leases" / f"{shard:06d}"

    @property
    def success_path(self) -> Path:
        """The file that says that the job is complete."""
        return self.folder / "_SUCCESS.json"

    def is_done(self, shard: int) -> bool:
        """Whether a shard has its record."""
        return self.record_path(shard).is_file()

    def unfinished(self) -> list[Shard]:
        """The shards without a record."""
        done = {path.name for path in (self.folder / "_done").glob("*.json")}
        return [each for each in self.plan.shards if f"{each.shard:06d}.json" not in done]

    def record(self, shard: int) -> ShardRecord:
        """The record of a finished shard.

        Raises:
            DataFileError: if it is missing or damaged.
        """
        return ShardRecord.read(self.record_path(shard))

    def records(self) -> list[ShardRecord]:
        """The records of all finished shards, in order."""
        return [self.record(each.shard) for each in self.plan.shards if self.is_done(each.shard)]

    def acquire(self, shard: int, *, assigned: bool = False) -> Lease | None:
        """The lease of a shard; None if another worker has it. See `Lease.acquire`."""
        return Lease.acquire(self.lease_path(shard), assigned=assigned)

    def finish(self) -> bool:
        """Write `_SUCCESS.json` if all shards are done, and remove what killed workers left.

        Raises:
            DataFileError: if a record is damaged, or the file cannot be written.
        """
        if self.unfinished():
            return False
        records = self.records()
        if not self.success_path.exists():
            write_signed(self.success_path, {"job_id": self.id, **_totals(records)})
        for folder in (self.folder, *(self.folder / name for name in ("_done", "_bad"))):
            remove_partial(folder)
        for shard in self.plan.shards:
            lease = self.lease_path(shard.shard)
            if not is_live(lease):
                lease.unlink(missing_ok=True)
        return True

    def reopen(self, shards: list[int]) -> None:
        """Remove the records of shards, so that they are encoded again."""
        self.success_path.unlink(missing_ok=True)
        for shard in shards:
            self.record_path(shard).unlink(missing_ok=True)
            self.lease_path(shard).unlink(missing_ok=True)


def _totals(records: list[ShardRecord]) -> dict[str, Any]:
    counts = ("rows", "tokens", "truncated", "copied", "missing", "bad")
    return {
        **{name: sum(getattr(record, name) for record in records) for name in counts},
        "parts": [
            {"name": r.part, "rows": r.rows, "bytes": r.bytes, "sha256": r.sha256} for r in records
        ],
    }


def is_job(folder: Path) -> bool:
    """Whether a folder has a job."""
    return (folder / "job.json").is_file()


def open_job(folder: Path) -> EncodingJob:
    """Open the job in a folder.

    Raises:
        DataFileError: if there is none, or its files are damaged.
    """
    if not is_job(folder):
        raise DataFileError(
            f"{folder}: no job here (job.json is missing); bothways encode -o {folder}/ makes one"
        )
    content = read_signed(folder / "job.json")
    plan_path = folder / "plan.jsonl"
    try:
        if content["format_version"] != 1:
            raise DataFileError(
                f"{folder}: a job of format {content['format_version']}, which this version of "
                "bothways does not know; use the version that made it"
            )
        lines = plan_path.read_bytes()
        if hashlib.sha256(lines).hexdigest() != content["plan_sha256"]:
            raise DataFileError(f"{plan_path}: was changed after it was written, or is damaged")
        plan = JobPlan.from_json(content["planned"], lines)
        return EncodingJob(folder, content["job_id"], JobSpec.from_json(content["job"]), plan)
    except OSError as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"{plan_path}: cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"{folder}: job.json or plan.jsonl is damaged: {error}") from error


def prepare_job(
    folder: Path,
    spec: JobSpec,
    *,
    restart: bool = False,
    report: Callable[[float], object] = lambda _: None,
    calibrate: Callable[[EncodingJob], np.ndarray] | None = None,
) -> EncodingJob:
    """Plan a job in a folder, or open the one that is there if it is the same.

    restart: remove the job that is there, once the new one is planned. report: see `plan_job`.
    calibrate: measures the ranges of int8 vectors, such as `calibrate_job`.

    Raises:
        DataFileError: if the folder has another job, naming the field that differs, or other files.
    """
    check_folder(folder)
    content = spec.to_json()
    if is_job(folder) and not restart:
        before = read_signed(folder / "job.json")["job"]
        difference = first_difference(before, content)
        if difference is not None:
            raise DataFileError(
                f"{folder}: has a job that is not this one: {difference}; give another folder, or "
                "--restart to encode all rows again"
            )
        return open_job(folder)
    plan = plan_job(spec, report)
    if spec.origin.vectors_as == "int8":
        if calibrate is None:
            raise ValueError("int8 vectors need a function that measures their ranges")
        spec = spec.with_ranges(calibrate(EncodingJob(folder, "", spec, plan)))
        content = spec.to_json()
    if restart:
        _remove_job(folder)
    with wrap_write_errors(folder):
        for name in ("_done", "_bad", "_leases"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "plan.jsonl", plan.to_lines())
    write_signed(
        folder / "job.json",
        {
            "format_version": 1,
            "job_id": job_id(content),
            "bothways": bothways.__version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "job": content,
            "planned": plan.inputs_json(),
            "plan_sha256": hashlib.sha256(plan.to_lines()).hexdigest(),
        },
    )
    return open_job(folder)


def check_folder(folder: Path) -> None:
    """Raise unless a job can be in a folder: a new or empty one, or one with the files of a job.

    Raises:
        DataFileError: with what to do about it.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataFileError(f"{folder}: is a file; give the name of a folder")
    if is_job(folder):
        return
    others = sorted(
        path.name
        for path in folder.iterdir()
        if not is_partial(path) and not _OWN_NAMES.fullmatch(path.name)
    )
    if others:
        raise DataFileError(
            f"{folder}: has other files, such as {others[0]}; give a new folder, or the name of a "
            "file for a single file of vectors"
        )


def _remove_job(folder: Path) -> None:
    """Remove the files of a job, first those that make it one.

    Raises:
        DataFileError: if a worker is at it.
    """
    leases = [path for path in (folder / "_leases").glob("*") if is_live(path)]
    if leases:
        raise DataFileError(f"{folder}: a worker is at shard {leases[0].name}; stop it first")
    names = ("_SUCCESS.json", "job.json", "plan.jsonl", "part-*-of-*.parquet", "_*/*")
    with wrap_write_errors(folder):
        for pattern in names:
            for path in folder.glob(pattern):
                if _OWN_NAMES.fullmatch(path.relative_to(folder).parts[0]):
                    path.unlink()
