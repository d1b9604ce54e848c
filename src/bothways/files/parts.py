"""Parts of files: dividing a file by rows in one pass, and reading a part with its bad rows."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bothways.errors import DataFileError
from bothways.files.byte_lines import read_byte_lines
from bothways.files.columns import ColumnSelection, SameColumns
from bothways.files.decoding import NotUtf8, check_decoded, decode_lines, detect_encoding
from bothways.files.formats import FilePart, InputFile
from bothways.files.missing import OnMissing, replace_missing
from bothways.files.reading import read_raw_rows
from bothways.files.rows import Place, ReadProgress, Row
from bothways.files.tables import row_numbers
from bothways.model.inputs import InputKind

__all__ = ["BadRow", "BadRowCode", "DividedFile", "divide_file", "final_columns", "read_part"]

BadRowCode = Literal["missing", "invalid", "encoding", "too_long", "refused", "killed"]


class BadRow(NamedTuple):
    """A row that cannot be encoded.

    id: None if it was not read. code: why; message: the same in words, with the place.
    excerpt: the beginning of the text, if it was read.
    """

    place: Place
    id: str | None
    code: BadRowCode
    message: str
    excerpt: str | None = None


class DividedFile(NamedTuple):
    """The parts of a file. Each ends where the next begins, and the last with the file."""

    rows: int
    parts: list[FilePart]


def final_columns(
    file: InputFile, kind: InputKind, selection: ColumnSelection, read_progress: ReadProgress
) -> ColumnSelection:
    """The columns of a file, as its first row determines them; later parts need not choose again.

    Raises:
        DataFileError: if a column is missing or ambiguous.
    """
    has_columns = file.format in ("csv", "tsv", "jsonl", "json", "parquet", "arrow")
    with contextlib.ExitStack() as stack:
        for row in read_raw_rows(file, read_progress, kind, selection, stack, _ignore):
            if not has_columns:
                break
            return ColumnSelection(
                row.place.field,
                selection.id_column or read_progress.id_columns.get(file.name),
                tuple(row.cells),
                is_final=True,
            )
    return selection


def divide_file(
    file: InputFile, part_rows: int, kind: InputKind, selection: ColumnSelection
) -> DividedFile:
    """Divide a file into parts of about `part_rows` rows, in one pass.

    A part of an uncompressed .txt, .jsonl, .csv or .tsv file in UTF-8 begins at a byte, and one of
    .parquet in a row group. Others are found by reading the file from its start.

    Raises:
        DataFileError: if the file is damaged, or a line is too long.
    """
    if file.format == "parquet":
        return _every(_parquet_rows(file), part_rows)
    if not _can_seek(file):
        return _every(_count_by_reading(file, kind, selection), part_rows)
    with closing(read_byte_lines(file, ReadProgress([]))) as lines:
        if file.format in ("csv", "tsv"):
            return _divide_table(lines, file, part_rows)
        return _divide_lines(lines, part_rows, is_text=file.format == "txt")


def read_part(
    file: InputFile,
    rows: int,
    *,
    kind: InputKind,
    selection: ColumnSelection,
    on_missing: OnMissing,
    number: int,
    read_progress: ReadProgress,
    kept_names: Sequence[str] | None = None,
) -> Generator[Row | BadRow]:
    """Yield the first `rows` rows of `file.part` in order; a `BadRow` where one cannot be read.

    number: of the first row of the file, for the ids of rows without ids.
    kept_names: the columns that every row keeps, where all columns are kept; a row with another
        one is bad.

    Raises:
        DataFileError: if the file cannot be read.
    """
    part = file.part or FilePart(0)
    selection = selection._replace(all_ids=on_missing == "empty")
    bad: list[BadRow] = []
    same_columns = None if kept_names is None else SameColumns(kept_names)

    def refuse(error: DataFileError, place: Place) -> None:
        if part.row < place.row <= part.row + rows:
            code: BadRowCode = "encoding" if isinstance(error, NotUtf8) else "invalid"
            bad.append(BadRow(place, None, code, str(error)))

    with contextlib.ExitStack() as stack:
        for raw in read_raw_rows(file, read_progress, kind, selection, stack, refuse):
            yield from bad
            bad.clear()
            if raw.place.row > part.row + rows:
                return
            if raw.place.row <= part.row:
                continue
            value = raw.value
            if value is None:
                try:
                    value = replace_missing(raw.place, kind, on_missing, read_progress)
                except DataFileError as error:
                    yield BadRow(raw.place, raw.id, "missing", str(error))
            if value is None:
                continue
            name = str(number + raw.place.row - 1) if raw.id is None else raw.id
            try:
                cells = raw.cells if same_columns is None else same_columns(raw.cells, raw.place)
            except DataFileError as error:
                yield BadRow(raw.place, raw.id, "invalid", str(error))
                continue
            row = Row(name, value, raw.place, cells, raw.id is None)
            yield _undecoded(row) or row
        yield from bad


def _ignore(error: DataFileError, place: Place) -> None:
    """Read on: another row determines the columns."""


def _undecoded(row: Row) -> BadRow | None:
    """The row as a bad one, if it has bytes that are not UTF-8."""
    parts: list[Any] = row.value if isinstance(row.value, list) else [row.value]
    try:
        for text in (*parts, row.id, *row.cells.values()):
            if isinstance(text, str):
                check_decoded(text, row.place)
    except NotUtf8 as error:
        return BadRow(row.place, None, "encoding", str(error))
    return None


def _every(rows: int, part_rows: int) -> DividedFile:
    return DividedFile(rows, [FilePart(row) for row in range(0, rows, part_rows)])


def _parquet_rows(file: InputFile) -> int:
    from bothways.files.columnar_files import open_columnar

    with open_columnar(file, ReadProgress([])) as columnar:
        return columnar.num_rows


def _count_by_reading(file: InputFile, kind: InputKind, selection: ColumnSelection) -> int:
    last = 0

    def count(_: DataFileError, place: Place) -> None:
        nonlocal last
        last = max(last, place.row)

    with contextlib.ExitStack() as stack:
        for row in read_raw_rows(file, ReadProgress([]), kind, selection, stack, count):
            last = max(last, row.place.row)
    return last


def _can_seek(file: InputFile) -> bool:
    """Whether reading can begin at a byte of the file."""
    is_plain = file.compression is None and file.encoding is None and not file.per_file
    if file.format not in ("txt", "jsonl", "csv", "tsv") or not is_plain:
        return False
    try:
        with Path(file.source).open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise DataFileError(f"{file.name}: cannot be read: {error.strerror or error}") from error
    if detect_encoding(head) is not None:
        return False
    with closing(read_byte_lines(file, ReadProgress([]))) as lines:
        size = len(next(lines, b""))
    with Path(file.source).open("rb") as stream:
        return len(stream.readline(size + 1)) == size  # not with \r alone at the ends of lines


class _Tracker:
    """Passes lines on, and counts them and their bytes."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.offset = self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.offset += len(line)
            self.count += 1
            yield line


def _divide_lines(lines: Iterable[bytes], part_rows: int, *, is_text: bool) -> DividedFile:
    parts: list[FilePart] = []
    last = offset = 0
    for row, line in enumerate(lines):
        if row % part_rows == 0:
            parts.append(FilePart(row, row, offset))
        offset += len(line)
        if line.strip(b" \t\r\n") and not (is_text and line.decode("utf-8", "replace").isspace()):
            last = row + 1
    return DividedFile(last, [part for part in parts if part.row < last])


def _divide_table(lines: Iterable[bytes], file: InputFile, part_rows: int) -> DividedFile:
    last_bad = 0

    def count(_: DataFileError, place: Place) -> None:
        nonlocal last_bad
        last_bad = place.row

    tracker = _Tracker(lines)
    records = row_numbers(decode_lines(tracker, file.name, "surrogateescape"), file, count)
    next(records, None)
    header_lines = tracker.count
    parts: list[FilePart] = []
    last = before = 0
    line, offset = tracker.count, tracker.offset
    for row, is_blank in records:
        is_next = row == before + 1  # else bad records precede it, and its first byte is not known
        if not parts or (is_next and before - parts[-1].row >= part_rows):
            parts.append(FilePart(before if parts else 0, line, offset, header_lines))
        before = row
        line, offset = tracker.count, tracker.offset
        if not is_blank:
            last = row
    if last_bad and not parts:
        parts.append(FilePart(0, line, offset, header_lines))
    last = max(last, last_bad)
    return DividedFile(last, [part for part in parts if part.row < last])
