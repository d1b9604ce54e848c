"""Where vectors come from: what a file of vectors says about the model and settings behind it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from bothways.errors import DataFileError

__all__ = ["Origin", "check_comparable"]

_PREFIX = "bothways."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The model and settings that made a vector.

    model: what to load it by. fingerprint: SHA-256 of the model folder. normalisation: `l2` or
    `none`. prompt: the text put before each sequence, "" for none. version: of bothways.
    prompt_name: the name of the prompt in the model, "" for a literal text or none; files of older
    versions do not have it.
    """

    model: str
    fingerprint: str
    pooling: str
    normalisation: str
    dimensions: int
    precision: str
    prompt: str
    version: str
    prompt_name: str = ""

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
            if value is None and field.default is not dataclasses.MISSING:
                continue
            if value is None:
                raise DataFileError(
                    f"{name}: its metadata has no {_PREFIX}{field.name}; "
                    "expected a .parquet file written by bothways encode"
                )
            fields[field.name] = value.decode("utf-8", errors="replace")
        dimensions = fields.pop("dimensions")
        if not dimensions.isdecimal() or int(dimensions) == 0:
            raise DataFileError(
                f"{name}: {_PREFIX}dimensions is {dimensions!r}; expected a whole number from 1 on"
            )
        return cls(**fields, dimensions=int(dimensions))

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """An origin from the object that stands for it in JSON, where it may have other keys too.

        Raises:
            DataFileError: if it is no such object, or a key is missing or malformed.
        """
        fields = {}
        for field in dataclasses.fields(cls):
            if not isinstance(value, dict) or field.name not in value:
                if isinstance(value, dict) and field.default is not dataclasses.MISSING:
                    continue
                raise DataFileError(
                    f"{where}: says no {field.name}; expected what bothways encode writes there"
                )
            found = value[field.name]
            if field.name == "dimensions":
                if type(found) is not int or found < 1:
                    raise DataFileError(
                        f"{where}: dimensions is {found!r}; expected a whole number from 1 on"
                    )
            elif not isinstance(found, str):
                raise DataFileError(f"{where}: {field.name} is {found!r}; expected a text")
            fields[field.name] = found
        return cls(**fields)


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
