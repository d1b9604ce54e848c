"""The format of `alphabet.json`, in which a model folder stores its alphabet."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from bothways.errors import CheckpointError
from bothways.io.json_files import read_object
from bothways.sequences.splitters import from_fields, to_fields

__all__ = ["ALPHABET_FILE", "read_alphabet_fields", "write_alphabet_fields"]

ALPHABET_FILE = "alphabet.json"
_FORMAT = "bothways alphabet 1"


def write_alphabet_fields(path: Path, fields: Mapping[str, Any]) -> None:
    """Write the fields of an `Alphabet`."""
    stored = {"format": _FORMAT, **fields, "splitting": to_fields(fields["splitting"])}
    path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_alphabet_fields(path: Path, names: Collection[str]) -> dict[str, Any]:
    """Read the fields of an `Alphabet`, whose values the alphabet itself checks.

    names: of all fields.

    Raises:
        CheckpointError: names the file, and the field that is wrong.
    """
    fields = read_object(path)
    if (format_ := fields.pop("format", None)) != _FORMAT:
        raise CheckpointError(f"{path}: format={format_!r}; expected {_FORMAT!r}")
    if wrong := sorted(set(fields) ^ set(names)):
        problem = "unknown" if wrong[0] in fields else "missing"
        raise CheckpointError(f"{path}: field {wrong[0]!r} is {problem}")
    if not isinstance(fields["symbols"], list):
        raise CheckpointError(f"{path}: symbols: expected a list of strings")
    if not isinstance(fields["splitting"], Mapping):
        raise CheckpointError(f"{path}: splitting: expected an object")
    try:
        splitting = from_fields(fields["splitting"])
    except ValueError as error:
        raise CheckpointError(f"{path}: splitting: {error}") from None
    return {**fields, "symbols": tuple(fields["symbols"]), "splitting": splitting}
