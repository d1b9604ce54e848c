"""Checking the files of a job against its records, and a sample of vectors against the inputs."""

import hashlib
import itertools
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import DataFileError
from bothways.files import ReadProgress, Row
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard
from bothways.jobs.records import ShardRecord
from bothways.jobs.shard_rows import read_shard
from bothways.jobs.signed_json import read_signed
from bothways.jobs.spec import fingerprint_input
from bothways.jobs.status import machines
from bothways.streaming.chunks import encode_chunk
from bothways.streaming.memory import ChunkPlan

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["verify_files", "verify_vectors"]

_SAMPLE_SHARDS = 16
_SAMPLE_ROWS = 32
_CHUNK_BYTES = 1 << 20


def verify_files(job: EncodingJob) -> list[str]:
    """What is wrong with the files of a job: missing, changed or damaged ones, and other inputs."""
    problems: list[str] = []
    records: list[ShardRecord] = []
    for shard in job.plan.shards:
        try:
            if job.is_done(shard.shard):
                records.append(job.record(shard.shard))
                problems += _check_shard(job, shard, records[-1])
            elif job.success_path.exists():
                problems.append(f"{job.record_path(shard.shard)}: is missing")
        except DataFileError as error:
            problems.append(str(error))
    problems += _check_strays(job)
    if job.success_path.exists() and len(records) == len(job.plan.shards):
        problems += _check_success(job, records)
    return problems + _check_inputs(job)


def verify_vectors(job: EncodingJob, encoder: "Encoder") -> tuple[int, list[str]]:
    """Encode a sample of rows again: the number of rows, and the parts whose vectors differ.

    The sample is up to 32 rows of each of up to 16 shards.

    Raises:
        DataFileError: if an input or a part cannot be read.
    """
    done = [shard for shard in job.plan.shards if job.is_done(shard.shard)]
    step = max(1, len(done) // _SAMPLE_SHARDS)
    count = 0
    problems: list[str] = []
    for shard in done[::step]:
        compared, different = _compare(job, shard, encoder)
        count += compared
        if different:
            record = job.record(shard.shard)
            problems.append(
                f"{job.part_path(shard.shard)}: {different:,} of {compared:,} rows have other "
                f"vectors when they are encoded again; it was made with {machines([record])[0]}"
            )
    return count, problems


def _compare(job: EncodingJob, shard: Shard, encoder: "Encoder") -> tuple[int, int]:
    """The number of rows compared, and of those whose vectors are not equal bit by bit."""
    from bothways.files.vector_file_parquet import open_parquet_vectors

    wanted = max(1, shard.rows // _SAMPLE_ROWS)
    with closing(read_shard(job, shard, ReadProgress([]))) as rows:
        sample = [row for row in itertools.islice(rows, 0, None, wanted) if isinstance(row, Row)]
    refused = _refused_rows(job, shard)
    sample = [row for row in sample if row.place.row not in refused][:_SAMPLE_ROWS]
    if not sample:
        return 0, 0
    by_id: dict[str, list[int]] = {}
    with open_parquet_vectors(str(job.part_path(shard.shard))) as part:
        for index, row_id in enumerate(part.read_column("id")):
            by_id.setdefault(str(row_id), []).append(index)
        stored = np.concatenate(list(part.stored()))
        codec = part.codec
    encoded = encode_chunk(
        encoder, sample, job.spec.settings, ChunkPlan(), lambda done, total: None
    )
    again = codec.encode(encoded.vectors)
    different = sum(
        not any(np.array_equal(stored[index], vector) for index in by_id.get(row.id, []))
        for row, vector in zip(sample, again, strict=True)
    )
    return len(sample), different


def _refused_rows(job: EncodingJob, shard: Shard) -> set[int]:
    path = job.bad_path(shard.shard)
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines()
    return {json.loads(line)["place"]["row"] for line in lines}


def _check_shard(job: EncodingJob, shard: Shard, record: ShardRecord) -> list[str]:
    if record.shard != shard.shard:
        return [f"{job.record_path(shard.shard)}: is the record of shard {record.shard}"]
    problems = [_compare_digest(job.part_path(shard.shard), record.sha256)]
    if record.bad_sha256 is not None:
        problems.append(_compare_digest(job.bad_path(shard.shard), record.bad_sha256))
    return [problem for problem in problems if problem]


def _compare_digest(path: Path, expected: str) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror or error}"
    if digest.hexdigest() == expected:
        return ""
    return f"{path}: was changed after it was written, or is damaged"


def _check_strays(job: EncodingJob) -> list[str]:
    """Parts that are not of this job, which readers of the folder would take for its own."""
    names = {job.part_path(shard.shard).name for shard in job.plan.shards}
    return [
        f"{path}: is no part of this job; remove it"
        for path in sorted(job.folder.glob("*.parquet"))
        if path.name not in names
    ]


def _check_success(job: EncodingJob, records: list[ShardRecord]) -> list[str]:
    try:
        success = read_signed(job.success_path)
    except DataFileError as error:
        return [str(error)]
    expected: list[dict[str, Any]] = [
        {"name": r.part, "rows": r.rows, "bytes": r.bytes, "sha256": r.sha256} for r in records
    ]
    if success.get("parts") == expected and success.get("job_id") == job.id:
        return []
    return [f"{job.success_path}: does not agree with the records; remove it and run the job"]


def _check_inputs(job: EncodingJob) -> list[str]:
    problems = []
    planned = read_signed(job.folder / "job.json")["job"]["inputs"]
    for file, before in zip(job.spec.inputs, planned, strict=True):
        try:
            if fingerprint_input(file) != before:
                problems.append(f"{file.name}: has changed since the job was planned")
        except DataFileError as error:
            problems.append(str(error))
    return problems
