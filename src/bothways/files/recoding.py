"""Recoding a stream of text to UTF-8."""

import codecs
import io
from typing import BinaryIO

from bothways.errors import DataFileError

__all__ = ["Recoded"]

_CHUNK_BYTES = 1 << 16


class Recoded(io.RawIOBase):
    """The text of a stream in another encoding, as UTF-8.

    first: bytes that were already read from the stream. name: of the file, for errors.

    Reading raises `DataFileError` with the line and offset of bytes that are invalid.
    """

    def __init__(self, stream: BinaryIO, first: bytes, encoding: str, name: str) -> None:
        self._stream, self._next, self._encoding, self._name = stream, first, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._recoded = b""
        self._offset = 0  # of the bytes that the decoder has, in the stream
        self._line = 1

    def readable(self) -> bool:
        """Whether the stream can be read: always."""
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        """Read UTF-8 into the buffer; the number of bytes, 0 at the end."""
        while not self._recoded:
            chunk, self._next = self._next or self._stream.read(_CHUNK_BYTES), b""
            text = self._decode(chunk)
            self._line += text.count("\n")
            self._recoded = text.encode("utf-8", "surrogatepass")
            if not chunk:
                break
        count = min(len(buffer), len(self._recoded))
        buffer[:count] = self._recoded[:count]
        self._recoded = self._recoded[count:]
        return count

    def _decode(self, chunk: bytes) -> str:
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            at = self._offset - pending + error.start
            valid = error.object[: error.start].decode(self._encoding, "replace")
            line = self._line + valid.count("\n")
            raise DataFileError(
                f"{self._name}, line {line}: byte 0x{error.object[error.start]:02x} at offset {at} "
                f"is not valid {self._encoding}; --encoding (in Python, encoding=) gives another "
                "encoding"
            ) from error
        self._offset += len(chunk)
        return text.removeprefix("\ufeff") if self._offset == len(chunk) else text
