"""`bothways encode`: encode files of sequences into a file of vectors."""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.encode_folder import FolderOptions, encode_folder, is_folder
from bothways.cli.equal_ids import IdWatch
from bothways.cli.inputs import (
    check_input_files,
    check_kept,
    columns_to_keep,
    note_tables,
    report_missing,
)
from bothways.cli.progress import encoding_progress
from bothways.cli.signals import Terminated
from bothways.errors import InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    import numpy as np

    from bothways.encoder import Encoder
    from bothways.files import InputFile, ReadProgress, Row, VectorOutput
    from bothways.files.token_output import TokenOutput
    from bothways.streaming.memory import ChunkPlan

__all__ = ["COMMAND", "encode"]

VectorFormat = Literal["parquet", "npy", "jsonl"]
VectorForm = Literal["f32", "f16", "int8", "binary"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodeOptions(o.PoolingOptions):
    """The model, its vectors and their file."""

    output: Annotated[
        str,
        Option(
            "File: .parquet, .npy or .jsonl; a folder: vectors/; - for stdout.",
            group="Output", unit="FILE", flags=("--output", "-o"),
        ),
    ]  # fmt: skip
    output_format: Annotated[
        VectorFormat | None,
        Option(
            "Format of an output whose name does not show it (default for pipes and devices: "
            "jsonl).",
            group="Output", unit="FORMAT", flags=("--format",), advanced=True,
        ),
    ] = None  # fmt: skip
    overwrite: o.Overwrite = False
    keep: o.Keep = ()
    keep_all: o.KeepAll = False
    text: Annotated[
        bool,
        Option(
            "Leave the texts out, as nulls.", group="Output", flags=("--text/--no-text",),
            advanced=True,
        ),
    ] = True  # fmt: skip
    vectors_as: Annotated[
        VectorForm,
        Option(
            "Form of the vectors in .parquet and .npy: float32, float16, or a byte or a bit per "
            "dimension; int8 reads the inputs twice.",
            group="Output", unit="FORM", advanced=True,
        ),
    ] = "f32"  # fmt: skip
    tokens: Annotated[
        bool,
        Option(
            "Write a vector per token, with tokens and offsets (.parquet or .jsonl).",
            group="Output",
        ),
    ] = False  # fmt: skip
    chunks: Annotated[
        str | None,
        Option(
            "Write a vector per chunk of each row: of N tokens, or `sentences`.",
            group="Output", unit="N",
        ),
    ] = None  # fmt: skip
    model: Annotated[str, Option(o.MODEL_HELP, group="Vectors", unit="MODEL")] = "minilm"


def encode(
    inputs: o.InputOptions,
    options: EncodeOptions,
    overflow: o.OverflowOptions,
    folder: FolderOptions,
    backend: o.BackendOptions,
    quiet: o.Quiet = False,
) -> None:
    """Encode files of sequences into a file of vectors, or a folder of files.

    Writes one vector per row, in order. .jsonl and .parquet (extra [parquet]) hold id, text,
    vector, num_tokens, num_unknown and truncated of each row, with the model and settings; .npy
    holds vectors, with the rest in .npy.json and .npy.ids.jsonl. --tokens adds tokens and offsets,
    --chunks start and end. A folder holds .parquet parts; the same command resumes it (see job).

    \b
        bothways encode reviews.csv --column body --id-column id -o reviews.parquet
        bothways encode 'reviews-*.parquet' --column body -o vectors/
    """
    from bothways.cli.streaming import (
        CHUNK_COLUMNS,
        encode_chunked_rows,
        encode_rows,
        encode_tokens,
        report_totals,
    )
    from bothways.files import ReadProgress
    from bothways.files.token_output import TokenOutput
    from bothways.files.vector_form import hash_ranges
    from bothways.streaming.memory import plan_chunks, reduce_memory_retention

    reduce_memory_retention()
    files = check_input_files(inputs, options.output, quiet=quiet)
    keep = columns_to_keep(options.keep, keep_all=options.keep_all)
    _check_tokens(options)
    chunks = _parse_chunks(options)
    settings = models.EncodeSettings(
        options.pooling,
        options.normalize,
        options.dimensions,
        options.prompt,
        overflow.on_overflow or ("window" if options.chunks else "truncate"),
        prompt_name=options.prompt_name,
        on_unknown=overflow.on_unknown,
    )
    if is_folder(options.output):
        encode_folder(
            files, inputs, keep, options, folder, settings, backend,
            max_memory=overflow.max_memory, quiet=quiet,
        )  # fmt: skip
        return
    with contextlib.ExitStack() as stack:
        with _suggest_slash(options):
            out = stack.enter_context(_open_output(options))
        columns: tuple[str, ...] = (*out.COLUMNS, *(CHUNK_COLUMNS if chunks else ()))
        if (keep or chunks) and out.format == "npy":
            name = "--keep" if keep else "--chunks"
            raise InputError(f".npy has vectors only; use .parquet or .jsonl with {name}")
        if options.vectors_as != "f32" and out.format == "jsonl":
            raise InputError(
                f".jsonl has vectors in full; use .parquet or .npy with --vectors-as "
                f"{options.vectors_as}"
            )
        encoder = models.load(options.model, backend, quiet=quiet)
        origin = models.origin_of(encoder, options.model, settings, options.vectors_as)
        plan = plan_chunks(
            overflow.max_memory,
            encoder,
            dimensions=origin.dimensions,
            windows=settings.on_overflow == "window",
            token_vectors=options.tokens,
        )
        if not all(Path(file.source).is_file() for file in files):
            plan = dataclasses.replace(plan, ahead=False)  # a read that waits cannot be stopped
        if isinstance(out, TokenOutput):
            origin = models.token_origin(encoder, origin)
            encode_all = partial(encode_tokens, writer=out.start(origin))
        else:
            ranges = None
            if options.vectors_as == "int8":
                ranges = _measure_ranges(files, inputs, encoder, settings, plan, quiet=quiet)
                origin = dataclasses.replace(origin, ranges_sha256=hash_ranges(ranges))
            writer = out.start(origin, ranges)
            encode_all = (
                partial(encode_rows, writer=writer)
                if chunks is None
                else partial(encode_chunked_rows, writer=writer, chunks=chunks)
            )
        read_progress = ReadProgress(files)
        rows = stack.enter_context(
            contextlib.closing(_read_rows(files, inputs, keep, encoder, read_progress, quiet=quiet))
        )
        ids = IdWatch()
        started = time.monotonic()
        with _suggest_folder(out), encoding_progress(quiet=quiet) as report:
            totals = encode_all(
                encoder,
                ids.watch(check_kept(rows, columns)),
                settings=settings,
                plan=plan,
                read_progress=read_progress,
                report=report,
                texts=options.text,
            )
        seconds = time.monotonic() - started
    report_missing(inputs, read_progress)
    ids.report()
    report_totals("encoded", totals, seconds, max_length=encoder.max_length, quiet=quiet)


@contextlib.contextmanager
def _suggest_folder(out: "VectorOutput | TokenOutput") -> Iterator[None]:
    """Say, when a signal ends the work, what would have kept its result."""
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        if out.name == "standard output":
            raise
        note("nothing is written; with a folder as output (-o vectors/), the same command resumes")
        raise


@contextlib.contextmanager
def _suggest_slash(options: EncodeOptions) -> Iterator[None]:
    """Say, for an output whose name could be that of a new folder, how a folder is written."""
    from bothways.files.output import UnknownOutputFormat

    try:
        yield
    except UnknownOutputFormat as error:
        if options.tokens or Path(options.output).suffix:
            raise
        raise UnknownOutputFormat(
            f"{error}; for a folder, end the name with a slash: -o {options.output}/"
        ) from None


def _check_tokens(options: EncodeOptions) -> None:
    if options.tokens and options.vectors_as != "f32":
        raise InputError("--tokens writes vectors as float32; leave out --vectors-as")
    for name in ("pooling", "normalize", "dimensions"):
        if options.tokens and getattr(options, name) is not None:
            raise InputError(
                f"--tokens writes the vectors of the last layer as they are; leave out --{name}"
            )


def _parse_chunks(options: EncodeOptions) -> int | Literal["sentences"] | None:
    value = options.chunks
    if value is None:
        return None
    if options.tokens:
        raise InputError("--tokens and --chunks write different vectors; use only one")
    if options.vectors_as == "int8":
        raise InputError(
            "--vectors-as int8 measures vectors of rows; use f16 or binary with --chunks"
        )
    if value == "sentences":
        return "sentences"
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 10**9):
        raise InputError(f"--chunks {value}: expected a number of tokens, or sentences")
    return int(value)


def _open_output(
    options: EncodeOptions,
) -> "AbstractContextManager[VectorOutput | TokenOutput]":
    from bothways.files import open_vector_output
    from bothways.files.token_output import open_token_output

    open_output = open_token_output if options.tokens else open_vector_output
    return open_output(
        options.output, output_format=options.output_format, overwrite=options.overwrite
    )


def _measure_ranges(
    files: "Sequence[InputFile]",
    inputs: o.InputOptions,
    encoder: "Encoder",
    settings: models.EncodeSettings,
    plan: "ChunkPlan",
    *,
    quiet: bool,
) -> "np.ndarray":
    """The ranges of int8 vectors, from a sample of the rows, for which the inputs are read once.

    Raises:
        InputError: if an input cannot be read twice.
    """
    from bothways.files import ReadProgress
    from bothways.streaming.calibration import measure_ranges, sample_rows

    for file in files:
        if not Path(file.source).is_file():
            raise InputError(
                f"{file.name}: --vectors-as int8 reads the inputs twice; give a file, or use "
                "--vectors-as f16"
            )
    rows = _read_rows(files, inputs, (), encoder, ReadProgress(files), quiet=True)
    if not quiet:
        note("measuring the ranges of int8 vectors")
    with contextlib.closing(rows):
        return measure_ranges(encoder, sample_rows(rows), settings, plan)


def _read_rows(
    files: "Sequence[InputFile]",
    inputs: o.InputOptions,
    keep: Sequence[str] | Literal["all"],
    encoder: "Encoder",
    read_progress: "ReadProgress",
    *,
    quiet: bool,
) -> "Generator[Row]":
    from bothways.files import read_rows

    rows = read_rows(
        files,
        kind=models.kind_of(encoder),
        column=inputs.column,
        id_column=inputs.id_column,
        keep=keep,
        on_missing=inputs.on_missing,
        read_progress=read_progress,
    )
    with contextlib.closing(rows):
        yield from rows if quiet else note_tables(rows, read_progress, columns=not inputs.column)


COMMAND = command(encode)
