"""A row of training data: a sequence, or several to be compared, and what is to be learned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bothways.errors import DataFileError, InputError
from bothways.files.columns import require_column
from bothways.files.records import Record
from bothways.files.rows import Place
from bothways.files.values import describe_value, parse_value
from bothways.model.inputs import InputKind
from bothways.sequences import join_words
from bothways.training.data.columns import Columns, Task
from bothways.training.data.labels import parse_tags

__all__ = ["DataRow", "RowReading", "is_blank"]


class DataRow(NamedTuple):
    """One row of data.

    inputs: what a reader takes: one sequence (a tuple of two texts for a pair); for contrast an
        anchor, its positive and any negatives; of tagged words, one list of them.
    labels: what stands in each column of labels; for tags one list of str.
    group: the value that decides with which rows it is split; None where the sequence decides.
    place: of the row. label_columns: the names of those columns.
    """

    inputs: tuple[Any, ...]
    labels: tuple[Any, ...]
    group: str | None
    place: Place
    label_columns: tuple[str, ...]

    def at_label(self, index: int = 0) -> Place:
        """The place of a label, for messages."""
        return self.place._replace(field=self.label_columns[index])


class RowReading(NamedTuple):
    """One record on its way to a row."""

    task: Task
    kind: InputKind
    columns: Columns
    record: Record

    def row(self) -> DataRow:
        """The row.

        Raises:
            DataFileError: naming file, row and column of what cannot be learned from.
        """
        labels = tuple(self._field(column)[0] for column in self.columns.labels)
        match self.task:
            case "contrast":
                inputs = self._compared()
            case "tag":
                inputs = (self._words(),)
                value, place = self._field(self.columns.labels[0])
                tags = parse_tags(value, self.kind, place)
                self._check_lengths(inputs[0], tags, place)
                labels = (tags,)
            case _ if len(self.columns.inputs) == 2:
                first, second = (self._sequence(column) for column in self.columns.inputs)
                inputs = ((first, second),)
            case _:
                inputs = (self._sequence(self.columns.inputs[0]),)
        return DataRow(inputs, labels, self._group(), self.record.place, self.columns.labels)

    def _field(self, column: str) -> tuple[Any, Place]:
        require_column(str(self.record.place), list(self.record.fields), column)
        return self.record.fields[column], self.record.place._replace(field=column)

    def _sequence(self, column: str) -> Any:
        value, place = self._field(column)
        sequence = parse_value(value, self.kind, place)
        if not len(sequence):
            raise DataFileError(f"{place}: empty; fill it in, or remove the row")
        if isinstance(sequence, str) and self.kind == "text" and not sequence.strip():
            raise DataFileError(f"{place}: blank; fill it in, or remove the row")
        return sequence

    def _compared(self) -> tuple[Any, ...]:
        """Anchor, positive and negatives; a field of negatives may hold a list, or nothing."""
        pair = tuple(self._sequence(column) for column in self.columns.inputs)
        negatives: list[Any] = []
        for column in self.columns.negatives_in(self.record.fields):
            value, place = self._field(column)
            several = isinstance(value, list) and self.kind == "text"
            given = [one for one in (value if several else [value]) if not is_blank(one)]
            negatives += [parse_value(one, self.kind, place) for one in given]
        return (*pair, *negatives)

    def _words(self) -> Any:
        value, place = self._field(self.columns.inputs[0])
        if self.kind == "series" or (self.kind == "symbols" and isinstance(value, str)):
            return parse_value(value, self.kind, place)
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not words:
            raise DataFileError(f"{place}: expected a list of words, found {describe_value(value)}")
        try:
            join_words(words, self.kind)
        except InputError as error:
            raise DataFileError(f"{place}: {error}") from None
        return words

    def _check_lengths(self, words: Any, tags: Sequence[str], place: Place) -> None:
        # How many symbols a string has, its alphabet says; that is seen when it is read.
        if not isinstance(words, str) and len(words) != len(tags):
            raise DataFileError(
                f"{place}: {len(tags)} tags for {len(words)} in column "
                f"{self.columns.inputs[0]!r}; each needs one"
            )

    def _group(self) -> str | None:
        column = self.columns.group
        if column is None:
            return None
        if column == "file" and column not in self.record.fields:
            return self.record.place.file
        value, place = self._field(column)
        if isinstance(value, str | int) and value != "":
            return str(value)
        raise DataFileError(
            f"{place}: expected what the split goes by, found {describe_value(value)}"
        )


def is_blank(value: Any) -> bool:
    """Whether a field has nothing in it but spaces."""
    return value is None or (isinstance(value, str) and not value.strip())
