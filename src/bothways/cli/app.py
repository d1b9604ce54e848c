"""The program `bothways` and its commands."""

from typing import Annotated

import typer

from bothways import __version__
from bothways.cli.compare import compare
from bothways.cli.console import reporting
from bothways.cli.doctor import doctor
from bothways.cli.encode import encode
from bothways.cli.export import export
from bothways.cli.grouped import GroupedCommand
from bothways.cli.inspect import inspect
from bothways.cli.predict import predict
from bothways.cli.pull import pull
from bothways.cli.search import search
from bothways.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    name="bothways",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (encode, search, train, predict, compare, inspect, pull, export, doctor):
    app.command(cls=GroupedCommand)(reporting(command))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bothways {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Encode sequences with Transformer encoders: text, symbols and series in, vectors out.

    Results go to standard output or a file, messages to standard error. Exit codes: 0 done, 1 the
    work failed, 2 the command was wrong, 130 interrupted.

    \b
        bothways encode sentences.txt -o sentences.jsonl
        bothways search "keep the rain off" --in sentences.jsonl -k 5
        bothways train classify train.csv --label y --out runs/topic --from minilm
        bothways predict runs/topic new.csv -o topics.csv
    """


def main() -> None:
    """Run the command line and exit with its code."""
    app(prog_name="bothways")
