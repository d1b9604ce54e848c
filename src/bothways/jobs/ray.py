"""Jobs on a Ray cluster: it schedules numbers of shards to actors that hold the model.

Rows never pass through Ray. An actor reads its shard, encodes it and writes the part and its
record, as every worker of a job does. So what Ray repeats or loses cannot make a row twice or leave
one out: the names are fixed, and a shard without a record is encoded again.

`Encode` is for rows that are in a Ray Data pipeline already.
"""

import collections
import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bothways.errors import BackendError, MissingExtra
from bothways.jobs.job import EncodingJob, open_job
from bothways.jobs.row_batches import Encode
from bothways.jobs.shard_worker import ShardWorker, WorkerOptions
from bothways.jobs.worker import JobProgress, JobTracker

__all__ = ["Encode", "RayCluster", "run_on_ray"]

_POLL_SECONDS = 1.0
_DEATHS_PER_WORKER = 3
"""Deaths, relative to the number of workers, without a finished shard between them that end the
job. Two are normal at a row that kills its process, which the third attempt finds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RayCluster:
    """A cluster, and the actors to start on it.

    address: `auto` for the running cluster, `local` for a new one on this machine, or an address as
    `ray.init` takes it. workers: number of actors; None for as many as the CPUs (or GPUs) of the
    cluster allow. cpus, gpus: of each actor; an actor has a thread per CPU.
    """

    address: str = "auto"
    workers: int | None = None
    cpus: int = 4
    gpus: float = 0


def run_on_ray(
    folder: str,
    cluster: RayCluster,
    options: WorkerOptions | None = None,
    *,
    report: Callable[[JobProgress], object] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Encode what is missing of a job, on a Ray cluster; whether the job is complete.

    The cluster's machines must share the folder and the inputs, and have bothways and the model. An
    actor that dies is replaced, and its shard is encoded again. Shards that workers outside of Ray
    are at are waited for.

    report: called at least once a second. should_stop: whether to start no more shards; if `report`
    raises, running shards are dropped.

    Raises:
        DataFileError, InputError, SourceError: what a worker raises. What is done stays.
        BackendError: if there is no cluster, or workers die again and again.
        MissingExtra: if Ray is not installed.
    """
    job = open_job(Path(folder).absolute())
    options = options or WorkerOptions()
    options = dataclasses.replace(options, threads=options.threads or cluster.cpus)
    tracker = JobTracker(job, options.limit, report)
    with _connected(cluster.address) as ray:
        pool = _Pool(ray, job, cluster, options)
        try:
            while pool.has_work(stopping=should_stop()):
                for record in pool.next_records():
                    tracker.add(job.plan.shards[record.shard], record)
                tracker.show()
        finally:
            pool.close()
    return job.finish()


class _Pool:
    """Actors, and the shard that each is at."""

    def __init__(
        self, ray: Any, job: EncodingJob, cluster: RayCluster, options: WorkerOptions
    ) -> None:
        self._ray, self._job, self._options = ray, job, options
        self._actor = ray.remote(num_cpus=cluster.cpus, num_gpus=cluster.gpus)(ShardWorker)
        self._todo = collections.deque(shard.shard for shard in job.unfinished())
        self._workers = min(cluster.workers or _room(ray, cluster), len(self._todo))
        self._running: dict[Any, tuple[Any, int | None]] = {}
        """By task: its actor, and its shard; None while the actor loads the model."""
        self._idle: list[Any] = []
        self._leased: list[tuple[float, int]] = []
        """Shards that workers outside of Ray are at, and when to try each again."""
        self._deadly: set[int] = set()
        """Shards at which an actor died, so that their leases are those of dead workers."""
        self._deaths = 0
        for _ in range(self._workers):
            self._start()

    def has_work(self, *, stopping: bool) -> bool:
        """Give shards to the idle actors, and say whether a shard is left or running.

        stopping: whether to give out no more.
        """
        while self._leased and self._leased[0][0] <= time.monotonic():
            self._todo.append(self._leased.pop(0)[1])
        while self._idle and self._todo and not stopping:
            self._submit(self._idle.pop(), self._todo.popleft())
        running = any(shard is not None for _, shard in self._running.values())
        return running or (not stopping and bool(self._todo or self._leased))

    def next_records(self) -> Iterator[Any]:
        """Wait for a task, a second at most, and yield the records of finished shards."""
        if not self._running:
            time.sleep(_POLL_SECONDS)
            return
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_POLL_SECONDS)
        for task in done:
            actor, shard = self._running.pop(task)
            try:
                record = self._ray.get(task)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause or error from None
            except self._ray.exceptions.RayError as error:  # the actor or its machine is lost
                self._replace(actor, shard, error)
                continue
            self._idle.append(actor)
            if record is not None:
                self._deaths = 0
                yield record
            elif shard is not None:
                self._leased.append((time.monotonic() + _POLL_SECONDS, shard))

    def close(self) -> None:
        """End the actors, and give back the shards that they were at."""
        for actor in (*self._idle, *(actor for actor, _ in self._running.values())):
            self._ray.kill(actor)
        for _, shard in self._running.values():
            if shard is not None and not self._job.is_done(shard):
                self._job.lease_path(shard).unlink(missing_ok=True)

    def _start(self) -> None:
        actor = self._actor.remote(str(self._job.folder), self._options)
        self._running[actor.load.remote()] = actor, None

    def _submit(self, actor: Any, shard: int) -> None:
        task = actor.run.remote(shard, assigned=shard in self._deadly)
        self._running[task] = actor, shard

    def _replace(self, actor: Any, shard: int | None, error: Exception) -> None:
        """Start an actor in place of one that died, after a shard that it was at."""
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor)  # of an actor that is out of reach, its machine may still live
        if shard is not None:
            self._deadly.add(shard)
            self._todo.appendleft(shard)
        self._deaths += 1
        if self._deaths > _DEATHS_PER_WORKER * self._workers:
            where = "loading the model" if shard is None else f"shard {shard}"
            raise BackendError(
                f"{self._job.folder}: {self._deaths} workers on Ray died in a row, the last at "
                f"{where}: {error}; give each more memory (fewer --workers) or set --max-memory"
            )
        self._start()


def _room(ray: Any, cluster: RayCluster) -> int:
    """The number of actors that fit on the machines of the cluster.

    Raises:
        BackendError: if none does. A cluster that grows when it is asked needs a number of workers.
    """
    count = 0
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            fits = [resources.get("CPU", 0) // cluster.cpus]
            if cluster.gpus:
                fits.append(resources.get("GPU", 0) // cluster.gpus)
            count += int(min(fits))
    if count == 0:
        needed = f"{cluster.cpus} CPUs" + (f" and {cluster.gpus:g} GPUs" if cluster.gpus else "")
        raise BackendError(
            f"no machine of the Ray cluster has {needed}; give fewer --cpus or --gpus, or the "
            "number of --workers if the cluster adds machines on demand"
        )
    return count


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster unless it is already; disconnected at the end if it was not."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "working on a Ray cluster") from error
    if ray.is_initialized():
        yield ray
        return
    try:
        with _keep_sigterm():
            ray.init(address=address, log_to_driver=False, logging_level="warning")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise BackendError(
            f"no Ray cluster at {address!r}: {error}; start one with: ray start --head, or give "
            "`local` for one on this machine alone"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _keep_sigterm() -> Iterator[None]:
    """Keep the handler of SIGTERM, which `ray.init` replaces by one that exits."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
