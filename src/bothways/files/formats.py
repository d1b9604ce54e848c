"""Input formats, and the format of a file by its name."""

import codecs
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bothways.errors import DataFileError, MissingExtra

__all__ = [
    "DEFAULT_ROW_SIZE",
    "STDIN",
    "Compression",
    "FileOptions",
    "FilePart",
    "InputFile",
    "InputFormat",
    "TextFormat",
    "compression_of",
    "explain_size",
    "format_of",
    "require_parquet",
    "resolve_input",
]

STDIN = "-"

TextFormat = Literal["txt", "csv", "tsv", "jsonl", "json", "fasta"]
InputFormat = Literal[
    "txt", "csv", "tsv", "jsonl", "json", "fasta", "parquet", "arrow", "npy", "npz"
]
Compression = Literal["gz", "bz2", "xz", "zst"]

DEFAULT_ROW_SIZE = 16 << 20
"""Bytes of the longest row, unless `FileOptions.max_row_size` gives another limit: 16 MiB, about
three times War and Peace. A longer row is more likely a file of another format."""

_FORMATS: dict[str, InputFormat] = {
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".fasta": "fasta",
    ".fas": "fasta",
    ".fa": "fasta",
    ".faa": "fasta",
    ".fna": "fasta",
    ".ffn": "fasta",
    ".pep": "fasta",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".npy": "npy",
    ".npz": "npz",
}
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t"}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
_SUPPORTED = (
    ".txt, .csv, .tsv or .tab, .jsonl or .ndjson, .json, .fasta, .fas, .fa, .faa, .fna, .ffn or "
    ".pep (each also .gz, .bz2, .xz or .zst), .parquet, .arrow or .feather, .npy or .npz for "
    "series, or - for standard input; --input-format gives the format of other names"
)


class FileOptions(NamedTuple):
    """How to read files where their names and contents do not say it.

    input_format: of standard input (by default `txt`), and of files instead of what their names
        say.
    delimiter: of .csv and .tsv, a character or `tab`; None to detect it.
    encoding: of text formats, as Python names it; None for UTF-8, or UTF-16 or UTF-32 with a byte
        order mark.
    per_file: read each file as one text.
    max_row_size: bytes of the longest row: a line, field, record or text.
    """

    input_format: TextFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    per_file: bool = False
    max_row_size: int = DEFAULT_ROW_SIZE


class FilePart(NamedTuple):
    """Where a part of a file begins.

    row, line: numbers of rows, and of lines, before it; the header is no row.
    offset: of its first byte, where what precedes it need not be read; None to read from the start.
    header_lines: lines at the start of the file that are read before it.
    """

    row: int
    line: int = 0
    offset: int | None = None
    header_lines: int = 0


class InputFile(NamedTuple):
    """One input: a path or `-`, its name in messages, and how to read it.

    delimiter, encoding, per_file, max_row_size: see `FileOptions`.
    detected: whether the content showed the format, and not the name.
    part: what `read_part` reads; None for the whole file.
    """

    source: str
    name: str
    format: InputFormat
    compression: Compression | None
    delimiter: str | None = None
    encoding: str | None = None
    per_file: bool = False
    max_row_size: int = DEFAULT_ROW_SIZE
    detected: bool = False
    part: FilePart | None = None

    @property
    def is_binary(self) -> bool:
        """Whether the format is not made of lines of text."""
        return self.format not in get_args(TextFormat)

    @property
    def rows_before(self) -> int:
        """Rows that are left out, because the file is read from a later byte or row group on."""
        return 0 if self.part is None or not self.skips_bytes else self.part.row

    @property
    def skips_bytes(self) -> bool:
        """Whether the rows before the part are not read."""
        return self.part is not None and (self.part.offset is not None or self.format == "parquet")


def resolve_input(source: str, options: FileOptions | None = None) -> InputFile:
    """The input at `source`, with the format that its name implies.

    A name without a suffix, such as `data` or `data.gz`, has the format that the content shows.

    Raises:
        DataFileError: if the format is unknown; lists the supported ones. If an option is invalid,
            or does not apply to the format.
    """
    options = options or FileOptions()
    if options.input_format is not None and options.input_format not in get_args(TextFormat):
        raise DataFileError(
            f"input format {options.input_format!r}: expected one of "
            f"{', '.join(get_args(TextFormat))}"
        )
    file = _resolve_format(source, options)
    return file._replace(
        delimiter=_parse_delimiter(options.delimiter, file),
        encoding=_parse_encoding(options.encoding, file),
        per_file=options.per_file,
        max_row_size=options.max_row_size,
    )


def _resolve_format(source: str, options: FileOptions) -> InputFile:
    if source == STDIN:
        return InputFile(source, "standard input", options.input_format or "txt", None)
    compression = compression_of(source)
    if options.per_file:
        return InputFile(source, source, "txt", compression)
    format_ = options.input_format or format_of(source)
    if format_ is None and not _without_compression(source).suffix and Path(source).is_file():
        from bothways.files.content import detect_format

        if detected := detect_format(source):
            return InputFile(source, source, *detected, detected=True)
    if format_ is None or (compression and format_ not in get_args(TextFormat)):
        raise DataFileError(f"{source}: unknown format; supported are {_SUPPORTED}")
    return InputFile(source, source, format_, compression)


def format_of(source: str) -> InputFormat | None:
    """The format that a name implies, without the suffix of its compression; None if unknown."""
    return _FORMATS.get(_without_compression(source).suffix.lower())


def compression_of(source: str) -> Compression | None:
    """The compression that a name implies."""
    return _COMPRESSIONS.get(Path(source).suffix.lower())


def _without_compression(source: str) -> Path:
    path = Path(source)
    return path.with_suffix("") if compression_of(source) else path


def _parse_delimiter(delimiter: str | None, file: InputFile) -> str | None:
    if delimiter is None:
        return None
    if file.format not in ("csv", "tsv"):
        raise DataFileError(
            f"{file.name}: no delimiter {delimiter!r}: only .csv and .tsv files have delimiters"
        )
    delimiter = _DELIMITER_NAMES.get(delimiter.lower(), delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n ':
        raise DataFileError(
            f"delimiter {delimiter!r}: expected one character, such as ; or |, or tab"
        )
    return delimiter


def _parse_encoding(encoding: str | None, file: InputFile) -> str | None:
    """The name of a text encoding, as Python spells it; None for UTF-8."""
    if encoding is None:
        return None
    try:
        name = codecs.lookup(encoding).name
        b" ".decode(name, "ignore")  # fails for codecs between bytes, such as base64
    except (LookupError, ValueError) as error:
        raise DataFileError(
            f"encoding {encoding!r}: unknown; expected a name such as utf-8, windows-1252, "
            "shift_jis, gb18030 or utf-16"
        ) from error
    if file.is_binary:
        raise DataFileError(
            f"{file.name}: no encoding {encoding!r}: only formats of text have encodings"
        )
    return None if name in ("utf-8", "utf-8-sig", "ascii") else name


def explain_size(what: str, limit: int) -> str:
    """That `what`, such as `a line`, is longer than `limit` bytes, for a message."""
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
    return (
        f"{what} of more than {size}; is the file of another format? If not, split the text, or "
        "raise the limit with --max-row-size (in Python, max_row_size=)"
    )


def require_parquet(name: str) -> None:
    """Raise if pyarrow, which the file called `name` needs, is not installed.

    Raises:
        MissingExtra: names the extra to install.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("parquet", name)
