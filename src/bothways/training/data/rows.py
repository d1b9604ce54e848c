"""Rows of training data: the sequences and labels of one record."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bothways.errors import DataFileError, InputError
from bothways.files.columns import require_column
from bothways.files.list_cells import list_cell
from bothways.files.records import Record
from bothways.files.rows import Place
from bothways.files.values import describe_value, parse_value
from bothways.model.inputs import InputKind
from bothways.sequences import join_words
from bothways.training.data.columns import DataColumns
from bothways.training.data.labels import parse_tags
from bothways.training.options.objective import TrainingTask

__all__ = ["DataRow", "RowParser", "is_blank"]


class DataRow(NamedTuple):
    """One row of data.

    inputs: inputs of a sequence reader: one sequence (a tuple of two texts for a pair); for
        contrast an anchor, its positive and any negatives; for tagged words one list of words.
    labels: the value of each label column; for tags one list of str.
    group: rows with the same group stay on one side of the split; None to group by sequence.
    place: of the row. label_columns: the names of the label columns.
    """

    inputs: tuple[Any, ...]
    labels: tuple[Any, ...]
    group: str | None
    place: Place
    label_columns: tuple[str, ...]

    def at_label(self, index: int = 0) -> Place:
        """The place of a label, for messages."""
        return self.place._replace(field=self.label_columns[index])


class RowParser(NamedTuple):
    """Parses one record into a row."""

    task: TrainingTask
    kind: InputKind
    columns: DataColumns
    record: Record

    def parse(self) -> Iterator[DataRow]:
        """Parse the record: one row, or for contrast a row for each positive of a list.

        Raises:
            DataFileError: naming the file, row and column of an invalid value.
        """
        labels = tuple(self._field(column)[0] for column in self.columns.labels)
        match self.task:
            case "contrast":
                for inputs in self._contrasted():
                    yield self._row(inputs, labels)
                return
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
        yield self._row(inputs, labels)

    def _row(self, inputs: tuple[Any, ...], labels: tuple[Any, ...]) -> DataRow:
        return DataRow(inputs, labels, self._group(), self.record.place, self.columns.labels)

    def _field(self, column: str) -> tuple[Any, Place]:
        require_column(str(self.record.place), list(self.record.fields), column)
        return self.record.fields[column], self.record.place._replace(field=column)

    def _sequence(self, column: str) -> Any:
        value, place = self._field(column)
        sequence = parse_value(value, self.kind, place)
        if not len(sequence):
            raise DataFileError(f"{place}: empty; fill in the value, or remove the row")
        if isinstance(sequence, str) and self.kind == "text" and not sequence.strip():
            raise DataFileError(f"{place}: blank; fill in the value, or remove the row")
        return sequence

    def _contrasted(self) -> Iterator[tuple[Any, ...]]:
        """Anchor, positive and negatives, for each positive.

        The column of positives may hold a list, and those of negatives a list or nothing.
        """
        anchor_column, positive_column = self.columns.inputs
        anchor = self._sequence(anchor_column)
        negatives: list[Any] = []
        for column in self.columns.negative_columns(self.record.fields):
            value, place = self._field(column)
            texts = self._texts(value, place)
            items = [value] if texts is None else texts
            negatives += [
                parse_value(item, self.kind, place) for item in items if not is_blank(item)
            ]
        value, place = self._field(positive_column)
        positives = self._texts(value, place)
        if positives is None:
            yield (anchor, self._sequence(positive_column), *negatives)
            return
        if not positives:
            raise DataFileError(f"{place}: no positive; add one, or remove the row")
        for item in positives:
            positive = parse_value(item, self.kind, place)
            if is_blank(positive):
                raise DataFileError(f"{place}: blank; fill in the value, or remove the row")
            yield (anchor, positive, *negatives)

    def _texts(self, value: Any, place: Place) -> list[Any] | None:
        """The texts of a list, or of a printed list; None for anything else."""
        if self.kind != "text":
            return None
        return value if isinstance(value, list) else list_cell(value, place, "strings")

    def _words(self) -> Any:
        value, place = self._field(self.columns.inputs[0])
        if self.kind == "series" or (self.kind == "symbols" and isinstance(value, str)):
            return parse_value(value, self.kind, place)
        value = value if (cell := list_cell(value, place, "strings")) is None else cell
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not words:
            raise DataFileError(f"{place}: expected a list of words, found {describe_value(value)}")
        try:
            join_words(words, self.kind)
        except InputError as error:
            raise DataFileError(f"{place}: {error}") from None
        return words

    def _check_lengths(self, words: Any, tags: Sequence[str], place: Place) -> None:
        # The number of symbols in a string depends on its alphabet; tokenization checks it.
        if not isinstance(words, str) and len(words) != len(tags):
            raise DataFileError(
                f"{place}: {len(tags)} tags for {len(words)} words in column "
                f"{self.columns.inputs[0]!r}; expected one tag per word"
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
        raise DataFileError(f"{place}: expected text or an integer, found {describe_value(value)}")


def is_blank(value: Any) -> bool:
    """Whether a field is empty or contains only whitespace."""
    return value is None or (isinstance(value, str) and not value.strip())
