"""`bothways pull`: fetch a model ahead."""

from bothways.cli import options as o
from bothways.cli.progress import pull_progress

__all__ = ["pull"]


def pull(source: o.SourceArgument, quiet: o.Quiet = False) -> None:
    """Fetch a model ahead, and print its folder.

    A model that is there already is read once more and repaired if it is damaged. A model is in the
    cache whole or not at all, even if fetching it is interrupted.

    \b
        bothways pull minilm
        bothways pull hf:org/name@main
    """
    from bothways.checkpoints.sources import pull as pull_source

    with pull_progress(source, quiet=quiet) as progress:
        folder = pull_source(source, progress=progress)
    print(folder)
