"""Encoding the shards of a job by number, for schedulers of clusters."""

import dataclasses
import functools
import threading
from pathlib import Path

import bothways
from bothways.encoder import Encoder
from bothways.errors import InputError
from bothways.inference.backends import BackendName, Precision
from bothways.jobs.job import EncodingJob, open_job
from bothways.jobs.records import ShardRecord
from bothways.jobs.shards import ShardEncoder
from bothways.jobs.worker import BadLimit, JobTracker, encode_shard
from bothways.model.read_options import ReadOptions
from bothways.streaming.memory import plan_chunks, reduce_memory_retention

__all__ = ["ShardWorker", "WorkerOptions", "check_encoder", "run_shard"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerOptions(ReadOptions):
    """How a worker encodes.

    family, adapter, route, backend, device, threads: see `bothways.load`. max_memory: limit of its
    process in bytes; None for none. limit: of bad rows in the whole job.
    """

    backend: BackendName = "auto"
    device: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    limit: BadLimit = dataclasses.field(default_factory=BadLimit)


class ShardWorker:
    """Encodes shards of the job in a folder; loads the model when it is first needed.

    Any number of workers can be at a job, on machines that share its folder and its inputs. Threads
    that share a worker take turns.
    """

    def __init__(self, folder: str, options: WorkerOptions | None = None) -> None:
        self._folder, self._options = folder, options or WorkerOptions()
        self._loaded: tuple[ShardEncoder, JobTracker] | None = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """Load the model.

        Raises:
            DataFileError: if there is no job in the folder, or its files are damaged.
            InputError: if the model is no longer the one of the job, or max_memory is too low.
        """
        if self._loaded is None:
            job = open_job(Path(self._folder))
            self._loaded = self._open(job), JobTracker(job, self._options.limit, lambda _: None)

    def run(self, shard: int, *, assigned: bool = False) -> ShardRecord | None:
        """Encode a shard unless it is done; its record, or None if another worker is at it.

        assigned: whether the scheduler knows that no other machine works on the shard, so that its
            lease is that of a dead worker.

        Raises:
            DataFileError: if an input cannot be read, a file cannot be written, or too many rows
                are bad. What is done stays.
        """
        with self._lock:
            self.load()
            assert self._loaded is not None  # noqa: S101
            shard_encoder, tracker = self._loaded
            job = shard_encoder.job
            done = job.is_done(shard) or encode_shard(
                shard_encoder, job.plan.shards[shard], tracker, assigned=assigned
            )
            return job.record(shard) if done else None

    def _open(self, job: EncodingJob) -> ShardEncoder:
        options, origin = self._options, job.spec.origin
        if options.max_memory is not None:
            reduce_memory_retention()
        precision: Precision = origin.precision  # type: ignore[assignment]
        encoder = bothways.load(
            origin.model,
            backend=options.backend,
            precision=precision,
            threads=options.threads,
            device=options.device,
            max_length=origin.max_length,
            **options.reading,
        )
        check_encoder(job, encoder)
        plan = plan_chunks(
            options.max_memory,
            encoder,
            dimensions=origin.dimensions,
            windows=job.spec.settings.on_overflow == "window",
        )
        return ShardEncoder(job, encoder, plan, max_memory=options.max_memory)


def check_encoder(job: EncodingJob, encoder: Encoder) -> None:
    """Check that an encoder has the weights and tokenizer that the job began with.

    Raises:
        InputError: if it has not.
    """
    origin = job.spec.origin
    if encoder.fingerprint != origin.fingerprint:
        raise InputError(
            f"{job.folder}: the model {origin.model} is not the one that the job began with: its "
            f"fingerprint is {encoder.fingerprint[:12]}, and that of the job "
            f"{origin.fingerprint[:12]}; put it back, or encode with --restart"
        )


def run_shard(
    folder: str, shard: int, options: WorkerOptions | None = None, *, assigned: bool = True
) -> ShardRecord | None:
    """Encode one shard of a job, as `ShardWorker.run` does, with a model that the process keeps.

    A task for schedulers, such as `client.map(functools.partial(run_shard, folder), shards)` of
    Dask. Running a shard twice, or at two places at once, does no harm.
    """
    with _lock:
        worker = _worker(folder, options, open_job(Path(folder)).id)
    return worker.run(shard, assigned=assigned)


_lock = threading.Lock()


@functools.lru_cache(maxsize=1)
def _worker(folder: str, options: WorkerOptions | None, job_id: str) -> ShardWorker:
    """The worker of this process. job_id: so that another job in the folder gets another one."""
    return ShardWorker(folder, options)
