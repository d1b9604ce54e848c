"""What the settings of all comparisons share: names, learning rates, help texts and checks.

The settings modules import neither torch nor matplotlib, so that the command line can list every
option where these packages are missing.
"""

from collections.abc import Collection, Sequence
from dataclasses import field
from typing import Any, Literal, TypeVar

from bothways.errors import ConfigError

__all__ = [
    "ALL_LEARNING_RATES",
    "LEARNING_RATES",
    "TINY_MODEL_LEARNING_RATES",
    "LabTask",
    "Scale",
    "SequenceTask",
    "SupervisedTask",
    "require_choices",
    "require_distinct",
    "require_positive",
    "setting",
]

Scale = Literal["quick", "default", "full"]
"""Run time: seconds (a smoke test), at most ten minutes on two cores, or longer."""

SupervisedTask = Literal["classify", "tag", "regress"]
"""Tasks on labeled rows, by the names of `bothways train`."""

SequenceTask = Literal["copy", "reverse", "dates"]
"""Sequence-to-sequence tasks: copy, reverse, or rewrite a date in ISO 8601."""

LabTask = Literal[SequenceTask, SupervisedTask]
"""The tasks of all comparisons that have a choice of tasks."""

LEARNING_RATES = (5e-4, 1.5e-3, 5e-3)
"""Peak learning rates that every encoder tries: a factor of 3 apart, around the best rate of small
models."""

TINY_MODEL_LEARNING_RATES = (1.5e-3, 5e-3, 1.5e-2)
"""The grid for generated tasks, whose models have a `d_model` of at most 64: many of them were best
at the highest rate of `LEARNING_RATES`."""

ALL_LEARNING_RATES = (LEARNING_RATES[0], *TINY_MODEL_LEARNING_RATES)
"""Both grids together, for the `full` scale."""

T = TypeVar("T")


def setting(default: T, help: str) -> T:
    """A field of a settings dataclass, with the help text of its command-line option.

    The text is `dataclasses.fields(settings)[i].metadata["help"]`.
    """
    declared: T = field(default=default, metadata={"help": help})
    return declared


def require_choices(name: str, values: Sequence[str], choices: Collection[str]) -> None:
    """Raise `ConfigError` for the first of `values` that is not one of `choices`."""
    for value in values:
        if value not in choices:
            raise ConfigError(f"{name}={value!r}: expected one of {', '.join(choices)}")


def require_distinct(settings: Any, *names: str) -> None:
    """Raise `ConfigError` for the first of these fields that is empty or repeats a value."""
    for name in names:
        values = getattr(settings, name)
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{name}={values}: expected one or more distinct values")


def require_positive(settings: Any, *names: str) -> None:
    """Raise `ConfigError` for the first of these fields that is below 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise ConfigError(f"{name}={getattr(settings, name)}: expected at least 1")
