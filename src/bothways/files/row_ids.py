"""The file beside a .npy file with the ids of its rows: one object `{"id": ...}` per line."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bothways.errors import DataFileError
from bothways.files.array_digest import hash_file
from bothways.files.decoding import decode_lines
from bothways.files.jsonl import get_field, parse_object
from bothways.files.rows import Place
from bothways.files.values import parse_id
from bothways.io.atomic import atomic_file, wrap_write_errors

__all__ = ["RowIdsWriter", "has_only_ids", "read_row_ids", "row_ids_of"]

_MEMORY_BYTES = 1 << 20


def row_ids_of(path: str) -> Path:
    """The path of the file with the ids of the rows of a .npy file."""
    return Path(f"{path}.ids.jsonl")


class RowIdsWriter:
    """Collects the ids of rows, on disk if there are many, until their file is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        folder = str(path.parent)  # memory may be scarce where temporary files are
        self._file = tempfile.SpooledTemporaryFile(_MEMORY_BYTES, dir=folder)  # noqa: SIM115
        self._digest = hashlib.sha256()
        self._rows = 0
        self._are_numbers = True

    def add(self, ids: Sequence[str]) -> None:
        """Add the ids of the next rows.

        Raises:
            WriteFailed: if the disk is full.
        """
        lines = "".join(f"{json.dumps({'id': row_id})}\n" for row_id in ids).encode()
        with wrap_write_errors(self._path):
            self._file.write(lines)
        self._digest.update(lines)
        for row_id in ids:
            self._are_numbers = self._are_numbers and row_id == str(self._rows)
            self._rows += 1

    @property
    def sha256(self) -> str | None:
        """Of the file; None without a file, if the id of each row is its number."""
        return None if self._are_numbers else self._digest.hexdigest()

    def write(self) -> None:
        """Write the file atomically, or remove an earlier one if there is nothing to write.

        Raises:
            WriteFailed: if the file cannot be written.
        """
        with wrap_write_errors(self._path):
            if self._are_numbers:
                self._path.unlink(missing_ok=True)
                return
            self._file.seek(0)
            with atomic_file(self._path) as temporary, temporary.open("wb") as target:
                shutil.copyfileobj(self._file, target)

    def close(self) -> None:
        """Drop what was collected."""
        self._file.close()


def read_row_ids(path: Path, sha256: str) -> Iterator[str]:
    """The ids of all rows, in order, if the file has this digest.

    Raises:
        DataFileError: if the file is missing, or was written with other vectors.
    """
    if not path.is_file():
        raise DataFileError(f"{path}: no such file; it has the ids of the vectors beside it")
    with path.open("rb") as file:
        if hash_file(file, 0) != sha256:
            raise DataFileError(
                f"{path}: not the ids of the vectors beside it: it was changed, or bothways encode "
                "was killed while it replaced them; encode the sequences again with --overwrite"
            )
    return _read(path)


def has_only_ids(path: Path) -> bool:
    """Whether a file begins like one that `RowIdsWriter` writes."""
    try:
        with path.open("rb") as file:
            return set(parse_object(file.readline(1 << 16).decode(), Place(str(path), 1))) == {"id"}
    except (OSError, UnicodeDecodeError, DataFileError):
        return False


def _read(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for row, line in enumerate(decode_lines(file, str(path)), 1):
            at = Place(str(path), row, field="id")
            yield parse_id(get_field(parse_object(line, at), at), at)
