"""Help in groups."""

from typing import Annotated

import typer
from typer.testing import CliRunner

from bothways.cli.grouped import GroupedCommand


def test_options_are_listed_under_their_group_and_others_last() -> None:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)

    @app.command(cls=GroupedCommand)
    def command(
        thing: Annotated[str, typer.Argument(help="A thing.")],
        plain: Annotated[bool, typer.Option("--plain", help="Plain.")] = False,
        one: Annotated[int, typer.Option(help="One.", rich_help_panel="Numbers")] = 1,
        two: Annotated[int, typer.Option(help="Two.", rich_help_panel="Numbers")] = 2,
    ) -> None:
        """Do it."""

    lines = CliRunner().invoke(app, ["--help"]).output.splitlines()
    starts = [lines.index(f"{group}:") for group in ("Arguments", "Numbers", "Options")]
    assert starts == sorted(starts)
    numbers = "\n".join(lines[starts[1] : starts[2]])
    assert "--one" in numbers
    assert "--two" in numbers
    assert "--plain" not in numbers
