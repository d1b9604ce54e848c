"""Input formats, and the format of a file by its name."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bothways.errors import DataFileError, MissingExtra

__all__ = [
    "STDIN",
    "Compression",
    "InputFile",
    "InputFormat",
    "TextFormat",
    "check_inputs",
    "check_readable",
    "require_parquet",
    "resolve_input",
]

STDIN = "-"

TextFormat = Literal["txt", "csv", "tsv", "jsonl", "fasta"]
InputFormat = Literal["txt", "csv", "tsv", "jsonl", "fasta", "parquet"]
Compression = Literal["gz", "zst"]

_FORMATS: dict[str, InputFormat] = {
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".parquet": "parquet",
}
_DELIMITER_NAMES = {"tab": "\t", "\\t": "\t"}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst"}
_SUPPORTED = (
    ".txt, .csv, .tsv, .jsonl, .fasta or .fa (each also .gz or .zst), .parquet, "
    "or - for standard input"
)


class InputFile(NamedTuple):
    """One input: a path or `-`, its name in messages, and how to read it.

    delimiter: of .csv and .tsv; None to detect it.
    """

    source: str
    name: str
    format: InputFormat
    compression: Compression | None
    delimiter: str | None = None


def resolve_input(
    source: str, input_format: TextFormat | None = None, delimiter: str | None = None
) -> InputFile:
    """The input at `source`, with the format that its name implies.

    input_format: for standard input, and to override the name.
    delimiter: a character, or `tab`; None to detect it.

    Raises:
        DataFileError: if the format is unknown; lists the supported ones. If the delimiter is not
            one character, or the format has none.
    """
    if input_format is not None and input_format not in get_args(TextFormat):
        raise DataFileError(
            f"input format {input_format!r}: expected one of {', '.join(get_args(TextFormat))}"
        )
    if source == STDIN:
        name, stdin_format = "standard input", input_format or "txt"
        return InputFile(
            source, name, stdin_format, None, _parse_delimiter(delimiter, name, stdin_format)
        )
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    if compression:
        suffixes.pop()
    format_ = input_format or (_FORMATS.get(suffixes[-1]) if suffixes else None)
    if format_ is None or (format_ == "parquet" and compression):
        raise DataFileError(f"{source}: unknown format; supported are {_SUPPORTED}")
    return InputFile(
        source, source, format_, compression, _parse_delimiter(delimiter, source, format_)
    )


def _parse_delimiter(delimiter: str | None, name: str, format_: InputFormat) -> str | None:
    if delimiter is None:
        return None
    if format_ not in ("csv", "tsv"):
        raise DataFileError(
            f"{name}: no delimiter {delimiter!r}: only .csv and .tsv files have delimiters"
        )
    delimiter = _DELIMITER_NAMES.get(delimiter.lower(), delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n ':
        raise DataFileError(
            f"delimiter {delimiter!r}: expected one character, such as ; or |, or tab"
        )
    return delimiter


def check_inputs(
    sources: Sequence[str],
    input_format: TextFormat | None = None,
    delimiter: str | None = None,
) -> list[InputFile]:
    """Check the inputs without reading them, before a model is loaded.

    Raises:
        DataFileError: if a file is missing, a directory, unreadable or of an unknown format, or if
            standard input is given twice.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    if list(sources).count(STDIN) > 1:
        raise DataFileError("standard input (-) can be read only once")
    files = [resolve_input(source, input_format, delimiter) for source in sources]
    for file in files:
        if file.source != STDIN:
            check_readable(file.source)
        if file.format == "parquet":
            require_parquet(file.name)
    return files


def require_parquet(name: str) -> None:
    """Raise if pyarrow, which the file called `name` needs, is not installed.

    Raises:
        MissingExtra: names the extra to install.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("parquet", name)


def check_readable(source: str) -> None:
    """Raise unless `source` is a readable file or pipe.

    Raises:
        DataFileError: with the reason.
    """
    path = Path(source)
    if path.is_dir():
        raise DataFileError(f"{source}: is a directory; give the files in it")
    try:
        if path.is_fifo():
            return  # opening and closing a pipe would end its writer
        path.open("rb").close()
    except FileNotFoundError as error:
        raise DataFileError(f"{source}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataFileError(f"{source}: cannot be read: {error}") from error
