"""The lines of an input as decompressed bytes."""

import contextlib
import gzip
import sys
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, assert_never, cast

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, InputFile
from bothways.files.rows import ReadProgress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["MAX_LINE_BYTES", "read_byte_lines"]

MAX_LINE_BYTES = 1 << 28
"""256 MiB. A file with a longer line is assumed not to be a text file."""


def read_byte_lines(file: InputFile, read_progress: ReadProgress) -> Generator[bytes]:
    """Yield the lines of a file with their line ends; memory is bounded by one line.

    Raises:
        DataFileError: if the file cannot be read, or its compressed data is damaged or truncated.
    """
    with _naming_errors(file), _open(file, read_progress) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise DataFileError(
                    f"{file.name}: a line of more than {MAX_LINE_BYTES >> 20} MiB; "
                    "is this a text file?"
                )
            yield line


@contextlib.contextmanager
def _open(file: InputFile, read_progress: ReadProgress) -> Iterator[BinaryIO]:
    if file.source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(file.source).open("rb") as compressed:
        if compressed.seekable():
            read_progress.follow(compressed.tell)
        try:
            yield _decompressed(compressed, file)
        finally:
            read_progress.finish_file()


def _decompressed(compressed: BinaryIO, file: InputFile) -> BinaryIO:
    match file.compression:
        case None:
            return compressed
        case "gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=compressed))
        case "zst":
            return cast(BinaryIO, zstd.ZstdFile(compressed))
        case unknown:
            assert_never(unknown)


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
    except (OSError, zlib.error, zstd.ZstdError) as error:
        if file.compression and not getattr(error, "errno", None):
            raise DataFileError(
                f"{file.name}: not a valid .{file.compression} file: {error}"
            ) from error
        raise DataFileError(f"{file.name}: cannot be read: {error}") from error
