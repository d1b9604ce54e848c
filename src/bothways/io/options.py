"""Options declared on dataclass fields: help, unit, group and bounds, each in one place.

A field states its option in its annotation:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class LoopSettings:
        epochs: Annotated[
            float | None, Option("Passes over the training data (default 20).", above=0)
        ] = None

        def __post_init__(self) -> None:
            check_options(self)

`options_of(LoopSettings)` lists the options, for a command line or a manual. `check_options` checks
types and bounds, and `from_table` builds the dataclass from a table of a TOML file. The type of a
field is one of bool, int, float, str, a `Literal` of strings, a tuple of one of these, or any of
them with `| None`. None means that the code chooses the value; the help then says which.
"""

import dataclasses
import inspect
import math
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from bothways.errors import ConfigError
from bothways.io.json_files import brief, is_number

__all__ = ["Option", "OptionField", "check_options", "from_table", "options_of", "read_toml"]

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Option:
    """What users read about an option, and the values that it accepts.

    help: one sentence in plain English. It names the default where the code computes one.
    group: the heading under which help lists the option.
    unit: what the value counts or names, such as `TOKENS`; None for choices and switches.
    minimum, maximum: inclusive bounds. above, below: exclusive bounds.
    flags: names on the command line; empty for `--` and the field's name.
    flag_value: the value that the bare flag sets, for a field that is not a bool.
    command_line: False for options that only a configuration file or `--set` can change.
    advanced: whether `--help` leaves the option to `--help-all`.
    """

    help: str
    _: dataclasses.KW_ONLY
    group: str = ""
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    flags: tuple[str, ...] = ()
    flag_value: str | None = None
    command_line: bool = True
    advanced: bool = False

    def accepts(self, number: float) -> bool:
        """Whether a number is finite and within the bounds."""
        return (
            math.isfinite(number)
            and (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    @property
    def bounds(self) -> str:
        """The bounds in words, such as `at least 0 and below 1`."""
        limits = {
            "more than": self.above,
            "at least": self.minimum,
            "below": self.below,
            "at most": self.maximum,
        }
        words = [f"{word} {limit:g}" for word, limit in limits.items() if limit is not None]
        return " and ".join(words) or "a finite number"


@dataclasses.dataclass(frozen=True)
class OptionField:
    """A dataclass field that is an option.

    type: the field's annotation without the option. default: `dataclasses.MISSING` for none.
    """

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of the field's `Literal`; empty for other types."""
        members = (self.item_type, *_members(self.item_type))
        return next((get_args(m) for m in members if get_origin(m) is Literal), ())

    @property
    def is_repeatable(self) -> bool:
        """Whether the field is a tuple, so that the option may be given several times."""
        return get_origin(self.type) is tuple

    @property
    def item_type(self) -> Any:
        """The type of one value: of an item where the field is a tuple."""
        return get_args(self.type)[0] if self.is_repeatable else self.type


def options_of(dataclass: type[Any]) -> tuple[OptionField, ...]:
    """The options among the fields of a dataclass, in their order.

    A subclass may narrow the type of a field; the option of the base class still applies.
    """
    return tuple(_option_fields(dataclass))


def check_options(instance: Any) -> None:
    """Check the type and the bounds of every option; for `__post_init__`.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """
    for field in options_of(type(instance)):
        value = getattr(instance, field.name)
        if not field.is_repeatable:
            _check(field.name, value, field)
            continue
        for index, item in enumerate(value):
            _check(f"{field.name}[{index}]" if len(value) > 1 else field.name, item, field)


def from_table(dataclass: type[_T], values: Mapping[str, Any], source: str) -> _T:
    """Build a dataclass of options from a table: option names and values, as TOML has them.

    Where an option is a tuple, the table may hold a list or a single value.

    source: where the table comes from, as error messages begin.

    Raises:
        ConfigError: for an unknown option or an invalid value.
    """
    fields = {field.name: field for field in options_of(dataclass)}
    arguments = dict(values)
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"{source} unknown option {name!r}; available: {', '.join(fields)}")
        if fields[name].is_repeatable:
            arguments[name] = tuple(value) if isinstance(value, list | tuple) else (value,)
    try:
        return dataclass(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{source} {error}") from None


def read_toml(path: Path, tables: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Read the tables of a TOML file, by name; missing tables are empty.

    Raises:
        ConfigError: if the file cannot be read, is not valid TOML, or has another top-level key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # also not UTF-8, or an integer of thousands of digits
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from None
    for key, value in content.items():
        if key not in tables or not isinstance(value, dict):
            expected = ", ".join(f"[{name}]" for name in tables)
            raise ConfigError(f"{path}: {key}: expected one of the tables {expected}")
    return {name: content.get(name, {}) for name in tables}


def _option_fields(dataclass: type[Any]) -> Iterator[OptionField]:
    declared: dict[str, Option] = {}
    for base in reversed(dataclass.__mro__):
        for name, annotation in inspect.get_annotations(base).items():
            for item in getattr(annotation, "__metadata__", ()):  # of an Annotated type
                if isinstance(item, Option):
                    declared[name] = item
    for field in dataclasses.fields(dataclass):
        if field.name in declared:
            plain = get_args(field.type)[0] if hasattr(field.type, "__metadata__") else field.type
            yield OptionField(field.name, plain, field.default, declared[field.name])


def _check(name: str, value: Any, field: OptionField) -> None:
    types = _members(field.item_type)
    if not any(_is_instance(value, type_) for type_ in types):
        expected = " or ".join(map(_describe_type, types))
        raise ConfigError(f"{name}={brief(value)}: expected {expected}")
    if is_number(value) and not field.option.accepts(value):
        raise ConfigError(f"{name}={value!r}: expected {field.option.bounds}")


def _members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; of any other annotation, itself."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _is_instance(value: Any, annotation: Any) -> bool:
    """Whether a value has the annotated type: an int is a float too, a bool is neither."""
    if get_origin(annotation) is Literal:
        return isinstance(value, str) and value in get_args(annotation)
    if annotation is float:
        return is_number(value)
    return type(value) is annotation


def _describe_type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(get_args(annotation))
    names = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a string",
        NoneType: "None",
    }
    return names[annotation]
