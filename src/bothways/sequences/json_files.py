"""The small JSON files beside a model, read with suspicion: a folder may come from anywhere."""

import json
from pathlib import Path
from typing import Any

from bothways.errors import CheckpointError

LARGEST_FILE = 256 * 2**20
"""Bytes; the largest tokenizer.json in use, with 250,000 pieces, is a tenth of it."""


def read_text(path: Path) -> str:
    """The UTF-8 text of a file of the folder, line ends as they are but for a byte order mark.

    Raises:
        CheckpointError: if it cannot be read, is larger than `LARGEST_FILE`, or is not UTF-8.
    """
    try:
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise CheckpointError(f"{path}: {size} bytes; expected at most {LARGEST_FILE}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: if the file cannot be read, or holds anything but a JSON object.
    """
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise CheckpointError(
            f"{path}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except RecursionError:
        raise CheckpointError(f"{path}: nested too deeply to be read") from None
    except ValueError as error:  # a number of thousands of digits
        raise CheckpointError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def read_object_if_there(path: Path) -> dict[str, Any]:
    """As `read_object`; an empty object where there is no such file."""
    return read_object(path) if path.is_file() else {}
