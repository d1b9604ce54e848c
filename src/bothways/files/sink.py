"""A binary output stream whose write errors name the file."""

import codecs
import io
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, Self

from bothways.io.atomic import wrap_write_errors

__all__ = ["Sink"]


class Sink(io.RawIOBase):
    """An open file whose write errors name it.

    ascii_only: whether characters beyond ASCII should be escaped, as on a terminal that does not
    expect UTF-8. discards: once it is True, everything that is written is dropped.
    """

    def __init__(self, file: BinaryIO, name: str, *, ascii_only: bool = False) -> None:
        self._file, self._name = file, name
        self.ascii_only = ascii_only
        self.discards = False

    @classmethod
    def of_standard_output(cls) -> Self:
        """The sink of bytes for standard output."""
        is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
        return cls(sys.stdout.buffer, "standard output", ascii_only=not is_utf8)

    def writable(self) -> bool:
        """Always True."""
        return True

    def write(self, data: Any) -> int:
        """Write all of `data`.

        Raises:
            WriteFailed: if the disk is full, or writing fails otherwise.
            BrokenPipeError: if the reader of a pipe has closed it.
        """
        if self.discards:
            return memoryview(data).nbytes
        with wrap_write_errors(self._name):
            return self._file.write(data)

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write each line in UTF-8 with a newline, then flush.

        Raises:
            WriteFailed, BrokenPipeError: as `write` does.
        """
        for line in lines:
            self.write(f"{line}\n".encode())
        self.flush()

    def flush(self) -> None:
        """Pass buffered bytes on to the system.

        Raises:
            WriteFailed, BrokenPipeError: as `write` does.
        """
        if self.discards or self._file.closed:
            return
        with wrap_write_errors(self._name):
            self._file.flush()

    def tell(self) -> int:
        """The position in the file, in bytes."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position in the file."""
        return self._file.seek(offset, whence)
