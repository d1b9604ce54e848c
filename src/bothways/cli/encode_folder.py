"""`bothways encode` into a folder: a job, which the same command resumes."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note
from bothways.cli.job_runs import JobRunOptions, run_job
from bothways.cli.progress import stage_progress
from bothways.errors import InputError
from bothways.files.formats import require_parquet
from bothways.io.options import Option

if TYPE_CHECKING:
    import numpy as np

    from bothways.cli.encode import EncodeOptions
    from bothways.files import InputFile
    from bothways.jobs.job import EncodingJob
    from bothways.streaming.settings import EncodeSettings

__all__ = ["FolderOptions", "encode_folder", "is_folder"]

_GROUP = "Output folder"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FolderOptions(JobRunOptions):
    """How a job is planned and run."""

    restart: Annotated[
        bool, Option("Remove the job in the folder, and begin again.", group=_GROUP, advanced=True)
    ] = False
    shard_rows: Annotated[
        int | None,
        Option(
            "Rows of a part (default: 65,536, or fewer if their vectors take more than 128 MiB).",
            group=_GROUP, unit="N", minimum=1, advanced=True,
        ),
    ] = None  # fmt: skip
    plan_only: Annotated[
        bool,
        Option(
            "Plan the job, and leave encoding to workers (`bothways job work`).",
            group=_GROUP, advanced=True,
        ),
    ] = False  # fmt: skip


def is_folder(output: str) -> bool:
    """Whether an output is a folder: its name ends with a slash, or it is one."""
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def encode_folder(
    files: "Sequence[InputFile]",
    inputs: o.InputOptions,
    keep: Sequence[str] | Literal["all"],
    options: "EncodeOptions",
    folder_options: FolderOptions,
    settings: "EncodeSettings",
    backend: o.BackendOptions,
    *,
    max_memory: int | None,
    quiet: bool,
) -> None:
    """Plan the job if the folder has none, and encode what is missing, unless told to plan only.

    Raises:
        DataFileError: if the folder has another job, or other files.
        InputError: if an option is for a single file.
    """
    from bothways.files.columns import ColumnSelection
    from bothways.jobs.calibration import calibrate_job
    from bothways.jobs.job import check_folder, prepare_job
    from bothways.jobs.spec import JobSpec
    from bothways.streaming.memory import plan_chunks

    _check_options(options)
    folder_options.limit  # noqa: B018 - refuses a wrong limit before a model is loaded
    folder = Path(options.output)
    require_parquet(options.output)
    check_folder(folder)
    encoder = models.load(options.model, backend, quiet=quiet)
    origin = models.origin_of(encoder, options.model, settings, options.vectors_as)
    spec = JobSpec(
        inputs=tuple(files),
        columns=ColumnSelection(inputs.column, inputs.id_column, keep),
        settings=settings,
        origin=origin,
        kind=models.kind_of(encoder),
        on_missing=inputs.on_missing,
        texts=options.text,
        shard_rows=folder_options.shard_rows or JobSpec.default_shard_rows(origin.dimensions),
    )

    def calibrate(job: "EncodingJob") -> "np.ndarray":
        windows = settings.on_overflow == "window"
        plan = plan_chunks(max_memory, encoder, dimensions=origin.dimensions, windows=windows)
        return calibrate_job(job, encoder, plan)

    with stage_progress("planning", quiet=quiet) as report:
        job = prepare_job(
            folder, spec, restart=folder_options.restart, report=report, calibrate=calibrate
        )
    if not quiet:
        _note_columns(job, inputs)
    if folder_options.plan_only:
        if not quiet:
            note(
                f"{folder}: {job.plan.rows:,} rows in {len(job.plan.shards):,} parts are planned; "
                f"to encode them: bothways job work {folder}"
            )
        return
    run_job(job, encoder, folder_options, max_memory=max_memory, quiet=quiet)


def _note_columns(job: "EncodingJob", inputs: o.InputOptions) -> None:
    """Print the columns that the first input's first row determined."""
    file, planned = job.spec.inputs[0], job.plan.inputs[0]
    if inputs.column is None and planned.column is not None:
        note(f"{file.name}: encoding column {planned.column!r}")
    if inputs.id_column is None and planned.id_column is not None:
        note(f"{file.name}: ids are those of column {planned.id_column!r}")


def _check_options(options: "EncodeOptions") -> None:
    for given, name in (
        (options.tokens, "--tokens"),
        (options.chunks is not None, "--chunks"),
        (options.output_format is not None, "--format"),
        (options.overwrite, "--overwrite"),
    ):
        if given:
            instead = "; --restart begins again" if name == "--overwrite" else ""
            raise InputError(
                f"{options.output}: {name} is for a single file of vectors, and this is a "
                f"folder{instead}"
            )
