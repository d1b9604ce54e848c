"""Where vectors come from: what a file of vectors says about the model and settings behind it."""

import dataclasses
from collections.abc import Mapping
from typing import Self

from bothways.errors import DataFileError

__all__ = ["Origin", "check_comparable"]

_PREFIX = "bothways."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The model and settings that made a vector.

    model: what to load it by. fingerprint: SHA-256 of the model folder. normalisation: `l2` or
    `none`. prompt: the text put before each sequence, "" for none. version: of bothways.
    """

    model: str
    fingerprint: str
    pooling: str
    normalisation: str
    dimensions: int
    precision: str
    prompt: str
    version: str

    def to_metadata(self) -> dict[str, str]:
        """Keys and values for a Parquet schema: each field under `bothways.`."""
        return {_PREFIX + name: str(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, name: str) -> Self:
        """The inverse of `to_metadata`, for the file called `name`.

        Raises:
            DataFileError: if bothways did not write the file, or a key is missing or malformed.
        """
        fields = {}
        for field in dataclasses.fields(cls):
            value = (metadata or {}).get((_PREFIX + field.name).encode())
            if value is None:
                raise DataFileError(
                    f"{name}: its metadata has no {_PREFIX}{field.name}; "
                    "expected a .parquet file written by bothways encode"
                )
            fields[field.name] = value.decode("utf-8", errors="replace")
        dimensions = fields.pop("dimensions")
        if not dimensions.isdecimal():
            raise DataFileError(
                f"{name}: {_PREFIX}dimensions is {dimensions!r}; expected a whole number"
            )
        return cls(**fields, dimensions=int(dimensions))


def check_comparable(query: Origin, file: Origin, name: str) -> None:
    """Raise unless vectors of the two origins live in one space.

    Prompt and precision may differ: queries often have a prompt of their own, and other precisions
    approximate fp32.

    Raises:
        DataFileError: naming what differs, with both values.
    """
    for field in ("fingerprint", "pooling", "dimensions"):
        ours, theirs = getattr(query, field), getattr(file, field)
        if ours != theirs:
            raise DataFileError(
                f"{name}: its vectors have {field} {theirs} (model {file.model!r}), the query has "
                f"{ours} (model {query.model!r}); they cannot be compared: encode the file again, "
                "or search with the model that wrote it"
            )
