"""Checks of the labels of a whole data source: enough of them to train on, or all of them known."""

import dataclasses
from collections.abc import Mapping, Sequence

from bothways.errors import DataFileError
from bothways.files.rows import Place
from bothways.training.options.objective import TrainingTask

__all__ = ["KnownLabels", "LabelStats", "check_known", "check_trainable", "check_values"]


@dataclasses.dataclass
class LabelStats:
    """The number of occurrences of a label, and the place of the first."""

    place: Place
    count: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnownLabels:
    """The labels that the rows of evaluation data may have.

    labels: for tasks with numbers, the names of the values. model: the name of the model that has
        these labels; None for those of the training data.
    """

    labels: Sequence[str]
    model: str | None = None


def check_values(
    name: str, task: TrainingTask, columns: Sequence[str], ranges: Sequence[tuple[float, float]]
) -> None:
    """Check that each column of numbers has several values.

    name: of the data. ranges: the lowest and the highest number of each column.

    Raises:
        DataFileError: naming the column.
    """
    for column, (low, high) in zip(columns, ranges, strict=True):
        if low == high and task == "contrast":
            raise DataFileError(
                f"{name}, column {column!r}: all pairs have {low:g}, and the loss needs "
                "similar and dissimilar ones; if all pairs are similar, use --loss in-batch"
            )
        if low == high:
            raise DataFileError(
                f"{name}, column {column!r}: all values are {low:g}; there is nothing to predict"
            )


def check_trainable(name: str, labels: Mapping[str, LabelStats], *, allow_rare: bool) -> None:
    """Check that there are at least two labels, and enough rows of each.

    allow_rare: whether a label may occur once.

    Raises:
        DataFileError: naming the label, and what to do.
    """
    if len(labels) < 2:
        only = next(iter(labels), "none")
        raise DataFileError(
            f"{name}: only one label, {only!r}; training needs two or more: add rows with "
            "other labels"
        )
    if allow_rare:
        return
    for label, seen in labels.items():
        if seen.count == 1:
            raise DataFileError(
                f"{seen.place}: only this row has the class {label[:40]!r}; a class needs "
                "two rows or more, for training and validation: add rows, remove this one, "
                "or use --rare-classes keep or drop"
            )


def check_known(labels: Mapping[str, LabelStats], known: KnownLabels) -> None:
    """Check that all labels are known.

    Raises:
        DataFileError: naming the first row with an unknown label, and what to do.
    """
    for label, seen in labels.items():
        if label in known.labels:
            continue
        if known.model is None:
            raise DataFileError(
                f"{seen.place}: the label {label[:40]!r} is not in the training data; "
                "correct it, or add such rows to the training data"
            )
        raise DataFileError(
            f"{seen.place}: {known.model} does not know the label {label[:40]!r}; it knows "
            f"{_list(known.labels)}; correct the label, or remove such rows"
        )


def _list(labels: Sequence[str], most: int = 20) -> str:
    names = ", ".join(repr(label[:40]) for label in labels[:most])
    return names if len(labels) <= most else f"{names} and {len(labels) - most} more"
