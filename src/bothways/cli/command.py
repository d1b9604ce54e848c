"""Commands: options from dataclasses, help in groups, errors as one line, loaded when needed."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from bothways.cli.console import reporting
from bothways.cli.generated_options import expand_options, help_text, metavar_of
from bothways.cli.stream_errors import escape_unencodable
from bothways.io.options import OptionField

__all__ = ["CONTEXT_SETTINGS", "GroupedCommand", "LazyGroup", "command"]

HELP_WIDTH = 100
"""Columns of help, at most; a narrower terminal gets its own width."""

CONTEXT_SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": HELP_WIDTH,
}

_OTHERS = "Options"


class GroupedCommand(TyperCommand):
    """A command whose help lists options under the headings of their groups, in plain text.

    advanced: names of parameters that only `--help-all` lists. settings: options that only `--set`
    and configuration files can change, by their names there.
    """

    advanced: frozenset[str] = frozenset()
    settings: Mapping[str, OptionField] = {}

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the usage line after the command's name."""
        parameters: list[Any] = self.get_params(ctx)
        arguments = [item for item in parameters if item.param_type_name == "argument"]
        return ["[OPTIONS]", *(parameter.metavar for parameter in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then each group of options; those without a group come last."""
        show_all = bool(ctx.meta.get("bothways.help_all"))
        for heading, records in self.help_records(ctx, show_all=show_all).items():
            with formatter.section(heading):
                formatter.write_dl(records)

    def help_records(self, ctx: Any, *, show_all: bool) -> dict[str, list[tuple[str, str]]]:
        """The names and the help of arguments and options, by heading."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others: list[tuple[str, str]] = []
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            if parameter.name in self.advanced and not show_all:
                continue
            if parameter.param_type_name == "argument":
                groups["Arguments"].append((parameter.metavar, parameter.help))
            elif group := parameter.rich_help_panel:
                groups.setdefault(group, []).append(_record(parameter))
            else:
                others.append(_record(parameter))
        groups[_OTHERS] = others
        if show_all:
            has_set = any("--set" in parameter.opts for parameter in parameters)
            groups["Only in --config and --set" if has_set else "Only in --config"] = [
                (f"{name}={metavar_of(field)}", help_text(field))
                for name, field in self.settings.items()
            ]
        return {heading: records for heading, records in groups.items() if records}


def _record(option: Any) -> tuple[str, str]:
    """The names of an option with its value, and its help."""
    names = ", ".join(sorted(option.opts, key=lambda name: name.startswith("--")))
    if option.secondary_opts:
        names += f" / {', '.join(option.secondary_opts)}"
    value = "" if option.is_flag or option.metavar is None else f" {option.metavar}"
    return names + value, f"{option.help or ''}{' Required.' if option.required else ''}"


class LazyGroup(TyperGroup):
    """A group whose commands are imported when they are used, to keep start-up short.

    module: the package whose module NAME holds the command NAME. names: the commands, in order.
    """

    module: str = ""
    names: tuple[str, ...] = ()

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        escape_unencodable()
        return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the options before the command."""
        with _show_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Parse the options of the command, and run it."""
        with _show_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in the order of help."""
        return list(self.names)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with that name; None if there is none."""
        if cmd_name not in self.names:
            return None
        return import_module(f"{self.module}.{cmd_name}").COMMAND

    def resolve_command(self, ctx: Any, args: Any) -> Any:
        """Find a command, and suggest similar names for one that does not exist."""
        # typer looks for similar names among these keys.
        self.commands = cast(dict[str, Any], dict.fromkeys(self.names))
        return super().resolve_command(ctx, args)


@contextlib.contextmanager
def _show_usage_errors() -> Iterator[None]:
    """Print the errors of invalid commands to `sys.stderr`.

    typer would print them in UTF-8 where the encoding of standard error is ASCII.
    """
    try:
        yield
    except _USAGE_ERROR as error:
        error.show(sys.stderr)
        raise typer.Exit(error.exit_code) from None


_USAGE_ERROR: Any = typer.BadParameter.__base__
"""The base of the errors of invalid commands, in the click that typer uses."""


def command(function: Callable[..., None], *, name: str | None = None) -> GroupedCommand:
    """Make a command of a function, which may take dataclasses of options.

    Its help is the function's docstring.
    """
    expanded = expand_options(function)
    function = expanded.function
    if expanded.advanced or expanded.settings:
        function = _with_help_all(function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name or function.__name__, cls=GroupedCommand, context_settings=CONTEXT_SETTINGS)(
        reporting(function)
    )
    made = cast(GroupedCommand, get_command(app))
    made.advanced, made.settings = expanded.advanced, expanded.settings
    return made


def _show_all_options(context: typer.Context, value: bool) -> None:
    if value:
        context.meta["bothways.help_all"] = True
        typer.echo(context.get_help())
        raise typer.Exit


def _with_help_all(function: Callable[..., None]) -> Callable[..., None]:
    annotation = Annotated[
        bool,
        typer.Option(
            "--help-all",
            callback=_show_all_options,
            is_eager=True,
            help="Show all options and exit.",
        ),
    ]
    parameter = inspect.Parameter(
        "help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
    )
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*, help_all: bool, **values: Any) -> None:
        function(**values)

    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), parameter]
    )
    run.__annotations__ = {**function.__annotations__, "help_all": annotation}
    return run
