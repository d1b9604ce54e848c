"""Jobs that are killed, cut off, or run out of space end with the bytes of an undisturbed one."""

import contextlib
import errno
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.support.faulty_disk import FaultyDisk, PowerCut, cut_at, fail_with
from tests.support.jobs import JobMaker

from bothways import Encoder
from bothways.errors import DataFileError
from bothways.jobs.deadly_rows import find_deadly_rows
from bothways.jobs.job import EncodingJob, is_job, open_job
from bothways.jobs.worker import check_room

Contents = Callable[[Path], dict[str, Any]]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes to kill")
KILLS = int(os.environ.get("BOTHWAYS_JOB_KILLS", "8"))


def start(work: Callable[[], object]) -> int:
    """Do work in a forked process; its id."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return child


def kill_after(child: int, seconds: float) -> None:
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_job_that_is_killed_at_random_moments_ends_with_the_same_bytes(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    started = time.monotonic()
    jobs.run(jobs.prepare(csv, folder="whole", id_column="id", keep=("n",)))
    whole = time.monotonic() - started
    generator = random.Random(1)  # noqa: S311
    for _ in range(KILLS):
        child = start(lambda: jobs.run(jobs.prepare(csv, id_column="id", keep=("n",))))
        kill_after(child, generator.uniform(0, whole / 3))
        for record in (jobs.folder / "vectors" / "_done").glob("*.json"):
            job = open_job(jobs.folder / "vectors")
            assert job.part_path(int(record.stem)).exists()
    assert jobs.run(jobs.prepare(csv, id_column="id", keep=("n",)))
    assert contents(jobs.folder / "vectors") == contents(jobs.folder / "whole")


def test_several_workers_with_kills_end_with_the_same_bytes(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    jobs.run(jobs.prepare(csv, folder="whole"))
    job = jobs.prepare(csv)
    generator = random.Random(2)  # noqa: S311
    for _ in range(3):
        children = [start(lambda i=i: jobs.run(job, worker=(i, 4))) for i in (1, 2, 3)]  # type: ignore[misc]
        children.append(start(lambda: jobs.run(job, wait=False)))
        for child in children[:3]:
            kill_after(child, generator.uniform(0, 0.03))
        os.waitpid(children[3], 0)
    assert jobs.run(job)
    assert contents(job.folder) == contents(jobs.folder / "whole")


def test_a_power_cut_leaves_no_record_without_its_part(
    jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    jobs.run(jobs.prepare(csv, folder="whole", shard_rows=40))
    for cut in range(0, 1_000, 7):
        with pytest.MonkeyPatch.context() as patch:
            disk = FaultyDisk(patch, cut_at(cut))
            try:
                jobs.run(jobs.prepare(csv, folder=f"cut-{cut % 2}", shard_rows=40))
                break
            except PowerCut:
                disk.lose()
        folder = jobs.folder / f"cut-{cut % 2}"
        if is_job(folder):
            job = open_job(folder)
            for shard in job.plan.shards:
                assert not job.is_done(shard.shard) or job.part_path(shard.shard).is_file()
        assert jobs.run(jobs.prepare(csv, folder=folder.name, shard_rows=40))
        assert contents(folder) == contents(jobs.folder / "whole")
        with contextlib.suppress(FileNotFoundError):
            (folder / "job.json").unlink()
            for path in [*folder.glob("part*"), *folder.glob("_done/*")]:
                path.unlink()
            (folder / "_SUCCESS.json").unlink()
    assert cut > 20


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_leaves_what_is_done(
    jobs: JobMaker, csv: Path, contents: Contents, code: int
) -> None:
    jobs.run(jobs.prepare(csv, folder="whole", shard_rows=20))
    job = jobs.prepare(csv, shard_rows=20)
    for number in (40, 0, 3, 7, 11):  # the first leaves shards that are done
        with pytest.MonkeyPatch.context() as patch:
            FaultyDisk(patch, fail_with(number, code))
            done = len(job.unfinished())
            with pytest.raises(DataFileError, match=f"writing failed: {os.strerror(code)}"):
                jobs.run(job)
        assert len(job.unfinished()) <= done
        assert not list((job.folder / "_leases").iterdir())
    assert jobs.run(job)
    assert contents(job.folder) == contents(jobs.folder / "whole")


def test_a_disk_without_room_is_refused_before_the_start(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.prepare(csv)
    check_room(job)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2_000}))
    with pytest.raises(DataFileError, match=r"need about \d\.\d kB, .* has 2\.0 kB free"):
        check_room(job)


def kill_at(sequence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process be killed when it encodes a sequence."""
    encode: Any = Encoder.encode_detailed

    def encode_or_die(self: Encoder, sequences: list[str], **options: Any) -> Any:
        if sequence in sequences:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode(self, sequences, **options)

    monkeypatch.setattr(Encoder, "encode_detailed", encode_or_die)


def test_a_row_that_kills_the_process_is_set_aside_after_two_deaths(
    jobs: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.txt"
    path.write_text("".join(f"MKV{'A' * n}\n" for n in range(17)) + "KKK\nLAT\n")
    kill_at("KKK", monkeypatch)
    job = jobs.prepare(path)
    for _ in range(2):
        child = start(lambda: jobs.run(job))
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert jobs.run(job)
    (line,) = job.bad_path(1).read_text().splitlines()
    assert '"code": "killed"' in line
    assert '"row": 18' in line
    assert pq.read_table(job.part_path(1))["text"].to_pylist()[-2:] == ["MKV" + "A" * 16, "LAT"]


def test_deadly_rows_are_found_by_halving() -> None:
    tried: list[int] = []

    def encode(rows: Any) -> None:
        if set(rows) & {3, 11, 12}:
            os.kill(os.getpid(), signal.SIGKILL)
        tried.append(len(rows))
        if 5 in rows:
            raise MemoryError

    assert find_deadly_rows(range(16), encode) == [3, 11, 12]
    assert find_deadly_rows([], encode) == []
    assert not tried, "rows are tried in other processes"


def test_a_lease_is_held_by_one_worker_and_taken_over_from_a_dead_one(
    jobs: JobMaker, csv: Path
) -> None:
    job = jobs.prepare(csv)
    lease = job.acquire(0)
    assert lease is not None
    assert lease.attempt == 1
    assert job.acquire(0) is None
    lease.release()
    hold_and_die(job)
    second = job.acquire(0)
    assert second is not None
    assert second.attempt == 2
    second.release()
    assert not job.lease_path(0).exists()


def hold_and_die(job: EncodingJob) -> None:
    def hold() -> None:
        job.acquire(0)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(start(hold), 0)


def test_a_lease_of_another_machine_is_taken_over_when_it_is_old(
    jobs: JobMaker, csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.prepare(csv)
    monkeypatch.setattr("bothways.jobs.leases._host", lambda: "other")
    hold_and_die(job)
    monkeypatch.undo()
    assert job.acquire(0) is None
    assigned = job.acquire(0, assigned=True)
    assert assigned is not None
    assigned.release()
    monkeypatch.setattr("bothways.jobs.leases._host", lambda: "other")
    hold_and_die(job)
    monkeypatch.undo()
    old = time.time() - 601
    os.utime(job.lease_path(0), (old, old))
    lease = job.acquire(0)
    assert lease is not None
    lease.release()
