"""Files of training data, as rows: read several times, to check, for a vocabulary, to tokenize."""

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.decoding import decode_lines
from bothways.files.formats import (
    STDIN,
    InputFile,
    TextFormat,
    check_readable,
    require_parquet,
    resolve_input,
)
from bothways.files.records import Record, read_records
from bothways.files.rows import ReadProgress
from bothways.model.inputs import InputKind
from bothways.training.data.columns import ColumnNames, Columns, Task, choose_columns
from bothways.training.data.conll import read_conll
from bothways.training.data.rows import DataRow, RowReading, is_blank

__all__ = ["Report", "Source", "guess_kind"]

Report = Callable[[float | None], None]
"""Called with the share of some work that is done, from 0 to 1, or None where that is not known."""

_REPORT_EVERY = 1000
"""Rows between two reports."""

_CONLL_SUFFIXES = (".conll", ".conllu", ".conll2003", ".iob", ".iob2", ".bio", ".bioes")


@dataclasses.dataclass(frozen=True)
class Source:
    """Files of rows for one task.

    kind: what the sequences are; files must agree.
    names: the columns that the user named. In CoNLL, columns are numbers from 1.
    """

    files: tuple[InputFile, ...]
    task: Task
    kind: InputKind
    names: ColumnNames = dataclasses.field(default_factory=ColumnNames)

    @classmethod
    def open(
        cls,
        paths: Sequence[str],
        task: Task,
        *,
        kind: InputKind | None = None,
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
        read_progress = ReadProgress([file.source for file in self.files])
        number = 0
        for file in self.files:
            with closing(self._records(file, read_progress)) as records:
                for row in self._rows_of(file, records):
                    yield row
                    number += 1
                    if report is not None and number % _REPORT_EVERY == 0:
                        report(read_progress.fraction)

    def first_records(self) -> Iterator[tuple[InputFile, Mapping[str, Any], Columns]]:
        """The fields of the first row of each file that has one, and their columns.

        Raises:
            DataFileError: if the columns cannot be told.
        """
        for file in self.files:
            with closing(self._records(file, ReadProgress([file.source]))) as records:
                first = next(records, None)
            if first is not None:
                yield file, first.fields, self._columns(file, first.fields)

    def _rows_of(self, file: InputFile, records: Iterator[Record]) -> Iterator[DataRow]:
        columns: Columns | None = None
        for record in records:
            columns = columns or self._columns(file, record.fields)
            if self.task == "mlm":
                value = record.fields.get(columns.inputs[0])
                if isinstance(value, str) and is_blank(value):
                    continue
            yield RowReading(self.task, self.kind, columns, record).row()

    def _records(self, file: InputFile, read_progress: ReadProgress) -> Generator[Record]:
        if _is_conll(file, self.task):
            token, tag = (_column_number(names) for names in (self.names.inputs, self.names.labels))
            with closing(read_byte_lines(file, read_progress)) as lines:
                yield from read_conll(
                    decode_lines(lines, file.name), file.name, token=token, tag=tag
                )
            return
        columns = None
        if file.format == "parquet":
            with closing(read_records(file)) as peek:
                first = next(peek, None)
            if first is not None:
                columns = self._columns(file, first.fields).needed(first.fields)
        yield from read_records(file, columns=columns, read_progress=read_progress)

    def _columns(self, file: InputFile, fields: Mapping[str, Any]) -> Columns:
        names = self.names
        if _is_conll(file, self.task):
            names = dataclasses.replace(names, inputs=("tokens",), labels=("tags",))
        return choose_columns(self.task, file.name, fields, names)


def guess_kind(source: Source) -> InputKind:
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
    """As `files.resolve_input`; CoNLL is read as lines."""
    if _has_conll_suffix(path):
        return resolve_input(path, "txt")
    return resolve_input(path, input_format)


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
