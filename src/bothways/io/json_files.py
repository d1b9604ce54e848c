"""Reading text and JSON that somebody else wrote, and writing our own.

A model folder is data from strangers: files may be huge, nested without end, in no encoding, or say
the same key twice. Each is an error here that names the file, and none costs more than its limit.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bothways.errors import CheckpointError

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_TEXT_BYTES",
    "brief",
    "has_file",
    "read_json",
    "read_object",
    "read_object_if_there",
    "read_text",
    "write_json",
]

MAX_BYTES = 16 * 2**20
"""No settings file is larger; the index of a sharded model of 100,000 weights is about 8 MiB."""

MAX_TEXT_BYTES = 256 * 2**20
"""The largest tokenizer.json in use, with 250,000 pieces, is a tenth of it."""

MAX_DEPTH = 32
"""Levels of lists and objects inside each other; settings have four."""


def has_file(path: Path) -> bool:
    """Whether there is a file at `path`.

    Raises:
        CheckpointError: if something else is there: a link to nothing, as an interrupted download
            leaves it, a folder, or a device. A file that is meant is never taken for absent.
    """
    try:
        if path.is_file():
            return True
        if path.is_symlink():
            raise CheckpointError(
                f"{path}: a link to {path.readlink()}, which is no file; fetch the file again, or "
                "remove the link"
            )
        if path.exists():
            raise CheckpointError(f"{path}: not a regular file")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    return False


def read_text(path: Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The UTF-8 text of a file, line ends as they are, without a byte order mark.

    Raises:
        CheckpointError: if there is no such file, or it is too large, or not UTF-8.
    """
    if not has_file(path):
        raise CheckpointError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > max_bytes:
        raise CheckpointError(f"{path}: larger than {max_bytes:,} bytes; refused")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: byte {error.start} is not UTF-8") from None


def read_json(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """The value in a JSON file.

    Raises:
        CheckpointError: if there is no such file, or it is too large, not UTF-8, not JSON, too
            deep, repeats a key, or holds NaN or an infinity (1e999 is one).
    """
    text = read_text(path, max_bytes=max_bytes)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise CheckpointError(f"{path}: nested deeper than {MAX_DEPTH} levels; refused") from None
    except (
        ValueError
    ) as error:  # json's own errors, ours below, and integers of thousands of digits
        raise CheckpointError(f"{path}: not valid JSON: {error}") from None
    if _is_deeper_than(MAX_DEPTH, value):
        raise CheckpointError(f"{path}: nested deeper than {MAX_DEPTH} levels; refused")
    return value


def read_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: as `read_json` does, and if the file holds something else than an object.
    """
    value = read_json(path, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path}: holds a {type(value).__name__}; expected an object, {{...}}"
        )
    return value


def read_object_if_there(path: Path) -> dict[str, Any]:
    """As `read_object`; an empty object where there is no such file."""
    return read_object(path) if has_file(path) else {}


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write `value`, indented and with sorted keys, so that equal settings give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def brief(value: Any) -> str:
    """A value from a file, short enough for a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} appears twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _is_deeper_than(limit: int, value: Any) -> bool:
    level = [value]
    for _ in range(limit + 1):
        children: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                children += item.values()
            elif isinstance(item, list):
                children += item
        if not children:
            return False
        level = children
    return True
