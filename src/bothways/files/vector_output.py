"""Output of vectors: a .parquet, .npy or .jsonl file, or .jsonl on standard output."""

from contextlib import AbstractContextManager
from pathlib import Path

from bothways.files.origin import Origin
from bothways.files.output import Output, check_output, open_output
from bothways.files.vector_file_npy import sidecar_of
from bothways.files.vector_writers import (
    JsonlVectorWriter,
    NpyVectorWriter,
    ParquetVectorWriter,
    VectorWriter,
)

__all__ = ["VectorOutput", "open_vector_output"]


class VectorOutput(Output):
    """An output of vectors, opened before the model is loaded."""

    SUFFIXES = (".parquet", ".npy", ".jsonl")

    @classmethod
    def check(cls, path: Path, *, overwrite: bool) -> None:
        """See `Output.check`; a .npy file has its origin in a file beside it."""
        check_output(path, overwrite=overwrite)
        if path.suffix.lower() == ".npy":
            check_output(sidecar_of(str(path)), overwrite=overwrite)

    def start(self, origin: Origin) -> VectorWriter:
        """The writer of vectors that have this origin; call it once."""
        match self.suffix:
            case ".parquet":
                return self.attach(ParquetVectorWriter(self.sink, origin))
            case ".npy":
                return self.attach(NpyVectorWriter(self.sink, origin, sidecar_of(self.name)))
            case _:
                return self.attach(JsonlVectorWriter(self.sink, origin))


def open_vector_output(
    output: str, *, overwrite: bool = False
) -> AbstractContextManager[VectorOutput]:
    """Open a .parquet, .npy or .jsonl file for vectors, or `-` for .jsonl on standard output.

    A file appears under its name when the block ends without an error. Whether it can be written
    is checked when the block is entered, before there are vectors.

    Raises:
        DataFileError: if it cannot be written, exists while `overwrite` is False, or has an unknown
            suffix.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    return open_output(VectorOutput, output, overwrite=overwrite)
