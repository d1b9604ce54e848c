"""Writing a part in a thread, with the digest of its bytes."""

import hashlib
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from bothways.files import Origin, VectorBatch
from bothways.files.kept_cells import KeptCells, KeptTypes
from bothways.files.sink import Sink
from bothways.files.vector_writers import ParquetVectorWriter
from bothways.io.write_behind import WriteBehind

__all__ = ["PartWriter"]


class PartWriter:
    """Writes rows while the caller encodes the next ones; leaving the block completes the part.

    ranges: of int8 vectors. behind: False to write in the thread of the caller. size, sha256: of
    the complete part.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        origin: Origin,
        kept_types: KeptTypes,
        ranges: np.ndarray | None,
        *,
        behind: bool,
    ) -> None:
        self._sink = _HashingSink(file, name)
        self._writer = ParquetVectorWriter(self._sink, origin, kept_types, ranges)
        self._behind = WriteBehind(enabled=behind)

    def __enter__(self) -> Self:
        self._behind.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the end of the part; after an error, write nothing more."""
        try:
            self._behind.__exit__(kind, error, trace)
            self._sink.discards = error is not None
            self._writer.finish()
        except BaseException:
            self._sink.discards = True
            self._writer.finish()
            raise

    def write(self, batch: VectorBatch, kept: KeptCells) -> None:
        """Write rows, when those before are written."""
        self._behind.submit(partial(self._writer.write, batch, kept))

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._sink.size

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written, in hex."""
        return self._sink.sha256


class _HashingSink(Sink):
    """A sink that is written from its start to its end, with the digest of its bytes."""

    def __init__(self, file: Any, name: str) -> None:
        super().__init__(file, name)
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        """See `Sink.write`."""
        written = super().write(data)
        if not self.discards:
            self._digest.update(data)
            self.size += written
        return written

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written, in hex."""
        return self._digest.hexdigest()
