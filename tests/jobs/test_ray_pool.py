"""The actors of a job on Ray: their number, their deaths and their errors, without Ray."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_ray import FakeRay
from tests.support.jobs import JobMaker

from bothways.errors import BackendError, DataFileError, MissingExtra
from bothways.jobs.job import EncodingJob
from bothways.jobs.ray import RayCluster, run_on_ray
from bothways.jobs.shard_worker import WorkerOptions
from bothways.jobs.worker import JobProgress

Contents = Callable[[Path], dict[str, Any]]
OPTIONS = WorkerOptions(backend="native", threads=1)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr("bothways.jobs.ray._POLL_SECONDS", 0.01)
    return fake


@pytest.fixture
def job(jobs: JobMaker, csv: Path) -> EncodingJob:
    return jobs.prepare(csv, id_column="id")


def test_there_are_as_many_actors_as_fit(ray: FakeRay, job: EncodingJob) -> None:
    seen: list[JobProgress] = []
    assert run_on_ray(str(job.folder), RayCluster(cpus=2), OPTIONS, report=seen.append)
    assert (ray.started, ray.killed) == (5, 5)
    assert ray.options == {"num_cpus": 2, "num_gpus": 0}
    assert ray.addresses == ["auto", ""]
    assert (seen[-1].rows, seen[-1].shards) == (95, 10)


@pytest.mark.parametrize(
    ("cluster", "actors"),
    [
        (RayCluster(cpus=1, workers=40), 10),  # a shard for each
        (RayCluster(cpus=1, gpus=0.5), 2),
        (RayCluster(cpus=64, workers=1), 1),  # of a cluster that grows
    ],
)
def test_the_number_of_actors(
    ray: FakeRay, job: EncodingJob, cluster: RayCluster, actors: int
) -> None:
    run_on_ray(str(job.folder), cluster, OPTIONS)
    assert ray.started == actors


def test_signals_are_those_of_the_command(ray: FakeRay, job: EncodingJob) -> None:
    before = signal.getsignal(signal.SIGTERM)
    handlers: list[Any] = []
    run_on_ray(
        str(job.folder),
        RayCluster(),
        OPTIONS,
        report=lambda _: handlers.append(signal.getsignal(signal.SIGTERM)),
    )
    assert set(handlers) == {before}


def test_a_shard_of_a_dead_actor_is_encoded_by_another(
    ray: FakeRay, job: EncodingJob, jobs: JobMaker, csv: Path, contents: Contents
) -> None:
    deaths = {"load": 1, "run": 5}

    def dies(method: str, arguments: tuple[Any, ...]) -> bool:
        if method == "run" and arguments[0] % 2:
            return False
        deaths[method] -= 1
        return deaths[method] >= 0

    ray.dies = dies
    assert run_on_ray(str(job.folder), RayCluster(workers=2), OPTIONS)
    assert ray.started == 2 + 6
    other = jobs.prepare(csv, id_column="id", folder="other")
    jobs.run(other)
    assert contents(job.folder) == contents(other.folder)


def test_actors_that_die_again_and_again_end_the_job(ray: FakeRay, job: EncodingJob) -> None:
    ray.dies = lambda method, arguments: method == "run" and arguments[0] == 4
    with pytest.raises(BackendError, match=r"7 workers on Ray died in a row, the last at shard 4"):
        run_on_ray(str(job.folder), RayCluster(workers=2), OPTIONS)
    assert len(job.unfinished()) <= 6
    ray.dies = lambda method, arguments: method == "load"
    with pytest.raises(BackendError, match="the last at loading the model"):
        run_on_ray(str(job.folder), RayCluster(workers=1), OPTIONS)


def test_an_error_of_an_actor_is_the_error_of_the_job(ray: FakeRay, job: EncodingJob) -> None:
    Path(job.spec.inputs[0].source).unlink()
    with pytest.raises(DataFileError, match=r"proteins\.csv"):
        run_on_ray(str(job.folder), RayCluster(workers=2), OPTIONS)
    assert ray.killed > 0
    assert ray.addresses[-1] == ""


def test_a_shard_of_a_worker_outside_of_ray_is_waited_for(ray: FakeRay, job: EncodingJob) -> None:
    lease = job.acquire(3)
    assert lease is not None
    tries: list[object] = []

    def release(method: str, arguments: tuple[Any, ...]) -> bool:
        if arguments == (3,):
            tries.append(arguments)
        if len(tries) == 3:
            lease.release()
            tries.append("")
        return False

    ray.dies = release
    assert run_on_ray(str(job.folder), RayCluster(workers=1), OPTIONS)
    assert job.unfinished() == []


def test_shards_that_are_dropped_can_be_taken_at_once(ray: FakeRay, job: EncodingJob) -> None:
    def interrupt(progress: JobProgress) -> None:
        if progress.shards == 2:
            job.lease_path(5).write_text("{}")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on_ray(str(job.folder), RayCluster(workers=8), OPTIONS, report=interrupt)
    assert len(job.unfinished()) == 8
    assert list((job.folder / "_leases").iterdir()) == []


def test_without_a_cluster_there_is_an_error(ray: FakeRay, job: EncodingJob) -> None:
    with pytest.raises(BackendError, match=r"no Ray cluster at 'missing'.*ray start --head"):
        run_on_ray(str(job.folder), RayCluster(address="missing"), OPTIONS)
    with pytest.raises(BackendError, match="no machine of the Ray cluster has 9 CPUs and 2 GPUs"):
        run_on_ray(str(job.folder), RayCluster(cpus=9, gpus=2), OPTIONS)


def test_without_ray_the_extra_is_named(job: EncodingJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"Ray cluster needs an extra: pip install .*ray\]"):
        run_on_ray(str(job.folder), RayCluster(), OPTIONS)
