"""The format of a file by its content, for names without a suffix."""

import codecs
import io
import re
from pathlib import Path

from bothways.errors import DataFileError
from bothways.files.decoding import detect_encoding
from bothways.files.decompression import COMPRESSION_ERRORS, decompress
from bothways.files.formats import Compression, InputFormat

__all__ = ["detect_format"]

_HEAD_BYTES = 4096
_COMPRESSIONS: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
_BINARY: tuple[tuple[bytes, InputFormat], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\x93NUMPY", "npy"),
)
_TEXT: tuple[tuple[re.Pattern[str], InputFormat], ...] = (
    (re.compile(r"\s*>\s*\S"), "fasta"),
    (re.compile(r'\s*\{\s*(["}]|$)'), "jsonl"),
    (re.compile(r'\s*\[\s*(["{\[\]]|$)'), "json"),
)


def detect_format(source: str) -> tuple[InputFormat, Compression | None] | None:
    """The format and compression of a regular file; None if it holds no format that is read.

    Text that is neither FASTA nor JSON is `txt`: a table is not recognized.

    Raises:
        DataFileError: if the file cannot be read.
    """
    try:
        with Path(source).open("rb") as file:
            head = file.read(_HEAD_BYTES)
            compression = next(
                (name for magic, name in _COMPRESSIONS if head.startswith(magic)), None
            )
            if compression is not None:
                file.seek(0)
                head = decompress(file, compression).read(_HEAD_BYTES)
    except (*COMPRESSION_ERRORS, OSError, ValueError) as error:
        raise DataFileError(f"{source}: cannot be read: {error}") from error
    for magic, format_ in _BINARY:
        if head.startswith(magic):
            return None if compression else (format_, None)
    text = _decode_head(head)
    if "\x00" in text:
        return None
    return next((name for pattern, name in _TEXT if pattern.match(text)), "txt"), compression


def _decode_head(head: bytes) -> str:
    """The start of a text; a character that the end cuts is left out."""
    encoding = detect_encoding(head) or "utf-8-sig"
    return io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)("replace"), translate=True
    ).decode(head)
