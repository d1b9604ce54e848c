"""Encoding shards by number, as the tasks of schedulers do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.jobs import JobMaker

import bothways
from bothways.errors import DataFileError, InputError
from bothways.jobs import run_shard
from bothways.jobs.shard_worker import ShardWorker, WorkerOptions
from bothways.jobs.worker import BadLimit, TooManyBadRows

Contents = Callable[[Path], dict[str, Any]]
OPTIONS = WorkerOptions(backend="native", threads=1)


def test_shards_by_number_make_the_folder_of_an_undisturbed_run(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    job = jobs.prepare(csv, id_column="id")
    shards = [shard.shard for shard in job.unfinished()]
    for shard in [*reversed(shards), 3]:
        record = run_shard(str(job.folder), shard, OPTIONS)
        assert record == job.record(shard)
    assert job.finish()
    other = jobs.prepare(csv, id_column="id", folder="other")
    jobs.run(other)
    assert contents(job.folder) == contents(other.folder)


def test_a_shard_that_another_worker_has_is_left_to_it(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    worker = ShardWorker(str(job.folder), OPTIONS)
    lease = job.acquire(2)
    assert lease is not None
    with lease:
        assert worker.run(2) is None
        assert not job.is_done(2)
    assert worker.run(2) == job.record(2)


def test_a_process_keeps_its_model_until_the_folder_has_another_job(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = bothways.load

    def count(*args: Any, **options: Any) -> Any:
        loaded.append(args)
        return load(*args, **options)

    monkeypatch.setattr(bothways, "load", count)
    job = jobs.prepare(csv, folder="kept")
    for shard in (0, 1, 2):
        run_shard(str(job.folder), shard, OPTIONS)
    assert len(loaded) == 1
    again = jobs.prepare(csv, folder="kept", shard_rows=50, restart=True)
    record = run_shard(str(again.folder), 1, OPTIONS)
    assert record is not None
    assert (record.rows, record.part) == (45, "part-000001-of-000002.parquet")
    assert len(loaded) == 2


def test_bad_rows_of_all_shards_count(jobs: JobMaker, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("text,n\n" + "MKV,1\n,2\n" * 10)
    job = jobs.prepare(path)
    limit = WorkerOptions(backend="native", threads=1, limit=BadLimit(rows=7))
    assert ShardWorker(str(job.folder), limit).run(0) == job.record(0)
    with pytest.raises(TooManyBadRows, match="8 rows cannot be encoded"):
        ShardWorker(str(job.folder), limit).run(1)


def test_memory_is_limited(jobs: JobMaker, csv: Path) -> None:
    job = jobs.prepare(csv)
    options = WorkerOptions(backend="native", threads=1, max_memory=1 << 20)
    with pytest.raises(InputError, match="--max-memory"):
        ShardWorker(str(job.folder), options).load()


def test_what_is_no_job_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no job here"):
        run_shard(str(tmp_path), 0)


def test_another_model_is_refused(jobs: JobMaker, csv: Path, monkeypatch: Any) -> None:
    job = jobs.prepare(csv)
    monkeypatch.setattr(bothways.Encoder, "fingerprint", "ab" * 32)
    with pytest.raises(InputError, match="is not the one that the job began with"):
        ShardWorker(str(job.folder), OPTIONS).load()
