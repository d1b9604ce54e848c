"""Training data files as rows; read several times: to check, to build a vocabulary, to tokenize."""

import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.decoding import decode_lines
from bothways.files.formats import (
    STDIN,
    FileOptions,
    InputFile,
    compression_of,
)
from bothways.files.inputs import any_file, check_inputs, find_files, has_known_suffix
from bothways.files.list_cells import parse_list
from bothways.files.records import Record, read_records
from bothways.files.rows import ReadProgress
from bothways.model.inputs import InputKind
from bothways.training.data.columns import DataColumns, choose_columns
from bothways.training.data.conll import read_conll
from bothways.training.data.labels import parse_classes
from bothways.training.data.rows import DataRow, RowParser, is_blank
from bothways.training.options.data import ColumnNames
from bothways.training.options.objective import TrainingTask

__all__ = ["DataSource", "ShareCallback", "Stage", "guess_kind", "hidden_stage"]

ShareCallback = Callable[[float | None], None]
"""Called with the fraction of the work that is done, from 0 to 1; None if it is not known."""

Stage = Callable[[str], AbstractContextManager[ShareCallback]]
"""Opens a context for a stage of the given name; it yields a callback for the stage's progress."""


def hidden_stage(_: str) -> AbstractContextManager[ShareCallback]:
    """A stage without progress."""
    return nullcontext(lambda share: None)


_REPORT_EVERY = 1000
"""Rows between two reports."""

_CONLL_SUFFIXES = (".conll", ".conllu", ".conll2003", ".iob", ".iob2", ".bio", ".bioes")


@dataclasses.dataclass(frozen=True)
class DataSource:
    """Files of rows for one task.

    kind: the kind of all sequences.
    dropped: classes whose rows are skipped.
    names: the columns that the user named. CoNLL columns are named by number, from 1.
    """

    files: tuple[InputFile, ...]
    task: TrainingTask
    kind: InputKind
    names: ColumnNames = dataclasses.field(default_factory=ColumnNames)
    dropped: frozenset[str] = frozenset()

    @classmethod
    def open(
        cls,
        paths: Sequence[str],
        task: TrainingTask,
        *,
        kind: InputKind | None = None,
        names: ColumnNames | None = None,
        options: FileOptions | None = None,
    ) -> "DataSource":
        """Open files, and those in directories and of patterns, as `find_files` takes them.

        kind: None to detect it from the first row.

        Raises:
            DataFileError: if a file cannot be read, is standard input, or has no rows.
            MissingExtra: for parquet, if pyarrow is not installed.
        """
        if STDIN in paths:
            raise DataFileError("training reads its data several times; give a file, not -")
        options = options or FileOptions()
        can_read = any_file if options.input_format else _can_read
        expanded = [file for path in paths for file in find_files(path, can_read, _warn)]
        files = tuple(
            file
            for path in expanded
            for file in check_inputs([path], _options_of(path, options), note=_warn)
        )
        source = cls(files, task, kind or "text", names or ColumnNames())
        return source if kind else dataclasses.replace(source, kind=guess_kind(source))

    def rows(self, report: ShareCallback | None = None) -> Generator[DataRow]:
        """All rows, in order; for mlm without blank ones, which separate paragraphs.

        report: called from time to time with the fraction of bytes read, if known.

        Raises:
            DataFileError: naming the file, row and column of an invalid value.
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

    def first_records(self) -> Iterator[tuple[InputFile, Mapping[str, Any], DataColumns]]:
        """The fields of the first row of each file that has one, and their columns.

        Raises:
            DataFileError: if the choice of columns is ambiguous.
        """
        for file in self.files:
            with closing(self._records(file, ReadProgress([file.source]))) as records:
                first = next(records, None)
            if first is not None:
                yield file, first.fields, self._columns(file, first.fields)

    def delimiter_notes(self) -> list[str]:
        """A line for each .csv file whose fields are not separated by commas."""
        read_progress = ReadProgress([file.source for file in self.files])
        for file in self.files:
            with closing(self._records(file, read_progress)) as records:
                next(records, None)
        return [f"{name}: the delimiter is {d}" for name, d in read_progress.delimiters.items()]

    def fingerprints(self) -> list[dict[str, Any]]:
        """The name of each file without its folder, its size and its hash, as JSON."""
        return [_file_fingerprint(Path(file.source)) for file in self.files]

    def _rows_of(self, file: InputFile, records: Iterator[Record]) -> Iterator[DataRow]:
        columns: DataColumns | None = None
        for record in records:
            columns = columns or self._columns(file, record.fields)
            if self.task == "mlm" and is_blank(record.fields.get(columns.inputs[0])):
                continue
            for row in RowParser(self.task, self.kind, columns, record).parse():
                if not (self.dropped and self._is_dropped(row)):
                    yield row

    def _is_dropped(self, row: DataRow) -> bool:
        return parse_classes(row.labels[0], None, row.at_label()) in self.dropped

    def _records(self, file: InputFile, read_progress: ReadProgress) -> Generator[Record]:
        if _is_conll(file, self.task):
            token, tag = (_column_number(names) for names in (self.names.inputs, self.names.labels))
            with closing(read_byte_lines(file, read_progress)) as lines:
                yield from read_conll(
                    decode_lines(lines, file.name), file.name, token=token, tag=tag
                )
            return
        columns = None
        if file.format in ("parquet", "arrow"):
            with closing(read_records(file)) as peek:
                first = next(peek, None)
            if first is not None:
                columns = self._columns(file, first.fields).required(first.fields)
        yield from read_records(file, columns=columns, read_progress=read_progress)

    def _columns(self, file: InputFile, fields: Mapping[str, Any]) -> DataColumns:
        names = self.names
        if _is_conll(file, self.task):
            names = dataclasses.replace(names, inputs=("tokens",), labels=("tags",))
        return choose_columns(self.task, file.name, fields, names)


def guess_kind(source: DataSource) -> InputKind:
    """Detect the kind of sequence from the first row: series, symbols or text.

    FASTA contains symbols. Lists of words with tags are text.

    Raises:
        DataFileError: if no file has a row.
    """
    for file, fields, columns in source.first_records():
        if file.format == "fasta":
            return "symbols"
        value = fields.get(columns.inputs[0])
        if isinstance(value, str):
            value = _printed_list(value)
        if not isinstance(value, list) or not value:
            return "text"
        if not isinstance(value[0], str):
            return "series"
        return "text" if source.task == "tag" else "symbols"
    raise DataFileError(f"{source.files[0].name}: has no rows")


def _printed_list(text: str) -> list[Any] | None:
    """The list that a cell holds, if it has two items or more: `[1]` may be a text."""
    items = parse_list(text) if text.startswith("[") and text.endswith("]") else None
    return items if items is not None and len(items) > 1 else None


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)


def _options_of(path: str, options: FileOptions) -> FileOptions:
    """The options of a file; CoNLL files are read as lines."""
    if _has_conll_suffix(path):
        return options._replace(input_format="txt", delimiter=None)
    return options


def _can_read(path: str) -> bool:
    return has_known_suffix(path) or _has_conll_suffix(path)


def _is_conll(file: InputFile, task: TrainingTask) -> bool:
    return task == "tag" and (_has_conll_suffix(file.source) or file.format in ("txt", "tsv"))


def _has_conll_suffix(path: str) -> bool:
    name = path.lower().removesuffix(f".{compression_of(path)}")
    return name.endswith(_CONLL_SUFFIXES)


def _column_number(names: tuple[str, ...]) -> int | None:
    if not names:
        return None
    if not names[0].isdecimal() or names[0] == "0":
        raise DataFileError(
            f"column {names[0]!r}: CoNLL columns have no names; give a number, from 1"
        )
    return int(names[0])


def _file_fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
