"""The first pass over training data, which checks every row.

n rows; K labels; V values.
"""

import array
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, assert_never

import numpy as np

from bothways.errors import DataFileError
from bothways.files.columns import format_names
from bothways.files.rows import Place
from bothways.files.values import describe_value
from bothways.training.data.label_checks import (
    KnownLabels,
    LabelStats,
    check_known,
    check_trainable,
    check_values,
)
from bothways.training.data.labels import (
    label_order,
    parse_classes,
    parse_number,
    parse_similarity,
    type_of_label,
)
from bothways.training.data.rows import DataRow
from bothways.training.data.source import DataSource, ShareCallback

__all__ = ["Survey", "survey"]


@dataclasses.dataclass(frozen=True, eq=False)
class Survey:
    """Statistics of a data source.

    labels: the names of classes, tags or values, in the order of the head's outputs.
    counts: number of rows (for tags: positions) with each label, int64 (K,).
    multilabel: whether a row may have any number of labels.
    classes: the label of each row, int32 (n,), if each row has exactly one; None otherwise.
    keys: equal for rows that must stay on one side of the split, uint64 (n, links). Rows of
        contrast have two keys, of anchor and positive; rows linked by either stay together.
    longest, shortest: the lengths of the longest and the shortest input, in characters, symbols or
        positions; `shortest` is 0 if it is not known.
    channels: numbers at each position of a series; 0 for other kinds.
    ranges: the lowest and the highest number of each column of numbers.
    whole_numbers: whether all these numbers are integers, as labels 0 and 1 are.
    """

    labels: tuple[str, ...]
    counts: np.ndarray
    multilabel: bool
    classes: np.ndarray | None
    keys: np.ndarray
    longest: int
    channels: int
    ranges: tuple[tuple[float, float], ...] = ()
    whole_numbers: bool = False
    shortest: int = 0

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return len(self.keys)

    @property
    def rare_classes(self) -> frozenset[str]:
        """The classes with a single row."""
        if self.classes is None:
            return frozenset()
        names = zip(self.labels, self.counts, strict=True)
        return frozenset(label for label, count in names if count == 1)


def survey(
    source: DataSource,
    *,
    separator: str | None = None,
    known: KnownLabels | None = None,
    preferred: Sequence[str] = (),
    allow_rare: bool = False,
    report: ShareCallback | None = None,
) -> Survey:
    """Read every row once and check it.

    separator: between the labels of a row, if a row may have several.
    known: the labels that rows may have, if nothing is learned from them.
    preferred: labels in the order to use, if they include all labels of the data.
    allow_rare: whether a class may have a single row.
    report: as in `DataSource.rows`.

    Raises:
        DataFileError: naming the file, row and column of an invalid value, and what to do.
    """
    builder = _SurveyBuilder(source, separator)
    for row in source.rows(report):
        builder.add(row)
    if not builder.keys:
        raise DataFileError(f"{source.files[0].name}: has no rows")
    if known is None:
        builder.check_for_training(allow_rare=allow_rare)
        labels = builder.names(preferred)
    else:
        builder.check_against(known)
        labels = tuple(known.labels) or builder.names(())
    return builder.result(labels)


class _SurveyBuilder:
    """The statistics of the rows so far."""

    def __init__(self, source: DataSource, separator: str | None) -> None:
        self.source, self.separator = source, separator
        self.keys = array.array("Q")
        self.labels: dict[str, LabelStats] = {}
        self.label_of_row: list[str] = []  # the same objects as the keys of `labels`
        self.multilabel: bool | None = None
        self.first_type: tuple[str, Place] | None = None
        self.lengths: tuple[int, int] | None = None
        self.channels = 0
        self.columns: tuple[str, ...] = ()
        self.ranges: list[tuple[float, float]] = []
        self.whole_numbers = True

    def add(self, row: DataRow) -> None:
        """Check a row and add it to the statistics.

        Raises:
            DataFileError: if it is invalid.
        """
        match self.source.task:
            case "classify":
                self._add_classes(row)
            case "tag":
                for tag in row.labels[0]:
                    self._count(tag, row.at_label())
            case "regress":
                self._add_numbers(row, parse_number)
            case "contrast":
                self._add_numbers(row, parse_similarity)
            case "mlm":
                pass
            case unknown:
                assert_never(unknown)
        self._add_inputs(row)

    def _add_inputs(self, row: DataRow) -> None:
        for sequence in row.inputs:
            length = _length(sequence)
            shortest, longest = self.lengths or (length, length)
            self.lengths = min(shortest, length), max(longest, length)
            if isinstance(sequence, np.ndarray):
                self._add_series(sequence, row.place)
        if row.group is not None:
            links: Iterable[Any] = (row.group,)
        elif self.source.task == "contrast":
            links = row.inputs[:2]
        else:
            links = row.inputs
        keys = [_key(link) for link in links]
        # A group replaces the keys of both anchor and positive.
        self.keys.extend(keys * 2 if self.source.task == "contrast" and len(keys) == 1 else keys)

    def _add_series(self, sequence: np.ndarray, place: Place) -> None:
        channels = sequence.shape[1]
        self.channels = self.channels or channels
        if channels != self.channels:
            raise DataFileError(
                f"{place}: {channels} channels, but the first row has {self.channels}"
            )
        if not np.isfinite(sequence).all():
            position, channel = np.argwhere(~np.isfinite(sequence))[0].tolist()
            raise DataFileError(
                f"{place}, position {position}: channel {channel} is "
                f"{sequence[position, channel]}; expected a finite number: fill gaps first"
            )

    def _add_classes(self, row: DataRow) -> None:
        place, value = row.at_label(), row.labels[0]
        parsed = parse_classes(value, self.separator, place)
        self.multilabel = not isinstance(parsed, str)
        self._check_type("a list" if self.multilabel else type_of_label(value), value, place)
        for label in parsed if isinstance(parsed, tuple) else (parsed,):
            self._count(label, place)
        if isinstance(parsed, str):
            self.label_of_row.append(parsed)

    def _check_type(self, kind: str, value: Any, place: Place) -> None:
        if self.first_type is None:
            self.first_type = kind, place
        elif kind != self.first_type[0]:
            raise DataFileError(
                f"{place}: {describe_value(value)}, but "
                f"{self.first_type[1]._replace(field=None)} has "
                f"{self.first_type[0]}; all labels must have the same type"
            )

    def _add_numbers(self, row: DataRow, parse: Callable[[Any, Place], float]) -> None:
        if self.keys and row.label_columns != self.columns:
            raise DataFileError(
                f"{row.place}: targets in {format_names(row.label_columns) or 'no column'}, but "
                f"other files have {format_names(self.columns) or 'none'}; name the columns with "
                "--target"
            )
        self.columns = row.label_columns
        values = [parse(value, row.at_label(i)) for i, value in enumerate(row.labels)]
        self.whole_numbers &= all(value.is_integer() for value in values)
        before = self.ranges or [(value, value) for value in values]
        self.ranges = [
            (min(low, value), max(high, value))
            for (low, high), value in zip(before, values, strict=True)
        ]

    def _count(self, label: str, place: Place) -> None:
        self.labels.setdefault(label, LabelStats(place)).count += 1

    # After the last row

    def check_for_training(self, *, allow_rare: bool) -> None:
        """Raise if the labels are too few, too rare or constant."""
        name, task = self.source.files[0].name, self.source.task
        check_values(name, task, self.columns, self.ranges)
        if task in ("classify", "tag"):
            may_be_rare = allow_rare or task == "tag" or bool(self.multilabel)
            check_trainable(name, self.labels, allow_rare=may_be_rare)

    def check_against(self, known: KnownLabels) -> None:
        """Raise if a label is unknown, or if only one of two data sources has labels."""
        must_agree = self.source.task == "contrast" and known.model is None
        if must_agree and bool(known.labels) != bool(self.columns):
            missing, present = ("validation", "training")
            if not known.labels:
                missing, present = present, missing
            raise DataFileError(
                f"{self.source.files[0].name}: the {present} data has column "
                f"{(*known.labels, *self.columns)[0]!r} of scores or labels, and the {missing} "
                "data has none"
            )
        check_known(self.labels, known)

    def names(self, preferred: Sequence[str]) -> tuple[str, ...]:
        """The labels in the order of a head's outputs; for numbers, the columns."""
        return self.columns or label_order(list(self.labels), preferred)

    def result(self, labels: tuple[str, ...]) -> Survey:
        """The statistics of all rows."""
        index = {label: i for i, label in enumerate(labels)}
        counts = np.zeros(len(labels), dtype=np.int64)
        for label, seen in self.labels.items():
            counts[index[label]] = seen.count
        classes = np.array([index[label] for label in self.label_of_row], dtype=np.int32)
        links = 2 if self.source.task == "contrast" else 1
        shortest, longest = self.lengths or (0, 0)
        return Survey(
            labels=labels,
            counts=counts,
            multilabel=bool(self.multilabel),
            classes=classes if len(classes) else None,
            keys=np.array(self.keys, dtype=np.uint64).reshape(-1, links),
            longest=longest,
            shortest=shortest,
            channels=self.channels,
            ranges=tuple(self.ranges),
            whole_numbers=bool(self.ranges) and self.whole_numbers,
        )


def _key(value: Any) -> int:
    """A 64-bit hash of a sequence or group."""
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
