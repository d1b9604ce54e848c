"""A binary output stream whose write errors name the file."""

import codecs
import io
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

from bothways.io.atomic import wrap_write_errors

__all__ = ["Sink"]


class Sink(io.RawIOBase):
    """An open file whose write errors name it.

    ascii_only: whether it is standard output in another encoding than UTF-8, where characters
    beyond ASCII should be escaped. discards: once it is True, everything that is written is
    dropped.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        is_stdout = file is getattr(sys.stdout, "buffer", None)
        self.ascii_only = is_stdout and codecs.lookup(sys.stdout.encoding).name != "utf-8"
        self.discards = False

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
