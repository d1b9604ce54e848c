"""Compressed files as streams of bytes."""

import bz2
import gzip
import lzma
import sys
import zlib
from typing import BinaryIO, assert_never, cast

from bothways.files.formats import Compression

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["COMPRESSION_ERRORS", "decompress"]

COMPRESSION_ERRORS = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)
"""Errors of damaged files besides OSError. EOFError: the file is truncated."""


def decompress(file: BinaryIO, compression: Compression | None) -> BinaryIO:
    """The decompressed bytes of a file."""
    match compression:
        case None:
            return file
        case "gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=file))
        case "bz2":
            return cast(BinaryIO, bz2.BZ2File(file))
        case "xz":
            return cast(BinaryIO, lzma.LZMAFile(file))
        case "zst":
            return cast(BinaryIO, zstd.ZstdFile(file))
        case unknown:
            assert_never(unknown)
