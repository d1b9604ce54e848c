"""Checks of dataclass fields against their annotations, for configs that are read from files."""

import dataclasses
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from bothways.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["check_field_names", "check_field_types", "fits", "literal_fields"]


def check_field_names(cls: "type[DataclassInstance]", values: Mapping[str, Any]) -> None:
    """Raise unless `values` has only fields of `cls`, and all that have no default.

    Raises:
        ConfigError: naming the first unknown or missing field.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - set(fields)):
        raise ConfigError(f"unknown field {unknown[0]!r}; {cls.__name__} has {', '.join(fields)}")
    for name, field in fields.items():
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if not has_default and name not in values:
            raise ConfigError(f"field {name!r} of {cls.__name__} is missing; it has no default")


def check_field_types(instance: "DataclassInstance", *, owner: str = "") -> None:
    """Raise unless every field of a dataclass has a value of its annotated type.

    Annotations may be classes, `Literal`s, tuples (whose elements are not checked) and unions of
    these. An int passes as a float; a bool never passes as an int.

    owner: what the message says after a field's value, such as " of a head".

    Raises:
        ConfigError: naming the field, its value, and the accepted types or choices.
    """
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if fits(value, field.type):
            continue
        choices, accepted = _choices_of(field.type), _classes_of(field.type)
        place = f"{field.name}={value!r}{owner}"
        if choices:
            names = ", ".join((*choices, *("None" for cls in accepted if cls is types.NoneType)))
            raise ConfigError(f"{place}: expected one of {names}")
        names = " or ".join(cls.__name__.replace("NoneType", "None") for cls in accepted)
        raise ConfigError(f"{place}: expected {names}")


def fits(value: Any, annotation: Any) -> bool:
    """Whether a value is of an annotated type, by the rules of `check_field_types`."""
    accepted = _classes_of(annotation)
    if isinstance(value, accepted):
        return type(value) is not bool or bool in accepted
    return isinstance(value, str) and value in _choices_of(annotation)


def literal_fields(cls: "type[DataclassInstance]") -> dict[str, tuple[str, ...]]:
    """The fields of a dataclass that are annotated with a `Literal`, and their choices."""
    return {
        field.name: get_args(field.type)
        for field in dataclasses.fields(cls)
        if get_origin(field.type) is Literal
    }


def _members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones included; any other annotation alone."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for arg in get_args(annotation) for member in _members(arg))
    return (annotation,)


def _choices_of(annotation: Any) -> tuple[str, ...]:
    """The strings of all `Literal`s in an annotation."""
    literals = (member for member in _members(annotation) if get_origin(member) is Literal)
    return tuple(choice for literal in literals for choice in get_args(literal))


def _classes_of(annotation: Any) -> tuple[type, ...]:
    """The classes that values of an annotation may have, `Literal`s apart."""
    classes: list[type] = []
    for member in _members(annotation):
        if get_origin(member) is Literal:
            continue
        cls = get_origin(member) or member
        classes += [float, int] if cls is float else [cls]
    return tuple(classes)
