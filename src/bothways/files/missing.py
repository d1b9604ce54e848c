"""Missing values: one rule for all formats.

A value is missing if it is null (of JSON, Parquet and Arrow; also a field that an object of JSON
lacks), or if a field of .csv or .tsv, a line of .txt before the last text, or a record of FASTA is
blank. An empty text of JSON, Parquet or Arrow is a value.
"""

from typing import Literal

from bothways.errors import DataFileError
from bothways.files.rows import Place, ReadProgress
from bothways.model.inputs import InputKind

__all__ = ["OnMissing", "blank_as_missing", "replace_missing", "require_id"]

OnMissing = Literal["error", "skip", "empty"]


def blank_as_missing(text: str) -> str | None:
    """A text of a format without null; None if it is blank."""
    return text if text and not text.isspace() else None


def require_id(text: str, place: Place) -> str:
    """The id in a field of a format without null.

    Raises:
        DataFileError: if it is blank.
    """
    if blank_as_missing(text) is None:
        raise DataFileError(f"{place}: the id is missing; fill it in, or choose another column")
    return text


def replace_missing(
    place: Place, kind: InputKind, on_missing: OnMissing, read_progress: ReadProgress
) -> str | None:
    """The value to read instead of a missing one; None to skip the row. The row is counted.

    Raises:
        DataFileError: if missing values are errors; a series cannot be empty.
    """
    if on_missing == "error" or (on_missing == "empty" and kind == "series"):
        or_empty = "" if kind == "series" else ", and --on-missing empty reads them as empty texts"
        raise DataFileError(
            f"{place}: the value is missing (null, blank or not in the row); --on-missing skip "
            f"leaves out such rows{or_empty} (in Python, on_missing=)"
        )
    read_progress.count_missing(place)
    return "" if on_missing == "empty" else None
