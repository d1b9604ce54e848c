"""The first reading of training data: everything that can be wrong with it is found here.

n rows; K labels; V values.
"""

import array
import dataclasses
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.columns import format_names
from bothways.files.rows import Place
from bothways.files.values import describe_value
from bothways.training.data.labels import (
    label_order,
    parse_classes,
    parse_number,
    type_of_label,
)
from bothways.training.data.rows import DataRow
from bothways.training.data.source import Report, Source

__all__ = ["Survey", "survey"]


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """What was found in a source.

    labels: the names of classes, tags or values, in the order that a head has them.
    counts: how many rows (of tags: positions) have each label, int64 (K,).
    several: whether a row may have any number of labels.
    classes: the label of each row, int32 (n,), where each has one; None otherwise.
    keys: equal for rows that must stay on one side of a split, uint64 (n, links). A row of contrast
        has two, of its anchor and of its positive; all that are linked by either stay together.
    longest: of the inputs, in characters, symbols or positions.
    channels: numbers at each position of a series; 0 for other kinds.
    """

    labels: tuple[str, ...]
    counts: np.ndarray
    several: bool
    classes: np.ndarray | None
    keys: np.ndarray
    longest: int
    channels: int

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.keys)


def survey(
    source: Source,
    *,
    separator: str | None = None,
    known: Sequence[str] | None = None,
    preferred: Sequence[str] = (),
    report: Report | None = None,
) -> Survey:
    """Read every row once and see that it can be learned from.

    separator: parts the labels of a text, where a row may have several.
    known: the labels of the training data, where this is data to validate on; they need not all
        occur here, and others must not.
    preferred: the order of labels, where it knows them all.
    report: as `Source.rows` takes it.

    Raises:
        DataFileError: naming file, row and column of what is wrong, and what to do.
    """
    finder = _Finder(source, separator)
    for row in source.rows(report):
        finder.see(row)
    if not finder.keys:
        raise DataFileError(f"{source.files[0].name}: has no rows; there is nothing to learn from")
    if known is None:
        finder.check_for_training()
        labels = finder.names(preferred)
    else:
        finder.check_against(known)
        labels = tuple(known)
    return finder.result(labels)


@dataclasses.dataclass
class _Seen:
    """How often a label was seen, and where first."""

    place: Place
    count: int = 0


class _Finder:
    """What has been seen so far."""

    def __init__(self, source: Source, separator: str | None) -> None:
        self.source, self.separator = source, separator
        self.keys = array.array("Q")
        self.labels: dict[str, _Seen] = {}
        self.of_row: list[str] = []  # strings that `labels` holds already
        self.several: bool | None = None
        self.first_type: tuple[str, Place] | None = None
        self.longest, self.channels = 0, 0
        self.columns: tuple[str, ...] = ()
        self.ranges: list[tuple[float, float]] = []

    def see(self, row: DataRow) -> None:
        """Take note of a row.

        Raises:
            DataFileError: if it cannot be learned from.
        """
        match self.source.task:
            case "classify":
                self._see_classes(row)
            case "tag":
                for tag in row.labels[0]:
                    self._count(tag, row.at_label())
            case "regress":
                self._see_numbers(row)
            case "mlm" | "contrast":
                pass
            case unknown:
                assert_never(unknown)
        self._see_inputs(row)

    def _see_inputs(self, row: DataRow) -> None:
        for sequence in row.inputs:
            self.longest = max(self.longest, _length(sequence))
            if isinstance(sequence, np.ndarray):
                self._see_series(sequence, row.place)
        if row.group is not None:
            links: Iterable[Any] = (row.group,)
        elif self.source.task == "contrast":
            links = row.inputs[:2]
        else:
            links = row.inputs
        keys = [_key(link) for link in links]
        # A group stands for anchor and positive alike.
        self.keys.extend(keys * 2 if self.source.task == "contrast" and len(keys) == 1 else keys)

    def _see_series(self, sequence: np.ndarray, place: Place) -> None:
        channels = sequence.shape[1]
        self.channels = self.channels or channels
        if channels != self.channels:
            raise DataFileError(
                f"{place}: {channels} numbers at each position, where the first row has "
                f"{self.channels}"
            )
        if not np.isfinite(sequence).all():
            position, channel = np.argwhere(~np.isfinite(sequence))[0].tolist()
            raise DataFileError(
                f"{place}, position {position}: {sequence[position, channel]} in channel "
                f"{channel}; expected a finite number: fill gaps first"
            )

    def _see_classes(self, row: DataRow) -> None:
        place, value = row.at_label(), row.labels[0]
        parsed = parse_classes(value, self.separator, place)
        self.several = not isinstance(parsed, str)
        self._check_type("a list" if self.several else type_of_label(value), value, place)
        for label in parsed if isinstance(parsed, tuple) else (parsed,):
            self._count(label, place)
        if isinstance(parsed, str):
            self.of_row.append(parsed)

    def _check_type(self, kind: str, value: Any, place: Place) -> None:
        if self.first_type is None:
            self.first_type = kind, place
        elif kind != self.first_type[0]:
            raise DataFileError(
                f"{place}: {describe_value(value)}, where "
                f"{self.first_type[1]._replace(field=None)} has "
                f"{self.first_type[0]}; labels must be of one type"
            )

    def _see_numbers(self, row: DataRow) -> None:
        if self.columns and row.label_columns != self.columns:
            raise DataFileError(
                f"{row.place}: targets in {format_names(row.label_columns)}, where other files "
                "have "
                f"{format_names(self.columns)}; name them with --target"
            )
        self.columns = row.label_columns
        values = [parse_number(value, row.at_label(i)) for i, value in enumerate(row.labels)]
        before = self.ranges or [(value, value) for value in values]
        self.ranges = [
            (min(low, value), max(high, value))
            for (low, high), value in zip(before, values, strict=True)
        ]

    def _count(self, label: str, place: Place) -> None:
        self.labels.setdefault(label, _Seen(place)).count += 1

    # Once all rows have been seen.

    def check_for_training(self) -> None:
        """Raise unless there is something to be told apart, often enough to be learned."""
        name = self.source.files[0].name
        for column, (low, high) in zip(self.columns, self.ranges, strict=True):
            if low == high:
                raise DataFileError(
                    f"{name}, column {column!r}: every value is {low:g}; there is nothing to "
                    "predict"
                )
        if self.source.task not in ("classify", "tag"):
            return
        if len(self.labels) < 2:
            only = next(iter(self.labels), "none")
            raise DataFileError(
                f"{name}: one label alone, {only!r}; there is nothing to tell apart: add rows "
                "with others"
            )
        if self.source.task == "tag" or self.several:
            return
        for label, seen in self.labels.items():
            if seen.count == 1:
                raise DataFileError(
                    f"{seen.place}: the class {label[:40]!r} is here alone; a class needs two "
                    "rows or more, to learn from and to hold out: add some, or remove this one"
                )

    def check_against(self, known: Sequence[str]) -> None:
        """Raise if there is a label that training does not know."""
        for label, seen in self.labels.items():
            if label not in known:
                raise DataFileError(
                    f"{seen.place}: the label {label[:40]!r} is not in the training data; "
                    "correct it, or add rows with it there"
                )

    def names(self, preferred: Sequence[str]) -> tuple[str, ...]:
        """The labels in a head's order; of numbers, the columns."""
        return self.columns or label_order(list(self.labels), preferred)

    def result(self, labels: tuple[str, ...]) -> Survey:
        """All that was found."""
        index = {label: i for i, label in enumerate(labels)}
        counts = np.zeros(len(labels), dtype=np.int64)
        for label, seen in self.labels.items():
            counts[index[label]] = seen.count
        classes = np.array([index[label] for label in self.of_row], dtype=np.int32)
        links = 2 if self.source.task == "contrast" else 1
        return Survey(
            labels=labels,
            counts=counts,
            several=bool(self.several),
            classes=classes if len(classes) else None,
            keys=np.array(self.keys, dtype=np.uint64).reshape(-1, links),
            longest=self.longest,
            channels=self.channels,
        )


def _key(value: Any) -> int:
    """A number for a sequence or group: equal for equal ones, and else not, but once in 2^64."""
    match value:
        case str():
            content = value.encode()
        case np.ndarray():
            content = str(value.shape).encode() + value.tobytes()
        case _:  # a pair of texts, or a list of symbols or words
            content = "\x00".join(value).encode() + len(value).to_bytes(8, "little")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def _length(sequence: Any) -> int:
    return sum(map(len, sequence)) if isinstance(sequence, tuple) else len(sequence)
