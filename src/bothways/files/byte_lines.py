"""From an input to a stream of its uncompressed bytes."""

import contextlib
import gzip
import sys
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, assert_never, cast

from bothways.errors import DataFileError
from bothways.files.formats import STDIN, InputFile
from bothways.files.rows import Meter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["MAX_LINE_BYTES", "byte_lines"]

MAX_LINE_BYTES = 1 << 28
"""The longest line that is read, 256 MiB: beyond it a file is taken for one that has no lines."""


def byte_lines(file: InputFile, meter: Meter) -> Generator[bytes]:
    """The lines of a file, each with its end, as they come: memory is that of one line.

    Raises:
        DataFileError: if the file cannot be read, or its compression is damaged or cut short.
    """
    with _reading(file), _open(file, meter) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise DataFileError(
                    f"{file.name}: a line of more than {MAX_LINE_BYTES >> 20} MiB; "
                    "is this a file of lines?"
                )
            yield line


@contextlib.contextmanager
def _open(file: InputFile, meter: Meter) -> Iterator[BinaryIO]:
    if file.source == STDIN:
        yield sys.stdin.buffer
        return
    with Path(file.source).open("rb") as compressed:
        if compressed.seekable():
            meter.follow(compressed.tell)
        try:
            yield _decompressed(compressed, file)
        finally:
            meter.finish()


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
def _reading(file: InputFile) -> Iterator[None]:
    """Say what went wrong in terms of the file."""
    try:
        yield
    except DataFileError:
        raise
    except EOFError as error:
        raise DataFileError(
            f"{file.name}: the compressed file is cut short; fetch or write it again"
        ) from error
    except (OSError, zlib.error, zstd.ZstdError) as error:
        if file.compression and not getattr(error, "errno", None):
            raise DataFileError(
                f"{file.name}: not a sound .{file.compression} file: {error}"
            ) from error
        raise DataFileError(f"{file.name}: cannot be read: {error}") from error
