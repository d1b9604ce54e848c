"""`bothways export`: write a model in the form of another library."""

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note, warn

__all__ = ["export"]


def export(
    model: o.ModelArgument,
    output: o.ExportFolder,
    to: o.ExportForm,
    overwrite: o.Overwrite = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a model as a folder for another library.

    What the other library has no place for, such as a head of another form, is left out and named;
    onnx has a place for everything.

    \b
        bothways export minilm -o minilm-transformers --to transformers
        bothways export ./trained -o ./for-others --to sentence-transformers
        bothways export ./trained -o ./anywhere --to onnx
    """
    from bothways import checkpoints

    bundle = checkpoints.read_folder(models.fetch(model, quiet=quiet))
    for left_out in checkpoints.export(bundle, output, to, overwrite=overwrite):
        warn(f"left out: {left_out}")
    if not quiet:
        note(f"wrote {output} in the form of {to}")
