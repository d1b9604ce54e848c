"""A place for vectors: a .parquet, .npy or .jsonl file, or .jsonl on standard output."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.origin import Origin
from bothways.files.output import PendingFile, check_output
from bothways.files.vector_file_npy import sidecar_of
from bothways.files.vector_writers import JsonlWriter, NpyWriter, ParquetWriter, Sink, VectorWriter

__all__ = ["STDOUT", "VectorOutput", "vector_output"]

STDOUT = "-"
_FORMATS = (".parquet", ".npy", ".jsonl")


class VectorOutput:
    """A place that is known to be writable, before it is known what makes the vectors."""

    def __init__(self, name: str, suffix: str, sink: Sink) -> None:
        self._name, self._suffix, self._sink = name, suffix, sink
        self._writer: VectorWriter | None = None

    def begin(self, origin: Origin) -> VectorWriter:
        """A writer of vectors that `origin` made; to be called once."""
        match self._suffix:
            case ".parquet":
                self._writer = ParquetWriter(self._sink, origin)
            case ".npy":
                self._writer = NpyWriter(self._sink, origin, sidecar_of(self._name))
            case _:
                self._writer = JsonlWriter(self._sink, origin)
        return self._writer

    def finish(self) -> None:
        """Write what stands at the end of the file."""
        if self._writer is not None:
            self._writer.finish()

    def abandon(self) -> None:
        """Let go of the file, which will be removed."""
        self._sink.discards = True
        if self._writer is not None:
            self._writer.finish()  # into nowhere: pyarrow would else do it when collected


@contextlib.contextmanager
def vector_output(output: str, *, overwrite: bool = False) -> Iterator[VectorOutput]:
    """A place for vectors: a .parquet, .npy or .jsonl file, or `-` for .jsonl on standard output.

    A file appears under its name when the block ends without an error, and not otherwise. That it
    can be written is known on entering, before there is anything to write.

    Raises:
        DataFileError: if it cannot, exists and is not to be overwritten, or has an unknown suffix.
        MissingExtra: for parquet, where the library for it is not installed.
    """
    if output == STDOUT:
        out = VectorOutput("standard output", ".jsonl", Sink(sys.stdout.buffer, "standard output"))
        yield out
        out.finish()
        return
    path = Path(output)
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise DataFileError(
            f"{output}: cannot tell the format to write; supported are {', '.join(_FORMATS)}, "
            "or - for .jsonl on standard output"
        )
    if suffix == ".parquet":
        require_parquet(output)
    if suffix == ".npy":
        check_output(sidecar_of(output), overwrite=overwrite)
    with PendingFile(path, overwrite=overwrite) as pending:
        out = VectorOutput(output, suffix, Sink(pending.file, output))
        try:
            yield out
            out.finish()
        except BaseException:
            out.abandon()
            raise
