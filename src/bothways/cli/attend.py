"""`bothways attend`: write a page of the attention of texts, symbols or series."""

import contextlib
import dataclasses
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.arguments import decode_text
from bothways.cli.command import command
from bothways.cli.console import note
from bothways.cli.inputs import check_input_files, note_tables, report_missing
from bothways.cli.ranges import Ranges
from bothways.errors import InputError
from bothways.io.options import Option

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.files import InputFile

__all__ = ["COMMAND", "attend"]

DEFAULT_ROWS = "1-5"

_VIEW = "View"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttendPageOptions:
    """The page, and what it shows."""

    output: Annotated[
        str,
        Option("Page to write, .html.", group="Output", unit="FILE", flags=("--output", "-o")),
    ]
    overwrite: o.Overwrite = False
    to: Annotated[
        str | None,
        Option("Sequence whose similarity is explained, token by token.", group=_VIEW, unit="TEXT"),
    ] = None
    layers: Annotated[
        str | None,
        Option(
            "Layers to show, such as 1-3,6, counted from 1 (default: all); more than 512 tokens "
            "need it.",
            group=_VIEW, unit="RANGES",
        ),
    ] = None  # fmt: skip
    occlude: Annotated[
        bool,
        Option(
            "Compute scores without each token.",
            group=_VIEW, advanced=True, flags=("--occlude/--no-occlude",),
        ),
    ] = True  # fmt: skip
    model: Annotated[str, Option(o.MODEL_HELP, group="Vectors", unit="MODEL")] = "minilm"
    prompt: o.Prompt = None
    prompt_name: o.PromptName = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttendInputOptions(o.InputOptions):
    """Files of sequences, and the rows of them that are shown."""

    inputs: Annotated[
        tuple[str, ...],
        Option(
            "File of sequences, one per row, in any format that `bothways encode` reads, or - for "
            "standard input.",
            group="Input", unit="FILE", flags=("--in",),
        ),
    ] = ()  # fmt: skip
    rows: Annotated[
        str | None,
        Option(
            f"Rows to show, such as 1-5,9, counted from 1 (default: {DEFAULT_ROWS}).",
            group="Input", unit="RANGES",
        ),
    ] = None  # fmt: skip


class _Sequences(NamedTuple):
    """The sequences of a page: what it calls each, and where each is, for messages."""

    values: list[Any]
    names: list[str]
    places: list[str]


def attend(
    options: AttendPageOptions,
    inputs: AttendInputOptions,
    backend: o.BackendOptions,
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="Text or symbols to show.")
    ] = None,
    quiet: o.Quiet = False,
) -> None:
    """Write a page that shows where a model looks, and what each token did.

    One HTML file that needs no network: the tokens in their text, the attention of each head, what
    the model predicts, and the score without each token: the similarity with --to, or the output of
    a head. Sequences that are longer than the model allows are cut.

    \b
        bothways attend "The trophy did not fit because it was too big" -o attend.html
        bothways attend "cheap flights to Rome" --to "low-cost air travel, Italy" -o pair.html
        bothways attend --in reviews.csv --rows 1-5 --model runs/topics -o why.html
    """
    from bothways.files.output import check_output
    from bothways.views.page_file import check_page_name

    if (text is None) == (not inputs.inputs):
        raise typer.BadParameter("give one of TEXT and --in")
    if inputs.rows is not None and not inputs.inputs:
        raise typer.BadParameter("--rows is about the rows of --in")
    rows = Ranges.parse(inputs.rows or DEFAULT_ROWS, "--rows")
    layers = None if options.layers is None else Ranges.parse(options.layers, "--layers")
    path = Path(options.output)
    check_page_name(path)
    check_output(path, overwrite=options.overwrite)
    files = check_input_files(inputs, options.output, quiet=quiet)
    encoder = models.load(options.model, backend, quiet=quiet)
    sequences = (
        _read_rows(files, inputs, rows, encoder, quiet=quiet)
        if text is None
        else _from_argument(text, encoder)
    )
    view = _compute(encoder, sequences, options, layers)
    check_output(path, overwrite=options.overwrite)
    view.save(path)
    if not quiet:
        note(f"wrote {options.output}; open it in a browser")


def _compute(
    encoder: "Encoder", sequences: _Sequences, options: AttendPageOptions, layers: Ranges | None
) -> Any:
    from bothways.inference.options import RunOptions
    from bothways.views.attend import AttendOptions
    from bothways.views.attend import attend as compute

    indices = None
    if layers is not None:
        count = encoder.config.num_layers
        indices = [number - 1 for number in layers.up_to(count, "--layers", "layers")]
    view = AttendOptions(
        to=None if options.to is None else decode_text(options.to),
        layers=indices,
        occlude=options.occlude,
        names=sequences.names,
        source=options.model,
    )
    run = RunOptions("truncate", prompt=options.prompt, prompt_name=options.prompt_name)
    try:
        return compute(encoder.session, sequences.values, view=view, options=run)
    except InputError as error:
        if error.sequence is None:
            raise
        place = [*sequences.places, "--to"][error.sequence]
        raise InputError(f"{place}: {error.detail}") from error


def _from_argument(text: str, encoder: "Encoder") -> _Sequences:
    if models.kind_of(encoder) == "series":
        raise InputError("this model reads series; give a file of them with --in")
    value = decode_text(text)
    if not value.strip():
        raise InputError("TEXT is empty; give a text or symbols")
    return _Sequences([value], ["1"], ["TEXT"])


def _read_rows(
    files: "list[InputFile]",
    inputs: AttendInputOptions,
    rows: Ranges,
    encoder: "Encoder",
    *,
    quiet: bool,
) -> _Sequences:
    from bothways.files import ReadProgress, read_rows

    read_progress = ReadProgress(files)
    sequences = _Sequences([], [], [])
    reading = read_rows(
        files,
        kind=models.kind_of(encoder),
        column=inputs.column,
        id_column=inputs.id_column,
        on_missing=inputs.on_missing,
        read_progress=read_progress,
    )
    count = 0
    with contextlib.closing(reading):
        noted = reading if quiet else note_tables(reading, read_progress, columns=False)
        for count, row in enumerate(islice(noted, rows.last), start=1):
            if count in rows:
                sequences.values.append(row.value)
                sequences.names.append(f"row {count}" if row.is_numbered else row.id)
                sequences.places.append(str(row.place))
    report_missing(inputs, read_progress)
    if not sequences.values or (inputs.rows is not None and count < rows.last):
        raise InputError(f"--rows {rows}: the input has {count} rows")
    return sequences


COMMAND = command(attend)
