"""`bothways predict`: write labels, numbers or tokens that a model predicts for rows of files."""

import contextlib
import dataclasses
import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.equal_ids import IdWatch
from bothways.cli.inputs import (
    check_input_files,
    check_kept,
    columns_to_keep,
    note_tables,
    report_missing,
)
from bothways.cli.progress import encoding_progress
from bothways.errors import InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    from bothways.cli.prediction_records import Predictor
    from bothways.encoder import Encoder
    from bothways.files import InputFile, ReadProgress, Row
    from bothways.model.inputs import InputKind

__all__ = ["COMMAND", "predict"]

RecordFormat = Literal["jsonl", "csv", "tsv", "parquet"]

_TASK = "Task"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """The output, the task, and the options of tasks."""

    output: Annotated[
        str,
        Option(
            "File of predictions: .jsonl, .csv, .tsv, .parquet, or - for stdout.",
            group="Output", unit="FILE", flags=("--output", "-o"),
        ),
    ]  # fmt: skip
    output_format: Annotated[
        RecordFormat | None,
        Option(
            "Format of an output whose name does not show it (default for pipes and devices: "
            "jsonl).",
            group="Output", unit="FORMAT", flags=("--format",), advanced=True,
        ),
    ] = None  # fmt: skip
    overwrite: o.Overwrite = False
    keep: o.Keep = ()
    keep_all: o.KeepAll = False
    task: Annotated[
        o.PredictTask | None,
        Option(
            "classify, predict (numbers), tag, answer, fill-mask or sparse (weights of terms); "
            "default: the only one that the model supports.",
            group=_TASK, unit="TASK",
        ),
    ] = None  # fmt: skip
    pair_column: Annotated[
        str | None,
        Option(
            "Column of the second text of a pair; --column is the first.",
            group=_TASK, unit="NAME",
        ),
    ] = None  # fmt: skip
    query: Annotated[
        str | None,
        Option(
            "First text of every pair, such as a question; the row is the second.",
            group=_TASK, unit="TEXT",
        ),
    ] = None  # fmt: skip
    instruction: Annotated[
        str | None,
        Option(
            "What a reranker that reads instructions judges rows by (default: the model's).",
            group=_TASK, unit="TEXT", advanced=True,
        ),
    ] = None  # fmt: skip
    words: Annotated[
        bool, Option("tag: split texts at spaces and tag words instead of tokens.", group=_TASK)
    ] = False
    aggregate: Annotated[
        Literal["none", "simple", "first", "average", "max"] | None,
        Option(
            "tag: write entities of tokens (none, simple) or words (first, average, max).",
            group=_TASK, unit="HOW",
        ),
    ] = None  # fmt: skip
    threshold: Annotated[
        float,
        Option(
            "classify: minimum probability if rows can have several labels.",
            group=_TASK, unit="NUMBER", minimum=0, maximum=1,
        ),
    ] = 0.5  # fmt: skip
    top: Annotated[
        int | None,
        Option(
            "fill-mask: tokens per mask (default 5); answer: answers (default 1).",
            group=_TASK, unit="N", minimum=1,
        ),
    ] = None  # fmt: skip
    allow_no_answer: Annotated[
        bool,
        Option(
            "answer: let the answer be empty, where the model was trained for that.",
            group=_TASK, advanced=True,
        ),
    ] = False  # fmt: skip


def predict(
    model: o.ModelArgument,
    inputs: o.InputOptions,
    options: PredictOptions,
    overflow: o.OverflowOptions,
    backend: o.BackendOptions,
    quiet: o.Quiet = False,
) -> None:
    """Predict labels, numbers or tokens for files of sequences.

    Writes one record per row, in order: its id and text, then the prediction, such as label and
    probabilities. In .csv and .tsv, lists are JSON. Files may have any size.

    \b
        bothways predict runs/topic news.csv --column body -o topics.csv
        bothways predict runs/pos sentences.txt --words -o tagged.jsonl
    """
    from bothways.cli.streaming import predict_rows, report_totals
    from bothways.files import ReadProgress
    from bothways.files.record_output import open_record_output
    from bothways.streaming.memory import plan_chunks, reduce_memory_retention

    reduce_memory_retention()
    files = check_input_files(inputs, options.output, quiet=quiet)
    keep = columns_to_keep(options.keep, keep_all=options.keep_all)
    _check_pairs(inputs.column, options)
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(
            open_record_output(
                options.output, output_format=options.output_format, overwrite=options.overwrite
            )
        )
        encoder = models.load(model, backend, quiet=quiet)
        predictor = _make_predictor(encoder, options, overflow)
        head = predictor.head
        if head is not None:
            encoder.session.heads.weights(head)  # load the head before memory is measured
        plan = plan_chunks(
            overflow.max_memory,
            encoder,
            dimensions=1 if head is None else head.num_outputs,
            windows=overflow.on_overflow == "window" or predictor.task == "answer",
            query=predictor.query,
        )
        read_progress = ReadProgress(files)
        kind = _input_kind(encoder, predictor, pairs=options.pair_column is not None)
        rows = stack.enter_context(
            contextlib.closing(
                _read_rows(files, inputs, keep, options.pair_column, kind, read_progress)
            )
        )
        ids = IdWatch()
        writer = out.start(predictor.columns, models.head_origin(encoder, model, head))
        started = time.monotonic()
        with encoding_progress(quiet=quiet) as report:
            totals = predict_rows(
                encoder,
                ids.watch(
                    check_kept(
                        rows if quiet else note_tables(rows, read_progress, columns=False),
                        predictor.columns,
                    )
                ),
                writer,
                predictor,
                plan=plan,
                read_progress=read_progress,
                report=report,
            )
        seconds = time.monotonic() - started
    report_missing(inputs, read_progress)
    ids.report()
    report_totals(f"{predictor.task}:", totals, seconds, max_length=encoder.max_length, quiet=quiet)


def _make_predictor(
    encoder: "Encoder", options: PredictOptions, overflow: o.OverflowOptions
) -> "Predictor":
    from bothways.cli.prediction_records import Predictor, choose_task

    task, head = choose_task(encoder, options.task)
    return Predictor(
        task=task,
        head=head,
        threshold=options.threshold,
        top=(1 if task == "answer" else 5) if options.top is None else options.top,
        allow_no_answer=options.allow_no_answer,
        words=options.words,
        aggregate=options.aggregate,
        query=options.query,
        instruction=options.instruction,
        on_overflow=overflow.on_overflow or "truncate",
        on_unknown=overflow.on_unknown,
    )


def _check_pairs(column: str | None, options: PredictOptions) -> None:
    if options.pair_column is None:
        return
    if options.query is not None:
        raise InputError("--query and --pair-column both give one text of a pair; use only one")
    if column is None:
        raise InputError("--pair-column is the second text of a pair; name the first with --column")


def _input_kind(encoder: "Encoder", predictor: "Predictor", *, pairs: bool) -> "InputKind":
    """The kind of value to read from a row."""
    kind = models.kind_of(encoder)
    if (pairs or predictor.query is not None) and kind != "text":
        raise InputError(f"this model reads {kind}, and pairs need text")
    if predictor.words and (predictor.task != "tag" or kind != "text"):
        raise InputError("--words is only for models that tag texts")
    if predictor.aggregate is not None and predictor.task != "tag":
        raise InputError("--aggregate is only for models that tag")
    if predictor.task == "answer" and not pairs and predictor.query is None:
        raise InputError(
            "--task answer needs a question and a context for each row: --column QUESTION "
            "--pair-column CONTEXT, or one question for all rows with --query"
        )
    # A sentence to tag may be a list of words, which is how symbols are read.
    return "symbols" if predictor.task == "tag" and kind == "text" else kind


def _read_rows(
    files: "Sequence[InputFile]",
    inputs: o.InputOptions,
    keep: Sequence[str] | Literal["all"],
    pair_column: str | None,
    kind: "InputKind",
    read_progress: "ReadProgress",
) -> "Generator[Row]":
    from bothways.files import read_rows
    from bothways.files.pairs import read_pairs

    if inputs.column is not None and pair_column is not None:
        return read_pairs(
            files,
            columns=(inputs.column, pair_column),
            id_column=inputs.id_column,
            keep=keep,
            on_missing=inputs.on_missing,
            read_progress=read_progress,
        )
    return read_rows(
        files,
        kind=kind,
        column=inputs.column,
        id_column=inputs.id_column,
        keep=keep,
        on_missing=inputs.on_missing,
        read_progress=read_progress,
    )


COMMAND = command(predict)
