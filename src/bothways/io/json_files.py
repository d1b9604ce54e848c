"""Reading untrusted text and JSON files, and writing JSON.

Model folders come from strangers: a file may be huge, deeply nested, not UTF-8, or repeat a key.
Each of these is an error that names the file, and the limits below bound the memory of reading.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from bothways.errors import CheckpointError
from bothways.io.wrong_content import wrong_content

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_TEXT_BYTES",
    "brief",
    "has_file",
    "is_number",
    "read_bytes",
    "read_json",
    "read_object",
    "read_optional_object",
    "read_text",
    "write_json",
]

MAX_BYTES = 16 * 2**20
"""16 MiB. The largest settings file, the index of a model with 100,000 weights, has about 8 MiB."""

MAX_TEXT_BYTES = 256 * 2**20
"""256 MiB, ten times the largest tokenizer.json in use, which has 250,000 tokens."""

MAX_DEPTH = 32
"""Levels of nested lists and objects; settings files have four."""


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
    """Read a UTF-8 text file; line ends are kept, a byte order mark is removed.

    Raises:
        CheckpointError: if the file is missing, too large, or not UTF-8.
    """
    content = read_bytes(path, max_bytes=max_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: byte {error.start} is not UTF-8") from None


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Read a binary file.

    Raises:
        CheckpointError: if the file is missing, too large, or a placeholder such as a Git LFS
            pointer.
    """
    if not has_file(path):
        raise CheckpointError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    if what := wrong_content(content[:1024]):
        raise CheckpointError(f"{path}: {what}")
    if len(content) > max_bytes:
        raise CheckpointError(f"{path}: larger than the limit of {max_bytes:,} bytes")
    return content


def read_json(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read the value in a JSON file.

    Raises:
        CheckpointError: if the file is missing, too large, not UTF-8, not JSON, nested too deeply,
            repeats a key, or contains NaN, an infinity (such as 1e999) or a lone surrogate.
    """
    text = read_text(path, max_bytes=max_bytes)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_refuse_repeated_keys,
            parse_constant=_refuse_constant,
            parse_float=_parse_finite_float,
        )
    except RecursionError:
        raise CheckpointError(
            f"{path}: nested deeper than the limit of {MAX_DEPTH} levels"
        ) from None
    except ValueError as error:  # from json, from the hooks, or for an integer that is too long
        raise CheckpointError(f"{path}: not valid JSON: {error}") from None
    if "\\ud" in text.lower() and not _is_encodable(value):
        raise CheckpointError(f"{path}: contains half of a surrogate pair, which is no text")
    if _is_deeper_than(MAX_DEPTH, value):
        raise CheckpointError(f"{path}: nested deeper than the limit of {MAX_DEPTH} levels")
    return value


def read_object(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        CheckpointError: as `read_json` does, or if the value is not an object.
    """
    value = read_json(path, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{path}: holds a {type(value).__name__}; expected an object, {{...}}"
        )
    return value


def read_optional_object(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; an empty object if the file is missing."""
    return read_object(path) if has_file(path) else {}


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write `value` with indentation and sorted keys, so that equal values give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number of JSON: an int or a float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def brief(value: Any) -> str:
    """A value from a file, shortened for a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {repeated!r} appears twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _parse_finite_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large for a float")
    return number


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


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
