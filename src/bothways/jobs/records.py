"""Records of finished shards."""

import dataclasses
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

import bothways
from bothways.errors import DataFileError
from bothways.jobs.signed_json import read_signed, write_signed

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["Machine", "ShardRecord", "machine_of"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """What encoded a shard. Vectors of other instruction sets differ in the last digits.

    isa: of the native engine; None for other backends.
    """

    host: str
    backend: str
    device: str
    isa: str | None
    precision: str
    threads: int | None
    version: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """A finished shard.

    rows: in the part. tokens: of these. truncated: rows that were cut. unknown: rows that consist
    mostly of unknown tokens. copied: rows with the text of an earlier one, whose vector they have.
    missing: rows without a value that were skipped or read as empty texts. bad: rows that cannot
    be encoded. bytes, sha256: of the part; bad_sha256: of the file of bad rows, if there is one.
    seconds: from the first row to the last.
    """

    shard: int
    part: str
    rows: int
    tokens: int
    truncated: int
    unknown: int
    copied: int
    missing: int
    bad: int
    bytes: int
    sha256: str
    bad_sha256: str | None
    first_id: str | None
    last_id: str | None
    seconds: float
    machine: Machine

    def write(self, path: Path) -> None:
        """Write the record; WriteFailed if that is not possible."""
        write_signed(path, dataclasses.asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a record.

        Raises:
            DataFileError: if it is missing or damaged.
        """
        content = read_signed(path)
        try:
            return cls(**{**content, "machine": Machine(**content["machine"])})
        except (KeyError, TypeError) as error:
            raise DataFileError(f"{path}: not the record of a shard: {error}") from error


def machine_of(encoder: "Encoder") -> Machine:
    """The machine and backend that an encoder runs on."""
    backend = encoder.backend
    return Machine(
        host=socket.gethostname(),
        backend=backend.name,
        device=str(backend.device),
        isa=getattr(backend, "isa", None),
        precision=backend.precision,
        threads=getattr(backend, "threads", None),
        version=bothways.__version__,
    )
