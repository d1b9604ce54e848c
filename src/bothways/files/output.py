"""Output files: opened before the work starts, and complete or absent when it ends."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.sink import Sink
from bothways.io.atomic import open_atomic

__all__ = ["STDOUT", "Output", "check_output", "open_output"]

STDOUT = "-"


class _Finishable(Protocol):
    def finish(self) -> None: ...


_Writer = TypeVar("_Writer", bound=_Finishable)
_Output = TypeVar("_Output", bound="Output")


class Output:
    """An output that can be written, opened before the first row is computed.

    Subclasses create the writer, once it is known what the rows hold.

    SUFFIXES: the supported formats, by the suffix of the file's name.
    """

    SUFFIXES: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, suffix: str, sink: Sink) -> None:
        self.name, self.suffix, self.sink = name, suffix, sink
        self._writer: _Finishable | None = None

    @classmethod
    def check(cls, path: Path, *, overwrite: bool) -> None:
        """Raise unless the output can be written to `path` and to the files beside it.

        Raises:
            DataFileError: with what to do about it.
        """
        check_output(path, overwrite=overwrite)

    def attach(self, writer: _Writer) -> _Writer:
        """Have `writer` finished when the output is closed."""
        self._writer = writer
        return writer

    def finish(self) -> None:
        """Write the end of the file, for example a footer."""
        if self._writer is not None:
            self._writer.finish()

    def write_files_beside(self) -> None:
        """Write files that belong to this one; called right before it appears under its name."""

    def discard(self) -> None:
        """Finish the writer without writing: pyarrow would do so when it is collected."""
        self.sink.discards = True
        self.finish()


@contextlib.contextmanager
def open_output(output_type: type[_Output], name: str, *, overwrite: bool) -> Iterator[_Output]:
    """Open a file, or `-` for .jsonl on standard output.

    A file appears under its name when the block ends without an error. Whether it can be written
    is checked when the block is entered, before any work is done.

    Raises:
        DataFileError: if it cannot be written, exists while `overwrite` is False, or has an unknown
            suffix.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    if name == STDOUT:
        out = output_type("standard output", ".jsonl", Sink(sys.stdout.buffer, "standard output"))
        yield out
        out.finish()
        return
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix not in output_type.SUFFIXES:
        raise DataFileError(
            f"{name}: unknown output format; supported are {', '.join(output_type.SUFFIXES)}, "
            "or - for .jsonl on standard output"
        )
    if suffix == ".parquet":
        require_parquet(name)
    output_type.check(path, overwrite=overwrite)

    def complete() -> None:
        # Checked twice: another program may create the file in the meantime.
        output_type.check(path, overwrite=overwrite)
        out.write_files_beside()

    with open_atomic(path, before_rename=complete) as file:
        out = output_type(name, suffix, Sink(file, name))
        try:
            yield out
            out.finish()
        except BaseException:
            out.discard()
            raise


def check_output(path: Path, *, overwrite: bool) -> None:
    """Raise unless `path` is the name of a file that can be written.

    Raises:
        DataFileError: with what to do about it.
    """
    if path.is_dir():
        raise DataFileError(f"{path}: is a directory; give the name of a file")
    if not path.parent.is_dir():
        raise DataFileError(f"{path}: no directory {str(path.parent)!r}; create it first")
    if path.exists() and not path.is_file():
        raise DataFileError(f"{path}: is not a regular file")
    if path.exists() and not overwrite:
        raise DataFileError(f"{path}: already exists; replace it with --overwrite")
