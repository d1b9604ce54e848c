"""The reference of all commands, as Markdown: `python -m bothways.cli.reference docs/cli.md`.

It is written from the commands themselves; a test compares it with `docs/cli.md`.
"""

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from bothways.cli.app import app
from bothways.cli.command import GroupedCommand, LazyGroup

__all__ = ["commands", "reference"]

_INTRODUCTION = """\
# The command line

<!-- Written by `python -m bothways.cli.reference docs/cli.md`; do not edit by hand. -->

`bothways COMMAND --help` prints the common options of a command, and `--help-all` all of them.
`bothways --version` prints the version. `python -m bothways` does the same as `bothways`.

Characters that the encoding of standard output or error lacks are escaped (`\\u2603`), as are
control characters and invisible ones, such as overrides of the direction of text; JSON has JSON's
escapes. Files are written in UTF-8.

Shell completion: `bothways --install-completion` installs it for the current shell, and
`bothways --show-completion` prints it. Open a new shell afterwards.
"""

_WRAP = textwrap.TextWrapper(
    width=100, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
)


def commands() -> Iterator[tuple[str, Any]]:
    """All commands, with their full names, such as `bothways compare speed`; groups included."""
    yield from _commands_below("bothways", get_command(app))


def reference() -> str:
    """The Markdown page."""
    sections = [_INTRODUCTION]
    for name, command in commands():
        if name != "bothways":
            sections.append(_section(name, command))
    return "\n".join(sections)


def _commands_below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    if isinstance(command, LazyGroup):
        context = command.context_class(command, info_name=name)
        for child in command.list_commands(context):
            yield from _commands_below(f"{name} {child}", command.get_command(context, child))


def _section(name: str, command: Any) -> str:
    description, examples = _split_examples(command.help)
    heading = "#" * (name.count(" ") + 1)
    lines = [f"{heading} {name}", "", description, "", "```sh", *examples, "```", ""]
    if isinstance(command, GroupedCommand):
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join(command.collect_usage_pieces(context))
        lines[4:4] = [f"`{name} {usage}`", ""]
        for group, records in command.help_records(context, show_all=True).items():
            lines += [f"**{group}**", ""]
            lines += [_WRAP.fill(f"- `{names}`: {text}") for names, text in records]
            lines += [""]
    return "\n".join(lines)


def _split_examples(text: str) -> tuple[str, list[str]]:
    """The paragraphs of a command's help, and the lines of its examples."""
    lines = inspect.cleandoc(text).replace("\b", "").splitlines()
    examples = [line.strip() for line in lines if line.startswith("    ")]
    prose = "\n".join(line for line in lines if not line.startswith("    "))
    return prose.strip(), examples


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
