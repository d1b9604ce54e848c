"""`bothways job`: the state of a job, checks of its files, and more workers at it."""

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bothways.cli import options as o
from bothways.cli.command import CONTEXT_SETTINGS, LazyGroup, command
from bothways.cli.console import note
from bothways.cli.generated_options import BYTES
from bothways.cli.job_runs import JobRunOptions, load_job_encoder, run_job, run_job_on_ray
from bothways.cli.progress import clock
from bothways.errors import DataFileError, InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    from bothways.jobs.ray import RayCluster
    from bothways.jobs.status import JobStatus

__all__ = ["COMMAND"]

Folder = Annotated[
    str, typer.Argument(metavar="FOLDER", help="Folder that `bothways encode -o FOLDER/` made.")
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetryOptions(JobRunOptions):
    """How shards are encoded."""

    max_memory: Annotated[
        int | None,
        Option(
            "Memory limit of the whole process, such as 2GiB (default: none).",
            group="Computation", unit=BYTES,
        ),
    ] = None  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkOptions(RetryOptions):
    """Which shards a worker takes, and how it encodes them."""

    worker: Annotated[
        str | None,
        Option(
            "Take every n-th shard, as the i-th of n workers, from 1 (default: every shard that no "
            "other worker has).",
            unit="I/N",
        ),
    ] = None  # fmt: skip
    ray: Annotated[
        str | None,
        Option(
            "Start workers on a Ray cluster: auto for the one that runs, local for one on this "
            "machine, or its address.",
            group="Ray", unit="ADDRESS",
        ),
    ] = None  # fmt: skip
    workers: Annotated[
        int | None,
        Option(
            "Number of workers on the cluster (default: as many as its machines have room for).",
            group="Ray", unit="N", minimum=1,
        ),
    ] = None  # fmt: skip
    cpus: Annotated[
        int, Option("CPUs, and threads, of each worker.", group="Ray", unit="N", minimum=1)
    ] = 4
    gpus: Annotated[
        float, Option("GPUs of each worker; 0.5 shares one.", group="Ray", unit="N", minimum=0)
    ] = 0.0


def status(folder: Folder, as_json: o.AsJson = False) -> None:
    """Print how far a job is, also while workers are at it.

    \b
        bothways job status vectors/
        bothways job status vectors/ --json
    """
    from bothways.jobs.job import open_job
    from bothways.jobs.status import status_of

    state = status_of(open_job(Path(folder)))
    if as_json:
        print(json.dumps(state.to_json()))
    else:
        print("\n".join(_lines(state)))


def verify(
    folder: Folder,
    device: o.DeviceOptions,
    deep: Annotated[
        bool, typer.Option("--deep", help="Encode a sample of rows again, and compare the bits.")
    ] = False,
    quiet: o.Quiet = False,
) -> None:
    """Compare the files of a job with their digests, and its inputs with those of the plan.

    \b
        bothways job verify vectors/
        bothways job verify vectors/ --deep
    """
    from bothways.jobs.job import open_job
    from bothways.jobs.status import machines
    from bothways.jobs.verify import verify_files, verify_vectors

    job = open_job(Path(folder))
    problems = verify_files(job)
    compared = 0
    if deep and not problems:
        encoder = load_job_encoder(job, device, quiet=quiet)
        compared, problems = verify_vectors(job, encoder)
    if problems:
        for problem in problems:
            note(problem)
        raise DataFileError(f"{folder}: problems found: {len(problems):,}")
    records = job.records()
    kinds = machines(records)
    if len(kinds) > 1:
        note(f"parts were made with {' and '.join(kinds)}: the last digits of vectors may differ")
    if not quiet:
        missing = len(job.plan.shards) - len(records)
        state = f", {missing:,} shards are missing" if missing else ""
        again = f", {compared:,} rows encoded again have the same bits" if deep else ""
        note(f"{folder}: {len(records):,} parts are as they were written{again}{state}")


def retry(
    folder: Folder, options: RetryOptions, device: o.DeviceOptions, quiet: o.Quiet = False
) -> None:
    """Encode the shards again that have rows which could not be encoded.

    After a fix that leaves the inputs as they are: of the model folder, of bothways, or more memory
    for rows at which the process was killed.

    \b
        bothways job retry vectors/
        bothways job retry vectors/ --max-memory 16GiB
    """
    from bothways.jobs.job import open_job

    job = open_job(Path(folder))
    shards = [record.shard for record in job.records() if record.bad]
    if shards or job.unfinished():
        encoder = load_job_encoder(job, device, quiet=quiet)
        job.reopen(shards)
        run_job(job, encoder, options, max_memory=options.max_memory, quiet=quiet)
    elif not quiet:
        note(f"{folder}: no row is listed as one that cannot be encoded")


def work(
    folder: Folder, options: WorkOptions, device: o.DeviceOptions, quiet: o.Quiet = False
) -> None:
    """Work on a job, beside other workers on this machine or on others that share its folder.

    Ends when no shard is left that it can take. With --ray, starts workers on a cluster, whose
    machines share the folder and the inputs, and ends when the job is complete.

    \b
        bothways job work vectors/
        bothways job work vectors/ --worker 3/16
        bothways job work vectors/ --ray auto --workers 8 --cpus 4
    """
    from bothways.jobs.job import open_job

    worker = None if options.worker is None else _parse_worker(options.worker)
    cluster = _cluster(options)
    job = open_job(Path(folder))
    if cluster is not None:
        run_job_on_ray(job, cluster, options, device, max_memory=options.max_memory, quiet=quiet)
        return
    encoder = load_job_encoder(job, device, quiet=quiet)
    run_job(
        job, encoder, options, max_memory=options.max_memory, worker=worker, wait=False,
        quiet=quiet,
    )  # fmt: skip


def _cluster(options: WorkOptions) -> "RayCluster | None":
    """The Ray cluster to work on; None for a worker in this process.

    Raises:
        InputError: for options that exclude each other.
    """
    if options.ray is None:
        for name in ("workers", "cpus", "gpus"):
            if getattr(options, name) != getattr(WorkOptions(), name):
                raise InputError(f"--{name} is for workers on a Ray cluster; give --ray as well")
        return None
    if options.worker is not None:
        raise InputError("--worker is for a worker in this process; with --ray, give --workers")
    from bothways.jobs.ray import RayCluster

    return RayCluster(
        address=options.ray, workers=options.workers, cpus=options.cpus, gpus=options.gpus
    )


def _parse_worker(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise typer.BadParameter(
            f"{text!r}: expected I/N, such as 3/16 for the third of 16 workers",
            param_hint="'--worker'",
        )
    return int(match[1]), int(match[2])


def _lines(state: "JobStatus") -> list[str]:
    share = state.shards / max(1, state.total_shards)
    lines = [
        f"shards   {state.shards:,} of {state.total_shards:,} ({share:.0%})",
        f"rows     {state.rows:,} of {state.total_rows:,}, {state.tokens:,} tokens",
    ]
    counts = {
        "bad": state.bad,
        "missing": state.missing,
        "truncated": state.truncated,
        "copied": state.copied,
    }
    lines += [f"{name:8} {count:,}" for name, count in counts.items() if count]
    if state.complete:
        return ["complete", *lines]
    lines += [f"worker   {worker}" for worker in state.workers]
    if not state.workers:
        lines.append("no worker is at it; the command that began it resumes it")
    if state.seconds_left is not None and state.rows_per_second is not None:
        lines.append(
            f"speed    {state.rows_per_second:,.0f} rows/s, {clock(state.seconds_left)} left"
        )
    lines += [f"reads    {name} from its start for every shard" for name in state.rereads]
    return lines


class _JobCommands(LazyGroup):
    names = ("status", "verify", "retry", "work")

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _COMMANDS.get(cmd_name)


_COMMANDS = {function.__name__: command(function) for function in (status, verify, retry, work)}


def _group() -> Any:
    app = typer.Typer(
        name="job",
        cls=_JobCommands,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        context_settings=CONTEXT_SETTINGS,
    )

    @app.callback()
    def job() -> None:
        """Follow and verify the encoding into a folder, and add workers.

        `bothways encode INPUT... -o FOLDER/` plans and runs a job, and the same command resumes it.

        \b
            bothways job status vectors/
            bothways job work vectors/ --worker 3/16
        """

    return typer.main.get_command(app)


COMMAND = _group()
