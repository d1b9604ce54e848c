"""Output of vectors: a .parquet, .npy or .jsonl file, or .jsonl on standard output."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.files.origin import Origin
from bothways.files.output import Output, OutputFormat, check_output, open_output
from bothways.files.row_ids import RowIdsWriter, has_only_ids, row_ids_of
from bothways.files.sidecar import Sidecar, sidecar_of
from bothways.files.vector_writers import (
    JsonlVectorWriter,
    NpyVectorWriter,
    ParquetVectorWriter,
    VectorWriter,
)

__all__ = ["VectorOutput", "open_vector_output"]


class VectorOutput(Output):
    """An output of vectors, opened before the model is loaded."""

    FORMATS = ("parquet", "npy", "jsonl")

    COLUMNS = ("id", "text", "vector", "num_tokens", "num_unknown", "truncated", "origin")

    _npy: NpyVectorWriter | None = None
    _ids: RowIdsWriter | None = None

    @classmethod
    def check(cls, path: Path, output_format: OutputFormat, *, overwrite: bool) -> None:
        """See `Output.check`; a .npy file has its origin and ids in files beside it."""
        check_output(path, overwrite=overwrite)
        if output_format == "npy":
            sidecar, ids = sidecar_of(str(path)), row_ids_of(str(path))
            first = not path.exists()  # others are from a writer that was killed before it appeared
            check_output(sidecar, overwrite=overwrite or (first and _is_sidecar(sidecar)))
            check_output(ids, overwrite=overwrite or (first and has_only_ids(ids)))

    def start(self, origin: Origin, ranges: np.ndarray | None = None) -> VectorWriter:
        """The writer of vectors that have this origin; call it once.

        ranges: of int8 vectors, see `VectorCodec`.
        """
        match self.format:
            case "parquet":
                return self.attach(ParquetVectorWriter(self.sink, origin, ranges=ranges))
            case "npy":
                self._ids = RowIdsWriter(row_ids_of(self.name))
                self._npy = self.attach(NpyVectorWriter(self.sink, origin, self._ids, ranges))
                return self._npy
            case _:
                return self.attach(JsonlVectorWriter(self.sink, origin))

    def write_files_beside(self) -> None:
        """See `Output.write_files_beside`.

        The ids and the origin of new vectors come before them, because the origin has the digests
        of both: a writer that is killed in between leaves old files that do not match it, which
        readers refuse. An old origin, without a digest, could match new vectors.
        """
        if self._npy is not None and self._ids is not None:
            self._ids.write()
            self._npy.sidecar().write(sidecar_of(self.name))

    def close(self) -> None:
        """See `Output.close`."""
        if self._ids is not None:
            self._ids.close()


def open_vector_output(
    output: str, *, output_format: OutputFormat | None = None, overwrite: bool = False
) -> AbstractContextManager[VectorOutput]:
    """Open a .parquet, .npy or .jsonl file for vectors, or `-` for standard output.

    See `open_output` for the format, and for what it raises. .npy needs a file.
    """
    return open_output(VectorOutput, output, output_format=output_format, overwrite=overwrite)


def _is_sidecar(path: Path) -> bool:
    try:
        Sidecar.read(path)
    except DataFileError:
        return False
    return True
