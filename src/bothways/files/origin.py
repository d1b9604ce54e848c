"""The origin of vectors: the model and settings that made them, stored in the file."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, Self

from bothways.errors import DataFileError, PrecisionWarning
from bothways.io.json_files import brief

__all__ = ["TRUST_HINT", "Origin", "check_comparable", "differing_field", "has_origin"]

TRUST_HINT = (
    "if another program rewrote the vectors and you know their model, search them with "
    "--model MODEL --trust (in Python, trust=True)"
)

_PREFIX = "bothways."

_LEAST = {"dimensions": 1, "max_length": 0}
"""Fields that are whole numbers, and the least value of each."""

_OLD_KEYS = {"normalization": "normalisation"}
"""Keys of files that bothways 0.1.0 wrote."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The model and settings that made a vector.

    model: its name for `bothways.load`. fingerprint: SHA-256 of the model folder. normalization:
    `l2` or `none`. prompt: the text put before each sequence, "" for none. version: of bothways.
    prompt_name: the name of that prompt in the model, "" for a literal text or none. max_length:
    the longest sequence, in tokens. int8_scheme: `sums32` or `sums16`, how the processor computed
    in int8; "" for another precision. Files of earlier versions do not have these three, which are
    "" and 0 then. vectors_as: the form in which the file stores them, see `VectorForm`.
    ranges_sha256: of the ranges of int8 vectors, "" for other forms.
    """

    model: str
    fingerprint: str
    pooling: str
    normalization: str
    dimensions: int
    precision: str
    prompt: str
    version: str
    prompt_name: str = ""
    max_length: int = 0
    int8_scheme: str = ""
    vectors_as: str = "f32"
    ranges_sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields by name, without the form of float32 vectors, which is the default."""
        fields = dataclasses.asdict(self)
        for name in ("vectors_as", "ranges_sha256"):
            if fields[name] == getattr(Origin, name):
                del fields[name]
        return fields

    def to_metadata(self) -> dict[str, str]:
        """Metadata for a Parquet schema: each field under the key `bothways.<field>`."""
        return {_PREFIX + name: str(value) for name, value in self.to_json().items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, name: str) -> Self:
        """Read the metadata of the Parquet file called `name`.

        Raises:
            DataFileError: if a key is missing or malformed, as in files that `bothways encode` did
                not write.
        """
        metadata = metadata or {}
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            values = (metadata.get((_PREFIX + key).encode()) for key in _keys(field.name))
            value = next((value for value in values if value is not None), None)
            if value is None and field.default is not dataclasses.MISSING:
                continue
            if value is None:
                raise DataFileError(
                    f"{name}: no {_PREFIX}{field.name} in its metadata; "
                    f"expected a .parquet file written by bothways encode; {TRUST_HINT}"
                )
            entry = value.decode("utf-8", errors="replace")
            fields[field.name] = entry
            if (least := _LEAST.get(field.name)) is not None:
                if not entry.isdecimal() or len(entry) > 9 or int(entry) < least:
                    raise DataFileError(
                        f"{name}: {_PREFIX}{field.name} is {brief(entry)}; expected a whole "
                        f"number of at least {least}"
                    )
                fields[field.name] = int(entry)
        return cls(**fields)

    @classmethod
    def from_json(cls, value: Any, where: str) -> Self:
        """Read a JSON object; other keys are ignored.

        where: the file, row and column, for messages.

        Raises:
            DataFileError: if it is not an object, or a key is missing or malformed.
        """
        if not isinstance(value, dict):
            raise DataFileError(f"{where}: expected an object, as bothways encode writes it")
        fields = {}
        for field in dataclasses.fields(cls):
            key = next((key for key in _keys(field.name) if key in value), None)
            if key is None and field.default is not dataclasses.MISSING:
                continue
            if key is None:
                raise DataFileError(f"{where}: no key {field.name!r}; bothways encode writes it")
            entry = value[key]
            if (least := _LEAST.get(field.name)) is not None:
                if type(entry) is not int or entry < least:
                    raise DataFileError(
                        f"{where}: {field.name} is {entry!r}; expected a whole number of at least "
                        f"{least}"
                    )
            elif not isinstance(entry, str):
                raise DataFileError(f"{where}: {key} is {entry!r}; expected a text")
            fields[field.name] = entry
        return cls(**fields)


def has_origin(metadata: Mapping[bytes, bytes] | None) -> bool:
    """Whether the metadata of a Parquet file has a part of an origin."""
    return any(key.startswith(_PREFIX.encode()) for key in metadata or {})


def _keys(field: str) -> list[str]:
    """The keys under which a field may be stored, the current one first."""
    return [field, *([_OLD_KEYS[field]] if field in _OLD_KEYS else [])]


def differing_field(origin: Origin, other: Origin) -> str | None:
    """The first field in which two origins differ; None if none.

    Vectors in one folder, and those of an index, agree in all fields but those that describe where
    they were made: the version of bothways and the scheme of int8.
    """
    places = ("version", "int8_scheme")
    names = [field.name for field in dataclasses.fields(Origin) if field.name not in places]
    return next((name for name in names if getattr(origin, name) != getattr(other, name)), None)


def check_comparable(query: Origin, file: Origin, name: str) -> None:
    """Raise unless vectors of the two origins can be compared by their cosine.

    The prompt and the maximum length may differ: many models have a special prompt for queries, and
    a query is shorter than a document.

    Raises:
        DataFileError: names the field that differs, with both values.

    Warns:
        PrecisionWarning: if the precision differs. Others approximate fp32, so scores do too.
    """
    for field in ("fingerprint", "pooling", "dimensions"):
        query_value, file_value = getattr(query, field), getattr(file, field)
        if query_value != file_value:
            raise DataFileError(
                f"{name}: its vectors have {field} {file_value} (model {file.model!r}), the query "
                f"has {query_value} (model {query.model!r}); they cannot be compared: encode the "
                "file again, or search with the model that wrote it"
            )
    if query.precision != file.precision:
        warnings.warn(
            f"{name}: its vectors were encoded in {file.precision}, the query in "
            f"{query.precision}: scores are less precise; --precision {file.precision} encodes "
            "the query as the file was",
            PrecisionWarning,
            stacklevel=2,
        )
