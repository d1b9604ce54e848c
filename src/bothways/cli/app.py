"""The program `bothways` and its commands."""

from typing import Annotated

import typer

from bothways import __version__
from bothways.cli.command import CONTEXT_SETTINGS, LazyGroup

__all__ = ["app"]


class _Commands(LazyGroup):
    module = "bothways.cli"
    names = (
        *("encode", "job", "search", "index", "serve", "train"),
        *("predict", "evaluate", "attend", "map"),
        *("compare", "inspect", "pull", "export", "doctor"),
    )


app = typer.Typer(
    name="bothways",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=CONTEXT_SETTINGS,
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"bothways {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Encode text, symbols and series with Transformer encoders.

    Results go to standard output or a file, messages to standard error. Exit codes: 0 success, 1
    the work failed, 2 invalid command, 3 a job is complete but for rows that cannot be encoded, 130
    interrupted.

    \b
        bothways encode sentences.txt -o sentences.jsonl
        bothways search "keep the rain off" --in sentences.jsonl -k 5
        bothways train classify train.csv --label y --out runs/topic --from minilm
        bothways predict runs/topic new.csv -o topics.csv
    """
