"""Options say what the library says, and explain themselves."""

import re
import subprocess
import sys
from typing import get_args

import pytest

from bothways.checkpoints import export
from bothways.cli import options
from bothways.sequences import OnOverflow

COMMANDS = ("encode", "search", "compare", "inspect", "pull", "export", "doctor")


def choices(option: object) -> tuple[str, ...]:
    literal, *_ = get_args(option)
    return get_args(literal)


def test_the_choices_are_those_of_the_library() -> None:
    assert choices(options.OnOverflow) == get_args(OnOverflow)
    form = export.__annotations__["to"]
    assert set(choices(options.ExportForm)) == set(get_args(form))


@pytest.mark.parametrize("name", options.__all__)
def test_every_option_has_help(name: str) -> None:
    assert getattr(options, name).__metadata__[0].help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bothways", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(rf"^ +bothways {command}\b", done.stdout, re.MULTILINE)
    assert done.stderr == ""


def test_the_version_is_the_package_s() -> None:
    import bothways

    done = subprocess.run(
        [sys.executable, "-m", "bothways", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"bothways {bothways.__version__}\n"
