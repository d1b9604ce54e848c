"""The lines of an input as decompressed bytes of UTF-8, and its text in chunks."""

import codecs
import contextlib
import io
import itertools
import sys
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bothways.errors import DataFileError
from bothways.files.decoding import detect_encoding
from bothways.files.decompression import COMPRESSION_ERRORS, decompress
from bothways.files.formats import STDIN, InputFile, explain_size
from bothways.files.recoding import Recoded
from bothways.files.rows import ReadProgress

__all__ = ["read_byte_lines", "read_chunks"]

_CHUNK_BYTES = 1 << 16


def read_byte_lines(file: InputFile, read_progress: ReadProgress) -> Generator[bytes]:
    r"""Yield the lines of a file with their line ends; memory is bounded by one line.

    Text in another encoding, which `file.encoding` or a byte order mark gives, is recoded. Lines
    end with \n; if a file has none, they end with \r, as on old Macs, and \n takes its place.
    Of a part with an offset, only the lines from there on are read.

    Raises:
        DataFileError: if the file cannot be read, has invalid bytes of another encoding than UTF-8,
            or a line is too long, or if its compressed data is damaged or truncated.
    """
    limit = file.max_row_size
    part = file.part
    with _naming_errors(file), _open(file, read_progress) as stream:
        if part is not None and part.offset is not None:
            stream.seek(part.offset)
        first = stream.readline(limit + 1)
        encoding = file.encoding or detect_encoding(first)
        if encoding is not None:
            stream = io.BufferedReader(Recoded(stream, first, encoding, file.name), _CHUNK_BYTES)
            first = stream.readline(limit + 1)
        if b"\r" in first and not first.endswith(b"\n"):
            lines = _lines_of_returns(first, stream, limit)
        else:
            lines = itertools.chain([first], iter(partial(stream.readline, limit + 1), b""))
        for number, line in enumerate(lines, 1):
            if len(line) > limit:
                raise DataFileError(f"{file.name}, line {number}: {explain_size('a line', limit)}")
            if line:
                yield line


def read_chunks(file: InputFile, read_progress: ReadProgress) -> Generator[str]:
    """Yield the text of a file, in parts of no particular length.

    Raises:
        DataFileError: as `read_byte_lines` does.
    """
    with _naming_errors(file), _open(file, read_progress) as stream:
        first = stream.read(_CHUNK_BYTES)
        encoding = file.encoding or detect_encoding(first) or "utf-8"
        recoded = Recoded(stream, first, encoding, file.name)
        decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        while chunk := recoded.read(_CHUNK_BYTES):
            yield decoder.decode(chunk)


def _lines_of_returns(first: bytes, stream: BinaryIO, limit: int) -> Iterator[bytes]:
    r"""The lines of a stream that starts with `first` and separates lines by \r, with \n instead.

    A line of more than `limit` bytes is cut.
    """
    pending = first
    while True:
        *lines, pending = pending.split(b"\r")
        for line in lines:
            yield line.removeprefix(b"\n") + b"\n"
        if len(pending) > limit:
            yield pending
            return
        more = stream.read(max(len(pending), io.DEFAULT_BUFFER_SIZE))
        if not more:
            yield pending
            return
        pending += more


@contextlib.contextmanager
def _open(file: InputFile, read_progress: ReadProgress) -> Iterator[BinaryIO]:
    if file.source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(file.source).open("rb") as compressed:
        if compressed.seekable():
            read_progress.follow(compressed.tell)
        try:
            yield decompress(compressed, file.compression)
        finally:
            read_progress.finish_file()


@contextlib.contextmanager
def _naming_errors(file: InputFile) -> Iterator[None]:
    """Raise read errors as `DataFileError`, with the name of the file."""
    try:
        yield
    except DataFileError:
        raise
    except EOFError as error:
        raise DataFileError(
            f"{file.name}: the compressed file is truncated; download or write it again"
        ) from error
    except (OSError, *COMPRESSION_ERRORS) as error:
        if file.compression and not getattr(error, "errno", None):
            raise DataFileError(
                f"{file.name}: not a valid .{file.compression} file: {error}"
            ) from error
        raise DataFileError(f"{file.name}: cannot be read: {error}") from error
