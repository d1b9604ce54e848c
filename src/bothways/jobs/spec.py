"""What a job is: inputs, settings and origin, and the id that these determine."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bothways.errors import DataFileError
from bothways.files import STDIN, InputFile, OnMissing, Origin
from bothways.files.columns import ColumnSelection
from bothways.files.vector_form import hash_ranges, ranges_from_json, ranges_to_json
from bothways.jobs.signed_json import digest_of
from bothways.model.inputs import InputKind
from bothways.streaming.settings import EncodeSettings

__all__ = ["FORMAT_VERSION", "JobSpec", "fingerprint_input", "first_difference", "job_id"]

FORMAT_VERSION = 1

_ENDS_BYTES = 1 << 20
"""Bytes at the start and at the end of an input of which its fingerprint has a digest."""
_SHARD_ROWS = 65_536
_SHARD_BYTES = 128 << 20
"""Limits of a shard by default: rows, and bytes of vectors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobSpec:
    """The inputs and settings of a job.

    origin: of the vectors. source: the model, for `bothways.load`. kind: of the sequences.
    shard_rows: rows of a shard, about. texts: whether parts have the texts. ranges: of int8
    vectors, see `VectorCodec`; None before they are measured, and for other forms.
    """

    inputs: tuple[InputFile, ...]
    columns: ColumnSelection
    settings: EncodeSettings
    origin: Origin
    kind: InputKind
    on_missing: OnMissing = "error"
    texts: bool = True
    shard_rows: int
    ranges: np.ndarray | None = dataclasses.field(default=None, compare=False)

    def with_ranges(self, ranges: np.ndarray) -> "JobSpec":
        """The job with the ranges of its vectors, and their digest in the origin."""
        origin = dataclasses.replace(self.origin, ranges_sha256=hash_ranges(ranges))
        return dataclasses.replace(self, ranges=ranges, origin=origin)

    @staticmethod
    def default_shard_rows(dimensions: int) -> int:
        """Rows of a shard by default, for vectors of that width."""
        return max(1, min(_SHARD_ROWS, _SHARD_BYTES // (4 * dimensions)))

    def to_json(self) -> dict[str, Any]:
        """The job as JSON, with the fingerprints of its inputs.

        Raises:
            DataFileError: if an input is not a file, which could be read again.
        """
        return {
            "inputs": [fingerprint_input(file) for file in self.inputs],
            "columns": _columns_json(self.columns),
            "settings": {
                **dataclasses.asdict(self.settings),
                "kind": self.kind,
                "on_missing": self.on_missing,
                "texts": self.texts,
                "shard_rows": self.shard_rows,
            },
            "origin": self.origin.to_json(),
            **({} if self.ranges is None else {"ranges": ranges_to_json(self.ranges)}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "JobSpec":
        """Read what `to_json` returned."""
        settings = dict(value["settings"])
        others: dict[str, Any] = {
            name: settings.pop(name) for name in ("kind", "on_missing", "texts", "shard_rows")
        }
        return cls(
            inputs=tuple(
                InputFile(**{name: entry[name] for name in _FILE_FIELDS})
                for entry in value["inputs"]
            ),
            columns=_columns_from(value["columns"]),
            settings=EncodeSettings(**settings),
            origin=Origin(**value["origin"]),
            ranges=ranges_from_json(value["ranges"], "job.json") if "ranges" in value else None,
            **others,
        )


_FILE_FIELDS = (
    "source", "name", "format", "compression", "delimiter", "encoding", "per_file", "max_row_size",
    "detected",
)  # fmt: skip


def fingerprint_input(file: InputFile) -> dict[str, Any]:
    """How an input is read, its size and time, and a digest of its first and last MiB.

    Raises:
        DataFileError: if it is no file, or cannot be read.
    """
    path = Path(file.source)
    if file.source == STDIN or not path.is_file():
        raise DataFileError(
            f"{file.name}: an output folder needs inputs that can be read again; give a file, or "
            "write a single file of vectors"
        )
    path = path.absolute()
    try:
        status = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            digest.update(stream.read(_ENDS_BYTES))
            stream.seek(max(0, status.st_size - _ENDS_BYTES))
            digest.update(stream.read(_ENDS_BYTES))
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    fields = {name: getattr(file, name) for name in _FILE_FIELDS}
    return fields | {
        "source": str(path),
        "name": str(path),
        "bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256_head_tail": digest.hexdigest(),
    }


def job_id(spec: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of what determines the vectors.

    All but the model's name, the version and the scheme of int8, which depends on the processor.
    The digest of ranges stands for them.
    """
    return digest_of(_significant(spec))


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first field in which two jobs differ, with both values; None if they are the same.

    Ranges, which follow from the others, do not count.
    """
    old_job, new_job = _significant(before), _significant(now)
    for job in (old_job, new_job):
        job["origin"].pop("ranges_sha256", None)
    for name, old, new in _differences(old_job, new_job, ""):
        return f"{name} was {old!r} and is {new!r}"
    return None


def _significant(spec: Mapping[str, Any]) -> dict[str, Any]:
    ignored = ("model", "version", "int8_scheme")
    origin = {k: v for k, v in spec["origin"].items() if k not in ignored}
    others = {k: v for k, v in spec.items() if k != "ranges"}
    return {"format_version": FORMAT_VERSION, **others, "origin": origin}


def _differences(before: Any, now: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    match before, now:
        case dict(), dict():
            for key in (*before, *(key for key in now if key not in before)):
                inner = f"{name}.{key}" if name else key
                yield from _differences(before.get(key), now.get(key), inner)
        case list(), list() if name == "inputs":
            old, new = ([entry["source"] for entry in entries] for entries in (before, now))
            if old != new:
                yield "inputs", _brief_list(old, new), _brief_list(new, old)
            for entry, other in zip(before, now, strict=False):
                yield from _differences(entry, other, entry["source"])
        case _:
            if before != now:
                yield name, before, now


def _brief_list(names: Sequence[str], others: Sequence[str]) -> str:
    only = [name for name in names if name not in others][:3]
    return f"{len(names)} files" + (f", with {', '.join(only)}" if only else "")


def _columns_json(columns: ColumnSelection) -> dict[str, Any]:
    keep = columns.keep if columns.keep == "all" else list(columns.keep)
    return {"text": columns.column, "id": columns.id_column, "keep": keep}


def _columns_from(value: Mapping[str, Any]) -> ColumnSelection:
    keep: Sequence[str] | Literal["all"] = value["keep"]
    return ColumnSelection(value["text"], value["id"], keep if keep == "all" else tuple(keep))
