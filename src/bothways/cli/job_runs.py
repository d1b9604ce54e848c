"""Work on a job from the command line: options, progress, signals, and what is said at the end."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note, warn
from bothways.cli.equal_ids import JobIdWatch
from bothways.cli.progress import clock, job_progress
from bothways.cli.signals import FinishFirst
from bothways.errors import InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.backends import Precision
    from bothways.jobs.job import EncodingJob
    from bothways.jobs.ray import RayCluster
    from bothways.jobs.records import ShardRecord
    from bothways.jobs.worker import BadLimit, JobProgress

__all__ = ["BAD_ROWS", "JobRunOptions", "load_job_encoder", "run_job", "run_job_on_ray"]

BAD_ROWS = 3
"""The exit code of a job that is complete, with rows that cannot be encoded."""

_FINISH_SECONDS = 30.0
"""A shard that needs no more seconds is finished when a signal asks to stop."""
_JSON_SECONDS = 1.0

_GROUP = "Output folder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobRunOptions:
    """When a job ends early, and how its progress is shown."""

    max_bad: Annotated[
        str,
        Option(
            "Rows that cannot be encoded before the job ends: a number, or a share of the rows "
            "read that counts above 1,000 rows.",
            group=_GROUP, unit="LIMIT", advanced=True,
        ),
    ] = "1%"  # fmt: skip
    progress: Annotated[
        Literal["bar", "json"],
        Option(
            "bar, or json: a line of JSON per second on standard output.",
            group=_GROUP, unit="FORM", advanced=True,
        ),
    ] = "bar"  # fmt: skip

    @property
    def limit(self) -> "BadLimit":
        """The number of bad rows that end the job.

        Raises:
            InputError: if it is not a limit.
        """
        from bothways.jobs.worker import BadLimit

        try:
            return BadLimit.parse(self.max_bad)
        except ValueError as error:
            raise InputError(f"--max-bad {error}") from None


def load_job_encoder(job: "EncodingJob", device: o.DeviceOptions, *, quiet: bool) -> "Encoder":
    """Load the encoder of a job, with its precision and maximum length.

    Raises:
        InputError: if the model is no longer the one of the job.
    """
    from bothways.jobs.shard_worker import check_encoder

    origin = job.spec.origin
    options = o.BackendOptions(
        backend=device.backend,
        device=device.device,
        threads=device.threads,
        **device.reading,
        precision=cast("Precision", origin.precision),
        max_length=origin.max_length,
    )
    encoder = models.load(origin.model, options, quiet=quiet)
    check_encoder(job, encoder)
    return encoder


def run_job(
    job: "EncodingJob",
    encoder: "Encoder",
    options: JobRunOptions,
    *,
    max_memory: int | None,
    worker: tuple[int, int] | None = None,
    wait: bool = True,
    quiet: bool,
) -> None:
    """Encode what is missing of a job, and print what it has.

    Raises:
        Exit: with code 3, if rows cannot be encoded.
    """
    from bothways.jobs.shards import ShardEncoder
    from bothways.jobs.worker import run_worker
    from bothways.streaming.memory import plan_chunks

    limit = options.limit
    plan = plan_chunks(
        max_memory,
        encoder,
        dimensions=job.spec.origin.dimensions,
        windows=job.spec.settings.on_overflow == "window",
    )
    ids = JobIdWatch(job)

    def work(report: "Callable[[JobProgress], None]", should_stop: Callable[[], bool]) -> bool:
        return run_worker(
            ShardEncoder(job, encoder, plan, max_memory=max_memory, watch=ids.watch),
            limit=limit,
            worker=worker,
            wait=wait,
            report=report,
            should_stop=should_stop,
        )

    _run(job, work, options, at_end=ids.report, quiet=quiet)


def run_job_on_ray(
    job: "EncodingJob",
    cluster: "RayCluster",
    options: JobRunOptions,
    device: o.DeviceOptions,
    *,
    max_memory: int | None,
    quiet: bool,
) -> None:
    """Encode what is missing of a job on a Ray cluster, and print what it has.

    Raises:
        Exit: with code 3, if rows cannot be encoded.
    """
    from bothways.jobs.ray import run_on_ray
    from bothways.jobs.shard_worker import WorkerOptions

    worker_options = WorkerOptions(
        backend=device.backend,
        device=device.device,
        threads=device.threads,
        max_memory=max_memory,
        limit=options.limit,
        **device.reading,
    )

    def work(report: "Callable[[JobProgress], None]", should_stop: Callable[[], bool]) -> bool:
        return run_on_ray(
            str(job.folder), cluster, worker_options, report=report, should_stop=should_stop
        )

    _run(job, work, options, quiet=quiet)


def _run(
    job: "EncodingJob",
    work: "Callable[[Callable[[JobProgress], None], Callable[[], bool]], bool]",
    options: JobRunOptions,
    *,
    at_end: Callable[[], object] = lambda: None,
    quiet: bool,
) -> None:
    """Work on a job, with its progress, and a signal that lets the shards at hand finish.

    work: called with a callback for the progress, and one that says whether to stop; returns
        whether the job is complete. at_end: called before what the job has is printed.
    """
    from bothways.jobs.worker import check_room

    check_room(job)
    shards = _ShardClock()
    finish = FinishFirst(
        shards.seconds_left,
        _FINISH_SECONDS,
        lambda: note("stopping after this shard; stop again to drop it"),
    )
    started = time.monotonic()
    with _report(options, quiet=quiet) as show, finish:

        def report(progress: "JobProgress") -> None:
            shards.see(progress)
            finish.check()
            show(progress)

        complete = work(report, finish.is_stopping)
    at_end()
    _report_end(job, time.monotonic() - started, shards.last, complete=complete, quiet=quiet)


class _ShardClock:
    """Estimates when the current shard is done, from the progress of the run."""

    def __init__(self) -> None:
        self.last: JobProgress | None = None

    def see(self, progress: "JobProgress") -> None:
        self.last = progress

    def seconds_left(self) -> float | None:
        """At most the time of a whole shard; None before anything is encoded."""
        if self.last is None or self.last.seconds_left is None:
            return None
        fraction = self.last.fraction - self.last.started_at
        return self.last.seconds / fraction / max(1, self.last.total_shards)


@contextmanager
def _report(options: JobRunOptions, *, quiet: bool) -> "Iterator[Callable[[JobProgress], None]]":
    if options.progress == "bar":
        with job_progress(quiet=quiet) as show:
            yield show
        return
    due = 0.0
    last: JobProgress | None = None

    def print_line(progress: "JobProgress") -> None:
        nonlocal due, last
        last = progress
        if time.monotonic() >= due:
            due = time.monotonic() + _JSON_SECONDS
            last = None
            _print_json(progress)

    yield print_line
    if last is not None:
        _print_json(last)


def _print_json(progress: "JobProgress") -> None:
    print(json.dumps(progress.to_json()), flush=True)


def _report_end(
    job: "EncodingJob", seconds: float, last: "JobProgress | None", *, complete: bool, quiet: bool
) -> None:
    records = job.records()
    bad = sum(record.bad for record in records)
    if not quiet:
        rows = sum(record.rows for record in records)
        tokens = 0 if last is None else last.tokens
        state = "complete" if complete else f"{len(job.unfinished()):,} shards are missing"
        note(
            f"{job.folder}: {state}: {rows:,} rows in {len(records):,} parts; encoded "
            f"{tokens:,} tokens in {clock(seconds)} ({tokens / max(seconds, 1e-3):,.0f} tokens/s)"
        )
    _warn_of_rows(job, records, bad)
    sys.stdout.flush()
    if complete and bad:
        raise typer.Exit(BAD_ROWS)


def _warn_of_rows(job: "EncodingJob", records: "list[ShardRecord]", bad: int) -> None:
    rows = sum(record.rows for record in records)
    truncated = sum(record.truncated for record in records)
    unknown = sum(record.unknown for record in records)
    missing = sum(record.missing for record in records)
    if truncated:
        warn(
            f"truncated {truncated:,} of {rows:,} rows to the maximum length of "
            f"{job.spec.origin.max_length} positions; --on-overflow window reads them whole"
        )
    if unknown and job.spec.settings.on_unknown == "warn":
        warn(f"{unknown:,} of {rows:,} rows consist mostly of tokens that the model does not know")
    if missing:
        action = "skipped" if job.spec.on_missing == "skip" else "read as empty texts"
        warn(f"rows without a value that were {action}: {missing:,}")
    if bad:
        first = next(record for record in records if record.bad)
        path = job.bad_path(first.shard)
        message = json.loads(path.read_text(encoding="utf-8").split("\n", 1)[0])["message"]
        warn(f"rows that cannot be encoded: {bad:,}, listed in {path.parent}; the first: {message}")
