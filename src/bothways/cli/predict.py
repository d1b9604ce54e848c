"""`bothways predict`: files of sequences in, a file of labels, numbers or tokens out."""

import contextlib
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note, warn
from bothways.cli.encode import refuse_output_among_inputs
from bothways.cli.memory import hold_on_to_little, plan_chunks
from bothways.cli.progress import encoding_progress
from bothways.errors import InputError

if TYPE_CHECKING:
    from bothways.cli.predicting import Predictor
    from bothways.encoder import Encoder
    from bothways.files import Kind, Row

__all__ = ["predict"]


def predict(
    model: o.ModelArgument,
    inputs: o.PredictInputs,
    output: o.PredictOutput,
    task: o.Task = None,
    column: o.Column = None,
    pair_column: o.PairColumn = None,
    id_column: o.IdColumn = None,
    input_format: o.InputFormat = None,
    query: o.QueryOption = None,
    words: o.AtWords = False,
    threshold: o.Threshold = 0.5,
    top: o.Top = 5,
    on_overflow: o.OnOverflow = "truncate",
    on_unknown: o.OnUnknown = "warn",
    max_memory: o.MaxMemory = None,
    backend: o.Backend = "auto",
    precision: o.PrecisionOption = "fp32",
    threads: o.Threads = None,
    overwrite: o.Overwrite = False,
    quiet: o.Quiet = False,
) -> None:
    """Label files of sequences with the heads of a model.

    There is one record for each row, in order, with the row's id and text, and what is predicted:
    label and probabilities; values; tokens with their tags; tokens for each mask; or terms and
    their weights. Rows are read and written a part at a time, so files may be of any size. In .csv
    and .tsv, lists are written as JSON.

    \b
        bothways predict runs/topic news.csv --column body -o topics.csv
        bothways predict runs/pos sentences.txt --words -o tagged.jsonl
        bothways predict runs/boil molecules.txt -o kelvin.csv
        bothways predict ./ranker found.jsonl --query "keep the rain off" -o scores.jsonl
    """
    from bothways.cli.predicting import Predictor, choose_task, predict_rows
    from bothways.files import Meter, check_inputs
    from bothways.files.record_writers import record_output

    hold_on_to_little()
    check_inputs(inputs, input_format)
    refuse_output_among_inputs(inputs, output)
    _check_pairs(column, pair_column, query)
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(record_output(output, overwrite=overwrite))
        encoder = models.load(
            model, backend=backend, precision=precision, threads=threads, quiet=quiet
        )
        chosen, head = choose_task(encoder, task)
        predictor = Predictor(
            task=chosen,
            head=head,
            threshold=threshold,
            top=top,
            words=words,
            query=query,
            on_overflow=on_overflow,
            on_unknown=on_unknown,
        )
        encoder.session.heads.weights(head)  # in memory before it is counted what there is
        plan = plan_chunks(
            max_memory, encoder, dimensions=head.num_outputs, windows=on_overflow == "window"
        )
        meter = Meter(inputs)
        rows = stack.enter_context(
            contextlib.closing(
                _rows(
                    inputs,
                    kind=_kind(encoder, predictor, pairs=pair_column is not None),
                    column=column,
                    pair_column=pair_column,
                    id_column=id_column,
                    input_format=input_format,
                    meter=meter,
                )
            )
        )
        writer = out.begin(predictor.columns, models.head_origin(encoder, model, head))
        started = time.monotonic()
        with encoding_progress(quiet=quiet) as report:
            totals = predict_rows(
                encoder, rows, writer, predictor, plan=plan, meter=meter, report=report
            )
        seconds = time.monotonic() - started
    if totals.truncated:
        warn(
            f"{totals.truncated:,} of {totals.rows:,} rows are longer than the model's "
            f"{encoder.max_length} positions and were cut; --on-overflow window reads all of them"
        )
    totals.warn_of_unknown()
    if not quiet:
        note(
            f"{chosen}: {totals.rows:,} rows, {totals.tokens:,} tokens, in {seconds:.1f} s "
            f"({totals.tokens / max(seconds, 1e-3):,.0f} tokens/s)"
        )


def _check_pairs(column: str | None, pair_column: str | None, query: str | None) -> None:
    if pair_column is not None and query is not None:
        raise InputError("--query and --pair-column both name one text of a pair; give one of them")
    if pair_column is not None and column is None:
        raise InputError("--pair-column names the second text of a pair; name the first: --column")


def _kind(encoder: "Encoder", predictor: "Predictor", *, pairs: bool) -> "Kind":
    """What a row holds."""
    kind = models.kind_of(encoder)
    if (pairs or predictor.query is not None) and kind != "text":
        raise InputError(f"pairs are of texts, and this model reads {kind}")
    if predictor.words and (predictor.task != "tag" or kind != "text"):
        raise InputError("--words is for models that tag texts")
    # A sentence to be tagged may be a list of words, as symbols are.
    return "symbols" if predictor.task == "tag" and kind == "text" else kind


def _rows(
    inputs: list[str],
    *,
    kind: "Kind",
    column: str | None,
    pair_column: str | None,
    id_column: str | None,
    input_format: Any,
    meter: Any,
) -> "Generator[Row]":
    from bothways.files import read_rows
    from bothways.files.pairs import read_pairs

    if column is not None and pair_column is not None:
        return read_pairs(
            inputs,
            columns=(column, pair_column),
            id_column=id_column,
            input_format=input_format,
            meter=meter,
        )
    return read_rows(
        inputs,
        kind=kind,
        column=column,
        id_column=id_column,
        input_format=input_format,
        meter=meter,
    )
