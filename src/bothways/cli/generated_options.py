"""Command-line options generated from the dataclasses of options that they fill.

A command declares dataclasses as parameters, and `expand_options` replaces each of them by one
parameter per option:

    def search(query: Query, options: SearchOptions, backend: BackendOptions) -> None: ...

A parameter `Annotated[dict[str, Any], GivenOptions(SearchOptions)]` receives instead the values
that the user gave, by field name. Names, help, defaults and bounds come from the fields.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, get_args

import typer

from bothways.cli.arguments import decode_text
from bothways.io.options import OptionField, options_of
from bothways.io.sizes import parse_bytes

__all__ = [
    "BYTES",
    "ExpandedFunction",
    "GivenOptions",
    "expand_options",
    "flag_of",
    "help_text",
    "metavar_of",
    "to_arguments",
]

BYTES = "SIZE"
"""The unit of options that hold a number of bytes, such as 512MB."""

_PATHS = ("ALPHABET", "DATA", "DIR", "FILE", "INPUT", "MODEL")
"""The units of options that are or may be paths, which are not decoded as texts."""

_WIDE_CHOICES = 40
"""Choices of more characters are listed in the help text, not in the place of the value."""


@dataclasses.dataclass(frozen=True)
class GivenOptions:
    """Marks a parameter that receives the given values of a dataclass's options, by field name.

    arguments: fields that are positional arguments of the command. table: the table of a
    configuration file that holds the options. group: the heading for options without a group.
    """

    dataclass: type[Any]
    arguments: tuple[str, ...] = ()
    table: str = ""
    group: str = ""


@dataclasses.dataclass(frozen=True)
class ExpandedFunction:
    """A function whose signature has one parameter per option.

    advanced: parameters that only `--help-all` lists. settings: options without a flag, which
    `--set` and configuration files can change, as names with their table.
    """

    function: Callable[..., None]
    advanced: frozenset[str]
    settings: Mapping[str, OptionField]


def expand_options(function: Callable[..., None]) -> ExpandedFunction:
    """Replace the parameters that are dataclasses of options; other parameters stay.

    Raises:
        TypeError: if two options would have the same parameter name.
    """
    parameters: list[inspect.Parameter] = []
    sources: dict[str, tuple[GivenOptions, bool]] = {}
    fields: dict[str, OptionField] = {}
    settings: dict[str, OptionField] = {}
    for parameter in inspect.signature(function).parameters.values():
        source = _source_of(parameter.annotation)
        if source is None:
            parameters.append(parameter)
            continue
        given, _ = sources[parameter.name] = source
        for field in options_of(given.dataclass):
            if not field.option.command_line:
                settings[f"{given.table}.{field.name}"] = field
            elif field.name in fields:
                raise TypeError(f"{function.__name__}: option {field.name!r} is declared twice")
            else:
                fields[field.name] = field
                parameters.append(_parameter_of(field, given))

    @functools.wraps(function)
    def run(**values: Any) -> None:
        for name, (given, construct) in sources.items():
            chosen = {
                field.name: _parse_values(field, values.pop(field.name), given)
                for field in options_of(given.dataclass)
                if field.option.command_line
            }
            chosen = {key: value for key, value in chosen.items() if value is not None}
            values[name] = given.dataclass(**chosen) if construct else chosen
        function(**values)

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in keyword_only}
    advanced = frozenset(name for name, field in fields.items() if field.option.advanced)
    return ExpandedFunction(run, advanced, settings)


def _parameter_of(field: OptionField, given: GivenOptions) -> inspect.Parameter:
    """The parameter of an option, None unless the user gives it: its default is the field's."""
    option = field.option
    is_argument = _is_argument(field, given)
    is_required = is_argument or field.default is dataclasses.MISSING
    info: Any
    if is_argument:
        metavar = f"{metavar_of(field)}..." if field.is_repeatable else metavar_of(field)
        info = typer.Argument(
            metavar=metavar, help=help_text(field), show_default=False,
            autocompletion=_completion(field),
        )  # fmt: skip
    else:
        info = typer.Option(
            *(option.flags or (flag_of(field),)),
            metavar=None if _is_switch(field) else metavar_of(field),
            help=help_text(field),
            show_default=False,
            rich_help_panel=option.group or given.group or None,
            autocompletion=_completion(field),
        )
    plain: Any = bool if _is_switch(field) else list[str] if field.is_repeatable else str
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if is_required else None,
        annotation=Annotated[plain if is_required else plain | None, info],
    )


def flag_of(field: OptionField) -> str:
    """The first name of an option on the command line."""
    if not field.option.flags:
        return f"--{field.name.replace('_', '-')}"
    return field.option.flags[0].partition("/")[0]


def metavar_of(field: OptionField) -> str:
    """What stands for the value in help: its choices, its unit or its type."""
    choices = "|".join(field.choices)
    if (
        field.option.unit is None
        and choices
        and not field.is_repeatable
        and len(choices) <= _WIDE_CHOICES
    ):
        return choices
    types = (field.item_type, *get_args(field.item_type))
    name = field.option.unit or (
        "NAME" if choices else "N" if int in types else "NUMBER" if float in types else "TEXT"
    )
    return f"{name},..." if _splits_at_commas(field) else name


def help_text(field: OptionField) -> str:
    """The help of an option, with its choices if they are many, and with its default."""
    text = field.option.help
    if field.choices and "|".join(field.choices) not in metavar_of(field):
        missing = [choice for choice in field.choices if choice not in text]
        if missing:
            text = f"{text.removesuffix('.')}: {', '.join(field.choices)}."
    default = _default_text(field)
    if default is None or "(default" in text:
        return text
    return f"{text.removesuffix('.')} (default {default})."


def _default_text(field: OptionField) -> str | None:
    """The default of an option in words; None for none, and for switches that are off."""
    match field.default:
        case None | False | "" | () | dataclasses.MISSING:
            return None
        case True:
            return "on"
        case tuple(values):
            return ",".join(_value_text(value) for value in values)
        case value:
            return _value_text(value)


def _parse_values(field: OptionField, value: Any, given: GivenOptions) -> Any:
    """The value of a field from what the command line has; None if the option was not given.

    Raises:
        BadParameter: naming the option, the text and what was expected.
    """
    if value is None or value == [] or _is_switch(field):
        return (field.option.flag_value if value else None) if field.option.flag_value else value
    hint = metavar_of(field) if _is_argument(field, given) else f"'{flag_of(field)}'"
    try:
        if not field.is_repeatable:
            return _parse(field, value)
        if not _splits_at_commas(field):
            return tuple(_parse(field, text) for text in value)
        parts = [part.strip() for text in value for part in text.split(",")]
        return tuple(_parse(field, part) for part in parts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def to_arguments(dataclass: type[Any], values: Mapping[str, Any]) -> list[str]:
    """The command-line arguments that give these values, in the order of the fields."""
    arguments: list[str] = []
    for field in options_of(dataclass):
        if field.name not in values:
            continue
        value = values[field.name]
        if _is_switch(field):
            arguments += [flag_of(field)] if value else []
        elif _splits_at_commas(field):
            arguments += [flag_of(field), ",".join(map(_value_text, value))]
        else:
            for item in value if field.is_repeatable else [value]:
                arguments += [flag_of(field), _value_text(item)]
    return arguments


def _source_of(annotation: Any) -> tuple[GivenOptions, bool] | None:
    """The options that a parameter stands for, and whether it takes an instance of them."""
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, GivenOptions):
            return item, False
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return GivenOptions(annotation), True
    return None


def _is_argument(field: OptionField, given: GivenOptions) -> bool:
    required = field.default is dataclasses.MISSING and not field.option.flags
    return required or field.name in given.arguments


def _is_switch(field: OptionField) -> bool:
    types = (field.type, *get_args(field.type))
    return bool in types or field.option.flag_value is not None


def _splits_at_commas(field: OptionField) -> bool:
    """Whether one option may give several values; free text may hold commas of its own."""
    return field.is_repeatable and field.item_type is not str


def _completion(field: OptionField) -> Callable[[str], list[str]] | None:
    if not field.choices:
        return None
    choices: Sequence[str] = field.choices
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]


def _parse(field: OptionField, text: str) -> Any:
    """One value; ValueError says what was expected."""
    option = field.option
    types = (field.item_type, *get_args(field.item_type))
    if field.choices:
        if text not in field.choices:
            raise ValueError(f"{text!r}: expected one of {', '.join(field.choices)}")
        return text
    if option.unit == BYTES:
        return parse_bytes(text)
    if int not in types and float not in types:
        return text if option.unit in _PATHS else decode_text(text)
    noun = "an integer" if int in types else "a number"
    bounds = "" if option.bounds == "a finite number" else f", {option.bounds}"
    try:
        number = int(text) if int in types else float(text)
    except ValueError:
        raise ValueError(f"{text!r}: expected {noun}{bounds}") from None
    if not option.accepts(number):
        raise ValueError(f"{text!r}: expected {noun}{bounds}")
    return number


def _value_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
