"""`bothways encode`: files of sequences in, a file of vectors out."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note, warn
from bothways.cli.memory import hold_on_to_little, plan_chunks
from bothways.cli.progress import encoding_progress
from bothways.errors import DataFileError

if TYPE_CHECKING:
    from bothways.files import Row

__all__ = ["encode", "refuse_output_among_inputs"]


def encode(
    inputs: o.Inputs,
    output: o.Output,
    model: o.Model = "minilm",
    column: o.Column = None,
    id_column: o.IdColumn = None,
    input_format: o.InputFormat = None,
    pooling: o.Pooling = None,
    normalize: o.Normalize = None,
    dimensions: o.Dimensions = None,
    prompt: o.Prompt = None,
    prompt_name: o.PromptName = None,
    on_overflow: o.OnOverflow = "truncate",
    on_unknown: o.OnUnknown = "warn",
    max_memory: o.MaxMemory = None,
    backend: o.Backend = "auto",
    precision: o.PrecisionOption = "fp32",
    threads: o.Threads = None,
    overwrite: o.Overwrite = False,
    quiet: o.Quiet = False,
) -> None:
    """Encode files of sequences into a file of vectors.

    There is one vector for each row, in order. Rows are read, encoded and written a part at a time,
    so files may be of any size. A .jsonl output has id, text, vector, num_tokens, num_unknown
    (how many of the tokens are unknown to the model) and truncated in each row, and which model and
    settings made it; .parquet has the same as columns, with the model
    and settings in its metadata, in a third of the space (it needs the extra [parquet]); .npy has
    the vectors alone, and the model and settings in a .npy.json beside it.

    \b
        bothways encode sentences.txt -o sentences.jsonl
        bothways encode reviews.csv --column body --id-column id -o reviews.parquet
        bothways encode part-*.jsonl.zst -o all.npy --max-memory 1GB
        zcat log.gz | bothways encode - -o - | head
    """
    from bothways.cli.streaming import encode_rows
    from bothways.files import Meter, check_inputs, read_rows, vector_output

    hold_on_to_little()
    check_inputs(inputs, input_format)
    refuse_output_among_inputs(inputs, output)
    settings = models.EncodeSettings(
        pooling,
        normalize,
        dimensions,
        prompt,
        prompt_name,
        on_overflow=on_overflow,
        on_unknown=on_unknown,
    )
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(vector_output(output, overwrite=overwrite))
        encoder = models.load(
            model, backend=backend, precision=precision, threads=threads, quiet=quiet
        )
        origin = models.origin_of(encoder, model, settings)
        writer = out.begin(origin)
        plan = plan_chunks(
            max_memory,
            encoder,
            dimensions=origin.dimensions,
            windows=on_overflow == "window",
        )
        meter = Meter(inputs)
        rows = stack.enter_context(
            contextlib.closing(
                read_rows(
                    inputs,
                    kind=models.kind_of(encoder),
                    column=column,
                    id_column=id_column,
                    input_format=input_format,
                    meter=meter,
                )
            )
        )
        started = time.monotonic()
        with encoding_progress(quiet=quiet) as report:
            totals = encode_rows(
                encoder,
                rows if quiet or column else _announced(rows),
                writer,
                settings=settings,
                plan=plan,
                meter=meter,
                report=report,
            )
        seconds = time.monotonic() - started
    if totals.truncated:
        warn(
            f"{totals.truncated:,} of {totals.rows:,} rows are longer than the model's "
            f"{encoder.max_length} positions and were cut; --on-overflow window encodes all of them"
        )
    if on_unknown == "warn":
        totals.warn_of_unknown()
    if not quiet:
        note(
            f"encoded {totals.rows:,} rows, {totals.tokens:,} tokens, in {seconds:.1f} s "
            f"({totals.tokens / max(seconds, 1e-3):,.0f} tokens/s)"
        )


def _announced(rows: "Iterable[Row]") -> "Iterator[Row]":
    """Say which column of a table was chosen: without a header, it is the first row's text."""
    file = None
    for row in rows:
        name, _, line, column = row.place
        if name != file and line is not None and column is not None:
            note(f"{name}: encoding column {column!r}")
        file = name
        yield row


def refuse_output_among_inputs(inputs: list[str], output: str) -> None:
    """Raise if the output would overwrite what is to be read.

    Raises:
        DataFileError: naming it.
    """
    if any(_is_same_file(source, output) for source in inputs):
        raise DataFileError(f"{output}: is an input too; give the output another name")


def _is_same_file(source: str, output: str) -> bool:
    try:
        return Path(output).samefile(source)
    except OSError:  # one of them is no file
        return False
