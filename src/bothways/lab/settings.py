"""What the settings of all comparisons share: names, learning rates and a check.

The settings modules import neither torch nor matplotlib, so that the command line can list every
option where these packages are missing.
"""

from typing import Any, Literal

from bothways.errors import ConfigError

__all__ = [
    "ALL_LEARNING_RATES",
    "LEARNING_RATES",
    "TINY_MODEL_LEARNING_RATES",
    "LabTask",
    "Scale",
    "SequenceTask",
    "SupervisedTask",
    "require_distinct",
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


def require_distinct(settings: Any, *names: str) -> None:
    """Raise `ConfigError` for the first of these fields that is empty or repeats a value."""
    for name in names:
        values = getattr(settings, name)
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"{name}={values}: expected one or more distinct values")
