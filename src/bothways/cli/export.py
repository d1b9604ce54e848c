"""`bothways export`: write a model in the form of another library."""

from bothways.cli import models
from bothways.cli import options as o
from bothways.cli.console import note

__all__ = ["export"]


def export(
    model: o.ModelArgument, output: o.ExportFolder, to: o.ExportForm, quiet: o.Quiet = False
) -> None:
    """Write a model as a folder for another library.

    \b
        bothways export minilm -o minilm-transformers --to transformers
        bothways export ./trained -o ./for-others --to sentence-transformers
    """
    from bothways import checkpoints

    folder = checkpoints.read_folder(models.fetch(model, quiet=quiet))
    checkpoints.export(folder, output, to)
    if not quiet:
        note(f"wrote {output} in the form of {to}")
