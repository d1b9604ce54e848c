"""Commands made of functions: help in groups, all options on request, and lazy import."""

import dataclasses
import subprocess
import sys
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from bothways.cli.command import command
from bothways.io.options import Option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers:
    one: Annotated[int, Option("One.", group="Numbers")] = 1
    two: Annotated[int, Option("Two.", group="Numbers", advanced=True)] = 2


def act(
    thing: Annotated[str, typer.Argument(metavar="THING", help="A thing.")],
    numbers: Numbers,
    plain: Annotated[bool, typer.Option("--plain", help="Plain.")] = False,
) -> None:
    """Do it."""
    print(thing, numbers.one, numbers.two, plain)


COMMAND: Any = command(act)


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        COMMAND(list(arguments))
    assert end.value.code == 0
    return capsys.readouterr().out


def test_options_are_listed_under_their_group_and_others_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = run("--help", capsys=capsys).splitlines()
    starts = [lines.index(f"{group}:") for group in ("Arguments", "Numbers", "Options")]
    assert starts == sorted(starts)
    numbers = "\n".join(lines[starts[1] : starts[2]])
    assert "--one" in numbers
    assert "--plain" not in numbers
    assert "--plain" in "\n".join(lines[starts[2] :])


def test_advanced_options_are_listed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--two" not in run("--help", capsys=capsys)
    assert "--two N" in run("--help-all", capsys=capsys)
    assert run("x", "--two", "3", capsys=capsys) == "x 1 3 False\n"


def test_a_command_is_imported_only_when_it_is_used() -> None:
    code = (
        "import sys\nfrom bothways.cli.app import app\n"
        "try:\n    app(['pull', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('bothways.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = done.stdout.splitlines()[-1]
    assert "'bothways.cli.pull'" in modules
    assert "'bothways.cli.train'" not in modules
    assert "'bothways.cli.compare'" not in modules


def test_a_misspelled_command_is_corrected() -> None:
    from bothways.cli.app import app

    done = CliRunner().invoke(app, ["serach"])
    assert done.exit_code == 2
    assert "Did you mean 'search'?" in done.stderr
