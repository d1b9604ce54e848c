"""Jobs on Ray clusters, and Ray Data; `make test-extras` runs these tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.support.jobs import JobMaker

from bothways import Encoder
from bothways.errors import BackendError
from bothways.jobs.job import EncodingJob
from bothways.jobs.ray import Encode, RayCluster, run_on_ray
from bothways.jobs.shard_worker import WorkerOptions
from bothways.jobs.worker import BadLimit, JobProgress, TooManyBadRows

ray: Any = pytest.importorskip("ray", reason="ray is not installed; make test-extras installs it")
cluster_utils: Any = pytest.importorskip("ray.cluster_utils")

pytestmark = [  # of Ray's processes and sockets
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

Contents = Callable[[Path], dict[str, Any]]
OPTIONS = WorkerOptions(backend="native")


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Any]]:
    """The machines of a cluster: one without CPUs, and two with one each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield [cluster, *workers]
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def job(jobs: JobMaker, csv: Path) -> EncodingJob:
    return jobs.prepare(csv, id_column="id", shard_rows=2)


@pytest.fixture
def undisturbed(jobs: JobMaker, csv: Path, contents: Contents) -> dict[str, Any]:
    """The folder of a job that one process encoded."""
    job = jobs.prepare(csv, id_column="id", shard_rows=2, folder="undisturbed")
    jobs.run(job)
    return contents(job.folder)


@pytest.mark.usefixtures("nodes")
def test_actors_are_at_the_shards_and_the_first_signal_lets_them_finish(
    job: EncodingJob, undisturbed: dict[str, Any], contents: Contents
) -> None:
    cluster = RayCluster(cpus=1)
    seen: list[JobProgress] = []
    stopped = run_on_ray(
        str(job.folder), cluster, OPTIONS, report=seen.append, should_stop=lambda: _shards(seen) > 5
    )
    done = len(job.plan.shards) - len(job.unfinished())
    assert not stopped
    assert 5 < done < 20
    assert list((job.folder / "_leases").iterdir()) == []
    assert run_on_ray(str(job.folder), cluster, OPTIONS, report=seen.append)
    assert contents(job.folder) == undisturbed
    assert {record.machine.threads for record in job.records()} == {1}
    last = seen[-1]
    assert (last.rows, last.shards, last.total_shards) == (95, 48, 48)


def _shards(seen: list[JobProgress]) -> int:
    return seen[-1].shards if seen else 0


def test_too_many_bad_rows_end_the_job(jobs: JobMaker, tmp_path: Path, nodes: Any) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("text,n\n" + ",1\n" * 30)
    job = jobs.prepare(path)
    options = WorkerOptions(backend="native", limit=BadLimit(rows=12))
    with pytest.raises(TooManyBadRows, match="rows cannot be encoded"):
        run_on_ray(str(job.folder), RayCluster(cpus=1), options)


def test_a_worker_without_room_is_an_error(job: EncodingJob, nodes: Any) -> None:
    with pytest.raises(BackendError, match="no machine of the Ray cluster has 3 CPUs"):
        run_on_ray(str(job.folder), RayCluster(cpus=3), OPTIONS)


def test_vectors_are_added_to_rows_of_ray_data(
    model: str, encoder: Encoder, proteins: list[str], tmp_path: Path, nodes: Any
) -> None:
    data: Any = pytest.importorskip("ray.data", reason="Ray Data is not installed")
    rows = data.from_items([{"n": n, "seq": text} for n, text in enumerate([*proteins, None])])
    encoded = rows.map_batches(
        Encode, fn_constructor_kwargs={"model": model, "column": "seq"}, batch_format="pyarrow",
        batch_size=20, num_cpus=1, compute=data.ActorPoolStrategy(size=1),
    )  # fmt: skip
    encoded.write_parquet(str(tmp_path / "out"))
    table = pq.read_table(tmp_path / "out").sort_by("n")
    assert table["error"].to_pylist() == [None] * 95 + ["the value is missing"]
    vectors = np.array(table["vector"].to_pylist()[:-1], np.float32)
    assert np.array_equal(vectors, encoder.encode_detailed(proteins).vectors)


def test_a_machine_that_is_lost_changes_nothing(
    job: EncodingJob, undisturbed: dict[str, Any], contents: Contents, nodes: list[Any]
) -> None:
    cluster, _, second = nodes
    lost = False

    def lose_machine(progress: JobProgress) -> None:
        nonlocal lost
        if progress.shards > 10 and not lost:
            lost = True
            cluster.remove_node(second, allow_graceful=False)

    complete = run_on_ray(
        str(job.folder), RayCluster(cpus=1, workers=2), OPTIONS, report=lose_machine
    )
    assert complete
    assert lost
    assert contents(job.folder) == undisturbed
    ids = [
        row
        for path in sorted(job.folder.glob("*.parquet"))
        for row in pq.read_table(path)["id"].to_pylist()
    ]
    assert ids == [f"p{number}" for number in range(95)]
