"""The file beside a .npy file: the origin of its vectors, and what identifies them."""

import dataclasses
import json
from pathlib import Path
from typing import Any, Self

import numpy as np

from bothways.errors import CheckpointError, DataFileError
from bothways.files.origin import TRUST_HINT, Origin
from bothways.files.vector_form import ranges_from_json, ranges_to_json
from bothways.io.atomic import atomic_file
from bothways.io.json_files import read_json

__all__ = ["Sidecar", "sidecar_of"]


def sidecar_of(path: str) -> Path:
    """The path of the file with the origin of a .npy file."""
    return Path(f"{path}.json")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sidecar:
    """The origin of the vectors in a .npy file, and which vectors these are.

    rows: number of vectors. bytes: size of the .npy file. sha256: of the array's bytes, without the
    header. sample_sha256: of the first 4 KiB of each 256 KiB of them. None in files of earlier
    versions, which do not have it. ids_sha256: of the file with the ids of the rows; None without
    such a file, where the id of each row is its number. ranges: of int8 vectors, see `VectorCodec`.
    """

    origin: Origin
    rows: int | None
    bytes: int | None
    sha256: str | None
    sample_sha256: str | None
    ids_sha256: str | None = None
    ranges: np.ndarray | None = dataclasses.field(default=None, compare=False)

    def write(self, path: Path) -> None:
        """Write a JSON object, atomically.

        Raises:
            WriteFailed: if the file cannot be written.
        """
        fields = {
            **self.origin.to_json(),
            "rows": self.rows,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "sample_sha256": self.sample_sha256,
        }
        if self.ids_sha256 is not None:
            fields["ids_sha256"] = self.ids_sha256
        if self.ranges is not None:
            fields["ranges"] = ranges_to_json(self.ranges)
        with atomic_file(path) as temporary:
            temporary.write_bytes(json.dumps(fields, indent=2).encode() + b"\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            DataFileError: if the file is missing or malformed.
        """
        if not path.is_file():
            raise DataFileError(
                f"{path}: no such file; bothways encode writes the model and settings into it: "
                f"keep it beside {path.with_suffix('')}; {TRUST_HINT}"
            )
        try:
            fields = read_json(path)
        except CheckpointError as error:
            raise DataFileError(str(error)) from error
        origin = Origin.from_json(fields, str(path))
        return cls(
            origin=origin,
            rows=_optional(fields, "rows", int, path),
            bytes=_optional(fields, "bytes", int, path),
            sha256=_optional(fields, "sha256", str, path),
            sample_sha256=_optional(fields, "sample_sha256", str, path),
            ids_sha256=_optional(fields, "ids_sha256", str, path),
            ranges=ranges_from_json(fields["ranges"], str(path)) if "ranges" in fields else None,
        )


def _optional(fields: dict[str, Any], key: str, kind: type, path: Path) -> Any:
    value = fields.get(key)
    if key in fields and type(value) is not kind:
        expected = "a whole number" if kind is int else "a text"
        raise DataFileError(f"{path}: {key} is {value!r}; expected {expected}")
    return value
