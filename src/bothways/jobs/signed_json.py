"""JSON files that contain a digest of themselves, so that a changed byte is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bothways.errors import CheckpointError, DataFileError
from bothways.io.atomic import open_atomic, wrap_write_errors
from bothways.io.json_files import read_text

__all__ = ["digest_of", "read_signed", "write_bytes", "write_signed"]

_DIGEST = "digest"


def digest_of(value: Any) -> str:
    """SHA-256, in hex, of a JSON value in one spelling: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_signed(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object with its digest, atomically.

    Raises:
        WriteFailed: if the file cannot be written.
    """
    write_bytes(path, _spell({**value, _DIGEST: digest_of(value)}))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises:
        WriteFailed: if it cannot be written.
    """
    with open_atomic(path, before_rename=_nothing) as file, wrap_write_errors(path):
        file.write(content)


def read_signed(path: Path) -> dict[str, Any]:
    """Read an object that `write_signed` wrote, without its digest.

    Raises:
        DataFileError: if the file is missing or any of its bytes has changed.
    """
    try:
        text = read_text(path)
        value = json.loads(text)
        signed = isinstance(value, dict) and value.pop(_DIGEST, None)
        if (
            not signed
            or digest_of(value) != signed
            or _spell({**value, _DIGEST: signed}) != (path.read_bytes())
        ):
            raise DataFileError(f"{path}: was changed after it was written, or is damaged")
    except (CheckpointError, ValueError, RecursionError) as error:
        where = "" if str(error).startswith(str(path)) else f"{path}: damaged: "
        raise DataFileError(f"{where}{error}") from error
    content: dict[str, Any] = value
    return content


def _spell(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _nothing() -> None:
    """Check nothing before the rename."""
