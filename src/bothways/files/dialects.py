"""The dialect of a table: its delimiter, and whether fields are quoted.

.csv: quoted as in RFC 4180. The delimiter is the one in the header: Excel writes a semicolon where
the decimal separator is a comma. A first line `sep=;` decides, and is not part of the table.
.tsv: fields are literal, as most programs write them, unless every name in the header is quoted.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bothways.errors import DataFileError
from bothways.files.formats import InputFile

__all__ = ["Dialect", "check_header", "describe_delimiter", "detect_dialect"]

_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?[\r\n]*', re.IGNORECASE)


class Dialect(NamedTuple):
    """How the lines of a table become fields.

    quoted: whether a field in quotation marks can hold delimiters and newlines.
    detected: whether the header decided on the delimiter, and neither the user nor a line `sep=`.
    lines_before: number of lines before the header, 0 or 1.
    """

    delimiter: str
    quoted: bool
    detected: bool
    lines_before: int = 0


def detect_dialect(lines: Iterable[str], file: InputFile) -> tuple[Dialect, Iterator[str]]:
    """The dialect of a .csv or .tsv file, and its lines from the header on.

    Raises:
        DataFileError: if the header has several delimiters and no comma.
    """
    lines = iter(lines)
    header = next(lines, None)
    if header is None:
        return Dialect(file.delimiter or ",", quoted=True, detected=False), lines
    if file.format == "tsv":
        delimiter = file.delimiter or "\t"
        quoted = delimiter != "\t" or _is_quoted(header, delimiter)
        dialect = Dialect(delimiter, quoted, detected=file.delimiter is None)
    elif separator := _SEPARATOR_LINE.fullmatch(header):
        delimiter = file.delimiter or separator[1]
        return Dialect(delimiter, quoted=True, detected=False, lines_before=1), lines
    else:
        delimiter = file.delimiter or _find_delimiter(header, file.name)
        dialect = Dialect(delimiter, quoted=True, detected=file.delimiter is None)
    return dialect, itertools.chain([header], lines)


def check_header(name: str, header: list[str], dialect: Dialect) -> None:
    """Raise if the only column seems to be several, unless the delimiter is given.

    Raises:
        DataFileError: says how to give the delimiter.
    """
    if len(header) > 1 or not dialect.detected:
        return
    suspects = (",", ";") if dialect.delimiter == "\t" else (";", "\t")
    for suspect in suspects:
        if suspect in header[0]:
            raise DataFileError(
                f"{name}: the only column is called {header[0]!r}; if it is several columns, give "
                f"--delimiter {_option(suspect)}, and if not, --delimiter "
                f"{_option(dialect.delimiter)} (in Python, delimiter=)"
            )


def describe_delimiter(delimiter: str) -> str:
    """A delimiter for a message."""
    return "tab" if delimiter == "\t" else repr(delimiter)


def _find_delimiter(header: str, name: str) -> str:
    outside_quotes = "".join(header.split('"')[::2])
    found = [delimiter for delimiter in _DELIMITERS if delimiter in outside_quotes]
    if not found or "," in found:
        return ","
    if len(found) > 1:
        raise DataFileError(
            f"{name}: the header contains {' and '.join(map(describe_delimiter, found))}; give the "
            f"delimiter with --delimiter {_option(found[0])} (in Python, delimiter=)"
        )
    return found[0]


def _is_quoted(header: str, delimiter: str) -> bool:
    names = header.rstrip("\r\n").split(delimiter)
    return all(len(name) > 1 and name[0] == name[-1] == '"' for name in names)


def _option(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"
