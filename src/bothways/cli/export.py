"""`bothways export`: write a model in the format of another library."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.console import note, warn
from bothways.io.options import Option
from bothways.model.read_options import ReadOptions

__all__ = ["COMMAND", "ExportOptions", "export"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(ReadOptions):
    """The folder to write, its format, and how the model's folder is read."""

    output: Annotated[
        str, Option("Folder to create.", group="Output", unit="DIR", flags=("--output", "-o"))
    ]
    to: Annotated[
        Literal["transformers", "sentence-transformers", "onnx", "bothways"],
        Option(
            "Format of the folder: transformers, sentence-transformers, onnx or bothways.",
            group="Output", unit="FORMAT", flags=("--to",),
        ),
    ]  # fmt: skip
    overwrite: o.Overwrite = False


def export(model: o.ModelArgument, options: ExportOptions, quiet: o.Quiet = False) -> None:
    """Write a model as a folder for another library.

    A warning names the parts of the model that the format cannot hold, such as a head of an
    unsupported kind. The onnx format holds everything in one graph, beside a tokenizer that cuts
    and pads as bothways does.

    \b
        bothways export minilm -o minilm-transformers --to transformers
        bothways export ./trained -o ./trained-onnx --to onnx
        bothways export jinaai/jina-embeddings-v3 -o ./q --to bothways --adapter retrieval.query
    """
    from bothways import checkpoints

    out = Path(options.output)
    checkpoints.check_export_folder(out, overwrite=options.overwrite)  # before a model is fetched
    folder = models.fetch(model, quiet=quiet)
    bundle = checkpoints.read_folder(folder, **options.reading)
    bundle.require_route(options.route)
    for omission in checkpoints.export(bundle, out, options.to, overwrite=options.overwrite):
        warn(f"left out: {omission}")
    if not quiet:
        note(f"wrote {options.output} in the form of {options.to}")


COMMAND = command(export)
