"""Output of vectors: a .parquet, .npy or .jsonl file, or .jsonl on standard output."""

from contextlib import AbstractContextManager
from pathlib import Path

from bothways.errors import DataFileError
from bothways.files.origin import Origin
from bothways.files.output import Output, OutputFormat, check_output, open_output
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

    _npy: NpyVectorWriter | None = None

    @classmethod
    def check(cls, path: Path, output_format: OutputFormat, *, overwrite: bool) -> None:
        """See `Output.check`; a .npy file has its origin in a file beside it."""
        check_output(path, overwrite=overwrite)
        if output_format == "npy":
            sidecar = sidecar_of(str(path))
            check_output(sidecar, overwrite=overwrite or _is_leftover(path, sidecar))

    def start(self, origin: Origin) -> VectorWriter:
        """The writer of vectors that have this origin; call it once."""
        match self.format:
            case "parquet":
                return self.attach(ParquetVectorWriter(self.sink, origin))
            case "npy":
                self._npy = self.attach(NpyVectorWriter(self.sink, origin))
                return self._npy
            case _:
                return self.attach(JsonlVectorWriter(self.sink, origin))

    def write_files_beside(self) -> None:
        """See `Output.write_files_beside`.

        The origin of new vectors comes before them, because it has their digest: a writer that is
        killed in between leaves old vectors that do not match it, which readers refuse. An old
        origin, without a digest, could match new vectors.
        """
        if self._npy is not None:
            self._npy.sidecar().write(sidecar_of(self.name))


def open_vector_output(
    output: str, *, output_format: OutputFormat | None = None, overwrite: bool = False
) -> AbstractContextManager[VectorOutput]:
    """Open a .parquet, .npy or .jsonl file for vectors, or `-` for standard output.

    See `open_output` for the format, and for what it raises. .npy needs a file.
    """
    return open_output(VectorOutput, output, output_format=output_format, overwrite=overwrite)


def _is_leftover(path: Path, sidecar: Path) -> bool:
    """Whether `sidecar` is from a writer that was killed before its vectors appeared at `path`."""
    if path.exists() or not sidecar.is_file():
        return False
    try:
        Sidecar.read(sidecar)
    except DataFileError:
        return False
    return True
