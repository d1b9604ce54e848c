"""Which formats there are, and what a file's name says about its own."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from bothways.errors import DataFileError, MissingExtra

__all__ = [
    "STDIN",
    "Compression",
    "Format",
    "InputFile",
    "TextFormat",
    "check_inputs",
    "check_readable",
    "input_file",
    "require_parquet",
]

STDIN = "-"

TextFormat = Literal["txt", "csv", "tsv", "jsonl", "fasta"]
Format = Literal["txt", "csv", "tsv", "jsonl", "fasta", "parquet"]
Compression = Literal["gz", "zst"]

_FORMATS: dict[str, Format] = {
    ".txt": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst"}
_SUPPORTED = (
    ".txt, .csv, .tsv, .jsonl, .fasta or .fa (each also .gz or .zst), .parquet, "
    "or - for standard input"
)


class InputFile(NamedTuple):
    """One input: a path or `-`, the name that messages use, and how to read it."""

    source: str
    name: str
    format: Format
    compression: Compression | None


def input_file(source: str, input_format: TextFormat | None = None) -> InputFile:
    """Tell the format of `source` by its name; `input_format` tells it for stdin and odd names.

    Raises:
        DataFileError: if the name says nothing, listing what is supported.
    """
    if input_format is not None and input_format not in get_args(TextFormat):
        raise DataFileError(
            f"input format {input_format!r}: expected one of {', '.join(get_args(TextFormat))}"
        )
    if source == STDIN:
        return InputFile(source, "standard input", input_format or "txt", None)
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    if compression:
        suffixes.pop()
    chosen = input_format or (_FORMATS.get(suffixes[-1]) if suffixes else None)
    if chosen is None or (chosen == "parquet" and compression):
        raise DataFileError(f"{source}: cannot tell its format; supported are {_SUPPORTED}")
    return InputFile(source, source, chosen, compression)


def check_inputs(sources: Sequence[str], input_format: TextFormat | None = None) -> list[InputFile]:
    """What can be known of the inputs without reading them; for before a model is loaded.

    Raises:
        DataFileError: for a file that is not there, is a directory, may not be read, or whose
            format is unknown; and for standard input given twice.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    if list(sources).count(STDIN) > 1:
        raise DataFileError("standard input (-) can be read only once")
    files = [input_file(source, input_format) for source in sources]
    for file in files:
        if file.source != STDIN:
            check_readable(file.source)
        if file.format == "parquet":
            require_parquet(file.name)
    return files


def require_parquet(name: str) -> None:
    """Raise where the file called `name` needs pyarrow, and that is not installed.

    Raises:
        MissingExtra: naming the extra that brings it.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("parquet", name)


def check_readable(source: str) -> None:
    """Raise if there is no file at this path that may be read.

    Raises:
        DataFileError: saying why not.
    """
    path = Path(source)
    if path.is_dir():
        raise DataFileError(f"{source}: is a directory; give the files in it")
    try:
        if path.is_fifo():
            return  # opening and closing a pipe would end its writer
        path.open("rb").close()
    except FileNotFoundError as error:
        raise DataFileError(f"{source}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataFileError(f"{source}: cannot be read: {error}") from error
