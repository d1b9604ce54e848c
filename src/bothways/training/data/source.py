"""The rows of training data: each a sequence, or several to be compared, and what is to be learned.

A source is read several times: to check it, for a vocabulary, and to tokenise it.
"""

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from bothways.errors import DataFileError, InputError
from bothways.files.columns import require_column
from bothways.files.formats import (
    STDIN,
    InputFile,
    TextFormat,
    check_readable,
    input_file,
    require_parquet,
)
from bothways.files.lines import decoded_lines
from bothways.files.opening import byte_lines
from bothways.files.records import Record, read_records
from bothways.files.rows import Kind, Meter, Place
from bothways.files.values import found, value_of
from bothways.sequences import as_words
from bothways.training.data.columns import ColumnNames, Columns, Task, choose_columns
from bothways.training.data.conll import read_conll
from bothways.training.data.labels import parse_tags

__all__ = ["DataRow", "Report", "Source", "guess_kind"]

Report = Callable[[float | None], None]
"""Called with the share of some work that is done, from 0 to 1, or None where that is not known."""

_REPORT_EVERY = 1000
"""Rows between two reports."""

_CONLL_SUFFIXES = (".conll", ".conllu", ".conll2003", ".iob", ".iob2", ".bio", ".bioes")


class DataRow(NamedTuple):
    """One row of data.

    inputs: what a reader takes: one sequence (a tuple of two texts for a pair); for contrast an
        anchor, its positive and any negatives; of tagged words, one list of them.
    labels: what stands in each column of labels; for tags one list of str.
    group: the value that decides with which rows it is split; None where the sequence decides.
    place: of the row. fields: the columns of the inputs and of the labels.
    """

    inputs: tuple[Any, ...]
    labels: tuple[Any, ...]
    group: str | None
    place: Place
    label_columns: tuple[str, ...]

    def at_label(self, index: int = 0) -> Place:
        """The place of a label, for messages."""
        return self.place._replace(field=self.label_columns[index])


@dataclasses.dataclass(frozen=True)
class Source:
    """Files of rows for one task.

    kind: what the sequences are; files must agree.
    names: the columns that the user named. In CoNLL, columns are numbers from 1.
    """

    files: tuple[InputFile, ...]
    task: Task
    kind: Kind
    names: ColumnNames = dataclasses.field(default_factory=ColumnNames)

    @classmethod
    def open(
        cls,
        paths: Sequence[str],
        task: Task,
        *,
        kind: Kind | None = None,
        names: ColumnNames | None = None,
        input_format: TextFormat | None = None,
    ) -> "Source":
        """The source that these files are. kind: None to tell it by the first row.

        Raises:
            DataFileError: if a file cannot be read, is standard input, or has no rows.
        MissingExtra: for parquet, where the library for it is not installed.
        """
        if STDIN in paths:
            raise DataFileError("training reads its data more than once; give a file, not -")
        files = tuple(_input_file(path, input_format) for path in paths)
        for file in files:
            check_readable(file.source)
            if file.format == "parquet":
                require_parquet(file.name)
        source = cls(files, task, kind or "text", names or ColumnNames())
        return source if kind else dataclasses.replace(source, kind=guess_kind(source))

    def rows(self, report: Report | None = None) -> Generator[DataRow]:
        """All rows, in order; for mlm without the blank ones, which part paragraphs.

        report: called now and then with the share of the bytes that have been read, where known.

        Raises:
            DataFileError: naming file, row and column.
        """
        meter = Meter([file.source for file in self.files])
        number = 0
        for file in self.files:
            with closing(self._records(file, meter)) as records:
                for row in self._rows_of(file, records):
                    yield row
                    number += 1
                    if report is not None and number % _REPORT_EVERY == 0:
                        report(meter.share)

    def first_records(self) -> Iterator[tuple[InputFile, Mapping[str, Any], Columns]]:
        """The fields of the first row of each file that has one, and their columns.

        Raises:
            DataFileError: if the columns cannot be told.
        """
        for file in self.files:
            with closing(self._records(file, Meter([file.source]))) as records:
                first = next(records, None)
            if first is not None:
                yield file, first.fields, self._columns(file, first.fields)

    def _rows_of(self, file: InputFile, records: Iterator[Record]) -> Iterator[DataRow]:
        columns: Columns | None = None
        for record in records:
            columns = columns or self._columns(file, record.fields)
            if self.task == "mlm":
                value = record.fields.get(columns.inputs[0])
                if isinstance(value, str) and _is_blank(value):
                    continue
            yield _Reading(self, file, columns, record).row()

    def _records(self, file: InputFile, meter: Meter) -> Generator[Record]:
        if _is_conll(file, self.task):
            token, tag = (_column_number(names) for names in (self.names.inputs, self.names.labels))
            with closing(byte_lines(file, meter)) as lines:
                yield from read_conll(
                    decoded_lines(lines, file.name), file.name, token=token, tag=tag
                )
            return
        columns = None
        if file.format == "parquet":
            with closing(read_records(file)) as peek:
                first = next(peek, None)
            if first is not None:
                columns = self._columns(file, first.fields).needed(first.fields)
        yield from read_records(file, columns=columns, meter=meter)

    def _columns(self, file: InputFile, fields: Mapping[str, Any]) -> Columns:
        names = self.names
        if _is_conll(file, self.task):
            names = dataclasses.replace(names, inputs=("tokens",), labels=("tags",))
        return choose_columns(self.task, file.name, fields, names)


class _Reading(NamedTuple):
    """One record on its way to a row."""

    source: Source
    file: InputFile
    columns: Columns
    record: Record

    def row(self) -> DataRow:
        labels = tuple(self._field(column)[0] for column in self.columns.labels)
        match self.source.task:
            case "contrast":
                inputs = self._compared()
            case "tag":
                inputs = (self._words(),)
                value, place = self._field(self.columns.labels[0])
                tags = parse_tags(value, self.source.kind, place)
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
        sequence = value_of(value, self.source.kind, place)
        if not len(sequence):
            raise DataFileError(f"{place}: empty; fill it in, or remove the row")
        if isinstance(sequence, str) and self.source.kind == "text" and not sequence.strip():
            raise DataFileError(f"{place}: blank; fill it in, or remove the row")
        return sequence

    def _compared(self) -> tuple[Any, ...]:
        """Anchor, positive and negatives; a field of negatives may hold a list, or nothing."""
        pair = tuple(self._sequence(column) for column in self.columns.inputs)
        negatives: list[Any] = []
        for column in self.columns.negatives_in(self.record.fields):
            value, place = self._field(column)
            several = isinstance(value, list) and self.source.kind == "text"
            given = [one for one in (value if several else [value]) if not _is_blank(one)]
            negatives += [value_of(one, self.source.kind, place) for one in given]
        return (*pair, *negatives)

    def _words(self) -> Any:
        value, place = self._field(self.columns.inputs[0])
        if self.source.kind == "series" or (
            self.source.kind == "symbols" and isinstance(value, str)
        ):
            return value_of(value, self.source.kind, place)
        words = value.split() if isinstance(value, str) else value
        if not isinstance(words, list) or not words:
            raise DataFileError(f"{place}: expected a list of words, found {found(value)}")
        try:
            as_words(words, self.source.kind)
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
            return self.file.name
        value, place = self._field(column)
        if isinstance(value, str | int) and value != "":
            # A document of CoNLL is one of its file.
            is_conll = _is_conll(self.file, self.source.task)
            return f"{self.file.name}\n{value}" if is_conll else str(value)
        raise DataFileError(f"{place}: expected what the split goes by, found {found(value)}")


def guess_kind(source: Source) -> Kind:
    """What the sequences are, by the first row: numbers, lists of symbols, or text.

    FASTA holds symbols. Lists of words with tags are text.

    Raises:
        DataFileError: if no file has a row.
    """
    for file, fields, columns in source.first_records():
        if file.format == "fasta":
            return "symbols"
        value = fields.get(columns.inputs[0])
        if not isinstance(value, list) or not value:
            return "text"
        if not isinstance(value[0], str):
            return "series"
        return "text" if source.task == "tag" else "symbols"
    raise DataFileError(f"{source.files[0].name}: has no rows; there is nothing to learn from")


def _input_file(path: str, input_format: TextFormat | None) -> InputFile:
    """As `files.input_file`; CoNLL is read as lines."""
    if _has_conll_suffix(path):
        return input_file(path, "txt")
    return input_file(path, input_format)


def _is_conll(file: InputFile, task: Task) -> bool:
    return task == "tag" and (_has_conll_suffix(file.source) or file.format in ("txt", "tsv"))


def _has_conll_suffix(path: str) -> bool:
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith(_CONLL_SUFFIXES)


def _column_number(names: tuple[str, ...]) -> int | None:
    if not names:
        return None
    if not names[0].isdecimal() or names[0] == "0":
        raise DataFileError(
            f"column {names[0]!r}: the columns of CoNLL files have no names; give a number from 1"
        )
    return int(names[0])


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
