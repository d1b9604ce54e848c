"""Outputs: opened before the work starts; files are complete or absent when it ends."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal, Protocol, TypeVar

from bothways.errors import DataFileError
from bothways.files.formats import require_parquet
from bothways.files.sink import Sink
from bothways.io.atomic import open_atomic, wrap_write_errors

__all__ = ["STDOUT", "Output", "OutputFormat", "UnknownOutputFormat", "check_output", "open_output"]

STDOUT = "-"

OutputFormat = Literal["parquet", "npy", "jsonl", "csv", "tsv"]

_STDOUT_NAMES = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


class UnknownOutputFormat(DataFileError):
    """The name of an output does not show its format, and no format is given."""


class _Finishable(Protocol):
    def finish(self) -> None: ...


_Writer = TypeVar("_Writer", bound=_Finishable)
_Output = TypeVar("_Output", bound="Output")


class Output:
    """An output that can be written, opened before the first row is computed.

    Subclasses create the writer, once it is known what the rows hold.

    FORMATS: the supported formats, which are also the suffixes of files.
    """

    FORMATS: ClassVar[tuple[OutputFormat, ...]]

    def __init__(self, name: str, output_format: OutputFormat, sink: Sink) -> None:
        self.name, self.format, self.sink = name, output_format, sink
        self._writer: _Finishable | None = None

    @classmethod
    def check(cls, path: Path, output_format: OutputFormat, *, overwrite: bool) -> None:
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

    def close(self) -> None:
        """Release what the output holds; called last, also after an error."""

    def discard(self) -> None:
        """Finish the writer without writing: pyarrow would do so when it is collected."""
        self.sink.discards = True
        self.finish()


@contextlib.contextmanager
def open_output(
    output_type: type[_Output],
    name: str,
    *,
    output_format: OutputFormat | None = None,
    overwrite: bool,
) -> Iterator[_Output]:
    """Open a file, `-` for standard output, or a pipe or device.

    A file appears under its name when the block ends without an error. Whether it can be written
    is checked when the block is entered, before any work is done. Pipes and devices are written as
    the rows come.

    output_format: by default the suffix of the name; .jsonl for a pipe or device without one.

    Raises:
        UnknownOutputFormat: if it has an unknown suffix.
        DataFileError: if it cannot be written, exists while `overwrite` is False, or does not
            support the format.
        MissingExtra: for .parquet, if pyarrow is not installed.
    """
    is_stream = name in _STDOUT_NAMES or _is_pipe_or_device(Path(name))
    output_format = output_format or _format_of(output_type, name, is_stream=is_stream)
    if output_format not in output_type.FORMATS:
        raise DataFileError(
            f"{name}: output format {output_format!r}; supported are "
            f"{', '.join(output_type.FORMATS)}"
        )
    if output_format == "parquet":
        require_parquet(name)
    opened = _open_stream if is_stream else _open_file
    with opened(output_type, name, output_format, overwrite=overwrite) as out:
        try:
            yield out
            out.finish()
        except BaseException:
            out.discard()
            raise


@contextlib.contextmanager
def _open_file(
    output_type: type[_Output], name: str, output_format: OutputFormat, *, overwrite: bool
) -> Iterator[_Output]:
    path = Path(name)
    output_type.check(path, output_format, overwrite=overwrite)

    def complete() -> None:
        # Checked twice: another program may create the file in the meantime.
        output_type.check(path, output_format, overwrite=overwrite)
        if out is not None:
            out.write_files_beside()

    out: _Output | None = None
    try:
        with open_atomic(path, before_rename=complete) as file:
            out = output_type(name, output_format, Sink(file, name))
            yield out
    finally:
        if out is not None:
            out.close()


@contextlib.contextmanager
def _open_stream(
    output_type: type[_Output], name: str, output_format: OutputFormat, *, overwrite: bool
) -> Iterator[_Output]:
    """Open standard output, a pipe or a device, which needs no `overwrite`."""
    if output_format == "npy":
        raise DataFileError(
            f"{name}: .npy needs a file, as its header is written last; use --format jsonl or "
            "parquet"
        )
    if name in _STDOUT_NAMES:
        name = "standard output"
        if output_format == "parquet" and sys.stdout.isatty():
            raise DataFileError(f"{name}: .parquet is binary; write it to a file or pipe")
        out = output_type(name, output_format, Sink(sys.stdout.buffer, name))
        yield out
        out.sink.flush()
        return
    with wrap_write_errors(name):
        descriptor = os.open(name, os.O_WRONLY)
    file = os.fdopen(descriptor, "wb")
    try:
        out = output_type(name, output_format, Sink(file, name))
        yield out
        out.sink.flush()
    finally:
        # Closing flushes. On a full device that fails again, and must not hide the first error.
        with contextlib.suppress(OSError):
            file.close()


def _is_pipe_or_device(path: Path) -> bool:
    try:
        return path.exists() and not (path.is_file() or path.is_dir())
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False


def _format_of(output_type: type[Output], name: str, *, is_stream: bool) -> OutputFormat:
    suffix = Path(name).suffix.lower()
    for output_format in output_type.FORMATS:
        if suffix == f".{output_format}":
            return output_format
    if is_stream:
        return "jsonl"
    supported = ", ".join(f".{output_format}" for output_format in output_type.FORMATS)
    raise UnknownOutputFormat(
        f"{name}: unknown output format; supported are {supported}, or - for .jsonl on standard "
        "output; --format gives the format of other names"
    )


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
